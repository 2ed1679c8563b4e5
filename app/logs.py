"""Logs as JSON lines on standard error: one object an entry, with its time, level and event."""

import logging
import sys

import structlog


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
