"""A world for one rule with memory: its clock stands still until a test moves it."""

import itertools
from datetime import UTC, datetime
from typing import Any

from rules_dsl import compile_rule
from rules_dsl.memory import Decision, Limits, Machine, MemoryStates, Occurrence, State
from rules_dsl.memory.rounds import Round

SECOND = 1_000_000
MINUTE, HOUR = 60, 3_600
MONDAY = int(datetime(2026, 11, 23, 10, tzinfo=UTC).timestamp()) * SECOND
THEN = ' then notify("slack:#ops") '


class World:
    """One rule, its states, and a clock in seconds since Monday, 10:00 UTC."""

    def __init__(self, rule: str, *, begin: int = MONDAY, limits: Limits | None = None) -> None:
        when, _, clauses = rule.partition(" | ")
        self.machine = Machine(compile_rule(f"when {when}{THEN}{clauses}"), limits=limits)
        self.states = MemoryStates(self.machine.limits.keys)
        self.begin = begin
        self.open: set[tuple[str, str]] = set()
        self.quiet: set[bytes] = set()  # the events that people keep quiet
        self.sent: list[Occurrence] = []
        self._ids = itertools.count(1)
        self.machine.begin(self.states, begin)

    def event(self, at: float, *, late: float = 0, **body: Any) -> Occurrence:
        """An event that is accepted at a time, and happened some seconds before."""
        accepted = self.begin + int(at * SECOND)
        id = next(self._ids).to_bytes(16, "big")
        return Occurrence(id, body, accepted - int(late * SECOND), accepted)

    def decide(self, event: Occurrence, at: float | None = None) -> list[Decision]:
        """What an event comes to; every state is saved and loaded before."""
        for address, state in list(self.states.items()):
            self.states[address] = State.unpack(state.pack())
        self.sent.append(event)
        now = event.accepted_at if at is None else self.begin + int(at * SECOND)
        return self.machine.decide(event, self.states, now, self._is_open, self._is_quiet)

    def send(self, at: float, *, late: float = 0, **body: Any) -> Decision:
        """The decision on a new event."""
        return self.decide(self.event(at, late=late, **body))[-1]

    def matched(self, at: float, *, late: float = 0, **body: Any) -> bool | None:
        """Whether the rule is true of a new event."""
        return self.send(at, late=late, **body).outcome

    def verdict(self, at: float, **body: Any) -> tuple[str, str | None]:
        """What becomes of a match."""
        verdict = self.send(at, **body).verdict
        assert verdict is not None
        return verdict.kind, verdict.reason

    def sweep(self, at: float) -> list[Decision]:
        """What comes of all timers that are due."""
        now = self.begin + int(at * SECOND)
        return [
            decision
            for address in self.states.due(now)
            for decision in self.machine.fire(
                address, self.states, now, self._is_open, self._is_quiet
            )
        ]

    def _is_open(self, name: str, key: str) -> bool:
        return (name, key) in self.open

    def _is_quiet(self, round: Round) -> bool:
        return round.cause.id in self.quiet
