"""What a message of notifications leaves behind."""

from collections.abc import Sequence
from uuid import UUID, uuid4

import pytest
from flask import Flask
from sqlalchemy.exc import TimeoutError as PoolTimeout

from tasks import notifications
from tasks.gate import gate
from tasks.publisher import RECEIVER, WakeUp

HERE = "webhook:here"


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
