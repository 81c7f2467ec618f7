"""Simulated studies: people with known parameters, the evidence in each stimulus, and their answers to it.

People: populations of observers of pairs and of faces, how attentive they are, and their reaction times. Reaction times are shifted
log-normal; their location rises with the observer's own doubt (entropy of the choice, bits). Most observers attend; the others
(careless, hasty, monotone) give exclusions something to find.

Observers of pairs give similarity 0 to 100 and 'same person?', both from one noisy look at the dissimilarity: x = dissimilarity
+ noise / sensitivity, 'same' where x < criterion (signal detection, Green & Swets 1966); in a share of trials, the lapses, they
guess. The slider shows 100 / (1 + exp((x - middle) / width)), raised to a power of the observer's own, with noise of the hand.
Calibrated to paper A's Table 1 (means by sample type, on the demonstrations' pairs): criterion, middle, width, the noise of a
look, the weights of the dissimilarity, and its bend by generator. Not calibrated, so a result: differences between people,
agreement of raters, correlations with the models, the images of largest disagreement, reaction times' relation to distance.

Observers of faces name one of six emotions from hidden evidence: p(answer) = (1 - lapse) * normalised(C' softmax(acuity *
evidence) * exp(bias)) + lapse / 6, with the observer's own confusion C, whose rows scatter around the population's (Dirichlet).
Calibrated to paper B: the acuity, so that the bulk of the entropy of choices lies between 0.5 and 2.0 bits; tempo, so that most
reaction times lie between 500 and 1500 ms with a heavy tail and their Spearman correlation with entropy is near 0.4; the share
of the inattentive, so that about 34 of 100 fail the sentinels. The population's confusion has the order of known human ones
(fear and surprise, disgust and anger; for example Palermo & Coltheart 2004), not their values. Not calibrated, so a result:
success, bias and failure rates of the pairs, agreement with classifiers, gains of fine-tuning.

The evidence is the same for all observers: the hidden truth behind simulated answers. Pairs: a perceived dissimilarity,
0 for equal pictures, about 1 for two strangers: recognisers' distances over their thresholds, LPIPS, and differences of looks,
plus a residue of the pair's own that no model sees; who was drawn as whom is no part of it. Faces: evidence for each emotion (log
units) from the calibrated answers of ``HIDDEN_CLASSIFIER``, which never steers and is never fine-tuned, relative to what it says
of reference faces, plus a residue. Where the facial actions of a face are known (latents with names), seven tenths of the evidence
are how much of each feeling is in them, by least squares, so that observers do not simply repeat one network.
Answers are marked as simulated; the same seed, observer and stimulus always give the same answer and id.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

from core.errors import LiminalError
from core.models.emotions import EMOTIONS
from core.progress import Progress
from core.sampling.configuration import numpy_generator, sample_seed
from core.sampling.sample_set import SampleSet
from core.sampling.stored.directions import read_feelings
from core.sampling.stored.reference import load_reference_set
from core.studies.planning import PreparedStudy, assign_stimuli
from core.studies.ratings import Task, make_ratings_table
from core.studies.study import Kind, Rater, Stimulus, Study, new_code

Array = NDArray[np.float64]

Character = Literal["attentive", "careless", "hasty", "monotone"]
"""careless: guesses most of the time; hasty: guesses within a quarter of a second; monotone: one answer throughout."""

HASTY_MS = (110.0, 240.0)


def draw_character(random: np.random.Generator, shares: Mapping[Character, float]) -> Character:
    """Draw a character; the probability that ``shares`` leave is that of 'attentive'."""
    draw, total = float(random.random()), 0.0
    for name, share in shares.items():
        total += share
        if draw < total:
            return name
    return "attentive"


TrialAnswers = tuple[tuple[Task, str, float], ...]
"""The answers of one trial: task, value as in ``core.studies.ratings``, reaction time in ms."""


@dataclass(frozen=True)
class Tempo:
    """Reaction times of a person. shift, typical: ms; slope: log units per bit of entropy; spread: SD of log times."""

    shift: float
    typical: float  # median of the time above the shift, at zero entropy
    slope: float
    spread: float

    def time(self, entropy: float, residue: float, random: np.random.Generator) -> float:
        """Draw a reaction time in ms. residue: effect of the image that everybody shares, log units."""
        location = np.log(self.typical) + self.slope * entropy + residue
        return round(float(self.shift + np.exp(location + self.spread * random.normal())), 1)


def draw_tempo(random: np.random.Generator, typical: float, slope: float) -> Tempo:
    """Draw a person's tempo: shift 200 to 300 ms; median with 20 % deviation around ``typical``, slope with 25 %."""
    return Tempo(
        shift=float(random.uniform(200, 300)),
        typical=float(typical * np.exp(0.2 * random.normal())),
        slope=float(slope * np.exp(0.25 * random.normal())),
        spread=float(random.uniform(0.35, 0.55)),
    )


