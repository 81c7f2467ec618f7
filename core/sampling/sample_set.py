"""A sample set: images, latents, comparisons and what models say of them; to a folder and back unchanged.

The columns of its tables have one type each, so that a set is the same before and after a file; sample_id and pair_id are
content hashes. The folder (DESIGN.md): manifest.json (configuration, versions, model hashes, counts, seconds), samples.parquet,
pairs.parquet (identity), latents.npz, images/<sample_id>.png. Saved ``lossy``, the images are WebP: smaller copies of the
pictures that were judged, each held to a SHA-256 in the manifest. Imports no torch.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import zipfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import pandas_dtype
from PIL import Image as PILImage

import core
from core.errors import LiminalError
from core.models.emotions import EMOTIONS
from core.sampling.configuration import NO_GENERATOR, IdentityConfiguration
from core.sampling.emotion.configuration import EmotionConfiguration
from core.sampling.images import encode_webp
from core.writing import new_folder

if TYPE_CHECKING:
    from core.models.contracts import ModelCard


SAMPLE_COLUMNS: Mapping[str, str] = {
    "sample_id": "str",
    "kind": "str",
    "seed": "int64",
    "base_id": "str",
    "sample_type": "str",
    "step": "float64",
    "image": "str",
}
"""One row an image. An image that plays several parts (a base is also the others' negative) has one row: its first part."""

VALUE_PREFIX = "value_"
"""Of the columns of named values (``Generator.named_values``), where the generator's latents have names: value_age in years."""

PAIR_COLUMNS: Mapping[str, str] = {
    "pair_id": "str",
    "batch": "int64",
    "base_id": "str",
    "sample_id": "str",
    "sample_type": "str",
    "step": "float64",
    "partner_id": "str",  # the negative it came from
    "direction": "str",  # semantic samples only
    "strategy": "str",  # optimized samples only: cmaes, gradient or surrogate
    "lpips": "float64",
    "latent_distance": "float64",
}
"""One row a comparison: 28 a base. Missing values are NaN."""

CLASSIFIER_VALUES = ("p", "logit", "calibrated")
"""What is kept of a classifier's answer for each emotion: probability, logit, probability at the classifier's temperature."""

EMOTION_COLUMNS: Mapping[str, str] = {
    **SAMPLE_COLUMNS,
    "emotion1": "str",
    "emotion2": "str",
    "guided": "boolean",
    "strategy": "str",
    "passed_filter": "boolean",  # filter (3) of paper B under the steerer
    **{f"{answer}_{emotion}": "float64" for answer in CLASSIFIER_VALUES for emotion in EMOTIONS},  # the steerer's
}
"""One row an image of an emotion set: SAMPLE_COLUMNS and what the steerer says; ``list_emotion_columns`` adds the judges' columns.

sample_type: genuine (a base itself), boundary (the wanted images; ``guided`` says how they were made), morph (step: the wanted
share of emotion 2, NaN for the other types).
"""


def list_emotion_columns(judges: Sequence[str], recogniser: str) -> dict[str, str]:
    """All columns of an emotion set's samples: EMOTION_COLUMNS, each judge's answers and verdict, and the distance to the base."""
    columns = dict(EMOTION_COLUMNS)
    for judge in judges:
        columns |= {f"{answer}_{judge}_{emotion}": "float64" for answer in CLASSIFIER_VALUES for emotion in EMOTIONS}
        columns[f"passed_{judge}"] = "boolean"
    columns[f"distance_{recogniser}"] = "float64"  # NaN where no face was found
    return columns


def filter_column(classifier: str, steerer: str) -> str:
    """The column of filter (3) under a classifier: the steerer's is the set's own."""
    return "passed_filter" if classifier == steerer else f"passed_{classifier}"


def make_table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> pd.DataFrame:
    """Rows -> a table with at least ``columns``, typed; further columns follow in the order of their first row."""
    return set_column_types(pd.DataFrame(list(rows), columns=None if rows else list(columns)), columns)


def set_column_types(table: pd.DataFrame, columns: Mapping[str, str]) -> pd.DataFrame:
    """The same table with every column of its one type, known columns first."""
    extra = [name for name in table.columns if name not in columns]
    series: dict[str, Any] = {name: table[name].astype(pandas_dtype(kind)) for name, kind in columns.items()}
    for name in extra:
        series[name] = table[name].astype(pandas_dtype(_infer_column_type(name)))
    return pd.DataFrame(series).reset_index(drop=True)


def _infer_column_type(name: str) -> str:
    if name.startswith(("accepted_", "passed_")) or name == "same_identity":
        return "boolean"  # accepted_: null where no face was found; same_identity: null between two people
    return "float64"


def make_sample_id(latent: NDArray[np.float32], image: NDArray[np.uint8]) -> str:
    """Hash of what a sample is: its latent and its pixels. 20 hexadecimal digits."""
    digest = hashlib.blake2b(digest_size=10)
    digest.update(np.asarray(image.shape, "<i8").tobytes())
    digest.update(np.ascontiguousarray(image).tobytes())
    digest.update(np.ascontiguousarray(latent, "<f4").tobytes())
    return digest.hexdigest()


def make_pair_id(base_id: str, sample: str, sample_type: str, step: float, partner_id: str | None) -> str:
    """Hash of a comparison: both images and the part that the sample plays. 20 hexadecimal digits."""
    text = f"{base_id}/{sample}/{sample_type}/{step!r}/{partner_id or ''}"
    return hashlib.blake2b(text.encode(), digest_size=10).hexdigest()


AXIS_PREFIX = "axis:"
"""Beginning of the ``direction`` of pairs that lie on an axis (``axis_sets``): 'axis:NAME#REPEAT'; ``step`` is the level on it."""


def name_axis(name: str, repeat: int) -> str:
    """The ``direction`` of a pair on an axis; repeat: the same two pictures can be asked about again."""
    return f"{AXIS_PREFIX}{name}#{repeat}"


def read_axis(direction: object) -> str:
    """The name of the axis in a pair's ``direction``; "" where it lies on none."""
    text = direction if isinstance(direction, str) else ""
    return text.removeprefix(AXIS_PREFIX).rpartition("#")[0] if text.startswith(AXIS_PREFIX) else ""


FORMAT = "liminal sample set"
FORMAT_VERSION = 1

Kind = Literal["identity", "emotion"]
FOLDER_FILES: Mapping[Kind, tuple[str, ...]] = {
    "identity": ("samples.parquet", "pairs.parquet", "latents.npz"),
    "emotion": ("samples.parquet", "latents.npz"),
}
"""What a folder holds beside its manifest and its images."""

COPIES_KEY = "image_format"
"""The manifest's entry of a set whose pictures are compressed copies: "webp". Ids stay those of the pictures that were judged."""
MADE_KEY = "made_by_people"
"""The manifest's entry of a set of faces that people made by chains: which study, its aim, what the chains came to."""
MEAN_OF_CHAINS = -1
"""In such a set's column ``chain``: the mean of the chains that began with a person."""
AXES_KEY = "axes"
"""The manifest's entry of a set of axes: people (how many ways between two), latents, feelings (from the first to the second)."""
CONTROVERSIAL_KEY = "controversial"
"""The manifest's entry of a set of stimuli on which two recognisers, or the models of two people of a study, part."""
SELECTED_KEY = "chosen"
"""The manifest's entry of a set whose rows were picked out of a data set (``datasets.data_set``): the ids that are asked about."""
HASHES_KEY = "image_sha256"
"""In the folder of such a set: sample_id -> SHA-256 of its image file."""


@dataclass(frozen=True)
class SampleSet:
    """What ``generate_identity_set`` and ``generate_emotion_set`` return and a folder holds.

    configuration: what made it; samples, pairs: see the columns above (an emotion set compares nothing: its pairs are
    an empty table, ``make_empty_pairs()``); latents: sample_id -> float32 (latent_dim,); images: sample_id -> uint8 (H, W, 3);
    manifest: versions, models with their weights' hashes, counts, seconds; of an identity set also batches, evaluations and
    searches (one a run: batch, base_id, partner_id, history of the best distance, null while no face).
    """

    configuration: IdentityConfiguration | EmotionConfiguration
    samples: pd.DataFrame
    pairs: pd.DataFrame
    latents: Mapping[str, NDArray[np.float32]]
    images: Mapping[str, NDArray[np.uint8]]
    manifest: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> Kind:
        """Which of the two questions the set belongs to."""
        return "identity" if isinstance(self.configuration, IdentityConfiguration) else "emotion"

    @property
    def own_pictures(self) -> bool:
        """Whether somebody brought the pictures along: no generator made them, and they may show real people."""
        return self.configuration.generator == NO_GENERATOR

    @property
    def identity(self) -> IdentityConfiguration:
        """The configuration of an identity set. Raises LiminalError for an emotion set."""
        if not isinstance(self.configuration, IdentityConfiguration):
            raise LiminalError("This sample set is about emotions, not about identity; choose a set of identity samples.")
        return self.configuration

    @property
    def emotion(self) -> EmotionConfiguration:
        """The configuration of an emotion set. Raises LiminalError for an identity set."""
        if not isinstance(self.configuration, EmotionConfiguration):
            raise LiminalError("This sample set is about identity, not about emotions; choose a set of emotion samples.")
        return self.configuration

    def base_ids(self) -> list[str]:
        """The sample_ids of all bases that samples belong to, in order."""
        table = self.pairs if self.kind == "identity" else self.samples
        return list(dict.fromkeys(table["base_id"]))

    def take_samples(self, names: Collection[str]) -> SampleSet:
        """These samples alone, and the bases that they were made from. Raises LiminalError where the set has none of them."""
        chosen = self.samples[self.samples["sample_id"].isin(names)]
        if not len(chosen):
            raise LiminalError("The sample set has none of these faces; choose others.")
        pairs = self.pairs[self.pairs["sample_id"].isin(names)].reset_index(drop=True)
        kept = {*chosen["sample_id"], *chosen["base_id"], *pairs["base_id"]}
        samples = self.samples[self.samples["sample_id"].isin(kept if self.kind == "identity" else names)].reset_index(drop=True)
        latents = {name: latent for name, latent in self.latents.items() if name in kept}
        images = {name: image for name, image in self.images.items() if name in kept}
        counts = count_sample_types(pairs if self.kind == "identity" else samples)
        return replace(
            self, samples=samples, pairs=pairs, latents=latents, images=images, manifest={**self.manifest, "counts": counts}
        )

    def files(self, *, lossy: bool = False) -> Iterator[tuple[str, bytes]]:
        """(path in the folder, content) of every file, the manifest last. Copies that are saved again lose nothing more."""
        copies = COPIES_KEY in self.manifest
        lossy = lossy or copies
        ending = "webp" if lossy else "png"
        order = list(self.latents)
        latents = np.stack([self.latents[name] for name in order]) if order else np.empty((0, 0), np.float32)
        paths = [f"images/{name}.{ending}" for name in self.samples["sample_id"]]
        yield "samples.parquet", self.samples.assign(image=pd.Series(paths, dtype="str")).to_parquet(index=False)
        if self.kind == "identity":
            yield "pairs.parquet", self.pairs.to_parquet(index=False)
        buffer = io.BytesIO()
        np.savez(buffer, sample_id=np.array(order, dtype="U"), latents=latents)
        yield "latents.npz", buffer.getvalue()
        hashes = {}
        for name, image in self.images.items():
            content = encode_webp(image, lossless=copies) if lossy else encode_png(image)
            hashes[name] = hashlib.sha256(content).hexdigest()
            yield f"images/{name}.{ending}", content
        record = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "kind": self.kind,
            "configuration": self.configuration.to_dict(),
            **self.manifest,
            **({COPIES_KEY: "webp", HASHES_KEY: hashes} if lossy else {}),
        }
        yield "manifest.json", (json.dumps(record, indent=1, allow_nan=False) + "\n").encode()

    def save(self, folder: Path | str, *, lossy: bool = False) -> Path:
        """Write the folder whole or not at all. Raises LiminalError where it holds something already or cannot be written.

        lossy: pictures as WebP of quality 90 (small ones without loss), for data sets that travel.
        """
        target = Path(folder)
        with new_folder(target) as unfinished:
            self.write(unfinished, lossy=lossy)
        return target

    def write(self, folder: Path, *, lossy: bool = False) -> None:
        """The files into a folder that exists, one after the other; ``save`` makes that whole or not at all."""
        (folder / "images").mkdir()
        for name, content in self.files(lossy=lossy):
            (folder / name).write_bytes(content)

    def to_zip(self, name: str = "samples") -> bytes:
        """The same files as a zip archive inside a folder ``name``; equal sets give equal bytes."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:  # PNG and parquet are compressed already
            for path, content in self.files():
                archive.writestr(zipfile.ZipInfo(f"{name}/{path}"), content)
        return buffer.getvalue()

    @classmethod
    def load(cls, folder: Path | str) -> SampleSet:
        """Read a folder. Raises LiminalError with one sentence where it is none, lacks something or an image was changed."""
        root = Path(folder)
        configuration, samples, pairs, record = load_tables(root)
        latents = load_latents(root)
        images = {}
        copies, hashes = COPIES_KEY in record, record.pop(HASHES_KEY, None)
        ending = "webp" if copies else "png"
        for name in samples["sample_id"]:
            path = root / "images" / f"{name}.{ending}"
            images[name] = _read_image(path)
            if copies:
                same = isinstance(hashes, dict) and hashlib.sha256(path.read_bytes()).hexdigest() == hashes.get(name)
            else:
                same = name in latents and make_sample_id(latents[name], images[name]) == name
            if name not in latents or not same:
                raise LiminalError(
                    f"The image {path.name} of the sample set {root} is not the one that was saved; copy the whole folder again."
                )
        return cls(configuration, samples, pairs, latents, images, record)


def load_tables(
    folder: Path,
) -> tuple[IdentityConfiguration | EmotionConfiguration, pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Configuration, samples, pairs and manifest of a folder, without latents and images, which are not looked at.

    Raises LiminalError as ``SampleSet.load`` does.
    """
    record = _read_manifest(folder)
    configuration = _read_configuration(folder, record["kind"], record.pop("configuration"))
    for name in FOLDER_FILES[record["kind"]]:
        if not (folder / name).is_file():
            raise LiminalError(f"The sample set {folder} lacks its file {name}; copy the whole folder again or make it anew.")
    if isinstance(configuration, IdentityConfiguration):
        samples, pairs = (
            _read_table(folder / "samples.parquet", SAMPLE_COLUMNS),
            _read_table(folder / "pairs.parquet", PAIR_COLUMNS),
        )
    else:
        samples = _read_table(folder / "samples.parquet", list_emotion_columns(configuration.judges, configuration.recogniser))
        pairs = make_empty_pairs()
    for name in ("format", "format_version", "kind"):
        record.pop(name)
    return configuration, samples, pairs, record


