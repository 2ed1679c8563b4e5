"""The dead say which event they were judging."""

import os
import signal
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID, uuid4

import pytest

from tasks import witness


def die(index: int, last_words: Callable[[], None]) -> None:
    """A process of a pool, at a place of it, that is killed after it has said something.

    It does no more than that: this process has threads, whose locks would be held in it for ever.
    """
    pid = os.fork()
    if pid == 0:
        try:
            cast(Any, witness).current_process = lambda: SimpleNamespace(index=index)
            last_words()
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


def judge(holder: UUID, *events: UUID) -> None:
    witness.enter(holder)
    for event in events:
        witness.judging(event)


def ask(holder: UUID, event: UUID, *versions: UUID) -> None:
    judge(holder, event)
    for version in versions:
        witness.asking(version)


def judge_and_leave(holder: UUID) -> None:
    judge(holder, uuid4())
    witness.leave()


def test_whoever_is_killed_over_an_event_leaves_its_name() -> None:
    holders, events = [uuid4(), uuid4()], [uuid4(), uuid4(), uuid4()]
    die(0, lambda: judge(holders[0], events[0], events[1]))
    die(1, lambda: judge(holders[1], events[2]))
    assert [witness.culprit(holder) for holder in holders] == [(events[1], None), (events[2], None)]


def test_whoever_is_killed_beside_a_judgement_leaves_none() -> None:
    before, after, holder = uuid4(), uuid4(), uuid4()
    die(0, lambda: judge(before, uuid4()))
    die(0, lambda: judge(holder))
    assert (witness.culprit(holder), witness.culprit(before)) == (None, None)
    die(0, lambda: judge_and_leave(after))
    assert witness.culprit(after) is None


@pytest.mark.parametrize("index", [255, 256, 100_000])
def test_a_pool_may_be_larger_than_the_memory(index: int) -> None:
    holder, event = uuid4(), uuid4()
    die(index, lambda: judge(holder, event))
    assert witness.culprit(holder) == ((event, None) if index == 255 else None)


def test_a_rule_that_was_asked_alone_leaves_its_name_beside_the_event() -> None:
    holder, event, rule = uuid4(), uuid4(), uuid4()
    die(0, lambda: ask(holder, event, uuid4(), rule))
    assert witness.culprit(holder) == (event, rule)


def test_a_rule_that_was_asked_before_has_nothing_to_do_with_a_later_death() -> None:
    holder, event = uuid4(), uuid4()

    def run() -> None:
        ask(holder, event, uuid4())
        witness.leave()
        witness.judging(event)

    die(0, run)
    assert witness.culprit(holder) == (event, None)
