"""Silences on the wire."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from app.schemas.alerts import COMMENT, SEVERITIES
from app.schemas.common import KeptMoment, PageQuery, Span, Text

TARGETS = validate.Length(max=10)
EXAMPLE = 'host startswith "db-" and env == "staging"'


class SilencePatch(Schema):
    """The fields of a silence that change."""

    condition = Text(
        allow_none=True,
        metadata={"example": EXAMPLE, "description": "of the rule language, without memory"},
    )
    rule_id = fields.UUID(allow_none=True)
    severity = Text(allow_none=True, validate=validate.OneOf(SEVERITIES))
    comment = Text(validate=COMMENT)
    digest = fields.List(
        Text(validate=validate.Length(3, 2000)),
        validate=TARGETS,
        metadata={"description": "targets that hear at its end what it held back"},
    )
    begins_at = KeptMoment(metadata={"description": "now where nothing is said"})
    ends_at = KeptMoment()
    for_ = Span(data_key="for", metadata={"example": "2h", "description": "instead of `ends_at`"})

    @validates_schema
    def _check_end(self, data: dict[str, Any], **_: object) -> None:
        if "ends_at" in data and "for_" in data:
            raise ValidationError("say one of `ends_at` and `for`", "ends_at")


class SilenceIn(SilencePatch):
    """A whole silence."""

    @validates_schema
    def _check_given(self, data: dict[str, Any], **_: object) -> None:
        if not {"ends_at", "for_"} & data.keys():
            raise ValidationError("say when it ends: `ends_at` or `for`", "ends_at")


class SilenceLinks(Schema):
    """Where to read on."""

    held = fields.String(required=True)


class SilenceOut(Schema):
    """A silence, and where it stands."""

    id = fields.UUID(required=True)
    condition = fields.String(required=True, allow_none=True)
    rule_id = fields.UUID(required=True, allow_none=True)
    severity = fields.String(required=True, allow_none=True)
    comment = fields.String(required=True)
    digest = fields.List(fields.String(), required=True)
    begins_at = fields.AwareDateTime(required=True)
    ends_at = fields.AwareDateTime(required=True)
    state = fields.String(required=True, validate=validate.OneOf(["pending", "active", "ended"]))
    created_by = fields.String(required=True)
    created_at = fields.AwareDateTime(required=True)
    updated_at = fields.AwareDateTime(required=True)
    digested_at = fields.AwareDateTime(required=True, allow_none=True)
    links = fields.Nested(SilenceLinks, required=True)


class SilenceQuery(PageQuery):
    """Which silences to list, newest first."""

    state = Text(load_default=None, validate=validate.OneOf(["pending", "active", "ended"]))


class SilencePage(Schema):
    """A page of silences, newest first."""

    data = fields.List(fields.Nested(SilenceOut), required=True)
    next = fields.String(required=True, allow_none=True)
