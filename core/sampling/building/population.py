"""Making what is measured on many random faces of a generator: populations, thresholds calibrated on them, reference sets.

Thresholds: percentile bootstraps over *identities* (pairs share faces, so resampling pairs would pretend to many more
independent faces than there are). Temperatures of classifiers: by cross-entropy with their teachers, see ``stored.reference``.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core.errors import LiminalError
from core.lazy_import import lazy_import
from core.models import registry
from core.models.contracts import Generator
from core.models.emotions import EMOTIONS
from core.progress import Progress
from core.sampling.configuration import sample_seed
from core.sampling.emotion.configuration import EmotionConfiguration
from core.sampling.images import decode_webp, encode_webp, quantise, remove_other_pictures, to_images, to_pictures
from core.sampling.stored.population import (
    GENUINE_COMMAND,
    POPULATION_COMMAND,
    POPULATION_FOLDER,
    THRESHOLDS_COMMAND,
    THRESHOLDS_FOLDER,
    CalibratedThreshold,
    GenuineSet,
    Population,
    ShareInterval,
    Thresholds,
    load_genuine_set,
    load_population,
)
from core.sampling.stored.reference import (
    ACTIONS,
    DEFAULT_TEACHERS,
    DISTILLED,
    FILTER_PERCENTILE,
    REFERENCE_COMMAND,
    REFERENCE_FOLDER,
    TEMPERATURE_TEACHERS,
    ReferenceSet,
    load_reference_set,
)
from core.sampling.stored.scores import METRICS, compact_descriptors, get_metric, pairwise_distances, write_arrays
from core.writing import write_bytes

if TYPE_CHECKING:
    import torch
else:
    torch = lazy_import("torch")
optimize, special = lazy_import("scipy.optimize"), lazy_import("scipy.special")
proportion = lazy_import("statsmodels.stats.proportion")

REFERENCE_BATCH = 16


def build_reference_set(
    generator: str, *, count: int = 2000, seed: int = 0, folder: Path = REFERENCE_FOLDER, progress: Progress | None = None
) -> ReferenceSet:
    """Draw the population, ask every classifier, fit the temperatures, write the files. Raises LiminalError for too few faces."""
    from core.models.framing import frame_for_classifiers  # PyTorch: pages import this module for its error rates alone

    if count < 40:
        raise LiminalError(f"A reference population needs at least 40 faces, not {count}.")
    progress = progress or Progress()
    maker = registry.load(generator, "generator")
    usual = EmotionConfiguration(*EMOTIONS[:2], generator=generator)
    judges = {name: registry.load(name, "classifier") for name in (*usual.judges, usual.steerer) if name in TEMPERATURE_TEACHERS}
    parts: dict[str, list[NDArray[np.float32]]] = {name: [] for name in judges}
    actions = []
    for start in range(0, count, REFERENCE_BATCH):
        progress.stage(f"Judging plain face {start + 1} of {count} made by {generator}", start / count)
        latents = draw_reference_faces(maker, range(start, min(start + REFERENCE_BATCH, count)), seed)
        with torch.inference_mode():
            images = frame_for_classifiers(quantise(maker.decode(latents)), maker.classifier_frame)
            for name, judge in judges.items():
                parts[name].append(judge.logits(images).float().cpu().numpy())
        if "expression" in maker.blocks:
            actions.append(maker.facial_actions(latents).numpy())
    logits = {name: np.concatenate(rows) for name, rows in parts.items()}
    write_reference_set(generator, logits, np.concatenate(actions) if actions else None, seed, folder)
    return load_reference_set(generator, folder)


def write_reference_set(
    generator: str,
    logits: Mapping[str, NDArray[np.float32]],
    actions: NDArray[np.float32] | None,
    seed: int,
    folder: Path = REFERENCE_FOLDER,
) -> None:
    """Fit the temperatures to what every classifier says of the same faces and write the files of the set."""
    count = len(next(iter(logits.values())))
    fitted = {name: fit_temperature(logits, name) for name in logits}
    write_arrays(folder / f"{generator}.npz", dict(logits) | ({} if actions is None else {ACTIONS: actions}))
    card = {
        "generator": generator,
        "seed": seed,
        "faces": count,
        "percentile": FILTER_PERCENTILE,
        "temperatures": fitted,
        "command": f"{REFERENCE_COMMAND} --generators {generator} --count {count} --seed {seed}",
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
    }
    write_bytes(folder / f"{generator}.json", (json.dumps(card, indent=1, allow_nan=False) + "\n").encode())


REFERENCE_STRENGTHS = (0.5, 1.0)
"""Strength of the feeling that a reference face shows: uniform between both."""
REFERENCE_EXPRESSION = 0.5
"""Its other expression, in standard deviations of a random face's."""


