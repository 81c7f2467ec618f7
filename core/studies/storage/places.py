"""Places of a study: who holds one, when it is handed out again, and what panels call the people who hold them.

A place is held by whoever has finished, and by whoever takes part and has given a sign of life within the time-out. Whoever stops
for longer is released once somebody else comes: their order is asked of others, so that votes of those who finish stay even.
They come back to it as long as a place is free. Whoever calls what changes places has locked the study's row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, bindparam, case, func, insert, select, update

from core.studies.ratings import check_name
from core.studies.recruitment import Participant, Participation, StudyFull
from core.studies.storage.tables import PARTICIPANTS, RATERS, STIMULI, STUDIES, to_rater
from core.studies.study import Rater, Study


@dataclass(frozen=True)
class ParticipantRecord:
    """What a panel calls a rater. participant: '' where the link named nobody."""

    rater: str
    participant: str
    parameters: dict[str, str]


def _is_working() -> ColumnElement[bool]:
    """Not done with the study, and the place is still theirs."""
    return and_(RATERS.c.finished_at.is_(None), RATERS.c.screened_out_at.is_(None), RATERS.c.released_at.is_(None))


def _has_stopped(study: Study, now: datetime) -> ColumnElement[bool]:
    since = now - study.settings.timeout(study.plan.minutes)
    return and_(_is_working(), func.coalesce(RATERS.c.seen_at, RATERS.c.created_at) < bindparam(None, since, RATERS.c.seen_at.type))


def count_people(connection: Connection, study: Study, now: datetime | None = None) -> Participation:
    """Who takes part in a study, by what became of them."""
    now = now or datetime.now(UTC)
    stopped = _has_stopped(study, now)
    released = and_(RATERS.c.released_at.is_not(None), RATERS.c.finished_at.is_(None), RATERS.c.screened_out_at.is_(None))

    def number(condition: ColumnElement[bool]) -> ColumnElement[int]:
        return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)

    counted = connection.execute(
        select(
            func.count(),
            number(RATERS.c.finished_at.is_not(None)),
            number(RATERS.c.screened_out_at.is_not(None)),
            number(released),
            number(stopped),
            number(_is_working()),
        ).where(RATERS.c.study == study.name)
    ).one()
    started, finished, screened_out, gone, waiting, working = (int(value) for value in counted)
    left = connection.execute(select(STUDIES.c.declined, STUDIES.c.screened_out).where(STUDIES.c.name == study.name)).one()
    return Participation(
        started, finished, int(left.declined), screened_out + int(left.screened_out), gone + waiting, working - waiting
    )


def count_held(connection: Connection, study: Study) -> int:
    """Places that are held, those of people who have stopped among them until ``release_stopped``."""
    held = _is_working() | RATERS.c.finished_at.is_not(None)
    return connection.scalar(select(func.count()).select_from(RATERS).where(RATERS.c.study == study.name, held)) or 0


def release_stopped(connection: Connection, study: Study, now: datetime) -> None:
    """Take back the places of people who stopped: what they were to be asked is asked of others."""
    stopped = and_(RATERS.c.study == study.name, _has_stopped(study, now))
    orders = connection.execute(select(RATERS.c.rater, RATERS.c.trials).where(stopped).with_for_update()).all()
    for rater, _ in orders:
        connection.execute(update(RATERS).where(RATERS.c.study == study.name, RATERS.c.rater == rater).values(released_at=now))
    hand_out(connection, study.name, (name for _, trials in orders for name in trials), -1)


def require_place(connection: Connection, study: Study, now: datetime) -> None:
    """Raises StudyFull unless the study is open and has a place for one more."""
    if study.closed:
        raise StudyFull(f"The study '{study.name}' is closed and takes nobody new.")
    release_stopped(connection, study, now)
    if study.settings.target is not None and count_held(connection, study) >= study.settings.target:
        raise StudyFull("Every place of this study is taken.")


def take_place_again(connection: Connection, study: Study, rater: Rater, now: datetime) -> None:
    """Give a released rater a place again, with the order from before. Raises StudyFull where none is free."""
    require_place(connection, study, now)
    mine = and_(RATERS.c.study == study.name, RATERS.c.rater == rater.rater)
    connection.execute(update(RATERS).where(mine).values(released_at=None, seen_at=now))
    hand_out(connection, study.name, rater.trials, 1)


def has_enough(connection: Connection, study: Study) -> bool:
    """Whether as many have finished as are wanted."""
    done = and_(RATERS.c.study == study.name, RATERS.c.finished_at.is_not(None))
    finished = connection.scalar(select(func.count()).select_from(RATERS).where(done)) or 0
    return study.settings.target is not None and finished >= study.settings.target


def hand_out(connection: Connection, name: str, trials: Iterable[str], step: int) -> None:
    """Add ``step`` to the count of handed-out trials for each trial; one UPDATE a stimulus, however often it occurs."""
    counted = [{"shown": stimulus, "times": step * times} for stimulus, times in Counter(trials).items()]
    if counted:
        change = update(STIMULI).where(STIMULI.c.study == name, STIMULI.c.stimulus == bindparam("shown"))
        connection.execute(change.values(handed_out=STIMULI.c.handed_out + bindparam("times")), counted)


def holds_place(rater: Rater) -> bool:
    """Whether the rater's order counts as handed out."""
    return rater.finished_at is not None or (rater.released_at is None and rater.screened_out_at is None)


def find_participant(connection: Connection, name: str, participant: str) -> Rater | None:
    """The rater of a study whom a panel calls so."""
    query = (
        select(RATERS)
        .join(PARTICIPANTS, and_(PARTICIPANTS.c.study == RATERS.c.study, PARTICIPANTS.c.rater == RATERS.c.rater))
        .where(PARTICIPANTS.c.study == name, PARTICIPANTS.c.participant == participant)
    )
    row = connection.execute(query).mappings().first()
    return None if row is None else to_rater(row)


def save_participant(connection: Connection, rater: Rater, participant: Participant) -> None:
    """Keep what a link said of a rater; nothing where it said nothing."""
    if participant.name or participant.parameters:
        row: dict[str, Any] = {"study": rater.study, "rater": rater.rater, "parameters": dict(participant.parameters)}
        named = check_name(participant.name, "participant") if participant.name else None
        connection.execute(insert(PARTICIPANTS), row | {"participant": named})


def read_participant(connection: Connection, rater: Rater) -> Participant:
    """What a link said of one rater."""
    mine = and_(PARTICIPANTS.c.study == rater.study, PARTICIPANTS.c.rater == rater.rater)
    row = connection.execute(select(PARTICIPANTS).where(mine)).mappings().first()
    return Participant() if row is None else Participant(row["participant"] or "", row["parameters"])


def read_participants(connection: Connection, name: str) -> list[ParticipantRecord]:
    """What panels call the raters of a study, in the order in which they enrolled."""
    query = (
        select(PARTICIPANTS)
        .join(RATERS, and_(PARTICIPANTS.c.study == RATERS.c.study, PARTICIPANTS.c.rater == RATERS.c.rater))
        .where(PARTICIPANTS.c.study == name)
        .order_by(RATERS.c.number)
    )
    return [
        ParticipantRecord(row["rater"], row["participant"] or "", dict(row["parameters"]))
        for row in connection.execute(query).mappings()
    ]
