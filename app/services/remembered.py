"""What rules remember, as people and the life of rules change it."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.config import Memory
from app.models.rules import RuleVersion
from app.services import states
from app.services.machines import machine_key, machine_of, microseconds, rules_of
from app.services.states import Book


def begin(session: Session, version: RuleVersion, memory: Memory, now: datetime) -> None:
    """Await what a version expects from now on; the caller commits."""
    rule = rules_of(session, [version.id]).get(version.id)
    if rule is None or not rule.compiled.has_memory or not version.enabled:
        return
    book = Book(machine_of(rule, memory))
    book.machine.begin(book.states, microseconds(now))
    states.write(session, {version.id: book}, now)


def close(session: Session, rule_id: UUID, key: str, memory: Memory, now: datetime) -> None:
    """Tell a rule that its alert was resolved by hand; the caller commits."""
    current = (RuleVersion.rule_id == rule_id, RuleVersion.until_revision.is_(None))
    versions = session.scalars(select(RuleVersion.id).where(*current)).all()
    rule = next(iter(rules_of(session, versions).values()), None)
    if rule is None or not rule.compiled.has_memory:
        return
    address = ("", machine_key(key))
    books = states.hold(session, {rule.version_id: (machine_of(rule, memory), [address])})
    state = books[rule.version_id].states.get(address)
    if state is not None:
        state.close()
        states.write(session, books, now)
