"""Identity figures: the recogniser and the search beside the papers' own stack, one slider step, the renderer, memory.

The papers' stack is pycma, one image at a time, dlib's detector, landmarks and descriptor, as the package ``face_recognition`` has
them. Both sides run in this process and draw their pictures with the same renderer. A search is timed from its start until a
true distance is under the lowest target, else until its iterations are used up; each on one core, from the same starts.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import dlib
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks import memory
from core.models import registry
from core.models.builtin import dlib_recogniser
from core.models.builtin.dlib_recogniser import LANDMARKS_FILE, DlibRecogniser, to_pictures, to_working
from core.models.builtin.head.people import describe
from core.models.builtin.head.renderer import render
from core.models.contracts import Generator
from core.models.device import use_torch_threads
from core.sampling import search
from core.sampling.configuration import IdentityConfiguration, numpy_generator, sample_seed
from core.sampling.search import NO_FACE_PENALTY, count_candidates

SEED = 7
TARGET = 0.3
"""Distance at which a search has its result: paper A's lowest."""


@dataclass(frozen=True)
class IdentitySizes:
    """How much is measured."""

    faces: int = 64  # chips for the recogniser's figures
    runs: int = 3  # searches by the papers' stack, some five minutes each
    iterations: int = 100  # of a search at most, as in paper A
    batch_runs: int = 12  # searches of one batch of paper A: four bases times three negatives
    generations: int = 3  # of CMA-ES on the head, for its evaluations a second
    slider_steps: int = 15
    heads: int = 40  # pictures of the rendered head, a size


FULL = IdentitySizes()
QUICK = IdentitySizes(faces=8, runs=1, iterations=2, batch_runs=3, generations=1, slider_steps=5, heads=6)


def measure(sizes: IdentitySizes = FULL) -> dict[str, Any]:
    """All figures of the suite, as plain data."""
    generator = registry.load("head", "generator")
    recogniser = registry.load("dlib", "recogniser")
    assert isinstance(recogniser, DlibRecogniser)
    paper = PaperStack(generator)
    figures: dict[str, Any] = {
        "recogniser": _recogniser(generator, recogniser, paper, sizes.faces),
        "search": _search(generator, recogniser, paper, sizes),
        "slider_step_ms": {name: _slider_step(name, sizes.slider_steps) for name in registry.list_built_in("generator")},
    }
    figures["rendering"] = _render_heads(sizes.heads)
    figures["memory_mb"] = memory.measure()
    return figures


