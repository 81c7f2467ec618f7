"""Train BaseNet -> GroupNet -> IndivNet (paper B, section V.A): each model is trained once, stored, and read afterwards.

Training can be stopped or killed: each epoch is seeded and saved, and a later run continues with the same result. The loss is
cross-entropy over answers. A network sees an image once for all its answers: the sum over 13 votes is 13 times the cross-entropy
to their shares. A batch is 128 answers either way. The small MLP gets every answer as a row.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn.functional import log_softmax

from core.alignment.alignment import Alignment, Inputs
from core.alignment.configuration import PICTURE_NETWORKS, AlignmentConfiguration, TrainedPart
from core.alignment.data import AnswerSet, DataSplit, IndexArray, choose_held_out, count_votes
from core.alignment.networks import FORWARD_BATCH, Learner, compute_features, predict_probabilities
from core.alignment.store import Curve, Epoch, EpochDone, EpochsBefore, Probabilities
from core.analysis.estimate import Array
from core.errors import LiminalError
from core.models.emotions import EMOTIONS
from core.progress import Progress, Stage
from core.sampling.configuration import numpy_generator, sample_seed
from core.writing import write_bytes


@dataclass(frozen=True, eq=False)
class TrainingRows:
    """Training data: index of an input (R,), target distribution (R, 6), weight in answers (R,)."""

    image: IndexArray
    target: NDArray[np.float32]
    weight: Array

    def __len__(self) -> int:
        return len(self.image)

    @classmethod
    def single(cls, image: IndexArray, emotion: IndexArray) -> TrainingRows:
        """A row for each answer."""
        return cls(image, np.eye(len(EMOTIONS), dtype=np.float32)[emotion], np.ones(len(image)))

    @classmethod
    def by_image(cls, image: IndexArray, emotion: IndexArray, images: int) -> TrainingRows:
        """A row for each image, with the shares of its answers."""
        counts = count_votes(image, emotion, images)
        seen = np.flatnonzero(counts.sum(axis=1))
        votes = counts[seen].sum(axis=1)
        return cls(seen, (counts[seen] / votes[:, None]).astype(np.float32), votes)

    def taken(self, indices: IndexArray, weight: float | None = None) -> TrainingRows:
        """The rows at ``indices``, in that order. weight: instead of their own."""
        weights = self.weight[indices] if weight is None else np.full(len(indices), weight)
        return TrainingRows(self.image[indices], self.target[indices], weights)


@dataclass(frozen=True)
class Schedule:
    """Parameters of a training. seed: of the order of rows. Fields must not change: unfinished trainings store the repr."""

    epochs: int
    batch: int
    rate: float
    seed: int
    part: TrainedPart = "all"
    patience: int = 0


def mix_epoch(main: TrainingRows, other: TrainingRows | None, share: float, random: np.random.Generator) -> TrainingRows:
    """The rows of an epoch, shuffled: all of ``main`` and, with ``share`` times its weight, rows drawn from ``other``.

    ``other`` is repeated as often as needed, each time in a new order; its rows weigh as much as those of ``main`` do on
    average.
    """
    parts = [main]
    if other is not None and len(other) and share > 0:
        typical = float(main.weight.mean())
        wanted = max(1, round(share * float(main.weight.sum()) / typical))
        drawn = [random.permutation(len(other)) for _ in range(-(-wanted // len(other)))]
        parts.append(other.taken(np.concatenate(drawn)[:wanted], typical))
    image = np.concatenate([part.image for part in parts])
    target = np.concatenate([part.target for part in parts])
    weight = np.concatenate([part.weight for part in parts])
    return TrainingRows(image, target, weight).taken(random.permutation(len(image)))


def iterate_batches(rows: TrainingRows, size: float) -> Iterator[TrainingRows]:
    """Batches of consecutive rows of about ``size`` answers; a last batch of less than half is joined to the one before."""
    ends = np.floor((np.cumsum(rows.weight) - rows.weight / 2) / size).astype(np.intp)
    if len(ends) and ends[-1] > 0 and rows.weight[ends == ends[-1]].sum() < size / 2:
        ends[ends == ends[-1]] -= 1
    for number in np.unique(ends):
        yield rows.taken(np.flatnonzero(ends == number))


@torch.inference_mode(False)
def fine_tune(
    network: Learner,
    inputs: Tensor,
    main: TrainingRows,
    other: TrainingRows | None,
    share: float,
    judged: TrainingRows,
    schedule: Schedule,
    *,
    stage: str,
    rater: str = "",
    saved: Path | None = None,
    progress: Progress | None = None,
) -> Curve:
    """Train ``network`` in place -> its curve. judged: held-out rows, evaluated after every epoch.

    saved: file of the state after each epoch; a file of the same training is continued. Emits EpochsBefore and EpochDone. Raises
    LiminalError when the loss becomes NaN or infinite; the saved state stays.
    """
    progress = progress or Progress()
    parameters = network.learning(schedule.part)
    shortcut = schedule.part == "head"
    read_inputs = compute_features(network, inputs) if shortcut else inputs
    forward = network.from_features if shortcut else network
    adam = torch.optim.Adam(parameters, lr=schedule.rate)
    state = _TrainingState(parameters, adam, _describe_task(schedule, network.name, stage, rater))
    epochs, best = state.restore(saved)
    if not epochs:
        epochs = [Epoch(0, math.nan, *_judge_epoch(forward, read_inputs, judged))]
    progress.emit(EpochsBefore(network.name, stage, rater, tuple(epochs)))
    owner = f" of {rater}" if rater else ""
    while len(epochs) <= schedule.epochs and not _has_stalled(epochs, schedule.patience):
        number = len(epochs)
        random = numpy_generator(sample_seed(schedule.seed, "epoch", stage, rater, number))
        total, weight = 0.0, 0.0
        for batch in iterate_batches(mix_epoch(main, other, share, random), schedule.batch):
            progress.check()
            loss = _mean_loss(forward(read_inputs[torch.from_numpy(batch.image)]), batch)
            value = float(loss.detach())
            if not math.isfinite(value):
                raise LiminalError(
                    f"Learning stopped in epoch {number}: the loss of {network.name} is no number any more; lower the rate "
                    f"({schedule.rate:g}) and start again."
                )
            adam.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            adam.step()
            total, weight = total + value * float(batch.weight.sum()), weight + float(batch.weight.sum())
        epochs.append(Epoch(number, total / weight, *_judge_epoch(forward, read_inputs, judged)))
        if schedule.patience and epochs[-1].validation_loss <= min(epoch.validation_loss for epoch in epochs):
            best = [parameter.detach().clone() for parameter in parameters]
        if saved is not None:
            state.keep(saved, epochs, best)
        progress.stage(
            f"{network.name} learns from the {stage}{owner}: epoch {number} of {schedule.epochs}", number / schedule.epochs
        )
        progress.emit(EpochDone(network.name, stage, rater, schedule.epochs, epochs[-1]))
    if best:
        with torch.no_grad():
            for parameter, value_of in zip(parameters, best, strict=True):
                parameter.copy_(value_of)
    network.requires_grad_(False)
    return Curve(tuple(epochs), bool(schedule.patience) and len(epochs) <= schedule.epochs)


def _mean_loss(logits: Tensor, rows: TrainingRows) -> Tensor:
    weight = torch.from_numpy(rows.weight).float()
    losses = -(torch.from_numpy(rows.target) * log_softmax(logits, dim=1)).sum(dim=1)
    return (weight * losses).sum() / weight.sum()


def _judge_epoch(forward: Any, inputs: Tensor, rows: TrainingRows) -> tuple[float, float]:
    """Loss in nats and accuracy over held-out rows; NaN over none."""
    if not len(rows):
        return math.nan, math.nan
    with torch.no_grad():
        chosen = inputs[torch.from_numpy(rows.image)]
        logits = torch.cat([forward(chosen[start : start + FORWARD_BATCH]) for start in range(0, len(chosen), FORWARD_BATCH)])
        loss = float(_mean_loss(logits, rows))
    agreed = rows.target[np.arange(len(rows)), logits.argmax(dim=1).numpy()]
    return loss, float((agreed * rows.weight).sum() / rows.weight.sum())


def _has_stalled(epochs: list[Epoch], patience: int) -> bool:
    """Whether the validation loss has not fallen for ``patience`` epochs."""
    losses = [epoch.validation_loss for epoch in epochs]
    return bool(patience) and len(losses) - 1 - int(np.argmin(losses)) >= patience


def _describe_task(schedule: Schedule, name: str, stage: str, rater: str) -> str:
    return repr((schedule, name, stage, rater))


@dataclass(frozen=True, eq=False)
class _TrainingState:
    """The state of a training in one file: weights, Adam's moments and the curve so far."""

    parameters: list[torch.nn.Parameter]
    adam: torch.optim.Adam
    task: str

    def keep(self, path: Path, epochs: list[Epoch], best: list[Tensor]) -> None:
        tensors = {}
        for index, parameter in enumerate(self.parameters):
            memory = self.adam.state[parameter]
            tensors[f"{index}.value"] = parameter.detach()
            tensors[f"{index}.first"], tensors[f"{index}.second"] = memory["exp_avg"], memory["exp_avg_sq"]
            if best:
                tensors[f"{index}.best"] = best[index]
        steps = float(self.adam.state[self.parameters[0]]["step"])
        curve = json.dumps([[epoch.number, epoch.loss, epoch.validation_loss, epoch.validation_accuracy] for epoch in epochs])
        described = {"task": self.task, "steps": str(steps), "curve": curve, "best": str(bool(best))}
        write_bytes(path, save({key: tensor.contiguous() for key, tensor in tensors.items()}, described))

    def restore(self, path: Path | None) -> tuple[list[Epoch], list[Tensor]]:
        """Load a saved state -> (epochs so far, best weights), both empty where there is none of the same training."""
        if path is None or not path.is_file():
            return [], []
        try:
            with safe_open(path, "pt") as file:
                described = file.metadata()
                if described["task"] != self.task:
                    return [], []
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no mapping)
            epochs = [Epoch(*row) for row in json.loads(described["curve"])]
            steps, has_best = float(described["steps"]), described["best"] == "True"
            best = [tensors[f"{index}.best"] for index in range(len(self.parameters))] if has_best else []
            with torch.no_grad():
                for index, parameter in enumerate(self.parameters):
                    parameter.copy_(tensors[f"{index}.value"])
                    first, second = tensors[f"{index}.first"], tensors[f"{index}.second"]
                    self.adam.state[parameter] = {"step": torch.tensor(steps), "exp_avg": first, "exp_avg_sq": second}
            return epochs, best
        except (OSError, SafetensorError, KeyError, ValueError, TypeError, RuntimeError) as error:
            raise LiminalError(f"The saved state {path} of a stopped run is damaged; delete it and start again.") from error


