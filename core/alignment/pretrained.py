"""Make the group model of the demonstration, trained on its simulated people, so that a first visitor waits for no training.

``assets/alignment``: a card with the alignment's content hash and the network that it began with, and one safetensors file with the
trained weights and the probabilities before and after. ``store.install_pretrained`` takes it over.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

import core
from core.alignment.alignment import Alignment, begin_alignment
from core.alignment.data import load_reference_rows, save_reference_embeddings
from core.alignment.store import (
    AFTER_PREFIX,
    BEFORE_PREFIX,
    PRETRAINED_FOLDER,
    PRETRAINED_NAME,
    WEIGHTS_PREFIX,
    curve_to_record,
    write_json,
)
from core.analysis.study_data import build_study_data
from core.errors import LiminalError
from core.progress import Progress
from core.studies.demonstration import load_demonstration
from core.studies.library import Library
from core.writing import write_bytes

PRETRAINED_COMMAND = "python -m core assets alignment"


def build_pretrained(work: Path, *, folder: Path = PRETRAINED_FOLDER, progress: Progress | None = None) -> dict[str, Any]:
    """Train the classifier of the demonstration's chain and store it with its embeddings of the reference faces -> its card.

    work: folder that caches inputs, which take minutes the first time; the training is always done anew. Raises LiminalError where
    the demonstration is missing or its people are not simulated.
    """
    from core.alignment import train  # PyTorch

    emotion_study = next(demonstration for demonstration in load_demonstration() if demonstration.study.plan.kind == "emotion")
    library = Library()
    study_data = build_study_data(emotion_study.study, emotion_study.stimuli, emotion_study.raters, emotion_study.ratings, library)
    alignment = begin_alignment(study_data, library, folder=work)
    shutil.rmtree(alignment.store.folder / alignment.chain.classifier, ignore_errors=True)  # what was stored before
    train.train_group(alignment, progress)
    save_reference_embeddings(alignment.labels.generator, load_reference_rows(alignment.labels, work / "inputs"), folder)
    return save_pretrained(alignment, folder)


def save_pretrained(alignment: Alignment, folder: Path = PRETRAINED_FOLDER) -> dict[str, Any]:
    """Write an alignment's group model as the one that comes with the package -> its card, which is written last."""
    if alignment.answers.source != "simulated":
        raise LiminalError("Only a model that learned from simulated people may come with the package; these are not.")
    classifier = alignment.chain.classifier
    weights, people = alignment.store.weights(classifier, "group"), alignment.answers.basis.raters
    tensors = {WEIGHTS_PREFIX + key: tensor.numpy() for key, tensor in weights.items()}
    for start, probabilities in ((BEFORE_PREFIX, alignment.base(classifier)), (AFTER_PREFIX, alignment.group(classifier))):
        tensors[f"{start}images"] = probabilities.images.astype(np.float32)
        tensors[f"{start}reference"] = probabilities.reference.astype(np.float32)
    content = save({key: np.ascontiguousarray(value) for key, value in tensors.items()})
    card = {
        "alignment": alignment.alignment_id,
        "study": alignment.study,
        "classifier": classifier,
        "began_with": alignment.describe_beginning(classifier),
        "learned_from": f"{len(alignment.answers):,} answers of {people} simulated people; no person was asked",
        "configuration": alignment.configuration.to_dict(),
        "sha256": hashlib.sha256(content).hexdigest(),
        "curve": curve_to_record(alignment.curve(classifier)),
        "command": PRETRAINED_COMMAND,
        "version": core.__version__,
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
    }
    write_bytes(folder / f"{PRETRAINED_NAME}.safetensors", content)
    write_json(folder / f"{PRETRAINED_NAME}.json", card)
    return card
