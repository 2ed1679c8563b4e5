"""Channels on the wire; a secret comes in and never goes out, but for one that was made here."""

from marshmallow import Schema, fields, validate

from app.channels import registry
from app.schemas.common import Text


class ChannelIn(Schema):
    """A new channel; `config` is what its kind asks for."""

    name = Text(
        required=True,
        validate=(
            validate.Length(1, 200),
            validate.Regexp(r"^[^:/?\x00-\x1f\x7f]+$", error="contains `:`, `/`, `?` or a control"),
        ),
        metadata={"example": "erp"},
    )
    kind = Text(required=True, metadata={"example": "webhook", "enum": registry.kinds()})
    config = fields.Dict(
        keys=fields.String(),
        required=True,
        metadata={"example": {"url": "https://erp.example/alerts"}},
    )
    enabled = fields.Boolean(load_default=True, truthy={True}, falsy={False})


class ChannelPatch(Schema):
    """The fields of a channel that change; a secret that is left out stays."""

    config = fields.Dict(keys=fields.String())
    enabled = fields.Boolean(truthy={True}, falsy={False})


class ChannelOut(Schema):
    """A channel without its secrets."""

    id = fields.UUID(required=True)
    name = fields.String(required=True)
    kind = fields.String(required=True)
    config = fields.Dict(required=True)
    secret_fields = fields.List(fields.String(), required=True)
    enabled = fields.Boolean(required=True)
    disabled_reason = fields.String(required=True, allow_none=True)
    created_at = fields.AwareDateTime(required=True)
    updated_at = fields.AwareDateTime(required=True)


class ChannelCreated(ChannelOut):
    """A new channel, with the secrets that were made for it, shown this once."""

    generated = fields.Dict(required=True)


class ChannelList(Schema):
    """All channels."""

    data = fields.List(fields.Nested(ChannelOut), required=True)
