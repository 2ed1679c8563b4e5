"""The checker's half for memory: where windows and their like may stand, and what they may hold."""

import re
from collections.abc import Iterator, Sequence
from typing import Final, Protocol

from rules_dsl import tree
from rules_dsl.errors import did_you_mean
from rules_dsl.functions.registry import BadArgument
from rules_dsl.functions.times import zone_of
from rules_dsl.kinds import EQUATED, Kind, name_of
from rules_dsl.source import Span
from rules_dsl.tree import STATEFUL, Expression, children, conjuncts
from rules_dsl.words import AGGREGATES, WINDOW_WORDS

_LONGEST: Final = 31 * 86_400
_MOST_PATHS: Final = 3
_MOST_ROUNDS: Final = 10_000
_TIMES: Final = re.compile(r"x[0-9]+", re.ASCII)
_COMPARED: Final = f"compare it, as in {WINDOW_WORDS['over']}"
_SINGLE: Final = "`resolve when` is a condition on single events"
_BESIDE: Final = "join it to other conditions by `and`, not under `or`, `not` or a quantifier"


class Checking(Protocol):
    """What is needed of the checker."""

    def condition(self, node: Expression) -> None:
        """Check an expression that must be true, false or unknown."""

    def value(self, node: Expression) -> None:
        """Check an expression that must be a value."""

    def kind(self, node: Expression) -> Kind:
        """What a value may turn out to be."""

    def refuse(
        self, node: tree.Node, message: str, hint: str | None = None, code: str = "type"
    ) -> None:
        """Note a mistake at a node."""


