"""Strangers: the population is reproducible, verdicts stand on the pictures shown, and the committed files are what they say."""

import numpy as np
import pytest
import torch
from statsmodels.stats.proportion import proportion_confint

from core.errors import LiminalError
from core.models import registry
from core.sampling.building import population
from core.sampling.configuration import sample_seed
from core.sampling.images import decode_webp, encode_webp, to_images, to_pictures
from core.sampling.stored.population import load_population, measure_acceptance
from core.sampling.stored.scores import METRICS, write_arrays

GENERATORS = [entry.name for entry in registry.ENTRIES if entry.kind == "generator"]


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    return population.build_population("dcgan", count=40, wall=6, seed=9, folder=tmp_path_factory.mktemp("strangers"))


def test_build_at_a_tiny_size(few):
    assert len(few) == 40
    assert list(few.seeds) == [sample_seed(9, "stranger", place) for place in range(40)]
    assert len(few.wall) == 6
    assert set(few.descriptors) == set(METRICS)
    assert 0 < few.count_without_face("dlib") < 40  # dlib misses about three in ten: a NaN row each, none left out
    for face in few.wall:
        assert np.isfinite(few.vectors("dlib")[face.index]).all()
        assert face.seed == few.seeds[face.index]


def test_a_stranger_does_not_depend_on_how_many_there_are(few, tmp_path):
    fewer = population.build_population("dcgan", count=5, wall=1, seed=9, folder=tmp_path)
    assert fewer.vectors("sface") == pytest.approx(few.vectors("sface")[:5], abs=2e-3, nan_ok=True)
    assert fewer.wall[0].image.read_bytes() == few.wall[0].image.read_bytes()


@pytest.mark.parametrize("generator", GENERATORS)
def test_committed_pictures_are_those_of_the_seeds_and_those_judged(generator):
    people = load_population(generator)
    assert (len(people), len(people.wall)) == (2000, 240)
    assert list(people.seeds[:3]) == [sample_seed(0, "stranger", place) for place in range(3)]
    maker = registry.load(generator, "generator")
    faces = people.wall[:4]
    with torch.inference_mode():
        made = to_pictures(maker.decode(maker.sample([face.seed for face in faces])))
    shown = np.stack([decode_webp(face.image) for face in faces])
    assert np.abs(shown.astype(int) - made).mean() < (2.5 if maker.image_size > 64 else 0.05)  # small ones are stored exactly
    for name in METRICS:
        judge = registry.load(name, "recogniser")
        again = judge.embed(to_images(shown))
        stored = torch.from_numpy(people.vectors(name)[[face.index for face in faces]])
        assert float(judge.distance(again, stored).max()) < 2e-3, name


@pytest.mark.parametrize("generator", GENERATORS)
def test_everyone_on_the_wall_has_a_face_and_a_file(generator):
    people = load_population(generator)
    found = np.logical_and.reduce([np.isfinite(people.vectors(name)).all(axis=1) for name in METRICS])
    assert [face.index for face in people.wall] == list(np.flatnonzero(found)[:240])
    assert all(face.image.is_file() for face in people.wall)
    assert sum(face.image.stat().st_size for face in people.wall) < 2_500_000


def test_acceptance_counts_and_interval():
    apart = np.array([0.1, 0.59, 0.6, 0.7, np.nan, np.nan])
    result = measure_acceptance(apart, 0.6)
    assert (result.accepted, result.judged, result.no_face, result.share) == (2, 4, 2, 0.5)  # strictly below the threshold
    assert (result.low, result.high) == pytest.approx(proportion_confint(2, 4, method="wilson"))
    nobody = measure_acceptance(np.array([np.nan]), 0.6)
    assert (nobody.judged, nobody.low, nobody.high) == (0, 0.0, 1.0)
    assert np.isnan(nobody.share)


def test_a_stranger_would_unlock_their_own_phone():
    people = load_population("dcgan")
    face = people.wall[3]
    apart = people.distances(people.vectors("dlib")[face.index], "dlib")
    assert int(np.nanargmin(apart)) == face.index
    assert apart[face.index] < 1e-6
    assert np.isnan(apart).sum() == people.count_without_face("dlib")


def test_what_cannot_be_answered_is_said(tmp_path):
    people = load_population("dcgan")
    with pytest.raises(LiminalError, match="no descriptor by dlib"):
        people.distances(np.full(128, np.nan), "dlib")
    with pytest.raises(LiminalError, match="No descriptors are stored for the recogniser 'openface'"):
        people.count_without_face("openface")
    with pytest.raises(LiminalError, match="No strangers of dcgan are stored"):
        load_population("dcgan", tmp_path)
    with pytest.raises(LiminalError, match="at least one"):
        population.build_population("dcgan", count=0, folder=tmp_path)
    (tmp_path / "dcgan.json").write_text("{}")
    (tmp_path / "dcgan.npz").write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(LiminalError, match="missing or damaged"):
        load_population("dcgan", tmp_path)


def test_nothing_half_written_stays(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fdopen", full)
    with pytest.raises(OSError, match="No space"):
        write_arrays(tmp_path / "a.npz", {"x": np.zeros(3)})
    assert list(tmp_path.iterdir()) == []


def test_small_pictures_are_stored_exactly():
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert (decode_webp(encode_webp(picture)) == picture).all()
