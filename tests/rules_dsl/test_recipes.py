"""The page of recipes: each rule on it hears of what the page says, at those times, and of nothing else."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rules_dsl import Rule, compile_rule, parse_rules_file
from rules_dsl.memory import Decision, Machine, MemoryStates, Occurrence

PAGE = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8")
MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
SECOND = 1_000_000
LINE = re.compile(r"(?:([a-z]{3}) )?(\d\d):(\d\d)(?::(\d\d))?(?: x(\d+))?(?: (\{.*?\}))?(?: -> (.*))?$")  # fmt: skip
Told = list[tuple[int, str]]


@dataclass(frozen=True)
class Recipe:
    """A part of the page: its rules, what they hear of, and what they do not."""

    name: str
    rules: str
    fires: list[str]
    quiet: list[str]


def _recipes() -> list[Recipe]:
    found = []
    for part in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]:
        blocks = dict(re.findall(r"^```(rule|file|fires|quiet)\n(.*?)\n```$", part, re.M | re.S))
        rules = blocks.get("file") or f'rule "it"\n{blocks["rule"]}'
        examples = [blocks[kind].split("\n") for kind in ("fires", "quiet")]
        found.append(Recipe(part.partition("\n")[0], rules, *examples))
    return found


RECIPES = _recipes()


@dataclass
class Watch:
    """One rule, what it remembers, and which of its alerts are open."""

    rule: Rule
    machine: Machine
    states: MemoryStates = field(default_factory=lambda: MemoryStates(100))
    open: set[str] = field(default_factory=set)
    notified: bool = False


class House:
    """The rules of a recipe from the time of their making on; its clock goes from timer to timer and event to event."""

    def __init__(self, rules: str, begin: int) -> None:
        parsed = parse_rules_file(rules)
        self.watches = {rule.name or "": Watch(rule, Machine(rule)) for rule in parsed}
        self.bodies: dict[bytes, dict[str, object]] = {}
        self.told: Told = []
        for watch in self.watches.values():
            watch.machine.begin(watch.states, begin)

    def until(self, now: int) -> None:
        """All timers up to this time, each at its own."""
        while dues := [
            (state.due, name, address)
            for name, watch in self.watches.items()
            for address, state in watch.states.items()
            if state.due is not None and state.due <= now
        ]:
            due, name, address = min(dues)
            watch = self.watches[name]
            for decision in watch.machine.fire(address, watch.states, due, self._is_open):
                self._tell(watch, decision, due)

    def event(self, body: dict[str, object], now: int) -> None:
        """What each rule makes of an event."""
        id = len(self.bodies).to_bytes(16, "big")
        self.bodies[id] = body
        event = Occurrence(id, body, now, now)
        for watch in self.watches.values():
            for decision in watch.machine.decide(event, watch.states, now, self._is_open):
                self._tell(watch, decision, now)

    def _is_open(self, name: str, key: str) -> bool:
        return key in self.watches[name].open

    def _tell(self, watch: Watch, decision: Decision, now: int) -> None:
        if decision.alert == "resolve":
            watch.open.discard(decision.key)
            self.told.append((now, "resolved"))
        elif decision.alert:
            watch.open.add(decision.key)
        if decision.verdict is None:
            return
        if decision.verdict.kind != "notify":
            self.told.append((now, decision.verdict.reason or decision.verdict.kind))
            return
        watch.notified = True
        body = self.bodies.get(decision.event or b"")
        subject = watch.machine.subject(decision, body)
        message = watch.rule.render_message(subject, now / SECOND)
        several = f"{decision.rounds} matches, the last: " if decision.rounds > 1 else ""
        reason = f" ({decision.reason})" if decision.reason else ""
        self.told.append((now, f'"{several}{message}"{reason}'))


def _lines(example: list[str]) -> Iterator[tuple[int, int, str | None, str | None]]:
    for line in example:
        match = LINE.match(line)
        assert match, line
        day, hours, minutes, seconds, times, body, told = match.groups()
        passed = timedelta(
            days=DAYS.index(day or "mon"),
            hours=int(hours),
            minutes=int(minutes),
            seconds=int(seconds or 0),
        )
        yield int((MONDAY + passed).timestamp()) * SECOND, int(times or 1), body, told


def _play(rules: str, example: list[str]) -> tuple[Told, Told, bool]:
    """What was told, what the page says that it is, and whether the last of the rules notified anybody."""
    lines = list(_lines(example))
    house = House(rules, lines[0][0])
    written: Told = []
    for now, times, body, told in lines:
        house.until(now)
        for _ in range(times if body else 0):
            house.event(json.loads(body or ""), now)
        written += [(now, one) for one in (told.split(" | ") if told else [])]
    return house.told, written, list(house.watches.values())[-1].notified


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_each_recipe_fires_when_the_page_says_and_in_these_words(recipe: Recipe) -> None:
    told, written, notified = _play(recipe.rules, recipe.fires)
    assert told == written
    assert notified


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_each_recipe_is_quiet_when_the_page_says(recipe: Recipe) -> None:
    told, written, notified = _play(recipe.rules, recipe.quiet)
    assert told == written
    assert not notified


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_each_recipe_formats_to_itself(recipe: Recipe) -> None:
    for rule in parse_rules_file(recipe.rules):
        assert compile_rule(rule.format()).tree == rule.tree


def test_there_are_twenty_recipes_and_no_example_says_what_was_not_looked_for() -> None:
    assert len(RECIPES) >= 20
    assert PAGE.count("\n```fires\n") == PAGE.count("\n```quiet\n") == len(RECIPES)
