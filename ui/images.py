"""Pictures on their way to the browser: uint8 arrays -> WebP bytes, kept in a bounded store that the server's own route reads.

A picture's address is the hash of its bytes: the browser may keep it for ever, and a rerun of the page sends no bytes again.
Anything derived from a user's photo goes inline (``data_url``) instead: it has no address and leaves with the session.
"""

from __future__ import annotations

import base64
import hashlib
import io
import threading
from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray
from PIL import Image

QUALITY = 88
CAPACITY = 4096  # pictures of about 10 kB each


class PictureStore:
    """The most recently used pictures by content hash. Thread-safe."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.capacity = capacity
        self._pictures: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, picture: bytes) -> str:
        """Keep the bytes; -> their content hash."""
        key = hashlib.blake2b(picture, digest_size=16).hexdigest()
        with self._lock:
            self._pictures[key] = picture
            self._pictures.move_to_end(key)
            while len(self._pictures) > self.capacity:
                self._pictures.popitem(last=False)
        return key

    def get(self, key: str) -> bytes | None:
        """The bytes, or None when they were pushed out."""
        with self._lock:
            if key in self._pictures:
                self._pictures.move_to_end(key)
            return self._pictures.get(key)

    def __len__(self) -> int:
        return len(self._pictures)


STORE = PictureStore()


def encode(image: NDArray[np.uint8], quality: int = QUALITY) -> bytes:
    """(H, W, 3) uint8 -> WebP bytes. Small faces (64 pixels) are kept without loss: they are shown enlarged."""
    buffer = io.BytesIO()
    small = image.shape[0] <= 128
    Image.fromarray(image).save(buffer, "WEBP", quality=quality, lossless=small, method=2 if small else 4)
    return buffer.getvalue()


def face_url(image: NDArray[np.uint8]) -> str:
    """Address of a generated face on this server."""
    return f"/faces/{STORE.put(encode(image))}.webp"


def data_url(image: NDArray[np.uint8]) -> str:
    """The picture itself as an address, for photos of users: nothing is kept on the server."""
    return "data:image/webp;base64," + base64.b64encode(encode(image)).decode()


def asset_url(path: str) -> str:
    """Address of a file below assets/, given with or without that folder's name."""
    return "/assets/" + path.removeprefix("/").removeprefix("assets/")
