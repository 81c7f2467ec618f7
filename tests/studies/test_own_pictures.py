"""Pictures of one's own: what is read of them, what is refused with one sentence, and where they never are."""

import io
import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.alignment.store import VALUES_OF_FACES, delete_study
from core.analysis.answer_table import build_answer_table
from core.analysis.preregistration import make_preregistration
from core.analysis.sample_size import plan_sample_size
from core.analysis.study_data import build_set_data, load_study_data
from core.errors import Cancelled, LiminalError
from core.figures.contents import list_sections, split_sections
from core.figures.exhibit import ExhibitView
from core.figures.report import build_report
from core.figures.sample_size import list_measures
from core.progress import Progress
from core.sampling.pictures import GREY, PicturePanel
from core.studies.exporting.bundle import write_bundle
from core.studies.importing import pictures
from core.studies.importing.pictures import import_pictures
from core.studies.library import Library
from core.studies.planning import assign_stimuli, estimate_plan, list_stimuli, prepare_study
from core.studies.ratings import Rating
from core.studies.simulation import simulate_study
from core.studies.store import Store
from core.studies.study import Study
from tests.fakes import FakeClassifier, FakePerceptual, FakeRecogniser, card

SIDE = 40


@pytest.fixture(autouse=True)
def planted_networks(monkeypatch):
    """Networks that read what they say from the pixels, and no detector."""
    second = FakeClassifier()
    second.card = card("small-cnn", "classifier")  # simulated observers see through it
    panel = PicturePanel([FakeRecogniser("dlib"), FakeRecogniser("sface")], [FakeClassifier(), second], FakePerceptual())
    monkeypatch.setattr(PicturePanel, "load", classmethod(lambda cls: panel))
    monkeypatch.setattr("core.models.framing.frame_for_classifiers", lambda images, frame: images)


@pytest.fixture
def library(tmp_path):
    return Library(tmp_path / "data" / "sets", tmp_path / "demonstration")


def make_picture(seed: int, width: int = SIDE, height: int = SIDE) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8))


