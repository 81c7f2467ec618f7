"""The rankings of the page 'Disagreement': what each is called, how it is scored, which of its ends is shown first."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, cast

import streamlit as st

from core.errors import LiminalError
from core.models import registry

if TYPE_CHECKING:
    from core.analysis.choices import Choices
    from core.analysis.disagreement import Disagreement, Scaling
    from core.analysis.material import Material
    from core.studies.study import Kind
    from ui.analysis.material import Chosen

Measure = Literal["signed", "identity", "similarity", "apart", "pair", "entropy", "networks"]
End = Literal["lowest", "highest"]


@dataclass(frozen=True)
class Range:
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


RANGES: Mapping[Measure, Range] = {
    "signed": Range(-1, 1, ("−1: only the recogniser sees one person", "+1: only people do")),
    "identity": Range(0, 0.5, ("0: all agree", "0.5: half and half")),
    "similarity": Range(0, 50, ("0: all agree", "50: as far apart as can be"), 1),
    "apart": Range(0, 1, ("0: the same answer", "1: nothing in common")),
    "pair": Range(-1, 1, ("−1: only the network sees the two feelings", "+1: only people do")),
    "entropy": Range(0, math.log2(6), ("0: all agree", "2.58: all six feelings alike")),
    "networks": Range(0, 1, ("0: the same answer", "1: nothing in common")),
}


@dataclass(frozen=True)
class View:
    """One ranking."""

    name: str
    measure: Measure
    end: End
    says: str


VIEWS: Mapping[Kind, tuple[View, ...]] = {
    "identity": (
        View(
            "Let in",
            "signed",
            "lowest",
            "Candidates for a false accept: the recogniser takes them for one person, people do not.",
        ),
        View(
            "Locked out",
            "signed",
            "highest",
            "Candidates for a false reject: people see one person, the recogniser does not.",
        ),
        View("Divided on how alike", "similarity", "highest", "People put these pairs at very different places of the scale."),
        View("Divided on who it is", "identity", "highest", "About half of the people say the same person, half say two."),
    ),
    "emotion": (
        View("People and a network", "apart", "highest", "People choose other feelings than the network expects."),
        View(
            "Only people see it",
            "pair",
            "highest",
            "People see one of the two feelings that the face was made for, the network another.",
        ),
        View(
            "Only the network sees it",
            "pair",
            "lowest",
            "The network sees the two feelings that the face was made for, people another.",
        ),
        View("People among themselves", "entropy", "highest", "People choose many different feelings for the same face."),
        View("Network and network", "networks", "highest", "Two networks answer differently about the same face."),
    ),
}


@dataclass(frozen=True)
class Scored:
    """What is scored: a measure with all that it depends on."""

    measure: Measure
    models: tuple[str, ...] = ()
    scaling: str = "linear"
    group: str = ""


def title_of(model: str) -> str:
    """A model's title; of one that this version does not know its name."""
    try:
        return registry.entry(model).title
    except LiminalError:
        return model


def choose_view(kind: Kind) -> View:
    """The ranking that the address asks for."""
    views = {each.name: each for each in VIEWS[kind]}
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


def choose_scored(material: Material, view: View, groups: list[str]) -> Scored:
    """Widgets for the models, the scaling and the group of people."""
    models: tuple[str, ...] = ()
    scaling = "linear"
    if view.measure == "signed":
        names = material.recognisers
        if names:
            models = (_model("Recogniser", names, "recogniser"),)
        scaling = _scaling()
    elif view.measure in ("apart", "pair") and material.classifiers:
        models = (_model("Network", list(material.classifiers), "network"),)
    elif view.measure == "networks" and len(material.classifiers) > 1:
        first = _model("One network", list(material.classifiers), "network")
        others = [name for name in material.classifiers if name != first]
        models = (first, _model("The other", others, "other"))
    group = ""
    if groups and view.measure != "networks":
        group = st.selectbox("Answers of", ["everybody", *groups], key="group", bind="query-params")
    return Scored(view.measure, models, scaling, "" if group == "everybody" else group)


def _model(label: str, names: list[str], key: str) -> str:
    titles = {title_of(name): name for name in names}
    return titles[str(st.selectbox(label, list(titles), key=key, bind="query-params"))]


def _scaling() -> str:
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


def people(chosen: Chosen) -> dict[str, frozenset[str]]:
    """Groups of people whose answers can be looked at alone: name -> raters."""
    return _people(chosen.key, chosen.material)


@st.cache_resource(show_spinner=False, max_entries=6)
def _people(key: str, _material: Material) -> dict[str, frozenset[str]]:
    from core.analysis.groups import groupings

    parted = {name: groups for name, groups in groupings(_material).items() if name != "the rules of exclusion"}
    return {f"{name}: {group}": frozenset(raters) for name, groups in parted.items() for group, raters in groups.items()}


def scored(chosen: Chosen, what: Scored, group: frozenset[str] | None) -> Disagreement:
    """The scores of all pairs or images; kept. group: the raters who count, None: all."""
    return _scored(chosen.key, what, chosen.material, group)


@st.cache_resource(show_spinner="Comparing people and models", max_entries=24)
def _scored(key: str, what: Scored, _material: Material, _group: frozenset[str] | None) -> Disagreement:
    from core.analysis import disagreement as identity

    material = _material
    excluded = set(material.excluded) | (set(material.exclusions.raters) - _group if _group is not None else set())
    if what.measure == "signed":
        recogniser = next(iter(what.models), "")
        limit = material.thresholds.get(recogniser, float("nan"))
        scaling = cast("Scaling", what.scaling)
        return identity.identity_disagreement(
            material.pairs, material.ratings, recogniser, limit, scaling=scaling, excluded=excluded
        )
    if what.measure == "identity":
        return identity.identity_spread(material.pairs, material.ratings, excluded=excluded)
    if what.measure == "similarity":
        return identity.similarity_spread(material.pairs, material.ratings, excluded=excluded)
    votes = _votes(key, what.group, material, frozenset(excluded))
    made = _emotion(what, material, votes)
    return replace(made, table=made.table.assign(top=votes.counts().max(axis=1, initial=0)))  # votes for the most frequent feeling


def _emotion(what: Scored, material: Material, votes: Choices) -> Disagreement:
    from core.analysis import disagreement_emotion as emotion

    samples = material.asked
    if what.measure == "entropy":
        return emotion.among_people(samples, votes)
    if not what.models:
        raise LiminalError("No network judged these faces, so there is nothing to compare people with; choose another ranking.")
    if what.measure == "networks":
        return emotion.between_classifiers(samples, votes, (what.models[0], what.models[1]), material.steerer)
    compare = emotion.pair_gap if what.measure == "pair" else emotion.against_classifier
    return compare(samples, votes, what.models[0], material.steerer)


@st.cache_resource(show_spinner=False, max_entries=8)
def _votes(key: str, group: str, _material: Material, _excluded: frozenset[str]) -> Choices:
    from core.analysis.choices import choices

    return choices(_material.ratings, _material.asked["sample_id"], excluded=_excluded)
