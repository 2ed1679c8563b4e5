"""The builder: from what textX read to the typed tree.

Names are resolved here, where scopes are open and closed in the order of the text: a bare word is
the variable of the nearest quantifier of that name, otherwise a field of the event.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from rules_dsl import literals, tree
from rules_dsl.builder_memory import (
    build_absence,
    build_clauses,
    build_held,
    build_sequence,
    build_window,
)
from rules_dsl.errors import RuleError, did_you_mean
from rules_dsl.source import Source, Span, line_and_column
from rules_dsl.spelling import mistake
from rules_dsl.template import read_template
from rules_dsl.tree import Expression
from rules_dsl.words import SEVERITIES

_TARGET: Final = re.compile(r"([a-z][a-z0-9_-]*):(\S(?:.*\S)?)", re.DOTALL)
_STEP: Final = re.compile(r"\.\s*(\w+)|\[\s*(?:(-?[0-9]+)|(.+?))\s*\]", re.DOTALL)


class Builder:
    """One reading of one source."""

    def __init__(self, source: Source, parse_value: Callable[[Source], Expression]) -> None:
        self.source = source
        self._parse_value = parse_value
        self._variables: list[str] = []

    def sentence(self, model: Any, comments: tuple[str, ...]) -> tree.Sentence:
        """The tree of a rule."""
        clauses = self._clauses(model.clauses)
        severity, message = clauses.get("SeverityClause"), clauses.get("MessageClause")
        return tree.Sentence(
            span=self.span(model),
            name=literals.text(model.name.written)[0] if model.name else None,
            condition=self._condition(model),
            notifies=tuple(self._notify(notify) for notify in model.notifies),
            severity=self._severity(severity) if severity else None,
            message=self._message(message.text) if message else None,
            comments=comments,
            clauses=build_clauses(self, clauses),
        )

    def name(self, name: str) -> None:
        """Let a name stand for something from here on."""
        self._variables.append(name)

    def forget(self, count: int) -> None:
        """Let the latest names stand for fields again."""
        del self._variables[len(self._variables) - count :]

    def _condition(self, model: Any) -> Expression:
        condition = self.expression(model.condition)
        return build_held(self, model, condition) if model.holds else condition

    def expression(self, model: Any) -> Expression:
        """The tree of a condition or a value."""
        build = _BUILDERS[type(model).__name__]
        return build(self, model)

    def _clauses(self, models: Sequence[Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for model in models:
            kind = type(model).__name__
            word = kind.removesuffix("Clause").lower()
            if kind == "ResolveClause":
                word += " when" if model.condition else " after"
                kind = word
            if kind in found:
                start = model._tx_position
                hint = "each clause stands at most once"
                message = f"`{word}` is written twice"
                raise mistake(self.source, start, start + len(word), message, hint)
            found[kind] = model
        return found

    def _severity(self, model: Any) -> str:
        level: str = model.level
        if level not in SEVERITIES:
            end = model._tx_position_end
            hint = did_you_mean(level, SEVERITIES) or f"one of {', '.join(SEVERITIES)}"
            message = f"unknown severity `{level}`"
            raise mistake(self.source, end - len(level), end, message, hint, "severity")
        return level

    def _message(self, model: Any) -> tree.Message:
        content, places = literals.text(model.written)
        start = model._tx_position
        inside = [self.source.span(start + place, start).start for place in places]
        source = Source(content, self.source.whole, inside)
        return tree.Message(self.span(model), read_template(source, self._parse_value))

    def _notify(self, model: Any) -> tree.Notify:
        resolved = model.resolved == "true"
        targets = tuple(self._target(target, resolved) for target in model.targets)
        return tree.Notify(self.span(model), targets)

    def _target(self, model: Any, resolved: bool) -> tree.Target:
        value, _ = literals.text(model.written)
        span = self.span(model)
        match = _TARGET.fullmatch(value)
        if match is None:
            hint = 'a target is "kind:address", as in "slack:#ops"'
            message = f"`{value}` is no target"
            raise RuleError(message, code="target", text=self.source.whole, span=span, hint=hint)
        line, column = line_and_column(self.source.whole, span.start)
        return tree.Target(span, match[1], match[2], resolved, line, column)

    def span(self, model: Any) -> Span:
        """Where a model stands."""
        return self.source.span(model._tx_position, model._tx_position_end)

    def _disjunction(self, model: Any) -> Expression:
        if len(model.items) == 1:
            return self._conjunction(model.items[0])
        return tree.Or(self.span(model), tuple(self._conjunction(item) for item in model.items))

    def _conjunction(self, model: Any) -> Expression:
        if len(model.items) == 1:
            return self.expression(model.items[0])
        return tree.And(self.span(model), tuple(self.expression(item) for item in model.items))

    def _not(self, model: Any) -> Expression:
        return tree.Not(self.span(model), self.expression(model.operand))

    def _quantifier(self, model: Any) -> Expression:
        source = self.expression(model.source)
        self.name(model.name)
        body = self.expression(model.body)
        self.forget(1)
        return tree.Quantifier(self.span(model), model.kind, model.name, source, body)

    def _presence(self, model: Any) -> Expression:
        inner = model
        while inner.nested:
            inner = inner.nested
        return tree.Presence(self.span(model), model.kind, self.expression(inner.path))

    def _comparison(self, model: Any) -> Expression:
        left = self._arithmetic(model.left)
        if model.nullness:
            kind = " ".join(model.nullness.split())
            return tree.Presence(self.span(model), kind, left)
        if not model.operator:
            return left
        operator = " ".join(model.operator.split())
        right = self._arithmetic(model.right)
        return tree.Comparison(self.span(model), operator, left, right)

    def _arithmetic(self, model: Any) -> Expression:
        """A flat chain as a sum of products."""
        operands = [self.expression(operand) for operand in model.operands]
        if len(operands) == 1:
            return operands[0]
        products: list[tuple[int, int]] = []
        start = 0
        for index, operator in enumerate(model.operators):
            if operator in "+-":
                products.append((start, index))
                start = index + 1
        products.append((start, len(operands) - 1))
        terms = tuple(self._product(model, operands, first, last) for first, last in products)
        signs = tuple(operator for operator in model.operators if operator in "+-")
        return terms[0] if not signs else tree.Arithmetic(self.span(model), terms, signs)

    def _product(self, model: Any, operands: list[Expression], first: int, last: int) -> Expression:
        if first == last:
            return operands[first]
        start = model.operands[first]._tx_position
        span = self.source.span(start, model.operands[last]._tx_position_end)
        factors = tuple(operands[first : last + 1])
        return tree.Arithmetic(span, factors, tuple(model.operators[first:last]))

    def _minus(self, model: Any) -> Expression:
        """A number turned round; one that is written out becomes a negative literal."""
        operand = self.expression(model.operand)
        span = self.span(model)
        match operand:
            case tree.Literal(form="number", written=written) if not written.startswith("-"):
                return tree.Literal(span, "number", literals.number("-" + written), "-" + written)
            case _:
                return tree.Minus(span, operand)

    def _default(self, model: Any) -> Expression:
        operands = tuple(self.expression(operand) for operand in model.operands)
        return operands[0] if len(operands) == 1 else tree.Default(self.span(model), operands)

    def _parenthesis(self, model: Any) -> Expression:
        return self._disjunction(model.inner)

    def _call(self, model: Any) -> Expression:
        if model.window or model.where:
            return build_window(self, model)
        arguments = tuple(self._disjunction(argument) for argument in model.arguments)
        return tree.Call(self.span(model), model.name, arguments)

    def _path(self, model: Any) -> Expression:
        steps = tuple(_step(step) for step in model.steps)
        span = self.span(model)
        if model.root == "event":
            return tree.Path(span, None, True, steps)
        if model.root in self._variables:
            return tree.Path(span, model.root, False, steps)
        return tree.Path(span, None, False, (model.root, *steps))

    def _list(self, model: Any) -> Expression:
        items = tuple(self.expression(item) for item in model.items)
        literal = tuple(item for item in items if isinstance(item, tree.Literal))
        return tree.ListLiteral(self.span(model), literal)

    def _number(self, model: Any) -> Expression:
        written = "".join(model.written.split())
        return tree.Literal(self.span(model), "number", literals.number(written), written)

    def _constant(self, model: Any) -> Expression:
        values = {"true": True, "false": False, "null": None}
        return tree.Literal(self.span(model), "constant", values[model.written], model.written)

    def _text(self, model: Any) -> Expression:
        value, _ = literals.text(model.written)
        return tree.Literal(self.span(model), "text", value, model.written)


def _step(written: str) -> str | int:
    match = _STEP.fullmatch(written)
    assert match is not None, written
    if match[1]:
        return match[1]
    return int(match[2]) if match[2] else literals.text(match[3])[0]


_BUILDERS: Final[dict[str, Callable[[Builder, Any], Expression]]] = {
    "Disjunction": Builder._disjunction,
    "Not": Builder._not,
    "Quantifier": Builder._quantifier,
    "Presence": Builder._presence,
    "Comparison": Builder._comparison,
    "Minus": Builder._minus,
    "NegativeFallback": Builder._minus,
    "Default": Builder._default,
    "Parenthesis": Builder._parenthesis,
    "Call": Builder._call,
    "Path": Builder._path,
    "List": Builder._list,
    "SignedNumber": Builder._number,
    "Number": Builder._number,
    "Constant": Builder._constant,
    "Text": Builder._text,
    "Absence": build_absence,
    "Succession": build_sequence,
}
