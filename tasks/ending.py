"""Whether this worker is about to end: what may take long asks, and gives back what it has begun."""

import threading
from typing import Final

from celery import signals

ending: Final = threading.Event()


def _on_end(**_: object) -> None:
    ending.set()


signals.worker_shutting_down.connect(_on_end)
