"""A backtest comes to what live has recorded, for events that came in the order of their times."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, time, timedelta
from itertools import count
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, func, select

from app.config import Memory
from app.extensions import db, session
from app.models.alerts import Alert, Match, Suppression
from app.models.events import Event
from app.models.memory import RuleState, TimerDecision
from app.models.notifications import Cause, Notification
from app.models.rules import RuleVersion
from app.services.backtesting.past import Stretch
from app.services.backtesting.reasons import Version
from app.services.backtesting.run import Run
from app.services.backtesting.trial import Tried
from app.services.machines import moment
from app.services.rulesets import restore
from app.services.storing import SETTLING
from rules_dsl.format import format_expression
from rules_dsl.tree import Expression
from tests.app.client import Client
from tests.app.helpers import evaluate, fire, make_rule, post_event
from tests.conftest import TestClock
from tests.rules_dsl.strategies import FIELDS, WORDS, conditions
from tests.rules_dsl.test_memory_properties import CLAUSES, CONDITIONS, bodies

NOTIFY = ' then notify("slack:#ops"), notify("slack:#end", resolved: true) '
STATELESS = [
    'x > 1 or v == "1"',
    'type in ["a", "b"] and not (x == 2)',
    "x + 1 >= 3 or missing v",
]
AWAITED = [
    'absent(type == "a") for 1m by u expect ["a", 1, "z"]',
    'absent(x > 1) for 30s by v expect ["1", 2]',
]
# The rule that `unless` names: its alert stays open, or ends; there is one, or one of each key.
OTHERS = [
    'when type == "c" then notify("slack:#db")',
    'when type == "c" then notify("slack:#db") resolve when type == "b"',
    'when type == "c" and count() over 1m by v >= 1 then notify("slack:#db")',
    'when type == "c" and count() over 1m by v >= 1 then notify("slack:#db") resolve when type == "b"',
]
UNLESS = [
    'unless open("db") by v resolve when type == "a"',
    'unless open("db") by v group 20s by v resolve after 40s',
]
# The simplest example of each condition has it, so that something is let go in every run.
HOLD = 'during daily 11:08-11:10 "UTC" otherwise hold'
# Windows of `during` begin a little later.
BEGIN = time(11, 6, 40)
# What so many examples must have come to, or they show little.
MUST = {"matched", "resolved", "timer", "held", "let go"}
ENOUGH = 80
names = count()
QUICKLY: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "database": None,
    "phases": [Phase.explicit, Phase.generate],
}


def histories(bodies: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    """Events, each some seconds after the one before, and some after its own time."""
    # Hypothesis begins with the first of each: ten events in 100 seconds.
    passed = st.sampled_from([10, 0, 1, 5, 30, 61])
    delay = st.sampled_from([0, 0, 0, 3, 20, 60])
    return st.lists(st.tuples(passed, delay, bodies), min_size=10, max_size=20)


history = histories(bodies)
plain = st.none() | st.booleans() | st.integers(-3, 1000) | st.sampled_from([*WORDS, 0.5, 10**30])
anything = st.builds(
    lambda type_, body: {**body, "type": type_},
    st.sampled_from(["a", "A", "ab", "12"]),
    st.dictionaries(
        st.sampled_from([*FIELDS, "u", "v", "x"]),
        plain | st.lists(plain, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), plain),
        max_size=6,
    ),
)
Step = tuple[int, int, Mapping[str, Any]]


@contextmanager
def unlasting() -> Iterator[Connection]:
    """A connection without transactions that last."""
    with db.engine.connect() as connection:
        yield connection.execution_options(isolation_level="AUTOCOMMIT")


def tried(rule_id: str) -> tuple[Tried, Version]:
    """The newest version of a rule."""
    query = select(RuleVersion).where(RuleVersion.rule_id == UUID(rule_id))
    [*_, row] = session().scalars(query.order_by(RuleVersion.number))
    kin = frozenset({row.id})
    version = Version(row.id, row.rule_id, row.since_revision, row.until_revision, kin)
    return Tried(row.name, restore(row.tree, row.dsl), row.id), version


def backtest(
    rule_id: str, since: datetime, until: datetime, *, compare: bool = True
) -> dict[str, Any]:
    """What a backtest of a rule gives."""
    one, version = tried(rule_id)
    with unlasting() as connection:
        run = Run(connection, [one], Stretch(since, until), Memory(), version if compare else None)
        run.go(lambda *_: None)
        return run.result()


class Live:
    """The service, fed by a clock that is moved to where its timers are due."""

    def __init__(self, client: Client, clock: TestClock) -> None:
        self._client = client
        self._clock = clock
        self._time = clock()

    def send(self, passed: int, delay: int, body: Mapping[str, Any]) -> None:
        """An event that came some seconds after its time, which is none before the last one's."""
        # What is accepted in one microsecond has no order that could be told from its keys.
        accepted = self._clock.now + (timedelta(seconds=passed) or timedelta(microseconds=1))
        self.pass_to(accepted)
        self._time = max(self._time, accepted - timedelta(seconds=delay))
        event_id = post_event(self._client, time=self._time.isoformat(), **body)
        evaluate(self._clock(), [event_id])

    def pass_to(self, until: datetime, *, inclusive: bool = False) -> None:
        """Let times come, each by itself."""
        while (due := session().scalar(select(func.min(RuleState.due)))) is not None:
            at = moment(due)
            if at > until or (at == until and not inclusive):
                break
            fire(at + SETTLING)
        session().rollback()
        self._clock.now = until


