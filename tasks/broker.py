"""What Celery must be told about each kind of broker, and a connection that is less patient with itself.

After an outage Celery waits ever longer between its tries, up to half a minute; wake-ups should flow again sooner.
"""

import threading
from contextlib import suppress
from typing import Any, Final

from amqp.exceptions import AMQPError, NotFound
from celery import Celery, bootsteps
from celery.app.amqp import AMQP
from celery.app.events import Events
from celery.events.dispatcher import EventDispatcher
from kombu import Connection
from kombu.asynchronous import get_event_loop
from kombu.exceptions import KombuError
from kombu.transport import redis, virtual
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeout

import celeryconfig
from app.broker import Broker

LONGEST_PAUSE: Final = 5
# Of a message that RabbitMQ does not confirm; a blocked one must hold nobody for long.
CONFIRM_SECONDS: Final = 5
# Who asks how long a queue is waits so long for a connection that others use.
POOL_SECONDS: Final = 2
FAILURES: Final = (OSError, KombuError, AMQPError, RedisError)
# RabbitMQ counts a delay in whole seconds.
SHORTEST_COUNTDOWN: Final = 1
SENTINEL_TIMEOUTS: Final = {"socket_timeout": 2, "socket_connect_timeout": 1}

# What ends meanwhile is acknowledged by one transaction of Redis. A worker that dies before it has its messages come
# back, and their rows say that there is nothing to do.
ACKNOWLEDGE_SECONDS: Final = 0.02

# Flower and the exporter hear of a task so much later.
TELL_SECONDS: Final = 0.1
TOLD_AT_ONCE: Final = 100

# Quorum queues outlive any one host of a cluster. A delay is spent in queues of RabbitMQ's own, since a worker may hold
# no more of them than it prefetches; that needs topic exchanges.
RABBITMQ: Final = {
    "task_default_queue_type": "quorum",
    "task_default_exchange_type": "topic",
    "task_create_missing_queue_type": "quorum",
    "task_create_missing_queue_exchange_type": "topic",
    "broker_transport_options": {"confirm_publish": True},
    # RabbitMQ hangs up on who is silent for long, as publishers are; that shows when they speak next.
    "task_publish_retry_policy": {"max_retries": 1, "interval_start": 0},
}


_channels: Final[Any] = redis.Channel
_create_client: Final = _channels._create_client


def _one_client(channel: Any, asynchronous: bool = False) -> Any:
    """kombu makes a client of Redis for each acknowledgement and each message; one for all does the same.

    It holds no connection of its own: each command takes one from the channel's pool, whichever thread it is in.
    """
    if asynchronous:
        return _create_client(channel, asynchronous=True)
    kept = vars(channel).get("_kept_client")
    if kept is None or kept.connection_pool is not channel.pool:
        kept = channel._kept_client = _create_client(channel)
    return kept


_channels._create_client = _one_client


class GatheredQoS(redis.QoS):
    """Acknowledges what has ended in a worker's event loop a moment later, all by one transaction."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._ended: list[str] = []

    def ack(self, delivery_tag: str) -> None:
        """Acknowledge a message: at once for this process, in a moment for the broker."""
        loop = get_event_loop()
        if loop is None:
            super().ack(delivery_tag)
            return
        virtual.QoS.ack(self, delivery_tag)
        self._ended.append(delivery_tag)
        if len(self._ended) == 1:
            loop.call_later(ACKNOWLEDGE_SECONDS, self.acknowledge)

    def acknowledge(self) -> None:
        """Tell the broker of all that ended."""
        ended, self._ended = self._ended, []
        if ended:
            with self.pipe_or_acquire() as pipe:
                pipe.zrem(self.unacked_index_key, *ended).hdel(self.unacked_key, *ended).execute()

    def restore_unacked_once(self, stderr: Any = None) -> None:
        """At the end of the channel what has ended need not come back; but it may, where the broker is away."""
        with suppress(*FAILURES):
            self.acknowledge()
        super().restore_unacked_once(stderr)


_channels.QoS = GatheredQoS


class BrokerConnection(Connection):
    """A connection whose tries are never more than a few seconds apart."""

    def ensure_connection(self, *args: Any, **kwargs: Any) -> Connection:  # type: ignore[override]
        """Connect, trying again as the caller says, in shorter steps."""
        return super().ensure_connection(*args, **{"interval_max": LONGEST_PAUSE, **kwargs})


class BrokerAMQP(AMQP):
    """What Celery asks for its connections."""

    Connection = BrokerConnection


class BrokerDispatcher(EventDispatcher):
    """Speaks from the main thread alone, and now and then.

    Its connection is read by the worker's event loop. A thread of the pool that published a full buffer itself, and
    read RabbitMQ's confirmation, was seen to take half of a frame away from the loop, and both waited for ever.

    Celery publishes what became of a task as soon as its loop turns, which wakes the loop for each task from each
    thread, and cost a quarter of the main process's time; what gathers for a moment costs as much as one (`Tell`).
    """

    _group_buffer: dict[str, list[object]]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if kwargs.get("buffer_group"):
            kwargs |= {"on_send_buffered": None, "buffer_limit": TOLD_AT_ONCE}
        super().__init__(*args, **kwargs)

    @property
    def is_waiting(self) -> bool:
        """Whether something was gathered and not published."""
        return any(self._group_buffer.values())

    def flush(self, errors: bool = True, groups: bool = True) -> None:
        """Publish what is buffered, or have it published."""
        loop = get_event_loop()
        if loop is not None and threading.current_thread() is not threading.main_thread():
            loop.call_soon(super().flush)
        else:
            super().flush(errors, groups)


class Tell(bootsteps.StartStopStep):
    """Publishes what gathered about tasks, ten times a second, at each connection to the broker."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def start(self, parent: Any) -> None:
        """Begin."""
        dispatcher = parent.event_dispatcher

        def tell() -> None:
            # While the broker is away each try may take seconds: none is made for nothing.
            if dispatcher.is_waiting:
                dispatcher.flush()

        self._timer = parent.timer.call_repeatedly(TELL_SECONDS, tell)

    def stop(self, parent: Any) -> None:
        """End with the connection."""
        self._timer.cancel()


