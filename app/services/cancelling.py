"""Cancelling what a rule has not sent when it leaves `live`, however much that is.

The change cancels some of it, and notes in the rule's row up to which key the rest reaches: nothing up to there is
begun any more, also when the rule is live again. The sweep cancels the rest part by part, and takes the note away when
nothing up to there waits. What a rule makes after its change has later keys (`rounds`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    Case,
    ColumnElement,
    FromClause,
    case,
    exists,
    func,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.orm import Session

from app.models.notifications import Notification, Status
from app.models.rules import Mode, Rule
from app.services import standing
from app.services.rounds import RULE_OFF, RULE_SHADOW, kind_of

# Of one transaction: a tenth of a second, where a request has little more than one.
AT_ONCE: Final = 1_000
# More than that are told as so many.
COUNTED: Final = 100_000


@dataclass(frozen=True)
class Cancelled:
    """The kinds of channel of what was cancelled, and how many more will be."""

    kinds: tuple[str, ...] = ()
    left: int = 0


NOTHING: Final = Cancelled()


def begin(session: Session, rule: Rule, now: datetime) -> Cancelled:
    """Cancel some of what waits, of a rule whose row is locked, and note the rest; the caller commits.

    What is under way right now ends by itself; it is not repeated.
    """
    shadow = rule.deleted_at is None and rule.mode is Mode.SHADOW
    reason = RULE_SHADOW if shadow else RULE_OFF
    kinds = _cancel(session, rule.id, reason, now)
    waiting, left = _count(session, rule.id, now)
    if waiting:
        _note(session, rule.id, reason)
    return Cancelled(kinds, left)


def unfinished(session: Session) -> Sequence[UUID]:
    """The rules of which a rest was noted."""
    return session.scalars(select(Rule.id).where(Rule.cancels_until.is_not(None))).all()


def go_on(session: Session, rule_id: UUID, now: datetime) -> tuple[str, ...]:
    """Cancel some of the rest, and tell its kinds of channel; none where that is all for now. The caller commits."""
    note = select(Rule.cancels_until, Rule.cancels_for).where(Rule.id == rule_id)
    until, reason = session.execute(note).one()
    if until is None or reason is None:
        return ()
    return _cancel(session, rule_id, reason, now, until)


def conclude(session: Session, rule_id: UUID) -> None:
    """Take the note away if nothing of the rest waits; the caller commits."""
    until = session.scalar(select(Rule.cancels_until).where(Rule.id == rule_id))
    if until is None or session.scalar(select(exists().where(*_waiting(rule_id, until)))):
        return
    standing.hold(session, rule_id)
    noted = update(Rule).where(Rule.id == rule_id, Rule.cancels_until == until)
    session.execute(noted.values(cancels_until=None, cancels_for=None))


def gone(sent: FromClause, rule: FromClause) -> Case[Any]:
    """Why a rule no longer wants a notification sent; null where it does, and for a digest, which has no rule."""
    return case(
        (rule.c.deleted_at.is_not(None), RULE_OFF),
        (is_noted(sent, rule), rule.c.cancels_for),
        # What a rule made before its noise took it away is sent.
        (rule.c.enabled | rule.c.demoted_at.is_not(None), None),
        (rule.c.shadow, RULE_SHADOW),
        (rule.c.enabled.is_(False), RULE_OFF),
    )


def is_noted(sent: FromClause, rule: FromClause) -> ColumnElement[bool]:
    """Whether a notification is of the rest; null where there is none."""
    return sent.c.id <= rule.c.cancels_until


def _cancel(
    session: Session, rule_id: UUID, reason: str, now: datetime, until: UUID | None = None
) -> tuple[str, ...]:
    waiting = select(Notification.id).where(*_waiting(rule_id, until), _free(now))
    # What somebody holds just now is left for later, rather than that each might wait for the other.
    some = waiting.limit(AT_ONCE).with_for_update(skip_locked=True).cte()
    targets = session.scalars(
        update(Notification)
        .where(Notification.id == some.c.id)
        .values(status=Status.CANCELLED, reason=reason, finished_at=now, lease_until=None)
        .returning(Notification.target)
    )
    return tuple(map(kind_of, targets))


def _count(session: Session, rule_id: UUID, now: datetime) -> tuple[int, int]:
    """How many wait, and how many of these are not under way."""
    found = select(_free(now).label("free")).where(*_waiting(rule_id)).limit(COUNTED).subquery()
    counts = select(func.count(), func.count().filter(found.c.free)).select_from(found)
    waiting, free = session.execute(counts).one()
    return waiting, free


def _waiting(rule_id: UUID, until: UUID | None = None) -> tuple[ColumnElement[bool], ...]:
    noted = true() if until is None else Notification.id <= until
    return Notification.rule_id == rule_id, Notification.status == Status.PENDING, noted


def _free(now: datetime) -> ColumnElement[bool]:
    lease = Notification.lease_until
    return or_(lease.is_(None), lease <= now)


def _note(session: Session, rule_id: UUID, reason: str) -> None:
    mine = select(Notification.id).where(Notification.rule_id == rule_id)
    newest = mine.order_by(Notification.id.desc()).limit(1).scalar_subquery()
    noted = update(Rule).where(Rule.id == rule_id)
    # Past the session: what that writes is on record as what somebody has changed.
    session.connection().execute(noted.values(cancels_until=newest, cancels_for=reason))
