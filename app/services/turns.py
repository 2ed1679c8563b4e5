"""From decisions of rules with memory to matches, alerts and rounds of notifications, in the order they were made."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.orm import Session

from app.models.notifications import Cause
from app.services import alerting, alerts, decisions, losses, rounds, standing, states
from app.services.alerting import FoundMatch, Timed
from app.services.alerts import Hand
from app.services.deciding import Decided, Turn
from app.services.machines import moment
from app.services.rounds import Queued, Round
from app.services.standing import Standing
from app.services.suppressions import Held, Kind
from rules_dsl.memory import Verdict

_NOTIFY = "notify"
_GROUP = "group"


@dataclass(frozen=True)
class Outcome:
    """What was queued, the rules that matched, and the entries that a cap has cost them."""

    queued: Queued = field(default_factory=lambda: Queued([], []))
    triggered: list[str] = field(default_factory=list)
    lost: dict[str, int] = field(default_factory=dict)


def record(
    session: Session,
    found: Sequence[FoundMatch],
    decided: Decided,
    storm_limit: int | None,
    now: datetime,
) -> Outcome:
    """Write what was decided beside what was `found` without memory, and the states; the caller commits."""
    # Of most decisions nobody hears.
    telling = [turn for turn in decided.turns if tells(turn)]
    rule_ids = {match.rule.rule_id for match in found}
    rule_ids.update(turn.rule.rule_id for turn in telling)
    if not rule_ids and not decided.turns:
        return Outcome()
    standings = standing.of(session, rule_ids)
    made = _rounds(session, found, telling, standings, now)
    queued = rounds.notify(session, made, standings, storm_limit, now)
    decisions.write(session, decided.turns, now)
    states.write(session, decided.books, now)
    matched = [turn.rule.name for turn in telling if is_match(turn)]
    return Outcome(
        queued,
        triggered=[match.rule.name for match in found] + matched,
        lost=losses.of_entries(session, decided.books, now),
    )


def tells(turn: Turn) -> bool:
    """Whether a decision is about an alert or a notification."""
    decision = turn.decision
    return decision.alert is not None or decision.verdict is not None


def is_match(turn: Turn) -> bool:
    """Whether a decision is a match; those that let go what was held back are not, since their matches were."""
    return turn.decision.alert in ("open", "count")


def _rounds(
    session: Session,
    found: Sequence[FoundMatch],
    turns: Sequence[Turn],
    standings: Standing,
    now: datetime,
) -> list[Round]:
    made: list[Round] = []
    matches, released = list(found), list[FoundMatch]()

    def settle() -> None:
        made.extend(alerting.collect(session, matches, standings, now))
        gone = alerting.let_go(session, released, standings, now)
        made.extend(gone + alerts.belated_ends(session, gone, standings, now))
        matches.clear()
        released.clear()

    for turn in turns:
        if is_match(turn):
            matches.append(_match(turn, now))
        elif turn.decision.alert is not None:
            place = (turn.rule.rule_id, turn.key)
            if any(match.place == place for match in (*matches, *released)):
                settle()
            made += alerts.end(session, *place, Hand(turn.rule.name), standings, now)
        elif turn.decision.verdict is not None:
            released.append(_match(turn, now))
    settle()
    return made


def _match(turn: Turn, now: datetime) -> FoundMatch:
    decision = turn.decision
    timed = None
    if not turn.by_event:
        timed = Timed(
            id=turn.id,
            cause=Cause.GROUP if decision.kind == _GROUP else Cause.TIMER,
            subject=turn.machine.subject(decision, turn.event.body if turn.event else None),
            at=now,
            matches=decision.rounds,
            ripened=is_match(turn),
        )
    assert decision.verdict is not None
    held = _held(decision.verdict)
    return FoundMatch(turn.event, turn.rule, turn.key, held, timed, decision.reason)


def _held(verdict: Verdict) -> Held | None:
    if verdict.kind == _NOTIFY:
        return None
    until = None if verdict.until is None else moment(verdict.until)
    return Held(Kind(verdict.kind), verdict.reason or verdict.kind, until)
