"""The cache stays within its bytes and lets go of what was unused for longest; sizes are those of what a result holds."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.result_cache import ResultCache, measure_bytes


def test_the_most_recently_used_stay():
    cache = ResultCache(2, len)
    cache.put("a", b"1")
    cache.put("b", b"2")
    assert cache.get("a") == b"1"  # used: now the younger one
    cache.put("c", b"3")
    assert (cache.get("a"), cache.get("b"), cache.get("c"), len(cache), cache.bytes) == (b"1", None, b"3", 2, 2)
    cache.clear()
    assert (cache.get("a"), len(cache), cache.bytes) == (None, 0, 0)


def test_what_is_larger_than_the_cache_is_not_stored_and_its_old_value_is_gone():
    cache = ResultCache(3, len)
    assert cache.put("a", b"12") == b"12"
    assert cache.put("a", b"1234") == b"1234"
    assert (cache.get("a"), cache.bytes) == (None, 0)


def test_values_are_bounded_in_number_too():
    cache = ResultCache(100, len, max_entries=2)
    for name in "abc":
        cache.put(name, b"1")
    assert [name for name in "abc" if cache.get(name) is not None] == ["b", "c"]


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.binary(max_size=9)), max_size=40), st.integers(0, 20))
def test_it_stays_within_its_bytes(puts, most):
    cache, now = ResultCache(most, len), {}
    for name, value in puts:
        cache.put(name, value)
        now[name] = value
        assert cache.bytes <= most
    known = {name: cache.get(name) for name in now if cache.get(name) is not None}
    assert cache.bytes == sum(len(value) for value in known.values())
    assert all(now[name] == value for name, value in known.items())


@dataclass
class Result:
    image: Any
    more: Any


def test_sizes_are_those_of_the_content():
    image = np.zeros((100, 100, 3), np.uint8)
    assert 30_000 <= measure_bytes(image) < 30_500
    assert measure_bytes(image[:50]) >= 30_000  # a view keeps the whole array
    assert measure_bytes([image, image, image[:9]]) < 31_500  # each object counts once
    assert measure_bytes({"a": Result(image, b"1" * 5000)}) >= 35_000
    assert measure_bytes(torch.zeros(1000)) >= 4000
    assert measure_bytes(pd.DataFrame({"name": ["abc"] * 1000})) >= 8000
    rows = []
    rows.append(rows)  # a circle ends
    assert measure_bytes(rows) < 200
