"""Fit diffusion priors, and measure whether they are better than a Gaussian with the same mean and covariance.

``train face-prior``: the U-ViT over face embeddings. ``train uvit-prior``: paper B's prior in CoCoG-2's structure, from embeddings
of pictures. Both predict noise (DDPM); prior and Gaussian are compared with embeddings that nobody trained on. Held-out denoising:
the squared error of the noise predicted in noised held-out embeddings, beside that of the best guess under the Gaussian; summed
over the schedule this is the variational bound on log likelihood, up to weights (Ho et al. 2020, eq. 12 to 14). Classifier
two-sample test (Lopez-Paz and Oquab 2017, arXiv:1610.06545): boosted trees learn to tell drawn from training embeddings; their
accuracy on held-out and further drawn ones is 0.5 where they cannot. Improved precision and recall (Kynkäänniemi et al. 2019,
arXiv:1904.06991): shares of drawn embeddings within the held-out ones' neighbourhoods, and the other way round; also for training
embeddings in the place of drawn ones, which is an upper limit.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from core.errors import LiminalError
from core.lazy_import import lazy_import
from core.models.builtin.prior import (
    FacePrior,
    UViT,
    UViTConfiguration,
    add_noise,
    make_scheduler,
    noise_beyond_gaussian,
    read_alpha_bar,
    sample_prior,
)
from core.models.contracts import ModelCard, Prior
from core.models.custom.cocog import (
    COCOG_BETAS,
    COCOG_TRAIN_STEPS,
    HEAD_WIDTH,
    PUBLISHED_CONFIGURATION,
    CocogPrior,
    CocogUViT,
    make_published_tensors,
)
from core.models.device import choose_device
from core.models.trained_weights import TrainedWeights, write_trained
from core.models.training.data import EmbeddedPictures, TrainingFaces
from core.models.training.fit_networks import embed_faces
from core.models.training.loop import TrainingPlan, train_network
from core.progress import Progress

if TYPE_CHECKING:
    import sklearn.ensemble as ensemble
    import statsmodels.stats.proportion as proportion
else:  # for figures at the end of a training
    ensemble, proportion = lazy_import("sklearn.ensemble"), lazy_import("statsmodels.stats.proportion")

NEIGHBOUR_RANK = 3
"""k of the neighbourhoods, as in that paper."""


def fit_gaussian(trained: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (E,) and covariance (E, E), 1e-6 added to its diagonal."""
    return trained.mean(dim=0), torch.cov(trained.T) + 1e-6 * torch.eye(trained.shape[1])


def draw_gaussian(trained: Tensor, count: int, random: torch.Generator) -> Tensor:
    """Draws from the Gaussian fit -> (count, E)."""
    mean, covariance = fit_gaussian(trained)
    draws: Tensor = mean + torch.randn(count, trained.shape[1], generator=random) @ torch.linalg.cholesky(covariance).T
    return draws


def compare_draws(trained: Tensor, held: Tensor, drawn: Tensor, seed: int) -> dict[str, object]:
    """trained (M, E), held (N, E), drawn (D, E), the last N of which are tested -> two-sample accuracy, precision, recall."""
    n = len(held)
    tested = drawn[-n:]
    precision, recall = measure_precision_recall(held, tested)
    return {
        "two_sample_accuracy": measure_two_sample_accuracy(trained[: len(drawn) - n], drawn[:-n], held, tested, seed),
        "precision": round(precision, 4),
        "recall": round(recall, 4),
    }


def measure_two_sample_accuracy(
    real: Tensor, drawn: Tensor, other_real: Tensor, other_drawn: Tensor, seed: int
) -> dict[str, float]:
    """Accuracy at telling the other real from the other drawn embeddings, with its 95 % Wilson interval; 0.5 is chance."""
    judge = ensemble.HistGradientBoostingClassifier(max_iter=150, random_state=seed)
    judge.fit(torch.cat([real, drawn]).numpy(), np.repeat([0, 1], [len(real), len(drawn)]))
    tested = np.concatenate([judge.predict(other_real.numpy()) == 0, judge.predict(other_drawn.numpy()) == 1])
    right, n = int(tested.sum()), len(tested)
    low, high = proportion.proportion_confint(right, n, method="wilson")
    return {"share": round(right / n, 4), "low": round(float(low), 4), "high": round(float(high), 4), "n": n}


