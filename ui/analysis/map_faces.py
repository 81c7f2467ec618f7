"""The faces on the map and their positions: faces of a study, of a sample set or of a large data set, projected to a plane.

Latents or embeddings are projected by PCA, UMAP or the plane through three faces (paper A, Fig. 1: a base, another person, and
what a search from there found); long work runs in the background. Parts of a large data set share fixed axes. Faces that were just
made in this session can be projected into an existing map.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from core.analysis.embeddings import embed_images, embed_library, load_stored_embeddings
from core.analysis.large import load_faces, load_pairs, spread_places
from core.analysis.projection import Projection, ProjectionMethod, fit_projection
from core.analysis.study_data import StudyData, collect_latents
from core.errors import LiminalError
from core.models import registry
from core.progress import Progress
from core.sampling.configuration import NO_GENERATOR
from core.sampling.emotion.configuration import EmotionConfiguration
from core.sampling.sample_set import SampleSet, load_tables
from core.studies.library import SetEntry
from core.studies.study import Kind
from ui import progress
from ui.analysis import large_sets
from ui.analysis import study_choice as picker
from ui.analysis.large_sets import LargeSelection
from ui.analysis.study_choice import StudyChoice
from ui.components import MapPoint
from ui.emotion import runs
from ui.identity import sets
from ui.jobs import find_or_start_job
from ui.markup import caption_html
from ui.pictures import face_url, sample_url
from ui.selection import paginate
from ui.studies import access

MAX_TOGETHER = 2000
"""Faces on the map at a time."""
AXES_SAMPLE_SIZE = 2048
"""Faces, evenly from the whole data set, that the axes are made from."""


def choose_large_faces() -> MapFaces | None:
    """Widgets for a part of a large data set, and its faces; None where nothing fits, which the page says."""
    large = large_sets.choose_data_set(picker.list_visible_data_sets())
    total = large_sets.count_rows(large)
    if not total:
        st.info("Nothing in this data set fits; take one of the choices away.")
        return None
    part = paginate(total, MAX_TOGETHER, "part-of-map", bind="query-params")
    st.html(caption_html(f"Faces {part.start + 1:,} to {part.stop:,} of {large_sets.describe_count(large)}; only these are read."))
    large_sets.show_model_sums(large)
    return _load_large_faces(f"{large.key}\0{part.start}", large, part.start)


@st.cache_resource(show_spinner="Reading this part", max_entries=6)
def _load_large_faces(key: str, _large: LargeSelection, first: int) -> MapFaces:
    rows = load_faces(_large.data, _large.row_filter, first, MAX_TOGETHER)
    samples = rows.drop_duplicates("sample_id").reset_index(drop=True)
    configuration = _large.data.configuration(_large.kind)
    set_of = dict.fromkeys([*samples["sample_id"], *samples["base_id"]], _large.set_id)
    return MapFaces(
        key=key,
        kind=_large.kind,
        ids=tuple(samples["sample_id"]),
        where=set_of,
        samples=samples,
        pairs=match_pairs(samples, load_pairs(_large.data, samples)),
        generator=configuration.generator,
        sets=(_large.set_id,),
        steerer=configuration.steerer if isinstance(configuration, EmotionConfiguration) else "",
        classifiers=configuration.classifiers,
    )


def large_set_axes(faces: MapFaces) -> Projection | None:
    """The first two principal directions of the whole data set's latents; None where the faces are not of a large data set."""
    return _fit_axes(faces.sets[0], faces.kind) if faces.sets and access.get_library().data_sets.has(faces.sets[0]) else None


@st.cache_resource(show_spinner="Laying out the axes", max_entries=8)
def _fit_axes(set_id: str, kind: str) -> Projection:
    data = access.get_library().data_sets.open(set_id)
    return fit_projection(
        data.latents(spread_places(data, "emotion" if kind == "emotion" else "identity", AXES_SAMPLE_SIZE).tolist()), "pca"
    )


def project_on_axes(axes: Projection, faces: MapFaces, values: object) -> Projection:
    """Project the faces on axes that all parts of a data set share. values: (N, D)."""
    rows = np.asarray(values, np.float32)
    return replace(axes, key=f"{axes.key}-{faces.key}", vectors=rows, points=axes.transform(rows))


STUDY, SET, LARGE = "Faces of a study", "Faces of a sample set", "Faces of a large data set"
CHOICE, LAST = "map-set", "map-last"


