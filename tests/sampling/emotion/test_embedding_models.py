"""Emotion samples by paper B's own kind of models, tiny and random: one added generator brings prior, classifier and encoder."""

import dataclasses

import numpy as np
import pytest
import torch

from core.errors import LiminalError
from core.models import registry
from core.models.builtin.prior import read_alpha_bar
from core.models.custom import catalogue
from core.models.custom.cocog import CocogPrior
from core.models.custom.manager import add_model
from core.models.device import use_torch_threads
from core.models.emotions import EMOTIONS
from core.progress import Progress
from core.sampling import configuration as sampling_configuration
from core.sampling.bases import Base
from core.sampling.building import population, precompute
from core.sampling.configuration import IdentityConfiguration
from core.sampling.emotion import direct, two_stage
from core.sampling.emotion.configuration import EmotionConfiguration, find_embedding_classifier
from core.sampling.emotion.generate import generate_emotion_set
from core.sampling.emotion.judging import EmotionPanel
from core.sampling.events import DenoisingStep
from core.sampling.identity import IdentityPanel
from core.sampling.images import quantise, to_pictures
from tests import tiny_stack
from tests.tiny_stack import EMBEDDING

PAIR = ("fear", "disgust")
PEOPLE = 40


def best_guess(self, noised, step):
    """The noise in noised embeddings that are N(0, I): an untrained network's own would make draws of any size."""
    assert self.betas == "linear"
    return (1 - read_alpha_bar(self.train_steps, self.betas))[step.long()].sqrt()[:, None] * noised


@pytest.fixture(scope="module", autouse=True)
def stack(tmp_path_factory):
    """The four models, added and prepared as a user does it, as far as pages need it for emotion samples."""
    folder = tmp_path_factory.mktemp("stack")
    with use_torch_threads(1), pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIMINAL_DATA_DIR", str(folder / "data"))
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setattr(CocogPrior, "noise", best_guess)
        tiny_stack.save_encoder(folder / "encoder")
        tiny_stack.save_prior(folder / "prior.pt")
        tiny_stack.save_mlp(folder / "mlp.safetensors")
        tiny_stack.save_adapter(folder / "adapter.safetensors", tiny_stack.save_pipeline(folder / "sdxl"))
        add_model("clip", "clip-encoder", str(folder / "encoder"))
        add_model("cocog", "uvit-prior", str(folder / "prior.pt"), options={"heads": 2})
        add_model("mlp", "clip-mlp", str(folder / "mlp.safetensors"), options={"encoder": "clip"})
        options = {"adapter": str(folder / "adapter.safetensors"), "prior": "cocog", "classifier": "mlp"}
        add_model("turbo", "sdxl-ip-adapter", str(folder / "sdxl"), options=options)
        population.build_reference_set("turbo", count=PEOPLE, folder=catalogue.precomputed_folder("turbo") / "reference")
        precompute.write_custom_logits("mlp", "turbo", PEOPLE, Progress())
        yield folder


@pytest.fixture(scope="module")
def base():
    return Base(registry.load("turbo", "generator").sample([1])[0].numpy(), 1)


def configuration(**more):
    return EmotionConfiguration(*PAIR, **({"generator": "turbo", "count": 2, "steps": 10, "freedom": 0.8} | more))


def test_one_name_brings_all_four():
    c = configuration()
    assert find_embedding_classifier("turbo") == c.steerer == "mlp"
    assert find_embedding_classifier("dcgan") is None
    assert EmotionConfiguration(*PAIR).steerer == "emotion-mlp"
    panel = EmotionPanel.load(c)
    assert [panel.encoder.name, panel.prior.name, panel.mlp.name, panel.generator.name] == ["clip", "cocog", "mlp", "turbo"]
    assert panel.decoder is None
    assert next(iter(panel.classifiers)) == "mlp"
    assert {card.name for card in panel.cards()} >= {"clip", "cocog", "mlp", "turbo", "dlib"}
    assert c.describe_role("mlp") == "steered"
    assert {c.describe_role(judge) for judge in c.judges} == {"did not steer"}


def test_the_filter_is_the_added_classifiers_own_percentile():
    """K of equation (3) over the generator's plain faces, judged by the MLP through the encoder: worked out again here."""
    panel = EmotionPanel.load(configuration())
    seeds = [sampling_configuration.sample_seed(0, "reference", index) for index in range(PEOPLE)]
    with torch.inference_mode():
        images = quantise(panel.generator.decode(panel.generator.sample(seeds)))
        logits = panel.mlp.logits_of(panel.encoder.embed(images)).double().numpy()
    assert np.allclose(panel.reference.percentiles("mlp"), np.percentile(logits, 75, axis=0), atol=1e-5)


