"""The HTML report of a study: one file that works offline, with figures that can be hovered, zoomed and saved.

What was asked, how, who answered, what came out, and how to repeat it. The ``describe_...`` functions fill in the text from the
study's plan and its sample sets' manifests, as plain text that is escaped where it is put; ``build_report`` renders the template in
``assets/report``.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

import core
from core.analysis.estimate import to_plain
from core.analysis.study_data import StudyData
from core.data_folder import ASSETS
from core.errors import Cancelled, LiminalError
from core.figures import theme
from core.figures.contents import choose_default_view, list_sections
from core.figures.exhibit import Exhibit, ExhibitView, Section, build_file_name, name_raters
from core.figures.report_gallery import PictureReader, build_galleries, list_mean_faces
from core.figures.report_methods import SetRecord, describe_sampling, list_commands, list_settings, load_records
from core.lazy_import import lazy_import
from core.models import registry
from core.progress import Progress
from core.studies.adaptive import find_axes
from core.studies.library import Library
from core.studies.study import Question

offline = lazy_import("plotly.offline")


QUESTION_TITLES: Mapping[Question, str] = {"identity": "Is it the same person?", "emotion": "Which feeling is it?"}


def describe_question(study_data: StudyData) -> list[str]:
    """Describe what people were asked, and how."""
    plan = study_data.study.plan
    if not len(study_data.ratings):
        return ["Nobody has been asked about these faces yet: this report holds what models say of them."]
    who = "Simulated observers" if study_data.source == "simulated" else "People"
    if plan.asks in ("labels", "scale"):
        seen = "two faces side by side" if study_data.kind == "identity" else f"a face for {plan.image_ms} ms"
        seen = seen if plan.image_ms or study_data.kind == "identity" else "a face until they answered"
        answers = (
            f"one of {', '.join(plan.labels)}"
            if plan.asks == "labels"
            else f"from 1 ({plan.scale_low}) to {plan.scale_points} ({plan.scale_high})"
        )
        sentences = [f"{who} saw {seen} and were asked: {plan.wording or 'which label fits best'} They answered {answers}."]
    elif study_data.kind == "identity":
        sentences = [
            f"{who} saw two faces side by side, a base and a sample, and gave two answers: how similar the faces are, on a "
            "slider from 0 to 100, and whether both show the same person."
        ]
        if plan.image_ms:
            sentences[0] += f" The faces were shown for {plan.image_ms} ms after a cross of {plan.fixation_ms} ms."
    else:
        sentences = [
            f"{who} saw a cross for {plan.fixation_ms} ms, then a face for {plan.image_ms} ms, and then chose one of six "
            "feelings: surprise, fear, disgust, happiness, sadness or anger."
        ]
    if study_data.source == "published":
        return [*sentences, "The answers were brought in from a publication or from elsewhere; nobody was asked by this program."]
    sentinels = f", and {plan.sentinels} attention checks, whose right answer is known" if plan.sentinels else ""
    if plan.adaptive:
        most, method = "at most ", "(psi method), until their threshold was known"
        if not find_axes(plan, study_data.stimuli):
            most, method = "", "(expected information); faces came at random until the group was known"
        sentences.append(
            f"Each got {most}{plan.trials:,} trials{sentinels}. Which face came next followed from that person's answers so far "
            f"{method}."
        )
        return sentences
    sentences.append(
        f"Each got {plan.trials:,} trials{sentinels}. Which pictures somebody got was balanced, their order random within and "
        f"between people (seed {plan.seed})."
    )
    return sentences


def describe_raters(study_data: StudyData) -> list[str]:
    """Describe how many answered and how many were excluded."""
    raters = study_data.exclusions.raters
    if not raters:
        return []
    noun = name_raters(study_data)
    remaining = len(raters) - len(study_data.excluded)
    counted = f"; those of {remaining:,} count" if study_data.excluded else ""
    sentences = [f"{len(raters):,} {noun} gave {len(study_data.ratings):,} answers{counted}."]
    if study_data.excluded:
        were = "1 was" if len(study_data.excluded) == 1 else f"{len(study_data.excluded):,} were"
        sentences.append(f"{were} left out of everything below; their answers are kept.")
    else:
        sentences.append("Nobody was left out.")
    checks = int(study_data.counted["is_sentinel"].sum())
    if checks and study_data.kind != "identity":  # pairs that are checks, a base beside itself, count as genuine
        counting = " of those that count" if study_data.excluded else ""
        sentences.append(f"{checks:,} answers{counting} are to attention checks, which no figure counts.")
    return sentences


def describe_limits(study_data: StudyData) -> list[str]:
    """Describe what the numbers do not show."""
    errors = "Where a figure speaks of errors, it means departures from what most people say"
    sentences = [
        "The faces are one generator's. How often they are confused says how recognisers and people treat this generator's faces; "
        "it proves nothing about real people, who differ more from one another, and nothing about the safety of a device.",
        f"{errors}: generated faces have no true identity and feel nothing.",
    ]
    if study_data.own_pictures:
        sentences = [
            "The pictures are those that the owner of the study chose; recognisers and people may treat others otherwise.",
            f"{errors}, or, where it says so, from who is who as the owner told it.",
        ]
    if study_data.source == "simulated":
        sentences.insert(0, f"Nobody was asked: these answers come from simulated observers. {study_data.study.note}".strip())
    elif study_data.source == "people" and len(study_data.ratings):
        sentences.append(
            "People answered in their own browsers: times are good to one frame of their screens at best, and nobody saw what "
            "screens they had."
        )
    raters = len(study_data.exclusions.raters) - len(study_data.excluded)
    if 0 < raters < 10:
        sentences.append(f"{raters} {'person is' if raters == 1 else 'people are'} too few to speak of people in general.")
    return [*sentences, *study_data.notes]


def collect_versions(sets: Sequence[SetRecord]) -> dict[str, str]:
    """Versions of this program and of everything that the sets name in their manifests."""
    versions: dict[str, set[str]] = {"liminal (this report)": {core.__version__}}
    for record in sets:
        for name, version in record.manifest.get("versions", {}).items():
            versions.setdefault(name, set()).add(str(version))
    return {name: ", ".join(sorted(values)) for name, values in versions.items()}


def collect_weights(sets: Sequence[SetRecord]) -> dict[str, tuple[str, str]]:
    """Weight files of the sets' models: file -> (model, SHA-256)."""
    weights: dict[str, tuple[str, str]] = {}
    for record in sets:
        for name, model in record.manifest.get("models", {}).items():
            for path, digest in model.get("files", {}).items():
                weights[f"{name}/{path}"] = (registry.title(name), str(digest))
    return weights


