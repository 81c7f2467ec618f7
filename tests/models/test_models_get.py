"""``models get`` against a stand-in of the hub with tiny random models: what it says, fetches, goes on with, adds and ends with."""

import dataclasses
import json
import sys
import types

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

from core.__main__ import main
from core.commands import models_get, train
from core.errors import LiminalError
from core.models import registry
from core.models.custom import catalogue, downloads, external, recipes
from core.models.custom.manager import add_model
from core.models.custom.recipes import Download, Recipe, RecipeModel
from core.progress import Progress
from core.sampling.datasets.plan import read_plan
from core.sampling.emotion.configuration import EmotionConfiguration
from core.sampling.emotion.judging import EmotionPanel
from core.sampling.stored.scores import PRECOMPUTED_CARD
from tests import tiny_models, tiny_stack
from tests.hub_stand_in import hub_stand_in

pytestmark = pytest.mark.usefixtures("own_place")


@pytest.fixture
def prepared(monkeypatch):
    """In the place of preparing, which other tests do: the names that were to be prepared, and the card that says that they are."""
    names = []

    def precompute_model(name, *, people, progress):
        names.append(name)
        card = catalogue.precomputed_folder(name) / PRECOMPUTED_CARD
        card.parent.mkdir(parents=True)
        card.write_text("{}")

    monkeypatch.setattr("core.sampling.building.precompute.precompute_model", precompute_model)
    return names


