"""The page 'Models': it lists what there is before torch is loaded, tries a model, and adds one with a verdict."""

import socket
import time

import pytest
import torch
from safetensors.torch import load_file, save_file

from core.__main__ import main
from core.errors import LiminalError
from core.models import registry
from core.models.custom import catalogue, sources
from core.models.custom.stylegan2 import StyleGAN2Network, StyleGAN2Sizes
from core.sampling.building import precompute
from core.sampling.stored.population import load_thresholds
from tests import tiny_models
from tests.ui.visits import IDLE, app, paints_without_torch, words
from ui.cache import SharedResultCache
from ui.jobs import get_job_manager
from ui.models import page

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
    for job in list(get_job_manager()._jobs.values()):
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
        assert (entry.title in said) == entry.offered
        assert [button.key for button in test.button].count(f"try-{entry.name}") == entry.offered
    work()
    said = words(test.run())
    assert "DigiFace-1M: non-commercial research use" in said
    assert "16 MB" in said  # dcgan-sharp's weights
    assert "Cannot be used" not in said


def test_trying_a_model_says_how_long_and_how_large():
    test = app(PAGE)
    test.button(key="try-dcgan-sharp").click().run()
    work()
    test.run()
    assert len(test.success) == 1
    assert "It does what it should" in test.success[0].value
    assert "ms an image" in test.success[0].value
    assert "MB in memory" in test.success[0].value


def test_a_model_is_added_and_offered_by_the_other_pages(weights):
    test = fill_in(app(PAGE), "tiny-gan", weights, '{"truncation": 0.8}')
    assert "was added and does what it should" in words(test)
    assert catalogue.list_custom_models()[0].options == {"truncation": 0.8}
    assert "tiny-gan" in app("phone.py").radio(key="generator").options
    test = app(PAGE)
    test.button(key="remove-tiny-gan").click().run()
    assert catalogue.list_custom_models() == ()


def test_a_label_that_was_guessed_wrongly_is_corrected(tmp_path):
    test = app(PAGE)
    test.selectbox(key="own-class").set_value("hf-classifier").run()
    fill_in(test, "tiny-vit", tiny_models.save_classifier(tmp_path / "vit"))
    assert catalogue.list_custom_models()[0].options["labels"]["fear"] == 4
    test = app(PAGE)
    work()
    test.run()
    assert "outputs read as surprise 5, fear 4, disgust 1" in words(test)
    fear = test.selectbox(key="labels-tiny-vit-fear")
    assert fear.options[4] == "4: fear"
    fear.set_value(3).run()
    test.button(key="use-labels-tiny-vit").click().run()
    work()
    assert catalogue.list_custom_models()[0].options["labels"]["fear"] == 3
    assert registry.load("tiny-vit", "classifier").order[1] == 3
    assert "Kept. Prepare it again" in words(test.run())
    work()
    test.run()
    assert "outputs read as surprise 5, fear 3" in words(test)


KEY = "synthesis.b8.conv1.weight"


def lacking(state):
    del state[KEY]


def misshapen(state):
    state[KEY] = state[KEY][:, :, :1]


def not_finite(state):
    state[KEY][0, 0, 0, 0] = float("nan")


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [(lacking, f"lacks '{KEY}'"), (misshapen, f"'{KEY}' in tiny.safetensors has the shape"), (not_finite, f"'{KEY}' in tiny")],
)
def test_the_first_wrong_key_is_named_on_page_and_command(weights, capsys, damage, sentence):
    state = {key: value.clone() for key, value in load_file(weights).items()}
    damage(state)
    save_file({key: value.contiguous() for key, value in state.items()}, weights)
    assert main(["models", "add", "tiny-gan", "stylegan2", str(weights)]) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert "Traceback" not in said
    assert sentence in words(fill_in(app(PAGE), "tiny-gan", weights))


class Code:
    def __reduce__(self):
        return print, ("this was run",)


