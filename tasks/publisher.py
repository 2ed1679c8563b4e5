"""The publisher of wake-ups: a thread in each process that hands committed ids to the broker.

No request and no task waits for Redis. What cannot be published is dropped here, on purpose: its row is in PostgreSQL,
and the sweep publishes it again.
"""

import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from math import inf
from queue import Empty, Full, Queue
from typing import Any, Final, cast
from uuid import UUID

import structlog
from celery import Celery

from app.services.claims import TOGETHER
from app.services.receivers import Due
from tasks import broker
from tasks.forms import Forms, Later
from tasks.pace import Pace

log = structlog.get_logger()

EVALUATE: Final = "events.evaluate"
# A header of the message, which the release before does not look at.
RECEIVER: Final = "receiver"
BATCH: Final = 500
# With as many messages as a queue may hold, Redis stays below 100 MB.
EVENTS_A_MESSAGE: Final = 100
# A message costs as much as half a delivery; whoever gets it leaves to other threads what falls to them.
NOTIFICATIONS_A_MESSAGE: Final = 32
# Beyond this many waiting messages a queue needs no more of them: workers are busy, and rows wait as well as messages.
QUEUE_LIMIT: Final = 10_000
# With so many a queue has work for a while: what may be in it already is not put in again.
BUSY: Final = 500
MEASURE_EVERY: Final = 0.5
PAUSE_AFTER_FAILURE: Final = 1.0
LONGEST_SUMMARY: Final = 200
# Where so many are likely to come meanwhile, a wake-up waits so long for company: a message costs as much for a hundred
# events as for one.
GATHER_SECONDS: Final = 0.02
COMPANY: Final = 1.5
# Where so many wait, whoever takes one up does the work of many, and a message that comes in addition only costs.
CROWD: Final = 16
CROWDED_SECONDS: Final = 0.1


@dataclass(frozen=True)
class WakeUp:
    """One message: a task's name and the ids that it gets; the receiver that they are for, where that is known."""

    task: str
    queue: str
    args: tuple[object, ...]
    receiver: str = ""

    @property
    def summary(self) -> str:
        """The arguments as Flower shows them: Celery's own way there costs more than the rest of sending."""
        return str(self.args)[:LONGEST_SUMMARY]


def wake_events(event_ids: Sequence[UUID | str]) -> WakeUp:
    """The message that has events evaluated."""
    return WakeUp(EVALUATE, "events", ([str(key) for key in event_ids],))


def wake_all(event_ids: Sequence[UUID | str]) -> list[WakeUp]:
    """The messages that have events evaluated in their order, as few as there can be."""
    starts = range(0, len(event_ids), EVENTS_A_MESSAGE)
    return [wake_events(event_ids[start : start + EVENTS_A_MESSAGE]) for start in starts]


def wake_stored(event_ids: Sequence[str]) -> list[WakeUp]:
    """The messages for events that were stored at once: whoever hears of some claims as many others beside them."""
    return [
        wake_events(event_ids[start : start + EVENTS_A_MESSAGE])
        for start in range(0, len(event_ids), TOGETHER)
    ]


def together(wake_ups: Sequence[WakeUp]) -> list[WakeUp]:
    """The same wake-ups in fewer messages: events that came one by one are evaluated together."""
    ids = [key for one in wake_ups if one.task == EVALUATE for key in cast(list[str], one.args[0])]
    others = [one for one in wake_ups if one.task != EVALUATE]
    return wake_all(ids) + others


def wake_notification(*ids: UUID, receiver: str = "") -> WakeUp:
    """The message that has notifications of one receiver attempted, one after the other.

    Who knows the receiver says so: then a worker can do without reading the rows where it has no room.
    """
    return WakeUp("notifications.deliver", "notifications", ([str(key) for key in ids],), receiver)


def wake_notifications(due: Iterable[Due]) -> list[WakeUp]:
    """The messages that have notifications attempted, several of a receiver in each."""
    waiting: defaultdict[str, list[UUID]] = defaultdict(list)
    for one in due:
        waiting[one.receiver].append(one.id)
    messages = []
    for receiver, ids in waiting.items():
        # Rows of the release before do not say whose they are.
        most = NOTIFICATIONS_A_MESSAGE if receiver else 1
        messages += [
            wake_notification(*ids[start : start + most], receiver=receiver)
            for start in range(0, len(ids), most)
        ]
    return messages


def wake_test(test_id: UUID) -> WakeUp:
    """The message that has a channel tried."""
    return WakeUp("notifications.test_channel", "notifications", (str(test_id),))


def wake_heartbeat(event_id: UUID) -> WakeUp:
    """The message that has the heartbeat's address pinged."""
    return WakeUp("notifications.heartbeat", "notifications", (str(event_id),))


def wake_backtest(backtest_id: UUID) -> WakeUp:
    """The message that has a backtest run."""
    return WakeUp("backtests.run", "backtests", (str(backtest_id),))


