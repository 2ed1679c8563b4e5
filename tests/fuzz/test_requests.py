"""Hypothesis: requests that no client library would send."""

import json
import socket
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.fuzz.conftest import Target, bounded
from tests.rules_dsl.strategies import conditions
from tests.rules_dsl.test_fuzz import PIECES

pytestmark = pytest.mark.acceptance

PATHS = (
    "/events",
    "/hooks/alertmanager",
    "/api/v2/alerts",
    "/rules",
    "/rules/validate",
    "/rules/test",
    "/channels",
    "/keys",
)
TYPES = (
    b"application/json",
    b"application/json; charset=utf-8",
    b"application/json; charset=utf-16",
    b"APPLICATION/JSON",
    b"application/x-ndjson",
    b"application/cloudevents+json",
    b"application/cloudevents-batch+json",
    b"text/plain",
    b"multipart/form-data; boundary=x",
    b"application/json; charset=\xff",
    b";",
    b"",
)
ODD = (
    b"",
    b"\x00",
    b"\xff\xfe{\x00}\x00",
    b'{"type":"\\ud800"}',
    b'{"type":"a","type":"b"}',
    b'{"type":"a","n":1e400}',
    b'{"type":"a","n":NaN}',
    b'{"type":"a","n":' + b"9" * 5000 + b"}",
    b'{"type":"a","n":-0.0,"m":1e-400}',
    b"[" * 100_000,
    b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    b'{"type":"\\u0000"}',
    b'{"type":"\xed\xa0\x80"}',
    b"\xef\xbb\xbf{}",
)
texts = st.text(st.characters(exclude_categories=()), max_size=30)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda below: st.lists(below, max_size=5) | st.dictionaries(texts, below, max_size=5),
    max_leaves=30,
)
FIELDS = (
    "type",
    "name",
    "dsl",
    "enabled",
    "mode",
    "noise_budget",
    "tags",
    "kind",
    "config",
    "scopes",
    "event",
    "time",
)
objects = st.dictionaries(st.sampled_from(FIELDS) | texts, values, max_size=8)
bodies = st.one_of(
    st.binary(max_size=200),
    st.sampled_from(ODD),
    values.map(lambda value: json.dumps(value).encode()),
    objects.map(lambda value: json.dumps(value).encode()),
)
header_values = st.binary(max_size=60).map(lambda raw: raw.replace(b"\n", b"").replace(b"\r", b""))
NAMES = (
    *(b"Idempotency-Key", b"If-Match", b"X-Request-ID", b"Content-Encoding", b"Accept", b"Cookie"),
    *(b"X-Forwarded-For", b"Forwarded", b"Range", b"Expect", b"Transfer-Encoding", b"ce-id"),
)
headers = st.lists(st.tuples(st.sampled_from(NAMES), header_values), max_size=3)


def send(target: Target, request: bytes) -> tuple[int, str, bytes]:
    """Status, content type and body of the answer to raw bytes."""
    with socket.create_connection(("127.0.0.1", target.port), timeout=30) as line:
        line.sendall(request)
        # It may have answered and hung up before it heard all.
        with suppress(OSError):
            line.shutdown(socket.SHUT_WR)
        pieces = []
        while piece := line.recv(65_536):
            pieces.append(piece)
    answer = b"".join(pieces)
    assert answer, ("no answer", request)
    head, _, body = answer.partition(b"\r\n\r\n")
    kinds = [
        row[13:].strip() for row in head.split(b"\r\n") if row.lower().startswith(b"content-type")
    ]
    return int(answer.split(b" ", 2)[1]), kinds[0].decode() if kinds else "", body


def head(target: Target, method: bytes, path: bytes, *rows: bytes) -> bytes:
    given_rows = (b"Host: localhost", b"Authorization: Bearer " + target.key.encode(), *rows)
    return b"\r\n".join(
        [method + b" " + path + b" HTTP/1.1", *given_rows, b"Connection: close", b"", b""]
    )


@bounded
@given(st.sampled_from(PATHS), st.sampled_from(TYPES), bodies, headers)
@example("/events", TYPES[0], b'{"type":"a"}', [(b"Idempotency-Key", b"\xff")])
@example("/events", TYPES[0], b'{"type":"a"}', [(b"Expect", b"100-continue")])
def test_no_body_and_no_header_makes_a_5xx(
    target: Target, path: str, kind: bytes, body: bytes, rows: list[tuple[bytes, bytes]]
) -> None:
    given_rows = [name + b": " + value for name, value in rows]
    length = b"Content-Length: %d" % len(body)
    start = head(target, b"POST", path.encode(), b"Content-Type: " + kind, length, *given_rows)
    status, content_type, answer = send(target, start + body)
    if status == 501:
        assert any(name == b"Transfer-Encoding" for name, _ in rows)
        return
    if answer.startswith(b"HTTP/1.1 "):
        # 100 Continue, and then the answer.
        return
    target.judge((path, kind, body, rows), status, content_type, answer)


@bounded
@given(
    st.sampled_from((b"/events", b"/rules", b"/audit", b"/notifications", b"/channels")),
    st.binary(max_size=60).map(lambda raw: raw.translate(None, b" \r\n\x00")),
)
@example(b"/events", b"?since=0001-01-01T00:00:00%2B14:00")
@example(b"/events", b"?after=AAAAAAAAAAAAAAAAAAAAAA&limit=500")
@example(b"/rules", b"/%00")
@example(b"/channels", b"/%ff")
@example(b"/channels", b"/a%00b")
@example(b"/notifications", b"?channel=%00")
def test_no_path_and_no_query_makes_a_5xx(target: Target, path: bytes, tail: bytes) -> None:
    status, content_type, answer = send(target, head(target, b"GET", path + tail))
    if status not in (301, 308):
        target.judge((path, tail), status, content_type, answer)


written = st.lists(st.sampled_from(PIECES), max_size=25).map(" ".join)
sentences = st.one_of(
    texts,
    written,
    written.map(lambda text: f'when {text} then notify("slack:#a")'),
    conditions().map(lambda tree: f'when {tree} then notify("slack:#a")'),
)


@bounded
@given(st.sampled_from(("/rules", "/rules/validate", "/rules/test")), sentences, objects)
def test_no_sentence_makes_a_5xx(
    target: Target, path: str, dsl: str, event: dict[str, Any]
) -> None:
    fields: dict[str, Any] = {"dsl": dsl}
    if path == "/rules/test":
        fields["event"] = event
    if path == "/rules":
        fields["name"] = "fuzz"
    body = json.dumps(fields).encode()
    rows = (b"Content-Type: application/json", b"Content-Length: %d" % len(body))
    status, content_type, answer = send(target, head(target, b"POST", path.encode(), *rows) + body)
    target.judge((path, dsl, event), status, content_type, answer)
