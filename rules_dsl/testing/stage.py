"""A stage: one rule as it would run live, with its memory, a clock, and the events that it was shown.

Timers go off each at its own time; those of the very moment of an event only after it, as the machine has it.
"""

from dataclasses import dataclass, field
from time import thread_time
from typing import Any, Final

from rules_dsl.evaluator import Outcome
from rules_dsl.memory import Address, Decision, Limits, Machine, MemoryStates, Occurrence
from rules_dsl.memory.keys import key_text
from rules_dsl.rule import Rule
from rules_dsl.testing.blocks import SECOND, OpenAlert
from rules_dsl.testing.times import moment
from rules_dsl.tree import Unless

_LIMITS: Final = Limits(keys=10_000, entries=10_000)
_MOST_TIMERS: Final = 10_000
MOST_SECONDS: Final = 2
_BY_TIME: Final = ("for", "absent", "seq")


@dataclass(slots=True)
class Came:
    """What came of one step."""

    outcome: Outcome
    verdicts: list[str] = field(default_factory=list)
    resolved: bool = False
    notified: set[str] = field(default_factory=set)
    messages: list[str] = field(default_factory=list)
    why: str | None = None


class TooCostly(Exception):
    """A test that takes more than tests may."""


class Stage:
    """One rule, from the time of its making on."""

    def __init__(self, rule: Rule, machine: Machine, name: str, begin: int, until: float) -> None:
        """`until` is when this thread has used up its processor time, by `time.thread_time`."""
        self._rule = rule
        self._machine = machine
        self._name = name
        self._states = MemoryStates(_LIMITS.keys)
        self._bodies: list[dict[str, Any]] = []
        self._open: dict[str, set[str] | None] = {}  # None is any key
        self._told: set[str] = set()  # the keys of alerts that somebody has heard of
        self._timers = 0
        self._until = until
        machine.begin(self._states, begin)

    def event(self, body: dict[str, Any], times: int, now: int) -> Came:
        """What comes of the last of some equal events."""
        self._wait(now - 1)
        for _ in range(times):
            self._pay()
            event = self._occurrence(body, now)
            decisions = self._machine.decide(event, self._states, now, self._is_open)
            came = Came(decisions[-1].outcome)
            for each in decisions[:-1]:
                self._take(each, now, Came(None))
            self._take(decisions[-1], now, came)
        came.why = self._why(event, decisions[-1])
        return came

    def wait(self, now: int) -> Came:
        """What comes by time alone."""
        came = Came(False)
        for each, at in self._wait(now):
            came.outcome = came.outcome or (each.kind in _BY_TIME and each.outcome)
            self._take(each, at, came)
        return came

    def alert(self, alert: OpenAlert) -> str | None:
        """Begin or end another rule's alert; or what is wrong with that."""
        clause = self._machine.plan.clauses.get(Unless)
        if clause is None or clause.rule.value != alert.name:
            return f"the rule has no unless open({alert.name!r})".replace("'", '"')
        if alert.fields is None:
            self._open[alert.name] = None if alert.opens else set()
            return None
        scope = self._machine.plan.scopes.get("unless", self._machine.plan.key)
        key = key_text(alert.fields, scope.steps)
        if key is None:
            return f"the key of that alert is {', '.join(scope.names)}"
        keys = self._open.setdefault(alert.name, set()) or set()
        self._open[alert.name] = keys | {key} if alert.opens else keys - {key}
        return None

    def _wait(self, now: int) -> list[tuple[Decision, int]]:
        """The decisions of all timers up to a time, each at its own."""
        made: list[tuple[Decision, int]] = []
        while (address := self._first(now)) is not None:
            self._pay()
            self._timers += 1
            if self._timers > _MOST_TIMERS:
                raise TooCostly("its timers go off without end")
            due = self._states[address].due
            assert due is not None
            fired = self._machine.fire(address, self._states, due, self._is_open)
            made += [(each, due) for each in fired]
        return made

    def _pay(self) -> None:
        if thread_time() > self._until:
            raise TooCostly(f"the tests of a rule take at most {MOST_SECONDS} s of processor time")

    def _first(self, now: int) -> Address | None:
        due = self._states.due(now)
        return due[0] if due else None

    def _take(self, decision: Decision, now: int, came: Came) -> None:
        """Note who hears of a decision, and what."""
        if decision.alert == "open":
            self._told.discard(decision.key)
        if decision.alert == "resolve":
            came.resolved = True
            if decision.key in self._told:
                came.notified |= {str(each) for each in self._rule.targets if each.resolved}
        if decision.verdict is None:
            return
        came.verdicts.append(decision.verdict.kind)
        if decision.verdict.kind == "notify":
            self._told.add(decision.key)
            came.notified |= {str(each) for each in self._rule.targets}
            came.messages.append(self._message(decision, now))

    def _message(self, decision: Decision, now: int) -> str:
        """What the notification says."""
        body = self._bodies[int.from_bytes(decision.event, "big")] if decision.event else None
        subject = self._machine.subject(decision, body)
        written = self._rule.render_message(subject, now / SECOND)
        if not written and decision.reason:
            written = f"{self._name}: {decision.reason}"
        written = written or f"{self._name} matched an event of type {subject.get('type')}"
        several = f"{decision.rounds} matches, the last: " if decision.rounds > 1 else ""
        return several + written

    def _occurrence(self, body: dict[str, Any], now: int) -> Occurrence:
        id = len(self._bodies).to_bytes(16, "big")
        self._bodies.append(body)
        own = moment(body.get("time"))
        return Occurrence(id, body, now if own is None else own, now)

    def _why(self, event: Occurrence, decision: Decision) -> str:
        explained = self._machine.explain(event, decision.to_json())
        return str(explained.nearest_miss or explained)

    def _is_open(self, name: str, key: str) -> bool:
        keys = self._open.get(name, set())
        return keys is None or key in keys


def machine_of(rule: Rule) -> Machine:
    """The machine of a rule under test."""
    return Machine(rule, limits=_LIMITS)
