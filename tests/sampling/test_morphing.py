"""Faces between two owners, made of fakes whose distances can be written down."""

import numpy as np
import pytest

from core.analysis.morphs import find_morphs, rate_recogniser
from core.errors import Cancelled, LiminalError
from core.progress import Progress
from core.sampling.bases import Base
from core.sampling.configuration import IdentityConfiguration, configure_morphs
from core.sampling.morphing import generate_morphs
from core.sampling.sample_set import SampleSet
from tests.fakes import LATENT_DIM, SCALE, FakeRecogniser, fake_panel


def owners(*distances):
    """Two a pair, so far apart along one axis."""
    ends = []
    for number, apart in enumerate(distances):
        start = np.zeros(LATENT_DIM, np.float32)
        start[1] = 0.1 * number
        end = start.copy()
        end[0] += apart
        ends += [Base(start, 2 * number), Base(end, 2 * number + 1)]
    return ends


@pytest.fixture
def configuration():
    return configure_morphs("fake-generator", "dlib", steps=(0.25, 0.5, 0.75))


@pytest.fixture
def panel():
    return fake_panel(FakeRecogniser("dlib"), [FakeRecogniser("dlib")])


def test_every_morph_is_in_front_of_both_phones(configuration, panel, tmp_path):
    """Half way is as far from both; at a quarter it is three quarters away from the farther owner: SCALE times the square."""
    made = generate_morphs(configuration, 2, owners=owners(4.0, 8.0), panel=panel)
    morphs = find_morphs(made.pairs).sort_values(["owners", "step"])
    assert len(morphs) == 6
    for _, morph in morphs.iterrows():
        apart = {0.5: 0.5, 0.25: 0.75}[morph["step"]]
        expected = {SCALE * (apart * whole) ** 2 for whole in (4.0, 8.0)}
        assert min(abs(morph["distance_dlib"] - value) for value in expected) < 0.03  # eight bits a pixel
    quarter, half = rate_recogniser(morphs, "dlib", 0.5)
    assert half.both.value == 0.5, "0.2 and 0.8"
    assert quarter.both.value == 0.5, "0.45 and 1.8"
    loaded = SampleSet.load(made.save(tmp_path / "set"))
    assert loaded.pairs.equals(made.pairs)
    assert set(made.pairs["sample_type"]) == {"genuine", "negative", "interpolation"}


def test_a_pair_is_the_same_whatever_the_number_of_pairs(configuration, panel):
    one = generate_morphs(configuration, 1, panel=panel)
    two = generate_morphs(configuration, 2, panel=panel)
    assert list(two.pairs["pair_id"])[: len(one.pairs)] == list(one.pairs["pair_id"])


def test_what_makes_no_sense_is_one_sentence(configuration, panel):
    with pytest.raises(LiminalError, match="the same from either end"):
        configure_morphs("head", "dlib", steps=(0.3, 0.5))
    with pytest.raises(LiminalError, match="'pairs' must be"):
        generate_morphs(configuration, 0, panel=panel)
    with pytest.raises(LiminalError, match="need 4 owners"):
        generate_morphs(configuration, 2, owners=owners(1.0), panel=panel)
    assert isinstance(configuration, IdentityConfiguration)


def test_a_stop_leaves_nothing(configuration, panel):
    progress = Progress()
    progress.report = lambda event: progress.cancel.set()
    with pytest.raises(Cancelled):
        generate_morphs(configuration, 3, progress, panel=panel)
