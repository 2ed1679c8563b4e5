"""The functions of the language: how one is declared, and what its signature says.

A function is a decorated, annotated Python function. Its annotations feed the checker, its
docstring the reference and the editor's completion; nothing else needs to know of it.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Final, TypeAlias, TypeVar, Union, get_args, get_origin

from rules_dsl.kinds import Kind

Number: TypeAlias = int | float

_Function = TypeVar("_Function", bound=Callable[..., object])


class BadArgument(Exception):
    """An argument of the right kind that a function can do nothing with; the call is unknown."""


@dataclass(frozen=True, slots=True)
class LiteralCheck:
    """A check of an argument that is written out, so that a bad one is refused at save.

    It raises BadArgument as the function itself would.
    """

    check: Callable[[str], object]


@dataclass(frozen=True, slots=True)
class _Clock:
    """The mark of a parameter that is the evaluation's `now`, and is not written in a rule."""


Now: TypeAlias = Annotated[float, _Clock()]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: its name, the kinds it takes, and whether it may be left out or repeated."""

    name: str
    kind: Kind
    optional: bool
    repeated: bool
    check: LiteralCheck | None


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the language."""

    name: str
    call: Callable[..., object]
    parameters: tuple[Parameter, ...]
    result: Kind
    clock: str | None  # the name of the parameter that is handed `now`
    summary: str
    family: str

    @property
    def signature(self) -> str:
        """How it is written: `round(x)`, `hour(time, [zone])`, `min(first, second, …)`."""
        return f"{self.name}({', '.join(_written(parameter) for parameter in self.parameters)})"

    @property
    def fewest(self) -> int:
        """How many arguments it needs."""
        return sum(not (each.optional or each.repeated) for each in self.parameters)

    @property
    def most(self) -> int | None:
        """How many arguments it takes; None when there is no limit."""
        return None if any(each.repeated for each in self.parameters) else len(self.parameters)

    def parameter(self, index: int) -> Parameter:
        """The parameter of the argument at an index."""
        return self.parameters[min(index, len(self.parameters) - 1)]


_registry: Final[dict[str, Function]] = {}


def registered() -> Mapping[str, Function]:
    """All functions declared so far, by name."""
    return _registry


def function(declared: _Function) -> _Function:
    """Declare a function of the language; a trailing `_` spares Python's own names."""
    name = declared.__name__.rstrip("_")
    hints = inspect.get_annotations(declared, eval_str=True)
    result = _kind(hints.pop("return"))
    parameters = inspect.signature(declared).parameters
    _registry[name] = Function(
        name=name,
        call=declared,
        parameters=tuple(
            _parameter(parameters[each], hint)
            for each, hint in hints.items()
            if not _mark(hint, _Clock)
        ),
        result=result,
        clock=next((each for each, hint in hints.items() if _mark(hint, _Clock)), None),
        summary=inspect.cleandoc(declared.__doc__ or ""),
        family=declared.__module__.rpartition(".")[2],
    )
    return declared


def _parameter(declared: inspect.Parameter, hint: Any) -> Parameter:
    check = _mark(hint, LiteralCheck)
    return Parameter(
        name=declared.name.rstrip("_"),
        kind=_kind(hint),
        optional=declared.default is not inspect.Parameter.empty,
        repeated=declared.kind is inspect.Parameter.VAR_POSITIONAL,
        check=check if isinstance(check, LiteralCheck) else None,
    )


def _mark(hint: Any, kind: type) -> object:
    marks = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    return next((mark for mark in marks if isinstance(mark, kind)), None)


def _kind(hint: Any) -> Kind:
    origin = get_origin(hint)
    if origin is Annotated:
        return _kind(get_args(hint)[0])
    if origin in (UnionType, Union):
        kinds = [_kind(each) for each in get_args(hint)]
        return kinds[0] if len(kinds) == 1 else _union(kinds)
    return _KINDS[origin or hint]


def _union(kinds: list[Kind]) -> Kind:
    union = kinds[0]
    for kind in kinds[1:]:
        union |= kind
    return union


def _written(parameter: Parameter) -> str:
    if parameter.repeated:
        return "…"
    return f"[{parameter.name}]" if parameter.optional else parameter.name


_KINDS: Final[dict[Any, Kind]] = {
    int: Kind.NUMBER,
    float: Kind.NUMBER,
    str: Kind.TEXT,
    bool: Kind.BOOLEAN,
    list: Kind.LIST,
    dict: Kind.OBJECT,
}
