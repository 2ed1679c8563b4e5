"""API keys on the wire."""

from marshmallow import Schema, fields, validate

from app.schemas.common import NAME, Text
from app.services.keys import SCOPES


class KeyIn(Schema):
    """A key to be made."""

    name = Text(required=True, validate=NAME, metadata={"example": "checkout service"})
    scopes = fields.List(
        Text(validate=validate.OneOf(SCOPES)), required=True, validate=validate.Length(1)
    )


class KeyOut(Schema):
    """A key without its secret."""

    id = fields.UUID(required=True)
    name = fields.String(required=True)
    prefix = fields.String(required=True)
    scopes = fields.List(fields.String(), required=True)
    created_at = fields.AwareDateTime(required=True)
    revoked_at = fields.AwareDateTime(required=True, allow_none=True)


class KeyCreated(KeyOut):
    """A new key; `key` is shown this once."""

    key = fields.String(required=True)


class KeyList(Schema):
    """All keys."""

    data = fields.List(fields.Nested(KeyOut), required=True)
