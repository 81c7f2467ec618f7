"""Error rates by condition: planted people whose distances are known, and the latents of the head read again from their seeds."""

import json

import numpy as np
import pytest
from scipy import stats

from core.__main__ import main
from core.analysis import error_rates
from core.analysis.error_rates import find_costs, find_levels, measure_recogniser
from core.commands import models as models_command
from core.errors import LiminalError
from core.figures.error_rates import exhibit_error_rates
from core.models import registry
from core.models.builtin.head.conditions import CONDITIONS, WORN
from core.models.contracts import PairCondition
from core.sampling.building.population import redraw_genuine_latents
from core.sampling.stored.population import GenuineSet, load_genuine_set, load_thresholds
from core.sampling.stored.scores import get_metric, pairwise_distances

RNG = np.random.default_rng(3)
WORN_ANEW = PairCondition("worn", ("glasses",), "change", (1e-9,), ("nothing changed", "drawn anew"))
TURNED = PairCondition("turned", ("turn",), "extreme", (10.0,), ("little", "far"), alone=True)
GLASSES = PairCondition("glasses", ("glasses",), "presence", (), ("in neither", "in both", "in one"))
PEOPLE, PICTURES = 160, 6


@pytest.fixture(scope="module")
def planted():
    """Pictures of one person lie 0.1 apart, 0.5 more where glasses go on or off, 0.3 more where one head of two is turned far."""
    glasses = (RNG.random((PEOPLE, PICTURES)) < 0.4).astype(np.float64)
    turn = np.where(RNG.random((PEOPLE, PICTURES)) < 0.3, 25.0, 5.0) * RNG.choice([-1, 1], (PEOPLE, PICTURES))
    vectors = np.zeros((PEOPLE, PICTURES, 3))
    vectors[:, :, 0] = RNG.normal(0, 4, PEOPLE)[:, None] + RNG.normal(0, 0.07, (PEOPLE, PICTURES))
    vectors[:, :, 1] = 0.5 * glasses
    vectors[:, :, 2] = 0.3 * (np.abs(turn) > 10)
    vectors[5, 2] = np.nan
    values = {"glasses": glasses, "turn": turn}
    return measure_recogniser(vectors, "dlib", [(0.1, 0.45), (0.01, 0.25)], (WORN_ANEW, TURNED, GLASSES), values, bootstraps=200)


def test_the_condition_that_was_planted_is_found(planted):
    assert planted.genuine_pairs == PEOPLE * 15 - 5
    assert planted.images_without_face == 1
    rows = {(row.condition, row.level): row for row in planted.levels}
    assert rows["glasses", "in one"].refused[0].share > 0.95
    assert rows["glasses", "in neither"].refused[0].share < 0.02
    assert rows["turned", "little"].refused[1].share < 0.05  # counted among pairs that wear the same
    assert 0.4 < rows["turned", "far"].refused[1].share < 0.9  # half of them are turned to both sides alike
    assert rows["all pairs", ""].pairs == rows["worn", "nothing changed"].pairs + rows["worn", "drawn anew"].pairs
    assert rows["turned", "little"].pairs + rows["turned", "far"].pairs == rows["worn", "nothing changed"].pairs
    worst, best = find_costs(planted)[0]
    assert (worst.condition, worst.level, best.level) == ("glasses", "in one", "in neither") or best.level == "in both"
    assert planted.equal_error_alone.share < planted.equal_error.share


def test_equal_error_and_held_out_rates_of_planted_people():
    """On a line: pictures of a person differ by N(0, 2), two people by N(0, 2 s^2 + 2); both rates follow from the normal law."""
    people = 30 * stats.norm.ppf((np.arange(300) + 0.5) / 300)
    vectors = np.zeros((300, 4, 2))
    vectors[:, :, 0] = people[:, None] + RNG.normal(0, 1, (300, 4))
    errors = measure_recogniser(vectors, "dlib", [(0.05, 2.0)], (), {}, bootstraps=100)
    spread = np.sqrt(2 * 30**2 + 2)
    assert errors.false_match[0].share == pytest.approx(2 * stats.norm.cdf(2 / spread) - 1, abs=0.006)
    assert errors.levels[0].refused[0].share == pytest.approx(2 * stats.norm.sf(2 / np.sqrt(2)), abs=0.02)
    at = errors.equal_error_distance
    assert 2 * stats.norm.sf(at / np.sqrt(2)) == pytest.approx(2 * stats.norm.cdf(at / spread) - 1, abs=0.01)
    assert errors.equal_error.low < errors.equal_error.share < errors.equal_error.high
    by_pairs = np.sqrt(errors.equal_error.share / errors.impostor_pairs)
    assert errors.equal_error.high - errors.equal_error.low > 10 * by_pairs  # people, not pairs, are drawn again
    curve = errors.curve
    assert list(curve.thresholds) == sorted(curve.thresholds)
    assert curve.false_match[-1] == 1
    assert curve.false_non_match[-1] == 0


