"""What tells a worker that hears no more from one that has nothing to hear, or was told to stop."""

from collections.abc import Iterator

import pytest
from celery import signals

from tasks.ending import ending
from tasks.hearing import DEAF_AFTER_ROUNDS, Hearing

QUEUES = ("events",)


@pytest.fixture
def hearing() -> Iterator[Hearing]:
    made = Hearing()
    assert not made.is_lost(QUEUES, {"events": 1})
    yield made
    ending.clear()


def after_rounds(hearing: Hearing, waiting: int | None) -> bool:
    """What the last of enough rounds says, where none before it says so."""
    for _ in range(DEAF_AFTER_ROUNDS - 1):
        assert not hearing.is_lost(QUEUES, {"events": waiting})
    return hearing.is_lost(QUEUES, {"events": waiting})


def test_a_worker_whose_messages_wait_while_it_does_nothing_is_lost(hearing: Hearing) -> None:
    assert after_rounds(hearing, 1)


@pytest.mark.parametrize("waiting", [0, None])
def test_a_worker_for_whom_nothing_waits_is_not(hearing: Hearing, waiting: int | None) -> None:
    assert not after_rounds(hearing, waiting)


def test_one_message_that_it_hears_begins_the_count_anew(hearing: Hearing) -> None:
    assert not hearing.is_lost(QUEUES, {"events": 1})
    signals.task_received.send(sender=None)
    assert not hearing.is_lost(QUEUES, {"events": 1})
    assert after_rounds(hearing, 1)


def test_a_worker_that_was_told_to_stop_is_not_deaf(hearing: Hearing) -> None:
    signals.worker_shutting_down.send(sender="events@host", sig="SIGTERM", how="Warm", exitcode=0)
    assert not after_rounds(hearing, 1)
