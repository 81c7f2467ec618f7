"""Equations (1) and (2) by hand, and where the two forms of the loss and the adaptive scale differ from them."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.models.builtin.emotion_mlp import EmotionMLP, EmotionMLPNetwork
from core.models.builtin.prior import estimate_clean, read_alpha_bar
from core.models.contracts import Prior
from core.sampling.emotion.configuration import EmotionConfiguration
from core.sampling.emotion.two_stage import GUIDANCE_STRENGTH, LOGIT_DIVISOR, UncertaintyGuide, measure_uncertainty_loss

E = 8
TOTAL = 1000
PAIR = (1, 4)  # fear and sadness
LEAST_LOSS = {"product": -0.5, "cross-entropy": math.log(2)}  # at p = (1/2, 1/2); the product's all along p1 + p2 = 1


class NoEncoder:
    device = torch.device("cpu")


@pytest.fixture(scope="module")
def mlp():
    torch.manual_seed(2)
    network = EmotionMLPNetwork(E, 16)
    for layer in network:
        if hasattr(layer, "weight"):
            layer.weight.data *= 2
    return EmotionMLP(NoEncoder(), network)


class BentPrior(Prior):
    """The noise that it predicts bends with x_t, so that a gradient through it differs from one that stops at the estimate."""

    embedding_dim, train_steps, device = E, TOTAL, torch.device("cpu")

    def noise(self, noised, step):
        return 0.3 * torch.sin(2 * noised) * (1 + step[:, None] / TOTAL)


class SilentPrior(BentPrior):
    def noise(self, noised, step):
        return 0 * noised


def guide(mlp, prior=None, **values):
    return UncertaintyGuide(mlp, EmotionConfiguration("fear", "sadness", **values), prior or BentPrior())


def rows(n=6, seed=1):
    return torch.randn(n, E, generator=torch.Generator().manual_seed(seed))


def probabilities(p1, p2):
    p = torch.full((1, 6), (1 - p1 - p2) / 4, dtype=torch.float64)
    p[0, PAIR[0]], p[0, PAIR[1]] = p1, p2
    return p


shares = st.tuples(st.floats(0.001, 0.998), st.floats(0.001, 0.998)).filter(lambda pair: sum(pair) < 1)


@given(shares)
def test_equation_1_by_hand(pair):
    p1, p2 = pair
    p = probabilities(p1, p2)
    q = torch.zeros(6, dtype=torch.float64)
    q[PAIR[0]] = q[PAIR[1]] = 0.5
    assert float(measure_uncertainty_loss(p, PAIR, "product")) == pytest.approx(float(-(p @ q)))
    assert float(measure_uncertainty_loss(p, PAIR, "cross-entropy")) == pytest.approx(-(math.log(p1) + math.log(p2)) / 2)


@given(st.floats(0.001, 0.999))
def test_along_the_pair_the_product_is_flat_and_the_cross_entropy_is_not(p1):
    edge = probabilities(p1, 1 - p1)
    assert float(measure_uncertainty_loss(edge, PAIR, "product")) == pytest.approx(LEAST_LOSS["product"])
    excess = float(measure_uncertainty_loss(edge, PAIR, "cross-entropy")) - LEAST_LOSS["cross-entropy"]
    assert excess >= -1e-12
    assert excess >= 2 * (p1 - 0.5) ** 2 - 1e-12  # Pinsker's inequality: evenness is asked for


@given(shares)
def test_neither_form_falls_below_its_least(pair):
    for form, least in LEAST_LOSS.items():
        assert float(measure_uncertainty_loss(probabilities(*pair), PAIR, form)) >= least - 1e-9


def test_no_probability_at_all_costs_much_but_is_finite():
    p = torch.zeros(1, 6).index_fill_(1, torch.tensor([0]), 1.0).requires_grad_()
    loss = measure_uncertainty_loss(p, PAIR, "cross-entropy")
    loss.backward()
    assert 20 < float(loss.detach()) < 100
    assert torch.isfinite(p.grad).all()


@pytest.mark.parametrize("form", ["product", "cross-entropy"])
@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_the_unscaled_push_is_gamma_times_the_gradient_at_x_t(mlp, form, gamma):
    """Central finite differences in double precision."""
    x = rows()
    pushed = guide(mlp, adaptive=False, loss=form, gamma=gamma).push(x, 500, 0.3)
    network = EmotionMLPNetwork(E, 16).double()
    network.load_state_dict({key: value.double() for key, value in mlp.network.state_dict().items()})

    def loss(at):
        return measure_uncertainty_loss(network(at).softmax(dim=1), PAIR, form)

    h = 1e-5
    with torch.no_grad():
        expected = torch.stack([(loss(x + h * unit) - loss(x - h * unit)) / (2 * h) for unit in torch.eye(E).double()], dim=1)
    assert torch.allclose(pushed.double(), gamma * expected, atol=1e-5, rtol=1e-3)
    assert pushed.abs().max() > 1e-3
    assert torch.equal(guide(mlp, SilentPrior(), adaptive=False, loss=form, gamma=gamma).push(x, 20, 7.0), pushed)  # only x_t


def test_the_adaptive_push_goes_through_the_prior(mlp):
    """Central finite differences of loss(x_0(x_t)), the prior's network included; scaled by gamma and the posterior's variance."""
    x, prior = rows(), BentPrior()
    pushed = guide(mlp, gamma=0.5).push(x, 500, 1e-5)
    network = EmotionMLPNetwork(E, 16).double()
    network.load_state_dict({key: value.double() for key, value in mlp.network.state_dict().items()})

    def loss(at):
        estimate = estimate_clean(at, prior.noise(at, torch.full((len(at),), 500)), 500, TOTAL)
        return measure_uncertainty_loss((network(estimate) / LOGIT_DIVISOR).softmax(dim=1), PAIR, "cross-entropy")

    h, x = 1e-5, x.double()
    with torch.no_grad():
        slopes = torch.stack([(loss(x + h * unit) - loss(x - h * unit)) / (2 * h) for unit in torch.eye(E).double()], dim=1)
    expected = GUIDANCE_STRENGTH * 1e-5 * 0.5 * slopes
    assert torch.allclose(pushed.double(), expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))
    stopped = guide(mlp, SilentPrior(), gamma=0.5).push(rows(), 500, 1e-5)
    assert not torch.allclose(pushed, stopped, rtol=0.05)
    assert guide(mlp, gamma=0.5).push(10 * rows(), 500, 0.3).norm(dim=1).max() <= math.sqrt(0.3 * E) * 1.001  # the noise's length


def test_going_against_the_push_lowers_the_loss(mlp):
    x = rows(40, seed=5)
    # at step 0 nearly everything is signal, so that the estimate of x_0 is x_t itself
    scale = float(read_alpha_bar(TOTAL)[0].sqrt())
    for adaptive in (True, False):
        g = guide(mlp, SilentPrior(), adaptive=adaptive, gamma=0.02)
        before = measure_uncertainty_loss(mlp.logits_of(x / scale).softmax(dim=1), PAIR, "cross-entropy")
        after = measure_uncertainty_loss(mlp.logits_of((x - g.push(x, 0, 0.1)) / scale).softmax(dim=1), PAIR, "cross-entropy")
        assert (after - before).max() < 1e-5
        assert (after - before).mean() < -1e-5


def test_a_row_does_not_see_its_neighbours(mlp):
    x = rows(7)
    g = guide(mlp)
    assert torch.equal(g.push(x, 400, 0.2)[2], g.push(x[2:3], 400, 0.2)[0])
