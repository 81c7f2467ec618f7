"""Networks in ONNX files: the JSON description beside one, and its run by onnxruntime, one picture at a time.

On a CUDA device onnxruntime's CUDA provider runs it where that is installed (``onnxruntime-gpu``), else the processor.

A description names the file, the side of its square input, the order of colours and axes, and how pixels from 0 to 255 become its
input: (x - mean) / deviation, each a number or one for each colour. What a recogniser or a classifier needs besides is added by its
own description (``external.OnnxRecogniserDescription``, ``onnx_classifier.OnnxClassifierDescription``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.errors import LiminalError
from core.lazy_import import lazy_import
from core.models.custom.loading import is_number, is_whole_number, require_library
from core.models.custom.sources import FetchedSource, fetch_source

if TYPE_CHECKING:
    import onnx
    import onnxruntime
    from google.protobuf import message as protobuf_message
else:  # an optional extra, and what reads its files
    onnx, onnxruntime = lazy_import("onnx"), lazy_import("onnxruntime")
    protobuf_message = lazy_import("google.protobuf.message")

PerColour = float | Sequence[float]


@dataclass(frozen=True, kw_only=True)
class OnnxDescription:
    """What every description says. Raises LiminalError for a value that makes no sense."""

    required: ClassVar[tuple[str, ...]] = ("model",)

    model: str
    input_size: int = 112
    colours: str = "RGB"
    layout: str = "NCHW"
    mean: PerColour = 127.5
    deviation: PerColour = 127.5

    def __post_init__(self) -> None:
        for name, choices in self.list_choices().items():
            if getattr(self, name) not in choices:
                raise LiminalError(f"'{name}' of the description is '{getattr(self, name)}'; it can be {', '.join(choices)}.")
        for name in ("mean", "deviation"):
            values = getattr(self, name)
            listed = values if isinstance(values, list | tuple) and len(values) == 3 else [values]
            if not all(is_number(value) and (name == "mean" or value > 0) for value in listed):
                raise LiminalError(f"'{name}' of the description is '{values}', which is no number that it can be.")
        if not is_whole_number(self.input_size, 16, 1024):
            raise LiminalError(f"'input_size' of the description is '{self.input_size}'; it is a whole number from 16 to 1024.")
        if not isinstance(self.model, str) or Path(self.model).name != self.model or not self.model.endswith(".onnx"):
            raise LiminalError(f"'model' of the description is '{self.model}'; it names an .onnx file in the same folder.")

    def list_choices(self) -> Mapping[str, tuple[str, ...]]:
        """Name -> the values that it can have."""
        return {"colours": ("RGB", "BGR"), "layout": ("NCHW", "NHWC")}


Described = TypeVar("Described", bound=OnnxDescription)


def read_description(path: Path, kind: type[Described]) -> Described:
    """The description in a JSON file. Raises LiminalError with the first thing that is wrong with it."""
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LiminalError(f"{path.name} is no JSON file; name the file that describes the .onnx file.") from error
    known = [field.name for field in fields(kind)]
    if not isinstance(description, dict):
        raise LiminalError(f"{path.name} holds no description; it names {', '.join(known)}.")
    unknown = next((name for name in description if name not in known), None)
    missing = next((name for name in kind.required if not description.get(name)), None)
    if unknown is not None or missing is not None:
        what = f"names '{unknown}', which means nothing" if unknown is not None else f"lacks '{missing}'"
        raise LiminalError(f"The description {path.name} {what}; it may name {', '.join(known)}.")
    return kind(**description)


def find_described_source(source: str, kind: type[OnnxDescription]) -> FetchedSource:
    """The description and the ONNX file that it names, both to be hashed."""
    described = fetch_source(source)
    if described.root.suffix != ".json":
        raise LiminalError(f"{described.root.name} is no description; name the JSON file that describes the .onnx file.")
    network = fetch_source(str(described.root.parent / read_description(described.root, kind).model))
    return FetchedSource(described.root, described.source, "", "", {**described.files, **network.files})


class OnnxNetwork:
    """A network that gives a vector for a picture. ``outputs``: the vector's length."""

    def __init__(self, path: Path, description: OnnxDescription, purpose: str, device: torch.device) -> None:
        require_library("onnxruntime", purpose)
        self.description = description
        _reject_onnx_nan(path)
        try:
            self.session: Any = onnxruntime.InferenceSession(path.read_bytes(), providers=choose_providers(device))
            self.input_name = self.session.get_inputs()[0].name
            self.outputs = len(self.run(np.zeros((description.input_size, description.input_size, 3), np.uint8)))
        except Exception as error:  # onnxruntime raises exceptions of its own
            reason = str(error).split("\n")[0][:200].rstrip(".")
            raise LiminalError(f"{path.name} does not run as described ({reason}); mend its description.") from error

    def run(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        """RGB (side, side, 3) -> (outputs,)."""
        description = self.description
        if description.colours == "BGR":
            picture = picture[:, :, ::-1]
        mean, deviation = (np.asarray(values, dtype=np.float32) for values in (description.mean, description.deviation))
        pixels = ((picture.astype(np.float32) - mean) / deviation)[None]
        if description.layout == "NCHW":
            pixels = pixels.transpose(0, 3, 1, 2)
        vector = self.session.run(None, {self.input_name: np.ascontiguousarray(pixels, dtype=np.float32)})[0]
        return np.asarray(vector, dtype=np.float32).reshape(-1)


def choose_providers(device: torch.device) -> list[str | tuple[str, dict[str, Any]]]:
    """What onnxruntime runs a network by on a device, the first choice first; like PyTorch's networks without TF32."""
    if device.type != "cuda" or "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        return ["CPUExecutionProvider"]
    return [("CUDAExecutionProvider", {"device_id": device.index or 0, "use_tf32": 0}), "CPUExecutionProvider"]


def quantise_pictures(images: Tensor) -> NDArray[np.uint8]:
    """(N, 3, H, W) in [0, 1] -> (N, H, W, 3)."""
    pixels = images.detach().clamp(0, 1).mul(255).round().to(device="cpu", dtype=torch.uint8)
    return np.ascontiguousarray(pixels.permute(0, 2, 3, 1).numpy())


def _reject_onnx_nan(network: Path) -> None:
    try:
        tensors = onnx.load(str(network), load_external_data=False).graph.initializer
    except (protobuf_message.DecodeError, OSError) as error:
        raise LiminalError(f"{network.name} is damaged or no ONNX file; copy or download it again.") from error
    for tensor in tensors:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise LiminalError(f"'{tensor.name}' of {network.name} lies in another file; save the network as one .onnx file.")
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise LiminalError(f"'{tensor.name}' in {network.name} holds values that are not finite (NaN); it cannot be used.")
