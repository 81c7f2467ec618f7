"""A queue that is fair between owners, such as visitors or sessions: whoever was served goes to the end of the line.

Jobs wait in one (``ui.jobs``), and requests to networks in another (``core.models.engine.queue``).
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class FairQueue(Generic[Item]):
    """Waiting items by owner, in the order in which the owners are served. Not thread-safe: its user holds a lock."""

    def __init__(self) -> None:
        self._lines: OrderedDict[str, deque[Item]] = OrderedDict()

    def __len__(self) -> int:
        return sum(len(line) for line in self._lines.values())

    def owners(self) -> list[str]:
        """Everybody who waits, in the order in which they are served."""
        return list(self._lines)

    def items(self) -> list[Item]:
        """Everything that waits, owner by owner."""
        return [item for line in self._lines.values() for item in line]

    def items_of(self, owner: str) -> list[Item]:
        """What one owner waits for, in order; nothing for one who does not wait."""
        return list(self._lines.get(owner, ()))

    def put(self, owner: str, item: Item) -> None:
        """Queue an item behind what this owner asked for already."""
        self._lines.setdefault(owner, deque()).append(item)

    def remove(self, owner: str, item: Item) -> None:
        """Take an item out, wherever it is; nothing happens where it does not wait."""
        line = self._lines.get(owner)
        if line is not None and item in line:
            line.remove(item)
            if not line:
                del self._lines[owner]

    def move_to_end(self, owner: str) -> None:
        """The owner was served: everybody else who waits comes first."""
        if owner in self._lines:
            self._lines.move_to_end(owner)

    def take(self, allowed: Callable[[str], bool] = lambda owner: True) -> Item | None:
        """Take the next item of the first owner who is allowed one, and send this owner to the end; None where there is none."""
        owner = next((owner for owner in self._lines if allowed(owner)), None)
        if owner is None:
            return None
        item = self._lines[owner][0]
        self.remove(owner, item)
        self.move_to_end(owner)
        return item

    def before(self, owner: str, item: Item) -> list[Item]:
        """The items that are taken before this one, if all owners take turns; none where it does not wait."""
        line = self.items_of(owner)
        if item not in line:
            return []
        rounds, reached = line.index(item), False
        ahead = line[:rounds]
        for name, others in self._lines.items():
            if name == owner:
                reached = True
            else:
                ahead += list(others)[: rounds if reached else rounds + 1]
        return ahead
