"""The audit log: who changed what, and when."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import event, inspect, select
from sqlalchemy.orm import Session

from app.ids import uuid7, uuid7_floor
from app.models.audit import AuditEntry

MOST_OBJECTS: Final = 20
LONGEST_TEXT: Final = 200
# Long, or told by another column; sealed secrets and digests are bytes, which are never shown.
HIDDEN: Final = {"id", "tree", "schema", "created_at", "updated_at"}


@dataclass
class Change:
    """What is being done, and by whom; it gathers what it touches until it is recorded."""

    actor: str
    resource: str
    verb: str
    asked_for: str | None = None
    request_id: str | None = None
    touched: list[dict[str, Any]] = field(default_factory=list)

    def gather(self, session: Session) -> None:
        """Note the rows that are about to be written, with their old and new values."""
        for fate, rows in (
            ("created", session.new),
            ("changed", session.dirty),
            ("deleted", session.deleted),
        ):
            for row in rows:
                if len(self.touched) < MOST_OBJECTS and not isinstance(row, AuditEntry):
                    self.touched.append({"fate": fate, **_touched(row)})

    def gather_statement(self, table: str, fate: str) -> None:
        """Note a statement that writes any number of rows."""
        if len(self.touched) < MOST_OBJECTS:
            bulk: dict[str, Any] = {
                "fate": fate,
                "table": table,
                "id": None,
                "name": None,
                "fields": {},
            }
            self.touched.append(bulk)


def follow(session: Session, change: Change) -> None:
    """Let a change gather whatever this session writes from now on."""
    event.listen(session, "before_flush", lambda written, *_: change.gather(written))


@contextmanager
def following(session: Session, change: Change) -> Iterator[None]:
    """Likewise, for as long as it takes: for a session that goes on to other things."""

    def gather(written: Session, *_: object) -> None:
        change.gather(written)

    event.listen(session, "before_flush", gather)
    try:
        yield
    finally:
        event.remove(session, "before_flush", gather)


def record(session: Session, change: Change, now: datetime) -> None:
    """Write a change down; in the transaction of the change, which the caller commits."""
    session.flush()
    kind = change.resource.removesuffix("s")
    mains = [row for row in change.touched if row["table"].endswith(change.resource)]
    main = mains[0] if len(mains) == 1 else {}
    session.add(
        AuditEntry(
            id=uuid7(now),
            at=now,
            actor=change.actor,
            action=f"{kind}.{change.verb}",
            object_kind=kind,
            object_id=main.get("id") or change.asked_for,
            object_name=main.get("name"),
            request_id=change.request_id,
            changes=change.touched,
        )
    )


def listing(
    session: Session,
    *,
    actor: str | None,
    action: str | None,
    since: datetime | None,
    after: UUID | None,
    limit: int,
) -> Sequence[AuditEntry]:
    """Entries, newest first, from past the entry `after`."""
    query = select(AuditEntry).order_by(AuditEntry.id.desc()).limit(limit)
    if actor is not None:
        query = query.where(AuditEntry.actor == actor)
    if action is not None:
        query = query.where(AuditEntry.action == action)
    if since is not None:
        query = query.where(AuditEntry.id >= uuid7_floor(since))
    if after is not None:
        query = query.where(AuditEntry.id < after)
    return session.scalars(query).all()


def _touched(row: Any) -> dict[str, Any]:
    state = inspect(row)
    fields = {}
    for attribute in state.mapper.column_attrs:
        history = state.attrs[attribute.key].history
        if history.has_changes() and attribute.key not in HIDDEN:
            fields[attribute.key] = {
                name: _shown(values[0])
                for name, values in (("old", history.deleted), ("new", history.added))
                if values
            }
    return {
        "table": row.__tablename__,
        "id": ", ".join(map(str, state.mapper.primary_key_from_instance(row))),
        "name": getattr(row, "name", None),
        "fields": fields,
    }


def _shown(value: Any) -> Any:
    """A value as JSON has it, without secrets and not at length."""
    if isinstance(value, bytes):
        return "(sealed)"
    if isinstance(value, Enum):
        value = value.value
    if value is None or isinstance(value, bool | int | float | dict | list):
        return value
    text = str(value)
    return text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT] + "…"
