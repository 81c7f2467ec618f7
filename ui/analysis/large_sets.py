"""Large data sets on the pages of analysis: the choice of a part, and its rows ranked by the disagreement of models or people.

Only the chosen part is read, a page at a time. The first rows of a ranking can become a sample set of the library and a study.
"""

from __future__ import annotations

import html
from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st

from core.analysis import large as large_analysis
from core.analysis.encode import select_probabilities
from core.analysis.large import (
    ModelPair,
    RowFilter,
    build_large_study_data,
    count_known_stimuli,
    count_rankable,
    list_models,
    list_types_and_pairs,
    load_row,
    rank_rows,
    summarise_types,
)
from core.analysis.study_data import StudyData
from core.figures.theme import format_percent
from core.models import registry
from core.models.emotions import EMOTIONS
from core.sampling.datasets.data_set import MAX_SUBSET, DataSet, make_subset
from core.sampling.sample_set import Kind
from core.studies.library import DataSetEntry
from core.studies.study import Study
from ui import markup, navigation, selection
from ui.analysis import disagreement, study_choice
from ui.analysis.disagreement import RankingRow
from ui.analysis.rankings import SAMPLE_TYPE_NAMES, ScoreRange
from ui.analysis.study_choice import StudyChoice
from ui.components import RankedTile, show_ranking
from ui.markup import caption_html, count_noun, intro_html
from ui.pictures import sample_url
from ui.selection import bound_choice, paginate
from ui.studies import access, owner_gate

QUESTION_NAMES: dict[str, str] = {"identity": "Who is it?", "emotion": "Which feeling?"}


@dataclass(frozen=True, eq=False)
class LargeSelection:
    """A data set and the filter of its rows."""

    set_id: str
    data: DataSet
    row_filter: RowFilter

    @property
    def kind(self) -> Kind:
        """The question that the rows were made for."""
        return self.row_filter.kind

    @property
    def key(self) -> str:
        """Changes with every choice, for caches."""
        return f"{self.set_id}\0{self.row_filter!r}"

    def picture(self, sample_id: str) -> str:
        """Address of a picture."""
        return sample_url(self.set_id, sample_id)


def choose_data_set(entries: list[DataSetEntry]) -> LargeSelection:
    """Widgets for the data set and the filter of its rows."""
    titles = {entry.set_id: f"{entry.title} · {entry.images:,} faces" for entry in entries}
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom", key="large-set"):
        set_id = bound_choice("Data set", list(titles), "data", titles=titles, look="list")
        data = access.get_library().data_sets.open(set_id)
        kind = data.kinds[0]
        if len(data.kinds) > 1:
            kind = (
                "emotion"
                if bound_choice("Question", list(QUESTION_NAMES), "question", titles=QUESTION_NAMES) == "emotion"
                else "identity"
            )
        types, pairs = _load_present(set_id, kind, data)
        named = {SAMPLE_TYPE_NAMES.get(name, name): name for name in types}
        chosen = st.multiselect("Samples", list(named), key=f"large-types-{kind}", bind="query-params", placeholder="all")
        spelled = {f"{one} or {two}": (one, two) for one, two in pairs}
        feelings = (
            st.multiselect("Two feelings", list(spelled), key="large-pairs", bind="query-params", placeholder="all")
            if len(spelled) > 1
            else []
        )
    return LargeSelection(
        set_id, data, RowFilter(kind, tuple(named[word] for word in chosen), tuple(spelled[words] for words in feelings))
    )


@st.cache_data(show_spinner=False, max_entries=16)
def _load_present(set_id: str, kind: Kind, _data: DataSet) -> tuple[list[str], list[tuple[str, str]]]:
    return list_types_and_pairs(_data, kind)


def show_model_sums(large: LargeSelection) -> None:
    """Show means and shares over all chosen rows, by sample type."""
    table = _load_sums(large.key, large)
    with st.expander("All of them together"):
        if table.empty:
            st.html(caption_html("Nothing fits; take one of the choices away."))
        else:
            st.dataframe(name_columns(table), hide_index=True, key="large-sums")
            st.html(
                caption_html("Means and shares over all of them; a face that a network did not find is left out of its figures.")
            )


