"""The limits that a text must keep before and after it is read."""

from collections.abc import Sequence
from typing import Final

from rules_dsl.errors import RuleError
from rules_dsl.lexer import Token
from rules_dsl.source import Source
from rules_dsl.spelling import mistake
from rules_dsl.tree import And, Arithmetic, Default, Expression, Or, children
from rules_dsl.words import OPERATOR_WORDS

MOST_BYTES: Final = 16_384
MOST_REGEX_BYTES: Final = 1_024
DEEPEST: Final = 64
MOST_NODES: Final = 1_000


def oversize(source: Source) -> RuleError | None:
    """The mistake of a text that is too long, or that no UTF-8 can hold."""
    for index, character in enumerate(source.text):
        if character == "\0" or "\ud800" <= character <= "\udfff":
            message = f"a rule cannot hold the character U+{ord(character):04X}"
            return mistake(source, index, index + 1, message, None)
    size = len(source.text.encode())
    if size <= MOST_BYTES:
        return None
    at = len(source.text.encode()[:MOST_BYTES].decode(errors="ignore"))
    message = f"a rule has at most {MOST_BYTES:,} bytes, this one has {size:,}"
    return mistake(source, at, at + 1, message, "make two rules of it", "limit")


def too_deep(source: Source, tokens: Sequence[Token]) -> RuleError | None:
    """The mistake of a text whose parentheses, calls, `not` and `-` nest too deep."""
    opened: list[int] = []  # the weight of each open parenthesis: itself and its own signs
    nots = [0]  # how many `not` are open, outside and inside each of them
    signs = 0
    for index, token in enumerate(tokens):
        if _is_sign(tokens, index):
            signs += 1
        elif token.is_symbol("("):
            opened.append(1 + signs)
            nots.append(0)
            signs = 0
        else:
            signs = 0
            _close(token, opened, nots)
            nots[-1] += _is_negation(tokens, index)
        if token.text in _DEEPENING and sum(opened) + sum(nots) + signs > DEEPEST:
            message = f"a rule nests at most {DEEPEST} deep"
            return mistake(source, token.start, token.end, message, "split the rule", "limit")
    return None


def too_many_nodes(source: Source, expressions: Sequence[Expression]) -> RuleError | None:
    """The mistake of a rule with more operators, literals, paths and calls than one may have."""
    count = 0
    waiting = list(reversed(expressions))
    while waiting:
        node = waiting.pop()
        count += _weight(node)
        if count > MOST_NODES:
            message = f"a rule has at most {MOST_NODES:,} operators, values and calls"
            hint = "make two rules of it"
            return RuleError(message, code="limit", text=source.whole, span=node.span, hint=hint)
        waiting.extend(reversed(children(node)))
    return None


def _weight(node: Expression) -> int:
    match node:
        case Arithmetic() | Default():
            return len(node.operands) - 1
        case And() | Or():
            return len(node.items) - 1
        case _:
            return 1


_DEEPENING: Final = ("(", "not", "-")
_ENDING: Final = ("and", "or", "then")
_BEFORE_SIGN: Final = ("when", "and", "or", "not", *sorted(OPERATOR_WORDS))


def _close(token: Token, opened: list[int], nots: list[int]) -> None:
    """Leave what a token ends: a parenthesis, or the operand of the `not` before it."""
    if token.is_symbol(")") and opened:
        opened.pop()
        nots.pop()
    elif token.is_word(*_ENDING) or token.is_symbol(","):
        nots[-1] = 0


def _is_negation(tokens: Sequence[Token], index: int) -> bool:
    """Whether a word is the `not` of logic, and not that of `not in` or `is not null`."""
    if not tokens[index].is_word("not"):
        return False
    after_is = index > 0 and tokens[index - 1].is_word("is")
    before_in = index + 1 < len(tokens) and tokens[index + 1].is_word("in")
    return not (after_is or before_in)


def _is_sign(tokens: Sequence[Token], index: int) -> bool:
    """Whether a `-` turns one value round, and does not stand between two."""
    if not tokens[index].is_symbol("-"):
        return False
    before = tokens[index - 1] if index else None
    if before is None or before.is_word(*_BEFORE_SIGN):
        return True
    return before.kind == "symbol" and before.text not in ")]"
