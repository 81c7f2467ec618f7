"""What models learn from: people's answers, which of them are held out, and what the classifiers read of pictures.

Answers are encoded as whole numbers in an order that does not depend on the table's. They are split by hashes of names, so that
neither the order of rows nor other raters change anybody's share. Paper B splits 4:1 (section V.A). Here, by default, an image that
is held out is held out from everybody: it enters neither the group's nor any person's training.

Inputs are computed once and kept in a folder. Paper B mixes in RAF-DB, photographs labelled by people, which do not come with
this package. Generated reference faces stand in for it, labelled by the mean probabilities of the networks that taught the
classifier of the generator's chain (mini-XCEPTION and the tanh network): 'accuracy on reference data' is agreement with these, not
with people. Their embeddings come with the package, since making them takes minutes:
``assets/alignment/plain-<generator>.safetensors`` has a tensor for each hundred faces, by the name of the file in which they would
be cached. The file's metadata holds a hash of the models that made them; where that differs the file is ignored.

Every picture is framed for classifiers as the generator that made it says (``core.models.framing``).
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from safetensors import SafetensorError, safe_open
from scipy.special import softmax

from core.alignment.configuration import AlignmentConfiguration, Split
from core.analysis.encode import select_answers
from core.analysis.estimate import Array, Basis, name_sources
from core.analysis.study_data import StudyData
from core.errors import LiminalError
from core.lazy_import import lazy_import
from core.models import registry
from core.models.emotions import EMOTIONS
from core.models.weights import ROOT
from core.progress import Progress
from core.sampling.configuration import sample_seed
from core.sampling.emotion.configuration import find_chain
from core.sampling.images import quantise, to_images
from core.sampling.stored.reference import ReferenceSet, load_reference_set
from core.studies.library import Library
from core.studies.ratings import Task
from core.writing import write_bytes

if TYPE_CHECKING:
    import safetensors.torch as tensor_files
    import torch
    from torch import Tensor

    from core.alignment import networks
    from core.models.contracts import ClassifierFrame
    from core.sampling.building import population
else:
    torch = lazy_import("torch")
    tensor_files = lazy_import("safetensors.torch")
    networks, population = lazy_import("core.alignment.networks"), lazy_import("core.sampling.building.population")

IndexArray = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class AnswerSet:
    """Answers sorted by image and rater: ``image[k]`` and ``rater[k]`` are indices into ``images`` and ``raters`` (both sorted),
    ``emotion[k]`` is an index into EMOTIONS. Each person answers about an image once."""

    images: tuple[str, ...]
    raters: tuple[str, ...]
    image: IndexArray
    rater: IndexArray
    emotion: IndexArray
    source: str  # as ``name_sources`` names it

    def __len__(self) -> int:
        return len(self.image)

    @cached_property
    def counts(self) -> Array:
        """Votes by image and emotion (I, 6)."""
        return count_votes(self.image, self.emotion, len(self.images))

    def index_of(self, rater: str) -> int:
        """The index of a rater. Raises LiminalError where that person has given no answer that counts."""
        try:
            return self.raters.index(rater)
        except ValueError:
            raise LiminalError(f"'{rater}' has given no answer that counts in this study; choose one of those who have.") from None

    @property
    def basis(self) -> Basis:
        """Numbers of images, raters and answers, for results."""
        return Basis(len(np.unique(self.image)), len(np.unique(self.rater)), len(self), self.source)

    @property
    def digest(self) -> str:
        """Hash of the answers, whatever their order in the table: 20 hexadecimal digits."""
        digest = hashlib.blake2b(repr((self.images, self.raters)).encode(), digest_size=10)
        for column in (self.image, self.rater, self.emotion):
            digest.update(np.ascontiguousarray(column, "<i8").tobytes())
        return digest.hexdigest()


def collect_answers(ratings: pd.DataFrame, *, images: Collection[str] | None = None, excluded: Collection[str] = ()) -> AnswerSet:
    """Rows of RATINGS -> the answers of those who are not excluded, attention checks left out, to ``images`` alone (None: all).

    Raises LiminalError where there is nothing to learn from: no answers, or one emotion throughout.
    """
    table = select_last_answers(ratings, "emotion", images, excluded)
    if not len(table):
        raise LiminalError("There are no answers to learn from: the study has none yet, or everybody in it is excluded.")
    emotion = pd.Index(EMOTIONS).get_indexer(pd.Index(table["value"]))
    if (emotion < 0).any():
        unknown = str(table["value"].iloc[int(np.argmin(emotion))])
        raise LiminalError(f"The answer '{unknown}' is no emotion that the classifiers know; they know {', '.join(EMOTIONS)}.")
    if len(np.unique(emotion)) < 2:
        raise LiminalError(
            f"All {len(emotion):,} answers say '{EMOTIONS[int(emotion[0])]}'; a model learns from two different answers at least."
        )
    return encode_answers(table, np.asarray(emotion, np.intp))


def select_last_answers(
    ratings: pd.DataFrame, task: Task, images: Collection[str] | None, excluded: Collection[str]
) -> pd.DataFrame:
    """Everybody's last answer about each image, sorted by image and rater; without attention checks and the excluded."""
    table = select_answers(ratings, task, excluded=excluded, sentinels=False)
    if images is not None:
        table = table[table["stimulus"].isin(list(images))]
    return table.drop_duplicates(["stimulus", "rater"], keep="last").sort_values(["stimulus", "rater"])


