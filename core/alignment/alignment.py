"""One study's alignment: what is learned from, what is held out, and every model that has learned so far.

``begin`` describes it and opens its folder, without loading torch; ``learning.group`` and ``learning.individual`` fill the folder.
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
from core.alignment import shipped
from core.alignment.answers import Answered, answered_of, shuffled
from core.alignment.configuration import CLASSIFIERS, AlignmentConfiguration
from core.alignment.curves import Curve
from core.alignment.inputs import STANDS_IN, ReferenceLabels, reference_inputs, reference_labels, study_inputs
from core.alignment.kept import CARD, Kept, Probabilities, cards, person, root, write_json
from core.alignment.splits import WORDS, Parted, held_out, parted
from core.analysis.material import Material
from core.errors import LiminalError
from core.models.weights import ROOT
from core.progress import Progress
from core.sampling.seeds import sample_seed
from core.studies.library import Library

if TYPE_CHECKING:
    from torch import Tensor

    from core.alignment.networks import Learner

FORMAT = 2
CARDS = tuple(ROOT / "assets" / "weights" / f"{name}.json" for name in ("emotion-mlp", "face-embedding"))
"""Cards of the networks trained in this repository: others weights, another alignment."""


@dataclass(frozen=True)
class Inputs:
    """What one classifier reads: of the images (I, ...), in the order of ``Answered.images``, and of the reference faces."""

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
    answers: Answered
    split: Parted
    labels: ReferenceLabels
    kept: Kept
    sources: Sources

    @property
    def alignment_id(self) -> str:
        """Hash of everything that it depends on: the folder's name."""
        return self.kept.folder.name

    @cached_property
    def reference_held(self) -> NDArray[np.bool_]:
        """The reference faces that no model learns from (R,)."""
        return held_out(self.labels.names, self.configuration.validation, self.configuration.seed, "reference")

    @cached_property
    def null(self) -> Parted:
        """The same split of shuffled answers: the null control."""
        mixed_up = shuffled(self.answers, sample_seed(self.configuration.seed, "null control"))
        return Parted(self.split.images, mixed_up, self.configuration)

    def base(self, classifier: str) -> Probabilities:
        """BaseNet's. Raises LiminalError before ``learning.group``."""
        return self.kept.probabilities(classifier, "base")

    def group(self, classifier: str) -> Probabilities:
        """GroupNet's. Raises LiminalError before ``learning.group``."""
        return self.kept.probabilities(classifier, "group")

    def individual(self, classifier: str, rater: str, *, null: bool = False) -> Probabilities:
        """A person's IndivNet's; null: of the one that learned from shuffled answers."""
        return self.kept.probabilities(classifier, "shuffled" if null else "people", rater)

    def curve(self, classifier: str, rater: str = "") -> Curve:
        """How the group's or a person's model learned."""
        return self.kept.curve(classifier, "people" if rater else "group", rater)

    def people(self, classifier: str, *, null: bool = False) -> tuple[str, ...]:
        """Those whose model has learned, in order."""
        stage = "shuffled" if null else "people"
        return tuple(rater for rater in self.answers.raters if self.kept.has(classifier, stage, rater))

    def ready(self, classifier: str) -> bool:
        """Whether the group's model has learned."""
        return self.kept.has(classifier, "group")

    @property
    def note(self) -> str:
        """What every figure of it says: how it was split, and what the reference data are."""
        return f"{WORDS[self.configuration.split]} {STANDS_IN}"


def begin(
    material: Material, library: Library, configuration: AlignmentConfiguration | None = None, *, folder: Path | None = None
) -> Alignment:
    """The alignment of an emotion study, with whatever of it was learned before. Computes nothing.

    Raises LiminalError for an identity study, where pictures are missing, and where there are too few answers to learn from.
    """
    configuration = configuration or AlignmentConfiguration()
    answers = answered_of(material)
    split = parted(answers, configuration)
    if not material.generator:
        raise LiminalError(f"No sample set of the study '{material.study.name}' is in the library; bring it in with the study.")
    labels = reference_labels(material.generator, configuration.reference_faces)
    place = folder or root()

    def inputs(classifier: str, progress: Progress) -> Inputs:
        own, plain = progress.stretch(0.0, 0.2), progress.stretch(0.2, 1.0)
        pictures = study_inputs(material, library, answers.images, classifier, place / "inputs", own)
        read = reference_inputs(labels, (classifier,), place / "inputs", plain, alongside=CLASSIFIERS)
        return Inputs(pictures, read[classifier])

    def learner(name: str) -> Learner:
        from core.alignment.networks import learner

        return learner(name)

    return opened(material.study.name, configuration, answers, split, labels, Sources(inputs, learner), place)


def opened(
    study: str,
    configuration: AlignmentConfiguration,
    answers: Answered,
    split: Parted,
    labels: ReferenceLabels,
    sources: Sources,
    place: Path,
) -> Alignment:
    """The same from its parts. A new folder gets its card, and the group's model where it came with the package (``shipped``)."""
    kept = Kept(place / _content(study, configuration, answers, labels))
    try:
        if not (kept.folder / CARD).is_file():
            write_json(kept.folder / CARD, _card(study, configuration, answers, labels))
        shipped.install(kept)
    except OSError as error:
        raise LiminalError(f"Nothing can be written to {place}: free some space or choose another LIMINAL_DATA_DIR.") from error
    return Alignment(study, configuration, answers, split, labels, kept, sources)


def saved(material: Material, library: Library, *, folder: Path | None = None) -> list[Alignment]:
    """The alignments of a study that still fit its answers and of which some model has learned, the newest first."""
    found = []
    for place, card in cards(folder):
        if card.get("study") != material.study.name:
            continue
        try:
            configuration = AlignmentConfiguration.from_dict(card["configuration"])
            candidate = begin(material, library, configuration, folder=folder)
        except (LiminalError, KeyError, TypeError):
            continue
        if candidate.kept.folder == place and any(candidate.ready(name) for name in configuration.classifiers):
            found.append(candidate)
    return found


def _content(study: str, configuration: AlignmentConfiguration, answers: Answered, labels: ReferenceLabels) -> str:
    record: Mapping[str, Any] = {
        "format": FORMAT,
        "study": study,
        "configuration": configuration.to_dict(),
        "answers": answers.digest,
        "reference": [labels.generator, list(labels.seeds)],
        "weights": [_hash(path) for path in CARDS],
    }
    return hashlib.blake2b(json.dumps(record, sort_keys=True).encode(), digest_size=10).hexdigest()


def _hash(card: Path) -> str:
    try:
        return str(json.loads(card.read_text(encoding="utf-8"))["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _card(study: str, configuration: AlignmentConfiguration, answers: Answered, labels: ReferenceLabels) -> dict[str, Any]:
    return {
        "study": study,
        "configuration": configuration.to_dict(),
        "answers": answers.digest,
        "basis": {"images": len(answers.images), "raters": len(answers.raters), "answers": len(answers), "source": answers.source},
        "people": [person(rater) for rater in answers.raters],
        "reference": {"generator": labels.generator, "faces": len(labels), "stands_in": STANDS_IN},
        "split": WORDS[configuration.split],
        "version": core.__version__,
        "made": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
    }
