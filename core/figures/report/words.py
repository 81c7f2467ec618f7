"""The text of a report, filled in from the study's plan and its sample sets' manifests. Plain text: escaped where it is put."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import core
from core.analysis.material import Material
from core.errors import LiminalError
from core.figures.exhibits.exhibit import people, title_of
from core.figures.theme import listed
from core.sampling.configuration import IdentityConfiguration
from core.sampling.emotion.configuration import EmotionConfiguration
from core.sampling.sample_set import load_tables
from core.studies.library import Library


@dataclass(frozen=True)
class SetRecord:
    """What is known of how one sample set was made."""

    set_id: str
    configuration: IdentityConfiguration | EmotionConfiguration
    manifest: Mapping[str, Any]
    images: int


def records(material: Material, library: Library) -> list[SetRecord]:
    """Of every sample set that the library still holds."""
    found = []
    for set_id in material.sets:
        try:
            configuration, samples, _, manifest = load_tables(library.folder_of(set_id))
        except LiminalError:
            continue
        found.append(SetRecord(set_id, configuration, manifest, len(samples)))
    return found


def asked(material: Material) -> list[str]:
    """What people were asked, and how."""
    plan = material.study.plan
    if not len(material.ratings):
        return ["Nobody has been asked about these faces yet: this report holds what models say of them."]
    who = "Simulated observers" if material.source == "simulated" else "People"
    if material.kind == "identity":
        told = [
            f"{who} saw two faces side by side, a base and a sample, and gave two answers: how similar the faces are, on a "
            "slider from 0 to 100, and whether both show the same person."
        ]
        if plan.image_ms:
            told[0] += f" The faces were shown for {plan.image_ms} ms after a cross of {plan.fixation_ms} ms."
    else:
        told = [
            f"{who} saw a cross for {plan.fixation_ms} ms, then a face for {plan.image_ms} ms, and then chose one of six "
            "feelings: surprise, fear, disgust, happiness, sadness or anger."
        ]
    if material.source == "published":
        return [*told, "The answers were brought in from a publication or from elsewhere; nobody was asked by this program."]
    sentinels = f", and {plan.sentinels} attention checks, whose right answer is known" if plan.sentinels else ""
    told.append(
        f"Each got {plan.trials:,} trials{sentinels}. Which pictures somebody got was balanced, their order random within and "
        f"between people (seed {plan.seed})."
    )
    return told


def made(sets: Sequence[SetRecord]) -> list[str]:
    """How the faces came about: one paragraph a way of making them."""
    paragraphs: dict[str, list[SetRecord]] = {}
    for each in sets:
        paragraphs.setdefault(_made(each), []).append(each)
    return list(paragraphs) or ["How the faces were made is not known: their sample set is not in the library."]


def _made(record: SetRecord) -> str:
    configuration = record.configuration
    generator = title_of(configuration.generator)
    if isinstance(configuration, IdentityConfiguration):
        counts = record.manifest.get("counts", {})
        pairs = ", ".join(f"{number:,} {name}" for name, number in counts.items())
        way = (
            f"CMA-ES (sigma {configuration.sigma:g})"
            if configuration.strategy == "cmaes"
            else f"gradient descent (Adam, step {configuration.learning_rate:g})"
        )
        return (
            f"All faces were made by a network ({generator}); nobody in them lives. Around each of "
            f"{configuration.bases_per_batch} bases a batch, samples were made as in paper A (pairs: {pairs}). Positive samples "
            f"lie {_steps(configuration.positive_steps)} paper units from the base; interpolated ones at "
            f"{_steps(configuration.interpolation_steps)} of the way to another base; optimized ones were sought by {way} "
            f"against {title_of(configuration.recogniser)}, at most {configuration.iterations} rounds, until its distance fell "
            f"below {_steps(configuration.targets)}. Seed {configuration.seed}."
        )
    way = (
        "in two stages (diffusion over face embeddings, then a face for the embedding)"
        if configuration.strategy == "two-stage"
        else "by direct search over what the generator is made from"
    )
    how = (
        f"Faces on the boundary between two feelings were made {way}, guided to where {title_of(configuration.steerer)} is "
        f"unsure ({configuration.loss} loss, strength {configuration.gamma:g}, freedom {configuration.freedom:g})"
        if configuration.guided
        else f"Faces without guidance, to compare with or to check attention, were made {way}"
    )
    judges = listed([title_of(name) for name in configuration.judges])
    return (
        f"All faces were made by a network ({generator}); nobody in them lives. {how}, and judged by {judges}. Seed "
        f"{configuration.seed}."
    )


def _steps(values: Sequence[float]) -> str:
    return listed([f"{value:g}" for value in values])


def who(material: Material) -> list[str]:
    """How many answered and who was left out, by which rules."""
    raters = material.exclusions.raters
    if not raters:
        return []
    noun = people(material)
    kept = len(raters) - len(material.excluded)
    counted = f"; those of {kept:,} count" if material.excluded else ""
    told = [f"{len(raters):,} {noun} gave {len(material.ratings):,} answers{counted}."]
    if material.excluded:
        told.append(f"{len(material.excluded):,} were left out of everything below; their answers are kept.")
    else:
        told.append("Nobody was left out.")
    return told


def limits(material: Material) -> list[str]:
    """What the numbers do not show."""
    told = [
        "The faces are one network's. How often they are confused says how recognisers and people treat this network's faces; "
        "it proves nothing about real people, who differ more from one another, and nothing about the safety of a device.",
        "Where a figure speaks of errors, it means departures from what most people say: generated faces have no true identity "
        "and feel nothing.",
    ]
    if material.source == "simulated":
        told.insert(0, f"Nobody was asked: these answers come from simulated observers. {material.study.note}".strip())
    elif material.source == "people":
        told.append(
            "People answered in their own browsers: times are good to one frame of their screens at best, and nobody saw what "
            "screens they had."
        )
    raters = len(material.exclusions.raters) - len(material.excluded)
    if 0 < raters < 10:
        told.append(f"{raters} {'person is' if raters == 1 else 'people are'} too few to speak of people in general.")
    return [*told, *material.notes]


def commands(material: Material, sets: Sequence[SetRecord]) -> list[str]:
    """What to type to get the same again."""
    lines = list(_generate(sets))
    name = shlex.quote(material.study.name)
    if len(material.ratings) and material.source == "simulated":
        folders = " ".join(f"set-{place + 1}" for place in range(len(sets)))
        raters = len(material.exclusions.raters)
        lines.append(
            f"python -m core study simulate --sets {folders} --study {name} --raters {raters} --seed {material.study.plan.seed}"
        )
    lines.append(
        f"python -m core report --study {name} --html report.html"
        if len(material.ratings)
        else "python -m core report set-1 --html report.html"
    )
    return lines


def _generate(sets: Sequence[SetRecord]) -> Iterator[str]:
    for place, each in enumerate(sets):
        configuration = each.configuration
        if isinstance(configuration, IdentityConfiguration):
            head = f"python -m core generate identity --batches {len(each.manifest.get('batches', [0]))}"
            usual: IdentityConfiguration | EmotionConfiguration = IdentityConfiguration()
            skipped = {"seed", "semantic"}
            tail = " --semantic" if configuration.semantic else ""
        else:
            pair = f"{configuration.emotion1} {configuration.emotion2}"
            head = f"python -m core generate emotion --pair {pair} --count {configuration.count}"
            usual = EmotionConfiguration(configuration.emotion1, configuration.emotion2)
            skipped = {"seed", "emotion1", "emotion2", "count", "guided", "adaptive", "steerer", "judges", "recogniser"}
            tail = ("" if configuration.guided else " --unguided") + ("" if configuration.adaptive else " --no-adaptive")
        options = "".join(
            f" --{field.name.replace('_', '-')} {_value(getattr(configuration, field.name))}"
            for field in fields(configuration)
            if field.name not in skipped and getattr(configuration, field.name) != getattr(usual, field.name)
        )
        yield f"{head} --seed {configuration.seed}{options}{tail} --out set-{place + 1}"


def _value(value: object) -> str:
    return " ".join(f"{each}" for each in value) if isinstance(value, tuple) else f"{value}"


def versions(sets: Sequence[SetRecord]) -> dict[str, str]:
    """Of this program now, and of everything that a set says it was made with."""
    found: dict[str, set[str]] = {"liminal (this report)": {core.__version__}}
    for each in sets:
        for name, version in each.manifest.get("versions", {}).items():
            found.setdefault(name, set()).add(str(version))
    return {name: ", ".join(sorted(values)) for name, values in found.items()}


def weights(sets: Sequence[SetRecord]) -> dict[str, tuple[str, str]]:
    """File of a model -> (model, SHA-256)."""
    found: dict[str, tuple[str, str]] = {}
    for each in sets:
        for name, model in each.manifest.get("models", {}).items():
            for path, digest in model.get("files", {}).items():
                found[f"{name}/{path}"] = (title_of(name), str(digest))
    return found
