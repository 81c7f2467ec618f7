"""Every page on models that a user added: tiny ones, added and prepared by the real commands, on the pages as they are."""

import json
import random

import numpy as np
import pytest
import streamlit
import torch

from core.__main__ import main
from core.models import registry
from core.models.custom import catalogue
from core.sampling.building import precompute
from core.sampling.emotion import direct
from core.sampling.sample_set import SampleSet
from core.sampling.stored.gallery import load_gallery
from core.sampling.stored.population import load_population, load_thresholds
from core.sampling.stored.reference import load_reference_set
from core.studies.library import Library
from core.studies.store import Store
from tests import tiny_models
from tests.ui.study_sets import answer_all, made_study
from tests.ui.visits import app, words
from ui.jobs import JobManager, get_job_manager
from ui.studies import access, owner_gate

GAN, VIT, ONNX, DEEPFACE = "tiny-gan", "tiny-vit", "tiny-onnx", "tiny-deepface"
PEOPLE = 12


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """A data folder with four added models, all prepared; nothing runs in the background."""
    folder = tmp_path_factory.mktemp("own")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIMINAL_DATA_DIR", str(folder / "data"))
        patch.setenv("DEEPFACE_HOME", str(folder))
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.delenv("LIMINAL_DATABASE_URL", raising=False)
        patch.delenv("LIMINAL_OWNER_KEY", raising=False)
        patch.setattr(registry, "_loaded", dict(registry._loaded))
        patch.setattr(owner_gate, "_is_local", lambda: True)
        patch.setattr(access, "install_demonstration", lambda: None)
        patch.setattr(JobManager, "_serve", lambda self: None)
        patch.setattr(JobManager, "_watch", lambda self: None)  # on a busy machine it would stop what no visitor asks after
        patch.setattr(precompute, "MIN_POPULATION_SIZE", PEOPLE)
        patch.setattr(direct, "STEPS_WITHOUT_SURROGATE", -16)
        # the faces of the sharper generator take long and are judged by the same code
        patch.setattr(registry, "ENTRIES", tuple(each for each in registry.ENTRIES if each.name != "dcgan-sharp"))
        patch.setattr(registry, "DEFAULT_GENERATORS", dict.fromkeys(registry.DEFAULT_GENERATORS, "dcgan"))
        tiny_models.deepface_stand_in(patch)
        streamlit.cache_resource.clear()
        streamlit.cache_data.clear()
        sources = {
            GAN: ("stylegan2", tiny_models.save_stylegan2(folder / "gan.safetensors")),
            VIT: ("hf-classifier", tiny_models.save_classifier(folder / "vit")),
            ONNX: ("onnx-recogniser", tiny_models.save_recogniser(folder / "onnx")),
            DEEPFACE: ("deepface", "OpenFace"),
        }
        for name, (kind, source) in sources.items():
            assert main(["models", "add", name, kind, str(source)]) == 0
        for name in sources:
            assert main(["models", "prepare", name, "--count", "4", "--people", str(PEOPLE)]) == 0
        yield folder
        streamlit.cache_resource.clear()
        streamlit.cache_data.clear()


@pytest.fixture(autouse=True)
def _shelf(shelf):
    pass


def work():
    """Do what waits -> the results."""
    done = []
    for job in list(get_job_manager()._jobs.values()):
        if not job.finished:
            job._run()
            assert not job.error
            done.append(job.result)
    return done


def shown(page, **query):
    """The page once all work for it is done, with what was made."""
    test, made = app(page, **query), []
    while results := work():
        made += results
        test.run()
    assert not test.exception
    assert not test.error, words(test)
    return test, made


def test_what_was_prepared_is_what_the_networks_say():
    people, bases = load_population(GAN, judged_by=ONNX), load_gallery(GAN)
    assert len(people) == PEOPLE
    assert {"dlib", "sface", ONNX, DEEPFACE} == set(people.descriptors) == set(bases.descriptors)
    assert len(bases.bases) == 4
    for name in (ONNX, DEEPFACE):
        judge = registry.load(name, "recogniser")
        rows = torch.from_numpy(people.vectors(name))
        expected = judge.distance(rows[:1], rows).numpy()
        assert people.distances(rows[0].numpy(), name) == pytest.approx(expected, abs=1e-4, nan_ok=True)
        assert load_thresholds(GAN, name).default == judge.threshold
    assert len(load_population("dcgan", judged_by=ONNX)) == PEOPLE  # as many as it was shown
    assert len(load_population("dcgan")) == 2000
    reference = load_reference_set("dcgan")
    assert (len(reference.classifier_logits(VIT)), len(reference.classifier_logits("small-cnn"))) == (PEOPLE, 2000)
    assert reference.temperatures[VIT] > 0


