"""The gallery: selection with a planted truth, and the committed bases."""

import json
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import LiminalError
from core.models import registry
from core.sampling.bases import make_portraits
from core.sampling.building import gallery
from core.sampling.building.attributes import ATTRIBUTES, MEASURES, measure_attributes
from core.sampling.building.gallery import GalleryCriteria, order_by_farthest_point, screen_faces
from core.sampling.configuration import sample_seed
from core.sampling.images import decode_webp, to_images, to_pictures
from core.sampling.stored.gallery import load_gallery
from core.sampling.stored.scores import METRICS

GENERATORS = [entry.name for entry in registry.ENTRIES if entry.kind == "generator"]
LENIENT = GalleryCriteria(asymmetry=1.0, irregularity=0.03, faces_needed=0, face_checks=1)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gallery")
    return gallery.build_gallery(
        count=4, candidates=60, seed=3, generators=["dcgan"], criteria=LENIENT, approved_file=None, folder=folder
    )


def test_farthest_points_visit_clusters_before_neighbours():
    """Three tight clusters of five: the first three chosen are of three clusters."""
    rng = np.random.default_rng(2)
    points = np.repeat([[0.0, 0], [10, 0], [0, 10]], 5, axis=0) + rng.normal(0, 0.1, (15, 2))
    order = order_by_farthest_point(np.linalg.norm(points[:, None] - points[None], axis=2))
    assert {place // 5 for place in order[:3]} == {0, 1, 2}


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 12), st.integers(0, 1000))
def test_farthest_points_is_an_order_of_all(count, seed):
    points = np.random.default_rng(seed).standard_normal((count, 3))
    apart = np.linalg.norm(points[:, None] - points[None], axis=2)
    order = order_by_farthest_point(apart)
    assert sorted(order) == list(range(count))
    gaps = [apart[order[place], order[:place]].min() for place in range(1, count)]
    assert all(later <= earlier + 1e-9 for earlier, later in pairwise(gaps))  # ever closer


def test_screening_applies_each_criterion():
    good = dict.fromkeys(MEASURES, 0.0) | {"face_luminance": 0.4, "contrast": 0.1, "sharpness": 0.3}
    bad = [
        {"nose_offset": -0.3},
        {"face_luminance": 0.15},
        {"face_luminance": 0.9},
        {"contrast": 0.05},
        {"contrast": 0.3},
        {"sharpness": 0.1},
        {"asymmetry": 0.9},
        {"irregularity": 0.02},
        {"contrast": np.nan},
    ]
    rows = np.array([[(good | change)[name] for name in MEASURES] for change in [{}, *bad]])
    assert list(screen_faces(rows, GalleryCriteria())) == [True] + [False] * len(bad)


def test_build_at_a_tiny_size(small):
    assert len(small.bases) == 4
    assert len({base.base_id for base in small.bases}) == 4
    for base in small.bases:
        assert base.seed == sample_seed(3, "gallery", base.number)
        assert base.base_id == gallery.make_base_id(base.latent)
        assert small.base(base.base_id) is base
        assert set(base.attributes) == set(ATTRIBUTES)
        assert np.isfinite(small.descriptor(base.base_id, "dlib")).all()


def test_build_again_gives_the_same(small, tmp_path):
    again = gallery.build_gallery(
        count=4, candidates=60, seed=3, generators=["dcgan"], criteria=LENIENT, approved_file=None, folder=tmp_path
    )
    assert [base.base_id for base in again.bases] == [base.base_id for base in small.bases]


def test_only_faces_that_were_looked_at_and_too_few_of_them(small, tmp_path):
    approved = [small.bases[0].number, small.bases[1].number]
    listed = tmp_path / "looked_at.json"
    listed.write_text(json.dumps({"seed": 3, "approved": approved}))
    options = {"candidates": 60, "generators": ["dcgan"], "criteria": LENIENT, "approved_file": listed, "folder": tmp_path / "out"}
    made = gallery.build_gallery(count=2, seed=3, **options)
    assert {base.number for base in made.bases} == set(approved)
    with pytest.raises(LiminalError, match="Only 2 of 60 faces are good enough"):
        gallery.build_gallery(count=3, seed=3, **options)
    with pytest.raises(LiminalError, match="drawn with seed 3, not 4"):
        gallery.build_gallery(count=2, seed=4, **options)


