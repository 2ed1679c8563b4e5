"""Previews: what an attempt of a notification sends, made anew from the records and without any secret."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, TypeVar
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.channels import registry
from app.channels.base import Notice, Request
from app.config import Settings
from app.models.alerts import Alert
from app.models.events import Event
from app.models.memory import TimerDecision
from app.models.notifications import Cause, Notification
from app.services import channels, explaining, notices
from app.services.channels import Destination
from app.services.notices import AlertFacts, EventFacts, Subject

HIDDEN: Final = "•••"

Facts = TypeVar("Facts")


@dataclass(frozen=True)
class Preview:
    """A notice, the request that carries it as far as its kind tells that, and what keeps it from being sent."""

    notice: Notice
    request: Request | None
    problem: str | None


def preview(session: Session, settings: Settings, notification: Notification) -> Preview:
    """What would be sent now; what was sent before went the way that its channel had then."""
    target = notification.target
    destination = channels.destinations(session, settings, [target])[target]
    notice = _notice(session, settings, notification)
    request = None
    if destination.problem is None:
        request = registry.get(destination.kind).request(notice, _without_secrets(destination))
    return Preview(notice, request, destination.problem)


def _without_secrets(destination: Destination) -> dict[str, Any]:
    """The config, in which a secret is still seen to be there."""
    hidden = registry.get(destination.kind).secret_fields
    return {
        name: HIDDEN if name in hidden and value else value
        for name, value in destination.config.items()
    }


def _notice(session: Session, settings: Settings, notification: Notification) -> Notice:
    subject = _facts(Subject, notification)
    alert = session.get(Alert, notification.alert_id) if notification.alert_id else None
    event_id = _about(session, notification, alert)
    event = session.scalar(select(Event).where(Event.id == event_id)) if event_id else None
    facts = None if event is None else _facts(EventFacts, event)
    about = explaining.of_notification(session, subject, facts)
    version_id = notification.rule_version_id
    versions: Mapping[UUID, notices.Version] = (
        notices.versions(session, [version_id]) if version_id else {}
    )
    return notices.build(
        subject,
        versions.get(version_id) if version_id else None,
        None if alert is None else _facts(AlertFacts, alert),
        about.event if about else facts,
        about.explanation if about else None,
        console=settings.public_url,
    )


def _about(session: Session, notification: Notification, alert: Alert | None) -> UUID | None:
    """The event that delivery would tell of."""
    match notification.cause:
        case Cause.EVENT:
            return notification.cause_id
        case Cause.ALERT | Cause.WAKE | Cause.ACKNOWLEDGED:
            return alert.last_event_id if alert else None
        case Cause.TIMER | Cause.GROUP:
            decision = select(TimerDecision.event_id)
            return session.scalar(decision.where(TimerDecision.id == notification.cause_id))
        case _:
            return None


def _facts(kind: type[Facts], row: object) -> Facts:
    return kind(**{one.name: getattr(row, one.name) for one in fields(kind)})  # type: ignore[arg-type]
