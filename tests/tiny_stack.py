"""Paper B's models, tiny and random, of the same classes as the published ones and saved as these are."""

import json

import torch
from safetensors.torch import save_file

from core.models.builtin.emotion_mlp import EmotionMLPNetwork
from core.models.builtin.prior import UViTConfiguration
from core.models.custom.cocog import CocogUViT, make_published_tensors
from core.models.custom.sdxl import list_adapter_shapes

EMBEDDING = 16
PRIOR = UViTConfiguration(tokens=4, token_size=4, width=32, depth=2, heads=2)
CONTEXT = 48  # the two text encoders side by side
TOKENS = 4


def stirred(network, seed=0, size=0.2):
    """The network with noise on every weight: what transformers draws by itself is too small to tell pictures apart."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(size * torch.randn(parameter.shape, generator=random))
    return network.eval()


def save_encoder(folder, embedding=EMBEDDING):
    """As h94/IP-Adapter's image encoder lies: a description and weights, nothing of how pictures are prepared."""
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    network = CLIPVisionModelWithProjection(CLIPVisionConfig(**sizes, image_size=32, patch_size=8, projection_dim=embedding))
    stirred(network).save_pretrained(folder)
    return network


def save_prior(path, size=PRIOR, condition=42):
    """As CoCoG-2's checkpoints lie: a state dict of torch.save, with the layer that reads a condition."""
    torch.manual_seed(1)
    network = CocogUViT(size).eval()
    tensors = {**make_published_tensors(network), "context_embed.weight": torch.randn(size.width, condition)}
    tensors["context_embed.bias"] = torch.randn(size.width)
    if path.suffix == ".safetensors":
        save_file({key: value.clone() for key, value in tensors.items()}, path)
    else:
        torch.save(tensors, path)
    return network


def save_mlp(path, embedding=EMBEDDING, width=16):
    torch.manual_seed(2)
    network = stirred(EmotionMLPNetwork(embedding, width), size=0.5)
    save_file({key: value.clone() for key, value in network.state_dict().items()}, path)
    return network


def save_tokenizer(folder):
    folder.mkdir(parents=True)
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    words = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters), ",</w>"]
    (folder / "vocab.json").write_text(json.dumps({word: place for place, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"model_max_length": 77, "tokenizer_class": "CLIPTokenizer", "pad_token": "<|endoftext|>"})
    )
    return len(words)


def save_pipeline(folder):
    """As stabilityai/sdxl-turbo lies: a StableDiffusionXLPipeline of diffusers, in safetensors -> its U-Net."""
    from diffusers import AutoencoderKL, EulerAncestralDiscreteScheduler, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    torch.manual_seed(3)
    unet = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(8, 16),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=(2, 4),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        transformer_layers_per_block=(1, 1),
        projection_class_embeddings_input_dim=6 * 8 + 24,
        cross_attention_dim=CONTEXT,
        norm_num_groups=4,
    )
    vae = AutoencoderKL(
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
        norm_num_groups=4,
        sample_size=16,
    )
    words = max(save_tokenizer(folder / name) for name in ("tokenizer", "tokenizer_2"))
    text = {"vocab_size": words, "hidden_size": 24, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    text |= {"projection_dim": 24, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    for name, network in {
        "unet": unet,
        "vae": vae,
        "text_encoder": CLIPTextModel(CLIPTextConfig(**text)),
        "text_encoder_2": CLIPTextModelWithProjection(CLIPTextConfig(**text)),
        "scheduler": EulerAncestralDiscreteScheduler(timestep_spacing="trailing", beta_schedule="scaled_linear"),
    }.items():
        network.save_pretrained(folder / name)
    index = {
        "_class_name": "StableDiffusionXLPipeline",
        "force_zeros_for_empty_prompt": True,
        "scheduler": ["diffusers", "EulerAncestralDiscreteScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "tokenizer_2": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    (folder / "model_index.json").write_text(json.dumps(index))
    return unet


def save_adapter(path, unet, embedding=EMBEDDING):
    """As ip-adapter_sdxl_vit-h.safetensors lies, with ``TOKENS`` tokens for the embedding."""
    torch.manual_seed(4)
    free = {"image_proj.proj.weight": (TOKENS * CONTEXT, embedding), "image_proj.proj.bias": (TOKENS * CONTEXT,)}
    tensors = {key: 0.5 * torch.randn(free.get(key, shape)) for key, shape in list_adapter_shapes(unet).items()}
    tensors["image_proj.norm.weight"] += 1
    save_file(tensors, path)
    return tensors
