"""All studies as cards, and the form for a new study from sample sets of the library."""

from __future__ import annotations

import html
import itertools
from typing import Any

import streamlit as st

from core.errors import LiminalError
from core.progress import Progress
from core.sampling.sample_set import SampleSet
from core.studies.library import SetEntry
from core.studies.planning import prepare_study
from core.studies.study import CONSENT, NAME_LENGTH, Study
from ui import markup, navigation, progress
from ui.jobs import find_or_start_job, get_job_manager
from ui.markup import caption_html, intro_html
from ui.studies import access, owner_gate, sample_size

CARDS_ACROSS = 3
CARD_FACES = 4


def show_study_list() -> None:
    """Show all studies, newest first; simulated ones can be hidden."""
    st.title("What do people say?", anchor=False)
    st.html(
        intro_html(
            "A network has its answer. Ask people about the same faces: make a study from a sample set, send the link, and watch "
            "the answers come in."
        )
    )
    access.install_demonstration()
    studies = access.get_store().studies()
    simulated = any(study.source != "human" for study in studies)
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="shelf-actions"):
        if st.button("New study", type="primary", icon=":material/add:", key="new-study"):
            st.query_params["new"] = "1"
            st.rerun()
        st.page_link(navigation.build_page(navigation.IMPORT), label="Bring in answers from a file", icon=":material/upload_file:")
        hide = simulated and st.toggle("Hide simulated studies", key="hide", bind="query-params")
    listed = [study for study in studies if study.source == "human" or not hide]
    if not listed:
        st.html(
            '<div class="nothing"><b>No studies yet</b><p>Make faces on the pages "Identity samples" or "Emotion boundary" and '
            "press “Ask people about these faces”, or begin here with any sample set.</p></div>"
        )
        return
    counts = access.get_store().counts()
    with st.container(key="shelf"):
        for start in range(0, len(listed), CARDS_ACROSS):
            for column, study in zip(st.columns(CARDS_ACROSS, gap="medium"), listed[start : start + CARDS_ACROSS], strict=False):
                with column:
                    _show_study_card(study, *counts.get(study.name, (0, 0)))


def _show_study_card(study: Study, people: int, answers: int) -> None:
    """Show a card: faces, badges, name, participation. The whole card is the link."""
    with st.container(border=True):
        stimuli = access.load_stimuli(study)  # around one base after the other: those far apart show different people
        spread = stimuli[:: max(1, len(stimuli) // CARD_FACES)]
        pictured = [stimulus for stimulus in spread if access.has_pictures(study, stimulus)]
        by_place = itertools.zip_longest(*(stimulus.images for stimulus in pictured))
        images = list(dict.fromkeys(image for place in by_place for image in place if image))[:CARD_FACES]
        faces = "".join(
            f'<img src="{html.escape(access.study_picture_url(study.token, image))}" alt="" loading="lazy">' for image in images
        )
        st.html((f'<div class="card-faces">{faces}</div>' if faces else "") + markup.study_badges_html(study))
        st.page_link(
            navigation.build_page(navigation.STUDIES), label=markup.escape_markdown(study.name), query_params={"study": study.name}
        )
        st.html(caption_html(markup.describe_participation(study, people, answers)))


STUDY_JOB = "study_job"
NEW_STUDY_SLOT = "study-made"


def ask_people(samples: SampleSet, title: str, *, key: str = "ask-people") -> None:
    """A button on pages that make faces: it adds the set to the library and leads to a new study about it."""
    if owner_gate.is_allowed() and st.button("Ask people about these faces", key=key, icon=":material/groups:"):
        set_id = access.get_library().add(samples, title)
        st.switch_page(navigation.build_page(navigation.STUDIES), query_params={"new": set_id})


def show_new_study(set_id: str) -> None:
    """Show the form. set_id: the set of the address; anything else is passed over."""
    st.title("A new study", anchor=False)
    _show_back_link()
    entries = {entry.set_id: entry for entry in access.list_sample_sets()}
    if not entries:
        st.html(
            intro_html(
                "There are no faces to ask about yet: make some on the pages about identity or emotion, then press "
                "“Ask people about these faces” there."
            )
        )
        return
    job = st.session_state.get(STUDY_JOB)
    if job is not None:
        _show_planning()
        return
    ids = list(entries)
    chosen = st.multiselect(
        "About which faces?",
        ids,
        default=[set_id] if set_id in entries else None,
        format_func=lambda set_id: _describe_entry(entries[set_id]),
        key="sets",
        placeholder="Choose one or several sample sets",
    )
    if not chosen:
        st.html(caption_html("Choose at least one sample set."))
        return
    emotion = entries[chosen[0]].kind == "emotion"
    values = _show_form(entries[chosen[0]].title, emotion)
    if values is not None:
        _start_planning(chosen, values)
    sample_size.show_sample_size(chosen, emotion=emotion)


def _describe_entry(entry: SetEntry) -> str:
    kind = "which feeling?" if entry.kind == "emotion" else "the same person?"
    return f"{entry.title} · {kind} · {entry.images:,} pictures, bases included{' · demonstration' if entry.demonstration else ''}"


def _show_form(title: str, emotion: bool) -> dict[str, Any] | None:
    """The form -> its values once the button is pressed, else None."""
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
        with st.container(horizontal=True, gap="small"):
            pressed = st.form_submit_button("Make the study", type="primary")
            sizing = st.form_submit_button("How many people do I need?", icon=":material/groups:")
    if not pressed and not sizing:
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
    values |= {"fixation_ms": fixation, "image_ms": image} if emotion else {}
    if sizing:
        sample_size.ask_size(values)
    return values if pressed else None


def _start_planning(set_ids: list[str], values: dict[str, Any]) -> None:
    """Start the job that makes the study: attention checks may have to be drawn and judged first."""
    name = values.pop("name")

    def work(progress: Progress) -> tuple[str, tuple[str, ...]]:
        progress.stage("Reading the sample sets and looking for attention checks", 0.05)
        store = access.get_store()
        if any(study.name == name.strip() for study in store.studies()):
            raise LiminalError(f"There is a study '{name.strip()}' already; choose another name.")
        prepared = prepare_study(access.get_library(), set_ids, progress=progress, **values)
        study = store.create(Study(name, prepared.plan, sample_sets=prepared.sample_sets), prepared.stimuli)
        return study.name, prepared.notes

    st.session_state.pop(STUDY_JOB, None)
    find_or_start_job(STUDY_JOB, (name, tuple(set_ids)), "a new study", work)
    st.rerun()


def _show_planning() -> None:
    """Show the job that makes the study; then open its page, or say why it failed."""
    slot = st.session_state[STUDY_JOB]
    job = get_job_manager().get(slot[1])
    if job is None or job.finished:
        st.session_state.pop(STUDY_JOB)
        if job is not None and job.status == "done":
            name, notes = job.result
            st.session_state[NEW_STUDY_SLOT] = notes
            st.query_params.clear()
            st.query_params["study"] = name
            st.rerun()
        if job is not None:
            progress.show_outcome(job)
        st.button("Change something and try again", key="again")
        return
    progress.watch_job(job.id)


def _show_back_link() -> None:
    if st.button("All studies", type="tertiary", icon=":material/arrow_back:", key="back"):
        st.query_params.clear()
        st.rerun()
