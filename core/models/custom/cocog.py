"""Paper B's diffusion prior over CLIP embeddings, as a model that a user adds: CoCoG-2's checkpoints, or one trained here.

A checkpoint is CoCoG-2's state dict (Wei et al. 2024, arXiv:2407.14949), best the moving average (``..._ema.pt``), or the
.safetensors file that ``python -m core train uvit-prior`` writes in the same names, with a card beside it. DDPM, noise prediction,
1,000 steps of the linear schedule, as in CoCoG-2; its scheduler would also clip each estimate to [-1, 1], which is not done here.
Where its U-ViT differs from ``builtin.prior.UViT``: queries, keys and values have no bias; the time's sinusoid is the token itself,
sines first, as in diffusers; the embedding's values pass one linear layer at the end. It was trained with a condition's token now
and then; run without one, as guidance does, the time's token stands before the embedding's and the last position is unused, yet
the *first* ``tokens`` outputs are read, the time's among them. The last layer was trained to make sense of that, so that it is
kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers.models.embeddings import get_timestep_embedding
from torch import Tensor, nn

from core.errors import LiminalError
from core.models.builtin.prior import TransformerBlock, UViTConfiguration, run_u_blocks
from core.models.contracts import ModelCard, Prior
from core.models.custom.catalogue import CustomModel
from core.models.custom.loading import fill_network, is_whole_number, make_custom_card, read_tensors, read_training_configuration
from core.models.custom.sources import verify_source
from core.models.device import freeze_network
from core.models.engine.engine import batched

PUBLISHED_CONFIGURATION = UViTConfiguration(tokens=64, token_size=16, width=768, depth=12, heads=12)
"""The size in the text; the checkpoint in CoCoG-2's repository has a width of 512. Sizes are read off the file."""

KEY_MAP: tuple[tuple[str, str], ...] = (
    ("embed.", "patch_embed.proj."),  # CoCoG-2's is a convolution over the values: (width, 1, token_size)
    ("position", "pos_embed"),  # (1, tokens + 2, width)
    ("before.", "in_blocks."),
    ("middle.", "mid_block."),
    ("after.", "out_blocks."),
    ("out.", "decoder_pred."),
    ("final.", "final_layer."),
)
"""Beginnings of keys: here, and in CoCoG-2's checkpoints. ``norm`` is the same in both."""

BLOCK_MAP: tuple[tuple[str, str], ...] = (
    (".qkv.", ".attn.qkv."),
    (".project.", ".attn.proj."),
    (".mlp.0.", ".mlp.fc1."),
    (".mlp.2.", ".mlp.fc2."),
    (".join.", ".skip_linear."),
)
"""Within a block; ``norm1`` and ``norm2`` are the same in both."""

CONDITION_PREFIX = "context_embed."
"""Beginning of the keys that read a condition, which is never used here; they are left out."""

HEAD_WIDTH = 64
"""Values of an attention head in the published sizes; the number of heads cannot be read off a checkpoint."""


