"""``python -m core doctor``: the models found, their weight files and hashes, the device, the licences."""

from __future__ import annotations

import argparse
import json
import platform
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from core.errors import LiminalError
from core.lazy_import import lazy_import
from core.models import registry
from core.models.device import choose_device

if TYPE_CHECKING:
    import torch
else:  # after the arguments were checked
    torch = lazy_import("torch")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``doctor``."""
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.add_argument("--device", help="cpu, cuda, cuda:1 or mps instead of the one chosen")


def run(arguments: argparse.Namespace) -> int:
    """Print what was found; exit code 2 where a weight file is missing or altered."""
    report = collect_report(arguments.device)
    if arguments.json:
        print(json.dumps(report, indent=2))
    else:
        _print_report(report)
    return 2 if any(model["problem"] for model in report["models"]) else 0


def collect_report(device: str | None = None) -> dict[str, Any]:
    """Everything that ``doctor`` prints, as plain data. Checks the SHA-256 of every weight file."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "device": str(choose_device(device)),
        "threads": torch.get_num_threads(),
        "models": [_describe_model(entry) for entry in registry.list_entries()],
    }


def _describe_model(entry: registry.Entry) -> dict[str, Any]:
    card = registry.read_card(entry)
    problem = None
    try:
        for file in card.files:
            file.verified()
    except LiminalError as error:
        problem = str(error)
    return {**asdict(card), "problem": problem}


def _print_report(report: dict[str, Any]) -> None:
    print(f"Python {report['python']}, torch {report['torch']}, device {report['device']}, {report['threads']} threads")
    for model in report["models"]:
        state = "ok     " if model["problem"] is None else "PROBLEM"
        print(f"\n{state} {model['kind']}: {model['name']} ({model['title']})")
        if model["problem"]:
            print(f"        {model['problem']}")
        print(f"        source: {model['source']}")
        print(f"        licence of weights: {model['weights_licence']}")
        print(f"        training data: {model['data_licence']}")
        print(f"        not for: {model['not_for']}")
        for file in model["files"]:
            print(f"        {file['distribution']}: {file['path']}  sha256 {file['sha256'][:16]}...")
