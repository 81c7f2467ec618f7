"""Paper B's second stage: an image embedding becomes a picture through SDXL-Turbo and IP-Adapter, as a model that a user adds.

It is a generator whose latents are embeddings: ``sample`` draws them from an added prior without guidance, ``decode`` makes the
picture, from prompt and embedding alone, in 1 to 4 steps without classifier-free guidance, as in the paper. A picture's noise is
drawn from a seed: one for all faces, so that two faces differ by their embeddings alone, or the embedding's own. The pipeline is
diffusers' ``StableDiffusionXLPipeline``, read strictly, without running anything in its files, and placed where memory allows. Its
prompt is fixed, so that it is encoded once and the two text encoders are released. IP-Adapter (Ye et al. 2023, arXiv:2308.06721)
adds a projection of the image embedding to a few tokens and, in every cross-attention, keys and values of its own.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from core.errors import Cancelled, LiminalError
from core.lazy_import import lazy_import
from core.models import registry, request_context
from core.models.builtin.prior import draw_embeddings
from core.models.contracts import Generator, ModelCard, Prior
from core.models.custom.catalogue import CustomModel
from core.models.custom.clip import choose_safetensors
from core.models.custom.loading import is_number, is_whole_number, make_custom_card, read_pretrained, read_tensors, require_library
from core.models.custom.sources import FetchedSource, added_weight_file, fetch_source, list_weight_files, verify_source
from core.models.device import PRECISIONS, find_precision, free_cached, ran_out_of_memory, run_in_chunks

if TYPE_CHECKING:
    import diffusers
    import diffusers.utils.logging as diffusers_logging
    import transformers
else:  # optional extras
    diffusers, transformers = lazy_import("diffusers"), lazy_import("transformers")
    diffusers_logging = lazy_import("diffusers.utils.logging")

logger = logging.getLogger(__name__)

Offload = Literal["none", "model", "sequential"]

PIPELINE_PARTS: Mapping[str, tuple[str, str]] = {
    "vae": ("diffusers", "AutoencoderKL"),
    "unet": ("diffusers", "UNet2DConditionModel"),
    "text_encoder": ("transformers", "CLIPTextModel"),
    "text_encoder_2": ("transformers", "CLIPTextModelWithProjection"),
    "tokenizer": ("transformers", "CLIPTokenizer"),
    "tokenizer_2": ("transformers", "CLIPTokenizer"),
}
"""What each folder of the pipeline holds; the scheduler may be any of diffusers'."""
HALF_PRECISION_SUFFIX = ".fp16.safetensors"

MEMORY_FACTOR = 1.2
"""A network takes so many times the bytes of its weights while it runs ..."""
WORKING_BYTES = 1_500_000_000
"""... and its activations so many bytes."""


@dataclass(frozen=True)
class PromptEmbeddings:
    """A prompt's embeddings by SDXL's two text encoders: (1, tokens, width) and (1, pooled width), float32 on the CPU."""

    tokens: Tensor
    pooled: Tensor


def choose_pipeline_files(files: Sequence[str]) -> list[str]:
    """The files to fetch of a repository: every part once, in half precision where there is such a file."""
    folders = (*PIPELINE_PARTS, "scheduler")
    inside = [name for name in files if name.count("/") == 1 and name.split("/")[0] in folders]
    chosen = [name for name in inside if name.endswith((".json", ".txt"))]
    for folder in folders:
        weights = [name for name in inside if name.startswith(f"{folder}/") and name.endswith(".safetensors")]
        half = [name for name in weights if name.endswith(HALF_PRECISION_SUFFIX)]
        chosen += half or weights
    return [*chosen, *(name for name in files if name == "model_index.json")]


