"""Ray: the same bytes as one process, whatever dies meanwhile."""

import os
import signal
from functools import partial

import pytest

from core.errors import LiminalError
from core.progress import Progress
from core.sampling.configuration import IdentityConfiguration
from core.sampling.datasets import running
from core.sampling.datasets.plan import parse_plan
from core.sampling.datasets.running import run_plan
from tests.sampling.datasets.small_plan import BATCHES, make_tiny, small_plan, tables

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install -r requirements-ray.txt (make test does it)")

REAL = {
    "generator": "dcgan",
    "identity": {
        "batches": 1,
        "bases_per_batch": 2,
        "face_checks": 0,
        "faces_needed": 0,
        "iterations": 2,
        "judges": ["dlib"],
        "classifiers": ["mini-xception"],
        "targets": [0.4],
        "interpolation_steps": [0.5],
        "positive_steps": [0.2],
    },
}
"""A plan of the real networks, as little as can be."""


@pytest.fixture(scope="module")
def two_workers():
    with running.connect_ray(2) as there:
        yield there


def test_the_real_networks_give_the_same_bytes_in_workers(two_workers, tmp_path):
    plan = parse_plan(REAL)
    one, many = tmp_path / "one", tmp_path / "many"
    assert run_plan(plan, many, ray=True).finished
    assert run_plan(plan, one).finished
    assert len(tables(one)) == 5
    assert tables(one) == tables(many)


def test_what_goes_wrong_in_a_worker_is_one_sentence(two_workers, tmp_path):
    def refuse(piece):
        raise LiminalError("No base face was found; use another generator.")

    def fail(piece):
        raise ValueError("unexpected\nlines")

    with pytest.raises(LiminalError, match=r"^No base face was found"):
        run_plan(small_plan(), tmp_path / "a", ray=True, maker=refuse)
    with pytest.raises(LiminalError, match=r"A worker failed \(ValueError: unexpected\)"):
        run_plan(small_plan(), tmp_path / "b", ray=True, maker=fail)


def test_more_threads_than_processors_are_refused(two_workers, tmp_path):
    with pytest.raises(LiminalError, match="needs 64 processors but Ray has 2"):
        run_plan(small_plan(), tmp_path / "set", ray=True, threads=64, maker=make_tiny)


def test_a_set_that_is_spread_is_the_same_set(two_workers, monkeypatch):
    import torch

    from core.sampling.identity import IdentityPanel, generate_identity_set
    from tests.fakes import fake_panel

    def tiny(piece, threads):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(IdentityPanel, "load", classmethod(lambda cls, configuration: fake_panel()))
            return piece.make()

    monkeypatch.setattr(running, "_make_sample_set", tiny)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    configuration = IdentityConfiguration(seed=3, bases_per_batch=3, iterations=2, sigma=0.5)
    spread = dict(running.generate_identity_set_on_ray(configuration, 3, Progress()).files())
    whole = dict(generate_identity_set(configuration, 3, panel=fake_panel()).files())
    assert {name for name in spread if spread[name] != whole[name]} <= {"manifest.json"}  # which holds seconds
    assert spread.keys() == whole.keys()


def test_a_run_goes_on_side_by_side_and_a_worker_that_dies_costs_its_piece_alone(two_workers, tmp_path):
    """The last piece's worker dies: the other one is free then, and no third has to load the networks."""
    log, died, last = tmp_path / "log", tmp_path / "died", BATCHES - 1

    def make(piece):
        files = make_tiny(piece, str(log))
        if piece.number == last and not died.exists():
            died.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return files

    run_plan(small_plan(), tmp_path / "set", maker=partial(make_tiny, log=str(log)), most=2)
    done = run_plan(small_plan(), tmp_path / "set", ray=True, maker=make)
    assert (done.pieces_made, done.finished) == (BATCHES - 2, True)
    assert died.exists()
    run_plan(small_plan(), tmp_path / "one", maker=make_tiny)
    assert tables(tmp_path / "set") == tables(tmp_path / "one")
    assert sorted(map(int, log.read_text().split())) == [*range(BATCHES), last]  # each once, and that one again


def test_without_ray_it_says_how_to_install_it(monkeypatch):
    import builtins

    usual = builtins.__import__
    monkeypatch.setattr(
        builtins, "__import__", lambda name, *rest: (_ for _ in ()).throw(ImportError) if name == "ray" else usual(name, *rest)
    )
    with pytest.raises(LiminalError, match=r"requirements-ray\.txt"):
        running.require_ray()


def test_all_kinds_of_generate_can_go_to_ray():
    import argparse

    from core.commands import generate

    parser = argparse.ArgumentParser()
    generate.add_arguments(parser)
    for words in (
        ["identity", "--out", "x"],
        ["emotion", "--pair", "fear", "surprise", "--out", "x"],
        ["study", "--plan", "y", "--out", "x"],
    ):
        assert parser.parse_args([*words, "--on", "ray", "--workers", "2"]).on == "ray"
    with pytest.raises(LiminalError, match="--workers must be at least 1"):
        generate.check_workers(argparse.Namespace(workers=0))
