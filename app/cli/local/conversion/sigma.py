"""Rules of Sigma that look at one event."""

import fnmatch
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from app.cli.local.conversion.conditions import All, Either, Node, Not, Refused, Test, written
from app.cli.local.conversion.sigma_values import tests_of
from app.cli.local.conversion.writing import Wish

LEVELS: Final = {
    "informational": "info",
    "low": "info",
    "medium": "warning",
    "high": "high",
    "critical": "critical",
}
_CONVERTED: Final = {"title", "description", "tags", "level", "detection", "author", "id"}
_TOKEN: Final = re.compile(r"\s*(\(|\)|(?:1|any|all)\s+of\s+[\w*]+|[\w*-]+)", re.IGNORECASE)
_OF: Final = re.compile(r"(1|any|all)\s+of\s+([\w*]+)", re.IGNORECASE)
_END: Final = ""


def convert(document: dict[str, Any], types: Sequence[Test]) -> list[Wish]:
    """What one rule wishes, for events that pass the tests `types`; raises `Refused`."""
    if "title" not in document or not isinstance(document.get("detection"), dict):
        raise Refused("a document without `title` and `detection`")
    detection = dict(document["detection"])
    condition = detection.pop("condition", None)
    if not isinstance(condition, str):
        raise Refused("a `condition` that is not one text")
    if "timeframe" in detection:
        raise Refused("a `timeframe`: several events together")
    node = _Condition(condition, detection).whole()
    rest = sorted(document.keys() - _CONVERTED)
    whose = [f"{document[name]}" for name in ("author", "id") if document.get(name)]
    wish = Wish(
        name=str(document["title"]),
        condition=written(All([*types, node])),
        description=str(document.get("description") or ""),
        tags=[str(tag) for tag in document.get("tags") or []],
        severity=LEVELS.get(str(document.get("level"))),
        notes=[
            *([f"Sigma: {', '.join(whose)}"] if whose else []),
            *([f"not converted: {', '.join(rest)}"] if rest else []),
        ],
    )
    return [wish]


class _Condition:
    """The condition over the names of selections, token by token."""

    def __init__(self, text: str, selections: Mapping[str, Any]) -> None:
        self._text = text
        self._selections = selections
        self._at = 0
        self._step()

    def whole(self) -> Node:
        """All of it."""
        node = self._either()
        if self._word != _END:
            raise Refused(f"the condition `{self._text}`")
        return node

    def _step(self) -> None:
        rest = self._text[self._at :]
        found = _TOKEN.match(rest)
        if found is None and rest.strip():
            raise Refused(f"`{rest.strip()}` in the condition")
        self._word = found[1] if found else _END
        self._at += found.end() if found else len(rest)

    def _either(self) -> Node:
        parts = [self._both()]
        while self._word.lower() == "or":
            self._step()
            parts.append(self._both())
        return Either(parts) if len(parts) > 1 else parts[0]

    def _both(self) -> Node:
        parts = [self._one()]
        while self._word.lower() == "and":
            self._step()
            parts.append(self._one())
        return All(parts) if len(parts) > 1 else parts[0]

    def _one(self) -> Node:
        word = self._word
        self._step()
        if word.lower() == "not":
            return Not(self._one())
        if word == "(":
            node = self._either()
            if self._word != ")":
                raise Refused(f"the condition `{self._text}`: `)` is missing")
            self._step()
            return node
        if several := _OF.fullmatch(word):
            parts = [_selection(self._selections[name]) for name in self._names(several[2])]
            return All(parts) if several[1].lower() == "all" else Either(parts)
        if word not in self._selections:
            raise Refused(f"`{word}` in the condition `{self._text}`")
        return _selection(self._selections[word])

    def _names(self, pattern: str) -> list[str]:
        if pattern.lower() == "them":
            found = [name for name in self._selections if not name.startswith("_")]
        else:
            found = [name for name in self._selections if fnmatch.fnmatchcase(name, pattern)]
        if not found:
            raise Refused(f"`{pattern}`, which names no selection")
        return found


def _selection(said: Any) -> Node:
    if isinstance(said, list) and said and all(isinstance(one, dict) for one in said):
        return Either([_selection(one) for one in said])
    if not isinstance(said, dict) or not said:
        raise Refused("words without a field, which are searched for in the whole event")
    return All([tests_of(str(name), value) for name, value in said.items()])
