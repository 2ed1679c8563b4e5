"""Mail from an event to a real server, by the operator's own."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask

from app.channels.base import Outcome
from app.config import Settings, SmtpDefaults
from app.extensions import session
from app.models.notifications import Status
from app.runtime import runtime
from app.services import channels, delivery, previews
from app.services.delivery import Sending
from tests.app.channels.mailserver import MailServer
from tests.app.client import Client
from tests.app.helpers import (
    begin_attempt,
    end_attempt,
    evaluate,
    make_rule,
    notifications,
    post_event,
)
from tests.conftest import TestClock

RULE = 'when amount > 500 then notify("email:ops@example.com", "email:team")'
TEAM = {"name": "team", "kind": "email", "config": {"to": "a@example.com, b@example.com"}}


@pytest.fixture
def server() -> Iterator[MailServer]:
    server = MailServer()
    yield server
    server.close()


@pytest.fixture
def settings(settings: Settings, server: MailServer) -> Settings:
    smtp = SmtpDefaults(f"smtp://127.0.0.1:{server.port}?starttls=off", "sentinel@example.com")
    return replace(settings, smtp=smtp)


def test_an_address_and_a_list_are_reached_through_the_operators_server(
    app: Flask, client: Client, settings: Settings, clock: TestClock, server: MailServer
) -> None:
    made = client.post("/channels", json=TEAM)
    assert made.status_code == 201, made.text
    assert made.json["config"] == TEAM["config"]
    make_rule(client, RULE)
    post_event(client, amount=900)
    evaluate(clock())
    for notification in notifications():
        begun = begin_attempt(notification.id, settings, clock)
        assert isinstance(begun, Sending)
        assert delivery.send(begun, runtime().transport).outcome is Outcome.DELIVERED
        shown = previews.preview(session(), settings, notification)
        assert str(server.port) not in str(shown)
    assert sorted(taken.to for taken in server.taken) == [
        ["a@example.com", "b@example.com"],
        ["ops@example.com"],
    ]


def test_one_whose_mailbox_is_full_keeps_an_alert_from_the_others_for_some_minutes_only(
    app: Flask, client: Client, settings: Settings, clock: TestClock, server: MailServer
) -> None:
    server.answers = {"a@example.com": "452 4.2.2 mailbox full"}
    client.post("/channels", json=TEAM)
    make_rule(client, 'when amount > 500 then notify("email:team")')
    post_event(client, amount=900)
    evaluate(clock())
    [notification] = notifications()
    began = clock()
    while not server.taken:
        begun = begin_attempt(notification.id, settings, clock)
        assert isinstance(begun, Sending)
        verdict = delivery.send(begun, runtime().transport)
        result = end_attempt(begun, clock, verdict, settings.retry, settings.receivers)
        assert result is not None
        clock.tick(result.retry_in or 0)
    assert [taken.to for taken in server.taken] == [["b@example.com"]]
    assert timedelta(minutes=5) < clock() - began < timedelta(minutes=10)
    [ended] = notifications()
    assert ended.status == Status.SENT


def test_a_list_is_not_called_as_an_address_whose_receiver_is_everybodys(client: Client) -> None:
    made = client.post("/channels", json=TEAM | {"name": "a@example.com"})
    assert made.status_code == 422
    [error] = made.json["errors"]
    assert (error["pointer"], error["code"]) == ("/name", "name_is_address")


def test_without_a_server_a_rule_and_a_channel_are_told_what_to_set(
    app: Flask, settings: Settings, client: Client
) -> None:
    bare = replace(settings, smtp=SmtpDefaults())
    found = channels.destinations(session(), bare, ["email:ops@example.com"])
    assert "SMTP_URL" in str(found["email:ops@example.com"].problem)
    made = client.post("/channels", json=TEAM)
    row = channels.find(session(), made.json["name"])
    assert "SMTP_URL" in str(channels.open_row(bare, row).problem)
