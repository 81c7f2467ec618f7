"""The report itself: everything in one file that works offline, with figures that can be hovered, zoomed and saved."""

from __future__ import annotations

import base64
import datetime as dt
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

import core
from core.analysis.material import Material
from core.errors import Cancelled, LiminalError
from core.figures import theme
from core.figures.exhibits.contents import first_view, sections
from core.figures.exhibits.exhibit import Exhibit, Section, View, file_name, people
from core.figures.report import words
from core.figures.report.gallery import Pictures, galleries
from core.progress import Progress
from core.sampling.descriptors import ASSETS
from core.studies.library import Library

FOLDER = ASSETS / "report"
MOST_ROWS = 40
"""A longer table is not printed below its figure; it can be saved from there all the same."""


@dataclass(frozen=True)
class Chapter:
    """A section with what was made of it; ``problem``: the sentence on why there is nothing."""

    section: Section
    exhibits: tuple[Exhibit, ...]
    problem: str = ""


def chapters(
    material: Material, view: View | None = None, *, slow: bool = False, progress: Progress | None = None
) -> list[Chapter]:
    """Everything that a study says. slow: also what needs every picture to be measured."""
    progress, view = progress or Progress(), view or first_view(material)
    wanted = [each for each in sections(material) if (slow or not each.slow) and (len(material.ratings) or not each.answers)]
    made = []
    for place, each in enumerate(wanted):
        own = progress.part(each.title, place, len(wanted))
        own.stage("working it out", 0.0)
        try:
            made.append(Chapter(each, tuple(each.make(material, view, own))))
        except Cancelled:
            raise
        except LiminalError as error:
            made.append(Chapter(each, (), str(error)))
    return made


def report(
    material: Material, library: Library, view: View | None = None, *, slow: bool = False, progress: Progress | None = None
) -> str:
    """A study, or a sample set that nobody was asked about, as one HTML file. Raises Cancelled on request."""
    progress, view = progress or Progress(), view or first_view(material)
    made = chapters(material, view, slow=slow, progress=progress.part("Figures", 0, 2))
    own = progress.part("Faces", 1, 2)
    own.stage("choosing the largest disagreements", 0.0)
    pictures = Pictures(material, library)
    found = galleries(material, view, pictures)
    own.stage("putting the report together", 0.8)
    sets = words.records(material, library)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html").render(
        study=material.study,
        title=material.study.plan.title or material.study.name,
        question="Is it the same person?" if material.kind == "identity" else "Which feeling is it?",
        source=material.source if len(material.ratings) else "models",
        simulated=material.source == "simulated" and len(material.ratings) > 0,
        facts=list(_facts(material)),
        asked=words.asked(material),
        made=words.made(sets),
        who=words.who(material),
        excluded={rater: " ".join(why) for rater, why in material.excluded.items()},
        chapters=made,
        galleries=found,
        faces=_faces(material, pictures),
        limits=words.limits(material),
        commands=words.commands(material, sets),
        sets=[{"id": each.set_id, "images": each.images, "configuration": each.configuration.to_dict()} for each in sets],
        versions=words.versions(sets),
        weights=words.weights(sets),
        figures=[_figure(chapter, each) for chapter in made for each in chapter.exhibits if each.n != "0"],
        rows=_rows,
        marks={"human": "people", "simulated": "simulated", "model": "models", "published": "published"},
        made_on=dt.datetime.now(dt.UTC).date().isoformat(),
        version=core.__version__,
        inline=_inline,
        font=_font,
        plotly=_plotly(),
        script_json=_script_json,
        dark=theme.dark_colours(),
        file=file_name(material.study.name),
    )


