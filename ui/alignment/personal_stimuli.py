"""Stimuli on which a visitor's model and the group's differ: the study's own, and new ones made for the visitor, who judges each
before the predictions are shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from core.alignment.stimulus_choice import ControversialImage, rank_controversial, search_controversial
from core.analysis.estimate import Array
from core.models.emotions import EMOTIONS
from core.progress import Progress
from ui import components, markup, progress
from ui.alignment.answers import VisitorAnswers
from ui.analysis.study_choice import StudyChoice
from ui.components import Tile
from ui.components.trials import ask_emotion
from ui.jobs import find_or_start_job
from ui.markup import caption_html, intro_html
from ui.pictures import face_url

STIMULI_JOB, WANTED_SLOT, SELECTED_SLOT = "you_made_job", "you-made-wanted", "you-looked-at"
STIMULUS_COUNT = 4
STUDY_FACE_COUNT = 6
SEARCH_NETWORK = "emotion-mlp"
"""The one that the search goes through."""


def show_study_faces(chosen: StudyChoice, you: VisitorAnswers) -> None:
    """Show the faces of the study on which the two models differ most."""
    names = you.alignment.answers.images
    own_predictions = you.learned().probabilities(you.crowd)
    table = rank_controversial(names, own_predictions, you.crowd)
    rows = table[table["score"] > 0].head(STUDY_FACE_COUNT)
    st.space("medium")
    st.header("Where you part from the crowd", anchor="you-apart")
    if rows.empty:
        st.html(intro_html("On every face of this study you would most likely say what most people say."))
        return
    st.html(
        intro_html(
            "Faces of this study of which you would say one thing and most people another, by what your answers tell so far."
        )
    )
    tiles = [
        Tile(
            str(row["stimulus"]),
            chosen.picture(str(row["stimulus"])),
            f"A generated face. You would say {row['you']}, most would say {row['most']}.",
            words=f"you: {row['you']}, {100 * row['p_you']:.0f} %",
            note=f"most: {row['most']}, {100 * row['p_most']:.0f} %",
        )
        for row in rows.to_dict("records")
    ]
    components.show_faces(
        [components.FaceGroup(tiles, columns=3)], key="you-apart-faces", on_pick=_select_face, layout="rows", tile="20rem"
    )
    if _selected_face() in set(rows["stimulus"]):
        index = names.index(_selected_face())
        _show_face_dialog(chosen.picture(_selected_face()), own_predictions[index], you.crowd[index])


def _select_face(name: str) -> None:
    st.session_state[SELECTED_SLOT] = name


def _selected_face() -> str:
    return str(st.session_state.get(SELECTED_SLOT, ""))


def _clear_face() -> None:
    st.session_state.pop(SELECTED_SLOT, None)


@st.dialog("You and the crowd on this face", width="large", on_dismiss=_clear_face)
def _show_face_dialog(src: str, own_shares: Array, group_shares: Array) -> None:
    face, predictions = st.columns([5, 7], gap="large")
    with face:
        st.html(markup.portrait_html(src, "A generated face", ""))
    with predictions:
        for title, shares in (("What you would say", own_shares), ("What most would say", group_shares)):
            st.html(f'<p class="voice">{title}</p>' + markup.bars_html(dict(zip(EMOTIONS, map(float, shares), strict=True))))
        st.html(caption_html("What the two models expect: yours from your answers so far, everybody’s from the study’s."))


def show_personal_stimuli(you: VisitorAnswers) -> None:
    """Show new faces: made on request, judged by the visitor, then compared with both predictions."""
    if you.network != SEARCH_NETWORK:
        return
    st.space("medium")
    st.header("Faces made for you", anchor="you-made")
    if you.stimuli:
        if len(you.stimulus_answers) < len(you.stimuli):
            _judge_stimuli(you)
        else:
            _show_predictions(you)
            _offer_stimuli(you, "Make others")
        return
    st.html(
        intro_html(
            f"{STIMULUS_COUNT} new faces at the boundary between your model and everybody’s: you should say one thing of them and "
            "most people another. You say what you see first; then you hear what was foretold."
        )
    )
    if not _show_running(you):
        _offer_stimuli(you, "Make faces for me")


def _offer_stimuli(you: VisitorAnswers, label: str) -> None:
    def start() -> None:
        st.session_state.pop(STIMULI_JOB, None)
        you.stimuli, you.stimulus_answers, you.rounds = [], [], you.rounds + 1
        st.session_state[WANTED_SLOT] = _job_key(you)

    st.button(label, type="secondary" if you.stimuli else "primary", key="you-make", icon=":material/auto_awesome:", on_click=start)


def _job_key(you: VisitorAnswers) -> tuple[str, int, int]:
    return you.alignment.alignment_id, you.n, you.rounds


def _show_running(you: VisitorAnswers) -> bool:
    """Show the job that makes faces -> whether it is running."""
    if st.session_state.get(WANTED_SLOT) != _job_key(you):
        return False
    job = find_or_start_job(STIMULI_JOB, _job_key(you), "faces for one person", _make_stimuli_job(you))
    if not job.finished:
        progress.watch_job(job.id)
        return True
    st.session_state.pop(WANTED_SLOT)
    if job.status == "done":
        you.stimuli = list(job.result)
        st.rerun()
    progress.show_outcome(job)
    return False


def _make_stimuli_job(you: VisitorAnswers) -> Callable[[Progress], list[ControversialImage]]:
    alignment, known, seed = you.alignment, you.learned(), 1000 * you.rounds + you.n

    def work(progress: Progress) -> list[ControversialImage]:
        progress.stage("Loading the networks", 0.0)
        return search_controversial(alignment, known, count=STIMULUS_COUNT, seed=seed, progress=progress)

    return work


@st.fragment
def _judge_stimuli(you: VisitorAnswers) -> None:
    """Ask about one new face after the other; the predictions stay hidden."""
    number = len(you.stimulus_answers)
    if number == len(you.stimuli):
        st.rerun()
    st.html(
        caption_html(
            f"New face {number + 1} of {len(you.stimuli)}. What was foretold stays sealed until you have judged all of them."
        )
    )

    def take_answer(message: Mapping[str, Any]) -> None:
        if message.get("number") == len(you.stimulus_answers) and message.get("emotion") in EMOTIONS:
            you.stimulus_answers.append(EMOTIONS.index(message["emotion"]))

    ask_emotion(
        number=number,
        stimulus=f"made-{you.rounds}-{number}",
        src=face_url(you.stimuli[number].picture),
        key="you-made-question",
        on_answer=take_answer,
    )


def _show_predictions(you: VisitorAnswers) -> None:
    """Show the predictions beside the answers."""
    answered = [(face, EMOTIONS[answer]) for face, answer in zip(you.stimuli, you.stimulus_answers, strict=True)]
    own_right = sum(emotion == face.you for face, emotion in answered)
    group_right = sum(emotion == face.most for face, emotion in answered)
    same = sum(not face.differ for face in you.stimuli)
    note = f" For {same} of them the two models ended with the same answer." if same else ""
    st.html(
        intro_html(
            f"Of {len(you.stimuli)} faces you said of {own_right} what your model foretold, and of {group_right} what everybody’s "
            f"model says."
            f"{note} That is few: it shows the idea and proves nothing."
        )
    )
    tiles = [
        Tile(
            f"made-{number}",
            face_url(face.picture),
            f"A new face. You would say {face.you}, most would say {face.most}; you said {emotion}.",
            title=f"You would say {face.you}, most would say {face.most}" if face.differ else f"Both would say {face.you}",
            words=f"you said {emotion}" + (", as foretold" if emotion == face.you else ""),
            note=f"your model {100 * face.own.max():.0f} % sure, everybody’s {100 * face.group.max():.0f} %",
        )
        for number, (face, emotion) in enumerate(answered)
    ]
    components.show_faces(
        [components.FaceGroup(tiles, columns=4)], key="you-made-faces", on_pick=_select_face, layout="rows", tile="17rem"
    )
    if _selected_face() in {tile.id for tile in tiles}:
        face = you.stimuli[[tile.id for tile in tiles].index(_selected_face())]
        _show_face_dialog(face_url(face.picture), face.own, face.group)
    st.html(caption_html("“Most” is everybody’s model here: nobody else has seen these faces. They do not count for your profile."))
