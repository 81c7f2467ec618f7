"""Emotion sample sets made by hand, with planted answers: what a report should say of them can be written down."""

from __future__ import annotations

import numpy as np

from core.models.emotions import EMOTIONS
from core.sampling.emotion.configuration import EmotionConfiguration
from core.sampling.sample_set import (
    SampleSet,
    count_sample_types,
    list_emotion_columns,
    make_empty_pairs,
    make_sample_id,
    make_table,
)

GENERATOR = "dcgan-sharp"
"""Of every set that names no other, whichever generator pages begin with: the classifiers that judge belong to it."""
TEMPERATURE = 2.0
"""Of every classifier here: calibrated probabilities are less sure than raw ones."""


def answer(emotion1, emotion2, p1, p2):
    """Six probabilities with p1 and p2 at the pair, the rest shared by the others."""
    p = np.full(6, (1 - p1 - p2) / 4)
    p[EMOTIONS.index(emotion1)], p[EMOTIONS.index(emotion2)] = p1, p2
    return p


def columns_of(classifier, p, passed):
    """What one classifier says of a sample; ``classifier`` None: the steerer."""
    middle = f"{classifier}_" if classifier else ""
    logits = np.log(np.maximum(p, 1e-12))
    cooler = np.exp(logits / TEMPERATURE)
    cooler /= cooler.sum()
    row = {f"passed_{classifier or 'filter'}": passed}
    for name, values in (("p", p), ("logit", logits), ("calibrated", cooler)):
        row |= {f"{name}_{middle}{emotion}": float(value) for emotion, value in zip(EMOTIONS, values, strict=True)}
    return row


def emotion_set(planted, *, distances=None, configuration=None, genuine=1, side=3):
    """planted: one {classifier: (p1, p2, passed)} a sample, the steerer and every judge; distances: one a sample."""
    configuration = configuration or EmotionConfiguration("surprise", "fear", generator=GENERATOR, count=len(planted), seed=5)
    distances = distances if distances is not None else [0.4] * len(planted)
    random = np.random.default_rng(0)
    parts = [("genuine", planted[0], 0.0)] * genuine
    parts += [("boundary", each, distance) for each, distance in zip(planted, distances, strict=True)]
    rows, latents, images = [], {}, {}
    for number, (sample_type, says, distance) in enumerate(parts):
        latent = random.normal(size=4).astype(np.float32)
        image = random.integers(0, 256, (side, side, 3), dtype=np.uint8)
        name = make_sample_id(latent, image)
        latents[name], images[name] = latent, image
        row = {
            "sample_id": name,
            "kind": "emotion",
            "seed": number,
            "base_id": next(iter(latents)),
            "sample_type": sample_type,
            "step": np.nan,
            "image": f"images/{name}.png",
            "emotion1": configuration.emotion1,
            "emotion2": configuration.emotion2,
            "guided": configuration.guided and sample_type == "boundary",
            "strategy": configuration.strategy,
            f"distance_{configuration.recogniser}": distance,
        }
        for classifier, (p1, p2, passed) in says.items():
            p = answer(configuration.emotion1, configuration.emotion2, p1, p2)
            row |= columns_of(None if classifier == configuration.steerer else classifier, p, passed)
        rows.append(row)
    table = make_table(rows, list_emotion_columns(configuration.judges, configuration.recogniser))
    manifest = {
        "counts": count_sample_types(table),
        "seconds": {"total": 1.5},
        "thresholds": {configuration.recogniser: 0.6},
    }
    return SampleSet(configuration, table, make_empty_pairs(), latents, images, manifest)


def unanimous(p1, p2, passed, configuration=None):
    """The same answer under every classifier."""
    configuration = configuration or EmotionConfiguration("surprise", "fear", generator=GENERATOR)
    return dict.fromkeys(configuration.classifiers, (p1, p2, passed))
