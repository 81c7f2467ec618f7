"""Made-up studies with planted truths: tables of pairs or samples, and of answers in the row schema.

identity_study: four bases a batch, 28 pairs a base as in paper A; the distance follows from the type and step, and everyone's
answers from the distance. emotion_study: images of one or more pairs of emotions with known choice probabilities.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.models.emotions import EMOTIONS
from core.sampling.sample_set import PAIR_COLUMNS, list_emotion_columns, set_column_types
from core.studies import ratings as schema

LAYOUT = (
    [("genuine", np.nan, 0.0)]
    + [("positive", step, 0.2 + 0.5 * step) for step in (0.2, 0.4, 0.6) for _ in range(2)]
    + [("negative", np.nan, 0.8)] * 3
    + [("interpolation", step, 0.85 * step) for step in (0.25, 0.5, 0.75) for _ in range(3)]
    + [("optimized", target, target) for target in (0.3, 0.4, 0.5) for _ in range(3)]
)
"""A base's 28 pairs: type, step, mean distance."""


@dataclass(frozen=True)
class Made:
    """``table``: pairs or samples; ``ratings``: all answers; ``truth``: what was planted, one row an image."""

    table: pd.DataFrame
    ratings: pd.DataFrame
    truth: pd.DataFrame


def rows(columns, *, study="made-up", source="human"):
    """Columns of answers (rater, stimulus, task, value at least) -> the typed table."""
    n = len(columns["stimulus"])
    full = {
        "rating_id": [str(uuid.UUID(int=place)) for place in range(n)],
        "study": study,
        "session": "s",
        "trial": np.arange(n),
        "reaction_time_ms": np.nan,
        "is_sentinel": False,
        "source": source,
        "presented": "{}",
        "created_at": pd.Timestamp("2026-01-01", tz="UTC"),
        **columns,
    }
    return schema.type_columns(pd.DataFrame(full))


def pair_table(batches=1, *, seed=0, lost=0.0, noise=0.04, recognisers=("mine", "other")):
    """Pairs as ``generate identity`` makes them; ``lost``: share of pairs without a face under the first recogniser."""
    random = np.random.default_rng(seed)
    layout = pd.DataFrame(LAYOUT * (4 * batches), columns=["sample_type", "step", "mean"])
    n = len(layout)
    base = np.arange(n) // len(LAYOUT)
    genuine = (layout["sample_type"] == "genuine").to_numpy()
    first = np.clip(layout["mean"] + noise * random.normal(size=n) * ~genuine, 0, None).to_numpy()
    columns = {
        "pair_id": [f"p{place}" for place in range(n)],
        "batch": base // 4,
        "base_id": [f"b{each}" for each in base],
        "sample_id": [f"s{place}" for place in range(n)],
        "sample_type": layout["sample_type"],
        "step": layout["step"],
        "partner_id": None,
        "direction": None,
        "strategy": None,
        "lpips": np.clip(0.7 * first + 0.05 * random.normal(size=n) * ~genuine, 0, 1),
        "latent_distance": 10 * first,
    }
    for place, name in enumerate(recognisers):
        distance = first if place == 0 else np.clip(1.2 * first + 0.1 * random.normal(size=n) * ~genuine, 0, None)
        columns[f"distance_{name}"] = np.where(random.random(n) < lost, np.nan, distance)
    table = pd.DataFrame(columns)
    for name in recognisers:
        distance = table[f"distance_{name}"]
        table[f"accepted_{name}"] = (distance < 0.6).astype("boolean").mask(distance.isna())
    return set_column_types(table, PAIR_COLUMNS)


