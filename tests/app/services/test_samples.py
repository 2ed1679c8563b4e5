"""Samples: a row a minute, rates between them, and gaps where nobody wrote one."""

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from app.extensions import session
from app.metrics import EVENTS_INGESTED, NOTIFICATIONS_SENT, RULES_TRIGGERED, totals
from app.models.upkeep import Sample
from app.services import samples
from app.services.samples import History
from tests.app.client import Client
from tests.app.helpers import evaluate, make_rule, post_event, sweep
from tests.conftest import TestClock

BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
MINUTES = int(BEGIN.timestamp()) // 60


def history(*rows: tuple[int, dict[str, int]]) -> History:
    """Samples so many minutes after the beginning."""
    names = [*samples.TOTALS, "waiting", "pending", "alerts"]
    columns = {name: [figures.get(name, 0) for _, figures in rows] for name in names}
    return History([MINUTES + minute for minute, _ in rows], columns)


def row(minute: int, **figures: int) -> tuple[int, dict[str, int]]:
    return minute, figures


def stored() -> list[Sample]:
    session().expire_all()
    return list(session().scalars(select(Sample).order_by(Sample.minute)))


def take(now: datetime) -> None:
    totals.flush()
    samples.take(session(), now)
    session().commit()


def test_a_minute_is_written_down_once_with_all_that_there_was(
    client: Client, clock: TestClock
) -> None:
    make_rule(client)
    post_event(client)
    evaluate(clock())
    post_event(client)
    assert client.post("/events", json={"amount": 1}).status_code == 422
    take(clock.tick(30))
    take(clock.tick(29))
    [sample] = stored()
    assert sample.minute == BEGIN
    assert (sample.ingested, sample.rejected, sample.waiting) == (2, 1, 1)
    assert (sample.pending, sample.alerts, sample.sent, sample.dead) == (1, 1, 0, 0)
    take(clock.tick(1))
    assert [each.minute for each in stored()] == [BEGIN, BEGIN + MINUTE]
    past = samples.since(session(), BEGIN + MINUTE / 2)
    assert (past.minutes, past.figures["waiting"]) == ((MINUTES, MINUTES + 1), (1, 1))
    assert samples.since(session(), clock.tick(60)).minutes == ()


def test_only_what_was_accepted_or_sent_is_counted_as_that(app: Flask, clock: TestClock) -> None:
    for outcome in ("accepted", "duplicate"):
        totals.count(EVENTS_INGESTED, "http", outcome)
    for outcome in ("sent", "dead", "cancelled"):
        totals.count(NOTIFICATIONS_SENT, "slack", outcome)
    for rule in ("a", "b"):
        totals.count(RULES_TRIGGERED, rule, by=2)
    totals.flush()
    found = samples.measure(session())
    assert (found["ingested"], found["sent"], found["matches"]) == (1, 1, 4)


def test_a_level_is_counted_so_far_and_no_further(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samples, "MOST", 2)
    for _ in range(3):
        post_event(client)
    assert samples.measure(session())["waiting"] == 2


def test_a_rate_is_the_difference_of_two_minutes() -> None:
    past = history(row(0, ingested=10), row(1, ingested=70), row(2, ingested=70))
    frame = samples.Frame(MINUTES, 1, 3)
    assert samples.rates(samples.series(past, frame), "ingested") == [60, 0, None]


def test_a_gap_in_the_samples_is_a_gap_in_the_rates_but_a_minute_left_out_is_not() -> None:
    past = history(row(0), row(2, sent=8), row(8, sent=80), row(9, sent=81))
    frame = samples.Frame(MINUTES, 1, 9)
    assert samples.rates(samples.series(past, frame), "sent") == [4, 4, *[None] * 6, 1]


def test_totals_that_were_begun_anew_are_no_negative_rate() -> None:
    past = history(row(0, sent=50), row(1, sent=3), row(2, sent=5))
    assert samples.rates(samples.series(past, samples.Frame(MINUTES, 1, 2)), "sent") == [None, 2]
    assert samples.grown(past, "sent", {"sent": 6}) == 3


def test_a_long_stretch_tells_the_mean_rate_and_the_highest_level() -> None:
    past = history(*(row(n, ingested=n * n, waiting=n % 7) for n in range(31)))
    frame = samples.Frame(MINUTES, 15, 2)
    assert samples.rates(samples.series(past, frame), "ingested") == [15, 45]
    assert samples.levels(samples.series(past, frame), "waiting") == [6, 6]
    assert samples.levels(samples.series(past, samples.Frame(MINUTES, 1, 3)), "waiting") == [
        1,
        2,
        3,
    ]


def test_frames_begin_by_the_clock() -> None:
    now = datetime(2026, 3, 1, 12, 7, 31, tzinfo=UTC)
    hour = samples.frame(now, HOUR, MINUTE)
    assert (hour.moments[0], hour.count) == (datetime(2026, 3, 1, 11, 7, tzinfo=UTC), 60)
    day = samples.frame(now, 24 * HOUR, MINUTE * 15)
    assert (day.moments[0], day.count) == (datetime(2026, 2, 28, 12, 15, tzinfo=UTC), 96)
    assert day.moments[-1] <= now < day.moments[-1] + MINUTE * day.step


def test_the_rate_of_now_is_that_of_the_last_minute_or_two() -> None:
    past = history(row(0, ingested=0), row(1, ingested=10), row(2, ingested=20))
    now = BEGIN + MINUTE * 2.5
    assert samples.rate_now(past, "ingested", {"ingested": 40}, now) == 20
    assert samples.rate_now(history(row(0)), "ingested", {"ingested": 5}, BEGIN + MINUTE / 2) == 5
    assert samples.rate_now(past, "ingested", {"ingested": 40}, now + HOUR) is None
    assert samples.rate_now(history(), "ingested", {"ingested": 40}, now) is None


def test_they_are_kept_for_eight_days(app: Flask, clock: TestClock) -> None:
    take(clock())
    samples.purge(session(), clock.tick(8 * 86_400))
    assert len(stored()) == 1
    samples.purge(session(), clock.tick(1))
    assert stored() == []


def test_the_sweep_writes_them_down_and_forgets_them(app: Flask, clock: TestClock) -> None:
    for _ in range(2):
        sweep(app)
        session().rollback()
        assert [each.minute for each in stored()] == [clock()]
        clock.tick(9 * 86_400)