@dataclass(frozen=True, eq=False)
class MapFaces:
    """The faces on the map. ids: sample_ids in order; samples, pairs: rows in the same order; study_data: None without a study."""

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
    study_data: StudyData | None = None

    @property
    def has_latents(self) -> bool:
        """Whether a generator made the faces, or some of them."""
        return self.generator != NO_GENERATOR

    def picture(self, sample_id: str) -> str:
        """Address of a picture, "" where there is none."""
        return sample_url(self.where[sample_id], sample_id) if sample_id in self.where else ""


def choose_map_faces() -> MapFaces | None:
    """Widgets for the faces, and the faces; None where there are none, which the page says."""
    entries = picker.list_visible_sets()
    ways = [STUDY, *([SET] if entries else []), *([LARGE] if picker.list_visible_data_sets() else [])]
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
        return _choose_set(entries)
    if way == LARGE:
        return choose_large_faces()
    chosen = picker.choose_study()
    return None if chosen is None else _load_study_faces(chosen.key, chosen)


def _choose_set(entries: list[SetEntry]) -> MapFaces:
    ids = [entry.set_id for entry in entries]
    set_id = st.query_params.get("set", st.session_state.get(LAST, ""))
    if set_id not in ids:
        set_id = ids[0]
    st.session_state[CHOICE] = set_id
    titles = {entry.set_id: f"{entry.title} · {entry.images:,} pictures, bases included" for entry in entries}
    st.selectbox("Sample set", ids, format_func=titles.__getitem__, key=CHOICE, on_change=_store_set, width=560)
    st.query_params["set"] = set_id
    st.session_state[LAST] = set_id
    entry = entries[ids.index(set_id)]
    st.html(caption_html(f"Made on {entry.made[:10]}{', a part of the demonstration' if entry.demonstration else ''}."))
    return _load_set_faces(set_id)


def _store_set() -> None:
    st.query_params["set"] = st.session_state[CHOICE]
    for name in picker.STUDY_PARAMETERS:
        st.query_params.pop(name, None)


@st.cache_resource(show_spinner="Reading the faces", max_entries=6)
def _load_study_faces(key: str, _chosen: StudyChoice) -> MapFaces:
    study_data = _chosen.study_data
    samples = study_data.samples.drop_duplicates("sample_id")
    samples = samples[samples["sample_id"].map(study_data.where).notna()].reset_index(drop=True)
    return MapFaces(
        key=key,
        kind=study_data.kind,
        ids=tuple(samples["sample_id"]),
        where=study_data.where,
        samples=samples,
        pairs=match_pairs(samples, study_data.pairs),
        generator=study_data.generator,
        sets=study_data.sets,
        steerer=study_data.steerer,
        classifiers=study_data.classifiers,
        study_data=study_data,
    )


@st.cache_resource(show_spinner="Reading the faces", max_entries=6)
def _load_set_faces(set_id: str) -> MapFaces:
    configuration, samples, pairs, _ = load_tables(access.get_library().folder_of(set_id))
    emotion = isinstance(configuration, EmotionConfiguration)
    return MapFaces(
        key=set_id,
        kind="emotion" if emotion else "identity",
        ids=tuple(samples["sample_id"]),
        where=dict.fromkeys(samples["sample_id"], set_id),
        samples=samples,
        pairs=match_pairs(samples, pairs),
        generator=configuration.generator,
        sets=(set_id,),
        steerer=configuration.steerer if isinstance(configuration, EmotionConfiguration) else "",
        classifiers=configuration.classifiers,
    )


