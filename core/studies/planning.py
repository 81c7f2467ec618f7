"""Plans: which stimuli a sample set gives, which of them check attention, how many trials a rater gets, and who is asked what.

Identity (paper A, section 4.2): every pair is a stimulus, and a base beside itself is the attention check. Emotion (paper B,
section III): the images that passed filter (3) and the frames of morphs; a sentinel is a face on which all classifiers agree
above 0.9. An emotion study that has too few sentinels gets faces from the reference population on which all classifiers agree.

``assign_stimuli`` is the callable for ``Store.enrol``: every stimulus gets about as many votes as every other, in a random
order of each rater's own, seeded by the study's seed and the rater's number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.errors import LiminalError
from core.lazy_import import lazy_import
from core.models.emotions import EMOTIONS
from core.progress import Progress
from core.sampling.bases import Base
from core.sampling.configuration import FILES_KEY, numpy_generator, sample_seed
from core.sampling.emotion.configuration import EmotionConfiguration, order_emotions
from core.sampling.sample_set import SELECTED_KEY, SampleSet, read_axis
from core.sampling.stored.reference import ReferenceSet, load_reference_set
from core.studies.adaptive import AXIS_KEY, LEVEL_KEY, find_axes, list_faces
from core.studies.library import Library
from core.studies.study import OWN_PICTURES_CONSENT, Kind, RatingPlan, Stimulus, Study

if TYPE_CHECKING:
    from scipy import special
else:
    special = lazy_import("scipy.special")  # a rater is enrolled without it

SENTINEL_PROBABILITY = 0.9
"""A sentinel's probability under every classifier is above this; uncalibrated, as calibrated ones are hardly ever."""
CHECKS_TITLE = "Attention checks: faces with a clear emotion"
"""Title of a set of sentinels in the library."""
EXPECTED_KEY = "expected"
"""Key of a set's manifest: sample_id -> the emotion that the face was made with, at full strength."""
MIN_CHECK_EMOTIONS = 4
"""The answers that attention checks expect are at least so many different ones, where faces for them exist."""
CHECK_EMOTIONS = tuple(emotion for emotion in EMOTIONS if emotion not in ("fear", "disgust"))
"""What made faces check attention with: attentive people, too, take a clear fear for surprise and a clear disgust for anger."""
CALM = 0.35
"""Scene and expression of faces that are made as checks lie within so many standard deviations of usual draws."""
HEAD = "head"
"""The generator that makes a clear face of any emotion."""
EMOTION_TRIALS, EMOTION_SENTINELS = 390, 10  # paper B
ADAPTIVE_TRIALS, ADAPTIVE_FACES = 40, 60
"""Trials of an adaptive study where nobody says otherwise: an axis, and of faces on none."""
NO_CHECKS: Mapping[Kind, str] = {
    "identity": "Nothing checks whether people look: name a few pairs of a picture and itself in the table of pairs.",
    "emotion": "Nothing checks whether people look: ask for attention checks, and clear generated faces are put among yours.",
}
"""Of a study of own pictures alone."""
NO_RIGHT_ANSWER = (
    "Nothing checks whether people look: this question has no right answer, so that nothing can be an attention check."
)


def list_stimuli(sample_set: SampleSet, set_id: str, *, kept_only: bool = True) -> list[Stimulus]:
    """The stimuli that a study can ask about in one set, in the set's order, each once.

    kept_only: of an emotion set's boundary samples only those that passed filter (3) under the guiding classifier. Of a subset
    of a data set (``core.sampling.datasets.data_set``) all selected samples are stimuli.
    """
    stimuli = _pair_stimuli(sample_set, set_id) if sample_set.kind == "identity" else _face_stimuli(sample_set, set_id, kept_only)
    return list({stimulus.stimulus: stimulus for stimulus in stimuli}.values())


