"""Embeddings of pictures by an encoder, kept in shards outside the repository: an interrupted run goes on where it was."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from core.errors import LiminalError
from core.models.contracts import EMOTIONS, Encoder
from core.models.training.faces import cache_folder
from core.models.training.pictures import LabelledPicture, read_pictures
from core.progress import Progress
from core.writing import write_bytes

SHARD, BATCH = 512, 16


@dataclass(frozen=True)
class EmbeddedPictures:
    """vectors (N, E); emotions (N,), -1 where a picture shows none of EMOTIONS; held_out (N,): these train nothing."""

    vectors: Tensor
    emotions: Tensor
    held_out: Tensor
    encoder: str

    def described(self) -> dict[str, object]:
        """For a card."""
        counts = {emotion: int((self.emotions == place).sum()) for place, emotion in enumerate(EMOTIONS)}
        return {
            "pictures": len(self.vectors),
            "held_out": int(self.held_out.sum()),
            "kind": "photographs in a folder",
            "by_emotion": counts,
        }


def embedded_pictures(
    pictures: Sequence[LabelledPicture], encoder: Encoder, *, folder: Path | None = None, progress: Progress | None = None
) -> EmbeddedPictures:
    """Shards that exist are read, the others made. A shard depends on the encoder's weights and its own pictures alone."""
    progress = progress or Progress()
    folder = folder or cache_folder() / "embeddings"
    parts = []
    for start in range(0, len(pictures), SHARD):
        chosen = pictures[start : start + SHARD]
        path = folder / f"{_key(chosen, encoder)}.safetensors"
        if not path.is_file():
            rows = []
            for place in range(0, len(chosen), BATCH):
                done = start + place
                progress.stage(f"{encoder.name} reads picture {done + 1} of {len(pictures)}", done / len(pictures))
                with torch.inference_mode():
                    rows.append(encoder.embed(read_pictures([each.path for each in chosen[place : place + BATCH]])).float().cpu())
            write_bytes(path, save({"vectors": torch.cat(rows).clone()}))
        parts.append(_read(path, (len(chosen), encoder.embedding_dim)))
    return EmbeddedPictures(
        torch.cat(parts),
        torch.tensor([-1 if each.emotion is None else each.emotion for each in pictures]),
        torch.tensor([each.held_out for each in pictures]),
        encoder.name,
    )


def _key(pictures: Sequence[LabelledPicture], encoder: Encoder) -> str:
    """Of the weights, and of each picture's place, size and time of change."""
    known = [encoder.name, *(file.sha256 for file in encoder.card.files)]
    for each in pictures:
        stat = each.path.stat()
        known.append(f"{each.path.resolve()} {stat.st_size} {stat.st_mtime_ns}")
    return hashlib.sha256("\n".join(known).encode()).hexdigest()[:32]


def _read(path: Path, shape: tuple[int, int]) -> Tensor:
    try:
        vectors = load_file(path)["vectors"]
    except (SafetensorError, OSError, KeyError) as error:
        raise LiminalError(f"The stored embeddings {path} are damaged; delete the file and start again.") from error
    if tuple(vectors.shape) != shape:
        raise LiminalError(f"The stored embeddings {path} have the shape {tuple(vectors.shape)}, not {shape}; delete the file.")
    return vectors
