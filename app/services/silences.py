"""Silences: planned quiet, by a condition on events, a rule or a severity, with a begin and an end."""

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.ids import uuid7
from app.models.alerts import Alert
from app.models.events import Event
from app.models.rules import Rule, Ruleset
from app.models.silences import Silence
from app.services.errors import Conflict, NotFound, Refusal, refusal_of
from app.services.prepared import Prepared
from app.services.suppressions import Held, Kind
from rules_dsl import Condition, RuleError, TargetError, parse_condition

log = structlog.get_logger()

# Events that waited this long are still held by a silence that was in force when they came.
REMEMBERED = timedelta(days=2)
LONGEST = timedelta(days=366)

CheckTarget = Callable[[str, str], None]


@dataclass(frozen=True)
class Asked:
    """What somebody would be notified of: by whom, about what, and when its event came, if that counts.

    What is about a time is held back by the silences of that time alone, or one that is over would keep quiet what
    goes on after it.
    """

    rule_id: UUID
    severity: str
    bodies: Sequence[Mapping[str, Any]]
    at: datetime
    came: datetime | None = None

    @classmethod
    def of(
        cls,
        alert: Alert,
        event: Event | None,
        stand_in: Mapping[str, Any] | None,
        now: datetime,
    ) -> "Asked":
        """About an alert whose last event is known, or gone, and what stands for one that did not come."""
        bodies: list[Mapping[str, Any]] = [] if event is None else [event.body]
        if stand_in is not None:
            bodies.append(stand_in)
        return cls(alert.rule_id, alert.severity, bodies, event.accepted_at if event else now)


@dataclass(frozen=True)
class LiveSilence:
    """A silence, compiled."""

    id: UUID
    condition: Condition | None
    rule_id: UUID | None
    severity: str | None
    begins_at: datetime
    ends_at: datetime
    held: Held

    def holds(self, asked: Asked, now: datetime) -> bool:
        """Whether it is in force now, or was when the event came, and means this match."""
        moments = (now,) if asked.came is None else (now, asked.came)
        if not any(self.begins_at <= moment < self.ends_at for moment in moments):
            return False
        if self.rule_id not in (None, asked.rule_id) or self.severity not in (None, asked.severity):
            return False
        if self.condition is None:
            return True
        # Of an event that is gone nobody knows; people rather hear once too often.
        return any(self.condition.matches(body, asked.at) is True for body in asked.bodies)


_REVISION: Final = Prepared(select(Ruleset.__table__.c.silences))


class LiveSilences:
    """What this process knows of the silences, as of one revision."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin anew in a process just forked: whose lock it was is gone."""
        self._lock = threading.Lock()
        self.forget()

    def forget(self) -> None:
        """Begin with nothing, for a process whose database was replaced."""
        self._known: tuple[int, tuple[LiveSilence, ...]] = (-1, ())

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self._known[1])

    def reach(self, session: Session, now: datetime, revision: int | None = None) -> None:
        """Load the silences, if they have changed since; one small query where nobody knows whether they have."""
        if revision is None:
            [(revision,)] = _REVISION(session)
        if revision <= self._known[0]:
            return
        recent = select(Silence).where(Silence.ends_at > now - REMEMBERED).order_by(Silence.id)
        rows = session.scalars(recent, execution_options={"populate_existing": True}).all()
        compiled = tuple(one for one in map(_compiled, rows) if one is not None)
        with self._lock:
            # Another thread may have read later, and been quicker.
            if revision > self._known[0]:
                self._known = (revision, compiled)

    def holding(self, asked: Asked, now: datetime) -> Held | None:
        """The oldest silence that means a match."""
        for silence in self._known[1]:
            if silence.holds(asked, now):
                return silence.held
        return None


live = LiveSilences()
os.register_at_fork(after_in_child=live.reset)


def _compiled(row: Silence) -> LiveSilence | None:
    try:
        condition = None if row.condition is None else parse_condition(row.condition)
    except RuleError as error:  # another release accepted it: rather a message too many
        log.error("silence_left_out", silence=str(row.id), error=error.message)
        return None
    reason = f"silenced by {row.created_by} until {row.ends_at:%Y-%m-%d %H:%M} UTC"
    if row.comment:
        reason += f": {row.comment}"
    held = Held(Kind.SILENCED, reason, row.ends_at, row.id)
    return LiveSilence(
        row.id, condition, row.rule_id, row.severity, row.begins_at, row.ends_at, held
    )


