"""What learning from people brought: before and after, the group and each person, beside the null control."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from core.analysis.answers import Array
from core.figures import alignment as drawn
from core.figures import theme
from core.figures.agreement import confusion as drawn_confusion
from core.figures.dots import dots, narrow
from core.figures.exhibits.exhibit import Exhibit, estimate, said, title_of
from core.models.emotions import EMOTIONS

if TYPE_CHECKING:
    from core.alignment.alignment import Alignment
    from core.alignment.curves import Curve
    from core.alignment.evaluation import AlignmentReport, Gain
    from core.alignment.profile import Profile

LEVELS = {"base": "before learning", "group": "after learning from everybody", "individual": "a person's own model"}
HELD_OUT = "Only answers that the model did not learn from are counted."
SHUFFLED = "with shuffled answers (the control, median)"


def accuracies(found: Sequence[AlignmentReport]) -> Exhibit:
    """Paper B, Fig. 5: by classifier, how often each model names what a person said."""
    rows = [
        {
            "name": f"{title_of(each.classifier)}: {words}",
            "series": LEVELS[level],
            **estimate(values[level]),
        }
        for each in found
        for words, values, levels in (
            ("everybody", each.group, ("base", "group")),
            ("with their own model", each.own, tuple(LEVELS)),
            ("plain faces", each.reference, tuple(LEVELS)),
        )
        for level in levels
        if math.isfinite(values[level].value)
    ]
    data = pd.DataFrame(rows, columns=["name", "series", "value", "low", "high", "n"])
    if len(found) == 1:
        data["name"] = data["name"].str.partition(": ")[2].str.capitalize()
    figure = dots(
        data,
        measure="answers that the first choice names",
        says=named_sentence(found),
        n=_size(found[0]),
        source=found[0].basis.source,
        interval="95 %, over people; of plain faces, over faces",
        share=True,
        reference=(1 / len(EMOTIONS), "guessing"),
    )
    if len(data):
        figure.update_yaxes(ticktext=[name.replace(": ", "<br>") for name in dict.fromkeys(data["name"])])
    return Exhibit(
        "accuracy",
        figure,
        data,
        "How often the feeling that a network finds likeliest is the one that a person said, on faces that it had not learned "
        "from; and how often it still agrees with the networks that labelled the plain faces it learned from alongside. Paper B, "
        "Fig. 5.",
        found[0].note,
        numbers=[each.to_dict() for each in found],
    )


def named_sentence(found: Sequence[AlignmentReport]) -> str:
    """'After learning from everybody the network names 45 % of the held-out answers; 16 % before.'"""
    parts: list[str] = []
    for each in found:
        who = title_of(each.classifier) if len(found) > 1 else "the network"
        before, after = (theme.percent(each.group[level].value) for level in ("base", "group"))
        what = "" if parts else " of the held-out answers"
        parts.append(f"{who} names {after}{what}, {before} before")
    return f"After learning from everybody, {'; '.join(parts)}."


def gains(found: AlignmentReport) -> list[Exhibit]:
    """What the group's and one's own model bring in points, beside the control; and person by person, where anybody has a model."""
    kinds: Mapping[str, Gain] = {
        "learning from everybody": found.group_gain,
        "then from one person": found.individual_gain,
        SHUFFLED: found.null_gain,
    }
    data = pd.DataFrame(
        [{"name": name, **estimate(each.value), "p": each.p} for name, each in kinds.items()],
        columns=["name", "value", "low", "high", "n", "p"],
    )
    table = found.people[["rater", "loss_gain", "null_loss_gain"]].drop(columns="rater")
    source, note = found.basis.source, _p(found)
    shuffled = math.isfinite(found.null_gain.value.value)
    figure = dots(
        data,
        measure="more answers named",
        says=individual_sentence(found),
        n=_size(found),
        source=source,
        interval=f"95 %, bootstrap over people{'; of the control, of the median' if shuffled else ''}",
        share=True,
        reference=(0.0, "no gain"),
    )
    all_together = Exhibit(
        "gains",
        narrow(figure),
        data,
        "The difference between two models on the same held-out answers, person by person, averaged over people. The control "
        "learns in the same way from answers that were shuffled between people: it shows what more training brings by itself. "
        "Of the control the median person is drawn, not the average.",
        note,
        numbers=kinds,
    )
    if found.people["loss_gain"].isna().all():
        return [all_together]
    return [
        all_together,
        Exhibit(
            "people",
            drawn.people(
                found.people,
                says=_people(found),
                n=f"{int(found.people['loss_gain'].notna().sum()):,} people with a model",
                source=source,
            ),
            table,
            "Each mark is one person: how many bits less surprising their held-out answers are to a model of their own than to the "
            "group's. Above the line the own model is the better one. The hollow marks learned from shuffled answers.",
        ),
    ]


def individual_sentence(found: AlignmentReport) -> str:
    """Whether a model of one's own learned anything of the person: beyond what the control brings, person by person.

    The control is told by its median; the verdict is the mean of the differences of each person's two gains.
    """
    from core.alignment.evaluation import gain

    own, null = found.individual_gain.value, found.null_gain.value
    if not math.isfinite(own.value):
        return "Nobody has a model of their own yet, so only the group's gain can be shown."
    points = f"A model of one's own adds {100 * own.value:+.1f} points"
    if not math.isfinite(null.value):
        return f"{points}; there is no control to compare with."
    beyond = gain((found.people["gain"] - found.people["null_gain"]).to_numpy(np.float64)).value
    control = f"the same with shuffled answers {100 * null.value:+.1f} (median)"
    if beyond.low > 0:
        return f"{points}, {control}: it learned something of the person."
    if beyond.high < 0:
        return f"{points}, {control}: less than chance brings."
    return f"{points}, {control}: whether it learned anything of the person cannot be told."


def _people(found: AlignmentReport) -> str:
    gain = found.people["loss_gain"].dropna()
    better = int((gain > 0).sum())
    return f"For {better:,} of {len(gain):,} people their own model is less surprised by their answers than the group's."


def _p(found: AlignmentReport) -> str:
    told = [
        f"{words}: p = {each.p:.3f}" if each.p >= 0.001 else f"{words}: p < 0.001"
        for words, each in (("everybody", found.group_gain), ("own", found.individual_gain), ("control", found.null_gain))
        if math.isfinite(each.p)
    ]
    return f"Wilcoxon's signed-rank test over people: {'; '.join(told)}." if told else ""


def doubts(found: AlignmentReport) -> Exhibit:
    """Entropy of people and of the network, before and after."""
    first, then = found.entropy_base, found.entropy_group
    figure = drawn.entropies(
        found.entropies,
        before=first.value,
        after=then.value,
        n=f"{len(found.entropies):,} held-out faces",
        source=found.basis.source,
        interval="of the correlations 95 %, bootstrap over faces",
    )
    return Exhibit(
        "doubts",
        figure,
        found.entropies,
        "How evenly answers are spread over the six feelings, in bits: 0 is one answer for all, 2.58 all six alike. Across, the "
        "answers of people (with Miller and Madow's correction); up, what the network says. Faces that it did not learn from.",
        f"Spearman's correlation: {said(first)} before, {said(then)} after; paper B reports 0.26 and 0.85."
        if math.isfinite(then.value)
        else "",
        numbers={"before": first, "after": then},
    )


def confusions(counts: Mapping[str, Array], source: str) -> list[Exhibit]:
    """What was said against what a model says: level -> counts (6, 6), said in rows."""
    made = []
    for level, values in counts.items():
        table = pd.DataFrame(values.astype(int), index=list(EMOTIONS), columns=list(EMOTIONS))
        table = table[table.sum(axis=1) > 0]
        figure = drawn_confusion(table, rows="what was said (answers)", columns="what the network says", source=source)
        if len(table):
            hit = float(values.trace() / values.sum())
            figure.layout.meta["says"] = f"{LEVELS[level].capitalize()}: {theme.percent(hit)} of these answers are named."
        made.append(
            Exhibit(
                f"confusion-{level}",
                figure,
                table.rename_axis("said").reset_index(),
                "Every row holds the answers that named one feeling, and what the network finds likeliest for those faces. "
                + HELD_OUT,
            )
        )
    return made


def learned(curves: Mapping[str, Curve], *, epochs: int, source: str, n: str) -> Exhibit:
    """How the group's models learned: classifier -> curve."""
    rows = [
        {"name": title_of(name), "epoch": each.number, "accuracy": each.validation_accuracy, "loss": each.validation_loss}
        for name, curve in curves.items()
        for each in curve.epochs
    ]
    data = pd.DataFrame(rows, columns=["name", "epoch", "accuracy", "loss"])
    return Exhibit(
        "curves",
        drawn.curves(data, n=n, source=source, epochs=epochs),
        data,
        "In each round the network sees every answer that it may learn from once. Drawn is the share of held-out answers that its "
        "first choice names; it learns nothing from these.",
    )


