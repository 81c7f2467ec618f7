import dataclasses
import math

import numpy as np
import pytest
import torch

from core.models import registry
from core.models.builtin.prior import make_scheduler, read_alpha_bar
from core.sampling.emotion import two_stage
from core.sampling.emotion.configuration import EmotionConfiguration
from core.sampling.emotion.generate import generate_emotion_set
from core.sampling.emotion.judging import EmotionPanel
from tests.fakes import LATENT_DIM
from tests.sampling.emotion.planted import HastyGenerator, PlantedEncoder, configuration, planted_base, planted_panel

SEEDS = list(range(50, 56))


def start(count=6, seed=3):
    return torch.randn(count, LATENT_DIM, generator=torch.Generator().manual_seed(seed))


def said(panel, embeddings, c):
    return panel.mlp.logits_of(embeddings).softmax(dim=1)[:, list(c.pair)]


def test_with_little_freedom_and_no_guidance_the_base_comes_back():
    panel = planted_panel()
    near = two_stage.denoise_embeddings(start(), SEEDS, configuration(guided=False, freedom=0.01), panel)
    far = two_stage.denoise_embeddings(start(), SEEDS, configuration(guided=False, freedom=1.0), panel)
    assert (near - start()).norm(dim=1).max() < 0.2 * math.sqrt(LATENT_DIM)
    assert (far - start()).norm(dim=1).min() > 0.2 * math.sqrt(LATENT_DIM)


def test_wholly_free_and_unguided_samples_follow_the_prior():
    """From any base, the planted prior's N(0, I) comes out: within four standard errors of mean and variance."""
    many = torch.full((300, LATENT_DIM), 3.0)
    c = configuration(guided=False, freedom=1.0)
    drawn = two_stage.denoise_embeddings(many, range(300), c, planted_panel())
    assert drawn.mean(dim=0).abs().max() < 4 / math.sqrt(300)
    assert (drawn.var(dim=0) - 1).abs().max() < 4 * math.sqrt(2 / 300) + 0.05


@pytest.mark.parametrize("loss", ["product", "cross-entropy"])
def test_guidance_leads_to_the_pair(loss):
    panel = planted_panel()
    c, plain = configuration(freedom=1.0, loss=loss), configuration(freedom=1.0, guided=False)
    guided = said(panel, two_stage.denoise_embeddings(start(), SEEDS, c, panel), c)
    unguided = said(panel, two_stage.denoise_embeddings(start(), SEEDS, plain, panel), c)
    assert guided.sum(dim=1).mean() > unguided.sum(dim=1).mean() + 0.3


def test_the_cross_entropy_form_is_more_even_than_the_product():
    panel = planted_panel()
    gap = {}
    for loss in ("product", "cross-entropy"):
        c = configuration(freedom=1.0, loss=loss)
        shares = said(panel, two_stage.denoise_embeddings(start(40), range(40), c, panel), c)
        gap[loss] = float((shares[:, 0] - shares[:, 1]).abs().mean())
    assert gap["cross-entropy"] < 0.15
    assert gap["cross-entropy"] < 0.5 * gap["product"]


def test_keeping_the_face_stays_nearer():
    panel = planted_panel()
    apart = [
        (two_stage.denoise_embeddings(start(40), range(40), configuration(freedom=freedom), panel) - start(40)).norm(dim=1).mean()
        for freedom in (0.2, 0.5, 1.0)
    ]
    assert apart[0] < apart[1] < apart[2]


def test_resampling_guides_again():
    panel = planted_panel()
    once, twice = (
        two_stage.denoise_embeddings(start(20), range(20), configuration(resampling=times, gamma=0.2), panel) for times in (1, 3)
    )
    c = configuration()
    assert not torch.equal(once, twice)
    assert said(panel, twice, c).sum(dim=1).mean() > said(panel, once, c).sum(dim=1).mean()


