"""Pictures in a folder to learn from, with the emotion that each shows: RAF-DB's layout, or a folder for every class.

RAF-DB (Li, Deng and Du 2017): ``list_patition_label.txt`` with a line 'train_00001.jpg 5' a picture, and
``train_00001_aligned.jpg`` anywhere below the folder; its test pictures are held out. Otherwise the folder that a picture lies in
is its class, by an emotion's name or RAF-DB's number; folders called train and test (or val) above these split them, else a
tenth is held out, by the hash of its path. Classes that are none of the six, such as neutral, teach a prior but no classifier.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from core.errors import LiminalError
from core.models.emotions import EMOTIONS
from core.models.hf_classifier import guess_labels

LIST = "list_patition_label.txt"
"""Spelt so in the data set."""
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
TEST = ("test", "val", "valid", "validation")
HELD_OUT = 10
"""One in so many is held out where the folder does not split them."""
SIDE = 224
"""Pixels that pictures are cut and scaled to: what CLIP reads."""


@dataclass(frozen=True)
class LabelledPicture:
    """A picture; ``emotion`` is its place in EMOTIONS, None where it shows none of them or nobody said."""

    path: Path
    emotion: int | None
    held_out: bool


def find_pictures(folder: Path) -> list[LabelledPicture]:
    """All pictures below a folder, in the order of their paths. Raises LiminalError where there are too few, or one is missing."""
    if not folder.is_dir():
        raise LiminalError(f"There is no folder {folder}; name the one with the pictures.")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    lists = sorted(folder.rglob(LIST))
    found = _listed(lists[0], paths) if lists else [_of_class(path, folder) for path in paths]
    if sum(each.held_out for each in found) < 2 or sum(not each.held_out for each in found) < 2:
        raise LiminalError(
            f"{folder} holds {len(found)} pictures, too few to learn from some and hold others out; name another one."
        )
    return found


def _listed(path: Path, pictures: Sequence[Path]) -> list[LabelledPicture]:
    """RAF-DB's layout."""
    there = {each.name: each for each in pictures}
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        if not line.strip():
            continue
        name, _, label = line.strip().rpartition(" ")
        if label not in ("1", "2", "3", "4", "5", "6", "7") or not name:
            raise LiminalError(f"Line {number} of {path} is '{line[:60]}'; it must be a picture and its emotion's number, 1 to 7.")
        aligned = f"{Path(name).stem}_aligned{Path(name).suffix}"
        if aligned not in there and name not in there:
            raise LiminalError(f"{path.name} lists {name}, but neither it nor {aligned} lies below {path.parent}; copy it there.")
        found.append(LabelledPicture(there.get(aligned) or there[name], _numbered(label), name.startswith("test")))
    return sorted(found, key=lambda each: each.path)


def _numbered(label: str) -> int | None:
    """RAF-DB counts from 1, in the order of EMOTIONS; 7 is neutral."""
    return int(label) - 1 if int(label) <= len(EMOTIONS) else None


def _of_class(path: Path, folder: Path) -> LabelledPicture:
    inside = path.relative_to(folder)
    folders = [each.lower() for each in inside.parts[:-1]]
    split = next((each for each in folders if each in (*TEST, "train", "training")), None)
    digest = hashlib.sha256(inside.as_posix().encode()).digest()
    held_out = digest[0] * 256 + digest[1] < 65536 // HELD_OUT if split is None else split in TEST
    name = folders[-1] if folders else ""
    if name in ("1", "2", "3", "4", "5", "6", "7"):
        return LabelledPicture(path, _numbered(name), held_out)
    guessed = next(iter(guess_labels({0: name})), None)
    return LabelledPicture(path, None if guessed is None else EMOTIONS.index(guessed), held_out)


def read_pictures(paths: Sequence[Path]) -> Tensor:
    """-> (N, 3, SIDE, SIDE) in [0, 1]: the middle square, scaled. Raises LiminalError that names the first that is damaged."""
    rows = []
    for path in paths:
        try:
            with Image.open(path) as opened:
                square = ImageOps.fit(ImageOps.exif_transpose(opened).convert("RGB"), (SIDE, SIDE), Image.Resampling.BICUBIC)
        except (OSError, UnidentifiedImageError, ValueError, Image.DecompressionBombError) as error:
            raise LiminalError(f"The picture {path} cannot be read; replace it or take it out of the folder.") from error
        rows.append(torch.from_numpy(np.asarray(square).copy()))
    return torch.stack(rows).permute(0, 3, 1, 2).float() / 255
