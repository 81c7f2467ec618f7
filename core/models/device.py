"""Where networks run: chosen once, here."""

from __future__ import annotations

import os

import torch

from core.errors import LiminalError


def choose_device(name: str | None = None) -> torch.device:
    """The device to run on: ``name``, else LIMINAL_DEVICE, else CUDA, MPS, CPU in that order."""
    wanted = name or os.environ.get("LIMINAL_DEVICE") or "auto"
    if wanted == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        if torch.backends.mps.is_available():
            return torch.device("mps")
        return torch.device("cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError as error:
        raise LiminalError(f"'{wanted}' is no device; use cpu, cuda, cuda:1 or mps.") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise LiminalError("No CUDA device was found; unset LIMINAL_DEVICE or set it to cpu.")
    return device
