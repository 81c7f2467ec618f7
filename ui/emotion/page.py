"""The page 'Emotion boundary': choices that live in the address (those of 'Morph' too), the run, and the table of all 15 pairs.

The address is the truth: a widget is set from it on every run, and its callback writes there. A new choice drops the faces that
were made for another one.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import streamlit as st

from core.errors import LiminalError
from core.models import registry
from core.models.emotions import EMOTIONS
from core.sampling.emotion.configuration import (
    FREE,
    KEEP,
    EmotionConfiguration,
    EmotionStrategy,
    GuidanceLoss,
    find_embedding_classifier,
    find_steerer,
)
from core.sampling.stored import scores
from ui import bases, cache, components, markup, navigation, progress, state
from ui.emotion import face, results, runs
from ui.emotion.runs import EmotionRun
from ui.jobs import find_or_start_job
from ui.markup import caption_html
from ui.state import EmotionState
from ui.studies.new_study import ask_people

if TYPE_CHECKING:
    from core.sampling.stored.gallery import GalleryBase


CLOSENESS_NAMES = {KEEP: "Keep the person", FREE: "Be free"}


def set_choices(**values: object) -> None:
    """Write choices to the address, and drop from it what was made for earlier ones."""
    for name, value in values.items():
        st.query_params[name] = str(int(value)) if isinstance(value, bool) else str(value)
    for parameter in ("seed", "sample", "row", "grid"):
        st.query_params.pop(parameter, None)


def _store_choice(name: str) -> None:
    value = st.session_state[f"{name}_wanted"]
    if value is not None:
        set_choices(**{name: value})


def bind_widget(name: str, value: object) -> dict[str, Any]:
    """Arguments that tie a widget to ``name`` in the address, where ``value`` was read."""
    st.session_state[f"{name}_wanted"] = value
    return {"key": f"{name}_wanted", "on_change": _store_choice, "args": (name,)}


def choose_base(generator: str, base: GalleryBase) -> None:
    """The gallery's faces in a strip."""
    components.show_gallery(cache.cached_gallery(generator), base.base_id, on_pick=lambda base_id: set_choices(base=base_id))


def show_base(generator: str, base: GalleryBase) -> None:
    """The base, large, and who it is."""
    st.html(
        markup.portrait_html(
            bases.base_url(generator, base), f"The base, a generated face: {base.title}", f"The base: {base.title}"
        )
    )


def choose_emotions(pair: tuple[str, str], label: str) -> None:
    """Six feelings, two of them chosen. Pressing a third one drops the one that was chosen first."""
    st.session_state["feelings"] = list(pair)
    st.pills(
        label,
        EMOTIONS,
        selection_mode="multi",
        wrap=True,
        key="feelings",
        on_change=_store_emotions,
        args=(pair,),
        help="Two are always chosen: a third one takes the place of the one that was chosen first.",
    )


def _store_emotions(pair: tuple[str, str]) -> None:
    new = [emotion for emotion in st.session_state["feelings"] if emotion not in pair]
    if new:
        set_choices(pair=f"{pair[1]}-{new[-1]}")


def choose_closeness(freedom: float) -> None:
    """How much of the base is kept."""
    st.segmented_control(
        "How close to the base?",
        list(CLOSENESS_NAMES),
        format_func=CLOSENESS_NAMES.__getitem__,
        required=True,
        help="Keep the person: where the generator knows its expressions nothing else changes; else the face stays as like the "
        "base as it can. Be free: person, light and all may change too.",
        **bind_widget("freedom", freedom),
    )


def choose_generator(generator: str) -> None:
    """Where the faces come from, by the registry's names."""
    names: Sequence[str] = registry.list_generators("emotion", generator)
    st.radio(
        "Where the faces come from",
        names,
        captions=[state.describe_model(name) for name in names],
        **bind_widget("generator", generator),
    )


