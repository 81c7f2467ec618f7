"""Search for faces of which recognisers say what is wanted: the highest value of a gain that is a function of their descriptors.

``search`` goes toward one descriptor by one recogniser. Here the aim is anything that descriptors tell: how many phones a face
opens (``master_search``), or that one recogniser says yes where another says no (``controversial_pairs``).

Where a surrogate predicts every recogniser from the latent, Adam climbs the gain of its predictions, which are corrected by their
error at the last true picture of the same run; then the picture is made and judged, and so on: predictions only propose, as in
``surrogate_search``. Elsewhere CMA-ES tries true pictures, some hundred times as many; that this is slow is said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.models import registry
from core.models.contracts import DescriptorSurrogate, Generator, Recogniser
from core.models.device import use_torch_threads
from core.models.engine.engine import device_turn
from core.progress import Progress, send_notice
from core.sampling.configuration import IdentityConfiguration, sample_seed
from core.sampling.events import Image
from core.sampling.images import quantise, to_pictures
from core.sampling.search import EXHAUSTED_CRITERIA, NO_FACE_PENALTY, make_cma_strategy
from core.sampling.surrogate_search import MAX_VALUE

Gain = Callable[[Mapping[str, Tensor], Sequence[int]], Tensor]
"""Descriptors (A, D) by recogniser and which runs they belong to (A,) -> what is to be as high as can be (A,), NaN without a face.

