"""New pairs for two people: two planted raters with opposite leanings are told apart by the pairs that are made for them."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import expit

from core.alignment.identity import align_identity
from core.alignment.parting_pairs import LinearDecisions, PartingGain, generate_parting_pairs, reduce_decisions
from core.errors import LiminalError
from core.sampling.configuration import CONTROVERSIAL_TYPE
from core.sampling.sample_set import SampleSet
from tests.analysis.rating_tables import rows
from tests.fakes import FakeGenerator
from tests.sampling.test_controversial_pairs import panel, population  # noqa: F401

SLOPE, MIDDLE, LEANING = 3.0, 2.0, 2.5
RATERS = ("lenient", "strict", *(f"r{number}" for number in range(10)))


def odds(distance, rater):
    """Planted log odds of 'same person': everybody looks at dlib's distance alone; two lean, one to each side."""
    return SLOPE * (MIDDLE - distance) + LEANING * ((rater == "lenient") - (rater == "strict"))


def distances(first, second):
    """Both recognisers' distances of latents (N, 8): each sees one half."""
    apart = first - second
    return np.linalg.norm(apart[:, :4], axis=1), np.linalg.norm(apart[:, 4:], axis=1)


@pytest.fixture(scope="module")
def study():
    random = np.random.default_rng(4)
    latents = FakeGenerator().sample(list(range(400))).numpy()
    dlib, sface = distances(latents[:200], latents[:200] + random.uniform(0, 1.2, (200, 1)) * (latents[200:] - latents[:200]))
    pairs = pd.DataFrame({"pair_id": [f"p{n:03d}" for n in range(200)], "distance_dlib": dlib, "distance_sface": sface})
    pairs = pairs.assign(lpips=0.1 * dlib + 0.05 * random.random(200))
    answers = [(rater, pair, str(int(random.random() < expit(odds(dlib[pair], rater))))) for rater in RATERS for pair in range(200)]
    rater, pair, value = zip(*answers, strict=True)
    table = {"rater": rater, "stimulus": [f"p{n:03d}" for n in pair], "value": value, "task": "identity"}
    return SimpleNamespace(
        study=SimpleNamespace(name="planted", plan=SimpleNamespace(kind="identity", asks="identity")),
        pairs=pairs,
        recognisers=["dlib", "sface"],
        thresholds={"dlib": MIDDLE, "sface": MIDDLE},
        ratings=rows(table, source="simulated"),
        excluded={},
    )


@pytest.fixture(scope="module")
def model(study):
    return align_identity(study)[0]


def share_told_apart(model, pairs, random):
    """How often one answer says whose it is, by which of the two models finds it likelier."""
    p = {rater: model.probabilities(pairs, rater) for rater in RATERS[:2]}
    right = []
    for rater, other in (RATERS[:2], RATERS[1::-1]):
        for _ in range(40):
            same = random.random(len(pairs)) < expit(odds(pairs["distance_dlib"].to_numpy(), rater))
            likely = [np.where(same, p[name], 1 - p[name]) for name in (rater, other)]
            right.append((likely[0] > likely[1]).mean())
    return np.mean(right)


def test_two_people_with_opposite_leanings_are_told_apart(study, model, population, panel, tmp_path):  # noqa: F811
    made = generate_parting_pairs(model, study.pairs, "lenient", "strict", population, "fake-generator", count=12, panel=panel)
    pairs = made.pairs[made.pairs["sample_type"] == CONTROVERSIAL_TYPE].reset_index(drop=True)
    facts = made.manifest["controversial"]
    assert facts["kept"] == 12
    assert [record["pair_id"] for record in facts["pairs"]] == list(pairs["pair_id"])
    assert [record["score"] for record in facts["pairs"]] == sorted((record["score"] for record in facts["pairs"]), reverse=True)
    assert all(record["lenient"] > 0.5 > record["strict"] for record in facts["pairs"])
    random = np.random.default_rng(0)
    assert share_told_apart(model, pairs, random) >= 0.8
    assert share_told_apart(model, study.pairs.sample(60, random_state=1), random) < 0.75
    assert SampleSet.load(made.save(tmp_path / "set")).manifest["controversial"] == facts


def test_what_is_climbed_is_the_smaller_margin_of_the_two():
    """By hand: one looks at dlib's distance, the other at sface's; who is to say the same is of each run."""
    decisions = LinearDecisions(("dlib", "sface"), {"lenient": np.array([4.0, -2.0, 0.0]), "strict": np.array([1.0, 0.0, -0.5])})
    judge = SimpleNamespace(distance=lambda first, second: (first - second).norm(dim=1))
    bases = {name: torch.zeros(2, 3) for name in ("dlib", "sface")}
    gain = PartingGain(decisions, {"dlib": judge, "sface": judge}, ("lenient", "strict"), bases, softness=None)
    descriptors = {"dlib": torch.eye(3)[[0, 0]] * 0.5, "sface": torch.eye(3)[[1, 1]] * 6.0}
    # log odds of the same person: lenient 4 - 2 * 0.5 = 3, strict 1 - 0.5 * 6 = -2
    assert gain(descriptors, [0, 1]).tolist() == pytest.approx([min(3.0, 2.0), min(-3.0, -2.0)])
    assert gain(descriptors, [1, 0]).tolist() == pytest.approx([-3.0, 2.0])
    assert dataclasses.replace(gain, softness=0.3)(descriptors, [0, 0])[0].item() < 2.0


def test_what_the_search_cannot_foretell_is_guessed_from_what_it_can(study, model):
    """By dlib's distance alone, with LPIPS its tenth and sface's of no weight, the odds are nearly those of the whole model."""
    reduced = reduce_decisions(model, study.pairs, ("lenient",), ("dlib",))
    intercept, slope = reduced.weights["lenient"]
    whole = model.probabilities(study.pairs, "lenient")
    assert np.corrcoef(intercept + slope * study.pairs["distance_dlib"], np.log(whole / (1 - whole)))[0, 1] > 0.97
    assert slope == pytest.approx(-SLOPE, rel=0.25)


def test_what_makes_no_sense_is_one_sentence(study, model, population, panel):  # noqa: F811
    options = {"population": population, "generator": "fake-generator", "panel": panel}
    with pytest.raises(LiminalError, match="name two people"):
        generate_parting_pairs(model, study.pairs, "strict", "strict", **options)
    with pytest.raises(LiminalError, match="too few answers"):
        generate_parting_pairs(model, study.pairs, "strict", "nobody", **options)
    with pytest.raises(LiminalError, match="'count' must be"):
        generate_parting_pairs(model, study.pairs, "strict", "lenient", count=0, **options)
    with pytest.raises(LiminalError, match="no recogniser"):
        reduce_decisions(model, study.pairs, ("strict",), ("facenet512",))
