"""How a model learned, epoch by epoch: what pages draw live and results keep."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Epoch:
    """loss: mean cross-entropy over what was learned, nats (NaN before the first epoch, number 0); validation: held-out answers."""

    number: int
    loss: float
    validation_loss: float
    validation_accuracy: float  # share of held-out answers that are the model's first choice


@dataclass(frozen=True)
class EpochDone:
    """An event of ``core.progress``: one epoch of one model. stage: "group" or "individual"; rater: "" for the group."""

    classifier: str
    stage: str
    rater: str
    of: int  # epochs asked for
    epoch: Epoch


@dataclass(frozen=True)
class EpochsBefore:
    """An event of ``core.progress`` as a model begins to learn, or goes on: the state before learning and all epochs so far."""

    classifier: str
    stage: str
    rater: str
    epochs: tuple[Epoch, ...]


@dataclass(frozen=True)
class Curve:
    """All epochs, the state before learning first. stopped_early: before all epochs that were asked for."""

    epochs: tuple[Epoch, ...]
    stopped_early: bool = False
