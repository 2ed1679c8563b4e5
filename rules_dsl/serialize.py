"""Checked trees as JSON, so that a process that starts up never parses.

A tree is stored as one text of nested arrays: a worker that holds a hundred thousand rules keeps the
text, a fraction of the tree's size, and reads the tree when somebody asks. A node is its number,
its span and its fields; a list of anything begins with null. Numbers are stored by their spelling
alone: a database may write a double in another way than the one it was read in.
"""

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

from rules_dsl import literals, tree
from rules_dsl.errors import SchemaMismatch
from rules_dsl.source import Span
from rules_dsl.tree import Expression

# Counts up with each change of the tree; what was stored before is then compiled again.
SCHEMA_VERSION: Final = 2

_CLASSES: Final[tuple[type[tree.Node], ...]] = (
    tree.Literal, tree.ListLiteral, tree.Path, tree.Default, tree.Arithmetic, tree.Minus,
    tree.Call, tree.Comparison, tree.Presence, tree.Quantifier, tree.Not, tree.And, tree.Or,
    tree.Target, tree.Notify, tree.Message, tree.Sentence,
)  # fmt: skip
_NUMBERS: Final = {each: number for number, each in enumerate(_CLASSES)}
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
    """A rule's tree as one text."""
    return json.dumps(_encode(sentence), separators=(",", ":"))


def load_tree(stored_tree: str) -> tree.Sentence:
    """The whole tree."""
    sentence = _decode(json.loads(stored_tree))
    assert isinstance(sentence, tree.Sentence)
    return sentence


def load_condition(stored_tree: str) -> Expression:
    """The tree of the condition alone, which is all that matching needs."""
    condition: Expression = _decode(json.loads(stored_tree)[_CONDITION])
    return condition


_CONDITION: Final = 3 + _FIELDS[tree.Sentence].index("condition")


def _encode(value: object) -> object:
    if isinstance(value, tree.Literal) and value.form == "number":
        return [0, *value.span, value.written]
    if isinstance(value, tree.Node):
        parts = (_encode(getattr(value, name)) for name in _FIELDS[type(value)])
        return [_NUMBERS[type(value)], *value.span, *parts]
    return [None, *map(_encode, value)] if isinstance(value, tuple) else value


def _decode(value: Any) -> Any:
    if type(value) is not list:
        return value
    number = value[0]
    if number is None:
        return tuple([_decode(each) for each in value[1:]])
    span = Span(value[1], value[2])
    if number == 0 and len(value) == _NUMBER_LITERAL:
        written = value[3]
        return tree.Literal(span, "number", literals.number(written), written)
    return _CLASSES[number](span, *[_decode(each) for each in value[3:]])


_NUMBER_LITERAL: Final = 4
