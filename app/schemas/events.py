"""Events on the wire."""

from marshmallow import INCLUDE, Schema, fields, validate

from app.schemas.common import ErrorEntry, PageQuery, Text

ACCEPTED = "accepted"


class EventIn(Schema):
    """Any JSON object with a `type`; everything else is the sender's."""

    class Meta:
        unknown = INCLUDE

    type = Text(required=True, validate=validate.Length(1, 200), metadata={"example": "order"})


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
    state = fields.String(required=True, validate=validate.OneOf(["pending", "evaluated"]))
    accepted_at = fields.AwareDateTime(required=True)
    occurred_at = fields.AwareDateTime(required=True)
    body = fields.Raw(required=True)


class EventQuery(PageQuery):
    """Which events to list, newest first."""

    type = Text(load_default=None)
    since = fields.AwareDateTime(load_default=None)
    until = fields.AwareDateTime(load_default=None)
    matched = fields.Boolean(load_default=None)


class EventPage(Schema):
    """A page of events, newest first."""

    data = fields.List(fields.Nested(EventOut), required=True)
    next = fields.String(required=True, allow_none=True)