def draw_time_residue(stimulus: str, deviation: float) -> float:
    """Effect of an image on everybody's reaction times beside entropy: log units, seeded by the image."""
    return float(deviation * numpy_generator(sample_seed(0, "time residue", stimulus)).normal())


def entropy_bits(p: NDArray[np.float64]) -> float:
    """Shannon entropy of one distribution, bits."""
    return float(-(p * np.log2(np.maximum(p, 1e-300))).sum())


PAIR_TIME_RESIDUE = 0.12


@dataclass(frozen=True)
class IdentityPopulation:
    """Distribution of observers of pairs. Deviations are between people; sensitivity and power vary on a log scale."""

    criterion: float = 0.56
    criterion_deviation: float = 0.09
    sensitivity: float = 6.2  # one over the standard deviation of a look
    sensitivity_deviation: float = 0.25
    lapse: tuple[float, float] = (1.0, 60.0)  # Beta
    middle: float = 0.70
    width: float = 0.087
    power_deviation: float = 0.2
    hand: float = 6.0  # mean noise of the slider, in its points
    typical_ms: float = 750.0
    slope: float = 0.35  # log units a bit
    inattentive: Mapping[Character, float] = field(default_factory=lambda: {"careless": 0.02, "hasty": 0.01, "monotone": 0.01})

    def observer(self, seed: int, number: int) -> IdentityObserver:
        """Draw observer ``number``; the result does not depend on other observers."""
        random = numpy_generator(sample_seed(seed, "identity observer", number))
        return IdentityObserver(
            seed=sample_seed(seed, "identity answers", number),
            character=draw_character(random, self.inattentive),
            criterion=float(self.criterion + self.criterion_deviation * random.normal()),
            sensitivity=float(self.sensitivity * np.exp(self.sensitivity_deviation * random.normal())),
            lapse=float(random.beta(*self.lapse)),
            middle=self.middle,
            width=self.width,
            power=float(np.exp(self.power_deviation * random.normal())),
            hand=float(random.gamma(4.0, self.hand / 4.0)),
            tempo=draw_tempo(random, self.typical_ms, self.slope),
        )


