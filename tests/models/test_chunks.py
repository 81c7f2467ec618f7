"""Chunks: a row's result is the same whatever its neighbours."""

import io

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.commands.terminal import TerminalProgress
from core.errors import LiminalError
from core.models.device import run_in_chunks
from core.progress import Stage, redirect_notices


@given(st.integers(0, 20), st.integers(1, 7))
def test_every_network_call_has_the_fixed_size(rows, size):
    seen = []

    def network(x):
        seen.append(len(x))
        return x * 2

    given_rows = torch.arange(rows * 3, dtype=torch.float32).reshape(rows, 3)
    result = run_in_chunks(network, given_rows, size)
    assert torch.equal(result, given_rows * 2)
    assert set(seen) == {size}


def test_padding_gets_no_gradient_and_rows_do():
    rows = torch.ones(3, 2, requires_grad=True)
    run_in_chunks(lambda x: x**2, rows, 4).sum().backward()
    assert torch.equal(rows.grad, torch.full((3, 2), 2.0))


class Cramped:
    """A device with room for so many rows."""

    def __init__(self, room, error=torch.OutOfMemoryError, words="CUDA out of memory"):
        self.room, self.error, self.words, self.tried = room, error, words, []

    def __call__(self, rows):
        self.tried.append(len(rows))
        if len(rows) > self.room:
            raise self.error(self.words)
        return rows * 2


SAID = [
    (torch.OutOfMemoryError, "CUDA out of memory. Tried to allocate 20.00 MiB"),
    (RuntimeError, "MPS backend out of memory (MPS allocated: 8 GB)"),
    (RuntimeError, "DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes. Error code 12"),
    (RuntimeError, "cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    (MemoryError, "Unable to allocate 3.7 GiB for an array"),
]


@pytest.mark.parametrize(("error", "words"), SAID)
def test_where_memory_is_short_fewer_rows_go_together_and_it_is_said(caplog, error, words):
    network, rows = Cramped(2, error, words), torch.arange(5.0)
    assert torch.equal(run_in_chunks(network, rows, 8), rows * 2)
    assert network.tried == [8, 4, 2, 2, 2]
    assert "for 8 pictures at a time; going on with 4" in caplog.text
    assert "for 4 pictures at a time; going on with 2" in caplog.text


def test_whoever_waits_hears_it_instead_of_the_log(caplog):
    heard = []
    with redirect_notices(heard.append):
        run_in_chunks(Cramped(2), torch.arange(5.0), 4)
    assert heard == ["Not enough memory on cpu for 4 pictures at a time; going on with 2."]
    assert not caplog.text


def test_a_terminal_says_it_once_on_a_line_of_its_own():
    written = io.StringIO()
    with TerminalProgress(written) as shown:
        shown(Stage("Making faces", 0.5))
        run_in_chunks(Cramped(2), torch.arange(5.0), 4)
        run_in_chunks(Cramped(2), torch.arange(5.0), 4)
    assert written.getvalue().splitlines()[1:] == ["Not enough memory on cpu for 4 pictures at a time; going on with 2."]


def test_no_room_for_one_row_is_one_sentence():
    with pytest.raises(LiminalError, match="too small for this model, even for one picture"):
        run_in_chunks(Cramped(0), torch.arange(3.0), 4)


def test_other_errors_are_not_taken_for_it():
    with pytest.raises(RuntimeError, match="of another kind"):
        run_in_chunks(lambda rows: (_ for _ in ()).throw(RuntimeError("of another kind")), torch.arange(3.0), 4)


@pytest.mark.parametrize("outputs", [1, 7, 30])
@pytest.mark.parametrize("inputs", [5, 7, 20, 512])
def test_a_row_of_a_product_hangs_neither_on_its_neighbours_nor_on_where_it_lies(inputs, outputs):
    """What a chunk's fixed size rests on, and MKL does not do by itself on every processor (core/__init__.py)."""
    generator = torch.Generator().manual_seed(inputs)
    weight, bias = torch.randn(outputs, inputs, generator=generator), torch.randn(outputs, generator=generator)
    row = torch.randn(inputs, generator=generator)
    found = []
    for place in range(4):
        for shift in (0, 1, 4):  # numbers behind a multiple of 64 bytes
            chunk = torch.randn(4 * inputs + shift, generator=generator)[shift:].view(4, inputs)
            chunk[place] = row
            found.append(torch.nn.functional.linear(chunk, weight, bias)[place])
    assert all(torch.equal(each, found[0]) for each in found)
