import io
import json

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.errors import LiminalError
from core.studies.importing import reading
from core.studies.importing.reading import MAX_LISTED, read_file

ROWS = "wer,bild,gefühl\nJörg,ä.png,fear\nAnna,b.png,anger\n"


@pytest.mark.parametrize(
    ("encoding", "said"),
    [
        ("utf-8", "UTF-8"),
        ("utf-8-sig", "UTF-8 with a mark at its start"),
        ("utf-16", "UTF-16"),
        ("utf-16-le", "UTF-16"),
        ("utf-16-be", "UTF-16"),
        ("cp1252", "Windows-1252"),
    ],
)
def test_the_encoding_is_found_out_and_said(encoding, said):
    imported = read_file(ROWS.encode(encoding), "table.csv")
    assert list(imported.frame.columns) == ["wer", "bild", "gefühl"]
    assert imported.frame["wer"].tolist() == ["Jörg", "Anna"]
    assert imported.notes == (f"Read as {said}, separated by commas.",)


def test_bytes_that_windows_lacks_are_latin_1():
    imported = read_file("name,n\nJ\xf6rg\x81,1\n".encode("latin-1"), "table.csv")
    assert imported.frame["name"].tolist() == ["Jörg\x81"]
    assert "Latin-1" in imported.notes[0]


@pytest.mark.parametrize(("separator", "said"), [(",", "commas"), ("\t", "tabs"), (";", "semicolons"), ("|", "bars")])
def test_the_separator_is_found_out(separator, said):
    rows = ["rater", "text", "value"], ["a", "one, two; three", "0.5"], ["b", "four", "1"]
    text = "\n".join(separator.join(f'"{cell}"' for cell in row) for row in rows)
    imported = read_file(text.encode(), "table")
    assert imported.frame["text"].tolist() == ["one, two; three", "four"]
    assert said in imported.notes[0]
    assert imported.decimal_comma == (separator == ";")


def test_an_encoding_can_be_said_and_a_wrong_one_is_told():
    assert read_file(ROWS.encode("cp1252"), "t.csv", encoding="cp1252").frame["wer"][0] == "Jörg"
    with pytest.raises(LiminalError, match=r"not written in UTF-8 \(near line \d"):
        read_file(ROWS.encode("cp1252"), "t.csv", encoding="utf-8")
    with pytest.raises(LiminalError, match="no encoding 'klingon'"):
        read_file(ROWS.encode(), "t.csv", encoding="klingon")


def test_lines_are_those_of_the_file_even_where_a_cell_spans_several():
    imported = read_file(b'a,b\n1,"two\nlines"\n\n3,4\n,\n5,6\n', "t.csv")
    assert imported.lines.tolist() == [2, 5, 7]  # the empty line and the row of empty cells are no rows
    assert imported.frame["b"].tolist() == ["two\nlines", "4", "6"]


def test_ragged_rows_are_listed_by_line_and_left_out():
    imported = read_file(b"a,b,c\n1,2,3\n1,2\n1,2,3,4\n1,2,3,\n", "t.csv")
    assert imported.lines.tolist() == [2, 5]  # one more cell that is empty does no harm
    assert [(problem.line, problem.reason[:14]) for problem in imported.problems] == [(3, "it has 2 cells"), (4, "it has 4 cells")]


def test_many_ragged_rows_are_counted_beyond_the_listed_ones():
    imported = read_file(b"a,b\n1,2\n" + b"1\n" * (MAX_LISTED + 50), "t.csv")
    assert len(imported.problems.listed) == MAX_LISTED
    assert imported.problems.more == 50
    assert imported.problems.total == MAX_LISTED + 50


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"a,b\n", "holds no answers"),
        (b"a,b\n1\n2\n", "No row .* line 2, it has 1 cells"),
        (b"a,a\n1,2\n", "two columns called 'a'"),
        (b"1,2\n3,4\n", "made of numbers"),
        (b'a,b\n1,2\n"1,2\n', "after line 2 .* quotation mark"),
        (b"a,b\n" + b"1,2\n" * 100 + b"1,\0\n", "NUL bytes"),
        (bytes(range(256)) * 4, "binary data"),
        (b"PK\x03\x04rest", "an Excel workbook"),
        (b"\x89PNG\r\n\x1a\n", "a picture"),
        (b"PAR1 and then nothing", "damaged"),
        (b'{"values": [', "cut off or damaged"),
        (b"[1, 2]", "not of trials"),
        (b'{"a": 1}', "no list of trials"),
        (b"[" * 100_000, "nested too deeply|damaged"),
        (b"a,b\n1," + b"x" * 200_000 + b"\n", "after line 1"),
    ],
)
def test_what_is_no_table_gets_one_sentence(content, sentence):
    with pytest.raises(LiminalError, match=sentence) as caught:
        read_file(content, "given.csv")
    assert "\n" not in str(caught.value)


