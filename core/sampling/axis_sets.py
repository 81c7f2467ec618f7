"""Axes as sample sets: rows of faces from one end to another, for studies that ask adaptively (``core.studies.adaptive``).

Identity: the way from one person to another (the identity block alone moves, where a generator has one), or one named latent from a
person as drawn to its high end; each frame is paired with the first one, several times over, so that a level can be asked again.
Emotion: one person from a first feeling to a second one, 41 frames.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.errors import LiminalError
from core.models import registry
from core.models.contracts import Generator
from core.progress import Progress
from core.sampling.bases import Base, make_portraits, rest_expressions
from core.sampling.change_design import REACH, choose_latents
from core.sampling.configuration import IdentityConfiguration, sample_seed
from core.sampling.emotion.configuration import EmotionConfiguration
from core.sampling.emotion.generate import EmotionSetBuilder, draw_base
from core.sampling.emotion.judging import EmotionPanel, draw_and_judge
from core.sampling.identity import (
    VERSIONED_PACKAGES,
    IdentityPanel,
    SampleSpec,
    assemble_sample_set,
    find_moved_block,
    interpolate,
    take_block,
)
from core.sampling.images import to_pictures
from core.sampling.sample_set import AXES_KEY, SampleSet, count_sample_types, describe_provenance, name_axis
from core.sampling.single_changes import apply_treatments

LEVELS, REPEATS = 21, 4
"""Of an axis of pairs: frames, and how often each can be asked about."""
FEELING_LEVELS = 41
"""Of an axis of single faces, each of which is asked about once."""
MAX_AXES = 12
ALIKE = 0.1
"""Ends whose distance is below this share of every recogniser's limit look alike."""


def make_identity_axes(
    *,
    people: int = 1,
    latents: Sequence[str] = (),
    generator: str = "head",
    seed: int = 0,
    progress: Progress | None = None,
    panel: IdentityPanel | None = None,
) -> SampleSet:
    """Ways between ``people`` pairs of people, and one axis for each named latent, as one identity set of one batch.

    Raises LiminalError where an axis has ends that look alike, for a latent without name, and for too many axes.
    """
    if not 1 <= people + len(latents) <= MAX_AXES or people < 0:
        raise LiminalError(f"A study asks along 1 to {MAX_AXES} axes, not {people + len(latents)}; choose fewer.")
    if latents:
        latents = choose_latents(generator, latents) if panel is None else tuple(latents)
    progress = progress or Progress()
    progress.stage("Loading the networks", 0.0)
    began = time.perf_counter()
    configuration = IdentityConfiguration(seed=seed, generator=generator, targets=(), bases_per_batch=max(1, people + len(latents)))
    panel = panel or IdentityPanel.load(configuration)
    levels = np.linspace(0, 1, LEVELS)
    bases: list[Base] = []
    specs: list[SampleSpec] = []
    for number in range(people + len(latents)):
        base, name, ways = _make_way(number, people, latents, levels, panel.generator, seed)
        place = len(bases)
        bases.append(base)
        specs.append(SampleSpec(place, "genuine", 0.0, base.latent, base.seed))
        specs += [
            SampleSpec(place, "interpolation", float(level), latent, base.seed, direction=name_axis(name, repeat))
            for level, latent in zip(levels, ways, strict=True)
            for repeat in range(REPEATS)
        ]
    unique = {spec.latent.tobytes(): spec.latent for spec in specs}
    drawn = _draw(np.stack(list(unique.values())), panel.generator, progress)
    pictures = dict(zip(unique, drawn, strict=True))
    of_bases = np.stack([pictures[base.latent.tobytes()] for base in bases])
    chosen = [pictures[spec.latent.tobytes()] for spec in specs]
    made = assemble_sample_set(configuration, 0, bases, of_bases, specs, chosen, panel, progress.stretch(0.6, 1.0))
    _require_different_ends(made, panel)
    manifest = {
        "seed": seed,
        "batches": [0],
        "counts": count_sample_types(made.pairs),
        "base_draws": len(bases),
        "evaluations": 0,
        "seconds": {"total": time.perf_counter() - began},
        "searches": [],
        AXES_KEY: {"people": people, "latents": list(latents)},
        "classifier_frame": panel.generator.classifier_frame,
        "thresholds": {judge.name: judge.threshold for judge in panel.judges},
        **describe_provenance(panel.cards(), panel.generator.device, VERSIONED_PACKAGES),
    }
    return replace(made, manifest=manifest)


