"""Measure all 15 pairs of emotions, guided beside unguided from the same seeds: which share passes filter (3), and how even it is.

The stored table (``assets/boundary/acceptance.json``) is shown on the page; ``python -m benchmarks emotion`` measures it anew.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from core.analysis.emotion_tables import classify_outcome
from core.analysis.estimate import Proportion
from core.data_folder import ASSETS
from core.errors import LiminalError
from core.progress import Progress
from core.sampling.emotion.configuration import EMOTION_PAIRS, EmotionConfiguration
from core.sampling.sample_set import SampleSet, filter_column
from core.writing import write_bytes

if TYPE_CHECKING:
    from core.sampling.emotion.judging import EmotionPanel

BOUNDARY_FOLDER = ASSETS / "boundary"
BUILD_COMMAND = "python -m core assets boundary"


@dataclass(frozen=True)
class PairResult:
    """One pair under one configuration: the boundary samples of the guided and of the unguided set."""

    emotion1: str
    emotion2: str
    guided: pd.DataFrame
    unguided: pd.DataFrame

    def passed(self, kind: str, classifier: str, steerer: str) -> Proportion:
        """Filter (3) under a classifier; ``kind`` is guided or unguided."""
        table = self.guided if kind == "guided" else self.unguided
        return Proportion.of(int(table[filter_column(classifier, steerer)].sum()), len(table))


def measure_pairs(
    configuration: EmotionConfiguration,
    count: int,
    *,
    pairs: Sequence[tuple[str, str]] = EMOTION_PAIRS,
    unguided: bool = True,
    panel: EmotionPanel | None = None,
    progress: Progress | None = None,
    on_guided: Callable[[SampleSet], None] | None = None,
) -> list[PairResult]:
    """Generate ``count`` samples a pair with guidance and, from the same seeds, without: bases, noise and decoder draws agree.

    on_guided: gets every set of guided samples.
    """
    # PyTorch, not needed where the stored table is read
    from core.sampling.emotion.generate import generate_emotion_set
    from core.sampling.emotion.judging import EmotionPanel

    progress = progress or Progress()
    panel = panel or EmotionPanel.load(configuration)
    results = []
    for index, (emotion1, emotion2) in enumerate(pairs):
        part = progress.part(f"Pair {index + 1} of {len(pairs)}, {emotion1} and {emotion2}", index, len(pairs))
        tables = []
        for kind in (True, False) if unguided else (True,):
            of_pair = replace(configuration, emotion1=emotion1, emotion2=emotion2, count=count, guided=kind)
            sample_set = generate_emotion_set(of_pair, part, panel=panel)
            tables.append(sample_set.samples[sample_set.samples["sample_type"] == "boundary"])
            if kind and on_guided is not None:
                on_guided(sample_set)
        results.append(PairResult(emotion1, emotion2, tables[0], tables[-1]))
    return results


def summarise_pairs(results: Sequence[PairResult], configuration: EmotionConfiguration) -> dict[str, Any]:
    """The figures of all pairs together, as plain data: shares with Wilson intervals, medians of those that passed."""
    steerer = configuration.steerer
    figures: dict[str, Any] = {"pairs": len(results), "images": sum(len(result.guided) for result in results), "classifiers": {}}
    guided = pd.concat([result.guided for result in results])
    for name in configuration.classifiers:
        shares = {kind: [result.passed(kind, name, steerer) for result in results] for kind in ("guided", "unguided")}
        worst = min(range(len(results)), key=lambda index: shares["guided"][index].share)
        total = {kind: _add_proportions(rows) for kind, rows in shares.items()}
        prefix = "" if name == steerer else f"{name}_"
        passed = guided[guided[filter_column(name, steerer)].astype(bool)]
        figures["classifiers"][name] = {
            "guided": _round_proportion(total["guided"]),
            "unguided": _round_proportion(total["unguided"]),
            "ratio": round(total["guided"].share / total["unguided"].share, 2) if total["unguided"].count else None,
            "worst_pair": [results[worst].emotion1, results[worst].emotion2],
            "worst_share": round(shares["guided"][worst].share, 4),
            **{f"{kind}_{key}": value for kind in ("p", "calibrated") for key, value in _summarise_evenness(passed, kind, prefix)},
            "success": _round_proportion(_count_successes(guided, prefix)),
        }
    distance = f"distance_{configuration.recogniser}"
    figures["face_found"] = {
        "guided": _round_proportion(_count_faces(guided, distance)),
        "unguided": _round_proportion(_count_faces(pd.concat([result.unguided for result in results]), distance)),
    }
    figures["near_base"] = _round_proportion(Proportion.of(int((guided[distance] < 0.6).sum()), len(guided)))
    return figures


def _summarise_evenness(passed: pd.DataFrame, kind: str, prefix: str) -> list[tuple[str, float | None]]:
    first, second = _select_pair_values(passed, kind, prefix)
    if not len(first):
        return [("median_gap", None), ("median_sum", None)]
    return [
        ("median_gap", round(float(np.median(np.abs(first - second))), 4)),
        ("median_sum", round(float(np.median(first + second)), 4)),
    ]


def _select_pair_values(table: pd.DataFrame, kind: str, prefix: str) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """p1 and p2 of every row, each of its own pair."""
    rows = [(row[f"{kind}_{prefix}{row['emotion1']}"], row[f"{kind}_{prefix}{row['emotion2']}"]) for _, row in table.iterrows()]
    values = np.array(rows, dtype=np.float64).reshape(-1, 2)
    return values[:, 0], values[:, 1]


def _count_successes(guided: pd.DataFrame, prefix: str) -> Proportion:
    """Paper B's success rule on calibrated probabilities."""
    named = classify_outcome(*_select_pair_values(guided, "calibrated", prefix))
    return Proportion.of(int((named == "success").sum()), len(guided))


