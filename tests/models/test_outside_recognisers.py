"""Recognisers outside PyTorch: an ONNX file made here and run by onnxruntime 1.31.1, and DeepFace through a stand-in module."""

import json
import sys
import types

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from core.errors import LiminalError
from core.models import registry
from core.models.contracts import DetectedFaces
from core.models.custom import catalogue, external, onnx_network
from core.models.custom.external import OnnxRecogniser, OnnxRecogniserDescription, fit_box
from core.models.custom.manager import add_model
from core.sampling.configuration import IdentityConfiguration
from core.sampling.identity import IdentityPanel

SIDE = 16


@pytest.fixture(autouse=True)
def _own_registry(own_place, monkeypatch):
    monkeypatch.setattr(registry, "_loaded", dict(registry._loaded))


def save_network(path, weight, layout="NCHW"):
    """pixels -> flattened @ weight."""
    shape = [1, 3, SIDE, SIDE] if layout == "NCHW" else [1, SIDE, SIDE, 3]
    nodes = [
        helper.make_node("Flatten", ["data"], ["flat"], axis=1),
        helper.make_node("MatMul", ["flat", "weight"], ["vector"]),
    ]
    graph = helper.make_graph(
        nodes,
        "embedding",
        [helper.make_tensor_value_info("data", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("vector", TensorProto.FLOAT, [1, weight.shape[1]])],
        [onnx.numpy_helper.from_array(weight, "weight")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, str(path))


WEIGHT = np.random.default_rng(0).normal(size=(3 * SIDE * SIDE, 6)).astype(np.float32) / 10


@pytest.fixture
def described(tmp_path):
    """Write network and description -> the description's path."""

    def write(weight=WEIGHT, **told):
        save_network(tmp_path / "net.onnx", weight, told.get("layout", "NCHW"))
        told = {"model": "net.onnx", "input_size": SIDE, "threshold": 0.4, "threshold_source": "chosen for this test", **told}
        (tmp_path / "net.json").write_text(json.dumps(told))
        return tmp_path / "net.json"

    return write


def test_an_onnx_recogniser_is_added_and_judges(described):
    added = add_model("tiny-onnx", "onnx-recogniser", str(described()))
    assert added.report.passed
    assert set(added.custom.files) == {"net.json", "net.onnx"}
    model = registry.load("tiny-onnx", "recogniser", "cpu")
    assert (model.embedding_dim, model.threshold, model.card.input_size) == (6, 0.4, SIDE)
    faces = registry.load("dcgan", "generator", "cpu")
    images = faces.decode(faces.sample([1, 2]))
    chips = model.align(images, model.find_faces(images))
    pixels = chips.mul(255).round()
    expected = ((pixels - 127.5) / 127.5).flatten(1) @ torch.from_numpy(WEIGHT)
    torch.testing.assert_close(model.embed(images), expected, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(("colours", "layout"), [("BGR", "NCHW"), ("RGB", "NHWC")])
def test_colours_and_layout_are_as_described(described, colours, layout):
    add_model("tiny-onnx", "onnx-recogniser", str(described(colours=colours, layout=layout, mean=10, deviation=20)))
    model = registry.load("tiny-onnx", "recogniser", "cpu")
    picture = np.random.default_rng(1).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    wanted = (picture.astype(np.float32) - 10) / 20
    wanted = wanted[:, :, ::-1] if colours == "BGR" else wanted
    wanted = wanted.transpose(2, 0, 1) if layout == "NCHW" else wanted
    np.testing.assert_allclose(model.describe(picture), wanted.reshape(-1) @ WEIGHT, atol=1e-3)


def test_distances_are_the_three_of_the_field(described):
    a, b = torch.tensor([[3.0, 4.0, 0, 0, 0, 0]]), torch.tensor([[0.0, 2.0, 0, 0, 0, 0]])
    expected = {"cosine": 0.2, "euclidean": 13**0.5, "euclidean_l2": 0.4**0.5}
    for metric, value in expected.items():
        add_model("tiny-onnx", "onnx-recogniser", str(described(distance=metric)), replaces=True)
        assert registry.load("tiny-onnx", "recogniser", "cpu").distance(a, b).item() == pytest.approx(value)


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ({"colours": "CMYK"}, "'colours' of the description is 'CMYK'; it can be RGB, BGR"),
        ({"threshold": -1}, "'threshold' of the description is '-1'"),
        ({"deviation": 0}, "'deviation' of the description is '0'"),
        ({"threshold_source": ""}, "lacks 'threshold_source'"),
        ({"colour": "RGB"}, "names 'colour', which means nothing"),
        ({"model": "../net.onnx"}, "names an .onnx file in the same folder"),
        ({"model": "other.onnx"}, "There is no file or folder"),
        ({"input_size": 32}, "net.onnx does not run as described"),
    ],
)
def test_a_wrong_description_is_named(described, told, sentence):
    with pytest.raises(LiminalError, match=sentence):
        add_model("tiny-onnx", "onnx-recogniser", str(described(**told)))
    assert catalogue.list_custom_models() == ()


def test_wrong_weights_are_named(described):
    broken = WEIGHT.copy()
    broken[3, 2] = np.nan
    with pytest.raises(LiminalError, match=r"'weight' in net\.onnx holds values that are not finite"):
        add_model("tiny-onnx", "onnx-recogniser", str(described(broken)))
    path = described()
    (path.parent / "net.onnx").write_bytes(b"\xff\xff no network")
    with pytest.raises(LiminalError, match=r"net\.onnx is damaged or no ONNX file"):
        add_model("tiny-onnx", "onnx-recogniser", str(path))


def test_without_a_gradient_only_trial_and_selection_searches(described):
    add_model("tiny-onnx", "onnx-recogniser", str(described()))
    with pytest.raises(LiminalError, match="has no gradient; search by trial and selection"):
        IdentityPanel.load(IdentityConfiguration(recogniser="tiny-onnx", judges=("tiny-onnx",), strategy="gradient"))
    panel = IdentityPanel.load(IdentityConfiguration(recogniser="tiny-onnx", judges=("tiny-onnx",), strategy="cmaes"))
    assert isinstance(panel.recogniser, OnnxRecogniser)


def test_a_box_is_cut_level_and_whole():
    """A face turned by 90 degrees: its eyes come to lie on one line, its box fills the chip."""
    landmarks = torch.tensor([[[30.0, 20.0], [30.0, 40.0], [0, 0], [0, 0], [0, 0]]], dtype=torch.float64)
    boxes = torch.tensor([[10.0, 10.0, 50.0, 50.0]], dtype=torch.float64)
    matrix = fit_box(landmarks, boxes, 21)[0]
    left, right = (matrix[:, :2] @ point + matrix[:, 2] for point in landmarks[0, :2])
    assert left[1] == pytest.approx(float(right[1]))
    assert right[0] - left[0] == pytest.approx(20 * 21 / 40)
    assert (matrix[:, :2] @ torch.tensor([30.0, 30.0], dtype=torch.float64) + matrix[:, 2]).tolist() == pytest.approx([10, 10])


def test_a_description_has_the_usual_values():
    told = OnnxRecogniserDescription(model="a.onnx", threshold=0.4, threshold_source="x")
    assert (told.distance, told.input_size, told.alignment, told.mean) == ("cosine", 112, "arcface", 127.5)


# --- DeepFace


@pytest.fixture
def deepface(tmp_path, monkeypatch):
    """A stand-in for the library: describes a face by its mean colours, after turning them round as DeepFace does."""
    seen = []

    class DeepFace:
        @staticmethod
        def represent(img_path, model_name, detector_backend, enforce_detection, align):
            assert (detector_backend, enforce_detection, align) == ("skip", False, False)
            assert img_path.dtype == np.uint8
            seen.append((model_name, img_path.shape))
            length = {"VGG-Face": stand_in.vgg_length, "Facenet512": 512, "OpenFace": 128}[model_name]
            turned = img_path[:, :, ::-1].astype(float) / 255
            values = np.concatenate([turned[::8, ::8].reshape(-1), [0.1] * length])[:length]
            return [{"embedding": values.tolist(), "facial_area": {}, "face_confidence": 0}]

    stand_in = types.ModuleType("deepface")
    stand_in.DeepFace, stand_in.vgg_length, stand_in.seen = DeepFace, 4096, seen
    monkeypatch.setitem(sys.modules, "deepface", stand_in)
    monkeypatch.setenv("DEEPFACE_HOME", str(tmp_path))
    for network in external.DEEPFACE_NETWORKS:
        path = external.find_deepface_weights(network)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(network.encode())
    return stand_in


@pytest.mark.parametrize(
    ("network", "length", "threshold", "paper"),
    [
        ("VGG-Face", 2622, 0.86, True),
        ("VGG-Face", 4096, 1.17, False),
        ("Facenet512", 512, 1.04, True),
        ("OpenFace", 128, 0.55, True),
    ],
)
def test_thresholds_of_the_paper(deepface, network, length, threshold, paper):
    deepface.vgg_length = length
    added = add_model("df", "deepface", network)
    assert added.report.passed
    model = registry.load("df", "recogniser", "cpu")
    assert (model.embedding_dim, model.threshold, model.metric) == (length, threshold, "euclidean_l2")
    assert model.threshold_source.startswith("paper A") is paper
    assert deepface.seen[-1] == (network, (model.card.input_size, model.card.input_size, 3))


def test_deepface_gets_rgb_and_turns_it_itself(deepface):
    add_model("df", "deepface", "OpenFace")
    model = registry.load("df", "recogniser", "cpu")
    red = torch.zeros(1, 3, 96, 96)
    red[:, 0] = 1
    assert model.embed_chips(red)[0, :3].tolist() == [0, 0, 1]  # as DeepFace's networks want it: blue, green, red
    nothing = model.embed(torch.zeros(1, 3, 64, 64))
    assert nothing.isnan().all()
    assert model.embed_chips(red[:0]).shape == (0, 128)
    grey = model.align(torch.zeros(1, 3, 64, 64), DetectedFaces(torch.full((1, 5, 2), torch.nan), torch.full((1, 4), torch.nan)))
    assert (grey == 0.5).all()


def test_weights_are_never_downloaded(deepface):
    external.find_deepface_weights("VGG-Face").unlink()
    with pytest.raises(LiminalError, match=r"vgg_face_weights.h5 are not in .*; let DeepFace download them once"):
        add_model("df", "deepface", "VGG-Face")
    with pytest.raises(LiminalError, match="'FaceNet9' is no network of DeepFace"):
        add_model("df", "deepface", "FaceNet9")


def test_altered_weights_are_named(deepface):
    add_model("df", "deepface", "OpenFace")
    external.find_deepface_weights("OpenFace").write_bytes(b"other")
    with pytest.raises(LiminalError, match=r"openface_weights.h5 is not the one expected"):
        registry.load("df", "recogniser", "cpu")


def test_without_the_library_the_command_is_named(monkeypatch):
    monkeypatch.delitem(sys.modules, "deepface", raising=False)
    with pytest.raises(LiminalError, match="need the library deepface, which is not installed; run 'pip install"):
        add_model("df", "deepface", "OpenFace")


def test_onnx_files_run_on_a_graphics_card_where_the_runtime_can(monkeypatch):
    both = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnx_network.onnxruntime, "get_available_providers", lambda: both, raising=False)
    on_card, fallback = onnx_network.choose_providers(torch.device("cuda:1"))
    assert on_card == ("CUDAExecutionProvider", {"device_id": 1, "use_tf32": 0})
    assert fallback == "CPUExecutionProvider"
    assert onnx_network.choose_providers(torch.device("cpu")) == ["CPUExecutionProvider"]
    monkeypatch.setattr(onnx_network.onnxruntime, "get_available_providers", lambda: both[1:], raising=False)
    assert onnx_network.choose_providers(torch.device("cuda")) == ["CPUExecutionProvider"]
