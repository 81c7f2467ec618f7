"""Figures of large data sets: what an image and a search cost here, what a million take, how fast a million rows are seen."""

from __future__ import annotations

import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from core.models.emotions import EMOTIONS
from core.sampling.emotion.configuration import EMOTION_PAIRS, EmotionConfiguration

MILLION = 1_000_000
TOGETHER = 256
"""Rows of a made-up piece."""
PIECES_A_PART = 64


@dataclass(frozen=True)
class DataSetSizes:
    """How much is measured, and with which generator."""

    images: int = 8  # emotion images that are made
    iterations: int = 100  # of a search at most
    bases: int = 4  # of a batch
    rows: int = MILLION  # of the made-up data set; 0: none is made
    generator: str = "dcgan"


FULL = DataSetSizes()
QUICK = DataSetSizes(images=1, iterations=2, bases=2, rows=20_000)


def measure(sizes: DataSetSizes = FULL) -> dict[str, Any]:
    """All figures of the suite, as plain data."""
    worker = _run_in_subprocess("work", json.dumps(asdict(sizes)), OMP_NUM_THREADS="1")
    return {"generator": sizes.generator, **worker, "looking": _measure_queries(sizes.rows) if sizes.rows else None}


def measure_work(sizes: DataSetSizes) -> dict[str, Any]:
    """What one worker of Ray makes, in a process that has one core as such a worker has."""
    return {"identity": _identity(sizes), "emotion": _emotion(sizes.images, sizes.generator)}


def _run_in_subprocess(*command: str, **environment: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", __name__, *command], stdout=subprocess.PIPE, text=True, check=True, env={**os.environ, **environment}
    )
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def _identity(sizes: DataSetSizes) -> dict[str, Any]:
    """One batch with the paper's values by each strategy, the second of two: the first one warms the networks up."""
    from core.models import registry
    from core.sampling.configuration import IdentityConfiguration
    from core.sampling.datasets.plan import Piece

    figures: dict[str, Any] = {"iterations": sizes.iterations}
    for strategy in ("cmaes", "gradient"):
        usual = IdentityConfiguration(
            generator=sizes.generator,
            judges=tuple(registry.list_built_in("recogniser")),
            iterations=sizes.iterations,
            bases_per_batch=sizes.bases,
        )
        configuration = usual if strategy == "cmaes" else replace(usual, strategy="gradient", recogniser=_differentiable())
        Piece(0, replace(configuration, iterations=1)).make()
        piece = Piece(0, configuration, 1)
        began = time.perf_counter()
        result = piece.make()
        seconds, taken = time.perf_counter() - began, result.manifest["seconds"]
        optimized = int((result.pairs["sample_type"] == "optimized").sum())
        figures[strategy] = {
            "recogniser": configuration.recogniser,
            "batch_s": seconds,
            "searches": piece.searches,
            "optimized": optimized,
            "search_s": taken["search"] / piece.searches,
            "other_image_s": (seconds - taken["search"]) / len(result.images),
            "image_s": seconds / len(result.images),
            "optimized_s": seconds / optimized,
            "bytes_an_image": _measure_stored_bytes(piece, result) / len(result.images),
            "device": result.manifest["device"],
        }
    return figures


def _differentiable() -> str:
    from core.models import registry

    return next(name for name in registry.list_built_in("recogniser") if registry.load(name, "recogniser").differentiable)


def _emotion(images: int, generator: str) -> dict[str, Any]:
    from core.sampling.datasets.plan import Piece

    figures: dict[str, Any] = {"images": images}
    for strategy in ("two-stage", "direct"):
        configuration = EmotionConfiguration("surprise", "fear", count=images, strategy=strategy, generator=generator)
        Piece(0, configuration, stop=min(4, images)).make()
        began = time.perf_counter()
        Piece(0, configuration, stop=images).make()
        figures[strategy] = {"image_s": (time.perf_counter() - began) / images}
    return figures


def _measure_stored_bytes(piece: Any, result: Any) -> int:
    from core.sampling.datasets.storage import encode_piece

    return sum(len(content) for content in encode_piece(piece, result, 0.0).values())


def estimate_million(batch_s: float, optimized: int, workers: int = 1) -> dict[str, float]:
    """Batches, worker-hours and hours that a million optimized samples take: ceil(10^6 / optimized) batches of ``batch_s``."""
    batches = math.ceil(MILLION / optimized)
    return {"batches": batches, "worker_hours": batches * batch_s / 3600, "hours": math.ceil(batches / workers) * batch_s / 3600}


