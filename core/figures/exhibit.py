"""An exhibit: one figure with its table, definition, n, interval and source."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd
import plotly.graph_objects as go

from core.analysis.estimate import Estimate, Proportion, to_plain
from core.errors import LiminalError
from core.figures import theme
from core.progress import Progress

if TYPE_CHECKING:
    from core.analysis.study_data import StudyData


@dataclass(frozen=True)
class Exhibit:
    """One statistic of a study. ``figure`` is described (``theme.describe_figure``); its sentence is the exhibit's title."""

    key: str  # for links and file names
    figure: go.Figure
    data: pd.DataFrame  # the values drawn, for CSV
    definition: str  # what is measured, in words, with its source
    note: str = ""  # what needs care, one or two sentences
    numbers: Any = None  # the result behind it, for JSON

    @property
    def says(self) -> str:
        """The sentence that the figure says."""
        return str(self.figure.layout.meta["says"])

    @property
    def n(self) -> str:
        """The number of images, raters or answers, in words."""
        return str(self.figure.layout.meta["n"])

    @property
    def interval(self) -> str:
        """What whiskers and bands are; empty where there are none."""
        return str(self.figure.layout.meta["interval"])

    @property
    def source(self) -> str:
        """human, simulated, model or published, or several joined by 'and'."""
        return str(self.figure.layout.meta["source"])

    @property
    def saved_table(self) -> pd.DataFrame:
        """The values drawn, with their source in a column of its own: a file that is passed on must not lose it."""
        return self.data.assign(source=self.source)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values of everything but the drawing."""
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
    """Choices of a reader. recogniser: of figures that show one; threshold: None for its default."""

    recogniser: str = ""
    threshold: float | None = None
    classifier: str = ""


@dataclass(frozen=True)
class Section:
    """A chapter of exhibits. slow: takes more than some seconds or needs images, so that a page runs it in the background."""

    key: str
    title: str
    question: str
    make: Callable[[StudyData, ExhibitView, Progress], list[Exhibit]]
    slow: bool = False
    answers: bool = True  # needs answers of people
    means: bool = False  # imported means are enough
    uses: tuple[str, ...] = ()  # fields of ExhibitView that it depends on


def build_row(value: Estimate) -> dict[str, float | int]:
    """A table row of an estimate: value, low, high and n."""
    return {"value": value.value, "low": value.low, "high": value.high, "n": value.n}


def describe_estimate(value: Estimate, digits: int = 2) -> str:
    """'0.31 (0.28 to 0.35)', without the interval where there is none."""
    return theme.format_interval(value.value, value.low, value.high, digits)


def describe_share(share: Proportion) -> str:
    """'12 % (8 % to 17 %)', with Wilson's interval."""
    if not share.n:
        return theme.format_percent(share.share)
    return f"{theme.format_percent(share.share, 0)} ({theme.format_percent(share.low, 0)} to {theme.format_percent(share.high, 0)})"


def build_file_name(*parts: str) -> str:
    """Join parts to a file name of letters, digits and hyphens."""
    return "-".join(re.sub(r"[^\w]+", "-", part).strip("-").lower() for part in parts if part)


def name_source(study_data: StudyData, *sources: str) -> str:
    """Join sources of results as a figure names them, each once; answers imported from a publication are called published."""
    names = [name for source in sources for name in source.split(" and ") if name]
    if study_data.source == "published":
        names = ["published" if name == "people" else name for name in names]
    return " and ".join(dict.fromkeys(names))


def name_raters(study_data: StudyData) -> str:
    """What sentences call the raters: people or simulated observers."""
    return "simulated observers" if study_data.source == "simulated" else "people"


def find_threshold(study_data: StudyData, view: ExhibitView, recogniser: str) -> float:
    """The chosen threshold for the view's recogniser, else the recogniser's default; NaN where neither is known."""
    if recogniser == view.recogniser and view.threshold is not None:
        return view.threshold
    return study_data.thresholds.get(recogniser, math.nan)


def order_recognisers(study_data: StudyData, view: ExhibitView, *, required: bool = False) -> list[str]:
    """The recognisers that judged the pairs and have a threshold, the view's own first.

    Raises LiminalError where there is none and one is ``required``: an imported study may come without its sample sets.
    """
    known = [name for name in study_data.recognisers if name in study_data.thresholds]
    if required and not known:
        raise LiminalError("No recogniser judged these pairs; bring the study's sample sets in, and this can be shown.")
    return [name for name in known if name == view.recogniser] + [name for name in known if name != view.recogniser]
