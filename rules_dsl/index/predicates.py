"""Predicates: the single tests of which a clause is made, in the forms that can be indexed.

A predicate is its shape (which test, of which field, without the constants) and its constants. Many
share a shape, and for each shape the test can be written as source once, with names for the constants.

`holds` says whether the test is true; false and unknown are the same to an index. All look at exact
types first, as the evaluator does: a boolean is no number, NaN and infinities are nothing.
"""

from collections.abc import Callable
from typing import Any, ClassVar, TypeAlias

from rules_dsl.compiler import Program, compile_condition
from rules_dsl.evaluator import Outcome
from rules_dsl.index.fields import Event, Path, reader
from rules_dsl.regex import compile_regex
from rules_dsl.run import Run
from rules_dsl.serialize import QUANTIFIER, Encoded, decoded

Key: TypeAlias = str | int | float | tuple[bool]
Bound: TypeAlias = str | int | float
Shape: TypeAlias = tuple[Any, ...]  # the class, the path, and what else is no constant


def key_of(value: bool | int | float | str) -> Key:
    """A value as a key of a dict, in which 1 and 1.0 are equal and neither is True."""
    return (value,) if type(value) is bool else value


def comparable(value: Any) -> str | None:
    """The type within which a value is ordered: that of numbers, or that of texts."""
    kind = type(value)
    if kind is float:
        return "number" if value - value == 0.0 else None  # NaN and infinities give NaN here
    return "number" if kind is int else "text" if kind is str else None


class Predicate:
    """One test of a clause."""

    __slots__ = ()
    width: ClassVar[int] = 1  # how many constants it has

    @property
    def shape(self) -> Shape:
        """What it shares with others."""
        return (type(self),)

    @property
    def constants(self) -> tuple[Any, ...]:
        """What is its own."""
        return (self,)

    @classmethod
    def remade(cls, shape: Shape, constants: tuple[Any, ...]) -> "Predicate":
        """The predicate again, from its shape and constants."""
        made: Predicate = constants[0]
        return made

    def holds(self, event: Event, now: float) -> bool:
        """Whether it is true of an event."""
        raise NotImplementedError


class Simple(Predicate):
    """A comparison of a field with constants, short enough to be written out as source."""

    __slots__ = ("path",)
    path: Path

    @staticmethod
    def source(shape: Shape, names: list[str]) -> str:
        """The test of the value `v` of type `k`, its constants being under these names."""
        raise NotImplementedError


class Equal(Simple):
    """A field is one of some constants."""

    __slots__ = ("keys",)

    def __init__(self, path: Path, keys: tuple[Key, ...]) -> None:
        self.path = path
        self.keys = keys

    @property
    def shape(self) -> Shape:
        keys = self.keys
        return (Equal, self.path, type(keys[0]) if len(keys) == 1 else None)

    @property
    def constants(self) -> tuple[Any, ...]:
        return self.keys if len(self.keys) == 1 else (self.keys,)

    @classmethod
    def remade(cls, shape: Shape, constants: tuple[Any, ...]) -> "Equal":
        return cls(shape[1], constants[0] if shape[2] is None else constants)

    @staticmethod
    def source(shape: Shape, names: list[str]) -> str:
        name, kind = names[0], shape[2]
        if kind is None:
            return f"({_SCALAR} and v in {name} or k is bool and (v,) in {name})"
        if kind is tuple:
            return f"v is {name}[0]"
        return f"k is str and v == {name}" if kind is str else f"{_NUMBER} and v == {name}"

    def holds(self, event: Event, now: float) -> bool:
        value = reader(self.path)(event)
        kind = type(value)
        if kind is bool:
            return (value,) in self.keys
        # Neither NaN nor an infinity equals a literal; a list or an object is never looked up.
        return (kind is str or kind is int or kind is float) and value in self.keys


class Different(Simple):
    """A field is of the type of some constants, and none of them."""

    __slots__ = ("keys", "kind")

    def __init__(self, path: Path, keys: tuple[Key, ...], kind: str) -> None:
        self.path = path
        self.keys = keys
        self.kind = kind

    @property
    def shape(self) -> Shape:
        return (Different, self.path, self.kind)

    @property
    def constants(self) -> tuple[Any, ...]:
        return (self.keys,)

    @classmethod
    def remade(cls, shape: Shape, constants: tuple[Any, ...]) -> "Different":
        return cls(shape[1], constants[0], shape[2])

    @staticmethod
    def source(shape: Shape, names: list[str]) -> str:
        kind, name = shape[2], names[0]
        if kind == "boolean":
            return f"k is bool and (v,) not in {name}"
        return f"{_TYPES[kind]} and v not in {name}{_FINITE[kind]}"

    def holds(self, event: Event, now: float) -> bool:
        value = reader(self.path)(event)
        if type(value) is bool:
            return self.kind == "boolean" and (value,) not in self.keys
        return comparable(value) == self.kind and value not in self.keys


