"""What was seen in events, and what a rule asks of events that never had it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from rules_dsl import tree
from rules_dsl.errors import did_you_mean
from rules_dsl.evaluator import equal
from rules_dsl.format import format_expression
from rules_dsl.kinds import Kind, name_of
from rules_dsl.lint import LintWarning
from rules_dsl.tree import Expression, Scalar, Sentence, children, conjuncts
from rules_dsl.values import kind_of
from rules_dsl.words import RESERVED

_ANY_ELEMENT: Final = "[]"
_OWN: Final = ("sentinel.",)  # types of Sentinel's own events
_ALWAYS: Final = frozenset({"type", "time", "id"})


@dataclass(frozen=True, slots=True)
class SeenField:
    """A field: the kinds of its values, and all its values where they are few."""

    kinds: Kind
    values: frozenset[Scalar] | None = None


# By type of event, then by field: `amount`, `user.id`, `items[].sku`. None where not all fields are known.
Seen: TypeAlias = Mapping[str, Mapping[str, SeenField] | None]
_PLAIN: Final = re.compile(r"[^\W\d]\w*")


def lint_by_seen(sentence: Sentence, seen: Seen) -> list[LintWarning]:
    """What a rule reads or compares with that no event of its types ever had."""
    wanted, unknown = _types(sentence.condition, seen)
    found = [_unseen_type(each, seen) for each in unknown]
    known = [fields for each in wanted if (fields := seen[each]) is not None]
    if not unknown and known and len(known) == len(wanted):
        found += _Search(known, wanted).warnings(sentence)
    return sorted(found, key=lambda warning: warning.span)


def types_of(sentence: Sentence) -> set[str]:
    """The types of event that a rule names, to be asked for what was seen in them."""
    return {str(each.value) for each in _type_literals(sentence.condition)}


def _types(node: Expression, seen: Seen) -> tuple[list[str], list[tree.Literal]]:
    """The types of which an event must be, if any are named; and literals that no type is."""
    literals = list(_type_literals(node))
    unknown = [
        each for each in literals if each.value not in seen and not str(each.value).startswith(_OWN)
    ]
    demanded = [
        {str(each.value) for each in _literals(part)}
        for part in conjuncts(node)
        if _is_of_type(part)
    ]
    return sorted(set(seen).intersection(*demanded)) if demanded else [], unknown


def _type_literals(node: Expression) -> Iterator[tree.Literal]:
    if _is_of_type(node):
        yield from _literals(node)
    for child in children(node):
        yield from _type_literals(child)


def _is_of_type(node: Expression) -> bool:
    """`type == "x"`, or `type in [...]`."""
    if not isinstance(node, tree.Comparison) or node.operator not in ("==", "in"):
        return False
    path = node.left
    return (
        isinstance(path, tree.Path)
        and path.variable is None
        and path.steps == ("type",)
        and isinstance(node.right, tree.Literal | tree.ListLiteral)
    )


def _literals(node: Expression) -> Sequence[tree.Literal]:
    assert isinstance(node, tree.Comparison)
    right = node.right
    if isinstance(right, tree.ListLiteral):
        return right.items
    return [right] if isinstance(right, tree.Literal) else []


def _unseen_type(literal: tree.Literal, seen: Seen) -> LintWarning:
    message = f'no event of type "{literal.value}" was seen'
    hint = did_you_mean(str(literal.value), seen) or "look for a slip of the pen"
    return LintWarning("unseen_type", message, hint, literal.span)


class _Search:
    """One look at a rule, among the fields of its types."""

    def __init__(self, fields: Sequence[Mapping[str, SeenField]], types: Sequence[str]) -> None:
        self._fields = fields
        self._names = {name for each in fields for name in each}
        self._where = f'events of type "{types[0]}"' if len(types) == 1 else "these events"

    def warnings(self, sentence: Sentence) -> Iterator[LintWarning]:
        parts = sentence.message.parts if sentence.message else ()
        values = [part for part in parts if not isinstance(part, str)]
        # Under `absent`, messages see what stands in for an event.
        shown = [] if isinstance(sentence.condition, tree.Absence) else values
        for node in (sentence.condition, *shown):
            yield from self._look(node)

    def _look(self, node: Expression) -> Iterator[LintWarning]:
        if isinstance(node, tree.Presence):
            return
        if isinstance(node, tree.Path) and node.variable is None:
            yield from self._path(node)
        if isinstance(node, tree.Comparison) and node.operator in ("==", "in"):
            yield from self._comparison(node)
        for child in children(node):
            yield from self._look(child)

    def _path(self, path: tree.Path) -> Iterator[LintWarning]:
        name = field_name(path.steps)
        if not _is_plain(path) or path.steps[0] in _ALWAYS or self._has(name):
            return
        written = format_expression(path)
        message = f"`{written}` was never seen in {self._where}"
        hint = did_you_mean(name, self._names) or "without it the comparison is unknown"
        yield LintWarning("unseen_field", message, hint, path.span)

    def _has(self, name: str) -> bool:
        """Whether a field was seen, or one that lies in it."""
        if name in self._names:
            return True
        return any(each.startswith((f"{name}.", f"{name}[")) for each in self._names)

    def _comparison(self, node: tree.Comparison) -> Iterator[LintWarning]:
        path = node.left
        if not isinstance(path, tree.Path) or path.variable is not None or path.steps == ("type",):
            return
        found = [each[name] for each in self._fields if (name := field_name(path.steps)) in each]
        if not found:
            return
        for literal in _literals(node):
            yield from self._literal(path, literal, found)

    def _literal(
        self, path: tree.Path, literal: tree.Literal, found: Sequence[SeenField]
    ) -> Iterator[LintWarning]:
        kind, written = kind_of(literal.value), format_expression(path)
        if kind is None:
            return
        kinds = Kind(0)
        for each in found:
            kinds |= each.kinds
        if kinds and kind not in kinds:
            message = f"`{written}` was never {name_of(kind)} in {self._where}"
            hint = f"it was {name_of(kinds)}"
            yield LintWarning("unseen_kind", message, hint, literal.span)
        elif all(each.values is not None and not _holds(each.values, literal) for each in found):
            values = {each for field in found for each in field.values or ()}
            message = f"`{written}` was never {literal.written} in {self._where}"
            if isinstance(literal.value, str):
                message = f'`{written}` was never "{literal.value}" in {self._where}'
            near = did_you_mean(str(literal.value), [str(each) for each in values])
            yield LintWarning("unseen_value", message, near or "look at its spelling", literal.span)


def _is_plain(path: tree.Path) -> bool:
    """Whether a path is written in one way only."""
    words = [step for step in path.steps if isinstance(step, str)]
    return bool(words) and all(_PLAIN.fullmatch(each) and each not in RESERVED for each in words)


def field_name(steps: Sequence[str | int]) -> str:
    """A path as fields are listed: `items[].sku`."""
    name = ""
    for step in steps:
        after = f".{step}" if name else str(step)
        name += _ANY_ELEMENT if isinstance(step, int) else after
    return name


def _holds(values: frozenset[Scalar], literal: tree.Literal) -> bool:
    return any(equal(each, literal.value) for each in values)
