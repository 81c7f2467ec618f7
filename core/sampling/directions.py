"""Directions in latent space along which generated faces smile, open the mouth, turn, brighten, darken their hair, wear glasses.

Found by ridge regression of measured attributes on latents. Latents are standard normal, so the coefficients estimate the mean
gradient of the attribute (Stein 1981, Annals of Statistics 9). Each direction is then made orthogonal to the gradients of the other
attributes, which leaves them unchanged to first order, unless that would cost more of its own effect than ``KEEPS`` allows.

Stored in ``assets/directions``: ``directions.npz`` (one unit vector a name) and ``directions.json`` (configuration, command, date
and the effect of each, measured on faces that took no part in finding it).
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import LiminalError
from core.progress import Progress
from core.sampling.descriptors import ASSETS, METRICS, read_arrays, write_arrays
from core.sampling.seeds import sample_seed
from core.writing import write_bytes

FOLDER = ASSETS / "directions"
COMMAND = "python -m core assets directions"
RIDGE = 100.0
KEEPS = 0.75  # cosine between the plain and the orthogonal direction from which on the orthogonal one is taken
FRONTAL = 0.3  # largest nose offset at which mouth and glasses can be measured
STEP = 0.2  # paper units at which effects are measured: the smallest step of paper A

WORDS = {
    "smile": ("smiling more", "smiling less"),
    "mouth-open": ("the mouth more open", "the mouth more closed"),
    "head-turn": ("the head turned to the right", "the head turned to the left"),
    "brightness": ("in brighter light", "in dimmer light"),
    "hair-darkness": ("with darker hair", "with lighter hair"),
    "glasses": ("with glasses", "without glasses"),
}
"""What a step forward and a step back look like, in words for people (right and left as the viewer sees them)."""


@dataclass(frozen=True)
class Effect:
    """What one step of ``STEP`` paper units does to held-out faces of one generator.

    change: the target attribute's change in the direction meant, in standard deviations of random faces, averaged over a step
    forward and one back; low, high: 95 % interval of its mean over faces; right: share of faces that changed as meant, with
    Wilson's interval; others: mean change of the other attributes; identity: median distance to the face itself by recogniser;
    no_face: share of steps after which a recogniser found no face.
    """

    faces: int
    change: float
    low: float
    high: float
    right: float
    right_low: float
    right_high: float
    others: Mapping[str, float]
    identity: Mapping[str, float]
    no_face: float


@dataclass(frozen=True, eq=False)
class Direction:
    """A unit vector (d,) in latent space with its name, words for a step forward and back, and its measured effects."""

    name: str
    forward: str
    back: str
    vector: NDArray[np.float32]
    explained: float  # R^2 of the regression on held-out faces
    orthogonal: bool  # to the gradients of the other attributes
    effects: Mapping[str, Effect]  # by generator


def fit(latents: NDArray[np.float32], attributes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Latents (N, d), attributes (N, A), NaN where not measured -> mean gradients (A, d) by ridge regression."""
    gradients = []
    for column in attributes.T:
        rows = np.isfinite(column)
        if rows.sum() < 2:
            raise LiminalError("An attribute was measured in fewer than two faces; measure more faces.")
        x, y = latents[rows].astype(np.float64), column[rows]
        x, y = x - x.mean(axis=0), y - y.mean()
        gradients.append(np.linalg.solve(x.T @ x + RIDGE * np.eye(x.shape[1]), x.T @ y))
    return np.stack(gradients)


def separate(gradients: NDArray[np.float64], keeps: float = KEEPS) -> tuple[NDArray[np.float64], list[bool]]:
    """Mean gradients (A, d) -> unit directions (A, d), each orthogonal to the other gradients where the cosine allows it."""
    units = gradients / np.linalg.norm(gradients, axis=1, keepdims=True)
    directions, orthogonal = [], []
    for place, unit in enumerate(units):
        basis, _ = np.linalg.qr(np.delete(units, place, axis=0).T)
        rest = unit - basis @ (basis.T @ unit)
        kept = float(np.linalg.norm(rest))  # the cosine between the two
        orthogonal.append(kept >= keeps)
        directions.append(rest / kept if orthogonal[-1] else unit)
    return np.stack(directions), orthogonal


