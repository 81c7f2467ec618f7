"""``models.json``: the models that a user added. Reading it needs no torch, so that pages can list names."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from core.data_folder import chosen_folder, data_folder
from core.errors import LiminalError
from core.models.own import prepared
from core.writing import write_bytes

FILE = "models.json"

LOOK_SECONDS = 0.25
"""How old a look at the file may be: a page asks for names hundreds of times, and another process changes them rarely."""

_lock = threading.RLock()
_read: dict[Path, tuple[tuple[int, int], tuple[OwnModel, ...]]] = {}
_looked: dict[Path, float] = {}


@dataclass(frozen=True)
class OwnModel:
    """One added model: which code runs it, where its weights lie, and what they were when it was added."""

    name: str
    model_class: str  # a key of ``classes.CLASSES``
    source: str  # an absolute path, or owner/name of a hub repository, or a name that a library knows
    options: Mapping[str, Any] = field(default_factory=dict)
    title: str = ""
    revision: str = ""  # the repository's commit; empty for a path
    files: Mapping[str, str] = field(default_factory=dict)  # path inside the source -> SHA-256
    weights_licence: str = ""
    data_licence: str = ""
    added: str = ""  # ISO date
    facts: Mapping[str, Any] = field(default_factory=dict)  # read off the loaded model, so that pages know them without loading it


def place() -> Path:
    """Where the list is kept."""
    return data_folder() / FILE


def own_models() -> tuple[OwnModel, ...]:
    """All added models, in the order in which they were added. Raises LiminalError where the list is damaged."""
    path = chosen_folder() / FILE
    with _lock:
        if time.monotonic() - _looked.get(path, -math.inf) < LOOK_SECONDS:
            return _read[path][1]
        return _look(path)


def _look(path: Path) -> tuple[OwnModel, ...]:
    """What the file holds now; it is read where it has changed."""
    now = time.monotonic()
    try:
        stat = path.stat()
        version = stat.st_mtime_ns, stat.st_size
    except OSError:
        version = 0, 0
    if path not in _read or _read[path][0] != version:
        _read[path] = version, _parse(path) if any(version) else ()
    _looked[path] = now
    return _read[path][1]


def _parse(path: Path) -> tuple[OwnModel, ...]:
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["models"]
        models = tuple(OwnModel(**row) for row in rows)
        sound = all(
            isinstance(each.name, str) and isinstance(each.options, dict) and isinstance(each.files, dict) for each in models
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise LiminalError(f"The list of added models, {path}, is damaged; mend it or delete it and add them again.") from error
    if not sound:
        raise LiminalError(f"The list of added models, {path}, is damaged; mend it or delete it and add them again.")
    return models


def keep(model: OwnModel) -> None:
    """Add a model to the list, or replace the one of that name; what was worked out for that one is forgotten."""
    with _lock:
        others = [each for each in _look(place()) if each.name != model.name]
        _write([*others, model])
        prepared.forget(model.name)


def remove(name: str) -> OwnModel:
    """Take a model off the list; its own files stay where they are, what was worked out for it goes.

    Raises LiminalError where there is none of that name.
    """
    with _lock:
        known = _look(place())
        found = next((each for each in known if each.name == name), None)
        if found is None:
            names = ", ".join(each.name for each in known) or "none so far"
            raise LiminalError(f"No added model is called '{name}'; those added are: {names}.")
        _write([each for each in known if each is not found])
        prepared.forget(name)
        return found


def _write(models: list[OwnModel]) -> None:
    write_bytes(place(), (json.dumps({"models": [asdict(each) for each in models]}, indent=1) + "\n").encode())
    _looked.clear()
