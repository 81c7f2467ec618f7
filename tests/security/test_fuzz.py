"""Two thousand broken uploads, imports, manifests, weight files and addresses: a sentence each, no traceback, no change on disk."""

import hashlib
import io
import json
import logging
import pickle

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from core.errors import LiminalError
from core.models.custom import catalogue
from core.sampling.sample_set import SampleSet
from core.studies.exporting.bundle import make_bundle
from core.studies.importing.bundles import import_bundle
from core.studies.importing.conversion import convert_table
from core.studies.importing.guessing import guess_mapping
from core.studies.importing.mapping import ColumnMapping
from core.studies.importing.reading import read_file
from core.studies.planning import assign_stimuli
from tests.security.corpus import broken, chances, odd_json, odd_record, rezipped
from tests.security.disk import everything_on
from tests.sizes import share
from tests.ui.study_sets import answer_all, faces, identity_set, made_study
from tests.ui.test_study_pages import post, row

BUNDLED = ("study.json", "stimuli.parquet", "raters.parquet", "ratings.parquet", "manifest.json", "latents.npz", ".png")
SENTENCE = 1500  # characters at most; names of files and columns are part of it


def refused(task, *given, where=""):
    """Whether it was refused, in one sentence. Anything else that is raised is a fault of ours."""
    try:
        task(*given)
    except LiminalError as error:
        said = str(error)
        assert said.endswith("."), (where, said)
        assert "\n" not in said.strip(), (where, said)
        assert len(said) < SENTENCE, (where, said[:200])
        assert "Traceback" not in said
        return True
    except Exception as error:
        raise AssertionError(f"{where}: {type(error).__name__}: {error}") from error
    return False


@pytest.fixture
def quiet(place, tmp_path, caplog, capfd):
    """(store, library) of a data folder that must be the same afterwards, with no traceback anywhere."""
    caplog.set_level(logging.DEBUG)
    before = []
    yield (*place, lambda: before.append(everything_on(tmp_path)))
    if before:
        assert everything_on(tmp_path) == before[0], "something on the disk changed"
    assert not [record for record in caplog.records if record.exc_info or "Traceback" in record.getMessage()]
    said = capfd.readouterr()
    assert "Traceback" not in said.out + said.err


def photographs():
    """Small pictures in every form."""
    chance = np.random.default_rng(0)
    pixels = Image.fromarray(chance.integers(0, 256, (160, 160, 3), dtype=np.uint8))
    for form, mode in (("JPEG", "RGB"), ("PNG", "RGB"), ("PNG", "P"), ("PNG", "I;16"), ("WEBP", "RGBA"), ("GIF", "P")):
        picture = pixels.convert("I").convert(mode) if mode == "I;16" else pixels.convert(mode)
        buffer = io.BytesIO()
        picture.save(buffer, form)
        yield buffer.getvalue()


def test_photographs(quiet, monkeypatch):
    from core.models import photos

    monkeypatch.setattr(photos, "_find_one_face", lambda *_, **__: np.insert(photos.DEFAULT_FRAME * 120 + 15, 2, [75, 95], axis=0))
    monkeypatch.setattr(photos, "MOST_PIXELS", 1_000_000)  # a broken size is read up to here, and large ones take their time
    monkeypatch.setattr(photos, "_frame", lambda *_, **__: None)  # what is read is looked at; finding faces is not meant
    good = list(photographs())
    quiet[2]()
    assert sum(refused(photos.read_photo, each) for each in good) == 1, "all but the GIF are read"
    count = sum(
        refused(photos.read_photo, broken(good[number % len(good)], chance), where=number)
        for number, chance in enumerate(chances(300, "photographs"))
    )
    assert count > share(300) // 3


def tables():
    """The same answers in every form that is read."""
    rows = [
        {
            "subject": f"p{number % 3}",
            "picture": f"a{number}",
            "choice": "happy",
            "rt": 100.5 + number,
            "when": "2026-01-02T03:04:05Z",
        }
        for number in range(12)
    ]
    frame = pd.DataFrame(rows)
    parquet = io.BytesIO()
    frame.to_parquet(parquet, index=False)
    text = frame.to_csv(index=False)
    trials = [row | {"response": {"Q0": "yes", "Q1": 3}, "trial_type": "html-button-response"} for row in rows]
    return {
        "a.csv": text.encode(),
        "b.tsv": frame.to_csv(index=False, sep="\t").encode("utf-16"),
        "c.csv": frame.to_csv(index=False, sep=";", decimal=",").encode("cp1252"),
        "d.parquet": parquet.getvalue(),
        "e.json": json.dumps(trials).encode(),
    }, trials


def brought_in(content, name):
    imported = read_file(content, name)
    guessed = guess_mapping(imported.frame)
    converted = convert_table(imported, guessed.mapping, "s")
    converted.check()


def test_tables_of_answers(quiet):
    files, trials = tables()
    quiet[2]()
    names = list(files)
    for number, chance in enumerate(chances(130, "tables")):
        name = names[number % len(names)]
        content = odd_json(trials, chance) if name == "e.json" else broken(files[name], chance)
        refused(brought_in, content, name, where=(number, name))


