import json

import numpy as np
import pytest
from scipy.special import softmax

from core.errors import LiminalError
from core.models import registry
from core.models.emotions import EMOTIONS
from core.sampling.building.population import build_reference_set, draw_reference_faces, fit_temperature
from core.sampling.configuration import sample_seed
from core.sampling.emotion.configuration import EMOTION_PAIRS
from core.sampling.stored import reference as module
from core.sampling.stored.reference import TEMPERATURE_TEACHERS, ExpressionRange, ReferenceSet, load_reference_set
from tests.sampling.emotion.planted import FeelingGenerator

DCGAN_JUDGES = ("mini-xception", "tanh-cnn", "small-cnn", "emotion-mlp")


def planted(logits, temperatures=None):
    return ReferenceSet("planted", 0, logits, temperatures or dict.fromkeys(logits, 1.0), "command", "2026-01-01")


def normal(n=4000, seed=0, loc=(0, 1, 2, 3, 4, 5), scale=(1, 2, 3, 1, 2, 3)):
    return np.random.default_rng(seed).normal(loc, scale, (n, 6)).astype(np.float32)


def test_percentiles_are_those_of_the_planted_distribution():
    """0.6745 standard deviations above the mean, for a normal distribution (scipy.stats.norm.ppf(0.75))."""
    found = planted({"mini-xception": normal(100_000)}).percentiles("mini-xception")
    assert np.allclose(found, np.arange(6) + 0.67449 * np.array([1, 2, 3, 1, 2, 3]), atol=0.04)


def test_a_quarter_lies_above_the_percentile():
    logits = normal(2000)
    k = planted({"x": logits}).percentiles("x")
    assert (logits > k).sum(axis=0).tolist() == [500] * 6


def test_the_filter_asks_for_both_emotions():
    ramp = np.repeat(np.arange(101, dtype=np.float32)[:, None], 6, axis=1)  # k is 75 for every emotion
    reference = planted({"x": ramp})
    asked = np.zeros((4, 6))
    asked[:, 1], asked[:, 4] = (76, 76, 74, 75), (76, 74, 76, 76)  # at the percentile is not above it
    assert reference.exceeds_percentiles("x", asked, (1, 4)).tolist() == [[True, True], [True, False], [False, True], [False, True]]
    assert reference.exceeds_percentiles("x", asked, (4, 1))[1].tolist() == [False, True]


def test_the_plain_share_of_independent_emotions_is_a_sixteenth():
    passed, n = planted({"x": normal(40_000)}).count_passing("x", (0, 5))
    assert n == 40_000
    assert passed / n == pytest.approx(1 / 16, abs=0.005)


def test_the_plain_share_of_opposed_emotions_is_nothing():
    logits = normal(1000)
    logits[:, 1] = -logits[:, 0]
    assert planted({"x": logits}).count_passing("x", (0, 1)) == (0, 1000)


def test_calibrated_is_softmax_at_the_temperature():
    logits = normal(5)
    reference = planted({"x": logits, "y": logits}, {"x": 4.0, "y": 1.0})
    assert np.allclose(reference.calibrated("x", logits), softmax(logits.astype(float) / 4, axis=1), atol=1e-12)
    assert np.allclose(reference.calibrated("y", logits), softmax(logits.astype(float), axis=1), atol=1e-12)
    sure, cool = reference.calibrated("y", logits).max(axis=1), reference.calibrated("x", logits).max(axis=1)
    assert (cool < sure).all()


def drawn_labels(logits, seed=1):
    """One label a row, from its softmax, as logits of a network that is sure of it."""
    random = np.random.default_rng(seed)
    p = softmax(logits.astype(float), axis=1)
    labels = (random.random((len(p), 1)) > p.cumsum(axis=1)).sum(axis=1).clip(max=5)
    return (20 * np.eye(6)[labels]).astype(np.float32)


@pytest.mark.parametrize("planted_t", [0.5, 1.0, 3.0, 12.0])
@pytest.mark.parametrize("classifier", ["mini-xception", "emotion-mlp", "small-cnn"])
def test_a_planted_temperature_is_recovered(classifier, planted_t):
    """Labels are drawn from softmax(l); a network that says T * l is T times too sure."""
    truth = normal(20_000, loc=(0,) * 6, scale=(1.5,) * 6)
    logits = {name: drawn_labels(truth) for name in TEMPERATURE_TEACHERS[classifier]}
    logits[classifier] = np.float32(planted_t) * truth
    assert fit_temperature(logits, classifier) == pytest.approx(planted_t, rel=0.05)


