"""A new study from sample sets of the library: who is asked what, for how long, and what they agree to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from core.errors import LiminalError
from core.progress import Progress
from ui import navigation, progress
from ui.jobs import job_for
from ui.studies import access, owner_gate
from ui.words import fine, lead

if TYPE_CHECKING:
    from core.sampling.sample_set import SampleSet
    from core.studies.library import SetEntry

JOB = "study_job"
MADE = "study-made"


def ask_people(made: SampleSet, title: str) -> None:
    """The button on pages that make faces: keeps the set in the library and leads to a new study about it."""
    if owner_gate.allowed() and st.button("Ask people about these faces", key="ask-people", icon=":material/groups:"):
        set_id = access.library().add(made, title)
        st.switch_page(navigation.page(navigation.STUDIES), query_params={"new": set_id})


def show(asked: str) -> None:
    """The form; ``asked``: the id of the set that was chosen already, or anything."""
    st.title("A new study", anchor=False)
    _back()
    entries = {entry.set_id: entry for entry in access.sets()}
    if not entries:
        st.html(
            lead(
                "There are no faces to ask about yet: make some on the pages about identity or emotion, then press "
                "“Ask people about these faces” there."
            )
        )
        return
    job = st.session_state.get(JOB)
    if job is not None:
        _working()
        return
    ids = list(entries)
    chosen = st.multiselect(
        "About which faces?",
        ids,
        default=[asked] if asked in entries else None,
        format_func=lambda set_id: _titled(entries[set_id]),
        key="sets",
        placeholder="Choose one or several sample sets",
    )
    if not chosen:
        st.html(fine("Choose at least one sample set."))
        return
    emotion = entries[chosen[0]].kind == "emotion"
    values = _form(entries[chosen[0]].title, emotion)
    if values is not None:
        _start(chosen, values)


def _titled(entry: SetEntry) -> str:
    kind = "which feeling?" if entry.kind == "emotion" else "the same person?"
    return f"{entry.title} · {kind} · {entry.images:,} images{' · demonstration' if entry.demonstration else ''}"


def _form(title: str, emotion: bool) -> dict[str, Any] | None:
    """What was chosen, once the button is pressed."""
    from core.studies.study import CONSENT, NAME_LENGTH

    with st.form("make-study", border=False):
        name = st.text_input("Name of the study (for you)", title[:NAME_LENGTH], max_chars=NAME_LENGTH)
        heading = st.text_input("Heading that people see", "What do you see in these faces?", max_chars=120)
        consent = st.text_area(
            "What people agree to before they begin", CONSENT, height=130, help="Say what happens with the answers."
        )
        left, right = st.columns(2, gap="medium")
        noun = "faces" if emotion else "pairs"
        usual = "as the paper does: all, at most 390" if emotion else "as the paper does: one batch"
        trials = left.number_input(f"How many {noun} a person?", 1, 5000, None, step=1, placeholder=usual)
        sentinels = right.number_input(
            "How many attention checks a person?",
            0,
            1000,
            None,
            step=1,
            placeholder="10, or as many as there are" if emotion else "every base beside itself",
            help="Faces on which every network is sure; people who miss many may not have looked."
            if emotion
            else "A face beside itself: whoever calls it two people may not have looked.",
        )
        with st.expander("More settings"):
            fixation, image = 300, 200
            if emotion:
                first, second = st.columns(2, gap="medium")
                fixation = first.number_input("The cross shows for (ms)", 0, 5000, 300, step=50)
                image = second.number_input("The face shows for (ms; 0: until the answer)", 0, 60_000, 200, step=50)
            demographics = st.toggle("Ask for age and gender (people can skip it)", True)
            strategy = st.toggle("Ask at the end how people decided", True)
            seed = st.number_input("Seed of the random orders", 0, 2**31 - 1, 0, step=1, width=220)
        pressed = st.form_submit_button("Make the study", type="primary")
    if not pressed:
        return None
    values: dict[str, Any] = {
        "name": name,
        "trials": trials,
        "sentinels": sentinels,
        "seed": seed,
        "title": heading.strip(),
        "consent": consent,
        "demographics": demographics,
        "strategy_question": strategy,
    }
    return values | ({"fixation_ms": fixation, "image_ms": image} if emotion else {})


def _start(set_ids: list[str], values: dict[str, Any]) -> None:
    """Attention checks may have to be drawn and judged first, which takes a while: it is done in the background."""
    name = values.pop("name")

    def work(told: Progress) -> tuple[str, tuple[str, ...]]:
        from core.studies.planning import prepare
        from core.studies.study import Study

        told.stage("Reading the sample sets and looking for attention checks", 0.05)
        store = access.store()
        if any(each.name == name.strip() for each in store.studies()):
            raise LiminalError(f"There is a study '{name.strip()}' already; choose another name.")
        made = prepare(access.library(), set_ids, progress=told, **values)
        study = store.create(Study(name, made.plan, sample_sets=made.sample_sets), made.stimuli)
        return study.name, made.notes

    st.session_state.pop(JOB, None)
    job_for(JOB, (name, tuple(set_ids)), "a new study", work)
    st.rerun()


def _working() -> None:
    """The study while it is made; then its own page, or the reason why not."""
    from ui.jobs import manager

    kept = st.session_state[JOB]
    job = manager().get(kept[1])
    if job is None or job.finished:
        st.session_state.pop(JOB)
        if job is not None and job.status == "done":
            name, notes = job.result
            st.session_state[MADE] = notes
            st.query_params.clear()
            st.query_params["study"] = name
            st.rerun()
        if job is not None:
            progress.outcome(job)
        st.button("Change something and try again", key="again")
        return
    progress.watch(job.id)


def _back() -> None:
    if st.button("All studies", type="tertiary", icon=":material/arrow_back:", key="back"):
        st.query_params.clear()
        st.rerun()
