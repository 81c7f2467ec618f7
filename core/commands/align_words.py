"""What ``python -m core align`` prints, line by line."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from core.analysis.boundary import Estimate

if TYPE_CHECKING:
    from core.alignment.evaluation import AlignmentReport, Gain
    from core.alignment.identity import IdentityReport


def report_lines(said: AlignmentReport) -> Iterator[str]:
    """Fig. 5 of one classifier."""
    from core.alignment.evaluation import LEVELS, PUBLISHED

    yield f"{said.classifier}: {said.basis.answers:,} held-out answers of {said.basis.raters} raters ({said.basis.source})"
    yield f"  {'accuracy':<26}" + "".join(f"{level:<26}" for level in LEVELS)
    for title, row in (
        ("on reference faces", said.reference),
        ("on everybody's answers", said.group),
        ("on a person's answers", said.own),
    ):
        yield f"  {title:<26}" + "".join(f"{percent(row[level]):<26}" for level in LEVELS)
    yield f"  {'surprise, bits':<26}" + "".join(f"{number(said.loss[level]):<26}" for level in LEVELS)
    yield f"  base -> group, a person's answers:       {_points(said.group_gain)}"
    yield f"  group -> individual:                     {_points(said.individual_gain)}"
    yield f"  the same, answers shuffled, median:      {_points(said.null_gain)}"
    yield f"  group -> individual, bits saved:         {_bits(said.individual_loss_gain)}"
    yield f"  the same, answers shuffled, median:      {_bits(said.null_loss_gain)}"
    yield f"  group -> shifted by eight numbers:       {_points(said.shift_gain)}; bits saved {_bits(said.shift_loss_gain)}"
    yield f"  the same, answers shuffled (control):    bits saved {_bits(said.null_shift_loss_gain)}"
    yield f"  entropy of model and people (Spearman):  {number(said.entropy_base)} -> {number(said.entropy_group)}"
    yield f"  95 % intervals; gains are means over people, of the control (answers shuffled) medians. {PUBLISHED}"


def identity_lines(said: IdentityReport) -> Iterator[str]:
    """The decision models of an identity study."""
    yield f"Same person? {said.basis.answers:,} held-out answers of {said.basis.raters} raters ({said.basis.source})"
    yield f"  accuracy    threshold {percent(said.base)}  group {percent(said.group)}  individual {percent(said.individual)}"
    yield f"  surprise, bits              group {number(said.group_loss)}  individual {number(said.individual_loss)}"
    yield f"  group -> individual:                   {_points(said.individual_gain)}; bits saved {_bits(said.individual_loss_gain)}"
    yield f"  the same, answers shuffled, median:    {_points(said.null_gain)}; bits saved {_bits(said.null_loss_gain)}"
    for row in said.coefficients.itertuples():
        yield f"  {row.name:<22} {row.group:7.2f} ({row.low:.2f} to {row.high:.2f}), people differ by {row.spread:.2f}"
    if said.note:
        yield f"  {said.note}"


def percent(value: Estimate) -> str:
    """A share with its interval."""
    if math.isnan(value.value):
        return "-"
    return f"{100 * value.value:.1f} % ({100 * value.low:.1f} to {100 * value.high:.1f})"


def number(value: Estimate) -> str:
    """Two decimals with the interval."""
    return "-" if math.isnan(value.value) else f"{value.value:.2f} ({value.low:.2f} to {value.high:.2f})"


def _points(gain: Gain) -> str:
    each = gain.value
    if math.isnan(each.value):
        return "-"
    chance = "" if math.isnan(gain.p) else f", p {gain.p:.3g}"
    return f"{100 * each.value:+.1f} points ({100 * each.low:+.1f} to {100 * each.high:+.1f}{chance}, n {each.n})"


def _bits(gain: Gain) -> str:
    each = gain.value
    if math.isnan(each.value):
        return "-"
    chance = "" if math.isnan(gain.p) else f", p {gain.p:.3g}"
    return f"{each.value:+.3f} ({each.low:+.3f} to {each.high:+.3f}{chance}, n {each.n})"
