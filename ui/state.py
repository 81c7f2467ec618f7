"""What a page shows, as frozen values read on each run from its address, and the models that can be chosen there: every view
has a link.

Streamlit's widgets are bound to the address (``bind="query-params"``); our own components write there in their callbacks. A
value in an
address that means nothing is replaced by the default, never an error; a model that is not installed (any more) is named in a
warning.
What an added model can be used for (search by gradient, semantic directions, guidance in two stages) is answered here too.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast, get_args

import streamlit as st
from streamlit.errors import StreamlitAPIException

from core.errors import LiminalError
from core.models import registry
from core.sampling.configuration import IdentityConfiguration
from core.sampling.emotion.configuration import (
    DISTILLED,
    FREE,
    KEEP,
    TAUGHT_BY,
    EmotionConfiguration,
    EmotionStrategy,
    GuidanceLoss,
    order_emotions,
)
from core.sampling.stored import scores
from core.sampling.stored.scores import is_precomputed, needs_precomputing

if TYPE_CHECKING:
    from core.models.contracts import ModelKind


KIND_NAMES: dict[ModelKind, str] = {
    "generator": "generator of faces",
    "recogniser": "recogniser",
    "classifier": "network for feelings",
}
HELD_OUT_CLASSIFIER = "small-cnn"
"""The judge that never steers."""


def warn_missing_models(**asked: ModelKind) -> None:
    """Say so where the address or a choice made before names a model that is not there (any more), and let go of it.

    asked: the name in the address -> the kind of model that it chooses.
    """
    for key, kind in asked.items():
        names = st.query_params.get(key) or st.session_state.get(key) or ""
        unknown = [name for name in str(names).split(",") if name and name not in registry.list_names(kind)]
        if unknown:
            st.session_state.pop(key, None)
            with contextlib.suppress(StreamlitAPIException):  # where a widget is bound to it, the widget lets go of it itself
                st.query_params.pop(key, None)
            # an address is written by anybody: only what could be a name is repeated
            named = (
                f"The {KIND_NAMES[kind]} '{unknown[0]}'" if re.fullmatch(r"[\w-]{1,40}", unknown[0]) else f"A {KIND_NAMES[kind]}"
            )
            st.warning(f"{named} that this view asks for is not installed here (any more), so the usual one is used instead.")


def describe_model(name: str) -> str:
    """A model's title, and where it stands if the user added it."""
    entry = registry.find_entry(name)
    if entry.own is None:
        return entry.title
    return f"{entry.title}, added here" + ("" if not needs_precomputing(entry) or is_precomputed(name) else ", not prepared yet")


def find_model_without_gradient(*names: str) -> str | None:
    """The first of these models that has no gradient to follow, so that only trial and selection can search with it."""
    for name in names:
        own = registry.find_entry(name).own
        if own is not None and not own.facts.get("differentiable", True):
            return name
    return None


def has_semantic_directions(generator: str) -> bool:
    """Whether directions such as a smile are known for the generator's latents: for those that come with Liminal."""
    return registry.find_entry(generator, "generator").own is None


def usable_classifiers(generator: str) -> list[str]:
    """The added classifiers that have judged the generator's plain faces, so that they can steer and be asked."""
    return [name for name in scores.list_custom_names("classifier") if scores.load_custom_logits(name, generator) is not None]


def embedding_classifier(generator: str) -> str | None:
    """The classifier that reads a generator's latents as embeddings, and so steers it; None for all other generators."""
    own = registry.find_entry(generator, "generator").own
    return None if own is None else own.options.get("classifier")


def explain_direct_only(generator: str, steerer: str) -> str:
    """Why faces cannot be made in two stages with these models, in one sentence; empty where they can."""
    entry = registry.find_entry(generator, "generator")
    if embedding_classifier(generator) is not None:
        return ""
    if entry.own is not None:
        return (
            f"Two stages need a network from embeddings to faces of {entry.title}, and there is none: the picture itself is "
            "changed instead, by the gradient of those that steer."
        )
    if steerer != DISTILLED:
        return f"{registry.find_entry(steerer).title} sees pictures, not embeddings, so it steers by changing the picture itself."
    return ""


def judging_classifiers(generator: str, steerer: str, asked: Sequence[str]) -> tuple[str, ...]:
    """Who is asked about the finished faces beside the one that steers; last the one that never does."""
    return (*TAUGHT_BY, *(name for name in asked if name not in (steerer, embedding_classifier(generator))), HELD_OUT_CLASSIFIER)


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
    """Identity samples: the base, whether samples were asked for, the sample that is open, and how samples are made."""

    base: str | None
    wanted: bool
    sample: str | None
    configuration: IdentityConfiguration


