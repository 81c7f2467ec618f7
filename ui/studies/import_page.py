"""Importing answers from a file: look at it, say what its columns mean, see which rows cannot be imported, and only then store it.

Each column's meaning is guessed, with the reason for the guess, and can be corrected; so can the meaning of the file's own words.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import PurePath

import pandas as pd
import streamlit as st

from core.errors import LiminalError
from core.models.emotions import EMOTIONS
from core.studies.importing.bundles import import_bundle
from core.studies.importing.conversion import ConvertedAnswers, convert_table
from core.studies.importing.guessing import EMOTION_WORDS, IDENTITY_WORDS, PRESETS, MappingGuess, guess_mapping
from core.studies.importing.mapping import ColumnMapping, Layout, MappedField, Unit
from core.studies.importing.reading import ImportedTable, read_file
from core.studies.importing.storing import find_library_stimuli, find_study, store_answers
from core.studies.store import Store
from ui import markup, navigation
from ui.markup import caption_html, intro_html
from ui.studies import access

FIELD_MEANINGS = {
    "rater": "Who answered",
    "stimulus": "Which picture or pair",
    "base": "The base of the pair",
    "sample": "The other picture of the pair",
    "emotion": "The feeling that was chosen",
    "identity": "The same person, yes or no",
    "similarity": "How alike",
    "reaction_time_ms": "How long it took",
    "trial": "Place in the order",
    "is_sentinel": "An attention check, yes or no",
    "session": "Session",
    "created_at": "When",
    "sample_type": "Kind of sample",
    "step": "Step of the sample",
    "people": "How many people were asked",
}
LONG_FIELDS = (
    "rater",
    "stimulus",
    "emotion",
    "identity",
    "similarity",
    "reaction_time_ms",
    "trial",
    "is_sentinel",
    "session",
    "created_at",
)
WIDE_FIELDS = ("stimulus", "base", "sample", "similarity", "identity", "people", "sample_type", "step")
MEAN_TITLES = {"similarity": "Mean similarity", "identity": "Share who saw one person"}
LAYOUT_NAMES: dict[Layout, str] = {"long": "A row for each answer", "wide": "A row for each pair, with means"}
MAX_WORDS = 60  # different answers that can be translated by hand
NO_COLUMN = "(none)"
IDENTITY_MEANINGS = {"1": "the same person", "0": "two people"}


def choose_columns(imported: ImportedTable, guess: MappingGuess, key: str) -> ColumnMapping:
    """Widgets for the mapping of columns, which begin with the guess -> the mapping.

    key: of the file, so that another file begins anew.
    """
    guessed = guess.mapping
    if guess.preset:
        preset = PRESETS[guess.preset]
        st.html(caption_html(f"Recognised as: {preset.title}. {preset.explanation}"))
    if guessed.exported:
        return guessed
    layout = st.segmented_control(
        "What is a row?",
        list(LAYOUT_NAMES),
        default=guessed.layout,
        format_func=LAYOUT_NAMES.__getitem__,
        required=True,
        key=f"layout-{key}",
    )
    reasons = {field_guess.target: field_guess.reason for field_guess in guess.fields}
    columns = [str(name) for name in imported.frame.columns]
    chosen: dict[str, MappedField] = {}
    targets = LONG_FIELDS if layout == "long" else WIDE_FIELDS
    halves = st.columns(2, gap="large")
    for number, target in enumerate(targets):
        with halves[number % 2]:
            known = guessed.fields.get(target) if layout == guessed.layout else None
            meaning = MEAN_TITLES.get(target, FIELD_MEANINGS[target]) if layout == "wide" else FIELD_MEANINGS[target]
            options = [NO_COLUMN, *columns]
            start = known.column if known and known.column else NO_COLUMN
            column = st.selectbox(meaning, options, index=options.index(start), key=f"{target}-{layout}-{key}")
            if column != NO_COLUMN:
                field = known if known and known.column == column else MappedField(column=column)
                chosen[target] = _refine_field(imported, target, field, layout, key)
                if known and known.column == column and target in reasons:
                    st.html(caption_html(f"Guessed: {reasons[target]}"))
            elif known and known.constant is not None and target == "rater":
                chosen[target] = known
                st.html(caption_html("No column says who answered: the whole file is taken as one person's."))
    only = dict(guessed.only) if layout == guessed.layout else {}
    for column, allowed in list(only.items()):
        if not st.toggle(f"Only rows with {', '.join(allowed)} in “{column}”", True, key=f"only-{column}-{key}"):
            del only[column]
    kept_columns = guessed.kept if layout == guessed.layout else ()
    return ColumnMapping(chosen, layout, only, kept_columns)


def _refine_field(imported: ImportedTable, target: str, field: MappedField, layout: str, key: str) -> MappedField:
    """Widgets for the unit, the scale or the meaning of words, where the target has one."""
    if target == "reaction_time_ms":
        units: tuple[Unit, ...] = ("ms", "s")
        unit = st.segmented_control("in", units, default=field.unit, required=True, key=f"unit-{field.column}-{key}")
        return replace(field, unit=unit)
    if target == "similarity":
        low, high = field.scale or (0.0, 100.0)
        first, last = st.columns(2)
        low = first.number_input("Its lowest value", value=low, key=f"low-{field.column}-{key}")
        high = last.number_input("Its highest value", value=high, key=f"high-{field.column}-{key}")
        return replace(field, scale=(low, high)) if low != high and (low, high) != (0.0, 100.0) else replace(field, scale=None)
    if target == "emotion" or (target == "identity" and layout == "long"):
        return replace(field, values=_translate_words(imported, target, field, key))
    return field


def _translate_words(imported: ImportedTable, target: str, field: MappedField, key: str) -> dict[str, str]:
    """A table of the file's words beside ours, which can be corrected."""
    cells = imported.frame[field.column].dropna().str.strip()
    counts = cells[cells != ""].str.lower().value_counts().head(MAX_WORDS)
    usual = EMOTION_WORDS if target == "emotion" else IDENTITY_WORDS
    ours = {name: name for name in EMOTIONS} if target == "emotion" else IDENTITY_MEANINGS
    means = [ours.get(field.values.get(word) or usual.get(word, ""), None) for word in counts.index]
    if all(word in ours for word in counts.index):
        return dict(field.values)
    table = pd.DataFrame({"In the file": counts.index, "Times": counts.to_numpy(), "Means": pd.Series(means, dtype="object")})
    edited = st.data_editor(
        table,
        hide_index=True,
        disabled=["In the file", "Times"],
        column_config={"Means": st.column_config.SelectboxColumn(options=list(ours.values()))},
        key=f"words-{field.column}-{key}",
        height=min(36 * (len(table) + 1), 300),
    )
    back = {text: value for value, text in ours.items()}
    return {str(word): back[text] for word, text in zip(edited["In the file"], edited["Means"], strict=True) if text in back}


