"""What shall be learned: networks, people and the way, all in the address; and the runs that there are already."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, get_args

import streamlit as st

from core.alignment.configuration import CLASSIFIERS, AlignmentConfiguration, Split
from core.sampling import own_judging
from ui.alignment import runs
from ui.analysis.choices import one_of, open_at
from ui.studies.words import many
from ui.words import fine

if TYPE_CHECKING:
    from core.alignment.alignment import Alignment
    from ui.analysis.material import Chosen

NETWORKS, PEOPLE, SPLIT, EPOCHS, STOP, PLAIN, RUN = "networks", "people", "split", "rounds", "stop", "plain", "run"
PEOPLE_COUNTS = {"0": "nobody", "10": "10 people", "30": "30 people", "all": "everybody"}
SPLITS: dict[Split, str] = {
    "images": "Every fifth face, from everybody",
    "paper": "Every fifth answer of a person, as in the paper",
}
PLAIN_FACES = ("100", "400", "800")
ROUNDS = ("5", "15", "30", "60")
USUAL = AlignmentConfiguration()
PATIENCE = 5


@dataclass(frozen=True, eq=False)
class Wanted:
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
        return any(runs.unfinished(each, self.people) for each in self.alignments)


def choose(chosen: Chosen) -> Wanted | None:
    """Widgets for networks, people and the way; None where no network is chosen. An earlier run is shown as it was."""
    earlier = {each.alignment_id: each for each in runs.kept(chosen)}
    run = st.query_params.get(RUN, "")
    if run in earlier:
        _shown_as_it_was(earlier[run])
        names = tuple(name for name in earlier[run].configuration.classifiers if earlier[run].ready(name))
        return Wanted(names, 0, tuple(earlier[run] for _ in names))
    with st.container(horizontal=True, gap="large", vertical_alignment="bottom", key="align-choices"):
        networks = _networks(chosen)
        count = one_of(
            "Who gets a model of their own?",
            list(PEOPLE_COUNTS),
            PEOPLE,
            titles=PEOPLE_COUNTS,
            default="10",
            help="Each takes some seconds, and as long again for the control with shuffled answers.",
        )
    with st.container(horizontal=True, gap="small", width="content", key="align-more"):
        with st.popover("How it learns", type="tertiary", icon=":material/tune:"):
            configuration = _way()
        if earlier:
            history = st.popover("Earlier runs", type="tertiary", icon=":material/history:")
    if earlier:
        with history:
            for number, each in enumerate(earlier.values()):
                st.button(_described(each), key=f"run-{number}", on_click=open_at, args=(RUN, each.alignment_id))
    if own_judging.added("classifier"):
        st.html(fine("Networks that were added are asked, and do not learn: only these are known from the inside."))
    if not networks:
        st.info("Choose at least one network that shall learn.")
        return None
    alignments = [runs.alignment_of(chosen, replace(configuration, classifiers=(name,))) for name in networks]
    people = len(alignments[0].split.able()) if count == "all" else int(count)
    return Wanted(tuple(networks), people, tuple(alignments))


def _described(alignment: Alignment) -> str:
    """A run in a line: its networks, how it learned and when it was begun."""
    from core.figures.exhibits.exhibit import title_of

    c = alignment.configuration
    names = ", ".join(title_of(name) for name in c.classifiers if alignment.ready(name))
    split = "" if c.split == USUAL.split else ", split as in the paper"
    people = max(len(alignment.people(name)) for name in c.classifiers)
    return f"{names}: {many(c.epochs, 'round')}, {many(people, 'person', 'people')} with a model{split}, {_begun(alignment)}"


def _begun(alignment: Alignment) -> str:
    made = dt.datetime.fromisoformat(str(alignment.kept.card().get("made", "")))
    return f"{made:%d %B %Y, %H:%M} UTC".lstrip("0")


def _shown_as_it_was(alignment: Alignment) -> None:
    with st.container(horizontal=True, gap="medium", vertical_alignment="center", key="align-earlier"):
        st.html(fine(f"An earlier run. {_described(alignment)}."))
        st.button("Choose anew", type="tertiary", key="forget-run", on_click=lambda: st.query_params.pop(RUN, None))


def _networks(chosen: Chosen) -> Sequence[str]:
    """Those of the address, else those that have learned last, else the first one."""
    from core.figures.exhibits.exhibit import title_of

    asked = [name for name in st.query_params.get(NETWORKS, "").split(".") if name in CLASSIFIERS]
    last = runs.kept(chosen)[:1]
    usual = asked or [name for each in last for name in each.configuration.classifiers if each.ready(name)] or [CLASSIFIERS[0]]
    widget = f"choice-{NETWORKS}"
    if asked or widget not in st.session_state:
        st.session_state[widget] = usual

    def write() -> None:
        st.query_params[NETWORKS] = ".".join(st.session_state[widget])

    picked = st.pills(
        "Which networks learn?", CLASSIFIERS, selection_mode="multi", format_func=title_of, key=widget, on_change=write, wrap=True
    )
    return [name for name in CLASSIFIERS if name in picked]


def _way() -> AlignmentConfiguration:
    """What few people change."""
    split = one_of("What is held out to judge by?", list(SPLITS), SPLIT, titles=dict(SPLITS))
    rounds = one_of("Rounds of learning", ROUNDS, EPOCHS, default=str(USUAL.epochs), help="The paper has 15.")
    stop = one_of("Stop when it gets no better?", ("no", "yes"), STOP, help=f"After {PATIENCE} rounds without a gain.")
    plain = one_of(
        "Plain faces to learn from alongside",
        PLAIN_FACES,
        PLAIN,
        default=str(USUAL.reference_faces),
        help="So that it does not forget what it knew. They are made and looked at once; fewer take less time.",
    )
    st.html(
        fine(
            "As in the paper otherwise: small steps (Adam, 0.0001), 128 answers at once, two of people’s answers to one of plain "
            "faces; and for one person two of their own answers to one of the others’."
        )
    )
    known: dict[str, Split] = {name: name for name in get_args(Split)}
    return replace(
        USUAL, split=known[split], epochs=int(rounds), reference_faces=int(plain), patience=PATIENCE if stop == "yes" else 0
    )
