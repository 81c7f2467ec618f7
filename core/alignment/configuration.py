"""How classifiers learn from people: paper B's parameters (section V.A), with its values as defaults."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal, get_args

from core.errors import LiminalError
from core.models import registry
from core.sampling.configuration import Configuration, check_number, check_whole
from core.sampling.emotion.configuration import find_chain

Split = Literal["images", "paper"]
"""images: a fifth of the images is held out from everybody. paper: the group holds out a fifth of the images, and every person a
fifth of their other answers, which the group has learned from ("avoid overlap with the group validation set")."""
TrainedPart = Literal["all", "head"]
"""all: every weight is trained; head: only the last layer, on features that are computed once."""

PICTURE_NETWORKS = ("mini-xception", "tanh-cnn")
"""Classifiers that can learn and read pictures of any generator (paper B: DAN, ResEmoNet). The small CNN is the observers'
and stays out."""


def list_learners(generator: str) -> tuple[str, ...]:
    """The classifiers that can learn from answers about a generator's faces. First that of its chain, which reads embeddings (paper
    B: CLIP with an MLP head)."""
    return (find_chain(generator).classifier, *PICTURE_NETWORKS)


def list_all_learners() -> tuple[str, ...]:
    """The same, whatever the generator."""
    generators = [entry.name for entry in registry.ENTRIES if entry.kind == "generator"]
    return tuple(dict.fromkeys(name for generator in generators for name in list_learners(generator)))


@dataclass(frozen=True)
class AlignmentConfiguration(Configuration):
    """The parameters of an alignment. Raises LiminalError with one sentence for a value out of its range."""

    samples: ClassVar[str] = "an alignment"

    classifiers: tuple[str, ...] = ()  # (): that of the chain of the study's generator, see ``for_generator``
    seed: int = 0
    split: Split = "images"
    validation: float = 0.2  # 4:1
    epochs: int = 15
    batch: int = 128  # answers
    rate: float = 1e-4  # Adam's
    reference_share: float = 0.5  # group training: answers to reference data 2:1
    reference_faces: int = 800
    group_share: float = 0.5  # individual training: own answers to the group's 2:1
    part: TrainedPart = "all"  # of the group's training, and of an individual's MLP
    network_individuals: TrainedPart = "head"  # of an individual's emotion network: 'all' takes minutes a person
    patience: int = 0  # stop after so many epochs without a lower loss on images set aside from the training; 0: never
    least_answers: int = 200  # of all people, to train on
    least_own: int = 30  # of one person, to train on

    def __post_init__(self) -> None:
        if isinstance(self.classifiers, str):
            raise LiminalError(f"'classifiers' must be a list, not {self.classifiers!r}.")
        object.__setattr__(self, "classifiers", tuple(self.classifiers))
        known = list_all_learners() if self.classifiers else ()
        for name in self.classifiers:
            if name not in known:
                raise LiminalError(f"'{name}' is no classifier that can learn from people; there are {', '.join(known)}.")
        if len(set(self.classifiers)) != len(self.classifiers):
            raise LiminalError(f"A classifier is named twice in {', '.join(self.classifiers)}; name each once.")
        for name, value, values in (
            ("split", self.split, get_args(Split)),
            ("part", self.part, get_args(TrainedPart)),
            ("network_individuals", self.network_individuals, get_args(TrainedPart)),
        ):
            if value not in values:
                raise LiminalError(f"'{name}' is {' or '.join(values)}, not '{value}'.")
        check_whole("seed", self.seed, 0, 2**63 - 1)
        check_whole("epochs", self.epochs, 1, 10_000)
        check_whole("batch", self.batch, 1, 100_000)
        check_whole("reference_faces", self.reference_faces, 10, 2000)
        check_whole("patience", self.patience, 0, 10_000)
        check_whole("least_answers", self.least_answers, 2, 10_000_000)
        check_whole("least_own", self.least_own, 1, 100_000)
        check_number("validation", self.validation, 0.01, 0.9)
        check_number("rate", self.rate, 1e-8, 10.0)
        check_number("reference_share", self.reference_share, 0.0, 100.0)
        check_number("group_share", self.group_share, 0.0, 100.0)

    def individual_part(self, classifier: str) -> TrainedPart:
        """Which weights of a classifier are trained on one person's answers."""
        return self.network_individuals if classifier in PICTURE_NETWORKS else self.part

    def for_generator(self, generator: str) -> AlignmentConfiguration:
        """The same for a generator's faces: by the classifier of its chain where none is named.

        Raises LiminalError where a classifier is named that reads embeddings of other faces.
        """
        learners = list_learners(generator)
        if not self.classifiers:
            return replace(self, classifiers=learners[:1])
        for name in self.classifiers:
            if name not in learners:
                raise LiminalError(
                    f"{registry.title(name)} cannot read faces of {registry.title(generator)}, only those of its own generator; "
                    f"choose among {', '.join(learners)}."
                )
        return self
