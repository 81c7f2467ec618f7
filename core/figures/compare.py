"""Two studies, sets, groups or models beside each other: both values and their difference, by sample type or pair of emotions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from core.analysis.choices import correct_entropy, count_votes
from core.analysis.comparison import Comparison, build_answers_side, build_group_cells, build_values_side, compare_sides
from core.analysis.detection import find_majority
from core.analysis.encode import encode, select_answers, select_probabilities
from core.analysis.estimate import Array, Basis
from core.analysis.identity_tables import order_sample_types
from core.errors import LiminalError
from core.figures import theme
from core.figures.dots import plot_dots
from core.figures.exhibit import Exhibit, ExhibitView, find_threshold, name_source
from core.figures.identity import build_rated_pairs, plot_similarity_by_distance
from core.models import registry
from core.models.emotions import EMOTIONS
from core.studies.ratings import Task

if TYPE_CHECKING:
    from core.analysis.study_data import StudyData


PANEL_GAP = 0.05


def place_side_by_side(figures: Sequence[tuple[str, go.Figure]]) -> go.Figure:
    """Put two or more (title, figure), each with one pair of axes, beside each other in one figure; zooming one zooms all.

    Colour scales and the legend are shared: a name is listed once. Raises LiminalError for a figure of several panels.
    """
    panels = go.Figure()
    width = (1 - PANEL_GAP * (len(figures) - 1)) / len(figures)
    layout: dict[str, Any] = {}
    listed: set[str] = set()
    for index, (title, figure) in enumerate(figures):
        plain = figure.to_plotly_json()
        if "xaxis2" in plain["layout"]:
            raise LiminalError("Only figures with one panel can stand side by side; choose another figure.")
        suffix = "" if index == 0 else str(index + 1)
        left = index * (width + PANEL_GAP)
        for trace in plain["data"]:
            trace = {**trace, "xaxis": f"x{suffix}", "yaxis": f"y{suffix}"}
            name = str(trace.get("legendgroup") or str(trace.get("name") or "").split(" (")[0])
            trace["legendgroup"] = name
            if trace.get("name") and trace.get("showlegend") is not False:
                trace["showlegend"] = name not in listed
                listed.add(name)
            panels.add_trace(trace)
        panel_layout = plain["layout"]
        layout[f"xaxis{suffix}"] = {**panel_layout.get("xaxis", {}), "domain": [left, left + width], "anchor": f"y{suffix}"}
        layout[f"yaxis{suffix}"] = {**panel_layout.get("yaxis", {}), "anchor": f"x{suffix}"}
        if index:
            layout[f"xaxis{suffix}"]["matches"], layout[f"yaxis{suffix}"]["matches"] = "x", "y"
            layout[f"yaxis{suffix}"] |= {"title": None, "showticklabels": False}
        for kind in ("annotations", "shapes"):
            for part in panel_layout.get(kind, ()):
                layout.setdefault(kind, []).append(_move_to_panel(part, suffix))
        layout.setdefault("annotations", []).append(
            {
                "text": f"<b>{title}</b>",
                "xref": "paper",
                "yref": "paper",
                "x": left,
                "y": 1,
                "xanchor": "left",
                "yanchor": "bottom",
                "yshift": 4,
                "showarrow": False,
            }
        )
        for name in ("barmode", "violinmode", "violingap", "height"):
            if name in panel_layout:
                layout[name] = panel_layout[name]
    layout["legend"] = {"y": -0.16, "yanchor": "top"}
    panels.update_layout(layout)
    metas = [figure.layout.meta for _, figure in figures]
    sources = [meta["source"] for meta in metas]
    return theme.describe_figure(
        panels,
        says=" ".join(f"{title}: {meta['says']}" for (title, _), meta in zip(figures, metas, strict=True)),
        n=" and ".join(str(meta["n"]) for meta in metas),
        interval=metas[0]["interval"],
        source=" and ".join(dict.fromkeys(name for source in sources if source for name in source.split(" and "))),
    )


def _move_to_panel(part: dict[str, Any], suffix: str) -> dict[str, Any]:
    """Move an annotation or shape to its panel's axes."""
    moved = dict(part)
    for axis in ("x", "y"):
        where = str(moved.get(f"{axis}ref", axis))
        moved[f"{axis}ref"] = f"{axis}{suffix} domain" if where in ("paper", f"{axis} domain") else f"{axis}{suffix}"
    return moved