def identity_study(batches=1, raters=5, *, seed=0, middle=0.45, width=0.08, spread=0.05, source="human", **options):
    """Everyone of ``raters`` a batch answers all of its 112 pairs, similarity and identity.

    P(same person) = logistic((middle + own - distance) / width), own ~ N(0, spread) a rater; similarity falls with distance.
    """
    pairs = pair_table(batches, seed=seed, **options)
    random = np.random.default_rng(seed + 1)
    distance = pairs["distance_mine"].fillna(0.5).to_numpy()
    image = np.repeat(np.arange(len(pairs)), raters)
    rater = pairs["batch"].to_numpy()[image] * raters + np.tile(np.arange(raters), len(pairs))
    own = spread * random.normal(size=batches * raters)
    x = distance[image] - own[rater]
    same = random.random(len(x)) < 1 / (1 + np.exp((x - middle) / width))
    similarity = np.clip(np.round(100 * (1 - x) + 8 * random.normal(size=len(x))), 0, 100)
    time = np.exp(np.log(900) + 0.3 * random.normal(size=len(x)))
    shared = {
        "rater": [f"r{each}" for each in rater],
        "stimulus": pairs["pair_id"].to_numpy()[image],
        "is_sentinel": (pairs["sample_type"] == "genuine").to_numpy()[image],
        "reaction_time_ms": time,
    }
    parts = [
        rows({**shared, "task": "similarity", "value": similarity.astype(str)}, source=source),
        rows({**shared, "task": "identity", "value": same.astype(int).astype(str)}, source=source),
    ]
    answers = pd.concat(parts, ignore_index=True)
    answers["rating_id"] = [str(uuid.UUID(int=place)) for place in range(len(answers))]
    truth = pd.DataFrame({"stimulus": pairs["pair_id"], "same": 1 / (1 + np.exp((distance - middle) / width))})
    return Made(pairs, answers, truth)


def emotion_study(images=60, raters=12, *, seed=0, pairs=(("surprise", "fear"), ("happiness", "anger")), share=1.0, source="human"):
    """Everyone of ``raters`` answers a random ``share`` of the images. Reaction times grow with the entropy of the truth.

    The steerer's probabilities are the truth itself; the judge "other" says the same a little less sharply, "blind" is uniform.
    """
    random = np.random.default_rng(seed)
    pair = [pairs[place % len(pairs)] for place in range(images)]
    lean, together = random.beta(0.8, 0.8, images), random.uniform(0.3, 1.0, images)
    truth = np.repeat(((1 - together) / 4)[:, None], 6, axis=1)
    first, second = (np.array([EMOTIONS.index(each[k]) for each in pair]) for k in (0, 1))
    truth[np.arange(images), first] = together * lean
    truth[np.arange(images), second] = together * (1 - lean)
    said = {"": truth, "other_": _sharpened(truth, 0.6), "blind_": np.full((images, 6), 1 / 6)}
    columns = {
        "sample_id": [f"e{place}" for place in range(images)],
        "kind": "emotion",
        "seed": np.arange(images),
        "base_id": [f"b{place % 4}" for place in range(images)],
        "sample_type": "boundary",
        "step": np.nan,
        "image": "",
        "emotion1": [each[0] for each in pair],
        "emotion2": [each[1] for each in pair],
        "guided": True,
        "strategy": "two-stage",
        "passed_filter": True,
        "passed_other": True,
        "passed_blind": True,
        "distance_mine": 0.4,
    }
    for middle, p in said.items():
        for place, emotion in enumerate(EMOTIONS):
            columns |= {
                f"p_{middle}{emotion}": p[:, place],
                f"logit_{middle}{emotion}": np.log(p[:, place] + 1e-12),
                f"calibrated_{middle}{emotion}": p[:, place],
            }
    samples = set_column_types(pd.DataFrame(columns), list_emotion_columns(["other", "blind"], "mine"))
    image, rater = (each.ravel() for each in np.meshgrid(np.arange(images), np.arange(raters), indexing="ij"))
    asked = random.random(len(image)) < share
    image, rater = image[asked], rater[asked]
    choice = (truth.cumsum(axis=1)[image] < random.random(len(image))[:, None]).sum(axis=1).clip(max=5)
    bits = -(truth * np.log2(np.maximum(truth, 1e-12))).sum(axis=1)
    answers = rows(
        {
            "rater": [f"r{each}" for each in rater],
            "stimulus": samples["sample_id"].to_numpy()[image],
            "task": "emotion",
            "value": np.array(EMOTIONS)[choice],
            "reaction_time_ms": np.exp(np.log(600) + 0.25 * bits[image] + 0.2 * random.normal(size=len(image))),
        },
        source=source,
    )
    planted = pd.DataFrame(truth, columns=list(EMOTIONS)).assign(stimulus=samples["sample_id"], bits=bits)
    return Made(samples, answers, planted)


def _sharpened(p, power):
    raised = p**power
    return raised / raised.sum(axis=1, keepdims=True)
