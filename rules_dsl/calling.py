"""Calls of functions: the arguments are looked at before, and the result after."""

from collections.abc import Callable, Sequence

from rules_dsl.evaluator import in_range
from rules_dsl.functions import Function, functions
from rules_dsl.functions.registry import BadArgument
from rules_dsl.kinds import name_of
from rules_dsl.run import Run
from rules_dsl.values import UNKNOWN, Absent, kind_of


def compile_call(name: str, programs: Sequence[Callable[[Run], object]]) -> Callable[[Run], object]:
    """The program of a call, from those of its arguments; unknown where it cannot be made."""
    called = functions()[name]

    def call(run: Run) -> object:
        arguments = [program(run) for program in programs]
        if run.steps:
            run.charge(*arguments)
        try:
            return apply(called, arguments, run.now)
        except BadArgument:
            return UNKNOWN

    return call


def apply(called: Function, arguments: Sequence[object], now: float) -> object:
    """The result of a call; BadArgument says why there is none."""
    for index, argument in enumerate(arguments):
        parameter = called.parameter(index)
        kind = kind_of(argument)
        if kind is None or kind not in parameter.kind:
            raise BadArgument(f"`{called.name}` takes {name_of(parameter.kind)}")
    clock = {called.clock: now} if called.clock else {}
    try:
        result = in_range(called.call(*arguments, **clock))
    except (ValueError, ArithmeticError) as error:  # more digits than Python converts; overflow
        raise BadArgument("the result is too large") from error
    if isinstance(result, Absent):
        raise BadArgument("the result is too large")
    return result
