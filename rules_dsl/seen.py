"""What was seen in events, and what a rule asks of events that never had it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from rules_dsl import tree
from rules_dsl.errors import did_you_mean
from rules_dsl.evaluator import equal
from rules_dsl.format import format_expression
from rules_dsl.kinds import Kind, name_of
from rules_dsl.lint import LintWarning
from rules_dsl.reads import is_type, types_in
from rules_dsl.tree import Expression, Scalar, Sentence, children, conjuncts
from rules_dsl.values import kind_of
from rules_dsl.words import RESERVED, is_name

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


def lint_by_seen(sentence: Sentence, seen: Seen) -> list[LintWarning]:
    """What a rule reads or compares with that no event of its types ever had."""
    unknown = [
        _unseen_type(each, seen)
        for each in _type_literals(sentence)
        if each.value not in seen and not str(each.value).startswith(_OWN)
    ]
    found = dict.fromkeys([*unknown, *_Search(seen).warnings(sentence)])
    return sorted(found, key=lambda warning: warning.span)


def types_of(sentence: Sentence) -> set[str]:
    """The types of event that a rule names, to be asked for what was seen in them."""
    return {str(each.value) for each in _type_literals(sentence)}


def _type_literals(sentence: Sentence) -> Iterator[tree.Literal]:
    ends = [each.condition for each in sentence.clauses if isinstance(each, tree.ResolveWhen)]
    for node in (sentence.condition, *ends):
        yield from _type_literals_in(node)


def _type_literals_in(node: Expression) -> Iterator[tree.Literal]:
    if isinstance(node, tree.Comparison) and node.operator in ("==", "in"):
        if is_type(node.left):
            yield from _literals(node.right)
        elif is_type(node.right):
            yield from _literals(node.left)
    for child in children(node):
        yield from _type_literals_in(child)


def _literals(node: Expression) -> Sequence[tree.Literal]:
    if isinstance(node, tree.ListLiteral):
        return node.items
    return [node] if isinstance(node, tree.Literal) else []


def _unseen_type(literal: tree.Literal, seen: Seen) -> LintWarning:
    message = f'no event of type "{literal.value}" was seen'
    hint = did_you_mean(str(literal.value), seen) or "look for a slip of the pen"
    return LintWarning("unseen_type", message, hint, literal.span)


# The types of which an event must be for a part of a rule to matter; None where it may be any.
_Types: TypeAlias = frozenset[str] | None


def _narrowed(types: _Types, node: Expression) -> _Types:
    """The types for which what is in a condition matters, by what it asks beside its memory."""
    for part in conjuncts(node):
        # A rule fires on events that its windows do not count.
        if not _has_memory(part) and (found := types_in(part)):
            types = found if types is None else types & found
    return types


def _has_memory(node: Expression) -> bool:
    return isinstance(node, tree.STATEFUL) or any(map(_has_memory, children(node)))


class _Search:
    """One look at a rule, part by part, each among the fields of the types that it is about."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        self._steps: dict[str, _Fields] = {}  # by the name of a sequence's step

    def warnings(self, sentence: Sentence) -> Iterator[LintWarning]:
        condition = sentence.condition
        yield from self._look(condition, None)
        parts = sentence.message.parts if sentence.message else ()
        shown = [part for part in parts if not isinstance(part, str)]
        for clause in sentence.clauses:
            if isinstance(clause, tree.ResolveWhen):
                yield from self._look(clause.condition, None)
                ends = _narrowed(None, clause.condition)
                yield from self._look_at_all(clause.by, ends)
            elif not isinstance(clause, tree.During | tree.ResolveAfter):
                shown += clause.by
        # Under `absent`, messages and keys see what stands in for an event.
        if not isinstance(condition, tree.Absence):
            told = condition.body if isinstance(condition, tree.Held) else condition
            yield from self._look_at_all(shown, _narrowed(None, told))

    def _look_at_all(self, nodes: Iterable[Expression], types: _Types) -> Iterator[LintWarning]:
        for node in nodes:
            yield from self._look(node, types)

    def _look(self, node: Expression, types: _Types) -> Iterator[LintWarning]:
        match node:
            case tree.Presence():
                return
            case tree.Path():
                if fields := self._fields(node, types):
                    yield from fields.path(node)
            case tree.Window():
                for test in (node.where, node.value if node.function == "count" else None):
                    types = _narrowed(types, test) if test else types
                yield from self._look_at_all(children(node), types)
            case tree.Absence() | tree.Held():
                yield from self._look_at_all(children(node), _narrowed(types, node.body))
            case tree.Sequence():
                yield from self._sequence(node, types)
            case _:
                if isinstance(node, tree.Comparison) and node.operator in ("==", "in"):
                    yield from self._comparison(node, types)
                if isinstance(node, tree.And | tree.Or):
                    types = _narrowed(types, node)
                yield from self._look_at_all(children(node), types)

    def _sequence(self, node: tree.Sequence, types: _Types) -> Iterator[LintWarning]:
        for step in node.steps:
            of_step = _narrowed(types, step.condition)
            fields = self._known(of_step)
            if step.name and fields:
                self._steps[step.name] = fields
            yield from self._look(step.condition, of_step)
            yield from self._look_at_all(node.by, of_step)

    def _comparison(self, node: tree.Comparison, types: _Types) -> Iterator[LintWarning]:
        path = node.left
        if not isinstance(path, tree.Path) or is_type(path):
            return
        if fields := self._fields(path, types):
            yield from fields.literals(path, _literals(node.right))

    def _fields(self, path: tree.Path, types: _Types) -> "_Fields | None":
        return self._known(types) if path.variable is None else self._steps.get(path.variable)

    def _known(self, types: _Types) -> "_Fields | None":
        """None where any event may be meant, or one of which not all is known."""
        if not types:
            return None
        found = [self._seen.get(each) for each in sorted(types)]
        known = [each for each in found if each is not None]
        return _Fields(known, sorted(types)) if len(known) == len(found) else None


class _Fields:
    """The fields of some types of event."""

    def __init__(self, fields: Sequence[Mapping[str, SeenField]], types: Sequence[str]) -> None:
        self._fields = fields
        self._names = {name for each in fields for name in each}
        self._where = f'events of type "{types[0]}"' if len(types) == 1 else "these events"

    def path(self, path: tree.Path) -> Iterator[LintWarning]:
        """A field that none of the events had."""
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

    def literals(self, path: tree.Path, literals: Sequence[tree.Literal]) -> Iterator[LintWarning]:
        """What a field is compared with, and never was."""
        name = field_name(path.steps)
        found = [each[name] for each in self._fields if name in each]
        if found:
            for literal in literals:
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
    return bool(words) and all(is_name(each) and each not in RESERVED for each in words)


def field_name(steps: Sequence[str | int]) -> str:
    """A path as fields are listed: `items[].sku`."""
    name = ""
    for step in steps:
        after = f".{step}" if name else str(step)
        name += _ANY_ELEMENT if isinstance(step, int) else after
    return name


def _holds(values: frozenset[Scalar], literal: tree.Literal) -> bool:
    return any(equal(each, literal.value) for each in values)
