"""The demonstration's group model, learned beforehand from its simulated people, so that a first visitor waits for no training.

``assets/alignment``: a card with the alignment's content hash, and one safetensors file with what learned (the MLP's weights) and
its probabilities before and after. It is taken over only where the hash is that of the alignment at hand: another demonstration,
other answers, another configuration or another network have another hash, and learn as ever.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import core
from core.alignment.kept import Kept, Probabilities, curve_of, curve_record, write_json
from core.errors import LiminalError
from core.models.weights import ROOT
from core.progress import Progress
from core.writing import write_bytes

if TYPE_CHECKING:
    from core.alignment.alignment import Alignment

FOLDER = ROOT / "assets" / "alignment"
NAME = "demonstration-group"
COMMAND = "python -m core assets alignment"
CLASSIFIER = "emotion-mlp"
WEIGHTS, BEFORE, AFTER = "weights.", "base.", "group."
"""Beginnings of the tensors' names."""


def build(work: Path, *, folder: Path = FOLDER, progress: Progress | None = None) -> dict[str, Any]:
    """Let the group's MLP learn from the demonstration and store it, and the plain faces as it reads them -> its card.

    work: keeps what the networks read, which takes minutes the first time; it learns anew each time.

    Raises LiminalError where the demonstration is missing or its people are not simulated.
    """
    from core.alignment import learning, plain
    from core.alignment.alignment import begin
    from core.alignment.configuration import AlignmentConfiguration
    from core.alignment.inputs import plain_rows
    from core.analysis.material import assemble
    from core.studies.demonstration import load_demonstration
    from core.studies.library import Library

    made = next(each for each in load_demonstration() if each.study.plan.kind == "emotion")
    library = Library()
    material = assemble(made.study, made.stimuli, made.raters, made.ratings, library)
    alignment = begin(material, library, AlignmentConfiguration(classifiers=(CLASSIFIER,)), folder=work)
    shutil.rmtree(alignment.kept.folder / CLASSIFIER, ignore_errors=True)  # what was stored before
    learning.group(alignment, progress)
    plain.store(alignment.labels.generator, plain_rows(alignment.labels, work / "inputs"), folder)
    return store(alignment, folder)


def store(alignment: Alignment, folder: Path = FOLDER) -> dict[str, Any]:
    """Write an alignment's group model as the one that comes with the package -> its card, which is written last."""
    from safetensors.numpy import save

    if alignment.answers.source != "simulated":
        raise LiminalError("Only a model that learned from simulated people may come with the package; these are not.")
    weights, people = alignment.kept.weights(CLASSIFIER, "group"), alignment.answers.basis.raters
    tensors = {WEIGHTS + key: tensor.numpy() for key, tensor in weights.items()}
    for start, said in ((BEFORE, alignment.base(CLASSIFIER)), (AFTER, alignment.group(CLASSIFIER))):
        tensors[f"{start}images"] = said.images.astype(np.float32)
        tensors[f"{start}reference"] = said.reference.astype(np.float32)
    content = save({key: np.ascontiguousarray(value) for key, value in tensors.items()})
    card = {
        "alignment": alignment.alignment_id,
        "study": alignment.study,
        "classifier": CLASSIFIER,
        "learned_from": f"{len(alignment.answers):,} answers of {people} simulated people; no person was asked",
        "configuration": alignment.configuration.to_dict(),
        "sha256": hashlib.sha256(content).hexdigest(),
        "curve": curve_record(alignment.curve(CLASSIFIER)),
        "command": COMMAND,
        "version": core.__version__,
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
    }
    write_bytes(folder / f"{NAME}.safetensors", content)
    write_json(folder / f"{NAME}.json", card)
    return card


def install(kept: Kept, folder: Path | None = None) -> bool:
    """Fill an alignment's folder with the stored model where it is of this very alignment -> whether it was filled.

    A missing, damaged or foreign one is passed over: the group then learns. Loads no torch. Raises OSError where nothing can be
    written.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load, save

    folder = folder or FOLDER
    if kept.has(CLASSIFIER, "group"):
        return False
    try:
        card = json.loads((folder / f"{NAME}.json").read_bytes())
        if card["alignment"] != kept.folder.name or card["classifier"] != CLASSIFIER:
            return False
        content = (folder / f"{NAME}.safetensors").read_bytes()
        if hashlib.sha256(content).hexdigest() != card["sha256"]:
            return False
        tensors, curve = load(content), curve_of(card["curve"])
        before, after = (Probabilities(tensors[f"{start}images"], tensors[f"{start}reference"]) for start in (BEFORE, AFTER))
    except (OSError, ValueError, KeyError, TypeError, SafetensorError):
        return False
    weights = {key.removeprefix(WEIGHTS): value for key, value in tensors.items() if key.startswith(WEIGHTS)}
    kept.write(CLASSIFIER, "base", "", before)
    kept.write(CLASSIFIER, "group", "", after, save(weights), curve)
    return True
