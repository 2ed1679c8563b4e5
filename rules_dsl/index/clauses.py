"""Clauses: a condition as an `or` of `and`s of predicates, any of which being true makes it true.

`not` is pushed down to the leaves, which Kleene's logic allows: a condition is true exactly when
all predicates of one clause are. Distribution is capped; what would pass the cap, and every leaf
that is no comparison of a field with a constant, stays one predicate of its own.
"""

from collections.abc import Callable, Mapping
from typing import Final, Protocol, TypeAlias

from rules_dsl import tree
from rules_dsl.evaluator import Outcome
from rules_dsl.index.fields import Path, shared
from rules_dsl.index.predicates import (
    Between,
    Different,
    Equal,
    Key,
    Pattern,
    Predicate,
    Prefix,
    Rest,
    Whole,
    comparable,
    key_of,
)
from rules_dsl.run import Now
from rules_dsl.serialize import (
    AND,
    FIRST_COMPARISON,
    LIST_LITERAL,
    NOT,
    OPERATORS,
    OR,
    PATH,
    Encoded,
    is_literal,
    literal_value,
)

Clause: TypeAlias = tuple[Predicate, ...]
_Maker: TypeAlias = Callable[[Path, Encoded], list[Clause] | None]

_MOST_CLAUSES: Final = 32
_MIRRORED: Final = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_OPPOSITE: Final = {
    "==": "!=", "!=": "==", "<": ">=", "<=": ">", ">": "<=", ">=": "<", "in": "not in",
    "not in": "in",
}  # fmt: skip


class Judged(Protocol):
    """A rule, or what else has a condition on single events."""

    def encoded_condition(self) -> Encoded:
        """The condition as it is stored."""

    def judge(self, event: Mapping[str, object], now: Now = None) -> Outcome:
        """Whether it is true of an event."""


def clauses_of(rule: Judged) -> list[Clause]:
    """The clauses of a rule; none if it can never be true."""
    spread = _spread(rule.encoded_condition(), True)
    if _quantified(spread):
        # A budget that is spent makes the whole rule unknown, so only the whole rule can tell.
        whole = Whole(rule.judge)
        spread = [(*(each for each in one if type(each) is not Rest), whole) for one in spread]
    return [narrow for one in spread if (narrow := _narrowed(one)) is not None]


def _quantified(spread: list[Clause]) -> bool:
    for one in spread:
        for each in one:
            if type(each) is Rest and each.quantified:
                return True
    return False


def _spread(node: Encoded, wanted: bool) -> list[Clause]:
    """The clauses under which a condition is true, or (not wanted) false."""
    if type(node) is not list:
        return [()] if node is wanted else []  # the checker lets only booleans stand here
    kind = node[0]
    if type(kind) is int:
        if kind >= FIRST_COMPARISON:
            return _comparison(node, wanted)
        if kind == NOT:
            return _spread(node[1], not wanted)
        if kind in (AND, OR):
            join = _product if (kind == AND) is wanted else _union
            return join(node, node[1:], wanted)
    path = _field(node)
    return [(Equal(path, ((wanted,),)) if path else Rest(node, wanted),)]


def _product(node: Encoded, items: list[Encoded], wanted: bool) -> list[Clause]:
    product: list[Clause] = [()]
    for item in items:
        spread = _spread(item, wanted)
        if len(spread) * len(product) > _MOST_CLAUSES:
            spread = [(Rest(item, wanted),)]
        if len(spread) == 1:
            product = [one + spread[0] for one in product]
        else:
            product = [one + other for one in product for other in spread]
    return product


def _union(node: Encoded, items: list[Encoded], wanted: bool) -> list[Clause]:
    equals: dict[Path, Equal] = {}
    union: list[Clause] = []
    for item in items:
        for one in _spread(item, wanted):
            only = one[0] if len(one) == 1 else None
            if type(only) is Equal:
                before = equals.get(only.path)
                keys = (*(before.keys if before else ()), *only.keys)
                equals[only.path] = Equal(only.path, tuple(dict.fromkeys(keys)))
            else:
                union.append(one)
    union += [(each,) for each in equals.values()]
    return union if len(union) <= _MOST_CLAUSES else [(Rest(node, wanted),)]


