"""Scores of where people and models, people among themselves, or models among themselves disagree (paper A, Fig. 6).

Every function takes the pairs or samples of a set with the answers about them and returns one row a pair or image: a score, an
interval from its votes, and a mark where the votes are too few (``FEW_VOTES``). The first half is identity (people against a
recogniser, spread of people), the second emotion (people against a classifier, people's entropy, two classifiers). Scores
are of the whole set: filter the resulting table, not the input.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from core.analysis.choices import Choices, dirichlet_interval, jensen_shannon_divergence
from core.analysis.encode import EncodedRatings, encode, explain_no_answers, list_recognisers, select_answers, select_probabilities
from core.analysis.estimate import Array, Basis, Result, join_notes, safe_divide, wilson_interval
from core.analysis.identity_tables import describe_means_basis
from core.errors import LiminalError
from core.lazy_import import lazy_import
from core.models.emotions import EMOTIONS

stats = lazy_import("scipy.stats")

Scaling = Literal["linear", "logistic", "rank"]
SCALINGS: Mapping[Scaling, str] = {
    "linear": "1 for the smallest distance of the set, 0 for the largest, straight in between",
    "logistic": "half at the recogniser's threshold, falling in an S as wide as the set's distances spread",
    "rank": "the share of the set's pairs that are farther apart, ties halved",
}
"""How a distance is turned into 'how sure the recogniser is', 0 to 1. Paper A does not say how it did."""

FEW_VOTES = 5
"""With fewer votes the interval of a share is wider than two thirds of the range from 0 to 1."""

PAIR_CONTEXT = ("base_id", "sample_id", "sample_type", "step", "batch", "partner_id", "direction", "search_distance")
"""Columns of the pairs that are copied into the table."""


@dataclass(frozen=True, kw_only=True)
class Disagreement(Result):
    """A score for every image or pair. ``table``: stimulus, score, low, high, votes, few, and columns of the score's own."""

    score: str  # what the score is, in words, with its range
    lowest: str  # what the low end shows
    highest: str  # what the high end shows
    scaling: str  # in words; "" where nothing was scaled
    table: pd.DataFrame

    def ranked(self, end: Literal["lowest", "highest"] = "highest", limit: int | None = None) -> pd.DataFrame:
        """Rows with a score, the extreme ones first; among equals those with more votes."""
        known = self.table[self.table["score"].notna()]
        ordered = known.sort_values(["score", "votes"], ascending=[end == "lowest", False], kind="stable")
        return ordered if limit is None else ordered.head(limit)


def invert_distances(distances: Array, scaling: Scaling, threshold: float) -> Array:
    """Distances (N,) -> how sure the recogniser is that it is the same person (N,), 0 to 1, never rising with the distance.

    NaN stays NaN. One and the same distance everywhere gives 0.5 under linear and rank. Raises LiminalError for other scalings.
    """
    if scaling not in get_args(Scaling):
        raise LiminalError(f"There is no scaling '{scaling}'; there are {', '.join(get_args(Scaling))}.")
    result = np.full(len(distances), np.nan)
    known = np.isfinite(distances)
    if not known.any():
        return result
    values = distances[known]
    if scaling == "rank":
        result[known] = 1 - (stats.rankdata(values) - 0.5) / len(values)
    elif scaling == "logistic":
        width = float(values.std()) * math.sqrt(3) / math.pi  # the logistic distribution of that standard deviation
        width = max(width, 1e-9)
        result[known] = 1 / (1 + np.exp(np.clip((values - threshold) / width, -700, 700)))
    else:
        reach = float(np.ptp(values))
        result[known] = (values.max() - values) / reach if reach > 0 else 0.5
    return result