def test_code_in_a_pickle_is_never_run(tmp_path, capsys):
    torch.save({"G_ema": Code()}, tmp_path / "bad.pt")
    assert main(["models", "add", "tiny-gan", "stylegan2", str(tmp_path / "bad.pt")]) == 2
    said = capsys.readouterr()
    assert "holds code besides its tensors, which is never run" in said.err
    assert "this was run" not in said.out
    assert "which is never run" in words(fill_in(app(PAGE), "tiny-gan", tmp_path / "bad.pt"))


@pytest.mark.parametrize("silent", [False, True])
def test_a_hub_that_refuses_or_never_answers_is_no_wait(monkeypatch, capsys, silent):
    """A real socket: one that is not listened to, and one that takes the call and says nothing."""
    import huggingface_hub.constants

    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(sources, "HUB_TIMEOUT_SECONDS", 0.3)
    for proxy in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(proxy, raising=False)
        monkeypatch.delenv(proxy.upper(), raising=False)
    with socket.socket() as hub:
        hub.bind(("127.0.0.1", 0))
        if silent:
            hub.listen(1)
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", f"http://127.0.0.1:{hub.getsockname()[1]}")
        began = time.monotonic()
        assert main(["models", "add", "x", "hf-classifier", "somebody/feelings"]) == 2
        assert "the hub could not be reached" in capsys.readouterr().err
        assert "the hub could not be reached" in words(fill_in(app(PAGE), "x", "somebody/feelings"))
        assert time.monotonic() - began < 60
    assert catalogue.list_custom_models() == ()


def test_what_is_wrong_is_said_in_a_sentence(weights):
    assert "forbids fetching it" in words(fill_in(app(PAGE), "tiny-gan", "somebody/nothing"))
    assert "The options are not readable" in words(fill_in_badly(weights))
    assert catalogue.list_custom_models() == ()


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
    catalogue.save_custom_model(
        catalogue.CustomModel(
            "mine", "deepface", "OpenFace", title="Mine", facts={"threshold": 0.55, "threshold_source": "paper A"}
        )
    )
    for name in ("phone.py", "identity.py"):
        assert not app(name).error
    assert "Mine has not judged the faces of head yet" in words(app("phone.py", recogniser="mine"))
    assert not app("identity.py", recogniser="mine").error
    assert load_thresholds("dcgan", "mine").default == 0.55
    assert load_thresholds("dcgan", "mine").calibrated == ()
    with pytest.raises(LiminalError, match="No calibrated threshold"):
        load_thresholds("dcgan", "nobody")


def test_only_what_was_added_is_prepared():
    with pytest.raises(LiminalError, match="'dcgan' needs no preparing"):
        precompute.precompute_model("dcgan")
    with pytest.raises(LiminalError, match="There is no model called 'nobody'"):
        precompute.precompute_model("nobody")


def test_sizes_are_in_words():
    assert [page.format_bytes(count) for count in (0, 400, 14_200_000, 1_500_000, 2.2e9)] == [
        "",
        "1 KB",
        "14 MB",
        "1.5 MB",
        "2.2 GB",
    ]


def test_it_paints_before_torch_is_imported():
    paints_without_torch(PAGE, IDLE)


def test_results_of_a_model_are_forgotten_when_the_shelf_changes():
    kept = SharedResultCache()
    kept.put("recipe", "made by the old one")
    assert kept.get("recipe") == "made by the old one"
    catalogue.save_custom_model(catalogue.CustomModel("mine", "deepface", "OpenFace"))
    assert kept.get("recipe") is None
    assert kept.get_or_compute("recipe", lambda: "made anew") == "made anew"


def test_work_that_is_not_begun_or_is_stopped_is_said_where_its_button_is():
    test = app(PAGE)
    get_job_manager()._max_waiting = 0
    test.button(key="try-dcgan-sharp").click().run()
    assert "Too many people are making faces on this server" in words(test)
    get_job_manager()._max_waiting = 9
    test.button(key="try-dcgan-sharp").click().run()
    next(job for job in get_job_manager()._jobs.values() if job.title == "Trying dcgan-sharp").stop()
    assert "Stopped on request; nothing half-made was kept." in words(test.run())
    assert not test.success
