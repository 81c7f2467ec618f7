"""Emotion figures: all 15 pairs by both strategies and by the paper's own guidance, how much of a face changes, the prior beside a
Gaussian, speed.

How much changes is measured where expressions have names: the same person by the recogniser at a false acceptance rate of 1 %;
LPIPS to the base once face and neck of both, with 8 pixels around them, are painted grey; facial actions within the natural range.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from core.analysis.emotion_pairs import PairResult, measure_pairs, summarise_pairs
from core.models import registry
from core.models.builtin.head.people import describe
from core.models.builtin.head.renderer import draw_face_mask
from core.models.emotions import EMOTIONS
from core.models.trained_weights import read_trained
from core.progress import Progress
from core.sampling.emotion.configuration import EMOTION_PAIRS, EmotionConfiguration, find_chain
from core.sampling.emotion.generate import generate_emotion_set
from core.sampling.emotion.judging import EmotionPanel
from core.sampling.events import BoundarySampleMade
from core.sampling.images import to_images
from core.sampling.sample_set import SampleSet
from core.sampling.stored.gallery import load_gallery
from core.sampling.stored.population import load_thresholds

SEED = 7


@dataclass(frozen=True)
class EmotionSizes:
    """How much is measured, and with which generators."""

    images: int = 16  # a pair, a kind and a configuration
    pairs: Sequence[tuple[str, str]] = EMOTION_PAIRS
    live_images: int = 16  # of the run that is timed, as on the page
    generator: str = field(default_factory=lambda: registry.default_generator("emotion"))
    live_generator: str = field(default_factory=lambda: registry.default_generator("emotion"))
    configurations: Sequence[str] = ("two-stage", "two-stage, free", "direct", "paper")


FULL = EmotionSizes()
QUICK = EmotionSizes(images=1, pairs=EMOTION_PAIRS[:1], live_images=2)

SAME_PERSON_RATE = 0.01
MASK_MARGIN, MASK_GREY = 8, 0.5
"""Pixels around face and neck that are painted, too, and the grey."""


def measure(sizes: EmotionSizes = FULL) -> dict[str, Any]:
    """All figures of the suite, as plain data."""
    usual = EmotionConfiguration(*EMOTION_PAIRS[0], seed=SEED, generator=sizes.generator, strategy="direct")
    panel = EmotionPanel.load(usual)
    configurations = {
        "two-stage": replace(usual, strategy="two-stage"),
        "two-stage, free": replace(usual, strategy="two-stage", freedom=1.0),
        "direct": usual,
        "paper": usual.with_guidance("paper"),
    }
    has_stages = registry.find_emotion_chain(sizes.generator) is not None
    chosen = [name for name in sizes.configurations if name == "direct" or has_stages]
    figures: dict[str, Any] = {
        "pairs": len(sizes.pairs),
        "images_a_pair": sizes.images,
        "seed": SEED,
        "generator": sizes.generator,
        "configurations": {},
    }
    for name in chosen:
        configuration, guided = configurations[name], _GuidedFaces(panel)
        began = time.perf_counter()
        results = measure_pairs(configuration, sizes.images, pairs=sizes.pairs, panel=panel, on_guided=guided.sets.append)
        seconds = time.perf_counter() - began
        figures["configurations"][name] = {
            **summarise_pairs(results, configuration),
            "seconds": round(seconds, 1),
            "without_disgust": _summarise_without_disgust(results, configuration),
            "faces": guided.measure(),
        }
    figures["plain"] = {
        name: round(
            sum(panel.reference.count_passing(name, _find_emotions(pair))[0] for pair in sizes.pairs)
            / len(sizes.pairs)
            / len(panel.reference),
            4,
        )
        for name in usual.classifiers
    }
    figures["prior"] = dict(read_trained(find_chain(sizes.generator).prior).card["figures"])
    strategies = [strategy for strategy in ("two-stage", "direct") if strategy in chosen]
    figures["live_seconds"] = {strategy: _measure_live(sizes, strategy) for strategy in strategies}
    return figures


@dataclass
class _GuidedFaces:
    """Guided samples beside their bases."""

    panel: EmotionPanel
    sets: list[SampleSet] = field(default_factory=list)

    def measure(self) -> dict[str, float]:
        """Shares of samples that are the same person and natural, and masked LPIPS; empty without named expressions."""
        natural = self.panel.reference.expressions
        if natural is None:
            return {}
        generator = self.panel.generator
        limit = load_thresholds(generator.name, self.panel.recogniser.name).at(SAME_PERSON_RATE).distance
        lpips = registry.load("lpips", "distance")
        same, inside, apart = [], [], []
        for sample_set in self.sets:
            table = sample_set.samples[sample_set.samples["sample_type"] == "boundary"]
            same += (table[f"distance_{self.panel.recogniser.name}"] < limit).tolist()
            latents = np.stack([sample_set.latents[name] for name in table["sample_id"]])
            inside += natural.contains(generator.facial_actions(torch.from_numpy(latents)).numpy()).tolist()
            for name, base in zip(table["sample_id"], table["base_id"], strict=True):
                pictures = to_images(np.stack([sample_set.images[name], sample_set.images[base]]))
                masks = [draw_face_mask(describe(sample_set.latents[each]), pictures.shape[-1]) for each in (name, base)]
                painted = _paint_grey(pictures, torch.from_numpy(masks[0] | masks[1]))
                with torch.inference_mode():
                    apart.append(float(lpips.distance(painted[:1], painted[1:])[0]))
        return {
            "same_person": round(float(np.mean(same)), 4),
            "natural": round(float(np.mean(inside)), 4),
            "masked_lpips_median": round(float(np.median(apart)), 4),
            "masked_lpips_95": round(float(np.percentile(apart, 95)), 4),
        }


def _paint_grey(pictures: Tensor, mask: Tensor) -> Tensor:
    """Pictures (N, 3, H, W) with a mask (H, W) and its margin in grey."""
    wide = max_pool2d(mask[None, None].float(), 2 * MASK_MARGIN + 1, stride=1, padding=MASK_MARGIN)
    return torch.where(wide > 0, torch.tensor(MASK_GREY), pictures)


def _summarise_without_disgust(results: Sequence[PairResult], configuration: EmotionConfiguration) -> dict[str, Any]:
    """Shares that pass under every classifier, of the pairs without disgust: the held-out judge never says it."""
    others = [result for result in results if "disgust" not in (result.emotion1, result.emotion2)]
    return (
        {}
        if not others
        else {
            name: {kind: figures[kind]["share"] for kind in ("guided", "unguided")}
            for name, figures in summarise_pairs(others, configuration)["classifiers"].items()
        }
    )


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
        if measured["without_disgust"]:
            shares = (
                f"{classifier} {100 * share['guided']:.0f} % ({100 * share['unguided']:.0f} % unguided)"
                for classifier, share in measured["without_disgust"].items()
            )
            lines.append(f"  pairs without disgust: {', '.join(shares)}")
        if changed := measured["faces"]:
            lines.append(
                f"  same person {100 * changed['same_person']:.1f} %, natural {100 * changed['natural']:.1f} %, LPIPS to the base "
                f"outside face and neck {changed['masked_lpips_median']:.3f} (95 %: {changed['masked_lpips_95']:.3f})"
            )
    lines += _describe_prior(figures["prior"])
    for strategy, seconds in figures["live_seconds"].items():
        lines.append(f"live, {strategy}: first picture {seconds['first']:.1f} s, {seconds['pictures']} in {seconds['all']:.1f} s")
    return "\n".join(lines)


def _describe_prior(prior: dict[str, Any]) -> list[str]:
    if "denoising_of_held_out" not in prior:
        return []
    better = prior["denoising_of_held_out"]
    return [
        f"\nprior: error on held-out embeddings {better['ratio_to_gaussian']:.4f} of the Gaussian's "
        f"({better['low']:.4f} to {better['high']:.4f}, n {better['n']}); told apart from real ones "
        + ", ".join(
            f"{name} {100 * prior[name]['two_sample_accuracy']['share']:.1f} %" for name in ("prior", "gaussian", "training_faces")
        )
        + " (50 % is chance)"
    ]


def _format_percent(share: dict[str, Any]) -> str:
    return f"{100 * share['share']:.1f} % ({100 * share['low']:.0f} to {100 * share['high']:.0f}, n {share['n']})"


def _format_number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
