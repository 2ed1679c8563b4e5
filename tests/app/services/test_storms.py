"""Past a limit per target and minute a digest tells the rest, exactly, and nothing is lost from the record."""

import threading
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from flask import Flask
from sqlalchemy import func, select

from app.config import Settings
from app.extensions import db, session
from app.models.alerts import Match, Suppression
from app.models.silences import Storm
from app.services import delivery, digests, matching, storms
from app.services.claims import Claim
from app.services.delivery import Sending
from tests.app.client import Client
from tests.app.helpers import claim, evaluate, make_rule, notifications, post_event
from tests.conftest import TestClock

LIMIT = 5


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, storm_limit=LIMIT)


@pytest.fixture
def rule(client: Client) -> str:
    return make_rule(client, 'when type == "a" then notify("slack:#a")', name="First")


def events(client: Client, count: int, type_: str = "a") -> list[UUID]:
    return [post_event(client, type=type_) for _ in range(count)]


def sweep(clock: TestClock, seconds: float) -> list[UUID]:
    made = digests.send(session(), clock.tick(seconds))
    session().commit()
    return [one.id for one in made]


def held() -> list[Suppression]:
    return list(session().scalars(select(Suppression).order_by(Suppression.id)))


def test_up_to_the_limit_each_match_is_told_alone(
    client: Client, clock: TestClock, rule: str
) -> None:
    assert len(evaluate(clock(), events(client, LIMIT)).notification_ids) == LIMIT
    assert held() == []
    assert sweep(clock, 300) == []


@pytest.mark.parametrize("batches", [[12], [1] * 12, [4, 3, 5]])
def test_past_the_limit_one_digest_tells_the_rest_when_the_minute_is_over(
    client: Client, clock: TestClock, rule: str, batches: list[int]
) -> None:
    clock.tick(3)
    made = [len(evaluate(clock(), events(client, n)).notification_ids) for n in batches]
    assert sum(made) == LIMIT
    assert [(row.kind, row.target) for row in held()] == [("storm", "slack:#a")] * 7
    assert session().scalar(select(func.count()).select_from(Match)) == 12
    assert sweep(clock, 60) == []
    [key] = sweep(clock, 3)
    assert sweep(clock, 60) == []
    digest = next(row for row in notifications() if row.id == key)
    assert (digest.cause, digest.target) == ("storm", "slack:#a")
    assert digest.digest is not None
    assert (digest.digest["count"], digest.digest["id"]) == (7, str(held()[0].held_by))
    assert digest.message.startswith(
        "There was a storm in the minute of 2026-03-01 12:00 UTC. 7 notifications were held back"
    )
    listed = client.get(digest.digest["held"]).json["data"]
    assert [one["id"] for one in listed] == [str(row.id) for row in reversed(held())]


def test_each_target_and_each_minute_counts_for_itself(
    client: Client, clock: TestClock, rule: str
) -> None:
    make_rule(client, 'when type == "b" then notify("slack:#b", "slack:#a")', name="Second")
    assert len(evaluate(clock(), events(client, LIMIT)).notification_ids) == LIMIT
    told = evaluate(clock(), events(client, 2, "b")).notification_ids
    assert [row.target for row in notifications() if row.id in told] == ["slack:#b"] * 2
    clock.tick(60)
    assert len(evaluate(clock(), events(client, LIMIT)).notification_ids) == LIMIT
    [key] = sweep(clock, 5)
    digest = next(row.digest for row in notifications() if row.id == key)
    assert digest is not None
    assert digest["rules"][0]["name"] == "Second"


def test_a_digest_is_as_severe_as_the_worst_that_its_storm_held_back(
    client: Client, clock: TestClock, rule: str, settings: Settings
) -> None:
    for severity in ("info", "critical", "high"):
        make_rule(
            client,
            f'when type == "{severity}" then notify("slack:#a") severity {severity}',
            name=severity,
        )
    evaluate(clock(), events(client, LIMIT))
    for type_ in ("info", "critical", "high"):
        evaluate(clock(), events(client, 1, type_))
    [key] = sweep(clock, 65)
    [sending] = delivery.begin(session(), [key], settings, clock)
    assert isinstance(sending, Sending)
    assert sending.notice.rule == {"name": "Digest", "severity": "critical"}


def test_a_late_commit_into_an_old_minute_is_told_too_by_a_digest_of_the_whole_minute(
    client: Client, clock: TestClock, rule: str
) -> None:
    evaluate(clock(), events(client, LIMIT + 1))
    late = clock()
    assert len(sweep(clock, 66)) == 1
    evaluate(late, events(client, 1))
    assert len(sweep(clock, 5)) == 1
    assert sweep(clock, 5) == []
    digests_made = [row.digest for row in notifications() if row.digest is not None]
    assert [one["count"] for one in digests_made] == [1, 2]
    assert len({one["id"] for one in digests_made}) == 1


def test_without_a_limit_there_is_no_storm(client: Client, clock: TestClock, rule: str) -> None:
    found = claim(events(client, 40), clock())
    judged = matching.judge(matching.load(session(), found))
    made = matching.record(session(), found, judged, None, clock())
    session().commit()
    assert len(made.notification_ids) == 40
    assert session().scalars(select(Storm)).all() == []


def test_what_was_switched_off_is_not_counted_towards_a_storm(
    client: Client, clock: TestClock, rule: str
) -> None:
    waiting = events(client, 10)
    client.patch(f"/rules/{rule}", json={"enabled": False})
    assert len(evaluate(clock(), waiting).cancelled) == 10
    assert session().scalars(select(Storm)).all() == []


def test_many_workers_at_once_tell_exactly_as_many_as_the_limit_allows(
    app: Flask, client: Client, clock: TestClock, rule: str
) -> None:
    make_rule(client, 'when type == "a" then notify("slack:#b", "slack:#a")', name="Second")
    batches = [claim(events(client, 5), clock(), uuid4()) for _ in range(6)]

    def work(batch: list[Claim]) -> None:
        with app.app_context():
            judged = matching.judge(matching.load(session(), batch))
            session().commit()
            matching.record(session(), batch, judged, 20, clock())
            session().commit()
            db.session.remove()

    threads = [threading.Thread(target=work, args=(batch,)) for batch in batches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    counted = {
        target: sum(row.target == target for row in notifications())
        for target in ("slack:#a", "slack:#b")
    }
    assert counted == {"slack:#a": 20, "slack:#b": 20}
    assert len(held()) == 60 - 20 + 30 - 20
    totals = {row.target: (row.wanted, row.held) for row in session().scalars(select(Storm))}
    assert totals == {"slack:#a": (60, 40), "slack:#b": (30, 10)}


def test_counts_are_forgotten_after_a_day_unless_they_are_still_to_be_told(
    client: Client, clock: TestClock, rule: str
) -> None:
    evaluate(clock(), events(client, LIMIT + 1))
    storms.purge(session(), clock.tick(90_000))
    assert len(session().scalars(select(Storm)).all()) == 1
    assert len(sweep(clock, 0)) == 1
    storms.purge(session(), clock())
    assert session().scalars(select(Storm)).all() == []
