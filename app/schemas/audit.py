"""The audit log on the wire."""

from marshmallow import Schema, fields

from app.schemas.common import Moment, PageQuery, Text


class AuditOut(Schema):
    """One change: who made it, on what, and what became different."""

    id = fields.UUID(required=True)
    at = fields.AwareDateTime(required=True)
    actor = fields.String(
        required=True,
        metadata={
            "example": "operator",
            "description": "the key's name; `anonymous` without keys, `cli` for the command line",
        },
    )
    action = fields.String(required=True, metadata={"example": "rule.patch"})
    object_kind = fields.String(required=True, metadata={"example": "rule"})
    object_id = fields.String(required=True, allow_none=True)
    object_name = fields.String(required=True, allow_none=True)
    request_id = fields.String(required=True, allow_none=True)
    changes = fields.List(
        fields.Dict(),
        required=True,
        metadata={"description": "the rows that were written, with old and new values; no secrets"},
    )


class AuditQuery(PageQuery):
    """Which changes to list, newest first."""

    actor = Text(load_default=None)
    action = Text(load_default=None, metadata={"example": "rule.patch"})
    since = Moment(load_default=None)


class AuditPage(Schema):
    """A page of changes, newest first."""

    data = fields.List(fields.Nested(AuditOut), required=True)
    next = fields.String(required=True, allow_none=True)
