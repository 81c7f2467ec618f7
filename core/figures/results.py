"""Results of ``core.analysis`` -> the tidy tables that the figures take."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from core.analysis.acceptance import Proportion
from core.analysis.consistency import Consistency
from core.analysis.detection import Verification
from core.analysis.outcomes import OutcomeTable
from core.analysis.psychometric import PsychometricFunction
from core.analysis.tables_identity import CorrelationTable, MeanTable
from core.errors import LiminalError
from core.models import registry

MEASURES: Mapping[str, str] = {
    "similarity": "similarity, 0 to 100",
    "identity": "people who say 'same person'",
    "lpips": "LPIPS",
    "latent_ratio": "latent distance, in means of the negatives",
}
"""Columns of Table 1 that are not a recogniser's."""

CURVE_STEPS = 121


def title_of(name: str) -> str:
    """A model's name for people; what the registry does not know keeps its own."""
    special = {
        "similarity": "similarity",
        "latent": "latent distance",
        "lpips": "LPIPS",
        "vggface": "VGG-Face",
        "openface": "OpenFace",
    }
    special["facenet512"] = "FaceNet512"
    try:
        return special.get(name) or registry.entry(name).title
    except LiminalError:
        return name


def mean_columns(table: MeanTable) -> dict[str, str]:
    """Everything that ``mean_frame`` can show of a table -> its name for people."""
    own = dict(MEASURES)
    for name in table.thresholds:
        own[f"distance_{name}"] = f"distance by {title_of(name)}"
        own[f"accepted_{name}"] = f"accepted by {title_of(name)}"
    return own


def is_share(column: str) -> bool:
    """Whether a column of Table 1 is a share, to be shown in per cent."""
    return column == "identity" or column.startswith("accepted_")


def mean_frame(table: MeanTable, column: str) -> pd.DataFrame:
    """One column of Table 1 for ``tables.means``: sample_type, step, value, low, high, n, published."""
    kind, _, name = column.partition("_") if column.startswith(("distance_", "accepted_")) else (column, "", "")
    rows = []
    for row in table.rows:
        own = getattr(row, {"distance": "distances", "accepted": "accepted"}[kind])[name] if name else getattr(row, column)
        printed = math.nan
        if row.published is not None:
            if name:
                printed = getattr(row.published, {"distance": "distances", "accepted": "accepted"}[kind]).get(name, math.nan)
            else:
                printed = getattr(row.published, column)
        rows.append(
            {
                "sample_type": row.sample_type,
                "step": math.nan if row.step is None else row.step,
                "value": own.value,
                "low": own.low,
                "high": own.high,
                "n": own.n,
                "published": printed,
            }
        )
    return pd.DataFrame(rows, columns=["sample_type", "step", "value", "low", "high", "n", "published"])


def correlation_frame(table: CorrelationTable) -> pd.DataFrame:
    """Table 2 for ``tables.correlations``."""
    rows = [
        {
            "sample_type": cell.sample_type,
            "measure": title_of(cell.column),
            "r": cell.r.value,
            "low": cell.r.low,
            "high": cell.r.high,
            "p": cell.p_holm,
            "n": cell.r.n,
            "published": cell.published.r if cell.published else math.nan,
        }
        for cell in table.cells
    ]
    return pd.DataFrame(rows, columns=["sample_type", "measure", "r", "low", "high", "p", "n", "published"])