REPORT_FOLDER = ASSETS / "report"
MAX_TABLE_ROWS = 40
"""A longer table is not printed below its figure; it can be saved from there all the same."""


@dataclass(frozen=True)
class Chapter:
    """A section with its exhibits; ``problem``: the sentence on why there are none."""

    section: Section
    exhibits: tuple[Exhibit, ...]
    problem: str = ""


def build_chapters(
    study_data: StudyData, view: ExhibitView | None = None, *, slow: bool = False, progress: Progress | None = None
) -> list[Chapter]:
    """Compute all exhibits of a study. slow: also those that measure every picture."""
    progress, view = progress or Progress(), view or choose_default_view(study_data)
    wanted = [
        section
        for section in list_sections(study_data)
        if (slow or not section.slow)
        and (len(study_data.ratings) or not section.answers or (section.means and study_data.imported_means is not None))
    ]
    chapters = []
    for index, section in enumerate(wanted):
        part = progress.part(section.title, index, len(wanted))
        part.stage("working it out", 0.0)
        try:
            chapters.append(Chapter(section, tuple(section.make(study_data, view, part))))
        except Cancelled:
            raise
        except LiminalError as error:
            chapters.append(Chapter(section, (), str(error)))
    return chapters


def build_report(
    study_data: StudyData,
    library: Library,
    view: ExhibitView | None = None,
    *,
    slow: bool = False,
    own_pictures: bool = False,
    progress: Progress | None = None,
) -> str:
    """Render a study, or a sample set without answers, as one HTML file. Raises Cancelled on request.

    own_pictures: whether pictures that somebody brought along are in it, which may show real people.
    """
    progress, view = progress or Progress(), view or choose_default_view(study_data)
    chapters = build_chapters(study_data, view, slow=slow, progress=progress.part("Figures", 0, 2))
    part = progress.part("Faces", 1, 2)
    part.stage("choosing the largest disagreements", 0.0)
    pictures = PictureReader(study_data, library, own_pictures=own_pictures)
    galleries = build_galleries(study_data, view, pictures)
    part.stage("putting the report together", 0.8)
    sets = load_records(study_data, library)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(REPORT_FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html").render(
        study=study_data.study,
        title=study_data.study.plan.title or study_data.study.name,
        question=QUESTION_TITLES.get(study_data.study.plan.asks) or study_data.study.plan.wording or "Which label fits best?",
        source=study_data.source if len(study_data.ratings) else "models",
        simulated=study_data.source == "simulated" and len(study_data.ratings) > 0,
        simulated_makers=any(made.source == "simulated" for made in study_data.made.values()),
        facts=list(_list_facts(study_data)),
        asked=describe_question(study_data),
        made=describe_sampling(sets),
        who=describe_raters(study_data),
        excluded={rater: " ".join(why) for rater, why in study_data.excluded.items()},
        chapters=chapters,
        mean_faces=list_mean_faces(study_data, pictures),
        galleries=galleries,
        faces=_select_faces(study_data, pictures),
        limits=describe_limits(study_data),
        commands=list_commands(study_data, sets),
        sets=[
            {"id": record.set_id, "images": record.images, "configuration": list_settings(record.configuration)} for record in sets
        ],
        versions=collect_versions(sets),
        weights=collect_weights(sets),
        figures=[_dump_exhibit(chapter, exhibit) for chapter in chapters for exhibit in chapter.exhibits if exhibit.n != "0"],
        rows=_build_table_rows,
        marks={"human": "people", "simulated": "simulated", "model": "models", "published": "published"},
        made_on=dt.datetime.now(dt.UTC).date().isoformat(),
        version=core.__version__,
        inline=_read_asset,
        font=_read_font,
        plotly=_read_plotly(),
        script_json=_dump_script_json,
        dark=theme.map_dark_colours(),
        file=build_file_name(study_data.study.name),
    )


