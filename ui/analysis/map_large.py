"""A part of a large data set on the map: so many faces at a time, on axes that stay the same from part to part."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from ui.analysis import large_sets
from ui.paging import paged
from ui.studies import access
from ui.words import fine

if TYPE_CHECKING:
    from core.analysis.projection import Projection
    from ui.analysis.large_sets import Large
    from ui.analysis.map_faces import Faces

TOGETHER = 2000
"""Faces on the map at a time."""
STANDING_FOR = 2048
"""Faces, evenly from the whole data set, that the axes are made from."""


def choose() -> Faces | None:
    """Pickers, and the faces of the part that was picked; None where nothing fits, and the page says so."""
    large = large_sets.choose(large_sets.listed())
    total = large_sets.count(large)
    if not total:
        st.info("Nothing in this data set fits; take one of the choices away.")
        return None
    part = paged(total, TOGETHER, "part-of-map", bind="query-params")
    st.html(fine(f"Faces {part.start + 1:,} to {part.stop:,} of {large_sets.counted(large)}; only these are read."))
    large_sets.show_sums(large)
    return _faces(f"{large.key}\0{part.start}", large, part.start)


@st.cache_resource(show_spinner="Reading this part", max_entries=6)
def _faces(key: str, _large: Large, first: int) -> Faces:
    from core.analysis import large
    from core.sampling.emotion.configuration import EmotionConfiguration
    from ui.analysis.map_faces import Faces, own_pairs

    found = large.faces(_large.data, _large.narrowed, first, TOGETHER)
    samples = found.drop_duplicates("sample_id").reset_index(drop=True)
    configuration = _large.data.configuration(_large.kind)
    shown = dict.fromkeys([*samples["sample_id"], *samples["base_id"]], _large.set_id)
    return Faces(
        key=key,
        kind=_large.kind,
        ids=tuple(samples["sample_id"]),
        where=shown,
        samples=samples,
        pairs=own_pairs(samples, large.pairs_of(_large.data, samples)),
        generator=configuration.generator,
        sets=(_large.set_id,),
        steerer=configuration.steerer if isinstance(configuration, EmotionConfiguration) else "",
        classifiers=configuration.classifiers,
    )


def axes(faces: Faces) -> Projection | None:
    """The widest directions of the whole data set's latents; None where the faces are not of a large data set."""
    return _axes(faces.sets[0], faces.kind) if faces.sets and access.library().data_sets.has(faces.sets[0]) else None


@st.cache_resource(show_spinner="Laying out the axes", max_entries=8)
def _axes(set_id: str, kind: str) -> Projection:
    from core.analysis.large import spread_out
    from core.analysis.projection import fit

    data = access.library().data_sets.open(set_id)
    return fit(data.latents(spread_out(data, "emotion" if kind == "emotion" else "identity", STANDING_FOR).tolist()), "pca")


def laid_on(axes: Projection, faces: Faces, values: object) -> Projection:
    """The faces on the same axes as those of every other part."""
    import numpy as np

    rows = np.asarray(values, np.float32)
    return replace(axes, key=f"{axes.key}-{faces.key}", vectors=rows, points=axes.transform(rows))
