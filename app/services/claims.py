"""Claims: who evaluates which waiting event, and what becomes of one that ends without an outcome.

A claim is a lease with an epoch. Events are claimed together, as many as wait; one whose evaluation began and was not
heard of again is a suspect, and is claimed apart, so that it can harm few others and soon none. After a few such ends
it is given up.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    CTE,
    BigInteger,
    ColumnElement,
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
    union_all,
    update,
)
from sqlalchemy.orm import Session

from app.models.events import Event, FailedEvent, PendingEvent
from app.services.errors import Conflict, NotFound

LEASE = timedelta(seconds=22)
TOGETHER = 500
COMPANY = 25
GIVE_UP_AFTER = 5
POISON = f"poison: its evaluation was begun {GIVE_UP_AFTER} times and never ended"
# The sweep looks after this long whether what was woken still waits.
WAKE_GRACE = timedelta(seconds=5)
# Constants, not parameters: the partial index of the suspects is only used where the planner sees them.
_FRESH = PendingEvent.begun == literal_column("0")
_SUSPECT = PendingEvent.begun > literal_column("0")
_NO_WAIT_FOR_THE_DISK = func.set_config("synchronous_commit", "off", literal_column("true"))
_GIVEN_UP = PendingEvent.begun >= literal_column(str(GIVE_UP_AFTER))


@dataclass(frozen=True)
class Claim:
    """The right to evaluate one event, until the lease ends or somebody claims anew."""

    event_id: UUID
    epoch: int


def together(
    session: Session, event_ids: Sequence[UUID], now: datetime, holder: UUID
) -> list[Claim]:
    """Lease those of the events that wait freshly, and beside them the oldest others; the caller commits.

    So a message does the work of many when many wait, whether their own messages come, come late or were never sent.
    """
    named = _among(event_ids)
    own = _locked(select(PendingEvent.event_id).where(named, _FRESH, _free(now)), "own")
    others = _locked(
        select(PendingEvent.event_id)
        .where(not_(named), _FRESH, _free(now))
        .order_by(PendingEvent.event_id)
        .limit(max(0, TOGETHER - len(event_ids))),
        "others",
    )
    rows = union_all(select(own.c.event_id), select(others.c.event_id)).subquery("taken")
    return _lease(session, PendingEvent.event_id == rows.c.event_id, now, holder)


def suspected(session: Session, event_ids: Collection[UUID], now: datetime) -> list[UUID]:
    """Those of the events that wait as suspects, in nobody's hands."""
    found = session.scalars(
        select(PendingEvent.event_id)
        .where(_among(list(event_ids)), _SUSPECT, _free(now))
        .order_by(PendingEvent.event_id)
    )
    return list(found)


def suspects(
    session: Session, event_ids: Sequence[UUID], now: datetime, holder: UUID
) -> list[Claim]:
    """Lease suspects, of the events or else overdue ones; the caller commits.

    Those that were begun once go in small companies, since most are innocent of a death that left no name; later alone.
    """
    named = _among(event_ids)
    first = [named.desc(), PendingEvent.wake_at]
    waiting = (_SUSPECT, not_(_GIVEN_UP), _free(now), or_(named, PendingEvent.wake_at <= now))
    begun = session.scalar(select(PendingEvent.begun).where(*waiting).order_by(*first).limit(1))
    if begun is None:
        return []
    alike = select(PendingEvent.event_id).where(*waiting, PendingEvent.begun == begun)
    rows = _locked(alike.order_by(*first).limit(COMPANY if begun == 1 else 1), "suspects")
    return _lease(session, PendingEvent.event_id == rows.c.event_id, now, holder)


def settle(session: Session, claims: Sequence[Claim]) -> set[UUID]:
    """Strike the claimed events off; those whose epoch moved on belong to somebody else."""
    if not claims:
        return set()
    settled = delete(PendingEvent).where(_still_held(claims)).returning(PendingEvent.event_id)
    return set(session.scalars(settled))


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
        free = update(PendingEvent).where(_still_held(claims))
        began = PendingEvent.begun - 1
        session.execute(
            free.values(lease_until=None, holder=None, wake_at=now + WAKE_GRACE, begun=began)
        )


def release(session: Session, holder: UUID, culprit: UUID | None, now: datetime) -> list[UUID]:
    """Free what was claimed under a message that came to a bad end; the caller commits, then wakes it.

    Where the culprit is known the others' leases end as though they had not been; else all are suspects.
    """
    innocent = literal(0) if culprit is None else cast(PendingEvent.event_id != culprit, Integer)
    freed = session.scalars(
        update(PendingEvent)
        .where(_SUSPECT, PendingEvent.lease_until > now, PendingEvent.holder == holder)
        .values(
            lease_until=None,
            holder=None,
            wake_at=now + WAKE_GRACE,
            begun=PendingEvent.begun - innocent,
        )
        .returning(PendingEvent.event_id)
    )
    return sorted(freed)


def give_up(session: Session, now: datetime) -> int:
    """Write off what was begun too often, with the reason; the caller commits. Tells how many."""
    gone = (
        delete(PendingEvent)
        .where(_SUSPECT, _GIVEN_UP, _free(now))
        .returning(PendingEvent.event_id, PendingEvent.epoch)
        .cte("gone")
    )
    rows = select(gone.c.event_id, gone.c.epoch, literal(POISON), literal(now))
    columns = ["event_id", "epoch", "reason", "failed_at"]
    written = insert(FailedEvent).from_select(columns, rows).returning(FailedEvent.event_id)
    return len(session.scalars(written).all())


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
    session: Session, chosen: ColumnElement[bool], now: datetime, holder: UUID
) -> list[Claim]:
    claimed = session.execute(
        update(PendingEvent)
        .where(chosen)
        .values(
            lease_until=now + LEASE,
            wake_at=now + LEASE,
            epoch=PendingEvent.epoch + 1,
            begun=PendingEvent.begun + 1,
            holder=holder,
        )
        # A lease that PostgreSQL forgets as it crashes harms nobody: the event waits, and is claimed anew.
        .returning(PendingEvent.event_id, PendingEvent.epoch, _NO_WAIT_FOR_THE_DISK)
    )
    return sorted((Claim(key, epoch) for key, epoch, _ in claimed), key=attrgetter("event_id"))


def _locked(rows: Select[UUID], name: str) -> CTE:
    return rows.with_for_update(skip_locked=True).cte(name)


def _free(now: datetime) -> ColumnElement[bool]:
    return or_(PendingEvent.lease_until.is_(None), PendingEvent.lease_until < now)


def _among(event_ids: Sequence[UUID]) -> ColumnElement[bool]:
    return PendingEvent.event_id == any_(_array(event_ids, Uuid()))


def _still_held(claims: Sequence[Claim]) -> ColumnElement[bool]:
    # Two arrays, not a thousand parameters.
    keys = _array([claim.event_id for claim in claims], Uuid())
    epochs = _array([claim.epoch for claim in claims], BigInteger())
    held = func.unnest(keys, epochs).table_valued("event_id", "epoch", name="held").render_derived()
    return (PendingEvent.event_id == held.c.event_id) & (PendingEvent.epoch == held.c.epoch)


def _array(values: Sequence[object], kind: Uuid[UUID] | BigInteger) -> ColumnElement[object]:
    return bindparam(None, list(values), type_=ARRAY(kind), unique=True)
