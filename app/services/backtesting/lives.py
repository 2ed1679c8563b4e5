"""The alerts of a trial: one open at a time of each rule and key, as live keeps them."""

from typing import Final

from app.services.backtesting.tally import Life

# Of all rules; past it those go that were opened first.
MOST: Final = 100_000
Where = tuple[int, str]


class Lives:
    """The last alert of each rule's place and key."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._last: dict[Where, Life] = {}
        self.dropped = 0

    def count(self, place: int, key: str, at: int) -> tuple[Life, bool]:
        """Count a match; tells whether it opened the alert."""
        life = self._last.get((place, key))
        opens = life is None or life.resolved_at is not None
        if life is None or opens:
            life = self._open((place, key), at)
        life.count += 1
        life.last_at = at
        return life, opens

    def last(self, place: int, key: str) -> Life | None:
        """The last alert, whether it is still open or not."""
        return self._last.get((place, key))

    def end(self, place: int, key: str, at: int) -> Life | None:
        """End the open alert, if there is one."""
        life = self._last.get((place, key))
        if life is None or life.resolved_at is not None:
            return None
        life.resolved_at = at
        return life

    def is_open(self, place: int, key: str) -> bool:
        """Whether an alert is open under a key."""
        life = self._last.get((place, key))
        return life is not None and life.resolved_at is None

    def _open(self, where: Where, at: int) -> Life:
        self._last.pop(where, None)
        life = self._last[where] = Life(where[1], at, at)
        if len(self._last) > self._most:
            del self._last[next(iter(self._last))]
            self.dropped += 1
        return life
