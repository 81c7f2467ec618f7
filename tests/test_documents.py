"""What documents and docstrings say is there: paths, names in code, commands and their options, and the citation file."""

import argparse
import ast
import contextlib
import importlib
import io
import re
import shlex
from functools import cache
from pathlib import Path

import pytest
import yaml

import benchmarks.__main__ as benchmarks_main
from core.__main__ import COMMANDS, OneLineParser

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")]
DOCUMENTS += sorted((ROOT / "core").rglob("README.md")) + sorted((ROOT / "docs").glob("*.md"))
NAMES = [path.relative_to(ROOT).as_posix() for path in DOCUMENTS]
FOLDERS = ("core", "ui", "pages", "benchmarks", "tests", "assets", "docs", "examples", ".ci", ".streamlit")
WRITTEN_BY_USERS = {".streamlit/secrets.toml", "build/"}
FORMER = {"python -m core bench", "python -m core align simulate-next", "python -m core assets next-question"}
"""Commands of earlier versions that the change log names."""


def spans(text):
    """The pieces of code in a document: what stands in backticks, and each line of its blocks."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    rest = re.sub(r"^```\w*\n.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"`([^`]+)`", rest), [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]


@cache
def top_level_names(path):
    """The functions, classes, their members and the constants of a module, without importing it."""
    names = set()
    for node in ast.parse((ROOT / path).read_text()).body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
            names |= {f"{node.name}.{child.name}" for child in getattr(node, "body", []) if hasattr(child, "name")}
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


def missing_path(word):
    """Why the path, or ``path::name``, is not there; None where it is, or where the word is none."""
    path, _, name = word.partition("::")
    if path in WRITTEN_BY_USERS or not re.fullmatch(r"[\w./-]+", path):
        return None
    inside = path.partition("/")[0] in FOLDERS and "/" in path
    if not inside and not re.fullmatch(r"[A-Za-z][\w-]*\.(?:md|py|cff)", path):
        return None
    if not (ROOT / path).exists():
        return f"{path} is not there"
    if name and name not in top_level_names(path):
        return f"{path} has no {name}"
    return None


def missing_module(word):
    """Why a dotted name that begins with one of our packages leads nowhere; None where it leads somewhere."""
    match = re.match(r"(?:core|ui|benchmarks)(?:\.\w+)+", word)
    if not match:
        return None
    parts = match.group().split(".")
    for length in range(len(parts), 0, -1):
        base = ROOT.joinpath(*parts[:length])
        module = base.with_suffix(".py") if base.with_suffix(".py").exists() else base / "__init__.py"
        if module.exists():
            name = ".".join(parts[length:])
            known = not name or name in top_level_names(module.relative_to(ROOT).as_posix())
            return None if known else f"there is no {match.group()}"
    return f"there is no {match.group()}"


@cache
def parser_of(program, command):
    """The real parser of a command, as the program builds it."""
    if program == "benchmarks":
        parser = OneLineParser(prog="python -m benchmarks")
        benchmarks_main.add_arguments(parser)
    else:
        parser = OneLineParser(prog=f"python -m core {command}", description=COMMANDS[command])
        importlib.import_module(f"core.commands.{command}").add_arguments(parser)
    return parser


def all_options(parser):
    """Every option string of a parser and of its subcommands."""
    for action in parser._actions:
        yield from action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                yield from all_options(child)


def wrong_command(command):
    """Why a ``python -m core|benchmarks ...`` of a document does not parse; None where it does.

    ``[--option X ...]`` is an option that may be left out, ``a|b`` either of both, ``...`` more of the same, a capital letter
    alone a number.
    """
    line = re.sub(r"\s#.*", "", command.removeprefix(".venv/bin/"))
    program, *arguments = shlex.split(re.sub(r"\[|\]|\.\.\.", " ", line))[2:]
    if program == "core":
        if not arguments:
            return None
        if arguments[0] not in COMMANDS:
            return f"there is no command {arguments[0]}"
    command, rest = (arguments[0], arguments[1:]) if program == "core" else ("", arguments)
    parser = parser_of(program, command)
    unknown = {word.partition("=")[0] for word in rest if word.startswith("--")} - set(all_options(parser))
    if unknown:
        return f"there is no {', '.join(sorted(unknown))}"
    rest = [re.sub(r"^[A-Z]$", "1", word) for word in rest]
    for number in range(max(word.count("|") for word in [*rest, ""]) + 1):
        either = [word.split("|")[min(number, word.count("|"))] for word in rest]
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                parser.parse_args(either)
        except SystemExit as stop:  # --help
            if stop.code:
                return f"ends with {stop.code}"
        except Exception as error:
            if "required" in str(error):  # a command that is named in a sentence, without what it needs
                continue
            return str(error)
    return None


@pytest.mark.parametrize("name", NAMES)
def test_paths_and_names_in_documents_are_there(name):
    text = (ROOT / name).read_text()
    quoted, lines = spans(text)
    words = [word for span in quoted for word in span.split()] + [word for line in lines for word in line.split()]
    links = [link for link in re.findall(r"\]\(([^)#\s]+)\)", text) if "://" not in link]
    wrong = {missing_path(word.rstrip(".,;:")) or missing_module(word) for word in words}
    wrong |= {f"the link {link} leads nowhere" for link in links if not ((ROOT / name).parent / link).exists()}
    assert not wrong - {None}, f"{name}:\n" + "\n".join(sorted(wrong - {None}))


@pytest.mark.parametrize("name", NAMES)
def test_commands_in_documents_parse(name):
    """Each with the program's own parser, without being run."""
    quoted, lines = spans((ROOT / name).read_text())
    commands = [
        each.strip() for each in [*quoted, *lines] if re.match(r"(?:\.venv/bin/)?python -m (?:core|benchmarks)\b", each.strip())
    ]
    commands = [each for each in commands if not (name == "CHANGELOG.md" and any(each.startswith(former) for former in FORMER))]
    wrong = [f"{each}\n    {reason}" for each in commands if (reason := wrong_command(each))]
    assert not wrong, f"{name}:\n" + "\n".join(wrong)


