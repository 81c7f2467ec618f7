"""SDXL-Turbo with IP-Adapter: a tiny pipeline of the same classes, saved by diffusers 0.42.0 and read back by the real code."""

import json
import threading

import pytest
import torch
from safetensors.torch import load_file, save_file

from core.errors import Cancelled, LiminalError
from core.models import registry, request_context
from core.models.custom import sdxl
from core.models.custom.manager import add_model
from core.models.custom.sdxl import attach_adapter, choose_offload, choose_pipeline_files, read_adapter, read_pipeline
from tests import tiny_stack
from tests.tiny_stack import EMBEDDING

pytestmark = pytest.mark.usefixtures("own_place", "one_thread")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Where the tiny models lie."""
    folder = tmp_path_factory.mktemp("stack")
    unet = tiny_stack.save_pipeline(folder / "sdxl")
    tiny_stack.save_adapter(folder / "ip-adapter.safetensors", unet)
    tiny_stack.save_prior(folder / "prior.pt")
    return folder


@pytest.fixture
def prior(files):
    add_model("cocog", "uvit-prior", str(files / "prior.pt"), options={"heads": 2})


def given(files, **more):
    return {"adapter": str(files / "ip-adapter.safetensors"), "prior": "cocog", **more}


def rows(count=3):
    return torch.randn(count, EMBEDDING, generator=torch.Generator().manual_seed(0))


def made(files, **options):
    """The generator without the list of added models: a pipeline, read once more."""
    pipeline, words = read_pipeline(files / "sdxl", options.get("prompt", "a face"), torch.float32)
    attach_adapter(pipeline, read_adapter(files / "ip-adapter.safetensors", pipeline.unet), options.get("strength", 1.0))
    prior = registry.load("cocog", "prior", "cpu")
    settled = sdxl.DEFAULT_OPTIONS | options
    return sdxl.SDXLGenerator(pipeline, words, prior, options=settled, device=torch.device("cpu"), card=prior.card)


def test_an_added_pipeline_makes_pictures_of_embeddings(files, prior):
    added = add_model("turbo", "sdxl-ip-adapter", str(files / "sdxl"), options=given(files, steps=2, prompt="a face"))
    assert added.report.passed
    assert added.custom.facts == added.custom.facts | {"differentiable": False, "latent_dim": EMBEDDING, "image_size": 16}
    assert (added.custom.options["steps"], added.custom.options["noise"]) == (2, 0)
    model = registry.load("turbo", "generator", "cpu")
    latents = model.sample([3, 4])
    images = model.decode(latents)
    assert images.shape == (2, 3, 16, 16)
    assert torch.equal(model.decode(latents[1:]), images[1:])
    assert not any(name.startswith("text_encoder") and part for name, part in model.pipeline.components.items())


def test_the_pipeline_computes_what_diffusers_does_with_the_whole_of_it(files, prior):
    """The same picture as diffusers' own pipeline with its text encoders and its own reading of the adapter's file."""
    from diffusers import StableDiffusionXLPipeline

    whole = StableDiffusionXLPipeline.from_pretrained(files / "sdxl", local_files_only=True)
    whole.load_ip_adapter(str(files), subfolder="", weight_name="ip-adapter.safetensors", image_encoder_folder=None)
    whole.set_ip_adapter_scale(0.7)
    whole.set_progress_bar_config(disable=True)
    embedding = rows(1)
    theirs = whole(
        prompt="smile",
        ip_adapter_image_embeds=[embedding[None]],
        num_inference_steps=3,
        guidance_scale=0.0,
        generator=torch.Generator().manual_seed(11),
        output_type="pt",
    ).images
    ours = made(files, prompt="smile", steps=3, strength=0.7, noise=11).decode(embedding)
    assert torch.allclose(ours, theirs.float(), atol=1e-5)


def test_embedding_words_strength_and_seed_each_matter_and_neighbours_do_not(files, prior):
    model = made(files)
    embeddings = rows()
    images = model.images(embeddings, [1, 2, 1])
    assert torch.equal(model.images(embeddings[1:2], [2]), images[1:2])  # a seed a picture, whatever the others
    assert not torch.equal(model.images(embeddings[1:2], [3]), images[1:2])
    assert (images[0] - images[2]).abs().max() > 0.01  # the same noise, another embedding
    assert not torch.equal(made(files, prompt="anger").images(embeddings[:1], [1]), images[:1])
    silent = made(files, strength=0.0)
    assert torch.equal(silent.images(embeddings[:1], [1]), silent.images(embeddings[2:], [1]))
    own = made(files, noise="own")
    seeds = [own.noise_seed(row) for row in embeddings]
    assert len(set(seeds)) == 3
    assert torch.equal(own.decode(embeddings[2:]), own.images(embeddings[2:], seeds[2:]))
    assert model.images(embeddings[:0], []).shape == (0, 3, 16, 16)


def test_who_waits_for_the_pipeline_can_leave(files, prior):
    """While somebody else's picture is being made: the one who left gets none, the one who stayed gets theirs."""
    model, embedding = made(files), rows(1)
    expected = model.images(embedding, [1])
    asked, ends = [], {}
    usual = model._run
    model._run = lambda *given: asked.append(1) or usual(*given)
    people = {name: request_context.RequestContext(name) for name in ("left", "stayed")}

    def ask(visit):
        with request_context.use_context(visit):
            try:
                ends[visit.session] = model.images(embedding, [1])
            except Cancelled as error:
                ends[visit.session] = error

    threads = {name: threading.Thread(target=ask, args=(visit,), daemon=True) for name, visit in people.items()}
    with model._one_at_a_time:
        for thread in threads.values():
            thread.start()
        people["left"].cancel.set()
        threads["left"].join(20)
        assert not threads["left"].is_alive()
        assert threads["stayed"].is_alive()
        assert isinstance(ends["left"], Cancelled)
        assert not asked
    threads["stayed"].join(20)
    assert torch.equal(ends["stayed"], expected)
    ask(people["left"])  # who has left already begins nothing, and keeps nobody from the pipeline
    assert isinstance(ends["left"], Cancelled)
    assert len(asked) == 1
    assert not model._one_at_a_time.locked()


