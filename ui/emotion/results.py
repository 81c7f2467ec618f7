"""The results of a run of emotion samples: its faces as tiles, in how many both feelings are raised, how unsure the classifiers
are, and how rare such faces are in the reference set.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import streamlit as st

from core.analysis.emotion_tables import MIN_SHARE_EACH, BoundaryStatistics, ClassifierStatistics, summarise_boundary
from core.analysis.estimate import Proportion
from core.errors import LiminalError
from core.figures.theme import format_percent
from core.models import registry
from core.models.emotions import EMOTIONS
from core.sampling.emotion.configuration import EmotionConfiguration
from core.sampling.events import BaseShown, BoundarySampleMade
from core.sampling.stored.reference import ReferenceSet
from ui import bases, cache, markup
from ui.components import Activation, ActivationMark, BaseFace, BoundaryFace, BoundaryGroup, show_activations, show_boundary_map
from ui.emotion import face, runs
from ui.emotion.runs import EmotionPath, EmotionRun, RunEvents
from ui.pictures import face_url

MAX_PATH_STEPS = 24
"""Steps of a path that are drawn, at most."""


def _thin_path(path: EmotionPath) -> EmotionPath:
    stride = max(1, math.ceil(len(path) / MAX_PATH_STEPS))
    return path[::stride]


def build_face_tile(
    identifier: str, sample: BoundarySampleMade, path: EmotionPath, configuration: EmotionConfiguration
) -> BoundaryFace:
    """One finished face as a tile: its state in a word, what changed against the base, and what the judge says."""
    steerer, held_out = configuration.steerer, configuration.held_out_classifier
    verdict = runs.describe_verdict(sample, configuration, steerer)
    position = runs.map_position(sample.opinions[steerer], configuration)
    title = registry.find_entry(held_out).title
    state, other = face.name_state(sample, configuration), face.name_state(sample, configuration, held_out)
    agreement = "agrees" if other == state else f"says {other}"
    base = bases.find_base(configuration.generator, configuration.base)
    changes = face.list_changes(sample.latent, base.latent, configuration)
    reason = "" if sample.passed[steerer] else f"{verdict.capitalize()}: "
    return BoundaryFace(
        id=identifier,
        src=face_url(sample.image),
        alt=f"Generated face between {configuration.emotion1} and {configuration.emotion2}: {verdict}. "
        f"{face.describe_changes(changes)}".strip(),
        words=state,
        note=f"{reason}{runs.describe_shares(position, configuration)}. {title} {agreement}.",
        changes=face.list_tile_changes(changes),
        verdict="open" if sample.passed[steerer] else "closed",
        place=position,
        path=_thin_path(path),
    )


def _build_base_tile(base: BaseShown, title: str, configuration: EmotionConfiguration) -> BaseFace:
    opinion = base.opinions[configuration.steerer]
    position = runs.map_position(opinion, configuration)
    return BaseFace(
        src=face_url(base.image),
        alt=f"The base, a generated face: {title}",
        title=f"The base: {title}",
        words=f"{registry.find_entry(configuration.steerer).title} sees {runs.strongest_emotion(opinion)} most; "
        f"{runs.describe_shares(position, configuration)}.",
        place=position,
    )


def _show_map(
    groups: Sequence[BoundaryGroup], base: BaseFace, configuration: EmotionConfiguration, on_pick: Callable[[str], None], key: str
) -> None:
    show_boundary_map(
        groups,
        base,
        (configuration.emotion1, configuration.emotion2),
        rule=MIN_SHARE_EACH,
        key=key,
        follow=key == "boundary-live",
        on_pick=on_pick,
    )


def show_unfinished_run(so_far: RunEvents, configuration: EmotionConfiguration, title: str) -> None:
    """The faces so far, and the paths of the others."""
    if so_far.base is None:
        return
    tiles = []
    for index in range(configuration.count):
        identifier, path = f"sample-{index}", so_far.paths.get(index, [])
        sample = so_far.faces.get(index)
        tiles.append(
            BoundaryFace(identifier, path=_thin_path(path))
            if sample is None
            else build_face_tile(identifier, sample, path, configuration)
        )
    _show_map(
        [BoundaryGroup(tiles)], _build_base_tile(so_far.base, title, configuration), configuration, lambda _: None, "boundary-live"
    )


def show_finished_run(run: EmotionRun, configuration: EmotionConfiguration, title: str, on_pick: Callable[[str], None]) -> None:
    """All faces of a run: those that are kept first, then the filtered ones and why."""
    tiles = [build_face_tile(made.sample.sample_id, made.sample, made.path, configuration) for made in run.faces]
    passed = [tile for tile in tiles if tile.verdict == "open"]
    filtered = [tile for tile in tiles if tile.verdict != "open"]
    steerer = runs.name_classifier(configuration.steerer, configuration)
    groups = []
    if passed:
        groups.append(
            BoundaryGroup(
                passed,
                title=f"Kept: {configuration.emotion1} and {configuration.emotion2} are both raised",
                note=f"{steerer}, sees more of both than in three quarters of plain faces."
                + (" Bars: what changed in the face against the base." if passed[0].changes else ""),
            )
        )
    if filtered:
        groups.append(
            BoundaryGroup(
                filtered,
                title="Filtered out, and why",
                note=""
                if passed
                else f"None of these has enough of both feelings for {registry.find_entry(configuration.steerer).title}; try more "
                "faces, or be free of the base.",
            )
        )
    _show_map(groups, _build_base_tile(run.base, title, configuration), configuration, on_pick, "boundary")


BINS = 44


def show_run_figures(run: EmotionRun, configuration: EmotionConfiguration) -> None:
    """The run's statistics, and its faces among the reference set."""
    limit = cache.cached_thresholds(configuration.generator, configuration.recogniser).opening
    statistics = summarise_boundary(run.sample_set.samples, configuration.steerer, configuration.recogniser, limit)
    try:
        reference: ReferenceSet | None = cache.cached_reference_set(configuration.generator)
    except LiminalError as error:
        st.info(str(error))
        reference = None
    st.header("Does it hold for a network that did not steer?", anchor=False)
    _show_sentences(statistics, configuration, reference)
    _show_classifier_table(statistics, configuration, reference)
    if reference is not None:
        st.space("medium")
        _show_reference_activations(run, configuration, reference)


