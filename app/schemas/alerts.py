"""Alerts, and what notified nobody, on the wire."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from app.models.alerts import AlertState
from app.schemas.common import KeptMoment, OptionalBody, PageQuery, Span, Text
from app.services.suppressions import Kind

SEVERITIES = ("info", "warning", "high", "critical")
COMMENT = validate.Length(max=1000)


class SuppressionOut(Schema):
    """Notifications that were not made, and why."""

    id = fields.UUID(required=True)
    cause = fields.String(
        required=True, metadata={"description": "event, timer, group, alert, wake or acknowledged"}
    )
    cause_id = fields.UUID(required=True)
    rule_id = fields.UUID(required=True)
    rule_version_id = fields.UUID(required=True)
    alert_id = fields.UUID(required=True)
    target = fields.String(required=True, metadata={"description": "empty: all of the rule's"})
    kind = fields.String(required=True, validate=validate.OneOf(list(Kind)))
    reason = fields.String(required=True)
    until = fields.AwareDateTime(required=True, allow_none=True)
    held_by = fields.UUID(
        required=True, allow_none=True, metadata={"description": "the silence or the storm"}
    )
    at = fields.AwareDateTime(required=True)


class SuppressionQuery(PageQuery):
    """Which of them to list, newest first."""

    alert = fields.UUID(load_default=None)
    held_by = fields.UUID(
        load_default=None, metadata={"description": "the id of a silence or a storm"}
    )
    kind = Text(load_default=None, validate=validate.OneOf(list(Kind)))


class SuppressionPage(Schema):
    """A page of what was held back, newest first."""

    data = fields.List(fields.Nested(SuppressionOut), required=True)
    next = fields.String(required=True, allow_none=True)


class FlappingOut(Schema):
    """How often alerts of the rule and key were opened or resolved in the last hour."""

    changes = fields.Integer(required=True)
    flapping = fields.Boolean(required=True, metadata={"description": "6 changes or more"})


class AlertOut(Schema):
    """What matches of one rule and key collect in."""

    id = fields.UUID(required=True)
    rule_id = fields.UUID(required=True)
    rule = fields.String(required=True, metadata={"description": "the rule's name now"})
    key = fields.String(required=True)
    state = fields.String(required=True, validate=validate.OneOf(list(AlertState)))
    severity = fields.String(required=True)
    count = fields.Integer(required=True)
    shadow = fields.Boolean(
        required=True, metadata={"description": "only a rule in shadow has opened it"}
    )
    opened_at = fields.AwareDateTime(required=True)
    last_at = fields.AwareDateTime(required=True)
    last_event_id = fields.UUID(required=True)
    notified_at = fields.AwareDateTime(required=True, allow_none=True)
    acknowledged_at = fields.AwareDateTime(required=True, allow_none=True)
    acknowledged_by = fields.String(required=True, allow_none=True)
    acknowledged_until = fields.AwareDateTime(required=True, allow_none=True)
    snoozed_until = fields.AwareDateTime(required=True, allow_none=True)
    snoozed_by = fields.String(required=True, allow_none=True)
    resolved_at = fields.AwareDateTime(required=True, allow_none=True)
    resolved_by = fields.String(required=True, allow_none=True)
    flapping = fields.Nested(FlappingOut, required=True)


class AlertChangeOut(Schema):
    """One turn in an alert's life."""

    at = fields.AwareDateTime(required=True)
    change = fields.String(
        required=True,
        metadata={"description": "opened, acknowledged, snoozed, reopened, woken or resolved"},
    )
    actor = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "the key's name; null where a match or the time did it"},
    )
    until = fields.AwareDateTime(required=True, allow_none=True)
    comment = fields.String(required=True, allow_none=True)


class AlertDetail(AlertOut):
    """An alert with its history, and the last of what it held back."""

    history = fields.List(fields.Nested(AlertChangeOut), required=True)
    suppressions = fields.List(
        fields.Nested(SuppressionOut),
        required=True,
        metadata={"description": "the newest 20; all of them at /suppressions?alert=ID"},
    )


class AlertQuery(PageQuery):
    """Which alerts to list, newest first."""

    state = Text(load_default=None, validate=validate.OneOf(list(AlertState)))
    rule = fields.UUID(load_default=None, attribute="rule_id")
    severity = Text(load_default=None, validate=validate.OneOf(SEVERITIES))
    key = Text(load_default=None)
    snoozed = fields.Boolean(load_default=None)
    shadow = fields.Boolean(
        load_default=None, metadata={"description": "those that only a rule in shadow has opened"}
    )


class AlertPage(Schema):
    """A page of alerts, newest first."""

    data = fields.List(fields.Nested(AlertOut), required=True)
    next = fields.String(required=True, allow_none=True)


class CommentIn(OptionalBody):
    """What somebody says to what they do."""

    comment = Text(load_default=None, validate=COMMENT)


class AcknowledgeIn(CommentIn):
    """How long somebody is on it; 24 hours where nothing is said."""

    until = KeptMoment(metadata={"description": "a time to come"})
    for_ = Span(data_key="for", metadata={"example": "2h"})

    @validates_schema
    def _check_end(self, data: dict[str, Any], **_: object) -> None:
        if "until" in data and "for_" in data:
            raise ValidationError("say one of `until` and `for`", "until")


class SnoozeIn(AcknowledgeIn):
    """Until when an alert shall tell nobody."""

    @validates_schema
    def _check_given(self, data: dict[str, Any], **_: object) -> None:
        if not {"until", "for_"} & data.keys():
            raise ValidationError("say how long: `until` or `for`", "until")
