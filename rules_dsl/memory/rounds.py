"""Rounds of notification: whether a match notifies, and what holds it back.

The clauses are asked in one order, and the first that holds a match back names the reason: `unless`,
`during`, `throttle`, `group`. They go by the time of the decision, which is when people would hear of it;
only conditions go by the time of events.

What people keep quiet, with a silence say, is no round of a throttle and joins no group: it would hold back
what others should hear of, or take that with it.
"""

from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from zoneinfo import ZoneInfo

from rules_dsl import tree
from rules_dsl.format import format_clause
from rules_dsl.memory.calendar import clock_text
from rules_dsl.memory.decisions import Address, Decision, Verdict
from rules_dsl.memory.keys import NO_KEY, names_and_values
from rules_dsl.memory.plan import Plan, microseconds
from rules_dsl.memory.state import Cause, Kept, State

# So many alerts of one group are known apart, beside the last.
OTHERS: Final = 100
# What stands before the last of a group that waits for the time of `during`.
PART: Final = "part"
IsOpen = Callable[[str, str], bool]
States = MutableMapping[Address, State]


@dataclass(slots=True)
class Round:
    """Matches on their way to being notified: one, or those of a group."""

    cause: Cause
    key: str
    rounds: int = 1
    kind: str = "event"
    # Whether a time has just made the condition true.
    ripened: bool = False
    # The last match of each alert in a group, those too that are quiet now.
    gathered: Sequence["Round"] = ()

    def key_of(self, scope: str) -> Address:
        """The address of a clause's state."""
        own = self.cause.keys.get(scope)
        return ("", self.key) if own is None else (scope, own)


IsQuiet = Callable[[Round], bool]


