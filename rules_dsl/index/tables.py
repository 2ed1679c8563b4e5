"""What the tables of a node have in common.

A table finds the items of one field by one kind of test. It does so in two ways, which find the same:
`collect` is a method for every table; `lines` is source for a node that is asked often, in which all
its tables stand written out in one function. Those lines may use the value `v` and the parts of the
table's data, whose names they are given. The data stay the same objects as long as they can: a node
looks whether `data` is still the same tuple, and forgets its function if not.

A table of items that its place proves holds their hits; any other holds candidates, still to be tested.
"""

from typing import Any, ClassVar, Final, TypeAlias

from rules_dsl.index.candidates import Candidate, Found, Hit, Later
from rules_dsl.index.fields import Event, Path

# The class, the path, whether it is proven, the kind of its values, and what else differs.
Name: TypeAlias = tuple[Any, ...]
Item: TypeAlias = Hit | Candidate
Kind: TypeAlias = str  # of the values that a table is asked about: "text", "number", or "any"


class Table:
    """Items of one field."""

    __slots__ = ("data", "name")
    parts: ClassVar[int] = 2  # of its data

    def __init__(self, name: Name, *data: Any) -> None:
        self.name = name
        self.data = data

    def __bool__(self) -> bool:
        raise NotImplementedError

    @property
    def path(self) -> Path:
        """The field that it asks about; none for what is asked without a look at the event."""
        path: Path = self.name[1]
        return path

    @property
    def proven(self) -> bool:
        """Whether its items are hits already."""
        proven: bool = self.name[2]
        return proven

    @property
    def kind(self) -> Kind:
        """The kind of values that it knows."""
        kind: Kind = self.name[3]
        return kind

    def collect(self, value: Any, event: Event, found: Found, later: Later) -> None:
        """Add the items that a value falls on; the value is of the table's kind."""
        raise NotImplementedError

    @staticmethod
    def lines(name: Name, data: list[str]) -> list[str]:
        """The same as source."""
        raise NotImplementedError


def kind_of(value: Any) -> Kind | None:
    """The kind of table that looks at a value: none at NaN, infinities and what is no scalar."""
    kind = type(value)
    if kind is str:
        return "text"
    if kind is int or kind is float:
        return "number" if value - value == 0.0 else None
    return None


def take(items: Any, proven: bool, event: Event, found: Found, later: Later) -> None:
    """Add items to those that were found, or test them."""
    if proven:
        found += items
    else:
        for each in items:
            each[0].test(each, event, found, later)


def taking(items: str, name: Name) -> list[str]:
    """The same as source."""
    return [f"found += {items}"] if name[2] else [f"for c in {items}:", *TESTING]


# A method call would look the test up as one of the class, which takes longer.
TESTING: Final = ["    t = c[0].test", "    t(c, event, found, later)"]