def encode_answers(table: pd.DataFrame, emotion: IndexArray) -> AnswerSet:
    """Encode rows of ``select_last_answers``; emotion: of each row, as an index."""
    image, names = pd.factorize(table["stimulus"], sort=True)
    rater, raters = pd.factorize(table["rater"], sort=True)
    return AnswerSet(
        images=tuple(map(str, names)),
        raters=tuple(map(str, raters)),
        image=np.asarray(image, np.intp),
        rater=np.asarray(rater, np.intp),
        emotion=emotion,
        source=name_sources(table["source"]),
    )


def emotion_answers(study_data: StudyData) -> AnswerSet:
    """The answers of an emotion study to images whose pictures are at hand. Raises LiminalError for an identity study."""
    if study_data.study.plan.asks != "emotion":
        raise LiminalError(
            "This study does not ask which feeling a face shows, so that none can be learned from it; choose one that does."
        )
    images = {stimulus.stimulus for stimulus in study_data.stimuli if stimulus.stimulus in study_data.where}
    if not images:
        raise LiminalError(
            f"The pictures of the study '{study_data.study.name}' are not in the library; bring its sample sets in with the study."
        )
    return collect_answers(study_data.ratings, images=images, excluded=study_data.excluded)


def find_study_generator(study_data: StudyData) -> str:
    """The generator whose chain learns from a study: that of its first sample set that has one; for pictures that none made, the
    one that emotion samples are usually made with. Raises LiminalError where no sample set is at hand."""
    if not study_data.sets:
        raise LiminalError(f"No sample set of the study '{study_data.study.name}' is in the library; bring it in with the study.")
    return next(filter(None, study_data.generators.values()), registry.default_generator("emotion"))


def describe_origin(study_data: StudyData) -> str:
    """A sentence on a study whose pictures are not all made by one generator; else ''."""
    generator = find_study_generator(study_data)
    others = [name for name in dict.fromkeys(study_data.generators.values()) if name != generator]
    if not others:
        return ""
    named = " and ".join(registry.title(name) if name else "pictures that somebody brought along" for name in others)
    if generator not in study_data.generators.values():
        return (
            "These pictures were not made by a generator; the networks and reference faces are those of "
            f"{registry.title(generator)}, and each picture is framed to the face in it."
        )
    return (
        f"The faces come from {registry.title(generator)} and from {named}; the networks and reference faces of "
        f"{registry.title(generator)} are taken for all of them, and each picture is framed as its own generator asks."
    )


