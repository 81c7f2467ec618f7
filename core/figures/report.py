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
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
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
from core.figures.exhibit import Exhibit, ExhibitView, Section, build_file_name, find_title, name_raters
from core.figures.report_gallery import PictureReader, build_galleries
from core.figures.theme import join_names
from core.lazy_import import lazy_import
from core.progress import Progress
from core.sampling.configuration import IdentityConfiguration
from core.sampling.emotion.configuration import EmotionConfiguration
from core.sampling.sample_set import load_tables
from core.studies.library import Library

offline = lazy_import("plotly.offline")


@dataclass(frozen=True)
class SetRecord:
    """What is known of how one sample set was made."""

    set_id: str
    configuration: IdentityConfiguration | EmotionConfiguration
    manifest: Mapping[str, Any]
    images: int


def load_records(material: StudyData, library: Library) -> list[SetRecord]:
    """Of every sample set that the library still holds."""
    found = []
    for set_id in material.sets:
        try:
            configuration, samples, _, manifest = load_tables(library.folder_of(set_id))
        except LiminalError:
            continue
        found.append(SetRecord(set_id, configuration, manifest, len(samples)))
    return found


def describe_question(material: StudyData) -> list[str]:
    """What people were asked, and how."""
    plan = material.study.plan
    if not len(material.ratings):
        return ["Nobody has been asked about these faces yet: this report holds what models say of them."]
    who = "Simulated observers" if material.source == "simulated" else "People"
    if material.kind == "identity":
        told = [
            f"{who} saw two faces side by side, a base and a sample, and gave two answers: how similar the faces are, on a "
            "slider from 0 to 100, and whether both show the same person."
        ]
        if plan.image_ms:
            told[0] += f" The faces were shown for {plan.image_ms} ms after a cross of {plan.fixation_ms} ms."
    else:
        told = [
            f"{who} saw a cross for {plan.fixation_ms} ms, then a face for {plan.image_ms} ms, and then chose one of six "
            "feelings: surprise, fear, disgust, happiness, sadness or anger."
        ]
    if material.source == "published":
        return [*told, "The answers were brought in from a publication or from elsewhere; nobody was asked by this program."]
    sentinels = f", and {plan.sentinels} attention checks, whose right answer is known" if plan.sentinels else ""
    told.append(
        f"Each got {plan.trials:,} trials{sentinels}. Which pictures somebody got was balanced, their order random within and "
        f"between people (seed {plan.seed})."
    )
    return told


def describe_sampling(sets: Sequence[SetRecord]) -> list[str]:
    """How the faces came about: one paragraph a way of making them."""
    paragraphs: dict[str, list[SetRecord]] = {}
    for each in sets:
        paragraphs.setdefault(_describe_record(each), []).append(each)
    return list(paragraphs) or ["How the faces were made is not known: their sample set is not in the library."]


def _describe_record(record: SetRecord) -> str:
    configuration = record.configuration
    generator = find_title(configuration.generator)
    if isinstance(configuration, IdentityConfiguration):
        counts = record.manifest.get("counts", {})
        pairs = ", ".join(f"{number:,} {name}" for name, number in counts.items())
        way = (
            f"CMA-ES (sigma {configuration.sigma:g})"
            if configuration.strategy == "cmaes"
            else f"gradient descent (Adam, step {configuration.learning_rate:g})"
        )
        return (
            f"All faces were made by a network ({generator}); nobody in them lives. Around each of "
            f"{configuration.bases_per_batch} bases a batch, samples were made as in paper A (pairs: {pairs}). Positive samples "
            f"lie {_join_steps(configuration.positive_steps)} paper units from the base; interpolated ones at "
            f"{_join_steps(configuration.interpolation_steps)} of the way to another base; optimized ones were sought by {way} "
            f"against {find_title(configuration.recogniser)}, at most {configuration.iterations} rounds, until its distance fell "
            f"below {_join_steps(configuration.targets)}. Seed {configuration.seed}."
        )
    way = (
        "in two stages (diffusion over face embeddings, then a face for the embedding)"
        if configuration.strategy == "two-stage"
        else "by direct search over what the generator is made from"
    )
    how = (
        f"Faces on the boundary between two feelings were made {way}, guided to where {find_title(configuration.steerer)} is "
        f"unsure ({configuration.loss} loss, strength {configuration.gamma:g}, freedom {configuration.freedom:g})"
        if configuration.guided
        else f"Faces without guidance, to compare with or to check attention, were made {way}"
    )
    judges = join_names([find_title(name) for name in configuration.judges])
    return (
        f"All faces were made by a network ({generator}); nobody in them lives. {how}, and judged by {judges}. Seed "
        f"{configuration.seed}."
    )


