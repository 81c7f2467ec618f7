"""Calibrated thresholds: planted populations, bootstrap over identities, and the committed files."""

import json
import subprocess
import sys

import numpy as np
import pytest

from core.errors import LiminalError
from core.models import registry
from core.sampling.building import population as building_population
from core.sampling.building.population import calibrate_thresholds
from core.sampling.stored import population as stored_population
from core.sampling.stored.population import ShareInterval, load_population, load_thresholds
from core.sampling.stored.scores import METRICS, compact_descriptors, pairwise_distances, write_arrays

RNG = np.random.default_rng(5)
PAIRS = [(entry.name, recogniser) for entry in registry.ENTRIES if entry.kind == "generator" for recogniser in METRICS]


def test_quantile_and_rate_of_a_planted_population():
    """On a line, the distance of two standard normal people is |N(0, 2)|: its quantiles are known."""
    people = np.zeros((900, 2))
    people[:, 0] = RNG.standard_normal(900)
    cuts, accepted, pairs = calibrate_thresholds(people, "dlib", 0.5, rates=(0.05, 0.2), bootstraps=200)
    assert pairs == 900 * 899 // 2
    assert cuts[0].distance == pytest.approx(0.0887, abs=0.008)  # sqrt(2) z(0.525)
    assert cuts[1].distance == pytest.approx(0.3583, abs=0.02)
    assert accepted.share == pytest.approx(0.2763, abs=0.015)  # 2 Phi(0.5 / sqrt 2) - 1
    for cut in cuts:
        assert cut.low < cut.distance < cut.high


def test_agrees_with_counting_all_pairs():
    people = RNG.standard_normal((60, 4))
    cuts, accepted, _ = calibrate_thresholds(people, "sface", 0.9, rates=(0.01, 0.1), bootstraps=20)
    apart = [pairwise_distances(people[i], people[j], "cosine")[0, 0] for i in range(60) for j in range(i)]
    assert accepted.share == pytest.approx(np.mean(np.array(apart) < 0.9))
    for cut in cuts:
        assert np.mean(np.array(apart) <= cut.distance + 1e-12) == pytest.approx(cut.rate, abs=1 / len(apart))


def test_interval_is_over_people_not_pairs():
    """Its width follows the number of people: resampling 79,800 pairs would give an interval some eight times narrower."""
    people = RNG.standard_normal((400, 1)).repeat(2, axis=1)
    _, share, pairs = calibrate_thresholds(people, "dlib", 0.5, bootstraps=400)
    over_pairs = 1.96 * np.sqrt(share.share * (1 - share.share) / pairs)
    assert (share.high - share.low) / 2 > 3 * over_pairs
    fresh = [
        calibrate_thresholds(RNG.standard_normal((400, 1)).repeat(2, axis=1), "dlib", 0.5, bootstraps=1)[1].share for _ in range(60)
    ]
    assert (share.high - share.low) / 2 == pytest.approx(1.96 * np.std(fresh), rel=0.5)  # the truth, from new populations


def test_faces_not_found_take_no_part():
    people = RNG.standard_normal((80, 3))
    gaps = np.insert(people, [3, 40], np.nan, axis=0)
    assert calibrate_thresholds(people, "dlib", 1.0, bootstraps=30) == calibrate_thresholds(gaps, "dlib", 1.0, bootstraps=30)
    with pytest.raises(LiminalError, match="at least three faces"):
        calibrate_thresholds(np.full((9, 3), np.nan), "dlib", 1.0)


@pytest.mark.parametrize("recogniser", METRICS)
def test_distances_in_numpy_equal_the_recognisers_own(recogniser):
    import torch

    a, b = RNG.standard_normal((2, 6, 128)).astype(np.float32)
    own = registry.load(recogniser, "recogniser").distance(torch.from_numpy(a)[:, None], torch.from_numpy(b)[None]).numpy()
    assert pairwise_distances(a, b, METRICS[recogniser]) == pytest.approx(own, abs=1e-5)


def test_half_precision_only_where_it_moves_nothing():
    close = RNG.standard_normal((50, 128)) / 12
    assert compact_descriptors(close, "euclidean").dtype == np.float16
    assert compact_descriptors(close * 1000, "euclidean").dtype == np.float32


@pytest.mark.parametrize(("generator", "recogniser"), PAIRS)
def test_committed_thresholds_follow_from_the_committed_strangers(generator, recogniser):
    stored = load_thresholds(generator, recogniser)
    people = load_population(generator)
    cuts, accepted, pairs = calibrate_thresholds(people.vectors(recogniser), recogniser, stored.default, bootstraps=2)
    assert (stored.strangers, stored.no_face, stored.pairs) == (2000, people.count_without_face(recogniser), pairs)
    assert stored.default == registry.load(recogniser, "recogniser").threshold
    assert stored.default_acceptance.share == pytest.approx(accepted.share)
    for rate, cut in zip((0.01, 0.001), cuts[:2], strict=True):
        assert stored.at(rate).distance == pytest.approx(cut.distance)
        assert stored.at(rate).low < cut.distance < stored.at(rate).high
    # Generated faces sit closer together: the default accepts more than one stranger in a hundred, so the cut must be lower.
    assert stored.default_acceptance.low > 0.01
    assert stored.at(0.001).distance < stored.at(0.01).distance < stored.default
    genuine = stored_population.load_genuine_set(generator)
    assert (genuine is not None) == registry.load(generator, "generator").knows_identity
    if genuine is not None:
        limits = [stored.default, stored.at(0.01).distance]
        (default, strict), pairs = building_population.measure_false_non_match(
            genuine.descriptors[recogniser], recogniser, limits, bootstraps=2
        )
        assert (stored.genuine_people, stored.genuine_pairs) == (200, pairs)
        assert stored.default_false_non_match.share == pytest.approx(default.share)
        assert stored.at(0.01).false_non_match.share == pytest.approx(strict.share)
        assert stored.opening == stored.at(0.001).distance
    assert stored.explanation.count(".") >= 1
    assert stored.explanation.endswith("1 %.")


