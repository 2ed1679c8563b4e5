"""The tasks that speak to receivers: attempts of notifications, and the test of a channel."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from celery import shared_task
from celery.exceptions import Reject
from celery.worker import state

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
from tasks.wiring import is_busy, publish

# Then a message leaves the rest to another: a receiver that is slow should not keep one thread for all of them.
MESSAGE_SECONDS: Final = 2.0
# Brokers wait long for the end of a message, but not for ever.
LONGEST_SECONDS: Final = 60.0
# So many are begun in one transaction, and sent one after the other.
BEGUN_TOGETHER: Final = 8


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
    inside = False
    try:
        with gate.enter(receiver, ids, most) as inside:
            began = time.monotonic()
            if inside:
                mine = _together(receiver) if _is_hurried(receiver) else 1
                gate.park(receiver, ids[mine:])
                ids = ids[:mine]
            while inside and ids:
                _call(receiver, most)
                retries += _attempt_each(ids, time.monotonic() + MESSAGE_SECONDS)
                goes_on = _goes_on(began, failing=bool(retries))
                ids = gate.part(receiver, _together(receiver)) if goes_on else []
    finally:
        # Also if it failed: nobody else may be left to take up what is parked.
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


def _together(receiver: str) -> int:
    """How many are begun at once: of who may be slow one, since the others would only wait for it."""
    return 1 if latencies.is_slow(receiver) else BEGUN_TOGETHER


def _is_hurried(receiver: str) -> bool:
    """Whether idle threads would cost more than they save, or are about to get messages that wait."""
    return latencies.is_quick(receiver) or _others_wait()


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
        if not sending.may_begin(now()):
            give_back(begun[place:])
            return None
        ended = Ended(sending, delivery.send(sending, runtime().transport))
        made = _Made(ended, recorder()(ended))
        latencies.note(sending.receiver, ended.verdict.latency)
        if len(recorder()) >= runtime().settings.delivery_threads:
            # Before the look at the time: with the database away it may take longer than the leases of the rest last.
            wait([made.recorded])
        good = ended.verdict.outcome is Outcome.DELIVERED
        if not good or _is_over(until):
            if rest := begun[place + 1 :]:
                give_back(rest)
            return None if good else made
    return None


def _goes_on(began: float, *, failing: bool) -> bool:
    """Whether a message takes up more: for long only while its thread would have nothing else, and no retry waits."""
    held = time.monotonic() - began
    if ending.is_set() or held > LONGEST_SECONDS:
        return False
    return held < MESSAGE_SECONDS or not (failing or _others_wait())


def _others_wait() -> bool:
    """Whether messages wait for a thread of this process."""
    return len(state.reserved_requests) > len(state.active_requests)


def _is_over(until: float) -> bool:
    return time.monotonic() > until or ending.is_set()


def _call(receiver: str, most: int) -> None:
    """Have idle threads take up what is parked, where they may."""
    if latencies.is_slow(receiver) or not _is_hurried(receiver):
        parts = gate.call(receiver, most, BEGUN_TOGETHER)
        publish([wake_notification(*part, receiver=receiver) for part in parts])


def _wake_next(receiver: str) -> None:
    """Have somebody else go on; and look for those whose messages were lost."""
    most = NOTIFICATIONS_A_MESSAGE if ending.is_set() else BEGUN_TOGETHER
    if ids := gate.take(receiver, most):
        publish([wake_notification(*ids, receiver=receiver)])
    elif not is_busy("notifications") and gate.may_look(receiver):
        fill(receiver)
