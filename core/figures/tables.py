"""Tables 1 and 2 of paper A as pictures: ours beside the published values."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from core.figures import theme
from core.figures.dots import on_lines
from core.figures.theme import Source


def row_name(sample_type: str, step: float) -> str:
    """('interpolation', 0.25) -> 'interpolation 25 %'; a whole type has a NaN step."""
    if step is None or math.isnan(step):
        return sample_type
    return f"{sample_type} {100 * step:.0f} %" if sample_type == "interpolation" else f"{sample_type} {step:g}"


def means(
    table: pd.DataFrame,
    *,
    measure: str,
    source: Source,
    share: bool = False,
    interval: str = "95 % interval",
    other: str = "",
    of: str = "pairs",
) -> go.Figure:
    """One column of Table 1: our dots with intervals, the published ones beside.

    table: sample_type, step (NaN: the type as a whole), value, low, high (NaN: none), n, published (NaN: none), in order from
    top to bottom. measure: its name for people with the unit. share: values in [0, 1], shown in per cent. other: a remark on
    the published values, such as the other generator. of: what n counts.
    """
    known = table.dropna(subset=["value"]).reset_index(drop=True)
    if known.empty:
        return theme.empty(f"There is no value of '{measure}' yet.", source)
    factor = 100.0 if share else 1.0
    names = [row_name(name, step) for name, step in zip(known["sample_type"], known["step"].astype(float), strict=True)]
    value, low, high = (known[name].to_numpy(np.float64) * factor for name in ("value", "low", "high"))
    whole = known["step"].isna().to_numpy()
    said = [
        f"{theme.number(each, 0 if share else 2)}{' %' if share else ''}"
        + (f" ({theme.number(a, 0 if share else 2)} to {theme.number(b, 0 if share else 2)})" if math.isfinite(a) else "")
        + f", n = {n:,}"
        for each, a, b, n in zip(value, low, high, known["n"].astype(int), strict=True)
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
        name="this set",
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
        text=said,
        hovertemplate="%{y}: %{text}<extra></extra>",
    )
    figure.update_layout(
        xaxis={"title": on_lines(measure + (", %" if share else "")), "rangemode": "tozero"},
        yaxis={"autorange": "reversed", "type": "category", "showgrid": True},
        height=110 + 26 * len(known),
    )
    top, bottom = int(np.argmax(value)), int(np.argmin(value))
    says = f"{measure[:1].upper()}{measure[1:]} is highest for {names[top]}: {said[top].split(', n')[0]}"
    says += f", and lowest for {names[bottom]}: {said[bottom].split(', n')[0]}." if top != bottom else "."
    every = known.loc[known["sample_type"] == "all", "n"]
    n = int(every.iloc[0]) if len(every) else int(known.loc[whole, "n"].sum() or known["n"].sum())
    return theme.described(figure, says=says, n=f"{n:,} {of}", interval=interval, source=source)


def correlations(table: pd.DataFrame, *, source: Source, interval: str = "95 % intervals, Holm over the grid") -> go.Figure:
    """Table 2: Pearson's r of every measure with rated identity, by type of sample; the published r in brackets.

    table: sample_type, measure (for people), r, low, high, p (after correction), n, published; in order. NaN: undefined.
    """
    if table.empty or table["r"].isna().all():
        return theme.empty("There are too few answers for a correlation yet.", source)
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
            paper = f"<br><i>{_r(cell['published'])}</i>" if np.isfinite(cell["published"]) else ""
            if not np.isfinite(cell["r"]):
                text[i, j] = f"–{paper}"
                continue
            z[i, j] = cell["r"]
            weak = not np.isfinite(cell["p"]) or cell["p"] >= 0.05
            text[i, j] = (f"({_r(cell['r'])})" if weak else f"<b>{_r(cell['r'])}</b>") + paper
            hover[i, j] = f"r {_r(cell['r'])} ({_r(cell['low'])} to {_r(cell['high'])}), p {_p(cell['p'])}, n = {int(cell['n']):,}"
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
    strongest = max((cell for cell in cells.values() if np.isfinite(cell["r"])), key=lambda cell: abs(cell["r"]))
    return theme.described(
        figure,
        says=f"Among {strongest['sample_type']} samples, {strongest['measure']} goes most closely with rated identity "
        f"(r = {_r(strongest['r'])}); brackets mark correlations that may be chance, italics are published values.",
        n=f"{int(table['n'].max()):,} pairs at most",
        interval=interval,
        source=source,
    )


def _r(value: float) -> str:
    return f"{value:.2f}".replace("-", "−") if math.isfinite(value) else "–"


def _p(value: float) -> str:
    if not math.isfinite(value):
        return "not known"
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"
