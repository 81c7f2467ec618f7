"""The page 'Map': all faces on one sheet, coloured by what is known of them; faces that are drawn around are shown below.

Positions and colours are sent to the browser once, as bytes under an address that holds their hash.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from core.analysis.choices import count_choices
from core.analysis.disagreement import score_identity_spread, score_rating_spread, score_similarity_spread
from core.analysis.encode import list_recognisers, select_probabilities
from core.analysis.projection import Projection, ProjectionMethod
from core.analysis.selection import pack_selection, unpack_selection
from core.analysis.study_data import StudyData
from core.errors import LiminalError
from core.figures import theme
from core.models import registry
from core.models.emotions import EMOTIONS
from core.sampling.configuration import NO_LATENTS
from ui import components, navigation, selection
from ui.analysis import map_faces
from ui.analysis.map_faces import METHOD_DESCRIPTIONS, METHOD_NAMES, MapFaces, MapSpace, lay_out_map, list_spaces, load_vectors
from ui.analysis.rankings import SAMPLE_TYPE_NAMES
from ui.components import MapPoint, show_face_map
from ui.markup import caption_html, count_noun, describe_sample_type, show_simulated_badge
from ui.pictures import points_url
from ui.selection import paginate
from ui.studies import access, owner_gate

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator


NO_COLOUR = "nothing"
PLANE_DISTANCE = "How far off this plane"


@dataclass(frozen=True, eq=False)
class MapColumn:
    """Values to colour by, in the order of the faces: numbers or words, missing where there is none."""

    values: pd.Series
    description: str = ""

    @property
    def numeric(self) -> bool:
        return is_numeric_dtype(self.values) and not is_bool_dtype(self.values)


def list_columns(faces: MapFaces) -> dict[str, MapColumn]:
    """Columns to colour by: name -> column; empty ones are left out."""
    columns: dict[str, MapColumn] = {}
    samples, pairs = faces.samples, faces.pairs
    types = samples["sample_type"]
    if faces.kind == "identity":  # a face is stored as its own base; where none was made from it, it is the other person of a pair
        types = types.mask((types == "genuine") & (pairs["sample_type"] == "negative").to_numpy(), "negative")
    kinds = types.map(lambda name: SAMPLE_TYPE_NAMES.get(str(name), str(name)))
    checks = [] if faces.study_data is None else [each.stimulus for each in faces.study_data.stimuli if each.is_sentinel]
    # a check on feelings is a face of its own; one on pairs is the base itself
    columns["Kind of sample"] = MapColumn(kinds.mask(samples["sample_id"].isin(checks), "attention check"))
    if faces.kind == "identity":
        bases = list(dict.fromkeys(samples["base_id"]))
        numbers = {name: f"person {number}" for number, name in enumerate(bases, start=1)}
        if faces.has_latents:
            columns["Whose base"] = MapColumn(samples["base_id"].map(numbers), "The person from whom a sample was made.")
        columns |= _recogniser_columns(pairs)
        columns["How different it looks (LPIPS)"] = MapColumn(pairs["lpips"], "From its base; 0 is the same picture.")
    else:
        columns["Made between"] = MapColumn(samples["emotion1"].str.cat(samples["emotion2"], sep=" and "))
    columns["Step"] = MapColumn(samples["step"].astype("float64"))
    if faces.study_data is not None:
        columns |= _people_columns(faces, faces.study_data)
    columns |= _classifier_columns(faces)
    return {name: column for name, column in columns.items() if column.values.notna().any()}


def _recogniser_columns(pairs: pd.DataFrame) -> dict[str, MapColumn]:
    columns = {}
    for name in list_recognisers(pairs):
        columns[f"Distance under {registry.title(name)}"] = MapColumn(pairs[f"distance_{name}"].astype("float64"), "From its base.")
        if f"accepted_{name}" in pairs:
            verdict = pairs[f"accepted_{name}"].map({True: "accepted", False: "refused"}, na_action="ignore")
            columns[f"Accepted by {registry.title(name)}"] = MapColumn(verdict.astype("object"))
    return columns


def _people_columns(faces: MapFaces, study_data: StudyData) -> Mapping[str, MapColumn]:
    plan = study_data.study.plan
    if plan.asks == "identity":
        one = score_identity_spread(study_data.pairs, study_data.ratings, excluded=study_data.excluded).table
        alike = score_similarity_spread(study_data.pairs, study_data.ratings, excluded=study_data.excluded).table
        shares = pd.Series(one["share"].to_numpy(), index=one["stimulus"])
        means = pd.Series(alike["mean"].to_numpy(), index=alike["stimulus"])
        pair_ids = faces.pairs["pair_id"]
        return {
            "People: the same person": MapColumn(pair_ids.map(shares).astype("float64"), "Share of people who say so."),
            "People: how alike": MapColumn(pair_ids.map(means).astype("float64"), "Mean of 0 to 100."),
            "People: divided": MapColumn(
                pair_ids.map(pd.Series(one["score"].to_numpy(), index=one["stimulus"])).astype("float64"),
                "Standard deviation of 'the same person?', 0.5 at most.",
            ),
        }

    asked = study_data.shown["stimulus"]
    votes = count_choices(
        study_data.ratings, asked, excluded=study_data.excluded, task=plan.main_task, labels=plan.choices
    ).table.set_index("stimulus")
    votes["votes"] = votes["votes"].astype("float64")
    if plan.asks == "scale":
        spread = score_rating_spread(study_data.shown, study_data.ratings, excluded=study_data.excluded).table.set_index("stimulus")
        votes["mean"], votes["deviation"] = spread["rated"], spread["score"]
        ends = f"Mean of 1 ({plan.scale_low}) to {plan.scale_points} ({plan.scale_high})."
        named = {
            "People: mean rating": ("mean", ends),
            "People: divided (points)": ("deviation", "Standard deviation over people, in points of the scale."),
        }
    else:
        most = math.log2(len(plan.choices))
        votes["chosen"] = votes["chosen"].where(votes["chosen"] != "").astype("object")
        named = {
            "People: most chosen": ("chosen", ""),
            "People: divided (bits)": ("bits", f"Entropy of their choices, corrected for few votes; {most:.2f} at most."),
        }
    shown = faces.samples["sample_id"] if study_data.kind == "emotion" else faces.pairs["pair_id"]
    return {
        name: MapColumn(shown.map(votes[column]), description)
        for name, (column, description) in {**named, "People: votes": ("votes", "")}.items()
    }


def _classifier_columns(faces: MapFaces) -> dict[str, MapColumn]:
    columns = {}
    for name in faces.classifiers:
        try:
            p = select_probabilities(faces.samples, name, faces.steerer)
        except LiminalError:
            continue
        known = np.isfinite(p).all(axis=1)
        first_choice = np.where(known, np.array(EMOTIONS)[np.nan_to_num(p).argmax(axis=1)], None)
        columns[f"{registry.title(name)} says"] = MapColumn(pd.Series(first_choice, dtype="object"))
        if name == faces.steerer:
            for index, emotion in enumerate(EMOTIONS):
                columns[f"{registry.title(name)}: {emotion}"] = MapColumn(pd.Series(p[:, index]), "Probability.")
    return columns


MAX_CATEGORIES = 12
FIXED_COLOURS = {words: name for name, words in SAMPLE_TYPE_NAMES.items()}
"""Types of samples have their own colours and marks."""
NO_CATEGORY = 255
"""The code of a face without a value."""


def pack_positions(points: NDArray[np.float32], ids: Sequence[str], sets: Sequence[int]) -> bytes:
    """Positions (N, 2), N ids of 20 hexadecimal digits, N indices of sets -> 8 N bytes of floats, 10 N of ids, N of sets."""
    names = np.frombuffer(bytes.fromhex("".join(ids)), np.uint8)
    numbers = np.minimum(np.asarray(sets, np.int64), 255).astype("u1")
    return np.ascontiguousarray(points, "<f4").tobytes() + names.tobytes() + numbers.tobytes()


@dataclass(frozen=True, eq=False)
class ColourCoding:
    """The legend, and one value a face as bytes; b"" where all faces have one colour."""

    legend: Mapping[str, Any]
    values: bytes = b""

    def to_message(self) -> dict[str, Any]:
        """What is sent to the component: the legend and the address of the values, which the server stores again."""
        return {**self.legend, "url": points_url(self.values) if self.values else ""}


def encode_colours(column: MapColumn | None, title: str) -> ColourCoding:
    """Encode a column for the component. None: one colour for all faces."""
    plain = {"kind": "none", "title": "", "missing": _theme_colours(theme.MISSING), "plain": _theme_colours(theme.INDIGO)}
    if column is None:
        return ColourCoding(plain)
    legend, values = _encode_numbers(column.values) if column.numeric else _encode_categories(column.values)
    return ColourCoding({**plain, "title": title, "without": int(column.values.isna().sum()), **legend}, values)


def _encode_numbers(values: pd.Series) -> tuple[dict[str, Any], bytes]:
    known = values.to_numpy(np.float64, na_value=np.nan)
    finite = known[np.isfinite(known)]
    low, high = (float(value) for value in np.quantile(finite, [0.01, 0.99])) if len(finite) else (0.0, 1.0)
    high = high if high > low else low + 1
    legend = {
        "kind": "number",
        "low": low,
        "high": high,
        "low_text": f"{low:.3g}",
        "high_text": f"{high:.3g}",
        "stops": [[position, _theme_colours(tone)] for position, tone in theme.SCALE_OF_POINTS],
    }
    return legend, known.astype("<f4").tobytes()


def _encode_categories(values: pd.Series) -> tuple[dict[str, Any], bytes]:
    code, categories = pd.factorize(values.map(str, na_action="ignore"))
    names = [str(category) for category in categories]
    counts = np.bincount(code[code >= 0], minlength=len(names))
    order = np.argsort(-counts, kind="stable")
    rank_of = np.empty(len(names) + 1, np.int64)
    rank_of[order] = np.minimum(np.arange(len(names)), MAX_CATEGORIES)
    rank_of[-1] = NO_CATEGORY  # factorize gives -1 to a missing value
    entries = [
        {
            "name": names[index],
            "colour": _theme_colours(theme.pick_colour(FIXED_COLOURS.get(names[index], names[index]), rank)),
            "symbol": theme.pick_symbol(FIXED_COLOURS.get(names[index], names[index]), rank + rank // len(theme.CATEGORIES)),
            "count": int(counts[index]),
        }
        for rank, index in enumerate(order[:MAX_CATEGORIES])
    ]
    rest = int(counts[order[MAX_CATEGORIES:]].sum())
    if rest:
        entries.append({"name": "others", "colour": _theme_colours(theme.FADED), "symbol": "circle", "count": rest})
    return {"kind": "words", "names": entries}, rank_of[code].astype("u1").tobytes()


def _theme_colours(tone: str) -> list[str]:
    """A colour in light and in dark."""
    return [tone, theme.DARK.get(tone, tone)]


SELECTION_PARAMETER = "selection"
PAGE_SIZE = 24


def show_map(faces: MapFaces, choices: DeltaGenerator, sheet: DeltaGenerator) -> None:
    """Show what to choose in one column, the map in the other, and below both the selected faces."""
    if len(faces.ids) < 3:
        st.info("A map needs at least three faces with pictures; choose another study or sample set.")
        return
    known, ways = list_spaces(faces), dict(METHOD_NAMES)
    if not map_faces.list_planes(faces):
        ways.pop("Plane through three")
    columns = _load_columns(faces.key, faces)
    with choices, st.container(horizontal=True, gap="medium", vertical_alignment="bottom", key="map-choices"):
        space = known[str(st.selectbox("Compared by", list(known), key="space", bind="query-params", width=230))]
        way = ways[str(st.selectbox("Laid flat by", list(ways), key="way", bind="query-params", width=275))]
        title = str(st.selectbox("Coloured by", _list_colour_names(columns, way), key="colour", bind="query-params", width=270))
    with sheet:
        drawn = _project_and_draw(faces, space, way, title, columns)
    if drawn is not None:
        _show_selection(faces, *drawn, title)


def _project_and_draw(
    faces: MapFaces, space: MapSpace, way: ProjectionMethod, title: str, columns: Mapping[str, MapColumn]
) -> tuple[NDArray[np.bool_], MapColumn | None] | None:
    """Draw the map -> which faces are selected (N,), and the column it is coloured by; None while its places are worked out."""
    values = load_vectors(faces, space.name)
    if values is None:
        return None
    three = map_faces.choose_plane(faces) if way == "plane" else None
    row_of = {name: number for number, name in enumerate(faces.ids)}
    corners = (row_of[three[0]], row_of[three[1]], row_of[three[2]]) if three else None
    projection = lay_out_map(faces, space.name, values, way, corners)
    if projection is None:
        return None
    column: MapColumn | None
    if title == PLANE_DISTANCE:
        column = MapColumn(_plane_distance_column(projection), "Distance of each face from the plane, in the units of its values.")
    else:
        column = columns.get(title)
    marks = [] if three is None else map_faces.plane_marks(faces, projection, three)
    return _draw_map(faces, projection, column, title, space, marks), column


def _describe_count(faces: MapFaces) -> str:
    """Why the map has so many points, where a reader knows another number."""
    count = count_noun(len(faces.ids), "face")
    if faces.kind == "identity":
        pairs = int(faces.study_data.pairs["pair_id"].nunique()) if faces.study_data is not None else 0
        return f"{count}{f' of {pairs:,} pairs' if pairs else ''}: one that is in several pairs, such as a base, is one point."
    checks = 0 if faces.study_data is None else sum(stimulus.is_sentinel for stimulus in faces.study_data.stimuli)
    return f"{count}, {checks:,} of them attention checks." if checks else f"{count}."


def _show_explanation(faces: MapFaces, projection: Projection, column: MapColumn | None, space: MapSpace) -> None:
    """Say what is compared, how it was projected, what the colour means and how many faces are missing."""
    lost = int((~np.isfinite(projection.points).all(axis=1)).sum())
    parts = (
        space.description,
        NO_LATENTS if not faces.has_latents else "",
        METHOD_DESCRIPTIONS[projection.method],
        _describe_axes(projection),
        column.description if column else "",
        _describe_count(faces),
        _describe_missing(lost),
    )
    st.html(caption_html(" ".join(part for part in parts if part)))


def _list_colour_names(columns: dict[str, MapColumn], way: ProjectionMethod) -> list[str]:
    return [*columns, *([PLANE_DISTANCE] if way == "plane" else []), NO_COLOUR]


def _plane_distance_column(projection: Projection) -> pd.Series[Any]:
    return pd.Series(projection.off_plane(projection.vectors))


@st.cache_resource(show_spinner=False, max_entries=6)
def _load_columns(key: str, _faces: MapFaces) -> dict[str, MapColumn]:
    return list_columns(_faces)


@st.cache_resource(show_spinner=False, max_entries=6)
def _load_positions_url(key: str, _faces: MapFaces, _projection: Projection) -> bytes:
    number = {set_id: index for index, set_id in enumerate(_faces.sets)}
    return pack_positions(_projection.points, _faces.ids, [number[_faces.where[name]] for name in _faces.ids])


@st.cache_resource(show_spinner=False, max_entries=12)
def _load_colours(key: str, title: str, _column: MapColumn | None) -> ColourCoding:
    return encode_colours(_column, title)


def _draw_map(
    faces: MapFaces, projection: Projection, column: MapColumn | None, title: str, space: MapSpace, marked: list[MapPoint]
) -> NDArray[np.bool_]:
    """Draw the map and say what it shows -> which faces are selected (N,)."""
    key = f"{faces.key}\0{projection.key}"
    extras = map_faces.build_live_points(faces, space.name, projection)
    selected = _read_selection(faces)

    def select(chosen: NDArray[np.bool_]) -> None:
        names = [faces.ids[row] for row in np.flatnonzero(chosen)]
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
        url=points_url(_load_positions_url(key, faces, projection)),
        count=len(faces.ids),
        sets=faces.sets,
        colour=_load_colours(key, _mark_title(faces, title), column).to_message(),
        selected=selected,
        marked=marked,
        extras=extras,
        key="face-map",
        on_select=select,
    )
    problem = st.session_state.pop("map-problem", "")
    if problem:
        st.warning(problem)
    _show_explanation(faces, projection, column, space)
    return selected


def _describe_axes(projection: Projection) -> str:
    if projection.method == "umap":
        return "The axes have no meaning of their own."
    first, second = projection.explained
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
    _offer_selection(faces, [faces.ids[row] for row in rows])
    tiles = []
    for row in rows[paginate(len(rows), PAGE_SIZE, "selection-page")]:
        name = faces.ids[row]
        value = _describe_value(column, int(row))
        tiles.append(
            components.Tile(
                name,
                faces.picture(name),
                f"{'Generated face' if faces.has_latents else 'Face'}, {_describe_face(faces, int(row))}; "
                f"{_mark_title(faces, title)}: {value}",
                title=_describe_face(faces, int(row)),
                words=value,
            )
        )
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


def _describe_face(faces: MapFaces, row: int) -> str:
    """What kind of sample a face is and of whom, with its number in the set, so that no two are called the same."""
    sample = faces.samples.iloc[row]
    if not faces.has_latents:
        return f"picture no. {row + 1}"
    if faces.kind == "emotion":
        between = isinstance(sample["emotion1"], str)  # own pictures among generated ones were made between no two
        return f"{sample['emotion1']} and {sample['emotion2']}, no. {row + 1}" if between else f"picture no. {row + 1}"
    people = list(dict.fromkeys(faces.samples["base_id"]))
    kind = describe_sample_type(str(sample["sample_type"]), float(sample["step"]))
    return f"{kind}, of person {people.index(sample['base_id']) + 1}, no. {row + 1}"


def _offer_selection(faces: MapFaces, names: Sequence[str]) -> None:
    """One press each: a study about the selected faces, a sample set of them, a table of all that the map knows of them."""
    with st.container(horizontal=True, gap="small", key="selection-ways"):
        if owner_gate.is_allowed() and st.button("Ask people about these", key="selection-study", icon=":material/groups:"):
            sets = ",".join(_keep_selection(faces, names))
            st.switch_page(navigation.build_page(navigation.STUDIES), query_params={"new": sets})
        if owner_gate.is_allowed() and st.button("Keep as a set", key="selection-set", icon=":material/bookmark:"):
            kept = _keep_selection(faces, names)
            st.toast(
                f"Kept in the library: {count_noun(len(kept), 'set')} of {count_noun(len(names), 'face')}.", icon=":material/check:"
            )
        st.download_button(
            "Download the table",
            lambda: _tabulate(faces, names).to_csv(index=False).encode(),
            "selected-faces.csv",
            "text/csv",
            key="selection-table",
            icon=":material/table:",
            on_click="ignore",
        )


def _keep_selection(faces: MapFaces, names: Sequence[str]) -> list[str]:
    """Sets of the library with these faces alone, one for each set that they come from -> their ids."""
    library, kept = access.get_library(), []
    for set_id in dict.fromkeys(faces.where[name] for name in names):
        chosen = [name for name in names if faces.where[name] == set_id]
        title = f"{count_noun(len(chosen), 'face')} drawn around on the map"
        kept.append(library.add(library.load(set_id).take_samples(chosen), title))
    return kept


def _tabulate(faces: MapFaces, names: Sequence[str]) -> pd.DataFrame:
    """One row a face: its id, its set, and every column that the map can be coloured by."""
    rows = [faces.ids.index(name) for name in names]
    columns = {
        _mark_title(faces, title): column.values.iloc[rows].to_numpy() for title, column in _load_columns(faces.key, faces).items()
    }
    return pd.DataFrame({"sample_id": list(names), "set": [faces.where[name] for name in names], **columns})


def _mark_title(faces: MapFaces, title: str) -> str:
    """A column's name as a legend and a dialog show it: of simulated answers with that word, which the address does not hold."""
    simulated = faces.study_data is not None and faces.study_data.source == "simulated"
    return title.replace("People:", "Simulated observers:", 1) if simulated else title


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
        pictures = [(name, "The face")]
        if base != name and faces.picture(base):
            pictures.insert(0, (base, "The face it was made from" if faces.has_latents else "The face beside it"))
        noun = "a generated face" if faces.has_latents else "a face"
        figures = "".join(
            f'<figure><img src="{html.escape(faces.picture(sample_id))}" alt="{caption}, {noun}">'
            f"<figcaption>{caption}</figcaption></figure>"
            for sample_id, caption in pictures
        )
        st.html(f'<div class="{"pair" if len(pictures) == 2 else "single"}">{figures}</div>')
    with right:
        lines = "".join(
            f"<div><span>{html.escape(_mark_title(faces, title))}</span><b>{html.escape(_describe_value(column, row))}</b></div>"
            for title, column in _load_columns(faces.key, faces).items()
            if _describe_value(column, row) != "no value"
        )
        st.html(f'<div class="known">{lines}</div>')
        if faces.study_data is not None and len(faces.study_data.ratings):
            show_simulated_badge(faces.study_data.source)
    st.html(caption_html("The address of this page brings this face back."))