def score_identity_disagreement(
    pairs: pd.DataFrame,
    ratings: pd.DataFrame,
    recogniser: str,
    threshold: float,
    *,
    scaling: Scaling = "linear",
    excluded: Collection[str] = (),
    means: pd.DataFrame | None = None,
) -> Disagreement:
    """Share of people who say 'same person' minus the inverted distance: -1 to 1, signed (paper A, section 5.4).

    Interval: Wilson's of the share, shifted; the recogniser has none. Table: also share, yes, distance, machine, accepted.
    means: imported means by pair_id, which take the place of answers. Raises LiminalError where the recogniser did not judge the
    pairs.
    """
    if recogniser not in list_recognisers(pairs):
        known = ", ".join(list_recognisers(pairs)) or "none"
        raise LiminalError(f"The recogniser '{recogniser}' did not judge these pairs; those that did: {known}.")
    basis, share, low, high, yes, n = _count_same(pairs, ratings, excluded, means)
    distance = pairs[f"distance_{recogniser}"].to_numpy(np.float64)
    machine = invert_distances(distance, scaling, threshold)
    table = _build_table(
        pairs,
        score=share - machine,
        low=np.where(n > 0, low, np.nan) - machine,
        high=np.where(n > 0, high, np.nan) - machine,
        votes=n,
        share=share,
        yes=yes.astype(np.int64),
        distance=distance,
        machine=machine,
        accepted=pd.array(np.where(np.isfinite(distance), distance < threshold, False), dtype="boolean"),
    )
    table.loc[~np.isfinite(distance), "accepted"] = pd.NA
    lost = int((~np.isfinite(distance)).sum())
    return Disagreement(
        basis=basis,
        interval="95 % Wilson interval of the share of people",
        note=join_notes(
            _describe_few_votes(n, ratings, excluded) if means is None else IMPORTED_MEANS,
            f"{lost} of {len(pairs)} pairs have no score because {recogniser} found no face in them." if lost else "",
            "All distances are the same, so that the recogniser says the same of every pair." if _is_constant(distance) else "",
        ),
        score="share of people who say 'same person' minus how sure the recogniser is, -1 to 1",
        lowest="the recogniser sees the same person and people do not: false-positive candidates",
        highest="people see the same person and the recogniser does not: false-negative candidates",
        scaling=f"{scaling}: {SCALINGS[scaling]}",
        table=table,
    )


def _count_same(
    pairs: pd.DataFrame, ratings: pd.DataFrame, excluded: Collection[str], means: pd.DataFrame | None
) -> tuple[Basis, Array, Array, Array, Array, Array]:
    """Basis, and of every pair the share of 'same person', its interval, the number of 'same' and of votes; all NaN or 0 where
    nobody was asked. Of imported means the share is the imported one, and votes are the people that it is said to be over.
    """
    if means is None:
        votes = encode(select_answers(ratings, "identity", excluded=excluded), pairs["pair_id"])
        yes, n = votes.sum_by_image(votes.value), votes.votes
        return votes.basis, *wilson_interval(yes, n), yes, n
    rows = means.reindex(pd.Index(pairs["pair_id"]))
    share = rows["identity"].to_numpy(np.float64)
    n = np.where(np.isfinite(share), np.nan_to_num(rows["people"].to_numpy(np.float64)), 0.0)
    yes = np.round(np.nan_to_num(share) * n)
    _, low, high = wilson_interval(yes, n)
    return describe_means_basis(pairs, means), share, low, high, yes, n


def score_identity_spread(
    pairs: pd.DataFrame, ratings: pd.DataFrame, *, excluded: Collection[str] = (), means: pd.DataFrame | None = None
) -> Disagreement:
    """Standard deviation of 'same person?' over people: sqrt(p (1 - p)), 0 (all agree) to 0.5 (half and half).

    Interval: the values that it takes over Wilson's interval of p. means: as of ``score_identity_disagreement``.
    """
    basis, share, low, high, yes, n = _count_same(pairs, ratings, excluded, means)
    score = np.sqrt(np.clip(share * (1 - share), 0, None))
    ends = np.sqrt(np.clip([low * (1 - low), high * (1 - high)], 0, None))
    table = _build_table(
        pairs,
        score=score,
        low=np.where(n > 0, np.fmin(ends.min(axis=0), score), np.nan),
        high=np.where(n > 0, np.where((low <= 0.5) & (high >= 0.5), 0.5, ends.max(axis=0)), np.nan),
        votes=n,
        share=share,
        yes=yes.astype(np.int64),
    )
    return Disagreement(
        basis=basis,
        interval="95 % Wilson interval of the share of people, carried over",
        note=_describe_few_votes(n, ratings, excluded) if means is None else IMPORTED_MEANS,
        score="standard deviation of 'same person?' over people, 0 to 0.5",
        lowest="people agree",
        highest="people are divided over who it is",
        scaling="",
        table=table,
    )


IMPORTED_MEANS = "Imported means; single answers are not known."


def score_similarity_spread(pairs: pd.DataFrame, ratings: pd.DataFrame, *, excluded: Collection[str] = ()) -> Disagreement:
    """Standard deviation (n - 1) of rated similarity over people, in points of 0 to 100. Interval: jackknife over the votes."""
    return _score_spread(
        pairs,
        encode(select_answers(ratings, "similarity", excluded=excluded), pairs["pair_id"]),
        mean="mean",
        interval="95 %, jackknife over the votes of a pair (Efron and Stein 1981)",
        score="standard deviation of rated similarity over people, in points of 0 to 100",
        highest="people are divided over how similar the faces are",
        ratings=ratings,
        excluded=excluded,
    )


