import json
import shutil

import pytest

from core.errors import LiminalError
from core.sampling.configuration import IdentityConfiguration
from core.sampling.identity import generate_identity_batch
from core.sampling.sample_set import SampleSet
from core.studies.library import Library, hash_sample_set
from tests.emotion_sets import emotion_set, unanimous
from tests.fakes import fake_panel


@pytest.fixture(scope="module")
def pairs():
    return generate_identity_batch(IdentityConfiguration(seed=2, iterations=2), 0, panel=fake_panel(), expand=[0])


@pytest.fixture(scope="module")
def faces():
    return emotion_set([unanimous(0.5, 0.4, True), unanimous(0.4, 0.5, False)])


@pytest.fixture
def library(tmp_path):
    return Library(tmp_path / "sets", tmp_path / "demonstration")


def test_a_set_is_one_entry_however_often_it_is_added(library, pairs, faces):
    first = library.add(pairs, "Mine")
    assert library.add(pairs, "Another title") == first == hash_sample_set(pairs)
    second = library.add(faces)
    assert {entry.set_id: (entry.kind, entry.title, entry.images) for entry in library.sets()} == {
        first: ("identity", "Mine", len(pairs.images)),
        second: ("emotion", "Surprise or fear: 2 faces", len(faces.images)),
    }
    assert library.load(second).samples.equals(faces.samples)


def test_compressed_copies_have_the_same_id(library, pairs, tmp_path):
    pairs.save(tmp_path / "copy", lossy=True)
    assert hash_sample_set(SampleSet.load(tmp_path / "copy")) == hash_sample_set(pairs)


def test_other_content_is_another_id(pairs):
    other = generate_identity_batch(IdentityConfiguration(seed=3, iterations=2), 0, panel=fake_panel(), expand=[0])
    assert hash_sample_set(other) != hash_sample_set(pairs)


def test_newest_first_and_broken_folders_are_left_out(library, pairs, faces):
    old, new = library.add(pairs), library.add(faces)
    label = library.folder / old / "library.json"
    label.write_text(json.dumps({"title": "Old", "made": "2020-01-01T00:00:00+00:00"}))
    assert [entry.set_id for entry in library.sets()] == [new, old]
    (library.folder / new / "manifest.json").write_text("{")
    shutil.copytree(library.folder / old, library.folder / ("0" * 20))
    (library.folder / ("0" * 20) / "library.json").unlink()
    (library.folder / ".half.partial").mkdir()
    assert [entry.set_id for entry in library.sets()] == [old]


def test_sets_of_the_demonstration_are_listed_where_they_lie(library, faces):
    shipped = Library(library.demonstration, library.folder / "none")
    set_id = shipped.add(faces, lossy=True)
    (entry,) = library.sets()
    assert entry.demonstration
    assert entry.folder == library.demonstration / set_id
    assert library.add(faces) == set_id  # no second copy
    assert not library.folder.exists()


def test_a_picture_comes_as_it_is_stored(library, pairs, faces):
    stored, compact = library.add(pairs), library.add(faces, lossy=True)
    for set_id, made, ending, media_type in ((stored, pairs, "png", "image/png"), (compact, faces, "webp", "image/webp")):
        name = next(iter(made.images))
        expected = (library.folder / set_id / "images" / f"{name}.{ending}").read_bytes()
        assert library.picture(set_id, name) == (expected, media_type)


@pytest.mark.parametrize("wrong", ["", "../../etc/passwd", "0" * 20, "nothing"])
def test_ids_never_lead_out_of_the_library(library, pairs, wrong):
    set_id = library.add(pairs)
    with pytest.raises(LiminalError, match="holds no"):
        library.picture(set_id, wrong)
    with pytest.raises(LiminalError, match="holds no"):
        library.load(wrong)


def test_nothing_half_made_stays(library, pairs, monkeypatch):
    def broken(self, place, lossy=False):
        (place / "manifest.json").write_text("{}")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(SampleSet, "write", broken)
    with pytest.raises(LiminalError, match="full"):
        library.add(pairs)
    assert library.sets() == []
    assert not library.folder.exists()
