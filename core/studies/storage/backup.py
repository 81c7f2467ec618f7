"""The whole store in one file and back, while people answer.

A backup is always an SQLite file with this version's tables, whichever database it was made from: it can be looked into with any
tool, and a store moves from SQLite to PostgreSQL and back by it. It holds secrets (links, raters' codes), so that only its owner
may read it. Pictures are not in it: sample sets are folders that never change, and are copied as they are.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, text
from sqlalchemy.exc import DataError

from core.errors import LiminalError
from core.progress import Progress
from core.studies.storage.database import FAILURES, VERSION_TABLE, Database, known_versions
from core.studies.storage.tables import ANSWERS, METADATA, RATERS, STUDIES

PAGES = 2048
"""Pages of SQLite's file that are copied at a time: 8 MB."""

ROWS = 5000
"""Rows that are copied at a time."""

TABLES = METADATA.sorted_tables  # referenced tables before those that refer to them


@dataclass(frozen=True)
class BackupContents:
    """How much a backup holds. people: enrolled raters."""

    studies: int
    people: int
    answers: int


def write_backup(path: Path, url: str | None = None, *, replace: bool = False, progress: Progress | None = None) -> BackupContents:
    """Write the store into a file, whole or not at all, as it is at one moment; nobody waits for it.

    Every answer that was acknowledged before the call is in it. url: as of ``Store``. Raises LiminalError where the file exists
    and ``replace`` is false, where it is the store itself, and where it cannot be written.
    """
    progress = progress or Progress()
    database = Database(url)
    try:
        _refuse_store_itself(path, database)
        if path.exists() and not replace:
            raise LiminalError(f"There is a file {path} already; name another one, or say --replace.")
        with _write_beside(path) as temporary:
            if database.is_sqlite:
                _copy_sqlite(database, temporary, progress)
            else:
                _copy_postgresql(database, temporary, progress)
            contents = _read_contents(temporary, path.name)
        progress.stage("Written", 1.0)
        return contents
    finally:
        database.engine.dispose()


def restore_backup(
    path: Path, url: str | None = None, *, replace: bool = False, progress: Progress | None = None
) -> BackupContents:
    """Put a backup into a store in one transaction: all of it or nothing.

    A backup of an older version is migrated first, in a copy. replace: delete what the store holds. Raises LiminalError where the
    store is not empty and ``replace`` is false, and where the file is no backup, damaged, or of a newer version.
    """
    progress = progress or Progress()
    if not path.is_file():
        raise LiminalError(f"There is no file {path}; check its name and folder.")
    with tempfile.TemporaryDirectory(prefix="liminal-") as folder:
        copy = Path(folder) / "backup.sqlite"
        _copy_untrusted(path, copy)
        _check_file(copy, path.name)
        try:
            source = Database(f"sqlite:///{copy}")  # an older version's tables are brought to this one's, in the copy
        except (LiminalError, *FAILURES) as error:
            raise LiminalError(
                f"{path.name} cannot be brought to this version's tables, so nothing was restored; use another backup."
            ) from error
        try:
            contents = _read_contents(copy, path.name)
            target = Database(url)
        except BaseException:
            source.engine.dispose()
            raise
        try:
            _refuse_store_itself(path, target)
            with source.reading() as old, target.writing() as new:
                _clear_tables(new, replace)
                _copy_rows(old, new, progress)
                if _count_rows(old) != _count_rows(new):
                    raise LiminalError(f"Not everything of {path.name} arrived, so the store was left as it was; try again.")
            target.tidy()
        except (ValueError, TypeError, DataError) as error:  # values that no version of Liminal has written
            raise LiminalError(f"{path.name} is damaged, so the store was left as it was; use another backup.") from error
        finally:
            source.engine.dispose()
            target.engine.dispose()
    progress.stage("Restored", 1.0)
    return contents


def _refuse_store_itself(path: Path, database: Database) -> None:
    if database.is_sqlite and path.resolve() == Path(str(database.url.database)).resolve():
        raise LiminalError(f"{path} is the store itself; name another file for its backup.")


@contextmanager
def _write_beside(path: Path) -> Iterator[Path]:
    """A temporary file beside ``path`` that is flushed to the disk and replaces it at the end."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # readable by its owner alone
    except OSError as error:
        raise _unwritable_error(path, error) from error
    os.close(handle)
    try:
        yield Path(name)
        with Path(name).open("rb") as file:
            os.fsync(file.fileno())
        Path(name).replace(path)
    except (OSError, sqlite3.OperationalError) as error:
        raise _unwritable_error(path, error) from error
    finally:
        for leftover in (name, f"{name}-wal", f"{name}-shm", f"{name}-journal"):
            Path(leftover).unlink(missing_ok=True)


def _unwritable_error(path: Path, error: Exception) -> LiminalError:
    return LiminalError(f"{path} cannot be written ({getattr(error, 'strerror', None) or error}); choose another place.")


def _copy_sqlite(database: Database, temporary: Path, progress: Progress) -> None:
    """SQLite's online backup within one read transaction: writers continue, and their commits do not restart the copy."""

    def report_pages(status: int, remaining: int, total: int) -> None:
        progress.stage("Copying the answers", 0.9 * (1 - remaining / max(total, 1)))

    with database.reading() as connection, closing(sqlite3.connect(temporary)) as target:
        connection.execute(select(func.count()).select_from(STUDIES))  # the read transaction begins with the first query
        raw: Any = connection.connection.driver_connection
        raw.backup(target, pages=PAGES, progress=report_pages)
        target.execute("PRAGMA journal_mode = DELETE")  # one file, nothing beside it