def draw_reference_faces(generator: Generator, indices: Sequence[int], seed: int) -> torch.Tensor:
    """Latents (N, d) of the reference faces with these indices; each depends on the seed and its own index alone.

    Random people, scenes and accessories. Where expressions have names, a seventh shows each feeling, and a seventh none.
    """
    latents = generator.sample([sample_seed(seed, "reference", index) for index in indices])
    if "expression" not in generator.blocks:
        return latents
    latents[:, generator.blocks["expression"]] *= REFERENCE_EXPRESSION
    shown = (*EMOTIONS, None)
    rows = []
    for index, latent in zip(indices, latents, strict=True):
        feeling = shown[index % len(shown)]
        strength = np.random.default_rng(sample_seed(seed, "reference", index, "strength")).uniform(*REFERENCE_STRENGTHS)
        rows.append(latent[None] if feeling is None else generator.set_named_value(latent[None], feeling, float(strength)))
    return torch.cat(rows)


def fit_temperature(logits: Mapping[str, NDArray[np.float32]], classifier: str) -> float:
    """The temperature that makes ``classifier`` least surprised by its teachers (cross-entropy), between 0.05 and 200."""
    targets = np.zeros((len(logits[classifier]), len(EMOTIONS)))
    teachers = TEMPERATURE_TEACHERS.get(classifier, DEFAULT_TEACHERS)
    for name in teachers:
        theirs = logits[name].astype(np.float64)
        soft = classifier in DISTILLED
        targets += special.softmax(theirs, axis=1) if soft else np.eye(len(EMOTIONS))[theirs.argmax(axis=1)]
    targets /= len(teachers)
    scores = logits[classifier].astype(np.float64)

    def surprise(log_t: float) -> float:
        return float(-(targets * special.log_softmax(scores / np.exp(log_t), axis=1)).sum(axis=1).mean())

    optimum = optimize.minimize_scalar(surprise, bounds=(np.log(0.05), np.log(200.0)), method="bounded")
    return round(float(np.exp(optimum.x)), 4)


POPULATION_BATCH = 32


