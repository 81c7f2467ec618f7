import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import cohens_kappa, to_table

from benchmarks.analysis import loop_kappa
from core.analysis.consistency import compute_kappas, compute_standard_errors, measure_error_consistency
from core.analysis.encode import build_classifier_answers, build_recogniser_answers, select_probabilities
from core.errors import LiminalError
from core.models.emotions import EMOTIONS
from core.studies.ratings import RATINGS
from tests.analysis.rating_tables import emotion_study, identity_study, rows

decisions = arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(1, 12)), elements=st.sampled_from([0.0, 1.0, np.nan]))
emotions = arrays(
    np.float64, st.tuples(st.integers(2, 4), st.integers(4, 20)), elements=st.sampled_from([0, 1, 2, 3, 4, 5, np.nan])
)


def answers(table, source="human"):
    """{rater: [value or None an image]} of identity."""
    flat = [
        (rater, f"i{place}", str(value))
        for rater, values in table.items()
        for place, value in enumerate(values)
        if value is not None
    ]
    return rows(
        dict(zip(("rater", "stimulus", "value"), zip(*flat, strict=True), strict=True)) | {"task": "identity"}, source=source
    )


def test_two_deciders_by_hand():
    """a says yes to 3 of 4, b to 2 of 4, alike on 3: c_obs .75, c_exp .75 x .5 + .25 x .5 = .5, kappa .5."""
    found = compute_kappas(np.array([[1, 1, 1, 0], [1, 1, 0, 0]], float))
    assert (found.observed[0, 1], found.expected[0, 1], found.kappa[0, 1]) == (0.75, 0.5, 0.5)
    assert found.shared[0, 1] == 4


@settings(deadline=None, max_examples=100)
@given(decisions)
def test_all_pairs_are_the_loop_over_pairs(table):
    found = compute_kappas(table)
    pairs = [
        (a, b) for a in range(len(table)) for b in range(len(table)) if a != b and np.isfinite(table[[a, b]]).all(axis=0).any()
    ]
    np.testing.assert_allclose([found.kappa[pair] for pair in pairs], loop_kappa(pd.DataFrame(table.T), pairs), atol=1e-12)


@settings(deadline=None, max_examples=50)
@given(emotions)
def test_bounds_symmetry_and_blindness_to_names(table):
    found = compute_kappas(table)
    np.testing.assert_array_equal(found.kappa, found.kappa.T)
    known = found.kappa[np.isfinite(found.kappa)]
    assert ((known >= -1) & (known <= 1)).all()
    renamed = np.where(np.isfinite(table), (table + 2) % 6, np.nan)
    np.testing.assert_allclose(compute_kappas(renamed).kappa, found.kappa, atol=1e-12)
    error = compute_standard_errors(table, found)
    assert np.isfinite(error[np.isfinite(found.kappa)]).all()


@settings(deadline=None, max_examples=50)
@given(arrays(np.float64, (2, 15), elements=st.integers(0, 5).map(float)))
def test_six_emotions_are_scikit_learns_kappa(table):
    """Reference: sklearn.metrics.cohen_kappa_score, scikit-learn 1.9; it is NaN or says 0/0 where both are constant and alike."""
    found = compute_kappas(table).kappa[0, 1]
    if len(np.unique(table)) == 1:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(cohen_kappa_score(*table.astype(int)), abs=1e-12)


def test_standard_errors_are_statsmodels():
    """Reference: statsmodels 0.15 cohens_kappa, std_kappa (Fleiss, Cohen and Everitt 1969)."""
    random = np.random.default_rng(1)
    for k in (2, 3, 6):
        first = random.integers(0, k, 80)
        second = np.where(random.random(80) < 0.5, first, random.integers(0, k, 80))
        table = np.vstack([first, second]).astype(float)
        expected = cohens_kappa(to_table(table.T.astype(int))[0])
        found = compute_kappas(table)
        assert found.kappa[0, 1] == pytest.approx(expected.kappa, abs=1e-12)
        assert compute_standard_errors(table, found)[0, 1] == pytest.approx(expected.std_kappa, abs=1e-12)


