"""What comes in at `/events`, and what is kept out."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import cast
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import func, select

from app.extensions import session
from app.models.events import Event, PendingEvent
from tests.app.client import Client
from tests.app.helpers import evaluate, make_rule, post_event
from tests.conftest import TestClock

JSON = {"Content-Type": "application/json"}


def test_an_event_is_stored_and_waits_before_it_is_accepted(client: Client) -> None:
    answer = client.post("/events", json={"type": "order", "amount": 750})
    assert answer.status_code == 202
    body = answer.json
    assert answer.headers["Location"] == f"/events/{body['id']}" == body["links"]["self"]
    assert (body["status"], body["duplicate"]) == ("accepted", False)
    assert session().get_one(Event, UUID(body["id"])).body == {"type": "order", "amount": 750}
    assert session().get(PendingEvent, UUID(body["id"])) is not None
    assert client.get(body["links"]["self"]).json["state"] == "pending"


def test_an_events_own_time_is_kept_beside_the_time_of_acceptance(
    client: Client, clock: TestClock
) -> None:
    event_id = post_event(client, time="2026-02-28T23:00:00+02:00")
    found = client.get(f"/events/{event_id}").json
    assert found["occurred_at"].startswith("2026-02-28T21:00:00")
    assert found["accepted_at"].startswith("2026-03-01T12:00:00")


@pytest.mark.parametrize(
    "time",
    [
        "yesterday",
        "2026-02-28T23:00:00",
        5,
        "2026-13-01T00:00:00Z",
        [],
        "2026-W01-1T00:00Z",
        "2026-02-28T23:00:00+00:00:01.5",
    ],
)
def test_a_time_that_is_none_is_refused_at_its_place(client: Client, time: object) -> None:
    answer = client.post("/events", json={"type": "a", "time": time})
    assert answer.status_code == 422
    assert answer.json["errors"][0]["pointer"] == "/time"


NESTED = "[" * 33 + "]" * 33
BAD_BODIES = {
    "empty": (b"", 400),
    "cut off": (b'{"type": "a"', 400),
    "an array": (b"[]", 422),
    "a string": (b'"a"', 422),
    "null": (b"null", 422),
    "a number": (b"5", 422),
    "no type": (b"{}", 422),
    "an empty type": (b'{"type": ""}', 422),
    "a type that is no string": (b'{"type": 5}', 422),
    "a type of 201 letters": (json.dumps({"type": "a" * 201}).encode(), 422),
    "nested too deep": (f'{{"type": "a", "x": {NESTED}}}'.encode(), 400),
    "nested far too deep": (b'{"type": "a", "x": ' + b"[" * 100_000, 400),
    "too many values": (json.dumps({"type": "a", "x": [0] * 10_001}).encode(), 400),
    "an integer of 4,301 digits": (b'{"type": "a", "x": ' + b"1" * 4301 + b"}", 400),
    "1e400": (b'{"type": "a", "x": 1e400}', 400),
    "-1e400": (b'{"type": "a", "x": -1e400}', 400),
    "NaN": (b'{"type": "a", "x": NaN}', 400),
    "Infinity": (b'{"type": "a", "x": -Infinity}', 400),
    "duplicate keys": (b'{"type": "a", "x": 1, "x": 2}', 400),
    "duplicate keys below": (b'{"type": "a", "x": {"y": 1, "y": 2}}', 400),
    "NUL escaped": (b'{"type": "a", "x": "\\u0000"}', 400),
    "NUL in a key": (b'{"type": "a", "\\u0000": 1}', 400),
    "NUL raw": (b'{"type": "a", "x": "\0"}', 400),
    "a lone surrogate": (b'{"type": "a", "x": "\\ud800"}', 400),
    "a lone surrogate in a key": (b'{"type": "a", "\\udc00": 1}', 400),
    "bad UTF-8": (b'{"type": "a", "x": "\xff"}', 400),
    "an overlong slash": (b'{"type": "a", "x": "\xc0\xaf"}', 400),
    "UTF-16": ('{"type": "a"}'.encode("utf-16"), 400),
    "UTF-16 without a mark": ('{"type": "a"}'.encode("utf-16-le"), 400),
    "UTF-8 with a mark": (b'\xef\xbb\xbf{"type": "a"}', 400),
    "two values": (b'{"type": "a"}{"type": "b"}', 400),
    "a comment": (b'{"type": "a"} // x', 400),
}


@pytest.mark.parametrize("name", BAD_BODIES)
def test_a_bad_body_gets_a_problem_that_does_not_repeat_it(client: Client, name: str) -> None:
    body, status = BAD_BODIES[name]
    answer = client.post("/events", data=body, headers=JSON)
    assert answer.status_code == status, answer.text
    assert answer.content_type == "application/problem+json"
    problem = answer.json
    assert problem["status"] == status
    assert problem["request_id"] == answer.headers["X-Request-ID"]
    assert {"pointer", "detail", "code"} <= set(problem["errors"][0])
    assert len(answer.text) < 700
    assert session().scalar(select(func.count()).select_from(Event)) == 0


@pytest.mark.parametrize(
    "body",
    [
        b'{"type": "a", "x": ' + b"[" * 30 + b"]" * 30 + b"}",
        b'{"type": "a", "x": ' + b"9" * 4300 + b"}",
        b'{"type": "a", "x": 1.7976931348623157e308}',
        '{"type": "\U0001f514", "x": "\U0001f600 ok"}'.encode(),
        b'{"type": "a", "x": "\\ud83d\\ude00"}',
        b' \r\n{"type":"a"}\n',
    ],
)
def test_a_body_at_the_edge_of_what_is_allowed_is_accepted(client: Client, body: bytes) -> None:
    answer = client.post("/events", data=body, headers=JSON)
    assert answer.status_code == 202, answer.text
    sent = json.loads(body)
    assert client.get(answer.json["links"]["self"]).json["body"] == sent


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json; charset=utf-16"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
)
def test_anything_but_plain_json_is_415(client: Client, headers: dict[str, str]) -> None:
    answer = client.post("/events", data=b'{"type": "a"}', headers=headers)
    assert answer.status_code == 415
    assert answer.content_type == "application/problem+json"


def test_a_body_over_the_limit_is_413(client: Client) -> None:
    body = json.dumps({"type": "a", "x": "y" * 262_144}).encode()
    assert client.post("/events", data=body, headers=JSON).status_code == 413


def test_the_same_idempotency_key_and_body_get_the_first_answer_again(client: Client) -> None:
    first, again = (
        client.post("/events", json={"type": "a"}, headers={"Idempotency-Key": "k1"}).json
        for _ in range(2)
    )
    assert again == first | {"duplicate": True}
    assert session().scalar(select(func.count()).select_from(Event)) == 1


def test_an_idempotency_key_with_another_body_is_refused(client: Client) -> None:
    client.post("/events", json={"type": "a"}, headers={"Idempotency-Key": "k1"})
    answer = client.post("/events", json={"type": "b"}, headers={"Idempotency-Key": "k1"})
    assert answer.status_code == 422
    assert answer.json["errors"][0]["code"] == "idempotency_key_reused"


def test_a_hundred_parallel_posts_with_one_key_are_one_event(app: Flask) -> None:
    def send(_: int) -> tuple[int, str]:
        answer = cast(Client, app.test_client()).post(
            "/events", json={"type": "a"}, headers={"Idempotency-Key": "storm"}
        )
        return answer.status_code, answer.json["id"]

    with ThreadPoolExecutor(12) as pool:
        answers = set(pool.map(send, range(100)))
    assert len(answers) == 1
    assert session().scalar(select(func.count()).select_from(Event)) == 1


def test_events_are_listed_newest_first_in_pages(client: Client, clock: TestClock) -> None:
    ids = []
    for number in range(5):
        clock.tick(1)
        ids.append(str(post_event(client, number=number)))
    first = client.get("/events?limit=3").json
    second = client.get(f"/events?limit=3&after={first['next']}").json
    assert [e["id"] for e in first["data"] + second["data"]] == ids[::-1]
    assert second["next"] is None


def test_events_can_be_found_by_type_time_and_match(client: Client, clock: TestClock) -> None:
    make_rule(client)
    small = post_event(client, amount=1)
    clock.tick(60)
    large = post_event(client)
    clock.tick(60)
    other = post_event(client, type="ping")
    evaluate(clock())

    def found(query: str) -> list[str]:
        return [event["id"] for event in client.get(f"/events?{query}").json["data"]]

    assert found("type=order") == [str(large), str(small)]
    assert found("matched=true") == [str(large)]
    assert found("matched=false") == [str(other), str(small)]
    assert found("since=2026-03-01T12:00:30Z&until=2026-03-01T12:01:30Z") == [str(large)]


@pytest.mark.parametrize(
    "query",
    [
        "since=1969-12-31T23:59:59Z",
        "since=0001-01-01T00:00:00%2B23:59",
        "until=9999-12-31T23:59:59-23:59",
    ],
)
def test_a_time_that_no_key_can_hold_is_no_error(client: Client, query: str) -> None:
    post_event(client)
    assert len(client.get(f"/events?{query}").json["data"]) == 1


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("limit=0", "/query/limit"),
        ("limit=501", "/query/limit"),
        ("limit=x", "/query/limit"),
        ("after=!!", "/query/after"),
        ("after=AAAA", "/query/after"),
        ("since=yesterday", "/query/since"),
        ("type=%00", "/query/type"),
        ("colour=red", "/query/colour"),
    ],
)
def test_a_wrong_query_is_told_by_its_name(client: Client, query: str, pointer: str) -> None:
    answer = client.get(f"/events?{query}")
    assert answer.status_code == 422
    assert answer.json["errors"][0]["pointer"] == pointer


def test_what_is_not_there_is_404_and_a_wrong_method_405(client: Client) -> None:
    missing = client.get("/events/01a20991-cc19-714b-b1de-3c65f67f389a")
    assert (missing.status_code, missing.content_type) == (404, "application/problem+json")
    assert client.get("/events/nonsense").status_code == 404
    wrong = client.delete("/events")
    assert wrong.status_code == 405
    assert "POST" in wrong.headers["Allow"]


def test_a_foreign_host_name_is_refused(client: Client) -> None:
    answer = client.get("/events", headers={"Host": "evil.example"})
    assert answer.status_code == 400


@pytest.mark.parametrize("said", ["yesterday", "1700000000", "2026-01-31", "2026-01-31T09:00:00"])
def test_a_time_that_is_none_is_told_with_one_that_is(client: Client, said: str) -> None:
    told = "must be an RFC 3339 time with an offset, such as 2026-01-31T09:00:00Z"
    asked = client.get("/events", query_string={"since": said})
    assert (asked.status_code, asked.json["errors"][0]["detail"]) == (422, told)
    wish = {"condition": "a > 1", "ends_at": said}
    assert client.post("/silences", json=wish).json["errors"][0]["detail"] == told


def test_a_plus_in_an_address_is_a_space_and_the_answer_says_how_it_is_written(
    client: Client,
) -> None:
    asked = client.get("/events?since=2026-01-31T09:00:00+01:00")
    assert asked.status_code == 422
    assert asked.json["errors"][0]["detail"].endswith("; in an address a `+` is written `%2B`")
    assert client.get("/events?since=2026-01-31T09:00:00%2B01:00").status_code == 200
