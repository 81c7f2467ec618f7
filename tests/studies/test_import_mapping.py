import json
import uuid

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import LiminalError
from core.studies import ratings
from core.studies.importing import conversion
from core.studies.importing.conversion import convert_table, derive_identifiers
from core.studies.importing.guessing import PRESETS, find_preset, guess_mapping
from core.studies.importing.mapping import ColumnMapping, MappedField, parse_times
from core.studies.importing.published import published_means
from core.studies.importing.reading import MAX_LISTED, read_file
from core.studies.ratings import RATINGS, UNKNOWN_TIME

LONG = """subject,image,Emotion,RT (s),trial,sentinel,timestamp
A,i1.png,Happy,0.61,0,no,2026-01-01T10:00:00+02:00
A,i2.png,sad,1.2,1,yes,2026-01-01T10:00:05+02:00
B,i1.png,FEAR,,0,no,2026-01-02T10:00:00Z
"""
WIDE = """pair_id;base;sample;type;similarity;identity;dlib;lpips;n
p1;a;b;positive;73,3;0,59;0,42;0,37;10
p2;a;c;negative;13,3;0;0,72;;10
"""
BASIC = {"rater": MappedField("rater"), "stimulus": MappedField("image"), "emotion": MappedField("emotion")}


def converted(text, mapping=None, **options):
    imported = read_file(text.encode(), "table.csv")
    return convert_table(imported, mapping or guess_mapping(imported.frame).mapping, "study", **options)


def reasons(result):
    return [(problem.line, problem.reason) for problem in result.problems]


def test_a_table_like_paper_b_is_understood_without_help():
    result = converted(LONG)
    assert not result.problems.total
    assert result.kind == "emotion"
    assert dict(result.ratings.dtypes.astype(str)) == dict(RATINGS)
    rows = result.ratings
    assert rows[["rater", "stimulus", "value", "trial", "is_sentinel"]].values.tolist() == [
        ["A", "i1.png", "happiness", 0, False],
        ["A", "i2.png", "sadness", 1, True],
        ["B", "i1.png", "fear", 0, False],
    ]
    assert rows["reaction_time_ms"][:2].tolist() == [610.0, 1200.0]
    assert np.isnan(rows["reaction_time_ms"][2])
    assert rows["created_at"][0] == pd.Timestamp("2026-01-01T08:00:00Z")
    assert [(each.stimulus, each.is_sentinel) for each in result.stimuli] == [("i1.png", False), ("i2.png", True)]


def test_the_same_file_gives_the_same_identifiers_and_another_study_others():
    first, second = converted(LONG), converted(LONG)
    assert first.ratings.equals(second.ratings)
    imported = read_file(LONG.encode(), "table.csv")
    other = convert_table(imported, guess_mapping(imported.frame).mapping, "other").ratings
    changed = converted(LONG.replace("0.61", "0.62")).ratings
    assert not set(first.ratings["rating_id"]) & (set(other["rating_id"]) | set(changed["rating_id"]))
    assert all(str(uuid.UUID(name)) == name for name in first.ratings["rating_id"])


@settings(deadline=None)
@given(st.uuids(), st.lists(st.text(max_size=5), max_size=5))
def test_many_identifiers_at_once_are_those_of_the_standard_library(space, names):
    names = [name.encode("utf-8", "ignore").decode() for name in names]
    assert derive_identifiers(space, names).tolist() == [str(uuid.uuid5(space, name)) for name in names]


def test_a_row_may_hold_two_answers():
    result = converted("rater,pair,similarity,same\nx,p1,3,yes\nx,p2,7,no\ny,p1,,no\ny,p2,1,no\n")
    assert result.kind == "identity"
    assert result.ratings[["rater", "stimulus", "task", "value", "trial"]].values.tolist() == [
        ["x", "p1", "similarity", "33.3333", 0],  # 1 to 7
        ["x", "p1", "identity", "1", 0],
        ["x", "p2", "similarity", "100", 1],
        ["x", "p2", "identity", "0", 1],
        ["y", "p1", "identity", "0", 0],  # nothing was said about similarity
        ["y", "p2", "similarity", "0", 1],
        ["y", "p2", "identity", "0", 1],
    ]


