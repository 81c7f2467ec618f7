"""People's chains as a sample set: each chain's face after every sweep, the mean face of the ends, and every network's verdict.

All other pages open such a set. Its pair of feelings is the one aimed at, if any, and those that the guiding classifier finds
strongest in the mean faces.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.errors import LiminalError
from core.models.emotions import EMOTIONS
from core.progress import Progress
from core.sampling.bases import Base
from core.sampling.emotion.configuration import GROUP_SIZE, EmotionConfiguration
from core.sampling.emotion.generate import EmotionSetBuilder
from core.sampling.emotion.judging import EmotionPanel, judge_images
from core.sampling.events import ClassifierScores
from core.sampling.images import quantise, to_pictures
from core.sampling.named_slider import load_rested_base, set_values
from core.sampling.sample_set import MADE_KEY, MEAN_OF_CHAINS, SampleSet
from core.sampling.stored.gallery import load_gallery

MAX_FACES = 400
"""Faces of one set; longer chains are shown at fewer of their sweeps."""


@dataclass(frozen=True)
class ChainFace:
    """A face of a chain after so many sweeps, or the mean of chains (chain MEAN_OF_CHAINS)."""

    chain: int
    sweep: int
    base: str
    values: Mapping[str, float]


@dataclass(frozen=True)
class JudgedFace:
    """A face with its picture (H, W, 3), its latent (d,), its sample_id and what every classifier says of it."""

    face: ChainFace
    picture: NDArray[np.uint8]
    latent: NDArray[np.float32]
    sample_id: str
    opinions: Mapping[str, ClassifierScores]


@dataclass(frozen=True)
class ChainFaces:
    """faces: in the order asked for; the same faces as a sample set."""

    faces: tuple[JudgedFace, ...]
    sample_set: SampleSet

    @property
    def means(self) -> list[JudgedFace]:
        """The mean faces, one for each person that chains began with."""
        return [judged for judged in self.faces if judged.face.chain == MEAN_OF_CHAINS]


def list_faces(traces: Mapping[int, NDArray[np.float64]], names: Sequence[str], bases: Mapping[int, str]) -> list[ChainFace]:
    """The faces of chains after their sweeps, start and end among them, at most MAX_FACES.

    traces: chain -> values (sweeps + 1, latents); bases: chain -> the person it began with.
    """
    room = max(2, MAX_FACES // max(1, len(traces)))
    faces = []
    for chain, trace in traces.items():
        for sweep in np.unique(np.linspace(0, len(trace) - 1, min(room, len(trace))).round().astype(int)):
            values = dict(zip(names, (float(value) for value in trace[sweep]), strict=True))
            faces.append(ChainFace(chain, int(sweep), bases[chain], values))
    return faces


def make_chain_faces(
    faces: Sequence[ChainFace],
    generator: str,
    target: str,
    made_by: Mapping[str, Any],
    *,
    panel: EmotionPanel | None = None,
    progress: Progress | None = None,
) -> ChainFaces:
    """Draw and judge the faces. target: the feeling aimed at, '' for another aim; made_by: plain values for the manifest.

    Raises LiminalError without a mean face among them.
    """
    progress = progress or Progress()
    means = [face for face in faces if face.chain == MEAN_OF_CHAINS]
    if not means:
        raise LiminalError("No chain has come to an end yet, so there is no mean face to judge; let people make further steps.")
    progress.stage("Loading the networks", 0.0)
    first, second = EMOTIONS[:2]
    configuration = EmotionConfiguration(first, second, len(faces), generator=generator, strategy="direct", guided=False)
    panel = panel or EmotionPanel.load(configuration)
    steerer, *judges = panel.classifiers
    configuration = replace(configuration, steerer=steerer, judges=tuple(judges), recogniser=panel.recogniser.name)
    began = time.perf_counter()
    rested = {name: load_rested_base(generator, name) for name in dict.fromkeys(face.base for face in faces)}
    pair = _find_pair(means, rested, configuration, panel, target)
    configuration = replace(configuration, emotion1=pair[0], emotion2=pair[1])
    gallery = load_gallery(generator)
    bases = {name: Base(latent, gallery.base(name).seed) for name, latent in rested.items()}
    builder = EmotionSetBuilder(configuration, panel)
    descriptors = dict(zip(bases, builder.show_bases(list(bases.values()), [0] * len(bases), progress), strict=True))
    judged_faces = []
    for start in range(0, len(faces), GROUP_SIZE):
        progress.stage(f"Drawing and judging face {start + 1} of {len(faces)}", start / len(faces))
        group = faces[start : start + GROUP_SIZE]
        latents, images = _draw(group, rested, panel)
        vectors = torch.stack([descriptors[face.base] for face in group])
        judged = judge_images(images, vectors, configuration, panel)
        for place, (face, picture, said) in enumerate(zip(group, to_pictures(images), judged, strict=True)):
            rows = len(builder.rows)
            name = builder.add(latents[place], picture, said, start + place, bases[face.base], "morph")
            if len(builder.rows) > rows:
                builder.rows[-1] |= {"chain": float(face.chain), "sweep": float(face.sweep)}
            judged_faces.append(JudgedFace(face, picture, builder.latents[name], name, said.opinions))
    sample_set = builder.set(time.perf_counter() - began)
    progress.stage("Done", 1.0)
    return ChainFaces(tuple(judged_faces), replace(sample_set, manifest={**sample_set.manifest, MADE_KEY: dict(made_by)}))


def _draw(faces: Sequence[ChainFace], rested: Mapping[str, NDArray[np.float32]], panel: EmotionPanel) -> tuple[Tensor, Tensor]:
    """Faces -> latents (N, d) and images (N, 3, H, W) as they are stored."""
    latents = torch.cat([set_values(panel.generator, rested[face.base], [face.values]) for face in faces])
    with torch.inference_mode():
        return latents, quantise(panel.generator.decode(latents))


def _find_pair(
    means: Sequence[ChainFace],
    rested: Mapping[str, NDArray[np.float32]],
    configuration: EmotionConfiguration,
    panel: EmotionPanel,
    target: str,
) -> tuple[str, str]:
    """The target, if any, and the feelings that the guiding classifier finds strongest in the mean faces, two in all."""
    _, images = _draw(means, rested, panel)
    judged = judge_images(images, None, configuration, panel)
    shares = np.mean([said.opinions[configuration.steerer].calibrated for said in judged], axis=0)
    strongest = [EMOTIONS[place] for place in np.argsort(-shares)]
    first, second, *_ = [target] * bool(target) + [name for name in strongest if name != target]
    return first, second