def make_empty_pairs() -> pd.DataFrame:
    """The pairs of a set that compares nothing: no rows, the columns of PAIR_COLUMNS."""
    return make_table([], PAIR_COLUMNS)


def join_identity_sets(sets: Sequence[SampleSet]) -> SampleSet:
    """Several batches of one identity configuration as one set; an image that they share is kept once."""
    first = sets[0]
    samples = pd.concat([part.samples for part in sets]).drop_duplicates("sample_id")
    latents: dict[str, NDArray[np.float32]] = {}
    images: dict[str, NDArray[np.uint8]] = {}
    for part in sets:
        latents.update(part.latents)
        images.update(part.images)
    pairs = set_column_types(pd.concat([part.pairs for part in sets]), PAIR_COLUMNS)
    manifest = dict(first.manifest)
    manifest["batches"] = [number for part in sets for number in part.manifest["batches"]]
    manifest["searches"] = [run for part in sets for run in part.manifest["searches"]]
    manifest["evaluations"] = sum(part.manifest["evaluations"] for part in sets)
    manifest["base_draws"] = sum(part.manifest["base_draws"] for part in sets)
    manifest["counts"] = count_sample_types(pairs)
    manifest["seconds"] = {name: sum(part.manifest["seconds"][name] for part in sets) for name in first.manifest["seconds"]}
    return SampleSet(first.configuration, set_column_types(samples, SAMPLE_COLUMNS), pairs, latents, images, manifest)


