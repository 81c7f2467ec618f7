"""Images a second with and without gathering, side by side in one process: ``python tests/load/gathering.py --visitors 30``.

Every visitor is a thread that asks for one image at a time, each with a seed of its own; results are not kept. Without gathering
every thread runs its own padded chunks, as it did before there was an engine. The two ways take turns, so that what else the
machine does falls on both.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch

import core  # noqa: F401 (sets OpenMP up before torch is loaded)
from core.models import registry
from core.models.engine import engine
from core.models.visits import Visit, visiting
from core.sampling.pictures import quantised

Stage = Callable[[int], object]


def stages() -> dict[str, Stage]:
    """Name -> what one visitor asks for, by seed."""
    plain, sharp = registry.load("dcgan", "generator"), registry.load("dcgan-sharp", "generator")
    dlib, sface = registry.load("dlib", "recogniser"), registry.load("sface", "recogniser")
    classifiers = [registry.load(name, "classifier") for name in ("mini-xception", "tanh-cnn", "small-cnn")]
    latents = plain.sample(range(64))
    with torch.inference_mode():
        images = quantised(plain.decode(latents))
        large = quantised(sharp.decode(latents[:8]))
        chips = {judge.name: judge.align(images, judge.find_faces(images)) for judge in (dlib, sface)}

    def row(rows: torch.Tensor, seed: int) -> torch.Tensor:
        return rows[seed % len(rows)][None]

    def judged(generator: object, seed: int) -> None:
        image = quantised(generator.decode(generator.sample([seed])))  # type: ignore[attr-defined]
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


def traffic(stage: Stage, visitors: int, seconds: float) -> tuple[float, float]:
    """Images a second, and milliseconds of processor time an image."""
    until, counts = time.perf_counter() + seconds, [0] * visitors
    began, processor = time.perf_counter(), time.process_time()

    def visit(number: int) -> None:
        with visiting(Visit(f"visitor-{number}")), torch.inference_mode():
            while time.perf_counter() < until:
                stage(1000 * number + counts[number])
                counts[number] += 1

    threads = [threading.Thread(target=visit, args=(number,)) for number in range(visitors)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    images = sum(counts)
    return images / (time.perf_counter() - began), 1000 * (time.process_time() - processor) / images


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--visitors", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=5.0, help="of traffic, a stage, a way and a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--stages", nargs="*", help="only those whose name holds one of these words")
    given = parser.parse_args()
    for name, stage in stages().items():
        if given.stages and not any(word in name for word in given.stages):
            continue
        rates: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
        for _ in range(given.rounds):
            for gathers in (False, True):
                engine().gathers = gathers
                rates[gathers].append(traffic(stage, given.visitors, given.seconds))
        ratios = [after[0] / before[0] for before, after in zip(rates[False], rates[True], strict=True)]
        (alone, costly), (together, cheap) = ([median(column) for column in zip(*rates[way], strict=True)] for way in (False, True))
        print(
            f"{name:<40} alone {alone:7.1f}  gathered {together:7.1f} images a second  ratio {median(ratios):.2f} "
            f"({min(ratios):.2f} to {max(ratios):.2f})  processor {costly:6.1f} and {cheap:6.1f} ms an image",
            flush=True,
        )
    print(json.dumps(engine().as_dict()["devices"], indent=1))


if __name__ == "__main__":
    main()
