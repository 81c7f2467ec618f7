"""Who is taken for whom: the zoo of a recogniser among 2,000 strangers, and a search for the face that opens most phones."""

from __future__ import annotations

import time
import tracemalloc
from dataclasses import asdict, dataclass, replace
from typing import Any

from core.analysis.zoo import measure_zoo
from core.models import registry
from core.sampling.master_search import search_masters
from core.sampling.stored.master_faces import pick_masters
from core.sampling.stored.population import Population, load_genuine_set, load_population, load_thresholds

GENERATOR = "head"


@dataclass(frozen=True)
class ImitationSizes:
    """How much is measured."""

    strangers: int = 2000
    faces: int = 1  # of the search


FULL = ImitationSizes()
QUICK = ImitationSizes(strangers=500)


def measure(sizes: ImitationSizes = FULL) -> dict[str, Any]:
    """All figures of the suite, as plain data."""
    names = registry.list_built_in("recogniser")
    population = load_population(GENERATOR)
    few = replace(
        population,
        seeds=population.seeds[: sizes.strangers],
        descriptors={name: rows[: sizes.strangers] for name, rows in population.descriptors.items()},
        wall=(),
    )
    return {
        "strangers": len(few),
        "zoo": {name: _measure_zoo(few, name) for name in names},
        "masters": {name: _search_masters(few, name, sizes.faces) for name in names},
    }


def _measure_zoo(population: Population, recogniser: str) -> dict[str, float]:
    """Seconds of the second run, and the most memory that the first one took at once."""
    thresholds, genuine = load_thresholds(GENERATOR, recogniser), load_genuine_set(GENERATOR)
    tracemalloc.start()
    measure_zoo(population, genuine, recogniser, thresholds)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    began = time.perf_counter()
    zoo = measure_zoo(population, genuine, recogniser, thresholds)
    limit = next(row for row in zoo.limits if row.rate == 0.001)
    return {
        "seconds": time.perf_counter() - began,
        "mb": peak / 1e6,
        "heaviest_tenth": limit.imitated.heaviest.value,
        "nobody_gets_in": limit.imitated.none.share,
    }


def _search_masters(population: Population, recogniser: str, faces: int) -> dict[str, Any]:
    """One search at the limit for 1 stranger in 1,000, beside the best of the strangers; loading is not counted."""
    limit = load_thresholds(GENERATOR, recogniser).at(0.001).distance
    registry.load(GENERATOR, "generator")
    registry.load(recogniser, "recogniser")
    registry.load_descriptor_surrogate(GENERATOR, recogniser)
    began = time.perf_counter()
    found = search_masters(population, recogniser, limit, count=faces).faces
    seconds = time.perf_counter() - began
    strangers = pick_masters(population, recogniser, limit, count=faces)
    return {
        "faces": len(found.rows),
        "seconds": seconds,
        "searched": asdict(found.share(len(found.rows))),
        "strangers": asdict(strangers.share(len(strangers.rows))),
    }


def as_text(figures: dict[str, Any]) -> str:
    """The figures in words, each beside what it is to reach."""
    lines = [f"{figures['machine']['processor']}, {figures['machine']['threads']} threads, {figures['strangers']:,} strangers", ""]
    for name, zoo in figures["zoo"].items():
        masters = figures["masters"][name]
        searched, strangers = masters["searched"], masters["strangers"]
        lines += [
            f"{registry.title(name)}: the zoo in {zoo['seconds']:.1f} s (to reach: 2) and {zoo['mb']:.0f} MB (to reach: 300)",
            f"  {masters['faces']} face in {masters['seconds']:.1f} s opens {100 * searched['share']:.1f} % "
            f"of {searched['judged']} phones ({100 * searched['low']:.1f} to {100 * searched['high']:.1f}), the best stranger "
            f"{100 * strangers['share']:.1f} %",
        ]
    return "\n".join(lines)
