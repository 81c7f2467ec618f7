"""People's answers about a large data set: which study's, beside its models; and asking people about the first of a ranking."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from ui import navigation
from ui.analysis import material
from ui.analysis.choices import one_of
from ui.analysis.material import Chosen
from ui.studies import access, answers_view, owner_gate
from ui.studies.words import many
from ui.words import fine

if TYPE_CHECKING:
    from core.analysis.large import Rivals
    from core.analysis.material import Material
    from core.studies.study import Study
    from ui.analysis.large_sets import Large

WAYS = {"models": "Two models", "people": "People and models"}
USUAL = 100
"""Asked about, unless another number is chosen."""


def answered(large: Large) -> dict[str, int]:
    """Studies in which people answered about rows that are looked at -> about how many rows they ask."""
    counts = access.store().counts()
    studies = [each for each in material.visible_studies() if each.plan.kind == large.kind and counts.get(each.name, (0, 0))[1]]
    return _known("\0".join([large.key, *(each.token for each in studies)]), large, studies) if studies else {}


@st.cache_data(show_spinner="Looking for people's answers", max_entries=32)
def _known(key: str, _large: Large, _studies: list[Study]) -> dict[str, int]:
    from core.analysis.large_people import known_stimuli

    asked = {each.name: [stimulus.stimulus for stimulus in access.stimuli(each)] for each in _studies}
    return known_stimuli(_large.data, _large.narrowed, asked)


def choose(large: Large, studies: dict[str, int]) -> Chosen:
    """The picker, and what people of that study said of the rows that are looked at."""
    noun = "pair" if large.kind == "identity" else "face"
    titles = {name: f"{name} · {many(count, noun)} of this data set" for name, count in studies.items()}
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom", key="large-people"):
        name = one_of("Answers of the study", list(studies), "asked", titles=titles, look="list")
        attentive = material.only_attentive("from all that they answered there")
    study = access.store().study(name)
    key = f"{answers_view.version(study)}\0{attentive}\0{large.key}"
    made = Chosen(study, _material(key, large, study, attentive), key)
    material.described(made)
    st.html(fine(f"Ranked among the {many(studies[name], noun)} that this study asks about; the others are not read."))
    return made


@st.cache_resource(show_spinner="Gathering the answers", max_entries=6)
def _material(key: str, _large: Large, _study: Study, attentive: bool) -> Material:
    from core.analysis.large_people import people_in
    from core.analysis.material import RULES

    return people_in(
        _large.data,
        _large.set_id,
        _large.narrowed,
        _study,
        access.stimuli(_study),
        access.store().raters(_study.name),
        answers_view.ratings(_study),
        access.library(),
        rules=RULES if attentive else None,
    )


def ask(large: Large, rivals: Rivals, total: int, *, lowest: bool) -> None:
    """The first rows of the ranking become a sample set of the library, and a study about it."""
    from core.sampling.many.excerpt import MOST

    if not owner_gate.allowed():
        return
    most = min(MOST, total)
    noun = "pairs" if large.kind == "identity" else "faces"
    with st.popover("Ask people about these", icon=":material/groups:"), st.form("ask-about-large", border=False):
        count = st.number_input(f"How many {noun}, from the first of this ranking?", 1, most, min(USUAL, most), step=1)
        st.html(fine("They are copied into a sample set of their own. What people say of them is shown here beside the models."))
        pressed = st.form_submit_button("Go on to a new study", type="primary")
    if pressed:
        with st.spinner("Copying the faces"):
            set_id = _copied(large, rivals, int(count), lowest)
        st.switch_page(navigation.page(navigation.STUDIES), query_params={"new": set_id})


def _copied(large: Large, rivals: Rivals, count: int, lowest: bool) -> str:
    from core.analysis.large import ranked
    from core.sampling.many.excerpt import excerpt

    rows = ranked(large.data, large.narrowed, rivals, 0, count, lowest=lowest)
    made = excerpt(large.data, large.kind, rows["stimulus"].tolist())
    return access.library().add(made, f"{large.data.title}: the first {count:,} of a ranking")
