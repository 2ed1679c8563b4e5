"""What may come of a condition on any event at all: true, false, unknown, or only some of these.

An outcome that is not among them never comes; one that is need not come. So "never true" and "always true" are sure.
"""

from collections.abc import Sequence
from enum import Flag
from typing import Final

from rules_dsl import tree
from rules_dsl.compiler import compile_condition
from rules_dsl.demands import contradictory, demands_of, plain
from rules_dsl.format import format_expression
from rules_dsl.run import BudgetSpent, Run
from rules_dsl.tree import Expression, children, conjuncts


class Outcomes(Flag):
    """Outcomes that may come."""

    TRUE = 1
    FALSE = 2
    UNKNOWN = 4


TRUE: Final = Outcomes.TRUE
FALSE: Final = Outcomes.FALSE
UNKNOWN: Final = Outcomes.UNKNOWN
ANY: Final = TRUE | FALSE | UNKNOWN
_NONE: Final = Outcomes(0)
_OF: Final = {True: TRUE, False: FALSE, None: UNKNOWN}
_SAME: Final = {"==": TRUE, "<=": TRUE, ">=": TRUE, "!=": FALSE, "<": FALSE, ">": FALSE}
_BY_CLOCK: Final = frozenset({"now", "age"})
_DUALS: Final = {"exists": "missing", "is null": "is not null"}


def possible(node: Expression) -> Outcomes:
    """What may come of a condition."""
    return Possibilities().of(node)


class Possibilities:
    """What may come of the parts of one condition, each worked out once."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Expression, Outcomes]] = {}

    def of(self, node: Expression) -> Outcomes:
        """What may come of a part."""
        known = self._known.get(id(node))
        if known is None:
            known = self._known[id(node)] = (node, self._found(node))
        return known[1]

    def _found(self, node: Expression) -> Outcomes:
        if _is_constant(node):
            return _constant(node)
        found = self._of_form(node)
        if TRUE in found and (_opposed(node) or contradictory(demands_of(node))):
            found &= ~TRUE
        return found

    def _of_form(self, node: Expression) -> Outcomes:
        match node:
            case tree.And():
                # What stands in an `and` of an `and` is held against all of it, once.
                return _joined([self._inside(item) for item in node.items], FALSE, TRUE)
            case tree.Or():
                found = _joined([self.of(item) for item in node.items], TRUE, FALSE)
                return TRUE if _covers(node.items) else found
            case tree.Not():
                return _turned(self.of(node.operand))
            case tree.Comparison():
                return _comparison(node)
            case tree.Presence():
                return TRUE | FALSE
            case tree.Quantifier():
                return self._quantifier(node)
            case tree.Held():
                return ANY if TRUE in self.of(node.body) else FALSE | UNKNOWN
            case tree.Sequence():
                needed = [step.condition for step in node.steps if step.name is not None]
                return ANY if all(TRUE in self.of(each) for each in needed) else FALSE | UNKNOWN
            case _:
                return ANY

    def _inside(self, item: Expression) -> Outcomes:
        if not isinstance(item, tree.And):
            return self.of(item)
        known = self._known.get(id(item))
        if known is None:
            known = self._known[id(item)] = (item, self._of_form(item))
        return known[1]

    def _quantifier(self, node: tree.Quantifier) -> Outcomes:
        if isinstance(node.source, tree.ListLiteral) and not node.source.items:
            return FALSE if node.kind == "any" else TRUE
        if node.kind == "any" and TRUE not in self.of(node.body):
            return FALSE | UNKNOWN
        return ANY


def _opposed(node: Expression) -> bool:
    """Whether a condition and its very `not` are joined by `and`."""
    if not isinstance(node, tree.And):
        return False
    parts = set(conjuncts(node))
    return any(isinstance(each, tree.Not) and each.operand in parts for each in parts)


def _joined(items: Sequence[Outcomes], decisive: Outcomes, other: Outcomes) -> Outcomes:
    """Kleene's `and` (false decides) and `or` (true decides)."""
    found = decisive if any(decisive in each for each in items) else _NONE
    if all(other in each for each in items):
        found |= other
    undecided = all(each & (other | UNKNOWN) for each in items)
    if undecided and any(UNKNOWN in each for each in items):
        found |= UNKNOWN
    return found


def _turned(outcomes: Outcomes) -> Outcomes:
    found = outcomes & UNKNOWN
    found |= FALSE if TRUE in outcomes else _NONE
    return found | (TRUE if FALSE in outcomes else _NONE)


def _comparison(node: tree.Comparison) -> Outcomes:
    if isinstance(node.right, tree.ListLiteral) and not node.right.items:
        return {"in": FALSE, "not in": TRUE}.get(node.operator, ANY)
    if node.operator in _SAME and plain(node.left) == plain(node.right):
        return _SAME[node.operator] | UNKNOWN
    return ANY


def _covers(items: Sequence[Expression]) -> bool:
    """Whether one of two opposite presences is among them, whatever the event."""
    found = {(each.kind, plain(each.path)) for each in items if isinstance(each, tree.Presence)}
    return any((_DUALS.get(kind), path) in found for kind, path in found)


def _is_constant(node: Expression) -> bool:
    """Whether neither an event nor the clock has a say in it."""
    if isinstance(node, (tree.Path, tree.Step, *tree.STATEFUL)):
        return False
    if isinstance(node, tree.Call) and node.name in _BY_CLOCK:
        return False
    return all(_is_constant(each) for each in children(node))


def _constant(node: Expression) -> Outcomes:
    try:
        return _OF[compile_condition(node)(Run({}, 0))]
    except (BudgetSpent, RecursionError):
        return ANY


def written(node: Expression) -> str:
    """A part of a condition, as a message quotes it."""
    text = format_expression(node)
    return text if len(text) <= 60 else text[:59] + "…"
