"""The rankings of the page 'Disagreement': what each is called, how it is scored, which end comes first, and which part is shown.

All choices are in the address.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, cast

import numpy as np
import pandas as pd
import streamlit as st

from core.errors import LiminalError
from core.models import registry
from ui import components
from ui.markup import describe_sample_type

if TYPE_CHECKING:
    from core.analysis.choices import Choices
    from core.analysis.disagreement import Disagreement, Scaling
    from core.analysis.study_data import StudyData
    from core.studies.study import Kind
    from ui.analysis.study_choice import StudyChoice


Measure = Literal["signed", "identity", "similarity", "apart", "pair", "entropy", "networks"]
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

    def place(self, value: float) -> float | None:
        """Where a value lies on the range, 0 to 1; None where there is none."""
        if not math.isfinite(value):
            return None
        return min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)

    def text(self, value: float) -> str:
        """A value as it is shown, with its sign where that means something."""
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


@dataclass(frozen=True)
class Ranking:
    """One ranking."""

    name: str
    measure: Measure
    end: RankingEnd
    says: str


RANKINGS: Mapping[Kind, tuple[Ranking, ...]] = {
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
    """What is scored: a measure with all that it depends on."""

    measure: Measure
    models: tuple[str, ...] = ()
    scaling: str = "linear"
    group: str = ""


def choose_ranking(kind: Kind) -> Ranking:
    """The ranking that the address asks for."""
    views = {each.name: each for each in RANKINGS[kind]}
    chosen = st.segmented_control(
        "Which disagreement?",
        list(views),
        default=next(iter(views)),
        required=True,
        wrap=True,
        key=f"ranking-{kind}",
        bind="query-params",
        label_visibility="collapsed",
    )
    return views[str(chosen)]


def choose_score(material: StudyData, view: Ranking, groups: list[str]) -> ScoreChoice:
    """Widgets for the models, the scaling and the group of people."""
    models: tuple[str, ...] = ()
    scaling = "linear"
    if view.measure == "signed":
        names = material.recognisers
        if names:
            models = (_choose_model("Recogniser", names, "recogniser"),)
        scaling = _choose_scaling()
    elif view.measure in ("apart", "pair") and material.classifiers:
        models = (_choose_model("Network", list(material.classifiers), "network"),)
    elif view.measure == "networks" and len(material.classifiers) > 1:
        first = _choose_model("One network", list(material.classifiers), "network")
        others = [name for name in material.classifiers if name != first]
        models = (first, _choose_model("The other", others, "other"))
    group = ""
    if groups and view.measure != "networks":
        group = st.selectbox("Answers of", ["everybody", *groups], key="group", bind="query-params")
    return ScoreChoice(view.measure, models, scaling, "" if group == "everybody" else group)


def _choose_model(label: str, names: list[str], key: str) -> str:
    titles = {registry.title(name): name for name in names}
    return titles[str(st.selectbox(label, list(titles), key=key, bind="query-params"))]


def _choose_scaling() -> str:
    from core.analysis.disagreement import SCALINGS

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
    return _find_rater_groups(chosen.key, chosen.material)


@st.cache_resource(show_spinner=False, max_entries=6)
def _find_rater_groups(key: str, _material: StudyData) -> dict[str, frozenset[str]]:
    from core.analysis.study_data import group_raters

    parted = {name: groups for name, groups in group_raters(_material).items() if name != "the rules of exclusion"}
    return {f"{name}: {group}": frozenset(raters) for name, groups in parted.items() for group, raters in groups.items()}


def load_scores(chosen: StudyChoice, what: ScoreChoice, group: frozenset[str] | None) -> Disagreement:
    """The scores of all pairs or images; kept. group: the raters who count, None: all."""
    return _compute_scores(chosen.key, what, chosen.material, group)


@st.cache_resource(show_spinner="Comparing people and models", max_entries=24)
def _compute_scores(key: str, what: ScoreChoice, _material: StudyData, _group: frozenset[str] | None) -> Disagreement:
    from core.analysis import disagreement as identity

    material = _material
    excluded = set(material.excluded) | (set(material.exclusions.raters) - _group if _group is not None else set())
    if what.measure == "signed":
        recogniser = next(iter(what.models), "")
        limit = material.thresholds.get(recogniser, float("nan"))
        scaling = cast("Scaling", what.scaling)
        return identity.score_identity_disagreement(
            material.pairs, material.ratings, recogniser, limit, scaling=scaling, excluded=excluded
        )
    if what.measure == "identity":
        return identity.score_identity_spread(material.pairs, material.ratings, excluded=excluded)
    if what.measure == "similarity":
        return identity.score_similarity_spread(material.pairs, material.ratings, excluded=excluded)
    votes = _count_votes(key, what.group, material, frozenset(excluded))
    made = _score_emotion(what, material, votes)
    return replace(made, table=made.table.assign(top=votes.counts().max(axis=1, initial=0)))  # votes for the most frequent feeling


def _score_emotion(what: ScoreChoice, material: StudyData, votes: Choices) -> Disagreement:
    from core.analysis import disagreement as emotion

    samples = material.asked
    if what.measure == "entropy":
        return emotion.score_among_people(samples, votes)
    if not what.models:
        raise LiminalError("No network judged these faces, so there is nothing to compare people with; choose another ranking.")
    if what.measure == "networks":
        return emotion.score_between_classifiers(samples, votes, (what.models[0], what.models[1]), material.steerer)
    compare = emotion.score_pair_gap if what.measure == "pair" else emotion.score_against_classifier
    return compare(samples, votes, what.models[0], material.steerer)


@st.cache_resource(show_spinner=False, max_entries=8)
def _count_votes(key: str, group: str, _material: StudyData, _excluded: frozenset[str]) -> Choices:
    from core.analysis.choices import count_choices

    return count_choices(_material.ratings, _material.asked["sample_id"], excluded=_excluded)


SAMPLE_TYPE_NAMES: Mapping[str, str] = {
    "genuine": "the base itself",
    "positive": "small steps away",
    "interpolation": "on the way to another",
    "optimized": "found by a search",
    "negative": "another person",
    "semantic": "one look changed",
    "boundary": "between two feelings",
    "morph": "a row of frames",
}
MAX_BASES = 60
"""Of bases that are shown to choose from."""
BASE_PARAMETER = "part"
"""The entry of the address."""


@dataclass(frozen=True)
class RankingFilters:
    """What is kept; empty: everything."""

    types: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    pairs: tuple[str, ...] = ()
    base: str = ""
    enough: bool = False

    @property
    def count(self) -> int:
        """How many are set."""
        return sum(bool(each) for each in (self.types, self.steps, self.pairs, self.base, self.enough))

    def of(self, table: pd.DataFrame) -> pd.DataFrame:
        """The rows that are kept, in their order."""
        kept = np.ones(len(table), bool)
        if self.types:
            kept &= table["sample_type"].isin(list(self.types)).to_numpy(bool)
        if self.steps:
            kept &= _step_names(table).isin(list(self.steps)).to_numpy(bool)
        if self.pairs:
            kept &= _emotion_pairs(table).isin(list(self.pairs)).to_numpy(bool)
        if self.base:
            kept &= (table["base_id"] == self.base).to_numpy(bool)
        if self.enough:
            kept &= ~table["few"].to_numpy(bool)
        return table if kept.all() else table[kept]


def choose_filters(table: pd.DataFrame, chosen: StudyChoice) -> RankingFilters:
    """Widgets for what the table has more than one of."""
    kind = chosen.study.plan.kind
    types: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    pairs: tuple[str, ...] = ()
    present = [name for name in SAMPLE_TYPE_NAMES if (table["sample_type"] == name).any()]
    if len(present) > 1:
        named = {SAMPLE_TYPE_NAMES[name]: name for name in present}
        types = tuple(
            named[each]
            for each in st.multiselect("Samples", list(named), key=f"types-{kind}", bind="query-params", placeholder="all")
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
    """Faces of the bases, one of which can be pressed; a second press shows all again."""
    bases = [str(each) for each in table["base_id"].unique()]
    if chosen.study.plan.kind != "identity" or not 1 < len(bases) <= MAX_BASES:
        return
    bases = [each for each in bases if chosen.picture(each)]
    tiles = [
        components.Tile(each, chosen.picture(each), f"Base {place}, a generated face") for place, each in enumerate(bases, start=1)
    ]
    st.html('<p class="label">Around one person</p>')
    components.show_faces(
        [components.FaceGroup(tiles, columns=6)], key="bases", on_pick=_toggle_base, selected=base, layout="rows", tile="4rem"
    )


def _toggle_base(base: str) -> None:
    if st.query_params.get(BASE_PARAMETER) == base:
        st.query_params.pop(BASE_PARAMETER)
    else:
        st.query_params[BASE_PARAMETER] = base


def clear_filters() -> None:
    """All filters off."""
    st.query_params.pop(BASE_PARAMETER, None)
    for key in ("types-identity", "types-emotion", "steps", "pairs"):
        st.session_state[key] = []
    st.session_state["enough"] = False


def _step_names(table: pd.DataFrame) -> pd.Series[str]:
    """Every row's step in words, "" where it has none."""
    distinct = table[["sample_type", "step"]].drop_duplicates()
    words = {
        (kind, step): describe_sample_type(kind, step) if step == step and kind in SAMPLE_TYPE_NAMES else ""
        for kind, step in distinct.itertuples(index=False)
    }
    codes = table["sample_type"].astype(str) + table["step"].astype(str)
    named = {f"{kind}{step}": text for (kind, step), text in words.items()}
    return codes.map(named)


def _emotion_pairs(table: pd.DataFrame) -> pd.Series[str]:
    """Every row's two feelings."""
    return table["emotion1"].str.cat(table["emotion2"], sep=" or ")
