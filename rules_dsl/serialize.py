"""Checked trees as JSON, so that a process that starts up never parses.

A tree is stored as one text of three arrays: the condition, the rest of the sentence, and where in
the rule's text each node stands. A worker that holds a hundred thousand rules keeps the text, a
fraction of the tree's size, and reads the tree when somebody asks. The condition stands first, for
the index, which reads it as it is stored: to build the nodes would cost more than to index the rule.

A node is an array of a number and its fields; the number tells the class, and for a comparison the
operator too. What rules are full of is shorter: a bare path is the array of its steps, and a literal
that JSON would write as the author did is the value itself. Where else than as an operand such a short
form stands it is wrapped, to be told from a field that is no node; several values begin with null.
A rule with memory begins with `~`, so that the index can tell without reading further.
The places are the nodes' in the order in which they are read, each as its distance from the one before
and its length.
"""

import json
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, Final, TypeAlias

from rules_dsl import literals, tree
from rules_dsl.errors import SchemaMismatch
from rules_dsl.source import Span
from rules_dsl.tree import Expression

Encoded: TypeAlias = Any  # a node as it is stored

# Counts up with each change of the tree; what was stored before is then compiled again.
SCHEMA_VERSION: Final = 3

_CLASSES: Final[tuple[type[tree.Node], ...]] = (
    tree.Literal, tree.ListLiteral, tree.Path, tree.Default, tree.Arithmetic, tree.Minus,
    tree.Call, tree.Comparison, tree.Presence, tree.Quantifier, tree.Not, tree.And, tree.Or,
    tree.Target, tree.Notify, tree.Message, tree.Sentence,
)  # fmt: skip
_NUMBERS: Final[dict[type[tree.Node], int]] = {each: number for number, each in enumerate(_CLASSES)}
LITERAL: Final = _NUMBERS[tree.Literal]
LIST_LITERAL: Final = _NUMBERS[tree.ListLiteral]
PATH: Final = _NUMBERS[tree.Path]
QUANTIFIER: Final = _NUMBERS[tree.Quantifier]
NOT: Final = _NUMBERS[tree.Not]
AND: Final = _NUMBERS[tree.And]
OR: Final = _NUMBERS[tree.Or]
FIRST_COMPARISON: Final = len(_CLASSES)  # from here on the number is that of an operator
OPERATORS: Final = (
    "==", "!=", "<", "<=", ">", ">=", "in", "not in", "contains", "startswith", "endswith",
    "icontains", "istartswith", "iendswith", "matches",
)  # fmt: skip
_OPERATOR_NUMBERS: Final = {each: FIRST_COMPARISON + at for at, each in enumerate(OPERATORS)}
# What came after the operators had their numbers.
_FIRST_WITH_MEMORY: Final = FIRST_COMPARISON + len(OPERATORS)
_WITH_MEMORY: Final[tuple[type[tree.Node], ...]] = (
    tree.Window, tree.Absence, tree.Sequence, tree.Step, tree.Held, *tree.CLAUSES,
)  # fmt: skip
_NUMBERS.update({each: _FIRST_WITH_MEMORY + at for at, each in enumerate(_WITH_MEMORY)})
_FIELDS: Final = {each: [field.name for field in fields(each)][1:] for each in _NUMBERS}


def dump(text: str, stored_tree: str) -> dict[str, object]:
    """A rule as JSON."""
    return {"schema": SCHEMA_VERSION, "text": text, "tree": stored_tree}


def load(stored: Mapping[str, object]) -> tuple[str, str]:
    """The text of a stored rule, and its tree as `dump_tree` wrote it."""
    if stored.get("schema") != SCHEMA_VERSION:
        raise SchemaMismatch(stored.get("schema"), SCHEMA_VERSION)
    return str(stored["text"]), str(stored["tree"])


def dump_tree(sentence: tree.Sentence) -> str:
    """A rule's tree as one text: its condition, then the rest."""
    places: list[int] = []
    encode = _Encoder(places)
    condition = encode(sentence.condition)
    rest = encode(replace(sentence, condition=_ELSEWHERE))
    mark = _REMEMBERS if has_memory(sentence) else ""
    return mark + _dumps(condition) + " " + _dumps(rest) + " " + _dumps(places)


def has_memory(sentence: tree.Sentence) -> bool:
    """Whether a rule looks at more than the one event."""
    return bool(sentence.clauses) or any(map(_remembers, tree.conjuncts(sentence.condition)))


def _remembers(node: Expression) -> bool:
    return isinstance(node, tree.STATEFUL) or any(map(_remembers, tree.children(node)))


def is_marked(stored_tree: str) -> bool:
    """Whether a stored rule looks at more than the one event."""
    return stored_tree.startswith(_REMEMBERS)


def load_tree(stored_tree: str) -> tree.Sentence:
    """The whole tree."""
    condition, end = _decoder.raw_decode(stored_tree, len(_REMEMBERS) * is_marked(stored_tree))
    rest, end = _decoder.raw_decode(stored_tree, end + 1)
    decode = _Decoder(_decoder.raw_decode(stored_tree, end + 1)[0])
    decoded_condition = decode(condition)
    sentence = decode(rest)
    assert isinstance(sentence, tree.Sentence)
    return replace(sentence, condition=decoded_condition)


