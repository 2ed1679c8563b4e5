"""Times in tests, as the API reads them."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

_RFC_3339: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def moment(written: object) -> int | None:
    """An RFC 3339 time in microseconds since 1970; None for anything else."""
    if not isinstance(written, str) or not _RFC_3339.fullmatch(written):
        return None
    try:
        return (datetime.fromisoformat(written.upper()) - _EPOCH) // timedelta(microseconds=1)
    except (ValueError, OverflowError):
        return None
