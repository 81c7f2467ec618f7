"""The inference engine: gathered requests give the same bytes as alone; fair, bounded, and each on its own when something fails."""

import os
import threading
import time

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import Cancelled, LiminalError
from core.models import registry, request_context
from core.models.device import run_in_chunks, use_torch_threads
from core.models.engine import engine as workers_module
from core.models.engine import queue as engine_queue
from core.models.engine.engine import Engine
from core.models.engine.queue import RowCache
from core.models.request_context import RequestContext, use_context

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

    def ask(self, name, network, rows, size, *, cache=False, context=None):
        context = context or RequestContext(name, may_cache=cache)

        def run():
            with use_context(context):
                try:
                    self.results[name] = self.engine.run(network, rows, size, cache=cache)
                except (LiminalError, ValueError, RuntimeError) as error:
                    self.results[name] = error

        thread = threading.Thread(target=run)
        thread.start()
        self.threads.append(thread)
        return context

    def wait(self):
        for thread in self.threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in self.threads)
        return self.results


def queued(engine):
    return len(engine.worker(CPU)._queue)


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
    """An engine whose device, with one worker, is busy until the gate opens, so that what is asked for meanwhile has to queue."""
    engine, gate = Engine(cache=RowCache(10**6), threads=1), threading.Event()
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
    with torch.no_grad(), use_torch_threads(1):  # what a worker of the processor computes with
        return tuple(
            (network, size, rows, run_in_chunks(network, rows, size))
            for network, size, rows in (
                (generator._images, 4, latents),
                (judge.network, 4, grey),
                (convolution, 3, images.contiguous()),
                (convolution, 3, images.contiguous(memory_format=torch.channels_last)),
            )
        )


def same(a, b):
    return torch.equal(a, b) and a.stride() == b.stride()


requests = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 11), st.integers(1, 7)), min_size=1, max_size=7)


@given(requests=requests, caches=st.booleans(), threads=st.integers(1, 3))
@settings(max_examples=20, deadline=None)
def test_gathered_is_to_the_byte_what_it_is_alone(networks, requests, caches, threads):
    engine, gate = Engine(cache=RowCache(10**7), threads=threads), threading.Event()
    crowd, first = Crowd(engine), Slow(gate)
    crowd.ask("first", first, column(0.0), 1)
    assert first.entered.wait(30)
    wanted = {}
    for number, (which, start, count) in enumerate(requests):
        network, size, rows, results = networks[which]
        wanted[number] = results[start : start + count]
        crowd.ask(number, network, rows[start : start + count], size, cache=caches)
    gate.set()
    results = crowd.wait()
    engine.close()
    assert all(same(results[number], alone) for number, alone in wanted.items())


def test_one_visitors_chunks_go_through_all_workers_at_once():
    engine, network, meeting = Engine(threads=3), Slow(), threading.Barrier(3)

    def meets(rows):
        meeting.wait(30)  # broken where the chunks come one after another
        return network(rows)

    assert engine.run(meets, column(*range(6)), 2).flatten().tolist() == [0, 2, 4, 6, 8, 10]
    assert sorted(network.chunks) == [[0, 1], [2, 3], [4, 5]]
    engine.close()


def test_workers_compute_with_one_thread_and_all_others_with_theirs():
    """A row's bytes must not depend on how many cores there are."""
    seen = []
    with use_torch_threads(3):
        engine = Engine(threads=3)

        def network(rows):
            seen.append(torch.get_num_threads())
            return rows

        engine.run(network, column(*range(8)), 2)
        thread = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
        thread.start()
        thread.join()
        assert seen == [1, 1, 1, 1, 3]
        assert torch.get_num_threads() == 3
        assert len(engine.worker(CPU)._threads) == 3
        engine.close()


