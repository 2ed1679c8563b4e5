"""Who asks too often is told when to come again; nobody else notices."""

from dataclasses import replace
from typing import Any, cast

import pytest
from flask import Flask
from limits import parse
from time_machine import travel

from app.config import Rates, Settings
from app.extensions import session
from app.factory import create_app
from app.services import keys
from app.web.limits import Counts
from tests.app.client import Answer, Client
from tests.app.helpers import alone
from tests.conftest import TestClock

FEW = Rates(calls=parse("2/minute"), ingest=parse("3/minute"), failures=parse("2/minute"))


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, auth="keys", rates=FEW, hook_secrets=("alertmanager=right",))


@pytest.fixture
def bearers(app: Flask, clock: TestClock) -> list[dict[str, str]]:
    """The headers of two callers."""
    texts = [keys.create(session(), name, ["admin"], clock())[1] for name in "ab"]
    session().commit()
    return [{"Authorization": f"Bearer {text}"} for text in texts]


def codes(client: Client, path: str, times: int, **options: Any) -> list[int]:
    return [client.get(path, **options).status_code for _ in range(times)]


def behind_a_proxy(settings: Settings, clock: TestClock) -> Flask:
    """An application that believes the last address that it is told."""
    return create_app(replace(settings, proxies=1), clock)


def refused(answer: Answer) -> None:
    assert (answer.status_code, answer.content_type) == (429, "application/problem+json")
    assert 1 <= int(answer.headers["Retry-After"]) <= 60


def test_each_key_has_a_budget_of_its_own(client: Client, bearers: list[dict[str, str]]) -> None:
    assert codes(client, "/rules", 3, headers=bearers[0]) == [200, 200, 429]
    assert codes(client, "/keys", 1, headers=bearers[0]) == [429]
    assert codes(client, "/rules", 2, headers=bearers[1]) == [200, 200]
    refused(client.get("/rules", headers=bearers[0]))


def test_events_have_a_budget_of_their_own(client: Client, bearers: list[dict[str, str]]) -> None:
    assert codes(client, "/rules", 3, headers=bearers[0])[-1] == 429
    post = [client.post("/events", json={"type": "a"}, headers=bearers[0]) for _ in range(4)]
    assert [answer.status_code for answer in post] == [202, 202, 202, 429]
    refused(post[-1])


def test_failed_authentications_end_in_429_and_do_not_harm_the_neighbours(
    client: Client, bearers: list[dict[str, str]]
) -> None:
    wrong = {"Authorization": "Bearer snt_" + "x" * 43}
    assert codes(client, "/rules", 3, headers=wrong) == [401, 401, 429]
    assert codes(client, "/rules", 1) == [429]
    assert codes(client, "/rules", 1, headers=bearers[0]) == [200]
    other = {"environ_base": {"REMOTE_ADDR": "192.0.2.9"}}
    assert codes(client, "/rules", 1, **other) == [401]


