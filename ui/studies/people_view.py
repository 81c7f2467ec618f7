"""The people of a study: how far each is, and how one person's data are deleted on request."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from core.alignment.forgetting import forget_rater
from core.errors import LiminalError
from core.studies.importing.cells import UNKNOWN_TIME
from ui.studies import access, answers_view, words
from ui.words import fine, lead

if TYPE_CHECKING:
    from core.studies.study import Study

LISTED = 500


def show(study: Study) -> None:
    """A table of people, the button that deletes one, and what was deleted."""
    ratings = answers_view.ratings(study)
    table = _table(study, ratings)
    if table.empty and not access.store().deletions(study.name):
        return
    simulated = study.source != "human"
    st.subheader("Observers" if simulated else "People", anchor=False)
    if not table.empty:
        st.dataframe(
            table.head(LISTED),
            hide_index=True,
            key="people",
            column_config={
                "Answered": st.column_config.ProgressColumn(format="percent", min_value=0.0, max_value=1.0),
                "Began": st.column_config.DatetimeColumn(format="D MMM YYYY, HH:mm"),
                "Half of the answers within (s)": st.column_config.NumberColumn(format="%.1f"),
            },
        )
        if len(table) > LISTED:
            st.html(fine(f"The first {LISTED:,} of {len(table):,}; the download has all."))
    if not simulated and not table.empty:
        with st.popover("Delete one person's data", icon=":material/person_remove:"):
            _forget(study, list(table["Who"]))
    for each in access.store().deletions(study.name):
        if each.what == "rater":
            reason = f" Reason given: {each.reason}." if each.reason else ""
            gone = f"{each.deleted_at:%d %B %Y}: one person's data were deleted on request"
            st.html(fine(f"{gone} ({words.many(each.answers, 'answer')}).{reason}"))


def _table(study: Study, ratings: pd.DataFrame) -> pd.DataFrame:
    enrolled = {each.rater: each for each in access.store().raters(study.name)}
    groups = ratings.groupby("rater")
    trials = groups["stimulus"].nunique()
    times = groups["reaction_time_ms"].median()
    first = groups["created_at"].min()
    rows = []
    for name in dict.fromkeys([*enrolled, *trials.index]):
        rater = enrolled.get(name)
        done = int(trials.get(name, 0))
        median = times.get(name)
        rows.append(
            {
                "Who": name,
                "Began": rater.created_at if rater else _known(first.get(name)),
                "Answered": done / len(rater.trials) if rater and rater.trials else 1.0,
                "Trials": done,
                "Finished": "yes" if rater is None or rater.finished_at else "not yet",
                "Half of the answers within (s)": None if median is None or pd.isna(median) else float(median) / 1000,
                "Age": str((rater.demographics if rater else {}).get("age", "")),
                "Gender": str((rater.demographics if rater else {}).get("gender", "")),
                "How they decided": rater.strategy if rater else "",
            }
        )
    table = pd.DataFrame(rows)
    empty = [name for name in ("Age", "Gender", "How they decided") if not table.empty and not table[name].astype(bool).any()]
    return table.drop(columns=empty)


def _known(moment: object) -> object:
    return None if moment == UNKNOWN_TIME else moment


def _forget(study: Study, names: list[str]) -> None:
    st.html(lead("Deletes everything that one person said, for good. A record stays that something was deleted, without the name."))
    name = st.selectbox("Who?", names, index=None, placeholder="Choose the name on the person's answers", key="forget-who")
    reason = st.text_input("Why? (kept in the record; no names)", max_chars=200, key="forget-why")
    sure = st.checkbox("Yes, delete this person's answers", key="forget-sure")
    if st.button("Delete the answers", type="primary", disabled=not (name and sure), key="forget"):
        try:
            deletion = forget_rater(access.store(), study.name, str(name), reason.strip())
        except LiminalError as error:
            st.error(str(error))
            return
        st.toast(f"{words.many(deletion.answers, 'answer')} deleted.")
        st.rerun()
