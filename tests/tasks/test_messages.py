"""How long a thread stays with a message."""

import time
from collections.abc import Iterator

import pytest
from celery.worker import state

from tasks import notifications
from tasks.ending import ending
from tasks.notifications import LONGEST_SECONDS, MESSAGE_SECONDS


class Waiting:
    """Stands for a message that waits for a thread."""


@pytest.fixture(autouse=True)
def nobody_waits() -> Iterator[None]:
    state.reserved_requests.clear()
    state.active_requests.clear()
    yield
    state.reserved_requests.clear()


def goes_on(held: float, *, failing: bool = False) -> bool:
    return notifications._goes_on(time.monotonic() - held, failing=failing)


def test_a_message_goes_on_for_a_moment_whoever_waits() -> None:
    waiting = Waiting()
    state.reserved_requests.add(waiting)
    assert goes_on(MESSAGE_SECONDS / 2)
    assert goes_on(MESSAGE_SECONDS / 2, failing=True)


def test_it_goes_on_for_longer_only_while_nobody_waits_for_its_thread() -> None:
    assert goes_on(LONGEST_SECONDS / 2)
    waiting = Waiting()
    state.reserved_requests.add(waiting)
    assert not goes_on(LONGEST_SECONDS / 2)
    # It has a thread.
    state.active_requests.add(waiting)
    assert goes_on(LONGEST_SECONDS / 2)


def test_what_is_to_be_tried_again_is_not_kept_waiting() -> None:
    assert not goes_on(LONGEST_SECONDS / 2, failing=True)


def test_no_broker_waits_for_ever() -> None:
    assert not goes_on(LONGEST_SECONDS + 1)


def test_a_stop_ends_it_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "is_set", lambda: True)
    assert not goes_on(0.0)
