"""Paper B's second stage: an image embedding becomes a picture through SDXL-Turbo and IP-Adapter, as a model that a user adds.

It is a generator whose latents are embeddings: ``sample`` draws them from an added prior without guidance, ``decode`` makes the
picture, from words and embedding alone, in 1 to 4 steps without classifier-free guidance, as in the paper. A picture's noise is
drawn from a seed: one for all faces, so that two faces differ by their embeddings alone, or the embedding's own.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor

from core.errors import Cancelled, LiminalError
from core.models import registry, visits
from core.models.chunks import in_chunks
from core.models.clip_encoder import safe_files
from core.models.contracts import Generator, ModelCard, Prior
from core.models.device import PRECISIONS, free_cached, picture_precision, ran_out_of_memory
from core.models.noising import drawn
from core.models.own.card import added_card
from core.models.own.listing import OwnModel
from core.models.own.options import is_number, is_whole
from core.models.own.sources import Fetched, added_file, fetch, verified, weight_files
from core.models.sdxl_pipeline import Offload, Words, may_wait, pipeline_files, place, put_in, read_adapter, read_pipeline

Noise = int | Literal["own"]

PROMPT = "a photo of the face of a person, looking at the camera"
DEFAULTS: dict[str, Any] = {
    "prompt": PROMPT,
    "steps": 1,
    "strength": 1.0,
    "noise": 0,
    "precision": "auto",
    "offload": "auto",
    "classifier": None,
}
MOST_STEPS = 4
"""SDXL-Turbo was distilled to 1 to 4 steps (Sauer et al. 2023, arXiv:2311.17042)."""
LOOK_SECONDS = 0.1
"""Between two looks at whether a visitor who waits for the pipeline has left."""
NEXT: dict[Offload, Offload] = {"none": "model", "model": "sequential"}
"""What is tried where memory ran out."""


class SDXLGenerator(Generator):
    """Latents are embeddings (N, embedding_dim) as the encoder gives them. Pictures are made one at a time."""

    differentiable: ClassVar[bool] = False

    def __init__(
        self, pipeline: Any, words: Words, prior: Prior, *, options: dict[str, Any], device: torch.device, card: ModelCard
    ) -> None:
        self.card, self.device, self.prior = card, device, prior
        self.pipeline, self.words = pipeline, words
        self.noise: Noise = options["noise"]
        self.steps: int = options["steps"]
        self.latent_dim = prior.embedding_dim
        self.image_size = int(pipeline.unet.config.sample_size) * int(pipeline.vae_scale_factor)
        self.offload: Offload = place(pipeline, device, options["offload"])
        self._one_at_a_time = threading.Lock()  # the scheduler keeps its place in the pipeline

    def sample(self, seeds: Sequence[int]) -> Tensor:
        """One embedding a seed, drawn from the prior without guidance -> (N, embedding_dim) on the CPU."""
        return drawn(self.prior, seeds)

    def decode(self, latents: Tensor) -> Tensor:
        """(N, embedding_dim) -> (N, 3, image_size, image_size) in [0, 1], without gradient."""
        rows = latents.detach().cpu().float()
        return self.images(rows, [self.noise_seed(row) for row in rows])

    def noise_seed(self, embedding: Tensor) -> int:
        """The seed of the noise that this embedding's picture begins with."""
        if self.noise != "own":
            return self.noise
        return int.from_bytes(hashlib.sha256(embedding.numpy().tobytes()).digest()[:7])

    def images(self, embeddings: Tensor, seeds: Sequence[int]) -> Tensor:
        """(N, embedding_dim) and the seed of each one's noise -> (N, 3, image_size, image_size) in [0, 1]."""
        rows = embeddings.to(self.device)  # where memory runs out, it is this device's
        made = [in_chunks(partial(self._one, seed=seed), row[None], 1) for row, seed in zip(rows, seeds, strict=True)]
        empty = torch.empty(0, 3, self.image_size, self.image_size, device=self.device)
        return torch.cat(made) if made else empty

    def _one(self, embedding: Tensor, seed: int) -> Tensor:
        with self._alone(), torch.inference_mode():
            while True:
                try:
                    return self._run(embedding, seed)
                except (torch.OutOfMemoryError, RuntimeError) as error:
                    if not (ran_out_of_memory(error) and may_wait(self.device) and self.offload in NEXT):
                        raise
                free_cached(self.device)
                self.offload = place(self.pipeline, self.device, NEXT[self.offload])

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """The pipeline for one picture. Raises Cancelled where the visitor has left, also while others' pictures are made."""
        left = visits.current().cancel
        while not self._one_at_a_time.acquire(timeout=LOOK_SECONDS):
            if left.is_set():
                raise Cancelled
        try:
            if left.is_set():
                raise Cancelled
            yield
        finally:
            self._one_at_a_time.release()

    def _run(self, embedding: Tensor, seed: int) -> Tensor:
        dtype = self.pipeline.unet.dtype
        made = self.pipeline(
            prompt_embeds=self.words.tokens.to(self.device, dtype),
            pooled_prompt_embeds=self.words.pooled.to(self.device, dtype),
            ip_adapter_image_embeds=[embedding[:, None].to(dtype)],  # (1, pictures, E)
            num_inference_steps=self.steps,
            guidance_scale=0.0,
            generator=torch.Generator().manual_seed(seed),
            output_type="pt",
        ).images
        if not bool(torch.isfinite(made).all()):
            raise LiminalError(
                f"{self.name} made a picture of values that are not finite in {dtype}; add it again with precision=float32."
            )
        pictures: Tensor = made.float().clamp(0, 1).to(self.device)
        return pictures


