"""The head's surrogate against a planted truth: descriptors that are known functions of the named values."""

import json

import numpy as np
import pytest
import torch

from core.errors import LiminalError
from core.models import registry
from core.models.builtin.head import surrogate as surrogates
from core.models.builtin.head.latents import INDEX, LATENT_DIM, LATENTS, named_values
from core.models.builtin.head.surrogate import LOGITS, HeadSurrogate, draw_latents, read_targets
from core.models.builtin.head.surrogate_features import expand_features, name_values
from core.models.contracts import Classifier, Generator
from core.models.trained_weights import read_trained
from core.models.training import head_surrogates
from core.models.training.head_surrogates import HASHED_HEADS, HeadJudges, JudgedHeads, fit_head_surrogate, load_judged_heads
from tests.fakes import FakeRecogniser, card

HEADS = 1100


def planted(latents):
    """What a recogniser of four dimensions and a classifier would say: products, angles and thresholds of a few named values."""
    values, scaled = name_values(latents)

    def of(name, table=scaled):
        return table[:, INDEX[name]]

    turn, side = of("head_turn"), of("light_side", values) * np.pi / 180
    descriptors = [
        of("nose_width") + of("glasses") * of("glasses_thickness") + 0.5 * of("femininity"),
        of("eye_spacing") + torch.sin(side) + 0.2 * turn**2,
        of("beard") * of("hair_grey") + of("chin_width"),
        torch.tanh(of("skin_darkness") + of("smile")),
    ]
    logits = [of(name, values) for name in ("surprise", "fear", "disgust", "happiness", "sadness", "anger")]
    return torch.stack(descriptors, dim=1), torch.stack(logits, dim=1)[:, None]


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    latents = draw_latents(HEADS, LATENT_DIM, 5)
    descriptors, logits = planted(latents)
    random = torch.Generator().manual_seed(1)
    descriptors = descriptors + 0.05 * torch.randn(descriptors.shape, generator=random)
    descriptors[7] = torch.nan  # no face
    heads = JudgedHeads(5, latents, {"dlib": descriptors}, ("planted",), logits)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(head_surrogates, "SUBSET", 400)
        patch.setattr(head_surrogates, "LEARNING_STEPS", 15)
        return fit_head_surrogate(heads, command="train", folder=folder)


def surrogate_of(trained):
    sizes = trained.configuration
    return HeadSurrogate(
        read_targets(trained), sizes["classifiers"], sizes["latent_dim"], trained.card["figures"]["r2"], torch.device("cpu")
    )


def test_values_in_torch_are_those_of_the_table():
    latents = 1.5 * draw_latents(40, LATENT_DIM, 3)
    values, _ = name_values(latents)
    expected = np.array([list(named_values(latent).values()) for latent in latents.numpy()])
    ranges = np.array([named.curve.high - named.curve.low for named in LATENTS])
    assert np.abs((values.numpy() - expected) / ranges).max() < 1e-5


def test_features_have_a_finite_gradient_even_far_out():
    with torch.inference_mode():
        expand_features(draw_latents(1, LATENT_DIM, 4))  # constants that are made here serve gradients later
    latents = (4 * draw_latents(16, LATENT_DIM, 4)).requires_grad_()
    features = expand_features(latents)
    (slope,) = torch.autograd.grad(features.square().sum(), latents)
    assert bool(features.isfinite().all() and slope.isfinite().all())


def test_a_planted_truth_is_predicted_on_fresh_heads(fitted):
    surrogate = surrogate_of(fitted)
    latents = draw_latents(300, LATENT_DIM, 77)
    descriptors, logits = planted(latents)
    for name, true, predicted in (
        ("dlib", descriptors, surrogate.descriptors(latents, "dlib")),
        (LOGITS, logits, surrogate.logits(latents)),
    ):
        r2 = 1 - float((true - predicted).square().sum() / (true - true.mean(dim=0)).square().sum())
        assert r2 > 0.8
        assert surrogate.r2[name] == pytest.approx(r2, abs=0.07)
    assert surrogate.r2["planted"] == surrogate.r2[LOGITS]
    assert (surrogate.recognisers, surrogate.classifiers) == (("dlib",), ("planted",))


def test_a_row_is_the_same_with_and_without_neighbours_and_has_a_gradient(fitted):
    surrogate, latents = surrogate_of(fitted), draw_latents(6, LATENT_DIM, 8)
    together = surrogate.descriptors(latents, "dlib")
    assert torch.equal(together[4:5], surrogate.descriptors(latents[4:5], "dlib"))
    moving = latents.clone().requires_grad_()
    (slope,) = torch.autograd.grad(surrogate.descriptors(moving, "dlib")[:, 0].sum(), moving)
    sizes = slope.abs().mean(dim=0)
    assert float(sizes[INDEX["nose_width"]]) > 10 * float(sizes[INDEX["eye_spacing"]])  # which another dimension is made of