def _interval_text(share: Proportion) -> str:
    return f"{format_percent(share.low)} to {format_percent(share.high)}"


def _show_sentences(statistics: BoundaryStatistics, configuration: EmotionConfiguration, reference: ReferenceSet | None) -> None:
    held_out = configuration.held_out_classifier
    by_steerer, by_held_out = statistics.of(configuration.steerer).passed, statistics.of(held_out).passed
    text = (
        f"Both feelings are raised in {by_steerer.count} of {by_steerer.n} for "
        f"{runs.name_classifier(configuration.steerer, configuration)}, and in {by_held_out.count} of {by_held_out.n} for "
        f"{runs.name_classifier(held_out, configuration)}."
    )
    if reference is not None:
        passed, plain = reference.count_passing(held_out, configuration.pair)
        text += f" Of plain faces, {format_percent(passed / plain)} have both raised for the latter."
    st.html(markup.intro_html(text))


def describe_entropy(bits: float) -> str:
    """Entropy in words: 1.58 bits -> 'as unsure as between 3.0 equally likely feelings'."""
    return f"as unsure as between {2**bits:.1f} equally likely feelings" if math.isfinite(bits) else "not known"


def _classifier_row_html(
    row: ClassifierStatistics, part: str, configuration: EmotionConfiguration, reference: ReferenceSet | None
) -> str:
    answers = row.calibrated
    plain = ""
    if reference is not None:
        passed, population = reference.count_passing(row.classifier, configuration.pair)
        plain = f"<small>plain faces: {format_percent(passed / population)} of {population:,}</small>"
    evenness = (
        f"{100 * answers.gap.value:.0f} percentage points apart, {format_percent(answers.together.value)} together"
        f"<small>medians of the {answers.gap.n} that pass</small>"
        if answers.gap.n
        else "<small>none passes</small>"
    )
    spread = (
        f"<small>{answers.entropy.value:.2f} bits of at most {math.log2(len(EMOTIONS)):.2f}; {answers.entropy.low:.2f} to "
        f"{answers.entropy.high:.2f}, n = {answers.entropy.n}</small>"
        if math.isfinite(answers.entropy.low)
        else f"<small>{answers.entropy.value:.2f} bits, n = {answers.entropy.n}</small>"
    )
    outcomes = answers.outcomes
    return (
        f"<tr><th>{registry.find_entry(row.classifier).title}<small>{part}</small></th>"
        f'<td data-name="Both raised"><b>{row.passed.count} of {row.passed.n}</b><small>{_interval_text(row.passed)}</small>'
        f"{plain}</td>"
        f'<td data-name="The two feelings">{evenness}</td>'
        f'<td data-name="By the paper’s rule">{outcomes.success.count} both, {outcomes.bias.count} mostly one, '
        f"{outcomes.failure.count} something else<small>of {outcomes.success.n}</small></td>"
        f'<td data-name="How unsure">{describe_entropy(answers.entropy.value)}{spread}</td></tr>'
    )


