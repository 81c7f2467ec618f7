"""The page 'Map': all faces on one sheet, coloured by what is known of them; what is drawn around is shown below.

Positions and colours are sent to the browser once, as bytes, under an address that holds their hash.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from core.analysis.encode import list_recognisers, select_probabilities
from core.analysis.selection import pack_selection, unpack_selection
from core.errors import LiminalError
from core.figures import theme
from core.models import registry
from core.models.emotions import EMOTIONS
from ui import components, selection
from ui.analysis import map_faces
from ui.analysis.map_faces import METHOD_DESCRIPTIONS, METHOD_NAMES, MapFaces, MapSpace, lay_out_map, list_spaces, load_vectors
from ui.analysis.rankings import SAMPLE_TYPE_NAMES
from ui.components import MapPoint, show_face_map
from ui.markup import caption_html, count_noun
from ui.pictures import points_url
from ui.selection import paginate

if TYPE_CHECKING:
    from core.analysis.projection import Projection, ProjectionMethod
    from core.analysis.study_data import StudyData


NO_COLOUR = "nothing"
PLANE_DISTANCE = "How far off this plane"


@dataclass(frozen=True, eq=False)
class MapColumn:
    """Values in the order of the faces: numbers, or words with None where there is none. says: what it is."""

    values: pd.Series
    says: str = ""

    @property
    def numeric(self) -> bool:
        return is_numeric_dtype(self.values) and not is_bool_dtype(self.values)


def list_columns(faces: MapFaces) -> dict[str, MapColumn]:
    """Name -> column; those that hold anything."""
    found: dict[str, MapColumn] = {}
    samples, pairs = faces.samples, faces.pairs
    found["Kind of sample"] = MapColumn(samples["sample_type"].map(lambda name: SAMPLE_TYPE_NAMES.get(str(name), str(name))))
    if faces.kind == "identity":
        bases = list(dict.fromkeys(samples["base_id"]))
        numbers = {name: f"person {place}" for place, name in enumerate(bases, start=1)}
        found["Whose base"] = MapColumn(samples["base_id"].map(numbers), "The person from whom a sample was made.")
        found |= _recogniser_columns(pairs)
        found["How different it looks (LPIPS)"] = MapColumn(pairs["lpips"], "From its base; 0 is the same picture.")
    else:
        found["Made between"] = MapColumn(samples["emotion1"].str.cat(samples["emotion2"], sep=" and "))
    found["Step"] = MapColumn(samples["step"].astype("float64"))
    if faces.material is not None:
        found |= _people_columns(faces, faces.material)
    found |= _classifier_columns(faces)
    return {name: each for name, each in found.items() if each.values.notna().any()}


def _recogniser_columns(pairs: pd.DataFrame) -> dict[str, MapColumn]:
    found = {}
    for name in list_recognisers(pairs):
        found[f"Distance under {registry.title(name)}"] = MapColumn(pairs[f"distance_{name}"].astype("float64"), "From its base.")
        if f"accepted_{name}" in pairs:
            said = pairs[f"accepted_{name}"].map({True: "accepted", False: "refused"}, na_action="ignore")
            found[f"Accepted by {registry.title(name)}"] = MapColumn(said.astype("object"))
    return found


def _people_columns(faces: MapFaces, material: StudyData) -> Mapping[str, MapColumn]:
    if material.kind == "identity":
        from core.analysis.disagreement import score_identity_spread, score_similarity_spread

        one = score_identity_spread(material.pairs, material.ratings, excluded=material.excluded).table
        alike = score_similarity_spread(material.pairs, material.ratings, excluded=material.excluded).table
        shares = pd.Series(one["share"].to_numpy(), index=one["stimulus"])
        means = pd.Series(alike["mean"].to_numpy(), index=alike["stimulus"])
        own = faces.pairs["pair_id"]
        return {
            "People: the same person": MapColumn(own.map(shares).astype("float64"), "Share of people who say so."),
            "People: how alike": MapColumn(own.map(means).astype("float64"), "Mean of 0 to 100."),
            "People: divided": MapColumn(
                own.map(pd.Series(one["score"].to_numpy(), index=one["stimulus"])).astype("float64"),
                "Standard deviation of 'the same person?', 0.5 at most.",
            ),
        }
    from core.analysis.choices import count_choices

    votes = count_choices(material.ratings, faces.samples["sample_id"], excluded=material.excluded).table
    return {
        "People: most chosen": MapColumn(votes["chosen"].where(votes["chosen"] != "").astype("object")),
        "People: divided (bits)": MapColumn(votes["bits"], "Entropy of their choices, corrected for few votes; 2.58 at most."),
        "People: votes": MapColumn(votes["votes"].astype("float64")),
    }


def _classifier_columns(faces: MapFaces) -> dict[str, MapColumn]:
    found = {}
    for name in faces.classifiers:
        try:
            p = select_probabilities(faces.samples, name, faces.steerer)
        except LiminalError:
            continue
        known = np.isfinite(p).all(axis=1)
        said = np.where(known, np.array(EMOTIONS)[np.nan_to_num(p).argmax(axis=1)], None)
        found[f"{registry.title(name)} says"] = MapColumn(pd.Series(said, dtype="object"))
        if name == faces.steerer:
            for place, emotion in enumerate(EMOTIONS):
                found[f"{registry.title(name)}: {emotion}"] = MapColumn(pd.Series(p[:, place]), "Probability.")
    return found


MAX_CATEGORIES = 12
FIXED_COLOURS = {words: name for name, words in SAMPLE_TYPE_NAMES.items()}
"""Types of samples have their own colours and marks."""
NO_CATEGORY = 255
"""The code of a face without a value."""


def pack_positions(points: NDArray[np.float32], ids: Sequence[str], sets: Sequence[int]) -> bytes:
    """(N, 2) places, N ids of 20 hexadecimal digits, N numbers of sets -> 8 N bytes of floats, 10 N of ids, N of sets."""
    names = np.frombuffer(bytes.fromhex("".join(ids)), np.uint8)
    numbers = np.minimum(np.asarray(sets, np.int64), 255).astype("u1")
    return np.ascontiguousarray(points, "<f4").tobytes() + names.tobytes() + numbers.tobytes()


@dataclass(frozen=True, eq=False)
class ColourCoding:
    """What the component colours by: the legend in words, and a value a face as bytes; b"" where all are alike."""

    legend: Mapping[str, Any]
    values: bytes = b""

    def shown(self) -> dict[str, Any]:
        """With the address of the values, which are kept again."""
        return {**self.legend, "url": points_url(self.values) if self.values else ""}


def encode_colours(column: MapColumn | None, title: str) -> ColourCoding:
    """A column as the component takes it. None: all faces alike."""
    plain = {"kind": "none", "title": "", "missing": _theme_colours(theme.MISSING), "plain": _theme_colours(theme.INDIGO)}
    if column is None:
        return ColourCoding(plain)
    legend, values = _encode_numbers(column.values) if column.numeric else _encode_categories(column.values)
    return ColourCoding({**plain, "title": title, "without": int(column.values.isna().sum()), **legend}, values)


def _encode_numbers(values: pd.Series) -> tuple[dict[str, Any], bytes]:
    known = values.to_numpy(np.float64, na_value=np.nan)
    finite = known[np.isfinite(known)]
    low, high = (float(each) for each in np.quantile(finite, [0.01, 0.99])) if len(finite) else (0.0, 1.0)
    high = high if high > low else low + 1
    legend = {
        "kind": "number",
        "low": low,
        "high": high,
        "low_text": f"{low:.3g}",
        "high_text": f"{high:.3g}",
        "stops": [[place, _theme_colours(tone)] for place, tone in theme.SCALE_OF_POINTS],
    }
    return legend, known.astype("<f4").tobytes()


def _encode_categories(values: pd.Series) -> tuple[dict[str, Any], bytes]:
    code, found = pd.factorize(values.map(str, na_action="ignore"))
    counts = np.bincount(code[code >= 0], minlength=len(found))
    order = np.argsort(-counts, kind="stable")
    place = np.empty(len(found) + 1, np.int64)
    place[order] = np.minimum(np.arange(len(found)), MAX_CATEGORIES)
    place[-1] = NO_CATEGORY  # factorize gives -1 to a missing value
    told = [
        {
            "name": str(found[at]),
            "colour": _theme_colours(theme.pick_colour(FIXED_COLOURS.get(str(found[at]), str(found[at])), rank)),
            "symbol": theme.pick_symbol(FIXED_COLOURS.get(str(found[at]), str(found[at])), rank + rank // len(theme.CATEGORIES)),
            "count": int(counts[at]),
        }
        for rank, at in enumerate(order[:MAX_CATEGORIES])
    ]
    rest = int(counts[order[MAX_CATEGORIES:]].sum())
    if rest:
        told.append({"name": "others", "colour": _theme_colours(theme.FADED), "symbol": "circle", "count": rest})
    return {"kind": "words", "names": told}, place[code].astype("u1").tobytes()


def _theme_colours(tone: str) -> list[str]:
    """A colour in light and in dark."""
    return [tone, theme.DARK.get(tone, tone)]


SELECTION_PARAMETER = "selection"
PAGE_SIZE = 24


def show_map(faces: MapFaces) -> None:
    """Choices, the map and the selection."""
    if len(faces.ids) < 3:
        st.info("A map needs at least three faces with pictures; choose another study or sample set.")
        return
    known, ways = list_spaces(faces), dict(METHOD_NAMES)
    if not map_faces.list_planes(faces):
        ways.pop("Plane through three")
    columns = _load_columns(faces.key, faces)
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom", key="map-choices"):
        space = known[str(st.selectbox("Compared by", list(known), key="space", bind="query-params", width=230))]
        way = ways[str(st.selectbox("Laid flat by", list(ways), key="way", bind="query-params", width=275))]
        title = str(st.selectbox("Coloured by", _list_colour_names(columns, way), key="colour", bind="query-params", width=270))
    values = load_vectors(faces, space.name)
    if values is None:
        return
    three = map_faces.choose_plane(faces) if way == "plane" else None
    place = {name: number for number, name in enumerate(faces.ids)}
    corners = (place[three[0]], place[three[1]], place[three[2]]) if three else None
    made = lay_out_map(faces, space.name, values, way, corners)
    if made is None:
        return
    column: MapColumn | None
    if title == PLANE_DISTANCE:
        column = MapColumn(_plane_distance_column(made), "Distance of each face from the plane, in the units of its values.")
    else:
        column = columns.get(title)
    _draw_map(faces, made, column, title, space, [] if three is None else map_faces.plane_marks(faces, made, three))


def _show_explanation(made: Projection, column: MapColumn | None, space: MapSpace) -> None:
    """What is compared, how it was laid flat, what the colour is, and who is missing."""
    lost = int((~np.isfinite(made.points).all(axis=1)).sum())
    told = (
        space.says,
        METHOD_DESCRIPTIONS[made.method],
        _describe_axes(made),
        column.says if column else "",
        _describe_missing(lost),
    )
    st.html(caption_html(" ".join(each for each in told if each)))


def _list_colour_names(columns: dict[str, MapColumn], way: ProjectionMethod) -> list[str]:
    return [*columns, *([PLANE_DISTANCE] if way == "plane" else []), NO_COLOUR]


def _plane_distance_column(made: Projection) -> pd.Series[Any]:
    return pd.Series(made.off_plane(made.vectors))


@st.cache_resource(show_spinner=False, max_entries=6)
def _load_columns(key: str, _faces: MapFaces) -> dict[str, MapColumn]:
    return list_columns(_faces)


@st.cache_resource(show_spinner=False, max_entries=6)
def _load_positions_url(key: str, _faces: MapFaces, _made: Projection) -> bytes:
    number = {set_id: place for place, set_id in enumerate(_faces.sets)}
    return pack_positions(_made.points, _faces.ids, [number[_faces.where[name]] for name in _faces.ids])


@st.cache_resource(show_spinner=False, max_entries=12)
def _load_colours(key: str, title: str, _column: MapColumn | None) -> ColourCoding:
    return encode_colours(_column, title)


def _draw_map(
    faces: MapFaces, made: Projection, column: MapColumn | None, title: str, space: MapSpace, marked: list[MapPoint]
) -> None:
    own = f"{faces.key}\0{made.key}"
    extras = map_faces.build_live_points(faces, space.name, made)
    selected = _read_selection(faces)

    def select(chosen: NDArray[np.bool_]) -> None:
        names = [faces.ids[place] for place in np.flatnonzero(chosen)]
        try:
            token = pack_selection(names)
        except LiminalError as error:
            st.session_state["map-problem"] = str(error)
            return
        st.query_params.pop("page", None)
        if token:
            st.query_params[SELECTION_PARAMETER] = token
        else:
            st.query_params.pop(SELECTION_PARAMETER, None)

    show_face_map(
        url=points_url(_load_positions_url(own, faces, made)),
        count=len(faces.ids),
        sets=faces.sets,
        colour=_load_colours(own, title, column).shown(),
        selected=selected,
        marked=marked,
        extras=extras,
        key="face-map",
        on_select=select,
    )
    problem = st.session_state.pop("map-problem", "")
    if problem:
        st.warning(problem)
    _show_explanation(made, column, space)
    _show_selection(faces, selected, column, title)


def _describe_axes(made: Projection) -> str:
    if made.method == "umap":
        return "The axes have no meaning of their own."
    first, second = made.explained
    return (
        f"To the right lies {100 * first:.0f} % and upwards {100 * second:.0f} % of all that differs between these faces; the rest "
        "cannot be seen here."
    )


def _describe_missing(count: int) -> str:
    if not count:
        return ""
    return f"{count_noun(count, 'face')} {'is' if count == 1 else 'are'} not on the map, because no face was found in the picture."


def _read_selection(faces: MapFaces) -> NDArray[np.bool_]:
    wanted = set(unpack_selection(st.query_params.get(SELECTION_PARAMETER, ""), faces.ids))
    return np.array([name in wanted for name in faces.ids], bool) if wanted else np.zeros(len(faces.ids), bool)


def _show_selection(faces: MapFaces, selected: NDArray[np.bool_], column: MapColumn | None, title: str) -> None:
    rows = np.flatnonzero(selected)
    if not len(rows):
        st.html(caption_html("Draw around faces to see them here; the address of this page then brings the same faces back."))
        return
    st.subheader(f"{len(rows):,} selected", anchor=False)
    tiles = []
    for row in rows[paginate(len(rows), PAGE_SIZE, "selection-page")]:
        name = faces.ids[row]
        told = _describe_value(column, int(row))
        tiles.append(components.Tile(name, faces.picture(name), f"Generated face; {title}: {told}", title=told))
    components.show_faces(
        [components.FaceGroup(tiles, columns=8)],
        key="selected",
        on_pick=selection.select_item,
        selected=selection.selected_item(),
        layout="rows",
        tile="9rem",
    )
    item = selection.selected_item()
    if item in faces.where and item in faces.ids:
        _open_face(faces, item)


def _describe_value(column: MapColumn | None, row: int) -> str:
    """A face's value in words."""
    if column is None:
        return ""
    value = column.values.iloc[row]
    if value is None or value != value:
        return "no value"
    return f"{value:.3g}" if column.numeric else str(value)


@st.dialog("One face of the map", width="large", on_dismiss=selection.clear_item)
def _open_face(faces: MapFaces, name: str) -> None:
    row = faces.ids.index(name)
    base = str(faces.samples["base_id"].iloc[row])
    left, right = st.columns([6, 5], gap="large")
    with left:
        shown = [(name, "The face")]
        if base != name and faces.picture(base):
            shown.insert(0, (base, "The face it was made from"))
        figures = "".join(
            f'<figure><img src="{html.escape(faces.picture(each))}" alt="{caption}, a generated face">'
            f"<figcaption>{caption}</figcaption></figure>"
            for each, caption in shown
        )
        st.html(f'<div class="{"pair" if len(shown) == 2 else "single"}">{figures}</div>')
    with right:
        lines = "".join(
            f"<div><span>{html.escape(title)}</span><b>{html.escape(_describe_value(column, row))}</b></div>"
            for title, column in _load_columns(faces.key, faces).items()
            if _describe_value(column, row) != "no value"
        )
        st.html(f'<div class="known">{lines}</div>')
    st.html(caption_html("The address of this page brings this face back."))
