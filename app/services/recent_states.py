"""States that this process has written lately, with the marks of their rows.

To read a state anew costs more than to decide on it. A mark that was never committed is in no row, so what came to
nothing is never taken for a state.
"""

import os
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Final

from rules_dsl.memory import State

# What a state takes in memory beside what it packs to, about.
OVERHEAD: Final = 2_000
LARGEST: Final = 96 * 1024 * 1024

# A rule version, a scope and a key.
Place = tuple[str, str, str]


@dataclass(slots=True)
class Known:
    """A state as its row had it when it bore a mark; `size` is what it packs to, `row` where it was found last."""

    state: State
    mark: int
    size: int
    row: str = ""


class RecentStates:
    """The states used last, up to so many bytes."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin anew in a process just forked: another thread of its parent may have been in the midst of a change."""
        self._lock = Lock()
        self.forget()

    def forget(self) -> None:
        """Begin with nothing."""
        with self._lock:
            self._kept: OrderedDict[Place, Known] = OrderedDict()
            self._bytes = 0

    def take(self, places: Iterable[Place]) -> list[Known | None]:
        """Take states out, to change them."""
        with self._lock:
            taken = [self._kept.pop(place, None) for place in places]
            self._bytes -= sum(known.size + OVERHEAD for known in taken if known)
            return taken

    def put(self, found: Mapping[Place, Known]) -> None:
        """Keep states that were written, or found as they were."""
        with self._lock:
            self._kept.update(found)
            self._bytes += sum([known.size for known in found.values()]) + OVERHEAD * len(found)
            while self._bytes > LARGEST:
                _, oldest = self._kept.popitem(last=False)
                self._bytes -= oldest.size + OVERHEAD


recent: Final = RecentStates()
os.register_at_fork(after_in_child=recent.reset)
