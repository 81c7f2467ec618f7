import errno
import io
import json
import os
import zipfile

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from core.errors import LiminalError
from core.models.emotions import EMOTIONS
from core.sampling import sample_set
from core.sampling.configuration import IdentityConfiguration
from core.sampling.emotion.configuration import EMOTION_PAIRS, EmotionConfiguration
from core.sampling.identity import generate_identity_batch
from core.sampling.sample_set import (
    CLASSIFIER_VALUES,
    PAIR_COLUMNS,
    SAMPLE_COLUMNS,
    SampleSet,
    list_emotion_columns,
    make_empty_pairs,
    make_pair_id,
    make_sample_id,
    make_table,
)
from tests.emotion_sets import emotion_set, unanimous
from tests.fakes import fake_panel


@pytest.fixture(scope="module")
def made():
    return generate_identity_batch(IdentityConfiguration(seed=2, iterations=2), 0, panel=fake_panel(), expand=[0])


def assert_refused(made, folder, harm, sentence):
    """A saved set that was harmed is not read; why not is one line."""
    made.save(folder)
    harm(folder)
    with pytest.raises(LiminalError, match=sentence) as caught:
        SampleSet.load(folder)
    assert "\n" not in str(caught.value)


def assert_equal(one, other):
    assert one.configuration == other.configuration
    assert one.manifest == other.manifest
    pd.testing.assert_frame_equal(one.samples, other.samples, check_exact=True)
    pd.testing.assert_frame_equal(one.pairs, other.pairs, check_exact=True)
    for mine, theirs in ((one.latents, other.latents), (one.images, other.images)):
        assert set(mine) == set(theirs)
        for name in mine:
            assert mine[name].dtype == theirs[name].dtype
            assert mine[name].shape == theirs[name].shape
            assert mine[name].tobytes() == theirs[name].tobytes()


def test_a_set_goes_to_a_folder_and_back_unchanged(made, tmp_path):
    made.save(tmp_path / "new" / "set")
    assert_equal(SampleSet.load(tmp_path / "new" / "set"), made)
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["set"]


numbers = st.floats(allow_infinity=False, width=64)
verdicts = st.sampled_from([True, False, None])


@st.composite
def sets(draw):
    count = draw(st.integers(1, 4))
    images = [draw(arrays(np.uint8, (3, 5, 3))) for _ in range(count)]
    latents = [draw(arrays(np.float32, 4, elements=st.floats(-9, 9, width=32))) for _ in range(count)]
    names = [make_sample_id(latent, image) for latent, image in zip(latents, images, strict=True)]
    names, order = list(dict.fromkeys(names)), [names.index(name) for name in dict.fromkeys(names)]
    seeds = st.integers(0, 2**63 - 1)
    samples = [
        {
            "sample_id": name,
            "kind": "identity",
            "seed": draw(seeds),
            "base_id": names[0],
            "sample_type": "genuine",
            "step": draw(numbers),
            "image": f"images/{name}.png",
            "p_some_fear": draw(numbers),
        }
        for name in names
    ]
    pairs = [
        {
            "pair_id": make_pair_id(names[0], name, "negative", 0.5, None),
            "batch": draw(st.integers(0, 9)),
            "base_id": names[0],
            "sample_id": name,
            "sample_type": "negative",
            "step": draw(numbers),
            "partner_id": draw(st.sampled_from([None, name])),
            "direction": draw(st.none() | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5)),
            "strategy": None,
            "lpips": draw(numbers),
            "latent_distance": draw(numbers),
            "distance_a": draw(numbers),
            "accepted_a": draw(verdicts),
        }
        for name in names
    ]
    return SampleSet(
        IdentityConfiguration(seed=draw(seeds), semantic=draw(st.booleans())),
        make_table(samples, SAMPLE_COLUMNS),
        make_table(pairs, PAIR_COLUMNS),
        {names[at]: latents[index] for at, index in enumerate(order)},
        {names[at]: images[index] for at, index in enumerate(order)},
        {"seconds": {"total": draw(st.floats(0, 1e6))}, "searches": [{"history": [None, 0.5]}]},
    )


@st.composite
def emotion_sets(draw):
    first = draw(sets())
    emotion1, emotion2 = draw(st.sampled_from(EMOTION_PAIRS))
    judges = draw(st.lists(st.sampled_from(["small-cnn", "tanh-cnn"]), unique=True))
    configuration = EmotionConfiguration(
        emotion1, emotion2, seed=first.identity.seed, guided=draw(st.booleans()), judges=judges, base=draw(st.none() | st.just("b"))
    )
    rows = []
    for row in first.samples[list(SAMPLE_COLUMNS)].to_dict("records"):
        row |= {
            "kind": "emotion",
            "sample_type": draw(st.sampled_from(["genuine", "boundary", "morph"])),
            "emotion1": emotion1,
            "emotion2": emotion2,
            "guided": draw(verdicts),
            "strategy": configuration.strategy,
            "passed_filter": draw(verdicts),
            "distance_dlib": draw(numbers),
        }
        row |= {f"passed_{judge}": draw(verdicts) for judge in judges}
        middles = ["", *(f"{judge}_" for judge in judges)]
        row |= {
            f"{answer}_{middle}{name}": draw(numbers) for answer in CLASSIFIER_VALUES for middle in middles for name in EMOTIONS
        }
        rows.append(row)
    table = make_table(rows, list_emotion_columns(judges, "dlib"))
    return SampleSet(configuration, table, make_empty_pairs(), first.latents, first.images, first.manifest)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.one_of(sets(), emotion_sets()))
