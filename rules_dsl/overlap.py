"""Rules that tell one target the same thing: where one is true, so is the other, and both notify."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from rules_dsl import tree
from rules_dsl.demands import demands_of, implied, plain
from rules_dsl.format import format_expression
from rules_dsl.memory.plan import has_memory
from rules_dsl.source import Span
from rules_dsl.tree import Expression, Sentence, Target, conjuncts

# Clauses by which two rules with one condition may share out the times at which they tell.
_SHARING: Final = (tree.During, tree.Unless)
MOST_RULES: Final = 2_000


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two rules by their places in a list, the target that both tell, and whether their conditions are the same."""

    first: int
    second: int
    target: str
    span: Span  # of the target, in the second rule
    same: bool


def overlaps(rules: Sequence[Sentence]) -> Iterator[Overlap]:
    """Each pair of rules of which one is true wherever the other is, and that tell one target."""
    by_target: dict[str, list[int]] = {}
    seen = [_Seen(rule) for rule in rules[:MOST_RULES]]
    for second, one in enumerate(seen):
        told: set[int] = set()
        for target in one.targets:
            for first in by_target.setdefault(str(target), []):
                if first not in told and (same := _relation(seen[first], one)) is not None:
                    told.add(first)
                    yield Overlap(first, second, str(target), target.span, same)
            if second not in by_target[str(target)]:
                by_target[str(target)].append(second)


class _Seen:
    """A rule, as pairs are compared by."""

    def __init__(self, rule: Sentence) -> None:
        self.targets: list[Target] = [each for notify in rule.notifies for each in notify.targets]
        self.shares = any(isinstance(each, _SHARING) for each in rule.clauses)
        self.parts = conjuncts(rule.condition)
        self.texts = frozenset(_normal(each) for each in self.parts)
        self.single = not has_memory(rule.condition)
        self.demands = list(demands_of(rule.condition)) if self.single else []


def _relation(first: _Seen, second: _Seen) -> bool | None:
    """Whether the conditions are the same (True), one implies the other (False), or neither."""
    if first.shares or second.shares:
        return None
    if first.texts == second.texts:
        return True
    if first.single and second.single and (_implies(first, second) or _implies(second, first)):
        return False
    return None


def _implies(one: _Seen, other: _Seen) -> bool:
    """Whether one is true only where the other is."""
    for part in other.parts:
        if _normal(part) in one.texts:
            continue
        found = list(demands_of(part))
        simple = isinstance(part, tree.Comparison | tree.Presence | tree.Path) and len(found) == 1
        if not simple or not implied(found[0], one.demands):
            return False
    return True


def _normal(node: Expression) -> str:
    """A part of a condition without what only its spelling tells."""
    found = list(demands_of(node))
    if isinstance(node, tree.Comparison | tree.Presence) and len(found) == 1:
        value = found[0].value
        shown = sorted(map(repr, value)) if isinstance(value, tuple) else repr(value)
        return f"{format_expression(found[0].term)} {found[0].operator} {shown}"
    return format_expression(plain(node))
