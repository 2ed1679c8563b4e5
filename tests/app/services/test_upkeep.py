"""Whatever is overdue is found, once, by whoever sweeps."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from types import ModuleType
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import text

from app.extensions import db, session
from app.ids import uuid7
from app.services import claims, forgetting, idempotency, quiet, recompiling, upkeep
from rules_dsl import Rule as CompiledRule
from rules_dsl import compile_rule
from tasks import upkeep as sweeping
from tests.acceptance.waiting import wait_until
from tests.app.client import Client
from tests.app.helpers import (
    claim,
    evaluate,
    make_rule,
    notifications,
    post_event,
    sweep,
    watching_locks,
)
from tests.conftest import TestClock


def test_an_event_nobody_came_for_is_overdue_after_five_seconds_and_then_every_ten(
    client: Client, clock: TestClock
) -> None:
    event_id = post_event(client)
    assert upkeep.overdue_events(session(), clock.tick(4), 100) == []
    assert upkeep.overdue_events(session(), clock.tick(1), 100) == [event_id]
    assert upkeep.overdue_events(session(), clock.tick(9), 100) == []
    assert upkeep.overdue_events(session(), clock.tick(1), 100) == [event_id]


def test_an_event_that_is_begun_five_times_and_never_ends_is_given_up_and_can_be_retried(
    client: Client, clock: TestClock
) -> None:
    event_id = post_event(client)
    for number in range(1, 6):
        assert claims.give_up(session(), clock()) == 0
        [held] = claim([event_id], clock.tick(23))
        assert held.epoch == number
    assert claims.give_up(session(), clock.tick(21)) == 0
    assert claims.give_up(session(), clock.tick(2)) == 1
    session().commit()
    found = client.get(f"/events/{event_id}").json
    assert (found["state"], found["reason"]) == ("failed", claims.POISON)
    assert claim([event_id], clock()) == []
    assert client.post(f"/events/{event_id}/retry").json["state"] == "pending"
    [again] = claim([event_id], clock.tick(1))
    assert again.epoch == 6
    assert client.post(f"/events/{event_id}/retry").status_code == 409
    assert client.post(f"/events/{uuid4()}/retry").status_code == 404


def test_what_a_dead_message_held_is_freed_and_only_the_culprit_is_a_suspect(
    client: Client, clock: TestClock
) -> None:
    events = [post_event(client, n=n) for n in range(3)]
    holder, culprit = uuid4(), events[1]
    assert len(claim(events[:1], clock(), holder)) == 3
    other = post_event(client)
    assert claims.release(session(), uuid4(), culprit, clock()) == []
    assert claims.release(session(), holder, culprit, clock()) == sorted(events)
    held = claim([culprit], clock())
    assert [one.event_id for one in held] == sorted([events[0], events[2], other])
    assert [one.event_id for one in claim([culprit], clock())] == [culprit]


def test_a_culprit_counts_each_of_its_deaths_and_its_company_none(
    client: Client, clock: TestClock
) -> None:
    culprit, innocent = post_event(client), post_event(client)
    for _ in range(claims.GIVE_UP_AFTER):
        holder = uuid4()
        claims.together(session(), [culprit, innocent], clock(), holder)
        claims.suspects(session(), [culprit], clock(), holder)
        claims.release(session(), holder, culprit, clock())
    assert claims.give_up(session(), clock()) == 1
    assert [one.event_id for one in claim([innocent], clock())] == [innocent]
    assert claim([culprit], clock()) == []


def test_without_a_culprit_suspects_go_in_small_companies_and_then_alone(
    client: Client, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "COMPANY", 2)
    events = [post_event(client, n=n) for n in range(3)]
    sizes = []
    for _ in range(3):
        holder = uuid4()
        held = claim(events, clock(), holder)
        sizes.append(len(held))
        claims.release(session(), holder, None, clock())
    assert sizes == [3, 2, 1]


def test_a_message_whose_event_is_done_takes_others_and_a_suspect_when_it_is_due(
    client: Client, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "COMPANY", 1)
    done, suspect = post_event(client), post_event(client)
    claim([done, suspect], clock())
    evaluate(clock.tick(23), [done])
    fresh = post_event(client)
    assert [one.event_id for one in claim([done], clock())] == [fresh]
    assert [one.event_id for one in claim([done], clock())] == [suspect]


def test_a_message_claims_five_hundred_at_most_oldest_first(
    client: Client, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "TOGETHER", 3)
    events = [post_event(client, time=clock.tick(1).isoformat()) for _ in range(5)]
    held = claim(events[4:], clock())
    assert [one.event_id for one in held] == [events[0], events[1], events[4]]


def test_no_more_are_woken_than_the_queue_has_room_for(client: Client, clock: TestClock) -> None:
    for _ in range(3):
        post_event(client)
    assert len(upkeep.overdue_events(session(), clock.tick(6), 2)) == 2
    assert len(upkeep.overdue_events(session(), clock(), 2)) == 1


def test_a_notification_whose_wake_up_was_lost_is_overdue(client: Client, clock: TestClock) -> None:
    make_rule(client)
    post_event(client)
    evaluate(clock())
    [notification] = notifications()
    assert upkeep.overdue_notifications(session(), clock.tick(4), 100) == []
    [due] = upkeep.overdue_notifications(session(), clock.tick(2), 100)
    assert (due.id, due.receiver) == (notification.id, notification.receiver)


def test_only_one_sweeps_at_a_time(app: Flask) -> None:
    assert upkeep.try_lock(session())
    with db.engine.connect() as other:
        taken = other.execute(text(f"SELECT pg_try_advisory_xact_lock({upkeep.SWEEP_LOCK})"))
        assert taken.scalar() is False
    session().rollback()


@pytest.mark.parametrize("part", [(quiet, "wake"), (forgetting, "over")])
def test_a_part_that_fails_costs_the_rest_of_the_round_nothing(
    app: Flask, clock: TestClock, monkeypatch: pytest.MonkeyPatch, part: tuple[ModuleType, str]
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("deadlock detected")

    upkeep.beat(session(), "events@dead", ["events"], clock.now - timedelta(days=2))
    session().commit()
    monkeypatch.setattr(*part, fail)
    sweep(app)
    assert session().execute(text("SELECT count(*) FROM samples")).scalar() == 1
    assert session().execute(text("SELECT count(*) FROM workers")).scalar() == 0


def test_what_is_kept_in_order_is_so_before_rules_of_another_release_are_compiled(
    app: Flask, client: Client, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_rule(client)
    session().execute(text("UPDATE rule_versions SET schema = -1"))
    upkeep.beat(session(), "events@dead", ["events"], clock.now - timedelta(days=2))
    last = upkeep.partition_of(clock.now + timedelta(days=upkeep.DAYS_AHEAD))
    session().execute(text(f"DROP TABLE IF EXISTS {last}"))
    session().commit()
    seen = []

    def look(dsl: str) -> CompiledRule:
        with db.engine.connect() as other:
            made = other.execute(text(f"SELECT to_regclass('{last}')")).scalar()
            workers = other.execute(text("SELECT name FROM workers")).scalars().all()
        seen.append((made, workers))
        return compile_rule(dsl)

    monkeypatch.setattr(recompiling, "compile_rule", look)
    monkeypatch.setattr(sweeping, "FORGET_SECONDS", 60.0)
    sweep(app)
    assert seen == [(last, ["events@test"])]
    outdated = text("SELECT count(*) FROM rule_versions WHERE schema = -1")
    assert session().execute(outdated).scalar() == 0


def test_a_day_of_events_gets_its_partition_and_those_that_came_before_it_move_in(
    client: Client, clock: TestClock
) -> None:
    clock.now = datetime(2031, 5, 4, 23, 59, 59, 900000, tzinfo=UTC)
    before = post_event(client)
    after = post_event(client, time=clock.tick(1).isoformat())
    home = text("SELECT tableoid::regclass::text FROM events WHERE id = :id")
    assert session().execute(home, {"id": before}).scalar() == "events_default"
    upkeep.ensure_partitions(session(), datetime(2031, 5, 4, 12, tzinfo=UTC))
    upkeep.ensure_partitions(session(), datetime(2031, 5, 4, 13, tzinfo=UTC))
    assert session().execute(home, {"id": before}).scalar() == "events_20310504"
    assert session().execute(home, {"id": after}).scalar() == "events_20310505"
    session().rollback()


def test_an_event_that_comes_as_its_day_gets_its_partition_is_accepted(
    app: Flask, client: Client, clock: TestClock
) -> None:
    clock.now = datetime(2032, 5, 4, 12, tzinfo=UTC)
    upkeep.ensure_partitions(session(), clock())
    with ThreadPoolExecutor(1) as pool, watching_locks() as somebody_waits:
        posted = pool.submit(app.test_client().post, "/events", json={"type": "order"})
        wait_until(lambda: posted.done() or somebody_waits(), 30)
        session().commit()
        assert posted.result(10).status_code == 202


def test_a_workers_sign_of_life_fades(app: Flask, clock: TestClock) -> None:
    upkeep.beat(session(), "events@a", ["events"], clock())
    upkeep.beat(session(), "events@b", ["events"], clock.tick(10))
    upkeep.beat(session(), "notifications@a", ["notifications"], clock())
    assert upkeep.live_workers(session(), clock()) == {"events": 2, "notifications": 1}
    assert upkeep.live_workers(session(), clock.tick(6)) == {"events": 1, "notifications": 1}
    upkeep.leave(session(), "events@b")
    assert upkeep.live_workers(session(), clock()) == {"notifications": 1}


def test_a_worker_that_died_long_ago_is_forgotten(app: Flask, clock: TestClock) -> None:
    upkeep.beat(session(), "events@dead", ["events"], clock())
    upkeep.beat(session(), "events@alive", ["events"], clock.tick(90_000))
    upkeep.forget_workers(session(), clock())
    names = session().execute(text("SELECT name FROM workers")).scalars().all()
    assert names == ["events@alive"]


def test_an_idempotency_key_is_forgotten_after_a_day(client: Client, clock: TestClock) -> None:
    def send() -> dict[str, object]:
        answer = client.post("/events", json={"type": "a"}, headers={"Idempotency-Key": "k"})
        found: dict[str, object] = answer.json
        return found

    first = send()
    clock.now += timedelta(hours=23)
    assert send()["id"] == first["id"]
    clock.now += timedelta(hours=2)
    assert send()["duplicate"] is False
    idempotency.purge(session(), clock.now + timedelta(days=2))
    rows = session().execute(text("SELECT count(*) FROM idempotency_keys")).scalar()
    assert rows == 0


def test_keys_of_one_millisecond_keep_their_order(clock: TestClock) -> None:
    keys = [uuid7(clock.tick(0.000002)) for _ in range(100)]
    assert keys == sorted(keys)
