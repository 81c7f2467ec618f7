"""The methods of a study in sentences, filled in from what made it: nothing is said that the records do not hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.analysis.material import Material
from core.figures import theme
from core.figures.results import title_of
from core.sampling.configuration import IdentityConfiguration
from core.sampling.emotion.configuration import EmotionConfiguration

Configuration = IdentityConfiguration | EmotionConfiguration


def samples_text(configuration: Configuration, manifest: Mapping[str, Any]) -> list[str]:
    """Paragraphs on how the faces of one sample set were made."""
    if isinstance(configuration, IdentityConfiguration):
        return _identity(configuration, manifest)
    return _emotion(configuration, manifest)


def study_text(material: Material) -> list[str]:
    """Paragraphs on how people were asked and whose answers count."""
    study, plan = material.study, material.study.plan
    counted, kept = material.counted, material.exclusions.kept
    who = {
        "simulated": "Answers were simulated by observers with known parameters; nobody was asked.",
        "published": "Answers were brought in from a publication; nobody was asked here.",
    }.get(material.source, "People took part through a link, after giving consent.")
    texts = [
        f"{who} Study '{study.name}': {len(material.stimuli):,} stimuli, {plan.trials:,} trials and {plan.sentinels} attention "
        f"checks a person, order random within and between people; {len(counted):,} answers of {len(kept):,} people count."
    ]
    if plan.kind == "emotion":
        texts.append(
            f"Each trial showed a cross for {plan.fixation_ms} ms and the face for {plan.image_ms} ms, then six buttons (surprise, "
            "fear, disgust, happiness, sadness, anger)."
        )
    else:
        texts.append(
            "Each trial showed the base beside the sample: how similar are they, 0 to 100, and do both show the same person?"
        )
    if material.excluded:
        reasons: dict[str, int] = {}
        for own in material.excluded.values():
            for reason in own:
                reasons[reason] = reasons.get(reason, 0) + 1
        texts.append(
            "Left out: " + "; ".join(f"{count} ({reason})" for reason, count in reasons.items()) + ". Nothing was deleted."
        )
    if study.note:
        texts.append(f"Relations that were planted: {study.note}")
    return texts + list(material.notes)


def statistics_text(intervals: Sequence[str]) -> list[str]:
    """One paragraph on intervals, each once."""
    known = list(dict.fromkeys(each for each in intervals if each))
    return [f"Intervals: {'; '.join(known)}."] if known else []


def _identity(configuration: IdentityConfiguration, manifest: Mapping[str, Any]) -> list[str]:
    batches = len(manifest.get("batches", [])) or 1
    search = (
        f"CMA-ES (sigma {configuration.sigma:g}, at most {configuration.iterations} iterations)"
        if configuration.strategy == "cmaes"
        else f"gradient descent (Adam, step {configuration.learning_rate:g}, at most {configuration.iterations} iterations)"
    )
    steps = ", ".join(f"{100 * step:g} %" for step in configuration.interpolation_steps)
    positive = ", ".join(f"{step:g}" for step in configuration.positive_steps)
    targets = ", ".join(f"{target:g}" for target in configuration.targets)
    judges = theme.listed([title_of(name) for name in configuration.judges])
    return [
        f"Faces were made by {title_of(configuration.generator)} (seed {configuration.seed}): {batches} batches of "
        f"{configuration.bases_per_batch} bases, {configuration.samples_per_base} samples a base (paper A, section 3.2): the base "
        f"itself; positive samples in {configuration.positive_directions} random directions at {positive} paper units; the other "
        f"bases as negatives; {steps} of the way to each; and optimized samples, searched from each negative by {search} against "
        f"{title_of(configuration.recogniser)}, keeping the first below {targets}.",
        f"Pairs were judged by {judges}; how different they look by {title_of(configuration.perceptual)}.",
        *_made(manifest),
    ]


def _emotion(configuration: EmotionConfiguration, manifest: Mapping[str, Any]) -> list[str]:
    guided = "with" if configuration.guided else "without"
    judges = theme.listed([title_of(name) for name in configuration.judges])
    feelings = f"{configuration.emotion1} and {configuration.emotion2}"
    return [
        f"Faces between {feelings} were made by {title_of(configuration.generator)} (seed "
        f"{configuration.seed}, strategy {configuration.strategy}) {guided} uncertainty guidance (paper B, equations 1 and "
        f"2), steered by {title_of(configuration.steerer)} and judged by {judges}; filter (3) keeps faces whose logits for both feelings "
        "lie above the 75th percentile of plain faces.",
        *_made(manifest),
    ]


def _made(manifest: Mapping[str, Any]) -> list[str]:
    versions = manifest.get("versions", {})
    if not isinstance(versions, Mapping) or not versions:
        return []
    return ["Software: " + ", ".join(f"{name} {value}" for name, value in sorted(versions.items())) + "."]