def test_two_stages_end_on_the_boundary_and_in_the_generators_picture(base):
    seen = []
    events = Progress(lambda event: seen.append(event) if isinstance(event, DenoisingStep) else None)
    made = generate_emotion_set(configuration(), events, base=base)
    boundary = made.samples[made.samples["sample_type"] == "boundary"]
    assert len(boundary) == 2
    assert seen
    panel = EmotionPanel.load(configuration())
    for row in boundary.to_dict("records"):
        latent = torch.from_numpy(made.latents[row["sample_id"]])[None]
        assert latent.shape == (1, EMBEDDING)
        with torch.inference_mode():
            picture = quantise(panel.generator.decode(latent))
            logits = panel.mlp.logits(picture)[0]
        assert np.array_equal(to_pictures(picture)[0], made.images[row["sample_id"]])  # what decode makes is what is shown ...
        assert [row[f"logit_{emotion}"] for emotion in EMOTIONS] == pytest.approx(logits.tolist(), abs=1e-5)  # ... and judged
    again = generate_emotion_set(configuration(), base=base)
    assert set(again.images) == set(made.images)


def test_guidance_moves_embeddings_to_the_boundary():
    """By CoCoG-2's schedule, which is not the built-in prior's."""
    start, panel = torch.randn(8, EMBEDDING, generator=torch.Generator().manual_seed(0)), EmotionPanel.load(configuration())
    smaller = []
    for guided in (True, False):
        ended = two_stage.denoise_embeddings(start, range(8), configuration(guided=guided, steps=25), panel)
        assert 0.5 < float(ended.std()) < 2  # noised and denoised by one schedule
        shares = panel.mlp.logits_of(ended).softmax(dim=1)[:, list(configuration().pair)]
        smaller.append(float(shares.min(dim=1).values.median()))
    assert smaller[0] > 0.15 > 0.03 > smaller[1]


def test_direct_search_climbs_through_the_classifier_alone():
    """The picture has no gradient; the classifier of embeddings foretells it."""
    c = configuration(strategy="direct")
    panel = EmotionPanel.load(c)
    # real pictures have the embedding that they were made of; these have not, so that the population is told by its embeddings
    plain = panel.mlp.logits_of(torch.randn(400, EMBEDDING, generator=torch.Generator().manual_seed(5))).numpy()
    panel = dataclasses.replace(panel, reference=dataclasses.replace(panel.reference, logits={"mlp": plain}))
    start = 0.7 * torch.randn(6, EMBEDDING, generator=torch.Generator().manual_seed(3))
    found = direct.search_boundary(start, c, panel)
    before, after = (
        panel.mlp.logits_of(rows).softmax(dim=1)[:, list(c.pair)].min(dim=1).values.median() for rows in (start, found)
    )
    assert float(before) < 0.1 < 0.2 < float(after)
    assert torch.allclose(found.norm(dim=1) / start.norm(dim=1), torch.ones(6), atol=0.25)  # as long as an embedding is


def test_what_does_not_fit_is_said():
    with pytest.raises(LiminalError, match="are steered by mlp, which reads its embeddings, not by mini-xception"):
        EmotionPanel.load(configuration(steerer="mini-xception", judges=("tanh-cnn", "small-cnn")))
    own = registry.find_entry("turbo").custom
    catalogue.save_custom_model(dataclasses.replace(own, name="other"))
    with pytest.raises(LiminalError, match="No reference population of other is stored"):
        EmotionPanel.load(configuration(generator="other"))
    catalogue.save_custom_model(dataclasses.replace(own, name="other", options={**own.options, "classifier": None}))
    with pytest.raises(LiminalError, match="names no classifier of its embeddings"):
        EmotionPanel.load(configuration(generator="other", strategy="direct"))
    with pytest.raises(LiminalError, match="Two stages need"):
        EmotionPanel.load(configuration(generator="other"))


def test_identity_search_by_gradient_needs_a_generator_with_one():
    c = IdentityConfiguration(generator="turbo", strategy="gradient")
    with pytest.raises(LiminalError, match="has no gradient; search by trial and selection"):
        IdentityPanel.load(c)
    assert IdentityPanel.load(dataclasses.replace(c, strategy="cmaes")).generator.name == "turbo"
