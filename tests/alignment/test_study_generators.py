"""The generator of a study decides what learns: a planted chain, of a generator that writes its latents into pixels."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from core.alignment import alignment as alignments
from core.alignment import data, networks, stimulus_choice, train
from core.alignment.alignment import begin_alignment, load_alignments
from core.alignment.configuration import AlignmentConfiguration
from core.alignment.observer import fit_person
from core.alignment.store import describe_beginning
from core.analysis.study_data import build_study_data
from core.errors import LiminalError
from core.models import framing, registry
from core.models.builtin.emotion_mlp import EmotionMLP, EmotionMLPNetwork
from core.models.contracts import EmotionChain, Encoder, EncoderSurrogate
from core.models.emotions import EMOTIONS
from core.sampling.building.population import draw_reference_faces
from core.sampling.configuration import sample_seed
from core.sampling.emotion.configuration import EmotionConfiguration
from core.sampling.stored.reference import ReferenceSet
from core.studies.library import Library
from core.studies.planning import list_stimuli, make_emotion_plan
from core.studies.study import Study
from tests.analysis.rating_tables import rows
from tests.emotion_sets import emotion_set, unanimous
from tests.fakes import LATENT_DIM, REACH, SIDE, FakeGenerator, card

GENERATOR, MLP = "fake-generator", "fake-mlp"
CHAIN = EmotionChain("fake-encoder", MLP, "fake-prior", "fake-flow", "fake-surrogate", ("mini-xception", "tanh-cnn"))
BRIGHTER = 0.1
"""What the planted framing does to a picture that is framed to its face."""
TRUTH = torch.cat([torch.zeros(2, 6), 2 * torch.eye(6)])
"""Feelings that the latents mean (LATENT_DIM, 6): each value of the expression block is the evidence for one."""


class Maker(FakeGenerator):
    classifier_frame, differentiable = "face", False
    blocks = {"identity": slice(0, 2), "expression": slice(2, LATENT_DIM)}  # noqa: RUF012

    def set_named_value(self, latents, name, value):
        latents = latents.clone()
        latents[:, 2 + EMOTIONS.index(name)] = 3 * value
        return latents


def read(images):
    """Pictures -> the latents that the generator wrote into them."""
    return (images.flatten(1)[:, :LATENT_DIM] - 0.5) * 2 * REACH


class Reader(Encoder):
    """Expects framed pictures."""

    def __init__(self):
        self.card, self.device, self.embedding_dim = card("fake-encoder", "encoder"), torch.device("cpu"), LATENT_DIM

    def embed(self, images):
        return read(images - BRIGHTER)


class Foreteller(EncoderSurrogate):
    """Overrates one feeling, as only a picture can show."""

    def __init__(self):
        self.card, self.device, self.classifiers = card("fake-surrogate", "surrogate"), torch.device("cpu"), ()
        self.latent_dim = LATENT_DIM

    def embeddings(self, latents):
        return latents + 1.0 * (torch.arange(LATENT_DIM) == 2 + EMOTIONS.index("fear"))

    def logits(self, latents):
        return latents.new_zeros(len(latents), 0, 6)


def make_mlp():
    """Names what the latents mean, unsure of it."""
    network = EmotionMLPNetwork(LATENT_DIM, 32)
    drawn = torch.randn(3000, LATENT_DIM, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    adam = torch.optim.Adam(network.parameters(), lr=1e-2)
    for _ in range(60):
        adam.zero_grad()
        torch.nn.functional.cross_entropy(network(drawn), (drawn @ TRUTH).softmax(dim=1)).backward()
        adam.step()
    return EmotionMLP(Reader(), network, card(MLP, "classifier"))


@pytest.fixture(autouse=True)
def planted(monkeypatch):
    """The chain in the registry, with a reference population of its own; framing makes a picture brighter."""
    models = {
        (GENERATOR, "generator"): Maker,
        ("fake-encoder", "encoder"): Reader,
        (MLP, "classifier"): make_mlp,
        ("fake-surrogate", "surrogate"): Foreteller,
        ("fake-prior", "prior"): None,
        ("fake-flow", "decoder"): None,
    }
    entries = [
        registry.Entry(
            name, kind, f"The {name}", f"tests.alignment.test_generators:{name}", emotion_chain=CHAIN if make is Maker else None
        )
        for (name, kind), make in models.items()
    ]
    find = registry.find_code
    made = {f"tests.alignment.test_generators:{name}": make for (name, _), make in models.items()}
    monkeypatch.setattr(registry, "ENTRIES", (*registry.ENTRIES, *entries))
    monkeypatch.setattr(
        registry, "find_code", lambda path: SimpleNamespace(load=lambda device: made[path]()) if path in made else find(path)
    )
    logits = (draw_reference_faces(Maker(), range(40), 0) @ TRUTH).numpy()
    population = ReferenceSet(GENERATOR, 0, dict.fromkeys(CHAIN.teachers, logits), {}, "", "")
    stored = data.load_reference_set
    monkeypatch.setattr(data, "load_reference_set", lambda name: population if name == GENERATOR else stored(name))
    for module in (networks, framing):  # named at the top of one, imported where it is used by the search
        monkeypatch.setattr(module, "frame_for_classifiers", lambda images, frame: images + BRIGHTER * (frame == "face"))


def study_of(folder, *generators, faces=40, people=8):
    """A study with a set of each generator -> its data and the library. People say what the first set's latents mean."""
    library, sets = Library(folder / "sets"), {}
    for number, generator in enumerate(generators):
        configuration = EmotionConfiguration(
            "surprise", "fear", count=faces, seed=number, generator=generator, steerer="emotion-mlp"
        )
        made = emotion_set([unanimous(0.5, 0.4, True)] * faces, configuration=configuration, side=SIDE + number)
        latents = Maker().sample(range(1000 * number, 1000 * number + len(made.images)))
        pictures = np.round(255 * Maker().decode(latents).permute(0, 2, 3, 1).numpy()).astype(np.uint8)
        made = dataclasses.replace(made, images=dict(zip(made.images, pictures, strict=True)))
        sets[library.add(made)] = made
    stimuli = [stimulus for set_id, made in sets.items() for stimulus in list_stimuli(made, set_id)]
    random = np.random.default_rng(1)
    columns = {"rater": [], "stimulus": [], "value": []}
    for person in range(people):
        for stimulus in stimuli:
            picture = next(made.images[stimulus.stimulus] for made in sets.values() if stimulus.stimulus in made.images)
            seen = read(torch.from_numpy(picture).permute(2, 0, 1)[None] / 255) @ TRUTH
            columns["rater"].append(f"p{person}")
            columns["stimulus"].append(stimulus.stimulus)
            columns["value"].append(EMOTIONS[int((seen[0].numpy() + random.normal(size=6)).argmax())])
    study = Study("made-up", make_emotion_plan(stimuli), sample_sets=tuple(sets), source="simulated")
    ratings = rows({**columns, "task": "emotion"}, source="simulated")
    return build_study_data(study, stimuli, (), ratings, library, rules=None), library