@dataclass(frozen=True)
class IdentityObserver:
    """The parameters of one observer of pairs."""

    seed: int
    character: Character
    criterion: float
    sensitivity: float
    lapse: float
    middle: float
    width: float
    power: float
    hand: float
    tempo: Tempo

    def p_same(self, dissimilarity: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """The probability of the answer 'same person' of an attentive observer."""
        p: NDArray[np.float64] = scipy.stats.norm.cdf((self.criterion - np.asarray(dissimilarity, np.float64)) * self.sensitivity)
        return self.lapse / 2 + (1 - self.lapse) * p

    def answers(self, stimulus: str, dissimilarity: float) -> TrialAnswers:
        """Similarity and 'same person?' of one pair; they depend on the observer and the pair alone."""
        random = numpy_generator(sample_seed(self.seed, stimulus))
        noisy_dissimilarity = dissimilarity + random.normal() / self.sensitivity
        guess, guessed = random.random() < self.lapse, random.random()
        slider = self._slider(noisy_dissimilarity, random)
        same = bool(guessed < 0.5) if guess else bool(noisy_dissimilarity < self.criterion)
        doubt = float(self.p_same(dissimilarity))
        bits = entropy_bits(np.array([doubt, 1 - doubt]))
        residue = draw_time_residue(stimulus, PAIR_TIME_RESIDUE)
        first, second = self.tempo.time(bits, residue, random), self.tempo.time(bits, residue, random)
        similarity = round(100 * random.random()) if guess else slider
        if self.character == "monotone":
            similarity, same = 50, False
        if self.character == "hasty" or (self.character == "careless" and random.random() < 0.75):
            similarity, same = round(100 * random.random()), bool(random.random() < 0.5)
        if self.character == "hasty":
            first, second = (round(float(random.uniform(*HASTY_MS)), 1) for _ in range(2))
        return ("similarity", f"{similarity:g}", first), ("identity", str(int(same)), second)

    def _slider(self, noisy_dissimilarity: float, random: np.random.Generator) -> float:
        share = 1 / (1 + np.exp((noisy_dissimilarity - self.middle) / self.width))
        slider = share**self.power
        unsteady = self.hand * (0.2 + 3.2 * slider * (1 - slider))  # little at the ends, where the slider stops
        return float(np.clip(round(100 * slider + unsteady * random.normal()), 0, 100))


FACE_TIME_RESIDUE = 0.14

CONFUSION: tuple[tuple[float, ...], ...] = (
    # surprise fear disgust happiness sadness anger: seen (row) -> said (column)
    (0.84, 0.10, 0.01, 0.04, 0.005, 0.005),
    (0.16, 0.70, 0.04, 0.01, 0.06, 0.03),
    (0.01, 0.03, 0.76, 0.01, 0.06, 0.13),
    (0.025, 0.005, 0.005, 0.95, 0.01, 0.005),
    (0.01, 0.06, 0.06, 0.01, 0.80, 0.06),
    (0.02, 0.03, 0.12, 0.005, 0.065, 0.76),
)


@dataclass(frozen=True)
class EmotionPopulation:
    """Distribution of observers of faces. Deviations are between people; acuity varies on a log scale."""

    acuity: float = 4.0
    acuity_deviation: float = 0.25
    bias_deviation: float = 0.35  # log units an emotion
    concentration: float = 25.0  # of a person's confusion around the population's
    lapse: tuple[float, float] = (1.0, 40.0)  # Beta
    typical_ms: float = 480.0
    slope: float = 0.2  # log units a bit
    inattentive: Mapping[Character, float] = field(default_factory=lambda: {"careless": 0.14, "hasty": 0.05, "monotone": 0.04})

    def observer(self, seed: int, number: int) -> EmotionObserver:
        """Draw observer ``number``; the result does not depend on other observers."""
        random = numpy_generator(sample_seed(seed, "emotion observer", number))
        confusion = np.stack([random.dirichlet(self.concentration * np.array(row)) for row in CONFUSION])
        bias = self.bias_deviation * random.normal(size=len(EMOTIONS))
        return EmotionObserver(
            seed=sample_seed(seed, "emotion answers", number),
            character=draw_character(random, self.inattentive),
            acuity=float(self.acuity * np.exp(self.acuity_deviation * random.normal())),
            bias=tuple(float(value) for value in bias - bias.mean()),
            confusion=tuple(tuple(float(value) for value in row) for row in confusion),
            lapse=float(random.beta(*self.lapse)),
            favourite=EMOTIONS[int(random.integers(len(EMOTIONS)))],
            tempo=draw_tempo(random, self.typical_ms, self.slope),
        )


@dataclass(frozen=True)
class EmotionObserver:
    """The parameters of one observer of faces. bias sums to 0, rows of confusion to 1; favourite: answer of 'monotone'."""

    seed: int
    character: Character
    acuity: float
    bias: tuple[float, ...]
    confusion: tuple[tuple[float, ...], ...]
    lapse: float
    favourite: str
    tempo: Tempo

    def probabilities(self, evidence: Array) -> Array:
        """(N, 6) evidence -> (N, 6) probabilities of the answers when attentive."""
        seen = scipy.special.softmax(self.acuity * np.asarray(evidence, np.float64), axis=1) @ np.array(self.confusion)
        leaning = seen * np.exp(self.bias)
        p: Array = self.lapse / len(EMOTIONS) + (1 - self.lapse) * leaning / leaning.sum(axis=1, keepdims=True)
        return p

    def answers(self, stimulus: str, evidence: Array) -> TrialAnswers:
        """The emotion named for one image; it and its time depend on the observer and the image alone."""
        random = numpy_generator(sample_seed(self.seed, stimulus))
        p = self.probabilities(evidence[None])[0]
        named = EMOTIONS[int(random.choice(len(EMOTIONS), p=p / p.sum()))]
        taken = self.tempo.time(entropy_bits(p), draw_time_residue(stimulus, FACE_TIME_RESIDUE), random)
        if self.character == "monotone":
            return (("emotion", self.favourite, taken),)
        if self.character == "hasty" or (self.character == "careless" and random.random() < 0.75):
            named = EMOTIONS[int(random.integers(len(EMOTIONS)))]
        if self.character == "hasty":
            taken = round(float(random.uniform(*HASTY_MS)), 1)
        return (("emotion", named, taken),)


HIDDEN_CLASSIFIER = "small-cnn"
"""The classifier whose probabilities are the observers' evidence; nothing that learns from their answers uses it."""

ADAPTATION = 0.5
"""Share of HIDDEN_CLASSIFIER's mean log probabilities of reference faces that is removed; else nobody would see disgust."""


ACTION_SHARE, ACTION_UNITS = 0.7, 6.0
"""Where facial actions are known: their share of the evidence, and the log units that a feeling of strength 1 in them is worth."""


@dataclass(frozen=True)
class PairPerception:
    """What makes two pictures of a generator look unlike to people.

    weights: of the parts of the dissimilarity; without a recogniser's distance the others share its weight. stranger_means: each
    part's mean between strangers; recognisers in their thresholds, LPIPS in its own units. look_scales: the difference of
    brightness of face and hair (grey levels in [0, 1]) and of happiness (mini-XCEPTION's) that counts as 1. bend: power of the
    weighted mean; below 1 where small differences count for more than their share.
    """

    weights: Mapping[str, float]
    stranger_means: Mapping[str, float]
    look_scales: Mapping[str, float]
    bend: float = 1.0


PERCEPTIONS: Mapping[str, PairPerception] = {
    "dcgan-sharp": PairPerception(
        weights={"dlib": 0.55, "sface": 0.10, "lpips": 0.15, "looks": 0.20},
        stranger_means={"dlib": 1.03, "sface": 1.19, "lpips": 0.56},
        look_scales={"face": 0.08, "hair": 0.12, "happiness": 0.35},
    ),
    "head": PairPerception(
        weights={"dlib": 0.45, "sface": 0.10, "lpips": 0.35, "looks": 0.10},
        stranger_means={"dlib": 1.08, "sface": 1.04, "lpips": 0.47},
        look_scales={"face": 0.069, "hair": 0.111, "happiness": 0.34},
        bend=0.7,
    ),
}
"""By generator, measured: means over its stored strangers (a test measures them again), scales by which strangers differ in looks
as much as the first one's do, weights and bend by which similarity by sample type meets paper A's Table 1 on the demonstration's
pairs. Pictures of other generators are seen like those of the first."""


def find_perception(generator: str) -> PairPerception:
    """The constants of a generator; those of the first one where none were measured."""
    return PERCEPTIONS.get(generator, next(iter(PERCEPTIONS.values())))


PAIR_RESIDUE = 0.07
"""Standard deviation of a pair's residue, in dissimilarities; smaller for near pairs, so that equal pictures look equal."""
FACE_RESIDUE = 0.12
"""Standard deviation of a face's residue, log units an emotion."""


def perceive_dissimilarities(sample_set: SampleSet) -> dict[str, float]:
    """pair_id -> perceived dissimilarity, at least 0.

    From pictures and what models say of them alone: where the generator knows who is who, observers are not told
    (``identity_distance``, ``same_identity`` and the named values are never read).
    """
    pairs, looks = sample_set.pairs, _measure_looks(sample_set)
    constants = find_perception(sample_set.configuration.generator)
    means = constants.stranger_means
    base = np.stack([looks[name] for name in pairs["base_id"]])
    sample = np.stack([looks[name] for name in pairs["sample_id"]])
    parts = {"lpips": pairs["lpips"].to_numpy(np.float64) / means["lpips"]}
    parts["looks"] = np.minimum(np.abs(base - sample) / list(constants.look_scales.values()), 2.0).mean(axis=1)
    thresholds = sample_set.manifest.get("thresholds", {})
    for name in ("dlib", "sface"):
        if f"distance_{name}" in pairs and name in thresholds:
            parts[name] = pairs[f"distance_{name}"].to_numpy(np.float64) / thresholds[name] / means[name]
    values = np.stack([parts[name] for name in parts])  # (parts, pairs)
    weights = np.array([constants.weights[name] for name in parts])[:, None] * np.isfinite(values)
    seen = ((np.nan_to_num(values) * weights).sum(axis=0) / np.maximum(weights.sum(axis=0), 1e-9)) ** constants.bend
    dissimilarities = {}
    for name, value in zip(pairs["pair_id"], seen, strict=True):
        residue = PAIR_RESIDUE * numpy_generator(sample_seed(0, "pair residue", name)).normal() * min(value / 0.3, 1.0)
        dissimilarities[str(name)] = max(float(value + residue), 0.0)
    return dissimilarities


def perceive_evidence(sample_set: SampleSet) -> dict[str, Array]:
    """sample_id -> evidence (6,) over EMOTIONS, log units. Raises LiminalError without HIDDEN_CLASSIFIER's probabilities."""
    configuration, samples = sample_set.emotion, sample_set.samples
    if HIDDEN_CLASSIFIER not in configuration.judges:
        raise LiminalError(
            f"Simulated observers see through {HIDDEN_CLASSIFIER}, which did not judge this sample set; make it again with "
            f"{HIDDEN_CLASSIFIER} among its judges."
        )
    calibrated = samples[[f"calibrated_{HIDDEN_CLASSIFIER}_{emotion}" for emotion in EMOTIONS]].to_numpy(np.float64)
    if sample_set.own_pictures:  # no generator has faces that are usual
        usual = np.log(np.maximum(calibrated, 1e-12)).mean(axis=0)
    else:
        reference = load_reference_set(configuration.generator)
        usual = np.log(reference.calibrated(HIDDEN_CLASSIFIER, reference.classifier_logits(HIDDEN_CLASSIFIER))).mean(axis=0)
    seen = np.log(np.maximum(calibrated, 1e-12)) - ADAPTATION * (usual - usual.mean())
    evidence = {}
    for name, row in zip(samples["sample_id"], seen, strict=True):
        residue = FACE_RESIDUE * numpy_generator(sample_seed(0, "face residue", name)).normal(size=len(EMOTIONS))
        feelings = read_feelings(configuration.generator, sample_set.latents[str(name)])
        if feelings is not None:
            row = (1 - ACTION_SHARE) * row + ACTION_SHARE * ACTION_UNITS * feelings
        evidence[str(name)] = row + residue
    return evidence


def _measure_looks(sample_set: SampleSet) -> dict[str, Array]:
    """sample_id -> mean grey level of face and hair, and mini-XCEPTION's happiness (0 where it is missing)."""
    column = "p_mini-xception_happiness"
    samples = sample_set.samples
    happy = samples[column].to_numpy(np.float64) if column in samples else np.zeros(len(samples))
    looks = {}
    for name, smile in zip(samples["sample_id"], happy, strict=True):
        looks[str(name)] = np.array([*measure_brightness(sample_set.images[name]), smile])
    return looks


def measure_brightness(picture: NDArray[np.uint8]) -> Array:
    """Mean grey level in [0, 1] of the places where face and hair usually lie in a picture (H, H, 3): (2,)."""
    grey = picture.mean(axis=2) / 255
    side = grey.shape[0]
    face = grey[side * 3 // 8 : side * 7 // 8, side // 4 : side * 3 // 4].mean()
    hair = grey[: max(side // 6, 1), side // 5 : max(side * 4 // 5, 1)].mean()
    return np.array([face, hair])


PAUSE_MS = 800.0
"""Pause between two trials; it only changes the times of day of answers."""

PLANTED: Mapping[Kind, str] = {
    "identity": (
        "Simulated. Planted: every pair has a hidden dissimilarity made of dlib's and SFace's distances, LPIPS and differences of "
        "brightness and smile, plus a residue that no model sees; whose face was drawn is not told. People see it with noise, "
        "judge 'same person' by a criterion of their own and place the slider by the same look; doubt makes them slower; a few do "
        "not pay attention. Calibrated to paper A's Table 1: mean similarity and identity by sample type. Everything else comes "
        "out by itself."
    ),
    "emotion": (
        f"Simulated. Planted: people see each face through {HIDDEN_CLASSIFIER}, which no fine-tuning uses, where a face's facial "
        "actions are known seven tenths through these, plus a residue that no model sees, and answer through a confusion, biases, "
        "an acuity and lapses of their own; doubt makes them slower; about a "
        "third do not pay attention. Calibrated to paper B: the bulk of the entropy of choices, of reaction times, their "
        "correlation of about 0.4, and the share that fails the attention checks. Everything else comes out by itself."
    ),
}
"""The planted relations: the note of every simulated study and of every figure from simulated answers."""


@dataclass(frozen=True)
class ObserverTask:
    """One observer's trials. number: draws the observer; rater: the name on the answers; trials: stimuli in order."""

    number: int
    rater: str
    trials: tuple[str, ...]


def simulate_answers(
    study: Study,
    stimuli: Sequence[Stimulus],
    observers: Sequence[ObserverTask],
    sets: Mapping[str, SampleSet],
    *,
    seed: int,
    start: datetime,
    population: IdentityPopulation | EmotionPopulation | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Simulate every observer's answers -> a table of RATINGS, source 'simulated'. start: of the first observer, in UTC.

    The same seed, number and stimulus give the same answer and the same rating_id, whoever else is asked and in what order.
    """
    progress = progress or Progress()
    seen = perceive_stimuli(study.plan.kind, sets)
    known = {stimulus.stimulus: stimulus for stimulus in stimuli}
    missing = [name for name in known if name not in seen]
    if missing:
        raise LiminalError(f"The sample sets of the study '{study.name}' lack {len(missing)} of its stimuli; give all of them.")
    people = population or (IdentityPopulation() if study.plan.kind == "identity" else EmotionPopulation())
    rows: list[dict[str, Any]] = []
    for index, assigned in enumerate(observers):
        progress.stage(f"Asking simulated observer {index + 1} of {len(observers)}", index / len(observers))
        observer = people.observer(seed, assigned.number)
        clock = start + timedelta(minutes=7 * assigned.number)
        for trial, name in enumerate(assigned.trials):
            answered, clock = answer_trial(study, observer, assigned, trial, known[name], seen[name], clock, seed=seed)
            rows += answered
    return make_ratings_table(rows)


def answer_trial(
    study: Study,
    observer: IdentityObserver | EmotionObserver,
    task: ObserverTask,
    trial: int,
    stimulus: Stimulus,
    seen: Any,
    clock: datetime,
    *,
    seed: int,
) -> tuple[list[dict[str, Any]], datetime]:
    """One observer's rows of RATINGS for one trial, and when they are done. seen: what is perceived (``perceive_stimuli``)."""
    answers, rows = observer.answers(stimulus.stimulus, seen), []
    for asked, value, taken in answers:
        clock += timedelta(milliseconds=taken + PAUSE_MS / len(answers))
        rows.append(
            {
                "rating_id": derive_rating_id(study.name, seed, task.number, stimulus.stimulus, asked),
                "study": study.name,
                "rater": task.rater,
                "session": f"{task.rater}-1",
                "trial": trial,
                "stimulus": stimulus.stimulus,
                "task": asked,
                "value": value,
                "reaction_time_ms": taken,
                "is_sentinel": stimulus.is_sentinel,
                "source": "simulated",
                "presented": "{}",
                "created_at": clock,
            }
        )
    return rows, clock


def derive_rating_id(study: str, seed: int, number: int, stimulus: str, task: str) -> str:
    """The UUID of a simulated answer, always the same."""
    high = sample_seed(seed, "rating", study, number, stimulus, task)
    low = sample_seed(seed, "rating id", study, number, stimulus, task)
    return str(uuid.UUID(int=(high << 64 | low) & (2**128 - 1), version=4))


def observer_name(number: int) -> str:
    """The name on an observer's answers. number: from 0."""
    return f"observer-{number + 1:03d}"


def perceive_stimuli(kind: Kind, sets: Mapping[str, SampleSet]) -> dict[str, Any]:
    """What observers perceive of every stimulus of these sets: dissimilarity of a pair, evidence of a face."""
    perceived: dict[str, Any] = {}
    for sample_set in sets.values():
        if sample_set.kind != kind:
            raise LiminalError(f"A study about {kind} cannot ask about a set of {sample_set.kind} samples; choose another set.")
        perceived.update(perceive_dissimilarities(sample_set) if kind == "identity" else perceive_evidence(sample_set))
    return perceived


MAX_OBSERVERS = 10_000


@dataclass(frozen=True)
class SimulatedStudy:
    """A simulated study, as ``Store.restore`` takes it."""

    study: Study
    stimuli: tuple[Stimulus, ...]
    raters: tuple[Rater, ...]
    ratings: pd.DataFrame


def simulate_study(
    name: str,
    prepared: PreparedStudy,
    sets: Mapping[str, SampleSet],
    *,
    raters: int,
    seed: int,
    start: datetime | None = None,
    population: IdentityPopulation | EmotionPopulation | None = None,
    progress: Progress | None = None,
) -> SimulatedStudy:
    """Simulate a study of observers 0 to ``raters`` - 1. sets: by set_id, all of ``prepared``. start: None is now.

    Raises LiminalError for too few or too many raters.
    """
    if not 1 <= raters <= MAX_OBSERVERS:
        raise LiminalError(f"A simulated study has 1 to {MAX_OBSERVERS:,} observers, not {raters:,}.")
    start = start or datetime.now(UTC)
    note = " ".join([PLANTED[prepared.plan.kind], *prepared.notes])
    study = Study(
        name, prepared.plan, source="simulated", closed=True, sample_sets=prepared.sample_sets, note=note, created_at=start
    )
    handed_out: Counter[str] = Counter()
    observers = []
    for number in range(raters):
        trials = tuple(assign_stimuli(study, prepared.stimuli, handed_out, number))
        handed_out.update(trials)
        observers.append(ObserverTask(number, observer_name(number), trials))
    ratings = simulate_answers(
        study, prepared.stimuli, observers, sets, seed=seed, start=start, population=population, progress=progress
    )
    return SimulatedStudy(study, prepared.stimuli, observers_as_raters(study, observers, ratings), ratings)


def observers_as_raters(study: Study, tasks: list[ObserverTask], ratings: pd.DataFrame) -> tuple[Rater, ...]:
    """The observers as Raters who have finished."""
    spans = ratings.groupby("rater")["created_at"].agg(["min", "max"])
    return tuple(
        Rater(
            observer.rater,
            study.name,
            new_code(),
            observer.trials,
            source="simulated",
            finished_at=spans["max"][observer.rater].to_pydatetime(),
            created_at=spans["min"][observer.rater].to_pydatetime(),
        )
        for observer in tasks
    )
