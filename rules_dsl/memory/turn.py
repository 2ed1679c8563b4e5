"""Turns: one event, or one moment, for one rule and key; it changes states and gives decisions."""

from dataclasses import dataclass
from typing import Any, Protocol

from rules_dsl.evaluator import Outcome
from rules_dsl.memory.conditions import Condition, Step
from rules_dsl.memory.decisions import Address, Decision, Verdict
from rules_dsl.memory.plan import Plan
from rules_dsl.memory.recent import FALSE, TRUE, UNKNOWN
from rules_dsl.memory.rounds import IsOpen, IsQuiet, Round, Rounds, States
from rules_dsl.memory.state import Cause, State
from rules_dsl.memory.told import told
from rules_dsl.run import Run

_MARKS = {True: TRUE, False: FALSE, None: UNKNOWN}


class Deciding(Protocol):
    """What is needed of the machine."""

    plan: Plan
    condition: Condition

    @property
    def most(self) -> int:
        """The cap on entries."""


@dataclass(slots=True)
class Seen:
    """What an event is to a rule: before anything is changed."""

    time: int  # by which it is put in order
    occurred: int
    run: Run
    single: Outcome
    resolves: bool
    brought: Any

    @property
    def takes_part(self) -> bool:
        """Whether the rule must remember it."""
        return self.brought is not None or self.resolves


class Turn:
    """A rule and key at one moment."""

    __slots__ = ("_condition", "_key", "_made", "_now", "_plan", "_state")

    def __init__(
        self,
        machine: Deciding,
        states: States,
        state: State,
        key: str,
        now: int,
        is_open: IsOpen,
        is_quiet: IsQuiet,
    ) -> None:
        self._plan = machine.plan
        self._condition = machine.condition
        self._state = state
        self._key = key
        self._now = now
        self._made = (machine.plan, states, machine.most, now, is_open, is_quiet)

    @property
    def _rounds(self) -> Rounds:
        # Few events match: most need no clauses.
        return Rounds(*self._made)

    def passed(self, time: int) -> list[Decision]:
        """What the condition comes to at times that an event shows to have passed."""
        decisions = []
        while (due := self._condition.due(self._state)) is not None and due < time:
            decisions.append(self._ripe(due))
        return decisions

    def taken(self, seen: Seen, cause: Cause) -> Decision:
        """What an event comes to, once it is taken in."""
        state = self._state
        at = state.recent.insert(seen.time, cause.id or b"", _MARKS[seen.single])
        if seen.time > state.latest:
            state.latest = seen.time
        outcome: Outcome = None if seen.single is None else False
        recorded: dict[str, object] = {}
        if seen.brought is not None:
            step = Step(seen.run, at, cause, seen.brought)
            outcome, recorded = self._condition.take(state, step)
        if outcome is True:
            return self.matched(cause, seen.occurred, recorded)
        alert = None
        if seen.resolves and state.matches and seen.occurred >= state.alert_time:
            state.close()
            alert = "resolve"
        return Decision("event", self._key, seen.time, outcome, None, recorded, cause.id, alert)

    def matched(self, cause: Cause, occurred: int, recorded: dict[str, object]) -> Decision:
        """What becomes of an event of which the condition is true."""
        return self._match("event", cause, cause.time, occurred, recorded)

    def fired(self, address: Address) -> list[Decision]:
        """What all timers that are due come to, one after the other."""
        decisions: list[Decision] = []
        state = self._state
        while state.due is not None and state.due <= self._now:
            due = state.due
            if due == self._condition.due(state):
                decisions.append(self._ripe(due))
            elif due == state.held_due:
                decisions += self._rounds.release(state)
            elif due == state.group_due:
                decisions.append(self._rounds.flush(state, address))
            else:
                state.close()
                decisions.append(Decision("resolve", self._key, due, alert="resolve"))
            state.settle()
        return decisions

    def _ripe(self, due: int) -> Decision:
        cause, recorded = self._condition.ripen(self._state, due)
        return self._match(self._condition.kind, cause, due, cause.time, recorded)

    def _match(
        self, kind: str, cause: Cause, time: int, occurred: int, recorded: dict[str, object]
    ) -> Decision:
        state = self._state
        alert = "count" if state.matches else "open"
        state.matches += 1
        state.alert_time = max(state.alert_time, occurred)
        if self._plan.resolve_after is not None:
            state.resolve_due = self._now + self._plan.resolve_after
        round = Round(cause, self._key, ripened=kind != "event")
        verdict: Verdict = self._rounds.verdict(round)
        reason = told(self._plan, self._key, time, recorded)
        return Decision(kind, self._key, time, True, reason, recorded, cause.id, alert, verdict)
