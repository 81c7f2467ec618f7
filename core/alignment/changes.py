"""Where learning changed a model's mind: images whose answer moved most, and which answers a person's model takes for which."""

from __future__ import annotations

import numpy as np
import pandas as pd

from core.alignment.alignment import Alignment
from core.analysis.answers import Array
from core.analysis.choices import divergence
from core.models.emotions import EMOTIONS

Level = str
"""One of ``evaluation.LEVELS``."""


def changed(alignment: Alignment, classifier: str, rater: str = "") -> pd.DataFrame:
    """All images of the study, those first whose answer changed most: base -> group, or with ``rater`` group -> individual.

    stimulus, held_out, votes, people (most frequent answer, "" over none), before and after (first choices), p_before, p_after
    (of the people's answer; NaN over none), change (Jensen-Shannon divergence, bits).
    """
    first = alignment.group(classifier).images if rater else alignment.base(classifier).images
    second = alignment.individual(classifier, rater).images if rater else alignment.group(classifier).images
    counts, names = alignment.answers.counts, np.array(EMOTIONS)
    votes, most, rows = counts.sum(axis=1), counts.argmax(axis=1), np.arange(len(counts))
    table = pd.DataFrame(
        {
            "stimulus": list(alignment.answers.images),
            "held_out": alignment.split.images,
            "votes": votes.astype(np.int64),
            "people": np.where(votes > 0, names[most], ""),
            "before": names[first.argmax(axis=1)],
            "after": names[second.argmax(axis=1)],
            "p_before": np.where(votes > 0, first[rows, most], np.nan),
            "p_after": np.where(votes > 0, second[rows, most], np.nan),
            "change": divergence(first, second),
        }
    )
    return table.sort_values(["change", "stimulus"], ascending=[False, True]).reset_index(drop=True)


def confusion(alignment: Alignment, classifier: str, level: Level = "group", rater: str = "") -> Array:
    """Held-out answers by what was said (row) and a model's first choice (column) -> counts (6, 6).

    rater: that person's answers, and for level "individual" their model; "": everybody's answers (base or group).
    """
    if level == "individual":
        p = alignment.individual(classifier, rater).images
    else:
        p = (alignment.base(classifier) if level == "base" else alignment.group(classifier)).images
    _, rows = alignment.split.person(rater) if rater else alignment.split.group()
    said = alignment.split.answers.emotion[rows]
    named = p[alignment.split.answers.image[rows]].argmax(axis=1)
    k = len(EMOTIONS)
    return np.bincount(said * k + named, minlength=k * k).reshape(k, k).astype(np.float64)
