"""Which faces are on the map: those of a study, of a sample set of the library, or both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from ui.analysis import large_sets, map_large
from ui.analysis import material as picker
from ui.set_routes import address
from ui.studies import access
from ui.words import fine

if TYPE_CHECKING:
    from core.analysis.material import Material
    from core.studies.library import SetEntry
    from core.studies.study import Kind
    from ui.analysis.material import Chosen

STUDY, SET, LARGE = "Faces of a study", "Faces of a sample set", "Faces of a large data set"
CHOICE, LAST = "map-set", "map-last"


@dataclass(frozen=True, eq=False)
class Faces:
    """What is on the map. ids: sample_ids in order; samples: their rows in the same order; material: of a study, else None."""

    key: str
    kind: Kind
    ids: tuple[str, ...]
    where: Mapping[str, str]
    samples: pd.DataFrame
    pairs: pd.DataFrame
    generator: str
    sets: tuple[str, ...]
    steerer: str
    classifiers: tuple[str, ...]
    material: Material | None = None

    def picture(self, sample_id: str) -> str:
        """Address of a picture, "" where there is none."""
        return address(self.where[sample_id], sample_id) if sample_id in self.where else ""


def choose() -> Faces | None:
    """The pickers, and the faces that were picked; None where there are none, and the page says so."""
    entries = picker.visible_sets()
    ways = [STUDY, *([SET] if entries else []), *([LARGE] if large_sets.listed() else [])]
    way = STUDY
    if len(ways) > 1:
        way = str(
            st.segmented_control(
                "Which faces?",
                ways,
                default=STUDY,
                required=True,
                key="faces",
                bind="query-params",
                label_visibility="collapsed",
            )
        )
    if way == SET:
        return _set(entries)
    if way == LARGE:
        return map_large.choose()
    chosen = picker.choose()
    return None if chosen is None else _of_study(chosen.key, chosen)


def _set(entries: list[SetEntry]) -> Faces:
    ids = [each.set_id for each in entries]
    asked = st.query_params.get("set", st.session_state.get(LAST, ""))
    if asked not in ids:
        asked = ids[0]
    st.session_state[CHOICE] = asked
    titles = {each.set_id: f"{each.title} · {each.images:,} images" for each in entries}
    st.selectbox("Sample set", ids, format_func=titles.get, key=CHOICE, on_change=_change, width=560)
    st.query_params["set"] = asked
    st.session_state[LAST] = asked
    entry = entries[ids.index(asked)]
    st.html(fine(f"Made on {entry.made[:10]}{', a part of the demonstration' if entry.demonstration else ''}."))
    return _of_set(asked)


def _change() -> None:
    st.query_params["set"] = st.session_state[CHOICE]
    for name in picker.OF_ONE_STUDY:
        st.query_params.pop(name, None)


@st.cache_resource(show_spinner="Reading the faces", max_entries=6)
def _of_study(key: str, _chosen: Chosen) -> Faces:
    material = _chosen.material
    samples = material.samples.drop_duplicates("sample_id")
    samples = samples[samples["sample_id"].map(material.where).notna()].reset_index(drop=True)
    return Faces(
        key=key,
        kind=material.kind,
        ids=tuple(samples["sample_id"]),
        where=material.where,
        samples=samples,
        pairs=own_pairs(samples, material.pairs),
        generator=material.generator,
        sets=material.sets,
        steerer=material.steerer,
        classifiers=material.classifiers,
        material=material,
    )


@st.cache_resource(show_spinner="Reading the faces", max_entries=6)
def _of_set(set_id: str) -> Faces:
    from core.sampling.emotion.configuration import EmotionConfiguration
    from core.sampling.sample_set import load_tables

    configuration, samples, pairs, _ = load_tables(access.library().folder_of(set_id))
    emotion = isinstance(configuration, EmotionConfiguration)
    return Faces(
        key=set_id,
        kind="emotion" if emotion else "identity",
        ids=tuple(samples["sample_id"]),
        where=dict.fromkeys(samples["sample_id"], set_id),
        samples=samples,
        pairs=own_pairs(samples, pairs),
        generator=configuration.generator,
        sets=(set_id,),
        steerer=configuration.steerer if isinstance(configuration, EmotionConfiguration) else "",
        classifiers=configuration.classifiers,
    )


def own_pairs(samples: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """For each sample the pair in which it plays its own part: the same number of rows, NaN where it is in none.

    An image that is several bases' negative belongs to several pairs; on the map it is one point.
    """
    if pairs.empty:
        return pairs.reindex(range(len(samples)))
    part = samples[["sample_id", "sample_type", "base_id"]]
    exact = part.merge(pairs, on=["sample_id", "sample_type", "base_id"], how="left").drop_duplicates("sample_id")
    exact.index = pd.Index(exact["sample_id"])
    first = pairs.drop_duplicates("sample_id").set_index("sample_id", drop=False)
    rows = exact.reindex(samples["sample_id"])
    missing = rows["pair_id"].isna().to_numpy(bool)
    rows = rows[pairs.columns].reset_index(drop=True)
    if missing.any():
        rest = first.reindex(samples["sample_id"][missing].to_numpy())[list(pairs.columns)]
        rest.index = pd.Index(np.flatnonzero(missing))
        rows = pd.concat([rows[~missing], rest]).sort_index()
    return rows
