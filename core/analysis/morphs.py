"""Two owners, one face: how often a face between two people opens both phones, and whether people take it for both.

Mated morph presentation match rate (Scherhag et al. 2017, "Biometric systems under morphing attacks: assessment of morphing
techniques and vulnerability reporting", BIOSIG; the attack that ISO/IEC 20059 (2025) is about), for distances d instead of
similarities:

    MMPMR(t) = 1/M sum_m [ max_n d(m, n) < t ],

over M morphs m and the people n that each was made of. A morph in which no face was found opens nothing. Every interpolation of a
sample set that is judged against both of its ends is a morph. Intervals: 95 % percentile bootstrap over pairs of owners, whose
morphs are drawn together; Wilson's over pairs where all or none open both.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.analysis.bootstrap import percentile_interval
from core.analysis.encode import encode, list_recognisers, select_answers
from core.analysis.estimate import Array, Estimate, Proportion, safe_divide
from core.errors import LiminalError

BOOTSTRAPS = 1000
HALF = 0.5
INTERVAL = "95 % bootstrap over pairs of owners; Wilson where all or none open both"
NO_MORPHS = (
    "No face here was judged against both of its ends; make some with 'python -m core generate morphs', or identity samples of all "
    "four people of a batch."
)


@dataclass(frozen=True)
class MorphRate:
    """The share of morphs at one step that are taken for both people. step: of the nearer end, 0.5 is half way.

    who: a recogniser, or 'people'. morphs, owners: how many, of so many pairs of owners. limit: NaN for people.
    """

    who: str
    limit: float
    step: float
    both: Estimate
    morphs: int
    owners: int
    no_face: int = 0


def find_morphs(pairs: pd.DataFrame) -> pd.DataFrame:
    """Pairs (PAIR_COLUMNS with distances) -> a row a morph: sample_id, step, owners, pair_first, pair_second, and both distances.

    step: of the nearer end. owners: which pair of people. distance_<name>: the larger of the two, NaN where no face was found.
    """
    ways = pairs[(pairs["sample_type"] == "interpolation") & pairs["partner_id"].notna()]
    merged = ways.merge(ways, left_on=["sample_id", "base_id"], right_on=["sample_id", "partner_id"], suffixes=("", "_other"))
    merged = merged[(merged["partner_id"] == merged["base_id_other"]) & (merged["base_id"] < merged["partner_id"])]
    merged = merged.drop_duplicates("sample_id").reset_index(drop=True)
    columns = {
        "sample_id": merged["sample_id"],
        "step": np.minimum(merged["step"], merged["step_other"]).round(6),
        "owners": merged["base_id"] + merged["partner_id"],
        "pair_first": merged["pair_id"],
        "pair_second": merged["pair_id_other"],
    }
    for name in list_recognisers(pairs):
        both = merged[[f"distance_{name}", f"distance_{name}_other"]].to_numpy(np.float64)
        columns[f"distance_{name}"] = both.max(axis=1) if len(both) else np.empty(0)
    return pd.DataFrame(columns)


def rate_recogniser(morphs: pd.DataFrame, recogniser: str, limit: float, *, seed: int = 0) -> list[MorphRate]:
    """MMPMR of a recogniser at a limit, by step. morphs: of ``find_morphs``. Raises LiminalError where there are none."""
    if not len(morphs):
        raise LiminalError(NO_MORPHS)
    apart = morphs[f"distance_{recogniser}"].to_numpy(np.float64)
    opens = np.nan_to_num(apart, nan=np.inf) < limit
    return [
        MorphRate(
            recogniser,
            limit,
            float(step),
            _estimate_share(opens[rows], morphs["owners"].to_numpy()[rows], seed),
            int(rows.sum()),
            int(morphs["owners"][rows].nunique()),
            int(np.isnan(apart[rows]).sum()),
        )
        for step, rows in _by_step(morphs)
    ]


def rate_people(morphs: pd.DataFrame, ratings: pd.DataFrame, *, excluded: Collection[str] = (), seed: int = 0) -> list[MorphRate]:
    """The share of morphs that the majority of people take for both ends, by step; morphs with answers about both ends alone.

    A tie is no majority. Empty where nobody was asked about both.
    """
    answers = select_answers(ratings, "identity", excluded=excluded)
    if answers.empty or not len(morphs):
        return []
    encoded = encode(answers)
    share = pd.Series(encoded.means(), index=encoded.images)
    both = np.column_stack([share.reindex(morphs[column]).to_numpy() for column in ("pair_first", "pair_second")])
    known = np.isfinite(both).all(axis=1)
    rates = []
    for step, rows in _by_step(morphs):
        rows = rows & known
        if rows.any():
            majority = np.asarray((both[rows] > HALF).all(axis=1), np.bool_)
            estimate = _estimate_share(majority, morphs["owners"].to_numpy()[rows], seed)
            owners = int(morphs["owners"][rows].nunique())
            rates.append(MorphRate("people", float("nan"), float(step), estimate, int(rows.sum()), owners))
    return rates


def _by_step(morphs: pd.DataFrame) -> list[tuple[float, NDArray[np.bool_]]]:
    steps = morphs["step"].to_numpy(np.float64)
    return [(float(step), steps == step) for step in np.unique(steps)]


def _estimate_share(both: NDArray[np.bool_], owners: NDArray[Any], seed: int) -> Estimate:
    """Which morphs open both (M,), and of which pair of owners each is -> the share, resampling pairs of owners."""
    share = float(both.mean())
    _, pair = np.unique(owners.astype(str), return_inverse=True)
    people = int(pair.max()) + 1
    if share in (0.0, 1.0):
        wilson = Proportion.of(round(share * people), people)
        return Estimate(share, wilson.low, wilson.high, len(both))
    opened, all_of = np.bincount(pair, weights=both), np.bincount(pair).astype(np.float64)
    drawn = np.random.default_rng(seed).multinomial(people, np.full(people, 1 / people), size=BOOTSTRAPS)
    draws: Array = safe_divide(drawn @ opened, drawn @ all_of)
    low, high = percentile_interval(draws)
    return Estimate(share, float(low), float(high), len(both))
