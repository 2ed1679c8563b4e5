"""What a message of notifications leaves behind."""

import time
from collections.abc import Sequence
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from flask import Flask
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.channels.base import Notice, Outcome, Verdict
from app.runtime import now
from app.services import delivery
from app.services.channels import Destination
from app.services.delivery import Result, Sending
from app.services.outcomes import Ended
from tasks import notifications
from tasks.gate import gate
from tasks.publisher import RECEIVER, WakeUp

HERE = "webhook:here"


class Full:
    """A recorder that has as much to write as it may."""

    def __len__(self) -> int:
        return 1_000

    def __call__(self, _: Ended) -> Future[Result | None]:
        return Future()


class Idle(Full):
    """A recorder that has nothing to write."""

    def __len__(self) -> int:
        return 0


def test_whoever_has_waited_for_the_database_too_long_gives_back_what_is_left(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = [_sending(), _sending()]
    until = time.monotonic() + 0.1
    sent, given = _watched(monkeypatch, Full)
    monkeypatch.setattr(notifications, "wait", lambda _: time.sleep(0.2))
    assert notifications._send_each(begun, until) is None
    assert (sent, given) == (begun[:1], begun[1:])


def test_what_was_begun_too_long_ago_is_given_back_and_not_sent(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its commit waited for the disk; another worker will begin it before a slow receiver has answered."""
    begun = [_sending(lasts=30.0), _sending(lasts=14.0), _sending(lasts=30.0)]
    sent, given = _watched(monkeypatch, Idle)
    assert notifications._send_each(begun, time.monotonic() + 60) is None
    assert (sent, given) == (begun[:1], begun[1:])


def _watched(
    monkeypatch: pytest.MonkeyPatch, recorder: type[Full]
) -> tuple[list[Sending], list[Sending]]:
    """What is sent, to a receiver that takes it, and what is given back."""
    sent: list[Sending] = []
    given: list[Sending] = []

    def send(sending: Sending, _: object) -> Verdict:
        sent.append(sending)
        return Verdict(Outcome.DELIVERED, 200, "delivered")

    monkeypatch.setattr(delivery, "send", send)
    monkeypatch.setattr(notifications, "recorder", recorder)
    monkeypatch.setattr(notifications, "give_back", given.extend)
    return sent, given


def _sending(lasts: float = 22.0) -> Sending:
    key, moment = uuid4(), datetime(2026, 1, 1, tzinfo=UTC)
    until = now() + timedelta(seconds=lasts)
    notice = Notice(str(key), "alert", moment, "", alert={}, rule={}, event={}, message="")
    to = Destination("webhook", "webhook")
    return Sending(key, 1, 1, 1, "webhook", moment, to, notice, HERE, until)


def test_who_fails_leaves_what_others_have_parked_to_another_message(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    parked = [uuid4() for _ in range(5)]
    woken: list[WakeUp] = []

    def fail(_: Sequence[UUID]) -> None:
        # Another message came meanwhile, and found no room.
        gate.park(HERE, parked)
        raise PoolTimeout("no connection")

    monkeypatch.setattr(notifications, "begin", fail)
    monkeypatch.setattr(notifications, "publish", woken.extend)
    notifications.deliver.push_request(**{RECEIVER: HERE})
    try:
        with pytest.raises(PoolTimeout):
            notifications.deliver.run([str(uuid4())])
    finally:
        notifications.deliver.pop_request()
    assert [one.args for one in woken] == [([str(key) for key in parked],)]
    assert gate.take(HERE, 5) == []
