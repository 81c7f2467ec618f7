"""What goes wrong with a database is one sentence, and nothing that was saved is lost."""

import os
import sqlite3
import stat
import tempfile
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import event, text

from core.data_folder import data_folder
from core.errors import LiminalError
from core.studies.ratings import Rating
from core.studies.storage import database
from core.studies.storage.database import VERSION_TABLE
from core.studies.storage.tables import METADATA
from core.studies.store import Store
from core.studies.study import RatingPlan, Stimulus, Study

NOBODY = 65534


def one_sentence(error):
    message = str(error.value)
    assert "\n" not in message
    assert message.endswith(".")
    assert len(message) < 300
    return message


def fill(store, answers=3):
    store.create(Study("kept", RatingPlan("identity", 5)), [Stimulus(f"s{number}", ("a", "b")) for number in range(200)])
    rater = store.enrol("kept", lambda study, stimuli, *_: [each.stimulus for each in stimuli])
    for number in range(answers):
        store.save([rate(rater, number)])
    return rater


def rate(rater, number, **fields):
    return Rating(rater.study, rater.rater, f"s{number}", "identity", "1", **fields)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "ratings.sqlite"


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.3)


def test_the_migrations_make_the_tables_that_the_code_knows(store):
    with store._database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE, "compare_type": True})
        assert compare_metadata(context, METADATA) == []


def test_a_newer_schema_is_left_alone(store, store_url):
    fill(store)
    with store._database.writing() as connection:
        version = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar_one()
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    before = store.ratings("kept")
    with pytest.raises(LiminalError, match="newer") as error:
        Store(store_url)
    assert "update" in one_sentence(error)
    with store._database.writing() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '{version}'"))
    reopened = Store(store_url)
    assert reopened.ratings("kept").equals(before)
    reopened.dispose()


def test_another_programs_tables_are_left_alone(file):
    with sqlite3.connect(file) as other:
        other.execute("CREATE TABLE ratings (stars INTEGER)")
        other.execute("INSERT INTO ratings VALUES (5)")
    other.close()
    before = file.read_bytes()
    with pytest.raises(LiminalError, match="another program") as error:
        Store(f"sqlite:///{file}")
    one_sentence(error)
    assert file.read_bytes() == before


def test_no_database_file_is_left_alone(file):
    file.write_text("name,stars\nAlice,5\n" * 100)
    with pytest.raises(LiminalError, match="is not a database") as error:
        Store(f"sqlite:///{file}")
    one_sentence(error)
    assert file.read_text() == "name,stars\nAlice,5\n" * 100


def test_a_locked_file_says_so_and_works_again_afterwards(file, impatient):
    store = Store(f"sqlite:///{file}")
    rater = fill(store)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    answer = rate(rater, 3)
    for call in (
        lambda: store.save([answer]),
        lambda: store.enrol("kept", lambda *_: []),
        lambda: store.forget("kept", rater.rater),
    ):
        with pytest.raises(LiminalError, match="locked") as error:
            call()
        one_sentence(error)
    assert len(store.ratings("kept")) == 3, "reading goes on"
    other.execute("ROLLBACK")
    other.close()
    assert store.save([answer]) == [answer.rating_id]
    store.dispose()


def test_a_locked_new_file_says_so(file, impatient):
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(LiminalError, match="locked") as error:
        Store(f"sqlite:///{file}")
    one_sentence(error)
    other.close()
    Store(f"sqlite:///{file}").dispose()


def test_a_long_task_of_this_process_does_not_block_for_ever(store, impatient):
    rater = fill(store)
    answer = rate(rater, 4)
    with store._database.lock:
        for call in (lambda: store.save([answer]), lambda: store.update(rater.code, strategy="x")):
            with pytest.raises(LiminalError, match="try again") as error:
                call()
            one_sentence(error)
    assert store._intake._waiting == []
    assert store.save([answer]) == [answer.rating_id]


def test_a_full_disk_keeps_what_was_acknowledged(file):
    store = Store(f"sqlite:///{file}")
    rater = fill(store)
    pages = sqlite3.connect(file).execute("PRAGMA page_count").fetchone()[0]
    store.dispose()

    def no_room(connection, entry):
        connection.execute(f"PRAGMA max_page_count = {pages + 3}")

    event.listen(store._database.engine, "connect", no_room)
    acknowledged = []

    def save_all():
        for number in range(3, 200):
            acknowledged.extend(store.save([rate(rater, number, presented={"device": "x" * 500})]))

    with pytest.raises(LiminalError, match="disk is full") as error:
        save_all()
    one_sentence(error)
    assert len(acknowledged) > 1
    assert len(store.ratings("kept")) == 3 + len(acknowledged)
    event.remove(store._database.engine, "connect", no_room)
    store.dispose()
    answer = rate(rater, 199)
    assert store.save([answer]) == [answer.rating_id], "once there is room, it goes on"
    store.dispose()