def build_population(
    generator: str,
    *,
    count: int = 2000,
    wall: int = 240,
    seed: int = 0,
    recognisers: Sequence[str] = tuple(METRICS),
    folder: Path = POPULATION_FOLDER,
    progress: Progress | None = None,
) -> Population:
    """Draw the strangers, have every recogniser judge their stored pictures, and write the files.

    A stranger depends on ``seed`` and their place alone, not on ``count``. Raises LiminalError for a count below one.
    """

    if count < 1 or wall < 0:
        raise LiminalError("The number of strangers must be at least one and the wall's not negative.")
    progress = progress or Progress()
    maker = registry.load(generator, "generator")
    judges = {name: registry.load(name, "recogniser") for name in recognisers}
    seeds = [sample_seed(seed, "stranger", index) for index in range(count)]
    descriptors: dict[str, list[NDArray[np.float32]]] = {name: [] for name in judges}
    wall_indices: list[int] = []
    for start in range(0, count, POPULATION_BATCH):
        progress.stage(f"Judging stranger {start + 1} of {count} made by {generator}", start / count)
        part = seeds[start : start + POPULATION_BATCH]
        with torch.inference_mode():
            stored = [encode_webp(picture) for picture in to_pictures(maker.decode(maker.sample(part)))]
        images = to_images(np.stack([decode_webp(data) for data in stored]))
        rows = {name: judge.embed(images).cpu().numpy() for name, judge in judges.items()}
        for name, row in rows.items():
            descriptors[name].append(row)
        everywhere = np.all([np.isfinite(row).all(axis=1) for row in rows.values()], axis=0)
        for offset in np.flatnonzero(everywhere)[: wall - len(wall_indices)]:
            wall_indices.append(start + int(offset))
            write_bytes(folder / "images" / generator / f"{part[offset]}.webp", stored[offset])
    vectors = {name: compact_descriptors(np.concatenate(parts), get_metric(name)) for name, parts in descriptors.items()}
    write_arrays(folder / f"{generator}.npz", {"seeds": np.array(seeds, dtype=np.int64), **vectors})
    card = {
        "generator": generator,
        "count": count,
        "seed": seed,
        "recognisers": list(judges),
        "no_face": {name: int(np.isnan(rows).any(axis=1).sum()) for name, rows in vectors.items()},
        "stored_as": {name: str(rows.dtype) for name, rows in vectors.items()},
        "command": f"{POPULATION_COMMAND} --generators {generator} --seed {seed} --count {count} --wall {wall}",
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "wall": wall_indices,
    }
    write_bytes(folder / f"{generator}.json", (json.dumps(card) + "\n").encode())
    remove_other_pictures(folder / "images" / generator, [str(seeds[index]) for index in wall_indices])
    return load_population(generator, folder)


def build_genuine_set(
    generator: str,
    *,
    people: int = 200,
    images: int = 10,
    seed: int = 0,
    recognisers: Sequence[str] = tuple(METRICS),
    folder: Path = POPULATION_FOLDER,
    progress: Progress | None = None,
) -> GenuineSet:
    """Draw ``images`` pictures of each of ``people``, in other scenes, with other expressions, and write their descriptors.

    In a third of the images of each person accessories, make-up and beard are others too. People depend on ``seed`` and their
    place alone and are none of the strangers. Raises LiminalError where the generator has no identity block.
    """
    if people < 2 or images < 2:
        raise LiminalError(f"Genuine pairs need at least two people and two images each, not {people} and {images}.")
    progress = progress or Progress()
    maker = registry.load(generator, "generator")
    judges = {name: registry.load(name, "recogniser") for name in recognisers}
    seeds = [sample_seed(seed, "genuine", index) for index in range(people)]
    parts: dict[str, list[NDArray[np.float32]]] = {name: [] for name in judges}
    for person, drawn in enumerate(seeds):
        progress.stage(f"Judging person {person + 1} of {people} made by {generator}", person / people)
        latents = redraw_genuine_latents(maker, maker.sample([drawn]), drawn, images)
        with torch.inference_mode():
            drawn_images = quantise(maker.decode(latents))
            for name, judge in judges.items():
                parts[name].append(judge.embed(drawn_images).cpu().numpy())
    vectors = {
        name: compact_descriptors(np.concatenate(rows), get_metric(name)).reshape(people, images, -1)
        for name, rows in parts.items()
    }
    write_arrays(folder / f"{generator}-genuine.npz", {"seeds": np.array(seeds, dtype=np.int64), **vectors})
    card = {
        "generator": generator,
        "people": people,
        "images": images,
        "seed": seed,
        "recognisers": list(judges),
        "command": f"{GENUINE_COMMAND} --generators {generator} --people {people} --images {images} --seed {seed}",
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
    }
    write_bytes(folder / f"{generator}-genuine.json", (json.dumps(card, indent=1) + "\n").encode())
    genuine_set = load_genuine_set(generator, folder)
    assert genuine_set is not None
    return genuine_set


