"""Where an added model's files lie: a path, or a snapshot of a hub repository in its local cache.

Only ``fetch_source`` may use the network, and only when a model is added; loading looks into the cache alone, so that no page ever
waits for a hub that does not answer.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import LiminalError
from core.lazy_import import lazy_import
from core.models.custom.catalogue import CustomModel
from core.models.weights import WeightFile

if TYPE_CHECKING:
    import huggingface_hub
    import huggingface_hub.errors as hub_errors
else:  # loaded where a source is the name of a repository
    huggingface_hub, hub_errors = lazy_import("huggingface_hub"), lazy_import("huggingface_hub.errors")

REPOSITORY_PATTERN = re.compile(r"(?P<name>[\w.-]+/[\w.-]+)(?P<inside>(/\w[\w.-]*)*)\Z")
"""owner/name, or a folder or file of it: owner/name/folder/file.safetensors."""
WEIGHT_SUFFIXES = (".safetensors", ".bin", ".pt", ".pth", ".onnx")
FILE_PATTERNS = ("*.safetensors", "*.bin", "*.json", "*.txt", "*.model")
"""The usual files of a repository: weights and their descriptions, no code."""
HUB_TIMEOUT_SECONDS = 5.0
"""Seconds within which a hub must answer, else it counts as unreachable."""


FileChoice = Callable[[Sequence[str]], list[str]]
"""All files of a repository -> those to fetch."""


def choose_usual_files(files: Sequence[str]) -> list[str]:
    """The usual choice: weights and their descriptions."""
    return [name for name in files if any(fnmatch(name, pattern) for pattern in FILE_PATTERNS)]


@dataclass(frozen=True)
class FetchedSource:
    """A source on this machine. ``root`` is a file or a folder; ``files`` inside it -> SHA-256."""

    root: Path
    source: str
    revision: str
    licence: str
    files: dict[str, str]


def fetch_source(source: str, choice: FileChoice | None = None) -> FetchedSource:
    """The files that a path or a repository name stands for, from the hub where they are not here yet.

    With a choice, the name may go on with a folder or file inside the repository; without one, the usual files are fetched.

    Raises LiminalError, within seconds, where there is no such path, the hub cannot be reached or is forbidden.
    """
    path = Path(source).expanduser()
    if path.exists():
        root = path.resolve()
        return FetchedSource(root, str(root), "", "", _hash_files(root))
    match = REPOSITORY_PATTERN.match(source)
    if not match or source.startswith((".", "~")) or (match["inside"] and choice is None):
        raise LiminalError(f"There is no file or folder '{source}'; give the path of one, or a hub repository as owner/name.")
    repository, inside, choice = match["name"], match["inside"].strip("/"), choice or choose_usual_files
    snapshot, licence = find_snapshot(repository), ""
    if snapshot is None or not is_complete(repository, snapshot, inside, choice):
        snapshot, licence = _download_source(
            repository, inside, choice, begun=snapshot is not None and (snapshot / inside).exists()
        )
    return FetchedSource(snapshot / inside, source, snapshot.name, licence, _hash_files(snapshot / inside))


def locate_source(custom: CustomModel) -> Path:
    """The model's file or folder, without any network. Raises LiminalError where it, or one of its files, is gone."""
    if custom.revision:
        named = REPOSITORY_PATTERN.match(custom.source)
        inside = named["inside"].strip("/") if named else ""
        snapshot = find_snapshot(named["name"] if named else custom.source, custom.revision)
        again = f"run 'python -m core models add {custom.name} {custom.model_class} {custom.source} --replace' to fetch them again."
        if snapshot is None or not (snapshot / inside).exists():
            raise LiminalError(f"The files of {custom.source} are no longer on this machine; {again}")
        root = snapshot / inside
        missing = next((name for name in custom.files if not (_source_folder(root) / name).exists()), None)
        if missing is not None:
            raise LiminalError(f"Only a part of the files of {custom.source} is on this machine, without {missing}; {again}")
        return root
    path = Path(custom.source)
    if not path.exists():
        raise LiminalError(
            f"'{custom.name}' reads {path}, which is no longer there; bring it back or run "
            f"'python -m core models remove {custom.name}'."
        )
    return path


def list_weight_files(custom: CustomModel) -> tuple[WeightFile, ...]:
    """The files for the model's card, with their hashes when the model was added."""
    if not custom.files:
        return ()
    root = locate_source(custom)
    return tuple(added_weight_file(custom, _source_folder(root) / name, sha256) for name, sha256 in custom.files.items())


def _source_folder(root: Path) -> Path:
    return root if root.is_dir() else root.parent


def added_weight_file(custom: CustomModel, path: Path, sha256: str) -> WeightFile:
    """A file of an added model, with its hash when it was added."""
    return WeightFile("added here", "", str(path), sha256, f"python -m core models remove {custom.name}")


