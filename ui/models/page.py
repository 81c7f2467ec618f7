"""The page 'Models': every model with its source, permitted use and size; trying, adding, labelling, preparing and removing them.

Descriptions need torch and are read in the background. A custom model is added by a path on this computer or by the name of a hub
repository, with a clear verdict; which output of a custom classifier means which emotion is shown, and corrected where the guess
was wrong.
"""

from __future__ import annotations

import contextlib
import html
import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from core.analysis.error_rates import explain_errors, explain_ranges
from core.errors import LiminalError
from core.figures.error_rates import exhibit_error_rates
from core.models import registry
from core.models.checking import ModelDescription, TryoutResult, describe_all_models, try_out
from core.models.custom import catalogue
from core.models.custom.catalogue import CLASSES
from core.models.custom.manager import AddedModel, add_model
from core.models.emotions import EMOTIONS
from core.models.registry import Entry
from core.progress import Progress
from core.sampling.stored.scores import is_precomputed, needs_precomputing
from ui import progress
from ui.analysis.figure_card import show_figure_card
from ui.cache import cached_error_rates
from ui.jobs import Job, find_or_start_job, get_job_manager
from ui.markup import caption_html
from ui.studies import owner_gate


def start_model_job(slot: str, key: Any, title: str, work: Callable[[Progress], Any]) -> None:
    """Start a job in ``slot`` of the session, whatever it held; where too much waits already, an error is shown instead."""
    st.session_state.pop(slot, None)
    try:
        find_or_start_job(slot, key, title, work)
    except LiminalError as error:
        st.error(str(error))


def show_until_done(slot: str) -> Job | None:
    """The job of ``slot`` once it is done; before that its bar is shown, and where it failed or was stopped, why."""
    stored = st.session_state.get(slot)
    job = get_job_manager().get(stored[1]) if stored else None
    if job is None:
        return None
    if not job.finished:
        progress.watch_job(job.id)
        return None
    progress.show_outcome(job)
    return job if job.status == "done" else None


ADDING_SLOT = "models-adding"


def show_add_form() -> None:
    """The form, then how far the job is, then its outcome."""
    if not owner_gate.is_allowed():
        st.html(
            caption_html(
                "Models can be added on the computer that runs Liminal, or by whoever opened the studies with the password."
            )
        )
        return
    with st.expander("Add a model of your own", expanded=ADDING_SLOT in st.session_state):
        kind = st.selectbox("What it is", list(CLASSES), format_func=lambda name: CLASSES[name].title, key="own-class")
        model_class = CLASSES[kind]
        source = st.text_input("Where it is", key="own-source", placeholder=model_class.source)
        name = st.text_input("How it is to be called", key="own-name", placeholder="such as ffhq-1024")
        title = st.text_input("Its name for people", key="own-title")
        licence = st.text_input("Licence of its weights, if you know it", key="own-licence")
        options = st.text_input("Options", key="own-options", placeholder='{"truncation": 0.7}') if model_class.options else ""
        for option, meaning in model_class.options.items():
            st.html(caption_html(f"{option}: {meaning}"))
        if st.button("Check and add it", type="primary", key="own-add", disabled=not (source.strip() and name.strip())):
            _start_adding(name.strip(), kind, source.strip(), title.strip(), licence.strip(), options)
        _show_added()


def parse_options(text: str) -> dict[str, Any]:
    """The text of the options field -> options. Raises LiminalError where it is no JSON object."""
    if not text.strip():
        return {}
    try:
        options = json.loads(text)
    except ValueError as error:
        raise LiminalError('The options are not readable; write them like {"truncation": 0.7}.') from error
    if not isinstance(options, dict):
        raise LiminalError('The options are not readable; write them like {"truncation": 0.7}.')
    return options


def _start_adding(name: str, kind: str, source: str, title: str, licence: str, text: str) -> None:
    try:
        options = parse_options(text)
    except LiminalError as error:
        st.session_state.pop(ADDING_SLOT, None)
        st.error(str(error))
        return

    def work(progress: Progress) -> AddedModel:
        return add_model(name, kind, source, options=options, title=title, weights_licence=licence, progress=progress)

    start_model_job(ADDING_SLOT, (name, kind, source, text), f"Adding {name}", work)


def _show_added() -> None:
    job = show_until_done(ADDING_SLOT)
    if job is None:
        return
    added: AddedModel = job.result
    st.success(f"{added.custom.title} was added and does what it should, in {added.report.speed}. The other pages offer it now.")
    for option, value in added.custom.options.items():
        st.html(caption_html(f"{option}: {json.dumps(value, ensure_ascii=False)}"))


LABELS_ACROSS = 3