PAIR_MEASURES = ("same-person", "similarity", "accepted", "agreement")
"""Keys of comparisons that are about pairs of faces."""


def exhibit_sides(comparison: Comparison, key: str, measure: str, *, share: bool, source: str) -> list[Exhibit]:
    """Two exhibits of a comparison: both sides on one axis, and their difference."""
    table = comparison.table
    sides = pd.concat(
        [
            pd.DataFrame(
                {
                    "name": table["name"],
                    "series": title,
                    "value": table[of],
                    "low": table[f"{of}_low"],
                    "high": table[f"{of}_high"],
                    "n": table[f"{of}_n"],
                }
            )
            for of, title in (("first", comparison.first), ("second", comparison.second))
        ],
        ignore_index=True,
    )
    apart = table.rename(columns={"difference": "value"})[["name", "value", "low", "high"]].assign(
        n=table[["first_n", "second_n"]].min(axis=1)
    )
    noun = "pairs" if key in PAIR_MEASURES else "faces"
    n = f"{comparison.basis.images:,} {noun}" + (f", {comparison.basis.raters:,} raters" if comparison.basis.raters else "")
    whole = table[table["name"] == "all"].iloc[0]
    digits, factor, unit = (0, 100.0, " %") if share else (1, 1.0, "")

    def format_value(value: float) -> str:
        return theme.format_number(factor * value, digits)

    titled = f"{measure[:1].upper()}{measure[1:]}"
    first = f"{titled}: {format_value(whole['first'])}{unit} for {comparison.first}, "
    first += f"{format_value(whole['second'])}{unit} for {comparison.second}."
    clear = comparison.clear()
    clear = clear[clear["name"] != "all"]
    if np.isfinite(whole["difference"]):
        sure = whole["low"] > 0 or whole["high"] < 0
        points = "percentage points" if share else "bits" if measure.endswith("bits") else "points"
        way = "above" if whole["difference"] > 0 else "below"
        second = (
            f"{comparison.second[:1].upper()}{comparison.second[1:]} lies {format_value(abs(whole['difference']))} {points} {way} "
            f"{comparison.first} ({_describe_difference(whole, sure, format_value)})"
            + (", a clear difference." if sure else ", which may be chance.")
        )
        if len(clear):
            few = theme.join_names([str(name) for name in clear["name"].head(4)])
            second += f" Row by row it is clear for {few}{' and others' if len(clear) > 4 else ''}."
    else:
        second = "There is nothing to compare: one side has no values."
    definition = (
        f"{titled}, by {'type of sample' if noun == 'pairs' else 'pair of feelings'}. The difference is "
        f"{comparison.second} minus {comparison.first}; where its interval holds 0, it may be chance. Intervals are not corrected "
        "for looking at several rows."
    )
    return [
        Exhibit(
            f"{key}-both",
            plot_dots(sides, measure=measure, says=first, n=n, interval=comparison.interval, source=source, share=share),
            sides,
            definition,
            comparison.note,
            comparison,
        ),
        Exhibit(
            f"{key}-difference",
            plot_dots(
                apart,
                measure=f"difference in {measure}",
                says=second,
                n=n,
                interval=comparison.interval,
                source=source,
                share=share,
                difference=share,
                reference=(0.0, "no difference"),
            ),
            apart,
            definition,
        ),
    ]


def _describe_difference(whole: pd.Series[Any], sure: bool, format_value: Callable[[float], str]) -> str:
    """Describe the interval of a difference whose sign the sentence names already."""
    low, high = float(whole["low"]), float(whole["high"])
    if not sure:
        return f"{format_value(abs(low))} below to {format_value(abs(high))} above"
    return f"{format_value(min(abs(low), abs(high)))} to {format_value(max(abs(low), abs(high)))}"


def compare_studies(first: StudyData, second: StudyData, titles: tuple[str, str], view: ExhibitView) -> list[Exhibit]:
    """Compare two studies, two sample sets, or the answers of two groups. Raises LiminalError where they ask different things."""
    if first.kind != second.kind:
        raise LiminalError("One asks who it is and the other which feeling it is; choose two of one kind.")
    return _compare_identity(first, second, titles, view) if first.kind == "identity" else _compare_emotion(first, second, titles)