def count_votes(image: IndexArray, emotion: IndexArray, images: int) -> Array:
    """Votes by image and emotion (images, 6)."""
    k = len(EMOTIONS)
    return np.bincount(image * k + emotion, minlength=images * k).reshape(images, k).astype(np.float64)


def shuffle_answers(answers: AnswerSet, seed: int) -> AnswerSet:
    """The null control: answers are permuted between people within each image, so that they tell nothing of a person.

    Every image keeps its votes and every person their images; the group's model is the same. Answers to images that only one
    person answered about cannot be permuted and are left out.
    """
    random = np.random.default_rng(seed)
    order = np.lexsort((random.random(len(answers)), answers.image))  # a random order within each image
    emotion = answers.emotion[order]
    exchangeable = np.bincount(answers.image, minlength=len(answers.images))[answers.image] > 1
    return replace(answers, image=answers.image[exchangeable], rater=answers.rater[exchangeable], emotion=emotion[exchangeable])


SPLIT_NOTES: dict[Split, str] = {
    "images": "Every fifth image is held out from everybody: no model has seen an answer to it.",
    "paper": (
        "As in the paper: a person's held-out answers are held out from that person's model, but the group's model has seen "
        "these images and everybody's answers to them."
    ),
}
"""The note on its split in every result; 'fifth' is the default share."""


def choose_held_out(names: Sequence[str], share: float, seed: int, *path: str) -> NDArray[np.bool_]:
    """Which of the names are held out: the ``share`` of them whose hashes come first, at least one and not all (of two or more)."""
    hashes = [sample_seed(seed, "held out", *path, name) for name in names]
    count = min(max(round(share * len(names)), 1), max(len(names) - 1, 0))
    held_out = np.zeros(len(names), bool)
    held_out[np.argsort(np.array(hashes, dtype=np.uint64), kind="stable")[:count]] = True
    return held_out


@dataclass(frozen=True, eq=False)
class DataSplit:
    """Which answers are held out. images (I,): whether the group holds out an image. Methods return rows of ``answers``."""

    images: NDArray[np.bool_]
    answers: AnswerSet
    configuration: AlignmentConfiguration

    def group(self) -> tuple[IndexArray, IndexArray]:
        """(rows that the group's model learns from, held-out rows that it is judged by)."""
        held_out = self.images[self.answers.image]
        return np.flatnonzero(~held_out), np.flatnonzero(held_out)

    def person(self, rater: str) -> tuple[IndexArray, IndexArray]:
        """(rows that a person's model learns from, held-out rows that it is judged by), all of that person; may be empty."""
        rows = np.flatnonzero(self.answers.rater == self.answers.index_of(rater))
        held_out = self.images[self.answers.image[rows]]
        if self.configuration.split == "images":
            return rows[~held_out], rows[held_out]
        rows = rows[~held_out]
        names = [self.answers.images[image] for image in self.answers.image[rows]]
        held_out_of_person = choose_held_out(names, self.configuration.validation, self.configuration.seed, "rater", rater)
        return rows[~held_out_of_person], rows[held_out_of_person]

    def others(self, rater: str) -> IndexArray:
        """Rows of the group's training that are other people's: they are mixed into this person's training."""
        rows, _ = self.group()
        others: IndexArray = rows[self.answers.rater[rows] != self.answers.index_of(rater)]
        return others

    @cached_property
    def eligible_raters(self) -> tuple[str, ...]:
        """People with enough answers to learn from and with some to be judged by."""
        eligible = []
        for rater in self.answers.raters:
            learned, judged = self.person(rater)
            if len(learned) >= self.configuration.least_own and len(judged):
                eligible.append(rater)
        return tuple(eligible)

    def check_person(self, rater: str) -> tuple[IndexArray, IndexArray]:
        """As ``person``. Raises LiminalError where there are too few answers, or none to judge by."""
        learned, judged = self.person(rater)
        if not len(judged):
            raise LiminalError(
                f"'{rater}' has no answers to held-out images, so that their model could not be judged; ask for more."
            )
        least = self.configuration.least_own
        if len(learned) < least:
            raise LiminalError(f"'{rater}' has given too few answers to learn from, {len(learned)}; it takes {least} at least.")
        return learned, judged


