import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from core.errors import Cancelled, LiminalError
from core.models.contracts import LatentName
from core.progress import Progress, Stage
from core.sampling.bases import Base, find_bases
from core.sampling.configuration import BaseCriteria, IdentityConfiguration
from core.sampling.events import BasesFound, SamplesMade, SearchStep
from core.sampling.identity import generate_identity_batch, generate_identity_set
from core.sampling.stored import directions
from core.sampling.stored.directions import Direction
from tests.fakes import REACH, SCALE, FakeGenerator, FakeRecogniser, fake_panel

QUICK = IdentityConfiguration(seed=7, iterations=4, sigma=0.5)
PAPER_COUNTS = {"genuine": 1, "positive": 6, "negative": 3, "interpolation": 9, "optimized": 9}


@pytest.fixture(scope="module")
def batch():
    return generate_identity_batch(QUICK, 0, panel=fake_panel())


def rounded(latent):
    """What the fake recogniser reads out of the 8-bit picture of a latent."""
    pixels = np.round(np.clip(0.5 + latent / np.float32(2 * REACH), 0, 1).astype(np.float32) * 255) / 255
    return (pixels - 0.5) * 2 * REACH


def test_every_base_gets_the_papers_28_samples(batch):
    assert len(batch.pairs) == 112
    assert len(batch.base_ids()) == 4
    assert batch.pairs["pair_id"].is_unique
    for _, mine in batch.pairs.groupby("base_id"):
        assert mine["sample_type"].value_counts().to_dict() == PAPER_COUNTS
        assert mine.loc[mine["sample_type"] == "positive", "step"].value_counts().to_dict() == {0.2: 2, 0.4: 2, 0.6: 2}
        assert mine.loc[mine["sample_type"] == "interpolation", "step"].value_counts().to_dict() == {0.25: 3, 0.5: 3, 0.75: 3}
        assert mine.loc[mine["sample_type"] == "optimized", "step"].value_counts().to_dict() == {0.3: 3, 0.4: 3, 0.5: 3}
    assert batch.manifest["counts"] == {name: 4 * number for name, number in PAPER_COUNTS.items()}


def test_each_type_lies_where_the_paper_puts_it(batch):
    bases = {name: batch.latents[name] for name in batch.base_ids()}
    directions = {}
    for row in batch.pairs.itertuples():
        base, latent = batch.latents[row.base_id], batch.latents[row.sample_id]
        partner = batch.latents[row.partner_id] if isinstance(row.partner_id, str) else None
        if row.sample_type == "genuine":
            assert row.sample_id == row.base_id
        if row.sample_type == "negative":
            assert row.sample_id == row.partner_id
            assert row.sample_id in bases
            assert row.sample_id != row.base_id
        if row.sample_type == "positive":
            directions.setdefault(row.base_id, {}).setdefault(row.step, []).append((latent - base) / row.step)
        if row.sample_type == "interpolation":
            assert np.allclose(latent, base + row.step * (partner - base), atol=1e-5)
        if row.sample_type == "optimized":
            assert row.strategy == "cmaes"
            assert row.partner_id in bases
    for steps in directions.values():  # the same two directions at every step, of the length of a drawn latent
        for one, other in ((0.2, 0.4), (0.2, 0.6)):
            assert np.allclose(steps[one], steps[other], atol=1e-4)
        assert not np.allclose(steps[0.2][0], steps[0.2][1])


def test_positive_directions_are_standard_normal():
    many = dataclasses.replace(QUICK, positive_directions=60, positive_steps=(1.0,), targets=())
    made = generate_identity_batch(many, 0, panel=fake_panel(), expand=[0])
    rows = made.pairs[made.pairs["sample_type"] == "positive"]
    steps = np.stack([made.latents[row.sample_id] - made.latents[row.base_id] for row in rows.itertuples()])
    assert abs(steps.mean()) < 0.15  # 480 values: standard error 0.046
    assert abs(steps.std() - 1) < 0.1
    # hence a step of s is about s sqrt(d) long
    assert abs(np.linalg.norm(steps, axis=1).mean() / FakeGenerator().step_scale - 1) < 0.1


