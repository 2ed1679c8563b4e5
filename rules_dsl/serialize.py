"""Checked trees as JSON, so that a process that starts up never parses.

A tree is stored as one text of nested arrays: a worker that holds a hundred thousand rules keeps the
text, a fraction of the tree's size, and reads the tree when somebody asks. A node is an array of its
number, its span and its fields (literals and paths are written shorter); any other array begins with
null. The condition stands first, for the
index, which reads it as it is stored: to build the nodes would cost more than to index the rule.

Numbers are stored by their spelling alone: a database may write a double in another way than the
one it was read in.
"""

import json
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, Final, TypeAlias

from rules_dsl import literals, tree
from rules_dsl.errors import SchemaMismatch
from rules_dsl.source import Span
from rules_dsl.tree import Expression

Encoded: TypeAlias = list[Any]  # a node as it is stored

# Counts up with each change of the tree; what was stored before is then compiled again.
SCHEMA_VERSION: Final = 2

_CLASSES: Final[tuple[type[tree.Node], ...]] = (
    tree.Literal, tree.ListLiteral, tree.Path, tree.Default, tree.Arithmetic, tree.Minus,
    tree.Call, tree.Comparison, tree.Presence, tree.Quantifier, tree.Not, tree.And, tree.Or,
    tree.Target, tree.Notify, tree.Message, tree.Sentence,
)  # fmt: skip
_NUMBERS: Final = {each: number for number, each in enumerate(_CLASSES)}
LITERAL: Final = _NUMBERS[tree.Literal]
LIST_LITERAL: Final = _NUMBERS[tree.ListLiteral]
PATH: Final = _NUMBERS[tree.Path]
COMPARISON: Final = _NUMBERS[tree.Comparison]
QUANTIFIER: Final = _NUMBERS[tree.Quantifier]
NOT: Final = _NUMBERS[tree.Not]
AND: Final = _NUMBERS[tree.And]
OR: Final = _NUMBERS[tree.Or]
_FIELDS: Final = {each: [field.name for field in fields(each)][1:] for each in _CLASSES}


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
    condition, rest = encoded(sentence.condition), encoded(replace(sentence, condition=_ELSEWHERE))
    return _dumps(condition) + _dumps(rest)


def load_tree(stored_tree: str) -> tree.Sentence:
    """The whole tree."""
    condition, end = _decoder.raw_decode(stored_tree)
    sentence = _decode(_decoder.raw_decode(stored_tree, end)[0])
    assert isinstance(sentence, tree.Sentence)
    return replace(sentence, condition=_decode(condition))


def load_condition(stored_tree: str) -> Encoded:
    """The condition alone, as it is stored."""
    condition: Encoded = _decoder.raw_decode(stored_tree)[0]
    return condition


def encoded(node: tree.Node) -> Encoded:
    """A node as it is stored."""
    if isinstance(node, tree.Literal) and node.form == "number":
        return [LITERAL, *node.span, node.written]
    if isinstance(node, tree.Literal) and node.written == f'"{node.value}"':
        return [LITERAL, *node.span, "text", node.value]
    if isinstance(node, tree.Path):
        return [PATH, *node.span, node.variable, int(node.explicit), *node.steps]
    parts = (_encode(getattr(node, name)) for name in _FIELDS[type(node)])
    return [_NUMBERS[type(node)], *node.span, *parts]


def decoded(node: Encoded) -> Expression:
    """A node from what was stored."""
    expression: Expression = _decode(node)
    return expression


def literal_value(node: Encoded) -> tree.Scalar:
    """The value of a stored literal."""
    if len(node) == _NUMBER_LITERAL:
        return literals.number(node[3])
    value: tree.Scalar = node[4]
    return value


def _encode(value: object) -> object:
    if isinstance(value, tree.Node):
        return encoded(value)
    return [None, *map(_encode, value)] if isinstance(value, tuple) else value


def _decode(value: Any) -> Any:
    if type(value) is not list:
        return value
    number = value[0]
    if number is None:
        return tuple([_decode(each) for each in value[1:]])
    span = Span(value[1], value[2])
    if number == LITERAL and len(value) == _NUMBER_LITERAL:
        return tree.Literal(span, "number", literal_value(value), value[3])
    if number == LITERAL and len(value) == _PLAIN_TEXT:
        return tree.Literal(span, "text", value[4], f'"{value[4]}"')
    if number == PATH:
        return tree.Path(span, value[3], bool(value[4]), tuple(value[5:]))
    return _CLASSES[number](span, *[_decode(each) for each in value[3:]])


_NUMBER_LITERAL: Final = 4
_PLAIN_TEXT: Final = 5
_ELSEWHERE: Final = tree.Literal(Span(0, 0), "constant", None, "null")
_decoder: Final = json.JSONDecoder()
_dumps: Final = json.JSONEncoder(separators=(",", ":")).encode
