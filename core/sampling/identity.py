"""Paper A's batches: bases, the samples around each, and what the models say of them (section 4.1)."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from core.errors import LiminalError
from core.progress import Progress
from core.sampling.bases import Base, find_bases
from core.sampling.configuration import IdentityConfiguration
from core.sampling.events import BasesFound, MadeSample, SamplesMade, SearchStep
from core.sampling.panel import Panel
from core.sampling.parts import Part, assembled, unsearched
from core.sampling.pictures import to_images, to_pictures
from core.sampling.provenance import provenance
from core.sampling.sample_set import SampleSet, counts, joined
from core.sampling.search import SearchResult
from core.sampling.seeds import sample_seed
from core.sampling.strategies import search
from core.sampling.tables import sample_id

PACKAGES = ("torch", "numpy", "cma", "pandas")
"""Those whose versions go into the manifest."""

DECODE = 64
"""Latents decoded between two looks at whether the user has cancelled."""

SEARCH_SHARE = (0.1, 0.9)
"""The search's part of a batch's progress."""


def generate(
    configuration: IdentityConfiguration, batches: int, progress: Progress | None = None, *, panel: Panel | None = None
) -> SampleSet:
    """``batches`` batches, numbered from 0, as one set. Batch k is the same whatever the number of batches."""
    if batches < 1:
        raise LiminalError(f"The number of batches must be at least 1, not {batches}.")
    panel = panel or Panel.load(configuration)
    progress = progress or Progress()
    made = []
    for batch in range(batches):
        own = progress.part(f"Batch {batch + 1} of {batches}", batch, batches) if batches > 1 else progress
        made.append(generate_batch(configuration, batch, own, panel=panel))
    return joined(made)


def generate_batch(
    configuration: IdentityConfiguration,
    batch: int,
    progress: Progress | None = None,
    *,
    bases: Sequence[Base] | None = None,
    expand: Sequence[int] | None = None,
    panel: Panel | None = None,
) -> SampleSet:
    """One batch: 4 bases, 28 samples each with the paper's values.

    bases: given ones instead of drawn ones (all are each other's negatives). expand: the places of the bases that get their
    samples; None: all of them. panel: the models; None: those that the configuration names. What a base's samples are depends
    on the configuration, that base and its negatives alone. Events: Stage, BasesFound, SamplesMade, SearchStep.
    Raises Cancelled between two steps when the user asks, LiminalError where no base is found.
    """
    progress = progress or Progress()
    panel = panel or Panel.load(configuration)
    seconds: dict[str, float] = {}
    with _timed(seconds, "bases"):
        if bases is None:
            progress.stage("Looking for base faces", 0.0)
            bases = find_bases(configuration, batch, panel.generator, panel.recogniser, progress)
        chosen = _places(expand, len(bases))
        pictures_of_bases = to_pictures(_decode(np.stack([base.latent for base in bases]), panel, progress))
        progress.emit(BasesFound(batch, tuple(pictures_of_bases), sum(base.draws for base in bases)))
    with _timed(seconds, "samples"):
        progress.stage("Making samples around the bases", 0.05)
        parts = [part for place in chosen for part in unsearched(configuration, bases, place, panel)]
        pictures = list(to_pictures(_decode(np.stack([part.latent for part in parts]), panel, progress)))
        _announce(progress, batch, chosen, parts, pictures)
    with _timed(seconds, "search"):
        found, optimized, searches = _search(configuration, bases, chosen, pictures_of_bases, panel, progress)
        if optimized:
            more = list(to_pictures(_decode(np.stack([part.latent for part in optimized]), panel, progress)))
            _announce(progress, batch, chosen, optimized, more)
            parts, pictures = parts + optimized, pictures + more
    with _timed(seconds, "judging"):
        progress.stage("Asking every model what it thinks", SEARCH_SHARE[1])
        result = assembled(configuration, batch, bases, pictures_of_bases, parts, pictures, panel, progress)
    base_ids = {place: sample_id(base.latent, pictures_of_bases[place]) for place, base in enumerate(bases)}
    for run in searches:
        run.update(batch=batch, base_id=base_ids[run.pop("base")], partner_id=base_ids[run.pop("partner")])
    manifest = {
        "seed": configuration.seed,
        "batches": [batch],
        "counts": counts(result.pairs),
        "base_draws": sum(base.draws for base in bases),
        "evaluations": found.evaluations if found else 0,
        "seconds": {**seconds, "total": sum(seconds.values())},
        "searches": searches,
        "thresholds": {judge.name: judge.threshold for judge in panel.judges},  # the default ones, used for accepted_<name>
        **provenance(panel.cards(), panel.generator.device, PACKAGES),
    }
    progress.stage("Done", 1.0)
    return dataclasses.replace(result, manifest=manifest)


def _search(
    configuration: IdentityConfiguration,
    bases: Sequence[Base],
    chosen: Sequence[int],
    pictures: NDArray[np.uint8],
    panel: Panel,
    progress: Progress,
) -> tuple[SearchResult | None, list[Part], list[dict[str, Any]]]:
    """Optimized samples: from each negative toward the base's descriptor, all runs of the batch together."""
    runs = [(place, other) for place in chosen for other in range(len(bases)) if other != place]
    if not runs or not configuration.targets:
        return None, [], []
    wanted = panel.recogniser.embed(to_images(pictures))
    lost = [place for place in chosen if not bool(torch.isfinite(wanted[place]).all())]
    if lost:
        raise LiminalError(
            f"{panel.recogniser.name} finds no face in base {lost[0] + 1}, so nothing can be optimized; choose another."
        )
    seeds = [sample_seed(configuration.seed, bases[place].seed, "search", bases[other].seed) for place, other in runs]
    result = search(
        np.stack([bases[other].latent for _, other in runs]),
        wanted[torch.as_tensor([place for place, _ in runs])],
        panel.generator,
        panel.recogniser,
        configuration,
        seeds=seeds,
        labels=runs,
        on_step=_reporter(progress, len(runs), configuration.iterations),
    )
    parts, records = [], []
    for (place, other), seed, run in zip(runs, seeds, result.runs, strict=True):
        parts += [
            Part(place, "optimized", kept.target, kept.latent, seed, other, strategy=configuration.strategy) for kept in run.kept
        ]
        records.append(
            {
                "base": place,
                "partner": other,
                "strategy": configuration.strategy,
                "evaluations": run.evaluations,
                "history": [None if math.isnan(value) else value for value in run.history],
                "kept": [
                    {
                        "target": kept.target,
                        "distance": None if math.isnan(kept.distance) else kept.distance,
                        "reached": kept.reached,
                        "iteration": kept.iteration,
                    }
                    for kept in run.kept
                ],
            }
        )
    return result, parts, records


def _announce(
    progress: Progress, batch: int, chosen: Sequence[int], parts: Sequence[Part], pictures: Sequence[NDArray[np.uint8]]
) -> None:
    for place in chosen:
        made = [
            MadeSample(part.sample_type, part.step, part.partner, picture)
            for part, picture in zip(parts, pictures, strict=True)
            if part.base == place
        ]
        progress.emit(SamplesMade(batch, place, tuple(made)))


def _reporter(progress: Progress, runs: int, iterations: int) -> Any:
    """Pass SearchSteps on, with a Stage each iteration: its fraction is the share of the iterations that are used up."""
    done = [0] * runs
    last = -1

    def report(step: SearchStep) -> None:
        nonlocal last
        done[step.run] = iterations if step.finished else step.iteration
        progress.emit(step)
        if step.iteration != last:
            last = step.iteration
            low, high = SEARCH_SHARE
            share = sum(done) / (runs * iterations)
            progress.stage(f"Searching: iteration {step.iteration} of at most {iterations}", low + (high - low) * share)

    return report


def _decode(latents: NDArray[np.float32], panel: Panel, progress: Progress) -> torch.Tensor:
    parts = []
    for start in range(0, len(latents), DECODE):
        progress.check()
        with torch.inference_mode():
            parts.append(
                panel.generator.decode(torch.from_numpy(np.ascontiguousarray(latents[start : start + DECODE], np.float32)))
            )
    return torch.cat(parts)


def _places(expand: Sequence[int] | None, bases: int) -> list[int]:
    places = list(range(bases)) if expand is None else list(dict.fromkeys(expand))
    if not places or any(place < 0 or place >= bases for place in places):
        raise LiminalError(f"The bases to expand must be among 0 to {bases - 1}, not {places}.")
    return places


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - began