def test_any_set_survives_its_folder(tmp_path_factory, any_set):
    place = tmp_path_factory.mktemp("set") / "set"
    any_set.save(place)
    assert_equal(SampleSet.load(place), any_set)


def test_the_zip_holds_the_folders_files(made, tmp_path):
    made.save(tmp_path / "set")
    data = made.to_zip("mine")
    assert made.to_zip("mine") == data
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        stored = {name.removeprefix("mine/"): archive.read(name) for name in archive.namelist()}
    written = {
        str(path.relative_to(tmp_path / "set")): path.read_bytes() for path in (tmp_path / "set").rglob("*") if path.is_file()
    }
    assert stored == written


def test_sample_ids_are_hashes_of_the_content(made):
    for name, image in made.images.items():
        assert make_sample_id(made.latents[name], image) == name
    changed = image.copy()
    changed[0, 0, 0] ^= 1
    assert make_sample_id(made.latents[name], changed) != name
    assert make_sample_id(np.nextafter(made.latents[name], np.float32(9)), image) != name


def test_a_folder_that_holds_something_is_refused(made, tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "precious.txt").write_text("mine")
    with pytest.raises(LiminalError, match="holds files already"):
        made.save(tmp_path / "set")
    assert [path.name for path in (tmp_path / "set").iterdir()] == ["precious.txt"]
    (tmp_path / "file").write_text("mine")
    with pytest.raises(LiminalError, match="not a folder but a file"):
        made.save(tmp_path / "file")


def test_an_empty_folder_is_taken(made, tmp_path):
    (tmp_path / "set").mkdir()
    made.save(tmp_path / "set")
    assert_equal(SampleSet.load(tmp_path / "set"), made)


@pytest.mark.parametrize(
    ("number", "sentence"), [(errno.ENOSPC, "is full"), (errno.EROFS, "can be written"), (errno.EIO, "could not be written")]
)
def test_a_failing_disk_gets_a_sentence_and_leaves_nothing(made, tmp_path, monkeypatch, number, sentence):
    fail_in_the_middle(monkeypatch, OSError(number, os.strerror(number)))
    with pytest.raises(LiminalError, match=sentence) as caught:
        made.save(tmp_path / "deep" / "set")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_while_writing_leaves_nothing(made, tmp_path, monkeypatch):
    fail_in_the_middle(monkeypatch, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        made.save(tmp_path / "set")
    assert list(tmp_path.iterdir()) == []


def fail_in_the_middle(monkeypatch, error):
    written = []

    def png(image):
        written.append(image)
        if len(written) == 5:
            raise error
        return original(image)

    original = sample_set.encode_png
    monkeypatch.setattr(sample_set, "encode_png", png)


def change_image(place):
    path = next((place / "images").iterdir())
    pixels = np.asarray(Image.open(path)).copy()
    pixels[0, 0, 0] ^= 255
    Image.fromarray(pixels).save(path)


def truncate(name):
    def act(place):
        path = next(iter(sorted(place.glob(name))))
        path.write_bytes(path.read_bytes()[:40])

    return act


def remove(name):
    return lambda place: next(iter(sorted(place.glob(name)))).unlink()


def edit_manifest(**more):
    def act(place):
        record = json.loads((place / "manifest.json").read_text())
        (place / "manifest.json").write_text(json.dumps({**record, **more}))

    return act


def without_column(*names):
    def act(place):
        path = place / "samples.parquet"
        pd.read_parquet(path).drop(columns=list(names)).to_parquet(path, index=False)

    return act


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (remove("manifest.json"), "is not a sample set"),
        (truncate("manifest.json"), "is not a sample set"),
        (edit_manifest(format="holiday photos"), "is not a sample set"),
        (edit_manifest(format_version=99), "another version"),
        (edit_manifest(kind="weather"), "neither identity nor emotion"),
        (edit_manifest(kind=["emotion"]), "neither identity nor emotion"),
        (edit_manifest(kind="emotion"), "no parameter of emotion samples"),
        (without_column("seed"), "lacks the columns seed;"),
        (edit_manifest(configuration={"hue": 1}), "no parameter"),
        (edit_manifest(configuration=[1]), "is not a sample set"),
        (remove("pairs.parquet"), "lacks its file pairs.parquet"),
        (truncate("samples.parquet"), "damaged"),
        (truncate("latents.npz"), "damaged"),
        (remove("images/*.png"), "lacks its image"),
        (truncate("images/*.png"), "damaged"),
        (change_image, "not the one that was saved"),
    ],
)
def test_a_damaged_set_gets_one_sentence(made, tmp_path, harm, sentence):
    assert_refused(made, tmp_path / "set", harm, sentence)


