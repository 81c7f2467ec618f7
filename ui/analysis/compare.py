"""The page 'Compare': two studies, sample sets, models or groups of people on the same axes, with their difference."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import streamlit as st

from core.analysis.study_data import StudyData, build_set_data, group_raters, select_raters
from core.errors import LiminalError
from core.figures import compare
from core.figures.contents import choose_default_view
from core.figures.exhibit import Exhibit, ExhibitView
from core.models import registry
from core.studies.study import RatingPlan
from ui.analysis import study_choice
from ui.analysis.figure_card import show_figure_card
from ui.analysis.study_choice import StudyChoice
from ui.markup import caption_html
from ui.selection import bound_choice
from ui.studies import access


@dataclass(frozen=True, eq=False)
class ComparedSides:
    """The two sides of a comparison. key: changes with anything in them, for caches.

    models: set where two models are compared; the one model, where it is compared with people.
    """

    key: str
    first: StudyData
    second: StudyData
    titles: tuple[str, str]
    models: tuple[str, ...] = ()


def show_compare(mode: str, chosen: StudyChoice | None) -> None:
    """Show the choice of two sides, then both with their differences. mode: of CHOOSERS, or sets, which need no study."""
    sides = CHOOSERS[mode](chosen) if chosen is not None else _choose_sets()
    if sides is None:
        return
    view = _build_view(sides)
    try:
        exhibits = _load_exhibits(sides.key, view, sides)
    except LiminalError as error:
        st.info(str(error))
        return
    if not exhibits:
        st.info("There is nothing to compare yet: nobody has answered on one of the two sides.")
    pairs = {exhibit.key.removesuffix("-both"): exhibit for exhibit in exhibits if exhibit.key.endswith("-both")}
    for exhibit in exhibits:
        if exhibit.key in {f"{name}-difference" for name in pairs}:
            continue
        other = next(
            (one for one in exhibits if one.key == exhibit.key.replace("-both", "-difference") and one is not exhibit), None
        )
        if other is None:
            show_figure_card(exhibit, f"compare-{exhibit.key}", name=f"compare-{exhibit.key}")
            continue
        left, right = st.columns(2, gap="large")
        with left:
            show_figure_card(exhibit, f"compare-{exhibit.key}", name=f"compare-{exhibit.key}")
        with right:
            show_figure_card(other, f"compare-{other.key}", name=f"compare-{other.key}")
    if exhibits:
        st.html(
            caption_html(
                "Where the interval of a difference holds 0, it may be chance; of many rows some stand out by chance alone."
            )
        )


@st.cache_resource(show_spinner="Comparing", max_entries=24)
def _load_exhibits(key: str, view: ExhibitView, _sides: ComparedSides) -> list[Exhibit]:
    if len(_sides.models) == 1:
        return compare.compare_people(_sides.first, _sides.models[0], view)
    if _sides.models:
        first, second = _sides.models
        return compare.compare_models(_sides.first, first, second, view)
    return compare.compare_studies(_sides.first, _sides.second, _sides.titles, view)


def _build_view(sides: ComparedSides) -> ExhibitView:
    """The view with a recogniser that both sides have a threshold for."""
    if sides.models or sides.first.kind != "identity":
        return ExhibitView()
    first, second = (choose_default_view(study_data).recogniser for study_data in (sides.first, sides.second))
    return ExhibitView(recogniser=first if first and first in sides.second.thresholds else second)


def _choose_two(label: str, names: list[str], key: str, titles: dict[str, str] | None = None) -> tuple[str, str] | None:
    """Widgets for two different names of several, kept in the address; None where there are fewer than two or both are equal."""
    if len(names) < 2:
        return None
    picked = []
    for number, (side, column) in enumerate(zip(("first", "second"), st.columns(2, gap="large"), strict=True)):
        with column:
            label_of = f"{side.capitalize()} {label}"
            picked.append(bound_choice(label_of, names, f"{key}-{side}", titles=titles, look="list", default=names[number]))
    if picked[0] == picked[1]:
        st.info(f"Both are the same {label}; choose two different ones.")
        return None
    return picked[0], picked[1]


def _list_models(study_data: StudyData) -> list[str]:
    if study_data.kind == "identity":
        return [name for name in study_data.recognisers if name in study_data.thresholds]
    return list(study_data.classifiers)


def _choose_people(chosen: StudyChoice) -> ComparedSides | None:
    names, study_data = _list_models(chosen.study_data), chosen.study_data
    if not names:
        st.info("No network judged these faces.")
        return None
    titles = {name: registry.title(name) for name in names}
    name = bound_choice("People and", names, "network", titles=titles, look="list")
    return ComparedSides(f"{chosen.key}\0people\0{name}", study_data, study_data, ("People", titles[name]), (name,))


def _choose_models(chosen: StudyChoice) -> ComparedSides | None:
    study_data = chosen.study_data
    names = _list_models(study_data)
    noun = "recogniser" if study_data.kind == "identity" else "network"
    picked = _choose_two(noun, names, noun, {name: registry.title(name) for name in names})
    if picked is None:
        if len(names) < 2:
            st.info(f"One {noun} judged these faces; it takes two to compare.")
        return None
    titles = (registry.title(picked[0]), registry.title(picked[1]))
    return ComparedSides(f"{chosen.key}\0models\0{picked}", study_data, study_data, titles, picked)


def _choose_groups(chosen: StudyChoice) -> ComparedSides | None:
    groupings = group_raters(chosen.study_data)
    if not groupings:
        st.info("It takes four people who answered to make two groups.")
        return None
    by = bound_choice("People parted by", list(groupings), "by")
    groups = groupings[by]
    picked = _choose_two("group", list(groups), "group", {name: f"{name} ({len(raters):,})" for name, raters in groups.items()})
    if picked is None:
        return None
    first, second = (select_raters(chosen.study_data, groups[name]) for name in picked)
    return ComparedSides(f"{chosen.key}\0groups\0{by}\0{picked}", first, second, picked)


def _choose_studies(chosen: StudyChoice) -> ComparedSides | None:
    asked = _describe_question(chosen.study.plan)
    others = [
        study
        for study in study_choice.list_visible_studies()
        if _describe_question(study.plan) == asked and study.name != chosen.study.name
    ]
    if not others:
        st.info("There is no other study with the same question; the one above stands alone.")
        return None
    name = bound_choice("With", [study.name for study in others], "with", look="list")
    second = study_choice.load_study_choice(next(study for study in others if study.name == name))
    titles = (chosen.study.name, second.study.name)
    return ComparedSides(f"{chosen.key}\0studies\0{second.key}", chosen.study_data, second.study_data, titles)


def _describe_question(plan: RatingPlan) -> tuple[str, ...]:
    """What two studies share whose answers can be compared: what is shown, what is asked, and the answers to choose from."""
    return plan.kind, plan.asks, *plan.choices


CHOOSERS = {"models": _choose_models, "people": _choose_people, "groups": _choose_groups, "studies": _choose_studies}
"""By mode: the widgets for both sides, of a study."""


def _choose_sets() -> ComparedSides | None:
    """Two sample sets of the library, without answers of people."""
    every = study_choice.list_visible_sets()
    kinds = Counter(entry.kind for entry in every)
    every.sort(key=lambda entry: (-kinds[entry.kind], -entry.images))  # the first two are of one kind, and of some size
    entries = {entry.set_id: entry for entry in every}
    titles = {set_id: f"{entry.title} ({'who' if entry.kind == 'identity' else 'feelings'})" for set_id, entry in entries.items()}
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
    return build_set_data(access.get_library(), set_id, title)
