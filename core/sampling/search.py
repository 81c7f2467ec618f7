"""Search from latents toward a descriptor: the optimized samples of paper A (sections 3.2.4 and 4.1), and impostors.

Two paths. The *search* path may be fast and slightly inexact (``decode_for_search``, ``embed_for_search``); the *exact* path
judges the 8-bit picture in float32, as it is later shown and stored. Only the exact path decides which results are kept. All
runs of a search go through the networks as one batch (``BatchedSearch``).

Strategies, by name in ``STRATEGIES`` (adding one is one function and one line there):

- cmaes: CMA-ES with the ``cma`` library's ask and tell (Hansen 2016, arXiv:1604.00772). The library proposes and is told; it
  knows no model. Each run draws from its own random numbers, never from NumPy's global ones.
- gradient: Adam through generator, aligned chip and recogniser; beyond the paper. Landmarks are found without a gradient and
  held for a few steps; the chip cut at them is differentiable. A latent drawn from N(0, I) has |z|^2 / d near 1 (standard
  deviation sqrt(2 / d)) and the generator was trained on nothing else, so the loss is distance(z) + plausibility * (|z|^2 / d -
  1)^2: the length is held, not the direction.
- surrogate: for generators whose pictures have no gradient but whose recogniser is predicted from the latent
  (``contracts.DescriptorSurrogate``); beyond the paper. Adam climbs the prediction, corrected after every true picture
  (``surrogate_search``). One evaluation a run and iteration, always exact: only what true pictures showed is kept.

Every strategy can be told which values of a latent may move, such as those of the person alone.
"""

from __future__ import annotations

import itertools
import math
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.errors import LiminalError
from core.models import registry
from core.models.contracts import DescriptorSurrogate, DetectedFaces, Generator, Recogniser
from core.models.engine.engine import device_turn
from core.sampling.configuration import IdentityConfiguration, Strategy, numpy_generator, sample_seed
from core.sampling.events import Image, SearchStep
from core.sampling.images import quantise, to_pictures
from core.sampling.surrogate_search import SurrogateClimber

SEARCH_MARGIN = 0.015
"""A candidate is confirmed when its search distance is under the target plus so much: two standard deviations of what dlib's fast
path moves distances by on generated faces (0.007)."""


RECOGNISER_BATCH = 16
"""Images that go through the recogniser at a time: enlarged pictures and chips of more would fall out of the processor's caches
(measured: 1.7 times the time, and 600 MB more memory, for 208 at once)."""


