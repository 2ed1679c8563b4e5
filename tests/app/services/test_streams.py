"""What was taken from a stream is known by its ranges, exactly."""

from threading import Event, Thread

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from app.extensions import db, session
from app.models.streams import StreamRange
from app.services import streams
from app.services.streams import OvertakenError, Range
from app.streams.source import Message, Run, apart
from tests.conftest import TestClock

LOG = "kafka:orders/0"


def a(low: int, high: int, log: str = LOG) -> Range:
    return Range(log, low, high, high - low + 1)


@pytest.fixture
def take(app: Flask, clock: TestClock) -> None:
    """1 to 10 and 21 to 30 are taken, and 11 to 20 of another log."""
    streams.take(session(), [a(1, 10), a(21, 30), a(11, 20, "kafka:orders/1")], clock())
    session().commit()


@pytest.mark.usefixtures("take")
@pytest.mark.parametrize(
    ("asked", "known"),
    [
        (a(11, 20), []),
        (a(31, 99), []),
        (a(0, 0), []),
        (a(10, 11), [a(1, 10)]),
        (a(5, 25), [a(1, 10), a(21, 30)]),
        (a(0, 99), [a(1, 10), a(21, 30)]),
        (a(24, 26), [a(21, 30)]),
        (a(12, 13, "kafka:orders/1"), [a(11, 20, "kafka:orders/1")]),
    ],
)
def test_what_was_taken_is_known_wherever_it_overlaps(asked: Range, known: list[Range]) -> None:
    assert sorted(streams.taken(session(), [asked])) == known


@pytest.mark.usefixtures("take")
def test_nobody_takes_what_was_taken(clock: TestClock) -> None:
    with pytest.raises(OvertakenError):
        streams.take(session(), [a(11, 20), a(30, 31)], clock())


def test_of_two_who_take_the_same_at_once_one_is_refused(app: Flask, clock: TestClock) -> None:
    streams.take(session(), [a(1, 10)], clock())
    outcomes: list[str] = []
    begun = Event()

    def other() -> None:
        with app.app_context():
            begun.set()
            try:
                streams.take(session(), [a(10, 12)], clock())
                outcomes.append("taken")
            except OvertakenError:
                outcomes.append("overtaken")
            db.session.remove()

    thread = Thread(target=other)
    thread.start()
    assert begun.wait(10)
    # It waits for the commit: what it sees before would be too little.
    thread.join(0.3)
    assert outcomes == []
    session().commit()
    thread.join(10)
    assert outcomes == ["overtaken"]


def test_ids_of_redis_are_numbers_of_any_size(app: Flask, clock: TestClock) -> None:
    largest = b"18446744073709551615-18446744073709551615"
    run = Run("redis:events", [Message(b"1526919030474-55", b""), Message(largest, b"")])
    streams.take(session(), [run.range], clock())
    session().commit()
    assert streams.taken(session(), [run.range]) == [run.range]
    assert list(run.without([run.range])) == []


part = st.lists(st.integers(0, 30), min_size=1, max_size=12, unique=True).map(sorted)


@given(st.lists(st.lists(part, min_size=1, max_size=3), max_size=6))
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_however_a_log_is_read_each_message_is_taken_once(
    app: Flask, clock: TestClock, batches: list[list[list[int]]]
) -> None:
    """A batch has parts of the log in their order, such as other consumers or another beginning would give."""
    session().execute(delete(StreamRange))
    stored: list[int] = []
    for batch in batches:
        runs = apart([run for read in batch for run in in_runs(read)])
        taken = streams.taken(session(), [run.range for run in runs])
        fresh = [left for run in runs for left in run.without(taken)]
        if fresh:
            streams.take(session(), [run.range for run in fresh], clock())
            session().commit()
        stored += [message.number for run in fresh for message in run.messages]
    assert sorted(stored) == sorted(
        {number for batch in batches for read in batch for number in read}
    )
    assert sum(session().scalars(select(StreamRange.messages))) == len(stored)


def in_runs(numbers: list[int]) -> list[Run]:
    """The numbers, cut where the log has others between them."""
    runs: list[list[int]] = []
    for number in numbers:
        if not runs or runs[-1][-1] + 1 != number:
            runs.append([])
        runs[-1].append(number)
    return [Run(LOG, [Message(number, b"") for number in run]) for run in runs]


def test_what_was_taken_is_forgotten_after_a_week(app: Flask, clock: TestClock) -> None:
    streams.take(session(), [a(1, 10)], clock())
    streams.purge(session(), clock.tick(6 * 86_400))
    assert streams.taken(session(), [a(1, 10)])
    streams.purge(session(), clock.tick(2 * 86_400))
    assert not streams.taken(session(), [a(1, 10)])
