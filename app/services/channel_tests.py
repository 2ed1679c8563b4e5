"""Tests of channels: one real message through broker and worker, and the receiver's real answer.

A test is tried once, whether the channel is switched on or held; a delivery ends the receiver's pause.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from app.channels import registry
from app.channels.base import Notice, Outcome, Verdict
from app.channels.transport import Transport
from app.config import Settings
from app.ids import uuid7
from app.models.channels import ChannelRow, ChannelTest
from app.services import channels, notices, receivers
from app.services.channels import Destination

KEPT = timedelta(days=1)


@dataclass(frozen=True)
class Trial:
    """One test under way."""

    test_id: UUID
    receiver: str
    destination: Destination
    notice: Notice


def create(session: Session, channel: ChannelRow, now: datetime) -> ChannelTest:
    """A test that waits for a worker; forgets yesterday's.

    The caller has locked the channel, lest it be deleted meanwhile, and commits, then publishes.
    """
    session.execute(delete(ChannelTest).where(ChannelTest.created_at < now - KEPT))
    row = ChannelTest(id=uuid7(now), channel_id=channel.id, created_at=now)
    session.add(row)
    session.flush()
    return row


def find(session: Session, test_id: UUID) -> ChannelTest | None:
    """A test as it stands now."""
    return session.get(ChannelTest, test_id, populate_existing=True)


def latest(session: Session, channel_ids: Collection[UUID]) -> dict[UUID, ChannelTest]:
    """The last test of each channel that was tried of late."""
    rows = session.scalars(
        select(ChannelTest)
        .where(ChannelTest.channel_id.in_(channel_ids))
        .ext(distinct_on(ChannelTest.channel_id))
        .order_by(ChannelTest.channel_id, ChannelTest.id.desc())
    )
    return {row.channel_id: row for row in rows}


def begin(session: Session, test_id: UUID, settings: Settings, now: datetime) -> Trial | None:
    """Take a test that nobody has taken; the caller commits before it sends."""
    taken = session.scalar(
        update(ChannelTest)
        .where(ChannelTest.id == test_id, ChannelTest.started_at.is_(None))
        .values(started_at=now)
        .returning(ChannelTest.channel_id)
    )
    row = session.get(ChannelRow, taken) if taken else None
    if row is None:
        return None
    target = f"{row.kind}:{row.name}"
    destination = channels.open_row(settings, row)
    return Trial(
        test_id, receivers.key_of(target), destination, _notice(test_id, row, settings, now)
    )


def send(trial: Trial, transport: Transport) -> Verdict:
    """Make the one attempt; every failure is a verdict."""
    destination = trial.destination
    if destination.problem is not None:
        return Verdict(Outcome.PERMANENT, None, destination.problem)
    return registry.get(destination.kind).send(trial.notice, destination.config, transport)


def finish(session: Session, trial: Trial, verdict: Verdict, now: datetime) -> None:
    """Write down the answer; the caller commits."""
    session.execute(
        update(ChannelTest)
        .where(ChannelTest.id == trial.test_id)
        .values(
            finished_at=now,
            outcome=verdict.outcome,
            status_code=verdict.status,
            latency_ms=round(verdict.latency * 1000),
            detail=verdict.detail,
            response=verdict.response.replace("\0", "\ufffd"),
        )
    )
    if verdict.outcome is Outcome.DELIVERED:
        receivers.forget(session, trial.receiver, now)


def _notice(test_id: UUID, row: ChannelRow, settings: Settings, now: datetime) -> Notice:
    return Notice(
        id=str(test_id),
        kind="channel.test",
        timestamp=now,
        address=row.name,
        alert={},
        rule={"name": "Test of this channel", "severity": "info"},
        event={"id": str(test_id), "type": "sentinel.channel.test", "body": {}},
        message=f"Sentinel can reach {row.kind}:{row.name}.",
        url=settings.public_url and notices.page_of(None, settings.public_url),
    )
