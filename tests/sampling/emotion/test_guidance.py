"""Equations (1) and (2) by hand, and where the two forms of the loss and the adaptive scale differ from them."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.models.builtin.emotion_mlp import EmotionMLP, EmotionMLPNetwork
from core.models.builtin.prior import estimate_clean, read_alpha_bar
from core.sampling.emotion.configuration import EmotionConfiguration
from core.sampling.emotion.two_stage import LEAST_LOSS, LOGIT_DIVISOR, RESTING_EXCESS, UncertaintyGuide, measure_uncertainty_loss

E = 8
TOTAL = 1000
PAIR = (1, 4)  # fear and sadness


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


def guide(mlp, **values):
    return UncertaintyGuide(mlp, EmotionConfiguration("fear", "sadness", **values), TOTAL)


def rows(n=6, seed=1):
    random = torch.Generator().manual_seed(seed)
    return torch.randn(n, E, generator=random), torch.randn(n, E, generator=random)


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
    x, noise = rows()
    pushed = guide(mlp, adaptive=False, loss=form, gamma=gamma).push(x, noise, 500, 0.3)
    network = EmotionMLPNetwork(E, 16).double()
    network.load_state_dict({key: value.double() for key, value in mlp.network.state_dict().items()})

    def loss(at):
        return measure_uncertainty_loss(network(at).softmax(dim=1), PAIR, form)

    h = 1e-5
    with torch.no_grad():
        expected = torch.stack([(loss(x + h * unit) - loss(x - h * unit)) / (2 * h) for unit in torch.eye(E).double()], dim=1)
    assert torch.allclose(pushed.double(), gamma * expected, atol=1e-5, rtol=1e-3)
    assert pushed.abs().max() > 1e-3
    assert torch.equal(guide(mlp, adaptive=False, loss=form, gamma=gamma).push(x, 3 * noise, 20, 7.0), pushed)  # only x_t counts


def test_the_adaptive_push_is_as_long_as_the_steps_noise_and_asked_at_the_estimate(mlp):
    """At gamma 0.5; its direction is the gradient's at the estimate of x_0, with the logits softened."""
    x, noise = rows()
    pushed = guide(mlp, adaptive=True, gamma=0.5).push(x, noise, 500, 0.3)
    asked = estimate_clean(x, noise, 500, TOTAL).requires_grad_()
    losses = measure_uncertainty_loss((mlp.logits_of(asked) / LOGIT_DIVISOR).softmax(dim=1), PAIR, "cross-entropy")
    (gradient,) = torch.autograd.grad(losses.sum(), asked)
    assert torch.nn.functional.cosine_similarity(pushed, gradient).min() > 0.9999
    far = losses.detach() - math.log(2) > RESTING_EXCESS
    assert far.sum() >= 3
    assert torch.allclose(pushed[far].norm(dim=1), torch.full((int(far.sum()),), 0.3 * math.sqrt(E)), rtol=1e-4)
    for changed in (guide(mlp, gamma=1.0).push(x, noise, 500, 0.3), guide(mlp, gamma=0.5).push(x, noise, 500, 0.6)):
        assert torch.allclose(changed, 2 * pushed, rtol=1e-4, atol=1e-6)


def test_going_against_the_push_lowers_the_loss(mlp):
    x, _ = rows(40, seed=5)
    none = torch.zeros_like(x)
    # at step 0 nearly everything is signal, so that the estimate of x_0 is x_t itself
    scale = float(read_alpha_bar(TOTAL)[0].sqrt())
    for adaptive in (True, False):
        g = guide(mlp, adaptive=adaptive, gamma=0.05)
        before = measure_uncertainty_loss(mlp.logits_of(x / scale).softmax(dim=1), PAIR, "cross-entropy")
        after = measure_uncertainty_loss(mlp.logits_of((x - g.push(x, none, 0, 0.1)) / scale).softmax(dim=1), PAIR, "cross-entropy")
        assert (after - before).max() < 1e-5
        assert (after - before).mean() < -1e-4


def test_the_adaptive_push_comes_to_rest_at_the_goal():
    """A linear network that is even on the pair at one place: there the push vanishes, and near it it is short."""
    network = EmotionMLPNetwork(2, 4)

    class Even(EmotionMLP):
        def logits_of(self, embeddings):
            first, second = embeddings[:, :1], -embeddings[:, :1]
            others = torch.full((len(embeddings), 1), -30.0)
            return torch.cat([others, first, others, others, second, others], dim=1)

    even = Even(NoEncoder(), network)
    scale = read_alpha_bar(TOTAL)[300].sqrt()
    x = torch.tensor([[0.0, 0.3], [0.1, 0.3], [3.0, 0.3]]) * scale  # estimates of x_0, their noise being none
    pushed = guide(even, gamma=0.5).push(x, torch.zeros_like(x), 300, 0.2)
    lengths = pushed.norm(dim=1)
    assert lengths[0] < 1e-6
    assert 0 < lengths[1] < 0.5 * lengths[2]
    assert float(lengths[2]) == pytest.approx(0.2 * math.sqrt(2), rel=1e-5)
    assert pushed[2, 0] > 0  # subtracted, it leads back to the middle


def test_a_row_does_not_see_its_neighbours(mlp):
    x, noise = rows(7)
    g = guide(mlp)
    assert torch.equal(g.push(x, noise, 400, 0.2)[2], g.push(x[2:3], noise[2:3], 400, 0.2)[0])
