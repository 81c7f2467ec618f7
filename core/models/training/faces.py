"""The data that everything is trained on: generated faces, and what the networks behind the embedding see in them.

Kept in shards outside the repository (``LIMINAL_DATA``, else the user's cache), each written whole or not at all, so that an
interrupted run goes on where it was. A shard depends on the seed and its number alone.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from core.errors import LiminalError
from core.models import registry
from core.models.device import choose_device
from core.models.face_embedding import FeatureNetworks
from core.progress import Progress
from core.writing import write_bytes

SHARD = 2048
BATCH = 32
HELD_OUT = 0.1
"""The last tenth of the faces trains nothing: every figure on a card is measured on it."""


@dataclass(frozen=True)
class TrainingFaces:
    """latents (N, d), features (N, 572) in the order of BLOCKS, logits (N, 2, 6) of the teachers; the last ones are held out."""

    generator: str
    seed: int
    latents: Tensor
    features: Tensor
    logits: Tensor

    def __len__(self) -> int:
        return len(self.latents)

    @property
    def trained(self) -> int:
        """How many of them may be trained on: the first ones."""
        return len(self) - max(1, round(HELD_OUT * len(self)))

    def described(self) -> dict[str, object]:
        """For a card."""
        return {
            "faces": len(self),
            "held_out": len(self) - self.trained,
            "generator": self.generator,
            "seed": self.seed,
            "kind": "generated faces, drawn at random",
        }


def cache_folder() -> Path:
    """Where large intermediate files lie: LIMINAL_DATA, else ~/.cache/liminal."""
    return Path(os.environ.get("LIMINAL_DATA") or Path.home() / ".cache" / "liminal")


def training_faces(
    count: int, seed: int = 0, *, generator: str = "dcgan", folder: Path | None = None, progress: Progress | None = None
) -> TrainingFaces:
    """At least ``count`` faces, in whole shards; shards that exist already are read, the others made.

    Raises LiminalError for a count that makes no sense and for a shard that is damaged.
    """
    if not 1 <= count <= 10_000_000:
        raise LiminalError(f"The number of training faces must be from 1 to 10000000, not {count}.")
    progress = progress or Progress()
    folder = folder or cache_folder() / "faces"
    size = min(SHARD, count)
    number = -(-count // size)
    networks: FeatureNetworks | None = None
    parts = []
    for index in range(number):
        path = folder / f"{generator}-{seed}-{size}-{index:04d}.safetensors"
        if not path.is_file():
            networks = networks or FeatureNetworks(choose_device())
            write_bytes(path, save(_shard(generator, seed, size, index, number, networks, progress)))
        parts.append(_read(path, size))
    joined = {key: torch.cat([part[key] for part in parts])[:count] for key in parts[0]}
    return TrainingFaces(generator, seed, joined["latents"], joined["features"].float(), joined["logits"])


def _shard(
    generator: str, seed: int, size: int, index: int, number: int, networks: FeatureNetworks, progress: Progress
) -> dict[str, Tensor]:
    maker = registry.load(generator, "generator")
    random = torch.Generator().manual_seed(seed * 1_000_003 + index)
    latents = torch.randn(size, maker.latent_dim, generator=random)
    features, logits = [], []
    for start in range(0, size, BATCH):
        done = (index + start / size) / number
        progress.stage(f"Making training faces: {index * size + start} of {number * size}", done)
        with torch.inference_mode():
            seen = networks.features(maker.decode_for_search(latents[start : start + BATCH]))
        features.append(seen.values.cpu())
        logits.append(seen.logits.cpu())
    return {"latents": latents, "features": torch.cat(features).half(), "logits": torch.cat(logits).float()}


def _read(path: Path, size: int) -> dict[str, Tensor]:
    try:
        shard = load_file(path)
        if len(shard["latents"]) != size:
            raise LiminalError(f"{path} holds another number of faces than its name says; delete it and train again.")
        return shard
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise LiminalError(f"The training faces in {path} are damaged; delete the file and train again.") from error