def train_group(alignment: Alignment, progress: Progress | None = None) -> Alignment:
    """Train every classifier of the configuration on all people's answers; trained ones are left as they are.

    Answers to reference data 2:1. A run that was stopped or killed goes on after its last whole epoch. Emits Stage and EpochDone.
    Raises LiminalError; models that were finished before stay.
    """
    progress = progress or Progress()
    names = [name for name in alignment.configuration.classifiers if not alignment.ready(name)]
    for index, name in enumerate(names):
        _train_group_classifier(alignment, name, progress.part(name, index, len(names)))
    return alignment


def _train_group_classifier(alignment: Alignment, name: str, progress: Progress) -> None:
    c, split = alignment.configuration, alignment.split
    inputs = alignment.sources.inputs(name, progress.stretch(0.0, 0.5))
    network = alignment.sources.learner(name)
    network.check(inputs.images)
    alignment.store.write(name, "base", "", _predict_all(network, inputs))
    learned, judged = _choose_stopping_rows(split, *split.group())
    all_inputs = torch.cat([inputs.images, inputs.reference])
    plain = np.flatnonzero(~alignment.reference_held)
    reference = TrainingRows(plain + len(inputs.images), alignment.labels.labels[plain], np.ones(len(plain)))
    rows = (_rows_by_image if name in PICTURE_NETWORKS else _rows_by_answer)(split.answers, learned)
    unfinished = alignment.store.unfinished(name, "group")
    curve = fine_tune(
        network,
        all_inputs,
        rows,
        reference,
        c.reference_share,
        _rows_by_image(split.answers, judged),
        _make_schedule(c, c.part),
        stage="group",
        saved=unfinished,
        progress=progress.stretch(0.5, 1.0),
    )
    alignment.store.write(name, "group", "", _predict_all(network, inputs), _trained_weights(network, c.part), curve)
    unfinished.unlink(missing_ok=True)


