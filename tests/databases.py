"""A PostgreSQL server of our own that lives as long as the tests: fixtures for the tests of the store and of its pages."""

import itertools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import psycopg
import pytest

NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def postgresql():
    """The address of a private server: unix socket only, in a temporary folder, stopped at the end."""
    places = [Path(found).resolve().parent for found in (shutil.which("initdb"),) if found]
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if not places:
        reason = "PostgreSQL is not installed (Debian: apt-get install postgresql)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="liminal-pg-"))
    how = {"cwd": folder, "check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.STDOUT, "timeout": 60}
    if os.geteuid() == 0:  # the server refuses to run as root
        shutil.chown(folder, "postgres")
        how |= {
            "user": "postgres",
            "group": "postgres",
            "extra_groups": [],
            "env": {"PATH": os.environ["PATH"], "HOME": str(folder)},
        }
    initdb = ["initdb", "--auth=trust", "--username=liminal", "--encoding=UTF8", "--no-sync", "--locale=C.UTF-8", "data"]
    options = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c max_connections=200"
    start = ["pg_ctl", "-D", "data", "-w", "-l", "log", "-o", options, "start"]
    try:
        subprocess.run([str(places[0] / initdb[0]), *initdb[1:]], **how)
        subprocess.run([str(places[0] / start[0]), *start[1:]], **how)
        try:
            yield f"postgresql://liminal@/postgres?host={folder}"
        finally:
            subprocess.run([str(places[0] / "pg_ctl"), "-D", "data", "-w", "-m", "immediate", "stop"], **how)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def new_postgresql(postgresql):
    """The address of an empty database on that server."""
    name = f"liminal_{next(NUMBERS)}"
    with psycopg.connect(postgresql, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
        yield postgresql.replace("/postgres?", f"/{name}?")
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")
