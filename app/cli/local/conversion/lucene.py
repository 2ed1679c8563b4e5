"""The query strings of Elasticsearch, as far as they name fields."""

import re
from typing import Final

from app.cli.local.conversion.conditions import (
    All,
    Either,
    Node,
    Not,
    Refused,
    Test,
    literal,
    path_of,
)

_TOKEN: Final = re.compile(
    r"""\s*(?:
      (?P<range>[\[{]\s*(?P<low>\S+)\s+TO\s+(?P<high>[^\s\]}]+)\s*[\]}])
    | (?P<text>"(?:\\.|[^"\\])*")
    | (?P<mark>[()]|&&|\|\||!)
    | (?P<field>(?:\\.|[^\s():"\[\]{}\\<>=!])+):
    | (?P<word>(?:\\.|[^\s()"\\])+)
    )""",
    re.VERBOSE,
)
_OPERATORS: Final = {"&&": "AND", "||": "OR", "!": "NOT"}
_COMPARISON: Final = re.compile(r"(>=|<=|>|<)(-?\d+(?:\.\d+)?)")
_NUMBER: Final = re.compile(r"-?\d+(?:\.\d+)?")
_ANY: Final = "*"
# A regular expression, a fuzzy word, a boost; and what must or must not be there.
_BEYOND: Final = re.compile(r"^[/+-]|(?<!\\)[~^]")


def condition_of(query: str) -> Node:
    """The condition that a query string is; raises `Refused`."""
    found = _Query(query)
    node = found.either(None)
    if found.token is not None:
        raise Refused(f"the query {query!r}: `{found.said}` is not expected")
    return node


class _Query:
    """One query, token by token."""

    def __init__(self, query: str) -> None:
        self._query = query
        self._at = 0
        self.step()

    def step(self) -> None:
        """On to the next token; None at the end."""
        self.token = (
            _TOKEN.match(self._query, self._at) if self._query[self._at :].strip() else None
        )
        if self.token is None and self._query[self._at :].strip():
            raise Refused(f"the query {self._query!r}")
        self._at = self.token.end() if self.token else len(self._query)
        said = self.token[0].strip() if self.token else ""
        self.said = _OPERATORS.get(said, said)

    def either(self, field: str | None) -> Node:
        """Parts between one operator; what two of them mean together, Lucene decides by rules of its own."""
        parts, operator = [self._negated(field)], ""
        while self.token is not None and self.said != ")":
            if self.said not in ("AND", "OR") or operator not in ("", self.said):
                raise Refused(f"the query {self._query!r}: write AND or OR, and parentheses")
            operator = self.said
            self.step()
            parts.append(self._negated(field))
        if len(parts) == 1:
            return parts[0]
        return All(parts) if operator == "AND" else Either(parts)

    def _negated(self, field: str | None) -> Node:
        if self.said == "NOT":
            self.step()
            return Not(self._negated(field))
        if self.said == "(":
            self.step()
            node = self.either(field)
            if self.said != ")":
                raise Refused(f"the query {self._query!r}: `)` is missing")
            self.step()
            return node
        return self._test(field)

    def _test(self, field: str | None) -> Node:
        if self.token is not None and self.token["field"] and field is None:
            field = _plain(self.token["field"])
            self.step()
            if self.said == "(":
                return self._negated(field)
        if self.token is None or field is None or self.token["mark"] or self.token["field"]:
            raise Refused(f"the query {self._query!r}: it does not say in which field")
        node = _value(field, self.token)
        self.step()
        return node


def _value(field: str, token: re.Match[str]) -> Node:
    path = path_of(field)
    if token["range"]:
        return _range(path, token)
    if token["text"]:
        return Test(path, f"{path} == {literal(_plain(token['text'][1:-1]))}")
    word = token["word"]
    if field == "_exists_":
        return Test(path_of(word), f"{path_of(word)} is not null", total=True)
    if _BEYOND.search(word):
        raise Refused(f"`{word}` in a query")
    if compared := _COMPARISON.fullmatch(word):
        return Test(path, f"{path} {compared[1]} {compared[2]}")
    return word_test(path, word)


def word_test(path: str, word: str) -> Test:
    """A field is a word, in which `*` and `?` stand for others; digits may be a number in the event, or a text."""
    if word == _ANY:
        return Test(path, f"{path} is not null", total=True)
    if re.search(r"(?<!\\)[*?]", word):
        return Test(path, f"{path} matches {literal(_pattern(word))}")
    plain = _plain(word)
    if plain in ("true", "false"):
        return Test(path, f"{path} == {plain}")
    left = f"str({path})" if _NUMBER.fullmatch(plain) else path
    return Test(path, f"{left} == {literal(plain)}")


def _range(path: str, token: re.Match[str]) -> Node:
    parts: list[Node] = []
    said = token["range"]
    for bound, word, sign in ((">", token["low"], said[0]), ("<", token["high"], said[-1])):
        if word == _ANY:
            continue
        if not _NUMBER.fullmatch(word):
            raise Refused(f"the range {said}, which is not of numbers")
        parts.append(Test(path, f"{path} {bound}{'=' if sign in '[]' else ''} {word}"))
    return All(parts) if parts else Test(path, f"{path} is not null", total=True)


def _pattern(word: str) -> str:
    """A regular expression for a word with wildcards."""
    return "(?s)^" + "".join(map(_piece, re.findall(r"\\.|.", word))) + "$"


def _piece(part: str) -> str:
    if part in ("*", "?"):
        return ".*" if part == "*" else "."
    return re.escape(part.removeprefix("\\"))


def _plain(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)
