"""The page 'Disagreement': ranked faces on which people and models, or people among themselves, disagree; and one of them with
every single vote.

Votes are shown without names.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import streamlit as st

from core.analysis.disagreement import FEW_VOTES
from core.analysis.estimate import Proportion
from core.figures.theme import SOURCE_WORDS, SOURCES, format_percent
from core.models import registry
from core.models.emotions import EMOTIONS
from ui import markup, selection
from ui.analysis import rankings as filters
from ui.analysis import rankings as views
from ui.analysis.rankings import SAMPLE_TYPE_NAMES, SCORE_RANGES
from ui.components import RankedTile, show_ranking
from ui.markup import IDENTITY_ANSWERS, caption_html, count_noun, describe_sample_type, intro_html
from ui.selection import paginate

if TYPE_CHECKING:
    from core.analysis.disagreement import Disagreement
    from ui.analysis.rankings import Ranking, ScoreChoice
    from ui.analysis.study_choice import StudyChoice


RankingRow = Mapping[Any, Any]


def build_ranking_tiles(
    chosen: StudyChoice, found: Disagreement, view: Ranking, what: ScoreChoice, rows: pd.DataFrame, first: int
) -> list[RankedTile]:
    """One tile a row; ``first``: the place of the first row in the ranking, from 0."""
    return [
        build_ranking_tile(chosen, found, view, what, row, first + place)
        for place, row in enumerate(rows.to_dict("records"), start=1)
    ]


def build_ranking_tile(
    chosen: StudyChoice, found: Disagreement, view: Ranking, what: ScoreChoice, row: RankingRow, place: int
) -> RankedTile:
    """Pictures, score, interval and words of one row."""
    shown = SCORE_RANGES[view.measure]
    words = describe_row(chosen, what, row)
    interval = interval_text(view, row)
    mark = low_n_note(row) if row["few"] else ""
    score = shown.text(row["score"])
    return RankedTile(
        id=str(row["stimulus"]),
        pictures=[chosen.picture(name) for name in ranked_images(chosen, row)],
        alt=". ".join(each for each in (f"Place {place:,}, score {score}", interval, "; ".join(words), mark) if each),
        place=f"{place:,}.",
        score=score,
        words=words,
        interval=interval,
        at=shown.place(row["score"]),
        low=shown.place(row["low"]),
        high=shown.place(row["high"]),
        mark=mark,
    )


def ranked_images(chosen: StudyChoice, row: RankingRow) -> tuple[str, ...]:
    """Sample_ids from above to below: base and sample, or the face."""
    if chosen.material.kind == "identity":
        return str(row["base_id"]), str(row["sample_id"])
    return (str(row["stimulus"]),)


def interval_text(view: Ranking, row: RankingRow) -> str:
    """'−0.80 to −0.31', '' where there is none."""
    if not (math.isfinite(row["low"]) and math.isfinite(row["high"])):
        return ""
    shown = SCORE_RANGES[view.measure]
    return f"{shown.text(row['low'])} to {shown.text(row['high'])}"


def low_n_note(row: RankingRow) -> str:
    """What speaks against the score."""
    return f"only {count_noun(int(row['votes']), 'vote')}, fewer than {FEW_VOTES}"


def describe_row(chosen: StudyChoice, what: ScoreChoice, row: RankingRow) -> list[str]:
    """What people and models said of it, a line each; then what it is."""
    votes = int(row["votes"])
    lines = []
    if "yes" in row:
        lines.append(f"{int(row['yes']):,} of {votes:,} say the same person")
    elif "mean" in row:
        mean = f"{row['mean']:.0f} of 100 alike on average" if math.isfinite(row["mean"]) else "no votes yet"
        lines.append(f"{mean}, {count_noun(votes, 'vote')}")
    elif row.get("chosen"):
        lines.append(f"people: {row['chosen']}, {int(row['top']):,} of {votes:,}")
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
    """What a pair or a face is, in words."""
    kind = str(row["sample_type"])
    if isinstance(row.get("emotion1"), str):
        pair = f"{row['emotion1']} or {row['emotion2']}"
        return f"made as {pair}" if kind == "boundary" else f"{SAMPLE_TYPE_NAMES.get(kind, kind)}: {pair}"
    step = row.get("step")
    known = isinstance(step, float) and math.isfinite(step)
    if kind in ("genuine", "negative", "semantic") or (kind in SAMPLE_TYPE_NAMES and known):
        return describe_sample_type(kind, float(step) if known else math.nan)  # type: ignore[arg-type]
    return kind


def describe_raters(found: Disagreement) -> str:
    """How many answered, and who they are."""
    if found.basis.source == "simulated":
        return count_noun(found.basis.raters, "simulated observer")
    return count_noun(found.basis.raters, "person", "people")


def describe_source(found: Disagreement) -> str:
    """Where the answers come from, in words."""
    return " and ".join(SOURCE_WORDS[SOURCES.get(name, "")] for name in found.basis.source.split(" and ")) or SOURCE_WORDS[""]


@st.dialog("What was said of it", width="large", on_dismiss=selection.clear_item)
def open_item(chosen: StudyChoice, found: Disagreement, view: Ranking, what: ScoreChoice, stimulus: str) -> None:
    """The stimulus of the address."""
    row = found.table[found.table["stimulus"] == stimulus].iloc[0].to_dict()
    answers = chosen.material.ratings
    answers = answers[answers["stimulus"] == stimulus]
    excluded = answers["rater"].isin(list(chosen.material.excluded)).to_numpy(bool)
    with st.container(key="item-pictures"):
        _show_pictures(chosen, row)
    _show_score(found, view, row)
    people, models = st.columns(2, gap="large")
    with people:
        st.subheader("People", anchor=False)
        counted = answers[~excluded]
        if counted.empty:
            st.html(caption_html("No answer that counts yet."))
        elif chosen.material.kind == "identity":
            _show_identity_votes(counted)
        else:
            _show_emotion_votes(counted)
    with models:
        st.subheader("Models", anchor=False)
        if chosen.material.kind == "identity":
            _show_recognisers(chosen, stimulus)
        else:
            _show_classifiers(chosen, stimulus)
    if len(answers):
        with st.expander(f"Every vote ({len(answers.drop_duplicates('rater')):,})"):
            st.dataframe(build_votes_table(answers, excluded), hide_index=True, key="votes-of-item")
            st.html(caption_html("In the order in which they came in, without names."))
    st.html(caption_html("The address of this page brings this view back."))


def _show_pictures(chosen: StudyChoice, row: RankingRow) -> None:
    shown = ranked_images(chosen, row)
    names = ["The base", f"The sample: {describe_sample(row)}"]
    if len(shown) == 1:
        base = str(row.get("base_id") or "")
        shown = (base, *shown) if chosen.picture(base) and base != shown[0] else shown
        names = ["What it was made from", f"The face, {describe_sample(row)}"][-len(shown) :]
    known = [(chosen.picture(name), caption) for name, caption in zip(shown, names, strict=True)]
    if not any(address for address, _ in known):
        st.html('<div class="portrait-empty">The library does not hold its picture.</div>')
    elif len(known) == 2:
        st.html(markup.pair_html(*known))
    else:
        st.html(markup.portrait_html(known[0][0], f"A generated face, {describe_sample(row)}", known[0][1]))


def _show_score(found: Disagreement, view: Ranking, row: RankingRow) -> None:
    shown = SCORE_RANGES[view.measure]
    interval = interval_text(view, row)
    mark = f'<em class="ranked-mark">{html.escape(low_n_note(row))}</em>' if row["few"] else ""
    st.html(
        f'<p class="item-score"><b>{shown.text(row["score"])}</b> <span>{html.escape(f"({interval}) " if interval else "")}'
        f"{html.escape(found.score)}</span> {mark}</p>"
    )


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
    material = chosen.material
    pair = material.pairs[material.pairs["pair_id"] == stimulus].iloc[0]
    limits = material.thresholds
    known = [
        markup.RecogniserVerdict(registry.title(name), float(pair[f"distance_{name}"]), limits[name])
        for name in material.recognisers
        if name in limits
    ]
    if known:
        st.html(markup.verdicts_html(known))
    else:
        st.html(caption_html("No recogniser of this version judged this pair."))
    told = []
    if math.isfinite(pair["lpips"]):
        told.append(f"How different the pictures look (LPIPS): {pair['lpips']:.2f}; 0 is the same picture.")
    if math.isfinite(pair["latent_distance"]) and material.latent_dim:
        apart = pair["latent_distance"] / math.sqrt(material.latent_dim)
        told.append(f"How far apart they are inside the generator: {apart:.2f}; two random people are about 1.4 apart.")
    st.html(caption_html(" ".join(told)))


def _show_classifiers(chosen: StudyChoice, stimulus: str) -> None:
    from core.analysis.encode import select_probabilities

    material = chosen.material
    sample = material.samples[material.samples["sample_id"] == stimulus]
    shown = 0
    for name in material.classifiers:
        p = select_probabilities(sample, name, material.steerer)[0]
        if np.isfinite(p).all():
            shown += 1
            top = {EMOTIONS[place]: float(p[place]) for place in np.argsort(-p)[:3]}
            st.html(f'<p class="voice">{html.escape(registry.title(name))}</p>' + markup.bars_html(top))
    st.html(caption_html("The three likeliest feelings of each network." if shown else "No network judged this face."))


def build_votes_table(answers: pd.DataFrame, excluded: np.ndarray[Any, Any]) -> pd.DataFrame:
    """One line a person, oldest first, without names."""
    answers = answers.assign(left_out=excluded)
    order = answers.groupby("rater", sort=False)["created_at"].min().sort_values(kind="stable").index
    columns: dict[str, Any] = {"Vote": range(1, len(order) + 1)}
    for task, title in (("identity", "Who it is"), ("similarity", "How alike"), ("emotion", "Feeling")):
        of_task = answers[answers["task"] == task].drop_duplicates("rater").set_index("rater")
        if of_task.empty:
            continue
        values = of_task["value"].reindex(order)
        if task == "similarity":
            values = pd.to_numeric(values)
        columns[title] = (values.map(IDENTITY_ANSWERS) if task == "identity" else values).to_numpy()
        times = of_task["reaction_time_ms"].reindex(order)
        if times.notna().any():
            columns["Took (s)" if task != "similarity" else "Took (s) for how alike"] = (times / 1000).round(2).to_numpy()
    left_out = answers.groupby("rater", sort=False)["left_out"].first().reindex(order)
    if left_out.any():
        columns["Counts"] = np.where(left_out.to_numpy(bool), "left out", "yes")
    return pd.DataFrame(columns)


PAGE_SIZE = 18


def show_disagreement(chosen: StudyChoice) -> None:
    """Choices, the ranking a page at a time, and what was pressed."""
    material = chosen.material
    view = views.choose_ranking(material.kind)
    st.html(intro_html(view.says))
    people = views.list_rater_groups(chosen)
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="ranking-options"):
        with st.popover("How it is scored", icon=":material/straighten:"):
            what = views.choose_score(material, view, list(people))
            explained = st.container()
        found = views.load_scores(chosen, what, people.get(what.group))
        ranked = found.ranked(view.end)
        narrowing = st.popover("Show only", icon=":material/filter_list:")
        with narrowing:
            kept = filters.choose_filters(ranked, chosen)
            filters.choose_filter_base(ranked, chosen, kept.base)
        if kept.count:
            st.button("Show all again", key="forget-filters", on_click=filters.clear_filters, type="tertiary")
    with explained:
        _show_explanation(found)
    rows = kept.of(ranked)
    st.html(caption_html(_show_summary(found, what, len(rows), len(ranked), kept.count, material.kind)))
    if rows.empty:
        _show_empty(found, kept.count)
        return
    page = paginate(len(rows), PAGE_SIZE, "page", bind="query-params")
    selected = selection.selected_item()
    shown = views.SCORE_RANGES[view.measure]
    show_ranking(
        build_ranking_tiles(chosen, found, view, what, rows.iloc[page], page.start),
        key="ranking",
        ends=shown.ends,
        zero=shown.place(0.0) if shown.signed else None,
        on_pick=selection.select_item,
        selected=selected,
    )
    st.html(caption_html(f"{_describe_interval(found)} Source: {describe_source(found)}."))
    if selected and (found.table["stimulus"] == selected).any():
        open_item(chosen, found, view, what, selected)


def _show_explanation(found: Disagreement) -> None:
    st.markdown(f"**The score:** {found.score}.")
    st.markdown(f"**Low end:** {found.lowest}.  \n**High end:** {found.highest}.")
    if found.scaling:
        name, _, text = found.scaling.partition(": ")
        st.markdown(
            f"**How sure the recogniser is** ({name}): {text}. Distances have no common unit with votes, and the paper that this "
            "ranking is from does not say how it turned one into the other; another choice above gives another order."
        )
    st.markdown(f"**Below each score:** {_describe_interval(found)}")


def _describe_interval(found: Disagreement) -> str:
    kind, _, why = found.interval.partition(": ")
    return f"No interval: {why}." if kind == "none" else f"The bar is an interval of {found.interval}."


def _show_summary(found: Disagreement, what: views.ScoreChoice, shown: int, total: int, narrowed: int, kind: str) -> str:
    noun = "pair" if kind == "identity" else "face"
    count = f"{shown:,} of {count_noun(total, noun)}" if narrowed else count_noun(total, noun)
    models = " and ".join(registry.title(name) for name in what.models)
    votes = f"{count_noun(found.basis.answers, 'answer')} by {describe_raters(found)}" if found.basis.raters else ""
    group = f"only {what.group}" if what.group else ""
    told = "; ".join(each for each in (count, models, votes, group) if each)
    return f"{told}. {found.note}".strip()


def _show_empty(found: Disagreement, narrowed: int) -> None:
    if narrowed:
        st.info("Nothing fits all of these filters; take one of them away under “Show only”.")
    else:
        st.info(found.note or "There is nothing to rank here yet.")
