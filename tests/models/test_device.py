"""The device is chosen in one place, and a search computes in bfloat16 only where that is native."""

import pytest
import torch

from core.errors import LiminalError
from core.models.device import choose_device, choose_picture_precision, choose_search_precision


def test_the_device_asked_for_is_taken(monkeypatch):
    monkeypatch.setenv("LIMINAL_DEVICE", "cpu")
    assert choose_device() == torch.device("cpu")
    assert choose_device("cpu") == torch.device("cpu")


@pytest.fixture
def machine(monkeypatch):
    """What this machine is said to hold: so many CUDA devices, and MPS or not."""
    backend = torch.backends.cudnn
    for name in ("allow_tf32", "benchmark", "deterministic"):
        monkeypatch.setattr(backend, name, getattr(backend, name))  # put back after the test

    def holds(cuda=0, mps=False):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    monkeypatch.delenv("LIMINAL_DEVICE", raising=False)
    holds()
    return holds


@pytest.mark.parametrize(("cuda", "mps", "chosen"), [(2, True, "cuda"), (2, False, "cuda"), (0, True, "mps"), (0, False, "cpu")])
def test_the_fastest_device_there_is_is_chosen(machine, cuda, mps, chosen):
    machine(cuda, mps)
    assert choose_device() == torch.device(chosen)
    assert choose_device("cpu") == torch.device("cpu")


def test_on_cuda_the_same_kernels_compute_in_full_float32(machine):
    machine(cuda=1)
    torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic = True, False
    choose_device("cuda:0")
    assert not torch.backends.cudnn.allow_tf32
    assert torch.backends.cudnn.deterministic


def test_what_is_no_device_is_refused(machine):
    for wanted, reason in {
        "toaster": "'toaster' is no device",
        "xpu": "no device that models are tried on",
        "cuda": "No CUDA device",
        "mps": "no MPS device",
    }.items():
        with pytest.raises(LiminalError, match=reason):
            choose_device(wanted)
    machine(cuda=2)
    assert choose_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(LiminalError, match="no device cuda:2 in this machine; there is cuda:0, cuda:1"):
        choose_device("cuda:2")


@pytest.mark.parametrize(("native", "expected"), [(True, torch.bfloat16), (False, torch.float32)])
def test_bfloat16_only_where_it_is_native(monkeypatch, native, expected):
    for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: native, raising=False)
    assert choose_search_precision(torch.device("cpu")) == expected
    assert choose_search_precision(torch.device("mps")) == torch.float32


def test_only_pictures_are_made_in_half_precision():
    assert [choose_picture_precision(torch.device(each)) for each in ("cpu", "cuda", "mps")] == [
        torch.float32,
        torch.float16,
        torch.float16,
    ]