def measure_precision_recall(real: Tensor, drawn: Tensor) -> tuple[float, float]:
    """Shares of drawn (N, E) inside the real ones' neighbourhoods, and of real (M, E) inside the drawn ones'."""
    return _share_inside(drawn, real), _share_inside(real, drawn)


def _share_inside(points: Tensor, support: Tensor) -> float:
    if len(support) <= NEIGHBOUR_RANK:
        return math.nan
    radii = torch.cdist(support, support).kthvalue(NEIGHBOUR_RANK + 1, dim=1).values  # the nearest is the point itself
    return float((torch.cdist(points, support) <= radii).any(dim=1).float().mean())


def measure_denoising(
    prior: Prior, trained: Tensor, held: Tensor, seed: int, levels: int = 20, simple: bool = False
) -> dict[str, object]:
    """Error of the predicted noise on held-out embeddings, the prior's over the Gaussian's best guess; under 1: better.

    Paired: the same embeddings, noise and levels. The interval is over faces. simple: all levels count alike, as where a network
    was trained on the noise itself (Ho et al. 2020, eq. 14); else by their signal, as behind ``noise_beyond_gaussian``.
    """
    mean, covariance = fit_gaussian(trained)
    values, vectors = torch.linalg.eigh(covariance)
    random = torch.Generator().manual_seed(seed + 3)
    total = prior.train_steps
    ours, theirs = torch.zeros(len(held)), torch.zeros(len(held))
    with torch.inference_mode():
        for level in torch.linspace(0.02 * total, 0.9 * total, levels).long().tolist():
            noise = torch.randn(held.shape, generator=random)
            step = torch.full((len(held),), level)
            x = add_noise(held, noise, step, total, prior.betas)
            share = float(read_alpha_bar(total, prior.betas)[level])
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


FACE_PRIOR_TRAIN_STEPS = 1000
FACE_PRIOR_SAMPLE_STEPS = 50
"""Denoising steps of the samples that are compared."""


def fit_face_prior(
    faces: TrainingFaces,
    *,
    steps: int,
    command: str,
    size: UViTConfiguration,
    batch: int = 128,
    judged: int = 2500,
    folder: Path | None = None,
    saved: Path | None = None,
    progress: Progress | None = None,
) -> TrainedWeights:
    """Fit the face prior, then compare samples of the prior and of a Gaussian fit with held-out embeddings."""
    progress = progress or Progress()
    embeddings = embed_faces(faces, folder)
    if embeddings.shape[1] != size.embedding_dim:
        raise LiminalError(
            f"A U-ViT of {size.tokens} tokens of {size.token_size} does not fit embeddings of {embeddings.shape[1]} values."
        )
    torch.manual_seed(faces.seed)
    network = UViT(size)
    torch.nn.init.zeros_(network.out.weight)  # it begins as the Gaussian guess
    torch.nn.init.zeros_(network.out.bias)
    plan = TrainingPlan(steps=steps, batch=batch, rate=1e-3, seed=faces.seed, weight_decay=1e-3, average=0.999)

    def loss(rows: Tensor, random: torch.Generator) -> Tensor:
        clean = embeddings[rows]
        noise = torch.randn(clean.shape, generator=random)
        step = torch.randint(0, FACE_PRIOR_TRAIN_STEPS, (len(rows),), generator=random)
        error = (
            noise_beyond_gaussian(network, add_noise(clean, noise, step, FACE_PRIOR_TRAIN_STEPS), step, FACE_PRIOR_TRAIN_STEPS)
            - noise
        )
        return error.square().mean()

    seconds = train_network(network, loss, faces.trained, plan, name=faces.chain.prior, saved=saved, progress=progress)
    network.load_state_dict({key: tensor.half().float() for key, tensor in network.state_dict().items()})  # as it is stored
    progress.stage("Comparing the prior with a Gaussian", 0.99)
    prior = FacePrior(network, FACE_PRIOR_TRAIN_STEPS, torch.device("cpu"))
    prior.chunk = 128  # thousands are drawn here
    trained, held = embeddings[: faces.trained], embeddings[faces.trained :][:judged]
    random = torch.Generator().manual_seed(faces.seed + 1)
    count = len(held) + min(judged, len(trained))
    drawn = sample_prior(prior, make_scheduler(FACE_PRIOR_TRAIN_STEPS, FACE_PRIOR_SAMPLE_STEPS), count, random)
    figures = {
        "n_held_out": len(held),
        "denoising_of_held_out": measure_denoising(prior, trained, held, faces.seed),
        "prior": compare_draws(trained, held, drawn, faces.seed),
        "gaussian": compare_draws(trained, held, draw_gaussian(trained, count, random), faces.seed),
        "training_faces": compare_draws(trained, held, trained[-count:], faces.seed),
    }
    return write_trained(
        faces.chain.prior,
        {key: tensor.half() for key, tensor in network.state_dict().items()},
        configuration={**asdict(size), "train_steps": FACE_PRIOR_TRAIN_STEPS},
        data=faces.described(),
        command=command,
        seed=faces.seed,
        figures=figures,
        seconds=seconds,
        folder=folder,
    )


