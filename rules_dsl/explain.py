"""The explainer: a condition walked clause by clause, none of them cut short.

It asks the same programs that matching runs. What an explanation costs is bounded as matching is,
since a clause that matching skipped may be the expensive one.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from rules_dsl import tree
from rules_dsl.compiler import Program, ValueProgram, compile_condition, compile_value
from rules_dsl.cost import weight
from rules_dsl.evaluator import Outcome, negated
from rules_dsl.explanation import Explanation, Seen
from rules_dsl.format import format_expression
from rules_dsl.kinds import name_of
from rules_dsl.nearest import closeness, nearest_miss
from rules_dsl.reasons import BUDGET, why_unknown
from rules_dsl.run import BUDGET as STEPS
from rules_dsl.run import BudgetSpent, Run
from rules_dsl.source import line_and_column
from rules_dsl.tree import Expression, children
from rules_dsl.values import UNKNOWN, Absent, kind_of, shown

_MOST_ELEMENTS: Final = 20
_MOST_CLAUSES: Final = 2_000


def explain(text: str, node: Expression, event: Mapping[str, object], now: float) -> Explanation:
    """Why a condition is true, false or unknown of an event, with the nearest miss."""
    explainer = _Explainer(text, event, now)
    outcome, spent = explainer.matched(node)
    if spent:
        return explainer.clause(node, None, BUDGET)
    explained = explainer.explain(node)
    # Matching decides: a clause it skipped may have been too expensive to explain.
    explained = replace(explained, outcome=outcome)
    return replace(explained, nearest_miss=None if outcome else nearest_miss(explained))


class _Explainer:
    """One explanation of one event."""

    def __init__(self, text: str, event: Mapping[str, object], now: float) -> None:
        self._text = text
        self._event = event
        self._now = now
        self._variables: dict[str, object] = {}
        self._steps = 5 * STEPS
        self._clauses = _MOST_CLAUSES
        # By the identity of nodes, which stand beside it to stay alive: a clause is asked of each element.
        self._programs: dict[int, tuple[Expression, Program]] = {}
        self._values: dict[int, tuple[Expression, ValueProgram]] = {}

    def matched(self, node: Expression) -> tuple[Outcome, bool]:
        """What matching gives, and whether its budget was spent."""
        return self._judged(node, 0)

    def outcome(self, node: Expression) -> tuple[Outcome, bool]:
        """What a clause gives, and whether the budget was spent.

        It is asked in addition to matching, and more than once; so it pays for long values as within a quantifier.
        """
        return self._judged(node, 1)

    def _judged(self, node: Expression, cost: int) -> tuple[Outcome, bool]:
        if id(node) not in self._programs:
            self._programs[id(node)] = node, compile_condition(node)
        program, run = self._programs[id(node)][1], self._run(cost)
        try:
            return (None, True) if self._steps <= 0 else (program(run), False)
        except BudgetSpent:
            return None, True
        finally:
            self._steps -= run.steps

    def explain(self, node: Expression) -> Explanation:
        """The explanation of a condition and of what stands below it."""
        self._clauses -= 1
        match node:
            case tree.And():
                return self._joined(node, node.items, False)
            case tree.Or():
                return self._joined(node, node.items, True)
            case tree.Not():
                inner = self.explain(node.operand)
                return self.clause(node, negated(inner.outcome), children=(inner,))
            case tree.Quantifier():
                return self._quantifier(node)
            case _:
                return self._leaf(node)

    def clause(
        self,
        node: Expression,
        outcome: Outcome,
        reason: str | None = None,
        values: tuple[Seen, ...] = (),
        children: tuple[Explanation, ...] = (),
    ) -> Explanation:
        """One clause, at its place."""
        line, column = line_and_column(self._text, node.span.start)
        written = format_expression(node)
        return Explanation(
            written, node.span, line, column, outcome, reason, values, children, node=node
        )

    def _joined(
        self, node: Expression, items: tuple[Expression, ...], decisive: bool
    ) -> Explanation:
        below = tuple(self.explain(item) for item in items)
        return self.clause(node, kleene([each.outcome for each in below], decisive), children=below)

    def _leaf(self, node: Expression) -> Explanation:
        outcome, spent = self.outcome(node)
        if spent:
            return self.clause(node, None, BUDGET)
        reason = why_unknown(node, self._value, self._now) if outcome is None else None
        leaf = self.clause(node, outcome, reason, self._seen(node))
        if isinstance(node, tree.Comparison):
            rank, away = closeness(self._value(node.left), self._value(node.right))
            leaf = replace(leaf, rank=rank, away=away)
        return leaf

    def _quantifier(self, node: tree.Quantifier) -> Explanation:
        outcome, spent = self.outcome(node)
        if spent:
            return self.clause(node, None, BUDGET)
        items = self._value(node.source)
        if type(items) is not list:
            reason = why_unknown(node, self._value, self._now)
            return self.clause(node, outcome, reason, self._seen(node))
        return self._elements(node, outcome, items)

    def _elements(
        self, node: tree.Quantifier, outcome: Outcome, items: list[object]
    ) -> Explanation:
        """A quantifier with the elements that decided it, or else with its first ones."""
        decisive = node.kind != "all"
        shadowed, cost = self._variables.get(node.name), weight(node.body)
        outcomes = [self._element(node, item, cost) for item in items]
        chosen = [i for i, each in enumerate(outcomes) if each is decisive]
        chosen = chosen or list(range(len(items)))
        shown_elements: list[Explanation] = []
        for index in chosen[:_MOST_ELEMENTS]:
            if self._clauses > 0:
                self._variables[node.name] = items[index]
                shown_elements.append(self.explain(node.body).as_element(index))
        self._variables[node.name] = shadowed
        opposed = sum(each is not (not decisive) for each in outcomes)
        visible = sum(each.outcome is not (not decisive) for each in shown_elements)
        explained = self.clause(node, outcome, None, (), tuple(shown_elements))
        if not items:
            explained = replace(explained, reason=f"{format_expression(node.source)} is empty")
        return replace(
            explained, complete=opposed == visible and len(chosen) == len(shown_elements)
        )

    def _element(self, node: tree.Quantifier, item: object, cost: int) -> Outcome:
        self._variables[node.name] = item
        return self._judged(node.body, cost)[0]

    def _seen(self, node: Expression) -> tuple[Seen, ...]:
        """The values of a leaf: its operands, and the fields within them, each once."""
        found: dict[str, Seen] = {}
        waiting: list[Expression] = (
            [node] if not isinstance(node, tree.CONDITIONS) else list(_operands(node))
        )
        while waiting:
            each = waiting.pop(0)
            written = format_expression(each)
            if not isinstance(each, (tree.Literal, tree.ListLiteral)) and written not in found:
                found[written] = self._seen_value(written, self._value(each))
            waiting.extend(_operands(each))
        return tuple(found.values())

    def _seen_value(self, written: str, value: object) -> Seen:
        kind = kind_of(value)
        name = value.value if isinstance(value, Absent) else name_of(kind) if kind else "none"
        return Seen(written, shown(value), name.split(" ")[-1])

    def _value(self, node: Expression) -> object:
        if id(node) not in self._values:
            self._values[id(node)] = node, compile_value(node)
        program, run = self._values[id(node)][1], self._run(1)
        try:
            return UNKNOWN if self._steps <= 0 else program(run)
        except BudgetSpent:
            return UNKNOWN
        finally:
            self._steps -= run.steps

    def _run(self, cost: int) -> Run:
        run = Run(self._event, self._now)
        run.steps = cost
        run.variables.update(self._variables)
        return run


def _operands(node: Expression) -> tuple[Expression, ...]:
    """The values that a leaf compares; the body of a quantifier or a window is no value of its own."""
    if isinstance(node, tree.STATEFUL):
        return node.by
    return (node.source,) if isinstance(node, tree.Quantifier) else children(node)


def kleene(outcomes: list[Outcome], decisive: bool) -> Outcome:
    """Kleene's `and` (False decides) or `or` (True decides)."""

    if decisive in outcomes:
        return decisive
    return None if None in outcomes else not decisive
