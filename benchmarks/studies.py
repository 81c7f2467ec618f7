"""Study figures: how long a rater waits until an answer is on the disk, and how fast whole tables go in and out."""

from __future__ import annotations

import os
import statistics
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core.models.emotions import EMOTIONS
from core.studies.ratings import Rating, type_columns
from core.studies.store import Store
from core.studies.study import RatingPlan, Stimulus, Study

SEED = 7


@dataclass(frozen=True)
class StudySizes:
    """How much is measured."""

    raters: int = 20
    answers: int = 50  # a rater's, as fast as they go: nobody answers that fast, so this is the worst case
    paced_answers: int = 10
    pace_s: float = 0.5  # seconds between the answers of one rater of the calm run: people who click fast
    rows: int = 200_000  # of the table that goes in and out


FULL = StudySizes()
QUICK = StudySizes(answers=10, paced_answers=3, rows=20_000)


def measure(sizes: StudySizes = FULL) -> dict[str, Any]:
    """All figures of the suite, on a new SQLite file."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(f"sqlite:///{Path(folder) / 'bench.sqlite'}")
        try:
            return {
                "raters": sizes.raters,
                "save_ms": {
                    "no pause": _measure_crowd(store, "no pause", sizes.answers, 0.0, sizes.raters),
                    "an answer each half second": _measure_crowd(store, "paced", sizes.paced_answers, sizes.pace_s, sizes.raters),
                    "one rater alone": _measure_crowd(store, "alone", sizes.answers, 0.0, 1),
                },
                "table": _measure_table(store, sizes.rows),
                "disk_ms": _measure_disk(Path(folder)),
            }
        finally:
            store.dispose()


def _measure_crowd(store: Store, name: str, answers: int, pace: float, raters: int) -> dict[str, float]:
    """Milliseconds from handing an answer over until it is on the disk, all raters at once, each in a thread."""
    store.create(Study(name, RatingPlan("emotion", answers)), [Stimulus(f"s{number:04d}", ("image",)) for number in range(answers)])
    people = [store.enrol(name, lambda study, stimuli, handed_out, number: list(handed_out)) for _ in range(raters)]
    times: list[float] = []
    together = threading.Barrier(raters)

    def answer(code: str, number: int) -> None:
        rater = store.rater(code)
        together.wait()
        time.sleep(pace * number / raters)
        for trial, stimulus in enumerate(rater.trials):
            rating = Rating(name, rater.rater, stimulus, "emotion", EMOTIONS[trial % len(EMOTIONS)], trial, reaction_time_ms=812.5)
            began = time.perf_counter()
            store.save([rating])
            times.append(time.perf_counter() - began)
            time.sleep(pace)

    threads = [threading.Thread(target=answer, args=(rater.code, number)) for number, rater in enumerate(people)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ordered = sorted(1000 * seconds for seconds in times)
    return {
        "answers": len(ordered),
        "median": round(statistics.median(ordered), 2),
        "percentile_95": round(float(np.percentile(ordered, 95)), 2),
    }


def _measure_table(store: Store, rows: int) -> dict[str, float]:
    """Rows a second into the store and out of it."""
    store.create(Study("table", RatingPlan("emotion", 400), source="simulated"), [])
    random, number = np.random.default_rng(SEED), np.arange(rows)
    frame = type_columns(
        pd.DataFrame(
            {
                "rating_id": [str(uuid.UUID(bytes=random.bytes(16))) for _ in range(rows)],
                "study": "table",
                "rater": [f"rater-{index // 400:05d}" for index in number],
                "session": "",
                "trial": number % 400,
                "stimulus": [f"{index:020x}" for index in random.integers(0, 2000, rows)],
                "task": "emotion",
                "value": random.choice(EMOTIONS, rows),
                "reaction_time_ms": random.gamma(2.0, 300.0, rows),
                "is_sentinel": False,
                "source": "simulated",
                "presented": "{}",
                "created_at": pd.Timestamp("2026-01-01T00:00:00Z"),
            }
        )
    )
    into, out = _time(lambda: store.save_table(frame)), _time(lambda: store.ratings("table"))
    return {"rows": rows, "rows_per_second_in": round(rows / into), "rows_per_second_out": round(rows / out)}


def _measure_disk(folder: Path) -> float:
    """Median milliseconds until one block of 4 KB is on this disk: no answer can be faster."""
    times = []
    with (folder / "block").open("wb", buffering=0) as file:
        for _ in range(30):
            file.write(b"\0" * 4096)
            times.append(_time(lambda: os.fsync(file.fileno())))
    return round(1000 * statistics.median(times), 2)


def _time(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def as_text(figures: dict[str, Any]) -> str:
    """For people."""
    lines = [f"Saving one answer, SQLite, until it is on the disk; {figures['raters']} raters at once unless it says otherwise:"]
    for how, measured in figures["save_ms"].items():
        lines.append(
            f"  {how}: median {measured['median']:.1f} ms, 95th percentile {measured['percentile_95']:.1f} ms "
            f"(n {measured['answers']})"
        )
    table = figures["table"]
    lines.append("  to reach: a median under 20 ms")
    lines.append(f"This disk takes {figures['disk_ms']:.1f} ms to keep one block of 4 KB (median of 30).")
    lines.append(
        f"A table of {table['rows']:,} answers: {table['rows_per_second_in']:,} rows a second in, "
        f"{table['rows_per_second_out']:,} out"
    )
    return "\n".join(lines)
