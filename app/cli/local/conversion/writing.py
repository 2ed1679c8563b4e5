"""What is read elsewhere, written as a rule of a file."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from app.cli.local.conversion.conditions import Refused
from app.cli.local.told import plain
from rules_dsl import RuleError, read_rules_file


@dataclass(frozen=True)
class Wish:
    """All that a rule of another system says, as far as it can be said here; `notes` tell of the rest."""

    name: str
    condition: str
    clauses: Sequence[str] = ()
    description: str = ""
    tags: Sequence[str] = ()
    severity: str | None = None
    off: bool = False
    targets: Sequence[str] = ()
    notes: list[str] = field(default_factory=list)


def rule_of(wish: Wish, targets: Sequence[str]) -> str:
    """The rule as a file holds it, below its notes, telling `targets` where it has none; raises `Refused`."""
    lines = [f"rule {_quoted(wish.name)}"]
    if wish.description:
        lines.append(f"description {_quoted(' '.join(wish.description.split()))}")
    if wish.tags:
        lines.append(f"tags {', '.join(map(_quoted, wish.tags))}")
    if wish.off:
        lines.append("mode off")
    lines.append(f"when {wish.condition}")
    lines.append(f"then notify({', '.join(map(_quoted, wish.targets or targets))})")
    if wish.severity:
        lines.append(f"severity {wish.severity}")
    lines += wish.clauses
    try:
        [found] = read_rules_file("\n".join(lines))
    except RuleError as error:
        raise Refused(error.message) from error
    return "\n".join([*(comment(note) for note in wish.notes), found.format()])


def comment(text: str) -> str:
    """One line that says nothing to the reader of rules, whatever stands in it."""
    return f"# {plain(' '.join(text.split()))}"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