def _join_steps(values: Sequence[float]) -> str:
    return join_names([f"{value:g}" for value in values])


def describe_raters(material: StudyData) -> list[str]:
    """How many answered and who was left out, by which rules."""
    raters = material.exclusions.raters
    if not raters:
        return []
    noun = name_raters(material)
    kept = len(raters) - len(material.excluded)
    counted = f"; those of {kept:,} count" if material.excluded else ""
    told = [f"{len(raters):,} {noun} gave {len(material.ratings):,} answers{counted}."]
    if material.excluded:
        told.append(f"{len(material.excluded):,} were left out of everything below; their answers are kept.")
    else:
        told.append("Nobody was left out.")
    return told


def describe_limits(material: StudyData) -> list[str]:
    """What the numbers do not show."""
    told = [
        "The faces are one network's. How often they are confused says how recognisers and people treat this network's faces; "
        "it proves nothing about real people, who differ more from one another, and nothing about the safety of a device.",
        "Where a figure speaks of errors, it means departures from what most people say: generated faces have no true identity "
        "and feel nothing.",
    ]
    if material.source == "simulated":
        told.insert(0, f"Nobody was asked: these answers come from simulated observers. {material.study.note}".strip())
    elif material.source == "people":
        told.append(
            "People answered in their own browsers: times are good to one frame of their screens at best, and nobody saw what "
            "screens they had."
        )
    raters = len(material.exclusions.raters) - len(material.excluded)
    if 0 < raters < 10:
        told.append(f"{raters} {'person is' if raters == 1 else 'people are'} too few to speak of people in general.")
    return [*told, *material.notes]


def list_commands(material: StudyData, sets: Sequence[SetRecord]) -> list[str]:
    """What to type to get the same again."""
    lines = list(_list_generate_commands(sets))
    name = shlex.quote(material.study.name)
    if len(material.ratings) and material.source == "simulated":
        folders = " ".join(f"set-{place + 1}" for place in range(len(sets)))
        raters = len(material.exclusions.raters)
        lines.append(
            f"python -m core study simulate --sets {folders} --study {name} --raters {raters} --seed {material.study.plan.seed}"
        )
    lines.append(
        f"python -m core report --study {name} --html report.html"
        if len(material.ratings)
        else "python -m core report set-1 --html report.html"
    )
    return lines


def _list_generate_commands(sets: Sequence[SetRecord]) -> Iterator[str]:
    for place, each in enumerate(sets):
        configuration = each.configuration
        if isinstance(configuration, IdentityConfiguration):
            head = f"python -m core generate identity --batches {len(each.manifest.get('batches', [0]))}"
            usual: IdentityConfiguration | EmotionConfiguration = IdentityConfiguration()
            skipped = {"seed", "semantic"}
            tail = " --semantic" if configuration.semantic else ""
        else:
            pair = f"{configuration.emotion1} {configuration.emotion2}"
            head = f"python -m core generate emotion --pair {pair} --count {configuration.count}"
            usual = EmotionConfiguration(configuration.emotion1, configuration.emotion2)
            skipped = {"seed", "emotion1", "emotion2", "count", "guided", "adaptive", "steerer", "judges", "recogniser"}
            tail = ("" if configuration.guided else " --unguided") + ("" if configuration.adaptive else " --no-adaptive")
        options = "".join(
            f" --{field.name.replace('_', '-')} {_format_option(getattr(configuration, field.name))}"
            for field in fields(configuration)
            if field.name not in skipped and getattr(configuration, field.name) != getattr(usual, field.name)
        )
        yield f"{head} --seed {configuration.seed}{options}{tail} --out set-{place + 1}"


