"""Single changes: every named latent moved alone, on the same people, and what each network makes of it.

Every moved picture (``change_design``) is compared with the unmoved one, and with other pictures of the same person (enrolments),
whose limit says whether the phone would still open. The surrogate predicts all of it from latents (``judge_changes`` with
``predicted``); true pictures are made for what is shown. A generator's latents need names.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.errors import Cancelled, LiminalError
from core.models import registry
from core.models.contracts import Classifier, DescriptorSurrogate, Generator, Recogniser
from core.models.emotions import EMOTIONS
from core.models.framing import frame_for_classifiers
from core.progress import Progress
from core.sampling.bases import Base
from core.sampling.change_design import CHANGES_KEY, ChangeDesign, Treatment, describe_cost, list_treatments, list_unpredicted
from core.sampling.configuration import IdentityConfiguration, sample_seed
from core.sampling.identity import VERSIONED_PACKAGES, IdentityPanel, SampleSpec, assemble_sample_set
from core.sampling.images import quantise, to_images, to_pictures
from core.sampling.sample_set import SampleSet, count_sample_types, describe_provenance, join_identity_sets

Array = NDArray[np.float64]

STRIP_STEPS = 5
ROWS_AT_ONCE = 2048
"""Latents that are predicted between two looks at whether the user has cancelled."""
PEOPLE_IN_BATCH = 4
"""Of a study: what one rater gets is about these people."""


@dataclass(frozen=True, eq=False)
class JudgedChanges:
    """What every network makes of T treatments of R faces, (person, context) each; NaN where no face was found.

    person: (R,) whose face it is. distances: by recogniser (T, R), moved to unmoved picture. enrolled: (T, R, E), moved picture to
    the person's enrolments; usual: (R, E), the same of the unmoved one. probabilities: by classifier (T, R, 6); unmoved: (R, 6).
    predicted: by the surrogate, without a picture. note: a sentence where something is missing, else "".
    """

    design: ChangeDesign
    treatments: tuple[Treatment, ...]
    predicted: bool
    person: NDArray[np.intp]
    distances: Mapping[str, Array]
    enrolled: Mapping[str, Array]
    usual: Mapping[str, Array]
    probabilities: Mapping[str, Array]
    unmoved: Mapping[str, Array]
    seconds: float
    note: str = ""

    @property
    def people(self) -> int:
        """How many people were judged: fewer than planned where it was stopped."""
        return int(self.person.max()) + 1


@dataclass(frozen=True, eq=False)
class ChangePanel:
    """The networks of an experiment. surrogate: None where true pictures are made."""

    generator: Generator
    recognisers: Mapping[str, Recogniser]
    classifiers: Mapping[str, Classifier]
    surrogate: DescriptorSurrogate | None = None

    @classmethod
    def load(cls, design: ChangeDesign, *, predicted: bool) -> ChangePanel:
        """Raises LiminalError where a recogniser is to be predicted that no surrogate knows."""
        missing = list_unpredicted(design) if predicted else []
        if missing:
            raise LiminalError(
                f"No surrogate predicts what {registry.title(missing[0])} says of these faces, so that only true pictures can "
                f"answer, which is slow ({describe_cost(design, predicted=False)}); ask for true pictures, or leave it out."
            )
        return cls(
            registry.load(design.generator, "generator"),
            {name: registry.load(name, "recogniser") for name in design.recognisers},
            {} if predicted else {name: registry.load(name, "classifier") for name in design.classifiers},
            registry.load_descriptor_surrogate(design.generator, design.recognisers[0]) if predicted else None,
        )

    def observe(self, latents: Tensor, design: ChangeDesign) -> tuple[dict[str, Tensor], dict[str, Array]]:
        """Latents (N, d) -> descriptors by recogniser (N, D) and probabilities by classifier (N, 6)."""
        with torch.inference_mode():
            if self.surrogate is not None:
                descriptors = {name: self.surrogate.predict_table(latents, name) for name in self.recognisers}
                known = [name for name in design.classifiers if name in self.surrogate.classifiers]
                if not known:
                    return descriptors, {}
                said = self.surrogate.predict_table(latents, None).softmax(dim=2).cpu().double().numpy()
                return descriptors, {name: said[:, self.surrogate.classifiers.index(name)] for name in known}
            images = quantise(self.generator.decode(latents))
            descriptors = {name: judge.embed(images) for name, judge in self.recognisers.items()}
            framed = frame_for_classifiers(images, self.generator.classifier_frame) if self.classifiers else images
            return descriptors, {
                name: judge.probabilities(framed).cpu().double().numpy() for name, judge in self.classifiers.items()
            }


def draw_faces(design: ChangeDesign, generator: Generator, person: int) -> tuple[Tensor, Tensor]:
    """One person's latents in each context (C, d), and those of the enrolments (E, d): in scenes and expressions of their own.

    They depend on the seed and the person's number alone. What is worn stays, where the generator knows of it.
    """
    keep = [name for name in ("accessories",) if name in generator.blocks]
    origin = generator.sample([sample_seed(design.seed, "changed person", person)])
    parts = []
    for kind, count in (("context", design.contexts), ("enrolment", design.enrolments)):
        seeds = [sample_seed(design.seed, "changed person", person, kind, number) for number in range(count)]
        parts.append(generator.redraw_conditions(origin.repeat(count, 1), seeds, keep))
    return parts[0], parts[1]


def apply_treatments(latents: Tensor, treatments: Sequence[Treatment], generator: Generator) -> Tensor:
    """Latents (R, d) -> (T, R, d), in each of which the named latents alone are set. Raises LiminalError for an unknown name."""
    places = {named.name: place for place, named in enumerate(generator.latent_names)}
    moved = latents.repeat(len(treatments), 1, 1)
    for number, treatment in enumerate(treatments):
        for name, value in treatment.items():
            if name not in places:
                raise LiminalError(f"{generator.card.title} has no latent called '{name}'.")
            moved[number, :, places[name]] = value
    return moved


def judge_changes(
    design: ChangeDesign,
    *,
    predicted: bool,
    treatments: Sequence[Treatment] | None = None,
    progress: Progress | None = None,
    panel: ChangePanel | None = None,
) -> JudgedChanges:
    """Ask every network about every treatment of every face; treatments: None for both ends of each latent.

    Person by person, so that who is stopped keeps what is done: from two people on, a stop gives the result so far, and its note
    says so. Raises Cancelled before that.
    """
    progress = progress or Progress()
    progress.stage("Loading the networks", 0.0)
    panel = panel or ChangePanel.load(design, predicted=predicted)
    treatments = tuple(list_treatments(design) if treatments is None else treatments)
    began = time.perf_counter()
    rows = design.count_pictures(len(treatments)) // design.people
    at_once = max(1, ROWS_AT_ONCE // rows) if predicted else 1
    blocks: list[_Block] = []
    note = ""
    try:
        for first in range(0, design.people, at_once):
            people = range(first, min(first + at_once, design.people))
            what = "Predicting" if predicted else "Drawing and judging"
            progress.stage(f"{what} person {people[-1] + 1} of {design.people}", first / design.people)
            blocks.append(_judge_people(design, people, treatments, panel))
    except (Cancelled, KeyboardInterrupt):
        if sum(block.people for block in blocks) < 2:
            raise
    done = sum(block.people for block in blocks)
    if done < design.people:
        note = f"It was stopped after {done} of {design.people} people; the figures are of these."
    lost = [name for name in design.classifiers if name not in blocks[0].unmoved]
    if lost:
        note += f"{' ' if note else ''}Nothing predicts what {' and '.join(map(registry.title, lost))} says; true pictures ask it."

    def join(part: str, axis: int) -> dict[str, Array]:
        parts = [getattr(block, part) for block in blocks]
        return {name: np.concatenate([arrays[name] for arrays in parts], axis=axis) for name in parts[0]}

    return JudgedChanges(
        design,
        treatments,
        predicted,
        np.repeat(np.arange(done), design.contexts),
        distances=join("distances", 1),
        enrolled=join("enrolled", 1),
        usual=join("usual", 0),
        probabilities=join("probabilities", 1),
        unmoved=join("unmoved", 0),
        seconds=time.perf_counter() - began,
        note=note,
    )


@dataclass(frozen=True, eq=False)
class _Block:
    """The arrays of ``JudgedChanges`` for some people."""

    people: int
    distances: dict[str, Array]
    enrolled: dict[str, Array]
    usual: dict[str, Array]
    probabilities: dict[str, Array]
    unmoved: dict[str, Array]


def _judge_people(design: ChangeDesign, people: range, treatments: Sequence[Treatment], panel: ChangePanel) -> _Block:
    drawn = [draw_faces(design, panel.generator, person) for person in people]
    faces = torch.cat([contexts for contexts, _ in drawn])  # (R, d)
    enrolments = torch.cat([others for _, others in drawn])  # (P E, d)
    moved = apply_treatments(faces, treatments, panel.generator)  # (T, R, d)
    number, total = len(faces), len(treatments) * len(faces)
    descriptors, said = panel.observe(torch.cat([faces, enrolments, moved.flatten(0, 1)]), design)
    owner = torch.arange(len(people)).repeat_interleave(design.contexts)  # (R,)
    block = _Block(len(people), {}, {}, {}, {}, {})
    for name, vectors in descriptors.items():
        judge = panel.recognisers[name]
        before, others, after = vectors[:number], vectors[number:-total], vectors[-total:].view(len(treatments), number, -1)
        of_owner = others.view(len(people), design.enrolments, -1)[owner]  # (R, E, D)

        def measure(a: Tensor, b: Tensor, judge: Recogniser = judge) -> Array:
            with torch.inference_mode():
                shape = torch.broadcast_shapes(a.shape, b.shape)  # type: ignore[no-untyped-call]
                first, second = a.expand(shape).reshape(-1, shape[-1]), b.expand(shape).reshape(-1, shape[-1])
                apart = judge.distance(first, second)
            measured: Array = apart.view(shape[:-1]).cpu().double().numpy()
            return measured

        block.distances[name] = measure(after, before)
        block.enrolled[name] = measure(after[:, :, None], of_owner)
        block.usual[name] = measure(before[:, None], of_owner)
    for name, shares in said.items():
        block.unmoved[name] = shares[:number]
        block.probabilities[name] = shares[-total:].reshape(len(treatments), number, len(EMOTIONS))
    return block


@dataclass(frozen=True, eq=False)
class StripFrame:
    """One true picture uint8 (H, W, 3) of a strip: the named value in its unit, distances to the unmoved picture, probabilities."""

    value: float
    picture: NDArray[np.uint8]
    distances: Mapping[str, float]
    probabilities: Mapping[str, Array]


@dataclass(frozen=True, eq=False)
class LatentStrip:
    """One person with one latent from its low to its high end, nothing else moving; ``unmoved`` is the person as drawn."""

    name: str
    unmoved: StripFrame
    frames: tuple[StripFrame, ...]


def make_strips(
    design: ChangeDesign,
    names: Sequence[str],
    *,
    steps: int = STRIP_STEPS,
    progress: Progress | None = None,
    panel: ChangePanel | None = None,
) -> list[LatentStrip]:
    """The strips of some latents of the design's calmest person, as true pictures. Events: Stage, LatentStrip."""
    progress = progress or Progress()
    panel = panel or ChangePanel.load(design, predicted=False)
    face = _find_calm_face(design, panel.generator)
    ends = np.linspace(-design.reach, design.reach, steps)
    strips = []
    for number, name in enumerate(names):
        progress.stage(f"Drawing strip {number + 1} of {len(names)}", number / max(len(names), 1))
        moved = apply_treatments(face, [{name: float(end)} for end in ends], panel.generator)[:, 0]
        latents = torch.cat([face, moved])
        with torch.inference_mode():
            pictures = to_pictures(panel.generator.decode(latents))
            images = to_images(pictures)
            framed = frame_for_classifiers(images, panel.generator.classifier_frame) if panel.classifiers else images
            apart = {}
            for judged, judge in panel.recognisers.items():
                vectors = judge.embed(images)
                apart[judged] = judge.distance(vectors[:1].expand_as(vectors), vectors).tolist()
            shares = {judged: judge.probabilities(framed).cpu().double().numpy() for judged, judge in panel.classifiers.items()}
        values = [row[name] for row in panel.generator.named_values(latents)]
        frames = [
            StripFrame(
                values[row],
                pictures[row],
                {judged: distances[row] for judged, distances in apart.items()},
                {judged: share[row] for judged, share in shares.items()},
            )
            for row in range(len(latents))
        ]
        strips.append(LatentStrip(name, frames[0], tuple(frames[1:])))
        progress.emit(strips[-1])
    return strips


