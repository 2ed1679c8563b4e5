"""For each guard a scenario of a few seconds that breaks its promise as soon as the guard is gone.

A scenario raises `Broken` for that and for nothing else, so that an accident is not taken for a proof.
"""

import socket
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from signal import SIGCONT, SIGQUIT, SIGSTOP
from typing import Final

from tests.chaos.stack import ChangedStack
from tests.chaos.staging import (
    HANGING,
    SHORT,
    Gate,
    Scenario,
    attempts,
    await_breach,
    comes,
    epoch,
    hold,
    is_sent,
    locked,
    make_rule,
    post_event,
    send_task,
    set_system,
    sweep,
    unjudged,
)


def evaluation_claim(stack: ChangedStack) -> None:
    """A second message comes for an event that a worker holds."""
    make_rule(stack)
    key = post_event(stack)
    stack.eventually(lambda: stack.redis.dbsize() > 0)
    with unjudged(stack):
        stack.start("events")
        stack.eventually(lambda: epoch(stack) == 1)
        send_task(stack, "events.evaluate", [key])
        await_breach(stack, lambda: epoch(stack) > 1)
        hold(epoch(stack) == 1, "two workers evaluate one event at a time")


def two_evaluations(stack: ChangedStack) -> None:
    """An event's lease ends while its worker hangs; another takes over, and both end."""
    make_rule(stack)
    post_event(stack)
    with unjudged(stack):
        stack.eventually(lambda: epoch(stack) >= 2)
        time.sleep(0.2)
    stack.eventually(lambda: stack.sql("SELECT 1 FROM notifications"))
    stack.eventually(lambda: stack.sql("SELECT 1 WHERE NOT EXISTS (SELECT FROM pending_events)"))


def evaluation_fence(stack: ChangedStack) -> None:
    """What the first of two workers found is dropped."""
    two_evaluations(stack)
    await_breach(stack, lambda: stack.sql("SELECT 1 FROM alerts WHERE count > 1"))
    [(count, matches)] = stack.sql(
        "SELECT (SELECT sum(count) FROM alerts), (SELECT count(*) FROM matches)"
    )
    hold(count == matches == 1, f"I6: the alert counts {count} matches, and there is {matches}")


UNIQUE = "uq_notifications_cause_id_rule_version_id_target"


def unique_notification(stack: ChangedStack) -> None:
    """Two workers end one evaluation, and no fence stops either."""
    if stack.missing == "unique notification":
        stack.sql(f"ALTER TABLE notifications DROP CONSTRAINT {UNIQUE}")
    try:
        two_evaluations(stack)
        stack.receiver.wait_for(1)
        await_breach(stack, lambda: len(heard_ids(stack)) > 1)
    finally:
        stack.sql("TRUNCATE notifications CASCADE")
        stack.sql(f"ALTER TABLE notifications DROP CONSTRAINT IF EXISTS {UNIQUE}")
        columns = "cause_id, rule_version_id, target"
        stack.sql(f"ALTER TABLE notifications ADD CONSTRAINT {UNIQUE} UNIQUE ({columns})")
    ids = heard_ids(stack)
    hold(len(ids) == 1, f"I2: one match was told under {len(ids)} ids")


def heard_ids(stack: ChangedStack) -> set[str]:
    return {heard.headers["webhook-id"] for heard in list(stack.receiver.heard)}


def delivery_claim(stack: ChangedStack) -> None:
    """A second message comes for a notification whose attempt is under way."""
    gate = Gate(stack, 1)
    make_rule(stack)
    post_event(stack)
    [heard] = stack.receiver.wait_for(1)
    send_task(stack, "notifications.deliver", heard.headers["webhook-id"])
    await_breach(stack, lambda: len(stack.receiver.heard) > 1)
    gate.release(1)
    stack.eventually(lambda: is_sent(stack))
    posts = len(stack.receiver.heard)
    hold(posts == 1, f"I4: {posts} POSTs at a time, and no attempt had failed")


def delivery_fence(stack: ChangedStack) -> None:
    """A worker is frozen in its attempt until its lease ends, and wakes while another makes the next one."""
    gate = Gate(stack, 1, 2)
    make_rule(stack)
    frozen = stack.processes["notifications"]
    post_event(stack)
    stack.receiver.wait_for(1)
    frozen.signal(SIGSTOP)
    # The next attempt does not end by itself while the first is looked at.
    stack.changes = (*stack.changes, "long attempts")
    stack.start("notifications-2")
    stack.receiver.wait_for(2)
    frozen.signal(SIGCONT)
    await_breach(stack, lambda: attempts(stack) != ["unknown", "unknown"])
    hold(attempts(stack) == ["unknown", "unknown"], f"a lost lease still wrote: {attempts(stack)}")
    gate.release(2)
    stack.eventually(lambda: is_sent(stack))
    hold(attempts(stack) == ["unknown", "sent"], f"I3: {attempts(stack)}")


