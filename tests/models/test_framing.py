"""What classifiers see: the whole picture, or the square around the face."""

import torch

from core.models import registry, yunet
from core.models.framing import frame_for_classifiers


def test_the_square_around_the_face_wherever_it_lies():
    generator = registry.load("dcgan-sharp", "generator")
    face = generator.decode(generator.sample([6]))
    wide = torch.full((2, 3, 512, 512), 0.5)
    wide[0, :, 40:296, 60:316], wide[1, :, 200:456, 180:436] = face[0], face[0]
    framed = frame_for_classifiers(wide, "face")
    assert framed.shape == wide.shape
    boxes = yunet.load_detector().find_largest(framed).boxes
    sides = (boxes[:, 2:] - boxes[:, :2]).amax(dim=1)
    assert bool((sides > 0.8 * 512).all())  # the face fills the square
    assert float((boxes[0] - boxes[1]).abs().max()) < 0.05 * 512  # and lies in the same place of it


def test_whole_pictures_and_pictures_without_a_face_stay():
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    assert frame_for_classifiers(images, "whole") is images
    assert torch.allclose(frame_for_classifiers(images, "face"), images, atol=1e-4)