class Objective:
    """Latents to distances, through one generator and one recogniser. NaN where no face was found.

    surrogate: what predicts the recogniser from the generator's latents, for the strategy that climbs it.
    """

    def __init__(self, generator: Generator, recogniser: Recogniser, surrogate: DescriptorSurrogate | None = None) -> None:
        self.generator = generator
        self.recogniser = recogniser
        self.surrogate = surrogate
        self.sees_missing_faces = type(recogniser).embed_for_search is Recogniser.embed_for_search
        """Whether the search path itself says where no face is; a fast path may ask no detector."""

    def measure(
        self, latents: NDArray[np.float32], wanted: Tensor, careful: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float64], Tensor]:
        """Latents (N, d), descriptors sought (N, D) -> search distances (N,), images (N, 3, H, W).

        careful: (N,), where the face is looked for in the image itself and not where the generator's faces usually lie.
        """
        with torch.inference_mode():
            images = self.generator.decode_for_search(torch.from_numpy(latents))
            boxes = self._boxes(images, careful)
            expected = [None] * len(images) if boxes is None else torch.split(boxes.nan_to_num(0.5), RECOGNISER_BATCH)
            parts = [
                self.recogniser.embed_for_search(part, box)
                for part, box in zip(torch.split(images, RECOGNISER_BATCH), expected, strict=boxes is not None)
            ]
            distances = self._distances(torch.cat(parts), wanted)
            if boxes is not None:
                distances[boxes.isnan().any(dim=1).numpy()] = np.nan
            return distances, images

    def confirm(self, latents: NDArray[np.float32], wanted: Tensor) -> NDArray[np.float64]:
        """Latents (N, d), descriptors sought (N, D) -> exact distances (N,)."""
        return self.look(latents, wanted)[0]

    def look(self, latents: NDArray[np.float32], wanted: Tensor) -> tuple[NDArray[np.float64], Tensor, Tensor]:
        """Latents (N, d), descriptors sought (N, D) -> exact distances (N,), descriptors (N, D) and 8-bit images (N, 3, H, W)."""
        with torch.inference_mode():
            images = quantise(self.generator.decode(torch.from_numpy(latents)))
            vectors = torch.cat([self.recogniser.embed(part) for part in torch.split(images, RECOGNISER_BATCH)])
            return self._distances(vectors, wanted), vectors, images

    def _boxes(self, images: Tensor, careful: NDArray[np.bool_]) -> Tensor | None:
        """Where each image's face is expected (N, 4), NaN where none was found; None where the search path looks itself."""
        if self.generator.face_box is None or self.sees_missing_faces:
            return None
        boxes = torch.tensor(self.generator.face_box, dtype=torch.float64).repeat(len(images), 1)
        if careful.any():
            rows = torch.from_numpy(careful)
            boxes[rows] = self.find_boxes(images[rows.to(images.device)])
        return boxes

    def find_boxes(self, images: Tensor) -> Tensor:
        """Images (N, 3, H, W) -> where the recogniser finds their faces (N, 4), in shares of the side; NaN where none."""
        with torch.inference_mode():
            height, width = images.shape[2:]
            faces = self.recogniser.find_faces(quantise(images))
            boxes = faces.boxes.cpu().double() / torch.tensor([width, height, width, height], dtype=torch.float64)
            boxes[~faces.found.cpu()] = torch.nan
            return boxes

    def _distances(self, vectors: Tensor, wanted: Tensor) -> NDArray[np.float64]:
        distances: NDArray[np.float64] = self.recogniser.distance(vectors, wanted.to(vectors.device)).cpu().double().numpy()
        return distances


Latent = NDArray[np.float32]
"""(latent_dim,)"""

Movable = NDArray[np.bool_]
"""(latent_dim,), which values of a latent a search may change."""

CONFIRMED_CANDIDATES = 4
"""So many of a run's nearest candidates are confirmed at its end, since the search path may rank neighbours wrongly."""

DETECTOR_MARGIN = 0.05
"""From so far above the lowest target on, the detector is asked about every candidate: a guessed box moves distances by more than
the last steps gain."""

ITERATIONS_PER_IMAGE = 3
"""Iterations between two images of one run."""


@dataclass(frozen=True)
class TargetResult:
    """The latent kept for one target: the first one under it, else the best one of the run (paper A, section 4.1)."""

    target: float
    latent: Latent
    distance: float  # exact, of the 8-bit picture; NaN where the run never found a face
    reached: bool
    iteration: int


@dataclass(frozen=True)
class SearchRun:
    """One run from one start."""

    start: Latent
    results: tuple[TargetResult, ...]  # one a target, lowest target first
    history: tuple[float, ...]  # best search distance so far: [0] of the start, then after each iteration; NaN while no face
    evaluations: int


@dataclass(frozen=True)
class SearchResult:
    """All runs of one search, in the order of their starts."""

    strategy: str
    runs: tuple[SearchRun, ...]
    seconds: float

    @property
    def evaluations(self) -> int:
        """Latents looked at through generator and recogniser, confirmations not counted."""
        return sum(run.evaluations for run in self.runs)