def _find_calm_face(design: ChangeDesign, generator: Generator) -> Tensor:
    """The latents (1, d) of the person with the most usual scene, expression and things worn: a change shows best there."""
    faces = torch.cat([draw_faces(design, generator, person)[0][:1] for person in range(design.people)])
    others = torch.ones(generator.latent_dim, dtype=torch.bool)
    others[generator.blocks.get("identity", slice(0))] = False
    worn = faces[:, generator.blocks.get("accessories", slice(0))].relu().square().sum(dim=1)
    return faces[[int((faces[:, others].square().sum(dim=1) + 4 * worn).argmin())]]


def make_change_set(design: ChangeDesign, *, progress: Progress | None = None, panel: IdentityPanel | None = None) -> SampleSet:
    """An identity set of pairs to ask people about: each person beside themselves with one latent moved to either end.

    sample_type of these pairs is 'semantic', ``direction`` the latent and '+' or '-'; the first context of each person. Beside them
    each person themselves (the attention check) and the next one, so that raters see both ends of their scale. The people are those
    of the design; what one rater gets are PEOPLE_IN_BATCH of them.
    """
    progress = progress or Progress()
    progress.stage("Loading the networks", 0.0)
    configuration = IdentityConfiguration(
        seed=design.seed,
        generator=design.generator,
        recogniser=design.recognisers[0],
        judges=design.recognisers,
        classifiers=design.classifiers,
        targets=(),
    )
    panel = panel or IdentityPanel.load(configuration)
    sets = []
    for batch, first in enumerate(range(0, design.people, PEOPLE_IN_BATCH)):
        people = range(first, min(first + PEOPLE_IN_BATCH, design.people))
        part = progress.stretch(first / design.people, people.stop / design.people)
        part.stage(f"Drawing and judging pairs of person {people.stop} of {design.people}", 0.0)
        sets.append(_make_batch(design, configuration, batch, people, panel, part))
    joined = join_identity_sets(sets)
    return replace(joined, manifest={**joined.manifest, CHANGES_KEY: design.to_dict()})


