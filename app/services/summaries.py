"""Summaries: what a rule made of an event and what came of it, in one sentence."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from app.models.alerts import Suppression
from app.models.notifications import Attempt, Notification, Status
from app.models.rules import Rule
from app.services import blame
from app.services.explaining import Decided
from app.services.suppressions import Kind
from app.services.tracing import State
from rules_dsl.memory.decisions import LATE, SEEN


class Answer(StrEnum):
    """What became of a rule and an event."""

    FIRED = "fired"
    FAILED = "failed"
    DID_NOT_FIRE = "did_not_fire"
    PENDING = "pending"
    GIVEN_UP = "given_up"
    NOT_CONCERNED = "not_concerned"
    REPLAYED = "replayed"
    OFF = "off"
    UNREADABLE = "unreadable"
    IGNORED = "ignored"
    NOT_THERE = "not_there"


ORDER: Final = list(Answer)
# What is told when its time has come.
_FOR_A_WHILE: Final = frozenset({Kind.HELD, Kind.GROUPED})
REASONS: Final[Mapping[str, str]] = {
    "budget": "it took too many steps",
    "depth": "it was nested too deep",
    blame.TIME: "it took longer than a rule may",
    blame.CRASH: "it brought down the process that asked it",
    LATE: "the event came later than is allowed",
    SEEN: "the event was decided before",
    "rule_shadow": "since the rule was put in shadow",
    "rule_off": "since the rule was switched off or deleted",
}


@dataclass(frozen=True)
class Told:
    """What a summary is made from."""

    answer: Answer
    event: State
    outcome: bool | None
    stands_in_the_way: str
    failure: str | None
    decided: Decided | None
    notifications: Sequence[Notification]
    attempts: Mapping[UUID, Sequence[Attempt]]
    suppressions: Sequence[Suppression]
    readable: bool


def summary(told: Told) -> str:
    """One sentence."""
    match told.answer:
        case Answer.FIRED:
            return _fired(told)
        case Answer.FAILED:
            return f"could not be evaluated: {_in_words(told.failure)}"
        case Answer.DID_NOT_FIRE:
            return f"did not fire: {_why_not(told)}"
        case Answer.PENDING:
            return f"has not been evaluated yet{_would(told)}"
        case Answer.GIVEN_UP:
            return f"has no outcome: the event's evaluation was given up ({told.event.reason})"
        case Answer.NOT_CONCERNED:
            return f"did not take part: {_why_not(told)}"
        case Answer.REPLAYED:
            return "did not take part: a rule with memory ignores what is replayed, since it happened once"
        case Answer.OFF:
            return f"was off{_would(told)}"
        case Answer.UNREADABLE:
            return "cannot be explained: this release does not read its text"
        case _:
            return "did not take part: a heartbeat is no rule's business"


def of_absence(rule: Rule) -> str:
    """Of a rule that was not there."""
    if rule.deleted_at is not None:
        return f"did not exist when the event was accepted: it was deleted at {_clock(rule.deleted_at)}"
    return f"did not exist when the event was accepted: it was made at {_clock(rule.created_at)}"


def _fired(told: Told) -> str:
    decided = told.decided
    because = f", {decided.reason}" if decided and decided.reason else ""
    return f"fired{because}: {'; '.join(_fates(told)) or 'nobody was notified'}"


def _fates(told: Told) -> Iterator[str]:
    """What became of each notification, and why those that were not made were not."""
    for held in told.suppressions:
        whom = f"{held.target} was not notified" if held.target else "nobody was notified"
        if held.kind == Kind.GROUPED:  # the group's message is about the last of it
            whom += " of it alone"
        later = held.kind in _FOR_A_WHILE and told.notifications
        yield f"at first {held.reason}" if later else f"{whom}, {held.reason}"
    for one in told.notifications:
        yield f"{one.target} {_fate(one, told.attempts.get(one.id, ()))}"


def _fate(one: Notification, attempts: Sequence[Attempt]) -> str:
    last = attempts[-1] if attempts else None
    said = ""
    if last is not None:
        answer = last.status_code or last.detail or "not ended"
        said = (
            f" after {len(attempts)} attempt{'s' if len(attempts) > 1 else ''}, the last: {answer}"
        )
    match one.status:
        case Status.SENT:
            return "was notified"
        case Status.DEAD:
            return f"was given up{said or f' ({one.reason})'}"
        case Status.CANCELLED:
            return f"was cancelled, {_in_words(one.reason)}"
        case _:
            return f"waits{said}; next attempt {_clock(one.next_attempt_at)}"


def _why_not(told: Told) -> str:
    decided = told.decided
    if decided is not None and decided.reason and decided.outcome is None:
        return _in_words(decided.told.reason if decided.told else decided.reason)
    return told.stands_in_the_way or "nothing is known of it any more"


def _would(told: Told) -> str:
    """What it says of the event as far as that can be told now."""
    if not told.readable:
        return ""
    if told.outcome:
        return "; it is true of the event"
    return f"; it is not true of the event: {told.stands_in_the_way}"


def _in_words(reason: str | None) -> str:
    return REASONS.get(reason or "", reason or "the reason is not known")


def _clock(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
