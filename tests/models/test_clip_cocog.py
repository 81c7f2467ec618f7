"""CLIP's image encoder, CoCoG-2's prior and the MLP on embeddings, as models of one's own.

References: transformers 5.23.0's CLIPImageProcessor; the U-ViT written out again below from the published description.
"""

import json
import math
import pickle
import time

import pytest
import torch
from safetensors.torch import load_file, save_file

from core.errors import LiminalError
from core.models import registry
from core.models.builtin.prior import draw_embeddings, read_alpha_bar
from core.models.custom import clip, sources
from core.models.custom.cocog import PUBLISHED_CONFIGURATION, CocogUViT, make_published_tensors, read_cocog
from core.models.custom.loading import read_tensors
from core.models.custom.manager import add_model
from core.models.engine.engine import get_engine
from core.models.request_context import RequestContext, use_context
from tests import tiny_stack
from tests.tiny_stack import EMBEDDING, PRIOR

pytestmark = pytest.mark.usefixtures("own_place", "one_thread")


def pictures(count, side=48):
    random = torch.Generator().manual_seed(0)
    coarse = torch.rand(count, 3, 6, 6, generator=random)
    return torch.nn.functional.interpolate(coarse, size=(side, side), mode="bicubic").clamp(0, 1)


def test_an_added_encoder_says_what_transformers_says(tmp_path):
    from transformers import CLIPImageProcessor

    network = tiny_stack.save_encoder(tmp_path / "image_encoder")
    added = add_model("clip", "clip-encoder", str(tmp_path / "image_encoder"))
    assert added.report.passed
    model = registry.load("clip", "encoder", "cpu")
    assert model.embedding_dim == EMBEDDING
    assert torch.equal(model.spread, torch.ones(EMBEDDING))
    images = pictures(3)
    processor = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    bytes_ = [(each.permute(1, 2, 0) * 255).round().to(torch.uint8).numpy() for each in images]
    with torch.inference_mode():
        theirs = network(pixel_values=processor(images=bytes_, return_tensors="pt")["pixel_values"]).image_embeds
        ours = model.embed(images)
    assert torch.nn.functional.cosine_similarity(ours, theirs).min() > 0.999
    assert not torch.allclose(ours.norm(dim=1), torch.ones(3), atol=0.1)  # not normalised


def rows_through_the_engine():
    done = get_engine().as_dict()["devices"].get("cpu", {"networks": {}})
    return sum(each["rows"] for each in done["networks"].values())


def test_encoder_and_prior_take_their_turns_with_others(tmp_path):
    """As the built-in ones: one chunk at a time on a device, and what a page asked of the encoder before is known."""
    tiny_stack.save_encoder(tmp_path / "image_encoder")
    tiny_stack.save_prior(tmp_path / "prior.safetensors")
    add_model("clip", "clip-encoder", str(tmp_path / "image_encoder"))
    add_model("cocog", "uvit-prior", str(tmp_path / "prior.safetensors"), options={"heads": 2})
    encoder, prior = registry.load("clip", "encoder", "cpu"), registry.load("cocog", "prior", "cpu")
    with torch.inference_mode(), use_context(RequestContext("page", may_cache=True)):
        before = rows_through_the_engine()
        vectors = encoder.embed(pictures(3))
        prior.noise(vectors, torch.zeros(3))
        assert rows_through_the_engine() == before + 6
        assert torch.equal(encoder.embed(pictures(2)), vectors[:2])
        assert rows_through_the_engine() == before + 6


def test_what_is_no_encoder_is_refused_with_its_first_wrong_key(tmp_path):
    folder = tmp_path / "image_encoder"
    tiny_stack.save_encoder(folder)
    tensors = load_file(folder / "model.safetensors")
    key = "visual_projection.weight"
    for wrong, sentence in (
        ({name: each for name, each in tensors.items() if name != key}, f"lack '{key}'"),
        ({**tensors, key: torch.zeros(EMBEDDING, 3)}, f"another shape at '{key}'"),
        ({**tensors, key: torch.full_like(tensors[key], torch.nan)}, f"'{key}' in image_encoder holds values that are not finite"),
    ):
        save_file(wrong, folder / "model.safetensors", {"format": "pt"})
        with pytest.raises(LiminalError, match=sentence):
            add_model("clip", "clip-encoder", str(folder))
    (folder / "config.json").write_text('{"model_type": "vit"}')
    with pytest.raises(LiminalError, match="holds a vit, no CLIP image encoder"):
        add_model("clip", "clip-encoder", str(folder))


