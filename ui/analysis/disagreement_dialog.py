"""One pair or face of a ranking, large: every model's word, people's shares, and every single vote without names."""

from __future__ import annotations

import html
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import streamlit as st

from core.analysis.acceptance import Proportion
from core.models.emotions import EMOTIONS
from ui import looked_at, words
from ui.analysis import disagreement_tiles as tiles
from ui.analysis.disagreement_views import RANGES, title_of
from ui.studies.words import ANSWERS, many
from ui.words import fine, percent

if TYPE_CHECKING:
    from core.analysis.disagreement import Disagreement
    from ui.analysis.disagreement_views import Scored, View
    from ui.analysis.material import Chosen


@st.dialog("What was said of it", width="large", on_dismiss=looked_at.forget)
def open_item(chosen: Chosen, found: Disagreement, view: View, what: Scored, stimulus: str) -> None:
    """The stimulus of the address."""
    row = found.table[found.table["stimulus"] == stimulus].iloc[0].to_dict()
    answers = chosen.material.ratings
    answers = answers[answers["stimulus"] == stimulus]
    excluded = answers["rater"].isin(list(chosen.material.excluded)).to_numpy(bool)
    with st.container(key="item-pictures"):
        _pictures(chosen, row)
    _score(found, view, row)
    people, models = st.columns(2, gap="large")
    with people:
        st.subheader("People", anchor=False)
        counted = answers[~excluded]
        if counted.empty:
            st.html(fine("No answer that counts yet."))
        elif chosen.material.kind == "identity":
            _same_person(counted)
        else:
            _feelings(counted)
    with models:
        st.subheader("Models", anchor=False)
        if chosen.material.kind == "identity":
            _recognisers(chosen, stimulus)
        else:
            _classifiers(chosen, stimulus)
    if len(answers):
        with st.expander(f"Every vote ({len(answers.drop_duplicates('rater')):,})"):
            st.dataframe(votes_table(answers, excluded), hide_index=True, key="votes-of-item")
            st.html(fine("In the order in which they came in, without names."))
    st.html(fine("The address of this page brings this view back."))


def _pictures(chosen: Chosen, row: dict[str, Any]) -> None:
    shown = tiles.images(chosen, row)
    names = ["The base", f"The sample: {tiles.kind_of(row)}"]
    if len(shown) == 1:
        base = str(row.get("base_id") or "")
        shown = (base, *shown) if chosen.picture(base) and base != shown[0] else shown
        names = ["What it was made from", f"The face, {tiles.kind_of(row)}"][-len(shown) :]
    known = [(chosen.picture(name), caption) for name, caption in zip(shown, names, strict=True)]
    if not any(address for address, _ in known):
        st.html('<div class="portrait-empty">The library does not hold its picture.</div>')
    elif len(known) == 2:
        st.html(words.pair(*known))
    else:
        st.html(words.portrait(known[0][0], f"A generated face, {tiles.kind_of(row)}", known[0][1]))


def _score(found: Disagreement, view: View, row: dict[str, Any]) -> None:
    shown = RANGES[view.measure]
    interval = tiles.interval_of(view, row)
    mark = f'<em class="ranked-mark">{html.escape(tiles.few(row))}</em>' if row["few"] else ""
    st.html(
        f'<p class="item-score"><b>{shown.text(row["score"])}</b> <span>{html.escape(f"({interval}) " if interval else "")}'
        f"{html.escape(found.score)}</span> {mark}</p>"
    )


def _same_person(answers: pd.DataFrame) -> None:
    identity = pd.to_numeric(answers.loc[answers["task"] == "identity", "value"])
    if len(identity):
        share = Proportion.of(int(identity.sum()), len(identity))
        st.html(words.bars({"same person": share.share, "two people": 1 - share.share}))
        st.html(fine(f"{share.count} of {many(share.n, 'vote')}; 95 % interval {percent(share.low)} to {percent(share.high)}."))
    alike = pd.to_numeric(answers.loc[answers["task"] == "similarity", "value"])
    if len(alike):
        spread = f", give or take {alike.std():.0f}" if len(alike) > 1 else ""
        st.html(
            fine(
                f"How alike: {alike.mean():.0f} of 100 on average{spread}; from {alike.min():.0f} to {alike.max():.0f} "
                f"(n = {len(alike):,})."
            )
        )


def _feelings(answers: pd.DataFrame) -> None:
    counts = answers.loc[answers["task"] == "emotion", "value"].value_counts()
    total = int(counts.sum())
    st.html(words.bars({name: float(counts.get(name, 0)) / total for name in EMOTIONS if total}))
    if total:
        share = Proportion.of(int(counts.iloc[0]), total)
        st.html(
            fine(
                f"{share.count} of {many(total, 'vote')} for {counts.index[0]}; 95 % interval {percent(share.low)} to "
                f"{percent(share.high)}."
            )
        )


def _recognisers(chosen: Chosen, stimulus: str) -> None:
    material = chosen.material
    pair = material.pairs[material.pairs["pair_id"] == stimulus].iloc[0]
    limits = material.thresholds
    known = [
        words.Opinion(title_of(name), float(pair[f"distance_{name}"]), limits[name])
        for name in material.recognisers
        if name in limits
    ]
    if known:
        st.html(words.opinions(known))
    else:
        st.html(fine("No recogniser of this version judged this pair."))
    told = []
    if math.isfinite(pair["lpips"]):
        told.append(f"How different the pictures look (LPIPS): {pair['lpips']:.2f}; 0 is the same picture.")
    if math.isfinite(pair["latent_distance"]) and material.latent_dim:
        apart = pair["latent_distance"] / math.sqrt(material.latent_dim)
        told.append(f"How far apart they are inside the generator: {apart:.2f}; two random people are about 1.4 apart.")
    st.html(fine(" ".join(told)))


def _classifiers(chosen: Chosen, stimulus: str) -> None:
    from core.analysis.deciders import probabilities

    material = chosen.material
    sample = material.samples[material.samples["sample_id"] == stimulus]
    shown = 0
    for name in material.classifiers:
        p = probabilities(sample, name, material.steerer)[0]
        if np.isfinite(p).all():
            shown += 1
            top = {EMOTIONS[place]: float(p[place]) for place in np.argsort(-p)[:3]}
            st.html(f'<p class="voice">{html.escape(title_of(name))}</p>' + words.bars(top))
    st.html(fine("The three likeliest feelings of each network." if shown else "No network judged this face."))


def votes_table(answers: pd.DataFrame, excluded: np.ndarray[Any, Any]) -> pd.DataFrame:
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
        columns[title] = (values.map(ANSWERS) if task == "identity" else values).to_numpy()
        times = of_task["reaction_time_ms"].reindex(order)
        if times.notna().any():
            columns["Took (s)" if task != "similarity" else "Took (s) for how alike"] = (times / 1000).round(2).to_numpy()
    left_out = answers.groupby("rater", sort=False)["left_out"].first().reindex(order)
    if left_out.any():
        columns["Counts"] = np.where(left_out.to_numpy(bool), "left out", "yes")
    return pd.DataFrame(columns)