@pytest.mark.parametrize("generator", GENERATORS)
def test_committed_bases(generator):
    stored = load_gallery(generator)
    assert len(stored.bases) >= 48
    assert len({base.base_id for base in stored.bases}) == len({base.title for base in stored.bases}) == len(stored.bases)
    folder = stored.bases[0].image.parent
    assert sorted(path.stem for path in folder.iterdir()) == sorted(base.base_id for base in stored.bases)
    assert sum(base.image.stat().st_size for base in stored.bases) < 600_000
    maker = registry.load(generator, "generator")
    if maker.knows_identity:
        assert {rows.shape for rows in stored.genuine_distances.values()} == {(len(stored.bases), 100)}
    else:
        criteria = stored.configuration["criteria"]
        assert (criteria["face_checks"], criteria["face_step"], criteria["faces_needed"]) == (20, 0.2, 19)
        approved = set(json.loads(gallery.APPROVED_FACES_FILE.read_text())["approved"])
        assert {base.number for base in stored.bases} <= approved
    some = stored.bases[::17][:4]
    with torch.inference_mode():
        made = to_pictures(maker.decode(torch.from_numpy(np.stack([base.latent for base in some]))))
    shown = np.stack([decode_webp(base.image) for base in some])
    assert np.abs(shown.astype(int) - made).mean() < (2.5 if maker.image_size > 64 else 0.05)
    for base in some:
        assert base.base_id == gallery.make_base_id(base.latent)
        assert make_portraits(maker.sample([base.seed]), maker)[0].numpy() == pytest.approx(base.latent, abs=1e-6)
    for name in METRICS:
        judge = registry.load(name, "recogniser")
        stored_rows = torch.from_numpy(np.stack([stored.descriptor(base.base_id, name) for base in some]))
        assert float(judge.distance(judge.embed(to_images(shown)), stored_rows).max()) < 1e-3, name


def test_committed_bases_are_varied():
    """No two of them would unlock each other's phone at one false acceptance in a thousand (dlib)."""
    from core.sampling.stored.population import load_thresholds
    from core.sampling.stored.scores import pairwise_distances

    stored = load_gallery("dcgan-sharp")
    rows = stored.descriptors["dlib"]
    apart = pairwise_distances(rows, rows, "euclidean")[np.triu_indices(len(rows), k=1)]
    assert apart.min() > load_thresholds("dcgan-sharp", "dlib").at(0.001).distance
    looks = np.array(
        [[base.attributes[name] for name in ("smile", "glasses", "brightness", "hair-darkness")] for base in stored.bases]
    )
    assert (np.ptp(looks, axis=0) > 2).all()  # standard deviations of random faces


def test_a_face_stays_found_around_the_committed_bases():
    stored, maker = load_gallery("dcgan"), registry.load("dcgan", "generator")
    base = stored.bases[-1]
    steps = maker.sample([sample_seed(base.seed, "face check", each) for each in range(20)])
    with torch.inference_mode():
        images = maker.decode(torch.from_numpy(base.latent) + 0.2 * steps)
    for name in METRICS:
        assert int(registry.load(name, "recogniser").find_faces(images).found.sum()) >= 19


def test_measures_do_not_depend_on_neighbours():
    maker = registry.load("dcgan", "generator")
    with torch.inference_mode():
        images = maker.decode(maker.sample(range(6)))
    assert measure_attributes(images)[3:4] == pytest.approx(measure_attributes(images[3:4]), abs=1e-5, nan_ok=True)
    assert np.isnan(measure_attributes(torch.zeros(2, 3, 64, 64))).all()


def test_what_cannot_be_answered_is_said(small, tmp_path):
    with pytest.raises(LiminalError, match="holds no base 'nobody'"):
        small.base("nobody")
    with pytest.raises(LiminalError, match="No descriptors are stored for the recogniser 'openface'"):
        small.descriptor(small.bases[0].base_id, "openface")
    with pytest.raises(LiminalError, match="no pictures by stylegan2"):
        load_gallery("stylegan2")
    with pytest.raises(LiminalError, match="No gallery is stored"):
        load_gallery("dcgan", tmp_path)


def test_portraits_of_a_generator_that_knows_who_is_who(tmp_path, monkeypatch):
    maker = registry.load("dcgan", "generator")
    with pytest.raises(LiminalError, match="does not know who is who"):
        gallery.build_portrait_gallery("dcgan", count=3, candidates=9, folder=tmp_path)
    blocks = {"identity": slice(0, maker.latent_dim - 12), "expression": slice(maker.latent_dim - 12, maker.latent_dim - 6)}
    monkeypatch.setattr(maker, "blocks", blocks | {"scene": slice(maker.latent_dim - 6, maker.latent_dim)}, raising=False)
    portraits = gallery.build_portrait_gallery("dcgan", count=3, candidates=24, conditions=5, folder=tmp_path)
    assert {name: rows.shape for name, rows in portraits.genuine_distances.items()} == dict.fromkeys(METRICS, (3, 5))
    assert np.nanmedian(portraits.genuine_distances["dlib"]) < 0.6  # twelve of 100 latents change, the person stays
    again = load_gallery("dcgan", tmp_path / "dcgan")
    assert [base.base_id for base in again.bases] == [base.base_id for base in portraits.bases]
    for base in portraits.bases:
        drawn = maker.sample([base.seed])[0].numpy()
        assert np.array_equal(base.latent[blocks["identity"]], drawn[blocks["identity"]])
        assert not base.latent[blocks["expression"]].any()
    turned = gallery.build_portrait_gallery("dcgan", count=3, candidates=24, conditions=1, first=(2, 0), folder=tmp_path / "turned")
    assert [base.seed for base in turned.bases] == [portraits.bases[place].seed for place in (2, 0, 1)]
    for places in ((0, 0), (3,), (-1,)):
        with pytest.raises(LiminalError, match="--first takes different places from 0 to 2"):
            gallery.build_portrait_gallery("dcgan", count=3, first=places, folder=tmp_path)
    with pytest.raises(LiminalError, match="found only"):
        gallery.build_portrait_gallery("dcgan", count=3, candidates=2, conditions=2, folder=tmp_path)
