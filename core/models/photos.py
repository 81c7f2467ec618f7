"""A person's own photograph, framed like the generators' faces. It stays in memory: nothing here writes to disk or logs.

The bytes are judged before they are decoded: length, format (by content, never by name), frames and pixels. What comes back is
256 x 256 pixels around the one face; the rest of the photograph and its metadata (place, time, camera) are dropped.
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from core.errors import LiminalError
from core.lazy_import import lazy_import
from core.models import yunet
from core.models.contracts import DetectedFaces

if TYPE_CHECKING:
    import torch
else:  # a page that only offers the upload does not wait for it
    torch = lazy_import("torch")

MOST_BYTES: Final = 10 * 1024**2
MOST_PIXELS: Final = 60_000_000  # above the 50 megapixels of large cameras; 180 MB decoded
PHOTO_SIDE: Final = 256  # pixels of the framed picture
MAX_SIDE: Final = 2048  # pixels of the longer side that is kept while looking for the face
MIN_FRAME_SIDE: Final = 72  # pixels of the photograph that the frame must hold: a face of about 40 pixels
MIN_RELATIVE_WIDTH: Final = 1 / 3  # faces narrower than this share of the largest are passers-by and do not count
REFINEMENT_SCALES: Final = (1.2, 1.4, 1.6, 1.8, 2.0)
"""Sizes, in sides of the frame, at which the face is detected again; the landmarks' median is used, as YuNet's jump by pixels."""

DEFAULT_FRAME: Final = np.array([[0.352, 0.467], [0.648, 0.467], [0.377, 0.800], [0.617, 0.800]])
"""Where eyes and corners of the mouth lie in a generated face, in shares of its side: YuNet's mean over 997 of 1,000 random
faces of ``dcgan``, made symmetric. A test measures it again."""

FORMATS: Final = {"JPEG": "JPEG", "MPO": "JPEG", "PNG": "PNG", "WEBP": "WebP", "GIF": "GIF"}
"""Formats that are opened, with their names for people; a GIF only to say why it cannot be used."""

SIGNATURES: Final = ((b"\xff\xd8\xff", "JPEG"), (b"\x89PNG\r\n\x1a\n", "PNG"), (b"GIF8", "GIF"), (b"RIFF", "WebP"))
NUMBER_WORDS: Final = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")

ADVICE: Final = "use a JPEG, PNG or WebP photograph"
TOO_MANY_PIXELS: Final = f"The picture has more than {MOST_PIXELS // 1_000_000} million pixels; make it smaller first."


@dataclass(frozen=True)
class Photo:
    """The framed face. image: uint8 (256, 256, 3) RGB; landmarks: float64 (5, 2), x and y in its pixels, YuNet's order.

    Neither is part of its ``repr``: a face must not reach a log by accident.
    """

    image: NDArray[np.uint8] = field(repr=False)
    landmarks: NDArray[np.float64] = field(repr=False)


def read_photo(data: bytes, frame: NDArray[np.float64] = DEFAULT_FRAME) -> Photo:
    """The bytes of an uploaded file -> the one face in it, framed like a generated one.

    frame: where eyes and corners of the mouth are to lie (4, 2), as ``DEFAULT_FRAME`` or ``framing.find_face_frame``.
    Turned by its EXIF orientation; CMYK, 16-bit, palette and transparent pictures are converted to 8-bit RGB. Raises
    LiminalError for anything that is not one still photograph of one face.
    """
    picture = decode_picture(data)
    landmarks = _find_one_face(picture)
    return _frame(picture, landmarks, frame)


def decode_picture(
    data: bytes, side: int = MAX_SIDE, *, smallest: int = MIN_FRAME_SIDE, most_bytes: int = MOST_BYTES
) -> NDArray[np.uint8]:
    """Bytes -> uint8 (H, W, 3), upright, the longer side at most ``side``, nothing left of its metadata.

    smallest: pixels that the shorter side must have. Raises LiminalError for anything that is not one still picture.
    """
    if not data:
        raise LiminalError(f"The file is empty; {ADVICE}.")
    if len(data) > most_bytes:
        size, most = len(data) / 1024**2, most_bytes // 1024**2
        raise LiminalError(f"The file has {size:.0f} MB, more than the {most} MB that are read; make it smaller first.")
    kind = next((name for start, name in SIGNATURES if data.startswith(start)), None)
    if kind == "WebP" and data[8:12] != b"WEBP":
        kind = None
    broken = f"The {kind or 'picture'} file is damaged or cut off; {ADVICE} that opens elsewhere."
    try:
        with Image.open(io.BytesIO(data), formats=[name for name in FORMATS if name != "MPO"]) as image:
            _check_header(image, smallest)
            image.draft("RGB", (side, side))  # a JPEG is decoded at a fraction of its size where that is enough
            image.load()
            return _to_rgb(image, side)
    except UnidentifiedImageError:
        raise LiminalError(broken if kind else f"The file is not a picture that can be read; {ADVICE}.") from None
    except Image.DecompressionBombError:
        raise LiminalError(TOO_MANY_PIXELS) from None
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, zlib.error):  # Pillow's, for damaged files
        raise LiminalError(broken) from None


def _check_header(image: Image.Image, smallest: int) -> None:
    """Size and frames, known before any pixel is decoded."""
    if image.width * image.height > MOST_PIXELS:
        raise LiminalError(TOO_MANY_PIXELS)
    if min(image.size) < smallest:
        raise LiminalError(f"The picture is only {image.width} x {image.height} pixels; use one in which the face is larger.")
    frames = int(getattr(image, "n_frames", 1))
    if frames > 1 and image.format != "MPO":  # a phone's JPEG may carry a preview or depth map behind the photograph
        name = FORMATS.get(image.format or "", "file")
        raise LiminalError(f"The {name} is animated ({frames} frames) and none of them was used; {ADVICE} that stands still.")
    if image.format == "GIF":
        raise LiminalError(f"GIF pictures are not read; {ADVICE}.")


def _to_rgb(image: Image.Image, side: int) -> NDArray[np.uint8]:
    """Any mode -> upright 8-bit RGB."""
    upright = ImageOps.exif_transpose(image)
    upright.thumbnail((side, side), Image.Resampling.BOX if upright.mode == "P" else Image.Resampling.LANCZOS)
    if upright.mode.startswith("I") or upright.mode == "F":  # Pillow would clip 16 bits at 255 instead of scaling them
        grey = np.asarray(upright, dtype=np.float64) / 65535
        return np.repeat((grey.clip(0, 1) * 255).round().astype(np.uint8)[:, :, None], 3, axis=2)
    if upright.has_transparency_data:
        clear = upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", clear.size, (255, 255, 255, 255)), clear)
    return np.array(upright.convert("RGB"), dtype=np.uint8)


def _detect(picture: NDArray[np.uint8]) -> DetectedFaces:
    """uint8 (H, W, 3) -> all faces, the largest first."""
    return yunet.load_detector().find_all(torch.from_numpy(picture).permute(2, 0, 1).float() / 255)


def _find_one_face(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """uint8 (H, W, 3) -> landmarks (5, 2) of the only face."""
    faces = _detect(picture)
    boxes = faces.boxes.numpy()
    if len(boxes) == 0:
        raise LiminalError("No face was found in the picture; use one that shows a face from the front, upright and well lit.")
    widths = boxes[:, 2] - boxes[:, 0]
    count = int((widths >= MIN_RELATIVE_WIDTH * widths.max()).sum())
    if count > 1:
        number = NUMBER_WORDS[count] if count < len(NUMBER_WORDS) else str(count)
        raise LiminalError(f"The picture shows {number} faces; use one that shows a single person.")
    landmarks: NDArray[np.float64] = faces.landmarks.numpy()[int(np.argmax(widths))]
    return landmarks


def _fit_square(landmarks: NDArray[np.float64], frame: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Corner (left, top) and side of the square in which eyes and mouth lie as in ``frame``: no rotation, fitted."""
    points = landmarks[[0, 1, 3, 4]]  # the nose moves with the pose
    centre = points.mean(axis=0)
    # The spread about the centre does not change when the head tilts.
    side = float(np.linalg.norm(points - centre) / np.linalg.norm(frame - frame.mean(axis=0)))
    return centre - side * frame.mean(axis=0), side


