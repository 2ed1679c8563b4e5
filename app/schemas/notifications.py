"""Notifications and their attempts on the wire."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from app.models.notifications import Status
from app.schemas.common import Moment, PageQuery, Text, Whole


class AttemptOut(Schema):
    """One request, and what the receiver answered."""

    number = fields.Integer(required=True)
    started_at = fields.AwareDateTime(required=True)
    finished_at = fields.AwareDateTime(required=True, allow_none=True)
    outcome = fields.String(required=True)
    status_code = fields.Integer(required=True, allow_none=True)
    latency_ms = fields.Integer(required=True, allow_none=True)
    detail = fields.String(required=True, allow_none=True)
    response = fields.String(required=True, allow_none=True)


class NotificationOut(Schema):
    """One message to one target."""

    id = fields.UUID(required=True)
    cause = fields.String(
        required=True,
        metadata={
            "description": "event; timer, group: a time; alert: its end; wake: the end of its snooze;"
            " acknowledged: by somebody; silence, storm: a digest of many rules"
        },
    )
    cause_id = fields.UUID(required=True)
    rule_id = fields.UUID(required=True, allow_none=True)
    alert_id = fields.UUID(required=True, allow_none=True)
    target = fields.String(required=True)
    message = fields.String(required=True)
    status = fields.String(required=True)
    reason = fields.String(required=True, allow_none=True)
    attempts = fields.Integer(required=True)
    created_at = fields.AwareDateTime(required=True)
    next_attempt_at = fields.AwareDateTime(required=True)
    finished_at = fields.AwareDateTime(required=True, allow_none=True)


class NotificationDetail(NotificationOut):
    """A notification with all its attempts."""

    attempt_log = fields.List(fields.Nested(AttemptOut), required=True)


class NotificationQuery(PageQuery):
    """Which notifications to list."""

    status = Text(load_default=None, validate=validate.OneOf([status.value for status in Status]))
    channel = Text(load_default=None, metadata={"description": "a kind, or a whole target"})


class RetryIn(Schema):
    """Which dead letters to try again: those that fit all that is said."""

    ids = fields.List(fields.UUID(), validate=validate.Length(1, 1000))
    status = Text(validate=validate.Equal("dead"), metadata={"description": "all dead letters"})
    channel = Text(metadata={"description": "a kind, or a whole target"})
    since = Moment(metadata={"description": "made at or after"})
    until = Moment(metadata={"description": "made before"})
    died_before = Moment(
        metadata={"description": "what dies again while others are still to come is left then"}
    )
    limit = Whole(load_default=1000, validate=validate.Range(1, 1000))

    @validates_schema
    def _check_choice(self, data: dict[str, Any], **_: object) -> None:
        if data.keys() <= {"limit", "died_before"}:
            raise ValidationError("say which: ids, channel, since, until, or status `dead` for all")


class Retried(Schema):
    """How many dead letters are tried again, and whether as many may be left: then ask again with `died_before`."""

    retried = fields.Integer(required=True)
    more = fields.Boolean(required=True)
    died_before = fields.AwareDateTime(required=True)


class NotificationPage(Schema):
    """A page of notifications, newest first."""

    data = fields.List(fields.Nested(NotificationOut), required=True)
    next = fields.String(required=True, allow_none=True)