def of_group(alignment: Alignment) -> Exhibit | None:
    """The curves of all classifiers whose group's model has learned; None where there is none."""
    names = [name for name in alignment.configuration.classifiers if alignment.ready(name)]
    if not names:
        return None
    _, judged = alignment.split.group()
    return learned(
        {name: alignment.curve(name) for name in names},
        epochs=alignment.configuration.epochs,
        source=alignment.answers.source,
        n=f"{len(judged):,} held-out answers",
    )


def _size(found: AlignmentReport) -> str:
    people = "simulated observers" if found.basis.source == "simulated" else "people"
    return f"{found.basis.answers:,} held-out answers to {found.basis.images:,} faces by {found.basis.raters:,} {people}"


def leanings(found: Profile, crowd: str) -> Exhibit:
    """One person's bias an emotion against the crowd, on a scale on which twice and half as often are equally far from even."""
    data = pd.DataFrame([{"name": name, **estimate(each)} for name, each in found.bias.items()])
    if found.departs:
        parts = [f"{name} {'more' if found.bias[name].value > 1 else 'less'} often" for name in found.departs]
        says = f"Where a face is unclear, you say {theme.listed(parts)} than the crowd."
    else:
        says = "You lean to no feeling more than the crowd, as far as these answers can tell."
    figure = dots(
        data,
        measure="how many times as often as the crowd",
        says=says,
        n=f"{found.basis.answers:,} answers",
        source=found.basis.source,
        interval="95 %, given how much the people of the study differ",
        reference=(1.0, ""),
        nothing=found.note or "There is no profile yet.",
    )
    if found.basis.answers and not data["value"].isna().all():
        ticks = [0.1, 0.25, 0.5, 1, 2, 4, 10]
        figure.update_xaxes(type="log", tickmode="array", tickvals=ticks, ticktext=[f"{each:g}×" for each in ticks])
    return Exhibit(
        "leanings",
        figure,
        data,
        f"How many times as often this person says a feeling as the crowd ({crowd}) where the crowd is undecided; at 1 as often. "
        "Worked out from a model of one person: the crowd's model, sharper or duller, with leanings and some slips.",
        found.note,
    )
