"""Who comes, who stays and who goes: places, the target, names of participants, ways out; each on both databases."""

import dataclasses
import heapq
import io
import json
import random
import threading
import zipfile
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import text

from core.errors import LiminalError
from core.studies.exporting import tables
from core.studies.exporting.bundle import make_bundle
from core.studies.importing.bundles import import_bundle
from core.studies.library import Library
from core.studies.planning import assign_stimuli
from core.studies.ratings import Rating
from core.studies.recruitment import Participant, StudyFull, StudySettings, fill_destination, read_link
from core.studies.storage import database
from core.studies.storage.backup import restore_backup, write_backup
from core.studies.storage.tables import RATERS
from core.studies.store import Store
from core.studies.study import RatingPlan, Stimulus, Study

AGAIN = "open the study again from where you got the link"


def faces(count=12):
    return [Stimulus(f"s{number:02d}", (f"i{number}",)) for number in range(count)]


def make(store, name="study", trials=4, count=12, **settings):
    return store.create(Study(name, RatingPlan("emotion", trials), settings=StudySettings(**settings)), faces(count))


def answers(rater, trials):
    return [Rating(rater.study, rater.rater, name, "emotion", "fear") for name in trials]


def leave_for(store, rater, minutes):
    """The last sign of life of a rater is so long ago."""
    with store._database.writing() as connection:
        mine = RATERS.update().where(RATERS.c.code == rater.code)
        connection.execute(mine.values(seen_at=datetime.now(UTC) - timedelta(minutes=minutes)))


def finished_votes(store, name):
    done = {rater.rater for rater in store.raters(name) if rater.finished_at}
    table = store.ratings(name)
    counts = Counter(table.loc[table["rater"].isin(done), "stimulus"])
    return {stimulus.stimulus: counts[stimulus.stimulus] for stimulus in store.stimuli(name)}


# What a link says


@pytest.mark.parametrize(
    ("query", "setting", "name"),
    [
        ({"PROLIFIC_PID": "5f1", "STUDY_ID": "a", "SESSION_ID": "b"}, "", "5f1"),
        ({"assignmentId": "3XY", "hitId": "H", "workerId": "A1B2"}, "", "A1B2"),
        ({"survey_code": "4711"}, "", "4711"),
        ({"utm_source": "mail"}, "", ""),
        ({"id": "7", "prolific_pid": "5f1"}, "", "5f1"),
        ({"utm_source": "mail", "mine": "ann@example.org"}, "mine", "ann@example.org"),
        ({}, "", ""),
    ],
)
def test_every_parameter_is_kept_and_one_names_the_participant(query, setting, name):
    link = {"study": ["secret"], "code": ["c"], **{key: [value] for key, value in query.items()}}
    assert read_link(link, StudySettings(participant_parameter=setting)) == Participant(name, query)


@pytest.mark.parametrize(
    ("query", "setting", "sentence"),
    [
        ({"PROLIFIC_PID": ["a", "b"]}, "", f"This link has 'PROLIFIC_PID' 2 times, so that nobody can tell which counts; {AGAIN}."),
        ({"study": ["a", "a"]}, "", f"This link has 'study' 2 times, so that nobody can tell which counts; {AGAIN}."),
        ({"x": ["y" * 10_000]}, "", f"This link's 'x' has 10,000 characters, more than the 500 that are kept; {AGAIN}."),
        ({"x" * 10_000: ["y"]}, "", f"This link's '{'x' * 40}' has 10,000 characters, more than the 500 that are kept; {AGAIN}."),
        ({f"p{n}": ["y"] for n in range(31)}, "", f"This link has 31 parameters, more than the 30 that are kept; {AGAIN}."),
        (
            {"pid": ["<script>alert(1)</script>"]}, "",
            f"This link's 'pid' is no participant's name, which has 1 to 200 letters, digits or - _ . @; {AGAIN}.",
        ),
        (
            {"PROLIFIC_PID": ["{{%PROLIFIC_PID%}}"]}, "",
            f"This link's 'PROLIFIC_PID' is no participant's name, which has 1 to 200 letters, digits or - _ . @; {AGAIN}.",
        ),
        ({"pid": ["7"]}, "mine", f"This link lacks 'mine', which says who takes part; {AGAIN}."),
    ],
)  # fmt: skip
def test_links_that_make_no_sense_get_one_sentence(query, setting, sentence):
    with pytest.raises(LiminalError) as error:
        read_link(query, StudySettings(participant_parameter=setting))
    assert str(error.value) == sentence


# Where people are sent


