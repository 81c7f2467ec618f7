"""Expected widths of intervals and power by the number of raters, from simulated observers."""

from __future__ import annotations

import html

import plotly.graph_objects as go

from core.analysis.sample_size import COMPARED, SampleSizePlan
from core.figures import theme

WIDTH_TITLES = {
    "acceptance": "recogniser's acceptance",
    "identity rate": "people's 'same person'",
    "first emotion": "share of the first emotion",
    "entropy": "entropy of answers",
}
ENOUGH = 0.8


def plot_widths(size: SampleSizePlan, measure: str) -> go.Figure:
    """Width of a measure's 95 % interval by raters, a line for each number of images; in points of per cent, or bits."""
    bits = measure == "entropy"
    scale, unit = (1.0, "bits") if bits else (100.0, "percentage points")
    figure = _plot_lines(size, [scale * row.widths[measure] for row in size.rows], ".2f" if bits else ".1f")
    figure.update_layout(yaxis={"title": f"interval width ({unit})", "rangemode": "tozero"})
    known = [row for row in size.rows if row.widths[measure] == row.widths[measure]]
    of_all = [row for row in known if row.images == size.images] or known
    few, many = of_all[0], of_all[-1]
    small, large = (f"{scale * row.widths[measure]:{'.2f' if bits else '.0f'}}" for row in (many, few))
    says = (
        f"The interval of {WIDTH_TITLES[measure]} is expected to be {large} {unit} wide with {few.raters:,} people and {small} "
        f"with {many.raters:,}, at {few.images:,} {_noun(size)}."
    )
    return _describe(figure, size, says)


def plot_power(size: SampleSizePlan) -> go.Figure:
    """Power by raters, a line for each number of images, with the usual 80 %."""
    figure = _plot_lines(size, [row.power for row in size.rows], ".0%")
    figure.add_hline(y=ENOUGH, line={"color": theme.FADED, "width": 1, "dash": "dot"})
    figure.update_layout(yaxis={"title": "power", "range": [0, 1.03], "tickformat": ".0%"})
    return _describe(figure, size, describe_power(size))


def describe_power(size: SampleSizePlan) -> str:
    """One sentence: how many people give a power of 80 %."""
    images = size.images if any(row.images == size.images for row in size.rows) else size.rows[-1].images
    row = size.find_enough(images, ENOUGH)
    what = (
        f"a difference of {100 * size.difference:g} percentage points in 'same person'"
        if size.plan.kind == "identity"
        else f"a difference of {size.difference:g} bits of entropy"
    )
    most = max(row.raters for row in size.rows)
    if row is None:
        return f"Even {most:,} people do not find {what} with a chance of 80 % at {images:,} {_noun(size)}."
    return (
        f"{row.raters:,} people who count find {what} with a chance of {row.power:.0%} at {images:,} {_noun(size)}; about "
        f"{size.recruited(row.raters):,} have to be recruited for that."
    )


def _noun(size: SampleSizePlan) -> str:
    return "pairs" if size.plan.kind == "identity" else "faces"


def _plot_lines(size: SampleSizePlan, values: list[float], form: str) -> go.Figure:
    figure = go.Figure()
    for index, images in enumerate(dict.fromkeys(row.images for row in size.rows)):
        places = [place for place, row in enumerate(size.rows) if row.images == images]
        name = f"{images:,} {_noun(size)}"
        colour = (theme.AMBER, theme.INDIGO, theme.TEAL, theme.BRICK, theme.SKY, theme.INK)[index % 6]
        figure.add_scatter(
            x=[size.rows[place].raters for place in places],
            y=[values[place] for place in places],
            mode="lines+markers",
            name=name,
            line={"color": colour, "width": 2.2, "dash": theme.DASHES[index % 6]},
            marker={"color": colour, "size": 8, "symbol": theme.SYMBOLS[index % 6]},
            hovertemplate=f"{name}, %{{x}} people: %{{y:{form}}}<extra></extra>",
        )
    figure.update_layout(xaxis={"title": "people who count", "rangemode": "tozero"})
    return figure


def _describe(figure: go.Figure, size: SampleSizePlan, says: str) -> go.Figure:
    n = f"{size.repeats:,} simulated studies a point"
    return theme.describe_figure(figure, says=says, n=n, source="simulated")


def list_measures(size: SampleSizePlan) -> list[str]:
    """The measures whose width depends on people or images and is known, the compared one first."""
    known = [name for name in size.rows[0].widths if any(row.widths[name] == row.widths[name] for row in size.rows)]
    return sorted(known, key=lambda name: name != COMPARED[size.plan.kind])


def make_page(size: SampleSizePlan, title: str) -> str:
    """All figures as one HTML file that needs no network."""
    figures = [plot_power(size), *(plot_widths(size, measure) for measure in list_measures(size))]
    parts = [f"<h1>{html.escape(title)}</h1>"]
    for index, figure in enumerate(figures):
        drawn = theme.apply_theme(figure).to_html(full_html=False, include_plotlyjs=index == 0, default_height="420px")
        parts.append(f"<figure>{drawn}<figcaption>{html.escape(theme.build_caption(figure))}</figcaption></figure>")
    style = "body{font-family:sans-serif;max-width:56rem;margin:2rem auto;padding:0 1rem}figure{margin:2rem 0}"
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{html.escape(title)}</title>'
    return f"<!doctype html><html lang='en'><head>{head}<style>{style}</style></head><body>{''.join(parts)}</body></html>"