def collect_numbers(
    study_data: StudyData, view: ExhibitView | None = None, *, slow: bool = False, progress: Progress | None = None
) -> dict[str, Any]:
    """Collect every number of the report as plain JSON values, null for what is not defined."""
    view = view or choose_default_view(study_data)
    chapters = build_chapters(study_data, view, slow=slow, progress=progress)
    return {
        "study": study_data.study.name,
        "kind": study_data.kind,
        "source": study_data.source if len(study_data.ratings) else "models",
        "view": to_plain(view),
        "raters": len(study_data.exclusions.raters),
        "excluded": {rater: list(why) for rater, why in study_data.excluded.items()},
        "answers": len(study_data.ratings),
        "stimuli": len(study_data.stimuli),
        "thresholds": to_plain(study_data.thresholds),
        "chapters": {
            chapter.section.key: {
                "question": chapter.section.question,
                "problem": chapter.problem,
                "exhibits": [one.to_dict() for one in chapter.exhibits],
            }
            for chapter in chapters
        },
        "limits": describe_limits(study_data),
    }


def _list_facts(study_data: StudyData) -> Iterator[tuple[str, str]]:
    """The numbers at the top of the report, each with its words."""
    raters = len(study_data.exclusions.raters) - len(study_data.excluded)
    counted = study_data.counted
    if study_data.kind != "identity":
        counted = counted[~counted["is_sentinel"].astype(bool)]
    if raters:
        yield f"{raters:,}", name_raters(study_data)
    stimuli = len(study_data.pairs) if study_data.kind == "identity" else len(study_data.asked)
    yield (
        f"{stimuli:,}",
        "pairs of faces"
        if study_data.kind == "identity"
        else "faces"
        if study_data.own_pictures
        else f"faces made by {name_makers(study_data)}"
        if study_data.made
        else "faces between two feelings",
    )
    if raters:
        yield f"{len(counted):,}", "answers" if study_data.kind == "identity" else "answers, attention checks aside"
        votes = counted.drop_duplicates(["rater", "stimulus"]).groupby("stimulus").size()
        yield (
            f"{votes.median():g}",
            f"{name_raters(study_data)} for a {'pair' if study_data.kind == 'identity' else 'face'} (median)",
        )
    yield f"{len(study_data.thresholds) if study_data.kind == 'identity' else len(study_data.classifiers)}", "networks beside them"


