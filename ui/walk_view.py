"""A continuous walk from the base to another person."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from ui import components, progress, sets, words
from ui.images import picture_url
from ui.jobs import manager
from ui.sets import Recipe

if TYPE_CHECKING:
    pass


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
    walk: sets.JudgedWalk | None = sets.kept_walks().get((recipe, partner))
    if walk is not None:
        components.walk(
            [picture_url(frame) for frame in walk.frames],
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
        return
    kept: tuple[Recipe, int, str] | None = st.session_state.get("walk_job")
    job = manager().get(kept[2]) if kept is not None and kept[:2] == (recipe, partner) else None
    if job is None:
        job = manager().submit("walk", sets.walker(recipe, partner))
        st.session_state["walk_job"] = (recipe, partner, job.id)
    if job.finished:
        progress.outcome(job)
        return
    progress.watch(job.id)
