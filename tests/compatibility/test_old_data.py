"""What an earlier version made still opens and says the same: a data folder, a bundle, a backup, a plan, and links.

``data/README.md`` says how they were made. They are never made anew: a change that one of them does not survive is to be mended.
"""

import json
import zipfile
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import pytest

from core.__main__ import main
from core.alignment.alignment import load_alignments
from core.alignment.networks import predict_probabilities
from core.alignment.train import load_group_network, load_individual_network
from core.analysis.study_data import load_study_data
from core.models import registry
from core.progress import Progress
from core.sampling.datasets.plan import read_plan
from tests.ui.visits import app, words

DATA = Path(__file__).parent / "data"
SAID = json.loads((DATA / "said.json").read_text(encoding="utf-8"))
LINKS = json.loads((DATA / "links.json").read_text(encoding="utf-8"))
WIDGETS = ("radio", "selectbox", "button_group", "slider", "select_slider", "number_input")


@pytest.fixture
def unpacked(tmp_path):
    with zipfile.ZipFile(DATA / "folder.zip") as archive:
        archive.extractall(tmp_path)


@pytest.fixture
def old(unpacked, place):
    """The old data folder, opened -> (store, library)."""
    return place


def described(store, name):
    """A study in the words of said.json."""
    study, table, raters = store.study(name), store.ratings(name), store.raters(name)
    people, answers = store.counts(name)[name]
    alike = table["task"] == "similarity"
    return {
        "kind": study.plan.kind,
        "source": study.source,
        "closed": study.closed,
        "title": study.plan.title,
        "token": study.token,
        "stimuli": len(store.stimuli(name)),
        "raters": people,
        "answers": answers,
        "enrolled": len(raters),
        "finished": sum(each.finished_at is not None for each in raters),
        "forgotten": [each.answers for each in store.deletions(name)],
        "values": table[~alike]["value"].value_counts().to_dict(),
        "similarity": table[alike]["value"].astype(float).sum(),
        "sample_sets": list(study.sample_sets),
    }


# The data folder


def test_every_study_is_there_with_its_answers(old, capsys):
    store, _ = old
    assert {name: described(store, name) for name in SAID["studies"]} == SAID["studies"]
    assert main(["study", "list", "--json"]) == 0
    assert {each["name"] for each in json.loads(capsys.readouterr().out)} == set(SAID["studies"])


def test_every_sample_set_loads_and_has_the_id_it_had(old):
    store, library = old
    own = {
        each.set_id: {"kind": each.kind, "title": each.title, "images": each.images}
        for each in library.sets()
        if not each.demonstration
    }
    assert own == SAID["sets"]
    for set_id, said in own.items():
        made = library.load(set_id)
        assert len(made.images) == said["images"]
        assert library.add(made) == set_id
    for name, study in SAID["studies"].items():
        known = {each for set_id in study["sample_sets"] for each in library.load(set_id).images}
        assert {image for each in store.stimuli(name) for image in each.images} <= known


def test_the_alignment_loads_and_its_models_predict_what_they_did(old, capsys):
    said = SAID["alignment"]
    name, rater = said["classifier"], said["rater"]
    assert main(["align", "list"]) == 0
    assert said["id"] in capsys.readouterr().out
    store, library = old
    (alignment,) = load_alignments(load_study_data(store, library, said["study"]), library)
    assert alignment.alignment_id == said["id"]
    assert alignment.people(name) == (rater,)
    images = alignment.sources.inputs(name, Progress()).images
    for network, kept, expected in (
        (load_group_network(alignment, name), alignment.group(name), said["group"]),
        (load_individual_network(alignment, name, rater), alignment.individual(name, rater), said["person"]),
    ):
        assert np.allclose(kept.images[: len(expected)], expected, atol=1e-5)
        assert np.allclose(predict_probabilities(network, images), kept.images, atol=1e-4)


# Files


def test_the_bundle_becomes_the_study_that_it_was_made_of(place, capsys):
    store, library = place
    assert main(["study", "import", str(DATA / "bundle.zip")]) == 0
    (study,) = store.studies()
    assert study.name in capsys.readouterr().out
    new = {"token", "forgotten"}  # a link of its own; deletions are its old store's
    found, said = described(store, study.name), SAID["studies"][study.name]
    assert {key: found[key] for key in found if key not in new} == {key: said[key] for key in said if key not in new}
    assert {each.set_id for each in library.sets() if not each.demonstration} == set(said["sample_sets"])


def test_the_backup_brings_every_study_back(place, capsys):
    assert main(["study", "restore", str(DATA / "backup.sqlite")]) == 0
    store, _ = place
    assert {each.name for each in store.studies()} == set(SAID["studies"])
    assert {name: described(store, name) for name in SAID["studies"]} == SAID["studies"]


def test_a_plan_without_a_generator_means_the_one_that_was_the_default(capsys, tmp_path):
    path, said = DATA / "plan.toml", SAID["plan"]
    assert "generator =" not in path.read_text(encoding="utf-8")
    plan = read_plan(path)
    pieces = plan.pieces()
    assert {each.configuration.generator for each in pieces} == {said["generator"]}
    assert plan.plan_id == said["plan_id"]  # a data set that was begun with it goes on
    assert len(pieces) == said["pieces"]
    assert sorted({each.configuration.seed for each in pieces}) == said["seeds"]
    assert main(["generate", "study", "--plan", str(path), "--out", str(tmp_path / "out"), "--dry-run"]) == 0
    assert f"{said['pieces']} pieces" in capsys.readouterr().out


# A generator that is offered no more


def test_the_first_generator_is_no_choice_but_is_found_by_its_name(place, never):
    assert "dcgan" not in registry.list_names("generator")
    for page, key in (("phone.py", "generator"), ("identity.py", "generator"), ("emotion.py", "generator_wanted")):
        assert "dcgan" not in app(page).radio(key=key).options
        named = app(page, generator="dcgan").radio(key=key)
        assert named.value == "dcgan"
        assert "dcgan" in named.options
    assert registry.title("dcgan") == "DCGAN, 64 pixels"


# Links


@pytest.mark.parametrize("kept", LINKS, ids=lambda kept: urlsplit(kept["link"]).path)
def test_a_link_leads_to_what_it_names(kept, old, never):
    address = urlsplit(kept["link"])
    test = app(f"{address.path[1:].replace('-', '_')}.py", **dict(parse_qsl(address.query)))
    assert not test.error
    shown = (*(each.proto.json for each in test.get("bidi_component")), *(each.label for each in test.button))
    said = " ".join((words(test), *shown))
    assert [each for each in kept["shows"] if each not in said] == []
    chosen = [str(each.value) for kind in WIDGETS for each in test.get(kind)]
    assert [each for each in kept["chosen"] if each not in chosen] == []
