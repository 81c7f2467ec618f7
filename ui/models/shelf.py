"""Every model with where it comes from, what it may be used for and how large it is; each can be tried."""

from __future__ import annotations

import contextlib
import html
import math
from typing import TYPE_CHECKING

import streamlit as st

from core.errors import LiminalError
from core.models import registry
from core.models.own import listing
from core.sampling.preparing import is_prepared, needs_preparing
from ui import progress
from ui.jobs import job_for
from ui.models import labels, running
from ui.studies import owner_gate
from ui.words import fine

if TYPE_CHECKING:
    from core.models.inventory import Described, Tried
    from core.progress import Progress

KINDS = {
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


def show() -> None:
    """All models by what they do. Their cards need torch, so that they are read in the background."""
    entries = registry.entries()
    described = _described(tuple((repr(entry), registry.loaded(entry) is not None) for entry in entries))
    if described:
        st.html(fine(f"Networks of PyTorch run on {device(next(iter(described.values())).device)} here."))
    for kind, (title, meaning) in KINDS.items():
        of_kind = [entry for entry in entries if entry.kind == kind]
        if not of_kind:
            continue
        st.subheader(title, anchor=False)
        if meaning:
            st.html(fine(meaning))
        for entry in of_kind:
            _model(entry, described.get(entry.name))
        st.space("small")


def _described(key: tuple[tuple[str, bool], ...]) -> dict[str, Described]:
    def work(_: object) -> dict[str, Described]:
        from core.models.inventory import describe_all

        return describe_all()

    job = job_for(DESCRIBING, key, "Reading what there is", work)
    if job.status == "done":
        st.session_state[DESCRIBED] = job.result
    elif job.finished:
        progress.outcome(job)
    else:
        progress.watch(job.id)
    found: dict[str, Described] = st.session_state.get(DESCRIBED, {})  # what was read last, while it is read anew
    return found


def _model(entry: registry.Entry, described: Described | None) -> None:
    with st.container(border=True, key=f"model-{entry.name}"):
        words, actions = st.columns([7, 2], gap="medium", vertical_alignment="center")
        with words:
            st.html(_card(entry, described))
            if described is not None and described.outputs and owner_gate.allowed():
                labels.correct(entry, described.outputs)
            _trial(entry)
        with actions, st.container(horizontal=True, gap="small"):
            st.button(
                "Try it",
                key=f"try-{entry.name}",
                icon=":material/speed:",
                help="Load it, check it and time it",
                on_click=_start,
                args=(entry.name,),
            )
            if needs_preparing(entry) and owner_gate.allowed():
                ready = is_prepared(entry.name)
                st.button(
                    "Prepare again" if ready else "Prepare",
                    type="secondary" if ready else "primary",
                    key=f"prepare-{entry.name}",
                    icon=":material/face:",
                    help="Make and judge the faces that the other pages show at once; minutes",
                    on_click=_prepare,
                    args=(entry.name,),
                )
            if entry.own is not None and owner_gate.allowed():
                with st.popover("Remove", icon=":material/delete:"):
                    st.html(fine("Its own files stay where they are; what was prepared for the pages is deleted."))
                    st.button("Remove it", key=f"remove-{entry.name}", on_click=_remove, args=(entry.name,))


def _card(entry: registry.Entry, described: Described | None) -> str:
    origin = "added here" if entry.own else "comes with Liminal"
    if needs_preparing(entry):
        origin += ", ready for the pages" if is_prepared(entry.name) else ", not prepared for the pages yet"
    rows = (
        f'<p class="lead" style="margin:0"><b>{html.escape(entry.title)}</b> <small>{html.escape(entry.name)}, {origin}</small></p>'
    )
    if described is None:
        return rows
    lines = {
        "From": described.source,
        "Licence": described.weights_licence,
        "Learned from": described.data_licence,
        "Not for": described.not_for,
        "On disk": size(described.bytes_on_disk),
        "In memory": size(described.bytes_in_memory) or ("not known here" if registry.loaded(entry) else "not loaded yet"),
    }
    if entry.own is not None and "labels" in entry.own.options and "outputs read as" not in described.source:
        outputs = (f"{feeling} {number}" for feeling, number in entry.own.options["labels"].items())
        lines["Outputs read as"] = ", ".join(outputs)
    rows += "".join(f'<p class="fine"><b>{name}:</b> {html.escape(text)}</p>' for name, text in lines.items() if text)
    if described.problem:
        rows += f'<p class="fine" role="alert"><b>Cannot be used:</b> {html.escape(described.problem)}</p>'
    return rows


def _start(name: str) -> None:
    def work(_: object) -> Tried:
        from core.models.inventory import try_out

        return try_out(name)

    running.start(f"{TRYING}-{name}", name, f"Trying {name}", work)


def _prepare(name: str) -> None:
    def work(told: Progress) -> str:
        from core.sampling.preparing import prepare

        made = prepare(name, progress=told)
        return " ".join((made.words, *made.skipped))

    running.start(f"{TRYING}-{name}", name, f"Preparing {name}", work)


def _trial(entry: registry.Entry) -> None:
    """How the last trial of this session went, or how far it is."""
    job = running.ended(f"{TRYING}-{entry.name}")
    if job is None:
        return
    if isinstance(job.result, str):
        st.success(job.result)
        return
    tried: Tried = job.result
    if tried.findings:
        st.error("It does not do what it should: " + " ".join(tried.findings))
    else:
        st.success(verdict(tried))


def verdict(tried: Tried) -> str:
    """One sentence about a model that passed."""
    speed = f"{tried.milliseconds:.0f} ms" if tried.milliseconds >= 10 else f"{tried.milliseconds:.1f} ms"
    timed = "" if math.isnan(tried.milliseconds) else f" {speed} an image,"
    memory = f" {size(tried.bytes_in_memory)} in memory," if tried.bytes_in_memory else ""
    return f"It does what it should:{timed}{memory} on {device(tried.device)}."


def device(name: str) -> str:
    """The device in words."""
    return {"cpu": "the processor", "cuda": "the graphics card", "mps": "the Apple graphics chip"}.get(name.partition(":")[0], name)


def size(count: int) -> str:
    """Bytes in words: "14 MB"."""
    if not count:
        return ""
    for unit, factor in (("GB", 1e9), ("MB", 1e6)):
        if count >= factor:
            return f"{count / factor:.{1 if count < 10 * factor else 0}f} {unit}"
    return f"{max(1, round(count / 1e3))} KB"


def _remove(name: str) -> None:
    with contextlib.suppress(LiminalError):  # somebody else was faster
        listing.remove(name)
