"""A walk through latent space from one generated person to another, judged frame by frame: the picture that explains the idea.

Stored in ``assets/walk``: ``walk.json`` (configuration, distances by recogniser, thresholds, command, date) and one WebP a frame.
The *stored* picture is what is judged: every frame is encoded, decoded again and only then given to the recognisers.
"""

from __future__ import annotations

import datetime as dt
import io
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from core.errors import LiminalError
from core.progress import Progress
from core.sampling.descriptors import ASSETS, METRICS
from core.sampling.webp import encode_webp
from core.writing import write_bytes

FOLDER = ASSETS / "walk"
COMMAND = "python -m core assets walk"


@dataclass(frozen=True)
class Judgement:
    """One recogniser on every frame: distance to the first frame, None where it found no face."""

    recogniser: str
    title: str
    threshold: float
    threshold_source: str
    distances: tuple[float | None, ...]

    @property
    def first_refused(self) -> int | None:
        """The first frame that is not accepted any more; None when all are."""
        for index, distance in enumerate(self.distances):
            if distance is None or distance >= self.threshold:
                return index
        return None


@dataclass(frozen=True)
class Walk:
    """The stored walk: pictures in order and what each recogniser says of them."""

    generator: str
    start_seed: int
    end_seed: int
    frames: tuple[Path, ...]
    judgements: tuple[Judgement, ...]
    command: str
    date: str

    def judged_by(self, recogniser: str) -> Judgement:
        """Raises LiminalError where that recogniser was not asked."""
        for judgement in self.judgements:
            if judgement.recogniser == recogniser:
                return judgement
        raise LiminalError(f"The walk was not judged by {recogniser}; make it again with '{COMMAND}'.")


def build(
    start_seed: int,
    end_seed: int,
    *,
    generator: str = "dcgan-sharp",
    frames: int = 61,
    recognisers: Sequence[str] = tuple(METRICS),
    folder: Path = FOLDER,
    quality: int = 84,
    progress: Progress | None = None,
) -> Walk:
    """Walk from one seed's latent to another's in equal steps, judge every stored picture against the first, write the files.

    The way is linear, as paper A's interpolation is (section 4.1).
    """
    import numpy as np
    import torch
    from PIL import Image

    from core.models import registry
    from core.sampling.pictures import to_pictures

    if frames < 2:
        raise LiminalError("A walk needs at least two frames: its start and its end.")
    progress = progress or Progress()
    maker = registry.load(generator, "generator")
    ends = maker.sample([start_seed, end_seed])  # (2, d)
    fractions = torch.linspace(0, 1, frames)[:, None]
    latents = ends[:1] * (1 - fractions) + ends[1:] * fractions  # (frames, d)
    names = [f"{index:03d}.webp" for index in range(frames)]
    stored = []
    for index, name in enumerate(names):
        progress.stage(f"Making frame {index + 1} of {frames}", index / frames)
        with torch.inference_mode():
            picture = encode_webp(to_pictures(maker.decode(latents[index : index + 1]))[0], quality)
        write_bytes(folder / name, picture)
        stored.append(np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")))
    images = torch.from_numpy(np.stack(stored)).permute(0, 3, 1, 2).float() / 255
    judgements = []
    for recogniser in recognisers:
        progress.stage(f"Asking {recogniser} about every frame", 1.0)
        judge = registry.load(recogniser, "recogniser")
        vectors = judge.embed(images)
        distances = judge.distance(vectors[:1], vectors).tolist()
        judgements.append(
            Judgement(
                recogniser,
                judge.card.title,
                judge.threshold,
                judge.threshold_source,
                tuple(round(value, 4) if math.isfinite(value) else None for value in distances),
            )
        )
    card: dict[str, Any] = {
        "generator": generator,
        "start_seed": start_seed,
        "end_seed": end_seed,
        "frames": names,
        "judgements": [asdict(judgement) for judgement in judgements],
        "picture_quality": quality,
        "command": f"{COMMAND} --start {start_seed} --end {end_seed} --frames {frames}",
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
    }
    write_bytes(folder / "walk.json", (json.dumps(card, indent=1, allow_nan=False) + "\n").encode())
    return load_walk(folder)


def load_walk(folder: Path = FOLDER) -> Walk:
    """The stored walk. Imports no torch. Raises LiminalError where there is none."""
    try:
        card = json.loads((folder / "walk.json").read_text(encoding="utf-8"))
        return Walk(
            generator=card["generator"],
            start_seed=card["start_seed"],
            end_seed=card["end_seed"],
            frames=tuple(folder / name for name in card["frames"]),
            judgements=tuple(Judgement(**{**row, "distances": tuple(row["distances"])}) for row in card["judgements"]),
            command=card["command"],
            date=card["date"],
        )
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise LiminalError(f"The walking picture in {folder} is missing or damaged; make it again with '{COMMAND}'.") from error