def find(source: str) -> Fetched:
    """The pipeline's folder, fetched where it is not on this machine."""
    return fetch(source, pipeline_files)


def settle(own: OwnModel, root: Path) -> dict[str, Any]:
    """All options with their defaults, the adapter as a path with its hash. Raises LiminalError for the first that is wrong."""
    options = DEFAULTS | dict(own.options)
    for name in ("adapter", "prior"):
        if not options.get(name):
            example = "ip-adapter_sdxl_vit-h.safetensors" if name == "adapter" else "the name of an added uvit-prior"
            raise LiminalError(f"The option {name} is needed, such as {name}={example}.")
    steps, strength, noise = options["steps"], options["strength"], options["noise"]
    if not is_whole(steps, 1, MOST_STEPS):
        raise LiminalError(f"The option steps is '{steps}'; SDXL-Turbo takes 1 to {MOST_STEPS}.")
    if not is_number(strength) or not 0 <= strength <= 1:
        raise LiminalError(f"The option strength is '{strength}'; it goes from 0 to 1.")
    if noise != "own" and not is_whole(noise, 0, 2**63 - 1):
        raise LiminalError(f"The option noise is '{noise}'; it is a whole number, or own.")
    if not isinstance(options["prompt"], str):
        raise LiminalError(f"The option prompt is '{options['prompt']}'; it is words.")
    known: dict[str, tuple[str, ...]] = {
        "precision": ("auto", *PRECISIONS),
        "offload": ("auto", *get_args(Offload)),
    }
    for name, choices in known.items():
        if options[name] not in choices:
            raise LiminalError(f"The option {name} is '{options[name]}'; use one of {', '.join(choices)}.")
    registry.entry(str(options["prior"]), "prior")
    if options["classifier"] is not None:
        judge = registry.entry(str(options["classifier"]), "classifier")
        if judge.own is None or judge.own.model_class != "clip-mlp":
            raise LiminalError(f"The option classifier names {judge.name}, which does not read embeddings; name an added clip-mlp.")
    adapter = fetch(str(options["adapter"]), safe_files)
    if not adapter.root.is_file():
        raise LiminalError(f"{adapter.root} is a folder; name IP-Adapter's file in it.")
    return {**options, "adapter": str(adapter.root), "adapter_sha256": next(iter(adapter.files.values()))}


def card(own: OwnModel) -> ModelCard:
    """The card of an added pipeline; its adapter is one of its files."""
    adapter = Path(own.options["adapter"])
    return added_card(
        own,
        f"{own.source} (diffusers) with {adapter.name}, {own.options['steps']} steps",
        not_for="pictures of real people, as its training pictures were taken from the internet",
        files=(*weight_files(own), added_file(own, adapter, own.options["adapter_sha256"])),
    )


def load_own(own: OwnModel, device: torch.device) -> SDXLGenerator:
    """The pipeline with its adapter and its prior. Raises LiminalError where they do not fit together."""
    described = card(own)
    root = verified(own)
    adapter_path = described.files[-1].verified()
    options = dict(own.options)
    dtype = PRECISIONS.get(options["precision"], picture_precision(device))
    prior = registry.load(options["prior"], "prior", str(device))
    pipeline, words = read_pipeline(root, options["prompt"], dtype)
    adapter = read_adapter(adapter_path, pipeline.unet)
    reads = adapter["image_proj"]["proj.weight"].shape[1]
    if reads != prior.embedding_dim:
        raise LiminalError(
            f"{adapter_path.name} reads embeddings of {reads} values, but {prior.name} makes them of {prior.embedding_dim}."
        )
    put_in(pipeline, adapter, float(options["strength"]))
    return SDXLGenerator(pipeline, words, prior, options=options, device=device, card=described)
