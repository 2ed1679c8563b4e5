"""Differences: what of two sides matched on one alone, and on both.

The sides are two rules of one trial, or one rule and what live has recorded of its version. What an event alone decides
is settled with it. Where times may still make a rule true of an event of before, it waits for the end.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from app.services.backtesting.past import Stored
from app.services.backtesting.tally import MOST_LISTED, key_of, text_of

# Matches that wait for the other side; past it the oldest are taken as they are.
MOST_WAITING: Final = 50_000


@dataclass(frozen=True, slots=True)
class Found:
    """A match of one side: of an event, or of a time without one."""

    event: bytes | None
    at: int
    key: str | None = None
    # Where it is the event that matched, and not a time.
    accepted_at: int | None = None

    @property
    def identity(self) -> Hashable:
        """What it is known by on both sides."""
        return self.event or (self.key, self.at)


@dataclass(frozen=True)
class Reason:
    """Why live came to something else: a word, and what more is known."""

    code: str
    detail: str | None = None


class Difference:
    """Two sides, `first` and `second`."""

    def __init__(self, *, at_once: bool) -> None:
        """`at_once` if no time can make a rule true of an event of before."""
        self._at_once = at_once
        self._waiting: tuple[dict[Hashable, Found], dict[Hashable, Found]] = ({}, {})
        self.both = 0
        self.only = [0, 0]
        self.listed: tuple[list[Found], list[Found]] = ([], [])

    def matched(self, side: int, found: Found) -> None:
        """One side has matched."""
        if self._waiting[1 - side].pop(found.identity, None) is not None:
            self.both += 1
            return
        self._waiting[side][found.identity] = found

    def settle(self, *, end: bool = False) -> None:
        """What still waits has no other side."""
        for side, waiting in enumerate(self._waiting):
            over = len(waiting) if end or self._at_once else len(waiting) - MOST_WAITING
            for _ in range(over):
                self._alone(side, waiting.pop(next(iter(waiting))))

    def _alone(self, side: int, found: Found) -> None:
        self.only[side] += 1
        if len(self.listed[side]) < MOST_LISTED // 2:
            self.listed[side].append(found)


def _of_event(event: Stored) -> Found:
    return Found(event.id, event.time, accepted_at=event.accepted_at)


class BetweenRules:
    """Holds the first rule of a trial against the second."""

    def __init__(self, *, at_once: bool) -> None:
        self.difference = Difference(at_once=at_once)

    def event(self, event: Stored, matched: Sequence[int]) -> None:
        """An event is decided."""
        for place in matched:
            self.difference.matched(place, _of_event(event))
        self.difference.settle()

    def time(self, place: int, event: bytes | None, key: str, due: int) -> None:
        """A time made one of them true."""
        self.difference.matched(place, Found(event, due, key))

    def page(self, events: Sequence[Stored]) -> None:
        """Nothing needs to be known before."""


# Which of some events live has recorded as matches.
Recorded = Callable[[Sequence[bytes]], set[bytes]]
TRIED, LIVE = 0, 1


class AgainstLive:
    """Holds the only rule of a trial against what live has recorded of its version, while that was current."""

    def __init__(
        self, recorded: Recorded, current: Callable[[int], bool], *, at_once: bool
    ) -> None:
        self.difference = Difference(at_once=at_once)
        self._recorded = recorded
        self._current = current
        self._live: set[bytes] = set()
        # Ids of events go by acceptance, and so by revision.
        self._first, self._last = b"", b""
        self.compared = 0

    def page(self, events: Sequence[Stored]) -> None:
        """Look up what live has made of the events that come next."""
        ids = [event.id for event in events if self._current(event.revision)]
        self._live = self._recorded(ids) if ids else set()
        if ids:
            self._first = min(self._first or ids[0], *ids)
            self._last = max(self._last, *ids)

    def event(self, event: Stored, matched: Sequence[int]) -> None:
        """An event is decided."""
        if not self._current(event.revision):
            return
        self.compared += 1
        found = _of_event(event)
        if matched:
            self.difference.matched(TRIED, found)
        if event.id in self._live:
            self.difference.matched(LIVE, found)
        self.difference.settle()

    def time(self, place: int, event: bytes | None, key: str, due: int) -> None:
        """A time made the rule true; live knows of it by the event that it is about."""
        if event is not None and self._first and self._first <= event <= self._last:
            self.difference.matched(TRIED, Found(event, due, key))


def shown(
    difference: Difference, names: tuple[str, str], reasons: Mapping[bytes, Reason] | None = None
) -> dict[str, Any]:
    """Both sides as JSON; `reasons` say of events why live came to something else."""
    sides = {
        f"only_{name}": difference.only[side] for side, name in enumerate(names)
    }  # fmt: skip
    listed = {
        f"only_{name}": [_shown(found, reasons) for found in difference.listed[side]]
        for side, name in enumerate(names)
    }
    return {"both": difference.both, **sides, "listed": listed}


def _shown(found: Found, reasons: Mapping[bytes, Reason] | None) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "event_id": key_of(found.event),
        "at": text_of(found.at),
        "accepted_at": None if found.accepted_at is None else text_of(found.accepted_at),
        "key": found.key,
    }
    if reasons is not None:
        reason = reasons.get(found.event or b"")
        entry["reason"] = reason and reason.code
        entry["detail"] = reason and reason.detail
    return entry
