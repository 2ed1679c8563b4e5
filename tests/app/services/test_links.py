"""Messages lead back to the console, where somebody has said by which address people call it."""

from dataclasses import replace
from uuid import UUID

import pytest

from app.config import Settings
from app.extensions import session
from app.models.alerts import Alert
from app.models.notifications import Notification
from app.services import channel_tests, channels, previews
from app.services.delivery import Sending
from tests.app.client import Client
from tests.app.helpers import begin_attempt, evaluate, make_rule, post_event
from tests.conftest import TestClock

BASE = "https://sentinel.example.com/on"


@pytest.fixture
def made(client: Client, clock: TestClock) -> UUID:
    """A notification that waits."""
    make_rule(client, 'when type == "order" then notify("webhook:https://erp.example/hook")')
    post_event(client)
    [made] = evaluate(clock()).notification_ids
    return made


def test_a_message_leads_to_the_page_of_its_alert_and_shows_where_before_it_is_sent(
    client: Client, made: UUID, settings: Settings, clock: TestClock
) -> None:
    told = replace(settings, public_url=BASE)
    alert = session().query(Alert).one()
    page = f"/console/alerts/{alert.id}"
    shown = previews.preview(session(), told, session().get_one(Notification, made))
    begun = begin_attempt(made, told, clock)
    assert isinstance(begun, Sending)
    assert begun.notice.url == shown.notice.url == BASE + page
    assert client.get(page).status_code == 200


def test_without_an_address_there_is_no_link(
    made: UUID, settings: Settings, clock: TestClock
) -> None:
    begun = begin_attempt(made, settings, clock)
    assert isinstance(begun, Sending)
    assert begun.notice.url is None


def test_the_test_of_a_channel_leads_to_the_console(
    client: Client, settings: Settings, clock: TestClock
) -> None:
    made = {"name": "erp", "kind": "webhook", "config": {"url": "https://erp.example/hook"}}
    assert client.post("/channels", json=made).status_code == 201
    trial = channel_tests.create(session(), channels.find(session(), "erp"), clock())
    begun = channel_tests.begin(session(), trial.id, replace(settings, public_url=BASE), clock())
    assert begun is not None
    assert begun.notice.url == f"{BASE}/"
