"""Reasons: what an unknown comparison or value met, in words."""

from collections.abc import Callable
from typing import Final, TypeAlias

from rules_dsl import tree
from rules_dsl.calling import apply
from rules_dsl.evaluator import is_number
from rules_dsl.format import format_expression
from rules_dsl.functions import functions
from rules_dsl.functions.registry import BadArgument
from rules_dsl.kinds import Kind, name_of
from rules_dsl.run import BudgetSpent
from rules_dsl.tree import Expression
from rules_dsl.values import MISSING, UNKNOWN, kind_of

Evaluate: TypeAlias = Callable[[Expression], object]

BUDGET: Final = "budget"
DEPTH: Final = "depth"
# Of what looks at many events, where the conditions on the one are not true.
UNASKED: Final = "what stands beside it is not true"
_MEMBERSHIP: Final = frozenset({"in", "not in", "contains", "icontains"})


def why_failed(error: Exception) -> str:
    """Why a rule could not be judged at all, given what its evaluation raised."""
    match error:
        case BudgetSpent():
            return BUDGET
        case RecursionError():  # from a caller deep in its own stack
            return DEPTH
        case _:
            return f"error: {type(error).__name__}"


def why_unknown(node: Expression, value_of: Evaluate, now: float) -> str | None:
    """Why a leaf is unknown, given the values of its parts."""
    match node:
        case tree.Held() | tree.Absence() | tree.Sequence():
            return "one event alone does not tell"
        case tree.Comparison():
            sides = (node.left, node.right)
            absences = (why_absent(side, value_of, now) for side in sides)
            return next(filter(None, absences), None) or _why_apart(node, value_of)
        case tree.Quantifier():
            source = node.source
            return why_absent(source, value_of, now) or _not_a(source, value_of, Kind.LIST)
        case _:
            return why_absent(node, value_of, now) or _not_a(node, value_of, Kind.BOOLEAN)


def why_absent(node: Expression, value_of: Evaluate, now: float) -> str | None:
    """Why an expression has no value that could be compared; None when it has one."""
    value = value_of(node)
    if value is not UNKNOWN:
        if value is MISSING or kind_of(value) in (None, Kind.NULL):
            return f"{format_expression(_last(node))} is {_kind_name(value)}"
        return None
    match node:
        case tree.Default():
            return why_absent(_last(node), value_of, now)
        case tree.Arithmetic():
            return _why_no_result(node.operands, value_of, now) or _why_no_number(node)
        case tree.Minus():
            return _why_no_result((node.operand,), value_of, now)
        case tree.Call():
            return _why_no_call(node, value_of, now)
        case tree.Window():
            return f"{format_expression(node)} is not known from one event"
        case _:
            return None


def _last(node: Expression) -> Expression:
    """The operand of `??` that gave the value, or the lack of one."""
    return node.operands[-1] if isinstance(node, tree.Default) else node


def _why_no_result(operands: tuple[Expression, ...], value_of: Evaluate, now: float) -> str | None:
    for operand in operands:
        if not is_number(value_of(operand)):
            return why_absent(operand, value_of, now) or _not_a(operand, value_of, Kind.NUMBER)
    return None


def _why_no_number(node: tree.Arithmetic) -> str:
    written = format_expression(node)
    divides = "/" in node.operators or "%" in node.operators
    return f"{written} divides by zero or is too large" if divides else f"{written} is too large"


def _why_no_call(node: tree.Call, value_of: Evaluate, now: float) -> str | None:
    for argument in node.arguments:
        absent = why_absent(argument, value_of, now)
        if absent:
            return absent
    arguments = [value_of(argument) for argument in node.arguments]
    try:
        apply(functions()[node.name], arguments, now)
    except BadArgument as error:
        seen = ", ".join(
            f"{format_expression(argument)} is {_kind_name(value)}"
            for argument, value in zip(node.arguments, arguments, strict=True)
            if not isinstance(argument, tree.Literal)
        )
        if not seen or not str(error).startswith("`"):
            return f"{format_expression(node)}: {error}"
        return f"{error}; {seen}"
    return None


def _why_apart(node: tree.Comparison, value_of: Evaluate) -> str:
    """Why two values that are both there do not compare."""
    left, right = value_of(node.left), value_of(node.right)
    names = format_expression(node.left), format_expression(node.right)
    whole, name = (right, names[1]) if node.operator.endswith("in") else (left, names[0])
    if node.operator in _MEMBERSHIP and type(whole) is list:
        return f"{name} has an element of another kind"
    if node.operator.endswith("in") and node.operator in ("in", "not in"):
        return f"{name} is {_kind_name(right)}, not a list"
    if node.operator == "matches" and type(left) is str:
        return f"{names[0]} holds half a surrogate pair"
    if kind_of(left) is kind_of(right):
        return f"{names[0]} is {_kind_name(left)}, and `{node.operator}` compares no such"
    return f"{names[0]} is {_kind_name(left)}, {names[1]} is {_kind_name(right)}"


def _not_a(node: Expression, value_of: Evaluate, kind: Kind) -> str | None:
    found = kind_of(value_of(node))
    if found is kind:
        return None
    return f"{format_expression(node)} is {_kind_name(value_of(node))}, not {name_of(kind)}"


def _kind_name(value: object) -> str:
    if value is MISSING:
        return "missing"
    kind = kind_of(value)
    return name_of(kind) if kind else "no JSON value"