def test_every_bad_row_is_listed_with_its_line_and_its_reason():
    text = """rater,image,emotion,rt,trial,sentinel,created_at,id
A,i1,fear,500,0,no,2026-01-01,6f9619ff-8b86-4011-b42d-00c04fc964ff
A,i2,bored,500,1,no,2026-01-01,6f9619ff-8b86-4011-b42d-00c04fc964f1
,i3,fear,500,2,no,2026-01-01,6f9619ff-8b86-4011-b42d-00c04fc964f2
A,i4,fear,-1,3,no,2026-01-01,6f9619ff-8b86-4011-b42d-00c04fc964f3
A,i5,fear,soon,4,no,2026-01-01,6f9619ff-8b86-4011-b42d-00c04fc964f4
A,i6,fear,500,5.5,no,2026-01-01,6f9619ff-8b86-4011-b42d-00c04fc964f5
A,i7,fear,500,6,maybe,2026-01-01,6f9619ff-8b86-4011-b42d-00c04fc964f6
A,i8,fear,500,7,no,yesterday,6f9619ff-8b86-4011-b42d-00c04fc964f7
A,i9,fear,500,8,no,2026-01-01,not an id
A,i10,fear,500,9,no,2026-01-01,6f9619ff-8b86-4011-b42d-00c04fc964ff
A,i1,anger,500,0,no,2026-01-01,6f9619ff-8b86-4011-b42d-00c04fc964f8
A,,anger,500,11,no,2026-01-01,6f9619ff-8b86-4011-b42d-00c04fc964f9
A,i12,,500,12,no,2026-01-01,6f9619ff-8b86-4011-b42d-00c04fc964fa
A,i13,fear
A,i14,fear,NaN,14,no,,6f9619ff-8b86-4011-b42d-00c04fc964fb
"""
    fields = {
        **BASIC,
        "reaction_time_ms": MappedField("rt"),
        "trial": MappedField("trial"),
        "is_sentinel": MappedField("sentinel"),
        "created_at": MappedField("created_at"),
        "rating_id": MappedField("id"),
    }
    result = converted(text, ColumnMapping(fields))
    expected = {
        3: "'bored' is no answer",
        4: "names nobody",
        5: "'-1' is no reaction time",
        6: "'soon' is no reaction time",
        7: "'5.5' is no place",
        8: "'maybe' is neither yes nor no",
        9: "'yesterday' is no time",
        10: "'not an id' is no UUID",
        11: "the identifier that line 2 holds",
        12: "same person to the same picture that line 2 holds",
        13: "names no picture",
        14: "there is no answer",
        15: "it has 3 cells",
    }
    assert [line for line, _ in reasons(result)] == list(expected)
    for line, reason in reasons(result):
        assert expected[line] in reason, line
    assert result.rows == 15
    assert result.ratings["stimulus"].tolist() == ["i1", "i14"]
    assert np.isnan(result.ratings["reaction_time_ms"][1])  # missing is no fault
    assert result.ratings["created_at"][1] == pd.Timestamp(UNKNOWN_TIME)
    with pytest.raises(LiminalError, match=r"13 of 15 rows .*line 3.*nothing was imported"):
        result.check()


def test_a_row_with_one_bad_answer_of_two_is_left_out_whole():
    result = converted(
        "rater,pair,similarity,same\nx,p1,30,yes\nx,p2,700,no\n",
        ColumnMapping(
            {
                "rater": MappedField("rater"),
                "stimulus": MappedField("pair"),
                "similarity": MappedField("similarity"),
                "identity": MappedField("same"),
            }
        ),
    )
    assert result.problems.total == 1
    assert set(result.ratings["stimulus"]) == {"p1"}


