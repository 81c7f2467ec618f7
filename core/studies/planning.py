"""Plans: which stimuli a sample set gives, which of them check attention, and how many trials a rater gets.

Identity (paper A, section 4.2): every pair is a stimulus, and a base beside itself is the attention check. Emotion (paper B,
section III): the images that passed filter (3) and the frames of morphs; a sentinel is a face on which all classifiers agree above
0.9.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.errors import LiminalError
from core.models.emotions import EMOTIONS
from core.progress import Progress
from core.sampling.sample_set import CHOSEN, SampleSet
from core.studies.library import Library
from core.studies.study import Kind, Plan, Stimulus

SURE = 0.9
"""A sentinel's probability under every classifier is above this (raw, uncalibrated: calibrated ones hardly ever are)."""
CHECKS_TITLE = "Attention checks: faces on which all classifiers agree"
"""Of a set of sentinels in the library."""
EMOTION_TRIALS, EMOTION_SENTINELS = 390, 10  # paper B


def stimuli_of(sample_set: SampleSet, set_id: str, *, kept_only: bool = True) -> list[Stimulus]:
    """All that a study can ask about one set, in the set's order, each once.

    kept_only: of an emotion set's boundary samples only those that passed filter (3) under the steerer. Of an excerpt of a data
    set (``core.sampling.many.excerpt``) what was picked is asked, whatever it is.
    """
    found = _pairs(sample_set, set_id) if sample_set.kind == "identity" else _faces(sample_set, set_id, kept_only)
    return list({stimulus.stimulus: stimulus for stimulus in found}.values())


def unanimous(sample_set: SampleSet) -> dict[str, str]:
    """sample_id -> emotion of the samples of an emotion set on which all its classifiers agree above SURE."""
    configuration, samples = sample_set.emotion, sample_set.samples
    prefixes = ["p_" if name == configuration.steerer else f"p_{name}_" for name in configuration.classifiers]
    p = np.stack([samples[[prefix + emotion for emotion in EMOTIONS]].to_numpy(np.float64) for prefix in prefixes])
    return {str(name): EMOTIONS[place] for name, place in zip(samples["sample_id"], agreed(p), strict=True) if place >= 0}


def agreed(p: NDArray[np.float64]) -> NDArray[np.intp]:
    """Probabilities (classifiers, N, emotions) -> (N,) the emotion that all give more than SURE to, -1 where there is none."""
    best = p.argmax(axis=2)  # (classifiers, N)
    return np.where((best == best[0]).all(axis=0) & (p.max(axis=2) > SURE).all(axis=0), best[0], -1)


def stratum(stimulus: Stimulus) -> str:
    """What is handed out together: a batch of identity pairs; all emotion images are one stratum."""
    return f"{stimulus.details.get('set', '')}/{stimulus.details['batch']}" if "batch" in stimulus.details else ""


def identity_plan(
    stimuli: Sequence[Stimulus], *, trials: int | None = None, sentinels: int | None = None, seed: int = 0, **others: Any
) -> Plan:
    """A rater gets one batch (paper A: 108 pairs and its 4 genuine ones) unless told otherwise. others: further values of Plan."""
    sizes = Counter(stratum(each) for each in stimuli if not each.is_sentinel)
    checks = Counter(stratum(each) for each in stimuli if each.is_sentinel)
    _need(stimuli)
    usual = max(sizes.values(), default=0)
    return Plan(
        "identity",
        trials=_asked(trials, usual, sum(sizes.values()), "pairs"),
        sentinels=_asked(sentinels, max(checks.values(), default=0), sum(checks.values()), "attention checks"),
        seed=seed,
        **{"image_ms": 0, "fixation_ms": 0, **others},
    )


def emotion_plan(
    stimuli: Sequence[Stimulus], *, trials: int | None = None, sentinels: int | None = None, seed: int = 0, **others: Any
) -> Plan:
    """390 faces and 10 sentinels a rater (paper B), fewer where there are fewer. others: further values of Plan."""
    checks = sum(each.is_sentinel for each in stimuli)
    images = len(stimuli) - checks
    _need(stimuli)
    return Plan(
        "emotion",
        trials=_asked(trials, min(images, EMOTION_TRIALS), images, "faces"),
        sentinels=_asked(sentinels, min(checks, EMOTION_SENTINELS), checks, "attention checks"),
        seed=seed,
        **others,
    )


