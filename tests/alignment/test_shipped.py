"""The group's model that comes with the package: taken over where everything is the same, passed over where anything is not."""

import dataclasses

import numpy as np
import pytest
import torch

from core.alignment import alignment as alignments
from core.alignment import pretrained, store, train
from core.alignment.alignment import begin_alignment
from core.analysis.study_data import build_study_data
from core.errors import LiminalError
from core.studies.demonstration import load_demonstration
from core.studies.library import Library
from tests.alignment import made_up

NAME = "emotion-mlp"
SHIPPED = "head-emotion-mlp"
STUDY = {"epochs": 2, "raters": 4}


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    place = tmp_path_factory.mktemp("shipped")
    made, _ = made_up.study(place / "learned", **STUDY)
    train.train_group(made)
    pretrained.save_pretrained(made, place / "package")
    return made, place / "package"


@pytest.fixture
def package(learned, monkeypatch):
    monkeypatch.setattr(store, "PRETRAINED_FOLDER", learned[1])
    return learned[1]


def test_the_same_study_finds_its_model_without_learning(learned, package, tmp_path):
    made, _ = learned

    def broken(name):
        raise AssertionError("nothing is left to learn")

    again, _ = made_up.study(tmp_path, learner=broken, **STUDY)
    assert again.ready(NAME)
    train.train_group(again)
    assert np.array_equal(again.group(NAME).images, made.group(NAME).images)
    assert np.array_equal(again.base(NAME).reference, made.base(NAME).reference)
    assert str(again.curve(NAME)) == str(made.curve(NAME))
    first, second = (each.store.weights(NAME, "group") for each in (made, again))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert again.store.card()["basis"]["source"] == "simulated"


@pytest.mark.parametrize("changed", [{"seed": 1}, {"epochs": 3}, {"ratings": lambda table: table.iloc[1:]}])
def test_another_study_or_configuration_learns_as_ever(changed, package, tmp_path):
    other, _ = made_up.study(tmp_path, **{**STUDY, **changed})
    assert not other.ready(NAME)


def test_another_network_learns_as_ever(package, tmp_path, monkeypatch):
    card = tmp_path / "emotion-mlp.json"
    card.write_text('{"sha256": "of other weights"}')
    monkeypatch.setattr(alignments, "WEIGHTS_FOLDER", tmp_path)
    assert not made_up.study(tmp_path / "data", **STUDY)[0].ready(NAME)


@pytest.mark.parametrize("ending", [".json", ".safetensors"])
def test_a_damaged_one_is_passed_over(ending, learned, tmp_path, monkeypatch):
    made, package = learned
    for each in package.iterdir():
        content = each.read_bytes()
        (tmp_path / each.name).write_bytes(content[:-9] + b"damaged!\n" if each.suffix == ending else content)
    monkeypatch.setattr(store, "PRETRAINED_FOLDER", tmp_path)
    again, _ = made_up.study(tmp_path / "data", **STUDY)
    assert again.alignment_id == made.alignment_id
    assert not again.ready(NAME)


def test_what_people_taught_does_not_come_with_the_package(learned, tmp_path):
    of_people = dataclasses.replace(learned[0], answers=dataclasses.replace(learned[0].answers, source="people"))
    with pytest.raises(LiminalError, match="Only a model that learned from simulated people"):
        pretrained.save_pretrained(of_people, tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_stored_one_is_of_the_stored_demonstration(tmp_path):
    made = next(each for each in load_demonstration() if each.study.plan.kind == "emotion")
    library = Library(tmp_path / "sets")
    material = build_study_data(made.study, made.stimuli, made.raters, made.ratings, library)
    found = begin_alignment(material, library, folder=tmp_path)
    assert found.ready(SHIPPED), f"the demonstration or a network has changed; run '{pretrained.PRETRAINED_COMMAND}'"
    assert found.group(SHIPPED).images.shape == (len(found.answers.images), 6)
    epochs = found.curve(SHIPPED).epochs
    assert epochs[-1].validation_loss < epochs[0].validation_loss  # what it is trained for; who is named most often may stay
