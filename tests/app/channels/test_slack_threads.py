"""The messages of one alert in a thread of Slack, and its first updated at the end."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from marshmallow import ValidationError
from pytest_httpserver import HTTPServer
from slack_sdk.models.blocks import Block
from werkzeug import Request, Response

from app.channels import registry
from app.channels.base import Notice, Outcome
from app.channels.transport import Transport

Make = Callable[..., Notice]
SLACK = registry.get("slack")
FIRST = "1503435956.000247"
# The example of https://docs.slack.dev/reference/methods/chat.postMessage, with the kept KiB cut off.
ANSWER = f'{{"ok": true, "channel": "C123ABC456", "ts": "{FIRST}", "message": {{"text": "Here\'s a'


class Slack:
    """What Slack's API does with messages: kept by channel and time, and refused as `refusals` says."""

    def __init__(self, server: HTTPServer) -> None:
        self.url = server.url_for("/api/")
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.refusals: dict[str, str] = {}
        for method in ("chat.postMessage", "chat.update"):
            server.expect_request(f"/api/{method}").respond_with_handler(self.answer)

    def answer(self, request: Request) -> Response:
        """`ok`, or an error with a status of 200."""
        method, payload = request.path.removeprefix("/api/"), request.get_json()
        self.calls.append((method, payload))
        for block in Block.parse_all(payload["blocks"]):
            block.validate_json()
        threaded = "thread" if "thread_ts" in payload else method
        error = self.refusals.get(threaded)
        told = {"ok": False, "error": error} if error else {"ok": True, "ts": "1503435957.000300"}
        return Response(json.dumps(told), content_type="application/json")


@pytest.fixture
def slack(httpserver: HTTPServer) -> Iterator[Slack]:
    made = Slack(httpserver)
    yield made
    httpserver.check_assertions()


def config(slack: Slack, **more: Any) -> dict[str, Any]:
    return {"bot_token": "xoxb-1", "channel": "#ops", "api_url": slack.url, **more}


def test_the_first_message_begins_no_thread(
    slack: Slack, transport: Transport, make_notice: Make
) -> None:
    verdict = SLACK.send(make_notice(), config(slack, threads=True), transport)
    assert verdict.outcome is Outcome.DELIVERED
    [(method, payload)] = slack.calls
    assert (method, payload["channel"]) == ("chat.postMessage", "#ops")
    assert "thread_ts" not in payload


def test_the_next_message_of_the_alert_goes_into_its_thread(
    slack: Slack, transport: Transport, make_notice: Make
) -> None:
    notice = make_notice(first=ANSWER)
    assert SLACK.send(notice, config(slack, threads=True), transport).outcome is Outcome.DELIVERED
    [(method, payload)] = slack.calls
    assert method == "chat.postMessage"
    assert (payload["channel"], payload["thread_ts"]) == ("C123ABC456", FIRST)


def test_the_end_is_told_in_the_thread_and_shown_in_place_of_the_first_message(
    slack: Slack, transport: Transport, make_notice: Make
) -> None:
    notice = make_notice(kind="alert.resolved", first=ANSWER)
    verdict = SLACK.send(notice, config(slack, threads=True), transport)
    assert (verdict.outcome, verdict.detail) == (Outcome.DELIVERED, "delivered")
    (posted, reply), (updated, first) = slack.calls
    assert (posted, reply["thread_ts"]) == ("chat.postMessage", FIRST)
    assert (updated, first["channel"], first["ts"]) == ("chat.update", "C123ABC456", FIRST)
    assert first["text"].startswith("✅ Resolved: High value orders")
    assert first["blocks"] == reply["blocks"]
    assert (first["parse"], first["link_names"]) == ("none", False)


def test_a_first_message_that_cannot_be_updated_takes_nothing_from_the_delivery(
    slack: Slack, transport: Transport, make_notice: Make
) -> None:
    slack.refusals["chat.update"] = "message_not_found"
    notice = make_notice(kind="alert.resolved", first=ANSWER)
    verdict = SLACK.send(notice, config(slack, threads=True), transport)
    assert verdict.outcome is Outcome.DELIVERED
    assert verdict.detail == "delivered; the first message stays as it was: message_not_found"


def test_a_thread_that_takes_no_message_loses_none(
    slack: Slack, transport: Transport, make_notice: Make
) -> None:
    slack.refusals["thread"] = "restricted_action_thread_locked"
    notice = make_notice(first=ANSWER)
    assert SLACK.send(notice, config(slack, threads=True), transport).outcome is Outcome.DELIVERED
    assert [payload["channel"] for _, payload in slack.calls] == ["C123ABC456", "#ops"]


def test_a_thread_that_is_limited_is_tried_again(
    slack: Slack, transport: Transport, make_notice: Make
) -> None:
    slack.refusals["thread"] = "ratelimited"
    verdict = SLACK.send(make_notice(first=ANSWER), config(slack, threads=True), transport)
    assert verdict.outcome is Outcome.TRANSIENT
    assert len(slack.calls) == 1


@pytest.mark.parametrize("answer", [None, "", "ok", '{"ok":true}', '{"ok":true,"channel":"C1"'])
def test_without_the_time_of_the_first_message_it_goes_to_the_channel(
    slack: Slack, transport: Transport, make_notice: Make, answer: str | None
) -> None:
    notice = make_notice(kind="alert.resolved", first=answer)
    assert SLACK.send(notice, config(slack, threads=True), transport).outcome is Outcome.DELIVERED
    [(method, payload)] = slack.calls
    assert (method, payload["channel"]) == ("chat.postMessage", "#ops")


def test_without_the_setting_nothing_is_threaded(
    slack: Slack, transport: Transport, make_notice: Make
) -> None:
    SLACK.send(make_notice(first=ANSWER), config(slack), transport)
    assert "thread_ts" not in slack.calls[0][1]
    assert not SLACK.threads(config(slack))


def test_threads_need_a_bot_token() -> None:
    with pytest.raises(ValidationError):
        SLACK.config_schema.load({"webhook_url": "https://hooks.slack.example/x", "threads": True})


def test_every_block_is_one_that_slacks_own_library_takes(
    slack: Slack, transport: Transport, make_notice: Make
) -> None:
    """The server asks the library for each; this is all that can stand in a message, at its longest."""
    long = "&" * 10_000
    event = {"id": long, "type": long, "body": {f"{n}{long}": long for n in range(50)}}
    rule = {"id": "r", "name": long, "version": 1, "severity": "high"}
    url = "https://sentinel.example/alerts/1"
    notice = make_notice(rule=rule, event=event, message=long, url=url)
    assert SLACK.send(notice, config(slack), transport).outcome is Outcome.DELIVERED
