"""``train face-embedding``: the whitening, and how much of expression and identity an embedding holds."""

from __future__ import annotations

import time
from pathlib import Path

import torch
from torch import Tensor

from core.errors import LiminalError
from core.models.contracts import EMOTIONS
from core.models.face_embedding import BLOCKS, EMOTION_NETWORKS, NAME, WEIGHTS, Whitening, read_whitening, with_probabilities
from core.models.trained import Trained, read_trained, write_trained
from core.models.training.faces import TrainingFaces


def fit(faces: TrainingFaces, *, embedding_dim: int, command: str, folder: Path | None = None) -> Trained:
    """Principal components of the weighted features, and their measured content on held-out faces."""
    began = time.monotonic()
    features = with_probabilities(faces.features[: faces.trained]).double()
    if not 1 <= embedding_dim < min(features.shape):
        raise LiminalError(f"An embedding of {embedding_dim} values needs more faces and features than that.")
    mean = features.mean(dim=0)
    spread = features.std(dim=0).clamp_min(1e-6)
    sizes = {**BLOCKS, "probabilities": BLOCKS["outputs"]}
    weights = torch.cat([torch.full((size,), _weight(block, size), dtype=torch.float64) for block, size in sizes.items()])
    scale = weights / spread
    centred = (features - mean) * scale
    values, vectors = torch.linalg.eigh(centred.T @ centred / (len(centred) - 1))
    kept = values.flip(0)[:embedding_dim]
    axes = vectors.flip(1)[:, :embedding_dim]
    axes = axes * torch.where(axes.sum(dim=0) < 0, -1.0, 1.0)  # an eigenvector's sign is arbitrary: one of both, always the same
    projection = scale[:, None] * axes / kept.sqrt()
    whitening = Whitening(faces.features.shape[1], embedding_dim)
    whitening.mean.copy_(mean)
    whitening.projection.copy_(projection)
    whitening.spread.copy_(kept.sqrt())
    return write_trained(
        NAME,
        {key: tensor.float() for key, tensor in whitening.state_dict().items()},
        configuration={"embedding_dim": embedding_dim, "blocks": BLOCKS, "weights": WEIGHTS},
        data=faces.described(),
        command=command,
        seed=faces.seed,
        figures={
            "variance_kept": float(kept.sum() / values.sum()),
            **content(whitening, faces),
        },
        seconds=time.monotonic() - began,
        folder=folder,
    )


def _weight(block: str, size: int) -> float:
    return WEIGHTS[block] if block in ("outputs", "probabilities") else WEIGHTS[block] * (128 / size) ** 0.5


def content(whitening: Whitening, faces: TrainingFaces) -> dict[str, object]:
    """How much an embedding holds: R2 of linear maps from it, fitted on the training faces, measured on the held-out ones.

    expression: to each network's logits; identity: to dlib's descriptor, and the correlation of distances between embeddings
    with distances between descriptors over pairs of faces; latent: to the generator's latent.
    """
    with torch.inference_mode():
        embeddings = whitening(faces.features)
    descriptors = faces.features[:, : BLOCKS["dlib"]]
    told = _r2(embeddings, faces.logits.flatten(1), faces.trained)
    figures: dict[str, object] = {
        "expression_r2": {
            network: {emotion: round(float(told[place * len(EMOTIONS) + each]), 4) for each, emotion in enumerate(EMOTIONS)}
            for place, network in enumerate(EMOTION_NETWORKS)
        }
    }
    held = slice(faces.trained, None)
    apart = torch.pdist(embeddings[held][:1500])
    people = torch.pdist(descriptors[held][:1500])
    figures["identity_r2"] = round(float(_r2(embeddings, descriptors, faces.trained).mean()), 4)
    figures["identity_distance_correlation"] = round(float(torch.corrcoef(torch.stack([apart, people]))[0, 1]), 4)
    figures["latent_r2"] = round(float(_r2(embeddings, faces.latents, faces.trained).mean()), 4)
    return figures


def _r2(inputs: Tensor, outputs: Tensor, trained: int) -> Tensor:
    """Of a linear map, each output apart: (N, I), (N, O) -> (O,), on the rows from ``trained`` on."""
    rows = torch.cat([inputs, torch.ones(len(inputs), 1)], dim=1).double()
    wanted = outputs.double()
    gram = rows[:trained].T @ rows[:trained] + 1e-6 * torch.eye(rows.shape[1], dtype=torch.float64)
    weights = torch.linalg.solve(gram, rows[:trained].T @ wanted[:trained])
    missed = (wanted[trained:] - rows[trained:] @ weights).square().mean(dim=0)
    around = (wanted[trained:] - wanted[trained:].mean(dim=0)).square().mean(dim=0)
    explained: Tensor = 1 - missed / around.clamp_min(1e-12)
    return explained


def embedded(faces: TrainingFaces, folder: Path | None = None) -> Tensor:
    """The embeddings of the training faces by the stored whitening -> (N, E)."""
    with torch.inference_mode():
        vectors: Tensor = read_whitening(read_trained(NAME, folder))(faces.features)
    result: Tensor = vectors.clone()  # outside inference mode: it takes part in training
    return result
