"""The past is read whole and in its order, however late events came, and in pages of bounded size."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, text

from app.extensions import db, session
from app.ids import uuid7
from app.services import bulk, heartbeat, ingest
from app.services.backtesting import past
from app.services.backtesting.bodies import read
from app.services.backtesting.past import Past, Stored, Stretch
from app.services.backtesting.types import types_of
from app.services.ingest import Arrival
from rules_dsl import compile_rule

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
END = BEGIN + timedelta(hours=1)
EVENTS = "events (id, type, source, body, accepted_at, occurred_at, revision)"
ALL = Stretch(BEGIN, END)
# Seconds from one acceptance to the next, and from an event's time to it.
arrivals = st.lists(
    st.tuples(
        st.sampled_from([0.001, 0.5, 1, 4, 7]),
        st.sampled_from([0, 0, 0.4, 2, 4.999, 5, 5.001, 6, 90, 4000, -3]),
    ),
    max_size=60,
)


@pytest.fixture
def connection(app: Flask) -> Iterator[Connection]:
    with db.engine.connect() as opened:
        yield opened.execution_options(isolation_level="AUTOCOMMIT")
        opened.invalidate()


def store(
    drawn: list[tuple[float, float]], body: str = '{"type":"a"}', source: str = "http"
) -> None:
    at, made = BEGIN, []
    for passed, late in drawn:
        at += timedelta(seconds=passed)
        type_ = orjson.loads(body)["type"]
        made.append(Arrival(uuid7(at), type_, body, at, at - timedelta(seconds=late)))
    rows = ((fields, "1") for _, fields, _ in ingest.spell(made, source=source))
    bulk.copy_rows(session().connection(), EVENTS, rows)
    session().commit()


def nobody(_: float) -> None:
    """Hears how far it is."""


def by_time(connection: Connection, rows: int = past.ROWS) -> list[Stored]:
    return [one for page in Past(connection, ALL, rows).by_time(nobody) for one in page]


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
)
@given(drawn=arrivals, rows=st.sampled_from([2, 7, 1000]))
def test_the_order_is_that_of_event_time(
    connection: Connection, drawn: list[tuple[float, float]], rows: int
) -> None:
    session().execute(text("TRUNCATE events"))
    store(drawn)
    accepted = [one for page in Past(connection, ALL, rows).as_accepted() for one in page]
    assert [one.id for one in accepted] == sorted(one.id for one in accepted)
    assert len(accepted) == len(drawn)
    assert by_time(connection, rows) == sorted(accepted)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(past, "IN_HAND", 1)
        assert by_time(connection, rows) == sorted(accepted)


def test_of_an_import_no_event_waits_in_memory_for_another(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    store([(0.001, late) for late in (0.0, 3.0, 0.0, 1.0, 0.0, 0.0, 2.0, 0.0)] * 20)
    everything = Past(connection, ALL, 10)
    assert [len(page) for page in everything.by_time(nobody) if page][:1] == [160]
    monkeypatch.setattr(past, "IN_HAND", 100 * past.AN_EVENT)
    monkeypatch.setattr(past, "NOTED", 10)
    pages = [page for page in Past(connection, ALL, 10).by_time(nobody) if page]
    assert max(map(len, pages)) < 100
    assert [one for page in pages for one in page] == by_time(connection)


def test_a_quiet_time_is_no_import_however_much_there_is_of_it() -> None:
    hand = past._Hand()
    for hour in range(24):
        begin = hour * 3_600_000_000
        assert hand.holds(begin, begin + 3_599_000_000, past.IN_HAND) < past.IN_HAND / 100
    assert hand.holds(0, 1_000_000, past.IN_HAND + 1) > past.IN_HAND


def test_a_page_holds_so_many_bytes_or_one_event(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(past, "BYTES", 1000)
    store([(1, 0)] * 9, orjson.dumps({"type": "a", "text": "x" * 400}).decode())
    store([(60, 0)] * 2, orjson.dumps({"type": "a", "text": "x" * 4000}).decode())
    pages = [len(page) for page in Past(connection, ALL).as_accepted()]
    assert pages == [3, 3, 3, 1, 1]


def test_only_what_was_accepted_in_the_time_is_read(connection: Connection) -> None:
    store([(0, 0), (1800, 0), (1800, 0)])
    found = [one for page in Past(connection, ALL).as_accepted() for one in page]
    assert len(found) == 2


def test_heartbeats_are_left_out_and_what_calls_itself_one_is_not(connection: Connection) -> None:
    body = orjson.dumps({"type": heartbeat.TYPE}).decode()
    store([(1, 0)], body, heartbeat.SOURCE)
    store([(1, 0)], body, "http")
    assert len(by_time(connection)) == 1


def test_other_types_are_not_read(connection: Connection) -> None:
    for body in ('{"type":"a"}', '{"type":"b"}', '{"type":"c"}'):
        store([(1, 0), (60, 40)], body)
    for types in ({"a"}, {"a", "c"}, set()):
        some = Past(connection, replace(ALL, types=frozenset(types)))
        found = [one.text for page in some.by_time(nobody) for one in page]
        assert {read(one)["type"] for one in found} == types
        assert len(found) == 2 * len(types)


@pytest.mark.parametrize(
    ("when", "types"),
    [
        ('type == "a"', {"a"}),
        ('"a" == event.type and x > 1', {"a"}),
        ('type in ["a", "b", 1] and (x > 1 or y)', {"a", "b"}),
        ('type == "a" and type in ["b"]', set()),
        ('type == "a" or type == "b"', {"a", "b"}),
        ('type == "a" or x > 1', None),
        ('not (type == "a")', None),
        ('type != "a"', None),
        ('user.type == "a"', None),
        ('any x in items: (x.type == "a")', None),
        ('count(type == "a") over 1m >= 2', None),
        ('type == "a" and count() over 1m >= 2', {"a"}),
        ('absent(type == "a") for 1m', {"a"}),
        ('type == "a" for 1m', None),
        ('seq(a: type == "a" -> b: type == "b" and b.x > a.x) within 1m', {"a", "b"}),
    ],
)
def test_which_types_a_rule_asks_for(when: str, types: set[str] | None) -> None:
    when = when.replace("or y)", "or exists y)")
    rule = compile_rule(f'when {when} then notify("slack:#a")')
    assert types_of(rule) == types
    resolved = f'when {when} then notify("slack:#a") resolve when type == "z"'
    expected = None if types is None else types | {"z"}
    assert types_of(compile_rule(resolved)) == expected


numbers = st.one_of(
    st.integers(-(2**70), 2**70),
    st.integers(2**63 - 2, 2**64 + 2),
    st.integers(-(2**63) - 2, -(2**63) + 2),
    st.floats(allow_nan=False, allow_infinity=False),
)
values = st.recursive(
    st.one_of(numbers, st.text(), st.none(), st.booleans()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner)),
)


@settings(max_examples=300, deadline=None)
@given(body=st.dictionaries(st.text(), values))
def test_bodies_are_read_as_live_reads_them(body: dict[str, Any]) -> None:
    import json

    written = json.dumps(body)
    assert repr(read(written)) == repr(json.loads(written))
