"""Channels that Sentinel switches off: since the receiver is gone, or has failed for too long."""

from sqlalchemy import select

from app.config import Settings
from app.extensions import session
from app.models.channels import ChannelRow
from app.models.events import Event, PendingEvent
from app.models.notifications import Status
from app.services import delivery, outcomes
from app.services.delivery import Sending
from tests.app.client import Client
from tests.app.helpers import begin_attempt as begin
from tests.app.helpers import evaluate, make_rule, notifications
from tests.app.services.receiving import BUSY, CARE, GONE, URL, due, finish, make_channel, view
from tests.conftest import TestClock


def channel_events() -> list[Event]:
    query = select(Event).where(Event.type == outcomes.CHANNEL_DISABLED)
    return list(session().scalars(query))


def test_a_channel_that_is_gone_is_disabled_with_an_event_that_rules_can_hear(
    client: Client, settings: Settings, clock: TestClock
) -> None:
    make_channel(client)
    first, second = due(client, clock, 2)
    result = finish(begin(first, settings, clock), clock, GONE)
    [event] = channel_events()
    assert result.event_id == event.id
    assert (event.source, event.body["channel"], event.body["reason"]) == (
        "sentinel",
        "webhook:erp",
        "HTTP 410",
    )
    assert session().get(PendingEvent, event.id) is not None
    shown = client.get("/channels/erp").json
    assert (shown["enabled"], shown["disabled_reason"]) == (False, "HTTP 410")
    told = client.get("/metrics").text
    assert "sentinel_channels_disabled 1" in told
    assert "sentinel_channels_given_up 1" in told
    waiting = begin(second, settings, clock)
    assert isinstance(waiting, Sending)
    verdict = delivery.send(waiting, None)  # type: ignore[arg-type]  # nothing may be sent
    finish(waiting, clock, verdict)
    assert [row.reason for row in notifications()] == ["HTTP 410", "channel_disabled"]


def test_the_log_says_that_sentinel_has_switched_the_channel_off(
    client: Client, settings: Settings, clock: TestClock
) -> None:
    make_channel(client)
    [key] = due(client, clock)
    finish(begin(key, settings, clock), clock, GONE)
    entry = client.get("/audit").json["data"][0]
    assert (entry["actor"], entry["action"], entry["object_name"]) == (
        "sentinel: receiver gone",
        "channel.disable",
        "erp",
    )
    assert entry["object_id"] == client.get("/channels/erp").json["id"]
    [change] = entry["changes"]
    assert change["fields"]["enabled"] == {"old": True, "new": False}
    assert change["fields"]["disabled_reason"]["new"] == "HTTP 410"


def test_a_channel_that_was_changed_meanwhile_is_not_disabled_for_what_it_was(
    client: Client, settings: Settings, clock: TestClock
) -> None:
    make_channel(client)
    old, new = due(client, clock, 2)
    begun = begin(old, settings, clock)
    changed = client.patch("/channels/erp", json={"config": {"url": f"{URL}/new"}})
    assert changed.status_code == 200
    result = finish(begun, clock, GONE)
    assert (result.status, result.event_id) == (Status.DEAD, None)
    assert client.get("/channels/erp").json["enabled"] is True
    finish(begin(new, settings, clock), clock, GONE)
    assert client.get("/channels/erp").json["enabled"] is False


def test_a_channel_that_would_hear_of_its_own_end_does_not_begin_a_loop(
    client: Client, settings: Settings, clock: TestClock
) -> None:
    make_channel(client)
    make_rule(
        client, f'when type == "{outcomes.CHANNEL_DISABLED}" then notify("webhook:erp")', "Meta"
    )
    [key] = due(client, clock)
    result = finish(begin(key, settings, clock), clock, GONE)
    assert result.event_id is not None
    [alert] = evaluate(clock(), [result.event_id]).notification_ids
    begun = begin(alert, settings, clock)
    assert isinstance(begun, Sending)
    last = finish(begun, clock, delivery.send(begun, None))  # type: ignore[arg-type]
    assert (last.status, last.event_id) == (Status.DEAD, None)
    assert len(channel_events()) == 1


def test_a_channel_that_fails_for_longer_than_allowed_is_disabled(
    client: Client, settings: Settings, clock: TestClock
) -> None:
    make_channel(client)
    keys = due(client, clock, 5)
    for key in keys[:3]:
        finish(begin(key, settings, clock), clock, BUSY)
    clock.tick(CARE.disable_after - 1)
    assert finish(begin(keys[3], settings, clock), clock, BUSY).event_id is None
    clock.tick(3600)
    assert finish(begin(keys[4], settings, clock), clock, BUSY).event_id is not None
    row = session().scalars(select(ChannelRow)).one()
    assert row.enabled is False
    assert row.disabled_reason == "failing since 2026-03-01 12:00 UTC: HTTP 503"
    assert client.patch("/channels/erp", json={"enabled": True}).json["disabled_reason"] is None
    assert view(client)["state"] == "well"
