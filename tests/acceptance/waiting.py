"""Waiting for what will be so, and not for a time."""

import time
from collections.abc import Callable


def wait_until(check: Callable[[], object], seconds: float) -> None:
    """Until `check()` is true; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, f"not so within {seconds} s"
        time.sleep(0.05)
