"""Why a rule did or did not fire, and replays, on the wire."""

from typing import Final

from marshmallow import Schema, fields, validate

from app.schemas.alerts import SuppressionOut
from app.schemas.common import After, Flag, Moment, PageQuery, Text, Whole
from app.schemas.events import DecisionOut, EventOut, TracedAlert
from app.schemas.notifications import NotificationDetail
from app.services.summaries import Answer

MOST_REPLAYED: Final = 1_000


class ExplainQuery(PageQuery):
    """Which rules are asked about."""

    rule = fields.UUID(
        load_default=None,
        metadata={"description": "one rule; without it all that were current at the acceptance"},
    )
    limit = fields.Integer(load_default=20, validate=validate.Range(1, 100))


class ObstacleOut(Schema):
    """A part of the condition that would have had to come out otherwise."""

    text = fields.String(required=True)
    needed = fields.Boolean(required=True)
    summary = fields.String(required=True, metadata={"example": "amount was 300, needed > 500"})


class WhyOut(Schema):
    """What one rule made of the event, why, and what came of that."""

    rule_id = fields.UUID(required=True)
    rule = fields.String(required=True)
    rule_version_id = fields.UUID(required=True, allow_none=True)
    version = fields.Integer(
        required=True,
        allow_none=True,
        metadata={"description": "the version that was current at the event's acceptance"},
    )
    mode = fields.String(required=True, allow_none=True)
    enabled = fields.Boolean(required=True, allow_none=True)
    dsl = fields.String(required=True, allow_none=True)
    answer = fields.String(required=True, validate=validate.OneOf(list(Answer)))
    outcome = fields.Boolean(
        required=True,
        allow_none=True,
        metadata={"description": "true, false, or null for unknown or not evaluated"},
    )
    summary = fields.String(
        required=True, metadata={"example": "did not fire: amount was 300, needed > 500"}
    )
    in_the_way = fields.List(
        fields.Nested(ObstacleOut),
        required=True,
        metadata={"description": "the fewest parts that would have had to come out otherwise"},
    )
    explanation = fields.Dict(
        required=True,
        allow_none=True,
        metadata={
            "description": "clause by clause with the values that were seen, and the nearest miss"
        },
    )
    matched_at = fields.AwareDateTime(required=True, allow_none=True)
    alert = fields.Nested(TracedAlert, required=True, allow_none=True)
    notifications = fields.List(fields.Nested(NotificationDetail), required=True)
    suppressions = fields.List(fields.Nested(SuppressionOut), required=True)
    decisions = fields.List(fields.Nested(DecisionOut), required=True)


class ExplainOut(Schema):
    """What rules made of an event: those that fired first, then the nearest misses."""

    event = fields.Nested(EventOut, required=True)
    rules = fields.Integer(
        required=True, metadata={"description": "how many were current at its acceptance"}
    )
    considered = fields.Integer(
        required=True,
        metadata={
            "description": "how many were looked at: all on record, and 1,000 others, first those that name the type"
        },
    )
    data = fields.List(fields.Nested(WhyOut), required=True)
    next = fields.String(required=True, allow_none=True)


class ReplayIn(Schema):
    """Which events to accept anew: those that fit all that is said, the oldest first."""

    since = Moment(required=True)
    until = Moment(required=True)
    type = Text(load_default=None, allow_none=True)
    where = Text(
        load_default=None,
        allow_none=True,
        metadata={"description": "a condition of the rule language"},
    )
    limit = Whole(load_default=MOST_REPLAYED, validate=validate.Range(1, MOST_REPLAYED))
    after = After(allow_none=True)
    dry_run = Flag(load_default=False, metadata={"description": "only tell which they are"})


class ReplayedOut(Schema):
    """The events that were accepted anew."""

    found = fields.Integer(required=True)
    replayed = fields.Integer(required=True, metadata={"description": "0 on a dry run"})
    scanned = fields.Integer(required=True, metadata={"description": "how many were looked at"})
    ids = fields.List(
        fields.UUID(),
        required=True,
        metadata={"description": "of the new events; on a dry run of those that would be replayed"},
    )
    next = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "more may fit: call again with it as `after`"},
    )
