"""Chains of people: R-hat against an independent computation, and planted targets that come back."""

import itertools
import math
from statistics import NormalDist

import numpy as np
import pytest

from core.analysis.chains import EVEN_SPREAD, measure_chains, measure_r_hat, r_hat_by_chance
from core.errors import LiminalError
from core.studies.chain_simulation import PlantedUtility, simulate_chains
from core.studies.chains import ONE_PERSON, ChainDesign, ChainStudy, SliderLatent, make_step_table

LATENTS = (SliderLatent("smile", -0.3, 1.3), SliderLatent("brow_raise", -0.4, 1.2), SliderLatent("hat_hue", 0.0, 1.0))
TARGET = {"smile": 0.3, "brow_raise": 0.8}


def study(**values):
    settings = {"latents": LATENTS, "bases": ("a", "b"), "target": "fear", "chains": 8, "sweeps": 60, "steps_each": 30}
    return ChainStudy("planted", ChainDesign(**{**settings, **values}))


def outcome(made, utility, **how):
    simulated, people, steps = simulate_chains(made, utility, **how)
    return simulated, people, measure_chains(simulated, make_step_table(steps))


def slow_r_hat(chains):
    """Vehtari et al. 2021, equations 1 to 4 and 14, in plain Python."""
    halves = [part for chain in chains for part in (chain[: len(chain) // 2], chain[-(len(chain) // 2) :])]
    flat = sorted(itertools.chain(*halves))
    middle = (flat[(len(flat) - 1) // 2] + flat[len(flat) // 2]) / 2

    def compare(parts):
        every = list(itertools.chain(*parts))
        score = {}
        for value in set(every):
            rank = sum(other < value for other in every) + (every.count(value) + 1) / 2
            score[value] = NormalDist().inv_cdf((rank - 0.375) / (len(every) + 0.25))
        scores = [[score[value] for value in part] for part in parts]
        n = len(scores[0])
        means = [sum(part) / n for part in scores]
        grand = sum(means) / len(means)
        within = sum(sum((x - mean) ** 2 for x in part) / (n - 1) for part, mean in zip(scores, means, strict=True)) / len(scores)
        between = n * sum((mean - grand) ** 2 for mean in means) / (len(means) - 1)
        return math.sqrt(((n - 1) / n * within + between / n) / within)

    return max(compare(halves), compare([[abs(x - middle) for x in part] for part in halves]))


@pytest.mark.parametrize("draws", [4, 9, 50])
def test_r_hat_is_that_of_the_paper(draws):
    random = np.random.default_rng(draws)
    chains = np.round(random.normal(size=(3, draws)) + random.normal(size=(3, 1)) * 0.4, 1)  # ties too
    assert measure_r_hat(chains) == pytest.approx(slow_r_hat(chains.tolist()))


def test_r_hat_of_what_stands_still_and_of_too_little():
    assert measure_r_hat(np.ones((3, 8))) == 1.0
    assert measure_r_hat(np.repeat([[0.0], [1.0]], 8, axis=1)) == math.inf
    assert math.isnan(measure_r_hat(np.zeros((1, 8))))
    assert math.isnan(measure_r_hat(np.zeros((4, 3))))


def test_chance_alone_stays_below_its_limit_in_95_of_100_cases():
    random = np.random.default_rng(0)
    halves = random.normal(size=(4000, 16, 2))  # 8 chains of 4 draws, split
    within = halves.var(axis=2, ddof=1).mean(axis=1)
    r_hat = np.sqrt(0.5 + halves.mean(axis=2).var(axis=1, ddof=1) / within)
    assert (r_hat < r_hat_by_chance(8, 4)).mean() == pytest.approx(0.95, abs=0.012)


def test_a_planted_target_comes_back_and_what_nobody_minds_stays_even():
    made, people, result = outcome(study(), PlantedUtility(TARGET, lapse=0.0))
    assert made.source == "simulated" == people[0].source
    assert result.basis.source == "simulated"
    smile, brows, hat = result.latents
    for found, name in ((smile, "smile"), (brows, "brow_raise")):
        assert found.mean.low - 0.02 < TARGET[name] < found.mean.high + 0.02
        assert found.spread == pytest.approx(0.12, abs=0.02)
        assert found.verdict == "settled"
        assert found.minded
    assert hat.spread == pytest.approx(EVEN_SPREAD, abs=0.04)
    assert not hat.minded
    assert result.says.startswith("The chains have met: ")
    assert len(people) == result.basis.raters == study().design.people
    assert result.followed < 0.05 * result.basis.answers  # passed from person to person


def test_people_who_want_different_faces_never_meet():
    own = study(passed_on=False, chains=6, sweeps=20)
    first = simulate_chains(own, PlantedUtility({"smile": 1.0}))[2]
    second = simulate_chains(own, PlantedUtility({"smile": -0.2}))[2]
    steps = [step for step in first if step.chain % 2] + [step for step in second if step.chain % 2 == 0]
    result = measure_chains(own, make_step_table(steps))
    assert result.latents[0].verdict == "unsettled"
    assert "have met in" in result.says


def test_one_person_and_a_stop_in_the_middle_are_told():
    one = study(latents=LATENTS[:1], chains=1, sweeps=8, steps_each=8, bases=("a",))
    assert ONE_PERSON in one.design.warnings()
    _, people, result = outcome(one, PlantedUtility({"smile": 0.3}))
    assert len(people) == 1
    assert ONE_PERSON in result.note
    assert "too early" in result.says
    _, _, stopped = outcome(study(sweeps=8), PlantedUtility(TARGET), share=0.3)
    assert 0 < stopped.sweeps < 8
    assert "too early" in stopped.says
    nothing = measure_chains(study(), make_step_table([]))
    assert nothing.says == "No chain has a complete sweep yet."
    assert math.isnan(nothing.latents[0].mean.value)


def test_what_cannot_be_planted_is_said():
    with pytest.raises(LiminalError, match="Nobody moves 'frown'"):
        simulate_chains(study(), PlantedUtility({"frown": 0.2}))
    with pytest.raises(LiminalError, match="beyond its slider"):
        simulate_chains(study(), PlantedUtility({"smile": 4.0}))
