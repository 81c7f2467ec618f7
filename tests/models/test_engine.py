"""The inference engine: gathered requests give the same bytes as alone; fair, bounded, and each on its own when something fails."""

import itertools
import threading
import time

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import Cancelled, LiminalError
from core.models import registry, visits
from core.models.chunks import in_chunks
from core.models.engine import Engine
from core.models.engine import lane as lanes
from core.models.kept_rows import KeptRows
from core.models.visits import Visit, visiting

CPU = torch.device("cpu")


class Slow:
    """Doubles rows; notes the chunks it was given, and waits at the gate for the first one."""

    def __init__(self, gate=None):
        self.gate, self.chunks, self.entered = gate, [], threading.Event()

    def __call__(self, rows):
        self.chunks.append(rows.flatten(1)[:, 0].tolist())
        self.entered.set()
        if self.gate is not None:
            assert self.gate.wait(30)
        if bool((rows == 13).any()):
            raise ValueError("thirteen")
        return rows * 2


class Crowd:
    """Threads that each ask for something as a visitor of their own."""

    def __init__(self, engine):
        self.engine, self.results, self.threads = engine, {}, []

    def ask(self, name, network, rows, size, *, keep=False, visit=None):
        visit = visit or Visit(name, keeps=keep)

        def run():
            with visiting(visit):
                try:
                    self.results[name] = self.engine.run(network, rows, size, keep=keep)
                except (LiminalError, ValueError, RuntimeError) as error:
                    self.results[name] = error

        thread = threading.Thread(target=run)
        thread.start()
        self.threads.append(thread)
        return visit

    def wait(self):
        for thread in self.threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in self.threads)
        return self.results


def queued(engine):
    return len(engine.lane(CPU)._queue)


def until(condition):
    for _ in range(3000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it never came to that")


def column(*values):
    return torch.tensor(values, dtype=torch.float32)[:, None]


@pytest.fixture
def held():
    """An engine whose device is busy until the gate opens, so that what is asked for meanwhile has to queue."""
    engine, gate = Engine(kept=KeptRows(10**6)), threading.Event()
    crowd, first = Crowd(engine), Slow(gate)
    crowd.ask("first", first, column(0.0), 1)
    assert first.entered.wait(30)
    yield engine, crowd, gate
    gate.set()
    crowd.wait()
    engine.close()


@pytest.fixture(scope="module")
def networks():
    """Real ones with their chunk sizes, and rows for them: pictures in both memory layouts."""
    generator, judge = registry.load("dcgan", "generator"), registry.load("tanh-cnn", "classifier")
    with torch.inference_mode():
        latents = generator.sample(range(12))
        images = generator.decode(latents)
    grey = images.mean(dim=1, keepdim=True)[:, :, :48, :48].contiguous()
    convolution = torch.nn.Conv2d(3, 8, 3, stride=2).requires_grad_(False)
    return (
        (generator._images, 4, latents),
        (judge.network, 4, grey),
        (convolution, 3, images.contiguous()),
        (convolution, 3, images.contiguous(memory_format=torch.channels_last)),
    )


def same(a, b):
    return torch.equal(a, b) and a.stride() == b.stride()


requests = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 11), st.integers(1, 7)), min_size=1, max_size=7)


@given(requests=requests, keeps=st.booleans())
@settings(max_examples=25, deadline=None)
def test_gathered_is_to_the_byte_what_it_is_alone(networks, requests, keeps):
    engine, gate = Engine(kept=KeptRows(10**7)), threading.Event()
    crowd, first = Crowd(engine), Slow(gate)
    crowd.ask("first", first, column(0.0), 1)
    assert first.entered.wait(30)
    wanted = {}
    for number, (which, start, count) in enumerate(requests):
        network, size, rows = networks[which]
        with torch.no_grad():
            wanted[number] = in_chunks(network, rows, size)[start : start + count]
        rows = rows[start : start + count]
        crowd.ask(number, network, rows, size, keep=keeps)
    gate.set()
    results = crowd.wait()
    engine.close()
    assert all(same(results[number], alone) for number, alone in wanted.items())
