"""The chapters of a study's statistics, in order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from core.analysis.causes import select_single_changes
from core.analysis.morphs import find_morphs
from core.figures import (
    causes,
    chains,
    emotion,
    face_choice,
    features,
    identity,
    morphs,
    psychophysics,
    questions,
    raters,
    thresholds,
    verification,
    zoo,
)
from core.figures.exhibit import ExhibitView, Section
from core.sampling.stored.population import has_population
from core.studies.study import Question

if TYPE_CHECKING:
    from core.analysis.study_data import StudyData

THRESHOLD_FIELDS = ("recogniser", "threshold")

IDENTITY_SECTIONS = (
    Section(
        "types",
        "By type of sample",
        "Which samples pass for the same person?",
        identity.exhibit_means,
        answers=False,
        uses=THRESHOLD_FIELDS,
    ),
    Section("similarity", "Similarity", "How alike do people find them?", identity.exhibit_similarity, uses=THRESHOLD_FIELDS),
    Section(
        "decisions",
        "Decisions",
        "Does the threshold lie where people change their mind?",
        identity.exhibit_decisions,
        uses=THRESHOLD_FIELDS,
    ),
    Section(
        "threshold",
        "Any threshold",
        "Who gets in, and how strict must one be?",
        verification.exhibit_acceptance,
        answers=False,
        uses=THRESHOLD_FIELDS,
    ),
    Section(
        "errors",
        "Errors",
        "How often does a recogniser depart from people?",
        verification.exhibit_verification,
        uses=THRESHOLD_FIELDS,
    ),
    Section(
        "way",
        "On the way",
        "At which point does one face become another?",
        psychophysics.exhibit_psychometric,
        uses=THRESHOLD_FIELDS,
    ),
    Section(
        "zoo",
        "Easily imitated",
        "Whose phone opens most easily, and which one face opens most phones?",
        zoo.exhibit_zoo,
        answers=False,
        uses=("recogniser",),
    ),
    Section("correlations", "Correlations", "Which measure goes with what people say?", identity.exhibit_correlations, means=True),
    Section("deciders", "Erring alike", "Do models err where people err?", raters.exhibit_consistency, uses=THRESHOLD_FIELDS),
    Section("agreement", "Agreement", "Do people agree with each other?", raters.exhibit_agreement),
    Section(
        "mixed",
        "Type and distance",
        "Does distance mean the same for all types?",
        psychophysics.exhibit_mixed_model,
        uses=("recogniser",),
    ),
    Section("features", "Looks", "Which differences do people see?", features.exhibit_features, slow=True),
    Section("times", "Reaction times", "How long do people take?", raters.exhibit_reaction_times),
)
MORPH_SECTION = Section(
    "morphs",
    "Two owners, one face",
    "Does one face open two people’s phones?",
    morphs.exhibit_morphs,
    answers=False,
    uses=THRESHOLD_FIELDS,
)
"""Of studies in which faces between two people were judged against both of them; after the chapter on the way."""
CHANGE_SECTION = Section(
    "causes",
    "What matters",
    "What does the machine mind, and what do people?",
    causes.exhibit_single_changes,
    uses=THRESHOLD_FIELDS,
)
"""Of identity studies in which single parts of a face were moved alone."""
THRESHOLD_SECTION = Section(
    "axes",
    "Thresholds",
    "Where does each person change their mind, and where each network?",
    thresholds.exhibit_thresholds,
    uses=THRESHOLD_FIELDS,
)
"""Of studies that ask along axes."""
CHAIN_SECTION = Section(
    "chains",
    "Made by people",
    "Which face did people make, and have their chains met?",
    chains.exhibit_made_faces,
    answers=False,
)
"""Of faces that people made, one part after the other."""
CHOICE_SECTION = Section(
    "chosen",
    "Chosen faces",
    "How were the faces chosen, and what did it change?",
    face_choice.exhibit_face_choice,
)
"""Of adaptive studies of faces on no axis."""
EMOTION_SECTIONS = (
    Section("outcomes", "Outcomes", "Do people see both feelings?", emotion.exhibit_outcomes),
    Section("divided", "Divided", "How divided are people?", emotion.exhibit_entropy),
    Section("times", "Reaction times", "How long do people take?", raters.exhibit_reaction_times),
    Section("agreement", "Agreement", "Do people agree with each other?", raters.exhibit_agreement),
    Section("classifiers", "Classifiers", "Do classifiers foretell what people say?", emotion.exhibit_classifiers),
    Section("deciders", "Erring alike", "Do models choose what people choose?", raters.exhibit_consistency),
    Section(
        "activations", "Activations", "How rare are such faces?", emotion.exhibit_activations, answers=False, uses=("classifier",)
    ),
)
LABEL_SECTIONS = (
    Section("answers", "Answers", "What do people choose?", questions.exhibit_answers),
    Section("divided", "Divided", "How divided are people?", questions.exhibit_divided),
    Section("agreement", "Agreement", "Do people agree with each other?", raters.exhibit_agreement),
    Section("deciders", "Erring alike", "Who chooses what others choose?", raters.exhibit_consistency),
    Section("times", "Reaction times", "How long do people take?", raters.exhibit_reaction_times),
)
SCALE_SECTIONS = (Section("ratings", "Ratings", "How do people rate them?", questions.exhibit_ratings), *LABEL_SECTIONS)
SECTIONS: Mapping[Question, tuple[Section, ...]] = {
    "identity": IDENTITY_SECTIONS,
    "emotion": EMOTION_SECTIONS,
    "labels": LABEL_SECTIONS,
    "scale": SCALE_SECTIONS,
}
FIRST: Mapping[Question, tuple[str, ...]] = {
    "identity": ("axes", "causes", "types", "decisions", "errors", "correlations"),
    "emotion": ("chains", "axes", "outcomes", "divided", "agreement", "classifiers", "chosen"),
    "labels": ("chains", "answers", "divided", "agreement"),
    "scale": ("chains", "ratings", "divided", "agreement"),
}
"""Chapters that a page shows before its reader asks for more."""


def list_sections(study_data: StudyData) -> tuple[Section, ...]:
    """The sections for the study's question."""
    sections = SECTIONS[study_data.study.plan.asks]
    if not has_population(study_data.generator):  # own pictures, a model that is gone
        sections = tuple(section for section in sections if section.key != "zoo")
    if study_data.study.plan.asks == "identity" and not find_morphs(study_data.pairs).empty:
        place = [section.key for section in sections].index("way") + 1
        sections = (*sections[:place], MORPH_SECTION, *sections[place:])
    if study_data.study.plan.adaptive and thresholds.has_axes(study_data):
        sections = (THRESHOLD_SECTION, *sections)
    if study_data.made:  # nobody looked for rare faces here
        sections = (CHAIN_SECTION, *(section for section in sections if section.key != "activations"))
    if face_choice.chooses_faces(study_data):
        sections = (*sections, CHOICE_SECTION)
    if study_data.study.plan.asks == "identity" and len(set(select_single_changes(study_data.pairs)[1])) > 1:
        return (CHANGE_SECTION, *sections)
    return sections


def split_sections(study_data: StudyData) -> tuple[tuple[Section, ...], tuple[Section, ...]]:
    """The sections that are shown first, and those behind "More"."""
    every, first = list_sections(study_data), FIRST[study_data.study.plan.asks]
    if study_data.own_pictures and not study_data.generator:  # made between no two feelings
        first = tuple(key for key in first if key != "outcomes")
    return tuple(section for section in every if section.key in first), tuple(
        section for section in every if section.key not in first
    )


def choose_default_view(study_data: StudyData) -> ExhibitView:
    """The view that is shown where a reader chose nothing."""
    known = [name for name in study_data.recognisers if name in study_data.thresholds]
    return ExhibitView(recogniser=known[0] if known else "", classifier=study_data.steerer)
