"""Mistakes after `then`: in targets and clauses."""

from typing import Final

from rules_dsl.errors import did_you_mean
from rules_dsl.mistakes_memory import tell_clause
from rules_dsl.telling import Telling
from rules_dsl.view import View
from rules_dsl.words import CLAUSES, SEVERITIES

_NOTIFY: Final = 'as in notify("slack:#orders")'
_RESOLVED: Final = 'as in notify("slack:#orders", resolved: true)'


def tell_after_then(view: View) -> Telling | None:
    """The mistake in what a rule does; None while the condition goes on."""
    if not view.after_then or view.in_resolve:
        return None
    begun = tell_clause(view)
    if begun:
        return begun
    if view.follows("then", "notify") or (view.follows(",") and view.opened is None):
        return _tell_notify(view)
    if view.opened:
        return _tell_argument(view)
    return _tell_clause(view)


def _tell_notify(view: View) -> Telling:
    if view.follows("notify"):
        return Telling("after `notify` come its targets in parentheses", _NOTIFY)
    hint = did_you_mean(view.word, ["notify"]) or _NOTIFY
    before = "`then`" if view.follows("then") else "`,`"
    return Telling(f"after {before} comes notify(…)", hint)


def _tell_argument(view: View) -> Telling:
    before = view.back(1)
    if view.follows("resolved"):
        return Telling("after `resolved` comes `: true`", "as in resolved: true")
    if view.follows(":"):
        return Telling("`resolved` is true or false", "as in resolved: true")
    if view.token is None:
        return Telling("a `)` is missing", "one `(` is never closed")
    if view.at_word("resolved") and not view.follows(","):
        return Telling("`resolved` stands after the targets", _RESOLVED)
    if view.follows("(", ","):
        if view.word == ")":
            return Telling("a target is missing here", _NOTIFY)
        return Telling("a target is a string", _NOTIFY)
    if before and before.is_word("true", "false"):
        return Telling("`resolved` is the last argument of `notify`", _RESOLVED)
    return Telling("expected `,` or `)` after a target", None)


def _tell_clause(view: View) -> Telling:
    if view.follows("message"):
        return Telling("`message` takes a string", 'as in message "Order {{ order.id }}"')
    if view.follows("severity"):
        return Telling(f"`severity` takes one of {', '.join(SEVERITIES)}", "as in severity high")
    if view.at_word("notify"):
        return Telling("a comma is missing before this `notify`", "write notify(…), notify(…)")
    if view.at_word("and", "or"):
        hint = "further targets follow a comma; conditions stand before `then`"
        return Telling("the condition is over", hint)
    if view.at_word("when", "rule", "then"):
        return Telling("a text holds one rule", "write the next one on its own")
    hint = did_you_mean(view.word, CLAUSES) or f"clauses are {', '.join(CLAUSES)}"
    return Telling(f"`{view.word}` is no clause", hint)
