"""A function of the language that brings down the process that calls it; for tests, by PYTHONPATH alone."""

import ctypes
import os
import signal

from rules_dsl.functions.registry import function


@function
def explode(how: str) -> bool:
    """Never comes back."""
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "crash":
        ctypes.string_at(0)
    if how == "raise":
        raise RuntimeError(how)
    while how == "spin":
        pass
    return False