def _format_option(value: object) -> str:
    return " ".join(f"{each}" for each in value) if isinstance(value, tuple) else f"{value}"


def collect_versions(sets: Sequence[SetRecord]) -> dict[str, str]:
    """Of this program now, and of everything that a set says it was made with."""
    found: dict[str, set[str]] = {"liminal (this report)": {core.__version__}}
    for each in sets:
        for name, version in each.manifest.get("versions", {}).items():
            found.setdefault(name, set()).add(str(version))
    return {name: ", ".join(sorted(values)) for name, values in found.items()}


def collect_weights(sets: Sequence[SetRecord]) -> dict[str, tuple[str, str]]:
    """File of a model -> (model, SHA-256)."""
    found: dict[str, tuple[str, str]] = {}
    for each in sets:
        for name, model in each.manifest.get("models", {}).items():
            for path, digest in model.get("files", {}).items():
                found[f"{name}/{path}"] = (find_title(name), str(digest))
    return found


REPORT_FOLDER = ASSETS / "report"
MAX_TABLE_ROWS = 40
"""A longer table is not printed below its figure; it can be saved from there all the same."""


@dataclass(frozen=True)
class Chapter:
    """A section with what was made of it; ``problem``: the sentence on why there is nothing."""

    section: Section
    exhibits: tuple[Exhibit, ...]
    problem: str = ""


def build_chapters(
    material: StudyData, view: ExhibitView | None = None, *, slow: bool = False, progress: Progress | None = None
) -> list[Chapter]:
    """Everything that a study says. slow: also what needs every picture to be measured."""
    progress, view = progress or Progress(), view or choose_default_view(material)
    wanted = [each for each in list_sections(material) if (slow or not each.slow) and (len(material.ratings) or not each.answers)]
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


def build_report(
    material: StudyData, library: Library, view: ExhibitView | None = None, *, slow: bool = False, progress: Progress | None = None
) -> str:
    """A study, or a sample set that nobody was asked about, as one HTML file. Raises Cancelled on request."""
    progress, view = progress or Progress(), view or choose_default_view(material)
    made = build_chapters(material, view, slow=slow, progress=progress.part("Figures", 0, 2))
    own = progress.part("Faces", 1, 2)
    own.stage("choosing the largest disagreements", 0.0)
    pictures = PictureReader(material, library)
    found = build_galleries(material, view, pictures)
    own.stage("putting the report together", 0.8)
    sets = load_records(material, library)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(REPORT_FOLDER),
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
        facts=list(_list_facts(material)),
        asked=describe_question(material),
        made=describe_sampling(sets),
        who=describe_raters(material),
        excluded={rater: " ".join(why) for rater, why in material.excluded.items()},
        chapters=made,
        galleries=found,
        faces=_select_faces(material, pictures),
        limits=describe_limits(material),
        commands=list_commands(material, sets),
        sets=[{"id": each.set_id, "images": each.images, "configuration": each.configuration.to_dict()} for each in sets],
        versions=collect_versions(sets),
        weights=collect_weights(sets),
        figures=[_dump_exhibit(chapter, each) for chapter in made for each in chapter.exhibits if each.n != "0"],
        rows=_build_table_rows,
        marks={"human": "people", "simulated": "simulated", "model": "models", "published": "published"},
        made_on=dt.datetime.now(dt.UTC).date().isoformat(),
        version=core.__version__,
        inline=_read_asset,
        font=_read_font,
        plotly=_read_plotly(),
        script_json=_dump_script_json,
        dark=theme.map_dark_colours(),
        file=build_file_name(material.study.name),
    )


