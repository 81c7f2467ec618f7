"""What networks are trained on: generated faces with the networks' features of them, and labelled pictures with their embeddings.

Both are stored in shards outside the repository (``LIMINAL_DATA``, else the user's cache), each written whole or not at all, so
that an interrupted run goes on where it was. A shard of faces depends on the seed and its number alone, a shard of embeddings on
the encoder's weights and its own pictures alone. Pictures in a folder come in RAF-DB's layout (Li, Deng and Du 2017) or with a
folder for every class. RAF-DB: ``list_patition_label.txt`` with a line 'train_00001.jpg 5' a picture, and
``train_00001_aligned.jpg`` anywhere below the folder; its test pictures are held out. Otherwise the folder that a picture lies in
is its class, by an emotion's name or RAF-DB's number; folders called train and test (or val) above these split them, else a tenth
is held out, by the hash of its path. Classes that are none of the six, such as neutral, teach a prior but no classifier.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from core.errors import LiminalError
from core.models import registry
from core.models.builtin.face_embedding import FACE_CROPS, FeatureNetworks
from core.models.builtin.head.expression_surrogate import draw_expressive_latents
from core.models.contracts import EmotionChain, Encoder
from core.models.custom.huggingface import guess_labels
from core.models.device import choose_device
from core.models.emotions import EMOTIONS
from core.models.framing import frame_for_classifiers
from core.progress import Progress
from core.writing import write_bytes

FACE_SHARD = 2048
FACE_BATCH = 32
CHAINS: Mapping[str, EmotionChain] = {"dcgan": registry.DCGAN_CHAIN, "head": registry.HEAD_CHAIN}
"""Generator of the training faces -> what is trained on them."""
HELD_OUT_SHARE = 0.1
"""The last tenth of the faces trains nothing: every figure on a card is measured on it."""


@dataclass(frozen=True)
class TrainingFaces:
    """latents (N, d), features (N, 572) in the order of FEATURE_BLOCKS, logits (N, 2, 6) of the teachers; the last are held out.

    softened: (N, 2, 6), the teachers' mean probabilities over a picture and its ``VARIANTS``; None where it alone was shown.
    """

    generator: str
    seed: int
    latents: Tensor
    features: Tensor
    logits: Tensor
    softened: Tensor | None = None

    def __len__(self) -> int:
        return len(self.latents)

    @property
    def trained(self) -> int:
        """How many of them may be trained on: the first ones."""
        return len(self) - max(1, round(HELD_OUT_SHARE * len(self)))

    @property
    def chain(self) -> EmotionChain:
        """The names of the models that are trained on them."""
        return CHAINS.get(self.generator, registry.DCGAN_CHAIN)

    def described(self) -> dict[str, object]:
        """The data in words and numbers, for a card."""
        return {
            "faces": len(self),
            "held_out": len(self) - self.trained,
            "generator": self.generator,
            "seed": self.seed,
            "kind": "generated faces, drawn at random"
            if self.softened is None
            else "rendered heads: people, scenes and accessories drawn at random, one feeling, two or what chance gives",
        }


def cache_folder() -> Path:
    """Where large intermediate files lie: LIMINAL_DATA, else ~/.cache/liminal."""
    return Path(os.environ.get("LIMINAL_DATA") or Path.home() / ".cache" / "liminal")


def load_training_faces(
    count: int, seed: int = 0, *, generator: str = "dcgan", folder: Path | None = None, progress: Progress | None = None
) -> TrainingFaces:
    """At least ``count`` faces, in whole shards; shards that exist already are read, the others made.

    Raises LiminalError for a count that makes no sense and for a shard that is damaged.
    """
    if not 1 <= count <= 10_000_000:
        raise LiminalError(f"The number of training faces must be from 1 to 10000000, not {count}.")
    progress = progress or Progress()
    folder = folder or cache_folder() / "faces"
    size = min(FACE_SHARD, count)
    number = -(-count // size)
    networks: FeatureNetworks | None = None
    parts = []
    for index in range(number):
        path = folder / f"{generator}-{seed}-{size}-{index:04d}.safetensors"
        if not path.is_file():
            networks = networks or FeatureNetworks(choose_device(), FACE_CROPS[CHAINS[generator].encoder])
            write_bytes(path, save(_make_face_shard(generator, seed, size, index, number, networks, progress)))
        parts.append(_read_face_shard(path, size))
    joined = {key: torch.cat([part[key] for part in parts])[:count] for key in parts[0]}
    return TrainingFaces(generator, seed, joined["latents"], joined["features"].float(), joined["logits"], joined.get("softened"))


VARIANTS = ((0.92, 0.0, 0.02, 1.0), (1.10, 0.03, 0.0, 1.0), (1.0, -0.03, -0.02, 0.85))
"""Tighter, wider, moved and darker pictures that the teachers see, too: side, right, down (shares of the side), light."""


def _make_face_shard(
    generator: str, seed: int, size: int, index: int, number: int, networks: FeatureNetworks, progress: Progress
) -> dict[str, Tensor]:
    """One shard. Faces that are framed for classifiers have strong and mixed expressions, and softened answers of the teachers."""
    maker = registry.load(generator, "generator")
    framed = maker.classifier_frame == "face"
    if framed:
        latents = draw_expressive_latents((index + 1) * size, seed)[index * size :]
    else:
        random = torch.Generator().manual_seed(seed * 1_000_003 + index)
        latents = torch.randn(size, maker.latent_dim, generator=random)
    parts: dict[str, list[Tensor]] = {"features": [], "logits": []}
    for start in range(0, size, FACE_BATCH):
        done = (index + start / size) / number
        progress.stage(f"Making training faces: {index * size + start} of {number * size}", done)
        rows = latents[start : start + FACE_BATCH]
        with torch.inference_mode():
            images = frame_for_classifiers(maker.decode(rows), maker.classifier_frame) if framed else maker.decode_for_search(rows)
            described = networks.features(images)
            parts["features"].append(described.values.cpu().half())
            parts["logits"].append(described.logits.cpu().float())
            if framed:
                seen = [described.logits, *(networks.emotion_logits(_vary(images, *variant)) for variant in VARIANTS)]
                parts.setdefault("softened", []).append(torch.stack(seen).softmax(dim=3).mean(dim=0).cpu().float())
    return {"latents": latents, **{name: torch.cat(values) for name, values in parts.items()}}


def _vary(images: Tensor, side: float, right: float, down: float, light: float) -> Tensor:
    """Pictures (N, 3, S, S) cut to a square of ``side`` whose middle is moved, all in shares of S; times ``light``."""
    cut = images.new_tensor([[side, 0.0, 2 * right], [0.0, side, 2 * down]]).expand(len(images), -1, -1)
    grid = affine_grid(cut, list(images.shape), align_corners=False)
    varied: Tensor = grid_sample(images, grid, padding_mode="border", align_corners=False) * light
    return varied


def _read_face_shard(path: Path, size: int) -> dict[str, Tensor]:
    try:
        shard = load_file(path)
        if len(shard["latents"]) != size:
            raise LiminalError(f"{path} holds another number of faces than its name says; delete it and train again.")
        return shard
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise LiminalError(f"The training faces in {path} are damaged; delete the file and train again.") from error


RAFDB_LIST = "list_patition_label.txt"
"""The data set's own spelling."""
PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
TEST_FOLDERS = ("test", "val", "valid", "validation")
HELD_OUT_EVERY = 10
"""One in so many is held out where the folder does not split them."""
PICTURE_SIDE = 224
"""Pixels that pictures are cut and scaled to: what CLIP reads."""


