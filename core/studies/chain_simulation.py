"""Faces made by simulated people, whose utility is planted, so that chains can be held against what they should converge to.

A simulated person chooses a slider's picture with probability proportional to exp(utility), the utility of value v of a latent
being -((v - target) / spread)^2 / 2: chains then draw from a normal distribution around the target, cut at the sliders' ends
(Harrison et al. 2020, section 2). Now and then they choose any picture.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from core.errors import LiminalError
from core.sampling.configuration import check_number, numpy_generator, sample_seed
from core.studies.chains import FRAMES, ChainDesign, ChainPerson, ChainState, ChainStep, ChainStudy, SliderLatent, pick_chain

SECONDS_BETWEEN_STEPS = 5.0
PEOPLE_AT_ONCE = 3


@dataclass(frozen=True)
class PlantedUtility:
    """What simulated people aim at. target: latent -> value in its unit; spread: in shares of a slider; lapse: share of choices
    by chance.

    Latents without a target do not matter to them: they choose any picture. Raises LiminalError for values that make no sense.
    """

    target: Mapping[str, float]
    spread: float = 0.12
    lapse: float = 0.02

    def __post_init__(self) -> None:
        check_number("spread", self.spread, 0.01, 10.0)
        check_number("lapse", self.lapse, 0.0, 1.0)

    def probabilities(self, latent: SliderLatent) -> NDArray[np.float64]:
        """Of each of a slider's pictures (FRAMES,)."""
        even = np.full(FRAMES, 1 / FRAMES)
        if latent.name not in self.target:
            return even
        away = (np.array(latent.values) - self.target[latent.name]) / (self.spread * (latent.high - latent.low))
        weights = np.exp(-0.5 * (away**2 - (away**2).min()))
        result: NDArray[np.float64] = (1 - self.lapse) * weights / weights.sum() + self.lapse * even
        return result

    def check(self, design: ChainDesign) -> None:
        """Raises LiminalError where a target is no latent of the design or lies beyond its slider."""
        sliders = {latent.name: latent for latent in design.latents}
        for name, value in self.target.items():
            if name not in sliders:
                raise LiminalError(f"Nobody moves '{name}', so it cannot be planted; choose one of {', '.join(sliders)}.")
            if not sliders[name].low <= value <= sliders[name].high:
                low, high = sliders[name].low, sliders[name].high
                raise LiminalError(f"'{name}' of {value:g} lies beyond its slider, which goes from {low:g} to {high:g}.")

    def describe(self) -> str:
        """The target in words."""
        parts = ", ".join(f"{name.replace('_', ' ')} {value:.2f}" for name, value in self.target.items())
        return f"Planted: {parts or 'nothing'}; spread {self.spread:g} of a slider, {100 * self.lapse:g} % of choices by chance."


def simulate_chains(
    study: ChainStudy, utility: PlantedUtility, *, seed: int = 0, share: float = 1.0
) -> tuple[ChainStudy, list[ChainPerson], list[ChainStep]]:
    """The study with simulated people and all steps that they take. share: of the steps, for chains that are stopped early."""
    design = study.design
    utility.check(design)
    now = datetime.now(UTC)
    states = [ChainState(chain, 0) for chain in range(design.chains)]
    people: list[ChainPerson] = []
    steps: list[ChainStep] = []
    taken: Counter[str] = Counter()
    wanted = round(share * design.steps)
    working: list[ChainPerson] = []
    while len(steps) < wanted:
        while len(working) < min(PEOPLE_AT_ONCE, design.people):
            number = len(people)
            own = None if design.passed_on else number
            person = ChainPerson(f"person-{number + 1:04d}", study.name, number, source="simulated", chain=own, created_at=now)
            people.append(person)
            working.append(person)
        person = working.pop(0)
        chain = pick_chain(design, states, person, now)
        assert chain is not None
        while chain >= len(states):
            states.append(ChainState(len(states), 0))
        step = _simulate_step(design, states[chain], person, utility, seed, now)
        steps.append(step)
        states[chain] = replace(states[chain], taken=states[chain].taken + 1, last=person.person)
        now += timedelta(seconds=SECONDS_BETWEEN_STEPS)
        taken[person.person] += 1
        if taken[person.person] < design.steps_of_a_person:
            working.append(person)
        else:
            people[person.number] = replace(person, finished_at=now)
    people = [person for person in people if taken[person.person]]
    return replace(study, source="simulated", closed=True, note=utility.describe()), people, steps


def _simulate_step(
    design: ChainDesign, state: ChainState, person: ChainPerson, utility: PlantedUtility, seed: int, now: datetime
) -> ChainStep:
    latent = design.latent_of(state.chain, state.taken)
    random = numpy_generator(sample_seed(seed, "choice", state.chain, state.taken))
    frame = int(random.choice(FRAMES, p=utility.probabilities(latent)))
    return ChainStep(
        state.chain,
        state.taken,
        person.person,
        latent.name,
        latent.values[frame],
        1000 * SECONDS_BETWEEN_STEPS,
        "simulated",
        now,
        now + timedelta(seconds=SECONDS_BETWEEN_STEPS),
    )
