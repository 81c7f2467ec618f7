"""SFace in PyTorch against onnxruntime 1.31 (vectors) and OpenCV 5.0 (aligned chips) on the same file."""

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
import skimage.data
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.models import registry
from core.models.builtin import sface
from core.models.builtin.sface import dequantise
from core.models.contracts import DetectedFaces
from core.models.preprocessing import fit_similarity


@pytest.fixture(scope="module")
def recogniser():
    return registry.load("sface", "recogniser", "cpu")


@pytest.fixture(scope="module")
def images():
    """64 generated faces."""
    generator = registry.load("dcgan", "generator", "cpu")
    return generator.decode(generator.sample(range(64)))


@pytest.fixture(scope="module")
def photo():
    return torch.from_numpy(skimage.data.astronaut().copy()).permute(2, 0, 1)[None].float() / 255


@pytest.fixture(scope="module")
def original():
    """onnxruntime on the file itself; its left-over graph inputs are dropped, or it would ask for them."""
    model = onnx.load(str(sface.CARD.files[0].verified()))
    data = [item for item in model.graph.input if item.name == "data"]
    del model.graph.input[:]
    model.graph.input.extend(data)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])

    def embed(chips):
        return np.concatenate([session.run(None, {"data": (chip[None] * 255).numpy()})[0] for chip in chips])

    return embed


def test_vectors_equal_onnxruntimes(recogniser, images, photo, original):
    chips = torch.cat(
        [
            recogniser.align(images, recogniser.find_faces(images)),
            recogniser.align(photo, recogniser.find_faces(photo)),
        ]
    )
    vectors = recogniser.embed_chips(chips).numpy()
    assert np.abs(vectors - original(chips)).max() < 1e-3
    assert np.linalg.norm(vectors, axis=1).min() > 1, "vectors are not trivially small"


def test_chips_equal_opencvs_align_crop(recogniser, images, photo):
    opencv = cv2.FaceRecognizerSF.create(str(sface.CARD.files[0].verified()), "")
    for batch in (images[:8], photo):
        batch = batch.mul(255).round().div(255)
        faces = recogniser.find_faces(batch)
        chips = recogniser.align(batch, faces)
        for image, chip, box, landmarks, found in zip(batch, chips, faces.boxes, faces.landmarks, faces.found, strict=True):
            if not found:
                continue
            row = np.concatenate([box.numpy(), landmarks.flatten().numpy(), [1.0]]).astype(np.float32)[None]
            bgr = np.ascontiguousarray(image.mul(255).round().byte().flip(0).permute(1, 2, 0).numpy())
            expected = torch.from_numpy(opencv.alignCrop(bgr, row)).permute(2, 0, 1).flip(0)
            assert (chip * 255 - expected).abs().max() < 0.6, "no further apart than OpenCV's rounding to whole numbers"


@settings(max_examples=30, deadline=None)
@given(st.floats(-3.1, 3.1), st.floats(0.2, 5), st.floats(-50, 50), st.floats(-50, 50))
def test_a_planted_similarity_is_recovered(angle, scale, right, down):
    planted = torch.tensor(
        [[scale * np.cos(angle), -scale * np.sin(angle), right], [scale * np.sin(angle), scale * np.cos(angle), down]]
    )
    inverse = torch.linalg.inv(planted[:, :2])
    points = (sface.ARCFACE_TEMPLATE - planted[:, 2]) @ inverse.T
    assert torch.allclose(fit_similarity(points[None], sface.ARCFACE_TEMPLATE)[0], planted, atol=1e-8)


def test_blocks_are_dequantised_with_their_own_scale():
    quantised = np.array([[-128, 127, 3, -1, 7]], dtype=np.int8)
    scales, zeros = np.array([[0.5, 2.0, 10.0]], dtype=np.float32), np.array([[127, -1, 0]], dtype=np.int8)
    assert dequantise(quantised, scales, zeros, axis=1, block_size=2).tolist() == [[-127.5, 0.0, 8.0, 0.0, 70.0]]


def test_no_face_is_a_row_of_nan_and_a_grey_chip(recogniser, images):
    blank = torch.zeros(1, 3, 64, 64)
    batch = torch.cat([images[:1], blank, images[1:2]])
    vectors = recogniser.embed(batch)
    assert torch.isnan(vectors).all(dim=1).tolist() == [False, True, False]
    assert (recogniser.align(batch, recogniser.find_faces(batch))[1] == 0.5).all()
    distances = recogniser.distance(vectors, vectors[0])
    assert torch.isnan(distances).tolist() == [False, True, False]
    assert recogniser.embed(torch.empty(0, 3, 64, 64)).shape == (0, 128)


def test_a_row_does_not_depend_on_its_neighbours(recogniser, images):
    together = recogniser.embed(images[:10])
    alone = torch.cat([recogniser.embed(image[None]) for image in images[:10]])
    assert torch.equal(together.nan_to_num(), alone.nan_to_num())


def test_distance_is_one_minus_cosine_and_exactly_zero_for_the_same(recogniser, images):
    vectors = recogniser.embed(images[:12])
    assert (recogniser.distance(vectors, vectors) == 0).all()
    expected = 1 - torch.nn.functional.cosine_similarity(vectors[:6], vectors[6:])
    assert torch.allclose(recogniser.distance(vectors[:6], vectors[6:]), expected, atol=1e-6)


def test_the_same_person_is_accepted_and_strangers_are_mostly_not(recogniser, images, photo):
    shifted = torch.roll(photo, (7, -5), dims=(2, 3)).flip(3)
    vectors = recogniser.embed(torch.cat([photo, shifted]))
    assert recogniser.distance(vectors[0], vectors[1]) < recogniser.threshold
    strangers = recogniser.distance(recogniser.embed(images[:24]), vectors[0])
    assert (strangers < recogniser.threshold).float().mean() < 0.1


def test_following_the_gradient_brings_two_faces_nearer(recogniser, images):
    faces = recogniser.find_faces(images[:2])
    target = recogniser.embed_chips(recogniser.align(images[:1], DetectedFaces(faces.landmarks[:1], faces.boxes[:1]))).detach()
    moving, place = images[1:2].clone().requires_grad_(True), DetectedFaces(faces.landmarks[1:], faces.boxes[1:])
    before = recogniser.distance(recogniser.embed_chips(recogniser.align(moving, place)), target).sum()
    (gradient,) = torch.autograd.grad(before, moving)
    assert gradient.abs().max() > 0
    after = recogniser.distance(
        recogniser.embed_chips(recogniser.align(moving - 0.02 * gradient / gradient.abs().max(), place)), target
    )
    assert after < before
