"""The page 'What matters': each part of the face moved alone, ranked by what the machine minds, beside what people mind.

The ranking is predicted by a surrogate; faces are true pictures. Nothing is computed before it is asked for, and each step says
beforehand what it costs. People's answers are those of the newest study of such pairs; until there is one, simulated observers of
the drawn pairs stand in, marked.
"""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from core.analysis.causes import (
    EffectTable,
    LatentEffect,
    PeopleEffects,
    load_limits,
    measure_effects,
    measure_interaction,
    measure_pair_distances,
    measure_people,
)
from core.analysis.estimate import Estimate
from core.errors import LiminalError
from core.figures.theme import format_percent
from core.lazy_import import lazy_import
from core.models import registry
from core.models.emotions import EMOTIONS
from core.progress import Progress
from core.sampling.change_design import (
    CHANGES_KEY,
    ChangeDesign,
    LatentWords,
    choose_latents,
    describe_cost,
    describe_latent,
    list_pair_treatments,
    list_unpredicted,
)
from core.studies.library import hash_sample_set
from core.studies.study import Study
from ui import markup, progress, selection
from ui.cache import SharedResultCache
from ui.components import CauseRow, CauseValue, show_causes
from ui.jobs import find_or_start_job
from ui.markup import caption_html
from ui.pictures import face_url
from ui.studies import access, owner_gate
from ui.studies.new_study import ask_people

if TYPE_CHECKING:
    from core.analysis import study_data
    from core.sampling import single_changes
    from core.sampling.sample_set import SampleSet
    from core.sampling.single_changes import LatentStrip
    from core.studies import planning, simulation
else:
    single_changes = lazy_import("core.sampling.single_changes")  # PyTorch
    planning, simulation = lazy_import("core.studies.planning"), lazy_import("core.studies.simulation")
    study_data = lazy_import("core.analysis.study_data")

GENERATOR = "head"
SHOWN, STUDIED = 12, 12
"""Rows that have faces, and people in the pairs of a study."""
SLOW_PEOPLE = 10
OBSERVERS = 24
RANKING_JOB, STRIPS_JOB, PAIRS_JOB, TOGETHER_JOB = "causes_job", "cause_strips_job", "cause_pairs_job", "cause_pair_job"
GROUPS = {
    "all": "Everything",
    "person": "Who it is",
    "looks": "What one can change",
    "expression": "Expression",
    "scene": "Scene and light",
}
GROUP_WORDS = {"person": "who it is", "looks": "can be changed", "expression": "expression", "scene": "scene and light"}


@st.cache_resource(show_spinner=False)
def cached_causes() -> SharedResultCache:
    """Experiments, strips, sets of pairs and interactions by what was asked for."""
    return SharedResultCache(96)


@dataclass(frozen=True)
class View:
    """What the address asks for. network: a recogniser or classifier; refused: ranked by how often the owner is refused."""

    network: str
    is_recogniser: bool
    refused: bool
    group: str
    design: ChangeDesign

    @property
    def measure(self) -> str:
        """The field of ``LatentEffect`` that is ranked."""
        return "probability" if not self.is_recogniser else "refused" if self.refused else "distance"


def read_view() -> View:
    """The choices at the top of the page."""
    recognisers, classifiers = registry.list_usable("recogniser"), ["mini-xception", "tanh-cnn", "small-cnn"]
    titles = {name: registry.title(name) for name in (*recognisers, *classifiers)}
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="cause-choices"):
        network = selection.bound_choice("Who minds?", [*recognisers, *classifiers], "network", titles=titles, look="list")
        is_recogniser = network in recognisers
        refused = False
        if is_recogniser:
            measures = {"distance": "How far apart it finds them", "refused": "How often it refuses the owner"}
            refused = selection.bound_choice("Ranked by", list(measures), "by", titles=measures) == "refused"
        group = selection.bound_choice("Which parts?", list(GROUPS), "parts", titles=GROUPS, look="list")
    built_in = registry.list_built_in("recogniser")
    asked = tuple(built_in) if not is_recogniser or network in built_in else (network,)
    design = ChangeDesign(choose_latents(GENERATOR), generator=GENERATOR, recognisers=asked)
    if list_unpredicted(design):
        design = replace(design, people=SLOW_PEOPLE)
    return View(network, is_recogniser, refused, group, design)


