"""What the statistics page and the report show: every chapter of usual studies, and of studies that hardly say anything."""

import dataclasses
import json
import math

import numpy as np
import pandas as pd
import pytest

from core.errors import LiminalError
from core.figures import compare, two_sides
from core.figures.contents import EMOTION_SECTIONS, IDENTITY_SECTIONS, choose_default_view, list_sections
from core.figures.exhibit import ExhibitView
from core.figures.theme import format_percent
from core.figures.verification import build_acceptance_curves, list_thresholds
from core.progress import Progress
from core.sampling.stored.population import load_thresholds
from tests.figures.study_materials import emotion_material, identity_material, label_material, nobody, scale_material

CASES = ("nobody", "one person", "all agree", "no times", "one image", "no face", "one distance", "no pairs")
QUICK = [each for each in (*IDENTITY_SECTIONS, *EMOTION_SECTIONS) if not each.slow]


@pytest.fixture(scope="module")
def usual():
    return {"identity": identity_material(), "emotion": emotion_material()}


def exhibits(material, key, **view):
    section = next(each for each in list_sections(material) if each.key == key)
    return section.make(material, dataclasses.replace(choose_default_view(material), **view), Progress())


def checked(found):
    for each in found:
        assert each.says.strip()
        assert each.definition.strip()
        for words in (each.says, each.note, each.n, each.interval):
            assert "nan" not in words.lower().replace("(", " ").replace(",", " ").split()
        json.dumps(each.to_dict(), allow_nan=False)
        assert each.figure.layout.meta["n"]
    assert len({each.key for each in found}) == len(found)
    return found


@pytest.mark.parametrize("section", QUICK, ids=lambda each: each.title)
def test_every_chapter_of_a_usual_study(usual, section):
    material = usual["identity" if section in IDENTITY_SECTIONS else "emotion"]
    found = checked(section.make(material, choose_default_view(material), Progress()))
    assert found
    for each in found:
        assert each.n != "0"  # something is drawn
        assert len(each.data)
        assert set(each.source.split(" and ")) <= {"human", "model"}


def changed(material, case):
    """The same study, all but empty of meaning."""
    ratings = material.ratings
    if case == "nobody":
        ratings = nobody()
    elif case == "one person":
        ratings = ratings[ratings["rater"] == "r0"]
    elif case == "all agree":
        ratings = ratings.assign(value=ratings["task"].map({"similarity": "50", "identity": "1", "emotion": "fear"}))
    elif case == "no times":
        ratings = ratings.assign(reaction_time_ms=np.nan)
    elif case == "one image":
        ratings = ratings[ratings["stimulus"] == ratings["stimulus"].iloc[0]]
    pairs = material.pairs
    if case == "no face" and len(pairs):
        pairs = pairs.assign(distance_dlib=np.nan, distance_sface=np.nan)
    if case == "one distance" and len(pairs):
        pairs = pairs.assign(distance_dlib=0.5, distance_sface=0.5, lpips=0.1, latent_distance=1.0)
    if case == "no pairs":
        pairs, ratings = pairs.head(0), nobody()
    return dataclasses.replace(material, pairs=pairs, ratings=ratings.reset_index(drop=True))


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize(
    "case", ["nobody", "one person", "all agree", "no times", "one image", "no face", "one distance", "no pairs"]
)
@pytest.mark.parametrize("kind", ["identity", "emotion"])
def test_studies_that_hardly_say_anything_give_sentences(usual, kind, case):
    material = changed(usual[kind], case)
    for section in list_sections(material):
        if not section.slow:
            checked(section.make(material, choose_default_view(material), Progress()))


@pytest.mark.parametrize("key", [each.key for each in IDENTITY_SECTIONS if not each.slow and each.key != "zoo"])
def test_a_study_that_no_recogniser_judged_gives_sentences(usual, key):
    """Answers that were brought in without their sample set."""
    pairs = usual["identity"].pairs
    pairs = pairs.drop(columns=[name for name in pairs if name.startswith(("distance_", "accepted_"))])
    material = dataclasses.replace(usual["identity"], pairs=pairs, thresholds={}, generator="")
    assert "zoo" not in [section.key for section in list_sections(material)]  # of which generator would the strangers be?
    if key in ("threshold", "errors", "mixed"):
        with pytest.raises(LiminalError, match="No recogniser judged these pairs"):
            exhibits(material, key)
    else:
        checked(exhibits(material, key))


@pytest.mark.parametrize("section", QUICK, ids=lambda each: each.title)
def test_simulated_answers_are_marked_in_every_figure_of_them(section):
    of_pairs = section in IDENTITY_SECTIONS
    material = identity_material(raters=4, source="simulated") if of_pairs else emotion_material(images=20, source="simulated")
    for each in section.make(material, choose_default_view(material), Progress()):
        if each.source == "model":
            continue
        assert "simulated" in each.source
        assert "human" not in each.source
        assert "SIMULATED" in each.figure.layout.title.text


