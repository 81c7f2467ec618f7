"""Alignment runs as the pages use them: which study, which networks, people and settings (all in the address), stored runs, and
the learning job.

One alignment a network, found again by what was chosen.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, get_args

import streamlit as st

from core.alignment.configuration import CLASSIFIERS, AlignmentConfiguration, Split
from core.models import registry
from core.progress import Progress
from core.sampling.stored import scores
from ui.analysis import study_choice
from ui.markup import caption_html, count_noun
from ui.selection import bound_choice, write_choice
from ui.studies import access

if TYPE_CHECKING:
    from core.alignment.alignment import Alignment
    from core.alignment.evaluate import AlignmentReport
    from ui.analysis.study_choice import StudyChoice


def is_emotion_study() -> bool:
    """Whether the study of the address is there and asks about feelings."""
    asked = st.query_params.get("study")
    return any(each.name == asked and each.plan.kind == "emotion" for each in study_choice.list_visible_studies())


def prefer_emotion_study() -> None:
    """Put a study of feelings into the address where it names no study and the last one looked at asks something else."""
    if "study" in st.query_params:
        return
    feelings = [each for each in study_choice.list_visible_studies() if each.plan.kind == "emotion"]
    if feelings and st.session_state.get(study_choice.LAST, "") not in {each.name for each in feelings}:
        st.query_params["study"] = study_choice.default_study(feelings, access.get_store().counts()).name


GROUP_SHARE = 0.7
"""Of the bar, for everybody's model; the rest is for the people's own."""


def find_alignment(chosen: StudyChoice, configuration: AlignmentConfiguration) -> Alignment:
    """The alignment of one network, learned or not. Raises LiminalError where the study cannot be learned from."""
    own = _begin_alignment(chosen.key, configuration, chosen)
    name = configuration.classifiers[0]
    if own.ready(name):
        return own
    for each in list_alignments(chosen):  # one that learned together with others
        if each.ready(name) and replace(each.configuration, classifiers=(name,)) == configuration:
            return each
    return own


def list_alignments(chosen: StudyChoice) -> list[Alignment]:
    """Everything that was learned from the study's present answers, the newest first."""
    from core.alignment.store import alignments_folder

    finished = tuple(sorted(str(place) for place in alignments_folder().glob("*/*/group.npz")))
    return _load_alignments(chosen.key, finished, chosen) if finished else []


@st.cache_resource(show_spinner="Sorting the answers", max_entries=24)
def _begin_alignment(key: str, configuration: AlignmentConfiguration, _chosen: StudyChoice) -> Alignment:
    from core.alignment.alignment import begin_alignment

    return begin_alignment(_chosen.material, access.get_library(), configuration)


@st.cache_resource(show_spinner=False, max_entries=8)
def _load_alignments(key: str, finished: tuple[str, ...], _chosen: StudyChoice) -> list[Alignment]:
    from core.alignment.alignment import load_alignments

    return load_alignments(_chosen.material, access.get_library())


def choose_raters(alignment: Alignment, count: int) -> tuple[str, ...]:
    """``count`` of the people with enough answers, the same ones every time and more of them for a larger number."""
    from core.sampling.configuration import sample_seed

    able = sorted(alignment.split.eligible_raters, key=lambda rater: sample_seed(alignment.configuration.seed, "own model", rater))
    return tuple(able[:count])


def is_unfinished(alignment: Alignment, people: int) -> bool:
    """Whether something that was asked for has not been learned yet."""
    name = alignment.configuration.classifiers[0]
    if not alignment.ready(name):
        return True
    have, able = set(alignment.people(name)), choose_raters(alignment, people)
    return any(rater not in have for rater in able)


def make_learning_job(alignments: Sequence[Alignment], names: Sequence[str], people: int) -> Callable[[Progress], bool]:
    """The work of a job: everybody's models, then those of ``people`` people and their controls."""

    def work(progress: Progress) -> bool:
        progress.stage("Loading the networks", 0.0)
        from core.alignment import train

        for place, (each, name) in enumerate(zip(alignments, names, strict=True)):
            start, width = place / len(names), 1 / len(names)
            middle = start + GROUP_SHARE * width
            if not each.ready(name):
                train.train_group(each, progress.stretch(start, middle, _title_in_messages(name)))
            chosen = choose_raters(each, people)
            if chosen:
                own = progress.stretch(middle, start + width, _title_in_messages(name))
                train.train_everyone(_select_network(each, name), people=chosen, progress=own)
        return True

    return work


def _select_network(alignment: Alignment, name: str) -> Alignment:
    """The same with one network to learn, in the same folder."""
    return replace(alignment, configuration=replace(alignment.configuration, classifiers=(name,)))