def show_causes_page() -> None:
    """Choices, cost and button, then the ranking with its faces, what people say, and two parts together."""
    view = read_view()
    slow = list_unpredicted(view.design)
    table: EffectTable | None = cached_causes().get(view.design)
    if table is None and "run" not in st.query_params:
        _offer_ranking(view, slow)
        return
    if table is None:
        job = find_or_start_job(RANKING_JOB, view.design, "what matters", make_ranking_job(view.design, predicted=not slow))
        if not job.finished:
            progress.watch_job(job.id)
            return
        if job.status != "done":
            progress.show_outcome(job)
            _offer_ranking(view, slow)
            return
        table = job.result
    ranked = [
        effect
        for effect in table.rank(view.network, view.measure)
        if view.group in ("all", describe_latent(GENERATOR, effect.name).group)
    ]
    _show_ranking(view, table, ranked[:SHOWN])


def _offer_ranking(view: View, slow: list[str]) -> None:
    if slow:
        st.warning(
            f"Nothing predicts what {registry.title(slow[0])} says of these faces, so that true pictures have to be made, which is "
            "slow. You can stop at any time: the people who are done are kept."
        )
    cost = describe_cost(view.design, predicted=not slow)
    st.html(
        '<div class="nothing"><b>Sixty parts, one after the other</b><p>'
        f"{view.design.people} people are drawn at random, each in a light and with an expression of their own. Every part of the "
        "face, of what is worn and of the scene is set to its low and to its high end, while all else stays to the last number. "
        f"It takes {html.escape(cost)}.</p></div>"
    )
    st.button("Find out what matters", type="primary", key="find-causes", on_click=_start_ranking)


def _start_ranking() -> None:
    st.session_state.pop(RANKING_JOB, None)  # one that was stopped starts anew
    st.query_params["run"] = "1"


def make_ranking_job(design: ChangeDesign, *, predicted: bool) -> Callable[[Progress], EffectTable]:
    """The work of a job: the whole experiment. One that was stopped shows its people, and is not kept for others."""

    def work(progress: Progress) -> EffectTable:
        progress.stage("Loading the networks", 0.0)
        changes = single_changes.judge_changes(design, predicted=predicted, progress=progress)
        table = measure_effects(changes, load_limits(design.generator, design.recognisers))
        if changes.people == design.people:
            cached_causes().put(design, table)
        return table

    return work


def _show_ranking(view: View, table: EffectTable, ranked: list[LatentEffect]) -> None:
    if not ranked:
        st.info("No part of this kind was moved; choose other parts.")
        return
    shown = replace(view.design, latents=tuple(effect.name for effect in ranked))
    strips_key = ("strips", shown)
    pairs: SampleSet | None = cached_causes().get(("pairs", _pairs_design(shown)))
    strips: tuple[LatentStrip, ...] | None = cached_causes().get(strips_key)
    if strips is None:
        job = find_or_start_job(STRIPS_JOB, strips_key, "faces of what matters", make_strips_job(shown), automatic=True)
        if not job.finished:
            _watch_strips(view, table, ranked, pairs, job.id)
        else:
            strips = job.result if job.status == "done" else ()
            if job.status != "done":
                progress.show_outcome(job)
    if strips is not None:
        _show_rows(view, table, ranked, strips, pairs)
        _open_detail(view, table, ranked, strips)
    st.html(caption_html(_describe_experiment(view, table)))
    _show_people(shown, pairs)
    _show_together(view, ranked)


