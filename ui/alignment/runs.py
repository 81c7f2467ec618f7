"""Alignment runs as the pages use them: networks, people and settings (all in the address), stored runs, and the learning job.

One alignment a network, found again by its configuration.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import get_args

import streamlit as st

from core.alignment.alignment import Alignment, begin_alignment, load_alignments
from core.alignment.configuration import AlignmentConfiguration, Split, list_learners
from core.alignment.data import find_study_generator
from core.alignment.evaluate import AlignmentReport, evaluate_classifier
from core.alignment.store import alignments_folder
from core.models import registry
from core.progress import Progress
from core.sampling.configuration import sample_seed
from core.sampling.stored import scores
from ui.analysis.study_choice import StudyChoice
from ui.markup import caption_html, count_noun
from ui.selection import bound_choice, write_choice
from ui.studies import access

GROUP_SHARE = 0.7
"""Of the bar, for everybody's model; the rest is for the people's own."""


def list_networks(chosen: StudyChoice) -> tuple[str, ...]:
    """The networks that can learn from a study; first the one that guides samples of its generator: faces can be made with it."""
    return list_learners(find_study_generator(chosen.study_data))


def find_alignment(chosen: StudyChoice, configuration: AlignmentConfiguration) -> Alignment:
    """The alignment of one network, learned or not. Raises LiminalError where the study cannot be learned from."""
    alignment = _begin_alignment(chosen.key, configuration, chosen)
    name = alignment.configuration.classifiers[0]
    if alignment.ready(name):
        return alignment
    for other in list_alignments(chosen):  # one that learned together with others
        if other.ready(name) and replace(other.configuration, classifiers=(name,)) == alignment.configuration:
            return other
    return alignment


def list_alignments(chosen: StudyChoice) -> list[Alignment]:
    """The alignments that learned from the study's present answers, newest first."""
    finished = tuple(sorted(str(path) for path in alignments_folder().glob("*/*/group.npz")))
    return _load_alignments(chosen.key, finished, chosen) if finished else []


@st.cache_resource(show_spinner="Sorting the answers", max_entries=24)
def _begin_alignment(key: str, configuration: AlignmentConfiguration, _chosen: StudyChoice) -> Alignment:
    return begin_alignment(_chosen.study_data, access.get_library(), configuration)


@st.cache_resource(show_spinner=False, max_entries=8)
def _load_alignments(key: str, finished: tuple[str, ...], _chosen: StudyChoice) -> list[Alignment]:
    return load_alignments(_chosen.study_data, access.get_library())


def choose_raters(alignment: Alignment, count: int) -> tuple[str, ...]:
    """``count`` of the people with enough answers; a larger count adds people to the same ones."""
    able = sorted(alignment.split.eligible_raters, key=lambda rater: sample_seed(alignment.configuration.seed, "own model", rater))
    return tuple(able[:count])


def is_unfinished(alignment: Alignment, people: int) -> bool:
    """Whether everybody's model, or that of one of ``people`` people, has not been learned yet."""
    name = alignment.configuration.classifiers[0]
    if not alignment.ready(name):
        return True
    learned = set(alignment.people(name))
    return any(rater not in learned for rater in choose_raters(alignment, people))


def make_learning_job(alignments: Sequence[Alignment], names: Sequence[str], people: int) -> Callable[[Progress], bool]:
    """The work of a job: the group models, then the individual models of ``people`` people and their null controls."""

    def work(progress: Progress) -> bool:
        progress.stage("Loading the networks", 0.0)
        from core.alignment import train  # PyTorch

        for number, (alignment, name) in enumerate(zip(alignments, names, strict=True)):
            start, width = number / len(names), 1 / len(names)
            middle = start + GROUP_SHARE * width
            if not alignment.ready(name):
                train.train_group(alignment, progress.stretch(start, middle, _title_in_messages(name)))
            raters = choose_raters(alignment, people)
            if raters:
                rest = progress.stretch(middle, start + width, _title_in_messages(name))
                train.train_everyone(_select_network(alignment, name), people=raters, progress=rest)
        return True

    return work