@dataclass
class RunRecord:
    """A run while it goes on: its best so far, its first results under the targets, the few candidates worth confirming."""

    start: Latent
    targets: Sequence[float]  # rising
    history: list[float] = field(default_factory=list)
    evaluations: int = 0
    best: float = math.inf
    exact: tuple[float, Latent, int] | None = None  # best confirmed distance, its latent and iteration
    reached: dict[float, TargetResult] = field(default_factory=dict)
    nearest: list[tuple[float, int, Latent]] = field(default_factory=list)  # search distance, iteration, latent

    @property
    def next_target(self) -> float:
        """The highest target not reached yet; minus infinity when all are."""
        return next((target for target in reversed(self.targets) if target not in self.reached), -math.inf)

    @property
    def finished(self) -> bool:
        """The lowest target is reached."""
        return self.targets[0] in self.reached

    def add_candidates(self, distances: NDArray[np.float64], latents: NDArray[np.float32], iteration: int) -> int | None:
        """Take in one iteration's candidates (NaN: no face) -> the index of the one that is the best so far, if one is."""
        self.evaluations += len(distances)
        order = [int(index) for index in np.argsort(distances, kind="stable")[:CONFIRMED_CANDIDATES]]  # NaN comes last
        candidates = [
            (float(distances[index]), iteration, latents[index].copy()) for index in order if np.isfinite(distances[index])
        ]
        self.nearest = sorted([*self.nearest, *candidates], key=lambda candidate: candidate[:2])[:CONFIRMED_CANDIDATES]
        improved = bool(candidates) and candidates[0][0] < self.best
        if improved:
            self.best = candidates[0][0]
        self.history.append(self.best if math.isfinite(self.best) else math.nan)
        return order[0] if improved else None

    def confirm(self, distance: float, latent: Latent, iteration: int) -> None:
        """Take in one exact distance: keep the latent for every open target that it is under."""
        if not math.isfinite(distance):
            return
        if self.exact is None or distance < self.exact[0]:
            self.exact = (distance, latent.copy(), iteration)
        for target in self.targets:
            if distance < target and target not in self.reached:
                self.reached[target] = TargetResult(target, latent.copy(), distance, True, iteration)

    def result(self) -> SearchRun:
        """The run as it is kept: open targets get the best confirmed latent, or the start where no face was ever found."""
        distance, latent, iteration = self.exact or (math.nan, self.start, 0)
        results = [self.reached.get(target) or TargetResult(target, latent, distance, False, iteration) for target in self.targets]
        return SearchRun(self.start, tuple(results), tuple(self.history), self.evaluations)


OnStep = Callable[[SearchStep], None]


