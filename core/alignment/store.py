"""Where alignments are stored: ``data_folder()/alignments/<content hash>``, every file whole or not there.

``card.json`` says what was aligned and how; each classifier has a folder with ``base.npz`` and ``group.npz`` (its probabilities
of all images before and after), ``group.safetensors`` and ``group.json`` (weights and learning curve), and the same for each
person under ``people/`` and, learned from shuffled answers, under ``shuffled/``. A person's files are named by a hash of their
name. No answer is stored here: the study keeps those. Deleting a person or a study deletes what was learned from them.

The group model that comes with the package (``assets/alignment``, made by ``pretrained``) is installed only where its hash is the
alignment's: another demonstration, other answers, another configuration or another network have another hash, and are trained.
Nothing here loads torch or pandas: the page Align imports it before it paints.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from core.data_folder import data_folder
from core.errors import LiminalError
from core.lazy_import import lazy_import
from core.models import registry
from core.models.weights import ROOT
from core.writing import write_bytes

if TYPE_CHECKING:
    import safetensors.torch as tensor_files
    from torch import Tensor

    from core.studies.library import Library
    from core.studies.storage.tables import Deletion
    from core.studies.store import Store
else:
    tensor_files = lazy_import("safetensors.torch")


@dataclass(frozen=True)
class Epoch:
    """One epoch. loss: mean training cross-entropy, nats (NaN in epoch 0, before training); validation: on held-out answers."""

    number: int
    loss: float
    validation_loss: float
    validation_accuracy: float  # share of held-out answers that are the model's first choice


@dataclass(frozen=True)
class EpochDone:
    """An event of ``core.progress``: one epoch of one model. stage: "group" or "individual"; rater: "" for the group."""

    classifier: str
    stage: str
    rater: str
    of: int  # epochs asked for
    epoch: Epoch


@dataclass(frozen=True)
class EpochsBefore:
    """An event of ``core.progress`` as a training begins or continues. epochs: so far, with epoch 0."""

    classifier: str
    stage: str
    rater: str
    epochs: tuple[Epoch, ...]


@dataclass(frozen=True)
class Curve:
    """The learning curve: all epochs from number 0. stopped_early: before the configured number."""

    epochs: tuple[Epoch, ...]
    stopped_early: bool = False


CARD = "card.json"


@dataclass(frozen=True, eq=False)
class Probabilities:
    """One model's probabilities over EMOTIONS: of the study's images (I, 6) and of the reference faces (R, 6)."""

    images: NDArray[np.float64]
    reference: NDArray[np.float64]


def alignments_folder() -> Path:
    """The folder of all alignments."""
    return data_folder() / "alignments"


@dataclass(frozen=True)
class AlignmentStore:
    """One alignment's folder. stage: "base", "group", or "people" and "shuffled" with a rater."""

    folder: Path

    def _stem(self, classifier: str, stage: str, rater: str) -> Path:
        path = self.folder / classifier / stage
        return path / hash_rater(rater) if rater else path

    def has(self, classifier: str, stage: str, rater: str = "") -> bool:
        """Whether that model is finished: its probabilities are written last."""
        return self._file(classifier, stage, rater, ".npz").is_file()

    def probabilities(self, classifier: str, stage: str, rater: str = "") -> Probabilities:
        """A model's probabilities. Raises LiminalError where it is not trained yet or its file is damaged."""
        path = self._file(classifier, stage, rater, ".npz")
        if not path.is_file():
            owner = f"of '{rater}' " if rater else ""
            raise LiminalError(f"The model {owner}on {classifier} has not learned yet ('{stage}'); run 'python -m core align'.")
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return Probabilities(arrays["images"].astype(np.float64), arrays["reference"].astype(np.float64))
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise LiminalError(f"The file {path} is damaged; delete it and align again.") from error

    def weights(self, classifier: str, stage: str, rater: str = "") -> dict[str, Tensor]:
        """The trained weights. Raises LiminalError where they are missing or damaged."""
        path = self._file(classifier, stage, rater, ".safetensors")
        try:
            return tensor_files.load_file(path)
        except (OSError, SafetensorError) as error:
            raise LiminalError(
                f"The weights {path} are missing or damaged; delete the folder beside them and align again."
            ) from error

    def curve(self, classifier: str, stage: str, rater: str = "") -> Curve:
        """The learning curve of a finished model. Raises LiminalError where it is missing or damaged."""
        path = self._file(classifier, stage, rater, ".json")
        try:
            return curve_from_record(json.loads(path.read_bytes()))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise LiminalError(f"The curve {path} is missing or damaged; align again.") from error

    def write(
        self,
        classifier: str,
        stage: str,
        rater: str,
        probabilities: Probabilities,
        weights: Mapping[str, Tensor] | bytes | None = None,
        curve: Curve | None = None,
    ) -> None:
        """Write the files of one model, the probabilities last. weights: tensors or the content of a safetensors file.

        Raises LiminalError where nothing can be written.
        """
        try:
            if weights is not None:
                write_bytes(self._file(classifier, stage, rater, ".safetensors"), _serialise_weights(weights))
            if curve is not None:
                write_json(self._file(classifier, stage, rater, ".json"), curve_to_record(curve))
            buffer = io.BytesIO()
            np.savez(
                buffer,
                images=probabilities.images.astype(np.float32),
                reference=probabilities.reference.astype(np.float32),
            )
            write_bytes(self._file(classifier, stage, rater, ".npz"), buffer.getvalue())
        except OSError as error:
            raise LiminalError(f"Nothing can be written to {self.folder}: free some space or change its rights.") from error

    def unfinished(self, classifier: str, stage: str, rater: str = "") -> Path:
        """The file of the state of an unfinished training."""
        return self._file(classifier, stage, rater, ".unfinished")

    def _file(self, classifier: str, stage: str, rater: str, ending: str) -> Path:
        stem = self._stem(classifier, stage, rater)
        return stem.with_name(stem.name + ending)

    def card(self) -> dict[str, Any]:
        """The content of ``card.json``. Raises LiminalError where it is missing or damaged."""
        try:
            return dict(json.loads((self.folder / CARD).read_bytes()))
        except (OSError, ValueError, TypeError) as error:
            raise LiminalError(f"The folder {self.folder} holds no alignment; align again.") from error


