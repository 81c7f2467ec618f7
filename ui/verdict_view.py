"""The verdicts of all recognisers on one sample set, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from core.models import registry
from core.sampling.strangers import acceptance
from ui import caches, words
from ui.sets import Recipe

if TYPE_CHECKING:
    from core.sampling.sample_set import SampleSet


def show_verdicts(recipe: Recipe, made: SampleSet) -> None:
    """Every recogniser on every type of sample, side by side, and whether optimized faces fool the others too."""
    names = [recipe.recogniser, *(name for name in made.configuration.judges if name != recipe.recogniser)]
    limits = {name: caches.stored_thresholds(recipe.generator, name).default for name in names}
    kinds = {
        "positive": "Small steps",
        "interpolation": "On the way to another person",
        "negative": "Other people",
        "optimized": "Optimized",
    }
    head = "".join(f"<th>{registry.entry(name).title}</th>" for name in names)
    body = ""
    counts = {}
    for kind, title in kinds.items():
        rows = made.pairs[made.pairs["sample_type"] == kind]
        cells = ""
        for name in names:
            share = acceptance(rows[f"distance_{name}"].to_numpy(float), limits[name])
            counts[kind, name] = share
            lost = f", {share.no_face} without a face" if share.no_face else ""
            cells += (
                f"<td><b>{share.accepted} of {share.judged}</b> would unlock"
                f"<small>{words.percent(share.low)} to {words.percent(share.high)}{lost}</small></td>"
            )
        body += f"<tr><th>{title}</th>{cells}</tr>"
    st.header("Does what fools one recogniser fool the others?", anchor=False)
    for other in names[1:]:
        mine, its = counts["optimized", names[0]], counts["optimized", other]
        st.html(
            words.lead(
                f"The faces were optimized against {registry.entry(names[0]).title}, which accepts {mine.accepted} of "
                f"{mine.judged}. {registry.entry(other).title} never saw the search and accepts {its.accepted} of {its.judged}."
            )
        )
    st.html(f'<table class="verdicts"><thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table>')
    st.html(
        words.fine(
            f"This base and seed alone; small print: 95 % Wilson interval. Each recogniser at its own limit as delivered "
            f"({', '.join(f'{registry.entry(name).title} {limit:.2f}' for name, limit in limits.items())})."
        )
    )