@pytest.mark.parametrize("recogniser", [ONNX, DEEPFACE])
def test_who_could_unlock_the_phone(recogniser):
    test, _ = shown("phone.py", generator=GAN, recogniser=recogniser)
    said = words(test)
    assert f"({recogniser})" in said
    assert "Where StyleGAN2 face generator (tiny-gan) keeps a smile or glasses is not known" in said
    assert "What would dlib ResNet say?" in said
    test, _ = shown("phone.py", generator="dcgan", recogniser=recogniser)
    assert "What would SFace say?" in words(test)


@pytest.fixture(scope="module")
def pairs(shelf):
    """Identity samples as the page makes them, steered by a recogniser without a gradient."""
    test, made = shown("identity.py", generator=GAN, recogniser=ONNX, seed="1", rounds="5", looks="true")
    said = words(test)
    assert "has no gradient, so trial and selection it is" in said
    assert "so that single looks are left out" in said
    return next(each for each in made if isinstance(each, SampleSet))


def test_identity_samples(pairs):
    assert (pairs.configuration.strategy, pairs.configuration.semantic) == ("cmaes", False)
    assert pairs.configuration.judges == ("dlib", "sface", ONNX, DEEPFACE)
    assert len(pairs.pairs) == 28
    assert np.isfinite(pairs.pairs[f"distance_{ONNX}"]).any()


@pytest.fixture(scope="module")
def faces(shelf):
    """Faces between two feelings as the page makes them, steered by an added classifier through an added generator."""
    test, made = shown("emotion.py", generator=GAN, steerer=VIT, asked=VIT, seed="1", count="4", strategy="two-stage")
    said = words(test)
    assert "Two stages need a network from embeddings to faces of StyleGAN2 face generator (tiny-gan), and there is none" in said
    assert "Hugging Face emotion classifier (tiny-vit), which steered" in said
    return made[0].sample_set


def test_faces_between_two_feelings(faces):
    assert (faces.configuration.strategy, faces.configuration.steerer) == ("direct", VIT)
    assert len(faces.samples) == 5
    assert np.isfinite(faces.samples["p_fear"]).all()


def test_an_added_classifier_is_asked_beside_the_usual_ones():
    test, made = shown("emotion.py", generator="dcgan", asked=VIT, seed="1", count="4", strategy="direct")
    assert made[0].sample_set.configuration.judges == ("mini-xception", "tanh-cnn", VIT, "small-cnn")
    assert "Hugging Face emotion classifier (tiny-vit)<small>did not steer" in words(test)


def test_from_one_feeling_to_another():
    _, made = shown("morph.py", generator=GAN, steerer=VIT, row="1", frames="9")
    assert len(made[0].pictures) == 9
    assert set(made[0].opinions[0]) == {VIT, "mini-xception", "tanh-cnn", "small-cnn"}


@pytest.fixture(scope="module")
def studies(pairs, faces):
    """Two studies of these sets, answered."""
    store, library = Store(), Library()
    people = random.Random(0)

    def ask(name, made, people_asked, answers):
        study = made_study(store, library, name, made)
        for _ in range(people_asked):
            answer_all(store, study, lambda _: people.choice(answers))

    ask("pairs", pairs, 4, ("0", "1"))
    ask("feelings", faces, 4, ("fear", "surprise", "anger"))
    store.dispose()


@pytest.mark.parametrize(
    ("page", "query"),
    [
        ("disagreement.py", {"study": "pairs", "recogniser": ONNX}),
        ("disagreement.py", {"study": "feelings"}),
        ("statistics.py", {"study": "pairs", "section": "threshold"}),
        ("statistics.py", {"study": "feelings"}),
        ("compare.py", {"study": "pairs", "compare": "models", "recogniser-first": ONNX, "recogniser-second": DEEPFACE}),
        ("map.py", {"space": "Who it is, for ONNX face recogniser (tiny-onnx)"}),
        ("studies.py", {"study": "pairs"}),
        ("studies.py", {"study": "feelings"}),
    ],
)
def test_what_people_say_of_such_faces(studies, page, query):
    shown(page, **query)


def test_networks_that_learn_from_people_are_the_known_ones(studies):
    said = words(app("align.py", study="feelings"))
    assert "Networks that were added are asked, and do not learn" in said
    assert "There are 8 answers to learn from" in said  # of so few people nothing can be learned


