"""What makes emotion samples of rendered heads: expressive heads, action decoder, surrogate, and the flow that keeps a person."""

import pytest
import torch

from core.errors import LiminalError
from core.models import registry
from core.models.builtin.face_embedding import FEATURE_BLOCKS
from core.models.builtin.flow import FlowNetwork, LatentFlow
from core.models.builtin.head.expression_surrogate import draw_expressive_latents
from core.models.builtin.head.latents import INDEX, LATENT_DIM, block
from core.models.builtin.head.surrogate import DRAW
from core.models.builtin.head.surrogate_features import ACTIONS, combine_actions, name_values
from core.models.emotions import EMOTIONS
from core.models.framing import frame_for_classifiers
from core.models.trained_weights import read_trained
from core.models.training import fit_networks, head_surrogates
from core.models.training.data import TrainingFaces

CPU = torch.device("cpu")


def planted_heads(count=700, seed=3):
    """Heads whose features come from their facial actions alone."""
    latents = draw_expressive_latents(count, seed)
    random = torch.Generator().manual_seed(seed)
    strengths = name_values(latents)[0][:, [INDEX[emotion] for emotion in EMOTIONS]]
    actions = torch.cat([strengths, combine_actions(latents)], dim=1)
    features = actions @ torch.randn(actions.shape[1], sum(FEATURE_BLOCKS.values()), generator=random)
    logits = (4 * strengths)[:, None].expand(-1, 2, -1)
    features[:, -12:] = logits.flatten(1)
    return TrainingFaces("head", seed, latents, features, logits, softened=logits.softmax(dim=2))


@pytest.fixture(scope="module")
def whitened(tmp_path_factory):
    faces, folder = planted_heads(), tmp_path_factory.mktemp("weights")
    fit_networks.fit_whitening(faces, embedding_dim=20, command="train", folder=folder)
    return faces, folder


def test_expressive_heads_show_one_feeling_two_or_what_chance_gives():
    latents = draw_expressive_latents(4 * DRAW, 1)
    assert latents.shape == (4 * DRAW, LATENT_DIM)
    assert torch.equal(draw_expressive_latents(DRAW + 5, 1), latents[: DRAW + 5])
    assert not torch.equal(draw_expressive_latents(5, 2), latents[:5])
    shown = name_values(latents)[0][:, [INDEX[emotion] for emotion in EMOTIONS]] > 1e-3
    counted = shown.sum(dim=1)
    assert (counted == 1).float().mean() > 0.35
    assert (counted == 2).float().mean() > 0.35
    assert shown.float().mean(dim=0).min() > 0.15  # every feeling is there
    others = latents[
        :, [column for column in range(LATENT_DIM) if not block("expression").start <= column < block("expression").stop]
    ]
    assert others.std() == pytest.approx(1, abs=0.02)


def test_the_third_teacher_and_the_action_decoder(whitened):
    faces, folder = whitened
    shown, sure = fit_networks.read_shown_feelings(faces.latents)
    assert torch.allclose(shown.sum(dim=1), torch.ones(len(faces)), atol=1e-5)
    assert 0 <= float(sure.min()) <= float(sure.max()) <= 1
    made = fit_networks.fit_emotion_mlp(faces, steps=400, command="train", width=64, folder=folder)
    figures = made.card["figures"]
    assert made.configuration["teachers"][-1] == "shown feelings"
    assert made.configuration["actions"] == [*EMOTIONS, *ACTIONS]
    assert figures["accuracy_against_shown_feeling"] > 0.85
    assert figures["action_r2"]["jawOpen"] > 0.7
    assert figures["action_r2"]["happiness"] > 0.7


def test_the_surrogate_learns_planted_embeddings(whitened):
    faces, folder = whitened
    figures = head_surrogates.fit_expression_surrogate(faces, command="train", folder=folder).card["figures"]
    assert figures["r2_embedding"] > 0.8
    assert figures["r2_logits"] > 0.8


