"""The page 'Morph': one row of faces from the first emotion to the second, and where each classifier's answer flips."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.analysis.estimate import Estimate
from core.analysis.psychometric import locate_even_point
from core.figures import theme
from core.models import registry
from core.models.emotions import EMOTIONS
from core.sampling.emotion.configuration import EmotionConfiguration
from core.sampling.events import BoundarySampleMade, ClassifierScores
from ui import bases, markup, navigation, progress, state
from ui.components import MorphVoice, show_morph_row
from ui.emotion import page, runs
from ui.jobs import find_or_start_job
from ui.pictures import face_url
from ui.state import MorphState

if TYPE_CHECKING:
    from core.sampling.emotion.morph import EmotionMorph
    from core.sampling.stored.gallery import GalleryBase

MORPH_JOB = "morph_job"
MOST_FLIPS_TOLD = 4
"""More are counted rather than told one by one."""
NO_PHOTO = (
    "Your own photo is not offered as the base: the face that is found for a photo resembles it in its looks, but not in the "
    "feeling that it shows."
)

MorphFrame = tuple[NDArray[np.uint8], Mapping[str, ClassifierScores]]
"""A picture and every classifier's scores of it."""


def choose_morph(view: MorphState) -> tuple[GalleryBase, EmotionConfiguration | None]:
    """The base beside the choices and the button; the configuration is None until a row is asked for."""
    configuration = view.configuration
    with st.container(key="models"), st.popover("Change the settings", type="tertiary", icon=":material/tune:"):
        page.choose_generator(configuration.generator)
        page.choose_classifiers(configuration)
        st.segmented_control("How many pictures?", state.FRAME_COUNTS, required=True, **page.bind_widget("frames", view.frames))
    base = bases.find_base(configuration.generator, view.base)
    with st.container(key="owner"):
        portrait, choices = st.columns([4, 9], gap="large")
        with choices:
            page.choose_base(configuration.generator, base)
            page.choose_emotions(view.pair, "From which feeling to which?")
            with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="make"):
                page.choose_closeness(configuration.freedom)
                st.button("Make the row", type="primary", key="make-row", on_click=_start_morph, args=(base.base_id,))
            st.html(markup.caption_html(NO_PHOTO))
        with portrait:
            page.show_base(configuration.generator, base)
    return base, replace(configuration, base=base.base_id) if view.wanted else None


def _start_morph(base_id: str) -> None:
    st.session_state.pop(MORPH_JOB, None)  # one that was stopped starts anew
    st.query_params["base"] = base_id
    st.query_params["row"] = "1"


def show_morph(configuration: EmotionConfiguration, frames: int) -> None:
    """The row under its slider; while it is being made, the pictures so far."""
    morph: EmotionMorph | None = runs.cached_morphs().get((configuration, frames))
    if morph is not None:
        _show_finished_morph(configuration, morph)
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


def find_flips(first: Sequence[float], second: Sequence[float]) -> list[float]:
    """Shares along a row -> where the lead changes between the two, in [0, 1] of the way, interpolated linearly between frames.

    The first one is where the second emotion overtakes, or, where it leads from the start, where it falls behind; then in turn.
    """
    difference = np.subtract(second, first)
    flips, second_leads = [], bool(difference[0] > 0)
    for index in range(1, len(difference)):
        before, after = float(difference[index - 1]), float(difference[index])
        if (after < 0) if second_leads else (after > 0):
            part = before / (before - after)
            flips.append((index - 1 + part) / (len(difference) - 1))
            second_leads = not second_leads
    return flips


def describe_flips(flips: Sequence[float], first: str, second: str, *, second_leads: bool) -> str:
    """Where a network's answer changes along a row, in words. second_leads: whether the second emotion leads at the start."""
    names = (second, first) if second_leads else (first, second)
    if not flips:
        return "does not change from the one to the other"
    if len(flips) == 1:
        return f"from {names[0]} to {names[1]} at {100 * flips[0]:.0f} % of the way"
    if len(flips) > MOST_FLIPS_TOLD:
        return f"goes back and forth {len(flips)} times from {100 * flips[0]:.0f} to {100 * flips[-1]:.0f} % of the way"
    turns = theme.join_names([f"to {names[1 - index % 2]} at {100 * flip:.0f} %" for index, flip in enumerate(flips)])
    return f"changes {len(flips)} times: {turns} of the way"


UNKNOWN_WIDTH = 0.9
"""An interval of the even point as wide as this part of the row says nothing."""


def is_even_point_known(even: Estimate) -> bool:
    """Whether the row has a point at which both emotions are equally likely, and says where."""
    return math.isfinite(even.value) and even.high - even.low < UNKNOWN_WIDTH


def describe_even_point(even: Estimate) -> str:
    """'; equally likely at 47 % (44 to 51 %)', or that its place cannot be told; empty where there is no such point."""
    if not math.isfinite(even.value):
        return ""
    if not is_even_point_known(even):
        return "; where it finds both equally likely cannot be told"
    return f"; equally likely at {100 * even.value:.0f} % ({100 * even.low:.0f} to {100 * even.high:.0f} %)"


def classifier_voices(configuration: EmotionConfiguration, row: Sequence[MorphFrame | None]) -> list[MorphVoice]:
    """Every classifier along a row, the one that steers first. Its flips are known once the row is complete."""
    first, second = configuration.pair
    result = []
    for name in configuration.classifiers:
        shares = [None if frame is None else frame[1][name].calibrated for frame in row]
        known = [frame for frame in shares if frame is not None]
        complete = len(known) == len(row)
        flips = find_flips([frame[first] for frame in known], [frame[second] for frame in known]) if complete else []
        words, even = "", locate_even_point(*np.array(known)[:, [first, second]].T) if complete else None
        if even is not None:
            leads = known[0][second] > known[0][first]
            words = describe_flips(flips, configuration.emotion1, configuration.emotion2, second_leads=leads)
            words += describe_even_point(even)
        ends = [even.value, even.low, even.high] if even is not None and is_even_point_known(even) else []
        rounded = [None if frame is None else [round(float(share), 4) for share in frame] for frame in shares]
        result.append(MorphVoice(registry.find_entry(name).title, configuration.describe_role(name), rounded, flips, ends, words))
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


def _show_finished_morph(configuration: EmotionConfiguration, morph: EmotionMorph) -> None:
    _show_morph_frames(configuration, list(zip(morph.pictures, morph.opinions, strict=True)), "morph")
    st.html(
        markup.caption_html(
            f"Three faces were looked for near the base: clearly {configuration.emotion1}, on the line, and clearly "
            f"{configuration.emotion2}. The {len(morph.pictures)} pictures lie on the straight way between them; each was judged "
            "for itself. The bars show which feeling each network finds strongest, grey where it is a third; the stroke is "
            "where it goes from the one to the other, the bracket where a curve through all its answers passes 50 %, with its 95 % "
            "interval. Shares are calibrated."
        )
    )
    st.page_link(
        navigation.build_page(navigation.EMOTION),
        label="Many faces on the line between the two",
        icon=":material/arrow_forward:",
        query_params={"base": configuration.base or "", "pair": f"{configuration.emotion1}-{configuration.emotion2}"},
    )
