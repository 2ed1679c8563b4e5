"""Fields and pages that many resources share."""

import base64
import re
from collections.abc import Callable, Sequence
from datetime import UTC, timedelta
from typing import Any, Final, TypeVar
from uuid import UUID

from marshmallow import INCLUDE, Schema, ValidationError, fields, validate

Row = TypeVar("Row")

NAME: Final = (
    validate.Length(1, 200),
    validate.Regexp(r"^[^\x00-\x1f\x7f]+$", error="contains control characters"),
)

# As the rule language writes durations.
SPAN: Final = re.compile("".join(rf"(?:([0-9]{{1,8}}){unit})?" for unit in "wdhms"), re.ASCII)
UNITS: Final = (
    timedelta(weeks=1),
    timedelta(days=1),
    timedelta(hours=1),
    timedelta(minutes=1),
    timedelta(seconds=1),
)
LONGEST_SPAN: Final = timedelta(days=366)

A_TIME: Final = "must be an RFC 3339 time with an offset, such as 2026-01-31T09:00:00Z"
OUTSIDE: Final = "lies outside the calendar in UTC"
PLUS_LOST: Final = "has a space before its offset; in an address a `+` is written `%2B`"
SPACE_FOR_PLUS: Final = re.compile(r":[0-9.]+ [0-9]{2}:?[0-9]{2}$", re.ASCII)

# 16 bytes in URL-safe base64: the last letter has two bits to tell.
CURSOR: Final = r"^[A-Za-z0-9_-]{21}[AQgw]$"


class Text(fields.String):
    """A string that PostgreSQL can hold."""

    def _deserialize(self, *args: Any, **kwargs: Any) -> str:
        value: str = super()._deserialize(*args, **kwargs)
        if "\0" in value:
            raise ValidationError("contains NUL")
        return value


class Flag(fields.Boolean):
    """true or false, and nothing that passes for one."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class Whole(fields.Integer):
    """A whole number, also as JSON Schema has it: 120.0 is one, "120" and true are none."""

    def _validated(self, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int | float) or value % 1:
            raise self.make_error("invalid", input=value)
        return int(value)


class Span(fields.String):
    """A time such as `90s`, `30m`, `2h` or `1d12h`, of a year at most; loaded as what it is."""

    def _deserialize(self, *args: Any, **kwargs: Any) -> Any:
        found = SPAN.fullmatch(super()._deserialize(*args, **kwargs))
        counts = [int(count or 0) for count in found.groups()] if found else []
        span = sum((n * unit for n, unit in zip(counts, UNITS, strict=False)), timedelta())
        if not timedelta() < span <= LONGEST_SPAN:
            raise ValidationError("write a time such as 90s, 30m, 2h or 1d12h, of 366d at most")
        return span


class Moment(fields.AwareDateTime):
    """A time with its offset."""

    def __init__(self, **more: Any) -> None:
        super().__init__(
            error_messages={"invalid": A_TIME, "invalid_awareness": A_TIME, "plus": PLUS_LOST},
            **more,
        )

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        # Forms write a space as `+`, and so does whoever reads an address.
        if isinstance(value, str) and SPACE_FOR_PLUS.search(value):
            raise self.make_error("plus")
        return super()._deserialize(value, *args, **kwargs)


class KeptMoment(Moment):
    """Likewise, of what is kept: one that is a time at its offset alone PostgreSQL would store, and nobody read."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        given = super()._deserialize(value, *args, **kwargs)
        try:
            given.astimezone(UTC)
        except OverflowError:
            raise ValidationError(OUTSIDE) from None
        return given


class OptionalBody(Schema):
    """A body that may be left out."""


class After(Text):
    """A page's `next`, sent back for the page after it."""

    def __init__(self, **more: Any) -> None:
        super().__init__(
            load_default=None,
            validate=validate.Regexp(CURSOR, error="is not a `next` that a page gave"),
            metadata={"description": "`next` of the page before"},
            **more,
        )


class PageQuery(Schema):
    """Where a page begins, and how long it is."""

    limit = fields.Integer(load_default=50, validate=validate.Range(1, 500))
    after = After()


class ErrorEntry(Schema):
    """One thing that is wrong, and where; of a rule's sentence with the place in its text."""

    class Meta:
        unknown = INCLUDE

    pointer = fields.String(required=True, metadata={"example": "/dsl"})
    detail = fields.String(required=True)
    code = fields.String(required=True, metadata={"example": "syntax"})
    line = fields.Integer()
    column = fields.Integer()
    end_column = fields.Integer()
    hint = fields.String()
    test = fields.String(metadata={"description": "the test of a rule that failed"})


class Problem(Schema):
    """RFC 9457 problem document."""

    type = fields.String(
        required=True,
        metadata={
            "description": "the kind of problem: a page of this instance that explains it",
            "format": "uri-reference",
            "example": "/docs/problems#invalid",
        },
    )
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True)
    errors = fields.List(fields.Nested(ErrorEntry), required=True)
    request_id = fields.String(required=True)


def page_of(
    rows: Sequence[Row], limit: int, key: Callable[[Row], UUID]
) -> tuple[Sequence[Row], str | None]:
    """A page of `limit` rows and its `next`, from rows that were asked for with one to spare."""
    page = rows[:limit]
    return page, cursor(key(page[-1])) if len(rows) > limit else None


def cursor(key: UUID) -> str:
    """A page's `next`: opaque to clients."""
    return base64.urlsafe_b64encode(key.bytes).decode().rstrip("=")


def read_cursor(text: str | None) -> UUID | None:
    """The key that a cursor stands for."""
    return UUID(bytes=base64.urlsafe_b64decode(f"{text}==")) if text else None