class Rounds:
    """The clauses of one rule at one moment."""

    def __init__(
        self,
        plan: Plan,
        states: States,
        most: int,
        now: int,
        is_open: IsOpen,
        is_quiet: IsQuiet,
    ) -> None:
        self._plan = plan
        self._states = states
        self._most = most
        self._now = now
        self._is_open = is_open
        self._is_quiet = is_quiet

    def verdict(self, round: Round) -> Verdict:
        """Whether a round notifies; what it changes is in the states."""
        for step in (self._unless, self._during, self._throttle, self._quiet, self._group):
            verdict = step(round)
            if verdict:
                return verdict
        if tree.Throttle in self._plan.clauses:
            state = self.state(round.key_of("throttle"))
            state.rounds.append(self._now)
            state.settle()
        return Verdict("notify")

    def flush(self, state: State, address: Address) -> Decision:
        """End a group: its matches become one round."""
        due, gathered = state.group_due, _gathered(state, address[1])
        assert due is not None
        state.group, state.group_others, state.group_rounds, state.group_due = None, [], 0, None
        state.settle()
        return self._tell(gathered, due)

    def release(self, state: State) -> list[Decision]:
        """Let go what waited for the time of `during`."""
        due, held = state.held_due, state.held
        assert due is not None
        state.held, state.held_due = [], None
        state.settle()
        decisions: list[Decision] = []
        gathered: list[Round] = []
        for each in held:
            kind = "group" if each.kind == PART else each.kind
            gathered.append(Round(each.cause, each.key, each.rounds, kind))
            if each.kind != PART:
                decisions.append(self._tell(gathered, due, "held"))
                gathered = []
        return decisions

    def _tell(self, gathered: list[Round], due: int, kind: str = "group") -> Decision:
        """Make one round of what was gathered."""
        told = self._heard(gathered)
        round = replace(told[-1], rounds=sum(each.rounds for each in told), gathered=gathered)
        verdict = self.verdict(round)
        return Decision(
            kind=kind,
            key=round.key,
            time=due,
            outcome=True,
            event=round.cause.id,
            verdict=verdict,
            rounds=round.rounds,
        )

    def _heard(self, gathered: list[Round]) -> list[Round]:
        """Of several alerts those that people keep quiet, or that are over, hold back none but themselves."""
        if not gathered[1:]:
            return gathered
        heard = [each for each in gathered if not self._is_quiet(each)]
        return [each for each in heard if self._lasts(each)] or heard or gathered

    def _lasts(self, round: Round) -> bool:
        """Whether its alert is open."""
        state = self._states.get(("", round.key))
        return state is not None and state.matches > 0

    def state(self, address: Address) -> State:
        """A state, made if there was none."""
        state = self._states.get(address)
        if state is None:
            state = self._states[address] = State(self._plan)
        return state

    def _unless(self, round: Round) -> Verdict | None:
        clause = self._plan.clauses.get(tree.Unless)
        if clause is None:
            return None
        name = str(clause.rule.value)
        key = round.cause.keys.get("unless", round.key)
        if not self._is_open(name, key):
            return None
        scope = self._plan.scopes.get("unless", self._plan.key)
        where = f" for {names_and_values(scope.names, key)}" if key != NO_KEY else ""
        return Verdict("inhibited", f'inhibited: "{name}" is open{where}')

    def _during(self, round: Round) -> Verdict | None:
        calendar = self._plan.calendar
        begins = calendar.begins(self._now) if calendar else None
        if calendar is None or begins is None:
            return None
        clause = self._plan.clauses[tree.During]
        if clause.otherwise == "drop":
            written = format_clause(clause).removesuffix(" otherwise drop").removeprefix("during ")
            return Verdict("dropped", f"dropped: outside {written}")
        state = self.state(round.key_of("group") if round.kind == "group" else ("", round.key))
        *parts, last = _kept(round.gathered or [round])
        state.held += [*(part._replace(kind=PART) for part in parts), last]
        over = len(state.held) - self._most
        if over > 0:
            state.dropped += over
            del state.held[:over]
        state.held_due = begins
        state.settle()
        clock = clock_text(begins, self._now, calendar.zone)
        return Verdict("held", f"held until {clock} {calendar}", begins)

    def _throttle(self, round: Round) -> Verdict | None:
        clause = self._plan.clauses.get(tree.Throttle)
        if clause is None:
            return None
        state = self._states.get(round.key_of("throttle"))
        if state is None:
            return None
        start = self._now - microseconds(clause.per)
        if state.rounds and state.rounds[0] <= start:
            state.rounds = [each for each in state.rounds if each > start]
            state.settle()
        if len(state.rounds) < clause.count.value:
            return None
        since = clock_text(state.rounds[0], self._now, self._zone)
        count = len(state.rounds)
        return Verdict("throttled", f"throttled: {count} of {clause.count.value} since {since}")

    def _quiet(self, round: Round) -> Verdict | None:
        """Leave it as it is to whoever keeps it quiet."""
        counts = tree.Throttle in self._plan.clauses or self._grouping(round)
        return Verdict("notify") if counts and self._is_quiet(round) else None

    def _grouping(self, round: Round) -> tree.Group | None:
        """The clause by which it joins others, if it does."""
        return None if round.kind == "group" else self._plan.clauses.get(tree.Group)

    def _group(self, round: Round) -> Verdict | None:
        clause = self._grouping(round)
        if clause is None:
            return None
        state = self.state(round.key_of("group"))
        if state.group_due is None:
            state.group_due = self._now + microseconds(clause.span_for)
        if state.group is not None:
            _keep_apart(state, round.key)
        state.group = round.cause
        state.group_rounds += round.rounds
        state.settle()
        clock = clock_text(state.group_due, self._now, self._zone)
        return Verdict("grouped", f"grouped until {clock}", state.group_due)

    @property
    def _zone(self) -> ZoneInfo | None:
        return self._plan.calendar.zone if self._plan.calendar else None


def waiting(state: State, key: str, now: int) -> list[Round]:
    """What a state lets go by then."""
    held = state.held if state.held_due is not None and state.held_due <= now else ()
    found = [Round(each.cause, each.key, each.rounds, each.kind) for each in held]
    if state.group_due is not None and state.group_due <= now:
        found += _gathered(state, key)
    return found


def _gathered(state: State, key: str) -> list[Round]:
    """The last match of each alert in a group, whose own key is that of its alert where it has no other."""
    assert state.group is not None
    others = [Round(each.cause, each.key, each.rounds, "group") for each in state.group_others]
    rounds = state.group_rounds - sum(each.rounds for each in others)
    return [*others, Round(state.group, state.group.keys.get("", key), rounds, "group")]


def _keep_apart(state: State, key: str) -> None:
    """Remember what a group has of other alerts than that of the next match."""
    gathered = [each for each in _gathered(state, key) if each.key != key]
    state.group_others = _kept(gathered[-OTHERS:])


def _kept(rounds: Sequence[Round]) -> list[Kept]:
    return [Kept(each.cause, each.key, each.rounds, each.kind) for each in rounds]
