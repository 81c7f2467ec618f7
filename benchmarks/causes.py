"""What matters: how long the ranking of named latents takes, how well it is predicted, and whether a planted cause is found.

Predicted by the surrogate and from true pictures of the same people; the planted recogniser sees one latent alone.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import torch
from scipy import stats
from torch import Tensor

from core.analysis.causes import Limit, load_limits, measure_effects
from core.models.contracts import DescriptorSurrogate
from core.sampling.change_design import ChangeDesign, choose_latents, describe_cost
from core.sampling.single_changes import ChangePanel, judge_changes, make_strips

PLANTED = "nose_length"


@dataclass(frozen=True)
class CauseSizes:
    """How much is measured. checked: every so many of the latents is judged from true pictures, too, on checked_people."""

    latents: int = 60
    people: int = 50
    strips: int = 12
    checked: int = 12
    checked_people: int = 10


FULL = CauseSizes()
QUICK = CauseSizes(latents=20, people=20, strips=1, checked=0)


class _PlantedSurrogate(DescriptorSurrogate):
    """Its descriptors are one latent."""

    classifiers = ()

    def __init__(self, place: int) -> None:
        self.place = place

    def descriptors(self, latents: Tensor, recogniser: str) -> Tensor:
        return latents[:, self.place, None] / 3

    def logits(self, latents: Tensor) -> Tensor:
        return latents.new_zeros(len(latents), 0, 6)


def measure(sizes: CauseSizes = FULL) -> dict[str, Any]:
    """All figures of the suite, as plain data."""
    names = choose_latents("head")[: sizes.latents]
    design = ChangeDesign(names, generator="head", people=sizes.people)
    limits = load_limits(design.generator, design.recognisers)
    panel = ChangePanel.load(design, predicted=True)
    panel.observe(panel.generator.sample([0]), design)  # weights are read, threads are there
    began = time.perf_counter()
    changes = judge_changes(design, predicted=True, panel=panel)
    judged = time.perf_counter() - began
    began = time.perf_counter()
    table = measure_effects(changes, limits)
    figures: dict[str, Any] = {
        "latents": len(names),
        "people": sizes.people,
        "cost": describe_cost(design, predicted=True),
        "predicting_seconds": judged,
        "measuring_seconds": time.perf_counter() - began,
        "planted_found": _find_planted(design, panel),
    }
    drawing = ChangePanel.load(design, predicted=False)
    drawing.observe(drawing.generator.sample([0]), design)
    shown = tuple(effect.name for effect in table.rank(design.recognisers[0])[: sizes.strips])
    began = time.perf_counter()
    make_strips(design, shown, panel=drawing)
    figures["strips"] = {"rows": len(shown), "seconds": time.perf_counter() - began}
    figures["checked"] = _check_predictions(sizes, design, drawing) if sizes.checked > 2 else None
    return figures


def _find_planted(design: ChangeDesign, panel: ChangePanel) -> bool:
    """Whether a recogniser that looks at one latent alone is found out, and no other latent is blamed."""
    place = [named.name for named in panel.generator.latent_names].index(PLANTED)
    name = design.recognisers[0]
    asked = replace(design, latents=tuple(dict.fromkeys((*design.latents[:10], PLANTED))), recognisers=(name,), classifiers=())
    judge = panel.recognisers[name]
    planted = ChangePanel(panel.generator, {name: judge}, {}, _PlantedSurrogate(place))
    first, second, *_ = measure_effects(judge_changes(asked, predicted=True, panel=planted), {name: Limit(0.4)}).rank(name)
    return first.name == PLANTED and first.distance[name].low > 0.5 and abs(second.distance[name].value) < 1e-3


def _check_predictions(sizes: CauseSizes, design: ChangeDesign, drawing: ChangePanel) -> dict[str, Any]:
    """True and predicted distances of the same faces: rank correlation over latents, and how much too small the latter are."""
    names = design.latents[:: max(1, len(design.latents) // sizes.checked)][: sizes.checked]
    asked = replace(design, latents=names, people=sizes.checked_people)
    limits = load_limits(asked.generator, asked.recognisers)
    with torch.inference_mode():
        began = time.perf_counter()
        true = judge_changes(asked, predicted=False, panel=drawing)
        seconds = time.perf_counter() - began
    tables = [measure_effects(changes, limits) for changes in (true, judge_changes(asked, predicted=True))]
    figures: dict[str, Any] = {
        "latents": len(names),
        "people": asked.people,
        "seconds_a_picture": seconds / asked.count_pictures(),
        "rank_correlation": {},
        "share_predicted": {},
    }
    for name in asked.recognisers:
        drawn, predicted = ([effect.distance[name].value for effect in table.effects] for table in tables)
        figures["rank_correlation"][name] = float(stats.spearmanr(drawn, predicted).statistic)
        figures["share_predicted"][name] = sum(predicted) / sum(drawn)
    return figures


def as_text(figures: dict[str, Any]) -> str:
    """The figures in words, each beside what it is to reach."""
    strips, checked = figures["strips"], figures["checked"]
    lines = [
        f"Ranking of {figures['latents']} latents on {figures['people']} people by the surrogate: "
        f"{figures['predicting_seconds']:.1f} s, intervals {figures['measuring_seconds']:.1f} s (to stay under: 10 s; told "
        f"beforehand: {figures['cost']})",
        f"True strips of {strips['rows']} rows: {strips['seconds']:.1f} s (to stay under: 10 s)",
        f"A recogniser that looks at '{PLANTED}' alone is {'' if figures['planted_found'] else 'NOT '}found out",
    ]
    for name, correlation in checked["rank_correlation"].items() if checked else ():
        lines.append(
            f"{name}: predicted and true effects of {checked['latents']} latents on {checked['people']} people, Spearman "
            f"{correlation:.2f}; predicted ones are {100 * checked['share_predicted'][name]:.0f} % of the true ones"
        )
    if checked:
        lines.append(f"A true picture, judged by everybody: {checked['seconds_a_picture']:.2f} s")
    return "\n".join(lines)
