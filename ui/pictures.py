"""Pictures and map points on their way to the browser: uint8 arrays -> WebP bytes in a bounded store that the server's own
route reads.

A picture's address is the hash of its content: the browser may cache it for ever, and a rerun of the page sends no bytes again.
Anything derived from a user's photo is sent inline (``data_url``) instead: it has no address and leaves with the session.
"""

from __future__ import annotations

import base64
import hashlib
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.result_cache import ResultCache
from ui import ASSETS

PICTURES: ResultCache[str, bytes] = ResultCache(144 * 2**20, len)
"""The most recently used pictures by content hash, about 70 kB each."""

POINTS: ResultCache[str, bytes] = ResultCache(128 * 2**20, len)
"""Places and colours of maps by content hash, about 2 MB each for a hundred thousand faces."""


def content_hash(content: bytes) -> str:
    """32 hexadecimal digits."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def encode_picture(image: NDArray[np.uint8]) -> bytes:
    """(H, W, 3) uint8 -> WebP bytes without loss: the picture that is shown is the one that was judged, to the bit."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "WEBP", lossless=True, quality=20, method=0)  # for lossless files 'quality' is effort
    return buffer.getvalue()


def face_url(image: NDArray[np.uint8]) -> str:
    """Address of a generated face (H, W, 3) on this server; it is encoded only when it is new."""
    key = content_hash(np.ascontiguousarray(image).tobytes())
    if PICTURES.get(key) is None:
        PICTURES.put(key, encode_picture(image))
    return f"/faces/{key}.webp"


def picture_url(picture: bytes) -> str:
    """Address of an encoded face on this server."""
    key = content_hash(picture)
    PICTURES.put(key, picture)
    return f"/faces/{key}.webp"


def data_url(image: NDArray[np.uint8]) -> str:
    """The picture itself as an address, for photos of users: nothing is kept on the server."""
    return "data:image/webp;base64," + base64.b64encode(encode_picture(image)).decode()


def asset_url(path: Path) -> str:
    """Address of a file below assets/; of a picture elsewhere, such as a user's own gallery, the picture itself."""
    # The disk is asked only about other paths: every look at it gives up Python's lock, hundreds of times a page.
    plain = path if path.is_relative_to(ASSETS) and ".." not in path.parts else path.resolve()
    if not plain.is_relative_to(ASSETS):
        return "data:image/webp;base64," + base64.b64encode(path.read_bytes()).decode()
    return "/assets/" + plain.relative_to(ASSETS).as_posix()


def encoded_data_url(picture: bytes) -> str:
    """An encoded WebP picture as an address."""
    return "data:image/webp;base64," + base64.b64encode(picture).decode()


def sample_url(set_id: str, sample_id: str) -> str:
    """Where a picture of the library is."""
    return f"/sets/{set_id}/images/{sample_id}"


def points_url(content: bytes) -> str:
    """Address of numbers for a map on this server."""
    key = content_hash(content)
    POINTS.put(key, content)
    return f"/points/{key}"