def attempt_row(stack: ChangedStack) -> None:
    """The worker is killed when the receiver has the POST and nobody has recorded its answer."""
    gate = Gate(stack, 1)
    make_rule(stack)
    post_event(stack)
    stack.receiver.wait_for(1)
    stack.processes["notifications"].kill()
    gate.release(1)
    stack.start("notifications")
    heard = stack.receiver.wait_for(2)
    stack.eventually(lambda: is_sent(stack))
    assert len({one.headers["webhook-id"] for one in heard}) == 1
    made, posts = attempts(stack), len(stack.receiver.heard)
    hold(made == ["unknown", "sent"] and posts == 2, f"I4: {posts} POSTs, attempts: {made}")


SLOW_COMMIT = """
CREATE OR REPLACE FUNCTION slow() RETURNS trigger AS 'BEGIN PERFORM pg_sleep(0.8); RETURN NULL; END' LANGUAGE plpgsql;
CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON pending_events
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow()
"""


def publish_after_commit(stack: ChangedStack) -> None:
    """COMMIT takes a while, and no sweep makes good what came too early."""
    make_rule(stack)
    stack.sql(SLOW_COMMIT)
    try:
        post_event(stack)
        comes(
            stack, lambda: is_sent(stack), 8, "the wake-up was there before the event, and is spent"
        )
    finally:
        stack.sql("DROP TRIGGER slow ON pending_events")


def durable_commit(stack: ChangedStack) -> None:
    """PostgreSQL is shut down at once after a 202."""
    stack.sql("ALTER ROLE sentinel SET synchronous_commit = on")
    # What it writes by itself a moment later would hide on a slow machine that a commit did not.
    set_system(stack, "wal_writer_delay", "10s")
    accepted = {post_event(stack) for _ in range(20)}
    postgres = stack.processes["postgres"]
    postgres.signal(SIGQUIT)
    assert postgres.child.wait(20)
    stack.start("postgres")
    kept = {key for (key,) in stack.sql("SELECT id::text FROM events")}
    hold(
        kept == accepted, f"I1: {len(accepted - kept)} of {len(accepted)} accepted events are gone"
    )


def late_ack(stack: ChangedStack) -> None:
    """A worker is killed as it begins with a message, and no sweep publishes it again."""
    make_rule(stack)
    post_event(stack)
    stack.eventually(lambda: stack.redis.dbsize() > 0)
    with locked(stack, "pending_events"):
        stack.start("events")
        stack.eventually(lambda: waits_for_lock(stack))
        # The main process acknowledges a moment after one of its own begins, if it does so early.
        kept = 0 if stack.missing else 1
        stack.eventually(lambda: stack.redis.hlen("sentinel:unacked") == kept)
        stack.processes["events"].kill()
    stack.launch("events")
    done = "SELECT 1 WHERE NOT EXISTS (SELECT FROM pending_events)"
    comes(stack, lambda: stack.sql(done), 8, "the message died with its worker")


def waits_for_lock(stack: ChangedStack) -> bool:
    query = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    return bool(stack.sql(query))


def idempotency_key(stack: ChangedStack) -> None:
    """Twenty POSTs at once with one key."""
    headers = {"Idempotency-Key": "once"}
    with ThreadPoolExecutor(20) as pool:
        ids = set(pool.map(lambda _: post_event(stack, headers=headers), range(20)))
    [(stored,)] = stack.sql("SELECT count(*) FROM events")
    hold(len(ids) == stored == 1, f"I2: {len(ids)} answers, {stored} events")


class Listener:
    """A private address that nobody allowed: counts connections."""

    def __init__(self) -> None:
        self.connections = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                self.connections += 1
                connection.close()

    def close(self) -> None:
        self._socket.close()


def egress_guard(stack: ChangedStack) -> None:
    """A rule's target was allowed when it was written, and is not when it is sent to."""
    listener = Listener()
    try:
        with allowed(stack, listener.port):
            stack.launch("api")
            make_rule(stack, url=f"http://127.0.0.1:{listener.port}/")
        stack.launch("events", "notifications")
        post_event(stack)
        ended = "SELECT status, reason FROM notifications WHERE status <> 'pending'"
        stack.eventually(lambda: stack.sql(ended) or listener.connections)
        hold(listener.connections == 0, "a private address was connected to")
        hold(stack.sql(ended) == [("dead", "blocked_destination")], stack.sql(ended))
    finally:
        listener.close()


