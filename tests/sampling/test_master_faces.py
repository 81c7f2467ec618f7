"""Faces that open most phones: planted covers are found, the share is counted on others, and a search beats the strangers."""

import numpy as np
import pytest
import torch

from core.errors import Cancelled, LiminalError
from core.progress import Progress
from core.sampling.gain_search import search_gain
from core.sampling.master_search import OwnersCount, search_masters
from core.sampling.stored.master_faces import cover_greedily, pick_masters, split_owners
from core.sampling.stored.population import Population
from tests.fakes import LATENT_DIM, FakeGenerator, FakeRecogniser, FakeSurrogate


class Measured(FakeRecogniser):
    """A recogniser with dlib's name and metric, which reads the latent back."""

    def __init__(self):
        super().__init__("dlib")

    def distance(self, a, b):
        return torch.linalg.vector_norm(a - b, dim=-1)


def population(vectors):
    return Population("head", np.arange(len(vectors)), {"dlib": np.asarray(vectors, np.float32)}, (), "", "")


def test_the_greedy_cover_takes_what_opens_most_of_the_rest():
    opens = np.zeros((4, 10), bool)
    opens[0, :4], opens[1, 3:9], opens[2, :3], opens[3, 9] = True, True, True, False
    assert cover_greedily(opens, 10) == [1, 0]
    assert cover_greedily(opens, 1) == [1]
    assert cover_greedily(np.zeros((3, 3), bool), 5) == []


def test_the_share_is_counted_on_people_who_had_no_part():
    """Around one person of the picking half stand all owners of that half, and one of four of the other."""
    vectors = 40 * np.eye(40, 64)
    vectors[::2] = 0.1 * np.eye(40, 64)[::2]  # the picking half stands together
    vectors[1:20:4] = 0.1 * np.eye(40, 64)[1:20:4]
    people = population(vectors)
    masters = pick_masters(people, "dlib", 1.0, count=3)
    assert masters.share(1, picking=True).accepted == 19  # never the own phone
    share = masters.share(1)
    assert (share.accepted, share.judged) == (5, 20)
    assert share.low < 0.25 < share.high
    assert masters.opened(1).sum() == 5
    assert not set(masters.owners.picking) & set(masters.owners.counting)


def test_where_nobody_opens_anything_the_nearest_is_shown():
    masters = pick_masters(population(40 * np.eye(20, 64)), "dlib", 1.0)
    assert len(masters.rows) == 1
    assert masters.share(1).accepted == 0


def test_fewer_than_ten_people_are_one_sentence():
    with pytest.raises(LiminalError, match="at least 10 people"):
        split_owners(population(np.eye(9, 64)), "dlib")


@pytest.fixture
def shell():
    """Owners on a shell around a point where nobody stands: that point opens all phones, each of them few."""
    random = np.random.default_rng(0)
    around = random.normal(size=(60, LATENT_DIM))
    return population(1.0 + 1.5 * around / np.linalg.norm(around, axis=1, keepdims=True))


class Seated(FakeGenerator):
    """The people of a population are its seeds' latents."""

    def __init__(self, people):
        super().__init__()
        self.people = torch.from_numpy(people.descriptors["dlib"])

    def sample(self, seeds):
        return self.people[list(seeds)].clone()


@pytest.mark.parametrize("way", ["surrogate", "trials"])
def test_a_search_finds_the_face_that_no_stranger_has(shell, way, monkeypatch):
    surrogate = FakeSurrogate() if way == "surrogate" else None
    monkeypatch.setattr("core.sampling.gain_search._find_surrogate", lambda *_: surrogate)
    limit, notices = 1.65, []
    strangers = pick_masters(shell, "dlib", limit, count=1).share(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("core.sampling.gain_search.send_notice", notices.append)
        found = search_masters(shell, "dlib", limit, count=1, models=(Seated(shell), Measured()))
    share = found.faces.share(1)
    assert strangers.share < 0.6
    assert share.share > 0.9
    assert (share.judged, len(found.pictures)) == (30, 1)
    assert bool(notices) == (way == "trials")
    assert np.linalg.norm(found.latents[0] - 1.0) < 0.6


def test_a_count_without_a_face_is_no_number(shell):
    count = OwnersCount(torch.from_numpy(shell.descriptors["dlib"]), Measured(), 1.0, smooth=False)
    rows = torch.stack([torch.full((LATENT_DIM,), torch.nan), torch.ones(LATENT_DIM)])
    values = count({"dlib": rows}, [0, 1])
    assert torch.isnan(values[0])
    assert torch.isfinite(values[1])


def test_a_stop_in_the_middle_leaves_nothing(shell):
    progress = Progress()
    progress.report = lambda event: progress.cancel.set()
    with pytest.raises(Cancelled):
        search_masters(shell, "dlib", 1.6, count=2, progress=progress, models=(Seated(shell), Measured()))


def test_a_start_without_a_face_is_kept_as_such():
    judge = FakeRecogniser("fake", face_until=-100.0)
    results = search_gain(
        np.zeros((2, LATENT_DIM), np.float32),
        FakeGenerator(),
        [judge],
        lambda descriptors, runs: descriptors["fake"].sum(dim=1),
        surrogate=FakeSurrogate(),
        rounds=1,
    )
    assert [np.isnan(result.gain) for result in results] == [True, True]