@dataclass(frozen=True)
class Prepared:
    """All that ``Study`` and ``Store.create`` need. notes: sentences for the owner, for example on missing sentinels."""

    plan: Plan
    stimuli: tuple[Stimulus, ...]
    sample_sets: tuple[str, ...]
    notes: tuple[str, ...] = ()


def prepare(
    library: Library,
    set_ids: Sequence[str],
    *,
    trials: int | None = None,
    sentinels: int | None = None,
    kept_only: bool = True,
    seed: int = 0,
    progress: Progress | None = None,
    **others: Any,
) -> Prepared:
    """A plan for the sets, which must be of one kind. Sentinels that an emotion study lacks are looked for among plain faces.

    Raises LiminalError where nothing can be asked. others: further values of Plan.
    """
    sets = {set_id: library.load(set_id) for set_id in dict.fromkeys(set_ids)}
    kinds = {each.kind for each in sets.values()}
    if len(kinds) != 1:
        raise LiminalError("A study asks about sets of one kind; choose identity sets or emotion sets, not both and not none.")
    kind: Kind = kinds.pop()
    stimuli = joined_stimuli(stimuli_of(each, set_id, kept_only=kept_only) for set_id, each in sets.items())
    notes: list[str] = []
    if kind == "emotion":
        wanted = EMOTION_SENTINELS if sentinels is None else sentinels
        missing = wanted - sum(each.is_sentinel for each in stimuli)
        if missing > 0:
            from core.studies.sentinels import made_sentinels

            first = next(iter(sets.values())).emotion
            made, note = made_sentinels(first, missing, progress)
            notes += [note] if note else []
            if made is not None:
                set_id = library.add(made, CHECKS_TITLE)
                stimuli = joined_stimuli([stimuli, stimuli_of(made, set_id)])
                sets[set_id] = made
        if sentinels is not None:
            sentinels = min(sentinels, sum(each.is_sentinel for each in stimuli))
    make = identity_plan if kind == "identity" else emotion_plan
    plan = make(stimuli, trials=trials, sentinels=sentinels, seed=seed, **others)
    return Prepared(plan, tuple(stimuli), tuple(sets), tuple(notes))


def _pairs(sample_set: SampleSet, set_id: str) -> Iterable[Stimulus]:
    for row in sample_set.pairs.to_dict("records"):
        genuine = row["sample_type"] == "genuine"
        yield Stimulus(
            stimulus=row["pair_id"],
            images=(row["base_id"], row["sample_id"]),
            sample_type=row["sample_type"],
            base_id=row["base_id"],
            is_sentinel=genuine,
            expected="1" if genuine else "",
            details={"set": set_id, "batch": int(row["batch"]), "step": _or_none(row["step"])},
        )


def _faces(sample_set: SampleSet, set_id: str, kept_only: bool) -> Iterable[Stimulus]:
    sure, picked = unanimous(sample_set), sample_set.manifest.get(CHOSEN)
    for row in sample_set.samples.to_dict("records"):
        name, expected = row["sample_id"], sure.get(row["sample_id"], "")
        kept = row["sample_type"] == "morph" or (
            row["sample_type"] == "boundary" and not (kept_only and row["passed_filter"] is not True)
        )
        if isinstance(picked, list):
            kept = name in picked
        if not kept and not expected:
            continue
        yield Stimulus(
            stimulus=name,
            images=(name,),
            sample_type=row["sample_type"],
            base_id=row["base_id"],
            is_sentinel=bool(expected),
            expected=expected,
            details={
                "set": set_id,
                "emotion1": row["emotion1"],
                "emotion2": row["emotion2"],
                "guided": _or_none(row["guided"]),
                "strategy": _or_none(row["strategy"]),
                "step": _or_none(row["step"]),
            },
        )


def joined_stimuli(parts: Iterable[Iterable[Stimulus]]) -> list[Stimulus]:
    """All of them, each once."""
    return list({each.stimulus: each for part in parts for each in part}.values())


def _or_none(value: Any) -> Any:
    """A table's missing value as JSON's."""
    return None if pd.isna(value) else value


def _need(stimuli: Sequence[Stimulus]) -> None:
    if all(each.is_sentinel for each in stimuli):
        raise LiminalError(
            "These sample sets hold nothing to ask about: no pairs and no faces that passed the filter; choose other sets or all "
            "faces."
        )


def _asked(given: int | None, usual: int, available: int, what: str) -> int:
    if given is None:
        return usual
    if given > available:
        raise LiminalError(f"A rater cannot get {given:,} {what}: these sample sets hold {available:,}; ask for fewer.")
    return given