class BatchedSearch:
    """All runs of a search, looked at together. A strategy hands in candidates; runs that are finished drop out."""

    def __init__(
        self,
        starts: NDArray[np.float32],
        wanted: Tensor,
        objective: Objective,
        targets: Sequence[float],
        iterations: int,
        labels: Sequence[tuple[int, int]] | None = None,
        on_step: OnStep | None = None,
    ) -> None:
        if not len(targets) or starts.ndim != 2 or starts.shape[1] != objective.generator.latent_dim:
            raise LiminalError(
                f"A search needs a target distance and starts of {objective.generator.latent_dim} values each; "
                f"it was given {len(targets)} targets and starts of shape {starts.shape}."
            )
        self.starts = np.ascontiguousarray(starts, np.float32)
        rows = wanted.detach().reshape(-1, wanted.shape[-1])
        self.wanted = rows.expand(len(starts), -1).clone()  # (R, D); a clone can take part in a gradient
        if not bool(torch.isfinite(self.wanted).all()):
            raise LiminalError("The face that is sought has no descriptor, because no face was found in it; choose another one.")
        self.objective = objective
        self.iterations = iterations
        self.labels = list(labels) if labels is not None else [(0, index) for index in range(len(starts))]
        self.on_step = on_step
        self.records = [RunRecord(start, targets) for start in self.starts]
        self.iteration = 0
        self.iterations_per_image = ITERATIONS_PER_IMAGE
        self._pictures: dict[int, Image] = {}  # best so far, not shown yet
        self._shown = [-ITERATIONS_PER_IMAGE] * len(starts)

    def active(self) -> list[int]:
        """The runs that go on; none when the iterations are used up."""
        if self.iteration > self.iterations:
            return []
        return [index for index, record in enumerate(self.records) if not record.finished]

    def evaluate(self, runs: Sequence[int], proposals: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float64]]:
        """One iteration: each run's candidates (n, d) -> their search distances (n,), NaN where no face was found.

        A fast search path does not see that a face is missing, so a candidate that would be its run's best is asked first
        whether it shows one: a search cannot run off to where there are no faces.
        """
        bounds = np.cumsum([0, *(len(candidates) for candidates in proposals)])
        latents = np.concatenate(proposals).astype(np.float32, copy=False)
        of_row = np.repeat(np.asarray(runs), np.diff(bounds))
        near = np.array([self.records[run].best < self.records[run].targets[0] + DETECTOR_MARGIN for run in of_row], dtype=bool)
        distances, images = self.objective.measure(latents, self.wanted[torch.as_tensor(of_row)], near)
        distances = distances.copy()
        split = [distances[low:high] for low, high in itertools.pairwise(bounds)]  # views
        if not self.objective.sees_missing_faces:
            self._strike_out_missing_faces(runs, split, bounds, images)
        self.record_iteration(runs, [latents[low:high] for low, high in itertools.pairwise(bounds)], split, images)
        return split

    def _strike_out_missing_faces(
        self, runs: Sequence[int], distances: Sequence[NDArray[np.float64]], bounds: NDArray[np.int64], images: Tensor
    ) -> None:
        """Set to NaN, in place, what would be a run's best but shows no face."""
        open_runs = list(range(len(runs)))
        while open_runs:
            rows = []
            for index in list(open_runs):
                far = distances[index]
                nearest = int(np.nanargmin(far)) if np.isfinite(far).any() else 0
                if far[nearest] < self.records[runs[index]].best:
                    rows.append(int(bounds[index]) + nearest)
                else:
                    open_runs.remove(index)
            if not rows:
                return
            boxes = self.objective.find_boxes(images[torch.as_tensor(rows)])
            for index, row, box in zip(list(open_runs), rows, boxes, strict=True):
                if bool(box.isfinite().all()):
                    open_runs.remove(index)
                else:
                    distances[index][row - bounds[index]] = np.nan

    def record_iteration(
        self,
        runs: Sequence[int],
        latents: Sequence[NDArray[np.float32]],
        distances: Sequence[NDArray[np.float64]],
        images: Tensor,
        *,
        exact: bool = False,
    ) -> None:
        """Take in one iteration that has been looked at: note, confirm what is near a target, tell the listener.

        exact: the distances are those of ``Objective.look``, so that there is nothing to confirm.
        """
        near: list[tuple[int, NDArray[np.float32]]] = []  # run, candidate
        row = 0
        for run, candidates, far in zip(runs, latents, distances, strict=True):
            record = self.records[run]
            limit = record.next_target + SEARCH_MARGIN
            best = record.add_candidates(far, candidates, self.iteration)
            if best is not None and self.on_step is not None:
                self._pictures[run] = to_pictures(images[row + best : row + best + 1])[0]
            if exact:
                for distance, candidate in zip(far, candidates, strict=True):
                    record.confirm(float(distance), candidate, self.iteration)
                record.nearest.clear()
            else:
                near += [(run, candidates[index]) for index in np.flatnonzero(far < limit)]
            row += len(far)
        if near:
            wanted = self.wanted[torch.as_tensor([run for run, _ in near])]
            confirmed = self.objective.confirm(np.stack([candidate for _, candidate in near]), wanted)
            for (run, candidate), distance in zip(near, confirmed, strict=True):  # in the order of asking: the first one counts
                self.records[run].confirm(float(distance), candidate, self.iteration)
        self._report_steps(runs)
        self.iteration += 1

    def result(self, strategy: str, seconds: float) -> SearchResult:
        """Confirm the nearest candidates of runs with open targets and close all records."""
        waiting = [
            (run, iteration, latent)
            for run, record in enumerate(self.records)
            if not record.finished
            for _, iteration, latent in sorted(record.nearest, key=lambda candidate: candidate[1])
        ]
        if waiting:
            wanted = self.wanted[torch.as_tensor([run for run, _, _ in waiting])]
            exact = self.objective.confirm(np.stack([latent for _, _, latent in waiting]), wanted)
            for (run, iteration, latent), distance in zip(waiting, exact, strict=True):
                self.records[run].confirm(float(distance), latent, iteration)
        return SearchResult(strategy, tuple(record.result() for record in self.records), seconds)

    def _report_steps(self, runs: Sequence[int]) -> None:
        if self.on_step is None:
            return
        for run in runs:
            record = self.records[run]
            finished = record.finished or self.iteration >= self.iterations
            due = finished or self.iteration - self._shown[run] >= self.iterations_per_image
            picture = self._pictures.pop(run, None) if due else None
            if picture is not None:
                self._shown[run] = self.iteration
            base, partner = self.labels[run]
            self.on_step(SearchStep(run, base, partner, self.iteration, record.history[-1], picture, record.evaluations, finished))