def encode(picture: Image.Image, form: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def make_files(**more: bytes) -> dict[str, bytes]:
    return {f"{name}.png": encode(make_picture(seed)) for seed, name in enumerate("abcd")} | more


def make_zip(files: dict[str, bytes], mode: int = 0o100644) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = mode << 16
            archive.writestr(entry, content)
    return buffer.getvalue()


PAIRS = b"a,b,type,step,same,batch\na.png,b.png,twins,0.5,yes,0\na.png,c.png,strangers,,no,0\nd.png,d.png,,,,1\n"


def bring(library: Library, files: dict[str, bytes], **options: object) -> str:
    return import_pictures(library, list(files.items()), may_show=True, **options).set_id


def test_pairs_and_single_pictures_become_ordinary_sample_sets(library, tmp_path):
    pairs = library.load(bring(library, make_files() | {"pairs.csv": PAIRS}))
    assert pairs.own_pictures
    table = pairs.pairs
    assert table["sample_type"].tolist() == ["twins", "strangers", "genuine"]
    assert table["same_identity"].tolist() == [True, False, True]
    assert table["batch"].tolist() == [0, 0, 1]
    assert table["distance_dlib"].iloc[2] == 0
    assert table["latent_distance"].isna().all()
    first = pairs.images[table["base_id"].iloc[0]].astype(float)
    second = pairs.images[table["sample_id"].iloc[0]].astype(float)
    assert table["lpips"].iloc[0] == pytest.approx(np.abs(first - second).mean() / 255, abs=1e-5)
    names = pairs.manifest["files"]
    assert [names[row] for row in table["sample_id"]] == ["b.png", "c.png", "d.png"]
    assert np.array_equal(pairs.images[table["base_id"].iloc[0]], np.asarray(make_picture(0)))

    folder = tmp_path / "mine"
    (folder / "deep").mkdir(parents=True)
    for name, content in make_files().items():
        (folder / "deep" / name).write_bytes(content)
    single = library.load(import_pictures(library, folder, may_show=True).set_id)
    assert single.emotion.classifiers == ("fake-emotion", "small-cnn")
    assert single.samples[[f"p_{name}" for name in ("surprise", "fear", "disgust", "happiness", "sadness", "anger")]].sum(
        axis=1
    ).to_numpy() == pytest.approx(1)
    assert sorted(single.manifest["files"].values()) == ["deep/a.png", "deep/b.png", "deep/c.png", "deep/d.png"]


def test_pictures_are_turned_upright_squared_and_lose_where_and_when(library):
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "SECRETCAM", 6
    photo = Image.new("RGB", (80, 40), (200, 30, 30))
    photo.paste((30, 30, 200), (0, 0, 40, 40))
    set_id = bring(
        library, {"photo.jpg": encode(photo, "JPEG", exif=exif, quality=95), "small.webp": encode(make_picture(1), "WEBP")}
    )
    stored = library.load(set_id)
    upright = next(image for name, image in stored.images.items() if stored.manifest["files"][name] == "photo.jpg")
    assert upright.shape == (80, 80, 3)
    assert (upright[:, :20] == GREY).all()
    assert (upright[:, -20:] == GREY).all()
    assert upright[5, 40, 2] > 150 > upright[5, 40, 0]  # blue, which lay left, is above
    for path in (library.folder / set_id / "images").iterdir():
        assert b"SECRETCAM" not in path.read_bytes()
        assert not Image.open(path).getexif()


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        (lambda: {"x.zip": make_zip({"../up.png": encode(make_picture(1))})}, "does not belong into an archive"),
        (lambda: {"x.zip": make_zip({"a.png": b"/etc/passwd"}, stat.S_IFLNK | 0o777)}, "does not belong into an archive"),
        (lambda: {"x.zip": make_zip({"bomb.png": bytes(20 * 2**20)})}, "unpacks to far more than it weighs"),
        (lambda: {f"{n}.png": b"x" for n in range(5000)}, "5,000 pictures, and a set holds at most 1,000"),
        (lambda: {"big.png": encode(Image.new("L", (9000, 7000)))}, "more than 60 million pixels"),
        (
            lambda: {"moves.webp": encode(make_picture(1), "WEBP", save_all=True, append_images=[make_picture(2)])},
            "'moves.webp': The WebP is animated",
        ),
        (lambda: make_files(**{"broken.jpg": encode(make_picture(9), "JPEG")[:300]}), "'broken.jpg': The JPEG file is damaged"),
        (lambda: {"tiny.png": encode(make_picture(1, 8, 8))}, "'tiny.png': The picture is only 8 x 8 pixels"),
        (lambda: make_files(**{"pairs.csv": b"a,b\na.png,gone.png\n"}), "line 2: there is no picture 'gone.png'"),
        (lambda: make_files(**{"pairs.csv": b"left,right\na.png,b.png\n"}), "needs the columns a and b"),
        (lambda: make_files(**{"pairs.csv": b"a,b,same\na.png,b.png,maybe\n"}), "'same' is yes or no, not 'maybe'"),
        (lambda: make_files(**{"1.csv": PAIRS, "2.csv": PAIRS}), "2 tables beside the pictures"),
        (
            lambda: {f"{n}/e.png": encode(make_picture(n)) for n in (1, 2)} | {"p.csv": b"a,b\ne.png,1/e.png\n"},
            "'e.png' can mean '1/e.png' or '2/e.png'",
        ),
        (lambda: {"readme.txt": b"hello"}, "no picture among these files"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_gets_one_sentence_and_leaves_nothing(library, files, sentence):
    with pytest.raises(LiminalError, match=sentence) as caught:
        bring(library, files())
    assert "Nothing was imported" in str(caught.value) or "nothing was imported" in str(caught.value)
    assert not library.folder.exists()


def test_a_forty_megapixel_picture_is_made_smaller_and_repeated_ones_are_kept_once(library):
    files = make_files(**{"large.jpg": encode(Image.new("RGB", (8000, 5000), (90, 60, 30)), "JPEG")})
    files["again.png"] = files["a.png"]
    outcome = import_pictures(library, list(files.items()), may_show=True)
    assert {image.shape for image in library.load(outcome.set_id).images.values()} == {(512, 512, 3)}
    assert any("1 picture is the same as another one" in note for note in outcome.notes)


def test_links_in_a_folder_lead_nowhere(library, tmp_path):
    secret = tmp_path / "elsewhere.png"
    secret.write_bytes(encode(make_picture(1)))
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "link.png").symlink_to(secret)
    with pytest.raises(LiminalError, match=r"'link\.png' in mine is a link"):
        import_pictures(library, folder, may_show=True)


def test_nothing_is_kept_without_the_owners_word_or_once_stopped(library):
    with pytest.raises(LiminalError, match="have the right to show"):
        import_pictures(library, list(make_files().items()), may_show=False)
    progress = Progress(lambda event: progress.cancel.set() if "picture 4 of 4" in event.message else None)
    with pytest.raises(Cancelled):
        bring(library, make_files(), progress=progress)
    assert not library.folder.exists()


def make_study(store: Store, library: Library, files: dict[str, bytes], name: str = "Mine") -> Study:
    prepared = prepare_study(library, [bring(library, files)])
    return store.create(Study(name, prepared.plan, sample_sets=prepared.sample_sets), prepared.stimuli)


@pytest.fixture(autouse=True)
def own_data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("LIMINAL_DATA_DIR", str(tmp_path / "data"))


@pytest.fixture
def sqlite_store(tmp_path):
    """For what depends on no database."""
    opened = Store(f"sqlite:///{tmp_path / 'store.sqlite'}")
    yield opened
    opened.dispose()


def test_a_rater_answers_and_the_table_names_the_files(library, store):
    study = make_study(store, library, make_files() | {"pairs.csv": PAIRS})
    assert "a computer made" not in study.plan.consent
    assert (study.plan.trials, study.plan.sentinels) == (2, 1)
    rater = store.enrol(study.name, assign_stimuli)
    stimulus = next(each for each in store.stimuli(study.name) if each.sample_type == "twins")
    answers = (("identity", "1"), ("similarity", "80"))
    store.save([Rating(study.name, rater.rater, stimulus.stimulus, task, value, reaction_time_ms=900.0) for task, value in answers])
    study_data = load_study_data(store, library, study.name)
    assert (study_data.generator, study_data.latent_dim, study_data.own_pictures) == ("", 0, True)
    table = build_answer_table(study_data)
    assert table[["file_a", "file_b"]].drop_duplicates().to_numpy().tolist() == [["a.png", "b.png"]]
    assert table["same_identity"].tolist() == [1, 1]


@pytest.mark.parametrize("pairs", [{"pairs.csv": PAIRS.replace(b"d.png,d.png", b"b.png,d.png")}, {}])
def test_every_chapter_works_or_says_in_one_sentence_what_is_missing(library, sqlite_store, pairs):
    """Simulated observers answer, so that all chapters have something to show; none speaks of latents that there are not."""
    store = sqlite_store
    prepared = prepare_study(library, [bring(library, make_files() | pairs)])
    sets = {set_id: library.load(set_id) for set_id in prepared.sample_sets}
    simulated = simulate_study("Seen", prepared, sets, raters=12, seed=1)
    store.restore(simulated.study, simulated.stimuli, simulated.ratings, simulated.raters)
    study_data = load_study_data(store, library, "Seen")
    view = ExhibitView(recogniser="dlib" if pairs else "", classifier=study_data.steerer)
    assert split_sections(study_data)[0][0].key == ("types" if pairs else "divided")
    problems = {}
    for section in list_sections(study_data):
        if section.slow:
            continue
        try:
            for exhibit in section.make(study_data, view, Progress()):
                assert "latent" not in f"{exhibit.says} {exhibit.definition}".lower(), section.key
        except LiminalError as error:
            problems[section.key] = str(error)
    assert set(problems) <= ({"way", "mixed"} if pairs else {"outcomes", "activations"})
    assert all("generator" in text or "feelings" in text for key, text in problems.items() if not pairs)

    bare = build_report(study_data, library)
    assert "data:image/webp" not in bare
    assert "brought along" in bare
    assert "data:image/webp" in build_report(study_data, library, own_pictures=True)
    assert build_set_data(library, prepared.sample_sets[0], "Mine").own_pictures


def test_what_the_form_and_the_sample_size_say_holds_for_own_pictures(library):
    """Nobody puts checks among them unasked, they lie between no two feelings, and a scale has no right answer."""
    set_id = bring(library, make_files())
    made = library.load(set_id)
    scale = {"question": "scale", "wording": "How calm?", "scale_low": "not at all", "scale_high": "very"}
    for question, note in (({}, "ask for attention checks"), (scale, "this question has no right answer")):
        prepared = prepare_study(library, [set_id], **question)
        assert estimate_plan(list_stimuli(made, set_id), "emotion", **question).sentinels == prepared.plan.sentinels == 0
        assert note in prepared.notes[0]
    assert prepare_study(library, [set_id], sentinels=3, **scale).plan.sentinels == 0
    size = plan_sample_size({set_id: made}, raters=(8,), images=(8,), repeats=10)
    assert (list_measures(size), size.plan.sentinels) == (["entropy"], 0)
    text = make_preregistration(size)
    assert "both emotions" not in text
    assert "attention checks right" not in text


def test_pictures_stay_out_of_bundles_and_leave_with_the_last_study(library, store):
    first = make_study(store, library, make_files())
    make_study(store, library, make_files(), "Second")
    (set_id,) = first.sample_sets
    buffer = io.BytesIO()
    contents = write_bundle(store, library, first.name, buffer)
    assert (contents.pictures, contents.hidden) == (0, (set_id,))
    assert not any(name.startswith("sets/") for name in zipfile.ZipFile(buffer).namelist())
    assert "may show real people" in zipfile.ZipFile(buffer).read("README.md").decode()
    assert write_bundle(store, library, first.name, io.BytesIO(), own_pictures=True).pictures == 4

    cached = [library.folder.parent / name for name in VALUES_OF_FACES]
    for folder in cached:
        folder.mkdir(parents=True)
    delete_study(store, library, first.name)
    assert library.has_own_pictures(set_id)
    delete_study(store, library, "Second")
    assert list(library.folder.iterdir()) == []
    assert not any(folder.exists() for folder in cached)


def test_folders_of_generated_sets_are_never_deleted(library):
    set_id = bring(library, make_files())
    manifest = Path(library.folder / set_id / "manifest.json")
    manifest.write_text(manifest.read_text().replace('"generator": ""', '"generator": "head"'))
    assert not library.remove_own_pictures(set_id)
    assert not library.remove_own_pictures("../../etc")
    assert manifest.exists()


def test_pictures_has_no_torch_at_its_top():
    assert "torch" not in vars(pictures)
