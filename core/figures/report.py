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
from core.figures.exhibit import Exhibit, ExhibitView, Section, build_file_name, name_raters
from core.figures.report_gallery import PictureReader, build_galleries
from core.figures.theme import join_names
from core.lazy_import import lazy_import
from core.models import registry
from core.progress import Progress
from core.sampling.configuration import NO_GENERATOR, IdentityConfiguration
from core.sampling.emotion.configuration import EmotionConfiguration
from core.sampling.sample_set import load_tables
from core.studies.library import Library
from core.studies.study import Question

offline = lazy_import("plotly.offline")


@dataclass(frozen=True)
class SetRecord:
    """How one sample set was made."""

    set_id: str
    configuration: IdentityConfiguration | EmotionConfiguration
    manifest: Mapping[str, Any]
    images: int


def load_records(study_data: StudyData, library: Library) -> list[SetRecord]:
    """Load the records of all sample sets that the library still holds."""
    records = []
    for set_id in study_data.sets:
        try:
            configuration, samples, _, manifest = load_tables(library.folder_of(set_id))
        except LiminalError:
            continue
        records.append(SetRecord(set_id, configuration, manifest, len(samples)))
    return records


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
    sentences.append(
        f"Each got {plan.trials:,} trials{sentinels}. Which pictures somebody got was balanced, their order random within and "
        f"between people (seed {plan.seed})."
    )
    return sentences


def describe_sampling(sets: Sequence[SetRecord]) -> list[str]:
    """Describe how the faces were made, one paragraph a configuration."""
    paragraphs: dict[str, list[SetRecord]] = {}
    for record in sets:
        paragraphs.setdefault(_describe_record(record), []).append(record)
    return list(paragraphs) or ["How the faces were made is not known: their sample set is not in the library."]


def _describe_record(record: SetRecord) -> str:
    configuration = record.configuration
    if configuration.generator == NO_GENERATOR:
        networks = configuration.classifiers
        if isinstance(configuration, IdentityConfiguration):
            networks = (*configuration.judges, *networks)
        return (
            f"{record.images:,} pictures were brought along by those who made the study; no generator made them. Each is a square "
            f"of one size, and was judged as it is by {join_names([registry.title(name) for name in networks])}."
        )
    generator = registry.title(configuration.generator)
    if isinstance(configuration, IdentityConfiguration):
        counts = record.manifest.get("counts", {})
        pairs = ", ".join(f"{number:,} {name}" for name, number in counts.items())
        way = {
            "cmaes": f"CMA-ES (sigma {configuration.sigma:g})",
            "gradient": f"gradient descent (Adam, step {configuration.learning_rate:g})",
            "surrogate": "climbing a surrogate model (Adam), corrected after every picture,",
        }[configuration.strategy]
        return (
            f"All faces were made by a network ({generator}); nobody in them lives. Around each of "
            f"{configuration.bases_per_batch} bases a batch, samples were made as in paper A (pairs: {pairs}). Positive samples "
            f"lie {_join_steps(configuration.positive_steps)} paper units from the base; interpolated ones at "
            f"{_join_steps(configuration.interpolation_steps)} of the way to another base; optimized ones were sought by {way} "
            f"against {registry.title(configuration.recogniser)}, at most {configuration.iterations} rounds, until its distance "
            f"fell below {_join_steps(configuration.targets)}. Seed {configuration.seed}."
        )
    way = (
        "in two stages (diffusion over face embeddings, then a face for the embedding)"
        if configuration.strategy == "two-stage"
        else "by direct search over what the generator is made from"
    )
    how = (
        f"Faces on the boundary between two feelings were made {way}, guided to where {registry.title(configuration.steerer)} is "
        f"unsure ({configuration.loss} loss, strength {configuration.gamma:g}, freedom {configuration.freedom:g})"
        if configuration.guided
        else f"Faces without guidance, to compare with or to check attention, were made {way}"
    )
    judges = join_names([registry.title(name) for name in configuration.judges])
    return (
        f"All faces were made by a network ({generator}); nobody in them lives. {how}, and judged by {judges}. Seed "
        f"{configuration.seed}."
    )


def _list_settings(configuration: IdentityConfiguration | EmotionConfiguration) -> dict[str, Any]:
    """What a set depends on; of own pictures the models alone, since nothing else had a part in them."""
    values = configuration.to_dict()
    models = ("recogniser", "judges", "classifiers", "perceptual", "steerer")
    return {name: values[name] for name in models if name in values} if configuration.generator == NO_GENERATOR else values


