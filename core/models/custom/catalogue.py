"""Which models can be added and which were: the classes of models, ``models.json``, and the folder of precomputed data.

``CLASSES`` says of each class of model which kind it is, which code runs it, and what its source and options are. ``models.json``
in the data folder lists the models that the user added. What was computed in advance for one of them (a generator's gallery and
reference population, a recogniser's or classifier's scores of such faces), so that pages need not wait for its network, lies in
``prepared/<model>``; it belongs to one set of weights and is deleted when the model is removed or replaced. Nothing here imports
torch, so that pages can list names.
"""

from __future__ import annotations

import importlib
import json
import math
import shutil
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.data_folder import data_folder, locate_data_folder
from core.errors import LiminalError
from core.writing import write_bytes

if TYPE_CHECKING:
    from core.models.contracts import ModelKind


@dataclass(frozen=True)
class ModelClass:
    """A class of custom models.

    module: where its functions are (see ``find_code``): ``make_card(custom) -> ModelCard`` and ``load_custom(custom, device) ->
    model``; where there are options, ``validate_options(custom, root) -> options`` checks them and fills in what is guessed from
    the weights; where a source is no file, ``find_source(source) -> FetchedSource``; and ``list_outputs(custom)`` where a
    classifier names its own outputs.
    """

    kind: ModelKind
    module: str
    title: str
    source: str  # what the user has to name, in plain words
    options: Mapping[str, str] = field(default_factory=dict)  # name -> meaning


CHECKPOINT_OPTIONS = {
    "order": "data set whose class numbers the outputs follow: affectnet-8, affectnet-7, raf-db or resemotenet",
    "labels": "which output means which emotion, where that is wrong: emotion -> number or label",
}

CLASSES: Mapping[str, ModelClass] = {
    "stylegan2": ModelClass(
        "generator",
        "core.models.custom.stylegan2",
        "StyleGAN2 face generator",
        "an official .pkl file, or a .safetensors or .pt file with the G_ema weights",
        {
            "space": "z, or w for the mapped latents",
            "truncation": "1 for all faces, 0.7 for more usual ones",
            "noise": "const, none, or a whole number that draws it anew",
            "clamp": "limit of the activations, as an official .pkl says, else 256; null for none",
            "label": "the class, for networks that were trained with classes",
            "precision": "of the highest four resolutions: auto (the device's), float16, bfloat16 or float32",
        },
    ),
    "hf-classifier": ModelClass(
        "classifier",
        "core.models.custom.huggingface",
        "Hugging Face emotion classifier",
        "a folder of transformers' save_pretrained, or a hub repository",
        {"labels": "which output means which emotion, where the guess is wrong: emotion -> number or label"},
    ),
    "dan": ModelClass(
        "classifier",
        "core.models.custom.checkpoints:DAN",
        "DAN emotion classifier",
        "a .pth or .safetensors checkpoint of DAN's authors",
        CHECKPOINT_OPTIONS,
    ),
    "resemotenet": ModelClass(
        "classifier",
        "core.models.custom.checkpoints:RESEMOTENET",
        "ResEmoteNet emotion classifier",
        "a .pth or .safetensors checkpoint of ResEmoteNet's authors",
        CHECKPOINT_OPTIONS,
    ),
    "clip-encoder": ModelClass(
        "encoder",
        "core.models.custom.clip:ENCODER",
        "CLIP image encoder",
        "a folder of a CLIPVisionModelWithProjection, or one in a hub repository, such as h94/IP-Adapter/models/image_encoder",
    ),
    "uvit-prior": ModelClass(
        "prior",
        "core.models.custom.cocog",
        "U-ViT diffusion prior",
        "a .safetensors or .pt file: a checkpoint of CoCoG-2, or what 'python -m core train uvit-prior' wrote",
        {
            "heads": "attention heads, 12 in the published size",
            "betas": "schedule of the noise in training: linear as published, scaled_linear or squaredcos_cap_v2",
            "steps": "length of that schedule, 1000 as published",
        },
    ),
    "clip-mlp": ModelClass(
        "classifier",
        "core.models.custom.clip:CLASSIFIER",
        "Emotion MLP on embeddings",
        "the .safetensors file that 'python -m core train clip-mlp' wrote",
        {"encoder": "name of the encoder whose embeddings it reads; it must have been added before"},
    ),
    "sdxl-ip-adapter": ModelClass(
        "generator",
        "core.models.custom.sdxl",
        "SDXL-Turbo with IP-Adapter",
        "a folder of a StableDiffusionXLPipeline in safetensors, or a hub repository, such as stabilityai/sdxl-turbo",
        {
            "adapter": "IP-Adapter's .safetensors file, or its name on the hub (needed)",
            "prior": "name of the added prior that draws its faces (needed)",
            "classifier": "name of the added clip-mlp that guides and judges between two emotions",
            "prompt": "words beside the embedding",
            "steps": "denoising steps, 1 to 4",
            "strength": "how much the embedding counts beside the prompt, 0 to 1",
            "noise": "a whole number: the same noise for all faces; own: every embedding's own",
            "precision": "auto, float16, bfloat16 or float32",
            "offload": "auto, none, model or sequential: what waits in main memory when the device's is short",
        },
    ),
    "onnx-recogniser": ModelClass(
        "recogniser",
        "core.models.custom.external:ONNX",
        "ONNX face recogniser",
        "a JSON file that describes an .onnx file beside it",
    ),
    "onnx-classifier": ModelClass(
        "classifier",
        "core.models.custom.onnx_classifier",
        "ONNX emotion classifier",
        "a JSON file that describes an .onnx file beside it",
        {"labels": "which output means which emotion, where the description's labels mislead: emotion -> number or label"},
    ),
    "deepface": ModelClass(
        "recogniser",
        "core.models.custom.external:DEEPFACE",
        "DeepFace recogniser",
        "the name of a network of DeepFace: VGG-Face, Facenet512, OpenFace, Facenet or ArcFace",
    ),
}


