"""Words and HTML for numbers, faces and studies.

Words come before numbers, and every number says what it is. Shares are in [0, 1], distances in a recogniser's own unit.
Everything that comes from data or users is escaped. ``show_planted_effects`` states what was planted in simulated answers; the
note stored with a study says the same for those who check it. (Not called ``html``: Streamlit puts ``ui/`` on ``sys.path``, where
it would hide the standard module.)
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from core.figures.theme import format_percent
from core.sampling.configuration import FILES_KEY
from ui.components import Verdict

if TYPE_CHECKING:
    from core.studies.study import Kind, Question, RatingPlan, Stimulus, Study


VERDICTS: dict[Verdict, str] = {"open": "would unlock", "closed": "stays locked", "none": "no face found"}


def judge_distance(distance: float | None, threshold: float) -> Verdict:
    """Whether a phone would unlock at this distance; 'none' where no face was found."""
    if distance is None or not math.isfinite(distance):
        return "none"
    return "open" if distance < threshold else "closed"


MOST_DIGITS = 5


def format_limit(limit: float) -> str:
    """A limit as it is in force, rounded to three decimals: 0.445, and 0.60 for 0.600."""
    text = f"{limit:.3f}"
    return text[:-1] if text.endswith("0") else text


def format_distance(distance: float, limit: float) -> str:
    """A distance with two decimals, and more where only they tell on which side of the limit it lies: 0.5996 beside 0.60."""
    for digits in range(2, MOST_DIGITS):
        if f"{distance:.{digits}f}" != f"{limit:.{digits}f}":
            return f"{distance:.{digits}f}"
    return f"{distance:.{MOST_DIGITS}f}"


def format_one_in(rate: float) -> str:
    """0.01 -> '1 in 100'."""
    return f"1 in {round(1 / rate):,}"


def describe_sample_type(sample_type: str, step: float, distance: float = math.nan) -> str:
    """A sample type in words; ``step`` as in the table of pairs.

    distance: what a search reached, by the recogniser that it went by; NaN where that is not known. ``step`` is then its target.
    """
    optimized = f"optimized (target {step:g})"
    if math.isfinite(distance):
        optimized = f"optimized: distance {distance:.2f}" if distance < step else f"best found: distance {distance:.2f}"
    titles = {
        "genuine": "the base itself",
        "positive": f"a step of {step:g}",
        "negative": "another person",
        "interpolation": f"{100 * step:.0f} % of the way",
        "optimized": optimized,
        "semantic": "one look changed",
        "controversial": "recognisers part on it",
    }
    if math.isnan(step):
        titles |= {"positive": "a step away", "interpolation": "on the way to another"}
        titles["optimized"] = "optimized" if math.isnan(distance) else optimized
    return titles[sample_type]


@dataclass(frozen=True)
class RecogniserVerdict:
    """One recogniser on one pair of faces."""

    title: str
    distance: float
    threshold: float

    @property
    def verdict(self) -> Verdict:
        return judge_distance(self.distance, self.threshold)


def _describe_distance(row: RecogniserVerdict) -> str:
    return f"distance {format_distance(row.distance, row.threshold)}, limit {format_limit(row.threshold)}"


def verdicts_html(rows: Sequence[RecogniserVerdict]) -> str:
    """Recognisers side by side as HTML: name, verdict in words, distance and limit."""
    lines = []
    for row in rows:
        number = "" if row.verdict == "none" else _describe_distance(row)
        lines.append(
            f"<div><b>{html.escape(row.title)}</b>"
            f'<span class="verdict" data-verdict="{row.verdict}">{VERDICTS[row.verdict]}</span><small>{number}</small></div>'
        )
    return f'<div class="opinions">{"".join(lines)}</div>'


def portrait_html(src: str, alt: str, caption: str) -> str:
    """One large face as HTML."""
    return (
        f'<figure class="portrait"><img src="{html.escape(src)}" alt="{html.escape(alt)}">'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
    )


def pair_html(left: tuple[str, str], right: tuple[str, str]) -> str:
    """Two faces side by side as HTML; each is (address, caption), and the caption is the alternative text too."""
    figures = "".join(
        f'<figure><img src="{html.escape(src)}" alt="{html.escape(caption)}">'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
        for src, caption in (left, right)
    )
    return f'<div class="pair">{figures}</div>'


PERSON_VERDICTS: dict[Verdict, str] = {"open": "the same person", "closed": "two people", "none": "no face found"}
"""Verdicts on two faces where no phone is meant."""


@dataclass(frozen=True)
class PartingPair:
    """Two faces, and what each of two judges says of them: (name, verdict, note)."""

    faces: tuple[str, str]
    says: Sequence[tuple[str, Verdict, str]]


def parting_html(pairs: Sequence[PartingPair]) -> str:
    """Pairs of faces on which judges part, as HTML."""
    cards = ""
    for pair in pairs:
        faces = "".join(
            f'<img src="{html.escape(src)}" alt="{alt}" loading="lazy">'
            for src, alt in zip(pair.faces, ("One face", "The other face"), strict=True)
        )
        says = "".join(
            f'<span><b>{html.escape(name)}</b><span class="verdict" data-verdict="{verdict}">{PERSON_VERDICTS[verdict]}</span>'
            f"<small>{html.escape(note)}</small></span>"
            for name, verdict, note in pair.says
        )
        cards += f"<figure><div>{faces}</div><figcaption>{says}</figcaption></figure>"
    return f'<div class="parting">{cards}</div>'


def strip_html(faces: Sequence[tuple[str, str, float]], threshold: float) -> str:
    """Faces on the way from in to out as HTML; each is (address, alternative text, distance), told with its verdict."""
    judged = [(src, alt, judge_distance(distance, threshold)) for src, alt, distance in faces]
    figures = "".join(
        f'<figure data-verdict="{verdict}"><img src="{html.escape(src)}" alt="{html.escape(alt)}">'
        f"<figcaption>{VERDICTS[verdict]}</figcaption></figure>"
        for src, alt, verdict in judged
    )
    return f'<div class="strip">{figures}</div>'


def bars_html(shares: dict[str, float]) -> str:
    """Shares in [0, 1] as labelled bars, in the order given: the same answer stands in the same place everywhere."""
    rows = "".join(
        f'<div><span>{html.escape(name)}</span><i style="--share:{100 * share:.0f}%"></i><span>{format_percent(share)}</span></div>'
        for name, share in shares.items()
    )
    return f'<div class="bars">{rows}</div>'


def facts_html(rows: Iterable[tuple[str, str]]) -> str:
    """Numbers, each with the words that say what it means, as HTML."""
    return "".join(f'<div class="fact"><b>{html.escape(number)}</b><p>{html.escape(words)}</p></div>' for number, words in rows)


def intro_html(text: str, *, wide_only: bool = False) -> str:
    """An opening paragraph as HTML; ``wide_only``: left out where the screen is narrow."""
    return f'<p class="lead{" wide-only" if wide_only else ""}">{html.escape(text)}</p>'


def caption_html(text: str, *, centre: bool = False) -> str:
    """Small print as HTML."""
    return f'<p class="fine{" centre" if centre else ""}">{html.escape(text)}</p>'


STUDY_QUESTIONS: dict[Question, str] = {
    "identity": "the same person?",
    "emotion": "which feeling?",
    "labels": "which label?",
    "scale": "a rating scale",
}
IDENTITY_ANSWERS = {"1": "the same person", "0": "two people"}


def count_noun(number: int, one: str, more: str | None = None) -> str:
    """'1 face', '1,200 faces'."""
    return f"{number:,} {one if number == 1 else more or one + 's'}"


def study_source(study: Study) -> str:
    """Where a study's answers come from: human, simulated, model, or imported and published where they come from elsewhere."""
    return study.origin if study.origin != "here" and study.source == "human" else study.source


