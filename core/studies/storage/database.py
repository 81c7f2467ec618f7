"""One database, SQLite or PostgreSQL: opened, brought to this version's tables, read and written in whole transactions.

Alembic's migrations (``core/studies/migrations``) make the tables of this version. Failures of the database become LiminalErrors
with one sentence, looked up by SQLite's error name or PostgreSQL's error code (its documentation, appendix A).
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry

from core.data_folder import data_folder
from core.errors import LiminalError
from core.studies.storage.tables import METADATA

logger = logging.getLogger(__name__)

SLOW_SECONDS = 0.5
"""Statements that take longer are logged."""

SQLITE_FAILURES = {
    "SQLITE_BUSY": "is locked by another program; close that one or try again in a moment",
    "SQLITE_LOCKED": "is locked by another program; close that one or try again in a moment",
    "SQLITE_READONLY": "is read-only; allow writing to the file and its folder",
    "SQLITE_FULL": "cannot grow, because the disk is full; make room and try again",
    "SQLITE_NOTADB": "is not a database; move that file away or name another one by LIMINAL_DATABASE_URL",
    "SQLITE_CORRUPT": "is damaged; put a backup in its place",
    "SQLITE_CANTOPEN": "cannot be opened; see that its folder exists and that you may write there",
    "SQLITE_PERM": "may not be opened by you; ask for the rights to read and write it",
    "SQLITE_AUTH": "may not be opened by you; ask for the rights to read and write it",
    "SQLITE_IOERR": "cannot be read or written, because the disk reports an error; check the disk",
    "SQLITE_NOMEM": "needs more memory than there is; close other programs",
}
"""Sentences by the beginning of SQLite's error name; extended names such as SQLITE_IOERR_WRITE are longer."""

POSTGRESQL_FAILURES = {
    "28": "refuses this user or password; correct LIMINAL_DATABASE_URL",
    "3D000": "does not exist on that server; create it or correct LIMINAL_DATABASE_URL",
    "42501": "does not let this user do that; grant the rights to create tables, read and write",
    "25006": "is read-only; write to the primary server",
    "53100": "cannot grow, because the server's disk is full; make room and try again",
    "53200": "has run out of memory; try again in a moment",
    "53300": "has too many connections open; close some or raise the server's max_connections",
    "55P03": "is locked by another program; try again in a moment",
    "40": "was busy with a conflicting change; try again",
    "57": "is shutting down or starting up; try again in a moment",
}
"""Sentences by the beginning of PostgreSQL's error code (its documentation, appendix A)."""

FAILURES = (SQLAlchemyError, sqlite3.Error, psycopg.Error)
"""What a database raises, through SQLAlchemy or directly."""

UNREACHABLE = "cannot be reached; see that the server runs and that LIMINAL_DATABASE_URL is right"


def describe_database(url: URL) -> str:
    """The database as messages name it, without its password."""
    return f"The file {url.database}" if url.get_backend_name() == "sqlite" else f"The database {url.render_as_string()}"


def explain_failure(error: Exception, url: URL) -> LiminalError | None:
    """A LiminalError for one of FAILURES; None for an error of this program."""
    if isinstance(error, PoolTimeout):
        return LiminalError(f"{describe_database(url)} is busy with other requests; try again in a moment.")
    original = error.orig if isinstance(error, DBAPIError) else error
    sentence = None
    if isinstance(original, sqlite3.Error):
        name = getattr(original, "sqlite_errorname", "")
        sentence = next((text for start, text in SQLITE_FAILURES.items() if name.startswith(start)), None)
    elif isinstance(original, psycopg.Error):
        state = original.sqlstate or ""
        sentence = next((text for start, text in POSTGRESQL_FAILURES.items() if state.startswith(start)), None)
        if not state and isinstance(original, (psycopg.OperationalError, psycopg.InterfaceError)):
            sentence = _explain_connection_failure(str(original))
    return None if sentence is None else LiminalError(f"{describe_database(url)} {sentence}.")


