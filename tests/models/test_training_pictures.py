"""Prior and emotion MLP from a folder of photographs: both layouts, a planted truth, what is refused, a training that is killed."""

import hashlib
import json

import numpy as np
import pytest
import torch
from PIL import Image

from core.__main__ import main
from core.errors import LiminalError
from core.models.builtin.prior import UViTConfiguration
from core.models.contracts import Encoder
from core.models.custom.cocog import read_cocog
from core.models.custom.loading import read_tensors
from core.models.emotions import EMOTIONS
from core.models.training import fit_networks, fit_priors
from core.models.training.data import PICTURE_SIDE, EmbeddedPictures, embed_pictures, find_pictures, read_pictures
from tests.fakes import card

pytestmark = pytest.mark.usefixtures("one_thread")

E = 16


def paint(path, shade=0, size=(40, 30)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (shade, 255 - shade, 128)).save(path)


def raf_db(folder, count=14):
    """As RAF-DB lies when it is unpacked."""
    lines = []
    for number in range(count):
        name = f"{'test' if number % 3 == 0 else 'train'}_{number:04d}"
        paint(folder / "basic" / "Image" / "aligned" / f"{name}_aligned.jpg", 10 * number)
        lines.append(f"{name}.jpg {number % 7 + 1}")
    (folder / "basic" / "EmoLabel").mkdir(parents=True)
    (folder / "basic" / "EmoLabel" / "list_patition_label.txt").write_text("\n".join(lines) + "\n")


def test_raf_db_is_read_as_it_lies(tmp_path):
    raf_db(tmp_path)
    found = find_pictures(tmp_path)
    assert len(found) == 14
    for each in found:
        number = int(each.path.name.split("_")[1])
        assert each.path.name.endswith("_aligned.jpg")
        assert each.held_out == each.path.name.startswith("test") == (number % 3 == 0)
        assert each.emotion == (number % 7 if number % 7 < 6 else None)  # RAF-DB's 1 to 6 are EMOTIONS in order, 7 is neutral


@pytest.mark.parametrize(
    ("line", "sentence"),
    [("train_0099.jpg 3", "lists train_0099.jpg, but"), ("train_0001.jpg 9", "Line 1 of"), ("train_0001.jpg", "Line 1 of")],
)
def test_a_list_that_is_wrong_is_refused(tmp_path, line, sentence):
    raf_db(tmp_path)
    (tmp_path / "basic" / "EmoLabel" / "list_patition_label.txt").write_text(line)
    with pytest.raises(LiminalError, match=sentence):
        find_pictures(tmp_path)


def test_folders_are_classes_by_name_or_number(tmp_path):
    for name in ("Happy", "anger", "3", "neutral", "7"):
        for number in range(40):
            paint(tmp_path / "faces" / name / f"{number}.png", number)
    found = find_pictures(tmp_path / "faces")
    by_folder = {each.path.parent.name: each.emotion for each in found}
    assert by_folder == {"Happy": 3, "anger": 5, "3": 2, "neutral": None, "7": None}
    assert EMOTIONS[2:4] == ("disgust", "happiness")
    assert 8 <= sum(each.held_out for each in found) <= 36  # a tenth of 200
    assert [each.held_out for each in find_pictures(tmp_path / "faces")] == [each.held_out for each in found]


def test_folders_for_training_and_test_split_the_pictures(tmp_path):
    for split, count in (("train", 5), ("test", 3)):
        for number in range(count):
            paint(tmp_path / split / "surprised" / f"{number}.jpg")
    found = find_pictures(tmp_path)
    assert {each.emotion for each in found} == {0}
    assert sorted(each.path.parent.parent.name for each in found if each.held_out) == ["test"] * 3


def test_too_few_pictures_and_damaged_ones_are_refused(tmp_path):
    with pytest.raises(LiminalError, match="no folder"):
        find_pictures(tmp_path / "nothing")
    paint(tmp_path / "train" / "happy" / "1.png")
    with pytest.raises(LiminalError, match="holds 1 pictures, too few"):
        find_pictures(tmp_path)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(LiminalError, match=r"broken.png cannot be read"):
        read_pictures([tmp_path / "broken.png"])