def test_a_folder_in_a_repository_is_taken_from_the_cache_alone(tmp_path, monkeypatch):
    import huggingface_hub

    snapshot = tmp_path / "hub" / "models--h94--IP-Adapter" / "snapshots" / ("0" * 39 + "1")
    tiny_stack.save_encoder(snapshot / "models" / "image_encoder")
    (snapshot.parent.parent / "refs").mkdir()
    (snapshot.parent.parent / "refs" / "main").write_text(snapshot.name)
    (snapshot.parent.parent / "trees").mkdir()  # the whole repository, of which only the folder is ever fetched
    there = ["models/ip-adapter_sd15.bin"]
    there += [f"models/image_encoder/{each}" for each in ("config.json", "model.safetensors", "pytorch_model.bin")]
    files = {name: {"size": 1, "blob_id": "0" * 40} for name in there}
    (snapshot.parent.parent / "trees" / f"{snapshot.name}.json").write_text(json.dumps({"format_version": 1, "files": files}))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    found = clip.find_encoder_source("h94/IP-Adapter/models/image_encoder")
    assert (found.source, found.revision) == ("h94/IP-Adapter/models/image_encoder", snapshot.name)
    assert sorted(found.files) == ["config.json", "model.safetensors"]
    add_model("clip", "clip-encoder", "h94/IP-Adapter/models/image_encoder")
    assert registry.load("clip", "encoder", "cpu").embedding_dim == EMBEDDING
    began = time.monotonic()
    with pytest.raises(LiminalError, match="HF_HUB_OFFLINE forbids"):
        clip.find_encoder_source("h94/IP-Adapter/sdxl_models/image_encoder")
    assert time.monotonic() - began < 2


def test_what_is_fetched_of_a_repository(monkeypatch):
    """The hub is asked once for its list; of weights that lie there twice, the safe ones are taken."""
    import huggingface_hub

    listed = ["README.md", "models/image_encoder/config.json", "models/image_encoder/model.safetensors"]
    listed += ["models/image_encoder/pytorch_model.bin", "models/ip-adapter_sd15.bin", "sdxl_models/image_encoder/config.json"]
    asked = {}

    class Info:
        sha, card_data = "1" * 40, None
        siblings = tuple(type("Sibling", (), {"rfilename": name})() for name in listed)

    def snapshot(repository, *, revision=None, allow_patterns=None, local_files_only=False, **_):
        if local_files_only:
            raise huggingface_hub.errors.LocalEntryNotFoundError("not here")
        asked.update(repository=repository, files=allow_patterns)
        raise ConnectionError("far enough")

    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda *_, **__: Info)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    with pytest.raises(LiminalError, match="could not be reached"):
        clip.find_encoder_source("h94/IP-Adapter/models/image_encoder")
    assert asked == {
        "repository": "h94/IP-Adapter",
        "files": ["models/image_encoder/config.json", "models/image_encoder/model.safetensors"],
    }
    with pytest.raises(LiminalError, match="holds no weights in models/nothing"):
        sources.fetch_source("h94/IP-Adapter/models/nothing", clip.choose_safetensors)


