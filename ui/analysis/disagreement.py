"""The page 'Disagreement': ranked faces on which people and models, or people among themselves, part ways."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from ui import looked_at
from ui.analysis import disagreement_filters as filters
from ui.analysis import disagreement_tiles as tiles
from ui.analysis import disagreement_views as views
from ui.analysis.disagreement_dialog import open_item
from ui.components.ranking import ranking
from ui.paging import paged
from ui.studies.words import many
from ui.words import fine, lead

if TYPE_CHECKING:
    from core.analysis.disagreement import Disagreement
    from ui.analysis.material import Chosen

PAGE = 18


def show(chosen: Chosen) -> None:
    """Choices, the ranking a page at a time, and what was pressed."""
    material = chosen.material
    view = views.choose_view(material.kind)
    st.html(lead(view.says))
    people = views.people(chosen)
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="ranking-options"):
        with st.popover("How it is scored", icon=":material/straighten:"):
            what = views.choose_scored(material, view, list(people))
            explained = st.container()
        found = views.scored(chosen, what, people.get(what.group))
        ranked = found.ranked(view.end)
        narrowing = st.popover("Show only", icon=":material/filter_list:")
        with narrowing:
            kept = filters.choose(ranked, chosen)
            filters.choose_base(ranked, chosen, kept.base)
        if kept.count:
            st.button("Show all again", key="forget-filters", on_click=filters.forget, type="tertiary")
    with explained:
        _explain(found)
    rows = kept.of(ranked)
    st.html(fine(_summary(found, what, len(rows), len(ranked), kept.count, material.kind)))
    if rows.empty:
        _empty(found, kept.count)
        return
    page = paged(len(rows), PAGE, "page", bind="query-params")
    selected = looked_at.picked()
    shown = views.RANGES[view.measure]
    ranking(
        tiles.tiles(chosen, found, view, what, rows.iloc[page], page.start),
        key="ranking",
        ends=shown.ends,
        zero=shown.place(0.0) if shown.signed else None,
        on_pick=looked_at.pick,
        selected=selected,
    )
    st.html(fine(f"{_interval(found)} Source: {tiles.source(found)}."))
    if selected and (found.table["stimulus"] == selected).any():
        open_item(chosen, found, view, what, selected)


def _explain(found: Disagreement) -> None:
    st.markdown(f"**The score:** {found.score}.")
    st.markdown(f"**Low end:** {found.lowest}.  \n**High end:** {found.highest}.")
    if found.scaling:
        name, _, text = found.scaling.partition(": ")
        st.markdown(
            f"**How sure the recogniser is** ({name}): {text}. Distances have no common unit with votes, and the paper that this "
            "ranking is from does not say how it turned one into the other; another choice above gives another order."
        )
    st.markdown(f"**Below each score:** {_interval(found)}")


def _interval(found: Disagreement) -> str:
    kind, _, why = found.interval.partition(": ")
    return f"No interval: {why}." if kind == "none" else f"The bar is an interval of {found.interval}."


def _summary(found: Disagreement, what: views.Scored, shown: int, total: int, narrowed: int, kind: str) -> str:
    noun = "pair" if kind == "identity" else "face"
    count = f"{shown:,} of {many(total, noun)}" if narrowed else many(total, noun)
    models = " and ".join(views.title_of(name) for name in what.models)
    votes = f"{many(found.basis.answers, 'answer')} by {tiles.answerers(found)}" if found.basis.raters else ""
    group = f"only {what.group}" if what.group else ""
    told = "; ".join(each for each in (count, models, votes, group) if each)
    return f"{told}. {found.note}".strip()


def _empty(found: Disagreement, narrowed: int) -> None:
    if narrowed:
        st.info("Nothing fits all of these filters; take one of them away under “Show only”.")
    else:
        st.info(found.note or "There is nothing to rank here yet.")
