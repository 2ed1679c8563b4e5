"""Work that threads of a process do together: what many ask for at once, one of them does for all.

A statement, and a commit, cost about as much for one row as for twenty. At rest nobody waits and no thread is added;
the busier the process, the larger the batches.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")

MOST: Final = 100


@dataclass(eq=False, slots=True)
class _Waiting(Generic[Item, Answer]):
    item: Item
    done: bool = False
    answer: list[Answer] = field(default_factory=list)
    error: Exception | None = None
    # Held until somebody has done it, or wants it to lead.
    asleep: threading.Lock = field(default_factory=threading.Lock)


class Together(Generic[Item, Answer]):
    """Calls `work` with what has gathered, in the thread of the first who waits; answers come in the order of items.

    What fails for many is tried for each alone, so that one of them cannot fail the others; `work` must leave nothing
    behind when it raises.
    """

    def __init__(self, work: Callable[[Sequence[Item]], Sequence[Answer]]) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._waiting: deque[_Waiting[Item, Answer]] = deque()
        self._led = False

    def __call__(self, item: Item) -> Answer:
        """The answer to one item; raises what `work` raised for it."""
        mine = _Waiting[Item, Answer](item)
        mine.asleep.acquire()
        with self._lock:
            self._waiting.append(mine)
            leads, self._led = not self._led, True
        if not leads:
            mine.asleep.acquire()
        if not mine.done:
            self._lead()
        if mine.error is not None:
            raise mine.error
        return mine.answer[0]

    def __len__(self) -> int:
        """How many wait to be taken up."""
        return len(self._waiting)

    def _lead(self) -> None:
        with self._lock:
            batch = [self._waiting.popleft() for _ in range(min(MOST, len(self._waiting)))]
        try:
            self._do(batch)
        finally:
            with self._lock:
                self._led = bool(self._waiting)
                wake = [*batch, *([self._waiting[0]] if self._waiting else [])]
            for one in wake:
                one.asleep.release()

    def _do(self, batch: Sequence[_Waiting[Item, Answer]]) -> None:
        try:
            answers = self._work([one.item for one in batch])
        except Exception as error:  # noqa: BLE001 - it is raised to whoever asked
            if len(batch) > 1:
                for one in batch:
                    self._do([one])
                return
            batch[0].error = error
        else:
            for one, answer in zip(batch, answers, strict=True):
                one.answer.append(answer)
        for one in batch:
            one.done = True
