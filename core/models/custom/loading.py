"""What all added models need to load: their card, strict reading of weights, checks of option values, optional libraries.

Weight files come from strangers: tensors are read without running anything in the file and put into a network key by key; a network
of transformers is read with nothing missing, nothing of another shape and no code. Every LiminalError names the first key that is
wrong. A library that only some models need is asked for by ``require_library``, with the command that installs it. In option values
JSON's true is no number, though Python takes it for 1.
"""

from __future__ import annotations

import importlib.util
import json
import math
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from core.errors import LiminalError
from core.lazy_import import lazy_import
from core.models.contracts import NOT_FOR, ModelCard
from core.models.custom.catalogue import CustomModel, find_class
from core.models.custom.sources import list_weight_files
from core.models.weights import WeightFile

if TYPE_CHECKING:
    import diffusers.utils.logging as diffusers_logging
    import safetensors
    import safetensors.torch as safetensors_torch
    import transformers.utils.logging as transformers_logging
else:  # each is loaded with the first model that needs it
    safetensors, safetensors_torch = lazy_import("safetensors"), lazy_import("safetensors.torch")
    transformers_logging, diffusers_logging = lazy_import("transformers.utils.logging"), lazy_import("diffusers.utils.logging")

INSTALL_COMMANDS = {
    "transformers": "pip install -r requirements-models.txt",
    "accelerate": "pip install -r requirements-models.txt",
    "onnxruntime": "pip install onnxruntime",
    "deepface": "pip install deepface tf-keras",
}


def require_library(library: str, purpose: str) -> None:
    """Raise LiminalError with the command that installs a library where it is missing."""
    try:
        present = importlib.util.find_spec(library) is not None
    except (ImportError, ValueError):  # a fake module in sys.modules has no specification
        present = True
    if not present:
        raise LiminalError(f"{purpose} need the library {library}, which is not installed; run '{INSTALL_COMMANDS[library]}'.")


def is_whole_number(value: Any, least: int, most: float = math.inf) -> bool:
    """A whole number from ``least`` to ``most``."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def is_number(value: Any) -> bool:
    """A finite number that a float can hold."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


NOT_STATED = "not stated"


def make_custom_card(
    custom: CustomModel,
    source: str,
    *,
    input_size: int = 0,
    weights_licence: str = NOT_STATED,
    data_licence: str = NOT_STATED,
    not_for: str = "",
    files: tuple[WeightFile, ...] | None = None,
) -> ModelCard:
    """The card of an added model; the date when it was added follows its ``source``.

    input_size: 0 where only the weights tell. The licences hold where the user named none.
    not_for: in addition to NOT_FOR of its kind. files: None for those of its source.
    """
    kind = find_class(custom.model_class).kind
    return ModelCard(
        name=custom.name,
        title=custom.title,
        kind=kind,
        source=f"{source}; added on {custom.added}",
        weights_licence=custom.weights_licence or weights_licence,
        data_licence=custom.data_licence or data_licence,
        input_size=input_size,
        not_for=f"{NOT_FOR[kind]}; {not_for}" if not_for else NOT_FOR[kind],
        files=list_weight_files(custom) if files is None else files,
    )


def describe_outputs(custom: CustomModel) -> str:
    """Which output of an added classifier stands for which emotion, in words for its card."""
    outputs = ", ".join(f"{emotion} {number}" for emotion, number in custom.options.get("labels", {}).items())
    return f"outputs read as {outputs}"


STATE_DICT_KEYS = ("G_ema", "g_ema", "params_ema", "state_dict", "model_state_dict", "net_model", "network", "model")
"""Keys under which training code stores the tensors."""


def read_tensors(path: Path) -> dict[str, Tensor]:
    """A .safetensors file, or a state dict of torch.save (.pt, .pth, .bin) -> its tensors by name, on the CPU.

    Raises LiminalError where it is neither, holds code, or holds values that are not finite; the first such key is named.
    """
    tensors = _read_safetensors(path) if path.suffix == ".safetensors" else _read_state_dict(path)
    reject_nan(tensors, path)
    return tensors


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return safetensors_torch.load_file(path)
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise LiminalError(f"{path.name} is damaged or no safetensors file; copy or download it again.") from error


