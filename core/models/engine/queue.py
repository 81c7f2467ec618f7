"""Who is next: sessions take turns, row by row. Not thread-safe: a lane holds its lock around every call."""

from __future__ import annotations

import time
from collections import OrderedDict, deque

from core.models.engine.requests import Cell, Kind, Request, Turn, Waiting


class FairQueue:
    """Requests and turns by session, in the order in which the sessions are served."""

    def __init__(self) -> None:
        self.sessions: OrderedDict[str, deque[Waiting]] = OrderedDict()

    def __len__(self) -> int:
        return sum(len(items) for items in self.sessions.values())

    def put(self, item: Waiting) -> None:
        """Behind what this session asked for already."""
        self.sessions.setdefault(item.visit.session, deque()).append(item)

    def remove(self, item: Waiting) -> None:
        """Take something out, wherever it is."""
        items = self.sessions.get(item.visit.session)
        if items is not None and item in items:
            items.remove(item)
            if not items:
                del self.sessions[item.visit.session]

    def ahead(self, item: Waiting) -> int:
        """How many sessions are served before this one."""
        names = list(self.sessions)
        return names.index(item.visit.session) if item.visit.session in self.sessions else 0

    def next(self, patience: float) -> tuple[Waiting | None, float]:
        """What is to be done now, and else how many seconds to wait for more rows of what is there.

        A turn, or a request whose chunk is full or which has waited for ``patience`` seconds; by the order of the sessions.
        """
        now, soonest = time.monotonic(), patience
        counts: dict[Kind, int] = {}
        for items in self.sessions.values():
            for item in items:
                if isinstance(item, Request):
                    counts[item.kind] = counts.get(item.kind, 0) + len(item.pending)
        for items in self.sessions.values():
            for item in items:
                if isinstance(item, Turn):
                    return item, 0.0
                remaining = item.since + patience - now
                if counts[item.kind] >= item.kind.size or remaining <= 0:
                    return item, 0.0
                soonest = min(soonest, remaining)
        return None, soonest

    def grant(self, turn: Turn) -> None:
        """The turn's session goes to the end of the line."""
        self.remove(turn)
        self._to_the_end(turn.visit.session)

    def take(self, first: Request) -> list[Cell]:
        """The next chunk: rows of ``first``'s kind, one of each session in turns, its own session's first."""
        taken: list[Cell] = []
        order = [first.visit.session, *(name for name in self.sessions if name != first.visit.session)]
        sources = {name: deque(self._of_kind(name, first)) for name in order}
        while len(taken) < first.kind.size and any(sources.values()):
            for name in order:
                requests = sources[name]
                while requests and not requests[0].pending:
                    requests.popleft()
                if requests and len(taken) < first.kind.size:
                    taken.append(requests[0].pending.popleft())
        for name in order:
            self._drop_empty(name)
        self._to_the_end(first.visit.session)
        return taken

    def _of_kind(self, session: str, first: Request) -> list[Request]:
        found = [item for item in self.sessions[session] if isinstance(item, Request) and item.kind == first.kind]
        return sorted(found, key=lambda item: item is not first)

    def _drop_empty(self, session: str) -> None:
        items = self.sessions[session]
        kept = deque(item for item in items if isinstance(item, Turn) or item.pending)
        if kept:
            self.sessions[session] = kept
        else:
            del self.sessions[session]

    def _to_the_end(self, session: str) -> None:
        if session in self.sessions:
            self.sessions.move_to_end(session)
