"""A trial: rules and their memory in one process, fed with the past.

What `deciding`, `turns` and `alerting` do over PostgreSQL is done here over dicts, by the same evaluator and machines.
An event is decided when it was accepted; one that came later than a rule with memory allows, as though it had come
just in time. Times come when they are due, and before the events that come after them.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any, Final, NamedTuple, Protocol
from uuid import UUID

import structlog

from app.config import Memory
from app.models.notifications import Cause
from app.services.alerting import worded
from app.services.alerts import ended_by
from app.services.backtesting.bodies import read
from app.services.backtesting.lives import Lives
from app.services.backtesting.past import Stored
from app.services.backtesting.tally import Life, Tally, Told
from app.services.backtesting.timed import TimedStates, Timers
from app.services.deciding import BY_EVENT, can_be_held
from app.services.machines import alert_key, moment
from app.services.suppressions import OVER
from rules_dsl import Rule, RuleSet
from rules_dsl.memory import (
    Decision,
    Limits,
    Machine,
    Occurrence,
    Round,
    Verdict,
    nothing_open,
    nothing_quiet,
)

log = structlog.get_logger()

SECOND: Final = 1_000_000
_NOTIFY: Final = "notify"
_GROUP: Final = "group"


class About(NamedTuple):
    """An event that a time is about: its body, and when it was accepted."""

    body: dict[str, Any]
    accepted_at: int


IsOpen = Callable[[str, str, int], bool]
Fetch = Callable[[bytes], About | None]


@dataclass(frozen=True)
class Tried:
    """One rule of a trial."""

    name: str
    compiled: Rule
    version_id: UUID | None = None


class Watch(Protocol):
    """Whoever wants to know what matched."""

    def event(self, event: Stored, matched: Sequence[int]) -> None:
        """An event is decided: by the rules at these places it matched."""

    def time(self, place: int, event: bytes | None, key: str, due: int) -> None:
        """A time made a rule true; it may be about an event of before."""


@dataclass(frozen=True)
class Surroundings:
    """What a trial asks of the world: alerts of rules that are not in it, and events that times are about."""

    is_open: IsOpen
    fetch: Fetch
    watch: Watch | None = None


class _Rule:
    """A rule at its place, ready."""

    def __init__(self, place: int, tried: Tried, memory: Memory, timers: Timers) -> None:
        self.place = place
        self.name = tried.name
        self.compiled = tried.compiled
        self.targets = tuple(str(target) for target in tried.compiled.targets)
        self.resolved = tuple(str(each) for each in tried.compiled.targets if each.resolved)
        self.machine: Machine | None = None
        if tried.compiled.has_memory:
            limits = Limits(memory.keys, memory.entries)
            lateness = memory.lateness // timedelta(microseconds=1)
            self.machine = Machine(tried.compiled, lateness, limits)
            self.states = TimedStates(place, self.machine, timers)
            self.is_open: Callable[[str, str], bool] = nothing_open
            self.is_quiet: Callable[[Round], bool] = nothing_quiet

    @property
    def goes_by_time(self) -> bool:
        """Whether live refuses what comes too late; rules of clauses alone do not."""
        return self.machine is not None and self.machine.plan.timed

    @property
    def waits_for_others(self) -> bool:
        """Whether another rule's alert may hold its matches back."""
        return self.machine is not None and can_be_held(self.machine)