class PaperStack:
    """What paper A ran, for the generator at hand: each image alone through dlib's own detector, landmarks and descriptor."""

    def __init__(self, generator: Generator) -> None:
        self.generator = generator
        self.detector = dlib.get_frontal_face_detector()
        self.predictor = dlib.shape_predictor(str(LANDMARKS_FILE.verified()))
        self.network = dlib.face_recognition_model_v1(str(dlib_recogniser.CARD.files[0].verified()))

    def chip(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
        """The aligned chip of the largest face, or None."""
        boxes = self.detector(picture, 0)
        if not boxes:
            return None
        shape = self.predictor(picture, max(boxes, key=lambda box: box.area()))
        chip: NDArray[np.uint8] = dlib.get_face_chip(picture, shape, size=150, padding=0.25)
        return chip

    def descriptor(self, latent: NDArray[np.float64]) -> NDArray[np.float64] | None:
        """Latent (d,) -> image -> descriptor (128,), or None where no face is found."""
        with torch.inference_mode():
            image = self.generator.decode(torch.from_numpy(latent).float()[None])
            chip = self.chip(to_pictures(to_working(image))[0])
        return None if chip is None else np.array(self.network.compute_face_descriptor(chip))

    def search(
        self, start: NDArray[np.float32], target: NDArray[np.float64], configuration: IdentityConfiguration, seed: int
    ) -> tuple[float, int, float]:
        """CMA-ES from one start -> best distance, evaluations, seconds."""
        import cma  # loads SciPy's statistics and matplotlib

        random = numpy_generator(seed)
        options: dict[str, Any] = {
            "popsize": count_candidates(configuration, len(start)),
            "verbose": -9,
            "verb_log": 0,
            "verb_disp": 0,
        }
        options |= {"seed": float("nan"), "randn": lambda *shape: random.standard_normal(shape)}
        began, evaluations, best = time.perf_counter(), 0, float("inf")
        strategy = cma.CMAEvolutionStrategy(start.astype(np.float64), configuration.sigma, options)
        for _ in range(configuration.iterations):
            candidates = strategy.ask()
            vectors = [self.descriptor(candidate) for candidate in candidates]
            distances = [NO_FACE_PENALTY if vector is None else float(np.linalg.norm(vector - target)) for vector in vectors]
            strategy.tell(candidates, distances)
            evaluations += len(candidates)
            best = min(best, *distances)
            if best < configuration.targets[0]:
                break
        return best, evaluations, time.perf_counter() - began


def _recogniser(generator: Generator, recogniser: DlibRecogniser, paper: PaperStack, faces: int) -> dict[str, Any]:
    """Faces a second on the same chips, and how far the descriptors are apart."""
    chips: list[NDArray[np.uint8]] = []
    seed = 0
    while len(chips) < faces:
        with torch.inference_mode():
            pictures = to_pictures(to_working(generator.decode(generator.sample(range(seed, seed + 16)))))
        chips += [chip for picture in pictures if (chip := paper.chip(picture)) is not None]
        seed += 16
    chips = chips[:faces]
    batch = torch.from_numpy(np.stack(chips)).permute(0, 3, 1, 2).float() / 255
    with torch.inference_mode():
        ours, vectors = _best_of(3, lambda: recogniser.embed_chips(batch))
    theirs, expected = _best_of(1, lambda: np.array([paper.network.compute_face_descriptor(chip) for chip in chips]))
    return {
        "faces": faces,
        "dlib_faces_per_second": faces / theirs,
        "liminal_faces_per_second": faces / ours,
        "ratio": theirs / ours,
        "largest_l2_difference": float(np.linalg.norm(vectors.numpy() - expected, axis=1).max()),
    }


def _search(generator: Generator, recogniser: DlibRecogniser, paper: PaperStack, sizes: IdentitySizes) -> dict[str, Any]:
    """Time to a result over the same starts, one search at a time on one core; then CMA-ES here, evaluations a second."""
    common = IdentityConfiguration(
        seed=SEED, generator=generator.name, recogniser=recogniser.name, targets=(TARGET,), iterations=sizes.iterations
    )
    guided, selected = replace(common, strategy="surrogate"), replace(common, iterations=sizes.generations)
    count = max(sizes.runs, sizes.batch_runs)
    latents = _with_faces(generator, recogniser, count + 1)
    base, starts = latents[:1], latents[1:].numpy()
    with torch.inference_mode():
        base_vector = recogniser.embed(generator.decode(base))[0]
    seeds = [sample_seed(SEED, "bench", index) for index in range(count)]

    def climb(index: int, configuration: IdentityConfiguration) -> search.SearchResult:
        one = slice(index, index + 1)
        return search.search_descriptor(starts[one], base_vector, generator, recogniser, configuration, seeds=seeds[one])

    with use_torch_threads(1):  # one picture at a time, on one thread of the engine
        other = generator.sample([SEED]).numpy()
        search.search_descriptor(other, base_vector, generator, recogniser, replace(guided, iterations=2))  # loads the surrogate
        ours = [climb(index, guided) for index in range(count)]
        target = base_vector.double().numpy()
        theirs = [paper.search(starts[index], target, common, seeds[index]) for index in range(sizes.runs)]
        trials = climb(0, selected)
    seconds, paper_seconds = [result.seconds for result in ours], [seconds for _, _, seconds in theirs]
    final = [result.runs[0].results[0].distance for result in ours]
    ratios = [paper / own for paper, own in zip(paper_seconds, seconds, strict=False)]
    return {
        "iterations": sizes.iterations,
        "target": TARGET,
        "paper_runs": sizes.runs,
        "liminal_runs": count,
        "paper_seconds": paper_seconds,
        "liminal_seconds": seconds,
        "ratio": statistics.median(ratios),
        "ratios": ratios,
        "paper_median_final_distance": statistics.median(distance for distance, _, _ in theirs),
        "liminal_median_final_distance": statistics.median(final[: sizes.runs]),
        "liminal_median_final_distance_all": statistics.median(final),
        "paper_reached": sum(distance < TARGET for distance, _, _ in theirs),
        "liminal_reached": sum(result.runs[0].results[0].reached for result in ours),
        "paper_evaluations": [evaluations for _, evaluations, _ in theirs],
        "liminal_true_renders": [result.evaluations for result in ours],
        "paper_evaluations_per_second": sum(evaluations for _, evaluations, _ in theirs) / sum(paper_seconds),
        "cmaes_evaluations_per_second": trials.evaluations / trials.seconds,
    }


def _with_faces(generator: Generator, recogniser: DlibRecogniser, count: int) -> torch.Tensor:
    """The first ``count`` latents, by seed, in whose images a face is found."""
    rows: list[torch.Tensor] = []
    seed = SEED * 1000
    while len(rows) < count:
        latents = generator.sample(range(seed, seed + 16))
        with torch.inference_mode():
            shows = recogniser.find_faces(generator.decode(latents)).found
        rows += list(latents[shows])
        seed += 16
    return torch.stack(rows[:count])


def _slider_step(name: str, steps: int) -> float:
    """Median milliseconds from a latent to its picture and both recognisers' distances to a base."""
    generator = registry.load(name, "generator")
    judges = [registry.load(judge, "recogniser") for judge in registry.list_built_in("recogniser")]
    ends = generator.sample([1, 9])
    with torch.inference_mode():
        bases = [judge.embed(generator.decode(ends[:1])) for judge in judges]
        times = []
        for fraction in np.linspace(0, 1, steps):
            began = time.perf_counter()
            image = generator.decode((1 - float(fraction)) * ends[:1] + float(fraction) * ends[1:])
            for judge, base in zip(judges, bases, strict=True):
                judge.distance(base, judge.embed(image))
            times.append(time.perf_counter() - began)
    return 1000 * statistics.median(times)


def _render_heads(count: int) -> dict[str, Any]:
    """The rendered head: median milliseconds a picture on one core, and how many times as many two cores draw together."""
    generator = registry.load("head", "generator")
    latents = generator.sample(range(count))
    figures: dict[str, Any] = {"pictures": count}
    for size in generator.sizes:
        generator.decode_at(latents[:1], size)
        times = []
        for index in range(count):
            began = time.perf_counter()
            generator.decode_at(latents[index : index + 1], size)
            times.append(time.perf_counter() - began)
        figures[f"{size}_ms"] = 1000 * statistics.median(times)
    seconds = {}
    for threads in (1, 2):
        pieces = [latents[index::threads] + 1e-3 for index in range(threads)]  # other latents: nothing comes from a cache
        began = time.perf_counter()
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda rows: [_draw_head(row) for row in rows.numpy()], pieces))
        seconds[threads] = time.perf_counter() - began
    figures["two_threads_ratio"] = seconds[1] / seconds[2]
    return figures