def _cut_square(picture: NDArray[np.uint8], corner: NDArray[np.float64], side: float, pixels: int) -> NDArray[np.uint8]:
    """A square of the picture, enlarged or reduced to ``pixels``; beyond the edge the border's own colour goes on."""
    height, width = picture.shape[:2]
    left, top = corner
    before = np.maximum(np.ceil([-top, -left]), 0).astype(int)
    after = np.maximum(np.ceil([top + side - height, left + side - width]), 0).astype(int)
    padded = np.pad(picture, ((before[0], after[0]), (before[1], after[1]), (0, 0)), mode="edge")
    left, top = left + before[1], top + before[0]
    box = (left, top, min(left + side, padded.shape[1]), min(top + side, padded.shape[0]))
    return np.array(Image.fromarray(padded).resize((pixels, pixels), Image.Resampling.LANCZOS, box=box), dtype=np.uint8)


def _frame(picture: NDArray[np.uint8], landmarks: NDArray[np.float64], frame: NDArray[np.float64]) -> Photo:
    """Detect the face again at fixed sizes, so that the frame does not depend on the photograph's size; then cut it."""
    corner, side = _fit_square(landmarks, frame)
    if side < MIN_FRAME_SIDE:
        raise LiminalError("The face in the picture is too small to be judged; use one in which it fills more of the picture.")
    looks = []
    for wider in REFINEMENT_SCALES:
        start, span, pixels = corner - side * (wider - 1) / 2, side * wider, round(PHOTO_SIDE * wider)
        near = _detect(_cut_square(picture, start, span, pixels))
        if len(near.boxes):  # landmarks are pixel centres, corners are pixel edges
            looks.append((near.landmarks.numpy()[0] + 0.5) * span / pixels + start - 0.5)
    landmarks = np.median(looks or [landmarks], axis=0)
    corner, side = _fit_square(landmarks, frame)
    return Photo(_cut_square(picture, corner, side, PHOTO_SIDE), (landmarks + 0.5 - corner) * PHOTO_SIDE / side - 0.5)