def correct_labels(entry: Entry, outputs: Mapping[int, str]) -> None:
    """The outputs by their own names, one to be chosen for each feeling, and the button that checks and stores the choice."""
    custom = entry.custom
    assert custom is not None
    slot = f"labels-{entry.name}"
    with st.expander("Which output means which feeling?", expanded=slot in st.session_state):
        st.html(
            caption_html("Guessed from the network's own words. Where a guess is wrong, choose another output for that feeling.")
        )
        current = {emotion: int(custom.options["labels"][emotion]) for emotion in EMOTIONS}
        chosen = {}
        for first in range(0, len(EMOTIONS), LABELS_ACROSS):
            for column, emotion in zip(st.columns(LABELS_ACROSS), EMOTIONS[first : first + LABELS_ACROSS], strict=True):
                with column:
                    chosen[emotion] = st.selectbox(
                        emotion.capitalize(),
                        list(outputs),
                        index=list(outputs).index(current[emotion]),
                        format_func=lambda number: f"{number}: {outputs[number]}",
                        key=f"{slot}-{emotion}",
                    )
        st.button(
            "Use these",
            key=f"use-{slot}",
            disabled=chosen == current,
            on_click=_start_label_check,
            args=(entry, chosen),
            help="The network is checked again; what was prepared for the pages has to be prepared again.",
        )
        if show_until_done(slot) is not None:
            st.success("Kept. Prepare it again, so that the pages show what it says now.")


def _start_label_check(entry: Entry, chosen: dict[str, int]) -> None:
    custom = entry.custom
    assert custom is not None

    def work(progress: Progress) -> AddedModel:
        return add_model(
            custom.name,
            custom.model_class,
            custom.source,
            options={**custom.options, "labels": chosen},
            title=custom.title,
            weights_licence=custom.weights_licence,
            data_licence=custom.data_licence,
            replaces=True,
            progress=progress,
        )

    start_model_job(f"labels-{entry.name}", tuple(chosen.items()), f"Changing {entry.name}", work)


KIND_TITLES = {
    "generator": ("Make faces", "From a handful of numbers to a picture."),
    "recogniser": ("Say who it is", "Two pictures nearer than a limit count as one person."),
    "classifier": ("Say which feeling it is", "Each gives six shares; 'neutral' is left out."),
    "encoder": ("Turn a face into numbers", "Faces that look alike get numbers that are alike."),
    "prior": ("Know which of these numbers are faces", "They steer the slow way of making faces between two feelings."),
    "decoder": ("Turn numbers back into a face", ""),
    "surrogate": ("Foretell what others will say", "A quick guess, used while searching; never a result."),
    "distance": ("Say how different two pictures look", ""),
}
DESCRIBING, DESCRIBED, TRYING = "models-describing", "models-described", "models-trying"


def show_models() -> None:
    """All models by what they do. Their cards need torch, so that they are read in the background."""
    entries = registry.list_entries()
    described = _load_descriptions(tuple((repr(entry), registry.find_loaded(entry) is not None) for entry in entries))
    if described:
        device = describe_device(next(iter(described.values())).device)
        st.html(caption_html(f"Networks of PyTorch run on {device} here; rendered heads are drawn on the processor."))
    for kind, (title, meaning) in KIND_TITLES.items():
        of_kind = [entry for entry in entries if entry.kind == kind and entry.offered]
        if not of_kind:
            continue
        st.subheader(title, anchor=False)
        if meaning:
            st.html(caption_html(meaning))
        for entry in of_kind:
            _show_model(entry, described.get(entry.name))
        st.space("small")


def _load_descriptions(key: tuple[tuple[str, bool], ...]) -> dict[str, ModelDescription]:
    def work(_: object) -> dict[str, ModelDescription]:
        return describe_all_models()

    job = find_or_start_job(DESCRIBING, key, "Reading what there is", work)
    if job.status == "done":
        st.session_state[DESCRIBED] = job.result
    elif job.finished:
        progress.show_outcome(job)
    else:
        progress.watch_job(job.id)
    descriptions: dict[str, ModelDescription] = st.session_state.get(DESCRIBED, {})  # the last ones, while they are read anew
    return descriptions


def _show_model(entry: Entry, described: ModelDescription | None) -> None:
    with st.container(border=True, key=f"model-{entry.name}"):
        words, actions = st.columns([7, 2], gap="medium", vertical_alignment="center")
        with words:
            st.html(_model_card_html(entry, described))
            if described is not None and described.outputs and owner_gate.is_allowed():
                correct_labels(entry, described.outputs)
            if entry.kind == "generator":
                _show_error_rates(entry)
            _show_trial(entry)
        with actions, st.container(horizontal=True, gap="small"):
            st.button(
                "Try it",
                key=f"try-{entry.name}",
                icon=":material/speed:",
                help="Load it, check it and time it",
                on_click=_start_trial,
                args=(entry.name,),
            )
            if needs_precomputing(entry) and owner_gate.is_allowed():
                ready = is_precomputed(entry.name)
                st.button(
                    "Prepare again" if ready else "Prepare",
                    type="secondary" if ready else "primary",
                    key=f"prepare-{entry.name}",
                    icon=":material/face:",
                    help="Make and judge the faces that the other pages show at once; minutes",
                    on_click=_start_precompute,
                    args=(entry.name,),
                )
            if entry.custom is not None and owner_gate.is_allowed():
                with st.popover("Remove", icon=":material/delete:"):
                    st.html(caption_html("Its own files stay where they are; what was prepared for the pages is deleted."))
                    st.button("Remove it", key=f"remove-{entry.name}", on_click=_remove_model, args=(entry.name,))


