"""Both generators: seeds, ranges, gradients, and the enlargers against ncnn 1.0.20261020 itself."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import LiminalError
from core.models import registry
from core.models.builtin import dcgan
from core.models.builtin.dcgan import read_ncnn_network


@pytest.fixture(scope="module", params=["dcgan", "dcgan-sharp"])
def generator(request):
    return registry.load(request.param, "generator", "cpu")


def test_images_have_the_promised_shape_and_range(generator):
    images = generator.decode(generator.sample([1, 2, 3]))
    assert images.shape == (3, 3, generator.image_size, generator.image_size)
    assert images.min() >= 0
    assert images.max() <= 1
    assert images.std() > 0.05


def test_same_seed_same_bytes_whatever_the_neighbours(generator):
    many = generator.decode(generator.sample([5, 6, 7, 8, 9]))
    assert torch.equal(generator.decode(generator.sample([8])), many[3:4])
    assert generator.decode(generator.sample([])).shape[0] == 0


def test_gradient_reaches_the_latents(generator):
    latents = generator.sample([3]).requires_grad_(True)
    generator.decode(latents).mean().backward()
    assert latents.grad is not None
    assert latents.grad.abs().sum() > 0


def test_a_paper_unit_is_the_root_of_the_latent_dimension(generator):
    assert generator.step_scale == pytest.approx(10.0)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=6))
def test_a_seed_gives_one_latent(seeds):
    generator = registry.load("dcgan", "generator", "cpu")
    latents = generator.sample(seeds)
    for seed, row in zip(seeds, latents, strict=True):
        assert torch.equal(generator.sample([seed])[0], row)


FULL = dcgan._weight_pair(  # the other network of the package, of other layers
    "realesrgan-x4plus",
    "35330ececcea33b6c397a72548e788d5d53becee4734c50b7fada36e89f10a86",
    "713ee713b0353afaa27976f0563a64a5043bd70b9bd8936c2e26e25ebcdbcddf",
)


@pytest.mark.parametrize("files", [dcgan.COMPACT_ENLARGER, FULL], ids=["compact", "full"])
def test_enlargers_equal_ncnn(files):
    import ncnn

    param, binary = (file.verified() for file in files)
    side = 32 if files is FULL else 64
    image = np.random.default_rng(0).random((3, side, side), dtype=np.float32)
    reference = ncnn.Net()
    reference.opt.use_fp16_packed = reference.opt.use_fp16_storage = reference.opt.use_fp16_arithmetic = False
    reference.opt.use_bf16_storage = reference.opt.use_winograd_convolution = False
    reference.opt.num_threads = 1
    reference.load_param(str(param))
    reference.load_model(str(binary))
    extractor = reference.create_extractor()
    extractor.input("data", ncnn.Mat(image).clone())
    expected = np.array(extractor.extract("output")[1])
    with torch.inference_mode():
        found = read_ncnn_network(param, binary)(torch.from_numpy(image)[None])[0].numpy()
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_a_broken_graph_is_refused(tmp_path):
    param, binary = (file.verified() for file in dcgan.COMPACT_ENLARGER)
    short = tmp_path / "short.bin"
    short.write_bytes(binary.read_bytes()[:1000])
    with pytest.raises(LiminalError, match="not a network that can be read"):
        read_ncnn_network(param, short)
    other = tmp_path / "other.param"
    other.write_text(param.read_text().replace("PixelShuffle ", "Deconvolution "))
    with pytest.raises(LiminalError, match="Deconvolution"):
        read_ncnn_network(other, binary)
