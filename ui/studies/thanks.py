"""The last page of a study: thanks with what others and the network answered, and the ways out for all who leave it."""

from __future__ import annotations

import html
import math
from urllib.parse import urlsplit

import pandas as pd
import streamlit as st

from core.errors import LiminalError
from core.figures.theme import format_percent
from core.models import registry
from core.studies import overview
from core.studies.overview import LoneAnswer, NetworkAnswer
from core.studies.recruitment import Departure, Participant, fill_destination, is_address
from core.studies.study import Kind, Rater, Study
from ui.markup import caption_html, intro_html
from ui.studies import access


def show_way_out(study: Study, departure: Departure, participant: Participant) -> None:
    """Show where to go from here: a link to the panel, a code to hand in there, or that the page can be closed."""
    destination = getattr(study.settings, departure)
    if not destination:
        st.html(intro_html("You can close this page."))
        return
    with st.container(key="way-out", border=True):
        if is_address(destination):
            address = fill_destination(destination, participant)
            host = urlsplit(address).hostname or ""
            words = "Go back to be paid or credited" if departure == "finished" else "Go back"
            st.html(
                f'<a class="way-out" href="{html.escape(address)}">{words}</a>'
                + caption_html(f"This leads to {host}." + (" Only then are you done there." if departure == "finished" else ""))
            )
        else:
            st.html(f"<p>{'Your code, which shows that you took part' if departure == 'finished' else 'Your code'}:</p>")
            st.code(destination, language=None)
            st.html(caption_html("Copy it into the page that you came from. Then you can close this page."))


def show_full(study: Study, participant: Participant, *, answers: int = 0, away: bool = False) -> None:
    """Say that the study takes nobody more. answers: the visitor's own, which are kept; away: their place was handed out again."""
    kept = f" The answers that you gave ({answers:,}) are kept." if answers else ""
    if away:
        title, text = "Your place was given to somebody else", "You were away for a long time, and all places are taken now."
    elif study.closed:
        title, text = "This study is closed", "It takes no more answers. Thank you for your interest."
    else:
        title, text = "Every place is taken", "As many people as are wanted take part just now. Somebody may stop: come back later."
    st.title(title, anchor=False)
    st.html(intro_html(f"{text}{kept}"))
    show_way_out(study, "full", participant)


def show_screened_out(study: Study, participant: Participant) -> None:
    """Say to somebody that they cannot go on."""
    st.title("This study is not for you", anchor=False)
    st.html(intro_html("Thank you for trying. You cannot go on with it, and nobody holds that against you."))
    show_way_out(study, "screened_out", participant)


FEW_ANSWERS = 10
SHOWN_DEPARTURES = 2


def show_thanks(study: Study, rater: Rater, participant: Participant, *, again: bool) -> None:
    """Show the last page: thanks, the way out, and how others and the network answered. again: they had finished before."""
    st.title("You have taken part already" if again else "Thank you", anchor=False)
    if study.settings.finished:
        show_way_out(study, "finished", participant)
    ratings = access.get_store().ratings(study.name, ["human"])
    own_ratings = ratings[ratings["rater"] == rater.rater]
    if own_ratings.empty:
        st.html(intro_html("You can close this page."))
        return
    st.html(intro_html(f"Your {len(own_ratings):,} answers are kept. Here is what they say so far."))
    kind = study.plan.kind
    together = overview.compare_with_others(ratings, rater.rater, kind, SHOWN_DEPARTURES)
    _compare_with_people(kind, together)
    title, network_answers = _find_network_answers(study)
    parted = _compare_with_network(ratings, rater.rater, kind, title, network_answers)
    _show_departures(study, ratings, rater.rater, together.departures, parted, title, network_answers)
    st.html(
        caption_html(
            "Every face was made by a computer; none belongs to a real person. What you saw in them is no test of you, and "
            "one study of generated faces proves nothing about real ones."
        )
        + caption_html(f"If you want your answers deleted, name this to whoever sent you the link: {rater.rater}")
    )