def count_people(number: int) -> str:
    """'1 person', '1,200 people'."""
    return "1 person" if number == 1 else f"{number:,} people"


def split_answers(answers: AnswerSet, configuration: AlignmentConfiguration) -> DataSplit:
    """Split the answers. Raises LiminalError where too few are left to learn from, or they all say the same."""
    split = DataSplit(
        choose_held_out(answers.images, configuration.validation, configuration.seed, "images"), answers, configuration
    )
    learned, judged = split.group()
    if len(learned) < configuration.least_answers or not len(judged):
        raise LiminalError(
            f"There are {len(learned):,} answers to learn from and {len(judged):,} to judge by; learning takes at least "
            f"{configuration.least_answers:,}, so ask more people or about more images."
        )
    if len(np.unique(answers.emotion[learned])) < 2:
        raise LiminalError("All answers to learn from say the same emotion; a model learns from two different ones at least.")
    return split


REFERENCE_FOLDER = ROOT / "assets" / "alignment"
MADE_WITH = "made_with"


def find_reference_embeddings(generator: str, name: str, folder: Path | None = None) -> Tensor | None:
    """The stored rows (F, E) of that name; None where there are none, or of another encoder or reference population.

    Only embeddings come with the package: what other classifiers read are pictures, far larger.
    """
    try:
        with safe_open(_reference_path(generator, folder), framework="pt") as file:
            is_current = (file.metadata() or {}).get(MADE_WITH) == hash_reference_models(generator) and name in file.keys()  # noqa: SIM118
            return file.get_tensor(name) if is_current else None
    except (OSError, SafetensorError):
        return None


def save_reference_embeddings(generator: str, rows: Mapping[str, Tensor], folder: Path | None = None) -> Path:
    """Write rows, by the names that ``find_reference_embeddings`` takes -> the file."""
    path = _reference_path(generator, folder)
    write_bytes(path, tensor_files.save(dict(rows), metadata={MADE_WITH: hash_reference_models(generator)}))
    return path


def hash_reference_models(generator: str) -> str:
    """Hash of the cards of the generator's encoder and reference population. Raises OSError where one is missing."""
    encoder = find_chain(generator).encoder
    cards = (ROOT / "assets" / "weights" / f"{encoder}.json", ROOT / "assets" / "reference" / f"{generator}.json")
    return hashlib.sha256(b"".join(card.read_bytes() for card in cards)).hexdigest()


def _reference_path(generator: str, folder: Path | None) -> Path:
    return (folder or REFERENCE_FOLDER) / f"plain-{generator}.safetensors"


REFERENCE_NOTE = (
    "Reference data: plain generated faces labelled by mini-XCEPTION and the tanh network, in place of RAF-DB, which people "
    "labelled; accuracy on them is agreement with these two networks."
)
"""The note in every figure on reference data."""
IMAGES_PER_BATCH = 16
FACES_PER_FILE = 100
"""Reference faces that are cached in one file."""


