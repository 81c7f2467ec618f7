"""Any Hugging Face image classifier with outputs for the six emotions, through transformers' ``AutoModelForImageClassification``.

Which output means which emotion is guessed from the labels' names and can be corrected by the option ``labels``. Outputs for
anything else, such as neutral or contempt, are dropped: softmax over the six that stay is the exact renormalisation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from core.errors import LiminalError
from core.lazy_import import lazy_import
from core.models.contracts import Classifier, ModelCard
from core.models.custom.catalogue import CustomModel
from core.models.custom.loading import describe_outputs, make_custom_card, read_pretrained, require_library
from core.models.custom.sources import locate_source, verify_source
from core.models.device import freeze_network
from core.models.emotions import EMOTIONS
from core.models.engine.engine import batched
from core.models.preprocessing import Preprocessing

if TYPE_CHECKING:
    import transformers
else:  # an optional extra
    transformers = lazy_import("transformers")

CHUNK = 4

LABEL_STEMS: Mapping[str, tuple[str, ...]] = {
    "surprise": ("surpris", "astonish", "amaze"),
    "fear": ("fear", "scare", "afraid", "terrified"),
    "disgust": ("disgust",),
    "happiness": ("happ", "joy", "smil"),
    "sadness": ("sad", "sorrow"),
    "anger": ("ang", "mad", "furious", "rage"),
}
"""How labels for each emotion begin, in the data sets' various words."""

MAX_DIFFERENCE = 0.02
"""Largest mean difference between our preprocessing and the processor's, in normalised units: it rounds to grey levels."""


class HuggingFaceClassifier(Classifier):
    """Takes the whole image as a tight face."""

    def __init__(
        self, network: nn.Module, preprocessing: Preprocessing, order: list[int], device: torch.device, card: ModelCard
    ) -> None:
        self.card, self.device = card, device
        self.network = freeze_network(network, device)
        self.preprocessing, self.order = preprocessing, order

    def logits(self, images: Tensor) -> Tensor:
        return batched(self._logits, self.preprocessing(images.to(self.device)), CHUNK, cache=True)

    def _logits(self, pixels: Tensor) -> Tensor:
        values: Tensor = self.network(pixel_values=pixels).logits
        return values[:, self.order].float()


def guess_labels(names: Mapping[int, str]) -> dict[str, int]:
    """Output number -> label, from the network's configuration; emotion -> output number for those that are recognised."""
    guessed: dict[str, int] = {}
    for emotion, stems in LABEL_STEMS.items():
        for number, name in sorted(names.items()):
            words = re.findall(r"[a-z]+", str(name).lower())
            if any(word.startswith(stem) for word in words for stem in stems):
                guessed.setdefault(emotion, int(number))
    return guessed


def resolve_labels(chosen: Any, names: Mapping[int, str]) -> dict[str, int]:
    """The guessed labels with those of the option ``labels`` in their place -> one output for each emotion.

    chosen: emotion -> an output's number or label. Raises LiminalError with the labels there are where an emotion has none.
    """
    if not isinstance(chosen, Mapping):
        raise LiminalError('The option labels maps emotions to outputs, such as {"fear": 2, "disgust": "disgusted"}.')
    listed = ", ".join(f"{number} {name}" for number, name in sorted(names.items()))
    labels = guess_labels(names)
    for emotion, output in chosen.items():
        if emotion not in EMOTIONS:
            raise LiminalError(f"The option labels names '{emotion}'; the emotions are {', '.join(EMOTIONS)}.")
        number = next((candidate for candidate, name in names.items() if name == output), output)
        if isinstance(number, bool) or number not in names:
            raise LiminalError(f"The option labels gives {emotion} the output '{output}'; the outputs are {listed}.")
        labels[emotion] = int(number)
    missing = next((emotion for emotion in EMOTIONS if emotion not in labels), None)
    if missing is not None:
        raise LiminalError(f"No output for {missing} was recognised among {listed}; name it by the option labels.")
    twice = next((a for a in EMOTIONS for b in EMOTIONS if a < b and labels[a] == labels[b]), None)
    if twice is not None:
        raise LiminalError(f"The output {labels[twice]} would stand for two emotions, one of them {twice}; mend the option labels.")
    return {emotion: labels[emotion] for emotion in EMOTIONS}