def make_strips_job(shown: ChangeDesign) -> Callable[[Progress], tuple[LatentStrip, ...]]:
    """The work of a job: true pictures of one person along each row."""

    def make(progress: Progress) -> tuple[LatentStrip, ...]:
        progress.stage("Loading the networks", 0.0)
        return tuple(single_changes.make_strips(shown, shown.latents, progress=progress))

    return lambda progress: cached_causes().get_or_compute(("strips", shown), lambda: make(progress), progress)


@st.fragment(run_every=progress.POLL_SECONDS)
def _watch_strips(view: View, table: EffectTable, ranked: list[LatentEffect], pairs: SampleSet | None, job_id: str) -> None:
    job = progress.poll_job(job_id)
    made = tuple(event for event in list(job.events) if not isinstance(event, str) and hasattr(event, "frames"))
    _show_rows(view, table, ranked, made, pairs)


def _show_rows(
    view: View, table: EffectTable, ranked: list[LatentEffect], strips: tuple[LatentStrip, ...], pairs: SampleSet | None
) -> None:
    by_name = {strip.name: strip for strip in strips}
    machine = {effect.name: getattr(effect, view.measure)[view.network] for effect in ranked}
    true: set[str] = set()
    if pairs is not None and view.measure == "distance":
        measured = measure_pair_distances(pairs.pairs, view.network, table.limits[view.network])
        machine |= {name: value for name, value in measured.items() if name in machine}
        true = set(measured)
    order = sorted(ranked, key=lambda effect: -abs(np.nan_to_num(machine[effect.name].value))) if true else ranked
    people, source = find_people(view.design, pairs)
    unlike = {} if people is None else {name: effect.unlike for name, effect in people.effects.items()}
    most = _find_end([*machine.values()], 0.1 if view.measure != "distance" else 0.3)
    most_people = _find_end([unlike[effect.name] for effect in order if effect.name in unlike], 0.3)
    rows = []
    for effect in order:
        words = describe_latent(GENERATOR, effect.name)
        strip, value = by_name.get(effect.name), machine[effect.name]
        answer = unlike.get(effect.name)
        text = _format_effect(view, value)
        said = "" if answer is None else f"{format_percent(answer.value)} unlike"
        rows.append(
            CauseRow(
                effect.name,
                words.title,
                GROUP_WORDS[words.group],
                words.group,
                f"{words.title}: {registry.title(view.network)} {text}"
                + (f"; {markup.name_raters(source)} {said}" if said else ""),
                words.low,
                words.high,
                _place(value, most, text, hollow=table.predicted and effect.name not in true),
                None if answer is None or not answer.n else _place(answer, most_people, said, hollow=source == "simulated"),
                None if strip is None else face_url(strip.frames[0].picture),
                None if strip is None else face_url(strip.frames[-1].picture),
            )
        )
    axis = {
        "distance": f"0 to {most:.1f} of its limit",
        "refused": f"0 to {100 * most:.0f} points more often refused",
        "probability": f"0 to {100 * most:.0f} % of its answer moves",
    }[view.measure]
    who = markup.name_raters(source).capitalize() if people is not None else "People"
    show_causes(
        rows,
        machine=(registry.title(view.network), f"{axis}{'; hollow: predicted' if table.predicted else ''}"),
        people=(who, f"0 to {100 * most_people:.0f} % unlike" if people is not None else "nobody has been asked yet"),
        key="causes",
        on_pick=selection.select_item,
        selected=selection.selected_item(),
    )
    if people is not None:
        markup.show_simulated_badge(source)
        basis = f"{people.basis.raters:,} {markup.name_raters(source)}, {people.basis.answers:,} answers; {people.interval}."
        st.html(caption_html(f"{who}: {basis} {people.note}".strip()))


def _find_end(values: list[Estimate], least: float) -> float:
    """The end of an axis: the largest value with its interval, rounded up to tenths."""
    known = [end for value in values for end in (value.value, value.high) if np.isfinite(end)]
    return max(least, float(np.ceil(10 * max(known, default=0.0)) / 10))


