"""The tables of this version: whether a database has them, and the migrations that bring them."""

from __future__ import annotations

import threading
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, inspect, text

from core.errors import LiminalError
from core.studies.storage import failures
from core.studies.storage.tables import METADATA

FOLDER = Path(__file__).parents[1] / "migrations"
VERSION_TABLE = "liminal_version"
"""Where Alembic notes the version; not its usual name, since a PostgreSQL database may hold another program's tables too."""

_one_at_a_time = threading.Lock()  # Alembic's context is global


def configuration() -> Config:
    """Alembic's settings, without a file."""
    found = Config()
    found.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    return found


def known_versions() -> set[str]:
    """Those of the tables from the first to this one."""
    return {script.revision for script in ScriptDirectory.from_config(configuration()).walk_revisions()}


def migrate(connection: Connection, url: URL, *, look: bool = False) -> bool:
    """Bring the database to this version's tables -> whether it has them. look: change nothing.

    Raises LiminalError for tables of a newer version or of another program.
    """
    scripts = ScriptDirectory.from_config(configuration())
    tables = set(inspect(connection).get_table_names())
    version = connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}")) if VERSION_TABLE in tables else None
    if version is None and tables & set(METADATA.tables):
        raise LiminalError(f"{failures.place(url)} belongs to another program; name another one by LIMINAL_DATABASE_URL.")
    if version is not None and version not in known_versions():
        raise LiminalError(
            f"{failures.place(url)} was written by a newer version of Liminal; update this one, nothing was changed."
        )
    if version == scripts.get_current_head():
        return True
    if not look:
        settings = configuration()
        settings.attributes["connection"] = connection
        with _one_at_a_time:
            command.upgrade(settings, "head")
    return not look
