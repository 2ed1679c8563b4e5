"""The machine: one rule with memory, which decides on events and on times that have come.

It keeps nothing itself. The caller hands in states by their address, in the order in which it decides, and
writes those that changed. So the order in which events were decided under a key is all that matters: what
was decided stays decided, and a second reader of that order comes to the same.

Conditions go by the time of events, which may come out of order by the allowed lateness. An event later
than that, or decided before, changes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rules_dsl import tree
from rules_dsl.explanation import Explanation
from rules_dsl.memory.conditions import Condition, Gathered, condition_of
from rules_dsl.memory.decisions import LATE, SEEN, Address, Decision, Occurrence
from rules_dsl.memory.explained import explained
from rules_dsl.memory.keys import NO_KEY, joined, key_text, key_values, scalar_text
from rules_dsl.memory.plan import SECOND, Plan, microseconds, plan_of
from rules_dsl.memory.rounds import IsOpen, IsQuiet, Round, States, waiting
from rules_dsl.memory.state import Cause, State
from rules_dsl.memory.turn import Seen, Turn
from rules_dsl.reasons import why_failed
from rules_dsl.recursion import room_to_recurse
from rules_dsl.rule import Rule
from rules_dsl.run import Run


@dataclass(frozen=True, slots=True)
class Limits:
    """What one rule may keep; what is older is dropped, and counted."""

    keys: int = 100_000
    entries: int = 100_000  # of each log and list under one key


def nothing_open(name: str, key: str) -> bool:
    """Of no rule an alert is open."""
    return False


def nothing_quiet(round: Round) -> bool:
    """People keep nothing quiet."""
    return False


class Machine:
    """One rule with memory; it may be shared by threads, the states may not."""

    def __init__(
        self, rule: Rule, lateness: int = 60 * SECOND, limits: Limits | None = None
    ) -> None:
        with room_to_recurse():
            self.plan: Plan = plan_of(rule.tree)
        self._rule = rule
        self.lateness = lateness
        self.limits = limits or Limits()
        self.condition: Condition = condition_of(self.plan)
        self._reach = self.plan.reach
        self._steps = self.plan.key.steps
        self._timed = self.plan.timed
        self._kept = self.lateness + self._reach
        # Whether it matters to its clauses what people keep quiet.
        self.heeds_quiet = bool(self.plan.clauses.keys() & {tree.Throttle, tree.Group})
        self._throttled = self.plan.clauses.get(tree.Throttle)
        self._windows = _windows_alone(self.plan, self.condition)

    @property
    def most(self) -> int:
        """The cap on entries."""
        return self.limits.entries

    def address(self, event: Occurrence) -> Address | None:
        """The state of an event's own key; None if it has no such key."""
        return event.address(self._steps)

    def addresses(self, event: Occurrence) -> tuple[Address, ...]:
        """The states that an event may touch; none if it has no such key.

        Beside the `companions` of the first, which a time that the event shows to have passed may touch.
        """
        address = event.address(self._steps)
        if address is None:
            return ()
        if not self.plan.scopes:
            return (address,)
        own = self.keys(self._standing_in(address[1], event.body), address[1])
        return (address, *((scope, own[scope]) for scope in ("throttle", "group") if scope in own))

    def companions(self, state: State) -> tuple[Address, ...]:
        """The other states that the timers of one may touch."""
        found = {
            (scope, each[scope])
            for each in state.clause_keys
            for scope in ("throttle", "group", "")
            if scope in each
        }
        return tuple(sorted(found))

    def waiting(self, state: State, key: str, now: int) -> list[Round]:
        """What the timers of a state let go by then, so far as it matters whether people keep it quiet."""
        return waiting(state, key, now) if self.heeds_quiet else []

    def inhibitor(self, event: Occurrence) -> tuple[str, str] | None:
        """The rule's name and the key of the alert that would hold a match back."""
        address = event.address(self._steps)
        if address is None:
            return None
        key = address[1]
        return self._inhibitor(self.keys(self._standing_in(key, event.body), key), key)

    def inhibitors(self, state: State, key: str) -> list[tuple[str, str]]:
        """Likewise, for what the timers of a state may let go."""
        asked = [self._inhibitor(each, each.get("", key)) for each in state.clause_keys]
        return [each for each in asked if each]

    def decide(
        self,
        event: Occurrence,
        states: States,
        now: int,
        is_open: IsOpen = nothing_open,
        is_quiet: IsQuiet = nothing_quiet,
    ) -> list[Decision]:
        """What an event comes to: its decision, after those of times that it shows to have passed."""
        time = self.time_of(event)
        address = event.address(self._steps)
        if address is None:
            missing = f"{', '.join(self.plan.key.names)} holds no key"
            return [Decision("event", NO_KEY, time, reason=missing, event=event.id)]
        _, key = address
        state = states.get(address) or State(self.plan)
        if self._windows and (time > state.latest or self._joins(event, state)):
            newest = (self._windows, event, states, address, state, now, is_open, is_quiet)
            return [self._newest(*newest)]
        seen = self._look(event, time, state)
        if isinstance(seen, str):
            values = self._behind(time, state) if seen == LATE else {}
            return [Decision("event", key, time, reason=seen, values=values, event=event.id)]
        if not seen.takes_part:
            outcome = None if seen.single is None else False
            return [Decision("event", key, time, outcome, event=event.id)]
        states[address] = state
        turn = Turn(self, states, state, key, now, is_open, is_quiet)
        decisions = [] if state.due is None else turn.passed(time)
        keys = self.keys(self._standing_in(key, event.body), key) if self.plan.scopes else {}
        decisions.append(turn.taken(seen, Cause(time, event.id, keys)))
        self._forget(state)
        state.settle()
        return decisions

    def _joins(self, event: Occurrence, state: State) -> bool:
        """Whether an event is as new as the newest, and not decided yet."""
        return event.time == state.latest and (event.time, event.id) not in state.recent

    def _newest(
        self,
        windows: Gathered,
        event: Occurrence,
        states: States,
        address: Address,
        state: State,
        now: int,
        is_open: IsOpen,
        is_quiet: IsQuiet,
    ) -> Decision:
        """What most events come to: the newest of its key, for windows alone.

        As the long way does, which looks for much that cannot be then.
        """
        time, key, id = event.time, address[1], event.id
        judge, run = self.plan.judge, Run(event.body, event.accepted_at / SECOND)
        try:
            single = judge(run) if judge else True
            if single is not True:
                outcome = None if single is None else False
                return Decision("event", key, time, outcome, event=id)
            values = [feed(run) for feed in self.plan.feeds]
        except Exception as error:  # noqa: BLE001 - it is unknown then, as without memory
            return Decision("event", key, time, reason=why_failed(error), event=id)
        states[address] = state
        state.recent.append(time, id)
        outcome, recorded = windows.entered(state, run, time, values, time > state.latest)
        state.latest = time
        state.changed = True
        if outcome is True:
            turn = Turn(self, states, state, key, now, is_open, is_quiet)
            decision = turn.matched(Cause(time, id, {}), event.time, recorded)
            state.settle()
        else:
            decision = Decision("event", key, time, outcome, None, recorded, id)
        self._forget(state)
        return decision

    def fire(
        self,
        address: Address,
        states: States,
        now: int,
        is_open: IsOpen = nothing_open,
        is_quiet: IsQuiet = nothing_quiet,
    ) -> list[Decision]:
        """What comes of the timers of a state that are due."""
        state = states.get(address)
        if state is None:
            return []
        return Turn(self, states, state, address[1], now, is_open, is_quiet).fired(address)

    def begin(self, states: States, now: int) -> None:
        """Await what is expected from now on; for a rule that has just become active."""
        plan = self.plan
        if plan.absent is None:
            return
        keys = [joined([scalar_text(each) or ""]) for each in plan.expected]
        for key in keys if plan.key.paths else [NO_KEY]:
            if ("", key) not in states:
                state = states[("", key)] = State(plan)
                state.last = Cause(now, None, self.keys(self._standing_in(key, None), key))
                state.absent_due = now + plan.absent
                state.settle()

    def expires(self, state: State) -> int | None:
        """From when on a state may be forgotten; None while something is open in it.

        Then only an event that is later than allowed could tell that it is gone.
        """
        if state.due is not None or state.matches or state.since is not None:
            return None
        throttle = self._throttled
        until = state.latest + self._kept
        if throttle and state.rounds:
            until = max(until, state.rounds[-1] + microseconds(throttle.per))
        return until

    def subject(self, decision: Decision, body: dict[str, Any] | None) -> dict[str, Any]:
        """What messages and targets see: the event, or for `absent` what stands in for one."""
        return self._standing_in(decision.key, body)

    def explain(self, event: Occurrence, record: Mapping[str, Any]) -> Explanation:
        """Why a decision about an event came out as it did, from its record (`Decision.to_json`)."""
        now = event.accepted_at / SECOND
        node = self._rule.tree.condition
        with room_to_recurse():
            return explained(self.plan, self._rule.text, node, event.body, now, record)

    def _standing_in(self, key: str, body: dict[str, Any] | None) -> dict[str, Any]:
        if self.plan.absent is None:
            return body or {}
        return {"type": "sentinel.absent", **self._fields(key), "last": body}

    def _fields(self, key: str) -> dict[str, Any]:
        """The fields of a key, at their places."""
        fields: dict[str, Any] = {}
        for steps, value in zip(self.plan.key.steps, key_values(key), strict=False):
            place = fields
            for step in steps[:-1]:
                place = place.setdefault(str(step), {})
            place[str(steps[-1])] = value
        return fields

    def keys(self, body: Mapping[str, Any], key: str) -> dict[str, str]:
        """The keys of the clauses that have their own, and then the alert's too."""
        scopes = self.plan.scopes
        if not scopes:
            return {}
        own = {scope: key_text(body, each.steps) or "[null]" for scope, each in scopes.items()}
        return {"": key, **own}

    def _inhibitor(self, keys: Mapping[str, str], key: str) -> tuple[str, str] | None:
        clause = self.plan.clauses.get(tree.Unless)
        return (str(clause.rule.value), keys.get("unless", key)) if clause else None

    def time_of(self, event: Occurrence) -> int:
        """By which time an event is put in order.

        Clauses alone go by the order of acceptance, behind which no event comes too late.
        """
        return event.time if self._timed else event.accepted_at

    def _look(self, event: Occurrence, time: int, state: State) -> Seen | str:
        """What an event is to the rule, before anything is changed; or why it is nothing."""
        plan = self.plan
        run = Run(event.body, event.accepted_at / SECOND)
        try:
            single = plan.judge(run) if plan.judge else True
            resolves = plan.resolves is not None and plan.resolves(run) is True
            brought = self.condition.brought(state, run, time, single)
        except Exception as error:  # noqa: BLE001 - it is unknown then, as without memory
            return why_failed(error)
        seen = Seen(time, event.time, run, single, resolves, brought)
        if not seen.takes_part:
            return seen
        if time < state.latest - self.lateness:
            return LATE if self._timed else seen
        return SEEN if (time, event.id) in state.recent else seen

    def _behind(self, time: int, state: State) -> dict[str, object]:
        """How late an event came, and how late it might have."""
        return {"behind": state.latest - time, "allowed": self.lateness}

    def _forget(self, state: State) -> None:
        """Drop what no event can ask for any more, and what passes the cap."""
        oldest, most = state.latest - self.lateness, self.limits.entries
        state.dropped += state.recent.prune(oldest, most)
        self.condition.forget(state, oldest, most)


def _windows_alone(plan: Plan, condition: Condition) -> Gathered | None:
    """The condition of a rule that has windows, and neither a sequence, a `resolve when` nor keys of its clauses."""
    if not isinstance(condition, Gathered) or plan.sequence or plan.resolves or plan.scopes:
        return None
    return condition