def _draw_head(latent: NDArray[np.float32]) -> NDArray[np.uint8]:
    return render(describe(latent), 256)


def _best_of(times: int, work: Callable[[], Any]) -> tuple[float, Any]:
    """The shortest of some runs in seconds, and the last result; the first run of all warms up."""
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - began)
    return min(seconds), result


def as_text(figures: dict[str, Any]) -> str:
    """The figures in words, each beside what it is to reach."""
    machine, recogniser, search = figures["machine"], figures["recogniser"], figures["search"]
    rendering = figures["rendering"]
    slider = ", ".join(f"{name} {value:.0f} ms" for name, value in figures["slider_step_ms"].items())
    return "\n".join(
        [
            f"torch {machine['torch']} on {machine['processor']}, {machine['threads']} threads; both sides in one run",
            "",
            f"Recogniser, {recogniser['faces']} chips: {recogniser['liminal_faces_per_second']:.1f} faces a second, "
            f"dlib {recogniser['dlib_faces_per_second']:.1f}: {recogniser['ratio']:.1f} times (to reach: 12); "
            f"descriptors differ by {recogniser['largest_l2_difference']:.1e} at most",
            f"Search for a true distance under {search['target']:g} within {search['iterations']} iterations, one core a search, "
            f"medians: {statistics.median(search['liminal_seconds']):.1f} s and "
            f"{statistics.median(search['liminal_true_renders']):g} true pictures ({search['liminal_reached']} of "
            f"{search['liminal_runs']} got there), papers' stack {statistics.median(search['paper_seconds']):.0f} s and "
            f"{statistics.median(search['paper_evaluations']):g} pictures ({search['paper_reached']} of {search['paper_runs']}); "
            f"over the same starts {search['ratio']:.1f} times as fast (to reach: 25)",
            f"Final true distance, median over the same {search['paper_runs']} starts: "
            f"{search['liminal_median_final_distance']:.3f}, papers' stack {search['paper_median_final_distance']:.3f}; over all "
            f"of ours {search['liminal_median_final_distance_all']:.3f}",
            f"CMA-ES evaluations a second on one core: {search['cmaes_evaluations_per_second']:.1f}, papers' stack "
            f"{search['paper_evaluations_per_second']:.1f}",
            f"Rendered head, median of {rendering['pictures']} pictures on one core: {rendering['256_ms']:.0f} ms at 256 pixels "
            f"(to reach: 60, aim: 40), {rendering['512_ms']:.0f} ms at 512 (to reach: 150); two threads draw "
            f"{rendering['two_threads_ratio']:.2f} times as many (2 on two idle cores)",
            f"One interpolation step, latent to picture and both verdicts, median: {slider}",
            f"Memory of the app with all default models, a process of its own: {figures['memory_mb']:.0f} MB (to stay under: 1300)",
        ]
    )
