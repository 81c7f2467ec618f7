"""What somebody who took part is told: how often others and the network answered alike, and where they parted most."""

from __future__ import annotations

import html
import math
from typing import TYPE_CHECKING

import streamlit as st

from core.errors import LiminalError
from core.models import registry
from core.studies import feedback
from ui.studies import access
from ui.words import fine, lead, percent

if TYPE_CHECKING:
    import pandas as pd

    from core.studies.feedback import Departure, NetworkAnswer
    from core.studies.study import Kind, Rater, Study

FEW = 10
SHOWN = 2


def show(study: Study, rater: Rater) -> None:
    """The last page."""
    st.title("Thank you", anchor=False)
    ratings = access.store().ratings(study.name, ["human"])
    own = ratings[ratings["rater"] == rater.rater]
    if own.empty:
        st.html(lead("You can close this page."))
        return
    st.html(lead(f"Your {len(own):,} answers are kept. Here is what they say so far."))
    kind = study.plan.kind
    together = feedback.agreement(ratings, rater.rater, kind, SHOWN)
    _with_people(kind, together)
    title, said = _network(study)
    parted = _with_network(ratings, rater.rater, kind, title, said)
    _apart(study, ratings, rater.rater, together.departures, parted, title, said)
    st.html(
        fine(
            "Every face was made by a computer; none belongs to a real person. What you saw in them is no test of you, and "
            "one study of generated faces proves nothing about real ones."
        )
        + fine(f"If you want your answers deleted, name this to whoever sent you the link: {rater.rater}")
    )


def _with_people(kind: Kind, together: feedback.Agreement) -> None:
    if not together.people or math.isnan(together.share):
        st.html(_fact("You are the first", "Nobody else has judged these faces yet. Open this page again later to compare."))
        return
    people = "one other person" if together.people == 1 else f"{together.people:,} other people"
    few = " That is few: it may still change a lot." if together.people < FEW else ""
    st.html(
        _fact(
            percent(together.share),
            f"of the answers of {people} to the same {'pairs' if kind == 'identity' else 'faces'} are the same as yours "
            f"({together.compared:,} compared; people who guess agree in {percent(feedback.CHANCE[kind])}).{few}",
        )
    )


def _network(study: Study) -> tuple[str, dict[str, NetworkAnswer]]:
    """What the set's own network says, by stimulus; nothing where the sets are gone."""
    try:
        name, said = _said(study.sample_sets)
        return (registry.entry(name).title if name else ""), said
    except LiminalError:
        return "", {}


@st.cache_data(show_spinner=False, max_entries=8)
def _said(set_ids: tuple[str, ...]) -> tuple[str, dict[str, NetworkAnswer]]:
    library = access.library()
    return feedback.network_answers([library.folder_of(set_id) for set_id in set_ids])


def _with_network(ratings: pd.DataFrame, rater: str, kind: Kind, title: str, said: dict[str, NetworkAnswer]) -> list[str]:
    same, compared, apart = feedback.with_network(ratings, rater, kind, said)
    if compared:
        noun = "pairs" if kind == "identity" else "faces"
        st.html(
            _fact(
                percent(same / compared),
                f"of your answers are also those of {title}, a network that judged the same {noun} ({compared:,} compared).",
            )
        )
    return apart


def _apart(
    study: Study,
    ratings: pd.DataFrame,
    rater: str,
    departures: tuple[Departure, ...],
    parted: list[str],
    title: str,
    said: dict[str, NetworkAnswer],
) -> None:
    """The images on which this person stood most alone, else those on which they and the network part most."""
    task = feedback.MAIN_TASK[study.plan.kind]
    own = ratings[(ratings["rater"] == rater) & (ratings["task"] == task)].set_index("stimulus")["value"]
    lines = [(each.stimulus, f"You: {_said_word(each.own)}. {_others(each)}") for each in departures]
    known = {stimulus for stimulus, _ in lines}
    for name in parted:
        if name not in known and len(lines) < SHOWN:
            lines.append((name, f"You: {_said_word(str(own[name]))}. {title}: {_said_word(said[name].answer)}."))
    if not lines:
        return
    st.subheader("Where you saw something else", anchor=False)
    images = {each.stimulus: each.images for each in access.stimuli(study)}
    figures = []
    for name, words in lines:
        faces = "".join(
            f'<img src="{html.escape(access.picture_address(study.token, image))}" alt="A generated face that you judged">'
            for image in images.get(name, ())
        )
        shown = f'<div data-faces="{len(images.get(name, ()))}">{faces}</div>'
        figures.append(f"<figure>{shown}<figcaption>{html.escape(words)}</figcaption></figure>")
    st.html(f'<div class="apart">{"".join(figures)}</div>')


def _others(departure: Departure) -> str:
    best, share = max(departure.shares.items(), key=lambda item: item[1])
    who = "The one other person" if departure.n == 1 else f"{percent(share)} of {departure.n:,} others"
    return f"{who}: {_said_word(best)}."


def _said_word(value: str) -> str:
    return {"1": "the same person", "0": "two people"}.get(value, value)


def _fact(number: str, words: str) -> str:
    return f'<div class="fact"><b>{html.escape(number)}</b><p>{html.escape(words)}</p></div>'