def _title_in_messages(name: str) -> Callable[[str], str]:
    """Messages with a network's name as people know it."""

    def said(message: str) -> str:
        told = message.removeprefix(f"{name}: ").replace(name, registry.title(name))
        return told.replace("learns from the group: epoch", "learns from everybody: round")

    return said


def load_report(alignment: Alignment, name: str) -> AlignmentReport:
    """All figures of one network, kept until somebody else's model has learned."""
    people = (len(alignment.people(name)), len(alignment.people(name, null=True)))
    return _compute_report(alignment.alignment_id, name, people, alignment)


@st.cache_resource(show_spinner="Working it out", max_entries=24)
def _compute_report(alignment_id: str, name: str, people: tuple[int, int], _alignment: Alignment) -> AlignmentReport:
    from core.alignment.evaluate import evaluate_classifier

    return evaluate_classifier(_alignment, name)


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
    """What was chosen. people: how many get a model of their own, at most."""

    networks: tuple[str, ...]
    people: int
    alignments: tuple[Alignment, ...]

    @property
    def ready(self) -> list[tuple[str, Alignment]]:
        """Networks that everybody's answers have taught already."""
        return [(name, each) for name, each in zip(self.networks, self.alignments, strict=True) if each.ready(name)]

    @property
    def missing(self) -> bool:
        """Whether anything is left to learn."""
        return any(is_unfinished(each, self.people) for each in self.alignments)


def choose_alignment(chosen: StudyChoice) -> AlignmentChoice | None:
    """Widgets for networks, people and the way; None where no network is chosen. An earlier run is shown as it was."""
    earlier = {each.alignment_id: each for each in list_alignments(chosen)}
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
            for number, each in enumerate(earlier.values()):
                st.button(_describe_run(each), key=f"run-{number}", on_click=write_choice, args=(RUN, each.alignment_id))
    if scores.list_custom_names("classifier"):
        st.html(caption_html("Networks that were added are asked, and do not learn: only these are known from the inside."))
    if not networks:
        st.info("Choose at least one network that shall learn.")
        return None
    alignments = [find_alignment(chosen, replace(configuration, classifiers=(name,))) for name in networks]
    people = len(alignments[0].split.eligible_raters) if count == "all" else int(count)
    return AlignmentChoice(tuple(networks), people, tuple(alignments))


def _describe_run(alignment: Alignment) -> str:
    """A run in a line: its networks, how it learned and when it was begun."""

    c = alignment.configuration
    names = ", ".join(registry.title(name) for name in c.classifiers if alignment.ready(name))
    split = "" if c.split == DEFAULT_CONFIGURATION.split else ", split as in the paper"
    people = max(len(alignment.people(name)) for name in c.classifiers)
    own_models = f"{count_noun(people, 'person', 'people')} with a model"
    return f"{names}: {count_noun(c.epochs, 'round')}, {own_models}{split}, {_describe_start(alignment)}"


def _describe_start(alignment: Alignment) -> str:
    made = dt.datetime.fromisoformat(str(alignment.store.card().get("made", "")))
    return f"{made:%d %B %Y, %H:%M} UTC".lstrip("0")


def _forget_run() -> None:
    st.query_params.pop(RUN, None)


def _show_run_settings(alignment: Alignment) -> None:
    with st.container(horizontal=True, gap="medium", vertical_alignment="center", key="align-earlier"):
        st.html(caption_html(f"An earlier run. {_describe_run(alignment)}."))
        st.button("Choose anew", type="tertiary", key="forget-run", on_click=_forget_run)


def _choose_networks(chosen: StudyChoice) -> Sequence[str]:
    """Those of the address, else those that have learned last, else the first one."""

    asked = [name for name in st.query_params.get(NETWORKS, "").split(".") if name in CLASSIFIERS]
    last = list_alignments(chosen)[:1]
    usual = asked or [name for each in last for name in each.configuration.classifiers if each.ready(name)] or [CLASSIFIERS[0]]
    widget = f"choice-{NETWORKS}"
    if asked or widget not in st.session_state:
        st.session_state[widget] = usual

    def write() -> None:
        st.query_params[NETWORKS] = ".".join(st.session_state[widget])

    picked = st.pills(
        "Which networks learn?",
        CLASSIFIERS,
        selection_mode="multi",
        format_func=registry.title,
        key=widget,
        on_change=write,
        wrap=True,
    )
    return [name for name in CLASSIFIERS if name in picked]


def _choose_settings() -> AlignmentConfiguration:
    """What few people change."""
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