def name_columns(table: pd.DataFrame) -> pd.DataFrame:
    """The table of ``summarise_types`` with column names and values for readers."""
    named = {"sample_type": "Samples", "pairs": "Pairs", "faces": "Faces", "lpips": "How different it looks (LPIPS)"}
    columns = {}
    for column in table:
        name = str(column)
        part, _, model = name.partition("_")
        if name in named:
            values = table[name].map(lambda value: SAMPLE_TYPE_NAMES.get(value, value)) if name == "sample_type" else table[name]
            columns[named[name]] = values.round(3) if name == "lpips" else values
        elif part == "distance":
            columns[f"{registry.title(model)}: mean distance"] = table[name].round(3)
        else:
            verdict = "accepted" if part == "accepted" else "both feelings seen"
            columns[f"{registry.title(model)}: {verdict}"] = table[name].map(
                lambda value: "" if value != value else format_percent(value)
            )

    return pd.DataFrame(columns)


@st.cache_resource(show_spinner="Adding up", max_entries=16)
def _load_sums(key: str, _large: LargeSelection) -> pd.DataFrame:
    return summarise_types(_large.data, _large.row_filter)


def describe_count(large: LargeSelection) -> str:
    """The number of chosen faces in words, such as '1,200 of 1,000,000 faces'."""
    total, chosen = large.data.rows("samples", large.kind), count_rows(large)
    return count_noun(total, "face") if chosen == total else f"{chosen:,} of {count_noun(total, 'face')}"


def count_rows(large: LargeSelection) -> int:
    """The number of faces that pass the filter."""
    return _count_rows(large.key, large)


@st.cache_data(show_spinner=False, max_entries=64)
def _count_rows(key: str, _large: LargeSelection) -> int:
    return large_analysis.count_rows(_large.data, _large.row_filter)


COMPARISON_NAMES = {"models": "Two models", "people": "People and models"}
DEFAULT_COUNT = 100
"""Asked about, unless another number is chosen."""


def find_answered_studies(large: LargeSelection) -> dict[str, int]:
    """Studies with answers about chosen rows: name -> the number of these rows that it asks about."""
    counts = access.get_store().counts()
    studies = [
        study
        for study in study_choice.list_visible_studies()
        if study.plan.kind == large.kind and counts.get(study.name, (0, 0))[1]
    ]
    return _count_known("\0".join([large.key, *(study.token for study in studies)]), large, studies) if studies else {}


@st.cache_data(show_spinner="Looking for people's answers", max_entries=32)
def _count_known(key: str, _large: LargeSelection, _studies: list[Study]) -> dict[str, int]:
    stimuli = {study.name: [stimulus.stimulus for stimulus in access.load_stimuli(study)] for study in _studies}
    return count_known_stimuli(_large.data, _large.row_filter, stimuli)


def choose_people(large: LargeSelection, studies: dict[str, int]) -> StudyChoice:
    """Widgets for the study, and its answers to the chosen rows."""
    noun = "pair" if large.kind == "identity" else "face"
    titles = {name: f"{name} · {count_noun(count, noun)} of this data set" for name, count in studies.items()}
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom", key="large-people"):
        name = bound_choice("Answers of the study", list(studies), "asked", titles=titles, look="list")
        attentive = study_choice.choose_attentive_only("from all that they answered there")
    study = access.get_store().study(name)
    key = f"{access.answers_version(study)}\0{attentive}\0{large.key}"
    choice = StudyChoice(study, _load_people(key, large, study, attentive), key)
    study_choice.show_study_description(choice)
    st.html(
        caption_html(f"Ranked among the {count_noun(studies[name], noun)} that this study asks about; the others are not read.")
    )
    return choice


@st.cache_resource(show_spinner="Gathering the answers", max_entries=6)
def _load_people(key: str, _large: LargeSelection, _study: Study, attentive: bool) -> StudyData:
    return build_large_study_data(
        _large.data,
        _large.set_id,
        _large.row_filter,
        _study,
        access.load_stimuli(_study),
        access.get_store().raters(_study.name),
        access.load_ratings(_study),
        access.get_library(),
        rules="planned" if attentive else None,
    )


