import dataclasses
import json
from importlib.metadata import version

import numpy as np
import pytest
from pandas.testing import assert_frame_equal
from scipy.special import softmax

from core.errors import Cancelled, LiminalError
from core.models.emotions import EMOTIONS
from core.models.trained_weights import read_trained
from core.progress import Progress, Stage
from core.sampling.emotion.configuration import EmotionConfiguration
from core.sampling.emotion.generate import GROUP_SIZE, generate_emotion_set
from core.sampling.emotion.judging import EmotionPanel
from core.sampling.events import BaseShown, BoundarySampleMade, DenoisingStep
from core.sampling.images import to_images
from core.sampling.sample_set import SampleSet
from tests.fakes import SCALE, FakeGenerator, FakeRecogniser
from tests.sampling.emotion.planted import JUDGES, configuration, planted_base, planted_panel

STRATEGIES = ("two-stage", "direct")


def made(progress=None, base=None, panel=None, **values):
    return generate_emotion_set(
        configuration(**({"count": 6} | values)), progress, base=base or planted_base(), panel=panel or planted_panel()
    )


def boundary(found):
    return found.samples[found.samples["sample_type"] == "boundary"]


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("guided", [True, False])
def test_a_set_says_of_every_picture_what_the_classifiers_say(strategy, guided):
    panel = planted_panel()
    found = made(strategy=strategy, guided=guided, panel=panel)
    assert found.kind == "emotion"
    assert found.samples["sample_type"].tolist() == ["genuine"] + 6 * ["boundary"]
    assert found.samples["guided"].tolist() == [False] + 6 * [guided]
    assert found.samples["base_id"].nunique() == 1
    genuine = found.samples.iloc[0]
    assert np.array_equal(found.latents[genuine["sample_id"]], planted_base().latent)
    for _, row in found.samples.iterrows():
        image = to_images(found.images[row["sample_id"]][None])
        for name, classifier in panel.classifiers.items():
            middle = "" if name == "planted-mlp" else f"{name}_"
            logits = classifier.logits(image)[0].double().numpy()
            for place, emotion in enumerate(EMOTIONS):
                assert row[f"logit_{middle}{emotion}"] == pytest.approx(logits[place], abs=1e-5)
                assert row[f"p_{middle}{emotion}"] == pytest.approx(softmax(logits)[place], abs=1e-6)
                assert row[f"calibrated_{middle}{emotion}"] == pytest.approx(softmax(logits / 2)[place], abs=1e-6)
            k = np.percentile(panel.reference.logits[name].astype(float), 75, axis=0)[[1, 4]]
            passed = bool((logits[[1, 4]] > k).all())
            assert row["passed_filter" if name == "planted-mlp" else f"passed_{name}"] == passed
        own, base = (found.latents[each] for each in (row["sample_id"], row["base_id"]))
        # the fake recogniser reads the latent back, to half a level of 8 bits
        assert row["distance_fake"] == pytest.approx(SCALE * np.square(own - base).sum(), abs=0.1)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_guided_passes_more_often_than_unguided(strategy):
    shares = [
        boundary(made(strategy=strategy, guided=guided, count=16, freedom=1.0))["passed_filter"].mean() for guided in (True, False)
    ]
    assert shares[0] > 0.5 > 0.2 > shares[1]


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("count", [1, GROUP_SIZE, GROUP_SIZE + 1, 7])
def test_a_sample_is_the_same_whatever_the_number(strategy, count):
    few, many = made(strategy=strategy, count=count), made(strategy=strategy, count=9)
    for name, latent in few.latents.items():
        assert latent.tobytes() == many.latents[name].tobytes()
        assert np.array_equal(few.images[name], many.images[name])
    assert boundary(few)["sample_id"].tolist() == boundary(many)["sample_id"].tolist()[:count]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_another_seed_is_another_set_and_the_same_seed_the_same(strategy):
    first, again, other = (set(made(strategy=strategy, seed=seed).latents) for seed in (1, 1, 2))
    assert first == again
    assert len(first & other) == 1  # the base


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_events_come_in_order(strategy):
    events = []
    found = made(Progress(events.append), strategy=strategy, count=6)
    stages = [event.fraction for event in events if isinstance(event, Stage)]
    assert stages == sorted(stages)
    assert (stages[0], stages[-1]) == (0.0, 1.0)
    assert [event.first for event in events if isinstance(event, BaseShown)] == [0]
    ready = [event for event in events if isinstance(event, BoundarySampleMade)]
    assert [event.index for event in ready] == list(range(6))
    for first, number in ((0, GROUP_SIZE), (GROUP_SIZE, 2)):
        group = [event for event in events if isinstance(event, DenoisingStep) and event.first == first]
        fractions = [event.fraction for event in group]
        assert len(group) > 3
        assert fractions == sorted(fractions)
        assert fractions[0] == 0
        assert 0.9 < fractions[-1] <= 1
        assert all(event.shares.shape == (number, 2) and (event.shares >= 0).all() and (event.shares <= 1).all() for event in group)
        # the way is told before the group's first picture, after its base
        assert max(events.index(event) for event in group) < events.index(ready[first])
    assert events.index(next(event for event in events if isinstance(event, BaseShown))) < events.index(ready[0])
    for event, (_, row) in zip(ready, boundary(found).iterrows(), strict=True):
        assert event.sample_id == row["sample_id"]
        assert np.array_equal(event.image, found.images[row["sample_id"]])
        assert event.opinions["planted-mlp"].raw[1] == row["p_fear"]
        assert event.passed == {"planted-mlp": row["passed_filter"], **{name: row[f"passed_{name}"] for name in JUDGES}}
        assert event.passed == {name: all(above) for name, above in event.above.items()}
        assert event.distance == row["distance_fake"]


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("after", [DenoisingStep, BoundarySampleMade, BaseShown])
def test_cancel_stops_between_events(strategy, after):
    progress = Progress()
    seen = []

    def report(event):
        seen.append(event)
        if isinstance(event, after):
            progress.cancel.set()

    progress.report = report
    with pytest.raises(Cancelled):
        made(progress, strategy=strategy)
    assert isinstance(seen[-1], after)  # nothing more was told
    assert sum(isinstance(event, BoundarySampleMade) for event in seen) <= 1