def collect_numbers(
    material: StudyData, view: ExhibitView | None = None, *, slow: bool = False, progress: Progress | None = None
) -> dict[str, Any]:
    """Every number of the report as plain JSON values, null for what is not defined."""
    view = view or choose_default_view(material)
    made = build_chapters(material, view, slow=slow, progress=progress)
    return {
        "study": material.study.name,
        "kind": material.kind,
        "source": material.source if len(material.ratings) else "models",
        "view": to_plain(view),
        "raters": len(material.exclusions.raters),
        "excluded": {rater: list(why) for rater, why in material.excluded.items()},
        "answers": len(material.ratings),
        "stimuli": len(material.stimuli),
        "thresholds": to_plain(material.thresholds),
        "chapters": {
            each.section.key: {
                "question": each.section.question,
                "problem": each.problem,
                "exhibits": [one.to_dict() for one in each.exhibits],
            }
            for each in made
        },
        "limits": describe_limits(material),
    }


def _list_facts(material: StudyData) -> Iterator[tuple[str, str]]:
    """Numbers that stand large at the top."""
    raters = len(material.exclusions.raters) - len(material.excluded)
    counted = material.counted
    if raters:
        yield f"{raters:,}", name_raters(material)
    asked = len(material.pairs) if material.kind == "identity" else len(material.asked)
    yield f"{asked:,}", "pairs of faces" if material.kind == "identity" else "faces between two feelings"
    if raters:
        yield f"{len(counted):,}", "answers"
        votes = counted.drop_duplicates(["rater", "stimulus"]).groupby("stimulus").size()
        yield f"{votes.median():g}", f"{name_raters(material)} for a {'pair' if material.kind == 'identity' else 'face'} (median)"
    yield f"{len(material.thresholds) if material.kind == 'identity' else len(material.classifiers)}", "networks beside them"


def _select_faces(material: StudyData, pictures: PictureReader, most: int = 8) -> list[str]:
    """Some of the faces, so that a reader sees at once what was shown."""
    names = material.pairs["base_id"] if material.kind == "identity" else material.asked["sample_id"]
    different = list(dict.fromkeys(names))
    step = max(1, len(different) // most)
    return [src for src in (pictures.src(str(name)) for name in different[::step][:most]) if src]


def _dump_exhibit(chapter: Chapter, exhibit: Exhibit) -> dict[str, Any]:
    """What the script of the page needs to draw one."""
    return {
        "id": f"{chapter.section.key}-{exhibit.key}",
        "figure": json.loads(theme.dump_figure(theme.apply_theme(exhibit.figure))),
        "columns": [str(name) for name in exhibit.data.columns],
        "data": [[_round_cell(value) for value in row] for row in exhibit.data.itertuples(index=False)],
    }


def _round_cell(value: Any) -> Any:
    """A value of a table as JSON, to four digits that mean something."""
    if value is None or value is pd.NA or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if isinstance(value, float):
        return float(f"{value:.5g}")
    return value.item() if hasattr(value, "item") else value


def _build_table_rows(exhibit: Exhibit) -> dict[str, Any] | None:
    """A table below a figure; None where it is too long to read."""
    table = exhibit.data
    if not 0 < len(table) <= MAX_TABLE_ROWS:
        return None
    shown = [[_format_cell(_round_cell(value)) for value in row] for row in table.itertuples(index=False)]
    return {"columns": [str(name).replace("_", " ") for name in table.columns], "rows": shown}


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
    """A file of our own, as it is."""
    return Markup((REPORT_FOLDER / name).read_text(encoding="utf-8"))


def _read_font(name: str) -> Markup:
    """A font of ours as a data address."""
    content = base64.b64encode((ASSETS / "fonts" / name).read_bytes()).decode()
    return Markup(f"data:font/woff2;base64,{content}")


def _read_plotly() -> Markup:
    return Markup(offline.get_plotlyjs())


def _dump_script_json(value: Any) -> Markup:
    """JSON that cannot end the element that it stands in. Raises ValueError for NaN."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))
