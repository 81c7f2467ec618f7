"""Which question to ask next: the one whose answer is expected to improve the guesses about this person most.

``expected_gain``: the expected log loss on the images that matter shrinks with the person's uncertainty S as tr(F S) / 2, F being
Fisher's information averaged over these images; an answer about an image of information A^T A takes from it what Woodbury's
identity says (V-optimal design; prediction-oriented as EPIG, Bickford Smith et al. 2023, arXiv:2304.08151).

``expected_information`` is BALD (Houlsby et al. 2011, arXiv:1112.5745), which asks for whatever tells most about the parameters,
whether or not the guesses need it; simulated people showed it no better than random order.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from core.alignment.answers import Places
from core.alignment.observer import SIZE, K, Posterior, information_roots
from core.analysis.answers import Array
from core.analysis.boundary import entropy
from core.errors import LiminalError
from core.models.emotions import EMOTIONS

NATS = float(np.log(2.0))
TARGETS = 200
"""Images that stand for all where there are more."""


def expected_gain(posterior: Posterior, group: Array, targets: Array) -> Array:
    """Bits that one answer about each image, group (N, 6), is expected to take from the mean log loss on ``targets`` (M, 6)."""
    wanted = information_roots(posterior.mode, targets).reshape(-1, SIZE)
    wanted = wanted.T @ wanted / max(len(targets), 1)  # (SIZE, SIZE)
    roots = information_roots(posterior.mode, group)  # A (N, 6, SIZE)
    moved = roots @ posterior.covariance  # A S
    inner = np.eye(K) + moved @ roots.transpose(0, 2, 1)
    saved = np.linalg.solve(inner, moved @ wanted @ moved.transpose(0, 2, 1))
    gained: Array = 0.5 * np.trace(saved, axis1=1, axis2=2) / NATS
    return gained


def expected_information(said: Array) -> Array:
    """What D draws say of N images (D, N, 6) -> bits that one answer about each tells of the parameters (N,), at least 0.

    The entropy of the guess averaged over draws, less the mean entropy of each draw's own guess.
    """
    draws, images, k = said.shape
    each = entropy(said.reshape(-1, k)).reshape(draws, images).mean(axis=0)
    told: Array = np.maximum(entropy(said.mean(axis=0)) - each, 0.0)
    return told


def between(group: Array, emotion1: str, emotion2: str) -> Places:
    """Places of the images, group (N, 6), of which these two emotions are the likeliest answers.

    Raises LiminalError for an unknown emotion and for one with itself.
    """
    for name in (emotion1, emotion2):
        if name not in EMOTIONS:
            raise LiminalError(f"'{name}' is no emotion that people are asked for; there are {', '.join(EMOTIONS)}.")
    if emotion1 == emotion2:
        raise LiminalError(f"There is nothing between {emotion1} and itself; name two emotions.")
    pair = {EMOTIONS.index(emotion1), EMOTIONS.index(emotion2)}
    likeliest = np.sort(np.argsort(group, axis=1)[:, -2:], axis=1)
    return np.flatnonzero((likeliest == sorted(pair)).all(axis=1))


def next_question(
    posterior: Posterior,
    group: Array,
    images: Sequence[str],
    asked: Collection[str] = (),
    *,
    targets: Array | None = None,
    seed: int = 0,
) -> tuple[str, float]:
    """The image of ``images`` (with the group's probabilities (N, 6)) that is best asked next, and the bits that it is expected to
    take from the mean log loss on the images that matter: ``targets`` (M, 6), else all of them. Milliseconds.

    Raises LiminalError where all have been asked, and where nothing matters.
    """
    gone = set(asked)
    left = np.array([place for place, name in enumerate(images) if name not in gone], np.intp)
    if not len(left):
        raise LiminalError("This person has answered about every image; bring more images into the study.")
    targets = group if targets is None else targets
    if not len(targets):
        raise LiminalError("There is no image to foretell this person's answers about; choose other emotions or more images.")
    targets = targets if len(targets) <= TARGETS else targets[np.random.default_rng(seed).permutation(len(targets))[:TARGETS]]
    gained = expected_gain(posterior, group[left], targets)
    best = int(gained.argmax())
    return images[int(left[best])], float(gained[best])
