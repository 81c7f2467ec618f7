"""A visitor's answers into the study, where they say so; until then they are in their session alone."""

from __future__ import annotations

import html
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import streamlit as st

from core.errors import LiminalError
from core.models.emotions import EMOTIONS
from ui.studies import access
from ui.words import fine

if TYPE_CHECKING:
    from core.studies.study import Rater, Study
    from ui.alignment.visitor import Visitor
    from ui.analysis.material import Chosen

KEPT = "you-kept"


def show(chosen: Chosen, you: Visitor) -> None:
    """What happens to the answers, and a way to hand them in where the study takes any."""
    study = chosen.study
    if study.source != "human" or study.published or study.closed:
        st.html(fine("Your answers stay in this visit and are gone when you close the page; this study takes none."))
        return
    kept: tuple[object, int] | None = st.session_state.get(KEPT)
    if kept is not None and kept[0] is you:
        st.success(f"Your first {kept[1]:,} answers are kept in the study. Those that you give from now on stay in this visit.")
        return
    st.html(fine("Your answers stay in this visit and are gone when you close the page, unless you hand them in."))
    with st.popover("Keep them in the study", icon=":material/inventory_2:"):
        st.html("".join(f"<p>{html.escape(part)}</p>" for part in study.plan.consent.splitlines() if part.strip()))
        st.html(fine("They are marked as given at one’s own pace. The crowd’s model learns from them only when it learns anew."))
        if st.button(f"I agree: keep my {you.n:,} answers", type="primary", key="you-keep"):
            try:
                hand_in(study, you)
            except LiminalError as error:
                st.error(str(error))
            else:
                st.session_state[KEPT] = (you, you.n)
                st.rerun()


def hand_in(study: Study, you: Visitor) -> Rater:
    """Somebody new in the study with these answers -> who. Raises LiminalError where the store takes none."""
    from core.studies.ratings import Rating

    asked = [each.stimulus for each in you.answers]
    store = access.store()
    rater = store.enrol(study.name, lambda *_: asked)
    store.save(
        [
            Rating(
                study.name,
                rater.rater,
                each.stimulus,
                "emotion",
                EMOTIONS[each.said],
                rating_id=access.answer_id(rater.code, each.stimulus, "emotion"),
                trial=place,
                reaction_time_ms=each.milliseconds,
                presented={"trial_type": "self-paced", "chosen_by_information": you.informative},
                created_at=each.at,
            )
            for place, each in enumerate(you.answers)
        ]
    )
    now = datetime.now(UTC)
    return store.update(rater.code, consented_at=now, finished_at=now)
