"""The compiler: a tree to nested closures.

A closure takes the run and gives a value or an outcome. What can be decided once (an operator's
function, a regex, a literal) is decided here, so that evaluation only reads and compares. Of what needs
memory one event alone tells nothing: it is unknown here, and known to a machine (`rules_dsl.memory`).
"""

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from rules_dsl import tree
from rules_dsl.calling import compile_call
from rules_dsl.cost import weight
from rules_dsl.evaluator import (
    OPERATIONS,
    Outcome,
    calculate,
    has_value,
    negated,
    negative,
)
from rules_dsl.regex import Regex, compile_regex
from rules_dsl.run import Run
from rules_dsl.tree import Expression
from rules_dsl.values import MISSING, UNKNOWN
from rules_dsl.words import OPERATOR_WORDS

ValueProgram: TypeAlias = Callable[[Run], object]
Program: TypeAlias = Callable[[Run], Outcome]


def compile_condition(node: Expression) -> Program:
    """The program of a condition, or of a value that stands as one."""
    match node:
        case tree.And():
            return _and([compile_condition(item) for item in node.items])
        case tree.Or():
            return _or([compile_condition(item) for item in node.items])
        case tree.Not():
            inner = compile_condition(node.operand)
            return lambda run: negated(inner(run))
        case tree.Comparison():
            return _comparison(node)
        case tree.Presence():
            return _presence(node)
        case tree.Quantifier():
            return _quantifier(node)
        case tree.Held():
            body = compile_condition(node.body)
            return lambda run: False if body(run) is False else None
        case tree.Absence() | tree.Sequence() | tree.Step():
            return lambda run: None
        case _:
            return _standing_value(compile_value(node))


def compile_value(node: Expression) -> ValueProgram:
    """The program of a value."""
    match node:
        case tree.Literal():
            return _constant(node.value)
        case tree.ListLiteral():
            return _constant([item.value for item in node.items])
        case tree.Path():
            return _path(node)
        case tree.Default():
            return _default([compile_value(operand) for operand in node.operands])
        case tree.Arithmetic():
            return _arithmetic(node)
        case tree.Minus():
            inner = compile_value(node.operand)
            return lambda run: negative(inner(run))
        case tree.Call():
            return compile_call(node.name, [compile_value(each) for each in node.arguments])
        case tree.Window():
            return _constant(UNKNOWN)
        case _:
            raise TypeError(f"the checker lets no {type(node).__name__} stand as a value")


def _and(programs: Sequence[Program]) -> Program:
    def conjunction(run: Run) -> Outcome:
        outcome: Outcome = True
        for program in programs:
            each = program(run)
            if each is False:
                return False
            if each is None:
                outcome = None
        return outcome

    return conjunction


def _or(programs: Sequence[Program]) -> Program:
    def disjunction(run: Run) -> Outcome:
        outcome: Outcome = False
        for program in programs:
            each = program(run)
            if each:
                return True
            if each is None:
                outcome = None
        return outcome

    return disjunction


def _comparison(node: tree.Comparison) -> Program:
    left = compile_value(node.left)
    if node.operator == "matches":
        assert isinstance(node.right, tree.Literal)
        return _search(left, compile_regex(str(node.right.value)))
    operation = OPERATIONS[node.operator]
    if isinstance(node.right, tree.Literal) and node.operator not in _SCANS:
        constant = node.right.value
        return lambda run: operation(left(run), constant)
    return _paid(operation, left, compile_value(node.right))


# Even beside what is written in the rule.
_SCANS: Final = OPERATOR_WORDS | {"not in"}


def _search(left: ValueProgram, regex: Regex) -> Program:
    matches, size = regex.matches, regex.size

    def search(run: Run) -> Outcome:
        value = left(run)
        if run.steps:
            run.charge_search(value, size)
        return matches(value)

    return search


def _paid(
    operation: Callable[[object, object], Outcome], left: ValueProgram, right: ValueProgram
) -> Program:
    """An operator whose work grows with its operands, which a quantifier must pay for."""

    def paid(run: Run) -> Outcome:
        first, second = left(run), right(run)
        if run.steps:
            run.charge(first, second)
        return operation(first, second)

    return paid


def _presence(node: tree.Presence) -> Program:
    path = compile_value(node.path)
    match node.kind:
        case "exists":
            return lambda run: path(run) is not MISSING
        case "missing":
            return lambda run: path(run) is MISSING
        case "is null":
            return lambda run: not has_value(path(run))
        case _:
            return lambda run: has_value(path(run))


def _quantifier(node: tree.Quantifier) -> Program:
    """`any` is an `or` over the elements, `none` its negation, `all` an `and`."""
    source, body, name = compile_value(node.source), compile_condition(node.body), node.name
    decisive = node.kind != "all"  # the element's outcome that ends the search
    ending = node.kind == "any"  # what the whole is then
    cost = weight(node.body)

    def quantifier(run: Run) -> Outcome:
        items = source(run)
        if type(items) is not list:
            return None
        outcome: Outcome = not ending
        shadowed = run.variables.get(name)
        for item in items:
            run.pay(cost)
            run.variables[name] = item
            each = body(run)
            if each is decisive:
                outcome = ending
                break
            if each is None:
                outcome = None
        run.variables[name] = shadowed
        return outcome

    return quantifier


def _standing_value(value: ValueProgram) -> Program:
    def standing(run: Run) -> Outcome:
        found = value(run)
        return found if type(found) is bool else None

    return standing


def _constant(value: object) -> ValueProgram:
    return lambda run: value


def _path(node: tree.Path) -> ValueProgram:
    name, steps = node.variable, node.steps
    if name is not None:
        if not steps:
            return lambda run: run.variables[name]
        return lambda run: walk(run.variables[name], steps)
    if len(steps) == 1 and isinstance(steps[0], str):
        key = steps[0]
        return lambda run: run.event.get(key, MISSING)
    return lambda run: walk(run.event, steps)


def walk(value: object, steps: tuple[str | int, ...]) -> object:
    """What stands at the end of a path; a step that does not fit makes it missing."""
    for step in steps:
        if type(value) is dict and type(step) is str:
            value = value.get(step, MISSING)
        elif type(value) is list and type(step) is int and -len(value) <= step < len(value):
            value = value[step]
        else:
            return MISSING
    return value


def _default(programs: Sequence[ValueProgram]) -> ValueProgram:
    def default(run: Run) -> object:
        value: object = MISSING
        for program in programs:
            value = program(run)
            if has_value(value):
                break
        return value

    return default


def _arithmetic(node: tree.Arithmetic) -> ValueProgram:
    first = compile_value(node.operands[0])
    rest = [
        (sign, compile_value(operand))
        for sign, operand in zip(node.operators, node.operands[1:], strict=True)
    ]

    def arithmetic(run: Run) -> object:
        value = first(run)
        for sign, operand in rest:
            other = operand(run)
            if run.steps:
                run.charge(value, other)
            value = calculate(sign, value, other)
        return value

    return arithmetic
