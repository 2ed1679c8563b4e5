"""Mistakes of syntax in our own words, at the place where textX could read no further.

Each teller looks at the surroundings and says what is wrong, or leaves it to the next one. The
order is from the particular to the general; the last one always has something to say.
"""

from collections.abc import Callable, Sequence
from typing import Final

from rules_dsl.errors import RuleError, did_you_mean
from rules_dsl.lexer import Token
from rules_dsl.mistakes_after_then import tell_after_then
from rules_dsl.mistakes_memory import tell_memory
from rules_dsl.source import Source
from rules_dsl.spelling import mistake
from rules_dsl.telling import Telling
from rules_dsl.view import View
from rules_dsl.words import CLAUSES, OPERATOR_WORDS, QUANTIFIERS, RESERVED

EXAMPLE: Final = 'when amount > 500 then notify("slack:#orders")'
_QUANTIFIED: Final = "{} x in items: (x.price > 5)"
_SYNONYMS: Final = {
    "equals": "==", "eq": "==", "equal": "==", "ne": "!=", "gt": ">", "gte": ">=", "lt": "<",
    "lte": "<=", "like": "matches", "ilike": "icontains", "regex": "matches", "has": "contains",
    "includes": "contains", "include": "contains", "than": "then", "mod": "%", "div": "/",
    "plus": "+", "minus": "-", "do": "then", "between": "x >= 1 and x <= 5",
    "notify": "then notify",
}  # fmt: skip


def syntax_mistake(source: Source, tokens: Sequence[Token], offset: int, what: str) -> RuleError:
    """The mistake at the place where reading stopped."""
    at = next((i for i, token in enumerate(tokens) if token.end > offset), len(tokens))
    view = View(tokens, min(at, _head(tokens)) if what == "rule" else at, what)
    told = next(told for told in (teller(view) for teller in _TELLERS) if told)
    token = view.token
    # An unexpected end is placed just past the last character, where writing would go on.
    start = token.start if token else tokens[-1].end if tokens else 0
    end = token.end if token else start
    return mistake(source, start, end, told.message, told.hint, told.code)


def _head(tokens: Sequence[Token]) -> int:
    """The first token that no rule begins with, even where it could begin a condition."""
    head = 0
    if tokens and tokens[0].is_word("rule"):
        head = 2 if len(tokens) > 1 and tokens[1].kind == "text" else 1
    begun = head < len(tokens) and tokens[head].is_word("when")
    return len(tokens) if begun else head


def _tell_head(view: View) -> Telling | None:
    if not view.in_rule_head:
        return None
    if not view.tokens:
        return Telling("the rule is empty", f"a rule reads: {EXAMPLE}")
    if view.at == 0:
        first = view.tokens[0].text
        hint = did_you_mean(first, ["when"]) or f"a rule reads: {EXAMPLE}"
        return Telling("a rule begins with `when`", hint)
    if view.follows("rule"):
        return Telling("a rule's name is a string", 'write rule "Big orders" when …')
    return Telling("after a rule's name comes `when`", did_you_mean(view.word, ["when"]))


def _tell_whole_rule(view: View) -> Telling | None:
    if view.what != "rule" and view.at == 0 and view.at_word("when", "rule"):
        return Telling(f"a {view.what} is expected here, not a rule", "leave out `when` and `then`")
    return None


def _tell_path(view: View) -> Telling | None:
    if view.word == "." or view.follows("."):
        return Telling("after `.` comes the name of a field", 'or write ["any key"]')
    if view.word == "[" and view.after_value and not view.follows(")"):
        hint = 'write [0], [-1] or ["key"]'
        return Telling("in brackets stands a whole number or a key in quotes", hint)
    return None


def _tell_list(view: View) -> Telling | None:
    opened = view.opened
    if not (opened and opened.text == "["):
        return None
    if view.follows(",") and view.word == "]":
        return Telling("a list ends without a comma", "leave the last comma out")
    if view.follows("[", ","):
        hint = 'as in ["a", "b"] or [1, 2]'
        return Telling("a list holds numbers, strings and booleans only", hint)
    return Telling("expected `,` or `]` in this list", None) if view.token else None


def _tell_quantifier(view: View) -> Telling | None:
    steps = view.quantifier
    before = view.back(1)
    if steps is None or before is None:
        return None
    kind = view.tokens[view.at - steps].text
    hint = f"as in {_QUANTIFIED.format(kind)}"
    if steps == 1:
        if view.at_word(*RESERVED):
            return Telling(f"`{view.word}` is a reserved word and cannot be a name", hint)
        return Telling(f"after `{kind}` comes a name for the element", hint)
    if steps == 2:
        return Telling(f"after `{kind} {before.text}` comes `in`", hint)
    if view.follows("in") and (following := view.ahead(1)) and following.text == "(":
        return Telling(f"a `:` is missing after `{view.word}`", hint)
    if view.follows("in"):
        return Telling(f"`{kind}` takes the name of a list, or a list written out", hint)
    if view.follows(":"):
        return Telling("the tests on an element stand in parentheses", hint)
    return Telling("after the list comes `:`", hint)


def _tell_is(view: View) -> Telling | None:
    negated = view.follows("not") and (second := view.back(2)) is not None and second.is_word("is")
    if not (view.follows("is") or negated or (view.at_word("is"))):
        return None
    if view.at_word("is") and not view.after_value:
        return None
    following = view.ahead(1)
    negated = negated or (following is not None and following.is_word("not"))
    words = {token.text for token in (view.token, following, view.ahead(2)) if token}
    hint = f"to compare, write {'!=' if negated else '=='}"
    if words & {"missing", "exists", "empty", "undefined"}:
        hint = "write `missing x` or `exists x`"
    return Telling("`is` stands only in `is null` and `is not null`", hint)


