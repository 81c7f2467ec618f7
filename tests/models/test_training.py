"""The loop that can be killed, and what the training commands make of planted faces."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from core.errors import Cancelled, LiminalError
from core.models import registry
from core.models.builtin.face_embedding import FEATURE_BLOCKS
from core.models.emotions import EMOTIONS
from core.models.trained_weights import read_trained
from core.models.training import data as faces_module
from core.models.training import fit_networks, loop
from core.models.training.data import TrainingFaces, load_training_faces
from core.models.training.loop import TrainingPlan, train_network
from core.progress import Progress

PLAN = TrainingPlan(steps=120, batch=16, rate=1e-2, seed=4, weight_decay=1e-2, average=0.9)
DATA = torch.randn(200, 5, generator=torch.Generator().manual_seed(1))
TRUTH = torch.tensor([[1.0, -2.0, 0.5, 0.0, 3.0]])


class KilledError(Exception):
    """The process is gone: nothing of it is caught."""


def line():
    torch.manual_seed(0)
    network = nn.Linear(5, 1)

    def loss(rows, random):
        x = DATA[rows]
        return (network(x + 0.05 * torch.randn(x.shape, generator=random)) - x @ TRUTH.T).square().mean()

    return network, loss


def test_a_planted_line_is_found():
    network, loss = line()
    train_network(network, loss, len(DATA), TrainingPlan(steps=600, batch=32, rate=5e-2, seed=0, average=0.9), name="line")
    assert torch.allclose(network.weight, TRUTH, atol=0.05)
    assert network.bias.abs().max() < 0.05


@pytest.mark.parametrize("killed_at", [1, 50, 101])
def test_a_killed_run_that_is_continued_ends_with_the_same_bytes(tmp_path, monkeypatch, killed_at):
    whole, loss = line()
    train_network(whole, loss, len(DATA), PLAN, name="line")

    monkeypatch.setattr(loop, "SAVE_SECONDS", -1.0)  # saved after every step
    saved = tmp_path / "line.safetensors"
    halved, loss = line()
    seen = []

    def dying(rows, random):
        seen.append(rows)
        if len(seen) > killed_at:
            raise KilledError
        return loss(rows, random)

    with pytest.raises(KilledError):
        train_network(halved, dying, len(DATA), PLAN, name="line", saved=saved)
    assert saved.is_file()

    again, loss = line()
    nn.init.constant_(again.weight, 7.0)  # whatever it begins with, the saved state counts
    steps = []

    def counting(rows, random):
        steps.append(rows)
        return loss(rows, random)

    train_network(again, counting, len(DATA), PLAN, name="line", saved=saved)
    assert len(steps) == PLAN.steps - killed_at
    assert torch.equal(again.weight, whole.weight)
    assert torch.equal(again.bias, whole.bias)
    assert not saved.exists()


def test_cancel_stops_and_the_state_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "SAVE_SECONDS", -1.0)
    network, loss = line()
    progress = Progress()
    fractions = []

    def report(stage):
        fractions.append(stage.fraction)
        if len(fractions) == 2:
            progress.cancel.set()

    progress.report = report
    with pytest.raises(Cancelled):
        train_network(network, loss, len(DATA), PLAN, name="line", saved=tmp_path / "line.safetensors", progress=progress)
    assert fractions == [0.0, 50 / 120]
    assert (tmp_path / "line.safetensors").is_file()


def test_the_state_of_another_plan_is_not_continued(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "SAVE_SECONDS", -1.0)
    saved = tmp_path / "line.safetensors"
    network, loss = line()
    with pytest.raises(KilledError):
        train_network(network, failing_after(loss, 20), len(DATA), PLAN, name="line", saved=saved)
    other = TrainingPlan(steps=30, batch=16, rate=1e-2, seed=5)
    continued, loss = line()
    train_network(continued, loss, len(DATA), other, name="line", saved=saved)
    fresh, loss = line()
    train_network(fresh, loss, len(DATA), other, name="line")
    assert torch.equal(continued.weight, fresh.weight)


def failing_after(loss, steps):
    left = iter(range(steps))

    def failing(rows, random):
        if next(left, None) is None:
            raise KilledError
        return loss(rows, random)

    return failing


def test_a_damaged_state_is_one_sentence(tmp_path):
    saved = tmp_path / "line.safetensors"
    saved.write_bytes(b"rubbish that is no safetensors file")
    network, loss = line()
    with pytest.raises(LiminalError, match="is damaged; delete it and start again") as error:
        train_network(network, loss, len(DATA), PLAN, name="line", saved=saved)
    assert "\n" not in str(error.value)


def test_a_loss_that_is_no_number_is_one_sentence():
    network, loss = line()
    calls = iter(range(100))

    def bursting(rows, random):
        return loss(rows, random) * (math.nan if next(calls) == 7 else 1)

    with pytest.raises(LiminalError, match="failed at step 7: the loss is not finite") as error:
        train_network(network, bursting, len(DATA), PLAN, name="line")
    assert "\n" not in str(error.value)
    assert torch.isfinite(network.weight).all()


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"batch": 0}, {"rate": 0.0}, {"rate": 10.0}, {"average": 1.0}])
def test_plans_that_make_no_sense(wrong):
    with pytest.raises(LiminalError):
        TrainingPlan(**({"steps": 1, "batch": 1, "rate": 0.1, "seed": 0} | wrong))


def test_the_average_trails_the_weights():
    """With the rate constant at first, the moving average of a falling weight is above the weight itself."""
    ends = []
    for average in (0.0, 0.99):
        network = nn.Linear(1, 1, bias=False)
        nn.init.constant_(network.weight, 10.0)
        train_network(
            network, lambda rows, _, n=network: n.weight.sum(), 1, TrainingPlan(20, 1, 0.1, 0, average=average), name="slope"
        )
        ends.append(network.weight.item())
    assert ends[0] < ends[1] < 10.0


# -- planted faces: features that come linearly from the latents, one of them driving the teachers


def planted(count=600, latent_dim=6, seed=0):
    random = torch.Generator().manual_seed(seed)
    latents = torch.randn(count, latent_dim, generator=random)
    ways = torch.randn(latent_dim, sum(FEATURE_BLOCKS.values()), generator=random)
    features = latents @ ways + 0.1 * torch.randn(count, ways.shape[1], generator=random)
    logits = (2.0 * latents @ torch.randn(latent_dim, 12, generator=random)).view(count, 2, len(EMOTIONS))
    features[:, -12:] = logits.flatten(1)
    return TrainingFaces("planted", seed, latents, features, logits)


@pytest.fixture(scope="module")
def whitened(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    faces = planted()
    return faces, folder, fit_networks.fit_whitening(faces, embedding_dim=8, command="train", folder=folder)


def test_the_whitening_whitens_and_agrees_with_scikit_learn(whitened):
    """scikit-learn 1.9.1's PCA with whiten=True of the same weighted, standardised features."""
    from sklearn.decomposition import PCA

    faces, folder, _ = whitened
    embeddings = fit_networks.embed_faces(faces, folder)[: faces.trained]
    assert embeddings.mean(dim=0).abs().max() < 1e-3
    assert torch.allclose(torch.cov(embeddings.T), torch.eye(8), atol=5e-3)
    features = torch.cat([faces.features, faces.logits.softmax(dim=2).flatten(1)], dim=1)[: faces.trained].double()
    weights = torch.cat(
        [
            torch.full((128,), 1.0),
            torch.full((128,), 0.7),
            torch.full((304,), 0.5 * (128 / 304) ** 0.5),
            torch.full((12,), 1.5),
            torch.full((12,), 3.0),
        ]
    )
    standard = (features - features.mean(dim=0)) / features.std(dim=0) * weights
    expected = PCA(8, whiten=True, svd_solver="full").fit_transform(standard.numpy())
    for axis in range(8):
        r = np.corrcoef(expected[:, axis], embeddings[:, axis].numpy())[0, 1]
        assert abs(r) > 0.999, (axis, r)