def find_class(name: str) -> ModelClass:
    """The class of that name. Raises LiminalError with those there are."""
    if name not in CLASSES:
        raise LiminalError(f"There is no class of models called '{name}'; there are {', '.join(CLASSES)}.")
    return CLASSES[name]


def precomputed_folder(model: str) -> Path:
    """The folder of what was precomputed for an added model; it need not exist."""
    return data_folder() / "prepared" / model


def delete_precomputed(model: str) -> None:
    """Delete what was precomputed for a model, and other added models' scores of its faces."""
    shutil.rmtree(precomputed_folder(model), ignore_errors=True)
    for path in precomputed_folder("").glob(f"*/{model}.*"):
        path.unlink(missing_ok=True)
    for path in precomputed_folder("").glob(f"*/thresholds/{model}-*.json"):
        path.unlink(missing_ok=True)


def precomputed_version(model: str) -> int:
    """A number that changes when the model is prepared again; 0 where it is not. Pages cache what they read by it."""
    try:
        return precomputed_folder(model).stat().st_mtime_ns
    except OSError:
        return 0


MODELS_FILE = "models.json"

REREAD_SECONDS = 0.25
"""The file is read again after so long: a page asks for names hundreds of times, and another process rarely changes them."""

_list_lock = threading.RLock()
_models_read: dict[Path, tuple[tuple[int, int], tuple[CustomModel, ...]]] = {}
_read_at: dict[Path, float] = {}


@dataclass(frozen=True)
class CustomModel:
    """One added model: which code runs it, where its weights lie, and their hashes when it was added."""

    name: str
    model_class: str  # a key of ``CLASSES``
    source: str  # an absolute path, or owner/name of a hub repository, or a name that a library knows
    options: Mapping[str, Any] = field(default_factory=dict)
    title: str = ""
    revision: str = ""  # the repository's commit; empty for a path
    files: Mapping[str, str] = field(default_factory=dict)  # path inside the source -> SHA-256
    weights_licence: str = ""
    data_licence: str = ""
    added: str = ""  # ISO date
    facts: Mapping[str, Any] = field(default_factory=dict)  # attributes of the model, for pages that do not load it


def models_path() -> Path:
    """The path of the list."""
    return data_folder() / MODELS_FILE


def list_custom_models() -> tuple[CustomModel, ...]:
    """All added models, in the order in which they were added. Raises LiminalError where the list is damaged."""
    path = locate_data_folder() / MODELS_FILE
    with _list_lock:
        if time.monotonic() - _read_at.get(path, -math.inf) < REREAD_SECONDS:
            return _models_read[path][1]
        return _read_models(path)


def _read_models(path: Path) -> tuple[CustomModel, ...]:
    """The models in the file, which is read where it has changed."""
    now = time.monotonic()
    try:
        stat = path.stat()
        version = stat.st_mtime_ns, stat.st_size
    except OSError:
        version = 0, 0
    if path not in _models_read or _models_read[path][0] != version:
        _models_read[path] = version, _parse_models(path) if any(version) else ()
    _read_at[path] = now
    return _models_read[path][1]


def _parse_models(path: Path) -> tuple[CustomModel, ...]:
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["models"]
        models = tuple(CustomModel(**row) for row in rows)
        sound = all(
            isinstance(model.name, str) and isinstance(model.options, dict) and isinstance(model.files, dict) for model in models
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise LiminalError(f"The list of added models, {path}, is damaged; mend it or delete it and add them again.") from error
    if not sound:
        raise LiminalError(f"The list of added models, {path}, is damaged; mend it or delete it and add them again.")
    return models


def save_custom_model(model: CustomModel) -> None:
    """Add a model to the list, or replace the one of that name; what was precomputed for that one is deleted."""
    with _list_lock:
        others = [other for other in _read_models(models_path()) if other.name != model.name]
        _write_models([*others, model])
        delete_precomputed(model.name)


def remove_custom_model(name: str) -> CustomModel:
    """Take a model off the list; its own files stay where they are, what was precomputed for it is deleted.

    Raises LiminalError where there is none of that name.
    """
    with _list_lock:
        models = _read_models(models_path())
        removed = next((model for model in models if model.name == name), None)
        if removed is None:
            names = ", ".join(model.name for model in models) or "none so far"
            raise LiminalError(f"No added model is called '{name}'; those added are: {names}.")
        _write_models([model for model in models if model is not removed])
        delete_precomputed(name)
        return removed


def _write_models(models: list[CustomModel]) -> None:
    write_bytes(models_path(), (json.dumps({"models": [asdict(model) for model in models]}, indent=1) + "\n").encode())
    _read_at.clear()


CLASS_ORDERS: Mapping[str, tuple[str, ...]] = {
    "affectnet-8": ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger", "contempt"),
    "affectnet-7": ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger"),
    "raf-db": ("surprise", "fear", "disgust", "happy", "sad", "anger", "neutral"),
    "resemotenet": ("happy", "surprise", "sad", "anger", "disgust", "fear", "neutral"),
}
"""Outputs in the order of the data sets' class numbers: AffectNet (Mollahosseini et al. 2017), RAF-DB's basic set (Li et al. 2017,
its 1 to 7 counted from 0), and the order in which ResEmoteNet's authors number the classes of all theirs."""


def find_code(path: str) -> Any:
    """The module of a model, or the object in it that a colon names: it holds the model's functions."""
    module, _, name = path.partition(":")
    code: Any = importlib.import_module(module)
    return getattr(code, name) if name else code
