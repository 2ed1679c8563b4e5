"""What the alerts of Prometheus' family have in common, whoever sends them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import uuid4

from app.hooks.base import Heard, NotUnderstood, moment_of, text_of

FIRING: Final = "firing"
RESOLVED: Final = "resolved"
# Of a group of alerts, what each of its events tells too.
GROUP: Final = ("receiver", "groupKey", "groupLabels", "externalURL", "orgId", "truncatedAlerts")


def heard(source: str, status: str, alert: Mapping[str, Any], more: Mapping[str, Any]) -> Heard:
    """One event of an alert, `more` beside its own fields.

    Whatever repeats an alert changes its annotations and its end; it is another one by its labels, start and state.
    One that says no start may be any that was before, or none of them: it is new.
    """
    labels, starts = alert.get("labels"), alert.get("startsAt")
    if not isinstance(labels, Mapping) or not labels:
        raise NotUnderstood("an alert's `labels` are no object with a member")
    ended = alert.get("endsAt") if status == RESOLVED else None
    told = next((one for one in (starts, ended) if moment_of(one)), None) or uuid4()
    key = json.dumps([sorted(labels.items()), told, status], default=str)
    time = moment_of(starts if status == FIRING else ended)
    # Its own come first, of which a message shows some, and hold.
    return Heard(f"{source}.alert.{status}", key, {**alert, **more, **alert}, time)


def of_group(source: str, payload: Mapping[str, Any]) -> Sequence[Heard]:
    """An event for each alert of a group, as Alertmanager and Grafana notify of them."""
    alerts = payload.get("alerts")
    if not isinstance(alerts, list) or not all(isinstance(one, Mapping) for one in alerts):
        raise NotUnderstood("the body's `alerts` are no list of objects")
    more = {name: payload[name] for name in GROUP if name in payload}
    return [heard(source, _status(alert), alert, more) for alert in alerts]


def _status(alert: Mapping[str, Any]) -> str:
    status = text_of(alert, "status")
    if status not in (FIRING, RESOLVED):
        raise NotUnderstood(f"an alert's `status` is neither {FIRING} nor {RESOLVED}")
    return status
