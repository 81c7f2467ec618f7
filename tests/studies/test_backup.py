"""A store in a file and back: everything, from and to both databases, while people answer, or nothing at all."""

import json
import os
import shutil
import sqlite3
import stat
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Column, Integer, MetaData, Table, Text, select

from core.__main__ import main
from core.errors import LiminalError
from core.studies.ratings import Rating
from core.studies.storage import backup as backups
from core.studies.storage import database
from core.studies.storage.backup import restore_backup, write_backup
from core.studies.storage.tables import METADATA
from core.studies.store import Store
from tests.studies.test_store_crowds import CHILDREN, answer_until_killed, make, rating


def every_row(store):
    """Everything in the store but the numbers that the database gives."""
    rows = {}
    with store._database.reading() as connection:
        for table in METADATA.sorted_tables:
            columns = [column for column in table.columns if column is not table.autoincrement_column]
            found = connection.execute(select(*columns).order_by(*table.primary_key.columns)).all()
            rows[table.name] = [tuple(row) for row in found]
    return rows


def filled(store):
    """A study with everything in it that is hard to keep."""
    make(store, "faces 👩‍🚀 of ضرب", 6)
    person = store.enrol("faces 👩‍🚀 of ضرب", lambda study, stimuli, *_: [each.stimulus for each in stimuli], rater="Zoë 👨‍👩‍👧")
    moment = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)
    store.update(person.code, consented_at=moment, demographics={"age": 33, "said": "\x00 \ud800 '\""}, strategy="the eyes\n")
    given = [rating(person, stimulus) for stimulus in person.trials]
    odd = {"session": "tab ", "reaction_time_ms": 0.1 + 0.2, "created_at": moment}
    given[0] = Rating(person.study, person.rater, person.trials[0], "similarity", "0.1", **odd)
    store.save(given)
    gone = store.enrol("faces 👩‍🚀 of ضرب", lambda study, stimuli, *_: [stimuli[0].stimulus])
    store.forget(person.study, gone.rater, "asked for it")
    make(store, "untouched", 3)
    return person


@pytest.fixture(params=["sqlite", "postgresql"])
def elsewhere(request, tmp_path):
    """A second empty store, once on each database."""
    url = f"sqlite:///{tmp_path / 'elsewhere.sqlite'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("new_postgresql")
    return url


def test_a_backup_brings_everything_back_on_either_database(tmp_path, elsewhere):
    first = Store(f"sqlite:///{tmp_path / 'ratings.sqlite'}")
    person = filled(first)
    before = every_row(first)
    made = write_backup(tmp_path / "b.sqlite", f"sqlite:///{tmp_path / 'ratings.sqlite'}")
    assert (made.studies, made.people, made.answers) == (2, 1, 6)
    assert restore_backup(tmp_path / "b.sqlite", elsewhere) == made
    there = Store(elsewhere)
    assert every_row(there) == before
    # and out of that database again
    assert write_backup(tmp_path / "again.sqlite", elsewhere) == made
    third = f"sqlite:///{tmp_path / 'third.sqlite'}"
    restore_backup(tmp_path / "again.sqlite", third)
    last = Store(third)
    assert every_row(last) == before
    # what the database numbers itself goes on, and the same people go on answering
    there.forget(person.study, person.rater, "later")
    assert [each.reason for each in there.deletions(person.study)] == ["asked for it", "later"]
    assert last.rater(person.code).rater == person.rater
    for store in (first, there, last):
        store.dispose()


def test_the_file_is_one_whole_file_for_its_owner_alone(store, store_url, tmp_path):
    filled(store)
    target = tmp_path / "kept" / "b.sqlite"
    write_backup(target, store_url)
    assert [each.name for each in target.parent.iterdir()] == ["b.sqlite"]
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    with closing(sqlite3.connect(f"file:{target}?mode=ro", uri=True)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)


