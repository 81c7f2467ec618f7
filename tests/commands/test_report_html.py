"""``report --html`` and ``--json`` of a study: one file that needs nothing else, with every number and nobody's mark-up."""

import dataclasses
import json
import re

import pytest

from core.__main__ import main
from core.analysis.study_data import build_set_data
from core.figures import report
from core.figures.report import build_report, collect_numbers
from core.progress import Progress
from core.sampling.configuration import IdentityConfiguration
from core.sampling.emotion.configuration import EmotionConfiguration
from core.sampling.identity import generate_identity_batch
from core.studies.library import Library
from core.studies.planning import PreparedStudy, list_stimuli, make_emotion_plan, make_identity_plan
from core.studies.simulation import simulate_study
from core.studies.store import Store
from core.studies.study import Study
from tests.emotion_sets import emotion_set, unanimous
from tests.fakes import FakeRecogniser, fake_panel
from tests.figures.study_materials import identity_material

NASTY = "<script>alert('x')</script> & </style> \"quoted\""


@pytest.fixture(scope="module")
def pairs():
    recognisers = [FakeRecogniser("dlib"), FakeRecogniser("sface")]
    return generate_identity_batch(
        IdentityConfiguration(seed=7, iterations=2, sigma=0.5), 0, panel=fake_panel(recognisers[0], recognisers)
    )


@pytest.fixture
def place(tmp_path, monkeypatch, pairs):
    """A data folder with one simulated study of pairs -> (set's folder, file to write)."""
    monkeypatch.setenv("LIMINAL_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("LIMINAL_DATABASE_URL", raising=False)
    set_id = Library().add(pairs, "Pairs")
    stimuli = list_stimuli(pairs, set_id)
    made = simulate_study(
        "pilot", PreparedStudy(make_identity_plan(stimuli), tuple(stimuli), (set_id,)), {set_id: pairs}, raters=6, seed=1
    )
    store = Store()
    store.restore(made.study, made.stimuli, made.ratings, made.raters)
    store.dispose()
    return pairs.save(tmp_path / "set"), tmp_path / "report.html"


def written(page):
    """The text of a page, without scripts and styles."""
    body = re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body))