def test_the_middle_square_is_read(tmp_path):
    picture = np.zeros((20, 60, 3), np.uint8)
    picture[:, 20:40] = 255
    Image.fromarray(picture).save(tmp_path / "wide.png")
    rows = read_pictures([tmp_path / "wide.png"])
    assert rows.shape == (1, 3, PICTURE_SIDE, PICTURE_SIDE)
    assert float(rows[:, :, 10:-10, 10:-10].min()) == 1


class CountingEncoder(Encoder):
    """The picture's mean colour, a number of times."""

    card, embedding_dim, device, spread = card("counting", "encoder"), 6, torch.device("cpu"), torch.ones(6)

    def __init__(self):
        self.seen = 0

    def embed(self, images):
        self.seen += len(images)
        return images.mean(dim=(2, 3)).repeat(1, 2)


def test_embeddings_are_kept_until_a_picture_changes(tmp_path):
    raf_db(tmp_path / "raf")
    found, encoder = find_pictures(tmp_path / "raf"), CountingEncoder()
    first = embed_pictures(found, encoder, folder=tmp_path / "kept")
    again = embed_pictures(found, encoder, folder=tmp_path / "kept")
    assert encoder.seen == 14
    assert torch.equal(first.vectors, again.vectors)
    assert first.described()["held_out"] == sum(each.held_out for each in found)
    assert first.described()["by_emotion"]["surprise"] == 2
    paint(found[0].path, 250, size=(50, 50))
    changed = embed_pictures(find_pictures(tmp_path / "raf"), encoder, folder=tmp_path / "kept")
    assert encoder.seen == 28
    assert not torch.equal(first.vectors[0], changed.vectors[0])
    assert torch.equal(first.vectors[1:], changed.vectors[1:])
    for shard in (tmp_path / "kept").iterdir():
        shard.write_bytes(b"damaged")
    with pytest.raises(LiminalError, match="are damaged; delete the file"):
        embed_pictures(found, encoder, folder=tmp_path / "kept")


def planted(count=900, noise=0.25):
    """Six clusters far from the origin and of unequal spread, as raw embeddings are; a sixth is held out, a tenth neutral."""
    random = torch.Generator().manual_seed(0)
    emotions = torch.randint(0, 6, (count,), generator=random)
    ways = torch.linalg.qr(torch.randn(E, E, generator=random))[0][:6]
    x = ways[emotions] + noise * torch.randn(count, E, generator=random)
    emotions[torch.rand(count, generator=random) < 0.1] = -1
    held = torch.arange(count) >= count * 5 // 6
    return EmbeddedPictures(3 + x * torch.linspace(0.2, 4, E), emotions, held, "planted")


def test_the_mlp_finds_planted_emotions_and_reads_raw_embeddings(tmp_path):
    data = planted()
    made = fit_networks.fit_clip_classifier(data, steps=120, command="train", seed=0, width=32, folder=tmp_path)
    figures = made.card["figures"]
    best = 0.75
    assert figures["accuracy"]["share"] > best > 2 * figures["commonest_emotion"]
    assert figures["accuracy"]["low"] < figures["accuracy"]["share"] < figures["accuracy"]["high"]
    assert sum(each["n"] for each in figures["by_emotion"].values()) == figures["n_held_out"]
    assert made.card["configuration"] == {"embedding_dim": E, "width": 32, "encoder": "planted"}
    # the stored weights read embeddings as they are
    from core.models.custom.clip import read_clip_mlp

    network = read_clip_mlp(read_tensors(made.path), made.path)
    held = data.held_out & (data.emotions >= 0)
    share = float((network(data.vectors[held]).argmax(dim=1) == data.emotions[held]).float().mean())
    assert share == pytest.approx(figures["accuracy"]["share"], abs=1e-4)


def test_an_emotion_without_pictures_is_named(tmp_path):
    data = planted(200)
    data.emotions[data.emotions == 2] = -1
    with pytest.raises(LiminalError, match="No picture of disgust"):
        fit_networks.fit_clip_classifier(data, steps=2, command="", seed=0, folder=tmp_path)
    data = planted(200)
    data.emotions[data.held_out] = -1
    with pytest.raises(LiminalError, match="No labelled picture is held out"):
        fit_networks.fit_clip_classifier(data, steps=2, command="", seed=0, folder=tmp_path)


