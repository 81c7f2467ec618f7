"""Which faces are on the map and where each lies: faces of a study, of a sample set or of a part of a large data set, and their
projection.

Latents or embeddings are laid flat by PCA, UMAP or the plane through three faces (paper A, Fig. 1: a base, another person, and
what a search
from there found); long work runs in the background. Parts of a large data set share fixed axes. Faces that were just made in
this session
can be projected into an existing map.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from core.analysis.embeddings import embed_images, embed_library, load_stored_embeddings
from core.errors import LiminalError
from core.models import registry
from core.progress import Progress
from ui import progress
from ui.analysis import large_sets
from ui.analysis import study_choice as picker
from ui.components import MapPoint
from ui.emotion import runs
from ui.identity import sets
from ui.jobs import find_or_start_job
from ui.markup import caption_html
from ui.pictures import face_url, sample_url
from ui.selection import paginate
from ui.studies import access

if TYPE_CHECKING:
    from core.analysis.projection import Projection, ProjectionMethod
    from core.analysis.study_data import StudyData
    from core.sampling.sample_set import SampleSet
    from core.studies.library import SetEntry
    from core.studies.study import Kind
    from ui.analysis.large_sets import LargeSelection
    from ui.analysis.study_choice import StudyChoice


MAX_TOGETHER = 2000
"""Faces on the map at a time."""
AXES_SAMPLE_SIZE = 2048
"""Faces, evenly from the whole data set, that the axes are made from."""


def choose_large_faces() -> MapFaces | None:
    """Pickers, and the faces of the part that was picked; None where nothing fits, and the page says so."""
    large = large_sets.choose_data_set(large_sets.list_data_sets())
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
    from core.analysis import large
    from core.sampling.emotion.configuration import EmotionConfiguration

    pass

    found = large.load_faces(_large.data, _large.narrowed, first, MAX_TOGETHER)
    samples = found.drop_duplicates("sample_id").reset_index(drop=True)
    configuration = _large.data.configuration(_large.kind)
    shown = dict.fromkeys([*samples["sample_id"], *samples["base_id"]], _large.set_id)
    return MapFaces(
        key=key,
        kind=_large.kind,
        ids=tuple(samples["sample_id"]),
        where=shown,
        samples=samples,
        pairs=match_pairs(samples, large.load_pairs(_large.data, samples)),
        generator=configuration.generator,
        sets=(_large.set_id,),
        steerer=configuration.steerer if isinstance(configuration, EmotionConfiguration) else "",
        classifiers=configuration.classifiers,
    )


def large_set_axes(faces: MapFaces) -> Projection | None:
    """The widest directions of the whole data set's latents; None where the faces are not of a large data set."""
    return _fit_axes(faces.sets[0], faces.kind) if faces.sets and access.get_library().data_sets.has(faces.sets[0]) else None


@st.cache_resource(show_spinner="Laying out the axes", max_entries=8)
def _fit_axes(set_id: str, kind: str) -> Projection:
    from core.analysis.large import spread_places
    from core.analysis.projection import fit_projection

    data = access.get_library().data_sets.open(set_id)
    return fit_projection(
        data.latents(spread_places(data, "emotion" if kind == "emotion" else "identity", AXES_SAMPLE_SIZE).tolist()), "pca"
    )


def project_on_axes(axes: Projection, faces: MapFaces, values: object) -> Projection:
    """The faces on the same axes as those of every other part."""
    import numpy as np

    rows = np.asarray(values, np.float32)
    return replace(axes, key=f"{axes.key}-{faces.key}", vectors=rows, points=axes.transform(rows))


STUDY, SET, LARGE = "Faces of a study", "Faces of a sample set", "Faces of a large data set"
CHOICE, LAST = "map-set", "map-last"


@dataclass(frozen=True, eq=False)
class MapFaces:
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
    material: StudyData | None = None

    def picture(self, sample_id: str) -> str:
        """Address of a picture, "" where there is none."""
        return sample_url(self.where[sample_id], sample_id) if sample_id in self.where else ""


def choose_map_faces() -> MapFaces | None:
    """The pickers, and the faces that were picked; None where there are none, and the page says so."""
    entries = picker.list_visible_sets()
    ways = [STUDY, *([SET] if entries else []), *([LARGE] if large_sets.list_data_sets() else [])]
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
    ids = [each.set_id for each in entries]
    asked = st.query_params.get("set", st.session_state.get(LAST, ""))
    if asked not in ids:
        asked = ids[0]
    st.session_state[CHOICE] = asked
    titles = {each.set_id: f"{each.title} · {each.images:,} images" for each in entries}
    st.selectbox("Sample set", ids, format_func=titles.__getitem__, key=CHOICE, on_change=_store_set, width=560)
    st.query_params["set"] = asked
    st.session_state[LAST] = asked
    entry = entries[ids.index(asked)]
    st.html(caption_html(f"Made on {entry.made[:10]}{', a part of the demonstration' if entry.demonstration else ''}."))
    return _load_set_faces(asked)