def test_a_damaged_file_says_so(file):
    store = Store(f"sqlite:///{file}")
    rater = fill(store, 150)
    store.dispose()
    whole = file.read_bytes()
    file.write_bytes(whole[:4096] + os.urandom(len(whole) - 4096))

    def use():
        opened = Store(f"sqlite:///{file}")
        opened.ratings("kept")
        opened.save([rate(rater, 180)])

    with pytest.raises(LiminalError, match="damaged") as error:
        use()
    one_sentence(error)


@pytest.fixture
def as_nobody():
    """A folder of our own to take rights away in, and, for root, who may do everything, another user's eyes."""
    folder = Path(tempfile.mkdtemp(prefix="liminal-rights-"))
    root = os.geteuid() == 0
    folder.chmod(0o777)
    if root:
        os.chown(folder, NOBODY, NOBODY)
        os.seteuid(NOBODY)
    yield folder
    if root:
        os.seteuid(0)
    folder.chmod(0o777)
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()


def test_a_read_only_file_says_so(as_nobody):
    file = as_nobody / "ratings.sqlite"
    store = Store(f"sqlite:///{file}")
    rater = fill(store)
    store.dispose()
    file.chmod(stat.S_IRUSR)
    with pytest.raises(LiminalError, match=r"read-only|rights|may write") as error:
        Store(f"sqlite:///{file}").save([rate(rater, 5)])
    one_sentence(error)
    file.chmod(stat.S_IRUSR | stat.S_IWUSR)
    store = Store(f"sqlite:///{file}")
    assert len(store.ratings("kept")) == 3
    store.dispose()


def test_a_read_only_or_missing_folder_says_so(as_nobody, monkeypatch):
    with pytest.raises(LiminalError, match="folder exists") as error:
        Store(f"sqlite:///{as_nobody}/missing/ratings.sqlite")
    one_sentence(error)
    as_nobody.chmod(0o555)
    with pytest.raises(LiminalError, match="may write") as error:
        Store(f"sqlite:///{as_nobody}/ratings.sqlite")
    one_sentence(error)
    monkeypatch.setenv("LIMINAL_DATA_DIR", str(as_nobody / "data"))
    monkeypatch.delenv("LIMINAL_DATABASE_URL", raising=False)
    with pytest.raises(LiminalError, match="LIMINAL_DATA_DIR") as error:
        Store()
    one_sentence(error)


@pytest.mark.parametrize(
    "url", ["ratings.sqlite", "mysql://a@b/c", "postgresql://host", "sqlite://", "http://x", "postgresql://h:port/x"]
)
def test_a_wrong_address_says_what_a_right_one_looks_like(url, monkeypatch):
    monkeypatch.setenv("LIMINAL_DATABASE_URL", url)
    with pytest.raises(LiminalError, match="postgresql://user:password@host/name") as error:
        Store()
    assert len(str(error.value)) < 300


def test_a_server_that_is_away_or_refuses_says_so(postgresql):
    addresses = {
        "postgresql://me:secret@127.0.0.1:1/x": "cannot be reached",
        "postgresql://me:secret@/x?host=/nowhere": "cannot be reached",
        postgresql.replace("/postgres?", "/nothing?"): "does not exist",
        postgresql.replace("liminal@", "stranger:secret@"): "refuses this user",
    }
    for url, words in addresses.items():
        with pytest.raises(LiminalError, match=words) as error:
            Store(url)
        assert "secret" not in one_sentence(error)


def test_a_user_without_rights_is_told(new_postgresql):
    with psycopg.connect(new_postgresql, autocommit=True) as server:
        server.execute("DO $$ BEGIN CREATE ROLE reader LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    with pytest.raises(LiminalError, match="grant the rights") as error:
        Store(new_postgresql.replace("liminal@", "reader@"))
    one_sentence(error)
    store = Store(new_postgresql)
    fill(store)
    with psycopg.connect(new_postgresql, autocommit=True) as server:
        server.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
    reader = Store(new_postgresql.replace("liminal@", "reader@"))
    assert len(reader.ratings("kept")) == 3
    with pytest.raises(LiminalError, match="grant the rights"):
        reader.forget("kept", "rater-0001")
    assert len(store.ratings("kept")) == 3
    reader.dispose()
    store.dispose()


def test_a_server_that_drops_all_connections_loses_nothing(new_postgresql):
    store = Store(new_postgresql)
    rater = fill(store)
    with psycopg.connect(new_postgresql, autocommit=True) as server:
        server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    answer = rate(rater, 3)
    assert store.save([answer]) == [answer.rating_id], "the next request opens a new connection"
    assert len(store.ratings("kept")) == 4
    store.dispose()


def test_the_data_folder_is_the_users_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("LIMINAL_DATA_DIR", str(tmp_path / "my data %20"))
    monkeypatch.delenv("LIMINAL_DATABASE_URL", raising=False)
    assert data_folder() == tmp_path / "my data %20"
    assert stat.S_IMODE(data_folder().stat().st_mode) == 0o700
    store = Store()
    fill(store)
    assert (tmp_path / "my data %20" / "ratings.sqlite").exists()
    store.dispose()
    monkeypatch.delenv("LIMINAL_DATA_DIR")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert data_folder().is_relative_to(tmp_path)
