"""The tasks that speak to receivers: attempts of notifications, and the test of a channel."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from math import ceil
from typing import Any, Final
from uuid import UUID

from celery import shared_task
from celery.exceptions import Reject

from app.channels.base import Outcome
from app.extensions import session
from app.models.notifications import Status
from app.runtime import now, runtime
from app.services import channel_tests, delivery, heartbeat
from app.services.delivery import Result, Sending
from app.services.outcomes import Ended
from tasks import totals
from tasks.ending import ending
from tasks.gate import gate
from tasks.latencies import latencies
from tasks.publisher import NOTIFICATIONS_A_MESSAGE, RECEIVER, wake_notification
from tasks.steps import begin, fill, give_back, receiver_of, recorder
from tasks.wiring import is_busy, is_idle, publish

# Then a message leaves the rest to another: a receiver that is slow should not keep one thread for all of them.
MESSAGE_SECONDS: Final = 2.0


@dataclass(frozen=True)
class _Made:
    """An attempt that was made, and what is still to come of it."""

    ended: Ended
    recorded: Future[Result | None]


@shared_task(bind=True, name="notifications.deliver", max_retries=None)
def deliver(self: Any, notification_ids: list[str] | str) -> None:
    """Attempt notifications of a receiver: record them, send one by one, record; retry with an exponential countdown.

    The rows alone say how many attempts were made and when the next is due. Nobody waits in here for a receiver that is
    busy or held: the message ends, and the rows are found again.
    """
    if ending.is_set():
        # A stop waits for all that the threads have before them.
        raise Reject("the worker is about to end", requeue=True)
    # The release before named one, and not the receiver.
    names = [notification_ids] if isinstance(notification_ids, str) else notification_ids
    ids = [UUID(name) for name in names]
    receiver = self.request.get(RECEIVER) or receiver_of(ids)
    most = runtime().settings.receivers.concurrency
    retries: list[tuple[UUID, float]] = []
    with gate.enter(receiver, ids, most) as inside:
        until = time.monotonic() + MESSAGE_SECONDS
        if inside:
            ids = _share(receiver, ids)
        while inside and ids:
            retries += _attempt_each(ids, until)
            ids = [] if _is_over(until) else gate.take(receiver, NOTIFICATIONS_A_MESSAGE)
            _call(receiver, most)
    if inside:
        _wake_next(receiver)
    for place, (key, seconds) in enumerate(retries, 1):
        again = {"headers": {RECEIVER: receiver}, "countdown": seconds}
        self.retry(args=([str(key)],), throw=place == len(retries), **again)


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
        totals.pinged(verdict)


def _share(receiver: str, ids: list[UUID]) -> list[UUID]:
    """What this thread sends itself; the rest is left to idle threads, unless the receiver is known to be quick.

    While messages wait, threads that seem idle are about to get one, and more messages would only keep them waiting.
    """
    if len(ids) == 1 or latencies.is_quick(receiver):
        return ids
    if not latencies.is_slow(receiver) and not is_idle("notifications"):
        return ids
    room = gate.room(receiver, runtime().settings.receivers.concurrency)
    each = ceil(len(ids) / (1 + room))
    parts = [ids[start : start + each] for start in range(each, len(ids), each)]
    publish([wake_notification(*part, receiver=receiver) for part in parts])
    return ids[:each]


def _attempt_each(ids: Sequence[UUID], until: float) -> Iterator[tuple[UUID, float]]:
    """Those to be tried again, and in how many seconds."""
    begun = begin(ids)
    failed = _send_each([one for one in begun if isinstance(one, Sending)], until)
    for key, one in zip(ids, begun, strict=True):
        if isinstance(one, Result):
            if one.status is not Status.PENDING:
                totals.ended(one)
            if one.retry_in is not None:
                yield key, one.retry_in
    if failed and (result := failed.recorded.result()) and result.retry_in is not None:
        yield failed.ended.sending.notification_id, result.retry_in
    for one in begun:
        if isinstance(one, Exception):
            raise one


def _send_each(begun: Sequence[Sending], until: float) -> _Made | None:
    """One after the other, until one fails, which is told; or too much time has gone.

    Outcomes are written meanwhile. Nobody goes on while this process has as many to write as it has threads: what is
    sent and not on record comes again if the process dies: at most two for each thread, with those under way.
    """
    for place, sending in enumerate(begun):
        ended = Ended(sending, delivery.send(sending, runtime().transport))
        made = _Made(ended, recorder()(ended))
        latencies.note(sending.receiver, ended.verdict.latency)
        good = ended.verdict.outcome is Outcome.DELIVERED
        if not good or _is_over(until):
            if rest := begun[place + 1 :]:
                give_back(rest)
            return None if good else made
        if len(recorder()) >= runtime().settings.delivery_threads:
            wait([made.recorded])
    return None


def _is_over(until: float) -> bool:
    return time.monotonic() > until or ending.is_set()


def _call(receiver: str, most: int) -> None:
    """Have one more thread take up what is parked, where it may."""
    if gate.has_room(receiver, most) and (ids := gate.take(receiver, NOTIFICATIONS_A_MESSAGE)):
        publish([wake_notification(*ids, receiver=receiver)])


def _wake_next(receiver: str) -> None:
    """Have somebody else go on; and look for those whose messages were lost."""
    if ids := gate.take(receiver, NOTIFICATIONS_A_MESSAGE):
        publish([wake_notification(*ids, receiver=receiver)])
    elif not is_busy("notifications") and gate.may_look(receiver):
        fill(receiver)