def test_verdicts_are_those_of_the_pictures(batch):
    for row in batch.pairs.itertuples():
        apart = rounded(batch.latents[row.base_id]) - rounded(batch.latents[row.sample_id])
        assert row.distance_fake == pytest.approx(SCALE * np.square(apart).sum(), abs=1e-4)
        assert row.accepted_fake == (row.distance_fake < 0.6)
        straight = np.linalg.norm(batch.latents[row.base_id].astype(float) - batch.latents[row.sample_id])
        assert row.latent_distance == pytest.approx(straight)
    genuine = batch.pairs[batch.pairs["sample_type"] == "genuine"]
    assert (genuine[["distance_fake", "lpips", "latent_distance"]] == 0).all(axis=None)
    emotions = [name for name in batch.samples.columns if name.startswith("p_fake-emotion_")]
    assert len(emotions) == 6
    assert np.allclose(batch.samples[emotions].sum(axis=1), 1)


def test_what_the_search_confirmed_is_what_the_table_says(batch):
    for run in batch.manifest["searches"]:
        mine = batch.pairs[(batch.pairs["base_id"] == run["base_id"]) & (batch.pairs["partner_id"] == run["partner_id"])]
        for kept in run["kept"]:
            row = mine[(mine["sample_type"] == "optimized") & (mine["step"] == kept["target"])]
            assert row["distance_fake"].item() == pytest.approx(kept["distance"], abs=1e-6)
            assert (kept["distance"] < kept["target"]) == kept["reached"]


def test_an_image_in_several_parts_is_kept_once(batch):
    assert batch.samples["sample_id"].is_unique
    assert set(batch.samples["sample_id"]) == set(batch.images) == set(batch.latents)
    assert set(batch.pairs["sample_id"]) <= set(batch.images)
    assert len(batch.images) < 112


def equal(one, other):
    pd.testing.assert_frame_equal(one.samples, other.samples)
    pd.testing.assert_frame_equal(one.pairs, other.pairs)
    assert list(one.images) == list(other.images)
    for name in one.images:
        assert one.images[name].tobytes() == other.images[name].tobytes()
        assert one.latents[name].tobytes() == other.latents[name].tobytes()


@pytest.mark.parametrize("strategy", ["cmaes", "gradient"])
def test_the_same_seed_gives_the_same_bytes(strategy):
    settings = dataclasses.replace(QUICK, strategy=strategy)
    equal(generate_identity_batch(settings, 0, panel=fake_panel()), generate_identity_batch(settings, 0, panel=fake_panel()))
    other = generate_identity_batch(dataclasses.replace(settings, seed=8), 0, panel=fake_panel())
    assert not set(other.images) & set(generate_identity_batch(settings, 0, panel=fake_panel()).images)


def test_a_batch_does_not_depend_on_how_many_are_made():
    three = generate_identity_set(QUICK, 3, panel=fake_panel())
    assert len(three.pairs) == 336
    assert three.manifest["batches"] == [0, 1, 2]
    for number in range(3):
        alone = generate_identity_batch(QUICK, number, panel=fake_panel())
        mine = three.pairs[three.pairs["batch"] == number].reset_index(drop=True)
        pd.testing.assert_frame_equal(mine, alone.pairs)
        for name, image in alone.images.items():
            assert three.images[name].tobytes() == image.tobytes()
    assert three.manifest["evaluations"] == sum(run["evaluations"] for run in three.manifest["searches"])


def test_a_base_does_not_depend_on_which_others_are_expanded(batch):
    first = generate_identity_batch(QUICK, 0, panel=fake_panel(), expand=[0])
    assert len(first.pairs) == 28
    whole = batch.pairs[batch.pairs["base_id"] == batch.base_ids()[0]].reset_index(drop=True)
    pd.testing.assert_frame_equal(first.pairs, whole)


def test_a_chosen_base_brings_its_samples_wherever_it_stands():
    generator = FakeGenerator()
    chosen = [Base(generator.sample([seed]).numpy()[0], seed) for seed in (101, 102, 103)]
    front = generate_identity_batch(QUICK, 0, panel=fake_panel(), bases=chosen, expand=[0])
    back = generate_identity_batch(QUICK, 5, panel=fake_panel(), bases=[chosen[2], chosen[1], chosen[0]], expand=[2])
    assert len(front.pairs) == 1 + 6 + 2 * (1 + 3 + 3)
    assert set(front.pairs["pair_id"]) == set(back.pairs["pair_id"])
    assert {row.seed for row in front.samples.itertuples()} >= {101, 102, 103}


