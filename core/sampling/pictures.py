"""Own pictures as a sample set: pictures that somebody brought along and no generator made, judged by every model there is.

Such a set is an ordinary one of the library, marked by its generator (``configuration.NO_GENERATOR``). It has no latents: those of
its samples have no values. Of pairs (identity), every recogniser and LPIPS say how far apart they are, and every classifier judges
each picture; of single pictures (emotion), the classifiers do. No one of them steered anything: the first one's answers stand in
the columns of the guiding one.

All pictures of a set are squares of one side: scaled to it, with grey beside those that are no squares, so that nothing is cut off
and nothing distorted. What is stored is what is judged and shown. Metadata are gone by then (``core.models.photos``).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from core.lazy_import import lazy_import
from core.models import registry
from core.models.contracts import Classifier, PerceptualDistance, Recogniser
from core.models.emotions import EMOTIONS
from core.progress import Progress
from core.sampling.configuration import FILES_KEY, NO_GENERATOR, IdentityConfiguration
from core.sampling.emotion.configuration import EmotionConfiguration
from core.sampling.images import to_images
from core.sampling.sample_set import (
    PAIR_COLUMNS,
    SAMPLE_COLUMNS,
    SampleSet,
    count_sample_types,
    describe_provenance,
    filter_column,
    list_emotion_columns,
    make_empty_pairs,
    make_pair_id,
    make_sample_id,
    make_table,
    set_column_types,
)

if TYPE_CHECKING:
    import torch
    from scipy import special
    from torch import Tensor

    from core.models import framing
else:  # who only reads pictures does not wait for it
    torch, special, framing = lazy_import("torch"), lazy_import("scipy.special"), lazy_import("core.models.framing")

MAX_SIDE = 512
"""Pixels of a stored picture's side: two for one of the largest pictures on raters' pages."""
GREY = 128
"""Beside a picture that is no square."""
PERCEPTUAL_SIDE = 256
"""Pixels at which LPIPS compares, as of the generators' pictures; it takes four times as long for twice the side."""
BATCH = 8
"""Pictures judged between two looks at whether the user has cancelled."""

PICTURE = "picture"
"""Sample type of a picture that was not put into a pair with another one as its second."""
ITSELF = "genuine"
"""Sample type of a pair of a picture and itself, which checks attention as everywhere else."""
NO_LATENT = np.empty(0, np.float32)

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class PicturePair:
    """Two pictures that are shown together, by their names. same: whether they show one person, None where nobody knows."""

    first: str
    second: str
    sample_type: str = "pair"
    step: float = float("nan")
    same: bool | None = None
    batch: int = 0


@dataclass(frozen=True)
class PicturePanel:
    """All models that judge pictures."""

    recognisers: Sequence[Recogniser]
    classifiers: Sequence[Classifier]
    perceptual: PerceptualDistance

    @classmethod
    def load(cls) -> PicturePanel:
        """Every recogniser and classifier of this installation, added ones too."""
        return cls(
            [registry.load(name, "recogniser") for name in registry.list_names("recogniser")],
            [registry.load(name, "classifier") for name in registry.list_names("classifier")],
            registry.load(registry.list_names("distance")[0], "distance"),
        )


def fit_squares(pictures: Mapping[str, Picture]) -> dict[str, Picture]:
    """Pictures (H, W, 3) -> squares of one side, that of the longest side among them and at most MAX_SIDE."""
    side = min(max(max(picture.shape[:2]) for picture in pictures.values()), MAX_SIDE)
    return {name: _fit_square(picture, side) for name, picture in pictures.items()}


