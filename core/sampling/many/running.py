"""Make all pieces of a plan that are not there yet: one after the other here, or side by side with Ray."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import LiminalError
from core.progress import Progress
from core.sampling.many.finishing import finish
from core.sampling.many.pieces import Piece, emotion_pieces, identity_pieces, joined_emotion, torch_threads
from core.sampling.many.plan import StudyPlan
from core.sampling.many.tables import encoded
from core.sampling.many.work import MANIFEST, Work, check_plan, opened, parts_of, writing

if TYPE_CHECKING:
    from core.sampling.configuration import IdentityConfiguration
    from core.sampling.emotion.configuration import EmotionConfiguration
    from core.sampling.sample_set import SampleSet

Maker = Callable[[Piece], Mapping[str, bytes]]
FACES_A_JOB = 16
"""Of one emotion set that is spread over workers."""


@dataclass(frozen=True)
class Outcome:
    """What a run did. finished: whether the data set is complete now; seconds: of this run."""

    made: int
    done: int
    of: int
    finished: bool
    seconds: float


def made_piece(piece: Piece, threads: int) -> dict[str, bytes]:
    """One piece's files, with so many of torch's threads. Runs in whatever process."""
    with torch_threads(threads):
        began = time.perf_counter()
        made = piece.make()
        return encoded(piece, made, time.perf_counter() - began)


def run(
    plan: StudyPlan,
    folder: Path,
    progress: Progress | None = None,
    *,
    ray: bool = False,
    workers: int | None = None,
    threads: int = 1,
    most: int | None = None,
    maker: Maker | None = None,
) -> Outcome:
    """Make what is missing in ``folder``, and finish it once all is there. A stopped or killed run is picked up by the same call.

    threads: of torch in one piece: part of what a result depends on. most: stop after so many pieces. maker: makes a piece's files;
    None: ``made_piece``. Raises LiminalError (what is finished is kept), Cancelled.
    """
    progress, began = progress or Progress(), time.perf_counter()
    pieces = plan.pieces()
    told = {**plan.values, "threads": threads}
    with opened(folder, pieces, told, plan_key(plan, threads)) as work:
        if (folder / MANIFEST).is_file():
            return Outcome(0, len(pieces), len(pieces), True, time.perf_counter() - began)
        missing = work.missing()[:most]
        make = maker or partial(made_piece, threads=threads)
        estimate, made = Estimate(work), 0
        stage = progress.stretch(0.0, 0.98)
        for piece, files in _made(missing, make, stage, estimate, ray=ray, workers=workers, threads=threads):
            work.keep(piece.number, files)
            made += 1
            stage.stage(f"{len(work.records):,} of {work.total:,} pieces{estimate.said()}", len(work.records) / work.total)
        finished = len(work.records) == work.total
        if finished:
            with writing(folder):
                finish(work, plan.values, threads, progress.stretch(0.98, 1.0))
            progress.stage("Done", 1.0)
        return Outcome(made, len(work.records), work.total, finished, time.perf_counter() - began)


def _made(
    missing: Sequence[Piece],
    make: Maker,
    progress: Progress,
    estimate: Estimate,
    *,
    ray: bool,
    workers: int | None,
    threads: int,
) -> Iterator[tuple[Piece, Mapping[str, bytes]]]:
    if not missing:
        return
    if not ray:
        for piece in missing:
            progress.stage(f"Making {piece.title}{estimate.said()}", estimate.share)
            yield piece, make(piece)
        return
    from core.sampling.many.cluster import connected, in_workers, workers_of

    progress.stage("Starting Ray", estimate.share)
    with connected(workers) as cluster:
        estimate.workers = workers_of(cluster, threads)
        yield from in_workers(cluster, missing, make, threads, progress)


class Estimate:
    """How long the rest takes, from the pieces that are finished; workers: pieces that are made at once."""

    def __init__(self, work: Work, workers: int = 1) -> None:
        self.work, self.workers = work, workers

    @property
    def share(self) -> float:
        """Of the pieces, 0 to 1."""
        return len(self.work.records) / self.work.total

    def worker_seconds(self) -> float | None:
        """Seconds of one worker for all that is missing; None where a kind of piece is missing of which none was made yet."""
        return worker_seconds(self.work.missing(), self.work.records.values())

    def said(self) -> str:
        """For a line of progress."""
        seconds = self.worker_seconds()
        return "" if seconds is None or not seconds else f", about {lasting(seconds / self.workers)} left"


def worker_seconds(missing: Sequence[Piece], records: Any) -> float | None:
    """By kind: seconds an image of the finished pieces, times the images that are missing (both as foretold)."""
    made: dict[str, list[float]] = {}
    for record in records:
        of_kind = made.setdefault(record["kind"], [0.0, 0.0])
        of_kind[0] += record["seconds"]["made"]
        of_kind[1] += record["foretold"]
    total = 0.0
    for kind in dict.fromkeys(piece.kind for piece in missing):
        seconds, images = made.get(kind, (0.0, 0.0))
        if not images:
            return None
        total += seconds / images * sum(piece.images for piece in missing if piece.kind == kind)
    return total


def begun(plan: StudyPlan, folder: Path, threads: int) -> tuple[list[Piece], list[Mapping[str, Any]], bool]:
    """What is missing in a folder, the records of what is there, and whether all is finished. Nothing is written.

    Raises LiminalError where the folder holds something else.
    """
    pieces = plan.pieces()
    check_plan(folder, plan_key(plan, threads))
    if (folder / MANIFEST).is_file():
        return [], [], True
    work = Work(folder, parts_of(pieces))
    return work.missing(), list(work.records.values()), False


def plan_key(plan: StudyPlan, threads: int) -> str:
    """What a folder's data set is known by."""
    return f"{plan.plan_id}-{threads}"