def test_ways_out_are_filled_in_percent_encoded():
    settings = StudySettings(finished=" HTTPS://panel.example/done?cc=C1&who={participant}&s={SESSION_ID}&x={none} ", full="FULL-1")
    assert settings.finished.startswith("https://panel.example/")
    ann = Participant("a&b=ü/..", {"SESSION_ID": "javascript:#1"})
    assert fill_destination(settings.finished, ann) == (
        "https://panel.example/done?cc=C1&who=a%26b%3D%C3%BC%2F..&s=javascript%3A%231&x="
    )
    assert fill_destination(settings.full, ann) == "FULL-1"
    assert StudySettings.from_dict(settings.to_dict()) == settings


@pytest.mark.parametrize(
    "destination",
    ["javascript:alert(1)", "JavaScript:a(1)", "http://panel.example", "data:text/html,x", "//panel.example", "https://",
     "https://user:secret@panel.example", "https://{participant}.example", "https://a.example/<b>", "https://a.example/ b",
     "https://a.example:99999/", "https://a.example/\u202e", "https://a.example/" + "x" * 2000, "java\tscript:a(1)", "two words"],
)  # fmt: skip
def test_what_is_no_place_to_send_people_to_is_refused(destination):
    with pytest.raises(LiminalError, match="is no place to send people to; give an address that begins with https://, or a code"):
        StudySettings(declined=destination)


def test_settings_that_make_no_sense_get_one_sentence(store):
    for values, words in (
        ({"target": 0}, "A study ends after 1 to 100,000 finished people"),
        ({"timeout_minutes": 0}, "A place is kept for 1 to 43,200 minutes"),
        ({"participant_parameter": "study"}, "'study' cannot name the participant"),
        ({"participant_parameter": "a b"}, "'a b' cannot name the participant"),
        ({"finished": "https://a.example/{}"}, "has braces that name no parameter"),
    ):
        with pytest.raises(LiminalError, match=words) as error:
            StudySettings(**values)
        assert str(error.value).count(".") >= 1
    shorter = StudySettings(timeout_minutes=5)
    long = RatingPlan("emotion", 390, 10)
    with pytest.raises(LiminalError, match="A time-out of 5 min is shorter than the study, which takes about 15 min; choose 15 or"):
        store.create(Study("long", long, settings=shorter), faces())
    store.create(Study("long", long), faces())
    with pytest.raises(LiminalError, match="choose 15 or more"):
        store.change("long", settings=shorter)
    assert store.study("long").settings == StudySettings()


# One run a participant


def test_a_participant_has_one_run_and_all_that_the_link_said_is_kept(store):
    make(store)
    ann = Participant("ann", {"PROLIFIC_PID": "ann", "SESSION_ID": "1", "odd": "<b>\x00ü"})
    rater = store.enrol("study", assign_stimuli, participant=ann)
    assert store.enrol("study", assign_stimuli, participant=Participant("ann", {"SESSION_ID": "2"})) == rater
    assert store.find_participant("study", "ann") == rater
    assert store.find_participant("study", "Ann") is None
    nameless = [store.enrol("study", assign_stimuli, participant=Participant("", {"utm": "x"})) for _ in range(2)]
    bare = store.enrol("study", assign_stimuli, participant=Participant())
    assert [(each.rater, each.participant, each.parameters) for each in store.participants("study")] == [
        (rater.rater, "ann", dict(ann.parameters)),
        *((each.rater, "", {"utm": "x"}) for each in nameless),
    ]
    assert bare.rater == "rater-0004"
    store.change("study", closed=True)
    assert store.enrol("study", assign_stimuli, participant=ann) == rater, "who is in comes back to a closed study, too"


