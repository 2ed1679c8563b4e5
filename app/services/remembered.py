"""What rules remember, as people and the life of rules change it."""

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.config import Memory
from app.models.alerts import Alert, AlertState
from app.models.rules import Mode, RuleVersion
from app.services import states
from app.services.machines import machine_key, machine_of, microseconds, rules_of
from app.services.states import Book
from rules_dsl.memory import State

# Who has more open alerts of one rule does not wait for them to end by themselves.
MOST_ALERTS: Final = 10_000


def begin(session: Session, version: RuleVersion, memory: Memory, now: datetime) -> None:
    """Await what a version expects from now on, and the end of alerts from before it; the caller commits."""
    rule = rules_of(session, [version.id]).get(version.id)
    if rule is None or not rule.compiled.has_memory or version.mode is Mode.OFF:
        return
    if version.memory_of is not None:  # it goes on as before
        return
    book = Book(machine_of(rule, memory))
    book.machine.begin(book.states, microseconds(now))
    _know_alerts(session, rule.rule_id, book, now)
    states.write(session, {version.id: book}, now)


def _know_alerts(session: Session, rule_id: UUID, book: Book, now: datetime) -> None:
    """What an earlier version has opened is this one's to resolve."""
    plan = book.machine.plan
    if plan.resolves is None and plan.resolve_after is None:
        return
    unresolved = (Alert.rule_id == rule_id, Alert.state != AlertState.RESOLVED)
    for alert in session.scalars(select(Alert).where(*unresolved).limit(MOST_ALERTS)):
        address = ("", machine_key(alert.key))
        state = book.states.setdefault(address, State(plan))
        state.matches, state.alert_time = alert.count, microseconds(alert.last_at)
        if plan.resolve_after is not None:
            state.resolve_due = microseconds(now) + plan.resolve_after
        state.settle()


def close(session: Session, rule_id: UUID, key: str, memory: Memory, now: datetime) -> None:
    """Tell a rule that its alert was resolved by hand; the caller commits."""
    current = (RuleVersion.rule_id == rule_id, RuleVersion.until_revision.is_(None))
    versions = session.scalars(select(RuleVersion.id).where(*current)).all()
    rule = next(iter(rules_of(session, versions).values()), None)
    if rule is None or not rule.compiled.has_memory:
        return
    address = ("", machine_key(key))
    books = states.hold(session, {rule.memory_id: (machine_of(rule, memory), [address])})
    state = books[rule.memory_id].states.get(address)
    if state is not None:
        state.close()
        states.write(session, books, now)
