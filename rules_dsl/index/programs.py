"""Functions for nodes: all tables of a node written out as one, which reads each field once.

The source depends on the names of the tables alone, so that nodes of the same tables share the
function; each hands it the data of its own. Adding a rule to a table changes nothing here.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final, TypeAlias

from rules_dsl.index.candidates import Found, Later, compiled
from rules_dsl.index.fields import Event, Path, indented, reading
from rules_dsl.index.keys import DESCENT, Keys
from rules_dsl.index.tables import Name

Program: TypeAlias = Callable[["Plan", Event, Found, Later], None]
Plan: TypeAlias = tuple[Any, ...]  # a program, and the data that it unpacks

_MOST_TABLES: Final = 64
_MOST_PROGRAMS: Final = 500


class Programs:
    """The functions of one set of rules, by the names of the tables."""

    def __init__(self) -> None:
        self._known: dict[tuple[Name, ...], Program] = {}

    def get(self, names: tuple[Name, ...]) -> Program | None:
        """The function for tables of these names, if it was written."""
        return self._known.get(names)

    def refuses(self, names: tuple[Name, ...]) -> bool:
        """Whether none will be written: the tables, or the functions that there are, are too many."""
        return len(names) > _MOST_TABLES or len(self._known) >= _MOST_PROGRAMS

    def write(self, names: tuple[Name, ...]) -> None:
        """Write the function for tables of these names."""
        self._known[names] = compiled(source_of(names), "run")


def source_of(names: tuple[Name, ...]) -> str:
    """The function for tables of these names."""
    data = {
        name: [f"d{at}_{part}" for part in range(name[0].parts)] for at, name in enumerate(names)
    }
    parts = [part for each in data.values() for part in each]
    by_path: dict[Path, list[Name]] = {}
    for name in names:
        by_path.setdefault(name[1], []).append(name)
    lines = [f"{', '.join(['_', *parts])}, = plan"]
    for path, group in by_path.items():
        lines += _of_field(path, group, data) if path else _written(group, data)
    return "\n".join(["def run(plan, event, found, later):", *indented(lines)])


def _of_field(path: Path, names: list[Name], data: dict[Name, list[str]]) -> list[str]:
    """The lines about one field: a branch for each kind of value, and the way down from its keys."""
    lookup = _written((name for name in names if name[0] is Keys), data)
    text = lookup + _written((name for name in names if name[3] == "text"), data)
    number = _written((name for name in names if name[3] == "number"), data)
    if number:
        number = ["if v - v == 0.0:", *indented(number)]  # NaN and infinities give NaN here
    number = lookup + number
    branches = []
    if text:
        branches.append(("k is str", text))
    if number:
        branches.append(("k is float or k is int", number))
    if lookup:
        branches.append(("k is bool", ["v = v,", *lookup]))
    lines = reading(path)
    for at, (condition, then) in enumerate(branches):
        lines += [f"{'elif' if at else 'if'} {condition}:", *indented(then)]
    return [*lines, "else:", "    n = None", *DESCENT] if lookup else lines


def _written(names: Iterable[Name], data: dict[Name, list[str]]) -> list[str]:
    return [line for name in names for line in name[0].lines(name, data[name])]
