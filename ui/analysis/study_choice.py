"""Which study is analysed: one choice at the top of every page of analysis, the same in all of them and in the address."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from ui import markup, navigation, selection
from ui.markup import caption_html
from ui.pictures import sample_url
from ui.studies import access, owner_gate

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from core.analysis.study_data import StudyData
    from core.studies.library import SetEntry
    from core.studies.study import Study

CHOICE, LAST = "analysis-study", "analysis-last"
HIDE, ATTENTIVE = "hide", "attentive"
STUDY_PARAMETERS = (selection.ITEM_PARAMETER, "part", "selection")
"""Entries of the address that mean something in one study only."""
MAX_REASONS = 40


@dataclass(frozen=True, eq=False)
class StudyChoice:
    """A study with all that belongs to it. key: changes whenever an answer comes in or goes: caches are kept by it."""

    study: Study
    material: StudyData
    key: str

    def picture(self, sample_id: str) -> str:
        """Address of a picture; "" where the library does not hold it."""
        set_id = self.material.where.get(sample_id)
        return sample_url(set_id, sample_id) if set_id else ""


def choose_study() -> StudyChoice | None:
    """The picker, and the study that was picked; None where there is nothing to look at, and the page says so."""
    studies = list_visible_studies()
    asked = st.query_params.get("study", "")
    if asked and not owner_gate.is_allowed() and asked not in {each.name for each in studies} and not owner_gate.require_owner():
        return None
    simulated = any(each.source == "simulated" for each in studies)
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom", key="study-picker"):
        place = st.container(width=460)
        hide = st.toggle("Hide simulated studies", key=HIDE, bind="query-params") if simulated else False
        shown = [each for each in studies if not (hide and each.source == "simulated")]
        study = _pick_study(shown, place) if shown else None
        attentive = study is None or choose_attentive_only("missed attention checks, too fast, always the same answer")
    if study is None:
        _show_no_study(simulated)
        return None
    made = load_study_choice(study, attentive=attentive)
    show_study_description(made)
    return made


def choose_attentive_only(rules: str) -> bool:
    """Whether inattentive people are left out. rules: by which, in words."""
    meaning = f"By the rules on the study's own page: {rules}."
    return bool(st.toggle("Leave out inattentive people", True, key=ATTENTIVE, bind="query-params", help=meaning))


def load_study_choice(study: Study, *, attentive: bool = True) -> StudyChoice:
    """All about one study, kept until an answer comes in or goes."""
    key = f"{access.answers_version(study)}\0{attentive}"
    return StudyChoice(study, _load_study_data(key, study, attentive), key)


@st.cache_resource(show_spinner="Gathering the answers", max_entries=6)
def _load_study_data(key: str, _study: Study, attentive: bool) -> StudyData:
    from core.analysis.study_data import DEFAULT_RULES, build_study_data

    return build_study_data(
        _study,
        access.load_stimuli(_study),
        access.get_store().raters(_study.name),
        access.load_ratings(_study),
        access.get_library(),
        rules=DEFAULT_RULES if attentive else None,
    )


def list_visible_studies() -> list[Study]:
    """Those that the visitor may see, newest first; a first start has the demonstration."""
    access.install_demonstration()
    studies = access.get_store().studies()
    return studies if owner_gate.is_allowed() else [each for each in studies if each.source == "simulated"]


def list_visible_sets() -> list[SetEntry]:
    """Sample sets that the visitor may see, newest first: the owner's may be what a study asks about."""
    return [each for each in access.list_sample_sets() if each.demonstration or owner_gate.is_allowed()]


def default_study(studies: list[Study], counts: Mapping[str, tuple[int, int]]) -> Study:
    """The newest with people's answers, else the newest with any, else the newest."""
    answered = [each for each in studies if counts.get(each.name, (0, 0))[1]]
    return next((each for each in answered if each.source == "human"), next(iter(answered), studies[0]))


def _pick_study(studies: list[Study], place: DeltaGenerator) -> Study:
    names = [each.name for each in studies]
    asked = st.query_params.get("study", st.session_state.get(LAST, ""))
    if asked not in names:
        asked = default_study(studies, access.get_store().counts()).name
    st.session_state[CHOICE] = asked
    with place:
        st.selectbox("Study", names, key=CHOICE, on_change=_store_study)
    st.query_params["study"] = asked
    st.session_state[LAST] = asked
    return studies[names.index(asked)]


def _store_study() -> None:
    st.query_params["study"] = st.session_state[CHOICE]
    for name in STUDY_PARAMETERS:
        st.query_params.pop(name, None)


def show_study_description(made: StudyChoice) -> None:
    """Where the answers come from, how many there are and who is left out."""
    material, study = made.material, made.study
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="study-described"):
        people = material.exclusions.raters
        st.html(
            markup.study_badges_html(study)
            + caption_html(markup.describe_participation(study, len(people), len(material.ratings)) + _describe_left_out(material))
        )
        if material.excluded:
            with st.popover("Who and why", type="tertiary"):
                _show_reasons(material)
        if study.source == "simulated":
            with st.popover(markup.PLANTED_TITLE, type="tertiary", icon=":material/smart_toy:"):
                st.html(caption_html(markup.NOBODY_WAS_ASKED))
                markup.show_planted_effects(study)
        st.page_link(navigation.build_page(navigation.STUDIES), label="The study itself", query_params={"study": study.name})
    for note in material.notes:
        st.html(caption_html(note))


def _show_reasons(material: StudyData) -> None:
    rows = list(material.excluded.items())
    items = "".join(f"<li><b>{html.escape(who)}</b><p>{html.escape(' '.join(why))}</p></li>" for who, why in rows[:MAX_REASONS])
    st.html(f'<ul class="reasons">{items}</ul>')
    if len(rows) > MAX_REASONS:
        st.html(caption_html(f"And {len(rows) - MAX_REASONS:,} more, on the study's own page."))


def _describe_left_out(material: StudyData) -> str:
    excluded = len(material.excluded)
    who = (
        markup.count_noun(excluded, "observer")
        if material.study.source == "simulated"
        else markup.count_noun(excluded, "person", "people")
    )
    return f"; {who} {'is' if excluded == 1 else 'are'} left out." if excluded else "."


def _show_no_study(simulated: bool) -> None:
    """A friendly way on."""
    hidden = " The demonstration is hidden; switch it on again above to look around." if simulated else ""
    st.html(
        '<div class="nothing"><b>Nobody has been asked yet</b><p>Make faces, press “Ask people about these faces”, and send the '
        f"link: what people and models say of them is compared here.{hidden}</p></div>"
    )
    with st.container(horizontal=True, horizontal_alignment="center", gap="large", key="nothing-ways"):
        for place in (navigation.IDENTITY, navigation.EMOTION, navigation.STUDIES):
            st.page_link(navigation.build_page(place), label=place.title)
