"""Explanations: why a condition is true, false or unknown of an event."""

from collections.abc import Mapping
from dataclasses import dataclass

from rules_dsl.source import Span
from rules_dsl.tree import Expression


@dataclass(frozen=True, slots=True)
class Explanation:
    """One clause."""

    text: str
    span: Span


def explain(text: str, node: Expression, event: Mapping[str, object], now: float) -> Explanation:
    """The explanation of a condition."""
    return Explanation(text, node.span)
