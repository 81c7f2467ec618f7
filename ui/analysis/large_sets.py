"""Large data sets on pages of analysis: which one, and which part of it; only that part is ever read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from ui.analysis.choices import one_of
from ui.analysis.disagreement_filters import TYPES
from ui.set_routes import address
from ui.studies import access, owner_gate
from ui.studies.words import many
from ui.words import fine, percent

if TYPE_CHECKING:
    import pandas as pd

    from core.analysis.large import Narrowed
    from core.sampling.many.data_set import DataSet
    from core.sampling.sample_set import Kind
    from core.studies.data_sets import DataSetEntry

KINDS: dict[Kind, str] = {"identity": "Who is it?", "emotion": "Which feeling?"}


@dataclass(frozen=True, eq=False)
class Large:
    """A data set, and the rows of it that are looked at."""

    set_id: str
    data: DataSet
    narrowed: Narrowed

    @property
    def kind(self) -> Kind:
        """Which of the two questions."""
        return self.narrowed.kind

    @property
    def key(self) -> str:
        """Changes with all that is chosen."""
        return f"{self.set_id}\0{self.narrowed!r}"

    def picture(self, sample_id: str) -> str:
        """Address of a picture."""
        return address(self.set_id, sample_id)


def listed() -> list[DataSetEntry]:
    """Those that the visitor may see, newest first: a data set is its owner's."""
    return access.library().data_sets.entries() if owner_gate.allowed() else []


def choose(entries: list[DataSetEntry]) -> Large:
    """Widgets for the data set and the part of it."""
    from core.analysis.large import Narrowed

    titles = {each.set_id: f"{each.title} · {each.images:,} faces" for each in entries}
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom", key="large-set"):
        set_id = one_of("Data set", list(titles), "data", titles=titles, look="list")
        data = access.library().data_sets.open(set_id)
        kind = data.kinds[0]
        if len(data.kinds) > 1:
            kind = "emotion" if one_of("Question", list(KINDS), "question", titles=dict(KINDS)) == "emotion" else "identity"
        types, pairs = _present(set_id, kind, data)
        named = {TYPES.get(each, each): each for each in types}
        chosen = st.multiselect("Samples", list(named), key=f"large-types-{kind}", bind="query-params", placeholder="all")
        spelled = {f"{one} or {two}": (one, two) for one, two in pairs}
        feelings = (
            st.multiselect("Two feelings", list(spelled), key="large-pairs", bind="query-params", placeholder="all")
            if len(spelled) > 1
            else []
        )
    return Large(set_id, data, Narrowed(kind, tuple(named[each] for each in chosen), tuple(spelled[each] for each in feelings)))


@st.cache_data(show_spinner=False, max_entries=16)
def _present(set_id: str, kind: Kind, _data: DataSet) -> tuple[list[str], list[tuple[str, str]]]:
    from core.analysis.large import present

    return present(_data, kind)


def show_sums(large: Large) -> None:
    """What models say of all chosen rows together."""
    table = _sums(large.key, large)
    with st.expander("All of them together", icon=":material/functions:"):
        if table.empty:
            st.html(fine("Nothing fits; take one of the choices away."))
        else:
            st.dataframe(worded(table), hide_index=True, key="large-sums")
            st.html(fine("Means and shares over all of them; a face that a network did not find is left out of its figures."))


def worded(table: pd.DataFrame) -> pd.DataFrame:
    """Sums with names for people."""
    from ui.analysis.disagreement_views import title_of

    named = {"sample_type": "Samples", "pairs": "Pairs", "faces": "Faces", "lpips": "How different it looks (LPIPS)"}
    shown = {}
    for column in table:
        name = str(column)
        part, _, model = name.partition("_")
        if name in named:
            values = table[name].map(lambda each: TYPES.get(each, each)) if name == "sample_type" else table[name]
            shown[named[name]] = values.round(3) if name == "lpips" else values
        elif part == "distance":
            shown[f"{title_of(model)}: mean distance"] = table[name].round(3)
        else:
            said = "accepted" if part == "accepted" else "both feelings seen"
            shown[f"{title_of(model)}: {said}"] = table[name].map(lambda each: "" if each != each else percent(each))
    import pandas as pd

    return pd.DataFrame(shown)


@st.cache_resource(show_spinner="Adding up", max_entries=16)
def _sums(key: str, _large: Large) -> pd.DataFrame:
    from core.analysis.large import sums

    return sums(_large.data, _large.narrowed)


def counted(large: Large) -> str:
    """'1,200 of 1,000,000 faces'."""
    total, chosen = large.data.rows("samples", large.kind), count(large)
    return many(total, "face") if chosen == total else f"{chosen:,} of {many(total, 'face')}"


def count(large: Large) -> int:
    """Faces that are left."""
    return _count(large.key, large)


@st.cache_data(show_spinner=False, max_entries=64)
def _count(key: str, _large: Large) -> int:
    from core.analysis.large import count

    return count(_large.data, _large.narrowed)
