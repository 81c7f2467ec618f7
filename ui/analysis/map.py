"""The page 'Map': all faces on one sheet, coloured by what is known of them; what is drawn around is shown below."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.analysis.selection import pack, unpack
from core.errors import LiminalError
from ui import components, looked_at
from ui.analysis import map_columns, map_data, map_live, map_plane
from ui.analysis.map_faces import Faces
from ui.analysis.map_places import SAYS, WAYS, Space, laid_out, spaces, vectors
from ui.components.face_map import Point, face_map
from ui.paging import paged
from ui.set_routes import points_url
from ui.studies.words import many
from ui.words import fine

if TYPE_CHECKING:
    from core.analysis.projection import Method, Projection

SELECTION = "selection"
PAGE = 24


def show(faces: Faces) -> None:
    """Choices, the map and the selection."""
    if len(faces.ids) < 3:
        st.info("A map needs at least three faces with pictures; choose another study or sample set.")
        return
    known, ways = spaces(faces), dict(WAYS)
    if not map_plane.possible(faces):
        ways.pop("Plane through three")
    columns = _columns(faces.key, faces)
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom", key="map-choices"):
        space = known[str(st.selectbox("Compared by", list(known), key="space", bind="query-params", width=230))]
        way = ways[str(st.selectbox("Laid flat by", list(ways), key="way", bind="query-params", width=275))]
        title = str(st.selectbox("Coloured by", _names(columns, way), key="colour", bind="query-params", width=270))
    values = vectors(faces, space.name)
    if values is None:
        return
    three = map_plane.choose(faces) if way == "plane" else None
    place = {name: number for number, name in enumerate(faces.ids)}
    corners = (place[three[0]], place[three[1]], place[three[2]]) if three else None
    made = laid_out(faces, space.name, values, way, corners)
    if made is None:
        return
    if title == map_columns.OFF:
        column = map_columns.Column(_away(made), "Distance of each face from the plane, in the units of its values.")
    else:
        column = columns.get(title)
    _draw(faces, made, column, title, space, [] if three is None else map_plane.marks(faces, made, three))


def _told_below(made: Projection, column: map_columns.Column | None, space: Space) -> None:
    """What is compared, how it was laid flat, what the colour is, and who is missing."""
    lost = int((~np.isfinite(made.points).all(axis=1)).sum())
    told = (space.says, SAYS[made.method], _axes(made), column.says if column else "", _lost(lost))
    st.html(fine(" ".join(each for each in told if each)))


def _names(columns: dict[str, map_columns.Column], way: Method) -> list[str]:
    return [*columns, *([map_columns.OFF] if way == "plane" else []), map_columns.PLAIN]


def _away(made: Projection) -> object:
    import pandas as pd

    return pd.Series(made.off_plane(made.vectors))


@st.cache_resource(show_spinner=False, max_entries=6)
def _columns(key: str, _faces: Faces) -> dict[str, map_columns.Column]:
    return map_columns.columns(_faces)


@st.cache_resource(show_spinner=False, max_entries=6)
def _places(key: str, _faces: Faces, _made: Projection) -> bytes:
    number = {set_id: place for place, set_id in enumerate(_faces.sets)}
    return map_data.places(_made.points, _faces.ids, [number[_faces.where[name]] for name in _faces.ids])


@st.cache_resource(show_spinner=False, max_entries=12)
def _coloured(key: str, title: str, _column: map_columns.Column | None) -> map_data.Coloured:
    return map_data.coloured(_column, title)


def _draw(faces: Faces, made: Projection, column: map_columns.Column | None, title: str, space: Space, marked: list[Point]) -> None:
    own = f"{faces.key}\0{made.key}"
    extras = map_live.dropped_in(faces, space.name, made)
    selected = _selected(faces)

    def select(chosen: NDArray[np.bool_]) -> None:
        names = [faces.ids[place] for place in np.flatnonzero(chosen)]
        try:
            token = pack(names)
        except LiminalError as error:
            st.session_state["map-problem"] = str(error)
            return
        st.query_params.pop("page", None)
        if token:
            st.query_params[SELECTION] = token
        else:
            st.query_params.pop(SELECTION, None)

    face_map(
        url=points_url(_places(own, faces, made)),
        count=len(faces.ids),
        sets=faces.sets,
        colour=_coloured(own, title, column).shown(),
        selected=selected,
        marked=marked,
        extras=extras,
        key="face-map",
        on_select=select,
    )
    problem = st.session_state.pop("map-problem", "")
    if problem:
        st.warning(problem)
    _told_below(made, column, space)
    _selection(faces, selected, column, title)


def _axes(made: Projection) -> str:
    if made.method == "umap":
        return "The axes have no meaning of their own."
    first, second = made.explained
    return (
        f"To the right lies {100 * first:.0f} % and upwards {100 * second:.0f} % of all that differs between these faces; the rest "
        "cannot be seen here."
    )


def _lost(count: int) -> str:
    if not count:
        return ""
    return f"{many(count, 'face')} {'is' if count == 1 else 'are'} not on the map, because no face was found in the picture."


def _selected(faces: Faces) -> NDArray[np.bool_]:
    wanted = set(unpack(st.query_params.get(SELECTION, ""), faces.ids))
    return np.array([name in wanted for name in faces.ids], bool) if wanted else np.zeros(len(faces.ids), bool)


def _selection(faces: Faces, selected: NDArray[np.bool_], column: map_columns.Column | None, title: str) -> None:
    rows = np.flatnonzero(selected)
    if not len(rows):
        st.html(fine("Draw around faces to see them here; the address of this page then brings the same faces back."))
        return
    st.subheader(f"{len(rows):,} selected", anchor=False)
    tiles = []
    for row in rows[paged(len(rows), PAGE, "selection-page")]:
        name = faces.ids[row]
        told = _told(column, int(row))
        tiles.append(components.Tile(name, faces.picture(name), f"Generated face; {title}: {told}", title=told))
    components.faces(
        [components.Group(tiles, columns=8)],
        key="selected",
        on_pick=looked_at.pick,
        selected=looked_at.picked(),
        layout="rows",
        tile="9rem",
    )
    item = looked_at.picked()
    if item in faces.where and item in faces.ids:
        _open(faces, item)


def _told(column: map_columns.Column | None, row: int) -> str:
    """A face's value in words."""
    if column is None:
        return ""
    value = column.values.iloc[row]
    if value is None or value != value:
        return "no value"
    return f"{value:.3g}" if column.numeric else str(value)


@st.dialog("One face of the map", width="large", on_dismiss=looked_at.forget)
def _open(faces: Faces, name: str) -> None:
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
            f"<div><span>{html.escape(title)}</span><b>{html.escape(_told(column, row))}</b></div>"
            for title, column in _columns(faces.key, faces).items()
            if _told(column, row) != "no value"
        )
        st.html(f'<div class="known">{lines}</div>')
    st.html(fine("The address of this page brings this face back."))