def test_semantic_samples_are_added_when_asked_for(batch, monkeypatch):
    """Six stored directions in 100 latents would not fit: two planted ones, forward and back."""
    planted = [
        Direction(name, f"more {name}", f"less {name}", np.eye(8, dtype=np.float32)[axis], 1.0, True, {})
        for axis, name in enumerate(("hat", "beard"))
    ]
    monkeypatch.setattr(directions, "load_directions", lambda: planted)
    settings = dataclasses.replace(QUICK, semantic=True, semantic_steps=(0.2, 0.4))
    made = generate_identity_batch(settings, 0, panel=fake_panel())
    rows = made.pairs[made.pairs["sample_type"] == "semantic"]
    assert len(rows) == 4 * 2 * 2 * 2
    assert made.pairs["pair_id"].is_unique
    assert set(rows["direction"]) == {"hat+", "hat-", "beard+", "beard-"}
    for row in rows.itertuples():
        moved = made.latents[row.sample_id] - made.latents[row.base_id]
        expected = np.zeros(8)
        expected[int(row.direction.startswith("beard"))] = row.step * np.sqrt(8) * (1 if row.direction.endswith("+") else -1)
        assert np.allclose(moved, expected, atol=1e-5)
    others = made.pairs[made.pairs["sample_type"] != "semantic"]
    pd.testing.assert_frame_equal(others.reset_index(drop=True), batch.pairs)


@pytest.mark.parametrize("expand", [[], [4], [-1]])
def test_only_bases_of_the_batch_can_be_expanded(expand):
    with pytest.raises(LiminalError, match="among 0 to 3"):
        generate_identity_batch(QUICK, 0, panel=fake_panel(), expand=expand)


def test_zero_batches_get_a_sentence():
    with pytest.raises(LiminalError, match="at least 1"):
        generate_identity_set(QUICK, 0, panel=fake_panel())


def test_pairs_of_a_base_without_a_face_have_no_verdict(batch):
    """A judge that loses some faces: its distances are missing, its verdicts null, and the search's own are untouched."""
    blind = FakeRecogniser("blind", face_until=0.0)
    made = generate_identity_batch(QUICK, 0, panel=fake_panel(judges=[FakeRecogniser(), blind]))
    lost = {name for name, latent in made.latents.items() if rounded(latent)[0] > 0}
    assert 0 < len(lost) < len(made.latents)
    missing = made.pairs["base_id"].isin(lost) | made.pairs["sample_id"].isin(lost)
    assert made.pairs["distance_blind"].isna().equals(missing)
    assert made.pairs["accepted_blind"].isna().equals(missing)
    assert made.pairs["distance_fake"].equals(batch.pairs["distance_fake"])


def test_bases_are_redrawn_until_steps_keep_their_face():
    """A face is lost beyond 0.3 on the first axis; steps of 0.2 n reach 0.2 z further. Of 20 steps 19 must keep it."""
    recogniser, generator = FakeRecogniser(face_until=0.3), FakeGenerator()
    bases = find_bases(BaseCriteria(), 40, 3, generator, recogniser)
    first = np.array([base.latent[0] for base in bases])
    assert (first <= 0.33).all()
    assert first.max() < 0.2  # at 0.2, 31 % of steps lose the face
    assert sum(base.draws for base in bases) > 50
    for base in bases:
        assert np.array_equal(generator.sample([base.seed]).numpy()[0], base.latent)
    fewer = find_bases(BaseCriteria(), 3, 3, generator, recogniser)
    assert [base.seed for base in fewer] == [base.seed for base in bases[:3]]


def test_a_generator_without_faces_gets_a_sentence():
    blind = FakeRecogniser(face_until=-100)
    with pytest.raises(LiminalError, match="No base face was found in 3 draws"):
        generate_identity_batch(dataclasses.replace(QUICK, base_draws=3), 0, panel=fake_panel(blind))


def test_events_come_in_order_and_progress_only_rises():
    events = []
    generate_identity_set(QUICK, 2, Progress(events.append), panel=fake_panel())
    fractions = [event.fraction for event in events if isinstance(event, Stage)]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    mine = [event for event in events if not isinstance(event, Stage)]
    kinds = [type(event) for event in mine[: mine.index(next(e for e in mine[1:] if isinstance(e, BasesFound)))]]
    assert kinds[:5] == [BasesFound] + [SamplesMade] * 4
    assert kinds[-4:] == [SamplesMade] * 4
    assert set(kinds[5:-4]) == {SearchStep}
    made = [event for event in mine if isinstance(event, SamplesMade) and event.batch == 0]
    assert [len(event.samples) for event in made] == [19] * 4 + [9] * 4
    step = next(event for event in mine if isinstance(event, SearchStep) and event.run == 4)
    assert (step.base, step.partner) == (1, 2)


