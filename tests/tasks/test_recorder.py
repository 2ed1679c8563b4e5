"""Outcomes are written together, once, and again while the database is away."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from sqlalchemy.exc import DataError, OperationalError

from app.channels.base import Outcome, Verdict
from app.models.notifications import Status
from app.services.delivery import LEASE, Result
from app.services.outcomes import Ended
from tasks import recorder
from tasks.recorder import Recorder

GOOD = Result(Status.SENT, "webhook:erp")
Write = Callable[[Sequence[Ended]], Sequence[Result | None]]


def ended(detail: str, latency: float = 0.0) -> Ended:
    """An attempt that is told from others by what its receiver said."""
    verdict = Verdict(Outcome.DELIVERED, 200, detail, latency=latency)
    return Ended(None, verdict)  # type: ignore[arg-type]  # nobody looks at it here


def names(batch: Sequence[Ended]) -> list[str]:
    return [one.verdict.detail for one in batch]


@contextmanager
def held_up(batches: list[list[str]]) -> Iterator[tuple[Recorder, threading.Event]]:
    """A recorder whose first transaction takes until the event."""
    go_on = threading.Event()

    def write(batch: Sequence[Ended]) -> list[Result | None]:
        batches.append(names(batch))
        go_on.wait(10)
        return [GOOD for _ in batch]

    yield Recorder(write), go_on
    go_on.set()


def test_what_gathers_during_a_transaction_shares_the_next() -> None:
    batches: list[list[str]] = []
    with held_up(batches) as (record, go_on):
        first = record(ended("a"))
        while not batches:
            time.sleep(0.001)
        others = [record(ended(name)) for name in "bcd"]
        assert not first.done()
        assert len(record) == 4
        go_on.set()
        assert [one.result(10) for one in (first, *others)] == [GOOD] * 4
        while len(record):
            time.sleep(0.001)
    assert batches == [["a"], ["b", "c", "d"]]


def test_one_that_cannot_be_written_keeps_no_other_back() -> None:
    batches: list[list[str]] = []
    with held_up(batches) as (_, go_on):

        def write(batch: Sequence[Ended]) -> list[Result | None]:
            batches.append(names(batch))
            go_on.wait(10)
            if "bad" in names(batch):
                raise ValueError("bad")
            return [GOOD for _ in batch]

        record = Recorder(write)
        first = record(ended("a"))
        while not batches:
            time.sleep(0.001)
        bad, good = record(ended("bad")), record(ended("good"))
        go_on.set()
        assert good.result(10) == first.result(10) == GOOD
        with pytest.raises(ValueError, match="bad"):
            bad.result(10)
    assert batches[1:] == [["bad", "good"], ["bad"], ["good"]]


def test_while_the_database_is_away_an_outcome_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recorder, "AGAIN_SECONDS", 0.01)
    tries: list[list[str]] = []

    def write(batch: Sequence[Ended]) -> list[Result | None]:
        tries.append(names(batch))
        if len(tries) < 3:
            raise OperationalError("commit", None, OSError("away"))
        return [GOOD for _ in batch]

    assert Recorder(write)(ended("a")).result(10) == GOOD
    assert tries == [["a"]] * 3


def test_once_the_lease_is_over_an_outcome_is_given_up() -> None:
    def write(batch: Sequence[Ended]) -> list[Result | None]:
        raise DataError("commit", None, ValueError("never"))

    lease_is_over = ended("a", latency=LEASE.total_seconds())
    with pytest.raises(DataError):
        Recorder(write)(lease_is_over).result(10)


def test_at_the_end_of_the_interpreter_nobody_waits_for_what_nobody_writes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("cannot schedule new futures after interpreter shutdown")

    record = Recorder(lambda batch: [GOOD for _ in batch])
    with monkeypatch.context() as patch:
        patch.setattr(ThreadPoolExecutor, "submit", refuse)
        for name in "ab":
            assert isinstance(record(ended(name)).exception(1), RuntimeError)
    assert len(record) == 0
    assert record(ended("c")).result(10) == GOOD