ERRORS = "errors"
"""Parameter of the address: the generator whose error rates are open."""


def _show_error_rates(entry: Entry) -> None:
    """How often recognisers err on people of a generator that knows who is who; by condition where that is opened."""
    rates = cached_error_rates(entry.name)
    if rates is None:
        return
    lines = [explain_errors(errors) for errors in rates.recognisers]
    lines.append(f"Measured on: {explain_ranges(rates)}")
    parts = (line.partition(": ") for line in lines)
    st.html("".join(f'<p class="fine"><b>{html.escape(head)}:</b> {html.escape(text)}</p>' for head, _, text in parts))
    opened = st.toggle("Error rates by condition", st.query_params.get(ERRORS) == entry.name, key=f"errors-{entry.name}")
    if opened:
        st.query_params[ERRORS] = entry.name
        for exhibit in exhibit_error_rates(rates):
            show_figure_card(exhibit, exhibit.key, name=f"{entry.name}-{exhibit.key}")
    elif st.query_params.get(ERRORS) == entry.name:
        del st.query_params[ERRORS]


def _model_card_html(entry: Entry, described: ModelDescription | None) -> str:
    origin = "added here" if entry.custom else "comes with Liminal"
    if needs_precomputing(entry):
        origin += ", ready for the pages" if is_precomputed(entry.name) else ", not prepared for the pages yet"
    rows = (
        f'<p class="lead" style="margin:0"><b>{html.escape(entry.title)}</b> <small>{html.escape(entry.name)}, {origin}</small></p>'
    )
    if described is None:  # as much room as the facts will need, so that nothing jumps
        return f'{rows}<div class="facts-to-come"></div>'
    lines = {
        "From": described.source,
        "Licence": described.weights_licence,
        "Learned from": described.data_licence,
        "Not for": described.not_for,
        "On disk": format_bytes(described.bytes_on_disk),
        "In memory": format_bytes(described.bytes_in_memory)
        or ("not known here" if registry.find_loaded(entry) else "not loaded yet"),
    }
    if entry.custom is not None and "labels" in entry.custom.options and "outputs read as" not in described.source:
        outputs = (f"{feeling} {number}" for feeling, number in entry.custom.options["labels"].items())
        lines["Outputs read as"] = ", ".join(outputs)
    rows += "".join(f'<p class="fine"><b>{name}:</b> {html.escape(text)}</p>' for name, text in lines.items() if text)
    if described.problem:
        rows += f'<p class="fine" role="alert"><b>Cannot be used:</b> {html.escape(described.problem)}</p>'
    return rows


def _start_trial(name: str) -> None:
    def work(_: object) -> TryoutResult:
        return try_out(name)

    start_model_job(f"{TRYING}-{name}", name, f"Trying {name}", work)


def _start_precompute(name: str) -> None:
    def work(progress: Progress) -> str:
        from core.sampling.building.precompute import precompute_model  # PyTorch

        report = precompute_model(name, progress=progress)
        return " ".join((report.words, *report.skipped))

    start_model_job(f"{TRYING}-{name}", name, f"Preparing {name}", work)


def _show_trial(entry: Entry) -> None:
    """The outcome of this session's last trial of a model, or how far it is."""
    job = show_until_done(f"{TRYING}-{entry.name}")
    if job is None:
        return
    if isinstance(job.result, str):
        st.success(job.result)
        return
    result: TryoutResult = job.result
    if result.findings:
        st.error("It does not do what it should: " + " ".join(result.findings))
    else:
        st.success(describe_trial(result))


def describe_trial(result: TryoutResult) -> str:
    """One sentence about a model that passed."""
    speed = f"{result.milliseconds:.0f} ms" if result.milliseconds >= 10 else f"{result.milliseconds:.1f} ms"
    timed = "" if math.isnan(result.milliseconds) else f" {speed} {result.unit},"
    memory = f" {format_bytes(result.bytes_in_memory)} in memory," if result.bytes_in_memory else ""
    return f"It does what it should:{timed}{memory} on {describe_device(result.device)}."


def describe_device(name: str) -> str:
    """The device in words."""
    return {"cpu": "the processor", "cuda": "the graphics card", "mps": "the Apple graphics chip"}.get(name.partition(":")[0], name)


def format_bytes(count: int) -> str:
    """Bytes in words: "14 MB"."""
    if not count:
        return ""
    for unit, factor in (("GB", 1e9), ("MB", 1e6)):
        if count >= factor:
            return f"{count / factor:.{1 if count < 10 * factor else 0}f} {unit}"
    return f"{max(1, round(count / 1e3))} KB"


def _remove_model(name: str) -> None:
    with contextlib.suppress(LiminalError):  # another session has removed it already
        catalogue.remove_custom_model(name)