class Trial:
    """Some rules, and what has become of them so far."""

    def __init__(
        self,
        tried: Sequence[Tried],
        tallies: Sequence[Tally],
        memory: Memory,
        begin: int,
        around: Surroundings,
    ) -> None:
        self._timers = Timers()
        self._rules = [_Rule(n, each, memory, self._timers) for n, each in enumerate(tried)]
        self._tallies = tallies
        self._around = around
        self._now = begin
        self._lateness = memory.lateness // timedelta(microseconds=1)
        self._lives = Lives()
        self._set: RuleSet[int] = RuleSet()
        for rule in self._rules:
            self._set.add(rule.place, rule.compiled)
            rule.is_open = partial(self._is_open, rule)
            rule.is_quiet = partial(self._is_quiet, rule)
        self.has_memory = any(rule.machine for rule in self._rules)
        self._waiting = any(rule.waits_for_others for rule in self._rules)
        self._begin(begin)

    def feed(self, events: Iterable[Stored]) -> None:
        """Decide on events."""
        watch = self._around.watch
        for event in events:
            matched = self._decide(event)
            if watch is not None:
                watch.event(event, matched)

    def end(self, until: int) -> None:
        """Let the times come that are left."""
        self._pass(until + 1)

    def _begin(self, now: int) -> None:
        for rule in self._rules:
            if rule.machine is not None:
                rule.machine.begin(rule.states, now)
                rule.states.settle(now)

    def _decide(self, event: Stored) -> list[int]:
        body = read(event.text)
        accepted = event.accepted_at / SECOND
        failures: list[tuple[int, str]] = []
        concerned: list[int] = []
        true = self._set.match(body, accepted, failures)
        if self.has_memory and not event.replayed:
            concerned = self._set.relevant(body, accepted, failures)
        if failures:
            for place, reason in dict(failures).items():
                self._tallies[place].errors[reason] += 1
        if not true and not concerned:
            return []
        self._come_to(event)
        matched = [place for place in true if self._rules[place].machine is None]
        for place in matched:
            self._matched_alone(self._rules[place], event, body)
        if concerned:
            matched += self._remember(concerned, event, body)
        return matched

    def _come_to(self, event: Stored) -> None:
        """The moment at which an event is decided, once the times before it have come.

        Only events that matter move the clock, so it does not depend on which others are read.
        """
        if not self.has_memory:
            self._now = event.accepted_at
            return
        self._now = max(self._now, min(event.accepted_at, event.time + self._lateness))
        if self._timers:
            self._pass(self._now)

    def _matched_alone(self, rule: _Rule, event: Stored, body: dict[str, Any]) -> None:
        self._tallies[rule.place].match(event.time, event.id, "", None)
        told = Told(self._now, Cause.EVENT, event.id, "")
        self._count(rule, told, partial(_message, rule, body, event.accepted_at))

    def _remember(self, concerned: Sequence[int], event: Stored, body: dict[str, Any]) -> list[int]:
        """Let machines decide; those that other rules' alerts may hold back come last."""
        rules = [self._rules[place] for place in concerned]
        if self._waiting and len(rules) > 1:
            rules.sort(key=lambda rule: rule.waits_for_others)
        occurrence = Occurrence(event.id, body, event.occurred_at, event.accepted_at)
        about = About(body, event.accepted_at)
        matched = []
        came_late = occurrence.accepted_at - occurrence.time > self._lateness
        for rule in rules:
            decisions = self._ask(rule, occurrence)
            if came_late and rule.goes_by_time and _took_in(decisions):
                self._tallies[rule.place].late += 1
            for decision in decisions:
                if decision.alert is not None or decision.verdict is not None:
                    self._follow(rule, decision, about)
                    if decision.kind == BY_EVENT and decision.outcome is True:
                        matched.append(rule.place)
            rule.states.settle(self._now)
        return matched

    def _ask(self, rule: _Rule, event: Occurrence) -> list[Decision]:
        assert rule.machine is not None
        try:
            return rule.machine.decide(event, rule.states, self._now, rule.is_open)
        except Exception as error:  # a mistake of ours; the others must still be tried
            log.exception("rule_failed", rule=rule.name)
            self._tallies[rule.place].errors[f"error: {type(error).__name__}"] += 1
            return []

    def _pass(self, before: int) -> None:
        """Let all times come that are due before a moment, each in its turn."""
        later = self._now
        while due := self._timers.next(before):
            at, _, place, address = due
            rule = self._rules[place]
            assert rule.machine is not None
            if not rule.states.is_due(at, address):
                continue
            self._now = at
            decisions = rule.machine.fire(address, rule.states, at, rule.is_open, rule.is_quiet)
            for decision in decisions:
                self._follow(rule, decision, None)
            rule.states.settle(at)
        self._now = later

    def _is_open(self, asking: _Rule, name: str, key: str) -> bool:
        """By this trial's own alerts where the rule is in it, else by those of the record."""
        named = [asking] if name == asking.name else [r for r in self._rules if r.name == name]
        if not named:
            return self._around.is_open(name, key, self._now)
        keys = {alert_key(key), ""}
        return any(self._lives.is_open(rule.place, each) for rule in named for each in keys)

    def _is_quiet(self, rule: _Rule, round: Round) -> bool:
        """Whether the end of its alert was told before it is let go; nothing else keeps anything quiet here."""
        life = self._lives.last(rule.place, alert_key(round.key))
        is_over = life is not None and life.told and life.resolved_at is not None
        return is_over and not round.ripened

    def _follow(self, rule: _Rule, decision: Decision, about: About | None) -> None:
        """What a decision comes to: a match, the end of an alert, or that what was held back is let go."""
        tally, key = self._tallies[rule.place], alert_key(decision.key)
        if decision.alert in ("open", "count"):
            tally.match(decision.time, decision.event, key, decision.reason)
            if decision.kind != BY_EVENT and self._around.watch is not None:
                self._around.watch.time(rule.place, decision.event, key, decision.time)
            self._count(rule, self._told(decision, key), partial(self._word, rule, decision, about))
        elif decision.alert is not None:
            self._resolve(rule, key)
        elif decision.verdict is not None:
            life = self._lives.last(rule.place, key)
            if life is not None:
                self._let_go(rule, life, decision, about)

    def _let_go(self, rule: _Rule, life: Life, decision: Decision, about: About | None) -> None:
        """Tell what was held back; and the end of an alert that has ended meanwhile, of which nobody knew."""
        before, told = life.told, self._told(decision, alert_key(decision.key))
        is_over = life.resolved_at is not None
        if before and is_over and told.held is None:
            told = replace(told, held=(OVER.kind, OVER.reason, None))
        self._tell(rule, life, told, partial(self._word, rule, decision, about))
        if told.held is None and is_over:
            self._tell_end(rule, life)

    def _count(self, rule: _Rule, told: Told, message: Callable[[], str]) -> None:
        life, opens = self._lives.count(rule.place, told.key, self._now)
        if opens:
            self._tallies[rule.place].open(life)
        self._tell(rule, life, told, message)

    def _tell(self, rule: _Rule, life: Life, told: Told, message: Callable[[], str]) -> None:
        tally = self._tallies[rule.place]
        if told.held is None:
            life.told = True
        tally.tell(told, rule.targets, message() if tally.wants_message() else None)

    def _resolve(self, rule: _Rule, key: str) -> None:
        life = self._lives.end(rule.place, key, self._now)
        if life is None:
            return
        self._tallies[rule.place].resolved += 1
        # Nobody is told the end of what nobody was told of.
        if life.told:
            self._tell_end(rule, life)

    def _tell_end(self, rule: _Rule, life: Life) -> None:
        if rule.resolved:
            message = ended_by(rule.name, life.count, moment(life.opened_at))
            end = Told(self._now, Cause.ALERT, None, life.key)
            self._tallies[rule.place].tell(end, rule.resolved, message)

    def _told(self, decision: Decision, key: str) -> Told:
        assert decision.verdict is not None
        cause = Cause.GROUP if decision.kind == _GROUP else Cause.TIMER
        if decision.kind == BY_EVENT:
            cause = Cause.EVENT
        return Told(self._now, cause, decision.event, key, _held(decision.verdict))

    def _word(self, rule: _Rule, decision: Decision, about: About | None) -> str:
        """The message of a decision, as live would write it."""
        assert rule.machine is not None
        if decision.kind != BY_EVENT:
            about = self._around.fetch(decision.event) if decision.event else None
            body = rule.machine.subject(decision, about.body if about else None)
        else:
            assert about is not None
            body = about.body
        at = about.accepted_at if about else self._now
        return _message(rule, body, at, decision.reason, decision.rounds)


def _message(
    rule: _Rule, body: dict[str, Any], at: int, reason: str | None = None, matches: int = 1
) -> str:
    return worded(rule.name, rule.compiled, body, moment(at), reason, matches)


def _took_in(decisions: Sequence[Decision]) -> bool:
    """Whether the event was of use: it had the key, and the rule could be evaluated. Its decision is the last one."""
    return bool(decisions) and (decisions[-1].outcome is True or decisions[-1].reason is None)


def _held(verdict: Verdict) -> tuple[str, str | None, int | None] | None:
    if verdict.kind == _NOTIFY:
        return None
    return verdict.kind, verdict.reason or verdict.kind, verdict.until
