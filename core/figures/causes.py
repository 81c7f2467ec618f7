"""What the machine minds beside what people mind: the effect of each latent that was moved alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from core.analysis.causes import load_limits, measure_pair_distances, measure_people
from core.analysis.estimate import Estimate
from core.figures import theme
from core.figures.dots import wrap_label
from core.figures.exhibit import Exhibit, ExhibitView, find_threshold, name_raters, name_source, order_recognisers
from core.figures.theme import Source
from core.models import registry
from core.progress import Progress

if TYPE_CHECKING:
    from core.analysis.study_data import StudyData

MAX_ROWS = 24
ROW_HEIGHT = 27
DEFINITION = (
    "One named part of a face is moved alone, to its low or high end, and nothing else: what changes is caused by it. Machine: the "
    "distance between the two pictures over the recogniser's limit; 1 is as far as the limit lets two pictures of one person be. "
    "People: how unlike they find the two pictures, 0 equal and 1 nothing in common. Who somebody is may matter; light, pose and "
    "expression should not. This answers section 5.5 of paper A by an experiment."
)


def build_effect_rows(machine: Mapping[str, Estimate], people: Mapping[str, Estimate]) -> pd.DataFrame:
    """name, machine, machine_low, machine_high, machine_n, the same of people; what the machine minds most first."""
    nothing = Estimate(np.nan, np.nan, np.nan, 0)
    rows = []
    for name in dict.fromkeys([*machine, *people]):
        row: dict[str, object] = {"name": name.replace("_", " ")}
        for side, values in (("machine", machine), ("people", people)):
            value = values.get(name, nothing)
            row |= {side: value.value, f"{side}_low": value.low, f"{side}_high": value.high, f"{side}_n": value.n}
        rows.append(row)
    table = pd.DataFrame(rows)
    return (
        table.sort_values("machine", ascending=False, kind="stable", na_position="last").reset_index(drop=True) if rows else table
    )


def plot_effects(
    table: pd.DataFrame, *, recogniser: str, who: str, n: str, source: Source, interval: str, nothing: str
) -> go.Figure:
    """Two rows of dots beside each other, one name a row. table: of ``build_effect_rows``."""
    known = table.dropna(subset=["machine"]) if len(table) else table
    if known.empty:
        return theme.build_empty_figure(nothing, source)
    rows = known.head(MAX_ROWS)
    figure = go.Figure()
    for number, (side, title) in enumerate((("machine", recogniser), ("people", who))):
        value, low, high = (rows[name].to_numpy(np.float64) for name in (side, f"{side}_low", f"{side}_high"))
        figure.add_scatter(
            x=value,
            y=rows["name"],
            xaxis=f"x{number + 1 if number else ''}",
            mode="markers",
            name=title,
            showlegend=False,
            marker={"size": 10, "color": theme.CATEGORIES[number], "symbol": theme.SYMBOLS[number]},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": np.nan_to_num(high - value).clip(0),
                "arrayminus": np.nan_to_num(value - low).clip(0),
                "color": theme.CATEGORIES[number],
                "thickness": 1.8,
                "width": 0,
            },
            text=[
                f"{name}: {theme.format_interval(a, b, c, 2)}, n = {int(count):,}"
                for name, a, b, c, count in zip(rows["name"], value, low, high, rows[f"{side}_n"], strict=True)
            ],
            hovertemplate="%{text}<extra></extra>",
        )
    figure.update_layout(
        xaxis={"title": wrap_label(f"{recogniser}: distance over the limit", 26), "domain": [0, 0.47], "rangemode": "tozero"},
        xaxis2={"title": wrap_label(f"{who}: how unlike", 26), "domain": [0.53, 1], "range": [0, 1], "anchor": "y"},
        yaxis={"type": "category", "autorange": "reversed", "showgrid": True},
        height=130 + ROW_HEIGHT * len(rows),
    )
    return theme.describe_figure(figure, says=say_effects(rows, recogniser, who), n=n, interval=interval, source=source)


def say_effects(rows: pd.DataFrame, recogniser: str, who: str) -> str:
    """In one sentence what each side minds most."""
    first = theme.join_names(rows["name"].head(3).tolist())
    answered = rows.dropna(subset=["people"])
    if answered.empty:
        return f"{recogniser} minds {first} most; nobody has been asked yet."
    people = theme.join_names(answered.sort_values("people", ascending=False, kind="stable")["name"].head(3).tolist())
    return f"{recogniser} minds {first} most; {who} mind {people} most."


def exhibit_single_changes(study_data: StudyData, view: ExhibitView, _: Progress) -> list[Exhibit]:
    """Of a study with pairs in which one latent was moved: what each recogniser minds beside what people mind."""
    people = measure_people(study_data.pairs, study_data.ratings, excluded=study_data.excluded)
    who = name_raters(study_data)
    unlike = {name: effect.unlike for name, effect in people.effects.items()}
    different = {name: effect.different for name, effect in people.effects.items()}
    exhibits = []
    for name in order_recognisers(study_data, view):
        limit = find_threshold(study_data, view, name)
        if study_data.generator and (view.threshold is None or name != view.recogniser):
            limit = load_limits(study_data.generator, [name])[name].distance
        machine = measure_pair_distances(study_data.pairs, name, limit)
        table = build_effect_rows(machine, unlike)
        source = name_source(study_data, people.basis.source, "models")
        persons = max((value.n for value in machine.values()), default=0)
        figure = plot_effects(
            table,
            recogniser=registry.title(name),
            who=who,
            n=f"{persons} people in the pictures, {people.basis.raters:,} {who}, {people.basis.answers:,} answers",
            source=source,
            interval=f"{people.interval}; of the machine over the people in the pictures",
            nothing="No pair of this study has one part of a face moved alone.",
        )
        table = table.assign(
            different=[different[key].value if key in different else np.nan for key in table["name"].str.replace(" ", "_")]
        )
        exhibits.append(
            Exhibit(f"changes-{name}", figure, table, f"{DEFINITION} Limit of {registry.title(name)}: {limit:.3f}.", people.note)
        )
    return exhibits
