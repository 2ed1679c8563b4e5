"""What a rule reads of events: the fields that it names, and the types that it asks for."""

import json
from collections.abc import Iterator, Mapping
from typing import Final

from rules_dsl import tree
from rules_dsl.words import RESERVED, is_name

# In place of an index: any element of a list.
ELEMENT: Final = None
Steps = tuple[str | None, ...]

_TYPE: Final = ("type",)


def path_text(steps: Steps) -> str:
    """A path as rules write it, with `[]` for any element."""
    first, *rest = steps
    plain = first is not None and is_name(first) and first not in RESERVED
    return (str(first) if plain else "event" + _step(first)) + "".join(map(_step, rest))


def fields_read(rule: tree.Sentence) -> frozenset[Steps]:
    """Every field that a rule reads, in its condition, its clauses and its message."""
    parts = rule.message.parts if rule.message else ()
    values = [part for part in parts if not isinstance(part, str)]
    tests = [one.condition for one in rule.clauses if isinstance(one, tree.ResolveWhen)]
    keys = [path for one in rule.clauses if not isinstance(one, tree.During) for path in one.by]
    # What is absent is told by what stands in for an event.
    if any(isinstance(each, tree.Absence) for each in tree.conjuncts(rule.condition)):
        values = []
    return frozenset(
        steps for each in (rule.condition, *tests, *keys, *values) for steps in _read(each, {})
    )


def types_asked(rule: tree.Sentence) -> frozenset[str]:
    """The types of the events that a rule can be true of; none where it does not say."""
    return types_in(rule.condition)


def types_in(node: tree.Expression) -> frozenset[str]:
    """Likewise, of a condition or a part of one."""
    for each in tree.conjuncts(node):
        found = _types_of(each)
        if found:
            return found
    return frozenset()


def is_type(node: tree.Expression) -> bool:
    """Whether it is the type of the event, and not one of an element that a quantifier names."""
    return isinstance(node, tree.Path) and node.variable is None and node.steps == _TYPE


def _step(step: str | None) -> str:
    if step is None:
        return "[]"
    return f".{step}" if is_name(step) else f"[{json.dumps(step, ensure_ascii=False)}]"


def _read(node: tree.Expression, names: Mapping[str, Steps | None]) -> Iterator[Steps]:
    """`names` are the places of the elements that quantifiers around it name; None where that is no field."""
    if isinstance(node, tree.Path):
        place = _place(node, names)
        if place:
            yield place
        return
    if isinstance(node, tree.Quantifier):
        yield from _read(node.source, names)
        source = _place(node.source, names) if isinstance(node.source, tree.Path) else None
        element = None if source is None else (*source, ELEMENT)
        yield from _read(node.body, {**names, node.name: element})
        return
    for child in tree.children(node):
        yield from _read(child, names)


def _place(path: tree.Path, names: Mapping[str, Steps | None]) -> Steps | None:
    begin = () if path.variable is None else names.get(path.variable)
    if begin is None:
        return None
    return (*begin, *(ELEMENT if isinstance(step, int) else step for step in path.steps))


def _types_of(node: tree.Expression) -> frozenset[str]:
    match node:
        case tree.Comparison(operator="==" | "in", left=left, right=right) if is_type(left):
            return _texts(right)
        case tree.Comparison(operator="==", left=left, right=right) if is_type(right):
            return _texts(left)
        case (
            tree.Comparison(left=tree.Window() as window)
            | tree.Comparison(right=tree.Window() as window)
        ):
            body = window.value if window.function == "count" else window.where
            return types_in(body) if body else frozenset()
        case tree.Held() | tree.Absence():
            return types_in(node.body)
        case tree.Sequence():
            return _all([types_in(step.condition) for step in node.steps])
        case tree.Or():
            return _all([types_in(item) for item in node.items])
        case _:
            return frozenset()


def _all(found: list[frozenset[str]]) -> frozenset[str]:
    """Any of them, if each says something."""
    return frozenset().union(*found) if all(found) else frozenset()


def _texts(node: tree.Expression) -> frozenset[str]:
    items = node.items if isinstance(node, tree.ListLiteral) else (node,)
    values = [item.value for item in items if isinstance(item, tree.Literal)]
    texts = frozenset(value for value in values if isinstance(value, str))
    return texts if len(texts) == len(items) else frozenset()