def find_unanimous(sample_set: SampleSet) -> dict[str, str]:
    """sample_id -> emotion of the samples of an emotion set that were made with it, or on which all its classifiers agree.

    Agreement is above SENTINEL_PROBABILITY.
    """
    configuration, samples = sample_set.emotion, sample_set.samples
    prefixes = ["p_" if name == configuration.steerer else f"p_{name}_" for name in configuration.classifiers]
    p = np.stack([samples[[prefix + emotion for emotion in EMOTIONS]].to_numpy(np.float64) for prefix in prefixes])
    sure = {
        str(name): EMOTIONS[emotion] for name, emotion in zip(samples["sample_id"], find_agreement(p), strict=True) if emotion >= 0
    }
    made = sample_set.manifest.get(EXPECTED_KEY, {})
    return sure | {name: emotion for name, emotion in made.items() if emotion in EMOTIONS}


def find_agreement(p: NDArray[np.float64]) -> NDArray[np.intp]:
    """Probabilities (classifiers, N, 6) -> index of the emotion that all put above SENTINEL_PROBABILITY, -1 for none (N,)."""
    best = p.argmax(axis=2)  # (classifiers, N)
    return np.where((best == best[0]).all(axis=0) & (p.max(axis=2) > SENTINEL_PROBABILITY).all(axis=0), best[0], -1)


def stimulus_stratum(stimulus: Stimulus) -> str:
    """The stratum, whose stimuli are handed out together: a batch of identity pairs; all emotion images are one stratum."""
    return f"{stimulus.details.get('set', '')}/{stimulus.details['batch']}" if "batch" in stimulus.details else ""


def make_identity_plan(
    stimuli: Sequence[Stimulus], *, trials: int | None = None, sentinels: int | None = None, seed: int = 0, **others: Any
) -> RatingPlan:
    """A rater gets one batch (paper A: 108 pairs and its 4 genuine ones) by default. others: further values of RatingPlan."""
    sizes = Counter(stimulus_stratum(stimulus) for stimulus in stimuli if not stimulus.is_sentinel)
    checks = Counter(stimulus_stratum(stimulus) for stimulus in stimuli if stimulus.is_sentinel)
    _require_stimuli(stimuli)
    usual = max(sizes.values(), default=0)
    return RatingPlan(
        "identity",
        trials=_check_count(trials, usual, sum(sizes.values()), "pairs"),
        sentinels=_check_count(sentinels, max(checks.values(), default=0), sum(checks.values()), "attention checks"),
        seed=seed,
        **{"image_ms": 0, "fixation_ms": 0, **others},
    )


def make_emotion_plan(
    stimuli: Sequence[Stimulus], *, trials: int | None = None, sentinels: int | None = None, seed: int = 0, **others: Any
) -> RatingPlan:
    """390 faces and 10 sentinels a rater (paper B), fewer where there are fewer. others: further values of RatingPlan."""
    checks = sum(stimulus.is_sentinel for stimulus in stimuli)
    images = len(stimuli) - checks
    _require_stimuli(stimuli)
    return RatingPlan(
        "emotion",
        trials=_check_count(trials, min(images, EMOTION_TRIALS), images, "faces"),
        sentinels=_check_count(sentinels, min(checks, EMOTION_SENTINELS), checks, "attention checks"),
        seed=seed,
        **others,
    )


@dataclass(frozen=True)
class PreparedStudy:
    """What ``Study`` and ``Store.create`` need. notes: sentences for the owner, for example on missing sentinels."""

    plan: RatingPlan
    stimuli: tuple[Stimulus, ...]
    sample_sets: tuple[str, ...]
    notes: tuple[str, ...] = ()


