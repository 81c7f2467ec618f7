"""Imported means of pairs take the place of answers in Table 1, Table 2 and the rankings, and are never taken for answers."""

import numpy as np
import pytest
from scipy.stats import pearsonr

from core.analysis.disagreement import score_identity_disagreement, score_identity_spread
from core.analysis.study_data import build_study_data
from core.figures.contents import choose_default_view
from core.figures.report import build_chapters
from core.figures.report_gallery import PictureReader, build_galleries
from core.studies.importing.conversion import convert_table
from core.studies.importing.guessing import guess_mapping
from core.studies.importing.reading import read_file
from core.studies.importing.storing import store_answers
from core.studies.library import Library
from core.studies.store import Store


@pytest.fixture(scope="module")
def study_data(tmp_path_factory):
    """Twelve pairs of two types; the last says neither how alike its faces are nor who they show to how many."""
    folder = tmp_path_factory.mktemp("means")
    random = np.random.default_rng(0)
    lines = ["pair_id,base,sample,type,similarity,identity,n,dlib_distance,LPIPS"]
    for place in range(12):
        distance = (0.3, 0.7)[place % 2] + 0.05 * random.normal()
        same = round(10 / (1 + np.exp((distance - 0.5) / 0.1))) / 10
        people = "" if place == 11 else "10"
        similarity = "" if place == 11 else f"{100 - 90 * distance:.1f}"
        kind = ("positive", "negative")[place % 2]
        lines.append(f"p{place},b{place % 3},s{place},{kind},{similarity},{same},{people},{distance:.3f},{distance / 2:.3f}")
    imported = read_file("\n".join(lines).encode(), "means.csv")
    store, library = Store(f"sqlite:///{folder / 'ratings.sqlite'}"), Library(folder / "sets", folder / "none")
    converted = convert_table(imported, guess_mapping(imported.frame, "paper-a").mapping, "Means")
    study = store_answers(store, library, converted).study
    made = build_study_data(study, store.stimuli("Means"), (), store.ratings("Means"), library)
    store.dispose()
    return made


def exhibits(study_data, key):
    return {each.key: each for chapter in build_chapters(study_data) if chapter.section.key == key for each in chapter.exhibits}


def test_the_models_scores_get_their_columns_and_the_published_threshold(study_data):
    assert study_data.recognisers == ["dlib"]
    assert study_data.thresholds == {"dlib": 0.6}
    assert study_data.pairs["lpips"].notna().all()


def test_table_1_is_the_mean_over_pairs(study_data):
    found, means = exhibits(study_data, "types"), study_data.published
    for key, name in (("same-person", "identity"), ("similarity", "similarity")):
        rows = found[key].data.set_index("sample_type")
        for kind in ("positive", "negative"):
            values = means.loc[means["sample_type"] == kind, name].dropna()
            assert rows.loc[kind, "value"] == pytest.approx(values.mean())
            assert rows.loc[kind, "n"] == len(values)
            assert rows.loc[kind, "low"] < values.mean() < rows.loc[kind, "high"]
        assert "Imported means" in found[key].note
        assert found[key].source == "published"
        assert "over pairs alone" in found[key].interval


def test_table_2_is_pearsons_r_of_the_means(study_data):
    (found,) = exhibits(study_data, "correlations").values()
    rows = found.data[found.data["sample_type"] == "all"].set_index("measure")
    means = study_data.published
    assert rows.loc["dlib ResNet", "r"] == pytest.approx(pearsonr(means["identity"], study_data.pairs["distance_dlib"])[0])
    known = means.dropna(subset=["similarity"])
    assert rows.loc["similarity", "r"] == pytest.approx(pearsonr(known["identity"], known["similarity"])[0])
    assert rows.loc["similarity", "n"] == 11


def test_the_rankings_compare_the_imported_share(study_data):
    means = study_data.imported_means
    signed = score_identity_disagreement(study_data.pairs, study_data.ratings, "dlib", 0.6, means=means)
    np.testing.assert_allclose(signed.table["share"], study_data.published["identity"])
    assert signed.table["votes"].tolist() == [10] * 11 + [0]
    assert signed.table["low"].isna().tolist() == [False] * 11 + [True]
    assert signed.table["score"].notna().all()
    assert "Imported means" in signed.note
    assert (signed.basis.answers, signed.basis.source) == (0, "published")
    spread = score_identity_spread(study_data.pairs, study_data.ratings, means=means)
    share = study_data.published["identity"]
    np.testing.assert_allclose(spread.table["score"], np.sqrt(share * (1 - share)))


def test_the_report_says_nowhere_that_nobody_answered(study_data, tmp_path):
    chapters = build_chapters(study_data)
    assert {"types", "correlations"} <= {chapter.section.key for chapter in chapters}
    for chapter in chapters:
        assert "Nobody has answered" not in chapter.problem
        for each in chapter.exhibits:
            assert "Nobody has answered" not in f"{each.says} {each.note}"
    pictures = PictureReader(study_data, Library(tmp_path / "sets", tmp_path / "none"))
    assert build_galleries(study_data, choose_default_view(study_data), pictures)
