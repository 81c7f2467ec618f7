"""Images made for one person: *you would say fear, most would say surprise* (controversial stimuli; Golan, Raju and Kriegeskorte
2020, PNAS 117). The person's model and the group's are the opponents.

``ranked`` finds such images among those that a study has, without torch. ``search`` makes new ones: from many latents the ones on
which the opponents differ most, first through the surrogate, read out to the group's answers by a linear map, then through the
generator and the group's network itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.alignment.alignment import Alignment
from core.alignment.observer import LEAST, K, Posterior
from core.alignment.observer import probabilities as observed
from core.analysis.answers import Array
from core.analysis.choices import divergence
from core.errors import LiminalError
from core.models.emotions import EMOTIONS
from core.progress import Progress
from core.sampling.seeds import sample_seed

if TYPE_CHECKING:
    from torch import Tensor

POOL = 1024
"""Latents that the search looks at."""
CLIMB, RATE, SHELL, RIDGE = 60, 0.05, 5.0, 1.0


@dataclass(frozen=True, eq=False)
class Controversial:
    """One new image: latent (d,), picture uint8 (H, W, 3), what you and most would say, both models' probabilities (6,)."""

    latent: NDArray[np.float32]
    picture: NDArray[np.uint8]
    you: str
    most: str
    own: Array
    group: Array

    @property
    def differ(self) -> bool:
        """Whether the opponents' first choices differ on the finished picture; the search may fail."""
        return self.you != self.most


def ranked(images: Sequence[str], own: Array, group: Array) -> pd.DataFrame:
    """Images by how much a person's model (N, 6) and the group's (N, 6) disagree about them, most first.

    stimulus, you and most (first choices), p_you (own model, of ``you``), p_most (group's, of ``most``), score: the smaller of
    these two where the choices differ, else 0; divergence: Jensen-Shannon, bits.
    """
    rows, names = np.arange(len(images)), np.array(EMOTIONS)
    first, second = own.argmax(axis=1), group.argmax(axis=1)
    p_you, p_most = own[rows, first], group[rows, second]
    table = pd.DataFrame(
        {
            "stimulus": list(images),
            "you": names[first],
            "most": names[second],
            "p_you": p_you,
            "p_most": p_most,
            "score": np.where(first != second, np.minimum(p_you, p_most), 0.0),
            "divergence": divergence(own, group),
        }
    )
    return table.sort_values(["score", "divergence", "stimulus"], ascending=[False, False, True]).reset_index(drop=True)


def search(
    alignment: Alignment,
    known: Posterior,
    *,
    count: int = 4,
    seed: int = 0,
    steps: int = 12,
    progress: Progress | None = None,
) -> list[Controversial]:
    """New images at the boundary between a person (``known``) and the group, by the group's emotion MLP; best first.

    Half a minute for four on two cores. Raises LiminalError where that MLP has not learned, and for numbers that make no sense.
    """
    import torch

    from core.alignment.learning import group_network
    from core.alignment.networks import answer
    from core.models import registry
    from core.models.engine import turn
    from core.sampling.pictures import quantised, to_pictures

    if not 1 <= count <= 64 or not 0 <= steps <= 1000:
        raise LiminalError("Choose 1 to 64 images and 0 to 1,000 steps.")
    progress = progress or Progress()
    progress.stage("Reading everybody's model", 0.0)
    name = alignment.labels.generator
    generator, encoder = registry.load(name, "generator"), registry.load(registry.names("encoder")[0], "encoder")
    surrogate = registry.load(registry.names("surrogate")[0], "surrogate")
    network = group_network(alignment, "emotion-mlp")
    with torch.inference_mode(False):
        with torch.no_grad():
            seen = _seen(surrogate.logits(generator.sample(alignment.labels.seeds)).cpu().clone())
            said = torch.from_numpy(alignment.group("emotion-mlp").reference).to(seen.dtype)
            readout = _readout(seen, said.clamp_min(LEAST).log())

        def foretold(latents: Tensor) -> Tensor:
            return (_seen(surrogate.logits(latents).cpu()) @ readout).log_softmax(dim=1)

        def real(latents: Tensor) -> Tensor:
            with turn(generator.device):
                said: Tensor = network(encoder.embed(generator.decode_draft(latents)).cpu()).log_softmax(dim=1)
            return said

        drawn = generator.sample([sample_seed(seed, "controversial", place) for place in range(POOL)])
        with torch.no_grad():
            logs = foretold(drawn)
        latents, pairs = _best(drawn, logs, known, count)
        progress.stage("Looking for faces that you and others see differently", 0.25)
        latents = _climb(latents, pairs, known, foretold, CLIMB, progress.stretch(0.25, 0.5, "A first search: {}".format))
        latents = _climb(latents, pairs, known, real, steps, progress.stretch(0.5, 0.9, "Finishing the faces: {}".format))
        with torch.no_grad():
            images = quantised(generator.decode(latents))
            group = answer(network, encoder.embed(images).cpu().clone()).double().numpy()
    progress.stage("Made", 1.0)
    own = observed(known.mode[None], group)[0]
    pictures = to_pictures(images)
    order = np.argsort(-divergence(own, group))
    return [
        Controversial(
            latents[at].numpy(),
            pictures[at],
            EMOTIONS[int(own[at].argmax())],
            EMOTIONS[int(group[at].argmax())],
            own[at],
            group[at],
        )
        for at in map(int, order)
    ]


