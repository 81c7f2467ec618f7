"""'Same person?' decided by distances: planted weights and people's leanings come back, the control shows no gain."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from core.alignment.configuration import AlignmentConfiguration
from core.alignment.identity import align_identity, fit_logistic
from core.errors import LiminalError
from tests.analysis.rating_tables import rows

IDENTITY_STUDY = SimpleNamespace(name="planted", plan=SimpleNamespace(kind="identity", asks="identity"))
WEIGHTS = np.array([-0.5, -1.5, -0.7])  # same, mine, lpips


def material(*, leaning=1.2, raters=25, pairs=120, seed=0, lost=0):
    """A study in which everybody weighs two distances alike and leans to 'same' in a way of their own."""
    random = np.random.default_rng(seed)
    seen = random.normal(size=(pairs, 2))
    table = pd.DataFrame({"pair_id": [f"p{n:03d}" for n in range(pairs)], "distance_mine": seen[:, 0], "lpips": seen[:, 1]})
    own = leaning * random.normal(size=raters)
    p = expit(WEIGHTS[0] + own[:, None] + seen @ WEIGHTS[1:])
    said = (random.random(p.shape) < p).astype(int)
    every = [(rater, pair) for rater in range(raters) for pair in range(pairs)]
    columns = {
        "rater": [f"r{rater:02d}" for rater, _ in every],
        "stimulus": [f"p{pair:03d}" for _, pair in every],
        "value": [str(said[rater, pair]) for rater, pair in every],
        "task": "identity",
    }
    table.loc[: lost - 1, "distance_mine"] = np.nan
    return SimpleNamespace(
        study=IDENTITY_STUDY,
        pairs=table,
        recognisers=["mine"],
        thresholds={"mine": 0.0},
        ratings=rows(columns, source="simulated"),
        excluded={},
    ), own


def test_planted_leanings_are_found_and_the_control_shows_none():
    made, own = material(pairs=200)
    model, said = align_identity(made)
    assert said.individual_loss_gain.value.low > 0.02
    assert said.individual_gain.value.value > 0
    assert said.null_loss_gain.value.low <= 0.005
    assert said.null_gain.value.low <= 0 <= said.null_gain.value.high
    assert said.null_gain.value.value == pytest.approx(said.people["null_gain"].median())
    assert said.null_loss_gain.value.value == pytest.approx(said.people["null_loss_gain"].median())
    assert said.basis.source == "simulated"
    coefficients = said.coefficients.set_index("name")
    assert coefficients.loc["same", "spread"] == pytest.approx(1.2, rel=0.3)
    assert coefficients.loc["distance_mine", "spread"] < 0.5
    found = np.array([model.people[f"r{rater:02d}"][0][0] for rater in range(25)])
    assert np.corrcoef(found, own)[0, 1] > 0.9
    assert coefficients.loc["distance_mine", "group"] < coefficients.loc["lpips", "group"] < 0


def test_people_who_do_not_differ_are_drawn_to_the_group():
    _, said = align_identity(material(leaning=0.0)[0])
    assert said.coefficients["spread"].max() < 0.4
    assert abs(said.individual_loss_gain.value.value) < 0.02


def test_a_lost_face_is_no_distance_and_no_error():
    made, _ = material(lost=20)
    model, _ = align_identity(made)
    p = model.probabilities(made.pairs)
    assert np.isfinite(p).all()
    assert model.probabilities(made.pairs, "r00").shape == (120,)
    with pytest.raises(LiminalError, match="too few answers"):
        model.probabilities(made.pairs, "nobody")


def test_logistic_regression_is_that_of_scikit_learn():
    random = np.random.default_rng(1)
    x = np.column_stack([random.normal(size=(300, 3))])
    y = (random.random(300) < expit(x @ [1.0, -2.0, 0.5])).astype(float)
    mode, _ = fit_logistic(x, y, np.zeros(3), np.full(3, 0.5))
    reference = LogisticRegression(C=2.0, fit_intercept=False, tol=1e-10).fit(x, y)  # scikit-learn 1.9
    assert mode == pytest.approx(reference.coef_[0], abs=1e-5)


def test_refusals():
    made, _ = material(raters=3, pairs=20)
    with pytest.raises(LiminalError, match="at least 200"):
        align_identity(made)
    made.ratings = made.ratings.assign(value="1")
    with pytest.raises(LiminalError, match="all the same"):
        align_identity(made, AlignmentConfiguration(least_answers=10))
    with pytest.raises(LiminalError, match="does not ask whether two faces show one person"):
        align_identity(SimpleNamespace(study=SimpleNamespace(plan=SimpleNamespace(asks="emotion"))))
