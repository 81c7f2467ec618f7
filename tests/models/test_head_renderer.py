"""Pictures of the parametric head: the same bytes always, every field shows, nothing pops, and the rules of its kernels."""

import ast
import logging
import threading
from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from core.errors import LiminalError
from core.models.builtin.head import compiled
from core.models.builtin.head.description import ARRAY_SHAPES, HAIR_STYLES, HeadDescription
from core.models.builtin.head.geometry import load_geometry
from core.models.builtin.head.renderer import render

SIZE = 64
HEAD_FOLDER = Path(compiled.__file__).parent


def _style(name):
    return np.array([float(style == name) for style in HAIR_STYLES])


def _person(seed):
    """Someone with everything a description can have: beard, moles, glasses, earrings, make-up, two hair styles."""
    random = np.random.RandomState(seed)
    geometry = load_geometry()
    shapes = np.zeros(len(geometry.shape_name), np.float32)
    shapes[: geometry.phenotype_count] = geometry.phenotype_weights(
        gender=random.rand(), age=0.8, muscle=0.5, weight=0.5, proportions=0.5, ancestry=random.rand(3) + 0.1
    )
    return HeadDescription(
        shapes=shapes,
        actions=0.2 * random.rand(52),
        age=0.7,
        melanin=0.2 + 0.3 * random.rand(),
        freckles=0.6,
        moles=0.02 * random.rand(8) + 0.01,
        styles=0.6 * _style(HAIR_STYLES[random.randint(10)]) + 0.3 * _style("crop"),
        hair_curl=0.02,
        hair_grey=0.3,
        moustache=0.6,
        chin_beard=0.7,
        cheek_beard=0.5,
        eye_shadow=0.4,
        eye_liner=0.4,
        blush=0.3,
        glasses=0.8,
        hat=0.2,
        earrings=0.9,
        earring_size=0.06,
        background_blobs=np.column_stack([random.rand(3, 2), 10 + 10 * random.rand(3), 0.1 * random.rand(3, 3)]),
        key_azimuth=random.rand() - 0.5,
        framing=1.6,
    )


@pytest.fixture(scope="module")
def person():
    return _person(1)


@pytest.fixture(scope="module")
def picture(person):
    return render(person, SIZE)


def test_the_picture_shows_a_head(picture):
    assert picture.shape == (SIZE, SIZE, 3)
    assert picture.dtype == np.uint8
    assert np.abs(picture[20:44, 20:44].astype(float).mean((0, 1)) - picture[:6, :6].mean((0, 1))).max() > 10
    assert 20 < picture.mean() < 235


