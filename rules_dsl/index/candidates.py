"""Candidates: clauses in a table, with the tests that their place there does not already prove.

A candidate is one flat tuple: its form, whom it hits, and the constants of its tests. The form holds
all that equal tests share. Once it has been asked often enough, its comparisons are written as one
Python function, which reads each field once and calls nothing. Tests that cost more than a
comparison (a regex, a call, a quantifier) are put off until all candidates are known.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final, TypeAlias, final

from rules_dsl.index.clauses import Clause
from rules_dsl.index.fields import KNOWN, Event, indented, reading
from rules_dsl.index.predicates import Shape, Simple

Hit: TypeAlias = tuple[Any, ...]  # order, key, rule, layout: one clause of a rule
Candidate: TypeAlias = tuple[Any, ...]  # form, hit, constants
Found: TypeAlias = list[Hit]
Later: TypeAlias = list[Any]  # candidates with tests that were put off, and nodes that grew hot
Test: TypeAlias = Callable[[Candidate, Event, Found, Later], None]

# Visits after which code pays: to make it takes as long as some two hundred of them.
HOT: Final = 50
_MOST_FORMS: Final = 4_096
_FIRST: Final = 2  # where the constants of a candidate begin


@final
class Form:
    """What candidates share whose tests differ in their constants alone."""

    __slots__ = ("_heat", "_places", "_shapes", "later", "test")

    def __init__(self, shapes: tuple[Shape, ...]) -> None:
        self._shapes = shapes
        self._places: list[slice] = []
        at = _FIRST
        for shape in shapes:
            self._places.append(slice(at, at + shape[0].width))
            at += shape[0].width
        # Where the predicates stand that are asked last of all.
        self.later = tuple(
            place.start
            for shape, place in zip(shapes, self._places, strict=True)
            if not issubclass(shape[0], Simple)
        )
        self._heat = 0
        self.test: Test = _asked if shapes else _proven

    def predicates(self, candidate: Candidate) -> Clause:
        """The tests of a candidate, as they were before it became one."""
        return tuple(
            shape[0].remade(shape, candidate[place])
            for shape, place in zip(self._shapes, self._places, strict=True)
        )

    def asked(self, candidate: Candidate, event: Event) -> bool:
        """Whether all comparisons hold, without code of their own; often asked, they get it."""
        self._heat += 1
        if self._heat > HOT:
            with suppress(RecursionError):  # from a caller deep in its own stack
                self.test = compiled(self.source(), "test")
        return all(
            each.holds(event, 0.0)
            for each in self.predicates(candidate)
            if isinstance(each, Simple)
        )

    def source(self) -> str:
        """The function that tests a candidate `c`."""
        lines: list[str] = []
        read = None
        for shape, place in zip(self._shapes, self._places, strict=True):
            if not issubclass(shape[0], Simple):
                continue
            if shape[1] != read:
                read = shape[1]
                lines += reading(read)
            names = [f"c[{each}]" for each in range(place.start, place.stop)]
            lines.append(f"if not ({shape[0].source(shape, names)}): return")
        lines.append("later.append(c)" if self.later else "found.append(c[1])")
        return "\n".join(["def test(c, event, found, later):", *indented(lines)])


def candidate(hit: Hit, tests: Clause) -> Candidate:
    """A clause of which these tests remain."""
    shapes: list[Shape] = []
    constants: list[Any] = []
    for each in tests:
        shapes.append(each.shape)
        constants += each.constants
    return (_form(tuple(shapes)), hit, *constants)


def survives(candidate: Candidate, event: Event, moment: float) -> bool:
    """Whether a candidate passes the tests that were put off."""
    for place in candidate[0].later:  # noqa: SIM110 - a generator would cost as much as a test
        if not candidate[place].holds(event, moment):
            return False
    return True


def is_of(item: Hit | Candidate, hit: Hit) -> bool:
    """Whether an item of a table stands for a clause."""
    return item is hit or item[1] is hit


def place_of(items: list[Any], hit: Hit, start: int = 0) -> int:
    """Where a clause stands in a list."""
    for place in range(start, len(items)):
        if is_of(items[place], hit):
            return place
    raise KeyError(hit[1])


@lru_cache(_MOST_FORMS)
def _form(shapes: tuple[Shape, ...]) -> Form:
    return Form(shapes)


def _proven(candidate: Candidate, event: Event, found: Found, later: Later) -> None:
    found.append(candidate[1])


def _asked(candidate: Candidate, event: Event, found: Found, later: Later) -> None:
    form: Form = candidate[0]
    if form.asked(candidate, event):
        if form.later:
            later.append(candidate)
        else:
            found.append(candidate[1])


def compiled(source: str, name: str) -> Any:
    """The function of a name that source defines."""
    names = KNOWN | {"bisect_left": bisect_left, "bisect_right": bisect_right}
    exec(source, names)  # noqa: S102 - of a rule's text it holds the quoted keys of fields alone
    return names[name]