@pytest.mark.parametrize(("said", "count"), [("1", 1), ("5", 5), ("999", 8), ("", None), ("0", None), ("2,3", None)])
def test_a_processor_has_a_worker_a_core_unless_the_process_has_fewer(said, count, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert Engine().worker(CPU).count == (count or min(8, len(os.sched_getaffinity(0))))
    assert Engine().worker(torch.device("cuda")).count == 1


def test_sessions_share_a_chunk_in_turns(held):
    engine, crowd, gate = held
    network = Slow()
    crowd.ask("many", network, column(1, 2, 3, 4, 5, 6), 4)
    until(lambda: queued(engine) == 1)
    crowd.ask("one", network, column(7), 4)
    crowd.ask("two", network, column(8, 9), 4)
    until(lambda: queued(engine) == 3)
    gate.set()
    results = crowd.wait()
    assert sorted(network.chunks[0]) == [1, 2, 7, 8]  # not the first four of whoever came first
    assert len(network.chunks) == 3
    assert results["many"].flatten().tolist() == [2, 4, 6, 8, 10, 12]
    assert results["two"].flatten().tolist() == [16, 18]


def test_whoever_asks_for_much_does_not_keep_others_waiting(held):
    engine, crowd, gate = held
    order = []

    class Noted:
        def __init__(self, name):
            self.name = name

        def __call__(self, rows):
            order.append(self.name)
            return rows

    crowd.ask("much", Noted("much"), column(*range(20)), 1)
    until(lambda: queued(engine) == 1)
    crowd.ask("little", Noted("little"), column(1), 1)
    until(lambda: queued(engine) == 2)
    gate.set()
    crowd.wait()
    assert order.index("little") <= 1
    assert order.count("much") == 20


def test_an_error_reaches_only_whoever_asked_for_that_row(held):
    engine, crowd, gate = held
    network = Slow()
    for name, values in (("fine", (1, 2)), ("bad", (13,)), ("fine too", (4,))):
        crowd.ask(name, network, column(*values), 4)
    until(lambda: queued(engine) == 3)
    gate.set()
    results = crowd.wait()
    assert isinstance(results["bad"], ValueError)
    assert results["fine"].flatten().tolist() == [2, 4]
    assert results["fine too"].flatten().tolist() == [8]


def test_a_network_that_ends_its_thread_ends_nobody_elses_work(held):
    engine, crowd, gate = held

    def leave(rows):
        raise SystemExit

    crowd.ask("leaves", leave, column(1), 1)
    until(lambda: queued(engine) == 1)
    crowd.ask("stays", Slow(), column(2), 1)
    gate.set()
    results = crowd.wait()
    assert isinstance(results["leaves"], RuntimeError)
    assert results["stays"].flatten().tolist() == [4]


def test_who_leaves_is_out_of_the_queue_and_others_get_what_they_shared(held):
    engine, crowd, gate = held
    network = Slow()
    leaving = crowd.ask("leaves", network, column(1, 2), 4, cache=True, context=RequestContext("leaves", may_cache=True))
    until(lambda: queued(engine) == 1)
    crowd.ask("stays", network, column(2, 3), 4, cache=True)
    until(lambda: queued(engine) == 2)
    leaving.cancel.set()
    until(lambda: isinstance(crowd.results.get("leaves"), Cancelled))
    gate.set()
    assert crowd.wait()["stays"].flatten().tolist() == [4, 6]
    assert sorted(network.chunks[0]) == [0, 0, 2, 3]  # the row that nobody waits for any more is not computed


def test_a_row_that_two_ask_for_at_once_is_computed_once(held):
    engine, crowd, gate = held
    network = Slow()
    for name in "abc":
        crowd.ask(name, network, column(5, 6), 8, cache=True)
    until(lambda: queued(engine) == 1 and engine.worker(CPU).statistics.shared == 4)
    gate.set()
    results = crowd.wait()
    assert network.chunks == [[5, 6, 0, 0, 0, 0, 0, 0]]
    assert all(results[name].flatten().tolist() == [10, 12] for name in "abc")
    assert len({results[name].data_ptr() for name in "abc"}) == 3  # each has a copy of its own


def test_what_is_kept_is_not_computed_again_and_cannot_be_changed():
    engine, network = Engine(cache=RowCache(10**6)), Slow()
    with use_context(RequestContext("one", may_cache=True)):
        first = engine.run(network, column(1, 2), 4, cache=True)
        first.zero_()
        again = engine.run(network, column(2, 1), 4, cache=True)
        single = engine.run(network, column(1), 4, cache=True)
        single.zero_()
        assert engine.run(network, column(1), 4, cache=True).item() == 2
    assert again.flatten().tolist() == [4, 2]
    assert len(network.chunks) == 1
    with use_context(RequestContext("two")):  # the command line keeps nothing
        engine.run(network, column(1), 4, cache=True)
    assert len(network.chunks) == 2


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 40)), max_size=20), st.integers(0, 400))
@settings(max_examples=40, deadline=None)
def test_what_is_kept_stays_within_its_bytes(puts, most):
    kept, now = RowCache(most), {}
    for name, size in puts:
        row = torch.full((1, size), float(name))
        kept.put(("network", bytes([name])), row)
        now[name] = row if 4 * size <= most else now.get(name)
        assert kept.bytes <= most
    known = [name for name in range(10) if kept.get(("network", bytes([name]))) is not None]
    assert kept.bytes == sum(4 * now[name].numel() for name in known)
    if puts and 4 * puts[-1][1] <= most:
        assert puts[-1][0] in known
    for name in known:
        assert torch.equal(kept.get(("network", bytes([name]))), now[name])


