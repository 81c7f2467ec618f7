"""Emotion samples: a base, a way to the boundary, the finished pictures judged by every classifier (paper B, section III)."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.errors import LiminalError
from core.models.emotions import EMOTIONS
from core.progress import Progress
from core.sampling.bases import Base, find_bases, make_portraits
from core.sampling.configuration import BaseCriteria, sample_seed
from core.sampling.emotion import direct, expression_search, two_stage
from core.sampling.emotion.configuration import FREE, GROUP_SIZE, EmotionConfiguration
from core.sampling.emotion.judging import EmotionPanel, JudgedImage, judge_base, judge_images
from core.sampling.events import BaseShown, BoundarySampleMade, DenoisingStep
from core.sampling.images import quantise, to_pictures
from core.sampling.sample_set import (
    SampleSet,
    count_sample_types,
    describe_provenance,
    filter_column,
    list_emotion_columns,
    make_empty_pairs,
    make_sample_id,
    make_table,
)
from core.sampling.stored.gallery import load_gallery

BASE_CRITERIA = BaseCriteria(face_checks=4, faces_needed=4)
"""Of a drawn base: a face in each of four random steps of 0.2 around it (paper A's bases: 19 of 20)."""

START_DISTANCE = 0.4
"""Direct search begins so far from the base, times ``freedom``, in a random direction of the sample's own (paper units)."""


def generate_emotion_set(
    configuration: EmotionConfiguration,
    progress: Progress | None = None,
    *,
    base: Base | None = None,
    panel: EmotionPanel | None = None,
    only: range | None = None,
) -> SampleSet:
    """All samples of a configuration. base: one for all of them; None: the gallery's where one is named, else one each, drawn.

    only: these of the samples, whole groups (``GROUP_SIZE``) but for the configuration's last one; each is the same as among all.
    Events: Stage, BaseShown, DenoisingStep, BoundarySampleMade. Raises Cancelled between two groups when the user asks.
    """
    wanted = range(configuration.count) if only is None else only
    if wanted.step != 1 or wanted.start % GROUP_SIZE or (wanted.stop % GROUP_SIZE and wanted.stop != configuration.count):
        raise LiminalError(f"Samples {wanted.start} to {wanted.stop} are no whole groups of {GROUP_SIZE}; ask for whole groups.")
    progress = progress or Progress()
    began = time.perf_counter()
    progress.stage("Loading the networks", 0.0)
    panel = panel or EmotionPanel.load(configuration)
    base = base or load_named_base(configuration)
    builder = EmotionSetBuilder(configuration, panel)
    for indices in _list_groups(wanted, alone_first=panel.searches_expressions):
        progress.stage(f"Making face {indices[0] + 1} of {configuration.count}", (indices[0] - wanted.start) / len(wanted))
        bases = [base or draw_base(configuration, index, panel) for index in indices]
        descriptors = builder.show_bases(bases, indices, progress)
        latents = _make_latents(configuration, bases, indices, panel, progress)
        with torch.inference_mode():
            images = quantise(panel.generator.decode(latents))
        pictures = to_pictures(images)
        opinions = judge_images(images, torch.stack(descriptors), configuration, panel)
        for row, (index, judged) in enumerate(zip(indices, opinions, strict=True)):
            picture = pictures[row]
            name = builder.add(latents[row], picture, judged, index, bases[row])
            latent = builder.latents[name]
            progress.emit(
                BoundarySampleMade(index, picture, judged.opinions, judged.passed, judged.above, judged.distance, name, latent)
            )
            progress.stage(f"Made face {index + 1} of {configuration.count}", (index + 1 - wanted.start) / len(wanted))
    return builder.set(time.perf_counter() - began)


def _list_groups(wanted: range, *, alone_first: bool) -> list[list[int]]:
    """The samples in groups. alone_first: the first one by itself, so that there is soon something to see."""
    starts = list(range(wanted.start, wanted.stop, GROUP_SIZE))
    if alone_first and len(wanted) > 1:
        starts.insert(1, wanted.start + 1)
    return [list(range(start, stop)) for start, stop in itertools.pairwise([*starts, wanted.stop])]


def generate_base_set(
    configuration: EmotionConfiguration,
    bases: Sequence[Base],
    progress: Progress | None = None,
    *,
    panel: EmotionPanel | None = None,
) -> SampleSet:
    """The given bases as a set of genuine samples, judged; nothing is made from them."""
    progress = progress or Progress()
    began = time.perf_counter()
    panel = panel or EmotionPanel.load(configuration)
    rows = EmotionSetBuilder(configuration, panel)
    for index, base in enumerate(bases):
        progress.stage(f"Judging face {index + 1} of {len(bases)}", index / len(bases))
        rows.show_bases([base], [index], progress)
    return rows.set(time.perf_counter() - began)


def _make_latents(
    configuration: EmotionConfiguration,
    bases: Sequence[Base],
    indices: Sequence[int],
    panel: EmotionPanel,
    progress: Progress,
) -> Tensor:
    """The latents (N, d) of a group; the group is filled up to its full size, so that its company never matters."""
    missing = GROUP_SIZE - len(indices)
    rows = [*bases, *[bases[-1]] * missing]
    filled = [*indices, *[configuration.count + GROUP_SIZE + offset for offset in range(missing)]]
    seeds = [sample_seed(configuration.seed, "boundary", index) for index in filled]
    start = torch.from_numpy(np.stack([base.latent for base in rows]))
    if configuration.strategy == "direct":
        tell, n = _make_climb_listener(configuration, indices, progress), len(indices)
        if panel.searches_expressions:
            begun = start[:n] if configuration.freedom < FREE else _move_away(start, seeds, configuration, panel)[:n]
            if not configuration.guided:
                return expression_search.jitter_expressions(begun, panel.generator, seeds[:n])
            return expression_search.search_expressions(begun, configuration, panel, seeds[:n], on_step=tell)
        begun = _move_away(start, seeds, configuration, panel)
        if not configuration.guided:
            return begun[:n]
        return direct.search_boundary(start, configuration, panel, start=begun, on_step=tell)[:n]
    embeddings = start
    if panel.decoder is not None:
        with torch.inference_mode():
            embeddings = two_stage.embed_faces(quantise(panel.generator.decode_draft(start)), panel).cpu()
    guided = two_stage.denoise_embeddings(
        embeddings, seeds, configuration, panel, _make_denoising_listener(configuration, indices, panel, progress)
    )
    progress.check()
    n = len(indices)
    return two_stage.decode_embeddings(guided[:n], start[:n], seeds[:n], configuration, panel)


def _move_away(bases: Tensor, seeds: Sequence[int], configuration: EmotionConfiguration, panel: EmotionPanel) -> Tensor:
    """Bases (N, d) moved in a direction of each sample's own, and as long as before."""
    jitter = panel.generator.sample([sample_seed(seed, "start") for seed in seeds])
    away = START_DISTANCE * configuration.freedom
    return math.sqrt(1 - away**2) * bases + away * jitter


def _make_denoising_listener(
    configuration: EmotionConfiguration, indices: Sequence[int], panel: EmotionPanel, progress: Progress
) -> two_stage.OnDenoising:
    def tell(fraction: float, embeddings: Tensor) -> None:
        logits = panel.mlp.logits_of(embeddings[: len(indices)]).cpu().double().numpy()
        shares = panel.reference.calibrated(panel.mlp.name, logits)[:, list(configuration.pair)]
        progress.emit(DenoisingStep(indices[0], fraction, shares))

    return tell


def _make_climb_listener(configuration: EmotionConfiguration, indices: Sequence[int], progress: Progress) -> direct.OnClimb:
    def tell(fraction: float, probabilities: Tensor) -> None:
        shares: NDArray[np.float64] = probabilities[: len(indices), list(configuration.pair)].double().numpy()
        progress.emit(DenoisingStep(indices[0], fraction, shares))

    return tell


def load_named_base(configuration: EmotionConfiguration) -> Base | None:
    """The gallery's base that the configuration names; None where it names none."""
    if configuration.base is None:
        return None
    base = load_gallery(configuration.generator).base(configuration.base)
    return Base(base.latent, base.seed)


def draw_base(configuration: EmotionConfiguration, index: int, panel: EmotionPanel) -> Base:
    """A base of a sample's own: the first draw in which, and around which, faces are found; at rest where that is known."""
    seed = sample_seed(configuration.seed, "base", index)
    base = find_bases(BASE_CRITERIA, 1, seed, panel.generator, panel.recogniser)[0]
    return replace(base, latent=make_portraits(torch.from_numpy(base.latent)[None], panel.generator)[0].numpy())


class EmotionSetBuilder:
    """A set of emotion samples while it grows."""

    def __init__(self, configuration: EmotionConfiguration, panel: EmotionPanel) -> None:
        self.configuration, self.panel = configuration, panel
        self.rows: list[dict[str, Any]] = []
        self.latents: dict[str, NDArray[np.float32]] = {}
        self.images: dict[str, NDArray[np.uint8]] = {}
        self.bases: dict[bytes, tuple[str, Tensor]] = {}  # latent -> sample_id and descriptor

    def show_bases(self, bases: Sequence[Base], indices: Sequence[int], progress: Progress) -> list[Tensor]:
        """Add the bases that are new -> each one's descriptor (D,)."""
        descriptors = []
        for base, index in zip(bases, indices, strict=True):
            key = base.latent.tobytes()
            if key not in self.bases:
                picture, judged = judge_base(base, self.configuration, self.panel)
                name = make_sample_id(base.latent, picture)
                self.bases[key] = (name, judged.descriptor)
                self._row(name, "genuine", base.seed, name, judged, guided=False)
                self.latents[name], self.images[name] = base.latent, picture
                progress.emit(BaseShown(index, picture, judged.opinions))
            descriptors.append(self.bases[key][1])
        return descriptors

    def add(
        self,
        latent: Tensor,
        picture: NDArray[np.uint8],
        judged: JudgedImage,
        index: int,
        base: Base,
        sample_type: Literal["boundary", "morph"] = "boundary",
        pair: tuple[str, str] | None = None,
        step: float = math.nan,
    ) -> str:
        """One finished sample -> its sample_id. The same picture of the same latent twice is one sample.

        pair: the two emotions that it is between, where they are not the configuration's.
        sample_type: of a face that was searched for, or of one of a row or grid, where nothing is filtered out.
        step: of a face of a row, the share of emotion 2.
        """
        values = latent.numpy().copy()
        name = make_sample_id(values, picture)
        if name in self.images:
            return name
        seed = sample_seed(self.configuration.seed, "boundary", index)
        self._row(name, sample_type, seed, self.bases[base.latent.tobytes()][0], judged, guided=self.configuration.guided)
        if pair is not None:
            self.rows[-1] |= {"emotion1": pair[0], "emotion2": pair[1]}
        self.rows[-1]["step"] = step
        self.latents[name], self.images[name] = values, picture
        return name

    def _row(self, name: str, kind: str, seed: int, base_id: str, judged: JudgedImage, *, guided: bool) -> None:
        c = self.configuration
        row: dict[str, Any] = {
            "sample_id": name,
            "kind": "emotion",
            "seed": seed,
            "base_id": base_id,
            "sample_type": kind,
            "step": float("nan"),
            "image": f"images/{name}.png",
            "emotion1": c.emotion1,
            "emotion2": c.emotion2,
            "guided": guided,
            "strategy": c.strategy,
            **_make_score_columns("", judged, c.steerer),
        }
        for judge in c.judges:
            row.update(_make_score_columns(f"{judge}_", judged, judge))
        for name in c.classifiers:
            row[filter_column(name, c.steerer)] = judged.passed[name]
        row[f"distance_{c.recogniser}"] = judged.distance
        self.rows.append(row)

    def set(self, seconds: float) -> SampleSet:
        """The finished set."""
        samples = make_table(self.rows, list_emotion_columns(self.configuration.judges, self.configuration.recogniser))
        return SampleSet(
            self.configuration,
            samples,
            make_empty_pairs(),
            self.latents,
            self.images,
            make_emotion_manifest(self.panel, count_sample_types(samples), self.configuration.seed, seconds),
        )


def _make_score_columns(prefix: str, judged: JudgedImage, classifier: str) -> dict[str, float]:
    opinion = judged.opinions[classifier]
    parts = (("p", opinion.raw), ("logit", opinion.logits), ("calibrated", opinion.calibrated))
    return {f"{kind}_{prefix}{emotion}": value for kind, values in parts for emotion, value in zip(EMOTIONS, values, strict=True)}


def make_emotion_manifest(panel: EmotionPanel, counted: Mapping[str, int], seed: int, seconds: float) -> dict[str, Any]:
    """What made a set, for its manifest."""
    return {
        "seed": seed,
        "counts": dict(counted),
        "seconds": {"total": seconds},
        "thresholds": {panel.recogniser.name: panel.recogniser.threshold},
        "percentiles": {name: panel.reference.percentiles(name).tolist() for name in panel.classifiers},
        "temperatures": {name: panel.reference.temperatures[name] for name in panel.classifiers},
        **describe_provenance(panel.cards(), panel.generator.device, ("torch", "numpy", "diffusers")),
    }