def test_constant_deciders_and_strangers_have_no_kappa():
    """A well-known toolbox says 1 where both always say the same; that shows nothing."""
    found = compute_kappas(np.array([[1, 1, 1, np.nan], [1, 1, 1, np.nan], [np.nan, np.nan, np.nan, 0]], float))
    assert math.isnan(found.kappa[0, 1])
    assert found.observed[0, 1] == 1.0
    assert math.isnan(found.kappa[0, 2])
    assert found.shared[0, 2] == 0


def test_a_copy_a_twin_and_a_stranger_are_told_apart():
    random = np.random.default_rng(2)
    truth = random.integers(0, 2, 400)
    noisy = {f"r{each}": np.where(random.random(400) < 0.8, truth, 1 - truth) for each in range(8)}
    people = answers({**noisy, "copy": noisy["r0"], "coin": random.integers(0, 2, 400)})
    model = answers({"model": truth}, source="model")
    found = measure_error_consistency(pd.concat([people, model]), "identity", resamples=200)
    at = {name: place for place, name in enumerate(found.deciders)}
    assert found.kappa[at["r0"], at["copy"]] == pytest.approx(1.0)
    assert abs(found.kappa[at["r0"], at["coin"]]) < 0.15
    # two people who are right 8 of 10 times agree .68 of the time, half of it by chance: kappa .36
    assert found.low[at["r1"], at["r2"]] < 0.36 < found.high[at["r1"], at["r2"]]
    assert found.models["model"].value > found.ceiling.value  # a noiseless model agrees with each more than they do
    assert found.models["model"].n == 10
    assert found.ceiling.n == 45
    assert found.ceiling.low < found.ceiling.value < found.ceiling.high
    assert found.basis.source == "people and models"
    assert found.basis.raters == 10


def test_excluded_people_and_checks_do_not_count():
    made = identity_study(1, 4)
    found = measure_error_consistency(made.ratings, "identity", excluded=["r1"], resamples=50)
    assert found.deciders == ("r0", "r2", "r3")
    assert found.basis.images == 108


def test_too_few_deciders_get_a_sentence(recwarn):
    made = identity_study(1, 2)
    for table, said in ((made.ratings.iloc[:0], "Nobody"), (made.ratings[made.ratings["rater"] == "r0"], "two deciders")):
        found = measure_error_consistency(table, "identity", resamples=20)
        assert said in found.note
        assert math.isnan(found.ceiling.value)
        assert found.to_dict()["ceiling"]["value"] is None
    agree = measure_error_consistency(made.ratings.assign(value="1"), "identity", resamples=20)
    assert "1 pairs of deciders have no value" in agree.note
    assert not recwarn.list


def test_models_answer_in_the_schema_of_people():
    made = identity_study(1, 2, lost=0.1)
    said = build_recogniser_answers(made.table, {"mine": 0.5, "other": 0.7}, study="s")
    assert list(said.columns) == list(RATINGS)
    assert (said.dtypes == made.ratings.dtypes).all()
    assert said["rating_id"].is_unique
    own = said[said["rater"] == "mine"].set_index("stimulus")["value"]
    distance = made.table.set_index("pair_id")["distance_mine"].dropna()
    assert set(own.index) == set(distance.index)
    assert ((own == "1") == (distance < 0.5)[own.index]).all()
    pd.testing.assert_frame_equal(said, build_recogniser_answers(made.table, {"mine": 0.5, "other": 0.7}, study="s"))
    with pytest.raises(LiminalError, match="did not judge"):
        build_recogniser_answers(made.table, {"yours": 0.5})


def test_classifiers_say_their_most_probable_emotion():
    made = emotion_study(20, 2)
    said = build_classifier_answers(made.table, "steer", ["steer", "other", "blind"])
    most = made.truth[list(EMOTIONS)].to_numpy().argmax(axis=1)
    assert list(said[said["rater"] == "steer"]["value"]) == [EMOTIONS[each] for each in most]
    assert set(said[said["rater"] == "blind"]["value"]) == {"surprise"}
    lost = made.table.assign(p_fear=np.nan)
    assert not len(build_classifier_answers(lost, "steer", ["steer"]))
    with pytest.raises(LiminalError, match="did not judge"):
        select_probabilities(made.table, "unknown", "steer")
