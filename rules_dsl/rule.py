"""Rules and conditions, ready to be asked about events."""

from collections.abc import Mapping
from typing import Final

from rules_dsl import serialize, tree
from rules_dsl.checker import CheckTarget, check_condition, check_sentence
from rules_dsl.compiler import Program, compile_condition, compile_value
from rules_dsl.evaluator import Outcome
from rules_dsl.explain import explain
from rules_dsl.explanation import Explanation
from rules_dsl.format import format_expression, format_sentence
from rules_dsl.parser import parse_expression, parse_sentence
from rules_dsl.recursion import room_to_recurse
from rules_dsl.run import BudgetSpent, Now, Run, clock
from rules_dsl.tree import Expression, Target
from rules_dsl.values import as_text
from rules_dsl.words import DEFAULT_SEVERITY

_LONGEST_MESSAGE: Final = 65_536


class Condition:
    """A condition on events, and its text."""

    __slots__ = ("_program", "text", "tree")

    def __init__(self, text: str, tree: Expression) -> None:
        self.text = text
        self.tree = tree
        self._program: Program | None = None

    def matches(self, event: Mapping[str, object], now: Now = None) -> Outcome:
        """Whether it is true of an event; None when that is unknown."""
        try:
            return self.judge(event, now)
        except (BudgetSpent, RecursionError):  # the latter from a caller deep in its own stack
            return None

    def judge(self, event: Mapping[str, object], now: Now = None) -> Outcome:
        """Likewise, for a caller who wants to know what cut an evaluation short: it is raised."""
        program = self._program
        if program is None:
            program = self._program = compile_condition(self.tree)
        return program(Run(event, clock(now)))

    def explain(self, event: Mapping[str, object], now: Now = None) -> Explanation:
        """Why it is true, false or unknown of an event."""
        with room_to_recurse():
            return explain(self.text, self.tree, event, clock(now))

    def format(self) -> str:
        """The condition as the formatter writes it."""
        with room_to_recurse():
            return format_expression(self.tree)


class Rule:
    """One rule: a condition, and who hears what when it is true."""

    __slots__ = ("_condition", "_stored", "_tree", "text")

    def __init__(self, text: str, tree: tree.Sentence | str) -> None:
        """The tree may be given as it is stored; it is then read when first asked for."""
        self.text = text
        self._stored = tree if isinstance(tree, str) else None
        self._tree = None if isinstance(tree, str) else tree
        self._condition: Condition | None = None

    @property
    def tree(self) -> tree.Sentence:
        """The checked tree of the whole rule."""
        if self._tree is None:
            assert self._stored is not None
            with room_to_recurse():
                self._tree = serialize.load_tree(self._stored)
        return self._tree

    @property
    def condition(self) -> Condition:
        """What must be true for the rule to fire."""
        if self._condition is None:
            self._condition = Condition(self.text, self.tree.condition)
        return self._condition

    def encoded_condition(self) -> serialize.Encoded:
        """The condition as it is stored, which is read anew each time and not kept."""
        if self._stored is not None:
            return serialize.load_condition(self._stored)
        return serialize.encoded(self.tree.condition)

    @property
    def has_memory(self) -> bool:
        """Whether it looks at more than the one event, and so needs a machine (`rules_dsl.memory`)."""
        if self._stored is not None:
            return serialize.is_marked(self._stored)
        return serialize.has_memory(self.tree)

    @property
    def name(self) -> str | None:
        """The name before its `when`, if one is written there."""
        return self.tree.name

    @property
    def severity(self) -> str:
        """How grave a match is."""
        return self.tree.severity or DEFAULT_SEVERITY

    @property
    def targets(self) -> tuple[Target, ...]:
        """All who are notified, in the order of the text."""
        return tuple(target for notify in self.tree.notifies for target in notify.targets)

    def matches(self, event: Mapping[str, object], now: Now = None) -> Outcome:
        """Whether the rule fires on an event: only True does; None is unknown."""
        return self.condition.matches(event, now)

    def judge(self, event: Mapping[str, object], now: Now = None) -> Outcome:
        """Likewise, but what cuts the evaluation short is raised."""
        return self.condition.judge(event, now)

    def explain(self, event: Mapping[str, object], now: Now = None) -> Explanation:
        """Why the rule does or does not fire on an event, clause by clause."""
        return self.condition.explain(event, now)

    def render_message(self, event: Mapping[str, object], now: Now = None) -> str | None:
        """The rule's message about an event; None when it has none.

        Cut at 64 KiB of characters: a rule may name a large field many times over.
        """
        if self.tree.message is None:
            return None
        run = Run(event, clock(now))
        written: list[str] = []
        room = _LONGEST_MESSAGE
        for part in self.tree.message.parts:
            # One letter past the end tells that it was cut; all that follows need not be made.
            text = part if isinstance(part, str) else as_text(compile_value(part)(run))
            written.append(text[: room + 1])
            room -= len(text)
            if room < 0:
                break
        whole = "".join(written)
        return whole if len(whole) <= _LONGEST_MESSAGE else whole[: _LONGEST_MESSAGE - 1] + "…"

    def format(self) -> str:
        """The rule as the formatter writes it."""
        with room_to_recurse():
            return format_sentence(self.tree)

    def to_json(self) -> dict[str, object]:
        """The checked tree, to be stored."""
        with room_to_recurse():
            return serialize.dump(self.text, self._stored or serialize.dump_tree(self.tree))

    @classmethod
    def from_json(cls, stored: Mapping[str, object]) -> "Rule":
        """A rule from what `to_json` gave; SchemaMismatch when another version gave it."""
        return cls(*serialize.load(stored))


def compile_rule(text: str, check_target: CheckTarget | None = None) -> Rule:
    """A rule from its text; RuleError says what is wrong with it, and where.

    `check_target` is asked about each target's kind and address, and refuses with TargetError.
    """
    with room_to_recurse():
        sentence = parse_sentence(text)
        for mistake in check_sentence(sentence, text, check_target):
            raise mistake
        return Rule(text, sentence)


def parse_condition(text: str) -> Condition:
    """A condition that stands alone, without `when` and `then`."""
    with room_to_recurse():
        expression = parse_expression(text)
        for mistake in check_condition(expression, text):
            raise mistake
        return Condition(text, expression)
