"""Strips: one person turning into another by linear interpolation (``identity.interpolate``), judged frame by frame.

Every frame is judged from the picture that is shown: the home page's stored strip is encoded, decoded again and only then given
to the recognisers. ``stored.strip`` loads that one without torch.
"""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.errors import LiminalError
from core.models import registry
from core.progress import Progress
from core.sampling.bases import make_portraits
from core.sampling.configuration import StepsMove
from core.sampling.identity import find_moved_block, interpolate, take_block
from core.sampling.images import decode_webp, encode_webp, to_images, to_pictures
from core.sampling.stored.population import load_thresholds
from core.sampling.stored.scores import METRICS
from core.sampling.stored.strip import STRIP_COMMAND, STRIP_FOLDER, StoredStrip, StripScores, load_strip
from core.writing import write_bytes

STRIP_FRAMES = 41
"""Pictures of a strip between two bases; those at 25, 50 and 75 % of the way are among them."""

DECODING_BATCH = 4
"""Frames decoded between two looks at whether the user has cancelled."""


@dataclass(frozen=True)
class InterpolationStrip:
    """Pictures from a base to another person (WebP without loss) and what every recogniser says of exactly these pictures.

    judgements: against the first picture; from_end: the same pictures against the last one, recogniser by recogniser.
    """

    frames: tuple[bytes, ...]
    judgements: tuple[StripScores, ...]
    from_end: tuple[StripScores, ...] = ()


def make_strip(
    start: NDArray[np.float32],
    end: NDArray[np.float32],
    generator: str,
    recognisers: Sequence[str],
    progress: Progress | None = None,
    *,
    steps_move: StepsMove = "everything",
) -> InterpolationStrip:
    """``STRIP_FRAMES`` pictures in equal steps from one latent (d,) to another, each judged by every recogniser.

    steps_move: "person" goes to the other's identity block alone.
    """
    progress = progress or Progress()
    network = registry.load(generator, "generator")
    end = take_block(start, end, find_moved_block(steps_move, network))
    fractions = [index / (STRIP_FRAMES - 1) for index in range(STRIP_FRAMES)]
    latents = torch.from_numpy(np.stack(interpolate(start, end, fractions)))
    batches = []
    for first in range(0, STRIP_FRAMES, DECODING_BATCH):
        progress.stage("Making the pictures in between", 0.5 * first / STRIP_FRAMES)
        with torch.inference_mode():
            batches.append(to_pictures(network.decode(latents[first : first + DECODING_BATCH])))
    pictures = np.concatenate(batches)
    judgements = _judge_strip(to_images(pictures), recognisers, progress.stretch(0.5, 1.0))
    return InterpolationStrip(
        tuple(encode_webp(picture, lossless=True) for picture in pictures),
        tuple(first for first, _ in judgements),
        tuple(last for _, last in judgements),
    )


def _judge_strip(images: Tensor, recognisers: Sequence[str], progress: Progress) -> list[tuple[StripScores, StripScores]]:
    """The distance of every frame (F, 3, H, W) to the first one, and to the last one, by every recogniser."""
    judgements = []
    for index, name in enumerate(recognisers):
        judge = registry.load(name, "recogniser")
        progress.stage(f"Asking {judge.card.title}", index / len(recognisers))
        vectors = judge.embed(images)
        ends = []
        for end in (vectors[:1], vectors[-1:]):
            distances = judge.distance(end, vectors).tolist()
            known = tuple(value if math.isfinite(value) else None for value in distances)
            ends.append(StripScores(name, judge.card.title, judge.threshold, judge.threshold_source, known))
        judgements.append((ends[0], ends[1]))
    return judgements


def build_strip(
    start_seed: int,
    end_seed: int,
    *,
    generator: str,
    frames: int = 61,
    recognisers: Sequence[str] = tuple(METRICS),
    folder: Path = STRIP_FOLDER,
    quality: int = 84,
    progress: Progress | None = None,
) -> StoredStrip:
    """The strip from one seed's latent to another's in equal steps, every stored picture judged against the first; writes it."""
    if frames < 2:
        raise LiminalError("A walk needs at least two frames: its start and its end.")
    progress = progress or Progress()
    network = registry.load(generator, "generator")
    ends = make_portraits(network.sample([start_seed, end_seed]), network)  # (2, d)
    size = max([network.image_size, *network.sizes])
    fractions = torch.linspace(0, 1, frames)[:, None]
    latents = ends[:1] * (1 - fractions) + ends[1:] * fractions  # (frames, d)
    names = [f"{index:03d}.webp" for index in range(frames)]
    pictures = []
    for index, name in enumerate(names):
        progress.stage(f"Making frame {index + 1} of {frames}", index / frames)
        with torch.inference_mode():
            encoded = encode_webp(to_pictures(network.decode_at(latents[index : index + 1], size))[0], quality)
        write_bytes(folder / name, encoded)
        pictures.append(decode_webp(encoded))
    judged = _judge_strip(to_images(np.stack(pictures)), recognisers, progress.stretch(1.0, 1.0))
    judgements = [_apply_opening_limit(scores, generator) for scores, _ in judged]
    card: dict[str, Any] = {
        "generator": generator,
        "start_seed": start_seed,
        "end_seed": end_seed,
        "frames": names,
        "judgements": [asdict(_round_distances(scores)) for scores in judgements],
        "picture_quality": quality,
        "command": f"{STRIP_COMMAND} --start {start_seed} --end {end_seed} --frames {frames}",
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
    }
    write_bytes(folder / "walk.json", (json.dumps(card, indent=1, allow_nan=False) + "\n").encode())
    return load_strip(folder)


def _apply_opening_limit(scores: StripScores, generator: str) -> StripScores:
    """The limit that pages open at, where it is not the recogniser's default."""
    limits = load_thresholds(generator, scores.recogniser)
    if limits.opening == scores.threshold:
        return scores
    source = f"1 in 1,000 of {limits.pairs:,} pairs of strangers of {registry.title(generator)} gets in"
    return replace(scores, threshold=round(limits.opening, 3), threshold_source=source)


def _round_distances(scores: StripScores) -> StripScores:
    return replace(scores, distances=tuple(None if value is None else round(value, 4) for value in scores.distances))