def choose_classifiers(configuration: EmotionConfiguration) -> None:
    """Which network steers, and which of those that the user added judge too; nothing where none was added."""
    generator, steerer = configuration.generator, configuration.steerer
    added = scores.list_custom_names("classifier")
    known = state.usable_classifiers(generator)
    reader = find_embedding_classifier(generator)
    if reader is not None:
        st.html(
            caption_html(
                html.escape(f"{reader} steers: it reads the embeddings that {registry.find_entry(generator).title} draws.")
            )
        )
    elif known:
        names = [find_steerer(generator), *(name for name in known if state.find_model_without_gradient(name) is None)]
        st.radio(
            "Which network steers?",
            names,
            captions=[state.describe_model(name) for name in names],
            **bind_widget("steerer", steerer if steerer in names else names[0]),
        )
    others = [name for name in known if name not in (reader, steerer)]
    if others:
        st.session_state["asked_wanted"] = [name for name in configuration.judges if name in others]
        st.pills(
            "Who else is asked about the faces?",
            others,
            selection_mode="multi",
            wrap=True,
            key="asked_wanted",
            format_func=lambda name: registry.find_entry(name).title,
            on_change=_store_asked,
        )
    for name in added:
        if name not in (*known, reader):
            title = registry.find_entry(name).title
            st.html(
                caption_html(
                    html.escape(f"{title} can be asked once it was prepared on the page Models, after this generator was.")
                )
            )


def _store_asked() -> None:
    set_choices(asked=",".join(st.session_state["asked_wanted"]))


STRATEGIES: dict[EmotionStrategy, str] = {"two-stage": "Two stages, as in the paper", "direct": "Direct search"}
LOSSES: dict[GuidanceLoss, str] = {
    "cross-entropy": "Both, and evenly (cross-entropy)",
    "product": "Both together, as the paper writes it (equation 1)",
}
GAMMAS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 20.0)
EMOTION_JOB = "emotion_job"


def choose_configuration(view: EmotionState) -> tuple[GalleryBase, EmotionConfiguration | None]:
    """The base, large, beside all choices and the button; the configuration is None until faces are asked for."""
    with st.container(key="models"), st.popover("Change the settings", type="tertiary", icon=":material/tune:"):
        _show_settings(view)
    configuration = view.configuration
    base = bases.find_base(configuration.generator, view.base)
    with st.container(key="owner"):
        portrait, choices = st.columns([4, 9], gap="large")
        with choices:
            choose_base(configuration.generator, base)
            choose_emotions(view.pair, "Between which two feelings?")
            with st.container(horizontal=True, gap="medium"):
                st.segmented_control(
                    "How many faces?", state.FACE_COUNTS, required=True, **bind_widget("count", configuration.count)
                )
                choose_closeness(configuration.freedom)
            with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="make"):
                reason = state.explain_direct_only(configuration.generator, configuration.steerer)
                st.segmented_control(
                    "How are they made?",
                    ["direct"] if reason else list(STRATEGIES),
                    format_func=STRATEGIES.__getitem__,
                    required=True,
                    wrap=True,
                    help="Two stages: the description of a face is led to where the network cannot decide, then a face with that "
                    "description is drawn. Direct search: the face itself is changed, step by step, until networks cannot decide.",
                    **bind_widget("strategy", configuration.strategy),
                )
                seed = st.number_input(
                    "Seed",
                    0,
                    2**31 - 1,
                    configuration.seed,
                    step=1,
                    key="seed_wanted",
                    width=150,
                    help="Another number, other faces.",
                )
                st.button("Make faces", type="primary", key="make-faces", on_click=_start_run, args=(base.base_id, seed))
            if reason:
                st.html(markup.caption_html(html.escape(reason)))
        with portrait:
            show_base(configuration.generator, base)
    return base, replace(view.configuration, base=base.base_id) if view.wanted else None


def _start_run(base_id: str, seed: int) -> None:
    st.session_state.pop(EMOTION_JOB, None)  # one that was stopped starts anew
    st.query_params["base"] = base_id
    st.query_params["seed"] = str(seed)
    st.query_params.pop("sample", None)


