"""Paper B's diffusion prior over CLIP embeddings, as a model that a user adds: CoCoG-2's checkpoints, or one trained here.

A checkpoint is CoCoG-2's state dict (``cocog_uvit``), best the moving average (``..._ema.pt``), or the .safetensors file that
``python -m core train uvit-prior`` writes in the same names, with a card beside it. DDPM, noise prediction, 1,000 steps of the
linear schedule, as in CoCoG-2; its scheduler would also clip each estimate to [-1, 1], which is not done here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.errors import LiminalError
from core.models.cocog_uvit import CocogUViT, read_published
from core.models.contracts import ModelCard, Prior
from core.models.engine import gathered
from core.models.own.card import added_card
from core.models.own.listing import OwnModel
from core.models.own.options import is_whole
from core.models.own.sources import verified
from core.models.own.tensors import read_tensors

CHUNK = 4
TRAIN_STEPS, BETAS = 1000, "linear"
SCHEDULES = ("linear", "scaled_linear", "squaredcos_cap_v2")


class CocogPrior(Prior):
    """The network behind the contract."""

    def __init__(self, network: CocogUViT, train_steps: int, betas: str, device: torch.device, card: ModelCard) -> None:
        self.card, self.device = card, device
        self.network = network.to(device).eval().requires_grad_(False)
        self.embedding_dim = network.configuration.embedding_dim
        self.train_steps, self.betas = train_steps, betas
        self.chunk = CHUNK

    def noise(self, noised: Tensor, step: Tensor) -> Tensor:
        rows = torch.cat([noised, step[:, None].to(noised)], dim=1).to(self.device)
        return gathered(self._noise, rows, self.chunk)

    def _noise(self, rows: Tensor) -> Tensor:
        noise: Tensor = self.network(rows[:, :-1], rows[:, -1])
        return noise


def described_beside(path: Path) -> dict[str, Any]:
    """The configuration on the card that a training command wrote beside weights; empty where there is none."""
    try:
        found = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))["configuration"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return dict(found) if isinstance(found, dict) else {}


def settle(own: OwnModel, root: Path) -> dict[str, Any]:
    """Heads and schedule: as given, else as the card beside the file says, else as published."""
    told = described_beside(root)
    tensors = read_tensors(_file(root))
    heads = own.options.get("heads", told.get("heads"))
    if heads is not None and not is_whole(heads, 1):
        raise LiminalError(f"The option heads is '{heads}'; it is a whole number, 12 in the published size.")
    betas = own.options.get("betas", told.get("betas", BETAS))
    if betas not in SCHEDULES:
        raise LiminalError(f"The option betas is '{betas}'; use one of {', '.join(SCHEDULES)}.")
    steps = own.options.get("steps", told.get("train_steps", TRAIN_STEPS))
    if not is_whole(steps, 2, 10_000):
        raise LiminalError(f"The option steps is '{steps}'; it is the length of the schedule in training, 1000 as published.")
    return {"heads": read_published(tensors, root, heads).configuration.heads, "betas": betas, "steps": steps}


def _file(root: Path) -> Path:
    if not root.is_file():
        raise LiminalError(f"{root} is a folder; name the file with the prior's weights.")
    return root


def card(own: OwnModel) -> ModelCard:
    """The card of an added prior."""
    return added_card(
        own,
        f"{own.source}, {own.options['steps']} steps of the schedule {own.options['betas']}",
        not_for="it knows the embeddings that it was trained on alone",
    )


def load_own(own: OwnModel, device: torch.device) -> CocogPrior:
    """The prior with the weights that were added."""
    path = verified(own)
    network = read_published(read_tensors(_file(path)), path, own.options["heads"])
    return CocogPrior(network, own.options["steps"], own.options["betas"], device, card(own))
