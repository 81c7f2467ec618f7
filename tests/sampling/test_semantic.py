"""Directions with a planted truth, the search for the smallest lock-out, and the committed directions."""

import numpy as np
import pytest
import torch

from core.errors import Cancelled, LiminalError
from core.models import registry
from core.progress import Progress
from core.sampling.building import attributes as finding
from core.sampling.building.attributes import (
    ATTRIBUTES,
    MEASURES,
    AttributeScale,
    fit_gradients,
    measure_attributes,
    orthogonalise_gradients,
)
from core.sampling.configuration import IdentityConfiguration
from core.sampling.identity import generate_identity_batch
from core.sampling.images import quantise
from core.sampling.lockout import STRIP_SHARES, find_smallest_lockout
from core.sampling.stored.directions import Direction, load_directions, make_semantic_steps
from core.sampling.stored.gallery import load_gallery
from tests.fakes import LATENT_DIM, SCALE, FakeGenerator, FakeRecogniser, fake_panel

RNG = np.random.default_rng(11)


def direction(name, *values):
    vector = np.zeros(LATENT_DIM, np.float32)
    vector[: len(values)] = values
    return Direction(name, f"more {name}", f"less {name}", vector / np.linalg.norm(vector), 0.5, True, {})


class Uneven(FakeRecogniser):
    """Sees a change of the second latent value three times as large as one of the first."""

    def embed_chips(self, chips):
        return super().embed_chips(chips) * torch.tensor([1.0, 3.0] + [1.0] * (LATENT_DIM - 2))


def step_to(threshold, weight):
    """Where SCALE (weight * s * sqrt(d))^2 reaches the threshold, in paper units."""
    return np.sqrt(threshold / SCALE / LATENT_DIM) / weight


def test_gradients_of_planted_attributes_are_recovered():
    latents = RNG.standard_normal((3000, 20)).astype(np.float32)
    truth = RNG.standard_normal((3, 20))
    attributes = latents @ truth.T + RNG.standard_normal((3000, 3))
    attributes[::7, 1] = np.nan  # not measured everywhere
    found = fit_gradients(latents, attributes)
    for gradient, true in zip(found, truth, strict=True):
        assert gradient @ true / np.linalg.norm(gradient) / np.linalg.norm(true) > 0.995
    assert finding.measure_explained_variance(found, latents, attributes)[0] == pytest.approx(
        1 - 1 / (1 + (truth[0] ** 2).sum()), abs=0.05
    )


def test_directions_leave_other_attributes_alone():
    gradients = np.eye(4, 9) + 0.2 * RNG.standard_normal((4, 9))
    vectors, orthogonal = orthogonalise_gradients(gradients, keeps=0.3)
    assert orthogonal == [True] * 4
    side = vectors @ gradients.T
    assert (np.diag(side) > 0).all()
    assert np.abs(side - np.diag(np.diag(side))).max() < 1e-12
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(4))
    same = np.array([[1.0, 0.1, 0], [1.0, 0, 0.1]])  # two names for nearly one change: the effect would be lost
    assert orthogonalise_gradients(same)[1] == [False, False]


def test_steps_are_paper_units_forward_and_back():
    base = np.arange(LATENT_DIM, dtype=np.float32)
    steps = make_semantic_steps(base, FakeGenerator(), 0.2, [direction("smile", 1), direction("glasses", 0, 1)])
    assert [each.label for each in steps] == ["smile+", "smile-", "glasses+", "glasses-"]
    assert [each.words for each in steps[:2]] == ["more smile", "less smile"]
    for each in steps:
        assert np.linalg.norm(each.latent - base) == pytest.approx(0.2 * np.sqrt(LATENT_DIM), rel=1e-5)
    assert steps[0].latent[0] > base[0] > steps[1].latent[0]
    with pytest.raises(LiminalError, match="positive number"):
        make_semantic_steps(base, FakeGenerator(), 0)
    with pytest.raises(LiminalError, match="same latent space"):
        make_semantic_steps(np.zeros(3, np.float32), FakeGenerator(), 0.2, [direction("smile", 1)])


