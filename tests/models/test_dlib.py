"""dlib's recogniser in PyTorch against dlib 20.0.1 itself, on 64 generated faces and on a real photograph."""

import dlib
import numpy as np
import pytest
import torch
from skimage import data
from torch.nn import functional

from core.errors import LiminalError
from core.models import registry
from core.models.builtin import dlib_recogniser
from core.models.builtin.dlib_recogniser import (
    CHIP_SIZE,
    LANDMARKS_FILE,
    chip_grid,
    choose_working_size,
    read_dlib_network,
    to_pictures,
    to_working,
)


@pytest.fixture(scope="module")
def recogniser():
    return registry.load("dlib", "recogniser", "cpu")


@pytest.fixture(scope="module")
def pictures():
    """96 generated faces at working size, at least 64 of them with a face, and the photograph."""
    generator = registry.load("dcgan", "generator", "cpu")
    with torch.inference_mode():
        generated = to_pictures(to_working(generator.decode(generator.sample(range(100)))))
    return [*generated, np.ascontiguousarray(data.astronaut())]


@pytest.fixture(scope="module")
def reference(pictures):
    """What dlib itself makes of each picture: landmarks, chip, descriptor; None where it finds no face."""
    detector = dlib.get_frontal_face_detector()
    predictor = dlib.shape_predictor(str(LANDMARKS_FILE.verified()))
    network = dlib.face_recognition_model_v1(str(dlib_recogniser.CARD.files[0].verified()))
    found = []
    for picture in pictures:
        boxes = detector(picture, 0)
        if not boxes:
            found.append(None)
            continue
        shape = predictor(picture, max(boxes, key=lambda box: box.area()))
        chip = dlib.get_face_chip(picture, shape, size=150, padding=0.25)
        points = np.array([[part.x, part.y] for part in shape.parts()])
        found.append((points, chip, np.array(network.compute_face_descriptor(chip))))
    return found


def as_images(picture):
    return torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255


def test_descriptors_equal_dlib_on_generated_faces_and_a_photograph(recogniser, pictures, reference):
    generated = torch.cat([as_images(picture) for picture in pictures[:-1]])
    descriptors = torch.cat([recogniser.embed(generated), recogniser.embed(as_images(pictures[-1]))]).numpy()
    worst, faces = 0.0, 0
    for descriptor, expected in zip(descriptors, reference, strict=True):
        if expected is None:
            assert np.isnan(descriptor).all()
            continue
        faces += 1
        worst = max(worst, float(np.linalg.norm(descriptor - expected[2])))
    assert faces >= 65, "64 generated faces and the photograph"
    assert reference[-1] is not None, "dlib finds the astronaut"
    assert worst < 1e-4


def test_chips_are_identical_to_get_face_chip(recogniser, pictures, reference):
    for picture, expected in zip(pictures, reference, strict=True):
        images = as_images(picture)
        faces = recogniser.find_faces(images)
        assert bool(faces.found[0]) == (expected is not None)
        if expected is not None:
            np.testing.assert_array_equal(faces.landmarks[0].numpy(), expected[0])
            chip = recogniser.align(images, faces)[0].mul(255).round().byte().permute(1, 2, 0).numpy()
            np.testing.assert_array_equal(chip, expected[1])


def test_chip_grid_is_dlibs_map(pictures, reference):
    """The differentiable map, cut down to whole grey levels as dlib does, is dlib's chip but for rounding at a few pixels."""
    shares = []
    for picture, expected in zip(pictures[:-1], reference[:-1], strict=True):
        if expected is None:
            continue
        image = as_images(picture).double()
        grid = chip_grid(torch.from_numpy(expected[0][None].astype(float)), picture.shape[:2])
        inside = (grid.abs() < 1).all(dim=-1)[0].numpy()
        chip = functional.grid_sample(image * 255, grid, align_corners=True)[0].permute(1, 2, 0).numpy()
        shares.append((np.abs(np.floor(chip + 1e-6) - expected[1])[inside] == 0).mean())
    assert np.median(shares) > 0.99
    assert min(shares) > 0.95


def test_gradient_reaches_the_image(recogniser):
    images = as_images(np.ascontiguousarray(data.astronaut()[:256, 96:352])).requires_grad_(True)
    faces = recogniser.find_faces(images)
    chips = recogniser.align(images, faces)
    assert chips.shape == (1, 3, CHIP_SIZE, CHIP_SIZE)
    target = torch.zeros(1, 128)
    before = recogniser.distance(recogniser.embed_chips(chips), target)
    before.sum().backward()
    assert images.grad is not None
    step = images.detach() - 0.02 * images.grad.sign()
    after = recogniser.distance(recogniser.embed_chips(recogniser.align(step, faces)), target)
    assert after < before


def test_search_path_stays_near_the_exact_one(recogniser):
    generator = registry.load("dcgan", "generator", "cpu")
    with torch.inference_mode():
        images = generator.decode(generator.sample(range(48)))
    exact = recogniser.embed(images)
    found = torch.isfinite(exact[:, 0])
    usual = torch.tensor(generator.face_box, dtype=torch.float64).expand(48, 4)
    fast = recogniser.embed_for_search(images, usual)
    assert torch.isfinite(fast).all(), "the search path asks no detector"
    assert recogniser.distance(exact, fast)[found].median() < 0.1
    own = recogniser.find_faces(images).boxes / images.shape[3]
    nearer = recogniser.embed_for_search(images[found], own[found])
    assert recogniser.distance(exact[found], nearer).max() < 0.05, "in the detector's own box only the precision is less"
    assert torch.equal(recogniser.embed_for_search(images, None)[found], exact[found])


def test_rows_do_not_depend_on_their_neighbours(recogniser):
    generator = registry.load("dcgan", "generator", "cpu")
    with torch.inference_mode():
        images = generator.decode(generator.sample(range(11)))
    together = recogniser.embed(images)
    for row in (0, 3, 8, 10):
        assert torch.equal(torch.nan_to_num(recogniser.embed(images[row : row + 1])[0]), torch.nan_to_num(together[row]))


def test_no_face_is_nan_never_a_distance(recogniser):
    vectors = recogniser.embed(torch.zeros(2, 3, 64, 64))
    assert torch.isnan(vectors).all()
    assert torch.isnan(recogniser.distance(vectors, torch.zeros(2, 128))).all()


def test_a_file_of_another_network_is_refused(tmp_path):
    path = tmp_path / "other.dat"
    path.write_bytes(LANDMARKS_FILE.verified().read_bytes()[:1000])
    with pytest.raises(LiminalError, match="is not dlib's face recognition network"):
        read_dlib_network(path)


@pytest.mark.parametrize(
    ("size", "expected"), [((64, 64), (256, 256)), ((256, 256), (256, 256)), ((2000, 1000), (640, 320)), ((64, 128), (128, 256))]
)
def test_working_size(size, expected):
    assert choose_working_size(*size) == expected
