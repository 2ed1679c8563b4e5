"""What is old is forgotten, whole days at a time, and nothing that still waits."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from app.channels.base import Outcome, Verdict
from app.config import Retention, Settings
from app.extensions import Base, db, session
from app.ids import moment_of, uuid7
from app.models.alerts import Alert, AlertChange, Match, Suppression
from app.models.events import Event
from app.models.notifications import Attempt, Notification, Status
from app.services import deadletters, retention, upkeep
from tests.acceptance.waiting import wait_until
from tests.app.client import Client
from tests.app.helpers import (
    begin_attempt,
    end_attempt,
    evaluate,
    make_rule,
    notifications,
    post_event,
    sweep,
    watching_locks,
)
from tests.conftest import TestClock

KEPT = Retention()
OLD_DAY = datetime(2032, 5, 4, 12, tzinfo=UTC)


@pytest.fixture
def days(clock: TestClock, app: Flask) -> None:
    """Partitions for the old day and the week after it."""
    clock.now = OLD_DAY
    upkeep.ensure_partitions(session(), clock())
    session().commit()


def forget(now: datetime) -> None:
    """What the sweep does."""
    for step in retention.steps(session(), KEPT, now):
        while step(session()):
            session().commit()
        session().commit()
    session().expire_all()


def partitions() -> list[str]:
    query = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'events'::regclass"
    return sorted(session().scalars(text(query)))


def count(model: type[Base]) -> int:
    return session().scalar(select(func.count()).select_from(model)) or 0


def deliver(clock: TestClock, settings: Settings, outcome: Outcome = Outcome.DELIVERED) -> None:
    """One attempt of each notification, with this outcome."""
    for notification in notifications():
        sending = begin_attempt(notification.id, settings, clock)
        end_attempt(sending, clock, Verdict(outcome, 200, ""), settings.retry)


def tell(
    client: Client, clock: TestClock, settings: Settings, outcome: Outcome = Outcome.DELIVERED
) -> UUID:
    """An event of which somebody was told, with this outcome."""
    make_rule(client)
    event_id = post_event(client)
    evaluate(clock.tick(1))
    deliver(clock, settings, outcome)
    return event_id


def test_a_day_of_events_goes_with_its_matches_when_it_is_old(
    client: Client, clock: TestClock, settings: Settings, days: None
) -> None:
    event_id = tell(client, clock, settings)
    assert "events_20320504" in partitions()
    forget(OLD_DAY + timedelta(days=30))
    assert client.get(f"/events/{event_id}").status_code == 200
    forget(OLD_DAY + timedelta(days=31))
    assert "events_20320504" not in partitions()
    assert "events_20320505" in partitions()
    for path in ("", "/trace"):
        answer = client.get(f"/events/{event_id}{path}")
        assert answer.status_code == 404
        assert "older than what is kept" in answer.json["detail"]
    assert count(Match) == 0
    assert (count(Notification), count(Attempt)) == (1, 1)


def test_what_came_without_a_partition_goes_too(client: Client, clock: TestClock) -> None:
    clock.now = datetime(2019, 1, 1, tzinfo=UTC)
    post_event(client)
    evaluate(clock())
    clock.tick(86_400)
    kept = post_event(client)
    evaluate(clock())
    forget(datetime(2019, 2, 1, tzinfo=UTC))
    assert session().scalars(select(Event.id)).all() == [kept]


@pytest.mark.parametrize("waiting", ["event", "notification"])
def test_a_day_with_something_that_waits_is_kept_whole(
    client: Client, clock: TestClock, settings: Settings, days: None, waiting: str
) -> None:
    make_rule(client)
    for _ in range(2):
        post_event(client)
    evaluate(clock.tick(1))
    deliver(clock, settings, Outcome.DELIVERED if waiting == "event" else Outcome.TRANSIENT)
    if waiting == "event":
        post_event(client)
    forget(OLD_DAY + timedelta(days=300))
    assert "events_20320504" in partitions()
    assert count(Match) == 2
    if waiting == "event":
        evaluate(clock.tick(1))
    session().execute(update(Notification).values(status=Status.SENT, finished_at=clock()))
    session().commit()
    forget(OLD_DAY + timedelta(days=300))
    assert "events_20320504" not in partitions()
    assert count(Match) == 0


def test_ended_notifications_go_with_their_attempts_and_pending_ones_keep_theirs(
    client: Client, clock: TestClock, settings: Settings
) -> None:
    tell(client, clock, settings)
    post_event(client)
    evaluate(clock.tick(1))
    [ended, pending] = notifications()
    assert begin_attempt(pending.id, settings, clock) is not None
    later = clock() + timedelta(days=89)
    forget(later)
    assert [n.id for n in notifications()] == [ended.id, pending.id]
    forget(later + timedelta(days=2))
    assert [n.id for n in notifications()] == [pending.id]
    assert session().scalars(select(Attempt.notification_id)).all() == [pending.id]


def test_a_dead_letter_that_is_put_back_as_its_time_is_over_is_kept_with_its_attempts(
    client: Client, clock: TestClock, settings: Settings
) -> None:
    tell(client, clock, settings, Outcome.PERMANENT)
    [dead] = notifications()
    late = clock() + timedelta(days=91)
    deadletters.redrive(session(), dead.id, late)
    with (
        ThreadPoolExecutor(1) as pool,
        Session(db.engine) as other,
        watching_locks() as somebody_waits,
    ):
        *_, last = retention.steps(other, KEPT, late)
        forgetting = pool.submit(last, other)
        wait_until(lambda: forgetting.done() or somebody_waits(), 30)
        session().commit()
        assert forgetting.result(30) is False
        other.commit()
    assert [(n.id, n.status) for n in notifications()] == [(dead.id, Status.PENDING)]
    assert count(Attempt) == 1


def test_only_alerts_that_are_resolved_are_forgotten(client: Client, clock: TestClock) -> None:
    for name in ("Open", "Resolved"):
        make_rule(client, name=name)
    post_event(client)
    evaluate(clock.tick(1))
    session().execute(update(Notification).values(status=Status.SENT, finished_at=clock()))
    resolved = session().scalars(select(Alert).order_by(Alert.id)).first()
    assert resolved is not None
    client.post(f"/alerts/{resolved.id}/resolve")
    forget(clock() + timedelta(days=32))
    assert session().scalars(select(Alert.state)).all() == ["open"]


def test_an_alert_is_kept_for_as_long_after_its_end_however_old_its_last_match_is(
    client: Client, clock: TestClock
) -> None:
    make_rule(client)
    post_event(client)
    evaluate(clock.tick(1))
    session().execute(update(Notification).values(status=Status.SENT, finished_at=clock()))
    session().commit()
    clock.tick(40 * 86400)
    alert = client.get("/alerts").json["data"][0]["id"]
    assert client.post(f"/alerts/{alert}/resolve").status_code == 200
    forget(clock() + timedelta(hours=1))
    assert client.get(f"/alerts/{alert}").json["state"] == "resolved"
    assert count(AlertChange) == 2
    forget(clock() + timedelta(days=32))
    assert count(Alert) == 0


def test_many_rows_go_in_batches(
    client: Client, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    make_rule(client)
    for _ in range(5):
        post_event(client)
    evaluate(clock.tick(1))
    session().execute(update(Notification).values(status=Status.SENT, finished_at=clock()))
    session().commit()
    forget(clock() + timedelta(days=91))
    assert (count(Event), count(Match), count(Notification)) == (0, 0, 0)


def test_a_keys_moment_is_in_the_key(clock: TestClock) -> None:
    assert moment_of(uuid7(clock())) == clock()


def test_the_sweep_forgets_by_the_settings(app: Flask, client: Client, clock: TestClock) -> None:
    post_event(client)
    evaluate(clock())
    sweep(app)
    assert count(Event) == 1
    # The sweep gives way to whoever reads.
    session().rollback()
    clock.now += timedelta(days=32)
    sweep(app)
    session().expire_all()
    assert count(Event) == 0


def test_what_was_held_back_goes_with_its_events_and_a_history_with_its_alert(
    client: Client, clock: TestClock
) -> None:
    make_rule(client)
    post_event(client)
    evaluate(clock.tick(1))
    alert = client.get("/alerts").json["data"][0]["id"]
    for verb, body in (("snooze", {"for": "1h"}), ("ack", {})):
        client.post(f"/alerts/{alert}/{verb}", json=body)
    post_event(client)
    evaluate(clock.tick(1))
    assert (count(Suppression), count(AlertChange)) == (1, 3)
    session().execute(update(Notification).values(status=Status.SENT, finished_at=clock()))
    session().commit()
    later = clock() + timedelta(days=32)
    forget(later)
    assert (count(Suppression), count(AlertChange), count(Alert)) == (0, 3, 1)
    client.post(f"/alerts/{alert}/resolve", json={})
    session().execute(update(Notification).values(status=Status.SENT, finished_at=clock()))
    session().commit()
    forget(later)
    assert (count(AlertChange), count(Alert)) == (0, 0)
