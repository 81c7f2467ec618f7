"""The head's surrogate: kernel ridge regression from latents to what recognisers and classifiers say of the picture.

Features of the latents (``surrogate_features``), standardised, are compared with those of the heads it was fitted to (anchors):

    prediction(z) = offset + sum_i c_i k(z, z_i),    k(a, b) = exp(-rate |r (a - b)|^2) + linear (r a) . (r b),

with a relevance r for every feature, learnt by the leave-one-out error (automatic relevance determination; Rasmussen and Williams
2006, section 5.1 and equation 5.12). Each target (a recogniser's descriptor, all classifiers' logits) has its own relevances.
The anchors are no weights: their latents are drawn again from the seed that the fitting drew them from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from core.errors import LiminalError
from core.models.builtin.head.surrogate_features import expand_features
from core.models.contracts import DescriptorSurrogate, ModelCard
from core.models.emotions import EMOTIONS
from core.models.engine.engine import batched
from core.models.trained_weights import TrainedWeights, read_trained, repair_advice, trained_weight_file

HEAD_SURROGATE_NAME = "head-descriptors"
LOGITS = "logits"
"""The target that is all classifiers' logits; the other targets are recognisers."""

CHUNK = 4
TABLE_CHUNK = 256
"""Rows that go together where thousands are asked for: the anchors are read once for all of them."""
DRAW = 128
"""Latents drawn by one random generator; part of what a seed means."""

CARD = ModelCard(
    name=HEAD_SURROGATE_NAME,
    title="What is said of a rendered head, predicted (surrogate)",
    kind="surrogate",
    source="fitted here on rendered heads, with the built-in recognisers and emotion networks as teachers",
    weights_licence="MIT (this repository)",
    data_licence="rendered heads (no data of people); teachers trained on photographs of faces, FER2013 and CK+",
    input_size=0,
    not_for="any statement about an image: it never sees one",
    files=(trained_weight_file(HEAD_SURROGATE_NAME),),
)


def draw_latents(count: int, latent_dim: int, seed: int) -> Tensor:
    """Standard normal latents (count, latent_dim); row i depends on the seed and i alone."""
    blocks = [
        torch.randn(DRAW, latent_dim, generator=torch.Generator().manual_seed(seed * 1_000_003 + index))
        for index in range(-(-count // DRAW))
    ]
    return torch.cat(blocks)[:count]


class FeatureScale(nn.Module):
    """Features of latents, standardised: (N, latent_dim) -> (N, F)."""

    mean: Tensor
    scale: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))

    def forward(self, latents: Tensor) -> Tensor:
        scaled: Tensor = (expand_features(latents) - self.mean) * self.scale
        return scaled


class KernelRidge(nn.Module):
    """One target: latents (N, latent_dim) -> outputs (N, O).

    anchors: standardised features (A, F). relevance: (F,), 0 for features that are left out. coefficients: (A, O). offset: (O,).
    kernel: rate and linear (2,).
    """

    columns: Tensor
    relevance: Tensor
    anchors: Tensor
    lengths: Tensor
    coefficients: Tensor
    offset: Tensor
    kernel: Tensor

    def __init__(
        self, features: FeatureScale, anchors: Tensor, relevance: Tensor, coefficients: Tensor, offset: Tensor, kernel: Tensor
    ) -> None:
        super().__init__()
        self.features = features
        self.register_buffer("columns", relevance.nonzero()[:, 0])
        self.register_buffer("relevance", relevance[self.columns])
        self.register_buffer("anchors", anchors[:, self.columns] * self.relevance)
        self.register_buffer("lengths", self.anchors.square().sum(dim=1))
        self.register_buffer("coefficients", coefficients)
        self.register_buffer("offset", offset)
        self.register_buffer("kernel", kernel)

    def forward(self, latents: Tensor) -> Tensor:
        relevant = self.features(latents).index_select(1, self.columns) * self.relevance
        alike = relevant @ self.anchors.T
        apart = relevant.square().sum(dim=1, keepdim=True) + self.lengths - 2 * alike
        rate, linear = self.kernel
        outputs: Tensor = (torch.exp(-rate * apart) + linear * alike) @ self.coefficients + self.offset
        return outputs