def offer_study(large: LargeSelection, rivals: ModelPair, total: int, *, lowest: bool) -> None:
    """Offer to copy the first rows of the ranking into a sample set and to make a study about it."""
    if not owner_gate.is_allowed():
        return
    most = min(MAX_SUBSET, total)
    noun = "pairs" if large.kind == "identity" else "faces"
    with st.popover("Ask people about these", icon=":material/groups:"), st.form("ask-about-large", border=False):
        count = st.number_input(f"How many {noun}, from the first of this ranking?", 1, most, min(DEFAULT_COUNT, most), step=1)
        st.html(
            caption_html("They are copied into a sample set of their own. What people say of them is shown here beside the models.")
        )
        pressed = st.form_submit_button("Go on to a new study", type="primary")
    if pressed:
        with st.spinner("Copying the faces"):
            set_id = _copy_subset(large, rivals, int(count), lowest)
        st.switch_page(navigation.build_page(navigation.STUDIES), query_params={"new": set_id})


def _copy_subset(large: LargeSelection, rivals: ModelPair, count: int, lowest: bool) -> str:
    rows = rank_rows(large.data, large.row_filter, rivals, 0, count, lowest=lowest)
    subset = make_subset(large.data, large.kind, rows["stimulus"].tolist())
    return access.get_library().add(subset, f"{large.data.title}: the first {count:,} of a ranking")


PAGE_SIZE = 18
MODELS_NOTE = "Source: models. No person's answer is in it; there is no interval, because every model answers once."
DIVERGENCE_NOTE = "The score is the Jensen-Shannon divergence of the six probabilities, in bits. "
SIGNED_RANGE = ScoreRange(-1, 1, ("more like one person for the first", "more like one person for the second"))
DIVERGENCE_RANGE = ScoreRange(0, 1, ("0: the same answer", "1: nothing in common"))


def show_large_disagreement() -> None:
    """Show the choices, the ranking a page at a time, and the item of the address."""
    large = choose_data_set(study_choice.list_visible_data_sets())
    studies = find_answered_studies(large)
    if studies and bound_choice("Who is compared?", list(COMPARISON_NAMES), "by", titles=COMPARISON_NAMES) == "people":
        disagreement.show_disagreement(choose_people(large, studies))
        return
    known = list_models(large.data, large.kind)
    if len(known) < 2:
        st.info("Only one model judged this data set, so there is nothing to compare it with.")
        return
    titles = {name: registry.title(name) for name in known}
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom", key="large-rivals"):
        first = bound_choice("One model", known, "one", titles=titles, look="list")
        second = bound_choice("The other", [name for name in known if name != first], "rival", titles=titles, look="list")
        lowest = False
        if large.kind == "identity":
            ends = {"second": f"{titles[second]} is more willing", "first": f"{titles[first]} is more willing"}
            lowest = bound_choice("Shown first", list(ends), "end", titles=ends, look="list") == "first"
    rivals = ModelPair(large.kind, first, second)
    st.html(intro_html(_describe_ranking(large.kind, titles[first], titles[second])))
    total = _count_rankable(large.key, rivals, large)
    noun = "pair" if large.kind == "identity" else "face"
    if not total:
        st.info("No face that fits was judged by both; take one of the choices away.")
        return
    page = paginate(total, PAGE_SIZE, "part-of-ranking", bind="query-params")
    start = page.start
    st.html(
        caption_html(f"{count_noun(total, noun)} {'is' if total == 1 else 'are'} ranked; {start + 1:,} to {page.stop:,} are read.")
    )
    rows = _load_page(large.key, rivals, start, lowest, total, large)
    scale = SIGNED_RANGE if large.kind == "identity" else DIVERGENCE_RANGE
    selected = selection.selected_item()
    show_ranking(
        [_build_tile(large, rivals, scale, row, start + number) for number, row in enumerate(rows.to_dict("records"), start=1)],
        key="large-ranking",
        ends=scale.ends,
        zero=scale.position(0.0) if scale.signed else None,
        on_pick=selection.select_item,
        selected=selected,
    )
    st.html(caption_html(f"{DIVERGENCE_NOTE if large.kind == 'emotion' else ''}{MODELS_NOTE}"))
    offer_study(large, rivals, total, lowest=lowest)
    show_model_sums(large)
    if selected:
        _open_item(large, rivals, selected)


