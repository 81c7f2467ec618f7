"""U-ViT, the noising around it, and what it learns. Independent reference for the noising: diffusers 0.42.0's DDPMScheduler."""

import math

import pytest
import torch
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import LiminalError
from core.models.builtin.prior import (
    FacePrior,
    UViT,
    UViTConfiguration,
    add_noise,
    denoise_step,
    estimate_clean,
    make_scheduler,
    noise_beyond_gaussian,
    read_alpha_bar,
    sample_prior,
)
from core.models.training.fit_priors import draw_gaussian, measure_denoising, measure_precision_recall, measure_two_sample_accuracy
from core.models.training.loop import TrainingPlan, train_network

TOTAL = 1000
TINY = UViTConfiguration(tokens=2, token_size=2, width=32, depth=2, heads=2)


def uvit(configuration=TINY, seed=0):
    torch.manual_seed(seed)
    return UViT(configuration).eval().requires_grad_(False)


def given_rows(n, e, seed=1):
    random = torch.Generator().manual_seed(seed)
    return torch.randn(n, e, generator=random), torch.randint(0, TOTAL, (n,), generator=random)


@pytest.mark.parametrize("size", [TINY, UViTConfiguration(), UViTConfiguration(tokens=3, token_size=4, width=24, depth=4, heads=3)])
def test_shape(size):
    x, step = given_rows(5, size.embedding_dim)
    noise = uvit(size)(x, step)
    assert noise.shape == (5, size.embedding_dim)
    assert torch.isfinite(noise).all()


@pytest.mark.parametrize(
    "wrong", [{"depth": 3}, {"width": 30, "heads": 4}, {"tokens": 0}, {"depth": 0}, {"heads": 0}, {"token_size": -1}]
)
def test_sizes_that_make_no_sense(wrong):
    with pytest.raises(LiminalError) as error:
        UViTConfiguration(**wrong)
    assert "\n" not in str(error.value)


def test_every_long_skip_is_used():
    network = uvit(UViTConfiguration(tokens=2, token_size=2, width=32, depth=4, heads=2))
    x, step = given_rows(4, 4)
    whole = network(x, step)
    for block in network.after:
        weight = block.join.weight
        width = weight.shape[1] // 2
        kept = weight.clone()
        weight[:, width:] = 0  # the branch that came over the skip
        assert (network(x, step) - whole).abs().max() > 1e-4
        weight.copy_(kept)
    assert torch.equal(network(x, step), whole)


def test_skips_join_shallow_with_deep():
    """The last block's skip is the first block's output: with all in between cut off, the first block still speaks."""
    network = uvit(UViTConfiguration(tokens=2, token_size=2, width=32, depth=4, heads=2))
    seen = []
    for block in (*network.before, *network.after):
        block.register_forward_hook(lambda _, inputs, output: seen.append((inputs, output)))
    network(*given_rows(3, 4))
    first, second, third, last = seen
    assert third[0][1] is second[1]
    assert last[0][1] is first[1]


def test_time_and_tokens_matter():
    network = uvit()
    x, _ = given_rows(6, 4)
    early, late = network(x, torch.full((6,), 10)), network(x, torch.full((6,), 900))
    assert (early - late).abs().max() > 1e-3
    other = x.clone()
    other[:, 3] += 1  # the second token changes what is said of the first
    assert (network(other, torch.full((6,), 10)) - early)[:, :2].abs().max() > 1e-5


@settings(max_examples=25, deadline=None)
@given(step=st.integers(0, TOTAL - 2), seed=st.integers(0, 10_000))
def test_noised_and_cleaned_invert_each_other(step, seed):
    random = torch.Generator().manual_seed(seed)
    clean, noise = torch.randn(3, 5, generator=random).double(), torch.randn(3, 5, generator=random).double()
    there = add_noise(clean, noise, torch.full((3,), step), TOTAL)
    share = float(read_alpha_bar(TOTAL)[step])
    assert (estimate_clean(there, noise, step, TOTAL) - clean).abs().max() < 1e-5 / math.sqrt(share)


def test_noising_agrees_with_diffusers():
    reference = DDPMScheduler(num_train_timesteps=TOTAL, beta_schedule="squaredcos_cap_v2", clip_sample=False)
    clean, step = given_rows(64, 7)
    noise = torch.randn(64, 7, generator=torch.Generator().manual_seed(9))
    assert torch.allclose(add_noise(clean, noise, step, TOTAL), reference.add_noise(clean, noise, step), atol=1e-6)
    # and one step back, at every step of the spread schedule: its estimate of x_0 is ours
    ours = make_scheduler(TOTAL, 10)
    assert [int(each) for each in ours.timesteps] == list(range(999, 0, -100))
    for each in ours.timesteps[1:]:
        x = add_noise(clean, noise, each.expand(64), TOTAL)
        estimate = ours.step(noise, each, x, generator=torch.Generator().manual_seed(0)).pred_original_sample
        assert torch.allclose(estimate_clean(x, noise, int(each), TOTAL), estimate, atol=1e-4)


