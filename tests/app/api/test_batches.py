"""Many events in one body: NDJSON and JSON arrays."""

import json
import resource
import tracemalloc
from collections.abc import Iterator
from io import BytesIO
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select

from app.extensions import session
from app.models.events import Event, PendingEvent
from tests.app.client import Client
from tests.app.helpers import evaluate, make_rule, notifications
from tests.conftest import TestClock

NDJSON = {"Content-Type": "application/x-ndjson"}
JSON = {"Content-Type": "application/json"}
GOOD = [{"type": "order", "amount": number} for number in range(3)]


def ndjson(*events: object) -> bytes:
    return "\n".join(json.dumps(event) for event in events).encode()


def stored() -> list[Any]:
    return [event.body for event in session().scalars(select(Event).order_by(Event.id))]


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (ndjson(*GOOD), NDJSON),
        (ndjson(*GOOD) + b"\n", NDJSON),
        (b"\n\r\n" + ndjson(*GOOD).replace(b"\n", b"\r\n \n"), NDJSON),
        (json.dumps(GOOD).encode(), JSON),
        (b" \n" + json.dumps(GOOD, indent=2).encode() + b"\n ", JSON),
    ],
)
def test_every_event_of_a_batch_is_stored_and_waits_in_its_order(
    client: Client, body: bytes, headers: dict[str, str]
) -> None:
    answer = client.post("/events", data=body, headers=headers)
    assert answer.status_code == 202, answer.text
    assert answer.json["accepted"] == 3
    assert (answer.json["rejected"], answer.json["errors"]) == (0, [])
    assert stored() == GOOD
    ids = [str(key) for key in session().scalars(select(Event.id).order_by(Event.id))]
    assert answer.json["ids"] == ids
    waiting = session().scalars(select(PendingEvent.event_id).order_by(PendingEvent.event_id))
    assert [str(key) for key in waiting] == ids


def test_a_batch_is_evaluated_as_its_events_would_be_one_by_one(
    client: Client, clock: TestClock
) -> None:
    make_rule(client)
    client.post("/events", data=ndjson({"type": "order", "amount": 750}, *GOOD), headers=NDJSON)
    evaluate(clock())
    assert len(notifications()) == 1


TEXT_WITH_EVERY_MARK = "a\\b\tc\nd\re\"f{}'g,\\N \u2028 \U0001f514"


@pytest.mark.parametrize("count", [1, 2])
def test_text_with_marks_of_copy_and_of_arrays_comes_back_as_it_was(
    client: Client, count: int
) -> None:
    events = [{"type": TEXT_WITH_EVERY_MARK, "x": [TEXT_WITH_EVERY_MARK]}] * count
    client.post("/events", data=ndjson(*events), headers=NDJSON)
    client.post("/events", json=events[0])
    assert stored() == events + events[:1]
    assert {event.type for event in session().scalars(select(Event))} == {TEXT_WITH_EVERY_MARK}


BAD_ITEMS = {
    "no JSON": (b"{", "bad_json", ""),
    "no object": (b"5", "no_object", ""),
    "an array": (b"[]", "no_object", ""),
    "no type": (b"{}", "bad_type", "/type"),
    "a wrong time": (b'{"type": "a", "time": "noon"}', "bad_time", "/time"),
    "the same key twice": (b'{"type": "a", "x": 1, "x": 2}', "duplicate_key", ""),
    "NaN": (b'{"type": "a", "x": NaN}', "bad_number", ""),
    "nested too deep": (b'{"type": "a", "x": ' + b"[" * 40 + b"]" * 40 + b"}", "too_deep", ""),
    "NUL": (b'{"type": "a", "x": "\\u0000"}', "bad_string", ""),
    "bad UTF-8": (b'{"type": "\xff"}', "bad_encoding", ""),
    "too large": (b'{"type": "a", "x": "' + b"y" * 262_144 + b'"}', "too_large", ""),
    "too many digits": (b'{"type": "a", "x": ' + b"9" * 5_000 + b"}", "bad_number", ""),
    "too many values": (b'{"type": "a", "x": [' + b"0," * 10_000 + b"0]}", "too_many_values", ""),
}
# In an array nobody knows where the next item begins after these.
ENDLESS = {"no JSON", "bad UTF-8"}