def score_rating_spread(shown: pd.DataFrame, ratings: pd.DataFrame, *, excluded: Collection[str] = ()) -> Disagreement:
    """Standard deviation (n - 1) of the rating over people, in points of the scale. Interval: jackknife over the votes.

    shown: pairs or samples, with the column ``stimulus``.
    """
    return _score_spread(
        shown,
        encode(select_answers(ratings, "scale", excluded=excluded), shown["stimulus"]),
        mean="rated",
        interval="95 %, jackknife over the votes of an image (Efron and Stein 1981)",
        score="standard deviation of the rating over people, in points of the scale",
        highest="people are divided over the rating",
        ratings=ratings,
        excluded=excluded,
    )


def _score_spread(
    shown: pd.DataFrame,
    votes: EncodedRatings,
    *,
    mean: str,
    interval: str,
    score: str,
    highest: str,
    ratings: pd.DataFrame,
    excluded: Collection[str],
) -> Disagreement:
    """The standard deviation of graded answers over people, image by image. mean: the column of their mean."""
    deviation, error = _measure_deviation(votes)
    half = float(stats.norm.ppf(0.975)) * error
    ends = {"low": np.maximum(deviation - half, 0), "high": deviation + half}
    return Disagreement(
        basis=votes.basis,
        interval=interval,
        note=_describe_few_votes(votes.votes, ratings, excluded, "pairs" if "pair_id" in shown else "faces"),
        score=score,
        lowest="people agree",
        highest=highest,
        scaling="",
        table=_build_table(shown, score=deviation, **ends, votes=votes.votes, **{mean: votes.means()}),
    )


def _measure_deviation(votes: EncodedRatings) -> tuple[Array, Array]:
    """Standard deviation of every image's votes and its jackknife error; NaN under 2 and under 3 votes."""
    n = votes.votes
    away = votes.value - votes.means()[votes.image]  # of one image's mean
    squares = votes.sum_by_image(away**2)
    deviation = np.sqrt(safe_divide(squares, np.where(n > 1, n - 1, 0)))
    # without one vote, the sum of squares about the new mean is SS - away^2 n / (n - 1)
    rest = np.where(n > 2, n - 2, 0)
    whole, part = (
        safe_divide(squares, rest),
        safe_divide(safe_divide(n, np.where(n > 1, n - 1, 0)), rest),
    )  # by image, far fewer than votes
    without = np.sqrt(np.maximum(whole[votes.image] - away**2 * part[votes.image], 0))
    centre = safe_divide(votes.sum_by_image(without), n)
    error = np.sqrt(safe_divide(n - 1, n) * votes.sum_by_image((without - centre[votes.image]) ** 2))
    return deviation, error


def _build_table(shown: pd.DataFrame, **columns: Any) -> pd.DataFrame:
    """Rows of the schema that all disagreement tables share. shown: pairs or samples."""
    votes = columns["votes"].astype(np.int64)
    columns |= {"votes": votes, "few": votes < FEW_VOTES}
    key, names = ("pair_id", PAIR_CONTEXT) if "pair_id" in shown else ("sample_id", SAMPLE_CONTEXT)
    context = {name: shown[name].to_numpy() for name in names if name in shown}
    return pd.DataFrame({"stimulus": shown[key].to_numpy(), **columns, **context})


def _describe_few_votes(votes: Array, ratings: pd.DataFrame, excluded: Collection[str], noun: str = "pairs") -> str:
    if not len(votes):
        return f"There are no {noun} to look at; loosen the filter."
    if not votes.any():
        return explain_no_answers(ratings, excluded)
    few = int((votes < FEW_VOTES).sum())
    return f"{few} of {len(votes)} {noun} have fewer than {FEW_VOTES} votes; their scores say little." if few else ""


def _is_constant(values: Array) -> bool:
    known = values[np.isfinite(values)]
    return len(known) > 1 and float(np.ptp(known)) == 0


SAMPLE_CONTEXT = ("base_id", "sample_type", "step", "emotion1", "emotion2", "guided", "strategy", "passed_filter")
"""Columns of the samples that are copied into the table."""


