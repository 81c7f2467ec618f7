"""The look of all figures, light and dark and for colour-blind people; their captions; and how numbers are written.

A figure is built in the light colours; ``apply_theme(figure, dark=True)`` swaps each for its dark partner, so that a figure is made
once and shown in either. Colours never stand alone: marks differ in shape, lines in dashes, and words name them.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from core.errors import LiminalError

Source = str
"""human, simulated, model or published, or their names in results (people, models), or several: "people and models"."""

SOURCES: Mapping[str, str] = {"human": "human", "people": "human", "model": "model", "models": "model"} | {
    name: name for name in ("simulated", "published")
}
SOURCE_WORDS: Mapping[str, str] = {
    "human": "answers of people",
    "simulated": "simulated answers",
    "model": "values of models",
    "published": "published values",
    "": "no answers yet",
}
"""Sources as captions say them."""

FONT = "'Instrument Sans', system-ui, -apple-system, 'Segoe UI', sans-serif"

INK, SOFT, LINE, PAPER, PANEL = "#23252e", "#5d6070", "#d9d2c4", "#fbf9f5", "#f2eee6"
AMBER, INDIGO, TEAL, BRICK, SKY = "#e09a3a", "#3d4a86", "#2b8f86", "#b0433a", "#7fb4dd"
MISSING = "#a09a8e"
FADED = "#b9bdcb"  # what is only there to compare with

DARK: Mapping[str, str] = {
    INK: "#ece8e1",
    SOFT: "#aeb1bf",
    LINE: "#393e4c",
    PAPER: "#14161d",
    PANEL: "#1f222c",
    AMBER: "#f0b05c",
    INDIGO: "#7d8de0",
    TEAL: "#4fb3a5",
    BRICK: "#d9694f",
    SKY: "#a9d4f5",
    MISSING: "#6f7382",
    FADED: "#4a5063",
    "#e9ecf4": "#232838",  # the ends of both scales
    "#a3aec9": "#3f4a78",
    "#1d2445": "#cfd6ff",
    "#2b3566": "#a9b6ff",
    "#7f8cc4": "#6673b3",
    "#e3a95a": "#b07a30",
    "#8f5208": "#f8c37a",
    "#f0c27a": "#3f4a78",
}
"""The dark partner of every light colour."""

CATEGORIES = (INDIGO, AMBER, TEAL, BRICK, SKY, INK)
"""Told apart by people with deuteranopia, protanopia and tritanopia: no two are nearer than 13 in CIEDE2000, light or dark."""
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")

SCALE = ((0.0, "#e9ecf4"), (0.35, "#a3aec9"), (0.7, INDIGO), (1.0, "#1d2445"))
"""A sequential scale: lighter is less."""
SCALE_OF_POINTS = ((0.0, "#f0c27a"), (0.5, BRICK), (1.0, "#2b3566"))
"""The same for marks, whose lighter end must not fade into the paper."""
DIVERGING = ((0.0, "#2b3566"), (0.25, "#7f8cc4"), (0.5, "#f2eee6"), (0.75, "#e3a95a"), (1.0, "#8f5208"))
"""From -1 (blue) over 0 (paper) to 1 (amber); blue against yellow stays apart for colour-blind people."""

TYPE_COLOURS: Mapping[str, str] = {
    "genuine": INK,
    "positive": AMBER,
    "interpolation": TEAL,
    "optimized": BRICK,
    "negative": INDIGO,
    "semantic": SKY,
}
TYPE_SYMBOLS: Mapping[str, str] = dict(zip(TYPE_COLOURS, ("star", "square", "diamond", "triangle-up", "circle", "x"), strict=True))
EMOTION_COLOURS: Mapping[str, str] = {
    "surprise": SKY,
    "fear": INDIGO,
    "disgust": TEAL,
    "happiness": AMBER,
    "sadness": INK,
    "anger": BRICK,
}

SIMULATED_MARK = "SIMULATED ANSWERS"
"""Written into every figure of simulated answers, so that a downloaded picture carries it."""


def pick_colour(name: str, index: int) -> str:
    """The fixed colour of a sample type or an emotion, else the category colour of its index."""
    return TYPE_COLOURS.get(name) or EMOTION_COLOURS.get(name) or CATEGORIES[index % len(CATEGORIES)]


def pick_symbol(name: str, index: int) -> str:
    """The fixed mark of a sample type, else the mark of its index."""
    return TYPE_SYMBOLS.get(name) or SYMBOLS[index % len(SYMBOLS)]


def fade_colour(colour: str, opacity: float) -> str:
    """'#rrggbb' -> 'rgba(...)', which ``apply_theme`` swaps for dark as well."""
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"


def describe_figure(figure: go.Figure, *, says: str, n: int | str, interval: str = "", source: Source) -> go.Figure:
    """Write into the figure what it says and from what: ``layout.meta`` = {says, n, interval, source}. Returns the same figure.

    says: one plain sentence; n: a number or words ("1,120 pairs, 100 raters"); interval: what the whiskers or bands are, empty
    where there are none. Simulated data put a visible mark into the figure itself, so that a downloaded picture carries it.
    Raises LiminalError for a sentence with NaN in it and for an unknown source.
    """
    names = source.split(" and ") if source else []
    if not all(name in SOURCES for name in names):
        raise LiminalError(f"A figure's data come from {', '.join(SOURCES)}, not from '{source}'.")
    known = " and ".join(dict.fromkeys(SOURCES[name] for name in names))
    if not says.strip() or re.search(r"\bnan\b", f"{says} {n} {interval}", re.IGNORECASE):
        raise LiminalError(f"A figure needs a sentence that says what it shows, not '{says}'.")
    size = f"{n:,}" if isinstance(n, int) else n
    figure.update_layout(meta={"says": says, "n": size, "interval": interval, "source": known})
    if "simulated" in known:  # the title's place, at the foot: neither legend nor data come there
        figure.update_layout(
            title={
                "text": SIMULATED_MARK,
                "font": {"size": 12, "color": BRICK, "weight": 600, "family": FONT},
                "x": 1,
                "xanchor": "right",
                "y": 0,
                "yanchor": "bottom",
                "yref": "container",
                "automargin": True,
                "pad": {"b": 8, "r": 12},
            }
        )
    return figure


def build_caption(figure: go.Figure) -> str:
    """The caption of a figure: its sentence, n, interval and source."""
    meta = figure.layout.meta
    parts = [
        f"n = {meta['n']}",
        *([meta["interval"]] if meta["interval"] else []),
        join_names([SOURCE_WORDS[name] for name in meta["source"].split(" and ")]),
    ]
    return f"{meta['says']} ({'; '.join(parts)})"


def build_empty_figure(sentence: str, source: Source = "human") -> go.Figure:
    """A figure without data: the sentence in place of axes."""
    figure = go.Figure()
    figure.add_annotation(
        text=_wrap_text(sentence), xref="paper", yref="paper", x=0.5, y=0.5, showarrow=False, font={"size": 15, "color": SOFT}
    )
    figure.update_layout(xaxis={"visible": False}, yaxis={"visible": False}, height=260)
    return describe_figure(figure, says=sentence, n=0, source=source)


def apply_theme(figure: go.Figure, dark: bool = False) -> go.Figure:
    """Return a copy of the figure in the shared look. Fonts, grid, hover and legend are set here and nowhere else."""
    plain = figure.to_plotly_json()
    layout = {name: value for name, value in plain["layout"].items() if name != "template"}  # Plotly's own would travel with it
    axis = {
        "gridcolor": LINE,
        "linecolor": LINE,
        "tickcolor": LINE,
        "zeroline": False,
        "automargin": True,
        "tickfont": {"size": 12},
        "title": {"standoff": 10, "font": {"size": 13}},
    }
    shared = {
        "template": "none",
        "font": {"family": FONT, "size": 13, "color": INK},
        "paper_bgcolor": PAPER,
        "plot_bgcolor": PAPER,
        "colorway": list(CATEGORIES),
        "margin": {"l": 10, "r": 14, "t": 46, "b": 10},
        "hoverlabel": {"bgcolor": PANEL, "bordercolor": LINE, "font": {"family": FONT, "color": INK, "size": 13}},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "xanchor": "left", "yanchor": "bottom", "font": {"size": 12}},
        "bargap": 0.08,
        "separators": ".,",
        "xaxis": axis,
        "yaxis": axis,
        **{name: axis for name in layout if name[1:5] == "axis"},
    }
    themed = go.Figure(plain["data"], shared, skip_invalid=False)
    themed.update_layout(layout)  # what a figure says of itself goes before what all share
    if not dark:
        return themed
    swapped = _swap_colours(themed.to_plotly_json())
    return go.Figure(swapped["data"], swapped["layout"], skip_invalid=False)


def map_dark_colours() -> dict[str, str]:
    """Map every spelling of a light colour in a figure to the dark one; used by the report's script."""
    pairs = dict(DARK)
    for light, night in DARK.items():
        pairs[fade_colour(light, 0)[5:-2]] = fade_colour(night, 0)[5:-2]
    return pairs


