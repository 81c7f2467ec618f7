"""The statistics of one study: chapters, of which one is open and worked out at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from core.errors import LiminalError
from core.progress import Progress
from ui import progress as running
from ui.analysis.choices import number, one_of, open_at
from ui.analysis.figure_card import card
from ui.jobs import job_for
from ui.words import lead

if TYPE_CHECKING:
    from core.figures.exhibits.exhibit import Exhibit, Section, View
    from ui.analysis.material import Chosen

SECTION, LIMIT, OWN = "section", "limit", "threshold"
MORE = "statistics-more"
"""In the session: whether the reader asked for all chapters."""
OWN_LIMIT = "any"


def show(chosen: Chosen) -> None:
    """The table of contents and the chapter of the address."""
    from core.figures.exhibits.contents import first_and_more

    first, more = first_and_more(chosen.material)
    section = _contents(first, more, has_answers=bool(len(chosen.material.ratings)))
    st.header(section.question, anchor=section.key)
    view = _view(chosen, section)
    try:
        found = _slow(chosen, section, view) if section.slow else _found(chosen.key, section.key, view, chosen)
    except LiminalError as error:
        st.info(str(error))
        return
    _cards(chosen, section, found)
    _onwards((*first, *more), section)


def _contents(first: tuple[Section, ...], more: tuple[Section, ...], *, has_answers: bool) -> Section:
    """Chapters as pills; the one of the address is open. ``more`` are shown on request, and where one of them is open."""
    wanted = st.query_params.get(SECTION) in [each.key for each in more]
    shown = wanted or bool(st.session_state.get(MORE))
    by_key = {each.key: each for each in ((*first, *more) if shown else first)}
    with st.container(key="contents", horizontal=True, vertical_alignment="center", gap="small"):
        picked = one_of(
            "Chapters", list(by_key), SECTION, titles={key: each.title for key, each in by_key.items()}, look="pills", hidden=True
        )
        if not wanted:
            st.button(
                "Fewer" if shown else "More",
                key="contents-more",
                type="tertiary",
                icon=":material/expand_less:" if shown else ":material/expand_more:",
                on_click=_show_more,
                args=(not shown,),
            )
    if not has_answers:
        st.info("Nobody has answered yet: only what models say can be shown.")
    return by_key[picked]


def _show_more(shown: bool) -> None:
    st.session_state[MORE] = shown


def _view(chosen: Chosen, section: Section) -> View:
    """What the reader chose for the chapters that have a choice."""
    from core.figures.exhibits.contents import first_view
    from core.figures.exhibits.exhibit import View

    first = first_view(chosen.material)
    recogniser, threshold, classifier = first.recogniser, None, first.classifier
    if not section.uses:
        return first
    with st.container(horizontal=True, gap="large", vertical_alignment="bottom", key="choices"):
        if "recogniser" in section.uses and first.recogniser:
            recogniser = pick_recogniser(chosen)
        if "threshold" in section.uses and recogniser:
            threshold = _limit(chosen, recogniser)
        if "classifier" in section.uses and first.classifier:
            classifier = _pick("By which network?", list(chosen.material.classifiers), "classifier")
    return View(recogniser, threshold, classifier)


def pick_recogniser(chosen: Chosen) -> str:
    """The recogniser that is looked at."""
    known = [name for name in chosen.material.recognisers if name in chosen.material.thresholds]
    return _pick("Recogniser", known, "recogniser")


def _pick(label: str, names: list[str], key: str) -> str:
    """One of several models."""
    from core.figures.exhibits.exhibit import title_of

    return (
        (names[0] if names else "")
        if len(names) < 2
        else one_of(label, names, key, titles={each: title_of(each) for each in names})
    )


def _limit(chosen: Chosen, recogniser: str) -> float | None:
    """Default, one of the calibrated thresholds, or any other; None: the default."""
    from core.figures.exhibits.thresholds import marked

    marks = marked(chosen.material, recogniser)
    names = {_short(words): value for words, value in marks.items()}
    words = {_short(each): f"{each}: {value:.3g}" for each, value in marks.items()} | {OWN_LIMIT: "any other"}
    picked = one_of(
        "Threshold",
        list(words),
        LIMIT,
        titles=words,
        help="Below it the recogniser takes two faces for one person. Calibrated: the stated share of two random faces of this "
        "generator is accepted.",
    )
    if picked != OWN_LIMIT:
        return None if picked == "default" else names[picked]
    column = chosen.material.pairs[f"distance_{recogniser}"]
    top = round(max(float(column.max()) if column.notna().any() else 1.0, *names.values()) + 0.05, 2)
    usual = min(top, round(next(iter(names.values()), 0.5), 2))
    return number("Accepted below a distance of", 0.01, top, usual, 0.01, OWN)


def _short(words: str) -> str:
    """'calibrated to 0.1 %' -> 'calibrated-0.1', which reads well in an address."""
    return words.replace(" to ", "-").replace(" %", "")


@st.cache_resource(show_spinner="Working it out", max_entries=64)
def _found(key: str, section: str, view: View, _chosen: Chosen) -> list[Exhibit]:
    """A chapter's exhibits, kept until an answer comes in or goes."""
    from core.figures.exhibits.contents import sections

    wanted = next(each for each in sections(_chosen.material) if each.key == section)
    return wanted.make(_chosen.material, view, Progress())


def _slow(chosen: Chosen, section: Section, view: View) -> list[Exhibit]:
    """A chapter that takes its time: on request and in the background."""
    slot, material = f"job-{section.key}", chosen.material
    wanted = (chosen.key, section.key)
    started = st.session_state.get(slot)
    if started is None or started[0] != wanted:
        faces = len(material.where)
        st.html(lead(f"This measures {faces:,} faces and grows some forests; it takes about a minute, once."))
        if not st.button(
            "Measure the faces", type="primary", key=f"start-{section.key}", icon=":material/play_arrow:", disabled=not faces
        ):
            return []
    job = job_for(slot, wanted, section.question, lambda told: section.make(material, view, told))
    if not job.finished:
        running.watch(job.id)
        return []
    running.outcome(job)
    return list(job.result) if job.status == "done" else []


def _cards(chosen: Chosen, section: Section, found: list[Exhibit]) -> None:
    """One below the other; two of equal kind beside each other where there is room."""
    from core.figures.exhibits.exhibit import file_name

    wide = section.key not in PAIRED
    for place in range(0, len(found), 1 if wide else 2):
        row = found[place : place + (1 if wide else 2)]
        columns = [st.container()] if wide else st.columns(2, gap="large")
        for column, each in zip(columns, row, strict=False):
            with column:
                card(each, f"{section.key}-{each.key}", name=file_name(chosen.study.name, each.key))


PAIRED = ("types", "similarity", "decisions", "threshold", "divided", "classifiers", "mixed")
"""Chapters whose figures stand two in a row."""


def _onwards(every: tuple[Section, ...], section: Section) -> None:
    """The next question."""
    place = every.index(section)
    if place + 1 < len(every):
        following = every[place + 1]
        st.button(
            following.question,
            key="onwards",
            type="tertiary",
            icon=":material/arrow_forward:",
            on_click=open_at,
            args=(SECTION, following.key),
        )


def intro() -> None:
    """What the page is."""
    st.title("What does the study say?", anchor=False)
    st.html(
        lead(
            "Each figure says one thing, how sure it is and where it comes from; where there are published values, they stand "
            "beside ours."
        )
    )
