"""Layouts: in which order the predicates of a clause lead to its place.

Equalities come first, those on the fields that most rules ask about at the front, so that few
tables are asked at each level and all equalities of a clause together narrow it down. One range,
prefix or regex comes next; what is left is tested on the survivors.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

from rules_dsl.index.clauses import Clause
from rules_dsl.index.fields import Path
from rules_dsl.index.node import DEEPEST
from rules_dsl.index.predicates import (
    Between,
    Different,
    Equal,
    Pattern,
    Predicate,
    Prefix,
    Rest,
)

_FIRST: Final = (0,)
_MOST_PLACES: Final = 64  # a clause with several `in` stands under every combination of their keys
_CHEAP: Final = (Between, Equal, Different, Prefix, Pattern, Rest)


def layout_of(clause: Clause, popularity: Mapping[Path, int]) -> tuple[int, ...]:
    """The places of the predicates of a clause, in the order in which they are asked."""
    if len(clause) == 1:
        return _FIRST
    equals: list[int] = []
    others: list[int] = []
    places = 1
    for place, each in enumerate(clause):
        if type(each) is Equal:
            equals.append(place)
            places *= len(each.keys)
        else:
            others.append(place)
    if len(equals) > 1:
        equals.sort(key=lambda place: -popularity[clause[place].path])  # type: ignore[attr-defined]
    all_lead = places <= _MOST_PLACES and len(equals) <= DEEPEST
    if len(others) <= 1 and (all_lead or len(equals) == 1):
        return _shared((*equals, *others))
    leading = _leading(clause, equals)
    rest = [place for place in range(len(clause)) if place not in leading]
    access = min(rest, key=lambda place: _selectivity(clause[place]), default=None)
    if access is not None and _selectivity(clause[access]) < _UNORDERED:
        leading.append(access)
        rest.remove(access)
    rest.sort(key=lambda place: _cost(clause[place]))
    return _shared((*leading, *rest))


@lru_cache(1_024)
def _shared(layout: tuple[int, ...]) -> tuple[int, ...]:
    """One object for all equal layouts, which each clause keeps."""
    return layout


def _leading(clause: Clause, equals: Iterable[int]) -> list[int]:
    leading: list[int] = []
    places = 1
    for place in equals:
        each = clause[place]
        assert isinstance(each, Equal)
        places *= len(each.keys)
        if leading and (places > _MOST_PLACES or len(leading) == DEEPEST):
            break
        leading.append(place)
    return leading


_UNORDERED: Final = 4


def _selectivity(each: Predicate) -> int:
    """How few values a predicate that could lead is likely to let through; less is fewer."""
    if type(each) is Between:
        return 3 if each.low is None or each.high is None else 0
    return 1 if type(each) is Prefix else 2 if type(each) is Pattern else _UNORDERED


def _cost(each: Predicate) -> int:
    return _CHEAP.index(type(each)) if type(each) in _CHEAP else len(_CHEAP)