def explained(gradients: NDArray[np.float64], latents: NDArray[np.float32], attributes: NDArray[np.float64]) -> list[float]:
    """R^2 of the linear prediction on other faces, one an attribute; a free offset is granted."""
    shares = []
    for gradient, column in zip(gradients, attributes.T, strict=True):
        rows = np.isfinite(column)
        rest = column[rows] - latents[rows] @ gradient
        shares.append(float(1 - rest.var() / column[rows].var()))
    return shares


def build(
    *,
    count: int = 4000,
    held_out: int = 60,
    seed: int = 0,
    source: str = "dcgan",
    generators: Sequence[str] = ("dcgan", "dcgan-sharp"),
    recognisers: Sequence[str] = tuple(METRICS),
    folder: Path = FOLDER,
    progress: Progress | None = None,
) -> tuple[Direction, ...]:
    """Measure ``count`` faces of ``source``, find the directions, measure their effects on ``held_out`` others, write the files."""
    from core.sampling.attributes import ATTRIBUTES, MEASURES, Scale, measure_population

    progress = progress or Progress()
    if count < 20 or held_out < 2:
        raise LiminalError("Directions need at least 20 faces to be found and two held-out faces to be measured on.")
    latents, measures = measure_population(source, [sample_seed(seed, "direction", one) for one in range(count)], progress)
    scale = Scale.of(measures)
    attributes = scale.attributes(measures)
    turned = ~(np.abs(measures[:, MEASURES.index("nose_offset")]) < FRONTAL)
    sideways = [place for place, name in enumerate(ATTRIBUTES) if name not in ("head-turn", "brightness")]
    attributes[np.ix_(turned, np.array(sideways))] = np.nan
    test = count // 5
    gradients = fit(latents[test:], attributes[test:])
    shares = explained(gradients, latents[:test], attributes[:test])
    vectors, orthogonal = separate(gradients)
    effects = {
        name: measure_effects(name, vectors, scale, held_out=held_out, seed=seed, recognisers=recognisers, progress=progress)
        for name in generators
    }
    card = {
        "configuration": {
            "count": count,
            "held_out": held_out,
            "seed": seed,
            "source": source,
            "ridge": RIDGE,
            "keeps": KEEPS,
            "step": STEP,
            "landmarks": "dlib's 68 points (iBUG 300-W, research only) measured the mouths; using the directions needs none",
        },
        "command": f"{COMMAND} --seed {seed} --count {count} --held-out {held_out}",
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "directions": [
            {
                "name": name,
                "explained": shares[place],
                "orthogonal": orthogonal[place],
                "effects": {generator: asdict(rows[place]) for generator, rows in effects.items()},
            }
            for place, name in enumerate(ATTRIBUTES)
        ],
    }
    named = {name: vectors[place].astype(np.float32) for place, name in enumerate(ATTRIBUTES)}
    write_arrays(folder / "directions.npz", named)
    write_bytes(folder / "directions.json", (json.dumps(card, indent=1) + "\n").encode())
    return load_directions(folder)