def match_pairs(samples: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """For each sample the row of its pair: as many rows as samples, NaN where a sample is in no pair.

    An image that is a negative of several bases belongs to several pairs but is one point of the map.
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


LATENTS = "latents"
METHOD_NAMES: Mapping[str, ProjectionMethod] = {
    "Widest directions (PCA)": "pca",
    "Neighbours together (UMAP)": "umap",
    "Plane through three": "plane",
}
METHOD_DESCRIPTIONS: Mapping[ProjectionMethod, str] = {
    "pca": "The two directions in which the faces differ most. Straight lines stay straight, but most of what is different may lie "
    "in other directions.",
    "umap": "Faces with the same neighbours come together. Who is near whom means something; how far groups are apart does not.",
    "plane": "The plane through a base, another person and the face that a search found. Every other face is seen from the side, "
    "however far behind the plane it lies.",
}
MAX_IMMEDIATE = 64 * 4096
"""Faces times values: a map of the widest directions of more is worked out in the background."""


@dataclass(frozen=True, eq=False)
class MapSpace:
    """A space in which faces are compared: latents, or the embedding of the model ``name``."""

    name: str
    description: str


def list_spaces(faces: MapFaces) -> dict[str, MapSpace]:
    """The spaces that this installation knows: title -> space. Own pictures have no latents, and no place for built-in encoders.

    Those read a generator's pictures, where faces lie in one place.
    """
    spaces = {"Latents": MapSpace(LATENTS, "The numbers from which the generator made each face.")} if faces.has_latents else {}
    for name in registry.list_names("encoder"):
        entry = registry.find_entry(name)
        if entry.custom is None and not faces.has_latents:
            continue
        if entry.custom is None:
            spaces["Looks and expression"] = MapSpace(name, "An embedding that sees who it is and what the face expresses.")
        else:
            spaces[f"How it looks, for {entry.title}"] = MapSpace(name, f"The values that {entry.title} sees in a face.")
    for name in registry.list_names("recogniser"):
        title = registry.find_entry(name).title
        spaces[f"Who it is, for {title}"] = MapSpace(name, f"The values that {title} compares when it decides who somebody is.")
    return spaces


def load_vectors(faces: MapFaces, space: str) -> NDArray[np.float32] | None:
    """The vectors (N, D) of the faces in a space; None while a job computes them, which the page shows."""
    if space == LATENTS:
        return _load_latents(faces.key, faces)
    stored = _read_stored_vectors(faces.key, space, faces)
    if stored is not None:
        return stored
    work = _make_vectors_job(faces, space)
    vectors: NDArray[np.float32] | None = _job_result("map_vectors", (faces.key, space), "values of faces", work)
    return vectors


@st.cache_resource(show_spinner="Reading the latents", max_entries=4)
def _load_latents(key: str, _faces: MapFaces) -> NDArray[np.float32]:
    return collect_latents(access.get_library(), _faces.sets, _faces.ids)


def _read_stored_vectors(key: str, space: str, faces: MapFaces) -> NDArray[np.float32] | None:
    slot = _vector_cache()
    if (key, space) not in slot:
        vectors = load_stored_embeddings(faces.ids, space)
        if vectors is None:
            return None
        slot[key, space] = vectors
        while len(slot) > 6:
            slot.pop(next(iter(slot)))
    return slot[key, space]


@st.cache_resource(show_spinner=False)
def _vector_cache() -> dict[tuple[str, str], NDArray[np.float32]]:
    """(key of the faces, space) -> vectors that were read from the disk, the last few."""
    return {}


def _make_vectors_job(faces: MapFaces, space: str) -> Callable[[Progress], Any]:
    def work(progress: Progress) -> NDArray[np.float32]:
        return embed_library(access.get_library(), faces.where, faces.ids, space, progress=progress)

    return work


def lay_out_map(
    faces: MapFaces, space: str, values: NDArray[np.float32], method: ProjectionMethod, corners: tuple[int, int, int] | None
) -> Projection | None:
    """The projection of the faces; None while a job computes it, which the page shows. corners: rows of a plane's three faces."""
    key = f"{faces.key}\0{space}\0{method}\0{corners}"
    projection = _map_cache().get(key)
    if projection is not None:
        return projection
    three = values[list(corners)].astype(np.float64) if corners else None
    whole = large_set_axes(faces) if method == "pca" and space == LATENTS else None
    if whole is not None:
        projection = project_on_axes(whole, faces, values)
    elif method != "umap" and values.size <= MAX_IMMEDIATE:
        projection = fit_projection(values, method, corners=three)
    else:

        def work(progress: Progress) -> Projection:
            return fit_projection(values, method, corners=three, progress=progress)

        projection = _job_result("map_layout", key, "map", work)
    if projection is not None:
        maps = _map_cache()
        maps[key] = projection
        while len(maps) > 12:
            maps.pop(next(iter(maps)))
    return projection


@st.cache_resource(show_spinner=False)
def _map_cache() -> dict[str, Projection]:
    """The last projections; all of them are on the disk too."""
    return {}


def _job_result(slot: str, key: Any, title: str, work: Callable[[Progress], Any]) -> Any:
    """The result of a job; None while it runs and where it failed or was stopped, which the page shows."""
    job = find_or_start_job(slot, key, title, work)
    if not job.finished:
        progress.watch_job(job.id)
        return None
    if job.status != "done":
        progress.show_outcome(job)
        if st.button("Try again", key=f"again-{slot}"):
            st.session_state.pop(slot, None)
            st.rerun()
        return None
    return job.result


def load_live_vectors(samples: SampleSet, space: str) -> NDArray[np.float32] | None:
    """The vectors of faces that were made in this session; None while a job computes them."""
    names = list(samples.samples["sample_id"])
    if space == LATENTS:
        return np.stack([samples.latents[name] for name in names])
    images = {name: samples.images[name] for name in names}

    def work(progress: Progress) -> NDArray[np.float32]:
        return embed_images(images, space, progress)

    vectors: NDArray[np.float32] | None = _job_result("map_live", (tuple(names), space), "values of new faces", work)
    return vectors


CORNER_LABELS = ("the base", "another person", "the optimum")


def list_planes(faces: MapFaces) -> dict[str, dict[str, tuple[str, str, str]]]:
    """Planes whose three faces are all on the map: 'person 1' -> 'person 3' -> sample_ids of base, negative and optimum."""
    known = set(faces.ids)
    names = {name: f"person {number}" for number, name in enumerate(dict.fromkeys(faces.samples["base_id"]), start=1)}
    if faces.pairs.empty or "partner_id" not in faces.pairs:
        return {}
    planes: dict[str, dict[str, tuple[str, str, str]]] = {}
    optimized = faces.pairs[faces.pairs["sample_type"] == "optimized"].sort_values("step", kind="stable")
    for row in optimized.drop_duplicates(["base_id", "partner_id"]).to_dict("records"):  # the lowest target that was kept
        three = (str(row["base_id"]), str(row["partner_id"]), str(row["sample_id"]))
        if set(three) <= known:
            planes.setdefault(names[three[0]], {})[names.get(three[1], "a stranger")] = three
    return dict(sorted(planes.items(), key=lambda item: int(item[0].split()[-1])))


def choose_plane(faces: MapFaces) -> tuple[str, str, str] | None:
    """Widgets for a plane; None where no plane has all three faces on the map."""
    ways = list_planes(faces)
    if not ways:
        return None
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="map-three"):
        base = str(st.selectbox("Base", list(ways), key="base", bind="query-params", width=180))
        other = str(st.selectbox("Another person", list(ways[base]), key="other", bind="query-params", width=180))
        three = ways[base][other]
        figures = "".join(
            f'<figure><img src="{faces.picture(name)}" alt="{label}, a generated face"><figcaption>{label}</figcaption></figure>'
            for name, label in zip(three, CORNER_LABELS, strict=True)
        )
        st.html(f'<div class="pair three">{figures}</div>')
    return three