def _make_batch(
    design: ChangeDesign, configuration: IdentityConfiguration, batch: int, people: range, panel: IdentityPanel, progress: Progress
) -> SampleSet:
    began = time.perf_counter()
    generator = panel.generator
    faces = torch.cat([draw_faces(design, generator, person)[0][:1] for person in people])
    bases = [
        Base(latent, sample_seed(design.seed, "changed person", person))
        for latent, person in zip(faces.numpy(), people, strict=True)
    ]
    treatments = list_treatments(design)
    moved = apply_treatments(faces, treatments, generator).numpy()  # (T, R, d)
    specs: list[SampleSpec] = []
    for place, base in enumerate(bases):
        specs.append(SampleSpec(place, "genuine", 0.0, base.latent, base.seed))
        if len(bases) > 1:
            other = (place + 1) % len(bases)
            specs.append(SampleSpec(place, "negative", float("nan"), bases[other].latent, bases[other].seed, other))
        for number, treatment in enumerate(treatments):
            (name, end), latent = next(iter(treatment.items())), moved[number, place]
            length = float(np.linalg.norm(latent - base.latent)) / generator.step_scale
            if length > 0:
                label = f"{name}{'+' if end > 0 else '-'}"
                specs.append(SampleSpec(place, "semantic", length, latent, base.seed, direction=label))
    pictures: list[Any] = []
    for start in range(0, len(specs), 16):
        progress.stage(f"Drawing picture {start + 1} of {len(specs)}", 0.7 * start / len(specs))
        with torch.inference_mode():
            rows = np.stack([spec.latent for spec in specs[start : start + 16]])
            pictures += list(to_pictures(generator.decode(torch.from_numpy(rows))))
    with torch.inference_mode():
        of_bases = to_pictures(generator.decode(faces))
    made = assemble_sample_set(configuration, batch, bases, of_bases, specs, pictures, panel, progress.stretch(0.7, 1.0))
    manifest = {
        "seed": design.seed,
        "batches": [batch],
        "counts": count_sample_types(made.pairs),
        "base_draws": len(bases),
        "evaluations": 0,
        "seconds": {"total": time.perf_counter() - began},
        "searches": [],
        "classifier_frame": generator.classifier_frame,
        "thresholds": {judge.name: judge.threshold for judge in panel.judges},
        **describe_provenance(panel.cards(), generator.device, VERSIONED_PACKAGES),
    }
    return replace(made, manifest=manifest)
