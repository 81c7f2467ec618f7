"""The page 'Align': networks learn from what people said, and what that changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from core.alignment.curves import Curve, Epoch, EpochDone, EpochsBefore
from ui import progress
from ui.alignment import choosing, deciding, results, runs
from ui.alignment.choosing import Wanted
from ui.jobs import job_for
from ui.studies import owner_gate
from ui.words import fine

if TYPE_CHECKING:
    from ui.analysis.material import Chosen
    from ui.jobs import Job

JOB = "align_job"


def show(chosen: Chosen) -> None:
    """Choices, the run while it lasts, and what it brought."""
    if chosen.material.kind != "emotion":
        deciding.show(chosen)
        return
    wanted = choosing.choose(chosen)
    if wanted is None:
        return
    if not _running(chosen, wanted):
        _offer(chosen, wanted)
    if wanted.ready:
        results.show(chosen, wanted)


def _key(wanted: Wanted) -> tuple[object, ...]:
    return (tuple(each.alignment_id for each in wanted.alignments), wanted.networks, wanted.people)


def _offer(chosen: Chosen, wanted: Wanted) -> None:
    """The button, and what pressing it will do; nothing where all has been learned."""
    if not wanted.missing:
        return
    if not owner_gate.allowed():
        st.html(fine("Networks learn here for the owner of the studies alone; what they have learned is shown to everybody."))
        return
    one = wanted.alignments[0]
    learned, judged = one.split.group()
    begun, everybody = bool(wanted.ready), len(wanted.ready) == len(wanted.networks)
    label = "Learn from each of them" if everybody else "Go on learning" if begun else "Learn from these people"
    if everybody:
        told = "Everybody’s model is there; now single people get one of their own, in some seconds each. It "
    else:
        held = f"From {len(learned):,} answers; {len(judged):,} to other faces are held out and never learned from."
        told = f"{held} It takes some minutes, "
    with st.container(horizontal=True, gap="medium", vertical_alignment="center", key="align-start"):
        st.button(
            label,
            type="secondary" if begun else "primary",
            key="learn",
            icon=":material/school:",
            on_click=_start,
            args=(_key(wanted),),
        )
        st.html(fine(f"{told}can be stopped at any time and goes on from there."))


def _start(key: tuple[object, ...]) -> None:
    st.session_state.pop(JOB, None)  # one that was stopped goes on as a new one
    st.session_state["align-wanted"] = key


def _running(chosen: Chosen, wanted: Wanted) -> bool:
    """Whether a run for these choices is under way; it is shown."""
    if not wanted.missing:
        st.session_state.pop("align-wanted", None)
    if st.session_state.get("align-wanted") != _key(wanted):
        return False
    work = runs.learner(wanted.alignments, wanted.networks, wanted.people)
    job = job_for(JOB, _key(wanted), "learning from people", work)
    if job.finished:
        st.session_state.pop("align-wanted")
        if job.status == "stopped":
            st.info("Stopped. What was learned so far is kept: go on whenever you like.")
        else:
            progress.outcome(job)
        return False
    _, judged = wanted.alignments[0].split.group()
    _watch(job.id, wanted.alignments[0].configuration.epochs, wanted.alignments[0].answers.source, len(judged))
    return True


@st.fragment(run_every=progress.POLL_SECONDS)
def _watch(job_id: str, epochs: int, source: str, judged: int) -> None:
    job = progress.tick(job_id)
    curves = so_far(job)
    if any(len(each.epochs) > 1 for each in curves.values()):
        from core.figures.exhibits.alignment import learned
        from ui.analysis.figure_card import card

        shown = learned(curves, epochs=epochs, source=source, n=f"{judged:,} held-out answers")
        card(shown, "live-curves", name="learning")
    own = so_far(job, "individual")
    if own:
        from core.figures.exhibits.alignment_people import own_curves
        from ui.analysis.figure_card import card

        card(own_curves(own, epochs=epochs, source=source), "live-own-curves", name="learning-from-one")


def so_far(job: Job, stage: str = "group") -> dict[str, Curve]:
    """Curves as far as they have got. "group": network -> everybody's model; "individual": rater -> theirs, of one network.

    Of several networks the one that learns now.
    """
    found: dict[str, dict[str, dict[int, Epoch]]] = {}  # network -> rater -> epochs
    for event in list(job.events):
        if isinstance(event, EpochDone | EpochsBefore) and event.stage == stage:
            epochs = event.epochs if isinstance(event, EpochsBefore) else (event.epoch,)
            found.setdefault(event.classifier, {}).setdefault(event.rater, {}).update({each.number: each for each in epochs})
    if stage == "group":
        return {name: _curve(of_all[""]) for name, of_all in found.items()}
    return {rater: _curve(each) for rater, each in list(found.values())[-1].items()} if found else {}


def _curve(epochs: dict[int, Epoch]) -> Curve:
    return Curve(tuple(epochs[number] for number in sorted(epochs)))
