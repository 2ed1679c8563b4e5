"""Threads that ask for the same work at once share it, and none waits for another's failure."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from tasks.together import MOST, Together


class HeldLock:
    """A lock after which one thread, a time that counts its turns, goes on only when it is told to."""

    def __init__(self, thread: str, turn: int) -> None:
        self._lock = threading.Lock()
        self._thread, self._turns = thread, turn
        self.held, self.go_on = threading.Event(), threading.Event()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()
        if threading.current_thread().name != self._thread:
            return
        self._turns -= 1
        if self._turns == 0:
            self.held.set()
            assert self.go_on.wait(10)


def asked(together: Together[int, int], name: str, item: int) -> Future[int]:
    """The answer to come to a thread of that name."""
    answer: Future[int] = Future()

    def ask() -> None:
        try:
            answer.set_result(together(item))
        except Exception as error:  # noqa: BLE001 - it is the answer
            answer.set_exception(error)

    threading.Thread(target=ask, name=name, daemon=True).start()
    return answer


def test_what_gathers_while_one_works_is_done_at_once_by_the_next() -> None:
    batches: list[list[int]] = []
    working, go_on = threading.Event(), threading.Event()

    def work(items: Sequence[int]) -> list[int]:
        batches.append(list(items))
        working.set()
        assert go_on.wait(10)
        return [item * 10 for item in items]

    together = Together(work)
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(together, 0)
        assert working.wait(10)
        rest = [pool.submit(together, number) for number in range(1, 8)]
        while len(together) < 7:
            pass
        go_on.set()
        assert [one.result(10) for one in [first, *rest]] == [number * 10 for number in range(8)]
    assert batches[0] == [0]
    assert [sorted(batch) for batch in batches[1:]] == [list(range(1, 8))]


def test_every_thread_gets_its_own_answer_however_many_there_are() -> None:
    def work(items: Sequence[int]) -> list[int]:
        assert len(items) <= MOST
        return [item + 1 for item in items]

    together = Together(work)
    with ThreadPoolExecutor(3 * MOST) as pool:
        assert list(pool.map(together, range(5000))) == list(range(1, 5001))
    assert len(together) == 0


def test_what_fails_for_one_is_raised_to_that_one_alone() -> None:
    def work(items: Sequence[int]) -> list[int]:
        if 3 in items:
            raise ValueError("three")
        return list(items)

    together = Together(work)

    def ask(number: int) -> int | str:
        try:
            return together(number)
        except ValueError as error:
            return str(error)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(8))) == [0, 1, 2, "three", 4, 5, 6, 7]


def test_after_a_failure_the_next_is_served() -> None:
    def work(items: Sequence[int]) -> list[float]:
        return [1 / item for item in items]

    together = Together(work)
    with pytest.raises(ZeroDivisionError):
        together(0)
    assert together(2) == 0.5


def test_with_the_database_away_nobody_is_tried_alone() -> None:
    calls: list[int] = []
    working, go_on = threading.Event(), threading.Event()

    def work(items: Sequence[int]) -> list[int]:
        calls.append(len(items))
        working.set()
        assert go_on.wait(10)
        raise OperationalError("SELECT 1", None, OSError("away"))

    together = Together(work)
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(together, 0)
        assert working.wait(10)
        rest = [pool.submit(together, number) for number in range(1, 8)]
        while len(together) < 7:
            pass
        go_on.set()
        assert all(isinstance(one.exception(10), OperationalError) for one in [first, *rest])
    assert calls == [1, 7]


def test_whoever_loses_patience_is_told_and_is_not_taken_up_later() -> None:
    done: list[int] = []
    working, go_on = threading.Event(), threading.Event()

    def work(items: Sequence[int]) -> list[int]:
        working.set()
        assert go_on.wait(10)
        done.extend(items)
        return list(items)

    together = Together(work, patience=0.05)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(together, 1)
        assert working.wait(10)
        with pytest.raises(PoolTimeout):
            together(2)
        go_on.set()
        assert first.result(10) == 1
    assert together(3) == 3
    assert done == [1, 3]


def test_nobody_counts_as_done_whose_leader_was_ended() -> None:
    working, go_on = threading.Event(), threading.Event()

    def work(items: Sequence[int]) -> list[int]:
        working.set()
        assert go_on.wait(10)
        if 1 in items:
            raise SystemExit
        return list(items)

    together = Together(work)
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(together, 0)
        assert working.wait(10)
        rest = [pool.submit(together, number) for number in (1, 2)]
        while len(together) < 2:
            pass
        go_on.set()
        assert first.result(10) == 0
        errors = {type(one.exception(10)) for one in rest}
    assert errors == {SystemExit, PoolTimeout}


def test_whoever_is_called_to_lead_before_it_sleeps_leads(monkeypatch: pytest.MonkeyPatch) -> None:
    working, work_on = threading.Event(), threading.Event()

    def work(items: Sequence[int]) -> list[int]:
        working.set()
        assert work_on.wait(10)
        return list(items)

    together = Together(work)
    lock = HeldLock("second", 1)
    monkeypatch.setattr(together, "_lock", lock)
    first = asked(together, "first", 1)
    assert working.wait(10)
    second = asked(together, "second", 2)
    assert lock.held.wait(10)
    work_on.set()
    assert first.result(10) == 1
    lock.go_on.set()
    assert second.result(10) == 2


def test_whoever_loses_patience_as_it_is_called_to_lead_leads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    working, work_on = threading.Event(), threading.Event()

    def work(items: Sequence[int]) -> list[int]:
        working.set()
        assert work_on.wait(10)
        return list(items)

    together = Together(work, patience=1)
    # Its turns: it asks, takes what waits, and gives the lead away.
    lock = HeldLock("first", 3)
    monkeypatch.setattr(together, "_lock", lock)
    first = asked(together, "first", 1)
    assert working.wait(10)
    second = asked(together, "second", 2)
    while len(together) < 1:
        pass
    work_on.set()
    assert lock.held.wait(10)
    assert second.result(10) == 2
    lock.go_on.set()
    assert first.result(10) == 1
