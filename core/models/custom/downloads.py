"""Fetch what a recipe names, from the hub or from an https address: sizes first, then the files, an interrupted one from where it
was. Used by ``python -m core models get`` alone; no page and no model that was added waits for a network.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import LiminalError
from core.lazy_import import lazy_import
from core.models.custom.catalogue import find_code
from core.models.custom.recipes import Download
from core.models.custom.sources import (
    HUB_TIMEOUT_SECONDS,
    REPOSITORY_PATTERN,
    explain_hub_errors,
    files_within,
    find_snapshot,
    forbid_offline,
    is_complete,
)
from core.progress import Progress
from core.writing import write_bytes

if TYPE_CHECKING:
    import huggingface_hub
else:  # where a recipe names a repository
    huggingface_hub = lazy_import("huggingface_hub")

TIMEOUT_SECONDS = 15.0
BLOCK = 1 << 20
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class DownloadSize:
    """Bytes in all, and those that are not on this machine yet. licence: as the hub states it, else empty."""

    total: int
    missing: int
    licence: str = ""


def is_address(text: str) -> bool:
    """Whether it is an address rather than a path. Raises LiminalError for one that is not https."""
    parts = urllib.parse.urlsplit(text)
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise LiminalError(f"The address {text} is not protected on its way; give one that begins with https://.")
    return parts.scheme in ("https", "http")


def measure_download(download: Download, target: Path | None = None) -> DownloadSize:
    """How large it is. target: where a file from an address is to lie. Raises LiminalError, within seconds, without a network."""
    if target is not None and target.is_file():
        return DownloadSize(target.stat().st_size, 0)
    if is_address(download.address):
        return _measure_address(download.address, target)
    match = REPOSITORY_PATTERN.match(download.address)
    assert match is not None
    repository, inside = match["name"], match["inside"].strip("/")
    snapshot = find_snapshot(repository) if target is None else None
    if snapshot is not None and is_complete(repository, snapshot, inside, lambda names: choose_files(download, list(names))):
        files = [path for path in (snapshot / inside, *(snapshot / inside).rglob("*")) if path.is_file()]
        return DownloadSize(sum(path.stat().st_size for path in files), 0)
    forbid_offline(f"{repository} is to be fetched")
    with explain_hub_errors(repository, f"{repository} is to be fetched"):
        information = huggingface_hub.HfApi().model_info(repository, timeout=HUB_TIMEOUT_SECONDS, files_metadata=True)
    sizes = {file.rfilename: int(file.size or 0) for file in information.siblings or ()}
    chosen = choose_files(download, files_within(sizes, inside))
    here = [name for name in chosen if snapshot is not None and _holds(snapshot / name, sizes[name])]
    licence = str(getattr(information.card_data, "license", None) or "")
    total = sum(sizes[name] for name in chosen)
    return DownloadSize(total, total - sum(sizes[name] for name in here), licence)


def choose_files(download: Download, names: list[str]) -> list[str]:
    """Those of a repository's files that are fetched. A single file is fetched whatever its ending."""
    return names if len(names) == 1 else list(find_code(download.choice)(names))


