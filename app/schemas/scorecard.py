"""A rule's scorecard on the wire."""

from marshmallow import Schema, fields, validate

MOST_DAYS = 90


class ScorecardQuery(Schema):
    """Over how many days, today included."""

    days = fields.Integer(load_default=7, validate=validate.Range(1, MOST_DAYS))


def _counts(example: dict[str, int]) -> fields.Dict:
    return fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        required=True,
        metadata={"example": example},
    )


class LifeOut(Schema):
    """What became of its alerts in that time."""

    opened = fields.Integer(required=True)
    acknowledged = fields.Integer(required=True)
    resolved = fields.Integer(required=True)


class NoiseOut(Schema):
    """Whether anybody cared, and how much there was."""

    notified = fields.Integer(
        required=True,
        metadata={"description": "alerts that somebody was told of and that matched in that time"},
    )
    ignored = fields.Integer(
        required=True, metadata={"description": "those of them that nobody acknowledged"}
    )
    share = fields.Float(
        required=True,
        allow_none=True,
        metadata={"description": "ignored / notified; null where nobody was told"},
    )
    per_day = fields.Float(required=True, metadata={"description": "notifications a day"})
    last_day = fields.Integer(
        required=True, metadata={"description": "those that count towards the budget now"}
    )
    budget = fields.Integer(required=True, allow_none=True)


class CostOut(Schema):
    """What the rule's own evaluation takes, tried on the newest events of now."""

    types = fields.List(
        fields.String(),
        required=True,
        metadata={"description": "that it asks for; empty where it does not say"},
    )
    events = fields.Integer(required=True, metadata={"description": "how many it was tried on"})
    microseconds = fields.Float(
        required=True, allow_none=True, metadata={"description": "an event"}
    )
    unseen = fields.List(
        fields.String(),
        required=True,
        metadata={"description": "fields that it reads and none of these events has"},
    )


class ScorecardOut(Schema):
    """How a rule does."""

    rule_id = fields.UUID(required=True, attribute="version.rule_id")
    name = fields.String(required=True, attribute="version.name")
    version = fields.Integer(required=True, attribute="version.number")
    mode = fields.String(required=True, attribute="version.mode")
    since = fields.AwareDateTime(required=True, metadata={"description": "midnight, UTC"})
    days = fields.Integer(required=True)
    fires = fields.Integer(required=True, metadata={"description": "matches"})
    fires_by_day = _counts({"2026-03-01": 12})
    last_fired_at = fields.AwareDateTime(required=True, allow_none=True)
    notifications = _counts({"sent": 11, "dead": 1})
    held_back = _counts({"throttled": 4, "shadow": 2})
    alerts = fields.Nested(LifeOut, required=True)
    noise = fields.Nested(NoiseOut, required=True)
    errors = _counts({"budget": 1})
    cost = fields.Nested(CostOut, required=True)
