"""Individuals without fine-tuning: the group's model, shifted by the eight numbers of ``observer``, judged as IndivNet is."""

from __future__ import annotations

import numpy as np
import pandas as pd

from core.alignment.alignment import Alignment
from core.alignment.observer import observe, population
from core.analysis.choices import FLOOR

MOST = 60
"""People whom the prior's spread is fitted to."""


def shifted(alignment: Alignment, classifier: str, *, null: bool = False) -> pd.DataFrame:
    """Each person with enough answers: rater, shift_gain (accuracy), shift_loss_gain (bits an answer), both over the group's model.

    Learned from the answers that IndivNet learns from, the prior too; judged on the held-out ones. null: of shuffled answers.
    """
    split = alignment.null if null else alignment.split
    answers, p = split.answers, alignment.group(classifier).images
    rows = {rater: split.person(rater) for rater in split.able()}
    learned = {rater: (p[answers.image[own]], answers.emotion[own]) for rater, (own, _) in rows.items()}
    prior = population(list(learned.values())[:MOST])
    found = []
    for rater, (group, said) in learned.items():
        judged = rows[rater][1]
        truth, before = answers.emotion[judged], p[answers.image[judged]]
        after = observe(group, said, prior).probabilities(before)
        places = np.arange(len(judged))
        right = (after.argmax(axis=1) == truth).mean() - (before.argmax(axis=1) == truth).mean()
        bits = np.log2(np.maximum(after[places, truth], FLOOR) / np.maximum(before[places, truth], FLOOR)).mean()
        found.append((rater, float(right), float(bits)))
    prefix = "null_" if null else ""
    return pd.DataFrame(found, columns=["rater", f"{prefix}shift_gain", f"{prefix}shift_loss_gain"])
