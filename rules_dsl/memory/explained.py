"""Explanations of decisions: the clauses of a rule with memory, by the values that were recorded.

What looked at one event is asked again; what looked at many is told by its record, since what it looked at
may be gone.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from rules_dsl import tree
from rules_dsl.compiler import compile_value
from rules_dsl.evaluator import Outcome
from rules_dsl.explain import explain
from rules_dsl.explanation import Explanation
from rules_dsl.format import format_expression
from rules_dsl.memory.decisions import LATE, SEEN
from rules_dsl.memory.keys import NO_KEY, names_and_values
from rules_dsl.memory.plan import Plan, has_memory, replaced, variable, windows_in
from rules_dsl.memory.told import told, told_comparison, told_late, told_sequence
from rules_dsl.nearest import closeness, nearest_miss
from rules_dsl.reasons import UNASKED
from rules_dsl.run import Run
from rules_dsl.source import line_and_column
from rules_dsl.tree import Expression, conjuncts
from rules_dsl.values import UNKNOWN

_NO_STEP: Final = "the event is none of its steps"
_WAS_SEEN: Final = "the event was seen"
_REFUSED: Final = "it was not asked"


def explained(
    plan: Plan, text: str, node: Expression, body: Mapping[str, Any], now: float,
    record: Mapping[str, Any],
) -> Explanation:  # fmt: skip
    """Why a rule was true, false or unknown, and what held its notification back."""
    teller = _Teller(plan, text, body, now, record)
    whole = teller.whole(node)
    verdict = record.get("verdict") or {}
    outcome: Outcome = record["outcome"]
    refused = record["reason"] if outcome is None else None
    if refused == LATE:
        refused = told_late(plan, record["key"], record["values"]) or refused
    reason = verdict.get("reason") or refused or whole.reason
    whole = replace(whole, outcome=outcome, reason=reason)
    return replace(whole, nearest_miss=None if outcome or record["reason"] else nearest_miss(whole))


class _Teller:
    """One decision, and the clauses of its rule."""

    def __init__(
        self, plan: Plan, text: str, body: Mapping[str, Any], now: float, record: Mapping[str, Any]
    ) -> None:
        self._plan = plan
        self._text = text
        self._body = body
        self._now = now
        self._record = record
        key = record["key"]
        whose = names_and_values(plan.key.names, key)
        self._whose = f" for {whose}" if key != NO_KEY else ""

    def whole(self, node: Expression) -> Explanation:
        """The whole condition."""
        values = self._record["values"]
        if isinstance(node, tree.Held | tree.Absence):
            record = self._record
            reason = told(self._plan, record["key"], record["time"], values, record["outcome"])
            below = (self._single(node.body),) if self._record["kind"] == "event" else ()
            if isinstance(node, tree.Absence) and below and below[0].outcome:
                reason = reason or _WAS_SEEN
            return self._clause(node, self._record["outcome"], reason, below)
        parts = conjuncts(node)
        if len(parts) == 1:
            return self._part(node)
        return self._clause(node, self._record["outcome"], None, tuple(map(self._part, parts)))

    def _part(self, node: Expression) -> Explanation:
        if not has_memory(node):
            return self._single(node)
        values = self._record["values"]
        if isinstance(node, tree.Comparison):
            return self._comparison(node) if "windows" in values else self._unasked(node, UNASKED)
        if "nothing_since" in values:
            reason = told(self._plan, self._record["key"], self._record["time"], values)
            return self._clause(node, True, reason)
        if "steps" not in values:
            return self._unasked(node, UNASKED if self._beside_untrue() else _NO_STEP)
        reason = told_sequence(self._plan, self._record["time"], values) + self._whose
        # A record of before says it by its outcome alone.
        whole = "whole" in values or self._record["outcome"] is True
        return self._clause(node, whole, reason)

    def _comparison(self, node: tree.Comparison) -> Explanation:
        run = Run(self._body, self._now)
        for number, value in enumerate(self._record["values"]["windows"]):
            run.variables[variable(number)] = UNKNOWN if value is None else value
        place = next(i for i, each in enumerate(self._plan.compared) if each is node)
        test = self._plan.tests[place]
        reason = told_comparison(self._plan, place, self._record["values"]) + self._whose
        numbers = {
            window: number
            for window in windows_in(node)
            for number, spec in enumerate(self._plan.windows)
            if spec.text == format_expression(window)
        }
        sides = (compile_value(replaced(side, numbers))(run) for side in (node.left, node.right))
        rank, away = closeness(*sides)
        return replace(self._clause(node, test(run), reason), rank=rank, away=away)

    def _single(self, node: Expression) -> Explanation:
        return replace(explain(self._text, node, self._body, self._now), nearest_miss=None)

    def _unasked(self, node: Expression, reason: str) -> Explanation:
        refused = self._record["reason"] in (LATE, SEEN)
        return self._clause(node, None, _REFUSED if refused else reason)

    def _beside_untrue(self) -> bool:
        """Whether the conditions on the one event kept it out."""
        return any(self._single(each).outcome is not True for each in self._plan.singles)

    def _clause(
        self,
        node: Expression,
        outcome: Outcome,
        reason: str | None,
        below: tuple[Explanation, ...] = (),
    ) -> Explanation:
        line, column = line_and_column(self._text, node.span.start)
        written = format_expression(node)
        return Explanation(written, node.span, line, column, outcome, reason, (), below, node=node)
