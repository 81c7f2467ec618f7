import json
import math

import pytest

from core.__main__ import main
from core.models.builtin import flow, prior
from core.models.builtin.emotion_mlp import EmotionMLPNetwork
from core.models.builtin.face_embedding import read_whitening
from core.models.builtin.surrogate import read_surrogate
from core.models.trained_weights import FOLDER, read_trained
from tests.commands.test_generate import failed_with_one_line

NETWORKS = ("face-embedding", "emotion-mlp", "latent-emotion", "face-prior", "latent-flow")


def tiny(name, out, *more):
    return main(["train", name, "--faces", "96", "--steps", "3", "--embedding-dim", "16", "--out", str(out), *more])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Every command of the committed cards, at a tiny size -> the folder, what was printed by name."""
    folder = tmp_path_factory.mktemp("trained")
    committed = {path.name: path.read_bytes() for path in FOLDER.iterdir()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIMINAL_DATA", str(folder / "data"))
        codes = {name: tiny(name, folder / "weights") for name in NETWORKS}
    assert codes == dict.fromkeys(NETWORKS, 0)
    assert {path.name: path.read_bytes() for path in FOLDER.iterdir()} == committed  # --out leaves them alone
    return folder


@pytest.mark.parametrize("name", NETWORKS)
def test_each_command_writes_weights_and_a_card(trained, name):
    found = read_trained(name, trained / "weights")
    card = found.card
    assert card["data"] == {
        "faces": 96,
        "held_out": 10,
        "generator": "dcgan",
        "seed": 0,
        "kind": "generated faces, drawn at random",
    }
    assert card["command"].startswith(f"python -m core train {name} --faces 96 --seed 0")
    assert ("--embedding-dim 16" if name == "face-embedding" else "--steps 3") in card["command"]
    assert card["figures"]
    committed = read_trained(name)
    assert set(card) == set(committed.card)
    assert set(card["figures"]) == set(committed.card["figures"])


def test_networks_read_back(trained):
    weights = trained / "weights"
    assert read_whitening(read_trained("face-embedding", weights)).projection.shape[1] == 16
    mlp = read_trained("emotion-mlp", weights)
    read_trained("emotion-mlp", weights).fill_network(EmotionMLPNetwork(16, mlp.configuration["width"]))
    assert prior.read_uvit(read_trained("face-prior", weights)).configuration.embedding_dim == 16
    assert flow.read_flow(read_trained("latent-flow", weights)).embedding_dim == 16
    assert len(read_surrogate(read_trained("latent-emotion", weights)).mean) == 12


def test_nothing_but_weights_cards_and_faces_is_left(trained):
    left = sorted(str(path.relative_to(trained)) for path in trained.rglob("*") if path.is_file())
    expected = [f"weights/{name}.{ending}" for name in NETWORKS for ending in ("json", "safetensors")]
    assert left == sorted([*expected, "data/faces/dcgan-0-96-0000.safetensors"])


def test_the_same_command_makes_the_same_bytes(trained, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LIMINAL_DATA", str(trained / "data"))
    for name in ("face-embedding", "emotion-mlp", "latent-flow"):
        assert tiny(name, tmp_path) == 0
        assert (tmp_path / f"{name}.safetensors").read_bytes() == (trained / "weights" / f"{name}.safetensors").read_bytes()
        printed = capsys.readouterr().out
        path, _, figures = printed.partition("\n")
        assert path.startswith(str(tmp_path / f"{name}.safetensors"))
        assert json.loads(figures) == read_trained(name, tmp_path).card["figures"]


def test_sizes_can_be_chosen(trained, tmp_path, monkeypatch):
    monkeypatch.setenv("LIMINAL_DATA", str(trained / "data"))
    for name in ("face-embedding", "face-prior"):
        assert tiny(name, tmp_path, *(() if name == "face-embedding" else ("--width", "32", "--depth", "2"))) == 0
    found = read_trained("face-prior", tmp_path)
    assert (found.configuration["width"], found.configuration["depth"]) == (32, 2)
    assert "--width 32 --depth 2" in found.card["command"]


def test_what_comes_after_the_embedding_needs_it(trained, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LIMINAL_DATA", str(trained / "data"))
    assert tiny("emotion-mlp", tmp_path) == 2
    failed_with_one_line(capsys, "python -m core train face-embedding")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["emotion-mlp", "--faces", "63"], "--faces must be at least 64, not 63"),
        (["emotion-mlp", "--faces", "-5"], "--faces must be at least 64, not -5"),
        (["emotion-mlp", "--faces", "99999999"], "10000000, not 99999999"),
        (["emotion-mlp", "--seed", "-1"], "--seed must be from 0"),
        (["emotion-mlp", "--seed", str(2**31)], "--seed must be from 0"),
        (["emotion-mlp", "--faces", "96", "--steps", "-2"], "--steps must be at least 1, not -2"),
        (["emotion-mlp", "--faces", "96", "--steps", "0"], "--steps must be at least 1, not 0"),
        (["emotion-mlp", "--faces", "96", "--width", "0"], "--width must be at least 1, not 0"),
        (["latent-flow", "--faces", "96", "--depth", "-1"], "--depth must be at least 1, not -1"),
        (["face-prior", "--faces", "96", "--embedding-dim", "17"], "--embedding-dim must be a multiple of 16"),
        (["face-prior", "--faces", "96", "--embedding-dim", "0"], "U-ViT"),
        (["face-prior", "--faces", "96", "--embedding-dim", "32"], "does not fit embeddings of 16 values"),
        (["face-prior", "--faces", "96", "--embedding-dim", "16", "--depth", "3"], "even depth"),
        (["face-embedding", "--faces", "96", "--embedding-dim", "5000"], "An embedding of 5000 values"),
        (["face-embedding", "--faces", "96", "--embedding-dim", "0"], "An embedding of 0 values"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_bad_input_is_one_sentence(trained, tmp_path, monkeypatch, capsys, arguments, says):
    monkeypatch.setenv("LIMINAL_DATA", str(trained / "data"))
    for path in (trained / "weights").glob("face-embedding.*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    before = sorted(path.name for path in tmp_path.iterdir())
    assert main(["train", *arguments, "--out", str(tmp_path)]) == 2
    failed_with_one_line(capsys, says)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_an_unknown_network_is_refused(capsys):
    assert main(["train", "everything"]) == 2
    failed_with_one_line(capsys, "'everything'", "face-prior")


def test_the_committed_commands_are_of_one_run():
    """Faces and seed are those of the embedding, and the whole training stayed under its 40 minutes."""
    cards = [read_trained(name).card for name in NETWORKS]
    assert len({json.dumps(card["data"], sort_keys=True) for card in cards}) == 1
    assert math.fsum(card["seconds"] for card in cards) < 40 * 60
