"""Mistakes in what looks at many events: windows, `absent`, `seq`, `for`, and their clauses."""

from typing import Final

from rules_dsl.lexer import Token
from rules_dsl.telling import Telling
from rules_dsl.view import View
from rules_dsl.words import AGGREGATES, CLAUSES, RESERVED, WINDOW_WORDS

_TIMED: Final = ("over", "offset", "within", "for", "per", "after", "group")
_UNITS: Final = "as in {} 5m"
_SEQUENCE: Final = f"as in {WINDOW_WORDS['within']}"
# How many tokens a clause has at least.
_SHORTEST: Final = {"throttle": 4, "group": 2, "during": 4, "unless": 5, "resolve": 3}


def tell_memory(view: View) -> Telling | None:
    """The mistake near a word that means something at its place only."""
    for teller in (_tell_ending, _tell_by, _tell_step, _tell_call, _tell_place):
        told = teller(view)
        if told:
            return told
    return None


def tell_clause(view: View) -> Telling | None:
    """The mistake in a clause that is begun and not finished."""
    for steps in range(1, view.at + 1):
        token = view.tokens[view.at - steps]
        if token.is_word("then"):
            return None
        if token.is_word(*_SHORTEST):
            unfinished = steps < _SHORTEST[token.text] or view.follows(",", "by", "otherwise")
            told = tell_memory(view) if unfinished else None
            whole = Telling(f"`{token.text}` reads otherwise", f"as in {CLAUSES[token.text]}")
            return told or (whole if unfinished else None)
    return None


def _tell_ending(view: View) -> Telling | None:
    """A word that a duration should follow."""
    before, earlier = view.back(1), view.back(2)
    if before is None or not before.is_word(*_TIMED) or not _ends(earlier, before):
        return None
    return Telling(f"after `{before.text}` comes a duration", _UNITS.format(before.text))


def _ends(earlier: Token | None, word: Token) -> bool:
    """Whether what stands before a word lets it be more than a field's name."""
    if earlier is None:
        return False
    if word.text in ("over", "within"):
        return earlier.is_symbol(")")
    return earlier.kind in ("number", "text", "word") or earlier.is_symbol(")", "]")


def _tell_by(view: View) -> Telling | None:
    before, earlier = view.back(1), view.back(2)
    if before is None or earlier is None or not before.is_word("by"):
        return None
    named = view.in_resolve and earlier.kind == "word" and earlier.text not in RESERVED
    if not (named or earlier.kind in ("number", "text") or earlier.is_symbol(")")):
        return None
    if view.token and view.token.kind == "word" and not view.at_word(*RESERVED):
        return Telling("a key is made of fields alone", "as in by user.id, region")
    return Telling("after `by` comes a field", "as in by user.id")


def _tell_step(view: View) -> Telling | None:
    """What stands inside `seq(`."""
    opened = _opened(view)
    if opened is None or not opened.is_word("seq"):
        return None
    if view.follows("(", "->") or (view.word == ":" and view.follows("not")):
        return Telling("a step has a name and a condition", _SEQUENCE)
    before = view.back(2)
    if before and before.is_symbol("(", "->"):
        return Telling("after a step's name comes `:`", _SEQUENCE)
    # What comes after the whole rule's `then` is a notification, and no step.
    follower = view.ahead(1)
    if view.word in (",", ";") or (
        view.at_word("then") and follower and not follower.is_word("notify")
    ):
        return Telling("between two steps stands `->`", _SEQUENCE)
    return None


def _tell_call(view: View) -> Telling | None:
    """The end of `seq(…)` or `absent(…)` without what must follow it."""
    if not view.follows(")"):
        return None
    depth = 0
    for steps in range(1, view.at + 1):
        token = view.tokens[view.at - steps]
        depth += token.is_symbol(")") - token.is_symbol("(")
        if depth == 0:
            name = view.back(steps + 1)
            if name is not None and name.is_word(*AGGREGATES) and view.at_word("within"):
                return Telling("a window is `over` a time", f"as in {WINDOW_WORDS['over']}")
            if name is None or not name.is_word("seq", "absent"):
                return None
            word = "within" if name.text == "seq" else "for"
            example = WINDOW_WORDS["within" if word == "within" else "expect"]
            return (
                None
                if view.at_word(word)
                else Telling(f"after `{name.text}(…)` comes `{word}`", f"as in {example}")
            )
    return None


def _tell_place(view: View) -> Telling | None:
    """One of the words where it means nothing."""
    held = view.back(2)
    if view.at_word("and", "or") and held and held.is_word("for") and not view.after_then:
        hint = "`for` closes the whole condition, and stands at its very end"
        return Telling("the condition is over", hint)
    in_clause = view.after_then and not view.in_resolve
    if in_clause or not (view.at_word(*WINDOW_WORDS) and view.after_value):
        return None
    return Telling(f"`{view.word}` has no place here", f"as in {WINDOW_WORDS[view.word]}")


def _opened(view: View) -> Token | None:
    """The word before the innermost parenthesis that is open."""
    depth = 0
    for steps in range(1, view.at + 1):
        token = view.tokens[view.at - steps]
        depth += token.is_symbol(")") - token.is_symbol("(")
        if depth < 0:
            return view.back(steps + 1)
    return None
