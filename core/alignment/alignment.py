"""One study's alignment: its answers, which of them are held out, and every model that was trained so far.

``begin_alignment`` describes it and opens its folder, without loading torch; ``train.train_group`` and
``train.train_individual`` fill the folder.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import core
from core.alignment.configuration import AlignmentConfiguration, list_learners
from core.alignment.data import (
    REFERENCE_NOTE,
    SPLIT_NOTES,
    AnswerSet,
    DataSplit,
    ReferenceLabels,
    choose_held_out,
    describe_origin,
    emotion_answers,
    find_study_generator,
    load_reference_inputs,
    load_reference_labels,
    load_study_inputs,
    shuffle_answers,
    split_answers,
)
from core.alignment.store import (
    CARD,
    AlignmentStore,
    Curve,
    Probabilities,
    alignments_folder,
    describe_beginning,
    hash_rater,
    install_pretrained,
    list_cards,
    write_json,
)
from core.analysis.estimate import join_notes
from core.analysis.study_data import StudyData
from core.errors import LiminalError
from core.models import registry
from core.models.contracts import EmotionChain
from core.models.weights import ROOT
from core.progress import Progress
from core.sampling.configuration import sample_seed
from core.sampling.emotion.configuration import find_chain
from core.studies.library import Library

if TYPE_CHECKING:
    from torch import Tensor

    from core.alignment.networks import Learner

ALIGNMENT_FORMAT = 2
WEIGHTS_FOLDER = ROOT / "assets" / "weights"
"""Networks trained in this repository; an alignment's hash depends on the weights of those of its chain."""


@dataclass(frozen=True)
class Inputs:
    """The inputs of one classifier: of the images (I, ...), in the order of ``AnswerSet.images``, and of the reference faces."""

    images: Tensor
    reference: Tensor


@dataclass(frozen=True, eq=False)
class Sources:
    """Where inputs and networks come from: the library and the registry, or a test's own."""

    inputs: Callable[[str, Progress], Inputs]
    learner: Callable[[str], Learner]


@dataclass(frozen=True, eq=False)
class Alignment:
    """A study with its split, its reference data and its folder. Reading probabilities loads no torch."""

    study: str
    configuration: AlignmentConfiguration
    answers: AnswerSet
    split: DataSplit
    labels: ReferenceLabels
    store: AlignmentStore
    sources: Sources
    origin: str = ""  # a sentence on pictures that are not all made by one generator

    @property
    def chain(self) -> EmotionChain:
        """The models of the generator whose faces these are taken for."""
        return find_chain(self.labels.generator)

    @property
    def alignment_id(self) -> str:
        """The name of its folder: a hash of everything that it depends on."""
        return self.store.folder.name

    @cached_property
    def reference_held(self) -> NDArray[np.bool_]:
        """Whether each reference face is held out from all training (R,)."""
        return choose_held_out(self.labels.names, self.configuration.validation, self.configuration.seed, "reference")

    @cached_property
    def null(self) -> DataSplit:
        """The null control: the same split of shuffled answers."""
        mixed_up = shuffle_answers(self.answers, sample_seed(self.configuration.seed, "null control"))
        return DataSplit(self.split.images, mixed_up, self.configuration)

    def base(self, classifier: str) -> Probabilities:
        """Probabilities of BaseNet. Raises LiminalError before ``train.train_group``."""
        return self.store.probabilities(classifier, "base")

    def group(self, classifier: str) -> Probabilities:
        """Probabilities of GroupNet. Raises LiminalError before ``train.train_group``."""
        return self.store.probabilities(classifier, "group")

    def individual(self, classifier: str, rater: str, *, null: bool = False) -> Probabilities:
        """Probabilities of a person's IndivNet; null: of the one that learned from shuffled answers."""
        return self.store.probabilities(classifier, "shuffled" if null else "people", rater)

    def curve(self, classifier: str, rater: str = "") -> Curve:
        """The learning curve of the group's or a person's model."""
        return self.store.curve(classifier, "people" if rater else "group", rater)

    def people(self, classifier: str, *, null: bool = False) -> tuple[str, ...]:
        """The raters who have a trained model, in order."""
        stage = "shuffled" if null else "people"
        return tuple(rater for rater in self.answers.raters if self.store.has(classifier, stage, rater))

    def ready(self, classifier: str) -> bool:
        """Whether the group's model is trained."""
        return self.store.has(classifier, "group")

    @property
    def note(self) -> str:
        """A note for every figure: how answers were split, what the reference data are, and where pictures come from if not from
        one generator."""
        return join_notes(SPLIT_NOTES[self.configuration.split], REFERENCE_NOTE, self.origin)

    def describe_beginning(self, classifier: str) -> str:
        """The network that a classifier was before it learned, in words."""
        return describe_beginning(self.store.card(), classifier)


