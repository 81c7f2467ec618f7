"""The search for a double on the page."""

from __future__ import annotations

import streamlit as st

from core.models import registry
from ui import caches, components, doubles, progress, words
from ui.findings import Crowd
from ui.images import data_url
from ui.jobs import manager
from ui.owners import Owner
from ui.state import PhoneState


def show(view: PhoneState, owner: Owner, people: Crowd, limit: float) -> None:
    """The search for a stranger who gets past the guard: start, progress, result."""
    st.space("medium")
    with st.container(key="search"):
        st.header("Find a stranger who gets in", anchor=False)
        st.html(
            words.lead(
                "Random strangers rarely get far. A search does: it starts from people who look unlike you and changes them, step "
                "by step, until the recogniser takes them for you. What it finds need not look like you at all."
            )
        )
        signature = (owner.identity, view.generator, view.recogniser, round(limit, 3))
        job = manager().get(st.session_state.get("double_job"))
        if st.session_state.get("double_signature") != signature:
            job = None
        if (job is None or job.finished) and st.button(
            "Search now" if job is None else "Search again", type="primary", key="find-double"
        ):
            starts = [int(people.strangers.seeds[index]) for index in people.starts(doubles.SEARCHES)]
            assert owner.picture is not None
            job = manager().submit(
                "search for a double",
                doubles.finder(
                    owner.picture,
                    {name: owner.descriptor(name) for name in [view.recogniser, *people.others]},
                    starts,
                    generator=view.generator,
                    recogniser=view.recogniser,
                    threshold=limit,
                ),
            )
            st.session_state["double_job"], st.session_state["double_signature"] = job.id, signature
            st.rerun()
        if job is None:
            return
        if not job.finished:
            _watch_search(view, limit)
        elif job.result:
            _show_doubles(view, owner, job.result, limit)
        else:
            progress.outcome(job)


@st.fragment(run_every=progress.POLL_SECONDS)
def _watch_search(view: PhoneState, limit: float) -> None:
    job = manager().get(st.session_state.get("double_job"))
    if job is None or job.finished:
        st.rerun()
    progress.bar(job)
    progress.searches(
        job.events,
        limit=limit,
        iterations=100,
        targets=[components.Mark(limit, "unlocks below this")],
        key="double-search",
        address=data_url,
    )


def _show_doubles(view: PhoneState, owner: Owner, found: list[doubles.Double], limit: float) -> None:
    best, *rest = found

    def rows(double: doubles.Double) -> str:
        return words.opinions(
            [
                words.Opinion(
                    registry.entry(name).title,
                    distance,
                    limit if name == view.recogniser else caches.stored_thresholds(view.generator, name).default,
                )
                for name, distance in double.distances.items()
            ]
        )

    left, right = st.columns([3, 2], gap="large", vertical_alignment="center")
    with left:
        st.html(words.pair((owner.src, "You"), (data_url(best.image), "Found by the search")))
    with right:
        st.subheader(
            "This face would unlock your phone" if best.accepted else "The search came close, but stays locked out", anchor=False
        )
        st.html(rows(best))
        st.html(
            words.fine(
                f"LPIPS, a measure of how different two pictures look, is {best.lpips:.2f}; 0 is the same picture. Of {len(found)} "
                f"searches, {sum(double.accepted for double in found)} got in; the one that looks least like you is shown large."
            )
        )
    if rest:
        for column, double in zip(st.columns(len(rest), gap="medium"), rest, strict=True):
            with column:
                words_of = words.VERDICTS["open" if double.accepted else "closed"]
                st.html(words.pair((data_url(double.start), "Began as"), (data_url(double.image), f"Ended as: {words_of}")))