def _read_state_dict(path: Path) -> dict[str, Tensor]:
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, AttributeError) as error:
        raise LiminalError(
            f"{path.name} holds code besides its tensors, which is never run; save the network's state_dict() alone, best as "
            ".safetensors."
        ) from error
    except Exception as error:  # damaged bytes can end in any exception, says the documentation of pickle
        raise LiminalError(
            f"{path.name} is damaged or no file of torch.save; save the network's state_dict() as .safetensors."
        ) from error
    for key in STATE_DICT_KEYS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not content:
        raise LiminalError(f"{path.name} holds no state_dict but a {type(content).__name__}; save the network's state_dict().")
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise LiminalError(
                f"'{name}' in {path.name} is no tensor but a {type(value).__name__}; save the network's state_dict()."
            )
    return content


def reject_nan(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Raise LiminalError that names the first tensor with a value that is not finite."""
    for key, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise LiminalError(f"'{key}' in {path.name} holds values that are not finite (NaN); the file cannot be used.")


def fill_network(
    network: nn.Module, tensors: Mapping[str, Tensor], path: Path, called: Callable[[str], str] = lambda key: key
) -> None:
    """Load the tensors strictly. Raises LiminalError that names the first key that is missing, of another shape, or unknown.

    called: the network's key -> its name in the file.
    """
    network_keys = {called(key): key for key in network.state_dict()}
    expected = {called(key): tensor for key, tensor in network.state_dict().items()}
    for key, tensor in expected.items():
        if key not in tensors:
            raise LiminalError(f"{path.name} lacks '{key}'; these weights belong to another network.")
        if tensors[key].shape != tensor.shape:
            raise LiminalError(
                f"'{key}' in {path.name} has the shape {tuple(tensors[key].shape)}, the network needs {tuple(tensor.shape)}; these "
                "weights belong to another network."
            )
    extra = next((key for key in tensors if key not in expected), None)
    if extra is not None:
        raise LiminalError(f"'{extra}' in {path.name} is unknown to this network; these weights belong to another one.")
    network.load_state_dict({network_keys[key]: tensors[key].to(tensor.dtype) for key, tensor in expected.items()})


def read_pretrained(network_class: Any, root: Path, **more: Any) -> Any:
    """The network, in float32 unless ``more`` says otherwise; an argument that is None is left out.

    Raises LiminalError that names the first key that is missing, of another shape or not finite.
    """
    _disable_progress_bars(network_class)
    options = {"trust_remote_code": False, "dtype": torch.float32} | more
    keywords = {name: value for name, value in options.items() if value is not None}
    try:
        network, report = network_class.from_pretrained(
            root, local_files_only=True, output_loading_info=True, ignore_mismatched_sizes=True, **keywords
        )
    except Exception as error:  # damaged files, code in pickles and other architectures raise many kinds
        reason = str(error).split("\n")[0][:200].rstrip(".")
        raise LiminalError(
            f"The weights in {root} cannot be loaded ({type(error).__name__}: {reason}); choose another model."
        ) from error
    for what, keys in (("are of another shape at", report["mismatched_keys"]), ("lack", report["missing_keys"])):
        first = min((key if isinstance(key, str) else key[0] for key in keys), default=None)
        if first is not None:
            raise LiminalError(f"The weights in {root.name} {what} '{first}'; they belong to another network.")
    reject_nan(network.state_dict(), root)
    return network


def _disable_progress_bars(network_class: Any) -> None:
    """Switch off the libraries' progress bars: pages and commands show their own."""
    quiet: Any = transformers_logging.disable_progress_bar
    quiet()
    if network_class.__module__.partition(".")[0] == "diffusers":
        quiet = diffusers_logging.disable_progress_bar
        quiet()


def read_training_configuration(path: Path) -> dict[str, Any]:
    """The configuration on the card that a training command wrote beside weights; empty where there is none."""
    try:
        configuration = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))["configuration"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return dict(configuration) if isinstance(configuration, dict) else {}
