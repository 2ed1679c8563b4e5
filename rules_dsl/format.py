"""The one way in which a rule is written: the formatter's output, which parses to the same tree.

Numbers keep their spelling and comments are kept, above the rule. Parentheses stay where they
change the meaning.
"""

import json
import re
from typing import Final

from rules_dsl import tree
from rules_dsl.tree import Expression

_WIDEST: Final = 100
_NAME: Final = re.compile(r"[^\W\d]\w*")

# How tightly each kind of node binds; what stands inside a tighter one needs parentheses.
_OR, _AND, _NOT, _TEST, _SUM, _PRODUCT, _MINUS, _DEFAULT, _PRIMARY = range(9)


def format_sentence(sentence: tree.Sentence) -> str:
    """A whole rule, on one line if it is short and has no clauses."""
    head = [f"# {comment}".rstrip() for comment in sentence.comments]
    if sentence.name is not None:
        head.append(f"rule {_quoted(sentence.name)}")
    when = f"when {format_expression(sentence.condition)}"
    then = "then " + ", ".join(_notify(notify) for notify in sentence.notifies)
    clauses = _clauses(sentence)
    if not clauses and not sentence.name and len(when) + len(then) < _WIDEST:
        return "\n".join([*head, f"{when} {then}"])
    if len(when) > _WIDEST:
        when = _broken(sentence.condition)
    return "\n".join([*head, when, then, *clauses])


def format_expression(node: Expression, quote: str = '"') -> str:
    """A condition or value on one line."""
    return _Writer(quote).write(node)


def _clauses(sentence: tree.Sentence) -> list[str]:
    clauses = [f"severity {sentence.severity}"] if sentence.severity else []
    return [*clauses, f"message {_message(sentence.message)}"] if sentence.message else clauses


def _broken(condition: Expression) -> str:
    """A long condition with each of its outermost parts on a line of its own."""
    writer = _Writer('"')
    match condition:
        case tree.And():
            return "when " + "\n  and ".join(writer.within(item, _NOT) for item in condition.items)
        case tree.Or():
            return "when " + "\n  or ".join(writer.within(item, _AND) for item in condition.items)
        case _:
            return "when " + writer.write(condition)


def _notify(notify: tree.Notify) -> str:
    targets = [_quoted(str(target)) for target in notify.targets]
    resolved = ["resolved: true"] if notify.targets[0].resolved else []
    return f"notify({', '.join([*targets, *resolved])})"


def _message(message: tree.Message) -> str:
    """A message; strings in it take single quotes, so that no backslashes are needed."""
    parts = [
        part if isinstance(part, str) else "{{ " + format_expression(part, "'") + " }}"
        for part in message.parts
    ]
    return _quoted("".join(parts))


def _quoted(text: str, quote: str = '"') -> str:
    escaped = json.dumps(text, ensure_ascii=False)
    if quote == '"':
        return escaped
    return "'" + escaped[1:-1].replace('\\"', '"').replace("'", "\\'") + "'"


def _binding(node: Expression) -> int:
    match node:
        case tree.Or():
            return _OR
        case tree.And():
            return _AND
        case tree.Not():
            return _NOT
        case tree.Comparison() | tree.Presence() | tree.Quantifier():
            return _TEST
        case tree.Arithmetic():
            return _SUM if node.operators[0] in "+-" else _PRODUCT
        case tree.Minus():
            return _MINUS
        case tree.Default():
            return _DEFAULT
        case _:
            return _PRIMARY


class _Writer:
    """One writing, which knows the names that quantifiers have taken."""

    def __init__(self, quote: str) -> None:
        self._quote = quote
        self._names: list[str] = []

    def within(self, node: Expression, loosest: int) -> str:
        """A node inside another, in parentheses if it binds less tightly than that one allows."""
        written = self.write(node)
        return f"({written})" if _binding(node) < loosest else written

    def write(self, node: Expression) -> str:
        """A node without parentheses around it."""
        match node:
            case tree.Or():
                return " or ".join(self.within(item, _AND) for item in node.items)
            case tree.And():
                return " and ".join(self.within(item, _NOT) for item in node.items)
            case tree.Not():
                return f"not {self.within(node.operand, _NOT)}"
            case tree.Comparison():
                left, right = self.within(node.left, _SUM), self.within(node.right, _SUM)
                return f"{left} {node.operator} {right}"
            case tree.Presence():
                path = self.write(node.path)
                return f"{path} {node.kind}" if " " in node.kind else f"{node.kind} {path}"
            case tree.Quantifier():
                return self._quantifier(node)
            case _:
                return self._value(node)

    def _value(self, node: tree.Value) -> str:
        match node:
            case tree.Literal():
                return self._literal(node)
            case tree.ListLiteral():
                return f"[{', '.join(self._literal(item) for item in node.items)}]"
            case tree.Path():
                return self._path(node)
            case tree.Default():
                return " ?? ".join(self.within(operand, _PRIMARY) for operand in node.operands)
            case tree.Arithmetic():
                return self._arithmetic(node)
            case tree.Minus():
                return f"-{self.within(node.operand, _MINUS)}"
            case tree.Call():
                arguments = ", ".join(self.write(argument) for argument in node.arguments)
                return f"{node.name}({arguments})"

    def _quantifier(self, node: tree.Quantifier) -> str:
        source = self.write(node.source)
        self._names.append(node.name)
        body = self.write(node.body)
        self._names.pop()
        return f"{node.kind} {node.name} in {source}: ({body})"

    def _arithmetic(self, node: tree.Arithmetic) -> str:
        tighter = _binding(node) + 1
        operands = [self.within(operand, tighter) for operand in node.operands]
        rest = zip(node.operators, operands[1:], strict=True)
        return operands[0] + "".join(f" {sign} {operand}" for sign, operand in rest)

    def _literal(self, node: tree.Literal) -> str:
        return _quoted(str(node.value), self._quote) if node.form == "text" else node.written

    def _path(self, node: tree.Path) -> str:
        if node.variable is not None:
            return node.variable + self._steps(node.steps)
        if node.explicit:
            return "event" + self._steps(node.steps)
        return str(node.steps[0]) + self._steps(node.steps[1:])

    def _steps(self, steps: tuple[str | int, ...]) -> str:
        return "".join(self._step(step) for step in steps)

    def _step(self, step: str | int) -> str:
        if isinstance(step, int):
            return f"[{step}]"
        return f".{step}" if _NAME.fullmatch(step) else f"[{_quoted(step, self._quote)}]"
