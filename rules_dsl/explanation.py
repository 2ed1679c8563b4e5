"""Explanations as data: a tree of clauses, each with its outcome and the values that were seen."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from rules_dsl.evaluator import Outcome
from rules_dsl.source import Span
from rules_dsl.tree import Expression

_WORDS: Final = {True: "true", False: "false", None: "unknown"}


@dataclass(frozen=True, slots=True)
class Seen:
    """A value that took part: what stands for it, the value as JSON cut short, its kind."""

    text: str
    value: str
    kind: str

    def __str__(self) -> str:
        return f"{self.text} was {self.value}"

    def to_dict(self) -> dict[str, object]:
        """The value as JSON."""
        return {"text": self.text, "value": self.value, "kind": self.kind}


@dataclass(frozen=True, slots=True)
class NearestMiss:
    """The one leaf whose smallest change would have made the rule fire."""

    text: str
    span: Span
    needed: bool
    reason: str | None
    values: tuple[Seen, ...]
    distance: str | None  # how far a number was away

    def __str__(self) -> str:
        because = self.reason or ", ".join(map(str, self.values))
        away = f", {self.distance} away" if self.distance else ""
        why = f"; {because}{away}" if because else ""
        return f"nearest miss: {self.text} had to be {_WORDS[self.needed]}{why}"

    def to_dict(self) -> dict[str, object]:
        """The miss as JSON."""
        return {
            "text": self.text,
            "span": list(self.span),
            "needed": self.needed,
            "reason": self.reason,
            "values": [value.to_dict() for value in self.values],
            "distance": self.distance,
            "summary": str(self),
        }


@dataclass(frozen=True, slots=True)
class Explanation:
    """One clause: what it says, what came of it, and why."""

    text: str
    span: Span
    line: int
    column: int
    outcome: Outcome
    reason: str | None = None
    values: tuple[Seen, ...] = ()
    children: "tuple[Explanation, ...]" = ()
    element: int | None = None  # which element of a quantifier's list, counted from 0
    nearest_miss: NearestMiss | None = None
    node: Expression | None = field(default=None, repr=False, compare=False)
    # Whether the children are all that decide; a quantifier shows only some of its elements.
    complete: bool = field(default=True, repr=False, compare=False)
    # How far a leaf is from its other outcome: to rank by, and in words for numbers.
    rank: float = field(default=3.0, repr=False, compare=False)
    away: str | None = field(default=None, repr=False, compare=False)

    def __str__(self) -> str:
        lines = list(self._lines(""))
        return "\n".join([*lines, str(self.nearest_miss)] if self.nearest_miss else lines)

    def to_dict(self) -> dict[str, object]:
        """The explanation as JSON; only the outermost clause has a nearest miss."""
        miss = self.nearest_miss
        return {**self._clause(), "nearest_miss": miss.to_dict() if miss else None}

    def _clause(self) -> dict[str, object]:
        own: dict[str, object] = {
            "text": self.text,
            "span": list(self.span),
            "line": self.line,
            "column": self.column,
            "outcome": self.outcome,
            "reason": self.reason,
            "values": [value.to_dict() for value in self.values],
            "children": [child._clause() for child in self.children],
        }
        if self.element is not None:
            own["element"] = self.element
        return own

    def as_element(self, index: int) -> "Explanation":
        """The same clause, as what came of one element."""
        return replace(self, element=index)

    def _lines(self, indent: str) -> Iterator[str]:
        because = self.reason or ", ".join(map(str, self.values))
        which = "" if self.element is None else f"element {self.element}: "
        tail = f": {because}" if because else ""
        yield f"{indent}{which}{self.text} is {_WORDS[self.outcome]}{tail}"
        for child in self.children:
            yield from child._lines(indent + "  ")
