"""The messages and the mode that the receiver and the page share."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.models.inbox import InboxMessage, InboxMode

KEPT = 500
MAX_BODY = 1024 * 1024
MODES = {"ok": 200, "500": 500, "429": 429, "hang": None}
_MODE_ID = 1


def current_mode(session: Session) -> str:
    """How the inbox is told to answer."""
    mode = session.scalar(select(InboxMode.mode).where(InboxMode.id == _MODE_ID))
    return mode if mode in MODES else "ok"


def set_mode(session: Session, mode: str) -> None:
    """Tell the inbox how to answer from now on."""
    row = insert(InboxMode).values(id=_MODE_ID, mode=mode)
    session.execute(row.on_conflict_do_update(index_elements=["id"], set_={"mode": mode}))


def record(
    session: Session, source: str, path: str, headers: Mapping[str, str], body: bytes
) -> str:
    """Keep a request and forget the oldest; the mode that it is answered by."""
    mode = current_mode(session)
    message = InboxMessage(
        received_at=datetime.now(UTC),
        source=source,
        path=_text(path),
        headers={name: _text(value) for name, value in headers.items()},
        body=_text(body[:MAX_BODY].decode("utf-8", "replace")),
        answered=MODES[mode],
    )
    session.add(message)
    session.flush()
    session.execute(delete(InboxMessage).where(InboxMessage.id <= message.id - KEPT))
    return mode


def latest(session: Session, count: int) -> Sequence[InboxMessage]:
    """The newest messages, newest first."""
    query = select(InboxMessage).order_by(InboxMessage.id.desc()).limit(count)
    return session.scalars(query).all()


def mark(session: Session) -> str:
    """A word that changes with the messages; each of them stays as it came."""
    query = select(func.count(), func.max(InboxMessage.id))
    count, newest = session.execute(query).one()
    return f"{count}-{newest or 0}"


def clear(session: Session) -> None:
    """Forget all messages."""
    session.execute(delete(InboxMessage))


def _text(value: str) -> str:
    """What PostgreSQL keeps as text, which has no NUL."""
    return value.replace("\0", "\ufffd")
