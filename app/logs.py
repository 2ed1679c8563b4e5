"""Logs as JSON lines on standard error: one object an entry, with its time, level and event."""

import logging
import os
import sys
from typing import Final

import structlog
from structlog._output import WRITE_LOCKS

# Celery's two lines a task cost a worker a tenth of its time; Flower and the exporter hear of each task by its events.
WORDY: Final = ("celery.worker.strategy", "celery.app.trace")

# Another thread may have been writing when a process was forked, which then could never write; structlog offers no way.
os.register_at_fork(after_in_child=WRITE_LOCKS.clear)


def configure() -> None:
    """Send structlog's entries to standard error; what libraries log keeps their own handlers."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        # Standard error as it is at that moment: a test, or a daemon, may have put another in its place.
        logger_factory=lambda *_: structlog.WriteLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )
    for name in WORDY:
        logging.getLogger(name).setLevel(logging.WARNING)