def test_without_a_network_the_noise_is_a_gaussians_best_guess():
    """For x_0 ~ N(0, I) the regression of the noise on x_t is sqrt(1 - abar) x_t, and abar of the variance stays unexplained."""
    random = torch.Generator().manual_seed(2)
    clean, noise = torch.randn(200_000, 1, generator=random), torch.randn(200_000, 1, generator=random)
    for level in (50, 500, 900):
        step = torch.full((len(clean),), level)
        x = add_noise(clean, noise, step, TOTAL)
        guess = noise_beyond_gaussian(lambda x, _: torch.zeros_like(x), x, step, TOTAL)
        slope = float((noise * x).mean() / x.square().mean())
        assert torch.allclose(guess, slope * x, atol=0.03)
        assert float((guess - noise).square().mean()) == pytest.approx(float(read_alpha_bar(TOTAL)[level]), abs=0.02)


def clusters(count, seed):
    """Two clusters on a diagonal, mean 0 and variance 1 in every value, that a Gaussian blurs into one."""
    random = torch.Generator().manual_seed(seed)
    side = torch.randint(0, 2, (count, 1), generator=random) * 2.0 - 1
    return 0.95 * side + math.sqrt(1 - 0.95**2) * torch.randn(count, 4, generator=random)


@pytest.fixture(scope="module")
def learnt():
    torch.manual_seed(0)
    network = UViT(TINY)
    torch.nn.init.zeros_(network.out.weight)
    torch.nn.init.zeros_(network.out.bias)
    data = clusters(4000, 1)

    def loss(rows, random):
        noise = torch.randn(len(rows), 4, generator=random)
        step = torch.randint(0, TOTAL, (len(rows),), generator=random)
        x = add_noise(data[rows], noise, step, TOTAL)
        return (noise_beyond_gaussian(network, x, step, TOTAL) - noise).square().mean()

    train_network(network, loss, len(data), TrainingPlan(steps=300, batch=128, rate=3e-3, seed=0, average=0.99), name="tiny prior")
    return FacePrior(network, TOTAL, torch.device("cpu"))


def test_two_planted_clusters_are_learnt_better_than_by_a_gaussian(learnt):
    figures = measure_denoising(learnt, clusters(4000, 1), clusters(500, 2), seed=0)
    assert figures["n"] == 500
    assert figures["low"] < figures["ratio_to_gaussian"] < figures["high"] < 0.95


def test_an_untrained_prior_is_no_better_than_a_gaussian():
    network = uvit()
    torch.nn.init.zeros_(network.out.weight)
    torch.nn.init.zeros_(network.out.bias)
    random = torch.Generator().manual_seed(5)
    trained, held = torch.randn(4000, 4, generator=random), torch.randn(500, 4, generator=random)
    figures = measure_denoising(FacePrior(network, TOTAL, torch.device("cpu")), trained, held, seed=0)
    assert figures["ratio_to_gaussian"] == pytest.approx(1, abs=0.01)


def test_samples_fall_into_the_clusters(learnt):
    random = torch.Generator().manual_seed(4)
    drawn, held, trained = sample_prior(learnt, make_scheduler(TOTAL, 50), 400, random), clusters(400, 3), clusters(4000, 1)
    gaussian = draw_gaussian(trained, 400, random)
    between = [float((rows.mean(dim=1).abs() < 0.5).float().mean()) for rows in (drawn, gaussian)]  # of a cluster: some 0.3 %
    assert between[0] < 0.12 < 0.25 < between[1]
    assert 0.3 < float((drawn.mean(dim=1) > 0).float().mean()) < 0.7  # both clusters
    assert measure_precision_recall(held, drawn)[0] > measure_precision_recall(held, gaussian)[0] + 0.1


def test_two_sample_accuracy_tells_shifted_from_equal():
    random = torch.Generator().manual_seed(6)
    real, same, other, more = (torch.randn(300, 4, generator=random) for _ in range(4))
    equal = measure_two_sample_accuracy(real, same, other, more, seed=0)
    shifted = measure_two_sample_accuracy(real, same + 1.5, other, more + 1.5, seed=0)
    assert equal["low"] < 0.5 < equal["high"]
    assert shifted["low"] > 0.8
    assert equal["n"] == shifted["n"] == 600


def test_a_reverse_step_draws_from_its_generator_alone():
    x, _ = given_rows(2, 4)
    noise = torch.randn(2, 4, generator=torch.Generator().manual_seed(8))
    runs = [denoise_step(make_scheduler(TOTAL, 10), noise, 499, x, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])