def load_condition(stored_tree: str) -> Encoded:
    """The condition alone, as it is stored."""
    return _decoder.raw_decode(stored_tree, len(_REMEMBERS) * is_marked(stored_tree))[0]


def encoded(node: tree.Node) -> Encoded:
    """A node as it is stored, without its place."""
    return _Encoder([])(node)


def decoded(node: Encoded) -> Expression:
    """A node from what was stored, without its place."""
    expression: Expression = _Decoder([])(node)
    return expression


def is_literal(node: Encoded) -> bool:
    """Whether a stored node is a literal."""
    return type(node) is not list or node[0] == LITERAL


def literal_value(node: Encoded) -> tree.Scalar:
    """The value of a stored literal."""
    if type(node) is not list:
        scalar: tree.Scalar = node
        return scalar
    value: tree.Scalar = literals.number(node[2]) if node[1] == "number" else node[3]
    return value


class _Encoder:
    """Nodes as arrays; the place of each goes into a list."""

    def __init__(self, places: list[int]) -> None:
        self._places = places
        self._before = 0

    def __call__(self, node: tree.Node) -> Encoded:
        start, end = node.span
        self._places += (start - self._before, end - start)
        self._before = start
        if isinstance(node, tree.Literal):
            return _literal(node)
        if isinstance(node, tree.Path):
            short = node.variable is None and not node.explicit
            return (
                [*node.steps] if short else [PATH, node.variable, int(node.explicit), *node.steps]
            )
        if isinstance(node, tree.Comparison):
            return [_OPERATOR_NUMBERS[node.operator], self(node.left), self(node.right)]
        if isinstance(node, tree.Not):
            return [NOT, self(node.operand)]
        if isinstance(node, _OF_ITEMS):
            return [_NUMBERS[type(node)], *map(self, node.items)]
        parts = [self._field(getattr(node, name)) for name in _FIELDS[type(node)]]
        if isinstance(node, tree.Sentence) and not node.clauses:
            del parts[-1]  # as a release wrote it that knew no such clauses
        return [_NUMBERS[type(node)], *parts]

    def _field(self, value: object) -> Any:
        if isinstance(value, tuple):
            return [None, *map(self._field, value)]
        if not isinstance(value, tree.Node):
            return value
        node = self(value)
        return node if type(node) is list and type(node[0]) is int else [_WRAPPED, node]


def _literal(node: tree.Literal) -> Any:
    if node.form == "number":
        plain = literals.NUMBER.fullmatch(node.written) and _dumps(node.value) == node.written
        return node.value if plain else [LITERAL, node.form, node.written]
    if node.form == "constant" or node.written == f'"{node.value}"':
        return node.value
    return [LITERAL, node.form, node.written, node.value]


class _Decoder:
    """Arrays as nodes; the places are used up in the order in which they were written."""

    def __init__(self, places: list[int]) -> None:
        self._places = iter(places)
        self._before = 0

    def __call__(self, node: Encoded) -> Any:
        self._before += next(self._places, 0)
        span = Span(self._before, self._before + next(self._places, 0))
        if type(node) is not list:
            return _plain(span, node)
        number = node[0]
        if type(number) is str:
            return tree.Path(span, None, False, tuple(node))
        if number == LITERAL:
            return tree.Literal(span, node[1], literal_value(node), node[2])
        if number == PATH:
            return tree.Path(span, node[1], bool(node[2]), tuple(node[3:]))
        if FIRST_COMPARISON <= number < _FIRST_WITH_MEMORY:
            operator = OPERATORS[number - FIRST_COMPARISON]
            return tree.Comparison(span, operator, self(node[1]), self(node[2]))
        if number == NOT:
            return tree.Not(span, self(node[1]))
        made: Any = (
            _CLASSES[number]
            if number < FIRST_COMPARISON
            else _WITH_MEMORY[number - _FIRST_WITH_MEMORY]
        )
        if made in _OF_ITEMS:
            return made(span, tuple([self(each) for each in node[1:]]))
        return made(span, *[self._field(each) for each in node[1:]])

    def _field(self, value: Any) -> Any:
        if type(value) is not list:
            return value
        if value[0] is None:
            return tuple([self._field(each) for each in value[1:]])
        return self(value[1] if value[0] is _WRAPPED else value)


def _plain(span: Span, value: tree.Scalar) -> tree.Literal:
    if type(value) is str:
        return tree.Literal(span, "text", value, f'"{value}"')
    form: tree.Form = "constant" if value is None or type(value) is bool else "number"
    return tree.Literal(span, form, value, _dumps(value))


_WRAPPED: Final = False
_REMEMBERS: Final = "~"
_OF_ITEMS: Final = (tree.ListLiteral, tree.And, tree.Or)
_ELSEWHERE: Final = tree.Literal(Span(0, 0), "constant", None, "null")
_decoder: Final = json.JSONDecoder()
_dumps: Final = json.JSONEncoder(separators=(",", ":")).encode