def measure_effects(
    generator: str,
    vectors: NDArray[np.float64],
    scale: Any,
    *,
    held_out: int,
    seed: int,
    recognisers: Sequence[str],
    progress: Progress,
) -> list[Effect]:
    """One Effect a direction (A, d), on the first ``held_out`` frontal faces of new seeds in which every recogniser finds a face.

    scale: the ``attributes.Scale`` of the population that the directions were found in.
    """
    import torch

    from core.models import registry
    from core.sampling.attributes import MEASURES, measure
    from core.sampling.pictures import quantised

    maker = registry.load(generator, "generator")
    judges = [registry.load(name, "recogniser") for name in recognisers]
    nose = MEASURES.index("nose_offset")
    changes: list[NDArray[np.float64]] = []  # per face: (A directions, 2 signs, A attributes)
    apart: list[NDArray[np.float64]] = []  # per face: (recognisers, A directions, 2 signs)
    signs = np.array([1.0, -1.0])
    steps = (vectors[:, None] * signs[None, :, None] * STEP * maker.step_scale).reshape(-1, maker.latent_dim)
    for number in range(50 * held_out):
        if len(changes) == held_out:
            break
        latent = maker.sample([sample_seed(seed, "held out", number)])  # (1, d)
        with torch.inference_mode():
            start = quantised(maker.decode(latent))
            first = measure(start)
            own = [judge.embed(start) for judge in judges]
            if not abs(first[0, nose]) < FRONTAL or not all(bool(torch.isfinite(vector).all()) for vector in own):
                continue
            progress.stage(f"Measuring effects on face {len(changes) + 1} of {held_out} by {generator}", len(changes) / held_out)
            moved = quantised(maker.decode(latent + torch.from_numpy(steps.astype(np.float32))))
            after = scale.attributes(measure(moved)) - scale.attributes(first)
            far = [judge.distance(vector, judge.embed(moved)).cpu().numpy() for vector, judge in zip(own, judges, strict=True)]
        changes.append(after.reshape(len(vectors), 2, -1))
        apart.append(np.stack(far).reshape(len(judges), len(vectors), 2))
    if len(changes) < held_out:
        raise LiminalError(f"Too few frontal faces of {generator} were found to measure the directions' effects; ask for fewer.")
    return _summed_up(np.stack(changes) * signs[None, None, :, None], np.stack(apart), recognisers)


def _summed_up(changes: NDArray[np.float64], apart: NDArray[np.float64], recognisers: Sequence[str]) -> list[Effect]:
    """Signed changes (F, A, 2, A) and distances (F, R, A, 2) -> one Effect a direction. Faces, not steps, are the units."""
    from statsmodels.stats.proportion import proportion_confint

    effects = []
    for place in range(changes.shape[1]):
        target = changes[:, place, :, place]  # (F, 2)
        seen = np.isfinite(target)
        per_face = np.nanmean(target[seen.any(axis=1)], axis=1)
        mean, error = float(per_face.mean()), float(per_face.std(ddof=1) / np.sqrt(len(per_face)))
        right = int((per_face > 0).sum())
        low, high = proportion_confint(right, len(per_face), method="wilson")
        others = np.nanmean(changes[:, place], axis=(0, 1))
        effects.append(
            Effect(
                faces=len(per_face),
                change=mean,
                low=mean - 1.96 * error,
                high=mean + 1.96 * error,
                right=right / len(per_face),
                right_low=float(low),
                right_high=float(high),
                others={name: float(others[other]) for other, name in enumerate(WORDS) if other != place},
                identity={name: float(np.nanmedian(apart[:, row, place])) for row, name in enumerate(recognisers)},
                no_face=float(np.isnan(apart[:, :, place]).any(axis=1).mean()),
            )
        )
    return effects


def load_directions(folder: Path = FOLDER) -> tuple[Direction, ...]:
    """The stored directions. Imports no torch. Raises LiminalError where there are none."""
    try:
        card = json.loads((folder / "directions.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LiminalError(f"No directions are stored in {folder}; make them with '{COMMAND}'.") from error
    vectors = read_arrays(folder / "directions.npz", COMMAND)
    return tuple(
        Direction(
            name=row["name"],
            forward=WORDS[row["name"]][0],
            back=WORDS[row["name"]][1],
            vector=vectors[row["name"]],
            explained=row["explained"],
            orthogonal=row["orthogonal"],
            effects={generator: Effect(**effect) for generator, effect in row["effects"].items()},
        )
        for row in card["directions"]
    )