def name_makers(study_data: StudyData) -> str:
    """Who made the faces of a study of such: people, simulated people, or both."""
    sources = {made.source for made in study_data.made.values()}
    return " and ".join(words for source, words in (("people", "people"), ("simulated", "simulated people")) if source in sources)


def _select_faces(study_data: StudyData, pictures: PictureReader, most: int = 8) -> list[str]:
    """Data addresses of some of the faces, evenly chosen."""
    names = study_data.pairs["base_id"] if study_data.kind == "identity" else study_data.asked["sample_id"]
    different = list(dict.fromkeys(names))
    step = max(1, len(different) // most)
    return [src for src in (pictures.src(str(name)) for name in different[::step][:most]) if src]


def _dump_exhibit(chapter: Chapter, exhibit: Exhibit) -> dict[str, Any]:
    """An exhibit as the page's script draws it."""
    return {
        "id": f"{chapter.section.key}-{exhibit.key}",
        "figure": json.loads(theme.dump_figure(theme.apply_theme(exhibit.figure))),
        "columns": [str(name) for name in exhibit.saved_table.columns],
        "data": [[_round_cell(value) for value in row] for row in exhibit.saved_table.itertuples(index=False)],
    }


def _round_cell(value: Any) -> Any:
    """A table's value as JSON, rounded to five significant digits."""
    if value is None or value is pd.NA or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if isinstance(value, float):
        return float(f"{value:.5g}")
    return value.item() if hasattr(value, "item") else value


def _build_table_rows(exhibit: Exhibit) -> dict[str, Any] | None:
    """The table below a figure; None where it has too many rows to read."""
    table = exhibit.data
    if not 0 < len(table) <= MAX_TABLE_ROWS:
        return None
    cells = [[_format_cell(_round_cell(value)) for value in row] for row in table.itertuples(index=False)]
    return {"columns": [str(name).replace("_", " ") for name in table.columns], "rows": cells}


def _format_cell(value: Any) -> str:
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


def _read_asset(name: str) -> Markup:
    """Text of a file in ``assets/report``."""
    return Markup((REPORT_FOLDER / name).read_text(encoding="utf-8"))


def _read_font(name: str) -> Markup:
    """A font of ``assets/fonts`` as a data address."""
    content = base64.b64encode((ASSETS / "fonts" / name).read_bytes()).decode()
    return Markup(f"data:font/woff2;base64,{content}")


def _read_plotly() -> Markup:
    return Markup(offline.get_plotlyjs())


def _dump_script_json(value: Any) -> Markup:
    """JSON with ``<`` escaped, so that it cannot end the script element around it. Raises ValueError for NaN."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))