@pytest.mark.parametrize("name", NAMES)
def test_options_named_alone_are_options_of_some_command(name):
    quoted, _ = spans((ROOT / name).read_text())
    named = {span.split()[0].partition("=")[0] for span in quoted if span.startswith("--")}
    known = set()
    if named:
        known = {option for command in COMMANDS for option in all_options(parser_of("core", command))}
        known |= set(all_options(parser_of("benchmarks", "")))
    assert not named - known, f"{name}: no command has {sorted(named - known)}"


def test_dotted_names_in_docstrings_and_comments_lead_somewhere():
    wrong = []
    for path in [path for top in ("core", "ui", "pages", "benchmarks") for path in sorted((ROOT / top).rglob("*.py"))]:
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            if not re.match(r"\s*(?:from|import) ", line):
                names = re.findall(r"(?<![\w./])(?:core|ui|benchmarks)(?:\.\w+)+", line.replace("core.__file__", ""))
                wrong += [f"{path.relative_to(ROOT)}:{number}: {reason}" for name in names if (reason := missing_module(name))]
    assert not wrong, "\n".join(wrong)


def test_the_picture_of_the_folders_shows_all_of_them():
    picture = (ROOT / "ARCHITECTURE.md").read_text().split("```")[1]
    folders = {path.parent.relative_to(ROOT).as_posix() for top in ("core", "ui") for path in (ROOT / top).rglob("*.py")}
    missing = {folder for folder in folders if f" {folder}/ " not in picture.replace("\n", " ")}
    assert missing <= {"core/studies/migrations/versions"}, f"ARCHITECTURE.md does not show {sorted(missing)}"


def test_the_citation_file_is_valid():
    """The keys that Citation File Format 1.2 asks for, and the version of the package."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors", "version", "date-released", "license", "references"} <= citation.keys()
    assert f'version = "{citation["version"]}"' in (ROOT / "pyproject.toml").read_text()
    assert citation["authors"] == [{"name": "The Liminal developers"}]
    for reference in citation["references"]:
        assert {"type", "title", "authors", "year", "url"} <= reference.keys()
        assert all({"family-names", "given-names"} <= author.keys() for author in reference["authors"])
