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


def search_precision(device: torch.device) -> torch.dtype:
    """What a search's fast path computes in: bfloat16 where the hardware multiplies it natively, else float32.

    A processor without such instructions emulates them, which is slower than float32.
    """
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device.type == "cpu":
        asked = [getattr(torch.cpu, name, None) for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported")]
        native = any(question() for question in asked if question is not None)
    else:
        native = False
    return torch.bfloat16 if native else torch.float32
