"""Encode a selection of images as a short token for a link: short ids of a few, the name of a stored list for many."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path

from core.data_folder import data_folder
from core.errors import LiminalError
from core.writing import write_bytes

MOST_IN_LINK = 20
SHORT_ID_LENGTH = 10  # hexadecimal digits of an id: among 100,000 images two are alike once in about 200 maps
STORED_TOKEN = re.compile(r"k[0-9a-f]{16}")


def pack_selection(sample_ids: Sequence[str], *, folder: Path | None = None) -> str:
    """Encode ids as a token; "" for none. Long lists are stored in ``folder`` (None: the data folder's ``selections``) by hash.

    Raises LiminalError where they cannot be stored.
    """
    if len(sample_ids) <= MOST_IN_LINK:
        return "-".join(name[:SHORT_ID_LENGTH] for name in sample_ids)
    content = json.dumps(list(sample_ids)).encode()
    token = f"k{hashlib.blake2b(content, digest_size=8).hexdigest()}"
    try:
        write_bytes(_selection_path(token, folder), content)
    except OSError as error:
        raise LiminalError(f"This selection cannot be kept for its link ({error.strerror}); select fewer faces.") from error
    return token


def unpack_selection(token: str, known: Sequence[str], *, folder: Path | None = None) -> list[str]:
    """Decode a token to those of ``known`` that it names, in their order there; an unknown token is an empty selection."""
    if not token:
        return []
    if STORED_TOKEN.fullmatch(token):
        try:
            wanted = set(json.loads(_selection_path(token, folder).read_bytes()))
        except (OSError, ValueError, TypeError):
            return []
        return [name for name in known if name in wanted]
    short = set(token.split("-"))
    return [name for name in known if name[:SHORT_ID_LENGTH] in short]


def _selection_path(token: str, folder: Path | None) -> Path:
    return (folder or data_folder() / "selections") / f"{token}.json"
