"""Adding a model by a path on this computer or by the name of a hub repository, with a clear verdict."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import streamlit as st

from core.errors import LiminalError
from core.models.own.classes import CLASSES
from ui.models import running
from ui.studies import owner_gate
from ui.words import fine

if TYPE_CHECKING:
    from core.models.own.adding import Added
    from core.progress import Progress

SLOT = "models-adding"


def show() -> None:
    """The form, then how far it is, then what came of it."""
    if not owner_gate.allowed():
        st.html(fine("Models can be added on the computer that runs Liminal, or by whoever opened the studies with the password."))
        return
    with st.expander("Add a model of your own", icon=":material/add:", expanded=SLOT in st.session_state):
        kind = st.selectbox("What it is", list(CLASSES), format_func=lambda each: CLASSES[each].title, key="own-class")
        described = CLASSES[kind]
        source = st.text_input("Where it is", key="own-source", placeholder=described.source)
        name = st.text_input("How it is to be called", key="own-name", placeholder="such as ffhq-1024")
        title = st.text_input("Its name for people", key="own-title")
        licence = st.text_input("Licence of its weights, if you know it", key="own-licence")
        options = st.text_input("Options", key="own-options", placeholder='{"truncation": 0.7}') if described.options else ""
        for option, meaning in described.options.items():
            st.html(fine(f"{option}: {meaning}"))
        if st.button("Check and add it", type="primary", key="own-add", disabled=not (source.strip() and name.strip())):
            _start(name.strip(), kind, source.strip(), title.strip(), licence.strip(), options)
        _outcome()


def read_options(text: str) -> dict[str, Any]:
    """The options field -> options. Raises LiminalError where it is no JSON object."""
    if not text.strip():
        return {}
    try:
        options = json.loads(text)
    except ValueError as error:
        raise LiminalError('The options are not readable; write them like {"truncation": 0.7}.') from error
    if not isinstance(options, dict):
        raise LiminalError('The options are not readable; write them like {"truncation": 0.7}.')
    return options


def _start(name: str, kind: str, source: str, title: str, licence: str, text: str) -> None:
    try:
        options = read_options(text)
    except LiminalError as error:
        st.session_state.pop(SLOT, None)
        st.error(str(error))
        return

    def work(told: Progress) -> Added:
        from core.models.own.adding import add

        return add(name, kind, source, options=options, title=title, weights_licence=licence, progress=told)

    running.start(SLOT, (name, kind, source, text), f"Adding {name}", work)


def _outcome() -> None:
    job = running.ended(SLOT)
    if job is None:
        return
    added: Added = job.result
    st.success(
        f"{added.own.title} was added and does what it should, in {added.report.milliseconds_per_image:.1f} ms an image. "
        "The other pages offer it now."
    )
    for option, value in added.own.options.items():
        st.html(fine(f"{option}: {json.dumps(value, ensure_ascii=False)}"))
