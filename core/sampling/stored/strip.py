"""The strip of the home page: one generated person turning into another, judged frame by frame.

Stored in ``assets/walk``: ``walk.json`` (configuration, distances by recogniser, thresholds, command, date) and one WebP a frame.
The *stored* picture is what was judged. Imports no torch; ``core.sampling.interpolation.build_strip`` makes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.data_folder import ASSETS
from core.errors import LiminalError
from core.sampling.stored.scores import read_card

STRIP_FOLDER = ASSETS / "walk"
STRIP_COMMAND = "python -m core assets walk"


@dataclass(frozen=True)
class StripScores:
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
class StoredStrip:
    """The stored walk: pictures in order and what each recogniser says of them."""

    generator: str
    start_seed: int
    end_seed: int
    frames: tuple[Path, ...]
    judgements: tuple[StripScores, ...]
    command: str
    date: str

    def judged_by(self, recogniser: str) -> StripScores:
        """Raises LiminalError where that recogniser was not asked."""
        for judgement in self.judgements:
            if judgement.recogniser == recogniser:
                return judgement
        raise LiminalError(f"The walk was not judged by {recogniser}; make it again with '{STRIP_COMMAND}'.")


def load_strip(folder: Path = STRIP_FOLDER) -> StoredStrip:
    """The stored walk. Imports no torch. Raises LiminalError where there is none."""

    def parse(card: dict[str, Any]) -> StoredStrip:
        return StoredStrip(
            generator=card["generator"],
            start_seed=card["start_seed"],
            end_seed=card["end_seed"],
            frames=tuple(folder / name for name in card["frames"]),
            judgements=tuple(StripScores(**{**row, "distances": tuple(row["distances"])}) for row in card["judgements"]),
            command=card["command"],
            date=card["date"],
        )

    return read_card(folder / "walk.json", parse, "No walking picture is stored", STRIP_COMMAND)