class MemoryChecker:
    """The rules for all that looks at more than one event."""

    def __init__(self, checker: Checking) -> None:
        self._checker = checker
        self._windows = False  # whether a window may stand here
        self._elsewhere = _BESIDE  # what to do with one that may not
        self._keys: tuple[object, ...] | None = None

    def condition(self, node: Expression) -> None:
        """Check the condition of a sentence, in which alone memory may stand."""
        match node:
            case tree.Held():
                self._held(node)
            case tree.Absence():
                self._absence(node)
            case _:
                self._conjuncts(conjuncts(node))
        for each in stateful_parts(node):
            self._same_key(each)

    def clauses(self, sentence: tree.Sentence) -> None:
        """Check the clauses after `then`."""
        for clause in sentence.clauses:
            match clause:
                case tree.Throttle():
                    self._count(clause.count)
                    self._duration(clause.per, "per")
                case tree.Group() | tree.ResolveAfter():
                    word = "group" if isinstance(clause, tree.Group) else "after"
                    self._duration(clause.span_for, word)
                case tree.During():
                    self._during(clause)
                case tree.ResolveWhen():
                    self._elsewhere = _SINGLE
                    self._checker.condition(clause.condition)
                    self._elsewhere = _BESIDE
                case _:
                    pass
            if not isinstance(clause, tree.During):
                self._by(clause.by)
            if isinstance(clause, tree.ResolveWhen | tree.ResolveAfter) and clause.by:
                self._resolve_key(clause)

    def window(self, node: tree.Window) -> None:
        """Check a window, wherever it stands."""
        if not self._windows:
            message = "a window stands only in a comparison of a rule's condition"
            return self._checker.refuse(node, message, self._elsewhere, "memory")
        self._windows = False
        self._aggregate(node)
        self._windows = True
        self._duration(node.over, "over")
        if node.offset:
            self._duration(node.offset, "offset")
        self._by(node.by)
        return None

    def misplaced(self, node: tree.Absence | tree.Sequence) -> None:
        """Refuse what may not stand inside another condition."""
        word = "seq" if isinstance(node, tree.Sequence) else "absent"
        whole = word == "absent" and self._elsewhere == _BESIDE
        hint = "it is the whole condition of a rule" if whole else self._elsewhere
        self._checker.refuse(node, f"`{word}` cannot stand here", hint, "memory")

    def _conjuncts(self, items: Sequence[Expression]) -> None:
        sequences = [item for item in items if isinstance(item, tree.Sequence)]
        for item in items:
            if isinstance(item, tree.Comparison):
                self._windows = True
                self._checker.condition(item)
                self._windows = False
            elif isinstance(item, tree.Sequence):
                self._sequence(item)
            else:
                self._elsewhere = _COMPARED if isinstance(item, tree.Window) else _BESIDE
                self._checker.condition(item)
                self._elsewhere = _BESIDE
        for item in sequences[1:]:
            hint = "put all steps into one, or make two rules"
            self._checker.refuse(item, "a rule has one `seq`", hint, "memory")
        if sequences and sequences[0].steps[-1].name is None and any(map(_has_window, items)):
            message = "a `seq` that ends in `not` is decided by time, without windows"
            self._checker.refuse(sequences[0], message, "make two rules", "memory")

    def _held(self, node: tree.Held) -> None:
        inner = next(stateful_parts(node.body), None)
        if inner:
            hint = "`for` closes a condition on single events"
            message = f"`for` cannot stand with {_NAMES[type(inner)]}"
            self._checker.refuse(inner, message, hint, "memory")
        else:
            self._checker.condition(node.body)
        self._duration(node.span_for, "for")
        self._by(node.by)

    def _absence(self, node: tree.Absence) -> None:
        self._checker.condition(node.body)
        self._duration(node.span_for, "for")
        self._by(node.by)
        if node.expect is None:
            return
        self._checker.value(node.expect)
        if len(node.by) != 1:
            hint = f"as in {WINDOW_WORDS['expect']}"
            self._checker.refuse(node.expect, "`expect` needs exactly one field after `by`", hint)
        elif not node.expect.items:
            self._checker.refuse(node.expect, "`expect` names at least one key", None)

    def _sequence(self, node: tree.Sequence) -> None:
        names = [step.name for step in node.steps if step.name is not None]
        for index, step in enumerate(node.steps):
            self._step(step, last=index == len(node.steps) - 1)
            if step.name in names[:index]:
                message = f"two steps are named `{step.name}`"
                self._checker.refuse(step, message, "names tell steps apart", "memory")
        if len(node.steps) < 2 or not names:
            hint = "to count events, write count() over …"
            self._checker.refuse(node, "a sequence has two or more steps", hint, "memory")
        self._duration(node.within, "within")
        self._by(node.by)

    def _step(self, step: tree.Step, *, last: bool) -> None:
        if step.name is None and not last:
            message = "`not (…)` stands only at the end of a sequence"
            self._checker.refuse(step, message, "as in a: … -> b: … -> not (…)", "memory")
        self._checker.condition(step.condition)
        ending = _bare(_rightmost(step.condition))
        if ending and _TIMES.fullmatch(ending):
            hint = f"for the field write event.{ending}"
            message = f"`{ending}` at the end of a step looks like a repetition"
            self._checker.refuse(_rightmost(step.condition), message, hint, "memory")

    def _aggregate(self, node: tree.Window) -> None:
        if node.function not in AGGREGATES:
            message = f"`{node.function}` is no window"
            hint = did_you_mean(node.function, AGGREGATES) or f"windows are {', '.join(AGGREGATES)}"
            span = Span(node.span.start, node.span.start + len(node.function))
            return self._checker.refuse(tree.Node(span), message, hint, "function")
        if node.function == "count":
            if node.value:
                self._checker.condition(node.value)
            if node.where:
                self._checker.refuse(
                    node.where, "`count` takes a condition alone", "leave `where` out"
                )
            return None
        if node.value is None:
            message = f"`{node.function}` over a window takes one value"
            return self._checker.refuse(node, message, f"as in {node.function}(amount) over 5m")
        self._checker.value(node.value)
        kind = self._checker.kind(node.value)
        allowed = EQUATED if node.function == "distinct" else Kind.NUMBER
        if not kind & allowed:
            message = f"`{node.function}` takes {name_of(allowed)}, not {name_of(kind)}"
            self._checker.refuse(node.value, message)
        if node.where:
            self._checker.condition(node.where)
        return None

    def _duration(self, literal: tree.Literal, word: str) -> None:
        value = literal.value
        if not literal.written[-1:].isalpha():
            message, hint = f"`{word}` takes a duration", f"as in {word} 5m"
        elif not isinstance(value, int) or value <= 0:
            message, hint = f"`{word}` takes a duration longer than nothing", f"as in {word} 5m"
        elif value > _LONGEST:
            message, hint = "this is longer than 31 days", "31d is the most that is remembered"
        else:
            return
        self._checker.refuse(literal, message, hint, "duration")

    def _count(self, literal: tree.Literal) -> None:
        value = literal.value
        if not isinstance(value, int) or not 1 <= value <= _MOST_ROUNDS:
            message = f"`throttle` takes a whole number, 1 to {_MOST_ROUNDS:,}"
        elif literal.written[-1:].isalpha():
            message = "`throttle` takes a number, and no duration, before `per`"
        else:
            return
        self._checker.refuse(literal, message, "as in throttle 3 per 10m")

    def _during(self, clause: tree.During) -> None:
        try:
            zone_of(str(clause.zone.value))
        except BadArgument as error:
            self._checker.refuse(clause.zone, str(error), None, "arguments")
        if clause.begin == clause.end:
            hint = "the whole day is 00:00-24:00"
            self._checker.refuse(clause, "this time range is empty", hint)

    def _by(self, paths: Sequence[tree.Path]) -> None:
        for path in paths[_MOST_PATHS:]:
            self._checker.refuse(path, "a key has at most three fields", "leave one out", "memory")
            break
        for path in paths:
            if not path.steps:
                message = "`by` takes a field, not the whole event"
                self._checker.refuse(path, message, "as in by user.id", "memory")

    def _same_key(self, node: tree.Window | tree.Absence | tree.Sequence | tree.Held) -> None:
        keys = tuple(path.steps for path in node.by)
        if self._keys is None:
            self._keys = keys
        elif keys != self._keys:
            hint = "write the same `by` after each of them"
            message = "all windows of a rule have the same `by`"
            self._checker.refuse(node, message, hint, "memory")

    def _resolve_key(self, clause: tree.ResolveWhen | tree.ResolveAfter) -> None:
        keys = tuple(path.steps for path in clause.by)
        if self._keys is None:
            self._keys = keys
        elif keys != self._keys:
            hint = "an alert has one key: that of the condition"
            message = "`resolve` names another key than the alert's"
            self._checker.refuse(clause.by[0], message, hint, "memory")


def stateful_parts(
    node: Expression,
) -> Iterator[tree.Window | tree.Absence | tree.Sequence | tree.Held]:
    """What of an expression needs memory, the outermost of it, in the order of the text."""
    if isinstance(node, STATEFUL):
        yield node
    else:
        for child in children(node):
            yield from stateful_parts(child)


def _has_window(node: Expression) -> bool:
    return any(isinstance(each, tree.Window) for each in stateful_parts(node))


def _rightmost(node: Expression) -> Expression:
    """The part of a condition that is written last; a call or a quantifier ends in its parenthesis."""
    while not isinstance(node, tree.Call | tree.Quantifier | tree.Path):
        if isinstance(node, tree.Presence) and " " in node.kind:
            return node
        below = children(node)
        if not below:
            return node
        node = below[-1]
    return node


def _bare(node: Expression) -> str | None:
    """The field that is one word alone."""
    if isinstance(node, tree.Path) and not node.explicit and node.variable is None:
        return str(node.steps[0]) if len(node.steps) == 1 else None
    return None


_NAMES: Final = {
    tree.Window: "a window",
    tree.Absence: "`absent`",
    tree.Sequence: "`seq`",
    tree.Held: "`for`",
}
