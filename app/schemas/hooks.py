"""What comes from neighbours, and what they are answered."""

from marshmallow import INCLUDE, Schema, fields, validate

from app.schemas.common import Moment, Text


class HookAccepted(Schema):
    """The promise: the events of the delivery are stored and will be evaluated."""

    accepted = fields.Integer(required=True)
    duplicates = fields.Integer(
        required=True, metadata={"description": "how many of them had come before"}
    )
    ids = fields.List(fields.UUID(), required=True)


class PrometheusAlert(Schema):
    """An alert as Prometheus sends it to an Alertmanager."""

    class Meta:
        unknown = INCLUDE

    labels = fields.Dict(
        keys=Text(),
        values=Text(),
        required=True,
        validate=validate.Length(min=1),
        metadata={"minProperties": 1},
    )
    annotations = fields.Dict(keys=Text(), values=Text())
    startsAt = Moment()
    endsAt = Moment(metadata={"description": "a time that has passed says that it is resolved"})
    generatorURL = Text()
