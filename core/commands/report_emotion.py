"""The report of an emotion set: filter (3), paper B's outcomes, evenness and entropy under the steerer and every judge."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core.analysis.acceptance import Proportion
from core.analysis.boundary import Boundary, ClassifierBoundary, Estimate, Faces, Ratio, boundary, ratio
from core.commands.formatting import interval, number
from core.errors import LiminalError
from core.models import registry
from core.sampling.emotion.configuration import EmotionConfiguration
from core.sampling.emotion.reference import Reference, load_reference
from core.sampling.sample_set import SampleSet
from core.sampling.thresholds import load_thresholds

PUBLISHED = "nearly 80 %"
PUBLISHED_IS = "of the images were success or bias in the choices of people (Fig. 4b), not in the probabilities of a model"

OUTCOMES = ("success", "bias", "failure")


def show(made: SampleSet, folder: Path) -> None:
    """Print everything: the steerer first, then the judges."""
    configuration, said = made.emotion, statistics(made)
    reference, why_not = _reference(configuration)
    way = f"guided by {registry.title(configuration.steerer)}" if configuration.guided else "unguided"
    print(
        f"{folder}: {said.n} samples between {said.emotion1} and {said.emotion2} of {bases(made)}, {way}, "
        f"{configuration.strategy}, freedom {configuration.freedom:g}, generator {configuration.generator}, "
        f"seed {configuration.seed}"
    )
    print_faces(said.faces)
    if why_not:
        print(f"Shares of plain faces are missing: {why_not}")
    for each in said.classifiers:
        _print_classifier(each, configuration, _plain_share(reference, each.classifier, configuration))
    print(
        f"\nPaper B: {PUBLISHED} {PUBLISHED_IS}.\n"
        "Success: both emotions above 0.25 and together above 0.6; bias: together above 0.6 only; failure: the rest.\n"
        "'Passed' and 'of passed': filter (3) under that classifier. Calibrated: at the classifier's temperature on plain faces.\n"
        "95 % intervals: Wilson for shares, bootstrap for means and medians, Donner and Zou for ratios.\n"
        "Samples are taken as independent."
    )


def figures(made: SampleSet) -> dict[str, Any]:
    """Everything that is printed, as values."""
    configuration, said = made.emotion, statistics(made)
    reference, why_not = _reference(configuration)
    classifiers = []
    for each in said.classifiers:
        plain = _plain_share(reference, each.classifier, configuration)
        classifiers.append(
            {
                **asdict(each),
                "title": registry.title(each.classifier),
                "role": configuration.part(each.classifier),
                "plain": asdict(plain) if plain else None,
                "ratio_to_plain": asdict(ratio(each.passed, plain)) if plain else None,
            }
        )
    return {
        "configuration": configuration.to_dict(),
        "counts": made.manifest["counts"],
        **asdict(said),
        "classifiers": classifiers,
        "plain_missing": why_not,
        "published": {"success_or_bias": PUBLISHED, "is": PUBLISHED_IS},
    }


def statistics(made: SampleSet) -> Boundary:
    """All statistics of an emotion set. Raises LiminalError for an identity set and where no boundary sample is in it."""
    configuration = made.emotion
    name = configuration.recogniser
    threshold = made.manifest.get("thresholds", {}).get(name) or load_thresholds(configuration.generator, name).default
    return boundary(made.samples, configuration.steerer, name, threshold)


def bases(made: SampleSet) -> str:
    """How many bases a set has, in words."""
    count = len(made.base_ids())
    return f"{count} base{'s' if count > 1 else ''}"


def print_passing(said: ClassifierBoundary, configuration: EmotionConfiguration) -> None:
    """One line: how many passed under a classifier, and how even those are."""
    kept = ""
    if said.passed.count:
        kept = f"  of these median |p1 - p2| {number(said.raw.gap.value)}, p1 + p2 {number(said.raw.together.value)}"
    print(f"  {_titled(said, configuration):<44} passed {_counted(said.passed)}{kept}")


def print_faces(faces: Faces) -> None:
    """One line on what the recogniser says."""
    print(
        f"Faces ({faces.recogniser}): found in {_counted(faces.found)}; nearer than {faces.threshold:g} to the base: "
        f"{_counted(faces.near)}; median distance {_estimate(faces.distance)}"
    )


def _titled(said: ClassifierBoundary, configuration: EmotionConfiguration) -> str:
    return f"{registry.title(said.classifier)}, which {configuration.part(said.classifier)}"


def _print_classifier(said: ClassifierBoundary, configuration: EmotionConfiguration, plain: Proportion | None) -> None:
    print(f"\n{_titled(said, configuration)}")
    print(f"  {'passed':<22}{_counted(said.passed):<34}" + (_beside(plain, ratio(said.passed, plain)) if plain else ""))
    if not said.steerer:
        print(f"  {'of what steerer kept':<22}{_counted(said.passed_of_kept)}")
    print(f"  {'':<22}{'raw':<34}calibrated")
    sides = (said.raw, said.calibrated)
    for name in OUTCOMES:
        _print_row(name, [_counted(getattr(side.outcomes, name)) for side in sides])
    for name in OUTCOMES:
        _print_row(f"{name}, of passed", [_counted(getattr(side.outcomes_of_passed, name)) for side in sides])
    _print_row("median |p1 - p2|", [_estimate(side.gap) for side in sides])
    _print_row("median p1 + p2", [_estimate(side.together) for side in sides])
    _print_row("mean entropy, bits", [_estimate(side.entropy) for side in sides])


def _print_row(name: str, cells: list[str]) -> None:
    print(f"  {name:<22}" + "".join(f"{cell:<34}" for cell in cells).rstrip())


def _beside(plain: Proportion, gain: Ratio) -> str:
    times = "" if math.isnan(gain.value) else f"; {gain.value:.1f} times that ({gain.low:.1f} to {gain.high:.1f})"
    return f"plain faces: {_counted(plain)}{times}"


def _counted(share: Proportion) -> str:
    return f"{share.count} of {share.n}, {interval(share)}" if share.n else "-"


def _estimate(value: Estimate) -> str:
    if not value.n:
        return "-"
    between = "" if math.isnan(value.low) else f" ({number(value.low)} to {number(value.high)})"
    return f"{number(value.value)}{between}, n {value.n}"


def _reference(configuration: EmotionConfiguration) -> tuple[Reference | None, str | None]:
    """The population of plain faces, or the sentence on why there is none."""
    try:
        return load_reference(configuration.generator), None
    except LiminalError as error:
        return None, str(error)


def _plain_share(reference: Reference | None, classifier: str, configuration: EmotionConfiguration) -> Proportion | None:
    """How many plain faces pass filter (3); None where the population was not judged by the classifier."""
    if reference is None or classifier not in reference.logits:
        return None
    return Proportion.of(*reference.plain_share(classifier, configuration.pair))
