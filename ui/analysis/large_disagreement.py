"""Disagreement in a large data set, ranked a page at a time: two models that judged it, or people and models."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

import streamlit as st

from ui import looked_at, words
from ui.analysis import disagreement, large_people, large_sets
from ui.analysis import disagreement_tiles as tiles
from ui.analysis.choices import one_of
from ui.analysis.disagreement_views import Range, title_of
from ui.components.ranking import Ranked, ranking
from ui.paging import paged
from ui.studies.words import many
from ui.words import fine, lead

if TYPE_CHECKING:
    import pandas as pd

    from core.analysis.large import Rivals
    from ui.analysis.large_sets import Large

PAGE = 18
FROM_MODELS = "Source: models. No person's answer is in it; there is no interval, because every model answers once."
MEASURED = "The score is the Jensen-Shannon divergence of the six probabilities, in bits. "
APART = Range(-1, 1, ("more like one person for the first", "more like one person for the second"))
SAME = Range(0, 1, ("0: the same answer", "1: nothing in common"))


def show() -> None:
    """Choices, the ranking a page at a time, and what was pressed."""
    from core.analysis.large import Rivals, models_of

    large = large_sets.choose(large_sets.listed())
    studies = large_people.answered(large)
    if studies and one_of("Who is compared?", list(large_people.WAYS), "by", titles=large_people.WAYS) == "people":
        disagreement.show(large_people.choose(large, studies))
        return
    known = models_of(large.data, large.kind)
    if len(known) < 2:
        st.info("Only one model judged this data set, so there is nothing to compare it with.")
        return
    titles = {name: title_of(name) for name in known}
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom", key="large-rivals"):
        first = one_of("One model", known, "one", titles=titles, look="list")
        second = one_of("The other", [name for name in known if name != first], "rival", titles=titles, look="list")
        lowest = False
        if large.kind == "identity":
            ends = {"second": f"{titles[second]} is more willing", "first": f"{titles[first]} is more willing"}
            lowest = one_of("Shown first", list(ends), "end", titles=ends, look="list") == "first"
    rivals = Rivals(large.kind, first, second)
    st.html(lead(_says(large.kind, titles[first], titles[second])))
    total = _rankable(large.key, rivals, large)
    noun = "pair" if large.kind == "identity" else "face"
    if not total:
        st.info("No face that fits was judged by both; take one of the choices away.")
        return
    page = paged(total, PAGE, "part-of-ranking", bind="query-params")
    start = page.start
    st.html(fine(f"{many(total, noun)} {'is' if total == 1 else 'are'} ranked; {start + 1:,} to {page.stop:,} are read."))
    rows = _page(large.key, rivals, start, lowest, total, large)
    shown = APART if large.kind == "identity" else SAME
    selected = looked_at.picked()
    ranking(
        [_tile(large, rivals, shown, row, start + number) for number, row in enumerate(rows.to_dict("records"), start=1)],
        key="large-ranking",
        ends=shown.ends,
        zero=shown.place(0.0) if shown.signed else None,
        on_pick=looked_at.pick,
        selected=selected,
    )
    st.html(fine(f"{MEASURED if large.kind == 'emotion' else ''}{FROM_MODELS}"))
    large_people.ask(large, rivals, total, lowest=lowest)
    large_sets.show_sums(large)
    if selected:
        _open(large, rivals, selected)


def _says(kind: str, first: str, second: str) -> str:
    if kind == "identity":
        return (
            f"Pairs on which {first} and {second} part ways: how far apart the faces are for the one, less that for the "
            "other, each in units of its own threshold."
        )
    return f"Faces for which {first} and {second} expect different feelings."


@st.cache_data(show_spinner=False, max_entries=64)
def _rankable(key: str, rivals: Rivals, _large: Large) -> int:
    from core.analysis.large import rankable

    return rankable(_large.data, _large.narrowed, rivals)


@st.cache_resource(show_spinner="Ranking", max_entries=32)
def _page(key: str, rivals: Rivals, start: int, lowest: bool, total: int, _large: Large) -> pd.DataFrame:
    from core.analysis.large import ranked

    return ranked(_large.data, _large.narrowed, rivals, start, PAGE, lowest=lowest, of=total)


def _tile(large: Large, rivals: Rivals, shown: Range, row: dict[str, Any], place: int) -> Ranked:
    lines = [*_said(large, rivals, row), tiles.kind_of(row)]
    score = shown.text(row["score"])
    return Ranked(
        id=str(row["stimulus"]),
        pictures=[large.picture(name) for name in _images(large, row)],
        alt=f"Place {place:,}, score {score}. {'; '.join(lines)}",
        place=f"{place:,}.",
        score=score,
        words=lines,
        at=shown.place(row["score"]),
    )


def _images(large: Large, row: dict[str, Any]) -> list[str]:
    return [str(row["base_id"]), str(row["sample_id"])] if large.kind == "identity" else [str(row["stimulus"])]


def _said(large: Large, rivals: Rivals, row: dict[str, Any]) -> list[str]:
    names = (rivals.first, rivals.second)
    if large.kind == "emotion":
        return [f"{title_of(name)}: {row[column]}" for name, column in zip(names, ("said", "said_other"), strict=True)]
    limits = large.data.thresholds("identity")
    told = []
    for name in names:
        distance = float(row[f"distance_{name}"])
        told.append(f"{title_of(name)} {'accepts' if distance < limits[name] else 'refuses'} it, distance {distance:.2f}")
    return told


def _open(large: Large, rivals: Rivals, stimulus: str) -> None:
    from core.analysis.large import one

    row = one(large.data, large.kind, stimulus)
    if row is not None:
        _item(large, row.to_dict())


@st.dialog("What the models say of it", width="large", on_dismiss=looked_at.forget)
def _item(large: Large, row: dict[str, Any]) -> None:
    """One pair or face of the data set."""
    base, sample = str(row["base_id"]), str(row["sample_id"])
    pictures = [(large.picture(base), "The base"), (large.picture(sample), f"The sample: {tiles.kind_of(row)}")]
    st.html(
        words.pair(*pictures) if base != sample else words.portrait(large.picture(sample), "A generated face", "The base itself")
    )
    if large.kind == "identity":
        limits = large.data.thresholds("identity")
        known = [
            words.Opinion(title_of(name), float(row[f"distance_{name}"]), limit)
            for name, limit in limits.items()
            if f"distance_{name}" in row
        ]
        st.html(words.opinions(known))
    else:
        _feelings(large, row)
    st.html(fine("The address of this page brings this view back."))


def _feelings(large: Large, row: dict[str, Any]) -> None:
    import numpy as np
    import pandas as pd

    from core.analysis.deciders import probabilities
    from core.analysis.large import models_of
    from core.models.emotions import EMOTIONS

    known = models_of(large.data, "emotion")
    for name in known:
        p = probabilities(pd.DataFrame([row]), name, known[0])[0]
        if np.isfinite(p).all():
            top = {EMOTIONS[place]: float(p[place]) for place in np.argsort(-p)[:3]}
            st.html(f'<p class="voice">{html.escape(title_of(name))}</p>' + words.bars(top))
