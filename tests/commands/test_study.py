import json
import re
import zipfile

import pytest

from core.__main__ import main
from core.studies.store import Store
from core.studies.study import RatingPlan, Stimulus, Study

LONG = "subject,image,Emotion,RT (s),trial\nA,i1.png,Happy,0.61,0\nA,i2.png,sad,1.2,1\nB,i1.png,fear,0.9,0\n"
WIDE = "pair_id,base,sample,similarity,identity,n\np1,a,b,73.3,0.59,10\np2,a,c,13.3,0.02,10\n"


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """A data folder of its own, and the current folder."""
    monkeypatch.setenv("LIMINAL_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("LIMINAL_DATABASE_URL", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def long(place):
    (place / "long.csv").write_text(LONG)
    return "long.csv"


def run(capsys, *arguments):
    code = main(["study", *arguments])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def stored():
    store = Store()
    try:
        return {study.name: store.ratings(study.name) for study in store.studies()}
    finally:
        store.dispose()


def test_import_says_what_it_took_the_columns_for_and_twice_is_once(long, capsys):
    code, out, err = run(capsys, "import", long, "--study", "Mine")
    assert (code, err) == (0, "")
    assert "taken as seconds" in out
    assert "Made the study 'Mine': 3 answers to 2 stimuli." in out
    assert stored()["Mine"]["reaction_time_ms"].tolist() == [610.0, 1200.0, 900.0]
    code, out, _ = run(capsys, "import", long, "--study", "Mine")
    assert "Added 0 answers to the study 'Mine'; 3 were there already." in out
    assert len(stored()["Mine"]) == 3


def test_a_dry_run_keeps_nothing(long, capsys):
    code, out, _ = run(capsys, "import", long, "--study", "Mine", "--dry-run")
    assert code == 0
    assert "3 answers can be taken, 0 rows cannot" in out
    assert stored() == {}


def test_bad_rows_are_listed_and_nothing_is_imported_unless_asked(place, capsys):
    (place / "bad.csv").write_text(LONG + "C,i1.png,bored,0.5,0\nC,i2.png,fear,-3,1\n")
    code, out, err = run(capsys, "import", "bad.csv", "--study", "Mine")
    assert code == 2
    assert "line 5: 'bored' is no answer" in out
    assert "line 6: '-3' is no reaction time" in out
    assert err.startswith("Error: 2 of 5 rows cannot be taken (first: line 5")
    assert err.count("\n") == 1
    assert stored() == {}
    code, out, _ = run(capsys, "import", "bad.csv", "--study", "Mine", "--leave-out")
    assert code == 0
    assert len(stored()["Mine"]) == 3


def test_a_mapping_is_written_changed_and_given_back(place, capsys):
    (place / "digits.csv").write_text("subject_id,stimulus,stimulus_id,response,is_train\n1,a.png,0,3,True\n2,b.png,1,8,False\n")
    code, _, err = run(capsys, "import", "digits.csv", "--study", "D", "--preset", "varimnist")
    assert code == 2
    assert "which are no emotions" in err
    assert run(capsys, "import", "digits.csv", "--write-map", "map.json")[0] == 0
    mapping = json.loads((place / "map.json").read_text())
    mapping["fields"]["emotion"]["values"] = {"3": "fear", "8": "anger"}
    (place / "map.json").write_text(json.dumps(mapping))
    assert run(capsys, "import", "digits.csv", "--study", "D", "--map", "map.json")[0] == 0
    assert stored()["D"]["value"].tolist() == ["fear", "anger"]


def test_means_are_kept_as_published(place, capsys):
    (place / "wide.csv").write_text(WIDE)
    code, out, _ = run(capsys, "import", "wide.csv", "--study", "Paper A")
    assert code == 0
    assert "no single answers are made up" in out
    assert "published means of 2 pairs" in out
    assert stored()["Paper A"].empty
    assert "means need one of their own" in run(capsys, "import", "wide.csv", "--study", "Paper A")[2]
    _, out, _ = run(capsys, "list")
    assert out == "Paper A  (identity, published, closed): 0 answers of 0 raters to 2 stimuli\n"


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_what_is_exported_comes_back(long, place, capsys, ending):
    run(capsys, "import", long, "--study", "Mine")
    before = stored()["Mine"]
    code, out, _ = run(capsys, "export", "Mine", "--out", f"out.{ending}")
    assert (code, out) == (0, f"Wrote out.{ending}: 3 answers.\n")
    run(capsys, "delete", "Mine", "--yes")
    assert run(capsys, "import", f"out.{ending}", "--study", "Mine")[0] == 0
    assert stored()["Mine"].equals(before)


def test_a_bundle_comes_back_and_a_folder_gets_all_three(long, place, capsys):
    run(capsys, "import", long, "--study", "Mine & others")
    before = stored()["Mine & others"]
    assert run(capsys, "export", "Mine & others", "--out", "out")[0] == 0
    assert sorted(path.name for path in (place / "out").iterdir()) == [f"Mine---others.{end}" for end in ("csv", "parquet", "zip")]
    bundle = "out/Mine---others.zip"
    assert "ratings.parquet" in zipfile.ZipFile(bundle).namelist()
    assert "already" in run(capsys, "import", bundle)[2]
    run(capsys, "delete", "Mine & others", "--yes")
    assert run(capsys, "import", bundle)[:2] == (0, "Imported the study 'Mine & others' with everything that belongs to it.\n")
    assert stored()["Mine & others"].equals(before)
    assert run(capsys, "import", bundle, "--study", "Copy")[0] == 0
    assert len(stored()["Copy"]) == 3


def test_forgetting_a_person_leaves_a_record(long, capsys):
    run(capsys, "import", long, "--study", "Mine")
    code, out, _ = run(capsys, "forget", "Mine", "--rater", "A", "--reason", "asked for it")
    assert (code, out) == (0, "Deleted one person's data from 'Mine': 2 answers; a record says so without the name.\n")
    assert set(stored()["Mine"]["rater"]) == {"B"}
    store = Store()
    (deletion,) = store.deletions("Mine")
    store.dispose()
    assert (deletion.answers, deletion.reason) == (2, "asked for it")
    assert run(capsys, "forget", "Mine", "--rater", "A")[0] == 2


def test_deleting_wants_to_be_meant(long, capsys):
    run(capsys, "import", long, "--study", "Mine")
    code, _, err = run(capsys, "delete", "Mine")
    assert (code, "deletes 3 answers for good" in err) == (2, True)
    assert len(stored()["Mine"]) == 3
    assert run(capsys, "delete", "Mine", "--yes")[0] == 0
    assert stored() == {}


def test_list_as_json(long, capsys):
    run(capsys, "import", long, "--study", "Mine")
    (row,) = json.loads(run(capsys, "list", "--json")[1])
    assert (row["name"], row["kind"], row["raters"], row["answers"], row["stimuli"]) == ("Mine", "emotion", 2, 3, 2)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["import", "missing.csv", "--study", "X"], "no file missing.csv"),
        (["import", "long.csv"], "--study NAME"),
        (["import", "long.csv", "--study", "X", "--preset", "liminal"], "not those of the preset 'liminal'"),
        (["import", "long.csv", "--study", "X", "--preset", "other"], "invalid choice"),
        (["import", "long.csv", "--study", "X", "--map", "long.csv"], "cannot be read as JSON"),
        (["import", "long.csv", "--study", "X", "--encoding", "utf-16"], "not written in UTF-16|no answers"),
        (["import", "long.csv", "--study", " "], "needs a name"),
        (["export", "Nothing", "--out", "out.csv"], "no study 'Nothing'"),
        (["export", "Nothing"], "--out"),
        (["delete", "Nothing", "--yes"], "no study 'Nothing'"),
        (["forget", "Nothing", "--rater", "A"], "no study 'Nothing'"),
        (["dance"], "invalid choice"),
        ([], "required"),
    ],
)
def test_what_goes_wrong_is_one_line(long, capsys, arguments, sentence):
    code, _, err = run(capsys, *arguments)
    assert code == 2
    assert err.startswith("Error: ")
    assert err.count("\n") == 1
    assert re.search(sentence, err), err


