"""Whole tables into the store and out: all rows or none, in chunks."""

import dataclasses
import uuid

import numpy as np
import pandas as pd
import pytest

from core.errors import LiminalError
from core.models.emotions import EMOTIONS
from core.studies.ratings import MAX_TRIAL, Rating, check_table, make_ratings_table, type_columns
from core.studies.storage import answers as storage_answers
from core.studies.study import RatingPlan, Study


def answers(rows, study="bulk", raters=7):
    rng = np.random.default_rng(3)
    number = np.arange(rows)
    frame = pd.DataFrame(
        {
            "rating_id": [str(uuid.UUID(bytes=rng.bytes(16))) for _ in range(rows)],
            "study": study,
            "rater": [f"観察者 {each % raters:03d}" for each in number],
            "session": "",
            "trial": number // raters,
            "stimulus": [f"s{each}" for each in rng.integers(0, 50, rows)],
            "task": "emotion",
            "value": rng.choice(EMOTIONS, rows),
            "reaction_time_ms": np.where(number % 5 == 0, np.nan, rng.gamma(2, 300, rows)),
            "is_sentinel": number % 11 == 0,
            "source": "simulated",
            "presented": '{"device": "\\u00e9"}',
            "created_at": pd.Timestamp("2026-01-01T00:00:00Z") + pd.to_timedelta(number * 1_234_567, unit="us"),
        }
    )
    return type_columns(frame)


def ordered(frame):
    return frame.sort_values(["rater", "trial"]).reset_index(drop=True)


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(storage_answers, "CHUNK", 100)


@pytest.fixture
def bulk_store(store):
    store.create(Study("bulk", RatingPlan("emotion", 10), source="simulated"), [])
    return store


def test_a_table_comes_back_unchanged(bulk_store, small_chunks):
    every = answers(1200)
    frame = every.head(1050)
    assert bulk_store.save_table(frame) == 1050
    back = bulk_store.ratings("bulk")
    pd.testing.assert_frame_equal(back, ordered(frame))
    assert bulk_store.save_table(back) == 0, "the same again changes nothing"
    assert bulk_store.save_table(every) == 150, "what is new is added"
    pd.testing.assert_frame_equal(bulk_store.ratings("bulk", ["human"]), type_columns(frame.head(0)))


def test_a_table_and_single_answers_are_the_same(bulk_store):
    """Both ways in write the same bytes: what came by one is known to the other."""
    rating = Rating("bulk", "model", "s1", "emotion", "Fear ", trial=4, source="model", reaction_time_ms=None)
    bulk_store.save([rating])
    assert bulk_store.save_table(make_ratings_table([rating.to_row()])) == 0
    frame = answers(5)
    bulk_store.save_table(frame)
    rows = [dict(row) for row in frame.to_dict("records")]
    again = [
        Rating(
            **{
                **row,
                "presented": {"device": "é"},
                "created_at": row["created_at"].to_pydatetime(),
                "reaction_time_ms": None if np.isnan(row["reaction_time_ms"]) else row["reaction_time_ms"],
            }
        )
        for row in rows
    ]
    bulk_store.save(again)
    assert len(bulk_store.ratings("bulk")) == 6


def test_many_rows(bulk_store):
    rows = 3 * storage_answers.CHUNK - 1
    frame = answers(rows, raters=500)
    assert bulk_store.save_table(frame) == rows
    back = bulk_store.ratings("bulk")
    pd.testing.assert_frame_equal(back, ordered(frame))
    assert sum(bulk_store.votes("bulk").values()) == len(frame[["rater", "stimulus"]].drop_duplicates())


