"""What there is: every model with its source, licences and size; and one model tried out."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from core.errors import LiminalError
from core.models import registry
from core.models.checking import check
from core.models.checkpoint_classifier import ORDERS
from core.models.device import choose_device


@dataclass(frozen=True)
class Described:
    """A model as its card and its files tell, without loading it. ``problem``: why it cannot be used, in one sentence."""

    source: str
    weights_licence: str
    data_licence: str
    not_for: str
    bytes_on_disk: int
    problem: str = ""
    bytes_in_memory: int = 0  # of the model as it is loaded now; 0 where it is not, or holds no tensors
    device: str = "cpu"  # that models are loaded on unless they are asked for elsewhere
    outputs: Mapping[int, str] = field(default_factory=dict)  # of an added classifier whose labels can be corrected


@dataclass(frozen=True)
class Tried:
    """A model loaded and checked. ``findings``: breaches of its contract; an only one where it could not be loaded."""

    findings: tuple[str, ...]
    milliseconds: float  # an image; NaN where it could not be loaded
    bytes_in_memory: int
    device: str


def describe(entry: registry.Entry) -> Described:
    """The card of a line and the state of its files, which are hashed."""
    try:
        card = registry.card(entry)
    except LiminalError as error:
        return Described(entry.own.source if entry.own else "", "", "", "", 0, str(error))
    size, problem = 0, ""
    for file in card.files:
        try:
            size += file.verified().stat().st_size
        except LiminalError as error:
            problem = problem or str(error)
    loaded = registry.loaded(entry)
    memory = 0 if loaded is None else bytes_of(loaded)
    outputs = {} if problem else _outputs(entry)
    return Described(
        card.source, card.weights_licence, card.data_licence, card.not_for, size, problem, memory, str(choose_device()), outputs
    )


def _outputs(entry: registry.Entry) -> dict[int, str]:
    """An added classifier's own words for its outputs, where its class can tell them."""
    if entry.own is None or "labels" not in entry.own.options:
        return {}
    module = importlib.import_module(entry.module)
    if not hasattr(module, "outputs"):
        return dict(enumerate(ORDERS.get(entry.own.options.get("order", ""), ())))
    try:
        return dict(module.outputs(entry.own))
    except LiminalError:
        return {}


def describe_all() -> dict[str, Described]:
    """Every model by its name."""
    return {entry.name: describe(entry) for entry in registry.entries()}


def try_out(name: str, device: str | None = None) -> Tried:
    """Load a model and run its check. Raises LiminalError for a name that there is not."""
    entry, place = registry.entry(name), choose_device(device)
    try:
        model = registry.load(entry.name, entry.kind, str(place))
    except LiminalError as error:
        return Tried((str(error),), float("nan"), 0, str(place))
    report = check(model)
    return Tried(report.findings, report.milliseconds_per_image, bytes_of(model), str(getattr(model, "device", place)))


def bytes_of(model: object) -> int:
    """Bytes of all parameters and buffers that a model's networks hold, each counted once."""
    tensors: dict[int, torch.Tensor] = {}
    todo: list[Any] = [model]
    seen: set[int] = set()
    while todo:
        each = todo.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, nn.Module):
            tensors |= {id(tensor): tensor for tensor in (*each.parameters(), *each.buffers())}
        elif isinstance(each, Sequence) and not isinstance(each, str | bytes):
            todo += list(each)[:16]
        elif type(each).__module__.startswith("core.models") and hasattr(each, "__dict__"):
            todo += list(vars(each).values())
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
