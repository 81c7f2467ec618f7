"""Any face embedding network in an ONNX file, told by a small JSON file beside it::

    {"model": "arcface.onnx", "input_size": 112, "alignment": "arcface", "colours": "RGB", "layout": "NCHW",
     "mean": 127.5, "deviation": 127.5, "distance": "cosine", "threshold": 0.68, "threshold_source": "who chose it, and how"}

alignment: arcface (five landmarks onto ArcFace's template) or box (the detector's box, eyes level). Pixels from 0 to 255 become
(x - mean) / deviation. distance: cosine, euclidean or euclidean_l2 (of unit vectors). Run by onnxruntime, on the CPU.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from core.errors import LiminalError
from core.models.contracts import ModelCard
from core.models.outside_recogniser import ALIGNMENTS, METRICS, Alignment, Metric, OutsideRecogniser
from core.models.own.card import added_card
from core.models.own.extras import needed
from core.models.own.listing import OwnModel
from core.models.own.options import is_number, is_whole
from core.models.own.sources import Fetched, fetch, located, verified


@dataclass(frozen=True)
class Description:
    """The JSON file. Raises LiminalError for a value that makes no sense."""

    model: str
    threshold: float
    threshold_source: str
    distance: Metric = "cosine"
    input_size: int = 112
    alignment: Alignment = "arcface"
    colours: str = "RGB"
    layout: str = "NCHW"
    mean: float = 127.5
    deviation: float = 127.5

    def __post_init__(self) -> None:
        for name, known in (
            ("distance", METRICS),
            ("alignment", ALIGNMENTS),
            ("colours", ("RGB", "BGR")),
            ("layout", ("NCHW", "NHWC")),
        ):
            if getattr(self, name) not in known:
                raise LiminalError(f"'{name}' of the description is '{getattr(self, name)}'; it can be {', '.join(known)}.")
        for name, lowest in (("threshold", 0.0), ("deviation", 0.0), ("mean", -math.inf), ("input_size", 15)):
            value = getattr(self, name)
            if not is_number(value) or value <= lowest:
                raise LiminalError(f"'{name}' of the description is '{value}', which is no number that it can be.")
        if not is_whole(self.input_size, 16, 1024):
            raise LiminalError(f"'input_size' of the description is '{self.input_size}'; it is a whole number up to 1024.")
        if not isinstance(self.model, str) or Path(self.model).name != self.model or not self.model.endswith(".onnx"):
            raise LiminalError(f"'model' of the description is '{self.model}'; it names an .onnx file in the same folder.")


def read_description(path: Path) -> Description:
    """The description in a JSON file. Raises LiminalError with the first thing that is wrong with it."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LiminalError(f"{path.name} is no JSON file; name the file that describes the .onnx file.") from error
    known = [each.name for each in fields(Description)]
    if not isinstance(told, dict):
        raise LiminalError(f"{path.name} holds no description; it names {', '.join(known)}.")
    unknown = next((name for name in told if name not in known), None)
    missing = next((name for name in ("model", "threshold", "threshold_source") if not told.get(name)), None)
    if unknown is not None or missing is not None:
        what = f"names '{unknown}', which means nothing" if unknown is not None else f"lacks '{missing}'"
        raise LiminalError(f"The description {path.name} {what}; it may name {', '.join(known)}.")
    return Description(**told)


class OnnxRecogniser(OutsideRecogniser):
    """The network of an ONNX file, one face at a time."""

    def __init__(self, network: Path, description: Description, card: ModelCard) -> None:
        super().__init__(
            card,
            alignment=description.alignment,
            metric=description.distance,
            threshold=description.threshold,
            threshold_source=description.threshold_source,
        )
        needed("onnxruntime", "ONNX recognisers")
        import onnxruntime

        self.description = description
        _refuse_nan(network)
        try:
            self.session = onnxruntime.InferenceSession(network.read_bytes(), providers=["CPUExecutionProvider"])
            self.input_name = self.session.get_inputs()[0].name
            self.embedding_dim = len(self.describe(np.zeros((description.input_size, description.input_size, 3), np.uint8)))
        except Exception as error:  # onnxruntime raises kinds of its own
            reason = str(error).split("\n")[0][:200].rstrip(".")
            raise LiminalError(f"{network.name} does not run as described ({reason}); mend its description.") from error

    def describe(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        told = self.description
        if told.colours == "BGR":
            picture = picture[:, :, ::-1]
        pixels = ((picture.astype(np.float32) - told.mean) / told.deviation)[None]
        if told.layout == "NCHW":
            pixels = pixels.transpose(0, 3, 1, 2)
        vector = self.session.run(None, {self.input_name: np.ascontiguousarray(pixels, dtype=np.float32)})[0]
        return np.asarray(vector, dtype=np.float32).reshape(-1)


def _refuse_nan(network: Path) -> None:
    import onnx
    from google.protobuf.message import DecodeError

    try:
        tensors = onnx.load(str(network), load_external_data=False).graph.initializer
    except (DecodeError, OSError) as error:
        raise LiminalError(f"{network.name} is damaged or no ONNX file; copy or download it again.") from error
    for tensor in tensors:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise LiminalError(f"'{tensor.name}' of {network.name} lies in another file; save the network as one .onnx file.")
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise LiminalError(f"'{tensor.name}' in {network.name} holds values that are not finite (NaN); it cannot be used.")


def find(source: str) -> Fetched:
    """The description and the ONNX file that it names, both to be hashed."""
    told = fetch(source)
    if told.root.suffix != ".json":
        raise LiminalError(f"{told.root.name} is no description; name the JSON file that describes the .onnx file.")
    network = fetch(str(told.root.parent / read_description(told.root).model))
    return Fetched(told.root, told.source, "", "", {**told.files, **network.files})


def card(own: OwnModel) -> ModelCard:
    """The card of an added recogniser."""
    return added_card(own, f"{own.source}; faces found by YuNet", input_size=read_description(located(own)).input_size)


def load_own(own: OwnModel, device: torch.device) -> OnnxRecogniser:
    """The recogniser with the weights that were added; it runs on the CPU, whatever the device."""
    path = verified(own)
    description = read_description(path)
    return OnnxRecogniser(path.parent / description.model, description, card(own))
