"""Times as commands take them: RFC 3339, or how long ago."""

from datetime import UTC, datetime, timedelta
from typing import Any

import click

from app.schemas.common import SPAN, UNITS


class Moment(click.ParamType[str]):
    """`2026-01-31T09:00:00Z`, or `2h` for two hours ago."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """A text that the API takes."""
        text = str(value)
        ago = SPAN.fullmatch(text)
        if text and ago:
            counts = [int(count or 0) for count in ago.groups()]
            span = sum((n * unit for n, unit in zip(counts, UNITS, strict=False)), timedelta())
            try:
                return (datetime.now(UTC) - span).isoformat()
            except OverflowError:
                self.fail("is too long ago", param, ctx)
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            self.fail(
                "write a time such as 2026-01-31T09:00:00Z, or 2h for how long ago", param, ctx
            )
        if moment.tzinfo is None:
            self.fail("has no offset; write 2026-01-31T09:00:00Z", param, ctx)
        return text


MOMENT = Moment()
