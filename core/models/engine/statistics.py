"""What the engine has done, network by network: how full its chunks were, and how long they took."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from core.models.engine.requests import Kind


@dataclass
class Ran:
    """Chunks of one kind: how many, with how many rows of ``size`` each, in how many seconds."""

    size: int
    chunks: int = 0
    rows: int = 0
    seconds: float = 0.0


@dataclass
class Statistics:
    """Counts since the start. shared: rows that somebody else had asked for at the same time; kept: that were known already."""

    shared: int = 0
    kept: int = 0
    networks: dict[str, Ran] = field(default_factory=dict)

    def ran(self, kind: Kind, rows: int, seconds: float) -> None:
        """One chunk has gone through its network."""
        found = self.networks.setdefault(name_of(kind.network), Ran(kind.size))
        found.chunks += 1
        found.rows += rows
        found.seconds += seconds

    def as_dict(self) -> dict[str, Any]:
        """For reports: everything above, and ``filled``, the share of the chunks' rows that somebody had asked for."""
        networks = {
            name: {
                "chunks": ran.chunks,
                "rows": ran.rows,
                "filled": ran.rows / (ran.chunks * ran.size),
                "milliseconds_per_row": 1000 * ran.seconds / ran.rows,
            }
            for name, ran in self.networks.items()
        }
        return {"shared": self.shared, "kept": self.kept, "networks": networks}


def name_of(network: object) -> str:
    """For example DCGAN.images or SFaceNetwork."""
    owner = getattr(network, "__self__", None)
    if owner is not None:
        return f"{type(owner).__name__}.{getattr(network, '__name__', '')}"
    return str(getattr(network, "__qualname__", type(network).__name__))
