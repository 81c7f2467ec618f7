"""Tiny models of the classes that a user can add, saved as their own tools save them."""

import json
import sys
import types

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper
from safetensors.torch import save_file

from core.models import registry
from core.models.custom import external
from core.models.custom.stylegan2 import StyleGAN2Network, StyleGAN2Sizes

SIDE = 64
NAMES = ("sad", "disgust", "angry", "neutral", "fear", "surprise", "happy")
CHIP = 16


def save_stylegan2(path, *, face=True):
    """A random StyleGAN2 of 64 pixels. face: its last layer's constant noise is a picture of a face, which the rest only alters."""
    torch.manual_seed(0)
    channels = {4: 8, 8: 8, 16: 8, 32: 6, 64: 6}
    network = StyleGAN2Network(StyleGAN2Sizes(z_dim=12, w_dim=12, classes=0, class_features=0, mapping=(12, 12), channels=channels))
    state = {key: value.clone() for key, value in network.state_dict().items()}
    if face:
        maker = registry.load("dcgan", "generator", "cpu")
        with torch.inference_mode():
            drawn = maker.decode(maker.sample([5]))[0].mean(dim=0) * 2 - 1
        for key in state:
            if key.endswith("torgb.weight"):
                state[key] *= 0.25
        last = "synthesis.b64."
        state[f"{last}conv1.weight"] *= 0.3
        state[f"{last}conv1.noise_const"] = drawn.clone()
        state[f"{last}conv1.noise_strength"] = torch.tensor(4.0)
        state[f"{last}conv1.bias"] += 5.0  # nothing is lost below zero
        state[f"{last}torgb.weight"] = torch.full_like(state[f"{last}torgb.weight"], 6**-0.5 / (4 * 2**0.5))
        state[f"{last}torgb.bias"] -= 5.0 / 4
    save_file(state, path)
    return path


def save_classifier(folder):
    """A random vision transformer for seven feelings, by transformers' own ``save_pretrained``."""
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

    torch.manual_seed(0)
    labels = dict(enumerate(NAMES))
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    network = ViTForImageClassification(ViTConfig(**sizes, image_size=32, patch_size=8, id2label=labels))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    network.save_pretrained(folder)
    ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def save_recogniser(folder, **told):
    """A random linear map of the cut face as an ONNX file, and its description -> the description's path."""
    weight = np.random.default_rng(0).normal(size=(3 * CHIP * CHIP, 6)).astype(np.float32) / 10
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["data"], ["flat"], axis=1),
            helper.make_node("MatMul", ["flat", "weight"], ["vector"]),
        ],
        "embedding",
        [helper.make_tensor_value_info("data", TensorProto.FLOAT, [1, 3, CHIP, CHIP])],
        [helper.make_tensor_value_info("vector", TensorProto.FLOAT, [1, 6])],
        [onnx.numpy_helper.from_array(weight, "weight")],
    )
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(folder / "net.onnx"))
    described = {"model": "net.onnx", "input_size": CHIP, "threshold": 0.2, "threshold_source": "chosen for this test", **told}
    (folder / "net.json").write_text(json.dumps(described))
    return folder / "net.json"


def deepface_stand_in(patch):
    """A module in DeepFace's place: it describes a face by its colours, as the library would be asked to."""

    class DeepFace:
        @staticmethod
        def represent(img_path, model_name, detector_backend, enforce_detection, align):
            values = img_path[::8, ::8].astype(float).reshape(-1)[:128] / 255 - 0.5
            return [{"embedding": np.resize(values, 128).tolist()}]

    stand_in = types.ModuleType("deepface")
    stand_in.DeepFace = DeepFace
    patch.setitem(sys.modules, "deepface", stand_in)
    path = external.find_deepface_weights("OpenFace")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"weights of the stand-in")
