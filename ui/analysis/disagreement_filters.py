"""Which part of a ranking is looked at: types, steps, pairs of feelings, one base. All in the address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from ui import components
from ui.words import sample_title

if TYPE_CHECKING:
    from ui.analysis.material import Chosen

TYPES: Mapping[str, str] = {
    "genuine": "the base itself",
    "positive": "small steps away",
    "interpolation": "on the way to another",
    "optimized": "found by a search",
    "negative": "another person",
    "semantic": "one look changed",
    "boundary": "between two feelings",
    "morph": "a row of frames",
}
MOST_BASES = 60
"""Of bases that are shown to choose from."""
BASE = "part"
"""The entry of the address."""


@dataclass(frozen=True)
class Filters:
    """What is kept; empty: everything."""

    types: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    pairs: tuple[str, ...] = ()
    base: str = ""
    enough: bool = False

    @property
    def count(self) -> int:
        """How many are set."""
        return sum(bool(each) for each in (self.types, self.steps, self.pairs, self.base, self.enough))

    def of(self, table: pd.DataFrame) -> pd.DataFrame:
        """The rows that are kept, in their order."""
        kept = np.ones(len(table), bool)
        if self.types:
            kept &= table["sample_type"].isin(list(self.types)).to_numpy(bool)
        if self.steps:
            kept &= _steps(table).isin(list(self.steps)).to_numpy(bool)
        if self.pairs:
            kept &= _pairs(table).isin(list(self.pairs)).to_numpy(bool)
        if self.base:
            kept &= (table["base_id"] == self.base).to_numpy(bool)
        if self.enough:
            kept &= ~table["few"].to_numpy(bool)
        return table if kept.all() else table[kept]


def choose(table: pd.DataFrame, chosen: Chosen) -> Filters:
    """Widgets for what the table has more than one of."""
    kind = chosen.study.plan.kind
    types, steps, pairs = (), (), ()
    present = [name for name in TYPES if (table["sample_type"] == name).any()]
    if len(present) > 1:
        named = {TYPES[name]: name for name in present}
        types = tuple(
            named[each]
            for each in st.multiselect("Samples", list(named), key=f"types-{kind}", bind="query-params", placeholder="all")
        )
    if kind == "identity":
        within = table[table["sample_type"].isin(list(types))] if types else table
        known = within[within["step"].notna()].drop_duplicates(["sample_type", "step"]).sort_values(["sample_type", "step"])
        if len(known) > 1:
            steps = tuple(st.multiselect("Steps", _steps(known).tolist(), key="steps", bind="query-params", placeholder="all"))
    elif "emotion1" in table:
        known_pairs = sorted(_pairs(table).dropna().unique())
        if len(known_pairs) > 1:
            pairs = tuple(st.multiselect("Two feelings", known_pairs, key="pairs", bind="query-params", placeholder="all"))
    enough = st.toggle("Only those with enough votes", key="enough", bind="query-params")
    base = st.query_params.get(BASE, "")
    known = bool(base) and bool((table["base_id"] == base).any())
    return Filters(types, steps, pairs, base if known else "", bool(enough))


def choose_base(table: pd.DataFrame, chosen: Chosen, base: str) -> None:
    """Faces of the bases, one of which can be pressed; a second press shows all again."""
    bases = [str(each) for each in table["base_id"].unique()]
    if chosen.study.plan.kind != "identity" or not 1 < len(bases) <= MOST_BASES:
        return
    bases = [each for each in bases if chosen.picture(each)]
    tiles = [
        components.Tile(each, chosen.picture(each), f"Base {place}, a generated face") for place, each in enumerate(bases, start=1)
    ]
    st.html('<p class="label">Around one person</p>')
    components.faces([components.Group(tiles, columns=6)], key="bases", on_pick=_pick, selected=base, layout="rows", tile="4rem")


def _pick(base: str) -> None:
    if st.query_params.get(BASE) == base:
        st.query_params.pop(BASE)
    else:
        st.query_params[BASE] = base


def forget() -> None:
    """All filters off."""
    st.query_params.pop(BASE, None)
    for key in ("types-identity", "types-emotion", "steps", "pairs"):
        st.session_state[key] = []
    st.session_state["enough"] = False


def _steps(table: pd.DataFrame) -> pd.Series[str]:
    """Every row's step in words, "" where it has none."""
    distinct = table[["sample_type", "step"]].drop_duplicates()
    words = {
        (kind, step): sample_title(kind, step) if step == step and kind in TYPES else ""
        for kind, step in distinct.itertuples(index=False)
    }
    codes = table["sample_type"].astype(str) + table["step"].astype(str)
    named = {f"{kind}{step}": text for (kind, step), text in words.items()}
    return codes.map(named)


def _pairs(table: pd.DataFrame) -> pd.Series[str]:
    """Every row's two feelings."""
    return table["emotion1"].str.cat(table["emotion2"], sep=" or ")
