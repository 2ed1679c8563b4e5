"""The end of a process whose evaluation does not end.

Rules have a budget, and nothing is known that could hang; if something does, in Python or below it, the kernel ends the
process: only that is certain. It counts time on the processor, so that a frozen or crowded machine harms nobody.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from billiard import current_process

# In company an event must not make others wait; alone it may take what a lease allows.
COMPANY_SECONDS: Final = 1.0
ALONE_SECONDS: Final = 15.0


@contextmanager
def patience(*, alone: bool) -> Iterator[None]:
    """End this process of a pool by SIGPROF if the block takes longer than it may."""
    if not current_process().daemon:  # a worker without processes to spare
        yield
        return
    signal.setitimer(signal.ITIMER_PROF, ALONE_SECONDS if alone else COMPANY_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
