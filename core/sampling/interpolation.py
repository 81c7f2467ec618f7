"""Interpolation between two latents (paper A, section 3.2.5), and strips: one person turning into another, judged frame by frame.

The way is linear, as the paper's is (section 4.1). Every frame is judged from the picture that is shown: the home page's stored
strip is
encoded, decoded again and only then given to the recognisers. ``stored.strip`` loads that one without torch.
"""

from __future__ import annotations

import datetime as dt
import io
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import LiminalError
from core.progress import Progress
from core.sampling.images import encode_webp
from core.sampling.stored.scores import METRICS
from core.sampling.stored.strip import STRIP_COMMAND, STRIP_FOLDER, StoredStrip, StripScores, load_strip
from core.writing import write_bytes


def interpolate(start: NDArray[np.float32], end: NDArray[np.float32], fractions: Sequence[float]) -> list[NDArray[np.float32]]:
    """The latents at ``fractions`` of the way. 25 % from one end equals 75 % from the other to the byte."""
    return [(np.float32(1 - fraction) * start + np.float32(fraction) * end).astype(np.float32) for fraction in fractions]


def build_strip(
    start_seed: int,
    end_seed: int,
    *,
    generator: str = "dcgan-sharp",
    frames: int = 61,
    recognisers: Sequence[str] = tuple(METRICS),
    folder: Path = STRIP_FOLDER,
    quality: int = 84,
    progress: Progress | None = None,
) -> StoredStrip:
    """Walk from one seed's latent to another's in equal steps, judge every stored picture against the first, write the files.

    The way is linear, as paper A's interpolation is (section 4.1).
    """
    import numpy as np
    import torch
    from PIL import Image

    from core.models import registry
    from core.sampling.images import to_pictures

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
            StripScores(
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
        "command": f"{STRIP_COMMAND} --start {start_seed} --end {end_seed} --frames {frames}",
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
    }
    write_bytes(folder / "walk.json", (json.dumps(card, indent=1, allow_nan=False) + "\n").encode())
    return load_strip(folder)


STRIP_FRAMES = 41  # 25, 50 and 75 % are among them
