"""Models that a user adds: on the list, found by name, refused in one sentence, and never a wait for a hub."""

import gc
import json
import math
import time
import weakref

import pytest
import torch
from safetensors.torch import save_file

from core.__main__ import main
from core.errors import LiminalError
from core.models import registry
from core.models.contracts import NOT_FOR
from core.models.custom import catalogue, sources
from core.models.custom.loading import fill_network, is_number, is_whole_number, read_tensors
from core.models.custom.manager import add_model
from core.models.custom.stylegan2 import StyleGAN2Network, StyleGAN2Sizes

pytestmark = pytest.mark.usefixtures("own_place")

SIZES = StyleGAN2Sizes(z_dim=6, w_dim=5, classes=0, class_features=0, mapping=(5, 5), channels={4: 8, 8: 6})


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "tiny.safetensors"
    save_file({key: value.clone() for key, value in StyleGAN2Network(SIZES).state_dict().items()}, path)
    return path


def test_an_added_model_is_found_by_name_like_any_other(weights):
    built_in = registry.list_names("generator")
    added = add_model("tiny-gan", "stylegan2", str(weights), options={"truncation": 0.9}, title="Tiny")
    assert added.report.passed
    assert registry.list_names("generator") == [*built_in, "tiny-gan"]  # the default stays the default
    assert registry.find_entry("tiny-gan", "generator").title == "Tiny"
    model = registry.load("tiny-gan", "generator", "cpu")
    assert model.name == "tiny-gan"
    assert model.truncation == 0.9
    assert registry.load("tiny-gan", "generator", "cpu") is model
    catalogue.remove_custom_model("tiny-gan")
    assert registry.list_names("generator") == built_in
    assert weights.exists()


def test_the_list_holds_path_options_and_hash(weights):
    import hashlib

    add_model("tiny-gan", "stylegan2", str(weights), options={"space": "w"})
    row = json.loads(catalogue.models_path().read_text())["models"][0]
    assert row["source"] == str(weights)
    assert row["options"] == {"space": "w"}
    assert row["files"] == {"tiny.safetensors": hashlib.sha256(weights.read_bytes()).hexdigest()}
    assert list(catalogue.models_path().parent.iterdir()) == [catalogue.models_path()]  # no half-written file beside it


def test_altered_and_vanished_files_are_named(weights):
    add_model("tiny-gan", "stylegan2", str(weights))
    other = StyleGAN2Network(SIZES).state_dict()
    save_file({key: value.clone() for key, value in other.items()}, weights)
    with pytest.raises(LiminalError, match=r"tiny.safetensors is not the one expected"):
        registry.load("tiny-gan", "generator", "cpu")
    weights.unlink()
    with pytest.raises(LiminalError, match="no longer there; bring it back"):
        registry.load("tiny-gan", "generator", "cpu")


def test_a_name_is_given_once(weights):
    add_model("tiny-gan", "stylegan2", str(weights))
    with pytest.raises(LiminalError, match="added before"):
        add_model("tiny-gan", "stylegan2", str(weights))
    add_model("tiny-gan", "stylegan2", str(weights), options={"noise": "none"}, replaces=True)
    assert [dict(each.options) for each in catalogue.list_custom_models()] == [{"noise": "none"}]
    assert not registry.load("tiny-gan", "generator", "cpu").has_noise


def test_a_model_that_was_replaced_or_removed_is_kept_in_memory_no_longer(weights, monkeypatch):
    monkeypatch.setattr(registry, "_loaded", dict(registry._loaded))
    dcgan = registry.load("dcgan", "generator", "cpu")

    def loaded(name, **more):
        add_model(name, "stylegan2", str(weights), **more)
        model = registry.load(name, "generator", "cpu")
        model.decode(model.sample([1]))  # the engine must not hold on to it either
        return weakref.ref(model.network)

    first, other = loaded("tiny-gan"), loaded("other-gan")
    second = loaded("tiny-gan", options={"noise": "none"}, replaces=True)
    gc.collect()
    assert (first() is None, other() is None, second() is None) == (True, False, False)
    catalogue.remove_custom_model("tiny-gan")
    assert registry.load("other-gan", "generator", "cpu").network is other()
    loaded("third-gan")
    gc.collect()
    assert second() is None
    assert registry.load("dcgan", "generator", "cpu") is dcgan