def redraw_genuine_latents(generator: Generator, person: torch.Tensor, seed: int, images: int) -> torch.Tensor:
    """One person (1, d) -> (images, d): scene and expression drawn for each, what is worn for every third, else as the person's.

    Worn are the accessories and the latents in ``daily_latents``, such as a beard.
    """
    seeds = [sample_seed(seed, "condition", index) for index in range(images)]
    redrawn = generator.redraw_conditions(person.repeat(images, 1), seeds)
    if "accessories" in generator.blocks:
        part = generator.blocks["accessories"]
        redrawn[[index for index in range(images) if index % 3 != 2], part] = person[0, part]
    places = [place for place, named in enumerate(generator.latent_names) if named.name in generator.daily_latents]
    fresh = [index for index in range(images) if index % 3 == 2]
    if places and fresh:
        redrawn[torch.tensor(fresh)[:, None], places] = generator.sample([seeds[index] for index in fresh])[:, places]
    return redrawn


def measure_false_non_match(
    vectors: NDArray[Any], recogniser: str, thresholds: Sequence[float], *, bootstraps: int = 1000, seed: int = 0
) -> tuple[list[ShareInterval], int]:
    """Descriptors (P, K, D) of K images of each of P people -> the share of genuine pairs refused at each threshold; the pairs.

    False non-match rate (ISO/IEC 19795-1); pairs in which a face was not found take no part. 95 % percentile bootstrap over
    people; where no pair or every pair is refused, Wilson's interval of as many trials as people.
    """
    first, second = np.triu_indices(vectors.shape[1], k=1)
    metric = get_metric(recogniser)
    apart = np.stack([pairwise_distances(rows, rows, metric)[first, second] for rows in vectors])  # (P, pairs)
    judged = np.isfinite(apart)
    known = np.where(judged, apart, -np.inf)
    refused = np.stack([(known >= threshold).sum(axis=1) for threshold in thresholds])  # (T, P)
    totals = judged.sum(axis=1)
    if not totals.sum():
        raise LiminalError(f"{recogniser} found no two faces of one person; ask for more people.")
    rng = np.random.default_rng(seed)
    people = rng.integers(0, len(vectors), (bootstraps, len(vectors)))
    draws = refused[:, people].sum(axis=2) / np.maximum(totals[people].sum(axis=1), 1)
    low, high = np.quantile(draws, [0.025, 0.975], axis=1)
    shares = refused.sum(axis=1) / totals.sum()
    for index in np.flatnonzero((shares == 0) | (shares == 1)):
        low[index], high[index] = proportion.proportion_confint(shares[index] * len(vectors), len(vectors), method="wilson")
    return [ShareInterval(*map(float, row)) for row in zip(shares, low, high, strict=True)], int(totals.sum())


FALSE_MATCH_RATES = (0.01, 0.001, 0.0001)
"""False match rates that thresholds are calibrated to."""