def _compare_identity(first: StudyData, second: StudyData, titles: tuple[str, str], view: ExhibitView) -> list[Exhibit]:
    tables = (first.pairs, second.pairs)
    order = order_sample_types(name for table in tables for name in table["sample_type"])
    shared = set(first.pairs["pair_id"]) == set(second.pairs["pair_id"])
    if shared:
        tables = (first.pairs, first.pairs)
    sides = tuple(zip((first, second), titles, tables, strict=True))
    cells = [build_group_cells(table["sample_type"], order) for table in tables]
    names = [*order, "all"]
    exhibits: list[Exhibit] = []
    questions: tuple[tuple[Task, str, str, bool], ...] = (
        ("identity", "same-person", "share of 'same person'", True),
        ("similarity", "similarity", "rated similarity, 0 to 100", False),
    )
    for task, key, measure, share in questions:
        codes = [encode(select_answers(m.ratings, task, excluded=m.excluded), table["pair_id"]) for m, _, table in sides]
        if all(len(answers.value) for answers in codes):
            both = [
                build_answers_side(title, answers, cell) for (_, title, _), answers, cell in zip(sides, codes, cells, strict=True)
            ]
            comparison = compare_sides(names, both[0], both[1], shared=shared)
            exhibits += exhibit_sides(comparison, key, measure, share=share, source=_join_sources(first, second, comparison))
    exhibits += _exhibit_side_by_side([(title, study_data, view.recogniser) for study_data, title, _ in sides], view)
    if view.recogniser and not shared and all(view.recogniser in study.thresholds for study in (first, second)):
        both = []
        for (study_data, title, table), cell in zip(sides, cells, strict=True):
            both.append(
                build_values_side(
                    title, _list_accepted(study_data, table, view.recogniser, view), cell, Basis(len(table), 0, 0, "models")
                )
            )
        comparison = compare_sides(names, both[0], both[1], shared=False)
        exhibits += exhibit_sides(
            comparison, "accepted", f"share accepted by {registry.title(view.recogniser)}", share=True, source="models"
        )
    return exhibits


def _compare_emotion(first: StudyData, second: StudyData, titles: tuple[str, str]) -> list[Exhibit]:
    tables = (first.asked, second.asked)
    shared = set(tables[0]["sample_id"]) == set(tables[1]["sample_id"])
    if shared:
        tables = (tables[0], tables[0])
    pairs = [_name_pairs(table) for table in tables]
    order = [
        name for name in dict.fromkeys([*pairs[0], *pairs[1]]) if name and (pairs[0] == name).any() and (pairs[1] == name).any()
    ]
    cells = [build_group_cells(names_of_pairs, order) for names_of_pairs in pairs]
    names = [*order, "all"]
    counts, basis = [], []
    for study_data, table in zip((first, second), tables, strict=True):
        codes = encode(
            select_answers(study_data.ratings, "emotion", excluded=study_data.excluded, sentinels=False), table["sample_id"]
        )
        counts.append(count_votes(codes))
        basis.append(codes)
    exhibits = []
    if all(votes.sum() for votes in counts):
        both = []
        for codes, table, title, cell in zip(basis, tables, titles, cells, strict=True):
            wanted = _find_emotions(table)[codes.image]
            hit = np.where(wanted[:, 0] == codes.value, 1.0, np.where(wanted[:, 1] == codes.value, 1.0, 0.0))
            both.append(build_answers_side(title, type(codes)(**{**codes.__dict__, "value": hit}), cell))
        comparison = compare_sides(names, both[0], both[1], shared=shared)
        exhibits += exhibit_sides(
            comparison,
            "wanted",
            "votes for one of the two wanted feelings",
            share=True,
            source=_join_sources(first, second, comparison),
        )
        bits = [np.where(votes.sum(axis=1) > 1, correct_entropy(votes), np.nan) for votes in counts]
        both = [
            build_values_side(title, value, cell, codes.basis)
            for title, value, cell, codes in zip(titles, bits, cells, basis, strict=True)
        ]
        comparison = compare_sides(names, both[0], both[1], shared=shared)
        exhibits += exhibit_sides(
            comparison, "bits", "how divided people are, bits", share=False, source=_join_sources(first, second, comparison)
        )
    known = [name for name in first.classifiers if name in second.classifiers]
    if not shared and known:
        both = []
        for study_data, table, title, cell in zip((first, second), tables, titles, cells, strict=True):
            p = select_probabilities(table, known[-1], study_data.steerer)
            both.append(build_values_side(title, _sum_pair_shares(p, table), cell, Basis(len(table), 0, 0, "models")))
        comparison = compare_sides(names, both[0], both[1], shared=False)
        exhibits += exhibit_sides(
            comparison,
            "probability",
            f"probability of the two feelings by {registry.title(known[-1])}",
            share=True,
            source="models",
        )
    return exhibits