def save_network(path, outputs, side=16):
    """A random linear map of the picture as an ONNX file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    weight = np.random.default_rng(0).normal(size=(3 * side * side, outputs)).astype(np.float32) / 10
    nodes = [helper.make_node("Flatten", ["data"], ["flat"], axis=1), helper.make_node("MatMul", ["flat", "weight"], ["vector"])]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("data", TensorProto.FLOAT, [1, 3, side, side])],
        [helper.make_tensor_value_info("vector", TensorProto.FLOAT, [1, outputs])],
        [onnx.numpy_helper.from_array(weight, "weight")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(path))
    return path


@pytest.fixture
def small(monkeypatch):
    """The recipes of single networks, for networks of 16 pixels."""
    changed = {}
    for name in ("arcface-r50", "emotieff-b0"):
        recipe = recipes.RECIPES[name]
        model = dataclasses.replace(recipe.models[0], description={**recipe.models[0].description, "input_size": 16})
        changed[name] = dataclasses.replace(recipe, models=(model,))
    monkeypatch.setattr(recipes, "RECIPES", {**recipes.RECIPES, **changed})
    return changed


def redirect(monkeypatch, old, new):
    """All addresses that begin with one lead to the stand-in."""

    def moved(download):
        return dataclasses.replace(download, address=download.address.replace(old, new))

    def changed(recipe):
        models = (dataclasses.replace(model, downloads=tuple(map(moved, model.downloads))) for model in recipe.models)
        return dataclasses.replace(recipe, models=tuple(models))

    monkeypatch.setattr(recipes, "RECIPES", {name: changed(recipe) for name, recipe in recipes.RECIPES.items()})


def test_without_a_name_all_are_listed(capsys):
    assert main(["models", "get"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in ("paper-a", "paper-b", "arcface-r50", "auraface", "emotieff-b0", "vit-expression"))


def test_every_recipe_names_classes_and_options_that_there_are():
    for recipe in recipes.RECIPES.values():
        for model in recipe.models:
            assert set(model.options) <= set(catalogue.find_class(model.model_class).options)
            assert model.weights_licence
            assert model.data_licence
            assert set(filter(None, (model.given, model.trained))) <= set(recipes.GIVEN_EXAMPLES)
            for download in model.downloads:
                assert download.address.startswith("https://") or downloads.REPOSITORY_PATTERN.match(download.address)
                assert callable(catalogue.find_code(download.choice))


def test_a_recogniser_is_fetched_from_the_hub_described_added_and_prepared(tmp_path, monkeypatch, capsys, prepared, small):
    save_network(tmp_path / "repository/models/buffalo_l/w600k_r50.onnx", 8)
    (tmp_path / "repository/models/buffalo_l/other.onnx").write_bytes(b"never fetched")
    with hub_stand_in(monkeypatch, tmp_path, repositories={"public-data/insightface": tmp_path / "repository"}) as hub:
        assert main(["models", "get", "arcface-r50", "--yes"]) == 0
        asked = len(hub.requests)
        assert not any(path.endswith("other.onnx") for _, path, _ in hub.requests)
        assert main(["models", "get", "arcface-r50"]) == 0  # nothing is left to ask
        assert len(hub.requests) == asked
    out = capsys.readouterr().out
    assert "0.0 MB" in out
    assert "InsightFace: non-commercial research (the hub says: mit)" in out
    assert "arcface-r50 is ready" in out
    model = registry.load("arcface-r50", "recogniser", "cpu")
    assert (model.embedding_dim, model.threshold) == (8, 0.68)
    assert model.card.weights_licence == "InsightFace: non-commercial research"
    assert prepared == ["arcface-r50"]


def test_an_emotion_network_comes_from_an_address_and_goes_on_after_a_break(tmp_path, monkeypatch, capsys, prepared, small):
    network = save_network(tmp_path / "net.onnx", 8)
    files = {"onnx/enet_b0_8_best_vgaf.onnx": network}
    with hub_stand_in(monkeypatch, tmp_path, files=files) as hub:
        redirect(monkeypatch, recipes.EMOTIEFF_ADDRESS, f"{hub.address}/onnx/")
        hub.breaks_at = 1000
        assert main(["models", "get", "emotieff-b0", "--yes"]) == 2
        assert "broke off" in capsys.readouterr().err
        assert catalogue.list_custom_models() == ()
        assert main(["models", "get", "emotieff-b0", "--yes"]) == 0
        assert [row for row in hub.requests if row[0] == "GET"][-1][2] == "bytes=1000-"
    assert "MB of them missing" in capsys.readouterr().out
    folder = downloads.weights_folder(catalogue.models_path().parent, "emotieff-b0")
    assert (folder / "enet_b0_8_best_vgaf.onnx").read_bytes() == network.read_bytes()
    assert sorted(path.name for path in folder.iterdir()) == ["emotieff-b0.json", "enet_b0_8_best_vgaf.onnx"]
    custom = catalogue.list_custom_models()[0]
    assert custom.options["labels"] == {"surprise": 7, "fear": 3, "disgust": 2, "happiness": 4, "sadness": 6, "anger": 0}
    assert custom.facts["differentiable"] is False
    with pytest.raises(LiminalError, match=r"EmotiEffLib EfficientNet-B0 has no gradient to steer by"):
        EmotionPanel.load(EmotionConfiguration("fear", "surprise", steerer="emotieff-b0"))


def test_another_file_at_the_same_address_is_fetched_anew(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"first" * 100)
    with hub_stand_in(monkeypatch, tmp_path, files={"w.bin": tmp_path / "a"}) as hub:
        hub.breaks_at = 100
        target = tmp_path / "out" / "w.bin"
        with pytest.raises(LiminalError, match=r"w\.bin broke off"):
            downloads.fetch_address(f"{hub.address}/w.bin", target, Progress())
        assert not target.exists()
        (tmp_path / "a").write_bytes(b"other" * 90)
        downloads.fetch_address(f"{hub.address}/w.bin", target, Progress())
        assert target.read_bytes() == b"other" * 90
        with pytest.raises(LiminalError, match=r"answered with 404"):
            downloads.fetch_address(f"{hub.address}/nothing.bin", tmp_path / "out" / "nothing.bin", Progress())


def deepface_stand_in(monkeypatch, home):
    class DeepFace:
        @staticmethod
        def represent(img_path, model_name, **_):
            length = {"VGG-Face": 4096, "Facenet512": 512, "OpenFace": 128}[model_name]
            return [{"embedding": np.resize(img_path[::8, ::8].astype(float).reshape(-1) / 255 - 0.5, length).tolist()}]

    module = types.ModuleType("deepface")
    module.DeepFace = DeepFace
    monkeypatch.setitem(sys.modules, "deepface", module)
    monkeypatch.setenv("DEEPFACE_HOME", str(home))


def test_paper_a_in_one_command(tmp_path, monkeypatch, capsys, prepared):
    deepface_stand_in(monkeypatch, tmp_path / "home")
    files = {f"df/{name}": tmp_path / name for name in ("vgg_face_weights.h5", "facenet512_weights.h5", "openface_weights.h5")}
    for path in files.values():
        path.write_bytes(path.name.encode() * 100)
    generator = tiny_models.save_stylegan2(tmp_path / "ffhq.safetensors", face=False)
    with hub_stand_in(monkeypatch, tmp_path, files={**files, "g/ffhq.safetensors": generator}) as hub:
        redirect(monkeypatch, recipes.DEEPFACE_ADDRESS, f"{hub.address}/df/")
        words = ["models", "get", "paper-a", "--stylegan2", f"{hub.address}/g/ffhq.safetensors"]
        assert main(words) == 2
        assert "say --yes once you have read the licences above" in capsys.readouterr().err
        assert catalogue.list_custom_models() == ()
        assert not external.find_deepface_weights("OpenFace").exists()
        assert main([*words, "--yes"]) == 0
    out = capsys.readouterr().out
    assert "NVIDIA Source Code License" in out
    assert [model.name for model in catalogue.list_custom_models()] == ["ffhq", "vggface", "facenet512", "openface"]
    assert prepared == ["ffhq", "vggface", "facenet512", "openface"]
    command = out.strip().splitlines()[-1]
    plan = command.split("--plan ")[1].split(" --out")[0]
    identity = read_plan(type(tmp_path)(plan)).identity
    assert (identity.batches, identity.configuration.judges) == (10, ("dlib", "vggface", "facenet512", "openface"))
    assert identity.configuration.generator == "ffhq"
    assert command.endswith("--out PAPER-A")


def test_paper_b_in_one_command_goes_on_after_a_break(tmp_path, monkeypatch, capsys, prepared, one_thread):
    hub_files = tmp_path / "repositories"
    encoder = hub_files / "adapter/models/image_encoder"
    tiny_stack.save_encoder(encoder)
    unet = tiny_stack.save_pipeline(hub_files / "turbo")
    (hub_files / "adapter/sdxl_models").mkdir()
    tiny_stack.save_adapter(hub_files / "adapter/sdxl_models/ip-adapter_sdxl_vit-h.safetensors", unet)
    tiny_stack.save_prior(tmp_path / "prior_ema.pt")
    random = np.random.default_rng(0)
    for emotion in ("surprise", "fear", "disgust", "happiness", "sadness", "anger"):
        (tmp_path / "pictures" / emotion).mkdir(parents=True)
        for number in range(6):
            picture = Image.fromarray(random.integers(0, 256, (32, 32, 3), dtype=np.uint8))
            picture.save(tmp_path / "pictures" / emotion / f"{number}.png")
    monkeypatch.setitem(train.PICTURE_STEPS, "clip-mlp", 4)
    words = ["models", "get", "paper-b", "--prior", str(tmp_path / "prior_ema.pt"), "--images", str(tmp_path / "pictures"), "--yes"]
    repositories = {"h94/IP-Adapter": hub_files / "adapter", "stabilityai/sdxl-turbo": hub_files / "turbo"}
    with hub_stand_in(monkeypatch, tmp_path, repositories=repositories):
        usual = train.fit_pictures
        monkeypatch.setattr(train, "fit_pictures", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        assert main(words) == 130
        assert [model.name for model in catalogue.list_custom_models()] == ["clip", "cocog"]
        monkeypatch.setattr(train, "fit_pictures", usual)
        assert main(words) == 0
    out = capsys.readouterr().out
    assert "clip           is here already" in out
    assert [model.name for model in catalogue.list_custom_models()] == ["clip", "cocog", "feelings", "turbo"]
    assert prepared == ["feelings", "turbo"]
    plan = read_plan(catalogue.models_path().parent / "plans" / "paper-b.toml")
    assert (len(plan.emotion.pairs), plan.emotion.configuration.steerer, plan.emotion.configuration.loss) == (
        15,
        "feelings",
        "product",
    )
    assert registry.load("turbo", "generator", "cpu").latent_dim == tiny_stack.EMBEDDING


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["paper-c"], "Nothing is got by the name 'paper-c'; there are paper-a"),
        (["paper-a"], "paper-a needs --stylegan2: NVIDIA's stylegan2-ffhq"),
        (["paper-a", "--stylegan2", "/nowhere/ffhq.pkl"], "There is no file /nowhere/ffhq.pkl"),
        (["paper-a", "--stylegan2", "http://example.org/ffhq.pkl"], "is not protected on its way"),
        (["arcface-r50", "--prior", "x"], "--prior has no meaning for arcface-r50"),
        (["paper-b", "--prior", "/nowhere/p.pt", "--images", "/nowhere"], "There is no file /nowhere/p.pt"),
        (["arcface-r50", "--yes"], "public-data/insightface is to be fetched and HF_HUB_OFFLINE forbids"),
        (["emotieff-b0", "--yes"], "HF_HUB_OFFLINE forbids fetching it"),
    ],
)
def test_what_is_wrong_is_one_sentence_before_anything_is_fetched(words, sentence, capsys, monkeypatch):
    deepface_stand_in(monkeypatch, "/nowhere")
    assert main(["models", "get", *words]) == 2
    assert sentence in capsys.readouterr().err
    assert catalogue.list_custom_models() == ()


def test_without_a_network_one_sentence(tmp_path, monkeypatch, capsys):
    with hub_stand_in(monkeypatch, tmp_path) as hub:
        address = hub.address
    # the server is gone: nobody answers there
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    assert main(["models", "get", "auraface", "--yes"]) == 2
    assert "the hub could not be reached" in capsys.readouterr().err
    redirect(monkeypatch, recipes.EMOTIEFF_ADDRESS, f"{address}/")
    assert main(["models", "get", "emotieff-b0", "--yes"]) == 2
    assert "could not be reached" in capsys.readouterr().err


def test_a_name_that_is_taken_and_a_full_disk_are_said(tmp_path, monkeypatch, capsys, small):
    described = tiny_models.save_recogniser(tmp_path / "own")
    add_model("emotieff-b0", "onnx-recogniser", str(described))
    assert main(["models", "get", "emotieff-b0"]) == 2
    assert "'emotieff-b0' was added before, of another class (onnx-recogniser); remove it first" in capsys.readouterr().err
    with pytest.raises(LiminalError, match=r"1000000000\.0 GB are to be fetched"):
        downloads.check_space(tmp_path / "not" / "yet", 10**18)


def test_asking_means_no_unless_yes_is_said(tmp_path, monkeypatch, capsys, prepared):
    model = RecipeModel(
        "net", "onnx-recogniser", "Net", "mit", "none", downloads=(Download("own/er/net.onnx"),), description={"a": 1}
    )
    monkeypatch.setattr(recipes, "RECIPES", {"net": Recipe("net", "a net", (model,))})
    save_network(tmp_path / "repository/net.onnx", 4)
    monkeypatch.setattr(models_get.sys.stdin, "isatty", lambda: True, raising=False)
    with hub_stand_in(monkeypatch, tmp_path, repositories={"own/er": tmp_path / "repository"}) as hub:
        for answer in ("", "n", "no idea"):
            monkeypatch.setattr("builtins.input", lambda _, answer=answer: answer)
            assert main(["models", "get", "net"]) == 0
        assert not any("resolve" in path for _, path, _ in hub.requests)
    assert capsys.readouterr().out.count("Nothing was fetched.") == 3


# --- the class of models


def save_classifier(folder, **told):
    save_network(folder / "net.onnx", 8)
    described = {"model": "net.onnx", "input_size": 16, "labels": recipes.RECIPES["emotieff-b0"].models[0].description["labels"]}
    (folder / "net.json").write_text(json.dumps({**described, **told}))
    return folder / "net.json"


def test_an_onnx_classifier_gives_the_described_network_s_outputs(tmp_path):
    import onnxruntime
    import torch

    mean, deviation = [120.0, 110.0, 100.0], [50.0, 60.0, 70.0]
    path = save_classifier(tmp_path / "c", mean=mean, deviation=deviation)
    add_model("own", "onnx-classifier", str(path))
    judge = registry.load("own", "classifier", "cpu")
    images = torch.randint(0, 256, (3, 3, 16, 16)).float() / 255
    session = onnxruntime.InferenceSession(str(path.with_name("net.onnx")))
    shift, scale = torch.tensor(mean)[:, None, None], torch.tensor(deviation)[:, None, None]
    expected = [session.run(None, {"data": ((image * 255 - shift) / scale)[None].numpy()})[0][0] for image in images]
    torch.testing.assert_close(judge.logits(images), torch.tensor(np.array(expected))[:, [7, 3, 2, 4, 6, 0]], atol=1e-4, rtol=1e-4)
    assert judge.logits(images[:0]).shape == (0, 6)


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ({"labels": ["anger"]}, "No output for surprise was recognised"),
        ({"labels": "anger"}, "'labels' of the description is 'anger'"),
        ({"labels": []}, "lacks 'labels'"),
        ({"outputs": "votes"}, "'outputs' of the description is 'votes'; it can be logits, probabilities"),
        ({"mean": [1, 2]}, "'mean' of the description"),
        ({"deviation": [1, 2, 0]}, "'deviation' of the description"),
        ({"threshold": 1}, "names 'threshold', which means nothing"),
        ({"labels": ["sad", "disgust", "angry", "neutral", "fear", "surprise", "happy"]}, "has 8 outputs, its description names 7"),
    ],
)
def test_a_wrong_description_of_a_classifier_is_named(tmp_path, told, sentence):
    with pytest.raises(LiminalError, match=sentence):
        add_model("own", "onnx-classifier", str(save_classifier(tmp_path / "c", **told)))
    assert catalogue.list_custom_models() == ()