def test_what_an_embedding_holds_is_measured(whitened):
    faces, folder, made = whitened
    figures = made.card["figures"]
    # six latent values made everything: eight components hold nearly all of it, a single one cannot
    assert figures["latent_r2"] > 0.9
    assert min(figures["expression_r2"]["tanh-cnn"].values()) > 0.9
    assert figures["identity_r2"] > 0.9
    assert 0.3 < figures["identity_distance_correlation"] <= 1
    poor = fit_networks.fit_whitening(faces, embedding_dim=1, command="train", folder=folder / "poor").card["figures"]
    assert poor["latent_r2"] < 0.5
    assert poor["variance_kept"] < figures["variance_kept"] <= 1


@pytest.mark.parametrize("dim", [0, 584, 5000])
def test_an_embedding_of_an_impossible_size(whitened, dim):
    faces, folder, _ = whitened
    with pytest.raises(LiminalError, match=f"An embedding of {dim} values"):
        fit_networks.fit_whitening(faces, embedding_dim=dim, command="train", folder=folder / "never")
    assert not (folder / "never").exists()


def test_the_mlp_learns_its_teachers_mean(whitened):
    faces, folder, _ = whitened
    few = fit_networks.fit_emotion_mlp(faces, steps=1, command="train", width=32, folder=folder).card["figures"]
    many = fit_networks.fit_emotion_mlp(faces, steps=300, command="train", width=32, folder=folder).card["figures"]
    assert many["n"] == 60
    assert many["accuracy_against_teachers_mean"] > 0.75 > few["accuracy_against_teachers_mean"]
    assert max(many["mean_absolute_difference"].values()) < 0.1


