"""Emotion figures: all 15 pairs by both strategies and by the paper's own guidance, the prior beside a Gaussian, speed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.analysis.emotion_pairs import measure_pairs, summarise_pairs
from core.models.emotions import EMOTIONS
from core.models.trained_weights import read_trained
from core.progress import Progress
from core.sampling.emotion.configuration import EMOTION_PAIRS, EmotionConfiguration
from core.sampling.emotion.generate import generate_emotion_set
from core.sampling.emotion.judging import EmotionPanel
from core.sampling.events import BoundarySampleMade
from core.sampling.stored.gallery import load_gallery

SEED = 7


@dataclass(frozen=True)
class EmotionSizes:
    """How much is measured, and with which generators."""

    images: int = 8  # a pair, a kind and a configuration
    pairs: Sequence[tuple[str, str]] = EMOTION_PAIRS
    live_images: int = 16  # of the run that is timed, as on the page
    generator: str = "dcgan"
    live_generator: str = "dcgan-sharp"


FULL = EmotionSizes()
QUICK = EmotionSizes(images=1, pairs=EMOTION_PAIRS[:1], live_images=2)


def measure(sizes: EmotionSizes = FULL) -> dict[str, Any]:
    """All figures of the suite, as plain data."""
    usual = EmotionConfiguration(*EMOTION_PAIRS[0], seed=SEED, generator=sizes.generator)
    panel = EmotionPanel.load(usual)
    configurations = {
        "two-stage": usual,
        "two-stage, free": replace(usual, freedom=1.0),
        "direct": replace(usual, strategy="direct"),
        "paper": usual.with_guidance("paper"),
    }
    figures: dict[str, Any] = {
        "pairs": len(sizes.pairs),
        "images_a_pair": sizes.images,
        "seed": SEED,
        "generator": sizes.generator,
        "configurations": {},
    }
    for name, configuration in configurations.items():
        began = time.perf_counter()
        results = measure_pairs(configuration, sizes.images, pairs=sizes.pairs, panel=panel)
        seconds = time.perf_counter() - began
        figures["configurations"][name] = {**summarise_pairs(results, configuration), "seconds": round(seconds, 1)}
    figures["plain"] = {
        name: round(
            sum(panel.reference.count_passing(name, _find_emotions(pair))[0] for pair in sizes.pairs)
            / len(sizes.pairs)
            / len(panel.reference),
            4,
        )
        for name in usual.classifiers
    }
    figures["prior"] = dict(read_trained("face-prior").card["figures"])
    figures["live_seconds"] = {strategy: _measure_live(sizes, strategy) for strategy in ("two-stage", "direct")}
    return figures


def _find_emotions(pair: tuple[str, str]) -> tuple[int, int]:
    return EMOTIONS.index(pair[0]), EMOTIONS.index(pair[1])


def _measure_live(sizes: EmotionSizes, strategy: str) -> dict[str, float]:
    """Seconds to the first and to the last picture of a gallery base, networks loaded."""
    generator = sizes.live_generator
    base = load_gallery(generator).bases[0].base_id
    usual = EmotionConfiguration(*EMOTION_PAIRS[0], count=sizes.live_images, seed=SEED, generator=generator, base=base)
    configuration = replace(usual, strategy=strategy)  # type: ignore[arg-type]
    panel = EmotionPanel.load(configuration)
    generate_emotion_set(replace(configuration, count=1), panel=panel)  # everything is warm on a page
    times: list[float] = []
    began = time.perf_counter()

    def report(event: Any) -> None:
        if isinstance(event, BoundarySampleMade):
            times.append(time.perf_counter() - began)

    generate_emotion_set(configuration, Progress(report), panel=panel)
    return {"first": round(times[0], 2), "all": round(times[-1], 2), "pictures": len(times)}


def as_text(figures: dict[str, Any]) -> str:
    """For people."""
    lines = [
        f"Filter (3), {figures['pairs']} pairs, {figures['images_a_pair']} images each from {figures['generator']}; "
        "equal seeds guided and not.",
        "Medians are of those that passed: raw (calibrated). Plain: a random face of the generator, mean over pairs.",
    ]
    for name, measured in figures["configurations"].items():
        lines.append(f"\n{name} ({measured['seconds']:.0f} s)")
        for classifier, shares in measured["classifiers"].items():
            guided, plain = shares["guided"], figures["plain"][classifier]
            lines.append(
                f"  {classifier:<14} guided {_format_percent(guided)}, worst {100 * shares['worst_share']:.0f} % "
                f"({' and '.join(shares['worst_pair'])}); unguided {_format_percent(shares['unguided'])}; "
                f"plain {100 * plain:.1f} %, {guided['share'] / plain:.1f} times; "
                f"|p1 - p2| {_format_number(shares['p_median_gap'])} "
                f"({_format_number(shares['calibrated_median_gap'])}), p1 + p2 {_format_number(shares['p_median_sum'])} "
                f"({_format_number(shares['calibrated_median_sum'])}); success {_format_percent(shares['success'])}"
            )
        faces = measured["face_found"]
        lines.append(
            f"  face found: guided {_format_percent(faces['guided'])}, unguided {_format_percent(faces['unguided'])}; "
            f"distance to the base under 0.6: {_format_percent(measured['near_base'])} of all"
        )
    prior = figures["prior"]
    better = prior["denoising_of_held_out"]
    lines.append(
        f"\nprior: error on held-out embeddings {better['ratio_to_gaussian']:.4f} of the Gaussian's "
        f"({better['low']:.4f} to {better['high']:.4f}, n {better['n']}); told apart from real ones "
        + ", ".join(
            f"{name} {100 * prior[name]['two_sample_accuracy']['share']:.1f} %" for name in ("prior", "gaussian", "training_faces")
        )
        + " (50 % is chance)"
    )
    for strategy, seconds in figures["live_seconds"].items():
        lines.append(f"live, {strategy}: first picture {seconds['first']:.1f} s, {seconds['pictures']} in {seconds['all']:.1f} s")
    return "\n".join(lines)


def _format_percent(share: dict[str, Any]) -> str:
    return f"{100 * share['share']:.1f} % ({100 * share['low']:.0f} to {100 * share['high']:.0f}, n {share['n']})"


def _format_number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
