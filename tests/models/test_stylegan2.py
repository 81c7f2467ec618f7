"""StyleGAN2 against a slow reference written from the papers' formulas: one weight a row, zeros put in, every tap summed."""

import math

import pytest
import torch
from safetensors.torch import save_file

from core.errors import LiminalError
from core.models.custom import stylegan2
from core.models.custom.catalogue import CustomModel
from core.models.custom.stylegan2 import StyleGAN2Network, StyleGAN2Sizes

SIZES = StyleGAN2Sizes(z_dim=6, w_dim=5, classes=0, class_features=0, mapping=(7, 5), channels={4: 8, 8: 6, 16: 4})


def tiny(seed=0, sizes=SIZES):
    """A random network with noise, an uneven filter and a mean w, so that none of them can be forgotten."""
    torch.manual_seed(seed)
    network = StyleGAN2Network(sizes)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("noise_strength"):
                parameter.fill_(0.3)
            elif name.endswith("bias"):
                parameter.add_(0.1 * torch.randn_like(parameter))
        network.mapping.w_avg.normal_(std=0.5)
        uneven = torch.outer(torch.tensor([1.0, 4.0, 2.0, 1.0]), torch.tensor([1.0, 3.0, 3.0, 1.0]))
        for name, buffer in network.named_buffers():
            if name.endswith("resample_filter"):
                buffer.copy_(uneven / uneven.sum())
    return network.eval().requires_grad_(False)


# --- the reference: float64, plain loops, official structure (NVlabs/stylegan3, training/networks_stylegan2.py, formulas only)


def upfirdn(x, taps, up, before, after, gain):
    """(C, H, W): zeros in between, padding, then a true convolution, one tap after the other."""
    channels, height, width = x.shape
    spread = x.new_zeros(channels, height * up, width * up)
    spread[:, ::up, ::up] = x
    padded = x.new_zeros(channels, height * up + before + after, width * up + before + after)
    padded[:, before : before + height * up, before : before + width * up] = spread
    rows, columns = taps.shape
    tall, wide = padded.shape[1] - rows + 1, padded.shape[2] - columns + 1
    result = x.new_zeros(channels, tall, wide)
    for i in range(rows):
        for j in range(columns):
            result += taps[rows - 1 - i, columns - 1 - j] * padded[:, i : i + tall, j : j + wide]
    return result * gain


