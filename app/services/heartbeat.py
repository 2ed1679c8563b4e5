"""The heartbeat: once a minute an event of Sentinel's own goes the whole way, and at its end an address is pinged.

Whoever watches that address notices Sentinel's own death. A row for each minute says how far its event has come; its
key is why all workers together begin one. A step that comes too late ends there: what takes a minute is not alive.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import delete, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from app.channels.answers import judge
from app.channels.base import Verdict
from app.channels.egress import Egress
from app.channels.transport import Transport
from app.models.events import AnyEvent
from app.models.silences import Heartbeat
from app.services import ingest

TYPE = "sentinel.heartbeat"
SOURCE = "sentinel"
MINUTE = timedelta(minutes=1)
KEPT = timedelta(days=1)


def begin(session: Session, now: datetime) -> UUID | None:
    """This minute's event, if nobody has begun it; the caller commits, then has it evaluated."""
    minute = now.astimezone(UTC).replace(second=0, microsecond=0)
    body = {"type": TYPE, "minute": minute.isoformat()}
    arrival = ingest.check(body, json.dumps(body)).arrive(now)
    begun = session.scalar(
        upsert(Heartbeat)
        .values(event_id=arrival.id, minute=minute, begun_at=now)
        .on_conflict_do_nothing(index_elements=["minute"])
        .returning(Heartbeat.event_id)
    )
    if begun is not None:
        ingest.store(session.connection(), [arrival], source=SOURCE)
    return begun


def is_own(event: AnyEvent) -> bool:
    """Whether an event is a heartbeat, and no other event that calls itself one."""
    return event.type == TYPE and event.source == SOURCE


def evaluated(session: Session, event_ids: Sequence[UUID], now: datetime) -> list[UUID]:
    """Note that heartbeats were evaluated; those in time are to be pinged. The caller commits."""
    if not event_ids:
        return []
    done = (
        update(Heartbeat)
        .where(Heartbeat.event_id.in_(event_ids), Heartbeat.begun_at > now - MINUTE)
        .values(evaluated_at=now)
        .returning(Heartbeat.event_id)
    )
    return list(session.scalars(done))


def take(session: Session, event_id: UUID, now: datetime) -> bool:
    """Whether this is the one to ping for a heartbeat, and in time; the caller commits before it does."""
    taken = session.scalar(
        update(Heartbeat)
        .where(
            Heartbeat.event_id == event_id,
            Heartbeat.begun_at > now - MINUTE,
            Heartbeat.evaluated_at.is_not(None),
            Heartbeat.pinged_at.is_(None),
        )
        .values(pinged_at=now)
        .returning(Heartbeat.event_id)
    )
    return taken is not None


def ping(url: str, now: datetime) -> Verdict:
    """Tell the address, whatever network it is in: it is the operator's own, and nobody else may reach it by this.

    So the guard that lets it through is made for it alone, once a minute.
    """
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    body = json.dumps({"type": TYPE, "timestamp": now.isoformat()}).encode()
    transport = Transport(Egress([f"{host}:{port}"]))
    return judge(transport.post(url, body, {"Content-Type": "application/json"}))


def note(session: Session, event_id: UUID, verdict: Verdict) -> None:
    """Write down what the address answered; the caller commits."""
    mine = update(Heartbeat).where(Heartbeat.event_id == event_id)
    session.execute(mine.values(outcome=verdict.detail))


def purge(session: Session, now: datetime) -> None:
    """Drop those of yesterday; the caller commits."""
    session.execute(delete(Heartbeat).where(Heartbeat.minute < now - KEPT))
