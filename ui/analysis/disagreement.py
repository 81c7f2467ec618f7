"""The page 'Disagreement': faces ranked by how far people and models, or people among themselves, disagree.

A pressed face opens with every vote, without names.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from core.analysis.disagreement import FEW_VOTES, Disagreement
from core.analysis.encode import select_probabilities
from core.analysis.estimate import Proportion
from core.figures.theme import SOURCE_WORDS, SOURCES, format_percent
from core.models import registry
from core.models.emotions import EMOTIONS
from core.studies.ratings import Task
from core.studies.study import RatingPlan
from ui import markup, selection
from ui.analysis import rankings
from ui.analysis.rankings import SAMPLE_TYPE_NAMES, Ranking, ScoreChoice, ScoreRange, find_range
from ui.analysis.study_choice import StudyChoice
from ui.components import RankedTile, show_ranking
from ui.markup import IDENTITY_ANSWERS, caption_html, count_noun, describe_sample_type, intro_html
from ui.selection import paginate

RankingRow = Mapping[Any, Any]


def build_ranking_tiles(
    chosen: StudyChoice, scores: Disagreement, view: Ranking, what: ScoreChoice, rows: pd.DataFrame, first: int
) -> list[RankedTile]:
    """Build a tile for each row. first: the rank of the first row, from 0."""
    return [
        build_ranking_tile(chosen, scores, view, what, row, first + number)
        for number, row in enumerate(rows.to_dict("records"), start=1)
    ]


def build_ranking_tile(
    chosen: StudyChoice, scores: Disagreement, view: Ranking, what: ScoreChoice, row: RankingRow, rank: int
) -> RankedTile:
    """Build one tile: pictures, score, interval and words. rank: from 1."""
    scale = find_range(view.measure, chosen.study.plan)
    words = describe_row(chosen, what, row)
    interval = interval_text(scale, row)
    mark = low_n_note(row) if row["few"] else ""
    score = scale.text(row["score"])
    return RankedTile(
        id=str(row["stimulus"]),
        pictures=[chosen.picture(name) for name in ranked_images(chosen, row)],
        alt=". ".join(part for part in (f"Place {rank:,}, score {score}", interval, "; ".join(words), mark) if part),
        place=f"{rank:,}.",
        score=score,
        words=words,
        interval=interval,
        at=scale.position(row["score"]),
        low=scale.position(row["low"]),
        high=scale.position(row["high"]),
        mark=mark,
    )


def ranked_images(chosen: StudyChoice, row: RankingRow) -> tuple[str, ...]:
    """The sample_ids of a row from top to bottom: base and sample, or the face alone."""
    if chosen.study_data.kind == "identity":
        return str(row["base_id"]), str(row["sample_id"])
    return (str(row["stimulus"]),)


def interval_text(scale: ScoreRange, row: RankingRow) -> str:
    """The interval of a row's score, such as '−0.80 to −0.31'; '' where there is none."""
    if not (math.isfinite(row["low"]) and math.isfinite(row["high"])):
        return ""
    return f"{scale.text(row['low'])} to {scale.text(row['high'])}"


def low_n_note(row: RankingRow) -> str:
    """The note on a row with too few votes."""
    return f"only {count_noun(int(row['votes']), 'vote')}, fewer than {FEW_VOTES}"


def describe_row(chosen: StudyChoice, what: ScoreChoice, row: RankingRow) -> list[str]:
    """Lines on a row: what people said, what models said, and what the sample is."""
    votes = int(row["votes"])
    lines = []
    simulated = chosen.study_data.source == "simulated"
    if "yes" in row:
        lines.append(f"{int(row['yes']):,} of {votes:,} {'simulated observers ' if simulated else ''}say the same person")
    elif "mean" in row:
        mean = f"{row['mean']:.0f} of 100 alike on average" if math.isfinite(row["mean"]) else "no votes yet"
        lines.append(f"{mean}, {votes:,} {'simulated ' if simulated else ''}{'vote' if votes == 1 else 'votes'}")
    elif "rated" in row:
        points = chosen.study.plan.scale_points
        mean = f"{row['rated']:.1f} of {points} on average" if math.isfinite(row["rated"]) else "no votes yet"
        lines.append(f"{mean}, {votes:,} {'simulated ' if simulated else ''}{'vote' if votes == 1 else 'votes'}")
    elif row.get("chosen"):
        lines.append(f"{markup.name_raters(chosen.study_data.source)}: {row['chosen']}, {int(row['top']):,} of {votes:,}")
    if "distance" in row and what.models:
        verdict: str = "no face found" if pd.isna(row["accepted"]) else "accepts it" if row["accepted"] else "refuses it"
        lines.append(f"{registry.title(what.models[0])} {verdict}, distance {row['distance']:.2f}")
    elif row.get("said") and what.models:
        lines.append(f"{registry.title(what.models[0])}: {row['said']}")
        if row.get("said_other") and len(what.models) > 1:
            lines.append(f"{registry.title(what.models[1])}: {row['said_other']}")
    lines.append(describe_sample(row))
    return [line for line in lines if line]


