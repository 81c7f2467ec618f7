"""Models as deciders: what they say of a sample set as answers in the row schema, so that a metric cannot tell them from people."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.analysis.acceptance import recognisers
from core.analysis.answers import Array
from core.errors import LiminalError
from core.models.emotions import EMOTIONS
from core.studies.ratings import RATINGS, Task, typed

SPACE = uuid.UUID("6c696d69-6e61-4c00-8000-6d6f64656c73")
"""Under which a model's answers are named: the same answer has the same id."""
NEVER = pd.Timestamp(0, tz="UTC")
"""When a model answered, which nobody asks."""


def recogniser_answers(pairs: pd.DataFrame, thresholds: Mapping[str, float], *, study: str = "") -> pd.DataFrame:
    """Each recogniser's 'same person?' about every pair with two faces: 1 where the distance is below its threshold.

    Raises LiminalError for a recogniser that did not judge the pairs.
    """
    missing = [name for name in thresholds if name not in recognisers(pairs)]
    if missing:
        raise LiminalError(f"The recogniser '{missing[0]}' did not judge these pairs; leave it out.")
    parts = []
    for name, threshold in thresholds.items():
        distance = pairs[f"distance_{name}"].to_numpy(np.float64)
        known = np.isfinite(distance)
        said = np.where(distance[known] < threshold, "1", "0")
        parts.append(_rows(name, pairs["pair_id"][known], "identity", said, study))
    return _together(parts)


def classifier_answers(samples: pd.DataFrame, steerer: str, classifiers: Sequence[str], *, study: str = "") -> pd.DataFrame:
    """Each classifier's most probable emotion for every sample that it judged; of equal ones the first in EMOTIONS.

    Raises LiminalError for a classifier that did not judge the samples.
    """
    parts = []
    for name in classifiers:
        p = probabilities(samples, name, steerer)
        known = np.asarray(np.isfinite(p).all(axis=1), bool)
        said = np.array(EMOTIONS)[p[known].argmax(axis=1)] if known.any() else np.empty(0, str)
        parts.append(_rows(name, samples["sample_id"][known], "emotion", said, study))
    return _together(parts)


def probabilities(samples: pd.DataFrame, classifier: str, steerer: str, *, kind: str = "p") -> Array:
    """What a classifier says of every sample, (N, 6) over EMOTIONS; kind: "p" or "calibrated". The steerer's columns have no name.

    Raises LiminalError where it did not judge the samples.
    """
    prefix = f"{kind}_" if classifier == steerer else f"{kind}_{classifier}_"
    columns = [prefix + emotion for emotion in EMOTIONS]
    if not set(columns) <= set(samples.columns):
        raise LiminalError(f"The classifier '{classifier}' did not judge these samples; choose another one.")
    return samples[columns].to_numpy(np.float64)


def _rows(name: str, stimuli: pd.Series[str], task: Task, said: NDArray[np.str_], study: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "rating_id": [str(uuid.uuid5(SPACE, f"{study}/{name}/{task}/{each}")) for each in stimuli],
            "study": study,
            "rater": name,
            "session": "",
            "trial": np.arange(len(stimuli)),
            "stimulus": stimuli.to_numpy(),
            "task": task,
            "value": said,
            "reaction_time_ms": np.nan,
            "is_sentinel": False,
            "source": "model",
            "presented": "{}",
            "created_at": NEVER,
        }
    )


def _together(parts: list[pd.DataFrame]) -> pd.DataFrame:
    return typed(pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(RATINGS)))