def begin_alignment(
    study_data: StudyData, library: Library, configuration: AlignmentConfiguration | None = None, *, folder: Path | None = None
) -> Alignment:
    """The alignment of an emotion study, with the models that were trained before. Trains nothing.

    Raises LiminalError for an identity study, where pictures are missing, and where there are too few answers to learn from.
    """
    configuration = configuration or AlignmentConfiguration()
    answers = emotion_answers(study_data)
    split = split_answers(answers, configuration)
    labels = load_reference_labels(find_study_generator(study_data), configuration.reference_faces)
    learners = list_learners(labels.generator)
    parent = folder or alignments_folder()

    def inputs(classifier: str, progress: Progress) -> Inputs:
        study_progress, reference_progress = progress.stretch(0.0, 0.2), progress.stretch(0.2, 1.0)
        study_inputs = load_study_inputs(study_data, library, answers.images, classifier, parent / "inputs", study_progress)
        reference_inputs = load_reference_inputs(labels, (classifier,), parent / "inputs", reference_progress, alongside=learners)
        return Inputs(study_inputs, reference_inputs[classifier])

    def learner(name: str) -> Learner:
        from core.alignment.networks import load_learner  # PyTorch

        return load_learner(name)

    sources, origin = Sources(inputs, learner), describe_origin(study_data)
    return open_alignment(study_data.study.name, configuration, answers, split, labels, sources, parent, origin)


def open_alignment(
    study: str,
    configuration: AlignmentConfiguration,
    answers: AnswerSet,
    split: DataSplit,
    labels: ReferenceLabels,
    sources: Sources,
    folder: Path,
    origin: str = "",
) -> Alignment:
    """An alignment from its parts. A new folder gets its card, and the group's model where the package has it (``pretrained``).

    Raises LiminalError where a classifier is named that cannot read the faces of the reference faces' generator.
    """
    configuration = configuration.for_generator(labels.generator)
    store = AlignmentStore(folder / _hash_alignment(study, configuration, answers, labels))
    try:
        if not (store.folder / CARD).is_file():
            write_json(store.folder / CARD, _make_card(study, configuration, answers, labels))
        install_pretrained(store)
    except OSError as error:
        raise LiminalError(f"Nothing can be written to {folder}: free some space or choose another LIMINAL_DATA_DIR.") from error
    return Alignment(study, configuration, answers, split, labels, store, sources, origin)


def load_alignments(study_data: StudyData, library: Library, *, folder: Path | None = None) -> list[Alignment]:
    """The alignments of a study that fit its present answers and have a trained model, the newest first."""
    alignments = []
    for card_folder, card in list_cards(folder):
        if card.get("study") != study_data.study.name:
            continue
        try:
            configuration = AlignmentConfiguration.from_dict(card["configuration"])
            candidate = begin_alignment(study_data, library, configuration, folder=folder)
        except (LiminalError, KeyError, TypeError):
            continue
        if candidate.store.folder == card_folder and any(candidate.ready(name) for name in configuration.classifiers):
            alignments.append(candidate)
    return alignments


def _hash_alignment(study: str, configuration: AlignmentConfiguration, answers: AnswerSet, labels: ReferenceLabels) -> str:
    chain = find_chain(labels.generator)
    record: Mapping[str, Any] = {
        "format": ALIGNMENT_FORMAT,
        "study": study,
        "configuration": configuration.to_dict(),
        "answers": answers.digest,
        "reference": [labels.generator, list(labels.seeds)],
        "weights": [_read_weights_hash(name) for name in (chain.classifier, chain.encoder)],
    }
    return hashlib.blake2b(json.dumps(record, sort_keys=True).encode(), digest_size=10).hexdigest()


def _read_weights_hash(name: str) -> str:
    try:
        return str(json.loads((WEIGHTS_FOLDER / f"{name}.json").read_text(encoding="utf-8"))["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _make_card(study: str, configuration: AlignmentConfiguration, answers: AnswerSet, labels: ReferenceLabels) -> dict[str, Any]:
    chain = find_chain(labels.generator)
    began_with = {name: {"title": registry.title(name)} for name in configuration.classifiers}
    if chain.classifier in began_with:
        weights = [_read_weights_hash(name) for name in (chain.classifier, chain.encoder)]
        began_with[chain.classifier] |= {"reads": registry.title(chain.encoder), "sha256": weights[0], "reads_sha256": weights[1]}
    return {
        "study": study,
        "configuration": configuration.to_dict(),
        "began_with": began_with,
        "answers": answers.digest,
        "basis": {"images": len(answers.images), "raters": len(answers.raters), "answers": len(answers), "source": answers.source},
        "people": [hash_rater(rater) for rater in answers.raters],
        "reference": {"generator": labels.generator, "faces": len(labels), "stands_in": REFERENCE_NOTE},
        "split": SPLIT_NOTES[configuration.split],
        "version": core.__version__,
        "made": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
    }
