"""The map of faces: points that can be moved, magnified, pointed at and drawn around; faces themselves: all
where few are in view, else as many as do not overlap."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from ui.components.mounting import mount

PARTS = ("map_points", "map_thinning")


@dataclass(frozen=True)
class Point:
    """A face at a place of its own on the map: one that was just made, or one that has a name there."""

    x: float
    y: float
    label: str
    src: str


def face_map(
    *,
    url: str,
    count: int,
    sets: Sequence[str],
    colour: Mapping[str, Any],
    selected: NDArray[np.bool_],
    marked: Sequence[Point],
    extras: Sequence[Point],
    key: str,
    on_select: Callable[[NDArray[np.bool_]], None],
) -> None:
    """url: where the places, ids and sets of ``count`` faces are (``ui.analysis.map_data.places``); colour: ``map_data.Colour``.

    ``on_select`` is called with what was drawn around, one value a face. selected: what is marked now.
    """

    def chosen() -> None:
        bits = st.session_state[key].get("selected")
        if bits is not None:
            on_select(unpacked(bits, count))

    mount("face_map", parts=PARTS)(
        data={
            "url": url,
            "count": count,
            "sets": list(sets),
            "colour": dict(colour),
            "selected": packed(selected),
            "marked": [asdict(each) for each in marked],
            "extras": [asdict(each) for each in extras],
        },
        key=key,
        on_selected_change=chosen,
    )


def packed(chosen: NDArray[np.bool_]) -> str:
    """One bit a face, the first in the lowest bit, as base64; '' for none."""
    return base64.b64encode(np.packbits(chosen, bitorder="little").tobytes()).decode() if chosen.any() else ""


def unpacked(bits: str, count: int) -> NDArray[np.bool_]:
    """The same back; whatever a browser sends, ``count`` values."""
    try:
        content = np.frombuffer(base64.b64decode(str(bits), validate=True), np.uint8)
    except ValueError:
        content = np.zeros(0, np.uint8)
    found = np.unpackbits(content, bitorder="little")[:count].astype(bool)
    return np.pad(found, (0, count - len(found)))
