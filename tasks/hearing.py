"""Whether a worker still hears its queues: progress is watched, since a pid says nothing of it.

After a broken connection a Celery worker was seen to live on without consuming (celery#8030, #9054). Messages that wait
round after round, while the worker is idle and receives none, say that it is deaf. It ends then, and whoever supervises
it starts it again; an idle worker holds nothing that could be lost.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from celery import signals
from celery.worker import state

from tasks.ending import ending

DEAF_AFTER_ROUNDS: Final = 3
# EX_TEMPFAIL: try again.
EXIT_CODE: Final = 75


class Hearing:
    """Counts the rounds of silence; one round of the sweep is one look."""

    def __init__(self) -> None:
        self._received = 0
        self._received_before = -1
        self._silent_rounds = 0
        signals.task_received.connect(self._on_received)

    def _on_received(self, **_: object) -> None:
        self._received += 1

    def is_lost(self, queues: Sequence[str], waiting: Mapping[str, int | None]) -> bool:
        """Whether messages have waited in one of its `queues` for some rounds, and it did nothing.

        Not at its end: it hears nothing then because it was told to stop.
        """
        if ending.is_set():
            return False
        idle = not state.active_requests and self._received == self._received_before
        silent = idle and any(waiting[queue] for queue in queues)
        self._received_before = self._received
        self._silent_rounds = self._silent_rounds + 1 if silent else 0
        return self._silent_rounds >= DEAF_AFTER_ROUNDS