def numbers(
    material: Material, view: View | None = None, *, slow: bool = False, progress: Progress | None = None
) -> dict[str, Any]:
    """Every number of the report as plain JSON values, null for what is not defined."""
    from core.analysis.results import plain

    view = view or first_view(material)
    made = chapters(material, view, slow=slow, progress=progress)
    return {
        "study": material.study.name,
        "kind": material.kind,
        "source": material.source if len(material.ratings) else "models",
        "view": plain(view),
        "raters": len(material.exclusions.raters),
        "excluded": {rater: list(why) for rater, why in material.excluded.items()},
        "answers": len(material.ratings),
        "stimuli": len(material.stimuli),
        "thresholds": plain(material.thresholds),
        "chapters": {
            each.section.key: {
                "question": each.section.question,
                "problem": each.problem,
                "exhibits": [one.to_dict() for one in each.exhibits],
            }
            for each in made
        },
        "limits": words.limits(material),
    }


def _facts(material: Material) -> Iterator[tuple[str, str]]:
    """Numbers that stand large at the top."""
    raters = len(material.exclusions.raters) - len(material.excluded)
    counted = material.counted
    if raters:
        yield f"{raters:,}", people(material)
    asked = len(material.pairs) if material.kind == "identity" else len(material.asked)
    yield f"{asked:,}", "pairs of faces" if material.kind == "identity" else "faces between two feelings"
    if raters:
        yield f"{len(counted):,}", "answers"
        votes = counted.drop_duplicates(["rater", "stimulus"]).groupby("stimulus").size()
        yield f"{votes.median():g}", f"{people(material)} for a {'pair' if material.kind == 'identity' else 'face'} (median)"
    yield f"{len(material.thresholds) if material.kind == 'identity' else len(material.classifiers)}", "networks beside them"


def _faces(material: Material, pictures: Pictures, most: int = 8) -> list[str]:
    """Some of the faces, so that a reader sees at once what was shown."""
    names = material.pairs["base_id"] if material.kind == "identity" else material.asked["sample_id"]
    different = list(dict.fromkeys(names))
    step = max(1, len(different) // most)
    return [src for src in (pictures.src(str(name)) for name in different[::step][:most]) if src]


def _figure(chapter: Chapter, exhibit: Exhibit) -> dict[str, Any]:
    """What the script of the page needs to draw one."""
    return {
        "id": f"{chapter.section.key}-{exhibit.key}",
        "figure": json.loads(theme.to_json(theme.themed(exhibit.figure))),
        "columns": [str(name) for name in exhibit.data.columns],
        "data": [[_cell(value) for value in row] for row in exhibit.data.itertuples(index=False)],
    }


def _cell(value: Any) -> Any:
    """A value of a table as JSON, to four digits that mean something."""
    if value is None or value is pd.NA or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if isinstance(value, float):
        return float(f"{value:.5g}")
    return value.item() if hasattr(value, "item") else value


def _rows(exhibit: Exhibit) -> dict[str, Any] | None:
    """A table below a figure; None where it is too long to read."""
    table = exhibit.data
    if not 0 < len(table) <= MOST_ROWS:
        return None
    shown = [[_written(_cell(value)) for value in row] for row in table.itertuples(index=False)]
    return {"columns": [str(name).replace("_", " ") for name in table.columns], "rows": shown}


def _written(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return (
        f"{value:,.3g}"
        if isinstance(value, float) and abs(value) < 1000
        else f"{value:,}"
        if isinstance(value, int)
        else str(value)
    )


def _inline(name: str) -> Markup:
    """A file of our own, as it is."""
    return Markup((FOLDER / name).read_text(encoding="utf-8"))


def _font(name: str) -> Markup:
    """A font of ours as a data address."""
    content = base64.b64encode((ASSETS / "fonts" / name).read_bytes()).decode()
    return Markup(f"data:font/woff2;base64,{content}")


def _plotly() -> Markup:
    from plotly.offline import get_plotlyjs

    return Markup(get_plotlyjs())


def _script_json(value: Any) -> Markup:
    """JSON that cannot end the element that it stands in. Raises ValueError for NaN."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))