def assert_alone(page):
    """Nothing is asked of any other place. Plotly's own script names addresses that it uses for maps alone."""
    own = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert not re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?(?!#|data:)[^"')\s>]+""", own)
    assert "Content-Security-Policy" in page
    assert "default-src 'none'" in page


def test_a_study_becomes_one_file(place, capsys):
    folder, file = place
    assert main(["report", "--study", "pilot", "--html", str(file)]) == 0
    assert "opens offline" in capsys.readouterr().out
    page = file.read_text(encoding="utf-8")
    assert_alone(page)
    assert len(page) < 10e6
    text = written(page)
    assert "Simulated answers" in text
    assert "6 simulated observers gave" in text
    assert "python -m core generate identity --batches 1 --seed 7" in text
    assert "--iterations 2" in text
    assert "python -m core report --study pilot" in text
    for title in ("What was asked", "Who answered", "largest disagreements", "What this does not show", "How to repeat it"):
        assert title in text
    assert page.count("data:image/webp;base64") > 20
    figures = json.loads(re.search(r'id="figures">(.*?)</script>', page, re.DOTALL)[1])
    assert len(figures) > 15
    assert all("SIMULATED" in each["figure"]["layout"]["title"]["text"] for each in figures if "types-same" in each["id"])
    # with its folder named, the same answers
    assert main(["report", str(folder), "--study", "pilot", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["answers"] == 6 * 112 * 2
    assert told["source"] == "simulated"
    assert told["sample_set"]["tables"]
    rows = told["chapters"]["types"]["exhibits"][0]["numbers"]["rows"]
    assert {row["sample_type"] for row in rows} >= {"genuine", "negative", "all"}


def test_the_terminal_says_every_figure(place, capsys):
    assert main(["report", "--study", "pilot"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("SIMULATED ANSWERS: nobody was asked.")
    assert "Which samples pass for the same person?" in told
    assert "Krippendorff" in told


def test_a_set_alone_becomes_a_file_too(place, capsys):
    folder, file = place
    assert main(["report", str(folder), "--html", str(file)]) == 0
    text = written(file.read_text(encoding="utf-8"))
    assert "Nobody has been asked about these faces yet" in text
    assert "Simulated" not in text
    assert "python -m core report set-1" in text


def test_an_emotion_set_and_its_study(tmp_path, monkeypatch):
    monkeypatch.setenv("LIMINAL_DATA_DIR", str(tmp_path))
    configuration = EmotionConfiguration("surprise", "fear", count=12, seed=5)
    made = emotion_set([unanimous(0.5, 0.3 + 0.01 * place, True) for place in range(12)], configuration=configuration)
    library = Library(tmp_path / "sets", tmp_path / "none")
    set_id = library.add(made)
    stimuli = list_stimuli(made, set_id)
    study = simulate_study(
        "s", PreparedStudy(make_emotion_plan(stimuli), tuple(stimuli), (set_id,)), {set_id: made}, raters=8, seed=1
    )
    from core.analysis.study_data import build_study_data

    material = build_study_data(study.study, study.stimuli, study.raters, study.ratings, library, rules=None)
    page = build_report(material, library)
    assert_alone(page)
    text = written(page)
    assert "chose one of six feelings" in text
    assert "generate emotion --pair surprise fear --count 12 --seed 5" in text
    assert "Do people see both feelings?" in text
    alone = build_report(build_set_data(library, set_id, "alone"), library)
    assert "How rare are such faces?" in written(alone)


def test_names_are_text_and_never_mark_up():
    material = identity_material(raters=4, name=NASTY[:80])
    rater = material.ratings["rater"].iloc[0]
    reasons = {rater: (NASTY,)}
    plan = dataclasses.replace(material.study.plan, title=NASTY, consent=NASTY)
    study = dataclasses.replace(material.study, plan=plan, note=NASTY)
    exclusions = dataclasses.replace(material.exclusions, reasons=reasons)
    material = dataclasses.replace(material, study=study, exclusions=exclusions, notes=(NASTY,))
    page = build_report(material, Library())
    assert "<script>alert" not in page
    assert page.count("&lt;script&gt;alert") >= 3
    data = re.search(r'id="figures">(.*?)</script>', page, re.DOTALL)[1]
    assert "<" not in data


def test_json_of_a_study_that_hardly_says_anything_is_strict():
    material = identity_material(raters=1)
    told = json.dumps(collect_numbers(material), allow_nan=False)
    assert json.loads(told)["raters"] == 1


def test_a_report_can_be_stopped():
    from core.errors import Cancelled

    progress = Progress()
    progress.cancel.set()
    with pytest.raises(Cancelled):
        build_report(identity_material(raters=2), Library(), progress=progress)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "Name the folder of a sample set"),
        (["--study", "nobody's"], "nobody's"),
        (["/nowhere", "--study", "pilot"], "There is no folder"),
    ],
)
def test_what_cannot_be_reported_is_one_sentence(place, capsys, arguments, sentence):
    assert main(["report", *arguments]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("Error: ")
    assert sentence in error


def test_a_folder_is_no_file_and_another_set_is_not_the_study_s(place, capsys, tmp_path):
    assert main(["report", "--study", "pilot", "--html", str(tmp_path)]) == 2
    assert "is a folder" in capsys.readouterr().err
    another = emotion_set([unanimous(0.5, 0.4, True)] * 2).save(tmp_path / "another")
    assert main(["report", str(another), "--study", "pilot", "--html", str(tmp_path / "x.html")]) == 2
    assert "did not ask about" in capsys.readouterr().err


def test_commands_say_only_what_differs():
    usual = report.SetRecord("0" * 20, IdentityConfiguration(seed=3), {"batches": [0, 1]}, 4)
    material = identity_material(raters=2)
    assert report.list_commands(material, [usual])[0] == "python -m core generate identity --batches 2 --seed 3 --out set-1"
    changed = dataclasses.replace(
        usual, configuration=IdentityConfiguration(strategy="gradient", targets=(0.2, 0.3), semantic=True)
    )
    line = report.list_commands(material, [changed])[0]
    assert line.endswith("--seed 0 --strategy gradient --targets 0.2 0.3 --semantic --out set-1")
    assert report.list_commands(material, [])[-1] == "python -m core report --study made-up --html report.html"
    quoted = dataclasses.replace(material, study=Study("it's; rm", material.study.plan))
    assert "'it'\"'\"'s; rm'" in report.list_commands(quoted, [])[-1]
