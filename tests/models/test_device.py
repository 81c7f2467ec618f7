"""The device is chosen in one place, and a search computes in bfloat16 only where that is native."""

import pytest
import torch

from core.errors import LiminalError
from core.models.device import choose_device, search_precision


def test_the_device_asked_for_is_taken(monkeypatch):
    monkeypatch.setenv("LIMINAL_DEVICE", "cpu")
    assert choose_device() == torch.device("cpu")
    assert choose_device("cpu") == torch.device("cpu")


def test_what_is_no_device_is_refused(monkeypatch):
    with pytest.raises(LiminalError, match="'toaster' is no device"):
        choose_device("toaster")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(LiminalError, match="No CUDA device"):
        choose_device("cuda")


@pytest.mark.parametrize(("native", "expected"), [(True, torch.bfloat16), (False, torch.float32)])
def test_bfloat16_only_where_it_is_native(monkeypatch, native, expected):
    for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: native, raising=False)
    assert search_precision(torch.device("cpu")) == expected
    assert search_precision(torch.device("mps")) == torch.float32