def test_same_bytes_in_threads_in_another_order_and_repeated(person, picture):
    people = [person, _person(2), _person(3)]
    expected = [picture.tobytes()] + [render(other, SIZE).tobytes() for other in people[1:]]
    found = {}

    def work(worker, order):
        for index in order:
            found[worker, index] = render(people[index], SIZE).tobytes()

    threads = [threading.Thread(target=work, args=(worker, order)) for worker, order in enumerate([(0, 1, 2), (2, 0, 1)])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(found[worker, index] == expected[index] for worker in (0, 1) for index in range(3))


CHANGES = {
    "shapes": 0.3,
    "actions": 0.3,
    "moles": 0.012,
    "pattern": 1.0,
    "styles": -0.25,
    "hair_curl": 0.05,
    "hair_volume": 0.08,
    "brow_height": 0.03,
    "brow_arch": 0.03,
    "brow_angle": 0.2,
    "brow_gap": 0.05,
    "pupil": 2.0,
    "glasses_width": 0.03,
    "glasses_height": 0.03,
    "glasses_squareness": 1.5,
    "glasses_thickness": 0.01,
    "earring_size": 0.03,
    "focal": 3.0,
    "framing": 0.1,
    "background_blobs": 0.1,
}
"""How far a field is moved where 0.3 is not a sensible step."""


@pytest.mark.parametrize("name", [entry.name for entry in fields(HeadDescription)])
def test_every_field_changes_the_picture(person, picture, name):
    value = np.asarray(getattr(person, name)) + CHANGES.get(name, 0.3)
    changed = replace(person, **{name: value if name in ARRAY_SHAPES else float(value)})
    if name == "extra_actions":  # the last one is a spare
        changed = replace(person, extra_actions=np.array([1, 0, 0, 0]))
    assert not np.array_equal(render(changed, SIZE), picture)


def _mix(first, second, share):
    def between(name):
        start, end = (np.asarray(getattr(person, name), float) for person in (first, second))
        value = (1 - share) * start + share * end
        return value if name in ARRAY_SHAPES else float(value)

    return HeadDescription(**{entry.name: between(entry.name) for entry in fields(HeadDescription)})


def test_nothing_pops_between_two_people(person):
    bald = replace(
        _person(5), styles=np.zeros(10), glasses=0.0, hat=0.0, earrings=0.0, moustache=0.0, chin_beard=0.0, cheek_beard=0.0
    )
    bald = replace(bald, key_azimuth=-0.4, eye_liner=0.0, age=0.0)
    frames = [render(_mix(person, bald, share), SIZE).astype(float) for share in np.linspace(0, 1, 61)]
    steps = np.array([np.abs(later - earlier).mean() for earlier, later in pairwise(frames)])
    assert steps.max() <= 3 * np.median(steps)


@pytest.mark.parametrize("scale", [-30, 30, 1e20])
def test_impossible_values_are_drawn_without_a_crash(person, scale):
    random = np.random.RandomState(4)
    values = {entry.name: np.asarray(getattr(person, entry.name), float) for entry in fields(HeadDescription)}
    wild = {name: value + scale * random.rand(*value.shape) for name, value in values.items()}
    wild |= {name: float(value) for name, value in wild.items() if name not in ARRAY_SHAPES}
    assert render(HeadDescription(**wild), 32).shape == (32, 32, 3)


@pytest.mark.parametrize("size", [0, 31, 1025, 64.0, True, None])
def test_an_impossible_size_is_refused_in_one_sentence(person, size):
    with pytest.raises(LiminalError, match="cannot be drawn"):
        render(person, size)


def test_kernels_share_nothing_and_keep_their_order():
    """No prange, parallel or fastmath: numba's pool aborts when two threads enter it, and sums would change with the machine."""
    sources = sorted(HEAD_FOLDER.glob("*.py"))
    assert len(sources) > 10
    for source in sources:
        tree = ast.parse(source.read_text(encoding="utf-8"))
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        names |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        names |= {word.arg for node in ast.walk(tree) if isinstance(node, ast.Call) for word in node.keywords}
        assert not names & {"prange", "parallel", "fastmath"}, source.name
    assert compiled.OPTIONS["nogil"] is True


def test_a_cache_that_cannot_be_written_stops_nothing(tmp_path, caplog):
    file = tmp_path / "file"
    file.touch()
    blocked = file / "folder"
    with caplog.at_level(logging.WARNING):
        found = compiled.find_cache_folder([blocked, tmp_path / "other"])
        assert found
        assert found.parent == tmp_path / "other"
        assert len(caplog.records) == 1
        assert compiled.find_cache_folder([blocked]) is None
        assert "compiles again" in caplog.text


@pytest.mark.parametrize("ending", [".nbi", ".nbc"])
def test_a_damaged_cache_is_compiled_again(tmp_path, monkeypatch, caplog, ending):
    monkeypatch.setattr(compiled, "_FOLDER", tmp_path)

    def double(value):
        return 2 * value

    assert compiled.kernel(double)(3) == 6
    (file,) = tmp_path.rglob(f"*{ending}")
    file.write_bytes(file.read_bytes()[:-9])
    with caplog.at_level(logging.WARNING):
        assert compiled.kernel(double)(4) == 8
        assert "compiled again" in caplog.text
        caplog.clear()
        again = compiled.kernel(double)
        assert again(5) == 10
    assert not caplog.records
    assert again.stats.cache_hits


def test_a_full_disk_stops_no_kernel(tmp_path, monkeypatch, caplog):
    def refuse(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(compiled, "_FOLDER", tmp_path)
    made = compiled.kernel(lambda value: value + 1)
    monkeypatch.setattr(made._cache._cache, "save_overload", refuse)
    with caplog.at_level(logging.WARNING):
        assert made(1) == 2
    assert "No space left on device" in caplog.text


def test_the_cache_belongs_to_all_sources_together(tmp_path):
    (tmp_path / "kernels_a.py").write_text("a", encoding="utf-8")
    before = compiled.hash_sources(tmp_path)
    (tmp_path / "kernels_b.py").write_text("b", encoding="utf-8")
    assert compiled.hash_sources(tmp_path) != before
