import json

import numpy as np
import pandas as pd
import pytest

from core.analysis import emotion_pairs as module
from core.analysis.emotion_pairs import PairResult, build_pair_table, load_pair_table, measure_pairs, summarise_pairs
from core.errors import LiminalError
from core.progress import Progress
from core.sampling.emotion.configuration import EmotionConfiguration
from tests.emotion_sets import TEMPERATURE, emotion_set
from tests.sampling.emotion.planted import JUDGES, configuration, planted_panel

STEERER, SMALL = "emotion-mlp", "small-cnn"
TWO = (("surprise", "fear"), ("disgust", "anger"))


def table(pair, planted, distances=None):
    """planted: one (p1, p2, passed by the steerer, passed by the judges) a sample."""
    of = EmotionConfiguration(*pair, count=len(planted))
    rows = [{STEERER: (p1, p2, steerer), **dict.fromkeys(of.judges, (p1, p2, judge))} for p1, p2, steerer, judge in planted]
    samples = emotion_set(rows, distances=distances, configuration=of).samples
    return samples[samples["sample_type"] == "boundary"]


def results():
    """Guided: 3 of 4 and 1 of 4 pass under the steerer, 2 of 4 and none under the judges; unguided 1 of 4 and none."""
    first = table(TWO[0], [(0.5, 0.3, True, True), (0.4, 0.4, True, True), (0.3, 0.2, True, False), (0.9, 0.05, False, False)])
    second = table(
        TWO[1],
        [(0.45, 0.35, True, False), (0.2, 0.1, False, False), (0.1, 0.1, False, False), (0.6, 0.3, False, False)],
        distances=[0.7, 0.59, np.nan, 0.3],
    )
    plain = [
        table(TWO[0], [(0.2, 0.1, True, False)] + 3 * [(0.1, 0.1, False, False)]),
        table(TWO[1], 4 * [(0.1, 0.1, False, False)], distances=[np.nan, np.nan, 0.2, 0.2]),
    ]
    return [PairResult(*pair, guided, unguided) for pair, guided, unguided in zip(TWO, (first, second), plain, strict=True)]


def test_planted_shares():
    found = summarise_pairs(results(), EmotionConfiguration(*TWO[0]))
    assert (found["pairs"], found["images"]) == (2, 8)
    steerer, small = found["classifiers"][STEERER], found["classifiers"][SMALL]
    assert set(found["classifiers"]) == {STEERER, "mini-xception", "tanh-cnn", SMALL}
    # statsmodels 0.15.0: Wilson's interval of 4 of 8 is 0.2152 to 0.7848
    assert steerer["guided"] == {"count": 4, "n": 8, "share": 0.5, "low": 0.2152, "high": 0.7848}
    assert (steerer["unguided"]["count"], steerer["unguided"]["n"]) == (1, 8)
    assert steerer["ratio"] == 4.0
    assert (steerer["worst_pair"], steerer["worst_share"]) == (["disgust", "anger"], 0.25)
    assert (small["guided"]["count"], small["worst_share"]) == (2, 0.0)
    assert small["unguided"]["count"] == 0
    assert small["ratio"] is None


def test_planted_medians_are_of_those_that_passed():
    found = summarise_pairs(results(), EmotionConfiguration(*TWO[0]))["classifiers"]
    # passed under the steerer: gaps 0.2, 0, 0.1, 0.1 and sums 0.8, 0.8, 0.5, 0.8, each of its own pair
    assert (found[STEERER]["p_median_gap"], found[STEERER]["p_median_sum"]) == (0.1, 0.8)
    assert (found[SMALL]["p_median_gap"], found[SMALL]["p_median_sum"]) == (0.1, 0.8)  # gaps 0.2 and 0
    passed = [(0.5, 0.3), (0.4, 0.4), (0.3, 0.2), (0.45, 0.35)]

    def cooled(p1, p2):
        p = np.array([p1, p2] + 4 * [(1 - p1 - p2) / 4]) ** (1 / TEMPERATURE)
        return p[:2] / p.sum()

    calibrated = np.array([cooled(*each) for each in passed])
    assert found[STEERER]["calibrated_median_gap"] == pytest.approx(np.median(np.abs(np.diff(calibrated, axis=1))), abs=1e-4)
    assert found[STEERER]["calibrated_median_sum"] == pytest.approx(np.median(calibrated.sum(axis=1)), abs=1e-4)


def test_a_judges_medians_are_its_own():
    of = EmotionConfiguration(*TWO[0], count=2)
    says = {STEERER: (0.4, 0.4, True), "mini-xception": (0.5, 0.2, True), "tanh-cnn": (0.3, 0.3, False), SMALL: (0.6, 0.1, True)}
    rows = emotion_set([says, says], configuration=of).samples.query("sample_type == 'boundary'")
    found = summarise_pairs([PairResult(*TWO[0], rows, rows)], of)["classifiers"]
    assert {name: (each["p_median_gap"], each["p_median_sum"]) for name, each in found.items()} == {
        STEERER: (0.0, 0.8),
        "mini-xception": (0.3, 0.7),
        "tanh-cnn": (None, None),
        SMALL: (0.5, 0.7),
    }


