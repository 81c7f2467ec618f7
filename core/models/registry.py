"""Models by name. Adding one is one file and one line here; ``core.models.check`` is the check that whoever adds one runs.

Behind the built-in ones stand those that a user added by ``python -m core models add`` (``core.models.own``).

Nothing heavy is imported before a model is asked for, so that pages can list names without torch.
"""

from __future__ import annotations

import importlib
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, overload

from core.errors import LiminalError
from core.models.own.classes import model_class
from core.models.own.listing import OwnModel, own_models

if TYPE_CHECKING:
    import torch

    from core.models.contracts import (
        Classifier,
        Decoder,
        Encoder,
        Generator,
        Kind,
        ModelCard,
        PerceptualDistance,
        Prior,
        Recogniser,
        Surrogate,
    )


@dataclass(frozen=True)
class Entry:
    """A line of the registry: the module holds ``load(device) -> model`` and ``CARD``.

    For an added model it holds ``load_own(own, device)`` and ``card(own)`` instead.
    """

    name: str
    kind: Kind
    title: str
    module: str
    own: OwnModel | None = None


ENTRIES = (
    Entry("dcgan", "generator", "DCGAN, 64 pixels", "core.models.dcgan"),
    Entry("dcgan-sharp", "generator", "DCGAN sharpened, 256 pixels", "core.models.dcgan_sharp"),
    Entry("dlib", "recogniser", "dlib ResNet", "core.models.dlib_recogniser"),
    Entry("sface", "recogniser", "SFace", "core.models.sface"),
    Entry("mini-xception", "classifier", "mini-XCEPTION", "core.models.mini_xception"),
    Entry("tanh-cnn", "classifier", "Tanh CNN", "core.models.tanh_cnn"),
    Entry("small-cnn", "classifier", "Small CNN", "core.models.small_cnn"),
    Entry("emotion-mlp", "classifier", "Emotion MLP (distilled here)", "core.models.emotion_mlp"),
    Entry("face-embedding", "encoder", "Face embedding", "core.models.face_embedding"),
    Entry("face-prior", "prior", "U-ViT diffusion prior", "core.models.face_prior"),
    Entry("latent-flow", "decoder", "Flow from embedding to latent", "core.models.latent_flow"),
    Entry("latent-emotion", "surrogate", "Emotions foretold from the latent", "core.models.latent_emotion"),
    Entry("lpips", "distance", "LPIPS (AlexNet)", "core.models.lpips_distance"),
)

_loaded: dict[tuple[str, str], Any] = {}
_lock = threading.RLock()


def entries() -> tuple[Entry, ...]:
    """All lines: the built-in models, then those that the user added. Raises LiminalError where the list of these is damaged."""
    return (*ENTRIES, *(own_entry(own) for own in own_models()))


def own_entry(own: OwnModel) -> Entry:
    """The line of an added model."""
    described = model_class(own.model_class)
    return Entry(own.name, described.kind, own.title or own.name, described.module, own)


def names(kind: Kind) -> list[str]:
    """The names of all models of a kind, the default one first."""
    return [entry.name for entry in entries() if entry.kind == kind]


def entry(name: str, kind: Kind | None = None) -> Entry:
    """The registry's line for a name. Raises LiminalError with the names there are."""
    for candidate in entries():
        if candidate.name == name and kind in (None, candidate.kind):
            return candidate
    known = ", ".join(names(kind)) if kind else ", ".join(candidate.name for candidate in entries())
    raise LiminalError(f"There is no {kind or 'model'} called '{name}'; the ones installed are {known}.")


def title(name: str) -> str:
    """What people read for a name; the name itself for a model that is not there any more, of which results may still tell."""
    return next((candidate.title for candidate in entries() if candidate.name == name), name)


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


def load(name: str, kind: Kind, device: str | None = None) -> Any:
    """The model, loaded once a process and device, and never changed after; one that was replaced is let go of. Thread-safe."""
    from core.models.device import choose_device

    found = entry(name, kind)
    place = choose_device(device)
    key = (repr(found), str(place))
    with _lock:
        if key not in _loaded:
            import torch

            _let_go()

            # weights made in a caller's inference mode could never take part in a gradient
            with torch.inference_mode(False):
                _loaded[key] = make(found, place)
        return _loaded[key]


def _let_go() -> None:
    """Forget models that were replaced or removed since they were loaded."""
    there = {repr(each) for each in entries()}
    for key in [each for each in _loaded if each[0] not in there]:
        del _loaded[key]


def loaded(found: Entry) -> Any:
    """The model of a line if it is loaded already, on whatever device; else None."""
    return next((model for (line, _), model in list(_loaded.items()) if line == repr(found)), None)


def make(found: Entry, place: torch.device) -> Any:
    """The model of a line, loaded anew."""
    module = importlib.import_module(found.module)
    return module.load(place) if found.own is None else module.load_own(found.own, place)


def card(found: Entry) -> ModelCard:
    """Where the model of a line comes from and what it may be used for."""
    module = importlib.import_module(found.module)
    described: ModelCard = module.CARD if found.own is None else module.card(found.own)
    return described