def build_synthetic_data_set(folder: Path, rows: int, *, seed: int = 0) -> None:
    """A finished data set of emotion samples with made-up numbers and pictures of four pixels; nothing is left in memory."""
    import pyarrow as pa

    from core.sampling.datasets.storage import (
        FORMAT,
        FORMAT_VERSION,
        IMAGE,
        MANIFEST,
        build_index,
        make_data_set_card,
        open_parquet_writer,
    )
    from core.sampling.sample_set import encode_png, list_emotion_columns
    from core.writing import open_atomic, write_bytes

    random = np.random.default_rng(seed)
    pictures = [encode_png(random.integers(0, 256, (4, 4, 3), dtype=np.uint8)) for _ in range(64)]
    usual = EmotionConfiguration(*EMOTION_PAIRS[0])
    columns = {name: kind for name, kind in list_emotion_columns(usual.judges, usual.recogniser).items() if name != "image"}
    parts: list[dict[str, Any]] = []
    for number, first in enumerate(range(0, rows, TOGETHER * PIECES_A_PART)):
        pair = EMOTION_PAIRS[number % len(EMOTION_PAIRS)]
        path = f"samples/emotion/pair={pair[0]}-{pair[1]}/part-{number:05d}.parquet"
        left = min(TOGETHER * PIECES_A_PART, rows - first)
        held = [min(TOGETHER, left - start) for start in range(0, left, TOGETHER)]
        with open_atomic(folder / path) as file:
            into = None
            for index, size in enumerate(held):
                table = _draw_synthetic_columns(random, columns, size, pair, number * PIECES_A_PART + index)
                names = table["sample_id"].to_pylist()
                latents = random.normal(size=(size, 16)).astype(np.float32)
                table = table.append_column("latent", pa.array(list(latents), pa.list_(pa.float32())))
                images = [{"bytes": pictures[int(name[:2], 16) % 64], "path": f"{name}.png"} for name in names]
                table = table.append_column("image", pa.array(images, IMAGE))
                into = into or open_parquet_writer(file, table.schema)
                into.write_table(table)
            if into is not None:
                into.close()
        parts.append({"path": path, "kind": "emotion", "rows": held, "sha256": "", "bytes": (folder / path).stat().st_size})
    tables = {"samples": parts}
    build_index(folder, tables)
    write_bytes(folder / "README.md", make_data_set_card("Made-up numbers", tables).encode())
    manifest = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "title": "Made-up numbers",
        "plan": {"title": "Made-up numbers", "emotion": {"count": rows}},
        "threads": 1,
        "kinds": {"emotion": {"pieces": -(-rows // TOGETHER), "counts": {"boundary": rows}, "thresholds": {usual.recogniser: 0.6}}},
        "tables": tables,
    }
    write_bytes(folder / MANIFEST, json.dumps(manifest).encode())


def _draw_synthetic_columns(
    random: np.random.Generator, columns: dict[str, str], size: int, pair: tuple[str, str], piece: int
) -> Any:
    import pyarrow as pa

    names = [random.bytes(10).hex() for _ in range(size)]
    values: dict[str, Any] = {
        "sample_id": names,
        "kind": ["emotion"] * size,
        "seed": random.integers(0, 2**62, size),
        "base_id": [names[0]] * size,
        "sample_type": ["genuine", *["boundary"] * (size - 1)],
        "emotion1": [pair[0]] * size,
        "emotion2": [pair[1]] * size,
        "strategy": ["two-stage"] * size,
    }
    for prefix in {name.removesuffix(EMOTIONS[0]) for name in columns if name.startswith("p_") and name.endswith(EMOTIONS[0])}:
        shares = random.dirichlet(np.ones(len(EMOTIONS)), size)
        values |= {f"{prefix}{emotion}": shares[:, index] for index, emotion in enumerate(EMOTIONS)}
    for name, kind in columns.items():
        if name not in values:
            values[name] = random.random(size) < 0.5 if kind == "boolean" else random.random(size)
    return pa.table({**{name: values[name] for name in columns}, "piece": np.full(size, piece)})


def _measure_queries(rows: int) -> dict[str, Any]:
    """Milliseconds of what the pages do, and the memory of a process that does nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        build_synthetic_data_set(Path(folder), rows)
        seconds = time.perf_counter() - began
        measured = _run_in_subprocess("look", folder)
        size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
        return {"rows": rows, "made_s": seconds, "bytes": size, **measured}


def time_page_queries(folder: Path) -> dict[str, Any]:
    """What the pages 'Map' and 'Disagreement' ask a data set for, first and last page of each."""
    from core.analysis import large
    from core.sampling.datasets.data_set import DataSet

    before = _measure_peak_memory()
    times: dict[str, float] = {}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        result = work()
        times[name] = 1000 * (time.perf_counter() - began)
        return result

    data = timed("open", lambda: DataSet.open(folder))
    rows = data.rows("samples")
    everything, some = large.RowFilter("emotion"), large.RowFilter("emotion", ("genuine",))
    rivals = large.ModelPair("emotion", *large.list_models(data, "emotion")[:2])
    timed("map: first 2,000 faces", lambda: large.load_faces(data, everything, 0, 2000))
    last = timed("map: last 2,000 faces", lambda: large.load_faces(data, everything, max(rows - 2000, 0), 2000))
    timed("map: 2,000 of one type", lambda: large.load_faces(data, some, 0, 2000))
    timed("map: their latents", lambda: data.latents(last["place"].tolist()))
    timed("axes of the whole (2,048 faces)", lambda: data.latents(large.spread_places(data, "emotion", 2048).tolist()))
    timed("sums over all", lambda: large.summarise_types(data, everything))
    timed("ranking: first 18", lambda: large.rank_rows(data, everything, rivals, 0, 18))
    count = timed("ranking: how many", lambda: large.count_rankable(data, everything, rivals))
    timed("ranking: 18 of the middle", lambda: large.rank_rows(data, everything, rivals, count // 2, 18, of=count))
    timed("ranking: last 18", lambda: large.rank_rows(data, everything, rivals, max(count - 18, 0), 18, of=count))
    names = last["sample_id"].tolist()[:24]
    timed("24 pictures", lambda: [data.picture(name) for name in names])
    return {"ms": times, "memory_before_mb": before, "memory_most_mb": _measure_peak_memory()}


def _measure_peak_memory() -> float:
    """The most that this process ever held, in MB."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (2**20 if sys.platform == "darwin" else 2**10)


def as_text(figures: dict[str, Any]) -> str:
    """For people."""
    lines = [f"One worker, one thread, {figures['generator']}; searches of at most {figures['identity']['iterations']} iterations:"]
    for strategy in ("cmaes", "gradient"):
        measured = figures["identity"][strategy]
        lines += [
            f"  identity, {strategy} through {measured['recogniser']} on {measured['device']}: "
            f"{measured['search_s']:.2f} s a search, "
            f"{measured['other_image_s']:.3f} s an image for all else, {measured['image_s']:.3f} s an image in all; "
            f"{measured['bytes_an_image'] / 1000:.1f} kB an image",
        ]
    for strategy in ("two-stage", "direct"):
        lines.append(f"  emotion, {strategy}: {figures['emotion'][strategy]['image_s']:.2f} s an image")
    for strategy in ("cmaes", "gradient"):
        measured = figures["identity"][strategy]
        needs = estimate_million(measured["batch_s"], measured["optimized"])
        lines.append(
            f"A million optimized samples, {strategy}: {needs['batches']:,.0f} batches ({measured['optimized']} each), "
            f"{needs['worker_hours']:,.0f} hours of such a worker; with N of them that, divided by N."
        )
    lines.append(
        "On other devices run this there and put its seconds in: hours = ceil(10^6 / optimized a batch) x batch_s / 3600 / N."
    )
    looking = figures["looking"]
    if looking:
        size = f"{looking['bytes'] / 1e9:.2f} GB, made in {looking['made_s']:.0f} s"
        memory = f"memory {looking['memory_before_mb']:.0f} MB before, {looking['memory_most_mb']:.0f} MB at most"
        lines.append(f"Looking at {looking['rows']:,} made-up rows ({size}): {memory}")
        lines += [f"  {name:<34}{value:>9.0f} ms" for name, value in looking["ms"].items()]
    return "\n".join(lines)


if __name__ == "__main__":
    action, *values = sys.argv[1:]
    print(
        json.dumps(time_page_queries(Path(values[0])) if action == "look" else measure_work(DataSetSizes(**json.loads(values[0]))))
    )