def _count_faces(table: pd.DataFrame, distance: str) -> Proportion:
    return Proportion.of(int(table[distance].notna().sum()), len(table))


def _add_proportions(shares: Sequence[Proportion]) -> Proportion:
    return Proportion.of(sum(share.count for share in shares), sum(share.n for share in shares))


def _round_proportion(share: Proportion) -> dict[str, float | int]:
    return {name: round(value, 4) for name, value in asdict(share).items()}


def build_pair_table(
    generator: str,
    *,
    count: int = 16,
    seed: int = 0,
    strategies: Sequence[str] = ("two-stage", "direct"),
    folder: Path = BOUNDARY_FOLDER,
    progress: Progress | None = None,
) -> Mapping[str, Any]:
    """Measure all pairs by every strategy and write the table that the page shows."""
    rows = []
    for strategy in strategies:
        configuration = EmotionConfiguration(*EMOTION_PAIRS[0], seed=seed, generator=generator, strategy=strategy)  # type: ignore[arg-type]
        for result in measure_pairs(configuration, count, progress=progress):
            rows.append(
                {
                    "emotion1": result.emotion1,
                    "emotion2": result.emotion2,
                    "strategy": strategy,
                    **{
                        kind: {
                            name: _round_proportion(result.passed(kind, name, configuration.steerer))
                            for name in configuration.classifiers
                        }
                        for kind in ("guided", "unguided")
                    },
                }
            )
    table = {
        "generator": generator,
        "seed": seed,
        "count": count,
        "pairs": rows,
        "command": f"{BUILD_COMMAND} --generators {generator} --count {count} --seed {seed}",
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
    }
    write_bytes(folder / "acceptance.json", (json.dumps(table, indent=1, allow_nan=False) + "\n").encode())
    return load_pair_table(folder)


def load_pair_table(folder: Path = BOUNDARY_FOLDER) -> Mapping[str, Any]:
    """The stored table. Imports no torch network. Raises LiminalError where there is none."""
    try:
        table = json.loads((folder / "acceptance.json").read_text(encoding="utf-8"))
        if not {"generator", "pairs", "command", "date"} <= set(table):
            raise ValueError("keys are missing")
        return dict(table)
    except (OSError, ValueError, TypeError) as error:
        raise LiminalError(f"No table of all pairs is stored in {folder}; make it with '{BUILD_COMMAND}'.") from error