def match_preprocessing(processor: Any) -> Preprocessing:
    """The processor's operations with a gradient. Raises LiminalError where the processor does something that is not known here."""
    settings = processor.to_dict()

    def side(value: Any) -> int | None:
        if isinstance(value, int):
            return value
        sides = value or {}
        if sides.get("height") is not None and sides.get("height") == sides.get("width"):
            return int(sides["height"])
        return int(sides["shortest_edge"]) if sides.get("shortest_edge") is not None else None

    mean, deviation = tuple(settings.get("image_mean") or (0.0,) * 3), tuple(settings.get("image_std") or (1.0,) * 3)
    if not settings.get("do_normalize", True):
        mean, deviation = (0.0,) * 3, (1.0,) * 3
    resized = side(settings.get("size")) if settings.get("do_resize", True) else None
    cropped = side(settings.get("crop_size")) if settings.get("do_center_crop", False) else None
    share = settings.get("crop_pct")
    if share is not None and resized is not None and resized < 384:  # ConvNeXT: enlarge, then cut to the size
        resized, cropped = int(resized / share), resized
    ours = Preprocessing(resized, cropped, int(settings.get("resample") or 2) == 3, mean, deviation)
    sample = _make_sample_picture()
    theirs = torch.as_tensor(processor(images=sample.permute(1, 2, 0).numpy(), return_tensors="pt")["pixel_values"])
    mine = ours(sample[None].float() / 255)
    if mine.shape != theirs.shape or float((mine - theirs).abs().mean()) > MAX_DIFFERENCE:
        raise LiminalError(
            f"The image processor {type(processor).__name__} prepares pictures in a way that is not known here; choose another "
            "model."
        )
    return ours


def _make_sample_picture() -> Tensor:
    """Smooth waves, uint8 (3, 96, 96): the picture on which a processor and our version of it are compared."""
    rows = torch.arange(96.0)
    waves = [(rows[:, None] / 7).sin() * torch.ones(96), (rows / 11).cos().expand(96, -1), ((rows[:, None] + rows) / 13).sin()]
    return ((torch.stack(waves) + 1) * 127.5).round().to(torch.uint8)


def read_configuration(root: Path) -> transformers.PretrainedConfig:
    """The network's configuration. Raises LiminalError where the folder holds none that transformers knows."""
    require_library("transformers", "Hugging Face classifiers")
    try:
        configuration: transformers.PretrainedConfig = transformers.AutoConfig.from_pretrained(
            root, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LiminalError(
            f"{root} holds no image classifier that transformers knows without running code of its own; choose another model."
        ) from error
    return configuration


def read_classifier(root: Path) -> transformers.PreTrainedModel:
    """The network, read strictly. Raises LiminalError that names the first key that is missing, of another shape or not finite."""
    require_library("transformers", "Hugging Face classifiers")
    read_configuration(root)
    network: transformers.PreTrainedModel = read_pretrained(transformers.AutoModelForImageClassification, root)
    return network


def list_outputs(custom: CustomModel) -> dict[int, str]:
    """Output number -> label, by the network's own configuration."""
    return _output_names(locate_source(custom))


def _output_names(root: Path) -> dict[int, str]:
    return {int(number): str(name) for number, name in (read_configuration(root).id2label or {}).items()}


def validate_options(custom: CustomModel, root: Path) -> dict[str, Any]:
    """The option ``labels`` filled with what was guessed, so that it can be read and corrected."""
    return {**custom.options, "labels": resolve_labels(custom.options.get("labels", {}), _output_names(root))}


def make_card(custom: CustomModel) -> ModelCard:
    """The card of an added classifier."""
    return make_custom_card(custom, f"{custom.source} (transformers), {describe_outputs(custom)}")


def load_custom(custom: CustomModel, device: torch.device) -> HuggingFaceClassifier:
    """The classifier with the weights that were added."""
    root = verify_source(custom)
    network = read_classifier(root)
    try:
        read_processor: Any = transformers.AutoImageProcessor.from_pretrained
        processor = read_processor(root, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise LiminalError(
            f"{custom.source} has no preprocessor_config.json, so how it wants its pictures is not known."
        ) from error
    labels = validate_options(custom, root)["labels"]
    return HuggingFaceClassifier(
        network, match_preprocessing(processor), [labels[emotion] for emotion in EMOTIONS], device, make_card(custom)
    )
