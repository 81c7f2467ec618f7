"""Paper A's batches of identity samples: bases, the samples around each, and what every model says of them (sections 3.2 and 4.1).

A batch is 4 bases with 28 samples each: 1 genuine, 6 positive (small random steps, section 3.2.2), 3 negative (the other
bases), 9 interpolation, 9 optimized (``search``), and semantic ones where asked for. Each is judged from its 8-bit picture:
recognisers and LPIPS on pairs, emotion classifiers on images. An image that plays several parts is kept once.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.errors import LiminalError
from core.models import registry
from core.models.contracts import (
    Classifier,
    ClassifierFrame,
    DescriptorSurrogate,
    Generator,
    ModelCard,
    PerceptualDistance,
    Recogniser,
)
from core.models.emotions import EMOTIONS
from core.models.framing import frame_for_classifiers
from core.progress import Progress
from core.sampling.bases import Base, find_bases
from core.sampling.configuration import IdentityConfiguration, StepsMove, sample_seed
from core.sampling.events import BasesFound, SamplesMade, SearchStep, UnjudgedSample
from core.sampling.images import to_images, to_pictures
from core.sampling.sample_set import (
    PAIR_COLUMNS,
    SAMPLE_COLUMNS,
    VALUE_PREFIX,
    SampleSet,
    count_sample_types,
    describe_provenance,
    join_identity_sets,
    make_pair_id,
    make_sample_id,
    make_table,
    set_column_types,
)
from core.sampling.search import SearchResult, search_descriptor
from core.sampling.stored.directions import make_semantic_steps

VERSIONED_PACKAGES = ("torch", "numpy", "cma", "pandas")
"""Those whose versions go into the manifest."""

DECODING_BATCH = 64
"""Latents decoded between two looks at whether the user has cancelled."""

SEARCH_PROGRESS = (0.1, 0.9)
"""The search's part of a batch's progress."""


def generate_identity_set(
    configuration: IdentityConfiguration, batches: int, progress: Progress | None = None, *, panel: IdentityPanel | None = None
) -> SampleSet:
    """``batches`` batches, numbered from 0, as one set. Batch k is the same whatever the number of batches."""
    if batches < 1:
        raise LiminalError(f"The number of batches must be at least 1, not {batches}.")
    panel = panel or IdentityPanel.load(configuration)
    progress = progress or Progress()
    sets = []
    for batch in range(batches):
        batch_progress = progress.part(f"Batch {batch + 1} of {batches}", batch, batches) if batches > 1 else progress
        sets.append(generate_identity_batch(configuration, batch, batch_progress, panel=panel))
    return join_identity_sets(sets)


def generate_identity_batch(
    configuration: IdentityConfiguration,
    batch: int,
    progress: Progress | None = None,
    *,
    bases: Sequence[Base] | None = None,
    expand: Sequence[int] | None = None,
    panel: IdentityPanel | None = None,
) -> SampleSet:
    """One batch: 4 bases, 28 samples each with the paper's values.

    bases: given ones instead of drawn ones (all are each other's negatives). expand: the places of the bases that get their
    samples; None: all of them. panel: the models; None: those that the configuration names. What a base's samples are depends
    on the configuration, that base and its negatives alone. Events: Stage, BasesFound, SamplesMade, SearchStep.
    Raises Cancelled between two steps when the user asks, LiminalError where no base is found.
    """
    progress = progress or Progress()
    panel = panel or IdentityPanel.load(configuration)
    seconds: dict[str, float] = {}
    with _record_seconds(seconds, "bases"):
        if bases is None:
            progress.stage("Looking for base faces", 0.0)
            bases = find_bases(
                configuration.base_criteria,
                configuration.bases_per_batch,
                configuration.seed,
                panel.generator,
                panel.recogniser,
                progress,
                batch=batch,
            )
        chosen = _select_bases(expand, len(bases))
        pictures_of_bases = to_pictures(_decode_latents(np.stack([base.latent for base in bases]), panel, progress))
        progress.emit(BasesFound(batch, tuple(pictures_of_bases), sum(base.draws for base in bases)))
    with _record_seconds(seconds, "samples"):
        progress.stage("Making samples around the bases", 0.05)
        parts = [part for index in chosen for part in specify_samples(configuration, bases, index, panel)]
        pictures = list(to_pictures(_decode_latents(np.stack([part.latent for part in parts]), panel, progress)))
        _emit_samples(progress, batch, chosen, parts, pictures)
    with _record_seconds(seconds, "search"):
        search, optimized, searches = _make_optimized(configuration, bases, chosen, pictures_of_bases, panel, progress)
        if optimized:
            more = list(to_pictures(_decode_latents(np.stack([part.latent for part in optimized]), panel, progress)))
            _emit_samples(progress, batch, chosen, optimized, more)
            parts, pictures = parts + optimized, pictures + more
    with _record_seconds(seconds, "judging"):
        progress.stage("Asking every model what it thinks", SEARCH_PROGRESS[1])
        result = assemble_sample_set(configuration, batch, bases, pictures_of_bases, parts, pictures, panel, progress)
    base_ids = {index: make_sample_id(base.latent, pictures_of_bases[index]) for index, base in enumerate(bases)}
    for run in searches:
        run.update(batch=batch, base_id=base_ids[run.pop("base")], partner_id=base_ids[run.pop("partner")])
    manifest = {
        "seed": configuration.seed,
        "batches": [batch],
        "counts": count_sample_types(result.pairs),
        "base_draws": sum(base.draws for base in bases),
        "evaluations": search.evaluations if search else 0,
        "seconds": {**seconds, "total": sum(seconds.values())},
        "searches": searches,
        "classifier_frame": panel.generator.classifier_frame,
        "thresholds": {judge.name: judge.threshold for judge in panel.judges},  # the default ones, used for accepted_<name>
        **describe_provenance(panel.cards(), panel.generator.device, VERSIONED_PACKAGES),
    }
    progress.stage("Done", 1.0)
    return dataclasses.replace(result, manifest=manifest)


def _make_optimized(
    configuration: IdentityConfiguration,
    bases: Sequence[Base],
    chosen: Sequence[int],
    pictures: NDArray[np.uint8],
    panel: IdentityPanel,
    progress: Progress,
) -> tuple[SearchResult | None, list[SampleSpec], list[dict[str, Any]]]:
    """Optimized samples: from each negative toward the base's descriptor, all runs of the batch together.

    What steps move (``steps_move``), a search moves.
    """
    runs = [(base, other) for base in chosen for other in range(len(bases)) if other != base]
    if not runs or not configuration.targets:
        return None, [], []
    wanted = panel.recogniser.embed(to_images(pictures))
    lost = [base for base in chosen if not bool(torch.isfinite(wanted[base]).all())]
    if lost:
        raise LiminalError(
            f"{panel.recogniser.name} finds no face in base {lost[0] + 1}, so nothing can be optimized; choose another."
        )
    seeds = [sample_seed(configuration.seed, bases[base].seed, "search", bases[other].seed) for base, other in runs]
    movable = np.zeros(panel.generator.latent_dim, bool)
    movable[find_moved_block(configuration.steps_move, panel.generator)] = True
    result = search_descriptor(
        np.stack([bases[other].latent for _, other in runs]),
        wanted[torch.as_tensor([base for base, _ in runs])],
        panel.generator,
        panel.recogniser,
        configuration,
        seeds=seeds,
        labels=runs,
        on_step=_make_step_listener(progress, len(runs), configuration.iterations),
        surrogate=panel.surrogate,
        movable=movable,
    )
    parts, records = [], []
    for (base, other), seed, run in zip(runs, seeds, result.runs, strict=True):
        parts += [
            SampleSpec(base, "optimized", outcome.target, outcome.latent, seed, other, strategy=configuration.strategy)
            for outcome in run.results
        ]
        records.append(
            {
                "base": base,
                "partner": other,
                "strategy": configuration.strategy,
                "evaluations": run.evaluations,
                "history": [None if math.isnan(value) else value for value in run.history],
                "kept": [
                    {
                        "target": outcome.target,
                        "distance": None if math.isnan(outcome.distance) else outcome.distance,
                        "reached": outcome.reached,
                        "iteration": outcome.iteration,
                    }
                    for outcome in run.results
                ],
            }
        )
    return result, parts, records


def _emit_samples(
    progress: Progress, batch: int, chosen: Sequence[int], parts: Sequence[SampleSpec], pictures: Sequence[NDArray[np.uint8]]
) -> None:
    for base in chosen:
        samples = [
            UnjudgedSample(part.sample_type, part.step, part.partner, picture)
            for part, picture in zip(parts, pictures, strict=True)
            if part.base == base
        ]
        progress.emit(SamplesMade(batch, base, tuple(samples)))


def _make_step_listener(progress: Progress, runs: int, iterations: int) -> Any:
    """Pass SearchSteps on, with a Stage each iteration: its fraction is the share of the iterations that are used up."""
    done = [0] * runs
    last = -1

    def report(step: SearchStep) -> None:
        nonlocal last
        done[step.run] = iterations if step.finished else step.iteration
        progress.emit(step)
        if step.iteration != last:
            last = step.iteration
            low, high = SEARCH_PROGRESS
            share = sum(done) / (runs * iterations)
            progress.stage(f"Searching: iteration {step.iteration} of at most {iterations}", low + (high - low) * share)

    return report


def _decode_latents(latents: NDArray[np.float32], panel: IdentityPanel, progress: Progress) -> torch.Tensor:
    parts = []
    for start in range(0, len(latents), DECODING_BATCH):
        progress.check()
        with torch.inference_mode():
            parts.append(
                panel.generator.decode(torch.from_numpy(np.ascontiguousarray(latents[start : start + DECODING_BATCH], np.float32)))
            )
    return torch.cat(parts)


def _select_bases(expand: Sequence[int] | None, bases: int) -> list[int]:
    chosen = list(range(bases)) if expand is None else list(dict.fromkeys(expand))
    if not chosen or any(base < 0 or base >= bases for base in chosen):
        raise LiminalError(f"The bases to expand must be among 0 to {bases - 1}, not {chosen}.")
    return chosen


@contextmanager
def _record_seconds(seconds: dict[str, float], name: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - began


@dataclass(frozen=True)
class SampleSpec:
    """A latent and the part that it plays for a base. ``partner`` is the place of the negative in the batch."""

    base: int
    sample_type: str
    step: float
    latent: NDArray[np.float32]
    seed: int  # of its own random draw; where nothing is drawn, of its base
    partner: int | None = None
    direction: str | None = None
    strategy: str | None = None


def interpolate(start: NDArray[np.float32], end: NDArray[np.float32], fractions: Sequence[float]) -> list[NDArray[np.float32]]:
    """The latents at ``fractions`` of the straight way (paper A, sections 3.2.5 and 4.1), to the byte the same from either end."""
    return [(np.float32(1 - fraction) * start + np.float32(fraction) * end).astype(np.float32) for fraction in fractions]


def take_block(latent: NDArray[np.float32], other: NDArray[np.float32], block: slice) -> NDArray[np.float32]:
    """The latent (d,) with the block of another one."""
    taken = latent.copy()
    taken[block] = other[block]
    return taken


def specify_samples(
    configuration: IdentityConfiguration, bases: Sequence[Base], base: int, panel: IdentityPanel
) -> list[SampleSpec]:
    """Samples of one base that need no search: 1 genuine, 6 positive, 3 negative, 9 interpolation; semantic ones if asked for."""
    origin, block = bases[base], find_moved_block(configuration.steps_move, panel.generator)
    parts = [SampleSpec(base, "genuine", 0.0, origin.latent, origin.seed)]
    steps = make_positive_steps(
        origin, configuration.positive_directions, configuration.positive_steps, panel.generator, configuration.seed, block
    )
    parts += [SampleSpec(base, "positive", step.size, step.latent, step.seed) for step in steps]
    partners = [other for other in range(len(bases)) if other != base]
    parts += [SampleSpec(base, "negative", math.nan, bases[other].latent, bases[other].seed, other) for other in partners]
    for other in partners:
        end = take_block(origin.latent, bases[other].latent, block)
        way = interpolate(origin.latent, end, configuration.interpolation_steps)
        for fraction, latent in zip(configuration.interpolation_steps, way, strict=True):
            parts.append(SampleSpec(base, "interpolation", fraction, latent, origin.seed, other))
    if configuration.semantic:
        changes = [
            change for size in configuration.semantic_steps for change in make_semantic_steps(origin.latent, panel.generator, size)
        ]
        parts += [
            SampleSpec(base, "semantic", change.step, change.latent, origin.seed, direction=change.label) for change in changes
        ]
    return parts


def assemble_sample_set(
    configuration: IdentityConfiguration,
    batch: int,
    bases: Sequence[Base],
    pictures_of_bases: NDArray[np.uint8],
    parts: Sequence[SampleSpec],
    pictures: Sequence[NDArray[np.uint8]],
    panel: IdentityPanel,
    progress: Progress,
) -> SampleSet:
    """Tables, latents and images by sample_id, judged by every model."""
    base_ids = [make_sample_id(base.latent, picture) for base, picture in zip(bases, pictures_of_bases, strict=True)]
    latents: dict[str, NDArray[np.float32]] = {}
    images: dict[str, NDArray[np.uint8]] = {}
    samples: list[dict[str, Any]] = []
    pairs: list[dict[str, Any]] = []

    def keep(name: str, latent: NDArray[np.float32], picture: NDArray[np.uint8], row: dict[str, Any]) -> None:
        if name not in images:
            latents[name], images[name] = latent, picture
            samples.append({"sample_id": name, "kind": "identity", "image": f"images/{name}.png", **row})

    for base, name, picture in zip(bases, base_ids, pictures_of_bases, strict=True):
        keep(name, base.latent, picture, {"seed": base.seed, "base_id": name, "sample_type": "genuine", "step": 0.0})
    for part, picture in zip(parts, pictures, strict=True):
        name, base_id = make_sample_id(part.latent, picture), base_ids[part.base]
        partner_id = base_ids[part.partner] if part.partner is not None else None
        played = {"base_id": base_id, "sample_type": part.sample_type, "step": part.step}
        keep(name, part.latent, picture, {"seed": part.seed, **played})
        identity = make_pair_id(base_id, name, part.sample_type, part.step, partner_id or part.direction)
        more = {"partner_id": partner_id, "direction": part.direction, "strategy": part.strategy}
        pairs.append({"pair_id": identity, "batch": batch, "sample_id": name, **played, **more})
    unjudged = make_table([{**row, "lpips": math.nan, "latent_distance": math.nan} for row in pairs], PAIR_COLUMNS)
    judged = judge_pairs(unjudged, latents, images, panel, progress)
    table = judge_samples(
        make_table(samples, SAMPLE_COLUMNS), images, panel.classifiers, progress, panel.generator.classifier_frame
    )
    if panel.generator.latent_names:
        values = panel.generator.named_values(torch.from_numpy(np.stack([latents[name] for name in table["sample_id"]])))
        columns = {f"{VALUE_PREFIX}{name}": [row[name] for row in values] for name in values[0]}
        table = pd.concat([table, pd.DataFrame(columns, index=table.index)], axis=1)
    return SampleSet(configuration, table, judged, latents, images)


@dataclass(frozen=True)
class PositiveStep:
    """One step: ``size`` in paper units, the seed of its direction, and where it leads (latent_dim,)."""

    size: float
    seed: int
    latent: NDArray[np.float32]


def find_moved_block(steps_move: StepsMove, generator: Generator) -> slice:
    """The latents that steps move. Raises LiminalError where only the person is to move and the generator has no such block."""
    if steps_move == "everything":
        return slice(None)
    if not generator.knows_identity:
        raise LiminalError(f"'steps_move' is person, but {generator.card.title} has no latents of the person alone.")
    return generator.blocks["identity"]


def make_positive_steps(
    base: Base, directions: int, sizes: Sequence[float], generator: Generator, seed: int, block: slice = slice(None)
) -> list[PositiveStep]:
    """``base + s n`` for each direction n ~ N(0, I) of the block and each size s: a step is about s sqrt(block's latents) long."""
    steps = []
    for number in range(directions):
        drawn = sample_seed(seed, base.seed, "positive", number)
        direction = np.zeros_like(base.latent)
        direction[block] = generator.sample([drawn]).numpy()[0][block]
        steps += [PositiveStep(size, drawn, base.latent + np.float32(size) * direction) for size in sizes]
    return steps


@dataclass(frozen=True)
class IdentityPanel:
    """generator and recogniser make the samples; judges, perceptual distance and classifiers say what they think of them.

    surrogate: what a search by the strategy of that name climbs; None: another strategy is used.
    """

    generator: Generator
    recogniser: Recogniser
    judges: Sequence[Recogniser]
    perceptual: PerceptualDistance
    classifiers: Sequence[Classifier]
    surrogate: DescriptorSurrogate | None = None

    @classmethod
    def load(cls, configuration: IdentityConfiguration) -> IdentityPanel:
        """The models that a configuration names. Raises LiminalError for names that the registry does not know."""
        recogniser = registry.load(configuration.recogniser, "recogniser")
        if configuration.strategy == "gradient" and not recogniser.differentiable:
            raise LiminalError(f"{recogniser.card.title} has no gradient; search by trial and selection (cmaes) instead.")
        generator = registry.load(configuration.generator, "generator")
        if configuration.strategy == "gradient" and not generator.differentiable:
            raise LiminalError(f"{generator.card.title} has no gradient; search by trial and selection (cmaes) instead.")
        surrogate = None
        if configuration.strategy == "surrogate":
            surrogate = registry.load_descriptor_surrogate(generator.name, recogniser.name)
        return cls(
            generator=generator,
            recogniser=recogniser,
            surrogate=surrogate,
            judges=[registry.load(name, "recogniser") for name in configuration.judges],
            perceptual=registry.load(configuration.perceptual, "distance"),
            classifiers=[registry.load(name, "classifier") for name in configuration.classifiers],
        )

    def cards(self) -> list[ModelCard]:
        """Every model's card, each once."""
        recognisers = [model.card for model in (self.recogniser, *self.judges)]
        cards = [self.generator.card, *recognisers, self.perceptual.card, *(model.card for model in self.classifiers)]
        if self.surrogate is not None:
            cards.append(self.surrogate.card)
        return list({card.name: card for card in cards}.values())


JUDGING_BATCH = 16
"""Images judged between two looks at whether the user has cancelled."""

Latents = Mapping[str, NDArray[np.float32]]
Pictures = Mapping[str, NDArray[np.uint8]]


def judge_pairs(
    pairs: pd.DataFrame, latents: Latents, pictures: Pictures, panel: IdentityPanel, progress: Progress | None = None
) -> pd.DataFrame:
    """The pairs with latent_distance (Euclidean), lpips, and distance_<name>, accepted_<name> of every judge.

    Where a judge found no face in either image, its distance is NaN and its verdict null. Accepted: distance < threshold. Where the
    generator knows who is who, identity_distance (``Generator.identity_distance``) and same_identity too: true where the identity
    blocks are equal to the byte, false for independent draws, null between, since whose face that is, is what people are asked.
    """
    progress = progress or Progress()
    names = list(dict.fromkeys([*pairs["base_id"], *pairs["sample_id"]]))
    row = {name: index for index, name in enumerate(names)}
    images = to_images(np.stack([pictures[name] for name in names]))  # (N, 3, H, W)
    bases = torch.as_tensor([row[name] for name in pairs["base_id"]])
    samples = torch.as_tensor([row[name] for name in pairs["sample_id"]])

    judged = pairs.copy()
    apart = [
        latents[one].astype(np.float64) - latents[other] for one, other in zip(pairs["base_id"], pairs["sample_id"], strict=True)
    ]
    judged["latent_distance"] = np.linalg.norm(np.stack(apart), axis=1)
    if panel.generator.knows_identity:
        first, second = (
            torch.from_numpy(np.stack([latents[name] for name in pairs[column]])) for column in ("base_id", "sample_id")
        )
        judged["identity_distance"] = panel.generator.identity_distance(first, second).numpy()
        block = panel.generator.blocks["identity"]
        same = pd.array((first[:, block] == second[:, block]).all(dim=1).numpy(), dtype="boolean")
        same[~same.to_numpy(bool) & (pairs["sample_type"] != "negative").to_numpy()] = pd.NA
        judged["same_identity"] = same
    judged["lpips"] = measure_perceptual_distances(panel.perceptual, images, bases, samples, progress)
    for judge in panel.judges:
        vectors = embed_in_batches(judge, images, progress)
        with torch.inference_mode():
            distances = judge.distance(vectors[bases], vectors[samples]).cpu().double().numpy()
        verdicts = pd.array(distances < judge.threshold, dtype="boolean")
        verdicts[np.isnan(distances)] = pd.NA
        judged[f"distance_{judge.name}"] = distances
        judged[f"accepted_{judge.name}"] = verdicts
    return set_column_types(judged, PAIR_COLUMNS)


def judge_samples(
    samples: pd.DataFrame,
    pictures: Pictures,
    classifiers: Sequence[Classifier],
    progress: Progress | None = None,
    frame: ClassifierFrame = "whole",
) -> pd.DataFrame:
    """The samples with p_<classifier>_<emotion> for the six emotions; they sum to one a classifier ('neutral' is dropped).

    frame: what classifiers see of the generator's pictures.
    """
    progress = progress or Progress()
    images = frame_for_classifiers(to_images(np.stack([pictures[name] for name in samples["sample_id"]])), frame)
    judged = samples.copy()
    for classifier in classifiers:
        parts = []
        for start in range(0, len(images), JUDGING_BATCH):
            progress.check()
            with torch.inference_mode():
                parts.append(classifier.probabilities(images[start : start + JUDGING_BATCH]).cpu().double())
        table = torch.cat(parts).numpy()
        for column, emotion in enumerate(EMOTIONS):
            judged[f"p_{classifier.name}_{emotion}"] = table[:, column]
    return set_column_types(judged, SAMPLE_COLUMNS)


def embed_in_batches(recogniser: Recogniser, images: Tensor, progress: Progress) -> Tensor:
    """(N, 3, H, W) -> (N, D) by the exact path, NaN rows where no face was found."""
    parts = []
    for start in range(0, len(images), JUDGING_BATCH):
        progress.check()
        parts.append(recogniser.embed(images[start : start + JUDGING_BATCH]).cpu())
    return torch.cat(parts)


def measure_perceptual_distances(
    perceptual: PerceptualDistance, images: Tensor, first: Tensor, second: Tensor, progress: Progress
) -> NDArray[np.float64]:
    """The perceptual distance of images[first] (P,) and images[second] (P,) -> (P,)."""
    parts = []
    for start in range(0, len(first), JUDGING_BATCH):
        progress.check()
        with torch.inference_mode():
            one, other = images[first[start : start + JUDGING_BATCH]], images[second[start : start + JUDGING_BATCH]]
            parts.append(perceptual.distance(one, other).cpu().double().numpy())
    return np.concatenate(parts)
