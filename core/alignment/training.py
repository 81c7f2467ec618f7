"""Fine-tuning that can be stopped and killed: seeded epoch by epoch, saved after each, continued with the same result.

Cross-entropy over answers (paper B, section V.A). The answers to one image weigh as many as they are, so that a network looks at
an image once for all of them: the sum over 13 votes is 13 times the cross-entropy to their shares. A batch is 128 answers either
way. The small MLP takes every answer as a row of its own.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor
from torch.nn.functional import log_softmax

from core.alignment.answers import Places, counted
from core.alignment.configuration import Part
from core.alignment.curves import Curve, Epoch, EpochDone, EpochsBefore
from core.alignment.networks import AT_ONCE, Learner, features
from core.analysis.answers import Array
from core.errors import LiminalError
from core.models.emotions import EMOTIONS
from core.progress import Progress
from core.sampling.seeds import generator_for, sample_seed
from core.writing import write_bytes


@dataclass(frozen=True, eq=False)
class Rows:
    """What is learned: place of an input (R,), target distribution (R, 6), weight in answers (R,)."""

    image: Places
    target: NDArray[np.float32]
    weight: Array

    def __len__(self) -> int:
        return len(self.image)

    @classmethod
    def single(cls, image: Places, emotion: Places) -> Rows:
        """Every answer a row."""
        return cls(image, np.eye(len(EMOTIONS), dtype=np.float32)[emotion], np.ones(len(image)))

    @classmethod
    def by_image(cls, image: Places, emotion: Places, images: int) -> Rows:
        """Every image a row, with the shares of its answers."""
        counts = counted(image, emotion, images)
        seen = np.flatnonzero(counts.sum(axis=1))
        votes = counts[seen].sum(axis=1)
        return cls(seen, (counts[seen] / votes[:, None]).astype(np.float32), votes)

    def taken(self, places: Places, weight: float | None = None) -> Rows:
        """Some of the rows, in that order; ``weight``: instead of their own."""
        weights = self.weight[places] if weight is None else np.full(len(places), weight)
        return Rows(self.image[places], self.target[places], weights)


@dataclass(frozen=True)
class Schedule:
    """How long and how fast; seed: of the order of rows."""

    epochs: int
    batch: int
    rate: float
    seed: int
    part: Part = "all"
    patience: int = 0


def mixed(main: Rows, other: Rows | None, share: float, random: np.random.Generator) -> Rows:
    """An epoch: all of ``main`` once and, with ``share`` times its weight, rows drawn from ``other``, shuffled.

    ``other`` is gone through as often as needed, each time in a new order; its rows weigh as much as those of ``main`` do on
    average.
    """
    parts = [main]
    if other is not None and len(other) and share > 0:
        typical = float(main.weight.mean())
        wanted = max(1, round(share * float(main.weight.sum()) / typical))
        drawn = [random.permutation(len(other)) for _ in range(-(-wanted // len(other)))]
        parts.append(other.taken(np.concatenate(drawn)[:wanted], typical))
    image = np.concatenate([each.image for each in parts])
    target = np.concatenate([each.target for each in parts])
    weight = np.concatenate([each.weight for each in parts])
    return Rows(image, target, weight).taken(random.permutation(len(image)))


def batches(rows: Rows, size: float) -> Iterator[Rows]:
    """Consecutive rows that weigh some ``size`` answers together; a last batch of less than half joins the one before."""
    ends = np.floor((np.cumsum(rows.weight) - rows.weight / 2) / size).astype(np.intp)
    if len(ends) and ends[-1] > 0 and rows.weight[ends == ends[-1]].sum() < size / 2:
        ends[ends == ends[-1]] -= 1
    for each in np.unique(ends):
        yield rows.taken(np.flatnonzero(ends == each))


@torch.inference_mode(False)
def fine_tune(
    network: Learner,
    inputs: Tensor,
    main: Rows,
    other: Rows | None,
    share: float,
    judged: Rows,
    schedule: Schedule,
    *,
    stage: str,
    rater: str = "",
    saved: Path | None = None,
    progress: Progress | None = None,
) -> Curve:
    """Train ``network`` in place -> its curve. judged: held-out rows, looked at after every epoch.

    saved: where the state is kept after each epoch; a file of the same task is continued. Emits EpochsBefore and EpochDone. Raises
    LiminalError when the loss is no number any more; what was saved then stays.
    """
    progress = progress or Progress()
    parameters = network.learning(schedule.part)
    shortcut = schedule.part == "head"
    given = features(network, inputs) if shortcut else inputs
    forward = network.from_features if shortcut else network
    adam = torch.optim.Adam(parameters, lr=schedule.rate)
    state = _State(parameters, adam, _task(schedule, network.name, stage, rater))
    epochs, best = state.restore(saved)
    if not epochs:
        epochs = [Epoch(0, math.nan, *_judge(forward, given, judged))]
    progress.emit(EpochsBefore(network.name, stage, rater, tuple(epochs)))
    whose = f" of {rater}" if rater else ""
    while len(epochs) <= schedule.epochs and not _stalled(epochs, schedule.patience):
        number = len(epochs)
        random = generator_for(sample_seed(schedule.seed, "epoch", stage, rater, number))
        total, weight = 0.0, 0.0
        for batch in batches(mixed(main, other, share, random), schedule.batch):
            progress.check()
            loss = _loss(forward(given[torch.from_numpy(batch.image)]), batch)
            value = float(loss.detach())
            if not math.isfinite(value):
                raise LiminalError(
                    f"Learning stopped in epoch {number}: the loss of {network.name} is no number any more; lower the rate "
                    f"({schedule.rate:g}) and start again."
                )
            adam.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            adam.step()
            total, weight = total + value * float(batch.weight.sum()), weight + float(batch.weight.sum())
        epochs.append(Epoch(number, total / weight, *_judge(forward, given, judged)))
        if schedule.patience and epochs[-1].validation_loss <= min(each.validation_loss for each in epochs):
            best = [parameter.detach().clone() for parameter in parameters]
        if saved is not None:
            state.keep(saved, epochs, best)
        progress.stage(
            f"{network.name} learns from the {stage}{whose}: epoch {number} of {schedule.epochs}", number / schedule.epochs
        )
        progress.emit(EpochDone(network.name, stage, rater, schedule.epochs, epochs[-1]))
    if best:
        with torch.no_grad():
            for parameter, value_of in zip(parameters, best, strict=True):
                parameter.copy_(value_of)
    network.requires_grad_(False)
    return Curve(tuple(epochs), bool(schedule.patience) and len(epochs) <= schedule.epochs)


def _loss(logits: Tensor, rows: Rows) -> Tensor:
    weight = torch.from_numpy(rows.weight).float()
    each = -(torch.from_numpy(rows.target) * log_softmax(logits, dim=1)).sum(dim=1)
    return (weight * each).sum() / weight.sum()


def _judge(forward: Any, given: Tensor, rows: Rows) -> tuple[float, float]:
    """Loss in nats and accuracy over held-out rows; NaN over none."""
    if not len(rows):
        return math.nan, math.nan
    with torch.no_grad():
        chosen = given[torch.from_numpy(rows.image)]
        logits = torch.cat([forward(chosen[start : start + AT_ONCE]) for start in range(0, len(chosen), AT_ONCE)])
        loss = float(_loss(logits, rows))
    agreed = rows.target[np.arange(len(rows)), logits.argmax(dim=1).numpy()]
    return loss, float((agreed * rows.weight).sum() / rows.weight.sum())


def _stalled(epochs: list[Epoch], patience: int) -> bool:
    """Whether the validation loss has not fallen for ``patience`` epochs."""
    losses = [each.validation_loss for each in epochs]
    return bool(patience) and len(losses) - 1 - int(np.argmin(losses)) >= patience


def _task(schedule: Schedule, name: str, stage: str, rater: str) -> str:
    return repr((schedule, name, stage, rater))


@dataclass(frozen=True, eq=False)
class _State:
    """Weights, Adam's memory and the curve so far, in one file."""

    parameters: list[torch.nn.Parameter]
    adam: torch.optim.Adam
    task: str

    def keep(self, path: Path, epochs: list[Epoch], best: list[Tensor]) -> None:
        tensors = {}
        for place, parameter in enumerate(self.parameters):
            memory = self.adam.state[parameter]
            tensors[f"{place}.value"] = parameter.detach()
            tensors[f"{place}.first"], tensors[f"{place}.second"] = memory["exp_avg"], memory["exp_avg_sq"]
            if best:
                tensors[f"{place}.best"] = best[place]
        steps = float(self.adam.state[self.parameters[0]]["step"])
        curve = json.dumps([[each.number, each.loss, each.validation_loss, each.validation_accuracy] for each in epochs])
        described = {"task": self.task, "steps": str(steps), "curve": curve, "best": str(bool(best))}
        write_bytes(path, save({key: tensor.contiguous() for key, tensor in tensors.items()}, described))

    def restore(self, path: Path | None) -> tuple[list[Epoch], list[Tensor]]:
        """-> the curve so far and the best weights; both empty where nothing usable is saved, which then starts anew."""
        if path is None or not path.is_file():
            return [], []
        try:
            with safe_open(path, "pt") as file:
                described = file.metadata()
                if described["task"] != self.task:
                    return [], []
                kept = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no mapping)
            epochs = [Epoch(*row) for row in json.loads(described["curve"])]
            steps, has_best = float(described["steps"]), described["best"] == "True"
            best = [kept[f"{place}.best"] for place in range(len(self.parameters))] if has_best else []
            with torch.no_grad():
                for place, parameter in enumerate(self.parameters):
                    parameter.copy_(kept[f"{place}.value"])
                    first, second = kept[f"{place}.first"], kept[f"{place}.second"]
                    self.adam.state[parameter] = {"step": torch.tensor(steps), "exp_avg": first, "exp_avg_sq": second}
            return epochs, best
        except (OSError, SafetensorError, KeyError, ValueError, TypeError, RuntimeError) as error:
            raise LiminalError(f"The saved state {path} of a stopped run is damaged; delete it and start again.") from error