def create(
    session: Session, wish: dict[str, Any], check_target: CheckTarget, who: str, now: datetime
) -> Silence:
    """A new silence; the caller commits."""
    row = Silence(
        id=uuid7(now),
        condition=wish.get("condition"),
        rule_id=wish.get("rule_id"),
        severity=wish.get("severity"),
        comment=wish.get("comment", ""),
        digest=wish.get("digest", []),
        begins_at=wish.get("begins_at") or now,
        ends_at=wish["ends_at"],
        created_by=who,
        created_at=now,
        updated_at=now,
        digested_at=None,
    )
    _check(session, row, check_target, now)
    session.add(row)
    _moved(session)
    return row


def change(
    session: Session,
    silence_id: UUID,
    wish: dict[str, Any],
    check_target: CheckTarget,
    now: datetime,
) -> Silence:
    """Change what is sent of a silence that has not ended; the caller commits."""
    row = _lock(session, silence_id, now)
    for name, value in wish.items():
        setattr(row, name, value)
    row.updated_at = now
    _check(session, row, check_target, now)
    _moved(session)
    return row


def expire(session: Session, silence_id: UUID, now: datetime) -> Silence:
    """End a silence now; what it held stays on record. The caller commits."""
    row = _lock(session, silence_id, now)
    row.begins_at = min(row.begins_at, now)
    row.ends_at = row.updated_at = now
    _moved(session)
    return row


def delete(session: Session, silence_id: UUID) -> None:
    """Forget a silence, without a digest; what it held stays on record. The caller commits."""
    session.delete(get(session, silence_id))
    _moved(session)


def get(session: Session, silence_id: UUID) -> Silence:
    """A silence; raises `NotFound`."""
    found = session.get(Silence, silence_id)
    if found is None:
        raise NotFound("there is no such silence")
    return found


def listing(
    session: Session, *, state: str | None, after: UUID | None, limit: int, now: datetime
) -> Sequence[Silence]:
    """Silences, newest first, from past the one called `after`."""
    query = select(Silence).order_by(Silence.id.desc()).limit(limit)
    if state == "ended":
        query = query.where(Silence.ends_at <= now)
    elif state == "pending":
        query = query.where(Silence.begins_at > now)
    elif state == "active":
        query = query.where(Silence.begins_at <= now, Silence.ends_at > now)
    if after is not None:
        query = query.where(Silence.id < after)
    return session.scalars(query).all()


def state_of(row: Silence, now: datetime) -> str:
    """Where a silence stands, in a word."""
    if row.ends_at <= now:
        return "ended"
    return "pending" if row.begins_at > now else "active"


def _lock(session: Session, silence_id: UUID, now: datetime) -> Silence:
    row = session.get(Silence, silence_id, with_for_update=True)
    if row is None:
        raise NotFound("there is no such silence")
    if row.ends_at <= now:
        raise Conflict("the silence has ended", code="ended")
    return row


def _moved(session: Session) -> None:
    """Tell the workers, with the commit, that the silences have changed."""
    session.flush()
    session.execute(update(Ruleset).values(silences=Ruleset.silences + 1))


def _check(session: Session, row: Silence, check_target: CheckTarget, now: datetime) -> None:
    if row.condition is None and row.rule_id is None and row.severity is None:
        raise Refusal("say what it silences: `condition`, `rule_id` or `severity`")
    # One that PostgreSQL holds and Python does not would be in the way of all others.
    if row.begins_at > now + LONGEST:
        raise Refusal("may be a year from now at most", pointer="/begins_at")
    if row.ends_at <= max(now, row.begins_at):
        raise Refusal("must be after its begin, and not over yet", pointer="/ends_at")
    if row.ends_at - row.begins_at > LONGEST:
        raise Refusal("may be a year after its begin at most", pointer="/ends_at")
    if row.condition is not None:
        _check_condition(row.condition)
    if row.rule_id is not None and session.get(Rule, row.rule_id) is None:
        raise Refusal("there is no such rule", pointer="/rule_id")
    for place, target in enumerate(row.digest):
        kind, _, address = target.partition(":")
        try:
            check_target(kind, address)
        except TargetError as error:
            detail = f"{error.message} ({error.hint})" if error.hint else error.message
            raise Refusal(detail, pointer=f"/digest/{place}", code="target") from error


def _check_condition(text: str) -> None:
    try:
        parse_condition(text)
    except RuleError as error:
        raise refusal_of(error, "/condition") from error