def study_badges_html(study: Study) -> str:
    """A study's kind, source and, where it is closed, that, as HTML."""
    source = study_source(study)
    names = {
        "human": "people",
        "simulated": "simulated",
        "model": "a model",
        "imported": "brought in",
        "published": "imported means",
    }
    badges = [("kind", STUDY_QUESTIONS[study.plan.asks]), (source, names[source])]
    if study.closed and source == "human":
        badges.append(("closed", "closed"))
    marks = "".join(f'<span data-mark="{mark}">{html.escape(text)}</span>' for mark, text in badges)
    return f'<div class="badges">{marks}</div>'


SOURCE_NAMES = {"human": "people", "simulated": "simulated", "model": "models", "published": "published"}
"""Sources of answers, and of figures, as badges and tables name them."""


def name_raters(source: str) -> str:
    """What a view calls those who answered: 'people', or 'simulated observers'. source: of ratings or of a result."""
    return "simulated observers" if "simulated" in source else "people"


def show_simulated_badge(source: str) -> None:
    """Show the mark of simulated answers, for what can be photographed alone, such as a dialog; nothing where people answered."""
    if "simulated" in source:
        st.html('<div class="badges"><span data-mark="simulated">simulated: nobody was asked</span></div>')


def describe_participation(study: Study, people: int, answers: int) -> str:
    """How many people took part and how many answers there are, in words."""
    if study.origin == "published" and not answers:
        return "Imported means; single answers are not known"
    if not answers:
        return "Nobody has answered yet"
    raters = count_noun(people, "simulated observer") if study.source == "simulated" else count_noun(people, "person", "people")
    return f"{raters}, {count_noun(answers, 'answer')}{', two a pair' if study.plan.asks == 'identity' else ''}"


