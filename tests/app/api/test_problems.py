"""Every problem's `type` points to a page that explains it."""

import json
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from app.api import server
from app.api.kinds import KINDS, NOTHING_MORE, Kind, type_of
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