def _place(value: Estimate, most: float, text: str, *, hollow: bool) -> CauseValue:
    def at(number: float) -> float | None:
        return float(np.clip(number / most, 0, 1)) if np.isfinite(number) else None

    low, high = at(value.low), at(value.high)
    return CauseValue(at(value.value) or 0.0, low if high is not None else None, high if low is not None else None, text, hollow)


def _format_effect(view: View, value: Estimate) -> str:
    if not np.isfinite(value.value):
        return "no face found"
    if view.measure == "distance":
        return f"{value.value:.2f} of its limit"
    if view.measure == "refused":
        return f"{100 * value.value:+.0f} points"
    return f"{100 * value.value:.0f} % moves"


def _describe_experiment(view: View, table: EffectTable) -> str:
    words = (
        f"{table.people} people, both ends of each part (5 in 100 people lie beyond an end); {table.interval}; seed "
        f"{view.design.seed}."
    )
    if table.predicted:
        words += (
            " The ranking is predicted by a surrogate, which makes distances too small by a third or so; faces are true pictures."
        )
    if view.is_recogniser:
        words += f" Limit of {registry.title(view.network)}: {table.limits[view.network]:.3f}, which lets 1 stranger in 1,000 in."
        words += " Who it is should matter to it; light, pose and expression should not."
    return f"{words} {table.note}".strip()


def _open_detail(view: View, table: EffectTable, ranked: list[LatentEffect], strips: tuple[LatentStrip, ...]) -> None:
    """The strip of the row that was pressed, in a dialog."""
    name = selection.selected_item()
    strip = next((strip for strip in strips if strip.name == name), None)
    effect = next((effect for effect in ranked if effect.name == name), None)
    if strip is not None and effect is not None:
        _show_detail(view, table, effect, strip)


@st.dialog("One part, from end to end", width="large", on_dismiss=selection.clear_item)
def _show_detail(view: View, table: EffectTable, effect: LatentEffect, strip: LatentStrip) -> None:
    """Five true pictures with their verdicts."""
    words = describe_latent(GENERATOR, effect.name)
    st.subheader(f"{words.title.capitalize()}: {words.low} to {words.high}", anchor=False)
    alts = [f"{words.title} at {frame.value:.2f} {words.unit}" for frame in strip.frames]
    if view.is_recogniser:
        faces = [
            (face_url(frame.picture), alt, frame.distances[view.network]) for frame, alt in zip(strip.frames, alts, strict=True)
        ]
        st.html(markup.strip_html(faces, table.limits[view.network]))
        st.html(
            caption_html(
                f"One person of these, each face against the same person unmoved, at {registry.title(view.network)}'s limit. Over "
                f"all people: {_describe_ends(effect, view.network)}."
            )
        )
        return
    figures = "".join(
        f'<figure><img src="{html.escape(face_url(frame.picture))}" alt="{html.escape(alt)}">'
        f"<figcaption>{html.escape(_name_feeling(frame.probabilities[view.network]))}</figcaption></figure>"
        for frame, alt in zip(strip.frames, alts, strict=True)
    )
    st.html(f'<div class="strip">{figures}</div>')
    emotion, gained = effect.leans[view.network]
    st.html(
        caption_html(
            f"What {registry.title(view.network)} sees most of in one person. Over all people, the high end has "
            f"{100 * gained.value:+.0f} points of {emotion} against the low end ({100 * gained.low:+.0f} to "
            f"{100 * gained.high:+.0f})."
        )
    )


def _describe_ends(effect: LatentEffect, network: str) -> str:
    low, high = effect.ends[network]
    refused = effect.refused[network]
    between = f" ({100 * refused.low:+.0f} to {100 * refused.high:+.0f})" if np.isfinite(refused.low) else ""
    return (
        f"{low.value:.2f} of the limit at the low end, {high.value:.2f} at the high end; the owner is refused "
        f"{abs(100 * refused.value):.0f} points {'less' if refused.value < 0 else 'more'} often{between}"
    )


def _name_feeling(shares: Any) -> str:
    return f"{EMOTIONS[int(np.argmax(shares))]}, {format_percent(float(np.max(shares)))}"


