"""SDXL-Turbo and IP-Adapter out of their files, strictly and without running anything in them, and placed where memory allows.

The pipeline is diffusers' ``StableDiffusionXLPipeline``. Its words are fixed, so that they are encoded once and the two text
encoders let go. IP-Adapter (Ye et al. 2023, arXiv:2308.06721) adds a projection of the image embedding to a few tokens and, in
every cross-attention, keys and values of its own for them.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from core.errors import LiminalError
from core.models.own.extras import needed
from core.models.own.pretrained import read_pretrained
from core.models.own.tensors import read_tensors

logger = logging.getLogger(__name__)

Offload = Literal["none", "model", "sequential"]

PARTS: Mapping[str, tuple[str, str]] = {
    "vae": ("diffusers", "AutoencoderKL"),
    "unet": ("diffusers", "UNet2DConditionModel"),
    "text_encoder": ("transformers", "CLIPTextModel"),
    "text_encoder_2": ("transformers", "CLIPTextModelWithProjection"),
    "tokenizer": ("transformers", "CLIPTokenizer"),
    "tokenizer_2": ("transformers", "CLIPTokenizer"),
}
"""What each folder of the pipeline holds; the scheduler may be any of diffusers'."""
HALF = ".fp16.safetensors"

ROOM = 1.2
"""A network takes so many times its weights while it runs ..."""
WORKING = 1_500_000_000
"""... and the pictures on their way so many bytes."""


@dataclass(frozen=True)
class Words:
    """A prompt as SDXL's two text encoders say it: (1, tokens, width) and (1, pooled width), float32 on the CPU."""

    tokens: Tensor
    pooled: Tensor


def pipeline_files(files: Sequence[str]) -> list[str]:
    """What is fetched of a repository: every part once, in half precision where it lies there so."""
    folders = (*PARTS, "scheduler")
    inside = [name for name in files if name.count("/") == 1 and name.split("/")[0] in folders]
    kept = [name for name in inside if name.endswith((".json", ".txt"))]
    for folder in folders:
        weights = [name for name in inside if name.startswith(f"{folder}/") and name.endswith(".safetensors")]
        half = [name for name in weights if name.endswith(HALF)]
        kept += half or weights
    return [*kept, *(name for name in files if name == "model_index.json")]