@dataclass(frozen=True, eq=False)
class ReferenceLabels:
    """The first reference faces of a generator by their seeds, with soft labels (R, 6). seed: of their population."""

    generator: str
    seeds: tuple[int, ...]
    labels: NDArray[np.float32]
    seed: int = 0

    def __len__(self) -> int:
        return len(self.seeds)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the faces for the split, which do not depend on their order."""
        return tuple(f"{self.generator}/{seed}" for seed in self.seeds)


def load_reference_labels(generator: str, faces: int, reference: ReferenceSet | None = None) -> ReferenceLabels:
    """Labels of the first ``faces`` of the reference population, by the teachers of the generator's chain.

    Raises LiminalError where a generator has no such population.
    """
    stored = reference or load_reference_set(generator)
    faces = min(faces, len(stored))
    teachers = find_chain(generator).teachers
    p = np.mean([softmax(stored.classifier_logits(name)[:faces].astype(np.float64), axis=1) for name in teachers], axis=0)
    seeds = tuple(sample_seed(stored.seed, "reference", index) for index in range(faces))
    return ReferenceLabels(generator, seeds, p.astype(np.float32), stored.seed)


def load_study_inputs(
    study_data: StudyData, library: Library, images: Sequence[str], classifier: str, folder: Path, progress: Progress | None = None
) -> Tensor:
    """A classifier's inputs of a study's pictures, in the order of ``images``; cached in ``folder``."""
    progress = progress or Progress()

    def make() -> Tensor:
        frames = {generator: find_classifier_frame(generator) for generator in set(study_data.generators.values())}
        parts = []
        for start in range(0, len(images), IMAGES_PER_BATCH):
            progress.stage(f"{classifier} looks at face {start + 1:,} of {len(images):,}", start / len(images))
            sets = [study_data.where[name] for name in images[start : start + IMAGES_PER_BATCH]]
            pictures = [load_picture(library, set_id, name) for set_id, name in zip(sets, images[start:], strict=False)]
            for frame, group in _group_alike([frames[study_data.generators[set_id]] for set_id in sets], pictures):
                parts.append(networks.prepare_inputs(classifier, to_images(np.stack(group)), frame))
        return torch.cat(parts)

    return _load_or_make(folder, repr(("pictures", classifier, tuple(images))), make)


def load_reference_inputs(
    labels: ReferenceLabels,
    classifiers: Sequence[str],
    folder: Path,
    progress: Progress | None = None,
    *,
    alongside: Sequence[str] = (),
) -> dict[str, Tensor]:
    """Classifiers' inputs of the reference faces: cached in ``folder``, from the package, or made from the faces' seeds.

    Cached a hundred at a time: after a stop at most these are made again, and other numbers of faces use the same files.
    alongside: classifiers whose inputs are cached too where faces have to be generated, as generating takes far longer.
    """
    progress = progress or Progress()
    parts: dict[str, list[Tensor]] = {name: [] for name in classifiers}
    for start in range(0, len(labels), FACES_PER_FILE):
        indices = range(start, min(start + FACES_PER_FILE, len(labels)))
        for name, rows in _load_inputs_of_faces(labels, indices, classifiers, alongside, folder, progress).items():
            parts[name].append(rows)
    return {name: torch.cat(rows) for name, rows in parts.items()}


def load_reference_rows(labels: ReferenceLabels, folder: Path) -> dict[str, Tensor]:
    """What ``save_reference_embeddings`` takes: the rows of the reference faces, a hundred by the name of their file."""
    classifier = find_chain(labels.generator).classifier
    rows = load_reference_inputs(labels, (classifier,), folder)[classifier]
    starts = range(0, len(labels), FACES_PER_FILE)
    seeds = [labels.seeds[start : start + FACES_PER_FILE] for start in starts]
    names = [input_file_name(describe_reference_rows(classifier, labels.generator, file_seeds)) for file_seeds in seeds]
    return {name: rows[start : start + FACES_PER_FILE].clone() for name, start in zip(names, starts, strict=True)}


def describe_reference_rows(classifier: str, generator: str, seeds: Sequence[int]) -> str:
    """A text that identifies rows; the names of files are hashes of it, so it must not change."""
    return repr(("reference", classifier, generator, tuple(seeds)))


def _load_inputs_of_faces(
    labels: ReferenceLabels,
    indices: range,
    classifiers: Sequence[str],
    alongside: Sequence[str],
    folder: Path,
    progress: Progress,
) -> dict[str, Tensor]:
    """Inputs of the reference faces with these indices; a face is generated once for all classifiers."""
    generator, seeds = labels.generator, labels.seeds[indices.start : indices.stop]
    generated: dict[str, Tensor] = {}
    wants = {name: describe_reference_rows(name, generator, seeds) for name in dict.fromkeys((*classifiers, *alongside))}

    def is_stored(classifier: str) -> bool:
        return (folder / input_file_name(wants[classifier])).is_file() or find_reference_embeddings(
            generator, input_file_name(wants[classifier])
        ) is not None

    def make_missing(classifier: str) -> None:
        maker = registry.load(generator, "generator")
        missing = [name for name in wants if name == classifier or not is_stored(name)]
        parts: dict[str, list[Tensor]] = {name: [] for name in missing}
        for start in range(indices.start, indices.stop, IMAGES_PER_BATCH):
            progress.stage(f"Reference faces to learn from alongside: {start:,} of {len(labels):,}", start / len(labels))
            with torch.inference_mode():
                faces = range(start, min(start + IMAGES_PER_BATCH, indices.stop))
                images = quantise(maker.decode(population.draw_reference_faces(maker, faces, labels.seed)))
            for name in missing:
                parts[name].append(networks.prepare_inputs(name, images, maker.classifier_frame))
        generated.update({name: torch.cat(rows) for name, rows in parts.items()})

    def make(name: str) -> Tensor:
        stored = find_reference_embeddings(generator, input_file_name(wants[name]))
        if stored is not None:
            return stored
        if name not in generated:
            make_missing(name)
        return generated[name]

    inputs = {name: _load_or_make(folder, wants[name], lambda name=name: make(name)) for name in classifiers}  # type: ignore[misc]
    for name in [classifier for classifier in generated if classifier not in inputs]:
        _load_or_make(folder, wants[name], lambda name=name: generated[name])  # type: ignore[misc]
    return inputs


def load_picture(library: Library, set_id: str, sample_id: str) -> NDArray[np.uint8]:
    """A stored picture, uint8 (H, W, 3). Raises LiminalError where it cannot be read."""
    content, _ = library.picture(set_id, sample_id)
    try:
        with Image.open(io.BytesIO(content)) as picture:
            return np.asarray(picture.convert("RGB"), dtype=np.uint8)
    except (OSError, ValueError) as error:
        raise LiminalError(f"The picture {sample_id} of the sample set {set_id} is damaged; bring the set in again.") from error


def find_classifier_frame(generator: str) -> ClassifierFrame:
    """What classifiers are shown of a generator's pictures; of those that no generator made ('') the face. Loads the generator."""
    if not generator:
        return "face"
    try:
        return registry.load(generator, "generator").classifier_frame
    except LiminalError:  # one that was added, and removed since
        return "whole"


