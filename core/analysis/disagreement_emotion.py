"""Where people and classifiers part ways on emotions: people against each classifier, people among themselves, classifiers
among themselves. One row an image, in the form of ``core.analysis.disagreement``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from core.analysis.answers import Array
from core.analysis.choices import Choices, dirichlet_interval, divergence
from core.analysis.deciders import probabilities
from core.analysis.disagreement import FEW_VOTES, Disagreement, wilson
from core.analysis.results import Basis
from core.models.emotions import EMOTIONS

CONTEXT = ("base_id", "sample_type", "step", "emotion1", "emotion2", "guided", "strategy", "passed_filter")
"""Columns of the samples that come along."""


def against_classifier(
    samples: pd.DataFrame, votes: Choices, classifier: str, steerer: str, *, kind: str = "p", seed: int = 0
) -> Disagreement:
    """Jensen-Shannon divergence of people's shares and a classifier's probabilities, 0 to 1 bit.

    votes: ``choices(ratings, samples["sample_id"])``. Interval: Dirichlet of the image's votes. Table: also chosen, said (by the
    classifier), p and share of each emotion's own. Raises LiminalError where the classifier did not judge the samples.
    """
    p = probabilities(samples, classifier, steerer, kind=kind)
    score = divergence(votes.shares(), p)
    known = np.isfinite(p).all(axis=1)
    low, high = dirichlet_interval(votes.counts(), divergence, score, p, seed=seed)
    return _disagreement(
        samples,
        votes,
        score="Jensen-Shannon divergence of people's shares and the classifier's probabilities, 0 (the same) to 1 bit",
        lowest="people and the classifier answer alike",
        highest="people and the classifier answer differently",
        columns={
            "score": score,
            "low": np.where(known, low, np.nan),
            "high": np.where(known, high, np.nan),
            "chosen": votes.table["chosen"].to_numpy(),
            "said": _said(p),
        },
        interval="95 %, draws from the Dirichlet of an image's votes",
    )


def pair_gap(samples: pd.DataFrame, votes: Choices, classifier: str, steerer: str, *, kind: str = "p") -> Disagreement:
    """Share of people who choose one of the image's two emotions minus the classifier's probability of the two, -1 to 1, signed.

    Interval: Wilson's of the share, shifted. Table: also share and machine. Raises LiminalError as ``against_classifier`` does.
    """
    p = probabilities(samples, classifier, steerer, kind=kind)
    first, second = (pd.Index(EMOTIONS).get_indexer(pd.Index(samples[name])) for name in ("emotion1", "emotion2"))
    row = np.arange(len(samples))
    machine = np.where((first >= 0) & (second >= 0), p[row, first] + p[row, second], np.nan)  # samples of no pair have none
    counts = votes.counts()
    n = counts.sum(axis=1)
    share, low, high = wilson(counts[row, first] + counts[row, second], n)
    return _disagreement(
        samples,
        votes,
        score="share of people who choose one of the two emotions minus the classifier's probability of the two, -1 to 1",
        lowest="the classifier sees the two emotions and people see another",
        highest="people see the two emotions and the classifier sees another",
        columns={
            "score": share - machine,
            "low": np.where(n > 0, low, np.nan) - machine,
            "high": np.where(n > 0, high, np.nan) - machine,
            "share": share,
            "machine": machine,
            "chosen": votes.table["chosen"].to_numpy(),
            "said": _said(p),
        },
        interval="95 % Wilson interval of the share of people",
    )


def among_people(samples: pd.DataFrame, votes: Choices) -> Disagreement:
    """Entropy of people's choices, Miller-Madow corrected, 0 to log2 6 = 2.58 bits; undefined for a single vote."""
    table = votes.table
    several = (table["votes"] > 1).to_numpy()
    return _disagreement(
        samples,
        votes,
        score="entropy of people's choices, 0 (all agree) to 2.58 bits (all six alike), corrected for few votes",
        lowest="people agree",
        highest="people are divided over the feeling",
        columns={
            **{name: table[of].where(several).to_numpy() for name, of in (("score", "bits"), ("low", "low"), ("high", "high"))},
            "chosen": table["chosen"].to_numpy(),
        },
        interval=votes.interval,
    )


def between_classifiers(
    samples: pd.DataFrame, votes: Choices, classifiers: tuple[str, str], steerer: str, *, kind: str = "p"
) -> Disagreement:
    """Jensen-Shannon divergence of two classifiers' probabilities, 0 to 1 bit. No votes, so no interval and no mark."""
    first, second = (probabilities(samples, name, steerer, kind=kind) for name in classifiers)
    found = _disagreement(
        samples,
        votes,
        score="Jensen-Shannon divergence of the two classifiers' probabilities, 0 (the same) to 1 bit",
        lowest="the classifiers answer alike",
        highest="the classifiers answer differently",
        columns={
            "score": divergence(first, second),
            "low": np.full(len(samples), np.nan),
            "high": np.full(len(samples), np.nan),
            "said": _said(first),
            "said_other": _said(second),
        },
        interval="none: each classifier answers once",
        basis=Basis(len(samples), 0, 2 * len(samples), "models"),
    )
    found.table["few"] = False
    return found


def _disagreement(
    samples: pd.DataFrame, votes: Choices, *, columns: dict[str, Any], basis: Basis | None = None, **words: str
) -> Disagreement:
    n = votes.table["votes"].to_numpy()
    context = {name: samples[name].to_numpy() for name in CONTEXT if name in samples}
    table = pd.DataFrame({"stimulus": samples["sample_id"].to_numpy(), **columns, "votes": n, "few": n < FEW_VOTES, **context})
    few = int((n < FEW_VOTES).sum())
    note = (
        ""
        if basis
        else votes.note or (f"{few} of {len(n)} images have fewer than {FEW_VOTES} votes; their scores say little." if few else "")
    )
    return Disagreement(basis=basis or votes.basis, note=note, scaling="", table=table, **words)


def _said(p: Array) -> Any:
    """The most probable emotion of every row, "" where there is none."""
    if not len(p):
        return np.empty(0, object)
    known = np.isfinite(p).all(axis=1)
    return np.where(known, np.array(EMOTIONS)[np.nan_to_num(p).argmax(axis=1)], "")
