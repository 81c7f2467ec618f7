"""Features that were planted are found, others are not, and nothing is learnt from a base that is held out."""

import math

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.inspection import permutation_importance
from sklearn.metrics import r2_score

from core.analysis import features as analysis_features
from core.analysis.estimate import Basis
from core.analysis.features import measure_importance

BASIS = Basis(0, 0, 0, "simulated")
NAMES = ["smile", "hair", "noise one", "noise two", "noise three"]


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(analysis_features, "TREES", 30)
    monkeypatch.setattr(analysis_features, "REPEATS", 2)


def planted(bases=8, each=20, noise=3.0, seed=0):
    rng = np.random.default_rng(seed)
    ids = [f"b{base}" for base in range(bases)] + [f"s{place}" for place in range(bases * each)]
    features = pd.DataFrame(rng.normal(size=(len(ids), len(NAMES))), columns=NAMES, index=ids)
    pairs = pd.DataFrame(
        {
            "pair_id": [f"p{place}" for place in range(bases * each)],
            "base_id": np.repeat(ids[:bases], each),
            "sample_id": ids[bases:],
            "sample_type": "positive",
        }
    )
    apart = np.abs(features.loc[pairs["sample_id"]].to_numpy() - features.loc[pairs["base_id"]].to_numpy())
    pairs["similarity"] = 90 - 20 * apart[:, 0] - 8 * apart[:, 1] + rng.normal(0, noise, len(pairs))
    return pairs, features


def asked(pairs, features, **rest):
    return measure_importance(pairs, features, titles={"smile": "the smile"}, basis=BASIS, **rest)


def test_planted_features_are_found_in_their_order():
    result = asked(*planted())
    assert result.table["feature"].tolist()[:2] == ["smile", "hair"]
    assert result.table["title"].iloc[0] == "the smile"
    assert result.table["low"].iloc[0] > 0.2
    assert result.table["importance"].iloc[1] > 0.02
    assert result.table["importance"].iloc[2:].abs().max() < result.table["importance"].iloc[1]
    assert (result.table["low"] <= result.table["importance"]).all()
    assert (result.table["importance"] <= result.table["high"]).all()
    assert 0.6 < result.r2.value < 1
    assert result.r2.low < result.r2.value < result.r2.high
    assert result.r2.value == pytest.approx(r2_score(result.predicted["similarity"], result.predicted["predicted"]))


def test_the_same_seed_gives_the_same():
    first, second = asked(*planted(4)), asked(*planted(4))
    pd.testing.assert_frame_equal(first.table, second.table)


def test_noise_explains_nothing_out_of_sample():
    pairs, features = planted()
    pairs["similarity"] = np.random.default_rng(1).uniform(0, 100, len(pairs))
    assert asked(pairs, features).r2.value < 0.1


def test_knowing_a_base_by_its_looks_helps_nothing():
    pairs, features = planted(bases=6, each=30)
    level = dict(zip(dict.fromkeys(pairs["base_id"]), [0, 100, 20, 80, 40, 60], strict=True))
    pairs["similarity"] = pairs["base_id"].map(level).astype(float)
    spread = {base: 1 + 9 * place for place, base in enumerate(level)}  # each base differs from its samples by its own amount
    for base, amount in spread.items():
        own = pairs.loc[pairs["base_id"] == base, "sample_id"]
        features.loc[own, "smile"] = features.loc[base, "smile"] + amount
    assert asked(pairs, features).r2.value < 0.2, "folds that split a base would give nearly 1"


def test_losses_agree_with_scikit_learn():
    pairs, features = planted(6, 40)
    apart = np.abs(features.loc[pairs["sample_id"]].to_numpy() - features.loc[pairs["base_id"]].to_numpy())
    target = pairs["similarity"].to_numpy()
    forest = RandomForestRegressor(40, random_state=0).fit(apart[:120], target[:120])
    held, wanted = apart[120:], target[120:]
    rng = np.random.default_rng(0)
    mine = np.mean(
        [
            analysis_features._permutation_losses(forest, held, wanted, forest.predict(held), float(wanted.var()), rng)
            for _ in range(8)
        ],
        axis=0,
    )
    theirs = permutation_importance(forest, held, wanted, n_repeats=40, random_state=0).importances_mean
    assert np.abs(mine - theirs).max() < 0.06


def test_genuine_pairs_are_left_out_unless_asked_for():
    pairs, features = planted()
    pairs.loc[:39, "sample_type"] = "genuine"
    assert len(asked(pairs, features).predicted) == len(pairs) - 40
    assert len(asked(pairs, features, genuine=True).predicted) == len(pairs)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda pairs: pairs.iloc[:0], "Only 0"),
        (lambda pairs: pairs.iloc[:10], "Only 10"),
        (lambda pairs: pairs.assign(similarity=math.nan), "Only 0"),
        (lambda pairs: pairs[pairs["base_id"] == "b0"], "share one base"),
        (lambda pairs: pairs.assign(similarity=50.0), "rated alike"),
    ],
)
def test_too_little_is_a_sentence(change, words):
    pairs, features = planted(each=25)
    result = asked(change(pairs), features)
    assert words in result.note
    assert math.isnan(result.r2.value)
    assert result.table.empty


def test_pairs_without_a_face_or_a_rating_are_counted():
    pairs, features = planted()
    features.loc["s3"] = math.nan
    pairs.loc[5, "similarity"] = math.nan
    result = asked(pairs, features.drop(index="s7"))
    assert result.left_out == 3
    assert not {"p3", "p5", "p7"} & set(result.predicted["pair_id"])
