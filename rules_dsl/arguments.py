"""The check of a call against the signature of its function."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Final

from rules_dsl import tree
from rules_dsl.errors import RuleError, did_you_mean
from rules_dsl.functions import Function, functions
from rules_dsl.functions.registry import BadArgument, Parameter
from rules_dsl.kinds import Kind, name_of
from rules_dsl.lexer import Token
from rules_dsl.source import Source, Span
from rules_dsl.spelling import mistake
from rules_dsl.tree import CONDITIONS, Expression
from rules_dsl.words import AGGREGATES, RESERVED, WINDOW_WORDS

_SYNONYMS: Final = {
    "size": "len", "int": "num", "float": "num", "number": "num", "string": "str", "strip": "trim",
    "dow": "weekday", "dayofweek": "weekday", "ceiling": "ceil", "in_cidr": "cidr", "join": "concat",
}  # fmt: skip

WINDOWED: Final = {
    **{name: f"{name}(amount) over 5m by user.id" for name in AGGREGATES if name != "count"},
    "count": WINDOW_WORDS["over"],
    "absent": WINDOW_WORDS["expect"],
    "seq": WINDOW_WORDS["within"],
}
_BEFORE_PARENTHESES: Final = RESERVED | WINDOWED.keys() | {"notify", "open", "where"}


def check_call(
    node: tree.Call,
    text: str,
    check_value: Callable[[Expression], None],
    kind_of: Callable[[Expression], Kind],
) -> Iterator[RuleError]:
    """The mistakes of one call; those inside its arguments are left to `check_value`."""
    for argument in node.arguments:
        check_value(argument)
    called = functions().get(node.name)
    if called is None and node.name in WINDOWED:
        hint = f"as in {WINDOWED[node.name]}"
        message = f"`{node.name}` looks at many events, and needs to be told of which time"
        yield RuleError(message, code="memory", text=text, span=node.span, hint=hint)
        return
    if called is None:
        span = Span(node.span.start, node.span.start + len(node.name))
        message = f"unknown function `{node.name}`"
        yield RuleError(message, code="function", text=text, span=span, hint=_known(node.name))
        return
    miscounted = _miscounted(called, len(node.arguments))
    if miscounted:
        hint = f"it is written {called.signature}"
        if node.name in AGGREGATES:
            hint += f", or {node.name}(x) over 5m for a window"
        yield RuleError(miscounted, code="arguments", text=text, span=node.span, hint=hint)
        return
    for index, argument in enumerate(node.arguments):
        refused = _refused(called, called.parameter(index), argument, kind_of(argument))
        if refused:
            yield RuleError(refused, code="arguments", text=text, span=argument.span)


def unknown_function(source: Source, found: Sequence[Token], offset: int) -> RuleError | None:
    """The first call of a function that there is not, in as much of a text as could be read as a rule.

    There a word and a parenthesis are a call, unless the word is one of the language's.
    """
    for word, following in pairwise(found):
        if following.start >= offset:
            return None
        if _is_call(word, following) and word.text not in functions():
            message = f"unknown function `{word.text}`"
            return mistake(
                source, word.start, word.end, message, _known(word.text), code="function"
            )
    return None


def _is_call(word: Token, following: Token) -> bool:
    named = word.kind == "word" and not word.after_dot and word.text not in _BEFORE_PARENTHESES
    return named and following.is_symbol("(")


def _known(name: str) -> str:
    """A hint for a function that there is not: the one that was meant, or else all there are."""
    synonym = _SYNONYMS.get(name.lower())
    if synonym:
        return f"did you mean `{synonym}`?"
    return did_you_mean(name.lower(), functions()) or f"functions are {', '.join(functions())}"


def _miscounted(called: Function, count: int) -> str | None:
    if count >= called.fewest and (called.most is None or count <= called.most):
        return None
    if called.most is None:
        takes = f"{called.fewest} or more arguments"
    elif called.most == called.fewest:
        takes = f"{called.fewest} argument{'s' * (called.fewest != 1)}"
    else:
        takes = f"{called.fewest} to {called.most} arguments"
    takes = "no arguments" if called.most == 0 else takes
    return f"`{called.name}` takes {takes}, not {count}"


def _refused(
    called: Function, parameter: Parameter, argument: Expression, kind: Kind
) -> str | None:
    if isinstance(argument, CONDITIONS):
        return None  # the value check has said so
    if not kind & parameter.kind:
        return f"`{called.name}` takes {name_of(parameter.kind)}, not {name_of(kind)}"
    if parameter.check and isinstance(argument, tree.Literal) and isinstance(argument.value, str):
        try:
            parameter.check.check(argument.value)
        except BadArgument as error:
            return str(error)
    return None
