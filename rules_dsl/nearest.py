"""The nearest miss: which single leaf, changed least, would have made a rule fire."""

from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import Final

from rules_dsl import tree
from rules_dsl.evaluator import is_number
from rules_dsl.explanation import Explanation, NearestMiss
from rules_dsl.kinds import Kind
from rules_dsl.values import kind_of

_OTHER: Final = 2.0
_ABSENT: Final = 3.0
_COMPARED: Final = 200


def closeness(left: object, right: object) -> tuple[float, str | None]:
    """How far two values of a comparison are apart, to rank by, and the distance of numbers.

    Numbers rank by their relative distance, below 1; texts by their likeness, below 2.
    """
    if is_number(left) and is_number(right):
        return _between(left, right)
    if type(left) is str and type(right) is str:
        likeness = SequenceMatcher(None, left[:_COMPARED], right[:_COMPARED]).ratio()
        return 2.0 - likeness, None
    absent = kind_of(left) in (None, Kind.NULL) or kind_of(right) in (None, Kind.NULL)
    return _ABSENT if absent else _OTHER, None


def _between(left: object, right: object) -> tuple[float, str | None]:
    try:
        one, other = float(left), float(right)  # type: ignore[arg-type]
    except OverflowError:  # whole numbers that no double can hold
        return 1.0, None
    away = abs(one - other)
    return away / max(abs(one), abs(other), 1.0), f"{away:.6g}" if away else None


def nearest_miss(explained: Explanation) -> NearestMiss | None:
    """The nearest leaf, if the change of one alone is enough."""
    candidates = list(_candidates(explained, True))
    if not candidates:
        return None
    leaf, needed = min(candidates, key=lambda candidate: candidate[0].rank)
    return NearestMiss(leaf.text, leaf.span, needed, leaf.reason, leaf.values, leaf.away)


def _candidates(explained: Explanation, wanted: bool) -> Iterator[tuple[Explanation, bool]]:
    """The leaves of which one, given another outcome, gives a clause the one it does not have."""
    match explained.node:
        case tree.Not():
            yield from _candidates(explained.children[0], not wanted)
        case tree.And():
            yield from _joined(explained, wanted, decisive=False)
        case tree.Or():
            yield from _joined(explained, wanted, decisive=True)
        case tree.Quantifier(kind=kind) if explained.children and explained.complete:
            turned = wanted if kind != "none" else not wanted
            yield from _joined(explained, turned, decisive=kind != "all")
        case _:
            yield explained, wanted


def _joined(
    explained: Explanation, wanted: bool, decisive: bool
) -> Iterator[tuple[Explanation, bool]]:
    """One decisive child suffices; against that, only one child may stand in the way."""
    opposed = [child for child in explained.children if child.outcome is not wanted]
    if wanted is decisive or len(opposed) == 1:
        for child in opposed:
            yield from _candidates(child, wanted)