def describe_stimuli(study: Study, stimuli: Sequence[Stimulus]) -> str:
    """What a study asks about, in one sentence with all of its numbers, so that those on its pages add up."""
    checks = sum(stimulus.is_sentinel for stimulus in stimuli)
    asked = len(stimuli) - checks
    if not stimuli:
        return ""
    noun = "pair" if study.plan.kind == "identity" else "face"
    if not checks:
        return f"It asks about {count_noun(asked, noun)}."
    check = "1 of them is an attention check" if checks == 1 else f"{checks:,} of them are attention checks"
    if study.plan.kind == "identity":
        pictures = count_noun(len({image for stimulus in stimuli for image in stimulus.images}), "picture")
        itself = "a picture" if any(stimulus.details.get(FILES_KEY) for stimulus in stimuli) else "a base"
        asked_about = f"It asks about {count_noun(len(stimuli), noun)} of {pictures}"
        return f"{asked_about}; {check}, {itself} beside itself, which figures count as genuine."
    return f"It shows {count_noun(len(stimuli), noun)}; {check}, which rankings and figures leave out."


def escape_markdown(text: str) -> str:
    """A name with Markdown's characters escaped."""
    return re.sub(r"([\\`*_{}\[\]()#+\-.!|<>~:$])", r"\\\1", text)


def describe_stimulus(stimulus: Stimulus) -> str:
    """A stimulus in words: its two emotions, or its sample type."""
    details = stimulus.details
    if stimulus.is_sentinel:
        return "attention check"
    if details.get("emotion1"):
        return f"{details['emotion1']} or {details['emotion2']}"
    step = details.get("step")
    if details.get(FILES_KEY) and stimulus.sample_type == "genuine":
        return "a picture beside itself"
    try:
        return describe_sample_type(
            stimulus.sample_type, math.nan if step is None else float(step), float(details.get("distance") or math.nan)
        )
    except KeyError:  # imported, with a type of its own
        return stimulus.sample_type.replace("_", " ")


def name_answers(plan: RatingPlan) -> dict[str, str]:
    """The answers to choose from in words, in their order; the ends of a rating scale with their names."""
    if plan.asks == "identity":
        return dict(IDENTITY_ANSWERS)
    names = {value: value for value in plan.choices}
    if plan.asks == "scale":
        names |= {plan.choices[0]: f"1 ({plan.scale_low})", plan.choices[-1]: f"{plan.scale_points} ({plan.scale_high})"}
    return names


NOBODY_WAS_ASKED = "Nobody was asked. The answers come from simulated observers: a program that answers as people might."
PLANTED_TITLE = "What was planted"
PLANTED_EFFECTS: dict[Kind, tuple[tuple[str, str], ...]] = {
    "identity": (
        (
            "What they see",
            "How different two faces look: by what two recognisers (dlib and SFace) measure, by the pictures themselves, and by "
            "how bright and how smiling the faces are; and a part that no network here can see. Whose face was drawn they are "
            "not told.",
        ),
        (
            "How they answer",
            "Everybody looks a little inexactly and has a line of their own between one person and two. How alike they say two "
            "faces are follows from the same look. Where they are in doubt they are slower.",
        ),
        ("Who pays no attention", "A few of them, on purpose: they are what the attention checks are for."),
        (
            "What is taken from a publication",
            "How alike people find each kind of pair, and how often they say it is the same person, on average.",
        ),
    ),
    "emotion": (
        (
            "What they see",
            "Each face through a small network of their own, which takes no part in making faces and never learns on these pages; "
            "where it is known what each part of a face does, half through that; and a part that no network here can see.",
        ),
        (
            "How they answer",
            "Everybody mixes up some feelings, leans to some, sees more or less sharply and slips now and then, each in a way of "
            "their own. Where they are in doubt they are slower.",
        ),
        ("Who pays no attention", "About one in three, on purpose: they are what the attention checks are for."),
        (
            "What is taken from a publication",
            "How divided people are over a face, how long they take, how both go together, and how many miss the attention checks.",
        ),
    ),
}
PLANTED_REMAINDER = "Everything else that you see comes out by itself: it was not put in."


def show_planted_effects(study: Study) -> None:
    """The relations that were planted, one under the other; another study's note is shown as it was written."""
    from core.studies.simulation import PLANTED  # SciPy

    known = PLANTED[study.plan.kind]
    if not study.note.startswith(known):
        st.html(caption_html(study.note or "What was planted is not known."))
        return
    rows = "".join(
        f"<li><b>{html.escape(title)}</b><p>{html.escape(text)}</p></li>" for title, text in PLANTED_EFFECTS[study.plan.kind]
    )
    st.html(f'<ul class="reasons planted">{rows}</ul>')
    st.html(caption_html(f"{PLANTED_REMAINDER} {study.note.removeprefix(known)}".strip()))
