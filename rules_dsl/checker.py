"""The checker: what the grammar lets pass and the language refuses.

Kinds are known where literals, operators and functions fix them; a path may hold anything, and is
never refused for it.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from rules_dsl import tree
from rules_dsl.arguments import check_call
from rules_dsl.checker_memory import MemoryChecker
from rules_dsl.errors import RuleError, TargetError
from rules_dsl.format import format_expression
from rules_dsl.functions import functions
from rules_dsl.kinds import ANY, EQUATED, ORDERED, Kind, name_of
from rules_dsl.limits import too_many_nodes
from rules_dsl.regex import RegexMistake, compile_regex
from rules_dsl.source import Source
from rules_dsl.tree import CONDITIONS, Expression
from rules_dsl.words import OPERATOR_WORDS

CheckTarget = Callable[[str, str], None]

_LITERALS: Final[dict[type, Kind]] = {
    bool: Kind.BOOLEAN, int: Kind.NUMBER, float: Kind.NUMBER, str: Kind.TEXT, type(None): Kind.NULL,
}  # fmt: skip
_NULL_TESTS: Final = {"==": "is null", "!=": "is not null"}
_BETWEEN_TEXTS: Final = OPERATOR_WORDS - {"in", "contains"}


def check_sentence(
    sentence: tree.Sentence, text: str, check_target: CheckTarget | None
) -> list[RuleError]:
    """All mistakes of a rule, in the order of its text."""
    values = _values_of(sentence.message)
    checker = _Checker(text)
    checker.memory.condition(sentence.condition)
    checker.memory.clauses(sentence)
    for value in values:
        checker.value(value)
    checker.targets(sentence.notifies, check_target)
    tests = [each.condition for each in sentence.clauses if isinstance(each, tree.ResolveWhen)]
    return checker.mistakes([sentence.condition, *tests, *values])


def check_condition(expression: Expression, text: str) -> list[RuleError]:
    """All mistakes of a condition that stands alone."""
    checker = _Checker(text)
    checker.condition(expression)
    return checker.mistakes([expression])


def kind_of(node: Expression) -> Kind:
    """What a value may turn out to be."""
    match node:
        case tree.Literal():
            return _LITERALS[type(node.value)]
        case tree.ListLiteral():
            return Kind.LIST
        case tree.Path(variable=None, steps=()):
            return Kind.OBJECT
        case tree.Arithmetic() | tree.Minus() | tree.Window():
            return Kind.NUMBER
        case tree.Call():
            called = functions().get(node.name)
            return called.result if called else ANY
        case _:
            return ANY


def _values_of(message: tree.Message | None) -> list[Expression]:
    return [part for part in message.parts if not isinstance(part, str)] if message else []


class _Checker:
    """One walk over a tree, which gathers mistakes instead of stopping at the first."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._mistakes: list[RuleError] = []
        self.memory = MemoryChecker(self)

    def mistakes(self, expressions: Sequence[Expression]) -> list[RuleError]:
        """What was found, in the order of the text."""
        crowded = too_many_nodes(Source.of(self._text), expressions)
        found = [*self._mistakes, *([crowded] if crowded else [])]
        return sorted(found, key=lambda error: error.span)

    def condition(self, node: Expression) -> None:
        """Check an expression that must be true, false or unknown."""
        match node:
            case tree.And() | tree.Or():
                for item in node.items:
                    self.condition(item)
            case tree.Not():
                self.condition(node.operand)
            case tree.Quantifier():
                self.value(node.source)
                self.condition(node.body)
            case tree.Comparison():
                self._comparison(node)
            case tree.Presence():
                self._presence(node)
            case tree.Absence() | tree.Sequence():
                self.memory.misplaced(node)
            case _:
                self._standing_value(node)

    def value(self, node: Expression) -> None:
        """Check an expression that must be a value."""
        match node:
            case tree.Default():
                self._default(node)
            case tree.Arithmetic():
                for index, operand in enumerate(node.operands):
                    self._number(operand, node.operators[max(0, index - 1)])
            case tree.Minus():
                self._number(node.operand, "-")
            case tree.Call():
                self._mistakes.extend(check_call(node, self._text, self.value, kind_of))
            case tree.ListLiteral():
                self._list(node)
            case tree.Literal() | tree.Path():
                pass
            case tree.Window():
                self.memory.window(node)
            case _:
                hint = "a condition is true, false or unknown: it is not compared or passed on"
                self.refuse(node, "a value is expected here, not a condition", hint)

    def targets(self, notifies: Sequence[tree.Notify], check: CheckTarget | None) -> None:
        """Ask the application about each target."""
        for target in (target for notify in notifies for target in notify.targets):
            try:
                if check is not None:
                    check(target.kind, target.address)
            except TargetError as error:
                self.refuse(target, error.message, error.hint, "target")

    def kind(self, node: Expression) -> Kind:
        """What a value may turn out to be."""
        return kind_of(node)

    def refuse(
        self, node: tree.Node, message: str, hint: str | None = None, code: str = "type"
    ) -> None:
        """Note a mistake at a node."""
        error = RuleError(message, code=code, text=self._text, span=node.span, hint=hint)
        self._mistakes.append(error)

    def _standing_value(self, node: Expression) -> None:
        self.value(node)
        kind = kind_of(node)
        if Kind.BOOLEAN not in kind:
            hint = "compare it with something, as in `amount > 500`"
            self.refuse(node, f"{name_of(kind)} is no condition", hint)

    def _list(self, node: tree.ListLiteral) -> None:
        for item in node.items:
            if item.value is None:
                hint = "test for it with `is null`"
                self.refuse(item, "a list holds no null", hint)

    def _presence(self, node: tree.Presence) -> None:
        self.value(node.path)
        if not isinstance(node.path, (tree.Path, *CONDITIONS)):
            kind = kind_of(node.path)
            found = "an expression" if kind is ANY else name_of(kind)
            message = f"`{node.kind}` takes a field, not {found}"
            self.refuse(node.path, message, "write the name of a field")

    def _default(self, node: tree.Default) -> None:
        for operand in node.operands:
            self.value(operand)
        first = node.operands[0]
        if isinstance(first, tree.Call) and first.arguments:
            hint = f'put it inside: {first.name}(… ?? "")'
            self.refuse(first, "the left side of `??` must be a field", hint)
        elif not isinstance(first, (tree.Path, tree.Default, *CONDITIONS)):
            self.refuse(first, "the left side of `??` must be a field")

    def _number(self, node: Expression, operator: str) -> None:
        self.value(node)
        kind = kind_of(node)
        if Kind.NUMBER in kind or isinstance(node, CONDITIONS):
            return
        joins = operator == "+" and kind is Kind.TEXT
        hint = "join texts with concat(a, b)" if joins else None
        self.refuse(node, f"`{operator}` takes numbers, not {name_of(kind)}", hint)

    def _comparison(self, node: tree.Comparison) -> None:
        before = len(self._mistakes)
        self.value(node.left)
        self.value(node.right)
        if len(self._mistakes) == before and not self._has_null(node):
            _RULES[node.operator](self, node)

    def _has_null(self, node: tree.Comparison) -> bool:
        for side, other in ((node.left, node.right), (node.right, node.left)):
            if kind_of(side) is Kind.NULL:
                test = _NULL_TESTS.get(node.operator)
                hint = f"write `{format_expression(other)} {test}`" if test else None
                self.refuse(side, "nothing compares with null", hint)
                return True
        return False

    def _alike(self, node: tree.Comparison) -> None:
        """Two sides of an operator that takes them only when they are of one kind."""
        left, right = kind_of(node.left), kind_of(node.right)
        equates = node.operator in ("==", "!=")
        allowed = EQUATED if equates else ORDERED
        for side, kind in ((node.left, left), (node.right, right)):
            if not kind & allowed:
                lacks = "never compares" if equates else "has no order"
                hint = "use `in` or `contains`" if kind is Kind.LIST else None
                return self.refuse(side, f"{name_of(kind)} {lacks}", hint)
        if not left & right & allowed:
            message = f"{name_of(left)} never compares with {name_of(right)}"
            self.refuse(node, message, _conversion(left, right))
        return None

    def _membership(self, node: tree.Comparison) -> None:
        """`in` and `contains`, which look for a scalar in a list (or a text in a text)."""
        turned = node.operator == "contains"
        needle, whole = (node.right, node.left) if turned else (node.left, node.right)
        if not kind_of(needle) & EQUATED:
            kind = name_of(kind_of(needle))
            return self.refuse(needle, f"`{node.operator}` looks for one value, not {kind}")
        if not self._may_hold(node.operator, whole):
            return None
        if kind_of(whole) is Kind.TEXT and Kind.TEXT not in kind_of(needle):
            message = f"a string contains strings, not {name_of(kind_of(needle))}"
            return self.refuse(needle, message, "write it in quotes")
        if isinstance(whole, tree.ListLiteral) and whole.items:
            kinds = [kind_of(item) & kind_of(needle) for item in whole.items]
            if not any(kinds):
                message = f"no element of this list is {name_of(kind_of(needle))}"
                return self.refuse(whole, message)
        return None

    def _may_hold(self, operator: str, whole: Expression) -> bool:
        kind = kind_of(whole)
        allowed = Kind.LIST if operator.endswith("in") else Kind.LIST | Kind.TEXT
        if kind & allowed:
            return True
        hint = "to look inside a string, write `contains`" if kind is Kind.TEXT else None
        self.refuse(whole, f"`{operator}` looks inside {name_of(allowed)}", hint)
        return False

    def _texts(self, node: tree.Comparison) -> None:
        """The operators between two strings; `icontains` looks inside lists too."""
        both = Kind.TEXT | Kind.LIST if node.operator == "icontains" else Kind.TEXT
        for side, allowed in ((node.left, both), (node.right, Kind.TEXT)):
            if not kind_of(side) & allowed:
                kind = name_of(kind_of(side))
                message = f"`{node.operator}` takes {name_of(allowed)}, not {kind}"
                return self.refuse(side, message)
        return self._regex(node) if node.operator == "matches" else None

    def _regex(self, node: tree.Comparison) -> None:
        pattern = node.right
        if not isinstance(pattern, tree.Literal) or not isinstance(pattern.value, str):
            return self.refuse(pattern, "a regex must be written out", 'as in matches "^a+$"')
        try:
            compile_regex(pattern.value)
        except RegexMistake as error:
            self.refuse(pattern, error.message, error.hint, "regex")
        return None


def _conversion(left: Kind, right: Kind) -> str | None:
    if {left, right} == {Kind.NUMBER, Kind.TEXT}:
        return "turn a text into a number with num(x), a number into a text with str(x)"
    return None


def _each() -> Iterator[tuple[str, Callable[[_Checker, tree.Comparison], None]]]:
    for operator in ("==", "!=", "<", "<=", ">", ">="):
        yield operator, _Checker._alike
    for operator in ("in", "not in", "contains"):
        yield operator, _Checker._membership
    for operator in _BETWEEN_TEXTS:
        yield operator, _Checker._texts


_RULES: Final = dict(_each())