@pytest.mark.parametrize("threshold", [0.2, 0.6, 1.1])
def test_smallest_lockout_is_found_where_it_was_planted(threshold):
    base, maker, judge = np.zeros(LATENT_DIM, np.float32), FakeGenerator(), Uneven()
    plan = [direction("smile", 1), direction("glasses", 0, 1), direction("hair", 1, 1)]
    found = find_smallest_lockout(base, maker, judge, threshold, plan)
    assert found.smallest is not None
    assert found.smallest.step.direction == "glasses"
    assert found.smallest.step.step == pytest.approx(step_to(threshold, 3), abs=0.02)  # 8-bit pictures and the last halving
    assert found.smallest.distance >= threshold
    # The picture that is shown is the one that was judged.
    again = judge.embed(torch.from_numpy(found.smallest.picture[None]).permute(0, 3, 1, 2).float() / 255)
    owner = judge.embed(quantise(maker.decode(torch.zeros(1, LATENT_DIM))))
    assert float(judge.distance(owner, again)[0]) == pytest.approx(found.smallest.distance, abs=1e-4)
    # The way there is the same change, smaller, and lets the owner in.
    assert [frame.step.step for frame in found.strip] == [pytest.approx(share * found.smallest.step.step) for share in STRIP_SHARES]
    assert {frame.step.direction for frame in found.strip} == {"glasses"}
    assert all(frame.distance < threshold for frame in found.strip)
    accepted = [row.step for row in found.swept if row.label.startswith("glasses") and row.distance < threshold]
    assert max(accepted) <= found.smallest.step.step + 0.02


def test_no_lockout_within_reach():
    found = find_smallest_lockout(
        np.zeros(LATENT_DIM, np.float32), FakeGenerator(), FakeRecogniser(), 1e6, [direction("smile", 1)], levels=[0.3, 0.1]
    )
    assert found.smallest is None
    assert [row.step for row in found.swept] == [0.1, 0.1, 0.3, 0.3]
    assert found.largest == 0.3


def test_a_lost_face_is_no_lockout():
    """Forward the face is lost from 0.5 on, before its distance grows; back it is rejected later."""
    judge = FakeRecogniser(face_until=0.5)
    found = find_smallest_lockout(np.zeros(LATENT_DIM, np.float32), FakeGenerator(), judge, 0.2, [direction("smile", 1)])
    assert found.smallest is not None
    assert found.smallest.step.label == "smile-"
    assert found.smallest.step.step == pytest.approx(step_to(0.2, 1), abs=0.03)
    assert any(np.isnan(row.distance) for row in found.swept if row.label == "smile+")


def test_lockout_says_what_is_wrong_and_stops_on_request():
    base, plan = np.zeros(LATENT_DIM, np.float32), [direction("smile", 1)]
    with pytest.raises(LiminalError, match="refuses even the owner"):
        find_smallest_lockout(base, FakeGenerator(), FakeRecogniser(), 0.0, plan)
    with pytest.raises(LiminalError, match="finds no face in this base"):
        find_smallest_lockout(base + 2, FakeGenerator(), FakeRecogniser(face_until=0.5), 0.5, plan)
    with pytest.raises(LiminalError, match="must be positive"):
        find_smallest_lockout(base, FakeGenerator(), FakeRecogniser(), 0.5, plan, levels=[])
    progress = Progress()
    progress.cancel.set()
    with pytest.raises(Cancelled):
        find_smallest_lockout(base, FakeGenerator(), FakeRecogniser(), 0.5, plan, progress)


def test_attributes_are_in_standard_deviations():
    rows = RNG.standard_normal((2000, len(MEASURES))) * 7 + 3
    values = AttributeScale.of(rows).attributes(rows)
    assert values.mean(axis=0) == pytest.approx(np.zeros(len(ATTRIBUTES)), abs=0.05)
    assert values.std(axis=0) == pytest.approx(np.ones(len(ATTRIBUTES)), abs=0.05)