def test_the_command_makes_the_same_kinds_of_sets(tmp_path):
    command = ["generate", "emotion", "--pair", "fear", "surprise", "--count", "1", "--generator", GAN, "--steerer", VIT]
    quick = ["--strategy", "direct", "--recogniser", ONNX, "--out", str(tmp_path / "faces")]
    assert main([*command, *quick]) == 0
    assert f"distance_{ONNX}" in SampleSet.load(tmp_path / "faces").samples
    command = ["generate", "identity", "--generator", GAN, "--recogniser", ONNX, "--judges", DEEPFACE, "--iterations", "2"]
    assert main([*command, "--face-checks", "1", "--faces-needed", "1", "--out", str(tmp_path / "pairs")]) == 0
    assert f"accepted_{DEEPFACE}" in SampleSet.load(tmp_path / "pairs").pairs


# Models that are gone, or not what they were, while a page has them chosen


@pytest.fixture
def losing(shelf, monkeypatch):
    """Takes an added model off the list, but not what was prepared for it, until the test is over."""
    monkeypatch.setattr(catalogue, "REREAD_SECONDS", 0.0)
    whole = catalogue.models_path().read_bytes()

    def lose(name):
        rows = [row for row in json.loads(whole)["models"] if row["name"] != name]
        catalogue.models_path().write_text(json.dumps({"models": rows}))

    yield lose
    catalogue.models_path().write_bytes(whole)
    get_job_manager()._jobs.clear()  # what pages asked for while the model was gone


@pytest.mark.parametrize(
    ("page", "name", "what", "query"),
    [
        ("phone.py", ONNX, "recogniser", {"generator": GAN, "recogniser": ONNX}),
        ("identity.py", GAN, "generator of faces", {"generator": GAN, "recogniser": ONNX}),
        ("emotion.py", VIT, "network for feelings", {"generator": GAN, "steerer": VIT}),
        ("morph.py", GAN, "generator of faces", {"generator": GAN}),
    ],
)
def test_a_model_that_is_removed_while_a_page_has_it(losing, page, name, what, query):
    test = app(page, **query)
    assert not test.error
    losing(name)
    test.run()
    assert not test.exception
    assert not test.error, words(test)
    assert f"The {what} '{name}' that this view asks for is not installed here" in test.warning[0].value
    test.run()
    assert not test.warning  # it was let go of


@pytest.mark.parametrize(
    ("name", "page", "study"),
    [
        (GAN, "studies.py", "pairs"),
        (ONNX, "disagreement.py", "pairs"),
        (ONNX, "compare.py", "pairs"),
        (VIT, "statistics.py", "feelings"),
    ],
)
def test_what_was_made_by_a_model_that_is_gone_can_still_be_read(losing, studies, name, page, study):
    losing(name)
    shown(page, study=study)


@pytest.mark.parametrize("asked", ["gone", "<b>x</b>", "[x](javascript:alert(1))", "../../etc", "a" * 500])
def test_an_address_that_names_no_model(asked):
    test = app("emotion.py", generator=asked, steerer=asked, asked=asked)
    assert not test.error
    assert len(test.warning) == 3
    assert ("gone" in test.warning[0].value) == (asked == "gone")
    assert "javascript" not in words(test)


def test_a_file_that_is_altered_while_a_page_has_it(shelf, monkeypatch):
    monkeypatch.setattr(registry, "_loaded", {key: model for key, model in registry._loaded.items() if GAN not in key[0]})
    path = shelf / "gan.safetensors"
    whole = path.read_bytes()
    try:
        path.write_bytes(whole[:-4] + b"else")
        test = app("identity.py", generator=GAN, recogniser="dlib", seed="77", rounds="5")
        for job in list(get_job_manager()._jobs.values()):
            if not job.finished:
                job._run()
        test.run()
        assert not test.exception
        assert "gan.safetensors is not the one expected" in words(test)
        assert "Cannot be used" not in words(shown("phone.py", generator="dcgan", recogniser=ONNX)[0])
    finally:
        path.write_bytes(whole)


def test_an_added_recogniser_that_cannot_be_used_takes_no_other_with_it(shelf, monkeypatch):
    monkeypatch.setattr(registry, "_loaded", {key: model for key, model in registry._loaded.items() if ONNX not in key[0]})
    path = shelf / "onnx" / "net.onnx"
    whole = path.read_bytes()
    try:
        path.write_bytes(whole + b"x")
        _, made = shown("identity.py", generator=GAN, recogniser="dlib", seed="78", rounds="5")
        assert next(each for each in made if isinstance(each, SampleSet)).configuration.judges == ("dlib", "sface", DEEPFACE)
    finally:
        path.write_bytes(whole)