def test_a_set_is_saved_and_loaded_unchanged(tmp_path):
    found = made()
    found.save(tmp_path / "set")
    again = SampleSet.load(tmp_path / "set")
    assert again.emotion == found.configuration
    assert_frame_equal(again.samples, found.samples)
    assert len(again.pairs) == 0
    assert all(np.array_equal(again.latents[name], latent) for name, latent in found.latents.items())
    assert all(np.array_equal(again.images[name], image) for name, image in found.images.items())
    assert json.loads(json.dumps(found.manifest)).items() <= again.manifest.items()


def test_the_manifest_says_what_made_the_set():
    panel = planted_panel()
    manifest = made(panel=panel).manifest
    assert manifest["counts"] == {"genuine": 1, "boundary": 6}
    assert manifest["thresholds"] == {"fake": 0.6}
    assert manifest["temperatures"] == dict.fromkeys(("planted-mlp", *JUDGES), 2.0)
    for name, k in manifest["percentiles"].items():
        assert np.allclose(k, np.percentile(panel.reference.logits[name], 75, axis=0), atol=1e-5)
    assert manifest["versions"]["torch"] == version("torch")
    assert manifest["seconds"]["total"] > 0
    assert {card["kind"] for card in manifest["models"].values()} == {
        "generator",
        "encoder",
        "classifier",
        "prior",
        "decoder",
        "surrogate",
        "recogniser",
    }


def test_pictures_without_a_face_have_no_distance():
    blind = planted_panel(recogniser=FakeRecogniser(face_until=-100.0))
    assert made(panel=blind).samples["distance_fake"].isna().all()


