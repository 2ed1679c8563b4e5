"""The answer to the first message of an alert is found again for those that follow."""

from uuid import UUID

import pytest
from flask import Flask

from app.channels.base import Outcome, Verdict
from app.config import RetryPolicy, Settings
from app.extensions import session
from app.models.alerts import Alert
from app.services import alerts, threads
from app.services.alerts import Hand
from app.services.delivery import Sending
from tests.app.client import Client
from tests.app.helpers import begin_attempt, end_attempt, evaluate, make_rule, post_event
from tests.conftest import TestClock

RULE = (
    'when type == "disk" and count() over 5m by host >= 1 then notify("slack:ops", resolved: true)'
)


@pytest.fixture(autouse=True)
def rule(app: Flask, client: Client) -> None:
    config = {"bot_token": "xoxb-1", "channel": "#ops", "threads": True}
    answer = client.post("/channels", json={"name": "ops", "kind": "slack", "config": config})
    assert answer.status_code == 201, answer.text
    make_rule(client, RULE, name="Disk")


def match(client: Client, clock: TestClock, host: str = "web1") -> UUID:
    """The notification of an event."""
    clock.tick(1)
    post_event(client, type="disk", host=host)
    [made] = evaluate(clock()).notification_ids
    return made


def deliver(made: UUID, settings: Settings, clock: TestClock, said: str | None) -> str | None:
    """What the message is told of the first, while it is answered; None fails it."""
    begun = begin_attempt(made, settings, clock)
    assert isinstance(begun, Sending)
    outcome = Outcome.TRANSIENT if said is None else Outcome.DELIVERED
    verdict = Verdict(outcome, 200, "", response=said or "")
    end_attempt(begun, clock, verdict, RetryPolicy())
    return begun.notice.first


def test_later_messages_and_the_end_are_told_what_was_answered_to_the_first(
    client: Client, settings: Settings, clock: TestClock
) -> None:
    assert deliver(match(client, clock), settings, clock, "first") is None
    assert deliver(match(client, clock), settings, clock, "second") == "first"
    assert deliver(match(client, clock, "web2"), settings, clock, "other") is None
    assert deliver(match(client, clock), settings, clock, "third") == "first"
    alert = session().query(Alert).filter_by(key='["web1"]').one()
    queued = alerts.resolve(session(), alert.id, Hand("ann"), None, clock.tick(1))
    session().commit()
    [end] = queued.pending
    assert deliver(end.id, settings, clock, "end") == "first"
    assert deliver(match(client, clock), settings, clock, "again") is None


def test_what_was_sent_first_is_the_first_though_another_was_made_before(
    client: Client, settings: Settings, clock: TestClock
) -> None:
    late = match(client, clock)
    assert deliver(late, settings, clock, None) is None
    assert deliver(match(client, clock), settings, clock, "sent first") is None
    clock.tick(60)
    assert deliver(late, settings, clock, "late") == "sent first"
    assert deliver(match(client, clock), settings, clock, "next") == "sent first"


def test_a_first_message_far_from_the_opening_is_not_looked_for(
    client: Client, settings: Settings, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "NEAR", 1)
    match(client, clock)
    assert deliver(match(client, clock), settings, clock, "far") is None
    assert deliver(match(client, clock), settings, clock, "next") is None


def test_a_channel_without_threads_asks_nothing(
    client: Client, settings: Settings, clock: TestClock
) -> None:
    changed = client.patch("/channels/ops", json={"config": {"threads": False}})
    assert changed.status_code == 200, changed.text
    assert deliver(match(client, clock), settings, clock, "first") is None
    assert deliver(match(client, clock), settings, clock, "second") is None