def _holds(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def check_space(folder: Path, needed: int) -> None:
    """Raises LiminalError where the disk of a folder has less room than is needed."""
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise LiminalError(
            f"{needed / 1e9:.1f} GB are to be fetched and the disk of {folder} has {free / 1e9:.1f} GB left; free some space first."
        )


def fetch_hub_file(download: Download, folder: Path) -> Path:
    """One file of a repository, into a folder of our own. The hub's library goes on with an interrupted one."""
    match = REPOSITORY_PATTERN.match(download.address)
    assert match is not None
    repository, inside = match["name"], match["inside"].strip("/")
    forbid_offline(f"{repository} is to be fetched")
    with explain_hub_errors(repository, f"{repository} is to be fetched"):
        return Path(huggingface_hub.hf_hub_download(repository, inside, local_dir=folder, etag_timeout=HUB_TIMEOUT_SECONDS))


def fetch_address(address: str, target: Path, progress: Progress) -> Path:
    """The file at an address as ``target``, whole or not there; what an interrupted download left beside it is gone on with.

    Raises LiminalError where the address does not answer or sends something else.
    """
    if target.is_file():
        return target
    forbid_offline(f"{target.name} is to be fetched")
    part, notes = target.with_name(f"{target.name}.part"), target.with_name(f"{target.name}.part.json")
    target.parent.mkdir(parents=True, exist_ok=True)
    begun = part.stat().st_size if part.is_file() else 0
    version, whole = _read_notes(notes)
    if begun and begun == whole:  # only the last step is missing
        return _finish(part, notes, target)
    headers = {"Range": f"bytes={begun}-", "If-Range": version} if begun and version else {}
    with _open(address, headers=headers) as answer:
        goes_on = answer.status == 206
        size = int(answer.headers.get("Content-Length") or 0) + (begun if goes_on else 0)
        write_bytes(notes, json.dumps({"version": _name_version(answer.headers), "size": size}).encode())
        with part.open("ab" if goes_on else "wb") as file:
            while block := _read_block(answer, target.name):
                file.write(block)
                done = file.tell() / size if size else 0.0
                progress.stage(f"Fetching {target.name}, {file.tell() / 1e6:,.0f} of {size / 1e6:,.0f} MB", done)
    if size and part.stat().st_size != size:
        raise LiminalError(f"The download of {target.name} broke off; run the command again to go on with it.")
    return _finish(part, notes, target)


def _finish(part: Path, notes: Path, target: Path) -> Path:
    part.replace(target)
    notes.unlink(missing_ok=True)
    return target


def _read_notes(notes: Path) -> tuple[str, int]:
    """Version and size of the file whose beginning lies here; "" and 0 where nothing is noted."""
    try:
        content = json.loads(notes.read_text(encoding="utf-8"))
        return str(content["version"]), int(content["size"])
    except (OSError, ValueError, KeyError, TypeError):
        return "", 0


def _name_version(headers: Any) -> str:
    """What tells that a file is still the same: a strong ETag, else the time of its last change; empty where there is neither."""
    tag = headers.get("ETag") or ""
    return tag if tag and not tag.startswith("W/") else headers.get("Last-Modified") or ""


def _measure_address(address: str, target: Path | None) -> DownloadSize:
    forbid_offline(f"{address} is to be fetched")
    with _open(address, method="HEAD") as answer:
        total = int(answer.headers.get("Content-Length") or 0)
    part = target.with_name(f"{target.name}.part") if target is not None else None
    begun = part.stat().st_size if part is not None and part.is_file() else 0
    return DownloadSize(total, max(total - begun, 0))


def _open(address: str, *, method: str = "GET", headers: dict[str, str] | None = None) -> Any:
    request = urllib.request.Request(address, method=method, headers={"User-Agent": "liminal", **(headers or {})})
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)
        is_address(answer.url)  # where it led to
        return answer
    except urllib.error.HTTPError as error:
        raise LiminalError(f"{address} answered with {error.code} ({error.reason}); check the address.") from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise LiminalError(f"{address} could not be reached ({reason}); try again with a connection.") from error


def _read_block(answer: Any, name: str) -> bytes:
    try:
        return bytes(answer.read(BLOCK))
    except (OSError, http.client.HTTPException) as error:
        raise LiminalError(f"The download of {name} broke off ({error}); run the command again to go on with it.") from error


def weights_folder(data: Path, model: str) -> Path:
    """Where what is got for a model lies."""
    return data / "weights" / model


def name_target(folder: Path, address: str) -> Path:
    """The file of an address in a folder, by the last part of its path."""
    name = os.path.basename(urllib.parse.unquote(urllib.parse.urlsplit(address).path))  # noqa: PTH119 (an address, no path)
    if not name or name.startswith("."):
        raise LiminalError(f"The address {address} names no file; give the address of the file itself.")
    return folder / name
