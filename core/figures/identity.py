"""Identity by sample type: Tables 1 and 2 and Figs. 4 and 5 of paper A, each beside the published values where there are any.

Drawing functions take one row a pair and ignore rows without the values they draw; ``pair_id`` travels in ``customdata``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from core.analysis.detection import find_majority
from core.analysis.encode import encode, select_answers
from core.analysis.estimate import Estimate, Proportion, bootstrap_estimate
from core.analysis.identity_tables import (
    MeanRow,
    PublishedMean,
    build_correlation_table,
    build_mean_table,
    load_published_thresholds,
    order_sample_types,
)
from core.figures import theme
from core.figures.dots import wrap_label
from core.figures.exhibit import Exhibit, ExhibitView, build_row, find_threshold, name_source, order_recognisers
from core.figures.superlatives import describe_extremes, describe_strongest
from core.figures.theme import Source
from core.models import registry
from core.progress import Progress

if TYPE_CHECKING:
    from core.analysis.study_data import StudyData


HISTOGRAM_BIN = 5.0  # of similarity, which runs from 0 to 100
WEBGL_FROM = 2000  # more points than this are drawn by WebGL, which is fast but prints less finely
MARK_SIZES = (5.0, 17.0)  # pixels of a mark at the smallest and the largest latent distance
MARK_MEANING = "The larger the mark, the farther apart the two lie in the generator. "


def plot_similarity_histogram(pairs: pd.DataFrame, *, source: Source) -> go.Figure:
    """Histogram of rated similarity by sample type (paper A, Fig. 4 left).

    pairs: pair_id, sample_type, similarity (a pair's mean, 0 to 100).
    """
    known = pairs.dropna(subset=["similarity"])
    if known.empty:
        return theme.build_empty_figure("No pair has a rating of similarity yet.", source)
    edges = np.arange(0, 100 + HISTOGRAM_BIN, HISTOGRAM_BIN)
    figure = go.Figure()
    for index, (name, part) in enumerate(_split_by_type(known)):
        counts, _ = np.histogram(part["similarity"].clip(0, 100), bins=edges)
        figure.add_bar(
            x=(edges[:-1] + edges[1:]) / 2,
            y=counts,
            width=HISTOGRAM_BIN * 0.92,
            name=f"{name} ({len(part):,})",
            marker={"color": theme.pick_colour(name, index), "line": {"width": 0}},
            hovertemplate=f"{name}: %{{y}} pairs about %{{x:.0f}}<extra></extra>",
        )
    figure.update_layout(barmode="stack", xaxis={"title": "mean similarity, 0 to 100", "range": [0, 100]}, yaxis={"title": "pairs"})
    means = {
        str(name): bootstrap_estimate(values.to_numpy(np.float64), np.mean)
        for name, values in known.groupby("sample_type")["similarity"]
    }
    whole = bootstrap_estimate(known["similarity"].to_numpy(np.float64), np.mean)
    says = describe_extremes("mean similarity to the base", means, whole, digits=0)
    return theme.describe_figure(figure, says=says, n=f"{len(known):,} pairs", interval="95 %, bootstrap over pairs", source=source)


def plot_similarity_by_distance(
    pairs: pd.DataFrame, *, recogniser: str, source: Source, threshold: float | None = None
) -> go.Figure:
    """Rated similarity against a recogniser's distance (paper A, Fig. 4 right); the mark's area grows with latent distance.

    pairs: pair_id, sample_type, similarity, distance (the recogniser's), latent_distance. recogniser: its name for people.
    """
    known = pairs.dropna(subset=["similarity", "distance"])
    if known.empty:
        return theme.build_empty_figure(f"No pair has both a rating of similarity and a distance by {recogniser} yet.", source)
    latent = known["latent_distance"].fillna(0).to_numpy(np.float64)
    share = np.sqrt(latent / latent.max()) if latent.max() > 0 else np.zeros(len(latent))
    sizes = pd.Series(MARK_SIZES[0] + (MARK_SIZES[1] - MARK_SIZES[0]) * share, index=known.index)
    kind = go.Scattergl if len(known) > WEBGL_FROM else go.Scatter
    figure = go.Figure()
    for index, (name, part) in enumerate(_split_by_type(known)):
        figure.add_trace(
            kind(
                x=part["distance"].to_numpy(np.float32),
                y=part["similarity"].to_numpy(np.float32),
                mode="markers",
                name=name,
                customdata=part["pair_id"].to_numpy(object),
                marker={
                    "color": theme.pick_colour(name, index),
                    "symbol": theme.pick_symbol(name, index),
                    "size": sizes.loc[part.index].round(1).to_numpy(np.float32),
                    "opacity": 0.6,
                    "line": {"width": 0.5, "color": theme.PAPER},
                },
                hovertemplate=f"{name}<br>distance %{{x:.2f}}, similarity %{{y:.0f}}<extra></extra>",
            )
        )
    if threshold is not None:
        _add_threshold(figure, threshold, f"accepted below {threshold:.2f}", vertical=True)
    figure.update_layout(
        xaxis={"title": f"distance by {recogniser}", "rangemode": "tozero"},
        yaxis={"title": "mean similarity, 0 to 100", "range": [-3, 104]},
        legend={"itemsizing": "constant"},
    )
    spread = known["distance"].std() > 0 and known["similarity"].std() > 0 and len(known) > 3
    r = float(known["distance"].corr(known["similarity"])) if spread else math.nan
    half = 1.96 / math.sqrt(max(len(known) - 3, 1))  # of Fisher's z, pairs taken as independent
    low, high = (math.tanh(math.atanh(min(max(r, -0.9999), 0.9999)) + end) for end in (-half, half))
    trend = "Each mark is a pair"
    if high < 0:
        trend = "The larger the recogniser's distance, the less similar people find a pair"
    elif low > 0:
        trend = "The larger the recogniser's distance, the more similar people find a pair"
    elif math.isfinite(r):
        trend = "Whether distance and similarity go together cannot be told from these pairs"
    correlation = f": Pearson's r is {_format_r(r)} ({_format_r(low)} to {_format_r(high)})" if math.isfinite(r) else ""
    says = f"{trend}{correlation}"
    if latent.max() > 0:
        says += "; larger marks lie farther from their base in the generator's latent space"
    says += "."
    interval = "95 % interval of Pearson's r (Fisher), pairs taken as independent" if math.isfinite(r) else ""
    return theme.describe_figure(figure, says=says, n=f"{len(known):,} pairs", interval=interval, source=source)


def plot_distance_violins(
    pairs: pd.DataFrame,
    *,
    recogniser: str,
    threshold: float,
    source: Source,
    alignment: tuple[float, float, float] | None = None,
) -> go.Figure:
    """Distances by sample type, split by the majority of people (paper A, Fig. 5), with the threshold.

    Widths are proportional to the number of pairs, over the whole figure. pairs: pair_id, sample_type, distance, same (bool,
    null where people are divided or were not asked). alignment: share of pairs on which threshold and people agree, with its
    interval (section 6.3); None: counted here, with Wilson's interval, pairs taken as independent.
    """
    known = pairs.dropna(subset=["distance", "same"])
    if known.empty:
        return theme.build_empty_figure(f"No pair has both a decision of people and a distance by {recogniser} yet.", source)
    same = known["same"].astype(bool)
    figure = go.Figure()
    types = [name for name, _ in _split_by_type(known)]
    for answer, words, colour, side in (
        (False, "most people: different", theme.INDIGO, "negative"),
        (True, "most people: same person", theme.AMBER, "positive"),
    ):
        part = known[same == answer]
        figure.add_violin(
            x=part["sample_type"].to_numpy(object),
            y=part["distance"].to_numpy(np.float32),
            customdata=part["pair_id"].to_numpy(object),
            name=f"{words} ({len(part):,})",
            side=side,
            scalegroup="all",
            scalemode="count",
            width=0.95,
            points="all" if len(known) <= WEBGL_FROM else False,
            pointpos=-0.08 if side == "negative" else 0.08,
            jitter=0.08,
            marker={"size": 3, "opacity": 0.5},
            line={"color": colour, "width": 1.4},
            fillcolor=theme.fade_colour(colour, 0.45),
            spanmode="hard",
            meanline={"visible": len(part) > 1},
            hoveron="points",
            hovertemplate="%{x}: distance %{y:.2f}<extra></extra>",
        )
    if alignment is None:
        counted = Proportion.of(int(((known["distance"] < threshold) == same).sum()), len(known))
        alignment = counted.share, counted.low, counted.high
    agree = f"{theme.format_percent(alignment[0], 0)} ({100 * alignment[1]:.0f} to {100 * alignment[2]:.0f})"
    _add_threshold(figure, threshold, f"threshold {threshold:.2f}: agrees with people on {agree}", vertical=False)
    figure.update_layout(
        violinmode="overlay",
        violingap=0,
        xaxis={"categoryorder": "array", "categoryarray": types},
        yaxis={"title": f"distance by {recogniser}", "rangemode": "tozero"},
    )
    return theme.describe_figure(
        figure,
        says=f"Below the line {recogniser} says 'same person', and it agrees with most people on {agree} of the pairs.",
        n=f"{len(known):,} pairs, {int(same.sum()):,} of them 'same person'",
        interval="95 % interval of the agreement",
        source=source,
    )


def _split_by_type(pairs: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Split pairs by sample type, in Table 1's order; other types follow."""
    return [(name, pairs[pairs["sample_type"] == name]) for name in order_sample_types(pairs["sample_type"])]


def _add_threshold(figure: go.Figure, value: float, words: str, *, vertical: bool) -> None:
    line = {"color": theme.BRICK, "width": 1.6, "dash": "dash"}
    if vertical:
        figure.add_vline(x=value, line=line)
        figure.add_annotation(
            x=value,
            y=1,
            yref="paper",
            text=words,
            showarrow=False,
            xanchor="left",
            yanchor="top",
            xshift=5,
            font={"color": theme.BRICK, "size": 12},
        )
    else:
        figure.add_hline(y=value, line=line)
        figure.add_annotation(
            x=0,
            xref="paper",
            y=value,
            text=words,
            showarrow=False,
            xanchor="left",
            yanchor="bottom",
            font={"color": theme.BRICK, "size": 12},
            bgcolor=theme.fade_colour(theme.PAPER, 0.75),
        )


def name_table_row(sample_type: str, step: float) -> str:
    """('interpolation', 0.25) -> 'interpolation 25 %'; a whole type has a NaN step. An optimized sample may miss its target."""
    if step is None or math.isnan(step):
        return sample_type
    if sample_type == "optimized":
        return f"optimized (target {step:g})"
    return f"{sample_type} {100 * step:.0f} %" if sample_type == "interpolation" else f"{sample_type} {step:g}"


def plot_means(
    table: pd.DataFrame,
    *,
    measure: str,
    source: Source,
    share: bool = False,
    interval: str = "95 % interval",
    other: str = "",
    of: str = "pairs",
    legend: str = "this set",
) -> go.Figure:
    """One column of Table 1: values of this set with intervals, the published ones beside.

    table: sample_type, step (NaN: the type as a whole), value, low, high (NaN: none), n, published (NaN: none), in order from
    top to bottom. measure: its name for people with the unit. share: values in [0, 1], shown in per cent. other: a remark on
    the published values, such as the other generator. of: what n counts. legend: what the values are called.
    """
    known = table.dropna(subset=["value"]).reset_index(drop=True)
    if known.empty:
        return theme.build_empty_figure(f"There is no value of '{measure}' yet.", source)
    factor = 100.0 if share else 1.0
    names = [name_table_row(name, step) for name, step in zip(known["sample_type"], known["step"].astype(float), strict=True)]
    value, low, high = (known[name].to_numpy(np.float64) * factor for name in ("value", "low", "high"))
    whole = known["step"].isna().to_numpy()
    digits, unit = (0, " %") if share else (0 if "0 to 100" in measure else 2, "")
    labels = [
        f"{theme.format_interval(mean, a, b, digits, unit)}, n = {n:,}"
        for mean, a, b, n in zip(value, low, high, known["n"].astype(int), strict=True)
    ]
    figure = go.Figure()
    published = known["published"].to_numpy(np.float64) * factor
    if np.isfinite(published).any():
        figure.add_scatter(
            x=published,
            y=names,
            mode="markers",
            name=f"published (paper A{', ' + other if other else ''})",
            marker={"symbol": "diamond-open", "size": 11, "color": theme.SOFT, "line": {"width": 1.6}},
            cliponaxis=False,
            hovertemplate="published: %{x:.2f}<extra></extra>",
        )
    figure.add_scatter(
        x=value,
        y=names,
        mode="markers",
        name=legend,
        marker={"size": np.where(whole, 11, 8), "color": theme.INDIGO, "opacity": 1},
        cliponaxis=False,
        error_x={
            "type": "data",
            "symmetric": False,
            "array": np.nan_to_num(high - value).clip(0),
            "arrayminus": np.nan_to_num(value - low).clip(0),
            "color": theme.INDIGO,
            "thickness": 1.6,
            "width": 0,
        },
        text=labels,
        hovertemplate="%{y}: %{text}<extra></extra>",
    )
    figure.update_layout(
        xaxis={"title": wrap_label(measure + (", %" if share else "")), "rangemode": "tozero"},
        yaxis={"autorange": "reversed", "type": "category", "showgrid": True},
        height=110 + 26 * len(known),
    )
    divided = set(known.loc[~whole, "sample_type"])  # of a type with steps these are compared, not the type as well
    compared = {
        name: Estimate(value[row], low[row], high[row], int(known["n"].iloc[row]))
        for row, name in enumerate(names)
        if known["sample_type"].iloc[row] != "all" and not (whole[row] and known["sample_type"].iloc[row] in divided)
    }
    all_rows = np.flatnonzero((known["sample_type"] == "all").to_numpy(bool))
    total = Estimate(value[all_rows[0]], low[all_rows[0]], high[all_rows[0]], 0) if len(all_rows) else None
    says = describe_extremes(measure, compared, total, digits=digits, unit=unit)
    every = known.loc[known["sample_type"] == "all", "n"]
    n = int(every.iloc[0]) if len(every) else int(known.loc[whole, "n"].sum() or known["n"].sum())
    return theme.describe_figure(figure, says=says, n=f"{n:,} {of}", interval=interval, source=source)


def plot_correlations(table: pd.DataFrame, *, source: Source, interval: str = "95 % intervals, Holm over the grid") -> go.Figure:
    """Table 2: Pearson's r of every measure with rated identity, by type of sample; the published r in brackets.

    table: sample_type, measure (for people), r, low, high, p (after correction), n, published; in order. NaN: undefined.
    """
    if table.empty or table["r"].isna().all():
        return theme.build_empty_figure("There are too few answers for a correlation yet.", source)
    rows = list(dict.fromkeys(table["sample_type"]))
    columns = list(dict.fromkeys(table["measure"]))
    cells = {(cell["sample_type"], cell["measure"]): cell for cell in table.to_dict("records")}
    z = np.full((len(rows), len(columns)), np.nan)
    text = np.full(z.shape, "", dtype=object)
    hover = np.full(z.shape, "no value: too few pairs, or all alike", dtype=object)
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            cell = cells.get((row, column))
            if cell is None:
                continue
            paper = f"<br><i>{_format_r(cell['published'])}</i>" if np.isfinite(cell["published"]) else ""
            if not np.isfinite(cell["r"]):
                text[i, j] = f"–{paper}"
                continue
            z[i, j] = cell["r"]
            weak = not np.isfinite(cell["p"]) or cell["p"] >= 0.05
            text[i, j] = (f"({_format_r(cell['r'])})" if weak else f"<b>{_format_r(cell['r'])}</b>") + paper
            r, low, high = (_format_r(cell[name]) for name in ("r", "low", "high"))
            hover[i, j] = f"r {r} ({low} to {high}), p {_format_p(cell['p'])}, n = {int(cell['n']):,}"
    figure = go.Figure(
        go.Heatmap(
            z=z,
            x=columns,
            y=rows,
            text=text,
            customdata=hover,
            texttemplate="%{text}",
            hovertemplate="%{y}, %{x}<br>%{customdata}<extra></extra>",
            colorscale=[list(step) for step in theme.DIVERGING],
            zmin=-1,
            zmax=1,
            xgap=2,
            ygap=2,
            hoverongaps=True,
            colorbar={"title": "r", "thickness": 10, "outlinewidth": 0},
        )
    )
    figure.update_layout(
        xaxis={"side": "top", "showgrid": False, "type": "category"},
        yaxis={"autorange": "reversed", "showgrid": False, "type": "category"},
        height=140 + 58 * len(rows),
    )
    return theme.describe_figure(
        figure,
        says=f"{describe_strongest(list(cells.values()))} Brackets mark correlations that may be chance, italics are published "
        "values.",
        n=f"{int(table['n'].max()):,} pairs at most",
        interval=interval,
        source=source,
    )


def _format_r(value: float) -> str:
    return f"{value:.2f}".replace("-", "−") if math.isfinite(value) else "–"


def _format_p(value: float) -> str:
    if not math.isfinite(value):
        return "not known"
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"


PAPER_TITLE = "Exploring the Lands Between (paper A)"
PAPER_GENERATOR = "StyleGAN2"


def exhibit_means(study_data: StudyData, view: ExhibitView, _: Progress) -> list[Exhibit]:
    """Table 1 of paper A, one exhibit a column."""
    name = view.recogniser
    used = {**study_data.thresholds, **({name: view.threshold} if view.threshold is not None else {})}
    means = study_data.imported_means
    table = build_mean_table(study_data.pairs, study_data.ratings, used, excluded=study_data.excluded, means=means)
    title, limit = registry.title(name), table.thresholds.get(name, math.nan)
    people, models = name_source(study_data, table.basis.source), "models"
    printed = load_published_thresholds().get(name)
    is_published_threshold = printed is not None and math.isclose(limit, printed)
    columns: list[tuple[str, str, bool, str, Callable[[MeanRow], Estimate], Callable[[PublishedMean], float], str]] = [
        (
            "same-person",
            "share of people who say 'same person'",
            True,
            people,
            lambda row: row.identity,
            lambda row: row.identity,
            "Everybody was asked of every pair whether both pictures show the same person. The dot is the share of all answers "
            "that were yes.",
        ),
        (
            "accepted",
            f"share accepted by {title} below {limit:.3g}",
            True,
            models,
            lambda row: row.accepted[name],
            lambda row: row.accepted.get(name, math.nan) if is_published_threshold else math.nan,
            "A recogniser measures how far two faces are apart and accepts the pair as one person below its threshold. The dot "
            "is the share of pairs with two faces that it accepts.",
        ),
        (
            "similarity",
            "rated similarity, 0 to 100",
            False,
            people,
            lambda row: row.similarity,
            lambda row: row.similarity,
            "Everybody moved a slider from 0 (not alike at all) to 100 (as alike as can be). The dot is the mean of all answers.",
        ),
        (
            "distance",
            f"distance by {title}",
            False,
            models,
            lambda row: row.distances[name],
            lambda row: row.distances.get(name, math.nan),
            "How far apart the recogniser places the two faces; 0 is the same picture.",
        ),
        (
            "lpips",
            "difference of the pictures (LPIPS)",
            False,
            models,
            lambda row: row.lpips,
            lambda row: row.lpips,
            "LPIPS says how different two pictures look to a network that knows nothing of faces (Zhang et al. 2018, CVPR).",
        ),
        (
            "latent",
            "distance in the generator, in mean distances of two strangers",
            False,
            models,
            lambda row: row.latent_ratio,
            lambda row: row.latent_ratio,
            "How far apart two faces lie among the numbers that the generator makes them from. Generators have their own units, "
            "so both ours and the published values are divided by the mean between two people.",
        ),
    ]
    exhibits: list[Exhibit] = []
    for key, measure, share, source, ours, theirs, definition in columns:
        if key in ("accepted", "distance") and name not in table.thresholds:
            continue
        if key in ("same-person", "similarity") and not table.basis.answers and means is None:
            continue
        if key == "latent" and study_data.own_pictures:
            continue  # they have no latents
        rows = [
            {
                "sample_type": row.sample_type,
                "step": math.nan if row.step is None else row.step,
                **build_row(ours(row)),
                "published": theirs(row.published) if row.published else math.nan,
            }
            for row in table.rows
        ]
        data = pd.DataFrame(rows)
        of = "answers" if key in ("same-person", "similarity") and means is None else "pairs"
        figure = plot_means(
            data,
            measure=measure,
            source=source,
            share=share,
            interval=table.interval,
            other=PAPER_GENERATOR,
            of=of,
            legend="this set" if means is None or source == "models" else "imported means",
        )
        # the first one brings the whole table along
        exhibits.append(
            Exhibit(key, figure, data, f"{definition} {PAPER_TITLE}, Table 1.", table.note, None if exhibits else table)
        )
    return exhibits


def exhibit_correlations(study_data: StudyData, _: ExhibitView, __: Progress) -> list[Exhibit]:
    """Table 2 of paper A."""
    table = build_correlation_table(
        study_data.pairs, study_data.ratings, excluded=study_data.excluded, means=study_data.imported_means
    )
    names = {"similarity": "similarity", "lpips": "LPIPS", "latent": "latent distance"}
    hidden = "latent" if study_data.own_pictures else ""
    data = pd.DataFrame(
        [
            {
                "sample_type": cell.sample_type,
                "measure": names.get(cell.column) or registry.title(cell.column),
                "r": cell.r.value,
                "low": cell.r.low,
                "high": cell.r.high,
                "p": cell.p_holm,
                "n": cell.r.n,
                "published": cell.published.r if cell.published else math.nan,
            }
            for cell in table.cells
            if cell.column != hidden
        ],
        columns=["sample_type", "measure", "r", "low", "high", "p", "n", "published"],
    )
    figure = plot_correlations(
        data, source=name_source(study_data, table.basis.source), interval=f"{table.interval}; Holm over the grid"
    )
    return [
        Exhibit(
            "correlations",
            figure,
            data,
            "Pearson's r over pairs: how closely the share of people who say 'same person' goes with another measure. 1 and −1 "
            f"are a straight line, 0 is no line at all. Pairs of a face with itself are left out, as in {PAPER_TITLE}, Table 2.",
            table.note,
            numbers=table,
        )
    ]


def exhibit_similarity(study_data: StudyData, view: ExhibitView, _: Progress) -> list[Exhibit]:
    """Rated similarity: its histogram, and against a recogniser's distance (paper A, Fig. 4)."""
    pairs, source = build_rated_pairs(study_data, view.recogniser), study_data.source
    columns = ["pair_id", "sample_type", "step", "similarity", "distance", "latent_distance"]
    limit = find_threshold(study_data, view, view.recogniser)
    return [
        Exhibit(
            "similarity-histogram",
            plot_similarity_histogram(pairs, source=source),
            pairs[["pair_id", "sample_type", "step", "similarity"]],
            f"Each pair counts once, at the mean of all its ratings from 0 to 100. {PAPER_TITLE}, Fig. 4, left.",
        ),
        Exhibit(
            "similarity-distance",
            plot_similarity_by_distance(
                pairs, recogniser=registry.title(view.recogniser), source=source, threshold=limit if math.isfinite(limit) else None
            ),
            pairs[columns],
            "Each mark is a pair of faces: how far apart the recogniser places them, and how similar people find them. "
            f"{'' if study_data.own_pictures else MARK_MEANING}{PAPER_TITLE}, Fig. 4, right.",
        ),
    ]


def exhibit_decisions(study_data: StudyData, view: ExhibitView, _: Progress) -> list[Exhibit]:
    """Distances split by the majority of people, one exhibit a recogniser (paper A, Fig. 5)."""
    exhibits: list[Exhibit] = []
    for name in order_recognisers(study_data, view):
        pairs = build_rated_pairs(study_data, name)
        threshold = find_threshold(study_data, view, name)
        figure = plot_distance_violins(pairs, recogniser=registry.title(name), threshold=threshold, source=study_data.source)
        exhibits.append(
            Exhibit(
                f"decisions-{name}",
                figure,
                pairs[["pair_id", "sample_type", "step", "distance", "same"]],
                "The shapes show at which distances pairs lie, their width how many there are. Pairs on which people are "
                f"divided half and half are left out. {PAPER_TITLE}, Fig. 5 and section 6.3.",
            )
        )
    return exhibits


def build_rated_pairs(study_data: StudyData, recogniser: str) -> pd.DataFrame:
    """The table of pairs with columns distance (of one recogniser), similarity (mean), same (majority; null: tied or not asked)."""
    pairs = study_data.pairs
    similar = encode(select_answers(study_data.ratings, "similarity", excluded=study_data.excluded), pairs["pair_id"]).means()
    most, _ = find_majority(select_answers(study_data.ratings, "identity", excluded=study_data.excluded), pairs["pair_id"])
    distance = pairs.get(f"distance_{recogniser}", np.nan)
    same = pd.array(most == 1, dtype="boolean")
    same[~np.isfinite(most)] = pd.NA
    return pairs.assign(distance=distance, similarity=similar, same=same)
