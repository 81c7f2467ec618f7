"""Where studies and every answer are kept: SQLite in the user's data folder, or PostgreSQL by LIMINAL_DATABASE_URL.

What was acknowledged is on the disk. An answer is kept once, however often and from however many tabs it is sent: the first
one that was acknowledged counts, and a later one to the same trial is acknowledged too, so that nobody sends it for ever.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any, Literal

import pandas as pd
from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update

from core.errors import LiminalError
from core.studies.ratings import Rating, Source, check_name
from core.studies.recruitment import Participant, Participation, StudyFull
from core.studies.storage import places
from core.studies.storage.answers import AnswerIntake, read_rows, save_rows
from core.studies.storage.database import Database
from core.studies.storage.places import ParticipantRecord
from core.studies.storage.tables import (
    ANSWERS,
    DELETIONS,
    PARTICIPANTS,
    RATERS,
    STIMULI,
    STUDIES,
    Deletion,
    rater_row,
    stimulus_row,
    study_row,
    to_rater,
    to_stimulus,
    to_study,
)
from core.studies.study import Rater, Stimulus, Study, new_code

__all__ = ["Assign", "Deletion", "ParticipantRecord", "Store"]

logger = logging.getLogger(__name__)

Assign = Callable[[Study, Sequence[Stimulus], Mapping[str, int], int], Sequence[str]]
"""(study, its stimuli, how often each was handed out so far, the rater's number from 0) -> this rater's stimuli in order."""


NUMBERED_RATER = re.compile(r"rater-[0-9]{4,9}")
"""The form of the names that ``Store.enrol`` gives."""


class Store:
    """All studies of one database. Threads and processes may share it; every method is one transaction.

    url: None is LIMINAL_DATABASE_URL, else 'ratings.sqlite' in the data folder. Opening brings an older database to this
    version's tables. Raises LiminalError where the database is locked, read-only, full, away, no database or of a newer version.
    """

    def __init__(self, url: str | None = None) -> None:
        self._database = Database(url)
        self._intake = AnswerIntake(self._database)

    def dispose(self) -> None:
        """Close all connections."""
        self._database.engine.dispose()

    # Studies

    def create(self, study: Study, stimuli: Iterable[Stimulus]) -> Study:
        """Store a new study. Raises LiminalError when its name is taken or a stimulus is there twice."""
        with self._database.writing() as connection:
            _insert_study(connection, study, stimuli)
        logger.info("study made: %s", study.plan.kind)
        return self.study(study.name)

    def restore(
        self,
        study: Study,
        stimuli: Iterable[Stimulus],
        ratings: pd.DataFrame,
        raters: Sequence[Rater] = (),
        participants: Mapping[str, Participant] | None = None,
    ) -> Study:
        """Store a new study with its raters and answers, all or nothing. Raises what ``create`` and ``save_table`` raise.

        participants: what panels call some of the raters, by the rater's name.
        """
        with self._database.loading() as connection:
            numbered = [int(rater.rater[6:]) for rater in raters if NUMBERED_RATER.fullmatch(rater.rater)]
            _insert_study(connection, study, stimuli, enrolled=max(len(raters), *numbered, 0))
            if raters:
                connection.execute(insert(RATERS), [rater_row(rater, number) for number, rater in enumerate(raters)])
            asked = (name for rater in raters if places.holds_place(rater) for name in rater.trials)
            places.hand_out(connection, study.name, asked, 1)
            for rater in raters:
                if participants and rater.rater in participants:
                    places.save_participant(connection, rater, participants[rater.rater])
            save_rows(connection, ratings)
        logger.info("study made: %s, with %d answers", study.plan.kind, len(ratings))
        return self.study(study.name)

    def studies(self) -> list[Study]:
        """All studies, newest first."""
        with self._database.reading() as connection:
            query = select(STUDIES).order_by(STUDIES.c.created_at.desc(), STUDIES.c.name)
            return [to_study(row) for row in connection.execute(query).mappings()]

    def study(self, name: str) -> Study:
        """The study of that name. Raises LiminalError when there is none."""
        with self._database.reading() as connection:
            return to_study(_study_row(connection, name))

    def study_of(self, token: str) -> Study:
        """The study whose link has this secret. Raises LiminalError when there is none."""
        with self._database.reading() as connection:
            row = connection.execute(select(STUDIES).where(STUDIES.c.token == token)).mappings().first()
        if row is None:
            raise LiminalError("There is no study behind this link; ask whoever sent it for a new one.")
        return to_study(row)

    def change(self, name: str, /, **values: Any) -> Study:
        """Change fields of Study except its name and time; the plan only as long as nobody takes part.

        Raises LiminalError for a target below the number of people who have finished or take part, and where a study that has
        as many as are wanted is to be open.
        """
        allowed = {column.name for column in fields(Study)} - {"name", "created_at"}
        for field in values:
            if field not in allowed:
                raise LiminalError(f"A study's '{field}' cannot be changed.")
        with self._database.writing() as connection:
            row = _study_row(connection, name, lock=True)
            study = to_study(row)
            changed = replace(study, **values)
            if changed.plan != study.plan and row["enrolled"]:
                raise LiminalError(f"The plan of '{name}' cannot be changed any more, because somebody takes part.")
            changed.settings.check_timeout(changed.plan.minutes)
            _check_target(connection, study, changed)
            connection.execute(update(STUDIES).where(STUDIES.c.name == name), study_row(changed))
        if changed.closed and not study.closed:
            logger.info("study closed: %s", study.plan.kind)
        return changed

    def delete(self, name: str, reason: str = "") -> None:
        """Delete a study with its stimuli, raters and answers; a Deletion is left."""
        with self._database.writing() as connection:
            _study_row(connection, name, lock=True)
            answers = connection.execute(delete(ANSWERS).where(ANSWERS.c.study == name)).rowcount
            connection.execute(delete(STUDIES).where(STUDIES.c.name == name))
            _record_deletion(connection, Deletion(name, "study", answers, reason, datetime.now(UTC)))
        logger.info("study deleted, with %d answers", answers)
        self._database.tidy()

    def stimuli(self, name: str) -> list[Stimulus]:
        """A study's stimuli in the order in which they were given."""
        with self._database.reading() as connection:
            _study_row(connection, name)
            return _load_stimuli(connection, name)[0]

    # Raters

    def enrol(
        self,
        name: str,
        assign: Assign,
        *,
        rater: str | None = None,
        source: Source = "human",
        participant: Participant | None = None,
    ) -> Rater:
        """Enrol a rater, who gets an order of stimuli. One at a time, so that the assignment stays balanced.

        rater: the name; None: a numbered one. participant: what the link says; a participant who takes part already is given back
        as they are. Raises StudyFull for a study that takes nobody new, LiminalError for a name that is taken.
        """
        now = datetime.now(UTC)
        with self._database.writing() as connection:
            row = _study_row(connection, name, lock=True)
            if participant is not None and participant.name:
                known = places.find_participant(connection, name, participant.name)
                if known is not None:
                    return known
            places.require_place(connection, to_study(row), now)
            number = row["enrolled"]
            rater_name = f"rater-{number + 1:04d}" if rater is None else check_name(rater, "rater")
            for table in (RATERS, ANSWERS):
                taken = select(table.c.rater).where(table.c.study == name, table.c.rater == rater_name).limit(1)
                if connection.scalar(taken) is not None:
                    raise LiminalError(f"There is a rater '{rater_name}' in '{name}' already; choose another name.")
            stimuli, handed_out = _load_stimuli(connection, name)
            trials = tuple(assign(to_study(row), stimuli, handed_out, number))
            if len(set(trials)) != len(trials) or not set(trials) <= set(handed_out):
                raise LiminalError("An order holds each of its stimuli once, and only stimuli of its study.")
            new = Rater(rater_name, name, new_code(), trials, source, created_at=now)
            connection.execute(insert(RATERS), rater_row(new, number))
            connection.execute(update(STUDIES).where(STUDIES.c.name == name).values(enrolled=number + 1))
            places.hand_out(connection, name, trials, 1)
            if participant is not None:
                places.save_participant(connection, new, participant)
            return new

    def resume(self, code: str) -> Rater:
        """The rater of that code, who gets a place again if theirs was handed out. Raises StudyFull where none is free."""
        return self._change_rater(code, lambda connection, study, rater: None)

    def finish(self, code: str, strategy: str = "") -> Rater:
        """A rater is done -> the rater; the study closes itself with the last one that is wanted.

        Twice is once. Raises StudyFull where as many have finished as are wanted, and where the place was handed out again and
        none is free.
        """

        def finish(connection: Connection, study: Study, rater: Rater) -> None:
            if places.has_enough(connection, study):
                raise StudyFull("As many people have finished this study as were wanted.")
            _update_rater(connection, code, finished_at=datetime.now(UTC), strategy=strategy or rater.strategy)
            if places.has_enough(connection, study):
                connection.execute(update(STUDIES).where(STUDIES.c.name == study.name).values(closed=True))
                logger.info("study closed: %s, as many have finished as were wanted", study.plan.kind)

        return self._change_rater(code, finish)

    def extend(self, code: str, trials: Sequence[str]) -> Rater:
        """Ask a rater about further stimuli, after those they have (``core.studies.adaptive``) -> the rater. Who is done stays so.

        Those that they have already are passed over: the same call twice is once.
        """

        def extend(connection: Connection, study: Study, rater: Rater) -> None:
            new = [name for name in dict.fromkeys(trials) if name not in rater.trials]
            if not set(new) <= set(_load_stimuli(connection, study.name)[1]):
                raise LiminalError("An order holds only stimuli of its study.")
            _update_rater(connection, code, trials=[*rater.trials, *new])
            places.hand_out(connection, study.name, new, 1)

        return self._change_rater(code, extend)

    def screen_out(self, code: str) -> Rater:
        """A rater may not go on -> the rater; what they were to be asked is asked of others. Who has finished stays so."""

        def screen_out(connection: Connection, study: Study, rater: Rater) -> None:
            _update_rater(connection, code, screened_out_at=datetime.now(UTC))
            places.hand_out(connection, study.name, rater.trials, -1)

        return self._change_rater(code, screen_out)

    def _change_rater(self, code: str, change: Callable[[Connection, Study, Rater], None]) -> Rater:
        """Change a rater who is not done, under the study's lock -> the rater; of one who is done nothing changes."""
        with self._database.writing() as connection:
            study = to_study(_study_row(connection, _load_rater(connection, code).study, lock=True))
            rater = _load_rater(connection, code)
            if rater.finished_at is None and rater.screened_out_at is None:
                if rater.released_at is not None:
                    places.take_place_again(connection, study, rater, datetime.now(UTC))
                change(connection, study, rater)
            return _load_rater(connection, code)

    def count_departure(self, name: str, departure: Literal["declined", "screened_out"], step: int = 1) -> None:
        """Count somebody who left before they enrolled, of whom nothing else is kept. step: -1 where they come back after all."""
        column = STUDIES.c[departure]
        with self._database.writing() as connection:
            _study_row(connection, name, lock=True)
            connection.execute(update(STUDIES).where(STUDIES.c.name == name, column + step >= 0).values({departure: column + step}))

    def participation(self, name: str) -> Participation:
        """How many started, finished, declined, were screened out and stopped."""
        with self._database.reading() as connection:
            return places.count_people(connection, to_study(_study_row(connection, name)))

    # What panels call the raters

    def participant_of(self, rater: Rater) -> Participant:
        """What the link said of a rater when they enrolled."""
        with self._database.reading() as connection:
            return places.read_participant(connection, rater)

    def find_participant(self, name: str, participant: str) -> Rater | None:
        """The rater whom a panel calls so, None where there is none."""
        with self._database.reading() as connection:
            return places.find_participant(connection, name, participant)

    def participants(self, name: str) -> list[ParticipantRecord]:
        """What panels call the raters, in the order in which they enrolled; without those of whom links said nothing."""
        with self._database.reading() as connection:
            _study_row(connection, name)
            return places.read_participants(connection, name)

    def drop_participants(self, name: str, reason: str = "") -> int:
        """Delete what panels call the raters of a closed study -> how many; the answers stay, and a Deletion is left."""
        with self._database.writing() as connection:
            row = _study_row(connection, name, lock=True)
            if not row["closed"]:
                raise LiminalError(f"The study '{name}' is open: without their names people could take part twice; close it first.")
            dropped = connection.execute(delete(PARTICIPANTS).where(PARTICIPANTS.c.study == name)).rowcount
            if dropped:
                _record_deletion(connection, Deletion(name, "participants", 0, reason, datetime.now(UTC)))
        self._database.tidy()
        return dropped

    def rater(self, code: str) -> Rater:
        """The rater of that code. Raises LiminalError when there is none."""
        with self._database.reading() as connection:
            return _load_rater(connection, code)

    def raters(self, name: str) -> list[Rater]:
        """Those who enrolled, in that order. People of imported tables are not among them: they only have answers."""
        with self._database.reading() as connection:
            _study_row(connection, name)
            query = select(RATERS).where(RATERS.c.study == name).order_by(RATERS.c.number)
            return [to_rater(row) for row in connection.execute(query).mappings()]

    def update(
        self,
        code: str,
        *,
        consented_at: datetime | None = None,
        demographics: Mapping[str, Any] | None = None,
        strategy: str | None = None,
        understood_at: datetime | None = None,
        tries: int | None = None,
    ) -> Rater:
        """Store what a rater has told or done -> the rater; None leaves a field as it is."""
        changes: dict[str, Any] = {"consented_at": consented_at, "demographics": demographics, "strategy": strategy}
        changes |= {"understood_at": understood_at, "tries": tries}
        values = {name: value for name, value in changes.items() if value is not None}
        with self._database.writing() as connection:
            if values:
                _update_rater(connection, code, **values)
            return _load_rater(connection, code)

    def forget(self, name: str, rater: str, reason: str = "") -> Deletion:
        """Delete one person's data; the Deletion does not name them. Raises LiminalError when there is nobody of that name."""
        with self._database.writing() as connection:
            _study_row(connection, name, lock=True)
            query = select(RATERS).where(RATERS.c.study == name, RATERS.c.rater == rater).with_for_update()
            row = connection.execute(query).mappings().first()
            answers = connection.execute(delete(ANSWERS).where(ANSWERS.c.study == name, ANSWERS.c.rater == rater)).rowcount
            if row is None and not answers:
                raise LiminalError(f"Nobody called '{rater}' took part in the study '{name}'.")
            connection.execute(delete(RATERS).where(RATERS.c.study == name, RATERS.c.rater == rater))
            if row is not None and places.holds_place(to_rater(row)):
                places.hand_out(connection, name, row["trials"], -1)  # somebody else is asked instead
            deletion = _record_deletion(connection, Deletion(name, "rater", answers, reason, datetime.now(UTC)))
        self._database.tidy()
        return deletion

    def deletions(self, name: str) -> list[Deletion]:
        """What was deleted from a study of this name, the oldest first; also when the study itself is deleted."""
        columns = [DELETIONS.c[column.name] for column in fields(Deletion)]
        with self._database.reading() as connection:
            query = select(*columns).where(DELETIONS.c.study == name).order_by(DELETIONS.c.id)
            return [Deletion(**row) for row in connection.execute(query).mappings()]

    # Answers

    def save(self, ratings: Sequence[Rating]) -> list[str]:
        """Store answers, all or none -> their ids, once they are on the disk; the same again changes nothing.

        Trial, source and attention check of an enrolled rater's answer are taken from the store, not from the answer. Raises
        LiminalError for an id of another answer, a closed study, a person who is not enrolled and a stimulus that is not in the
        rater's order.
        """
        return self._intake.save(ratings)

    def save_table(self, frame: pd.DataFrame) -> int:
        """Store a table with the columns of RATINGS, all rows or none -> the number of new ones.

        Rows that are there already with the same content are passed over. Raises LiminalError for a value that does not fit, an
        id that is there with other content and a trial that a rater answers twice. Nobody needs to be enrolled.
        """
        with self._database.loading() as connection:
            return save_rows(connection, frame)

    def ratings(self, name: str, sources: Sequence[Source] | None = None) -> pd.DataFrame:
        """The typed table of RATINGS, by rater, trial and task."""
        with self._database.reading() as connection:
            _study_row(connection, name)
            return read_rows(connection, name, sources)

    def rater_ratings(self, rater: Rater) -> pd.DataFrame:
        """The typed table of RATINGS of one rater, by trial and task."""
        with self._database.reading() as connection:
            return read_rows(connection, rater.study, None, rater.rater)

    def answered(self, rater: Rater) -> set[tuple[str, str]]:
        """The (stimulus, task) that this rater has answered."""
        query = select(ANSWERS.c.stimulus, ANSWERS.c.task).where(ANSWERS.c.study == rater.study, ANSWERS.c.rater == rater.rater)
        with self._database.reading() as connection:
            return {(row.stimulus, row.task) for row in connection.execute(query)}

    def counts(self, name: str | None = None) -> dict[str, tuple[int, int]]:
        """(people who answered, answers) by study, of all studies that have any, or of one."""
        # By rater first: in the order of an index, while counting distinct raters at once would sort all of them.
        people = select(ANSWERS.c.study, func.count().label("answers")).group_by(ANSWERS.c.study, ANSWERS.c.rater)
        answering = (people if name is None else people.where(ANSWERS.c.study == name)).subquery()
        query = select(answering.c.study, func.count(), func.sum(answering.c.answers)).group_by(answering.c.study)
        with self._database.reading() as connection:
            return {study: (people, int(answers)) for study, people, answers in connection.execute(query)}

    def votes(self, name: str) -> dict[str, int]:
        """The number of raters who answered, by stimulus; 0 for stimuli without answers."""
        count = func.count(ANSWERS.c.rater.distinct())
        with self._database.reading() as connection:
            _study_row(connection, name)
            query = select(ANSWERS.c.stimulus, count).where(ANSWERS.c.study == name).group_by(ANSWERS.c.stimulus)
            counts = {row[0]: row[1] for row in connection.execute(query)}
            stimuli = connection.scalars(select(STIMULI.c.stimulus).where(STIMULI.c.study == name).order_by(STIMULI.c.place))
            return dict.fromkeys(stimuli, 0) | counts


def _insert_study(connection: Connection, study: Study, stimuli: Iterable[Stimulus], enrolled: int = 0) -> None:
    rows = [stimulus_row(stimulus, study.name, index) for index, stimulus in enumerate(stimuli)]
    seen: set[str] = set()
    for row in rows:
        if row["stimulus"] in seen:
            raise LiminalError(f"The study '{study.name}' asks about {row['stimulus']} twice; every stimulus is there once.")
        seen.add(row["stimulus"])
    if connection.scalar(select(STUDIES.c.name).where(STUDIES.c.name == study.name)) is not None:
        raise LiminalError(f"There is a study '{study.name}' already; choose another name.")
    study.settings.check_timeout(study.plan.minutes)
    connection.execute(insert(STUDIES), {**study_row(study), "enrolled": enrolled})
    if rows:
        connection.execute(insert(STIMULI), rows)


def _study_row(connection: Connection, name: str, *, lock: bool = False) -> RowMapping:
    query = select(STUDIES).where(STUDIES.c.name == name)
    row = connection.execute(query.with_for_update() if lock else query).mappings().first()
    if row is None:
        raise LiminalError(f"There is no study '{name}'.")
    return row


def _load_stimuli(connection: Connection, name: str) -> tuple[list[Stimulus], dict[str, int]]:
    query = select(STIMULI).where(STIMULI.c.study == name).order_by(STIMULI.c.place)
    rows = connection.execute(query).mappings().all()
    return [to_stimulus(row) for row in rows], {row["stimulus"]: row["handed_out"] for row in rows}


def _load_rater(connection: Connection, code: str) -> Rater:
    row = connection.execute(select(RATERS).where(RATERS.c.code == code)).mappings().first()
    if row is None:
        raise LiminalError("Nobody takes part under this link; open the link that you were sent.")
    return to_rater(row)


def _update_rater(connection: Connection, code: str, **values: Any) -> None:
    connection.execute(update(RATERS).where(RATERS.c.code == code).values(**values))


def _check_target(connection: Connection, study: Study, changed: Study) -> None:
    target = changed.settings.target
    if target is None or (changed.settings == study.settings and changed.closed >= study.closed):
        return
    people = places.count_people(connection, changed)
    if not changed.closed and people.finished >= target:
        raise LiminalError(
            f"{people.finished:,} people have finished, as many as are wanted; ask for more than that to open it again."
            if study.closed
            else f"{people.finished:,} people have finished already; ask for more than that, or close the study."
        )
    if not changed.closed and people.finished + people.working > target:
        raise LiminalError(
            f"{people.finished:,} people have finished and {people.working:,} are taking part, to whom a place was promised; "
            f"ask for {people.finished + people.working:,} or more."
        )


def _record_deletion(connection: Connection, deletion: Deletion) -> Deletion:
    connection.execute(insert(DELETIONS), {column.name: getattr(deletion, column.name) for column in fields(Deletion)})
    return deletion
