"""Results of fine-tuning emotion classifiers on people's answers: curves, accuracies, entropies, gains beside the null control."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from core.alignment.evaluate import mean_gain
from core.analysis.estimate import Array
from core.figures import theme
from core.figures.answers import plot_confusion
from core.figures.dots import narrow_labels, plot_dots
from core.figures.exhibit import Exhibit, build_row, describe_estimate
from core.figures.theme import Source
from core.models import registry
from core.models.emotions import EMOTIONS

if TYPE_CHECKING:
    from core.alignment.alignment import Alignment
    from core.alignment.evaluate import AlignmentReport, ModelGain
    from core.alignment.personal import PersonProfile
    from core.alignment.store import Curve


BEFORE, AFTER = "before learning", "after learning"
SIDE_STYLES = {"base": (BEFORE, theme.AMBER, "circle-open"), "group": (AFTER, theme.INDIGO, "diamond")}


CURVE_RANGE = 0.1
"""Shares of answers that the axis of a learning curve covers at least."""


def plot_curves(table: pd.DataFrame, *, n: int | str, source: Source, epochs: int) -> go.Figure:
    """Accuracy of each network by epoch, on held-out answers.

    table: name (who learns), epoch (0: before), accuracy (share of held-out answers). epochs: as many as were asked for.
    """
    known = table.dropna(subset=["accuracy"])
    if known.empty:
        return theme.build_empty_figure("Nothing has been learned yet.", source)
    figure = go.Figure()
    for index, (name, part) in enumerate(known.groupby("name", sort=False)):
        figure.add_scatter(
            x=part["epoch"].to_numpy(),
            y=part["accuracy"].to_numpy(np.float64),
            mode="lines+markers",
            name=str(name),
            line={"color": theme.CATEGORIES[index % 6], "dash": theme.DASHES[index % 6], "width": 2},
            marker={"symbol": theme.SYMBOLS[index % 6], "size": 7},
            hovertemplate=f"{name}, round %{{x}}: %{{y:.1%}}<extra></extra>",
        )
    figure.update_layout(
        xaxis={"title": "rounds of learning (0: before)", "range": [-0.3, epochs + 0.3], "dtick": max(1, round(epochs / 8))},
        yaxis={"title": "held-out answers that it names", "tickformat": ".0%", "range": _find_curve_range(known["accuracy"])},
        height=320,
        showlegend=known["name"].nunique() > 1,
    )
    last = known.groupby("name", sort=False).agg(first=("accuracy", "first"), now=("accuracy", "last"))
    changes = [
        f"{name} goes from {theme.format_percent(row['first'], 0)} to {theme.format_percent(row['now'], 0)}"
        for name, row in last.iterrows()
    ]
    says = f"While it learns, {theme.join_names(changes)} of the held-out answers."
    return theme.describe_figure(figure, says=says, n=n, source=source)


def _find_curve_range(accuracy: pd.Series[float]) -> list[float] | None:
    """At least ten points, so that no two ticks read the same; None: as the curves ask."""
    low, high = float(accuracy.min()), float(accuracy.max())
    middle = (low + high) / 2
    return None if high - low > CURVE_RANGE else [middle - CURVE_RANGE / 2, middle + CURVE_RANGE / 2]


def plot_individual_curves(
    table: pd.DataFrame, mean: pd.DataFrame, *, says: str, n: int | str, source: Source, epochs: int
) -> go.Figure:
    """Learning curves of individual models, one thin line a person without names, and their mean.

    table: person (a number), epoch (0: before), accuracy (share of that person's held-out answers). mean: epoch, accuracy.
    """
    known = table.dropna(subset=["accuracy"])
    if known.empty:
        return theme.build_empty_figure("Nobody has a model of their own yet.", source)
    figure = go.Figure()
    x: list[float] = []
    y: list[float] = []
    for _, part in known.groupby("person", sort=False):  # one trace for all: a hundred of them would be slow
        x += [*part["epoch"].astype(float), math.nan]
        y += [*part["accuracy"].astype(float), math.nan]
    figure.add_scatter(
        x=x,
        y=y,
        mode="lines",
        name="one person each",
        line={"color": theme.fade_colour(theme.SOFT, 0.5), "width": 1.3},
        hovertemplate="one person, round %{x}: %{y:.0%}<extra></extra>",
    )
    figure.add_scatter(
        x=mean["epoch"].to_numpy(np.float64),
        y=mean["accuracy"].to_numpy(np.float64),
        mode="lines+markers",
        name="their mean",
        line={"color": theme.INDIGO, "width": 2.6},
        marker={"symbol": "circle", "size": 7},
        hovertemplate="mean, round %{x}: %{y:.1%}<extra></extra>",
    )
    figure.update_layout(
        xaxis={
            "title": "rounds of learning (0: everybody's model)",
            "range": [-0.3, epochs + 0.3],
            "dtick": max(1, round(epochs / 8)),
        },
        yaxis={"title": "of their held-out answers", "tickformat": ".0%"},
        height=320,
    )
    return theme.describe_figure(figure, says=says, n=n, source=source)


def plot_entropies(
    table: pd.DataFrame, *, before: float, after: float, n: int | str, source: Source, interval: str = ""
) -> go.Figure:
    """Entropy of people's answers against entropy of a network's probabilities, on held-out images.

    table: stimulus, human, base, group (bits). before, after: Spearman's correlation of each with people's.
    """
    if len(table) < 3:
        return theme.build_empty_figure("Fewer than three held-out faces have two answers, so doubts cannot be compared.", source)
    figure = go.Figure()
    for column, (name, colour, symbol) in SIDE_STYLES.items():
        figure.add_scatter(
            x=table["human"].to_numpy(np.float64),
            y=table[column].to_numpy(np.float64),
            mode="markers",
            name=name,
            customdata=table["stimulus"].to_numpy(object),
            marker={"color": colour, "symbol": symbol, "size": 9, "opacity": 0.85, "line": {"width": 1.5, "color": colour}},
            hovertemplate=f"{name}: people %{{x:.2f}} bits, network %{{y:.2f}} bits<extra></extra>",
        )
    most = float(np.log2(6))
    figure.add_scatter(
        x=[0, most],
        y=[0, most],
        mode="lines",
        line={"color": theme.SOFT, "width": 1, "dash": "dot"},
        hoverinfo="skip",
        name="as divided as people",
    )
    axis = {"range": [-0.06, most + 0.1], "dtick": 0.5}
    figure.update_layout(
        xaxis={"title": "how divided people are, bits", **axis},
        yaxis={"title": "how unsure the network is, bits", **axis},
        height=420,
    )
    first, then = theme.format_number(before), theme.format_number(after)
    says = f"How unsure the network is follows how divided people are: correlation {first} before learning, {then} after."
    return theme.describe_figure(figure, says=says, n=n, interval=interval, source=source)


def plot_individual_gains(table: pd.DataFrame, *, says: str, n: int | str, source: Source) -> go.Figure:
    """Gain of each person's individual model, beside the control with shuffled answers.

    table: rater, loss_gain, null_loss_gain (bits an answer; NaN: none). People stand in the order of their gain, without names. The
    median of the control is drawn across.
    """
    known = table.dropna(subset=["loss_gain"]).sort_values("loss_gain", ascending=False)
    if known.empty:
        return theme.build_empty_figure("Nobody has a model of their own yet.", source)
    figure = go.Figure()
    order = np.arange(1, len(known) + 1)
    for column, name, colour, symbol in (
        ("loss_gain", "from their own answers", theme.INDIGO, "diamond"),
        ("null_loss_gain", "from shuffled answers (the control)", theme.AMBER, "circle-open"),
    ):
        figure.add_scatter(
            x=order,
            y=known[column].to_numpy(np.float64),
            mode="markers",
            name=name,
            marker={"color": colour, "symbol": symbol, "size": 9, "line": {"width": 1.5, "color": colour}},
            hovertemplate=f"{name}: %{{y:+.2f}} bits an answer<extra></extra>",
        )
    figure.add_hline(y=0, line={"color": theme.SOFT, "width": 1.2, "dash": "dot"})
    shuffled = known["null_loss_gain"].dropna()
    if len(shuffled):
        figure.add_scatter(
            x=[0.5, len(known) + 0.5],
            y=[float(shuffled.median())] * 2,
            mode="lines",
            name="median of the control",
            line={"color": theme.AMBER, "width": 1.5, "dash": "dash"},
            hovertemplate="median of the control: %{y:+.2f} bits an answer<extra></extra>",
        )
    figure.update_layout(
        xaxis={"title": "people, largest gain first", "dtick": max(1, len(known) // 10)},
        yaxis={"title": "better than the group's model, bits an answer"},
        height=340,
    )
    return theme.describe_figure(figure, says=says, n=n, source=source)


LEVEL_TITLES = {"base": "before learning", "group": "after learning from everybody", "individual": "a person's own model"}
HELD_OUT_NOTE = "Only answers that the model did not learn from are counted."
CONTROL_TITLE = "with shuffled answers (the control, median)"


def exhibit_accuracies(reports: Sequence[AlignmentReport]) -> Exhibit:
    """Accuracy by classifier and level of fine-tuning (paper B, Fig. 5)."""
    rows = [
        {
            "name": f"{registry.title(report.classifier)}: {words}",
            "series": LEVEL_TITLES[level],
            **build_row(values[level]),
        }
        for report in reports
        for words, values, levels in (
            ("everybody", report.group, ("base", "group")),
            ("with their own model", report.own, tuple(LEVEL_TITLES)),
            ("plain faces", report.reference, tuple(LEVEL_TITLES)),
        )
        for level in levels
        if math.isfinite(values[level].value)
    ]
    data = pd.DataFrame(rows, columns=["name", "series", "value", "low", "high", "n"])
    if len(reports) == 1:
        data["name"] = data["name"].str.partition(": ")[2].str.capitalize()
    figure = plot_dots(
        data,
        measure="answers that the first choice names",
        says=describe_accuracies(reports),
        n=_describe_size(reports[0]),
        source=reports[0].basis.source,
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
        reports[0].note,
        numbers=[report.to_dict() for report in reports],
    )


def describe_accuracies(reports: Sequence[AlignmentReport]) -> str:
    """'After learning from everybody the network names 45 % of the held-out answers; 16 % before.'"""
    parts: list[str] = []
    for report in reports:
        who = registry.title(report.classifier) if len(reports) > 1 else "the network"
        before, after = (theme.format_percent(report.group[level].value, 0) for level in ("base", "group"))
        what = "" if parts else " of the held-out answers"
        plain = [theme.format_percent(report.reference[level].value, 0) for level in ("base", "group")]
        lost = report.reference["group"].high < report.reference["base"].value  # False where it is not known
        price = f" (of plain faces {plain[1]}, {plain[0]} before)" if lost else ""
        parts.append(f"{who} names {after}{what}, {before} before{price}")
    return f"After learning from everybody, {'; '.join(parts)}."


def exhibit_gains(report: AlignmentReport) -> list[Exhibit]:
    """Gains of group and individual models in points, beside the control; and person by person, where anybody has a model."""
    kinds: Mapping[str, ModelGain] = {
        "learning from everybody": report.group_gain,
        "then from one person": report.individual_gain,
        CONTROL_TITLE: report.null_gain,
    }
    data = pd.DataFrame(
        [{"name": name, **build_row(gain.value), "p": gain.p} for name, gain in kinds.items()],
        columns=["name", "value", "low", "high", "n", "p"],
    )
    table = report.people[["rater", "loss_gain", "null_loss_gain"]].drop(columns="rater")
    source, note = report.basis.source, _describe_p_values(report)
    shuffled = math.isfinite(report.null_gain.value.value)
    figure = plot_dots(
        data,
        measure="more answers named",
        says=describe_individual_gain(report),
        n=_describe_size(report),
        source=source,
        interval=f"95 %, bootstrap over people{'; of the control, of the median' if shuffled else ''}",
        share=True,
        difference=True,
        reference=(0.0, "no gain"),
    )
    all_together = Exhibit(
        "gains",
        narrow_labels(figure),
        data,
        "The difference between two models on the same held-out answers, person by person, averaged over people. The control "
        "learns in the same way from answers that were shuffled between people: it shows what more training brings by itself. "
        "Of the control the median person is drawn, not the average.",
        note,
        numbers=kinds,
    )
    if report.people["loss_gain"].isna().all():
        return [all_together]
    return [
        all_together,
        Exhibit(
            "people",
            plot_individual_gains(
                report.people,
                says=_describe_people(report),
                n=f"{int(report.people['loss_gain'].notna().sum()):,} people with a model",
                source=source,
            ),
            table,
            "Each mark is one person: how many bits less surprising their held-out answers are to a model of their own than to the "
            "group's. Above the line the own model is the better one. The hollow marks learned from shuffled answers.",
        ),
    ]


def describe_individual_gain(report: AlignmentReport) -> str:
    """Say whether individual models learned anything of the person beyond what the control brings.

    The control is told by its median; the verdict is the mean of the differences of each person's two gains.
    """
    individual, null = report.individual_gain.value, report.null_gain.value
    if not math.isfinite(individual.value):
        return "Nobody has a model of their own yet, so only the group's gain can be shown."
    points = f"A model of one's own adds {100 * individual.value:+.1f} points"
    if not math.isfinite(null.value):
        return f"{points}; there is no control to compare with."
    beyond = mean_gain((report.people["gain"] - report.people["null_gain"]).to_numpy(np.float64)).value
    control = f"the same with shuffled answers {100 * null.value:+.1f} (median)"
    if beyond.low > 0:
        return f"{points}, {control}: it learned something of the person."
    if beyond.high < 0:
        return f"{points}, {control}: less than chance brings."
    return f"{points}, {control}: whether it learned anything of the person cannot be told."


def _describe_people(report: AlignmentReport) -> str:
    gain = report.people["loss_gain"].dropna()
    better = int((gain > 0).sum())
    return f"For {better:,} of {len(gain):,} people their own model is less surprised by their answers than the group's."


def _describe_p_values(report: AlignmentReport) -> str:
    sentences = [
        f"{words}: p = {gain.p:.3f}" if gain.p >= 0.001 else f"{words}: p < 0.001"
        for words, gain in (("everybody", report.group_gain), ("own", report.individual_gain), ("control", report.null_gain))
        if math.isfinite(gain.p)
    ]
    return f"Wilcoxon's signed-rank test over people: {'; '.join(sentences)}." if sentences else ""


def exhibit_entropies(report: AlignmentReport) -> Exhibit:
    """Entropy of people's answers against that of the network, before and after fine-tuning."""
    first, then = report.entropy_base, report.entropy_group
    figure = plot_entropies(
        report.entropies,
        before=first.value,
        after=then.value,
        n=f"{len(report.entropies):,} held-out faces",
        source=report.basis.source,
        interval="of the correlations 95 %, bootstrap over faces",
    )
    return Exhibit(
        "doubts",
        figure,
        report.entropies,
        "How evenly answers are spread over the six feelings, in bits: 0 is one answer for all, 2.58 all six alike. Across, the "
        "answers of people (with Miller and Madow's correction); up, what the network says. Faces that it did not learn from.",
        f"Spearman's correlation: {describe_estimate(first)} before, {describe_estimate(then)} after; paper B reports 0.26 and "
        "0.85."
        if math.isfinite(then.value)
        else "",
        numbers={"before": first, "after": then},
    )


def exhibit_confusions(counts: Mapping[str, Array], source: str) -> list[Exhibit]:
    """Confusion of people's answers (rows) with a model's choices. counts: level -> (6, 6)."""
    exhibits = []
    for level, values in counts.items():
        table = pd.DataFrame(values.astype(int), index=list(EMOTIONS), columns=list(EMOTIONS))
        table = table[table.sum(axis=1) > 0]
        figure = plot_confusion(table, rows="what was said (answers)", columns="what the network says", source=source)
        if len(table):
            hit = float(values.trace() / values.sum())
            figure.layout.meta["says"] = (
                f"{LEVEL_TITLES[level].capitalize()}: {theme.format_percent(hit, 0)} of these answers are named."
            )
        exhibits.append(
            Exhibit(
                f"confusion-{level}",
                figure,
                table.rename_axis("said").reset_index(),
                "Every row holds the answers that named one feeling, and what the network finds likeliest for those faces. "
                + HELD_OUT_NOTE,
            )
        )
    return exhibits


def exhibit_curves(curves: Mapping[str, Curve], *, epochs: int, source: str, n: str) -> Exhibit:
    """Learning curves of the group's models. curves: classifier -> curve."""
    rows = [
        {"name": registry.title(name), "epoch": epoch.number, "accuracy": epoch.validation_accuracy, "loss": epoch.validation_loss}
        for name, curve in curves.items()
        for epoch in curve.epochs
    ]
    data = pd.DataFrame(rows, columns=["name", "epoch", "accuracy", "loss"])
    return Exhibit(
        "curves",
        plot_curves(data, n=n, source=source, epochs=epochs),
        data,
        "In each round the network sees every answer that it may learn from once. Drawn is the share of held-out answers that its "
        "first choice names; it learns nothing from these.",
    )


def exhibit_group_curves(alignment: Alignment) -> Exhibit | None:
    """Learning curves of all classifiers with a group model; None where there is none."""
    names = [name for name in alignment.configuration.classifiers if alignment.ready(name)]
    if not names:
        return None
    _, judged = alignment.split.group()
    return exhibit_curves(
        {name: alignment.curve(name) for name in names},
        epochs=alignment.configuration.epochs,
        source=alignment.answers.source,
        n=f"{len(judged):,} held-out answers",
    )


def _describe_size(report: AlignmentReport) -> str:
    people = "simulated observers" if report.basis.source == "simulated" else "people"
    return f"{report.basis.answers:,} held-out answers to {report.basis.images:,} faces by {report.basis.raters:,} {people}"


def exhibit_bias(profile: PersonProfile, crowd: str) -> Exhibit:
    """One person's bias by emotion against the crowd, on a logarithmic scale."""
    data = pd.DataFrame([{"name": name, **build_row(estimate)} for name, estimate in profile.bias.items()])
    if profile.departs:
        parts = [f"{name} {'more' if profile.bias[name].value > 1 else 'less'} often" for name in profile.departs]
        says = f"Where a face is unclear, you say {theme.join_names(parts)} than the crowd."
    else:
        says = "You lean to no feeling more than the crowd, as far as these answers can tell."
    figure = plot_dots(
        data,
        measure="how many times as often as the crowd",
        says=says,
        n=f"{profile.basis.answers:,} answers",
        source=profile.basis.source,
        interval="95 %, given how much the people of the study differ",
        reference=(1.0, ""),
        nothing=profile.note or "There is no profile yet.",
    )
    if profile.basis.answers and not data["value"].isna().all():
        ticks = [0.1, 0.3, 1, 3, 10]  # so few that they stand side by side on a phone
        texts = [f"{tick:g}×" for tick in ticks]
        figure.update_xaxes(type="log", tickmode="array", tickvals=ticks, ticktext=texts, tickangle=0)
    return Exhibit(
        "leanings",
        figure,
        data,
        f"How many times as often this person says a feeling as the crowd ({crowd}) where the crowd is undecided; at 1 as often. "
        "Worked out from a model of one person: the crowd's model, sharper or duller, with leanings and some slips.",
        profile.note,
    )


def exhibit_individual_curves(curves: Mapping[str, Curve], *, epochs: int, source: str) -> Exhibit:
    """Learning curves of individual models. curves: rater -> curve; the table numbers the raters and names nobody."""
    rows = [
        {"person": number, "epoch": epoch.number, "accuracy": epoch.validation_accuracy, "loss": epoch.validation_loss}
        for number, curve in enumerate(curves.values(), start=1)
        for epoch in curve.epochs
    ]
    data = pd.DataFrame(rows, columns=["person", "epoch", "accuracy", "loss"])
    mean = _average_curves(data, epochs)
    size = f"{len(curves):,} {'simulated observers' if source == 'simulated' else 'people'}"
    says = "Nobody has a model of their own yet."
    if len(mean):
        first, last = (theme.format_percent(float(mean["accuracy"].iloc[index]), 0) for index in (0, -1))
        says = f"Then each learns to be one person: the mean goes from {first} to {last} of a person's held-out answers."
    return Exhibit(
        "own-curves",
        plot_individual_curves(data, mean, says=says, n=size, source=source, epochs=epochs),
        data,
        "One thin line a person: a copy of everybody's model that goes on learning from that person's answers. Drawn is the share "
        "of their held-out answers that its first choice names. A person has few of these, so that one line alone says little; the "
        "thick line is the mean. Who stopped early stays at their last value in it.",
    )


def exhibit_all_individual_curves(alignment: Alignment, classifier: str) -> Exhibit | None:
    """Learning curves of all individual models of a classifier; None where there is none."""
    people = alignment.people(classifier)
    if not people:
        return None
    curves = {rater: alignment.curve(classifier, rater) for rater in people}
    return exhibit_individual_curves(curves, epochs=alignment.configuration.epochs, source=alignment.answers.source)


def _average_curves(data: pd.DataFrame, epochs: int) -> pd.DataFrame:
    """Mean accuracy over people by epoch, up to the last epoch that anybody has reached."""
    known = data.dropna(subset=["accuracy"])
    if known.empty:
        return pd.DataFrame({"epoch": [], "accuracy": []})
    table = known.pivot_table(index="epoch", columns="person", values="accuracy").sort_index()
    mean = table.reindex(range(min(int(table.index.max()), epochs) + 1)).ffill().mean(axis=1)
    return mean.rename("accuracy").rename_axis("epoch").reset_index()