@dataclass(frozen=True)
class LabelledPicture:
    """A picture; ``emotion`` is its index in EMOTIONS, None where it shows none of them or has no label."""

    path: Path
    emotion: int | None
    held_out: bool


def find_pictures(folder: Path) -> list[LabelledPicture]:
    """All pictures below a folder, in the order of their paths. Raises LiminalError where there are too few, or one is missing."""
    if not folder.is_dir():
        raise LiminalError(f"There is no folder {folder}; name the one with the pictures.")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file())
    lists = sorted(folder.rglob(RAFDB_LIST))
    pictures = _read_rafdb_list(lists[0], paths) if lists else [_label_by_folder(path, folder) for path in paths]
    if sum(picture.held_out for picture in pictures) < 2 or sum(not picture.held_out for picture in pictures) < 2:
        raise LiminalError(
            f"{folder} holds {len(pictures)} pictures, too few to learn from some and hold others out; name another one."
        )
    return pictures


def _read_rafdb_list(path: Path, pictures: Sequence[Path]) -> list[LabelledPicture]:
    """The pictures of RAF-DB's list. Raises LiminalError for a line that is no picture and label, and for a missing picture."""
    by_name = {picture.name: picture for picture in pictures}
    labelled = []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        if not line.strip():
            continue
        name, _, label = line.strip().rpartition(" ")
        if label not in ("1", "2", "3", "4", "5", "6", "7") or not name:
            raise LiminalError(f"Line {number} of {path} is '{line[:60]}'; it must be a picture and its emotion's number, 1 to 7.")
        aligned = f"{Path(name).stem}_aligned{Path(name).suffix}"
        if aligned not in by_name and name not in by_name:
            raise LiminalError(f"{path.name} lists {name}, but neither it nor {aligned} lies below {path.parent}; copy it there.")
        labelled.append(LabelledPicture(by_name.get(aligned) or by_name[name], _rafdb_emotion(label), name.startswith("test")))
    return sorted(labelled, key=lambda picture: picture.path)


def _rafdb_emotion(label: str) -> int | None:
    """RAF-DB counts from 1, in the order of EMOTIONS; 7 is neutral."""
    return int(label) - 1 if int(label) <= len(EMOTIONS) else None