def test_backups_while_people_answer_hold_every_answer_acknowledged_before(store, store_url, tmp_path):
    people = 4
    make(store, "busy", 400)
    raters = [store.enrol("busy", lambda study, stimuli, *_: [each.stimulus for each in stimuli]) for _ in range(people)]
    logs = tmp_path / "acknowledged"
    logs.mkdir()
    child = CHILDREN.Process(target=answer_until_killed, args=(store_url, [rater.code for rater in raters], str(logs)))
    child.start()

    def acknowledged():
        return {line for log in logs.iterdir() for line in log.read_text().split("\n") if len(line) == 36}

    made = []
    until = time.monotonic() + 60
    for number in range(3):
        least = len(made[-1][0]) + 10 if made else 10
        while len(acknowledged()) < least and child.is_alive() and time.monotonic() < until:
            time.sleep(0.005)
        before, target = acknowledged(), tmp_path / f"b{number}.sqlite"
        held = write_backup(target, store_url)
        made.append((before, target, held.answers, len(acknowledged())))
    assert child.is_alive(), "people answered all the time"
    child.kill()
    child.join()
    for before, target, held, after in made:
        url = f"sqlite:///{tmp_path / 'restored.sqlite'}"
        restore_backup(target, url, replace=True)
        restored = Store(url)
        table = restored.ratings("busy")
        assert before <= set(table["rating_id"]), "an acknowledged answer is not in the backup"
        assert len(before) <= held == len(table) == table["rating_id"].nunique() <= after + people
        # one moment: of each person the answers up to some trial, none without those before it
        for rater in restored.raters("busy"):
            trials = sorted(table.loc[table["rater"] == rater.rater, "trial"])
            assert trials == list(range(len(trials)))
        with restored._database.reading() as connection:
            assert connection.exec_driver_sql("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall() == []
        restored.dispose()
    assert made[0][2] < made[-1][2]


def test_writers_of_this_process_are_not_kept_waiting_by_a_backup(tmp_path, monkeypatch):
    url = f"sqlite:///{tmp_path / 'ratings.sqlite'}"
    store = Store(url)
    make(store)
    person = store.enrol("crowd", lambda study, stimuli, *_: [each.stimulus for each in stimuli])
    saved = []

    def while_copying(self, message, fraction):
        if message.startswith("Copying") and len(saved) < 10:
            saved.extend(store.save([rating(person, person.trials[len(saved)])]))

    monkeypatch.setattr(backups, "PAGES", 1)
    monkeypatch.setattr(backups.Progress, "stage", while_copying)
    held = write_backup(tmp_path / "b.sqlite", url)
    assert len(saved) == 10, "answers were saved between two pages"
    assert held.answers == 0, "and the backup is of the moment at which it began"
    assert len(store.ratings("crowd")) == 10
    store.dispose()


def test_nothing_is_overwritten_unless_that_is_said(store, store_url, tmp_path):
    filled(store)
    target = tmp_path / "b.sqlite"
    write_backup(target, store_url)
    content = target.read_bytes()
    with pytest.raises(LiminalError, match="There is a file"):
        write_backup(target, store_url)
    assert target.read_bytes() == content
    store.delete("untouched")
    before = every_row(store)
    with pytest.raises(LiminalError, match="holds 1 studies with 6 answers already, so nothing was restored"):
        restore_backup(target, store_url)
    assert every_row(store) == before
    assert restore_backup(target, store_url, replace=True).studies == 2
    assert {study.name for study in store.studies()} == {"faces 👩‍🚀 of ضرب", "untouched"}
    assert write_backup(target, store_url, replace=True).studies == 2


def test_the_store_is_no_backup_of_itself(tmp_path):
    file = tmp_path / "ratings.sqlite"
    Store(f"sqlite:///{file}").dispose()
    for task in (write_backup, restore_backup):
        with pytest.raises(LiminalError, match="is the store itself"):
            task(file, f"sqlite:///{file}", replace=True)


def damaged(name):
    """What a file may have become, or been all the time."""

    def changed(sql):
        def change(path):
            with closing(sqlite3.connect(path)) as connection:
                connection.executescript(sql)

        return change

    return {
        "cut off": lambda path: path.write_bytes(path.read_bytes()[:30_000]),
        "overwritten": lambda path: path.write_bytes(path.read_bytes()[:8192] + os.urandom(8192) + path.read_bytes()[16384:]),
        "no database": lambda path: path.write_bytes(b"rating_id,study\n"),
        "empty": lambda path: path.write_bytes(b""),
        "another database": lambda path: (path.unlink(), changed("CREATE TABLE t (x)")(path)),
        "a trigger": changed("CREATE TRIGGER t AFTER INSERT ON studies BEGIN DELETE FROM ratings; END"),
        "a view": changed("ALTER TABLE deletions RENAME TO d; CREATE VIEW deletions AS SELECT * FROM d"),
        "of nobody's study": changed("UPDATE ratings SET study = 'none'"),
        "a newer version": changed("UPDATE liminal_version SET version_num = 'v9999'"),
        "no JSON": changed("UPDATE raters SET trials = 'x'"),
        "no date": changed("UPDATE ratings SET created_at = 'yesterday'"),
    }[name]


@pytest.mark.parametrize(
    "name",
    [
        *("cut off", "overwritten", "no database", "empty", "another database", "a trigger", "a view", "of nobody's study"),
        *("a newer version", "no JSON", "no date"),
    ],
)
def test_a_damaged_backup_leaves_the_store_as_it_was(tmp_path, name):
    url = f"sqlite:///{tmp_path / 'ratings.sqlite'}"
    store = Store(url)
    filled(store)
    target = tmp_path / "b.sqlite"
    write_backup(target, url)
    damaged(name)(target)
    content, before = target.read_bytes(), every_row(store)
    with pytest.raises(LiminalError, match=r"^[^\n]*\.$"):
        restore_backup(target, url, replace=True)
    assert every_row(store) == before
    assert target.read_bytes() == content, "the file itself is only read"
    store.dispose()


NEXT = """
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "9999", "{head}", None, None


def upgrade():
    op.create_table("appeals", sa.Column("id", sa.Integer, primary_key=True), sa.Column("said", sa.Text))
    with op.batch_alter_table("studies") as studies:
        studies.add_column(sa.Column("lab", sa.Text, nullable=False, server_default="none"))
"""


@pytest.fixture
def later(tmp_path, monkeypatch):
    """Become the next version of the program, whose tables have one more and a column more; called again: this one again."""
    head = ScriptDirectory.from_config(database.alembic_configuration()).get_current_head()
    folder = tmp_path / "migrations"
    shutil.copytree(database.MIGRATIONS_FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "versions" / "v9999_next.py").write_text(NEXT.format(head=head))
    appeals = Table("appeals", MetaData(), Column("id", Integer, primary_key=True), Column("said", Text))

    def become():
        monkeypatch.setattr(database, "MIGRATIONS_FOLDER", folder)
        monkeypatch.setattr(backups, "TABLES", [*backups.TABLES, appeals])

    return become


def test_a_backup_of_the_version_before_is_brought_to_todays_tables(tmp_path, elsewhere, later):
    url = f"sqlite:///{tmp_path / 'ratings.sqlite'}"
    store = Store(url)
    filled(store)
    before, target = every_row(store), tmp_path / "b.sqlite"
    made = write_backup(target, url)
    store.dispose()
    content = target.read_bytes()
    later()
    assert restore_backup(target, elsewhere) == made
    assert target.read_bytes() == content, "the file itself is only read"
    there = Store(elsewhere)
    assert every_row(there) == before
    with there._database.reading() as connection:
        assert connection.exec_driver_sql(f"SELECT version_num FROM {database.VERSION_TABLE}").scalar() == "9999"
        assert connection.exec_driver_sql("SELECT count(*) FROM appeals").scalar() == 0
        assert set(connection.exec_driver_sql("SELECT lab FROM studies").scalars()) == {"none"}
    there.dispose()


def test_a_backup_of_a_newer_version_is_refused(tmp_path, later):
    """It has tables that this version does not know, and lacks none that it knows."""
    url, newer = f"sqlite:///{tmp_path / 'ratings.sqlite'}", f"sqlite:///{tmp_path / 'newer.sqlite'}"
    store = Store(url)
    filled(store)
    before = every_row(store)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "MIGRATIONS_FOLDER", database.MIGRATIONS_FOLDER)
        patch.setattr(backups, "TABLES", backups.TABLES)
        later()
        write_backup(tmp_path / "newer-backup.sqlite", newer)
    with pytest.raises(LiminalError, match=r"^newer-backup.sqlite was written by a newer version of Liminal, .*update this one\.$"):
        restore_backup(tmp_path / "newer-backup.sqlite", url, replace=True)
    assert every_row(store) == before
    store.dispose()


