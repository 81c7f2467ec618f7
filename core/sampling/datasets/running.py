"""Making all pieces of a plan that are not there yet: one after the other here, or side by side with Ray.

Ray is an optional extra, imported when it is asked for: the same functions in many processes, on this computer or on a cluster
(RAY_ADDRESS). Every node needs this program and its packages, installed as they are here. Results come back through Ray, so
nodes need no shared disk. A task whose worker dies is given to another one; what had been finished elsewhere is not touched.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from core.errors import LiminalError
from core.lazy_import import lazy_import
from core.models.device import use_torch_threads
from core.progress import Progress
from core.sampling.configuration import IdentityConfiguration
from core.sampling.datasets.plan import (
    DataSetPlan,
    Piece,
    join_emotion_sets,
    split_emotion_set,
    split_identity_set,
)
from core.sampling.datasets.storage import (
    MANIFEST,
    DataSetFolder,
    check_folder_plan,
    encode_piece,
    explain_write_errors,
    finish_data_set,
    open_data_set_folder,
    split_into_parts,
)
from core.sampling.emotion.configuration import EmotionConfiguration
from core.sampling.sample_set import SampleSet, join_identity_sets

if TYPE_CHECKING:
    import torch
else:
    torch = lazy_import("torch")

PieceMaker = Callable[[Piece], Mapping[str, bytes]]
FACES_PER_JOB = 16
"""Of one emotion set that is spread over workers."""


@dataclass(frozen=True)
class RunOutcome:
    """What a run did. pieces_made: by it; pieces_done: by all runs; finished: whether the data set is whole; seconds: the run's."""

    pieces_made: int
    pieces_done: int
    pieces_total: int
    finished: bool
    seconds: float


def make_piece(piece: Piece, threads: int) -> dict[str, bytes]:
    """One piece's files, with so many of torch's threads. Runs in whatever process."""
    with use_torch_threads(threads):
        began = time.perf_counter()
        sample_set = piece.make()
        return encode_piece(piece, sample_set, time.perf_counter() - began)


def run_plan(
    plan: DataSetPlan,
    folder: Path,
    progress: Progress | None = None,
    *,
    ray: bool = False,
    workers: int | None = None,
    threads: int = 1,
    most: int | None = None,
    maker: PieceMaker | None = None,
) -> RunOutcome:
    """Make what is missing in ``folder``, and finish it once all is there. A stopped or killed run is picked up by the same call.

    threads: of torch in one piece: part of what a result depends on. most: stop after so many pieces. maker: makes a piece's files;
    None: ``make_piece``. Raises LiminalError (what is finished is kept), Cancelled.
    """
    progress, began = progress or Progress(), time.perf_counter()
    pieces = plan.pieces()
    values = {**plan.values, "threads": threads}
    with open_data_set_folder(folder, pieces, values, make_plan_key(plan, threads)) as work:
        if (folder / MANIFEST).is_file():
            return RunOutcome(0, len(pieces), len(pieces), True, time.perf_counter() - began)
        missing = work.missing()[:most]
        make = maker or partial(make_piece, threads=threads)
        estimate, count = TimeEstimate(work), 0
        stage = progress.stretch(0.0, 0.98)
        for piece, files in _make_missing(missing, make, stage, estimate, ray=ray, workers=workers, threads=threads):
            work.add_piece(piece.number, files)
            count += 1
            stage.stage(f"{len(work.records):,} of {work.total:,} pieces{estimate.describe()}", len(work.records) / work.total)
        finished = len(work.records) == work.total
        if finished:
            with explain_write_errors(folder):
                finish_data_set(work, plan.values, threads, progress.stretch(0.98, 1.0))
            progress.stage("Done", 1.0)
        return RunOutcome(count, len(work.records), work.total, finished, time.perf_counter() - began)


def _make_missing(
    missing: Sequence[Piece],
    make: PieceMaker,
    progress: Progress,
    estimate: TimeEstimate,
    *,
    ray: bool,
    workers: int | None,
    threads: int,
) -> Iterator[tuple[Piece, Mapping[str, bytes]]]:
    if not missing:
        return
    if not ray:
        for piece in missing:
            progress.stage(f"Making {piece.title}{estimate.describe()}", estimate.share)
            yield piece, make(piece)
        return
    progress.stage("Starting Ray", estimate.share)
    with connect_ray(workers) as cluster:
        estimate.workers = count_workers(cluster, threads)
        yield from run_in_workers(cluster, missing, make, threads, progress)