def test_small_rows_are_bounded_in_number(monkeypatch):
    monkeypatch.setattr(engine_queue, "MAX_ROWS", 3)
    kept = RowCache(10**6)
    for name in range(5):
        kept.put(("network", bytes([name])), torch.full((1, 6), float(name)))
    assert [name for name in range(5) if kept.get(("network", bytes([name]))) is not None] == [2, 3, 4]
    assert (len(kept), kept.bytes) == (3, 3 * 24)


def test_a_device_has_one_worker_by_all_its_names():
    """Models are put on 'cuda', and their tensors say 'cuda:0': a turn at the one must hold up requests at the other."""
    engine = Engine()
    for kind in ("cuda", "mps", "cpu"):
        assert engine.worker(torch.device(kind)) is engine.worker(torch.device(kind, 0))
    assert engine.worker(torch.device("cuda", 1)) is not engine.worker(torch.device("cuda"))


def test_the_queue_is_bounded_and_says_so(held):
    engine, crowd, gate = held
    engine.worker(CPU).max_waiting = 2
    for name in range(2):
        crowd.ask(name, Slow(), column(name), 1)
    until(lambda: queued(engine) == 2)
    with use_context(RequestContext("late")), pytest.raises(LiminalError, match="try again in a minute"):
        engine.run(Slow(), column(1), 1)
    gate.set()
    assert [crowd.wait()[name].item() for name in range(2)] == [0, 2]


def test_a_waiting_page_hears_how_many_are_ahead_and_may_leave(held):
    engine, crowd, _ = held
    for name in range(3):
        crowd.ask(name, Slow(), column(name), 1)
        until(lambda name=name: queued(engine) == name + 1)
    heard = []

    def told(ahead):
        heard.append(ahead)
        raise Cancelled  # as a page's script that is stopped

    crowd.ask("page", Slow(), column(9), 1, context=RequestContext("page", on_wait=told))
    until(lambda: "page" in crowd.results)
    assert heard == [3]
    assert isinstance(crowd.results["page"], Cancelled)
    assert queued(engine) == 3


def test_a_turn_waits_for_the_device_and_others_wait_for_the_turn(held):
    engine, crowd, gate = held
    inside, leave, order = threading.Event(), threading.Event(), []

    def climb():
        with use_context(RequestContext("climber")), engine.device_turn(CPU):
            inside.set()
            order.append("turn")
            engine.run(Slow(), column(1), 4)  # within its own turn a thread goes on at once
            assert leave.wait(30)
            order.append("over")

    climber = threading.Thread(target=climb)
    climber.start()
    until(lambda: queued(engine) == 1)
    crowd.ask("other", lambda rows: order.append("other") or rows, column(1), 1)
    until(lambda: queued(engine) == 2)
    assert not inside.is_set()
    gate.set()
    assert inside.wait(30)
    time.sleep(0.05)
    assert order == ["turn"]
    leave.set()
    climber.join(30)
    crowd.wait()
    assert order == ["turn", "over", "other"]


