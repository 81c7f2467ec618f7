"""Where each face lies on the map: what is compared, how it is laid flat, and the work in the background that this may need."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.analysis.vectors import of_images, of_library, stored
from core.models import registry
from core.progress import Progress
from ui import progress
from ui.analysis import map_large
from ui.jobs import job_for
from ui.studies import access

if TYPE_CHECKING:
    from core.analysis.projection import Method, Projection
    from core.sampling.sample_set import SampleSet
    from ui.analysis.map_faces import Faces

LATENTS = "latents"
WAYS: Mapping[str, Method] = {
    "Widest directions (PCA)": "pca",
    "Neighbours together (UMAP)": "umap",
    "Plane through three": "plane",
}
SAYS: Mapping[Method, str] = {
    "pca": "The two directions in which the faces differ most. Straight lines stay straight, but most of what is different may lie "
    "in other directions.",
    "umap": "Faces with the same neighbours come together. Who is near whom means something; how far groups are apart does not.",
    "plane": "The plane through a base, another person and the face that a search found. Every other face is seen from the side, "
    "however far behind the plane it lies.",
}
SMALL = 64 * 4096
"""Faces times values: a map of the widest directions of more is worked out in the background."""


@dataclass(frozen=True, eq=False)
class Space:
    """What is compared, under a name for people."""

    name: str
    says: str


def spaces(faces: Faces) -> dict[str, Space]:
    """Title -> space."""
    found = {"Latents": Space(LATENTS, "The numbers from which the generator made each face.")}
    for name in registry.names("encoder"):
        entry = registry.entry(name)
        if entry.own is None:
            found["Looks and expression"] = Space(name, "An embedding that sees who it is and what the face expresses.")
        else:
            found[f"How it looks, for {entry.title}"] = Space(name, f"The values that {entry.title} sees in a face.")
    for name in registry.names("recogniser"):
        title = registry.entry(name).title
        found[f"Who it is, for {title}"] = Space(name, f"The values that {title} compares when it decides who somebody is.")
    return found


def vectors(faces: Faces, space: str) -> NDArray[np.float32] | None:
    """(N, D) of the faces; None while they are made, which the page shows."""
    if space == LATENTS:
        return _latents(faces.key, faces)
    kept = _kept(faces.key, space, faces)
    if kept is not None:
        return kept
    work = _maker(faces, space)
    return _done("map_vectors", (faces.key, space), "values of faces", work)


@st.cache_resource(show_spinner="Reading the latents", max_entries=4)
def _latents(key: str, _faces: Faces) -> NDArray[np.float32]:
    from core.analysis.material import latents_of

    return latents_of(access.library(), _faces.sets, _faces.ids)


def _kept(key: str, space: str, faces: Faces) -> NDArray[np.float32] | None:
    slot = _memory()
    if (key, space) not in slot:
        found = stored(faces.ids, space)
        if found is None:
            return None
        slot[key, space] = found
        while len(slot) > 6:
            slot.pop(next(iter(slot)))
    return slot[key, space]


@st.cache_resource(show_spinner=False)
def _memory() -> dict[tuple[str, str], NDArray[np.float32]]:
    """Values that were read from the disk, a few at a time."""
    return {}


def _maker(faces: Faces, space: str) -> Callable[[Progress], Any]:
    def work(progress: Progress) -> NDArray[np.float32]:
        return of_library(access.library(), faces.where, faces.ids, space, progress=progress)

    return work


def laid_out(
    faces: Faces, space: str, values: NDArray[np.float32], method: Method, corners: tuple[int, int, int] | None
) -> Projection | None:
    """The map; None while it is made in the background, which the page shows."""
    from core.analysis.projection import fit

    key = f"{faces.key}\0{space}\0{method}\0{corners}"
    made = _maps().get(key)
    if made is not None:
        return made
    three = values[list(corners)].astype(np.float64) if corners else None
    whole = map_large.axes(faces) if method == "pca" and space == LATENTS else None
    if whole is not None:
        made = map_large.laid_on(whole, faces, values)
    elif method != "umap" and values.size <= SMALL:
        made = fit(values, method, corners=three)
    else:

        def work(progress: Progress) -> Projection:
            return fit(values, method, corners=three, progress=progress)

        made = _done("map_layout", key, "map", work)
    if made is not None:
        maps = _maps()
        maps[key] = made
        while len(maps) > 12:
            maps.pop(next(iter(maps)))
    return made


@st.cache_resource(show_spinner=False)
def _maps() -> dict[str, Projection]:
    """Finished maps, a few at a time; all of them are on the disk too."""
    return {}


def _done(slot: str, key: Any, title: str, work: Callable[[Progress], Any]) -> Any:
    """The result of a job, or None while it runs or where it gave none."""
    job = job_for(slot, key, title, work)
    if not job.finished:
        progress.watch(job.id)
        return None
    if job.status != "done":
        progress.outcome(job)
        if st.button("Try again", key=f"again-{slot}"):
            st.session_state.pop(slot, None)
            st.rerun()
        return None
    return job.result


def live_vectors(made: SampleSet, space: str) -> NDArray[np.float32] | None:
    """The same values of faces that were made in this session; None while they are worked out."""
    names = list(made.samples["sample_id"])
    if space == LATENTS:
        return np.stack([made.latents[name] for name in names])
    images = {name: made.images[name] for name in names}

    def work(progress: Progress) -> NDArray[np.float32]:
        return of_images(images, space, progress)

    return _done("map_live", (tuple(names), space), "values of new faces", work)