def check_parts(root: Path) -> None:
    """Raise LiminalError where the folder is no SDXL pipeline, or one of its networks has no safetensors weights."""
    try:
        index = json.loads((root / "model_index.json").read_text(encoding="utf-8"))
        named = {part: tuple(index[part]) for part in (*PIPELINE_PARTS, "scheduler")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LiminalError(
            f"{root} holds no StableDiffusionXLPipeline of diffusers (model_index.json); name its folder."
        ) from error
    for part, expected in PIPELINE_PARTS.items():
        if named[part] != expected:
            raise LiminalError(f"The part {part} of {root} is a {named[part][-1]}, not the {expected[1]} of SDXL; choose another.")
        if not part.startswith("tokenizer") and not any((root / part).glob("*.safetensors")):
            raise LiminalError(f"{root / part} holds no .safetensors weights, and pickles are never read; save it as safetensors.")


def read_pipeline(root: Path, prompt: str, dtype: torch.dtype) -> tuple[Any, PromptEmbeddings]:
    """The pipeline without its text encoders, on the CPU, and their embeddings of the prompt.

    Raises LiminalError that names the first part or key that is wrong.
    """
    require_library("transformers", "SDXL's text encoders")
    check_parts(root)
    name = json.loads((root / "model_index.json").read_text(encoding="utf-8"))["scheduler"][1]
    scheduler_class = getattr(diffusers, str(name), None)
    if not (isinstance(scheduler_class, type) and issubclass(scheduler_class, diffusers.SchedulerMixin)):
        raise LiminalError(f"The scheduler of {root}, {name}, is none of diffusers'; choose another pipeline.")
    pipeline_class: Any = diffusers.StableDiffusionXLPipeline
    read_scheduler: Any = scheduler_class.from_pretrained
    loaded: dict[str, Any] = {"scheduler": read_scheduler(root / "scheduler", local_files_only=True)}
    for part, (library, class_name) in PIPELINE_PARTS.items():
        half = any((root / part).glob(f"*{HALF_PRECISION_SUFFIX}")) or any((root / part).glob("*.fp16-*.safetensors"))
        keywords: dict[str, Any] = {"use_safetensors": True, "variant": "fp16" if half else None}
        if library == "diffusers":
            network_class = getattr(diffusers, class_name)
            loaded[part] = read_pretrained(network_class, root / part, **keywords, torch_dtype=dtype, **_DIFFUSERS_ARGUMENTS)
        elif part.startswith("tokenizer"):
            try:
                loaded[part] = transformers.CLIPTokenizer.from_pretrained(root / part, local_files_only=True)
            except (OSError, ValueError, TypeError) as error:
                raise LiminalError(f"{root / part} holds no CLIP tokenizer; fetch the pipeline again.") from error
        else:
            loaded[part] = read_pretrained(getattr(transformers, class_name), root / part, **keywords)
    whole = pipeline_class(**loaded, add_watermarker=False)
    with torch.inference_mode():
        tokens, _, pooled, _ = whole.encode_prompt(prompt, device="cpu", do_classifier_free_guidance=False)
    without = dict.fromkeys(("text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2"))
    pipeline = pipeline_class(**(loaded | without), add_watermarker=False)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline, PromptEmbeddings(tokens.clone(), pooled.clone())


_DIFFUSERS_ARGUMENTS: Mapping[str, Any] = {"dtype": None, "trust_remote_code": None}
"""Arguments of transformers that diffusers' networks do not take."""


def read_adapter(path: Path, unet: nn.Module) -> dict[str, dict[str, Tensor]]:
    """IP-Adapter's tensors for this network. Raises LiminalError that names the first key that is missing, wrong or unknown."""
    if path.suffix != ".safetensors":
        raise LiminalError(
            f"{path.name} is no .safetensors file, and pickles are never read; take the adapter's file of that ending, such as "
            "ip-adapter_sdxl_vit-h.safetensors."
        )
    tensors = read_tensors(path)
    shapes = list_adapter_shapes(unet)
    for key, shape in shapes.items():
        if key not in tensors:
            raise LiminalError(f"{path.name} lacks '{key}'; it is no IP-Adapter of this size (the plain one, for SDXL).")
        actual = tuple(tensors[key].shape)
        if len(actual) != len(shape) or any(need not in (None, has) for need, has in zip(shape, actual, strict=True)):
            need = tuple("any" if size is None else size for size in shape)
            raise LiminalError(f"'{key}' in {path.name} has the shape {actual}, this pipeline needs {need}; take SDXL's adapter.")
    extra = next((key for key in tensors if key not in shapes), None)
    if extra is not None:
        raise LiminalError(f"'{extra}' in {path.name} is unknown to the plain IP-Adapter; take ip-adapter_sdxl_vit-h.safetensors.")
    projection, attention = "image_proj.", "ip_adapter."
    return {
        "image_proj": {key.removeprefix(projection): size for key, size in tensors.items() if key.startswith(projection)},
        "ip_adapter": {key.removeprefix(attention): size for key, size in tensors.items() if key.startswith(attention)},
    }


def list_adapter_shapes(unet: Any) -> dict[str, tuple[int | None, ...]]:
    """Key -> shape of an adapter for this network; None: any size. Layers are numbered 1, 3, 5... over the cross-attentions."""
    context = int(unet.config.cross_attention_dim)
    shapes: dict[str, tuple[int | None, ...]] = {
        "image_proj.proj.weight": (None, None),
        "image_proj.proj.bias": (None,),
        "image_proj.norm.weight": (context,),
        "image_proj.norm.bias": (context,),
    }
    crossing = [name.removesuffix(".processor") for name in unet.attn_processors if not name.endswith("attn1.processor")]
    for index, name in enumerate(crossing):
        shape = tuple(unet.get_submodule(name).to_k.weight.shape)
        shapes |= {f"ip_adapter.{2 * index + 1}.{projection}.weight": shape for projection in ("to_k_ip", "to_v_ip")}
    return shapes


def attach_adapter(pipeline: Any, adapter: dict[str, dict[str, Tensor]], strength: float) -> None:
    """Give the pipeline its adapter. It receives embeddings, so that it needs no image encoder."""
    with _quiet_diffusers():
        pipeline.load_ip_adapter(adapter, subfolder="", weight_name="", image_encoder_folder=None)
    pipeline.set_ip_adapter_scale(strength)


@contextmanager
def _quiet_diffusers() -> Iterator[None]:
    """Silence diffusers' warnings of the missing image encoder, which is intended, and of its own cast of the network."""
    before = diffusers_logging.get_verbosity()
    diffusers_logging.set_verbosity_error()
    try:
        yield
    finally:
        diffusers_logging.set_verbosity(before)


def count_parameter_bytes(network: nn.Module) -> int:
    """Bytes of the network's parameters."""
    return sum(parameter.numel() * parameter.element_size() for parameter in network.parameters())


def can_offload(device: torch.device) -> bool:
    """Whether networks can wait in main memory: where the device has a memory of its own."""
    return device.type == "cuda"


def choose_offload(free: int, parts: Sequence[int]) -> Offload:
    """Which parts must wait in main memory, where ``free`` bytes are left on the device for networks of ``parts`` bytes."""
    if MEMORY_FACTOR * sum(parts) + WORKING_BYTES <= free:
        return "none"
    return "model" if MEMORY_FACTOR * max(parts) + WORKING_BYTES <= free else "sequential"


def place_pipeline(pipeline: Any, device: torch.device, offload: Literal["auto"] | Offload) -> Offload:
    """Put the pipeline on its device, or leave parts of it in main memory until they are needed -> the choice."""
    chosen: Offload = "none"
    if can_offload(device):
        parts = [count_parameter_bytes(pipeline.unet), count_parameter_bytes(pipeline.vae)]
        chosen = choose_offload(torch.cuda.mem_get_info(device)[0], parts) if offload == "auto" else offload
    pipeline.vae.enable_slicing()
    if chosen == "none":
        pipeline.to(device)
        return chosen
    require_library("accelerate", "Networks that wait in main memory")
    pipeline.remove_all_hooks()
    logger.warning("Not enough memory on %s for the whole of SDXL; its parts wait in main memory (%s).", device, chosen)
    if chosen == "model":
        pipeline.enable_model_cpu_offload(device=device)
    else:
        pipeline.enable_sequential_cpu_offload(device=device)
    return chosen


NoiseSeed = int | Literal["own"]

DEFAULT_PROMPT = "a photo of the face of a person, looking at the camera"
DEFAULT_OPTIONS: dict[str, Any] = {
    "prompt": DEFAULT_PROMPT,
    "steps": 1,
    "strength": 1.0,
    "noise": 0,
    "precision": "auto",
    "offload": "auto",
    "classifier": None,
}
MAX_STEPS = 4
"""SDXL-Turbo was distilled to 1 to 4 steps (Sauer et al. 2023, arXiv:2311.17042)."""
CANCEL_CHECK_SECONDS = 0.1
"""Seconds between two checks of whether a visitor who waits for the pipeline has left."""
NEXT_OFFLOAD: dict[Offload, Offload] = {"none": "model", "model": "sequential"}
"""The next choice where memory ran out."""


class SDXLGenerator(Generator):
    """Latents are embeddings (N, embedding_dim) as the encoder gives them. Pictures are made one at a time."""

    differentiable: ClassVar[bool] = False

    def __init__(
        self,
        pipeline: Any,
        words: PromptEmbeddings,
        prior: Prior,
        *,
        options: dict[str, Any],
        device: torch.device,
        card: ModelCard,
    ) -> None:
        self.card, self.device, self.prior = card, device, prior
        self.pipeline, self.words = pipeline, words
        self.noise: NoiseSeed = options["noise"]
        self.steps: int = options["steps"]
        self.latent_dim = prior.embedding_dim
        self.image_size = int(pipeline.unet.config.sample_size) * int(pipeline.vae_scale_factor)
        self.offload: Offload = place_pipeline(pipeline, device, options["offload"])
        self._one_at_a_time = threading.Lock()  # the scheduler keeps its place in the pipeline

    def sample(self, seeds: Sequence[int]) -> Tensor:
        """One embedding a seed, drawn from the prior without guidance -> (N, embedding_dim) on the CPU."""
        return draw_embeddings(self.prior, seeds)

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
        rows = embeddings.to(self.device)  # run_in_chunks looks at their device where memory runs out
        pictures = [run_in_chunks(partial(self._one, seed=seed), row[None], 1) for row, seed in zip(rows, seeds, strict=True)]
        empty = torch.empty(0, 3, self.image_size, self.image_size, device=self.device)
        return torch.cat(pictures) if pictures else empty

    def _one(self, embedding: Tensor, seed: int) -> Tensor:
        with self._alone(), torch.inference_mode():
            while True:
                try:
                    return self._run(embedding, seed)
                except (torch.OutOfMemoryError, RuntimeError) as error:
                    if not (ran_out_of_memory(error) and can_offload(self.device) and self.offload in NEXT_OFFLOAD):
                        raise
                free_cached(self.device)
                self.offload = place_pipeline(self.pipeline, self.device, NEXT_OFFLOAD[self.offload])

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the pipeline for one picture. Raises Cancelled where the visitor has left, also while others' pictures are made."""
        left = request_context.current_context().cancel
        while not self._one_at_a_time.acquire(timeout=CANCEL_CHECK_SECONDS):
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
        raw = self.pipeline(
            prompt_embeds=self.words.tokens.to(self.device, dtype),
            pooled_prompt_embeds=self.words.pooled.to(self.device, dtype),
            ip_adapter_image_embeds=[embedding[:, None].to(dtype)],  # (1, pictures, E)
            num_inference_steps=self.steps,
            guidance_scale=0.0,
            generator=torch.Generator().manual_seed(seed),
            output_type="pt",
        ).images
        if not bool(torch.isfinite(raw).all()):
            raise LiminalError(
                f"{self.name} made a picture of values that are not finite in {dtype}; add it again with precision=float32."
            )
        pictures: Tensor = raw.float().clamp(0, 1).to(self.device)
        return pictures


def find_source(source: str) -> FetchedSource:
    """The pipeline's folder, fetched where it is not on this machine."""
    return fetch_source(source, choose_pipeline_files)


def validate_options(custom: CustomModel, root: Path) -> dict[str, Any]:
    """All options with their defaults, the adapter as a path with its hash. Raises LiminalError for the first that is wrong."""
    options = DEFAULT_OPTIONS | dict(custom.options)
    for name in ("adapter", "prior"):
        if not options.get(name):
            example = "ip-adapter_sdxl_vit-h.safetensors" if name == "adapter" else "the name of an added uvit-prior"
            raise LiminalError(f"The option {name} is needed, such as {name}={example}.")
    steps, strength, noise = options["steps"], options["strength"], options["noise"]
    if not is_whole_number(steps, 1, MAX_STEPS):
        raise LiminalError(f"The option steps is '{steps}'; SDXL-Turbo takes 1 to {MAX_STEPS}.")
    if not is_number(strength) or not 0 <= strength <= 1:
        raise LiminalError(f"The option strength is '{strength}'; it goes from 0 to 1.")
    if noise != "own" and not is_whole_number(noise, 0, 2**63 - 1):
        raise LiminalError(f"The option noise is '{noise}'; it is a whole number, or own.")
    if not isinstance(options["prompt"], str):
        raise LiminalError(f"The option prompt is '{options['prompt']}'; it is words.")
    allowed: dict[str, tuple[str, ...]] = {
        "precision": ("auto", *PRECISIONS),
        "offload": ("auto", *get_args(Offload)),
    }
    for name, choices in allowed.items():
        if options[name] not in choices:
            raise LiminalError(f"The option {name} is '{options[name]}'; use one of {', '.join(choices)}.")
    registry.find_entry(str(options["prior"]), "prior")
    if options["classifier"] is not None:
        judge = registry.find_entry(str(options["classifier"]), "classifier")
        if judge.custom is None or judge.custom.model_class != "clip-mlp":
            raise LiminalError(f"The option classifier names {judge.name}, which does not read embeddings; name an added clip-mlp.")
    adapter = fetch_source(str(options["adapter"]), choose_safetensors)
    if not adapter.root.is_file():
        raise LiminalError(f"{adapter.root} is a folder; name IP-Adapter's file in it.")
    return {**options, "adapter": str(adapter.root), "adapter_sha256": next(iter(adapter.files.values()))}


def make_card(custom: CustomModel) -> ModelCard:
    """The card of an added pipeline; its adapter is one of its files."""
    adapter = Path(custom.options["adapter"])
    return make_custom_card(
        custom,
        f"{custom.source} (diffusers) with {adapter.name}, {custom.options['steps']} steps",
        not_for="pictures of real people, as its training pictures were taken from the internet",
        files=(*list_weight_files(custom), added_weight_file(custom, adapter, custom.options["adapter_sha256"])),
    )


def load_custom(custom: CustomModel, device: torch.device) -> SDXLGenerator:
    """The pipeline with its adapter and its prior. Raises LiminalError where they do not fit together."""
    described = make_card(custom)
    root = verify_source(custom)
    adapter_path = described.files[-1].verified()
    options = dict(custom.options)
    dtype = find_precision(options["precision"], device)
    prior = registry.load(options["prior"], "prior", str(device))
    pipeline, words = read_pipeline(root, options["prompt"], dtype)
    adapter = read_adapter(adapter_path, pipeline.unet)
    reads = adapter["image_proj"]["proj.weight"].shape[1]
    if reads != prior.embedding_dim:
        raise LiminalError(
            f"{adapter_path.name} reads embeddings of {reads} values, but {prior.name} makes them of {prior.embedding_dim}."
        )
    attach_adapter(pipeline, adapter, float(options["strength"]))
    return SDXLGenerator(pipeline, words, prior, options=options, device=device, card=described)