def verify_source(custom: CustomModel) -> Path:
    """The model's file or folder, once all its files have the hashes that they were added with. Raises LiminalError for the first
    that has not."""
    for file in list_weight_files(custom):
        file.verified()
    return locate_source(custom)


def _hash_files(root: Path) -> dict[str, str]:
    """Path -> SHA-256 of the weights and the JSON files beside them, which decide what a network computes."""
    names = [root] if root.is_file() else sorted(path for path in root.rglob("*") if path.suffix in (*WEIGHT_SUFFIXES, ".json"))
    if root.is_dir() and not any(path.suffix in WEIGHT_SUFFIXES for path in names):
        raise LiminalError(f"The folder {root} holds no weights ({', '.join(WEIGHT_SUFFIXES)}); name the folder that does.")
    hashes = {}
    for path in names:
        try:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise LiminalError(f"The file {path} cannot be read ({error.strerror or error}); check who may read it.") from error
        hashes[path.name if path == root else path.relative_to(root).as_posix()] = digest
    return hashes


def find_snapshot(repository: str, revision: str | None = None) -> Path | None:
    """The snapshot in the hub's local cache, complete or not; without the internet."""
    try:
        return Path(huggingface_hub.snapshot_download(repository, revision=revision, local_files_only=True))
    except hub_errors.IncompleteSnapshotError as error:  # of a whole repository, of which only some files are ever fetched
        return Path(error.snapshot_path)
    except hub_errors.HFValidationError as error:
        raise LiminalError(f"'{repository}' is no name of a hub repository; write it as owner/name.") from error
    except (hub_errors.LocalEntryNotFoundError, hub_errors.HfHubHTTPError, OSError):
        return None


def is_complete(repository: str, snapshot: Path, inside: str, choice: FileChoice) -> bool:
    """Whether all that is chosen of a repository is there: an interrupted download leaves a snapshot with some of its files.

    Where the hub's library stored no list of the repository's files, a half-written file shows it.
    """
    if not (snapshot / inside).exists():
        return False
    try:
        names = [file.path for file in huggingface_hub.get_cached_repo_tree(repository, revision=snapshot.name)]
    except hub_errors.CachedRepoTreeNotFoundError:
        return not any((snapshot.parents[1] / "blobs").glob("*.incomplete"))
    return all((snapshot / name).exists() for name in choice(files_within(names, inside)))


def files_within(names: Iterable[str], inside: str) -> list[str]:
    """The files below a folder of a repository, or that file itself."""
    return [name for name in names if not inside or f"{name}/".startswith(f"{inside}/")]


def forbid_offline(here: str) -> None:
    """Raises LiminalError where the environment forbids the hub. here: how things stand, for the message."""
    if huggingface_hub.constants.HF_HUB_OFFLINE or os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        raise LiminalError(f"{here} and HF_HUB_OFFLINE forbids fetching it; unset it and add it again, or give the path of a copy.")


@contextmanager
def explain_hub_errors(repository: str, here: str) -> Iterator[None]:
    """Within it, whatever keeps the hub from giving a repository becomes a LiminalError."""
    try:
        yield
    except LiminalError:
        raise
    except hub_errors.GatedRepoError as error:
        raise LiminalError(
            f"{repository} asks for its terms to be accepted first; do so on its page, then log in with 'hf auth login'."
        ) from error
    except hub_errors.RepositoryNotFoundError as error:
        raise LiminalError(
            f"The hub knows no repository {repository}, or it is private; check the name, or log in with 'hf auth login'."
        ) from error
    except Exception as error:  # connection, proxy, certificate, time-out: the libraries below raise many kinds
        raise LiminalError(
            f"{here} and the hub could not be reached ({type(error).__name__}); give the path of a copy, or add it again with a "
            "connection."
        ) from error


def _download_source(repository: str, inside: str, choice: FileChoice, *, begun: bool) -> tuple[Path, str]:
    """The snapshot and the licence. begun: whether a part of it is here, for the message."""
    here = f"{repository} is {'only partly' if begun else 'not'} on this machine"
    forbid_offline(here)
    with explain_hub_errors(repository, here):
        information = huggingface_hub.HfApi().model_info(repository, timeout=HUB_TIMEOUT_SECONDS)
        licence = str(getattr(information.card_data, "license", None) or "")
        chosen = choice(files_within((file.rfilename for file in information.siblings or ()), inside))
        if not chosen:
            raise LiminalError(f"{repository} holds no weights{f' in {inside}' if inside else ''}; check the name on the hub.")
        root = huggingface_hub.snapshot_download(repository, allow_patterns=chosen, etag_timeout=HUB_TIMEOUT_SECONDS)
    return Path(root), licence