class TimeEstimate:
    """How long the rest takes, from the pieces that are finished; workers: pieces that are made at once."""

    def __init__(self, work: DataSetFolder, workers: int = 1) -> None:
        self.work, self.workers = work, workers

    @property
    def share(self) -> float:
        """Of the pieces, 0 to 1."""
        return len(self.work.records) / self.work.total

    def worker_seconds(self) -> float | None:
        """Seconds of one worker for all that is missing; None where a kind of piece is missing of which none was made yet."""
        return estimate_worker_seconds(self.work.missing(), self.work.records.values())

    def describe(self) -> str:
        """For a line of progress."""
        seconds = self.worker_seconds()
        return "" if seconds is None or not seconds else f", about {format_duration(seconds / self.workers)} left"


def estimate_worker_seconds(missing: Sequence[Piece], records: Any) -> float | None:
    """By kind: seconds an image of the finished pieces, times the images that are missing (both as foretold)."""
    totals: dict[str, list[float]] = {}
    for record in records:
        of_kind = totals.setdefault(record["kind"], [0.0, 0.0])
        of_kind[0] += record["seconds"]["made"]
        of_kind[1] += record["foretold"]
    total = 0.0
    for kind in dict.fromkeys(piece.kind for piece in missing):
        seconds, images = totals.get(kind, (0.0, 0.0))
        if not images:
            return None
        total += seconds / images * sum(piece.images for piece in missing if piece.kind == kind)
    return total


def inspect_folder(plan: DataSetPlan, folder: Path, threads: int) -> tuple[list[Piece], list[Mapping[str, Any]], bool]:
    """What is missing in a folder, the records of what is there, and whether all is finished. Nothing is written.

    Raises LiminalError where the folder holds something else.
    """
    pieces = plan.pieces()
    check_folder_plan(folder, make_plan_key(plan, threads))
    if (folder / MANIFEST).is_file():
        return [], [], True
    work = DataSetFolder(folder, split_into_parts(pieces))
    return work.missing(), list(work.records.values()), False


def make_plan_key(plan: DataSetPlan, threads: int) -> str:
    """What a folder's data set is known by."""
    return f"{plan.plan_id}-{threads}"


def format_duration(seconds: float) -> str:
    """'40 s', '12 min', '3.5 h', '2.1 days'."""
    for limit, unit, size in ((90, "s", 1), (5400, "min", 60), (172_800, "h", 3600)):
        if seconds < limit:
            return f"{seconds / size:.0f} {unit}" if unit != "h" else f"{seconds / size:.1f} h"
    return f"{seconds / 86_400:.1f} days"


def generate_identity_set_on_ray(
    configuration: IdentityConfiguration, batches: int, progress: Progress, workers: int | None = None
) -> SampleSet:
    """What ``core.sampling.identity.generate_identity_set`` makes, its batches made by Ray's workers."""
    if batches < 1:
        raise LiminalError(f"The number of batches must be at least 1, not {batches}.")
    return join_identity_sets(_make_on_ray(split_identity_set(configuration, batches), progress, workers))


def generate_emotion_set_on_ray(configuration: EmotionConfiguration, progress: Progress, workers: int | None = None) -> SampleSet:
    """What ``core.sampling.emotion.generate.generate_emotion_set`` makes, sixteen faces at a time made by Ray's workers."""
    return join_emotion_sets(_make_on_ray(split_emotion_set(configuration, FACES_PER_JOB), progress, workers))


def _make_on_ray(pieces: Sequence[Piece], progress: Progress, workers: int | None) -> list[SampleSet]:
    threads = torch.get_num_threads()  # as many as one process has: sums over other numbers may differ in their last bits
    progress.stage("Starting Ray", 0.0)
    sample_sets: dict[int, SampleSet] = {}
    with connect_ray(workers) as cluster:
        for piece, sample_set in run_in_workers(cluster, pieces, partial(_make_sample_set, threads=threads), threads, progress):
            sample_sets[piece.number] = sample_set
            progress.stage(f"{len(sample_sets)} of {len(pieces)} parts", len(sample_sets) / len(pieces))
    return [sample_sets[piece.number] for piece in pieces]


def _make_sample_set(piece: Piece, threads: int) -> SampleSet:
    with use_torch_threads(threads):
        return piece.make()


Job = TypeVar("Job")
Made = TypeVar("Made")

MAX_RETRIES = 3
"""Times that a job whose worker died is begun anew."""
POLL_SECONDS = 0.5
"""Seconds between two looks at whether the user has cancelled."""
OBJECT_STORE_BYTES = 256 * 2**20
"""Bytes of this computer's memory for results on their way (a local Ray; pieces are a few megabytes)."""
ROOT = Path(__file__).parents[3]
PASSED_VARIABLES = ("LIMINAL_DEVICE", "LIMINAL_DATA_DIR", "OMP_WAIT_POLICY", "MKL_CBWR")
"""What workers are told of this process's surroundings."""