UVIT_PRIOR_NAME = "uvit-prior"
UVIT_PRIOR_SAMPLE_STEPS = 50
"""Denoising steps of the samples that are compared."""
MAX_COMPARED = 500
"""Held-out embeddings, at most, that samples are compared with."""


def choose_uvit_size(embedding_dim: int, width: int | None = None, depth: int | None = None) -> UViTConfiguration:
    """The published size, or another width or depth, in tokens of 16 values. Raises LiminalError where these do not divide."""
    if embedding_dim % PUBLISHED_CONFIGURATION.token_size:
        raise LiminalError(
            f"Embeddings of {embedding_dim} values cannot be cut into tokens of {PUBLISHED_CONFIGURATION.token_size}; "
            "choose another encoder."
        )
    chosen = width or PUBLISHED_CONFIGURATION.width
    return UViTConfiguration(
        embedding_dim // PUBLISHED_CONFIGURATION.token_size,
        PUBLISHED_CONFIGURATION.token_size,
        chosen,
        depth or PUBLISHED_CONFIGURATION.depth,
        max(1, chosen // HEAD_WIDTH),
    )


def fit_uvit_prior(
    pictures: EmbeddedPictures,
    *,
    steps: int,
    command: str,
    seed: int,
    size: UViTConfiguration,
    batch: int = 128,
    rate: float = 1e-4,
    folder: Path,
    saved: Path | None = None,
    progress: Progress | None = None,
) -> TrainedWeights:
    """Fit the U-ViT prior on the device, moving average last; figures on held-out embeddings."""
    progress, device = progress or Progress(), choose_device()
    clean, held = pictures.vectors[~pictures.held_out].to(device), pictures.vectors[pictures.held_out][:MAX_COMPARED]
    torch.manual_seed(seed)
    network = CocogUViT(size).to(device)
    plan = TrainingPlan(steps=steps, batch=batch, rate=rate, seed=seed, average=0.9999)

    def loss(rows: Tensor, random: torch.Generator) -> Tensor:
        noise = torch.randn(len(rows), size.embedding_dim, generator=random).to(device)
        step = torch.randint(0, COCOG_TRAIN_STEPS, (len(rows),), generator=random).to(device)
        error: Tensor = network(add_noise(clean[rows.to(device)], noise, step, COCOG_TRAIN_STEPS, COCOG_BETAS), step) - noise
        return error.square().mean()

    seconds = train_network(network, loss, len(clean), plan, name=UVIT_PRIOR_NAME, saved=saved, progress=progress)
    progress.stage("Comparing the prior with a Gaussian", 0.99)
    prior = CocogPrior(network, COCOG_TRAIN_STEPS, COCOG_BETAS, device, _temporary_card())
    prior.chunk = 64  # hundreds are drawn here
    random = torch.Generator().manual_seed(seed + 1)
    drawn = sample_prior(prior, make_scheduler(COCOG_TRAIN_STEPS, UVIT_PRIOR_SAMPLE_STEPS, COCOG_BETAS), len(held), random)
    precision, recall = measure_precision_recall(held, drawn)
    figures = {
        "n_held_out": len(held),
        "denoising_of_held_out": measure_denoising(prior, clean.cpu(), held, seed, simple=True),
        "precision": precision,
        "recall": recall,
    }
    return write_trained(
        UVIT_PRIOR_NAME,
        make_published_tensors(network),
        configuration={**asdict(size), "train_steps": COCOG_TRAIN_STEPS, "betas": COCOG_BETAS, "encoder": pictures.encoder},
        data=pictures.described(),
        command=command,
        seed=seed,
        figures={name: None if value != value else value for name, value in figures.items()},  # NaN: too few embeddings
        seconds=seconds,
        folder=folder,
    )


def _temporary_card() -> ModelCard:
    """The card of a prior that is measured before it is stored."""
    return ModelCard(UVIT_PRIOR_NAME, "U-ViT diffusion prior", "prior", "trained here", "", "", 0, "", ())