def _label_by_folder(path: Path, folder: Path) -> LabelledPicture:
    inside = path.relative_to(folder)
    folders = [part.lower() for part in inside.parts[:-1]]
    split = next((part for part in folders if part in (*TEST_FOLDERS, "train", "training")), None)
    digest = hashlib.sha256(inside.as_posix().encode()).digest()
    held_out = digest[0] * 256 + digest[1] < 65536 // HELD_OUT_EVERY if split is None else split in TEST_FOLDERS
    name = folders[-1] if folders else ""
    if name in ("1", "2", "3", "4", "5", "6", "7"):
        return LabelledPicture(path, _rafdb_emotion(name), held_out)
    guessed = next(iter(guess_labels({0: name})), None)
    return LabelledPicture(path, None if guessed is None else EMOTIONS.index(guessed), held_out)


def read_pictures(paths: Sequence[Path]) -> Tensor:
    """-> (N, 3, PICTURE_SIDE, PICTURE_SIDE) in [0, 1]: the middle square, scaled. LiminalError names the first damaged one."""
    rows = []
    for path in paths:
        try:
            with Image.open(path) as opened:
                square = ImageOps.fit(
                    ImageOps.exif_transpose(opened).convert("RGB"), (PICTURE_SIDE, PICTURE_SIDE), Image.Resampling.BICUBIC
                )
        except (OSError, UnidentifiedImageError, ValueError, Image.DecompressionBombError) as error:
            raise LiminalError(f"The picture {path} cannot be read; replace it or take it out of the folder.") from error
        rows.append(torch.from_numpy(np.asarray(square).copy()))
    return torch.stack(rows).permute(0, 3, 1, 2).float() / 255


PICTURE_SHARD, PICTURE_BATCH = 512, 16


@dataclass(frozen=True)
class EmbeddedPictures:
    """vectors (N, E); emotions (N,), -1 where a picture shows none of EMOTIONS; held_out (N,): these train nothing."""

    vectors: Tensor
    emotions: Tensor
    held_out: Tensor
    encoder: str

    def described(self) -> dict[str, object]:
        """The data in words and numbers, for a card."""
        counts = {emotion: int((self.emotions == index).sum()) for index, emotion in enumerate(EMOTIONS)}
        return {
            "pictures": len(self.vectors),
            "held_out": int(self.held_out.sum()),
            "kind": "photographs in a folder",
            "by_emotion": counts,
        }


def embed_pictures(
    pictures: Sequence[LabelledPicture], encoder: Encoder, *, folder: Path | None = None, progress: Progress | None = None
) -> EmbeddedPictures:
    """The encoder's embeddings of pictures: existing shards are read, the others made. A shard depends on the encoder's weights and
    its own pictures alone."""
    progress = progress or Progress()
    folder = folder or cache_folder() / "embeddings"
    parts = []
    for start in range(0, len(pictures), PICTURE_SHARD):
        chosen = pictures[start : start + PICTURE_SHARD]
        path = folder / f"{_embedding_shard_key(chosen, encoder)}.safetensors"
        if not path.is_file():
            rows = []
            for first in range(0, len(chosen), PICTURE_BATCH):
                done = start + first
                progress.stage(f"{encoder.name} reads picture {done + 1} of {len(pictures)}", done / len(pictures))
                batch = read_pictures([picture.path for picture in chosen[first : first + PICTURE_BATCH]])
                with torch.inference_mode():
                    rows.append(encoder.embed(batch).float().cpu())
            write_bytes(path, save({"vectors": torch.cat(rows).clone()}))
        parts.append(_read_embedding_shard(path, (len(chosen), encoder.embedding_dim)))
    return EmbeddedPictures(
        torch.cat(parts),
        torch.tensor([-1 if picture.emotion is None else picture.emotion for picture in pictures]),
        torch.tensor([picture.held_out for picture in pictures]),
        encoder.name,
    )


def _embedding_shard_key(pictures: Sequence[LabelledPicture], encoder: Encoder) -> str:
    """A hash of the encoder's weights and of each picture's path, size and time of change."""
    lines = [encoder.name, *(file.sha256 for file in encoder.card.files)]
    for picture in pictures:
        stat = picture.path.stat()
        lines.append(f"{picture.path.resolve()} {stat.st_size} {stat.st_mtime_ns}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32]


def _read_embedding_shard(path: Path, shape: tuple[int, int]) -> Tensor:
    try:
        vectors = load_file(path)["vectors"]
    except (SafetensorError, OSError, KeyError) as error:
        raise LiminalError(f"The stored embeddings {path} are damaged; delete the file and start again.") from error
    if tuple(vectors.shape) != shape:
        raise LiminalError(f"The stored embeddings {path} have the shape {tuple(vectors.shape)}, not {shape}; delete the file.")
    return vectors