FACE_COUNTS = (4, 8, 16, 32, 64)
FRAME_COUNTS = (9, 11, 13)
DEFAULT_PAIR = ("fear", "surprise")
"""Paper B's own example (Fig. 6)."""
MAX_GAMMA, MAX_RESAMPLING = 20.0, 8

ChoiceValue = TypeVar("ChoiceValue", bound=str | float)


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
        return "direct" if explain_direct_only(self.generator, self.steerer) else self.strategy

    def configuration(self, base_id: str, seed: int) -> EmotionConfiguration:
        """What the core makes from these choices."""
        return EmotionConfiguration(
            *self.pair,
            count=self.count,
            seed=seed,
            base=base_id,
            generator=self.generator,
            steerer=self.steerer,
            judges=judging_classifiers(self.generator, self.steerer, self.asked),
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
            judges=judging_classifiers(self.generator, self.steerer, self.asked),
        )


def read_emotion_state() -> EmotionState:
    """The view of 'Emotion boundary' that the address asks for."""
    usual = EmotionConfiguration(*DEFAULT_PAIR)
    return EmotionState(
        base=st.query_params.get("base"),
        pair=read_emotion_pair(),
        seed=read_integer("seed", 0, 2**31 - 1),
        sample=st.query_params.get("sample"),
        generator=read_choice("generator", registry.list_names("generator"), GENERATOR),
        count=read_choice("count", FACE_COUNTS, 8),
        freedom=read_choice("freedom", (KEEP, FREE), KEEP),
        strategy=read_choice("strategy", get_args(EmotionStrategy), usual.strategy),
        gamma=_or_default(read_number("gamma", 0.0, MAX_GAMMA), usual.gamma),
        loss=read_choice("loss", get_args(GuidanceLoss), usual.loss),
        adaptive=bool(read_choice("adaptive", (0, 1), int(usual.adaptive))),
        resampling=int(_or_default(read_integer("resampling", 1, MAX_RESAMPLING), usual.resampling)),
        **_read_classifiers(),
    )


def read_morph_state() -> MorphState:
    """The view of 'Morph' that the address asks for."""
    return MorphState(
        base=st.query_params.get("base"),
        pair=read_emotion_pair(),
        wanted=bool(read_choice("row", (0, 1), 0)),
        generator=read_choice("generator", registry.list_names("generator"), GENERATOR),
        frames=read_choice("frames", FRAME_COUNTS, FRAME_COUNTS[1]),
        freedom=read_choice("freedom", (KEEP, FREE), KEEP),
        **_read_classifiers(),
    )


def _read_classifiers() -> dict[str, Any]:
    """Which network steers, and which others are asked: built-in ones always are, added ones where the address says so."""
    added = scores.list_custom_names("classifier")
    asked = st.query_params.get("asked", "").split(",")
    return {
        "steerer": read_choice("steerer", (DISTILLED, *added), DISTILLED),
        "asked": tuple(name for name in added if name in asked),
    }


def _or_default(value: float | None, default: float) -> float:
    return default if value is None else value


def read_emotion_pair() -> tuple[str, str]:
    """Two emotions of the address, such as ``fear-surprise``, in the order they stand there; else the default pair."""
    first, _, second = st.query_params.get("pair", "").partition("-")
    try:
        order_emotions(first, second)
    except LiminalError:
        return DEFAULT_PAIR
    return first, second


def read_choice(name: str, known: Sequence[ChoiceValue], default: ChoiceValue) -> ChoiceValue:
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


def read_integer(name: str, low: int, high: int) -> int | None:
    """A whole number of the address within bounds, else None."""
    try:
        value = int(st.query_params.get(name, ""))
    except ValueError:
        return None
    return value if low <= value <= high else None


def choose_models() -> tuple[str, str]:
    """Widgets for generator and recogniser, by the registry's names -> their values.

    Names are shown as they are, with the title below: what stands in a bound address is what a widget shows.
    """
    chosen = []
    for label, kind, default in (
        ("Where the faces come from", "generator", GENERATOR),
        ("Who guards the phone", "recogniser", registry.list_names("recogniser")[0]),
    ):
        names = registry.list_names(cast("ModelKind", kind))
        titles = [describe_model(name) for name in names]
        chosen.append(st.radio(label, names, index=names.index(default), captions=titles, key=kind, bind="query-params") or default)
    return chosen[0], chosen[1]