def _join_steps(values: Sequence[float]) -> str:
    return join_names([f"{value:g}" for value in values])


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
        sentences.append(f"{len(study_data.excluded):,} were left out of everything below; their answers are kept.")
    else:
        sentences.append("Nobody was left out.")
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
    elif study_data.source == "people":
        sentences.append(
            "People answered in their own browsers: times are good to one frame of their screens at best, and nobody saw what "
            "screens they had."
        )
    raters = len(study_data.exclusions.raters) - len(study_data.excluded)
    if 0 < raters < 10:
        sentences.append(f"{raters} {'person is' if raters == 1 else 'people are'} too few to speak of people in general.")
    return [*sentences, *study_data.notes]


def list_commands(study_data: StudyData, sets: Sequence[SetRecord]) -> list[str]:
    """List the commands that repeat the study."""
    lines = list(_list_generate_commands(sets))
    name = shlex.quote(study_data.study.name)
    if len(study_data.ratings) and study_data.source == "simulated" and not study_data.own_pictures:
        folders = " ".join(f"set-{index + 1}" for index in range(len(sets)))
        raters = len(study_data.exclusions.raters)
        lines.append(
            f"python -m core study simulate --sets {folders} --study {name} --raters {raters} --seed {study_data.study.plan.seed}"
        )
    lines.append(
        f"python -m core report --study {name} --html report.html"
        if len(study_data.ratings) or study_data.own_pictures
        else "python -m core report set-1 --html report.html"
    )
    return lines


def _list_generate_commands(sets: Sequence[SetRecord]) -> Iterator[str]:
    for index, record in enumerate(sets):
        configuration = record.configuration
        if configuration.generator == NO_GENERATOR:
            continue  # no command makes them
        if isinstance(configuration, IdentityConfiguration):
            head = f"python -m core generate identity --batches {len(record.manifest.get('batches', [0]))}"
            defaults: IdentityConfiguration | EmotionConfiguration = IdentityConfiguration()
            skipped = {"seed", "semantic"}
            tail = " --semantic" if configuration.semantic else ""
        else:
            pair = f"{configuration.emotion1} {configuration.emotion2}"
            head = f"python -m core generate emotion --pair {pair} --count {configuration.count}"
            defaults = EmotionConfiguration(configuration.emotion1, configuration.emotion2)
            skipped = {"seed", "emotion1", "emotion2", "count", "guided", "adaptive", "steerer", "judges", "recogniser"}
            tail = ("" if configuration.guided else " --unguided") + ("" if configuration.adaptive else " --no-adaptive")
        options = "".join(
            f" --{field.name.replace('_', '-')} {_format_option(getattr(configuration, field.name))}"
            for field in fields(configuration)
            if field.name not in skipped and getattr(configuration, field.name) != getattr(defaults, field.name)
        )
        yield f"{head} --seed {configuration.seed}{options}{tail} --out set-{index + 1}"


def _format_option(value: object) -> str:
    return " ".join(f"{item}" for item in value) if isinstance(value, tuple) else f"{value}"


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
        facts=list(_list_facts(study_data)),
        asked=describe_question(study_data),
        made=describe_sampling(sets),
        who=describe_raters(study_data),
        excluded={rater: " ".join(why) for rater, why in study_data.excluded.items()},
        chapters=chapters,
        galleries=galleries,
        faces=_select_faces(study_data, pictures),
        limits=describe_limits(study_data),
        commands=list_commands(study_data, sets),
        sets=[
            {"id": record.set_id, "images": record.images, "configuration": _list_settings(record.configuration)} for record in sets
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
    if raters:
        yield f"{raters:,}", name_raters(study_data)
    stimuli = len(study_data.pairs) if study_data.kind == "identity" else len(study_data.asked)
    yield (
        f"{stimuli:,}",
        "pairs of faces" if study_data.kind == "identity" else "faces" if study_data.own_pictures else "faces between two feelings",
    )
    if raters:
        yield f"{len(counted):,}", "answers"
        votes = counted.drop_duplicates(["rater", "stimulus"]).groupby("stimulus").size()
        yield (
            f"{votes.median():g}",
            f"{name_raters(study_data)} for a {'pair' if study_data.kind == 'identity' else 'face'} (median)",
        )
    yield f"{len(study_data.thresholds) if study_data.kind == 'identity' else len(study_data.classifiers)}", "networks beside them"


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
