"""The chapters of a study's statistics, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.figures.exhibits import deciders, emotion, identity, looks, thresholds, way
from core.figures.exhibits.exhibit import Section, View

if TYPE_CHECKING:
    from core.analysis.material import Material

LIMIT = ("recogniser", "threshold")

IDENTITY = (
    Section("types", "By type of sample", "Which samples pass for the same person?", identity.means, answers=False, uses=LIMIT),
    Section("similarity", "Similarity", "How alike do people find them?", identity.similarity, uses=LIMIT),
    Section("decisions", "Decisions", "Does the threshold lie where people change their mind?", identity.decisions, uses=LIMIT),
    Section(
        "threshold", "Any threshold", "Who gets in, and how strict must one be?", thresholds.acceptance, answers=False, uses=LIMIT
    ),
    Section("errors", "Errors", "How often does a recogniser depart from people?", thresholds.against_people, uses=LIMIT),
    Section("way", "On the way", "At which point does one face become another?", way.psychometric, uses=LIMIT),
    Section("correlations", "Correlations", "Which measure goes with what people say?", identity.correlations),
    Section("deciders", "Erring alike", "Do models err where people err?", deciders.consistency, uses=LIMIT),
    Section("agreement", "Agreement", "Do people agree with each other?", deciders.agreements),
    Section("mixed", "Type and distance", "Does distance mean the same for all types?", way.mixed, uses=("recogniser",)),
    Section("features", "Looks", "Which differences do people see?", looks.features, slow=True),
    Section("times", "Reaction times", "How long do people take?", deciders.times),
)
EMOTION = (
    Section("outcomes", "Outcomes", "Do people see both feelings?", emotion.outcome_shares),
    Section("divided", "Divided", "How divided are people?", emotion.divided),
    Section("times", "Reaction times", "How long do people take?", deciders.times),
    Section("agreement", "Agreement", "Do people agree with each other?", deciders.agreements),
    Section("classifiers", "Classifiers", "Do classifiers foretell what people say?", emotion.against_classifiers),
    Section("deciders", "Erring alike", "Do models choose what people choose?", deciders.consistency),
    Section("activations", "Activations", "How rare are such faces?", emotion.activations, answers=False, uses=("classifier",)),
)
FIRST = {
    "identity": ("types", "decisions", "errors", "correlations"),
    "emotion": ("outcomes", "divided", "agreement", "classifiers"),
}
"""Chapters that a page shows before its reader asks for more."""


def sections(material: Material) -> tuple[Section, ...]:
    """Those of the study's question."""
    return IDENTITY if material.kind == "identity" else EMOTION


def first_and_more(material: Material) -> tuple[tuple[Section, ...], tuple[Section, ...]]:
    """The same sections: those that are shown first, and those behind "More"."""
    every, first = sections(material), FIRST[material.kind]
    return tuple(each for each in every if each.key in first), tuple(each for each in every if each.key not in first)


def first_view(material: Material) -> View:
    """What is shown where nothing was chosen."""
    known = [name for name in material.recognisers if name in material.thresholds]
    return View(recogniser=known[0] if known else "", classifier=material.steerer)
