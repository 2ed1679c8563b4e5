"""JSON to be read: folded where it is long or deep, and cut where it is too much for a page."""

import json
from collections.abc import Iterator
from typing import Any, Final

from markupsafe import Markup

MOST_VALUES: Final = 250
MOST_LETTERS: Final = 20_000
# What it takes to fold a part.
FOLD_LETTERS: Final = 200
LONG_TEXT: Final = 300
LONG_KEY: Final = 120
# Below that, and from so many values on, a part is folded at first.
OPEN_DEPTH: Final = 3
OPEN_VALUES: Final = 24
LONG_LINE: Final = 64

_FOLD: Final = Markup(
    '<details class="fold"{}><summary>{}{}<span class="faint"> {} </span><span class="end">{}</span></summary>'
    '<div class="inside">{}</div><span class="end">{}</span></details>'
)


def folded(value: Any) -> Markup:
    """A value as markup; of a very large one the beginning."""
    return _Folder().part(value, Markup(""), 0)


class _Folder:
    """One value, and how much of it still fits."""

    def __init__(self) -> None:
        self.left = MOST_VALUES
        self.room = MOST_LETTERS

    def part(self, value: Any, key: Markup, depth: int) -> Markup:
        """A value behind its key."""
        self.left -= 1
        if not isinstance(value, dict | list) or not value:
            return self._pair(key, _scalar(value))
        line = _in_a_line(value)
        if line is not None and depth:
            return self._pair(key, line)
        return self._fold(value, key, depth)

    def _pair(self, key: Markup, value: Markup) -> Markup:
        self.room -= len(key) + len(value)
        return Markup('<div class="pair">{}{}</div>').format(key, value)

    def _fold(self, value: dict[str, Any] | list[Any], key: Markup, depth: int) -> Markup:
        begin, end = "{}" if isinstance(value, dict) else "[]"
        self.room -= FOLD_LETTERS
        inside = Markup("").join(self._children(value, depth))
        if not depth:
            return Markup('{}<div class="inside">{}</div>{}').format(begin, inside, end)
        open_ = Markup(" open") if depth < OPEN_DEPTH and len(value) <= OPEN_VALUES else ""
        noun = "field" if isinstance(value, dict) else "item"
        said = f"{len(value):,} {noun}{'s' if len(value) > 1 else ''}"
        return _FOLD.format(open_, key, begin, said, end, inside, end)

    def _children(self, value: dict[str, Any] | list[Any], depth: int) -> Iterator[Markup]:
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for number, (name, each) in enumerate(pairs):
            if self.left <= 0 or self.room <= 0:
                yield Markup('<div class="faint">… {:,} more</div>').format(len(value) - number)
                return
            key = _key(name) if isinstance(value, dict) else Markup("")
            yield self.part(each, key, depth + 1)


def _key(name: object) -> Markup:
    text = str(name)
    shown = text if len(text) <= LONG_KEY else f"{text[:LONG_KEY]}…"
    return Markup('<span class="key">{}</span>: ').format(json.dumps(shown, ensure_ascii=False))


def _in_a_line(value: dict[str, Any] | list[Any]) -> Markup | None:
    """A short list of plain values; there is no need to fold it."""
    if isinstance(value, dict) or len(value) > LONG_LINE // 2:
        return None
    if any(isinstance(each, dict | list) for each in value):
        return None
    if sum(len(str(each)) + 2 for each in value) > LONG_LINE:
        return None
    return Markup("[{}]").format(Markup(", ").join(map(_scalar, value)))


def _scalar(value: Any) -> Markup:
    match value:
        case str():
            more = len(value) - LONG_TEXT
            text = json.dumps(value[:LONG_TEXT], ensure_ascii=False)
            shown = Markup('<span class="string">{}</span>').format(text)
            if more > 0:
                shown += Markup('<span class="faint"> … {:,} more characters</span>').format(more)
            return shown
        case bool() | None:
            return Markup('<span class="keyword">{}</span>').format(json.dumps(value))
        case dict() | list():
            return Markup("{}").format("{}" if isinstance(value, dict) else "[]")
        case _:
            digits = json.dumps(value)
            cut = digits if len(digits) <= LONG_TEXT else f"{digits[:LONG_TEXT]}…"
            return Markup('<span class="number-of">{}</span>').format(cut)
