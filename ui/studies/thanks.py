"""The last page of a study: thanks with what others and the network answered, and the ways out for all who leave it."""

from __future__ import annotations

import html
import math
from urllib.parse import urlsplit

import pandas as pd
import streamlit as st

from core.errors import LiminalError
from core.models import registry
from core.studies import overview
from core.studies.overview import LoneAnswer, NetworkAnswer
from core.studies.preview import Preview
from core.studies.ratings import Task
from core.studies.recruitment import Departure, Participant, fill_destination, is_address
from core.studies.study import Rater, RatingPlan, Study
from core.studies.words import Words
from ui.markup import caption_html, intro_html
from ui.studies import access


def show_way_out(study: Study, words: Words, departure: Departure, participant: Participant) -> None:
    """Show where to go from here: a link to the panel, a code to hand in there, or that the page can be closed."""
    destination = getattr(study.settings, departure)
    if not destination:
        st.html(intro_html(words.say("out.close")))
        return
    finished = departure == "finished"
    with st.container(key="way-out", border=True):
        if is_address(destination):
            address = fill_destination(destination, participant)
            leads = words.say("out.leads", host=urlsplit(address).hostname or "")
            label = html.escape(words.say("out.paid" if finished else "out.back"))
            st.html(
                f'<a class="way-out" href="{html.escape(address)}">{label}</a>'
                + caption_html(f"{leads} {words.say('out.only')}" if finished else leads)
            )
        else:
            st.html(f"<p>{html.escape(words.say('out.code.finished' if finished else 'out.code'))}</p>")
            st.code(destination, language=None)
            st.html(caption_html(words.say("out.copy")))


def show_full(study: Study, words: Words, participant: Participant, *, answers: int = 0, away: bool = False) -> None:
    """Say that the study takes nobody more. answers: the visitor's own, which are kept; away: their place was handed out again."""
    reason = "away" if away else "closed" if study.closed else "taken"
    kept = f" {words.say('full.kept', count=answers)}" if answers else ""
    st.title(words.say(f"full.{reason}.title"), anchor=False)
    st.html(intro_html(f"{words.say(f'full.{reason}.text')}{kept}"))
    show_way_out(study, words, "full", participant)


def show_screened_out(study: Study, words: Words, participant: Participant) -> None:
    """Say to somebody that they cannot go on."""
    st.title(words.say("screened.title"), anchor=False)
    st.html(intro_html(words.say("screened.text")))
    show_way_out(study, words, "screened_out", participant)


FEW_ANSWERS = 10
SHOWN_DEPARTURES = 2


def show_thanks(study: Study, words: Words, rater: Rater, participant: Participant, *, again: bool) -> None:
    """Show the last page: thanks, the way out, and how others and the network answered. again: they had finished before."""
    st.title(words.say("back.finished.title" if again else "thanks.title"), anchor=False)
    if study.settings.finished:
        show_way_out(study, words, "finished", participant)
    store = access.rater_store(study)
    ratings = access.get_store().ratings(study.name, ["human"])
    if isinstance(store, Preview):
        ratings = pd.concat([ratings, store.ratings(study.name)], ignore_index=True)
    own_ratings = ratings[ratings["rater"] == rater.rater]
    if own_ratings.empty:
        st.html(intro_html(words.say("out.close")))
        return
    plan = study.plan
    judged = int(own_ratings["stimulus"].nunique())
    what = words.say_number("count.pair" if plan.kind == "identity" else "count.face", judged)
    st.html(intro_html(words.say("thanks.kept", what=what)))
    together = overview.compare_with_others(ratings, rater.rater, plan.main_task, SHOWN_DEPARTURES)
    _compare_with_people(words, plan, together)
    title, network_answers = _find_network_answers(study) if plan.asks == plan.kind else ("", {})
    parted = _compare_with_network(words, ratings, rater.rater, plan.main_task, title, network_answers)
    _show_departures(study, words, ratings, rater.rater, together.departures, parted, title, network_answers)
    delete = words.say("thanks.delete", rater=rater.rater)
    about = "thanks.own" if access.asks_about_own_pictures(study) else "thanks.generated"
    st.html(caption_html(words.say(about)) + caption_html(delete) + contact_html(study, words))