def test_the_classifier_of_the_generator_s_chain_learns_from_framed_pictures(tmp_path, monkeypatch):
    frames = set()
    frame_pictures = networks.frame_for_classifiers
    monkeypatch.setattr(networks, "frame_for_classifiers", lambda images, frame: frames.add(frame) or frame_pictures(images, frame))
    study_data, library = study_of(tmp_path, GENERATOR)
    begun = begin_alignment(study_data, library, AlignmentConfiguration(rate=5e-3), folder=tmp_path)
    assert begun.configuration.classifiers == (MLP,)
    assert begun.origin == ""
    train.train_group(begun)
    curve = begun.curve(MLP).epochs
    assert frames == {"face"}
    assert curve[-1].validation_accuracy > 0.4  # of six answers, by people who often differ
    (opened,) = load_alignments(study_data, library, folder=tmp_path)
    assert opened.alignment_id == begun.alignment_id
    assert opened.describe_beginning(MLP) == "The fake-mlp, which reads The fake-encoder"
    other = begin_alignment(study_data, library, AlignmentConfiguration(classifiers=("tanh-cnn",)), folder=tmp_path)
    assert other.describe_beginning("tanh-cnn") == "Tanh CNN"
    with pytest.raises(LiminalError, match="choose among fake-mlp, mini-xception, tanh-cnn"):
        begin_alignment(study_data, library, AlignmentConfiguration(classifiers=("emotion-mlp",)), folder=tmp_path)


