"""Is the prior better than a Gaussian with the same mean and covariance? Both are held against embeddings that nobody trained on.

Classifier two-sample test (Lopez-Paz and Oquab 2017, arXiv:1610.06545): a small network learns to tell drawn from held-out
embeddings; its accuracy on further ones is 0.5 where it cannot. Improved precision and recall (Kynkäänniemi et al. 2019,
arXiv:1904.06991): shares of drawn embeddings within the held-out ones' neighbourhoods, and the other way round. Both are also
given for training embeddings in the place of drawn ones: the best that anything can reach.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

NEIGHBOUR = 3
"""k of the neighbourhoods, as in that paper."""


def beside_gaussian(trained: Tensor, held: Tensor, drawn: Tensor, seed: int) -> dict[str, object]:
    """trained (M, E), held (N, E), drawn (N, E) -> figures for the prior, the Gaussian fit and training embeddings."""
    random = torch.Generator().manual_seed(seed + 2)
    mean = trained.mean(dim=0)
    covariance = torch.cov(trained.T) + 1e-6 * torch.eye(trained.shape[1])
    normal = mean + torch.randn(len(held), trained.shape[1], generator=random) @ torch.linalg.cholesky(covariance).T
    real = trained[torch.randperm(len(trained), generator=random)[: len(held)]]
    figures: dict[str, object] = {"n": len(held)}
    for name, rows in (("prior", drawn), ("gaussian", normal), ("training_faces", real)):
        precision, recall = precision_recall(held, rows)
        figures[name] = {
            "two_sample_accuracy": two_sample_accuracy(held.numpy(), rows.numpy(), seed),
            "precision": round(precision, 4),
            "recall": round(recall, 4),
        }
    return figures


def two_sample_accuracy(a: NDArray[np.float32], b: NDArray[np.float32], seed: int) -> dict[str, float]:
    """Held-out accuracy at telling a (N, E) from b (N, E), with its 95 % Wilson interval; 0.5 is chance."""
    from sklearn.neural_network import MLPClassifier
    from statsmodels.stats.proportion import proportion_confint

    half_a, half_b = len(a) // 2, len(b) // 2
    inputs = np.concatenate([a[:half_a], b[:half_b]])
    labels = np.repeat([0, 1], [half_a, half_b])
    judge = MLPClassifier((128,), alpha=1.0, max_iter=60, early_stopping=True, random_state=seed)
    judge.fit(inputs, labels)
    tested = np.concatenate([judge.predict(a[half_a:]) == 0, judge.predict(b[half_b:]) == 1])
    right, n = int(tested.sum()), len(tested)
    low, high = proportion_confint(right, n, method="wilson")
    return {"share": round(right / n, 4), "low": round(float(low), 4), "high": round(float(high), 4), "n": n}


def precision_recall(real: Tensor, drawn: Tensor) -> tuple[float, float]:
    """Shares of drawn (N, E) inside the real ones' neighbourhoods, and of real (M, E) inside the drawn ones'."""
    return _inside(drawn, real), _inside(real, drawn)


def _inside(points: Tensor, support: Tensor) -> float:
    if len(support) <= NEIGHBOUR:
        return math.nan
    radii = torch.cdist(support, support).kthvalue(NEIGHBOUR + 1, dim=1).values  # the nearest is the point itself
    return float((torch.cdist(points, support) <= radii).any(dim=1).float().mean())
