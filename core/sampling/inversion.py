"""Inversion: the latent of a given photograph, by gradient through a generator (Abdal et al. 2019, arXiv:1904.03189; here in z).

Minimised, one run a start:

    LPIPS(decode(z), photo) + pixels * mean squared difference + prior * (|z|^2 / d - 1)^2.

The last term keeps the latent as long as drawn ones are (see ``search``): outside that shell the generator was never trained.
Runs start from the mean latent and from the drawn ones that LPIPS finds most alike, whichever of them are nearest. Measured on
the DCGANs: their mean latent is a plain grey whose gradient is zero, so that a start there never moves (LPIPS 0.61), while the best
of 1,000 draws begins at 0.19. Starts picked by a recogniser's distance began nearer in it and ended no nearer. No recogniser
steers; all of them judge the result, so that their verdict is not of their own making. The sentences about the result are the same
on the page and on the command line.

A generator without a gradient whose pictures a surrogate predicts is searched by it (strategy ``surrogate`` of ``search``): from
the most alike draws, toward the first recogniser's descriptor of the photograph, by true pictures. That recogniser then led the
search, which the sentences say.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from core.errors import LiminalError
from core.models import registry
from core.models.contracts import DescriptorSurrogate, Generator, PerceptualDistance, Recogniser
from core.models.device import ran_out_of_memory
from core.models.engine.engine import device_turn
from core.progress import Progress, send_notice
from core.sampling.configuration import Configuration, IdentityConfiguration, check_number, check_whole, sample_seed
from core.sampling.events import Image, SearchStep
from core.sampling.images import quantise, to_images, to_pictures
from core.sampling.search import search_descriptor

LOOKS = 15
"""True pictures of each run that climbs a surrogate."""

NEAR_ENOUGH = 0.05
"""Distance by the recogniser that leads at which such a run ends: far under what it takes for one person."""

NO_GRADIENT = "{} has no gradient, so no photograph can be found in it; choose another generator."
DRAWING_BATCH = 16  # draws looked at between two looks at whether the user has cancelled
STEPS_PER_PICTURE = 5  # steps between two pictures for whoever waits
WARM_UP = 0.05  # share of the steps in which the rate rises; after that it falls along a cosine
PROGRESS_SHARES = (0.02, 0.15, 0.9)
"""Of the progress: where the draws begin, where the steps begin and where judging begins."""


@dataclass(frozen=True)
class InversionConfiguration(Configuration):
    """All that an inversion depends on, the photograph apart."""

    samples: ClassVar[str] = "the inversion of a photograph"

    seed: int = 0
    generator: str = field(default_factory=lambda: registry.default_generator("phone"))
    perceptual: str = field(default_factory=lambda: registry.list_names("distance")[0])
    judges: tuple[str, ...] = field(default_factory=lambda: tuple(registry.list_names("recogniser")))
    draws: int = 256  # random latents among which the starts are chosen, beside the mean latent
    starts: int = 4  # runs; the networks' chunk of four rows costs the same as one
    steps: int = 120  # on the generator's draft, where it has one
    refining: int = 10  # then so many of the best run on its full picture; 30 took thrice the time of the rest for 0.04 of LPIPS
    learning_rate: float = 0.1  # Adam's highest step, raw latent units
    pixels: float = 5.0
    prior: float = 0.1

    def __post_init__(self) -> None:
        object.__setattr__(self, "judges", tuple(self.judges))
        check_whole("seed", self.seed, 0, 2**63 - 1)
        check_whole("draws", self.draws, 0, 1_000_000)
        check_whole("starts", self.starts, 1, 64)
        check_whole("steps", self.steps, 1, 100_000)
        check_whole("refining", self.refining, 0, 100_000)
        check_number("learning_rate", self.learning_rate, 1e-6, 1e3)
        check_number("pixels", self.pixels, 0.0, 1e6)
        check_number("prior", self.prior, 0.0, 1e6)


@dataclass(frozen=True)
class InversionStep:
    """One step of the run that is the best so far; ``picture`` every few steps, of the draft where the generator has one."""

    step: int
    of: int
    lpips: float
    picture: Image | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Likeness:
    """One recogniser on photograph and found face. distance: NaN where it found no face in either."""

    recogniser: str
    distance: float
    threshold: float

    @property
    def same_person(self) -> bool | None:
        """None where no face was found."""
        return None if np.isnan(self.distance) else self.distance < self.threshold


@dataclass(frozen=True)
class Inversion:
    """The latent found, and how good it is. Pictures are uint8 (H, W, 3) of the generator's size; none is part of the ``repr``."""

    configuration: InversionConfiguration
    latent: NDArray[np.float32] = field(repr=False)  # (latent_dim,)
    photo: Image = field(repr=False)
    picture: Image = field(repr=False)
    start: Image = field(repr=False)  # where the best run began
    lpips: float  # of photo and picture
    start_lpips: float
    history: tuple[float, ...] = field(repr=False)  # LPIPS of the best run, step by step, on drafts where the generator has them
    likenesses: tuple[Likeness, ...] = ()
    led_by: str = ""  # the recogniser that the search climbed; "" where none steered