def plane_marks(faces: MapFaces, projection: Projection, three: tuple[str, str, str]) -> list[MapPoint]:
    """The three faces of a plane as marks on the map."""
    row_of = {name: number for number, name in enumerate(faces.ids)}
    marks = []
    for name, label in zip(three, CORNER_LABELS, strict=True):
        x, y = (float(value) for value in projection.points[row_of[name]])
        marks.append(MapPoint(x, y, label, faces.picture(name)))
    return marks


MAX_LIVE_POINTS = 120


def list_recent_sets() -> list[SampleSet]:
    """The sample sets that this visitor made and that the server still caches."""
    recent = []
    recipe, configuration = (st.session_state.get(slot, (None,))[0] for slot in ("set_job", "emotion_job"))
    samples = sets.cached_sets().get(recipe) if recipe is not None else None
    if samples is not None:
        recent.append(samples)
    run = runs.cached_runs().get(configuration) if configuration is not None else None
    if run is not None:
        recent.append(run.made)
    return recent


def build_live_points(faces: MapFaces, space: str, projection: Projection) -> list[MapPoint]:
    """Marks for the faces that were just made, where the visitor asks for them."""
    recent = list_recent_sets()
    if not recent:
        return []
    count = sum(len(samples.samples) for samples in recent)
    if not st.toggle(f"Drop in the {count} faces that you just made", key="live"):
        return []
    points = []
    for samples in recent:
        if space == LATENTS and samples.configuration.generator != faces.generator:
            st.html(caption_html(f"Latents of {samples.configuration.generator} have no place on a map of {faces.generator}."))
            continue
        values = load_live_vectors(samples, space)
        if values is None:
            continue
        try:
            positions = projection.transform(values)
        except LiminalError as error:
            st.html(caption_html(str(error)))
            continue
        for name, (x, y) in zip(samples.samples["sample_id"], positions, strict=True):
            if np.isfinite(x) and np.isfinite(y):
                points.append(MapPoint(float(x), float(y), "just made", face_url(samples.images[name])))
    return points[:MAX_LIVE_POINTS]
