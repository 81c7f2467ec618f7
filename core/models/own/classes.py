"""The classes of model that can be added: which kind each is, which module runs it, and what its source looks like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from core.errors import LiminalError

if TYPE_CHECKING:
    from core.models.contracts import Kind


@dataclass(frozen=True)
class ModelClass:
    """The module holds ``card(own) -> ModelCard`` and ``load_own(own, device) -> model``; where there are options,
    ``settle(own, root) -> options`` checks them and fills in what is guessed from the weights."""

    kind: Kind
    module: str
    title: str
    source: str  # what is to be named, in plain words
    options: Mapping[str, str] = field(default_factory=dict)  # name -> meaning


CHECKPOINT_OPTIONS = {
    "order": "data set whose class numbers the outputs follow: affectnet-8, affectnet-7, raf-db or resemotenet",
    "labels": "which output means which emotion, where that is wrong: emotion -> number or label",
}

CLASSES: Mapping[str, ModelClass] = {
    "stylegan2": ModelClass(
        "generator",
        "core.models.stylegan2",
        "StyleGAN2 face generator",
        "a .safetensors or .pt file with the G_ema weights",
        {
            "space": "z, or w for the mapped latents",
            "truncation": "1 for all faces, 0.7 for more usual ones",
            "noise": "const, none, or a whole number that draws it anew",
            "clamp": "limit of the activations, 256 in the official training; null for none",
            "label": "the class, for networks that were trained with classes",
            "precision": "of the highest four resolutions: auto (the device's), float16, bfloat16 or float32",
        },
    ),
    "hf-classifier": ModelClass(
        "classifier",
        "core.models.hf_classifier",
        "Hugging Face emotion classifier",
        "a folder of transformers' save_pretrained, or a hub repository",
        {"labels": "which output means which emotion, where the guess is wrong: emotion -> number or label"},
    ),
    "dan": ModelClass(
        "classifier",
        "core.models.dan",
        "DAN emotion classifier",
        "a .pth or .safetensors checkpoint of DAN's authors",
        CHECKPOINT_OPTIONS,
    ),
    "resemotenet": ModelClass(
        "classifier",
        "core.models.resemotenet",
        "ResEmoteNet emotion classifier",
        "a .pth or .safetensors checkpoint of ResEmoteNet's authors",
        CHECKPOINT_OPTIONS,
    ),
    "clip-encoder": ModelClass(
        "encoder",
        "core.models.clip_encoder",
        "CLIP image encoder",
        "a folder of a CLIPVisionModelWithProjection, or one in a hub repository, such as h94/IP-Adapter/models/image_encoder",
    ),
    "uvit-prior": ModelClass(
        "prior",
        "core.models.cocog_prior",
        "U-ViT diffusion prior",
        "a .safetensors or .pt file: a checkpoint of CoCoG-2, or what 'python -m core train uvit-prior' wrote",
        {
            "heads": "attention heads, 12 in the published size",
            "betas": "schedule of the noise in training: linear as published, scaled_linear or squaredcos_cap_v2",
            "steps": "length of that schedule, 1000 as published",
        },
    ),
    "clip-mlp": ModelClass(
        "classifier",
        "core.models.clip_mlp",
        "Emotion MLP on embeddings",
        "the .safetensors file that 'python -m core train clip-mlp' wrote",
        {"encoder": "name of the encoder whose embeddings it reads; it must have been added before"},
    ),
    "sdxl-ip-adapter": ModelClass(
        "generator",
        "core.models.sdxl_decoder",
        "SDXL-Turbo with IP-Adapter",
        "a folder of a StableDiffusionXLPipeline in safetensors, or a hub repository, such as stabilityai/sdxl-turbo",
        {
            "adapter": "IP-Adapter's .safetensors file, or its name on the hub (needed)",
            "prior": "name of the added prior that draws its faces (needed)",
            "classifier": "name of the added clip-mlp that guides and judges between two emotions",
            "prompt": "words beside the embedding",
            "steps": "denoising steps, 1 to 4",
            "strength": "how much the embedding counts beside the prompt, 0 to 1",
            "noise": "a whole number: the same noise for all faces; own: every embedding's own",
            "precision": "auto, float16, bfloat16 or float32",
            "offload": "auto, none, model or sequential: what waits in main memory when the device's is short",
        },
    ),
    "onnx-recogniser": ModelClass(
        "recogniser",
        "core.models.onnx_recogniser",
        "ONNX face recogniser",
        "a JSON file that describes an .onnx file beside it",
    ),
    "deepface": ModelClass(
        "recogniser",
        "core.models.deepface_recogniser",
        "DeepFace recogniser",
        "the name of a network of DeepFace: VGG-Face, Facenet512, OpenFace, Facenet or ArcFace",
    ),
}


def model_class(name: str) -> ModelClass:
    """The class of that name. Raises LiminalError with those there are."""
    if name not in CLASSES:
        raise LiminalError(f"There is no class of models called '{name}'; there are {', '.join(CLASSES)}.")
    return CLASSES[name]
