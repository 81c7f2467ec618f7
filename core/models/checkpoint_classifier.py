"""Emotion classifiers whose authors publish a PyTorch checkpoint and no description: what DAN and ResEmoteNet have in common.

Which output means which emotion stands in no file. It is known for the data sets that the authors trained on, guessed from the
number of outputs and the file's name, shown, and correctable by the options ``order`` and ``labels``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from core.errors import LiminalError
from core.models.contracts import EMOTIONS, Classifier, ModelCard
from core.models.engine import gathered
from core.models.hf_classifier import labels_of
from core.models.own.card import added_card, outputs_read
from core.models.own.listing import OwnModel
from core.models.own.sources import WEIGHTS, verified
from core.models.own.tensors import read_tensors

CHUNK = 4
IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

ORDERS: Mapping[str, tuple[str, ...]] = {
    "affectnet-8": ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger", "contempt"),
    "affectnet-7": ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger"),
    "raf-db": ("surprise", "fear", "disgust", "happy", "sad", "anger", "neutral"),
    "resemotenet": ("happy", "surprise", "sad", "anger", "disgust", "fear", "neutral"),
}
"""Outputs in the order of the data sets' class numbers: AffectNet (Mollahosseini et al. 2017), RAF-DB's basic set (Li et al. 2017,
its 1 to 7 counted from 0), and the order in which ResEmoteNet's authors number the classes of all theirs."""


class CheckpointClassifier(Classifier):
    """The whole image is taken as a tight face."""

    def __init__(
        self,
        network: nn.Module,
        preprocessing: Callable[[Tensor], Tensor],
        order: list[int],
        device: torch.device,
        card: ModelCard,
    ) -> None:
        self.card, self.device = card, device
        self.network = network.to(device).eval().requires_grad_(False)
        self.preprocessing, self.order = preprocessing, order

    def logits(self, images: Tensor) -> Tensor:
        return gathered(self.network, self.preprocessing(images.to(self.device)), CHUNK, keep=True)[:, self.order].float()


def weights_file(root: Path) -> Path:
    """The only weight file of a folder, or the file itself."""
    if root.is_file():
        return root
    found = sorted(each for each in root.iterdir() if each.suffix in WEIGHTS)
    if len(found) != 1:
        raise LiminalError(f"{root} holds {len(found)} weight files; name the one that is meant.")
    return found[0]


def checkpoint_tensors(path: Path) -> dict[str, Tensor]:
    """A checkpoint's tensors by the network's own names, also where it was saved from DataParallel."""
    return {key.removeprefix("module."): tensor for key, tensor in read_tensors(path).items()}


def settled(own: OwnModel, count: int, path: Path, *, guess: str) -> dict[str, Any]:
    """The options with the order of the outputs and the labels filled in, so that they can be read and corrected.

    count: the network's outputs. guess: the name in ORDERS where no other one fits better.
    Raises LiminalError for an order that does not fit, and where an emotion has no output.
    """
    order: str | None = own.options.get("order") or _guessed(count, path, guess)
    if order is not None and order not in ORDERS:
        raise LiminalError(f"The option order is '{order}'; it can be {', '.join(ORDERS)}.")
    if order is not None and len(ORDERS[order]) != count:
        raise LiminalError(f"The order {order} has {len(ORDERS[order])} outputs, the network in {path.name} has {count}.")
    names = dict(enumerate(ORDERS[order] if order is not None else [f"output {number}" for number in range(count)]))
    options = {**own.options, "labels": labels_of(own.options.get("labels", {}), names)}
    return options if order is None else {**options, "order": order}


def _guessed(count: int, path: Path, guess: str) -> str | None:
    fitting = [name for name, names in ORDERS.items() if len(names) == count]
    if "raf" in path.name.lower() and "raf-db" in fitting and guess != "resemotenet":
        return "raf-db"
    return guess if guess in fitting else next(iter(fitting), None)


def output_order(options: Mapping[str, Any]) -> list[int]:
    """The outputs in the order of EMOTIONS."""
    return [int(options["labels"][emotion]) for emotion in EMOTIONS]


def loaded(
    own: OwnModel,
    read_network: Callable[[Path], nn.Module],
    preprocessing: Callable[[Tensor], Tensor],
    settle: Callable[[OwnModel, Path], Mapping[str, Any]],
    device: torch.device,
    card: ModelCard,
) -> CheckpointClassifier:
    """An added one with its weights; its outputs as settled when it was added, else as ``settle`` guesses."""
    root = verified(own)
    order = output_order(own.options if "labels" in own.options else settle(own, root))
    return CheckpointClassifier(read_network(weights_file(root)), preprocessing, order, device, card)


def described(own: OwnModel, paper: str, size: int) -> ModelCard:
    """The card of an added one."""
    return added_card(
        own,
        f"{own.source} ({paper}), {outputs_read(own)}",
        input_size=size,
        data_licence="not stated; AffectNet, RAF-DB and FER2013 are for non-commercial research",
    )