FILE_KINDS = ("csv", "tsv", "txt", "parquet", "json", "zip")
PREVIEW_ROWS = 8
IMPORTED_SLOT = "brought-in"


def show_import() -> None:
    """Show the steps below each other; a step appears when the earlier ones are complete."""
    done = st.session_state.get(IMPORTED_SLOT)
    if done is not None:
        _show_imported(*done)
        return
    uploaded = st.file_uploader("A file with answers", FILE_KINDS, key="answers-file")
    if uploaded is None:
        most = int(st.get_option("server.maxUploadSize"))
        command = '<span style="white-space: nowrap">python -m core study import FILE --study NAME</span>'
        st.html(caption_html(f"Nothing is kept before you press the last button. Files above {most} MB: {command}"))
        return
    content = uploaded.getvalue()
    try:
        if content[:4] == b"PK\x03\x04":
            _import_bundle(uploaded.name, content)
        else:
            _import_table(uploaded.name, content)
    except LiminalError as error:
        st.error(str(error))


def _import_bundle(file: str, content: bytes) -> None:
    st.html(
        intro_html(
            "This looks like a bundle of a whole study. It comes back as it was: plan, faces, people without their names, answers."
        )
    )
    name = st.text_input("Another name for it (leave empty to keep its own)", key="bundle-name", max_chars=80, width=420)
    if st.button("Bring in the study", type="primary", key="bring-bundle"):
        with st.spinner("Checking every file and bringing it in"):
            study = import_bundle(access.get_store(), access.get_library(), content, name.strip() or None)
        answers = access.get_store().counts().get(study.name, (0, 0))[1]
        st.session_state[IMPORTED_SLOT] = (study.name, answers, 0)
        st.rerun()