def test_the_noise_of_a_row_is_its_seeds():
    panel, c = planted_panel(), configuration()
    together = two_stage.denoise_embeddings(start(), SEEDS, c, panel)
    swapped = two_stage.denoise_embeddings(start().flip(0), SEEDS[::-1], c, panel).flip(0)
    assert torch.allclose(together, swapped, atol=1e-5)
    same = two_stage.denoise_embeddings(start()[:1].expand(2, -1), [7, 7], c, panel)
    assert torch.equal(same[0], same[1])
    other = two_stage.denoise_embeddings(start()[:1].expand(2, -1), [7, 8], c, panel)
    assert not torch.equal(other[0], other[1])


def test_the_way_is_told_from_the_base_to_the_end():
    told = []
    panel, c = planted_panel(), configuration(freedom=0.5, steps=20, resampling=2)
    last = two_stage.denoise_embeddings(start(), SEEDS, c, panel, lambda share, x: told.append((share, x.clone())))
    assert [share for share, _ in told] == [place / 10 for place in range(11)]  # resampled steps are told once
    assert torch.equal(told[-1][1], last)


def test_the_variance_of_the_posterior_is_that_of_ddpm():
    """Between neighbouring steps diffusers' own (its DDPM scheduler 'fixed_small'); over skipped ones by equation (7)."""
    scheduler = make_scheduler(1000, 1000)
    for step in (1, 400, 998):
        expected = float(scheduler._get_variance(step))
        assert two_stage._measure_posterior_variance(step, step - 1, 1000) == pytest.approx(expected, rel=1e-3)
    shares = read_alpha_bar(1000).double()
    added = 1 - float(shares[600] / shares[400])
    expected = added * float((1 - shares[400]) / (1 - shares[600]))
    assert two_stage._measure_posterior_variance(600, 400, 1000) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("generator", [None, HastyGenerator()], ids=["no draft", "a draft that is off"])
def test_the_decoded_latent_has_the_wanted_embedding(generator):
    """Of the picture itself, also where the descent goes through a draft that shows another face."""
    panel = planted_panel(generator)
    wanted = 0.9 * start() / start().norm(dim=1, keepdim=True) * math.sqrt(LATENT_DIM)
    latents = two_stage.decode_embeddings(wanted, torch.zeros_like(wanted), SEEDS, configuration(freedom=1.0), panel)
    first = panel.decoder.latents(wanted, SEEDS)
    with torch.inference_mode():
        reached, drawn = (panel.encoder.embed(panel.generator.decode(each)) for each in (latents, first))
    assert (reached - wanted).norm(dim=1).mean() < 0.6 * (drawn - wanted).norm(dim=1).mean()


def test_another_seed_another_latent():
    panel = planted_panel()
    same = start()[:1].expand(3, -1)
    latents = two_stage.decode_embeddings(same, same, [1, 1, 2], configuration(freedom=1.0), panel)
    assert torch.allclose(latents[0], latents[1], atol=1e-6)
    assert (latents[0] - latents[2]).abs().max() > 1e-3


def test_decoded_latents_of_kept_faces_begin_at_the_base():
    """The wanted embedding alone says where to end; where it says nothing, the base's own latent is kept."""

    class Blind(PlantedEncoder):
        def embed(self, images):
            return torch.zeros(len(images), LATENT_DIM) + 0 * images.sum()

    panel = dataclasses.replace(planted_panel(), encoder=Blind())
    bases = start() / start().norm(dim=1, keepdim=True) * math.sqrt(LATENT_DIM)
    apart = [
        (two_stage.decode_embeddings(torch.zeros_like(bases), bases, SEEDS, configuration(freedom=freedom), panel) - bases)
        .norm(dim=1)
        .mean()
        for freedom in (0.1, 0.5, 1.0)
    ]
    assert apart[0] < apart[1] < apart[2]
    assert apart[0] < 0.3 * math.sqrt(LATENT_DIM)


# -- with the committed networks


