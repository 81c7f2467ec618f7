"""A map's numbers on their way to the browser: sent once, as bytes, under an address of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.figures import theme
from ui.analysis.disagreement_filters import TYPES
from ui.analysis.map_columns import Column
from ui.set_routes import points_url

MOST_KINDS = 12
FIXED = {words: name for name, words in TYPES.items()}
"""Types of samples have their own colours and marks."""
NONE = 255
"""The code of a face without a value."""


def places(points: NDArray[np.float32], ids: Sequence[str], sets: Sequence[int]) -> bytes:
    """(N, 2) places, N ids of 20 hexadecimal digits, N numbers of sets -> 8 N bytes of floats, 10 N of ids, N of sets."""
    names = np.frombuffer(bytes.fromhex("".join(ids)), np.uint8)
    numbers = np.minimum(np.asarray(sets, np.int64), 255).astype("u1")
    return np.ascontiguousarray(points, "<f4").tobytes() + names.tobytes() + numbers.tobytes()


@dataclass(frozen=True, eq=False)
class Coloured:
    """What the component colours by: the legend in words, and a value a face as bytes; b"" where all are alike."""

    legend: Mapping[str, Any]
    values: bytes = b""

    def shown(self) -> dict[str, Any]:
        """With the address of the values, which are kept again."""
        return {**self.legend, "url": points_url(self.values) if self.values else ""}


def coloured(column: Column | None, title: str) -> Coloured:
    """A column as the component takes it. None: all faces alike."""
    plain = {"kind": "none", "title": "", "missing": _both(theme.MISSING), "plain": _both(theme.INDIGO)}
    if column is None:
        return Coloured(plain)
    legend, values = _numbers(column.values) if column.numeric else _words(column.values)
    return Coloured({**plain, "title": title, "without": int(column.values.isna().sum()), **legend}, values)


def _numbers(values: pd.Series) -> tuple[dict[str, Any], bytes]:
    known = values.to_numpy(np.float64, na_value=np.nan)
    finite = known[np.isfinite(known)]
    low, high = (float(each) for each in np.quantile(finite, [0.01, 0.99])) if len(finite) else (0.0, 1.0)
    high = high if high > low else low + 1
    legend = {
        "kind": "number",
        "low": low,
        "high": high,
        "low_text": f"{low:.3g}",
        "high_text": f"{high:.3g}",
        "stops": [[place, _both(tone)] for place, tone in theme.SCALE_OF_POINTS],
    }
    return legend, known.astype("<f4").tobytes()


def _words(values: pd.Series) -> tuple[dict[str, Any], bytes]:
    code, found = pd.factorize(values.map(str, na_action="ignore"))
    counts = np.bincount(code[code >= 0], minlength=len(found))
    order = np.argsort(-counts, kind="stable")
    place = np.empty(len(found) + 1, np.int64)
    place[order] = np.minimum(np.arange(len(found)), MOST_KINDS)
    place[-1] = NONE  # factorize gives -1 to a missing value
    told = [
        {
            "name": str(found[at]),
            "colour": _both(theme.colour_of(FIXED.get(str(found[at]), str(found[at])), rank)),
            "symbol": theme.symbol_of(FIXED.get(str(found[at]), str(found[at])), rank + rank // len(theme.CATEGORIES)),
            "count": int(counts[at]),
        }
        for rank, at in enumerate(order[:MOST_KINDS])
    ]
    rest = int(counts[order[MOST_KINDS:]].sum())
    if rest:
        told.append({"name": "others", "colour": _both(theme.FADED), "symbol": "circle", "count": rest})
    return {"kind": "words", "names": told}, place[code].astype("u1").tobytes()


def _both(tone: str) -> list[str]:
    """A colour in light and in dark."""
    return [tone, theme.DARK.get(tone, tone)]
