"""What a large backlog costs: events that wait while no worker comes, and what the API and Redis do meanwhile."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median, quantiles
from uuid import uuid4

import requests
from celery import Celery

from app.cli.local.services import broker_url
from tasks.publisher import QUEUE_LIMIT, Publisher, wake_events
from tests.acceptance.load import Load
from tests.acceptance.stack import Stack

POST_SECONDS = 20
POST_RATE = 100
CALLS = 20
EVENTS_A_MESSAGE = 100
# One type came often among the oldest, and comes no more.
TYPE = "CASE WHEN n > %(count)s AND n %% 10 = 7 THEN 'past' ELSE 'type' || n %% 50 END"
# The oldest tenth has been evaluated, and matched; the rest waits. The ids are UUIDv7, one millisecond apart.
FILL = (
    """CREATE TEMP TABLE filled AS SELECT n, (lpad(to_hex(ms - n), 12, '0') || '7' || substr(md5(n::text), 1, 3)
       || 'a' || substr(md5(n::text), 4, 15))::uuid AS id, to_timestamp((ms - n) / 1000.0) AS at
       FROM generate_series(1, %(count)s + %(count)s / 10) n,
       (SELECT (extract(epoch FROM now()) * 1000)::bigint AS ms) t""",
    f"""INSERT INTO events (id, type, source, body, accepted_at, occurred_at, revision)
       SELECT id, {TYPE}, 'http', json_build_object('type', {TYPE}, 'n', n,
       'text', repeat('x', 300)), at, at, 1 FROM filled""",
    "INSERT INTO pending_events (event_id, wake_at) SELECT id, now() + interval '1 hour' FROM filled"
    " WHERE n <= %(count)s",
    f"""INSERT INTO matches (event_id, rule_version_id, rule_id, alert_id, matched_at, event_type)
       SELECT f.id, v.id, v.rule_id, v.id, now(), {TYPE}
       FROM filled f, rule_versions v WHERE n > %(count)s""",
    """INSERT INTO notifications (id, cause, cause_id, rule_id, rule_version_id, alert_id, target, message, status,
       attempts, attempts_forgiven, created_at, next_attempt_at, wake_at, epoch)
       SELECT f.id, 'event', f.id, v.rule_id, v.id, v.id,
       CASE WHEN n %% 100 = 0 THEN 'slack:#rare' ELSE 'webhook:busy' END, 'm',
       CASE WHEN n %% 2 = 0 THEN 'pending' ELSE 'sent' END, 0, 0, at, at, now() + interval '1 hour', 0
       FROM filled f, rule_versions v WHERE n > %(count)s""",
)
LISTS = (
    "/events",
    "/events?limit=500",
    "/events?type=type7",
    "/events?type=nothing-of-that-name",
    "/events?type=past",
    "/events?type=past&matched=true",
    "/events?matched=true",
    "/events?matched=false",
    "/events?type=type10&matched=true",
    "/events?type=type7&matched=true",
    "/events?since=2020-01-01T00:00:00Z&until=2100-01-01T00:00:00Z",
    "/notifications",
    "/notifications?status=pending",
    "/notifications?status=dead",
    "/notifications?channel=slack",
    "/notifications?channel=email",
    "/notifications?status=pending&channel=slack:%23rare",
    "/rules",
    "/readyz",
    "/metrics",
    "/fields",
    "/fields?type=type7",
    "/fields?type=past",
)


@dataclass(frozen=True)
class Row:
    """One measurement, in milliseconds or megabytes."""

    what: str
    middle: float
    p99: float
    unit: str


def measure(events: int, say: Callable[[str], None]) -> Iterator[Row]:
    """Fill a fresh stack, then measure lists, posts and Redis."""
    with Stack() as stack:
        rule = {"name": "backlog", "dsl": 'when type == "type10" then notify("slack:#rare")'}
        rule_id = stack.post("/rules", rule).json()["id"]
        for name in ("events", "notifications"):
            stack.processes[name].stop()
        began = time.monotonic()
        fill(stack, events)
        say(f"{events:,} events wait, written in {time.monotonic() - began:.0f} s")
        with requests.Session() as session:
            for path in LISTS:
                yield timed(session, stack.api_url + path, path)
            yield from asked_why(session, stack)
            card = f"/rules/{rule_id}/scorecard"
            yield timed(session, stack.api_url + card, "/rules/{id}/scorecard")
        with Load(stack.api_url, "posted", rate=POST_RATE, threads=8) as load:
            time.sleep(POST_SECONDS)
        load.summary("posted")
        middle = median(one.seconds for one in load.told)
        yield Row(f"POST /events, {POST_RATE}/s", middle * 1000, load.p99 * 1000, "ms")
        yield redis_memory(stack)


def asked_why(session: requests.Session, stack: Stack) -> Iterator[Row]:
    """One event that waits and one that matched, asked why and for all that they have caused."""
    for which in ("matched=false", "matched=true"):
        event_id = stack.get(f"/events?limit=1&{which}").json()["data"][0]["id"]
        for what in ("explain", "trace"):
            url = f"{stack.api_url}/events/{event_id}/{what}"
            yield timed(session, url, f"/events/{{id}}/{what}, {which}")


def fill(stack: Stack, events: int) -> None:
    """Write the rows as acceptance would have, and let PostgreSQL look at them as autovacuum does."""
    import psycopg

    with psycopg.connect(stack.database_url, autocommit=True) as connection:
        for statement in FILL:
            connection.execute(statement.encode(), {"count": events}, binary=False)
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")


def timed(session: requests.Session, url: str, path: str) -> Row:
    """Milliseconds of one call, over and over on one connection."""
    seconds = []
    for _ in range(CALLS):
        began = time.perf_counter()
        session.get(url, timeout=30).raise_for_status()
        seconds.append(time.perf_counter() - began)
    return Row(f"GET {path}", median(seconds) * 1000, quantiles(seconds, n=100)[98] * 1000, "ms")


def redis_memory(stack: Stack) -> Row:
    """The most that the publisher lets Redis hold: its limit of messages, each with as many events as go into one."""
    celery = Celery(broker=broker_url(stack.env), set_as_current=False)
    celery.config_from_object("celeryconfig")
    publisher = Publisher(celery)
    ids = [uuid4() for _ in range(EVENTS_A_MESSAGE)]
    while publisher.room("events"):
        publisher.publish([wake_events(ids) for _ in range(QUEUE_LIMIT // 10)])
        publisher.flush(60)
    used = float(stack.redis.info("memory")["used_memory"]) / 1e6
    peak = float(stack.redis.info("memory")["used_memory_peak"]) / 1e6
    return Row(
        f"Redis with {QUEUE_LIMIT:,} messages of {EVENTS_A_MESSAGE} events", used, peak, "MB"
    )