NO_FACE_PENALTY = 1e3
"""Told for candidates without a face: finite, and above every distance, so that they rank last. Never kept, never a distance."""

EXHAUSTED_CRITERIA = frozenset({"tolx", "noeffectaxis", "noeffectcoord", "tolconditioncov"})
"""Of cma's own stopping criteria those after which float32 latents no longer change."""


def search_by_cmaes(
    starts: NDArray[np.float32],
    wanted: Tensor,
    objective: Objective,
    configuration: IdentityConfiguration,
    seeds: Sequence[int],
    labels: Sequence[tuple[int, int]] | None = None,
    on_step: OnStep | None = None,
    movable: Movable | None = None,
) -> SearchResult:
    """Search from each start (R, d) toward ``wanted``, one descriptor (D,) or one a run (R, D).

    Every run ends when its distance is under the lowest target or after ``configuration.iterations``. ``labels`` are the
    (base, partner) of the events; ``on_step`` hears them and may raise Cancelled. ``movable``: the values that change; None: all.
    Raises LiminalError where no face is sought.
    """
    began = time.perf_counter()
    runs = BatchedSearch(starts, wanted, objective, configuration.targets, configuration.iterations, labels, on_step)
    everyone = range(len(runs.starts))
    if len(runs.starts):
        runs.evaluate(everyone, [start[None] for start in runs.starts])  # iteration 0: the start itself
    moved = np.ones(runs.starts.shape[1], bool) if movable is None else movable
    strategies = {run: make_cma_strategy(runs.starts[run][moved], configuration, seeds[run]) for run in runs.active()}
    while active := [run for run in runs.active() if run in strategies]:
        proposals = [strategies[run].ask() for run in active]
        latents = [
            np.repeat(runs.starts[run][None], len(candidates), axis=0) for run, candidates in zip(active, proposals, strict=True)
        ]
        for filled, candidates in zip(latents, proposals, strict=True):
            filled[:, moved] = np.asarray(candidates, np.float32)
        measured = runs.evaluate(active, latents)
        for run, candidates, distances in zip(active, proposals, measured, strict=True):
            strategies[run].tell(candidates, np.where(np.isfinite(distances), distances, NO_FACE_PENALTY))
            if EXHAUSTED_CRITERIA & strategies[run].stop().keys():
                del strategies[run]
    return runs.result("cmaes", time.perf_counter() - began)


def count_candidates(configuration: IdentityConfiguration, latent_dim: int) -> int:
    """Candidates a generation: cma's default is 4 + floor(3 ln d) (Hansen 2016, arXiv:1604.00772, table 1), 17 for d = 100."""
    return configuration.population or 4 + math.floor(3 * math.log(latent_dim))


