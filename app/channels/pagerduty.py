"""PagerDuty's Events API v2: an alert opens an alert there, which is acknowledged and resolved with it."""

import json
from dataclasses import replace
from typing import Any, Final

from marshmallow import fields, validate

from app.channels import facts
from app.channels.answers import json_object, judge
from app.channels.base import ChannelConfig, Config, Notice, Outcome, Verdict
from app.channels.egress import MAX_URL
from app.channels.posting import PostingChannel
from app.channels.transport import Reply

URL: Final = "https://events.pagerduty.com/v2/enqueue"
SUMMARY_LIMIT = 1024
# Of 512 KB that an event may have, what is left beside the event's own body.
MAX_BODY = 400 * 1024
VALUE_LIMIT = 1024
_SEVERITIES = {"critical": "critical", "high": "error", "warning": "warning", "info": "info"}


class PagerDutyConfig(ChannelConfig):
    """What a named PagerDuty integration is made of."""

    routing_key = fields.String(
        required=True,
        validate=validate.Regexp(r"[A-Za-z0-9]{32}\Z", error="must be 32 letters and digits"),
        metadata={
            "secret": True,
            "description": "the integration key of an Events API v2 integration",
        },
    )
    api_url = fields.String(
        validate=validate.Length(1, MAX_URL),
        metadata={"description": "for the EU, https://events.eu.pagerduty.com/v2/enqueue"},
    )


class PagerDutyChannel(PostingChannel):
    """Alerts in PagerDuty, triggered, acknowledged and resolved."""

    kind = "pagerduty"
    label = "PagerDuty"
    config_schema = PagerDutyConfig()
    needs = "routing_key"
    hears_acknowledged = True

    def place(self, config: Config) -> tuple[str, str]:
        """The Events API, to which the key goes."""
        return "api_url", self.url(config)

    def url(self, config: Config) -> str:
        return config.get("api_url") or URL

    def body(self, notice: Notice, config: Config) -> bytes:
        names = {"routing_key": config["routing_key"], "dedup_key": dedup_key(notice)}
        # As ASCII: no half of a surrogate pair stands in the way of UTF-8.
        return json.dumps(_event(notice) | names, separators=(",", ":"), default=str).encode()

    def judge(self, reply: Reply) -> Verdict:
        verdict = judge(reply)
        errors = json_object(reply.body).get("errors")
        if verdict.outcome is not Outcome.PERMANENT or not isinstance(errors, list) or not errors:
            return verdict
        return replace(verdict, detail=facts.line(f"{verdict.detail}: {errors[0]}", 200))


def dedup_key(notice: Notice) -> str:
    """What all messages of one alert have in common; a digest and a test stand alone."""
    return str(notice.alert.get("id") or notice.id)


def _event(notice: Notice) -> dict[str, Any]:
    # A test wakes nobody: what is not open cannot be resolved, and is dropped, but the key is checked.
    if notice.kind in (facts.RESOLVED, "channel.test"):
        return {"event_action": "resolve"}
    if notice.kind == facts.ACKNOWLEDGED:
        return {"event_action": "acknowledge"}
    event = {"event_action": "trigger", "client": "Sentinel", "payload": _payload(notice)}
    return event | {"client_url": notice.url} if notice.url else event


def _payload(notice: Notice) -> dict[str, Any]:
    name = facts.headline(notice)
    return {
        "summary": facts.line(facts.summary(name, notice), SUMMARY_LIMIT) or "Alert",
        "source": "Sentinel",
        "severity": _SEVERITIES.get(facts.severity(notice), "warning"),
        "timestamp": notice.timestamp.isoformat(),
        "class": facts.line(str(notice.event.get("type") or notice.kind), VALUE_LIMIT),
        "group": facts.line(name, VALUE_LIMIT),
        "custom_details": _details(notice),
    }


def _details(notice: Notice) -> dict[str, Any]:
    body = facts.body(notice)
    if len(json.dumps(body, default=str)) > MAX_BODY:
        body = {name: facts.cut(value, VALUE_LIMIT) for name, value in facts.pairs(notice)}
    return {
        "alert": dict(notice.alert),
        "rule": dict(notice.rule),
        "event": {"id": notice.event.get("id"), "body": body},
        "digest": None if notice.digest is None else dict(notice.digest),
    }


CHANNEL = PagerDutyChannel()
