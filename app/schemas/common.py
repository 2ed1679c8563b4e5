"""Fields and pages that many resources share."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar
from uuid import UUID

from marshmallow import Schema, ValidationError, fields, validate

from app.services.errors import Refusal

Row = TypeVar("Row")

NAME: Final = (
    validate.Length(1, 200),
    validate.Regexp(r"^[^\x00-\x1f\x7f]+$", error="contains control characters"),
)


class Text(fields.String):
    """A string that PostgreSQL can hold."""

    def _deserialize(self, *args: Any, **kwargs: Any) -> str:
        value: str = super()._deserialize(*args, **kwargs)
        if "\0" in value:
            raise ValidationError("contains NUL")
        return value


class PageQuery(Schema):
    """Where a page begins, and how long it is."""

    limit = fields.Integer(load_default=50, validate=validate.Range(1, 500))
    after = Text(load_default=None, metadata={"description": "`next` of the page before"})


class ErrorEntry(Schema):
    """One thing that is wrong, and where."""

    pointer = fields.String(required=True)
    detail = fields.String(required=True)
    code = fields.String(required=True)


class Problem(Schema):
    """RFC 9457 problem document."""

    type = fields.String(required=True)
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
    """The key that a cursor stands for; raises `Refusal`."""
    if text is None:
        return None
    try:
        return UUID(bytes=base64.b64decode(text + "==", altchars=b"-_", validate=True))
    except (ValueError, binascii.Error):
        raise Refusal(
            "is not a `next` that a page gave", pointer="/query/after", code="bad_cursor"
        ) from None
