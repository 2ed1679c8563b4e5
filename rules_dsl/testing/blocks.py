"""Test blocks: what is put to a rule, when, and what is expected of it."""

from dataclasses import dataclass
from typing import Any, Final

from rules_dsl.source import Span

SECOND: Final = 1_000_000
# Monday, 2024-01-01, 00:00 UTC.
BEGIN: Final = 1_704_067_200 * SECOND


@dataclass(frozen=True, slots=True)
class Expected:
    """One thing that a step expects: a word, who is told, or a message."""

    kind: str  # "outcome", "verdict", "resolved", "notify" or "message"
    value: Any
    span: Span


@dataclass(frozen=True, slots=True)
class OpenAlert:
    """Another rule's alert, which `unless` asks for, begins or ends."""

    name: str
    fields: dict[str, Any] | None  # of its key; None is any
    opens: bool
    span: Span


@dataclass(frozen=True, slots=True)
class Step:
    """One moment of a test."""

    time: int  # in microseconds since 1970
    event: dict[str, Any] | None
    times: int
    alert: OpenAlert | None
    expects: tuple[Expected, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Test:
    """A named test of one rule."""

    __test__ = False  # to pytest it is none

    name: str
    begin: int
    steps: tuple[Step, ...]
    span: Span