@dataclass(frozen=True, eq=False)
class GroupModel:
    """A group's model from which individuals are trained; for part "head" only its last layer, with features as inputs."""

    classifier: str
    part: TrainedPart
    network: Learner
    given: Inputs


def load_group_model(alignment: Alignment, classifier: str, progress: Progress | None = None) -> GroupModel:
    """Load GroupNet with its inputs, as individuals start from it. Raises LiminalError where it is not trained."""
    network = load_group_network(alignment, classifier)
    inputs = alignment.sources.inputs(classifier, progress or Progress())
    part = alignment.configuration.individual_part(classifier)
    if part == "head":
        inputs = Inputs(compute_features(network, inputs.images), compute_features(network, inputs.reference))
        network = Learner(classifier, nn.Identity(), network.head, network.order)
    return GroupModel(classifier, part, network, inputs)


def load_group_network(alignment: Alignment, classifier: str) -> Learner:
    """Load GroupNet as a new network. Raises LiminalError where it is not trained."""
    if not alignment.ready(classifier):
        raise LiminalError(f"The group's {classifier} has not learned yet; run 'python -m core align group' first.")
    network = alignment.sources.learner(classifier)
    _load_weights(network, alignment.store.weights(classifier, "group"), alignment.configuration.part)
    return network


def load_individual_network(alignment: Alignment, classifier: str, rater: str) -> Learner:
    """Load a person's IndivNet as a new network on the classifier's inputs. Raises LiminalError where it is not trained."""
    network = load_group_network(alignment, classifier)
    part = alignment.configuration.individual_part(classifier)
    _load_weights(network, alignment.store.weights(classifier, "people", rater), part)
    return network


