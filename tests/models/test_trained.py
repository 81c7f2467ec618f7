import hashlib
import json

import pytest
import torch
from safetensors.torch import save
from torch import nn

from core.errors import LiminalError
from core.models import trained_weights
from core.models.trained_weights import FOLDER, read_trained, trained_weight_file, write_trained
from core.models.weights import WeightFile

NAME = "little"


def network():
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))


def written(folder, tensors=None):
    return write_trained(
        NAME,
        network().state_dict() if tensors is None else tensors,
        configuration={"width": 3},
        data={"faces": 7},
        command="train little",
        seed=5,
        figures={"accuracy": 0.5},
        seconds=1.26,
        folder=folder,
    )


def changed(**changes):
    """The network's tensors, with some replaced; a value of None takes the key away. Keys have __ for a dot."""
    tensors = dict(network().state_dict())
    for key, value in changes.items():
        name = key.replace("__", ".")
        if value is None:
            del tensors[name]
        else:
            tensors[name] = value
    return tensors


def one_sentence(error):
    text = str(error.value)
    assert "\n" not in text
    assert text.endswith(".")
    assert ". " not in text
    return text


def test_weights_and_card_come_back_unchanged(tmp_path):
    written(tmp_path)
    found = read_trained(NAME, tmp_path)
    other = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    found.fill_network(other)
    for key, tensor in network().state_dict().items():
        assert torch.equal(other.state_dict()[key], tensor)
    assert found.configuration == {"width": 3}
    card = {key: found.card[key] for key in ("name", "data", "command", "seed", "figures", "seconds", "torch")}
    assert card == {
        "name": NAME,
        "data": {"faces": 7},
        "command": "train little",
        "seed": 5,
        "figures": {"accuracy": 0.5},
        "seconds": 1.3,
        "torch": torch.__version__,
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == ["little.json", "little.safetensors"]


def test_half_precision_is_stored_and_filled_into_full(tmp_path):
    found = written(tmp_path, {key: tensor.half() for key, tensor in network().state_dict().items()})
    other = network()
    found.fill_network(other)
    assert other[0].weight.dtype == torch.float32
    assert torch.equal(other[0].weight, network()[0].weight.half().float())


@pytest.mark.parametrize(
    ("tensors", "says"),
    [
        (changed(**{"2__weight": torch.zeros(2, 9)}), ["'2.weight'", "(2, 9)", "(2, 3)", "another size"]),
        (changed(**{"2__bias": None}), ["lack '2.bias'"]),
        (changed(**{"0__weight": None, "2__bias": None}), ["lack '0.weight'"]),
        (changed(**{"4__weight": torch.zeros(1)}), ["'4.weight'", "unknown"]),
    ],
    ids=["shape", "missing", "first of two missing", "extra"],
)
def test_weights_of_another_network_are_refused(tmp_path, tensors, says):
    found = written(tmp_path, tensors)
    other = network()
    before = {key: tensor.clone() for key, tensor in other.state_dict().items()}
    with pytest.raises(LiminalError) as error:
        found.fill_network(other)
    text = one_sentence(error)
    assert all(each in text for each in says), text
    assert "little.safetensors" in text
    assert all(torch.equal(tensor, before[key]) for key, tensor in other.state_dict().items())  # nothing was half filled


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_not_written(tmp_path, value):
    bad = network()[0].weight.detach().clone()
    bad[1, 2] = value
    with pytest.raises(LiminalError) as error:
        written(tmp_path / "out", changed(**{"0__weight": bad}))
    assert "'0.weight'" in one_sentence(error)
    assert not list(tmp_path.rglob("*.*"))


def rewrite(folder, content):
    """Other bytes, with a card that agrees with them."""
    (folder / "little.safetensors").write_bytes(content)
    path = folder / "little.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"sha256": hashlib.sha256(content).hexdigest()}))


def test_nans_in_a_file_are_found(tmp_path):
    written(tmp_path)
    rewrite(tmp_path, save(changed(**{"2__weight": torch.full((2, 3), float("nan"))})))
    with pytest.raises(LiminalError) as error:
        read_trained(NAME, tmp_path)
    text = one_sentence(error)
    assert "'2.weight'" in text
    assert "NaN" in text
    assert "python -m core train little" in text


def test_an_altered_file_is_found(tmp_path):
    written(tmp_path)
    path = tmp_path / "little.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(LiminalError, match="not the ones that their card describes") as error:
        read_trained(NAME, tmp_path)
    one_sentence(error)


@pytest.mark.parametrize("content", [b"", b"not safetensors at all", b"\x80\x04" + bytes(100)])
def test_another_format_is_refused(tmp_path, content):
    written(tmp_path)
    rewrite(tmp_path, content)
    with pytest.raises(LiminalError, match="no safetensors file") as error:
        read_trained(NAME, tmp_path)
    one_sentence(error)


@pytest.mark.parametrize("card", [None, "", "{}", "[]", '{"configuration": 3, "sha256": ""}', '{"configuration": {}}'])
def test_a_missing_or_damaged_card(tmp_path, card):
    written(tmp_path)
    path = tmp_path / "little.json"
    path.unlink()
    if card is not None:
        path.write_text(card)
    with pytest.raises(LiminalError, match="missing or damaged") as error:
        read_trained(NAME, tmp_path)
    one_sentence(error)


def test_missing_weights(tmp_path):
    written(tmp_path)
    (tmp_path / "little.safetensors").unlink()
    with pytest.raises(LiminalError, match="missing") as error:
        read_trained(NAME, tmp_path)
    one_sentence(error)


def test_a_model_card_names_the_hash_of_the_stored_weights(tmp_path, monkeypatch):
    made = written(tmp_path)
    monkeypatch.setattr(trained_weights, "FOLDER", tmp_path)
    assert trained_weight_file(NAME).sha256 == made.card["sha256"]
    (tmp_path / "little.json").unlink()
    assert trained_weight_file(NAME).sha256 == ""


@pytest.mark.parametrize("name", ["face-embedding", "emotion-mlp", "latent-emotion", "face-prior", "latent-flow"])
def test_the_committed_weights_are_whole_and_described(name):
    found = read_trained(name)
    file = trained_weight_file(name)
    assert isinstance(file, WeightFile)
    assert file.verified() == found.path
    assert found.card["command"].startswith(f"python -m core train {name} ")
    assert found.card["data"]["faces"] > found.card["data"]["held_out"] > 0
    assert {"seed", "figures", "date", "seconds"} <= set(found.card)


def test_the_committed_weights_are_small():
    surrogates = ("head-expressions", "head-descriptors", "latent-emotion")
    sizes = {path.stem: path.stat().st_size for path in FOLDER.glob("*.safetensors")}
    assert sum(size for name, size in sizes.items() if name not in surrogates) < 20e6
    assert sum(sizes.values()) < 30e6