def _fit_square(picture: Picture, side: int) -> Picture:
    height, width = picture.shape[:2]
    scale = side / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    scaled = Image.fromarray(picture)
    if scaled.size != size:
        scaled = scaled.resize(size, Image.Resampling.LANCZOS)
    square = Image.new("RGB", (side, side), (GREY, GREY, GREY))
    square.paste(scaled, ((side - size[0]) // 2, (side - size[1]) // 2))
    return np.array(square, dtype=np.uint8)


def judge_pictures(
    pictures: Mapping[str, Picture],
    pairs: Sequence[PicturePair],
    progress: Progress | None = None,
    *,
    panel: PicturePanel | None = None,
) -> SampleSet:
    """Squares by the names of their files, and pairs of these names -> an identity set; without pairs -> an emotion set.

    Of files with the same pixels the first one's name is kept. Raises Cancelled when the user asks.
    """
    progress = progress or Progress()
    started = time.monotonic()
    progress.stage("Loading the networks that judge pictures", 0.0)
    panel = panel or PicturePanel.load()
    ids = {name: make_sample_id(NO_LATENT, picture) for name, picture in pictures.items()}
    named: dict[str, str] = {}  # sample_id -> the first file's name
    for name, sample_id in ids.items():
        named.setdefault(sample_id, name)
    images = {sample_id: pictures[name] for sample_id, name in named.items()}
    embeddings, logits = _judge_each(images, panel, bool(pairs), progress.stretch(0.05, 0.75 if pairs else 0.95))
    configuration: IdentityConfiguration | EmotionConfiguration
    if pairs:
        configuration = _make_identity_configuration(panel)
        compared = _judge_pairs(pairs, ids, images, embeddings, panel, progress.stretch(0.75, 0.95))
        samples = _list_paired_samples(compared, list(images), panel, logits)
    else:
        configuration = _make_emotion_configuration(panel, len(images))
        compared = make_empty_pairs()
        samples = _list_single_samples(configuration, list(images), embeddings, logits)
    progress.stage("Putting the set together", 0.96)
    cards = [*(model.card for model in panel.recognisers), *(model.card for model in panel.classifiers), panel.perceptual.card]
    manifest: dict[str, Any] = {
        "seed": 0,
        "batches": sorted(set(compared["batch"].tolist())) or [0],
        "counts": count_sample_types(compared if pairs else samples),
        "seconds": {"total": time.monotonic() - started},
        "searches": [],
        "classifier_frame": "face",
        "thresholds": {model.name: model.threshold for model in panel.recognisers},
        FILES_KEY: named,
        **describe_provenance(cards, panel.recognisers[0].device, ("torch", "numpy", "pillow")),
    }
    return SampleSet(configuration, samples, compared, dict.fromkeys(images, NO_LATENT), images, manifest)


def count_faceless(sample_set: SampleSet) -> int:
    """In how many of a set's pictures, or pairs, the first recogniser found no face."""
    table = sample_set.pairs if sample_set.kind == "identity" else sample_set.samples
    return int(table[f"distance_{sample_set.configuration.recogniser}"].isna().sum())


def _make_identity_configuration(panel: PicturePanel) -> IdentityConfiguration:
    return IdentityConfiguration(
        generator=NO_GENERATOR,
        recogniser=panel.recognisers[0].name,
        judges=tuple(model.name for model in panel.recognisers),
        classifiers=tuple(model.name for model in panel.classifiers),
        perceptual=panel.perceptual.name,
        targets=(),
    )


def _make_emotion_configuration(panel: PicturePanel, count: int) -> EmotionConfiguration:
    first, *others = (model.name for model in panel.classifiers)
    return EmotionConfiguration(
        "",
        "",
        count=count,
        generator=NO_GENERATOR,
        guided=False,
        steerer=first,
        judges=tuple(others),
        recogniser=panel.recognisers[0].name,
    )


Scores = Mapping[str, NDArray[np.float64]]


def _judge_each(
    images: Mapping[str, Picture], panel: PicturePanel, every_recogniser: bool, progress: Progress
) -> tuple[dict[str, Tensor], dict[str, NDArray[np.float64]]]:
    """Embeddings (N, D) by recogniser, NaN rows where no face was found, and logits (N, 6) by classifier."""
    names = list(images)
    recognisers = panel.recognisers if every_recogniser else panel.recognisers[:1]
    vectors: dict[str, list[Tensor]] = {model.name: [] for model in recognisers}
    logits: dict[str, list[Tensor]] = {model.name: [] for model in panel.classifiers}
    for start in range(0, len(names), BATCH):
        last = min(start + BATCH, len(names))
        progress.stage(f"Networks look at picture {last:,} of {len(names):,}", start / len(names))
        batch = to_images(np.stack([images[name] for name in names[start:last]]))
        with torch.inference_mode():
            for recogniser in recognisers:
                progress.check()
                vectors[recogniser.name].append(recogniser.embed(batch).cpu())
            framed = framing.frame_for_classifiers(batch, "face")
            for classifier in panel.classifiers:
                progress.check()
                logits[classifier.name].append(classifier.logits(framed).cpu().double())
    return (
        {name: torch.cat(parts) for name, parts in vectors.items()},
        {name: torch.cat(parts).numpy() for name, parts in logits.items()},
    )


def _judge_pairs(
    pairs: Sequence[PicturePair],
    ids: Mapping[str, str],
    images: Mapping[str, Picture],
    embeddings: Mapping[str, Tensor],
    panel: PicturePanel,
    progress: Progress,
) -> pd.DataFrame:
    """The pairs, each once, as the table of a sample set; same_identity where it is known of any."""
    row_of = {sample_id: row for row, sample_id in enumerate(images)}
    rows: dict[str, dict[str, Any]] = {}
    for pair in pairs:
        first, second = ids[pair.first], ids[pair.second]
        sample_type = ITSELF if first == second else pair.sample_type
        pair_id = make_pair_id(first, second, sample_type, pair.step, None)
        same = True if first == second else pair.same
        rows.setdefault(
            pair_id,
            {
                "pair_id": pair_id,
                "batch": pair.batch,
                "base_id": first,
                "sample_id": second,
                "sample_type": sample_type,
                "step": pair.step,
                **dict.fromkeys(("partner_id", "direction", "strategy")),
                "same_identity": same,
            },
        )
    table = pd.DataFrame(list(rows.values()))
    firsts = [row_of[name] for name in table["base_id"]]
    seconds = [row_of[name] for name in table["sample_id"]]
    perceived: list[Tensor] = []
    for start in range(0, len(table), BATCH):
        last = min(start + BATCH, len(table))
        progress.stage(f"Comparing pair {last:,} of {len(table):,}", start / len(table))
        with torch.inference_mode():
            sides = [_shrink([images[name] for name in table[column][start:last]]) for column in ("base_id", "sample_id")]
            perceived.append(panel.perceptual.distance(*sides).cpu().double())
    columns: dict[str, Any] = {"lpips": torch.cat(perceived).numpy(), "latent_distance": np.nan}
    for recogniser in panel.recognisers:
        vectors = embeddings[recogniser.name]
        with torch.inference_mode():
            distances = recogniser.distance(vectors[firsts], vectors[seconds]).cpu().double().numpy()
        verdicts = pd.array(distances < recogniser.threshold, dtype="boolean")
        verdicts[np.isnan(distances)] = pd.NA
        columns |= {f"distance_{recogniser.name}": distances, f"accepted_{recogniser.name}": verdicts}
    if table["same_identity"].isna().all():
        table = table.drop(columns="same_identity")
    return set_column_types(table.assign(**columns), PAIR_COLUMNS)


def _shrink(pictures: Sequence[Picture]) -> Tensor:
    images = to_images(np.stack(pictures))
    if images.shape[-1] <= PERCEPTUAL_SIDE:
        return images
    return torch.nn.functional.interpolate(
        images, (PERCEPTUAL_SIDE, PERCEPTUAL_SIDE), mode="bilinear", antialias=True, align_corners=False
    )


def _list_paired_samples(pairs: pd.DataFrame, names: Sequence[str], panel: PicturePanel, logits: Scores) -> pd.DataFrame:
    """A row a picture: the second of a pair with what it is there, unless it is the first of another pair."""
    parts = {row["sample_id"]: row for row in reversed(pairs.to_dict("records"))} | dict.fromkeys(pairs["base_id"])
    rows = []
    for name in names:
        part = parts.get(name)
        rows.append(_make_sample_row(name, "identity") | ({k: part[k] for k in ("base_id", "sample_type", "step")} if part else {}))
    table = make_table(rows, SAMPLE_COLUMNS)
    columns = {
        f"p_{model.name}_{emotion}": special.softmax(logits[model.name], axis=1)[:, index]
        for model in panel.classifiers
        for index, emotion in enumerate(EMOTIONS)
    }
    return pd.concat([table, pd.DataFrame(columns)], axis=1)


def _list_single_samples(
    configuration: EmotionConfiguration, names: Sequence[str], embeddings: Mapping[str, Tensor], logits: Scores
) -> pd.DataFrame:
    """A row a picture. Probabilities are calibrated on a generator's faces: of own pictures they stay as they are."""
    columns: dict[str, Any] = {}
    for classifier in configuration.classifiers:
        p = special.softmax(logits[classifier], axis=1)
        prefix = "" if classifier == configuration.steerer else f"{classifier}_"
        for index, emotion in enumerate(EMOTIONS):
            columns |= {
                f"p_{prefix}{emotion}": p[:, index],
                f"logit_{prefix}{emotion}": logits[classifier][:, index],
                f"calibrated_{prefix}{emotion}": p[:, index],
            }
        columns[filter_column(classifier, configuration.steerer)] = None
    found = torch.isfinite(embeddings[configuration.recogniser]).all(dim=1).numpy()
    columns[f"distance_{configuration.recogniser}"] = np.where(found, 0.0, np.nan)  # a picture from itself, as of bases
    table = pd.DataFrame([_make_sample_row(name, "emotion") for name in names])
    unknown = dict.fromkeys(("emotion1", "emotion2", "guided", "strategy"))
    table = pd.concat([table.assign(**unknown), pd.DataFrame(columns, index=table.index)], axis=1)
    return set_column_types(table, list_emotion_columns(configuration.judges, configuration.recogniser))


def _make_sample_row(name: str, kind: str) -> dict[str, Any]:
    return {
        "sample_id": name,
        "kind": kind,
        "seed": 0,
        "base_id": name,
        "sample_type": PICTURE,
        "step": float("nan"),
        "image": f"images/{name}.png",
    }