def _import_table(file: str, content: bytes) -> None:
    digest = hashlib.sha256(content).hexdigest()
    imported, guessed = _read_table(digest, file, content)
    st.subheader("What is in it", anchor=False)
    size = f"{markup.count_noun(len(imported.frame), imported.unit)}, {markup.count_noun(len(imported.frame.columns), 'column')}"
    st.html(caption_html(f"{size}. The first ones:"))
    st.dataframe(imported.frame.head(PREVIEW_ROWS), hide_index=True, key="preview")
    for note in imported.notes:
        st.html(caption_html(note))
    st.subheader("What its columns mean", anchor=False)
    mapping = choose_columns(imported, guessed, digest[:12])
    st.subheader("Into which study?", anchor=False)
    name = _choose_name(file)
    if not name:
        st.html(caption_html("Choose a study or write the name of a new one."))
        return
    try:
        converted = _convert_table(imported, mapping, name)
    except LiminalError as error:
        st.warning(str(error))
        return
    _offer_import(converted, name)


@st.cache_resource(show_spinner="Reading the file", max_entries=3)
def _read_table(digest: str, file: str, _content: bytes) -> tuple[ImportedTable, MappingGuess]:
    imported = read_file(_content, file)
    return imported, guess_mapping(imported.frame)


def _choose_name(file: str) -> str:
    names = [study.name for study in access.get_store().studies() if study.source == "human"]
    usual = PurePath(file).stem[:80]
    chosen = st.selectbox(
        "A new name, or a study that there is already",
        [usual, *(name for name in names if name != usual)],
        accept_new_options=True,
        key="into",
        width=420,
    )
    return (chosen or "").strip()


def _convert_table(imported: ImportedTable, mapping: ColumnMapping, name: str) -> ConvertedAnswers:
    return _convert_cached(imported.digest, json.dumps(mapping.to_dict(), sort_keys=True), name, imported, mapping)


@st.cache_resource(show_spinner="Checking every row", max_entries=3)
def _convert_cached(digest: str, record: str, name: str, _imported: ImportedTable, _mapping: ColumnMapping) -> ConvertedAnswers:
    store: Store = access.get_store()
    existing = find_study(store, name)
    return convert_table(
        _imported,
        _mapping,
        name,
        kind=existing.plan.kind if existing else None,
        stimuli=[stimulus.stimulus for stimulus in store.stimuli(existing.name)] if existing else None,
        pictures=find_library_stimuli(access.get_library()),
    )


def _offer_import(converted: ConvertedAnswers, name: str) -> None:
    for note in converted.notes:
        st.html(caption_html(note))
    good = len(converted.stimuli) if converted.published else len(converted.ratings)
    leave_out = False
    if converted.problems.total:
        problems = converted.problems
        st.warning(
            f"{problems.total:,} of {converted.rows:,} rows cannot be taken. Correct the file or what its columns mean, or leave "
            "them out."
        )
        table = pd.DataFrame([(problem.line, problem.reason) for problem in problems], columns=["Line", "Why not"])
        st.dataframe(table, hide_index=True, key="problems")
        if problems.more:
            st.html(caption_html(f"And {problems.more:,} more."))
        leave_out = st.checkbox(f"Leave {markup.count_noun(problems.total, 'row')} out", key="leave-out")
    what = (
        markup.count_noun(good, "pair with its means", "pairs with their means")
        if converted.published
        else markup.count_noun(good, "answer")
    )
    ready = good > 0 and (leave_out or not converted.problems.total)
    if st.button(f"Import {what} into “{markup.escape_markdown(name)}”", type="primary", disabled=not ready, key="import"):
        stored = store_answers(access.get_store(), access.get_library(), converted, leave_out=leave_out)
        st.session_state[IMPORTED_SLOT] = (stored.study.name, good if stored.created else stored.new, stored.left_out)
        _convert_cached.clear()
        st.rerun()


def _show_imported(name: str, answers: int, left_out: int) -> None:
    rest = f" {markup.count_noun(left_out, 'row was', 'rows were')} left out." if left_out else ""
    result = (
        f"{markup.count_noun(answers, 'row is', 'rows are')} now in the study “{markup.escape_markdown(name)}”."
        if answers
        else "Everything in it was there already; nothing changed."
    )
    st.success(f"{result}{rest}", icon=":material/check_circle:")
    with st.container(horizontal=True, gap="medium", vertical_alignment="center"):
        st.page_link(
            navigation.build_page(navigation.STUDIES),
            label="Look at the study",
            query_params={"study": name},
            icon=":material/arrow_forward:",
        )
        st.button("Bring in another file", key="another", on_click=lambda: st.session_state.pop(IMPORTED_SLOT))