def verification_frames(results: Sequence[Verification]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Curves and equal error rates for ``verification.roc`` and ``det``."""
    columns = ["name", "threshold", "far", "frr"]
    curves = [
        pd.DataFrame(
            {
                "name": title_of(each.recogniser),
                "threshold": np.nan_to_num(each.thresholds, posinf=np.nan),
                "far": each.far_curve,
                "frr": each.frr_curve,
            }
        )
        for each in results
        if each.same and each.different
    ]
    rates = [
        {
            "name": title_of(each.recogniser),
            "eer": each.eer.value,
            "low": each.eer.low,
            "high": each.eer.high,
            "n": each.same + each.different,
            "threshold": each.eer_threshold.value,
        }
        for each in results
    ]
    return (
        pd.concat(curves, ignore_index=True) if curves else pd.DataFrame(columns=columns),
        pd.DataFrame(rates, columns=["name", "eer", "low", "high", "n", "threshold"]),
    )


def psychometric_frames(
    results: Mapping[str, PsychometricFunction], shares: pd.DataFrame | None = None
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Points, curves and fits for ``verification.psychometric``. results: name for people -> function; shares: further points."""
    points: list[dict[str, Any]] = []
    curves, fits = [], []
    grid = np.linspace(0, 1, CURVE_STEPS)
    for name, each in results.items():
        points += [{"name": name, "fraction": point.fraction, **_proportion(point.same)} for point in each.points if point.same.n]
        if math.isfinite(each.threshold.value):
            curves.append(pd.DataFrame({"name": name, "fraction": grid, "share": each.curve(grid)}))
            fits.append({"name": name, "threshold": each.threshold.value, "low": each.threshold.low, "high": each.threshold.high})
    own = pd.DataFrame(points, columns=["name", "fraction", "share", "low", "high", "n"])
    return (
        pd.concat([own, shares], ignore_index=True) if shares is not None and len(shares) else own,
        pd.concat(curves, ignore_index=True) if curves else pd.DataFrame(columns=["name", "fraction", "share"]),
        pd.DataFrame(fits, columns=["name", "threshold", "low", "high"]),
    )


def acceptance_frame(pairs: pd.DataFrame, recogniser: str, *, types: Sequence[str] = (), steps: int = 160) -> pd.DataFrame:
    """Shares accepted at ``steps`` thresholds by type, with Wilson's intervals, for ``verification.acceptance_curve``."""
    column = pairs[f"distance_{recogniser}"]
    top = 1.02 * float(column.max()) if column.notna().any() else 1.0
    rows = []
    for name in types or list(dict.fromkeys(pairs["sample_type"])):
        own = np.sort(column[pairs["sample_type"] == name].dropna().to_numpy(np.float64))
        if not len(own):
            continue
        for threshold in np.linspace(0, top, steps):
            share = Proportion.of(int(np.searchsorted(own, threshold, side="left")), len(own))
            rows.append({"sample_type": name, "threshold": threshold, **_proportion(share)})
    return pd.DataFrame(rows, columns=["sample_type", "threshold", "share", "low", "high", "n"])


def consistency_frame(result: Consistency) -> pd.DataFrame:
    """Kappas as a square table for ``agreement.error_consistency``; models carry their titles."""
    names = [title_of(name) if kind == "model" else name for name, kind in zip(result.deciders, result.sources, strict=True)]
    return pd.DataFrame(result.kappa, index=names, columns=names)


def outcome_frame(result: OutcomeTable) -> pd.DataFrame:
    """Outcomes by pair of emotions for ``emotion.outcome_shares``."""
    rows = [
        {
            "emotion1": first,
            "emotion2": second,
            "success": each.success.count,
            "bias": each.bias.count,
            "failure": each.failure.count,
            "low": each.success.low,
            "high": each.success.high,
        }
        for (first, second), each in result.pairs.items()
    ]
    return pd.DataFrame(rows, columns=["emotion1", "emotion2", "success", "bias", "failure", "low", "high"])


def rated_pairs(pairs: pd.DataFrame, ratings: pd.DataFrame) -> pd.DataFrame:
    """Pairs with what people say: similarity (mean, NaN over none), same (most say so; null where tied or not asked), votes.

    ratings: those that count, rows of ``core.studies.ratings.RATINGS``.
    """
    values = ratings[ratings["task"] != "emotion"]
    of_task = {
        task: values.loc[values["task"] == task]
        .assign(value=lambda part: part["value"].astype("float64"))
        .groupby("stimulus")["value"]
        for task in ("similarity", "identity")
    }
    share = of_task["identity"].mean().reindex(pairs["pair_id"]).to_numpy(np.float64)
    same = pd.array(share > 0.5, dtype="boolean")
    same[~np.isfinite(share) | (share == 0.5)] = pd.NA
    return pairs.assign(
        similarity=of_task["similarity"].mean().reindex(pairs["pair_id"]).to_numpy(np.float64),
        identity=share,
        same=same,
        votes=of_task["identity"].size().reindex(pairs["pair_id"]).fillna(0).to_numpy(np.int64),
    )


def _proportion(share: Proportion) -> dict[str, float]:
    return {"share": share.share, "low": share.low, "high": share.high, "n": share.n}
