"""Bringing in answers from a file: look at it, say what its columns mean, see which rows cannot be taken, and only then keep it."""

from __future__ import annotations

import hashlib
import json
from pathlib import PurePath
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from core.errors import LiminalError
from ui import navigation
from ui.studies import access, columns_form, words
from ui.words import fine, lead

if TYPE_CHECKING:
    from core.studies.importing.conversion import Converted
    from core.studies.importing.guessing import Guess
    from core.studies.importing.mapping import Mapping
    from core.studies.importing.reading import Imported
    from core.studies.store import Store

KINDS = ("csv", "tsv", "txt", "parquet", "json", "zip")
PREVIEW = 8
DONE = "brought-in"


def show() -> None:
    """The steps one below the other; a later one appears when the earlier ones make sense."""
    st.title("Bring in answers", anchor=False)
    st.html(
        lead(
            "From another program, a publication, or another Liminal: a table with a line for each answer (CSV, TSV, Parquet, JSON "
            "of jsPsych), a table of means with a line for each pair, or a bundle."
        )
    )
    done = st.session_state.get(DONE)
    if done is not None:
        _done(*done)
        return
    uploaded = st.file_uploader("A file with answers", KINDS, key="answers-file")
    if uploaded is None:
        most = int(st.get_option("server.maxUploadSize"))
        command = "python -m core study import FILE --study NAME"
        st.html(fine(f"Nothing is kept before you press the last button. Files above {most} MB: {command}"))
        return
    content = uploaded.getvalue()
    try:
        if content[:4] == b"PK\x03\x04":
            _bundle(uploaded.name, content)
        else:
            _table(uploaded.name, content)
    except LiminalError as error:
        st.error(str(error))


def _bundle(file: str, content: bytes) -> None:
    from core.studies.importing.bundles import import_bundle

    st.html(
        lead(
            "This looks like a bundle of a whole study. It comes back as it was: plan, faces, people without their names, answers."
        )
    )
    name = st.text_input("Another name for it (leave empty to keep its own)", key="bundle-name", max_chars=80, width=420)
    if st.button("Bring in the study", type="primary", key="bring-bundle"):
        with st.spinner("Checking every file and bringing it in"):
            study = import_bundle(access.store(), access.library(), content, name.strip() or None)
        answers = access.store().counts().get(study.name, (0, 0))[1]
        st.session_state[DONE] = (study.name, answers, 0)
        st.rerun()


def _table(file: str, content: bytes) -> None:
    digest = hashlib.sha256(content).hexdigest()
    imported, guessed = _read(digest, file, content)
    st.subheader("What is in it", anchor=False)
    size = f"{words.many(len(imported.frame), imported.unit)}, {words.many(len(imported.frame.columns), 'column')}"
    st.html(fine(f"{size}. The first ones:"))
    st.dataframe(imported.frame.head(PREVIEW), hide_index=True, key="preview")
    for note in imported.notes:
        st.html(fine(note))
    st.subheader("What its columns mean", anchor=False)
    mapping = columns_form.show(imported, guessed, digest[:12])
    st.subheader("Into which study?", anchor=False)
    name = _name(file)
    if not name:
        st.html(fine("Choose a study or write the name of a new one."))
        return
    try:
        converted = _converted(imported, mapping, name)
    except LiminalError as error:
        st.warning(str(error))
        return
    _keep(converted, name)


@st.cache_resource(show_spinner="Reading the file", max_entries=3)
def _read(digest: str, file: str, _content: bytes) -> tuple[Imported, Guess]:
    from core.studies.importing.guessing import guess
    from core.studies.importing.reading import read

    imported = read(_content, file)
    return imported, guess(imported.frame)


def _name(file: str) -> str:
    names = [study.name for study in access.store().studies() if study.source == "human"]
    usual = PurePath(file).stem[:80]
    chosen = st.selectbox(
        "A new name, or a study that there is already",
        [usual, *(name for name in names if name != usual)],
        accept_new_options=True,
        key="into",
        width=420,
    )
    return (chosen or "").strip()


def _converted(imported: Imported, mapping: Mapping, name: str) -> Converted:
    return _convert(imported.digest, json.dumps(mapping.to_dict(), sort_keys=True), name, imported, mapping)


@st.cache_resource(show_spinner="Checking every row", max_entries=3)
def _convert(digest: str, record: str, name: str, _imported: Imported, _mapping: Mapping) -> Converted:
    from core.studies.importing.conversion import convert
    from core.studies.importing.storing import existing, pictures

    store: Store = access.store()
    there = existing(store, name)
    return convert(
        _imported,
        _mapping,
        name,
        kind=there.plan.kind if there else None,
        stimuli=[each.stimulus for each in store.stimuli(there.name)] if there else None,
        pictures=pictures(access.library()),
    )


def _keep(converted: Converted, name: str) -> None:
    for note in converted.notes:
        st.html(fine(note))
    good = len(converted.stimuli) if converted.published else len(converted.ratings)
    leave_out = False
    if converted.problems.total:
        problems = converted.problems
        st.warning(
            f"{problems.total:,} of {converted.rows:,} rows cannot be taken. Correct the file or what its columns mean, or leave "
            "them out."
        )
        table = pd.DataFrame([(each.line, each.reason) for each in problems], columns=["Line", "Why not"])
        st.dataframe(table, hide_index=True, key="problems")
        if problems.more:
            st.html(fine(f"And {problems.more:,} more."))
        leave_out = st.checkbox(f"Leave {words.many(problems.total, 'row')} out", key="leave-out")
    what = words.many(good, "pair with its means", "pairs with their means") if converted.published else words.many(good, "answer")
    ready = good > 0 and (leave_out or not converted.problems.total)
    if st.button(f"Import {what} into “{words.plain_label(name)}”", type="primary", disabled=not ready, key="import"):
        from core.studies.importing.storing import bring_in

        stored = bring_in(access.store(), access.library(), converted, leave_out=leave_out)
        st.session_state[DONE] = (stored.study.name, good if stored.created else stored.new, stored.left_out)
        _convert.clear()
        st.rerun()


def _done(name: str, answers: int, left_out: int) -> None:
    rest = f" {words.many(left_out, 'row was', 'rows were')} left out." if left_out else ""
    told = (
        f"{words.many(answers, 'row is', 'rows are')} now in the study “{words.plain_label(name)}”."
        if answers
        else "Everything in it was there already; nothing changed."
    )
    st.success(f"{told}{rest}", icon=":material/check_circle:")
    with st.container(horizontal=True, gap="medium", vertical_alignment="center"):
        st.page_link(
            navigation.page(navigation.STUDIES),
            label="Look at the study",
            query_params={"study": name},
            icon=":material/arrow_forward:",
        )
        st.button("Bring in another file", key="another", on_click=lambda: st.session_state.pop(DONE))