def hash_rater(rater: str) -> str:
    """The name of a person's files: a hash, so that no folder lists who took part."""
    return hashlib.blake2b(rater.encode(), digest_size=10).hexdigest()


def _serialise_weights(weights: Mapping[str, Tensor] | bytes) -> bytes:
    if isinstance(weights, bytes):
        return weights
    return tensor_files.save({name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()})


def curve_to_record(curve: Curve) -> dict[str, Any]:
    """A curve as plain JSON values; null for NaN."""
    rows = [[epoch.number, epoch.loss, epoch.validation_loss, epoch.validation_accuracy] for epoch in curve.epochs]
    plain = [[value if math.isfinite(value) else None for value in row] for row in rows]
    return {"stopped_early": curve.stopped_early, "epochs": plain}


def curve_from_record(record: Mapping[str, Any]) -> Curve:
    """The curve of a record of ``curve_to_record``. Raises KeyError, TypeError or ValueError for anything else."""
    rows = [[math.nan if value is None else value for value in row] for row in record["epochs"]]
    return Curve(tuple(Epoch(int(row[0]), *row[1:]) for row in rows), bool(record["stopped_early"]))


def write_json(path: Path, record: Mapping[str, Any]) -> None:
    """A JSON file, whole or not at all."""
    write_bytes(path, (json.dumps(record, ensure_ascii=False, allow_nan=False, indent=1) + "\n").encode())


def list_cards(folder: Path | None = None) -> list[tuple[Path, dict[str, Any]]]:
    """(folder, card) of all alignments, the newest first; a damaged one is left out."""
    cards = []
    for path in sorted((folder or alignments_folder()).glob("*/" + CARD)):
        try:
            cards.append((path.parent, AlignmentStore(path.parent).card()))
        except LiminalError:
            continue
    return sorted(cards, key=lambda entry: str(entry[1].get("made", "")), reverse=True)


