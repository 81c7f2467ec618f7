"""A block of trials that runs in the browser: timed faces with six feelings, or pairs with two questions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

import streamlit as st

from core.models.emotions import EMOTIONS
from core.studies.study import Kind
from ui.components.mounting import mount

PARTS = ("presses", "answers", "timed_trial", "pair_trial")


@dataclass(frozen=True)
class Trial:
    """One trial that is still to be answered."""

    stimulus: str
    images: Sequence[str]  # addresses: one face, or the base and the sample
    ids: Mapping[str, str]  # task -> the UUID of its answer


def block(
    trials: Sequence[Trial],
    *,
    kind: Kind,
    study: str,
    code: str,
    total: int,
    fixation_ms: int,
    image_ms: int,
    key: str,
    on_finished: Callable[[], None],
) -> None:
    """``trials``: in the order in which they are asked; ``study``: its token; ``total``: all trials of this rater.

    ``on_finished`` is called when the server has acknowledged every answer.
    """

    def finished() -> None:
        if st.session_state[key].get("finished"):
            on_finished()

    mount("trial", parts=PARTS)(
        data={
            "trials": [asdict(trial) for trial in trials],
            "kind": kind,
            "study": study,
            "code": code,
            "total": total,
            "fixation_ms": fixation_ms,
            "image_ms": image_ms,
            "emotions": list(EMOTIONS),
        },
        key=key,
        on_finished_change=finished,
    )