def _pairs_design(shown: ChangeDesign) -> ChangeDesign:
    return replace(shown, latents=tuple(sorted(shown.latents)), people=STUDIED, recognisers=shown.recognisers)


def _show_people(shown: ChangeDesign, pairs: SampleSet | None) -> None:
    """The pairs for a study: drawn on request, then asked about in one press."""
    design = _pairs_design(shown)
    st.header("And people?", anchor=False)
    if pairs is not None:
        st.html(
            caption_html(f"{len(pairs.pairs):,} pairs are drawn: {STUDIED} people, each beside themselves with one part moved.")
        )
        ask_people(pairs, f"What matters: {len(design.latents)} parts of a face", key="ask-causes")
        return
    st.html(
        caption_html(
            f"The {len(design.latents)} parts above are drawn for {STUDIED} people, judged for real, and people can be asked how "
            f"alike each pair is and whether it is one person. It takes {describe_cost(design, predicted=False)}."
        )
    )
    job = (
        find_or_start_job(PAIRS_JOB, design, "pairs of what matters", make_pairs_job(design))
        if _asked_for(PAIRS_JOB, design)
        else None
    )
    if job is None or job.finished:
        if job is not None and job.status == "done":
            st.rerun()
        if job is not None:
            progress.show_outcome(job)
        st.button("Draw these pairs", key="draw-causes", on_click=_ask_for, args=(PAIRS_JOB, design))
        return
    progress.watch_job(job.id)


def _ask_for(slot: str, key: object) -> None:
    st.session_state.pop(slot, None)
    st.session_state[f"{slot}-wanted"] = key


def _asked_for(slot: str, key: object) -> bool:
    return bool(st.session_state.get(f"{slot}-wanted") == key)


def make_pairs_job(design: ChangeDesign) -> Callable[[Progress], SampleSet]:
    """The work of a job: the sample set of pairs."""

    def make(progress: Progress) -> SampleSet:
        progress.stage("Loading the networks", 0.0)
        return single_changes.make_change_set(design, progress=progress)

    return lambda progress: cached_causes().get_or_compute(("pairs", design), lambda: make(progress), progress)


def find_people(design: ChangeDesign, pairs: SampleSet | None) -> tuple[PeopleEffects | None, str]:
    """What people answered in the newest study of such pairs, else simulated observers of the drawn pairs; and the source."""
    if owner_gate.is_allowed():
        for study in access.get_store().studies():
            if study.plan.asks == "identity" and _asks_about_changes(study, design.generator):
                people = _measure_study(access.answers_version(study))
                if people.basis.answers:
                    return people, people.basis.source
    if pairs is None:
        return None, ""
    return _simulate_people(hash_sample_set(pairs), pairs), "simulated"


def _asks_about_changes(study: Study, generator: str) -> bool:
    library = access.get_library()
    for set_id in study.sample_sets:
        try:
            manifest = json.loads((library.folder_of(set_id) / "manifest.json").read_bytes())
        except (LiminalError, OSError, ValueError):
            continue
        if CHANGES_KEY in manifest and manifest.get("configuration", {}).get("generator") == generator:
            return True
    return False


@st.cache_resource(show_spinner=False, max_entries=4)
def _measure_study(version: access.AnswersVersion) -> PeopleEffects:
    data = study_data.load_study_data(access.get_store(), access.get_library(), version[0])
    return measure_people(data.pairs, data.ratings, excluded=data.excluded)


@st.cache_resource(show_spinner="Asking simulated observers", max_entries=4)
def _simulate_people(set_id: str, _pairs: SampleSet) -> PeopleEffects:
    stimuli = tuple(planning.list_stimuli(_pairs, set_id))
    prepared = planning.PreparedStudy(planning.make_identity_plan(stimuli), stimuli, (set_id,))
    simulated = simulation.simulate_study("What matters", prepared, {set_id: _pairs}, raters=OBSERVERS, seed=0)
    return measure_people(_pairs.pairs, simulated.ratings)


