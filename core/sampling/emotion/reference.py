"""The reference population: what every classifier says of many plain faces of a generator (paper B, filter (3) and Fig. 8).

From the stored logits come the 75th percentiles k of filter (3), the distributions that Fig. 8 shows, and each classifier's
temperature. Stored in ``assets/reference``: ``<generator>.npz`` (logits a classifier) and ``<generator>.json``.

Temperature (Guo et al. 2017, arXiv:1706.04599): nobody knows the true emotion of a generated face, so each network is made as sure
as it is right about what the *other* networks call most likely; the distilled MLP about its teachers' probabilities. The small
CNN, which judges what the others steer, labels nothing for them.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from core.errors import LiminalError
from core.models.emotions import EMOTIONS
from core.models.own import prepared
from core.progress import Progress
from core.sampling import own_judging
from core.sampling.descriptors import ASSETS, read_arrays, write_arrays
from core.sampling.seeds import sample_seed
from core.writing import write_bytes

FOLDER = ASSETS / "reference"
COMMAND = "python -m core assets reference"
BATCH = 16
PERCENTILE = 75.0

TEACHERS: Mapping[str, tuple[str, ...]] = {
    "mini-xception": ("tanh-cnn",),
    "tanh-cnn": ("mini-xception",),
    "emotion-mlp": ("mini-xception", "tanh-cnn"),
    "small-cnn": ("mini-xception", "tanh-cnn"),
}
"""Whose opinion a classifier's temperature is fitted to; that of an added one, to what ``OTHERS`` call most likely."""
OTHERS = ("mini-xception", "tanh-cnn")

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Reference:
    """logits: classifier -> (N, 6) over EMOTIONS, of the same N plain faces; temperatures: classifier -> T > 0."""

    generator: str
    seed: int
    logits: Mapping[str, NDArray[np.float32]]
    temperatures: Mapping[str, float]
    command: str
    date: str

    def __len__(self) -> int:
        return len(next(iter(self.logits.values())))

    def percentiles(self, classifier: str) -> Array:
        """K of filter (3): the 75th percentile of every emotion's logit -> (6,)."""
        k: Array = np.percentile(self.of(classifier).astype(np.float64), PERCENTILE, axis=0)
        return k

    def above(self, classifier: str, logits: NDArray[Any], pair: tuple[int, int]) -> NDArray[np.bool_]:
        """(N, 6) -> (N, 2): whether each emotion of the pair is above its percentile. Both: the image passes filter (3)."""
        places = list(pair)
        found: NDArray[np.bool_] = np.asarray(logits, np.float64)[:, places] > self.percentiles(classifier)[places]
        return found

    def calibrated(self, classifier: str, logits: NDArray[Any]) -> Array:
        """(N, 6) logits -> (N, 6) probabilities at this classifier's temperature."""
        self.of(classifier)
        p: Array = softmax(np.asarray(logits, np.float64) / self.temperatures[classifier], axis=1)
        return p

    def plain_share(self, classifier: str, pair: tuple[int, int]) -> tuple[int, int]:
        """How many of the population pass filter (3) for this pair -> (passed, N)."""
        return int(self.above(classifier, self.of(classifier), pair).all(axis=1).sum()), len(self.of(classifier))

    def of(self, classifier: str) -> NDArray[np.float32]:
        """A classifier's logits (N, 6). Raises LiminalError for one that was not asked."""
        try:
            return self.logits[classifier]
        except KeyError:
            if classifier in own_judging.added("classifier"):
                raise own_judging.unasked(classifier, self.generator) from None
            known = ", ".join(self.logits)
            raise LiminalError(
                f"The reference population of {self.generator} knows no classifier '{classifier}', only {known}; "
                f"make it again with '{COMMAND}'."
            ) from None


