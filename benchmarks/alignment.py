"""Alignment figures: how long classifiers take to learn from a study of paper B's size.

1,678 images, 22,450 answers of 66 people (paper B, section IV), 800 plain faces. Pictures are faces of the generator of emotion
samples, answers are simulated; the classifier of its chain learns, and a network that reads pictures. Learning is timed with the
product's own functions. What takes longest is measured in part and scaled, unless it is asked for in full: looking at the pictures
(so many of each), and the network's epochs (some of the images); the figures say so.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.alignment.alignment import Alignment, Inputs, Sources, open_alignment
from core.alignment.configuration import AlignmentConfiguration
from core.alignment.data import IMAGES_PER_BATCH, AnswerSet, IndexArray, load_reference_labels, split_answers
from core.models import registry
from core.progress import Progress
from core.sampling.configuration import numpy_generator, sample_seed
from core.sampling.emotion.configuration import find_chain

if TYPE_CHECKING:
    from torch import Tensor

    from core.alignment.train import TrainingRows

GENERATOR = registry.default_generator("emotion")
MLP, NETWORK = find_chain(GENERATOR).classifier, "mini-xception"
MINUTES, INDIVIDUAL_S = {MLP: 5, NETWORK: 20}, 10
"""To reach."""
SEED = 5


@dataclass(frozen=True)
class AlignmentSizes:
    """How much is learned from (paper B's numbers), and what is measured of it unless ``full``; the rest is scaled."""

    images: int = 1678
    people: int = 66
    answers: int = 22_450
    measured_pictures: int = 64
    measured_share: float = 1 / 16  # of the images of an epoch
    full: bool = False


FULL = AlignmentSizes()
QUICK = AlignmentSizes(images=160, people=8, answers=960, measured_pictures=4)


@dataclass(frozen=True)
class _ClassifierInputs:
    """A classifier's inputs of all images and plain faces; seconds of looking at all of each."""

    tensors: Inputs
    images_s: float
    reference_s: float


def measure(sizes: AlignmentSizes = FULL) -> dict[str, Any]:
    """All figures of the suite."""
    with tempfile.TemporaryDirectory() as folder:
        group = {name: _measure_group(name, Path(folder) / name, sizes) for name in (MLP, NETWORK)}
    return {"images": sizes.images, "answers": sizes.answers, "people": sizes.people, "full": sizes.full, "group": group}


def _measure_group(name: str, folder: Path, sizes: AlignmentSizes) -> dict[str, Any]:
    """Base -> Group of one classifier in seconds, by part; of the MLP an individual too."""
    from core.alignment import train
    from core.alignment.networks import load_learner

    configuration = AlignmentConfiguration(classifiers=(name,))
    inputs = _collect_inputs(name, configuration.reference_faces, sizes)
    sources = Sources(lambda classifier, progress: inputs.tensors, load_learner)
    answers = _simulate_answers(sizes)
    labels = load_reference_labels(GENERATOR, configuration.reference_faces)
    alignment = open_alignment("bench", configuration, answers, split_answers(answers, configuration), labels, sources, folder)
    whole = sizes.full or name == MLP
    learns = _time(lambda: train.train_group(alignment)) if whole else _time_epochs(alignment, name, sizes, together=True)
    figures = {
        "pictures_s": round(inputs.images_s, 1),
        "plain_faces_s": round(inputs.reference_s, 1),
        "learning_s": round(learns, 1),
        "minutes": round((inputs.images_s + inputs.reference_s + learns) / 60, 2),
        "aim_minutes": MINUTES[name],
        "pictures_scaled_from": None if sizes.full else sizes.measured_pictures,
        "learning_scaled_from_share": None if whole else sizes.measured_share,
        "inputs_looked_at_anew_each_epoch": round(_estimate_slowdown(inputs, learns, configuration.epochs), 1),
    }
    if name == MLP:
        rater = alignment.split.eligible_raters[0]
        figures["individual_s"] = round(_time(lambda: train.train_individual(alignment, name, rater)), 2)
        figures["individual_answers"] = len(alignment.split.person(rater)[0])
    else:
        together = learns if not whole else _time_epochs(alignment, name, sizes, together=True)
        figures["a_row_an_answer"] = round(_time_epochs(alignment, name, sizes, together=False) / together, 1)
    return figures


def _estimate_slowdown(inputs: _ClassifierInputs, learns: float, epochs: int) -> float:
    """How many times as long a run takes whose epochs look at the pictures anew, instead of keeping what was read."""
    look = inputs.images_s + inputs.reference_s
    return (epochs * look + learns) / (look + learns)


def _collect_inputs(name: str, faces: int, sizes: AlignmentSizes) -> _ClassifierInputs:
    """What a classifier reads; of some pictures, repeated as often as needed, unless ``full``."""
    import torch

    from core.alignment.networks import prepare_inputs
    from core.sampling.images import quantise

    maker = registry.load(GENERATOR, "generator")
    prepare_inputs(name, torch.rand(2, 3, maker.image_size, maker.image_size))  # loaded before anything is timed
    prepared: dict[str, list[Tensor]] = {"images": [], "reference": []}
    seconds = {"making": 0.0, "images": 0.0, "reference": 0.0}
    for kind, total in (("images", sizes.images), ("reference", faces)):
        count = total if sizes.full else sizes.measured_pictures
        seeds = [sample_seed(SEED, kind, index) for index in range(count)]
        for start in range(0, count, IMAGES_PER_BATCH):
            began = time.perf_counter()
            with torch.inference_mode():
                pictures = quantise(maker.decode(maker.sample(seeds[start : start + IMAGES_PER_BATCH])))
            decoded_at = time.perf_counter()
            prepared[kind].append(prepare_inputs(name, pictures, maker.classifier_frame))
            # a study's pictures are there; plain faces are made from their seeds
            seconds[kind] += (time.perf_counter() - (decoded_at if kind == "images" else began)) * total / count

    def all_of(kind: str, total: int) -> Tensor:
        rows = torch.cat(prepared[kind])
        return rows[torch.arange(total) % len(rows)]

    return _ClassifierInputs(
        Inputs(all_of("images", sizes.images), all_of("reference", faces)), seconds["images"], seconds["reference"]
    )


def _time_epochs(alignment: Alignment, name: str, sizes: AlignmentSizes, *, together: bool) -> float:
    """Seconds of all epochs of the group's training, from one epoch on some of the images; together: an image's votes are a row."""
    import torch

    from core.alignment.train import Schedule, TrainingRows, fine_tune

    c, answers = alignment.configuration, alignment.answers
    inputs_read = alignment.sources.inputs(name, Progress())
    learned, judged = (_subsample_answers(answers, rows, sizes.measured_share) for rows in alignment.split.group())

    def rows_of(places: IndexArray) -> TrainingRows:
        image, emotion = answers.image[places], answers.emotion[places]
        return TrainingRows.by_image(image, emotion, len(answers.images)) if together else TrainingRows.single(image, emotion)

    plain = np.flatnonzero(~alignment.reference_held)
    reference = TrainingRows(plain + len(inputs_read.images), alignment.labels.labels[plain], np.ones(len(plain)))
    inputs, network = torch.cat([inputs_read.images, inputs_read.reference]), alignment.sources.learner(name)
    schedule = Schedule(epochs=1, batch=c.batch, rate=c.rate, seed=c.seed, part=c.part)
    training_rows, validation_rows = rows_of(learned), rows_of(judged)

    def learn() -> None:
        fine_tune(network, inputs, training_rows, reference, c.reference_share, validation_rows, schedule, stage="group")

    return _time(learn) / sizes.measured_share * c.epochs


def _subsample_answers(answers: AnswerSet, rows: IndexArray, share: float) -> IndexArray:
    """The answers to one image in 1 / share."""
    some: IndexArray = rows[answers.image[rows] % round(1 / share) == 0]
    return some


def _simulate_answers(sizes: AlignmentSizes = FULL) -> AnswerSet:
    """Simulated answers: everybody to images of their own choice, to each image some thirteen."""
    from core.models.emotions import EMOTIONS

    random = numpy_generator(sample_seed(SEED, "answers"))
    people = sizes.people
    tastes = random.dirichlet(np.ones(len(EMOTIONS)), sizes.images).cumsum(axis=1)
    counts = np.full(people, sizes.answers // people) + (np.arange(people) < sizes.answers % people)
    image = np.concatenate([random.permutation(sizes.images)[:count] for count in counts])
    rater = np.repeat(np.arange(people), counts)
    order = np.lexsort((rater, image))
    image, rater = image[order], rater[order]
    emotion = (random.random((len(image), 1)) > tastes[image]).sum(axis=1).clip(0, len(EMOTIONS) - 1)
    images, raters = (tuple(f"{kind}{index:04d}" for index in range(n)) for kind, n in (("i", sizes.images), ("r", people)))
    return AnswerSet(images, raters, image, rater, emotion, "simulated")


def _time(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def as_text(figures: dict[str, Any]) -> str:
    """For people."""
    lines = [
        f"Learning from {figures['answers']:,} simulated answers of {figures['people']} people to {figures['images']:,} images:"
    ]
    for name, group in figures["group"].items():
        lines += [
            f"  {name}: {group['minutes']:.1f} minutes (aim: {group['aim_minutes']})",
            f"    looking at the pictures {group['pictures_s']:.0f} s, making and looking at plain faces "
            f"{group['plain_faces_s']:.0f} s, learning {group['learning_s']:.0f} s",
            *_describe_scaling(group),
            f"    pictures looked at anew in each epoch would take {group['inputs_looked_at_anew_each_epoch']:.1f} times as long",
        ]
        if "individual_s" in group:
            lines.append(
                f"    an individual, {group['individual_answers']} answers: {group['individual_s']:.1f} s (aim: {INDIVIDUAL_S})"
            )
        if "a_row_an_answer" in group:
            lines.append(f"    a row an answer instead of a row an image would take {group['a_row_an_answer']:.1f} times as long")
    return "\n".join(lines)


def _describe_scaling(group: dict[str, Any]) -> list[str]:
    """What was measured in part."""
    parts = []
    if group["pictures_scaled_from"]:
        parts.append(f"pictures and faces from {group['pictures_scaled_from']} of each")
    if group["learning_scaled_from_share"]:
        parts.append(f"learning from one epoch on {group['learning_scaled_from_share']:.1%} of the images")
    return [f"    scaled: {'; '.join(parts)}"] if parts else []
