"""Faces that were just made in this session, dropped into a map that is there already."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from core.errors import LiminalError
from ui import emotion_runs, sets
from ui.analysis.map_places import LATENTS, live_vectors
from ui.components.face_map import Point
from ui.images import face_url
from ui.words import fine

if TYPE_CHECKING:
    from core.analysis.projection import Projection
    from core.sampling.sample_set import SampleSet
    from ui.analysis.map_faces import Faces

MOST = 120


def just_made() -> list[SampleSet]:
    """The sets that this visitor made, as long as the server keeps them."""
    found = []
    recipe, configuration = (st.session_state.get(slot, (None,))[0] for slot in ("set_job", "emotion_job"))
    samples = sets.kept_sets().get(recipe) if recipe is not None else None
    if samples is not None:
        found.append(samples)
    run = emotion_runs.kept_runs().get(configuration) if configuration is not None else None
    if run is not None:
        found.append(run.made)
    return found


def dropped_in(faces: Faces, space: str, projection: Projection) -> list[Point]:
    """The new faces at their places on the map, where the visitor wants them there."""
    made = just_made()
    if not made:
        return []
    count = sum(len(each.samples) for each in made)
    if not st.toggle(f"Drop in the {count} faces that you just made", key="live"):
        return []
    points = []
    for each in made:
        if space == LATENTS and each.configuration.generator != faces.generator:
            st.html(fine(f"Latents of {each.configuration.generator} have no place on a map of {faces.generator}."))
            continue
        values = live_vectors(each, space)
        if values is None:
            continue
        try:
            places = projection.transform(values)
        except LiminalError as error:
            st.html(fine(str(error)))
            continue
        for name, (x, y) in zip(each.samples["sample_id"], places, strict=True):
            if np.isfinite(x) and np.isfinite(y):
                points.append(Point(float(x), float(y), "just made", face_url(each.images[name])))
    return points[:MOST]
