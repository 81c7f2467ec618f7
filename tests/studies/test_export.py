import csv
import hashlib
import io
import json
import string
import uuid
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.models.emotions import EMOTIONS
from core.studies.exporting.bundle import COLUMN_MEANINGS, describe_origin, make_croissant
from core.studies.exporting.tables import csv_bytes, escape_cell, escape_column, parquet_bytes, unescape_column
from core.studies.importing.conversion import convert_table
from core.studies.importing.guessing import guess_mapping
from core.studies.importing.reading import read_file
from core.studies.ratings import RATINGS, UNKNOWN_TIME, Rating, make_ratings_table
from core.studies.study import RatingPlan, Study

FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "=cmd|' /C calc'!A0"]


def undone(cell):
    return unescape_column(pd.Series([cell], dtype="str"))[0]


@pytest.mark.parametrize("cell", FORMULAS)
def test_formulas_get_an_apostrophe_and_lose_it_again(cell):
    assert escape_cell(cell) == f"'{cell}"
    assert undone(escape_cell(cell)) == cell


@pytest.mark.parametrize("cell", ["", "fear", "'quoted'", "a=b", "{}", "1.5", "O'Neill"])
def test_other_cells_stay_as_they_are(cell):
    assert escape_cell(cell) == cell == undone(cell)


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from("'=+-@\t\r\nab＝"), max_size=8))
def test_escaping_can_always_be_undone(text):
    column = pd.Series([text], dtype="str")
    assert unescape_column(escape_column(column)).tolist() == [text]
    assert escape_column(column)[0] == escape_cell(text)
    assert escape_cell(text)[:1] not in set("=+-@\t\r\n＝")


# Names as the store keeps them: 1 to 200 characters, no control characters, no space around them.
letters = st.one_of(st.sampled_from("=+-@'\",;| 0a"), st.characters(exclude_categories=("Cs", "Cc")))
names = st.text(letters, min_size=1, max_size=12).map(lambda text: text.strip() or "'=")
moments = st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))
json_objects = st.dictionaries(
    st.text(string.printable, max_size=5), st.one_of(st.integers(), st.text(max_size=5), st.none()), max_size=2
)
answers = {
    "emotion": st.tuples(st.just("emotion"), st.sampled_from(EMOTIONS)),
    "identity": st.one_of(
        st.tuples(st.just("identity"), st.sampled_from(["0", "1"])), st.tuples(st.just("similarity"), st.floats(0, 100).map(str))
    ),
}


@st.composite
def ratings(draw):
    kind = draw(st.sampled_from(["emotion", "identity"]))
    rows, once = [], set()
    for number in range(draw(st.integers(1, 6))):
        task, value = draw(answers[kind])
        rating = Rating(
            study="A study",
            rater=draw(names),
            stimulus=draw(names),
            task=task,
            value=value,
            trial=draw(st.integers(0, 2**31 - 1)),
            session=draw(st.one_of(st.just(""), names)),
            reaction_time_ms=draw(st.one_of(st.none(), st.floats(0, 1e9))),
            is_sentinel=draw(st.booleans()),
            source=draw(st.sampled_from(["human", "simulated", "model"])),
            presented=draw(json_objects),
            rating_id=str(uuid.UUID(int=draw(st.integers(0, 2**128 - 1)) ^ number)),
            created_at=draw(moments),
        )
        key = (rating.rater, rating.trial, rating.stimulus, rating.task)
        if key not in once and rating.rating_id not in [row["rating_id"] for row in rows]:
            once.add(key)
            rows.append(rating.to_row())
    return make_ratings_table(rows)


ODD = [Rating("A study", "=x", "-s", "emotion", "fear", session="'+1"), Rating("A study", "''@x", 'a,"b', "emotion", "anger")]


@settings(max_examples=60, deadline=None)
@example(make_ratings_table([each.to_row() for each in ODD]), csv_bytes)
@given(ratings(), st.sampled_from([csv_bytes, parquet_bytes]))
def test_any_table_comes_back_unchanged(frame, write):
    imported = read_file(write(frame), "export")
    result = convert_table(imported, guess_mapping(imported.frame).mapping, "A study")
    result.check()
    pd.testing.assert_frame_equal(result.ratings, frame, check_exact=True)


