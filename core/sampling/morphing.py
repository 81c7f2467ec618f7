"""Morphs: faces on the way between two owners, each of them in front of both phones.

A morphing attack presents one face that is taken for two people; ISO/IEC 20059 (2025) says how resistance to it is evaluated. Here
a morph is what the generator makes of a mix of two latents (``identity.interpolate``). The phones know other pictures of the two
than those that are mixed, as a passport's gate does (mated comparisons; Scherhag et al. 2017, BIOSIG): other light, turn and
expression, where the generator knows who is who; elsewhere the pictures themselves.

The result is an identity sample set: every morph is a sample of both bases, at step s of the one and 1 - s of the other, so that
people can be asked about both ends. ``core.analysis.morphs`` counts what opens both.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from core.errors import LiminalError
from core.models.contracts import Generator
from core.progress import Progress
from core.sampling.bases import Base, find_bases
from core.sampling.configuration import MOST_PAIRS, IdentityConfiguration, check_whole, sample_seed
from core.sampling.identity import (
    VERSIONED_PACKAGES,
    IdentityPanel,
    SampleSpec,
    assemble_sample_set,
    interpolate,
)
from core.sampling.images import to_pictures
from core.sampling.sample_set import SampleSet, count_sample_types, describe_provenance, join_identity_sets


def generate_morphs(
    configuration: IdentityConfiguration,
    pairs: int,
    progress: Progress | None = None,
    *,
    owners: Sequence[Base] | None = None,
    panel: IdentityPanel | None = None,
) -> SampleSet:
    """Morphs of so many pairs of owners (a batch each), judged by every model, as one set.

    owners: two a pair, instead of drawn ones. Pair k is the same whatever the number of pairs. Raises Cancelled when the user asks.
    """
    check_whole("pairs", pairs, 1, MOST_PAIRS)
    if owners is not None and len(owners) < 2 * pairs:
        raise LiminalError(f"{pairs} pairs need {2 * pairs} owners, but {len(owners)} were given; ask for fewer pairs.")
    progress = progress or Progress()
    progress.stage("Loading the networks", 0.0)
    panel = panel or IdentityPanel.load(configuration)
    sets = []
    for number in range(pairs):
        part = progress.part(f"Pair {number + 1} of {pairs}", number, pairs)
        given = None if owners is None else owners[2 * number : 2 * number + 2]
        sets.append(_make_pair(configuration, number, given, panel, part))
    progress.stage("Done", 1.0)
    return join_identity_sets(sets)


def _make_pair(
    configuration: IdentityConfiguration, batch: int, owners: Sequence[Base] | None, panel: IdentityPanel, progress: Progress
) -> SampleSet:
    began = time.perf_counter()
    if owners is None:
        progress.stage("Looking for two owners", 0.0)
        generator, judge = panel.generator, panel.recogniser
        owners = find_bases(configuration.base_criteria, 2, configuration.seed, generator, judge, progress, batch=batch)
    progress.stage("Making the faces in between", 0.2)
    first, second = (_picture_again(owner, panel.generator, configuration.seed) for owner in owners)
    parts = []
    for base, owner in enumerate(owners):
        parts += [
            SampleSpec(base, "genuine", 0.0, owner.latent, owner.seed),
            SampleSpec(base, "negative", math.nan, owners[1 - base].latent, owners[1 - base].seed, 1 - base),
        ]
        way = interpolate(*((first, second) if base == 0 else (second, first)), configuration.interpolation_steps)
        parts += [
            SampleSpec(base, "interpolation", step, latent, owner.seed, 1 - base)
            for step, latent in zip(configuration.interpolation_steps, way, strict=True)
        ]
    with torch.inference_mode():
        pictures = to_pictures(panel.generator.decode(torch.from_numpy(np.stack([part.latent for part in parts]))))
    progress.stage("Asking every model what it thinks", 0.6)
    portraits = np.stack([pictures[place] for place, part in enumerate(parts) if part.sample_type == "genuine"])
    result = assemble_sample_set(configuration, batch, owners, portraits, parts, list(pictures), panel, progress)
    seconds = time.perf_counter() - began
    manifest = {
        "seed": configuration.seed,
        "batches": [batch],
        "counts": count_sample_types(result.pairs),
        "base_draws": sum(owner.draws for owner in owners),
        "evaluations": 0,
        "seconds": {"total": seconds},
        "searches": [],
        "classifier_frame": panel.generator.classifier_frame,
        "thresholds": {judge.name: judge.threshold for judge in panel.judges},
        "other_pictures": panel.generator.knows_identity,  # phones know other pictures than those that are mixed
        **describe_provenance(panel.cards(), panel.generator.device, VERSIONED_PACKAGES),
    }
    return dataclasses.replace(result, manifest=manifest)


def _picture_again(owner: Base, generator: Generator, seed: int) -> NDArray[np.float32]:
    """The owner's latent (d,) in another scene and expression, wearing the same; as it is where nobody knows who is who."""
    if not generator.knows_identity:
        return owner.latent
    keep = [name for name in ("accessories",) if name in generator.blocks]
    drawn = sample_seed(seed, owner.seed, "morph source")
    again: NDArray[np.float32] = generator.redraw_conditions(torch.from_numpy(owner.latent)[None], [drawn], keep)[0].numpy()
    return again
