"""Who is taken for whom: the zoo of a recogniser among 2,000 strangers, a search for the face that opens most phones, faces between
two owners, and pairs on which two recognisers part."""

from __future__ import annotations

import statistics
import time
import tracemalloc
from dataclasses import asdict, dataclass, replace
from typing import Any

from core.analysis.morphs import find_morphs, rate_recogniser
from core.analysis.zoo import measure_zoo
from core.models import registry
from core.sampling.configuration import configure_controversial, configure_morphs
from core.sampling.controversial_pairs import generate_controversial_pairs
from core.sampling.identity import IdentityPanel
from core.sampling.master_search import search_masters
from core.sampling.morphing import generate_morphs
from core.sampling.stored.master_faces import pick_masters
from core.sampling.stored.population import Population, load_genuine_set, load_population, load_thresholds

GENERATOR = "head"


@dataclass(frozen=True)
class ImitationSizes:
    """How much is measured."""

    strangers: int = 2000
    faces: int = 1  # of the search
    owners: int = 20  # pairs of owners with faces in between
    pairs: int = 24  # on which two recognisers part


FULL = ImitationSizes()
QUICK = ImitationSizes(strangers=500, owners=2, pairs=4)


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
        "masters": {name: _search_masters(few, name, sizes.faces) for name in names[:1]},
        "morphs": _make_morphs(names, sizes.owners),
        "parting": _find_parting_pairs(few, names, sizes.pairs),
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


def _make_morphs(names: list[str], owners: int) -> dict[str, Any]:
    """Faces between pairs of owners, and the share that opens both phones at the limit for 1 stranger in 1,000, half way."""
    configuration = configure_morphs(GENERATOR, names[0], steps=(0.4, 0.5, 0.6), judges=names)
    panel = IdentityPanel.load(configuration)
    began = time.perf_counter()
    morphs = find_morphs(generate_morphs(configuration, owners, panel=panel).pairs)
    seconds = time.perf_counter() - began
    rates = {name: rate_recogniser(morphs, name, load_thresholds(GENERATOR, name).at(0.001).distance)[-1] for name in names}
    return {"faces": len(morphs), "owners": owners, "seconds": seconds, "half_way": {name: asdict(rates[name]) for name in names}}


def _find_parting_pairs(population: Population, names: list[str], count: int) -> dict[str, Any]:
    """Pairs on which the first two recognisers part at the limits that the pages open at; loading is not counted."""
    configuration = configure_controversial(GENERATOR, names[:2])
    panel = IdentityPanel.load(configuration)
    registry.load_descriptor_surrogate(GENERATOR, names[0])
    limits = {name: load_thresholds(GENERATOR, name).opening for name in names[:2]}
    began = time.perf_counter()
    found = generate_controversial_pairs(configuration, population, limits, count=count, panel=panel).manifest["controversial"]
    margins = [record["margin"] for record in found["pairs"] if record["margin"] is not None]
    seconds = time.perf_counter() - began
    return {"pairs": count, "kept": found["kept"], "median_margin": statistics.median(margins), "seconds": seconds}


def as_text(figures: dict[str, Any]) -> str:
    """The figures in words, each beside what it is to reach."""
    lines = [f"{figures['machine']['processor']}, {figures['machine']['threads']} threads, {figures['strangers']:,} strangers", ""]
    for name, zoo in figures["zoo"].items():
        lines.append(
            f"{registry.title(name)}: the zoo in {zoo['seconds']:.1f} s (to reach: 2) and {zoo['mb']:.0f} MB (to reach: 300)"
        )
    for name, masters in figures["masters"].items():
        searched, strangers = masters["searched"], masters["strangers"]
        lines.append(
            f"{registry.title(name)}: {masters['faces']} face in {masters['seconds']:.1f} s opens {100 * searched['share']:.1f} % "
            f"of {searched['judged']} phones ({100 * searched['low']:.1f} to {100 * searched['high']:.1f}), the best stranger "
            f"{100 * strangers['share']:.1f} %"
        )
    morphs, parting = figures["morphs"], figures["parting"]
    both = ", ".join(f"{registry.title(name)} {100 * rate['both']['value']:.0f} %" for name, rate in morphs["half_way"].items())
    lines += [
        f"{morphs['faces']} faces between {morphs['owners']} pairs of owners in {morphs['seconds']:.1f} s; half way these open "
        f"both phones at the limit for 1 stranger in 1,000: {both}",
        f"{parting['pairs']} pairs on which two recognisers part in {parting['seconds']:.1f} s (to reach: 20); {parting['kept']} "
        f"by the margin, at the median by {100 * parting['median_margin']:.0f} % of the limits",
    ]
    return "\n".join(lines)