Differentiable with respect to the descriptors."""

ROUNDS = 4
"""True pictures of a run after its start, where a surrogate climbs in between."""

CLIMB_STEPS, CLIMB_RATE = 30, 0.1
PLAUSIBILITY = 1.0
"""Weight of (|z|^2 / d - 1)^2, as in the strategies ``gradient`` and ``surrogate``."""

TRIAL_GENERATIONS, TRIAL_DEVIATION = 30, 0.5
"""CMA-ES: generations, and the first standard deviation in raw latent units."""

LOOKED_AT_ONCE = 16


@dataclass(frozen=True, eq=False)
class GainResult:
    """The best true picture of one run, uint8 (H, W, 3): latent (d,), descriptors (D,) by recogniser, gain; NaN without a face."""

    latent: NDArray[np.float32]
    picture: Image
    descriptors: dict[str, NDArray[np.float32]]
    gain: float


def search_gain(
    starts: NDArray[np.float32],
    generator: Generator,
    recognisers: Sequence[Recogniser],
    gain: Gain,
    *,
    score: Gain | None = None,
    rounds: int = ROUNDS,
    generations: int = TRIAL_GENERATIONS,
    seed: int = 0,
    surrogate: DescriptorSurrogate | None = None,
    progress: Progress | None = None,
    words: str = "Changing the faces",
) -> list[GainResult]:
    """One run from each start (R, d) -> its best face by ``score`` of true pictures (None: ``gain``), in the order of the starts.

    surrogate: None: the registry's, where it predicts all these recognisers. Raises Cancelled between two looks when the user asks.
    """
    progress = progress or Progress()
    looks = _Looks(generator, recognisers, score or gain, len(starts))
    surrogate = surrogate or _find_surrogate(generator, recognisers)
    if surrogate is None:
        names = " and ".join(recogniser.card.title for recogniser in recognisers)
        send_notice(
            f"Nothing predicts what {names} says of pictures by {generator.card.title}, so that every step makes true pictures. "
            "This is slow; stopping it loses nothing that is finished."
        )
        _try_pictures(starts, looks, generations, seed, progress, words)
    else:
        _climb_predictions(starts, looks, surrogate, gain, rounds, progress, words)
    return looks.results()


def predicts_all(generator: str, recognisers: Sequence[str]) -> bool:
    """Whether a surrogate predicts all these recognisers of this generator, so that a search takes seconds. Imports no torch."""
    return all(registry.find_descriptor_surrogate(generator, name) is not None for name in recognisers)


def _find_surrogate(generator: Generator, recognisers: Sequence[Recogniser]) -> DescriptorSurrogate | None:
    names = [recogniser.name for recogniser in recognisers]
    return registry.load_descriptor_surrogate(generator.name, names[0]) if predicts_all(generator.name, names) else None


class _Looks:
    """True pictures, and of every run the best one so far."""

    def __init__(self, generator: Generator, recognisers: Sequence[Recogniser], score: Gain, runs: int) -> None:
        self.generator, self.recognisers, self.score = generator, recognisers, score
        self.best: list[GainResult | None] = [None] * runs

    def look(self, latents: Tensor, runs: Sequence[int], progress: Progress) -> tuple[dict[str, Tensor], NDArray[np.float64]]:
        """Latents (A, d) of runs (A,) -> descriptors (A, D) by recogniser, NaN without a face, and scores (A,)."""
        pictures, vectors = list[Image](), {recogniser.name: list[Tensor]() for recogniser in self.recognisers}
        for start in range(0, len(latents), LOOKED_AT_ONCE):
            progress.check()
            with torch.inference_mode():
                part = quantise(self.generator.decode(latents[start : start + LOOKED_AT_ONCE]))
                pictures += list(to_pictures(part))
                for recogniser in self.recognisers:
                    vectors[recogniser.name].append(recogniser.embed(part).cpu().float())
        descriptors = {name: torch.cat(parts).clone() for name, parts in vectors.items()}
        scores: NDArray[np.float64] = self.score(descriptors, runs).double().numpy()
        for row, run in enumerate(runs):
            before = self.best[run]
            if before is None or scores[row] > before.gain or (np.isnan(before.gain) and np.isfinite(scores[row])):
                found = {name: rows[row].numpy() for name, rows in descriptors.items()}
                self.best[run] = GainResult(latents[row].numpy().copy(), pictures[row], found, float(scores[row]))
        return descriptors, scores

    def results(self) -> list[GainResult]:
        return [result for result in self.best if result is not None]


def _climb_predictions(
    starts: NDArray[np.float32],
    looks: _Looks,
    surrogate: DescriptorSurrogate,
    gain: Gain,
    rounds: int,
    progress: Progress,
    words: str,
) -> None:
    """Rounds of: make the pictures, learn the predictions' errors there, climb what is predicted from the best picture on."""
    runs = list(range(len(starts)))
    latents = torch.from_numpy(starts.copy())
    limits = latents.abs().clamp_min(MAX_VALUE)
    for number in range(rounds + 1):
        progress.stage(f"{words}: picture {number + 1} of {rounds + 1}", number / (rounds + 1))
        looks.look(latents, runs, progress)
        if number == rounds:
            return
        known = [result for result in looks.best if result is not None]
        latents = torch.from_numpy(np.stack([result.latent for result in known]))
        with torch.no_grad():
            errors = {}
            for recogniser in looks.recognisers:
                true = torch.from_numpy(np.stack([result.descriptors[recogniser.name] for result in known]))
                errors[recogniser.name] = (true - _predict(surrogate, latents, recogniser.name)).nan_to_num(0.0)
        # each further climb is shorter: near the best picture the correction holds
        latents = _climb(latents, limits, surrogate, errors, gain, runs, max(8, CLIMB_STEPS // (number + 1)), progress)


def _climb(
    latents: Tensor,
    limits: Tensor,
    surrogate: DescriptorSurrogate,
    errors: Mapping[str, Tensor],
    gain: Gain,
    runs: Sequence[int],
    steps: int,
    progress: Progress,
) -> Tensor:
    with torch.inference_mode(False), torch.enable_grad(), use_torch_threads(1):
        moving = latents.clone().requires_grad_()
        adam = torch.optim.Adam([moving], lr=CLIMB_RATE)
        for _ in range(steps):
            progress.check()
            with device_turn(surrogate.device):  # a step each: others' networks come in between
                predicted = {name: _predict(surrogate, moving, name) + error for name, error in errors.items()}
                length = moving.square().mean(dim=1)
                loss = PLAUSIBILITY * (length - 1).square().sum() - gain(predicted, runs).sum()
                adam.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
            assert moving.grad is not None
            moving.grad.nan_to_num_(0.0, 0.0, 0.0)
            adam.step()
            with torch.no_grad():
                moving.clamp_(-limits, limits)
    return moving.detach()


def _predict(surrogate: DescriptorSurrogate, latents: Tensor, recogniser: str) -> Tensor:
    return surrogate.descriptors(latents.to(surrogate.device), recogniser).float().cpu()


def _try_pictures(starts: NDArray[np.float32], looks: _Looks, generations: int, seed: int, progress: Progress, words: str) -> None:
    """CMA-ES from each start, all runs' candidates looked at together."""
    configuration = IdentityConfiguration(generator=looks.generator.name, sigma=TRIAL_DEVIATION)
    looks.look(torch.from_numpy(starts), range(len(starts)), progress)
    strategies = {run: make_cma_strategy(start, configuration, sample_seed(seed, "gain", run)) for run, start in enumerate(starts)}
    for generation in range(generations):
        progress.stage(f"{words} by trial and selection: generation {generation + 1} of {generations}", generation / generations)
        proposals = {run: strategy.ask() for run, strategy in strategies.items()}
        of_row = [run for run, candidates in proposals.items() for _ in candidates]
        if not of_row:
            return
        rows = np.concatenate([np.asarray(candidates, np.float32) for candidates in proposals.values()])
        _, scores = looks.look(torch.from_numpy(rows), of_row, progress)
        first = 0
        for run, candidates in proposals.items():
            part = -scores[first : first + len(candidates)]
            first += len(candidates)
            strategies[run].tell(candidates, np.where(np.isfinite(part), part, NO_FACE_PENALTY))
            if EXHAUSTED_CRITERIA & strategies[run].stop().keys():
                del strategies[run]
