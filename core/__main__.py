"""``python -m core``: the same core without a browser. Errors are one line on standard error, never a traceback."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from core.errors import LiminalError

COMMANDS = {
    "doctor": "models found, their weights, licences and the device",
    "models": "add models of your own, list, check and remove them",
    "generate": "make a set of samples and judge it",
    "causes": "what matters: each named latent moved alone, and what every network minds",
    "invert": "the generated face that comes nearest to a photo of yours",
    "study": "make, import, export and delete studies and their answers",
    "chains": "faces that people make, by Gibbs sampling with people",
    "report": "statistics of a set of samples, beside the published ones",
    "align": "models that learn from people: the group, individuals, the next question",
    "train": "train the committed networks anew",
    "assets": "make the gallery, thresholds and other assets anew",
}


class OneLineParser(argparse.ArgumentParser):
    """An argument parser whose errors are LiminalErrors, so that they come as one line too."""

    def error(self, message: str) -> NoReturn:
        raise LiminalError(f"{message[:1].upper()}{message[1:]}; '{self.prog} --help' lists what there is.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command -> exit code: 0 done, 2 something was wrong, 130 stopped by Ctrl-C."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    return report_errors(lambda: _dispatch(words))


def report_errors(work: Callable[[], int]) -> int:
    """Do the work -> its exit code; an error is one line on standard error (2), Ctrl-C another (130)."""
    try:
        return work()
    except LiminalError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped by Ctrl-C; nothing half-made was kept.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has left, for example `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        print("usage: python -m core COMMAND [options]\n")
        for name, meaning in COMMANDS.items():
            print(f"  {name:<10} {meaning}")
        print("\n'python -m core COMMAND --help' lists a command's options.")
        return 0 if words else 2
    name = words[0]
    if name not in COMMANDS:
        raise LiminalError(f"There is no command '{name}'; there are {', '.join(COMMANDS)}.")
    if "--ray" in words:
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # Ray forks, which waits for numpy's threads and can hang there
    module = importlib.import_module(f"core.commands.{name}")  # only the one asked for: most of them load torch
    parser = OneLineParser(prog=f"python -m core {name}", description=COMMANDS[name])
    module.add_arguments(parser)
    return int(module.run(parser.parse_args(words[1:])))


if __name__ == "__main__":
    sys.exit(main())