def _show_settings(view: EmotionState) -> None:
    """The choices that few people change."""
    configuration = view.configuration
    choose_generator(configuration.generator)
    choose_classifiers(configuration)
    st.select_slider(
        "How strongly is it steered? (gamma of equation 2)",
        sorted({*GAMMAS, configuration.gamma}),
        format_func="{:g}".format,
        disabled=configuration.strategy != "two-stage",
        **bind_widget("gamma", configuration.gamma),
    )
    st.radio(
        "What is rewarded?",
        list(LOSSES),
        format_func=LOSSES.get,
        help="As the paper writes it, a face that shows only one of the two feelings is as good as one between them. The other "
        "form asks for both, and works better: it is the best that is known here, and the default.",
        **bind_widget("loss", configuration.loss),
    )
    st.toggle("Scale each step to its noise (CoCoG-2)", **bind_widget("adaptive", configuration.adaptive))
    st.slider(
        "Times each step is repeated (CoCoG-2)", 1, state.MAX_RESAMPLING, **bind_widget("resampling", configuration.resampling)
    )
    st.button(
        "As the paper writes it",
        key="as-in-paper",
        on_click=_set_paper_guidance,
        help="Sets all of these as equations (1) and (2) of the paper say, word by word.",
    )


def _set_paper_guidance() -> None:
    paper = EmotionConfiguration(*state.DEFAULT_PAIR).with_guidance("paper")
    set_choices(strategy=paper.strategy, loss=paper.loss, gamma=paper.gamma, adaptive=paper.adaptive, resampling=paper.resampling)


def find_or_make_run(configuration: EmotionConfiguration, title: str) -> EmotionRun | None:
    """The finished run; while it is being made, the faces so far are shown instead and None comes back."""
    run: EmotionRun | None = runs.cached_runs().get(configuration)
    if run is not None:
        return run
    job = find_or_start_job(EMOTION_JOB, configuration, "emotion boundary", runs.make_run_job(configuration))
    if job.status == "done":
        result: EmotionRun = job.result
        return result
    if job.finished:
        progress.show_outcome(job)
        return None
    _watch_run(configuration, title, job.id)
    return None


@st.fragment(run_every=progress.POLL_SECONDS)
def _watch_run(configuration: EmotionConfiguration, title: str, job_id: str) -> None:
    job = progress.poll_job(job_id)
    results.show_unfinished_run(runs.gather_events(list(job.events)), configuration, title)


def show_run(configuration: EmotionConfiguration, base: GalleryBase, run: EmotionRun, selected: str | None) -> None:
    """The finished faces, the run's statistics, and the face that is open."""
    results.show_finished_run(run, configuration, base.title, face.select_face)
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        offer_run_download(configuration, run)
        ask_people(run.sample_set, f"{configuration.emotion1.capitalize()} or {configuration.emotion2}: {base.title}")
        st.page_link(
            navigation.build_page(navigation.MORPH),
            label="Walk from one feeling to the other",
            icon=":material/swap_horiz:",
            query_params={"base": base.base_id, "pair": f"{configuration.emotion1}-{configuration.emotion2}"},
        )
    st.space("medium")
    results.show_run_figures(run, configuration)
    face.open_selected_face(face.FaceSet(configuration, run.base.image, base.latent, [made.sample for made in run.faces]), selected)


def offer_run_download(configuration: EmotionConfiguration, run: EmotionRun) -> None:
    """The whole set as a zip archive: tables, latents, pictures and provenance."""
    base = bases.short_name(configuration.base or "")
    name = f"liminal-{configuration.emotion1}-{configuration.emotion2}-{base}-{configuration.seed}"
    st.download_button(
        "Download this set",
        lambda: run.sample_set.to_zip(name),
        f"{name}.zip",
        "application/zip",
        key="download",
        icon=":material/download:",
        on_click="ignore",
    )


