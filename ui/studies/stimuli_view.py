"""The faces of a study with what people said of each, down to the single vote."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING
from urllib.parse import quote

import pandas as pd
import streamlit as st

from core.figures import theme
from core.studies.importing.cells import UNKNOWN_TIME
from ui import components
from ui.paging import paged
from ui.studies import access, answers_view, words
from ui.words import bars, fine, lead

if TYPE_CHECKING:
    from core.studies.exclusions import Exclusions
    from core.studies.study import Stimulus, Study

PAGE, ACROSS = 24, 6
LONGEST = 20  # characters of a name in place of a picture
ORDERS = {"split": "most split", "clear": "most agreed", "votes": "most votes", "as-made": "as they were made"}


def show(study: Study, left_out: Exclusions) -> None:
    """A page of faces in the chosen order; pressing one opens its votes. left_out: whose answers are not counted."""
    stimuli = access.stimuli(study)
    st.subheader("What was said of each", anchor=False)
    if not stimuli:
        st.html(fine("This study knows no faces."))
        return
    order = st.segmented_control(
        "Order", list(ORDERS), default="split", format_func=ORDERS.get, key="order", bind="query-params", required=True
    )
    ratings = left_out.of(answers_view.ratings(study))
    votes = _votes(study, ratings)
    ordered = _ordered(stimuli, votes, str(order))
    shown = ordered[paged(len(ordered), PAGE, "page", bind="query-params")]
    tiles = [_tile(study, each, votes.get(each.stimulus, {})) for each in shown]
    components.faces([components.Group(tiles, columns=ACROSS)], key="stimuli", on_pick=_pick, layout="rows", tile="11rem")
    st.html(fine("Answers of people whom the rules above leave out are not counted here."))
    chosen = next((each for each in stimuli if each.stimulus == st.query_params.get("stimulus")), None)
    if chosen is not None:
        _dialog(study, chosen, ratings)


def _votes(study: Study, ratings: pd.DataFrame) -> dict[str, dict[str, int]]:
    """stimulus -> answer -> votes, of the main question."""
    task = "identity" if study.plan.kind == "identity" else "emotion"
    rows = ratings[ratings["task"] == task]
    counted = rows.groupby(["stimulus", "value"], sort=False).size()
    found: dict[str, dict[str, int]] = {}
    for (stimulus, value), number in counted.items():
        found.setdefault(str(stimulus), {})[str(value)] = int(number)
    return found


def _ordered(stimuli: list[Stimulus], votes: dict[str, dict[str, int]], order: str) -> list[Stimulus]:
    if order == "as-made":
        return stimuli

    def rank(each: Stimulus) -> tuple[float, ...]:
        said = votes.get(each.stimulus, {})
        total = sum(said.values())
        top = max(said.values(), default=0) / total if total else 0.0
        if order == "votes":
            return (-total,)
        return (float(total == 0), top if order == "split" else -top, -total)

    return sorted(stimuli, key=rank)


def _tile(study: Study, shown: Stimulus, said: dict[str, int]) -> components.Tile:
    total = sum(said.values())
    image = shown.images[-1] if shown.images else ""
    if total:
        best = max(said, key=lambda value: said[value])
        told = f"{words.ANSWERS.get(best, best)}: {said[best]:,} of {total:,}"
    else:
        told = "no votes yet" if not study.published else _published(shown)
    title = words.stimulus(shown)
    return components.Tile(
        shown.stimulus,
        access.picture_address(study.token, image) if access.pictured(study, shown) else _blank(shown.stimulus),
        f"Generated face, {title}; {told}" if title else told,
        title=title,
        words=told,
    )


def _blank(name: str) -> str:
    """In place of a picture that the library does not hold: its name."""
    text = html.escape(name if len(name) <= LONGEST else f"{name[:LONGEST]}…")
    picture = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 160 160"><rect width="160" height="160" fill="#8b8b8b"/>'
        f'<text x="80" y="84" text-anchor="middle" font-family="sans-serif" font-size="13" fill="#161616">{text}</text></svg>'
    )
    return f"data:image/svg+xml,{quote(picture)}"


def _published(shown: Stimulus) -> str:
    means = shown.details.get("published", {})
    rate = means.get("identity")
    return f"{100 * rate:.0f} % saw one person" if isinstance(rate, float | int) and rate == rate else "published means"


def _pick(stimulus: str) -> None:
    st.query_params["stimulus"] = stimulus


def _forget() -> None:
    st.query_params.pop("stimulus", None)


@st.dialog("What was said of it", width="large", on_dismiss=_forget)
def _dialog(study: Study, shown: Stimulus, ratings: pd.DataFrame) -> None:
    rows = ratings[ratings["stimulus"] == shown.stimulus]
    pictures, facts = st.columns([6, 5], gap="large")
    with pictures:
        captions = ("The base", "The sample") if len(shown.images) == 2 else ("The face",)
        figures = "".join(
            f'<figure><img src="{html.escape(access.picture_address(study.token, image))}" alt="{caption}, a generated face">'
            f"<figcaption>{caption}</figcaption></figure>"
            for image, caption in zip(shown.images if access.pictured(study, shown) else (), captions, strict=False)
        )
        empty = f'<div class="portrait-empty">{html.escape(shown.stimulus)}: its picture is not in the library.</div>'
        st.html(f'<div class="{"pair" if len(shown.images) == 2 else "single"}">{figures}</div>' if figures else empty)
    with facts:
        expected = f"; expected: {words.ANSWERS.get(shown.expected, shown.expected)}" if shown.expected else ""
        st.html(lead(f"{words.stimulus(shown).capitalize()}{expected}."))
        main = rows[rows["task"] != "similarity"]
        if main.empty:
            st.html(fine("Nobody whose answers count has seen it yet."))
        else:
            shares = main["value"].map(lambda value: words.ANSWERS.get(value, value)).value_counts(normalize=True)
            st.html(bars({str(name): float(share) for name, share in shares.items()}))
            st.html(fine(f"n = {words.many(len(main), 'vote')}, {theme.WORDS[study.source]}"))
        alike = pd.to_numeric(rows.loc[rows["task"] == "similarity", "value"])
        if len(alike):
            spread = f"{alike.mean():.0f} of 100 on average, from {alike.min():.0f} to {alike.max():.0f}"
            st.html(fine(f"How alike: {spread} (n = {len(alike):,})."))
    if not main.empty:
        _raw(rows)
    st.html(fine("The address of this page brings this face back."))


def _raw(rows: pd.DataFrame) -> None:
    """Every single vote."""
    table = pd.DataFrame(
        {
            "Who": rows["rater"],
            "Question": rows["task"].map({"similarity": "how alike", "identity": "same person", "emotion": "feeling"}),
            "Answer": rows["value"].where(rows["task"] != "identity", rows["value"].map(words.ANSWERS)),
            "Took (ms)": rows["reaction_time_ms"].round(),
            "When": rows["created_at"].mask(rows["created_at"] == UNKNOWN_TIME),
        }
    )
    with st.expander(f"Every vote ({len(table):,})"):
        st.dataframe(table, hide_index=True, key="raw-votes")