def train_individual(
    alignment: Alignment,
    classifier: str,
    rater: str,
    *,
    null: bool = False,
    loaded: GroupModel | None = None,
    progress: Progress | None = None,
) -> Probabilities:
    """Train a person's model on their answers and others' 2:1, or read it where it was trained before -> its probabilities.

    null: on shuffled answers, the control. loaded: the group's model, to load it once for several people. Raises LiminalError where
    that person gave too few answers, or none to held-out images; what was finished before stays.
    """
    stage = "shuffled" if null else "people"
    if alignment.store.has(classifier, stage, rater):
        return alignment.store.probabilities(classifier, stage, rater)
    split: DataSplit = alignment.null if null else alignment.split
    learned, judged = _choose_stopping_rows(split, *split.check_person(rater))
    loaded = loaded or load_group_model(alignment, classifier, progress)
    c, answers = alignment.configuration, split.answers
    network = loaded.network.clone()
    unfinished = alignment.store.unfinished(classifier, stage, rater)
    curve = fine_tune(
        network,
        loaded.given.images,
        _rows_by_answer(answers, learned),
        _rows_by_image(answers, split.others(rater)),
        c.group_share,
        _rows_by_answer(answers, judged),
        _make_schedule(c, loaded.part),
        stage="individual",
        rater=rater,
        saved=unfinished,
        progress=progress,
    )
    probabilities = _predict_all(network, loaded.given)
    alignment.store.write(classifier, stage, rater, probabilities, None if null else _trained_weights(network, loaded.part), curve)
    unfinished.unlink(missing_ok=True)
    return probabilities