def test_an_ending_without_a_meaning_is_told(long, capsys):
    run(capsys, "import", long, "--study", "Mine")
    assert "ending of out.xlsx" in run(capsys, "export", "Mine", "--out", "out.xlsx")[2]
    assert run(capsys, "export", "Mine", "--out", "long.csv/x.csv")[0] == 2


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_one_table_has_a_dictionary_and_an_r_script_beside_it(long, place, capsys, ending):
    run(capsys, "import", long, "--study", "Mine")
    code, out, err = run(capsys, "export", "Mine", "--table", f"out/answers.{ending}")
    assert (code, err) == (0, "")
    assert out.startswith(f"Wrote out/answers.{ending}: 3 answers; out/answers_dictionary.csv says what each column is.\n")
    assert sorted(path.name for path in (place / "out").iterdir()) == ["answers.R", f"answers.{ending}", "answers_dictionary.csv"]
    if ending == "csv":
        assert "1970" not in (place / "out" / "answers.csv").read_text()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--table", "answers.xlsx"], "The ending of answers.xlsx says no form of a table; use .csv or .parquet."),
        (["--table", "."], "says no form of a table"),
        (["--table", "long.csv/answers.csv"], "long.csv/answers.csv cannot be written"),
        (["--table"], "Argument --table: expected one argument"),
        ([], "Say where the answers go"),
    ],
)
def test_a_table_that_cannot_be_written_is_one_sentence(long, place, capsys, options, said):
    run(capsys, "import", long, "--study", "Mine")
    code, out, err = run(capsys, "export", "Mine", *options)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err
    assert [path.name for path in place.iterdir() if path.name not in ("data", "long.csv")] == []


