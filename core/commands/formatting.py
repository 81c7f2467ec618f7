"""How shares and other figures are written in a terminal."""

from __future__ import annotations

import math

from core.analysis.acceptance import Proportion


def percent(share: float) -> str:
    """0.123 -> "12.3 %"; NaN -> "-"."""
    return "-" if math.isnan(share) else f"{100 * share:.1f} %"


def interval(share: Proportion) -> str:
    """A share with its interval in per cent: "12.3 % (8 to 18)"; over nothing "-"."""
    if not share.n:
        return "-"
    return f"{100 * share.share:.1f} % ({100 * share.low:.0f} to {100 * share.high:.0f})"


def number(value: float) -> str:
    """Two decimals; NaN -> "-"."""
    return "-" if math.isnan(value) else f"{value:.2f}"
