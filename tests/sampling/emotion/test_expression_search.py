import dataclasses

import numpy as np
import pytest
import torch

from core.sampling.emotion.expression_search import search_expressions
from core.sampling.emotion.generate import generate_emotion_set
from core.sampling.emotion.morph import make_morph
from core.sampling.stored.reference import ExpressionRange
from tests.fakes import LATENT_DIM
from tests.sampling.emotion.planted import FeelingGenerator, configuration, pair_shares, planted_base, planted_panel, ways

BLOCK = slice(0, 7)


class StillGenerator(FeelingGenerator):
    differentiable = False

    def facial_actions(self, latents):
        return latents[:, BLOCK]


def panel(surrogate=None, spread=2.0):
    actions = np.random.default_rng(0).normal(scale=spread, size=(4000, 7))
    made = planted_panel(StillGenerator(), surrogate=surrogate)
    return dataclasses.replace(made, reference=dataclasses.replace(made.reference, expressions=ExpressionRange.of(actions)))


def bases(count=5):
    return torch.randn(count, LATENT_DIM, generator=torch.Generator().manual_seed(2))


def test_the_boundary_is_reached_by_the_expression_alone():
    found = search_expressions(bases(), configuration(), panel(), range(5))
    shares = pair_shares(panel(), found, configuration().pair)
    assert (shares[..., 0] - shares[..., 1]).abs().max() < 0.25
    assert shares.sum(dim=2).mean() > 0.6
    assert torch.equal(found[:, BLOCK.stop :], bases()[:, BLOCK.stop :])


def test_true_pictures_correct_a_surrogate_that_is_off():
    """It promises two more of fear than there is: without anchors all faces would end at sadness."""
    off = ways().clone()
    panel_of_truth = panel()
    surrogate = type(panel_of_truth.surrogate)([off, 1.3 * off])
    promised = surrogate.logits
    surrogate.logits = lambda latents: promised(latents) + torch.eye(6)[1] * 2
    misled = dataclasses.replace(panel_of_truth, surrogate=surrogate)
    shares = pair_shares(misled, search_expressions(bases(), configuration(), misled, range(5)), configuration().pair)
    assert (shares[..., 0] - shares[..., 1]).abs().mean() < 0.25


def test_faces_stay_natural():
    narrow = panel(spread=0.5)
    found = search_expressions(bases(), configuration(), narrow, range(5))
    assert narrow.reference.expressions.contains(narrow.generator.facial_actions(found)).all()


def test_a_row_depends_on_its_own_seed_alone_and_seeds_differ():
    base = bases(1).expand(4, -1)
    together = search_expressions(base, configuration(), panel(), [1, 2, 3, 4])
    assert len({row.numpy().tobytes() for row in together}) == 4
    alone = search_expressions(base[:1], configuration(), panel(), [3])
    assert torch.allclose(together[2], alone[0], atol=1e-5)


def test_sets_and_morphs_take_this_way():
    c = configuration(strategy="direct", count=3)
    made = generate_emotion_set(c, base=planted_base(), panel=panel())
    rest = planted_base().latent[BLOCK.stop :]
    assert len(made.samples) == 4
    assert all(np.array_equal(latent[BLOCK.stop :], rest) for latent in made.latents.values())
    found = make_morph(c, 5, base=planted_base(), panel=panel())
    shares = np.array([opinion["planted-mlp"].raw for opinion in found.opinions])[:, [1, 4]]
    assert shares[0, 0] > shares[0, 1] + 0.2
    assert shares[-1, 1] > shares[-1, 0] + 0.2


@pytest.mark.parametrize("guided", [True, False])
def test_unguided_faces_have_the_same_jitter_and_no_search(guided):
    c = configuration(strategy="direct", count=2, guided=guided)
    made = generate_emotion_set(c, base=planted_base(), panel=panel())
    moved = [latent for name, latent in made.latents.items() if not np.array_equal(latent, planted_base().latent)]
    assert len(moved) == 2
    assert all(np.array_equal(latent[:6], planted_base().latent[:6]) != guided for latent in moved)