def some(**values):
    return make_ratings_table(
        [Rating("S", "r1", f"s{number}", "emotion", "fear", trial=number, **values).to_row() for number in range(3)]
    )


def test_csv_opens_in_spreadsheets_and_no_cell_computes():
    content = csv_bytes(make_ratings_table([Rating("=S", "@r", "-s", "identity", "1", session="+x").to_row()]))
    assert content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
    assert list(rows[0]) == list(RATINGS)
    assert [rows[0][name] for name in ("study", "rater", "stimulus", "session")] == ["'=S", "'@r", "'-s", "'+x"]
    assert not [cell for cell in rows[0].values() if cell[:1] in tuple("=+-@\t\r")]
    assert pd.read_csv(io.BytesIO(content)).columns[0] == "rating_id"  # pandas skips the mark


def test_numbers_stay_numbers():
    content = csv_bytes(some(reaction_time_ms=512.25))
    frame = pd.read_csv(io.BytesIO(content))
    assert frame["reaction_time_ms"].tolist() == [512.25] * 3
    assert frame["trial"].tolist() == [0, 1, 2]


def test_an_export_under_another_name_gets_identifiers_of_its_own():
    frame = some()
    imported = read_file(csv_bytes(frame), "S.csv")
    mapping = guess_mapping(imported.frame).mapping
    same, other = convert_table(imported, mapping, "S").ratings, convert_table(imported, mapping, "T")
    assert same["rating_id"].tolist() == frame["rating_id"].tolist()
    assert not set(other.ratings["rating_id"]) & set(frame["rating_id"])
    assert set(other.ratings["study"]) == {"T"}
    assert "identifiers of their own" in other.notes[0]


def test_simulated_answers_are_never_passed_over():
    study = Study("S", RatingPlan("emotion", 10))
    assert "people who took part" in describe_origin(study, some())
    assert "brought in from elsewhere" in describe_origin(Study("S", RatingPlan("emotion", 10), origin="imported"), some())
    mixed = pd.concat([some(), some(source="simulated")])
    assert describe_origin(study, mixed).startswith("**Simulated**: 3 of 6 answers")
    assert "3 of 3 answers come from models" in describe_origin(study, some(source="model"))
    described = make_croissant(study, mixed, {})
    assert "Simulated" in described["description"]
    assert "Simulated" in described["rai:dataCollection"]


def test_every_column_is_described():
    assert list(COLUMN_MEANINGS) == list(RATINGS)


@pytest.mark.filterwarnings("ignore")
def test_croissant_is_valid_and_its_answers_can_be_read(tmp_path):
    """Reference: mlcroissant 1.1.1, the reference implementation."""
    mlcroissant = pytest.importorskip("mlcroissant")
    frame = some(reaction_time_ms=600.0)
    content = parquet_bytes(frame)
    (tmp_path / "ratings.parquet").write_bytes(content)
    described = make_croissant(
        Study("A study", RatingPlan("emotion", 10)), frame, {"ratings.parquet": hashlib.sha256(content).hexdigest()}
    )
    (tmp_path / "croissant.json").write_text(json.dumps(described))
    dataset = mlcroissant.Dataset(tmp_path / "croissant.json")
    assert not dataset.metadata.ctx.issues.errors
    records = list(dataset.records("ratings"))
    assert [record["ratings/rating_id"].decode() for record in records] == frame["rating_id"].tolist()
    assert {record["ratings/reaction_time_ms"] for record in records} == {np.float64(600.0)}


def test_an_unknown_time_is_an_empty_cell_that_comes_back():
    frame = some(created_at=UNKNOWN_TIME)
    content = csv_bytes(frame)
    assert b"1970" not in content
    imported = read_file(content, "export")
    pd.testing.assert_frame_equal(convert_table(imported, guess_mapping(imported.frame).mapping, "S").ratings, frame)
