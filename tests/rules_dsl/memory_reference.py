"""A naive reader of rules with memory: each decision anew, by its definition, from all that came before.

It shares with the library the tree, the naive interpreter's functions, the keys and the calendar. It knows
no windows that move, no states and no timers: only a list of what was decided, in its order.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rules_dsl import Rule, tree
from rules_dsl.memory import Occurrence
from rules_dsl.memory.calendar import Calendar
from rules_dsl.memory.keys import key_text
from rules_dsl.tree import Expression
from tests.rules_dsl.memory_values import (
    SECOND,
    Body,
    aggregate,
    all_of,
    microseconds,
    named_in,
    remembers,
    steps_of,
    valued,
    windows_of,
)
from tests.rules_dsl.reference import UNKNOWN, _compare, holds, value_of

Row = tuple[object, ...]


@dataclass
class Taken:
    """An event that took part, or a timer of the condition that came to its end."""

    event: Occurrence
    time: int
    single: bool | None
    used_up: bool = False  # by a sequence that is complete


@dataclass
class Pending:
    """A sequence that waits for its closing `not`."""

    due: int
    last: Taken
    names: dict[str, Body]
    over: bool = False


@dataclass
class Match:
    """A match and what became of its round."""

    key: str
    body: Body
    event: bytes | None
    rounds: int = 1
    grouped: bool = False
    group: list["Match"] = field(default_factory=list)


@dataclass
class Life:
    """All that happened under one key."""

    taken: list[Taken] = field(default_factory=list)
    pending: list[Pending] = field(default_factory=list)
    fires: list[int] = field(default_factory=list)  # after how many taken events, of `for`
    silent: list[Taken] = field(default_factory=list)  # whose absence was told
    matches: list[tuple[int, int]] = field(
        default_factory=list
    )  # of the open alert: event time, now


class Reference:
    """One rule over everything that was decided."""

    def __init__(self, rule: Rule, lateness: int, is_open: Callable[[str, str, int], bool]) -> None:
        self.sentence = rule.tree
        self.condition = rule.tree.condition
        self.clauses: dict[type, Any] = {type(each): each for each in rule.tree.clauses}
        self.lateness = lateness
        self.is_open = is_open
        self.lives: dict[str, Life] = {}
        self.notified: list[tuple[str, int]] = []  # throttle's key, now
        self.groups: dict[str, tuple[int, list[Match]]] = {}
        self.held: dict[tuple[str, str], tuple[int, list[Match]]] = {}
        parts = tree.conjuncts(self.condition)
        self.singles = [part for part in parts if not remembers(part)]
        self.compared = [p for p in parts if isinstance(p, tree.Comparison) and remembers(p)]
        self.sequence = next((p for p in parts if isinstance(p, tree.Sequence)), None)
        if isinstance(self.condition, tree.Held | tree.Absence):
            self.singles = [self.condition.body]
        self.timed = any(map(remembers, parts))
        self.by = self._by()

    def _by(self) -> tuple[tree.Path, ...]:
        if isinstance(self.condition, tree.Held | tree.Absence):
            return self.condition.by
        windows = [window for each in self.compared for window in windows_of(each)]
        if windows or self.sequence:
            return (windows[0] if windows else self.sequence).by  # type: ignore[union-attr]
        kinds = (tree.ResolveWhen, tree.ResolveAfter)
        return next(
            (self.clauses[k].by for k in kinds if k in self.clauses and self.clauses[k].by), ()
        )

    # What comes of an event

    def decide(self, event: Occurrence, now: int) -> list[Row]:
        key = key_text(event.body, [path.steps for path in self.by])
        time = event.time if self.timed else event.accepted_at
        if key is None:
            return [("event", "[]", time, None, "no key")]
        life = self.lives.setdefault(key, Life())
        clock = event.accepted_at / SECOND
        single = all_of([holds(each, event.body, clock) for each in self.singles])
        when = self.clauses.get(tree.ResolveWhen)
        resolves = when is not None and holds(when.condition, event.body, clock) is True
        part = self._takes_part(life, event, time, single, clock)
        if not (part or resolves):
            return [("event", key, time, None if single is None else False, None)]
        newest = max((each.time for each in life.taken), default=time)
        if time < newest - self.lateness:
            if self.timed:
                return [("event", key, time, None, "late")]
        elif any(each.event.id == event.id for each in life.taken):
            return [("event", key, time, None, "seen")]
        rows = list(self._ripe(key, life, now, lambda due: due < time))
        taken = Taken(event, time, single)
        life.taken.append(taken)
        outcome: bool | None = None if single is None else False
        values: list[object] = []
        if part:
            outcome, values = self._outcome(life, taken, clock)
        if outcome is True:
            rows.append(self._match("event", key, life, event, time, event.time, values, now))
            return rows
        alert = None
        if resolves and life.matches and event.time >= max(each for each, _ in life.matches):
            life.matches.clear()
            alert = "resolve"
        rows.append(("event", key, time, outcome, None, values, event.id, alert, None))
        return rows

    def _takes_part(
        self, life: Life, event: Occurrence, time: int, single: bool | None, clock: float
    ) -> bool:
        if isinstance(self.condition, tree.Held):
            return single is not None
        if single is not True or self.sequence is None or self.compared:
            return single is True
        steps, closing = steps_of(self.sequence)
        if any(self._alone(steps, index, event.body, clock) for index in range(len(steps))):
            return True
        return any(self._closes(closing, each, event.body, time, clock) for each in life.pending)

    def _outcome(self, life: Life, taken: Taken, clock: float) -> tuple[bool | None, list[object]]:
        if isinstance(self.condition, tree.Absence):
            return False, []
        if isinstance(self.condition, tree.Held):
            return self._held(life, taken), []
        values: dict[tree.Window, object] = {}
        for window in (window for each in self.compared for window in windows_of(each)):
            values[window] = self._window(life, taken, window)
        outcomes = [self._compare(each, values, taken.event.body, clock) for each in self.compared]
        if self.sequence is not None:
            outcomes.append(self._follow(life, taken, clock))
        outcome = all_of(outcomes)
        if outcome is True:
            for each in life.taken:
                each.used_up = True
        return outcome, [None if each is UNKNOWN else each for each in values.values()]

    # Windows

    def _window(self, life: Life, taken: Taken, window: tree.Window) -> object:
        offset = microseconds(window.offset) if window.offset else 0
        high = taken.time - offset
        low = high - microseconds(window.over)
        inside = [each for each in life.taken if low < each.time <= high and each.single is True]
        inside.sort(key=lambda each: each.time)
        values: list[Any] = []
        for each in inside:
            clock = each.event.accepted_at / SECOND
            if window.function == "count":
                if window.value is None or holds(window.value, each.event.body, clock) is True:
                    values.append(1)
                continue
            assert window.value is not None
            if window.where and holds(window.where, each.event.body, clock) is not True:
                continue
            values.append(value_of(window.value, {"event": each.event.body}, clock))
        return aggregate(window.function, values)

    def _compare(
        self, node: Expression, values: Mapping[tree.Window, object], body: Body, now: float
    ) -> bool | None:
        assert isinstance(node, tree.Comparison)
        sides = [valued(side, values, body, now) for side in (node.left, node.right)]
        return _compare(node.operator, *sides)

    # Sequences

    def _follow(self, life: Life, taken: Taken, clock: float) -> bool:
        assert self.sequence is not None
        steps, closing = steps_of(self.sequence)
        for pending in life.pending:
            if self._closes(closing, pending, taken.event.body, taken.time, clock):
                pending.over = True
        life.pending = [each for each in life.pending if not each.over]
        before = [e for e in life.taken if e is not taken and e.time <= taken.time]
        low = taken.time - microseconds(self.sequence.within)
        usable = [e for e in before if not e.used_up and e.single is True and e.time > low]
        usable.sort(key=lambda each: each.time)
        slots = [index for index, step in enumerate(steps) for _ in range(step.times)]
        chosen = next(self._choices(steps, slots, usable, taken, clock), None)
        if chosen is None:
            return False
        if closing is None:
            return True
        for each in life.taken:
            each.used_up = True
        due = chosen[0].time + microseconds(self.sequence.within)
        life.pending.append(Pending(due, taken, self._names(steps, slots, chosen)))
        return False

    def _choices(
        self, steps: list[tree.Step], slots: list[int], usable: list[Taken], last: Taken, now: float
    ) -> Iterator[list[Taken]]:
        """All ways to choose, those with the latest events first."""
        for chosen in _latest_first(usable, len(slots) - 1):
            whole = [*chosen, last]
            names = self._names(steps, slots, whole)
            if all(
                holds(
                    steps[slot].condition,
                    each.event.body,
                    now,
                    {**names, steps[slot].name or "": each.event.body},
                )
                is True
                for slot, each in zip(slots, whole, strict=True)
            ):
                yield whole

    def _names(
        self, steps: list[tree.Step], slots: list[int], chosen: list[Taken]
    ) -> dict[str, Body]:
        return {
            steps[slot].name or "": each.event.body
            for slot, each in zip(slots, chosen, strict=True)
        }

    def _alone(self, steps: list[tree.Step], index: int, body: Body, now: float) -> bool:
        """Whether what a step says without the names of earlier ones is true."""
        earlier = {step.name for step in steps[:index]}
        parts = [p for p in tree.conjuncts(steps[index].condition) if not named_in(p) & earlier]
        names = {steps[index].name or "": body}
        return all(holds(part, body, now, names) is True for part in parts)

    def _closes(
        self, closing: tree.Step | None, pending: Pending, body: Body, time: int, now: float
    ) -> bool:
        if closing is None or not pending.last.time <= time < pending.due:
            return False
        return holds(closing.condition, body, now, pending.names) is True

    # `for`

    def _spell(self, life: Life, count: int) -> Taken | None:
        """The event that began the time in which all were true, after so many events."""
        known = [each for each in life.taken[:count] if each.single is not None]
        known.sort(key=lambda each: each.time)
        begun = None
        for each in reversed(known):
            if each.single is False:
                break
            begun = each
        return begun

    def _fired(self, life: Life) -> bool:
        """Whether the present spell was told of: since then nothing false fell into it."""
        if not life.fires:
            return False
        for count in range(life.fires[-1], len(life.taken)):
            spell = self._spell(life, count)
            each = life.taken[count]
            if each.single is False and (spell is None or each.time >= spell.time):
                return False
        return True

    def _held(self, life: Life, taken: Taken) -> bool:
        spell = self._spell(life, len(life.taken))
        assert isinstance(self.condition, tree.Held)
        due = spell is not None and taken.time >= spell.time + microseconds(self.condition.span_for)
        if due and taken.single is True and not self._fired(life):
            life.fires.append(len(life.taken))
            return True
        return False

    # Times that have come

    def _dues(self, key: str, life: Life) -> list[int]:
        """When the condition may become true without an event."""
        if isinstance(self.condition, tree.Held):
            spell = self._spell(life, len(life.taken))
            if spell is None or self._fired(life):
                return []
            return [spell.time + microseconds(self.condition.span_for)]
        if isinstance(self.condition, tree.Absence):
            last = self._last_seen(life)
            if last is None or last in life.silent:
                return []
            return [last.time + microseconds(self.condition.span_for)]
        return sorted(each.due for each in life.pending)

    def _last_seen(self, life: Life) -> Taken | None:
        seen = [each for each in life.taken if each.single is True]
        return sorted(seen, key=lambda each: each.time)[-1] if seen else None

    def _ripe(self, key: str, life: Life, now: int, passed: Callable[[int], bool]) -> Iterator[Row]:
        while (dues := self._dues(key, life)) and passed(dues[0]):
            yield self._ripen(key, life, dues[0], now)

    def _ripen(self, key: str, life: Life, due: int, now: int) -> Row:
        if isinstance(self.condition, tree.Held):
            life.fires.append(len(life.taken))
            known = [each for each in life.taken if each.single is True]
            last = sorted(known, key=lambda each: each.time)[-1]
            kind = "for"
        elif isinstance(self.condition, tree.Absence):
            seen = self._last_seen(life)
            assert seen is not None
            last = seen
            life.silent.append(last)
            kind = "absent"
        else:
            pending = min(life.pending, key=lambda each: each.due)
            life.pending.remove(pending)
            last, kind = pending.last, "seq"
        return self._match(kind, key, life, last.event, due, last.time, [], now)

    def sweep(self, addresses: list[tuple[str, str]], now: int) -> list[Row]:
        """All that is due under these addresses, in the order in which they are given."""
        rows = []
        for address in addresses:
            while (found := self._first(address)) and found[0] <= now:
                due, _, what = found
                rows += what(due, now)
        return rows

    def _first(
        self, address: tuple[str, str]
    ) -> tuple[int, int, Callable[[int, int], list[Row]]] | None:
        scope, key = address
        found: list[tuple[int, int, Callable[[int, int], list[Row]]]] = []
        life = self.lives.get(key)
        if scope == "" and life:
            ripen = lambda due, now: [self._ripen(key, life, due, now)]  # noqa: E731
            found += [(due, 0, ripen) for due in self._dues(key, life)[:1]]
            after = self.clauses.get(tree.ResolveAfter)
            if after and life.matches:
                end = lambda due, now: self._end(key, life, due)  # noqa: E731
                found.append((life.matches[-1][1] + microseconds(after.span_for), 3, end))
        if address in self.held:
            release = lambda due, now: self._release(address, due, now)  # noqa: E731
            found.append((self.held[address][0], 1, release))
        group = self.groups.get(key) if self._scope("group") == scope else None
        if group:
            flush = lambda due, now: self._flush(key, due, now)  # noqa: E731
            found.append((group[0], 2, flush))
        return min(found, key=lambda each: each[:2], default=None)

    def _end(self, key: str, life: Life, due: int) -> list[Row]:
        life.matches.clear()
        return [("resolve", key, due, None, None, [], None, "resolve", None)]

    # Rounds

    def _match(
        self, kind: str, key: str, life: Life, event: Occurrence, time: int, occurred: int,
        values: list[object], now: int,
    ) -> Row:  # fmt: skip
        alert = "count" if life.matches else "open"
        life.matches.append((occurred, now))
        body = event.body
        if isinstance(self.condition, tree.Absence):
            keys = {str(path.steps[0]): event.body[str(path.steps[0])] for path in self.by}
            body = {"type": "sentinel.absent", **keys, "last": event.body}
        verdict = self._verdict(Match(key, body, event.id), now)
        return (kind, key, time, True, None, values, event.id, alert, verdict)

    def _scope(self, scope: str) -> str:
        kind = {"throttle": tree.Throttle, "group": tree.Group, "unless": tree.Unless}[scope]
        by = self.clauses[kind].by if kind in self.clauses else ()
        own = [path.steps for path in by]
        return scope if own and own != [path.steps for path in self.by] else ""

    def _key(self, scope: str, match: Match) -> str:
        if self._scope(scope) == "":
            return match.key
        kind = {"throttle": tree.Throttle, "group": tree.Group, "unless": tree.Unless}[scope]
        return key_text(match.body, [p.steps for p in self.clauses[kind].by]) or "[null]"

    def _verdict(self, match: Match, now: int) -> tuple[str, int | None]:
        unless, during = self.clauses.get(tree.Unless), self.clauses.get(tree.During)
        throttle, group = self.clauses.get(tree.Throttle), self.clauses.get(tree.Group)
        if unless and self.is_open(unless.rule.value, self._key("unless", match), now):
            return "inhibited", None
        begins = Calendar(during).begins(now) if during else None
        if during and begins is not None:
            return self._outside(during, begins, match)
        bucket = self._key("throttle", match) if throttle else ""
        if throttle:
            start = now - microseconds(throttle.per)
            lately = [at for key, at in self.notified if key == bucket and at > start]
            if len(lately) >= throttle.count.value:
                return "throttled", None
        if group and not match.grouped:
            key = self._key("group", match)
            due, matches = self.groups.setdefault(key, (now + microseconds(group.span_for), []))
            matches.append(match)
            return "grouped", due
        self.notified.append((bucket, now))
        return "notify", None

    def _outside(self, during: tree.During, begins: int, match: Match) -> tuple[str, int | None]:
        if during.otherwise == "drop":
            return "dropped", None
        address = ("", match.key)
        if match.grouped:
            address = (self._scope("group"), self._key("group", match))
        before = self.held.get(address, (0, []))[1]
        self.held[address] = (begins, [*before, match])
        return "held", begins

    def _flush(self, key: str, due: int, now: int) -> list[Row]:
        _, matches = self.groups.pop(key)
        return [self._row("group", self._whole(matches), due, now)]

    def _whole(self, matches: list[Match]) -> Match:
        """A group as it is told."""
        open = [each for each in matches if self.lives[each.key].matches]
        told = open or matches
        last, rounds = told[-1], sum(each.rounds for each in told)
        return Match(last.key, last.body, last.event, rounds, True, matches)

    def _release(self, address: tuple[str, str], due: int, now: int) -> list[Row]:
        _, matches = self.held.pop(address)
        wholes = [self._whole(each.group) if each.group else each for each in matches]
        return [self._row("held", each, due, now) for each in wholes]

    def _row(self, kind: str, match: Match, due: int, now: int) -> Row:
        return (kind, match.key, due, True, None, [], match.event, None, self._verdict(match, now))


def _latest_first(usable: list[Taken], count: int) -> Iterator[list[Taken]]:
    if count == 0:
        yield []
        return
    for at in range(len(usable) - 1, -1, -1):
        for rest in _latest_first(usable[:at], count - 1):
            yield [*rest, usable[at]]
