"""What a page shows, as frozen values built on each run from its address: every view has a link that brings it back.

Choices made in Streamlit's widgets are bound to the address (``bind="query-params"``); those made in our own components are
written there by their callbacks. A value in an address that means nothing is replaced by the default, never an error.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast, get_args

import streamlit as st

from core.errors import LiminalError
from core.models import registry
from core.sampling import own_judging
from core.sampling.configuration import Strategy
from core.sampling.emotion.configuration import DISTILLED, FREE, KEEP, EmotionConfiguration, EmotionStrategy, GuidanceLoss, ordered
from ui import model_choice

if TYPE_CHECKING:
    from core.models.contracts import Kind

GENERATOR = "dcgan-sharp"
"""The generator where people look."""


@dataclass(frozen=True)
class PhoneState:
    """Who could unlock my phone: whose it is, who guards it, and how strictly (None: the recogniser's default)."""

    base: str | None
    generator: str
    recogniser: str
    threshold: float | None
    stranger: int | None


@dataclass(frozen=True)
class IdentityState:
    """Identity samples: the base, the seed of everything that is drawn, the models, and the sample that is looked at."""

    base: str | None
    seed: int | None
    sample: str | None
    generator: str
    recogniser: str
    strategy: Strategy
    rounds: int
    looks: bool


COUNTS = (4, 8, 16, 32, 64)
FRAMES = (9, 11, 13)
PAIR = ("fear", "surprise")
"""Paper B's own example (Fig. 6)."""
MOST_GAMMA, MOST_RESAMPLING = 20.0, 8

Choice = TypeVar("Choice", str, int, float)


@dataclass(frozen=True)
class EmotionState:
    """Emotion boundary: the base, the pair in the order it was chosen, how faces are made, and the one that is looked at."""

    base: str | None
    pair: tuple[str, str]
    seed: int | None
    sample: str | None
    generator: str
    count: int
    freedom: float
    strategy: EmotionStrategy
    gamma: float
    loss: GuidanceLoss
    adaptive: bool
    resampling: int
    steerer: str = DISTILLED
    asked: tuple[str, ...] = ()  # added classifiers that say what they think, too

    @property
    def way(self) -> EmotionStrategy:
        """How faces are made: in two stages only where these models can."""
        return "direct" if model_choice.why_direct(self.generator, self.steerer) else self.strategy

    def configuration(self, base_id: str, seed: int) -> EmotionConfiguration:
        """What the core makes from these choices."""
        return EmotionConfiguration(
            *self.pair,
            count=self.count,
            seed=seed,
            base=base_id,
            generator=self.generator,
            steerer=self.steerer,
            judges=model_choice.judges(self.generator, self.steerer, self.asked),
            strategy=self.way,
            freedom=self.freedom,
            loss=self.loss,
            gamma=self.gamma,
            adaptive=self.adaptive,
            resampling=self.resampling,
        )


@dataclass(frozen=True)
class MorphState:
    """Morph: the base, the pair, the number of frames, and whether the row was asked for."""

    base: str | None
    pair: tuple[str, str]
    wanted: bool
    generator: str
    frames: int
    freedom: float
    steerer: str = DISTILLED
    asked: tuple[str, ...] = ()

    def configuration(self, base_id: str) -> EmotionConfiguration:
        """What the core makes from these choices. Nothing is drawn, so that the seed does not matter."""
        return EmotionConfiguration(
            *self.pair,
            count=1,
            strategy="direct",
            base=base_id,
            generator=self.generator,
            freedom=self.freedom,
            steerer=self.steerer,
            judges=model_choice.judges(self.generator, self.steerer, self.asked),
        )


def read_emotion() -> EmotionState:
    """The view of 'Emotion boundary' that the address asks for."""
    usual = EmotionConfiguration(*PAIR)
    return EmotionState(
        base=st.query_params.get("base"),
        pair=read_pair(),
        seed=read_whole("seed", 0, 2**31 - 1),
        sample=st.query_params.get("sample"),
        generator=read_choice("generator", registry.names("generator"), GENERATOR),
        count=read_choice("count", COUNTS, 8),
        freedom=read_choice("freedom", (KEEP, FREE), KEEP),
        strategy=read_choice("strategy", get_args(EmotionStrategy), usual.strategy),
        gamma=_or(read_number("gamma", 0.0, MOST_GAMMA), usual.gamma),
        loss=read_choice("loss", get_args(GuidanceLoss), usual.loss),
        adaptive=bool(read_choice("adaptive", (0, 1), int(usual.adaptive))),
        resampling=int(_or(read_whole("resampling", 1, MOST_RESAMPLING), usual.resampling)),
        **_read_networks(),
    )


def read_morph() -> MorphState:
    """The view of 'Morph' that the address asks for."""
    return MorphState(
        base=st.query_params.get("base"),
        pair=read_pair(),
        wanted=bool(read_choice("row", (0, 1), 0)),
        generator=read_choice("generator", registry.names("generator"), GENERATOR),
        frames=read_choice("frames", FRAMES, FRAMES[1]),
        freedom=read_choice("freedom", (KEEP, FREE), KEEP),
        **_read_networks(),
    )


def _read_networks() -> dict[str, Any]:
    """Which network steers, and which others are asked: built-in ones always are, added ones where the address says so."""
    added = own_judging.added("classifier")
    asked = st.query_params.get("asked", "").split(",")
    return {
        "steerer": read_choice("steerer", (DISTILLED, *added), DISTILLED),
        "asked": tuple(name for name in added if name in asked),
    }


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


def read_pair() -> tuple[str, str]:
    """Two emotions of the address, such as ``fear-surprise``, in the order they stand there; else the default pair."""
    first, _, second = st.query_params.get("pair", "").partition("-")
    try:
        ordered(first, second)
    except LiminalError:
        return PAIR
    return first, second


def read_choice(name: str, known: Sequence[Choice], default: Choice) -> Choice:
    """The one of ``known`` that the address names, else the default."""
    asked = st.query_params.get(name)
    return next((each for each in known if str(each) == asked), default)


def read_number(name: str, low: float, high: float) -> float | None:
    """A number of the address within bounds, else None."""
    try:
        value = float(st.query_params.get(name, ""))
    except ValueError:
        return None
    return value if math.isfinite(value) and low <= value <= high else None


def read_whole(name: str, low: int, high: int) -> int | None:
    """A whole number of the address within bounds, else None."""
    try:
        value = int(st.query_params.get(name, ""))
    except ValueError:
        return None
    return value if low <= value <= high else None


def model_choices() -> tuple[str, str]:
    """Widgets for generator and recogniser, by the registry's names -> their values.

    Names are shown as they are, with the title below: what stands in a bound address is what a widget shows.
    """
    chosen = []
    for label, kind, default in (
        ("Where the faces come from", "generator", GENERATOR),
        ("Who guards the phone", "recogniser", registry.names("recogniser")[0]),
    ):
        names = registry.names(cast("Kind", kind))
        titles = [model_choice.caption(name) for name in names]
        chosen.append(st.radio(label, names, index=names.index(default), captions=titles, key=kind, bind="query-params") or default)
    return chosen[0], chosen[1]