def test_mappings_and_plans(quiet):
    quiet[2]()
    mapping = {
        "layout": "long",
        "fields": {
            "rater": {"column": "a"},
            "similarity": {"column": "b", "scale": [1, 7]},
            "value": {"constant": "x", "values": {"j": "y"}},
        },
        "only": {"a": ["b"]},
        "kept": ["c"],
        "exported": False,
    }
    for number, chance in enumerate(chances(400, "mappings")):
        refused(ColumnMapping.from_dict, odd_record(mapping, chance), where=number)


def test_bundles(quiet):
    store, library, before = quiet
    study = made_study(store, library, "s", faces(4))
    answer_all(store, study, lambda _: "fear")
    good = make_bundle(store, library, "s", demographics=True)
    before()
    fewest = 0
    for number, chance in enumerate(chances(100, "bundles")):
        if number % 3 == 0:
            content = broken(good, chance)
        else:
            path = chance.choice(
                ["study.json", "stimuli.parquet", "raters.parquet", "ratings.parquet", "manifest.json", "latents.npz", ".png"]
            )
            content = rehashed(good, path, chance)
        fewest += refused(import_bundle, store, library, content, "t", where=number)
        if any(each.name == "t" for each in store.studies()):  # what was changed did not matter
            store.delete("t")
            with store._database.writing() as connection:
                connection.exec_driver_sql("DELETE FROM deletions")
    assert fewest > share(100) * 6 // 10


def rehashed(good, ending, chance):
    """A bundle with one odd file whose hash is right, as a forger would write it."""
    hashes = {}

    def change(path, content):
        if path == "hashes.json":
            return None
        if path.endswith(ending) and (ending != ".png" or not hashes.get("done")):
            content = odd_json(json.loads(content), chance) if path.endswith(".json") else broken(content, chance)
        hashes[path] = hashlib.sha256(content).hexdigest()
        return content

    made = rezipped(good, change)
    import zipfile

    buffer = io.BytesIO(made)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("hashes.json", json.dumps(hashes))
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["identity", "emotion"])
def test_manifests_and_their_files(quiet, tmp_path_factory, kind):
    made = identity_set(2) if kind == "identity" else faces(3)
    folder = tmp_path_factory.mktemp("sets") / "set"
    made.save(folder)
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    manifest = json.loads((folder / "manifest.json").read_text())
    quiet[2]()
    for number, chance in enumerate(chances(80, f"manifests {kind}")):
        path = folder / "manifest.json" if number % 2 else chance.choice(files)
        good = path.read_bytes()
        path.write_bytes(odd_json(manifest, chance) if number % 2 else broken(good, chance))
        refused(SampleSet.load, folder, where=(number, path.name))
        path.write_bytes(good)
    assert not refused(SampleSet.load, folder)


def test_weight_files(quiet, tmp_path_factory):
    import torch
    from safetensors.torch import save_file

    from core.models.builtin.lpips_distance import load_arrays
    from core.models.custom.loading import read_tensors

    folder = tmp_path_factory.mktemp("weights")
    tensors = {"a.weight": torch.ones(3, 4), "b": torch.zeros(2, dtype=torch.int64)}
    save_file(tensors, folder / "good.safetensors")
    torch.save(tensors, folder / "good.pt")
    torch.save(tensors, folder / "old.pth", _use_new_zipfile_serialization=False)
    (folder / "good.pkl").write_bytes(pickle.dumps({"a": {"w": np.ones((3, 2))}}, protocol=4))
    quiet[2]()
    count = 0
    for number, chance in enumerate(chances(400, "weights")):
        good = folder / ("good.safetensors", "good.pt", "old.pth", "good.pkl")[number % 4]
        odd = folder / f"odd{good.suffix}"
        odd.write_bytes(broken(good.read_bytes(), chance))
        count += refused(load_arrays if good.suffix == ".pkl" else read_tensors, odd, where=(number, good.name))
    assert count > share(400) // 2


def test_lists_of_models(place, tmp_path, monkeypatch):
    monkeypatch.setattr(catalogue, "REREAD_SECONDS", 0.0)
    good = {"models": [{"name": "a", "model_class": "stylegan2", "source": "/x", "options": {}, "title": "t", "files": {"a": "b"}}]}
    for number, chance in enumerate(chances(150, "models")):
        (tmp_path / "models.json").write_bytes(odd_json(good, chance))
        refused(catalogue.list_custom_models, where=number)


def test_answers(quiet):
    store, library, before = quiet
    made_study(store, library, "s", faces())
    person = store.enrol("s", assign_stimuli)
    good = {"code": person.code, "answers": [row(person, person.trials[0], "fear")]}
    before()
    statuses = set()
    for number, chance in enumerate(chances(400, "answers")):
        body = odd_json(good, chance)
        status, record = post(body)
        statuses.add(status)
        if status == 200:  # what was changed is no part of the answer
            assert set(store.ratings("s")["rating_id"]) == set(record["acknowledged"])
            with store._database.writing() as connection:
                connection.exec_driver_sql("DELETE FROM ratings")
                connection.exec_driver_sql("UPDATE raters SET seen_at = NULL")
            continue
        assert not len(store.ratings("s")), (number, body[:300])
        assert status in (400, 404, 409, 413, 422), (number, status, body[:300], record)
        assert record["error"].endswith("."), record
    assert {400, 404} <= statuses