def _make_way(
    number: int, people: int, latents: Sequence[str], levels: NDArray[np.float64], generator: Generator, seed: int
) -> tuple[Base, str, list[NDArray[np.float32]]]:
    """One axis: its base, its name, and the latents of its frames."""
    seeds = [sample_seed(seed, "axis", number, end) for end in range(2)]
    start, other = make_portraits(generator.sample(seeds), generator).numpy()
    base = Base(start, seeds[0])
    if number < people:
        block = find_moved_block("person" if generator.knows_identity else "everything", generator)
        return base, f"two people, {number + 1}", interpolate(start, take_block(start, other, block), levels.tolist())
    name = latents[number - people]
    (end,) = apply_treatments(torch.from_numpy(start)[None], [{name: REACH}], generator)[:, 0].numpy()
    return base, name.replace("_", " "), interpolate(start, end, levels.tolist())


def _draw(latents: NDArray[np.float32], generator: Generator, progress: Progress) -> list[NDArray[np.uint8]]:
    pictures: list[Any] = []
    for first in range(0, len(latents), 16):
        progress.stage(f"Drawing face {first + 1} of {len(latents)}", 0.6 * first / len(latents))
        with torch.inference_mode():
            pictures += list(to_pictures(generator.decode(torch.from_numpy(latents[first : first + 16]))))
    return pictures


def _require_different_ends(made: SampleSet, panel: IdentityPanel) -> None:
    ends = made.pairs[(made.pairs["sample_type"] == "interpolation") & (made.pairs["step"] == 1.0)]
    for direction, row in zip(ends["direction"], ends.to_dict("records"), strict=True):
        apart = [row[f"distance_{judge.name}"] / judge.threshold for judge in panel.judges]
        if not any(share >= ALIKE for share in apart):
            name = str(direction).partition(":")[2].partition("#")[0]
            raise LiminalError(
                f"The two ends of the axis '{name}' look alike to every recogniser, so that no answer can flip on it; choose "
                "another latent or another --seed."
            )


def make_emotion_axis(
    configuration: EmotionConfiguration,
    *,
    base: Base | None = None,
    progress: Progress | None = None,
    panel: EmotionPanel | None = None,
) -> SampleSet:
    """One person from the first feeling to the second, at full strength each: FEELING_LEVELS faces, ``step`` the second's share.

    Raises LiminalError for a generator without named expressions.
    """
    progress = progress or Progress()
    progress.stage("Loading the networks", 0.0)
    if not registry.find_entry(configuration.generator, "generator").changes and panel is None:
        raise LiminalError(
            f"{registry.title(configuration.generator)} has no strengths of feelings to set; choose the generator 'head'."
        )
    panel = panel or EmotionPanel.load(configuration)
    began = time.perf_counter()
    base = base or draw_base(configuration, 0, panel)
    builder = EmotionSetBuilder(configuration, panel)
    (descriptor,) = builder.show_bases([base], [0], progress)
    levels = np.linspace(0, 1, FEELING_LEVELS)
    latents = _mix_feelings(torch.from_numpy(base.latent), levels, configuration, panel)
    for index, picture, judged in draw_and_judge(latents, descriptor, configuration, panel, progress):
        builder.add(latents[index], picture, judged, index, base, "morph", step=float(levels[index]))
    progress.stage("Done", 1.0)
    made = builder.set(time.perf_counter() - began)
    return replace(made, manifest={**made.manifest, AXES_KEY: {"feelings": [configuration.emotion1, configuration.emotion2]}})


def _mix_feelings(base: Tensor, levels: NDArray[np.float64], configuration: EmotionConfiguration, panel: EmotionPanel) -> Tensor:
    """The base (d,) at rest with both feelings in shares that sum to 1 -> (L, d)."""
    rested = rest_expressions(base[None], panel.generator)
    rows = []
    for level in levels.tolist():
        first = panel.generator.set_named_value(rested, configuration.emotion1, 1 - level)
        rows.append(panel.generator.set_named_value(first, configuration.emotion2, level))
    return torch.cat(rows)
