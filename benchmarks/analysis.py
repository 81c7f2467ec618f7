"""Analysis figures: error consistency beside a loop over pairs of deciders in pandas, disagreement tables, Table 1's bootstrap.

The tables are made up, in the sizes of the papers; both sides of a comparison run in this process on the same table.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from core.analysis.consistency import compute_kappas
from core.analysis.disagreement import score_identity_disagreement, score_identity_spread, score_similarity_spread
from core.analysis.estimate import Array, Estimate
from core.analysis.identity_tables import build_mean_table
from core.sampling.sample_set import PAIR_COLUMNS, set_column_types
from core.studies.ratings import RATINGS
from core.studies.ratings import type_columns as typed_ratings

SEED = 7
BASE = (
    [("genuine", np.nan)]
    + [("positive", step) for step in (0.2, 0.4, 0.6) for _ in range(2)]
    + [("negative", np.nan)] * 3
    + [(kind, step) for kind, steps in (("interpolation", (0.25, 0.5, 0.75)), ("optimized", (0.3, 0.4, 0.5))) for step in steps * 3]
)
"""Paper A's 28 pairs a base."""
THRESHOLDS = {"dlib": 0.6, "sface": 0.6}


@dataclass(frozen=True)
class AnalysisSizes:
    """How much is measured. The loops are timed on some pairs of deciders or faces and scaled to all of them."""

    runs: int = 3  # repetitions of everything that takes little
    raters: int = 66  # paper B: people who stayed
    images: int = 1678  # paper B
    looped_pairs: int = 200  # pairs of deciders, of 2,145
    small_bases: int = 40
    large_bases: int = 4000
    lpips_faces: int = 112  # images of a batch of paper A
    looped_lpips: int = 60


FULL = AnalysisSizes()
QUICK = AnalysisSizes(runs=1, looped_pairs=40, large_bases=200, lpips_faces=24, looped_lpips=10)


def measure(sizes: AnalysisSizes = FULL) -> dict[str, Any]:
    """All figures of the suite, as plain data."""
    runs, small, large = sizes.runs, build_synthetic_study(sizes.small_bases), build_synthetic_study(sizes.large_bases)
    return {
        "consistency": _consistency(sizes),
        "disagreement": {"small": _disagreement(*small, runs), "large": _disagreement(*large, runs)},
        "bootstrap": _bootstrap(*small, runs),
        "lpips": _lpips(sizes),
    }


def build_synthetic_study(bases: int, *, answers: int = 10, seed: int = SEED) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Pairs of paper A's design, and for each ``answers`` people's answers to both questions; four bases share their people."""
    random = np.random.default_rng(seed)
    layout = pd.DataFrame(BASE * bases, columns=["sample_type", "step"])
    n = len(layout)
    base = np.arange(n) // len(BASE)
    distance = random.uniform(0.0, 1.0, n)
    pairs = layout.assign(
        pair_id=[f"p{index:08d}" for index in range(n)],
        batch=base // 4,
        base_id=[f"b{number}" for number in base],
        sample_id=[f"s{index}" for index in range(n)],
        partner_id=None,
        direction=None,
        strategy=None,
        lpips=distance * 0.7,
        latent_distance=distance * 10,
        **{f"distance_{name}": distance + 0.05 * random.normal(size=n) for name in THRESHOLDS},
    )
    pair = np.repeat(np.arange(n), answers)
    rater = (base[pair] // 4) * answers + np.tile(np.arange(answers), n)
    names = np.array([f"rater-{number}" for number in range(rater.max() + 1)], object)
    same = (random.random(len(pair)) < np.exp(-3 * distance[pair])).astype(int).astype(str)
    similar = np.clip(100 * (1 - distance[pair]) + 8 * random.normal(size=len(pair)), 0, 100).round().astype(int).astype(str)
    shared = {"rater": names[rater], "stimulus": pairs["pair_id"].to_numpy()[pair], "reaction_time_ms": 900.0}
    parts = [
        pd.DataFrame({**shared, "task": task, "value": value}) for task, value in (("similarity", similar), ("identity", same))
    ]
    ratings = pd.concat(parts, ignore_index=True).assign(
        rating_id="", study="bench", session="", trial=0, is_sentinel=False, source="simulated", presented="{}"
    )
    ratings["created_at"] = pd.Timestamp(0, tz="UTC")
    assert set(ratings.columns) == set(RATINGS)
    return set_column_types(pairs, PAIR_COLUMNS), typed_ratings(ratings)


def loop_kappa(decisions: pd.DataFrame, pairs: list[tuple[int, int]]) -> list[float]:
    """What one writes first: for each pair of columns drop what one of them lacks, then the three formulas."""
    kappas = []
    for first, second in pairs:
        both = decisions.iloc[:, [first, second]].dropna()
        a, b = both.iloc[:, 0], both.iloc[:, 1]
        observed = (a == b).mean()
        expected = a.mean() * b.mean() + (1 - a.mean()) * (1 - b.mean())
        kappas.append(float("nan") if expected == 1 else float((observed - expected) / (1 - expected)))
    return kappas


def _consistency(sizes: AnalysisSizes) -> dict[str, Any]:
    random, raters, images = np.random.default_rng(SEED), sizes.raters, sizes.images
    decisions: Array = (random.random((raters, images)) < random.uniform(0.2, 0.8, (1, images))).astype(np.float64)
    decisions[random.random(decisions.shape) < 0.2] = np.nan
    pairs = [(int(a), int(b)) for a, b in zip(*np.triu_indices(raters, 1), strict=True)]
    looped = [pairs[index] for index in random.permutation(len(pairs))[: sizes.looped_pairs]]
    table = pd.DataFrame(decisions.T)
    compute_kappas(decisions)
    ours, consistency = _median(sizes.runs, lambda: compute_kappas(decisions))
    theirs, expected = _median(1, lambda: loop_kappa(table, looped))
    values = np.array([consistency.kappa[pair] for pair in looped])
    theirs *= len(pairs) / len(looped)
    return {
        "raters": raters,
        "images": images,
        "pairs": len(pairs),
        "looped_pairs": len(looped),
        "loop_seconds": theirs,
        "liminal_seconds": ours,
        "ratio": theirs / ours,
        "largest_difference": float(np.nanmax(np.abs(values - expected))),
    }


def _disagreement(pairs: pd.DataFrame, ratings: pd.DataFrame, runs: int) -> dict[str, Any]:
    """Milliseconds of each gallery's table, answers in, ranking out."""
    galleries: dict[str, Callable[[], Any]] = {
        "identity": lambda: score_identity_disagreement(pairs, ratings, "dlib", THRESHOLDS["dlib"]).ranked("lowest"),
        "identity_spread": lambda: score_identity_spread(pairs, ratings).ranked(),
        "similarity_spread": lambda: score_similarity_spread(pairs, ratings).ranked(),
    }
    times = {name: 1000 * _median(runs, work)[0] for name, work in galleries.items()}
    return {"pairs": len(pairs), "answers": len(ratings), "milliseconds": times}


