"""The rankings of the page 'Disagreement': their names, measures and ends, the widgets for scores and filters, and cached scores.

All choices are in the address.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, cast

import numpy as np
import pandas as pd
import streamlit as st

from core.analysis import disagreement
from core.analysis.choices import Choices, count_choices
from core.analysis.disagreement import SCALINGS, Disagreement, Scaling
from core.analysis.study_data import StudyData, group_raters
from core.errors import LiminalError
from core.models import registry
from core.studies.study import Question, RatingPlan
from ui import components
from ui.analysis.study_choice import StudyChoice
from ui.markup import describe_sample_type

Measure = Literal["signed", "identity", "similarity", "apart", "pair", "entropy", "networks", "labels", "rating"]
RankingEnd = Literal["lowest", "highest"]


@dataclass(frozen=True)
class ScoreRange:
    """The range of a measure, with its ends in a few words."""

    low: float
    high: float
    ends: tuple[str, str]
    digits: int = 2

    @property
    def signed(self) -> bool:
        return self.low < 0

    def position(self, value: float) -> float | None:
        """The position of a value on the range, in [0, 1]; None for a value that is not finite."""
        if not math.isfinite(value):
            return None
        return min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)

    def text(self, value: float) -> str:
        """A value as text, with its sign on a signed range."""
        if not math.isfinite(value):
            return "unknown"
        number = f"{value:+.{self.digits}f}" if self.signed else f"{value:.{self.digits}f}"
        return number.replace("-", "−")


SCORE_RANGES: Mapping[Measure, ScoreRange] = {
    "signed": ScoreRange(-1, 1, ("−1: only the recogniser sees one person", "+1: only people do")),
    "identity": ScoreRange(0, 0.5, ("0: all agree", "0.5: half and half")),
    "similarity": ScoreRange(0, 50, ("0: all agree", "50: as far apart as can be"), 1),
    "apart": ScoreRange(0, 1, ("0: the same answer", "1: nothing in common")),
    "pair": ScoreRange(-1, 1, ("−1: only the network sees the two feelings", "+1: only people do")),
    "entropy": ScoreRange(0, math.log2(6), ("0: all agree", "2.58: all six feelings alike")),
    "networks": ScoreRange(0, 1, ("0: the same answer", "1: nothing in common")),
}
"""Of measures whose range depends on no study; see ``find_range``."""


def find_range(measure: Measure, plan: RatingPlan) -> ScoreRange:
    """The range of a measure in a study."""
    if measure == "labels":
        most = math.log2(len(plan.choices))
        return ScoreRange(0, most, ("0: all agree", f"{most:.2f}: all {len(plan.choices)} answers alike"))
    if measure == "rating":
        most = (plan.scale_points - 1) / math.sqrt(2)  # of two people at the two ends
        return ScoreRange(0, most, ("0: all agree", f"{most:.1f}: as far apart as can be"))
    return SCORE_RANGES[measure]


@dataclass(frozen=True)
class Ranking:
    """One ranking: its name, what is measured, which end comes first, and a sentence about it."""

    name: str
    measure: Measure
    end: RankingEnd
    description: str


RANKINGS: Mapping[Question, tuple[Ranking, ...]] = {
    "labels": (
        Ranking("People among themselves", "labels", "highest", "People choose many different answers for the same faces."),
    ),
    "scale": (
        Ranking("Divided on the rating", "rating", "highest", "People put these faces at very different points of the scale."),
        Ranking("Divided on the answer", "labels", "highest", "People use many different points for the same faces."),
    ),
    "identity": (
        Ranking(
            "Let in",
            "signed",
            "lowest",
            "Candidates for a false accept: the recogniser takes them for one person, people do not.",
        ),
        Ranking(
            "Locked out",
            "signed",
            "highest",
            "Candidates for a false reject: people see one person, the recogniser does not.",
        ),
        Ranking("Divided on how alike", "similarity", "highest", "People put these pairs at very different places of the scale."),
        Ranking("Divided on who it is", "identity", "highest", "About half of the people say the same person, half say two."),
    ),
    "emotion": (
        Ranking("People and a network", "apart", "highest", "People choose other feelings than the network expects."),
        Ranking(
            "Only people see it",
            "pair",
            "highest",
            "People see one of the two feelings that the face was made for, the network another.",
        ),
        Ranking(
            "Only the network sees it",
            "pair",
            "lowest",
            "The network sees the two feelings that the face was made for, people another.",
        ),
        Ranking("People among themselves", "entropy", "highest", "People choose many different feelings for the same face."),
        Ranking("Network and network", "networks", "highest", "Two networks answer differently about the same face."),
    ),
}


@dataclass(frozen=True)
class ScoreChoice:
    """A measure with the models, the scaling and the group of people that it depends on. group: "" for everybody."""

    measure: Measure
    models: tuple[str, ...] = ()
    scaling: str = "linear"
    group: str = ""


def choose_ranking(question: Question) -> Ranking:
    """The ranking that the address asks for."""
    views = {ranking.name: ranking for ranking in RANKINGS[question]}
    chosen = st.segmented_control(
        "Which disagreement?",
        list(views),
        default=next(iter(views)),
        required=True,
        wrap=True,
        key=f"ranking-{question}",
        bind="query-params",
        label_visibility="collapsed",
    )
    return views[str(chosen)]


def choose_score(study_data: StudyData, view: Ranking, groups: list[str]) -> ScoreChoice:
    """Widgets for the models, the scaling and the group of people."""
    models: tuple[str, ...] = ()
    scaling = "linear"
    if view.measure == "signed":
        names = study_data.recognisers
        if names:
            models = (_choose_model("Recogniser", names, "recogniser"),)
        scaling = _choose_scaling()
    elif view.measure in ("apart", "pair") and study_data.classifiers:
        models = (_choose_model("Network", list(study_data.classifiers), "network"),)
    elif view.measure == "networks" and len(study_data.classifiers) > 1:
        first = _choose_model("One network", list(study_data.classifiers), "network")
        others = [name for name in study_data.classifiers if name != first]
        models = (first, _choose_model("The other", others, "other"))
    group = ""
    if groups and view.measure != "networks":
        group = st.selectbox("Answers of", ["everybody", *groups], key="group", bind="query-params")
    return ScoreChoice(view.measure, models, scaling, "" if group == "everybody" else group)


def _choose_model(label: str, names: list[str], key: str) -> str:
    titles = {registry.title(name): name for name in names}
    return titles[str(st.selectbox(label, list(titles), key=key, bind="query-params"))]


def _choose_scaling() -> str:
    return str(
        st.radio(
            "How a distance becomes 'how sure the recogniser is'",
            list(SCALINGS),
            captions=[f"{text[:1].upper()}{text[1:]}." for text in SCALINGS.values()],
            key="scaling",
            bind="query-params",
        )
    )


def list_rater_groups(chosen: StudyChoice) -> dict[str, frozenset[str]]:
    """Groups of people whose answers can be looked at alone: name -> raters."""
    return _find_rater_groups(chosen.key, chosen.study_data)


@st.cache_resource(show_spinner=False, max_entries=6)
def _find_rater_groups(key: str, _study_data: StudyData) -> dict[str, frozenset[str]]:
    parted = {name: groups for name, groups in group_raters(_study_data).items() if name != "the rules of exclusion"}
    return {f"{name}: {group}": frozenset(raters) for name, groups in parted.items() for group, raters in groups.items()}


def load_scores(chosen: StudyChoice, what: ScoreChoice, group: frozenset[str] | None) -> Disagreement:
    """The scores of all pairs or images, cached. group: the raters who count, None: all."""
    return _compute_scores(chosen.key, what, chosen.study_data, group)


@st.cache_resource(show_spinner="Comparing people and models", max_entries=24)
def _compute_scores(key: str, what: ScoreChoice, _study_data: StudyData, _group: frozenset[str] | None) -> Disagreement:
    study_data = _study_data
    excluded = set(study_data.excluded) | (set(study_data.exclusions.raters) - _group if _group is not None else set())
    means = study_data.imported_means
    if what.measure == "signed":
        recogniser = next(iter(what.models), "")
        limit = study_data.thresholds.get(recogniser, float("nan"))
        scaling = cast("Scaling", what.scaling)
        return disagreement.score_identity_disagreement(
            study_data.pairs, study_data.ratings, recogniser, limit, scaling=scaling, excluded=excluded, means=means
        )
    if what.measure == "identity":
        return disagreement.score_identity_spread(study_data.pairs, study_data.ratings, excluded=excluded, means=means)
    if what.measure == "similarity":
        return disagreement.score_similarity_spread(study_data.pairs, study_data.ratings, excluded=excluded)
    if what.measure == "rating":
        return disagreement.score_rating_spread(study_data.shown, study_data.ratings, excluded=excluded)
    votes = _count_votes(key, what.group, study_data, frozenset(excluded))
    scores = _score_emotion(what, study_data, votes)
    most = votes.counts().max(axis=1, initial=0)  # votes for the most frequent feeling
    return replace(scores, table=scores.table.assign(top=most))


def _score_emotion(what: ScoreChoice, study_data: StudyData, votes: Choices) -> Disagreement:
    if what.measure == "labels":
        return disagreement.score_among_people(study_data.shown, votes)
    samples = study_data.asked
    if what.measure == "entropy":
        return disagreement.score_among_people(samples, votes)
    if not what.models:
        raise LiminalError("No network judged these faces, so there is nothing to compare people with; choose another ranking.")
    if what.measure == "networks":
        return disagreement.score_between_classifiers(samples, votes, (what.models[0], what.models[1]), study_data.steerer)
    compare = disagreement.score_pair_gap if what.measure == "pair" else disagreement.score_against_classifier
    return compare(samples, votes, what.models[0], study_data.steerer)


@st.cache_resource(show_spinner=False, max_entries=8)
def _count_votes(key: str, group: str, _study_data: StudyData, _excluded: frozenset[str]) -> Choices:
    plan, names = _study_data.study.plan, _study_data.shown["stimulus"]
    return count_choices(_study_data.ratings, names, excluded=_excluded, task=plan.main_task, labels=plan.choices)


SAMPLE_TYPE_NAMES: Mapping[str, str] = {
    "genuine": "the base itself",
    "positive": "small steps away",
    "interpolation": "on the way to another",
    "optimized": "found by a search",
    "negative": "another person",
    "semantic": "one look changed",
    "controversial": "recognisers part on it",
    "boundary": "between two feelings",
    "morph": "a row or a grid of pictures",
}
MAX_BASES = 60
"""Of bases that are shown to choose from."""
BASE_PARAMETER = "part"
"""The entry of the address."""


@dataclass(frozen=True)
class RankingFilters:
    """Which rows of a ranking are shown; an empty field filters nothing."""

    types: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    pairs: tuple[str, ...] = ()
    base: str = ""
    enough: bool = False

    @property
    def count(self) -> int:
        """The number of filters that are set."""
        return sum(bool(value) for value in (self.types, self.steps, self.pairs, self.base, self.enough))

    def of(self, table: pd.DataFrame) -> pd.DataFrame:
        """The rows that pass, in their order."""
        mask = np.ones(len(table), bool)
        if self.types:
            mask &= table["sample_type"].isin(list(self.types)).to_numpy(bool)
        if self.steps:
            mask &= _step_names(table).isin(list(self.steps)).to_numpy(bool)
        if self.pairs:
            mask &= _emotion_pairs(table).isin(list(self.pairs)).to_numpy(bool)
        if self.base:
            mask &= (table["base_id"] == self.base).to_numpy(bool)
        if self.enough:
            mask &= ~table["few"].to_numpy(bool)
        return table if mask.all() else table[mask]


def choose_filters(table: pd.DataFrame, chosen: StudyChoice) -> RankingFilters:
    """Widgets for sample types, steps, pairs of emotions and votes, each where the table has more than one value."""
    kind = chosen.study.plan.kind
    types: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    pairs: tuple[str, ...] = ()
    every = set(table["sample_type"].dropna())
    present = [name for name in SAMPLE_TYPE_NAMES if name in every] + sorted(every.difference(SAMPLE_TYPE_NAMES))
    if len(present) > 1:
        named = {SAMPLE_TYPE_NAMES.get(name, name): name for name in present}
        types = tuple(
            named[word]
            for word in st.multiselect("Samples", list(named), key=f"types-{kind}", bind="query-params", placeholder="all")
        )
    if kind == "identity":
        within = table[table["sample_type"].isin(list(types))] if types else table
        known = within[within["step"].notna()].drop_duplicates(["sample_type", "step"]).sort_values(["sample_type", "step"])
        if len(known) > 1:
            steps = tuple(st.multiselect("Steps", _step_names(known).tolist(), key="steps", bind="query-params", placeholder="all"))
    elif "emotion1" in table:
        known_pairs = sorted(_emotion_pairs(table).dropna().unique())
        if len(known_pairs) > 1:
            pairs = tuple(st.multiselect("Two feelings", known_pairs, key="pairs", bind="query-params", placeholder="all"))
    enough = st.toggle("Only those with enough votes", key="enough", bind="query-params")
    base = st.query_params.get(BASE_PARAMETER, "")
    is_known = bool(base) and bool((table["base_id"] == base).any())
    return RankingFilters(types, steps, pairs, base if is_known else "", bool(enough))


def choose_filter_base(table: pd.DataFrame, chosen: StudyChoice, base: str) -> None:
    """Show the bases as faces: pressing one filters by it, pressing it again shows all."""
    bases = [str(base_id) for base_id in table["base_id"].unique()]
    if chosen.study.plan.kind != "identity" or not 1 < len(bases) <= MAX_BASES:
        return
    bases = [base_id for base_id in bases if chosen.picture(base_id)]
    title, noun = ("Base", "a generated face") if chosen.study_data.generator else ("Picture", "a face")
    tiles = [
        components.Tile(base_id, chosen.picture(base_id), f"{title} {number}, {noun}")
        for number, base_id in enumerate(bases, start=1)
    ]
    st.html(f'<p class="label">{"Around one person" if chosen.study_data.generator else "With one picture"}</p>')
    components.show_faces(
        [components.FaceGroup(tiles, columns=6)], key="bases", on_pick=_toggle_base, selected=base, layout="rows", tile="4rem"
    )


def _toggle_base(base: str) -> None:
    if st.query_params.get(BASE_PARAMETER) == base:
        st.query_params.pop(BASE_PARAMETER)
    else:
        st.query_params[BASE_PARAMETER] = base


def clear_filters() -> None:
    """Take all filters away."""
    st.query_params.pop(BASE_PARAMETER, None)
    for key in ("types-identity", "types-emotion", "steps", "pairs"):
        st.session_state[key] = []
    st.session_state["enough"] = False


def _step_names(table: pd.DataFrame) -> pd.Series[str]:
    """The step of each row in words, "" where it has none."""
    distinct = table[["sample_type", "step"]].drop_duplicates()
    words = {
        (kind, step): describe_sample_type(kind, step) if step == step and kind in SAMPLE_TYPE_NAMES else ""
        for kind, step in distinct.itertuples(index=False)
    }
    codes = table["sample_type"].astype(str) + table["step"].astype(str)
    named = {f"{kind}{step}": text for (kind, step), text in words.items()}
    return codes.map(named)


def _emotion_pairs(table: pd.DataFrame) -> pd.Series[str]:
    """The two emotions of each row, such as 'fear or surprise'."""
    return table["emotion1"].str.cat(table["emotion2"], sep=" or ")
