"""Functions of strings."""

from typing import Final

from rules_dsl.functions.registry import BadArgument, Number, function
from rules_dsl.values import number_text

# Calls nest, and each may double what it is given.
_LONGEST: Final = 1_048_576


@function
def lower(text: str) -> str:
    """The text in lower case: `lower(country) == "de"`."""
    return text.lower()


@function
def upper(text: str) -> str:
    """The text in upper case: `upper(sku) startswith "AB"`."""
    return text.upper()


@function
def trim(text: str) -> str:
    """The text without white space at its ends: `trim(name) == ""`."""
    return text.strip()


@function
def len_(value: str | list[object] | dict[str, object]) -> int:
    """How many characters a string has, elements a list, or keys an object: `len(items) > 3`."""
    return len(value)


@function
def concat(first: str, second: str, *more: str) -> str:
    """Two or more texts as one: `concat(first_name, " ", last_name) == "Ada Lovelace"`."""
    texts = (first, second, *more)
    if sum(map(len, texts)) > _LONGEST:
        raise BadArgument(f"the text would be longer than {_LONGEST:,} characters")
    return "".join(texts)


@function
def str_(value: str | Number | bool) -> str:
    """A number, string or boolean as text, equal numbers equally: `str(code) startswith "5"`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else number_text(value)