class Between(Simple):
    """A field lies between two bounds, or on one side of one; all of one type."""

    __slots__ = ("high", "high_open", "kind", "low", "low_open")

    def __init__(
        self,
        path: Path,
        kind: str,
        low: Bound | None = None,
        low_open: bool = False,
        high: Bound | None = None,
        high_open: bool = False,
    ) -> None:
        self.path = path
        self.kind = kind
        self.low = low
        self.low_open = low_open
        self.high = high
        self.high_open = high_open

    @property
    def shape(self) -> Shape:
        low = None if self.low is None else "<" if self.low_open else "<="
        high = None if self.high is None else "<" if self.high_open else "<="
        return (Between, self.path, self.kind, low, high)

    @property
    def constants(self) -> tuple[Any, ...]:
        return self.low, self.high

    width = 2

    @classmethod
    def remade(cls, shape: Shape, constants: tuple[Any, ...]) -> "Between":
        _, path, kind, low, high = shape
        return cls(path, kind, constants[0], low == "<", constants[1], high == "<")

    @staticmethod
    def source(shape: Shape, names: list[str]) -> str:
        _, _, kind, low, high = shape
        chain = f"{names[0]} {low} v" if low else "v"
        chain += f" {high} {names[1]}" if high else ""
        return f"{_TYPES[kind]} and {chain}" + ("" if low and high else _FINITE[kind])

    def holds(self, event: Event, now: float) -> bool:
        value: Any = reader(self.path)(event)
        if comparable(value) != self.kind:
            return False
        low, high = self.low, self.high
        if low is not None and (value <= low if self.low_open else value < low):
            return False
        return high is None or not (value >= high if self.high_open else value > high)

    @property
    def empty(self) -> bool:
        """Whether nothing lies between."""
        low, high = self.low, self.high
        if low is None or high is None:
            return False
        return low > high or (low == high and (self.low_open or self.high_open))  # type: ignore[operator]

    def narrowed(self, other: "Between") -> "Between":
        """What lies in both."""
        low, low_open = _tighter(self.low, self.low_open, other.low, other.low_open, lower=True)
        high, high_open = _tighter(
            self.high, self.high_open, other.high, other.high_open, lower=False
        )
        return Between(self.path, self.kind, low, low_open, high, high_open)


def _tighter(
    one: Bound | None, one_open: bool, other: Bound | None, other_open: bool, *, lower: bool
) -> tuple[Bound | None, bool]:
    if one is None or other is None:
        return (other, other_open) if one is None else (one, one_open)
    if one == other:
        return one, one_open or other_open
    return (one, one_open) if (one > other) is lower else (other, other_open)  # type: ignore[operator]


class Prefix(Simple):
    """A field is a text that begins with another."""

    __slots__ = ("prefix",)

    def __init__(self, path: Path, prefix: str) -> None:
        self.path = path
        self.prefix = prefix

    @property
    def shape(self) -> Shape:
        return (Prefix, self.path)

    @property
    def constants(self) -> tuple[Any, ...]:
        return (self.prefix,)

    @classmethod
    def remade(cls, shape: Shape, constants: tuple[Any, ...]) -> "Prefix":
        return cls(shape[1], constants[0])

    @staticmethod
    def source(shape: Shape, names: list[str]) -> str:
        return f"k is str and v.startswith({names[0]})"

    def holds(self, event: Event, now: float) -> bool:
        value = reader(self.path)(event)
        return type(value) is str and value.startswith(self.prefix)


_NUMBER = "(k is float or k is int)"
_SCALAR = "(k is str or k is float or k is int)"
_TYPES = {"number": _NUMBER, "text": "k is str"}
_FINITE = {"number": " and v - v == 0.0", "text": ""}  # NaN and infinities give NaN here


class Pattern(Predicate):
    """A field is a text in which a regex finds something."""

    __slots__ = ("_matches", "path", "pattern")

    def __init__(self, path: Path, pattern: str) -> None:
        self.path = path
        self.pattern = pattern
        self._matches: Callable[[object], Outcome] | None = None

    def holds(self, event: Event, now: float) -> bool:
        return self.matches(reader(self.path)(event))

    def matches(self, value: object) -> bool:
        """Whether it finds something in a value; the regex is compiled when first asked."""
        if self._matches is None:
            self._matches = compile_regex(self.pattern).matches
        return self._matches(value) is True


class Rest(Predicate):
    """Any other condition, compiled when first asked."""

    __slots__ = ("_node", "_program", "_wanted")

    def __init__(self, node: Encoded, wanted: bool) -> None:
        self._node = node
        self._wanted = wanted
        self._program: Program | None = None

    @property
    def quantified(self) -> bool:
        """Whether a quantifier stands in it."""
        waiting: list[object] = [self._node]
        while waiting:
            each = waiting.pop()
            if type(each) is list and each:
                if each[0] == QUANTIFIER:
                    return True
                waiting.extend(each)
        return False

    def holds(self, event: Event, now: float) -> bool:
        program = self._program
        if program is None:
            program = self._program = compile_condition(decoded(self._node))
        return program(Run(event, now)) is self._wanted


class Whole(Predicate):
    """A whole condition with quantifiers, whose budget depends on the order of its evaluation."""

    __slots__ = ("_matches",)

    def __init__(self, matches: Callable[[Event, float], Outcome]) -> None:
        self._matches = matches

    def holds(self, event: Event, now: float) -> bool:
        return self._matches(event, now) is True