def describe_beginning(card: Mapping[str, Any], classifier: str) -> str:
    """The network that a classifier was before it learned: 'A, which reads B'. Cards of earlier versions name no title."""
    began: Mapping[str, str] = card.get("began_with", {}).get(classifier, {})
    title, reads = began.get("title", registry.title(classifier)), began.get("reads", "")
    return f"{title}, which reads {reads}" if reads else title


def delete_alignments(study: str, rater: str | None = None, folder: Path | None = None) -> int:
    """Delete the alignments of a study, or those with one person's answers -> the number of deleted alignments.

    A group's model has learned from everybody, so an alignment that contains a person is deleted whole.
    """
    deleted = 0
    for alignment_folder, card in list_cards(folder):
        if card.get("study") == study and (rater is None or hash_rater(rater) in card.get("people", [])):
            shutil.rmtree(alignment_folder, ignore_errors=True)
            deleted += 1
    return deleted


def forget_rater(store: Store, study: str, rater: str, reason: str = "") -> Deletion:
    """Delete a person's answers and the models that learned from them; raises what ``Store.forget`` raises.

    The group's models learned from these answers too: each alignment that this person was part of goes.
    """
    deletion = store.forget(study, rater, reason)
    delete_alignments(study, rater)
    return deletion


def delete_study(store: Store, library: Library, study: str, reason: str = "") -> None:
    """Delete a study, the models that learned from it, and the own pictures that no other study asks about.

    Raises what ``Store.delete`` raises.
    """
    sets = store.study(study).sample_sets
    store.delete(study, reason)
    delete_alignments(study)
    delete_unused_pictures(store, library, sets)


VALUES_OF_FACES = ("vectors", "projections", "features", "alignments/inputs")
"""Folders of the data folder with what was worked out from pictures, by hashes that do not tell whose; it can be made again."""


def delete_unused_pictures(store: Store, library: Library, set_ids: Iterable[str]) -> int:
    """Delete own pictures among these sets that no study asks about, with all that was worked out from them -> the sets deleted."""
    used = {set_id for other in store.studies() for set_id in other.sample_sets}
    deleted = sum(library.remove_own_pictures(set_id) for set_id in dict.fromkeys(set_ids) if set_id not in used)
    for name in VALUES_OF_FACES if deleted else ():
        shutil.rmtree(library.folder.parent / name, ignore_errors=True)
    return deleted


PRETRAINED_FOLDER = ROOT / "assets" / "alignment"
PRETRAINED_NAME = "demonstration-group"
WEIGHTS_PREFIX, BEFORE_PREFIX, AFTER_PREFIX = "weights.", "base.", "group."
"""Beginnings of the tensors' names."""


def install_pretrained(store: AlignmentStore, folder: Path | None = None) -> bool:
    """Install the stored group model where its hash is this alignment's -> whether it was installed.

    A missing, damaged or other one is ignored: the group is trained then. Loads no torch. Raises OSError where nothing can be
    written.
    """
    folder = folder or PRETRAINED_FOLDER
    try:
        card = json.loads((folder / f"{PRETRAINED_NAME}.json").read_bytes())
        classifier = str(card["classifier"])
        if card["alignment"] != store.folder.name or store.has(classifier, "group"):
            return False
        content = (folder / f"{PRETRAINED_NAME}.safetensors").read_bytes()
        if hashlib.sha256(content).hexdigest() != card["sha256"]:
            return False
        tensors, curve = load_arrays(content), curve_from_record(card["curve"])
        before, after = (
            Probabilities(tensors[f"{start}images"], tensors[f"{start}reference"]) for start in (BEFORE_PREFIX, AFTER_PREFIX)
        )
    except (OSError, ValueError, KeyError, TypeError, SafetensorError):
        return False
    weights = {key.removeprefix(WEIGHTS_PREFIX): value for key, value in tensors.items() if key.startswith(WEIGHTS_PREFIX)}
    store.write(classifier, "base", "", before)
    store.write(classifier, "group", "", after, save_arrays(weights), curve)
    return True
