"""What every installed model says of samples: recognisers on pairs, LPIPS on pairs, emotion networks on images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.models.contracts import EMOTIONS, Classifier, PerceptualDistance, Recogniser
from core.progress import Progress
from core.sampling.panel import Panel
from core.sampling.pictures import to_images
from core.sampling.tables import PAIRS, SAMPLES, typed

BATCH = 16
"""Images judged between two looks at whether the user has cancelled."""

Latents = Mapping[str, NDArray[np.float32]]
Pictures = Mapping[str, NDArray[np.uint8]]


def judge_pairs(
    pairs: pd.DataFrame, latents: Latents, pictures: Pictures, panel: Panel, progress: Progress | None = None
) -> pd.DataFrame:
    """The pairs with latent_distance (Euclidean), lpips, and distance_<name>, accepted_<name> of every judge.

    Where a judge found no face in either image, its distance is NaN and its verdict null. Accepted: distance < threshold.
    """
    progress = progress or Progress()
    names = list(dict.fromkeys([*pairs["base_id"], *pairs["sample_id"]]))
    row = {name: index for index, name in enumerate(names)}
    images = to_images(np.stack([pictures[name] for name in names]))  # (N, 3, H, W)
    bases = torch.as_tensor([row[name] for name in pairs["base_id"]])
    samples = torch.as_tensor([row[name] for name in pairs["sample_id"]])

    judged = pairs.copy()
    apart = [
        latents[one].astype(np.float64) - latents[other] for one, other in zip(pairs["base_id"], pairs["sample_id"], strict=True)
    ]
    judged["latent_distance"] = np.linalg.norm(np.stack(apart), axis=1)
    judged["lpips"] = perceptual_distances(panel.perceptual, images, bases, samples, progress)
    for judge in panel.judges:
        vectors = embeddings(judge, images, progress)
        with torch.inference_mode():
            distances = judge.distance(vectors[bases], vectors[samples]).cpu().double().numpy()
        verdicts = pd.array(distances < judge.threshold, dtype="boolean")
        verdicts[np.isnan(distances)] = pd.NA
        judged[f"distance_{judge.name}"] = distances
        judged[f"accepted_{judge.name}"] = verdicts
    return typed(judged, PAIRS)


def judge_samples(
    samples: pd.DataFrame, pictures: Pictures, classifiers: Sequence[Classifier], progress: Progress | None = None
) -> pd.DataFrame:
    """The samples with p_<classifier>_<emotion> for the six emotions; they sum to one a classifier ('neutral' is dropped)."""
    progress = progress or Progress()
    images = to_images(np.stack([pictures[name] for name in samples["sample_id"]]))
    judged = samples.copy()
    for classifier in classifiers:
        parts = []
        for start in range(0, len(images), BATCH):
            progress.check()
            with torch.inference_mode():
                parts.append(classifier.probabilities(images[start : start + BATCH]).cpu().double())
        table = torch.cat(parts).numpy()
        for column, emotion in enumerate(EMOTIONS):
            judged[f"p_{classifier.name}_{emotion}"] = table[:, column]
    return typed(judged, SAMPLES)


def embeddings(recogniser: Recogniser, images: Tensor, progress: Progress) -> Tensor:
    """(N, 3, H, W) -> (N, D) by the exact path, NaN rows where no face was found."""
    parts = []
    for start in range(0, len(images), BATCH):
        progress.check()
        parts.append(recogniser.embed(images[start : start + BATCH]).cpu())
    return torch.cat(parts)


def perceptual_distances(
    perceptual: PerceptualDistance, images: Tensor, first: Tensor, second: Tensor, progress: Progress
) -> NDArray[np.float64]:
    """The perceptual distance of images[first] (P,) and images[second] (P,) -> (P,)."""
    parts = []
    for start in range(0, len(first), BATCH):
        progress.check()
        with torch.inference_mode():
            one, other = images[first[start : start + BATCH]], images[second[start : start + BATCH]]
            parts.append(perceptual.distance(one, other).cpu().double().numpy())
    return np.concatenate(parts)
