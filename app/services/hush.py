"""What people keep quiet, asked while rules with memory decide: what nobody hears of is no round of a throttle.

Otherwise the first match after a silence would find the throttle spent, by rounds that told nobody; and a group whose
last match is silenced would take the others with it.
"""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from app.models.alerts import Alert, AlertState
from app.models.events import AnyEvent, Event
from app.services import alerting, silences
from app.services.alerting import Counted, Place
from app.services.machines import alert_key
from app.services.rulesets import JudgingRule
from app.services.silences import Asked
from rules_dsl.memory import Decision, Machine, Round

# A statement has room for some 65,000 values.
TOGETHER: Final = 10_000


class Hush:
    """The silences, snoozes and acknowledgements of one moment, read when first asked for.

    All at once, with what they may mean: it may be the moment of hundreds of groups.
    """

    def __init__(self, session: Session, rule_ids: Collection[UUID], now: datetime) -> None:
        self._session = session
        self._now = now
        self._rule_ids = rule_ids
        self._waiting: list[tuple[UUID, Round]] = []
        self._is_read = False
        self._quiet: set[Place] = set()
        self._last: dict[Place, Counted] = {}
        self._events: dict[bytes, Event] = {}
        self._ended: set[Place] = set()

    def expect(self, rule_id: UUID, rounds: Iterable[Round]) -> None:
        """Note what will be asked about, as it is let go."""
        self._waiting += [(rule_id, each) for each in rounds]

    def keeps(
        self, rule: JudgingRule, machine: Machine, event: AnyEvent | None, round: Round
    ) -> bool:
        """Whether nobody would hear of a round, at an `event` or at a time."""
        if not self._is_read:
            self._read()
            self._is_read = True
        place = (rule.rule_id, alert_key(round.key))
        if place in self._quiet and place not in self._ended:
            return True
        by_event = event is not None and event.id.bytes == round.cause.id
        if not by_event and not round.ripened and self._is_over(place):
            return True
        if not silences.live:
            return False
        asked = self._asked(rule, machine, event if by_event else None, round)
        return silences.live.holding(asked, self._now) is not None

    def ended(self, rule_id: UUID, key: str) -> None:
        """Note that an alert ends, and with it what keeps it quiet."""
        self._ended.add((rule_id, key))

    def _read(self) -> None:
        silences.live.reach(self._session, self._now)
        quiet = or_(Alert.acknowledged_until > self._now, Alert.snoozed_until > self._now)
        mine = (Alert.rule_id.in_(self._rule_ids), Alert.state != AlertState.RESOLVED, quiet)
        rows = self._session.execute(select(Alert.rule_id, Alert.key).where(*mine))
        self._quiet = {(rule_id, key) for rule_id, key in rows}
        places = [*{(rule_id, alert_key(each.key)) for rule_id, each in self._waiting}]
        for at in range(0, len(places), TOGETHER):
            self._last |= alerting.last(self._session, places[at : at + TOGETHER])
        if silences.live:
            ids = [*{UUID(bytes=each.cause.id) for _, each in self._waiting if each.cause.id}]
            for at in range(0, len(ids), TOGETHER):
                some = Event.id.in_(ids[at : at + TOGETHER])
                found = self._session.scalars(select(Event).where(some))
                self._events |= {each.id.bytes: each for each in found}

    def _is_over(self, place: Place) -> bool:
        """Whether an alert has ended before what was held back of it is told."""
        alert = self._last.get(place)
        return alert is not None and alert.quiet(self._now) is not None

    def _about(self, cause: bytes | None) -> Event | None:
        if cause is None:
            return None
        return self._events.get(cause) or self._session.get(Event, UUID(bytes=cause))

    def _asked(
        self, rule: JudgingRule, machine: Machine, event: AnyEvent | None, round: Round
    ) -> Asked:
        about, came = event or self._about(round.cause.id), None
        bodies = [] if about is None else [about.body]
        if about is not None and not round.ripened:
            came = about.accepted_at
        if event is None:
            body = about.body if about else None
            bodies.append(machine.subject(Decision(round.kind, round.key, 0), body))
        at = about.accepted_at if about else self._now
        return Asked(rule.rule_id, rule.severity, bodies, at, came)