def test_sizes_have_limits(monkeypatch, tmp_path):
    monkeypatch.setattr(reading, "MAX_ROWS", 10)
    monkeypatch.setattr(reading, "CHUNK", 5)
    with pytest.raises(LiminalError, match="more than 10 rows"):
        read_file(b"a,b\n" + b"1,2\n" * 20, "t.csv")
    with pytest.raises(LiminalError, match="more than 10 rows"):
        read_file(parquet(pd.DataFrame({"a": range(11)})), "t.parquet")
    monkeypatch.setattr(reading, "MAX_BYTES", 4)
    with pytest.raises(LiminalError, match="split it"):
        read_file(b"a,b\n1,2\n", "t.csv")
    with pytest.raises(LiminalError, match="no file"):
        read_file(tmp_path / "missing.csv")


def test_chunks_make_no_difference(monkeypatch):
    content = b"a,b\n" + b"".join(b"%d,x\n" % number for number in range(23))
    whole = read_file(content, "t.csv").frame
    monkeypatch.setattr(reading, "CHUNK", 5)
    assert read_file(content, "t.csv").frame.equals(whole)
    assert len(whole) == 23


def parquet(frame, metadata=None):
    table = pa.Table.from_pandas(frame, preserve_index=False)
    buffer = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(metadata or {}), buffer)
    return buffer.getvalue()


def test_parquet_becomes_text_that_reads_back():
    frame = pd.DataFrame(
        {
            "number": [0.1, 1e-17, None],
            "identifier": [12.0, None, 7.0],  # floats only because one is missing
            "yes": [True, False, True],
            "time": pd.to_datetime(["2026-01-02T03:04:05.000006Z"] * 3),
            "word": pd.Categorical(["a", "b", "a"]),
            "nested": [{"x": 1}, {"x": 2}, None],
        }
    )
    read_back = read_file(parquet(frame), "t.parquet").frame
    assert [float(cell) for cell in read_back["number"][:2]] == [0.1, 1e-17]
    assert read_back["identifier"].isna().tolist() == [False, True, False]
    assert read_back["identifier"][0] == "12"
    assert read_back["yes"].tolist() == ["true", "false", "true"]
    assert pd.to_datetime(read_back["time"], utc=True)[0] == frame["time"][0]
    assert read_back["word"].tolist() == ["a", "b", "a"]
    assert json.loads(read_back["nested"][1]) == {"x": 2}


def test_parquet_of_a_later_version_and_one_that_unpacks_to_too_much(monkeypatch):
    with pytest.raises(LiminalError, match="later version"):
        read_file(parquet(pd.DataFrame({"a": [1]}), {"liminal_ratings_version": "2"}), "t.parquet")
    monkeypatch.setattr(reading, "MAX_UNPACKED", 10)
    with pytest.raises(LiminalError, match="unpacks to more"):
        read_file(parquet(pd.DataFrame({"a": range(100)})), "t.parquet")


TRIALS = [
    {"trial_type": "html-keyboard-response", "trial_index": 0, "rt": None, "response": None},
    {"trial_type": "survey", "trial_index": 1, "rt": 512.5, "response": {"Q0": "yes", "deep": {"a": [1, 2]}}, "ok": True},
]


@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: {"values": x}, lambda x: {"data": {"values": x}}, lambda x: {"trials": x}])
def test_jspsych_in_its_forms(wrap):
    frame = read_file(json.dumps(wrap(TRIALS)).encode(), "data.json").frame
    assert frame["trial_index"].tolist() == ["0", "1"]
    assert frame["response.Q0"].isna().tolist() == [True, False]
    assert frame["response.deep.a"][1] == "[1, 2]"
    assert frame["rt"][1] == "512.5"
    assert frame["ok"][1] == "true"


def test_several_people_in_one_file_are_kept_apart():
    people = [TRIALS, TRIALS]
    for text in (json.dumps(people), "\n".join(json.dumps(person) for person in people)):
        frame = read_file(text.encode(), "data.json").frame
        assert frame["person in the file"].tolist() == ["1", "1", "2", "2"]