def _tell_presence(view: View) -> Telling | None:
    if not view.follows("exists", "missing"):
        return None
    before = view.back(1)
    assert before is not None
    return Telling(f"`{before.text}` takes a field", f"as in {before.text} user.email")


def _tell_end(view: View) -> Telling | None:
    """The text ends, or `then` comes, before a condition is whole."""
    closing = view.token is None or view.token.is_word("then")
    if not (closing and view.after_value):
        return None
    if view.opened:
        closer = ")" if view.opened.text == "(" else "]"
        return Telling(f"a `{closer}` is missing", f"one `{view.opened.text}` is never closed")
    if view.what != "rule":
        return Telling(f"a {view.what} is expected here, not a rule", "leave out `then`")
    return Telling("`then` is missing", 'a rule ends with then notify("kind:address")')


def _tell_empty(view: View) -> Telling | None:
    """A template without a value, or a condition without a word."""
    if view.tokens:
        return None
    return Telling(f"a {view.what} is missing here", None)


def _tell_missing_value(view: View) -> Telling | None:
    """An operator, or an end, where a value should stand."""
    before = view.back(1)
    if view.after_value or view.at_value:
        return None
    if view.word == "+":
        return Telling("a number has no leading `+`", "leave it out")
    if view.at_word(*(RESERVED - {"and", "or", "then", "when"})):
        hint = f'a field of that name is written event["{view.word}"]'
        return Telling(f"`{view.word}` is a reserved word", hint)
    if before is None or before.is_word("when"):
        example = CLAUSES["resolve"] if view.in_resolve else EXAMPLE
        return Telling(f"a condition is missing before {_here(view)}", f"as in {example}")
    if before.is_symbol("(") and view.word == ")":
        return Telling("these parentheses are empty", None)
    return Telling(f"a value is missing after `{before.text}`", None)


def _here(view: View) -> str:
    return f"`{view.word}`" if view.token else "the end"


def _tell_not(view: View) -> Telling | None:
    token = view.token
    if token is None or not token.is_word("not"):
        return None
    if view.after_value:
        return Telling("`not` stands before the whole comparison", 'as in not name contains "x"')
    return None


def _tell_condition_as_value(view: View) -> Telling | None:
    token = view.token
    if token and token.is_word("not", "exists", "missing", *QUANTIFIERS) and not view.after_value:
        return Telling(
            "a value is expected here, not a condition",
            "a condition is true, false or unknown: it is not compared or passed on",
        )
    return None


def _tell_chain(view: View) -> Telling | None:
    if view.after_value and view.at_operator and view.compared:
        return Telling("comparisons do not chain", "write them with `and`: 1 < a and a < 5")
    return None


def _tell_method(view: View) -> Telling | None:
    before = view.back(1)
    if view.word == "(" and before and before.kind == "word" and before.after_dot:
        hint = "a function stands before its arguments, as in len(items)"
        return Telling(f"`{before.text}` is a field and cannot be called", hint)
    return None


def _tell_open_string(view: View) -> Telling | None:
    """A string that ran on to the next quote, and what was to be quoted stands bare after it."""
    before, token = view.back(1), view.token
    if before and token and before.kind == "text" and before.end == token.start:
        hint = "a quote is missing, or one inside the string lacks its backslash"
        return Telling(f"a string ends just before `{_cut(token.text)}`", hint)
    return None


def _tell_two_values(view: View) -> Telling | None:
    if not (view.after_value and view.at_value):
        return None
    words = OPERATOR_WORDS | {"and", "or", "then", "not", "is"}
    hint = None
    if view.token and view.token.kind == "word":
        synonym = _SYNONYMS.get(view.word.lower())
        hint = f"write `{synonym}`" if synonym else did_you_mean(view.word, words)
    before = view.back(1)
    if hint is None and before and before.kind == "word" and not before.after_dot:
        hint = did_you_mean(before.text, words)
    message = f"an operator is missing before `{_cut(view.word)}`"
    return Telling(message, hint or "join conditions with `and` or `or`, and end them with `then`")


def _cut(word: str) -> str:
    return word if len(word) <= 30 else word[:29] + "…"


def _tell_closing(view: View) -> Telling | None:
    opened = view.opened
    if view.word not in (")", "]") or (opened and opened.text + view.word in ("()", "[]")):
        return None
    opener = {")": "(", "]": "["}[view.word]
    return Telling(f"this `{view.word}` has no `{opener}` before it", None)


def _tell_comma(view: View) -> Telling | None:
    if view.word == "," and view.after_value and not view.opened:
        return Telling("a comma joins no conditions", "write `and` or `or`")
    return None


def _tell_anything(view: View) -> Telling:
    return Telling(f"{_here(view)} has no place here", None)


_TELLERS: Final[tuple[Callable[[View], Telling | None], ...]] = (
    _tell_head, _tell_empty, _tell_whole_rule, tell_after_then, tell_memory, _tell_path,
    _tell_list, _tell_quantifier, _tell_is, _tell_presence, _tell_closing, _tell_end,
    _tell_missing_value, _tell_not, _tell_condition_as_value, _tell_chain, _tell_method,
    _tell_open_string, _tell_two_values, _tell_comma, _tell_anything,
)  # fmt: skip
