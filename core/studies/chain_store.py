"""Where faces made by people are kept: in the tables beside those of ``Store``, each method one transaction.

An open step is a row without a value: the table's key lets no two people have the same one, and the study's row is locked while a
step is handed out. A choice is acknowledged once it is on the disk; sent twice it is kept once.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pandas as pd
from sqlalchemy import Connection, RowMapping, and_, delete, func, insert, select, update

from core.errors import LiminalError
from core.studies.chains import (
    CHAIN_TIMEOUT,
    FRAMES,
    ChainDesign,
    ChainPerson,
    ChainState,
    ChainStep,
    ChainStudy,
    OfferedStep,
    make_step_table,
    pick_chain,
    values_after,
)
from core.studies.recruitment import StudyFull
from core.studies.storage.database import Database
from core.studies.storage.tables import CHAIN_PEOPLE, CHAIN_STEPS, CHAIN_STUDIES, DELETIONS, Deletion

logger = logging.getLogger(__name__)

FORGOTTEN = "(deleted)"
"""The name on the steps of somebody whose data were deleted: later steps stand on them, so they stay without the name."""


class StepTaken(LiminalError):  # noqa: N818 (what it is about a step)
    """The step was handed to somebody else meanwhile, because its holder had stopped."""


@dataclass(frozen=True)
class ChainProgress:
    """How far a study is: complete chains, steps taken, and people who have taken any."""

    complete: int
    steps: int
    people: int


class ChainStore:
    """All faces made by people of one database. Threads and processes may share it. url: as of ``Store``."""

    def __init__(self, url: str | None = None) -> None:
        self._database = Database(url)

    def dispose(self) -> None:
        """Close all connections."""
        self._database.engine.dispose()

    def create(self, study: ChainStudy) -> ChainStudy:
        """Store a new study. Raises LiminalError when its name is taken."""
        return self.restore(study, (), ())

    def restore(self, study: ChainStudy, people: Sequence[ChainPerson], steps: Sequence[ChainStep]) -> ChainStudy:
        """Store a new study with people and steps, all or nothing. Raises LiminalError when its name is taken."""
        with self._database.writing() as connection:
            if connection.scalar(select(CHAIN_STUDIES.c.name).where(CHAIN_STUDIES.c.name == study.name)) is not None:
                raise LiminalError(f"There are faces made by people called '{study.name}' already; choose another name.")
            row = {name: getattr(study, name) for name in study.__dataclass_fields__}
            row |= {"design": study.design.to_dict(), "enrolled": len(people)}
            connection.execute(insert(CHAIN_STUDIES), row)
            if people:
                connection.execute(insert(CHAIN_PEOPLE), [_fields(person) for person in people])
            if steps:
                connection.execute(insert(CHAIN_STEPS), [{**_fields(step), "study": study.name} for step in steps])
        logger.info("chains made: %d", study.design.chains)
        return self.study(study.name)

    def studies(self) -> list[ChainStudy]:
        """All studies, newest first."""
        query = select(CHAIN_STUDIES).order_by(CHAIN_STUDIES.c.created_at.desc(), CHAIN_STUDIES.c.name)
        with self._database.reading() as connection:
            return [_to_study(row) for row in connection.execute(query).mappings()]

    def study(self, name: str) -> ChainStudy:
        """The study of that name. Raises LiminalError when there is none."""
        with self._database.reading() as connection:
            return _find_study(connection, name)

    def study_of(self, token: str) -> ChainStudy:
        """The study whose link has this secret. Raises LiminalError when there is none."""
        with self._database.reading() as connection:
            row = connection.execute(select(CHAIN_STUDIES).where(CHAIN_STUDIES.c.token == token)).mappings().first()
        if row is None:
            raise LiminalError("There is no study behind this link; ask whoever sent it for a new one.")
        return _to_study(row)

    def close(self, name: str, *, closed: bool = True) -> ChainStudy:
        """Take no more steps, or take them again; what was chosen stays."""
        with self._database.writing() as connection:
            study = _find_study(connection, name, lock=True)
            connection.execute(update(CHAIN_STUDIES).where(CHAIN_STUDIES.c.name == name).values(closed=closed))
        return replace(study, closed=closed)

    def delete(self, name: str, reason: str = "") -> None:
        """Delete a study with all its steps; a Deletion is left."""
        with self._database.writing() as connection:
            _find_study(connection, name, lock=True)
            taken = connection.scalar(_count_steps(name)) or 0
            connection.execute(delete(CHAIN_STUDIES).where(CHAIN_STUDIES.c.name == name))
            _record(connection, Deletion(name, "study", taken, reason, datetime.now(UTC)))
        self._database.tidy()

    def forget(self, name: str, person: str, reason: str = "") -> int:
        """Take one person's name off their steps, which others have built on, and delete the rest of them -> their steps.

        Raises LiminalError when there is nobody of that name.
        """
        mine = and_(CHAIN_STEPS.c.study == name, CHAIN_STEPS.c.person == person)
        with self._database.writing() as connection:
            _find_study(connection, name, lock=True)
            connection.execute(delete(CHAIN_STEPS).where(mine, CHAIN_STEPS.c.value.is_(None)))
            steps = connection.execute(update(CHAIN_STEPS).where(mine).values(person=FORGOTTEN, presented={})).rowcount
            known = and_(CHAIN_PEOPLE.c.study == name, CHAIN_PEOPLE.c.person == person)
            if not connection.execute(delete(CHAIN_PEOPLE).where(known)).rowcount:
                raise LiminalError(f"Nobody called '{person}' has made faces in '{name}'.")
            _record(connection, Deletion(name, "rater", steps, reason, datetime.now(UTC)))
        self._database.tidy()
        return int(steps)

    def steps(self, name: str) -> pd.DataFrame:
        """All steps that were taken, by chain and iteration (``make_step_table``)."""
        with self._database.reading() as connection:
            _find_study(connection, name)
            return make_step_table(_load_steps(connection, name))

    def people(self, name: str) -> list[ChainPerson]:
        """Who enrolled, in order."""
        query = select(CHAIN_PEOPLE).where(CHAIN_PEOPLE.c.study == name).order_by(CHAIN_PEOPLE.c.number)
        with self._database.reading() as connection:
            return [ChainPerson(**row) for row in connection.execute(query).mappings()]

    def progress(self, name: str) -> ChainProgress:
        """How far a study is."""
        taken = and_(CHAIN_STEPS.c.study == name, CHAIN_STEPS.c.value.is_not(None))
        with self._database.reading() as connection:
            design = _find_study(connection, name).design
            counts = connection.scalars(select(func.count()).where(taken).group_by(CHAIN_STEPS.c.chain)).all()
            people = connection.scalar(select(func.count(CHAIN_STEPS.c.person.distinct())).where(taken)) or 0
        return ChainProgress(sum(count >= design.length for count in counts), sum(counts), people)

    # What people do

    def enrol(self, name: str) -> ChainPerson:
        """Somebody new. Raises StudyFull where the study is closed, complete, or every chain has its person."""
        now = datetime.now(UTC)
        with self._database.writing() as connection:
            study = _find_study(connection, name, lock=True)
            states = _load_states(connection, study)
            if study.closed:
                raise StudyFull(f"The study '{name}' is closed and takes nobody new.")
            held = sum(_is_held(state, study.design, now) for state in states)
            if held >= study.design.chains:
                raise StudyFull("Every chain of this study is complete or has its person.")
            number = study.enrolled
            chain = None if study.design.passed_on else number
            person = ChainPerson(f"person-{number + 1:04d}", name, number, chain=chain)
            connection.execute(insert(CHAIN_PEOPLE), _fields(person))
            connection.execute(update(CHAIN_STUDIES).where(CHAIN_STUDIES.c.name == name).values(enrolled=number + 1))
            if chain is not None:  # the chain is theirs from now on
                connection.execute(insert(CHAIN_STEPS), _open_row(study, chain, 0, person, now))
        return person

    def count_steps(self, person: ChainPerson) -> int:
        """How many steps this person has taken."""
        with self._database.reading() as connection:
            return connection.scalar(_count_steps(person.study, person.person)) or 0

    def person(self, code: str) -> ChainPerson:
        """The person of that code. Raises LiminalError when there is none."""
        with self._database.reading() as connection:
            return _find_person(connection, code)

    def next_step(self, code: str) -> OfferedStep | None:
        """The step that this person takes next, theirs alone until they choose or time out; None: somebody else holds all.

        The one that they have before them already is given again. Raises StudyFull when the study takes no more steps of theirs:
        they are done, all chains are complete, or it is closed.
        """
        now = datetime.now(UTC)
        with self._database.writing() as connection:
            person = _find_person(connection, code)
            study = _find_study(connection, person.study, lock=True)
            design = study.design
            done = connection.scalar(_count_steps(study.name, person.person)) or 0
            states = _load_states(connection, study)
            complete = all(state.taken >= design.length for state in states if person.chain in (None, state.chain))
            if study.closed or person.finished_at is not None or done >= design.steps_of_a_person or complete:
                raise StudyFull("There is no further step for this person.")
            begun = next((state for state in states if state.open is not None and state.open.person == person.person), None)
            chain = begun.chain if begun is not None else pick_chain(design, states, person, now)
            if chain is None:
                return None
            state = next(state for state in states if state.chain == chain)
            row = _open_row(study, chain, state.taken, person, now)
            if state.open is None:
                connection.execute(insert(CHAIN_STEPS), row)
            else:  # their own again, or that of somebody who has stopped
                connection.execute(update(CHAIN_STEPS).where(_is_step(study.name, chain, state.taken)).values(**row))
            return _offer(connection, study, chain, state.taken, done)

    def foresee_step(self, code: str) -> OfferedStep | None:
        """The step that this person will probably get once they have chosen, so that its pictures can be drawn ahead.

        Nothing is handed out. None where the next face depends on the choice, as in a chain of one's own, and at the end.
        """
        with self._database.reading() as connection:
            person = _find_person(connection, code)
            study = _find_study(connection, person.study)
            done = (connection.scalar(_count_steps(study.name, person.person)) or 0) + 1
            if person.chain is not None or done >= study.design.steps_of_a_person:
                return None
            states = _load_states(connection, study)
            begun = next((state for state in states if state.open is not None and state.open.person == person.person), None)
            if begun is not None:
                states[begun.chain] = replace(begun, taken=begun.taken + 1, last=person.person, open=None)
            chain = pick_chain(study.design, states, person, datetime.now(UTC))
            if chain is None or begun is None or chain == begun.chain:
                return None
            return _offer(connection, study, chain, states[chain].taken, done)

    def choose(
        self,
        code: str,
        chain: int,
        iteration: int,
        frame: int,
        *,
        reaction_time_ms: float | None = None,
        presented: Mapping[str, Any] | None = None,
    ) -> float:
        """Keep what a person chose, the picture ``frame`` of the step's slider -> its value, once it is on the disk.

        A second choice of the same person for the same step changes nothing: the first value is given back. Raises StepTaken
        where the step is somebody else's by now, LiminalError for a closed study and a frame that there is not.
        """
        if not 0 <= frame < FRAMES:
            raise LiminalError(f"A slider has the pictures 0 to {FRAMES - 1}, not {frame}.")
        with self._database.writing() as connection:
            person = _find_person(connection, code)
            study = _find_study(connection, person.study, lock=True)
            step = connection.execute(select(CHAIN_STEPS).where(_is_step(study.name, chain, iteration))).mappings().first()
            if step is None or step["person"] != person.person:
                raise StepTaken("You were away for so long that somebody else got this step; here is another one.")
            if step["value"] is not None:
                return float(step["value"])
            if study.closed:
                raise StudyFull(f"The study '{study.name}' is closed and takes no more steps.")
            value = study.design.latent_of(chain, iteration).values[frame]
            change = update(CHAIN_STEPS).where(_is_step(study.name, chain, iteration))
            chosen = change.values(value=value, reaction_time_ms=reaction_time_ms, presented=dict(presented or {}))
            connection.execute(chosen.values(chosen_at=datetime.now(UTC)))
            if (connection.scalar(_count_steps(study.name, person.person)) or 0) >= study.design.steps_of_a_person:
                known = CHAIN_PEOPLE.c.code == code
                connection.execute(update(CHAIN_PEOPLE).where(known).values(finished_at=datetime.now(UTC)))
        return value


def _fields(record: ChainPerson | ChainStep) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__dataclass_fields__}


def _to_study(row: RowMapping) -> ChainStudy:
    return ChainStudy(**{**row, "design": ChainDesign.from_dict(row["design"])})


def _find_study(connection: Connection, name: str, *, lock: bool = False) -> ChainStudy:
    query = select(CHAIN_STUDIES).where(CHAIN_STUDIES.c.name == name)
    row = connection.execute(query.with_for_update() if lock else query).mappings().first()
    if row is None:
        raise LiminalError(f"There are no faces made by people called '{name}'.")
    return _to_study(row)


def _find_person(connection: Connection, code: str) -> ChainPerson:
    row = connection.execute(select(CHAIN_PEOPLE).where(CHAIN_PEOPLE.c.code == code)).mappings().first()
    if row is None:
        raise LiminalError("Nobody makes faces under this link; open the link that you were sent.")
    return ChainPerson(**row)


def _is_step(study: str, chain: int, iteration: int) -> Any:
    return and_(CHAIN_STEPS.c.study == study, CHAIN_STEPS.c.chain == chain, CHAIN_STEPS.c.iteration == iteration)


def _count_steps(name: str, person: str | None = None) -> Any:
    """The number of steps that were taken, by everybody or by one person."""
    taken = select(func.count()).where(CHAIN_STEPS.c.study == name, CHAIN_STEPS.c.value.is_not(None))
    return taken if person is None else taken.where(CHAIN_STEPS.c.person == person)


def _open_row(study: ChainStudy, chain: int, iteration: int, person: ChainPerson, now: datetime) -> dict[str, Any]:
    latent = study.design.latent_of(chain, iteration).name
    return {
        **_fields(ChainStep(chain, iteration, person.person, latent, source=person.source, offered_at=now)),
        "study": study.name,
    }


def _offer(connection: Connection, study: ChainStudy, chain: int, iteration: int, done: int) -> OfferedStep:
    design = study.design
    values = values_after(design, chain, _load_steps(connection, study.name, chain))
    start, turned = design.slider_of(chain, iteration)
    latent, base = design.latent_of(chain, iteration), design.base_of(chain)
    return OfferedStep(chain, iteration, base, latent, values, start, turned, done, design.steps_of_a_person)


def _load_steps(connection: Connection, name: str, chain: int | None = None) -> list[ChainStep]:
    query = select(CHAIN_STEPS).where(CHAIN_STEPS.c.study == name).order_by(CHAIN_STEPS.c.chain, CHAIN_STEPS.c.iteration)
    if chain is not None:
        query = query.where(CHAIN_STEPS.c.chain == chain)
    rows = connection.execute(query).mappings()
    return [ChainStep(**{column: row[column] for column in ChainStep.__dataclass_fields__}) for row in rows]


def _load_states(connection: Connection, study: ChainStudy) -> list[ChainState]:
    """Every chain, those of which no step was handed out among them where chains are passed on."""
    taken = and_(CHAIN_STEPS.c.study == study.name, CHAIN_STEPS.c.value.is_not(None))
    counts = connection.execute(select(CHAIN_STEPS.c.chain, func.count()).where(taken).group_by(CHAIN_STEPS.c.chain)).all()
    states = {chain: ChainState(chain, 0) for chain in range(study.design.chains)} if study.design.passed_on else {}
    for chain, count in counts:
        states[chain] = ChainState(chain, count)
    newest = select(CHAIN_STEPS.c.chain, func.max(CHAIN_STEPS.c.iteration).label("iteration")).where(taken)
    newest_steps = newest.group_by(CHAIN_STEPS.c.chain).subquery()
    last = select(CHAIN_STEPS.c.chain, CHAIN_STEPS.c.person).join(
        newest_steps,
        and_(CHAIN_STEPS.c.chain == newest_steps.c.chain, CHAIN_STEPS.c.iteration == newest_steps.c.iteration),
    )
    for chain, person in connection.execute(last.where(CHAIN_STEPS.c.study == study.name)):
        states[chain] = replace(states[chain], last=person)
    for row in connection.execute(
        select(CHAIN_STEPS).where(CHAIN_STEPS.c.study == study.name, CHAIN_STEPS.c.value.is_(None))
    ).mappings():
        step = ChainStep(**{column: row[column] for column in ChainStep.__dataclass_fields__})
        states[step.chain] = replace(states.get(step.chain, ChainState(step.chain, 0)), open=step)
    return [states[chain] for chain in sorted(states)]


def _is_held(state: ChainState, design: ChainDesign, now: datetime) -> bool:
    """Whether a newcomer can have no part in this chain: it is complete, or, of chains of one's own, its person is at it."""
    if state.taken >= design.length:
        return True
    return not design.passed_on and state.open is not None and now - state.open.offered_at <= CHAIN_TIMEOUT


def _record(connection: Connection, deletion: Deletion) -> None:
    connection.execute(insert(DELETIONS), {name: getattr(deletion, name) for name in deletion.__dataclass_fields__})
