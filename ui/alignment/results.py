"""Before and after: what learning from people brought, in words, figures and faces."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import streamlit as st

from ui import words
from ui.alignment import changed, confusions, runs
from ui.analysis.choices import one_of
from ui.analysis.figure_card import card
from ui.words import fine

if TYPE_CHECKING:
    from core.alignment.evaluation import AlignmentReport
    from ui.alignment.choosing import Wanted
    from ui.analysis.material import Chosen

NETWORK = "network"


def show(chosen: Chosen, wanted: Wanted) -> None:
    """Everything that is known so far."""
    from core.alignment.splits import WORDS
    from core.figures.exhibits import alignment as exhibits
    from core.figures.exhibits.alignment_people import of_people
    from core.figures.exhibits.exhibit import Exhibit, file_name, title_of

    ready = dict(wanted.ready)
    reports = {name: runs.report_of(each, name) for name, each in ready.items()}
    names = list(reports)

    def shown(each: Exhibit, key: str) -> None:
        card(each, f"align-{key}", name=file_name(chosen.study.name, "align", key))

    st.space("small")
    st.header("What it brought", anchor="brought")
    if len(names) > 1:
        shown(exhibits.accuracies(list(reports.values())), "accuracy")
        name = one_of("A closer look at", names, NETWORK, titles={each: title_of(each) for each in names})
    else:
        name = names[0]
    report, alignment = reports[name], ready[name]
    st.html(facts(report))
    st.html(fine(f"Every number here counts held-out answers only. {WORDS[alignment.configuration.split]}"))
    if len(names) == 1:
        shown(exhibits.accuracies([report]), f"accuracy-{name}")
    columns = st.columns(2, gap="large")
    for column, each in zip(columns, exhibits.gains(report), strict=False):  # one alone where nobody has a model of their own
        with column:
            shown(each, f"{each.key}-{name}")
    columns = st.columns(2, gap="large")
    with columns[0]:
        shown(exhibits.doubts(report), f"doubts-{name}")
    curves = exhibits.of_group(alignment)
    if curves is not None:
        with columns[1]:
            shown(curves, f"curves-{name}")
            own = of_people(alignment, name)
            if own is not None:
                shown(own, f"own-curves-{name}")
    changed.show(chosen, alignment, name)
    confusions.show(chosen, alignment, name)


def minus(text: str) -> str:
    """Numbers below nought with a minus instead of a hyphen."""
    return re.sub(r"(?<!\S)-(?=\d)", "−", text)


def facts(report: AlignmentReport) -> str:
    """The three numbers that matter, with what they mean, as HTML."""
    from core.figures import theme
    from core.figures.exhibits.alignment import individual_sentence

    before, after = report.group["base"], report.group["group"]
    people = "simulated observers" if report.basis.source == "simulated" else "people"
    rows = [
        (
            theme.percent(after.value),
            f"of what {people} said is what the network now finds likeliest (95 % interval {theme.percent(after.low)} to "
            f"{theme.percent(after.high)}); before it learned, {theme.percent(before.value)}. Guessing would get 17 %.",
        )
    ]
    own = report.individual_gain.value
    if math.isfinite(own.value):
        gained = f"{100 * own.value:+.1f}"
        control = individual_sentence(report).removeprefix(f"A model of one's own adds {gained} points").lstrip(",; ")
        rows.append((minus(gained), minus(f"points are added by a model of one's own; {control}")))
    first, then = report.entropy_base, report.entropy_group
    if math.isfinite(then.value):
        rows.append(
            (
                theme.number(then.value),
                f"is how closely its doubt now follows theirs (correlation, {theme.number(then.low)} to "
                f"{theme.number(then.high)}); before, {theme.number(first.value)}. At 1 it is unsure of exactly those faces on "
                f"which {people} are divided.",
            )
        )
    return words.facts(rows)
