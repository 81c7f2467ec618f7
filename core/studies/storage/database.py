"""One database, SQLite or PostgreSQL: opened, brought to this version's tables, read and written in whole transactions."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import ConnectionPoolEntry

from core.data_folder import data_folder
from core.errors import LiminalError
from core.studies.storage import failures
from core.studies.storage.schema import migrate

BUSY_SECONDS = 30.0
"""How long to wait for another writer before saying so."""

LOADING_CACHE_MB = 1024
"""SQLite's cache while a big table comes in: rating_ids are random, so their whole index is written to all the time."""

_locks: dict[str, threading.Lock] = {}
_locks_guard = threading.Lock()


def address(url: str | None = None) -> URL:
    """``url``, else LIMINAL_DATABASE_URL, else the file in the user's data folder. Raises LiminalError for no address of ours."""
    given = url or os.environ.get("LIMINAL_DATABASE_URL")
    if not given:
        return URL.create("sqlite", database=str(data_folder() / "ratings.sqlite"))
    try:
        found = make_url(given)
    except (ArgumentError, ValueError):
        found = URL.create("none")
    if found.drivername in ("postgres", "postgresql", "postgresql+psycopg") and found.database:
        return found.set(drivername="postgresql+psycopg")
    if found.drivername in ("sqlite", "sqlite+pysqlite") and found.database not in (None, "", ":memory:"):
        return found
    raise LiminalError(
        "The address of the database is not understood; it is postgresql://user:password@host/name or sqlite:////folder/file."
    )


class Database:
    """Opened with this version's tables. Raises LiminalError where that cannot be."""

    def __init__(self, url: str | None = None) -> None:
        self.url = address(url)
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
            event.listen(engine, "connect", _set_up_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
            return engine
        engine = create_engine(self.url, connect_args={"connect_timeout": 10}, pool_timeout=BUSY_SECONDS, pool_pre_ping=True)
        event.listen(engine, "connect", _set_up_postgresql)
        return engine

    def _open(self) -> None:
        with self.reading() as connection:  # a file that is not ours is not touched
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
        """Write-ahead logging, a property of the file. SQLite does not wait when two switch at once, so this does."""
        until = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                with self.engine.connect() as connection:
                    raw = connection.connection.cursor()
                    if raw.execute("PRAGMA journal_mode").fetchone() != ("wal",):
                        raw.execute("PRAGMA journal_mode = WAL")
                return
            except failures.FAILURES as error:
                if getattr(error, "sqlite_errorname", "") != "SQLITE_BUSY" or time.monotonic() > until:
                    raise failures.sentence(error, self.url) or error from error
                time.sleep(0.02)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One consistent look at the database."""
        with self._in_words(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """``reading`` in which every table is as it was at the first question, however long it takes."""
        engine = self.engine if self.is_sqlite else self.engine.execution_options(isolation_level="REPEATABLE READ")
        with self._in_words(), engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One change, whole or not at all: it is on the disk when the block has ended."""
        with self._turn(), self.committing() as connection:
            yield connection

    @contextmanager
    def committing(self) -> Iterator[Connection]:
        """``writing`` for whoever has ``lock`` already."""
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
        """Another writer of this process takes too long."""
        return LiminalError(f"{failures.place(self.url)} is being written to by another task; try again in a moment.")

    @contextmanager
    def loading(self) -> Iterator[Connection]:
        """``writing`` for very many rows."""
        with self.writing() as connection:
            if self.is_sqlite:
                connection.exec_driver_sql(f"PRAGMA cache_size = {-1024 * LOADING_CACHE_MB}")
            yield connection
        self.tidy()

    def tidy(self) -> None:
        """SQLite: take the log into the file and give its room back, if nobody is in the way; what was deleted is gone then."""
        if not self.is_sqlite:
            return
        connection = self.engine.raw_connection()
        try:
            connection.cursor().execute("PRAGMA busy_timeout = 200").execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.OperationalError:
            pass  # next time
        finally:
            connection.invalidate()  # also drops a big cache
            connection.close()

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except failures.FAILURES as error:
            said = failures.sentence(error, self.url)
            if said is None:
                raise
            raise said from error


def _set_up_sqlite(connection: Any, entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # transactions begin where ``_begin_sqlite`` says, not where Python's driver guesses
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous = FULL")  # a commit is on the disk, not just in the system's memory
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA secure_delete = ON")  # what a person had deleted is overwritten
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A writer says so at once: one that read first could not wait for another's commit.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("writing") else "BEGIN")


def _set_up_postgresql(connection: Any, entry: ConnectionPoolEntry) -> None:
    before = connection.autocommit
    connection.autocommit = True
    cursor = connection.cursor()
    cursor.execute("SET synchronous_commit = on")
    cursor.execute(f"SET lock_timeout = {int(1000 * BUSY_SECONDS)}")
    cursor.execute("SET timezone = 'UTC'")
    cursor.close()
    connection.autocommit = before
