"""``train emotion-mlp``: the teachers' mean probabilities, from the embedding."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import log_softmax

from core.models.contracts import EMOTIONS
from core.models.emotion_mlp import NAME, EmotionMLPNetwork
from core.models.face_embedding import EMOTION_NETWORKS
from core.models.trained import Trained, write_trained
from core.models.training.faces import TrainingFaces
from core.models.training.fit_embedding import embedded
from core.models.training.loop import Plan, train
from core.progress import Progress

JITTER = 0.1
"""Standard deviation of the noise on whitened embeddings while training: neighbours should be called alike."""


def fit(
    faces: TrainingFaces,
    *,
    steps: int,
    command: str,
    width: int = 256,
    batch: int = 256,
    folder: Path | None = None,
    saved: Path | None = None,
    progress: Progress | None = None,
) -> Trained:
    """Cross-entropy to soft labels; figures against the teachers on held-out faces."""
    embeddings = embedded(faces, folder)
    targets = faces.logits.softmax(dim=2).mean(dim=1)  # (N, 6)
    torch.manual_seed(faces.seed)
    network = EmotionMLPNetwork(embeddings.shape[1], width)
    plan = Plan(steps=steps, batch=batch, rate=2e-3, seed=faces.seed, weight_decay=1e-2, average=0.99)

    def loss(rows: Tensor, random: torch.Generator) -> Tensor:
        x = embeddings[rows]
        x = x + JITTER * torch.randn(x.shape, generator=random)
        return -(targets[rows] * log_softmax(network(x), dim=1)).sum(dim=1).mean()

    seconds = train(network, loss, faces.trained, plan, name=NAME, saved=saved, progress=progress)
    with torch.inference_mode():
        answers = network(embeddings[faces.trained :]).softmax(dim=1)
    return write_trained(
        NAME,
        network.state_dict(),
        configuration={"embedding_dim": embeddings.shape[1], "width": width, "teachers": list(EMOTION_NETWORKS)},
        data=faces.described(),
        command=command,
        seed=faces.seed,
        figures=agreement(answers, faces.logits[faces.trained :].softmax(dim=2)),
        seconds=seconds,
        folder=folder,
    )


def agreement(answers: Tensor, teachers: Tensor) -> dict[str, object]:
    """Against the teachers' mean and against each: same first choice; calibration; how far off. (N, 6), (N, K, 6).

    expected_calibration_error: 10 equal bins of the first choice's probability; its share of agreement with a label drawn from
    the teachers' mean (so the mean's probability of that choice) beside that probability (Naeini et al. 2015).
    """
    mean = teachers.mean(dim=1)
    choice = answers.argmax(dim=1)
    sure = answers.gather(1, choice[:, None])[:, 0]
    right = mean.gather(1, choice[:, None])[:, 0]
    bins = (sure * 10).long().clamp(max=9)
    error = 0.0
    for each in range(10):
        inside = bins == each
        if bool(inside.any()):
            error += float(inside.float().mean()) * abs(float(sure[inside].mean() - right[inside].mean()))
    figures: dict[str, object] = {
        "n": len(answers),
        "accuracy_against_teachers_mean": round(float((choice == mean.argmax(dim=1)).float().mean()), 4),
        "expected_calibration_error": round(error, 4),
        "mean_absolute_difference": {
            emotion: round(float((answers[:, place] - mean[:, place]).abs().mean()), 4) for place, emotion in enumerate(EMOTIONS)
        },
    }
    for place, name in enumerate(EMOTION_NETWORKS[: teachers.shape[1]]):
        same = (choice == teachers[:, place].argmax(dim=1)).float().mean()
        figures[f"accuracy_against_{name}"] = round(float(same), 4)
    if teachers.shape[1] == 2:
        same = (teachers[:, 0].argmax(dim=1) == teachers[:, 1].argmax(dim=1)).float().mean()
        figures["teachers_agree_with_each_other"] = round(float(same), 4)
    return figures
