"""Accepting at any threshold, and recognisers held against the majority of people."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from core.analysis.acceptance import ORDER, Proportion
from core.analysis.detection import NO_TRUTH, Verification, verification
from core.analysis.disagreement import wilson
from core.errors import LiminalError
from core.figures import theme
from core.figures import verification as drawn
from core.figures.dots import dots
from core.figures.exhibits.exhibit import Exhibit, View, estimate, in_order, source_of, threshold_of, title_of
from core.progress import Progress
from core.sampling.thresholds import load_thresholds

if TYPE_CHECKING:
    from core.analysis.material import Material

STEPS = 140
"""Thresholds of a curve."""


def acceptance(material: Material, view: View, _: Progress) -> list[Exhibit]:
    """How many of each type are accepted at any threshold, with the default, the calibrated and the chosen one."""
    name, title = view.recogniser, title_of(view.recogniser)
    marks = marked(material, name)
    if view.threshold is not None:
        marks = {"chosen": view.threshold, **marks}
    curve = acceptance_curves(material.pairs, name)
    at = pd.DataFrame(
        [
            {"name": sample_type, "series": f"{words} ({limit:.3f})", **_share(material.pairs, sample_type, name, limit)}
            for words, limit in marks.items()
            for sample_type in _types(material.pairs)
        ],
        columns=["name", "series", "value", "low", "high", "n"],
    )
    source = "models"
    chosen_limit = next(iter(marks.values()))
    every = Proportion.of(*_counted(material.pairs, name, chosen_limit))
    strangers = Proportion.of(*_counted(material.pairs[material.pairs["sample_type"] == "negative"], name, chosen_limit))
    says = f"At {next(iter(marks))} threshold {chosen_limit:.3g}, {title} accepts {theme.percent(every.share)} of all pairs"
    says += f" and {theme.percent(strangers.share)} of two different people." if strangers.n else "."
    return [
        Exhibit(
            "acceptance-at",
            dots(
                at,
                measure=f"accepted by {title}",
                says=says.replace("At default", "At its default").replace("At chosen", "At the chosen"),
                n=f"{every.n:,} pairs with two faces",
                interval="95 % Wilson intervals",
                source=source,
                share=True,
                span=(-0.02, 1.02),
                nothing=f"No pair has a distance by {title}.",
            ),
            at,
            "The share of pairs that a device with this recogniser would take for one person. Calibrated: the threshold at "
            "which the stated share of two random faces of this generator is accepted. Paper A, Table 1, in brackets.",
        ),
        Exhibit(
            "acceptance-curve",
            drawn.acceptance_curve(curve, recogniser=title, source=source, thresholds=marks),
            curve,
            "Read it upwards from a threshold: each line says which share of its type of samples would be accepted there.",
        ),
    ]


def marked(material: Material, recogniser: str) -> Mapping[str, float]:
    """Words -> threshold: the default one, then the calibrated ones where they are stored for the set's generator."""
    marks = {"default": material.thresholds[recogniser]} if recogniser in material.thresholds else {}
    try:
        for each in load_thresholds(material.generator, recogniser).calibrated:
            marks[f"calibrated to {100 * each.rate:g} %"] = each.distance
    except LiminalError:
        pass  # never calibrated for this generator
    return marks


def acceptance_curves(pairs: pd.DataFrame, recogniser: str) -> pd.DataFrame:
    """sample_type, threshold, share, low, high, n: one row a type and threshold, over all distances that occur."""
    column = f"distance_{recogniser}"
    columns = ["sample_type", "threshold", "share", "low", "high", "n"]
    known = pairs.dropna(subset=[column]) if column in pairs else pairs.head(0)
    if known.empty:
        return pd.DataFrame(columns=columns)
    limits = np.linspace(0, float(known[column].max()) * 1.03, STEPS)
    parts = []
    for sample_type in _types(known):
        distances = np.sort(known.loc[known["sample_type"] == sample_type, column].to_numpy(np.float64))
        count = np.searchsorted(distances, limits, side="left").astype(np.float64)  # strictly below
        share, low, high = wilson(count, np.full(STEPS, len(distances), np.float64))
        parts.append(
            pd.DataFrame(
                {"sample_type": sample_type, "threshold": limits, "share": share, "low": low, "high": high, "n": len(distances)}
            )
        )
    return pd.concat(parts, ignore_index=True)


