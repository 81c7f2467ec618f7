import csv
import hashlib
import io
import json
import re
import stat
import zipfile
from dataclasses import replace
from datetime import UTC, datetime

import pandas as pd
import pytest

from core.errors import LiminalError
from core.studies.exporting.bundle import make_bundle
from core.studies.importing import archives
from core.studies.importing.bundles import import_bundle, is_bundle
from core.studies.importing.conversion import convert_table
from core.studies.importing.guessing import guess_mapping
from core.studies.importing.mapping import MappedField
from core.studies.importing.reading import read_file
from core.studies.importing.storing import find_library_stimuli, store_answers
from core.studies.library import Library
from core.studies.planning import list_stimuli
from core.studies.ratings import Rating
from core.studies.store import Store
from core.studies.study import RatingPlan, Study
from tests.emotion_sets import emotion_set, unanimous

FACES = emotion_set([unanimous(0.5, 0.4, True), unanimous(0.4, 0.5, True)])


@pytest.fixture
def library(tmp_path):
    return Library(tmp_path / "sets", tmp_path / "demonstration")


@pytest.fixture
def elsewhere(tmp_path):
    """Another computer: its store and its library."""
    opened = Store(f"sqlite:///{tmp_path / 'elsewhere.sqlite'}")
    yield opened, Library(tmp_path / "other-sets", tmp_path / "demonstration")
    opened.dispose()


def filled(store, library):
    """A study with pictures, two people and a simulated one, as the app would leave it."""
    set_id = library.add(FACES, "Two faces")
    stimuli = list_stimuli(FACES, set_id)
    plan = RatingPlan("emotion", trials=2, title="Which is it?", consent="Yes, =all of it.\nAlso this.")
    study = store.create(Study("Faces", plan, sample_sets=(set_id,), note="A note"), stimuli)
    for person in range(2):
        rater = store.enrol("Faces", lambda study, stimuli, handed, number: [each.stimulus for each in stimuli])
        store.update(
            rater.code,
            consented_at=datetime(2026, 1, 1, 10, tzinfo=UTC),
            demographics={"age": 30 + person},
            strategy="=the mouth",
        )
        store.save([Rating("Faces", rater.rater, name, "emotion", "fear", reaction_time_ms=612.3) for name in rater.trials])
        if person:
            store.finish(rater.code)
    store.save_table(
        convert_table(
            imported := read_file(f"rater,image,emotion,source\n=sim,{stimuli[0].stimulus},anger,simulated\n".encode(), "t.csv"),
            replace(
                guess_mapping(imported.frame).mapping,
                fields={**guess_mapping(imported.frame).mapping.fields, "source": MappedField("source")},
            ),
            "Faces",
        ).ratings
    )
    return study


def test_a_bundle_brings_everything_back_unchanged(store, library, elsewhere):
    filled(store, library)
    there, their_library = elsewhere
    imported = import_bundle(there, their_library, make_bundle(store, library, "Faces", demographics=True))
    original = store.study("Faces")
    assert imported == replace(original, token=imported.token)
    assert imported.token != original.token
    assert there.stimuli("Faces") == store.stimuli("Faces")
    pd.testing.assert_frame_equal(there.ratings("Faces"), store.ratings("Faces"), check_exact=True)
    codes = {rater.code for rater in store.raters("Faces")}
    assert [replace(rater, code="") for rater in there.raters("Faces")] == [
        replace(rater, code="") for rater in store.raters("Faces")
    ]
    assert not codes & {rater.code for rater in there.raters("Faces")}
    (set_id,) = original.sample_sets
    assert list(their_library.load(set_id).files()) == list(library.load(set_id).files())
    assert [entry.title for entry in their_library.sets()] == ["Two faces"]
    # the next person is asked as if nothing had happened
    assert there.enrol("Faces", lambda study, stimuli, handed, number: [max(handed, key=handed.get)]).rater == "rater-0003"


def test_secrets_never_leave_and_demographics_only_on_request(store, library):
    study = filled(store, library)
    content = make_bundle(store, library, "Faces")
    everything = b"".join(
        zipfile.ZipFile(io.BytesIO(content)).read(name) for name in zipfile.ZipFile(io.BytesIO(content)).namelist()
    )
    for secret in [study.token, *(rater.code for rater in store.raters("Faces"))]:
        assert secret.encode() not in everything
    raters = pd.read_parquet(io.BytesIO(zipfile.ZipFile(io.BytesIO(content)).read("raters.parquet")))
    assert raters["demographics"].tolist() == ["{}", "{}"]
    with_them = zipfile.ZipFile(io.BytesIO(make_bundle(store, library, "Faces", demographics=True)))
    assert pd.read_parquet(io.BytesIO(with_them.read("raters.parquet")))["demographics"].tolist() == ['{"age": 30}', '{"age": 31}']


