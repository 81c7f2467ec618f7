"""Pairs on which two recognisers part: planted recognisers that look at different things are told apart."""

import numpy as np
import pytest
import torch

from core.errors import Cancelled, LiminalError
from core.progress import Progress
from core.sampling.configuration import CONTROVERSIAL_TYPE, configure_controversial
from core.sampling.controversial_pairs import choose_starts, generate_controversial_pairs
from core.sampling.identity import IdentityPanel
from core.sampling.sample_set import SampleSet
from core.sampling.stored.population import Population
from core.studies.planning import list_stimuli
from tests.fakes import FakeClassifier, FakeGenerator, FakePerceptual, FakeRecogniser, FakeSurrogate

LIMITS = {"dlib": 1.5, "sface": 1.5}


class HalfSeer(FakeRecogniser):
    """Sees the first or the second half of the latent alone."""

    def __init__(self, name, part):
        super().__init__(name, threshold=LIMITS[name])
        self.part = part

    def embed_chips(self, chips):
        return super().embed_chips(chips)[:, self.part]

    def distance(self, a, b):
        return torch.linalg.vector_norm(a - b, dim=-1)


class HalfSurrogate(FakeSurrogate):
    """Predicts both with a smooth error."""

    def descriptors(self, latents, recogniser):
        part = slice(0, 4) if recogniser == "dlib" else slice(4, 8)
        return latents[:, part] + 0.1 * torch.sin(3 * latents[:, part])


@pytest.fixture
def panel():
    judges = [HalfSeer("dlib", slice(0, 4)), HalfSeer("sface", slice(4, 8))]
    return IdentityPanel(FakeGenerator(), judges[0], judges, FakePerceptual(), [FakeClassifier()])


@pytest.fixture
def population(monkeypatch):
    monkeypatch.setattr("core.sampling.gain_search._find_surrogate", lambda *_: HalfSurrogate())
    monkeypatch.setattr("core.sampling.stored.scores.METRICS", {"dlib": "euclidean", "sface": "euclidean"})
    seeds = np.arange(60)
    latents = FakeGenerator().sample(seeds.tolist()).numpy()
    return Population("fake-generator", seeds, {"dlib": latents[:, :4], "sface": latents[:, 4:]}, (), "", "")


CONFIGURATION = configure_controversial("fake-generator", ("dlib", "sface"))


def test_each_pair_is_one_person_to_one_and_two_to_the_other(population, panel, tmp_path):
    made = generate_controversial_pairs(CONFIGURATION, population, LIMITS, count=12, panel=panel)
    pairs = made.pairs[made.pairs["sample_type"] == CONTROVERSIAL_TYPE].reset_index(drop=True)
    records = made.manifest["controversial"]["pairs"]
    assert [record["pair_id"] for record in records] == list(pairs["pair_id"])
    margins = [record["margin"] for record in records]
    assert margins == sorted(margins, reverse=True), "the surest first"
    assert min(margins) > 0.1
    assert made.manifest["controversial"]["kept"] == 12
    for record, (_, pair) in zip(records, pairs.iterrows(), strict=True):
        other = "sface" if record["says_same"] == "dlib" else "dlib"
        inside = (LIMITS[record["says_same"]] - pair[f"distance_{record['says_same']}"]) / 1.5
        outside = (pair[f"distance_{other}"] - LIMITS[other]) / 1.5
        assert record["margin"] == pytest.approx(min(inside, outside), abs=1e-4), "as the stored pictures are judged"
    assert sorted(record["says_same"] for record in records) == ["dlib"] * 6 + ["sface"] * 6
    loaded = SampleSet.load(made.save(tmp_path / "set"))
    stimuli = list_stimuli(loaded, "set")
    assert sum(not stimulus.is_sentinel for stimulus in stimuli) == 12
    assert sum(stimulus.is_sentinel for stimulus in stimuli) == 2


def test_the_search_is_surer_than_the_strangers(population, panel):
    made = generate_controversial_pairs(CONFIGURATION, population, LIMITS, count=8, panel=panel)
    starts = choose_starts(population, LIMITS, 8)
    assert len({row for pair in starts[:4] for row in pair[:2]}) == 8, "nobody is in two pairs of one way"
    before = []
    for first, second, same in starts:
        other = "sface" if same == "dlib" else "dlib"
        apart = {name: np.linalg.norm(rows[first] - rows[second]) for name, rows in population.descriptors.items()}
        before.append(min((1.5 - apart[same]) / 1.5, (apart[other] - 1.5) / 1.5))
    after = [record["margin"] for record in made.manifest["controversial"]["pairs"]]
    assert np.mean(after) > np.mean(before) + 0.05


def test_what_makes_no_sense_is_one_sentence(population, panel):
    with pytest.raises(LiminalError, match="'count' must be"):
        generate_controversial_pairs(CONFIGURATION, population, LIMITS, count=0, panel=panel)
    with pytest.raises(LiminalError, match="two different ones"):
        configure_controversial("fake-generator", ("dlib", "dlib"))
    few = Population("few", population.seeds[:9], {name: rows[:9] for name, rows in population.descriptors.items()}, (), "", "")
    with pytest.raises(LiminalError, match="at least 10 people"):
        choose_starts(few, LIMITS, 4)


def test_a_stop_leaves_nothing(population, panel):
    progress = Progress()
    progress.report = lambda event: progress.cancel.set()
    with pytest.raises(Cancelled):
        generate_controversial_pairs(CONFIGURATION, population, LIMITS, count=4, progress=progress, panel=panel)
