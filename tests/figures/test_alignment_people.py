"""The curves of single people's models: a line each without a name, and a mean in which whoever stopped early stays."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from core.alignment.store import Curve, Epoch
from core.analysis.estimate import Estimate
from core.figures.alignment import describe_accuracies, exhibit_individual_curves


def curve(*accuracies):
    return Curve(tuple(Epoch(number, 1.0, 1.0, each) for number, each in enumerate(accuracies)))


def test_each_person_is_a_line_of_their_own_without_a_name():
    found = exhibit_individual_curves({"Ada": curve(0.2, 0.4, 0.6), "Bo": curve(0.4, 0.2)}, epochs=3, source="simulated")
    lines, mean = found.figure.data
    assert np.flatnonzero(np.isnan(lines.y)).tolist() == [3, 6]
    assert list(lines.y[:3]) == [0.2, 0.4, 0.6]
    assert mean.y == pytest.approx([0.3, 0.3, 0.4])  # the second stays at 0.2
    assert "Ada" not in found.figure.to_json() + found.data.to_csv()
    assert found.says == "Then each learns to be one person: the mean goes from 30 % to 40 % of a person's held-out answers."
    assert found.source == "simulated"
    assert found.n == "2 simulated observers"


def test_nothing_learned_yet_is_said():
    assert "Nobody" in exhibit_individual_curves({"Ada": curve(math.nan)}, epochs=3, source="people").says


@pytest.mark.parametrize(("after", "told"), [(0.79, True), (0.97, False)])
def test_what_learning_costs_on_other_faces_is_told_with_what_it_brings(after, told):
    def share(value):
        return Estimate(value, value - 0.04, value + 0.03, 160)

    report = SimpleNamespace(
        classifier="emotion-mlp",
        group={"base": share(0.16), "group": share(0.45)},
        reference={"base": share(0.98), "group": share(after)},
    )
    says = describe_accuracies([report])
    assert says.startswith("After learning from everybody, the network names 45 % of the held-out answers, 16 % before")
    assert ("(of plain faces 79 %, 98 % before)" in says) == told
