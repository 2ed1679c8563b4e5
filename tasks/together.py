"""Work that threads of a process do together: what many ask for at once, one of them does for all.

A statement, and a commit, cost about as much for one row as for twenty. At rest nobody waits and no thread is added;
the busier the process, the larger the batches.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

Item = TypeVar("Item")
Answer = TypeVar("Answer")

MOST: Final = 100
# With the database away each would only wait as long as all.
AWAY: Final = (OperationalError, InterfaceError, PoolTimeout)


@dataclass(eq=False, slots=True)
class _Waiting(Generic[Item, Answer]):
    item: Item
    done: bool = False
    leads: bool = False
    answer: list[Answer] = field(default_factory=list)
    error: Exception | None = None
    # Held until somebody has done it, or wants it to lead.
    asleep: threading.Lock = field(default_factory=threading.Lock)


class Together(Generic[Item, Answer]):
    """Calls `work`, a transaction, with what has gathered; answers come in the order of items.

    The first who waits does it for at most `most`, in its own thread; the others wait for `patience` seconds. What
    fails for many is tried for each alone, so that one of them cannot fail the others; `work` must leave nothing
    behind when it raises.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Item]], Sequence[Answer]],
        *,
        most: int = MOST,
        patience: float | None = None,
    ) -> None:
        self._work = work
        self._most = most
        self._patience = -1 if patience is None else patience
        self._lock = threading.Lock()
        self._waiting: deque[_Waiting[Item, Answer]] = deque()
        self._led = False

    def __call__(self, item: Item) -> Answer:
        """The answer to one item; raises what `work` raised for it, or `PoolTimeout` where nobody came to its end."""
        mine: _Waiting[Item, Answer] = _Waiting(item)
        mine.asleep.acquire()
        with self._lock:
            self._waiting.append(mine)
            mine.leads, self._led = not self._led, True
        if not mine.leads and not mine.asleep.acquire(timeout=self._patience):
            self._leave(mine)
        if mine.leads:
            self._lead(mine)
        if mine.error is not None:
            raise mine.error
        if not mine.done:
            # Whoever had it in hand did not come to its end, and said nothing.
            raise PoolTimeout("the transaction was given up")
        return mine.answer[0]

    def __len__(self) -> int:
        """How many wait to be taken up."""
        return len(self._waiting)

    def _leave(self, mine: _Waiting[Item, Answer]) -> None:
        """Stop waiting, unless it is done or led just now.

        Nobody knows what becomes of it if it is in another's hands: it must not count as done.
        """
        with self._lock:
            if mine.done or mine.leads:
                return
            if mine in self._waiting:
                self._waiting.remove(mine)
        raise PoolTimeout("another transaction hangs")

    def _lead(self, mine: _Waiting[Item, Answer]) -> None:
        with self._lock:
            batch = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
        # Not itself: who was called to lead before it slept is still to be woken for that, and nobody is woken twice.
        wake = [one for one in batch if one is not mine]
        try:
            self._do(batch)
        finally:
            with self._lock:
                self._led = bool(self._waiting)
                if self._led:
                    self._waiting[0].leads = True
                    wake.append(self._waiting[0])
            for one in wake:
                one.asleep.release()

    def _do(self, batch: Sequence[_Waiting[Item, Answer]]) -> None:
        try:
            answers = self._work([one.item for one in batch])
        except Exception as error:  # noqa: BLE001 - it is raised to whoever asked
            if len(batch) > 1 and not isinstance(error, AWAY):
                for one in batch:
                    self._do([one])
                return
            for one in batch:
                one.error = error
        else:
            for one, answer in zip(batch, answers, strict=True):
                one.answer.append(answer)
        for one in batch:
            one.done = True
