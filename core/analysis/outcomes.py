"""Paper B's three outcomes of people's choices: success, bias and failure of the guidance (paper B, 'Evaluation metrics', Fig. 4).

The rule, and where equality goes, is ``core.analysis.boundary.outcome``: the better outcome demands strictly more.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.analysis.acceptance import Proportion
from core.analysis.answers import Array
from core.analysis.boundary import Outcomes, outcome
from core.analysis.choices import Choices, choices
from core.analysis.results import Result, sentences
from core.models.emotions import EMOTIONS
from core.sampling.emotion.configuration import PAIRS

RULE = (
    "success: each of the two emotions has more than 25 % of the votes and both together more than 60 %; bias: together more than "
    "60 %, but one has 25 % or less; failure: together 60 % or less"
)
PUBLISHED_SUCCESS_OR_BIAS = 0.8
"""'Nearly 80 %' of the images of varEmotion (paper B, Fig. 4b): the paper prints no other number."""


@dataclass(frozen=True, kw_only=True)
class OutcomeTable(Result):
    """Shares of images, of people's choices. ``table``: stimulus, emotion1, emotion2, p1, p2, votes, outcome ("" over no votes)."""

    rule: str
    every: Outcomes
    success_or_bias: Proportion
    published_success_or_bias: float
    pairs: dict[tuple[str, str], Outcomes]  # by pair of emotions, those that occur
    table: pd.DataFrame


def outcomes(
    samples: pd.DataFrame, ratings: pd.DataFrame, *, excluded: Collection[str] = (), votes: Choices | None = None
) -> OutcomeTable:
    """Samples of an emotion set and answers -> outcomes of its boundary images. ``votes``: those of the samples, where known."""
    votes = votes or choices(ratings, samples["sample_id"], excluded=excluded)
    boundary = (samples["sample_type"] == "boundary").to_numpy(bool)
    rows, shares = samples[boundary], votes.shares()[boundary]
    p1, p2 = (_own(shares, rows[name]) for name in ("emotion1", "emotion2"))
    table = pd.DataFrame(
        {
            "stimulus": rows["sample_id"].to_numpy(),
            "emotion1": rows["emotion1"].to_numpy(),
            "emotion2": rows["emotion2"].to_numpy(),
            "p1": p1,
            "p2": p2,
            "votes": votes.table["votes"].to_numpy()[boundary],
            "outcome": outcome(p1, p2),
        }
    )
    every = Outcomes.of(table["outcome"].to_numpy())
    known = table[table["outcome"] != ""]
    n = len(known)
    return OutcomeTable(
        basis=votes.basis,
        interval="95 % Wilson, images taken as independent",
        note=sentences(
            "There are no boundary images to look at; loosen the filter." if not len(rows) else "",
            "Nobody has answered about these images yet." if len(rows) and not n else "",
            f"{len(table) - n} of {len(table)} images have no votes and are left out." if 0 < n < len(table) else "",
        ),
        rule=RULE,
        every=every,
        success_or_bias=Proportion.of(every.success.count + every.bias.count, n),
        published_success_or_bias=PUBLISHED_SUCCESS_OR_BIAS,
        pairs={
            pair: Outcomes.of(known.loc[(known["emotion1"] == pair[0]) & (known["emotion2"] == pair[1]), "outcome"].to_numpy())
            for pair in _present(known)
        },
        table=table,
    )


def _own(shares: Array, emotions: pd.Series[str]) -> Array:
    """Each row's share of its own emotion."""
    place = pd.Index(EMOTIONS).get_indexer(pd.Index(emotions))
    return np.where(place >= 0, shares[np.arange(len(shares)), place], np.nan)


def _present(known: pd.DataFrame) -> list[tuple[str, str]]:
    """Pairs of emotions that occur: the paper's fifteen in their order, then any in reverse."""
    found = list(dict.fromkeys(zip(known["emotion1"], known["emotion2"], strict=True)))
    return [pair for pair in PAIRS if pair in found] + [pair for pair in found if pair not in PAIRS]
