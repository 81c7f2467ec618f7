"""Which models of a kind can be loaded: an added one whose files are gone or altered must not take the others with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.errors import LiminalError
from core.models import registry

if TYPE_CHECKING:
    from core.models.contracts import Kind


def usable(kind: Kind, first: str | None = None) -> list[str]:
    """The names of a kind, ``first`` in front, without added models that cannot be loaded.

    Raises LiminalError where ``first`` itself cannot be.
    """
    names = [name for name in registry.names(kind) if name != first]
    kept = [name for name in names if registry.entry(name).own is None or _loads(name, kind)]
    if first is None:
        return kept
    registry.load(first, kind)
    return [first, *kept]


def _loads(name: str, kind: Kind) -> bool:
    try:
        registry.load(name, kind)
    except LiminalError:
        return False
    return True
