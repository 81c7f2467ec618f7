"""What lies in a data folder, so that a test can say that nothing changed."""

import hashlib
import sqlite3
from contextlib import closing


def everything_on(folder):
    """path -> hash of its content; of the store the rows, since SQLite may tidy its file while it reads."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.name.endswith(("-wal", "-shm", ".log", "log.txt")):
            continue
        if path.suffix == ".sqlite":
            with closing(sqlite3.connect(path)) as connection:
                found[path.name] = list(connection.iterdump())
        else:
            found[str(path.relative_to(folder))] = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
    return found