def describe_sample(row: RankingRow) -> str:
    """The sample type of a row in words, with its step or its two emotions."""
    kind = str(row["sample_type"])
    if isinstance(row.get("emotion1"), str):
        pair = f"{row['emotion1']} or {row['emotion2']}"
        return f"made as {pair}" if kind == "boundary" else f"{SAMPLE_TYPE_NAMES.get(kind, kind)}: {pair}"
    step = row.get("step")
    known = isinstance(step, float) and math.isfinite(step)
    if kind in ("genuine", "negative", "semantic", "controversial") or (kind in SAMPLE_TYPE_NAMES and known):
        reached = float(row.get("search_distance", math.nan))
        return describe_sample_type(kind, float(step) if known else math.nan, reached)  # type: ignore[arg-type]
    return kind


def describe_raters(scores: Disagreement) -> str:
    """How many people or simulated observers answered, in words."""
    if scores.basis.source == "simulated":
        return count_noun(scores.basis.raters, "simulated observer")
    return count_noun(scores.basis.raters, "person", "people")


def describe_source(scores: Disagreement) -> str:
    """Where the answers come from, in words."""
    return " and ".join(SOURCE_WORDS[SOURCES.get(name, "")] for name in scores.basis.source.split(" and ")) or SOURCE_WORDS[""]


@st.dialog("What was said of it", width="large", on_dismiss=selection.clear_item)
def open_item(chosen: StudyChoice, scores: Disagreement, view: Ranking, what: ScoreChoice, stimulus: str) -> None:
    """Show one pair or face of the ranking in a dialog: pictures, score, votes of people, verdicts of models."""
    row = scores.table[scores.table["stimulus"] == stimulus].iloc[0].to_dict()
    answers = chosen.study_data.ratings
    answers = answers[answers["stimulus"] == stimulus]
    excluded = answers["rater"].isin(list(chosen.study_data.excluded)).to_numpy(bool)
    markup.show_simulated_badge(chosen.study_data.source)
    with st.container(key="item-pictures"):
        _show_pictures(chosen, row)
    _show_score(chosen, scores, view, row)
    people, models = st.columns(2, gap="large")
    with people:
        st.subheader(markup.name_raters(chosen.study_data.source).capitalize(), anchor=False)
        counted = answers[~excluded]
        if counted.empty:
            st.html(caption_html("No answer that counts yet."))
        elif chosen.study.plan.asks == "identity":
            _show_identity_votes(counted)
        elif chosen.study.plan.asks != "emotion":
            _show_own_votes(chosen.study.plan, counted)
        else:
            _show_emotion_votes(counted)
    with models:
        st.subheader("Models", anchor=False)
        if chosen.study_data.kind == "identity":
            _show_recognisers(chosen, stimulus)
        else:
            _show_classifiers(chosen, stimulus)
    if len(answers):
        with st.expander(f"Every vote ({len(answers.drop_duplicates('rater')):,})"):
            st.dataframe(build_votes_table(answers, excluded), hide_index=True, key="votes-of-item")
            st.html(caption_html("In the order in which they came in, without names."))
    st.html(caption_html("The address of this page brings this view back."))


def _show_pictures(chosen: StudyChoice, row: RankingRow) -> None:
    images = ranked_images(chosen, row)
    own = chosen.study_data.own_pictures and not chosen.study_data.generator
    names = (
        ["First picture", f"Second picture: {describe_sample(row)}"] if own else ["The base", f"The sample: {describe_sample(row)}"]
    )
    if len(images) == 1:
        base = str(row.get("base_id") or "")
        images = (base, *images) if chosen.picture(base) and base != images[0] else images
        names = ["What it was made from", f"The face, {describe_sample(row)}"][-len(images) :]
    known = [(chosen.picture(name), caption) for name, caption in zip(images, names, strict=True)]
    if not any(address for address, _ in known):
        st.html('<div class="portrait-empty">The library does not hold its picture.</div>')
    elif len(known) == 2:
        st.html(markup.pair_html(*known))
    else:
        st.html(
            markup.portrait_html(known[0][0], f"{'A face' if own else 'A generated face'}, {describe_sample(row)}", known[0][1])
        )


