"""Many visitors of one server at once: ``python tests/load/visitors.py --count 30 --seconds 60 --interactions 2000``.

Starts the app on loopback in a process of its own, with a data folder of its own, and lets visitors come, press faces of the
gallery, wait for what is made, fetch its pictures and leave again, over Streamlit's own protocol. Says how long an answer takes,
whether anything went wrong, whether anybody saw somebody else's page, and how much memory the server has before and after. Then it
asks the server to end.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles

import psutil
from streamlit_client import Answer, Visitor, picture

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("phone", "phone", "identity", "emotion")
POLL_SECONDS = 0.7
MADE = re.compile(r"/faces/[0-9a-f]{32}\.webp")
PARTS = 4
ARRIVE_WITHIN = 10.0  # seconds
VISITS_LAST = (3, 8)  # clicks


@dataclass
class Tally:
    """What all visitors saw together."""

    clicks: list[float] = field(default_factory=list)
    entries: list[float] = field(default_factory=list)
    polls: list[float] = field(default_factory=list)
    errors: collections.Counter[str] = field(default_factory=collections.Counter)
    crossed: list[str] = field(default_factory=list)
    made: dict[tuple[str, str], set[str]] = field(default_factory=lambda: collections.defaultdict(set))
    """(page, base) -> addresses of the pictures that were made for it."""
    pictures: int = 0

    @property
    def interactions(self) -> int:
        return len(self.clicks) + len(self.entries)

    def take(self, page: str, base: str, answer: Answer) -> list[str]:
        """Note an answer's errors and the pictures it names."""
        self.errors.update(answer.errors)
        found = MADE.findall(answer.text)
        self.made[page, base].update(found)
        return found


async def explore(visitor: Visitor, crowd: Crowd, chance: random.Random) -> None:
    """One visit: enter, press some faces, look at what comes, leave."""
    entered = await visitor.enter()
    tally = crowd.tally
    tally.entries.append(entered.seconds)
    tally.take(visitor.page, "", entered)
    tiles = [tile["id"] for tile in visitor.component_json["gallery"]["groups"][0]["tiles"]]
    for _ in range(chance.randint(*VISITS_LAST)):
        if crowd.stop.is_set():
            break
        await look(visitor, crowd, chance.expovariate(1 / crowd.pause) if crowd.pause else 0.0)
        base = chance.choice(tiles)
        answer = await visitor.pick("gallery", base)
        tally = crowd.tally
        tally.clicks.append(answer.seconds)
        addresses = tally.take(visitor.page, base, answer)
        shown = visitor.component_json["gallery"]["selected"]
        if shown != base or f"base={base}" not in visitor.query:
            tally.crossed.append(f"{visitor.page}: pressed {base}, shown {shown}, address {visitor.query}")
        for address in addresses[:2]:
            status, size = await picture(visitor.port, address)
            tally.pictures += 1
            if status != 200 or not size:
                tally.errors[f"picture: {status}"] += 1
    await visitor.leave()


async def look(visitor: Visitor, crowd: Crowd, seconds: float) -> None:
    """Stay on the page; what it polls is asked for, as a browser does."""
    until = time.perf_counter() + seconds
    base = visitor.query.partition("base=")[2].partition("&")[0]
    while (left := until - time.perf_counter()) > 0:
        await asyncio.sleep(min(POLL_SECONDS, left))
        for fragment in list(visitor.fragments):
            if fragment not in visitor.fragments:
                continue
            answer = await visitor.run(fragment=fragment)
            crowd.tally.polls.append(answer.seconds)
            crowd.tally.take(visitor.page, base, answer)


@dataclass
class Crowd:
    """``count`` visitors at once, one after another in each place; they come within the first seconds."""

    port: int
    count: int
    pause: float
    tally: Tally = field(default_factory=Tally)
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, warm: float, seconds: float, interactions: int, look: Callable[[], None]) -> None:
        """Traffic that is not counted, then what is; ``look`` is called before and after each of its parts."""
        places = asyncio.gather(*(self._place(number) for number in range(self.count)))
        await asyncio.sleep(warm)
        self.tally = Tally()
        look()
        began = time.perf_counter()
        for part in range(1, PARTS + 1):
            until = began + seconds * part / PARTS
            while time.perf_counter() < until and self.tally.interactions < interactions * part / PARTS:
                await asyncio.sleep(0.1)
            look()
        self.stop.set()
        await places

    async def _place(self, number: int) -> None:
        chance = random.Random(number)
        await asyncio.sleep(chance.uniform(0, ARRIVE_WITHIN))
        while not self.stop.is_set():
            visitor = Visitor(self.port, page=chance.choice(PAGES))
            try:
                await asyncio.wait_for(explore(visitor, self, chance), 180)
            except Exception as error:
                self.tally.errors[f"{type(error).__name__}: {error}"] += 1
                with contextlib.suppress(Exception):
                    await visitor.leave()


