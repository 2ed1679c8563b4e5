"""A CloudEvent is the same object to rules, whichever way it was sent."""

import json
from typing import Any

import pytest

from app.services import cloudevents
from app.services.errors import Refusal

BINARY: list[tuple[str, bytes | None]] = [
    ("ce_specversion", b"1.0"),
    ("ce_id", b"1"),
    ("ce_source", b"/shop"),
    ("ce_type", b"order"),
]
EVENT = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "order"}


def unwrap(headers: list[tuple[str, bytes | None]], raw: bytes) -> Any:
    text = cloudevents.unwrap(headers, raw, "ce_")
    return None if text is None else json.loads(text)


def refused(headers: list[tuple[str, bytes | None]], raw: bytes) -> str:
    with pytest.raises(Refusal) as caught:
        cloudevents.unwrap(headers, raw, "ce_")
    return caught.value.code


def test_headers_and_data_become_one_object() -> None:
    headers = [*BINARY, ("ce_traceparent", b"00-1"), ("content-type", b"application/json")]
    assert unwrap(headers, b'{"amount": 750}') == EVENT | {
        "traceparent": "00-1",
        "datacontenttype": "application/json",
        "data": {"amount": 750},
    }


def test_the_text_of_the_data_is_kept() -> None:
    text = cloudevents.unwrap(BINARY, b'{"n": 12345678901234567890.10, "a": 1e2}', "ce_")
    assert text is not None
    assert b'"data":{"n": 12345678901234567890.10, "a": 1e2}' in text


@pytest.mark.parametrize(
    ("content_type", "raw", "member"),
    [
        (b"application/vnd.shop+json; charset=utf-8", b"[1]", {"data": [1]}),
        (b"text/plain", 'ä "quoted"'.encode(), {"data": 'ä "quoted"'}),
        (b"application/octet-stream", b"\xff\x00", {"data_base64": "/wA="}),
        (b"application/json", b"", {}),
    ],
)
def test_data_is_json_a_text_or_bytes_by_its_content_type(
    content_type: bytes, raw: bytes, member: dict[str, Any]
) -> None:
    expected = EVENT | {"datacontenttype": content_type.decode()} | member
    assert unwrap([*BINARY, ("Content-Type", content_type)], raw) == expected


def test_a_message_whose_headers_speak_of_no_cloudevent_is_left_alone() -> None:
    assert unwrap([("content-type", b"application/json"), ("trace", b"\xff")], b"{}") is None


def test_a_structured_one_stays_as_it_is() -> None:
    raw = json.dumps(EVENT).encode()
    assert unwrap([("content-type", b"application/cloudevents+json; charset=UTF-8")], raw) == EVENT


@pytest.mark.parametrize(
    ("headers", "raw", "code"),
    [
        ([("content-type", b"application/cloudevents+avro")], b"{}", "bad_content_type"),
        ([*BINARY, ("ce_data", b"1")], b"{}", "no_cloudevent"),
        ([*BINARY, ("ce_Bad-Name", b"1")], b"{}", "no_cloudevent"),
        ([*BINARY, ("ce_subject", b"\xff")], b"{}", "bad_encoding"),
        (BINARY, b'1,"type":"other"', "bad_json"),
        (BINARY, b'{"a": NaN}', "bad_number"),
    ],
)
def test_what_cannot_be_put_together_is_refused(
    headers: list[tuple[str, bytes | None]], raw: bytes, code: str
) -> None:
    assert refused(headers, raw) == code


def test_an_attribute_that_comes_twice_comes_twice_in_the_object() -> None:
    text = cloudevents.unwrap([*BINARY, ("ce_id", b"2")], b"", "ce_")
    assert text is not None
    assert text.count(b'"id"') == 2


@pytest.mark.parametrize(
    ("event", "pointer"),
    [
        ({name: value for name, value in EVENT.items() if name != "id"}, "/id"),
        (EVENT | {"source": ""}, "/source"),
        (EVENT | {"type": 1}, "/type"),
        (EVENT | {"specversion": "0.3"}, "/specversion"),
        (EVENT | {"data": 1, "data_base64": "AA=="}, "/data_base64"),
        ([EVENT], ""),
    ],
)
def test_what_calls_itself_a_cloudevent_must_be_one(event: Any, pointer: str) -> None:
    with pytest.raises(Refusal) as caught:
        cloudevents.check(event)
    assert caught.value.pointer == pointer


def test_a_whole_one_passes() -> None:
    cloudevents.check(EVENT | {"data": {"amount": 750}, "traceparent": "00-1"})