def written_out(tensors, x, step, heads):
    """CoCoG-2's U-ViT without a condition, operation by operation from a checkpoint's own names."""
    linear, norm = torch.nn.functional.linear, torch.nn.functional.layer_norm

    def of(name):
        return tensors[f"{name}.weight"], tensors[f"{name}.bias"]

    width = tensors["norm.weight"].numel()

    def block(name, h, skip=None):
        def at(part):
            return tensors[f"{name}.{part}"]

        if skip is not None:
            h = linear(torch.cat([h, skip], dim=-1), at("skip_linear.weight"), at("skip_linear.bias"))
        inner = linear(norm(h, (width,), at("norm1.weight"), at("norm1.bias")), at("attn.qkv.weight"))
        q, k, v = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in inner.chunk(3, dim=-1))
        mixed = (q @ k.transpose(-1, -2) / math.sqrt(width / heads)).softmax(dim=-1) @ v
        h = h + linear(mixed.transpose(1, 2).flatten(2), at("attn.proj.weight"), at("attn.proj.bias"))
        inner = linear(norm(h, (width,), at("norm2.weight"), at("norm2.bias")), at("mlp.fc1.weight"), at("mlp.fc1.bias"))
        return h + linear(torch.nn.functional.gelu(inner), at("mlp.fc2.weight"), at("mlp.fc2.bias"))

    size = tensors["patch_embed.proj.weight"].shape[2]
    weight, bias = of("patch_embed.proj")
    patches = torch.nn.functional.conv1d(x[:, None], weight, bias, stride=size)
    frequencies = torch.exp(-math.log(10_000) * torch.arange(width // 2) / (width // 2 - 1))
    angles = step[:, None].float() * frequencies
    time_token = torch.cat([angles.sin(), angles.cos()], dim=1)
    h = torch.cat([time_token[:, None], patches.transpose(1, 2)], dim=1) + tensors["pos_embed"][:, :-1]
    depth = len({name.split(".")[1] for name in tensors if name.startswith("in_blocks.")})
    skips = []
    for place in range(depth):
        h = block(f"in_blocks.{place}", h)
        skips.append(h)
    h = block("mid_block", h)
    for place in range(depth):
        h = block(f"out_blocks.{place}", h, skips.pop())
    h = linear(norm(h, (width,), *of("norm")), *of("decoder_pred"))
    return linear(h[:, : patches.shape[2]].flatten(1), *of("final_layer"))


@pytest.mark.parametrize("name", ["uvit_vice_pred_imagenet_ema.pt", "prior.safetensors"])
def test_a_checkpoint_of_cocog_computes_what_is_published(tmp_path, name):
    tiny_stack.save_prior(tmp_path / name)
    added = add_model("cocog", "uvit-prior", str(tmp_path / name), options={"heads": 2})
    assert added.report.passed
    assert added.custom.options == {"heads": 2, "betas": "linear", "steps": 1000}
    model = registry.load("cocog", "prior", "cpu")
    assert (model.embedding_dim, model.train_steps, model.betas) == (EMBEDDING, 1000, "linear")
    random = torch.Generator().manual_seed(1)
    x, step = torch.randn(3, EMBEDDING, generator=random), torch.tensor([0, 400, 999])
    wanted = written_out(read_tensors(tmp_path / name), x, step, heads=2)
    assert torch.allclose(model.noise(x, step), wanted, atol=1e-5)


def test_the_published_sizes_have_the_published_number_of_values():
    """The checkpoint in CoCoG-2's repository takes 180,997,062 bytes: its values, and 64 KB of names around them."""
    from core.models.builtin.prior import UViTConfiguration

    with torch.device("meta"):
        small = CocogUViT(UViTConfiguration(64, 16, 512, 12, 8))
        large = CocogUViT(PUBLISHED_CONFIGURATION)
    condition = 42 * 512 + 512
    values = sum(each.numel() for each in small.parameters()) + condition
    assert 0 < 180_997_062 - 4 * values < 70_000
    assert large.configuration.embedding_dim == 1024
    assert [len(large.before), len(large.after), large.middle.heads] == [6, 6, 12]


def test_heads_are_guessed_as_published(tmp_path):
    from core.models.builtin.prior import UViTConfiguration

    network = CocogUViT(UViTConfiguration(tokens=2, token_size=4, width=128, depth=2, heads=2))
    assert read_cocog(make_published_tensors(network), tmp_path / "x.pt").configuration.heads == 2  # one for 64 values


@pytest.mark.parametrize(
    ("key", "change", "sentence"),
    [
        ("in_blocks.0.attn.qkv.weight", None, "lacks 'in_blocks.0.attn.qkv.weight'"),
        ("pos_embed", None, "lacks 'pos_embed'"),
        ("out_blocks.0.skip_linear.weight", torch.zeros(32, 32), "'out_blocks.0.skip_linear.weight' in .* has the shape"),
        ("time_embed.0.weight", torch.zeros(3, 3), "'time_embed.0.weight' in .* is unknown"),
        ("mid_block.norm1.bias", torch.full((32,), torch.nan), "'mid_block.norm1.bias' in .* not finite"),
        ("pos_embed", torch.zeros(1, 9, 32), "'pos_embed' in .* has 9 positions"),
    ],
)
def test_a_checkpoint_that_is_wrong_is_refused_by_the_files_own_key(tmp_path, key, change, sentence):
    path = tmp_path / "prior.pt"
    tiny_stack.save_prior(path)
    tensors = torch.load(path, weights_only=True)
    tensors.pop(key, None)
    if change is not None:
        tensors[key] = change
    torch.save(tensors, path)
    with pytest.raises(LiminalError, match=sentence):
        add_model("cocog", "uvit-prior", str(path), options={"heads": 2})


def test_code_in_a_checkpoint_is_never_run(tmp_path):
    class Malice:
        def __reduce__(self):
            return (tmp_path.joinpath("owned").touch, ())

    (tmp_path / "prior.pt").write_bytes(pickle.dumps(Malice()))
    torch.save({"model": Malice()}, tmp_path / "other.pt")
    for name in ("prior.pt", "other.pt"):
        with pytest.raises(LiminalError, match=name):
            add_model("cocog", "uvit-prior", str(tmp_path / name))
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"betas": "quadratic"}, "betas is 'quadratic'"),
        ({"heads": 0}, "heads is '0'"),
        ({"steps": True}, "steps is 'True'"),
        ({"heads": 3}, "heads"),
    ],
)
def test_options_of_a_prior_that_make_no_sense(tmp_path, options, sentence):
    tiny_stack.save_prior(tmp_path / "prior.pt")
    with pytest.raises(LiminalError, match=sentence):
        add_model("cocog", "uvit-prior", str(tmp_path / "prior.pt"), options=options)


