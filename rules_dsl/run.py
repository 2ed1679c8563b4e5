"""One evaluation: the event, the time, the variables of quantifiers, and what it may still cost."""

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Final, TypeAlias

BUDGET: Final = 100_000
Now: TypeAlias = float | datetime | None


class BudgetSpent(Exception):
    """The end of an evaluation whose quantifiers take too many steps."""


class Run:
    """The state of one evaluation of one rule."""

    __slots__ = ("event", "now", "steps", "variables")

    def __init__(self, event: Mapping[str, object], now: float) -> None:
        # Paths look at exact types, which are fast to test and cannot overrule anything.
        self.event = event if type(event) is dict else dict(event)
        self.now = now
        self.steps = 0
        self.variables: dict[str, object] = {}

    def pay(self, steps: int) -> None:
        """Pay for an element of a quantifier, or for work that quantifiers multiply."""
        self.steps += steps
        if self.steps > BUDGET:
            raise BudgetSpent

    def charge(self, *values: object) -> None:
        """Pay for reading through values; for whoever sees that there are `steps`, since a quantifier multiplies that.

        Without it a rule could spend minutes within its steps, each of them on a text of 256 KiB.
        """
        for value in values:
            if type(value) is str:
                self.pay(len(value) >> 10)
            elif type(value) is int:
                self.pay(value.bit_length() >> 10)
            elif type(value) is list:
                letters = sum(len(item) for item in value if type(item) is str)
                self.pay((len(value) >> 4) + (letters >> 10))

    def charge_search(self, value: object, size: int) -> None:
        """Likewise, for a regex of so many instructions: at worst it has them all at work at each letter."""
        if type(value) is str:
            self.pay(len(value) * size >> 13)


def clock(now: Now) -> float:
    """The time of an evaluation in seconds since 1970: what was handed in, or the wall clock."""
    if now is None:
        return time.time()
    return now.timestamp() if isinstance(now, datetime) else now