@dataclass(frozen=True)
class InversionModels:
    """The models of an inversion, loaded together."""

    generator: Generator
    perceptual: PerceptualDistance
    judges: Sequence[Recogniser]
    surrogate: DescriptorSurrogate | None = None  # of a generator without a gradient

    @classmethod
    def load(cls, configuration: InversionConfiguration) -> InversionModels:
        """Raises LiminalError for names that the registry does not know, and for a generator without gradient and surrogate."""
        generator, surrogate = registry.load(configuration.generator, "generator"), None
        if not generator.differentiable:
            if not configuration.judges or not registry.find_descriptor_surrogate(generator.name, configuration.judges[0]):
                raise LiminalError(NO_GRADIENT.format(generator.card.title))
            surrogate = registry.load_descriptor_surrogate(generator.name, configuration.judges[0])
        perceptual = registry.load(configuration.perceptual, "distance")
        return cls(generator, perceptual, [registry.load(name, "recogniser") for name in configuration.judges], surrogate)


def invert_photo(
    photo: Image,
    configuration: InversionConfiguration,
    progress: Progress | None = None,
    *,
    models: InversionModels | None = None,
    candidates: Sequence[int] | None = None,
) -> Inversion:
    """The latent whose picture comes nearest to ``photo``, uint8 (H, W, 3), framed like the generator's (``photos.read_photo``).

    candidates: seeds of the draws to start from instead of ``configuration.draws`` new ones. Events: Stage, InversionStep.
    The same photograph and configuration give the same latent. Raises Cancelled between two steps when the user asks.
    """
    progress = progress or Progress()
    progress.stage("Loading the networks", 0.0)
    models = models or InversionModels.load(configuration)
    generator = models.generator
    seen = to_images(np.ascontiguousarray(photo[None]))
    target = quantise(_resize(seen, generator.image_size))
    if models.surrogate is not None:
        starts = _choose_starts(target, configuration, models, progress, candidates)
        found, start, looks = _climb_surrogate(target, seen, starts, models, progress)
        progress.stage("Comparing photograph and face", PROGRESS_SHARES[2])
        inversion = _judge_inversion(photo, target, found, start, looks, configuration, models, progress)
        return replace(inversion, led_by=models.judges[0].name)
    with torch.inference_mode(False), torch.enable_grad():
        starts = _choose_starts(target, configuration, models, progress, candidates)
        search = _LatentSearch(target.clone(), configuration, models, progress)
        latents, history = search.run(starts)
        best = int(np.argmin([losses[-1] for losses in history]))
        latent = latents[best : best + 1]
        if configuration.refining and generator.has_draft:
            latent = search.refine(latent)
    progress.stage("Comparing photograph and face", PROGRESS_SHARES[2])
    return _judge_inversion(photo, target, latent, starts[best : best + 1], history[best], configuration, models, progress)


def _climb_surrogate(
    target: Tensor, photo: Tensor, starts: Tensor, models: InversionModels, progress: Progress
) -> tuple[Tensor, Tensor, list[float]]:
    """Climb from each start toward the photograph's descriptor -> the best latent (1, d), its start (1, d), LPIPS on the way."""
    guard, generator = models.judges[0], models.generator
    wanted = guard.embed(photo)[0]
    if not bool(torch.isfinite(wanted).all()):
        raise LiminalError(f"{guard.card.title} finds no face in this photograph; choose another one.")
    search = IdentityConfiguration(
        generator=generator.name, recogniser=guard.name, strategy="surrogate", targets=(NEAR_ENOUGH,), iterations=LOOKS
    )
    history: list[float] = []

    def report_step(step: SearchStep) -> None:
        low, high = PROGRESS_SHARES[1:]
        progress.stage(
            f"Bringing a generated face nearer, look {step.iteration} of {LOOKS}", low + (high - low) * step.iteration / LOOKS
        )
        if step.run == 0 and step.image is not None:
            apart = float(models.perceptual.distance(to_images(step.image[None]), target)[0])
            history.append(apart)
            progress.emit(InversionStep(step.iteration, LOOKS, apart, step.image))

    result = search_descriptor(
        starts.numpy(), wanted.cpu(), generator, guard, search, on_step=report_step, surrogate=models.surrogate
    )
    distances = [run.results[0].distance for run in result.runs]
    best = int(np.nanargmin(distances)) if np.isfinite(distances).any() else 0
    return torch.from_numpy(result.runs[best].results[0].latent[None]), starts[best : best + 1], history


