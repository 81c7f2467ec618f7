"""Nothing in a weight file is ever run."""

import os
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from core.errors import LiminalError
from core.models.builtin.lpips_distance import load_arrays


class Calls:
    """Pickles to a call of ``function`` with ``arguments``."""

    def __init__(self, function, *arguments):
        self.recipe = (function, arguments)

    def __reduce__(self):
        return self.recipe


@given(
    st.dictionaries(
        st.text(max_size=8),
        st.one_of(
            arrays.arrays(st.sampled_from(["<f4", ">f8", "<i8", "<f2", "|u1", "|b1"]), arrays.array_shapes(max_dims=4)).map(
                lambda array: array.T
            ),
            st.dictionaries(st.text(max_size=4), arrays.arrays(np.float64, 3), max_size=2),
        ),
        max_size=4,
    ),
    st.integers(3, 4),
)
def test_arrays_come_back_unchanged(tmp_path_factory, tree, protocol):
    path = tmp_path_factory.mktemp("arrays") / "tree.ckpt"
    path.write_bytes(pickle.dumps(tree, protocol=protocol))
    np.testing.assert_equal(load_arrays(path), tree)


@pytest.mark.parametrize("protocol", [0, 2, 5])
@pytest.mark.parametrize(
    "wrap", [lambda bad: bad, lambda bad: {"kernel": bad}, lambda bad: {"kernel": np.array([bad], dtype=object)}]
)
def test_a_malicious_pickle_is_refused_and_not_run(tmp_path, protocol, wrap):
    target, path = tmp_path / "harm", tmp_path / "weights.ckpt"
    path.write_bytes(pickle.dumps(wrap(Calls(os.mkdir, str(target))), protocol=protocol))
    pickle.loads(path.read_bytes())
    assert target.exists(), "the file is harmful when loaded carelessly"
    target.rmdir()
    with pytest.raises(LiminalError, match=r"weights\.ckpt is not a plain file of arrays"):
        load_arrays(path)
    assert not target.exists()


@pytest.mark.parametrize("function", [eval, getattr, np.load, np.dtype("f4").newbyteorder, np.ndarray.tofile])
def test_even_names_near_numpy_are_refused(tmp_path, function):
    path = tmp_path / "weights.ckpt"
    path.write_bytes(pickle.dumps({"a": Calls(function, "1")}))
    with pytest.raises(LiminalError):
        load_arrays(path)


@pytest.mark.parametrize(
    "tree", [[np.zeros(2)], {"a": [np.zeros(2)]}, {"a": 1.5}, {3: np.zeros(2)}, {"a": np.array(["text"])}, None]
)
def test_anything_but_dictionaries_of_numbers_is_refused(tmp_path, tree):
    path = tmp_path / "weights.ckpt"
    path.write_bytes(pickle.dumps(tree, protocol=3))
    with pytest.raises(LiminalError):
        load_arrays(path)


@given(st.data())
def test_a_damaged_file_is_one_sentence(tmp_path_factory, data):
    whole = bytearray(pickle.dumps({"kernel": np.arange(12, dtype=np.float32).reshape(3, 4)}, protocol=3))
    end = data.draw(st.integers(0, len(whole) - 1))
    path = tmp_path_factory.mktemp("damaged") / "weights.ckpt"
    path.write_bytes(bytes(whole[:end]))
    with pytest.raises(LiminalError, match=r"python start\.py --weights"):
        load_arrays(path)


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_an_altered_byte_never_ends_in_anything_but_arrays_or_a_sentence(tmp_path_factory, place, value):
    whole = bytearray(pickle.dumps({"kernel": np.arange(12, dtype=np.float32).reshape(3, 4)}, protocol=3))
    whole[place % len(whole)] = value
    path = tmp_path_factory.mktemp("altered") / "weights.ckpt"
    path.write_bytes(bytes(whole))
    try:
        tree = load_arrays(path)
    except LiminalError:
        return
    assert all(isinstance(item, np.ndarray | dict) for item in tree.values())
