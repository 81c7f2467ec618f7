"""The way through another device without one: PyTorch's ``meta`` tensors have shapes and a device, and refuse to mix devices."""

import pytest
import torch
from torch import nn

from core.models.builtin.dcgan import DCGAN, DCGANNetwork, SharpDCGAN
from core.models.builtin.dlib_recogniser import DlibRecogniser, DlibResNet
from core.models.builtin.fer import MiniXception, MiniXceptionNetwork
from core.models.builtin.lpips_distance import AlexNetLayers, LPIPSDistance
from core.models.custom.checkpoints import CheckpointClassifier, ResEmoteNetwork, ResEmoteSizes, preprocess_resemotenet
from core.models.custom.stylegan2 import StyleGAN2, StyleGAN2Network, StyleGAN2Sizes

CARD = torch.device("meta")


def test_it_would_notice_a_forgotten_device():
    with pytest.raises(RuntimeError, match="not on the expected device"):
        torch.zeros(2, device=CARD) + torch.zeros(2)


def test_generators_take_latents_of_the_processor():
    latents = torch.zeros(5, 100)
    small = DCGAN(DCGANNetwork(), CARD)
    assert small.decode_for_search(latents).shape == (5, 3, 64, 64)
    doubled = nn.Upsample(scale_factor=4)
    for generator in (small, SharpDCGAN(small, doubled, CARD)):
        assert generator.decode(latents).device.type == "meta"


def test_stylegan2_in_both_spaces():
    sizes = StyleGAN2Sizes(z_dim=6, w_dim=5, classes=0, class_features=0, mapping=(5, 5), channels={4: 8, 8: 6})
    for space, size in (("z", 6), ("w", 5)):
        generator = StyleGAN2.__new__(StyleGAN2)  # its scale of w space is a number, which a meta tensor has none of
        generator.device, generator.space, generator.spread, generator.truncation = CARD, space, 1.0, 0.7
        generator.precision = torch.float32
        generator.network, generator.label, generator.has_noise, generator.clamp, generator.chunk = (
            StyleGAN2Network(sizes).to(CARD).eval().requires_grad_(False),
            0,
            True,
            256.0,
            4,
        )
        assert generator.decode(torch.zeros(3, size)).device.type == "meta"


def test_recognisers_and_classifiers_take_pictures_of_either():
    for place in ("cpu", CARD):
        recogniser = DlibRecogniser(DlibResNet(), None, CARD)
        vectors = recogniser.embed_chips(torch.zeros(3, 3, 150, 150, device=place))
        assert vectors.device.type == "meta"
        assert recogniser.distance(vectors, vectors[:1]).shape == (3,)
        images = torch.zeros(2, 3, 64, 64, device=place)
        tiny = ResEmoteNetwork(ResEmoteSizes((4, 6, 8), 2, (10, 12, 14), (9, 8, 7, 7)))
        for classifier in (
            MiniXception(MiniXceptionNetwork(), CARD),
            CheckpointClassifier(tiny, preprocess_resemotenet, [*range(6)], CARD, None),
        ):
            assert classifier.probabilities(images).device.type == "meta"


def test_perceptual_distance_takes_pictures_of_both():
    perceptual = LPIPSDistance(AlexNetLayers(), CARD)
    here, there = torch.zeros(2, 3, 64, 64), torch.zeros(2, 3, 64, 64, device=CARD)
    assert perceptual.distance(here, there).device.type == "meta"
    assert perceptual.toward(here[:1])(there).shape == (2,)
    assert perceptual.all_pairs(there).dtype == torch.float64
