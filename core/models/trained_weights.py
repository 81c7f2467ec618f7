"""Networks trained in this repository: weights as safetensors beside a card that says how they were made.

``assets/weights/<name>.safetensors`` and ``assets/weights/<name>.json``. The card holds the SHA-256 of the weights, the
configuration of the network, the data, the command, the seed, the figures on held-out faces and the date.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from core.errors import LiminalError
from core.lazy_import import lazy_import
from core.models.weights import ROOT, WeightFile
from core.writing import write_bytes

if TYPE_CHECKING:
    import safetensors
    import safetensors.torch as safetensors_torch
else:  # networks are built without it
    safetensors, safetensors_torch = lazy_import("safetensors"), lazy_import("safetensors.torch")

FOLDER = ROOT / "assets" / "weights"
TRAIN_COMMAND = "python -m core train"


@dataclass(frozen=True)
class TrainedWeights:
    """The result of a training command: the network's configuration, its tensors, and the whole card."""

    name: str
    path: Path
    configuration: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    card: Mapping[str, Any]

    def fill_network(self, network: nn.Module) -> None:
        """Copy the tensors into the network. Raises LiminalError with the first key that is wrong."""
        expected = network.state_dict()
        for key, tensor in expected.items():
            if key not in self.tensors:
                raise LiminalError(
                    f"The weights {self.path} lack '{key}'; they belong to another network: {repair_advice(self.name)}."
                )
            if self.tensors[key].shape != tensor.shape:
                raise LiminalError(
                    f"'{key}' in {self.path} has the shape {tuple(self.tensors[key].shape)}, the network needs "
                    f"{tuple(tensor.shape)}; these weights belong to a network of another size: {repair_advice(self.name)}."
                )
        extra = next((key for key in self.tensors if key not in expected), None)
        if extra is not None:
            raise LiminalError(f"'{extra}' in {self.path} is unknown to this network; the weights belong to another one.")
        network.load_state_dict({key: self.tensors[key].to(tensor.dtype) for key, tensor in expected.items()})


def repair_advice(name: str) -> str:
    """What to do about weights that cannot be used."""
    return f"restore the file from the repository or train it again with '{TRAIN_COMMAND} {name}'"


def trained_weight_file(name: str) -> WeightFile:
    """The committed weights as a file of a model card; their SHA-256 is read from the JSON card beside them."""
    try:
        sha256 = str(json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))["sha256"])
    except (OSError, ValueError, KeyError):
        sha256 = ""  # differs from every file's, so that ``verified`` says what is wrong
    return WeightFile("trained here", "", f"assets/weights/{name}.safetensors", sha256, f"{TRAIN_COMMAND} {name}")


def read_trained(name: str, folder: Path | None = None) -> TrainedWeights:
    """The weights and their card. Raises LiminalError where they are missing, altered, no safetensors, or hold NaNs."""
    folder = folder or FOLDER
    path, described = folder / f"{name}.safetensors", folder / f"{name}.json"
    try:
        card = json.loads(described.read_text(encoding="utf-8"))
        data = path.read_bytes()
        configuration, expected = dict(card["configuration"]), card["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LiminalError(f"The weights {path} or their card are missing or damaged; {repair_advice(name)}.") from error
    if hashlib.sha256(data).hexdigest() != expected:
        raise LiminalError(f"The weights {path} are not the ones that their card describes (SHA-256); {repair_advice(name)}.")
    try:
        tensors = safetensors_torch.load(data)
    except (safetensors.SafetensorError, ValueError) as error:
        raise LiminalError(f"The weights {path} are no safetensors file; {repair_advice(name)}.") from error
    for key, tensor in tensors.items():
        if not bool(torch.isfinite(tensor.float()).all()):
            raise LiminalError(f"'{key}' in {path} holds values that are not finite (NaN); {repair_advice(name)}.")
    return TrainedWeights(name, path, configuration, tensors, card)


def write_trained(
    name: str,
    tensors: Mapping[str, Tensor],
    *,
    configuration: Mapping[str, Any],
    data: Mapping[str, Any],
    command: str,
    seed: int,
    figures: Mapping[str, Any],
    seconds: float,
    folder: Path | None = None,
) -> TrainedWeights:
    """Write weights and card, the card last; each file is whole or not there."""
    folder = folder or FOLDER
    for key, tensor in tensors.items():
        if not bool(torch.isfinite(tensor.float()).all()):
            raise LiminalError(f"Training {name} ended with values that are not finite in '{key}'; nothing was written.")
    content = safetensors_torch.save({key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()})
    card = {
        "name": name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "configuration": dict(configuration),
        "data": dict(data),
        "command": command,
        "seed": seed,
        "figures": dict(figures),
        "seconds": round(seconds, 1),
        "torch": torch.__version__,
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
    }
    write_bytes(folder / f"{name}.safetensors", content)
    write_bytes(folder / f"{name}.json", (json.dumps(card, indent=1, allow_nan=False) + "\n").encode())
    return read_trained(name, folder)