def _copy_postgresql(database: Database, temporary: Path, progress: Progress) -> None:
    """Copy PostgreSQL's tables as they are at one moment into an SQLite file."""
    into = Database(f"sqlite:///{temporary}")
    try:
        with database.snapshot() as old, into.writing() as new:
            _copy_rows(old, new, progress)
    finally:
        into.engine.dispose()
    with closing(sqlite3.connect(temporary)) as target:
        target.execute("PRAGMA journal_mode = DELETE")


def _copy_rows(old: Connection, new: Connection, progress: Progress) -> None:
    total, done = max(sum(_count_rows(old).values()), 1), 0
    for table in TABLES:
        # Numbers that the database itself assigns are assigned anew, in the same order, so that its counter stays right.
        columns = [column for column in table.columns if not _is_numbered(column)]
        query = select(*columns).order_by(*table.primary_key.columns)
        for rows in old.execution_options(yield_per=ROWS).execute(query).mappings().partitions():
            new.execute(insert(table), [dict(row) for row in rows])
            done += len(rows)
            progress.stage("Copying the answers", 0.9 * done / total)


def _is_numbered(column: Any) -> bool:
    return column is column.table.autoincrement_column


def _count_rows(connection: Connection) -> Mapping[str, int]:
    return {table.name: connection.scalar(select(func.count()).select_from(table)) or 0 for table in TABLES}


def _clear_tables(connection: Connection, replace: bool) -> None:
    if connection.dialect.name == "postgresql":  # SQLite has one writer at a time
        names = ", ".join(table.name for table in TABLES)
        connection.execute(text(f"LOCK TABLE {names} IN EXCLUSIVE MODE"))
    counts = _count_rows(connection)
    if any(counts.values()) and not replace:
        raise LiminalError(
            f"The store holds {counts[STUDIES.name]:,} studies with {counts[ANSWERS.name]:,} answers already, so nothing was "
            "restored; say --replace to put the backup in their place."
        )
    for table in reversed(TABLES):
        connection.execute(delete(table))


def _copy_untrusted(path: Path, copy: Path) -> None:
    """Copy a file from elsewhere. Raises LiminalError where it is no SQLite database or cannot be read."""
    try:
        with path.open("rb") as file:
            if file.read(16) != b"SQLite format 3\0":
                raise LiminalError(f"{path.name} is no backup; 'python -m core study backup FILE' makes one.")
            file.seek(0)
            with copy.open("xb") as target:
                while block := file.read(2**20):
                    target.write(block)
    except OSError as error:
        raise LiminalError(f"{path} cannot be read ({error.strerror or error}); check its rights.") from error


def _check_file(path: Path, name: str) -> None:
    """Raises LiminalError unless the file is an undamaged store of this or an older version and holds only tables and indexes."""
    try:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA trusted_schema = OFF")
            kinds = {kind for (kind,) in connection.execute("SELECT type FROM sqlite_master")}
            tables = {table for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if not kinds <= {"table", "index"} or not {VERSION_TABLE, STUDIES.name, ANSWERS.name} <= tables:
                raise _no_backup_error(name)
            versions = connection.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchall()
            whole = connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            whole = whole and not connection.execute("PRAGMA foreign_key_check").fetchall()
    except sqlite3.DatabaseError as error:
        raise LiminalError(f"{name} is damaged; use another backup.") from error
    if not whole or len(versions) != 1:
        raise LiminalError(f"{name} is damaged; use another backup.")
    if versions[0][0] not in known_versions():
        raise LiminalError(f"{name} was written by a newer version of Liminal, so nothing was restored; update this one.")


def _read_contents(path: Path, name: str) -> BackupContents:
    """Count what a file with this version's tables holds. Raises LiminalError where it is damaged."""
    _check_file(path, name)
    try:
        with closing(sqlite3.connect(path)) as connection:
            tables = {table for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if not {table.name for table in TABLES} <= tables:
                raise _no_backup_error(name)
            counted = [
                connection.execute(f"SELECT count(*) FROM {table.name}").fetchone()[0] for table in (STUDIES, RATERS, ANSWERS)
            ]
    except sqlite3.DatabaseError as error:
        raise LiminalError(f"{name} is damaged; use another backup.") from error
    return BackupContents(*counted)


def _no_backup_error(name: str) -> LiminalError:
    return LiminalError(f"{name} is a database, but no backup; 'python -m core study backup FILE' makes one.")
