"""BaseNet -> GroupNet -> IndivNet (paper B, section V.A): each model learns once, is kept, and is read again afterwards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from core.alignment.alignment import Alignment, Inputs
from core.alignment.answers import Answered, Places
from core.alignment.configuration import AlignmentConfiguration, Part
from core.alignment.kept import Probabilities
from core.alignment.networks import Learner, answer, features
from core.alignment.splits import Parted, held_out
from core.alignment.training import Rows, Schedule, fine_tune
from core.errors import LiminalError
from core.progress import Progress, Stage


def group(alignment: Alignment, progress: Progress | None = None) -> Alignment:
    """Let every classifier of the configuration learn from all people; those that have are left as they are.

    Answers to reference data 2:1. A run that was stopped or killed goes on after its last whole epoch. Emits Stage and EpochDone.
    Raises LiminalError; what was finished before stays.
    """
    progress = progress or Progress()
    names = [name for name in alignment.configuration.classifiers if not alignment.ready(name)]
    for place, name in enumerate(names):
        _group(alignment, name, progress.part(name, place, len(names)))
    return alignment


def _group(alignment: Alignment, name: str, progress: Progress) -> None:
    c, split = alignment.configuration, alignment.split
    given = alignment.sources.inputs(name, progress.stretch(0.0, 0.5))
    network = alignment.sources.learner(name)
    network.check(given.images)
    alignment.kept.write(name, "base", "", _probabilities(network, given))
    learned, judged = _stopping(split, *split.group())
    inputs = torch.cat([given.images, given.reference])
    plain = np.flatnonzero(~alignment.reference_held)
    reference = Rows(plain + len(given.images), alignment.labels.labels[plain], np.ones(len(plain)))
    if name == "emotion-mlp":
        rows = Rows.single(split.answers.image[learned], split.answers.emotion[learned])
    else:
        rows = _together(split.answers, learned)
    unfinished = alignment.kept.unfinished(name, "group")
    curve = fine_tune(
        network,
        inputs,
        rows,
        reference,
        c.reference_share,
        _together(split.answers, judged),
        _schedule(c, c.part),
        stage="group",
        saved=unfinished,
        progress=progress.stretch(0.5, 1.0),
    )
    alignment.kept.write(name, "group", "", _probabilities(network, given), _learned(network, c.part), curve)
    unfinished.unlink(missing_ok=True)


@dataclass(frozen=True, eq=False)
class Group:
    """A group's model ready to be learned on from; with ``part`` "head" only its last layer, on features computed once."""

    classifier: str
    part: Part
    network: Learner
    given: Inputs


def load_group(alignment: Alignment, classifier: str, progress: Progress | None = None) -> Group:
    """GroupNet with its inputs, as individuals start from it. Raises LiminalError where the group's model has not learned."""
    network = group_network(alignment, classifier)
    given = alignment.sources.inputs(classifier, progress or Progress())
    part = alignment.configuration.individual_part(classifier)
    if part == "head":
        given = Inputs(features(network, given.images), features(network, given.reference))
        network = Learner(classifier, nn.Identity(), network.head, network.order)
    return Group(classifier, part, network, given)


def group_network(alignment: Alignment, classifier: str) -> Learner:
    """GroupNet itself, a network of its own. Raises LiminalError where the group's model has not learned."""
    if not alignment.ready(classifier):
        raise LiminalError(f"The group's {classifier} has not learned yet; run 'python -m core align group' first.")
    network = alignment.sources.learner(classifier)
    _fill(network, alignment.kept.weights(classifier, "group"), alignment.configuration.part)
    return network


def individual_network(alignment: Alignment, classifier: str, rater: str) -> Learner:
    """A person's IndivNet itself, reading the classifier's inputs. Raises LiminalError where it has not learned."""
    network = group_network(alignment, classifier)
    part = alignment.configuration.individual_part(classifier)
    _fill(network, alignment.kept.weights(classifier, "people", rater), part)
    return network


