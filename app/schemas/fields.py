"""The fields of events on the wire."""

from marshmallow import Schema, fields

from app.schemas.common import Text


class FieldsQuery(Schema):
    """Of which events."""

    type = Text(load_default=None, metadata={"description": "of all types where none is given"})


class FieldOut(Schema):
    """One field, as it was seen."""

    path = fields.String(
        required=True,
        metadata={
            "description": "as rules write it, `[]` for any element",
            "example": "items[].sku",
        },
    )
    types = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        required=True,
        metadata={"description": "values by JSON type", "example": {"number": 40, "null": 2}},
    )
    events = fields.Integer(required=True, metadata={"description": "how many events have it"})
    examples = fields.List(
        fields.Raw(), required=True, metadata={"description": "up to 5 values, texts cut at 100"}
    )


class FieldsOut(Schema):
    """What the newest events have."""

    events = fields.Integer(required=True, metadata={"description": "how many were looked at"})
    types = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        required=True,
        metadata={"description": "events by type", "example": {"order": 1000}},
    )
    # `fields` is marshmallow's own.
    found = fields.List(
        fields.Nested(FieldOut), required=True, data_key="fields", attribute="fields"
    )
    whole = fields.Boolean(
        required=True, metadata={"description": "false where there was too much to look at it all"}
    )
