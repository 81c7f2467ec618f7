"""A continuous walk from the base to another person."""

from __future__ import annotations

import streamlit as st

from ui import components, progress, sets, words
from ui.jobs import job_for
from ui.sets import Recipe


def show_walk(recipe: Recipe) -> None:
    """A slider from the base to one of the other people; each picture on it was made and judged."""
    st.header("Walk from the base to another person", anchor=False)
    people = recipe.configuration().bases_per_batch - 1
    partner = st.segmented_control(
        "To whom?",
        list(range(1, people + 1)),
        format_func=lambda number: f"Person {number}",
        default=1,
        required=True,
        key="partner",
    )
    walk: sets.JudgedWalk | None = sets.kept(recipe, partner)
    if walk is None:
        # walks to other people go on: whoever comes back to them finds them
        job = job_for("walk_job", (recipe, partner), "walk", sets.walker(recipe, partner), replaces=False)
        if not job.finished:
            progress.watch(job.id)
            return
        walk = job.result  # others may have pushed it out of what is kept for all
        if walk is None:
            progress.outcome(job)
            return
    components.walk(
        [recipe.address_of(frame) for frame in walk.frames],
        walk.opinions,
        key="walk",
        start="the base",
        end=f"person {partner}",
        playable=False,
    )
    st.html(
        words.fine(
            f"{len(walk.frames)} pictures in equal steps through the generator; each was judged by every recogniser. "
            "Drag the handle, or focus it and use the arrow keys.",
            centre=True,
        )
    )