def contact_html(study: Study, words: Words) -> str:
    """Whose study it is and where to ask about it, as HTML; '' where the owner wrote neither."""
    plan = study.plan
    named = words.say("about.investigator", name=plan.investigator) if plan.investigator else ""
    contact = words.say("about.contact", contact=plan.contact) if plan.contact else ""
    return caption_html(" ".join(part for part in (named, contact) if part)) if named or contact else ""


def _compare_with_people(words: Words, plan: RatingPlan, together: overview.AgreementWithOthers) -> None:
    if not together.people or math.isnan(together.share):
        st.html(_fact_html(words.say("thanks.first.title"), words.say("thanks.first.text")))
        return
    sentence = words.say_number(
        "thanks.people",
        together.people,
        people=together.people,
        compared=together.compared,
        chance=words.format_percent(1 / len(plan.choices)),
    )
    few = f" {words.say('thanks.few')}" if together.people < FEW_ANSWERS else ""
    st.html(_fact_html(words.format_percent(together.share), f"{sentence}{few}"))


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
    words: Words, ratings: pd.DataFrame, rater: str, task: Task, title: str, network_answers: dict[str, NetworkAnswer]
) -> list[str]:
    same, compared, apart = overview.compare_with_network(ratings, rater, task, network_answers)
    if compared:
        sentence = words.say("thanks.network", network=title, compared=compared)
        st.html(_fact_html(words.format_percent(same / compared), sentence))
    return apart


def _show_departures(
    study: Study,
    words: Words,
    ratings: pd.DataFrame,
    rater: str,
    departures: tuple[LoneAnswer, ...],
    parted: list[str],
    title: str,
    network_answers: dict[str, NetworkAnswer],
) -> None:
    """Show the images on which this rater stood most alone, else those on which rater and network differ most."""
    plan, task = study.plan, study.plan.main_task
    own_answers = ratings[(ratings["rater"] == rater) & (ratings["task"] == task)].set_index("stimulus")["value"]
    lines = [
        (departure.stimulus, f"{_say_own(words, plan, departure.own)} {_say_others(words, plan, departure)}")
        for departure in departures
    ]
    known = {stimulus for stimulus, _ in lines}
    for name in parted:
        if name not in known and len(lines) < SHOWN_DEPARTURES:
            answer = _say_answer(words, plan, network_answers[name].answer)
            network = words.say("thanks.network.answer", network=title, answer=answer)
            lines.append((name, f"{_say_own(words, plan, str(own_answers[name]))} {network}"))
    if not lines:
        return
    st.subheader(words.say("thanks.departures"), anchor=False)
    alt = html.escape(words.say("thanks.picture"))
    images = {stimulus.stimulus: stimulus.images for stimulus in access.load_stimuli(study)}
    figures = []
    for name, sentences in lines:
        faces = "".join(
            f'<img src="{html.escape(access.study_picture_url(study.token, image))}" alt="{alt}">' for image in images.get(name, ())
        )
        pictures = f'<div data-faces="{len(images.get(name, ()))}">{faces}</div>'
        figures.append(f"<figure>{pictures}<figcaption>{html.escape(sentences)}</figcaption></figure>")
    st.html(f'<div class="apart">{"".join(figures)}</div>')


def _say_own(words: Words, plan: RatingPlan, answer: str) -> str:
    return words.say("thanks.you", answer=_say_answer(words, plan, answer))


def _say_others(words: Words, plan: RatingPlan, departure: LoneAnswer) -> str:
    best, share = max(departure.shares.items(), key=lambda item: item[1])
    return words.say_number("thanks.others", departure.n, share=words.format_percent(share), answer=_say_answer(words, plan, best))


def _say_answer(words: Words, plan: RatingPlan, value: str) -> str:
    if plan.asks == "identity":
        return words.say("thanks.same" if value == "1" else "thanks.two")
    return words.say_answer(value)


def _fact_html(number: str, sentence: str) -> str:
    return f'<div class="fact"><b>{html.escape(number)}</b><p>{html.escape(sentence)}</p></div>'