def check_parts(root: Path) -> None:
    """Raise LiminalError where the folder is no SDXL pipeline, or one of its networks has no safetensors weights."""
    try:
        index = json.loads((root / "model_index.json").read_text(encoding="utf-8"))
        named = {part: tuple(index[part]) for part in (*PARTS, "scheduler")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LiminalError(
            f"{root} holds no StableDiffusionXLPipeline of diffusers (model_index.json); name its folder."
        ) from error
    for part, expected in PARTS.items():
        if named[part] != expected:
            raise LiminalError(f"The part {part} of {root} is a {named[part][-1]}, not the {expected[1]} of SDXL; choose another.")
        if not part.startswith("tokenizer") and not any((root / part).glob("*.safetensors")):
            raise LiminalError(f"{root / part} holds no .safetensors weights, and pickles are never read; save it as safetensors.")


def read_pipeline(root: Path, prompt: str, dtype: torch.dtype) -> tuple[Any, Words]:
    """The pipeline without its text encoders, on the CPU, and what they said of the prompt.

    Raises LiminalError that names the first part or key that is wrong.
    """
    needed("transformers", "SDXL's text encoders")
    import diffusers
    import transformers

    check_parts(root)
    name = json.loads((root / "model_index.json").read_text(encoding="utf-8"))["scheduler"][1]
    scheduler_class = getattr(diffusers, str(name), None)
    if not (isinstance(scheduler_class, type) and issubclass(scheduler_class, diffusers.SchedulerMixin)):
        raise LiminalError(f"The scheduler of {root}, {name}, is none of diffusers'; choose another pipeline.")
    pipeline_class: Any = diffusers.StableDiffusionXLPipeline
    read_scheduler: Any = scheduler_class.from_pretrained
    loaded: dict[str, Any] = {"scheduler": read_scheduler(root / "scheduler", local_files_only=True)}
    for part, (library, class_name) in PARTS.items():
        half = any((root / part).glob(f"*{HALF}")) or any((root / part).glob("*.fp16-*.safetensors"))
        given: dict[str, Any] = {"use_safetensors": True, "variant": "fp16" if half else None}
        if library == "diffusers":
            network_class = getattr(diffusers, class_name)
            loaded[part] = read_pretrained(network_class, root / part, **given, torch_dtype=dtype, **_PLAIN)
        elif part.startswith("tokenizer"):
            try:
                loaded[part] = transformers.CLIPTokenizer.from_pretrained(root / part, local_files_only=True)
            except (OSError, ValueError, TypeError) as error:
                raise LiminalError(f"{root / part} holds no CLIP tokenizer; fetch the pipeline again.") from error
        else:
            loaded[part] = read_pretrained(getattr(transformers, class_name), root / part, **given)
    whole = pipeline_class(**loaded, add_watermarker=False)
    with torch.inference_mode():
        tokens, _, pooled, _ = whole.encode_prompt(prompt, device="cpu", do_classifier_free_guidance=False)
    without = dict.fromkeys(("text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2"))
    pipeline = pipeline_class(**(loaded | without), add_watermarker=False)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline, Words(tokens.clone(), pooled.clone())


_PLAIN: Mapping[str, Any] = {"dtype": None, "trust_remote_code": None}
"""Arguments of transformers that diffusers' networks do not take."""


def read_adapter(path: Path, unet: nn.Module) -> dict[str, dict[str, Tensor]]:
    """IP-Adapter's tensors for this network. Raises LiminalError that names the first key that is missing, wrong or unknown."""
    if path.suffix != ".safetensors":
        raise LiminalError(
            f"{path.name} is no .safetensors file, and pickles are never read; take the adapter's file of that ending, such as "
            "ip-adapter_sdxl_vit-h.safetensors."
        )
    tensors = read_tensors(path)
    wanted = adapter_shapes(unet)
    for key, shape in wanted.items():
        if key not in tensors:
            raise LiminalError(f"{path.name} lacks '{key}'; it is no IP-Adapter of this size (the plain one, for SDXL).")
        found = tuple(tensors[key].shape)
        if len(found) != len(shape) or any(need not in (None, has) for need, has in zip(shape, found, strict=True)):
            need = tuple("any" if each is None else each for each in shape)
            raise LiminalError(f"'{key}' in {path.name} has the shape {found}, this pipeline needs {need}; take SDXL's adapter.")
    extra = next((key for key in tensors if key not in wanted), None)
    if extra is not None:
        raise LiminalError(f"'{extra}' in {path.name} is unknown to the plain IP-Adapter; take ip-adapter_sdxl_vit-h.safetensors.")
    projection, attention = "image_proj.", "ip_adapter."
    return {
        "image_proj": {key.removeprefix(projection): each for key, each in tensors.items() if key.startswith(projection)},
        "ip_adapter": {key.removeprefix(attention): each for key, each in tensors.items() if key.startswith(attention)},
    }


def adapter_shapes(unet: Any) -> dict[str, tuple[int | None, ...]]:
    """Key -> shape of an adapter for this network; None: any size. Layers are numbered 1, 3, 5... over the cross-attentions."""
    context = int(unet.config.cross_attention_dim)
    shapes: dict[str, tuple[int | None, ...]] = {
        "image_proj.proj.weight": (None, None),
        "image_proj.proj.bias": (None,),
        "image_proj.norm.weight": (context,),
        "image_proj.norm.bias": (context,),
    }
    crossing = [name.removesuffix(".processor") for name in unet.attn_processors if not name.endswith("attn1.processor")]
    for place, name in enumerate(crossing):
        shape = tuple(unet.get_submodule(name).to_k.weight.shape)
        shapes |= {f"ip_adapter.{2 * place + 1}.{each}.weight": shape for each in ("to_k_ip", "to_v_ip")}
    return shapes


def put_in(pipeline: Any, adapter: dict[str, dict[str, Tensor]], strength: float) -> None:
    """Give the pipeline its adapter. It is told embeddings alone, so that it needs no image encoder of its own."""
    with _quietly():
        pipeline.load_ip_adapter(adapter, subfolder="", weight_name="", image_encoder_folder=None)
    pipeline.set_ip_adapter_scale(strength)


@contextmanager
def _quietly() -> Iterator[None]:
    """diffusers warns of the missing image encoder, which is meant, and of its own cast of the network."""
    from diffusers.utils import logging as told

    before = told.get_verbosity()
    told.set_verbosity_error()
    try:
        yield
    finally:
        told.set_verbosity(before)


def bytes_of(network: nn.Module) -> int:
    """Of its parameters."""
    return sum(each.numel() * each.element_size() for each in network.parameters())


def may_wait(device: torch.device) -> bool:
    """Whether networks can wait in main memory: where the device has a memory of its own."""
    return device.type == "cuda"


def choose_offload(free: int, parts: Sequence[int]) -> Offload:
    """What must wait in main memory, where ``free`` bytes are left on the device for networks of ``parts`` bytes."""
    if ROOM * sum(parts) + WORKING <= free:
        return "none"
    return "model" if ROOM * max(parts) + WORKING <= free else "sequential"


def place(pipeline: Any, device: torch.device, wanted: Literal["auto"] | Offload) -> Offload:
    """Put the pipeline on its device, or leave parts of it in main memory until they are needed -> which of these it was."""
    chosen: Offload = "none"
    if may_wait(device):
        parts = [bytes_of(pipeline.unet), bytes_of(pipeline.vae)]
        chosen = choose_offload(torch.cuda.mem_get_info(device)[0], parts) if wanted == "auto" else wanted
    pipeline.vae.enable_slicing()
    if chosen == "none":
        pipeline.to(device)
        return chosen
    needed("accelerate", "Networks that wait in main memory")
    pipeline.remove_all_hooks()
    logger.warning("Not enough memory on %s for the whole of SDXL; its parts wait in main memory (%s).", device, chosen)
    if chosen == "model":
        pipeline.enable_model_cpu_offload(device=device)
    else:
        pipeline.enable_sequential_cpu_offload(device=device)
    return chosen
