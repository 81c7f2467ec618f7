"""For the tests of models: a list of added ones of their own, and one thread."""

import pytest

from core.models.device import use_torch_threads


@pytest.fixture
def own_place(tmp_path, monkeypatch):
    """A data folder of its own, and no hub."""
    monkeypatch.setenv("LIMINAL_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="module")
def one_thread():
    """Tiny networks are slower on several."""
    with use_torch_threads(1):
        yield