def _show_score(chosen: StudyChoice, scores: Disagreement, view: Ranking, row: RankingRow) -> None:
    scale = find_range(view.measure, chosen.study.plan)
    interval = interval_text(scale, row)
    mark = f'<em class="ranked-mark">{html.escape(low_n_note(row))}</em>' if row["few"] else ""
    st.html(
        f'<p class="item-score"><b>{scale.text(row["score"])}</b> <span>{html.escape(f"({interval}) " if interval else "")}'
        f"{html.escape(scores.score)}</span> {mark}</p>"
    )


def _show_own_votes(plan: RatingPlan, answers: pd.DataFrame) -> None:
    """Show the shares of the study's own answers."""
    values = answers.loc[answers["task"] == plan.main_task, "value"]
    shares = values.value_counts(normalize=True)
    st.html(markup.bars_html({words: float(shares.get(value, 0.0)) for value, words in markup.name_answers(plan).items()}))
    st.html(caption_html(f"n = {count_noun(len(values), 'vote')}"))


def _show_identity_votes(answers: pd.DataFrame) -> None:
    identity = pd.to_numeric(answers.loc[answers["task"] == "identity", "value"])
    if len(identity):
        share = Proportion.of(int(identity.sum()), len(identity))
        st.html(markup.bars_html({"same person": share.share, "two people": 1 - share.share}))
        st.html(
            caption_html(
                f"{share.count} of {count_noun(share.n, 'vote')}; 95 % interval {format_percent(share.low)} to "
                f"{format_percent(share.high)}."
            )
        )
    alike = pd.to_numeric(answers.loc[answers["task"] == "similarity", "value"])
    if len(alike):
        spread = f", give or take {alike.std():.0f}" if len(alike) > 1 else ""
        st.html(
            caption_html(
                f"How alike: {alike.mean():.0f} of 100 on average{spread}; from {alike.min():.0f} to {alike.max():.0f} "
                f"(n = {len(alike):,})."
            )
        )


def _show_emotion_votes(answers: pd.DataFrame) -> None:
    counts = answers.loc[answers["task"] == "emotion", "value"].value_counts()
    total = int(counts.sum())
    st.html(markup.bars_html({name: float(counts.get(name, 0)) / total for name in EMOTIONS if total}))
    if total:
        share = Proportion.of(int(counts.iloc[0]), total)
        st.html(
            caption_html(
                f"{share.count} of {count_noun(total, 'vote')} for {counts.index[0]}; 95 % interval {format_percent(share.low)} to "
                f"{format_percent(share.high)}."
            )
        )


def _show_recognisers(chosen: StudyChoice, stimulus: str) -> None:
    study_data = chosen.study_data
    pair = study_data.pairs[study_data.pairs["pair_id"] == stimulus].iloc[0]
    limits = study_data.thresholds
    known = [
        markup.RecogniserVerdict(registry.title(name), float(pair[f"distance_{name}"]), limits[name])
        for name in study_data.recognisers
        if name in limits
    ]
    if known:
        st.html(markup.verdicts_html(known))
    else:
        st.html(caption_html("No recogniser of this version judged this pair."))
    notes = []
    if math.isfinite(pair["lpips"]):
        notes.append(f"How different the pictures look (LPIPS): {pair['lpips']:.2f}; 0 is the same picture.")
    if math.isfinite(pair["latent_distance"]) and study_data.latent_dim:
        apart = pair["latent_distance"] / math.sqrt(study_data.latent_dim)
        notes.append(f"How far apart they are inside the generator: {apart:.2f}; two random people are about 1.4 apart.")
    st.html(caption_html(" ".join(notes)))


def _show_classifiers(chosen: StudyChoice, stimulus: str) -> None:
    study_data = chosen.study_data
    sample = study_data.samples[study_data.samples["sample_id"] == stimulus]
    count = 0
    for name in study_data.classifiers:
        p = select_probabilities(sample, name, study_data.steerer)[0]
        if np.isfinite(p).all():
            count += 1
            shares = dict(zip(EMOTIONS, map(float, p), strict=True))
            st.html(f'<p class="voice">{html.escape(registry.title(name))}</p>' + markup.bars_html(shares))
    if not count:
        st.html(caption_html("No network judged this face."))


VOTE_TITLES: Mapping[Task, str] = {
    "identity": "Who it is",
    "similarity": "How alike",
    "emotion": "Feeling",
    "label": "Answer",
    "scale": "Rating",
}
"""By task: the column of its votes."""


