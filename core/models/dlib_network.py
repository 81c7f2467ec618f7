"""dlib's face descriptor network in PyTorch, read from dlib's own ``.dat`` file.

The architecture is that of dlib's ``dnn_face_recognition_ex``: a 7x7 convolution, fourteen residual blocks of two 3x3
convolutions (29 in all), average pooling and a linear map to 128 values. Each ``affine_`` layer (a frozen batch
normalisation) is folded into the convolution before it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from core.errors import LiminalError

MEAN_RGB = (122.782, 117.001, 104.298)
"""dlib's ``input_rgb_image_sized``: subtracted from 0..255, then divided by 256."""

BLOCKS = (
    *[(32, 1)] * 3,
    *[(64, 2)] + [(64, 1)] * 3,
    *[(128, 2)] + [(128, 1)] * 2,
    *[(256, 2)] + [(256, 1)] * 2,
    (256, 2),
)
"""(channels, stride) of each residual block, in the order of execution."""


class ResidualBlock(nn.Module):
    """conv-relu-conv plus the input; with stride 2 the input goes through 2x2 average pooling (``ares_down``)."""

    def __init__(self, before: int, channels: int, stride: int) -> None:
        super().__init__()
        # dlib pads a convolution by half its kernel only where its stride is one
        self.first = nn.Conv2d(before, channels, 3, stride, padding=1 if stride == 1 else 0)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.second(functional.relu(self.first(x)))
        if self.stride == 2:
            x = functional.avg_pool2d(x, 2)
        return functional.relu(_add_zero_padded(x, y))


def _add_zero_padded(x: Tensor, y: Tensor) -> Tensor:
    """dlib's ``add_prev``: the sum on the larger of both shapes, the smaller one padded with zeros behind."""
    if x.shape == y.shape:
        return x + y
    shape = [max(a, b) for a, b in zip(x.shape[1:], y.shape[1:], strict=True)]

    def padded(t: Tensor) -> Tensor:
        return functional.pad(t, [0, shape[2] - t.shape[3], 0, shape[1] - t.shape[2], 0, shape[0] - t.shape[1]])

    return padded(x) + padded(y)


class DlibResNet(nn.Module):
    """(N, 3, 150, 150) in [0, 1] -> (N, 128), not normalised, as ``compute_face_descriptor`` gives."""

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 7, 2)
        blocks, before = [], 32
        for channels, stride in BLOCKS:
            blocks.append(ResidualBlock(before, channels, stride))
            before = channels
        self.blocks = nn.Sequential(*blocks)
        self.linear = nn.Linear(256, 128, bias=False)
        self.register_buffer("mean", torch.tensor(MEAN_RGB)[:, None, None], persistent=False)

    def forward(self, chips: Tensor) -> Tensor:
        x = (chips * 255 - self.mean) / 256
        x = functional.relu(self.stem(x.to(self.stem.weight.dtype)))
        x = functional.max_pool2d(x, 3, 2)
        x = self.blocks(x)
        vectors: Tensor = self.linear(x.mean(dim=(2, 3)))
        return vectors

    def convolutions(self) -> list[nn.Conv2d]:
        """All convolutions in the order of execution, which is the order of the file."""
        found = [self.stem]
        for block in self.blocks:
            assert isinstance(block, ResidualBlock)
            found += [block.first, block.second]
        return found


def read_network(path: Path) -> DlibResNet:
    """The network with the weights of a dlib ``.dat`` file. Raises LiminalError where the file is not of this architecture."""
    data = path.read_bytes()
    network = DlibResNet()
    reader = _Reader(data)
    try:
        with torch.no_grad():
            for convolution in network.convolutions():
                # a con_ layer: its filters in row order, then its biases; then an affine_ layer: gamma, then beta
                values = reader.tensor_after(b"con_4")
                gamma, beta = np.split(reader.tensor_after(b"affine_"), 2)
                filters = values[: -len(gamma)].reshape(tuple(convolution.weight.shape))
                bias = values[-len(gamma) :]
                convolution.weight.copy_(torch.from_numpy(filters * gamma[:, None, None, None]))
                assert convolution.bias is not None
                convolution.bias.copy_(torch.from_numpy(bias * gamma + beta))
            weights = reader.tensor_after(b"fc_2", skipped_integers=2)
            network.linear.weight.copy_(torch.from_numpy(weights.reshape(256, 128).T.copy()))
    except (ValueError, struct.error, IndexError) as error:
        raise LiminalError(f"{path} is not dlib's face recognition network: {error}; run 'make weights'.") from error
    return network


@dataclass
class _Reader:
    """Reads dlib's serialised tensors one after the other."""

    data: bytes
    offset: int = 0

    def tensor_after(self, layer: bytes, skipped_integers: int = 0) -> NDArray[np.float32]:
        """The parameters of the next layer of that name, flat."""
        found = self.data.find(bytes([1, len(layer)]) + layer, self.offset)
        if found < 0:
            raise ValueError(f"no further layer {layer.decode()}")
        self.offset = found + 2 + len(layer)
        for _ in range(skipped_integers):
            self._integer()
        version = self._integer()
        if version != 2:
            raise ValueError(f"tensor version {version} in layer {layer.decode()}")
        count = int(np.prod([self._integer() for _ in range(4)]))
        values = np.frombuffer(self.data, "<f4", count, self.offset)
        self.offset += values.nbytes
        return values

    def _integer(self) -> int:
        """dlib's packed integer: a byte with the number of bytes (and the sign in its top bit), then these bytes."""
        control = self.data[self.offset]
        size = control & 0x0F
        value = int.from_bytes(self.data[self.offset + 1 : self.offset + 1 + size], "little")
        self.offset += 1 + size
        return -value if control & 0x80 else value