def test_agreement_by_hand():
    teachers = torch.tensor([[[0.8, 0.2, 0, 0, 0, 0], [0.6, 0.4, 0, 0, 0, 0]], [[0, 0, 1, 0, 0, 0], [0, 0, 0.2, 0.8, 0, 0]]])
    answers = torch.tensor([[0.75, 0.25, 0, 0, 0, 0], [0, 0, 0.35, 0.65, 0, 0]])
    said = fit_networks.measure_agreement(answers, teachers)
    # the mean: 0.7, 0.3 | 0.6, 0.4: the second face is called happiness instead of disgust
    assert said["accuracy_against_teachers_mean"] == 0.5
    # sure 0.75 in its bin, right 0.7; sure 0.65 in another, right 0.4: half of 0.05 and half of 0.25
    assert said["expected_calibration_error"] == pytest.approx(0.15, abs=1e-4)
    assert said["mean_absolute_difference"]["surprise"] == pytest.approx(0.025, abs=1e-4)
    assert said["mean_absolute_difference"]["disgust"] == pytest.approx(0.125, abs=1e-4)
    assert said["accuracy_against_mini-xception"] == 0.5
    assert said["accuracy_against_tanh-cnn"] == 1.0
    assert said["teachers_agree_with_each_other"] == 0.5


def test_the_flow_uses_the_embedding(whitened):
    faces, folder, _ = whitened
    made = fit_networks.fit_latent_flow(faces, steps=300, command="train", width=64, depth=2, batch=64, folder=folder)
    figures = made.card["figures"]
    assert figures["velocity_error"] < 0.8 * figures["velocity_error_with_another_face_s_embedding"]
    assert all(tensor.dtype == torch.float16 for tensor in made.tensors.values())


def test_the_surrogate_foretells_planted_logits(tmp_path):
    made = fit_networks.fit_latent_surrogate(planted(1500), steps=600, command="train", width=64, folder=tmp_path)
    assert min(made.card["figures"]["r2"]["mini-xception"].values()) > 0.9
    assert made.configuration["classifiers"] == ["mini-xception", "tanh-cnn"]


# -- the committed networks


@pytest.fixture(scope="module")
def fresh():
    """64 faces that nothing was trained on -> images, the teachers' probabilities (64, 2, 6)."""
    generator = registry.load("dcgan", "generator", "cpu")
    with torch.inference_mode():
        images = generator.decode(generator.sample(range(5_000_000, 5_000_064)))
        teachers = [registry.load(name, "classifier", "cpu").probabilities(images) for name in ("mini-xception", "tanh-cnn")]
    return images, torch.stack(teachers, dim=1)


