"""Times in tests, as the API reads them."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

_RFC_3339: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# So far from the calendar's ends that neither a zone nor what a rule waits for leads past them.
FIRST_YEAR: Final = 1000
LAST_YEAR: Final = 9000


def _year(number: int) -> int:
    return (datetime(number, 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)


YEARS: Final = range(_year(FIRST_YEAR), _year(LAST_YEAR))


def moment(written: object) -> int | None:
    """An RFC 3339 time in microseconds since 1970; None for anything else."""
    if not isinstance(written, str) or not _RFC_3339.fullmatch(written):
        return None
    try:
        # One whose offset leads out of the calendar is none in UTC.
        at = datetime.fromisoformat(written.upper()).astimezone(UTC)
        return (at - _EPOCH) // timedelta(microseconds=1)
    except (ValueError, OverflowError):
        return None
