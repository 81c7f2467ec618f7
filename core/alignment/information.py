"""Which question to ask next: the one whose answer is expected to tell most about the person.

Expected information (BALD; Houlsby, Huszár, Ghahramani and Lengyel 2011, arXiv:1112.5745): the entropy of the guess averaged over
the posterior, less the mean entropy of each draw's own guess. High where the person's answer is open *because* the person is not
known yet, not because the image is unclear to everybody.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from core.alignment.observer import Posterior
from core.analysis.answers import Array
from core.analysis.boundary import entropy
from core.errors import LiminalError

DRAWS = 64


def expected_information(said: Array) -> Array:
    """What D draws say of N images (D, N, 6) -> bits that one answer about each is expected to tell (N,), at least 0."""
    draws, images, k = said.shape
    each = entropy(said.reshape(-1, k)).reshape(draws, images).mean(axis=0)
    told: Array = np.maximum(entropy(said.mean(axis=0)) - each, 0.0)
    return told


def next_question(
    posterior: Posterior,
    group: Array,
    images: Sequence[str],
    asked: Collection[str] = (),
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> tuple[str, float]:
    """The image of ``images`` (with the group's probabilities (N, 6)) that is best asked next, and its bits.

    Raises LiminalError where all have been asked.
    """
    gone = set(asked)
    left = np.array([place for place, name in enumerate(images) if name not in gone], np.intp)
    if not len(left):
        raise LiminalError("This person has answered about every image; bring more images into the study.")
    told = expected_information(posterior.each(group[left], draws, seed))
    best = int(told.argmax())
    return images[int(left[best])], float(told[best])