def _explain_connection_failure(text: str) -> str:
    """A sentence for a failed connection. libpq gives no code here, so the server's message is searched (English only)."""
    for words, state in (
        ("password authentication failed", "28"),
        ("no password supplied", "28"),
        ("no pg_hba.conf entry", "28"),
        ("role ", "28"),
        ("database ", "3D000"),
        ("too many clients", "53300"),
        ("starting up", "57"),
        ("shutting down", "57"),
    ):
        if words in text:
            return POSTGRESQL_FAILURES[state]
    return UNREACHABLE


MIGRATIONS_FOLDER = Path(__file__).parents[1] / "migrations"
VERSION_TABLE = "liminal_version"
"""Alembic's table of the version; not its default name, since a PostgreSQL database may hold another program's tables too."""

_alembic_lock = threading.Lock()  # Alembic's context is global


def alembic_configuration() -> Config:
    """Alembic's settings, which are in no file."""
    configuration = Config()
    configuration.set_main_option("script_location", str(MIGRATIONS_FOLDER).replace("%", "%%"))
    return configuration


def known_versions() -> set[str]:
    """The versions of the tables, from the first to this one."""
    return {script.revision for script in ScriptDirectory.from_config(alembic_configuration()).walk_revisions()}


def migrate(connection: Connection, url: URL, *, look: bool = False) -> bool:
    """Bring the database to this version's tables -> whether it has them. look: only check, change nothing.

    Raises LiminalError for tables of a newer version or of another program.
    """
    scripts = ScriptDirectory.from_config(alembic_configuration())
    tables = set(inspect(connection).get_table_names())
    version = connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}")) if VERSION_TABLE in tables else None
    if version is None and tables & set(METADATA.tables):
        raise LiminalError(f"{describe_database(url)} belongs to another program; name another one by LIMINAL_DATABASE_URL.")
    if version is not None and version not in known_versions():
        raise LiminalError(
            f"{describe_database(url)} was written by a newer version of Liminal; update this one, nothing was changed."
        )
    if version == scripts.get_current_head():
        return True
    if not look:
        settings = alembic_configuration()
        settings.attributes["connection"] = connection
        with _alembic_lock:
            command.upgrade(settings, "head")
    return not look


BUSY_SECONDS = 30.0
"""How long to wait for another writer before raising an error."""

LOADING_CACHE_MB = 1024
"""SQLite's cache while a big table is inserted: rating_ids are random, so every part of their index changes."""

_locks: dict[str, threading.Lock] = {}
_locks_guard = threading.Lock()


def database_url(url: str | None = None) -> URL:
    """``url``, else LIMINAL_DATABASE_URL, else the file in the user's data folder. Raises LiminalError for any other address."""
    address = url or os.environ.get("LIMINAL_DATABASE_URL")
    if not address:
        return URL.create("sqlite", database=str(data_folder() / "ratings.sqlite"))
    try:
        parsed = make_url(address)
    except (ArgumentError, ValueError):
        parsed = URL.create("none")
    if parsed.drivername in ("postgres", "postgresql", "postgresql+psycopg") and parsed.database:
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername in ("sqlite", "sqlite+pysqlite") and parsed.database not in (None, "", ":memory:"):
        return parsed
    raise LiminalError(
        "The address of the database is not understood; it is postgresql://user:password@host/name or sqlite:////folder/file."
    )


