"""Tensors of a weight file that somebody brings: read without running anything in it, and put into a network key by key."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from core.errors import LiminalError

WRAPPINGS = ("G_ema", "g_ema", "params_ema", "state_dict", "model_state_dict", "net_model", "network", "model")
"""Keys under which training code stores the tensors."""


def read_tensors(path: Path) -> dict[str, Tensor]:
    """A .safetensors file, or a state dict of torch.save (.pt, .pth, .bin) -> its tensors by name, on the CPU.

    Raises LiminalError where it is neither, holds code, or holds values that are not finite; the first such key is named.
    """
    tensors = _safetensors(path) if path.suffix == ".safetensors" else _state_dict(path)
    refuse_nan(tensors, path)
    return tensors


def _safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise LiminalError(f"{path.name} is damaged or no safetensors file; copy or download it again.") from error


def _state_dict(path: Path) -> dict[str, Tensor]:
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
    for key in WRAPPINGS:
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


def refuse_nan(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Raise LiminalError that names the first tensor with a value that is not finite."""
    for key, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise LiminalError(f"'{key}' in {path.name} holds values that are not finite (NaN); the file cannot be used.")


def fill(network: nn.Module, tensors: Mapping[str, Tensor], path: Path, called: Callable[[str], str] = lambda key: key) -> None:
    """Load strictly. Raises LiminalError that names the first key that is missing, of another shape, or unknown.

    called: the network's key -> what the file calls it.
    """
    own = {called(key): key for key in network.state_dict()}
    wanted = {called(key): tensor for key, tensor in network.state_dict().items()}
    for key, tensor in wanted.items():
        if key not in tensors:
            raise LiminalError(f"{path.name} lacks '{key}'; these weights belong to another network.")
        if tensors[key].shape != tensor.shape:
            raise LiminalError(
                f"'{key}' in {path.name} has the shape {tuple(tensors[key].shape)}, the network needs {tuple(tensor.shape)}; these "
                "weights belong to another network."
            )
    extra = next((key for key in tensors if key not in wanted), None)
    if extra is not None:
        raise LiminalError(f"'{extra}' in {path.name} is unknown to this network; these weights belong to another one.")
    network.load_state_dict({own[key]: tensors[key].to(tensor.dtype) for key, tensor in wanted.items()})
