"""An exhibit: one figure with the table behind it and what a reader must know to trust it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd
import plotly.graph_objects as go

from core.analysis.estimate import Estimate, to_plain
from core.figures import theme
from core.models import registry
from core.progress import Progress

if TYPE_CHECKING:
    from core.analysis.study_data import StudyData


@dataclass(frozen=True)
class Exhibit:
    """``figure`` is described (``core.figures.theme``): its sentence is the exhibit's title."""

    key: str  # for addresses and file names
    figure: go.Figure
    data: pd.DataFrame  # what the figure draws, for CSV
    definition: str  # what is measured, in words, with its source
    note: str = ""  # what needs care, one or two sentences
    numbers: Any = None  # the result behind it, for JSON

    @property
    def says(self) -> str:
        """One plain sentence."""
        return str(self.figure.layout.meta["says"])

    @property
    def n(self) -> str:
        """On how much it rests."""
        return str(self.figure.layout.meta["n"])

    @property
    def interval(self) -> str:
        """What whiskers and bands are; empty where there are none."""
        return str(self.figure.layout.meta["interval"])

    @property
    def source(self) -> str:
        """human, simulated, model or published, or several joined by 'and'."""
        return str(self.figure.layout.meta["source"])

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values: everything but the drawing."""
        return {
            "key": self.key,
            "says": self.says,
            "n": self.n,
            "interval": self.interval,
            "source": self.source,
            "definition": self.definition,
            "note": self.note,
            "numbers": to_plain(self.data if self.numbers is None else self.numbers),
        }


@dataclass(frozen=True)
class ExhibitView:
    """What a reader may choose. recogniser: of the figures that show one; threshold: None for its default."""

    recogniser: str = ""
    threshold: float | None = None
    classifier: str = ""


@dataclass(frozen=True)
class Section:
    """A chapter. slow: takes more than some seconds or needs images, so that a page runs it in the background."""

    key: str
    title: str
    question: str
    make: Callable[[StudyData, ExhibitView, Progress], list[Exhibit]]
    slow: bool = False
    answers: bool = True  # without answers of people it says nothing
    uses: tuple[str, ...] = ()  # fields of ExhibitView that it looks at


def find_title(name: str) -> str:
    """A model's name for people."""
    try:
        return registry.find_entry(name).title
    except Exception:  # a set may have been judged by a model that is not registered here
        return name


def build_row(value: Estimate) -> dict[str, float | int]:
    """Columns value, low, high and n."""
    return {"value": value.value, "low": value.low, "high": value.high, "n": value.n}


def describe_estimate(value: Estimate, digits: int = 2) -> str:
    """'0.31 (0.28 to 0.35)', without the interval where there is none."""
    between = (
        f" ({theme.format_number(value.low, digits)} to {theme.format_number(value.high, digits)})"
        if value.low == value.low
        else ""
    )
    return theme.format_number(value.value, digits) + between


def build_file_name(*parts: str) -> str:
    """Letters, digits and hyphens only."""
    return "-".join(re.sub(r"[^\w]+", "-", part).strip("-").lower() for part in parts if part)


def name_source(material: StudyData, *sources: str) -> str:
    """Sources of results as a figure names them, each once; answers that a publication brought are its own."""
    found = [name for source in sources for name in source.split(" and ") if name]
    if material.source == "published":
        found = ["published" if name == "people" else name for name in found]
    return " and ".join(dict.fromkeys(found))


def name_raters(material: StudyData) -> str:
    """Who answered, as sentences call them."""
    return "simulated observers" if material.source == "simulated" else "people"


def find_threshold(material: StudyData, view: ExhibitView, recogniser: str) -> float:
    """The chosen threshold for the recogniser that is looked at, else its default; NaN where neither is known."""
    if recogniser == view.recogniser and view.threshold is not None:
        return view.threshold
    return material.thresholds.get(recogniser, math.nan)


def order_recognisers(material: StudyData, view: ExhibitView) -> list[str]:
    """The recognisers that judged the pairs and have a threshold, the one that is looked at first."""
    known = [name for name in material.recognisers if name in material.thresholds]
    return [name for name in known if name == view.recogniser] + [name for name in known if name != view.recogniser]