def test_a_publication_s_answers_are_its_own():
    material = identity_material(raters=4, origin="published")
    assert exhibits(material, "types")[0].source == "published"
    assert exhibits(material, "errors")[0].source == "published and model"


def test_the_threshold_that_was_chosen_counts(usual):
    pairs = usual["identity"].pairs
    for limit in (None, 0.3):
        found = exhibits(usual["identity"], "types", threshold=limit)
        accepted = next(each for each in found if each.key == "accepted").data
        row = accepted[(accepted["sample_type"] == "all")].iloc[0]
        assert row["value"] == pytest.approx((pairs["distance_dlib"] < (limit or 0.6)).mean())
    # the published acceptance is of the published threshold
    assert accepted["published"].isna().all()


def test_published_values_stand_beside_ours(usual):
    data = exhibits(usual["identity"], "types")[0].data
    negative = data[(data["sample_type"] == "negative") & data["step"].isna()].iloc[0]
    assert negative["published"] == pytest.approx(0.02)
    cells = exhibits(usual["identity"], "correlations")[0].data
    assert cells["published"].notna().any()


def test_curves_count_what_lies_strictly_below(usual):
    pairs = usual["identity"].pairs
    curve = build_acceptance_curves(pairs, "dlib")
    for row in curve.sample(25, random_state=0).itertuples():
        own = pairs.loc[pairs["sample_type"] == row.sample_type, "distance_dlib"]
        assert row.share == pytest.approx((own < row.threshold).mean())
        assert row.low - 1e-12 <= row.share <= row.high + 1e-12


def test_calibrated_thresholds_are_the_stored_ones(usual):
    marks = list_thresholds(usual["identity"], "dlib")
    stored = load_thresholds("dcgan-sharp", "dlib")
    assert marks["default"] == 0.6
    assert marks["calibrated to 1 %"] == stored.at(0.01).distance
    assert "default" in list_thresholds(dataclasses.replace(usual["identity"], generator="nobody's"), "dlib")


def test_the_better_model_is_named_and_none_where_the_answers_do_not_tell(usual):
    # answers follow dlib's distance; SFace's is a noisy copy
    says = exhibits(usual["identity"], "deciders")[0].says
    assert says.startswith("dlib ResNet agrees with people")
    assert "SFace cannot be told apart from it" in says
    rates = exhibits(usual["identity"], "errors")[0].numbers
    assert rates["dlib"].eer.value < rates["sface"].eer.value
    # the steerer's probabilities are the truth
    assert exhibits(usual["emotion"], "classifiers")[0].says.startswith("Emotion MLP")


def test_comparing_two_models_two_groups_and_two_studies(usual):
    material = usual["identity"]
    found = {each.key: each for each in checked(compare.compare_models(material, "dlib", "sface", ExhibitView()))}
    table = found["accepted-both"].numbers.table
    whole = table[table["name"] == "all"].iloc[0]
    assert whole["first"] == pytest.approx((material.pairs["distance_dlib"] < 0.6).mean())
    assert whole["second"] == pytest.approx((material.pairs["distance_sface"] < 0.7).mean())
    for kind, model in (("identity", "dlib"), ("emotion", "small-cnn")):
        found = checked(compare.compare_people(usual[kind], model, ExhibitView()))
        table = next(each for each in found if each.key.endswith("-both")).numbers.table
        assert (table["second_n"] > 0).all()
        if kind == "identity":
            whole_of = table[table["name"] == "all"].iloc[0]
            assert whole_of["second"] == pytest.approx(whole["first"])  # dlib, as beside another recogniser
    strict = identity_material(raters=8, seed=4, middle=0.25, name="strict")
    found = {
        each.key: each
        for each in checked(compare.compare_studies(material, strict, ("usual", "strict"), choose_default_view(material)))
    }
    same = found["same-person-difference"]
    assert "below usual" in same.says
    assert "clear difference" in same.says
    checked(compare.compare_models(usual["emotion"], "emotion-mlp", "small-cnn", ExhibitView()))
    other = emotion_material(seed=3)
    assert {each.key for each in checked(compare.compare_studies(usual["emotion"], other, ("a", "b"), ExhibitView()))} >= {
        "wanted-both",
        "bits-both",
    }
    with pytest.raises(LiminalError, match="of one kind"):
        compare.compare_studies(material, other, ("a", "b"), ExhibitView())


