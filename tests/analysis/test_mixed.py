import math

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

from core.analysis.encode import encode
from core.analysis.mixed import fit_mixed_model, fit_reml
from core.errors import LiminalError
from tests.analysis.rating_tables import identity_study, rows


def crossed(raters, images, seed, *, share=1.0, slopes=(-30.0, -30.0), deviations=(6.0, 9.0, 5.0)):
    """Answers with planted deviations of raters, images and residuals, of two types with their own slopes."""
    random = np.random.default_rng(seed)
    image, rater = (each.ravel() for each in np.meshgrid(np.arange(images), np.arange(raters), indexing="ij"))
    asked = random.random(len(image)) < share
    image, rater = image[asked], rater[asked]
    of_rater, of_image = deviations[0] * random.normal(size=raters), deviations[1] * random.normal(size=images)
    distance, positive = random.random(images), np.arange(images) % 2 == 0
    slope = np.where(positive, *slopes)
    value = 60 + (slope * distance + of_image)[image] + of_rater[rater] + deviations[2] * random.normal(size=len(image))
    return pd.DataFrame(
        {
            "rater": [f"r{each}" for each in rater],
            "stimulus": [f"p{each}" for each in image],
            "value": value,
            "source": "human",
            "distance": distance[image],
            "positive": positive[image].astype(float),
        }
    )


@pytest.mark.parametrize(("raters", "images"), [(8, 12), (14, 9)])
def test_reml_is_statsmodels(raters, images):
    """Reference: statsmodels 0.15 MixedLM with crossed variance components, REML."""
    table = crossed(raters, images, 3, share=0.8)
    expected = smf.mixedlm(
        "value ~ positive * distance",
        table.assign(one=1),
        groups="one",
        vc_formula={"rater": "0 + C(rater)", "pair": "0 + C(stimulus)"},
    ).fit(reml=True)
    x = np.column_stack([np.ones(len(table)), table["positive"], table["distance"], table["positive"] * table["distance"]])
    found = fit_reml(x, encode(table))
    np.testing.assert_allclose(found.coefficients, expected.fe_params, rtol=1e-3)
    np.testing.assert_allclose(np.sqrt(np.diag(found.covariance)), expected.bse_fe, rtol=1e-3)
    np.testing.assert_allclose([found.pair**2, found.rater**2, found.residual**2], [*expected.vcomp, expected.scale], rtol=5e-3)
    assert found.log_likelihood == pytest.approx(expected.llf, abs=1e-3)
    whole = fit_mixed_model(*study(table), "mine")
    assert whole.interaction_p == pytest.approx(expected.pvalues["positive:distance"], rel=1e-2)


def study(table):
    """The same as a sample set's pairs and answers."""
    pairs = table.drop_duplicates("stimulus")
    pairs = pd.DataFrame(
        {
            "pair_id": pairs["stimulus"],
            "sample_type": np.where(pairs["positive"] > 0, "positive", "negative"),
            "distance_mine": pairs["distance"],
            "lpips": 0.5,
        }
    )
    named = {name: table[name].to_numpy() for name in ("rater", "stimulus")}
    return pairs, rows({**named, "task": "similarity", "value": table["value"].astype(str)})


def test_planted_effects_are_recovered():
    found = fit_mixed_model(*study(crossed(30, 80, 1, slopes=(-20.0, -60.0))), "mine")
    of = {each.sample_type: each.slope for each in found.effects}
    assert of["positive"].low < -20 < of["positive"].high
    assert of["negative"].low < -60 < of["negative"].high
    assert found.interaction_p < 1e-4
    assert found.rater_deviation == pytest.approx(6, rel=0.35)
    assert found.pair_deviation == pytest.approx(9, rel=0.25)
    assert found.residual_deviation == pytest.approx(5, rel=0.05)
    assert found.basis.raters == 30
    assert found.note == ""


def test_equal_slopes_are_not_told_apart():
    p = [fit_mixed_model(*study(crossed(6, 24, seed)), "mine").interaction_p for seed in range(6)]
    assert sum(each < 0.05 for each in p) <= 2


def test_genuine_pairs_are_left_out():
    made = identity_study(1, 5)
    found = fit_mixed_model(made.table, made.ratings, "mine")
    assert [each.sample_type for each in found.effects] == ["interpolation", "negative", "optimized", "positive"]
    assert "genuine" in found.note
    along = found.effects[0].slope
    assert along.value == pytest.approx(-100, abs=4)  # planted: 100 points over one unit of distance
    assert along.low < along.value < along.high


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda pairs, ratings: (pairs, ratings.iloc[:0]), "No type"),
        (lambda pairs, ratings: (pairs.iloc[:0], ratings), "No type"),
        (lambda pairs, ratings: (pairs.assign(distance_mine=0.5), ratings), "No type"),
        (lambda pairs, ratings: (pairs.assign(distance_mine=np.nan), ratings), "No type"),
        (lambda pairs, ratings: (pairs, ratings[ratings["rater"] == "r0"]), "One person"),
        (lambda pairs, ratings: (pairs, ratings.assign(value="1")), "All answers are the same"),
        (
            lambda pairs, ratings: (
                pairs,
                ratings[ratings["task"] == "similarity"]
                .drop_duplicates("stimulus")
                .assign(rater=[f"r{each % 2}" for each in range(112)]),
            ),
            "fewer answers",
        ),
    ],
)
def test_degenerate_studies_get_a_sentence(change, said, recwarn):
    made = identity_study(1, 3)
    found = fit_mixed_model(*change(made.table, made.ratings), "mine")
    assert said in found.note
    assert found.effects == ()
    assert math.isnan(found.interaction_p)
    found.to_dict()
    assert not recwarn.list


def test_an_unknown_distance_is_one_sentence():
    made = identity_study(1, 3)
    with pytest.raises(LiminalError, match="no distance 'yours'"):
        fit_mixed_model(made.table, made.ratings, "yours")