@pytest.mark.parametrize("when", [BasesFound, SamplesMade, SearchStep])
def test_a_batch_stops_when_asked(when):
    progress = Progress()

    def stop(event):
        if isinstance(event, when):
            progress.cancel.set()

    progress.report = stop
    with pytest.raises(Cancelled):
        generate_identity_batch(QUICK, 0, progress, panel=fake_panel())


def test_results_do_not_depend_on_torchs_global_random_numbers(batch):
    torch.manual_seed(99)
    equal(batch, generate_identity_batch(QUICK, 0, panel=fake_panel()))


def knowing_panel():
    panel = fake_panel()
    panel.generator.blocks = {"identity": slice(0, 3), "scene": slice(3, panel.generator.latent_dim)}
    return panel


def test_truth_about_identity_where_the_generator_knows_it(batch):
    panel = knowing_panel()
    pairs = generate_identity_batch(dataclasses.replace(QUICK, targets=()), 0, panel=panel).pairs
    truth = pairs.groupby("sample_type")["same_identity"]
    assert truth.get_group("genuine").eq(True).all()
    assert truth.get_group("negative").eq(False).all()
    assert truth.get_group("positive").isna().all()
    assert truth.get_group("interpolation").isna().all()  # whose face that is, people are asked
    quarter, half = (pairs.query(f"sample_type == 'interpolation' and step == {step}") for step in (0.25, 0.5))
    assert np.allclose(2 * quarter["identity_distance"].to_numpy(), half["identity_distance"].to_numpy(), atol=1e-4)
    assert pairs.query("sample_type == 'negative'")["identity_distance"].gt(0).all()
    assert "same_identity" not in batch.pairs.columns


def test_steps_that_move_the_person_alone_leave_the_scene():
    panel = knowing_panel()
    configuration = dataclasses.replace(QUICK, targets=(), steps_move="person")
    samples = generate_identity_batch(configuration, 0, panel=panel)
    moved = samples.pairs[samples.pairs["sample_type"].isin(["positive", "interpolation"])]
    for row in moved.itertuples():
        assert np.array_equal(samples.latents[row.sample_id][3:], samples.latents[row.base_id][3:])
        assert not np.array_equal(samples.latents[row.sample_id][:3], samples.latents[row.base_id][:3])
    searched = generate_identity_batch(dataclasses.replace(configuration, targets=(0.01,)), 0, panel=panel)
    for row in searched.pairs[searched.pairs["sample_type"] == "optimized"].itertuples():
        assert np.array_equal(searched.latents[row.sample_id][3:], searched.latents[row.partner_id][3:])
        assert not np.array_equal(searched.latents[row.sample_id][:3], searched.latents[row.partner_id][:3])
    with pytest.raises(LiminalError, match="no latents of the person alone"):
        generate_identity_batch(configuration, 0, panel=fake_panel())


def test_conditions_are_drawn_anew_and_the_person_stays():
    generator = knowing_panel().generator
    people = generator.sample([1, 2])
    again = generator.redraw_conditions(people, [5, 6])
    assert torch.equal(again[:, :3], people[:, :3])
    assert not torch.equal(again[:, 3:], people[:, 3:])
    assert generator.identity_distance(people, again).tolist() == [0.0, 0.0]
    draws = generator.sample(range(4000))
    assert float(generator.identity_distance(draws[:2000], draws[2000:]).square().mean()) == pytest.approx(1.0, abs=0.05)


def test_named_values_stand_beside_the_samples():
    """A generator whose first latent is a head turn of ten degrees a standard deviation."""
    panel = knowing_panel()
    panel.generator.latent_names = (LatentName("scene", "head_turn", "degrees", -35.0, 35.0, "left .. right"),)
    panel.generator.named_values = lambda latents: [{"head_turn": 10 * float(row[0])} for row in latents]
    samples = generate_identity_batch(dataclasses.replace(QUICK, targets=()), 0, panel=panel)
    for row in samples.samples.itertuples():
        assert row.value_head_turn == pytest.approx(10 * float(samples.latents[row.sample_id][0]))
