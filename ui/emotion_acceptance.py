"""The stored table of all 15 pairs: how many faces could be either, guided beside unguided."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from core.errors import LiminalError
from core.models import registry
from core.sampling.emotion.configuration import EmotionConfiguration
from ui import caches, emotion_words, words
from ui.emotion import STRATEGIES
from ui.state import EmotionState


def show(view: EmotionState) -> None:
    """All pairs under the network that steers and the one that never does; one line where nothing is stored."""
    st.header("All fifteen pairs", anchor=False)
    try:
        table = caches.stored_acceptance()
    except LiminalError as error:
        st.html(words.fine(str(error)))
        return
    usual = EmotionConfiguration(*view.pair, strategy=view.way)
    names = (usual.steerer, usual.bystander)
    titles = [emotion_words.named(name, usual) for name in names]
    rows = [row for row in table["pairs"] if row["strategy"] == view.way]
    if not rows:
        st.html(words.fine(f"Nothing is stored for “{STRATEGIES[view.way]}”; choose the other way of making faces."))
        return
    sums = {name: {kind: _summed(rows, kind, name) for kind in ("guided", "unguided")} for name in names}
    (with_steer, of_steer), (without_steer, _) = sums[names[0]]["guided"], sums[names[0]]["unguided"]
    (with_judge, of_judge), (without_judge, _) = sums[names[1]]["guided"], sums[names[1]]["unguided"]
    st.html(
        words.lead(
            f"Some pairs are harder than others. Over all pairs {with_steer:,} of {of_steer:,} guided faces could be either for "
            f"{titles[0]}, and {with_judge:,} of {of_judge:,} for {titles[1]}; without guidance {without_steer:,} and "
            f"{without_judge:,}."
        )
        + _legend()
        + _chart(rows, names, titles, view)
        + words.fine(
            f"“{STRATEGIES[view.way]}”, {registry.entry(table['generator']).title}, made on {table['date']} with "
            f"'{table['command']}'. A dot is the share that could be either, the line its 95 % Wilson interval; the same seeds "
            "with and without guidance. Press a pair to choose it."
        )
    )


def _summed(rows: list[Mapping[str, Any]], kind: str, classifier: str) -> tuple[int, int]:
    return sum(row[kind][classifier]["count"] for row in rows), sum(row[kind][classifier]["n"] for row in rows)


def _legend() -> str:
    kinds = {"guided": "guided", "unguided": "the same seeds, not guided"}
    names = "".join(f'<span data-kind="{kind}">{text}</span>' for kind, text in kinds.items())
    return f'<p class="intervals-legend">{names}</p>'


def _chart(rows: list[Mapping[str, Any]], names: Sequence[str], titles: Sequence[str], view: EmotionState) -> str:
    head = "".join(f"<span>{html.escape(title)}</span>" for title in titles)
    stays = {"strategy": view.strategy, "generator": view.generator} | ({"base": view.base} if view.base else {})
    body = ""
    for row in sorted(rows, key=lambda each: -each["guided"][names[0]]["count"] / max(1, each["guided"][names[0]]["n"])):
        address = urlencode(stays | {"pair": f"{row['emotion1']}-{row['emotion2']}"})
        cells = "".join(_cell(row, name, title) for name, title in zip(names, titles, strict=True))
        body += f'<a href="?{html.escape(address)}" target="_self">{row["emotion1"]} or {row["emotion2"]}</a>{cells}'
    return f'<div class="intervals"><b></b>{head}{body}</div>'


def _cell(row: Mapping[str, Any], classifier: str, title: str) -> str:
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