def seconds(at: datetime | str | None) -> str | None:
    """To the second: what a timer does is recorded as its sweep comes by."""
    if at is None:
        return None
    at = datetime.fromisoformat(at) if isinstance(at, str) else at
    return at.replace(microsecond=0).isoformat()


def recorded(rule_id: str) -> dict[str, Any]:
    """What live has on record of a rule, in the words of a backtest."""
    session().expire_all()
    mine = UUID(rule_id)
    events = set(session().scalars(select(Event.id)))
    about = {row.id: row.event_id for row in session().scalars(select(TimerDecision))}
    alerts = session().scalars(select(Alert).where(Alert.rule_id == mine)).all()
    matches = session().scalars(select(Match.event_id).where(Match.rule_id == mine))
    told = session().scalars(select(Notification).where(Notification.rule_id == mine))
    held = session().scalars(select(Suppression).where(Suppression.rule_id == mine))
    keys = {alert.id: alert.key for alert in alerts}

    def event_of(cause: str, cause_id: UUID) -> str | None:
        found = None if cause == Cause.ALERT else about.get(cause_id, cause_id)
        return str(found) if found in events else None

    return {
        "matches": sorted(str(key) if key in events else "" for key in matches),
        "alerts": sorted(
            (a.key, a.count, seconds(a.opened_at), seconds(a.last_at), seconds(a.resolved_at) or "")
            for a in alerts
        ),
        "notifications": sorted(
            (seconds(n.created_at), n.cause, event_of(n.cause, n.cause_id) or "", n.target, n.message)
            for n in told
        ),
        "held": sorted(
            (seconds(s.at), s.cause, event_of(s.cause, s.cause_id) or "", keys[s.alert_id], s.kind,
             s.reason, seconds(s.until) or "")
            for s in held
        ),
    }  # fmt: skip


def would(result: dict[str, Any]) -> dict[str, Any]:
    """What a backtest says, to be compared with that."""
    listed = result["listed"]
    entries = listed["notifications"]
    return {
        "matches": sorted(each["event_id"] or "" for each in listed["matches"]),
        "alerts": sorted(
            (a["key"], a["count"], seconds(a["opened_at"]), seconds(a["last_at"]), seconds(a["resolved_at"]) or "")
            for a in listed["alerts"]
        ),
        "notifications": sorted(
            (seconds(n["at"]), n["cause"], n["event_id"] or "", n["target"], n["message"])
            for n in entries if n["held"] is None
        ),
        "held": sorted(
            (seconds(n["at"]), n["cause"], n["event_id"] or "", n["key"], n["held"], n["reason"],
             seconds(n["until"]) or "")
            for n in entries if n["held"] is not None
        ),
    }  # fmt: skip


@pytest.fixture(scope="module")
def seen() -> Iterator[Counter[str]]:
    """In how many examples something has come about; where there were many, all of it must have."""
    seen: Counter[str] = Counter()
    yield seen
    if seen["examples"] >= ENOUGH:
        assert seen.keys() >= MUST, seen


