"""Memory of the app: a process of its own that has its pages' code and every default model loaded, and each has run.

``python -m benchmarks.memory`` prints the megabytes after each step, as the operating system counts them (resident set size).
"""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice

import psutil


def measure(steps: int | None = None) -> float:
    """Megabytes of a fresh process at the end of all steps, or of the first so many."""
    command = [sys.executable, "-m", "benchmarks.memory", *([] if steps is None else [str(steps)])]
    lines = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    return float(lines[-1].split()[0])


def load_everything() -> Iterator[str]:
    """Load and run one default model after the other; says after each what was loaded."""
    import torch  # imports inside: what each of them brings is measured

    from core.models import registry
    from ui import ROOT

    for module in pkgutil.walk_packages([str(ROOT / "ui")], "ui."):
        if module.name != "ui.main":  # draws the app
            importlib.import_module(module.name)
    yield "PyTorch and the pages"
    head = registry.load("head", "generator")
    with torch.inference_mode():
        images = head.decode(head.sample([1, 2]))
        yield "head, 256 pixels"
        head.decode_at(head.sample([1]), 512)
        yield "head, 512 pixels"
        for name in registry.list_built_in("generator"):
            generator = registry.load(name, "generator")
            generator.decode(generator.sample([1]))
            yield name
        for name in registry.list_built_in("recogniser"):
            registry.load(name, "recogniser").embed(images)
            yield name
        for name in registry.list_built_in("classifier"):
            registry.load(name, "classifier").probabilities(images)
            yield name
        for name in registry.list_built_in("distance"):
            registry.load(name, "distance").distance(images, images)
            yield name
        for kind in ("encoder", "prior", "decoder", "surrogate"):
            for name in registry.list_built_in(kind):
                registry.load(name, kind)
                yield name


if __name__ == "__main__":
    process = psutil.Process()
    for step in islice(load_everything(), int(sys.argv[1]) if len(sys.argv) > 1 else None):
        print(f"{process.memory_info().rss / 1e6:6.0f}  {step}")
