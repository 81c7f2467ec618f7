"""The page 'Models': it lists what there is before torch is loaded, tries a model, and adds one with a verdict."""

import pytest
import torch
from safetensors.torch import save_file

from core.errors import LiminalError
from core.models import registry
from core.models.own import listing
from core.models.stylegan2_network import StyleGAN2Network, StyleGAN2Sizes
from core.sampling import preparing
from core.sampling.thresholds import load_thresholds
from tests import tiny_models
from tests.ui.visits import IDLE, app, paints_without_torch, words
from ui.jobs import manager
from ui.models import shelf

PAGE = "models.py"


@pytest.fixture(autouse=True)
def _offline(place, idle, monkeypatch):
    """What is handed to the background is done when a test says so."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(0)
    sizes = StyleGAN2Sizes(z_dim=6, w_dim=5, classes=0, class_features=0, mapping=(5, 5), channels={4: 8, 8: 6})
    path = tmp_path / "tiny.safetensors"
    save_file({key: value.clone() for key, value in StyleGAN2Network(sizes).state_dict().items()}, path)
    return path


def work():
    """Do what waits."""
    for job in list(manager()._jobs.values()):
        if not job.finished:
            job._run()


def fill_in(test, name, source, options=""):
    test.text_input(key="own-name").set_value(name)
    test.text_input(key="own-source").set_value(str(source))
    test.text_input(key="own-options").set_value(options)
    test.run()
    test.button(key="own-add").click().run()
    work()
    return test.run()


def test_every_model_is_listed_at_once_and_described_soon():
    test = app(PAGE)
    said = words(test)
    for entry in registry.ENTRIES:
        assert entry.title in said
        assert test.button(key=f"try-{entry.name}")
    work()
    said = words(test.run())
    assert "DigiFace-1M: non-commercial research use" in said
    assert "14 MB" in said  # dcgan's weights
    assert "Cannot be used" not in said


def test_trying_a_model_says_how_long_and_how_large():
    test = app(PAGE)
    test.button(key="try-dcgan").click().run()
    work()
    test.run()
    assert len(test.success) == 1
    assert "It does what it should" in test.success[0].value
    assert "ms an image" in test.success[0].value
    assert "MB in memory" in test.success[0].value


def test_a_model_is_added_and_offered_by_the_other_pages(weights):
    test = fill_in(app(PAGE), "tiny-gan", weights, '{"truncation": 0.8}')
    assert "was added and does what it should" in words(test)
    assert listing.own_models()[0].options == {"truncation": 0.8}
    assert "tiny-gan" in app("phone.py").radio(key="generator").options
    test = app(PAGE)
    test.button(key="remove-tiny-gan").click().run()
    assert listing.own_models() == ()


def test_a_label_that_was_guessed_wrongly_is_corrected(tmp_path):
    test = app(PAGE)
    test.selectbox(key="own-class").set_value("hf-classifier").run()
    fill_in(test, "tiny-vit", tiny_models.save_classifier(tmp_path / "vit"))
    assert listing.own_models()[0].options["labels"]["fear"] == 4
    test = app(PAGE)
    work()
    test.run()
    assert "Outputs read as:</b> surprise 5, fear 4, disgust 1" in words(test)
    fear = test.selectbox(key="labels-tiny-vit-fear")
    assert fear.options[4] == "4: fear"
    fear.set_value(3).run()
    test.button(key="use-labels-tiny-vit").click().run()
    work()
    assert listing.own_models()[0].options["labels"]["fear"] == 3
    assert registry.load("tiny-vit", "classifier").order[1] == 3
    assert "Kept. Prepare it again" in words(test.run())
    assert "Outputs read as:</b> surprise 5, fear 3" in words(test)


def test_what_is_wrong_is_said_in_a_sentence(weights):
    state = StyleGAN2Network(StyleGAN2Sizes(6, 5, 0, 0, (5, 5), {4: 8, 8: 6})).state_dict()
    save_file({key: value.clone() for key, value in state.items() if key != "synthesis.b8.torgb.bias"}, weights)
    assert "lacks 'synthesis.b8.torgb.bias'" in words(fill_in(app(PAGE), "tiny-gan", weights))
    assert "forbids fetching it" in words(fill_in(app(PAGE), "tiny-gan", "somebody/nothing"))
    assert "The options are not readable" in words(fill_in_badly(weights))
    assert listing.own_models() == ()


def fill_in_badly(weights):
    test = app(PAGE)
    test.text_input(key="own-name").set_value("tiny-gan")
    test.text_input(key="own-source").set_value(str(weights))
    test.text_input(key="own-options").set_value("truncation 0.8")
    test.run()
    return test.button(key="own-add").click().run()


def test_visitors_from_elsewhere_look_and_do_not_touch(monkeypatch):
    monkeypatch.setenv("LIMINAL_OWNER_KEY", "a secret")
    test = app(PAGE)
    assert "Models can be added on the computer that runs Liminal" in words(test)
    assert "own-add" not in [button.key for button in test.button]


def test_a_recogniser_that_was_added_leaves_the_other_pages_whole():
    listing.keep(
        listing.OwnModel("mine", "deepface", "OpenFace", title="Mine", facts={"threshold": 0.55, "threshold_source": "paper A"})
    )
    for page in ("phone.py", "identity.py"):
        assert not app(page).error
    assert "Mine has not judged the faces of dcgan-sharp yet" in words(app("phone.py", recogniser="mine"))
    assert not app("identity.py", recogniser="mine").error
    assert load_thresholds("dcgan", "mine").default == 0.55
    assert load_thresholds("dcgan", "mine").calibrated == ()
    with pytest.raises(LiminalError, match="No calibrated threshold"):
        load_thresholds("dcgan", "nobody")


def test_only_what_was_added_is_prepared():
    with pytest.raises(LiminalError, match="'dcgan' needs no preparing"):
        preparing.prepare("dcgan")
    with pytest.raises(LiminalError, match="There is no model called 'nobody'"):
        preparing.prepare("nobody")


def test_sizes_are_in_words():
    assert [shelf.size(count) for count in (0, 400, 14_200_000, 1_500_000, 2.2e9)] == ["", "1 KB", "14 MB", "1.5 MB", "2.2 GB"]


def test_it_paints_before_torch_is_imported():
    paints_without_torch(PAGE, IDLE)
