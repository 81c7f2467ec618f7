"""Models by name: list them, load them once a process and device, read their cards.

Adding a built-in model is one file and one line of ``ENTRIES`` here; ``core.models.check`` is the check that whoever adds one runs.
Behind the built-in models stand those that a user added by ``python -m core models add`` (``core.models.custom``); ``list_usable``
leaves out added models whose files are gone or altered, so that one of them does not make the others unusable.
Nothing heavy is imported before a model is asked for, so that pages can list names without torch.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, overload

from core.errors import LiminalError
from core.lazy_import import lazy_import
from core.models.contracts import (
    Classifier,
    Decoder,
    DescriptorSurrogate,
    EmotionChain,
    Encoder,
    Generator,
    ModelCard,
    ModelKind,
    PerceptualDistance,
    Prior,
    Recogniser,
    Surrogate,
)
from core.models.custom.catalogue import CustomModel, find_class, find_code, list_custom_models
from core.models.device import choose_device, release_memory

if TYPE_CHECKING:
    import torch
else:  # loaded with the first model
    torch = lazy_import("torch")


Task = Literal["identity", "phone", "emotion"]
"""What a generator is chosen for: identity samples, Who could unlock my phone (own photos too), emotion samples."""


@dataclass(frozen=True)
class Entry:
    """An entry of the registry.

    module: where the model's functions are: a module, or an object in one ("package.module:NAME"), see ``find_code``. A built-in
    model has ``load(device) -> model`` and ``CARD`` there; a custom one ``load_custom(custom, device)`` and ``make_card(custom)``.
    offered: whether it is among the choices for new work; one that is not is still found by its name, so that what was made with
    it opens and is judged.
    changes: the module that lists a generator's named latents and says in words what a change of one of them is; "" where latents
    have no names (``core.sampling.stored.directions``). It loads no PyTorch.
    """

    name: str
    kind: ModelKind
    title: str
    module: str
    custom: CustomModel | None = None
    offered: bool = True
    tasks: tuple[Task, ...] = ("identity", "phone", "emotion")  # of a generator: what it can be chosen for
    changes: str = ""
    emotion_chain: EmotionChain | None = None


DCGAN_CHAIN = EmotionChain(
    encoder="face-embedding",
    classifier="emotion-mlp",
    prior="face-prior",
    decoder="latent-flow",
    surrogate="latent-emotion",
    teachers=("mini-xception", "tanh-cnn"),
)
HEAD_CHAIN = EmotionChain(
    encoder="head-embedding",
    classifier="head-emotion-mlp",
    prior="head-prior",
    decoder="head-flow",
    surrogate="head-expressions",
    teachers=("mini-xception", "tanh-cnn"),
    classifier_searches=True,
)

ENTRIES = (
    Entry(
        "head",
        "generator",
        "Rendered head",
        "core.models.builtin.head.generator",
        tasks=("identity", "phone", "emotion"),
        changes="core.models.builtin.head.changes",
        emotion_chain=HEAD_CHAIN,
    ),
    Entry(
        "dcgan-sharp",
        "generator",
        "DCGAN sharpened, 256 pixels",
        "core.models.builtin.dcgan:SHARP",
        emotion_chain=DCGAN_CHAIN,
    ),
    Entry("dcgan", "generator", "DCGAN, 64 pixels", "core.models.builtin.dcgan:SMALL", offered=False, emotion_chain=DCGAN_CHAIN),
    Entry("dlib", "recogniser", "dlib ResNet", "core.models.builtin.dlib_recogniser"),
    Entry("sface", "recogniser", "SFace", "core.models.builtin.sface"),
    Entry("mini-xception", "classifier", "mini-XCEPTION", "core.models.builtin.fer:MINI_XCEPTION"),
    Entry("tanh-cnn", "classifier", "Tanh CNN", "core.models.builtin.fer:TANH_CNN"),
    Entry("small-cnn", "classifier", "Small CNN", "core.models.builtin.fer:SMALL_CNN"),
    Entry(
        "head-emotion-mlp",
        "classifier",
        "Emotion MLP of rendered heads",
        "core.models.builtin.emotion_mlp:HEAD_EMOTION_MLP",
    ),
    Entry("emotion-mlp", "classifier", "Emotion MLP (distilled here)", "core.models.builtin.emotion_mlp:EMOTION_MLP"),
    Entry("face-embedding", "encoder", "Face embedding", "core.models.builtin.face_embedding:FACE_EMBEDDING"),
    Entry("head-embedding", "encoder", "Face embedding of rendered heads", "core.models.builtin.face_embedding:HEAD_EMBEDDING"),
    Entry("face-prior", "prior", "U-ViT diffusion prior", "core.models.builtin.prior:FACE_PRIOR"),
    Entry("head-prior", "prior", "U-ViT diffusion prior of rendered heads", "core.models.builtin.prior:HEAD_PRIOR"),
    Entry("latent-flow", "decoder", "Flow from embedding to latent", "core.models.builtin.flow:LATENT_FLOW"),
    Entry("head-flow", "decoder", "Flow from embedding to head", "core.models.builtin.flow:HEAD_FLOW"),
    Entry("latent-emotion", "surrogate", "Emotions predicted from the latent (surrogate)", "core.models.builtin.surrogate"),
    Entry(
        "head-descriptors",
        "surrogate",
        "What is said of a rendered head, predicted (surrogate)",
        "core.models.builtin.head.surrogate",
    ),
    Entry(
        "head-expressions",
        "surrogate",
        "Expressions of a rendered head, predicted (surrogate)",
        "core.models.builtin.head.expression_surrogate",
    ),
    Entry("lpips", "distance", "LPIPS (AlexNet)", "core.models.builtin.lpips_distance"),
)

DEFAULT_GENERATORS: Mapping[Task, str] = {"identity": "head", "phone": "head", "emotion": "head"}

logger = logging.getLogger(__name__)

_loaded: dict[tuple[str, str], Any] = {}
_lock = threading.RLock()


def list_entries() -> tuple[Entry, ...]:
    """All entries: the built-in models, then those that the user added. Raises LiminalError where the list of these is damaged."""
    return (*ENTRIES, *(custom_entry(custom) for custom in list_custom_models()))


def custom_entry(custom: CustomModel) -> Entry:
    """The entry of an added model."""
    described = find_class(custom.model_class)
    return Entry(custom.name, described.kind, custom.title or custom.name, described.module, custom)


def list_names(kind: ModelKind) -> list[str]:
    """The names of all models of a kind that are offered, the default one first."""
    return [entry.name for entry in list_entries() if entry.kind == kind and entry.offered]


def list_generators(task: Task, named: str = "") -> list[str]:
    """The names of the generators that are offered for a task, and ``named`` where it is one that is not offered any more."""
    entries = [entry for entry in list_entries() if entry.kind == "generator" and task in entry.tasks]
    return [entry.name for entry in entries if entry.offered or entry.name in (named, default_generator(task))]


def default_generator(task: Task) -> str:
    """The name of the generator that pages, commands and plans take for a task where none is named."""
    return DEFAULT_GENERATORS[task]


def list_built_in(kind: ModelKind) -> list[str]:
    """The names of the models of a kind that come with Liminal and are offered, the default one first."""
    return [entry.name for entry in ENTRIES if entry.kind == kind and entry.offered]


def find_entry(name: str, kind: ModelKind | None = None) -> Entry:
    """The entry of a name. Raises LiminalError with the known names."""
    for candidate in list_entries():
        if candidate.name == name and kind in (None, candidate.kind):
            return candidate
    names = ", ".join(list_names(kind)) if kind else ", ".join(candidate.name for candidate in list_entries())
    raise LiminalError(f"There is no {kind or 'model'} called '{name}'; the ones installed are {names}.")


def title(name: str) -> str:
    """The title of a model; the name itself for one that was removed, as stored results may still name it."""
    return next((candidate.title for candidate in list_entries() if candidate.name == name), name)


@overload
def load(name: str, kind: Literal["generator"], device: str | None = None) -> Generator: ...
@overload
def load(name: str, kind: Literal["recogniser"], device: str | None = None) -> Recogniser: ...
@overload
def load(name: str, kind: Literal["classifier"], device: str | None = None) -> Classifier: ...
@overload
def load(name: str, kind: Literal["distance"], device: str | None = None) -> PerceptualDistance: ...
@overload
def load(name: str, kind: Literal["encoder"], device: str | None = None) -> Encoder: ...
@overload
def load(name: str, kind: Literal["prior"], device: str | None = None) -> Prior: ...
@overload
def load(name: str, kind: Literal["decoder"], device: str | None = None) -> Decoder: ...
@overload
def load(name: str, kind: Literal["surrogate"], device: str | None = None) -> Surrogate: ...


def load(name: str, kind: ModelKind, device: str | None = None) -> Any:
    """The model, loaded once a process and device, and never changed afterwards; models that were replaced are dropped.
    Thread-safe."""
    entry = find_entry(name, kind)
    target = choose_device(device)
    key = (repr(entry), str(target))
    with _lock:
        if key not in _loaded:
            _drop_replaced()

            # weights made in a caller's inference mode could never take part in a gradient
            began = time.perf_counter()
            with torch.inference_mode(False):
                _loaded[key] = load_anew(entry, target)
            release_memory()
            logger.info("loaded the %s %s on %s in %.2f s", kind, name, target, time.perf_counter() - began)
        return _loaded[key]


def _drop_replaced() -> None:
    """Drop models that were replaced or removed since they were loaded."""
    current = {repr(entry) for entry in list_entries()}
    for key in [entry for entry in _loaded if entry[0] not in current]:
        del _loaded[key]


def find_emotion_chain(generator: str) -> EmotionChain | None:
    """The models that make emotion samples of a generator in two stages; None where it has none, so that direct search is left.

    Loads nothing.
    """
    return next((entry.emotion_chain for entry in ENTRIES if entry.name == generator), None)


DESCRIPTOR_SURROGATES: Mapping[str, str] = {"head": "head-descriptors"}
"""Generator whose pictures have no gradient -> the surrogate that predicts recognisers' descriptors of them."""


