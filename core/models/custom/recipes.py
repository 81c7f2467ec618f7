"""Models and stacks of models by name, for ``python -m core models get``: where they come from, under which licences, for what.

``paper-a`` and ``paper-b`` are the papers' own stacks; the others are single networks that are current. Addresses were looked up,
but nothing of these files is kept or hashed here: what is fetched is loaded and checked like any model that a user adds. Imports no
torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.errors import LiminalError


@dataclass(frozen=True)
class Download:
    """A file at an https address, or files of a hub repository: owner/name, or a folder or file in it.

    choice: of a repository, the function that chooses the files, as ``find_code`` finds it.
    """

    address: str
    choice: str = "core.models.custom.sources:choose_usual_files"


@dataclass(frozen=True)
class RecipeModel:
    """A model to be added, and what it needs.

    source: of a class that fetches it itself; "" where a file is got or given. given: the option that names the user's own file.
    trained: the option that names the pictures that it is trained on here. description: of the JSON file beside an ONNX file.
    """

    name: str
    model_class: str
    title: str
    weights_licence: str
    data_licence: str
    source: str = ""
    given: str = ""
    trained: str = ""
    downloads: tuple[Download, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    description: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Recipe:
    """What ``models get`` offers under a name. plan: of the paper's data set (``core.sampling.datasets.plan``), else empty."""

    name: str
    about: str
    models: tuple[RecipeModel, ...]
    libraries: Sequence[tuple[str, str]] = ()  # library, and what needs it
    plan: str = ""


NOT_COMMERCIAL = "non-commercial research"
WEB_FACES = "web-collected face photographs; consent of the people shown is not documented"
DEEPFACE_ADDRESS = "https://github.com/serengil/deepface_models/releases/download/v1.0/"
EMOTIEFF_ADDRESS = "https://raw.githubusercontent.com/sb-ai-lab/EmotiEffLib/520a051c64cd191521e5934655314e769a319684/models/affectnet_emotions/onnx/"
GIVEN_EXAMPLES: Mapping[str, str] = {
    "stylegan2": "NVIDIA's stylegan2-ffhq-1024x1024.pkl, as a file or an https address (NVIDIA's catalogue, NGC, offers it under "
    "research/stylegan2)",
    "prior": "a checkpoint of CoCoG-2's prior (..._ema.pt), as a file or an https address, or what 'python -m core train "
    "uvit-prior' wrote",
    "images": "the unpacked folder of RAF-DB, which its authors give to researchers who ask, or a folder with a folder for every "
    "class",
}
"""Options of ``models get`` that name something of the user's, and what that is."""


def _deepface(name: str, network: str, file: str, licence: str) -> RecipeModel:
    return RecipeModel(
        name,
        "deepface",
        f"{network} (DeepFace)",
        licence,
        WEB_FACES,
        source=network,
        downloads=(Download(DEEPFACE_ADDRESS + file),),
    )


PAPER_A = Recipe(
    "paper-a",
    "paper A's stack: faces by StyleGAN2 (FFHQ), judged by dlib, VGG-Face, Facenet512 and OpenFace",
    (
        RecipeModel(
            "ffhq",
            "stylegan2",
            "StyleGAN2 (FFHQ)",
            f"NVIDIA Source Code License: {NOT_COMMERCIAL}",
            "FFHQ, CC BY-NC-SA 4.0",
            given="stylegan2",
        ),
        _deepface("vggface", "VGG-Face", "vgg_face_weights.h5", f"VGG group: {NOT_COMMERCIAL}"),
        _deepface("facenet512", "Facenet512", "facenet512_weights.h5", "MIT"),
        _deepface("openface", "OpenFace", "openface_weights.h5", "Apache 2.0"),
    ),
    libraries=(("deepface", "DeepFace recognisers"),),
    plan="""title = "Paper A: 10 batches of 112 pairs"
generator = "ffhq"

[identity]
batches = 10
recogniser = "dlib"
judges = ["dlib", "vggface", "facenet512", "openface"]
strategy = "cmaes"
""",
)

ADAPTER = "h94/IP-Adapter/sdxl_models/ip-adapter_sdxl_vit-h.safetensors"
CHOOSE_SAFETENSORS = "core.models.custom.clip:choose_safetensors"

