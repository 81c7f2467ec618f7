"""Fit the glasses detector to faces labelled by eye: ``python -m core.analysis.glasses_fitting`` (some minutes).

None of these faces is among the 100 by which it is judged. The first 60 were chosen for many edges around the eyes, so that
there are enough glasses to learn from; where to draw the line is found on the random ones alone, by the best F1 out of sample.
"""

from __future__ import annotations

import json

import numpy as np
import torch
from numpy.typing import NDArray

from core.analysis.glasses import FITTING, WEIGHTS, evidence
from core.models import registry, yunet
from core.sampling.attributes import aligned
from core.sampling.descriptors import write_arrays
from core.sampling.pictures import quantised

REGULARISATION = 0.001
FOLDS = 10
FIRST_RANDOM = 6700  # seeds from here on were not chosen
BATCH = 20

Array = NDArray[np.float64]


def aligned_faces() -> tuple[Array, NDArray[np.bool_], NDArray[np.bool_]]:
    """Aligned faces (N, 128, 128, 3) with a face, whether they wear glasses, whether they were drawn at random."""
    record = json.loads(FITTING.read_text(encoding="utf-8"))
    labels = {int(seed): bool(label) for seed, label in record["labels"].items()}
    generator, seeds = registry.load(record["generator"], "generator"), list(labels)
    faces, kept = [], []
    for start in range(0, len(seeds), BATCH):
        part = seeds[start : start + BATCH]
        with torch.inference_mode():
            images = quantised(generator.decode(generator.sample(part)).cpu())
        found = yunet.load().find_largest(images)
        there = found.found
        faces.append(aligned(images[there], found.landmarks[there])[0])
        kept += [seed for seed, is_there in zip(part, there.tolist(), strict=True) if is_there]
    return np.concatenate(faces), np.array([labels[seed] for seed in kept]), np.array(kept) >= FIRST_RANDOM


def fit(faces: Array, glasses: NDArray[np.bool_], random: NDArray[np.bool_]) -> dict[str, Array]:
    """The weights (2464,) and the offset at which glasses and none part, of evidence as it comes."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import f1_score
    from sklearn.model_selection import StratifiedKFold

    # Both mirror images have one label, and their mean is what is judged.
    rows = (evidence(faces) + evidence(faces[:, :, ::-1])) / 2
    centre, spread = rows.mean(axis=0), rows.std(axis=0) + 1e-6
    standard = (rows - centre) / spread
    said = np.zeros(len(rows))
    for known, held in StratifiedKFold(FOLDS, shuffle=True, random_state=1).split(standard, glasses):
        said[held] = (
            LogisticRegression(C=REGULARISATION, max_iter=3000)
            .fit(standard[known], glasses[known])
            .decision_function(standard[held])
        )
    limits = np.linspace(-3, 1, 81)
    limit = float(limits[int(np.argmax([f1_score(glasses[random], said[random] > each) for each in limits]))])
    model = LogisticRegression(C=REGULARISATION, max_iter=3000).fit(standard, glasses)
    weights = model.coef_[0] / spread
    return {"weights": weights.astype(np.float32), "offset": np.array(model.intercept_[0] - weights @ centre - limit)}


if __name__ == "__main__":
    write_arrays(WEIGHTS, fit(*aligned_faces()))
    print(f"wrote {WEIGHTS}")
