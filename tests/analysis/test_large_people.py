"""Answers about rows of a large data set are planted, and found again beside its models: ranked, counted, with an interval."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.many import build_synthetic_data_set
from core.analysis.choices import count_choices
from core.analysis.disagreement import score_against_classifier, score_identity_disagreement
from core.analysis.estimate import Proportion
from core.analysis.large import RowFilter, build_large_study_data, count_known_stimuli, load_stimulus_rows
from core.errors import LiminalError
from core.sampling.datasets.data_set import MAX_SUBSET, DataSet, make_subset
from core.sampling.datasets.running import run_plan
from core.sampling.sample_set import SampleSet
from core.studies.library import Library
from core.studies.planning import list_stimuli, prepare_study
from core.studies.ratings import Rating, make_ratings_table
from core.studies.study import RatingPlan, Stimulus, Study
from tests.queries import rows_read
from tests.sampling.datasets.small_plan import PLAN, make_tiny, small_plan

ROWS = 100_000
FACES, COMPARED = RowFilter("emotion"), RowFilter("identity")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    place = tmp_path_factory.mktemp("large-people") / "set"
    build_synthetic_data_set(place, ROWS, seed=6)
    return DataSet.open(place)


@pytest.fixture(scope="module")
def identity(tmp_path_factory):
    place = tmp_path_factory.mktemp("large-people-identity") / "set"
    run_plan(small_plan(identity={**PLAN["identity"], "batches": 2}), place, maker=make_tiny)
    return DataSet.open(place)


@pytest.fixture
def library(tmp_path):
    return Library(tmp_path / "sets", tmp_path / "demonstration")


def votes(study, stimulus, task, values, **others):
    return [
        Rating(study, f"rater-{place}", stimulus, task, value, trial=hash(stimulus) % 10**6, **others)
        for place, value in enumerate(values)
    ]


def test_planted_answers_rank_first_among_a_hundred_thousand_faces(data, library, monkeypatch):
    rows = data.query("select * from samples_emotion where place % 9973 = 5 and sample_type = 'boundary' order by place")
    said = {
        row["sample_id"]: max(("surprise", "fear", "disgust", "happiness", "sadness", "anger"), key=lambda each: row[f"p_{each}"])
        for _, row in rows.iterrows()
    }
    names = list(said)
    odd = min(names, key=lambda name: rows.set_index("sample_id").loc[name, "p_anger"])
    answers = []
    for name in names:
        answers += votes("Asked", name, "emotion", ["anger" if name == odd else said[name]] * 8)
    answers += votes("Asked", "f" * 20, "emotion", ["fear"] * 3)  # of another set
    stimuli = [Stimulus(name, (name,), "boundary") for name in [*names, "f" * 20]]
    study = Study("Asked", RatingPlan("emotion", trials=5))

    read = rows_read(monkeypatch)
    assert count_known_stimuli(data, FACES, {"Asked": [each.stimulus for each in stimuli], "Other": ["e" * 20]}) == {
        "Asked": len(names)
    }
    made = build_large_study_data(
        data, "d" * 20, FACES, study, stimuli, (), make_ratings_table([each.to_row() for each in answers]), library, rules=None
    )
    assert max(read) <= 2 * len(names), "only what people were asked about, and its bases, is read"
    assert sum(read) < 100

    assert {each.stimulus for each in made.stimuli} == set(names)
    assert len(made.ratings) == 8 * len(names)
    assert all(made.where[name] == "d" * 20 for name in names)
    found = score_against_classifier(
        made.asked, count_choices(made.ratings, made.asked["sample_id"]), made.classifiers[0], made.steerer
    )
    first = found.ranked("highest").iloc[0]
    assert first["stimulus"] == odd
    assert (first["chosen"], first["votes"], first["said"]) == ("anger", 8, said[odd])
    assert first["low"] <= first["score"] <= first["high"]
    assert (found.basis.images, found.basis.raters, found.basis.answers) == (len(names), 8, 8 * len(names))


def test_planted_answers_about_pairs(identity, library):
    every = identity.query(
        "select * from pairs where sample_type <> 'genuine' and distance_fake is not null order by distance_fake"
    )
    near, far = every["pair_id"].iloc[0], every["pair_id"].iloc[-1]
    between = every["pair_id"].iloc[len(every) // 2]
    answers = votes("Asked", near, "identity", ["0"] * 6)
    answers += votes("Asked", far, "identity", ["1"] * 6) + votes("Asked", between, "identity", ["1", "0"] * 3)
    held = every.set_index("pair_id").loc[[near, between, far]]
    stimuli = [
        Stimulus(name, (row["base_id"], row["sample_id"]), row["sample_type"], row["base_id"]) for name, row in held.iterrows()
    ]
    study = Study("Asked", RatingPlan("identity", trials=3))
    made = build_large_study_data(
        identity,
        "d" * 20,
        COMPARED,
        study,
        stimuli,
        (),
        make_ratings_table([each.to_row() for each in answers]),
        library,
        rules=None,
    )
    assert made.pairs["pair_id"].tolist() == load_stimulus_rows(identity, COMPARED, [near, between, far])["pair_id"].tolist()
    np.testing.assert_array_equal(made.pairs.set_index("pair_id")["distance_fake"][held.index], held["distance_fake"])
    limit = made.thresholds["fake"]
    found = score_identity_disagreement(made.pairs, made.ratings, "fake", limit)
    assert found.ranked("lowest", 1)["stimulus"].item() == near
    assert found.ranked("highest", 1)["stimulus"].item() == far
    row = found.table.set_index("stimulus").loc[between]
    share = Proportion.of(3, 6)
    assert (row["yes"], row["votes"]) == (3, 6)
    assert row["low"] + row["machine"] == pytest.approx(share.low)
    assert row["high"] + row["machine"] == pytest.approx(share.high)
    narrowed = RowFilter("identity", (str(held["sample_type"].iloc[0]),))
    assert set(load_stimulus_rows(identity, narrowed, [near, between, far])["sample_type"]) == {held["sample_type"].iloc[0]}


def test_who_is_left_out_is_decided_on_all_answers_of_the_study(data, library):
    name = data.query("select sample_id from samples_emotion where place = 11")["sample_id"].iloc[0]
    checks = [Stimulus(f"{place:020d}", (f"{place:020d}",), is_sentinel=True, expected="fear") for place in range(4)]
    answers = votes("Asked", name, "emotion", ["fear", "anger"])
    for each in checks:
        answers += votes("Asked", each.stimulus, "emotion", ["fear", "anger"], is_sentinel=True)
    study = Study("Asked", RatingPlan("emotion", trials=1, sentinels=4))
    stimuli = [Stimulus(name, (name,), "boundary"), *checks]
    made = build_large_study_data(
        data, "d" * 20, FACES, study, stimuli, (), make_ratings_table([each.to_row() for each in answers]), library
    )
    assert list(made.excluded) == ["rater-1"]
    assert set(made.ratings["stimulus"]) == {name}


def test_rows_that_are_asked_about_become_a_study_whose_answers_come_back(identity, library, tmp_path):
    chosen = identity.query("select pair_id from pairs where sample_type = 'optimized' order by place desc limit 9")[
        "pair_id"
    ].tolist()
    made = make_subset(identity, "identity", chosen)
    set_id = library.add(made, "Some of them")
    again = library.load(set_id)  # every picture is held to its id
    asked = [each for each in list_stimuli(again, set_id) if not each.is_sentinel]
    assert {each.stimulus for each in asked} == set(chosen)
    prepared = prepare_study(library, [set_id])
    assert prepared.plan.trials == 9, "all of them, though they come from several batches"
    assert prepared.plan.sentinels == again.pairs["base_id"].nunique()
    assert count_known_stimuli(identity, COMPARED, {"one": [each.stimulus for each in prepared.stimuli]}) == {
        "one": len(again.pairs)
    }
    row = identity.query("select * from pairs where pair_id = ?", [chosen[0]]).iloc[0]
    assert again.pairs.set_index("pair_id").loc[chosen[0], "distance_fake"] == row["distance_fake"]
    for wrong, reason in (([], "1 to"), (["0"] * 1, "no row '0'"), ([str(n) for n in range(MAX_SUBSET + 1)], "choose fewer")):
        with pytest.raises(LiminalError, match=reason):
            make_subset(identity, "identity", wrong)


def test_of_faces_exactly_those_that_were_picked_are_asked(data):
    """The made-up pictures are not those that their ids were made of, so that this set is looked at without a folder."""
    rows = data.query(
        "select sample_id, passed_filter from samples_emotion where place between 20 and 40 and sample_type = 'boundary'"
    )
    failed = rows.loc[~rows["passed_filter"].astype(bool), "sample_id"].tolist()
    assert failed
    made = make_subset(data, "emotion", failed)
    assert isinstance(made, SampleSet)
    assert {each.stimulus for each in list_stimuli(made, "s") if not each.is_sentinel} == set(failed)
    assert set(made.samples["sample_id"]) == set(failed) | set(made.samples["base_id"])


def test_nobody_was_asked(data):
    assert count_known_stimuli(data, FACES, {}) == {}
    assert count_known_stimuli(data, FACES, {"one": ["x') or true --"]}) == {}
    assert load_stimulus_rows(data, FACES, []).empty
    assert isinstance(load_stimulus_rows(data, FACES, ["0" * 20]), pd.DataFrame)
