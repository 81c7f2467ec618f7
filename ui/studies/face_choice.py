"""On the page of an adaptive study: how it chooses what each person is asked next, and what that changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from core.analysis.study_data import build_study_data
from core.figures.exhibit import name_raters
from core.figures.theme import SOURCE_WORDS
from core.lazy_import import lazy_import
from core.studies.adaptive import find_axes
from core.studies.exclusions import ExclusionRules
from core.studies.study import Study
from ui.markup import caption_html
from ui.studies import access
from ui.studies.access import AnswersVersion

if TYPE_CHECKING:
    from core.figures import face_choice
else:  # SciPy's optimisation
    face_choice = lazy_import("core.figures.face_choice")


def show_choice(study: Study, rules: ExclusionRules) -> None:
    """Say how the study chooses, and what it changed for those whom the rules do not leave out."""
    if find_axes(study.plan, access.load_stimuli(study)):
        text = (
            "Each next stimulus follows from the person's answers so far, along axes (psi method). The chapter Thresholds of "
            "Statistics shows what came of it."
        )
    else:
        text = (
            "Each next face is the one whose answer is expected to tell most about the person, by a model of the group and one of "
            "this person (expected information). "
            f"{_describe_benefit(access.answers_version(study), rules, study)}"
        )
    st.markdown("**How the faces are chosen**")
    st.html(caption_html(text))


@st.cache_data(show_spinner=False, max_entries=8)
def _describe_benefit(version: AnswersVersion, rules: ExclusionRules, _study: Study) -> str:
    """What choosing faces changed, in a sentence or two with n, interval and source."""
    stimuli, ratings = access.load_stimuli(_study), access.load_ratings(_study)
    study_data = build_study_data(_study, stimuli, [], ratings, access.get_library(), rules=rules)
    benefit = face_choice.compute_benefit(study_data)
    said = face_choice.describe_benefit(benefit, name_raters(study_data))
    return said if benefit is None else f"{said} {benefit.note} Source: {SOURCE_WORDS[_study.source]}."
