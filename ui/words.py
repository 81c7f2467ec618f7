"""Plain sentences for numbers. Words come before numbers, and every number says what it is."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ui.components import Verdict

VERDICTS: dict[Verdict, str] = {"open": "would unlock", "closed": "stays locked", "none": "no face found"}


def verdict(distance: float | None, threshold: float) -> Verdict:
    """What a phone would do; 'none' where no face was found."""
    if distance is None or not math.isfinite(distance):
        return "none"
    return "open" if distance < threshold else "closed"


def percent(share: float) -> str:
    """A share in [0, 1] in per cent: one decimal below ten."""
    value = 100 * share
    return f"{value:.1f} %" if 0 < value < 10 else f"{value:.0f} %"


def one_in(rate: float) -> str:
    """0.01 -> '1 in 100'."""
    return f"1 in {round(1 / rate):,}"


def sample_title(sample_type: str, step: float) -> str:
    """What a sample is, in words; ``step`` as in the table of pairs."""
    titles = {
        "genuine": "the base itself",
        "positive": f"a step of {step:g}",
        "negative": "another person",
        "interpolation": f"{100 * step:.0f} % of the way",
        "optimized": f"optimized to {step:g}",
        "semantic": "one look changed",
    }
    return titles[sample_type]


@dataclass(frozen=True)
class Opinion:
    """One recogniser on one pair of faces."""

    title: str
    distance: float
    threshold: float

    @property
    def verdict(self) -> Verdict:
        return verdict(self.distance, self.threshold)


def opinions(rows: Sequence[Opinion]) -> str:
    """Recognisers side by side as HTML: name, verdict in words, distance and limit."""
    lines = []
    for row in rows:
        number = "" if row.verdict == "none" else f"distance {row.distance:.2f}, limit {row.threshold:.2f}"
        lines.append(
            f"<div><b>{html.escape(row.title)}</b>"
            f'<span class="verdict" data-verdict="{row.verdict}">{VERDICTS[row.verdict]}</span><small>{number}</small></div>'
        )
    return f'<div class="opinions">{"".join(lines)}</div>'


def portrait(src: str, alt: str, caption: str) -> str:
    """One large face as HTML."""
    return (
        f'<figure class="portrait"><img src="{html.escape(src)}" alt="{html.escape(alt)}">'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
    )


def pair(left: tuple[str, str], right: tuple[str, str]) -> str:
    """Two faces side by side as HTML; each is (address, caption), and the caption is the alternative text too."""
    figures = "".join(
        f'<figure><img src="{html.escape(src)}" alt="{html.escape(caption)}">'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
        for src, caption in (left, right)
    )
    return f'<div class="pair">{figures}</div>'


def bars(shares: dict[str, float]) -> str:
    """Shares in [0, 1] as labelled bars, largest first."""
    rows = "".join(
        f'<div><span>{html.escape(name)}</span><i style="--share:{100 * share:.0f}%"></i><span>{percent(share)}</span></div>'
        for name, share in sorted(shares.items(), key=lambda item: -item[1])
    )
    return f'<div class="bars">{rows}</div>'


def facts(rows: Iterable[tuple[str, str]]) -> str:
    """Numbers, each with the words that say what it means, as HTML."""
    return "".join(f'<div class="fact"><b>{html.escape(number)}</b><p>{html.escape(words)}</p></div>' for number, words in rows)


def lead(text: str, *, wide_only: bool = False) -> str:
    """An opening paragraph as HTML; ``wide_only``: left out where the screen is narrow."""
    return f'<p class="lead{" wide-only" if wide_only else ""}">{html.escape(text)}</p>'


def fine(text: str, *, centre: bool = False) -> str:
    """Small print as HTML."""
    return f'<p class="fine{" centre" if centre else ""}">{html.escape(text)}</p>'