def test_two_threads_do_not_disturb_each_other(files, prior):
    model, embeddings = made(files, steps=2), rows(2)
    alone = model.decode(embeddings)
    results = {}
    threads = [
        threading.Thread(target=lambda row=row: results.update({row: model.decode(embeddings[row : row + 1])})) for row in (0, 1)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert torch.equal(torch.cat([results[0], results[1]]), alone)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"steps": 5}, "SDXL-Turbo takes 1 to 4"),
        ({"strength": 2}, "strength is '2'"),
        ({"noise": -1}, "noise is '-1'"),
        ({"precision": "int8"}, "precision is 'int8'"),
        ({"offload": "disk"}, "offload is 'disk'"),
        ({"prior": "nothing"}, "no prior called 'nothing'"),
        ({"prior": None}, "option prior is needed"),
        ({"adapter": ""}, "option adapter is needed"),
        ({"adapter": "/nowhere/ip.safetensors"}, "There is no file or folder"),
        ({"classifier": "mini-xception"}, "mini-xception, which does not read embeddings"),
        ({"guidance": 7}, "no option 'guidance'"),
    ],
)
def test_options_that_make_no_sense(files, prior, options, sentence):
    with pytest.raises(LiminalError, match=sentence):
        add_model("turbo", "sdxl-ip-adapter", str(files / "sdxl"), options=given(files, **options))


def test_what_is_not_on_this_machine_is_said_at_once(prior, files):
    with pytest.raises(LiminalError, match="stabilityai/sdxl-turbo is not on this machine and HF_HUB_OFFLINE forbids"):
        add_model("turbo", "sdxl-ip-adapter", "stabilityai/sdxl-turbo", options=given(files))
    adapter = "h94/IP-Adapter/sdxl_models/ip-adapter_sdxl_vit-h.safetensors"
    with pytest.raises(LiminalError, match="h94/IP-Adapter is not on this machine and HF_HUB_OFFLINE forbids"):
        add_model("turbo", "sdxl-ip-adapter", str(files / "sdxl"), options=given(files, adapter=adapter))


def test_an_adapter_that_is_wrong_is_refused_by_its_first_wrong_key(files, tmp_path):
    from diffusers import UNet2DConditionModel

    unet = UNet2DConditionModel.from_pretrained(files / "sdxl" / "unet")
    tensors = load_file(files / "ip-adapter.safetensors")
    path = tmp_path / "adapter.safetensors"
    key = "ip_adapter.3.to_v_ip.weight"
    assert set(tensors) == set(sdxl.list_adapter_shapes(unet))
    for wrong, sentence in (
        ({name: each for name, each in tensors.items() if name != key}, f"lacks '{key}'"),
        ({**tensors, key: torch.zeros(2, 2)}, f"'{key}' in adapter.safetensors has the shape"),
        ({**tensors, key: torch.full_like(tensors[key], torch.inf)}, f"'{key}' in adapter.safetensors holds values"),
        ({**tensors, "image_proj.latents": torch.zeros(1)}, "'image_proj.latents' in adapter.safetensors is unknown"),
    ):
        save_file(wrong, path)
        with pytest.raises(LiminalError, match=sentence):
            read_adapter(path, unet)
    torch.save({"image_proj": {}, "ip_adapter": {}}, tmp_path / "adapter.bin")
    with pytest.raises(LiminalError, match=r"adapter.bin is no \.safetensors file, and pickles are never read"):
        read_adapter(tmp_path / "adapter.bin", unet)


def copied(files, tmp_path):
    """The pipeline's folder, its large files as links, to be damaged."""
    for path in (files / "sdxl").rglob("*"):
        if path.is_file():
            place = tmp_path / "sdxl" / path.relative_to(files / "sdxl")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(path.read_bytes())
    return tmp_path / "sdxl"


