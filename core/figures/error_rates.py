"""Error rates of recognisers on people of a generator that knows who is who: by condition, and as a DET curve."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from core.analysis.error_rates import INTERVAL, ErrorRates, RecogniserErrors, explain_ranges, find_costs, tabulate_levels
from core.figures import theme
from core.figures.dots import narrow_labels, plot_dots
from core.figures.exhibit import Exhibit
from core.figures.verification import plot_det
from core.models import registry

DEFINITION = (
    "Refused: pairs of two pictures of one person that lie beyond the limit (false non-match rate, ISO/IEC 19795-1). The limits "
    "were set on other people, so that 1 pair of strangers in 100, or fewer, lies within. Angles and strengths are the larger ones "
    "of the two pictures. Turn, nod, light and expression are counted among pairs in which nothing worn has changed."
)
PERSONAL = ("age",)
"""Conditions of the person rather than of the pictures; shown with what is worn."""


def exhibit_error_rates(rates: ErrorRates, limit: int = 0) -> list[Exhibit]:
    """The share refused by scene and expression, by what is worn, and the DET curves. limit: place among the stored limits."""
    table = tabulate_levels(rates)
    rate = rates.recognisers[0].limits[limit][0]
    table = table[table["limit"] == rate]
    conditions = list(dict.fromkeys(table["condition"]))
    scene = [name for name in conditions if name in {item.name for item in rates.ranges} and name not in PERSONAL]
    first = rates.recognisers[0]
    exhibits = []
    for key, chosen in (("scene", [conditions[1], *scene]), ("worn", [name for name in conditions if name not in scene])):
        rows = table[table["condition"].isin(chosen)]
        if key == "scene":
            rows = rows[(rows["condition"] != conditions[1]) | (rows["level"] == first.levels[1].level)]
        exhibits.append(
            Exhibit(
                f"errors-{key}",
                narrow_labels(
                    plot_dots(
                        _name_rows(rows),
                        measure=f"one person refused at the limit for 1 stranger in {1 / rate:,.0f}",
                        says=_say_what_costs(first, chosen, limit),
                        n=f"{int(rows.groupby('recogniser')['pairs'].max().max()):,} pairs of {rates.people} people",
                        interval=INTERVAL,
                        source="model",
                        share=True,
                        span=(0.0, min(1.0, 1.05 * float(rows["high"].max()))),
                    ),
                    30,
                ),
                tabulate_levels(rates),
                f"{DEFINITION} Measured on {explain_ranges(rates)}",
            )
        )
    return [*exhibits, exhibit_det(rates)]


def _say_what_costs(errors: RecogniserErrors, conditions: Sequence[str], limit: int) -> str:
    """Which of these conditions costs a recogniser most, as the sentence of a figure."""
    for worst, best in find_costs(errors, limit):
        if worst.condition in conditions:
            title = registry.title(errors.recogniser)
            shares = [theme.format_percent(row.refused[limit].share) for row in (worst, best)]
            return (
                f"What costs {title} most here is {worst.condition}: it refuses {shares[0]} of the pairs "
                f"of one person {_place(worst.level)}, and {shares[1]} {_place(best.level)}."
            )
    return f"How often {registry.title(errors.recogniser)} refuses the same person."


def _place(level: str) -> str:
    """'in one of the two' as it is, 'strong, over 0.7' with 'at'."""
    return level if level.startswith("in ") else f"at '{level}'"


def _name_rows(table: pd.DataFrame) -> pd.DataFrame:
    pairs = zip(table["condition"].astype(str), table["level"].astype(str), strict=True)
    names = [f"{condition}: {level}" if level else condition for condition, level in pairs]
    titles = [registry.title(str(name)) for name in table["recogniser"]]
    return table.assign(name=names, series=titles, n=table["pairs"]).rename(columns={"share": "value"})


def exhibit_det(rates: ErrorRates) -> Exhibit:
    """Detection error trade-off of all recognisers, against who is who by construction."""
    curves = pd.concat(
        [
            pd.DataFrame(
                {
                    "name": registry.title(errors.recogniser),
                    "threshold": errors.curve.thresholds,
                    "far": errors.curve.false_match,
                    "frr": errors.curve.false_non_match,
                }
            )
            for errors in rates.recognisers
        ],
        ignore_index=True,
    )
    equal = pd.DataFrame(
        [
            {
                "name": registry.title(errors.recogniser),
                "eer": errors.equal_error.share,
                "low": errors.equal_error.low,
                "high": errors.equal_error.high,
                "n": errors.genuine_pairs + errors.impostor_pairs,
                "threshold": errors.equal_error_distance,
            }
            for errors in rates.recognisers
        ]
    )
    best = min(rates.recognisers, key=lambda errors: errors.equal_error.share)
    figure = plot_det(curves, equal, source="model", interval=INTERVAL)
    figure.layout.meta["says"] = (
        f"{registry.title(best.recogniser)} tells these people apart best: where it lets in strangers as often as it refuses the "
        f"same person, both happen in {100 * best.equal_error.share:.1f} % of pairs ({100 * best.equal_error.low:.1f} to "
        f"{100 * best.equal_error.high:.1f})."
    )
    figure.layout.meta["n"] = (
        f"{best.genuine_pairs:,} pairs of one person and {best.impostor_pairs:,} pairs of two, of {rates.people} people"
    )
    return Exhibit(
        "errors-det",
        figure,
        curves,
        "Who is who is known by construction. Wrongly accepted: pairs of two people within the threshold; wrongly refused: pairs "
        "of one person beyond it; axes stretch the small rates (Martin et al. 1997, Eurospeech).",
        numbers=equal,
    )
