"""Weight files: missing, truncated or altered ones give one sentence with the file, the hash and the command that mends it."""

import hashlib

import pytest
import torch

from core.errors import LiminalError
from core.models import registry
from core.models.weights import REPAIR_COMMAND, WeightFile

CONTENT = b"weights" * 100


@pytest.fixture
def file(tmp_path, monkeypatch):
    package = tmp_path / "planted_weights"
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError('a weight package is never imported')")
    (package / "model.bin").write_bytes(CONTENT)
    monkeypatch.syspath_prepend(str(tmp_path))
    return WeightFile("planted-weights==1.0", "planted_weights", "model.bin", hashlib.sha256(CONTENT).hexdigest())


def test_the_right_bytes_are_found_without_importing_the_package(file):
    assert file.verified().read_bytes() == CONTENT


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT[:-1] + b"x", b""], ids=["truncated", "altered", "empty"])
def test_other_bytes_are_refused(file, content):
    file.locate().write_bytes(content)
    with pytest.raises(LiminalError) as caught:
        file.verified()
    message = str(caught.value)
    assert "model.bin" in message
    assert file.sha256 in message
    assert REPAIR_COMMAND in message
    assert "\n" not in message


def test_bytes_changed_after_the_first_check_are_refused(file):
    file.verified()
    file.locate().write_bytes(CONTENT + b"!")
    with pytest.raises(LiminalError):
        file.verified()


def test_a_missing_file_or_package_is_named(file):
    file.locate().unlink()
    with pytest.raises(LiminalError, match=r"model\.bin is missing"):
        file.verified()
    with pytest.raises(LiminalError, match="not installed"):
        WeightFile("nowhere==1", "no_such_package_at_all", "a.bin", "0").verified()


def test_an_unknown_model_is_answered_with_the_known_ones():
    with pytest.raises(LiminalError, match="dlib, sface"):
        registry.load("dlibb", "recogniser")


def test_a_model_is_loaded_once():
    assert registry.load("dcgan", "generator", "cpu") is registry.load("dcgan", "generator", "cpu")


def test_a_model_first_loaded_in_inference_mode_still_takes_gradients(monkeypatch):
    monkeypatch.setattr(registry, "_loaded", {})
    with torch.inference_mode():
        registry.load("mini-xception", "classifier", "cpu")
    images = torch.rand(1, 3, 64, 64, requires_grad=True)
    registry.load("mini-xception", "classifier", "cpu").logits(images).sum().backward()
    assert images.grad is not None
