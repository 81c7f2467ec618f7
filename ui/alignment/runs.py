"""Alignments as the pages use them: one a network, found again by what was chosen, and the work of learning as a job."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from core.alignment.configuration import AlignmentConfiguration
from core.progress import Progress
from ui.studies import access

if TYPE_CHECKING:
    from core.alignment.alignment import Alignment
    from core.alignment.evaluation import AlignmentReport
    from ui.analysis.material import Chosen

GROUPS_SHARE = 0.7
"""Of the bar, for everybody's model; the rest is for the people's own."""


def alignment_of(chosen: Chosen, configuration: AlignmentConfiguration) -> Alignment:
    """The alignment of one network, learned or not. Raises LiminalError where the study cannot be learned from."""
    own = _begun(chosen.key, configuration, chosen)
    name = configuration.classifiers[0]
    if own.ready(name):
        return own
    for each in kept(chosen):  # one that learned together with others
        if each.ready(name) and replace(each.configuration, classifiers=(name,)) == configuration:
            return each
    return own


def kept(chosen: Chosen) -> list[Alignment]:
    """Everything that was learned from the study's present answers, the newest first."""
    from core.alignment.kept import root

    finished = tuple(sorted(str(place) for place in root().glob("*/*/group.npz")))
    return _kept(chosen.key, finished, chosen) if finished else []


@st.cache_resource(show_spinner="Sorting the answers", max_entries=24)
def _begun(key: str, configuration: AlignmentConfiguration, _chosen: Chosen) -> Alignment:
    from core.alignment.alignment import begin

    return begin(_chosen.material, access.library(), configuration)


@st.cache_resource(show_spinner=False, max_entries=8)
def _kept(key: str, finished: tuple[str, ...], _chosen: Chosen) -> list[Alignment]:
    from core.alignment.alignment import saved

    return saved(_chosen.material, access.library())


def some_of(alignment: Alignment, count: int) -> tuple[str, ...]:
    """``count`` of the people with enough answers, the same ones every time and more of them for a larger number."""
    from core.sampling.seeds import sample_seed

    able = sorted(alignment.split.able(), key=lambda rater: sample_seed(alignment.configuration.seed, "own model", rater))
    return tuple(able[:count])


def unfinished(alignment: Alignment, people: int) -> bool:
    """Whether something that was asked for has not been learned yet."""
    name = alignment.configuration.classifiers[0]
    if not alignment.ready(name):
        return True
    have, able = set(alignment.people(name)), some_of(alignment, people)
    return any(rater not in have for rater in able)


def learner(alignments: Sequence[Alignment], names: Sequence[str], people: int) -> Callable[[Progress], bool]:
    """The work of a job: everybody's models, then those of ``people`` people and their controls."""

    def work(progress: Progress) -> bool:
        progress.stage("Loading the networks", 0.0)
        from core.alignment import learning

        for place, (each, name) in enumerate(zip(alignments, names, strict=True)):
            start, width = place / len(names), 1 / len(names)
            middle = start + GROUPS_SHARE * width
            if not each.ready(name):
                learning.group(each, progress.stretch(start, middle, _known_as(name)))
            chosen = some_of(each, people)
            if chosen:
                own = progress.stretch(middle, start + width, _known_as(name))
                learning.everyone(_alone(each, name), people=chosen, progress=own)
        return True

    return work


def _alone(alignment: Alignment, name: str) -> Alignment:
    """The same with one network to learn, in the same folder."""
    return replace(alignment, configuration=replace(alignment.configuration, classifiers=(name,)))


def _known_as(name: str) -> Callable[[str], str]:
    """Messages with a network's name as people know it."""
    from core.figures.exhibits.exhibit import title_of

    def said(message: str) -> str:
        told = message.removeprefix(f"{name}: ").replace(name, title_of(name))
        return told.replace("learns from the group: epoch", "learns from everybody: round")

    return said


def report_of(alignment: Alignment, name: str) -> AlignmentReport:
    """All figures of one network, kept until somebody else's model has learned."""
    people = (len(alignment.people(name)), len(alignment.people(name, null=True)))
    return _report(alignment.alignment_id, name, people, alignment)


@st.cache_resource(show_spinner="Working it out", max_entries=24)
def _report(alignment_id: str, name: str, people: tuple[int, int], _alignment: Alignment) -> AlignmentReport:
    from core.alignment.evaluation import report

    return report(_alignment, name)
