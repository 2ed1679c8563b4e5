"""Events on the wire."""

from marshmallow import INCLUDE, Schema, fields, validate

from app.schemas.alerts import SuppressionOut
from app.schemas.common import ErrorEntry, Moment, PageQuery, Text
from app.schemas.notifications import NotificationDetail

ACCEPTED = "accepted"


class EventIn(Schema):
    """Any JSON object with a `type`; everything else is the sender's."""

    class Meta:
        unknown = INCLUDE

    type = Text(required=True, validate=validate.Length(1, 200), metadata={"example": "order"})


class CloudEventIn(EventIn):
    """A CloudEvent 1.0; rules read its `data`."""

    specversion = fields.String(required=True, validate=validate.Equal("1.0"))
    id = Text(required=True, validate=validate.Length(min=1))
    source = Text(required=True, validate=validate.Length(min=1))


class EventLinks(Schema):
    """Where to read on."""

    self = fields.String(required=True)


class Accepted(Schema):
    """The promise: the event is stored and will be evaluated."""

    id = fields.UUID(required=True)
    status = fields.String(required=True, metadata={"example": ACCEPTED})
    duplicate = fields.Boolean(required=True)
    links = fields.Nested(EventLinks, required=True)


class RejectedItem(ErrorEntry):
    """One item of a batch that was left out."""

    index = fields.Integer(required=True, metadata={"description": "counts items from 0"})


class AcceptedBatch(Schema):
    """The promise for the good ones of a batch; of the bad ones the first thousand are told."""

    accepted = fields.Integer(required=True)
    rejected = fields.Integer(required=True)
    ids = fields.List(fields.UUID(), required=True)
    errors = fields.List(fields.Nested(RejectedItem), required=True)


class EventOut(Schema):
    """A stored event and its state."""

    id = fields.UUID(required=True)
    type = fields.String(required=True)
    source = fields.String(required=True)
    state = fields.String(
        required=True, validate=validate.OneOf(["pending", "evaluated", "failed"])
    )
    reason = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "why it failed: its evaluation was given up"},
    )
    accepted_at = fields.AwareDateTime(required=True)
    occurred_at = fields.AwareDateTime(required=True)
    replay_of = fields.UUID(
        required=True,
        allow_none=True,
        metadata={"description": "the event that it repeats; rules with memory ignore it"},
    )
    body = fields.Raw(required=True)


class EventQuery(PageQuery):
    """Which events to list, newest first."""

    type = Text(load_default=None)
    since = Moment(load_default=None)
    until = Moment(load_default=None)
    matched = fields.Boolean(load_default=None)
    where = Text(
        load_default=None,
        metadata={
            "description": "a condition of the rule language on single events, asked as of their acceptance; "
            "a page looks at 5,000 events at most, and has a `next` even when it is empty",
            "example": 'amount > 500 and user.plan in ["pro", "team"]',
        },
    )


class EventPage(Schema):
    """A page of events, newest first."""

    data = fields.List(fields.Nested(EventOut), required=True)
    next = fields.String(required=True, allow_none=True)
    settled = fields.AwareDateTime(
        required=True,
        metadata={
            "description": "no event accepted before is still being stored: who follows asks `since` then the next time"
        },
    )


class MatchOut(Schema):
    """A rule version that was true of the event, and why."""

    rule_id = fields.UUID(required=True)
    rule = fields.String(required=True, allow_none=True)
    version = fields.Integer(required=True, allow_none=True)
    rule_version_id = fields.UUID(required=True)
    alert_id = fields.UUID(required=True)
    matched_at = fields.AwareDateTime(required=True)
    explanation = fields.Dict(
        required=True,
        allow_none=True,
        metadata={"description": "null for a rule with memory, whose decision has it"},
    )


class RuleErrorOut(Schema):
    """A rule version that could not be evaluated on the event."""

    rule_id = fields.UUID(required=True)
    rule_version_id = fields.UUID(required=True)
    reason = fields.String(required=True, metadata={"example": "budget"})
    failed_at = fields.AwareDateTime(required=True)


class TracedAlert(Schema):
    """An alert that the event opened or was counted into."""

    id = fields.UUID(required=True)
    rule_id = fields.UUID(required=True)
    key = fields.String(required=True)
    state = fields.String(required=True)
    severity = fields.String(required=True)
    count = fields.Integer(required=True)
    opened_at = fields.AwareDateTime(required=True)
    last_at = fields.AwareDateTime(required=True)


class DecisionOut(Schema):
    """What a rule with memory made of the event, or of a time that was about it, as it was recorded."""

    rule_id = fields.UUID(required=True)
    rule = fields.String(required=True)
    version = fields.Integer(required=True)
    rule_version_id = fields.UUID(required=True)
    decided_at = fields.AwareDateTime(required=True)
    key = fields.String(required=True)
    kind = fields.String(
        required=True,
        metadata={"description": "event, or which time: for, absent, seq, group, held, resolve"},
    )
    outcome = fields.Boolean(required=True, allow_none=True)
    reason = fields.String(
        required=True,
        allow_none=True,
        metadata={"example": "5 of 5 within 5m for user.id = 42"},
    )
    verdict = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "notify, throttled, grouped, held, dropped or inhibited"},
    )
    held = fields.String(
        required=True, allow_none=True, metadata={"example": "throttled: 2 of 2 since 10:04"}
    )
    number = fields.Integer(
        required=True,
        allow_none=True,
        metadata={"description": "its place among those of its rule version and key"},
    )
    values = fields.Dict(
        required=True,
        metadata={"description": "what it saw of its memory: windows, steps, since when"},
    )
    explanation = fields.Dict(required=True, allow_none=True)


class TraceOut(Schema):
    """An event with all that it has caused."""

    event = fields.Nested(EventOut, required=True)
    decided_at = fields.AwareDateTime(
        required=True,
        allow_none=True,
        metadata={"description": "when rules first said something of it; null where none did"},
    )
    matches = fields.List(fields.Nested(MatchOut), required=True)
    rule_errors = fields.List(fields.Nested(RuleErrorOut), required=True)
    alerts = fields.List(fields.Nested(TracedAlert), required=True)
    notifications = fields.List(fields.Nested(NotificationDetail), required=True)
    suppressions = fields.List(fields.Nested(SuppressionOut), required=True)
    decisions = fields.List(fields.Nested(DecisionOut), required=True)
