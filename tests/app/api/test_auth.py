"""Who may call what: every operation of the OpenAPI document against every kind of caller."""

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from typing import cast
from uuid import uuid4

import pytest
from flask import Flask

from app.api.acceptance import group
from app.config import Rates, Settings
from app.extensions import session
from app.services import keys, sessions
from tests.app.client import Client
from tests.app.openapi import operations, scope_of
from tests.conftest import TestClock

# A hook's signature is its credential: tests/app/api/test_hooks.py.
OPEN = {("get", "/healthz"), ("get", "/readyz"), ("post", "/hooks/{source}")}
ALLOWS = {
    "ingest": {"ingest"},
    "read": {"read"},
    "write": {"read", "write"},
    "admin": {"ingest", "read", "write", "admin"},
}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    without_limits = Rates(calls=None, ingest=None, failures=None)
    return replace(settings, auth="keys", inbox=False, rates=without_limits)


@pytest.fixture
def callers(app: Flask, clock: TestClock) -> dict[str, dict[str, str]]:
    """The headers of each kind of caller."""
    made = {"none": {}, "bad": {"Authorization": "Bearer snt_" + "x" * 43}}
    made["basic"] = {"Authorization": "Basic dTpw"}
    for scope in keys.SCOPES:
        _, text = keys.create(session(), scope, [scope], clock())
        made[scope] = {"Authorization": f"Bearer {text}"}
    revoked, text = keys.create(session(), "revoked", ["admin"], clock())
    keys.revoke(session(), revoked.id, clock())
    made["revoked"] = {"Authorization": f"Bearer {text}"}
    _, text = keys.create(session(), "operator", ["admin"], clock())
    token = sessions.sign_in(session(), text, clock())
    made["console session"] = {"Cookie": f"sentinel={token}"}
    session().commit()
    return made


def test_every_operation_lets_in_exactly_whom_its_scope_allows(
    client: Client, callers: dict[str, dict[str, str]]
) -> None:
    seen = set()
    for method, path, operation in operations(client):
        url = re.sub(r"\{[^}]+\}", str(uuid4()), path)
        for name, headers in callers.items():
            answer = client.open(url, method=method.upper(), headers=headers)
            told = f"{method} {path} as {name}: {answer.status_code}"
            if (method, path) in OPEN:
                assert answer.status_code not in (401, 403), told
                continue
            scope = scope_of(operation)
            assert scope is not None, f"{told}; it asks for no scope"
            seen.add(scope)
            if name not in ALLOWS:
                assert answer.status_code == 401, told
                assert answer.headers["WWW-Authenticate"].lower().startswith("bearer")
            elif scope in ALLOWS[name]:
                assert answer.status_code not in (401, 403), told
            else:
                assert answer.status_code == 403, told
    assert seen == set(keys.SCOPES)


def test_more_callers_than_there_are_connections_are_all_heard_at_once(
    app: Flask, callers: dict[str, dict[str, str]]
) -> None:
    many, rounds = 40, 5
    together = Barrier(many, action=group().close, timeout=60)

    def send(_: int) -> list[int]:
        mine = cast(Client, app.test_client())
        answers = []
        for _ in range(rounds):
            together.wait()
            answers.append(mine.post("/events", json={"type": "a"}, headers=callers["ingest"]))
        return [one.status_code for one in answers]

    with ThreadPoolExecutor(many) as threads:
        assert list(threads.map(send, range(many))) == [[202] * rounds] * many


def test_a_key_is_shown_once_and_kept_as_a_digest(
    client: Client, callers: dict[str, dict[str, str]]
) -> None:
    made = client.post(
        "/keys", json={"name": "checkout", "scopes": ["ingest"]}, headers=callers["admin"]
    )
    assert made.status_code == 201
    text = made.json["key"]
    assert len(text) == 4 + 43
    assert text not in client.get("/keys", headers=callers["admin"]).text
    event = client.post("/events", json={"type": "a"}, headers={"Authorization": f"Bearer {text}"})
    assert event.status_code == 202
    revoked = client.delete(f"/keys/{made.json['id']}", headers=callers["admin"])
    assert revoked.json["revoked_at"] is not None
    after = client.post("/events", json={"type": "a"}, headers={"Authorization": f"Bearer {text}"})
    assert after.status_code == 401


@pytest.mark.parametrize("scopes", [[], ["root"], "admin", None])
def test_a_key_needs_scopes_that_exist(
    client: Client, callers: dict[str, dict[str, str]], scopes: object
) -> None:
    body = {"name": "x", "scopes": scopes}
    assert client.post("/keys", json=body, headers=callers["admin"]).status_code == 422


def test_two_keys_may_use_the_same_idempotency_key(
    client: Client, callers: dict[str, dict[str, str]]
) -> None:
    answers = [
        client.post("/events", json={"type": "a"}, headers={"Idempotency-Key": "k", **callers[c]})
        for c in ("ingest", "admin", "ingest")
    ]
    assert [a.json["duplicate"] for a in answers] == [False, False, True]


def test_every_route_is_in_the_document_or_known_to_be_open(app: Flask, client: Client) -> None:
    documented = {path for _, path, _ in operations(client)}
    served = {re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule) for rule in app.url_map.iter_rules()}
    # Who may see the console's pages: tests/app/console/test_door.py.
    others = {path for path in served - documented if not path.startswith("/console/")}
    assert others == {
        "/",
        "/metrics",
        "/openapi.json",
        "/docs",
        "/docs/problems",
        "/docs/static/{filename}",
    }


def test_a_wrong_key_with_the_prefix_of_a_right_one_is_refused(
    client: Client, callers: dict[str, dict[str, str]]
) -> None:
    right = callers["admin"]["Authorization"]
    wrong = right[:-1] + ("a" if right[-1] != "a" else "b")
    assert client.get("/keys", headers={"Authorization": right}).status_code == 200
    assert client.get("/keys", headers={"Authorization": wrong}).status_code == 401
