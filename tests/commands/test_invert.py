"""``python -m core invert``: a planted face is found again, only it is written, and what is wrong is one line and exit code 2."""

import io
import stat

import numpy as np
import pytest
import skimage
from PIL import Image

from core.__main__ import main
from core.models import photos, registry
from core.sampling.images import to_pictures
from core.sampling.inversion import NOT_YOU, InversionModels
from tests.fakes import FakeGenerator, FakeRecogniser
from tests.sampling.test_inversion import Smooth

LATENT_OF = 5


def encoded(image, kind="PNG"):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "me.png"
    path.write_bytes(encoded(skimage.data.astronaut()))
    return path


@pytest.fixture
def planted(monkeypatch):
    """The photograph is a face of a made-up generator, so that what should be found is known -> its latent and picture."""
    generator = FakeGenerator()
    latent = generator.sample([LATENT_OF])
    picture = to_pictures(generator.decode(latent))[0]
    generator.face_points = photos.DEFAULT_FRAME
    models = InversionModels(generator, Smooth(), [FakeRecogniser("dlib")])
    monkeypatch.setattr(InversionModels, "load", classmethod(lambda cls, configuration: models))
    monkeypatch.setattr("core.models.registry.list_usable", lambda kind: ["dlib"])
    monkeypatch.setattr(photos, "read_photo", lambda data, frame=None: photos.Photo(picture, np.zeros((5, 2))))
    return latent[0].numpy(), picture


def refused(capsys, *arguments):
    """The one sentence; what a terminal was told of the progress before it is left away."""
    assert main(["invert", *map(str, arguments)]) == 2
    (line,) = [each for each in capsys.readouterr().err.strip().splitlines() if " %  " not in each]
    assert line.startswith("Error: ")
    return line


def test_the_planted_face_is_found_and_nothing_else_is_written(photo, tmp_path, planted, capsys):
    latent, picture = planted
    out = tmp_path / "me"
    before = photo.read_bytes()
    assert main(["invert", "--photo", str(photo), "--generator", "dcgan", "--out", str(out), "--draws", "32", "--steps", "80"]) == 0
    assert sorted(each.name for each in out.iterdir()) == ["README.txt", "latent.npy", "likeness.png"]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["me", "me.png"]
    assert photo.read_bytes() == before
    found = np.load(out / "latent.npy", allow_pickle=False)
    assert (found.shape, found.dtype) == (latent.shape, np.float32)
    drawn = np.asarray(Image.open(out / "likeness.png"))
    assert drawn.shape == picture.shape
    assert np.abs(drawn.astype(int) - picture).mean() < 2
    note = (out / "README.txt").read_text()
    assert NOT_YOU in note
    assert "me.png" not in note
    assert stat.S_IMODE(out.stat().st_mode) == 0o700
    said = capsys.readouterr().out
    assert "takes the two for the same person." in said
    assert "how different the two pictures look (LPIPS); 0 is the same picture" in said
    assert "Nothing of the photo was kept." in said


def test_a_photo_that_is_none_is_refused_before_any_network_is_loaded(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(InversionModels, "load", classmethod(lambda cls, configuration: pytest.fail("loaded")))
    wrong = {
        "empty": (b"", "is empty"),
        "text": (b"a face", "not a picture"),
        "cut": (encoded(skimage.data.astronaut())[:3000], "damaged or cut off"),
        "large": (b"\xff\xd8\xff" + bytes(photos.MOST_BYTES), "make it smaller"),
        "nobody": (encoded(np.zeros((200, 200, 3), np.uint8)), "No face was found"),
    }
    for name, (content, reason) in wrong.items():
        path = tmp_path / name
        path.write_bytes(content)
        assert reason in refused(capsys, "--photo", path, "--out", tmp_path / "out")
    assert "There is no file" in refused(capsys, "--photo", tmp_path / "none", "--out", tmp_path / "out")
    assert "There is no file" in refused(capsys, "--photo", tmp_path, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_options_that_make_no_sense_are_refused(photo, tmp_path, capsys):
    full = tmp_path / "full"
    full.mkdir()
    (full / "something").write_text("kept")
    assert "holds files already" in refused(capsys, "--photo", photo, "--out", full)
    out = tmp_path / "out"
    assert "nobody" in refused(capsys, "--photo", photo, "--out", out, "--generator", "nobody")
    assert "sface" in refused(capsys, "--photo", photo, "--out", out, "--generator", "sface")
    assert "--steps" in refused(capsys, "--photo", photo, "--out", out, "--steps", "0")
    assert "--out" in refused(capsys, "--photo", photo)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["full", "me.png"]


def test_a_generator_without_gradient_is_refused(photo, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(type(registry.load("dcgan", "generator")), "differentiable", False)
    assert "has no gradient" in refused(capsys, "--photo", photo, "--out", tmp_path / "out", "--generator", "dcgan")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("place", ["search", "picture"])
def test_ctrl_c_leaves_nothing(photo, tmp_path, planted, capsys, monkeypatch, place):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(
        "core.sampling.inversion.invert_photo" if place == "search" else "core.commands.invert.encode_png", interrupt
    )
    assert main(["invert", "--photo", str(photo), "--out", str(tmp_path / "out"), "--steps", "2", "--draws", "4"]) == 130
    assert [each.name for each in tmp_path.iterdir()] == ["me.png"]