def lasting(seconds: float) -> str:
    """'40 s', '12 min', '3.5 h', '2.1 days'."""
    for limit, unit, size in ((90, "s", 1), (5400, "min", 60), (172_800, "h", 3600)):
        if seconds < limit:
            return f"{seconds / size:.0f} {unit}" if unit != "h" else f"{seconds / size:.1f} h"
    return f"{seconds / 86_400:.1f} days"


def identity_set(configuration: IdentityConfiguration, batches: int, progress: Progress, workers: int | None = None) -> SampleSet:
    """What ``core.sampling.identity.generate`` makes, its batches made by Ray's workers."""
    if batches < 1:
        raise LiminalError(f"The number of batches must be at least 1, not {batches}.")
    from core.sampling.sample_set import joined

    return joined(_spread(identity_pieces(configuration, batches), progress, workers))


def emotion_set(configuration: EmotionConfiguration, progress: Progress, workers: int | None = None) -> SampleSet:
    """What ``core.sampling.emotion.generate`` makes, sixteen faces at a time made by Ray's workers."""
    return joined_emotion(_spread(emotion_pieces(configuration, FACES_A_JOB), progress, workers))


def _spread(pieces: Sequence[Piece], progress: Progress, workers: int | None) -> list[SampleSet]:
    import torch

    from core.sampling.many.cluster import connected, in_workers

    threads = torch.get_num_threads()  # as many as one process has: sums over other numbers may differ in their last bits
    progress.stage("Starting Ray", 0.0)
    made: dict[int, SampleSet] = {}
    with connected(workers) as cluster:
        for piece, found in in_workers(cluster, pieces, partial(_whole_set, threads=threads), threads, progress):
            made[piece.number] = found
            progress.stage(f"{len(made)} of {len(pieces)} parts", len(made) / len(pieces))
    return [made[piece.number] for piece in pieces]


def _whole_set(piece: Piece, threads: int) -> SampleSet:
    with torch_threads(threads):
        return piece.make()