def calibrate_thresholds(
    vectors: NDArray[Any],
    recogniser: str,
    default: float,
    *,
    rates: Sequence[float] = FALSE_MATCH_RATES,
    bootstraps: int = 1000,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[tuple[CalibratedThreshold, ...], ShareInterval, int]:
    """Descriptors (N, D) of N different people -> thresholds at ``rates``, FAR at ``default``, number of pairs.

    Rows of NaN (no face found) take no part. Intervals are percentile bootstraps over *identities*: pairs share faces, so that
    resampling pairs would pretend to many more independent faces than there are. A person drawn k times counts k times in each
    of their pairs and never against themselves.
    """
    known = vectors[np.isfinite(vectors).all(axis=1)]
    if len(known) < 3:
        raise LiminalError(f"A threshold needs at least three faces, but {len(known)} were found; ask for more strangers.")
    first, second = np.triu_indices(len(known), k=1)
    apart = pairwise_distances(known, known, get_metric(recogniser))[first, second]
    order = np.argsort(apart, kind="stable")
    # Only the near tail decides; the rest of the pairs enter through their number.
    reach = max(float(np.quantile(apart, min(1.0, 5 * max(rates)))), default)
    order = order[: int(np.searchsorted(apart[order], reach, side="right"))]
    near, first, second = apart[order], first[order], second[order]

    def measure(counts: NDArray[np.int64]) -> tuple[list[float], float]:
        mass = np.cumsum(counts[first] * counts[second])
        total = (counts.sum() ** 2 - (counts**2).sum()) / 2
        cuts = []
        for rate in rates:
            at = min(int(np.searchsorted(mass, rate * total, side="left")), len(near) - 1)
            cuts.append(float(near[at]))
        below = int(np.searchsorted(near, default, side="left"))  # accepted: strictly below
        return cuts, float(mass[below - 1] / total) if below else 0.0

    points, accepted = measure(np.ones(len(known), dtype=np.int64))
    rng = np.random.default_rng(seed)
    draws, shares = np.empty((bootstraps, len(rates))), np.empty(bootstraps)
    for index in range(bootstraps):
        counts = np.bincount(rng.integers(0, len(known), len(known)), minlength=len(known))
        draws[index], shares[index] = measure(counts)
        if progress is not None and index % 50 == 0:
            progress.stage(f"Resampling the people behind the {recogniser} threshold", index / bootstraps)
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    calibrated = tuple(
        CalibratedThreshold(rate, point, float(below), float(above))
        for rate, point, below, above in zip(rates, points, low, high, strict=True)
    )
    interval = np.quantile(shares, [0.025, 0.975])
    return calibrated, ShareInterval(accepted, float(interval[0]), float(interval[1])), len(apart)


def explain_thresholds(default: float, accepted: ShareInterval, strict: CalibratedThreshold) -> str:
    """One plain sentence for the page: why there is a second threshold."""
    many = 100 * accepted.share
    return (
        f"The default threshold of {default:g} was set on photographs of real people; generated faces are less varied, so that "
        f"two strangers lie closer together and it accepts {many:.{0 if many >= 10 else 1}f} % of them, where "
        f"{strict.distance:.2f} would accept {100 * strict.rate:g} %."
    )


def build_thresholds(
    generator: str,
    recogniser: str,
    *,
    folder: Path = THRESHOLDS_FOLDER,
    strangers: Path | None = None,
    bootstraps: int = 1000,
    seed: int = 0,
    progress: Progress | None = None,
) -> Thresholds:
    """Calibrate on the stored strangers and write ``<generator>-<recogniser>.json``."""

    population = load_population(generator, strangers, judged_by=recogniser)
    judge = registry.load(recogniser, "recogniser")
    vectors = population.vectors(recogniser)
    calibrated, accepted, pairs = calibrate_thresholds(
        vectors, recogniser, judge.threshold, bootstraps=bootstraps, seed=seed, progress=progress
    )
    genuine, genuine_people, genuine_pairs, refused = load_genuine_set(generator, strangers), 0, 0, None
    if genuine is not None and recogniser in genuine.descriptors:
        limits = [judge.threshold, *(cut.distance for cut in calibrated)]
        genuine_vectors = genuine.descriptors[recogniser]
        (refused, *rates), genuine_pairs = measure_false_non_match(
            genuine_vectors, recogniser, limits, bootstraps=bootstraps, seed=seed
        )
        calibrated = tuple(replace(cut, false_non_match=rate) for cut, rate in zip(calibrated, rates, strict=True))
        genuine_people = len(genuine_vectors)
    result = Thresholds(
        generator=generator,
        recogniser=recogniser,
        default=judge.threshold,
        default_source=judge.threshold_source,
        default_acceptance=accepted,
        calibrated=calibrated,
        strangers=len(vectors),
        no_face=population.count_without_face(recogniser),
        pairs=pairs,
        bootstraps=bootstraps,
        seed=seed,
        explanation=explain_thresholds(judge.threshold, accepted, calibrated[0]),
        command=f"{THRESHOLDS_COMMAND} --seed {seed} --bootstraps {bootstraps}",
        date=dt.datetime.now(dt.UTC).date().isoformat(),
        default_false_non_match=refused,
        genuine_people=genuine_people,
        genuine_pairs=genuine_pairs,
    )
    write_bytes(folder / f"{generator}-{recogniser}.json", (json.dumps(asdict(result), indent=1) + "\n").encode())
    return result
