"""What a channel is handed about one notification."""

import os
import threading
from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.channels.base import Notice
from app.models.notifications import Cause
from app.models.rules import Mode, RuleVersion
from app.services.rulesets import restore
from rules_dsl import Rule as CompiledRule
from rules_dsl import RuleError

# Rule versions that are kept compiled; those that match often are few.
KEPT: Final = 1000
DIGEST: Final = "Digest"
KINDS: Final[Mapping[str, str]] = {
    Cause.ALERT: "alert.resolved",
    Cause.ACKNOWLEDGED: "alert.acknowledged",
}


@dataclass(frozen=True)
class Version:
    """What a notice tells of the rule version that decided; not compiled where this release refuses its text."""

    rule_id: UUID
    name: str
    number: int
    compiled: CompiledRule | None
    memory_id: UUID
    shadow: bool = False


@dataclass(frozen=True, slots=True)
class Subject:
    """What a notice tells of its notification."""

    id: UUID
    cause: str
    cause_id: UUID
    rule_version_id: UUID | None
    target: str
    message: str
    digest: dict[str, Any] | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class AlertFacts:
    """What a notice tells of an alert."""

    id: UUID
    key: str
    state: str
    severity: str
    count: int
    opened_at: datetime
    resolved_at: datetime | None
    resolved_by: str | None


@dataclass(frozen=True, slots=True)
class EventFacts:
    """What a notice tells of an event; what stands in for one that never came has no key."""

    id: UUID | None
    type: str | None
    accepted_at: datetime
    body: dict[str, Any]


class _Versions:
    """The versions that were needed lately. They never change."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin with nothing, in a process just forked: whose lock it was is gone."""
        self._lock = threading.Lock()
        self._kept: OrderedDict[UUID, Version] = OrderedDict()

    def get(self, session: Session, ids: Collection[UUID]) -> dict[UUID, Version]:
        with self._lock:
            found = {key: self._kept[key] for key in ids if key in self._kept}
        missing = [key for key in ids if key not in found]
        if missing:
            rows = session.scalars(select(RuleVersion).where(RuleVersion.id.in_(missing)))
            found |= {row.id: _version(row) for row in rows}
        with self._lock:
            for key, version in found.items():
                self._kept[key] = version
                self._kept.move_to_end(key)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return found


_known: Final = _Versions()
os.register_at_fork(after_in_child=_known.reset)
versions: Final = _known.get


def build(
    notification: Subject,
    version: Version | None,
    alert: AlertFacts | None,
    event: EventFacts | None,
    recorded: dict[str, Any] | None = None,
    first: str | None = None,
    console: str | None = None,
    *,
    late: bool = False,
) -> Notice:
    """The notice of an opened, acknowledged or resolved alert, or of a digest, which is about none alone.

    The explanation of an opening is recomputed from the version that decided, unless it was `recorded`.
    """
    opened = notification.cause in (Cause.EVENT, Cause.WAKE)
    return Notice(
        id=str(notification.id),
        kind=_kind(notification),
        timestamp=notification.created_at,
        address=notification.target.partition(":")[2],
        alert={} if alert is None else _alert(alert),
        rule=_digest(notification.digest)
        if version is None or alert is None
        else _rule(version, alert),
        event={} if event is None else _event(event),
        message=notification.message,
        explanation=recorded
        or (_explanation(version, event) if opened and version and event else None),
        digest=notification.digest,
        first=first,
        url=console and page_of(alert, console),
        late=late,
    )


def page_of(alert: AlertFacts | None, console: str) -> str:
    """The page of an alert, in the console that people find at that address; or the first of all."""
    return f"{console}/" if alert is None else f"{console}/console/alerts/{alert.id}"


def _kind(notification: Subject) -> str:
    if notification.digest is not None:
        return "alert.digest"
    return KINDS.get(notification.cause, "alert.opened")


def _alert(alert: AlertFacts) -> dict[str, Any]:
    shown = {
        "id": str(alert.id),
        "key": alert.key,
        "state": alert.state,
        "count": alert.count,
        "opened_at": alert.opened_at.isoformat(),
    }
    if alert.resolved_at is not None:
        shown |= {"resolved_at": alert.resolved_at.isoformat(), "resolved_by": alert.resolved_by}
    return shown


def _rule(version: Version, alert: AlertFacts) -> dict[str, Any]:
    return {
        "id": str(version.rule_id),
        "name": version.name,
        "version": version.number,
        "severity": alert.severity,
    }


def _digest(digest: Mapping[str, Any] | None) -> dict[str, Any]:
    """What stands in the place of a rule; the release before did not say how severe a digest is."""
    return {"name": DIGEST, "severity": (digest or {}).get("severity", "info")}


def _event(event: EventFacts) -> dict[str, Any]:
    return {
        "id": event.id and str(event.id),
        "type": event.type,
        "accepted_at": event.accepted_at.isoformat(),
        "body": event.body,
    }


def _version(row: RuleVersion) -> Version:
    try:
        compiled = restore(row.tree, row.dsl)
    except RuleError:
        compiled = None
    memory_id, shadow = row.memory_of or row.id, row.mode is Mode.SHADOW
    return Version(row.rule_id, row.name, row.number, compiled, memory_id, shadow)


def _explanation(version: Version, event: EventFacts) -> dict[str, Any] | None:
    """Why the version was true; None where that cannot be said any more, for the alert matters more."""
    if version.compiled is None:
        return None
    return dict(version.compiled.explain(event.body, event.accepted_at).to_dict())
