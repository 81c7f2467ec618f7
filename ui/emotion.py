"""The parts of the page 'Emotion boundary'."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

import streamlit as st

from core.sampling.emotion.configuration import EmotionConfiguration, EmotionStrategy, GuidanceLoss
from ui import emotion_choice, emotion_runs, model_choice, navigation, progress, state, words
from ui.emotion_runs import Run
from ui.images import asset_url
from ui.jobs import job_for
from ui.state import EmotionState
from ui.studies.making import ask_people

if TYPE_CHECKING:
    from core.sampling.gallery import GalleryBase

STRATEGIES: dict[EmotionStrategy, str] = {"two-stage": "Two stages, as in the paper", "direct": "Direct search"}
LOSSES: dict[GuidanceLoss, str] = {
    "cross-entropy": "Both, and evenly (cross-entropy)",
    "product": "Both together, as the paper writes it (equation 1)",
}
GAMMAS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 20.0)
JOB = "emotion_job"


def choose(view: EmotionState) -> tuple[GalleryBase, EmotionConfiguration | None]:
    """The base, large, beside all choices and the button; the configuration is None until faces are asked for."""
    with st.container(key="models"), st.popover("Change the settings", type="tertiary", icon=":material/tune:"):
        _settings(view)
    base = emotion_choice.base_of(view.generator, view.base)
    with st.container(key="owner"):
        portrait, ways = st.columns([4, 9], gap="large")
        with ways:
            emotion_choice.choose_base(view.generator, base)
            emotion_choice.choose_feelings(view.pair, "Between which two feelings?")
            with st.container(horizontal=True, gap="medium"):
                st.segmented_control("How many faces?", state.COUNTS, required=True, **emotion_choice.bound("count", view.count))
                emotion_choice.choose_closeness(view.freedom)
            with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="make"):
                reason = model_choice.why_direct(view.generator, view.steerer)
                st.segmented_control(
                    "How are they made?",
                    ["direct"] if reason else list(STRATEGIES),
                    format_func=STRATEGIES.get,
                    required=True,
                    wrap=True,
                    help="Two stages: a diffusion in the space of faces, steered between both feelings, then a picture. "
                    "Direct search: the picture itself is changed, step by step.",
                    **emotion_choice.bound("strategy", view.way),
                )
                seed = st.number_input(
                    "Seed", 0, 2**31 - 1, view.seed or 0, step=1, key="seed_wanted", width=150, help="Another number, other faces."
                )
                st.button("Make faces", type="primary", key="make-faces", on_click=_start, args=(base.base_id, seed))
            if reason:
                st.html(words.fine(html.escape(reason)))
        with portrait:
            st.html(words.portrait(asset_url(base.image), f"The base, a generated face: {base.title}", f"The base: {base.title}"))
    return base, None if view.seed is None else view.configuration(base.base_id, view.seed)


def _start(base_id: str, seed: int) -> None:
    st.session_state.pop(JOB, None)  # one that was stopped starts anew
    st.query_params["base"] = base_id
    st.query_params["seed"] = str(seed)
    st.query_params.pop("sample", None)


def _settings(view: EmotionState) -> None:
    """What few people change."""
    emotion_choice.choose_generator(view.generator)
    emotion_choice.choose_networks(view.generator, view.steerer, view.asked)
    st.select_slider(
        "How strongly is it steered? (gamma of equation 2)",
        sorted({*GAMMAS, view.gamma}),
        format_func="{:g}".format,
        disabled=view.way != "two-stage",
        **emotion_choice.bound("gamma", view.gamma),
    )
    st.radio("What is rewarded?", list(LOSSES), format_func=LOSSES.get, **emotion_choice.bound("loss", view.loss))
    st.toggle("Scale each step to its noise (CoCoG-2)", **emotion_choice.bound("adaptive", view.adaptive))
    st.slider(
        "Times each step is repeated (CoCoG-2)", 1, state.MOST_RESAMPLING, **emotion_choice.bound("resampling", view.resampling)
    )
    st.button("As the paper writes it", key="as-in-paper", on_click=_as_in_paper)


def _as_in_paper() -> None:
    paper = EmotionConfiguration(*state.PAIR).with_guidance("paper")
    emotion_choice.pick(
        strategy=paper.strategy, loss=paper.loss, gamma=paper.gamma, adaptive=paper.adaptive, resampling=paper.resampling
    )


def made_run(configuration: EmotionConfiguration, title: str) -> Run | None:
    """The finished run; while it is being made, what there is so far is shown instead and None comes back."""
    run: Run | None = emotion_runs.kept_runs().get(configuration)
    if run is not None:
        return run
    job = job_for(JOB, configuration, "emotion boundary", emotion_runs.maker(configuration))
    if job.status == "done":
        done: Run = job.result
        return done
    if job.finished:
        progress.outcome(job)
        return None
    _watch(configuration, title, job.id)
    return None


@st.fragment(run_every=progress.POLL_SECONDS)
def _watch(configuration: EmotionConfiguration, title: str, job_id: str) -> None:
    from ui import emotion_tiles

    job = progress.tick(job_id)
    emotion_tiles.show_unfinished(emotion_runs.seen(list(job.events)), configuration, title)


def show_run(configuration: EmotionConfiguration, base: GalleryBase, run: Run, selected: str | None) -> None:
    """The finished faces, what they add up to, and the one that is looked at."""
    from ui import emotion_dialog, emotion_figures, emotion_tiles

    emotion_tiles.show_finished(run, configuration, base.title, emotion_dialog.pick)
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        download(configuration, run)
        ask_people(run.made, f"{configuration.emotion1.capitalize()} or {configuration.emotion2}: {base.title}")
        st.page_link(
            navigation.page(navigation.MORPH),
            label="Walk from one feeling to the other",
            query_params={"base": base.base_id, "pair": f"{configuration.emotion1}-{configuration.emotion2}"},
        )
    st.space("medium")
    emotion_figures.show(run, configuration)
    emotion_dialog.open_face(run, configuration, selected)


def download(configuration: EmotionConfiguration, run: Run) -> None:
    """The whole set as a zip archive: tables, latents, pictures, and what made them."""
    name = f"liminal-{configuration.emotion1}-{configuration.emotion2}-{configuration.base}-{configuration.seed}"
    st.download_button(
        "Download this set",
        lambda: run.made.to_zip(name),
        f"{name}.zip",
        "application/zip",
        key="download",
        icon=":material/download:",
        on_click="ignore",
    )