def test_without_a_base_every_sample_has_its_own():
    events = []
    panel = planted_panel()
    found = generate_emotion_set(configuration(count=5, strategy="direct", generator="dcgan"), Progress(events.append), panel=panel)
    assert found.samples["sample_type"].value_counts().to_dict() == {"genuine": 5, "boundary": 5}
    assert boundary(found)["base_id"].nunique() == 5
    assert [event.first for event in events if isinstance(event, BaseShown)] == list(range(5))
    alone = generate_emotion_set(configuration(count=1, strategy="direct", generator="dcgan"), panel=panel)
    assert set(alone.latents) <= set(found.latents)


def test_unguided_direct_samples_are_where_the_search_begins():
    """Near the base, at its distance from the origin, and the guided ones of the same seeds begin there."""
    found = made(strategy="direct", guided=False, count=40, freedom=0.5)
    base = planted_base().latent
    latents = np.stack([found.latents[name] for name in boundary(found)["sample_id"]])
    along = latents @ base / (base @ base)
    # 0.98 of the base plus a fifth of a standard normal draw
    assert along.mean() == pytest.approx(np.sqrt(1 - 0.2**2), abs=4 * 0.2 / np.linalg.norm(base) / np.sqrt(40))
    assert (latents - np.sqrt(0.96) * base).std() == pytest.approx(0.2, abs=0.03)


def test_pictures_are_what_was_judged_to_the_last_bit():
    """Values beyond the pixels' reach are cut before anybody judges them."""

    class Loud(FakeGenerator):
        def decode(self, latents):
            return super().decode(12 * latents)

    panel = planted_panel(Loud())
    found = made(panel=panel, strategy="direct", freedom=1.0)
    assert max(image.max() for image in found.images.values()) == 255  # something was cut
    for _, row in found.samples.iterrows():
        said = panel.mlp.logits(to_images(found.images[row["sample_id"]][None]))[0]
        assert row["logit_fear"] == pytest.approx(float(said[1]), abs=1e-4)


# -- with the committed networks


def test_a_real_set_names_its_models_with_their_hashes(tmp_path):
    c = EmotionConfiguration("surprise", "fear", count=2, seed=3, generator="dcgan", strategy="direct", search_steps=2)
    found = generate_emotion_set(c)
    models = found.manifest["models"]
    for name in ("face-embedding", "emotion-mlp", "face-prior", "latent-flow", "latent-emotion"):
        assert models[name]["files"][f"assets/weights/{name}.safetensors"] == read_trained(name).card["sha256"]
    assert {"dcgan", "dlib", "mini-xception", "tanh-cnn", "small-cnn"} <= set(models)
    assert all(len(sha) == 64 for model in models.values() for sha in model["files"].values())
    assert np.isfinite(found.samples.loc[found.samples["sample_type"] == "genuine", "distance_dlib"]).all()
    found.save(tmp_path / "set")
    assert_frame_equal(SampleSet.load(tmp_path / "set").samples, found.samples)


def test_networks_that_do_not_fit_together_are_refused(monkeypatch):
    from core.models import registry

    c = EmotionConfiguration("surprise", "fear", generator="dcgan")
    for kind, attribute, says in (("prior", "embedding_dim", "train them again"), ("decoder", "latent_dim", "another generator")):
        model = registry.load(registry.list_names(kind)[0], kind)
        with monkeypatch.context() as patch:
            patch.setattr(model, attribute, 7)
            with pytest.raises(LiminalError, match=says) as error:
                EmotionPanel.load(c)
            assert "\n" not in str(error.value)
    assert EmotionPanel.load(c).prior is not None


def test_unknown_models_are_one_sentence():
    for change in ({"generator": "nothing"}, {"steerer": "nobody"}, {"recogniser": "noone"}):
        with pytest.raises(LiminalError, match="There is no") as error:
            EmotionPanel.load(dataclasses.replace(EmotionConfiguration("surprise", "fear"), **change))
        assert "\n" not in str(error.value)