def show_acceptance_table(view: EmotionState) -> None:
    """All pairs by the classifier that steers and the one that never does; one line where nothing is stored."""
    st.header("All fifteen pairs", anchor=False)
    try:
        table = cache.cached_acceptance()
    except LiminalError as error:
        st.html(markup.caption_html(str(error)))
        return
    strategy = view.configuration.strategy
    usual = EmotionConfiguration(*view.pair, strategy=strategy, generator=table["generator"])
    names = (usual.steerer, usual.held_out_classifier)
    titles = [runs.name_classifier(name, usual) for name in names]
    rows = [row for row in table["pairs"] if row["strategy"] == strategy]
    if not rows:
        st.html(markup.caption_html(f"Nothing is stored for “{STRATEGIES[strategy]}”; choose the other way of making faces."))
        return
    sums = {name: {kind: _sum_counts(rows, kind, name) for kind in ("guided", "unguided")} for name in names}
    (steerer_count, steerer_n), (steerer_unguided, _) = sums[names[0]]["guided"], sums[names[0]]["unguided"]
    (held_out_count, held_out_n), (held_out_unguided, _) = sums[names[1]]["guided"], sums[names[1]]["unguided"]
    st.html(
        markup.intro_html(
            f"{_name_other_generator(table['generator'], view)}Some pairs are harder than others. Over all pairs "
            f"{steerer_count:,} of {steerer_n:,} guided faces have both feelings "
            f"raised for {titles[0]}, and {held_out_count:,} of {held_out_n:,} for {titles[1]}; without guidance "
            f"{steerer_unguided:,} and {held_out_unguided:,}."
        )
        + _legend_html()
        + _chart_html(rows, names, titles, view)
        + markup.caption_html(
            f"“{STRATEGIES[strategy]}”, {registry.find_entry(table['generator']).title}, made on {table['date']} with "
            f"'{table['command']}'. A dot is the share with both feelings raised, the line its 95 % Wilson interval; the same "
            "seeds with and without guidance. Press a pair to choose it."
        )
    )


def _name_other_generator(measured: str, view: EmotionState) -> str:
    """A sentence for a table that was counted on other faces than those that the page makes; '' else."""
    here = view.configuration.generator
    if measured == here:
        return ""
    return f"Counted on faces of {registry.find_entry(measured).title}, not on those of {registry.find_entry(here).title}. "


def _sum_counts(rows: list[Mapping[str, Any]], kind: str, classifier: str) -> tuple[int, int]:
    return sum(row[kind][classifier]["count"] for row in rows), sum(row[kind][classifier]["n"] for row in rows)


def _legend_html() -> str:
    kinds = {"guided": "guided", "unguided": "the same seeds, not guided"}
    names = "".join(f'<span data-kind="{kind}">{text}</span>' for kind, text in kinds.items())
    return f'<p class="intervals-legend">{names}</p>'


def _chart_html(rows: list[Mapping[str, Any]], names: Sequence[str], titles: Sequence[str], view: EmotionState) -> str:
    head = "".join(f"<span>{html.escape(title)}</span>" for title in titles)
    parameters = {"strategy": view.strategy, "generator": view.configuration.generator} | ({"base": view.base} if view.base else {})
    body = ""
    for row in sorted(rows, key=lambda row: -row["guided"][names[0]]["count"] / max(1, row["guided"][names[0]]["n"])):
        address = urlencode(parameters | {"pair": f"{row['emotion1']}-{row['emotion2']}"})
        cells = "".join(_cell_html(row, name, title) for name, title in zip(names, titles, strict=True))
        body += f'<a href="?{html.escape(address)}" target="_self">{row["emotion1"]} or {row["emotion2"]}</a>{cells}'
    return f'<div class="intervals"><b></b>{head}{body}</div>'


def _cell_html(row: Mapping[str, Any], classifier: str, title: str) -> str:
    marks, numbers = "", []
    for kind in ("guided", "unguided"):
        share = row[kind][classifier]
        middle = share["count"] / max(1, share["n"])
        marks += (
            f'<i data-kind="{kind}" style="left:{100 * share["low"]:.1f}%;right:{100 - 100 * share["high"]:.1f}%"></i>'
            f'<b data-kind="{kind}" style="left:{100 * middle:.1f}%"></b>'
        )
        numbers.append(f"{share['count']} of {share['n']}")
    title = f"{title}: guided {numbers[0]}, not guided {numbers[1]}"
    return (
        f'<div title="{html.escape(title)}"><div class="interval" role="img" aria-label="{html.escape(title)}">{marks}</div>'
        f"<small>{numbers[0]}<em> / {numbers[1]}</em></small></div>"
    )
