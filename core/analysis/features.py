"""Facial features measured on the picture, and which of them drive perceived similarity (paper A, section 5.5).

Paper A took 37 values from a face attribute predictor trained on photographs of celebrities (bags under eyes, oval face,
make-up ...). These are others, measured on the picture itself, so that every one can be checked by looking: shape, pose, colours,
light, accessories, emotions. Sources: YuNet's five landmarks, dlib's 68 (iBUG 300-W: research only), CIELAB colours of
the aligned face, mini-XCEPTION.

A random forest predicts a pair's mean similarity from how far sample and base differ in each feature; permutation importance
(Breiman 2001, Machine Learning 45) says what the prediction loses where one feature is shuffled. Both are measured on pairs whose
base the forest has not seen, so that knowing a base by its looks helps nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.analysis.estimate import Array, Basis, Estimate, Result, undefined_estimate
from core.data_folder import data_folder
from core.errors import LiminalError
from core.lazy_import import lazy_import
from core.models import registry
from core.models.emotions import EMOTIONS
from core.progress import Progress
from core.sampling.images import to_images, to_pictures
from core.writing import write_bytes

if TYPE_CHECKING:
    from torch import Tensor

color, ensemble, torch = lazy_import("skimage.color"), lazy_import("sklearn.ensemble"), lazy_import("torch")

SHAPE: Mapping[str, str] = {
    "face_width": "width of the face",  # in distances between the eyes, as are all lengths
    "face_height": "height of the face",
    "face_roundness": "roundness of the face",
    "jaw_width": "width of the jaw",
    "chin_width": "width of the chin",
    "chin_height": "height of the chin",
    "eye_opening": "how far the eyes are open",
    "eye_width": "width of the eyes",
    "eye_difference": "difference between the eyes",
    "brow_height": "height of the brows",
    "brow_tilt": "tilt of the brows",
    "brow_gap": "gap between the brows",
    "nose_length": "length of the nose",
    "nose_width": "width of the nose",
    "mouth_width": "width of the mouth",
    "lip_thickness": "thickness of the lips",
    "mouth_opening": "how far the mouth is open",
    "mouth_corners": "lift of the mouth's corners",
    "philtrum": "distance from nose to mouth",
}
POSE: Mapping[str, str] = {
    "head_turn": "turn of the head",
    "head_nod": "nod of the head",
    "head_tilt": "tilt of the head",
    "face_size": "size of the face in the picture",
    "face_across": "place of the face, left to right",
    "face_down": "place of the face, top to bottom",
}
COLOURS: Mapping[str, str] = {
    "skin_lightness": "lightness of the skin",
    "skin_redness": "redness of the skin",
    "skin_yellowness": "yellowness of the skin",
    "lip_lightness": "lightness of the lips against the skin",
    "lip_redness": "redness of the lips against the skin",
    "hair_lightness": "lightness of the hair",
    "hair_redness": "redness of the hair",
    "hair_yellowness": "yellowness of the hair",
    "eye_lightness": "lightness around the eyes",
    "background_lightness": "lightness of the background",
    "background_redness": "redness of the background",
    "background_yellowness": "yellowness of the background",
}
LIGHT: Mapping[str, str] = {
    "light_side": "light from one side",
    "contrast": "contrast of the face",
    "texture": "texture of the skin",
    "bags": "bags under the eyes",
    "cheekbones": "shading of the cheekbones",
}
ACCESSORIES: Mapping[str, str] = {
    "beard": "beard or shadow of one",
    "forehead": "covered forehead (fringe, hat, scarf)",
    "headwear": "colourful headwear",
}
FEATURES: Mapping[str, str] = {**SHAPE, **POSE, **COLOURS, **LIGHT, **ACCESSORIES, **{name: name for name in EMOTIONS}}
"""Column -> its name for people; the emotions are mini-XCEPTION's probabilities."""

FEATURE_FORMAT = 1
STORED_COLUMNS = [*SHAPE, *POSE, *COLOURS, *LIGHT, *ACCESSORIES, "glasses", *EMOTIONS]
"""Names a stored table. Those of version 0.1.0 have a column of a glasses detector that is gone; it is left out when read."""
FACES_PER_BATCH = 32

