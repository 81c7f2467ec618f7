"""Choose the device and the precision that networks run in, and run them in padded chunks of one fixed size.

Three kinds of device: ``cpu``, ``cuda`` (also AMD's, through ROCm) and ``mps`` (Apple). LIMINAL_DEVICE overrides the choice.
Floating point sums differ between batch sizes (other kernels, other orders). A chunk is therefore always ``size`` rows, filled up
with zeros, so that a row's result is the same to the byte however many rows were asked for. Where the device's
memory is too small for a chunk, half as many rows go together.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from core.errors import LiminalError
from core.lazy_import import lazy_import
from core.progress import send_notice

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:  # imported by pages that paint before PyTorch is there
    torch = lazy_import("torch")

Network = TypeVar("Network", bound="torch.nn.Module")

DEVICE_TYPES = ("cpu", "cuda", "mps")
"""Devices that models are tried on, the last choice first."""

PRECISIONS = ("float16", "bfloat16", "float32")
"""By the names that options have, which are PyTorch's."""

OUT_OF_MEMORY_PHRASES = ("out of memory", "not enough memory", "can't allocate memory", "cannot allocate memory", "_alloc_failed")
"""Parts of the messages of libraries that raise a plain RuntimeError: MPS, the processor's allocator, cuDNN and cuBLAS."""


@contextmanager
def use_torch_threads(number: int) -> Iterator[None]:
    """Torch computes with so many threads in here: sums over other numbers of threads may differ in their last bits, and steps of a
    millisecond are slower with two than with one."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def choose_device(name: str | None = None) -> torch.device:
    """The device to run on: ``name``, else LIMINAL_DEVICE, else CUDA, MPS, CPU in that order.

    Raises LiminalError for what is no device, or is not in this machine.
    """
    choice = (name or os.environ.get("LIMINAL_DEVICE") or "auto").strip().lower()
    if choice == "auto":
        device = torch.device("cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu")
    else:
        device = _parse_device(choice)
    if device.type == "cuda":
        # The same seed gives the same bytes, and a picture those of the float32 that its verdict was calibrated in: no TF32,
        # whose 10-bit products move outputs by about 1e-3, and no choice of kernels by speed.
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True
    return device


def _parse_device(choice: str) -> torch.device:
    try:
        device = torch.device(choice)
    except RuntimeError as error:
        raise LiminalError(f"'{choice}' is no device; use cpu, cuda, cuda:1 or mps.") from error
    if device.type not in DEVICE_TYPES:
        raise LiminalError(f"'{choice}' is no device that models are tried on; use cpu, cuda, cuda:1 or mps.")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise LiminalError("No CUDA device was found; unset LIMINAL_DEVICE or set it to cpu.")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        present = ", ".join(f"cuda:{index}" for index in range(torch.cuda.device_count()))
        raise LiminalError(f"There is no device {choice} in this machine; there is {present}.")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise LiminalError("This machine has no MPS device (Apple's graphics); unset LIMINAL_DEVICE or set it to cpu.")
    return device


def freeze_network(network: Network, device: torch.device, *, channels_last: bool = False) -> Network:
    """The network itself, on ``device``, as models use it: in evaluation mode, its parameters without gradients.

    channels_last: the memory format in which a processor convolves small batches faster (measured model by model).
    """
    network = network.to(device)
    if channels_last:
        network = network.to(memory_format=torch.channels_last)
    return network.eval().requires_grad_(False)


def choose_search_precision(device: torch.device) -> torch.dtype:
    """What a search's fast path computes in: bfloat16 where the hardware multiplies it natively, else float32.

    A processor without such instructions emulates them, which is slower than float32. Never for a verdict: dlib's network in
    bfloat16 moves distances by 0.0014 on average and 0.011 at most, and of 40,755 pairs of generated faces 0.44 % changed sides
    of its threshold, 3 for every 100 that it accepts.
    """
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device.type == "cpu":
        checks = [getattr(torch.cpu, name, None) for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported")]
        native = any(question() for question in checks if question is not None)
    else:
        native = False
    return torch.bfloat16 if native else torch.float32


def choose_picture_precision(device: torch.device) -> torch.dtype:
    """What large networks that only make pictures compute in: float16 on graphics cards, else float32.

    It holds for all of a diffusion decoder and for the highest resolutions of StyleGAN2, which was trained so.

    Half the memory and several times the speed there; a processor has no use for it (dlib's network took twice as long in float16).
    The picture that comes out is judged as it is, so that its precision changes what is made, never a verdict on it.
    """
    return torch.float32 if device.type == "cpu" else torch.float16


def find_precision(name: str, device: torch.device) -> torch.dtype:
    """The precision that an option names; "auto": that of pictures on this device (``choose_picture_precision``)."""
    precision: torch.dtype = choose_picture_precision(device) if name == "auto" else getattr(torch, name)
    return precision


def ran_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that the device's memory was too small: CUDA's, MPS's, the processor's or NumPy's."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in OUT_OF_MEMORY_PHRASES)


def free_cached(device: torch.device) -> None:
    """Empty the allocator's cache, so that a smaller attempt finds room."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def release_memory() -> None:
    """Give freed memory back to the system where the C library keeps it (glibc): files that were read leave 200 MB behind."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none, and keeps nothing
        if trim is not None:
            trim(0)


def run_in_chunks(network: Callable[[Tensor], Tensor], rows: Tensor, size: int) -> Tensor:
    """Run ``network`` over ``rows`` (N, ...) in chunks of exactly ``size`` rows -> (N, ...). Differentiable.

    Where the device's memory is too small for a chunk, half as many rows go together, and a notice says so (log, terminal and
    page): the last bits of the results may then differ. Raises LiminalError where not even one row fits.
    """
    while True:
        try:
            return _run_chunks(network, rows, size)
        except (MemoryError, RuntimeError) as error:
            if not ran_out_of_memory(error):
                raise
            if size == 1:
                raise LiminalError(
                    f"The memory of {rows.device} is too small for this model, even for one picture at a time; close what else "
                    "uses it, or set LIMINAL_DEVICE=cpu."
                ) from error
        # outside the except clause, so that the tensors of the failed attempt are free
        send_notice(f"Not enough memory on {rows.device} for {size} pictures at a time; going on with {size // 2}.")
        size //= 2
        free_cached(rows.device)


def _run_chunks(network: Callable[[Tensor], Tensor], rows: Tensor, size: int) -> Tensor:
    if len(rows) == 0:
        probe = network(rows.new_zeros((size, *rows.shape[1:])))
        return probe[:0]
    results = []
    for start in range(0, len(rows), size):
        chunk = rows[start : start + size]
        missing = size - len(chunk)
        if missing:
            chunk = torch.cat([chunk, chunk.new_zeros((missing, *chunk.shape[1:]))])
        result = network(chunk)
        results.append(result[: size - missing])
    return torch.cat(results) if len(results) > 1 else results[0]
