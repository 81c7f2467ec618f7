"""All studies as cards, and the form for a new study from sample sets of the library."""

from __future__ import annotations

import html
import itertools
from typing import Any

import streamlit as st

from core.alignment.store import delete_unused_pictures
from core.errors import LiminalError
from core.progress import Progress
from core.sampling.sample_set import SampleSet
from core.studies.importing.pictures import MAX_PICTURES, ImportedPictures, import_pictures
from core.studies.library import SetEntry
from core.studies.planning import prepare_study
from core.studies.study import CONSENT, NAME_LENGTH, OWN_PICTURES_CONSENT, Kind, Study
from ui import markup, navigation, progress
from ui.jobs import find_or_start_job, get_job_manager
from ui.markup import caption_html, count_noun, intro_html
from ui.studies import access, owner_gate, sample_size
from ui.studies.plan_form import show_plan_form

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
        st.page_link(
            navigation.build_page(navigation.MAKING), label="Let people make a face", icon=":material/face_retouching_natural:"
        )
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
    """Show the form. set_id: the set of the address, or several with commas between; anything else is passed over."""
    st.title("A new study", anchor=False)
    _show_back_link()
    entries = {entry.set_id: entry for entry in access.list_sample_sets()}
    job = st.session_state.get(STUDY_JOB)
    if job is not None:
        _show_planning()
        return
    _show_picture_upload(expanded=not entries)
    if not entries:
        st.html(
            intro_html(
                "There are no faces to ask about yet: bring pictures of your own, or make faces on the pages about identity or "
                "emotion, then press “Ask people about these faces” there."
            )
        )
        return
    named = [name for name in set_id.split(",") if name in entries]
    if CHOSEN_SETS not in st.session_state and named:
        st.session_state[CHOSEN_SETS] = named
    chosen = st.multiselect(
        "About which faces?",
        list(entries),
        format_func=lambda set_id: _describe_entry(entries[set_id]),
        key=CHOSEN_SETS,
        placeholder="Choose one or several sets",
    )
    if not chosen:
        st.html(
            caption_html(
                "Choose a set; what is asked about it, and of how many people, comes next. What you make on the pages Identity and "
                "Emotion is here once you have pressed “Ask people about these faces” there."
            )
        )
        return
    emotion = entries[chosen[0]].kind == "emotion"
    own = [set_id for set_id in chosen if entries[set_id].own_pictures]
    if own and st.session_state.get(PICTURE_NOTES):
        st.html(caption_html(" ".join(st.session_state[PICTURE_NOTES])))
    _offer_deletion(own)
    kind: Kind = "emotion" if emotion else "identity"
    consent = OWN_PICTURES_CONSENT if own else CONSENT
    values = show_plan_form(entries[chosen[0]].title, kind, chosen, consent=consent, own=len(own) == len(chosen))
    if values is not None:
        _start_planning(chosen, values)
    sample_size.show_sample_size(chosen, emotion=emotion)


def _describe_entry(entry: SetEntry) -> str:
    kind = "which feeling?" if entry.kind == "emotion" else "the same person?"
    if entry.own_pictures:
        shown = "one by one" if entry.kind == "emotion" else "in pairs"
        return f"{entry.title} · {count_noun(entry.images, 'picture')} of your own, {shown}"
    return f"{entry.title} · {kind} · {entry.images:,} pictures, bases included{' · demonstration' if entry.demonstration else ''}"


CHOSEN_SETS = "sets"
PICTURES_JOB = "pictures_job"
PICTURE_NOTES = "picture-notes"
UPLOAD_KINDS = ("jpg", "jpeg", "png", "webp", "zip", "csv")


def _show_picture_upload(*, expanded: bool) -> None:
    """Pictures of one's own: files, what happens with them, the owner's word that they may be shown, and the job that judges.

    The set of pictures that were judged becomes that of the address. Files stay chosen while they are judged, so that one that
    cannot be used costs no second choice of all others.
    """
    slot = st.session_state.get(PICTURES_JOB)
    job = get_job_manager().get(slot[1]) if slot is not None else None
    if job is not None and job.status == "done":
        st.session_state.pop(PICTURES_JOB)
        st.session_state[PICTURE_NOTES] = job.result.notes
        st.session_state[CHOSEN_SETS] = [job.result.set_id]
        st.query_params["new"] = job.result.set_id
        st.rerun()
    busy = job is not None and not job.finished
    with st.expander("Bring pictures of your own", expanded=expanded or job is not None):
        uploads = st.file_uploader(
            "Pictures (JPEG, PNG, WebP), one by one or in a zip file, and a table of pairs (CSV) if they are shown in pairs",
            UPLOAD_KINDS,
            accept_multiple_files=True,
            key="own-pictures",
        )
        most = int(st.get_option("server.maxUploadSize"))
        st.html(
            caption_html(
                "The table has the columns a and b with names of files and, where you know them, type, step, same (yes or no) and "
                "batch. Without a table people see one picture at a time. Every network here judges them. At most "
                f"{MAX_PICTURES:,} pictures, and no file above {most} MB: choose many pictures rather than one large zip file, or "
                "call python -m core study make --pictures FOLDER"
            )
        )
        st.html(
            caption_html(
                "The pictures stay on this computer, in its data folder, without place, time and camera. Only people with the "
                "study's link see them, and you. They are in no report and no bundle unless you say so there, and are deleted with "
                "the last study that asks about them."
            )
        )
        title = st.text_input("A name for these pictures (for you)", max_chars=NAME_LENGTH, key="pictures-title")
        allowed = st.checkbox(
            "I have the right to show these pictures to the people who take part; who can be recognised in them agreed to that.",
            key="may-show",
        )
        ready = bool(uploads) and allowed and not busy
        if st.button("Judge and keep these pictures", key="judge-pictures", type="primary", disabled=not ready):
            _start_judging([(upload.name, upload.getvalue()) for upload in uploads], title.strip())
        if job is not None and busy:
            progress.watch_job(job.id)
        elif job is not None:
            progress.show_outcome(job)


def _start_judging(files: list[tuple[str, bytes]], title: str) -> None:
    def work(progress: Progress) -> ImportedPictures:
        return import_pictures(access.get_library(), files, may_show=True, title=title, progress=progress)

    st.session_state.pop(PICTURES_JOB, None)
    find_or_start_job(PICTURES_JOB, tuple(name for name, _ in files), "judging your pictures", work)
    st.rerun()


def _offer_deletion(own: list[str]) -> None:
    """Buttons that delete own pictures that no study asks about; those of a study are deleted with it."""
    used = {set_id for study in access.get_store().studies() for set_id in study.sample_sets}
    for set_id in own:
        if set_id not in used and st.button(
            "Delete these pictures again", key=f"delete-{set_id}", type="tertiary", icon=":material/delete:"
        ):
            delete_unused_pictures(access.get_store(), access.get_library(), [set_id])
            st.session_state[CHOSEN_SETS] = []
            st.session_state.pop(PICTURE_NOTES, None)
            st.query_params["new"] = "1"
            st.rerun()


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
