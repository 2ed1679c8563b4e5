"""Rules on the wire."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from app.models.rules import Mode
from app.schemas.common import NAME, Flag, Text, Whole
from rules_dsl.head import LONGEST_DESCRIPTION, LONGEST_TAG, MOST_NOISE, MOST_TAGS

EXAMPLE = 'when event.type == "order" and amount > 500 then notify("slack:#big-orders")'
TAG = validate.Length(1, LONGEST_TAG)
TAGS = validate.Length(max=MOST_TAGS)
DESCRIPTION = validate.Length(max=LONGEST_DESCRIPTION)
TESTS = {
    "description": "its test blocks, run on every save",
    "example": 'test "a big order" {"type": "order", "amount": 750} expect true',
}
BUDGET: Any = {
    "allow_none": True,
    "validate": validate.Range(1, MOST_NOISE),
    "metadata": {"description": "notifications a day, past which the rule is put in shadow"},
}


class Moded(Schema):
    """Whether a rule notifies, and how often it may."""

    enabled = Flag(
        metadata={"description": "false is mode `off`; true is `live` where the rule was off"}
    )
    mode = Text(
        validate=validate.OneOf(list(Mode)),
        metadata={"description": "shadow: evaluated and recorded, and notifies nobody"},
    )
    noise_budget = Whole(**BUDGET)

    @validates_schema
    def _check_mode(self, data: dict[str, Any], **_: object) -> None:
        wanted, mode = data.get("enabled"), data.get("mode")
        if wanted is not None and mode is not None and wanted is (mode == Mode.OFF):
            raise ValidationError(f"contradicts `enabled`, which is {str(wanted).lower()}", "mode")


class RuleIn(Moded):
    """A whole rule."""

    name = Text(required=True, validate=NAME, metadata={"example": "High value orders"})
    dsl = Text(required=True, metadata={"example": EXAMPLE})
    description = Text(load_default="", validate=DESCRIPTION)
    tags = fields.List(Text(validate=TAG), load_default=list, validate=TAGS)
    tests = Text(load_default="", metadata=TESTS)
    noise_budget = Whole(load_default=None, **BUDGET)


class RulePatch(Moded):
    """The fields of a rule that change."""

    name = Text(validate=NAME)
    dsl = Text()
    description = Text(validate=DESCRIPTION)
    tags = fields.List(Text(validate=TAG), validate=TAGS)
    tests = Text(metadata=TESTS)


class RuleOut(Schema):
    """A rule in one of its versions."""

    id = fields.UUID(required=True, attribute="rule_id")
    name = fields.String(required=True)
    dsl = fields.String(required=True)
    mode = fields.String(required=True, validate=validate.OneOf(list(Mode)))
    enabled = fields.Boolean(required=True, metadata={"description": "unless its mode is off"})
    noise_budget = fields.Integer(required=True, allow_none=True)
    description = fields.String(required=True)
    tags = fields.List(fields.String(), required=True)
    tests = fields.String(required=True)
    version = fields.Integer(required=True, attribute="number")
    created_at = fields.AwareDateTime(required=True, attribute="rule.created_at")
    updated_at = fields.AwareDateTime(required=True, attribute="created_at")
    warnings = fields.List(
        fields.String(),
        required=True,
        metadata={"description": "what is the matter with it, though it runs"},
    )


class RulePage(Schema):
    """A page of rules, oldest first."""

    data = fields.List(fields.Nested(RuleOut), required=True)
    next = fields.String(required=True, allow_none=True)


class RuleVersions(Schema):
    """Every version of a rule, newest first."""

    data = fields.List(fields.Nested(RuleOut), required=True)


class IfMatch(Schema):
    """The version that a change was made against."""

    if_match = Text(data_key="If-Match", load_default=None)


class ValidateIn(Schema):
    """A sentence to be checked."""

    dsl = Text(required=True)


class DiagnosticOut(Schema):
    """One finding about a sentence; lines and columns count from 1."""

    line = fields.Integer(required=True)
    column = fields.Integer(required=True)
    end_column = fields.Integer(required=True)
    severity = fields.String(required=True)
    code = fields.String(required=True)
    message = fields.String(required=True)
    hint = fields.String(required=True, allow_none=True)


class ValidateOut(Schema):
    """What the checker says."""

    valid = fields.Boolean(required=True)
    diagnostics = fields.List(fields.Nested(DiagnosticOut), required=True)


class TestIn(Schema):
    """A sentence, and an event to try it on."""

    dsl = Text(required=True)
    event = fields.Dict(keys=fields.String(), required=True)


class WouldNotify(Schema):
    """A notification that would be made."""

    target = fields.String(required=True)
    message = fields.String(required=True)


class TestOut(Schema):
    """What the rule does with the event; nothing was sent."""

    matched = fields.Boolean(required=True, allow_none=True)
    explanation = fields.Dict(required=True)
    notifications = fields.List(fields.Nested(WouldNotify), required=True)