def find_descriptor_surrogate(generator: str, recogniser: str | None = None) -> str | None:
    """The name of the surrogate that predicts a recogniser's descriptors of a generator's pictures; None where there is none."""
    name = DESCRIPTOR_SURROGATES.get(generator)
    predicted = recogniser is None or recogniser in list_built_in("recogniser")
    return name if predicted and name in list_built_in("surrogate") else None


def load_descriptor_surrogate(generator: str, recogniser: str, device: str | None = None) -> DescriptorSurrogate:
    """That surrogate. Raises LiminalError where there is none, so that this search cannot be made."""
    name = find_descriptor_surrogate(generator, recogniser)
    if name is None:
        raise LiminalError(
            f"Nothing predicts what {title(recogniser)} says of pictures by {title(generator)}; search by another strategy, "
            "such as trial and selection (cmaes)."
        )
    surrogate = load(name, "surrogate", device)
    assert isinstance(surrogate, DescriptorSurrogate)
    return surrogate


def find_loaded(entry: Entry) -> Any:
    """The model of an entry if it is loaded, on whatever device; else None."""
    return next((model for (line, _), model in list(_loaded.items()) if line == repr(entry)), None)


def load_anew(entry: Entry, device: torch.device) -> Any:
    """Load the model of an entry, whether or not it is loaded already."""
    code = find_code(entry.module)
    return code.load(device) if entry.custom is None else code.load_custom(entry.custom, device)


def read_card(entry: Entry) -> ModelCard:
    """The card of an entry: where the model comes from and what it may be used for."""
    code = find_code(entry.module)
    described: ModelCard = code.CARD if entry.custom is None else code.make_card(entry.custom)
    return described


def list_usable(kind: ModelKind, first: str | None = None) -> list[str]:
    """The names of a kind, ``first`` in front, without added models that cannot be loaded.

    Raises LiminalError where ``first`` itself cannot be.
    """
    names = [name for name in list_names(kind) if name != first]
    usable = [name for name in names if find_entry(name).custom is None or _can_load(name, kind)]
    if first is None:
        return usable
    load(first, kind)
    return [first, *usable]


def _can_load(name: str, kind: ModelKind) -> bool:
    try:
        load(name, kind)
    except LiminalError:
        return False
    return True