def test_the_list_has_an_end():
    text = "rater,image,emotion\nA,i,fear\n" + "".join(f"A,i{number},bored\n" for number in range(MAX_LISTED + 30))
    result = converted(text)
    assert (len(result.problems.listed), result.problems.total, result.problems.more) == (MAX_LISTED, MAX_LISTED + 30, 30)


def test_repeats_count_only_where_trials_tell_them_apart():
    rows = "rater,image,emotion{}\nA,i1,fear{}\nA,i1,anger{}\n"
    assert converted(rows.format("", "", "")).problems.total == 1
    assert converted(rows.format(",trial", ",0", ",7")).problems.total == 0


@pytest.mark.parametrize(
    ("scale", "given", "expected"),
    [((1, 7), "4", "50"), ((0, 1), "0.25", "25"), ((7, 1), "1", "100"), (None, "42.5", "42.5")],
)
def test_similarity_is_brought_to_its_scale(scale, given, expected):
    mapping = ColumnMapping({"rater": MappedField("r"), "stimulus": MappedField("s"), "similarity": MappedField("v", scale=scale)})
    assert converted(f"r,s,v\na,b,{given}\n", mapping).ratings["value"].tolist() == [expected]


def test_values_are_translated_without_regard_to_case():
    mapping = ColumnMapping(
        {**BASIC, "emotion": MappedField("emotion", values={"J": "happiness", "f": "fear"}), "session": MappedField(constant="1")}
    )
    result = converted("rater,image,emotion\nA,i1,j\nA,i2,F\n", mapping)
    assert result.ratings["value"].tolist() == ["happiness", "fear"]
    assert set(result.ratings["session"]) == {"1"}


def test_digits_are_no_emotions_unless_somebody_says_so():
    text = "subject_id,stimulus,stimulus_id,response,is_train\n1,dataset/a.png,0,3,True\n2,dataset/b.png,1,8,False\n"
    imported = read_file(text.encode(), "df_DigitRecog.csv")
    guessed = guess_mapping(imported.frame)
    assert guessed.preset == "varimnist"
    with pytest.raises(LiminalError, match=r"numbers \(3, 8\), which are no emotions"):
        convert_table(imported, guessed.mapping, "digits")
    values = {"3": "fear", "8": "anger"}
    mapping = ColumnMapping({**guessed.mapping.fields, "emotion": MappedField("response", values=values)})
    assert convert_table(imported, mapping, "digits").ratings["value"].tolist() == ["fear", "anger"]


def test_means_become_published_pairs_and_no_answers():
    imported = read_file(WIDE.encode(), "wide.csv")
    guessed = guess_mapping(imported.frame)
    assert (guessed.preset, guessed.mapping.layout) == ("paper-a", "wide")
    result = convert_table(imported, guessed.mapping, "paper A")
    assert result.published
    assert result.kind == "identity"
    assert result.ratings.empty
    assert [each.images for each in result.stimuli] == [("a", "b"), ("a", "c")]
    shown = published_means(result.stimuli)
    assert shown[["stimulus", "sample_type", "similarity", "identity", "people", "dlib"]].values.tolist() == [
        ["p1", "positive", 73.3, 0.59, 10.0, 0.42],
        ["p2", "negative", 13.3, 0.0, 10.0, 0.72],
    ]
    assert np.isnan(shown["lpips"][1])
    json.dumps([dict(each.details) for each in result.stimuli], allow_nan=False)


def test_a_wide_table_lists_its_bad_rows_too():
    result = converted("pair,similarity,identity,n\np1,50,0.5,10\np2,500,0.5,10\np1,50,0.5,10\np3,x,0.5,10\np4,,,10\n,50,0.5,10\n")
    assert [problem.line for problem in result.problems] == [3, 4, 5, 6, 7]
    assert [each.stimulus for each in result.stimuli] == ["p1"]


def test_shares_in_per_cent():
    result = converted("pair,identity,n\np1,59 %,10\np2,0%,10\n")
    assert published_means(result.stimuli)["identity"].tolist() == [0.59, 0.0]