def modulated(x, weight, style, demodulate, up, taps):
    """One row: (I, H, W) with a weight of its own, equations 1 to 3 of arXiv:1912.04958."""
    own = weight * style[None, :, None, None]
    if demodulate:
        own = own / (own.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8).sqrt()
    if up == 2:  # enlarge first, then convolve in earnest: the weight is turned round
        size = taps.shape[0]
        x = upfirdn(x, taps, 2, 1 + (size + 1) // 2, 1 + (size - 2) // 2, 4.0)
        own = own.flip([2, 3])
    elif weight.shape[2] == 3:
        x = torch.nn.functional.pad(x, (1, 1, 1, 1))
    side = weight.shape[2]
    tall, wide = x.shape[1] - side + 1, x.shape[2] - side + 1
    result = x.new_zeros(len(weight), tall, wide)
    for i in range(side):
        for j in range(side):
            result += torch.einsum("oi,ihw->ohw", own[:, :, i, j], x[:, i : i + tall, j : j + wide])
    return result


def dense(state, name, x, rate=1.0):
    weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
    return weight @ x * rate / math.sqrt(weight.shape[1]) + bias * rate


def lrelu(x, clamp):
    x = torch.where(x < 0, 0.2 * x, x) * math.sqrt(2)
    return x if clamp is None else x.clamp(-clamp, clamp)


def reference(network, z, truncation, clamp=None, noise=True, label=None):
    state = {key: value.double() for key, value in network.state_dict().items()}
    pictures = []
    for row in z.double():
        x = row / math.sqrt(float(row.square().mean()) + 1e-8)
        if label is not None:
            hot = torch.nn.functional.one_hot(torch.tensor(label), network.sizes.classes).double()
            embedded = dense(state, "mapping.embed", hot)
            x = torch.cat([x, embedded / (embedded.square().mean() + 1e-8).sqrt()])
        for number in range(len(network.sizes.mapping)):
            x = lrelu(dense(state, f"mapping.fc{number}", x, 0.01), None)
        mean = state["mapping.w_avg"]
        w = mean + truncation * (x - mean)
        x = picture = None
        for resolution in sorted(network.sizes.channels):
            block = f"synthesis.b{resolution}"
            for layer in ("conv0", "conv1"):
                name = f"{block}.{layer}"
                if layer == "conv0" and x is None:
                    x = state[f"{block}.const"]
                    continue
                up = 2 if layer == "conv0" else 1
                x = modulated(
                    x, state[f"{name}.weight"], dense(state, f"{name}.affine", w), True, up, state[f"{name}.resample_filter"]
                )
                if noise:
                    x = x + state[f"{name}.noise_const"] * state[f"{name}.noise_strength"]
                x = lrelu(x + state[f"{name}.bias"][:, None, None], clamp)
            name = f"{block}.torgb"
            weight = state[f"{name}.weight"]
            style = dense(state, f"{name}.affine", w) / math.sqrt(weight.shape[1])
            drawn = modulated(x, weight, style, False, 1, None) + state[f"{name}.bias"][:, None, None]
            if clamp is not None:
                drawn = drawn.clamp(-clamp, clamp)
            if picture is not None:
                picture = upfirdn(picture, state[f"{block}.resample_filter"], 2, 2, 1, 4.0)
            picture = drawn if picture is None else picture + drawn
        pictures.append(picture)
    return torch.stack(pictures)


@pytest.mark.parametrize(("truncation", "clamp"), [(1.0, None), (0.6, None), (1.0, 0.8)])
def test_pictures_equal_the_formulas(truncation, clamp):
    network = tiny()
    z = torch.randn(3, 6, generator=torch.Generator().manual_seed(1))
    found = network(z, truncation, clamp=clamp)
    assert found.shape == (3, 3, 16, 16)
    assert found.std() > 0.1
    torch.testing.assert_close(found.double(), reference(network, z, truncation, clamp), atol=1e-5, rtol=1e-5)


def test_classes_enter_as_in_the_formulas():
    sizes = StyleGAN2Sizes(6, 5, classes=4, class_features=3, mapping=(7, 5), channels={4: 8, 8: 6})
    network = tiny(1, sizes)
    z = torch.randn(2, 6)
    torch.testing.assert_close(network(z, label=2).double(), reference(network, z, 1.0, label=2), atol=1e-5, rtol=1e-5)
    assert not torch.allclose(network(z, label=2), network(z, label=1))


def test_names_are_the_official_ones():
    """The keys of G_ema.state_dict() in stylegan3's networks_stylegan2, for a size of 8 and two mapping layers."""
    sizes = StyleGAN2Sizes(6, 5, 0, 0, (5, 5), {4: 8, 8: 6})
    layer = ("weight", "noise_strength", "bias", "resample_filter", "noise_const", "affine.weight", "affine.bias")
    rgb = ("weight", "bias", "affine.weight", "affine.bias")
    expected = {"synthesis.b4.const", "synthesis.b4.resample_filter", "synthesis.b8.resample_filter", "mapping.w_avg"}
    expected |= {f"synthesis.{place}.{each}" for place in ("b4.conv1", "b8.conv0", "b8.conv1") for each in layer}
    expected |= {f"synthesis.{place}.torgb.{each}" for place in ("b4", "b8") for each in rgb}
    expected |= {f"mapping.fc{number}.{each}" for number in (0, 1) for each in ("weight", "bias")}
    state = StyleGAN2Network(sizes).state_dict()
    assert set(state) == expected
    assert state["synthesis.b8.conv0.noise_strength"].shape == ()
    assert state["synthesis.b8.conv0.weight"].shape == (6, 8, 3, 3)


def test_the_size_of_ffhq_has_eighteen_styles():
    with torch.device("meta"):
        network = StyleGAN2Network(StyleGAN2Sizes(512, 512, 0, 0, (512,) * 8, {2**k: 32 for k in range(2, 11)}))
    assert network.synthesis.num_ws == 18


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "tiny.safetensors"
    save_file({key: value.clone() for key, value in tiny().state_dict().items()}, path)
    return path


def own(path, **options):
    return CustomModel("tiny", "stylegan2", str(path), options, title="Tiny")


def loaded(path, **options):
    return stylegan2.load_custom(own(path, **options), torch.device("cpu"))


def test_sizes_are_read_off_the_weights(saved):
    model = loaded(saved)
    assert model.network.sizes == SIZES
    assert (model.latent_dim, model.image_size) == (6, 16)
    assert model.step_scale == pytest.approx(math.sqrt(6))
    z = model.sample([3, 4])
    expected = (reference(tiny(), z, 1.0, 256.0) + 1) / 2
    torch.testing.assert_close(model.decode(z).double(), expected.clamp(0, 1), atol=1e-5, rtol=1e-5)


def test_a_plain_state_dict_loads_too(saved, tmp_path):
    state = tiny().state_dict()
    torch.save({"G_ema": state}, tmp_path / "tiny.pt")
    z = torch.randn(2, 6)
    assert torch.equal(loaded(tmp_path / "tiny.pt").decode(z), loaded(saved).decode(z))


def test_truncation_and_noise_are_options(saved):
    z = loaded(saved).sample([1])
    half = (reference(tiny(), z, 0.5, 256.0) + 1) / 2
    torch.testing.assert_close(loaded(saved, truncation=0.5).decode(z).double(), half.clamp(0, 1), atol=1e-5, rtol=1e-5)
    still = (reference(tiny(), z, 1.0, 256.0, noise=False) + 1) / 2
    torch.testing.assert_close(loaded(saved, noise="none").decode(z).double(), still.clamp(0, 1), atol=1e-5, rtol=1e-5)
    drawn = loaded(saved, noise=7).decode(z)
    assert torch.equal(drawn, loaded(saved, noise=7).decode(z))
    assert not torch.equal(drawn, loaded(saved, noise=8).decode(z))


def test_w_space_shows_the_same_faces_and_has_the_same_length(saved):
    z, w = loaded(saved), loaded(saved, space="w")
    assert w.latent_dim == 5
    seeds = range(200)
    torch.testing.assert_close(w.decode(w.sample(seeds)), z.decode(z.sample(seeds)), atol=1e-4, rtol=1e-4)
    lengths = w.sample(seeds).square().sum(dim=1).mean().sqrt()
    assert lengths == pytest.approx(w.step_scale, rel=0.1)
    assert w.sample([]).shape == (0, 5)


def test_gradient_reaches_the_latents_in_both_spaces(saved):
    for space in ("z", "w"):
        model = loaded(saved, space=space)
        latents = model.sample([3]).requires_grad_(True)
        model.decode(latents).square().sum().backward()
        assert latents.grad.abs().max() > 0


# five resolutions, of which half precision may touch all but the lowest
DEEP = StyleGAN2Sizes(z_dim=6, w_dim=5, classes=0, class_features=0, mapping=(7, 5), channels={4: 8, 8: 8, 16: 6, 32: 6, 64: 4})


def drawn_by(precision, clamp=256.0, truncation=1.0):
    card = stylegan2.make_card(CustomModel("tiny", "stylegan2", "tiny.safetensors", {}, title="Tiny"))
    cpu = torch.device("cpu")
    return stylegan2.StyleGAN2(tiny(2, DEEP), cpu, card, clamp=clamp, truncation=truncation, precision=precision)


@pytest.mark.parametrize(("precision", "most"), [("float16", 0.01), ("bfloat16", 0.08)])
def test_half_precision_draws_nearly_the_same_pictures_as_float32(precision, most):
    z = drawn_by("float32").sample(range(6))
    with torch.no_grad():
        exact, half = drawn_by("float32").decode(z), drawn_by(precision).decode(z)
    assert half.dtype == torch.float32, "what is judged is float32"
    apart = (half - exact).abs()
    assert 0 < apart.max() < most
    assert apart.mean() < most / 8
    assert exact.std() > 0.1


def test_half_precision_keeps_large_activations_finite():
    """Styles a thousand times as long are taken out by demodulation in float32; in float16 they would overflow on the way."""
    pictures = []
    for precision in ("float32", "float16"):
        model = drawn_by(precision)
        for name, parameter in model.network.named_parameters():
            if "conv" in name and ".affine." in name:
                parameter.mul_(2000.0)
        with torch.no_grad():
            pictures.append(model.decode(model.sample([1, 2])))
    exact, half = pictures
    assert torch.isfinite(half).all()
    assert (half - exact).abs().max() < 0.01


def test_which_resolutions_are_halved_and_which_never(monkeypatch):
    seen = []
    usual = stylegan2.SynthesisLayer.forward

    def forward(self, x, *others):
        seen.append((x.shape[-1] * (2 if self.up else 1), x.dtype))
        return usual(self, x, *others)

    monkeypatch.setattr(stylegan2.SynthesisLayer, "forward", forward)
    model = drawn_by("float16")
    z = model.sample([1])
    with torch.no_grad():
        model.decode(z)
    full, half = torch.float32, torch.float16
    assert seen == [(4, full), *[(side, half) for side in (8, 8, 16, 16, 32, 32, 64, 64)]]
    for exact, latents in (
        (drawn_by("auto"), z),  # the processor's choice
        (drawn_by("float16", clamp=None), z),  # without a limit float16 overflows
        (model, z.clone().requires_grad_()),  # small gradients would be lost
    ):
        seen.clear()
        exact.decode(latents)
        assert {dtype for _, dtype in seen} == {full}
    network = StyleGAN2Network(StyleGAN2Sizes(6, 5, 0, 0, (5,), {2**k: 2 for k in range(2, 9)}))
    seen.clear()
    network.synthesis(torch.zeros(1, 14, 5), precision=torch.bfloat16)
    assert {side for side, dtype in seen if dtype == torch.bfloat16} == {32, 64, 128, 256}, "the highest four"


def altered(tmp_path, change):
    state = {key: value.clone() for key, value in tiny().state_dict().items()}
    change(state)
    save_file(state, tmp_path / "altered.safetensors")
    return tmp_path / "altered.safetensors"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda state: state.pop("synthesis.b8.conv0.noise_const"), "lacks 'synthesis.b8.conv0.noise_const'"),
        (lambda state: state.pop("synthesis.b4.conv1.affine.weight"), "lacks 'synthesis.b4.conv1.affine.weight'"),
        (
            lambda state: state.update({"synthesis.b8.conv0.weight": torch.zeros(6, 9, 3, 3)}),
            "'synthesis.b8.conv0.weight' in .* shape",
        ),
        (lambda state: state["mapping.w_avg"].fill_(torch.nan), "'mapping.w_avg' in .* not finite"),
        (lambda state: state.update({"synthesis.input.weight": torch.zeros(1)}), "'synthesis.input.weight' .* StyleGAN3"),
        (lambda state: state.update({"extra.weight": torch.zeros(1)}), "'extra.weight' in .* unknown"),
    ],
)
def test_wrong_weights_are_refused_by_their_first_wrong_key(tmp_path, change, sentence):
    with pytest.raises(LiminalError, match=sentence):
        stylegan2.read_stylegan2(altered(tmp_path, change))


@pytest.mark.parametrize(
    "options",
    [{"space": "x"}, {"truncation": 0}, {"truncation": True}, {"noise": -1}, {"clamp": 0}, {"label": -1}, {"precision": "int8"}],
)
def test_options_that_make_no_sense_are_named(saved, options):
    with pytest.raises(LiminalError, match=f"option {next(iter(options))} is"):
        loaded(saved, **options)


def test_half_precision_needs_a_limit(saved):
    assert loaded(saved, precision="float16").precision == torch.float16
    assert loaded(saved, clamp=None).precision == torch.float32
    with pytest.raises(LiminalError, match="without a clamp overflows; use float32"):
        loaded(saved, precision="float16", clamp=None)


def test_a_class_needs_a_network_with_classes(saved):
    with pytest.raises(LiminalError, match="knows 0 classes"):
        loaded(saved, label=1)
