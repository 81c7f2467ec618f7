"""Which column means what, with a guess and its reason for each, and what the file's own words stand for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from core.models.emotions import EMOTIONS
from ui.words import fine

if TYPE_CHECKING:
    from core.studies.importing.guessing import Guess
    from core.studies.importing.mapping import Field, Mapping
    from core.studies.importing.reading import Imported

MEANINGS = {
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
LONG = (
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
WIDE = ("stimulus", "base", "sample", "similarity", "identity", "people", "sample_type", "step")
MEANS = {"similarity": "Mean similarity", "identity": "Share who saw one person"}
LAYOUTS = {"long": "A row for each answer", "wide": "A row for each pair, with means"}
MOST_WORDS = 60  # different answers that can be translated by hand
NONE = "(none)"
SAME = {"1": "the same person", "0": "two people"}


def show(imported: Imported, guess: Guess, key: str) -> Mapping:
    """The mapping as the widgets stand; they begin with the guess. key: of the file, so that another file begins anew."""
    from core.studies.importing.mapping import Field, Mapping
    from core.studies.importing.presets import PRESETS

    guessed = guess.mapping
    if guess.preset:
        preset = PRESETS[guess.preset]
        st.html(fine(f"Recognised as: {preset.title}. {preset.explanation}"))
    if guessed.exported:
        return guessed
    layout = st.segmented_control(
        "What is a row?", list(LAYOUTS), default=guessed.layout, format_func=LAYOUTS.get, required=True, key=f"layout-{key}"
    )
    reasons = {each.target: each.reason for each in guess.fields}
    columns = [str(name) for name in imported.frame.columns]
    chosen: dict[str, Field] = {}
    targets = LONG if layout == "long" else WIDE
    places = st.columns(2, gap="large")
    for place, target in enumerate(targets):
        with places[place % 2]:
            known = guessed.fields.get(target) if layout == guessed.layout else None
            meaning = MEANS.get(target, MEANINGS[target]) if layout == "wide" else MEANINGS[target]
            options = [NONE, *columns]
            start = known.column if known and known.column else NONE
            column = st.selectbox(meaning, options, index=options.index(start), key=f"{target}-{layout}-{key}")
            if column != NONE:
                field = known if known and known.column == column else Field(column=column)
                chosen[target] = _refined(imported, target, field, layout, key)
                if known and known.column == column and target in reasons:
                    st.html(fine(f"Guessed: {reasons[target]}"))
            elif known and known.constant is not None and target == "rater":
                chosen[target] = known
                st.html(fine("No column says who answered: the whole file is taken as one person's."))
    only = dict(guessed.only) if layout == guessed.layout else {}
    for column, allowed in list(only.items()):
        if not st.toggle(f"Only rows with {', '.join(allowed)} in “{column}”", True, key=f"only-{column}-{key}"):
            del only[column]
    kept = guessed.kept if layout == guessed.layout else ()
    return Mapping(chosen, layout, only, kept)


def _refined(imported: Imported, target: str, field: Field, layout: str, key: str) -> Field:
    """Unit, scale and the meaning of words, where the target has them."""
    if target == "reaction_time_ms":
        unit = st.segmented_control("in", ["ms", "s"], default=field.unit, required=True, key=f"unit-{field.column}-{key}")
        return replace(field, unit=unit)
    if target == "similarity":
        low, high = field.scale or (0.0, 100.0)
        first, last = st.columns(2)
        low = first.number_input("Its lowest value", value=low, key=f"low-{field.column}-{key}")
        high = last.number_input("Its highest value", value=high, key=f"high-{field.column}-{key}")
        return replace(field, scale=(low, high)) if low != high and (low, high) != (0.0, 100.0) else replace(field, scale=None)
    if target == "emotion" or (target == "identity" and layout == "long"):
        return replace(field, values=_words(imported, target, field, key))
    return field


def _words(imported: Imported, target: str, field: Field, key: str) -> dict[str, str]:
    """The file's words beside ours, to be corrected by hand."""
    from core.studies.importing.spellings import EMOTION_WORDS, IDENTITY_WORDS

    cells = imported.frame[field.column].dropna().str.strip()
    found = cells[cells != ""].str.lower().value_counts().head(MOST_WORDS)
    usual = EMOTION_WORDS if target == "emotion" else IDENTITY_WORDS
    ours = {each: each for each in EMOTIONS} if target == "emotion" else SAME
    means = [ours.get(field.values.get(word) or usual.get(word, ""), None) for word in found.index]
    if all(word in ours for word in found.index):
        return dict(field.values)
    table = pd.DataFrame({"In the file": found.index, "Times": found.to_numpy(), "Means": pd.Series(means, dtype="object")})
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
