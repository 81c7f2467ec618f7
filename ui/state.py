"""What a page shows, read on each run from its address as frozen values, so that every view has a link; and models to choose from.

Streamlit's widgets are bound to the address (``bind="query-params"``); our own components write there in their callbacks. A value
in an address that means nothing is replaced by the default, never an error; a model that is not installed (any more) is named in
a warning. How samples are made is described once, by the core's own configurations; a state adds what only a page knows: which
base and sample are chosen, and whether samples were asked for. What an added model can be used for (search by gradient, semantic
directions, guidance in two stages) is answered here too.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import streamlit as st
from streamlit.errors import StreamlitAPIException

from core.errors import LiminalError
from core.models import registry
from core.models.registry import Task
from core.sampling.configuration import IdentityConfiguration, Strategy, default_strategy
from core.sampling.emotion.configuration import (
    FREE,
    KEEP,
    EmotionConfiguration,
    EmotionStrategy,
    GuidanceLoss,
    find_chain,
    find_embedding_classifier,
    find_steerer,
    order_emotions,
)
from core.sampling.stored import scores
from core.sampling.stored.scores import is_precomputed, needs_precomputing
from ui import bases
from ui.cache import cached_gallery

if TYPE_CHECKING:
    from core.models.contracts import ModelKind


KIND_NAMES: dict[ModelKind, str] = {
    "generator": "generator of faces",
    "recogniser": "recogniser",
    "classifier": "network for feelings",
}
HELD_OUT_CLASSIFIER = "small-cnn"
"""The classifier that judges and never steers."""


def warn_missing_models(**parameters: ModelKind) -> None:
    """Warn where the address or an earlier choice names a model that is not installed (any more), and drop that choice.

    parameters: the name in the address -> the kind of model that it chooses.
    """
    for key, kind in parameters.items():
        names = st.query_params.get(key) or st.session_state.get(key) or ""
        installed = {entry.name for entry in registry.list_entries() if entry.kind == kind}
        unknown = [name for name in str(names).split(",") if name and name not in installed]
        if unknown:
            st.session_state.pop(key, None)
            with contextlib.suppress(StreamlitAPIException):  # where a widget is bound to it, the widget lets go of it itself
                st.query_params.pop(key, None)
            # anybody can write an address: only what could be a name is repeated
            is_name = re.fullmatch(r"[\w-]{1,40}", unknown[0])
            model = f"The {KIND_NAMES[kind]} '{unknown[0]}'" if is_name else f"A {KIND_NAMES[kind]}"
            st.warning(f"{model} that this view asks for is not installed here (any more), so the usual one is used instead.")


def describe_model(name: str) -> str:
    """A model's title; of an added one also that it was added, and whether it is prepared for the pages."""
    entry = registry.find_entry(name)
    if entry.custom is None:
        return entry.title
    return f"{entry.title}, added here" + ("" if not needs_precomputing(entry) or is_precomputed(name) else ", not prepared yet")


def find_model_without_gradient(*names: str) -> str | None:
    """The first of these models without a gradient, so that only CMA-ES can search with it; None where all have one."""
    for name in names:
        custom = registry.find_entry(name).custom
        if name in registry.DESCRIPTOR_SURROGATES or (custom is not None and not custom.facts.get("differentiable", True)):
            return name
    return None


def list_strategies(generator: str, recogniser: str) -> list[Strategy]:
    """The strategies that a page offers for a search with these models, its default first."""
    usual = default_strategy(generator, recogniser)
    return [usual, "cmaes"] if usual != "cmaes" else ["gradient", "cmaes"]


def usable_classifiers(generator: str) -> list[str]:
    """The added classifiers that have judged the generator's reference set, so that they can steer and judge."""
    return [name for name in scores.list_custom_names("classifier") if scores.load_custom_logits(name, generator) is not None]


