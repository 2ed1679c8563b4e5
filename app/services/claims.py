"""Claims: who evaluates which waiting event, and what becomes of one that ends without an outcome.

A claim is a lease with an epoch. Events are claimed together, as many as wait; one whose evaluation began and was not
heard of again is a suspect, and is claimed apart, so that it can harm few others and soon none. After a few such ends
it is given up.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    DateTime,
    Integer,
    Select,
    Uuid,
    any_,
    bindparam,
    cast,
    delete,
    func,
    insert,
    literal,
    literal_column,
    not_,
    or_,
    select,
    true,
    union_all,
    update,
)
from sqlalchemy.orm import Session

from app.models.events import Event, FailedEvent, PendingEvent, ReadEvent
from app.services.errors import Conflict, NotFound
from app.services.prepared import Prepared

LEASE = timedelta(seconds=22)
TOGETHER = 500
COMPANY = 25
GIVE_UP_AFTER = 5
POISON = f"poison: its evaluation was begun {GIVE_UP_AFTER} times and never ended"
# The sweep looks after this long whether what was woken still waits.
WAKE_GRACE = timedelta(seconds=5)
# Statements that each event needs are made once: to spell one costs as much as to run it.
_PENDING = PendingEvent.__table__
_waits = _PENDING.c
# Constants, not parameters: the partial index of the suspects is only used where the planner sees them.
_FRESH = _waits.begun == literal_column("0")
_SUSPECT = _waits.begun > literal_column("0")
_NO_WAIT_FOR_THE_DISK = func.set_config("synchronous_commit", "off", literal_column("true"))
_GIVEN_UP = _waits.begun >= literal_column(str(GIVE_UP_AFTER))
_NOW = bindparam("now", type_=DateTime(timezone=True))
_FREE = or_(_waits.lease_until.is_(None), _waits.lease_until < _NOW)
# Likewise, but so that the planner has no statistics for it: they are of a moment when nearly nothing waited, or all
# that did was claimed, and PostgreSQL would read and sort a whole backlog for each message.
_OLDEST = (
    _waits.begun + literal_column("0") < literal_column("1"),
    func.coalesce(_waits.lease_until, literal_column("'-infinity'")) < _NOW,
)
_NAMED = _waits.event_id == any_(bindparam("ids", type_=ARRAY(Uuid())))


@dataclass(frozen=True)
class Claim:
    """The right to evaluate one event, until the lease ends or somebody claims anew."""

    event_id: UUID
    epoch: int
    # As it was claimed; none where its day is over.
    event: ReadEvent | None = field(default=None, compare=False)


def together(
    session: Session, event_ids: Sequence[UUID], now: datetime, holder: UUID
) -> list[Claim]:
    """Lease those of the events that wait freshly, and beside them the oldest others.

    It is a transaction of its own, unless the session has begun one, which the caller commits.

    So a message does the work of many when many wait, whether their own messages come, come late or were never sent.
    """
    most = max(0, TOGETHER - len(event_ids))
    return _lease(session, _TOGETHER, event_ids, now, holder, most=most)


def suspected(session: Session, event_ids: Collection[UUID], now: datetime) -> list[UUID]:
    """Those of the events that wait as suspects, in nobody's hands."""
    return list(session.scalars(_SUSPECTED, {"ids": list(event_ids), "now": now}))


def suspects(
    session: Session, event_ids: Sequence[UUID], now: datetime, holder: UUID
) -> list[Claim]:
    """Lease suspects, of the events or else overdue ones; the caller commits.

    Those that were begun once go in small companies, since most are innocent of a death that left no name; later alone.
    """
    begun = session.scalar(_FIRST_SUSPECT, {"ids": list(event_ids), "now": now})
    if begun is None:
        return []
    most = COMPANY if begun == 1 else 1
    return _lease(session, _SUSPECTS, event_ids, now, holder, most=most, begun=begun)


def settle(session: Session, claims: Sequence[Claim], *, lasting: bool = True) -> set[UUID]:
    """Strike the claimed events off; those whose epoch moved on belong to somebody else.

    Unless it must be `lasting`, the commit does not wait for the disk. If PostgreSQL crashes before it is there, all of
    the transaction is undone: the events wait as before, and none of its notifications was begun, since to begin
    one is a later commit, which is not on the disk before this one.
    """
    if not claims:
        return set()
    struck = (_SETTLE if lasting else _SETTLE_SOON)(session, **_held(claims))
    return {key for key, *_ in struck}


def fail(session: Session, claim: Claim, reason: str, now: datetime) -> None:
    """Record that a settled event has no outcome, and why."""
    session.execute(
        insert(FailedEvent).values(
            event_id=claim.event_id, epoch=claim.epoch, reason=reason, failed_at=now
        )
    )


def give_back(session: Session, claims: Sequence[Claim], now: datetime) -> None:
    """End leases as though they had not been; the caller commits."""
    if claims:
        session.execute(_GIVE_BACK, {**_held(claims), "again": now + WAKE_GRACE})


# What kept them from their end was not in them.
NOBODY: Final = UUID(int=0)


def release(session: Session, holder: UUID, culprit: UUID | None, now: datetime) -> list[UUID]:
    """Free what was claimed under a message that came to a bad end; the caller commits, then wakes it.

    Where the culprit is known, or `NOBODY`, the others' leases end as though they had not been; else all are suspects.
    """
    innocent = literal(0) if culprit is None else cast(_waits.event_id != culprit, Integer)
    freed = session.scalars(
        update(_PENDING)
        .where(_SUSPECT, _waits.lease_until > now, _waits.holder == holder)
        .values(
            lease_until=None,
            holder=None,
            wake_at=now + WAKE_GRACE,
            begun=_waits.begun - innocent,
        )
        .returning(_waits.event_id)
    )
    return sorted(freed)