@contextlib.contextmanager
def server(folder: str, settings: dict[str, str]):
    """The app on a free port of loopback -> (its process, port)."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port), "--server.address", "127.0.0.1"]
    environment = {**os.environ, "LIMINAL_DATA_DIR": folder, "MALLOC_ARENA_MAX": "2", **settings}
    with (Path(folder) / "server.log").open("w") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        for _ in range(600):
            if process.poll() is not None:
                raise SystemExit((Path(folder) / "server.log").read_text())
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=2):
                break
            time.sleep(0.2)
        yield process, port
    finally:
        process.kill()
        process.wait()


@dataclass(frozen=True)
class Moment:
    """What the server had used by then."""

    at: float
    interactions: int
    memory: float
    """Megabytes that are resident."""
    processor: float
    """Seconds."""


def moment(process: subprocess.Popen[bytes], tally: Tally) -> Moment:
    """Now."""
    seen = psutil.Process(process.pid)
    times = seen.cpu_times()
    return Moment(time.perf_counter(), tally.interactions, seen.memory_info().rss / 1e6, times.user + times.system)


def said(name: str, seconds: list[float]) -> str:
    """Median and the slow end."""
    if len(seconds) < 2:
        return f"{name}: {len(seconds)}"
    return f"{name}: {len(seconds)}, median {median(seconds):.3f} s, nine in ten under {quantiles(seconds, n=10)[-1]:.3f} s"


def main() -> None:
    """Run, print, and say by the exit code whether anything went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=30, help="visitors at once")
    parser.add_argument("--seconds", type=float, default=60.0, help="at most")
    parser.add_argument("--interactions", type=int, default=2000, help="clicks and entries at most")
    parser.add_argument("--pause", type=float, default=4.0, help="seconds between two clicks of a visitor, on average")
    parser.add_argument("--warm", type=float, default=30.0, help="seconds of the same traffic before anything is counted")
    parser.add_argument("--alone", action="store_true", help="without gathering")
    parser.add_argument("--nothing-kept", action="store_true", help="the engine keeps no results")
    given = parser.parse_args()
    settings = {"LIMINAL_GATHER": "0"} if given.alone else {}
    if given.nothing_kept:
        settings["LIMINAL_RESULTS_MB"] = "0"
    with tempfile.TemporaryDirectory(prefix="liminal-load-") as folder, server(folder, settings) as (process, port):
        crowd = Crowd(port, given.count, given.pause)
        moments: list[Moment] = []
        asyncio.run(crowd.run(given.warm, given.seconds, given.interactions, lambda: moments.append(moment(process, crowd.tally))))
        tally, first, last = crowd.tally, moments[0], moments[-1]
        seconds = last.at - first.at
        print(f"{given.count} visitors at once, {tally.interactions} interactions in {seconds:.0f} s")
        print(said("gallery clicks", tally.clicks))
        print(said("first pages of a visit", tally.entries))
        print(said("looks at running work", tally.polls))
        print(f"pictures fetched: {tally.pictures}")
        print(f"processor: {last.processor - first.processor:.1f} s")
        print("memory: " + ", ".join(f"{each.memory:.0f} MB after {each.interactions:,}" for each in moments) + " interactions")
        print(f"errors: {dict(tally.errors) or 'none'}")
        print(f"crossed sessions: {tally.crossed or 'none'}")
        stopping = time.perf_counter()
        process.send_signal(signal.SIGTERM)
        code = process.wait(60)
        print(f"asked to end: ended after {time.perf_counter() - stopping:.1f} s with code {code}")
        left = [
            str(path.relative_to(folder))
            for path in Path(folder).rglob("*")
            if path.name.startswith((".", "tmp")) or ".tmp" in path.name
        ]
        print(f"half-written files: {left or 'none'}")
        log = (Path(folder) / "server.log").read_text()
        print(f"tracebacks in the server's log: {log.count('Traceback')}")
        if tally.errors or tally.crossed or left or "Traceback" in log:
            Path("/tmp/liminal-load-server.log").write_text(log)
            raise SystemExit(1)


if __name__ == "__main__":
    main()
