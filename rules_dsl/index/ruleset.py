"""A set of rules: which of them fire on an event, and whose memory it concerns."""

from collections.abc import Mapping
from typing import Final

from rules_dsl.evaluator import Outcome
from rules_dsl.index.index import Index, Key
from rules_dsl.memory.plan import guard_of, has_memory
from rules_dsl.recursion import room_to_recurse
from rules_dsl.rule import Condition, Rule
from rules_dsl.run import Now
from rules_dsl.serialize import Encoded, encoded
from rules_dsl.source import Span
from rules_dsl.tree import Literal


class RuleSet(Index[Key]):
    """Rules by key; may be changed by one thread while others ask.

    A rule with memory stands in a second index, by a guard: a condition on single events that is true of
    every event that its machine must see. One event alone never makes its windows true, so `match` is about
    what else there is.
    """

    def __init__(self) -> None:
        super().__init__()
        self._guards: Index[Key] = Index()

    def add(self, key: Key, rule: Rule) -> None:  # type: ignore[override]
        """Put a rule under a key, in place of any other there."""
        super().add(key, _alone(rule) if rule.has_memory else rule)
        if rule.has_memory:
            with room_to_recurse():
                self._guards.add(key, _Guard(Condition(rule.text, guard_of(rule.tree))))
        elif key in self._guards:
            self._guards.remove(key)

    def remove(self, key: Key) -> None:
        """Take a rule out; KeyError if there is none under the key."""
        super().remove(key)
        if key in self._guards:
            self._guards.remove(key)

    def relevant(
        self,
        event: Mapping[str, object],
        now: Now = None,
        failures: list[tuple[Key, str]] | None = None,
    ) -> list[Key]:
        """The keys of the rules with memory that an event may matter to: their machines are to decide."""
        return self._guards.match(event, now, failures) if self._guards else []


class _Guard:
    """A guard, as an index asks for it."""

    __slots__ = ("_condition",)

    def __init__(self, condition: Condition) -> None:
        self._condition = condition

    def encoded_condition(self) -> Encoded:
        """The condition as it is stored."""
        with room_to_recurse():
            return encoded(self._condition.tree)

    def judge(self, event: Mapping[str, object], now: Now = None) -> Outcome:
        """Whether the machine must see an event."""
        return self._condition.judge(event, now)


def _alone(rule: Rule) -> "Rule | _Guard":
    """What a rule with memory can be true of by one event alone: all of it, or nothing."""
    return _NOTHING if has_memory(rule.tree.condition) else rule


_NOTHING: Final = _Guard(Condition("", Literal(Span(0, 0), "constant", False, "false")))
