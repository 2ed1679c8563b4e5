"""How tasks, processes and the application hold together: contexts, forks, shutdowns, the publisher."""

import gc
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

import structlog
from billiard import pool as process_pool
from celery import Celery, Task, signals
from celery.exceptions import WorkerShutdown
from flask import Flask, current_app

from app.config import Settings
from app.extensions import db
from app.metrics import totals
from app.pool import prefer_indexes
from tasks import broker, losses, trail
from tasks.gate import gate
from tasks.hearing import EXIT_CODE
from tasks.publisher import Publisher, WakeUp
from tasks.timers import Timers
from tasks.upkeep import Upkeep, is_live

log = structlog.get_logger()

EXTENSION: Final = "publisher"
FLUSH_SECONDS: Final = 3.0
YOUNG_OBJECTS: Final = 100_000
# How often, each 0.1 s, a process that ends looks whether the main one has read what it told: 300 times of itself. At
# a worker's end nobody reads what was not accepted by then: it is forgotten, and comes back with its message.
CONSUMED_RETRIES: Final = 20


def make_celery(app: Flask, settings: Settings) -> Celery:
    """The Celery application whose tasks run in `app`'s context."""
    where = settings.broker

    class ContextTask(Task):  # type: ignore[type-arg]
        """A task with the application's context, and so with a session of its own."""

        abstract = True

        def __call__(self, *args: object, **kwargs: object) -> object:
            with app.app_context():
                return self.run(*args, **kwargs)

        def apply_async(  # type: ignore[override]
            self, args: Any = None, kwargs: Any = None, **options: Any
        ) -> Any:
            """Publish again, in the broker's way."""
            return super().apply_async(args, kwargs, **broker.again(where, options))

    celery = Celery(
        "sentinel",
        task_cls=cast(Any, ContextTask),
        amqp="tasks.broker:BrokerAMQP",
        events="tasks.broker:BrokerEvents",
        broker=where.url,
    )
    celery.config_from_object("celeryconfig")
    celery.conf.update(broker.settings(where))
    # Of the workers that deliver; the others are told theirs by their command lines.
    celery.conf.worker_concurrency = settings.delivery_threads
    celery.set_default()
    app.extensions["celery"] = celery
    app.extensions[EXTENSION] = Publisher(celery)
    _connect(app, celery)
    return celery


def publish(wake_ups: Sequence[WakeUp]) -> None:
    """Hand wake-ups whose rows are committed to this process's publisher."""
    _publisher(current_app).publish(wake_ups)


def is_busy(queue: str) -> bool:
    """Whether the queue has work for a while."""
    return _publisher(current_app).is_busy(queue)


def flush() -> None:
    """Wait until what this process handed over is published, for when it may not live on."""
    _publisher(current_app).flush(FLUSH_SECONDS)


def _publisher(app: Flask) -> Publisher:
    return cast(Publisher, app.extensions[EXTENSION])


def _connect(app: Flask, celery: Celery) -> None:
    """Tell the worker's processes what to do as they come and go."""
    upkeep = Upkeep(app, _publisher(app))
    timers = Timers(app, _publisher(app))

    def on_setup(instance: Any, **_: object) -> None:
        gate.threads = instance.concurrency

    def on_ready(sender: Any, **_: object) -> None:
        # Celery collects garbage before each fork; who replaces the dead need not wait while it looks at all modules.
        gc.freeze()
        queues = sorted(celery.amqp.queues.consume_from)
        try:
            upkeep.start(sender.hostname, queues)
            if is_live(queues):
                timers.start()
        except RuntimeError as error:
            # There are too many, and without them it would keep no promise. Who started it starts it again.
            log.error("worker_without_threads", error=str(error))
            raise WorkerShutdown(EXIT_CODE) from error
        if not is_live(queues):
            gc.set_threshold(YOUNG_OBJECTS)

    def on_stop(**_: object) -> None:
        timers.stop()
        upkeep.stop()
        _flush(app)

    def on_fork(**_: object) -> None:
        # A batch holds many objects for a moment; to look for cycles again and again meanwhile costs too much.
        gc.set_threshold(YOUNG_OBJECTS)
        # The publisher of the main process may have been asking for the time when it forked.
        cast(Any, celery).clock.mutex = threading.Lock()
        process_pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT = CONSUMED_RETRIES
        with app.app_context():
            # The parent's connections are the parent's: leave them open, and forget them.
            db.engine.dispose(close=False)
            prefer_indexes(db.engine)

    def on_child_stop(**_: object) -> None:
        _flush(app)

    celery.steps["consumer"].add(broker.Tell)
    losses.watch(app, celery, _publisher(app))
    _keep(signals.celeryd_after_setup, on_setup)
    _keep(signals.worker_ready, on_ready)
    _keep(signals.worker_shutdown, on_stop)
    _keep(signals.worker_process_init, on_fork)
    _keep(signals.worker_process_shutdown, on_child_stop)


def _keep(signal: Any, receiver: Callable[..., None]) -> None:
    # A weak reference would die with this module's local functions.
    signal.connect(receiver, weak=False)


def _flush(app: Flask) -> None:
    _publisher(app).flush(FLUSH_SECONDS)
    totals.flush()
    with app.app_context():
        trail.flush()
