"""Tables 1 and 2 of paper A as data, to be shown beside ours."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "published"


@dataclass(frozen=True)
class PublishedMean:
    """A row of Table 1. ``step`` is None for a type as a whole and for 'all'."""

    sample_type: str
    step: float | None
    similarity: float  # 0 to 100
    identity: float  # share of people who said it is the same person
    distances: Mapping[str, float]  # mean distance by recogniser
    accepted: Mapping[str, float]  # share accepted at the recogniser's default threshold
    lpips: float
    latent: float  # z-space tiled over StyleGAN2's 18 layers
    latent_ratio: float  # to the negatives' mean: the only form that compares with another generator


@dataclass(frozen=True)
class PublishedCorrelation:
    """A cell of Table 2: Pearson's r with rated identity, and the level that it was significant at."""

    r: float
    level: float


@lru_cache(maxsize=1)
def table1() -> tuple[PublishedMean, ...]:
    """All rows of Table 1, in the paper's order."""
    table = _read("table1.json")
    models = list(table["models"])
    rows = [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]
    negative = next(row["latent"] for row in rows if row["sample_type"] == "negative")
    return tuple(
        PublishedMean(
            sample_type=row["sample_type"],
            step=row["step"],
            similarity=row["similarity"],
            identity=row["identity"],
            distances={name: row[name] for name in models},
            accepted={name: row[f"{name}_accepted"] for name in models},
            lpips=row["lpips"],
            latent=row["latent"],
            latent_ratio=row["latent"] / negative,
        )
        for row in rows
    )


def published_mean(sample_type: str, step: float | None) -> PublishedMean | None:
    """The row of Table 1 for a type, or for a step of it; None where the paper has none."""
    for row in table1():
        if row.sample_type == sample_type and row.step == step:
            return row
    return None


def published_thresholds() -> dict[str, float]:
    """The default thresholds that the paper used, by recogniser."""
    return {name: model["threshold"] for name, model in _read("table1.json")["models"].items()}


@lru_cache(maxsize=1)
def table2() -> dict[str, dict[str, PublishedCorrelation | None]]:
    """Correlations by sample type and column; None where the paper's cell is empty (not significant)."""
    table = _read("table2.json")
    return {
        sample_type: {
            column: PublishedCorrelation(*cell) if cell else None for column, cell in zip(table["columns"], cells, strict=True)
        }
        for sample_type, cells in table["rows"].items()
    }


def _read(name: str) -> Any:
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))