@pytest.mark.parametrize(
    ("name", "class_name", "options", "sentence"),
    [
        ("dcgan", "stylegan2", {}, "built-in"),
        ("Tiny GAN", "stylegan2", {}, "small letters"),
        ("tiny", "stylegan9", {}, "no class of models called 'stylegan9'"),
        ("tiny", "stylegan2", {"psi": 1}, "no option 'psi'"),
        ("tiny", "stylegan2", {"space": "w+"}, "option space is 'w\\+'"),
        ("tiny", "clip-encoder", {"psi": 1}, "no option 'psi'; its options are: none"),
        ("tiny", "onnx-recogniser", {"psi": 1}, "no option 'psi'; its options are: none"),
        ("tiny", "deepface", {"psi": 1}, "no option 'psi'; its options are: none"),
    ],
)
def test_wrong_words_are_named_and_nothing_is_kept(weights, name, class_name, options, sentence):
    with pytest.raises(LiminalError, match=sentence):
        add_model(name, class_name, str(weights), options=options)
    assert catalogue.list_custom_models() == ()


@pytest.mark.parametrize("value", [True, "1", None, [1], math.nan, math.inf, -(10**400)])
def test_what_is_no_number_of_an_option(value):
    assert not is_number(value)
    assert not is_whole_number(value, 0)


def test_numbers_of_options():
    assert is_number(0.5)
    assert is_number(-3)
    assert [is_whole_number(value, 1, 4) for value in (0, 1, 4, 5, 2.0)] == [False, True, True, False, False]
    assert is_whole_number(10**400, 0)


def test_a_card_says_what_was_told_and_what_is_not_known(weights):
    told = add_model("tiny-gan", "stylegan2", str(weights), title="Tiny", weights_licence="CC0").custom
    described = registry.read_card(registry.find_entry("tiny-gan"))
    assert (described.name, described.title, described.kind) == ("tiny-gan", "Tiny", "generator")
    assert described.source == f"{weights} (StyleGAN2, Karras et al. 2020); added on {told.added}"
    assert described.weights_licence == "CC0"
    assert described.data_licence.startswith("not stated; FFHQ")
    assert described.not_for == "evidence about real people; faces may resemble people in the training data"
    assert [file.verified() for file in described.files] == [weights]


@pytest.mark.parametrize(("kind", "others"), [("recogniser", ["deepface", "dlib", "sface"]), ("classifier", ["dan", "tanh-cnn"])])
def test_models_of_a_kind_are_not_for_the_same(kind, others):
    catalogue.save_custom_model(catalogue.CustomModel("dan", "dan", "dan.pth"))
    catalogue.save_custom_model(catalogue.CustomModel("deepface", "deepface", "OpenFace"))
    cards = [registry.read_card(registry.find_entry(name, kind)) for name in others]
    assert {card.not_for for card in cards} == {NOT_FOR[kind]}
    assert cards[0].source.startswith({"recogniser": "DeepFace library, OpenFace", "classifier": "dan.pth (DAN"}[kind])


def test_a_model_that_breaks_its_contract_is_not_added(tmp_path):
    network = StyleGAN2Network(SIZES)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    save_file({key: value.clone() for key, value in network.state_dict().items()}, tmp_path / "grey.safetensors")
    with pytest.raises(LiminalError, match="decode gives the same image for different latents"):
        add_model("grey", "stylegan2", str(tmp_path / "grey.safetensors"))
    assert catalogue.list_custom_models() == ()


def test_what_another_process_adds_is_seen_after_a_moment(monkeypatch):
    assert catalogue.list_custom_models() == ()
    catalogue.models_path().write_text('{"models": [{"name": "theirs", "model_class": "onnx", "source": "/x"}]}')
    assert catalogue.list_custom_models() == ()  # looked at a moment ago
    monkeypatch.setattr(catalogue, "REREAD_SECONDS", 0.0)
    assert [each.name for each in catalogue.list_custom_models()] == ["theirs"]


def test_a_damaged_list_is_one_sentence(monkeypatch):
    monkeypatch.setattr(catalogue, "REREAD_SECONDS", 0.0)
    catalogue.models_path().write_text('{"models": [{"title": 1}]}')
    with pytest.raises(LiminalError, match=r"models.json, is damaged"):
        registry.list_names("generator")


