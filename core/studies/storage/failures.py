"""What a database can fail with, each in one sentence."""

from __future__ import annotations

import sqlite3

import psycopg
from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from core.errors import LiminalError

SQLITE = {
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
"""By the beginning of SQLite's error name: extended names (SQLITE_IOERR_WRITE) add to it."""

POSTGRESQL = {
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
"""By the beginning of PostgreSQL's error code (its documentation, appendix A)."""

FAILURES = (SQLAlchemyError, sqlite3.Error, psycopg.Error)
"""What a database raises, through SQLAlchemy and past it."""

AWAY = "cannot be reached; see that the server runs and that LIMINAL_DATABASE_URL is right"


def place(url: URL) -> str:
    """What people call this database; never its password."""
    return f"The file {url.database}" if url.get_backend_name() == "sqlite" else f"The database {url.render_as_string()}"


def sentence(error: Exception, url: URL) -> LiminalError | None:
    """What went wrong, for people, from one of FAILURES. None: a fault of this program."""
    if isinstance(error, PoolTimeout):
        return LiminalError(f"{place(url)} is busy with other requests; try again in a moment.")
    original = error.orig if isinstance(error, DBAPIError) else error
    found = None
    if isinstance(original, sqlite3.Error):
        name = getattr(original, "sqlite_errorname", "")
        found = next((text for start, text in SQLITE.items() if name.startswith(start)), None)
    elif isinstance(original, psycopg.Error):
        state = original.sqlstate or ""
        found = next((text for start, text in POSTGRESQL.items() if state.startswith(start)), None)
        if not state and isinstance(original, (psycopg.OperationalError, psycopg.InterfaceError)):
            found = _connecting(str(original))
    return None if found is None else LiminalError(f"{place(url)} {found}.")


def _connecting(text: str) -> str:
    """libpq gives no code while it connects: the server's own words tell (they are English where its messages are)."""
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
            return POSTGRESQL[state]
    return AWAY