def test_draws_depend_on_their_own_seeds_and_on_the_priors_schedule(tmp_path):
    tiny_stack.save_prior(tmp_path / "prior.pt")
    add_model("cocog", "uvit-prior", str(tmp_path / "prior.pt"), options={"heads": PRIOR.heads})
    add_model("cosine", "uvit-prior", str(tmp_path / "prior.pt"), options={"heads": PRIOR.heads, "betas": "squaredcos_cap_v2"})
    prior, other = registry.load("cocog", "prior", "cpu"), registry.load("cosine", "prior", "cpu")
    rows = draw_embeddings(prior, [5, 6, 7], steps=4)
    assert rows.shape == (3, EMBEDDING)
    assert torch.equal(draw_embeddings(prior, [6], steps=4)[0], rows[1])
    assert not torch.allclose(draw_embeddings(other, [6], steps=4)[0], rows[1])
    assert draw_embeddings(prior, []).shape == (0, EMBEDDING)
    betas = torch.linspace(0.0001, 0.02, 1000)
    assert torch.allclose(read_alpha_bar(1000, "linear"), (1 - betas).cumprod(dim=0), atol=1e-6)


def test_the_mlp_reads_its_encoders_embeddings(tmp_path):
    tiny_stack.save_encoder(tmp_path / "enc")
    network = tiny_stack.save_mlp(tmp_path / "mlp.safetensors")
    add_model("clip", "clip-encoder", str(tmp_path / "enc"))
    assert add_model("mlp", "clip-mlp", str(tmp_path / "mlp.safetensors"), options={"encoder": "clip"}).report.passed
    model = registry.load("mlp", "classifier", "cpu")
    images = pictures(2)
    assert torch.allclose(model.logits(images), network(registry.load("clip", "encoder", "cpu").embed(images)), atol=1e-5)
    (tmp_path / "mlp.json").write_text('{"configuration": {"encoder": "clip"}}')  # the card of the training command
    assert add_model("again", "clip-mlp", str(tmp_path / "mlp.safetensors")).custom.options == {"encoder": "clip"}


def test_an_mlp_that_does_not_fit_is_refused(tmp_path):
    path = tmp_path / "mlp.safetensors"
    tiny_stack.save_mlp(path, embedding=7)
    with pytest.raises(LiminalError, match="by the option encoder"):
        add_model("mlp", "clip-mlp", str(path))
    with pytest.raises(LiminalError, match="no encoder called 'clip'"):
        add_model("mlp", "clip-mlp", str(path), options={"encoder": "clip"})
    with pytest.raises(LiminalError, match="reads 7 values, but face-embedding gives 96"):
        add_model("mlp", "clip-mlp", str(path), options={"encoder": "face-embedding"})
    tensors = load_file(path)
    save_file({**tensors, "4.weight": torch.zeros(7, 16)}, path)
    with pytest.raises(LiminalError, match=r"'4.weight' in mlp.safetensors has the shape \(7, 16\)"):
        add_model("mlp", "clip-mlp", str(path), options={"encoder": "face-embedding"})
    save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(LiminalError, match=r"lacks '0\.weight'"):
        add_model("mlp", "clip-mlp", str(path), options={"encoder": "face-embedding"})
