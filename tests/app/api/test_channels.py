"""Channels keep their secrets to themselves."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from app.extensions import session
from tests.acceptance.waiting import wait_until
from tests.app.client import Client
from tests.app.helpers import watching_locks

URL = "https://93.184.216.34/hook"


def make(client: Client, **config: object) -> dict[str, object]:
    body = {"name": "erp", "kind": "webhook", "config": {"url": URL} | config}
    answer = client.post("/channels", json=body)
    assert answer.status_code == 201, answer.text
    found: dict[str, object] = answer.json
    return found


def dump() -> str:
    rows = session().execute(text("SELECT c::text, encode(secrets, 'escape') FROM channels c"))
    return str(rows.all())


def test_a_secret_goes_in_and_never_comes_out(client: Client) -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    made = make(client, secret=secret)
    assert made["generated"] == {}
    assert made["secret_fields"] == ["headers", "secret", "secret_previous"]
    seen = [client.get("/channels").text, client.get("/channels/erp").text, str(made), dump()]
    assert not any(secret in text for text in seen)


def test_a_secret_that_was_left_out_is_made_and_shown_this_once(client: Client) -> None:
    made = make(client)
    generated = made["generated"]
    assert isinstance(generated, dict)
    assert generated["secret"].startswith("whsec_")
    assert generated["secret"] not in client.get("/channels/erp").text


def test_a_channel_is_found_by_name_or_by_kind_and_name(client: Client) -> None:
    made = make(client)
    assert client.get("/channels/erp").json["id"] == made["id"]
    assert client.get("/channels/webhook:erp").json["id"] == made["id"]
    assert client.get("/channels/slack:erp").status_code == 404
    assert client.get("/channels/nobody").status_code == 404


def test_a_channels_name_is_taken_once_for_each_kind(client: Client) -> None:
    make(client)
    again = client.post(
        "/channels", json={"name": "erp", "kind": "webhook", "config": {"url": URL}}
    )
    assert (again.status_code, again.json["errors"][0]["code"]) == (409, "name_taken")
    slack = {"name": "erp", "kind": "slack", "config": {"bot_token": "xoxb-1", "channel": "#erp"}}
    assert client.post("/channels", json=slack).status_code == 201
    assert client.get("/channels/erp").status_code == 409


def test_a_change_keeps_the_secrets_that_it_does_not_name(app: Flask, client: Client) -> None:
    make(client, secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    before = session().execute(text("SELECT secrets FROM channels")).scalar()
    moved = client.patch("/channels/erp", json={"config": {"url": URL + "2"}, "enabled": False})
    assert moved.status_code == 200
    assert (moved.json["config"]["url"], moved.json["enabled"]) == (URL + "2", False)
    assert session().execute(text("SELECT secrets FROM channels")).scalar() != before
    from app.runtime import runtime
    from app.services import channels

    row = channels.find(session(), "erp")
    config = channels.destinations(session(), runtime().settings, ["webhook:erp"])["webhook:erp"]
    assert config.problem == "channel_disabled"
    assert row.config == {"url": URL + "2"}


SLACK = {"bot_token": "xoxb-1", "channel": "#ops"}
SERVER = "https://93.184.216.34:8443/api"
BOT = {"bot_token": "123:abc", "chat_id": "-100"}
PAGER = {"routing_key": "a" * 32}
HEADERS = {"Authorization": "Bearer 1"}


def change(client: Client, kind: str, config: dict[str, object], sent: dict[str, object]) -> Any:
    """What is answered to a change of a channel that has this config."""
    body = {"name": "ops", "kind": kind, "config": config}
    assert client.post("/channels", json=body).status_code == 201
    return client.patch(f"/channels/{kind}:ops", json={"config": sent})


@pytest.mark.parametrize(
    ("kind", "config", "sent", "field", "secret"),
    [
        ("slack", SLACK, {"api_url": SERVER}, "api_url", "bot_token"),
        ("slack", SLACK | {"api_url": SERVER}, {"api_url": None}, "api_url", "bot_token"),
        ("telegram", BOT, {"api_url": SERVER}, "api_url", "bot_token"),
        ("pagerduty", PAGER, {"api_url": SERVER}, "api_url", "routing_key"),
        ("webhook", {"url": URL, "headers": HEADERS}, {"url": SERVER}, "url", "headers"),
        (
            "webhook",
            {"url": URL, "headers": HEADERS},
            {"url": URL.replace("https", "http")},
            "url",
            "headers",
        ),
        (
            "webhook",
            {"url": URL, "headers": HEADERS},
            {"url": URL.replace("216.34", "216.35"), "secret": None},
            "url",
            "headers",
        ),
    ],
)
def test_kept_secrets_go_to_no_other_receiver(
    client: Client,
    kind: str,
    config: dict[str, object],
    sent: dict[str, object],
    field: str,
    secret: str,
) -> None:
    answer = change(client, kind, config, sent)
    assert answer.status_code == 422, answer.text
    [error] = answer.json["errors"]
    assert (error["pointer"], error["code"]) == (f"/config/{field}", "secrets_stay")
    assert f"send {secret} again in the same request, or remove it" in error["detail"]
    kept = client.get(f"/channels/{kind}:ops").json["config"].get(field)
    assert kept == config.get(field)


@pytest.mark.parametrize(
    ("kind", "config", "sent"),
    [
        ("slack", SLACK, {"api_url": SERVER, "bot_token": "xoxb-2"}),
        ("slack", SLACK, {"api_url": "https://SLACK.com:443/other/"}),
        ("slack", SLACK, {"bot_token": None, "webhook_url": URL}),
        ("slack", {"webhook_url": URL}, {"api_url": SERVER}),
        ("slack", {"webhook_url": URL}, SLACK | {"webhook_url": None, "api_url": SERVER}),
        ("webhook", {"url": URL, "headers": HEADERS}, {"url": f"{URL}/2"}),
        ("webhook", {"url": URL, "headers": HEADERS}, {"url": SERVER, "headers": None}),
        ("webhook", {"url": URL, "headers": HEADERS}, {"url": SERVER, "headers": HEADERS}),
        ("webhook", {"url": URL, "headers": {}}, {"url": SERVER}),
    ],
)
def test_a_channel_moves_where_no_kept_secret_would_be_shown(
    client: Client, kind: str, config: dict[str, object], sent: dict[str, object]
) -> None:
    answer = change(client, kind, config, sent)
    assert answer.status_code == 200, answer.text


def test_a_secret_that_only_signs_moves_along(client: Client) -> None:
    assert change(client, "webhook", {"url": URL}, {"url": SERVER}).status_code == 200


def test_an_empty_change_seals_the_secrets_anew_and_keeps_them(client: Client) -> None:
    make(client, secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    before = session().execute(text("SELECT secrets FROM channels")).scalar()
    assert client.patch("/channels/erp", json={"config": {}}).status_code == 200
    assert session().execute(text("SELECT secrets FROM channels")).scalar() != before


def test_secrets_whose_key_is_gone_are_told_and_no_500(client: Client) -> None:
    make(client)
    session().execute(text("UPDATE channels SET secrets = 'gone'"))
    session().commit()
    answer = client.patch("/channels/erp", json={"config": {}})
    assert (answer.status_code, answer.json["errors"][0]["code"]) == (409, "secrets_unreadable")


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"name": ""}, "/name"),
        ({"name": "a:b"}, "/name"),
        ({"kind": "webhok"}, "/kind"),
        ({"config": {}}, "/config/url"),
        ({"config": {"url": URL, "secret": "short"}}, "/config/secret"),
        ({"config": {"url": URL, "colour": 1}}, "/config/colour"),
        ({"config": {"url": 5}}, "/config/url"),
        ({"config": 5}, "/config"),
        ({"config": {"url": "http://127.0.0.1:1/"}}, "/config/url"),
        ({"config": {"url": "http://169.254.169.254/latest"}}, "/config/url"),
    ],
)
def test_a_wrong_channel_is_refused_at_its_field(
    client: Client, change: dict[str, object], pointer: str
) -> None:
    body = {"name": "erp", "kind": "webhook", "config": {"url": URL}} | change
    answer = client.post("/channels", json=body)
    assert answer.status_code == 422
    assert answer.json["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize("url", ["http://10.0.0.1/", "http://localhost./", "http://a.localhost/"])
def test_a_private_url_is_refused_by_its_own_code(client: Client, url: str) -> None:
    body = {"name": "x", "kind": "webhook", "config": {"url": url}}
    assert client.post("/channels", json=body).json["errors"][0]["code"] == "url_not_allowed"


def test_a_test_of_a_channel_that_is_just_being_deleted_finds_none(
    app: Flask, client: Client
) -> None:
    make(client)
    session().execute(text("DELETE FROM channels"))
    with ThreadPoolExecutor(1) as pool, watching_locks() as somebody_waits:
        tested = pool.submit(app.test_client().post, "/channels/erp/test")
        wait_until(lambda: tested.done() or somebody_waits(), 30)
        session().commit()
        assert tested.result(30).status_code == 404


@pytest.mark.parametrize(
    ("kind", "config", "variable"),
    [
        ("email", {"to": "ops@example.com"}, "SMTP_URL"),
        ("apprise", {"urls": "json://erp.example/"}, "SENTINEL_APPRISE"),
    ],
)
def test_what_the_operator_has_not_set_up_is_refused_by_name(
    client: Client, kind: str, config: dict[str, str], variable: str
) -> None:
    answer = client.post("/channels", json={"name": "x", "kind": kind, "config": config})
    assert answer.status_code == 422
    [error] = answer.json["errors"]
    assert (error["pointer"], error["code"]) == ("/config", "invalid_config")
    assert variable in error["detail"]