def note(seen: Counter[str], expected: Mapping[str, Any]) -> None:
    """Count what a history has come to."""
    causes = {str(cause) for _, cause, *_ in expected["notifications"]}
    kinds = {str(kind) for _, _, _, _, kind, *_ in expected["held"]}
    about = {
        "matched": bool(expected["matches"]),
        "resolved": any(resolved_at for *_, resolved_at in expected["alerts"]),
        "let go": "held" in kinds and not causes.isdisjoint({"timer", "group"}),
    }
    seen.update({"examples", *causes, *kinds, *(name for name, is_so in about.items() if is_so)})


def morning(clock: TestClock) -> datetime:
    """The time is moved to the next morning, when the windows of clauses come."""
    clock.now = datetime.combine(clock.now.date() + timedelta(days=1), BEGIN, clock.now.tzinfo)
    return clock.now


def compare(
    client: Client,
    clock: TestClock,
    seen: Counter[str],
    rules: tuple[str, str, str],
    drawn: list[Step],
) -> None:
    """Let live judge a history, and a backtest the same."""
    since = morning(clock)
    when, clauses, other = rules
    number = next(names)
    others = make_rule(client, other, f"db {number}")
    clauses = clauses.replace('"db"', f'"db {number}"')
    rule_id = make_rule(client, f"when {when}{NOTIFY}{clauses}", f"rule {number}")
    live = Live(client, clock)
    for step in drawn:
        live.send(*step)
    until = clock.now + timedelta(seconds=601)
    live.pass_to(until, inclusive=True)
    result, expected = backtest(rule_id, since, until), recorded(rule_id)
    client.delete(f"/rules/{rule_id}")
    client.delete(f"/rules/{others}")
    # What an ended version has left is no business of the next one.
    live.pass_to(clock.now + timedelta(days=2))
    note(seen, expected)
    assert would(result) == expected, (rules, drawn)
    assert result["difference"]["only_backtest"] == result["difference"]["only_live"] == 0


clauses = st.sampled_from([HOLD, *CLAUSES, *UNLESS])
others = st.sampled_from(OTHERS)


@pytest.mark.parametrize("condition", [*CONDITIONS, *STATELESS, *AWAITED])
@settings(max_examples=3, **QUICKLY)
@given(clauses=clauses, other=others, drawn=history)
def test_a_backtest_is_what_live_recorded(
    client: Client,
    clock: TestClock,
    seen: Counter[str],
    condition: str,
    clauses: str,
    other: str,
    drawn: list[Step],
) -> None:
    compare(client, clock, seen, (condition, clauses, other), drawn)


@settings(max_examples=6, **QUICKLY)
@given(condition=conditions(), clauses=clauses, other=others, drawn=histories(anything))
def test_of_any_condition_a_backtest_is_what_live_recorded(
    client: Client,
    clock: TestClock,
    seen: Counter[str],
    condition: Expression,
    clauses: str,
    other: str,
    drawn: list[Step],
) -> None:
    rules = f"({format_expression(condition)})", clauses, other
    compare(client, clock, seen, rules, drawn)


def test_an_alert_that_is_over_takes_no_other_of_its_group_with_it(
    client: Client, clock: TestClock
) -> None:
    clauses = 'group 20s by u resolve when type == "b" by v'
    drawn: list[Step] = [
        (passed, 0, {"type": type, "u": 1, "v": v})
        for passed, type, v in ((0, "a", 1), (30, "a", 2), (1, "a", 1), (1, "b", 2), (1, "b", 1))
    ]
    compare(client, clock, Counter(), ('type == "a"', clauses, OTHERS[0]), drawn)


@pytest.mark.parametrize("clauses", ["group 45s by v throttle 1 per 2m", "throttle 1 per 2m by v"])
def test_times_of_one_moment_come_by_their_keys(
    client: Client, clock: TestClock, clauses: str
) -> None:
    when = 'absent(type == "a") for 1m by u expect ["z", "m", "a", "y", "b"]'
    compare(client, clock, Counter(), (when, clauses, OTHERS[0]), [(10, 0, {"type": "b"})])