def prepare_study(
    library: Library,
    set_ids: Sequence[str],
    *,
    trials: int | None = None,
    sentinels: int | None = None,
    kept_only: bool = True,
    seed: int = 0,
    progress: Progress | None = None,
    **others: Any,
) -> PreparedStudy:
    """Plan a study of sample sets of one kind. Sentinels that an emotion study lacks are made from reference faces.

    others: further values of RatingPlan. Raises LiminalError for sets of two kinds and where there is nothing to ask about.
    """
    sets = {set_id: library.load(set_id) for set_id in dict.fromkeys(set_ids)}
    kinds = {sample_set.kind for sample_set in sets.values()}
    if len(kinds) != 1:
        raise LiminalError("A study asks about sets of one kind; choose identity sets or emotion sets, not both and not none.")
    kind: Kind = kinds.pop()
    stimuli = join_stimuli(list_stimuli(sample_set, set_id, kept_only=kept_only) for set_id, sample_set in sets.items())
    answers = list_expected_answers(kind, others)
    stimuli = _adapt_checks(stimuli, answers)
    notes: list[str] = []
    generated = [sample_set for sample_set in sets.values() if not sample_set.own_pictures]
    if len(generated) < len(sets):
        others = {"consent": OWN_PICTURES_CONSENT} | others
    if kind == "emotion":
        notes += _describe_filtered(sets.values(), stimuli)
        _check_count(trials, 0, sum(not stimulus.is_sentinel for stimulus in stimuli), "faces")  # before checks are drawn
        count = count_usual_checks(stimuli, answers) if sentinels is None else sentinels
        first = generated[0].emotion if generated else EmotionConfiguration(*EMOTIONS[:2])
        clear = tuple(answer for answer in answers if answer in CHECK_EMOTIONS) if first.generator == HEAD else ()
        wanted = list_missing_checks(stimuli, count, clear or answers, clear=bool(clear))
        if wanted:
            checks, note = make_sentinels(first, wanted, progress)
            notes += [note] if note else []
            if checks is not None:
                set_id = library.add(checks, CHECKS_TITLE)
                stimuli = join_stimuli([stimuli, list_stimuli(checks, set_id)])
                sets[set_id] = checks
        if sentinels is not None:
            sentinels = min(sentinels, sum(stimulus.is_sentinel for stimulus in stimuli))
        notes += describe_checks(stimuli, count, answers)
    make = make_identity_plan if kind == "identity" else make_emotion_plan
    if not answers:
        notes.append(NO_RIGHT_ANSWER)
    elif not generated and not any(stimulus.is_sentinel for stimulus in stimuli):
        notes.append(NO_CHECKS[kind])
    plan = make(stimuli, trials=trials, sentinels=sentinels, seed=seed, **others)
    if plan.adaptive:
        plan, note = _limit_trials(plan, stimuli, trials)
        notes.append(note)
    return PreparedStudy(plan, tuple(stimuli), tuple(sets), tuple(notes))