def give_up(session: Session, now: datetime) -> int:
    """Write off what was begun too often, with the reason; the caller commits. Tells how many."""
    gone = (
        delete(_PENDING)
        .where(_SUSPECT, _GIVEN_UP, _FREE)
        .returning(_waits.event_id, _waits.epoch)
        .cte("gone")
    )
    rows = select(gone.c.event_id, gone.c.epoch, literal(POISON), literal(now))
    columns = ["event_id", "epoch", "reason", "failed_at"]
    failed = FailedEvent.__table__
    written = insert(failed).from_select(columns, rows).returning(failed.c.event_id)
    return len(session.scalars(written, {"now": now}).all())


def retry(session: Session, event_id: UUID, now: datetime) -> None:
    """Put a failed event back among those that wait, as a suspect; the caller commits, then wakes it.

    The rules of its acceptance judge it, and it counts as begun: it stays apart.
    """
    if session.get(Event, event_id) is None:
        raise NotFound("there is no such event")
    failed = session.get(FailedEvent, event_id, with_for_update=True)
    if failed is None:
        raise Conflict("the event has not failed", code="not_failed")
    session.delete(failed)
    session.add(
        PendingEvent(event_id=event_id, wake_at=now + WAKE_GRACE, epoch=failed.epoch, begun=1)
    )


def _lease(
    session: Session,
    statement: Prepared,
    event_ids: Sequence[UUID],
    now: datetime,
    holder: UUID,
    **more: int,
) -> list[Claim]:
    values: dict[str, Any] = {
        "ids": list(event_ids),
        "now": now,
        "until": now + LEASE,
        "by": holder,
        **more,
    }
    rows = statement.alone(session, **values)
    claimed = (
        Claim(key, epoch, ReadEvent(*event) if event[0] else None) for key, epoch, _, *event in rows
    )
    return sorted(claimed, key=attrgetter("event_id"))


def _held(claims: Sequence[Claim]) -> dict[str, list[object]]:
    # Two arrays, not a thousand parameters.
    return {
        "keys": [claim.event_id for claim in claims],
        "epochs": [claim.epoch for claim in claims],
    }


def _leasing(*chosen: Select[UUID]) -> Prepared:
    """The statement that leases rows which nobody else has locked."""
    locked = [rows.with_for_update(skip_locked=True).cte() for rows in chosen]
    ids = union_all(*(select(rows.c.event_id) for rows in locked)).scalar_subquery()
    # An array of which the planner does not know how many are in it: it would else read all that waits.
    taken = func.unnest(func.array(ids)).table_valued("event_id", name="taken").render_derived()
    until = bindparam("until", type_=DateTime(timezone=True))
    leased = (
        update(_PENDING)
        .where(_waits.event_id == taken.c.event_id)
        .values(
            lease_until=until,
            wake_at=until,
            epoch=_waits.epoch + 1,
            begun=_waits.begun + 1,
            holder=bindparam("by", type_=Uuid()),
        )
        # A lease that PostgreSQL forgets as it crashes harms nobody: the event waits, and is claimed anew.
        .returning(_waits.event_id, _waits.epoch, _NO_WAIT_FOR_THE_DISK)
        .cte("leased")
    )
    columns = (Event.__table__.c[one.name] for one in fields(ReadEvent))
    # One by one, whatever the planner thinks of the number of events.
    event = select(*columns).where(Event.id == leased.c.event_id).offset(0).lateral("event")
    return Prepared(select(leased, event).select_from(leased.outerjoin(event, true())))


def _still_held() -> ColumnElement[bool]:
    # Hidden behind a SELECT: where PostgreSQL sees how many they are, it reads all that waits.
    keys, epochs = (
        select(bindparam("keys", type_=ARRAY(Uuid()))).scalar_subquery(),
        select(bindparam("epochs", type_=ARRAY(BigInteger()))).scalar_subquery(),
    )
    held = func.unnest(keys, epochs).table_valued("event_id", "epoch", name="held").render_derived()
    return (_waits.event_id == held.c.event_id) & (_waits.epoch == held.c.epoch)


_keys = select(_waits.event_id)
_most = bindparam("most", type_=Integer())
_TOGETHER: Final = _leasing(
    _keys.where(_NAMED, _FRESH, _FREE),
    _keys.where(not_(_NAMED), *_OLDEST).order_by(_waits.event_id).limit(_most),
)
_SUSPECTED: Final = _keys.where(_NAMED, _SUSPECT, _FREE).order_by(_waits.event_id)
_overdue = (_SUSPECT, not_(_GIVEN_UP), _FREE, or_(_NAMED, _waits.wake_at <= _NOW))
_first = (_NAMED.desc(), _waits.wake_at)
_FIRST_SUSPECT: Final = select(_waits.begun).where(*_overdue).order_by(*_first).limit(1)
_alike = _waits.begun == bindparam("begun", type_=Integer())
_SUSPECTS: Final = _leasing(_keys.where(*_overdue, _alike).order_by(*_first).limit(_most))
_settling = delete(_PENDING).where(_still_held())
_SETTLE: Final = Prepared(_settling.returning(_waits.event_id))
_SETTLE_SOON: Final = Prepared(_settling.returning(_waits.event_id, _NO_WAIT_FOR_THE_DISK))
_GIVE_BACK: Final = (
    update(_PENDING)
    .where(_still_held())
    .values(
        lease_until=None,
        holder=None,
        wake_at=bindparam("again", type_=DateTime(timezone=True)),
        begun=_waits.begun - 1,
    )
)
