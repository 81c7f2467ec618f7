"""Run UMAP in a process of its own, which can be stopped at any time and cannot crash the server.

Two threads inside numba at once can abort a process; here one layout runs at a time, with one thread and a seed.
"""

from __future__ import annotations

import os
import queue
import re
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from core.errors import LiminalError
from core.progress import Progress

ROOT = Path(__file__).resolve().parents[2]
READY, EPOCH = "ready", re.compile(r"epoch (\d+)/(\d+)")
PREPARED = 0.3  # share of the time until the first epoch: imports, compiling, neighbours

_one_at_a_time = threading.Lock()


def run_umap(rows: NDArray[np.float32], *, neighbours: int, spread: float, seed: int, progress: Progress) -> NDArray[np.float32]:
    """Lay out rows (N, D) -> (N, 2) float32. Raises Cancelled on request (the process is ended), LiminalError where it fails."""
    while not _one_at_a_time.acquire(timeout=0.2):
        progress.stage("Waiting for another map to be finished", 0.0)
    try:
        with tempfile.TemporaryDirectory(prefix="liminal-map-") as folder:
            np.save(Path(folder) / "rows.npy", rows, allow_pickle=False)
            _run_child(Path(folder), neighbours, spread, seed, progress)
            points: NDArray[np.float32] = np.load(Path(folder) / "points.npy", allow_pickle=False)
            return points
    finally:
        _one_at_a_time.release()


def _run_child(folder: Path, neighbours: int, spread: float, seed: int, progress: Progress) -> None:
    progress.stage("Preparing the map", 0.02)
    variables = {"NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "core.analysis.umap_process", str(folder), str(neighbours), str(spread), str(seed)]
    errors = (folder / "errors.txt").open("w+", encoding="utf-8")
    # The child ends when its standard input closes, so that it cannot outlive the server.
    child = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **variables}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
    )
    lines: queue.Queue[str | None] = queue.Queue()
    assert child.stdout is not None
    threading.Thread(target=_collect_lines, args=(child.stdout, lines), daemon=True).start()
    try:
        while True:
            progress.check()
            try:
                line = lines.get(timeout=0.1)
            except queue.Empty:
                continue
            if line is None:
                break
            epoch = EPOCH.search(line)
            if epoch:
                done = int(epoch[1]) / max(int(epoch[2]), 1)
                progress.stage(f"Laying out the map, {100 * done:.0f} %", PREPARED + (1 - PREPARED) * done)
            elif READY in line:
                progress.stage("Looking for neighbours", 0.1)
        if child.wait() != 0:
            errors.seek(0)
            message = errors.read().strip().splitlines()
            raise LiminalError(
                f"The map could not be laid out ({message[-1] if message else 'the process ended'}); try PCA instead."
            )
    finally:
        child.kill()
        child.wait()
        for stream in (child.stdin, child.stdout, errors):
            if stream is not None:
                stream.close()


def _collect_lines(stream: IO[str], lines: queue.Queue[str | None]) -> None:
    try:
        for line in stream:
            lines.put(line)
    except ValueError:  # closed while reading: the caller has stopped
        pass
    lines.put(None)


class _EpochWriter:
    """The file that umap's progress bar writes to: every update becomes a line on standard output."""

    def write(self, text: str) -> None:
        if "/" in text:
            print(text.strip(), flush=True)

    def flush(self) -> None:
        return


def _lay_out(folder: Path, neighbours: int, spread: float, seed: int) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    import umap  # some seconds, in which the process can be ended already
    from sklearn.neighbors import NearestNeighbors

    print(READY, flush=True)
    rows = np.load(folder / "rows.npy", allow_pickle=False)
    neighbours = max(neighbours, 2)
    # Exact and without compiling anything; umap's own approximate search compiles for longer than this takes.
    apart, who = NearestNeighbors(n_neighbors=neighbours, algorithm="brute").fit(rows).kneighbors(rows)
    layout = umap.UMAP(
        n_neighbors=neighbours,
        precomputed_knn=(who.astype(np.int32), apart.astype(np.float32)),
        force_approximation_algorithm=True,  # else the neighbours of a small table would be looked for again
        min_dist=spread,
        random_state=seed,
        n_jobs=1,
        init="spectral" if len(rows) > neighbours + 10 else "random",
        tqdm_kwds={"bar_format": "epoch {n_fmt}/{total_fmt}", "file": _EpochWriter(), "disable": False, "mininterval": 0.3},
    )
    np.save(folder / "points.npy", np.asarray(layout.fit_transform(rows), dtype=np.float32), allow_pickle=False)


def _end_with_parent() -> None:
    os.read(0, 1)  # nothing is ever written to it: this returns when the parent closes it or ends
    os._exit(1)


if __name__ == "__main__":
    _lay_out(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]))
