"""What the classifiers read, computed once and kept: of a study's pictures, and of plain faces as reference data.

Paper B mixes in RAF-DB, photographs labelled by people, which do not come with this package. Plain generated faces stand in for
it, labelled by the mean probabilities of mini-XCEPTION and the tanh network, the teachers of the MLP: 'accuracy on reference
data' is agreement with these two, not with people.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from core.alignment import plain
from core.analysis.material import Material
from core.errors import LiminalError
from core.progress import Progress
from core.sampling.emotion.reference import TEACHERS, Reference, load_reference
from core.sampling.seeds import sample_seed
from core.studies.library import Library
from core.writing import write_bytes

if TYPE_CHECKING:
    from torch import Tensor

STANDS_IN = (
    "Reference data: plain generated faces labelled by mini-XCEPTION and the tanh network, in place of RAF-DB, which people "
    "labelled; accuracy on them is agreement with these two networks."
)
"""What every figure on reference data says."""
LABELLERS = TEACHERS["emotion-mlp"]
BATCH = 16
TOGETHER = 100
"""Reference faces that are kept in one file."""


@dataclass(frozen=True, eq=False)
class ReferenceLabels:
    """Plain faces of a generator by their seeds, with soft labels (R, 6)."""

    generator: str
    seeds: tuple[int, ...]
    labels: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.seeds)

    @property
    def names(self) -> tuple[str, ...]:
        """For the split: what a face is, whatever its place."""
        return tuple(f"{self.generator}/{seed}" for seed in self.seeds)


def reference_labels(generator: str, faces: int, reference: Reference | None = None) -> ReferenceLabels:
    """The first ``faces`` of the stored reference population. Raises LiminalError where a generator has none."""
    found = reference or load_reference(generator)
    faces = min(faces, len(found))
    p = np.mean([softmax(found.of(name)[:faces].astype(np.float64), axis=1) for name in LABELLERS], axis=0)
    seeds = tuple(sample_seed(found.seed, "reference", place) for place in range(faces))
    return ReferenceLabels(generator, seeds, p.astype(np.float32))


def study_inputs(
    material: Material, library: Library, images: Sequence[str], classifier: str, place: Path, progress: Progress | None = None
) -> Tensor:
    """What a classifier reads of a study's pictures, in the order of ``images``; kept in the folder ``place``."""
    progress = progress or Progress()

    def make() -> Tensor:
        import torch

        from core.alignment.networks import prepared
        from core.sampling.pictures import to_images

        parts = []
        for start in range(0, len(images), BATCH):
            progress.stage(f"{classifier} looks at face {start + 1:,} of {len(images):,}", start / len(images))
            shown = [picture(library, material.where[name], name) for name in images[start : start + BATCH]]
            for each in _of_one_size(shown):
                parts.append(prepared(classifier, to_images(np.stack(each))))
        return torch.cat(parts)

    return _kept(place, repr(("pictures", classifier, tuple(images))), make)


def reference_inputs(
    labels: ReferenceLabels,
    classifiers: Sequence[str],
    place: Path,
    progress: Progress | None = None,
    *,
    alongside: Sequence[str] = (),
) -> dict[str, Tensor]:
    """What classifiers read of the reference faces: kept in ``place``, come with the package (``plain``), or made from their seeds.

    Kept a hundred at a time: after a stop no more than these are made again, and fewer or more faces share what there is.
    alongside: classifiers that read the faces too where some have to be made, as making them takes far longer.
    """
    import torch

    progress = progress or Progress()
    parts: dict[str, list[Tensor]] = {name: [] for name in classifiers}
    for start in range(0, len(labels), TOGETHER):
        seeds = labels.seeds[start : start + TOGETHER]
        told = _counted(progress, start, labels)
        for name, rows in _some_inputs(labels.generator, seeds, classifiers, alongside, place, told).items():
            parts[name].append(rows)
    return {name: torch.cat(each) for name, each in parts.items()}