def test_the_judge_labels_nothing_for_those_who_steer():
    assert all("small-cnn" not in teachers for teachers in TEMPERATURE_TEACHERS.values())
    assert all(name not in teachers for name, teachers in TEMPERATURE_TEACHERS.items())


def test_a_seventh_of_the_reference_faces_shows_each_feeling_and_a_seventh_none():
    generator = FeelingGenerator()
    latents = draw_reference_faces(generator, range(70), seed=4)
    feelings = latents[:, :6].numpy()
    for index, shown in enumerate(feelings):
        drawn = generator.sample([sample_seed(4, "reference", index)])[0]
        assert np.allclose(latents[index, 7:], drawn[7:])  # a random person and scene
        others = np.delete(np.arange(6), index % 7) if index % 7 < 6 else np.arange(6)
        assert np.allclose(shown[others], 0.5 * drawn[others])
    strengths = np.array([feelings[index, index % 7] for index in range(70) if index % 7 < 6])
    assert (strengths.min() >= 0.5, strengths.max() <= 1.0) == (True, True)
    assert abs(strengths.mean() - 0.75) < 0.06
    assert np.array_equal(draw_reference_faces(generator, range(33, 35), seed=4), latents[33:35])


def test_natural_is_what_19_of_20_reference_expressions_are():
    drawn = normal(4000, loc=(1, 0, 0, 0, 0, 0), scale=(2, 1, 1, 1, 1, 0))  # the last action is never used
    found = ExpressionRange.of(drawn)
    assert found.contains(drawn).mean() == pytest.approx(0.95, abs=0.001)
    assert found.limit == pytest.approx(np.sqrt(11.07), rel=0.05)  # chi-square of five, 95 %
    assert found.contains(np.array([[5, 0, 0, 0, 0, 0], [1, 4, 0, 0, 0, 0]])).tolist() == [True, False]


def test_unknown_classifiers_are_named():
    reference = planted({"x": normal(50)})
    for ask in (
        lambda: reference.percentiles("fancy"),
        lambda: reference.calibrated("fancy", normal(1)),
        lambda: reference.count_passing("fancy", (0, 1)),
    ):
        with pytest.raises(LiminalError, match="no classifier 'fancy', only x"):
            ask()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference")
    return folder, build_reference_set("dcgan", count=40, seed=2, folder=folder)


def test_a_population_is_kept_and_read(made):
    folder, reference = made
    again = load_reference_set("dcgan", folder)
    assert set(again.logits) == set(DCGAN_JUDGES)
    assert len(again) == 40
    assert again.temperatures == reference.temperatures
    for name in DCGAN_JUDGES:
        assert np.array_equal(again.logits[name], reference.logits[name])
    generator = registry.load("dcgan", "generator", "cpu")
    from core.sampling.images import quantise

    image = quantise(generator.decode(generator.sample([sample_seed(2, "reference", 17)])))
    for name in DCGAN_JUDGES:  # each row is one face of a seed of its own
        assert np.allclose(again.logits[name][17], registry.load(name, "classifier", "cpu").logits(image)[0], atol=1e-4)


def test_too_few_faces(tmp_path):
    with pytest.raises(LiminalError, match="at least 40 faces, not 39"):
        build_reference_set("dcgan", count=39, folder=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", ["npz", "json", "temperatures"])
def test_a_missing_or_damaged_population(tmp_path, made, damage):
    for path in made[0].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    if damage == "temperatures":
        card = json.loads((tmp_path / "dcgan.json").read_text())
        del card["temperatures"]
        (tmp_path / "dcgan.json").write_text(json.dumps(card))
    else:
        (tmp_path / f"dcgan.{damage}").write_bytes(b"rubbish")
    with pytest.raises(LiminalError) as error:
        load_reference_set("dcgan", tmp_path)
    assert "\n" not in str(error.value)
    assert module.REFERENCE_COMMAND in str(error.value)


def test_no_population():
    with pytest.raises(LiminalError, match="No reference population of nothing"):
        load_reference_set("nothing")


@pytest.mark.parametrize("generator", ["dcgan", "dcgan-sharp"])
def test_the_committed_population_is_what_it_says(generator):
    reference = load_reference_set(generator)
    assert len(reference) == 2000
    assert {rows.shape for rows in reference.logits.values()} == {(2000, 6)}
    assert f"--generators {generator} --count 2000" in reference.command
    for name in DCGAN_JUDGES:
        assert fit_temperature(reference.logits, name) == pytest.approx(reference.temperatures[name], rel=1e-3)
        shares = [reference.count_passing(name, (EMOTIONS.index(a), EMOTIONS.index(b)))[0] / 2000 for a, b in EMOTION_PAIRS]
        assert 0.01 < np.mean(shares) < 0.1  # the paper's figure for a plain sample: 4 %
