"""Which study is looked at: one choice at the top of every page of analysis, the same in all of them and in the address."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from ui import looked_at, navigation
from ui.set_routes import address
from ui.studies import access, answers_view, owner_gate, planted, words
from ui.words import fine

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from core.analysis.material import Material
    from core.studies.library import SetEntry
    from core.studies.study import Study

CHOICE, LAST = "analysis-study", "analysis-last"
HIDE, ATTENTIVE = "hide", "attentive"
OF_ONE_STUDY = (looked_at.ITEM, "part", "selection")
"""Entries of the address that mean something in one study only."""
MOST_REASONS = 40


@dataclass(frozen=True, eq=False)
class Chosen:
    """A study with all that belongs to it. key: changes whenever an answer comes in or goes: caches are kept by it."""

    study: Study
    material: Material
    key: str

    def picture(self, sample_id: str) -> str:
        """Address of a picture; "" where the library does not hold it."""
        set_id = self.material.where.get(sample_id)
        return address(set_id, sample_id) if set_id else ""


def choose() -> Chosen | None:
    """The picker, and the study that was picked; None where there is nothing to look at, and the page says so."""
    studies = visible_studies()
    asked = st.query_params.get("study", "")
    if asked and not owner_gate.allowed() and asked not in {each.name for each in studies} and not owner_gate.opened():
        return None
    simulated = any(each.source == "simulated" for each in studies)
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom", key="study-picker"):
        place = st.container(width=460)
        hide = st.toggle("Hide simulated studies", key=HIDE, bind="query-params") if simulated else False
        shown = [each for each in studies if not (hide and each.source == "simulated")]
        study = _picked(shown, place) if shown else None
        attentive = study is None or only_attentive("missed attention checks, too fast, always the same answer")
    if study is None:
        _nothing(simulated)
        return None
    made = material_of(study, attentive=attentive)
    described(made)
    return made


def only_attentive(rules: str) -> bool:
    """Whether inattentive people are left out. rules: by which, in words."""
    meaning = f"By the rules on the study's own page: {rules}."
    return bool(st.toggle("Leave out inattentive people", True, key=ATTENTIVE, bind="query-params", help=meaning))


def material_of(study: Study, *, attentive: bool = True) -> Chosen:
    """All about one study, kept until an answer comes in or goes."""
    key = f"{answers_view.version(study)}\0{attentive}"
    return Chosen(study, _material(key, study, attentive), key)


@st.cache_resource(show_spinner="Gathering the answers", max_entries=6)
def _material(key: str, _study: Study, attentive: bool) -> Material:
    from core.analysis.material import RULES, assemble

    return assemble(
        _study,
        access.stimuli(_study),
        access.store().raters(_study.name),
        answers_view.ratings(_study),
        access.library(),
        rules=RULES if attentive else None,
    )


def visible_studies() -> list[Study]:
    """Those that the visitor may see, newest first; a first start has the demonstration."""
    access.show_demonstration()
    studies = access.store().studies()
    return studies if owner_gate.allowed() else [each for each in studies if each.source == "simulated"]


def visible_sets() -> list[SetEntry]:
    """Sample sets that the visitor may see, newest first: the owner's may be what a study asks about."""
    return [each for each in access.sets() if each.demonstration or owner_gate.allowed()]


def default(studies: list[Study], counts: Mapping[str, tuple[int, int]]) -> Study:
    """The newest with people's answers, else the newest with any, else the newest."""
    answered = [each for each in studies if counts.get(each.name, (0, 0))[1]]
    return next((each for each in answered if each.source == "human"), next(iter(answered), studies[0]))


def _picked(studies: list[Study], place: DeltaGenerator) -> Study:
    names = [each.name for each in studies]
    asked = st.query_params.get("study", st.session_state.get(LAST, ""))
    if asked not in names:
        asked = default(studies, access.store().counts()).name
    st.session_state[CHOICE] = asked
    with place:
        st.selectbox("Study", names, key=CHOICE, on_change=_change)
    st.query_params["study"] = asked
    st.session_state[LAST] = asked
    return studies[names.index(asked)]


def _change() -> None:
    st.query_params["study"] = st.session_state[CHOICE]
    for name in OF_ONE_STUDY:
        st.query_params.pop(name, None)


def described(made: Chosen) -> None:
    """Where the answers come from, how many there are and who is left out."""
    material, study = made.material, made.study
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="study-described"):
        people = material.exclusions.raters
        st.html(words.badges(study) + fine(words.counted(study, len(people), len(material.ratings)) + _left_out(material)))
        if material.excluded:
            with st.popover("Who and why", type="tertiary"):
                _reasons(material)
        if study.source == "simulated":
            with st.popover(planted.TITLE, type="tertiary", icon=":material/smart_toy:"):
                st.html(fine(planted.NOBODY))
                planted.show(study)
        st.page_link(navigation.page(navigation.STUDIES), label="The study itself", query_params={"study": study.name})
    for note in material.notes:
        st.html(fine(note))


def _reasons(material: Material) -> None:
    rows = list(material.excluded.items())
    items = "".join(f"<li><b>{html.escape(who)}</b><p>{html.escape(' '.join(why))}</p></li>" for who, why in rows[:MOST_REASONS])
    st.html(f'<ul class="reasons">{items}</ul>')
    if len(rows) > MOST_REASONS:
        st.html(fine(f"And {len(rows) - MOST_REASONS:,} more, on the study's own page."))


def _left_out(material: Material) -> str:
    excluded = len(material.excluded)
    who = words.many(excluded, "observer") if material.study.source == "simulated" else words.many(excluded, "person", "people")
    return f"; {who} {'is' if excluded == 1 else 'are'} left out." if excluded else "."


def _nothing(simulated: bool) -> None:
    """A friendly way on."""
    hidden = " The demonstration is hidden; switch it on again above to look around." if simulated else ""
    st.html(
        '<div class="nothing"><b>Nobody has been asked yet</b><p>Make faces, press “Ask people about these faces”, and send the '
        f"link: what people and models say of them is compared here.{hidden}</p></div>"
    )
    with st.container(horizontal=True, horizontal_alignment="center", gap="large", key="nothing-ways"):
        for place in (navigation.IDENTITY, navigation.EMOTION, navigation.STUDIES):
            st.page_link(navigation.page(place), label=place.title)