def _choose_starts(
    target: Tensor,
    configuration: InversionConfiguration,
    models: InversionModels,
    progress: Progress,
    candidates: Sequence[int] | None,
) -> Tensor:
    """The mean latent and the draws, the most alike by LPIPS first -> (starts, latent_dim)."""
    generator = models.generator
    if candidates is None:
        candidates = [sample_seed(configuration.seed, "inversion", number) for number in range(configuration.draws)]
    latents = torch.cat([torch.zeros(1, generator.latent_dim), generator.sample(candidates)])
    parts = []
    with torch.no_grad():
        for low in range(0, len(latents), DRAWING_BATCH):
            progress.stage(
                "Looking for faces that resemble the photograph",
                PROGRESS_SHARES[0] + (PROGRESS_SHARES[1] - PROGRESS_SHARES[0]) * low / len(latents),
            )
            drafts = generator.decode_draft(latents[low : low + DRAWING_BATCH])
            parts.append(models.perceptual.distance(drafts, _resize(target, drafts.shape[-1]).expand_as(drafts)).cpu())
    order = torch.argsort(torch.cat(parts), stable=True)[: configuration.starts]
    return latents[order]


class _LatentSearch:
    """Adam on the rows of a tensor of latents; every row for itself."""

    def __init__(self, target: Tensor, configuration: InversionConfiguration, models: InversionModels, progress: Progress) -> None:
        self.target, self.configuration, self.models, self.progress = target, configuration, models, progress
        self.total = configuration.steps + (configuration.refining if models.generator.has_draft else 0)

    def run(self, starts: Tensor) -> tuple[Tensor, list[list[float]]]:
        """Latents (S, d) -> where they came to (S, d), and each row's LPIPS step by step."""
        try:
            return self._descend(starts, self.configuration.steps, draft=True, learning_rate=self.configuration.learning_rate)
        except (RuntimeError, MemoryError, LiminalError) as error:
            if len(starts) == 1 or not ran_out_of_memory(error.__cause__ or error):
                raise
        half = (len(starts) + 1) // 2
        send_notice(f"Not enough memory for {len(starts)} attempts at once; going on with {half}.")
        parts = [self.run(starts[:half]), self.run(starts[half:])]
        return torch.cat([latents for latents, _ in parts]), [row for _, history in parts for row in history]

    def refine(self, latents: Tensor) -> Tensor:
        """The same on the full picture, in smaller steps."""
        return self._descend(latents, self.configuration.refining, draft=False, learning_rate=self.configuration.learning_rate / 4)[
            0
        ]

    def _descend(self, starts: Tensor, steps: int, *, draft: bool, learning_rate: float) -> tuple[Tensor, list[list[float]]]:
        generator, done = self.models.generator, 0 if draft else self.configuration.steps
        latents = starts.clone().requires_grad_()
        adam = torch.optim.Adam([latents], lr=learning_rate)
        history: list[list[float]] = [[] for _ in starts]
        target, far = self._prepare_target(draft)
        for step in range(steps + 1):
            with device_turn(generator.device):
                images = generator.decode_draft(latents) if draft else generator.decode(latents)
                if not images.requires_grad:
                    raise LiminalError(NO_GRADIENT.format(generator.card.title))
                apart = far(images).cpu()
                if step < steps:
                    pixels = (images - target).square().mean(dim=(1, 2, 3)).cpu()
                    length = latents.square().mean(dim=1)
                    loss = apart + self.configuration.pixels * pixels + self.configuration.prior * (length - 1).square()
                    adam.param_groups[0]["lr"] = learning_rate * _learning_rate_share(step / steps)
                    adam.zero_grad(set_to_none=True)
                    loss.sum().backward()  # type: ignore[no-untyped-call]
                    assert latents.grad is not None
                    latents.grad.nan_to_num_(0.0, 0.0, 0.0)
                    adam.step()
            for row, value in zip(history, apart.detach().tolist(), strict=True):
                row.append(value)
            self._report_step(done + step, apart.detach(), images)
        return latents.detach(), history

    def _prepare_target(self, draft: bool) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """The photograph in the size that is climbed in, and the distance from it."""
        generator = self.models.generator
        with torch.no_grad():
            side = generator.decode_draft(torch.zeros(1, generator.latent_dim)).shape[-1] if draft else generator.image_size
            target = _resize(self.target, side).to(generator.device)
            return target, self.models.perceptual.toward(target)

    def _report_step(self, step: int, apart: Tensor, images: Tensor) -> None:
        self.progress.stage(
            f"Bringing a generated face nearer, step {step} of {self.total}",
            PROGRESS_SHARES[1] + (PROGRESS_SHARES[2] - PROGRESS_SHARES[1]) * step / self.total,
        )
        best = int(apart.argmin())
        with_picture = step % STEPS_PER_PICTURE == 0 or step == self.total
        picture = to_pictures(images[best : best + 1])[0] if with_picture else None
        self.progress.emit(InversionStep(step, self.total, float(apart[best]), picture))