def bad(frame, row, **values):
    frame = frame.copy()
    for name, value in values.items():
        frame[name] = frame[name].astype(object)
        frame.loc[row, name] = value
    return frame


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"study": "other"}, "no study 'other'"),
        ({"task": "taste"}, "no task 'taste'"),
        ({"value": "bored"}, "'bored' is no answer"),
        ({"source": "alien"}, "not 'alien'"),
        ({"rating_id": "17"}, "'17' is no UUID"),
        ({"rating_id": None}, "no rating_id"),
        ({"created_at": None}, "no created_at"),
        ({"value": None}, "no value"),
        ({"trial": "first"}, "wrong type"),
        ({"rater": "a\x00b"}, "printable"),
        ({"rater": ""}, "printable"),
        ({"stimulus": "x" * 201}, "200"),
        ({"session": "\ud800"}, "printable|wrong type"),
        ({"presented": None, "session": None}, None),
        ({"reaction_time_ms": None}, None),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_a_bad_row_far_down_keeps_all_out(bulk_store, small_chunks, values, words):
    frame = bad(answers(350), 320, **values)
    if words is None:
        assert bulk_store.save_table(frame) == 350
        return
    with pytest.raises(LiminalError, match=words):
        bulk_store.save_table(frame)
    assert len(bulk_store.ratings("bulk")) == 0


@pytest.mark.parametrize(
    ("column", "cell", "kept"),
    [
        ("rating_id", "17", None),
        ("rater", " Ada\u200d ", "Ada\u200d"),
        ("rater", "", None),
        ("rater", "a\tb", None),
        ("stimulus", "x" * 200, "x" * 200),
        ("stimulus", "x" * 201, None),
        ("session", "", ""),
        ("session", "\x7f", None),
        ("trial", MAX_TRIAL, MAX_TRIAL),
        ("trial", MAX_TRIAL + 1, None),
        ("trial", -1, None),
        ("value", " Fear", "fear"),
        ("value", "bored", None),
        ("task", "taste", None),
        ("reaction_time_ms", 0.0, 0.0),
        ("reaction_time_ms", -0.5, None),
        ("source", "alien", None),
    ],
)
def test_a_table_and_a_single_answer_are_checked_by_the_same_rules(column, cell, kept):
    good = Rating("bulk", "r", "s1", "emotion", "fear")
    table, faults = check_table(make_ratings_table([good.to_row(), good.to_row() | {column: cell}]))
    assert faults.tolist() == ["", "" if kept is not None else column]
    if kept is None:
        with pytest.raises(LiminalError):
            dataclasses.replace(good, **{column: cell})
    else:
        assert table[column][1] == getattr(dataclasses.replace(good, **{column: cell}), column) == kept


def test_doubled_ids_and_doubled_trials_keep_all_out(bulk_store, small_chunks):
    frame = answers(350)
    with pytest.raises(LiminalError, match="twice"):
        bulk_store.save_table(bad(frame, 320, rating_id=frame.loc[1, "rating_id"]))
    trial = {name: frame.loc[1, name] for name in ("rater", "trial", "stimulus", "task")}
    with pytest.raises(LiminalError, match="more than once; number the trials"):
        bulk_store.save_table(bad(frame, 320, **trial))
    with pytest.raises(LiminalError, match="needs the column 'value'"):
        bulk_store.save_table(frame.drop(columns="value"))
    assert len(bulk_store.ratings("bulk")) == 0
    bulk_store.save_table(frame)
    changed = bad(frame, 320, value="fear" if frame.loc[320, "value"] != "fear" else "anger")
    with pytest.raises(LiminalError, match="belongs to another answer"):
        bulk_store.save_table(changed)
    pd.testing.assert_frame_equal(bulk_store.ratings("bulk"), ordered(frame))


def test_values_get_their_one_form(bulk_store):
    bulk_store.save_table(bad(answers(3), 0, task="identity", value="1.0", rater="a"))
    assert bulk_store.ratings("bulk").iloc[0]["value"] == "1"


def test_an_imported_person_can_be_forgotten(bulk_store):
    frame = answers(70)
    bulk_store.save_table(frame)
    deletion = bulk_store.forget("bulk", "観察者 003")
    assert dataclasses.astuple(deletion)[:3] == ("bulk", "rater", 10)
    assert len(bulk_store.ratings("bulk")) == 60