def room_beside(waiting: int | None) -> int:
    """How many more messages a queue should get that holds so many."""
    return 0 if waiting is None else max(0, QUEUE_LIMIT - waiting)


def _at_once(producer: Any, many: Sequence[object]) -> AbstractContextManager[object]:
    """Send several in one go; for one that costs more than it saves."""
    return nullcontext() if len(many) == 1 else producer.batch()


class Publisher:
    """A bounded queue, and the thread that empties it into the broker.

    The thread starts with the first wake-up, and anew in each forked process, which inherits no threads.
    """

    def __init__(self, celery: Celery) -> None:
        self._celery = celery
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._forms = Forms(self._celery)
        self._queue: Queue[WakeUp] = Queue(maxsize=QUEUE_LIMIT)
        self._thread: threading.Thread | None = None
        self._room: dict[str, int] = {}
        # As it was when it was looked at; `_room` counts what was published since.
        self._held: dict[str, int] = {}
        self._measured_at: dict[str, float] = {}
        self._pace = Pace()

    def publish(self, wake_ups: Sequence[WakeUp]) -> None:
        """Hand over wake-ups whose rows are committed; returns at once and never fails."""
        self._ensure_thread()
        for wake_up in wake_ups:
            try:
                self._queue.put_nowait(wake_up)
            except Full:
                return

    def flush(self, timeout: float) -> None:
        """Wait until everything handed over is published, or given up; at most `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while self._queue.unfinished_tasks and time.monotonic() < deadline:
            time.sleep(0.005)

    def room(self, queue: str) -> int:
        """How many more messages a queue should get; 0 when it is long enough or the broker does not answer."""
        return room_beside(self.waiting(queue))

    def waiting(self, queue: str) -> int | None:
        """How many messages a queue holds; None when the broker does not answer."""
        return broker.length(self._celery, queue)

    def is_busy(self, queue: str) -> bool:
        """Whether the queue held much when it was looked at, a moment ago; no when that is longer ago."""
        return self._held_lately(queue, more_than=BUSY)

    def _held_lately(self, queue: str, more_than: int) -> bool:
        recent = time.monotonic() - self._measured_at.get(queue, -inf) < 2 * MEASURE_EVERY
        return recent and self._held[queue] > more_than

    def _ensure_thread(self) -> None:
        if self._thread is not None and self._thread.is_alive():
            return
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
                try:
                    self._thread.start()
                # There are too many; whoever publishes next tries again.
                except RuntimeError as error:
                    log.warning("publisher_without_thread", error=str(error))

    def _run(self) -> None:
        while True:
            batch = self._next_batch()
            try:
                self._send([one for one in together(batch) if self._has_room(one.queue)])
                # After the batch, so that no wake-up waits for it.
                for queue in {wake_up.queue for wake_up in batch}:
                    if self._is_stale(queue):
                        self._measure(queue)
            except Exception as error:  # noqa: BLE001 - whatever the broker does, the thread must live on
                log.warning("publish_failed", count=len(batch), error=str(error))
                time.sleep(PAUSE_AFTER_FAILURE)
                self._drop_waiting()
            finally:
                for _ in batch:
                    self._queue.task_done()

    def _next_batch(self) -> list[WakeUp]:
        batch = [self._queue.get()]
        if self._held_lately(batch[0].queue, more_than=CROWD):
            time.sleep(CROWDED_SECONDS)
        elif self._pace.company(GATHER_SECONDS, time.monotonic()) > COMPANY:
            time.sleep(GATHER_SECONDS)
        while len(batch) < BATCH:
            try:
                batch.append(self._queue.get_nowait())
            except Empty:
                break
        self._pace.came(len(batch), time.monotonic())
        return batch

    def _send(self, batch: Sequence[WakeUp]) -> None:
        if not batch:
            return
        with self._celery.producer_pool.acquire(block=True) as producer:
            sending, later = broker.sending(producer), Later()
            with _at_once(producer, batch):
                for one in batch:
                    what = (one.task, one.args, one.summary, {RECEIVER: one.receiver})
                    self._forms.send(producer, later, *what, **sending)
                    self._room[one.queue] -= 1
            with _at_once(producer, batch):
                self._forms.tell(producer, later)

    def _has_room(self, queue: str) -> bool:
        if self._room.get(queue, 0) <= 0 and self._is_stale(queue):
            self._measure(queue)
        return self._room[queue] > 0

    def _is_stale(self, queue: str) -> bool:
        return time.monotonic() - self._measured_at.get(queue, -inf) > MEASURE_EVERY

    def _measure(self, queue: str) -> None:
        waiting = self.waiting(queue)
        self._room[queue] = room_beside(waiting)
        self._held[queue] = QUEUE_LIMIT if waiting is None else waiting
        self._measured_at[queue] = time.monotonic()

    def _drop_waiting(self) -> None:
        """After a failure the rest would fail as slowly; the sweep knows about all of it."""
        while True:
            try:
                self._queue.get_nowait()
            except Empty:
                return
            self._queue.task_done()