@pytest.fixture(scope="module")
def real():
    c = EmotionConfiguration("surprise", "fear", generator="dcgan", seed=11, steps=20)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(two_stage, "POLISH_STEPS", two_stage.STEPS_PER_CORRECTION)  # one look at the picture, not three
        yield c, EmotionPanel.load(c)


def test_a_sample_is_the_same_alone_and_in_company(real):
    c, panel = real
    one, five = (generate_emotion_set(EmotionConfiguration(**(c.to_dict() | {"count": count})), panel=panel) for count in (1, 5))
    name = one.samples[one.samples["sample_type"] == "boundary"]["sample_id"].item()  # a hash of latent and picture
    assert np.array_equal(one.images[name], five.images[name])
    assert one.latents[name].tobytes() == five.latents[name].tobytes()
    assert (five.samples["sample_type"] == "boundary").sum() == 5


def test_guidance_raises_the_pair_under_the_mlp(real):
    c, panel = real
    bases = registry.load("dcgan", "generator").sample(range(300, 304))
    with torch.inference_mode():
        embeddings = panel.encoder.embed(panel.generator.decode(bases))
    sums = []
    for guided in (True, False):
        of = EmotionConfiguration(**(c.to_dict() | {"guided": guided}))
        found = two_stage.denoise_embeddings(embeddings, range(4), of, panel)
        latents = two_stage.decode_embeddings(found, bases, range(4), of, panel)
        with torch.inference_mode():
            p = panel.mlp.probabilities(panel.generator.decode(latents))
        sums.append(float(p[:, list(c.pair)].sum(dim=1).mean()))
    assert sums[0] > sums[1] + 0.2


def test_the_prior_of_the_base_alone_keeps_the_face(real):
    """Unguided, hardly noised, decoded again: nearer to its own base's embedding than to another's."""
    c, panel = real
    bases = registry.load("dcgan", "generator").sample(range(400, 404))
    with torch.inference_mode():
        embeddings = panel.encoder.embed(panel.generator.decode(bases))
    of = EmotionConfiguration(**(c.to_dict() | {"guided": False, "freedom": 0.02}))
    found = two_stage.denoise_embeddings(embeddings, range(4), of, panel)
    assert (found - embeddings).norm(dim=1).max() < 0.2 * embeddings.norm(dim=1).min()
    latents = two_stage.decode_embeddings(found, bases, range(4), of, panel)
    with torch.inference_mode():
        apart = torch.cdist(panel.encoder.embed(panel.generator.decode(latents)), embeddings)
    assert (apart.argmin(dim=1) == torch.arange(4)).all()


def test_planted_generation_needs_no_real_networks():
    """The same path as above in the planted world, two-stage: what is stored is what the embeddings asked for."""
    made = generate_emotion_set(configuration(count=6, freedom=1.0), panel=planted_panel(), base=planted_base())
    wanted = made.samples[made.samples["sample_type"] == "boundary"]
    assert len(wanted) == 6
    assert (wanted["p_fear"] + wanted["p_sadness"]).mean() > 0.5
    assert made.samples[made.samples["sample_type"] == "genuine"]["guided"].tolist() == [False]


def test_on_a_head_nothing_but_a_natural_expression_moves():
    c = EmotionConfiguration("surprise", "fear", generator="head", seed=11)
    panel = EmotionPanel.load(c)
    base = panel.generator.sample([5])
    unheard_of = 2 * torch.randn(1, panel.encoder.embedding_dim, generator=torch.Generator().manual_seed(3))
    latent = two_stage.decode_embeddings(unheard_of, base, [7], c, panel)
    moved = (latent != base)[0].nonzero().flatten()
    block = panel.generator.blocks["expression"]
    assert len(moved) > 10
    assert block.start <= moved.min() <= moved.max() < block.stop
    assert panel.reference.expressions.contains(panel.generator.facial_actions(latent).numpy()).all()
