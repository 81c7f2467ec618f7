"""The generator in an official StyleGAN2 pickle (stylegan2-ada-pytorch, stylegan3), read without running anything in it.

Such a file holds, beside its tensors, the source of the networks' classes, which the official loader executes
(``torch_utils.persistence``). Here every name in the file is looked up in a table of stand-ins that only put together plain
containers: a persistent object becomes its class's name and its state, ``dnnlib.EasyDict`` a dict, a tensor a record of its bytes.
Any other name is refused before it is imported. The stand-ins cannot be altered by what the file says of them (``BUILD``): they
are named tuples and built-in types. Tensors are made afterwards, of G_ema alone, from storages that torch reads with
``weights_only``, once their bounds are checked.
"""

from __future__ import annotations

import io
import math
import pickle
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from core.errors import LiminalError


class _StandIn(NamedTuple):
    """A callable without attributes that a file could set."""

    make: Callable[..., Any]

    def __call__(self, *arguments: Any) -> Any:
        return self.make(*arguments)


class _PersistentObject(NamedTuple):
    """An object of ``torch_utils.persistence``: for a network the state of an nn.Module. Its source is dropped."""

    class_name: str
    state: dict[str, Any]


class _StorageRecord(NamedTuple):
    content: bytes  # what torch.save wrote of one storage


class _TensorRecord(NamedTuple):
    storage: _StorageRecord
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


class _NumberType:
    """Stands in for numpy.dtype; its later state (byte order, fields) is dropped."""

    __slots__ = ("code",)

    def __init__(self, code: Any) -> None:
        self.code = code

    def __setstate__(self, state: Any) -> None:
        pass