# Areas of the aligned face of 128 pixels (eyes at rows 60, mouth at rows 102): rows from, to, columns from, to.
CHEEKS = ((76, 90, 34, 48), (76, 90, 80, 94))
EYES = ((54, 67, 35, 56), (54, 67, 72, 93))
UNDER = ((68, 74, 37, 54), (68, 74, 74, 91))
LOWER = ((94, 104, 34, 42), (94, 104, 86, 94))
CHIN = ((112, 122, 52, 76),)
LIPS = ((99, 106, 52, 76),)
FOREHEAD = ((32, 46, 48, 80),)
TOP = ((2, 18, 36, 92),)
CORNERS = ((0, 40, 0, 10), (0, 40, 118, 128))


def compute_features(images: Tensor) -> Array:
    """(N, 3, H, W) in [0, 1] -> (N, len(FEATURES)); NaN rows where YuNet finds no face."""
    from core.models import yunet  # PyTorch, OpenCV
    from core.sampling.building import attributes

    large = images.detach().cpu()
    if large.shape[2] != attributes.LANDMARK_SIDE:
        large = torch.nn.functional.interpolate(large, size=attributes.LANDMARK_SIDE, mode="bicubic", align_corners=False).clamp(
            0, 1
        )
    faces = yunet.load_detector().find_largest(large)
    rows = np.full((len(images), len(FEATURES)), np.nan)
    rows_with_face = np.flatnonzero(faces.found.numpy())
    if not len(rows_with_face):
        return rows
    five = faces.landmarks[rows_with_face]
    aligned, _ = attributes.align_faces(large[rows_with_face], five)
    shape = _measure_shape(attributes.find_full_landmarks(to_pictures(large[rows_with_face]), five.numpy()))
    classifier = registry.load("mini-xception", "classifier")
    emotions = classifier.probabilities(images[rows_with_face].to(classifier.device)).detach().cpu().double().numpy()
    rows[rows_with_face] = np.column_stack(
        [shape, _measure_pose(five.numpy(), attributes.LANDMARK_SIDE), _measure_appearance(aligned), emotions]
    )
    return rows


def measure_features(
    images: Mapping[str, NDArray[np.uint8]], *, progress: Progress | None = None, folder: Path | None = None
) -> pd.DataFrame:
    """Pictures by sample_id (uint8 (H, W, 3), as ``SampleSet.images``) -> a table indexed by sample_id, columns FEATURES.

    Stored on disk by the sample_ids, which are hashes of the pictures. Raises LiminalError for an empty set.
    """
    if not images:
        raise LiminalError("There is no picture to measure; choose a sample set with images.")
    progress = progress or Progress()
    names = sorted(images)
    digest = hashlib.blake2b(
        repr((FEATURE_FORMAT, STORED_COLUMNS, version("dlib-bin"), names)).encode(), digest_size=16
    ).hexdigest()
    path = (folder or data_folder() / "features") / f"{digest}.parquet"
    try:
        stored = pd.read_parquet(path)
        if set(FEATURES) <= set(stored.columns) and list(stored.index) == names:
            return stored[list(FEATURES)]
    except Exception:  # missing, or damaged in any of the ways that a parquet file can be: measured again
        pass
    table = pd.DataFrame(_measure_batches(images, names, progress), columns=list(FEATURES), index=pd.Index(names, name="sample_id"))
    buffer = io.BytesIO()
    table.to_parquet(buffer)
    with contextlib.suppress(OSError):  # a full or read-only disk costs the time of measuring again
        write_bytes(path, buffer.getvalue())
    return table


def _measure_batches(images: Mapping[str, NDArray[np.uint8]], names: Sequence[str], progress: Progress) -> Array:
    rows = []
    for start in range(0, len(names), FACES_PER_BATCH):
        progress.stage(f"Measuring face {start + 1:,} of {len(names):,}", start / len(names))
        with torch.inference_mode():
            rows.append(compute_features(to_images(np.stack([images[name] for name in names[start : start + FACES_PER_BATCH]]))))
    return np.concatenate(rows)


