"""Conditions with memory: what an event brings to each kind, and what comes of it.

One kind a class: clauses alone, windows and sequences, `for`, `absent`. Each looks at an event before
anything is changed (`brought`), so that an event that spends its budget leaves no trace.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rules_dsl.evaluator import Outcome
from rules_dsl.memory.plan import NOTHING, Plan, variable
from rules_dsl.memory.recent import TRUE
from rules_dsl.memory.sequence import Candidate, Found, Pending
from rules_dsl.memory.state import Cause, State
from rules_dsl.memory.windows import RUNNING, value_of
from rules_dsl.run import Run
from rules_dsl.values import Absent


@dataclass(slots=True)
class Step:
    """One event about to be taken in: what it brings, and its place among the recent ones."""

    run: Run
    at: int
    cause: Cause
    brought: Any


class Condition:
    """Clauses alone: a condition on single events, which needs no memory itself."""

    kind: str = "event"

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    def brought(self, state: State, run: Run, time: int, single: Outcome) -> Any:
        """What an event brings; None if it takes no part. Changes nothing."""
        return True if single is True else None

    def take(self, state: State, step: Step) -> tuple[Outcome, dict[str, object]]:
        """Whether the rule is true at an event, and what is recorded of it."""
        return True, {}

    def due(self, state: State) -> int | None:
        """The first time at which the condition may become true without an event."""
        return None

    def ripen(self, state: State, due: int) -> tuple[Cause, dict[str, object]]:
        """End the wait for such a time; gives the event that it is about, and what is recorded."""
        raise NotImplementedError

    def forget(self, state: State, oldest: int, most: int) -> None:
        """Drop what no event from `oldest` on can ask for, and what passes a cap."""


@dataclass(slots=True)
class _Brought:
    """What an event brings to windows and to a sequence."""

    values: list[Any]
    serves: int = 0
    candidate: Candidate | None = None
    found: Found | None = None
    closed: tuple[Pending, ...] = ()


class Gathered(Condition):
    """Windows, and a sequence: of the events for which the conditions beside them are true."""

    kind = "seq"

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        # How far back each log is asked.
        self._reach = [0] * len(plan.feeds)
        for spec in plan.windows:
            self._reach[spec.feed] = max(self._reach[spec.feed], spec.over + spec.offset)
        self._named = [(variable(at), each) for at, each in enumerate(plan.windows)]
        self._running = any(each.function in RUNNING for each in plan.windows)

    def brought(self, state: State, run: Run, time: int, single: Outcome) -> Any:
        if single is not True:
            return None
        plan = self.plan
        brought = _Brought([feed(run) for feed in plan.feeds])
        if plan.sequence is None:
            return brought
        self._look(state, run, time, brought)
        takes_part = plan.windows or brought.serves or brought.closed
        return brought if takes_part else None

    def _look(self, state: State, run: Run, time: int, brought: _Brought) -> None:
        sequence = self.plan.sequence
        assert sequence is not None
        if sequence.closing is not None:
            brought.closed = tuple(
                each
                for each in state.pending
                if each.last <= time < each.due and sequence.closes(each, run)
            )
        brought.serves = sequence.serves(run)
        if brought.serves:
            kept = sequence.kept(brought.serves, run.event)
            earlier = state.candidates[: _place(state.candidates, time)]
            brought.candidate = Candidate(time, b"", brought.serves, kept)
            brought.found = sequence.find(earlier, brought.candidate, run.now)

    def take(self, state: State, step: Step) -> tuple[Outcome, dict[str, object]]:
        plan = self.plan
        time = step.cause.time
        outcome, recorded = self.entered(state, step.run, time, step.brought.values)
        sequence = plan.sequence
        if sequence is None:
            return outcome, recorded
        follows = self._follow(state, step)
        outcome = _both(outcome, follows)
        recorded |= self._recorded(state, step.brought, time)
        if outcome is True:
            state.candidates.clear()
        return outcome, recorded

    def _recorded(self, state: State, brought: _Brought, time: int) -> dict[str, object]:
        """What is told of a sequence: how far it has come, whether it is whole, and what it waits for or has ended."""
        sequence = self.plan.sequence
        assert sequence is not None
        found, closed = brought.found, brought.closed
        recorded: dict[str, object] = {"steps": [each.times for each in sequence.steps]}
        if found is None:
            recorded["steps"] = sequence.progress(state.candidates, time, brought.serves)
        elif sequence.closing is None:
            recorded["whole"] = True
        else:
            recorded["until"] = found.first + sequence.within
        if closed:
            recorded["ended"] = max(each.last for each in closed)
        return recorded

    def entered(
        self, state: State, run: Run, time: int, values: Sequence[Any], newest: bool = False
    ) -> tuple[Outcome, dict[str, object]]:
        """What windows come to at an event that brings values; `newest` if it is later than all before."""
        for feed, value in enumerate(values):
            if value is NOTHING:
                continue
            state.logs[feed].insert(time, value)
            if self._running and not newest:
                self._note(state, feed, time, value)
        if not self._named:
            return True, {}
        if run.steps:  # with a budget of its own: nothing may fail from here on
            run = Run(run.event, run.now)
        found: list[object] = []
        for (name, spec), cursor in zip(self._named, state.cursors, strict=True):
            value = value_of(spec, state.logs[spec.feed], cursor, time)
            run.variables[name] = value
            found.append(None if isinstance(value, Absent) else value)
        outcome: Outcome = True
        for test in self.plan.tests:
            each = test(run)
            outcome = each if outcome is True else _both(outcome, each)
        return outcome, {"windows": found}

    def _note(self, state: State, feed: int, time: int, value: Any) -> None:
        """Tell those windows that have moved past an entry."""
        for spec, cursor in zip(self.plan.windows, state.cursors, strict=True):
            if cursor is not None and spec.feed == feed and time <= cursor.high:
                cursor.entered(spec, time, value)

    def _follow(self, state: State, step: Step) -> Outcome:
        """Take an event into the sequence: it may close one, complete one, or wait to serve."""
        brought, sequence = step.brought, self.plan.sequence
        assert sequence is not None
        cause = step.cause
        if brought.closed:
            state.pending = [each for each in state.pending if each not in brought.closed]
        again = brought.serves & ~sequence.only_last
        if brought.candidate and again and (brought.found is None or sequence.closing is None):
            assert cause.id is not None
            place = _place(state.candidates, cause.time)
            waiting = brought.candidate._replace(id=cause.id, steps=again)
            state.candidates.insert(place, waiting)
        if brought.found is None:
            return False
        if sequence.closing is None:
            return True
        assert cause.id is not None
        due = brought.found.first + sequence.within
        names = {
            name: each
            for name, each in brought.found.names.items()
            if name in sequence.closing.ties
        }
        state.pending.append(Pending(due, cause.time, cause.id, cause.keys, names))
        state.candidates.clear()
        return False

    def due(self, state: State) -> int | None:
        return min(each.due for each in state.pending) if state.pending else None

    def ripen(self, state: State, due: int) -> tuple[Cause, dict[str, object]]:
        pending = min(state.pending, key=lambda each: each.due)
        state.pending.remove(pending)
        return Cause(pending.last, pending.id, pending.keys), {"nothing_since": pending.last}

    def forget(self, state: State, oldest: int, most: int) -> None:
        plan = self.plan
        for feed, log in enumerate(state.logs):
            times = log.times
            if times and times[0] <= oldest - self._reach[feed]:
                gone = log.past(oldest - self._reach[feed])
                if gone:
                    self._drop(state, feed, gone)
            if len(times) > most:
                over = len(times) - most + most // 16
                self._drop(state, feed, over)
                state.dropped += over
        if plan.sequence is None:
            return
        gone = _place(state.candidates, oldest - plan.sequence.within)
        over = max(0, len(state.candidates) - most)
        del state.candidates[: max(gone, over)]
        state.dropped += max(0, over - gone)
        if len(state.pending) > most:
            state.dropped += len(state.pending) - most
            del state.pending[: len(state.pending) - most]

    def _drop(self, state: State, feed: int, count: int) -> None:
        # What ends an alert moves the time on, and no window: one may still stand on what goes.
        log = state.logs[feed]
        for number, spec in enumerate(self.plan.windows):
            cursor = state.cursors[number]
            if spec.feed == feed and cursor is not None:
                cursor.left(spec, log, count)
        log.drop(count)


class Held(Condition):
    """`… for 5m`: the latest events have all been true, for as long.

    Events of which the condition is unknown neither end the time nor begin it.
    """

    kind = "for"

    def brought(self, state: State, run: Run, time: int, single: Outcome) -> Any:
        return None if single is None else (single,)

    def take(self, state: State, step: Step) -> tuple[Outcome, dict[str, object]]:
        cause = step.cause
        (single,) = step.brought
        if single:
            self._true(state, cause)
        else:
            self._false(state, step.at, cause.time)
        due = state.spell_due
        recorded: dict[str, object] = {"since": state.since}
        if due is None or cause.time < due or not single:
            return False, recorded
        state.spell_due = None
        return True, recorded

    def _true(self, state: State, cause: Cause) -> None:
        if cause.time < state.falsified:
            return
        if state.last is None or cause.time >= state.last.time or state.since is None:
            state.last = cause
        begun = state.since is None
        if begun or cause.time < state.since:  # type: ignore[operator]
            waits = begun or state.spell_due is not None
            state.since = cause.time
            assert self.plan.held is not None
            state.spell_due = cause.time + self.plan.held if waits else None

    def _false(self, state: State, at: int, time: int) -> None:
        state.falsified = max(state.falsified, time)
        if state.since is None or time < state.since:
            return
        later = [i for i in range(at + 1, len(state.recent.times)) if state.recent.marks[i] == TRUE]
        assert self.plan.held is not None
        state.since = state.recent.times[later[0]] if later else None
        state.spell_due = None if state.since is None else state.since + self.plan.held

    def due(self, state: State) -> int | None:
        return state.spell_due

    def ripen(self, state: State, due: int) -> tuple[Cause, dict[str, object]]:
        state.spell_due = None
        assert state.last is not None
        return state.last, {"since": state.since}


class Missing(Condition):
    """`absent(…) for 10m`: nothing seen for as long, once something was expected."""

    kind = "absent"

    def brought(self, state: State, run: Run, time: int, single: Outcome) -> Any:
        return True if single is True else None

    def take(self, state: State, step: Step) -> tuple[Outcome, dict[str, object]]:
        assert self.plan.absent is not None
        if state.last is None or step.cause.time >= state.last.time:
            state.last = step.cause
            state.absent_due = step.cause.time + self.plan.absent
        return False, {"nothing_since": None}

    def due(self, state: State) -> int | None:
        return state.absent_due

    def ripen(self, state: State, due: int) -> tuple[Cause, dict[str, object]]:
        state.absent_due = None
        assert state.last is not None
        return state.last, {"nothing_since": state.last.time}


def condition_of(plan: Plan) -> Condition:
    """The kind of condition that a rule has."""
    if plan.held is not None:
        return Held(plan)
    if plan.absent is not None:
        return Missing(plan)
    return Gathered(plan) if plan.windows or plan.sequence else Condition(plan)


def _both(one: Outcome, other: Outcome) -> Outcome:
    """`and`."""
    if one is False or other is False:
        return False
    return None if one is None or other is None else True


def _place(candidates: list[Candidate], time: int) -> int:
    """How many candidates are not later than a time."""
    return bisect_right(candidates, time, key=lambda each: each.time)