def test_equal_studies_give_equal_bytes_and_the_card_says_what_is_simulated(store, library):
    filled(store, library)
    content = make_bundle(store, library, "Faces")
    assert content == make_bundle(store, library, "Faces")
    archive = zipfile.ZipFile(io.BytesIO(content))
    card = archive.read("README.md").decode()
    assert "**Simulated**: 1 of 5 answers" in card
    assert "> Also this." in card
    hashes = json.loads(archive.read("hashes.json"))
    assert set(hashes) == set(archive.namelist()) - {"hashes.json"}
    for path, value in hashes.items():
        assert hashlib.sha256(archive.read(path)).hexdigest() == value


def test_a_bundle_follows_psych_ds(store, library, tmp_path):
    """Against the rules of its schema, as its documentation lists them (psychds-docs, rules_and_conventions, 2025)."""
    filled(store, library)
    zipfile.ZipFile(io.BytesIO(make_bundle(store, library, "Faces"))).extractall(tmp_path / "out")
    folder = tmp_path / "out"
    described = json.loads((folder / "dataset_description.json").read_text("utf-8"))
    assert described["@context"].startswith("https://schema.org")
    assert described["@type"] == "Dataset"
    assert all(described[key] for key in ("name", "description", "variableMeasured"))
    assert "Simulated" in described["description"]
    assert all(variable["@type"] == "PropertyValue" and variable["description"] for variable in described["variableMeasured"])
    (data,) = folder.glob("data/**/*_data.csv")
    assert re.fullmatch(r"([a-z]+-[a-zA-Z0-9]+)(_[a-z]+-[a-zA-Z0-9]+)*_data\.csv", data.name)
    header, *rows = csv.reader(io.StringIO(data.read_text("utf-8"), newline=""))
    assert not header[0].startswith("\ufeff")
    assert len(set(header)) == len(header)
    assert header == [variable["name"] for variable in described["variableMeasured"]]
    assert {len(row) for row in rows} == {len(header)}
    assert len(rows) == len(store.ratings("Faces"))
    assert all(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    table = pd.DataFrame(rows, columns=header)
    assert set(table["emotion1"]) == {"surprise"}
    assert (table.loc[table["source"] == "simulated", "created_at"] == "").all()


@pytest.mark.filterwarnings("ignore")
def test_the_whole_bundle_is_a_valid_croissant(store, library, tmp_path):
    """Reference: mlcroissant 1.1.1."""
    mlcroissant = pytest.importorskip("mlcroissant")
    filled(store, library)
    zipfile.ZipFile(io.BytesIO(make_bundle(store, library, "Faces"))).extractall(tmp_path / "out")
    dataset = mlcroissant.Dataset(tmp_path / "out" / "croissant.json")
    assert not dataset.metadata.ctx.issues.errors
    assert len(list(dataset.records("ratings"))) == 5


def test_an_empty_study_and_one_without_its_pictures(library, elsewhere, tmp_path):
    here = Store(f"sqlite:///{tmp_path / 'here.sqlite'}")
    here.create(Study("Empty", RatingPlan("identity", 1), sample_sets=("0" * 20,)), [])
    content = make_bundle(here, library, "Empty")
    assert (
        "Not in this file are the pictures of: 00000000000000000000"
        in zipfile.ZipFile(io.BytesIO(content)).read("README.md").decode()
    )
    there, their_library = elsewhere
    assert import_bundle(there, their_library, content, "Other name").name == "Other name"
    assert there.ratings("Other name").empty
    here.dispose()


def test_another_name_beside_the_original(store, library):
    filled(store, library)
    content = make_bundle(store, library, "Faces")
    with pytest.raises(LiminalError, match="already"):
        import_bundle(store, library, content)
    import_bundle(store, library, content, "Copy")
    ours, copy = store.ratings("Faces"), store.ratings("Copy")
    assert copy.drop(columns=["study", "rating_id"]).equals(ours.drop(columns=["study", "rating_id"]))
    assert not set(ours["rating_id"]) & set(copy["rating_id"])


class Broken:
    """A bundle taken apart, to be changed and put together again with hashes that fit (or not)."""

    def __init__(self, content):
        archive = zipfile.ZipFile(io.BytesIO(content))
        self.files = {name: archive.read(name) for name in archive.namelist()}

    def zipped(self, *, hashes=True, extra=()):
        if hashes:
            listed = {name: hashlib.sha256(data).hexdigest() for name, data in self.files.items() if name != "hashes.json"}
            self.files["hashes.json"] = json.dumps(listed).encode()
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in [*self.files.items(), *extra]:
                archive.writestr(name, data)
        return buffer.getvalue()

    def change(self, path, **fields):
        record = json.loads(self.files[path])
        record.update(fields)
        self.files[path] = json.dumps(record).encode()
        return self.zipped()

    def table(self, path, change):
        frame = pd.read_parquet(io.BytesIO(self.files[path]))
        self.files[path] = change(frame).to_parquet(index=False)
        return self.zipped()


def link():
    entry = zipfile.ZipInfo("README.md")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return entry


def image(broken):
    return next(name for name in broken.files if name.endswith(".png"))


def swapped(broken):
    first, second = [name for name in broken.files if name.endswith(".png")][:2]
    broken.files[first], broken.files[second] = broken.files[second], broken.files[first]
    return broken.zipped()


def without(broken, path):
    del broken.files[path]
    return broken.zipped()


def changed(broken, path):
    broken.files[path] += b" "
    return broken.zipped(hashes=False)


ATTACKS = {
    "a path that leads out": (lambda b: b.zipped(extra=[("../../evil.py", b"x")]), "does not belong"),
    "an absolute path": (lambda b: b.zipped(extra=[("/etc/evil", b"x")]), "does not belong"),
    "a backslash": (lambda b: b.zipped(extra=[("sets\\..\\evil", b"x")]), "does not belong"),
    "a link": (lambda b: without(b, "README.md") and b.zipped(extra=[(link(), b"/etc/passwd")]), "does not belong"),
    "an unknown file": (lambda b: b.zipped(extra=[("evil.py", b"x")]), "does not belong"),
    "a bomb": (lambda b: b.zipped(extra=[("sets/" + "a" * 20 + "/manifest.json", b"0" * 20_000_000)]), "far more than it weighs"),
    "a file that is not listed": (lambda b: b.zipped(extra=[("sets/" + "a" * 20 + "/manifest.json", b"{}")]), "not complete"),
    "a file that is missing": (lambda b: (b.files.pop("README.md"), b.zipped(hashes=False))[1], "not complete"),
    "a changed file": (lambda b: changed(b, "README.md"), "its hash differs"),
    "a changed picture": (lambda b: changed(b, image(b)), "its hash differs"),
    "swapped pictures": (swapped, "not the one that was saved"),
    "a later version": (lambda b: b.change("study.json", format_version=2), "later version"),
    "another program's file": (lambda b: b.change("study.json", format="other"), "no export of a study"),
    "no study": (lambda b: without(b, "study.json"), "lacks study.json"),
    "a study without a plan": (lambda b: b.change("study.json", study={"name": "x"}), "does not hold what it should"),
    "an unknown parameter": (
        lambda b: b.change(
            "study.json", study={**json.loads(b.files["study.json"])["study"], "plan": {"kind": "emotion", "evil": 1}}
        ),
        "'evil' is no parameter",
    ),
    "a table that is none": (lambda b: b.files.update({"raters.parquet": b"PAR1"}) or b.zipped(), "damaged"),
    "a rater without trials": (lambda b: b.table("raters.parquet", lambda f: f.assign(trials="nonsense")), "does not hold"),
    "details that are no object": (lambda b: b.table("stimuli.parquet", lambda f: f.assign(details="[]")), "does not hold"),
    "a stimulus twice": (lambda b: b.table("stimuli.parquet", lambda f: pd.concat([f, f])), "twice"),
    "an answer that is none": (lambda b: b.table("ratings.parquet", lambda f: f.assign(value="bored")), "bored"),
    "one answer that is none": (
        lambda b: b.table("ratings.parquet", lambda f: f.assign(value=["bored", *f["value"][1:]])),
        "1 of 5 rows cannot be taken",
    ),
    "latents that are none": (
        lambda b: b.files.update({n: b"no" for n in b.files if n.endswith("npz")}) or b.zipped(),
        "latents|does not hold",
    ),
    "a set under another's name": (
        lambda b: (setattr(b, "files", {renamed(name): data for name, data in b.files.items()}), b.zipped())[1],
        "not the one that its name says",
    ),
    "half a file": (lambda b: b.zipped()[:-200], "damaged"),
    "no zip": (lambda b: b"PK\x03\x04" + b"nothing" * 9, "damaged"),
    "a workbook": (lambda b: workbook(), "does not belong|lacks hashes"),
}


def renamed(name):
    return f"sets/{'b' * 20}/{name.split('/', 2)[2]}" if name.startswith("sets/") else name


def workbook():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("[Content_Types].xml", "<x/>")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    place = tmp_path_factory.mktemp("exported")
    here = Store(f"sqlite:///{place / 'here.sqlite'}")
    library = Library(place / "sets", place / "demonstration")
    filled(here, library)
    content = make_bundle(here, library, "Faces")
    here.dispose()
    return content


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_what_is_odd_is_refused_and_nothing_is_kept(name, exported, elsewhere):
    attack, sentence = ATTACKS[name]
    there, their_library = elsewhere
    with pytest.raises(LiminalError, match=sentence) as caught:
        import_bundle(there, their_library, attack(Broken(exported)))
    assert "\n" not in str(caught.value)
    assert there.studies() == []
    assert their_library.sets() == []
    assert there.deletions("Faces") == []


def test_an_untouched_bundle_put_together_again_is_fine(exported, elsewhere):
    assert is_bundle(exported)
    assert import_bundle(*elsewhere, Broken(exported).zipped()).name == "Faces"


def test_archives_have_limits(monkeypatch, exported, elsewhere):
    monkeypatch.setattr(archives, "MAX_BYTES", 1000)
    with pytest.raises(LiminalError, match="unpacks to more"):
        import_bundle(*elsewhere, exported)


def test_a_file_that_is_larger_than_it_says_is_not_read_on(exported, elsewhere):
    """The size in the list of contents is the attacker's: what is unpacked is counted."""
    content = bytearray(exported)
    place = content.rfind(b"PK\x01\x02")  # the last entry of the list of contents: hashes.json
    content[place + 24 : place + 28] = (10).to_bytes(4, "little")
    with pytest.raises(LiminalError):
        import_bundle(*elsewhere, bytes(content))


def test_answers_find_their_pictures_in_the_library(library, elsewhere):
    set_id = library.add(FACES)
    names = [each.stimulus for each in list_stimuli(FACES, set_id)]
    store, _ = elsewhere
    rows = "".join(f"A,images/{name}.png,fear\n" for name in names) + "A,unknown,anger\n"
    imported = read_file(f"rater,image,emotion\n{rows}".encode(), "t.csv")
    result = convert_table(imported, guess_mapping(imported.frame).mapping, "S", pictures=find_library_stimuli(library))
    stored = store_answers(store, library, result)
    assert stored.study.sample_sets == (set_id,)
    assert (stored.study.origin, stored.study.closed, stored.study.plan.kind) == ("imported", True, "emotion")
    kept = {each.stimulus: each for each in store.stimuli("S")}
    assert [kept[name].images for name in names] == [(name,) for name in names]
    assert kept["unknown"].images == ()
    again = convert_table(
        imported, guess_mapping(imported.frame).mapping, "S", pictures=find_library_stimuli(library), stimuli=list(kept)
    )
    assert store_answers(store, library, again).new == 0
    assert len(store.ratings("S")) == len(names) + 1


def test_nothing_is_half_imported(library, elsewhere):
    store, _ = elsewhere
    imported = read_file(b"rater,image,emotion\nA,i,fear\nA,j,bored\n", "t.csv")
    result = convert_table(imported, guess_mapping(imported.frame).mapping, "S")
    with pytest.raises(LiminalError, match="nothing was imported"):
        store_answers(store, library, result)
    assert store.studies() == []
    assert store_answers(store, library, result, leave_out=True).left_out == 1
    assert len(store.ratings("S")) == 1


def test_a_study_with_any_simulated_answer_is_marked_so(library, elsewhere):
    store, _ = elsewhere
    imported = read_file(b"rater,image,emotion,source\nA,i,fear,human\nB,i,fear,simulated\n", "t.csv")
    mapping = guess_mapping(imported.frame).mapping
    mapping = replace(mapping, fields={**mapping.fields, "source": MappedField("source")})
    assert store_answers(store, library, convert_table(imported, mapping, "S")).study.source == "simulated"