def build_votes_table(answers: pd.DataFrame, excluded: np.ndarray[Any, Any]) -> pd.DataFrame:
    """A table of votes, one row a person, the oldest first, without names. excluded: one bool a row of ``answers``."""
    answers = answers.assign(left_out=excluded)
    order = answers.groupby("rater", sort=False)["created_at"].min().sort_values(kind="stable").index
    columns: dict[str, Any] = {"Vote": range(1, len(order) + 1)}
    for task, title in VOTE_TITLES.items():
        of_task = answers[answers["task"] == task].drop_duplicates("rater").set_index("rater")
        if of_task.empty:
            continue
        values = of_task["value"].reindex(order)
        if task in ("similarity", "scale"):
            values = pd.to_numeric(values)
        columns[title] = (values.map(IDENTITY_ANSWERS) if task == "identity" else values).to_numpy()
        times = of_task["reaction_time_ms"].reindex(order)
        if times.notna().any():
            columns["Took (s)" if task != "similarity" else "Took (s) for how alike"] = (times / 1000).round(2).to_numpy()
    if (answers["source"] != "human").any():  # the table can be saved
        columns["From"] = answers.groupby("rater", sort=False)["source"].first().reindex(order).map(markup.SOURCE_NAMES).to_numpy()
    left_out = answers.groupby("rater", sort=False)["left_out"].first().reindex(order)
    if left_out.any():
        columns["Counts"] = np.where(left_out.to_numpy(bool), "left out", "yes")
    return pd.DataFrame(columns)


PAGE_SIZE = 18


def show_disagreement(chosen: StudyChoice) -> None:
    """Show the choices, the ranking a page at a time, and the item of the address."""
    study_data = chosen.study_data
    view = rankings.choose_ranking(chosen.study.plan.asks)
    st.html(intro_html(view.description))
    people = rankings.list_rater_groups(chosen)
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="ranking-options"):
        with st.popover("How it is scored", icon=":material/straighten:"):
            what = rankings.choose_score(study_data, view, list(people))
            explained = st.container()
        scores = rankings.load_scores(chosen, what, people.get(what.group))
        ranked = scores.ranked(view.end)
        narrowing = st.popover("Show only", icon=":material/filter_list:")
        with narrowing:
            filters = rankings.choose_filters(ranked, chosen)
            rankings.choose_filter_base(ranked, chosen, filters.base)
        if filters.count:
            st.button("Show all again", key="forget-filters", on_click=rankings.clear_filters, type="tertiary")
    with explained:
        _show_explanation(scores)
    rows = filters.of(ranked)
    if rows.empty:
        _show_empty(scores, filters.count)
        return
    st.html(caption_html(_describe_ranking(scores, what, len(rows), len(ranked), filters.count, study_data.kind)))
    page = paginate(len(rows), PAGE_SIZE, "page", bind="query-params")
    selected = selection.selected_item()
    scale = rankings.find_range(view.measure, chosen.study.plan)
    show_ranking(
        build_ranking_tiles(chosen, scores, view, what, rows.iloc[page], page.start),
        key="ranking",
        ends=scale.ends,
        zero=scale.position(0.0) if scale.signed else None,
        on_pick=selection.select_item,
        selected=selected,
    )
    st.html(caption_html(f"{_describe_interval(scores)} Source: {describe_source(scores)}."))
    if selected and (scores.table["stimulus"] == selected).any():
        open_item(chosen, scores, view, what, selected)


def _show_explanation(scores: Disagreement) -> None:
    st.markdown(f"**The score:** {scores.score}.")
    st.markdown(f"**Low end:** {scores.lowest}.  \n**High end:** {scores.highest}.")
    if scores.scaling:
        name, _, text = scores.scaling.partition(": ")
        st.markdown(
            f"**How sure the recogniser is** ({name}): {text}. Distances have no common unit with votes, and the paper that this "
            "ranking is from does not say how it turned one into the other; another choice above gives another order."
        )
    st.markdown(f"**Below each score:** {_describe_interval(scores)}")


def _describe_interval(scores: Disagreement) -> str:
    kind, _, why = scores.interval.partition(": ")
    return f"No interval: {why}." if kind == "none" else f"Bars: {scores.interval}."


def _describe_ranking(scores: Disagreement, what: ScoreChoice, filtered: int, total: int, narrowed: int, kind: str) -> str:
    noun = "pair" if kind == "identity" else "face"
    count = f"{filtered:,} of {count_noun(total, noun)}" if narrowed else count_noun(total, noun)
    models = " and ".join(registry.title(name) for name in what.models)
    votes = f"{count_noun(scores.basis.answers, 'answer')} by {describe_raters(scores)}" if scores.basis.raters else ""
    group = f"only {what.group}" if what.group else ""
    parts = "; ".join(part for part in (count, models, votes, group) if part)
    return f"{parts}. {scores.note}".strip()


def _show_empty(scores: Disagreement, narrowed: int) -> None:
    if narrowed:
        st.info("Nothing fits all of these filters; take one of them away under “Show only”.")
    elif scores.basis.answers:
        st.info(scores.note or "There is nothing to rank here yet.")
    else:  # why, stands above with the study
        st.info("Ranked are faces by their answers; there are none that count yet.")
