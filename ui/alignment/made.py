"""Images made for one visitor, where their model and everybody's part; they judge each before they hear what was foretold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import streamlit as st

from core.models.emotions import EMOTIONS
from ui import components, progress, words
from ui.components import Tile
from ui.components.question import question
from ui.images import face_url
from ui.jobs import job_for
from ui.words import fine, lead

if TYPE_CHECKING:
    from core.alignment.controversial import Controversial
    from core.analysis.answers import Array
    from core.progress import Progress
    from ui.alignment.visitor import Visitor
    from ui.analysis.material import Chosen

JOB, WANTED, LOOKED = "you_made_job", "you-made-wanted", "you-looked-at"
COUNT = 4
OF_STUDY = 6
NETWORK = "emotion-mlp"
"""The one that the search goes through."""


def in_study(chosen: Chosen, you: Visitor) -> None:
    """The faces of the study on which the two models part most."""
    from core.alignment.controversial import ranked

    names = you.alignment.answers.images
    own = you.learned().probabilities(you.crowd)
    table = ranked(names, own, you.crowd)
    rows = table[table["score"] > 0].head(OF_STUDY)
    st.space("medium")
    st.header("Where you part from the crowd", anchor="you-apart")
    if rows.empty:
        st.html(lead("On every face of this study you would most likely say what most people say."))
        return
    st.html(lead("Faces of this study of which you would say one thing and most people another, by what your answers tell so far."))
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
    components.faces([components.Group(tiles, columns=3)], key="you-apart-faces", on_pick=_look_at, layout="rows", tile="20rem")
    if _looked_at() in set(rows["stimulus"]):
        place = names.index(_looked_at())
        _look(chosen.picture(_looked_at()), own[place], you.crowd[place])


def _look_at(name: str) -> None:
    st.session_state[LOOKED] = name


def _looked_at() -> str:
    return str(st.session_state.get(LOOKED, ""))


def _forget() -> None:
    st.session_state.pop(LOOKED, None)


@st.dialog("You and the crowd on this face", width="large", on_dismiss=_forget)
def _look(src: str, own: Array, group: Array) -> None:
    face, said = st.columns([5, 7], gap="large")
    with face:
        st.html(words.portrait(src, "A generated face", ""))
    with said:
        for title, shares in (("What you would say", own), ("What most would say", group)):
            st.html(f'<p class="voice">{title}</p>' + words.bars(dict(zip(EMOTIONS, map(float, shares), strict=True))))
        st.html(fine("What the two models expect: yours from your answers so far, everybody’s from the study’s."))


def for_you(you: Visitor) -> None:
    """New faces: made on request, judged at once, then told."""
    if you.network != NETWORK:
        return
    st.space("medium")
    st.header("Faces made for you", anchor="you-made")
    if you.made:
        if len(you.made_said) < len(you.made):
            _judge(you)
        else:
            _tell(you)
            _offer(you, "Make others")
        return
    st.html(
        lead(
            f"{COUNT} new faces at the boundary between your model and everybody’s: you should say one thing of them and "
            "most people another. You say what you see first; then you hear what was foretold."
        )
    )
    if not _running(you):
        _offer(you, "Make faces for me")


def _offer(you: Visitor, label: str) -> None:
    def start() -> None:
        st.session_state.pop(JOB, None)
        you.made, you.made_said, you.rounds = [], [], you.rounds + 1
        st.session_state[WANTED] = _key(you)

    st.button(label, type="secondary" if you.made else "primary", key="you-make", icon=":material/auto_awesome:", on_click=start)


def _key(you: Visitor) -> tuple[str, int, int]:
    return you.alignment.alignment_id, you.n, you.rounds


def _running(you: Visitor) -> bool:
    """Whether faces are being made; shown with a way to stop."""
    if st.session_state.get(WANTED) != _key(you):
        return False
    job = job_for(JOB, _key(you), "faces for one person", _work(you))
    if not job.finished:
        progress.watch(job.id)
        return True
    st.session_state.pop(WANTED)
    if job.status == "done":
        you.made = list(job.result)
        st.rerun()
    progress.outcome(job)
    return False


def _work(you: Visitor) -> Callable[[Progress], list[Controversial]]:
    alignment, known, seed = you.alignment, you.learned(), 1000 * you.rounds + you.n

    def work(told: Progress) -> list[Controversial]:
        told.stage("Loading the networks", 0.0)
        from core.alignment.controversial import search

        return search(alignment, known, count=COUNT, seed=seed, progress=told)

    return work


@st.fragment
def _judge(you: Visitor) -> None:
    """One new face after the other, nothing told yet."""
    place = len(you.made_said)
    if place == len(you.made):
        st.rerun()
    st.html(fine(f"New face {place + 1} of {len(you.made)}. What was foretold stays sealed until you have judged all of them."))

    def answered(given: Mapping[str, Any]) -> None:
        if given.get("number") == len(you.made_said) and given.get("emotion") in EMOTIONS:
            you.made_said.append(EMOTIONS.index(given["emotion"]))

    question(
        number=place,
        stimulus=f"made-{you.rounds}-{place}",
        src=face_url(you.made[place].picture),
        key="you-made-question",
        on_answer=answered,
    )


def _tell(you: Visitor) -> None:
    """What was foretold beside what was said."""
    own = sum(EMOTIONS[said] == each.you for said, each in zip(you.made_said, you.made, strict=True))
    most = sum(EMOTIONS[said] == each.most for said, each in zip(you.made_said, you.made, strict=True))
    apart = sum(each.differ for each in you.made)
    parted = "" if apart == len(you.made) else f" For {len(you.made) - apart} of them the two models ended with the same answer."
    st.html(
        lead(
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
    components.faces([components.Group(tiles, columns=4)], key="you-made-faces", on_pick=_look_at, layout="rows", tile="17rem")
    if _looked_at() in {each.id for each in tiles}:
        face = you.made[[tile.id for tile in tiles].index(_looked_at())]
        _look(face_url(face.picture), face.own, face.group)
    st.html(fine("“Most” is everybody’s model here: nobody else has seen these faces. They do not count for your profile."))
