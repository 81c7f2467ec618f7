"""Networks run in padded chunks of one fixed size, so that a result does not depend on its neighbours.

Floating point sums differ between batch sizes (other kernels, other orders). A chunk is always ``size`` rows, filled up with
zeros, so a row's result is the same to the byte however many rows were asked for (DESIGN.md, Seeds).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from core.errors import LiminalError
from core.models.device import free_cached, ran_out_of_memory
from core.progress import notice


def in_chunks(network: Callable[[Tensor], Tensor], rows: Tensor, size: int) -> Tensor:
    """Run ``network`` over ``rows`` (N, ...) in chunks of exactly ``size`` rows -> (N, ...). Differentiable.

    Where the device's memory is too small for a chunk, half as many rows go together, and a notice says so (log, terminal and
    page): the last bits of the results may then differ. Raises LiminalError where not even one row fits.
    """
    while True:
        try:
            return _in_chunks(network, rows, size)
        except (MemoryError, RuntimeError) as error:
            if not ran_out_of_memory(error):
                raise
            if size == 1:
                raise LiminalError(
                    f"The memory of {rows.device} is too small for this model, even for one picture at a time; close what else "
                    "uses it, or set LIMINAL_DEVICE=cpu."
                ) from error
        # outside the except clause, so that what the failed attempt held is free
        notice(f"Not enough memory on {rows.device} for {size} pictures at a time; going on with {size // 2}.")
        size //= 2
        free_cached(rows.device)


def _in_chunks(network: Callable[[Tensor], Tensor], rows: Tensor, size: int) -> Tensor:
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