class BrokerEvents(Events):
    """What Celery asks for its dispatchers."""

    dispatcher_cls = "tasks.broker:BrokerDispatcher"


def settings(broker: Broker) -> dict[str, Any]:
    """Celery's settings for a broker, beside those of `celeryconfig`."""
    if broker.is_rabbitmq:
        # The certificate must be that of the host.
        tls = {"broker_use_ssl": {"server_hostname": None}} if broker.scheme == "amqps" else {}
        return {"broker_url": broker.url, **RABBITMQ, **tls}
    if broker.master is None:
        return {"broker_url": broker.url}
    options = {
        **celeryconfig.broker_transport_options,
        "master_name": broker.master,
        "sentinel_kwargs": {**SENTINEL_TIMEOUTS, **broker.sentinel_login},
    }
    return {"broker_url": broker.url, "broker_transport_options": options}


def length(celery: Celery, queue: str) -> int | None:
    """How many messages a queue holds; None when the broker does not answer."""
    pool: Any = celery.pool
    try:
        # One of those that publish: to make one costs as much as to publish ten messages.
        with pool.acquire(block=True, timeout=POOL_SECONDS) as kept:
            # RabbitMQ closes what asks for a queue that is not there, and hangs up on who is silent for long.
            if not _is_rabbitmq(kept):
                kept.ensure_connection(max_retries=0)
                return _length(kept, queue)
    except (TimeoutError, RedisTimeout):
        return None
    except FAILURES:
        # It may have been one to a broker that has started anew since.
        pass
    with celery.connection_for_read() as connection:
        try:
            connection.ensure_connection(max_retries=0)
            return _length(connection, queue)
        except FAILURES:
            return None


def _length(connection: Connection, queue: str) -> int:
    channel: Any = connection.default_channel
    if not _is_rabbitmq(connection):
        # kombu's own way forgets the prefix of the keys.
        return int(channel.client.llen(queue))
    try:
        return int(channel.queue_declare(queue, passive=True).message_count)
    except NotFound:
        return 0


def _is_rabbitmq(connection: Connection) -> bool:
    return bool(connection.transport.driver_type == "amqp")


def sending(producer: Any) -> dict[str, Any]:
    """How the publisher's thread sends a message."""
    if _is_rabbitmq(producer.connection):
        return {"retry": True, "confirm_timeout": CONFIRM_SECONDS}
    # Redis keeps queues as lists, and to look each time whether one is declared takes a tenth of all that it costs.
    return {"retry": False, "declare": ()}


def again(broker: Broker, options: dict[str, Any]) -> dict[str, Any]:
    """How a task publishes itself again, mostly after a countdown."""
    if not broker.is_rabbitmq:
        return options
    if options.get("countdown") is not None:
        options = {**options, "countdown": max(SHORTEST_COUNTDOWN, options["countdown"])}
    return {**options, "confirm_timeout": CONFIRM_SECONDS}