def test_jspsych_rows_that_are_no_answers_are_passed_over():
    trials = []
    for number, (picture, answer) in enumerate([("a", "fear"), ("b", "anger")]):
        trials.append({"trial_type": "html", "trial_index": 3 * number, "task": "cross", "stimulus": "+", "rt": None})
        trials.append(
            {
                "trial_type": "html",
                "trial_index": 3 * number + 1,
                "task": "answer",
                "stimulus": f"<p><img src='images/{picture}.png'></p>",
                "rt": 600 + number,
                "response": answer,
            }
        )
    imported = read_file(json.dumps(trials).encode(), "P07.json")
    guessed = guess_mapping(imported.frame)
    assert guessed.preset == "jspsych"
    rows = convert_table(imported, guessed.mapping, "js", pictures=["a"]).ratings
    assert rows[["rater", "stimulus", "trial", "value", "reaction_time_ms"]].values.tolist() == [
        ["P07", "a", 1, "fear", 600.0],  # a name that is known stands for its path
        ["P07", "images/b.png", 4, "anger", 601.0],
    ]


def test_pieces_make_no_difference(monkeypatch):
    text = "rater,pair,similarity,same,date\n"
    for number in range(40):
        text += (
            f"r{number % 3},p{number},{number % 101},{'no' if number % 2 else 'yes'},0{1 + number % 9}/{10 + number // 5}/2026\n"
        )
    whole = converted(text + "r1,p1,5,no,01/01/2026\n,p1,5,no,01/01/2026\n")
    monkeypatch.setattr(conversion, "CHUNK", 7)
    pieces = converted(text + "r1,p1,5,no,01/01/2026\n,p1,5,no,01/01/2026\n")
    assert pieces.ratings.equals(whole.ratings)
    assert reasons(pieces) == reasons(whole)
    assert [line for line, _ in reasons(whole)] == [42, 43]
    assert len(whole.ratings) == 80


def test_a_study_that_exists_takes_only_its_own_pictures_and_questions():
    result = converted("rater,image,emotion\nA,images/i1.png,fear\nA,i2,fear\n", ColumnMapping(BASIC), stimuli=["i1"])
    assert result.ratings["stimulus"].tolist() == ["i1"]
    assert reasons(result) == [(3, "the study asks about no picture 'i2'")]
    with pytest.raises(LiminalError, match="about emotion, but the study asks about identity"):
        converted("rater,image,emotion\nA,i1,fear\n", ColumnMapping(BASIC), kind="identity")


@pytest.mark.parametrize(
    ("cells", "expected", "note"),
    [
        (["2026-11-22T10:00:00Z", "2026-11-22"], ["2026-11-22T10:00Z", "2026-11-22T00:00Z"], ""),
        (["2026-11-22 10:00:00", ""], ["2026-11-22T10:00Z", None], "no time zone"),
        (["1764000000", "1764000001"], ["2025-11-24T16:00Z", "2025-11-24T16:00:01Z"], "seconds since 1970"),
        (["1764000000000"], ["2025-11-24T16:00Z"], "milliseconds since 1970"),
        (["22.11.2026 10:00", "03.04.2026"], ["2026-11-22T10:00Z", "2026-04-03T00:00Z"], "day first"),
        (["11/22/2026 10:00:07", "03/04/2026"], ["2026-11-22T10:00:07Z", "2026-03-04T00:00Z"], "month first"),
        (["22/11/2026", "03/04/2026"], ["2026-11-22T00:00Z", "2026-04-03T00:00Z"], "day first"),
    ],
)
def test_times_in_several_forms(cells, expected, note):
    values, wrong, said = parse_times(pd.Series(cells, dtype="str"))
    assert not wrong.any()
    assert values.tolist() == [pd.Timestamp(each) if each else pd.NaT for each in expected]
    assert note in said


@pytest.mark.parametrize("cells", [["03/04/2026", "05/06/2026"], ["13/13/2026"], ["soon"]])
def test_times_that_could_mean_two_things_are_asked_about(cells):
    _, wrong, _ = parse_times(pd.Series(cells, dtype="str"))
    assert wrong.all()