def compare_models(study_data: StudyData, first: str, second: str, view: ExhibitView) -> list[Exhibit]:
    """Compare two recognisers or two classifiers on the same images. Raises LiminalError for one that did not judge them."""
    return (
        _compare_recognisers(study_data, first, second, view)
        if study_data.kind == "identity"
        else _compare_classifiers(study_data, first, second)
    )


def compare_people(study_data: StudyData, model: str, view: ExhibitView) -> list[Exhibit]:
    """Compare the people of a study with one recogniser or classifier on the same images. Raises LiminalError for one that did not
    judge them; nothing where nobody answered.
    """
    people = "Simulated observers" if study_data.source == "simulated" else "People"
    identity = study_data.kind == "identity"
    table = study_data.pairs if identity else study_data.asked
    groups = table["sample_type"] if identity else _name_pairs(table)
    order = order_sample_types(groups) if identity else [name for name in dict.fromkeys(groups) if name]
    cells, names = build_group_cells(groups, order), [*order, "all"]
    task: Task = "identity" if identity else "emotion"
    answers = select_answers(study_data.ratings, task, excluded=study_data.excluded, sentinels=identity)
    codes = encode(answers, table["pair_id" if identity else "sample_id"])
    if not len(codes.value):
        return []
    if identity:
        values, key, measure = _list_accepted(study_data, table, model, view), "one-person", "share taken for one person"
    else:
        wanted = _find_emotions(table)[codes.image]
        codes = type(codes)(
            **{**codes.__dict__, "value": (wanted == np.asarray(codes.value)[:, None]).any(axis=1).astype(np.float64)}
        )
        values = _sum_pair_shares(select_probabilities(table, model, study_data.steerer), table)
        key, measure = "wanted", "share for one of the two wanted feelings: votes, and probability"
    sides = (
        build_answers_side(people, codes, cells),
        build_values_side(registry.title(model), values, cells, Basis(len(table), 0, len(table), "models")),
    )
    comparison = compare_sides(names, *sides, shared=True)
    return exhibit_sides(comparison, key, measure, share=True, source=name_source(study_data, study_data.source, "models"))


def _compare_recognisers(study_data: StudyData, first: str, second: str, view: ExhibitView) -> list[Exhibit]:
    pairs = study_data.pairs
    order = order_sample_types(pairs["sample_type"])
    cells, names = build_group_cells(pairs["sample_type"], order), [*order, "all"]
    accepted = {name: _list_accepted(study_data, pairs, name, view) for name in (first, second)}
    basis = Basis(len(pairs), 0, 2 * len(pairs), "models")
    sides = [build_values_side(registry.title(name), accepted[name], cells, basis) for name in (first, second)]
    exhibits = exhibit_sides(
        compare_sides(names, sides[0], sides[1], shared=True), "accepted", "share accepted", share=True, source="models"
    )
    exhibits += _exhibit_side_by_side([(registry.title(name), study_data, name) for name in (first, second)], view)
    most, _ = find_majority(select_answers(study_data.ratings, "identity", excluded=study_data.excluded), pairs["pair_id"])
    if np.isfinite(most).any():
        agree = {
            name: np.where(np.isfinite(most) & np.isfinite(accepted[name]), (accepted[name] == most).astype(np.float64), np.nan)
            for name in (first, second)
        }
        sides = [build_values_side(registry.title(name), agree[name], cells, basis) for name in (first, second)]
        source = name_source(study_data, "people" if study_data.source == "published" else study_data.source, "models")
        comparison = compare_sides(names, sides[0], sides[1], shared=True)
        exhibits += exhibit_sides(comparison, "agreement", "pairs on which it agrees with most people", share=True, source=source)
    return exhibits


