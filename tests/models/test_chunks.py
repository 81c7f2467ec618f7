"""Chunks: a row's result is the same whatever its neighbours."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from core.models.chunks import in_chunks


@given(st.integers(0, 20), st.integers(1, 7))
def test_every_network_call_has_the_fixed_size(rows, size):
    seen = []

    def network(x):
        seen.append(len(x))
        return x * 2

    given_rows = torch.arange(rows * 3, dtype=torch.float32).reshape(rows, 3)
    result = in_chunks(network, given_rows, size)
    assert torch.equal(result, given_rows * 2)
    assert set(seen) == {size}


def test_padding_gets_no_gradient_and_rows_do():
    rows = torch.ones(3, 2, requires_grad=True)
    in_chunks(lambda x: x**2, rows, 4).sum().backward()
    assert torch.equal(rows.grad, torch.full((3, 2), 2.0))
