"""Decisions: what a machine makes of an event or of a time that has come, to be recorded as it is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeAlias

from rules_dsl.evaluator import Outcome
from rules_dsl.memory.keys import Steps, key_text

Address: TypeAlias = tuple[str, str]  # a scope ("", "throttle" or "group") and a key

LATE: Final = "late"  # further behind the newest event of its key than is allowed
SEEN: Final = "seen"  # decided already


@dataclass(slots=True, eq=False)
class Occurrence:
    """An event: its id of 16 bytes, and its times in microseconds since 1970.

    `time` is when it happened; nothing happens after it was accepted.
    """

    id: bytes
    body: dict[str, Any]
    occurred_at: int
    accepted_at: int
    time: int = field(init=False)
    # Most rules that an event concerns have the same fields after `by`.
    _known: dict[Steps, Address | None] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.time = min(self.occurred_at, self.accepted_at)

    def address(self, steps: Steps) -> Address | None:
        """Of a state without a scope, by the fields of its key; None where one of them has no value."""
        try:
            return self._known[steps]
        except KeyError:
            key = key_text(self.body, steps)
            address = self._known[steps] = None if key is None else ("", key)
            return address


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether somebody is notified: notify, throttled, grouped, held, dropped or inhibited."""

    kind: str
    reason: str | None = None
    until: int | None = None

    def to_json(self) -> dict[str, object]:
        """The verdict as JSON."""
        return {"kind": self.kind, "reason": self.reason, "until": self.until}


_NONE: Final[Mapping[str, object]] = MappingProxyType({})


class Decision(NamedTuple):
    """What came of one event under one key, or of one of its timers."""

    kind: str  # "event", or the timer: "for", "absent", "seq", "resolve", "group", "held"
    key: str
    time: int  # of the event, or when the timer was due
    outcome: Outcome = None
    reason: str | None = None
    values: Mapping[str, object] = _NONE  # what `explain_decision` reads
    event: bytes | None = None  # whose body is the message about
    alert: str | None = None  # "open", "count" or "resolve"
    verdict: Verdict | None = None
    rounds: int = 1  # how many matches it stands for: those of a group

    def to_json(self) -> dict[str, object]:
        """The decision as JSON."""
        return {
            "kind": self.kind,
            "key": self.key,
            "time": self.time,
            "outcome": self.outcome,
            "reason": self.reason,
            "values": dict(self.values),
            "event": self.event.hex() if self.event else None,
            "alert": self.alert,
            "verdict": self.verdict.to_json() if self.verdict else None,
            "rounds": self.rounds,
        }