def test_rows_that_fail_alike_are_told_once_with_what_to_do(long, place, capsys):
    run(capsys, "import", long, "--study", "Mine")
    other = "".join(f"A,x{number}.png,happy,0.6,{number}\n" for number in range(200))
    (place / "other.csv").write_text(LONG.splitlines()[0] + "\n" + other)
    code, out, err = run(capsys, "import", "other.csv", "--study", "Mine")
    assert code == 2
    assert "line 2: the study asks about no picture 'x0.png'" in out
    assert out.count("the study asks about no picture") == 3
    assert "... and 197 more lines like this, to line 201\n" in out
    assert "'Mine' is there already and takes answers about its own pictures alone: name the study" in out
    assert "--write-map FILE.json writes what they were taken for; change it and give it back with --map FILE.json." in out
    assert err.count("\n") == 1


def test_a_column_of_yes_and_no_names_nobody(place, capsys):
    (place / "german.csv").write_text("Bild;gleiche Person\np1;ja\np2;nein\np3;ja\n", encoding="utf-8")
    out = run(capsys, "import", "german.csv", "--study", "Deutsch", "--dry-run")[1]
    taken = [line.split()[:3] for line in out.splitlines() if line.startswith("  ")]
    assert not any(line[0] == "rater" and "Person" in line[1:] for line in taken)
    assert any(line[:3] == ["identity", "gleiche", "Person"] for line in taken)


def test_a_table_that_cannot_be_guessed_names_the_way_to_say_it(place, capsys):
    (place / "odd.csv").write_text("a,b\n1,2\n3,4\n")
    code, _, err = run(capsys, "import", "odd.csv", "--study", "Odd")
    assert code == 2
    assert "--write-map FILE.json" in err
    assert err.count("\n") == 1


def test_a_wrong_name_lists_those_there_are(long, capsys):
    code, _, err = run(capsys, "export", "Nothing", "--out", "x.csv")
    assert (code, err) == (2, "Error: There is no study 'Nothing', nor any other; 'python -m core study make' makes one.\n")
    for number in range(7):
        run(capsys, "import", long, "--study", f"S{number}")
    for arguments in (["study", "export", "x", "--out", "x.csv"], ["report", "--study", "x"], ["study", "settings", "x"]):
        assert main(arguments) == 2
        assert capsys.readouterr().err == "Error: There is no study 'x'; there are 'S6', 'S5', 'S4', 'S3', 'S2' and 2 more.\n"


@pytest.mark.parametrize("kind", ["emotion", "identity"])
def test_the_report_says_that_nobody_has_answered(place, capsys, kind):
    store = Store()
    store.create(Study("Empty", RatingPlan(kind, 1)), [Stimulus("s1", ("i1", "i2")[: 1 + (kind == "identity")])])
    store.dispose()
    assert main(["report", "--study", "Empty"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[:2] == [
        f"'Empty': 1 {'pair' if kind == 'identity' else 'face'}",
        "Nobody has answered yet: what follows is what models say.",
    ]
