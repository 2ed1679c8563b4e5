"""How much is measured, and whom to tell."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """`scale` is the share of the full amount of work in each round."""

    rounds: int
    scale: float
    say: Callable[[str], None]

    def some(self, seconds: float) -> float:
        """That many seconds, scaled."""
        return seconds * self.scale

    def many(self, count: int) -> int:
        """That many things, scaled, in hundreds."""
        return max(100, round(count * self.scale / 100) * 100)