def explain_direct_only(generator: str, steerer: str) -> str:
    """Why faces cannot be made in two stages with these models, in one sentence; empty where they can."""
    entry = registry.find_entry(generator, "generator")
    if find_embedding_classifier(generator) is not None:
        return ""
    if registry.find_emotion_chain(generator) is None:
        return (
            f"Two stages need a network from embeddings to faces of {entry.title}, and there is none: the picture itself is "
            "changed instead, by the gradient of those that steer."
        )
    if steerer != find_chain(generator).classifier:
        return f"{registry.find_entry(steerer).title} sees pictures, not embeddings, so it steers by changing the picture itself."
    return ""


def judging_classifiers(generator: str, steerer: str, added: Sequence[str]) -> tuple[str, ...]:
    """The classifiers that judge the finished faces beside the one that steers; the last one is the one that never does."""
    steering = (steerer, find_embedding_classifier(generator))
    return (*find_chain(generator).teachers, *(name for name in added if name not in steering), HELD_OUT_CLASSIFIER)


@dataclass(frozen=True)
class PhoneState:
    """Who could unlock my phone: its owner, the recogniser that guards it, its threshold (None: the recogniser's default), and the
    seed of the stranger that is open."""

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
FRAME_COUNTS = (9, 11, 13, 25)
DEFAULT_PAIR = ("fear", "surprise")
"""Paper B's own example (Fig. 6)."""
MAX_GAMMA, MAX_RESAMPLING = 20.0, 8

ChoiceValue = TypeVar("ChoiceValue", bound=str | float)


@dataclass(frozen=True)
class EmotionState:
    """Emotion boundary: the base, the pair in the order it was chosen, whether faces and the grid were asked for, the face that is
    open.

    strategy: as chosen; the configuration's is "direct" wherever these models cannot make faces in two stages. The configuration
    has no base yet.
    """

    base: str | None
    pair: tuple[str, str]
    wanted: bool
    grid: bool
    sample: str | None
    strategy: EmotionStrategy
    configuration: EmotionConfiguration


@dataclass(frozen=True)
class MorphState:
    """Morph: the base, the pair in the order it was chosen, whether the row was asked for, and its number of pictures.

    Nothing is drawn, so that the configuration's seed does not matter. It has no base yet.
    """

    base: str | None
    pair: tuple[str, str]
    wanted: bool
    frames: int
    configuration: EmotionConfiguration


def read_emotion_state() -> EmotionState:
    """The view of 'Emotion boundary' that the address asks for."""
    pair, seed = read_emotion_pair(), read_integer("seed", 0, 2**31 - 1)
    usual = EmotionConfiguration(*pair)
    strategy = read_choice("strategy", get_args(EmotionStrategy), usual.strategy)
    models = _read_emotion_models()
    return EmotionState(
        base=read_base(models["generator"]),
        pair=pair,
        wanted=seed is not None,
        grid=bool(read_choice("grid", (0, 1), 0)),
        sample=st.query_params.get("sample"),
        strategy=strategy,
        configuration=EmotionConfiguration(
            *pair,
            count=read_choice("count", FACE_COUNTS, 8),
            seed=seed or 0,
            strategy="direct" if explain_direct_only(models["generator"], models["steerer"]) else strategy,
            freedom=read_choice("freedom", (KEEP, FREE), KEEP),
            gamma=_or_default(read_number("gamma", 0.0, MAX_GAMMA), usual.gamma),
            loss=read_choice("loss", get_args(GuidanceLoss), usual.loss),
            adaptive=bool(read_choice("adaptive", (0, 1), int(usual.adaptive))),
            resampling=int(_or_default(read_integer("resampling", 1, MAX_RESAMPLING), usual.resampling)),
            **models,
        ),
    )


