import dataclasses

import pytest
import torch

from core.models import registry
from core.sampling.emotion import direct
from core.sampling.emotion.configuration import EMOTION_PAIRS, EmotionConfiguration
from core.sampling.emotion.judging import EmotionPanel
from tests.fakes import LATENT_DIM, FakeGenerator
from tests.sampling.emotion.planted import HastyGenerator, configuration, pair_shares, planted_panel, ways


def bases(count=6, seed=3):
    latents = torch.randn(count, LATENT_DIM, generator=torch.Generator().manual_seed(seed))
    return latents * (LATENT_DIM**0.5 / latents.norm(dim=1, keepdim=True))


@pytest.mark.parametrize("pair", EMOTION_PAIRS[::4])
def test_the_boundary_is_reached(pair):
    panel, c = planted_panel(), configuration(emotion1=pair[0], emotion2=pair[1], freedom=1.0)
    before, after = (pair_shares(panel, latents, c.pair) for latents in (bases(), direct.search_boundary(bases(), c, panel)))
    assert (after[..., 0] - after[..., 1]).abs().max() < 0.1
    assert before.sum(dim=2).mean() < 0.6
    assert after.sum(dim=2).min() > 0.8


def test_filter_3_is_passed_there():
    panel, c = planted_panel(), configuration(freedom=1.0)
    found = direct.search_boundary(bases(), c, panel)
    with torch.inference_mode():
        images = panel.generator.decode(found)
        for network in panel.steering:
            assert panel.reference.exceeds_percentiles(network.name, network.logits(images).numpy(), c.pair).all()


def test_keeping_the_face_stays_nearer_to_the_base():
    panel = planted_panel()
    kept, free = (direct.search_boundary(bases(), configuration(freedom=freedom), panel) - bases() for freedom in (0.5, 1.0))
    assert (kept.norm(dim=1) < free.norm(dim=1)).all()
    assert kept.norm(dim=1).mean() < 0.8 * free.norm(dim=1).mean()


def test_latents_stay_on_the_shell_where_faces_are():
    lengths = direct.search_boundary(bases(), configuration(freedom=1.0), planted_panel()).square().mean(dim=1)
    assert (lengths > 0.5).all()
    assert (lengths < 1.8).all()


def test_both_ends_are_found():
    panel, c = planted_panel(), configuration()
    ends = {share: pair_shares(panel, direct.search_boundary(bases(), c, panel, share=share), c.pair) for share in (0.0, 0.5, 1.0)}
    assert (ends[0.0][..., 0] - ends[0.0][..., 1]).min() > 0.3
    assert (ends[1.0][..., 1] - ends[1.0][..., 0]).min() > 0.3
    assert ends[0.0][..., 1].mean() < ends[0.5][..., 1].mean() < ends[1.0][..., 1].mean()


def test_a_start_elsewhere_still_pulls_towards_the_base():
    panel, c = planted_panel(), configuration()
    start = bases(seed=8)
    found = direct.search_boundary(bases(), c, panel, start=start)
    assert ((found - bases()).norm(dim=1) < (start - bases()).norm(dim=1)).all()
    assert not torch.equal(found, direct.search_boundary(bases(), c, panel))


def test_the_real_networks_correct_a_surrogate_that_is_wrong():
    """The surrogate takes another emotion for the first one: only the steps through the real networks find the boundary."""
    wrong = [ways()[:, [0, 2, 1, 3, 4, 5]]] * 2
    panel, c = planted_panel(surrogate=wrong), configuration(freedom=1.0)
    alone = direct.search_boundary(bases(), configuration(freedom=1.0, search_steps=0), panel)
    corrected = direct.search_boundary(bases(), configuration(freedom=1.0, search_steps=60), panel)
    gap = [(shares[..., 0] - shares[..., 1]).abs().mean() for shares in (pair_shares(panel, x, c.pair) for x in (alone, corrected))]
    assert gap[0] > 0.3
    assert gap[1] < 0.1


def test_a_draft_that_is_off_is_corrected_by_the_picture():
    panel, c = planted_panel(HastyGenerator()), configuration(freedom=1.0)
    same = planted_panel(FakeGenerator())
    found, expected = direct.search_boundary(bases(), c, panel), direct.search_boundary(bases(), c, same)
    assert (found - expected).abs().max() < 0.02  # linear: the offset makes up for the draft entirely
    assert panel.generator.decoded > 0


def test_a_row_does_not_see_its_neighbours():
    panel, c = planted_panel(), configuration()
    together = direct.search_boundary(bases(), c, panel)
    alone = direct.search_boundary(bases()[2:3], c, panel)[0]
    assert torch.allclose(together[2], alone, atol=1e-4)  # to the byte in groups of one size, which generate sees to


def test_the_way_is_told():
    told = []
    direct.search_boundary(bases(), configuration(), planted_panel(), on_step=lambda share, said: told.append((share, said)))
    fractions = [share for share, _ in told]
    assert fractions == sorted(fractions)
    assert fractions[0] == 0
    assert 0.9 < fractions[-1] < 1
    assert all(said.shape == (6, 6) and torch.allclose(said.sum(dim=1), torch.ones(6), atol=1e-5) for _, said in told)
    gaps = [(said[:, 1] - said[:, 4]).abs().mean() for _, said in told]
    assert gaps[-1] < 0.3 * gaps[0]


def test_the_committed_networks_reach_the_boundary_and_the_filter():
    """Fear and surprise under the real steering networks, from real faces; plain faces pass the filter in a few per cent."""
    c = EmotionConfiguration("surprise", "fear", generator="dcgan", strategy="direct")
    panel = EmotionPanel.load(c)
    base = registry.load("dcgan", "generator").sample(range(100, 104))
    before, after = (pair_shares(panel, latents, c.pair) for latents in (base, direct.search_boundary(base, c, panel)))
    assert after.sum(dim=2).mean() > before.sum(dim=2).mean() + 0.2
    lean_before, lean_after = (2 * (shares[..., 1] / shares.sum(dim=2) - 0.5).abs().mean() for shares in (before, after))
    assert lean_after < 0.5 * lean_before


def test_without_a_surrogate_the_real_networks_reach_the_boundary():
    """A generator or steerer that a user added: one network is climbed from the first step on."""
    panel = planted_panel()
    alone = dataclasses.replace(panel, surrogate=None, steering=panel.steering[1:])
    c = configuration(freedom=1.0)
    after = pair_shares(alone, direct.search_boundary(bases(), c, alone), c.pair)
    assert (after[..., 0] - after[..., 1]).abs().max() < 0.1
    assert after.sum(dim=2).min() > 0.8