def _store_set() -> None:
    st.query_params["set"] = st.session_state[CHOICE]
    for name in picker.STUDY_PARAMETERS:
        st.query_params.pop(name, None)


@st.cache_resource(show_spinner="Reading the faces", max_entries=6)
def _load_study_faces(key: str, _chosen: StudyChoice) -> MapFaces:
    material = _chosen.material
    samples = material.samples.drop_duplicates("sample_id")
    samples = samples[samples["sample_id"].map(material.where).notna()].reset_index(drop=True)
    return MapFaces(
        key=key,
        kind=material.kind,
        ids=tuple(samples["sample_id"]),
        where=material.where,
        samples=samples,
        pairs=match_pairs(samples, material.pairs),
        generator=material.generator,
        sets=material.sets,
        steerer=material.steerer,
        classifiers=material.classifiers,
        material=material,
    )


@st.cache_resource(show_spinner="Reading the faces", max_entries=6)
def _load_set_faces(set_id: str) -> MapFaces:
    from core.sampling.emotion.configuration import EmotionConfiguration
    from core.sampling.sample_set import load_tables

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
    """What is compared, under a name for people."""

    name: str
    says: str


def list_spaces(faces: MapFaces) -> dict[str, MapSpace]:
    """Title -> space."""
    found = {"Latents": MapSpace(LATENTS, "The numbers from which the generator made each face.")}
    for name in registry.list_names("encoder"):
        entry = registry.find_entry(name)
        if entry.custom is None:
            found["Looks and expression"] = MapSpace(name, "An embedding that sees who it is and what the face expresses.")
        else:
            found[f"How it looks, for {entry.title}"] = MapSpace(name, f"The values that {entry.title} sees in a face.")
    for name in registry.list_names("recogniser"):
        title = registry.find_entry(name).title
        found[f"Who it is, for {title}"] = MapSpace(name, f"The values that {title} compares when it decides who somebody is.")
    return found


def load_vectors(faces: MapFaces, space: str) -> NDArray[np.float32] | None:
    """(N, D) of the faces; None while they are made, which the page shows."""
    if space == LATENTS:
        return _load_latents(faces.key, faces)
    kept = _read_stored_vectors(faces.key, space, faces)
    if kept is not None:
        return kept
    work = _make_vectors_job(faces, space)
    vectors: NDArray[np.float32] | None = _job_result("map_vectors", (faces.key, space), "values of faces", work)
    return vectors


@st.cache_resource(show_spinner="Reading the latents", max_entries=4)
def _load_latents(key: str, _faces: MapFaces) -> NDArray[np.float32]:
    from core.analysis.study_data import collect_latents

    return collect_latents(access.get_library(), _faces.sets, _faces.ids)


def _read_stored_vectors(key: str, space: str, faces: MapFaces) -> NDArray[np.float32] | None:
    slot = _vector_cache()
    if (key, space) not in slot:
        found = load_stored_embeddings(faces.ids, space)
        if found is None:
            return None
        slot[key, space] = found
        while len(slot) > 6:
            slot.pop(next(iter(slot)))
    return slot[key, space]


@st.cache_resource(show_spinner=False)
def _vector_cache() -> dict[tuple[str, str], NDArray[np.float32]]:
    """Values that were read from the disk, a few at a time."""
    return {}


def _make_vectors_job(faces: MapFaces, space: str) -> Callable[[Progress], Any]:
    def work(progress: Progress) -> NDArray[np.float32]:
        return embed_library(access.get_library(), faces.where, faces.ids, space, progress=progress)

    return work


def lay_out_map(
    faces: MapFaces, space: str, values: NDArray[np.float32], method: ProjectionMethod, corners: tuple[int, int, int] | None
) -> Projection | None:
    """The map; None while it is made in the background, which the page shows."""
    from core.analysis.projection import fit_projection

    key = f"{faces.key}\0{space}\0{method}\0{corners}"
    made = _map_cache().get(key)
    if made is not None:
        return made
    three = values[list(corners)].astype(np.float64) if corners else None
    whole = large_set_axes(faces) if method == "pca" and space == LATENTS else None
    if whole is not None:
        made = project_on_axes(whole, faces, values)
    elif method != "umap" and values.size <= MAX_IMMEDIATE:
        made = fit_projection(values, method, corners=three)
    else:

        def work(progress: Progress) -> Projection:
            return fit_projection(values, method, corners=three, progress=progress)

        made = _job_result("map_layout", key, "map", work)
    if made is not None:
        maps = _map_cache()
        maps[key] = made
        while len(maps) > 12:
            maps.pop(next(iter(maps)))
    return made


