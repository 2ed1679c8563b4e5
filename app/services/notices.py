"""What a channel is handed about one notification."""

from typing import Any

from app.channels.base import Notice
from app.models.alerts import Alert
from app.models.events import Event
from app.models.notifications import Notification
from app.models.rules import Rule, RuleVersion
from app.services.rulesets import restore
from rules_dsl import RuleError


def build(
    notification: Notification, rule: Rule, version: RuleVersion, alert: Alert, event: Event
) -> Notice:
    """The notice of an opened alert; the explanation is recomputed from the version that decided."""
    return Notice(
        id=str(notification.id),
        kind="alert.opened",
        timestamp=notification.created_at,
        address=notification.target.partition(":")[2],
        alert={
            "id": str(alert.id),
            "state": alert.state,
            "count": alert.count,
            "opened_at": alert.opened_at.isoformat(),
        },
        rule={
            "id": str(rule.id),
            "name": version.name,
            "version": version.number,
            "severity": alert.severity,
        },
        event={
            "id": str(event.id),
            "type": event.type,
            "accepted_at": event.accepted_at.isoformat(),
            "body": event.body,
        },
        message=notification.message,
        explanation=_explanation(version, event),
        url=None,
    )


def _explanation(version: RuleVersion, event: Event) -> dict[str, Any] | None:
    """Why the version was true; None where this release refuses its text, for the alert matters more."""
    try:
        compiled = restore(version.tree, version.dsl)
    except RuleError:
        return None
    return dict(compiled.explain(event.body, event.accepted_at).to_dict())
