"""Hugging Face classifiers: tiny random networks saved by transformers 5.23.0 and read back through the real code."""

import numpy as np
import pytest
import torch

from core.__main__ import main
from core.errors import LiminalError
from core.models import registry
from core.models.custom import catalogue, huggingface
from core.models.custom.manager import add_model
from core.models.emotions import EMOTIONS

pytestmark = pytest.mark.usefixtures("own_place")

NAMES = ("sad", "disgust", "angry", "neutral", "fear", "surprise", "happy")
ORDER = [5, 4, 1, 6, 0, 2]


def save_tiny(folder, names=NAMES, **processing):
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

    torch.manual_seed(0)
    network = ViTForImageClassification(
        ViTConfig(
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=16,
            image_size=32,
            patch_size=8,
            id2label=dict(enumerate(names)),
            label2id={name: number for number, name in enumerate(names)},
        )
    )
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    network.save_pretrained(folder)
    ViTImageProcessor(size={"height": 32, "width": 32}, **processing).save_pretrained(folder)
    return network.eval()


@pytest.fixture
def folder(tmp_path):
    save_tiny(tmp_path / "tiny")
    return tmp_path / "tiny"


def test_it_says_what_transformers_itself_says(folder):
    from transformers import AutoImageProcessor

    added = add_model("tiny-vit", "hf-classifier", str(folder))
    assert added.report.passed
    assert added.custom.options["labels"] == dict(zip(EMOTIONS, ORDER, strict=True))
    model = registry.load("tiny-vit", "classifier", "cpu")
    pictures = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    theirs = AutoImageProcessor.from_pretrained(folder)(images=list(pictures), return_tensors="pt")
    with torch.no_grad():
        everything = save_tiny(folder)(**theirs).logits.softmax(dim=1)
    kept = everything[:, ORDER]
    images = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
    # neutral is dropped, the rest renormalised
    torch.testing.assert_close(model.probabilities(images), kept / kept.sum(dim=1, keepdim=True), atol=1e-5, rtol=1e-4)


def test_gradient_reaches_pictures_of_any_size(folder):
    add_model("tiny-vit", "hf-classifier", str(folder))
    images = torch.rand(2, 3, 50, 50, requires_grad=True)
    registry.load("tiny-vit", "classifier", "cpu").logits(images)[:, 1].sum().backward()
    assert images.grad.abs().max() > 0


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (NAMES, ORDER),
        (("Anger", "Contempt", "Disgust", "Fear", "Happiness", "Neutral", "Sadness", "Surprise"), [7, 3, 2, 4, 6, 0]),
        (("0_angry face", "joyful", "scared", "surprised", "Disgusted", "sorrow"), [3, 2, 4, 1, 5, 0]),
    ],
)
def test_labels_are_guessed_from_many_words(names, found):
    guessed = huggingface.guess_labels(dict(enumerate(names)))
    assert [guessed[emotion] for emotion in EMOTIONS] == found


def test_labels_can_be_corrected(tmp_path, capsys):
    save_tiny(tmp_path / "nameless", [f"LABEL_{number}" for number in range(7)])
    with pytest.raises(LiminalError, match="No output for surprise was recognised among 0 LABEL_0, 1 LABEL_1"):
        add_model("nameless", "hf-classifier", str(tmp_path / "nameless"))
    given = '{"surprise": 0, "fear": 1, "disgust": "LABEL_2", "happiness": 3, "sadness": 4, "anger": 6}'
    assert main(["models", "add", "nameless", "hf-classifier", str(tmp_path / "nameless"), "--option", f"labels={given}"]) == 0
    assert '"disgust": 2' in capsys.readouterr().out
    assert registry.load("nameless", "classifier", "cpu").order == [0, 1, 2, 3, 4, 6]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ([1, 2], "maps emotions to outputs"),
        ({"boredom": 1}, "names 'boredom'"),
        ({"fear": 9}, "gives fear the output '9'; the outputs are 0 sad"),
        ({"fear": True}, "gives fear the output 'True'"),
        ({"fear": "sad"}, "would stand for two emotions"),
    ],
)
def test_wrong_labels_are_named(given, sentence):
    with pytest.raises(LiminalError, match=sentence):
        huggingface.resolve_labels(given, dict(enumerate(NAMES)))


@pytest.mark.parametrize(
    "processor",
    [
        {"kind": "ViTImageProcessor", "size": {"height": 40, "width": 40}, "resample": 3},
        {
            "kind": "ViTImageProcessor",
            "size": {"height": 224, "width": 224},
            "image_mean": [0.1, 0.2, 0.3],
            "image_std": [0.3, 0.2, 0.4],
        },
        {"kind": "CLIPImageProcessor", "size": {"shortest_edge": 64}, "crop_size": {"height": 48, "width": 48}},
        {"kind": "ConvNextImageProcessor", "size": {"shortest_edge": 112}, "crop_pct": 0.875},
        {"kind": "ViTImageProcessor", "size": {"height": 32, "width": 32}, "do_normalize": False},
    ],
    ids=["bicubic", "own-mean", "crop", "convnext", "plain"],
)
def test_pictures_are_prepared_as_by_the_processor_itself(processor):
    import transformers

    processor = dict(processor)
    theirs = getattr(transformers, processor.pop("kind"))(**processor)
    ours = huggingface.match_preprocessing(theirs)
    waves = (np.sin(np.arange(100)[:, None, None] / 9 + np.arange(3)) * np.cos(np.arange(100)[None, :, None] / 5) + 1) * 127
    picture = waves.astype(np.uint8)
    expected = torch.as_tensor(theirs(images=picture, return_tensors="pt")["pixel_values"])
    found = ours(torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255)
    torch.testing.assert_close(found, expected, atol=0.05, rtol=0)


def test_an_unknown_preparation_is_refused():
    from transformers import ViTImageProcessor

    with pytest.raises(LiminalError, match="ViTImageProcessor prepares pictures in a way that is not known"):
        huggingface.match_preprocessing(ViTImageProcessor(size={"height": 32, "width": 32}, rescale_factor=1 / 100))


def rewrite(folder, change):
    from safetensors.torch import load_file, save_file

    state = load_file(folder / "model.safetensors")
    change(state)
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda state: state.pop("classifier.weight"), "lack 'classifier.weight'"),
        (lambda state: state.update({"classifier.bias": torch.zeros(3)}), "are of another shape at 'classifier.bias'"),
        (lambda state: state["classifier.bias"].fill_(torch.nan), "'classifier.bias' in tiny holds values that are not finite"),
    ],
)
def test_wrong_weights_are_refused_by_their_first_wrong_key(folder, change, sentence):
    rewrite(folder, change)
    with pytest.raises(LiminalError, match=sentence):
        add_model("tiny-vit", "hf-classifier", str(folder))
    assert catalogue.list_custom_models() == ()


def test_pickled_code_is_refused_and_not_run(folder, capsys):
    class Code:
        def __reduce__(self):
            return (print, ("run!",))

    (folder / "model.safetensors").unlink()
    import pickle

    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Code(), protocol=2))
    with pytest.raises(LiminalError, match="cannot be loaded"):
        add_model("tiny-vit", "hf-classifier", str(folder))
    assert "run!" not in capsys.readouterr().out


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text('{"model_type": "nothing-of-the-kind"}')
    (tmp_path / "other" / "x.bin").write_bytes(b"0")
    with pytest.raises(LiminalError, match="holds no image classifier that transformers knows"):
        add_model("tiny-vit", "hf-classifier", str(tmp_path / "other"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(LiminalError, match="holds no weights"):
        add_model("tiny-vit", "hf-classifier", str(tmp_path / "empty"))
