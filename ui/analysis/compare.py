"""Two of a kind on the same axes: studies, sample sets, models, or groups of people."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from core.errors import LiminalError
from ui.analysis import material
from ui.analysis.choices import one_of
from ui.analysis.figure_card import card
from ui.studies import access
from ui.words import fine, lead

if TYPE_CHECKING:
    from core.analysis.material import Material
    from core.figures.exhibits.exhibit import Exhibit, View
    from ui.analysis.material import Chosen

MODES = {"models": "two models", "groups": "two groups of people", "studies": "two studies", "sets": "two sample sets"}


@dataclass(frozen=True, eq=False)
class Sides:
    """What is compared. key: changes whenever anything in it does."""

    key: str
    first: Material
    second: Material
    titles: tuple[str, str]
    models: tuple[str, str] | None = None


def show() -> None:
    """The choice, then both sides and their differences."""
    st.title("What is the difference?", anchor=False)
    st.html(lead("Two of a kind on the same axes, with the difference and how sure it is."))
    mode = one_of("Compare", list(MODES), "compare", titles=MODES)
    chosen = None if mode == "sets" else material.choose()
    if mode != "sets" and chosen is None:
        return
    sides = {"models": _models, "groups": _groups, "studies": _studies}[mode](chosen) if chosen is not None else _sets()
    if sides is None:
        return
    view = _view(sides)
    try:
        found = _found(sides.key, view, sides)
    except LiminalError as error:
        st.info(str(error))
        return
    if not found:
        st.info("There is nothing to compare yet: nobody has answered on one of the two sides.")
    pairs = {each.key.removesuffix("-both"): each for each in found if each.key.endswith("-both")}
    for each in found:
        if each.key in {f"{name}-difference" for name in pairs}:
            continue
        other = next((one for one in found if one.key == each.key.replace("-both", "-difference") and one is not each), None)
        if other is None:
            card(each, f"compare-{each.key}", name=f"compare-{each.key}")
            continue
        left, right = st.columns(2, gap="large")
        with left:
            card(each, f"compare-{each.key}", name=f"compare-{each.key}")
        with right:
            card(other, f"compare-{other.key}", name=f"compare-{other.key}")
    if found:
        st.html(fine("Where the interval of a difference holds 0, it may be chance; of many rows some stand out by chance alone."))


@st.cache_resource(show_spinner="Comparing", max_entries=24)
def _found(key: str, view: View, _sides: Sides) -> list[Exhibit]:
    from core.figures.exhibits import compare

    if _sides.models is not None:
        return compare.models(_sides.first, *_sides.models, view)
    return compare.materials(_sides.first, _sides.second, _sides.titles, view)


def _view(sides: Sides) -> View:
    """The recogniser that both sides know."""
    from core.figures.exhibits.contents import first_view
    from core.figures.exhibits.exhibit import View

    if sides.models is not None or sides.first.kind != "identity":
        return View()
    first, second = (first_view(each).recogniser for each in (sides.first, sides.second))
    return View(recogniser=first if first and first in sides.second.thresholds else second)


def _two(label: str, names: list[str], key: str, titles: dict[str, str] | None = None) -> tuple[str, str] | None:
    """Two different ones of several, kept in the address."""
    if len(names) < 2:
        return None
    picked = []
    for place, (side, column) in enumerate(zip(("first", "second"), st.columns(2, gap="large"), strict=True)):
        with column:
            label_of = f"{side.capitalize()} {label}"
            picked.append(one_of(label_of, names, f"{key}-{side}", titles=titles, look="list", default=names[place]))
    if picked[0] == picked[1]:
        st.info(f"Both are the same {label}; choose two different ones.")
        return None
    return picked[0], picked[1]


def _models(chosen: Chosen) -> Sides | None:
    from core.figures.exhibits.exhibit import title_of

    made = chosen.material
    names = [each for each in made.recognisers if each in made.thresholds] if made.kind == "identity" else list(made.classifiers)
    noun = "recogniser" if made.kind == "identity" else "network"
    picked = _two(noun, names, noun, {name: title_of(name) for name in names})
    if picked is None:
        if len(names) < 2:
            st.info(f"One {noun} judged these faces; it takes two to compare.")
        return None
    titles = (title_of(picked[0]), title_of(picked[1]))
    return Sides(f"{chosen.key}\0models\0{picked}", made, made, titles, picked)


def _groups(chosen: Chosen) -> Sides | None:
    from core.analysis.groups import groupings, only

    found = groupings(chosen.material)
    if not found:
        st.info("It takes four people who answered to make two groups.")
        return None
    by = one_of("People parted by", list(found), "by")
    groups = found[by]
    picked = _two("group", list(groups), "group", {name: f"{name} ({len(raters):,})" for name, raters in groups.items()})
    if picked is None:
        return None
    first, second = (only(chosen.material, groups[name]) for name in picked)
    return Sides(f"{chosen.key}\0groups\0{by}\0{picked}", first, second, picked)


def _studies(chosen: Chosen) -> Sides | None:
    kind = chosen.study.plan.kind
    others = [each for each in material.visible_studies() if each.plan.kind == kind and each.name != chosen.study.name]
    if not others:
        st.info("There is no other study with the same question; the one above stands alone.")
        return None
    name = one_of("With", [each.name for each in others], "with", look="list")
    second = material.material_of(next(each for each in others if each.name == name))
    titles = (chosen.study.name, second.study.name)
    return Sides(f"{chosen.key}\0studies\0{second.key}", chosen.material, second.material, titles)


def _sets() -> Sides | None:
    """Of the library, without anybody's answers."""
    every = material.visible_sets()
    kinds = Counter(each.kind for each in every)
    every.sort(key=lambda each: (-kinds[each.kind], -each.images))  # the first two are of one kind, and of some size
    entries = {each.set_id: each for each in every}
    titles = {set_id: f"{each.title} ({'who' if each.kind == 'identity' else 'feelings'})" for set_id, each in entries.items()}
    picked = _two("sample set", list(entries), "set", titles)
    if picked is None:
        if len(entries) < 2:
            st.info("The library holds fewer than two sample sets; make a study from some faces first.")
        return None
    try:
        first, second = (_set(set_id, entries[set_id].title) for set_id in picked)
    except LiminalError as error:  # attention checks alone, or nothing that passed the filter
        st.info(str(error))
        return None
    return Sides(f"sets\0{picked}", first, second, (entries[picked[0]].title, entries[picked[1]].title))


@st.cache_resource(show_spinner="Reading the sample set", max_entries=6)
def _set(set_id: str, title: str) -> Material:
    from core.analysis.set_material import material_of_set

    return material_of_set(access.library(), set_id, title)