def test_a_participant_in_many_tabs_at_once_enrols_once(store, store_url):
    make(store)
    seen = []

    def tab():
        own = Store(store_url)
        seen.append(own.enrol("study", assign_stimuli, participant=Participant("ann", {"pid": "ann"})))
        own.dispose()

    threads = [threading.Thread(target=tab) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 8
    assert len({rater.code for rater in seen}) == len(store.raters("study")) == 1


def test_names_leave_with_the_rater_and_with_one_command(store, store_url):
    make(store)
    people = [store.enrol("study", assign_stimuli, participant=Participant(f"Zaphod{n}", {"pid": f"Zaphod{n}"})) for n in range(3)]
    store.save([rating for rater in people for rating in answers(rater, rater.trials)])
    store.forget("study", people[0].rater)
    assert [each.participant for each in store.participants("study")] == ["Zaphod1", "Zaphod2"]
    with pytest.raises(LiminalError, match="is open: without their names people could take part twice; close it first"):
        store.drop_participants("study")
    store.change("study", closed=True)
    assert store.drop_participants("study", "paid") == 2
    assert store.drop_participants("study") == 0
    assert store.participants("study") == []
    assert len(store.ratings("study")) == 8
    assert [(each.what, each.reason) for each in store.deletions("study")] == [("rater", ""), ("participants", "paid")]
    if store_url.startswith("sqlite"):
        for file in Path(store_url.removeprefix("sqlite:///")).parent.iterdir():
            assert b"Zaphod" not in file.read_bytes(), f"{file.name} still has a name"
    store.delete("study")


# Places


def test_a_place_is_kept_for_a_while_and_then_given_to_somebody_else(store):
    make(store, target=3, timeout_minutes=30)
    first, second, third = (store.enrol("study", assign_stimuli) for _ in range(3))
    with pytest.raises(StudyFull, match="Every place of this study is taken"):
        store.enrol("study", assign_stimuli)
    store.save(answers(first, first.trials[:2]))
    for rater, minutes in ((first, 29), (second, 31)):
        leave_for(store, rater, minutes)
    assert dataclasses.astuple(store.participation("study")) == (3, 0, 0, 0, 1, 2)
    other = store.enrol("study", assign_stimuli)
    assert sorted(other.trials) == sorted(second.trials), "what the one who left was to be asked is asked of the next"
    assert store.rater(second.code).released_at is not None
    with pytest.raises(LiminalError, match="somebody else got your place; reload this page"):
        store.save(answers(second, second.trials[:1]))
    for leave in (store.resume, store.finish):
        with pytest.raises(StudyFull):
            leave(second.code)
    store.save(answers(first, first.trials[2:]))  # a sign of life
    leave_for(store, other, 31)
    assert store.resume(second.code).released_at is None, "a place has become free meanwhile"
    store.save(answers(second, second.trials))
    for rater in (first, second, third):
        assert store.finish(rater.code, "eyes").strategy == "eyes"
    assert store.study("study").closed
    assert store.finish(first.code, "again").strategy == "eyes"
    assert dataclasses.astuple(store.participation("study")) == (4, 3, 0, 0, 1, 0)


def test_a_place_is_free_again_when_somebody_is_screened_out_or_forgotten(store):
    make(store, count=8, target=2)
    first, second = store.enrol("study", assign_stimuli), store.enrol("study", assign_stimuli)
    assert store.screen_out(first.code).screened_out_at is not None
    store.screen_out(first.code)
    third = store.enrol("study", assign_stimuli)
    assert sorted(third.trials) == sorted(first.trials)
    with pytest.raises(LiminalError, match="cannot take part"):
        store.save(answers(first, first.trials[:1]))
    assert store.finish(first.code).finished_at is None
    store.forget("study", first.rater)  # its place was given back before
    store.forget("study", second.rater)
    fourth = store.enrol("study", assign_stimuli)
    assert sorted(fourth.trials) == sorted(second.trials)
    store.finish(third.code)
    assert store.screen_out(third.code).screened_out_at is None, "who has finished has finished"


def test_those_who_leave_before_they_enrol_are_counted_and_nothing_else_is_kept(store):
    make(store)
    for departure, step in (("declined", 1), ("declined", 1), ("declined", -1), ("screened_out", 1), ("screened_out", -1),
                            ("screened_out", -1), ("screened_out", 1)):  # fmt: skip
        store.count_departure("study", departure, step)
    assert dataclasses.astuple(store.participation("study")) == (0, 0, 1, 1, 0, 0)


def test_the_target_is_a_promise_to_those_who_take_part(store):
    make(store)
    people = [store.enrol("study", assign_stimuli) for _ in range(5)]
    for rater in people[:2]:
        store.finish(rater.code)
    with pytest.raises(LiminalError, match="2 people have finished already; ask for more than that, or close the study"):
        store.change("study", settings=StudySettings(target=2))
    with pytest.raises(LiminalError, match=r"2 people have finished and 3 are taking part.*ask for 5 or more"):
        store.change("study", settings=StudySettings(target=4))
    store.change("study", settings=StudySettings(target=5))
    for rater in people[2:]:
        store.finish(rater.code)
    assert store.study("study").closed
    with pytest.raises(
        LiminalError, match="5 people have finished, as many as are wanted; ask for more than that to open it again"
    ):
        store.change("study", closed=False)
    store.change("study", closed=False, settings=StudySettings(target=6))
    store.enrol("study", assign_stimuli)


@pytest.mark.parametrize("target", [50, 49])
def test_fifty_finish_at_once_and_the_study_closes_exactly_at_its_target(store, store_url, target):
    make(store, target=50)
    people = [store.enrol("study", assign_stimuli) for _ in range(50)]
    if target < 50:  # as if fewer had been wanted from the start: the last one has no place
        with store._database.writing() as connection:
            connection.execute(text("UPDATE studies SET settings = :settings"), {"settings": f'{{"target": {target}}}'})
    outcomes = []
    start = threading.Barrier(50)

    def finish(code, opened):
        start.wait()
        try:
            opened.finish(code)
            outcomes.append("finished")
        except StudyFull:
            outcomes.append("full")

    servers = [Store(store_url), Store(store_url)]
    threads = [threading.Thread(target=finish, args=(rater.code, servers[n % 2])) for n, rater in enumerate(people)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for server in servers:
        server.dispose()
    assert Counter(outcomes) == Counter({"finished": target, "full": 50 - target})
    assert sum(rater.finished_at is not None for rater in store.raters("study")) == target
    assert store.study("study").closed


def test_fifty_come_at_once_and_no_more_get_in_than_are_wanted(store, store_url):
    make(store, target=30)
    outcomes = []

    def enrol(number):
        own = Store(store_url)
        try:
            outcomes.append(own.enrol("study", assign_stimuli, participant=Participant(f"p{number}", {})).rater)
        except StudyFull:
            outcomes.append(None)
        own.dispose()

    threads = [threading.Thread(target=enrol, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([rater for rater in outcomes if rater]) == len(store.raters("study")) == 30


def test_two_hundred_people_of_whom_sixty_leave_half_way_give_even_votes(store, store_url, monkeypatch):
    """People arrive whenever a place is free; 30 % leave half-way, and their places are handed out again after the time-out."""
    people, leavers = 200, 60
    batches, count, trials = (1, 20, 7) if store_url.startswith("sqlite") else (4, 20, 5)  # faces, or pairs in batches
    stimuli = [
        Stimulus(f"s{n:02d}", (f"i{n}",), details={"batch": n * batches // count} if batches > 1 else {}) for n in range(count)
    ]
    settings = StudySettings(target=people - leavers, timeout_minutes=60)
    store.create(Study("study", RatingPlan("emotion", trials), settings=settings), stimuli)
    clock = {"now": datetime(2026, 1, 1, tzinfo=UTC)}

    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return clock["now"]

    for module in ("core.studies.store", "core.studies.storage.places", "core.studies.storage.answers"):
        monkeypatch.setattr(f"{module}.datetime", Clock)
    chance = random.Random(7)
    leaves = [number < leavers for number in range(people)]
    chance.shuffle(leaves)
    events = [(clock["now"] + timedelta(minutes=chance.uniform(0, 300)), number, "arrives", None) for number in range(people)]
    heapq.heapify(events)
    turned_away = 0
    while events:
        clock["now"], number, what, rater = heapq.heappop(events)
        if what == "arrives":
            try:
                rater = store.enrol("study", assign_stimuli)
            except StudyFull:
                assert not store.study("study").closed, "the last of them would be missing"
                turned_away += 1
                wait = chance.uniform(20, 30) if leaves[number] else chance.uniform(60, 90)  # the last one is none who leaves
                heapq.heappush(events, (clock["now"] + timedelta(minutes=wait), number, "arrives", None))
                continue
            heapq.heappush(events, (clock["now"] + timedelta(minutes=chance.uniform(1, 40)), number, "half", rater))
        elif what == "half":
            store.save(answers(rater, rater.trials[: trials // 2]))
            if not leaves[number]:
                heapq.heappush(events, (clock["now"] + timedelta(minutes=chance.uniform(1, 40)), number, "done", rater))
        else:
            store.save(answers(rater, rater.trials[trials // 2 :]))
            store.finish(rater.code)
    told = store.participation("study")
    assert (told.started, told.finished, told.timed_out, told.working) == (people, people - leavers, leavers, 0)
    assert store.study("study").closed
    assert turned_away > 0
    votes = finished_votes(store, "study")
    assert sum(votes.values()) == (people - leavers) * trials
    assert max(votes.values()) - min(votes.values()) <= 1
    print(f"{people} people, {leavers} left half-way: {min(votes.values())} to {max(votes.values())} votes an image")


# Data of the version before


def test_a_store_of_the_version_before_is_brought_along(store_url, monkeypatch):
    monkeypatch.setattr(database.command, "upgrade", lambda settings, _, to=database.command.upgrade: to(settings, "0001"))
    before = database.Database(store_url)
    monkeypatch.undo()
    moment = "'2026-01-01 10:00:00+00'" if before.url.get_backend_name() == "postgresql" else "'2026-01-01 10:00:00.000000'"
    plan = json.dumps(RatingPlan("emotion", 1).to_dict()).replace(":", "\\:")
    with before.writing() as connection:
        for statement in (
            f"INSERT INTO studies VALUES ('old', '{plan}', 'token', 'human', false, false, '[]', '\"\"', 1, {moment})",
            """INSERT INTO stimuli VALUES ('old', 's1', 0, '["i1"]', '', '', false, '', '{}', 1)""",
            "INSERT INTO raters VALUES ('old', 'rater-0001', 0, 'code', '[\"s1\"]', 'human', NULL, '{}', '\"\"', NULL, "
            f"{moment})",
        ):
            connection.execute(text(statement))
        for name in ("means", "theirs"):
            connection.execute(
                text(f"INSERT INTO studies VALUES ('{name}', '{plan}', '{name}', 'human', true, true, '[]', '\"\"', 0, {moment})")
            )
        row = "'11111111-1111-4111-8111-111111111111', 'theirs', 'p', '', 0, 's1', 'emotion', 'fear', NULL, false, 'human', '{}'"
        connection.execute(text(f"INSERT INTO ratings VALUES ({row}, {moment})"))
    before.engine.dispose()
    store = Store(store_url)
    assert (store.study("old").settings, store.study("old").origin) == (StudySettings(), "here")
    assert {name: store.study(name).origin for name in ("means", "theirs")} == {"means": "published", "theirs": "imported"}
    (rater,) = store.raters("old")
    assert (rater.released_at, rater.screened_out_at, rater.tries) == (None, None, 0)
    assert dataclasses.astuple(store.participation("old")) == (1, 0, 0, 0, 1, 0)
    assert store.enrol("old", assign_stimuli).trials == ("s1",)  # releases the one of old, who may come back
    store.save(answers(store.resume("code"), ["s1"]))
    store.finish("code")
    assert dataclasses.astuple(store.participation("old")) == (2, 1, 0, 0, 0, 1)
    store.dispose()


def test_no_export_has_names_unless_they_are_asked_for(store, tmp_path):
    make(store, finished="https://panel.example/?cc=SECRETCODE", target=7)
    rater = store.enrol("study", assign_stimuli, participant=Participant("=Zaphod", {"PROLIFIC_PID": "=Zaphod", "S": "Beeblebrox"}))
    store.save(answers(rater, rater.trials))
    library = Library(tmp_path / "sets", tmp_path / "none")
    ratings = store.ratings("study")
    for content in (tables.csv_bytes(ratings), tables.parquet_bytes(ratings), make_bundle(store, library, "study")):
        unpacked = b"".join(zipfile.ZipFile(io.BytesIO(content)).read(name) for name in bundle_files(content)) or content
        for secret in (b"Zaphod", b"Beeblebrox", b"SECRETCODE"):
            assert secret not in unpacked
    named = {each.rater: each.participant for each in store.participants("study")}
    assert b",'=Zaphod\r\n" in tables.csv_bytes(ratings, named)
    assert set(pd.read_parquet(io.BytesIO(tables.parquet_bytes(ratings, named)))["participant"]) == {"=Zaphod"}
    there = Store(f"sqlite:///{tmp_path / 'there.sqlite'}")
    content = make_bundle(store, library, "study", participants=True)
    imported = import_bundle(there, Library(tmp_path / "other", tmp_path / "none"), content)
    assert imported.settings == StudySettings(target=7)
    assert there.participants("study") == store.participants("study")
    assert [dataclasses.replace(each, code="") for each in there.raters("study")] == [dataclasses.replace(rater, code="")]
    there.dispose()


def bundle_files(content):
    return zipfile.ZipFile(io.BytesIO(content)).namelist() if content.startswith(b"PK") else []


def test_a_backup_keeps_names_and_settings(store, store_url, tmp_path):
    make(store, full="FULL", target=3)
    store.enrol("study", assign_stimuli, participant=Participant("ann", {"pid": "ann"}))
    store.count_departure("study", "declined")
    write_backup(tmp_path / "backup", store_url)
    restore_backup(tmp_path / "backup", f"sqlite:///{tmp_path / 'back.sqlite'}")
    back = Store(f"sqlite:///{tmp_path / 'back.sqlite'}")
    assert back.study("study") == store.study("study")
    assert back.participants("study") == store.participants("study")
    assert back.participation("study") == store.participation("study")
    back.dispose()
