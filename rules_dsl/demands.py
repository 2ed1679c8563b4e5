"""Demands: what a condition that is true says about one value, and whether several of them contradict each other.

Only what is sure counts: a demand that is not understood demands nothing. A value is any expression, which gives the
same wherever it stands in the conditions on one event.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from rules_dsl import tree
from rules_dsl.evaluator import OPERATIONS
from rules_dsl.kinds import Kind
from rules_dsl.regex import compile_regex
from rules_dsl.tree import Expression, Scalar
from rules_dsl.values import kind_of

MIRRORED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
OPPOSITE: Final = {
    "<": ">=", ">=": "<", ">": "<=", "<=": ">", "==": "!=", "!=": "==", "in": "not in", "not in": "in",
    "exists": "missing", "missing": "exists", "is null": "is not null", "is not null": "is null",
}  # fmt: skip
_TEXTS: Final = frozenset({"startswith", "endswith", "istartswith", "iendswith", "matches"})
_HAS_VALUE: Final = Kind.NUMBER | Kind.TEXT | Kind.BOOLEAN | Kind.LIST | Kind.OBJECT
_NOTHING: Final = Kind(0)
# What is looked at of one value: enough for people, and an end to what a hostile rule could cost.
_MOST: Final = 64
_LONGEST: Final = 200
_PRESENCE: Final = {
    "exists": _HAS_VALUE | Kind.NULL,
    "missing": _NOTHING,
    "is null": Kind.NULL,
    "is not null": _HAS_VALUE,
}
# What functions of numbers give at least and at most.
_RANGES: Final[dict[str, tuple[float, float | None]]] = {
    "len": (0, None), "abs": (0, None), "count": (0, None), "distinct": (0, None),
    "hour": (0, 23), "minute": (0, 59), "weekday": (1, 7),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Demand:
    """One demand on one value: an operator and a literal, or a presence."""

    term: Expression
    operator: str
    value: Any = None  # a literal's, or those of a list

    @property
    def kinds(self) -> Kind:
        """The kinds of which the value must be one; none at all for a missing one."""
        if self.operator in _PRESENCE:
            return _PRESENCE[self.operator]
        if self.operator in _TEXTS:
            return Kind.TEXT
        if self.operator in ("contains", "icontains"):
            return Kind.TEXT | Kind.LIST
        values = self.value if isinstance(self.value, tuple) else (self.value,)
        kinds = [kind_of(each) or _NOTHING for each in values]
        if self.operator == "in":
            return _union(kinds)
        return _common(kinds) if kinds else _HAS_VALUE | Kind.NULL

    def says_what(self, other: "Demand") -> bool:
        """Whether another demands the same; `1` and `true` are equal to Python, and two to the language."""
        return self.operator == other.operator and repr(self.value) == repr(other.value)

    def holds(self, value: Scalar) -> bool:
        """Whether a value satisfies it."""
        if self.operator in _PRESENCE:
            return (kind_of(value) or _NOTHING) in self.kinds if self.kinds else False
        if self.operator == "matches":
            return compile_regex(self.value).matches(value) is True
        wanted = list(self.value) if isinstance(self.value, tuple) else self.value
        return OPERATIONS[self.operator](value, wanted) is True


def demands_of(node: Expression) -> Iterator[Demand]:
    """What is demanded where a condition is true; of those that `and` joins, all."""
    match node:
        case tree.And():
            for item in node.items:
                yield from demands_of(item)
        case tree.Comparison():
            yield from _of_comparison(node)
        case tree.Presence():
            yield Demand(plain(node.path), node.kind)
        case tree.Path():
            yield Demand(plain(node), "==", True)
        case tree.Not():
            yield from _of_not(node.operand)
        case tree.Held():
            yield from demands_of(node.body)
        case _:
            pass


def contradictory(demands: Iterable[Demand]) -> bool:
    """Whether no event can satisfy all of them."""
    by_term: dict[Expression, list[Demand]] = {}
    for each in demands:
        by_term.setdefault(each.term, []).append(each)
    return any(_impossible(term, each[:_MOST]) for term, each in by_term.items())


def implied(demand: Demand, by: Iterable[Demand]) -> bool:
    """Whether a demand is satisfied wherever the others are: its condition is true then, and not unknown."""
    beside = [each for each in by if each.term == demand.term]
    if any(demand.says_what(each) for each in beside):
        return True
    opposite = OPPOSITE.get(demand.operator)
    if opposite is None or not beside or demand.operator in ("in", "not in"):
        return False
    kinds = _intersection(each.kinds for each in beside)
    sure = demand.operator in _PRESENCE or (kinds != _NOTHING and kinds in demand.kinds)
    return sure and contradictory([*beside, replace(demand, operator=opposite)])


def plain(node: Any) -> Any:
    """A value without what only its spelling tells: `event.amount` is `amount`."""
    match node:
        case tree.Path():
            return replace(node, explicit=False)
        case tree.Default() | tree.Arithmetic():
            return replace(node, operands=tuple(plain(each) for each in node.operands))
        case tree.Call():
            return replace(node, arguments=tuple(plain(each) for each in node.arguments))
        case tree.Minus():
            return replace(node, operand=plain(node.operand))
        case _:
            return node


def _of_comparison(node: tree.Comparison) -> Iterator[Demand]:
    left, right = plain(node.left), plain(node.right)
    if isinstance(right, tree.Literal) and not isinstance(left, tree.Literal):
        yield Demand(left, node.operator, right.value)
    elif isinstance(right, tree.ListLiteral) and node.operator in ("in", "not in"):
        if right.items or node.operator == "in":
            yield Demand(left, node.operator, tuple(item.value for item in right.items))
    elif isinstance(left, tree.Literal) and node.operator in MIRRORED:
        yield Demand(right, MIRRORED[node.operator], left.value)


def _of_not(node: Expression) -> Iterator[Demand]:
    """What is demanded where a condition is false, which an unknown one is not."""
    match node:
        case tree.Not():
            yield from demands_of(node.operand)
        case tree.Or():
            for item in node.items:
                yield from _of_not(item)
        case tree.Path():
            yield Demand(plain(node), "==", False)
        case tree.Comparison() | tree.Presence():
            for each in demands_of(node):
                if each.operator in OPPOSITE:
                    yield replace(each, operator=OPPOSITE[each.operator])
        case _:
            pass


def _impossible(term: Expression, demands: list[Demand]) -> bool:
    if any(each.kinds == _NOTHING and each.operator != "missing" for each in demands):
        return True
    present = [each for each in demands if each.operator not in ("missing", "is null")]
    if len(present) < len(demands):
        # A missing value is null to `is null`, and nothing else can be said of it.
        others = [each for each in present if each.operator != "exists"]
        missing = any(each.operator == "missing" for each in demands)
        return bool(others) or (missing and bool(present))
    if _intersection(each.kinds for each in demands) == _NOTHING:
        return True
    return _no_value(demands) or _empty(term, demands) or _no_beginning(demands)


def _no_value(demands: list[Demand]) -> bool:
    """Whether none of the values that are written satisfies the rest."""
    listed = [
        each.value if isinstance(each.value, tuple) else (each.value,)
        for each in demands
        if each.operator in ("==", "in")
    ]
    values = min(listed, key=len, default=None)
    if values is None or len(values) > _LONGEST:
        return False
    return not any(all(each.holds(value) for each in demands) for value in values)


def _empty(term: Expression, demands: list[Demand]) -> bool:
    """Whether the orderings leave no room between them."""
    low, high = _range(term)
    lows = [(each.value, each.operator == ">=") for each in demands if each.operator in (">", ">=")]
    highs = [
        (each.value, each.operator == "<=") for each in demands if each.operator in ("<", "<=")
    ]
    points = [
        (each.value, True) for each in demands if each.operator == "==" and _orders(each.value)
    ]
    lows += [*points, *([(low, True)] if low is not None else [])]
    highs += [*points, *([(high, True)] if high is not None else [])]
    return any(_crossed(one, other) for one in lows for other in highs)


def _crossed(low: tuple[Any, bool], high: tuple[Any, bool]) -> bool:
    if (type(low[0]) is str) is not (type(high[0]) is str):
        return False  # that of two kinds nothing is both, has been seen before
    return bool(low[0] > high[0] or (low[0] == high[0] and not (low[1] and high[1])))


def _orders(value: object) -> bool:
    return isinstance(value, int | float | str) and not isinstance(value, bool)


def _range(term: Expression) -> tuple[float | None, float | None]:
    match term:
        case tree.Call(name=name) | tree.Window(function=name) if name in _RANGES:
            return _RANGES[name]
        case _:
            return None, None


def _no_beginning(demands: list[Demand]) -> bool:
    """Whether a text would have to begin, or end, in two ways."""
    for operator, within in _EDGES.items():
        edges = [str(each.value) for each in demands if each.operator == operator]
        for one in edges:
            if any(not within(one, other) and not within(other, one) for other in edges):
                return True
    return False


_EDGES: Final[dict[str, Callable[[str, str], bool]]] = {
    "startswith": str.startswith,
    "endswith": str.endswith,
}


def _union(kinds: Iterable[Kind]) -> Kind:
    found = _NOTHING
    for each in kinds:
        found |= each
    return found


def _common(kinds: list[Kind]) -> Kind:
    """Of which kind a value is that compares with all: none, where they differ."""
    return _intersection(kinds)


def _intersection(kinds: Iterable[Kind]) -> Kind:
    found = _HAS_VALUE | Kind.NULL
    for each in kinds:
        found &= each
    return found
