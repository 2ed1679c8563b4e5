"""The one way in which a rule is written: the formatter's output, which parses to the same tree.

Numbers keep their spelling and comments are kept, above the rule. Parentheses stay where they
change the meaning.
"""

import json
from dataclasses import replace
from typing import Final

from rules_dsl import tree
from rules_dsl.head import LINES, MODES, Lines
from rules_dsl.tree import Expression
from rules_dsl.words import DAY_SETS, RESERVED, is_name

_WIDEST: Final = 100

# How tightly each kind of node binds; what stands inside a tighter one needs parentheses.
_OR, _AND, _NOT, _TEST, _SUM, _PRODUCT, _MINUS, _DEFAULT, _PRIMARY = range(9)


def format_sentence(sentence: tree.Sentence) -> str:
    """A whole rule, on one line if it is short and has no clauses."""
    head = _comments(sentence)
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


def format_file_rule(sentence: tree.Sentence, name: str, lines: Lines, tests: str) -> str:
    """A rule as a file holds it: with its name, the lines about it, and its tests as they are."""
    head = [*_comments(sentence), f"rule {_quoted(name)}"]
    if lines.description:
        head.append(f"description {_quoted(lines.description)}")
    if lines.tags:
        head.append(f"tags {', '.join(_tag(each) for each in lines.tags)}")
    if lines.mode != MODES[0]:
        head.append(f"mode {lines.mode}")
    if lines.noise_budget is not None:
        head.append(f"noise_budget {lines.noise_budget}")
    body = format_sentence(replace(sentence, name=name, comments=())).partition("\n")[2]
    return "\n".join([*head, body, *(["", tests] if tests else [])])


def _tag(tag: str) -> str:
    plain = is_name(tag) and tag not in RESERVED | LINES.keys()
    return tag if plain else _quoted(tag)


def _comments(sentence: tree.Sentence) -> list[str]:
    return [f"# {comment}".rstrip() for comment in sentence.comments]


def format_expression(node: Expression, quote: str = '"') -> str:
    """A condition or value on one line."""
    return _Writer(quote).write(node)


def _clauses(sentence: tree.Sentence) -> list[str]:
    clauses = [f"severity {sentence.severity}"] if sentence.severity else []
    if sentence.message:
        clauses.append(f"message {_message(sentence.message)}")
    return [*clauses, *(format_clause(each) for each in sentence.clauses)]


def format_clause(clause: tree.Clause) -> str:
    """One clause after `then`, of those that need memory."""
    match clause:
        case tree.Throttle():
            written = f"throttle {clause.count.written} per {clause.per.written}"
        case tree.Group():
            written = f"group {clause.span_for.written}"
        case tree.During():
            hours = f"{_time(clause.begin)}-{_time(clause.end)}"
            zone = _quoted(str(clause.zone.value))
            return f"during {_days(clause.days)} {hours} {zone} otherwise {clause.otherwise}"
        case tree.Unless():
            written = f"unless open({_quoted(str(clause.rule.value))})"
        case tree.ResolveWhen():
            written = f"resolve when {format_expression(clause.condition)}"
        case tree.ResolveAfter():
            written = f"resolve after {clause.span_for.written}"
    return written + _Writer('"').by(clause.by)


def _days(days: tuple[str, ...]) -> str:
    named = next((name for name, each in DAY_SETS.items() if each == days), None)
    return named or ", ".join(days)


def _time(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _broken(condition: Expression) -> str:
    """A long condition with each of its outermost parts on a line of its own."""
    writer = _Writer('"')
    match condition:
        case tree.And():
            return "when " + "\n  and ".join(writer.within(item, _NOT) for item in condition.items)
        case tree.Or():
            return "when " + "\n  or ".join(writer.within(item, _AND) for item in condition.items)
        case tree.Held():
            return _broken(condition.body) + "\n  " + writer.ending(condition)
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
            case tree.Held():
                return f"{self.write(node.body)} {self.ending(node)}"
            case tree.Absence():
                return f"absent({self.write(node.body)}) {self.ending(node)}"
            case tree.Sequence():
                steps = " -> ".join(self.write(step) for step in node.steps)
                return f"seq({steps}) within {node.within.written}{self.by(node.by)}"
            case tree.Step():
                return self._step_of(node)
            case _:
                return self._value(node)

    def by(self, paths: tuple[tree.Path, ...]) -> str:
        """The ending that names a key, if there is one."""
        return f" by {', '.join(self.write(path) for path in paths)}" if paths else ""

    def ending(self, node: tree.Held | tree.Absence) -> str:
        """The `for` of a condition, with what follows it."""
        expect = node.expect if isinstance(node, tree.Absence) else None
        expected = f" expect {self.write(expect)}" if expect else ""
        return f"for {node.span_for.written}{self.by(node.by)}{expected}"

    def _step_of(self, step: tree.Step) -> str:
        if step.name is None:
            return f"not ({self.write(step.condition)})"
        times = f" x{step.times}" if step.times > 1 else ""
        return f"{step.name}: {self.write(step.condition)}{times}"

    def _window(self, node: tree.Window) -> str:
        value = self.write(node.value) if node.value else ""
        where = f" where {self.write(node.where)}" if node.where else ""
        offset = f" offset {node.offset.written}" if node.offset else ""
        return f"{node.function}({value}{where}) over {node.over.written}{offset}{self.by(node.by)}"

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
            case tree.Window():
                return self._window(node)

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
        return f".{step}" if is_name(step) else f"[{_quoted(step, self._quote)}]"
