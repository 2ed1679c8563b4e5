"""A run: one rule, two or many over a stretch of the past, with how far it is told again and again."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, any_, select
from sqlalchemy.orm import Session

from app.config import Memory
from app.models.alerts import Match
from app.models.events import Event
from app.services.backtesting.differences import AgainstLive, BetweenRules, shown
from app.services.backtesting.opened import Opened
from app.services.backtesting.past import Past, Stretch
from app.services.backtesting.reasons import Version, array, reasons
from app.services.backtesting.tally import Room, Tally, widen_together, width_of
from app.services.backtesting.together import together
from app.services.backtesting.trial import About, Surroundings, Trial, Tried
from app.services.backtesting.types import types_of
from app.services.machines import microseconds
from rules_dsl import tree
from rules_dsl.memory import Machine

# So many events later somebody looks whether the run is still wanted.
EVENTS_A_BEAT: Final = 100
# The share of the time that is spent on what comes before the first event.
PREPARING: Final = 0.1


# How far it is, from 0 to 1; may raise to end the run.
Beat = Callable[[float], None]


class Run:
    """One run. `connection` commits each statement by itself, so that no transaction lasts."""

    def __init__(
        self,
        connection: Connection,
        tried: Sequence[Tried],
        stretch: Stretch,
        memory: Memory,
        version: Version | None = None,
        *,
        many: bool = False,
    ) -> None:
        self._connection = connection
        self._session = Session(connection)
        self._stretch = stretch
        asked = [types_of(each.compiled) for each in tried]
        known = [each for each in asked if each is not None]
        self._types = frozenset.union(*known) if len(known) == len(asked) else None
        self._version = version
        self._machines = [Machine(each.compiled) for each in tried if each.compiled.has_memory]
        self._names = [each.name for each in tried] if many else None
        self._watch = None if many else self._watching(len(tried), version)
        room, width = Room(), width_of(stretch.since, stretch.until)
        self.tallies = [Tally(width, room) for _ in tried]
        names = {name for machine in self._machines for name in _inhibitors(machine)}
        opened = Opened(self._session, names - {each.name for each in tried}, stretch.since)
        around = Surroundings(opened.is_open, self._fetch, self._watch)
        begin = microseconds(stretch.since)
        self._trial = Trial(tried, self.tallies, memory, begin, around)
        self.events = 0

    def go(self, beat: Beat) -> None:
        """All of it, from the first event to the last time."""
        past = Past(self._connection, replace(self._stretch, types=self._types))
        if self._trial.has_memory:
            pages = past.by_time(lambda share: beat(PREPARING * share))
            before = PREPARING
        else:
            pages, before = past.as_accepted(), 0.0
        for page in pages:
            if self._watch is not None:
                self._watch.page(page)
            for start in range(0, len(page), EVENTS_A_BEAT):
                some = page[start : start + EVENTS_A_BEAT]
                self._trial.feed(some)
                self.events += len(some)
                share = self._stretch.share(some[-1].accepted_at)
                beat(before + (1 - before) * share)
        self._trial.end(microseconds(self._stretch.until))
        if self._watch is not None:
            self._watch.difference.settle(end=True)

    @property
    def counts(self) -> tuple[int, int]:
        """Matches and notifications so far: of the first rule, or of many."""
        counted = self.tallies[:1] if self._names is None else self.tallies
        matches, notifications = zip(
            *((each.matches, each.notifications) for each in counted), strict=True
        )
        return sum(matches), sum(notifications)

    def result(self) -> dict[str, Any]:
        """What has come of it so far."""
        if self._names is not None:
            made = together(self._names, self.tallies)
            return {"events": self.events, **made, "other": None, "difference": None}
        # Two charts are read beside each other.
        widen_together(self.tallies)
        first, *others = [tally.shown() for tally in self.tallies]
        return {
            "events": self.events,
            **first,
            "rules": None,
            "other": others[0] if others else None,
            "difference": self._difference(),
        }

    def _watching(self, rules: int, version: Version | None) -> "AgainstLive | BetweenRules | None":
        at_once = not any(map(_ripens, self._machines))
        if rules == 2:
            return BetweenRules(at_once=at_once)
        if version is not None:
            return AgainstLive(self._recorded, version.current_at, at_once=at_once)
        return None

    def _difference(self) -> dict[str, Any] | None:
        if isinstance(self._watch, BetweenRules):
            return shown(self._watch.difference, ("this", "other"))
        if isinstance(self._watch, AgainstLive):
            difference = self._watch.difference
            assert self._version is not None
            machine = self._machines[0] if self._machines else None
            since = microseconds(self._stretch.since)
            found = [*difference.listed[0], *difference.listed[1]]
            why = reasons(self._session, self._version, machine, since, found)
            made = shown(difference, ("backtest", "live"), why)
            return {"compared": self._watch.compared, **made}
        return None

    def _recorded(self, ids: Sequence[bytes]) -> set[bytes]:
        assert self._version is not None
        mine = Match.rule_version_id.in_(self._version.kin)
        query = select(Match.event_id).where(mine, Match.event_id == any_(array(ids)))
        return {key.bytes for key in self._session.scalars(query)}

    def _fetch(self, event: bytes) -> About | None:
        row = self._session.execute(
            select(Event.body, Event.accepted_at).where(Event.id == UUID(bytes=event))
        ).one_or_none()
        return None if row is None else About(row[0], microseconds(row[1]))


def _ripens(machine: Machine) -> bool:
    """Whether a time may make it true of an event of before."""
    return bool(machine.plan.absent or machine.plan.held or machine.plan.sequence)


def _inhibitors(machine: Machine) -> list[str]:
    clause = machine.plan.clauses.get(tree.Unless)
    return [str(clause.rule.value)] if clause else []
