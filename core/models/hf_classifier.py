"""Any Hugging Face image classifier with outputs for the six emotions, through transformers' ``AutoModelForImageClassification``.

Which output means which emotion is guessed from the labels' names and can be corrected by the option ``labels``. Outputs for
anything else, such as neutral or contempt, are dropped: softmax over the six that stay is the exact renormalisation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from core.errors import LiminalError
from core.models.contracts import Classifier, ModelCard
from core.models.emotions import EMOTIONS
from core.models.engine import gathered
from core.models.own.card import added_card, outputs_read
from core.models.own.extras import needed
from core.models.own.listing import OwnModel
from core.models.own.pretrained import read_pretrained
from core.models.own.sources import located, verified

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

CHUNK = 4

STEMS: Mapping[str, tuple[str, ...]] = {
    "surprise": ("surpris", "astonish", "amaze"),
    "fear": ("fear", "scare", "afraid", "terrified"),
    "disgust": ("disgust",),
    "happiness": ("happ", "joy", "smil"),
    "sadness": ("sad", "sorrow"),
    "anger": ("ang", "mad", "furious", "rage"),
}
"""How labels for each emotion begin, in the data sets' various words."""

LIKENESS = 0.02
"""How far our resizing may be from the processor's own, on average, in its normalised units: it rounds to whole grey levels."""


@dataclass(frozen=True)
class Preprocessing:
    """What an image processor does to square pictures, as operations with a gradient."""

    resized: int | None  # side after resizing; None: the picture's own
    cropped: int | None  # side of the middle that is cut out
    bicubic: bool
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def __call__(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) in [0, 1] -> (N, 3, S, S), normalised."""
        if self.resized is not None and tuple(images.shape[2:]) != (self.resized, self.resized):
            mode = "bicubic" if self.bicubic else "bilinear"
            size = (self.resized, self.resized)
            images = interpolate(images, size=size, mode=mode, antialias=True, align_corners=False).clamp(0, 1)
        if self.cropped is not None:
            top, left = (images.shape[2] - self.cropped) // 2, (images.shape[3] - self.cropped) // 2
            images = images[:, :, top : top + self.cropped, left : left + self.cropped]
        mean, deviation = images.new_tensor(self.mean), images.new_tensor(self.deviation)
        return (images - mean[:, None, None]) / deviation[:, None, None]


class HuggingFaceClassifier(Classifier):
    """The whole image is taken as a tight face."""

    def __init__(
        self, network: nn.Module, preprocessing: Preprocessing, order: list[int], device: torch.device, card: ModelCard
    ) -> None:
        self.card, self.device = card, device
        self.network = network.to(device).eval().requires_grad_(False)
        self.preprocessing, self.order = preprocessing, order

    def logits(self, images: Tensor) -> Tensor:
        return gathered(self._logits, self.preprocessing(images.to(self.device)), CHUNK, keep=True)

    def _logits(self, pixels: Tensor) -> Tensor:
        values: Tensor = self.network(pixel_values=pixels).logits
        return values[:, self.order].float()


def guess_labels(names: Mapping[int, str]) -> dict[str, int]:
    """Output number -> label, from the network's configuration; emotion -> output number for those that are recognised."""
    guessed: dict[str, int] = {}
    for emotion, stems in STEMS.items():
        for number, name in sorted(names.items()):
            words = re.findall(r"[a-z]+", str(name).lower())
            if any(word.startswith(stem) for word in words for stem in stems):
                guessed.setdefault(emotion, int(number))
    return guessed


def labels_of(given: Any, names: Mapping[int, str]) -> dict[str, int]:
    """The guessed labels with those that were given in their place -> one output for each emotion.

    ``given``: emotion -> an output's number or label. Raises LiminalError with the labels there are where an emotion has none.
    """
    if not isinstance(given, Mapping):
        raise LiminalError('The option labels maps emotions to outputs, such as {"fear": 2, "disgust": "disgusted"}.')
    shown = ", ".join(f"{number} {name}" for number, name in sorted(names.items()))
    labels = guess_labels(names)
    for emotion, output in given.items():
        if emotion not in EMOTIONS:
            raise LiminalError(f"The option labels names '{emotion}'; the emotions are {', '.join(EMOTIONS)}.")
        number = next((each for each, name in names.items() if name == output), output)
        if isinstance(number, bool) or number not in names:
            raise LiminalError(f"The option labels gives {emotion} the output '{output}'; the outputs are {shown}.")
        labels[emotion] = int(number)
    missing = next((emotion for emotion in EMOTIONS if emotion not in labels), None)
    if missing is not None:
        raise LiminalError(f"No output for {missing} was recognised among {shown}; name it by the option labels.")
    twice = next((a for a in EMOTIONS for b in EMOTIONS if a < b and labels[a] == labels[b]), None)
    if twice is not None:
        raise LiminalError(f"The output {labels[twice]} would stand for two emotions, one of them {twice}; mend the option labels.")
    return {emotion: labels[emotion] for emotion in EMOTIONS}