def read_morph_state() -> MorphState:
    """The view of 'Morph' that the address asks for."""
    pair, models = read_emotion_pair(), _read_emotion_models()
    many = bool(registry.find_entry(models["generator"]).changes)  # what one picture takes is a tenth of a second there
    return MorphState(
        base=read_base(models["generator"]),
        pair=pair,
        wanted=bool(read_choice("row", (0, 1), 0)),
        frames=read_choice("frames", FRAME_COUNTS, FRAME_COUNTS[-1 if many else 1]),
        configuration=EmotionConfiguration(
            *pair,
            count=1,
            strategy="direct",
            freedom=read_choice("freedom", (KEEP, FREE), KEEP),
            **models,
        ),
    )


def _read_emotion_models() -> dict[str, Any]:
    """Generator, steerer and judges: built-in classifiers always judge, added ones where the address says so."""
    named = st.query_params.get("generator", "")
    generator = read_choice("generator", registry.list_generators("emotion", named), _default_generator("emotion"))
    added = scores.list_custom_names("classifier")
    chosen = st.query_params.get("asked", "").split(",")
    steerer = read_choice("steerer", (find_steerer(generator), *added), find_steerer(generator))
    judges = judging_classifiers(generator, steerer, [name for name in added if name in chosen])
    return {"generator": generator, "steerer": steerer, "judges": judges}


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


EARLIER_DEFAULT = "dcgan-sharp"
"""The generator that addresses without one meant in the first version."""


def read_choice(name: str, known: Sequence[ChoiceValue], default: ChoiceValue) -> ChoiceValue:
    """The one of ``known`` that the address names, else the default."""
    text = st.query_params.get(name)
    return next((value for value in known if str(value) == text), default)


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


def _default_generator(task: Task) -> str:
    """The default; for an address without a generator whose base is of an earlier default's gallery, that one."""
    default, base = registry.default_generator(task), st.query_params.get("base")
    if base and default != EARLIER_DEFAULT and "generator" not in st.query_params:
        with contextlib.suppress(LiminalError):
            if any(earlier.base_id == base for earlier in cached_gallery(EARLIER_DEFAULT).bases):
                return EARLIER_DEFAULT
    return default


CHOSEN_FACE = "chosen-face"
"""In the session: generator and base of the face that was chosen last, on whatever page."""


def read_base(generator: str) -> str | None:
    """The base that the address names, else the one of this generator that was chosen last on whatever page; None where none was.

    The latter is written to the address, so that the view has a link.
    """
    if base := st.query_params.get("base"):
        _warn_unknown_base(generator, base)
        st.session_state[CHOSEN_FACE] = (generator, base)
        return base
    chosen: tuple[str, str] | None = st.session_state.get(CHOSEN_FACE)
    if chosen is None or chosen[0] != generator:
        return None
    st.query_params["base"] = chosen[1]
    return chosen[1]


def _warn_unknown_base(generator: str, base: str) -> None:
    """Say that the gallery has no such face, where it has none, and which one is shown in its place."""
    shown = bases.find_base(generator, base)
    if bases.short_name(base) != bases.short_name(shown.base_id):
        name = f" '{base}'" if re.fullmatch(r"[\w-]{1,40}", base) else ""  # anybody can write an address
        st.warning(f"There is no face{name} of {registry.find_entry(generator).title} here. Shown instead: {shown.title}.")


def choose_models(task: Task) -> tuple[str, str]:
    """Widgets for the generator of a task and the recogniser -> the names that were chosen.

    The widgets show the registry's names, with the title below: a widget bound to the address writes what it shows.
    """
    chosen = []
    generators, recognisers = (
        registry.list_generators(task, st.query_params.get("generator", "")),
        registry.list_names("recogniser"),
    )
    for label, kind, names, default in (
        ("Where the faces come from", "generator", generators, _default_generator(task)),
        ("Who guards the phone", "recogniser", recognisers, recognisers[0]),
    ):
        titles = [describe_model(name) for name in names]
        chosen.append(st.radio(label, names, index=names.index(default), captions=titles, key=kind, bind="query-params") or default)
    return chosen[0], chosen[1]
