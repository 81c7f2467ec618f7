"""Stimuli made for one visitor, where their model and the group's differ; the visitor judges each before hearing what was
predicted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import streamlit as st

from core.models.emotions import EMOTIONS
from ui import components, markup, progress
from ui.components import Tile
from ui.components.trials import ask_emotion
from ui.jobs import find_or_start_job
from ui.markup import caption_html, intro_html
from ui.pictures import face_url

if TYPE_CHECKING:
    from core.alignment.stimulus_choice import ControversialImage
    from core.analysis.estimate import Array
    from core.progress import Progress
    from ui.alignment.answers import VisitorAnswers
    from ui.analysis.study_choice import StudyChoice

STIMULI_JOB, WANTED_SLOT, SELECTED_SLOT = "you_made_job", "you-made-wanted", "you-looked-at"
STIMULUS_COUNT = 4
STUDY_FACE_COUNT = 6
SEARCH_NETWORK = "emotion-mlp"
"""The one that the search goes through."""


def show_study_faces(chosen: StudyChoice, you: VisitorAnswers) -> None:
    """The faces of the study on which the two models part most."""
    from core.alignment.stimulus_choice import rank_controversial

    names = you.alignment.answers.images
    own = you.learned().probabilities(you.crowd)
    table = rank_controversial(names, own, you.crowd)
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
        place = names.index(_selected_face())
        _show_face_dialog(chosen.picture(_selected_face()), own[place], you.crowd[place])


def _select_face(name: str) -> None:
    st.session_state[SELECTED_SLOT] = name


def _selected_face() -> str:
    return str(st.session_state.get(SELECTED_SLOT, ""))


def _clear_face() -> None:
    st.session_state.pop(SELECTED_SLOT, None)


@st.dialog("You and the crowd on this face", width="large", on_dismiss=_clear_face)
def _show_face_dialog(src: str, own: Array, group: Array) -> None:
    face, said = st.columns([5, 7], gap="large")
    with face:
        st.html(markup.portrait_html(src, "A generated face", ""))
    with said:
        for title, shares in (("What you would say", own), ("What most would say", group)):
            st.html(f'<p class="voice">{title}</p>' + markup.bars_html(dict(zip(EMOTIONS, map(float, shares), strict=True))))
        st.html(caption_html("What the two models expect: yours from your answers so far, everybody’s from the study’s."))


def show_personal_stimuli(you: VisitorAnswers) -> None:
    """New faces: made on request, judged at once, then told."""
    if you.network != SEARCH_NETWORK:
        return
    st.space("medium")
    st.header("Faces made for you", anchor="you-made")
    if you.made:
        if len(you.made_said) < len(you.made):
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
        you.made, you.made_said, you.rounds = [], [], you.rounds + 1
        st.session_state[WANTED_SLOT] = _job_key(you)

    st.button(label, type="secondary" if you.made else "primary", key="you-make", icon=":material/auto_awesome:", on_click=start)


def _job_key(you: VisitorAnswers) -> tuple[str, int, int]:
    return you.alignment.alignment_id, you.n, you.rounds


def _show_running(you: VisitorAnswers) -> bool:
    """Whether faces are being made; shown with a way to stop."""
    if st.session_state.get(WANTED_SLOT) != _job_key(you):
        return False
    job = find_or_start_job(STIMULI_JOB, _job_key(you), "faces for one person", _make_stimuli_job(you))
    if not job.finished:
        progress.watch_job(job.id)
        return True
    st.session_state.pop(WANTED_SLOT)
    if job.status == "done":
        you.made = list(job.result)
        st.rerun()
    progress.show_outcome(job)
    return False


def _make_stimuli_job(you: VisitorAnswers) -> Callable[[Progress], list[ControversialImage]]:
    alignment, known, seed = you.alignment, you.learned(), 1000 * you.rounds + you.n

    def work(told: Progress) -> list[ControversialImage]:
        told.stage("Loading the networks", 0.0)
        from core.alignment.stimulus_choice import search_controversial

        return search_controversial(alignment, known, count=STIMULUS_COUNT, seed=seed, progress=told)

    return work


@st.fragment
def _judge_stimuli(you: VisitorAnswers) -> None:
    """One new face after the other, nothing told yet."""
    place = len(you.made_said)
    if place == len(you.made):
        st.rerun()
    st.html(
        caption_html(f"New face {place + 1} of {len(you.made)}. What was foretold stays sealed until you have judged all of them.")
    )

    def answered(given: Mapping[str, Any]) -> None:
        if given.get("number") == len(you.made_said) and given.get("emotion") in EMOTIONS:
            you.made_said.append(EMOTIONS.index(given["emotion"]))

    ask_emotion(
        number=place,
        stimulus=f"made-{you.rounds}-{place}",
        src=face_url(you.made[place].picture),
        key="you-made-question",
        on_answer=answered,
    )


def _show_predictions(you: VisitorAnswers) -> None:
    """What was foretold beside what was said."""
    own = sum(EMOTIONS[said] == each.you for said, each in zip(you.made_said, you.made, strict=True))
    most = sum(EMOTIONS[said] == each.most for said, each in zip(you.made_said, you.made, strict=True))
    apart = sum(each.differ for each in you.made)
    parted = "" if apart == len(you.made) else f" For {len(you.made) - apart} of them the two models ended with the same answer."
    st.html(
        intro_html(
            f"Of {len(you.made)} faces you said of {own} what your model foretold, and of {most} what everybody’s model says."
            f"{parted} That is few: it shows the idea and proves nothing."
        )
    )
    tiles = [
        Tile(
            f"made-{place}",
            face_url(each.picture),
            f"A new face. You would say {each.you}, most would say {each.most}; you said {EMOTIONS[said]}.",
            title=f"You would say {each.you}, most would say {each.most}" if each.differ else f"Both would say {each.you}",
            words=f"you said {EMOTIONS[said]}" + (", as foretold" if EMOTIONS[said] == each.you else ""),
            note=f"your model {100 * each.own.max():.0f} % sure, everybody’s {100 * each.group.max():.0f} %",
        )
        for place, (each, said) in enumerate(zip(you.made, you.made_said, strict=True))
    ]
    components.show_faces(
        [components.FaceGroup(tiles, columns=4)], key="you-made-faces", on_pick=_select_face, layout="rows", tile="17rem"
    )
    if _selected_face() in {each.id for each in tiles}:
        face = you.made[[tile.id for tile in tiles].index(_selected_face())]
        _show_face_dialog(face_url(face.picture), face.own, face.group)
    st.html(caption_html("“Most” is everybody’s model here: nobody else has seen these faces. They do not count for your profile."))
