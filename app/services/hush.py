"""What people keep quiet, asked while rules with memory decide: what nobody hears of is no round of a throttle.

Otherwise the first match after a silence would find the throttle spent, by rounds that told nobody; and a group whose
last match is silenced would take the others with it.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from app.models.alerts import Alert, AlertState
from app.models.events import AnyEvent, Event
from app.services import alerting, silences
from app.services.machines import alert_key
from app.services.rulesets import JudgingRule
from app.services.silences import Asked
from rules_dsl.memory import Decision, Machine
from rules_dsl.memory.rounds import Round


class Hush:
    """The silences, snoozes and acknowledgements of one moment, read when first asked for."""

    def __init__(self, session: Session, now: datetime) -> None:
        self._session = session
        self._now = now
        self._quiet: dict[UUID, set[str]] = {}
        self._ended: set[tuple[UUID, str]] = set()

    def keeps(
        self, rule: JudgingRule, machine: Machine, event: AnyEvent | None, round: Round
    ) -> bool:
        """Whether nobody would hear of a round, at an `event` or at a time."""
        if rule.rule_id not in self._quiet:
            silences.live.reach(self._session, self._now)
            self._quiet[rule.rule_id] = self._alerts(rule.rule_id)
        key = alert_key(round.key)
        if key in self._quiet[rule.rule_id] and (rule.rule_id, key) not in self._ended:
            return True
        by_event = event is not None and event.id.bytes == round.cause.id
        if not by_event and not round.ripened and self._is_over(rule, key):
            return True
        return (
            silences.live.holding(self._asked(rule, machine, event, round), self._now) is not None
        )

    def ended(self, rule_id: UUID, key: str) -> None:
        """Note that an alert ends, and with it what keeps it quiet."""
        self._ended.add((rule_id, key))

    def _is_over(self, rule: JudgingRule, key: str) -> bool:
        """Whether an alert has ended before what was held back of it is told."""
        place = (rule.rule_id, key)
        alert = alerting.last(self._session, {place}).get(place)
        return alert is not None and alert.quiet(self._now) is not None

    def _alerts(self, rule_id: UUID) -> set[str]:
        quiet = or_(Alert.acknowledged_until > self._now, Alert.snoozed_until > self._now)
        mine = (Alert.rule_id == rule_id, Alert.state != AlertState.RESOLVED, quiet)
        return set(self._session.scalars(select(Alert.key).where(*mine)))

    def _asked(
        self, rule: JudgingRule, machine: Machine, event: AnyEvent | None, round: Round
    ) -> Asked:
        about, came, cause = event, None, round.cause.id
        by_event = event is not None and event.id.bytes == cause
        if not by_event:
            about = None if cause is None else self._session.get(Event, UUID(bytes=cause))
        if about is not None and not round.ripened:
            came = about.accepted_at
        bodies = [] if about is None else [about.body]
        if not by_event:
            body = about.body if about else None
            bodies.append(machine.subject(Decision(round.kind, round.key, 0), body))
        at = about.accepted_at if about else self._now
        return Asked(rule.rule_id, rule.severity, bodies, at, came)