def own_log(known: Posterior, logs: Tensor) -> Tensor:
    """The group's log probabilities (N, 6) -> the person's (N, 6), at the mode of what is known of them. Differentiable."""
    import torch

    mode = torch.from_numpy(known.mode).to(logs.dtype)
    lapse = torch.sigmoid(mode[-1])
    clear = (mode[0].exp() * logs.clamp_min(float(np.log(LEAST))) + mode[1 : K + 1]).softmax(dim=1)
    said: Tensor = ((1 - lapse) * clear + lapse / K).log()
    return said


def _best(drawn: Tensor, logs: Tensor, known: Posterior, count: int) -> tuple[Tensor, NDArray[np.intp]]:
    """The latents nearest to a disagreement, over different pairs of emotions where there are -> latents and pairs (you, most)."""
    own, group = own_log(known, logs).numpy(), logs.numpy()
    value = own[:, :, None] + group[:, None, :]  # log p(you says i) + log p(most say j)
    # twice the value less that of the other way round: else any unclear image would do
    score = 2 * value - value.transpose(0, 2, 1)
    score[:, np.arange(K), np.arange(K)] = -np.inf
    score = score.reshape(len(value), -1)
    chosen: list[tuple[int, int]] = []
    used: dict[int, int] = {}
    taken: set[int] = set()
    for place in np.argsort(-score, axis=None):
        row, pair = divmod(int(place), K * K)
        if row in taken or used.get(pair, 0) >= max(1, count // 2):
            continue
        chosen.append((row, pair))
        taken.add(row)
        used[pair] = used.get(pair, 0) + 1
        if len(chosen) == count:
            break
    rows = [row for row, _ in chosen]
    return drawn[rows].clone(), np.array([divmod(pair, K) for _, pair in chosen], np.intp)


def _climb(
    latents: Tensor,
    pairs: NDArray[np.intp],
    known: Posterior,
    model: Callable[[Tensor], Tensor],
    steps: int,
    progress: Progress,
) -> Tensor:
    """Adam towards images where the person says the first and the group the second emotion of each row's pair."""
    import torch

    if not steps:
        return latents
    rows, you, most = torch.arange(len(latents)), torch.from_numpy(pairs[:, 0]), torch.from_numpy(pairs[:, 1])
    moving = latents.detach().clone().requires_grad_()
    adam = torch.optim.Adam([moving], lr=RATE)
    with torch.enable_grad():
        for step in range(steps):
            progress.stage(f"step {step + 1} of {steps}", step / steps)
            logs = model(moving)
            wanted = own_log(known, logs)[rows, you] + logs[rows, most]
            loss = -wanted.sum() + SHELL * (moving.square().mean(dim=1) - 1).square().sum()
            adam.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            adam.step()
    return moving.detach()


def _seen(logits: Tensor) -> Tensor:
    """The surrogate's logits (N, C, 6) -> features of the linear map: one, logits, log of the mean probabilities."""
    import torch

    mean = logits.softmax(dim=2).mean(dim=1).clamp_min(LEAST).log()
    return torch.cat([torch.ones(len(logits), 1), logits.flatten(1) / 10, mean], dim=1)


def _readout(seen: Tensor, logs: Tensor) -> Tensor:
    """Ridge regression from the surrogate's features to the group's log probabilities of the same faces."""
    import torch

    weights: Tensor = torch.linalg.solve(seen.T @ seen + RIDGE * torch.eye(seen.shape[1]), seen.T @ logs)
    return weights
