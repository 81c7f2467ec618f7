"""Images a second with and without gathering, side by side in one process: ``python tests/load/gathering.py --visitors 30``.

Every visitor is a thread that asks for one image at a time, each with a seed of its own; results are not kept. Without gathering
every thread runs its own padded chunks, as it did before there was an engine: with as many threads of PyTorch as there are cores,
which is what PyTorch does by itself, and with a single one each. The three ways take turns, so that what else the machine does
falls on all.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch

import core  # noqa: F401 (sets OpenMP up before torch is loaded)
from core.models import registry
from core.models.engine.engine import get_engine
from core.models.request_context import RequestContext, use_context
from core.sampling.images import quantise

Stage = Callable[[int], object]


def stages() -> dict[str, Stage]:
    """Name -> what one visitor asks for, by seed."""
    plain, sharp = registry.load("dcgan", "generator"), registry.load("dcgan-sharp", "generator")
    dlib, sface = registry.load("dlib", "recogniser"), registry.load("sface", "recogniser")
    classifiers = [registry.load(name, "classifier") for name in ("mini-xception", "tanh-cnn", "small-cnn")]
    latents = plain.sample(range(64))
    with torch.inference_mode():
        images = quantise(plain.decode(latents))
        large = quantise(sharp.decode(latents[:8]))
        chips = {judge.name: judge.align(images, judge.find_faces(images)) for judge in (dlib, sface)}

    def row(rows: torch.Tensor, seed: int) -> torch.Tensor:
        return rows[seed % len(rows)][None]

    def judged(generator: object, seed: int) -> None:
        image = quantise(generator.decode(generator.sample([seed])))  # type: ignore[attr-defined]
        for judge in (dlib, sface):
            judge.embed(image)
        for classifier in classifiers:
            classifier.probabilities(image)

    return {
        "make a face, 64 pixels": lambda seed: plain.decode(plain.sample([seed])),
        "make a face, 256 pixels": lambda seed: sharp.decode(sharp.sample([seed])),
        "describe a chip, dlib": lambda seed: dlib.embed_chips(row(chips["dlib"], seed)),
        "describe a chip, SFace": lambda seed: sface.embed_chips(row(chips["sface"], seed)),
        "find, cut and describe a face, dlib": lambda seed: dlib.embed(row(large, seed)),
        "find faces, dlib": lambda seed: dlib.find_faces(row(large, seed)),
        "find faces, YuNet": lambda seed: sface.find_faces(row(large, seed)),
        "find, cut and describe a face, SFace": lambda seed: sface.embed(row(large, seed)),
        "three emotion networks": lambda seed: [each.logits(row(images, seed)) for each in classifiers],
        "make, and ask all of them, 64 pixels": lambda seed: judged(plain, seed),
        "make, and ask all of them, 256 pixels": lambda seed: judged(sharp, seed),
    }


@dataclass(frozen=True)
class Way:
    """How requests reach the networks."""

    name: str
    gathers: bool
    threads: int | None
    """Of PyTorch, in every visitor's thread; None: its own choice."""


ONE_EACH = Way("alone, one thread each", False, 1)
AS_PYTORCH = Way("alone, PyTorch's threads", False, None)
GATHERED = Way("gathered", True, None)


@dataclass(frozen=True)
class Rate:
    """Of one stretch of traffic."""

    images: float
    """A second."""
    processor: float
    """Milliseconds an image."""


def traffic(stage: Stage, way: Way, visitors: int, seconds: float) -> Rate:
    """All visitors ask for one image after another."""
    until, counts = time.perf_counter() + seconds, [0] * visitors
    began, processor, own = time.perf_counter(), time.process_time(), torch.get_num_threads()
    get_engine().batches = way.batches

    def visit(number: int) -> None:
        torch.get_num_threads()  # a thread's first question takes the process's number over
        torch.set_num_threads(way.threads or own)
        with use_context(RequestContext(f"visitor-{number}")), torch.inference_mode():
            while time.perf_counter() < until:
                stage(1000 * number + counts[number])
                counts[number] += 1

    threads = [threading.Thread(target=visit, args=(number,)) for number in range(visitors)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    torch.set_num_threads(own)
    images = sum(counts)
    return Rate(images / (time.perf_counter() - began), 1000 * (time.process_time() - processor) / images)


def compared(rates: dict[Way, list[Rate]]) -> str:
    """The medians of all ways, and how many times the images gathering makes of either other one, with the least and the most."""
    words = [f"{way.name} {median(each.images for each in found):.1f}" for way, found in rates.items()]
    for way in (AS_PYTORCH, ONE_EACH):
        ratios = [after.images / before.images for before, after in zip(rates[way], rates[GATHERED], strict=True)]
        words.append(f"{median(ratios):.2f} times ({min(ratios):.2f} to {max(ratios):.2f}) {way.name}")
    processor = ", ".join(f"{median(each.processor for each in found):.1f}" for found in rates.values())
    return f"{'; '.join(words)}; processor {processor} ms an image"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--visitors", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=5.0, help="of traffic, a stage, a way and a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--stages", nargs="*", help="only those whose name holds one of these words")
    given = parser.parse_args()
    print("Images a second:")
    for name, stage in stages().items():
        if given.stages and not any(word in name for word in given.stages):
            continue
        rates: dict[Way, list[Rate]] = {AS_PYTORCH: [], ONE_EACH: [], GATHERED: []}
        for _ in range(given.rounds):
            for way, found in rates.items():
                found.append(traffic(stage, way, given.visitors, given.seconds))
        print(f"{name}: {compared(rates)}", flush=True)
    print(json.dumps(get_engine().as_dict()["devices"], indent=1))


if __name__ == "__main__":
    main()
