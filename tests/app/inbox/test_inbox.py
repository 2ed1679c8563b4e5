"""What is posted to the receiver appears on the page, and the page tells the receiver how to answer."""

import re
import threading
import time

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from app.extensions import db
from app.inbox.store import KEPT
from app.models.inbox import InboxMessage

HERE = {"Sec-Fetch-Site": "same-origin"}
SLACK = "/api/chat.postMessage"


def tell(page: FlaskClient, mode: str) -> TestResponse:
    return page.post("/inbox/mode", data={"mode": mode}, headers=HERE)


def test_an_empty_inbox_shows_what_to_try(page: FlaskClient, receiver: FlaskClient) -> None:
    text = page.get("/inbox").text
    assert "curl http://localhost/rules" in text
    assert "curl http://localhost/events" in text


def test_a_slack_message_is_answered_like_slack_and_shown(
    page: FlaskClient, receiver: FlaskClient
) -> None:
    answer = receiver.post(SLACK, json={"channel": "#ops", "text": "*hello*"})
    assert answer.get_json()["ok"] is True
    assert answer.get_json()["channel"] == "#ops"
    text = page.get("/inbox").text
    assert "<b>hello</b>" in text
    assert "#ops" in text


def test_slack_without_a_channel_is_refused_as_slack_does(receiver: FlaskClient) -> None:
    for body in (b"", b"[]", b"{}", b"\xff"):
        answer = receiver.post(SLACK, data=body)
        assert answer.get_json() == {"ok": False, "error": "channel_not_found"}


def test_an_incoming_webhook_is_answered_with_ok(receiver: FlaskClient) -> None:
    assert receiver.post("/services/T0/B0/x", json={"text": "hi"}).text == "ok"


def test_a_webhook_is_shown_with_its_signature(page: FlaskClient, receiver: FlaskClient) -> None:
    headers = {"webhook-id": "msg_7", "webhook-signature": "v1,abc"}
    assert receiver.post("/hook/erp", json={"a": 1}, headers=headers).status_code == 200
    text = page.get("/inbox").text
    for part in ("/hook/erp", "msg_7", "v1,abc", "&#34;a&#34;: 1"):
        assert part in text


def test_a_token_is_not_kept(receiver: FlaskClient) -> None:
    receiver.post("/hook/x", data=b"{}", headers={"Authorization": "Bearer xoxb-secret"})
    with receiver.application.app_context():
        (headers,) = db.session.scalars(select(InboxMessage.headers)).all()
    assert headers["Authorization"] == "(hidden)"


@pytest.mark.parametrize("evil", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>'])
def test_nothing_that_arrives_becomes_markup(
    page: FlaskClient, receiver: FlaskClient, evil: str
) -> None:
    blocks = [
        {"type": "header", "text": {"type": "plain_text", "text": evil}},
        {"type": "section", "fields": [{"type": "mrkdwn", "text": evil}]},
        {"type": evil, "text": evil},
    ]
    receiver.post(SLACK, json={"channel": evil, "blocks": blocks})
    data = {"rule": {"name": evil}, "message": evil}
    receiver.post("/hook/x", json={"type": evil, "data": data}, headers={"webhook-id": evil})
    receiver.post(f"/hook/{evil}", data=evil)
    text = page.get("/inbox").text
    assert evil not in text
    assert re.findall(r"<script[^>]*>", text) == [
        '<script type="module" src="/inbox/static/inbox.js">'
    ]
    assert "onerror=alert(1)>" not in text


def test_bodies_that_a_database_would_refuse_are_kept(
    page: FlaskClient, receiver: FlaskClient
) -> None:
    assert receiver.post("/hook/x", data=b"a\0b\xff\xfe").status_code == 200
    assert "a\ufffdb" in page.get("/inbox").text


def test_the_mode_decides_the_answer(page: FlaskClient, receiver: FlaskClient) -> None:
    assert tell(page, "500").status_code == 303
    assert receiver.post(SLACK, json={"channel": "#a"}).status_code == 500
    tell(page, "429")
    answer = receiver.post("/hook/x", json={})
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")
    tell(page, "ok")
    assert receiver.post("/hook/x", json={}).status_code == 200
    statuses = re.findall(r'class="status \w+">([^<]+)<', page.get("/inbox").text)
    assert statuses == ["200", "429", "500"]


def test_a_message_left_hanging_is_shown_before_it_is_given_up(
    page: FlaskClient, receiver: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    really_sleep, here = time.sleep, threading.get_ident()

    def sleep(seconds: float) -> None:
        if threading.get_ident() != here:
            return really_sleep(seconds)
        assert seconds == 30
        return seen.append(page.get("/inbox").text)

    tell(page, "hang")
    monkeypatch.setattr(time, "sleep", sleep)
    assert receiver.post("/hook/x", json={}).status_code == 503
    assert "no answer" in seen[0]


def test_an_unknown_mode_is_refused(page: FlaskClient, receiver: FlaskClient) -> None:
    assert tell(page, "explode").status_code == 422


def test_clear_forgets_all_messages(page: FlaskClient, receiver: FlaskClient) -> None:
    receiver.post("/hook/x", json={})
    assert page.post("/inbox/clear", headers=HERE).status_code == 303
    assert "Nothing here yet" in page.get("/inbox").text


@pytest.mark.parametrize("path", ["/inbox/mode", "/inbox/clear"])
@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Origin": "http://localhost"}, True),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
        ({"Origin": "http://evil.example"}, False),
        ({"Origin": "http://localhost:1"}, False),
        ({"Origin": "https://localhost"}, False),
        ({"Origin": "null"}, False),
        ({}, False),
    ],
)
def test_another_site_cannot_press_the_buttons(
    page: FlaskClient, receiver: FlaskClient, path: str, headers: dict[str, str], allowed: bool
) -> None:
    answer = page.post(path, data={"mode": "ok"}, headers=headers)
    assert answer.status_code == (303 if allowed else 403)


def test_the_list_is_sent_again_only_when_it_changed(
    page: FlaskClient, receiver: FlaskClient
) -> None:
    receiver.post("/hook/one", json={})
    first = page.get("/inbox/messages")
    known = {"If-None-Match": first.headers["ETag"]}
    assert page.get("/inbox/messages", headers=known).status_code == 304
    receiver.post("/hook/two", json={})
    changed = page.get("/inbox/messages", headers=known)
    assert changed.status_code == 200
    assert changed.text.index("/hook/two") < changed.text.index("/hook/one")
    assert "<html" not in changed.text


def test_only_the_last_messages_are_kept(page: FlaskClient, receiver: FlaskClient) -> None:
    for number in range(KEPT + 5):
        receiver.post(f"/hook/n{number}", json={})
    count, _ = page.get("/inbox/messages").headers["ETag"].strip('"').split("-")
    assert int(count) == KEPT


@pytest.mark.parametrize("path", ["/inbox", "/inbox/messages", "/inbox/static/inbox.js"])
def test_the_page_runs_its_own_files_only(
    page: FlaskClient, receiver: FlaskClient, path: str
) -> None:
    answer = page.get(path)
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    assert "http" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    assert " style=" not in answer.text


def test_the_receiver_gives_a_sign_of_life(receiver: FlaskClient) -> None:
    assert receiver.get("/").status_code == 200