@pytest.mark.parametrize("name", BAD_ITEMS)
def test_a_bad_line_is_told_by_its_index_and_the_others_are_accepted(
    client: Client, name: str
) -> None:
    item, code, pointer = BAD_ITEMS[name]
    body = b'{"type": "first"}\n' + item + b'\n{"type": "last"}'
    answer = client.post("/events", data=body, headers=NDJSON)
    assert answer.status_code == 202, answer.text
    assert (answer.json["accepted"], answer.json["rejected"]) == (2, 1)
    (error,) = answer.json["errors"]
    assert (error["index"], error["code"], error["pointer"]) == (1, code, pointer)
    assert [event["type"] for event in stored()] == ["first", "last"]


@pytest.mark.parametrize("name", sorted(set(BAD_ITEMS) - ENDLESS))
def test_a_bad_item_of_an_array_is_told_by_its_index(client: Client, name: str) -> None:
    item, code, pointer = BAD_ITEMS[name]
    body = b'[{"type": "first"},' + item + b',{"type": "last"}]'
    answer = client.post("/events", data=body, headers=JSON)
    assert answer.status_code == 202, answer.text
    (error,) = answer.json["errors"]
    assert (error["index"], error["code"], error["pointer"]) == (1, code, pointer)
    assert [event["type"] for event in stored()] == ["first", "last"]


@pytest.mark.parametrize(
    "body",
    [
        b'[{"type": "a"}',
        b'[{"type": "a"},]',
        b'[{"type": "a"} {"type": "b"}]',
        b'[{"type": "a"}] x',
        b'[{"type": "a"}, {]',
        b"[" * 100_000,
        b'[{"type": "a"}, "\xff"]',
        b'[{"type": "a"}, {"x": "' + b"y" * 600_000 + b'", no}]',
        b'[{"type": "a"}, [' + b"[]," * 200_000 + b"]]",
    ],
)
def test_of_an_array_that_is_no_json_nothing_is_stored(client: Client, body: bytes) -> None:
    answer = client.post("/events", data=body, headers=JSON)
    assert answer.status_code == 400, answer.text
    assert session().scalar(select(func.count()).select_from(Event)) == 0


@pytest.mark.parametrize(
    ("body", "headers", "codes"),
    [
        (b"", NDJSON, ["empty_batch"]),
        (b"\n \n", NDJSON, ["empty_batch"]),
        (b"[ ]", JSON, ["empty_batch"]),
        (b"{}\n5", NDJSON, ["bad_type", "no_object"]),
    ],
)
def test_a_batch_without_any_good_event_is_refused(
    client: Client, body: bytes, headers: dict[str, str], codes: list[str]
) -> None:
    answer = client.post("/events", data=body, headers=headers)
    assert answer.status_code == 422
    assert [error["code"] for error in answer.json["errors"]] == codes


