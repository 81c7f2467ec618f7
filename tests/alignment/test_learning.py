"""BaseNet -> GroupNet -> IndivNet on a made-up study: planted biases are found, the control finds none, a killed run goes on."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from core.alignment import networks, store, train
from core.alignment.evaluate import count_confusions, evaluate_classifier, mean_gain, median_gain, rank_changes
from core.alignment.networks import Learner
from core.alignment.store import EpochDone
from core.errors import Cancelled, LiminalError
from core.progress import Progress, Stage
from tests.alignment import made_up

NAME = "emotion-mlp"


@pytest.fixture(scope="module")
def aligned(tmp_path_factory):
    made, _ = made_up.study(tmp_path_factory.mktemp("aligned"), bias=1.5, epochs=10)
    train.train_group(made)
    train.train_everyone(made, people=made.split.eligible_raters[:8])
    return made


@pytest.fixture(scope="module")
def said(aligned):
    return evaluate_classifier(aligned, NAME)


def test_planted_biases_are_found_and_the_control_shows_none(said):
    assert said.group_gain.value.low > 0.1
    assert said.individual_loss_gain.value.low > 0
    assert said.individual_gain.value.value > 0
    assert said.individual_loss_gain.p < 0.05
    assert said.null_gain.value.low <= 0 <= said.null_gain.value.high
    assert said.null_loss_gain.value.low <= 0
    assert said.individual_loss_gain.value.value > said.null_loss_gain.value.value + 0.1
    assert said.shift_loss_gain.value.low > 0
    assert said.null_shift_loss_gain.value.value < 0.5 * said.shift_loss_gain.value.value
    assert said.basis.source == "simulated"
    assert "held out from everybody" in said.note
    json.dumps(said.to_dict(), allow_nan=False)


def test_a_control_is_its_median_person_and_a_gain_the_mean_of_people(said):
    few_lucky = np.array([*np.linspace(-0.1, 0.1, 21), 2.0, 2.0, 3.0, 3.0])
    assert mean_gain(few_lucky).value.low > 0
    assert median_gain(few_lucky).value.value == pytest.approx(np.median(few_lucky))
    assert median_gain(few_lucky).value.low < 0 < median_gain(few_lucky).value.high < 0.1
    assert median_gain(few_lucky).p == mean_gain(few_lucky).p  # a test of the people, whichever their summary
    for kind in ("gain", "loss_gain", "shift_loss_gain"):
        people = said.people[f"null_{kind}"].dropna()
        assert getattr(said, f"null_{kind}").value.value == pytest.approx(people.median())
    assert said.individual_gain.value.value == pytest.approx(said.people["gain"].mean())


def test_entropy_correlation_rises_on_held_out_images(aligned, said):
    held = {aligned.answers.images[place] for place in np.flatnonzero(aligned.split.images)}
    assert set(said.entropies["stimulus"]) <= held
    assert said.entropy_group.value > said.entropy_base.value


def test_the_shared_network_is_never_changed(aligned):
    assert torch.equal(aligned.sources.learner(NAME).head.weight, made_up.network().head.weight)


def test_a_finished_model_is_read_again(aligned):
    def broken(name):
        raise AssertionError("a finished model needs no network")

    again = dataclasses.replace(aligned, sources=dataclasses.replace(aligned.sources, learner=broken))
    train.train_group(again)
    rater = aligned.people(NAME)[0]
    assert np.array_equal(train.train_individual(again, NAME, rater).images, aligned.individual(NAME, rater).images)


def test_weights_that_were_kept_give_the_probabilities_that_were_kept(aligned):
    given = aligned.sources.inputs(NAME, Progress())
    rater = aligned.people(NAME)[1]
    for network, said in (
        (train.load_group_network(aligned, NAME), aligned.group(NAME)),
        (train.load_individual_network(aligned, NAME, rater), aligned.individual(NAME, rater)),
    ):
        assert networks.predict_probabilities(network, given.images).numpy() == pytest.approx(said.images, abs=1e-6)


def test_what_changed_and_what_is_taken_for_what(aligned, said):
    table = rank_changes(aligned, NAME)
    assert list(table["change"]) == sorted(table["change"], reverse=True)
    assert table["held_out"].sum() == aligned.split.images.sum()
    _, judged = aligned.split.group()
    counts = count_confusions(aligned, NAME)
    assert counts.sum() == len(judged)
    assert np.trace(counts) / counts.sum() == pytest.approx(said.group["group"].value)
    rater = aligned.people(NAME)[0]
    assert count_confusions(aligned, NAME, "individual", rater).sum() == len(aligned.split.person(rater)[1])


class Killed(BaseException):
    pass


def test_a_killed_run_ends_like_one_that_was_not(tmp_path):
    whole, _ = made_up.study(tmp_path / "whole", epochs=5, raters=4)
    train.train_group(whole)
    torn, _ = made_up.study(tmp_path / "torn", epochs=5, raters=4)

    def kill(event):
        if isinstance(event, EpochDone) and event.epoch.number == 3:
            raise Killed

    with pytest.raises(Killed):
        train.train_group(torn, Progress(kill))
    assert not torn.ready(NAME)
    events = []
    train.train_group(torn, Progress(events.append))
    assert [event.epoch.number for event in events if isinstance(event, EpochDone)] == [4, 5]
    first, second = whole.store.weights(NAME, "group"), torn.store.weights(NAME, "group")
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert whole.curve(NAME) == torn.curve(NAME) or str(whole.curve(NAME)) == str(torn.curve(NAME))
    assert not list(torn.store.folder.rglob("*.unfinished"))


def test_the_order_of_rows_does_not_change_the_weights(tmp_path):
    first, _ = made_up.study(tmp_path / "a", epochs=2, raters=4)
    second, _ = made_up.study(tmp_path / "b", epochs=2, raters=4, ratings=lambda table: table.sample(frac=1.0, random_state=1))
    assert first.alignment_id == second.alignment_id
    one, other = (train.train_group(each).store.weights(NAME, "group") for each in (first, second))
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_cancelling_keeps_what_was_finished(tmp_path):
    made, _ = made_up.study(tmp_path, epochs=4, raters=4)
    progress = Progress()

    def stop(event):
        if isinstance(event, EpochDone):
            progress.cancel.set()

    progress.report = stop
    with pytest.raises(Cancelled):
        train.train_group(made, progress)
    assert made.store.unfinished(NAME, "group").is_file()
    assert made.base(NAME).images.shape == (len(made.answers.images), 6)


def test_people_s_own_curves_are_told_as_they_learn_and_the_control_s_are_not(tmp_path):
    made, _ = made_up.study(tmp_path, epochs=3, raters=4)
    train.train_group(made)
    events, people = [], made.split.eligible_raters[:2]
    train.train_everyone(made, people=people, progress=Progress(events.append))
    assert made.people(NAME, null=True) == people
    done = [event for event in events if isinstance(event, EpochDone)]
    assert [(event.rater, event.epoch.number) for event in done] == [(rater, number) for rater in people for number in (1, 2, 3)]
    assert {event.stage for event in done} == {"individual"}
    for rater in people:
        assert [event.epoch for event in done if event.rater == rater] == list(made.curve(NAME, rater).epochs[1:])
    fractions = [event.fraction for event in events if isinstance(event, Stage)]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1


def test_early_stopping_keeps_the_best(tmp_path):
    made, _ = made_up.study(tmp_path, epochs=60, patience=2, rate=3e-2, raters=5)
    train.train_group(made)
    curve = made.curve(NAME)
    assert curve.stopped_early
    assert len(curve.epochs) < 61
    learned, judged = made.split.group()
    _, looked = train._choose_stopping_rows(made.split, learned, judged)
    assert set(made.answers.image[looked]).isdisjoint(made.answers.image[judged])  # what is reported decides nothing
    p = made.group(NAME).images[made.answers.image[looked], made.answers.emotion[looked]]
    assert -np.log(p).mean() == pytest.approx(min(each.validation_loss for each in curve.epochs), rel=1e-4)


def test_only_the_head_learns_where_that_is_asked_for(tmp_path):
    made, _ = made_up.study(tmp_path, epochs=3, raters=4, part="head")
    train.train_group(made)
    network = train.load_group_network(made, NAME)
    base = made_up.network()
    assert torch.equal(network.body[0].weight, base.body[0].weight)
    assert not torch.equal(network.head.weight, base.head.weight)
    rater = made.answers.raters[0]
    said = train.train_individual(made, NAME, rater)
    given = made.sources.inputs(NAME, Progress())
    again = networks.predict_probabilities(train.load_individual_network(made, NAME, rater), given.images).numpy()
    assert again == pytest.approx(said.images, abs=1e-6)


def test_refusals_are_one_sentence_and_leave_what_was_there(tmp_path):
    lacking, _ = made_up.study(tmp_path / "five", learner=lambda name: made_up.network(outputs=5))
    with pytest.raises(LiminalError, match="does not name all of"):
        train.train_group(lacking)

    def diverging(name):
        made = made_up.network()
        with torch.no_grad():
            made.head.bias[0] = float("nan")
        return made

    broken, _ = made_up.study(tmp_path / "nan", learner=diverging)
    with pytest.raises(LiminalError, match="no number any more; lower the rate"):
        train.train_group(broken)
    assert not broken.ready(NAME)
    fresh, _ = made_up.study(tmp_path / "fresh", raters=4)
    with pytest.raises(LiminalError, match="has not learned yet"):
        train.train_individual(fresh, NAME, fresh.answers.raters[0])
    with pytest.raises(LiminalError, match="has not learned yet"):
        evaluate_classifier(fresh, NAME)


def test_batches_hold_all_rows_once_and_weigh_alike():
    from core.alignment.train import TrainingRows, iterate_batches, mix_epoch

    random = np.random.default_rng(0)
    rows = TrainingRows(
        np.arange(50), np.eye(6, dtype=np.float32)[random.integers(0, 6, 50)], random.integers(1, 20, 50).astype(float)
    )
    found = list(iterate_batches(rows, 128.0))
    assert sorted(np.concatenate([each.image for each in found])) == list(range(50))
    assert all(60 < each.weight.sum() < 200 for each in found)
    other = TrainingRows(np.arange(100, 104), np.eye(6, dtype=np.float32)[[0, 1, 2, 3]], np.ones(4))
    epoch = mix_epoch(rows, other, 0.5, random)
    assert epoch.weight[epoch.image >= 100].sum() == pytest.approx(rows.weight.sum() / 2, rel=0.05)
    assert sorted(epoch.image[epoch.image < 100]) == list(range(50))


def test_votes_of_an_image_together_weigh_as_they_do_apart():
    from core.alignment.train import TrainingRows, _mean_loss

    image, emotion = np.array([0, 0, 0, 1, 1, 2]), np.array([1, 1, 4, 0, 0, 5])
    logits = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))
    together, apart = TrainingRows.by_image(image, emotion, 3), TrainingRows.single(image, emotion)
    assert float(_mean_loss(logits[together.image], together)) == pytest.approx(
        float(_mean_loss(logits[apart.image], apart)), rel=1e-6
    )


def test_a_person_can_be_forgotten(tmp_path):
    made, _ = made_up.study(tmp_path, epochs=1, raters=4)
    train.train_group(made)
    assert store.delete_alignments("made-up", "nobody", tmp_path) == 0
    assert store.delete_alignments("made-up", made.answers.raters[0], tmp_path) == 1
    assert not made.store.folder.exists()


@pytest.mark.parametrize("name", ["emotion-mlp", "mini-xception", "tanh-cnn"])
def test_a_copy_answers_like_the_registry_s_network(name):
    from core.alignment.networks import load_learner, predict_probabilities, prepare_inputs
    from core.models import registry

    images = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    copied = load_learner(name)
    assert isinstance(copied, Learner)
    shared = registry.load(name, "classifier")
    with torch.inference_mode():
        expected = shared.probabilities(images).cpu().numpy()
    assert predict_probabilities(copied, prepare_inputs(name, images)).numpy() == pytest.approx(expected, abs=1e-5)
    parameters = copied.learning("all")  # a gradient goes through every kind of layer
    copied(prepare_inputs(name, images)).logsumexp(dim=1).sum().backward()
    assert all(parameter.grad is not None for parameter in parameters)
    assert not any(parameter.requires_grad for parameter in shared.network.parameters())