def against_people(material: Material, view: View, _: Progress) -> list[Exhibit]:
    """ROC, DET and error rates of all recognisers against the majority of people."""
    found = {name: _verified(material, name, view) for name in in_order(material, view)}
    curves = pd.concat(
        [
            pd.DataFrame({"name": title_of(name), "threshold": each.thresholds, "far": each.far_curve, "frr": each.frr_curve})
            for name, each in found.items()
        ],
        ignore_index=True,
    )
    rates = pd.DataFrame(
        [
            {
                "name": title_of(name),
                "eer": each.eer.value,
                "low": each.eer.low,
                "high": each.eer.high,
                "n": each.basis.images,
                "threshold": each.eer_threshold.value,
            }
            for name, each in found.items()
        ]
    )
    first = next(iter(found.values()))
    source = source_of(material, first.basis.source, "models")
    note = " ".join(dict.fromkeys(each.note for each in found.values()))
    definition = (
        "Generated faces have no true identity, so what most people say stands in for it. Wrongly accepted: people say "
        "'different' and the recogniser accepts. Wrongly refused: the other way round. Equal error rate: where both are equal."
    )
    points = pd.DataFrame([row for name, each in found.items() for row in _rates(title_of(name), each)])
    worst = max(found.values(), key=lambda each: -1 if math.isnan(each.far.share) else each.far.share)
    says = (
        f"At its threshold {worst.threshold:.3g}, {title_of(worst.recogniser)} wrongly accepts {theme.percent(worst.far.share)} "
        f"of the pairs that most people call different, and wrongly refuses {theme.percent(worst.frr.share)} of those they call "
        "the same."
        if worst.far.n and worst.frr.n
        else "It takes pairs that most people call the same and pairs that most call different."
    )
    det = drawn.det(curves, rates, source=source)
    if len(curves):
        det.layout.meta["says"] = (
            "On axes that stretch small rates: the nearer a line comes to the corner at the lower left, the less often its "
            "recogniser departs from people."
        )
    return [
        Exhibit("roc", drawn.roc(curves, rates, source=source), curves, definition, note, numbers=found),
        Exhibit(
            "det",
            det,
            curves,
            f"{definition} The same as the curve before, on axes that stretch the small rates (Martin et al. 1997).",
            numbers=rates,
        ),
        Exhibit(
            "error-rates",
            dots(
                points,
                measure="share of pairs",
                says=says,
                n=f"{first.basis.images:,} pairs with a majority",
                interval=first.interval,
                source=source,
                share=True,
                nothing=first.note or NO_TRUTH,
            ),
            points,
            f"{definition} Sensitivity d′ says how well a recogniser tells the two apart (0: not at all), whatever its threshold.",
            note,
        ),
    ]


def _verified(material: Material, name: str, view: View) -> Verification:
    threshold = threshold_of(material, view, name)
    return verification(material.pairs, material.ratings, name, threshold, excluded=material.excluded)


def _rates(title: str, each: Verification) -> list[dict[str, object]]:
    of = {"wrongly accepted": each.far, "wrongly refused": each.frr}
    rows: list[dict[str, object]] = [
        {"name": name, "series": title, "value": rate.share, "low": rate.low, "high": rate.high, "n": rate.n}
        for name, rate in of.items()
    ]
    rows.append({"name": "equal error rate", "series": title, **estimate(each.eer)})
    return rows


def _types(pairs: pd.DataFrame) -> list[str]:
    there = set(pairs["sample_type"])
    return [name for name in ORDER if name in there]


def _counted(pairs: pd.DataFrame, recogniser: str, limit: float) -> tuple[int, int]:
    distances = pairs[f"distance_{recogniser}"].dropna()
    return int((distances < limit).sum()), len(distances)


def _share(pairs: pd.DataFrame, sample_type: str, recogniser: str, limit: float) -> dict[str, float | int]:
    found = Proportion.of(*_counted(pairs[pairs["sample_type"] == sample_type], recogniser, limit))
    return {"value": found.share, "low": found.low, "high": found.high, "n": found.n}