# --- the hub


def test_offline_and_not_here_is_said_at_once():
    started = time.monotonic()
    with pytest.raises(LiminalError, match="somebody/nothing is not on this machine and HF_HUB_OFFLINE forbids"):
        add_model("x", "stylegan2", "somebody/nothing")
    assert time.monotonic() - started < 60


def test_a_hub_that_cannot_be_reached_is_said_at_once(monkeypatch):
    import huggingface_hub

    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    asked = []

    def unreachable(self, repository, *, timeout=None, **_):
        asked.append(timeout)
        raise ConnectionError("no route")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", unreachable)
    with pytest.raises(LiminalError, match=r"could not be reached \(ConnectionError\)"):
        add_model("x", "stylegan2", "somebody/nothing")
    assert asked == [sources.HUB_TIMEOUT_SECONDS]


def test_what_is_neither_a_path_nor_a_repository_is_said():
    for source in ("./missing.safetensors", "missing.safetensors", "a/b/c.pt"):
        with pytest.raises(LiminalError, match="There is no file or folder"):
            add_model("x", "stylegan2", source)


def hub_copy(cache, weights):
    """The hub's cache as it lies on disk after a download."""
    repository = cache / "models--somebody--faces"
    snapshot = repository / "snapshots" / ("0" * 39 + "1")
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(snapshot.name)
    (snapshot / weights.name).write_bytes(weights.read_bytes())
    return snapshot


def test_a_repository_in_the_cache_is_used_without_a_network(weights, tmp_path, monkeypatch):
    import huggingface_hub

    snapshot = hub_copy(tmp_path / "hub", weights)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda *_, **__: pytest.fail("the hub was asked"))
    added = add_model("faces", "stylegan2", "somebody/faces")
    assert (added.custom.source, added.custom.revision) == ("somebody/faces", snapshot.name)
    assert registry.load("faces", "generator", "cpu").image_size == 8
    registry._loaded.clear()
    (snapshot / weights.name).unlink()
    snapshot.rmdir()
    with pytest.raises(LiminalError, match="no longer on this machine"):
        registry.load("faces", "generator", "cpu")


def listing_of(snapshot, *names):
    """What huggingface_hub 2.4 writes down of a repository's files before it fetches any."""
    files = {name: {"size": 1, "blob_id": "0" * 40} for name in names}
    path = snapshot.parents[1] / "trees" / f"{snapshot.name}.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"format_version": 1, "files": files}))


def left_half_written(snapshot):
    path = snapshot.parents[1] / "blobs" / "0123.4567.incomplete"
    path.parent.mkdir()
    path.write_bytes(b"half")


@pytest.mark.parametrize(
    ("interrupted", "whole"),
    [
        (lambda snapshot: listing_of(snapshot, "tiny.safetensors", "second.safetensors"), False),
        (lambda snapshot: listing_of(snapshot, "tiny.safetensors", "README.md", "other.h5"), True),  # which are never fetched
        (left_half_written, False),
        (lambda snapshot: None, True),  # by an older library, or copied by hand
    ],
)
def test_a_download_that_was_interrupted_is_not_taken_for_whole(weights, tmp_path, monkeypatch, interrupted, whole):
    import huggingface_hub

    snapshot = hub_copy(tmp_path / "hub", weights)
    interrupted(snapshot)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    if whole:
        assert add_model("faces", "stylegan2", "somebody/faces").custom.revision == snapshot.name
        return
    with pytest.raises(LiminalError, match=r"somebody/faces is only partly on this machine .* unset it and add it again"):
        add_model("faces", "stylegan2", "somebody/faces")
    assert catalogue.list_custom_models() == ()


