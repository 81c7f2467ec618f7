"""Photographs: whatever a person uploads becomes one framed face or one clear sentence."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import numpy as np
import pytest
import skimage
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from core.errors import LiminalError
from core.models import registry, yunet
from core.models.photos import DEFAULT_FRAME, MOST_BYTES, PHOTO_SIDE, Photo, read_photo
from core.sampling.configuration import sample_seed

ASTRONAUT = skimage.data.astronaut()  # uint8 (512, 512, 3), public domain (NASA)


def encode(image: Image.Image | np.ndarray, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(buffer, kind, **options)
    return buffer.getvalue()


def animated(kind: str) -> bytes:
    first = Image.fromarray(ASTRONAUT)
    return encode(first, kind, save_all=True, append_images=[first.rotate(10), first.rotate(20)])


@pytest.fixture(scope="module")
def astronaut() -> Photo:
    return read_photo(encode(ASTRONAUT))


def difference(photo: Photo, other: Photo) -> float:
    """Mean absolute difference in grey levels, on cells of 16 pixels: YuNet's landmarks jump by a few pixels of 256."""
    cells = [one.image.astype(float).reshape(16, 16, 16, 16, 3).mean(axis=(1, 3)) for one in (photo, other)]
    return float(np.abs(cells[0] - cells[1]).mean())


def test_framed_like_a_generated_face(astronaut: Photo) -> None:
    assert astronaut.image.shape == (PHOTO_SIDE, PHOTO_SIDE, 3)
    assert astronaut.image.dtype == np.uint8
    again = yunet.load_detector().find_largest(torch.tensor(astronaut.image).permute(2, 0, 1)[None].float() / 255)
    assert np.abs(again.landmarks[0].numpy() - astronaut.landmarks).max() < 12  # of 256 pixels: YuNet's own noise
    points = astronaut.landmarks[[0, 1, 3, 4]] / PHOTO_SIDE
    assert np.abs(points.mean(axis=0) - DEFAULT_FRAME.mean(axis=0)).max() < 0.01
    assert np.abs(points - DEFAULT_FRAME).max() < 0.06  # the rest is her own face and the tilt of her head


def test_the_frame_is_that_of_the_generator() -> None:
    generator, detector = registry.load("dcgan", "generator"), yunet.load_detector()
    with torch.inference_mode():
        images = generator.decode(generator.sample([sample_seed(1, "frame", index) for index in range(96)]))
        faces = detector.find_largest(torch.nn.functional.interpolate(images, size=PHOTO_SIDE, mode="bicubic"))
    mean = faces.landmarks[faces.found][:, [0, 1, 3, 4]].mean(dim=0).numpy() / PHOTO_SIDE
    assert np.abs(mean - DEFAULT_FRAME).max() < 0.02


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_turned_by_exif(astronaut: Photo, orientation: int) -> None:
    turned = Image.fromarray(ASTRONAUT).rotate({3: 180, 6: 90, 8: -90}[orientation], expand=True)
    exif = Image.Exif()
    exif[0x112] = orientation
    assert difference(read_photo(encode(turned, "PNG", exif=exif)), astronaut) < 0.1


def test_converts_every_mode(astronaut: Photo) -> None:
    picture = Image.fromarray(ASTRONAUT)
    assert difference(read_photo(encode(picture.convert("RGBA"))), astronaut) < 0.1
    assert difference(read_photo(encode(picture.convert("CMYK"), "JPEG", quality=95)), astronaut) < 8
    assert difference(read_photo(encode(picture.quantize(256))), astronaut) < 8
    grey = np.asarray(picture.convert("L"))
    eight = read_photo(encode(grey))
    assert difference(read_photo(encode(grey.astype(np.uint16) * 257)), eight) < 2  # scaled, not clipped at 255
    assert difference(read_photo(encode(ASTRONAUT, "JPEG", quality=95)), astronaut) < 4
    assert difference(read_photo(encode(ASTRONAUT, "WEBP", lossless=True)), astronaut) < 0.1


def test_transparent_background_becomes_white() -> None:
    picture = Image.fromarray(ASTRONAUT).convert("RGBA")
    alpha = np.full(ASTRONAUT.shape[:2], 255, dtype=np.uint8)
    alpha[:, :120] = 0  # left of her hair
    picture.putalpha(Image.fromarray(alpha))
    opaque = ASTRONAUT.copy()
    opaque[:, :120] = 255
    assert difference(read_photo(encode(picture)), read_photo(encode(opaque))) < 1


def test_a_phones_photograph_with_a_preview_is_still(astronaut: Photo) -> None:
    picture = Image.fromarray(ASTRONAUT)
    data = encode(picture, "MPO", save_all=True, append_images=[picture.resize((128, 128))], quality=95)
    assert difference(read_photo(data), astronaut) < 4


def test_face_at_the_edge_is_framed_too() -> None:
    photo = read_photo(encode(ASTRONAUT[60:220, 160:300]))
    assert photo.image.shape == (PHOTO_SIDE, PHOTO_SIDE, 3)
    assert np.abs(photo.landmarks[[0, 1, 3, 4]].mean(axis=0) / PHOTO_SIDE - DEFAULT_FRAME.mean(axis=0)).max() < 0.01