def _limit_trials(plan: RatingPlan, stimuli: Sequence[Stimulus], trials: int | None) -> tuple[RatingPlan, str]:
    """An adaptive plan with fewer trials, unless ``trials`` says otherwise, and a sentence on what is chosen.

    At most ADAPTIVE_TRIALS an axis; of faces on no axis a third of them and at most ADAPTIVE_FACES. Raises LiminalError where there
    is nothing to choose.
    """
    axes = len(find_axes(plan, stimuli))
    if axes:
        limited = plan if trials is not None else replace(plan, trials=min(plan.trials, ADAPTIVE_TRIALS * axes))
        return limited, f"Each person is asked along {axes} {'axis' if axes == 1 else 'axes'}, at most {limited.trials} times."
    faces = len(list_faces(plan, stimuli))
    limited = plan if trials is not None else replace(plan, trials=min(faces // 3, ADAPTIVE_FACES))
    if limited.trials >= faces:
        raise LiminalError(
            f"There are {faces} faces, and each person is to be asked about {limited.trials}: choose fewer for each person, or ask "
            "about all of them without choosing."
        )
    return limited, (
        f"Each person is asked about {limited.trials} of {faces} faces, each chosen by what the answer is expected to tell; the "
        "first people get theirs at random, until the group is known."
    )


def list_expected_answers(kind: Kind, values: Mapping[str, Any]) -> tuple[str, ...]:
    """The answers that an attention check can expect under the question of a plan with these values."""
    question = values.get("question") or kind
    if question == "labels":
        return tuple(emotion for emotion in EMOTIONS if kind == "emotion" and emotion in values.get("labels", ()))
    return {"emotion": EMOTIONS, "identity": ("1",)}.get(question, ())


def _adapt_checks(stimuli: Sequence[Stimulus], answers: Sequence[str]) -> list[Stimulus]:
    """The stimuli for a question with these answers: a check that expects none of them is asked about like others, or, where it was
    made as a check alone, left out."""
    adapted = []
    for stimulus in stimuli:
        if not stimulus.is_sentinel or stimulus.expected in answers:
            adapted.append(stimulus)
        elif len(stimulus.images) > 1 or stimulus.sample_type in ("boundary", "morph"):
            adapted.append(replace(stimulus, is_sentinel=False, expected=""))
    return adapted


def list_missing_checks(stimuli: Sequence[Stimulus], count: int, answers: Sequence[str], *, clear: bool) -> list[str]:
    """The emotions of the attention checks to be made, so that there are ``count``, spread over the emotions.

    clear: a generator makes a clear face of any emotion, so that each is expected about equally often; else only what is missing
    in number is made, those that are expected least first.
    """
    have = Counter(stimulus.expected for stimulus in stimuli if stimulus.is_sentinel)
    share = {emotion: count // len(answers) + (place < count % len(answers)) for place, emotion in enumerate(answers)}
    wanted = [emotion for emotion in answers for _ in range(share[emotion] - have[emotion])]
    wanted.sort(key=lambda emotion: have[emotion])  # those that lack most come first
    return wanted if clear else wanted[: max(0, count - have.total())]


def describe_checks(stimuli: Sequence[Stimulus], count: int, answers: Sequence[str]) -> list[str]:
    """A warning where the attention checks expect too few different answers; count: of a rater's checks."""
    expected = Counter(stimulus.expected for stimulus in stimuli if stimulus.is_sentinel)
    enough = min(MIN_CHECK_EMOTIONS, count, len(answers))
    if not expected or len(expected) >= enough:
        return []
    named = " and ".join((", ".join(list(expected)[:-1]), list(expected)[-1])) if len(expected) > 1 else next(iter(expected))
    return [
        f"All attention checks expect {named}: whoever answers so whenever unsure passes them. No sure faces with other answers "
        f"are known; faces of the generator '{HEAD}' have checks for every emotion."
    ]


def estimate_plan(
    stimuli: Sequence[Stimulus],
    kind: Kind,
    *,
    trials: int | None = None,
    sentinels: int | None = None,
    seed: int = 0,
    **others: Any,
) -> RatingPlan:
    """The plan that ``prepare_study`` will make of these stimuli, before missing attention checks are made.

    Raises LiminalError where a value makes no sense or there is too little to ask about.
    """
    answers = list_expected_answers(kind, others)
    adapted = _adapt_checks(stimuli, answers)
    if kind == "identity":
        plan = make_identity_plan(adapted, trials=trials, sentinels=sentinels, seed=seed, **others)
        return _limit_trials(plan, adapted, trials)[0] if plan.adaptive else plan
    plan = make_emotion_plan(adapted, trials=trials, sentinels=0, seed=seed, **others)
    plan = _limit_trials(plan, adapted, trials)[0] if plan.adaptive else plan
    if not answers:
        return plan
    return replace(plan, sentinels=count_usual_checks(stimuli, answers) if sentinels is None else sentinels)


def count_usual_checks(stimuli: Sequence[Stimulus], answers: Sequence[str] = EMOTIONS) -> int:
    """The attention checks of a rater of faces where nobody says how many: none among own pictures, only where they are asked for.

    answers: those that a check can expect.
    """
    return EMOTION_SENTINELS if answers and any(FILES_KEY not in stimulus.details for stimulus in stimuli) else 0


def _pair_stimuli(sample_set: SampleSet, set_id: str) -> Iterable[Stimulus]:
    search = f"distance_{sample_set.configuration.recogniser}"  # by which optimized samples were found
    files = sample_set.manifest.get(FILES_KEY, {})
    for row in sample_set.pairs.to_dict("records"):
        genuine = row["sample_type"] == "genuine"
        yield Stimulus(
            stimulus=row["pair_id"],
            images=(row["base_id"], row["sample_id"]),
            sample_type=row["sample_type"],
            base_id=row["base_id"],
            is_sentinel=genuine,
            expected="1" if genuine else "",
            details={"set": set_id, "batch": int(row["batch"]), "step": _or_none(row["step"])}
            | ({"distance": _or_none(row.get(search))} if row["sample_type"] == "optimized" else {})
            | ({AXIS_KEY: axis, LEVEL_KEY: row["step"]} if (axis := read_axis(row["direction"])) else {})
            | ({FILES_KEY: [files.get(row[name], "") for name in ("base_id", "sample_id")]} if files else {}),
        )


def _face_stimuli(sample_set: SampleSet, set_id: str, kept_only: bool) -> Iterable[Stimulus]:
    own = sample_set.own_pictures  # all of them are asked about, and none checks attention: somebody chose them
    sure, picked = {} if own else find_unanimous(sample_set), sample_set.manifest.get(SELECTED_KEY)
    files = sample_set.manifest.get(FILES_KEY, {})
    for row in sample_set.samples.to_dict("records"):
        name, expected = row["sample_id"], sure.get(row["sample_id"], "")
        included = (
            own
            or row["sample_type"] == "morph"
            or (row["sample_type"] == "boundary" and not (kept_only and row["passed_filter"] is not True))
        )
        if isinstance(picked, list):
            included = name in picked
        if not included and not expected:
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
                "emotion1": _or_none(row["emotion1"]),
                "emotion2": _or_none(row["emotion2"]),
                "guided": _or_none(row["guided"]),
                "strategy": _or_none(row["strategy"]),
                "step": _or_none(row["step"]),
            }
            | ({FILES_KEY: [files.get(name, "")]} if files else {}),
        )


def join_stimuli(parts: Iterable[Iterable[Stimulus]]) -> list[Stimulus]:
    """All stimuli of all parts, each once."""
    return list({stimulus.stimulus: stimulus for part in parts for stimulus in part}.values())


def _or_none(value: Any) -> Any:
    """The value, None for a missing one of a table."""
    return None if pd.isna(value) else value


def _require_stimuli(stimuli: Sequence[Stimulus]) -> None:
    if all(stimulus.is_sentinel for stimulus in stimuli):
        raise LiminalError(
            "These sample sets hold nothing to ask about: no pairs and no faces that passed the filter; choose other sets, or "
            "ask about faces that did not pass too (--all-faces)."
        )


def _describe_filtered(sets: Iterable[SampleSet], stimuli: Iterable[Stimulus]) -> list[str]:
    """A sentence on faces between two feelings that are not asked about as they did not pass the filter; none where all are."""
    whole = [samples.samples for samples in sets if not samples.own_pictures and SELECTED_KEY not in samples.manifest]
    names = [name for table in whole for name in table.loc[table["sample_type"] == "boundary", "sample_id"]]
    left = len(set(names).difference(stimulus.stimulus for stimulus in stimuli))
    return [f"{left:,} of {len(names):,} faces did not pass the filter and are not asked about."] if left else []


def _check_count(count: int | None, usual: int, available: int, what: str) -> int:
    if count is None:
        return usual
    if count > available:
        raise LiminalError(
            f"A rater cannot get {count:,} {what}: these sample sets hold {available:,} to ask about; ask for fewer."
        )
    return count


def list_sentinel_candidates(reference: ReferenceSet, classifiers: Sequence[str]) -> list[tuple[int, str]]:
    """(index in the reference population, emotion) of its unanimous faces; emotions alternate, so that a few cover many."""
    logits = [reference.classifier_logits(name).astype(np.float64) for name in classifiers]
    p = np.stack([special.softmax(rows, axis=1) for rows in logits])  # (classifiers, N, 6)
    emotions = find_agreement(p)
    turns: Counter[int] = Counter()
    candidates = []
    for index in np.flatnonzero(emotions >= 0):
        emotion = int(emotions[index])
        candidates.append((turns[emotion], emotion, int(index)))
        turns[emotion] += 1
    return [(index, EMOTIONS[emotion]) for _, emotion, index in sorted(candidates)]


def make_sentinels(
    configuration: EmotionConfiguration, wanted: Sequence[str], progress: Progress | None = None
) -> tuple[SampleSet | None, str]:
    """Faces with clear emotions as an emotion set of genuine samples -> (set or None, sentence if fewer than wanted).

    wanted: the emotion of each face. The rendered head makes it; of other generators unanimous faces of the reference population
    are taken, of other emotions where there are none of those wanted. configuration: of the set that they are shown with: its
    generator and classifiers are used.
    """
    from core.sampling.emotion.generate import generate_base_set  # PyTorch
    from core.sampling.emotion.judging import EmotionPanel  # PyTorch

    if configuration.generator == HEAD:
        chosen = [(sample_seed(CHECK_SEED, "check", place), emotion) for place, emotion in enumerate(wanted)]
        checks_of = _configure_checks(configuration, chosen, CHECK_SEED)
        bases = [Base(_make_clear_face(seed, emotion), seed) for seed, emotion in chosen]
        made = generate_base_set(checks_of, bases, progress, panel=EmotionPanel.load(checks_of))
        expected = dict(zip(made.samples["sample_id"], wanted, strict=True))
        return replace(made, manifest={**made.manifest, EXPECTED_KEY: expected}), ""
    count = len(wanted)
    reference = load_reference_set(configuration.generator)
    candidates = _prefer_emotions(list_sentinel_candidates(reference, configuration.classifiers), wanted)
    emotions = Counter(emotion for _, emotion in candidates)
    named = ", ".join(f"{emotion} {number}" for emotion, number in emotions.items()) or "none"
    note = (
        ""
        if len(candidates) >= count
        else (
            f"Only {len(candidates)} of {count} attention checks can be had: among {len(reference):,} reference faces of "
            f"{configuration.generator} all classifiers agree above {SENTINEL_PROBABILITY:g} on {named}."
        )
    )
    if not candidates:
        return None, note
    chosen = candidates[:count]
    sentinel_configuration = _configure_checks(configuration, chosen, reference.seed)
    panel = EmotionPanel.load(sentinel_configuration)
    seeds = [sample_seed(reference.seed, "reference", index) for index, _ in chosen]
    latents = panel.generator.sample(seeds).numpy()
    bases = [Base(latent, seed) for latent, seed in zip(latents, seeds, strict=True)]
    return generate_base_set(sentinel_configuration, bases, progress, panel=panel), note


CHECK_SEED = 20_262
"""Of the people whose clear faces check attention: the same in every study."""


def _make_clear_face(seed: int, emotion: str) -> NDArray[np.float32]:
    """Latents of the head: a person in a calm scene, without accessories, with one emotion at full strength."""
    from core.models.builtin.head import latents as head  # not with every plan

    latent = numpy_generator(seed).standard_normal(head.LATENT_DIM).astype(np.float32)
    for name in ("expression", "scene"):
        latent[head.block(name)] *= CALM
    latent[head.block("accessories")] = 0
    return head.set_named_value(latent, emotion, 1.0)


def _prefer_emotions(candidates: Sequence[tuple[int, str]], wanted: Sequence[str]) -> list[tuple[int, str]]:
    """The candidates, first one for each wanted emotion as far as there are any."""
    rest = list(candidates)
    first: list[tuple[int, str]] = []
    for emotion in wanted:
        found = next((candidate for candidate in rest if candidate[1] == emotion), None)
        if found is not None:
            rest.remove(found)
            first.append(found)
    return [*first, *rest]


def _configure_checks(configuration: EmotionConfiguration, chosen: Sequence[tuple[int, str]], seed: int) -> EmotionConfiguration:
    first = chosen[0][1]
    return EmotionConfiguration(
        *order_emotions(first, next(emotion for emotion in EMOTIONS if emotion != first)),
        count=len(chosen),
        seed=seed,
        generator=configuration.generator,
        guided=False,
        strategy=configuration.strategy,
        steerer=configuration.steerer,
        judges=configuration.judges,
        recogniser=configuration.recogniser,
    )


def order_choices(plan: RatingPlan, rater: str) -> tuple[str, ...]:
    """The answers in the order in which one rater's buttons show them; the same at every visit.

    A scale is at most turned around. Mirrored: for every rater with an even number, or by a hash of a name without one.
    """
    random = numpy_generator(sample_seed(plan.seed, "buttons", rater))
    number = rater.rpartition("-")[2]
    turned = int(number) % 2 == 0 if number.isdigit() else bool(random.integers(2))
    if plan.button_order == "random" and plan.asks != "scale":
        return tuple(plan.choices[place] for place in random.permutation(len(plan.choices)))
    if plan.button_order == "random":
        turned = bool(random.integers(2))
    return plan.choices[::-1] if plan.button_order != "fixed" and turned else plan.choices


def assign_stimuli(study: Study, stimuli: Sequence[Stimulus], handed_out: Mapping[str, int], number: int) -> list[str]:
    """The stimuli of rater ``number`` in order, each once. ``Store.enrol`` takes this function.

    handed_out: how often each stimulus was handed out before. Strata (batches of pairs) are taken whole as long as trials are
    left, the least used first; within one, the least used stimuli first: counts within a stratum never differ by more than 1.
    Ties are broken and the order is drawn by a generator seeded with the study's seed and the rater's number. Raises LiminalError
    without stimuli.
    """
    random = numpy_generator(sample_seed(study.plan.seed, "assign", number))
    groups: dict[str, list[Stimulus]] = {}
    for stimulus in stimuli:
        if not stimulus.is_sentinel:
            groups.setdefault(stimulus_stratum(stimulus), []).append(stimulus)
    if not groups:
        raise LiminalError(f"The study '{study.name}' has nothing to ask about; make it again from a sample set.")
    usage = {name: sum(handed_out.get(stimulus.stimulus, 0) for stimulus in group) / len(group) for name, group in groups.items()}
    chosen: list[str] = []
    strata: list[str] = []
    for name in _sort_by_usage(list(groups), usage, random):
        left = study.plan.trials - len(chosen)
        if left <= 0:
            break
        strata.append(name)
        chosen += _sort_by_usage([stimulus.stimulus for stimulus in groups[name]], handed_out, random)[:left]
    return _mix_order(chosen, _choose_sentinels(study, stimuli, strata, handed_out, random), random)


def _choose_sentinels(
    study: Study, stimuli: Sequence[Stimulus], strata: Sequence[str], handed_out: Mapping[str, int], random: np.random.Generator
) -> list[str]:
    """Sentinels of the rater's batches first: paper A's genuine pairs show bases of the same batch.

    Those with different expected answers alternate, so that no answer alone passes them all.
    """
    expected = {stimulus.stimulus: stimulus.expected for stimulus in stimuli if stimulus.is_sentinel}
    same_batches = [stimulus.stimulus for stimulus in stimuli if stimulus.is_sentinel and stimulus_stratum(stimulus) in strata]
    others = [stimulus.stimulus for stimulus in stimuli if stimulus.is_sentinel and stimulus_stratum(stimulus) not in strata]
    parts = [_alternate(_sort_by_usage(names, handed_out, random), expected) for names in (same_batches, others)]
    return [name for part in parts for name in part][: study.plan.sentinels]


def _alternate(names: Sequence[str], kinds: Mapping[str, str]) -> list[str]:
    """The names in an order in which their kinds take turns; within a kind the order stays."""
    turns: Counter[str] = Counter()
    keyed = []
    for name in names:
        keyed.append((turns[kinds[name]], name))
        turns[kinds[name]] += 1
    return [name for _, name in sorted(keyed, key=lambda pair: pair[0])]


def _sort_by_usage(names: Sequence[str], usage: Mapping[str, float], random: np.random.Generator) -> list[str]:
    """Names, the least used first, ties in random order."""
    mixed = [names[index] for index in random.permutation(len(names))]
    return sorted(mixed, key=lambda name: usage.get(name, 0))


def _mix_order(trials: Sequence[str], sentinels: Sequence[str], random: np.random.Generator) -> list[str]:
    """Trials in random order with the sentinels spread over them: one at a random position in each equal part of the sequence."""
    total, checks = len(trials) + len(sentinels), len(sentinels)
    edges = [total * part // max(checks, 1) for part in range(checks + 1)]
    positions = [int(random.integers(edges[part], edges[part + 1])) for part in range(checks)]
    order = [trials[position] for position in random.permutation(len(trials))]
    for position, which in zip(
        positions, random.permutation(checks), strict=True
    ):  # positions rise: an insertion moves no earlier one
        order.insert(position, sentinels[which])
    return order