def test_a_batch_over_the_limit_is_413(client: Client) -> None:
    body = b'{"type": "a"}\n' * (16 * 1024 * 1024 // 14 + 1)
    assert client.post("/events", data=body, headers=NDJSON).status_code == 413


def test_of_very_many_bad_items_the_first_thousand_are_told(client: Client) -> None:
    answer = client.post("/events", data=b'{"type": "a"}\n' + b"5\n" * 1500, headers=NDJSON)
    assert (answer.json["accepted"], answer.json["rejected"]) == (1, 1500)
    assert len(answer.json["errors"]) == 1000


def test_a_batch_with_the_same_idempotency_key_gets_the_first_answer_again(client: Client) -> None:
    body = ndjson(*GOOD, {})
    first, again = (
        client.post("/events", data=body, headers=NDJSON | {"Idempotency-Key": "k1"})
        for _ in range(2)
    )
    assert first.status_code == again.status_code == 202
    assert again.json == first.json
    assert len(stored()) == 3


def test_an_idempotency_key_is_not_shared_by_one_event_and_a_batch(client: Client) -> None:
    key = {"Idempotency-Key": "k1"}
    client.post("/events", data=b'{"type": "a"}', headers=JSON | key)
    answer = client.post("/events", data=b'{"type": "a"}', headers=NDJSON | key)
    assert answer.status_code == 422
    assert answer.json["errors"][0]["code"] == "idempotency_key_reused"


def test_a_refused_batch_does_not_use_up_its_idempotency_key(client: Client) -> None:
    key = {"Idempotency-Key": "k1"}
    assert client.post("/events", data=b"5", headers=NDJSON | key).status_code == 422
    assert client.post("/events", data=ndjson(*GOOD), headers=NDJSON | key).status_code == 202


def test_a_large_batch_is_published_in_chunks_and_counted(client: Client) -> None:
    answer = client.post("/events", data=b'{"type": "a"}\n' * 1201, headers=NDJSON)
    assert len({UUID(key) for key in answer.json["ids"]}) == 1201
    metrics = client.get("/metrics").text
    assert 'events_ingested_total{outcome="accepted",source="http"} 1201.0' in metrics


LARGE = b'{"type": "a", "x": "%s"}' % (b"y" * 65_000)
LARGE_BATCHES = {
    "NDJSON": (b"\n".join([LARGE] * 250), NDJSON),
    "an array": (b"[" + b",".join([LARGE] * 250) + b"]", JSON),
}


@pytest.mark.parametrize("name", LARGE_BATCHES)
def test_of_a_large_batch_only_a_part_is_in_memory(client: Client, name: str) -> None:
    body, headers = LARGE_BATCHES[name]
    given = {"input_stream": BytesIO(body), "content_length": len(body)}
    tracemalloc.start()
    answer = client.post("/events", **given, headers=headers | {"Idempotency-Key": "k1"})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert answer.json["accepted"] == 250
    assert peak < len(body) / 2


def test_an_item_without_end_is_not_kept_in_memory(client: Client) -> None:
    body = b'[{"type": "a"}, [[' + b"[]," * 500_000 + b"[]]]]"
    given = {"input_stream": BytesIO(body), "content_length": len(body)}
    tracemalloc.start()
    answer = client.post("/events", **given, headers=JSON)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [error["code"] for error in answer.json["errors"]] == ["too_large"]
    # Decoded it would take 40 MB.
    assert peak < 24 * 1024 * 1024


WIDE = '{"type": "a", "x": "%s"}'


@pytest.mark.parametrize("more", [0, 1])
def test_an_event_may_be_as_long_in_an_array_as_on_a_line(client: Client, more: int) -> None:
    event = (WIDE % ("\U0001f514" * 65_530 + "y" * (2 + more))).encode()
    assert len(event) == 262_144 + more
    for body, headers in ((b"[%s, {}, 5]" % event, JSON), (b"%s\n{}\n5" % event, NDJSON)):
        answer = client.post("/events", data=body, headers=headers)
        errors = answer.json["errors"]
        assert [one["index"] for one in errors] == ([0, 1, 2] if more else [1, 2]), answer.text
        assert (errors[0]["code"] == "too_large") == bool(more)


@pytest.mark.parametrize("more", [0, 1])
@pytest.mark.parametrize("before", [b"", b" " * 131_070 + b"\n"])
def test_what_ends_a_line_is_no_part_of_its_event(client: Client, before: bytes, more: int) -> None:
    # The second beginning has a piece end between the two letters that end the line.
    line = (WIDE % ("y" * (262_144 + more - len(WIDE % "")))).encode()
    answer = client.post(
        "/events", data=b'%s%s\r\n{"type": "b"}\r\n' % (before, line), headers=NDJSON
    )
    assert (answer.json["accepted"], answer.json["rejected"]) == (2 - more, more), answer.text


def test_a_line_without_end_is_one_bad_item(client: Client) -> None:
    body = b'{"type": "a"}\n' + b"x" * 700_000 + b'\n{"type": "b"}\n' + b" " * 700_000
    answer = client.post("/events", data=body, headers=NDJSON)
    assert (answer.json["accepted"], answer.json["rejected"]) == (2, 1)
    assert [(one["index"], one["code"]) for one in answer.json["errors"]] == [(1, "too_large")]


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file of this process grows beyond a MiB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024 * 1024, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("small_files")
def test_a_batch_that_there_is_no_room_for_is_503(client: Client) -> None:
    answer = client.post("/events", data=LARGE_BATCHES["NDJSON"][0], headers=NDJSON)
    assert (answer.status_code, answer.content_type) == (503, "application/problem+json")
    assert answer.headers["Retry-After"] == "5"
    assert stored() == []


def test_a_large_event_after_much_space_is_413_and_a_small_one_too(client: Client) -> None:
    for event in (LARGE * 5, b'{"type": "a"}'):
        answer = client.post("/events", data=b" " * 300_000 + event, headers=JSON)
        assert answer.status_code == 413