def test_an_interrupted_download_is_gone_on_with(weights, tmp_path, monkeypatch):
    import huggingface_hub

    snapshot = hub_copy(tmp_path / "hub", weights)
    listing_of(snapshot, "config.json", "tiny.safetensors")
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    siblings = [type("Sibling", (), {"rfilename": name})() for name in ("README.md", "config.json", "tiny.safetensors")]
    told = type("Info", (), {"siblings": siblings, "card_data": None})
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda *_, **__: told)
    cached = huggingface_hub.snapshot_download

    def fetched(*arguments, local_files_only=False, allow_patterns=None, **more):
        if not local_files_only:
            assert allow_patterns == ["config.json", "tiny.safetensors"]
            (snapshot / "config.json").write_text("{}")
        return cached(*arguments, local_files_only=True, allow_patterns=allow_patterns)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetched)
    assert set(add_model("faces", "stylegan2", "somebody/faces").custom.files) == {"config.json", "tiny.safetensors"}


def test_a_file_that_went_from_the_cache_is_named(weights, tmp_path, monkeypatch):
    import huggingface_hub

    snapshot = hub_copy(tmp_path / "hub", weights)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    own = add_model("faces", "stylegan2", "somebody/faces").custom
    (snapshot / weights.name).rename(tmp_path / "elsewhere")
    (snapshot / weights.name).symlink_to(tmp_path / "a blob that is gone")
    with pytest.raises(LiminalError, match=r"without tiny.safetensors; run '.* models add faces stylegan2"):
        sources.locate_source(own)


# --- files


class _Code:
    def __reduce__(self):
        return (print, ("run!",))


def test_pickled_code_is_refused_and_not_run(tmp_path, capsys):
    torch.save({"weight": torch.zeros(2), "other": _Code()}, tmp_path / "bad.pt")
    with pytest.raises(LiminalError, match="holds code besides its tensors"):
        read_tensors(tmp_path / "bad.pt")
    assert "run!" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["noise.safetensors", "noise.pt"])
def test_a_damaged_file_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x00\x01 no weights at all" * 9)
    with pytest.raises(LiminalError, match=name):
        read_tensors(tmp_path / name)


def test_numbers_beside_tensors_are_refused(tmp_path):
    torch.save({"weight": torch.zeros(2), "epoch": 3}, tmp_path / "bad.pt")
    with pytest.raises(LiminalError, match=r"'epoch' in bad.pt is no tensor but a int"):
        read_tensors(tmp_path / "bad.pt")


def test_filling_names_the_first_wrong_key(tmp_path):
    network, path = torch.nn.Linear(2, 1), tmp_path / "x.pt"
    good = {"weight": torch.ones(1, 2), "bias": torch.ones(1)}
    for wrong, sentence in (
        ({"bias": good["bias"]}, "lacks 'weight'"),
        ({**good, "weight": torch.ones(2, 1)}, r"'weight' in x.pt has the shape \(2, 1\), the network needs \(1, 2\)"),
        ({**good, "more": good["bias"]}, "'more' in x.pt is unknown"),
    ):
        with pytest.raises(LiminalError, match=sentence):
            fill_network(network, wrong, path)
    fill_network(network, good, path)
    assert network(torch.ones(2)).item() == 3


# --- the command line


def test_command_line_adds_lists_checks_and_removes(weights, capsys):
    assert main(["models", "add", "tiny-gan", "stylegan2", str(weights), "--option", "truncation=0.7"]) == 0
    assert "Added tiny-gan" in capsys.readouterr().out
    assert main(["models", "list", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["tiny-gan"]["options"] == {"truncation": 0.7}
    assert rows["dcgan-sharp"]["class"] == "built-in"
    assert "dcgan" not in rows  # kept for what was made with it, no choice for new work
    assert main(["models", "check"]) == 0
    assert "ok      generator: tiny-gan" in capsys.readouterr().out
    assert main(["doctor", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["models"][-1]["name"] == "tiny-gan"
    weights.write_bytes(b"")
    registry._loaded.clear()
    assert main(["models", "check"]) == 2
    assert "not the one expected" in capsys.readouterr().out
    assert main(["models", "remove", "tiny-gan"]) == 0
    assert main(["models", "remove", "tiny-gan"]) == 2
    assert "No added model is called 'tiny-gan'" in capsys.readouterr().err


def test_names_can_still_be_listed_without_torch(weights):
    import subprocess
    import sys

    add_model("tiny-gan", "stylegan2", str(weights))
    code = (
        "import sys; from core.models import registry; assert 'tiny-gan' in registry.list_names('generator');"
        "assert not {'torch', 'transformers', 'diffusers', 'huggingface_hub'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
