"""Celery's broker connection, less patient with itself.

After an outage Celery waits ever longer between its tries, up to half a minute; wake-ups should flow again sooner.
"""

from typing import Any, Final

from celery.app.amqp import AMQP
from kombu import Connection
from kombu.transport import redis

LONGEST_PAUSE: Final = 5


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


class BrokerConnection(Connection):
    """A connection whose tries are never more than a few seconds apart."""

    def ensure_connection(self, *args: Any, **kwargs: Any) -> Connection:  # type: ignore[override]
        """Connect, trying again as the caller says, in shorter steps."""
        return super().ensure_connection(*args, **{"interval_max": LONGEST_PAUSE, **kwargs})


class BrokerAMQP(AMQP):
    """What Celery asks for its connections."""

    Connection = BrokerConnection
