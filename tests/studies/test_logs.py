"""Imports, studies and slow queries are logged, and nothing personal with them."""

import logging

from core.studies.importing.conversion import convert_table
from core.studies.importing.guessing import guess_mapping
from core.studies.importing.reading import read_file
from core.studies.importing.storing import store_answers
from core.studies.library import Library
from core.studies.ratings import Rating
from core.studies.storage import database
from core.studies.store import Store
from core.studies.study import RatingPlan, Stimulus, Study

PERSONAL = ("Ada Lovelace", "happiness", "disgust", "Secret study", "face-17")


def test_nothing_personal_is_logged(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(database, "SLOW_SECONDS", -1.0)  # every statement counts as slow
    caplog.set_level(logging.INFO, logger="core")
    store = Store(f"sqlite:///{tmp_path / 'ratings.sqlite'}")
    store.create(Study("Secret study", RatingPlan("emotion", 1)), [Stimulus("face-17", ("face-17",))])
    rater = store.enrol("Secret study", lambda study, stimuli, handed_out, number: ["face-17"], rater="Ada Lovelace")
    store.save([Rating("Secret study", rater.rater, "face-17", "emotion", "happiness")])
    store.change("Secret study", closed=True)
    store.forget("Secret study", "Ada Lovelace")
    store.delete("Secret study")
    imported = read_file(b"rater,image,emotion\nAda Lovelace,face-17,disgust\nAda Lovelace,face-18,bored\n", "table.csv")
    converted = convert_table(imported, guess_mapping(imported.frame).mapping, "Secret study")
    store_answers(store, Library(tmp_path / "sets", tmp_path), converted, leave_out=True)
    store.dispose()
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("core.studies")]
    for words in ("study made: emotion", "study closed: emotion", "study deleted, with", "import of csv: 1 rows taken, 1 rejected"):
        assert any(words in line for line in lines), words
    assert any(line.startswith("slow query: INSERT INTO ratings ... took") for line in lines)
    assert not [line for line in lines if any(word in line for word in PERSONAL)]