def individual(
    alignment: Alignment,
    classifier: str,
    rater: str,
    *,
    null: bool = False,
    loaded: Group | None = None,
    progress: Progress | None = None,
) -> Probabilities:
    """A person's model, learned from their own answers and others' 2:1, or read where it has learned before.

    null: from shuffled answers, the control. loaded: where several people learn one after the other. Raises LiminalError where
    that person gave too few answers, or none to held-out images; what was finished before stays.
    """
    stage = "shuffled" if null else "people"
    if alignment.kept.has(classifier, stage, rater):
        return alignment.kept.probabilities(classifier, stage, rater)
    split: Parted = alignment.null if null else alignment.split
    learned, judged = _stopping(split, *split.check_person(rater))
    loaded = loaded or load_group(alignment, classifier, progress)
    c, answers = alignment.configuration, split.answers
    network = loaded.network.clone()
    unfinished = alignment.kept.unfinished(classifier, stage, rater)
    curve = fine_tune(
        network,
        loaded.given.images,
        _single(answers, learned),
        _together(answers, split.others(rater)),
        c.group_share,
        _single(answers, judged),
        _schedule(c, loaded.part),
        stage="individual",
        rater=rater,
        saved=unfinished,
        progress=progress,
    )
    said = _probabilities(network, loaded.given)
    alignment.kept.write(classifier, stage, rater, said, None if null else _learned(network, loaded.part), curve)
    unfinished.unlink(missing_ok=True)
    return said


def everyone(
    alignment: Alignment, *, null: bool = True, people: Sequence[str] | None = None, progress: Progress | None = None
) -> Alignment:
    """The models of all people with enough answers (or of ``people``), by every classifier; null: the control too.

    Emits Stage, and EpochsBefore and EpochDone of the people's own models, not of the control. Raises LiminalError where nobody
    has enough.
    """
    progress = progress or Progress()
    able = tuple(people) if people is not None else alignment.split.able()
    if not able:
        raise LiminalError(
            f"Nobody has given {alignment.configuration.least_own} answers to learn from and one to be judged by; ask for more."
        )
    names = alignment.configuration.classifiers
    for place, name in enumerate(names):
        own = progress.part(name, place, len(names))
        loaded: Group | None = None
        kinds = (False, True) if null else (False,)
        for number, rater in enumerate(able):
            for control in kinds:
                if alignment.kept.has(name, "shuffled" if control else "people", rater):
                    continue
                if control and not all(map(len, alignment.null.person(rater))):
                    continue  # nobody shares an image with this person
                if loaded is None:
                    loaded = load_group(alignment, name, own)
                quiet = Progress(None if control else _without_stages(own), own.cancel)
                individual(alignment, name, rater, null=control, loaded=loaded, progress=quiet)
            own.stage(f"Person {number + 1} of {len(able)} has a model", (number + 1) / len(able))
    return alignment


def _without_stages(progress: Progress) -> Callable[[Any], None]:
    """A person's curve is passed on; how far their model is says nothing of how far everybody is."""

    def report(event: Any) -> None:
        if not isinstance(event, Stage):
            progress.emit(event)

    return report


def _single(answers: Answered, rows: Places) -> Rows:
    return Rows.single(answers.image[rows], answers.emotion[rows])


def _together(answers: Answered, rows: Places) -> Rows:
    return Rows.by_image(answers.image[rows], answers.emotion[rows], len(answers.images))


def _stopping(split: Parted, learned: Places, judged: Places) -> tuple[Places, Places]:
    """Rows to learn from and rows to look at after each epoch: held-out ones, or, where these would decide when to stop, a fifth
    of the images that would else be learned from. What is reported never decides anything."""
    c = split.configuration
    if not c.patience:
        return learned, judged
    places = np.unique(split.answers.image[learned])
    out = held_out([split.answers.images[place] for place in places], c.validation, c.seed, "stopping")
    stops = np.isin(split.answers.image[learned], places[out])
    return learned[~stops], learned[stops]


def _schedule(c: AlignmentConfiguration, part: Part) -> Schedule:
    return Schedule(epochs=c.epochs, batch=c.batch, rate=c.rate, seed=c.seed, part=part, patience=c.patience)


def _probabilities(network: Learner, given: Inputs) -> Probabilities:
    return Probabilities(answer(network, given.images).double().numpy(), answer(network, given.reference).double().numpy())


def _learned(network: Learner, part: Part) -> dict[str, Tensor]:
    return dict(network.state_dict() if part == "all" else network.head.state_dict())


def _fill(network: Learner, tensors: dict[str, Tensor], part: Part) -> None:
    try:
        (network if part == "all" else network.head).load_state_dict(tensors)
    except RuntimeError as error:
        raise LiminalError(f"The weights kept for {network.name} belong to another network; align again.") from error
