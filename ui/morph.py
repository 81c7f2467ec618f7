"""The parts of the page 'Morph'."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.models import registry
from core.models.emotions import EMOTIONS
from core.sampling.emotion.configuration import EmotionConfiguration
from core.sampling.emotion.events import BoundaryMade, Opinion
from ui import emotion_choice, emotion_runs, navigation, progress, state, words
from ui.components.morph import MorphVoice, morph
from ui.images import asset_url, face_url
from ui.jobs import job_for
from ui.state import MorphState

if TYPE_CHECKING:
    from core.sampling.emotion.morph import Morph
    from core.sampling.gallery import GalleryBase

JOB = "morph_job"

Frame = tuple[NDArray[np.uint8], Mapping[str, Opinion]]
"""A picture and what every classifier says of it."""


def choose(view: MorphState) -> tuple[GalleryBase, EmotionConfiguration | None]:
    """The base beside the choices and the button; the configuration is None until a row is asked for."""
    with st.container(key="models"), st.popover("Change the settings", type="tertiary", icon=":material/tune:"):
        emotion_choice.choose_generator(view.generator)
        emotion_choice.choose_networks(view.generator, view.steerer, view.asked)
        st.segmented_control("How many pictures?", state.FRAMES, required=True, **emotion_choice.bound("frames", view.frames))
    base = emotion_choice.base_of(view.generator, view.base)
    with st.container(key="owner"):
        portrait, ways = st.columns([4, 9], gap="large")
        with ways:
            emotion_choice.choose_base(view.generator, base)
            emotion_choice.choose_feelings(view.pair, "From which feeling to which?")
            with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="make"):
                emotion_choice.choose_closeness(view.freedom)
                st.button("Make the row", type="primary", key="make-row", on_click=_start, args=(base.base_id,))
        with portrait:
            st.html(words.portrait(asset_url(base.image), f"The base, a generated face: {base.title}", f"The base: {base.title}"))
    return base, view.configuration(base.base_id) if view.wanted else None


def _start(base_id: str) -> None:
    st.session_state.pop(JOB, None)  # one that was stopped starts anew
    st.query_params["base"] = base_id
    st.query_params["row"] = "1"


def show(configuration: EmotionConfiguration, frames: int) -> None:
    """The row under its slider; while it is being made, the pictures that there are."""
    made: Morph | None = emotion_runs.kept_morphs().get((configuration, frames))
    if made is not None:
        _show_finished(configuration, made)
        return
    job = job_for(JOB, (configuration, frames), "morph", emotion_runs.morpher(configuration, frames))
    if job.status == "done":
        _show_finished(configuration, job.result)
        return
    if job.finished:
        progress.outcome(job)
        return
    _watch(configuration, frames, job.id)


@st.fragment(run_every=progress.POLL_SECONDS)
def _watch(configuration: EmotionConfiguration, frames: int, job_id: str) -> None:
    job = progress.tick(job_id)
    row: list[Frame | None] = [None] * frames
    for event in list(job.events):
        if isinstance(event, BoundaryMade) and event.index < frames:
            row[event.index] = (event.image, event.opinions)
    if any(frame is not None for frame in row):
        _show_row(configuration, row, "morph-live")


def flip(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Shares along a row -> where the second overtakes the first, in [0, 1] of the way, between two frames by a straight line.

    None where it never does: the second leads from the start, or never.
    """
    lead = np.subtract(second, first)
    for index in range(1, len(lead)):
        if lead[index - 1] <= 0 < lead[index]:
            part = -lead[index - 1] / (lead[index] - lead[index - 1])
            return float(index - 1 + part) / (len(lead) - 1)
    return None


def voices(configuration: EmotionConfiguration, row: Sequence[Frame | None]) -> list[MorphVoice]:
    """Every classifier along a row, the one that steers first. Where it flips is known once the row is complete."""
    first, second = configuration.pair
    result = []
    for name in configuration.classifiers:
        shares = [None if frame is None else frame[1][name].calibrated for frame in row]
        known = [each for each in shares if each is not None]
        turn = flip([each[first] for each in known], [each[second] for each in known]) if len(known) == len(row) else None
        rounded = [None if each is None else [round(float(share), 4) for share in each] for each in shares]
        result.append(MorphVoice(registry.entry(name).title, configuration.part(name), rounded, turn))
    return result


def _show_row(configuration: EmotionConfiguration, row: Sequence[Frame | None], key: str) -> None:
    morph(
        [None if frame is None else face_url(frame[0]) for frame in row],
        voices(configuration, row),
        emotions=EMOTIONS,
        pair=configuration.pair,
        key=key,
        follow=key == "morph-live",
    )


def _show_finished(configuration: EmotionConfiguration, made: Morph) -> None:
    _show_row(configuration, list(zip(made.pictures, made.opinions, strict=True)), "morph")
    st.html(
        words.fine(
            f"Three faces were looked for near the base: clearly {configuration.emotion1}, on the line, and clearly "
            f"{configuration.emotion2}. The {len(made.pictures)} pictures lie on the straight way between them; each was judged "
            "for itself. The bars below show which feeling each network finds strongest, grey where it is a third; the stroke is "
            "where it goes from the one to the other. Shares are calibrated."
        )
    )
    st.page_link(
        navigation.page(navigation.EMOTION),
        label="Many faces on the line between the two",
        query_params={"base": configuration.base or "", "pair": f"{configuration.emotion1}-{configuration.emotion2}"},
    )