class CocogUViT(nn.Module):
    """x_t (N, E), t (N,) -> the noise in it (N, E)."""

    def __init__(self, configuration: UViTConfiguration) -> None:
        super().__init__()
        c = self.configuration = configuration
        self.embed = nn.Linear(c.token_size, c.width)
        self.position = nn.Parameter(0.02 * torch.randn(1, c.tokens + 2, c.width))
        self.before = nn.ModuleList([TransformerBlock(c.width, c.heads, skip=False, biased=False) for _ in range(c.depth // 2)])
        self.middle = TransformerBlock(c.width, c.heads, skip=False, biased=False)
        self.after = nn.ModuleList([TransformerBlock(c.width, c.heads, skip=True, biased=False) for _ in range(c.depth // 2)])
        self.norm = nn.LayerNorm(c.width)
        self.out = nn.Linear(c.width, c.token_size)
        self.final = nn.Linear(c.embedding_dim, c.embedding_dim)

    def forward(self, noised: Tensor, step: Tensor) -> Tensor:
        c = self.configuration
        tokens = self.embed(noised.view(-1, c.tokens, c.token_size))  # (N, T, W)
        time = get_timestep_embedding(step, c.width)[:, None].to(tokens)  # (N, 1, W)
        x = torch.cat([time, tokens], dim=1) + self.position[:, :-1]
        x = run_u_blocks(x, self.before, self.middle, self.after)
        noise: Tensor = self.final(self.out(self.norm(x[:, :-1])).reshape(-1, c.embedding_dim))
        return noise


def make_published_key(key: str) -> str:
    """A parameter's name in CoCoG-2's checkpoints."""
    begun = next((theirs + key.removeprefix(ours) for ours, theirs in KEY_MAP if key.startswith(ours)), key)
    for ours, theirs in BLOCK_MAP:
        begun = begun.replace(ours, theirs)
    return begun


def make_published_tensors(network: CocogUViT) -> dict[str, Tensor]:
    """The network's tensors as a checkpoint of CoCoG-2's holds them (without a condition's)."""
    tensors = {make_published_key(key): tensor for key, tensor in network.state_dict().items()}
    tensors["patch_embed.proj.weight"] = tensors["patch_embed.proj.weight"][:, None]
    return tensors


def read_cocog_sizes(tensors: Mapping[str, Tensor], path: Path, heads: int | None = None) -> UViTConfiguration:
    """Sizes as a checkpoint's shapes tell. Raises LiminalError that names the first key that is missing or of no such network."""

    def shape(key: str, dimensions: int) -> tuple[int, ...]:
        if key not in tensors:
            raise LiminalError(f"{path.name} lacks '{key}'; it is no checkpoint of CoCoG-2's U-ViT prior.")
        sizes = tuple(tensors[key].shape)
        if len(sizes) != dimensions or 0 in sizes:
            raise LiminalError(f"'{key}' in {path.name} has the shape {sizes}; it is no checkpoint of CoCoG-2's U-ViT prior.")
        return sizes

    width, _, token_size = shape("patch_embed.proj.weight", 3)
    positions, embedding_dim = shape("pos_embed", 3)[1], shape("final_layer.weight", 2)[0]
    if embedding_dim % token_size or positions != embedding_dim // token_size + 2:
        raise LiminalError(
            f"'pos_embed' in {path.name} has {positions} positions, but an embedding of {embedding_dim} values in tokens of "
            f"{token_size}, with the time and a condition, needs {embedding_dim // token_size + 2}."
        )
    blocks = {key.split(".")[1] for key in tensors if key.startswith("in_blocks.")}
    return UViTConfiguration(embedding_dim // token_size, token_size, width, 2 * len(blocks), heads or max(1, width // HEAD_WIDTH))


def read_cocog(tensors: Mapping[str, Tensor], path: Path, heads: int | None = None) -> CocogUViT:
    """The network with a checkpoint's weights, read strictly. Raises LiminalError that names the first key that is wrong."""
    network = CocogUViT(read_cocog_sizes(tensors, path, heads))
    unconditional = {key: tensor for key, tensor in tensors.items() if not key.startswith(CONDITION_PREFIX)}
    unconditional["patch_embed.proj.weight"] = unconditional["patch_embed.proj.weight"].squeeze(1)
    fill_network(network, unconditional, path, make_published_key)
    return network


CHUNK = 4
COCOG_TRAIN_STEPS, COCOG_BETAS = 1000, "linear"
SCHEDULES = ("linear", "scaled_linear", "squaredcos_cap_v2")


class CocogPrior(Prior):
    """The network as a Prior."""

    def __init__(self, network: CocogUViT, train_steps: int, betas: str, device: torch.device, card: ModelCard) -> None:
        self.card, self.device = card, device
        self.network = freeze_network(network, device)
        self.embedding_dim = network.configuration.embedding_dim
        self.train_steps, self.betas = train_steps, betas
        self.chunk = CHUNK

    def noise(self, noised: Tensor, step: Tensor) -> Tensor:
        rows = torch.cat([noised, step[:, None].to(noised)], dim=1).to(self.device)
        return batched(self._noise, rows, self.chunk)

    def _noise(self, rows: Tensor) -> Tensor:
        noise: Tensor = self.network(rows[:, :-1], rows[:, -1])
        return noise


def validate_options(custom: CustomModel, root: Path) -> dict[str, Any]:
    """Heads and schedule: the options, else those on the card beside the file, else the published ones."""
    configuration = read_training_configuration(root)
    tensors = read_tensors(_weights_path(root))
    heads = custom.options.get("heads", configuration.get("heads"))
    if heads is not None and not is_whole_number(heads, 1):
        raise LiminalError(f"The option heads is '{heads}'; it is a whole number, 12 in the published size.")
    betas = custom.options.get("betas", configuration.get("betas", COCOG_BETAS))
    if betas not in SCHEDULES:
        raise LiminalError(f"The option betas is '{betas}'; use one of {', '.join(SCHEDULES)}.")
    steps = custom.options.get("steps", configuration.get("train_steps", COCOG_TRAIN_STEPS))
    if not is_whole_number(steps, 2, 10_000):
        raise LiminalError(f"The option steps is '{steps}'; it is the length of the schedule in training, 1000 as published.")
    return {"heads": read_cocog(tensors, root, heads).configuration.heads, "betas": betas, "steps": steps}


def _weights_path(root: Path) -> Path:
    if not root.is_file():
        raise LiminalError(f"{root} is a folder; name the file with the prior's weights.")
    return root


def make_card(custom: CustomModel) -> ModelCard:
    """The card of an added prior."""
    return make_custom_card(
        custom,
        f"{custom.source}, {custom.options['steps']} steps of the schedule {custom.options['betas']}",
        not_for="it knows the embeddings that it was trained on alone",
    )


def load_custom(custom: CustomModel, device: torch.device) -> CocogPrior:
    """The prior with the weights that were added."""
    path = verify_source(custom)
    network = read_cocog(read_tensors(_weights_path(path)), path, custom.options["heads"])
    return CocogPrior(network, custom.options["steps"], custom.options["betas"], device, make_card(custom))