def make_cma_strategy(start: NDArray[np.float32], configuration: IdentityConfiguration, seed: int) -> Any:
    """CMA-ES of the ``cma`` library from a latent (d,), with random numbers of its own."""
    random = numpy_generator(seed)
    options = {
        "popsize": count_candidates(configuration, len(start)),
        "randn": lambda *shape: random.standard_normal(shape),
        "seed": math.nan,  # leaves NumPy's global random numbers alone
        "verbose": -9,
        "verb_log": 0,
        "verb_disp": 0,
        "maxiter": math.inf,
    }
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Could not import matplotlib", category=UserWarning)  # its plots are not used
        import cma  # 100 MB and a second: it loads SciPy's statistics and matplotlib, and most searches do without it
    return cma.CMAEvolutionStrategy(start.astype(np.float64), configuration.sigma, options)


ITERATIONS_PER_LANDMARKS = 3
"""Steps between two searches for landmarks; they move little in between."""


def search_by_gradient(
    starts: NDArray[np.float32],
    wanted: Tensor,
    objective: Objective,
    configuration: IdentityConfiguration,
    seeds: Sequence[int],
    labels: Sequence[tuple[int, int]] | None = None,
    on_step: OnStep | None = None,
    movable: Movable | None = None,
) -> SearchResult:
    """As ``search_by_cmaes``; one evaluation a run and iteration. Draws nothing, so ``seeds`` are not used."""
    began = time.perf_counter()
    runs = BatchedSearch(starts, wanted, objective, configuration.targets, configuration.iterations, labels, on_step)
    latents = [torch.from_numpy(start.copy()).requires_grad_() for start in runs.starts]
    adam = torch.optim.Adam(latents, lr=configuration.learning_rate) if latents else None
    landmarks = _Landmarks(objective, len(latents))
    while adam and (active := runs.active()):
        with device_turn(objective.generator.device):
            distances, images, has_face = _measure_distances(objective, landmarks, latents, runs.wanted, active, runs.iteration)
        proposals = np.stack([latents[run].detach().numpy().copy() for run in active])
        measured = np.where(has_face, distances.detach().cpu().double().numpy(), np.nan)
        runs.record_iteration(active, list(proposals[:, None]), list(measured[:, None]), images)
        adam.zero_grad(set_to_none=True)  # Adam leaves runs without a gradient alone: those that have finished
        length = torch.stack([latents[run].square().mean() for run in active])
        loss = torch.nan_to_num(distances).sum().cpu() + configuration.plausibility * (length - 1).square().sum()
        with device_turn(objective.generator.device):
            loss.backward()  # type: ignore[no-untyped-call]
        for run in active:
            gradient = latents[run].grad
            if gradient is not None:
                gradient.nan_to_num_(0.0, 0.0, 0.0)
                if movable is not None:
                    gradient.mul_(torch.from_numpy(movable))
        adam.step()
    return runs.result("gradient", time.perf_counter() - began)


class _Landmarks:
    """The last landmarks found in each run's image. Before any were found: those of the generator's mean face (latent 0)."""

    def __init__(self, objective: Objective, runs: int) -> None:
        self.recogniser = objective.recogniser
        with torch.no_grad():
            mean = self.recogniser.find_faces(objective.generator.decode(torch.zeros(1, objective.generator.latent_dim)))
        self.landmarks = mean.landmarks.repeat(runs, 1, 1)
        self.boxes = mean.boxes.repeat(runs, 1)
        self.found = np.zeros(runs, bool)

    def find(self, images: Tensor, runs: Sequence[int]) -> None:
        """Look for landmarks anew; a run whose face is lost keeps its last ones, so that the way back has a gradient."""
        faces = self.recogniser.find_faces(images.detach())
        for row, run in enumerate(runs):
            self.found[run] = bool(faces.found[row])
            if self.found[run]:
                self.landmarks[run] = faces.landmarks[row]
                self.boxes[run] = faces.boxes[row]

    def faces(self, runs: Sequence[int]) -> DetectedFaces:
        rows = torch.as_tensor(list(runs))
        return DetectedFaces(self.landmarks[rows], self.boxes[rows])