def plain_rows(labels: ReferenceLabels, place: Path) -> dict[str, Tensor]:
    """What ``plain.store`` takes: every hundred of the reference faces by its file's name, made where ``place`` has none."""
    rows = reference_inputs(labels, (plain.CLASSIFIER,), place)[plain.CLASSIFIER]
    starts = range(0, len(labels), TOGETHER)
    seeds = [labels.seeds[start : start + TOGETHER] for start in starts]
    names = [file_name(reference_key(plain.CLASSIFIER, labels.generator, each)) for each in seeds]
    return {name: rows[start : start + TOGETHER].clone() for name, start in zip(names, starts, strict=True)}


def _counted(progress: Progress, start: int, labels: ReferenceLabels) -> Callable[[int], None]:
    """Says how many faces there are by now; looks for a stop."""

    def told(place: int) -> None:
        progress.stage(f"Plain faces to learn from alongside: {start + place:,} of {len(labels):,}", (start + place) / len(labels))

    return told


def reference_key(classifier: str, generator: str, seeds: Sequence[int]) -> str:
    """Says which rows these are."""
    return repr(("reference", classifier, generator, tuple(seeds)))


def _some_inputs(
    generator: str,
    seeds: Sequence[int],
    classifiers: Sequence[str],
    alongside: Sequence[str],
    place: Path,
    told: Callable[[int], None],
) -> dict[str, Tensor]:
    """Of some reference faces; made together for all classifiers that want any."""
    made: dict[str, Tensor] = {}
    wants = {name: reference_key(name, generator, seeds) for name in dict.fromkeys((*classifiers, *alongside))}

    def there(name: str) -> bool:
        return (place / file_name(wants[name])).is_file() or plain.found(generator, file_name(wants[name])) is not None

    def make_missing(asked: str) -> None:
        import torch

        from core.alignment.networks import prepared
        from core.models import registry
        from core.sampling.pictures import quantised

        maker = registry.load(generator, "generator")
        wanted = [name for name in wants if name == asked or not there(name)]
        parts: dict[str, list[Tensor]] = {name: [] for name in wanted}
        for start in range(0, len(seeds), BATCH):
            told(start)
            with torch.inference_mode():
                images = quantised(maker.decode(maker.sample(seeds[start : start + BATCH])))
            for name in wanted:
                parts[name].append(prepared(name, images))
        made.update({name: torch.cat(each) for name, each in parts.items()})

    def make(name: str) -> Tensor:
        stored = plain.found(generator, file_name(wants[name]))
        if stored is not None:
            return stored
        if name not in made:
            make_missing(name)
        return made[name]

    found = {name: _kept(place, wants[name], lambda name=name: make(name)) for name in classifiers}  # type: ignore[misc]
    for name in [each for each in made if each not in found]:
        _kept(place, wants[name], lambda name=name: made[name])  # type: ignore[misc]
    return found


def picture(library: Library, set_id: str, sample_id: str) -> NDArray[np.uint8]:
    """A stored picture, uint8 (H, W, 3). Raises LiminalError where it cannot be read."""
    from PIL import Image

    content, _ = library.picture(set_id, sample_id)
    try:
        with Image.open(io.BytesIO(content)) as found:
            return np.asarray(found.convert("RGB"), dtype=np.uint8)
    except (OSError, ValueError) as error:
        raise LiminalError(f"The picture {sample_id} of the sample set {set_id} is damaged; bring the set in again.") from error


def _of_one_size(shown: Sequence[NDArray[np.uint8]]) -> list[list[NDArray[np.uint8]]]:
    """Consecutive pictures of one size together."""
    groups: list[list[NDArray[np.uint8]]] = []
    for each in shown:
        if groups and groups[-1][0].shape == each.shape:
            groups[-1].append(each)
        else:
            groups.append([each])
    return groups


def _kept(place: Path, what: str, make: Callable[[], Tensor]) -> Tensor:
    """The tensor of a file named by what it is, else made and kept; a damaged file is made again."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file, save

    path = place / file_name(what)
    try:
        return load_file(path)["inputs"]
    except (OSError, SafetensorError, KeyError):
        made = make()
    try:
        write_bytes(path, save({"inputs": made.contiguous()}))
    except OSError as error:
        raise LiminalError(f"Nothing can be written to {place}: free some space or choose another LIMINAL_DATA_DIR.") from error
    return made


def file_name(what: str) -> str:
    """Of the file that keeps what ``what`` says."""
    return f"{hashlib.blake2b(what.encode(), digest_size=10).hexdigest()}.safetensors"