def count_sample_types(table: pd.DataFrame) -> dict[str, int]:
    """Rows (comparisons of an identity set, samples of an emotion set) by sample type, in order of appearance."""
    return {str(name): int(number) for name, number in table["sample_type"].value_counts(sort=False).items()}


def encode_png(image: NDArray[np.uint8]) -> bytes:
    """uint8 (H, W, 3) -> a PNG file's bytes."""
    buffer = io.BytesIO()
    PILImage.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def _read_manifest(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        raise LiminalError(f"There is no folder {folder}; give the folder of a sample set.")
    try:
        record = json.loads((folder / "manifest.json").read_bytes())
        wrong = record["format"] != FORMAT or not isinstance(record["configuration"], dict)
    except (OSError, ValueError, KeyError, TypeError):
        wrong = True
    if wrong:
        raise LiminalError(f"The folder {folder} is not a sample set: it has no manifest.json that says so.")
    if record.get("format_version") != FORMAT_VERSION or record.get("kind") not in tuple(FOLDER_FILES):
        raise LiminalError(
            f"The sample set {folder} was made by another version of Liminal or holds neither identity nor emotion samples; "
            f"make it anew with 'python -m core generate'."
        )
    return dict(record)


def _read_configuration(folder: Path, kind: Kind, values: dict[str, Any]) -> IdentityConfiguration | EmotionConfiguration:
    try:
        return IdentityConfiguration.from_dict(values) if kind == "identity" else EmotionConfiguration.from_dict(values)
    except TypeError as error:  # a parameter without a default is missing, or is no value at all
        raise LiminalError(
            f"The manifest of the sample set {folder} does not say which {kind} samples it holds; copy the whole folder again."
        ) from error


def _read_table(path: Path, columns: Mapping[str, str]) -> pd.DataFrame:
    try:
        table = pd.read_parquet(path)
        missing = [name for name in columns if name not in table]
        if not missing:
            return set_column_types(table, columns)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LiminalError(f"The file {path} is damaged and cannot be read as a table; copy the whole folder again.") from error
    named = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
    raise LiminalError(f"The file {path} lacks the columns {named}; copy the whole folder again or make it anew.")


def load_latents(folder: Path) -> dict[str, NDArray[np.float32]]:
    """sample_id -> latent (latent_dim,) of a folder. Raises LiminalError where they cannot be read."""
    path = folder / "latents.npz"
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {str(name): row for name, row in zip(stored["sample_id"], stored["latents"], strict=True)}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise LiminalError(f"The file {path} is damaged and its latents cannot be read; copy the whole folder again.") from error


def _read_image(path: Path) -> NDArray[np.uint8]:
    if not path.is_file():
        raise LiminalError(f"The sample set {path.parent.parent} lacks its image {path.name}; copy the whole folder again.")
    try:
        with PILImage.open(path) as opened:
            return np.asarray(opened.convert("RGB"))
    except (OSError, SyntaxError, ValueError, PILImage.DecompressionBombError) as error:
        raise LiminalError(f"The image {path} is damaged and cannot be read; copy the whole folder again.") from error


def describe_provenance(cards: Iterable[ModelCard], device: object, packages: Sequence[str]) -> dict[str, Any]:
    """Plain data. packages: those whose version a result depends on."""
    return {
        "versions": {
            "liminal": core.__version__,
            "python": platform.python_version(),
            **{name: version(name) for name in packages},
        },
        "device": str(device),
        "models": {card.name: {"kind": card.kind, "files": {file.path: file.sha256 for file in card.files}} for card in cards},
    }