PAPER_B = Recipe(
    "paper-b",
    "paper B's stack: embeddings by CLIP ViT-H, CoCoG-2's prior, an MLP trained on your RAF-DB, pictures by SDXL-Turbo",
    (
        RecipeModel(
            "clip",
            "clip-encoder",
            "CLIP ViT-H of IP-Adapter",
            "Apache 2.0",
            "LAION-2B, pictures from the web",
            source="h94/IP-Adapter/models/image_encoder",
            downloads=(Download("h94/IP-Adapter/models/image_encoder", CHOOSE_SAFETENSORS),),
        ),
        RecipeModel(
            "cocog",
            "uvit-prior",
            "Diffusion prior over CLIP embeddings",
            "as its authors say",
            "as its authors say",
            given="prior",
        ),
        RecipeModel(
            "feelings",
            "clip-mlp",
            "Emotion MLP on CLIP embeddings",
            "yours",
            f"RAF-DB: {NOT_COMMERCIAL}",
            trained="images",
            options={"encoder": "clip"},
        ),
        RecipeModel(
            "turbo",
            "sdxl-ip-adapter",
            "SDXL-Turbo with IP-Adapter",
            "Stability AI non-commercial community licence (SDXL-Turbo), Apache 2.0 (IP-Adapter)",
            "pictures from the web",
            source="stabilityai/sdxl-turbo",
            downloads=(
                Download("stabilityai/sdxl-turbo", "core.models.custom.sdxl:choose_pipeline_files"),
                Download(ADAPTER, CHOOSE_SAFETENSORS),
            ),
            options={"adapter": ADAPTER, "prior": "cocog", "classifier": "feelings"},
        ),
    ),
    libraries=(("transformers", "Paper B's networks"), ("accelerate", "Paper B's networks")),
    plan="""title = "Paper B: all 15 pairs of emotions"
generator = "turbo"

[emotion]
pairs = "all"
bases = "own"
count = 112
guidance = "paper"
steerer = "feelings"
""",
)

ARCFACE_THRESHOLD = {
    "threshold": 0.68,
    "threshold_source": "DeepFace's default for ArcFace by cosine, not chosen for these weights; 'models prepare' calibrates",
}

RECIPES: Mapping[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        PAPER_A,
        PAPER_B,
        Recipe(
            "arcface-r50",
            "a current recogniser: ArcFace's loss, ResNet-50, trained on WebFace600K (InsightFace)",
            (
                RecipeModel(
                    "arcface-r50",
                    "onnx-recogniser",
                    "ArcFace ResNet-50 (InsightFace)",
                    f"InsightFace: {NOT_COMMERCIAL}",
                    WEB_FACES,
                    downloads=(Download("public-data/insightface/models/buffalo_l/w600k_r50.onnx"),),
                    description=ARCFACE_THRESHOLD,
                ),
            ),
            libraries=(("onnxruntime", "ONNX recognisers"),),
        ),
        Recipe(
            "auraface",
            "a current recogniser that may be used commercially: ArcFace's loss, ResNet-100 (fal)",
            (
                RecipeModel(
                    "auraface",
                    "onnx-recogniser",
                    "AuraFace ResNet-100",
                    "Apache 2.0",
                    "commercially and publicly available face photographs, as its makers say",
                    downloads=(Download("fal/AuraFace-v1/glintr100.onnx"),),
                    description=ARCFACE_THRESHOLD,
                ),
            ),
            libraries=(("onnxruntime", "ONNX recognisers"),),
        ),
        Recipe(
            "emotieff-b0",
            "a current emotion network that judges and does not steer: EmotiEffLib's EfficientNet-B0",
            (
                RecipeModel(
                    "emotieff-b0",
                    "onnx-classifier",
                    "EmotiEffLib EfficientNet-B0",
                    "Apache 2.0",
                    f"AffectNet: {NOT_COMMERCIAL}",
                    downloads=(Download(EMOTIEFF_ADDRESS + "enet_b0_8_best_vgaf.onnx"),),
                    description={
                        "input_size": 224,
                        "mean": [123.675, 116.28, 103.53],
                        "deviation": [58.395, 57.12, 57.375],
                        "labels": ["anger", "contempt", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"],
                    },
                ),
            ),
            libraries=(("onnxruntime", "ONNX classifiers"),),
        ),
        Recipe(
            "vit-expression",
            "an emotion network that can steer: a vision transformer trained on FER2013",
            (
                RecipeModel(
                    "vit-expression",
                    "hf-classifier",
                    "Vision transformer (FER2013)",
                    "as its card on the hub says",
                    "FER2013",
                    source="trpakov/vit-face-expression",
                    downloads=(Download("trpakov/vit-face-expression"),),
                ),
            ),
            libraries=(("transformers", "Hugging Face classifiers"),),
        ),
    )
}


def find_recipe(name: str) -> Recipe:
    """The recipe of that name. Raises LiminalError with those there are."""
    if name not in RECIPES:
        raise LiminalError(f"Nothing is got by the name '{name}'; there are {', '.join(RECIPES)}.")
    return RECIPES[name]
