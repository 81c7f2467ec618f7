"""A sample set: images, their latents, the comparisons and what models say of them; to a folder and back unchanged.

The folder (DESIGN.md): manifest.json, samples.parquet, pairs.parquet, latents.npz, images/<sample_id>.png.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image as PILImage

from core.errors import LiminalError
from core.sampling.configuration import IdentityConfiguration
from core.sampling.folders import new_folder
from core.sampling.tables import PAIRS, SAMPLES, sample_id, typed

FORMAT = "liminal sample set"
FORMAT_VERSION = 1
FILES = ("manifest.json", "samples.parquet", "pairs.parquet", "latents.npz")


@dataclass(frozen=True)
class SampleSet:
    """What ``generate`` returns and a folder holds.

    configuration: what made it; samples, pairs: see ``core.sampling.tables``; latents: sample_id -> float32 (latent_dim,);
    images: sample_id -> uint8 (H, W, 3); manifest: versions, models with their weights' hashes, batches, counts, seconds,
    evaluations and searches (one a run: batch, base_id, partner_id, history of the best distance, null while no face).
    """

    configuration: IdentityConfiguration
    samples: pd.DataFrame
    pairs: pd.DataFrame
    latents: Mapping[str, NDArray[np.float32]]
    images: Mapping[str, NDArray[np.uint8]]
    manifest: Mapping[str, Any] = field(default_factory=dict)

    def base_ids(self) -> list[str]:
        """The sample_ids of all bases that were compared with samples, in order."""
        return list(dict.fromkeys(self.pairs["base_id"]))

    def files(self) -> Iterator[tuple[str, bytes]]:
        """(path in the folder, content) of every file, the manifest last."""
        order = list(self.latents)
        latents = np.stack([self.latents[name] for name in order]) if order else np.empty((0, 0), np.float32)
        for name, table in (("samples", self.samples), ("pairs", self.pairs)):
            yield f"{name}.parquet", table.to_parquet(index=False)
        buffer = io.BytesIO()
        np.savez(buffer, sample_id=np.array(order, dtype="U"), latents=latents)
        yield "latents.npz", buffer.getvalue()
        for name, image in self.images.items():
            yield f"images/{name}.png", png(image)
        record = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "kind": "identity",
            "configuration": self.configuration.to_dict(),
            **self.manifest,
        }
        yield "manifest.json", (json.dumps(record, indent=1, allow_nan=False) + "\n").encode()

    def save(self, folder: Path | str) -> Path:
        """Write the folder whole or not at all. Raises LiminalError where it holds something already or cannot be written."""
        target = Path(folder)
        with new_folder(target) as place:
            (place / "images").mkdir()
            for name, content in self.files():
                (place / name).write_bytes(content)
        return target

    def to_zip(self, name: str = "samples") -> bytes:
        """The same files as a zip archive inside a folder ``name``; equal sets give equal bytes."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:  # PNG and parquet are compressed already
            for path, content in self.files():
                archive.writestr(zipfile.ZipInfo(f"{name}/{path}"), content)
        return buffer.getvalue()

    @classmethod
    def load(cls, folder: Path | str) -> SampleSet:
        """Read a folder. Raises LiminalError with one sentence where it is none, lacks a file or an image was changed."""
        place = Path(folder)
        record = _manifest(place)
        configuration = IdentityConfiguration.from_dict(record.pop("configuration"))
        for name in FILES:
            if not (place / name).is_file():
                raise LiminalError(f"The sample set {place} lacks its file {name}; copy the whole folder again or make it anew.")
        samples = _table(place / "samples.parquet", SAMPLES)
        pairs = _table(place / "pairs.parquet", PAIRS)
        latents = _latents(place / "latents.npz")
        images = {}
        for name in samples["sample_id"]:
            images[name] = _image(place / "images" / f"{name}.png")
            if name not in latents or sample_id(latents[name], images[name]) != name:
                raise LiminalError(
                    f"The image {name}.png of the sample set {place} is not the one that was saved; copy the whole folder again."
                )
        for name in ("format", "format_version", "kind"):
            record.pop(name)
        return cls(configuration, samples, pairs, latents, images, record)


def joined(sets: Sequence[SampleSet]) -> SampleSet:
    """Several batches of one configuration as one set; an image that they share is kept once."""
    first = sets[0]
    samples = pd.concat([each.samples for each in sets]).drop_duplicates("sample_id")
    latents: dict[str, NDArray[np.float32]] = {}
    images: dict[str, NDArray[np.uint8]] = {}
    for each in sets:
        latents.update(each.latents)
        images.update(each.images)
    pairs = typed(pd.concat([each.pairs for each in sets]), PAIRS)
    manifest = dict(first.manifest)
    manifest["batches"] = [number for each in sets for number in each.manifest["batches"]]
    manifest["searches"] = [run for each in sets for run in each.manifest["searches"]]
    manifest["evaluations"] = sum(each.manifest["evaluations"] for each in sets)
    manifest["base_draws"] = sum(each.manifest["base_draws"] for each in sets)
    manifest["counts"] = counts(pairs)
    manifest["seconds"] = {name: sum(each.manifest["seconds"][name] for each in sets) for name in first.manifest["seconds"]}
    return SampleSet(first.configuration, typed(samples, SAMPLES), pairs, latents, images, manifest)


def counts(pairs: pd.DataFrame) -> dict[str, int]:
    """Comparisons by sample type, in order of appearance."""
    return {str(name): int(number) for name, number in pairs["sample_type"].value_counts(sort=False).items()}


def png(image: NDArray[np.uint8]) -> bytes:
    """uint8 (H, W, 3) -> a PNG file's bytes."""
    buffer = io.BytesIO()
    PILImage.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def _manifest(place: Path) -> dict[str, Any]:
    if not place.is_dir():
        raise LiminalError(f"There is no folder {place}; give the folder of a sample set.")
    try:
        record = json.loads((place / "manifest.json").read_bytes())
        wrong = record["format"] != FORMAT or not isinstance(record["configuration"], dict)
    except (OSError, ValueError, KeyError, TypeError):
        wrong = True
    if wrong:
        raise LiminalError(f"The folder {place} is not a sample set: it has no manifest.json that says so.")
    if record["format_version"] != FORMAT_VERSION or record["kind"] != "identity":
        raise LiminalError(f"The sample set {place} was made by another version of Liminal or is no set of identity samples.")
    return dict(record)


def _table(path: Path, columns: Mapping[str, str]) -> pd.DataFrame:
    try:
        return typed(pd.read_parquet(path), columns)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LiminalError(f"The file {path} is damaged and cannot be read as a table; copy the whole folder again.") from error


def _latents(path: Path) -> dict[str, NDArray[np.float32]]:
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {str(name): row for name, row in zip(stored["sample_id"], stored["latents"], strict=True)}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise LiminalError(f"The file {path} is damaged and its latents cannot be read; copy the whole folder again.") from error


def _image(path: Path) -> NDArray[np.uint8]:
    if not path.is_file():
        raise LiminalError(f"The sample set {path.parent.parent} lacks its image {path.name}; copy the whole folder again.")
    try:
        with PILImage.open(path) as opened:
            return np.asarray(opened.convert("RGB"))
    except (OSError, SyntaxError, ValueError, PILImage.DecompressionBombError) as error:
        raise LiminalError(f"The image {path} is damaged and cannot be read; copy the whole folder again.") from error
