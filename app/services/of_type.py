"""The newest or oldest rows of one type, along the index of types.

Where a type is asked for by `=`, PostgreSQL may rather walk the primary key and throw away the others: of a type that
was frequent once and comes no more, a million rows. An order by type, which a range of rows does not make needless,
leaves it the one index.
"""

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, tuple_

LOWEST: Final = UUID(int=0)
HIGHEST: Final = UUID(int=2**128 - 1)


@dataclass(frozen=True)
class Between:
    """Keys from `low` up to, not including, `high`."""

    low: UUID = LOWEST
    high: UUID = HIGHEST

    def of_type(self, kind: Any, key: Any, type_: Any) -> list[ColumnElement[bool]]:
        """The rows of a type among them."""
        row = tuple_(kind, key)
        return [row >= tuple_(type_, self.low), row < tuple_(type_, self.high), *self.of_all(key)]

    def of_all(self, key: Any) -> list[ColumnElement[bool]]:
        """All rows among them; of a table in partitions, only those in question are looked at."""
        bounds = []
        if self.low != LOWEST:
            bounds.append(key >= self.low)
        if self.high != HIGHEST:
            bounds.append(key < self.high)
        return bounds