def preprocessing_of(processor: Any) -> Preprocessing:
    """The same operations with a gradient. Raises LiminalError where the processor does something that is not known here."""
    told = processor.to_dict()

    def side(value: Any) -> int | None:
        if isinstance(value, int):
            return value
        known = value or {}
        if known.get("height") is not None and known.get("height") == known.get("width"):
            return int(known["height"])
        return int(known["shortest_edge"]) if known.get("shortest_edge") is not None else None

    mean, deviation = tuple(told.get("image_mean") or (0.0,) * 3), tuple(told.get("image_std") or (1.0,) * 3)
    if not told.get("do_normalize", True):
        mean, deviation = (0.0,) * 3, (1.0,) * 3
    resized = side(told.get("size")) if told.get("do_resize", True) else None
    cropped = side(told.get("crop_size")) if told.get("do_center_crop", False) else None
    share = told.get("crop_pct")
    if share is not None and resized is not None and resized < 384:  # ConvNeXT: enlarge, then cut to the size
        resized, cropped = int(resized / share), resized
    ours = Preprocessing(resized, cropped, int(told.get("resample") or 2) == 3, mean, deviation)
    sample = _sample_picture()
    theirs = torch.as_tensor(processor(images=sample.permute(1, 2, 0).numpy(), return_tensors="pt")["pixel_values"])
    mine = ours(sample[None].float() / 255)
    if mine.shape != theirs.shape or float((mine - theirs).abs().mean()) > LIKENESS:
        raise LiminalError(
            f"The image processor {type(processor).__name__} prepares pictures in a way that is not known here; choose another "
            "model."
        )
    return ours


def _sample_picture() -> Tensor:
    """Smooth waves, uint8 (3, 96, 96): what is tried on a processor and on our version of it."""
    rows = torch.arange(96.0)
    waves = [(rows[:, None] / 7).sin() * torch.ones(96), (rows / 11).cos().expand(96, -1), ((rows[:, None] + rows) / 13).sin()]
    return ((torch.stack(waves) + 1) * 127.5).round().to(torch.uint8)


def read_configuration(root: Path) -> PretrainedConfig:
    """The network's description. Raises LiminalError where the folder holds none that transformers knows."""
    needed("transformers", "Hugging Face classifiers")
    from transformers import AutoConfig

    try:
        found: PretrainedConfig = AutoConfig.from_pretrained(root, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LiminalError(
            f"{root} holds no image classifier that transformers knows without running code of its own; choose another model."
        ) from error
    return found


def read_network(root: Path) -> PreTrainedModel:
    """The network, strictly: Raises LiminalError that names the first key that is missing, of another shape or not finite."""
    needed("transformers", "Hugging Face classifiers")
    from transformers import AutoModelForImageClassification

    read_configuration(root)
    network: PreTrainedModel = read_pretrained(AutoModelForImageClassification, root)
    return network


def outputs(own: OwnModel) -> dict[int, str]:
    """What the network itself calls its outputs."""
    return _names(located(own))


def _names(root: Path) -> dict[int, str]:
    return {int(number): str(name) for number, name in (read_configuration(root).id2label or {}).items()}


def settle(own: OwnModel, root: Path) -> dict[str, Any]:
    """The option ``labels`` filled with what was guessed, so that it can be read and corrected."""
    return {**own.options, "labels": labels_of(own.options.get("labels", {}), _names(root))}


def card(own: OwnModel) -> ModelCard:
    """The card of an added classifier."""
    return added_card(own, f"{own.source} (transformers), {outputs_read(own)}")


def load_own(own: OwnModel, device: torch.device) -> HuggingFaceClassifier:
    """The classifier with the weights that were added."""
    root = verified(own)
    network = read_network(root)
    from transformers import AutoImageProcessor

    try:
        processor = AutoImageProcessor.from_pretrained(root, local_files_only=True, trust_remote_code=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise LiminalError(f"{own.source} has no preprocessor_config.json, so how it wants its pictures is not known.") from error
    labels = settle(own, root)["labels"]
    return HuggingFaceClassifier(network, preprocessing_of(processor), [labels[each] for each in EMOTIONS], device, card(own))