def test_a_failed_measurement_does_not_set_the_scale():
    rows = RNG.standard_normal((2000, len(MEASURES)))
    spoilt = rows.copy()
    spoilt[5] = 1e6
    spoilt[6] = np.nan
    clean, robust = AttributeScale.of(rows).attributes(rows), AttributeScale.of(spoilt).attributes(spoilt)
    assert robust[10:] == pytest.approx(clean[10:], abs=0.15)
    assert np.nanmax(robust) < 20
    assert np.isnan(robust[6]).all()


def test_build_at_a_tiny_size(tmp_path):
    made = finding.build_directions(count=60, held_out=3, seed=2, generators=["dcgan"], recognisers=["sface"], folder=tmp_path)
    assert [each.name for each in made] == list(ATTRIBUTES)
    for each in made:
        assert np.linalg.norm(each.vector) == pytest.approx(1, abs=1e-5)
        effect = each.effects["dcgan"]
        assert effect.low <= effect.change <= effect.high
        assert set(effect.others) == set(ATTRIBUTES) - {each.name}
        assert effect.identity["sface"] > 0
    with pytest.raises(LiminalError, match="at least 20 faces"):
        finding.build_directions(count=5, folder=tmp_path)


@pytest.mark.parametrize("name", list(ATTRIBUTES))
def test_committed_directions_do_what_they_say(name):
    """Their stored effects, and once more here on other faces than those they were measured on."""
    stored = next(each for each in load_directions() if each.name == name)
    assert set(stored.effects) == {"dcgan", "dcgan-sharp"}
    for effect in stored.effects.values():
        assert effect.low > 0.2
        assert effect.right_low > 0.8
        assert effect.change > 1.5 * max(abs(value) for value in effect.others.values())
    maker = registry.load("dcgan", "generator")
    bases = torch.from_numpy(np.stack([base.latent for base in load_gallery("dcgan").bases[:24]]))
    move = torch.from_numpy(stored.vector) * (0.2 * maker.step_scale)
    with torch.inference_mode():
        after, before = (measure_attributes(maker.decode(bases + sign * move)) for sign in (1, -1))
    change = after - before  # the scale cancels in the sign; measures enter with their attribute's weight
    spread = np.nanstd(before, axis=0)
    total = sum(
        weight * change[:, MEASURES.index(part)] / spread[MEASURES.index(part)] for part, weight in ATTRIBUTES[name].items()
    )
    assert np.nanmean(np.asarray(total) > 0) >= 0.8


def test_a_real_lockout():
    base = load_gallery("dcgan").bases[0]
    found = find_smallest_lockout(
        base.latent,
        registry.load("dcgan", "generator"),
        registry.load("sface", "recogniser"),
        0.5,
        levels=[0.3, 0.6],
        refinements=1,
    )
    assert found.smallest is not None
    assert found.smallest.distance >= 0.5
    assert found.smallest.picture.shape == (64, 64, 3)


def test_missing_directions(tmp_path):
    with pytest.raises(LiminalError, match="No directions are stored"):
        load_directions(tmp_path)


def test_a_batch_holds_semantic_samples_when_asked(monkeypatch):
    plan = (direction("smile", 1), direction("glasses", 0, 1))
    monkeypatch.setattr("core.sampling.stored.directions.load_directions", lambda: plan)
    asked = IdentityConfiguration(seed=7, iterations=1, semantic=True, targets=())
    batch = generate_identity_batch(asked, 0, panel=fake_panel())
    semantic = batch.pairs[batch.pairs["sample_type"] == "semantic"]
    for base_id, mine in semantic.groupby("base_id"):
        assert sorted(mine["direction"]) == ["glasses+", "glasses-", "smile+", "smile-"]
        smile = batch.latents[mine.loc[mine["direction"] == "smile+", "sample_id"].item()] - batch.latents[base_id]
        assert smile[0] == pytest.approx(0.2 * np.sqrt(LATENT_DIM), rel=1e-4)
    assert len(semantic) == 16