def test_a_turn_that_is_never_given_back_does_not_stop_others(held, monkeypatch):
    monkeypatch.setattr(workers_module, "MAX_TURN_SECONDS", 0.05)
    engine, crowd, gate = held
    leave = threading.Event()

    def hold():
        with use_context(RequestContext("holder")), engine.device_turn(CPU):
            leave.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    until(lambda: queued(engine) == 1)
    crowd.ask("other", Slow(), column(3), 1)
    gate.set()
    assert crowd.wait()["other"].item() == 6
    assert holder.is_alive()
    leave.set()
    holder.join(30)


def test_a_network_that_never_comes_back_does_not_stop_others(monkeypatch):
    monkeypatch.setattr(workers_module, "STUCK_SECONDS", 0.05)
    engine, gate = Engine(cache=RowCache(0), threads=1), threading.Event()
    crowd = Crowd(engine)
    stuck = Slow(gate)
    crowd.ask("stuck", stuck, column(1), 1, cache=True)
    assert stuck.entered.wait(30)
    crowd.ask("other", Slow(), column(2), 1)
    until(lambda: "other" in crowd.results)
    assert crowd.results["other"].item() == 4
    stuck.gate = None
    crowd.ask("same row", stuck, column(1), 1, cache=True)  # must not join those that the stuck one keeps waiting
    until(lambda: "same row" in crowd.results)
    assert crowd.results["same row"].item() == 2
    gate.set()
    assert crowd.wait()["stuck"].item() == 2


def test_a_network_may_ask_another_one():
    """The worker does not wait for itself."""
    engine, inner = Engine(cache=RowCache(0), threads=1), Slow()
    crowd = Crowd(engine)
    crowd.ask("outer", lambda rows: engine.run(inner, rows, 2) + 1, column(1, 2), 2)
    until(lambda: "outer" in crowd.results)
    assert crowd.wait()["outer"].flatten().tolist() == [3, 5]
    engine.close()


def test_a_closed_engine_lets_everybody_go(held):
    engine, crowd, gate = held
    crowd.ask("waits", Slow(), column(1), 1)
    until(lambda: queued(engine) == 1)
    closing = threading.Thread(target=engine.close)
    closing.start()
    until(lambda: isinstance(crowd.results.get("waits"), Cancelled))
    gate.set()
    closing.join(30)
    with use_context(RequestContext("late")), pytest.raises(Cancelled):
        engine.run(Slow(), column(1), 1)


def test_a_closed_engine_lets_go_whoever_waits_for_a_row_of_somebody_else(held):
    engine, crowd, gate = held
    network = Slow()
    for place, (name, values) in enumerate({"asks": [1], "shares and asks": [1, 2], "shares": [2]}.items()):
        crowd.ask(name, network, column(*values), 1, cache=True)
        until(lambda place=place: engine.worker(CPU).statistics.shared == place)
    closing = threading.Thread(target=engine.close)
    closing.start()
    until(lambda: len(crowd.results) == 3)
    assert all(isinstance(crowd.results[name], Cancelled) for name in ("asks", "shares and asks", "shares"))
    gate.set()
    closing.join(30)
    assert not network.chunks


def test_with_a_gradient_everything_stays_in_its_own_thread():
    from core.models.engine.engine import batched

    threads = []

    def network(rows):
        threads.append(threading.current_thread())
        return rows**2

    rows = column(1, 2, 3).requires_grad_()
    batched(network, rows, 4).sum().backward()
    assert rows.grad.flatten().tolist() == [2, 4, 6]
    assert threads == [threading.current_thread()]


def test_visits_belong_to_their_thread():
    seen = []
    with use_context(RequestContext("here")):
        thread = threading.Thread(target=lambda: seen.append(request_context.current_context().session))
        thread.start()
        thread.join()
        assert request_context.current_context().session == "here"
    assert seen[0].startswith("thread-")
