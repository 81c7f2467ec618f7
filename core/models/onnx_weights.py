"""Weights of an ONNX file as plain arrays, with block-quantised ones dequantised once. No ONNX runtime is needed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray


@dataclass(frozen=True)
class Node:
    """One operation of the graph that is left after all constants have been worked out."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]


@dataclass(frozen=True)
class Graph:
    """The operations in order, and every constant tensor by name."""

    nodes: tuple[Node, ...]
    constants: dict[str, NDArray[Any]]


def dequantise(
    quantised: NDArray[Any], scales: NDArray[Any], zero_points: NDArray[Any], axis: int, block_size: int
) -> NDArray[np.float32]:
    """(q - zero point) * scale, one scale a block along ``axis`` (ONNX operator DequantizeLinear, version 21).

    The last block may be shorter than ``block_size``.
    """
    length = quantised.shape[axis]
    scale = np.repeat(scales, block_size, axis=axis).take(np.arange(length), axis=axis)
    zero = np.repeat(zero_points, block_size, axis=axis).take(np.arange(length), axis=axis)
    # Whole numbers first: int8 minus int8 would wrap around.
    values: NDArray[np.float32] = (quantised.astype(np.int32) - zero.astype(np.int32)).astype(np.float32) * scale
    return values


def read_graph(path: Path) -> Graph:
    """Read the file and work out its constant part: initialisers, DequantizeLinear and Reshape of constants."""
    graph = onnx.load(str(path)).graph
    constants: dict[str, NDArray[Any]] = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    nodes: list[Node] = []
    for raw in graph.node:
        attributes = {item.name: onnx.helper.get_attribute_value(item) for item in raw.attribute}
        inputs, outputs = tuple(raw.input), tuple(raw.output)
        values = [constants.get(name) for name in inputs]
        known = [value for value in values if value is not None]
        constant = bool(values) and len(known) == len(values)
        if raw.op_type == "Constant":
            constants[outputs[0]] = onnx.numpy_helper.to_array(attributes["value"])
        elif constant and raw.op_type == "DequantizeLinear":
            constants[outputs[0]] = dequantise(known[0], known[1], known[2], attributes["axis"], attributes["block_size"])
        elif constant and raw.op_type == "Reshape":
            constants[outputs[0]] = known[0].reshape(known[1])
        else:
            nodes.append(Node(raw.op_type, inputs, outputs, attributes))
    return Graph(tuple(nodes), constants)