def _measure_shape(points: Array) -> Array:
    """dlib's 68 landmarks (F, 68, 2) -> (F, len(SHAPE)), in distances between the eyes unless they are ratios."""

    def between(first: int, second: int) -> Array:
        length: Array = np.linalg.norm(points[:, first] - points[:, second], axis=1)
        return length

    right, left = points[:, 36:42].mean(axis=1), points[:, 42:48].mean(axis=1)
    apart = np.maximum(np.linalg.norm(left - right, axis=1), 1e-6)
    openings = [(between(a, b) + between(c, d)) / 2 for a, b, c, d in ((37, 41, 38, 40), (43, 47, 44, 46))]
    widths = [between(36, 39), between(42, 45)]
    width, height = between(1, 15), between(8, 27)
    brows = points[:, 17:27, 1].mean(axis=1)
    inner = points[:, [21, 22], 1].mean(axis=1) - points[:, [17, 26], 1].mean(axis=1)
    gap = np.linalg.norm(points[:, 61:64].mean(axis=1) - points[:, 65:68].mean(axis=1), axis=1)
    lift = points[:, [51, 57], 1].mean(axis=1) - points[:, [48, 54], 1].mean(axis=1)
    columns = {
        "face_width": width / apart,
        "face_height": height / apart,
        "face_roundness": width / np.maximum(height, 1e-6),
        "jaw_width": between(4, 12) / np.maximum(width, 1e-6),
        "chin_width": between(6, 10) / np.maximum(width, 1e-6),
        "chin_height": between(57, 8) / apart,
        "eye_opening": (openings[0] + openings[1]) / np.maximum(widths[0] + widths[1], 1e-6),
        "eye_width": (widths[0] + widths[1]) / 2 / apart,
        "eye_difference": (openings[0] - openings[1]) / apart,
        "brow_height": ((right[:, 1] + left[:, 1]) / 2 - brows) / apart,
        "brow_tilt": inner / apart,
        "brow_gap": between(21, 22) / apart,
        "nose_length": between(27, 33) / apart,
        "nose_width": between(31, 35) / apart,
        "mouth_width": between(48, 54) / apart,
        "lip_thickness": (between(51, 57) - gap) / apart,
        "mouth_opening": gap / apart,
        "mouth_corners": lift / apart,
        "philtrum": between(33, 51) / apart,
    }
    return np.column_stack([columns[name] for name in SHAPE])


def _measure_pose(five: Array, side: int) -> Array:
    """YuNet's landmarks (F, 5, 2) in a picture of ``side`` pixels -> (F, len(POSE))."""
    eyes, mouth, nose = five[:, :2].mean(axis=1), five[:, 3:].mean(axis=1), five[:, 2]
    across, down = five[:, 1] - five[:, 0], mouth - eyes
    apart, length = np.maximum(np.linalg.norm(across, axis=1), 1e-6), np.maximum(np.linalg.norm(down, axis=1), 1e-6)
    columns = {
        "head_turn": ((nose - eyes) * across).sum(axis=1) / apart**2,
        "head_nod": ((nose - eyes) * down).sum(axis=1) / length**2,
        "head_tilt": np.degrees(np.arctan2(across[:, 1], across[:, 0])),
        "face_size": (apart + length) / 2 / side,
        "face_across": (eyes[:, 0] + mouth[:, 0]) / 2 / side,
        "face_down": (eyes[:, 1] + mouth[:, 1]) / 2 / side,
    }
    return np.column_stack([np.clip(columns[name], -90, 90) for name in POSE])


