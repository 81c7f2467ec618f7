"""Who is forgotten is forgotten by the models that learned from them too."""

import json
from types import SimpleNamespace

import pytest

from core.alignment import store
from core.alignment.store import delete_study, forget_rater
from core.errors import LiminalError


class Shelf:
    """A store that only remembers what it was asked to delete."""

    def __init__(self, people):
        self.people, self.deleted = people, []

    def forget(self, study, rater, reason=""):
        if rater not in self.people:
            raise LiminalError(f"Nobody called '{rater}' took part.")
        self.deleted.append((study, rater))
        return (study, rater)

    def delete(self, study, reason=""):
        self.deleted.append(study)

    def study(self, name):
        return SimpleNamespace(sample_sets=())

    def studies(self):
        return []


@pytest.fixture
def alignments(tmp_path, monkeypatch):
    monkeypatch.setenv("LIMINAL_DATA_DIR", str(tmp_path))
    for name, study, people in (("a", "one", ["Ada", "Bo"]), ("b", "one", ["Bo"]), ("c", "two", ["Ada"])):
        folder = store.alignments_folder() / name
        folder.mkdir(parents=True)
        (folder / store.CARD).write_text(json.dumps({"study": study, "people": [store.hash_rater(each) for each in people]}))
    return lambda: sorted(each.name for each in store.alignments_folder().iterdir())


def test_models_that_learned_from_a_person_go_with_the_answers(alignments):
    forget_rater(Shelf(["Ada"]), "one", "Ada")
    assert alignments() == ["b", "c"]


def test_nothing_learned_is_lost_when_there_is_nobody_to_forget(alignments):
    with pytest.raises(LiminalError):
        forget_rater(Shelf([]), "one", "Ada")
    assert alignments() == ["a", "b", "c"]


def test_a_study_goes_with_all_that_learned_from_it(alignments):
    delete_study(Shelf([]), None, "one")
    assert alignments() == ["c"]
