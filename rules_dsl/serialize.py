"""Checked trees as JSON, so that a process that starts up never parses.

Numbers are stored by their spelling: a database may write a double in another way than the one it
was read in.
"""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Final

from rules_dsl import literals, tree
from rules_dsl.errors import SchemaMismatch
from rules_dsl.source import Span

# Counts up with each change of the tree; what was stored before is then compiled again.
SCHEMA_VERSION: Final = 1

_CLASSES: Final[dict[str, type[tree.Node]]] = {
    each.__name__: each
    for each in (
        tree.Literal, tree.ListLiteral, tree.Path, tree.Default, tree.Arithmetic, tree.Minus,
        tree.Call, tree.Comparison, tree.Presence, tree.Quantifier, tree.Not, tree.And, tree.Or,
        tree.Target, tree.Notify, tree.Message, tree.Sentence,
    )
}  # fmt: skip


def dump(text: str, sentence: tree.Sentence) -> dict[str, object]:
    """A rule as JSON."""
    return {"schema": SCHEMA_VERSION, "text": text, "tree": _encode(sentence)}


def load(stored: Mapping[str, object]) -> tuple[str, tree.Sentence]:
    """The text and the tree of a stored rule."""
    if stored.get("schema") != SCHEMA_VERSION:
        raise SchemaMismatch(stored.get("schema"), SCHEMA_VERSION)
    sentence = _decode(stored["tree"])
    assert isinstance(sentence, tree.Sentence)
    return str(stored["text"]), sentence


def _encode(value: object) -> object:
    if isinstance(value, tree.Literal) and value.form == "number":
        return {"node": "Literal", "span": list(value.span), "number": value.written}
    if is_dataclass(value):
        encoded: dict[str, object] = {"node": type(value).__name__}
        for field in fields(value):
            encoded[field.name] = _encode(getattr(value, field.name))
        return encoded
    if isinstance(value, tuple):
        return [_encode(item) for item in value]
    return value


def _decode(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_decode(item) for item in value)
    if not isinstance(value, dict):
        return value
    span = Span(*value["span"])
    if "number" in value:
        written = value["number"]
        return tree.Literal(span, "number", literals.number(written), written)
    kind = _CLASSES[value["node"]]
    rest = {key: _decode(each) for key, each in value.items() if key not in ("node", "span")}
    return kind(span=span, **rest)
