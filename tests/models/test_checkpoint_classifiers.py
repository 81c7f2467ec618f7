"""DAN and ResEmoteNet: their authors' checkpoints are read strictly, and what comes out is what the papers' equations say."""

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch.nn import functional

from core.errors import LiminalError
from core.models import registry
from core.models.custom import checkpoints
from core.models.custom.catalogue import CustomModel
from core.models.custom.manager import add_model
from core.models.emotions import EMOTIONS

TINY = checkpoints.ResEmoteSizes((4, 6, 8), 2, (10, 12, 14), (9, 8, 7, 7))


def settled_norms(network, seed):
    """Random weights in which every batch normalisation does something."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            drawn = torch.randn(tensor.shape, generator=generator)
            scale = tensor.shape[1:].numel() ** -0.5 if tensor.dim() > 1 else 0.3
            centre = 1.0 if name.endswith(("running_var",)) or (tensor.dim() == 1 and name.endswith("weight")) else 0.0
            tensor.copy_(centre + scale * (drawn.abs() if name.endswith("running_var") else drawn))
    return network.eval()


@pytest.fixture(scope="module")
def dan_weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("dan") / "affecnet8_epoch5.pth"
    network = settled_norms(checkpoints.DANNetwork(8, 4), 1)
    torch.save({"iter": 5, "model_state_dict": network.state_dict(), "optimizer_state_dict": {"state": {}}}, path)
    return path


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    monkeypatch.setenv("LIMINAL_DATA_DIR", str(tmp_path / "data"))
    path = tmp_path / "best_model.pth"
    torch.save({"model_state_dict": settled_norms(checkpoints.ResEmoteNetwork(TINY), 2).state_dict()}, path)
    return path


def own(path, name="mine", model_class="dan", **options):
    return CustomModel(name=name, model_class=model_class, source=str(path), options=options)


def norm(x, w, name):
    shape = (1, -1) + (1,) * (x.dim() - 2)
    mean, var, gain, shift = (w[f"{name}.{key}"].view(shape) for key in ("running_mean", "running_var", "weight", "bias"))
    return (x - mean) / (var + 1e-5).sqrt() * gain + shift


def dan_again(w, x):
    """Written from the paper's equations 1 to 7 and ResNet-18's table, over the authors' parameter names."""
    x = functional.max_pool2d(
        norm(functional.conv2d(x, w["features.0.weight"], stride=2, padding=3), w, "features.1").relu(), 3, 2, 1
    )
    for stage in (4, 5, 6, 7):
        for block in (0, 1):
            at = f"features.{stage}.{block}"
            stride = 2 if stage > 4 and block == 0 else 1
            y = norm(functional.conv2d(x, w[f"{at}.conv1.weight"], stride=stride, padding=1), w, f"{at}.bn1").relu()
            y = norm(functional.conv2d(y, w[f"{at}.conv2.weight"], padding=1), w, f"{at}.bn2")
            if f"{at}.downsample.0.weight" in w:
                x = norm(functional.conv2d(x, w[f"{at}.downsample.0.weight"], stride=stride), w, f"{at}.downsample.1")
            x = (x + y).relu()
    heads = []
    for head in range(4):

        def conv(y, name, padding, at=f"cat_head{head}.sa"):
            return norm(
                functional.conv2d(y, w[f"{at}.{name}.0.weight"], w[f"{at}.{name}.0.bias"], padding=padding), w, f"{at}.{name}.1"
            )

        y = conv(x, "conv1x1", 0)
        y = (conv(y, "conv_3x3", 1) + conv(y, "conv_1x3", (0, 1)) + conv(y, "conv_3x1", (1, 0))).relu()
        mean = (x * y.sum(1, keepdim=True)).mean((2, 3))
        at = f"cat_head{head}.ca.attention"
        z = norm(mean @ w[f"{at}.0.weight"].T + w[f"{at}.0.bias"], w, f"{at}.1").relu()
        heads.append(mean * torch.sigmoid(z @ w[f"{at}.3.weight"].T + w[f"{at}.3.bias"]))
    shares = torch.stack(heads) - torch.logsumexp(torch.stack(heads), dim=0)
    return norm(shares.sum(0) @ w["fc.weight"].T + w["fc.bias"], w, "bn")


def resemotenet_again(w, x):
    for place in (1, 2, 3):
        x = functional.max_pool2d(
            norm(functional.conv2d(x, w[f"conv{place}.weight"], w[f"conv{place}.bias"], padding=1), w, f"bn{place}").relu(), 2
        )
    x = x * torch.sigmoid((x.mean((2, 3)) @ w["se.fc.0.weight"].T).relu() @ w["se.fc.2.weight"].T)[:, :, None, None]
    for place in (1, 2, 3):
        at = f"res_block{place}"
        y = norm(functional.conv2d(x, w[f"{at}.conv1.weight"], w[f"{at}.conv1.bias"], 2, 1), w, f"{at}.bn1").relu()
        y = norm(functional.conv2d(y, w[f"{at}.conv2.weight"], w[f"{at}.conv2.bias"], 1, 1), w, f"{at}.bn2")
        x = (
            y + norm(functional.conv2d(x, w[f"{at}.shortcut.0.weight"], w[f"{at}.shortcut.0.bias"], 2), w, f"{at}.shortcut.1")
        ).relu()
    x = x.mean((2, 3))
    for place in (1, 2, 3):
        x = (x @ w[f"fc{place}.weight"].T + w[f"fc{place}.bias"]).relu()
    return x @ w["fc4.weight"].T + w["fc4.bias"]


def test_dan_computes_what_its_paper_says(dan_weights):
    network = checkpoints.read_dan(dan_weights).eval()
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        mine, theirs = network(x), dan_again(network.state_dict(), x)
    assert torch.allclose(mine, theirs, atol=1e-4 * float(theirs.abs().max()))
    assert float(theirs.std()) > 1e-3


