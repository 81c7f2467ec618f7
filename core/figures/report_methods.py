"""How the faces of a report were made, in words for readers, and the commands that make them again.

Both follow from a sample set's configuration and from what its manifest says beside it: a set of single changes, of axes, of faces
between two owners, of pairs on which two models part, and one of faces that people made are each told as what they are.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from core.analysis.chains import FacesMadeByPeople
from core.analysis.study_data import StudyData
from core.errors import LiminalError
from core.figures.theme import join_names
from core.models import registry
from core.sampling.change_design import CHANGES_KEY, ChangeDesign
from core.sampling.configuration import NO_GENERATOR, IdentityConfiguration
from core.sampling.emotion.configuration import EmotionConfiguration
from core.sampling.sample_set import AXES_KEY, CONTROVERSIAL_KEY, load_tables
from core.studies.library import Library


@dataclass(frozen=True)
class SetRecord:
    """How one sample set was made."""

    set_id: str
    configuration: IdentityConfiguration | EmotionConfiguration
    manifest: Mapping[str, Any]
    images: int


def load_records(study_data: StudyData, library: Library) -> list[SetRecord]:
    """Load the records of all sample sets that the library still holds."""
    records = []
    for set_id in study_data.sets:
        try:
            configuration, samples, _, manifest = load_tables(library.folder_of(set_id))
        except LiminalError:
            continue
        records.append(SetRecord(set_id, configuration, manifest, len(samples)))
    return records


def describe_sampling(sets: Sequence[SetRecord]) -> list[str]:
    """Describe how the faces were made, one paragraph a configuration."""
    paragraphs: dict[str, list[SetRecord]] = {}
    for record in sets:
        paragraphs.setdefault(_describe_record(record), []).append(record)
    return list(paragraphs) or ["How the faces were made is not known: their sample set is not in the library."]


def _describe_record(record: SetRecord) -> str:
    configuration = record.configuration
    if configuration.generator == NO_GENERATOR:
        networks = configuration.classifiers
        if isinstance(configuration, IdentityConfiguration):
            networks = (*configuration.judges, *networks)
        return (
            f"{record.images:,} pictures were brought along by those who made the study; no generator made them. Each is a square "
            f"of one size, and was judged as it is by {join_names([registry.title(name) for name in networks])}."
        )
    generator = registry.title(configuration.generator)
    if special := _describe_special_set(record, f"All faces were made by a computer ({generator}); nobody in them lives."):
        return special
    if isinstance(configuration, IdentityConfiguration):
        counts = record.manifest.get("counts", {})
        pairs = ", ".join(f"{number:,} {name}" for name, number in counts.items())
        way = {
            "cmaes": f"CMA-ES (sigma {configuration.sigma:g})",
            "gradient": f"gradient descent (Adam, step {configuration.learning_rate:g})",
            "surrogate": "climbing a surrogate model (Adam), corrected after every picture,",
        }[configuration.strategy]
        return (
            f"All faces were made by a computer ({generator}); nobody in them lives. Around each of "
            f"{configuration.bases_per_batch} bases a batch, samples were made as in paper A (pairs: {pairs}). Positive samples "
            f"lie {_join_steps(configuration.positive_steps)} paper units from the base; interpolated ones at "
            f"{_join_steps(configuration.interpolation_steps)} of the way to another base; optimized ones were sought by {way} "
            f"against {registry.title(configuration.recogniser)}, at most {configuration.iterations} rounds, until its distance "
            f"fell below {_join_steps(configuration.targets)}. Seed {configuration.seed}."
        )
    way = (
        "in two stages (diffusion over face embeddings, then a face for the embedding)"
        if configuration.strategy == "two-stage"
        else "by direct search over what the generator is made from"
    )
    how = (
        f"Faces on the boundary between two feelings were made {way}, guided to where {registry.title(configuration.steerer)} is "
        f"unsure ({configuration.loss} loss, strength {configuration.gamma:g}, freedom {configuration.freedom:g})"
        if configuration.guided
        else f"Faces without guidance, to compare with or to check attention, were made {way}"
    )
    judges = join_names([registry.title(name) for name in configuration.judges])
    return (
        f"All faces were made by a computer ({generator}); nobody in them lives. {how}, and judged by {judges}. Seed "
        f"{configuration.seed}."
    )


def _describe_special_set(record: SetRecord, opening: str) -> str:
    """Of a set that was made in another way than samples around bases and faces on a boundary; "" for those."""
    manifest, configuration = record.manifest, record.configuration
    judges = configuration.judges if isinstance(configuration, IdentityConfiguration) else configuration.classifiers
    judged = f" Judged by {join_names([registry.title(name) for name in judges])}. Seed {configuration.seed}."
    if made := FacesMadeByPeople.from_manifest(manifest):
        simulated = made.source == "simulated"
        who = "simulated people with a planted aim; nobody was asked" if simulated else f"{made.result.basis.raters:,} people"
        how = f"moved one part of a face after the other by a slider (study ‘{made.study}’), towards: {made.aim}"
        parts = f"{len(made.result.latents)} parts, {made.result.basis.answers:,} steps, {made.result.chains:,} chains"
        return f"{opening} What they look like was chosen by {who}: they {how}; {parts}.{judged} {made.note}".strip()
    if CHANGES_KEY in manifest:
        design = ChangeDesign.from_dict(manifest[CHANGES_KEY])
        latents = join_names([name.replace("_", " ") for name in design.latents])
        return (
            f"{opening} Of {design.people:,} people drawn at random, one named part of the face was moved alone, to "
            f"{design.reach:g} standard deviations below and above the middle, and nothing else: {latents}.{judged}"
        )
    if CONTROVERSIAL_KEY in manifest:
        facts = manifest[CONTROVERSIAL_KEY]
        if people := facts.get("people"):
            parted = f"the models of two people of the study ‘{facts['study']}’ ({join_names(people)})"
        else:
            limits = [f"{registry.title(name)} at {limit:.3f}" for name, limit in facts["limits"].items()]
            parted = f"two recognisers ({join_names(limits)})"
        moved = "Pairs of strangers" if isinstance(configuration, IdentityConfiguration) else "Faces"
        return f"{opening} {moved} were changed until {parted} said different things of them.{judged}"
    if "other_pictures" in manifest and isinstance(configuration, IdentityConfiguration):
        steps = _join_steps(configuration.interpolation_steps)
        return f"{opening} Between {len(manifest['batches']):,} pairs of people, faces were made at {steps} of the way.{judged}"
    if axes := manifest.get(AXES_KEY):
        people = axes.get("people", 0)
        ways = [f"{people} {'way' if people == 1 else 'ways'} from one person to another"] if people else []
        ways += [f"{name.replace('_', ' ')} from as drawn to its high end" for name in axes.get("latents", ())]
        ways += [f"one person from {' to '.join(axes['feelings'])}"] if axes.get("feelings") else []
        rows = f"in rows from one end to another ({join_names(ways)})"
        return f"{opening} They lie {rows}, whose pictures follow in small steps.{judged}"
    return ""


def list_settings(configuration: IdentityConfiguration | EmotionConfiguration) -> dict[str, Any]:
    """What a set depends on; of own pictures the models alone, since nothing else had a part in them."""
    values = configuration.to_dict()
    models = ("recogniser", "judges", "classifiers", "perceptual", "steerer")
    return {name: values[name] for name in models if name in values} if configuration.generator == NO_GENERATOR else values


def _join_steps(values: Sequence[float]) -> str:
    return join_names([f"{value:g}" for value in values])


def list_commands(study_data: StudyData, sets: Sequence[SetRecord]) -> list[str]:
    """List the commands that repeat the study."""
    lines = list(_list_generate_commands(sets))
    name = shlex.quote(study_data.study.name)
    if len(study_data.ratings) and study_data.source == "simulated" and not study_data.own_pictures:
        folders = " ".join(f"set-{index + 1}" for index in range(len(sets)))
        raters = len(study_data.exclusions.raters)
        lines.append(
            f"python -m core study simulate --sets {folders} --study {name} --raters {raters} --seed {study_data.study.plan.seed}"
            f"{' --adaptive' if study_data.study.plan.adaptive else ''}"
        )
    lines.append(
        f"python -m core report --study {name} --html report.html"
        if len(study_data.ratings) or study_data.own_pictures
        else "python -m core report set-1 --html report.html"
    )
    return lines


def _list_generate_commands(sets: Sequence[SetRecord]) -> Iterator[str]:
    for index, record in enumerate(sets):
        configuration = record.configuration
        if configuration.generator == NO_GENERATOR:
            continue  # no command makes them
        if special := _find_special_command(record):
            yield f"python -m core {special}{index + 1}"
            continue
        if isinstance(configuration, IdentityConfiguration):
            head = f"python -m core generate identity --batches {len(record.manifest.get('batches', [0]))}"
            defaults: IdentityConfiguration | EmotionConfiguration = IdentityConfiguration()
            skipped = {"seed", "semantic"}
            tail = " --semantic" if configuration.semantic else ""
        else:
            pair = f"{configuration.emotion1} {configuration.emotion2}"
            head = f"python -m core generate emotion --pair {pair} --count {configuration.count}"
            defaults = EmotionConfiguration(configuration.emotion1, configuration.emotion2)
            skipped = {"seed", "emotion1", "emotion2", "count", "guided", "adaptive", "steerer", "judges", "recogniser"}
            tail = ("" if configuration.guided else " --unguided") + ("" if configuration.adaptive else " --no-adaptive")
        options = "".join(
            f" --{field.name.replace('_', '-')} {_format_option(getattr(configuration, field.name))}"
            for field in fields(configuration)
            if field.name not in skipped and getattr(configuration, field.name) != getattr(defaults, field.name)
        )
        yield f"{head} --seed {configuration.seed}{options}{tail} --out set-{index + 1}"


def _find_special_command(record: SetRecord) -> str:
    """The command of a set that was made in another way, up to the number of its folder; "" for the usual ones."""
    manifest, configuration = record.manifest, record.configuration
    models = f" --generator {configuration.generator} --seed {configuration.seed} --out set-"
    if made := FacesMadeByPeople.from_manifest(manifest):
        return f"chains faces {shlex.quote(made.study)} --out set-"
    if CHANGES_KEY in manifest:
        design = ChangeDesign.from_dict(manifest[CHANGES_KEY])
        shown = f" --latents {' '.join(design.latents)} --top {len(design.latents)} --people {design.people}"
        return f"causes --generator {design.generator} --seed {design.seed}{shown} --contexts {design.contexts} --set set-"
    if CONTROVERSIAL_KEY in manifest:
        facts = manifest[CONTROVERSIAL_KEY]
        if people := facts.get("people"):
            raters = " ".join(shlex.quote(name) for name in people)
            study = shlex.quote(facts["study"])
            options = f"--count {facts['count']} --seed {configuration.seed} --out set-"
            return f"align controversial --study {study} --raters {raters} {options}"
        limits = facts["limits"]
        named = f"--recognisers {' '.join(limits)} --limits {_format_option(tuple(limits.values()))}"
        return f"generate controversial {named} --count {len(facts['pairs'])} --margin {facts['margin']:g}{models}"
    if "other_pictures" in manifest and isinstance(configuration, IdentityConfiguration):
        steps = _format_option(configuration.interpolation_steps)
        pairs = len(manifest["batches"])
        return f"generate morphs --pairs {pairs} --steps {steps} --recogniser {configuration.recogniser}{models}"
    if axes := manifest.get(AXES_KEY):
        options = f" --people {axes['people']}" if axes.get("people") else ""
        options += f" --latents {' '.join(axes['latents'])}" if axes.get("latents") else ""
        options += f" --feelings {' '.join(axes['feelings'])}" if axes.get("feelings") else ""
        return f"generate axis{options}{models}"
    return ""


def _format_option(value: object) -> str:
    return " ".join(f"{item}" for item in value) if isinstance(value, tuple) else f"{value}"