class _NumPyArray:
    """Stands in for an array, whose content no setting of StyleGAN2 needs (StyleGAN3 has some)."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        pass


SCALAR_FORMATS: Mapping[Any, str] = {"f8": "<d", "f4": "<f", "i8": "<q", "i4": "<i", "b1": "<?"}
"""NumPy's element types of single numbers, such as a layer's gain."""


def _keep_persistent(meta: Any) -> _PersistentObject:
    if not isinstance(meta, dict) or meta.get("type") != "class" or not isinstance(meta.get("state"), dict):
        raise pickle.UnpicklingError("a persistent object without a class and a state")
    return _PersistentObject(str(meta.get("class_name")), meta["state"])


def _keep_storage(content: Any) -> _StorageRecord:
    if not isinstance(content, bytes):
        raise pickle.UnpicklingError("a storage without bytes")
    return _StorageRecord(content)


def _keep_tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> _TensorRecord:
    return _TensorRecord(storage, offset, size, stride)


def _read_scalar(kind: Any, content: Any) -> Any:
    if not isinstance(kind, _NumberType) or kind.code not in SCALAR_FORMATS or not isinstance(content, bytes):
        raise pickle.UnpicklingError("a number of an unusual type")
    return struct.unpack(SCALAR_FORMATS[kind.code], content)[0]


_ALLOWED_NAMES: Mapping[tuple[str, str], Any] = {
    ("torch_utils.persistence", "_reconstruct_persistent_obj"): _StandIn(_keep_persistent),
    ("dnnlib.util", "EasyDict"): dict,
    ("collections", "OrderedDict"): dict,
    ("builtins", "set"): set,
    ("__builtin__", "set"): set,
    ("torch.storage", "_load_from_bytes"): _StandIn(_keep_storage),
    ("torch._utils", "_rebuild_tensor_v2"): _StandIn(_keep_tensor),
    ("torch._utils", "_rebuild_parameter"): _StandIn(lambda tensor, *_: tensor),
    ("numpy", "dtype"): _StandIn(lambda code, *_: _NumberType(code)),
    ("numpy", "ndarray"): None,
    **{(f"numpy.{core}.multiarray", "scalar"): _StandIn(_read_scalar) for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _StandIn(lambda *_: _NumPyArray()) for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _StandIn(lambda *_: _NumPyArray()) for core in ("core", "_core")},
}
"""Every name that an official file may hold, and what stands in for it."""

TENSORFLOW_NAME = ("dnnlib.tflib.network", "Network")


class _RefusedNameError(pickle.UnpicklingError):
    def __init__(self, module: str, name: str) -> None:
        super().__init__(f"{module}.{name}")
        self.of_tensorflow = (module, name) == TENSORFLOW_NAME


class _Unpickler(pickle._Unpickler):
    """Admits the names of ``_ALLOWED_NAMES``; any other one is refused before it is imported.

    pickle's version in Python: of the one in C ten bytes can ask for any amount of memory (a large index of its memo).
    """

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED_NAMES:
            raise _RefusedNameError(module, name)
        return _ALLOWED_NAMES[module, name]


@dataclass(frozen=True)
class OfficialGenerator:
    """G_ema: its state dict, and the plain attributes of every module by its name ("" is the generator itself)."""

    tensors: dict[str, Tensor]
    attributes: dict[str, dict[str, Any]]


def read_official_pickle(path: Path) -> OfficialGenerator:
    """The generator G_ema of an official .pkl file; nothing in it is run.

    Raises LiminalError that names what the file calls beside the networks, or says that it is damaged or holds no G_ema.
    """
    try:
        with path.open("rb") as file:
            content = _Unpickler(file).load()
    except _RefusedNameError as error:
        if error.of_tensorflow:
            raise LiminalError(
                f"{path.name} is StyleGAN2's older file for TensorFlow; take the one for PyTorch, or convert it in a checkout of "
                f"stylegan3: python legacy.py --source={path.name} --dest=converted.pkl"
            ) from error
        raise LiminalError(
            f"{path.name} calls {error}, which no official StyleGAN2 file does and which is never run; take the file from "
            "its makers, or save G_ema's state_dict() as .safetensors."
        ) from error
    except Exception as error:  # damaged bytes can end in any exception, says the documentation of pickle
        raise LiminalError(f"{path.name} is damaged or no official StyleGAN2 pickle; copy or download it again.") from error
    generator = content.get("G_ema") if isinstance(content, dict) else None
    if not isinstance(generator, _PersistentObject):
        raise LiminalError(f"{path.name} holds no generator called G_ema; take an official StyleGAN2 file.")
    try:
        modules = dict(_walk_modules(generator, ""))
        tensors = {
            f"{name}.{key}" if name else key: _make_tensor(record)
            for name, module in modules.items()
            for key, record in _list_state(module)
        }
    except Exception as error:  # forged bounds, a storage that is none, a module inside itself
        raise LiminalError(f"The generator in {path.name} is damaged; copy or download the file again.") from error
    plain = (str, int, float, type(None))
    attributes = {
        name: {key: value for key, value in module.state.items() if isinstance(value, plain)} for name, module in modules.items()
    }
    return OfficialGenerator(tensors, attributes)


def _walk_modules(module: _PersistentObject, name: str) -> Iterator[tuple[str, _PersistentObject]]:
    """A module and all below it, with their names as in a state dict."""
    yield name, module
    for key, child in module.state["_modules"].items():
        if child is not None:
            if not isinstance(child, _PersistentObject):
                raise pickle.UnpicklingError(f"'{key}' is no module")
            yield from _walk_modules(child, f"{name}.{key}" if name else key)


def _list_state(module: _PersistentObject) -> Iterator[tuple[str, Any]]:
    """What a state dict holds of a module itself: parameters and persistent buffers."""
    skipped = module.state.get("_non_persistent_buffers_set", ())
    for key, record in (module.state["_parameters"] | module.state["_buffers"]).items():
        if record is not None and key not in skipped:
            yield key, record


def _make_tensor(record: Any) -> Tensor:
    """The tensor of a record. Raises ValueError where it reaches beyond its storage."""
    if not isinstance(record, _TensorRecord) or not isinstance(record.storage, _StorageRecord):
        raise ValueError("no tensor")
    storage = torch.load(io.BytesIO(record.storage.content), map_location="cpu", weights_only=True)
    flat = torch.empty(0, dtype=storage.dtype).set_(storage)
    size, stride, offset = record.size, record.stride, record.offset
    numbers = (*size, *stride, offset)
    if len(size) != len(stride) or not all(type(number) is int and number >= 0 for number in numbers):
        raise ValueError("a tensor of no shape")
    last = offset + sum((count - 1) * step for count, step in zip(size, stride, strict=True))
    if math.prod(size) > flat.numel() or last >= flat.numel():
        raise ValueError("a tensor beyond its storage")
    return flat.as_strided(size, stride, offset).clone(memory_format=torch.contiguous_format)


MAPPING_LAYER_RATE = 0.01


def read_clamp(generator: OfficialGenerator, path: Path) -> float | None:
    """The limit of activations that the network was trained with; None for none.

    Raises LiminalError where the networks were built otherwise than ``stylegan2.py`` computes: another activation or architecture,
    another rate of the mapping layers, or limits that differ between layers.
    """
    limits = {row["conv_clamp"] for row in generator.attributes.values() if "conv_clamp" in row}
    for name, row in generator.attributes.items():
        layer = name.rpartition(".")[2]
        expected: dict[str, Any] = {}
        if layer in ("conv0", "conv1") or (layer.startswith("fc") and name.startswith("mapping.")):
            expected["activation"] = "lrelu"
        if layer.startswith("fc") and name.startswith("mapping."):
            expected["bias_gain"] = MAPPING_LAYER_RATE
        if name.count(".") == 1 and name.startswith("synthesis.b"):
            expected["architecture"] = "skip"
        for key, value in expected.items():
            if row.get(key, value) != value:
                raise LiminalError(
                    f"'{name}' in {path.name} has {key} {row[key]}, where the generators that can be added have {value}."
                )
    if len(limits) > 1 or not all(limit is None or (type(limit) in (int, float) and limit > 0) for limit in limits):
        raise LiminalError(f"The layers of {path.name} have different limits of activations (conv_clamp), which cannot be added.")
    limit = limits.pop() if limits else None
    return None if limit is None else float(limit)