def test_resemotenet_computes_what_its_paper_says(tiny):
    network = checkpoints.read_resemotenet(tiny).eval()
    x = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        mine, theirs = network(x), resemotenet_again(network.state_dict(), x)
    assert torch.allclose(mine, theirs, atol=1e-5)
    assert float(theirs.std()) > 1e-3


@pytest.mark.parametrize(
    ("prepare", "side", "colours"), [(checkpoints.DAN_PREPROCESSING, 224, []), (checkpoints.preprocess_resemotenet, 64, [1])]
)
def test_pictures_are_prepared_as_the_authors_did(prepare, side, colours):
    picture = (np.random.default_rng(0).random((12, 12, 3)) * 255).astype(np.uint8)
    picture = np.array(Image.fromarray(picture).resize((256, 256), Image.Resampling.BICUBIC))
    from torchvision import transforms  # takes seconds, and not every process of tests comes here

    theirs = transforms.Compose(  # torchvision's, as in both demonstrations
        [
            transforms.Resize((side, side)),
            *[transforms.Grayscale(num_output_channels=3) for _ in colours],
            transforms.ToTensor(),
            transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )(Image.fromarray(picture))
    mine = prepare(torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255)[0]
    assert mine.shape == theirs.shape
    assert float((mine - theirs).abs().max()) < 2.5 / 255 / 0.224  # Pillow rounds to whole grey levels, twice for grey


def test_outputs_are_read_in_the_data_sets_order(dan_weights, tiny):
    options = checkpoints.validate_dan_options(own(dan_weights), dan_weights)
    assert options["order"] == "affectnet-8"
    assert checkpoints.read_output_order(options) == [3, 4, 5, 1, 2, 6]
    options = checkpoints.validate_resemotenet_options(own(tiny), tiny)
    assert checkpoints.read_output_order(options) == [1, 5, 4, 0, 2, 3]
    wrong = checkpoints.validate_resemotenet_options(own(tiny, labels={"fear": 4, "disgust": 5}), tiny)
    assert checkpoints.read_output_order(wrong) == [1, 4, 5, 0, 2, 3]
    with pytest.raises(LiminalError, match="affectnet-8 has 8 outputs, the network in best_model"):
        checkpoints.validate_resemotenet_options(own(tiny, order="affectnet-8"), tiny)
    with pytest.raises(LiminalError, match="can be affectnet-8"):
        checkpoints.validate_resemotenet_options(own(tiny, order="alphabet"), tiny)


def test_seven_outputs_of_dan_are_raf_db_where_the_file_says_so(tmp_path):
    for name, order, expected in (
        ("rafdb_epoch21.pth", "raf-db", [0, 1, 2, 3, 4, 5]),
        ("x.pth", "affectnet-7", [3, 4, 5, 1, 2, 6]),
    ):
        options = checkpoints.fill_label_options(own(name), 7, tmp_path / name, guess="affectnet-7")
        assert options["order"] == order
        assert checkpoints.read_output_order(options) == expected
    with pytest.raises(LiminalError, match="No output for surprise was recognised among 0 output 0"):
        checkpoints.fill_label_options(own("x"), 6, tmp_path / "x", guess="affectnet-7")


def test_dan_is_loaded_with_its_outputs_in_the_usual_order(dan_weights):
    model = checkpoints.load_dan(own(dan_weights), torch.device("cpu"))
    images = torch.rand(1, 3, 80, 80, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        raw = dan_again(model.network.state_dict(), checkpoints.DAN_PREPROCESSING(images))
        logits = model.logits(images)
    assert torch.allclose(logits, raw[:, [3, 4, 5, 1, 2, 6]], atol=1e-4 * float(raw.abs().max()))


def test_an_added_resemotenet_keeps_the_contract(tiny):
    added = add_model("res", "resemotenet", str(tiny))
    assert added.report.passed
    assert added.custom.options["labels"] == dict(zip(EMOTIONS, [1, 5, 4, 0, 2, 3], strict=True))
    model = registry.load("res", "classifier", "cpu")
    assert model.probabilities(torch.rand(2, 3, 70, 70)).sum(dim=1) == pytest.approx(1)
    assert "surprise 1" in model.card.source


def damaged(tensors, kind):
    tensors = {key: tensor.clone() for key, tensor in tensors.items()}
    if kind == "missing":
        del tensors["res_block2.bn2.bias"]
    elif kind == "extra":
        tensors["fc5.weight"] = torch.zeros(2)
    elif kind == "shape":
        tensors["fc2.bias"] = torch.zeros(3)
    elif kind == "nan":
        tensors["conv2.weight"][0, 0, 0, 0] = torch.nan
    else:
        del tensors["se.fc.0.weight"]
    return tensors


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        ("missing", "lacks 'res_block2.bn2.bias'"),
        ("extra", "'fc5.weight' in x.safetensors is unknown"),
        ("shape", r"'fc2.bias' in x.safetensors has the shape \(3,\)"),
        ("nan", "'conv2.weight' in x.safetensors holds values that are not finite"),
        ("other", "lacks 'se.fc.0.weight', so it holds no ResEmoteNet"),
    ],
)
def test_the_first_wrong_key_is_named(tmp_path, kind, named):
    path = tmp_path / "x.safetensors"
    save_file(damaged(checkpoints.ResEmoteNetwork(TINY).state_dict(), kind), path)
    with pytest.raises(LiminalError, match=named):
        checkpoints.read_resemotenet(path)
    with pytest.raises(LiminalError, match=r"holds no DAN|not finite"):
        checkpoints.validate_dan_options(own(path), path)
