"""How a study goes: people, answers, votes an image, reaction times, and who is left out by which rule."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from ui.studies import access, answers_view
from ui.studies.figures import figure
from ui.words import fine, percent

if TYPE_CHECKING:
    from core.studies.exclusions import Rules
    from core.studies.overview import Overview
    from core.studies.study import Kind, Rater, Study
    from ui.studies.answers_view import Version

LOOK_SECONDS = 10.0
FEW = 12


@dataclass(frozen=True)
class Switch:
    """A rule that can be switched off, in words."""

    name: str  # the field of Rules, and of the address
    title: str
    kinds: tuple[Kind, ...] = ("identity", "emotion")


SWITCHES = (
    Switch("sentinels", "Missed attention checks: 70 % right or fewer"),
    Switch("too_fast", "Too fast: half of the answers within 0.3 seconds"),
    Switch("same_answer", "Always the same answer"),
    Switch("constant_similarity", "The slider never moved", ("identity",)),
)


def rules(kind: Kind) -> Rules:
    """The rules that are switched on: all, unless a switch or the address says otherwise."""
    from core.studies.exclusions import Rules

    off = {each.name: False for each in SWITCHES if kind in each.kinds and not _is_on(each)}
    return Rules(**off)


def _is_on(switch: Switch) -> bool:
    """A switch that was just turned is known to the session before it is in the address."""
    turned = st.session_state.get(switch.name)
    return bool(turned) if turned is not None else st.query_params.get(switch.name) != "false"


def show(study: Study) -> Overview:
    """Live while people can answer. -> what it shows, for the parts of the page that follow from it."""
    live = study.source == "human" and not study.closed and not study.published
    st.fragment(_show, run_every=LOOK_SECONDS if live else None)(study.name)
    found = _overview(study)  # outside the fragment: a switch changes what is counted below, too
    if found.progress.answered:
        _exclusions(study, found)
    return found


def _overview(study: Study) -> Overview:
    raters = access.store().raters(study.name)
    finished = sum(each.finished_at is not None for each in raters)
    return _worked_out(answers_view.version(study), (len(raters), finished), rules(study.plan.kind), study, raters)


@st.cache_resource(show_spinner=False, max_entries=8)
def _worked_out(version: Version, people: tuple[int, int], rules: Rules, _study: Study, _raters: list[Rater]) -> Overview:
    """people: enrolled and finished, which change without an answer."""
    from core.studies.overview import overview

    return overview(_study, access.stimuli(_study), _raters, answers_view.ratings(_study), rules)


def _show(name: str) -> None:
    study = access.store().study(name)
    ratings = answers_view.ratings(study)
    found = _overview(study)
    st.subheader("How it goes", anchor=False)
    st.html(_numbers(study, found))
    if ratings.empty:
        st.html(fine("As soon as somebody answers, it shows here by itself."))
        return
    from core.figures.agreement import votes_per_image
    from core.figures.emotion import reaction_time_histogram

    source = study.source  # single answers are those of people, also where they were brought in
    votes, times = st.columns(2, gap="large")
    with votes:
        st.markdown("**Votes an image**" if study.plan.kind == "emotion" else "**Votes a pair**")
        made = votes_per_image(list(found.votes.by_stimulus.values()), source=source)
        if found.votes.most <= FEW:
            made.update_xaxes(dtick=1)  # there are no half votes
        figure(made, "votes")
    with times:
        st.markdown("**Reaction times**")
        main = ratings[ratings["task"] == ("identity" if study.plan.kind == "identity" else "emotion")]
        figure(reaction_time_histogram(main, source=source), "reaction-times")


def _numbers(study: Study, found: Overview) -> str:
    progress, votes = found.progress, found.votes
    share = progress.answered / progress.expected if progress.expected else 0.0
    people = "observers" if study.source == "simulated" else "people"
    noun = "pair" if study.plan.kind == "identity" else "face"
    told = [
        (f"{progress.begun:,}", f"{people} have answered" + (f", {progress.finished:,} to the end" if progress.finished else "")),
        (f"{progress.answered:,}", f"trials answered: {percent(share)} of those handed out"),
        (f"{votes.median:g}", f"votes a {noun} in the middle, {votes.least:,} at least and {votes.most:,} at most"),
        (f"{len(found.exclusions.kept):,}", f"{people} count; {len(found.exclusions.reasons):,} are left out by the rules below"),
    ]
    cells = "".join(f"<div><b>{number}</b><span>{html.escape(text)}</span></div>" for number, text in told)
    return f'<div class="numbers">{cells}</div>'


def _exclusions(study: Study, found: Overview) -> None:
    """Rules as switches; nobody's answers are ever deleted by them."""
    st.markdown("**Whose answers count?**")
    left, right = st.columns(2, gap="large")
    with left:
        for switch in SWITCHES:
            if study.plan.kind in switch.kinds:
                st.toggle(switch.title, True, key=switch.name, bind="query-params")
        st.html(fine("A rule leaves somebody out of what is worked out; it deletes nothing, and can be switched off again."))
    with right:
        reasons = found.exclusions.reasons
        if not reasons:
            st.html('<div class="reasons"><p>Nobody falls under these rules.</p></div>')
        else:
            rows = "".join(
                f"<li><b>{html.escape(rater)}</b><span>{html.escape(' '.join(why))}</span></li>" for rater, why in reasons.items()
            )
            st.html(f'<ul class="reasons">{rows}</ul>')
