"""A set of rules under keys, matched one by one."""

import threading
from collections.abc import Hashable, Mapping
from typing import Generic, TypeVar

from rules_dsl.rule import Rule
from rules_dsl.run import Now, clock

Key = TypeVar("Key", bound=Hashable)


class RuleSet(Generic[Key]):
    """Rules by key; may be changed by one thread while others match.

    A match sees the rules as they were when it began.
    """

    def __init__(self) -> None:
        self._rules: dict[Key, Rule] = {}
        self._changing = threading.Lock()

    def __len__(self) -> int:
        return len(self._rules)

    def __contains__(self, key: object) -> bool:
        return key in self._rules

    def add(self, key: Key, rule: Rule) -> None:
        """Put a rule under a key, in place of any other there."""
        with self._changing:
            self._rules[key] = rule

    def remove(self, key: Key) -> None:
        """Take a rule out; KeyError if there is none under the key."""
        with self._changing:
            del self._rules[key]

    def match(self, event: Mapping[str, object], now: Now = None) -> list[Key]:
        """The keys of the rules that are true of an event, in the order of their adding."""
        with self._changing:
            rules = list(self._rules.items())
        moment = clock(now)
        return [key for key, rule in rules if rule.matches(event, moment)]