def _compare_with_people(kind: Kind, together: overview.AgreementWithOthers) -> None:
    if not together.people or math.isnan(together.share):
        st.html(_fact_html("You are the first", "Nobody else has judged these faces yet. Open this page again later to compare."))
        return
    people = "one other person" if together.people == 1 else f"{together.people:,} other people"
    few = " That is few: it may still change a lot." if together.people < FEW_ANSWERS else ""
    st.html(
        _fact_html(
            format_percent(together.share),
            f"of the answers of {people} to the same {'pairs' if kind == 'identity' else 'faces'} are the same as yours "
            f"({together.compared:,} compared; people who guess agree in {format_percent(overview.CHANCE_AGREEMENT[kind])}).{few}",
        )
    )


def _find_network_answers(study: Study) -> tuple[str, dict[str, NetworkAnswer]]:
    """The title of the sets' own network and its answers by stimulus; empty where the sets are gone."""
    try:
        name, answers = _load_network_answers(study.sample_sets)
        return (registry.find_entry(name).title if name else ""), answers
    except LiminalError:
        return "", {}


@st.cache_data(show_spinner=False, max_entries=8)
def _load_network_answers(set_ids: tuple[str, ...]) -> tuple[str, dict[str, NetworkAnswer]]:
    library = access.get_library()
    return overview.load_network_answers([library.folder_of(set_id) for set_id in set_ids])


def _compare_with_network(
    ratings: pd.DataFrame, rater: str, kind: Kind, title: str, network_answers: dict[str, NetworkAnswer]
) -> list[str]:
    same, compared, apart = overview.compare_with_network(ratings, rater, kind, network_answers)
    if compared:
        noun = "pairs" if kind == "identity" else "faces"
        st.html(
            _fact_html(
                format_percent(same / compared),
                f"of your answers are also those of {title}, a network that judged the same {noun} ({compared:,} compared).",
            )
        )
    return apart


def _show_departures(
    study: Study,
    ratings: pd.DataFrame,
    rater: str,
    departures: tuple[LoneAnswer, ...],
    parted: list[str],
    title: str,
    network_answers: dict[str, NetworkAnswer],
) -> None:
    """Show the images on which this rater stood most alone, else those on which rater and network differ most."""
    task = overview.MAIN_TASK[study.plan.kind]
    own_answers = ratings[(ratings["rater"] == rater) & (ratings["task"] == task)].set_index("stimulus")["value"]
    lines = [
        (departure.stimulus, f"You: {_describe_answer(departure.own)}. {_describe_others(departure)}") for departure in departures
    ]
    known = {stimulus for stimulus, _ in lines}
    for name in parted:
        if name not in known and len(lines) < SHOWN_DEPARTURES:
            lines.append(
                (
                    name,
                    f"You: {_describe_answer(str(own_answers[name]))}. {title}: {_describe_answer(network_answers[name].answer)}.",
                )
            )
    if not lines:
        return
    st.subheader("Where you saw something else", anchor=False)
    images = {stimulus.stimulus: stimulus.images for stimulus in access.load_stimuli(study)}
    figures = []
    for name, words in lines:
        faces = "".join(
            f'<img src="{html.escape(access.study_picture_url(study.token, image))}" alt="A generated face that you judged">'
            for image in images.get(name, ())
        )
        pictures = f'<div data-faces="{len(images.get(name, ()))}">{faces}</div>'
        figures.append(f"<figure>{pictures}<figcaption>{html.escape(words)}</figcaption></figure>")
    st.html(f'<div class="apart">{"".join(figures)}</div>')


def _describe_others(departure: LoneAnswer) -> str:
    best, share = max(departure.shares.items(), key=lambda item: item[1])
    who = "The one other person" if departure.n == 1 else f"{format_percent(share)} of {departure.n:,} others"
    return f"{who}: {_describe_answer(best)}."


def _describe_answer(value: str) -> str:
    return {"1": "the same person", "0": "two people"}.get(value, value)


def _fact_html(number: str, words: str) -> str:
    return f'<div class="fact"><b>{html.escape(number)}</b><p>{html.escape(words)}</p></div>'
