"""Values of faces for maps: in the order that was asked for, worked out once, kept by content."""

import threading

import numpy as np
import pytest
import torch

from core.analysis import embeddings
from core.errors import Cancelled, LiminalError
from core.models import registry
from core.progress import Progress
from core.studies.library import Library
from tests.emotion_sets import emotion_set, unanimous


class Brightness:
    """Mean of each channel; no face in what is dark. Counts its work."""

    embedding_dim = 3

    def __init__(self):
        self.seen = 0

    def embed(self, images):
        self.seen += len(images)
        means = images.mean(dim=(2, 3))
        return torch.where(means.mean(dim=1, keepdim=True) < 0.45, torch.nan, means)


@pytest.fixture
def network(monkeypatch):
    made = Brightness()
    monkeypatch.setattr(registry, "load", lambda *_: made)
    return made


@pytest.fixture
def library(tmp_path):
    return Library(tmp_path / "sets", tmp_path / "none")


def test_values_come_in_order_from_sets_of_any_size_and_are_kept(network, library, tmp_path):
    sets = [emotion_set([unanimous(0.5, 0.4, True)] * 20, side=side) for side in (3, 5)]
    ids = [library.add(each) for each in sets]
    where = {name: set_id for set_id, each in zip(ids, sets, strict=True) for name in each.images}
    images = sets[0].images | sets[1].images
    names = sorted(images)  # both sizes mixed
    found = embeddings.embed_library(library, where, names, "dlib", folder=tmp_path / "kept")
    for row, name in zip(found, names, strict=True):
        mean = images[name].mean(axis=(0, 1)) / 255
        if mean.mean() < 0.45:
            assert np.isnan(row).all()
        else:
            assert row == pytest.approx(mean, abs=1e-6)
    assert 0 < np.isnan(found).all(axis=1).sum() < len(names)
    seen = network.seen
    again = embeddings.embed_library(library, where, names, "dlib", folder=tmp_path / "kept")
    assert network.seen == seen
    assert np.array_equal(again, found, equal_nan=True)
    assert embeddings.load_stored_embeddings(names[:-1], "dlib", folder=tmp_path / "kept") is None
    assert embeddings.load_stored_embeddings(names, "sface", folder=tmp_path / "kept") is None
    assert np.array_equal(embeddings.embed_images({name: images[name] for name in names[:3]}, "dlib"), found[:3], equal_nan=True)


def test_a_damaged_file_is_made_again_and_missing_pictures_are_said(network, library, tmp_path):
    made = emotion_set([unanimous(0.5, 0.4, True)] * 2)
    where = dict.fromkeys(made.images, library.add(made))
    names = list(where)
    embeddings.embed_library(library, where, names, "dlib", folder=tmp_path / "kept")
    (file,) = (tmp_path / "kept").iterdir()
    file.write_bytes(b"damaged")
    assert len(embeddings.embed_library(library, where, names, "dlib", folder=tmp_path / "kept")) == len(names)
    with pytest.raises(LiminalError, match="no sample set"):
        embeddings.embed_library(library, where, [*names[:1], "0" * 20], "dlib", folder=tmp_path / "kept")
    with pytest.raises(LiminalError, match="no network 'lpips'"):
        embeddings.embed_library(library, where, names[:1], "lpips", folder=tmp_path / "kept")


def test_it_stops_when_asked(network, library, tmp_path):
    made = emotion_set([unanimous(0.5, 0.4, True)] * 40)
    where = dict.fromkeys(made.images, library.add(made))
    stop = threading.Event()

    def heard(stage):
        if network.seen:
            stop.set()

    with pytest.raises(Cancelled):
        embeddings.embed_library(library, where, list(where), "dlib", folder=tmp_path / "kept", progress=Progress(heard, stop))
    assert 0 < network.seen < len(where)
    assert not (tmp_path / "kept").exists()
