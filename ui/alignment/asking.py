"""The page 'Next question': how many answers are saved by asking what tells most, tried out on simulated people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from ui import progress
from ui.analysis.choices import one_of
from ui.analysis.figure_card import card
from ui.jobs import job_for
from ui.kept import Kept
from ui.words import fine

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.alignment.next_simulation import NextQuestion
    from core.progress import Progress

JOB, PEOPLE, ANSWERS, GOAL, SEED = "next_job", "people", "answers", "about", 0
PEOPLE_COUNTS = ("5", "10", "20", "40")
ANSWER_COUNTS = ("40", "80", "120")
GOALS: dict[str, str] = {"boundary": "Faces between two feelings", "everything": "Faces of all kinds"}


def show() -> None:
    """Choices, the simulation while it runs, and what it says."""
    with st.container(horizontal=True, gap="large", vertical_alignment="bottom", key="next-choices"):
        people = int(one_of("Simulated people", PEOPLE_COUNTS, PEOPLE, default="40"))
        answers = int(one_of("Questions each", ANSWER_COUNTS, ANSWERS, default="80"))
        goal = one_of("Answers to which faces shall be foretold?", list(GOALS), GOAL, titles=GOALS, default="boundary")
    key = (people, answers, goal, SEED)
    found, made = _known(key)
    wanted = st.session_state.get("next-wanted") == key
    if found is None or wanted:
        anew = _run(key)
        found, made = (anew, "") if anew is not None else (found, made)
    if found is not None:
        _say(found, made)
        if made and not wanted:
            _offer(key, again=True)


def _known(key: tuple[int, int, str, int]) -> tuple[NextQuestion | None, str]:
    """What was found since the server started, else what is stored, with the date of that."""
    from core.alignment.next_simulation import GOALS as KNOWN
    from core.alignment.next_stored import stored

    found: NextQuestion | None = _kept().get(key)
    people, answers, chosen, seed = key
    ready = stored(people, answers, next(each for each in KNOWN if each == chosen), seed) if found is None else None
    return ready if ready is not None else (found, "")


@st.cache_resource(show_spinner=False)
def _kept() -> Kept:
    """Results by what was chosen."""
    return Kept()


def _work(key: tuple[int, int, str, int]) -> Callable[[Progress], NextQuestion]:
    def work(told: Progress) -> NextQuestion:
        from core.alignment.next_simulation import GOALS as KNOWN
        from core.alignment.next_simulation import simulate_next

        people, answers, chosen, seed = key
        goal = next(each for each in KNOWN if each == chosen)
        found = simulate_next(people=people, answers=answers, goal=goal, seed=seed, progress=told)
        _kept().put(key, found)
        return found

    return work


def _run(key: tuple[int, int, str, int]) -> NextQuestion | None:
    """The job on request; its result once it is done."""
    if st.session_state.get("next-wanted") != key:
        _offer(key)
        return None
    job = job_for(JOB, key, "next question", _work(key))
    if not job.finished:
        progress.watch(job.id)
        return None
    st.session_state.pop("next-wanted")
    if job.status == "done":
        found: NextQuestion = job.result
        return found
    progress.outcome(job)
    _offer(key)
    return None


def _offer(key: tuple[int, int, str, int], *, again: bool = False) -> None:
    def start() -> None:
        st.session_state.pop(JOB, None)
        st.session_state["next-wanted"] = key

    with st.container(horizontal=True, gap="medium", vertical_alignment="center"):
        label, look = ("Ask them anew", "secondary") if again else ("Ask them", "primary")
        st.button(label, type=look, key="next-start", icon=":material/play_arrow:", on_click=start)
        st.html(fine("Each simulated person is asked anew in every order: at random, and what tells most. Some seconds each."))


def _say(found: NextQuestion, made: str) -> None:
    """made: when it was stored, "" where it is of now."""
    from core.figures.exhibits.alignment_next import saved

    card(saved(found), "next-saved", name="next-question")
    st.html(
        fine(
            "Nobody was asked: these people are simulated, drawn from a population that no model here was fitted to. Real people "
            f"may save more or less.{f' Worked out on {made} and stored; ask them anew to see it done.' if made else ''}"
        )
    )