def score_against_classifier(
    samples: pd.DataFrame, votes: Choices, classifier: str, steerer: str, *, kind: str = "p", seed: int = 0
) -> Disagreement:
    """Jensen-Shannon divergence of people's shares and a classifier's probabilities, 0 to 1 bit.

    votes: ``count_choices(ratings, samples["sample_id"])``. Interval: Dirichlet of the image's votes. Table: also chosen (by
    people) and said (by the classifier). Raises LiminalError where the classifier did not judge the samples.
    """
    p = select_probabilities(samples, classifier, steerer, kind=kind)
    score = jensen_shannon_divergence(votes.shares(), p)
    known = np.isfinite(p).all(axis=1)
    low, high = dirichlet_interval(votes.counts(), jensen_shannon_divergence, score, p, seed=seed)
    return _build_emotion_disagreement(
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
            "said": _most_probable(p),
        },
        interval="95 %, draws from the Dirichlet of an image's votes",
    )


def score_pair_gap(samples: pd.DataFrame, votes: Choices, classifier: str, steerer: str, *, kind: str = "p") -> Disagreement:
    """Share of people who choose one of the image's two emotions minus the classifier's probability of the two, -1 to 1, signed.

    Interval: Wilson's of the share, shifted. Table: also share and machine. Raises LiminalError as ``score_against_classifier``.
    """
    p = select_probabilities(samples, classifier, steerer, kind=kind)
    first, second = (pd.Index(EMOTIONS).get_indexer(pd.Index(samples[name])) for name in ("emotion1", "emotion2"))
    row = np.arange(len(samples))
    machine = np.where((first >= 0) & (second >= 0), p[row, first] + p[row, second], np.nan)  # samples of no pair have none
    counts = votes.counts()
    n = counts.sum(axis=1)
    share, low, high = wilson_interval(counts[row, first] + counts[row, second], n)
    return _build_emotion_disagreement(
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
            "said": _most_probable(p),
        },
        interval="95 % Wilson interval of the share of people",
    )


def score_among_people(samples: pd.DataFrame, votes: Choices) -> Disagreement:
    """Entropy of people's choices, Miller-Madow corrected, 0 to log2 K bits of K answers; undefined for a single vote.

    samples: or pairs, whichever were asked about.
    """
    table, k = votes.table, len(votes.labels)
    several = (table["votes"] > 1).to_numpy()
    return _build_emotion_disagreement(
        samples,
        votes,
        score=f"entropy of people's choices, 0 (all agree) to {math.log2(k):.2f} bits (all {k} alike), corrected for few votes",
        lowest="people agree",
        highest="people are divided",
        columns={
            **{name: table[of].where(several).to_numpy() for name, of in (("score", "bits"), ("low", "low"), ("high", "high"))},
            "chosen": table["chosen"].to_numpy(),
        },
        interval=votes.interval,
    )


def score_between_classifiers(
    samples: pd.DataFrame, votes: Choices, classifiers: tuple[str, str], steerer: str, *, kind: str = "p"
) -> Disagreement:
    """Jensen-Shannon divergence of two classifiers' probabilities, 0 to 1 bit. No votes, so no interval and no mark."""
    first, second = (select_probabilities(samples, name, steerer, kind=kind) for name in classifiers)
    disagreement = _build_emotion_disagreement(
        samples,
        votes,
        score="Jensen-Shannon divergence of the two classifiers' probabilities, 0 (the same) to 1 bit",
        lowest="the classifiers answer alike",
        highest="the classifiers answer differently",
        columns={
            "score": jensen_shannon_divergence(first, second),
            "low": np.full(len(samples), np.nan),
            "high": np.full(len(samples), np.nan),
            "said": _most_probable(first),
            "said_other": _most_probable(second),
        },
        interval="none: each classifier answers once",
        basis=Basis(len(samples), 0, 2 * len(samples), "models"),
    )
    disagreement.table["few"] = False
    return disagreement


def _build_emotion_disagreement(
    samples: pd.DataFrame, votes: Choices, *, columns: dict[str, Any], basis: Basis | None = None, **words: str
) -> Disagreement:
    n = votes.table["votes"].to_numpy()
    table = _build_table(samples, **columns, votes=n)
    few = int((n < FEW_VOTES).sum())
    note = (
        ""
        if basis
        else votes.note or (f"{few} of {len(n)} images have fewer than {FEW_VOTES} votes; their scores say little." if few else "")
    )
    return Disagreement(basis=basis or votes.basis, note=note, scaling="", table=table, **words)


def _most_probable(p: Array) -> Any:
    """The most probable emotion of every row, "" where the classifier did not judge it."""
    if not len(p):
        return np.empty(0, object)
    known = np.isfinite(p).all(axis=1)
    return np.where(known, np.array(EMOTIONS)[np.nan_to_num(p).argmax(axis=1)], "")