def _compare_classifiers(study_data: StudyData, first: str, second: str) -> list[Exhibit]:
    samples = study_data.asked
    pairs = _name_pairs(samples)
    order = [name for name in dict.fromkeys(pairs) if name]
    cells, names = build_group_cells(pairs, order), [*order, "all"]
    probabilities = {name: select_probabilities(samples, name, study_data.steerer) for name in (first, second)}
    basis = Basis(len(samples), 0, 2 * len(samples), "models")
    sides = [
        build_values_side(registry.title(name), _sum_pair_shares(probabilities[name], samples), cells, basis)
        for name in (first, second)
    ]
    comparison = compare_sides(names, sides[0], sides[1], shared=True)
    exhibits = exhibit_sides(comparison, "probability", "probability of the two wanted feelings", share=True, source="models")
    codes = encode(
        select_answers(study_data.ratings, "emotion", excluded=study_data.excluded, sentinels=False), samples["sample_id"]
    )
    counts = count_votes(codes)
    votes = counts.sum(axis=1)
    if votes.any():
        sides = []
        for name in (first, second):
            known = np.isfinite(probabilities[name]).all(axis=1) & (votes > 0)
            top = np.nan_to_num(probabilities[name]).argmax(axis=1)
            hit = np.where(known, counts[np.arange(len(counts)), top] / np.maximum(votes, 1), np.nan)
            sides.append(build_values_side(registry.title(name), hit, cells, basis))
        comparison = compare_sides(names, sides[0], sides[1], shared=True)
        source = name_source(study_data, "people" if study_data.source == "published" else study_data.source, "models")
        exhibits += exhibit_sides(
            comparison, "votes", "share of an image's votes for its most probable feeling", share=True, source=source
        )
    return exhibits


def _exhibit_side_by_side(sides: list[tuple[str, StudyData, str]], view: ExhibitView) -> list[Exhibit]:
    """Similarity against distance of two (title, study data, recogniser) beside each other; nothing where one side has no pair."""
    drawn, tables = [], []
    for title, study_data, recogniser in sides:
        table = build_rated_pairs(study_data, recogniser).dropna(subset=["similarity", "distance"])
        if table.empty:
            return []
        limit = find_threshold(study_data, view, recogniser)
        figure = plot_similarity_by_distance(
            table, recogniser=registry.title(recogniser), source=study_data.source, threshold=limit if np.isfinite(limit) else None
        )
        drawn.append((title, figure))
        tables.append(table[["pair_id", "sample_type", "step", "similarity", "distance"]].assign(side=title))
    both = place_side_by_side(drawn)
    apart = [theme.format_number(float(table["distance"].corr(table["similarity"]))) if _varies(table) else "–" for table in tables]
    both.layout.meta["says"] = (
        f"How alike people find a pair goes with the distance between its faces: Pearson's r is {apart[0]} for {sides[0][0]} and "
        f"{apart[1]} for {sides[1][0]}."
    )
    return [
        Exhibit(
            "similarity-distance",
            both,
            pd.concat(tables, ignore_index=True),
            "Each mark is a pair: how far apart the recogniser places the faces, how similar people find them. Zooming zooms both.",
        )
    ]


def _varies(table: pd.DataFrame) -> bool:
    return len(table) > 2 and float(table["distance"].std()) > 0 and float(table["similarity"].std()) > 0


def _list_accepted(study_data: StudyData, pairs: pd.DataFrame, recogniser: str, view: ExhibitView) -> Array:
    column = f"distance_{recogniser}"
    if column not in pairs:
        raise LiminalError(f"{registry.title(recogniser)} did not judge these pairs; choose another recogniser.")
    distance = pairs[column].to_numpy(np.float64)
    limit = find_threshold(study_data, view, recogniser)
    return np.where(np.isfinite(distance), (distance < limit).astype(np.float64), np.nan)


def _name_pairs(samples: pd.DataFrame) -> pd.Series[str]:
    first, second = samples["emotion1"], samples["emotion2"]
    return (first.astype(str) + " – " + second.astype(str)).where(first.isin(EMOTIONS) & second.isin(EMOTIONS), "")


def _find_emotions(samples: pd.DataFrame) -> Array:
    """Indices in EMOTIONS of the two wanted emotions (N, 2), -1 where there are none."""
    places = [pd.Index(EMOTIONS).get_indexer(pd.Index(samples[name])) for name in ("emotion1", "emotion2")]
    return np.column_stack(places).astype(np.float64)


def _sum_pair_shares(p: Array, samples: pd.DataFrame) -> Array:
    wanted = _find_emotions(samples).astype(np.intp)
    row = np.arange(len(samples))
    return np.where((wanted >= 0).all(axis=1), p[row, wanted[:, 0]] + p[row, wanted[:, 1]], np.nan)


def _join_sources(first: StudyData, second: StudyData, comparison: Comparison) -> str:
    return (
        " and ".join(dict.fromkeys([name_source(first, first.source), name_source(second, second.source)]))
        if comparison.basis.source
        else ""
    )