def test_build_writes_what_it_returns(tmp_path):
    people = RNG.standard_normal((40, 128)).astype(np.float32) / 10
    write_arrays(tmp_path / "dcgan.npz", {"seeds": np.arange(40), "dlib": people})
    (tmp_path / "dcgan.json").write_text(json.dumps({"recognisers": ["dlib"], "wall": [], "command": "x", "date": "y"}))
    made = building_population.build_thresholds("dcgan", "dlib", folder=tmp_path / "out", strangers=tmp_path, bootstraps=20, seed=3)
    assert load_thresholds("dcgan", "dlib", tmp_path / "out") == made
    assert made.command == "python -m core assets thresholds --seed 3 --bootstraps 20"


def test_false_non_match_rate_of_planted_people():
    """Images of one person on a line, standard deviation 1: the distance of two is |N(0, 2)|."""
    vectors = np.zeros((300, 6, 2))
    vectors[:, :, 0] = 50 * np.arange(300)[:, None] + np.random.default_rng(1).standard_normal((300, 6))
    vectors[7, 2] = np.nan
    rates, pairs = building_population.measure_false_non_match(vectors, "dlib", [0.5, 2.0], bootstraps=200)
    assert pairs == 300 * 15 - 5
    assert rates[0].share == pytest.approx(1 - 0.2763, abs=0.02)  # 2 (1 - Phi(0.5 / sqrt 2))
    assert rates[1].share == pytest.approx(0.1573, abs=0.02)
    assert rates[0].low < rates[0].share < rates[0].high
    over_pairs = np.sqrt(rates[1].share * (1 - rates[1].share) / pairs)
    assert rates[1].high - rates[1].low > 2.5 * over_pairs  # people, not pairs, are drawn again


def test_thresholds_tell_how_often_the_owner_is_refused(tmp_path):
    people = RNG.standard_normal((40, 128)).astype(np.float32) / 10
    write_arrays(tmp_path / "dcgan.npz", {"seeds": np.arange(40), "dlib": people})
    (tmp_path / "dcgan.json").write_text(json.dumps({"recognisers": ["dlib"], "wall": [], "command": "x", "date": "y"}))
    same = people[:20, None] + RNG.standard_normal((20, 4, 128)).astype(np.float32) / 100
    write_arrays(tmp_path / "dcgan-genuine.npz", {"seeds": np.arange(20), "dlib": same})
    (tmp_path / "dcgan-genuine.json").write_text(json.dumps({"recognisers": ["dlib"], "command": "x", "date": "y"}))
    made = building_population.build_thresholds("dcgan", "dlib", folder=tmp_path / "out", strangers=tmp_path, bootstraps=20)
    assert (made.genuine_people, made.genuine_pairs) == (20, 120)
    assert made.at(0.01).false_non_match.share == 0  # images of one person lie much closer than strangers
    assert made.at(0.01).false_non_match.high == pytest.approx(0.161, abs=0.001)  # Wilson, 0 of 20 people
    assert load_thresholds("dcgan", "dlib", tmp_path / "out") == made


def test_genuine_sets_show_the_same_people(tmp_path, monkeypatch):
    maker = registry.load("dcgan", "generator")
    with pytest.raises(LiminalError, match="mixes person, expression and scene"):
        building_population.build_genuine_set("dcgan", people=2, images=2, folder=tmp_path)
    scene = slice(maker.latent_dim - 4, maker.latent_dim)
    monkeypatch.setattr(maker, "blocks", {"identity": slice(0, maker.latent_dim - 4), "scene": scene})
    made = building_population.build_genuine_set("dcgan", people=3, images=4, seed=1, folder=tmp_path)
    assert {name: rows.shape for name, rows in made.descriptors.items()} == dict.fromkeys(METRICS, (3, 4, 128))
    again = stored_population.load_genuine_set("dcgan", tmp_path)
    assert np.array_equal(again.descriptors["dlib"], made.descriptors["dlib"], equal_nan=True)
    person = building_population.redraw_genuine_latents(maker, maker.sample([int(made.seeds[0])]), int(made.seeds[0]), 4)
    identity = maker.blocks["identity"]
    assert bool((person[:, identity] == person[:1, identity]).all())
    assert stored_population.load_genuine_set("dcgan") is None


def test_unknown_rate_and_missing_file():
    with pytest.raises(LiminalError, match=r"only to 1 %, 0\.1 %"):
        load_thresholds("dcgan", "dlib").at(0.5)
    with pytest.raises(LiminalError, match="No calibrated threshold is stored for openface on faces of dcgan"):
        load_thresholds("dcgan", "openface")


def test_explanation_is_one_sentence():
    text = building_population.explain_thresholds(
        0.6, ShareInterval(0.1783, 0.17, 0.19), stored_population.CalibratedThreshold(0.01, 0.4988, 0.49, 0.51)
    )
    assert "accepts 18 % of them, where 0.50 would accept 1 %." in text


def test_stored_tables_load_without_torch():
    """Pages paint before torch is imported."""
    code = (
        "import sys; from core.sampling.stored import directions, gallery, population, strip;"
        "gallery.load_gallery('dcgan'); population.load_thresholds('dcgan', 'dlib'); directions.load_directions();"
        "strip.load_strip();"
        "people = population.load_population('dcgan'); people.acceptance(people.vectors('dlib')[2], 'dlib', 0.6);"
        "import core.models.photos; assert 'torch' not in sys.modules and 'dlib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