def _show_together(view: View, ranked: list[LatentEffect]) -> None:
    """Two parts at once: whether the one does more where the other is there too."""
    st.header("Two together", anchor=False)
    names = [effect.name for effect in ranked]
    every = [*names, *(name for name in view.design.latents if name not in names)]
    titles = {name: describe_latent(GENERATOR, name).title for name in every}
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="cause-pair"):
        first = selection.bound_choice("One part", every, "one", titles=titles, look="list")
        others = [name for name in every if name != first]
        second = selection.bound_choice("and another", others, "two", titles=titles, look="list")
        st.button("Move both", key="move-both", on_click=_ask_for, args=(TOGETHER_JOB, (first, second)))
    design = replace(view.design, latents=(first, second))
    slow = bool(list_unpredicted(design))
    st.html(caption_html(f"Both ends of both on the same people: {describe_cost(design, predicted=not slow, treatments=4)}."))
    if not _asked_for(TOGETHER_JOB, (first, second)):
        return
    treatments = list_pair_treatments(design, first, second)
    key = ("together", design)

    def work(progress: Progress) -> Any:
        changes = single_changes.judge_changes(design, predicted=not slow, treatments=treatments, progress=progress)
        return measure_interaction(changes, load_limits(design.generator, design.recognisers))

    table = cached_causes().get(key)
    if table is None:
        job = find_or_start_job(
            TOGETHER_JOB,
            key,
            "two parts together",
            lambda progress: cached_causes().get_or_compute(key, lambda: work(progress), progress),
        )
        if not job.finished:
            progress.watch_job(job.id)
            return
        if job.status != "done":
            progress.show_outcome(job)
            return
        table = job.result
    wanted = ("distance", "refused") if view.is_recogniser else ()
    rows = [row for row in table.rows if row.network == view.network and (not wanted or row.measure in wanted)]
    st.html("".join(_interaction_html(row, describe_latent(GENERATOR, first), describe_latent(GENERATOR, second)) for row in rows))
    st.html(
        caption_html(
            f"{table.people} people, {'predicted' if table.predicted else 'true pictures'}; {table.interval}. {table.note}"
        )
    )


def _interaction_html(row: Any, first: LatentWords, second: LatentWords) -> str:
    """One measure as a small table: low and high of the one across, of the other down; then the interaction in words."""
    unit = {"distance": "distance, in shares of the limit", "refused": "of the owner's pictures refused"}.get(
        row.measure, f"of the answer is {row.measure}"
    )
    cells: Mapping[str, str] = {
        name: f"{value.value:.2f}" if row.measure == "distance" else format_percent(max(value.value, 0.0))
        for name, value in zip(("ll", "lh", "hl", "hh"), row.cells, strict=True)
    }
    contrast = row.contrast
    clear = np.isfinite(contrast.low) and (contrast.low > 0 or contrast.high < 0)
    words = (
        f"{contrast.value:+.2f} ({contrast.low:+.2f} to {contrast.high:+.2f})"
        if np.isfinite(contrast.low)
        else f"{contrast.value:+.2f}"
    )
    says = (
        f"Together they do {'more' if contrast.value > 0 else 'less'} than both one by one, added up: {words}."
        if clear
        else f"No clear interaction: {words}."
    )
    down, across = (
        [html.escape(f"{words.title}: {end or level}") for end, level in ((words.low, "low"), (words.high, "high"))]
        for words in (first, second)
    )
    return (
        f'<table class="together"><caption>{html.escape(unit)}</caption><thead><tr><td></td><th scope="col">{across[0]}</th>'
        f'<th scope="col">{across[1]}</th></tr></thead><tbody><tr><th scope="row">{down[0]}</th><td>{cells["ll"]}</td>'
        f'<td>{cells["lh"]}</td></tr><tr><th scope="row">{down[1]}</th><td>{cells["hl"]}</td><td>{cells["hh"]}</td></tr></tbody>'
        f"</table><p class='fine'>{says}</p>"
    )