def test_a_backup_whose_tables_are_not_those_of_its_version_is_refused(tmp_path, later):
    """It says that it is of the version before, and has a table of this one already."""
    url, target = f"sqlite:///{tmp_path / 'ratings.sqlite'}", tmp_path / "b.sqlite"
    store = Store(url)
    filled(store)
    write_backup(target, url)
    with closing(sqlite3.connect(target)) as connection:
        connection.execute("CREATE TABLE appeals (x)")
    before = every_row(store)
    later()
    with pytest.raises(LiminalError, match=r"^b.sqlite cannot be brought to this version's tables, .*another backup\.$"):
        restore_backup(target, f"sqlite:///{tmp_path / 'other.sqlite'}")
    assert every_row(store) == before
    store.dispose()


def test_a_restore_that_fails_in_the_middle_changes_nothing(store, store_url, tmp_path, monkeypatch):
    filled(store)
    target = tmp_path / "b.sqlite"
    write_backup(target, store_url)
    store.delete("untouched")
    before = every_row(store)

    def fails(self, message, fraction):
        if fraction > 0.5:
            raise KeyboardInterrupt

    monkeypatch.setattr(backups, "ROWS", 2)
    monkeypatch.setattr(backups.Progress, "stage", fails)
    with pytest.raises(KeyboardInterrupt):
        restore_backup(target, store_url, replace=True)
    assert every_row(store) == before


def test_the_commands(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("LIMINAL_DATABASE_URL", raising=False)
    monkeypatch.setenv("LIMINAL_DATA_DIR", str(tmp_path / "one"))
    store = Store()
    filled(store)
    store.dispose()
    target = str(tmp_path / "b.sqlite")
    assert main(["study", "backup", target]) == 0
    assert "2 studies with 6 answers, 1 person enrolled" in capsys.readouterr().out
    monkeypatch.setenv("LIMINAL_DATA_DIR", str(tmp_path / "two"))
    assert main(["study", "restore", target]) == 0
    assert "Restored 2 studies with 6 answers" in capsys.readouterr().out
    assert main(["study", "restore", target]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert main(["study", "restore", str(tmp_path / "none")]) == 2
    assert main(["study", "backup", "/proc/none/b.sqlite"]) == 2
    assert main(["study", "list", "--json"]) == 0
    assert sum(each["answers"] for each in json.loads(capsys.readouterr().out)) == 6
    assert [each.name for each in Path(tmp_path).iterdir() if each.name.startswith(".")] == []
