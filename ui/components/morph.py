"""A face that goes from one feeling to another under a slider, with what every network says of exactly the picture shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from ui.components.mounting import mount


@dataclass(frozen=True)
class MorphVoice:
    """What one network says along the row: six shares a frame (None while it is not made), and where its answer flips."""

    title: str
    part: str  # what it had to do with the making
    shares: Sequence[Sequence[float] | None]
    flip: float | None  # in [0, 1] of the way; None: it never does


def morph(
    frames: Sequence[str | None],
    voices: Sequence[MorphVoice],
    *,
    emotions: Sequence[str],
    pair: tuple[int, int],
    key: str,
    follow: bool = False,
) -> None:
    """``frames``: addresses, None while a frame is not made; ``pair``: from which of ``emotions`` to which.

    ``follow``: scroll there when it first appears.
    """
    mount("morph")(
        data={
            "frames": list(frames),
            "voices": [asdict(voice) for voice in voices],
            "emotions": list(emotions),
            "pair": list(pair),
            "follow": follow,
        },
        key=key,
    )