def _group_alike(
    frames: Sequence[ClassifierFrame], pictures: Sequence[NDArray[np.uint8]]
) -> list[tuple[ClassifierFrame, list[NDArray[np.uint8]]]]:
    """Group consecutive pictures of one frame and size."""
    groups: list[tuple[ClassifierFrame, list[NDArray[np.uint8]]]] = []
    for frame, picture in zip(frames, pictures, strict=True):
        if groups and groups[-1][0] == frame and groups[-1][1][0].shape == picture.shape:
            groups[-1][1].append(picture)
        else:
            groups.append((frame, [picture]))
    return groups


def _load_or_make(folder: Path, what: str, make: Callable[[], Tensor]) -> Tensor:
    """The tensor cached in ``folder`` under ``what``, else made and cached; a damaged file is made again."""
    path = folder / input_file_name(what)
    try:
        return tensor_files.load_file(path)["inputs"]
    except (OSError, SafetensorError, KeyError):
        tensor = make()
    try:
        write_bytes(path, tensor_files.save({"inputs": tensor.contiguous()}))
    except OSError as error:
        raise LiminalError(f"Nothing can be written to {folder}: free some space or choose another LIMINAL_DATA_DIR.") from error
    return tensor


def input_file_name(what: str) -> str:
    """The name of the file for ``what``."""
    return f"{hashlib.blake2b(what.encode(), digest_size=10).hexdigest()}.safetensors"