def train_everyone(
    alignment: Alignment, *, null: bool = True, people: Sequence[str] | None = None, progress: Progress | None = None
) -> Alignment:
    """Train the models of all people with enough answers (or of ``people``), of every classifier. null: the controls too.

    Emits Stage, and EpochsBefore and EpochDone of the people's own models, not of the control. Raises LiminalError where nobody
    has enough.
    """
    progress = progress or Progress()
    eligible = tuple(people) if people is not None else alignment.split.eligible_raters
    if not eligible:
        raise LiminalError(
            f"Nobody has given {alignment.configuration.least_own} answers to learn from and one to be judged by; ask for more."
        )
    names = alignment.configuration.classifiers
    for index, name in enumerate(names):
        classifier_progress = progress.part(name, index, len(names))
        loaded: GroupModel | None = None
        kinds = (False, True) if null else (False,)
        for number, rater in enumerate(eligible):
            for control in kinds:
                if alignment.store.has(name, "shuffled" if control else "people", rater):
                    continue
                if control and not all(map(len, alignment.null.person(rater))):
                    continue  # nobody shares an image with this person
                if loaded is None:
                    loaded = load_group_model(alignment, name, classifier_progress)
                quiet = Progress(None if control else _without_stages(classifier_progress), classifier_progress.cancel)
                train_individual(alignment, name, rater, null=control, loaded=loaded, progress=quiet)
            classifier_progress.stage(f"Person {number + 1} of {len(eligible)} has a model", (number + 1) / len(eligible))
    return alignment


def _without_stages(progress: Progress) -> Callable[[Any], None]:
    """Pass on all events but stages: the progress of one person's model is not that of everybody's."""

    def report(event: Any) -> None:
        if not isinstance(event, Stage):
            progress.emit(event)

    return report


def _rows_by_answer(answers: AnswerSet, rows: IndexArray) -> TrainingRows:
    return TrainingRows.single(answers.image[rows], answers.emotion[rows])


def _rows_by_image(answers: AnswerSet, rows: IndexArray) -> TrainingRows:
    return TrainingRows.by_image(answers.image[rows], answers.emotion[rows], len(answers.images))


def _choose_stopping_rows(split: DataSplit, learned: IndexArray, judged: IndexArray) -> tuple[IndexArray, IndexArray]:
    """(rows to train on, rows to evaluate after each epoch). With early stopping the latter are a fifth of the training images:
    held-out answers must not decide when to stop."""
    c = split.configuration
    if not c.patience:
        return learned, judged
    images = np.unique(split.answers.image[learned])
    stopping = choose_held_out([split.answers.images[image] for image in images], c.validation, c.seed, "stopping")
    stops = np.isin(split.answers.image[learned], images[stopping])
    return learned[~stops], learned[stops]


def _make_schedule(c: AlignmentConfiguration, part: TrainedPart) -> Schedule:
    return Schedule(epochs=c.epochs, batch=c.batch, rate=c.rate, seed=c.seed, part=part, patience=c.patience)


def _predict_all(network: Learner, inputs: Inputs) -> Probabilities:
    return Probabilities(
        predict_probabilities(network, inputs.images).double().numpy(),
        predict_probabilities(network, inputs.reference).double().numpy(),
    )


def _trained_weights(network: Learner, part: TrainedPart) -> dict[str, Tensor]:
    return dict(network.state_dict() if part == "all" else network.head.state_dict())


def _load_weights(network: Learner, tensors: dict[str, Tensor], part: TrainedPart) -> None:
    try:
        (network if part == "all" else network.head).load_state_dict(tensors)
    except RuntimeError as error:
        raise LiminalError(f"The weights kept for {network.name} belong to another network; align again.") from error