def _show_classifier_table(
    statistics: BoundaryStatistics, configuration: EmotionConfiguration, reference: ReferenceSet | None
) -> None:
    body = "".join(
        _classifier_row_html(row, configuration.describe_role(row.classifier), configuration, reference)
        for row in statistics.classifiers
    )
    st.html(
        '<table class="verdicts stacks"><thead><tr><td></td><th>Both raised</th><th>The two feelings</th>'
        f"<th>By the paper’s rule</th><th>How unsure it is</th></tr></thead><tbody>{body}</tbody></table>"
    )
    faces = statistics.faces
    title = registry.find_entry(faces.recogniser).title
    st.html(
        markup.caption_html(
            f"This run alone: {statistics.n} faces around one base. Small print: 95 % intervals, Wilson’s for shares and bootstrap "
            f"for means. {title} found a face in {faces.found.count} of {faces.found.n} and takes {faces.near.count} of "
            f"{faces.near.n} for the same person as the base ({_interval_text(faces.near)}). The paper’s rule: both feelings above "
            "25 % and together above 60 %; it was made for people’s answers, here it is asked of networks."
        )
    )


def _show_reference_activations(run: EmotionRun, configuration: EmotionConfiguration, reference: ReferenceSet) -> None:
    st.header("Rare among plain faces", anchor=False)
    st.html(
        markup.intro_html(
            f"How strongly a network answers to {len(reference):,} plain faces, feeling by feeling. The dashed line is the "
            "filter’s: one plain face in four lies beyond it. The strokes below are the faces of this run."
        )
    )
    name = runs.choose_network("By which network?", configuration, "activations-of")
    logits, limits = reference.logits[name], reference.percentiles(name)
    rows = []
    for index, emotion in enumerate(EMOTIONS):
        marks = [
            ActivationMark(
                id=made.sample.sample_id,
                value=round(made.sample.opinions[name].logits[index], 3),
                words=runs.describe_verdict(made.sample, configuration, configuration.steerer),
                verdict="open" if made.sample.passed[configuration.steerer] else "closed",
            )
            for made in run.faces
        ]
        values = logits[:, index].astype(np.float64)
        low = min(float(np.quantile(values, 0.002)), *(mark.value for mark in marks))
        high = max(float(np.quantile(values, 0.998)), *(mark.value for mark in marks))
        counts, _ = np.histogram(values, bins=BINS, range=(low, high))
        rows.append(Activation(emotion, counts.tolist(), low, high, float(limits[index]), index in configuration.pair, marks))
    show_activations(rows, key="activations", on_pick=face.select_face)
    st.html(
        markup.caption_html(
            f"Logits of {registry.find_entry(name).title} on random faces of {registry.find_entry(reference.generator).title}, "
            f"seed {reference.seed}, made on {reference.date}. Press a stroke to see its face."
        )
    )
