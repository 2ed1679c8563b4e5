"""Celery's broker connection, less patient with itself.

After an outage Celery waits ever longer between its tries, up to half a minute; wake-ups should flow again sooner.
"""

from typing import Any, Final

from celery.app.amqp import AMQP
from kombu import Connection

LONGEST_PAUSE: Final = 5


class BrokerConnection(Connection):
    """A connection whose tries are never more than a few seconds apart."""

    def ensure_connection(self, *args: Any, **kwargs: Any) -> Connection:  # type: ignore[override]
        """Connect, trying again as the caller says, in shorter steps."""
        return super().ensure_connection(*args, **{"interval_max": LONGEST_PAUSE, **kwargs})


class BrokerAMQP(AMQP):
    """What Celery asks for its connections."""

    Connection = BrokerConnection
