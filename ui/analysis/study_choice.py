"""The study that is analysed: one choice at the top of every page of analysis, shared by them and kept in the address."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from core.alignment.configuration import AlignmentConfiguration
from core.errors import LiminalError
from ui import markup, navigation, selection
from ui.markup import caption_html
from ui.pictures import sample_url
from ui.studies import access, owner_gate

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from core.analysis.study_data import StudyData
    from core.studies.library import DataSetEntry, SetEntry
    from core.studies.study import Study

CHOICE, LAST = "analysis-study", "analysis-last"
HIDE, ATTENTIVE = "hide", "attentive"
STUDY_PARAMETERS = (selection.ITEM_PARAMETER, "part", "selection")
"""Entries of the address that mean something in one study only."""
MAX_REASONS = 40


@dataclass(frozen=True, eq=False)
class StudyChoice:
    """A study with its data. key: changes whenever an answer comes in or goes, for caches."""

    study: Study
    study_data: StudyData
    key: str

    def picture(self, sample_id: str) -> str:
        """Address of a picture; "" where the library does not hold it."""
        set_id = self.study_data.where.get(sample_id)
        return sample_url(set_id, sample_id) if set_id else ""


def choose_study(*, learnable: bool = False) -> StudyChoice | None:
    """Show the picker and return the study; None where there is none to look at, which the page says.

    learnable: where the address names none, one that networks can learn from.
    """
    studies = list_visible_studies()
    name = st.query_params.get("study", "")
    if name and not owner_gate.is_allowed() and name not in {study.name for study in studies} and not owner_gate.require_owner():
        return None
    simulated = any(study.source == "simulated" for study in studies)
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom", key="study-picker"):
        picker = st.container(width=460)
        hide = st.toggle("Hide simulated studies", key=HIDE, bind="query-params") if simulated else False
        offered = [study for study in studies if not (hide and study.source == "simulated")]
        study = _pick_study(offered, picker, learnable=learnable) if offered else None
        attentive = study is None or choose_attentive_only("missed attention checks, too fast, always the same answer")
    if study is None:
        _show_no_study(simulated)
        return None
    choice = load_study_choice(study, attentive=attentive)
    show_study_description(choice)
    return choice


def choose_attentive_only(rules: str) -> bool:
    """A switch: whether inattentive people are left out. rules: the exclusion rules in words."""
    meaning = f"By the rules on the study's own page: {rules}."
    return bool(st.toggle("Leave out inattentive people", True, key=ATTENTIVE, bind="query-params", help=meaning))


def load_study_choice(study: Study, *, attentive: bool = True) -> StudyChoice:
    """A study with its data, cached until an answer comes in or goes. attentive: without inattentive people."""
    key = f"{access.answers_version(study)}\0{attentive}"
    return StudyChoice(study, _load_study_data(key, study, attentive), key)


@st.cache_resource(show_spinner="Gathering the answers", max_entries=6)
def _load_study_data(key: str, _study: Study, attentive: bool) -> StudyData:
    from core.analysis.study_data import build_study_data  # after the choice is painted: SciPy

    return build_study_data(
        _study,
        access.load_stimuli(_study),
        access.get_store().raters(_study.name),
        access.load_ratings(_study),
        access.get_library(),
        rules="planned" if attentive else None,
    )


def list_visible_studies() -> list[Study]:
    """Studies that the visitor may see, newest first; the demonstration is installed first."""
    access.install_demonstration()
    studies = access.get_store().studies()
    if owner_gate.is_allowed():
        return studies
    return [study for study in studies if study.source == "simulated" and not access.asks_about_own_pictures(study)]


def list_visible_sets() -> list[SetEntry]:
    """Sample sets that the visitor may see, newest first; those of the owner are hidden, as a study may ask about them."""
    return [entry for entry in access.list_sample_sets() if entry.demonstration or owner_gate.is_allowed()]


def list_visible_data_sets() -> list[DataSetEntry]:
    """Large data sets that the visitor may see, newest first: all for the owner, none for others."""
    return access.get_library().data_sets.entries() if owner_gate.is_allowed() else []


def is_learnable(study: Study) -> bool:
    """Whether networks can learn feelings from the study: enough answers of people who are not left out."""
    enough = study.plan.asks == "emotion" and count_usable_answers(study) >= AlignmentConfiguration.least_answers
    return enough and not access.asks_about_own_pictures(study)


def find_learnable_study() -> Study | None:
    """The study that networks learn from where nothing else is chosen; None where there is none."""
    studies = [study for study in list_visible_studies() if is_learnable(study)]
    return default_study(studies) if studies else None


def find_chosen_study(studies: Sequence[Study], *, learnable: bool = False) -> Study:
    """The study of the address, else the last one looked at, else the default. learnable: one that networks can learn from."""
    by_name = {study.name: study for study in studies}
    if (asked := by_name.get(st.query_params.get("study", ""))) is not None:
        return asked
    last = by_name.get(st.session_state.get(LAST, ""))
    if last is not None and (not learnable or is_learnable(last)):
        return last
    emotion = [study for study in studies if study.plan.asks == "emotion"] if learnable else []
    return default_study([study for study in emotion if is_learnable(study)] or emotion or studies)


def opens_learnable() -> bool:
    """Whether the study that will be shown is one that networks can learn from, so that there is nothing to choose first."""
    studies, asked = list_visible_studies(), st.query_params.get("study", "")
    known = not asked or asked in {study.name for study in studies}
    return bool(studies) and known and is_learnable(find_chosen_study(studies, learnable=True))


def default_study(studies: Sequence[Study]) -> Study:
    """The newest study with answers of people that count, else the newest with any that count, else the newest."""
    counts = access.get_store().counts()
    answered = [study for study in studies if counts.get(study.name, (0, 0))[1]]
    answered.sort(key=lambda study: study.source != "human")
    return next((study for study in answered if count_usable_answers(study)), studies[0])


def count_usable_answers(study: Study) -> int:
    """The number of answers that count: of people whom the usual rules do not leave out, attention checks aside."""
    version = access.answers_version(study)
    return _count_usable_answers(version, study) if version[2][1] else 0


@st.cache_data(show_spinner=False, max_entries=256)
def _count_usable_answers(version: access.AnswersVersion, _study: Study) -> int:
    from core.studies.exclusions import ExclusionRules, apply_exclusion_rules  # after the choice is painted: pandas

    ratings = access.load_ratings(_study)
    counted = apply_exclusion_rules(ratings, access.load_stimuli(_study), ExclusionRules.of_plan(_study.plan)).filter(ratings)
    return int((~counted["is_sentinel"]).sum())


def _pick_study(studies: list[Study], picker: DeltaGenerator, *, learnable: bool) -> Study:
    asked = st.query_params.get("study", "")
    study = find_chosen_study(studies, learnable=learnable)
    st.session_state[CHOICE] = study.name
    with picker:
        st.selectbox("Study", [other.name for other in studies], key=CHOICE, on_change=_store_study)
    if asked and asked != study.name:  # stays in the address, so that the page goes on saying it until another one is chosen
        try:
            access.get_store().study(asked)  # there, but hidden by the switch
        except LiminalError as error:
            st.warning(f"{error} Shown instead: {markup.escape_markdown(study.name)}.")
            return study
    st.query_params["study"] = study.name
    st.session_state[LAST] = study.name
    return study


def _store_study() -> None:
    st.query_params["study"] = st.session_state[CHOICE]
    for name in STUDY_PARAMETERS:
        st.query_params.pop(name, None)


def show_study_description(choice: StudyChoice) -> None:
    """Say where the answers come from, how many there are and who is left out."""
    study_data, study = choice.study_data, choice.study
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="study-described"):
        people = study_data.exclusions.raters
        st.html(
            markup.study_badges_html(study)
            + caption_html(
                markup.describe_participation(study, len(people), len(study_data.ratings)) + _describe_left_out(study_data)
            )
        )
        if study_data.excluded:
            with st.popover("Who and why", type="tertiary"):
                _show_reasons(study_data)
        if study.source == "simulated":
            with st.popover(markup.PLANTED_TITLE, type="tertiary", icon=":material/smart_toy:"):
                st.html(caption_html(markup.NOBODY_WAS_ASKED))
                markup.show_planted_effects(study)
        st.page_link(navigation.build_page(navigation.STUDIES), label="The study itself", query_params={"study": study.name})
    st.html(caption_html(markup.describe_stimuli(study, study_data.stimuli)))
    if study_data.excluded and len(study_data.excluded) == len(study_data.exclusions.raters):
        with st.container(horizontal=True, gap="small", vertical_alignment="center", key="everybody-left-out"):
            st.html(caption_html("Everybody who answered is left out, so that no answer counts."))
            st.button("Count them all the same", key="count-everybody", type="tertiary", on_click=_count_everybody)
    for note in study_data.notes:
        st.html(caption_html(note))


def _count_everybody() -> None:
    st.session_state[ATTENTIVE] = False


def _show_reasons(study_data: StudyData) -> None:
    rows = list(study_data.excluded.items())
    items = "".join(f"<li><b>{html.escape(who)}</b><p>{html.escape(' '.join(why))}</p></li>" for who, why in rows[:MAX_REASONS])
    st.html(f'<ul class="reasons">{items}</ul>')
    if len(rows) > MAX_REASONS:
        st.html(caption_html(f"And {len(rows) - MAX_REASONS:,} more, on the study's own page."))


def _describe_left_out(study_data: StudyData) -> str:
    excluded = len(study_data.excluded)
    who = (
        markup.count_noun(excluded, "observer")
        if study_data.study.source == "simulated"
        else markup.count_noun(excluded, "person", "people")
    )
    return f"; {who} {'is' if excluded == 1 else 'are'} left out." if excluded else "."


def _show_no_study(simulated: bool) -> None:
    """Say that there is no study, and lead to the pages that make faces."""
    hidden = " The demonstration is hidden; switch it on again above to look around." if simulated else ""
    st.html(
        '<div class="nothing"><b>Nobody has been asked yet</b><p>Make faces, press “Ask people about these faces”, and send the '
        f"link: what people and models say of them is compared here.{hidden}</p></div>"
    )
    with st.container(horizontal=True, horizontal_alignment="center", gap="large", key="nothing-ways"):
        for page in (navigation.IDENTITY, navigation.EMOTION, navigation.STUDIES):
            st.page_link(navigation.build_page(page), label=page.title)
