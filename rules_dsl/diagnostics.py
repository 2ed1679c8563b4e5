"""Diagnostics: what an editor shows under a rule while it is written."""

from typing import TypedDict

from rules_dsl.checker import CheckTarget, check_sentence
from rules_dsl.errors import RuleError
from rules_dsl.lint import lint_sentence
from rules_dsl.parser import parse_sentence
from rules_dsl.recursion import room_to_recurse
from rules_dsl.tree import Sentence


class Diagnostic(TypedDict):
    """One error or warning, and where it stands; columns count from 1, the end is exclusive."""

    line: int
    column: int
    end_column: int
    severity: str
    code: str
    message: str
    hint: str | None


def diagnostics(text: str, check_target: CheckTarget | None = None) -> list[Diagnostic]:
    """All that is wrong with a rule; when nothing is, what is worth a second look."""
    with room_to_recurse():
        try:
            sentence = parse_sentence(text)
        except RuleError as error:
            return [_diagnostic(error, "error")]
        errors = check_sentence(sentence, text, check_target)
        if errors:
            return [_diagnostic(error, "error") for error in errors]
        return _warnings(sentence, text)


def _warnings(sentence: Sentence, text: str) -> list[Diagnostic]:
    return [
        _diagnostic(
            RuleError(each.message, code=each.code, text=text, span=each.span, hint=each.hint),
            "warning",
        )
        for each in lint_sentence(sentence)
    ]


def _diagnostic(error: RuleError, severity: str) -> Diagnostic:
    return {
        "line": error.line,
        "column": error.column,
        "end_column": error.end_column,
        "severity": severity,
        "code": error.code,
        "message": error.message,
        "hint": error.hint,
    }
