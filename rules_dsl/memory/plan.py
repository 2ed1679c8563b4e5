"""Plans: what a rule asks of its memory, worked out once from its tree.

The conditions that `and` joins fall into two: those on single events, which run first and together, and
those that need memory. Windows that gather the same share one log.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from rules_dsl import tree
from rules_dsl.compiler import Program, compile_condition, compile_value
from rules_dsl.evaluator import is_number
from rules_dsl.format import format_expression
from rules_dsl.memory.calendar import Calendar
from rules_dsl.memory.keys import Steps, digest_of
from rules_dsl.memory.sequence import Sequences
from rules_dsl.memory.windows import WindowSpec
from rules_dsl.run import Run
from rules_dsl.tree import Expression, Path, conjuncts

SECOND: Final = 1_000_000
NOTHING: Final = object()  # of a feed that an event brings nothing to

Feed = Callable[[Run], Any]


@dataclass(slots=True)
class Key:
    """The fields after a `by`."""

    paths: tuple[Path, ...]
    steps: Steps
    names: tuple[str, ...]

    @classmethod
    def of(cls, paths: tuple[Path, ...]) -> "Key":
        """The key of some paths."""
        names = tuple(format_expression(path) for path in paths)
        return cls(paths, tuple(path.steps for path in paths), names)


@dataclass(slots=True)
class Plan:
    """One rule with memory, taken apart."""

    key: Key
    singles: tuple[Expression, ...]  # the conjuncts on single events
    judge: Program | None  # all of them
    compared: tuple[tree.Comparison, ...] = ()  # the comparisons of windows
    tests: tuple[Program, ...] = ()  # the same, with a variable for each window
    windows: tuple[WindowSpec, ...] = ()
    feeds: tuple[Feed, ...] = ()
    columns: tuple[str | None, ...] = ()  # what each feed's log holds: "d", "q", or times alone
    sequence: Sequences | None = None
    held: int | None = None  # of `for`, how long
    absent: int | None = None  # of `absent`, how long
    expected: tuple[tree.Scalar, ...] = ()
    clauses: Mapping[type, Any] = field(default_factory=dict)
    resolves: Program | None = None
    resolve_after: int | None = None
    calendar: Calendar | None = None
    scopes: Mapping[str, Key] = field(default_factory=dict)  # clauses with a key of their own
    tellings: list[Any] = field(default_factory=list)  # of `told`, which fills it

    @property
    def timed(self) -> bool:
        """Whether its condition looks at the times of events; clauses alone do not."""
        return bool(self.windows or self.sequence or self.held or self.absent)

    @property
    def reach(self) -> int:
        """How far back it looks."""
        windows = max((each.over + each.offset for each in self.windows), default=0)
        return max(windows, self.sequence.within if self.sequence else 0)


def plan_of(sentence: tree.Sentence) -> Plan:
    """The plan of a rule."""
    clauses: dict[type, Any] = {type(each): each for each in sentence.clauses}
    plan = _of_condition(sentence.condition)
    resolve = [clauses.get(tree.ResolveWhen), clauses.get(tree.ResolveAfter)]
    named = next((each.by for each in resolve if each and each.by), ())
    if not plan.key.paths:
        plan.key = Key.of(named)
    plan.clauses = clauses
    when, after = resolve
    plan.resolves = compile_condition(when.condition) if when else None
    plan.resolve_after = microseconds(after.span_for) if after else None
    during = clauses.get(tree.During)
    plan.calendar = Calendar(during) if during else None
    plan.scopes = {
        scope: Key.of(clauses[kind].by)
        for kind, scope in _SCOPES.items()
        if kind in clauses
        and clauses[kind].by
        and tuple(path.steps for path in clauses[kind].by) != plan.key.steps
    }
    return plan


def guard_of(sentence: tree.Sentence) -> Expression:
    """A condition on single events that is true of every one that a rule's memory must see."""
    guard = _guard(sentence.condition)
    for clause in sentence.clauses:
        if isinstance(clause, tree.ResolveWhen):
            guard = tree.Or(guard.span, (guard, clause.condition))
    return guard


def microseconds(literal: tree.Literal) -> int:
    """A duration."""
    assert isinstance(literal.value, int)
    return literal.value * SECOND


def _guard(node: Expression) -> Expression:
    if isinstance(node, tree.Absence):
        return node.body
    if isinstance(node, tree.Held):
        return tree.Or(node.span, (node.body, tree.Not(node.span, node.body)))
    singles, others = _split(node)
    parts = list(singles)
    for each in others:
        if isinstance(each, tree.Sequence):
            parts.append(tree.Or(each.span, tuple(_free(step.condition) for step in each.steps)))
    return _joined(node, tuple(parts))


def _free(condition: Expression) -> Expression:
    """What of a step's condition one event alone can tell."""
    parts = tuple(part for part in conjuncts(condition) if not has_variable(part))
    return _joined(condition, parts)