def test_the_mlps_card_agrees_with_fresh_faces(fresh):
    images, teachers = fresh
    card = read_trained("emotion-mlp").card["figures"]
    with torch.inference_mode():
        answers = registry.load("emotion-mlp", "classifier", "cpu").probabilities(images)
    measured = fit_networks.measure_agreement(answers, teachers)
    claimed = card["accuracy_against_teachers_mean"]
    # 64 faces: four standard deviations of a share
    assert abs(measured["accuracy_against_teachers_mean"] - claimed) < 4 * math.sqrt(claimed * (1 - claimed) / 64)
    assert claimed > 0.8
    assert card["expected_calibration_error"] < 0.05
    assert measured["expected_calibration_error"] < 0.15  # few faces in a bin: it can only look worse
    for emotion in EMOTIONS:
        assert measured["mean_absolute_difference"][emotion] < 3 * card["mean_absolute_difference"][emotion] + 0.01


def test_the_surrogates_card_agrees_with_fresh_faces():
    generator, surrogate = registry.load("dcgan", "generator", "cpu"), registry.load("latent-emotion", "surrogate", "cpu")
    claimed = read_trained("latent-emotion").card["figures"]["r2"]
    latents = generator.sample(range(6_000_000, 6_000_200))
    with torch.inference_mode():
        told = surrogate.logits(latents)
        images = generator.decode(latents)
        for place, name in enumerate(surrogate.classifiers):
            seen = registry.load(name, "classifier", "cpu").logits(images)
            missed, around = (told[:, place] - seen).square().sum(dim=0), (seen - seen.mean(dim=0)).square().sum(dim=0)
            assert np.allclose(1 - missed / around, list(claimed[name].values()), atol=0.25)
            assert float((1 - missed / around).mean()) == pytest.approx(np.mean(list(claimed[name].values())), abs=0.12)


def test_the_prior_beats_the_gaussian():
    found = read_trained("face-prior").card["figures"]
    assert found["denoising_of_held_out"]["high"] < 1
    # trees tell its draws from real embeddings less well than a Gaussian's
    assert found["prior"]["two_sample_accuracy"]["high"] < found["gaussian"]["two_sample_accuracy"]["low"]


def test_the_flows_card_says_that_the_embedding_helps():
    found = read_trained("latent-flow").card["figures"]
    assert found["velocity_error"] < 0.9 * found["velocity_error_with_another_face_s_embedding"]


# -- the faces to learn from


def test_training_faces_are_kept_and_the_same_again(tmp_path, monkeypatch):
    monkeypatch.setattr(faces_module, "FACE_SHARD", 8)
    told = []
    made = load_training_faces(12, 3, folder=tmp_path, progress=Progress(told.append))
    assert len(made) == 12
    assert made.trained == 11
    assert (made.latents.shape, made.features.shape, made.logits.shape) == ((12, 100), (12, 572), (12, 2, 6))
    assert torch.allclose(made.features[:, -12:], made.logits.flatten(1), atol=0.05)  # features are kept in half precision
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"dcgan-3-8-000{index}.safetensors" for index in (0, 1)]
    assert told
    (tmp_path / "dcgan-3-8-0001.safetensors").unlink()  # a run that was killed after the first shard
    told.clear()
    again = load_training_faces(12, 3, folder=tmp_path, progress=Progress(told.append))
    assert torch.equal(again.latents, made.latents)
    assert torch.equal(again.features, made.features)
    assert [stage.fraction for stage in told] == [0.5]  # the first shard was not made again
    assert not torch.equal(load_training_faces(8, 4, folder=tmp_path).latents, made.latents[:8])


def test_a_damaged_shard_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(faces_module, "FACE_SHARD", 8)
    (tmp_path / "dcgan-0-8-0000.safetensors").write_bytes(b"rubbish")
    with pytest.raises(LiminalError, match="are damaged; delete the file and train again"):
        load_training_faces(8, 0, folder=tmp_path)


@pytest.mark.parametrize("count", [0, -1, 10_000_001])
def test_a_senseless_number_of_faces(tmp_path, count):
    with pytest.raises(LiminalError, match="number of training faces"):
        load_training_faces(count, folder=tmp_path)