def _measure_appearance(faces: Array) -> Array:
    """Aligned faces (F, 128, 128, 3) in [0, 1] -> (F, colours, light and accessories): CIELAB, lightness 0 to 100."""
    lab: NDArray[Any] = color.rgb2lab(np.clip(faces, 0, 1))
    light = lab[..., 0]

    def mean(areas: Sequence[tuple[int, int, int, int]]) -> Array:
        parts = [lab[:, top:bottom, left:right].mean(axis=(1, 2)) for top, bottom, left, right in areas]
        return np.asarray(np.mean(parts, axis=0))

    skin, eyes, lips, hair, back = mean(CHEEKS), mean(EYES), mean(LIPS), mean(TOP), mean(CORNERS)
    forehead = mean(FOREHEAD)
    face = light[:, 40:112, 30:98]
    cheek = np.stack([light[:, top:bottom, left:right] for top, bottom, left, right in CHEEKS], axis=1)
    fine = np.abs(np.diff(cheek, axis=2)).mean(axis=(1, 2, 3)) + np.abs(np.diff(cheek, axis=3)).mean(axis=(1, 2, 3))
    columns = {
        "skin_lightness": skin[:, 0],
        "skin_redness": skin[:, 1],
        "skin_yellowness": skin[:, 2],
        "lip_lightness": lips[:, 0] - skin[:, 0],
        "lip_redness": lips[:, 1] - skin[:, 1],
        "hair_lightness": hair[:, 0],
        "hair_redness": hair[:, 1],
        "hair_yellowness": hair[:, 2],
        "eye_lightness": eyes[:, 0] - skin[:, 0],
        "background_lightness": back[:, 0],
        "background_redness": back[:, 1],
        "background_yellowness": back[:, 2],
        "light_side": cheek[:, 1].mean(axis=(1, 2)) - cheek[:, 0].mean(axis=(1, 2)),
        "contrast": face.std(axis=(1, 2)),
        "texture": fine,
        "bags": skin[:, 0] - mean(UNDER)[:, 0],
        "cheekbones": skin[:, 0] - mean(LOWER)[:, 0],
        "beard": skin[:, 0] - mean(CHIN)[:, 0],
        "forehead": np.linalg.norm(forehead - skin, axis=1),
        "headwear": np.hypot(hair[:, 1], hair[:, 2]),
    }
    return np.column_stack([columns[name] for name in (*COLOURS, *LIGHT, *ACCESSORIES)])


TREES = 120
FOLDS = 5
REPEATS = 3
SHUFFLES = 5
R2_DRAWS = 2000
MIN_PAIRS = 20


@dataclass(frozen=True, kw_only=True)
class Importance(Result):
    """Permutation importance of all features.

    r2: share of variance explained out of sample, interval by drawing bases anew; may be below 0, where the mean would predict
    better. table: feature (column), title, importance (loss of R2, a mean over folds and shuffles), low, high (the middle 95 % of
    folds and repeats), sorted. predicted: pair_id, similarity, predicted (mean over repeats, out of sample).
    """

    r2: Estimate
    published: float = 0.45
    table: pd.DataFrame
    predicted: pd.DataFrame
    left_out: int  # pairs without a rating or without a face in one of the two images


def measure_importance(
    pairs: pd.DataFrame,
    features: pd.DataFrame,
    *,
    titles: Mapping[str, str],
    basis: Basis,
    seed: int = 0,
    genuine: bool = False,
    progress: Progress | None = None,
) -> Importance:
    """Measure how much each feature contributes to predicting a pair's similarity from the differences of its two faces.

    pairs: pair_id, base_id, sample_id, sample_type, similarity (mean of a pair; NaN where not rated). features: a table indexed by
    sample_id (``measure_features``). titles: column -> its name for people. genuine: also the pairs of a face with itself, whose
    differences are all 0; they are easy and raise R2. With fewer than two bases or MIN_PAIRS pairs there is a note and no number.
    """
    progress = progress or Progress()
    known = pairs if genuine else pairs[pairs["sample_type"] != "genuine"]
    both = known["similarity"].notna() & known["base_id"].isin(features.index) & known["sample_id"].isin(features.index)
    rated = known[both]
    apart = np.abs(
        features.loc[rated["sample_id"]].to_numpy(np.float64) - features.loc[rated["base_id"]].to_numpy(np.float64)
    )  # (N, features)
    usable = np.isfinite(apart).all(axis=1)
    rated, apart = rated[usable], apart[usable]
    target = rated["similarity"].to_numpy(np.float64)
    groups = pd.factorize(rated["base_id"])[0]
    bases = int(groups.max()) + 1 if len(groups) else 0
    left_out = len(known) - len(rated)
    note = ""
    if len(rated) < MIN_PAIRS:
        note = f"Only {len(rated)} rated pairs show two faces; {MIN_PAIRS} are needed to ask which features matter."
    elif bases < 2:
        note = "All rated pairs share one base; a prediction for a base that was not seen needs at least two."
    elif target.std() == 0:
        note = "All pairs were rated alike, so no feature can explain a difference."
    if note:
        return Importance(
            basis=basis,
            interval="",
            note=note,
            r2=undefined_estimate(len(rated)),
            table=pd.DataFrame(columns=["feature", "title", "importance", "low", "high"]),
            predicted=pd.DataFrame(columns=["pair_id", "similarity", "predicted"]),
            left_out=left_out,
        )
    predicted, losses = _cross_validate(apart, target, groups, bases, seed, progress)
    table = pd.DataFrame(
        {
            "feature": list(features.columns),
            "title": [titles.get(str(name), str(name)) for name in features.columns],
            "importance": losses.mean(axis=0),
            "low": np.quantile(losses, 0.025, axis=0),
            "high": np.quantile(losses, 0.975, axis=0),
        }
    ).sort_values("importance", ascending=False, kind="stable", ignore_index=True)
    return Importance(
        basis=basis,
        interval=f"importance: middle 95 % of {len(losses)} folds and repeats; R²: bootstrap over {bases} bases",
        note="Features that go together share their importance: a low value does not say that people do not look there.",
        r2=_estimate_r2(target, predicted, groups, bases, seed),
        table=table,
        predicted=pd.DataFrame({"pair_id": rated["pair_id"].to_numpy(), "similarity": target, "predicted": predicted}),
        left_out=left_out,
    )


