"""The description of one picture of a head: what it refuses, and that nobody changes it afterwards."""

from __future__ import annotations

import numpy as np
import pytest

from core.errors import LiminalError
from core.models.builtin.head.description import HeadDescription


def test_arrays_become_read_only_float32_of_their_shape() -> None:
    given = np.ones(7)
    described = HeadDescription(shapes=given, styles=[0.1] * 10)  # type: ignore[arg-type]
    assert described.shapes.dtype == np.float32
    assert described.styles.shape == (10,)
    with pytest.raises(ValueError, match="read-only"):
        described.shapes[0] = 2.0
    given[0] = 5.0
    assert described.shapes[0] == 1.0


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"gaze": np.zeros(3)}, "'gaze' has the shape"),
        ({"background_blobs": np.zeros((3, 5))}, "must be 3 x 6"),
        ({"iris": np.array([0.1, np.nan, 0.2])}, "'iris' has a value that is no finite number"),
        ({"yaw": float("inf")}, "'yaw' is no finite number"),
    ],
)
def test_wrong_shapes_and_values_are_named(changed: dict[str, object], expected: str) -> None:
    with pytest.raises(LiminalError, match=expected):
        HeadDescription(**{"shapes": np.zeros(4), **changed})  # type: ignore[arg-type]