def test_nothing_passed():
    none = [PairResult(*TWO[0], table(TWO[0], [(0.1, 0.1, False, False)]), table(TWO[0], [(0.1, 0.1, False, False)]))]
    found = summarise_pairs(none, EmotionConfiguration(*TWO[0]))["classifiers"][STEERER]
    assert (found["p_median_gap"], found["p_median_sum"], found["ratio"]) == (None, None, None)
    assert json.dumps(found, allow_nan=False)


def test_success_is_by_calibrated_probabilities():
    """At temperature 2, (0.495, 0.495) is (0.41, 0.41): a success; (0.5, 0.3) is (0.35, 0.27) with sum 0.62; (0.9, 0.05) none."""
    planted = [(0.495, 0.495, True, True), (0.5, 0.3, True, True), (0.9, 0.05, True, True), (0.3, 0.3, True, True)]
    rows = table(TWO[0], planted)
    found = summarise_pairs([PairResult(*TWO[0], rows, rows)], EmotionConfiguration(*TWO[0]))
    expected = 0
    for p1, p2, *_ in planted:
        p = np.array([p1, p2] + 4 * [(1 - p1 - p2) / 4]) ** 0.5
        p /= p.sum()
        expected += bool(p[:2].min() > 0.25 and p[:2].sum() > 0.6)
    assert 0 < expected < 4
    assert found["classifiers"][STEERER]["success"]["count"] == expected


def test_faces_and_distances():
    found = summarise_pairs(results(), EmotionConfiguration(*TWO[0]))
    assert (found["face_found"]["guided"]["count"], found["face_found"]["unguided"]["count"]) == (7, 6)
    assert (found["near_base"]["count"], found["near_base"]["n"]) == (6, 8)  # 0.7 is too far, NaN is not near


def test_guided_and_unguided_are_made_from_the_same_seeds():
    told = []
    usual = configuration(strategy="direct", freedom=1.0, generator="dcgan")
    found = measure_pairs(usual, 4, pairs=TWO, panel=planted_panel(), progress=Progress(told.append))
    assert [(each.emotion1, each.emotion2) for each in found] == list(TWO)
    for each in found:
        assert len(each.guided) == len(each.unguided) == 4
        assert each.guided["guided"].all()
        assert not each.unguided["guided"].any()
        assert set(each.guided["emotion1"]) == {each.emotion1}
        assert each.guided["seed"].tolist() == each.unguided["seed"].tolist()
        assert each.guided["base_id"].tolist() == each.unguided["base_id"].tolist()
        assert not set(each.guided["sample_id"]) & set(each.unguided["sample_id"])
    assert found[0].guided["base_id"].tolist() == found[1].guided["base_id"].tolist()  # every pair starts from the same bases
    assert told[-1].fraction == 1.0
    assert "Pair 2 of 2, disgust and anger" in told[-1].message
    figures = summarise_pairs(found, usual)
    assert set(figures["classifiers"]) == {"planted-mlp", *JUDGES}
    assert figures["classifiers"]["planted-mlp"]["guided"]["share"] > figures["classifiers"]["planted-mlp"]["unguided"]["share"]


def test_a_table_of_all_pairs_is_stored_and_read(tmp_path, monkeypatch):
    asked = []

    def planted(configuration, count, progress=None):
        asked.append((configuration.strategy, count))
        return results()

    monkeypatch.setattr(module, "measure_pairs", planted)
    made = build_pair_table("dcgan", count=4, seed=9, folder=tmp_path)
    assert asked == [("two-stage", 4), ("direct", 4)]
    assert load_pair_table(tmp_path) == made
    assert len(made["pairs"]) == 4
    assert made["command"].endswith("--generators dcgan --count 4 --seed 9")
    (row,) = (row for row in made["pairs"] if row["strategy"] == "direct" and row["emotion1"] == "disgust")
    assert row["guided"][STEERER]["share"] == 0.25
    assert row["unguided"][STEERER]["count"] == 0
    assert [path.name for path in tmp_path.iterdir()] == ["acceptance.json"]


@pytest.mark.parametrize(
    "content", [None, "", "rubbish", "[]", "3", "null", '{"generator": "dcgan", "pairs": []}', b"\xff\xfe\x00"]
)
def test_no_table_or_a_damaged_one_is_one_sentence(tmp_path, content):
    if content is not None:
        (tmp_path / "acceptance.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(LiminalError, match="python -m core assets boundary") as error:
        load_pair_table(tmp_path)
    assert "\n" not in str(error.value)


def test_shares_are_of_the_right_table():
    result = results()[0]
    assert (result.passed("guided", STEERER, STEERER).count, result.passed("unguided", STEERER, STEERER).count) == (3, 1)
    assert result.passed("guided", SMALL, STEERER).count == 2
    assert isinstance(result.guided, pd.DataFrame)