def test_what_needs_no_key_is_counted_by_address(client: Client) -> None:
    assert codes(client, "/openapi.json", 1) + codes(client, "/docs", 1) == [200, 200]
    assert codes(client, "/nonsense", 1) == [429]
    neighbour = {"environ_base": {"REMOTE_ADDR": "2001:db8::1"}}
    same = {"environ_base": {"REMOTE_ADDR": "2001:db8::ffff"}}
    far = {"environ_base": {"REMOTE_ADDR": "2001:db8:1::1"}}
    assert codes(client, "/docs", 2, **neighbour) == [200, 200]
    assert codes(client, "/docs", 1, **same) == [429]
    assert codes(client, "/docs", 1, **far) == [200]


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}])
def test_a_page_that_is_asked_for_too_often_says_when_to_come_again(
    client: Client, headers: dict[str, str]
) -> None:
    answers = [alone(client.get, "/console/sign-in", headers=headers) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert "Too Many Requests" in answers[-1].text
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60


def test_health_and_metrics_always_answer(client: Client) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        assert codes(client, path, 5) == [200] * 5


def test_behind_a_proxy_the_address_is_the_one_it_tells(
    app: Flask, settings: Settings, clock: TestClock
) -> None:
    client = cast(Client, behind_a_proxy(settings, clock).test_client())

    def ask(told: str) -> int:
        return client.get("/docs", headers={"X-Forwarded-For": told}).status_code

    assert [ask("192.0.2.1") for _ in range(3)] == [200, 200, 429]
    assert ask("192.0.2.2") == 200
    # What the caller wrote itself stands further left, and is not believed.
    assert ask("192.0.2.77, 192.0.2.1") == 429


@pytest.mark.parametrize(
    ("one", "same", "other"),
    [
        ("192.0.2.1:51234", "192.0.2.1:4", "192.0.2.2:51234"),
        ("192.0.2.1:51234", "192.0.2.1", "192.0.2.2"),
        ("[2001:db8::1]", "2001:db8::2", "[2001:db8:1::1]"),
        ("[2001:db8::1]:443", "[2001:db8::2]:51234", "[2001:db8:1::1]:443"),
        ("[fe80::1%eth0]:443", "fe80::1%eth1", "fe81::1%eth0"),
        ("unknown", "unknown:80", "_hidden:80"),
        ("[2001:db8::1", "[2001:db8::2", "[2001:db8:1::1"),
        (":::" + "x" * 9000, ":::" + "x" * 9001, ":::y"),
    ],
)
def test_an_address_is_counted_however_a_proxy_spells_it(
    app: Flask, settings: Settings, clock: TestClock, one: str, same: str, other: str
) -> None:
    client = cast(Client, behind_a_proxy(settings, clock).test_client())
    told = [one, same, one, other]
    answers = [client.get("/docs", headers={"X-Forwarded-For": text}) for text in told]
    assert [answer.status_code for answer in answers] == [200, 200, 429, 200]


@pytest.mark.parametrize("network", ["::ffff:", "64:ff9b::"])
def test_each_ipv4_address_within_ipv6_is_one_of_its_own(client: Client, network: str) -> None:
    """All who come by IPv4 to a socket of both kinds are in one network of 64 bits."""
    one, other = ({"environ_base": {"REMOTE_ADDR": f"{network}192.0.2.{n}"}} for n in (1, 2))
    assert codes(client, "/docs", 3, **one) == [200, 200, 429]
    assert codes(client, "/docs", 1, environ_base={"REMOTE_ADDR": "192.0.2.1"}) == [429]
    assert codes(client, "/docs", 1, **other) == [200]


def test_without_a_proxy_nobody_can_claim_another_address(client: Client) -> None:
    told = [client.get("/docs", headers={"X-Forwarded-For": f"192.0.2.{n}"}) for n in range(3)]
    assert [answer.status_code for answer in told] == [200, 200, 429]


def test_without_keys_everybody_is_their_address(
    app: Flask, settings: Settings, clock: TestClock
) -> None:
    open_to_all = create_app(replace(settings, auth="off"), clock)
    client = cast(Client, open_to_all.test_client())
    with open_to_all.app_context():
        assert codes(client, "/rules", 3) == [200, 200, 429]
        elsewhere = {"environ_base": {"REMOTE_ADDR": "192.0.2.9"}}
        assert codes(client, "/rules", 1, **elsewhere) == [200]


def test_a_count_begins_anew_when_its_window_is_over_and_old_ones_are_forgotten() -> None:
    counts = Counts()
    with travel(1_000_000, tick=False) as world:
        assert [counts.incr("a", 60) for _ in range(2)] == [1, 2]
        assert counts.get_expiry("a") == 1_000_060
        world.shift(60)
        assert counts.get("a") == 0
        assert counts.incr("a", 60) == 1
        for number in range(20_000):
            counts.incr(f"{number}", 60)
            world.shift(0.06)
    assert counts.reset() < 5000


@pytest.mark.parametrize(
    ("token", "expected"), [("wrong", [403, 403, 429]), ("right", [202, 202, 202, 429])]
)
def test_hooks_count_as_events_and_wrong_signatures_as_wrong_keys(
    client: Client, token: str, expected: list[int]
) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    answers = [
        client.post("/hooks/alertmanager", json={"alerts": []}, headers=headers) for _ in expected
    ]
    assert [answer.status_code for answer in answers] == expected
    refused(answers[-1])