def test_a_mapping_goes_to_json_and_back():
    mapping = ColumnMapping(
        {
            "rater": MappedField("who"),
            "stimulus": MappedField("s"),
            "similarity": MappedField("v", scale=(1, 7)),
            "source": MappedField(constant="human"),
            "emotion": MappedField("e", values={"j": "happiness"}),
            "reaction_time_ms": MappedField("rt", unit="s"),
        },
        only={"task": ("a", "b")},
        kept=("x",),
    )
    assert ColumnMapping.from_dict(json.loads(json.dumps(mapping.to_dict()))) == mapping
    assert ColumnMapping.from_dict({"fields": {"rater": "who"}}) == ColumnMapping({"rater": MappedField("who")})


@pytest.mark.parametrize(
    "record",
    [
        None,
        [],
        {},
        {"fields": {"nonsense": "a"}},
        {"fields": {"rater": {"column": "a", "constant": "b"}}},
        {"fields": {"rater": {}}},
        {"fields": {"rater": 3}},
        {"fields": {"rater": {"colum": "a"}}},
        {"fields": {"similarity": {"column": "a", "scale": [1]}}},
        {"fields": {"similarity": {"column": "a", "scale": [1, 1]}}},
        {"fields": {}, "layout": "round"},
        {"fields": {}, "more": 1},
    ],
)
def test_what_is_no_mapping_gets_one_sentence(record):
    with pytest.raises(LiminalError):
        ColumnMapping.from_dict(record)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"rater": MappedField("nobody")}, "no column 'nobody'"),
        ({"rater": MappedField("rater"), "stimulus": MappedField("image")}, "hold the answers"),
        ({"rater": MappedField("rater"), "emotion": MappedField("emotion")}, "which picture"),
        ({"stimulus": MappedField("image"), "emotion": MappedField("emotion")}, "who answered"),
        ({**BASIC, "value": MappedField("emotion")}, "similarity, identity or emotion"),
    ],
)
def test_a_mapping_that_does_not_do_is_told(fields, sentence):
    with pytest.raises(LiminalError, match=sentence):
        converted("rater,image,emotion\nA,i,fear\n", ColumnMapping(fields))


def test_no_answer_at_all_is_one_sentence():
    with pytest.raises(LiminalError, match="No answer can be taken: 'bored'"):
        converted("rater,image,emotion\nA,i,bored\n", ColumnMapping(BASIC))
    with pytest.raises(LiminalError, match="No row of the file holds an answer"):
        converted("rater,image,emotion\nA,i,fear\n", ColumnMapping(BASIC, only={"image": ("none",)}))


def test_every_guess_says_why_and_what_is_unclear_is_left_out():
    frame = read_file(b"participant_id,stim_file,expression shown,q7\nA,i1.png,angry,1\nB,i1.png,sad,2\n", "t.csv").frame
    guessed = guess_mapping(frame)
    assert {each.target: each.column for each in guessed.fields} == {
        "rater": "participant_id",
        "stimulus": "stim_file",
        "emotion": "expression shown",
    }
    assert all(0 < each.confidence <= 1 and each.reason for each in guessed.fields)
    assert guess_mapping(pd.DataFrame({"a": ["x"], "b": ["y"]}, dtype="str")).mapping.fields == {}


def test_presets_refuse_tables_of_another_form():
    for name in PRESETS:
        with pytest.raises(LiminalError, match=f"preset '{name}'"):
            find_preset(name).apply(["a", "b"])
    with pytest.raises(LiminalError, match="no preset 'x'"):
        find_preset("x")


def test_an_answer_that_many_rows_give_is_looked_at_once(monkeypatch):
    calls = []
    checked = ratings.check_value
    monkeypatch.setattr(conversion, "check_value", lambda task, value: calls.append(value) or checked(task, value))
    text = "rater,image,emotion\n" + "".join(f"A,i{number},fear\n" for number in range(5000))
    assert len(converted(text).ratings) == 5000
    assert len(calls) == 1
