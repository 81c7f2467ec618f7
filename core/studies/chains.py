"""Gibbs sampling with people: faces that people make together, one named latent after the other (Harrison et al. 2020, NeurIPS 33).

A chain is one face that changes. Each step one person moves one latent of it by a slider, toward what the study asks for; the next
step takes the face from there, by another person where chains are passed on, by the same one where everybody has a chain of their
own. If people choose by a utility and with softmax noise, the chain's faces are draws from exp(utility) (section 2). Order,
starting values, and where a slider's handle stands follow from the design's seed, so that nothing but choices is stored. No torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.errors import LiminalError
from core.models.emotions import EMOTIONS
from core.sampling.configuration import Configuration, check_number, check_whole, numpy_generator, sample_seed
from core.studies.ratings import Source
from core.studies.study import CONSENT, MAX_QUESTION_LETTERS, check_study_name, new_code
from core.studies.words import BY_BROWSER, LANGUAGES

FRAMES = 21
"""Pictures of a slider, from the lowest value of its latent to the highest."""

STEP_TIMEOUT = timedelta(minutes=3)
"""An open step whose holder has not chosen for so long is handed to somebody else."""
CHAIN_TIMEOUT = timedelta(minutes=30)
"""Of people who each have a chain of their own: whoever has stopped for so long leaves room for another person."""

SECONDS_A_STEP = 6.0
MAX_LATENTS, MAX_CHAINS, MAX_SWEEPS, MAX_STEPS_EACH = 60, 100, 100, 500


@dataclass(frozen=True)
class SliderLatent:
    """A named latent that people move: the ends of its slider in its own unit, and what it does."""

    name: str
    low: float
    high: float
    meaning: str = ""

    @property
    def values(self) -> tuple[float, ...]:
        """The values of the slider's FRAMES pictures, evenly from end to end."""
        return tuple(float(value) for value in np.linspace(self.low, self.high, FRAMES))


