"""Lint: what is allowed in a rule, and yet is seldom meant."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from rules_dsl import tree
from rules_dsl.literals import NUMBER
from rules_dsl.possible import TRUE, Possibilities, written
from rules_dsl.source import Span
from rules_dsl.tree import Expression, children

_ORDERINGS: Final = frozenset({"<", "<=", ">", ">="})


@dataclass(frozen=True, slots=True)
class LintWarning:
    """Something worth a second look, and where it stands."""

    code: str
    message: str
    hint: str
    span: Span


def lint_sentence(sentence: tree.Sentence) -> list[LintWarning]:
    """All warnings about a rule, in the order of its text."""
    parts = sentence.message.parts if sentence.message else ()
    tests = [each.condition for each in sentence.clauses if isinstance(each, tree.ResolveWhen)]
    values = [part for part in parts if not isinstance(part, str)]
    expressions = [sentence.condition, *tests, *values]
    found = [warning for each in expressions for warning in _lint(each)]
    for each in [sentence.condition, *tests]:
        found += _foregone(each, Possibilities())
    return sorted([*found, *_repeated(sentence)], key=lambda warning: warning.span)


def _lint(node: Expression) -> Iterator[LintWarning]:
    match node:
        case tree.ListLiteral(items=items) if len({type(item.value) for item in items}) > 1:
            yield from _mixed(node)
        case tree.Quantifier() if not _uses(node.body, node.name):
            message = f"`{node.name}` is not used, so every element gives the same answer"
            hint = f"write {node.name}.field for a field of the element"
            yield LintWarning("unused_name", message, hint, node.span)
        case tree.Held():
            yield from _types_in_held(node)
        case tree.Comparison(operator=operator) if operator in _ORDERINGS:
            yield from _number_in_quotes(node)
        case _:
            pass
    for child in children(node):
        yield from _lint(child)


def _foregone(
    node: Expression, known: Possibilities, *, always: bool = True
) -> Iterator[LintWarning]:
    """The outermost parts whose outcome no event has a say in.

    Inside of what looks at many events "any event at all" is a good condition: `absent(true) for 10m`.
    """
    outcomes = known.of(node)
    if TRUE not in outcomes:
        hint = "its parts exclude each other" if isinstance(node, tree.And) else None
        message = f"`{written(node)}` is never true"
        yield LintWarning("never_true", message, hint or "no event can make it so", node.span)
    elif outcomes == TRUE and always:
        message = f"`{written(node)}` is always true"
        yield LintWarning("always_true", message, "every event makes it so", node.span)
    else:
        always = always and not isinstance(node, tree.STATEFUL)
        for each in _parts(node):
            yield from _foregone(each, known, always=always)


def _parts(node: Expression) -> tuple[Expression, ...]:
    """The conditions that a condition is made of."""
    match node:
        case tree.And() | tree.Or():
            return node.items
        case tree.Not():
            return (node.operand,)
        case tree.Quantifier() | tree.Held() | tree.Absence():
            return (node.body,)
        case tree.Sequence():
            return tuple(step.condition for step in node.steps)
        case _:
            return ()


def _types_in_held(node: tree.Held) -> Iterator[LintWarning]:
    """`type == … and …` under `for`, which every event of another type ends."""
    parts = tree.conjuncts(node.body)
    for each in parts if len(parts) > 1 else ():
        field = each.left if isinstance(each, tree.Comparison) else None
        if isinstance(field, tree.Path) and field.steps == ("type",):
            message = "an event of another type makes this false, and so ends the time of `for`"
            hint = "test only a field that no other events have"
            yield LintWarning("type_in_for", message, hint, each.span)


def _mixed(node: tree.ListLiteral) -> Iterator[LintWarning]:
    """A list whose elements are of several kinds; whole numbers and doubles are one."""
    if len({item.form + str(isinstance(item.value, bool)) for item in node.items}) > 1:
        message = "this list mixes kinds, so a value that is not in it is unknown"
        yield LintWarning("mixed_list", message, "keep to one kind, or write two lists", node.span)


def _number_in_quotes(node: tree.Comparison) -> Iterator[LintWarning]:
    for side in (node.left, node.right):
        value = side.value if isinstance(side, tree.Literal) else None
        if isinstance(value, str) and NUMBER.fullmatch(value):
            message = f'"{value}" is a text, and texts are ordered letter by letter'
            hint = f"write {value} to compare numbers"
            yield LintWarning("number_in_quotes", message, hint, side.span)


def _uses(node: Expression, name: str) -> bool:
    """Whether a variable is used, and not only one that shadows it."""
    match node:
        case tree.Path():
            return node.variable == name
        case tree.Quantifier() if node.name == name:
            return _uses(node.source, name)
        case _:
            return any(_uses(child, name) for child in children(node))


def _repeated(sentence: tree.Sentence) -> Iterator[LintWarning]:
    seen: set[str] = set()
    for target in (target for notify in sentence.notifies for target in notify.targets):
        if str(target) in seen:
            message = f"`{target}` is notified once, although written twice"
            yield LintWarning("repeated_target", message, "leave one of them out", target.span)
        seen.add(str(target))
