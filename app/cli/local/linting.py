"""Lint of rules in files: what each has of its own, what two have in common, and what events never had."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from app.cli.local.rulefiles import Loaded
from app.client import Client
from rules_dsl.kinds import Kind
from rules_dsl.lint import LintWarning, lint_sentence
from rules_dsl.overlap import overlaps
from rules_dsl.seen import Seen, SeenField, lint_by_seen, types_of
from rules_dsl.source import line_and_column
from rules_dsl.tree import Sentence

_KINDS: Final = {
    "number": Kind.NUMBER,
    "string": Kind.TEXT,
    "boolean": Kind.BOOLEAN,
    "array": Kind.LIST,
    "object": Kind.OBJECT,
    "null": Kind.NULL,
}
# Past so many values, and past so many letters, the server tells no more.
_EXAMPLES: Final = 5
_LONGEST_EXAMPLE: Final = 100


@dataclass(frozen=True)
class Finding:
    """Something worth a second look, and where it stands in a file."""

    rule: Loaded
    warning: LintWarning

    @property
    def place(self) -> tuple[int, int]:
        """The line and column in the file."""
        at = self.rule.found.place(self.warning.span.start)
        return line_and_column(self.rule.text, at)

    def __str__(self) -> str:
        line, column = self.place
        told = f"{self.rule.path}:{line}:{column}: {self.warning.message} [{self.warning.code}]"
        return f"{told}\n  {self.warning.hint}"

    def to_json(self) -> dict[str, Any]:
        """The finding as JSON."""
        line, column = self.place
        return {
            "file": self.rule.path,
            "rule": self.rule.found.name,
            "line": line,
            "column": column,
            "code": self.warning.code,
            "message": self.warning.message,
            "hint": self.warning.hint,
        }


def lint(loaded: Sequence[Loaded], seen: Seen | None = None) -> list[Finding]:
    """All findings, in the order of the files."""
    found = [Finding(rule, each) for rule in loaded for each in lint_sentence(_tree(rule))]
    found += _overlaps(loaded)
    if seen is not None:
        found += [
            Finding(rule, each) for rule in loaded for each in lint_by_seen(_tree(rule), seen)
        ]
    order = {rule.path: number for number, rule in enumerate(loaded)}
    return sorted(found, key=lambda each: (order[each.rule.path], each.place))


def seen_by(client: Client, loaded: Sequence[Loaded]) -> Seen:
    """What the server has seen in events of the types that the rules name; raises `ApiError`."""
    types = sorted({name for rule in loaded for name in types_of(_tree(rule))})
    answers = {name: client.fields(type_=name) for name in types}
    return {name: seen_in(answer) for name, answer in answers.items() if answer["events"]}


def seen_in(answer: Mapping[str, Any]) -> dict[str, SeenField] | None:
    """What an answer of `GET /fields` tells; None where the server could not look at all of it."""
    if not answer["whole"]:
        return None
    return {str(each["path"]): _field(each) for each in answer["fields"]}


def _field(told: Mapping[str, Any]) -> SeenField:
    kinds = Kind(0)
    for name in told["types"]:
        kinds |= _KINDS[name]
    examples = told["examples"]
    all_of_them = (
        len(examples) < _EXAMPLES
        and not kinds & (Kind.LIST | Kind.OBJECT)
        and not any(isinstance(each, str) and len(each) >= _LONGEST_EXAMPLE for each in examples)
    )
    return SeenField(kinds, frozenset(examples) if all_of_them else None)


def _overlaps(loaded: Sequence[Loaded]) -> Iterator[Finding]:
    for each in overlaps([_tree(rule) for rule in loaded]):
        first = loaded[each.first]
        told = "is the same" if each.same else "is true where this one is, or the other way round"
        message = f'`{each.target}` hears twice: the condition of "{first.found.name}" {told}'
        hint = f"see {first.path}:{first.line(first.found.span.start)}"
        warning = LintWarning("overlap", message, hint, each.span)
        yield Finding(loaded[each.second], warning)


def _tree(rule: Loaded) -> Sentence:
    return rule.found.rule.tree
