"""Two of a kind on the same axes: studies, sample sets, models, or groups of people."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from core.errors import LiminalError
from core.models import registry
from ui.analysis import study_choice
from ui.analysis.figure_card import show_figure_card
from ui.markup import caption_html, intro_html
from ui.selection import bound_choice
from ui.studies import access

if TYPE_CHECKING:
    from core.analysis.study_data import StudyData
    from core.figures.exhibit import Exhibit, ExhibitView
    from ui.analysis.study_choice import StudyChoice

COMPARISON_MODES = {"models": "two models", "groups": "two groups of people", "studies": "two studies", "sets": "two sample sets"}


@dataclass(frozen=True, eq=False)
class ComparedSides:
    """What is compared. key: changes whenever anything in it does."""

    key: str
    first: StudyData
    second: StudyData
    titles: tuple[str, str]
    models: tuple[str, str] | None = None


def show_compare() -> None:
    """The choice, then both sides and their differences."""
    st.title("What is the difference?", anchor=False)
    st.html(intro_html("Two of a kind on the same axes, with the difference and how sure it is."))
    mode = bound_choice("Compare", list(COMPARISON_MODES), "compare", titles=COMPARISON_MODES)
    chosen = None if mode == "sets" else study_choice.choose_study()
    if mode != "sets" and chosen is None:
        return
    sides = (
        {"models": _choose_models, "groups": _choose_groups, "studies": _choose_studies}[mode](chosen)
        if chosen is not None
        else _choose_sets()
    )
    if sides is None:
        return
    view = _build_view(sides)
    try:
        found = _load_exhibits(sides.key, view, sides)
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
            show_figure_card(each, f"compare-{each.key}", name=f"compare-{each.key}")
            continue
        left, right = st.columns(2, gap="large")
        with left:
            show_figure_card(each, f"compare-{each.key}", name=f"compare-{each.key}")
        with right:
            show_figure_card(other, f"compare-{other.key}", name=f"compare-{other.key}")
    if found:
        st.html(
            caption_html(
                "Where the interval of a difference holds 0, it may be chance; of many rows some stand out by chance alone."
            )
        )


@st.cache_resource(show_spinner="Comparing", max_entries=24)
def _load_exhibits(key: str, view: ExhibitView, _sides: ComparedSides) -> list[Exhibit]:
    from core.figures import compare

    if _sides.models is not None:
        return compare.compare_models(_sides.first, *_sides.models, view)
    return compare.compare_studies(_sides.first, _sides.second, _sides.titles, view)


def _build_view(sides: ComparedSides) -> ExhibitView:
    """The recogniser that both sides know."""
    from core.figures.contents import choose_default_view
    from core.figures.exhibit import ExhibitView

    if sides.models is not None or sides.first.kind != "identity":
        return ExhibitView()
    first, second = (choose_default_view(each).recogniser for each in (sides.first, sides.second))
    return ExhibitView(recogniser=first if first and first in sides.second.thresholds else second)


def _choose_two(label: str, names: list[str], key: str, titles: dict[str, str] | None = None) -> tuple[str, str] | None:
    """Two different ones of several, kept in the address."""
    if len(names) < 2:
        return None
    picked = []
    for place, (side, column) in enumerate(zip(("first", "second"), st.columns(2, gap="large"), strict=True)):
        with column:
            label_of = f"{side.capitalize()} {label}"
            picked.append(bound_choice(label_of, names, f"{key}-{side}", titles=titles, look="list", default=names[place]))
    if picked[0] == picked[1]:
        st.info(f"Both are the same {label}; choose two different ones.")
        return None
    return picked[0], picked[1]


def _choose_models(chosen: StudyChoice) -> ComparedSides | None:

    made = chosen.material
    names = [each for each in made.recognisers if each in made.thresholds] if made.kind == "identity" else list(made.classifiers)
    noun = "recogniser" if made.kind == "identity" else "network"
    picked = _choose_two(noun, names, noun, {name: registry.title(name) for name in names})
    if picked is None:
        if len(names) < 2:
            st.info(f"One {noun} judged these faces; it takes two to compare.")
        return None
    titles = (registry.title(picked[0]), registry.title(picked[1]))
    return ComparedSides(f"{chosen.key}\0models\0{picked}", made, made, titles, picked)


def _choose_groups(chosen: StudyChoice) -> ComparedSides | None:
    from core.analysis.study_data import group_raters, select_raters

    found = group_raters(chosen.material)
    if not found:
        st.info("It takes four people who answered to make two groups.")
        return None
    by = bound_choice("People parted by", list(found), "by")
    groups = found[by]
    picked = _choose_two("group", list(groups), "group", {name: f"{name} ({len(raters):,})" for name, raters in groups.items()})
    if picked is None:
        return None
    first, second = (select_raters(chosen.material, groups[name]) for name in picked)
    return ComparedSides(f"{chosen.key}\0groups\0{by}\0{picked}", first, second, picked)


def _choose_studies(chosen: StudyChoice) -> ComparedSides | None:
    kind = chosen.study.plan.kind
    others = [each for each in study_choice.list_visible_studies() if each.plan.kind == kind and each.name != chosen.study.name]
    if not others:
        st.info("There is no other study with the same question; the one above stands alone.")
        return None
    name = bound_choice("With", [each.name for each in others], "with", look="list")
    second = study_choice.load_study_choice(next(each for each in others if each.name == name))
    titles = (chosen.study.name, second.study.name)
    return ComparedSides(f"{chosen.key}\0studies\0{second.key}", chosen.material, second.material, titles)


def _choose_sets() -> ComparedSides | None:
    """Of the library, without anybody's answers."""
    every = study_choice.list_visible_sets()
    kinds = Counter(each.kind for each in every)
    every.sort(key=lambda each: (-kinds[each.kind], -each.images))  # the first two are of one kind, and of some size
    entries = {each.set_id: each for each in every}
    titles = {set_id: f"{each.title} ({'who' if each.kind == 'identity' else 'feelings'})" for set_id, each in entries.items()}
    picked = _choose_two("sample set", list(entries), "set", titles)
    if picked is None:
        if len(entries) < 2:
            st.info("The library holds fewer than two sample sets; make a study from some faces first.")
        return None
    try:
        first, second = (_load_set(set_id, entries[set_id].title) for set_id in picked)
    except LiminalError as error:  # attention checks alone, or nothing that passed the filter
        st.info(str(error))
        return None
    return ComparedSides(f"sets\0{picked}", first, second, (entries[picked[0]].title, entries[picked[1]].title))


@st.cache_resource(show_spinner="Reading the sample set", max_entries=6)
def _load_set(set_id: str, title: str) -> StudyData:
    from core.analysis.study_data import build_set_data

    return build_set_data(access.get_library(), set_id, title)