def _select_network(alignment: Alignment, name: str) -> Alignment:
    """The same alignment, in the same folder, with one network to learn."""
    return replace(alignment, configuration=replace(alignment.configuration, classifiers=(name,)))


def _title_in_messages(name: str) -> Callable[[str], str]:
    """A function that rewrites the training's messages: the network's title for its name, and the page's words."""

    def rewrite(message: str) -> str:
        titled = message.removeprefix(f"{name}: ").replace(name, registry.title(name))
        return titled.replace("learns from the group: epoch", "learns from everybody: round")

    return rewrite


def load_report(alignment: Alignment, name: str) -> AlignmentReport:
    """The report on one network, cached until another individual model has learned."""
    people = (len(alignment.people(name)), len(alignment.people(name, null=True)))
    return _compute_report(alignment.alignment_id, name, people, alignment)


@st.cache_resource(show_spinner="Working it out", max_entries=24)
def _compute_report(alignment_id: str, name: str, people: tuple[int, int], _alignment: Alignment) -> AlignmentReport:
    return evaluate_classifier(_alignment, name, shifts=False)  # the pages show no shifts


NETWORKS, PEOPLE, SPLIT, EPOCHS, STOP, PLAIN, RUN = "networks", "people", "split", "rounds", "stop", "plain", "run"
PEOPLE_COUNTS = {"0": "nobody", "10": "10 people", "30": "30 people", "all": "everybody"}
SPLIT_NAMES: dict[str, str] = {
    "images": "Every fifth face, from everybody",
    "paper": "Every fifth answer of a person, as in the paper",
}
REFERENCE_COUNTS = ("100", "400", "800")
EPOCH_COUNTS = ("5", "15", "30", "60")
DEFAULT_CONFIGURATION = AlignmentConfiguration()
PATIENCE = 5


@dataclass(frozen=True, eq=False)
class AlignmentChoice:
    """The chosen networks with their alignments. people: how many get an individual model, at most."""

    networks: tuple[str, ...]
    people: int
    alignments: tuple[Alignment, ...]

    @property
    def ready(self) -> list[tuple[str, Alignment]]:
        """The networks whose group model has learned, each with its alignment."""
        pairs = zip(self.networks, self.alignments, strict=True)
        return [(name, alignment) for name, alignment in pairs if alignment.ready(name)]

    @property
    def missing(self) -> bool:
        """Whether anything is left to learn."""
        return any(is_unfinished(alignment, self.people) for alignment in self.alignments)


def choose_alignment(chosen: StudyChoice) -> AlignmentChoice | None:
    """Widgets for networks, people and settings; None where no network is chosen. An earlier run is taken as it was."""
    earlier = {alignment.alignment_id: alignment for alignment in list_alignments(chosen)}
    run = st.query_params.get(RUN, "")
    if run in earlier:
        _show_run_settings(earlier[run])
        names = tuple(name for name in earlier[run].configuration.classifiers if earlier[run].ready(name))
        return AlignmentChoice(names, 0, tuple(earlier[run] for _ in names))
    with st.container(horizontal=True, gap="large", vertical_alignment="bottom", key="align-choices"):
        networks = _choose_networks(chosen)
        count = bound_choice(
            "Who gets a model of their own?",
            list(PEOPLE_COUNTS),
            PEOPLE,
            titles=PEOPLE_COUNTS,
            default="10",
            help="Each takes some seconds, and as long again for the control with shuffled answers.",
        )
    with st.container(horizontal=True, gap="small", width="content", key="align-more"):
        with st.popover("How it learns", type="tertiary", icon=":material/tune:"):
            configuration = _choose_settings()
        if earlier:
            history = st.popover("Earlier runs", type="tertiary", icon=":material/history:")
    if earlier:
        with history:
            for number, alignment in enumerate(earlier.values()):
                st.button(_describe_run(alignment), key=f"run-{number}", on_click=write_choice, args=(RUN, alignment.alignment_id))
    if scores.list_custom_names("classifier"):
        st.html(caption_html("Networks that were added are asked, and do not learn: only these are known from the inside."))
    if not networks:
        st.info("Choose at least one network that shall learn.")
        return None
    alignments = [find_alignment(chosen, replace(configuration, classifiers=(name,))) for name in networks]
    people = len(alignments[0].split.eligible_raters) if count == "all" else int(count)
    return AlignmentChoice(tuple(networks), people, tuple(alignments))