@dataclass(frozen=True)
class ChainDesign(Configuration):
    """What people make, and by which steps. Raises LiminalError with one sentence where a value makes no sense."""

    samples: ClassVar[str] = "faces made by people"

    latents: tuple[SliderLatent, ...]  # in the generator's order
    bases: tuple[str, ...]  # of the gallery; chains take turns
    generator: str = "head"
    target: str = ""  # an emotion; '': the wording says what to make
    wording: str = ""
    chains: int = 8
    sweeps: int = 8  # in a sweep every latent is moved once
    passed_on: bool = True  # from person to person; False: everybody has a chain of their own
    steps_each: int = 24  # a person's, of chains that are passed on
    seed: int = 0
    consent: str = CONSENT
    language: str = BY_BROWSER  # that raters read

    def __post_init__(self) -> None:
        latents = tuple(latent if isinstance(latent, SliderLatent) else SliderLatent(**latent) for latent in self.latents)
        object.__setattr__(self, "latents", latents)
        object.__setattr__(self, "bases", tuple(self.bases))
        object.__setattr__(self, "wording", self.wording.strip())
        names = [latent.name for latent in latents]
        if not 1 <= len(names) <= MAX_LATENTS or len(set(names)) < len(names):
            raise LiminalError(f"People move 1 to {MAX_LATENTS} different latents, and 'latents' names {len(names)}; name others.")
        for latent in latents:
            check_number(latent.name, latent.low, -1e6, 1e6)
            check_number(latent.name, latent.high, -1e6, 1e6)
            if latent.low >= latent.high:
                raise LiminalError(f"The slider of '{latent.name}' goes from {latent.low:g} to {latent.high:g}; let it rise.")
        if not self.bases or len(set(self.bases)) < len(self.bases):
            raise LiminalError("Chains begin with at least one person, each named once in 'bases'.")
        if self.target not in ("", *EMOTIONS):
            raise LiminalError(f"There is no feeling '{self.target}' to aim at; choose one of {', '.join(EMOTIONS)}, or a wording.")
        if not self.target and not self.wording:
            raise LiminalError("Say what people are to make: a feeling as 'target', or a 'wording' of your own.")
        if len(self.wording) > MAX_QUESTION_LETTERS:
            raise LiminalError(f"A wording has at most {MAX_QUESTION_LETTERS} letters; write a shorter one.")
        if self.language not in (BY_BROWSER, *LANGUAGES):
            raise LiminalError(f"The 'language' is {BY_BROWSER} or one of {', '.join(LANGUAGES)}, not '{self.language}'.")
        check_whole("chains", self.chains, 1, MAX_CHAINS)
        check_whole("sweeps", self.sweeps, 1, MAX_SWEEPS)
        check_whole("steps_each", self.steps_each, 1, MAX_STEPS_EACH)
        check_whole("seed", self.seed, 0, 2**63 - 1)
        if len(self.bases) > self.chains:
            raise LiminalError(f"{self.chains} chains cannot begin with {len(self.bases)} people; ask for more 'chains'.")
        if not self.consent.strip():
            raise LiminalError("People need a text that they consent to; say what happens with their choices.")

    @property
    def length(self) -> int:
        """Steps of a chain."""
        return len(self.latents) * self.sweeps

    @property
    def steps(self) -> int:
        """Steps of all chains."""
        return self.length * self.chains

    @property
    def steps_of_a_person(self) -> int:
        """How many steps one person takes."""
        return min(self.steps_each, self.steps) if self.passed_on else self.length

    @property
    def people(self) -> int:
        """How many people it takes."""
        return -(-self.steps // self.steps_of_a_person)

    @property
    def minutes(self) -> int:
        """About how long it takes a person, at least 1."""
        return max(1, round(self.steps_of_a_person * SECONDS_A_STEP / 60))

    def base_of(self, chain: int) -> str:
        """The person that a chain begins with."""
        return self.bases[chain % len(self.bases)]

    def latent_of(self, chain: int, iteration: int) -> SliderLatent:
        """The latent that a step moves: every sweep all of them in an order of its own."""
        sweep, place = divmod(iteration, len(self.latents))
        order = numpy_generator(sample_seed(self.seed, "order", chain, sweep)).permutation(len(self.latents))
        return self.latents[int(order[place])]

    def start_of(self, chain: int) -> dict[str, float]:
        """The values that a chain begins with, drawn evenly from all frames: far apart, so that convergence means something."""
        frames = numpy_generator(sample_seed(self.seed, "start", chain)).integers(FRAMES, size=len(self.latents))
        return {latent.name: latent.values[frame] for latent, frame in zip(self.latents, frames, strict=True)}

    def slider_of(self, chain: int, iteration: int) -> tuple[int, bool]:
        """Where the handle stands at first, and whether the slider runs from the highest value to the lowest; by chance, so that
        neither side nor the face so far has an advantage."""
        random = numpy_generator(sample_seed(self.seed, "slider", chain, iteration))
        return int(random.integers(FRAMES)), bool(random.integers(2))

    def warnings(self) -> list[str]:
        """What such a design cannot show, in sentences."""
        notes = []
        if self.people == 1:
            notes.append(ONE_PERSON)
        if self.chains < 2:
            notes.append("With one chain nobody can tell whether it has settled; four or more begin far apart and must meet.")
        if self.sweeps < 8:
            notes.append("The first half of every chain is left out, and of fewer than 4 draws no R-hat is told: 8 sweeps or more.")
        return notes


ONE_PERSON = "One person made all steps: the faces show what this person has in mind, and say nothing about what people share."


@dataclass(frozen=True)
class ChainStudy:
    """Faces that people make, as it is stored. ``token`` is the secret of the link that people get."""

    name: str
    design: ChainDesign
    token: str = field(default_factory=new_code)
    source: Source = "human"  # simulated: marked wherever it is shown
    closed: bool = False  # takes no more steps
    note: str = ""  # of simulated choices: what was planted
    enrolled: int = 0  # people ever; their numbers are never given twice
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", check_study_name(self.name))


@dataclass(frozen=True)
class ChainPerson:
    """Somebody who makes faces. ``code`` is the secret that lets them come back. chain: their own, None where chains are passed."""

    person: str
    study: str
    number: int
    code: str = field(default_factory=new_code)
    source: Source = "human"
    chain: int | None = None
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    finished_at: datetime | None = None


@dataclass(frozen=True)
class ChainStep:
    """One step: who chose which value of which latent; value None: it is open, and that person has it before them."""

    chain: int
    iteration: int
    person: str
    latent: str
    value: float | None = None
    reaction_time_ms: float | None = None
    source: Source = "human"
    offered_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    chosen_at: datetime | None = None
    presented: Mapping[str, Any] = field(default_factory=dict)


STEP_COLUMNS = tuple(ChainStep.__dataclass_fields__)
"""The columns of a table of steps."""


@dataclass(frozen=True)
class OfferedStep:
    """What a person is shown: the face's values so far, the latent to move, where the handle stands and which way it runs."""

    chain: int
    iteration: int
    base: str
    latent: SliderLatent
    values: Mapping[str, float]
    start: int
    turned: bool
    done: int  # steps that this person has taken
    of: int  # and will have taken at the end


def values_after(design: ChainDesign, chain: int, steps: Sequence[ChainStep]) -> dict[str, float]:
    """The values of a chain's face after these steps of it, in order."""
    return design.start_of(chain) | {step.latent: float(step.value) for step in steps if step.value is not None}


@dataclass(frozen=True)
class ChainState:
    """How far a chain is. open: its open step, live or timed out; last: who took the last step."""

    chain: int
    taken: int
    last: str = ""
    open: ChainStep | None = None


def pick_chain(design: ChainDesign, states: Sequence[ChainState], person: ChainPerson, now: datetime) -> int | None:
    """The chain whose next step a person takes; None where all that are not complete are held by others.

    Of chains that are passed on: one that somebody else had last, where there is one; of these the one with fewest steps, and
    by chance among equals.
    """
    if person.chain is not None:
        return person.chain
    chance = numpy_generator(sample_seed(design.seed, "pick", person.number, sum(state.taken for state in states)))
    tie = chance.permutation(len(states))
    free = [
        state
        for state in states
        if state.taken < design.length and (state.open is None or now - state.open.offered_at > STEP_TIMEOUT)
    ]
    best = min(free, key=lambda state: (state.last == person.person, state.taken, tie[state.chain]), default=None)
    return None if best is None else best.chain


def make_step_table(steps: Sequence[ChainStep]) -> pd.DataFrame:
    """Steps that were taken as a table with STEP_COLUMNS, by chain and iteration."""
    rows = [{name: getattr(step, name) for name in STEP_COLUMNS} for step in steps if step.value is not None]
    return pd.DataFrame(rows, columns=list(STEP_COLUMNS)).sort_values(["chain", "iteration"], ignore_index=True)


def trace_values(design: ChainDesign, steps: pd.DataFrame) -> dict[int, NDArray[np.float64]]:
    """chain -> its values (sweeps + 1, latents): at the start and after every complete sweep. steps: of ``make_step_table``."""
    names = [latent.name for latent in design.latents]
    traces = {}
    for chain in sorted({int(number) for number in steps["chain"]}):
        rows = steps[steps["chain"] == chain]
        values = design.start_of(chain)
        trace = [[values[name] for name in names]]
        for iteration, (latent, value) in enumerate(zip(rows["latent"], rows["value"], strict=True), start=1):
            values[latent] = float(value)
            if iteration % len(names) == 0:
                trace.append([values[name] for name in names])
        traces[chain] = np.array(trace)
    return traces