def _narrowed(clause: Clause) -> Clause | None:
    """A clause with one test a field of each kind; None if they exclude each other."""
    if len(clause) == 1:
        return clause
    found: dict[object, Predicate] = {}
    for each in clause:
        if type(each) is Equal:
            key: object = each.path
            other = found.get(key)
            if type(other) is Equal:
                each = Equal(each.path, tuple(one for one in other.keys if one in each.keys))
        elif type(each) is Between:
            key = (each.path, each.kind)
            other = found.get(key)
            if type(other) is Between:
                each = other.narrowed(each)
                if each.empty:
                    return None
        else:
            key = each
        if type(each) is Equal and not each.keys:
            return None
        found[key] = each
    return tuple(found.values())


def _field(node: Encoded) -> Path | None:
    """The path of a field; a variable is none, and neither is the event itself."""
    if type(node) is not list:
        return None
    if type(node[0]) is str:
        return shared(tuple(node))
    return shared(tuple(node[3:])) or None if node[0] == PATH and node[1] is None else None


def _comparison(node: Encoded, wanted: bool) -> list[Clause]:
    operator, left, right = node
    if is_literal(left) and OPERATORS[operator - FIRST_COMPARISON] in _MIRRORED:
        mirrored = _MIRRORED[OPERATORS[operator - FIRST_COMPARISON]]
        operator, left, right = FIRST_COMPARISON + OPERATORS.index(mirrored), right, left
    path = _field(left)
    make = (_MAKERS if wanted else _OPPOSITES).get(operator)
    made = make(path, right) if path and make else None
    return [(Rest(node, wanted),)] if made is None else made


def _equal(path: Path, right: Encoded) -> list[Clause] | None:
    value = _constant(right)
    return None if value is None else [(Equal(path, (key_of(value),)),)]


def _different(path: Path, right: Encoded) -> list[Clause] | None:
    value = _constant(right)
    kind = _kind(value)
    return [(Different(path, (key_of(value),), kind),)] if value is not None and kind else None


def _among(path: Path, right: Encoded) -> list[Clause] | None:
    if not _is_list(right):
        return None
    keys = _keys(right)
    return [(Equal(path, keys),)] if keys else []


def _outside(path: Path, right: Encoded) -> list[Clause] | None:
    """An element of another type makes `not in` unknown, and an empty list makes it true."""
    if not _is_list(right):
        return None
    kinds = {_kind(_constant(item)) for item in right[1:]}
    kind = kinds.pop() if len(kinds) == 1 else None
    return [(Different(path, _keys(right), kind),)] if kind else None


def _constant(node: Encoded) -> tree.Scalar:
    if type(node) is not list:
        plain: tree.Scalar = node
        return plain
    return literal_value(node) if is_literal(node) else None


def _is_list(node: Encoded) -> bool:
    return type(node) is list and bool(node[0] == LIST_LITERAL)


def _keys(literal: Encoded) -> tuple[Key, ...]:
    values = [_constant(item) for item in literal[1:]]
    return tuple(dict.fromkeys([key_of(value) for value in values if value is not None]))


def _kind(value: tree.Scalar) -> str | None:
    return "boolean" if type(value) is bool else comparable(value)


def _bounded(lower: bool, is_open: bool) -> _Maker:
    def bounded(path: Path, right: Encoded) -> list[Clause] | None:
        bound = _constant(right)
        kind = comparable(bound)
        if bound is None or kind is None:
            return None
        if lower:
            return [(Between(path, kind, bound, is_open),)]
        return [(Between(path, kind, None, False, bound, is_open),)]

    return bounded


def _prefix(path: Path, right: Encoded) -> list[Clause] | None:
    text = _constant(right)
    return [(Prefix(path, text),)] if isinstance(text, str) else None


def _pattern(path: Path, right: Encoded) -> list[Clause] | None:
    text = _constant(right)
    return [(Pattern(path, text),)] if isinstance(text, str) else None


_BY_NAME: Final[dict[str, _Maker]] = {
    "==": _equal,
    "!=": _different,
    "in": _among,
    "not in": _outside,
    ">": _bounded(True, True),
    ">=": _bounded(True, False),
    "<": _bounded(False, True),
    "<=": _bounded(False, False),
    "startswith": _prefix,
    "matches": _pattern,
}
_MAKERS: Final = {FIRST_COMPARISON + OPERATORS.index(name): make for name, make in _BY_NAME.items()}
_OPPOSITES: Final = {
    FIRST_COMPARISON + OPERATORS.index(name): _BY_NAME[opposite]
    for name, opposite in _OPPOSITE.items()
}
