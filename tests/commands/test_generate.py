import argparse
import importlib

import pytest

from core.__main__ import COMMANDS, main
from core.commands import generate as command
from core.sampling import identity, sample_set
from core.sampling.datasets.plan import parse_plan
from core.sampling.identity import IdentityPanel
from core.sampling.sample_set import SampleSet
from tests.fakes import fake_panel

QUICK = ["--seed", "7", "--iterations", "2", "--sigma", "0.5"]


@pytest.fixture(autouse=True)
def fake_models(monkeypatch):
    monkeypatch.setattr(IdentityPanel, "load", classmethod(lambda cls, configuration: fake_panel()))


def generate(out, *more):
    return main(["generate", "identity", *QUICK, "--out", str(out), *more])


def failed_with_one_line(capsys, *words):
    errors = [line for line in capsys.readouterr().err.splitlines() if not line[:3].strip().isdigit()]  # not progress
    assert len(errors) == 1
    assert "Traceback" not in errors[0]
    for word in words:
        assert word in errors[0]


def test_a_set_is_made_and_summed_up(tmp_path, capsys):
    assert generate(tmp_path / "set", "--batches", "2") == 0
    made = SampleSet.load(tmp_path / "set")
    assert len(made.pairs) == 224
    printed = capsys.readouterr()
    assert "224 pairs of 8 bases" in printed.out
    assert "optimized         72" in printed.out
    assert "evaluations" in printed.out
    assert "100 %" in printed.err
    assert "\r" not in printed.err  # no terminal: whole lines


def test_every_option_reaches_the_configuration(tmp_path):
    options = {
        "strategy": "gradient",
        "judges": ["sface"],
        "positive_steps": [0.1, 0.3],
        "interpolation_steps": [0.5],
        "targets": [0.2, 0.6],
        "bases_per_batch": 2,
        "positive_directions": 1,
        "iterations": 3,
        "population": 9,
        "face_checks": 4,
        "faces_needed": 2,
        "base_draws": 50,
        "sigma": 0.7,
        "learning_rate": 0.2,
        "plausibility": 0.5,
        "face_step": 0.1,
    }
    words = []
    for name, value in options.items():
        values = value if isinstance(value, list) else [value]
        words += ["--" + name.replace("_", "-"), *map(str, values)]
    assert main(["generate", "identity", "--out", str(tmp_path / "set"), *words]) == 0
    made = SampleSet.load(tmp_path / "set")
    for name, value in options.items():
        found = getattr(made.configuration, name)
        assert (list(found) if isinstance(found, tuple) else found) == value
    assert len(made.pairs) == 2 * (1 + 2 + 1 * (1 + 1 + 2))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--generator", "head"], "surrogate"),
        (["--generator", "head", "--strategy", "cmaes"], "cmaes"),
        (["--generator", "dcgan-sharp"], "cmaes"),
    ],
)
def test_who_names_no_search_gets_the_fastest_that_there_is(arguments, expected):
    parser = argparse.ArgumentParser()
    command.add_identity_arguments(parser)
    assert command.configure_identity(parser.parse_args(["--out", "out", *arguments])).strategy == expected
    plan = dict(zip((word[2:] for word in arguments[::2]), arguments[1::2], strict=True))
    identity = {"batches": 1, **({"strategy": plan.pop("strategy")} if "strategy" in plan else {})}
    assert parse_plan({**plan, "identity": identity}).identity.configuration.strategy == expected


def test_the_same_seed_writes_the_same_files(tmp_path):
    generate(tmp_path / "one")
    generate(tmp_path / "two")
    for path in (tmp_path / "one").rglob("*"):
        if path.is_file() and path.name != "manifest.json":  # which holds seconds
            assert (tmp_path / "two" / path.relative_to(tmp_path / "one")).read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--batches", "0"], "at least 1"),
        (["--sigma", "-1"], "sigma"),
        (["--sigma", "nan"], "--sigma must be"),
        (["--bases-per-batch", "0"], "--bases-per-batch must be a whole number"),
        (["--batches", "many"], "--batches"),
        (["--generator", "stylegan9"], "stylegan9"),
        (["--recogniser", "mother"], "mother"),
        (["--judges", "mother"], "mother"),
        (["--strategy", "guess"], "guess"),
        (["--nonsense"], "--nonsense"),
    ],
)
def test_absurd_arguments_get_one_line(tmp_path, capsys, arguments, word):
    assert generate(tmp_path / "set", *arguments) == 2
    failed_with_one_line(capsys, word)
    assert list(tmp_path.iterdir()) == []


def test_missing_arguments_get_one_line(capsys):
    assert main(["generate", "emotion", "--pair", "fear", "anger"]) == 2
    failed_with_one_line(capsys, "--out")
    assert main(["generate", "identity"]) == 2
    failed_with_one_line(capsys, "--out")
    assert main(["generate"]) == 2
    failed_with_one_line(capsys)
    assert main(["dance"]) == 2
    failed_with_one_line(capsys, "dance", "report")


def test_an_occupied_folder_is_refused_before_any_work(tmp_path, capsys, monkeypatch):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "precious.txt").write_text("mine")
    monkeypatch.setattr(identity, "generate_identity_set", lambda *_, **__: pytest.fail("worked in vain"))
    assert generate(tmp_path / "set") == 2
    failed_with_one_line(capsys, "holds files already")
    assert (tmp_path / "set" / "precious.txt").read_text() == "mine"


@pytest.mark.parametrize("place", ["search", "saving"])
def test_ctrl_c_leaves_nothing(tmp_path, capsys, monkeypatch, place):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(*((identity, "search_descriptor") if place == "search" else (sample_set, "encode_png")), interrupt)
    assert generate(tmp_path / "set") == 130
    failed_with_one_line(capsys, "Ctrl-C")
    assert list(tmp_path.iterdir()) == []


def test_all_commands_exist_and_explain_themselves(capsys):
    assert main([]) == 2
    assert main(["--help"]) == 0
    overview = capsys.readouterr().out
    for name in COMMANDS:
        assert name in overview
        module = importlib.import_module(f"core.commands.{name}")
        assert callable(module.run)
        with pytest.raises(SystemExit) as stopped:
            main([name, "--help"])
        assert stopped.value.code == 0


class Terminal:
    """A stream that says it is a terminal."""

    def __init__(self):
        self.written = ""

    def isatty(self):
        return True

    def write(self, text):
        self.written += text

    def flush(self):
        pass


def test_a_terminal_gets_one_line_that_rewrites_itself():
    from core.commands.terminal import TerminalProgress
    from core.progress import Stage

    stream = Terminal()
    with TerminalProgress(stream) as shown:
        for index in range(5):
            shown(Stage(f"Step {index}", index / 4))
    assert stream.written.count("\r") == 5
    assert stream.written.count("\n") == 1
    assert "100 %  Step 4" in stream.written


def test_the_options_are_the_configurations_fields():
    from dataclasses import fields

    from core.sampling.configuration import IdentityConfiguration

    named = {"seed", "generator", "recogniser", "perceptual", "strategy", "steps_move", "semantic"}
    assert named | set(command.IDENTITY_LIST_OPTIONS) | set(command.IDENTITY_INTEGER_OPTIONS) | set(
        command.IDENTITY_NUMBER_OPTIONS
    ) == {field.name for field in fields(IdentityConfiguration)}
