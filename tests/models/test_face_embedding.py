import pytest
import torch

from core.models import registry
from core.models.builtin.face_embedding import EMOTION_NETWORKS, FACE_CROPS, FEATURE_BLOCKS, FeatureNetworks, append_probabilities


@pytest.fixture(scope="module")
def encoder():
    return registry.load("face-embedding", "encoder", "cpu")


@pytest.fixture(scope="module")
def latents():
    return registry.load("dcgan", "generator", "cpu").sample(range(7_000_000, 7_000_200))  # no training shard draws these


@pytest.fixture(scope="module")
def faces(latents):
    with torch.inference_mode():
        return registry.load("dcgan", "generator", "cpu").decode(latents).clone()


@pytest.fixture(scope="module")
def embeddings(encoder, faces):
    with torch.inference_mode():
        return encoder.embed(faces).clone()


def test_fresh_faces_are_white(embeddings):
    assert embeddings.shape == (200, 96)
    n = len(embeddings)
    # of 96 means of 200 values the largest lies near 2.6 standard errors; the search path's features differ a trifle, too
    assert embeddings.mean(dim=0).abs().max() < 5 / n**0.5
    assert embeddings.mean(dim=0).square().mean() < 3 / n
    assert embeddings.var(dim=0).mean() == pytest.approx(1, abs=0.1)
    assert embeddings.var(dim=0).min() > 0.5
    assert embeddings.var(dim=0).max() < 2
    off = torch.corrcoef(embeddings.T) - torch.eye(96)
    assert off.square().sum() / (96 * 95) < 3 / n  # uncorrelated: 1 / n is what chance gives


def test_a_face_alone_has_the_same_bytes(encoder, faces, embeddings):
    with torch.inference_mode():
        for row in (0, 1, 6):
            assert torch.equal(encoder.embed(faces[row : row + 1])[0], embeddings[row])
        assert torch.equal(encoder.embed(faces[1:8]), embeddings[1:8])
        assert torch.equal(encoder.embed(faces[:7].flip(0)).flip(0), embeddings[:7])
        assert encoder.embed(faces[:0]).shape == (0, 96)


def test_the_gradient_is_that_of_finite_differences(encoder, faces):
    """Along the gradient itself, by central differences."""
    way = torch.randn(96, generator=torch.Generator().manual_seed(1))
    moving = faces[:1].clone().requires_grad_()
    (gradient,) = torch.autograd.grad((encoder.embed(moving) * way).sum(), moving)
    assert torch.isfinite(gradient).all()
    direction = gradient / gradient.norm()
    h = 0.02
    with torch.inference_mode():
        ahead, behind = ((encoder.embed(faces[:1] + sign * h * direction) * way).sum() for sign in (1, -1))
    assert float(ahead - behind) / (2 * h) == pytest.approx(float(gradient.norm()), rel=0.2)


def test_faces_without_a_detected_face_have_an_embedding(encoder):
    assert torch.isfinite(encoder.embed(torch.full((2, 3, 64, 64), 0.5))).all()


def test_both_generators_faces_of_a_latent_are_neighbours(encoder, latents, embeddings):
    """A sharpened face lies nearer to its own plain face than to the other plain ones, mostly."""
    with torch.inference_mode():
        sharp = encoder.embed(registry.load("dcgan-sharp", "generator", "cpu").decode(latents[:24]))
        apart = torch.cdist(sharp, embeddings[:24])
    nearest = (apart.argmin(dim=1) == torch.arange(24)).float().mean()
    assert nearest > 0.8
    others = apart[~torch.eye(24, dtype=torch.bool)]
    assert apart.diagonal().median() < 0.7 * others.median()


def test_outputs_are_those_of_the_networks(encoder, faces):
    """The last features are both emotion networks' logits, and behind them their probabilities."""
    with torch.inference_mode():
        seen = FeatureNetworks(torch.device("cpu"), FACE_CROPS["face-embedding"]).features(faces[:8])
        assert seen.values.shape == (8, sum(FEATURE_BLOCKS.values()))
        for place, name in enumerate(EMOTION_NETWORKS):
            logits = registry.load(name, "classifier", "cpu").logits(faces[:8])
            assert torch.allclose(seen.logits[:, place], logits, atol=1e-3)
            assert torch.allclose(seen.values[:, -12:].view(8, 2, 6)[:, place], logits, atol=1e-3)
            probabilities = append_probabilities(seen.values)[:, -12:].view(8, 2, 6)[:, place]
            assert torch.allclose(probabilities, registry.load(name, "classifier", "cpu").probabilities(faces[:8]), atol=1e-4)


def test_the_descriptor_is_near_dlibs_own(faces, encoder):
    """A fixed crop instead of found landmarks: still much nearer to the face's own descriptor than to others'."""
    with torch.inference_mode():
        own = registry.load("dlib", "recogniser", "cpu").embed(faces[:12])
        ours = FeatureNetworks(torch.device("cpu"), FACE_CROPS["face-embedding"]).features(faces[:12]).values[:, :128]
    found = torch.isfinite(own).all(dim=1)
    assert found.sum() >= 6
    apart = torch.cdist(ours[found].double(), own[found].double())
    assert (apart.argmin(dim=1) == torch.arange(len(apart))).float().mean() > 0.7


def test_the_judge_takes_no_part():
    """The small CNN judges what the embedding steers: neither features nor teachers are its."""
    assert "small-cnn" not in EMOTION_NETWORKS
    assert not any("small" in block for block in FEATURE_BLOCKS)


def test_the_mlp_asks_the_embedding(encoder, faces, embeddings):
    mlp = registry.load("emotion-mlp", "classifier", "cpu")
    with torch.inference_mode():
        assert torch.equal(mlp.logits(faces[:5]), mlp.logits_of(embeddings[:5]))
        assert torch.equal(mlp.logits_of(embeddings[3:4])[0], mlp.logits_of(embeddings[:9])[3])
    assert mlp.logits_of(embeddings[:0]).shape == (0, 6)