def test_a_kept_person_is_kept_to_the_byte():
    torch.manual_seed(0)
    flow = LatentFlow(FlowNetwork(12, 4, 16, 2, free=(3, 7)), CPU)
    bases, embeddings = torch.randn(5, 12), torch.randn(5, 4)
    drawn = flow.latents(embeddings, range(5), bases)
    assert torch.equal(drawn[:, :3], bases[:, :3])
    assert torch.equal(drawn[:, 7:], bases[:, 7:])
    assert (drawn[:, 3:7] - bases[:, 3:7]).abs().min() > 0
    assert torch.equal(flow.latents(embeddings[2:3], [2], bases[2:3])[0], drawn[2])  # alone as in company
    free = flow.latents(embeddings, range(5))
    assert (free - bases).abs().min() > 0
    with pytest.raises(LiminalError, match="cannot keep a person"):
        LatentFlow(FlowNetwork(12, 4, 16, 2), CPU).latents(embeddings, range(5), bases)


# -- the committed networks


@pytest.fixture(scope="module")
def fresh():
    """24 expressive heads that nothing was trained on: latents and framed pictures."""
    latents = draw_expressive_latents(24, 77)
    generator = registry.load("head", "generator")
    with torch.inference_mode():
        return latents, frame_for_classifiers(generator.decode(latents), generator.classifier_frame).clone()


def test_the_surrogate_foretells_fresh_heads(fresh):
    latents, images = fresh
    surrogate, encoder = registry.load("head-expressions", "surrogate"), registry.load("head-embedding", "encoder")
    with torch.inference_mode():
        said = torch.stack([registry.load(name, "classifier").logits(images) for name in surrogate.classifiers], dim=1)
        off = (surrogate.logits(latents) - said).square().mean() / (said - said.mean(dim=0)).square().mean()
        seen = encoder.embed(images) * encoder.spread
        missed = (surrogate.embeddings(latents) * encoder.spread - seen).square().mean() / (seen - seen.mean(dim=0)).square().mean()
    figures = read_trained("head-expressions").card["figures"]
    assert float(off) < 2 * (1 - figures["r2_logits"])
    assert float(missed) < 2 * (1 - figures["r2_embedding"])
    moving = latents[:2].clone().requires_grad_()
    surrogate.embeddings(moving).square().sum().backward()
    assert torch.isfinite(moving.grad).all()
    assert moving.grad[:, block("expression")].abs().max() > 0


def test_the_mlp_reads_what_fresh_heads_show(fresh):
    latents, images = fresh
    mlp = registry.load("head-emotion-mlp", "classifier")
    shown, sure = fit_networks.read_shown_feelings(latents)
    with torch.inference_mode():
        right = mlp.logits(images).argmax(dim=1) == shown.argmax(dim=1)
        actions = mlp.action_decoder(mlp.encoder.embed(images))
    assert float(right[sure >= 1].float().mean()) > 0.45  # chance: a sixth
    read = actions[:, mlp.action_decoder.names.index("jawOpen")]
    true = combine_actions(latents)[:, ACTIONS.index("jawOpen")]
    assert torch.corrcoef(torch.stack([read, true]))[0, 1] > 0.8


def test_what_an_embedding_shows_does_not_depend_on_its_company():
    """Else a sample of two stages would be another one in a group of one than in a group of four."""
    mlp = registry.load("head-emotion-mlp", "classifier")
    embeddings = torch.randn(5, mlp.encoder.embedding_dim, generator=torch.Generator().manual_seed(1))
    for read in (mlp.standard_actions_of, mlp.logits_of):
        alone, together = embeddings[:1].clone().requires_grad_(), embeddings.clone().requires_grad_()
        one, five = read(alone), read(together)
        assert torch.equal(one, five[:1])
        one.square().sum().backward()
        five.square().sum().backward()
        assert torch.equal(alone.grad, together.grad[:1])
