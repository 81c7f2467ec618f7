"""Pieces of a set are the set: nothing that a face depends on lies outside its own piece."""

import pytest
from pandas.testing import assert_frame_equal

from core.errors import LiminalError
from core.sampling.datasets.plan import Piece, join_emotion_sets, split_emotion_set, split_range
from core.sampling.emotion import generate as emotion
from core.sampling.emotion.judging import EmotionPanel
from core.sampling.stored.gallery import Gallery
from tests.sampling.emotion.planted import configuration, planted_base, planted_panel


@pytest.fixture
def planted(monkeypatch):
    panel = planted_panel()
    monkeypatch.setattr(EmotionPanel, "load", classmethod(lambda cls, configuration: panel))
    monkeypatch.setattr(Gallery, "base", lambda self, base_id: planted_base())


@pytest.mark.parametrize("base", [None, "planted"])
@pytest.mark.parametrize("size", [4, 8])
def test_an_emotion_set_is_its_pieces_joined(planted, base, size):
    asked = configuration(count=11, steps=4, base=base, generator="dcgan")
    whole = emotion.generate_emotion_set(asked)
    joined = join_emotion_sets([piece.make() for piece in split_emotion_set(asked, size)])
    assert_frame_equal(joined.samples, whole.samples)
    assert joined.manifest["counts"] == whole.manifest["counts"]
    files, others = (dict(each.files()) for each in (joined, whole))
    for name in files.keys() | others.keys():
        if name != "manifest.json":  # which holds seconds
            assert files[name] == others[name], name


def test_bases_are_kept_by_their_owner_only(planted):
    asked = configuration(count=8, steps=4, base="planted", generator="dcgan")
    first, second = (piece.make() for piece in split_emotion_set(asked, 4))
    assert first.samples["sample_type"].tolist() == ["genuine", *4 * ["boundary"]]
    assert second.samples["sample_type"].tolist() == 4 * ["boundary"]
    assert set(second.images) == set(second.latents) == set(second.samples["sample_id"])
    assert second.base_ids() == first.base_ids()


def test_a_piece_holds_whole_groups():
    with pytest.raises(LiminalError, match="whole groups of 4"):
        Piece(0, configuration(count=8, generator="dcgan"), first=2, stop=8).make()


def test_slices_hold_everything_once():
    assert [list(each) for each in split_range(5, 2)] == [[0, 1], [2, 3], [4]]
    assert split_range(4, 4) == [range(4)]