@st.cache_resource(show_spinner=False)
def _map_cache() -> dict[str, Projection]:
    """Finished maps, a few at a time; all of them are on the disk too."""
    return {}


def _job_result(slot: str, key: Any, title: str, work: Callable[[Progress], Any]) -> Any:
    """The result of a job, or None while it runs or where it gave none."""
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


def load_live_vectors(made: SampleSet, space: str) -> NDArray[np.float32] | None:
    """The same values of faces that were made in this session; None while they are worked out."""
    names = list(made.samples["sample_id"])
    if space == LATENTS:
        return np.stack([made.latents[name] for name in names])
    images = {name: made.images[name] for name in names}

    def work(progress: Progress) -> NDArray[np.float32]:
        return embed_images(images, space, progress)

    vectors: NDArray[np.float32] | None = _job_result("map_live", (tuple(names), space), "values of new faces", work)
    return vectors


CORNER_LABELS = ("the base", "another person", "the optimum")


def list_planes(faces: MapFaces) -> dict[str, dict[str, tuple[str, str, str]]]:
    """'person 1' -> 'person 3' -> sample_ids of base, negative and optimum; those of which all three are on the map."""
    known = set(faces.ids)
    names = {name: f"person {place}" for place, name in enumerate(dict.fromkeys(faces.samples["base_id"]), start=1)}
    if faces.pairs.empty or "partner_id" not in faces.pairs:
        return {}
    found: dict[str, dict[str, tuple[str, str, str]]] = {}
    optimized = faces.pairs[faces.pairs["sample_type"] == "optimized"].sort_values("step", kind="stable")
    for row in optimized.drop_duplicates(["base_id", "partner_id"]).to_dict("records"):  # the lowest target that was kept
        three = (str(row["base_id"]), str(row["partner_id"]), str(row["sample_id"]))
        if set(three) <= known:
            found.setdefault(names[three[0]], {})[names.get(three[1], "a stranger")] = three
    return dict(sorted(found.items(), key=lambda item: int(item[0].split()[-1])))


def choose_plane(faces: MapFaces) -> tuple[str, str, str] | None:
    """Widgets for the three; None where there are no such three."""
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
    """The three on the map."""
    place = {name: number for number, name in enumerate(faces.ids)}
    found = []
    for name, label in zip(three, CORNER_LABELS, strict=True):
        x, y = (float(each) for each in projection.points[place[name]])
        found.append(MapPoint(x, y, label, faces.picture(name)))
    return found


MAX_LIVE_POINTS = 120


def list_recent_sets() -> list[SampleSet]:
    """The sets that this visitor made, as long as the server keeps them."""
    found = []
    recipe, configuration = (st.session_state.get(slot, (None,))[0] for slot in ("set_job", "emotion_job"))
    samples = sets.cached_sets().get(recipe) if recipe is not None else None
    if samples is not None:
        found.append(samples)
    run = runs.cached_runs().get(configuration) if configuration is not None else None
    if run is not None:
        found.append(run.made)
    return found


def build_live_points(faces: MapFaces, space: str, projection: Projection) -> list[MapPoint]:
    """The new faces at their places on the map, where the visitor wants them there."""
    made = list_recent_sets()
    if not made:
        return []
    count = sum(len(each.samples) for each in made)
    if not st.toggle(f"Drop in the {count} faces that you just made", key="live"):
        return []
    points = []
    for each in made:
        if space == LATENTS and each.configuration.generator != faces.generator:
            st.html(caption_html(f"Latents of {each.configuration.generator} have no place on a map of {faces.generator}."))
            continue
        values = load_live_vectors(each, space)
        if values is None:
            continue
        try:
            places = projection.transform(values)
        except LiminalError as error:
            st.html(caption_html(str(error)))
            continue
        for name, (x, y) in zip(each.samples["sample_id"], places, strict=True):
            if np.isfinite(x) and np.isfinite(y):
                points.append(MapPoint(float(x), float(y), "just made", face_url(each.images[name])))
    return points[:MAX_LIVE_POINTS]
