"""CloudEvents at the door, as their own SDK writes them."""

from datetime import UTC, datetime
from typing import Any

import pytest
from cloudevents.core.bindings.http import HTTPMessage, to_binary_event, to_structured_event
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from sqlalchemy import select

from app.extensions import session
from app.models.events import Event
from tests.app.client import Answer, Client

TIME = datetime(2026, 3, 1, 11, 58, 30, 250000, tzinfo=UTC)
BATCH = {"Content-Type": "application/cloudevents-batch+json"}


def made(number: int = 1, data: Any = None, **more: Any) -> CloudEvent:
    attributes = {"id": str(number), "source": "/shop", "type": "com.example.order", "time": TIME}
    attributes |= {"specversion": "1.0", "datacontenttype": "application/json"}
    return CloudEvent(attributes=attributes | more, data={"amount": 750} if data is None else data)


def send(client: Client, message: HTTPMessage) -> Answer:
    return client.post("/events", data=message.body, headers=dict(message.headers))


def stored() -> list[Event]:
    session().rollback()
    return list(session().scalars(select(Event).order_by(Event.id)))


def batch_of(*events: CloudEvent) -> bytes:
    return b"[" + b",".join(JSONFormat().write(event) for event in events) + b"]"


@pytest.mark.parametrize("write", [to_binary_event, to_structured_event])
def test_an_event_is_the_same_whichever_way_it_is_sent(client: Client, write: Any) -> None:
    answer = send(client, write(made(subject="Žluťoučký kůň 50%", traceparent="00-1")))
    assert answer.status_code == 202, answer.text
    [event] = stored()
    assert answer.json["id"] == str(event.id)
    assert answer.headers["Location"] == f"/events/{event.id}"
    assert (event.type, event.occurred_at) == ("com.example.order", TIME)
    assert event.body == {
        "specversion": "1.0",
        "id": "1",
        "source": "/shop",
        "type": "com.example.order",
        "time": "2026-03-01T11:58:30.250000Z",
        "datacontenttype": "application/json",
        "subject": "Žluťoučký kůň 50%",
        "traceparent": "00-1",
        "data": {"amount": 750},
    }


@pytest.mark.parametrize("write", [to_binary_event, to_structured_event])
@pytest.mark.parametrize(
    ("type_", "data", "member"),
    [
        ("text/plain", "an ö", {"data": "an ö"}),
        ("application/octet-stream", b"\xff\0", {"data_base64": "/wA="}),
    ],
)
def test_data_may_be_a_text_or_bytes(
    client: Client, write: Any, type_: str, data: Any, member: dict[str, str]
) -> None:
    answer = send(client, write(made(data=data, datacontenttype=type_)))
    assert answer.status_code == 202, answer.text
    [event] = stored()
    assert {**event.body, **member} == event.body


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ('"/shop"', "/shop"),
        (r'"/sh\op\\ \"a\""', '/shop\\ "a"'),
        ('"Euro%20%E2%82%AC"', "Euro \u20ac"),
        ("%22/shop%22", '"/shop"'),
        ('"/shop', '"/shop'),
        ('/"shop"', '/"shop"'),
        ('"a" "b"', '"a" "b"'),
        ('""/', '""/'),
    ],
)
def test_a_quoted_header_says_what_is_in_the_quotes(client: Client, sent: str, read: str) -> None:
    message = to_binary_event(made())
    headers = {**message.headers, "ce-source": sent}
    answer = client.post("/events", data=message.body, headers=headers)
    assert answer.status_code == 202, answer.text
    assert stored()[0].body["source"] == read


def test_an_event_that_comes_again_in_another_way_is_stored_once(client: Client) -> None:
    first = send(client, to_binary_event(made()))
    again = send(client, to_structured_event(made()))
    assert (first.json["duplicate"], again.json["duplicate"]) == (False, True)
    assert again.json["id"] == first.json["id"]
    batch = client.post("/events", data=batch_of(made(2), made(1), made(2)), headers=BATCH)
    second = batch.json["ids"][0]
    assert batch.json["ids"] == [second, first.json["id"], second]
    assert send(client, to_binary_event(made(1, source="/other"))).json["duplicate"] is False
    assert sorted(event.body["id"] for event in stored()) == ["1", "1", "2"]


@pytest.mark.parametrize("said", ["reply", "respond-async, Reply; foo=1"])
def test_who_takes_a_body_for_an_event_in_reply_is_answered_without_one(
    client: Client, said: str
) -> None:
    message = to_binary_event(made())
    for _ in range(2):
        headers = {**message.headers, "Prefer": said}
        answer = client.post("/events", data=message.body, headers=headers)
        assert (answer.status_code, answer.text) == (202, "")
        [event] = stored()
        assert answer.headers["Location"] == f"/events/{event.id}"
    bad = client.post("/events", headers={"ce-id": "1", "Prefer": said})
    assert (bad.status_code, bad.content_type) == (422, "application/problem+json")


def test_a_batch_keeps_the_good_ones_and_tells_the_bad(client: Client) -> None:
    raw = batch_of(made(1), made(2)).replace(b'"id": "2"', b'"id": ""')
    assert b'"id": ""' in raw
    answer = client.post("/events", data=raw, headers=BATCH)
    assert (answer.status_code, answer.json["accepted"], answer.json["rejected"]) == (202, 1, 1)
    assert [(one["index"], one["pointer"]) for one in answer.json["errors"]] == [(1, "/id")]


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        (BATCH, b"[]", 422),
        (BATCH, b"[{}]", 422),
        (BATCH, b"{}", 400),
        ({"Content-Type": "application/cloudevents+xml"}, b"<event/>", 422),
        ({"Content-Type": "application/cloudevents+json"}, b'{"type": "a"}', 422),
        ({"ce-id": "1"}, b"", 422),
        ({"ce-id": "1", "Content-Encoding": "gzip"}, b"", 415),
        ({"ce-id": "1"}, b" " * (256 * 1024 + 1), 413),
        ({"ce-id": "%ff", "ce-type": "a"}, b"", 422),
    ],
)
def test_what_says_that_it_is_one_must_be_one(
    client: Client, headers: dict[str, str], body: bytes, status: int
) -> None:
    answer = client.post("/events", data=body, headers=headers)
    assert (answer.status_code, answer.content_type) == (status, "application/problem+json")
    assert stored() == []


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_an_idempotency_key_has_no_say_but_must_be_one(client: Client, key: str) -> None:
    message = to_structured_event(made())
    headers = {**message.headers, "Idempotency-Key": key}
    answer = client.post("/events", data=message.body, headers=headers)
    assert (answer.status_code, answer.json["errors"][0]["code"]) == (422, "bad_idempotency_key")
    assert stored() == []
