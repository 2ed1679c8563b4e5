"""Keys: what the fields after `by` hold, as one text that is equal where the language says equal.

The text is a JSON array. Numbers are written by their value (`1.0` is `1`); a list, an object, a null or a
missing field is no key. What is longer than a database likes to index ends in a digest of the whole.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from json.encoder import encode_basestring_ascii
from typing import Any, Final, TypeAlias

from rules_dsl.compiler import walk
from rules_dsl.evaluator import is_number
from rules_dsl.values import number_text

NO_KEY: Final = "[]"
Steps: TypeAlias = tuple[tuple[str | int, ...], ...]
_LONGEST: Final = 512
_DIGEST: Final = 16
# What `json.dumps` does, without a look at its options.
_quoted: Final = encode_basestring_ascii


def key_text(body: Mapping[str, object], steps: Sequence[tuple[str | int, ...]]) -> str | None:
    """The key of an event; None where one of its fields has no value."""
    parts = []
    for each in steps:
        part = scalar_text(walk(body, each))
        if part is None:
            return None
        parts.append(part)
    return joined(parts)


def joined(parts: Sequence[str]) -> str:
    """The key of several scalars."""
    text = f"[{','.join(parts)}]"
    if len(text) <= _LONGEST:
        return text
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_DIGEST)
    return f"{text[: _LONGEST - 2 * _DIGEST]}{digest.hexdigest()}"


def scalar_text(value: object) -> str | None:
    """A string, number or boolean as one text; None for anything else."""
    kind = type(value)
    if kind is str:
        return _quoted(value)  # type: ignore[arg-type]
    if kind is bool:
        return "true" if value else "false"
    if not is_number(value):
        return None
    try:
        return number_text(value)  # type: ignore[arg-type]
    except ValueError:  # more digits than Python converts
        return hex(value)  # type: ignore[arg-type]


def digest_of(value: object) -> int | None:
    """64 bits that stand for a scalar among others; None for what is no scalar."""
    text = scalar_text(value)
    if text is None:
        return None
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def key_values(key: str) -> list[Any]:
    """The values of a key; of one that was cut, what is left of it."""
    try:
        values: list[Any] = json.loads(key)
    except ValueError:
        return [key]
    return values


def names_and_values(names: Sequence[str], key: str) -> str:
    """A key as people read it: `user.id = 42, region = "eu"`."""
    values = [json.dumps(each, ensure_ascii=False) for each in key_values(key)]
    return ", ".join(f"{name} = {value}" for name, value in zip(names, values, strict=False))