def test_nobody_refused_has_an_interval_of_people():
    vectors = np.repeat(RNG.normal(0, 9, (20, 1, 3)), 3, axis=1) + RNG.normal(0, 0.01, (20, 3, 3))
    (everything,) = measure_recogniser(vectors, "dlib", [(0.01, 0.5)], (), {}, bootstraps=20).levels
    assert everything.refused[0].share == 0
    assert everything.refused[0].high == pytest.approx(0.161, abs=0.001)  # Wilson, 0 of 20 people
    with pytest.raises(LiminalError, match="no two faces of one person"):
        measure_recogniser(np.full((4, 3, 2), np.nan), "dlib", [(0.01, 0.5)], (), {}, bootstraps=5)


def test_levels_are_read_from_both_pictures():
    values = {"turn": np.array([[-25.0, 5, 8]]), "glasses": np.array([[0.0, 0.9, 0.8]]), "age": np.array([[40.0, 40, 40]])}
    assert find_levels(TURNED, values).tolist() == [[1, 1, 0]]  # pairs 01, 02, 12
    assert find_levels(GLASSES, values).tolist() == [[2, 2, 1]]
    assert find_levels(WORN_ANEW, values).tolist() == [[1, 1, 1]]
    age = PairCondition("age", ("age",), "person", (35, 55), ("young", "middle", "old"))
    assert find_levels(age, values).tolist() == [[1, 1, 1]]


def test_the_head_draws_its_conditions_again_from_seeds():
    """A third of the pictures have other things worn and another beard; the rest of the person is the same to the byte."""
    head = registry.load("head", "generator")
    assert all(len(condition.levels) == len(condition.edges) + 1 or condition.measure == "presence" for condition in CONDITIONS)
    genuine = GenuineSet("head", np.array([11, 12]), {}, "", "")
    values = error_rates.list_named_values(head, genuine, 6)
    assert values["head_turn"].shape == (2, 6)
    assert (find_levels(CONDITIONS[0], values) == 0).sum(axis=1).tolist() == [6, 6]  # pairs of the four pictures 0, 1, 3, 4
    latents = redraw_genuine_latents(head, head.sample([11]), 11, 6)
    names = [latent.name for latent in head.latent_names]
    worn = [names.index(name) for name in WORN]
    person = [place for place in range(head.blocks["identity"].stop) if place not in worn]
    assert (latents[:, person] == latents[:1, person]).all()
    assert (latents[2, worn] != latents[0, worn]).all()
    assert (latents[1, worn] == latents[0, worn]).all()


def test_stored_rates_come_back_and_are_told(planted, tmp_path, monkeypatch, capsys):
    ranges = (error_rates.ConditionRange("turned", "degrees", -24.0, 24.0, -35, 35),)
    rates = error_rates.ErrorRates("head", PEOPLE, PICTURES, ranges, (planted,), 200, 0, "command", "2026-11-28")
    (tmp_path / "head.json").write_text(json.dumps(error_rates.asdict(rates)))
    assert error_rates.load_error_rates("head", tmp_path) == rates
    assert error_rates.load_error_rates("dcgan-sharp", tmp_path) is None
    monkeypatch.setattr(models_command, "load_error_rates", lambda name: error_rates.load_error_rates(name, tmp_path))
    assert main(["models", "errors", "head"]) == 0
    said = capsys.readouterr().out
    assert "turned: far" in said
    assert "turned -24 to 24 of -35 to 35 degrees" in said
    assert main(["models", "errors", "dcgan-sharp"]) == 2
    assert "only a generator that knows who is who has some" in capsys.readouterr().err
    exhibits = exhibit_error_rates(rates)
    assert [exhibit.key for exhibit in exhibits] == ["errors-scene", "errors-worn", "errors-det"]
    assert all(exhibit.source == "model" for exhibit in exhibits)
    (tmp_path / "head.json").write_text("{}")
    with pytest.raises(LiminalError, match="No error rates of head are stored"):
        error_rates.load_error_rates("head", tmp_path)


@pytest.mark.parametrize("recogniser", ["dlib", "sface"])
def test_committed_rates_follow_from_the_committed_genuine_set(recogniser):
    rates, genuine = error_rates.load_error_rates("head"), load_genuine_set("head")
    errors, thresholds = rates.of(recogniser), load_thresholds("head", recogniser)
    levels = {(row.condition, row.level): row for row in errors.levels}
    assert errors.limits == tuple((cut.rate, cut.distance) for cut in thresholds.calibrated)
    for found, cut in zip(levels["all pairs", ""].refused, thresholds.calibrated, strict=True):
        assert found.share == pytest.approx(cut.false_non_match.share, rel=1e-4)
    vectors = genuine.descriptors[recogniser]
    rows, columns = np.triu_indices(vectors.shape[1], k=1)
    apart = np.stack([pairwise_distances(each, each, get_metric(recogniser))[rows, columns] for each in vectors])
    values = error_rates.list_named_values(registry.load("head", "generator"), genuine, vectors.shape[1])
    glasses = next(condition for condition in CONDITIONS if condition.name == "glasses")
    member = (find_levels(glasses, values) == 2) & np.isfinite(apart)
    row = levels["glasses", "in one of the two"]
    assert row.pairs == member.sum()
    assert row.refused[0].share == pytest.approx((apart[member] >= errors.limits[0][1]).mean(), rel=1e-4)
    for share, rate in zip(errors.false_match, (0.01, 0.001), strict=False):
        assert share.low / 2 < rate < share.high * 2  # other people than the limits come from