def _swap_colours(value: Any) -> Any:
    """Swap the colours in nested dicts and lists; arrays are left as they are, since they hold data."""
    if isinstance(value, str):
        if value in DARK:
            return DARK[value]
        if value.startswith("rgba("):
            for light, night in DARK.items():
                start = fade_colour(light, 0)[:-2]
                if value.startswith(start):
                    return fade_colour(night, 0)[:-2] + value[len(start) :]
        return value
    if isinstance(value, dict):
        return {name: item if name in ("customdata", "meta") else _swap_colours(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_swap_colours(item) for item in value]
    return value


def _wrap_text(text: str, width: int = 60) -> str:
    """Break text between words about every ``width`` characters."""
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) > width:
            lines.append("")
        lines[-1] += f"{word} "
    return "<br>".join(line.strip() for line in lines)


def format_number(value: float, digits: int = 2) -> str:
    """A number with so many decimals; a dash where it is not finite."""
    return f"{value:z.{digits}f}" if math.isfinite(value) else "–"


def format_percent(share: float, digits: int | None = None) -> str:
    """A share in [0, 1] in per cent; digits: None for one decimal below ten per cent and none above; a dash for NaN."""
    if not math.isfinite(share):
        return "–"
    value = 100 * share
    return f"{value:.{(1 if 0 < value < 10 else 0) if digits is None else digits}f} %"


def format_interval(value: float, low: float, high: float, digits: int = 2, unit: str = "") -> str:
    """'0.31 (0.28 to 0.35)', without the interval where there is none; unit: behind the value, such as " %"."""
    between = f" ({low:.{digits}f} to {high:.{digits}f})" if math.isfinite(low) and math.isfinite(high) else ""
    return f"{format_number(value, digits)}{unit}{between}"


def join_names(names: Sequence[str]) -> str:
    """'a', 'a and b', 'a, b and c'."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""


def dump_figure(figure: go.Figure) -> str:
    """Compact JSON of a figure, for a page that draws it itself."""
    return json.dumps(json.loads(figure.to_json()), separators=(",", ":"))