def test_the_prior_learns_clusters_and_is_stored_as_cocogs(tmp_path):
    random = torch.Generator().manual_seed(1)
    side = torch.randint(0, 2, (700, 1), generator=random) * 2.0 - 1
    x = 0.95 * side + 0.3 * torch.randn(700, E, generator=random)
    data = EmbeddedPictures(x, torch.full((700,), -1), torch.arange(700) >= 600, "planted")
    size = UViTConfiguration(tokens=4, token_size=4, width=32, depth=2, heads=2)
    given = {"command": "train", "seed": 0, "size": size, "batch": 64, "rate": 5e-3}
    untrained = fit_priors.fit_uvit_prior(data, steps=1, folder=tmp_path / "one", **given)
    made = fit_priors.fit_uvit_prior(data, steps=60, folder=tmp_path, **given)
    before, after = (each.card["figures"]["denoising_of_held_out"]["ratio_to_gaussian"] for each in (untrained, made))
    assert after < 0.75 * before
    network = read_cocog(read_tensors(made.path), made.path, made.card["configuration"]["heads"])
    assert network.configuration == size
    assert made.card["configuration"]["betas"] == "linear"


def test_sizes_follow_the_embedding():
    published = fit_priors.choose_uvit_size(1024)
    assert (published.tokens, published.token_size, published.width, published.depth, published.heads) == (64, 16, 768, 12, 12)
    assert fit_priors.choose_uvit_size(1024, width=512).heads == 8  # as the checkpoint in CoCoG-2's repository
    with pytest.raises(LiminalError, match="tokens of 16"):
        fit_priors.choose_uvit_size(100)


def test_a_killed_training_ends_like_one_that_was_not(tmp_path, monkeypatch):
    from core.models.training import loop

    data = planted(200)
    given = {"steps": 30, "command": "", "seed": 3, "width": 8}
    whole = fit_networks.fit_clip_classifier(data, folder=tmp_path / "whole", **given)
    monkeypatch.setattr(loop, "SAVE_SECONDS", 0.0)
    steps = []

    class KilledError(Exception):
        pass

    real = torch.optim.AdamW.step

    def step(self, *rest, **more):
        steps.append(1)
        if len(steps) == 12:
            raise KilledError
        return real(self, *rest, **more)

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    saved = tmp_path / "state.safetensors"
    with pytest.raises(KilledError):
        fit_networks.fit_clip_classifier(data, folder=tmp_path / "parts", saved=saved, **given)
    assert saved.is_file()
    parts = fit_networks.fit_clip_classifier(data, folder=tmp_path / "parts", saved=saved, **given)
    assert len(steps) < 2 * 30
    assert parts.card["sha256"] == whole.card["sha256"]


def test_the_command_trains_on_a_folder(tmp_path, monkeypatch, capsys):
    from core.models import registry

    monkeypatch.setenv("LIMINAL_DATA", str(tmp_path / "kept"))
    for place, emotion in enumerate(EMOTIONS):
        for number in range(6):
            paint(tmp_path / "faces" / ("test" if number > 3 else "train") / emotion / f"{number}.png", 40 * place + number)
    monkeypatch.setattr(registry, "load", lambda *_: CountingEncoder())
    given = ["--images", str(tmp_path / "faces"), "--encoder", "face-embedding", "--steps", "40", "--width", "16"]
    assert main(["train", "clip-mlp", *given, "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert '"n_held_out": 12' in printed
    made = json.loads((tmp_path / "out" / "clip-mlp.json").read_text())
    assert made["command"].startswith("python -m core train clip-mlp --images faces --encoder face-embedding --seed 0 --steps 40")
    assert made["sha256"] == hashlib.sha256((tmp_path / "out" / "clip-mlp.safetensors").read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (["uvit-prior"], "--images is needed"),
        (["clip-mlp", "--images", "x", "--encoder", "nothing", "--out", "y"], "no encoder called 'nothing'"),
        (["clip-mlp", "--images", "x", "--encoder", "face-embedding"], "--out is needed"),
        (["face-prior", "--images", "x"], "face-prior learns from --faces"),
    ],
)
def test_what_is_missing_is_said(given, sentence, capsys):
    assert main(["train", *given]) != 0
    told = capsys.readouterr().err
    assert sentence in told
    assert "Traceback" not in told
