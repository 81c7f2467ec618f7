"""Ray: the same functions in many processes, on this computer or on a cluster (RAY_ADDRESS).

Every node needs this program and its packages, installed as they are here. Results come back through Ray, so nodes need no shared
disk. A task whose worker dies is given to another one by Ray; what had been finished elsewhere is not touched.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from core.errors import LiminalError
from core.progress import Progress

Job = TypeVar("Job")
Made = TypeVar("Made")

RETRIES = 3
"""Times that a job whose worker died is begun anew."""
LOOK_S = 0.5
"""Seconds between two looks at whether the user has cancelled."""
STORE = 256 * 2**20
"""Bytes of this computer's memory for results on their way (a local Ray; pieces are a few megabytes)."""
ROOT = Path(__file__).parents[3]
PASSED = ("LIMINAL_DEVICE", "LIMINAL_DATA_DIR", "OMP_WAIT_POLICY")
"""What workers are told of this process's surroundings."""


def require_ray() -> Any:
    """The module. Raises LiminalError where it is not installed."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would tell its makers what it is used for
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError:
        raise LiminalError(
            "Ray is not installed here; install it with '.venv/bin/pip install -r requirements-ray.txt', or leave out '--on ray'."
        ) from None
    return ray


@contextlib.contextmanager
def connected(workers: int | None = None) -> Iterator[Any]:
    """Ray, begun here unless it runs already; RAY_ADDRESS names a cluster. workers: processors of a local one; None: all.

    Raises LiminalError where it cannot be reached.
    """
    ray = require_ray()
    if ray.is_initialized():
        yield ray
        return
    passed = {name: os.environ[name] for name in PASSED if name in os.environ}
    settings: dict[str, Any] = {
        "log_to_driver": False,
        "logging_level": "ERROR",
        "runtime_env": {"env_vars": {"PYTHONPATH": str(ROOT), **passed}},
    }
    if not os.environ.get("RAY_ADDRESS"):
        settings |= {"include_dashboard": False, "num_cpus": workers, "object_store_memory": STORE}
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


def workers_of(ray: Any, threads: int) -> int:
    """How many jobs run at once."""
    there = ray.cluster_resources()
    by_processor = int(there.get("CPU", 1)) // threads
    return max(1, min(by_processor, int(there["GPU"])) if _on_gpu(there) else by_processor)


def in_workers(
    ray: Any, jobs: Sequence[Job], work: Callable[[Job], Made], threads: int, progress: Progress
) -> Iterator[tuple[Job, Made]]:
    """``work`` of every job, in the order in which they are done; a job has ``threads`` processors, and a GPU where there are any.

    Only as many results are under way as there are workers, twice. Raises what ``work`` raises where that is a LiminalError; a
    LiminalError where a worker died over the same job again and again; Cancelled.
    """
    there = ray.cluster_resources()
    if int(there.get("CPU", 1)) < threads:
        raise LiminalError(
            f"A job needs {threads} processors but Ray has {int(there.get('CPU', 1))}; set OMP_NUM_THREADS=1 or allow more workers."
        )

    def one(job: Job) -> Made:  # Ray wants a function, and work may be any callable
        return work(job)

    task = ray.remote(one).options(
        num_cpus=threads,
        num_gpus=1 if _on_gpu(there) else 0,
        max_retries=RETRIES,
    )
    waiting = list(reversed(jobs))
    running: dict[Any, Job] = {}
    at_once = 2 * workers_of(ray, threads)
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                job = waiting.pop()
                running[task.remote(job)] = job
            done, _ = ray.wait(list(running), num_returns=1, timeout=LOOK_S)
            progress.check()
            for each in done:
                job = running.pop(each)
                yield job, _result(ray, each, job)
    finally:
        for each in running:
            with contextlib.suppress(Exception):  # a connection that is lost has nothing to cancel
                ray.cancel(each)


def _result(ray: Any, reference: Any, job: object) -> Any:
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, LiminalError):
            raise error.cause from None
        said = next(iter(str(error.cause).splitlines()), "")[:160]
        raise LiminalError(
            f"A worker failed ({type(error.cause).__name__}: {said}); what is finished is kept, so mend that and run the same "
            "command again."
        ) from error
    except ray.exceptions.RayError as error:
        named = getattr(job, "title", "the same job")
        raise LiminalError(
            f"Workers died {RETRIES + 1} times over {named} ({type(error).__name__}); what is finished is kept: give them more "
            "memory and run the same command again."
        ) from error


def _on_gpu(there: Any) -> bool:
    return there.get("GPU", 0) >= 1 and os.environ.get("LIMINAL_DEVICE") != "cpu"