def test_another_weight_of_the_chain_is_another_alignment(tmp_path, monkeypatch):
    study_data, library = study_of(tmp_path, GENERATOR)
    before = begin_alignment(study_data, library, folder=tmp_path)
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "fake-encoder.json").write_text('{"sha256": "of other weights"}')
    monkeypatch.setattr(alignments, "WEIGHTS_FOLDER", tmp_path / "weights")
    assert begin_alignment(study_data, library, folder=tmp_path).alignment_id != before.alignment_id


def test_cards_of_earlier_versions_say_what_they_began_with():
    assert describe_beginning({"configuration": {"classifiers": ["emotion-mlp"]}}, "emotion-mlp") == registry.title("emotion-mlp")


def test_of_two_generators_the_first_one_s_chain_learns_and_each_picture_is_framed_as_its_own_asks(tmp_path):
    study_data, library = study_of(tmp_path, GENERATOR, "dcgan-sharp", faces=16)
    begun = begin_alignment(study_data, library, folder=tmp_path)
    assert begun.configuration.classifiers == (MLP,)
    assert "come from The fake-generator and from DCGAN sharpened, 256 pixels" in begun.note
    found = data.load_study_inputs(study_data, library, begun.answers.images, MLP, tmp_path)
    for name, row in zip(begun.answers.images, found, strict=True):
        picture = torch.from_numpy(data.load_picture(library, study_data.where[name], name).copy()).permute(2, 0, 1)[None] / 255
        framed = BRIGHTER * (study_data.generators[study_data.where[name]] == GENERATOR)
        assert torch.allclose(row, read(picture + framed - BRIGHTER)[0], atol=1e-4)


def test_pictures_that_nobody_generated_are_framed_to_the_face_and_learned_from_as_usual(tmp_path, monkeypatch):
    study_data, library = study_of(tmp_path, "dcgan-sharp")
    own = dataclasses.replace(study_data, generator="", generators=dict.fromkeys(study_data.sets, ""))
    monkeypatch.setattr(registry, "DEFAULT_GENERATORS", {**registry.DEFAULT_GENERATORS, "emotion": GENERATOR})
    begun = begin_alignment(own, library, folder=tmp_path)
    assert begun.configuration.classifiers == (MLP,)
    assert "were not made by a generator" in begun.note
    assert data.find_classifier_frame("") == "face"
    with pytest.raises(LiminalError, match="No sample set of the study"):
        data.find_study_generator(dataclasses.replace(own, sets=(), generators={}))


def test_faces_made_for_one_person_keep_who_was_drawn_and_are_corrected_by_pictures(tmp_path, monkeypatch):
    study_data, library = study_of(tmp_path, GENERATOR)
    begun = train.train_group(begin_alignment(study_data, library, AlignmentConfiguration(rate=5e-3), folder=tmp_path))
    group = begun.group(MLP).images
    leaning = np.log(group) + 2.5 * (np.array(EMOTIONS) == "fear")
    person = fit_person(group, leaning.argmax(axis=1))
    found = stimulus_choice.search_controversial(begun, person, count=4, seed=3)
    assert all(each.differ for each in found)
    with monkeypatch.context() as patched:
        patched.setattr(stimulus_choice, "PICTURE_ROUNDS", 0)
        assert sum(each.differ for each in stimulus_choice.search_controversial(begun, person, count=4, seed=3)) < 4
    against = fit_person(group, (np.log(group) + 2.5 * (np.array(EMOTIONS) == "anger")).argmax(axis=1))
    apart = stimulus_choice.search_controversial(begun, person, other=against, count=4, seed=3)
    told = [stimulus_choice.tell_apart(np.array([EMOTIONS.index(each.you)]), each.own[None], each.group[None]) for each in apart]
    assert all(each.differ for each in apart)
    assert np.all(told), "what the first would say is likelier of the first"
    pool = Maker().sample([sample_seed(3, "controversial", index) for index in range(stimulus_choice.POOL_SIZE)])
    drawn = {tuple(row) for row in pool[:, :2].tolist()}
    assert all(tuple(each.latent[:2].tolist()) in drawn for each in found)
    with torch.no_grad():  # what is told is what the group's model says of the finished picture
        network = train.load_group_network(begun, MLP)
        shown = torch.from_numpy(np.stack([each.picture for each in found])).permute(0, 3, 1, 2) / 255
        assert network(read(shown)).softmax(dim=1).numpy() == pytest.approx(np.stack([each.group for each in found]), abs=1e-4)