def _describe_ranking(kind: str, first: str, second: str) -> str:
    if kind == "identity":
        return (
            f"Pairs on which {first} and {second} part ways: how far apart the faces are for the one, less that for the "
            "other, each in units of its own threshold."
        )
    return f"Faces for which {first} and {second} expect different feelings."


@st.cache_data(show_spinner=False, max_entries=64)
def _count_rankable(key: str, rivals: ModelPair, _large: LargeSelection) -> int:
    return count_rankable(_large.data, _large.row_filter, rivals)


@st.cache_resource(show_spinner="Ranking", max_entries=32)
def _load_page(key: str, rivals: ModelPair, start: int, lowest: bool, total: int, _large: LargeSelection) -> pd.DataFrame:
    return rank_rows(_large.data, _large.row_filter, rivals, start, PAGE_SIZE, lowest=lowest, of=total)


def _build_tile(large: LargeSelection, rivals: ModelPair, scale: ScoreRange, row: RankingRow, rank: int) -> RankedTile:
    lines = [*_describe_large_row(large, rivals, row), disagreement.describe_sample(row)]
    score = scale.text(row["score"])
    return RankedTile(
        id=str(row["stimulus"]),
        pictures=[large.picture(name) for name in _row_images(large, row)],
        alt=f"Place {rank:,}, score {score}. {'; '.join(lines)}",
        place=f"{rank:,}.",
        score=score,
        words=lines,
        at=scale.position(row["score"]),
    )


def _row_images(large: LargeSelection, row: RankingRow) -> list[str]:
    return [str(row["base_id"]), str(row["sample_id"])] if large.kind == "identity" else [str(row["stimulus"])]


def _describe_large_row(large: LargeSelection, rivals: ModelPair, row: RankingRow) -> list[str]:
    names = (rivals.first, rivals.second)
    if large.kind == "emotion":
        return [f"{registry.title(name)}: {row[column]}" for name, column in zip(names, ("said", "said_other"), strict=True)]
    limits = large.data.thresholds("identity")
    lines = []
    for name in names:
        distance = float(row[f"distance_{name}"])
        lines.append(f"{registry.title(name)} {'accepts' if distance < limits[name] else 'refuses'} it, distance {distance:.2f}")
    return lines


def _open_item(large: LargeSelection, rivals: ModelPair, stimulus: str) -> None:
    row = load_row(large.data, large.kind, stimulus)
    if row is not None:
        _load_item(large, row.to_dict())


@st.dialog("What the models say of it", width="large", on_dismiss=selection.clear_item)
def _load_item(large: LargeSelection, row: RankingRow) -> None:
    """Show one pair or face of the data set in a dialog."""
    base, sample = str(row["base_id"]), str(row["sample_id"])
    pictures = [(large.picture(base), "The base"), (large.picture(sample), f"The sample: {disagreement.describe_sample(row)}")]
    st.html(
        markup.pair_html(*pictures)
        if base != sample
        else markup.portrait_html(large.picture(sample), "A generated face", "The base itself")
    )
    if large.kind == "identity":
        limits = large.data.thresholds("identity")
        known = [
            markup.RecogniserVerdict(registry.title(name), float(row[f"distance_{name}"]), limit)
            for name, limit in limits.items()
            if f"distance_{name}" in row
        ]
        st.html(markup.verdicts_html(known))
    else:
        _show_emotions(large, row)
    st.html(caption_html("The address of this page brings this view back."))


def _show_emotions(large: LargeSelection, row: RankingRow) -> None:
    known = list_models(large.data, "emotion")
    for name in known:
        p = select_probabilities(pd.DataFrame([row]), name, known[0])[0]
        if np.isfinite(p).all():
            shares = dict(zip(EMOTIONS, map(float, p), strict=True))
            st.html(f'<p class="voice">{html.escape(registry.title(name))}</p>' + markup.bars_html(shares))
