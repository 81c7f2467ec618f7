"""Networks run in padded chunks of one fixed size, so that a result does not depend on its neighbours.

Floating point sums differ between batch sizes (other kernels, other orders). A chunk is always ``size`` rows, filled up with
zeros, so a row's result is the same to the byte however many rows were asked for (DESIGN.md, Seeds).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def in_chunks(network: Callable[[Tensor], Tensor], rows: Tensor, size: int) -> Tensor:
    """Run ``network`` over ``rows`` (N, ...) in chunks of exactly ``size`` rows -> (N, ...). Differentiable."""
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