def test_comparing_answers_to_questions_of_a_studys_own_finds_what_was_planted():
    none, some = scale_material(effect=0, seed=1), scale_material(effect=1.5, seed=2, first=50)
    found = {each.key: each for each in checked(compare.compare_studies(none, some, ("none", "some"), ExhibitView()))}
    assert list(found) == [f"{key}-{side}" for key in ("rating", "answers", "bits") for side in ("both", "difference")]
    table = found["rating-both"].numbers.table.set_index("name")
    assert table["difference"]["b"] == pytest.approx(1.5, abs=0.5)
    assert table["low"]["a"] < 0 < table["high"]["a"]
    assert found["rating-both"].says.startswith("Mean rating, 1 (not at all) to 7 (very): 3.")
    shares = found["answers-both"].numbers.table
    assert shares[["first", "second"]].sum().to_numpy() == pytest.approx([1, 1])

    none, some = label_material(effect=0, seed=1), label_material(effect=2, seed=2, first=50)
    found = {each.key: each for each in checked(compare.compare_studies(none, some, ("none", "some"), ExhibitView()))}
    assert "'calm' by" in found["answers-difference"].says
    assert "more often for some" in found["answers-difference"].says
    assert {"calm", "neutral"} <= set(found["answers-both"].numbers.clear()["name"])
    with pytest.raises(LiminalError, match="cannot be set side by side"):
        compare.compare_people(some, "small-cnn", ExhibitView())
    with pytest.raises(LiminalError, match="different answers"):
        compare.compare_studies(some, scale_material(), ("a", "b"), ExhibitView())


def test_of_pictures_that_were_made_between_no_two_feelings_each_feeling_is_compared(usual):
    made = usual["emotion"]
    own = dataclasses.replace(made, samples=made.samples.assign(emotion1=None, emotion2=None).astype({"emotion1": "str"}))
    people = checked(compare.compare_people(own, "small-cnn", ExhibitView()))
    table = people[0].numbers.table.set_index("name")
    shares = made.ratings["value"].value_counts(normalize=True)
    assert table["first"].to_dict() == pytest.approx(shares.reindex(table.index).fillna(0).to_dict())
    assert table["second"].sum() == pytest.approx(1)
    assert {each.key for each in checked(compare.compare_models(own, "emotion-mlp", "small-cnn", ExhibitView()))} == {
        "feelings-both", "feelings-difference", "votes-both", "votes-difference",
    }  # fmt: skip
    beside = checked(compare.compare_studies(own, emotion_material(seed=3), ("own", "made"), ExhibitView()))
    assert not [each for each in beside if "wanted" in f"{each.says} {each.definition}"]


def test_comparing_with_nobody_leaves_what_models_say(usual):
    alone = dataclasses.replace(identity_material(seed=9, raters=1), ratings=nobody())
    found = checked(compare.compare_studies(usual["identity"], alone, ("asked", "not asked"), choose_default_view(alone)))
    assert [each.source for each in found] == ["model"] * len(found) or not found


def test_looks_measures_nothing_where_no_picture_is_known(usual, monkeypatch):
    section = next(each for each in IDENTITY_SECTIONS if each.key == "features")
    found = checked(section.make(usual["identity"], choose_default_view(usual["identity"]), Progress()))
    assert "rated pairs" in found[0].note
    assert found[0].n == "0"
    assert math.isnan(found[0].numbers.r2.value)
    assert isinstance(found[0].data, pd.DataFrame)


def test_votes_on_base_faces_are_not_counted_as_choices_between_two_feelings():
    made = emotion_material(images=12, raters=5)
    samples = made.samples.assign(sample_type=["genuine", "boundary"] * 6)
    base = made.ratings["stimulus"].isin(samples.loc[samples["sample_type"] == "genuine", "sample_id"])
    ratings = made.ratings.assign(value=made.ratings["value"].mask(base, "disgust"))
    _, choices = exhibits(dataclasses.replace(made, samples=samples, ratings=ratings), "outcomes")
    votes = ratings[~base]
    wanted = samples.set_index("sample_id").loc[votes["stimulus"]]
    hit = (votes["value"].to_numpy() == wanted["emotion1"].to_numpy()) | (
        votes["value"].to_numpy() == wanted["emotion2"].to_numpy()
    )
    assert choices.data.drop(columns="wanted").to_numpy().sum() == len(votes)
    assert choices.says.startswith(f"In {format_percent(hit.mean(), 0)} of the votes")


def test_an_end_of_a_difference_that_is_nothing_has_no_sign():
    ends = pd.Series({"low": 0.0, "high": 11.0})
    assert two_sides._describe_difference(ends, False, "{:.0f}".format) == "0 below to 11 above"


def test_single_changes_are_a_chapter_where_a_study_has_some(usual):
    material = usual["identity"]
    assert "causes" not in [section.key for section in list_sections(material)]
    pairs = material.pairs.copy()
    moved = pairs["sample_type"] == "positive"
    pairs.loc[moved, "sample_type"] = "semantic"
    pairs["direction"] = pairs["direction"].astype(object)
    pairs.loc[moved, "direction"] = [("glasses+", "age-")[number % 2] for number in range(moved.sum())]
    pairs.loc[pairs["direction"] == "glasses+", "distance_dlib"] = 0.9
    for exhibit in checked(exhibits(dataclasses.replace(material, pairs=pairs), "causes")):
        assert list(exhibit.data["name"][:1]) == ["glasses"] or "dlib" not in exhibit.key
        assert exhibit.data["people"].notna().all()
        assert exhibit.source == "human and model"
