"""Faces of which a network changed its mind: large, with what people say, and each one's bars when it is pressed."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from core.models.emotions import EMOTIONS
from ui import components, looked_at, words
from ui.analysis.choices import one_of
from ui.components import Tile
from ui.studies.words import many
from ui.words import fine, lead

if TYPE_CHECKING:
    from core.alignment.alignment import Alignment
    from ui.analysis.material import Chosen

WHOSE, WHICH = "whose", "faces"
EVERYBODY = "everybody"
SHOWN, ACROSS = 12, 4
FACES = {"held-out": "Faces it did not learn from", "all": "All faces"}


def show(chosen: Chosen, alignment: Alignment, network: str) -> None:
    """The faces that moved most, of everybody's model or of one person's."""
    from core.alignment.changes import changed

    st.space("medium")
    st.header("Faces that it sees differently now", anchor="changed")
    with st.container(horizontal=True, gap="large", vertical_alignment="bottom", key="changed-choices"):
        which = one_of("Which faces?", list(FACES), WHICH, titles=FACES)
        rater = whose(alignment, network, "Who taught it?")
    table = changed(alignment, network, rater)
    if which == "held-out":
        table = table[table["held_out"]]
    moved = int((table["before"] != table["after"]).sum())
    before = "before" if not rater else "everybody's model"
    st.html(
        lead(
            f"The likeliest feeling changed for {moved:,} of {many(len(table), 'face')}. "
            f"{'Those that moved most come first.' if moved else 'These moved most all the same.'}"
        )
    )
    rows = table.head(SHOWN).to_dict("records")
    components.faces(
        [components.Group([_tile(chosen, row, before) for row in rows], columns=ACROSS)],
        key="changed-faces",
        on_pick=looked_at.pick,
        selected=looked_at.picked(),
        layout="rows",
        tile="17rem",
    )
    selected = looked_at.picked()
    if selected in alignment.answers.images:
        _open(chosen, alignment, network, rater, str(selected))


def whose(alignment: Alignment, network: str, label: str) -> str:
    """A person with a model of their own, or '' for everybody; no choice where nobody has one."""
    people = alignment.people(network)
    if not people:
        return ""
    titles = {EVERYBODY: "Everybody"} | {rater: rater for rater in people}
    with st.container(width=300):
        picked = one_of(label, list(titles), WHOSE, titles=titles, look="list")
    return "" if picked == EVERYBODY else picked


def _tile(chosen: Chosen, row: dict[str, Any], before: str) -> Tile:
    stimulus, name = str(row["stimulus"]), str(row["after"])
    told = f"{row['before']} → {name}" if row["before"] != name else f"still {name}"
    people = f"most answers: {row['people']}" if row["people"] else "no answer that counts"
    return Tile(
        stimulus,
        chosen.picture(stimulus),
        f"A generated face. {before}: {row['before']}; now: {name}; {people}",
        words=told,
        note=f"{people} ({many(int(row['votes']), 'answer')})",
    )


@st.dialog("How it sees this face", width="large", on_dismiss=looked_at.forget)
def _open(chosen: Chosen, alignment: Alignment, network: str, rater: str, stimulus: str) -> None:
    """One face: people, the model before, the model now."""
    place = alignment.answers.images.index(stimulus)
    counts = alignment.answers.counts[place]
    group = alignment.group(network).images[place]
    if rater:
        sides = (("Everybody's model", group), (f"The model of {rater}", alignment.individual(network, rater).images[place]))
    else:
        sides = (("Before learning", alignment.base(network).images[place]), ("After learning", group))
    face, said = st.columns([5, 7], gap="large")
    with face:
        st.html(words.portrait(chosen.picture(stimulus), "A generated face", ""))
    with said:
        who = "Simulated observers" if alignment.answers.source == "simulated" else "People"
        voices = [(f"{who}, {many(int(counts.sum()), 'answer')}", counts / counts.sum())] if counts.sum() else []
        for title, shares in [*voices, *sides]:
            st.html(f'<p class="voice">{html.escape(title)}</p>' + words.bars(_shares(shares)))
        if rater:
            st.html(fine(_own(alignment, rater, place)))
    told = "No model has learned from answers to this face." if alignment.split.images[place] else "It learned from answers to it."
    st.html(fine(f"{told} The address of this page brings this view back."))


def _shares(values: np.ndarray[Any, Any]) -> dict[str, float]:
    """The three largest."""
    return {EMOTIONS[each]: float(values[each]) for each in np.argsort(-values, kind="stable")[:3] if values[each] > 0}


def _own(alignment: Alignment, rater: str, place: int) -> str:
    answers = alignment.answers
    own = np.flatnonzero((answers.image == place) & (answers.rater == answers.place(rater)))
    return f"{rater} said {EMOTIONS[int(answers.emotion[own[0]])]}." if len(own) else f"{rater} was not asked about this face."
