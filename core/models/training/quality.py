"""Is the prior better than a Gaussian with the same mean and covariance? Both are held against embeddings that nobody trained on.

Held-out denoising: the squared error of the noise predicted in noised held-out embeddings, beside that of the best guess under the
Gaussian; summed over the schedule this is the variational bound on log likelihood, up to weights (Ho et al. 2020, eq. 12 to 14).
Classifier two-sample test (Lopez-Paz and Oquab 2017, arXiv:1610.06545): boosted trees learn to tell drawn from training
embeddings; their accuracy on held-out and further drawn ones is 0.5 where they cannot. Improved precision and recall
(Kynkäänniemi et al. 2019, arXiv:1904.06991): shares of drawn embeddings within the held-out ones' neighbourhoods, and the other
way round; also for training embeddings in the place of drawn ones, the best that anything can reach.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from core.models.contracts import Prior
from core.models.noising import kept_share, noised

NEIGHBOUR = 3
"""k of the neighbourhoods, as in that paper."""


def gaussian_fit(trained: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (E,) and covariance (E, E), a trifle added to its diagonal."""
    return trained.mean(dim=0), torch.cov(trained.T) + 1e-6 * torch.eye(trained.shape[1])


def gaussian_draws(trained: Tensor, count: int, random: torch.Generator) -> Tensor:
    """Draws from the Gaussian fit -> (count, E)."""
    mean, covariance = gaussian_fit(trained)
    draws: Tensor = mean + torch.randn(count, trained.shape[1], generator=random) @ torch.linalg.cholesky(covariance).T
    return draws


def drawn_beside(trained: Tensor, held: Tensor, drawn: Tensor, seed: int) -> dict[str, object]:
    """trained (M, E), held (N, E), drawn (D, E), the last N of which are tested -> two-sample accuracy, precision, recall."""
    n = len(held)
    kept = drawn[-n:]
    precision, recall = precision_recall(held, kept)
    return {
        "two_sample_accuracy": two_sample_accuracy(trained[: len(drawn) - n], drawn[:-n], held, kept, seed),
        "precision": round(precision, 4),
        "recall": round(recall, 4),
    }


def two_sample_accuracy(real: Tensor, drawn: Tensor, other_real: Tensor, other_drawn: Tensor, seed: int) -> dict[str, float]:
    """Accuracy at telling the other real from the other drawn embeddings, with its 95 % Wilson interval; 0.5 is chance."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from statsmodels.stats.proportion import proportion_confint

    judge = HistGradientBoostingClassifier(max_iter=150, random_state=seed)
    judge.fit(torch.cat([real, drawn]).numpy(), np.repeat([0, 1], [len(real), len(drawn)]))
    tested = np.concatenate([judge.predict(other_real.numpy()) == 0, judge.predict(other_drawn.numpy()) == 1])
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


def held_out_denoising(
    prior: Prior, trained: Tensor, held: Tensor, seed: int, levels: int = 20, simple: bool = False
) -> dict[str, object]:
    """Error of the predicted noise on held-out embeddings, the prior's over the Gaussian's best guess; under 1: better.

    Paired: the same embeddings, noise and levels. The interval is over faces. simple: all levels count alike, as where a network
    was trained on the noise itself (Ho et al. 2020, eq. 14); else by their signal, as behind ``noise_beyond_gaussian``.
    """
    mean, covariance = gaussian_fit(trained)
    values, vectors = torch.linalg.eigh(covariance)
    random = torch.Generator().manual_seed(seed + 3)
    total = prior.train_steps
    ours, theirs = torch.zeros(len(held)), torch.zeros(len(held))
    with torch.inference_mode():
        for level in torch.linspace(0.02 * total, 0.9 * total, levels).long().tolist():
            noise = torch.randn(held.shape, generator=random)
            step = torch.full((len(held),), level)
            x = noised(held, noise, step, total, prior.betas)
            share = float(kept_share(total, prior.betas)[level])
            # E[noise | x] for x = sqrt(a) x0 + sqrt(1 - a) noise, x0 ~ N(mean, covariance)
            gain = math.sqrt(1 - share) / (share * values + 1 - share)
            guess = ((x - math.sqrt(share) * mean) @ vectors * gain) @ vectors.T
            weight = 1.0 if simple else 1 / share
            ours += weight * (prior.noise(x, step).cpu() - noise).square().mean(dim=1)
            theirs += weight * (guess - noise).square().mean(dim=1)
    difference = (ours - theirs) / theirs.mean()
    error = float(difference.std()) / math.sqrt(len(held))
    ratio = float(ours.mean() / theirs.mean())
    return {
        "ratio_to_gaussian": round(ratio, 4),
        "low": round(ratio - 1.96 * error, 4),
        "high": round(ratio + 1.96 * error, 4),
        "n": len(held),
    }
