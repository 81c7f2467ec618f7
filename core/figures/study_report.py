"""The report of a study: what people and models say of its faces, beside what the papers published."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from core.analysis.choices import choices
from core.analysis.consistency import error_consistency
from core.analysis.deciders import classifier_answers, recogniser_answers
from core.analysis.detection import verification
from core.analysis.disagreement import Disagreement, identity_disagreement, similarity_spread
from core.analysis.material import Material
from core.analysis.outcomes import outcomes
from core.analysis.psychometric import psychometric_function
from core.analysis.reaction import entropy_and_time, reaction_times
from core.analysis.tables_identity import MeanTable, correlation_table, mean_table
from core.figures import agreement, emotion, identity, results, tables, theme
from core.figures import verification as drawn
from core.figures.methods import statistics_text, study_text
from core.figures.page import Face, Gallery, Report, Section, Table
from core.progress import Progress

Pictures = Callable[[str], NDArray[np.uint8] | None]
"""sample_id -> uint8 (H, W, 3), None where there is none."""

SHOWN = 8  # cards of a gallery
OTHER = "Published values: StyleGAN2, 1,120 pairs, 100 people."


def study_report(
    material: Material, pictures: Pictures, *, methods: Sequence[str] = (), progress: Progress | None = None
) -> Report:
    """Everything of a study. methods: paragraphs on how the faces were made (``methods.samples_text`` of each set)."""
    progress = progress or Progress()
    sections, intervals = (_identity if material.kind == "identity" else _emotion)(material, pictures, progress)
    counted, kept = material.counted, material.exclusions.kept
    return Report(
        title=material.study.plan.title or material.study.name,
        lead=f"{len(counted):,} answers of {len(kept):,} people about {len(material.stimuli):,} stimuli.",
        sections=tuple(sections),
        methods=(*methods, *study_text(material), *statistics_text(intervals)),
        source=material.source,
    )


def _identity(material: Material, pictures: Pictures, progress: Progress) -> tuple[list[Section], list[str]]:
    pairs, ratings, source, excluded = material.pairs, material.ratings, material.source, tuple(material.excluded)
    thresholds = {name: material.thresholds[name] for name in material.recognisers if name in material.thresholds}
    progress.stage("Table 1", 0.05)
    first = mean_table(pairs, ratings, thresholds, excluded=excluded)
    progress.stage("Table 2", 0.25)
    second = correlation_table(pairs, ratings, excluded=excluded)
    progress.stage("Verification", 0.4)
    checked = [verification(pairs, ratings, name, value, excluded=excluded) for name, value in thresholds.items()]
    progress.stage("The way from face to face", 0.55)
    curve = psychometric_function(pairs, ratings, excluded=excluded)
    progress.stage("Error consistency", 0.7)
    deciders = pd.concat([material.counted, recogniser_answers(pairs, thresholds)], ignore_index=True)
    together = error_consistency(deciders, "identity")
    progress.stage("Disagreement", 0.85)
    rated = results.rated_pairs(pairs, material.counted)
    names = results.mean_columns(first)
    sections = [
        Section(
            "What people and models say of each type of sample",
            (first.note,),
            (
                *(_means(first, column, names[column], source) for column in names),
                identity.similarity_histogram(rated, source=source),
            ),
            tables=(_table1(first),),
        ),
        Section(
            "People against recognisers",
            (second.note,),
            (
                tables.correlations(results.correlation_frame(second), source=source, interval=second.interval),
                *(figure for name, value in thresholds.items() for figure in _against(rated, name, value, source)),
            ),
        ),
        Section(
            "Who gets in",
            (checked[0].note if checked else "",),
            (
                drawn.roc(*results.verification_frames(checked), source=source, interval=checked[0].interval if checked else ""),
                drawn.det(*results.verification_frames(checked), source=source, interval=checked[0].interval if checked else ""),
                *(
                    drawn.acceptance_curve(
                        results.acceptance_frame(pairs, name),
                        recogniser=results.title_of(name),
                        source="model",
                        thresholds={"default": value},
                    )
                    for name, value in thresholds.items()
                ),
                drawn.psychometric(*results.psychometric_frames({"people": curve}), source=source, interval=curve.interval),
            ),
        ),
        Section(
            "Do they err alike?",
            (together.note,),
            (
                agreement.error_consistency(
                    results.consistency_frame(together),
                    n=f"{together.basis.images:,} pairs",
                    source=source,
                    ceiling=(together.ceiling.value, together.ceiling.low, together.ceiling.high),
                    interval=together.interval,
                ),
            ),
        ),
        Section("Where they disagree most", galleries=tuple(_galleries(material, thresholds, pictures, excluded))),
    ]
    return sections, [first.interval, second.interval, curve.interval, together.interval, *(each.interval for each in checked)]


def _emotion(material: Material, pictures: Pictures, progress: Progress) -> tuple[list[Section], list[str]]:
    asked, ratings, source, excluded = material.asked, material.ratings, material.source, tuple(material.excluded)
    progress.stage("Votes", 0.1)
    votes = choices(ratings, asked["sample_id"], excluded=excluded)
    found = outcomes(asked, ratings, excluded=excluded, votes=votes)
    progress.stage("Reaction times", 0.3)
    times = reaction_times(ratings, "emotion", excluded=excluded)
    both = entropy_and_time(ratings, excluded=excluded, votes=votes)
    progress.stage("Error consistency", 0.6)
    own = classifier_answers(asked, material.steerer, material.classifiers) if material.classifiers else ratings.iloc[:0]
    together = error_consistency(pd.concat([material.counted, own], ignore_index=True), "emotion")
    images = votes.table.rename(columns={"stimulus": "sample_id"})
    rho = (both.spearman.value, both.spearman.low, both.spearman.high)
    points = both.table.rename(columns={"stimulus": "sample_id", "bits": "entropy", "median_ms": "reaction_time_ms"})
    sections = [
        Section(
            "Do people see both feelings?",
            (found.note, found.rule),
            (
                emotion.outcome_shares(results.outcome_frame(found), source=source, published=found.published_success_or_bias),
                agreement.votes_per_image(votes.table["votes"], source=source),
            ),
        ),
        Section(
            "How divided, and how fast",
            (both.note,),
            (
                emotion.entropy_histogram(images.assign(entropy=images["bits"]), source=source),
                emotion.reaction_time_histogram(pd.DataFrame({"reaction_time_ms": times.times}), source=source),
                emotion.entropy_by_reaction_time(points, source=source, rho=rho, published=both.published),
            ),
        ),
        Section(
            "Do they err alike?",
            (together.note,),
            (
                agreement.error_consistency(
                    results.consistency_frame(together),
                    n=f"{together.basis.images:,} images",
                    source=source,
                    ceiling=(together.ceiling.value, together.ceiling.low, together.ceiling.high),
                    interval=together.interval,
                ),
            ),
        ),
        Section("The most divided faces", galleries=(_divided(images, pictures),)),
    ]
    return sections, [votes.interval, times.interval, both.interval, together.interval]


def _means(table: MeanTable, column: str, name: str, source: str) -> go.Figure:
    of_people = column in ("similarity", "identity")
    return tables.means(
        results.mean_frame(table, column),
        measure=name,
        source=source if of_people else "model",
        share=results.is_share(column),
        interval=table.interval,
        other=OTHER.rstrip("."),
    )


def _against(rated: pd.DataFrame, name: str, threshold: float, source: str) -> list[go.Figure]:
    own, title = rated.assign(distance=rated[f"distance_{name}"]), results.title_of(name)
    return [
        identity.similarity_by_distance(own, recogniser=title, threshold=threshold, source=source),
        identity.distance_violins(own, recogniser=title, threshold=threshold, source=source),
    ]


def _table1(table: MeanTable) -> Table:
    """Ours with the published value in brackets behind it."""
    rows = []
    for row in table.rows:
        cells = {"": tables.row_name(row.sample_type, math.nan if row.step is None else row.step), "pairs": f"{row.pairs:,}"}
        for column, name in results.mean_columns(table).items():
            frame = results.mean_frame(MeanTable(basis=table.basis, interval="", thresholds=table.thresholds, rows=(row,)), column)
            value, printed = float(frame["value"].iloc[0]), float(frame["published"].iloc[0])
            write = theme.percent if results.is_share(column) else theme.number
            cells[name] = write(value) + (f" [{write(printed)}]" if math.isfinite(printed) else "")
        rows.append(cells)
    return Table("Table 1", pd.DataFrame(rows), f"In brackets: published. {OTHER}")


def _galleries(
    material: Material, thresholds: Mapping[str, float], pictures: Pictures, excluded: tuple[str, ...]
) -> Iterable[Gallery]:
    for name, threshold in thresholds.items():
        found = identity_disagreement(material.pairs, material.ratings, name, threshold, excluded=excluded)
        title = results.title_of(name)
        yield _gallery(found, "lowest", f"False-positive candidates of {title}", pictures)
        yield _gallery(found, "highest", f"False-negative candidates of {title}", pictures)
    yield _gallery(
        similarity_spread(material.pairs, material.ratings, excluded=excluded),
        "highest",
        "People divided over similarity",
        pictures,
    )


def _gallery(found: Disagreement, end: str, title: str, pictures: Pictures) -> Gallery:
    cards = []
    for row in found.ranked("lowest" if end == "lowest" else "highest", SHOWN).to_dict("records"):
        shown = [(pictures(str(row[name])), words) for name, words in (("base_id", "base"), ("sample_id", "sample"))]
        faces = tuple(Face(image, words) for image, words in shown if image is not None)
        kind = tables.row_name(str(row["sample_type"]), float(row["step"]) if pd.notna(row["step"]) else math.nan)
        words = f"{kind}: score {theme.number(float(row['score']))}, {int(row['votes'])} votes"
        cards.append((faces, words + (" (few)" if row.get("few") else "")))
    says = f"{found.lowest if end == 'lowest' else found.highest}. Score: {found.score}." + (
        f" Scaling: {found.scaling}." if found.scaling else ""
    )
    return Gallery(title, says, tuple(cards))


def _divided(images: pd.DataFrame, pictures: Pictures) -> Gallery:
    cards = []
    for row in (
        images.dropna(subset=["bits"]).sort_values("bits", ascending=False, kind="stable").head(2 * SHOWN).to_dict("records")
    ):
        image = pictures(str(row["sample_id"]))
        faces = (Face(image, f"a face that most call {row['chosen']}"),) if image is not None else ()
        cards.append((faces, f"{theme.number(float(row['bits']))} bits, {int(row['votes'])} votes, most often {row['chosen']}"))
    return Gallery(
        "People divided over the feeling",
        "Entropy of the choices, corrected for few votes; base faces are not shown.",
        tuple(cards),
    )
