"""What a run of emotion samples adds up to: how many could be either, how unsure the networks are, and how rare that is."""

from __future__ import annotations

import math

import numpy as np
import streamlit as st

from core.analysis.acceptance import Proportion
from core.analysis.boundary import Boundary, ClassifierBoundary, boundary
from core.errors import LiminalError
from core.models import registry
from core.models.emotions import EMOTIONS
from core.sampling.emotion.configuration import EmotionConfiguration
from core.sampling.emotion.reference import Reference
from ui import caches, emotion_dialog, emotion_words, words
from ui.components.activations import Activation, ActivationMark, activations
from ui.emotion_runs import Run

BINS = 44


def show(run: Run, configuration: EmotionConfiguration) -> None:
    """The run in figures, and its faces among plain ones."""
    limit = caches.stored_thresholds(configuration.generator, configuration.recogniser).default
    found = boundary(run.made.samples, configuration.steerer, configuration.recogniser, limit)
    try:
        reference: Reference | None = caches.stored_reference(configuration.generator)
    except LiminalError as error:
        st.info(str(error))
        reference = None
    st.header("Does it hold for a network that did not steer?", anchor=False)
    _sentences(found, configuration, reference)
    _table(found, configuration, reference)
    if reference is not None:
        st.space("medium")
        _activations(run, configuration, reference)


def _interval(share: Proportion) -> str:
    return f"{words.percent(share.low)} to {words.percent(share.high)}"


def _sentences(found: Boundary, configuration: EmotionConfiguration, reference: Reference | None) -> None:
    judge = configuration.bystander
    steered, watched = found.of(configuration.steerer), found.of(judge)
    text = (
        f"{steered.passed.count} of {steered.passed.n} could be either for "
        f"{emotion_words.named(configuration.steerer, configuration)}; {watched.passed.count} of {watched.passed.n} for "
        f"{emotion_words.named(judge, configuration)}."
    )
    if reference is not None:
        passed, plain = reference.plain_share(judge, configuration.pair)
        text += f" Of plain faces, {words.percent(passed / plain)} could be either for the latter."
    st.html(words.lead(text))


def unsure(bits: float) -> str:
    """Entropy in words: 1.58 bits -> 'as unsure as between 3.0 equally likely feelings'."""
    return f"as unsure as between {2**bits:.1f} equally likely feelings" if math.isfinite(bits) else "not known"


def _row(each: ClassifierBoundary, part: str, configuration: EmotionConfiguration, reference: Reference | None) -> str:
    answers = each.calibrated
    plain = ""
    if reference is not None:
        passed, population = reference.plain_share(each.classifier, configuration.pair)
        plain = f"<small>plain faces: {words.percent(passed / population)} of {population:,}</small>"
    evenness = (
        f"{words.percent(answers.gap.value)} apart, {words.percent(answers.together.value)} together<small>medians of the "
        f"{answers.gap.n} that pass</small>"
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
        f"<tr><th>{registry.entry(each.classifier).title}<small>{part}</small></th>"
        f'<td data-name="Could be either"><b>{each.passed.count} of {each.passed.n}</b><small>{_interval(each.passed)}</small>'
        f"{plain}</td>"
        f'<td data-name="The two feelings">{evenness}</td>'
        f'<td data-name="By the paper’s rule">{outcomes.success.count} both, {outcomes.bias.count} mostly one, '
        f"{outcomes.failure.count} something else<small>of {outcomes.success.n}</small></td>"
        f'<td data-name="How unsure">{unsure(answers.entropy.value)}{spread}</td></tr>'
    )


def _table(found: Boundary, configuration: EmotionConfiguration, reference: Reference | None) -> None:
    body = "".join(_row(each, configuration.part(each.classifier), configuration, reference) for each in found.classifiers)
    st.html(
        '<table class="verdicts stacks"><thead><tr><td></td><th>Could be either</th><th>The two feelings</th>'
        f"<th>By the paper’s rule</th><th>How unsure it is</th></tr></thead><tbody>{body}</tbody></table>"
    )
    faces = found.faces
    title = registry.entry(faces.recogniser).title
    st.html(
        words.fine(
            f"This run alone: {found.n} faces around one base. Small print: 95 % intervals, Wilson’s for shares and bootstrap for "
            f"means. {title} found a face in {faces.found.count} of {faces.found.n} and takes {faces.near.count} of {faces.near.n} "
            f"for the same person as the base ({_interval(faces.near)}). The paper’s rule: both feelings above 25 % and together "
            "above 60 %; it was made for people’s answers, here it is asked of networks."
        )
    )


def _activations(run: Run, configuration: EmotionConfiguration, reference: Reference) -> None:
    st.header("Rare among plain faces", anchor=False)
    st.html(
        words.lead(
            f"How strongly a network answers to {len(reference):,} plain faces, feeling by feeling. The dashed line is the "
            "filter’s: one plain face in four lies beyond it. The strokes below are the faces of this run."
        )
    )
    name = st.segmented_control(
        "By which network?",
        configuration.classifiers,
        format_func=lambda each: registry.entry(each).title,
        default=configuration.steerer,
        required=True,
        wrap=True,
        key="activations-of",
    )
    logits, limits = reference.logits[name], reference.percentiles(name)
    rows = []
    for place, emotion in enumerate(EMOTIONS):
        marks = [
            ActivationMark(
                id=face.made.sample_id,
                value=round(face.made.opinions[name].logits[place], 3),
                words=emotion_words.verdict(face.made, configuration, configuration.steerer),
                verdict="open" if face.made.passed[configuration.steerer] else "closed",
            )
            for face in run.faces
        ]
        values = logits[:, place].astype(np.float64)
        low = min(float(np.quantile(values, 0.002)), *(mark.value for mark in marks))
        high = max(float(np.quantile(values, 0.998)), *(mark.value for mark in marks))
        counts, _ = np.histogram(values, bins=BINS, range=(low, high))
        rows.append(Activation(emotion, counts.tolist(), low, high, float(limits[place]), place in configuration.pair, marks))
    activations(rows, key="activations", on_pick=emotion_dialog.pick)
    st.html(
        words.fine(
            f"Logits of {registry.entry(name).title} on random faces of {registry.entry(reference.generator).title}, seed "
            f"{reference.seed}, made on {reference.date}. Press a stroke to see its face."
        )
    )
