"""Room for recursion: a rule may nest 64 deep, and each level takes up to forty frames to read.

The interpreter's limit belongs to the whole process. It is raised while anybody is inside and put
back by the last one to leave; all that recurses in there is bounded by the limits of a rule.
"""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_FRAMES: Final = 20_000


class _Room:
    """Who is inside, and what the limit was before."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Nobody is inside, and nobody is just changing it: so in a process just forked."""
        self._changing = threading.Lock()
        self._inside = 0
        self._before = 0

    def enter(self) -> None:
        with self._changing:
            if self._inside == 0:
                self._before = sys.getrecursionlimit()
                sys.setrecursionlimit(max(self._before, _FRAMES))
            self._inside += 1

    def leave(self) -> None:
        with self._changing:
            self._inside -= 1
            if self._inside == 0:
                sys.setrecursionlimit(self._before)


_room: Final = _Room()
os.register_at_fork(after_in_child=_room.reset)


@contextmanager
def room_to_recurse() -> Iterator[None]:
    """A stretch of code in which the nesting of a rule cannot exhaust the stack."""
    _room.enter()
    try:
        yield
    finally:
        _room.leave()
