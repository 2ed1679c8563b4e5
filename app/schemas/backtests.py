"""Backtests on the wire."""

from typing import Any, ClassVar, Final

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from app.models.backtests import BacktestState
from app.schemas.common import NAME, KeptMoment, PageQuery, Text, Whole
from app.schemas.rules import EXAMPLE

VERSION = validate.Range(1, 2**31 - 1)
MOST_RULES: Final = 1000
LONGEST_SET: Final = 4 * 1024 * 1024


class Stretch(Schema):
    """Which events: those accepted from `since` up to, not including, `until`."""

    since = KeptMoment(required=True)
    until = KeptMoment(load_default=None, metadata={"description": "now where nothing is said"})


class Draft(Schema):
    """One of many rules that are tried at once."""

    name = Text(required=True, validate=NAME, metadata={"example": "High value orders"})
    dsl = Text(required=True, metadata={"example": EXAMPLE})


class DraftBacktestIn(Stretch):
    """A sentence to be tried on the past, or up to 1,000 rules at once."""

    longest_body: ClassVar[int] = LONGEST_SET
    dsl = Text(metadata={"example": EXAMPLE})
    rules = fields.List(
        fields.Nested(Draft),
        validate=validate.Length(1, MOST_RULES),
        metadata={"description": "instead of `dsl`; names tell them apart"},
    )

    @validates_schema
    def _check_rules(self, data: dict[str, Any], **_: object) -> None:
        if "dsl" in data and "rules" in data:
            raise ValidationError("say one of `dsl` and `rules`", "rules")
        if "dsl" not in data and "rules" not in data:
            raise ValidationError("say a `dsl`, or `rules`", "dsl")
        seen: set[str] = set()
        for place, each in enumerate(data.get("rules", ())):
            if each["name"] in seen:
                raise ValidationError({"rules": {place: {"name": ["is another's, too"]}}})
            seen.add(each["name"])


class RuleBacktestIn(Stretch):
    """A version of a rule to be tried on the past; the newest where none is named."""

    version = Whole(load_default=None, validate=VERSION)


class DiffIn(Stretch):
    """Two versions of a rule, or one and a sentence; the newest where none is named."""

    from_ = Whole(data_key="from", load_default=None, validate=VERSION)
    to = Whole(load_default=None, validate=VERSION)
    dsl = Text(metadata={"example": EXAMPLE, "description": "instead of `to`"})

    @validates_schema
    def _check_sides(self, data: dict[str, Any], **_: object) -> None:
        if "dsl" in data and data["to"] is not None:
            raise ValidationError("say one of `to` and `dsl`", "dsl")
        if "dsl" not in data and data["to"] == data["from_"]:
            raise ValidationError("say two versions, or a `dsl`", "to")


class Side(Schema):
    """A rule that is tried."""

    name = fields.String(required=True)
    version = fields.Integer(required=True, allow_none=True)
    dsl = fields.String(required=True)


class BacktestLinks(Schema):
    """Where to read on."""

    self = fields.String(required=True)
    rule = fields.String(required=True, allow_none=True)


class BacktestShort(Schema):
    """A backtest, and how far it is."""

    id = fields.UUID(required=True)
    rule_id = fields.UUID(required=True, allow_none=True)
    name = fields.String(required=True)
    sides = fields.List(
        fields.Nested(Side),
        required=True,
        metadata={"description": "none where many rules are tried at once"},
    )
    since = fields.AwareDateTime(required=True)
    until = fields.AwareDateTime(required=True)
    state = fields.String(required=True, validate=validate.OneOf([*BacktestState]))
    progress = fields.Float(required=True, metadata={"description": "from 0 to 1"})
    events = fields.Integer(required=True)
    matches = fields.Integer(required=True)
    notifications = fields.Integer(required=True)
    reason = fields.String(required=True, allow_none=True)
    created_by = fields.String(required=True)
    created_at = fields.AwareDateTime(required=True)
    started_at = fields.AwareDateTime(required=True, allow_none=True)
    finished_at = fields.AwareDateTime(required=True, allow_none=True)
    links = fields.Nested(BacktestLinks, required=True)


class BacktestOut(BacktestShort):
    """A backtest with what has come of it so far."""

    result = fields.Dict(required=True, allow_none=True)


class BacktestQuery(PageQuery):
    """Which backtests to list, newest first."""

    rule_id = fields.UUID(load_default=None)


class BacktestPage(Schema):
    """A page of backtests without their results, newest first."""

    data = fields.List(fields.Nested(BacktestShort), required=True)
    next = fields.String(required=True, allow_none=True)