def _describe_run(alignment: Alignment) -> str:
    """A run in one line: the networks that it began with, its settings and when it began."""
    c = alignment.configuration
    names = ", ".join(alignment.describe_beginning(name) for name in c.classifiers if alignment.ready(name))
    split = "" if c.split == DEFAULT_CONFIGURATION.split else ", split as in the paper"
    people = max(len(alignment.people(name)) for name in c.classifiers)
    models = f"{count_noun(people, 'person', 'people')} with a model"
    return f"Began with {names}: {count_noun(c.epochs, 'round')}, {models}{split}, {_describe_start(alignment)}"


def _describe_start(alignment: Alignment) -> str:
    moment = dt.datetime.fromisoformat(str(alignment.store.card().get("made", "")))
    return f"{moment:%d %B %Y, %H:%M} UTC".lstrip("0")


def _forget_run() -> None:
    st.query_params.pop(RUN, None)


def _show_run_settings(alignment: Alignment) -> None:
    with st.container(horizontal=True, gap="medium", vertical_alignment="center", key="align-earlier"):
        st.html(caption_html(f"An earlier run. {_describe_run(alignment)}."))
        st.button("Choose anew", type="tertiary", key="forget-run", on_click=_forget_run)


def _choose_networks(chosen: StudyChoice) -> Sequence[str]:
    """A widget for the networks: those of the address, else those that learned last, else the first one."""
    offered = list_networks(chosen)
    named = [name for name in st.query_params.get(NETWORKS, "").split(".") if name in offered]
    learned = [name for last in list_alignments(chosen)[:1] for name in last.configuration.classifiers if last.ready(name)]
    widget = f"choice-{NETWORKS}-{offered[0]}"  # another chain offers others
    if named or widget not in st.session_state:
        st.session_state[widget] = named or learned or [offered[0]]

    def write() -> None:
        st.query_params[NETWORKS] = ".".join(st.session_state[widget])

    picked = st.pills(
        "Which networks learn?",
        offered,
        selection_mode="multi",
        format_func=lambda name: registry.title(name).partition(" (")[0],
        key=widget,
        on_change=write,
        wrap=True,
    )
    return [name for name in offered if name in picked]


def _choose_settings() -> AlignmentConfiguration:
    """Widgets for the settings that few people change."""
    split = bound_choice("What is held out to judge by?", list(SPLIT_NAMES), SPLIT, titles=SPLIT_NAMES)
    rounds = bound_choice(
        "Rounds of learning", EPOCH_COUNTS, EPOCHS, default=str(DEFAULT_CONFIGURATION.epochs), help="The paper has 15."
    )
    stop = bound_choice("Stop when it gets no better?", ("no", "yes"), STOP, help=f"After {PATIENCE} rounds without a gain.")
    plain = bound_choice(
        "Plain faces to learn from alongside",
        REFERENCE_COUNTS,
        PLAIN,
        default=str(DEFAULT_CONFIGURATION.reference_faces),
        help="So that it does not forget what it knew. They are made and looked at once; fewer take less time.",
    )
    st.html(
        caption_html(
            "As in the paper otherwise: small steps (Adam, 0.0001), 128 answers at once, two of people’s answers to one of plain "
            "faces; and for one person two of their own answers to one of the others’."
        )
    )
    known: dict[str, Split] = {name: name for name in get_args(Split)}
    return replace(
        DEFAULT_CONFIGURATION,
        split=known[split],
        epochs=int(rounds),
        reference_faces=int(plain),
        patience=PATIENCE if stop == "yes" else 0,
    )