def _measure_distances(
    objective: Objective, landmarks: _Landmarks, latents: Sequence[Tensor], wanted: Tensor, active: Sequence[int], iteration: int
) -> tuple[Tensor, Tensor, NDArray[np.bool_]]:
    """-> distances (A,) with a gradient, images (A, 3, H, W) without, whether a face was found (A,)."""
    images = objective.generator.decode(torch.stack([latents[run] for run in active]))
    if iteration % ITERATIONS_PER_LANDMARKS == 0:
        landmarks.find(images, active)
    vectors = objective.recogniser.embed_chips(objective.recogniser.align(images, landmarks.faces(active))).float()
    distances = objective.recogniser.distance(vectors, wanted[torch.as_tensor(list(active))].to(vectors.device))
    return distances, images.detach(), landmarks.found[list(active)]


def search_by_surrogate(
    starts: NDArray[np.float32],
    wanted: Tensor,
    objective: Objective,
    configuration: IdentityConfiguration,
    seeds: Sequence[int],
    labels: Sequence[tuple[int, int]] | None = None,
    on_step: OnStep | None = None,
    movable: Movable | None = None,
) -> SearchResult:
    """As ``search_by_gradient``, through the objective's surrogate, else the one that the registry has for its generator.

    Raises LiminalError where there is none, too.
    """
    began = time.perf_counter()
    generator, recogniser = objective.generator, objective.recogniser
    surrogate = objective.surrogate or registry.load_descriptor_surrogate(generator.name, recogniser.name)
    runs = BatchedSearch(starts, wanted, objective, configuration.targets, configuration.iterations, labels, on_step)
    runs.iterations_per_image = 1  # few iterations, each of them a picture
    climber = SurrogateClimber(runs.starts, runs.wanted, surrogate, recogniser, configuration, movable)
    while active := runs.active():
        latents = climber.latents(active)
        distances, descriptors, images = objective.look(latents, runs.wanted[torch.as_tensor(active)])
        runs.record_iteration(active, list(latents[:, None]), list(distances[:, None]), images, exact=True)
        climbing = climber.learn(active, descriptors, distances)
        going_on = set(runs.active())
        climbing = [run for run in climbing if run in going_on]
        climber.climb(climbing, [runs.records[run].next_target for run in climbing])
    return runs.result("surrogate", time.perf_counter() - began)


STRATEGIES = {"cmaes": search_by_cmaes, "gradient": search_by_gradient, "surrogate": search_by_surrogate}


def search_descriptor(
    starts: NDArray[np.float32],
    wanted: Tensor,
    generator: Generator,
    recogniser: Recogniser,
    configuration: IdentityConfiguration,
    *,
    seeds: Sequence[int] | None = None,
    labels: Sequence[tuple[int, int]] | None = None,
    on_step: OnStep | None = None,
    surrogate: DescriptorSurrogate | None = None,
    movable: Movable | None = None,
) -> SearchResult:
    """Search from each start (R, latent_dim) toward a descriptor ``wanted`` (D,), or one a run (R, D): a base's or a photo's.

    Of ``configuration`` the strategy, targets, iterations and that strategy's own parameters are used. ``on_step`` hears one
    ``SearchStep`` a run and iteration and may raise Cancelled (``Progress.emit`` does). ``surrogate``: what the strategy of that
    name climbs; None: the registry's for this generator. ``movable`` (latent_dim,): the values of a latent that may change; None:
    all. Raises LiminalError for starts or ``movable`` of the wrong size, where nothing may move, where the face that is sought has
    no descriptor, and where a surrogate is needed but there is none.
    """
    strategy: Strategy = configuration.strategy
    seeds = seeds or [sample_seed(configuration.seed, "search", index) for index in range(len(starts))]
    if movable is not None and (movable.shape != (generator.latent_dim,) or not movable.any()):
        raise LiminalError(
            f"A search must know of each of the {generator.latent_dim} values whether it may change, and at least one may; it was "
            f"given {int(movable.sum())} of {movable.size}."
        )
    objective = Objective(generator, recogniser, surrogate)
    return STRATEGIES[strategy](starts, wanted, objective, configuration, seeds, labels, on_step, movable)