class HeadSurrogate(DescriptorSurrogate):
    """Kernel ridges, one a target, as a surrogate."""

    def __init__(
        self,
        targets: Mapping[str, KernelRidge],
        classifiers: Sequence[str],
        latent_dim: int,
        r2: Mapping[str, float],
        device: torch.device,
        card: ModelCard = CARD,
    ) -> None:
        self.card, self.device = card, device
        self.generator, self.latent_dim, self.r2 = "head", latent_dim, dict(r2)
        self.recognisers = tuple(name for name in targets if name != LOGITS)
        self.classifiers = tuple(classifiers)
        self.targets = {name: target.to(device).eval().requires_grad_(False) for name, target in targets.items()}

    def descriptors(self, latents: Tensor, recogniser: str) -> Tensor:
        return self._predict(latents, recogniser, CHUNK)

    def logits(self, latents: Tensor) -> Tensor:
        return self._predict(latents, None, CHUNK)

    def predict_table(self, latents: Tensor, recogniser: str | None) -> Tensor:
        with torch.inference_mode():
            return self._predict(latents, recogniser, TABLE_CHUNK)

    def _predict(self, latents: Tensor, recogniser: str | None, chunk: int) -> Tensor:
        if recogniser is None:
            logits = batched(self.targets[LOGITS], latents.to(self.device), chunk)
            return logits.view(len(latents), len(self.classifiers), len(EMOTIONS))
        if recogniser not in self.recognisers:
            raise LiminalError(
                f"{self.card.title} knows {' and '.join(self.recognisers)}, not '{recogniser}'; search by another strategy, "
                "such as trial and selection (cmaes)."
            )
        return batched(self.targets[recogniser], latents.to(self.device), chunk)


def read_targets(trained: TrainedWeights, draw: Callable[[int, int], Tensor] | None = None) -> dict[str, KernelRidge]:
    """The stored kernel ridges, their anchors drawn again.

    draw: count and seed -> the latents that were drawn when they were fitted; None: ``draw_latents``.

    Raises LiminalError where weights belong to another network or to another number of features, or where PyTorch draws other
    numbers than it did when they were fitted. A table of latents that has changed a little makes predictions a little worse; a test
    holds ``probe_features`` against today's.
    """
    sizes, tensors = trained.configuration, trained.tensors
    try:
        numbers, probe = tensors["anchors"].long(), tensors["probe"]
        count, seed = int(sizes["heads"]), int(sizes["seed"])
        drawn = (draw_latents(count, int(sizes["latent_dim"]), seed) if draw is None else draw(count, seed))[numbers]
        stored = {
            name: {key: tensors[f"{name}.{key}"].float() for key in ("relevance", "coefficients", "offset", "kernel")}
            for name in sizes["targets"]
        }
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise LiminalError(f"The weights {trained.path} belong to another network: {repair_advice(trained.name)}.") from error
    if probe.shape != drawn[-1].shape or not torch.allclose(probe, drawn[-1], atol=1e-4):
        raise LiminalError(
            f"This version of PyTorch draws other random numbers than the one that {trained.name} was fitted with; install the "
            f"pinned version, or train it again with 'python -m core train {trained.name}'."
        )
    if expand_features(probe[None]).shape[1:] != tensors["features.mean"].shape:
        raise LiminalError(
            f"{trained.name} was fitted to other features than this version makes of a head; train it again with "
            f"'python -m core train {trained.name}'."
        )
    features = FeatureScale(len(tensors["features.mean"]))
    features.load_state_dict({name: tensors[f"features.{name}"].float() for name in ("mean", "scale")})
    with torch.no_grad():
        anchors = features(drawn)
        for name, parts in stored.items():
            expected = [(anchors.shape[1],), (len(anchors), len(parts["offset"])), (len(parts["offset"]),), (2,)]
            if [tuple(part.shape) for part in parts.values()] != expected:
                raise LiminalError(f"'{name}' in {trained.path} is of another size: {repair_advice(trained.name)}.")
        return {name: KernelRidge(features, anchors, **parts) for name, parts in stored.items()}


def load(device: torch.device) -> HeadSurrogate:
    """The surrogate with its fitted weights."""
    trained = read_trained(HEAD_SURROGATE_NAME)
    sizes = trained.configuration
    return HeadSurrogate(
        read_targets(trained), sizes["classifiers"], int(sizes["latent_dim"]), dict(trained.card["figures"]["r2"]), device
    )