class Database:
    """An open database with this version's tables. Raises LiminalError where it cannot be opened or migrated."""

    def __init__(self, url: str | None = None) -> None:
        self.url = database_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        with _locks_guard:  # one writer at a time in this process, however many stores it has open
            self.lock = _locks.setdefault(self.url.render_as_string(hide_password=False), threading.Lock())
        self.engine = self._engine()
        self._writing = self.engine.execution_options(writing=True)
        try:
            self._open()
        except BaseException:
            self.engine.dispose()
            raise

    def _engine(self) -> Engine:
        if self.is_sqlite:
            engine = create_engine(self.url, connect_args={"timeout": BUSY_SECONDS}, pool_timeout=BUSY_SECONDS)
            event.listen(engine, "connect", _configure_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
            _log_slow_statements(engine)
            return engine
        engine = create_engine(self.url, connect_args={"connect_timeout": 10}, pool_timeout=BUSY_SECONDS, pool_pre_ping=True)
        event.listen(engine, "connect", _configure_postgresql)
        _log_slow_statements(engine)
        return engine

    def _open(self) -> None:
        with self.reading() as connection:  # a database of another program is not changed
            ready = migrate(connection, self.url, look=True)
        if self.is_sqlite:
            self._use_wal()
        if ready:
            return
        with self.writing() as connection:  # looks again: another process may have been faster
            if not self.is_sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('liminal'))"))
            migrate(connection, self.url)

    def _use_wal(self) -> None:
        """Switch the file to write-ahead logging. SQLite does not wait when two processes switch at once, so this does."""
        until = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                with self.engine.connect() as connection:
                    raw = connection.connection.cursor()
                    if raw.execute("PRAGMA journal_mode").fetchone() != ("wal",):
                        raw.execute("PRAGMA journal_mode = WAL")
                return
            except FAILURES as error:
                if getattr(error, "sqlite_errorname", "") != "SQLITE_BUSY" or time.monotonic() > until:
                    raise explain_failure(error, self.url) or error from error
                time.sleep(0.02)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A read transaction."""
        with self._in_words(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A read transaction in which every table stays as it was at the first query."""
        engine = self.engine if self.is_sqlite else self.engine.execution_options(isolation_level="REPEATABLE READ")
        with self._in_words(), engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A write transaction: all or nothing, and on the disk when the block has ended."""
        with self._turn(), self.committing() as connection:
            yield connection

    @contextmanager
    def committing(self) -> Iterator[Connection]:
        """``writing`` for a caller who holds ``lock``."""
        with self._in_words(), self._writing.begin() as connection:
            yield connection

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self.lock.acquire(timeout=BUSY_SECONDS):
            raise self.busy()
        try:
            yield
        finally:
            self.lock.release()

    def busy(self) -> LiminalError:
        """The error where another writer of this process takes too long."""
        return LiminalError(f"{describe_database(self.url)} is being written to by another task; try again in a moment.")

    @contextmanager
    def loading(self) -> Iterator[Connection]:
        """``writing`` for very many rows."""
        with self.writing() as connection:
            if self.is_sqlite:
                connection.exec_driver_sql(f"PRAGMA cache_size = {-1024 * LOADING_CACHE_MB}")
            yield connection
        self.tidy()

    def tidy(self) -> None:
        """SQLite: checkpoint and truncate the write-ahead log, if nobody reads or writes; deleted rows are then overwritten."""
        if not self.is_sqlite:
            return
        connection = self.engine.raw_connection()
        try:
            connection.cursor().execute("PRAGMA busy_timeout = 200").execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.OperationalError:
            pass  # the next call does it
        finally:
            connection.invalidate()  # also drops a big cache
            connection.close()

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except FAILURES as error:
            explained = explain_failure(error, self.url)
            if explained is None:
                raise
            raise explained from error


def _log_slow_statements(engine: Engine) -> None:
    """Log the first words of slow statements. Parameters are never logged: they hold names and answers."""

    def start(connection: Connection, cursor: Any, statement: str, *others: Any) -> None:
        connection.info["statement_start"] = time.monotonic()

    def end(connection: Connection, cursor: Any, statement: str, *others: Any) -> None:
        seconds = time.monotonic() - connection.info.pop("statement_start", time.monotonic())
        if seconds > SLOW_SECONDS:
            logger.warning("slow query: %s ... took %.1f s", " ".join(statement.split()[:3]), seconds)

    event.listen(engine, "before_cursor_execute", start)
    event.listen(engine, "after_cursor_execute", end)


def _configure_sqlite(connection: Any, entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # ``_begin_sqlite`` begins transactions, not Python's driver
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous = FULL")  # a commit is on the disk, not just in the system's memory
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA secure_delete = ON")  # deleted rows are overwritten
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A writer locks at once: a reader that turns writer cannot wait for another writer's commit.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("writing") else "BEGIN")


def _configure_postgresql(connection: Any, entry: ConnectionPoolEntry) -> None:
    before = connection.autocommit
    connection.autocommit = True
    cursor = connection.cursor()
    cursor.execute("SET synchronous_commit = on")
    cursor.execute(f"SET lock_timeout = {int(1000 * BUSY_SECONDS)}")
    cursor.execute("SET timezone = 'UTC'")
    cursor.close()
    connection.autocommit = before