def _joined(node: Expression, parts: tuple[Expression, ...]) -> Expression:
    if len(parts) == 1:
        return parts[0]
    return (
        tree.And(node.span, parts) if parts else tree.Literal(node.span, "constant", True, "true")
    )


def has_variable(node: Expression, own: frozenset[str] = frozenset()) -> bool:
    """Whether names stand in a condition that are not its own."""
    if isinstance(node, tree.Path):
        return node.variable is not None and node.variable not in own
    if isinstance(node, tree.Quantifier):
        inner = own | {node.name}
        return has_variable(node.source, own) or has_variable(node.body, inner)
    return any(has_variable(child, own) for child in tree.children(node))


def _split(node: Expression) -> tuple[tuple[Expression, ...], tuple[Expression, ...]]:
    """The conjuncts on single events, and those that need memory."""
    parts = conjuncts(node)
    others = tuple(part for part in parts if has_memory(part))
    return tuple(part for part in parts if part not in others), others


def has_memory(node: Expression) -> bool:
    """Whether one event alone cannot tell a condition."""
    return isinstance(node, tree.STATEFUL) or any(map(has_memory, tree.children(node)))


def _of_condition(node: Expression) -> Plan:
    if isinstance(node, tree.Held | tree.Absence):
        key, span = Key.of(node.by), microseconds(node.span_for)
        plan = Plan(key, (node.body,), compile_condition(node.body))
        if isinstance(node, tree.Held):
            plan.held = span
            return plan
        plan.absent = span
        plan.expected = tuple(item.value for item in node.expect.items) if node.expect else ()
        return plan
    singles, others = _split(node)
    judge = compile_condition(_joined(node, singles)) if singles else None
    plan = Plan(Key.of(()), singles, judge)
    for each in others:
        if isinstance(each, tree.Sequence):
            plan.sequence = Sequences(each)
            plan.key = Key.of(each.by)
    plan.compared = tuple(each for each in others if isinstance(each, tree.Comparison))
    _gather(plan)
    return plan


def _gather(plan: Plan) -> None:
    """Number the windows, and let those that gather the same share a log."""
    nodes: dict[tree.Window, int] = {}
    feeds: dict[tuple[object, ...], int] = {}
    specs = []
    for node in (window for each in plan.compared for window in windows_in(each)):
        if node in nodes:
            continue
        kind = {"count": None, "distinct": "q"}.get(node.function, "d")
        feed = feeds.setdefault((kind, node.value, node.where), len(feeds))
        offset = microseconds(node.offset) if node.offset else 0
        text = format_expression(node)
        over = microseconds(node.over)
        specs.append(WindowSpec(node.function, feed, over, offset, text, node.over.written))
        nodes[node] = len(nodes)
        plan.key = Key.of(node.by)
    plan.windows = tuple(specs)
    plan.feeds = tuple(_feed(*each) for each in feeds)  # type: ignore[arg-type]
    plan.columns = tuple(each[0] for each in feeds)  # type: ignore[misc]
    plan.tests = tuple(compile_condition(replaced(each, nodes)) for each in plan.compared)


def windows_in(node: Expression) -> list[tree.Window]:
    """The windows of a comparison, in the order of the text."""
    if isinstance(node, tree.Window):
        return [node]
    return [window for child in tree.children(node) for window in windows_in(child)]


def replaced(node: Any, windows: Mapping[tree.Window, int]) -> Any:
    """A comparison with a variable in the place of each window."""
    match node:
        case tree.Window():
            return tree.Path(node.span, variable(windows[node]), False, ())
        case tree.Comparison():
            left, right = replaced(node.left, windows), replaced(node.right, windows)
            return replace(node, left=left, right=right)
        case tree.Arithmetic() | tree.Default():
            return replace(node, operands=tuple(replaced(each, windows) for each in node.operands))
        case tree.Minus():
            return replace(node, operand=replaced(node.operand, windows))
        case tree.Call():
            return replace(
                node, arguments=tuple(replaced(each, windows) for each in node.arguments)
            )
        case _:
            return node


def variable(number: int) -> str:
    """The name under which a comparison finds a window's value; no rule can write it."""
    return f"#{number}"


def _feed(column: str | None, value: Expression | None, where: Expression | None) -> Feed:
    """What an event brings to a log; NOTHING if it does not belong there."""
    if column is None:
        counts = compile_condition(value) if value else None
        return lambda run: None if counts is None or counts(run) is True else NOTHING
    assert value is not None
    taken, allowed = compile_value(value), compile_condition(where) if where else None
    accept = _number if column == "d" else _digest

    def feed(run: Run) -> Any:
        if allowed is not None and allowed(run) is not True:
            return NOTHING
        return accept(taken(run))

    return feed


def _number(value: Any) -> Any:
    return value if is_number(value) else NOTHING


def _digest(value: object) -> Any:
    digest = digest_of(value)
    return NOTHING if digest is None else digest


_SCOPES: Final[dict[type, str]] = {
    tree.Throttle: "throttle",
    tree.Group: "group",
    tree.Unless: "unless",
}
