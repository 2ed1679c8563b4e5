"""Searching: things by words of their names, and by their ids or the beginnings of those.

Every query looks at a bounded number of rows, or walks along an index; none at events by anything but their key.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import chain
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.models.alerts import Alert, AlertState
from app.models.backtests import Backtest
from app.models.channels import ChannelRow
from app.models.events import Event
from app.models.notifications import Notification
from app.models.rules import Rule
from app.models.silences import Silence
from app.services import silences

LONGEST: Final = 200
MOST_WORDS: Final = 5
# Of open alerts and of silences only the newest are looked through.
LOOKED_AT: Final = 2_000
# The first 8 digits of an id are 65 seconds of its time: fewer say nothing.
PREFIX: Final = re.compile(r"[0-9a-f]{8,32}")
_DIGITS: Final = 32


class Sort(StrEnum):
    """What can be found."""

    RULE = "rule"
    CHANNEL = "channel"
    ALERT = "alert"
    SILENCE = "silence"
    EVENT = "event"
    NOTIFICATION = "notification"
    BACKTEST = "backtest"


@dataclass(frozen=True)
class Found:
    """One thing: its sort, the key of its page, its name, and a word on how it stands."""

    sort: Sort
    key: str
    name: str
    about: str = ""


def search(session: Session, given: str, limit: int, now: datetime) -> list[Found]:
    """What fits, up to `limit` of each sort: things by id where that may be one, then by name."""
    text = given.replace("\0", "")[:LONGEST].strip()
    words = text.split()[:MOST_WORDS]
    if not words:
        return []
    return [*by_id(session, text, limit), *_by_name(session, words, limit, now)]


def by_id(session: Session, text: str, limit: int) -> list[Found]:
    """Things whose ids are this, or begin so."""
    digits = text.lower().replace("-", "")
    if not PREFIX.fullmatch(digits):
        return []
    low, high = UUID(digits.ljust(_DIGITS, "0")), UUID(digits.ljust(_DIGITS, "f"))

    def rows(key: InstrumentedAttribute[UUID], *columns: Any) -> Sequence[Any]:
        query = select(key, *columns).where(key.between(low, high)).order_by(key).limit(limit)
        return session.execute(query).all()

    of_rules = select(Rule.name).where(Rule.id == Alert.rule_id).scalar_subquery()
    return [
        *(
            _found(Sort.EVENT, key, type_, str(key)[:13])
            for key, type_ in rows(Event.id, Event.type)
        ),
        *(_alert(*row) for row in rows(Alert.id, of_rules, Alert.key, Alert.state)),
        *(
            _found(Sort.NOTIFICATION, *row)
            for row in rows(Notification.id, Notification.target, Notification.status)
        ),
        *(_found(Sort.BACKTEST, *row) for row in rows(Backtest.id, Backtest.name, Backtest.state)),
        *(
            Found(Sort.RULE, str(key), name)
            for key, name, deleted in rows(Rule.id, Rule.name, Rule.deleted_at)
            if deleted is None
        ),
    ]


def _by_name(session: Session, words: Sequence[str], limit: int, now: datetime) -> list[Found]:
    found = (
        _rules(session, words, limit),
        _channels(session, words, limit),
        _alerts(session, words, limit),
        _silences(session, words, limit, now),
    )
    return list(chain.from_iterable(found))


def _rules(session: Session, words: Sequence[str], limit: int) -> list[Found]:
    query = select(Rule).where(Rule.deleted_at.is_(None), _holds(Rule.name, words))
    rows = session.scalars(query.order_by(Rule.name).limit(limit))
    return [Found(Sort.RULE, str(row.id), row.name, row.mode) for row in rows]


def _channels(session: Session, words: Sequence[str], limit: int) -> list[Found]:
    name = ChannelRow.kind + ":" + ChannelRow.name
    query = select(name, ChannelRow.enabled).where(_holds(name, words)).order_by(name).limit(limit)
    return [
        Found(Sort.CHANNEL, full, full, "" if enabled else "off")
        for full, enabled in session.execute(query)
    ]


def _alerts(session: Session, words: Sequence[str], limit: int) -> list[Found]:
    latest = _latest(
        select(Alert.id, Alert.rule_id, Alert.key)
        .where(Alert.state == AlertState.OPEN)
        .order_by(Alert.id.desc())
    )
    rule = Rule.name.label("rule")
    query = select(latest.c.id, rule, latest.c.key).join(Rule, Rule.id == latest.c.rule_id)
    fits = _holds(Rule.name + " " + latest.c.key, words)
    rows = session.execute(query.where(fits).order_by(latest.c.id.desc()).limit(limit))
    return [_alert(key, name, of, AlertState.OPEN) for key, name, of in rows]


def _silences(session: Session, words: Sequence[str], limit: int, now: datetime) -> list[Found]:
    latest = _latest(select(Silence.id, Silence.comment).order_by(Silence.id.desc()))
    fitting = select(latest.c.id).where(_holds(latest.c.comment, words)).limit(limit)
    query = select(Silence).where(Silence.id.in_(fitting)).order_by(Silence.id.desc())
    return [
        Found(Sort.SILENCE, str(row.id), row.comment, silences.state_of(row, now))
        for row in session.scalars(query)
    ]


def _latest(query: Select[*tuple[Any, ...]]) -> Any:
    return query.limit(LOOKED_AT).subquery()


def _holds(text: Any, words: Sequence[str]) -> ColumnElement[bool]:
    """Whether a text holds all of the words, in whatever case."""
    return and_(*(text.icontains(word, autoescape=True) for word in words))


def _alert(key: UUID, rule: str, of: str, state: str) -> Found:
    return Found(Sort.ALERT, str(key), f"{rule} · {of}" if of else rule, state)


def _found(sort: Sort, key: UUID, name: str, about: str = "") -> Found:
    return Found(sort, str(key), name, about)
