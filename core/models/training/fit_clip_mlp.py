"""``train clip-mlp``: paper B's guiding classifier, an MLP with six outputs, from embeddings of labelled pictures."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from core.errors import LiminalError
from core.models.contracts import EMOTIONS
from core.models.emotion_mlp import EmotionMLPNetwork
from core.models.trained import Trained, write_trained
from core.models.training.embeddings import EmbeddedPictures
from core.models.training.loop import Plan, train
from core.progress import Progress

NAME = "clip-mlp"
JITTER = 0.1
"""Standard deviation of the noise on standardised embeddings while training: neighbours should be called alike."""


def fit(
    pictures: EmbeddedPictures,
    *,
    steps: int,
    command: str,
    seed: int,
    width: int = 256,
    batch: int = 128,
    folder: Path,
    saved: Path | None = None,
    progress: Progress | None = None,
) -> Trained:
    """Cross-entropy to the labels, as they are distributed; figures on held-out pictures. Those of no emotion are left out.

    Raises LiminalError where an emotion has no picture to learn from, or none is held out.
    """
    labelled = pictures.emotions >= 0
    learnt, held = labelled & ~pictures.held_out, labelled & pictures.held_out
    targets = pictures.emotions[learnt]
    missing = next((emotion for place, emotion in enumerate(EMOTIONS) if not bool((targets == place).any())), None)
    if missing is not None:
        raise LiminalError(f"No picture of {missing} is there to learn from; name classes by emotions, or by RAF-DB's numbers.")
    if not bool(held.any()):
        raise LiminalError("No labelled picture is held out, so that nothing could be measured; add some, best in a folder 'test'.")
    x = pictures.vectors[learnt]
    mean, deviation = x.mean(dim=0), x.std(dim=0).clamp_min(1e-6)
    x = (x - mean) / deviation
    torch.manual_seed(seed)
    network = EmotionMLPNetwork(x.shape[1], width)
    plan = Plan(steps=steps, batch=batch, rate=1e-3, seed=seed, weight_decay=1e-2, average=0.99)

    def loss(rows: Tensor, random: torch.Generator) -> Tensor:
        jitter = JITTER * torch.randn(len(rows), x.shape[1], generator=random)
        return cross_entropy(network(x[rows] + jitter), targets[rows])

    seconds = train(network, loss, len(x), plan, name=NAME, saved=saved, progress=progress)
    _take_in(network, mean, deviation)
    with torch.inference_mode():
        logits = network(pictures.vectors[held])
    return write_trained(
        NAME,
        network.state_dict(),
        configuration={"embedding_dim": x.shape[1], "width": width, "encoder": pictures.encoder},
        data=pictures.described(),
        command=command,
        seed=seed,
        figures=held_out_figures(logits, pictures.emotions[held]),
        seconds=seconds,
        folder=folder,
    )


def _take_in(network: EmotionMLPNetwork, mean: Tensor, deviation: Tensor) -> None:
    """Let the first layer standardise, so that the network reads embeddings as they are."""
    first = network[0]
    assert isinstance(first, nn.Linear)
    with torch.no_grad():
        first.weight.div_(deviation)
        first.bias.sub_(first.weight @ mean)


def held_out_figures(logits: Tensor, labels: Tensor) -> dict[str, object]:
    """(N, 6), (N,) -> accuracy with its 95 % Wilson interval beside that of always saying the commonest emotion, and by emotion."""
    from statsmodels.stats.proportion import proportion_confint

    right = logits.argmax(dim=1) == labels
    low, high = proportion_confint(int(right.sum()), len(labels), method="wilson")
    by_emotion = {}
    for place, emotion in enumerate(EMOTIONS):
        of_it = labels == place
        if bool(of_it.any()):
            by_emotion[emotion] = {"recall": round(float(right[of_it].float().mean()), 4), "n": int(of_it.sum())}
    return {
        "n_held_out": len(labels),
        "accuracy": {"share": round(float(right.float().mean()), 4), "low": round(float(low), 4), "high": round(float(high), 4)},
        "commonest_emotion": round(float(labels.bincount().max()) / len(labels), 4),
        "cross_entropy": round(float(cross_entropy(logits, labels)), 4),
        "by_emotion": by_emotion,
    }
