"""The end of a process whose evaluation does not end.

Rules have a budget, and nothing is known that could hang; if something does, in Python or below it, the kernel ends the
process: only that is certain. It counts time on the processor, so that a frozen or crowded machine harms nobody.
"""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final
from uuid import UUID

from billiard import current_process

from app.services.blame import TooLong
from tasks import witness

# In company an event must not make others wait; some seven rules that spend their budget take so long. Alone it may
# take longer, but others may need the process.
COMPANY_SECONDS: Final = 0.3
ALONE_SECONDS: Final = 5.0
# Where rules are asked one by one: each, and all together, which is less than a lease lasts.
RULE_SECONDS: Final = 1.0
RULES_SECONDS: Final = 10.0


@contextmanager
def patience(*, alone: bool) -> Iterator[Callable[[UUID], None]]:
    """Gives what is to be called before each judgement: SIGPROF ends this process if one takes longer than it may."""
    seconds = ALONE_SECONDS if alone else COMPANY_SECONDS

    def begin(event_id: UUID) -> None:
        witness.judging(event_id)
        signal.setitimer(signal.ITIMER_PROF, seconds)

    with _timed(begin) as guarded:
        yield guarded


@contextmanager
def patience_with_rules(event_id: UUID) -> Iterator[Callable[[UUID], None]]:
    """Likewise, for what is to be called before each rule is asked about an event; that raises `TooLong`."""
    until = time.process_time() + RULES_SECONDS

    def begin(version_id: UUID) -> None:
        if time.process_time() > until:
            raise TooLong
        witness.asking(version_id)
        signal.setitimer(signal.ITIMER_PROF, RULE_SECONDS)

    with _timed(begin) as guarded:
        witness.judging(event_id)
        yield guarded


@contextmanager
def _timed(begin: Callable[[UUID], None]) -> Iterator[Callable[[UUID], None]]:
    if not current_process().daemon:  # a worker without processes to spare
        yield lambda _: None
        return
    try:
        yield begin
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        witness.leave()
