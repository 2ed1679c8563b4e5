"""Channels on the wire; a secret comes in and never goes out, but for one that was made here."""

from marshmallow import Schema, fields, validate

from app.channels import registry
from app.schemas.common import Flag, Text


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
    enabled = Flag(load_default=True)


class ChannelPatch(Schema):
    """The fields of a channel that change; a secret that is left out stays, but goes to no other receiver."""

    config = fields.Dict(keys=fields.String())
    enabled = Flag()


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


class ReceiverOut(Schema):
    """How a channel's receiver is doing."""

    state = fields.String(
        required=True,
        validate=validate.OneOf(["well", "failing", "held"]),
        metadata={"description": "`held`: nothing is sent until `held_until`, then one tries"},
    )
    failures = fields.Integer(required=True, metadata={"description": "in a row"})
    failing_since = fields.AwareDateTime(required=True, allow_none=True)
    held_until = fields.AwareDateTime(required=True, allow_none=True)
    held_for = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "`circuit`: too many failures; `retry_after`: it asked for that"},
    )
    waiting = fields.Integer(required=True, metadata={"description": "pending notifications"})


class ChannelDetail(ChannelOut):
    """A channel, and how its receiver is doing."""

    receiver = fields.Nested(ReceiverOut, required=True)


class ChannelTestOut(Schema):
    """One message sent to try a channel; without an outcome while no worker has finished it."""

    id = fields.UUID(required=True)
    created_at = fields.AwareDateTime(required=True)
    finished_at = fields.AwareDateTime(required=True, allow_none=True)
    outcome = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "`delivered`, `transient` or `permanent`"},
    )
    status_code = fields.Integer(required=True, allow_none=True)
    latency_ms = fields.Integer(required=True, allow_none=True)
    detail = fields.String(required=True, allow_none=True)
    response = fields.String(required=True, allow_none=True)


class ChannelCreated(ChannelOut):
    """A new channel, with the secrets that were made for it, shown this once."""

    generated = fields.Dict(required=True)


class ChannelList(Schema):
    """All channels."""

    data = fields.List(fields.Nested(ChannelOut), required=True)
