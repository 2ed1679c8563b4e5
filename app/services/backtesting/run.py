"""A run: one or two rules over a stretch of the past, with how far it is told again and again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ARRAY, Connection, Uuid, any_, bindparam, select
from sqlalchemy.orm import Session

from app.config import Memory
from app.models.alerts import Match
from app.models.events import Event
from app.models.memory import EventDecisions
from app.services.backtesting.differences import (
    AgainstLive,
    BetweenRules,
    Found,
    shown,
)
from app.services.backtesting.opened import Opened
from app.services.backtesting.past import Past, Stretch
from app.services.backtesting.tally import Room, Tally, width_of
from app.services.backtesting.trial import About, Surroundings, Trial, Tried
from app.services.backtesting.types import types_of
from app.services.machines import microseconds
from rules_dsl import tree
from rules_dsl.memory import LATE, Machine

# So many events later somebody looks whether the run is still wanted.
EVENTS_A_BEAT: Final = 100
# The share of the time that is spent on what comes before the first event.
PREPARING: Final = 0.1


@dataclass(frozen=True)
class Version:
    """The version that live has recorded, and the revisions at which it was current."""

    id: UUID
    rule_id: UUID
    since: int
    until: int | None
    # It and those that share its memory: what a time brought is recorded of the newest of them.
    kin: frozenset[UUID]

    def current_at(self, revision: int) -> bool:
        """Whether it judged the events of a revision."""
        return self.since <= revision and (self.until is None or revision < self.until)


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
    ) -> None:
        self._connection = connection
        self._session = Session(connection)
        self._stretch = stretch
        asked = [types_of(each.compiled) for each in tried]
        known = [each for each in asked if each is not None]
        self._types = frozenset.union(*known) if len(known) == len(asked) else None
        self._version = version
        self._machines = [Machine(each.compiled) for each in tried if each.compiled.has_memory]
        self._watch = self._watching(len(tried), version)
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

    def result(self) -> dict[str, Any]:
        """What has come of it so far."""
        first, *others = [tally.shown() for tally in self.tallies]
        return {
            "events": self.events,
            **first,
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
            reasons = self._reasons([*difference.listed[0], *difference.listed[1]])
            made = shown(difference, ("backtest", "live"), reasons)
            return {"compared": self._watch.compared, **made}
        return None

    def _recorded(self, ids: Sequence[bytes]) -> set[bytes]:
        assert self._version is not None
        mine = Match.rule_version_id.in_(self._version.kin)
        query = select(Match.event_id).where(mine, Match.event_id == any_(_array(ids)))
        return {key.bytes for key in self._session.scalars(query)}

    def _reasons(self, found: Sequence[Found]) -> dict[bytes, str]:
        """Why live came to something else, where its record tells."""
        reach = max((machine.plan.reach for machine in self._machines), default=0)
        began = microseconds(self._stretch.since) + reach
        ids = [one.event for one in found if one.event]
        if not self._machines or not ids:
            return {}
        assert self._version is not None
        names = [str(key) for key in self._version.kin]
        query = select(EventDecisions).where(EventDecisions.event_id == any_(_array(ids)))
        made = {
            row.event_id.bytes: next((row.made[name] for name in names if name in row.made), None)
            for row in self._session.scalars(query)
        }
        reasons = {}
        for one in found:
            if one.event is None or (decision := made.get(one.event)) is None:
                continue
            if decision.get("reason") == LATE:
                reasons[one.event] = "late"
            else:
                reasons[one.event] = "start" if one.at < began else "order"
        return reasons

    def _fetch(self, event: bytes) -> About | None:
        row = self._session.execute(
            select(Event.body, Event.accepted_at).where(Event.id == UUID(bytes=event))
        ).one_or_none()
        return None if row is None else About(row[0], microseconds(row[1]))


def _array(ids: Sequence[bytes]) -> Any:
    return bindparam(None, [UUID(bytes=key) for key in ids], type_=ARRAY(Uuid()), unique=True)


def _ripens(machine: Machine) -> bool:
    """Whether a time may make it true of an event of before."""
    return bool(machine.plan.absent or machine.plan.held or machine.plan.sequence)


def _inhibitors(machine: Machine) -> list[str]:
    clause = machine.plan.clauses.get(tree.Unless)
    return [str(clause.rule.value)] if clause else []
