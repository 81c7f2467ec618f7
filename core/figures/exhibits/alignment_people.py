"""How the models of single people learned: one line each, and their mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd

from core.figures import alignment as drawn
from core.figures import theme
from core.figures.exhibits.exhibit import Exhibit

if TYPE_CHECKING:
    from core.alignment.alignment import Alignment
    from core.alignment.curves import Curve


def own_curves(curves: Mapping[str, Curve], *, epochs: int, source: str) -> Exhibit:
    """Rater -> curve of a model of their own. The table numbers the people and names nobody."""
    rows = [
        {"person": number, "epoch": each.number, "accuracy": each.validation_accuracy, "loss": each.validation_loss}
        for number, curve in enumerate(curves.values(), start=1)
        for each in curve.epochs
    ]
    data = pd.DataFrame(rows, columns=["person", "epoch", "accuracy", "loss"])
    mean = _mean(data, epochs)
    size = f"{len(curves):,} {'simulated observers' if source == 'simulated' else 'people'}"
    says = "Nobody has a model of their own yet."
    if len(mean):
        first, last = (theme.percent(float(mean["accuracy"].iloc[place])) for place in (0, -1))
        says = f"Then each learns to be one person: the mean goes from {first} to {last} of a person's held-out answers."
    return Exhibit(
        "own-curves",
        drawn.own_curves(data, mean, says=says, n=size, source=source, epochs=epochs),
        data,
        "One thin line a person: a copy of everybody's model that goes on learning from that person's answers. Drawn is the share "
        "of their held-out answers that its first choice names. A person has few of these, so that one line alone says little; the "
        "thick line is the mean. Who stopped early stays at their last value in it.",
    )


def of_people(alignment: Alignment, classifier: str) -> Exhibit | None:
    """The curves of everybody who has a model of their own; None where nobody has."""
    people = alignment.people(classifier)
    if not people:
        return None
    curves = {rater: alignment.curve(classifier, rater) for rater in people}
    return own_curves(curves, epochs=alignment.configuration.epochs, source=alignment.answers.source)


def _mean(data: pd.DataFrame, epochs: int) -> pd.DataFrame:
    """epoch, accuracy: over people, as far as anybody has got."""
    known = data.dropna(subset=["accuracy"])
    if known.empty:
        return pd.DataFrame({"epoch": [], "accuracy": []})
    table = known.pivot_table(index="epoch", columns="person", values="accuracy").sort_index()
    mean = table.reindex(range(min(int(table.index.max()), epochs) + 1)).ffill().mean(axis=1)
    return mean.rename("accuracy").rename_axis("epoch").reset_index()