def require_ray() -> Any:
    """The module. Raises LiminalError where it is not installed."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would tell its makers what it is used for
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray  # optional extra
    except ImportError:
        raise LiminalError(
            "Ray is not installed here; install it with '.venv/bin/pip install -r requirements-ray.txt', or leave out '--on ray'."
        ) from None
    return ray


@contextlib.contextmanager
def connect_ray(workers: int | None = None) -> Iterator[Any]:
    """Ray, begun here unless it runs already; RAY_ADDRESS names a cluster. workers: processors of a local one; None: all.

    Raises LiminalError where it cannot be reached.
    """
    ray = require_ray()
    if ray.is_initialized():
        yield ray
        return
    passed = {name: os.environ[name] for name in PASSED_VARIABLES if name in os.environ}
    settings: dict[str, Any] = {
        "log_to_driver": False,
        "logging_level": "ERROR",
        "runtime_env": {"env_vars": {"PYTHONPATH": str(ROOT), **passed}},
    }
    if not os.environ.get("RAY_ADDRESS"):
        settings |= {"include_dashboard": False, "num_cpus": workers, "object_store_memory": OBJECT_STORE_BYTES}
    try:
        ray.init(**settings)
    except (OSError, RuntimeError, ValueError) as error:
        where = os.environ.get("RAY_ADDRESS")
        what = f"The Ray cluster {where} cannot be reached" if where else "Ray cannot be started on this computer"
        raise LiminalError(f"{what} ({str(error).splitlines()[0][:120]}); look at RAY_ADDRESS.") from error
    try:
        yield ray
    finally:
        ray.shutdown()


def count_workers(ray: Any, threads: int) -> int:
    """How many jobs run at once."""
    resources = ray.cluster_resources()
    by_processor = int(resources.get("CPU", 1)) // threads
    return max(1, min(by_processor, int(resources["GPU"])) if _has_gpu(resources) else by_processor)


def run_in_workers(
    ray: Any, jobs: Sequence[Job], work: Callable[[Job], Made], threads: int, progress: Progress
) -> Iterator[tuple[Job, Made]]:
    """``work`` of every job, in the order in which they are done; a job has ``threads`` processors, and a GPU where there are any.

    Only as many results are under way as there are workers, twice. Raises what ``work`` raises where that is a LiminalError; a
    LiminalError where a worker died over the same job again and again; Cancelled.
    """
    resources = ray.cluster_resources()
    if int(resources.get("CPU", 1)) < threads:
        raise LiminalError(
            f"A job needs {threads} processors but Ray has {int(resources.get('CPU', 1))}; set OMP_NUM_THREADS=1 or allow more "
            "workers."
        )

    def one(job: Job) -> Made:  # Ray wants a function, and work may be any callable
        return work(job)

    task = ray.remote(one).options(
        num_cpus=threads,
        num_gpus=1 if _has_gpu(resources) else 0,
        max_retries=MAX_RETRIES,
    )
    waiting = list(reversed(jobs))
    running: dict[Any, Job] = {}
    at_once = 2 * count_workers(ray, threads)
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                job = waiting.pop()
                running[task.remote(job)] = job
            done, _ = ray.wait(list(running), num_returns=1, timeout=POLL_SECONDS)
            progress.check()
            for reference in done:
                job = running.pop(reference)
                yield job, _get_result(ray, reference, job)
    finally:
        for reference in running:
            with contextlib.suppress(Exception):  # a connection that is lost has nothing to cancel
                ray.cancel(reference)


def _get_result(ray: Any, reference: Any, job: object) -> Any:
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, LiminalError):
            raise error.cause from None
        reason = next(iter(str(error.cause).splitlines()), "")[:160]
        raise LiminalError(
            f"A worker failed ({type(error.cause).__name__}: {reason}); what is finished is kept, so mend that and run the same "
            "command again."
        ) from error
    except ray.exceptions.RayError as error:
        named = getattr(job, "title", "the same job")
        raise LiminalError(
            f"Workers died {MAX_RETRIES + 1} times over {named} ({type(error).__name__}); what is finished is kept: give them more "
            "memory and run the same command again."
        ) from error


def _has_gpu(resources: Any) -> bool:
    return resources.get("GPU", 0) >= 1 and os.environ.get("LIMINAL_DEVICE") != "cpu"
