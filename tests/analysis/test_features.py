"""Facial features measure what they are called: pictures are changed in one way, and the feature of that name follows."""

import hashlib
from importlib.metadata import version

import numpy as np
import pandas as pd
import pytest
import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import rotate

from core import progress
from core.analysis import features
from core.analysis.features import COLOURS, FEATURES, LIGHT, POSE, SHAPE, compute_features, measure_features
from core.errors import LiminalError
from core.models import registry
from core.models.emotions import EMOTIONS
from core.sampling.images import quantise, to_pictures


@pytest.fixture(scope="module")
def faces():
    generator = registry.load("dcgan-sharp", "generator")
    with torch.inference_mode():
        return quantise(generator.decode(generator.sample(range(5000, 5024))).cpu())


@pytest.fixture(scope="module")
def pictures(faces):
    return to_pictures(faces)


@pytest.fixture(scope="module")
def measured(faces):
    with torch.inference_mode():
        return pd.DataFrame(compute_features(faces), columns=list(FEATURES)).dropna()


def again(images, kept):
    with torch.inference_mode():
        return pd.DataFrame(compute_features(images), columns=list(FEATURES)).loc[kept].dropna()


def change(before, after, name):
    both = before.index.intersection(after.index)
    return (after.loc[both, name] - before.loc[both, name]).median()


def test_there_are_thirty_named_features_and_more_each_finite_and_varied(measured):
    assert len(FEATURES) == 51
    assert len(set(FEATURES.values())) == len(FEATURES)
    assert len(measured) >= 20
    assert np.isfinite(measured.to_numpy()).all()
    assert (measured.std() > 0).all()


def test_a_picture_without_a_face_has_none(faces):
    images = torch.stack([torch.zeros(3, 256, 256), faces[0]])
    rows = compute_features(images)
    assert np.isnan(rows[0]).all()
    assert np.isfinite(rows[1]).all()
    assert compute_features(images[:0]).shape == (0, len(FEATURES))


def test_a_row_does_not_depend_on_its_neighbours(faces, measured):
    alone = compute_features(faces[1:2])[0]
    assert np.allclose(alone, measured.loc[1].to_numpy(), atol=1e-6)


def test_a_mirrored_face_turns_and_is_lit_the_other_way(faces, measured):
    mirrored = again(faces.flip(3), measured.index)
    both = measured.index.intersection(mirrored.index)
    for name in ("head_turn", "light_side"):
        assert np.corrcoef(measured.loc[both, name], mirrored.loc[both, name])[0, 1] < -0.8, name
    for name in ("skin_lightness", "hair_lightness", "face_height", "beard"):
        assert np.corrcoef(measured.loc[both, name], mirrored.loc[both, name])[0, 1] > 0.6, name


def test_darker_redder_turned_and_shifted_pictures_are_measured_so(faces, measured):
    darker = again(faces * 0.6, measured.index)
    assert change(measured, darker, "skin_lightness") < -5
    assert change(measured, darker, "background_lightness") < -3
    redder = again((faces * torch.tensor([1.15, 0.9, 0.9])[:, None, None]).clamp(0, 1), measured.index)
    assert change(measured, redder, "skin_redness") > 5
    turned = again(rotate(faces, 10, interpolation=InterpolationMode.BILINEAR), measured.index)  # counter-clockwise
    assert change(measured, turned, "head_tilt") == pytest.approx(-10, abs=4)
    shifted = again(torch.roll(faces, 12, dims=3), measured.index)
    assert change(measured, shifted, "face_across") == pytest.approx(12 / 256, abs=0.015)


def test_features_of_pictures_are_kept_and_read_again(pictures, tmp_path, monkeypatch):
    images = {f"s{place}": pictures[place] for place in (3, 1, 2)}
    stages = []
    table = measure_features(images, folder=tmp_path, progress=progress.Progress(stages.append))
    assert list(table.index) == ["s1", "s2", "s3"]
    assert list(table.columns) == list(FEATURES)
    assert stages
    monkeypatch.setattr(features, "_measure_batches", lambda *rest: pytest.fail("measured again"))
    pd.testing.assert_frame_equal(measure_features(images, folder=tmp_path), table)
    monkeypatch.undo()
    (file,) = tmp_path.iterdir()
    file.write_bytes(b"damaged")
    pd.testing.assert_frame_equal(measure_features(images, folder=tmp_path), table)
    with pytest.raises(LiminalError, match="no picture"):
        measure_features({}, folder=tmp_path)


def test_a_table_stored_with_a_column_for_glasses_opens_without_measuring_again(pictures, tmp_path, monkeypatch):
    images = {f"s{place}": pictures[place] for place in (1, 2)}
    table = measure_features(images, folder=tmp_path)
    (file,) = tmp_path.iterdir()
    names = [*SHAPE, *POSE, *COLOURS, *LIGHT, "beard", "forehead", "headwear", "glasses", *EMOTIONS]  # as in version 0.1.0
    old = repr((1, names, version("dlib-bin"), ["s1", "s2"])).encode()
    assert file.stem == hashlib.blake2b(old, digest_size=16).hexdigest()
    table.assign(glasses=0.5)[names].to_parquet(file)
    monkeypatch.setattr(features, "_measure_batches", lambda *rest: pytest.fail("measured again"))
    pd.testing.assert_frame_equal(measure_features(images, folder=tmp_path), table)
    assert "glasses" in pd.read_parquet(file)
