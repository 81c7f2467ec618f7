"""YuNet: faces are found where they were put, in the given image's own pixels, whoever the neighbours are."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import skimage.data
import torch
from torch.nn.functional import interpolate

from core.models import registry, yunet


@pytest.fixture(scope="module")
def detector():
    return yunet.load_detector()


@pytest.fixture(scope="module")
def photo():
    """(3, 512, 512): a woman in a space suit, NASA, public domain."""
    return torch.from_numpy(skimage.data.astronaut().copy()).permute(2, 0, 1).float() / 255


@pytest.fixture(scope="module")
def generated():
    generator = registry.load("dcgan", "generator", "cpu")
    return generator.decode(generator.sample(range(48)))


def face_of(photo):
    return photo[:, 40:240, 130:310]


def test_landmarks_of_the_photograph_are_where_a_person_sees_them(detector, photo):
    faces = detector.find_largest(photo[None])
    right_eye, left_eye, nose, right_mouth, left_mouth = faces.landmarks[0].tolist()
    # Read off an enlarged picture with a grid, in pixels.
    for found, seen in [(right_eye, (203, 101)), (left_eye, (246, 103)), (nose, (222, 126)), (right_mouth, (204, 140))]:
        assert np.hypot(found[0] - seen[0], found[1] - seen[1]) < 8
    assert left_mouth[0] > right_mouth[0]
    left, top, right, bottom = faces.boxes[0].tolist()
    assert left < 203 < 246 < right
    assert top < 101 < 140 < bottom


def test_coordinates_are_in_the_given_images_pixels_at_any_size(detector, photo):
    reference = detector.find_largest(photo[None]).landmarks[0]
    for side in (160, 256, 1024, 1500):
        resized = interpolate(photo[None], size=(side, side), mode="bilinear", antialias=True, align_corners=False)
        expected = (reference + 0.5) * side / 512 - 0.5  # pixel centres
        found = detector.find_largest(resized).landmarks[0]
        assert (found - expected).abs().max() < 8 * side / 512


def test_nearly_all_generated_faces_are_found(detector, generated):
    faces = detector.find_largest(generated)
    assert faces.found.float().mean() >= 0.95
    inside = faces.landmarks[faces.found]
    assert inside.min() > -16
    assert inside.max() < 80
    assert (inside[:, 0, 0] < inside[:, 1, 0]).float().mean() > 0.9, "image left comes first"


def test_no_face_is_a_row_of_nan(detector, photo):
    images = torch.stack([torch.zeros(3, 512, 512), photo, torch.full((3, 512, 512), 0.5)])
    faces = detector.find_largest(images)
    assert faces.found.tolist() == [False, True, False]
    assert torch.isnan(faces.landmarks[0]).all()
    assert torch.isnan(faces.boxes[2]).all()


@pytest.mark.parametrize("shape", [(1, 1), (2, 700), (900, 3), (64, 64)])
def test_odd_shapes_are_survived(detector, shape):
    assert not detector.find_largest(torch.rand(1, 3, *shape)).found.any()


def test_no_images(detector):
    faces = detector.find_largest(torch.empty(0, 3, 64, 64))
    assert faces.landmarks.shape == (0, 5, 2)
    assert faces.boxes.shape == (0, 4)


def test_all_faces_of_one_image_are_counted_largest_first(detector, photo):
    face = face_of(photo)
    canvas = torch.full((3, 480, 640), 0.5)
    places = [(10, 10), (10, 230), (10, 430), (260, 60), (260, 300)]
    for top, left in places:
        canvas[:, top : top + 200, left : left + 180] = face
    half = interpolate(face[None], scale_factor=0.6, mode="bilinear", antialias=True, align_corners=False)[0]
    canvas[:, 300 : 300 + half.shape[1], 500 : 500 + half.shape[2]] = half
    faces = detector.find_all(canvas)
    assert len(faces.boxes) == 6
    areas = (faces.boxes[:, 2:] - faces.boxes[:, :2]).prod(dim=1)
    assert torch.equal(areas, areas.sort(descending=True).values)
    assert faces.boxes[-1, 0] > 480, "the small one comes last"
    assert torch.equal(detector.find_largest(canvas[None]).landmarks[0], faces.landmarks[0])
    assert len(detector.find_all(torch.zeros(3, 100, 100)).boxes) == 0


def test_neighbours_and_threads_change_nothing(detector, generated):
    together = detector.find_largest(generated[:8])
    alone = torch.cat([detector.find_largest(image[None]).landmarks for image in generated[:8]])
    assert torch.equal(together.landmarks.nan_to_num(), alone.nan_to_num())
    with ThreadPoolExecutor(4) as pool:
        for faces in pool.map(detector.find_largest, [generated[:8]] * 4):
            assert torch.equal(faces.landmarks.nan_to_num(), together.landmarks.nan_to_num())