def test_the_stored_surrogate_was_fitted_to_today_s_head():
    """Its features are those that it was fitted to, and fresh heads are predicted as well as its card says."""
    stored, surrogate = read_trained("head-descriptors"), registry.load("head-descriptors", "surrogate", "cpu")
    features = expand_features(stored.tensors["probe"][None])[0]
    assert torch.allclose(features, stored.tensors["probe_features"], atol=1e-3), "train head-descriptors again"
    generator, recogniser = registry.load("head", "generator", "cpu"), registry.load("sface", "recogniser", "cpu")
    latents = generator.sample(range(24))
    true, predicted = recogniser.embed(generator.decode(latents)), surrogate.descriptors(latents, "sface")
    found = true.isfinite().all(dim=1)
    missed, around = ((true - other)[found].square().sum() for other in (predicted, true[found].mean(dim=0)))
    assert 1 - float(missed / around) > surrogate.r2["sface"] - 0.2


def test_weights_of_another_network_or_random_numbers_are_refused(fitted, tmp_path, monkeypatch):
    with pytest.raises(LiminalError, match="not 'sface'"):
        surrogate_of(fitted).descriptors(torch.zeros(1, LATENT_DIM), "sface")
    draw = draw_latents
    monkeypatch.setattr(surrogates, "draw_latents", lambda count, size, seed: draw(count, size, seed + 1))
    with pytest.raises(LiminalError, match="draws other random numbers"):
        read_targets(fitted)
    monkeypatch.setattr(surrogates, "draw_latents", draw)
    monkeypatch.setattr(surrogates, "expand_features", lambda latents: expand_features(latents)[:, 1:])
    with pytest.raises(LiminalError, match="other features"):
        read_targets(fitted)
    for ending in ("json", "safetensors"):
        (tmp_path / f"head-descriptors.{ending}").write_bytes(fitted.path.with_suffix(f".{ending}").read_bytes())
    described = json.loads((tmp_path / "head-descriptors.json").read_text())
    described["configuration"]["targets"].append("facenet")
    (tmp_path / "head-descriptors.json").write_text(json.dumps(described))
    with pytest.raises(LiminalError, match="another network"):
        read_targets(read_trained("head-descriptors", tmp_path))


def test_too_few_faces_are_refused():
    latents = draw_latents(40, LATENT_DIM, 0)
    heads = JudgedHeads(0, latents, {"dlib": torch.zeros(40, 4)}, ("planted",), torch.zeros(40, 1, 6))
    with pytest.raises(LiminalError, match="too few"):
        fit_head_surrogate(heads, command="train")


class PlantedHead(Generator):
    def __init__(self):
        self.card, self.latent_dim, self.image_size = card("head", "generator"), 8, 4
        self.device, self.decoded = torch.device("cpu"), 0

    def decode(self, latents):
        self.decoded += len(latents)
        written = (0.5 + latents / 16).clamp(0, 1)
        return torch.cat([written, written.new_full((len(latents), 40), 0.5)], dim=1).reshape(-1, 3, 4, 4)


class PlantedClassifier(Classifier):
    card, device = card("planted", "classifier"), torch.device("cpu")

    def logits(self, images):
        return images.flatten(1)[:, :6]


def test_an_interrupted_run_makes_only_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(head_surrogates, "RENDER_BATCH", 50)

    def load():
        judges = HeadJudges(PlantedHead(), [FakeRecogniser("dlib", face_until=2.0)], [PlantedClassifier()])
        return load_judged_heads(300, 2, judges=judges, folder=tmp_path, workers=2), judges.generator.decoded

    heads, decoded = load()
    assert decoded == 3 * 128 + HASHED_HEADS
    assert len(heads) == 384
    assert torch.allclose(heads.descriptors["dlib"].nan_to_num(9.0), heads.latents, atol=0.04) or bool((~heads.with_face).any())
    assert torch.equal(heads.with_face, ~heads.descriptors["dlib"].isnan().any(dim=1))
    pieces = {path: path.read_bytes() for path in tmp_path.iterdir()}
    lost = sorted(pieces)[1]
    lost.unlink()
    again, decoded = load()
    assert decoded == 128 + HASHED_HEADS
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == pieces
    assert torch.equal(again.logits, heads.logits)
    lost.write_bytes(b"broken")
    with pytest.raises(LiminalError, match="damaged; delete the file"):
        load()
