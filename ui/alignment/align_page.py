"""The page 'Align': networks learn from people's answers, and what that changed.

Curves while a run lasts; then before and after in words, figures, confusion tables and faces. For identity, a decision model on
the measurements of recognisers is fitted, for everybody and for each person, beside its control.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import streamlit as st

from core.alignment.alignment import Alignment
from core.alignment.data import SPLIT_NOTES
from core.alignment.evaluate import AlignmentReport, count_confusions, rank_changes
from core.alignment.identity import IdentityReport, align_identity
from core.alignment.store import Curve, Epoch, EpochDone, EpochsBefore
from core.analysis.estimate import Estimate, join_notes
from core.figures import alignment as exhibits
from core.figures import identity_alignment, theme
from core.figures.alignment import (
    describe_individual_gain,
    exhibit_all_individual_curves,
    exhibit_confusions,
    exhibit_curves,
    exhibit_individual_curves,
)
from core.figures.exhibit import Exhibit, build_file_name
from core.figures.identity_alignment import describe_individual_models, find_recogniser
from core.models import registry
from core.models.emotions import EMOTIONS
from core.studies.study import KINDS
from ui import components, markup, progress, selection
from ui.alignment import runs
from ui.alignment.runs import AlignmentChoice
from ui.analysis.figure_card import show_figure_card
from ui.analysis.study_choice import StudyChoice
from ui.components import Tile
from ui.jobs import Job, find_or_start_job
from ui.markup import caption_html, count_noun, intro_html
from ui.selection import bound_choice
from ui.studies import owner_gate

RATER_PARAMETER, SUBSET_PARAMETER = "whose", "faces"
EVERYBODY = "everybody"
SHOWN_FACES, FACES_ACROSS = 12, 4
FACE_SUBSETS = {"held-out": "Faces it did not learn from", "all": "All faces"}


def show_changed_faces(chosen: StudyChoice, alignment: Alignment, network: str) -> None:
    """Show the faces whose probabilities changed most, in everybody's model or in one person's."""
    st.space("medium")
    st.header("Faces that it sees differently now", anchor="changed")
    with st.container(horizontal=True, gap="large", vertical_alignment="bottom", key="changed-choices"):
        which = bound_choice("Which faces?", list(FACE_SUBSETS), SUBSET_PARAMETER, titles=FACE_SUBSETS)
        rater = choose_rater(alignment, network, "Who taught it?")
    table = rank_changes(alignment, network, rater)
    if which == "held-out":
        table = table[table["held_out"]]
    moved = int((table["before"] != table["after"]).sum())
    before = "before" if not rater else "everybody's model"
    st.html(
        intro_html(
            f"The likeliest feeling changed for {moved:,} of {count_noun(len(table), 'face')}. "
            f"{'Those that moved most come first.' if moved else 'These moved most all the same.'}"
        )
    )
    rows = table.head(SHOWN_FACES).to_dict("records")
    components.show_faces(
        [components.FaceGroup([_changed_tile(chosen, row, before) for row in rows], columns=FACES_ACROSS)],
        key="changed-faces",
        on_pick=selection.select_item,
        selected=selection.selected_item(),
        layout="rows",
        tile="17rem",
    )
    selected = selection.selected_item()
    if selected in alignment.answers.images:
        _open_changed_face(chosen, alignment, network, rater, str(selected))


def choose_rater(alignment: Alignment, network: str, label: str) -> str:
    """A widget for a person with an individual model -> the rater, or '' for everybody; no widget where nobody has one."""
    people = alignment.people(network)
    if not people:
        return ""
    titles = {EVERYBODY: "Everybody"} | {rater: rater for rater in people}
    with st.container(width=300):
        picked = bound_choice(label, list(titles), RATER_PARAMETER, titles=titles, look="list")
    return "" if picked == EVERYBODY else picked


def _changed_tile(chosen: StudyChoice, row: Mapping[Any, Any], before: str) -> Tile:
    stimulus, name = str(row["stimulus"]), str(row["after"])
    change = f"{row['before']} → {name}" if row["before"] != name else f"still {name}"
    answers = "most simulated answers" if chosen.study_data.source == "simulated" else "most answers"
    people = f"{answers}: {row['people']}" if row["people"] else "no answer that counts"
    return Tile(
        stimulus,
        chosen.picture(stimulus),
        f"A generated face. {before}: {row['before']}; now: {name}; {people}",
        words=change,
        note=f"{people} ({count_noun(int(row['votes']), 'answer')})",
    )


@st.dialog("How it sees this face", width="large", on_dismiss=selection.clear_item)
def _open_changed_face(chosen: StudyChoice, alignment: Alignment, network: str, rater: str, stimulus: str) -> None:
    """Show one face in a dialog: the answers of people, the model before, the model now."""
    index = alignment.answers.images.index(stimulus)
    counts = alignment.answers.counts[index]
    group = alignment.group(network).images[index]
    if rater:
        sides = (("Everybody's model", group), (f"The model of {rater}", alignment.individual(network, rater).images[index]))
    else:
        sides = (("Before learning", alignment.base(network).images[index]), ("After learning", group))
    face, shares_column = st.columns([5, 7], gap="large")
    with face:
        st.html(markup.portrait_html(chosen.picture(stimulus), "A generated face", ""))
    with shares_column:
        markup.show_simulated_badge(alignment.answers.source)
        who = "Simulated observers" if alignment.answers.source == "simulated" else "People"
        voices = [(f"{who}, {count_noun(int(counts.sum()), 'answer')}", counts / counts.sum())] if counts.sum() else []
        for title, shares in [*voices, *sides]:
            st.html(
                f'<p class="voice">{html.escape(title)}</p>'
                + markup.bars_html(dict(zip(EMOTIONS, map(float, shares), strict=True)))
            )
        if rater:
            st.html(caption_html(_describe_own_answer(alignment, rater, index)))
    note = "No model has learned from answers to this face." if alignment.split.images[index] else "It learned from answers to it."
    st.html(caption_html(f"{note} The address of this page brings this view back."))


def _describe_own_answer(alignment: Alignment, rater: str, image: int) -> str:
    answers = alignment.answers
    rows = np.flatnonzero((answers.image == image) & (answers.rater == answers.index_of(rater)))
    return f"{rater} said {EMOTIONS[int(answers.emotion[rows[0]])]}." if len(rows) else f"{rater} was not asked about this face."


def show_confusions(chosen: StudyChoice, alignment: Alignment, network: str) -> None:
    """Show two confusion tables side by side: of the person in the address, else of everybody."""
    st.space("medium")
    st.header("What is taken for what", anchor="taken")
    name = st.query_params.get(RATER_PARAMETER, EVERYBODY)
    rater = name if name in alignment.people(network) else ""
    levels = ("group", "individual") if rater else ("base", "group")
    who = f"The held-out answers of {rater}" if rater else "Everybody's held-out answers"
    st.html(intro_html(f"{who} against the network's first choice. A perfect network has 100 % along the diagonal."))
    counts = {level: count_confusions(alignment, network, level, rater) for level in levels}
    for column, exhibit in zip(st.columns(2, gap="large"), exhibit_confusions(counts, alignment.answers.source), strict=True):
        with column:
            show_figure_card(
                exhibit, f"align-{exhibit.key}-{network}", name=build_file_name(chosen.study.name, "align", exhibit.key)
            )


NETWORK_PARAMETER = "network"


def show_results(chosen: StudyChoice, wanted: AlignmentChoice) -> None:
    """Show all results of the networks that have learned."""
    ready = dict(wanted.ready)
    reports = {name: runs.load_report(alignment, name) for name, alignment in ready.items()}
    names = list(reports)

    def show_card(exhibit: Exhibit, key: str) -> None:
        show_figure_card(exhibit, f"align-{key}", name=build_file_name(chosen.study.name, "align", key))

    st.space("small")
    st.header("What it brought", anchor="brought")
    if len(names) > 1:
        show_card(exhibits.exhibit_accuracies(list(reports.values())), "accuracy")
        titles = {name: registry.title(name) for name in names}
        name = bound_choice("A closer look at", names, NETWORK_PARAMETER, titles=titles)
    else:
        name = names[0]
    report, alignment = reports[name], ready[name]
    st.html(alignment_facts_html(report))
    notes = (
        f"It began with {alignment.describe_beginning(name)}.",
        "Every number here counts held-out answers only.",
        SPLIT_NOTES[alignment.configuration.split],
        alignment.origin,
    )
    st.html(caption_html(join_notes(*notes)))
    if len(names) == 1:
        show_card(exhibits.exhibit_accuracies([report]), f"accuracy-{name}")
    columns = st.columns(2, gap="large")
    for column, exhibit in zip(
        columns, exhibits.exhibit_gains(report), strict=False
    ):  # one alone where nobody has a model of their own
        with column:
            show_card(exhibit, f"{exhibit.key}-{name}")
    columns = st.columns(2, gap="large")
    with columns[0]:
        show_card(exhibits.exhibit_entropies(report), f"doubts-{name}")
    curves = exhibits.exhibit_group_curves(alignment)
    if curves is not None:
        with columns[1]:
            show_card(curves, f"curves-{name}")
            own_curves = exhibit_all_individual_curves(alignment, name)
            if own_curves is not None:
                show_card(own_curves, f"own-curves-{name}")
    show_changed_faces(chosen, alignment, name)
    show_confusions(chosen, alignment, name)


def format_interval_in_percent(share: Estimate) -> str:
    """' (95 % interval 74 % to 83 %)'; '' where there is none."""
    if not math.isfinite(share.low + share.high):
        return ""
    return f" (95 % interval {theme.format_percent(share.low, 0)} to {theme.format_percent(share.high, 0)})"


def use_minus_sign(text: str) -> str:
    """The text with a minus sign in place of the hyphen before a number."""
    return re.sub(r"(?<!\S)-(?=\d)", "−", text)


def alignment_facts_html(report: AlignmentReport) -> str:
    """Accuracy, gain of individual models and entropy correlation, each with what it means, as HTML."""
    before, after = report.group["base"], report.group["group"]
    people = "simulated observers" if report.basis.source == "simulated" else "people"
    rows = [
        (
            theme.format_percent(after.value, 0),
            f"of what {people} said is what the network now finds likeliest{format_interval_in_percent(after)}; before it learned, "
            f"{theme.format_percent(before.value, 0)}. "
            "Guessing would get 17 %.",
        )
    ]
    plain_before, plain_after = report.reference["base"], report.reference["group"]
    if math.isfinite(plain_after.value):
        interval = format_interval_in_percent(plain_after)
        lost, better = plain_after.high < plain_before.value, plain_after.low > plain_before.value
        rows.append(
            (
                theme.format_percent(plain_after.value, 0),
                f"of {plain_after.n:,} plain faces, none of them from the study, it still names as those that labelled them do"
                f"{interval}; before it learned, {theme.format_percent(plain_before.value, 0)}. "
                + (
                    "That is the price: it sees other faces differently, too."
                    if lost
                    else "It learned from some of them, too."
                    if better
                    else "That is about as before."
                ),
            )
        )
    own_gain = report.individual_gain.value
    if math.isfinite(own_gain.value):
        gained = f"{100 * own_gain.value:+.1f}"
        control = describe_individual_gain(report).removeprefix(f"A model of one's own adds {gained} points").lstrip(",; ")
        rows.append((use_minus_sign(gained), use_minus_sign(f"points are added by a model of one's own; {control}")))
    first, then = report.entropy_base, report.entropy_group
    if math.isfinite(then.value):
        rows.append(
            (
                theme.format_number(then.value),
                f"is how closely its doubt now follows theirs (correlation, {theme.format_number(then.low)} to "
                f"{theme.format_number(then.high)}); before, {theme.format_number(first.value)}. At 1 it is unsure of exactly "
                f"those faces on which {people} are divided.",
            )
        )
    return markup.facts_html(rows)


def show_decision_model(chosen: StudyChoice) -> None:
    """Show the decision model of an identity study: before and after, beside the control."""
    report = _load_decision_report(chosen.key, chosen)
    st.html(
        intro_html(
            "Here no network changes: what the recognisers measured of each pair is weighed anew, so that the verdict is the one "
            "that people give."
        )
    )
    st.header("What it brought", anchor="brought")
    st.html(decision_facts_html(report))
    st.html(caption_html("Every number here counts held-out answers only: those to pairs that no model has learned from."))
    first = identity_alignment.exhibit_accuracy(report)
    others = (identity_alignment.exhibit_gains(report), identity_alignment.exhibit_weights(report))
    show_figure_card(first, "align-same-accuracy", name=build_file_name(chosen.study.name, "align", first.key))
    for column, exhibit in zip(st.columns(2, gap="large"), others, strict=True):
        with column:
            show_figure_card(exhibit, f"align-{exhibit.key}", name=build_file_name(chosen.study.name, "align", exhibit.key))


@st.cache_resource(show_spinner="Learning from these people", max_entries=8)
def _load_decision_report(key: str, _chosen: StudyChoice) -> IdentityReport:
    return align_identity(_chosen.study_data)[1]


def decision_facts_html(report: IdentityReport) -> str:
    """Accuracy and gain of the decision model, each with what it means, as HTML."""
    after, before = report.group, report.base
    control = (
        f"; {find_recogniser(report)} at its own limit, {theme.format_percent(before.value, 0)}"
        if math.isfinite(before.value)
        else ""
    )
    rows = [
        (
            theme.format_percent(after.value, 0),
            "of a person's verdicts are those of the model that learned from everybody (95 % interval "
            f"{theme.format_percent(after.low, 0)} to {theme.format_percent(after.high, 0)}){control}.",
        )
    ]
    own_gain = report.individual_gain.value
    if math.isfinite(own_gain.value):
        rows.append((f"{100 * own_gain.value:+.1f}", f"points by weights of one's own. {describe_individual_models(report)}"))
    return markup.facts_html(rows)


ALIGN_JOB = "align_job"


def show_alignment(chosen: StudyChoice) -> None:
    """Show the choices, the run while it lasts, and its results."""
    if chosen.study.plan.asks not in KINDS:
        st.info(
            "People gave answers of this study's own. Networks learn feelings, or who is who; choose a study above that asks one."
        )
        return
    if chosen.study_data.kind != "emotion":
        show_decision_model(chosen)
        return
    wanted = runs.choose_alignment(chosen)
    if wanted is None:
        return
    if not _show_running(chosen, wanted):
        _offer_run(chosen, wanted)
    if wanted.ready:
        show_results(chosen, wanted)


def _job_key(wanted: AlignmentChoice) -> tuple[object, ...]:
    return (tuple(alignment.alignment_id for alignment in wanted.alignments), wanted.networks, wanted.people)


def _offer_run(chosen: StudyChoice, wanted: AlignmentChoice) -> None:
    """Show the button that starts a run and what it will do; nothing where all has been learned."""
    if not wanted.missing:
        return
    if not owner_gate.is_allowed():
        st.html(
            caption_html("Networks learn here for the owner of the studies alone; what they have learned is shown to everybody.")
        )
        return
    one = wanted.alignments[0]
    learned, judged = one.split.group()
    begun, everybody = bool(wanted.ready), len(wanted.ready) == len(wanted.networks)
    label = "Learn from each of them" if everybody else "Go on learning" if begun else "Learn from these people"
    if everybody:
        text = "Everybody’s model is there; now single people get one of their own, in some seconds each. It "
    else:
        held = f"From {len(learned):,} answers; {len(judged):,} to other faces are held out and never learned from."
        text = f"{held} It takes some minutes, "
    with st.container(horizontal=True, gap="medium", vertical_alignment="center", key="align-start"):
        st.button(
            label,
            type="secondary" if begun else "primary",
            key="learn",
            icon=":material/school:",
            on_click=_start_run,
            args=(_job_key(wanted),),
        )
        st.html(caption_html(f"{text}can be stopped at any time and goes on from there."))


def _start_run(key: tuple[object, ...]) -> None:
    st.session_state.pop(ALIGN_JOB, None)  # one that was stopped goes on as a new one
    st.session_state["align-wanted"] = key


def _show_running(chosen: StudyChoice, wanted: AlignmentChoice) -> bool:
    """Show the run for these choices -> whether one is under way."""
    if not wanted.missing:
        st.session_state.pop("align-wanted", None)
    if st.session_state.get("align-wanted") != _job_key(wanted):
        return False
    work = runs.make_learning_job(wanted.alignments, wanted.networks, wanted.people)
    job = find_or_start_job(ALIGN_JOB, _job_key(wanted), "learning from people", work)
    if job.finished:
        st.session_state.pop("align-wanted")
        if job.status == "stopped":
            st.info("Stopped. What was learned so far is kept: go on whenever you like.")
        else:
            progress.show_outcome(job)
        return False
    _, judged = wanted.alignments[0].split.group()
    _watch_run(job.id, wanted.alignments[0].configuration.epochs, wanted.alignments[0].answers.source, len(judged))
    return True


@st.fragment(run_every=progress.POLL_SECONDS)
def _watch_run(job_id: str, epochs: int, source: str, judged: int) -> None:
    job = progress.poll_job(job_id)
    curves = gather_curves(job)
    if any(len(curve.epochs) > 1 for curve in curves.values()):
        exhibit = exhibit_curves(curves, epochs=epochs, source=source, n=f"{judged:,} held-out answers")
        show_figure_card(exhibit, "live-curves", name="learning")
    own_curves = gather_curves(job, "individual")
    if own_curves:
        show_figure_card(
            exhibit_individual_curves(own_curves, epochs=epochs, source=source), "live-own-curves", name="learning-from-one"
        )


def gather_curves(job: Job, stage: str = "group") -> dict[str, Curve]:
    """The learning curves so far. "group": network -> curve of the group model; "individual": rater -> curve.

    Of several networks, individual curves are those of the last one.
    """
    epochs_by_network: dict[str, dict[str, dict[int, Epoch]]] = {}  # network -> rater -> epochs
    for event in list(job.events):
        if isinstance(event, EpochDone | EpochsBefore) and event.stage == stage:
            epochs = event.epochs if isinstance(event, EpochsBefore) else (event.epoch,)
            by_rater = epochs_by_network.setdefault(event.classifier, {})
            by_rater.setdefault(event.rater, {}).update({epoch.number: epoch for epoch in epochs})
    if stage == "group":
        return {name: _build_curve(by_rater[""]) for name, by_rater in epochs_by_network.items()}
    last = list(epochs_by_network.values())[-1] if epochs_by_network else {}
    return {rater: _build_curve(epochs) for rater, epochs in last.items()}


def _build_curve(epochs: dict[int, Epoch]) -> Curve:
    return Curve(tuple(epochs[number] for number in sorted(epochs)))