def test_what_is_no_folder_gets_a_sentence(tmp_path):
    with pytest.raises(LiminalError, match="There is no folder"):
        SampleSet.load(tmp_path / "nowhere")


@pytest.fixture(scope="module")
def emotions():
    return emotion_set([unanimous(0.4, 0.4, True), unanimous(0.8, 0.1, False)])


def test_an_emotion_set_has_no_file_of_pairs(emotions, tmp_path):
    emotions.save(tmp_path / "set")
    assert sorted(path.name for path in (tmp_path / "set").iterdir()) == [
        "images",
        "latents.npz",
        "manifest.json",
        "samples.parquet",
    ]
    loaded = SampleSet.load(tmp_path / "set")
    assert_equal(loaded, emotions)
    assert (loaded.kind, len(loaded.pairs), list(loaded.pairs.columns)) == ("emotion", 0, list(PAIR_COLUMNS))
    assert loaded.base_ids() == [emotions.samples["sample_id"].iloc[0]]


def test_verdicts_of_an_emotion_set_may_be_unknown(emotions):
    kinds = emotions.samples.dtypes.astype(str)
    assert set(kinds[["guided", "passed_filter", "passed_small-cnn", "passed_tanh-cnn"]]) == {"boolean"}
    assert set(kinds[["p_fear", "logit_tanh-cnn_anger", "calibrated_small-cnn_fear", "distance_dlib", "step"]]) == {"float64"}
    assert kinds["emotion1"] == kinds["strategy"] == kinds["sample_id"] == "str"


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (without_column("logit_fear"), "lacks the columns logit_fear;"),
        (without_column("passed_small-cnn"), "lacks the columns passed_small-cnn;"),
        (without_column(*(f"p_tanh-cnn_{emotion}" for emotion in EMOTIONS)), "and 3 more"),
        (edit_manifest(kind="identity"), "no parameter of identity samples"),
        (edit_manifest(configuration={"emotion1": "fear"}), "does not say which emotion samples"),
        (edit_manifest(configuration={"emotion1": "fear", "emotion2": "fear"}), "named twice"),
        (edit_manifest(configuration={"emotion1": "fear", "emotion2": "joy"}), "no emotion 'joy'"),
        (edit_manifest(configuration={"emotion1": "fear", "emotion2": "anger", "judges": 3}), "does not say which emotion samples"),
        (remove("latents.npz"), "lacks its file latents.npz"),
        (remove("samples.parquet"), "lacks its file samples.parquet"),
        (change_image, "not the one that was saved"),
    ],
)
def test_a_damaged_emotion_set_gets_one_sentence(emotions, tmp_path, harm, sentence):
    assert_refused(emotions, tmp_path / "set", harm, sentence)


def test_a_set_of_the_other_kind_gets_one_sentence(made, emotions):
    assert made.identity.iterations == 2
    assert emotions.emotion.emotion2 == "fear"
    with pytest.raises(LiminalError, match="not about emotions; choose"):
        _ = made.emotion
    with pytest.raises(LiminalError, match="not about identity; choose"):
        _ = emotions.identity


def test_compressed_copies_keep_ids_and_lose_nothing_more(made, tmp_path):
    large = emotion_set([unanimous(0.5, 0.4, True)] * 2, side=80)
    for kind, each in (("identity", made), ("emotion", large)):
        each.save(tmp_path / kind, lossy=True)
        copy = SampleSet.load(tmp_path / kind)
        assert copy.manifest["image_format"] == "webp"
        assert list(copy.samples["sample_id"]) == list(each.samples["sample_id"])
        assert set(copy.samples["image"]) == {f"images/{path.name}" for path in (tmp_path / kind / "images").iterdir()}
        copy.save(tmp_path / f"{kind}-again")
        assert_equal(SampleSet.load(tmp_path / f"{kind}-again"), copy)
    assert not all((copy.images[name] == large.images[name]).all() for name in large.images)


def test_a_compressed_copy_that_was_changed_is_refused(tmp_path):
    made = emotion_set([unanimous(0.5, 0.4, True)] * 2, side=80)
    made.save(tmp_path / "set", lossy=True)
    one, other = sorted((tmp_path / "set" / "images").iterdir())[:2]
    one.write_bytes(other.read_bytes())
    with pytest.raises(LiminalError, match="not the one that was saved"):
        SampleSet.load(tmp_path / "set")
