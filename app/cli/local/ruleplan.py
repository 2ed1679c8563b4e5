"""What it takes to make the server's rules those of files: rules to create, change, rename and delete."""

import difflib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.cli.local.rulefiles import Loaded, canonical, of_file
from app.client import RuleInfo
from rules_dsl import RuleError
from rules_dsl.head import Lines


@dataclass(frozen=True)
class Step:
    """One change: without `new` a deletion, without `old` a new rule."""

    old: RuleInfo | None
    new: Loaded | None

    @property
    def kind(self) -> str:
        """What is done."""
        if self.old is None:
            return "create"
        if self.new is None:
            return "delete"
        return "change" if self.old.name == self.new.found.name else "rename"

    @property
    def title(self) -> str:
        """Which rule, and both names where it gets another."""
        names = [
            each for each in (self.old and self.old.name, self.new and self.new.found.name) if each
        ]
        return " to ".join(f'"{name}"' for name in dict.fromkeys(names))

    def difference(self) -> Iterator[str]:
        """The lines of a unified diff of both, as the formatter writes them."""
        before = of_server(self.old).split("\n") if self.old else []
        after = of_file(self.new).split("\n") if self.new else []
        server = f"server: {self.old.name}" if self.old else "/dev/null"
        file = f"{self.new.path}: {self.new.found.name}" if self.new else "/dev/null"
        return difflib.unified_diff(before, after, server, file, lineterm="", n=10)

    def to_json(self) -> dict[str, Any]:
        """The step as JSON."""
        return {
            "kind": self.kind,
            "name": self.new.found.name if self.new else self.old and self.old.name,
            "was": self.old.name if self.old else None,
            "id": self.old.id if self.old else None,
            "file": self.new.path if self.new else None,
            "diff": list(self.difference()),
        }


@dataclass(frozen=True)
class Plan:
    """All steps, and the rules that only the server has and that stay."""

    steps: list[Step] = field(default_factory=list)
    kept: list[RuleInfo] = field(default_factory=list)
    unchanged: int = 0

    def count(self) -> str:
        """`2 to create, 1 to change`."""
        counts = Counter(step.kind for step in self.steps)
        parts = [f"{number} to {kind}" for kind, number in counts.items()]
        return ", ".join([*parts, f"{self.unchanged} as on the server"])


def plan_of(files: Sequence[Loaded], server: Sequence[RuleInfo], *, prune: bool) -> Plan:
    """What `apply` does; rules that only the server has are touched with `prune` alone."""
    there = {rule.name: rule for rule in server}
    fresh = [each for each in files if each.found.name not in there]
    extra = [rule for rule in server if rule.name not in {each.found.name for each in files}]
    both = [(there[each.found.name], each) for each in files if each.found.name in there]
    changed = [Step(old, new) for old, new in both if of_server(old) != of_file(new)]
    unchanged = len(both) - len(changed)
    created = [Step(None, each) for each in fresh]
    if not prune:
        return Plan([*changed, *created], extra, unchanged)
    renamed = _renamed(fresh, extra)
    created = [step for step in created if step.new not in [each.new for each in renamed]]
    gone = [Step(rule, None) for rule in extra if rule not in [each.old for each in renamed]]
    return Plan([*renamed, *changed, *created, *gone], [], unchanged)


def lines_of(rule: RuleInfo) -> Lines:
    """What a file says about a rule of the server."""
    return Lines(rule.description, rule.tags, rule.mode, rule.noise_budget)


def of_server(rule: RuleInfo) -> str:
    """A rule of the server as it is compared and exported; as it is where this release refuses its sentence."""
    try:
        return canonical(rule.name, rule.dsl, lines_of(rule), rule.tests)
    except RuleError:
        return f"# This release refuses it.\n{rule.dsl}"


def _renamed(fresh: Sequence[Loaded], extra: Sequence[RuleInfo]) -> list[Step]:
    """A new name for the very sentence of a rule that would be deleted, where only one can be meant."""
    by_sentence: dict[str, list[RuleInfo]] = {}
    for rule in extra:
        by_sentence.setdefault(_sentence(rule.dsl), []).append(rule)
    wanted = Counter(_sentence(each.found.dsl) for each in fresh)
    steps = []
    for each in fresh:
        sentence = _sentence(each.found.dsl)
        found = by_sentence.get(sentence, [])
        if len(found) == 1 and wanted[sentence] == 1:
            steps.append(Step(found[0], each))
    return steps


def _sentence(dsl: str) -> str:
    try:
        return canonical("", dsl, Lines(), "")
    except RuleError:
        return dsl
