"""Every problem's `type` points to a page that explains it."""

import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any, cast

import psycopg
import pytest
from sqlalchemy import Connection, event

from app.api import server
from app.api.kinds import KINDS, NOTHING_MORE, Kind, type_of
from app.extensions import db
from tests.app.client import Client
from tests.app.helpers import make_rule

PAGE = (Path(__file__).parents[3] / "docs" / "problems.md").read_text(encoding="utf-8")
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def shown() -> dict[str, str]:
    """The sections of the documentation's page by their slugs."""
    sections = [part.partition("\n") for part in PAGE.split("\n## ")[1:]]
    return {slug: " ".join(text.split()) for slug, _, text in sections}


def test_the_documentation_has_a_section_for_each_kind_and_no_other(shown: dict[str, str]) -> None:
    assert list(shown) == [kind.slug for kind in KINDS]
    for kind in KINDS:
        assert shown[kind.slug] == f"{kind.status.value}. {kind.meaning} What to do: {kind.remedy}"


def test_each_type_is_a_page_of_the_instance_with_its_section(client: Client) -> None:
    for kind in KINDS:
        page = client.get(kind.type)
        assert page.status_code == 200
        assert f'id="{kind.type.partition("#")[2]}"' in page.text
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]


def test_no_two_kinds_share_a_slug_or_a_status() -> None:
    assert len({kind.slug for kind in KINDS}) == len({kind.status for kind in KINDS}) == len(KINDS)


@pytest.mark.parametrize(
    ("method", "path", "more", "slug"),
    [
        ("POST", "/events", {"data": b"{", "headers": JSON}, "bad-request"),
        ("GET", "/nonsense", {}, "not-found"),
        ("GET", "/alerts/01a20991-cc19-714b-b1de-3c65f67f389a", {}, "not-found"),
        ("DELETE", "/events", {}, "method-not-allowed"),
        ("POST", "/rules", {"json": {"name": "Orders", "dsl": "when a then x"}}, "invalid"),
        ("GET", "/events?limit=0", {}, "invalid"),
        ("POST", "/events", {"data": b"x" * 262_145, "headers": JSON}, "too-large"),
        ("POST", "/events", {"data": b"{}"}, "unsupported-media-type"),
    ],
)
def test_what_is_refused_names_its_kind(
    client: Client, method: str, path: str, more: dict[str, Any], slug: str
) -> None:
    [kind] = [kind for kind in KINDS if kind.slug == slug]
    answer = client.open(path, method=method, **more)
    assert (answer.status_code, answer.json["type"]) == (kind.status, kind.type)


def test_what_somebody_else_changed_names_its_kind(client: Client) -> None:
    stale = client.delete(f"/rules/{make_rule(client)}", headers={"If-Match": '"0"'})
    assert stale.json["type"] == "/docs/problems#stale-version"


def test_what_never_reaches_the_application_names_its_kind_too() -> None:
    for status, _ in [*server.REFUSALS.values(), server.MALFORMED]:
        document = json.loads(server._problem(status, "").partition(b"\r\n\r\n")[2])
        assert document["type"] == type_of(status) != NOTHING_MORE


def test_a_status_without_a_kind_says_no_more_than_the_status() -> None:
    assert type_of(HTTPStatus.IM_A_TEAPOT) == NOTHING_MORE
    assert Kind("a", HTTPStatus.OK, "", "").type == "/docs/problems#a"


@pytest.fixture
def gone(client: Client) -> Iterator[None]:
    """Each statement fails on a connection that seems alive, and is cut when it is to be rolled back."""
    with changed("before_cursor_execute", _cancel), changed("rollback", _cut):
        yield


@contextmanager
def changed(name: str, change: Callable[..., Any]) -> Iterator[None]:
    """While this lasts `change` hears of such events of the engine's."""
    event.listen(db.engine, name, change, retval=name == "before_cursor_execute")
    try:
        yield
    finally:
        event.remove(db.engine, name, change)


def _cancel(*_: Any) -> tuple[str, tuple[()]]:
    return "SELECT pg_cancel_backend(pg_backend_pid())", ()


def _cut(connection: Connection) -> None:
    raw = cast("psycopg.Connection", connection.connection.dbapi_connection)
    with socket.socket(fileno=os.dup(raw.fileno())) as wire:
        wire.shutdown(socket.SHUT_RDWR)


@pytest.mark.usefixtures("gone")
@pytest.mark.parametrize("path", ["/rules", "/console/rules"])
def test_an_error_is_answered_where_not_even_a_rollback_comes_through(
    client: Client, path: str
) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.headers.get("Retry-After")) == (503, "2")


@pytest.mark.usefixtures("gone")
def test_readiness_is_told_where_not_even_a_rollback_comes_through(client: Client) -> None:
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json["components"]["database"]) == (503, "down")


def test_a_refusal_is_told_where_the_database_is_gone_before_it(client: Client) -> None:
    rule = make_rule(client)
    with changed("rollback", _cut):
        stale = client.delete(f"/rules/{rule}", headers={"If-Match": '"0"'})
    assert stale.json["type"] == "/docs/problems#stale-version"
    assert client.get(f"/rules/{rule}").status_code == 200
