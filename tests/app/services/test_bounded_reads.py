"""What is asked of a large record reads a small part of it, whatever its size."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest
from sqlalchemy import select, text

from app.config import Memory
from app.extensions import db, session
from app.ids import uuid7
from app.models.events import Event
from app.models.rules import RuleVersion
from app.services import bulk, cost, deadletters, fields, ingest, tracing, why
from app.services.cost import Cost
from app.services.deadletters import DeadLetters
from app.services.ingest import Arrival
from app.services.tracing import State
from tests.app.client import Client
from tests.app.helpers import make_rule
from tests.app.statements import sent
from tests.conftest import TestClock

EVENTS = 20_000
BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
COLUMNS = "events (id, type, source, body, accepted_at, occurred_at, revision)"
# One row of each for each event; `now()` and the ids beside the event's own mean nothing.
BESIDE = (
    "INSERT INTO matches SELECT id, '{version}', '{rule}', gen_random_uuid(), now(), type FROM events",
    "INSERT INTO rule_errors SELECT id, '{version}', '{rule}', 'budget', now() FROM events",
    "INSERT INTO decisions SELECT id, now(), '{{}}' FROM events",
    "INSERT INTO timer_decisions (id, rule_version_id, event_id, decided_at, made)"
    " SELECT gen_random_uuid(), gen_random_uuid(), id, now(), '{{}}' FROM events",
    "INSERT INTO notifications (id, cause, cause_id, rule_id, rule_version_id, target, message, status, created_at,"
    " next_attempt_at, wake_at, attempts, attempts_forgiven, epoch) SELECT id, 'event', id, '{rule}', '{version}',"
    " 'slack:#a', '', 'sent', now(), now(), now(), 1, 0, 1 FROM events",
    "INSERT INTO attempts (notification_id, number, epoch, started_at, outcome)"
    " SELECT id, 1, 1, now(), 'ok' FROM events",
    "INSERT INTO suppressions (id, cause, cause_id, rule_id, rule_version_id, alert_id, target, kind, reason, at)"
    " SELECT gen_random_uuid(), 'event', id, '{rule}', '{version}', gen_random_uuid(), '', 'throttled', '', now()"
    " FROM events",
    "ANALYZE",
)
Plan = dict[str, Any]


@pytest.fixture
def newest(client: Client, clock: TestClock) -> UUID:
    """The newest of many events, of which each has left something everywhere."""
    rule = make_rule(client)
    arrivals = []
    for number in range(EVENTS):
        at = BEGIN + number * timedelta(seconds=1)
        # One type is rare, and one was frequent, both long ago.
        past = "rare" if number < 3 else "past"
        type_ = past if number < EVENTS // 3 else f"order.{number % 5}"
        body = orjson.dumps({"type": type_, "amount": number}).decode()
        arrivals.append(Arrival(uuid7(at), type_, body, at, at))
    rows = ((spelled, "1") for _, spelled, _ in ingest.spell(arrivals, source="http"))
    bulk.copy_rows(session().connection(), COLUMNS, rows)
    version = session().scalar(text("SELECT id FROM rule_versions"))
    for statement in BESIDE:
        session().execute(text(statement.format(rule=rule, version=version)))
    session().commit()
    return session().scalars(select(Event.id).order_by(Event.id.desc()).limit(1)).one()


def read_by(statement: str, parameters: Any) -> int:
    """How many rows a statement reads from tables and indexes, also those that it throws away."""
    with db.engine.connect() as connection, closing(connection.connection.cursor()) as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters)
        [told] = cursor.fetchall()[0]
    [plan] = json.loads(told) if isinstance(told, str) else told
    return sum(map(_rows, _nodes(plan["Plan"])))


def _nodes(plan: Plan) -> Iterator[Plan]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)


def _rows(node: Plan) -> int:
    if "Scan" not in node["Node Type"] or "Relation Name" not in node:
        return 0
    thrown = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    return int((node["Actual Rows"] + thrown) * node["Actual Loops"])


def page(**which: Any) -> list[State]:
    nothing: dict[str, Any] = {"type_": None, "since": None, "until": None, "matched": None}
    return tracing.events(session(), **nothing | {"after": None, "limit": 50} | which)


def second_page(**which: Any) -> list[State]:
    """The page after the oldest but fifty of what is asked for."""
    oldest = page(**which, oldest_first=True)[-1].event.id
    return page(**which, after=oldest)


def cost_of(*types: str) -> Cost:
    """Of the rule, had it been about these types."""
    version = session().scalars(select(RuleVersion)).one()
    version.tree, version.schema = {}, 0
    version.dsl = f'when type in {json.dumps(types)} and amount > 500 then notify("slack:#a")'
    session().commit()
    return cost.of(session(), version, Memory())


ASKED: dict[str, tuple[Callable[[UUID], Any], int]] = {
    "fields": (lambda _: fields.seen(session()), fields.NEWEST),
    "fields of a type": (lambda _: fields.seen(session(), "order.1"), fields.NEWEST),
    "fields of a type of the past": (lambda _: fields.seen(session(), "past"), fields.NEWEST),
    "fields of a rare type": (lambda _: fields.seen(session(), "rare"), 10),
    "fields of no event": (lambda _: fields.seen(session(), "none"), 10),
    "explain": (lambda key: why.of_all(session(), key), 20),
    "a scorecard": (lambda _: cost_of("order.1", "past"), cost.NEWEST),
    "a page": (lambda _: page(), 150),
    "a page of a type": (lambda _: page(type_="order.1"), 150),
    "a page of a type of the past": (lambda _: page(type_="past"), 150),
    "a later page of it": (lambda _: second_page(type_="past"), 150),
    "a page of what matched": (lambda _: page(type_="past", matched=True), 250),
    "a later page of what matched": (lambda _: second_page(type_="past", matched=True), 250),
    "a page of a time": (
        lambda _: page(type_="past", until=BEGIN + timedelta(seconds=EVENTS // 6)),
        150,
    ),
}


def test_what_is_read_does_not_grow_with_the_record(newest: UUID) -> None:
    too_much = {}
    for name, (ask, most) in ASKED.items():
        with sent() as statements:
            ask(newest)
        read = [read_by(*statement) for statement in statements]
        assert read
        if max(read) > most:
            too_much[name] = max(read)
    assert too_much == {}
    with sent() as statements:
        session().execute(text("SELECT id FROM events WHERE body::text LIKE '%19999%' LIMIT 1"))
    # What does read all is noticed.
    assert read_by(*statements[0]) == EVENTS


def test_dead_letters_are_put_back_without_a_look_at_all_that_was_ever_sent(
    newest: UUID, clock: TestClock
) -> None:
    for statement in (
        "UPDATE notifications SET cause = 'alert', target = 'pagerduty:a'",
        "UPDATE notifications SET status = 'dead', alert_id = gen_random_uuid() WHERE id IN"
        " (SELECT id FROM notifications ORDER BY id LIMIT 1000)",
        "ANALYZE",
    ):
        session().execute(text(statement))
    session().commit()
    with sent() as statements:
        assert len(deadletters.redrive_all(session(), DeadLetters(), clock(), 10)) == 10
    session().rollback()
    assert max(read_by(*statement) for statement in statements) <= 100