@contextmanager
def allowed(stack: ChangedStack, port: int) -> Iterator[None]:
    """Processes that are started meanwhile may send to one more port."""
    before = stack.env["SENTINEL_EGRESS_ALLOW"]
    stack.env["SENTINEL_EGRESS_ALLOW"] = f"{before},127.0.0.1:{port}"
    try:
        yield
    finally:
        stack.env["SENTINEL_EGRESS_ALLOW"] = before


class Flood:
    """A receiver of raw bytes: sends `pieces` with a pause before each, and counts what went out."""

    def __init__(self, piece: bytes, count: int, pause: float) -> None:
        self.sent = 0
        self.seconds = 0.0
        self.ended = threading.Event()
        self._pieces = (piece, count, pause)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        connection, _ = self._socket.accept()
        piece, count, pause = self._pieces
        began = time.monotonic()
        with suppress(OSError), connection:
            connection.recv(65_536)
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            for _ in range(count):
                time.sleep(pause)
                connection.sendall(piece)
                self.sent += len(piece)
        self.seconds = time.monotonic() - began
        self.ended.set()

    def close(self) -> None:
        self._socket.close()


def _flooded(stack: ChangedStack, flood: Flood) -> None:
    try:
        with allowed(stack, flood.port):
            stack.launch(*ALL)
        make_rule(stack, url=f"http://127.0.0.1:{flood.port}/")
        post_event(stack)
        assert flood.ended.wait(60)
    finally:
        flood.close()


def send_deadline(stack: ChangedStack) -> None:
    """A receiver drips its answer."""
    flood = Flood(b"X: drip\r\n", 60, 0.2)
    _flooded(stack, flood)
    hold(flood.seconds < 8, f"an attempt of 1.5 s went on for {flood.seconds:.1f} s")


def response_cap(stack: ChangedStack) -> None:
    """A receiver never ends its answer."""
    flood = Flood(b"\r\n" + b"x" * 1_048_576, 200, 0)
    _flooded(stack, flood)
    hold(flood.sent < 16 * 1_048_576, f"{flood.sent:,} bytes of an answer went out")


API, EVENTS, NOTIFICATIONS = ("api",), ("events",), ("notifications",)
ALL: Final = (*API, *EVENTS, *NOTIFICATIONS)
SCENARIOS: Final[Sequence[Scenario]] = (
    Scenario(
        "idempotency key",
        "one key, one event, one answer",
        idempotency_key,
        API,
        API,
    ),
    Scenario(
        "durable commit",
        "a 202 outlives PostgreSQL's death",
        durable_commit,
        API,
        API,
    ),
    Scenario(
        "sweep",
        "what Redis forgets is published again",
        sweep,
        (*API, *NOTIFICATIONS),
        (*EVENTS, *NOTIFICATIONS),
    ),
    Scenario(
        "evaluation claim",
        "an event is in one worker's hands at a time",
        evaluation_claim,
        API,
        EVENTS,
        HANGING,
    ),
    Scenario(
        "delivery claim",
        "an attempt is not begun while another is under way",
        delivery_claim,
        ALL,
        NOTIFICATIONS,
        (),
    ),
    Scenario(
        "evaluation fence",
        "who lost the lease of an event writes nothing",
        evaluation_fence,
        ALL,
        EVENTS,
        (*SHORT, *HANGING),
    ),
    Scenario(
        "delivery fence",
        "who lost the lease of a notification writes nothing",
        delivery_fence,
        ALL,
        NOTIFICATIONS,
    ),
    Scenario(
        "attempt row",
        "each POST has an attempt that was written before it",
        attempt_row,
        ALL,
        NOTIFICATIONS,
    ),
    Scenario(
        "egress guard",
        "nothing is sent to a private address",
        egress_guard,
        (),
        NOTIFICATIONS,
    ),
    Scenario(
        "send deadline",
        "an attempt ends in its time, however slow the answer",
        send_deadline,
        (),
        NOTIFICATIONS,
    ),
    Scenario(
        "response cap",
        "an answer is read up to 64 KiB",
        response_cap,
        (),
        NOTIFICATIONS,
        (),
    ),
    Scenario(
        "unique notification",
        "one cause, one rule version, one target: one notification",
        unique_notification,
        ALL,
        EVENTS,
        (*SHORT, *HANGING, "evaluation fence"),
    ),
    Scenario(
        "publish after commit",
        "a wake-up never comes before its event",
        publish_after_commit,
        ALL,
        API,
        (*SHORT, "sweep"),
    ),
    Scenario(
        "late ack",
        "a message outlives the worker that took it",
        late_ack,
        API,
        EVENTS,
        ("short visibility", "sweep"),
    ),
)