def test_a_large_photograph_is_framed_alike(astronaut: Photo) -> None:
    large = Image.fromarray(ASTRONAUT).resize((4096, 4096), Image.Resampling.BICUBIC)
    assert difference(read_photo(encode(large, "JPEG", quality=90)), astronaut) < 5


NO_FACE = np.tile(np.linspace(0, 255, 300, dtype=np.uint8)[:, None, None], (1, 300, 3))

BAD = {
    "empty": (lambda: b"", "empty"),
    "not a picture": (lambda: b"Dear Sir or Madam, " * 50, "not a picture"),
    "another format": (lambda: encode(ASTRONAUT, "TIFF"), "not a picture that can be read"),
    "a RIFF that is no WebP": (lambda: b"RIFF\x00\x00\x00\x00WAVEfmt " + bytes(100), "not a picture"),
    "truncated JPEG": (lambda: encode(ASTRONAUT, "JPEG")[:9000], "JPEG file is damaged or cut off"),
    "truncated PNG": (lambda: encode(ASTRONAUT)[:90_000], "PNG file is damaged or cut off"),
    "truncated WebP": (lambda: encode(ASTRONAUT, "WEBP")[:9000], "WebP file is damaged or cut off"),
    "only the first bytes": (lambda: encode(ASTRONAUT, "JPEG")[:4], "JPEG file is damaged or cut off"),
    "too many bytes": (lambda: encode(ASTRONAUT) + bytes(MOST_BYTES), "10 MB"),
    "too many pixels": (lambda: encode(Image.new("1", (9000, 9000))), "60 million pixels"),
    "pixel bomb": (lambda: encode(Image.new("1", (40_000, 20_000))), "60 million pixels"),
    "animated GIF": (lambda: animated("GIF"), r"GIF is animated \(3 frames\)"),
    "animated WebP": (lambda: animated("WEBP"), r"WebP is animated \(3 frames\)"),
    "animated PNG": (lambda: animated("PNG"), r"PNG is animated \(3 frames\)"),
    "still GIF": (lambda: encode(Image.fromarray(ASTRONAUT), "GIF"), "GIF pictures are not read"),
    "tiny": (lambda: encode(ASTRONAUT[:40, :40]), "40 x 40 pixels"),
    "small face": (lambda: encode(Image.fromarray(ASTRONAUT).resize((100, 100))), "too small"),
    "no face": (lambda: encode(NO_FACE), "No face was found"),
    "two faces": (lambda: encode(np.hstack([ASTRONAUT] * 2)), "shows two faces"),
    "five faces": (lambda: encode(np.hstack([ASTRONAUT] * 5)), "shows five faces"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_one_sentence(case: str) -> None:
    make, expected = BAD[case]
    with pytest.raises(LiminalError, match=expected) as caught:
        read_photo(make())
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message


def test_a_pixel_bomb_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = encode(Image.new("1", (9000, 9000)))

    def decode(*_: object) -> None:
        raise AssertionError("decoded before its size was checked")

    monkeypatch.setattr(Image.Image, "load", decode)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", decode)
    with pytest.raises(LiminalError, match="million pixels"):
        read_photo(bomb)


def test_a_passer_by_does_not_count(astronaut: Photo) -> None:
    scene = np.full((600, 700, 3), 200, dtype=np.uint8)
    scene[:512, :512] = ASTRONAUT
    scene[450:600, 550:700] = np.asarray(Image.fromarray(ASTRONAUT).resize((150, 150)))
    assert difference(read_photo(encode(scene)), astronaut) < 6


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(kind=st.sampled_from(["JPEG", "PNG", "WEBP", "GIF"]), place=st.floats(0, 1), byte=st.integers(0, 255), cut=st.booleans())
def test_damage_never_crashes(kind: str, place: float, byte: int, cut: bool) -> None:
    data = bytearray(encode(Image.fromarray(ASTRONAUT[40:240, 140:320]), kind))
    at = min(int(place * len(data)), len(data) - 1)
    data[at] = byte
    with contextlib.suppress(LiminalError):  # anything else fails the test
        photo = read_photo(bytes(data[:at] if cut else data))
        assert photo.image.shape == (PHOTO_SIDE, PHOTO_SIDE, 3)


def test_nothing_is_written_and_nothing_is_told(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    data = encode(ASTRONAUT, "JPEG", comment=b"a secret place")
    read_photo(data)  # the detector's weights are read before the files are watched
    original = io.open
    opened: list[str] = []

    def watch(file: object, mode: str = "r", *rest: object, **options: object) -> object:
        if set(mode) & set("wax+"):
            opened.append(str(file))
        return original(file, mode, *rest, **options)  # type: ignore[call-overload]

    for place in ("builtins.open", "io.open"):
        monkeypatch.setattr(place, watch)
    monkeypatch.setattr(Path, "open", lambda path, mode="r", *rest, **options: watch(path, mode, *rest, **options))
    photo = read_photo(data)
    assert opened == []
    assert caplog.records == []
    assert repr(photo) == "Photo()"
    assert set(vars(photo)) == {"image", "landmarks"}  # no metadata comes along
