"""Three faces for the plane of paper A's Fig. 1: a base, another person, and what a search from there found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from ui.components.face_map import Point

if TYPE_CHECKING:
    from core.analysis.projection import Projection
    from ui.analysis.map_faces import Faces

LABELS = ("the base", "another person", "the optimum")


def possible(faces: Faces) -> dict[str, dict[str, tuple[str, str, str]]]:
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


def choose(faces: Faces) -> tuple[str, str, str] | None:
    """Widgets for the three; None where there are no such three."""
    ways = possible(faces)
    if not ways:
        return None
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="map-three"):
        base = str(st.selectbox("Base", list(ways), key="base", bind="query-params", width=180))
        other = str(st.selectbox("Another person", list(ways[base]), key="other", bind="query-params", width=180))
        three = ways[base][other]
        figures = "".join(
            f'<figure><img src="{faces.picture(name)}" alt="{label}, a generated face"><figcaption>{label}</figcaption></figure>'
            for name, label in zip(three, LABELS, strict=True)
        )
        st.html(f'<div class="pair three">{figures}</div>')
    return three


def marks(faces: Faces, projection: Projection, three: tuple[str, str, str]) -> list[Point]:
    """The three on the map."""
    place = {name: number for number, name in enumerate(faces.ids)}
    found = []
    for name, label in zip(three, LABELS, strict=True):
        x, y = (float(each) for each in projection.points[place[name]])
        found.append(Point(x, y, label, faces.picture(name)))
    return found