def build(
    generator: str, *, count: int = 2000, seed: int = 0, folder: Path = FOLDER, progress: Progress | None = None
) -> Reference:
    """Draw the population, ask every classifier, fit the temperatures, write the files. Raises LiminalError for too few faces."""
    import torch

    from core.models import registry
    from core.sampling.pictures import quantised

    if count < 40:
        raise LiminalError(f"A reference population needs at least 40 faces, not {count}.")
    progress = progress or Progress()
    maker = registry.load(generator, "generator")
    judges = {name: registry.load(name, "classifier") for name in TEACHERS}
    parts: dict[str, list[NDArray[np.float32]]] = {name: [] for name in judges}
    for start in range(0, count, BATCH):
        progress.stage(f"Judging plain face {start + 1} of {count} made by {generator}", start / count)
        seeds = [sample_seed(seed, "reference", index) for index in range(start, min(start + BATCH, count))]
        with torch.inference_mode():
            images = quantised(maker.decode(maker.sample(seeds)))
            for name, judge in judges.items():
                parts[name].append(judge.logits(images).float().cpu().numpy())
    logits = {name: np.concatenate(rows) for name, rows in parts.items()}
    fitted = {name: temperature(logits, name) for name in logits}
    write_arrays(folder / f"{generator}.npz", logits)
    card = {
        "generator": generator,
        "seed": seed,
        "faces": count,
        "percentile": PERCENTILE,
        "temperatures": fitted,
        "command": f"{COMMAND} --generators {generator} --count {count} --seed {seed}",
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
    }
    write_bytes(folder / f"{generator}.json", (json.dumps(card, indent=1, allow_nan=False) + "\n").encode())
    return load_reference(generator, folder)


def temperature(logits: Mapping[str, NDArray[np.float32]], classifier: str) -> float:
    """The temperature that makes ``classifier`` least surprised by its teachers (cross-entropy), between 0.05 and 200."""
    targets = np.zeros((len(logits[classifier]), len(EMOTIONS)))
    teachers = TEACHERS.get(classifier, OTHERS)
    for name in teachers:
        theirs = logits[name].astype(np.float64)
        soft = classifier == "emotion-mlp"
        targets += softmax(theirs, axis=1) if soft else np.eye(len(EMOTIONS))[theirs.argmax(axis=1)]
    targets /= len(teachers)
    own = logits[classifier].astype(np.float64)

    def surprise(log_t: float) -> float:
        return float(-(targets * log_softmax(own / np.exp(log_t), axis=1)).sum(axis=1).mean())

    found = minimize_scalar(surprise, bounds=(np.log(0.05), np.log(200.0)), method="bounded")
    return round(float(np.exp(found.x)), 4)


def folder_of(generator: str) -> Path:
    """Where a generator's population lies: of one that the user added, in the data folder."""
    return prepared.folder(generator) / "reference" if generator in own_judging.added("generator") else FOLDER


def load_reference(generator: str, folder: Path | None = None) -> Reference:
    """The stored population of a generator, and what added classifiers said of its first faces. Imports no torch network.

    Raises LiminalError where there is none.
    """
    folder = folder or folder_of(generator)
    asked = {name: own_judging.logits(name, generator) for name in own_judging.added("classifier")}
    said = {name: each for name, each in asked.items() if each is not None}
    try:
        card = json.loads((folder / f"{generator}.json").read_text(encoding="utf-8"))
        logits = read_arrays(folder / f"{generator}.npz", COMMAND)
        return Reference(
            generator=card["generator"],
            seed=card["seed"],
            logits=logits | {name: rows for name, (rows, _) in said.items()},
            temperatures={name: float(value) for name, value in card["temperatures"].items()}
            | {name: sure for name, (_, sure) in said.items()},
            command=card["command"],
            date=card["date"],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        own = generator in own_judging.added("generator")
        command = f"{own_judging.COMMAND} {generator}" if own else COMMAND
        raise LiminalError(f"No reference population of {generator} is stored in {folder}; make it with '{command}'.") from error
