"""Results of models of 'same person?' fitted to people: accuracy of group and individual models, gains, and weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd

from core.figures import theme
from core.figures.alignment import CONTROL_TITLE
from core.figures.dots import narrow_labels, plot_dots
from core.figures.exhibit import Exhibit, build_row
from core.models import registry

if TYPE_CHECKING:
    from core.alignment.evaluate import ModelGain
    from core.alignment.identity import IdentityReport

DISTANCE_PREFIX = "distance_"


def find_recogniser(report: IdentityReport) -> str:
    """Title of the recogniser whose own threshold is compared with."""
    named = [name.removeprefix(DISTANCE_PREFIX) for name in report.features if name.startswith(DISTANCE_PREFIX)]
    return registry.title(named[0]) if named else "a recogniser"


def exhibit_accuracy(report: IdentityReport) -> Exhibit:
    """Accuracy of a recogniser's threshold, the group's model and individual models."""
    levels = {
        f"{find_recogniser(report)} at its own limit": report.base,
        "learned from everybody": report.group,
        "learned from the person": report.individual,
    }
    data = pd.DataFrame([{"name": name, **build_row(estimate)} for name, estimate in levels.items()])
    return Exhibit(
        "same-accuracy",
        plot_dots(
            data,
            measure="verdicts that are the person's",
            says=f"A model that learned from everybody gives {theme.format_percent(report.group.value, 0)} of people's verdicts, "
            f"{find_recogniser(report)} at its own limit {theme.format_percent(report.base.value, 0)}.",
            n=_describe_size(report),
            source=report.basis.source,
            interval="95 %, bootstrap over people",
            share=True,
            reference=(0.5, "a coin"),
        ),
        data,
        "How often the verdict, the same person or two people, is the one that a person gave, on pairs that were not learned from. "
        "The models weigh the distances of the recognisers and how different the pictures look (logistic regression); a person's "
        "weights are kept near everybody's unless their answers say otherwise.",
        report.note,
        numbers=report,
    )


def describe_individual_models(report: IdentityReport) -> str:
    """Say whether individual weights help; judged by log loss, which few answers move more surely than accuracy."""
    individual, null = report.individual_loss_gain.value, report.null_loss_gain.value
    if not math.isfinite(individual.value):
        return "Nobody has given enough answers for a model of their own."
    sentence = f"{_format_signed(individual.value)} bits an answer" + (
        f", with shuffled answers {_format_signed(null.value)} (median)" if math.isfinite(null.value) else ""
    )
    if individual.low > 0 and not null.low > 0:
        return f"One's own model is less surprised by one's answers: {sentence}."
    if individual.high < 0:
        return f"One's own model is more surprised by one's answers: {sentence}."
    return f"Whether one's own model knows one better cannot be told: {sentence}."


def exhibit_gains(report: IdentityReport) -> Exhibit:
    """Gain of individual weights over the group's, beside the control."""
    kinds: Mapping[str, ModelGain] = {"from one person": report.individual_loss_gain, CONTROL_TITLE: report.null_loss_gain}
    data = pd.DataFrame([{"name": name, **build_row(gain.value), "p": gain.p} for name, gain in kinds.items()])
    figure = plot_dots(
        data,
        measure="bits an answer gained",
        says=describe_individual_models(report),
        n=_describe_size(report),
        source=report.basis.source,
        interval="95 %, bootstrap over people; of the control, of the median",
        reference=(0.0, "no gain"),
    )
    return Exhibit(
        "same-gains",
        narrow_labels(figure),
        data,
        "How much less surprising a person's held-out answers are to a model of their own than to everybody's. The control "
        "learns in the same way from answers that were shuffled between people; of it the median person is drawn, not the average.",
        numbers=kinds,
    )


def exhibit_weights(report: IdentityReport) -> Exhibit:
    """Weights of the group's model."""
    table = report.coefficients.rename(columns={"group": "value"})
    data = table.assign(name=[_name_weight(name) for name in table["name"]], n=report.basis.answers)
    only = data[table["name"] != "same"]
    ranked = only.reindex(only["value"].abs().sort_values(ascending=False).index).to_dict("records")
    says = "Nothing was measured of the pairs."
    if ranked:
        says = f"{ranked[0]['name']} weighs most in people's verdicts."
    if len(ranked) > 1 and max(ranked[0]["low"], ranked[1]["low"]) <= min(ranked[0]["high"], ranked[1]["high"]):
        says = f"{ranked[0]['name']} and {ranked[1]['name']} weigh most in people's verdicts, about alike."
    figure = plot_dots(
        data,
        measure="weight for 'the same person'",
        says=says[:1].upper() + says[1:],
        n=_describe_size(report),
        source=report.basis.source,
        interval="95 % of the fit",
        reference=(0.0, ""),
    )
    return Exhibit(
        "same-weights",
        narrow_labels(figure),
        data,
        "How far a measure that is one standard deviation larger moves the verdict, in log odds, with Laplace's interval. Left of "
        "the line a larger value speaks for two people. Measures that tell the same story share their weight, so that "
        "a small one need not be useless.",
    )


def _format_signed(value: float) -> str:
    """'+0.03', and '0.00' without a sign."""
    return f"{value:+.2f}" if abs(value) >= 0.005 else "0.00"


def _name_weight(name: str) -> str:
    if name == "same":
        return "leaning to 'the same'"
    if name.startswith(DISTANCE_PREFIX):
        return f"distance, {registry.title(name.removeprefix(DISTANCE_PREFIX))}"
    return "difference of the pictures (LPIPS)" if name == "lpips" else name.replace("_", " ")


def _describe_size(report: IdentityReport) -> str:
    who = "simulated observers" if report.basis.source == "simulated" else "people"
    return f"{report.basis.answers:,} held-out answers to {report.basis.images:,} pairs by {report.basis.raters:,} {who}"
