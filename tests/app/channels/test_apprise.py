"""Apprise, as the real library sends to a real server."""

import os
import threading
from collections.abc import Callable
from typing import Any

import pytest
from marshmallow import ValidationError
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from app.channels import apprise, registry
from app.channels import transport as module
from app.channels.base import AddressError, ChannelDefaults, Notice, Outcome
from app.channels.transport import Transport

Make = Callable[..., Notice]
APPRISE = registry.get("apprise")


def url(server: HTTPServer, path: str = "/hook") -> str:
    """Apprise's own kind of URL for JSON to a server."""
    return f"json://{server.host}:{server.port}{path}"


def test_the_library_delivers_the_message(
    httpserver: HTTPServer, transport: Transport, make_notice: Make
) -> None:
    httpserver.expect_request("/hook").respond_with_data("")
    verdict = APPRISE.send(make_notice(), {"urls": url(httpserver)}, transport)
    assert (verdict.outcome, verdict.detail) == (Outcome.DELIVERED, "delivered")
    [(request, _)] = httpserver.log
    sent = request.get_json()
    assert (sent["title"], sent["type"]) == ("🟠 High value orders", "failure")
    assert "Order of 900" in sent["message"]
    assert "amount: 900" in sent["message"]


def test_one_that_fails_has_all_tried_again(
    httpserver: HTTPServer, transport: Transport, make_notice: Make
) -> None:
    httpserver.expect_request("/hook").respond_with_data("")
    httpserver.expect_request("/bad").respond_with_data("", status=500)
    urls = f"{url(httpserver)}\n{url(httpserver, '/bad')}"
    verdict = APPRISE.send(make_notice(kind="alert.resolved"), {"urls": urls}, transport)
    assert verdict.outcome is Outcome.TRANSIENT
    assert verdict.detail == "apprise could not deliver to URL 2"
    assert httpserver.log[0][0].get_json()["type"] == "success"


def test_a_url_that_the_library_does_not_know_is_permanent(
    transport: Transport, make_notice: Make
) -> None:
    verdict = APPRISE.send(make_notice(), {"urls": "pigeon://secret@loft"}, transport)
    assert verdict.outcome is Outcome.PERMANENT
    assert verdict.detail == "apprise does not know URL 1"


def test_a_receiver_that_hangs_is_left_at_the_deadline(
    httpserver: HTTPServer,
    transport: Transport,
    make_notice: Make,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reached, ended = threading.Event(), threading.Event()

    def hang(request: Request) -> Response:
        reached.set()
        ended.wait(30)
        return Response("")

    httpserver.expect_request("/hook").respond_with_handler(hang)
    monkeypatch.setattr(module, "SEND_SECONDS", 3.0)
    slow = {"urls": url(httpserver, "/hook?rto=60")}
    verdict = APPRISE.send(make_notice(), slow, transport)
    ended.set()
    assert reached.is_set()
    assert (verdict.outcome, verdict.detail) == (Outcome.TRANSIENT, "timed out")


def test_the_library_sees_none_of_our_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTINEL_SECRET_KEY", "hidden")
    monkeypatch.setenv("DATABASE_URL", "hidden")
    seen = apprise.environment()
    assert "hidden" not in seen.values()
    assert seen["PATH"] == os.environ["PATH"]


def test_it_is_off_unless_the_operator_says_so() -> None:
    config = {"urls": "json://erp.example/"}
    with pytest.raises(AddressError, match="SENTINEL_APPRISE"):
        APPRISE.complete(config, ChannelDefaults())
    assert APPRISE.complete(config, ChannelDefaults(apprise=True)) == config


def test_an_address_is_the_name_of_a_channel() -> None:
    with pytest.raises(AddressError) as refusal:
        APPRISE.resolve("json://erp.example/", ChannelDefaults(apprise=True))
    assert "create a channel" in refusal.value.hint


@pytest.mark.parametrize("urls", ["", " ", "erp.example", "json://a\0b", "json://a " * 21])
def test_a_config_is_one_or_more_urls(urls: str) -> None:
    with pytest.raises(ValidationError):
        APPRISE.config_schema.load({"urls": urls})


def test_the_urls_are_secret(make_notice: Make) -> None:
    assert APPRISE.secret_fields == {"urls"}
    shown: Any = APPRISE.request(make_notice(), {"urls": "•••"})
    assert shown.headers == {"Title": "🟠 High value orders"}