def _bootstrap(pairs: pd.DataFrame, ratings: pd.DataFrame, runs: int) -> dict[str, Any]:
    seconds, table = _median(runs, lambda: build_mean_table(pairs, ratings, THRESHOLDS))
    cells = sum(len(value) if isinstance(value, dict) else isinstance(value, Estimate) for value in vars(table.rows[0]).values())
    return {
        "pairs": len(pairs),
        "answers": len(ratings),
        "resamples": 2000,
        "rows": len(table.rows),
        "cells": cells * len(table.rows),
        "seconds": seconds,
    }


def _lpips(sizes: AnalysisSizes) -> dict[str, Any]:
    """All pairs of a batch's images: each through the network once, beside a loop that asks about pair after pair."""
    import torch

    from core.models import registry
    from core.models.builtin.lpips_distance import LPIPSDistance

    distance = registry.load("lpips", "distance")
    assert isinstance(distance, LPIPSDistance)
    generator = registry.load("dcgan", "generator")
    faces = sizes.lpips_faces
    with torch.inference_mode():
        images = generator.decode(generator.sample(range(faces)))
        distance.all_pairs(images[:2])
        ours, distances = _median(sizes.runs, lambda: distance.all_pairs(images))
        pairs = np.stack(np.triu_indices(faces, 1), axis=1)
        looped = pairs[np.random.default_rng(SEED).permutation(len(pairs))[: sizes.looped_lpips]]
        theirs, expected = _median(1, lambda: [float(distance.distance(images[a, None], images[b, None])) for a, b in looped])
    values = np.array([float(distances[a, b]) for a, b in looped])
    theirs *= len(pairs) / len(looped)
    return {
        "images": faces,
        "pairs": len(pairs),
        "looped_pairs": len(looped),
        "loop_seconds": theirs,
        "liminal_seconds": ours,
        "ratio": theirs / ours,
        "largest_difference": float(np.abs(values - np.array(expected)).max()),
    }


def _median(runs: int, work: Callable[[], Any]) -> tuple[float, Any]:
    """Median seconds, and the last result."""
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        result = work()
        times.append(time.perf_counter() - began)
    return statistics.median(times), result


def as_text(figures: dict[str, Any]) -> str:
    """The figures in words, each beside what it is to reach."""
    consistency, bootstrap = figures["consistency"], figures["bootstrap"]
    lines = [
        f"Error consistency of {consistency['pairs']:,} pairs of {consistency['raters']} raters, {consistency['images']:,} images: "
        f"{1000 * consistency['liminal_seconds']:.2f} ms, a loop over pairs in pandas {consistency['loop_seconds']:.2f} s (timed "
        f"on {consistency['looped_pairs']} pairs and scaled): {consistency['ratio']:.0f} times (to reach: 500); values differ by "
        f"{consistency['largest_difference']:.1e} at most",
    ]
    for name, aim in (("small", "150 ms"), ("large", "2 s")):
        measured = figures["disagreement"][name]
        times = ", ".join(f"{gallery.replace('_', ' ')} {value:.0f} ms" for gallery, value in measured["milliseconds"].items())
        lines.append(
            f"Disagreement, {measured['pairs']:,} pairs and {measured['answers']:,} answers: {times} (to stay under: {aim})"
        )
    lines.append(
        f"Table 1, {bootstrap['cells']} cells, {bootstrap['resamples']:,} resamples of people and images, {bootstrap['answers']:,} "
        f"answers: {bootstrap['seconds']:.2f} s (to stay under: 2 s)"
    )
    lpips = figures["lpips"]
    lines.append(
        f"LPIPS of all {lpips['pairs']:,} pairs of {lpips['images']} faces: {lpips['liminal_seconds']:.2f} s, a loop over pairs "
        f"{lpips['loop_seconds']:.1f} s (timed on {lpips['looped_pairs']} pairs and scaled): {lpips['ratio']:.0f} times (to reach: "
        f"10); values differ by {lpips['largest_difference']:.1e} at most (to stay under: 1e-05)"
    )
    return "\n".join(lines)