def _cross_validate(
    apart: Array, target: Array, groups: NDArray[np.intp], bases: int, seed: int, progress: Progress
) -> tuple[Array, Array]:
    """Predictions out of sample (N,), a mean over repeats, and the loss of R2 by fold and feature (FOLDS * REPEATS, F)."""
    folds = min(FOLDS, bases)
    predicted, losses = np.zeros(len(target)), []
    for repeat in range(REPEATS):
        rng = np.random.default_rng([seed, repeat])
        fold_of = (rng.permutation(bases) % folds)[groups]
        for fold in range(folds):
            progress.stage(
                f"Growing forest {repeat * folds + fold + 1} of {REPEATS * folds}", (repeat * folds + fold) / (REPEATS * folds)
            )
            held = fold_of == fold
            forest = ensemble.RandomForestRegressor(
                TREES, max_features=1 / 3, min_samples_leaf=3, random_state=int(rng.integers(2**31))
            )
            forest.fit(apart[~held], target[~held])
            predictions = forest.predict(apart[held])
            predicted[held] += predictions / REPEATS
            losses.append(_permutation_losses(forest, apart[held], target[held], predictions, float(target.var()), rng))
    return predicted, np.stack(losses)


def _permutation_losses(
    forest: object, apart: Array, target: Array, predictions: Array, variance: float, rng: np.random.Generator
) -> Array:
    """How much the squared error grows where one feature is shuffled, in variances of the target: (F,).

    All shuffled copies are predicted at once, which is far quicker than one call each. A fold of one pair has nothing to shuffle.
    """
    count, width = apart.shape
    error = float(((target - predictions) ** 2).mean())
    losses = np.zeros(width)
    for _ in range(SHUFFLES):
        copies = np.broadcast_to(apart, (width, count, width)).copy()
        for feature in range(width):
            copies[feature, :, feature] = rng.permutation(apart[:, feature])
        shuffled = forest.predict(copies.reshape(-1, width)).reshape(width, count)  # type: ignore[attr-defined]
        losses += (((target - shuffled) ** 2).mean(axis=1) - error) / variance / SHUFFLES
    return losses


def _estimate_r2(target: Array, predicted: Array, groups: NDArray[np.intp], bases: int, seed: int) -> Estimate:
    """1 - squared error / variance over all pairs out of sample; interval: bases drawn anew, all at once from sums by base."""

    def sums(values: Array) -> Array:
        return np.bincount(groups, values, minlength=bases).astype(np.float64)

    n, total, squares, error = sums(np.ones_like(target)), sums(target), sums(target**2), sums((target - predicted) ** 2)
    drawn = np.random.default_rng(seed).multinomial(bases, np.full(bases, 1 / bases), size=R2_DRAWS)  # (DRAWS, bases)
    spread = drawn @ squares - (drawn @ total) ** 2 / (drawn @ n)
    with np.errstate(divide="ignore", invalid="ignore"):
        r2 = 1 - (drawn @ error) / spread
    r2 = r2[np.isfinite(r2)]
    value = 1 - error.sum() / (squares.sum() - total.sum() ** 2 / n.sum())
    low, high = np.quantile(r2, [0.025, 0.975]) if bases > 2 and len(r2) else (np.nan, np.nan)
    return Estimate(float(value), float(low), float(high), len(target))
