"""The tasks that speak to receivers: one attempt of one notification, and the test of a channel."""

import time
from collections import deque
from collections.abc import Iterator
from typing import Any, Final
from uuid import UUID

from celery import shared_task
from celery.worker import state

from app.extensions import session
from app.models.notifications import Status
from app.runtime import now, runtime
from app.services import channel_tests, delivery, heartbeat
from app.services.delivery import Result, Sending, Wanted
from app.services.outcomes import Ended
from app.services.receivers import Room
from tasks import totals
from tasks.gate import Turn, gate
from tasks.publisher import wake_events, wake_notification
from tasks.steps import fill, record
from tasks.wiring import is_busy, publish

# Then a message leaves the rest to another: a receiver that is slow should not keep one thread for all of them.
MESSAGE_SECONDS: Final = 2.0


@shared_task(bind=True, name="notifications.deliver", max_retries=None)
def deliver(self: Any, notification_ids: list[str] | str) -> None:
    """Attempt notifications of a receiver one by one: record, send, record; retry with an exponential countdown.

    The rows alone say how many attempts were made and when the next is due. Nobody waits in here for a receiver that is
    busy or held: the message ends, and the rows are found again.
    """
    # The release before named one.
    ids = [notification_ids] if isinstance(notification_ids, str) else notification_ids
    with gate.turn(runtime().settings.receivers.concurrency) as turn:
        retries = list(_attempt_each(deque(map(UUID, ids)), turn))
    if turn.receiver is not None:
        _wake_next(turn.receiver)
    for place, (key, seconds) in enumerate(retries, 1):
        self.retry(args=([str(key)],), countdown=seconds, throw=place == len(retries))


@shared_task(name="notifications.test_channel")
def test_channel(test_id: str) -> None:
    """Send one message to try a channel, once, and write down what came of it."""
    db, settings = session(), runtime().settings
    trial = channel_tests.begin(db, UUID(test_id), settings, now())
    db.commit()
    if trial is not None:
        verdict = channel_tests.send(trial, runtime().transport)
        channel_tests.finish(session(), trial, verdict, now())
        session().commit()


@shared_task(name="notifications.heartbeat")
def beat(event_id: str) -> None:
    """Ping the heartbeat's address, once, at the end of its event's way."""
    db, url = session(), runtime().settings.heartbeat_url
    mine = url is not None and heartbeat.take(db, UUID(event_id), now())
    db.commit()
    if url is not None and mine:
        verdict = heartbeat.ping(url, now())
        heartbeat.note(session(), UUID(event_id), verdict)
        session().commit()


def _attempt_each(ids: deque[UUID], turn: Turn) -> Iterator[tuple[UUID, float]]:
    """Those to be tried again, and in how many seconds. Each outcome is recorded with the next attempt."""
    until = time.monotonic() + MESSAGE_SECONDS
    ended: Ended | None = None
    while ids or ended:
        goes_on = bool(ids) and not turn.refused and time.monotonic() < until and not _stopping()
        key = ids.popleft() if goes_on else None
        result, begun = record(ended, None if key is None else Wanted(key, turn.enter))
        if ended and result is not None:
            _count_attempt(ended, result)
            if result.retry_in is not None:
                yield ended.sending.notification_id, result.retry_in
        ended = None
        if key is None:
            break
        if isinstance(begun, Sending):
            ended = Ended(begun, delivery.send(begun, runtime().transport))
        elif begun is not None:
            if begun.status is not Status.PENDING:
                totals.ended(begun)
            if begun.retry_in is not None:
                yield key, begun.retry_in
    # Who was refused is found again by whoever leaves.
    if ids and not turn.refused:
        publish([wake_notification(*ids)])


def _stopping() -> bool:
    return state.should_stop is not None


def _count_attempt(ended: Ended, result: Result) -> None:
    totals.attempted(ended.sending, ended.verdict, result)
    if result.event_id is not None:
        publish([wake_events([result.event_id])])
        totals.ingested_own()


def _wake_next(receiver: str) -> None:
    """Hand the room that has just become free to one that waits for it.

    Whoever was not turned away has a message of its own, which is merely late while the queue is long, or was lost.
    """
    if gate.turned_away(receiver):
        fill(Room(receiver, turned_away=True))
    elif not is_busy("notifications") and gate.may_look(receiver):
        fill(Room(receiver, turned_away=False))