@pytest.mark.parametrize(("part", "key"), [("unet", "conv_in.weight"), ("vae", "post_quant_conv.bias")])
def test_a_pipeline_with_wrong_weights_is_refused_by_the_first_wrong_key(files, tmp_path, part, key):
    folder = copied(files, tmp_path)
    path = folder / part / "diffusion_pytorch_model.safetensors"
    tensors = load_file(path)
    for wrong, sentence in (
        ({name: each for name, each in tensors.items() if name != key}, f"lack '{key}'"),
        ({**tensors, key: torch.zeros(1, 2)}, f"shape at '{key}'|{key}"),
        ({**tensors, key: torch.full_like(tensors[key], torch.nan)}, f"'{key}' in {part} holds values that are not finite"),
    ):
        save_file(wrong, path, {"format": "pt"})
        with pytest.raises(LiminalError, match=sentence):
            read_pipeline(folder, "a face", torch.float32)


def test_a_folder_that_is_no_pipeline_is_refused(files, tmp_path):
    with pytest.raises(LiminalError, match="holds no StableDiffusionXLPipeline of diffusers"):
        read_pipeline(tmp_path, "a face", torch.float32)
    folder = copied(files, tmp_path)
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps({**index, "unet": ["my_code", "Network"]}))
    with pytest.raises(LiminalError, match=r"The part unet of .* is a Network"):
        read_pipeline(folder, "a face", torch.float32)
    (folder / "model_index.json").write_text(json.dumps({**index, "scheduler": ["diffusers", "DiffusionPipeline"]}))
    with pytest.raises(LiminalError, match="DiffusionPipeline, is none of diffusers'"):
        read_pipeline(folder, "a face", torch.float32)
    (folder / "model_index.json").write_text(json.dumps(index))
    weights = folder / "vae" / "diffusion_pytorch_model.safetensors"
    torch.save(load_file(weights), folder / "vae" / "diffusion_pytorch_model.bin")
    weights.unlink()
    with pytest.raises(LiminalError, match=r"vae holds no \.safetensors weights, and pickles are never read"):
        read_pipeline(folder, "a face", torch.float32)


def test_of_a_repository_every_part_is_fetched_once_in_half_precision():
    names = ["model_index.json", "README.md", "sd_xl_turbo_1.0.safetensors", "sd_xl_turbo_1.0_fp16.safetensors"]
    names += ["unet/config.json", "unet/diffusion_pytorch_model.safetensors", "unet/diffusion_pytorch_model.fp16.safetensors"]
    names += ["unet/model.onnx", "vae_decoder/model.onnx", "vae/config.json", "vae/diffusion_pytorch_model.safetensors"]
    names += ["tokenizer/vocab.json", "tokenizer/merges.txt", "text_encoder/pytorch_model.bin", "scheduler/scheduler_config.json"]
    assert sorted(choose_pipeline_files(names)) == [
        "model_index.json",
        "scheduler/scheduler_config.json",
        "tokenizer/merges.txt",
        "tokenizer/vocab.json",
        "unet/config.json",
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "vae/config.json",
        "vae/diffusion_pytorch_model.safetensors",
    ]


def test_what_waits_in_main_memory_depends_on_what_is_free():
    gigabyte, unet, vae = 10**9, 5 * 10**9, 10**8
    assert choose_offload(24 * gigabyte, [unet, vae]) == "none"
    assert choose_offload(int(7.55 * gigabyte), [unet, vae]) == "model"
    assert choose_offload(4 * gigabyte, [unet, vae]) == "sequential"


def test_out_of_memory_lets_parts_wait_and_tries_again(files, prior, monkeypatch):
    """A card that runs out twice: first whole networks wait in main memory, then each layer; then it says that it cannot."""
    model = made(files)
    embedding, tried = rows(1), []
    alone = model.decode(embedding)
    real = model.pipeline
    failures = [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("CUDA error: out of memory")]

    class Short:
        def __getattr__(self, name):
            return getattr(real, name)

        def __call__(self, **more):
            if failures:
                raise failures.pop(0)
            return real(**more)

    model.pipeline = Short()
    monkeypatch.setattr(sdxl, "place_pipeline", lambda pipeline, device, wanted: tried.append(wanted) or wanted)
    monkeypatch.setattr(sdxl, "free_cached", lambda device: None)
    monkeypatch.setattr(sdxl, "can_offload", lambda device: True)
    assert torch.equal(model.decode(embedding), alone)
    assert tried == ["model", "sequential"]
    failures[:] = [torch.OutOfMemoryError("CUDA out of memory")]
    model.device = torch.device("meta")  # another one than the embeddings': its name is the one to be told
    with pytest.raises(LiminalError, match="The memory of meta is too small for this model, even for one picture"):
        model.decode(embedding)
