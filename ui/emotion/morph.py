"""The page 'Morph': one row of faces from the first emotion to the second, and where each classifier's answer flips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.models import registry
from core.models.emotions import EMOTIONS
from core.sampling.emotion.configuration import EmotionConfiguration
from core.sampling.events import BoundarySampleMade, ClassifierScores
from ui import markup, navigation, progress, state
from ui.components import MorphVoice, show_morph_row
from ui.emotion import page, runs
from ui.jobs import find_or_start_job
from ui.pictures import asset_url, face_url
from ui.state import MorphState

if TYPE_CHECKING:
    from core.sampling.emotion.morph import EmotionMorph
    from core.sampling.stored.gallery import GalleryBase

MORPH_JOB = "morph_job"

MorphFrame = tuple[NDArray[np.uint8], Mapping[str, ClassifierScores]]
"""A picture and what every classifier says of it."""


def choose_morph(view: MorphState) -> tuple[GalleryBase, EmotionConfiguration | None]:
    """The base beside the choices and the button; the configuration is None until a row is asked for."""
    with st.container(key="models"), st.popover("Change the settings", type="tertiary", icon=":material/tune:"):
        page.choose_generator(view.generator)
        page.choose_classifiers(view.generator, view.steerer, view.asked)
        st.segmented_control("How many pictures?", state.FRAME_COUNTS, required=True, **page.bind_widget("frames", view.frames))
    base = page.find_base(view.generator, view.base)
    with st.container(key="owner"):
        portrait, ways = st.columns([4, 9], gap="large")
        with ways:
            page.choose_base(view.generator, base)
            page.choose_emotions(view.pair, "From which feeling to which?")
            with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="make"):
                page.choose_closeness(view.freedom)
                st.button("Make the row", type="primary", key="make-row", on_click=_start_morph, args=(base.base_id,))
        with portrait:
            st.html(
                markup.portrait_html(asset_url(base.image), f"The base, a generated face: {base.title}", f"The base: {base.title}")
            )
    return base, view.configuration(base.base_id) if view.wanted else None


def _start_morph(base_id: str) -> None:
    st.session_state.pop(MORPH_JOB, None)  # one that was stopped starts anew
    st.query_params["base"] = base_id
    st.query_params["row"] = "1"


def show_morph(configuration: EmotionConfiguration, frames: int) -> None:
    """The row under its slider; while it is being made, the pictures that there are."""
    made: EmotionMorph | None = runs.cached_morphs().get((configuration, frames))
    if made is not None:
        _show_finished_morph(configuration, made)
        return
    job = find_or_start_job(MORPH_JOB, (configuration, frames), "morph", runs.make_morph_job(configuration, frames))
    if job.status == "done":
        _show_finished_morph(configuration, job.result)
        return
    if job.finished:
        progress.show_outcome(job)
        return
    _watch_morph(configuration, frames, job.id)


@st.fragment(run_every=progress.POLL_SECONDS)
def _watch_morph(configuration: EmotionConfiguration, frames: int, job_id: str) -> None:
    job = progress.poll_job(job_id)
    row: list[MorphFrame | None] = [None] * frames
    for event in list(job.events):
        if isinstance(event, BoundarySampleMade) and event.index < frames:
            row[event.index] = (event.image, event.opinions)
    if any(frame is not None for frame in row):
        _show_morph_frames(configuration, row, "morph-live")


def find_flip(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Shares along a row -> where the second overtakes the first, in [0, 1] of the way, between two frames by a straight line.

    None where it never does: the second leads from the start, or never.
    """
    lead = np.subtract(second, first)
    for index in range(1, len(lead)):
        if lead[index - 1] <= 0 < lead[index]:
            part = -lead[index - 1] / (lead[index] - lead[index - 1])
            return float(index - 1 + part) / (len(lead) - 1)
    return None


def classifier_voices(configuration: EmotionConfiguration, row: Sequence[MorphFrame | None]) -> list[MorphVoice]:
    """Every classifier along a row, the one that steers first. Where it flips is known once the row is complete."""
    first, second = configuration.pair
    result = []
    for name in configuration.classifiers:
        shares = [None if frame is None else frame[1][name].calibrated for frame in row]
        known = [each for each in shares if each is not None]
        turn = find_flip([each[first] for each in known], [each[second] for each in known]) if len(known) == len(row) else None
        rounded = [None if each is None else [round(float(share), 4) for share in each] for each in shares]
        result.append(MorphVoice(registry.find_entry(name).title, configuration.part(name), rounded, turn))
    return result


def _show_morph_frames(configuration: EmotionConfiguration, row: Sequence[MorphFrame | None], key: str) -> None:
    show_morph_row(
        [None if frame is None else face_url(frame[0]) for frame in row],
        classifier_voices(configuration, row),
        emotions=EMOTIONS,
        pair=configuration.pair,
        key=key,
        follow=key == "morph-live",
    )


def _show_finished_morph(configuration: EmotionConfiguration, made: EmotionMorph) -> None:
    _show_morph_frames(configuration, list(zip(made.pictures, made.opinions, strict=True)), "morph")
    st.html(
        markup.caption_html(
            f"Three faces were looked for near the base: clearly {configuration.emotion1}, on the line, and clearly "
            f"{configuration.emotion2}. The {len(made.pictures)} pictures lie on the straight way between them; each was judged "
            "for itself. The bars below show which feeling each network finds strongest, grey where it is a third; the stroke is "
            "where it goes from the one to the other. Shares are calibrated."
        )
    )
    st.page_link(
        navigation.build_page(navigation.EMOTION),
        label="Many faces on the line between the two",
        query_params={"base": configuration.base or "", "pair": f"{configuration.emotion1}-{configuration.emotion2}"},
    )