def _learning_rate_share(done: float) -> float:
    """Share of the highest rate after a share of the steps: a short rise, then half a cosine."""
    return float(min(1.0, 0.1 + done / WARM_UP) * 0.5 * (1 + np.cos(np.pi * done)))


def _judge_inversion(
    photo: Image,
    target: Tensor,
    latent: Tensor,
    start: Tensor,
    history: Sequence[float],
    configuration: InversionConfiguration,
    models: InversionModels,
    progress: Progress,
) -> Inversion:
    """What is shown is what is judged: the 8-bit picture, against the photograph as it was framed."""
    with torch.inference_mode():
        images = quantise(torch.cat([models.generator.decode(code) for code in (latent, start)])).cpu()
        apart = models.perceptual.distance(images, target.expand_as(images)).tolist()
        likenesses = []
        for judge in models.judges:
            progress.check()
            mine, its = judge.embed(to_images(np.ascontiguousarray(photo[None]))), judge.embed(images[:1])
            likenesses.append(Likeness(judge.name, float(judge.distance(mine, its)), judge.threshold))
    pictures = to_pictures(images)
    progress.stage("Done", 1.0)
    return Inversion(
        configuration=configuration,
        latent=latent[0].numpy().copy(),
        photo=to_pictures(target)[0],
        picture=pictures[0],
        start=pictures[1],
        lpips=float(apart[0]),
        start_lpips=float(apart[1]),
        history=tuple(history),
        likenesses=tuple(likenesses),
    )


def _resize(images: Tensor, side: int) -> Tensor:
    """(N, 3, H, W) square -> (N, 3, side, side), antialiased where it shrinks."""
    if images.shape[-1] == side:
        return images
    return interpolate(images, (side, side), mode="bilinear", antialias=True, align_corners=False).clamp(0, 1)


NOT_YOU = "No generator here can make most real faces: this is the nearest one that was found, not you."


def describe_verdict(inversion: Inversion) -> str:
    """What the recognisers say, in one sentence."""
    titles: dict[bool | None, list[str]] = {True: [], False: [], None: []}
    for likeness in inversion.likenesses:
        titles[likeness.same_person].append(registry.find_entry(likeness.recogniser).title)
    parts = []
    if titles[True]:
        parts.append(f"{_join_titles(titles[True])} {_conjugate_take(titles[True])} the two for the same person")
    if titles[False]:
        parts.append(f"{_join_titles(titles[False])} {_conjugate_take(titles[False])} them for two different people")
    if titles[None]:
        parts.append(f"{_join_titles(titles[None])} {'finds' if len(titles[None]) == 1 else 'find'} no face in one of them")
    if inversion.led_by:
        parts.append(f"{registry.title(inversion.led_by)} led the search, so that its word counts for less")
    return "; ".join(parts) + "."


def list_facts(inversion: Inversion) -> list[tuple[str, str]]:
    """Numbers with the words that say what they mean."""
    rows = [
        (
            f"{inversion.lpips:.2f}",
            "how different the two pictures look (LPIPS); 0 is the same picture, and the search began at "
            f"{inversion.start_lpips:.2f}",
        )
    ]
    for likeness in inversion.likenesses:
        if likeness.same_person is not None:
            title = registry.find_entry(likeness.recogniser).title
            rows.append((f"{likeness.distance:.2f}", f"apart for {title}; under {likeness.threshold:.2f} is the same person"))
    return rows


def _join_titles(titles: Sequence[str]) -> str:
    return titles[0] if len(titles) == 1 else f"{', '.join(titles[:-1])} and {titles[-1]}"


def _conjugate_take(titles: Sequence[str]) -> str:
    return "takes" if len(titles) == 1 else "take"
