"""What there is to see in a stimulus, the same for all observers: the hidden truth behind simulated answers.

Pairs: a perceived dissimilarity, 0 for equal pictures, about 1 for two strangers: recognisers' distances over their thresholds,
LPIPS, and differences of looks, plus a residue of the pair's own that no model sees. Faces: evidence for each emotion (log units)
from the calibrated answers of ``SEER``, which never steers and is never fine-tuned, relative to what it says of plain faces, plus
a residue.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from core.errors import LiminalError
from core.models.emotions import EMOTIONS
from core.sampling.emotion.reference import load_reference
from core.sampling.sample_set import SampleSet
from core.sampling.seeds import generator_for, sample_seed

Array = NDArray[np.float64]

SEER = "small-cnn"
"""The classifier that simulated people look through: hidden from everything that learns from their answers."""

ADAPTATION = 0.5
"""Share of the seer's habits (its mean answer to plain faces) that people do not share: else nobody would ever see disgust."""

WEIGHTS: Mapping[str, float] = {"dlib": 0.55, "sface": 0.10, "lpips": 0.15, "looks": 0.20}
"""Of the parts of the dissimilarity. Where a recogniser found no face or was not asked, the others share its weight."""
STRANGERS = {"dlib": 1.03, "sface": 1.19, "lpips": 0.56}
"""Each part's mean between strangers of dcgan-sharp: recognisers in their thresholds, LPIPS in its own units."""
LOOKS = {"face": 0.08, "hair": 0.12, "happiness": 0.35}
"""A difference of brightness of face and hair (grey levels in [0, 1]) and of happiness (mini-XCEPTION's) that counts as 1."""

PAIR_RESIDUE = 0.07
"""Standard deviation of a pair's residue, in dissimilarities; smaller for near pairs, so that equal pictures look equal."""
FACE_RESIDUE = 0.12
"""Standard deviation of a face's residue, log units an emotion."""


def dissimilarities(sample_set: SampleSet) -> dict[str, float]:
    """pair_id -> perceived dissimilarity, at least 0."""
    pairs, looks = sample_set.pairs, _looks(sample_set)
    base = np.stack([looks[name] for name in pairs["base_id"]])
    sample = np.stack([looks[name] for name in pairs["sample_id"]])
    parts = {"lpips": pairs["lpips"].to_numpy(np.float64) / STRANGERS["lpips"]}
    parts["looks"] = np.minimum(np.abs(base - sample) / list(LOOKS.values()), 2.0).mean(axis=1)
    thresholds = sample_set.manifest.get("thresholds", {})
    for name in ("dlib", "sface"):
        if f"distance_{name}" in pairs and name in thresholds:
            parts[name] = pairs[f"distance_{name}"].to_numpy(np.float64) / thresholds[name] / STRANGERS[name]
    values = np.stack([parts[name] for name in parts])  # (parts, pairs)
    weights = np.array([WEIGHTS[name] for name in parts])[:, None] * np.isfinite(values)
    seen = (np.nan_to_num(values) * weights).sum(axis=0) / np.maximum(weights.sum(axis=0), 1e-9)
    found = {}
    for name, value in zip(pairs["pair_id"], seen, strict=True):
        residue = PAIR_RESIDUE * generator_for(sample_seed(0, "pair residue", name)).normal() * min(value / 0.3, 1.0)
        found[str(name)] = max(float(value + residue), 0.0)
    return found


def evidence(sample_set: SampleSet) -> dict[str, Array]:
    """sample_id -> evidence (6,) over EMOTIONS, log units. Raises LiminalError where the seer was not asked."""
    configuration, samples = sample_set.emotion, sample_set.samples
    if SEER not in configuration.judges:
        raise LiminalError(
            f"Simulated observers see through {SEER}, which did not judge this sample set; make it again with {SEER} among its "
            f"judges."
        )
    calibrated = samples[[f"calibrated_{SEER}_{emotion}" for emotion in EMOTIONS]].to_numpy(np.float64)
    reference = load_reference(configuration.generator)
    usual = np.log(reference.calibrated(SEER, reference.of(SEER))).mean(axis=0)
    seen = np.log(np.maximum(calibrated, 1e-12)) - ADAPTATION * (usual - usual.mean())
    found = {}
    for name, row in zip(samples["sample_id"], seen, strict=True):
        residue = FACE_RESIDUE * generator_for(sample_seed(0, "face residue", name)).normal(size=len(EMOTIONS))
        found[str(name)] = row + residue
    return found


def _looks(sample_set: SampleSet) -> dict[str, Array]:
    """sample_id -> mean grey level of face and hair, happiness (0 where nobody was asked)."""
    column = "p_mini-xception_happiness"
    samples = sample_set.samples
    happy = samples[column].to_numpy(np.float64) if column in samples else np.zeros(len(samples))
    found = {}
    for name, smile in zip(samples["sample_id"], happy, strict=True):
        grey = sample_set.images[name].mean(axis=2) / 255
        side = grey.shape[0]
        face = grey[side * 3 // 8 : side * 7 // 8, side // 4 : side * 3 // 4].mean()
        hair = grey[: max(side // 6, 1), side // 5 : max(side * 4 // 5, 1)].mean()
        found[str(name)] = np.array([face, hair, smile])
    return found
