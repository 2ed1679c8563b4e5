"""Through real servers: one alert is told to a channel of every kind, acknowledged and resolved."""

import json
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any

import pytest

from app.channels import registry
from tests.acceptance.outside import (
    KEY,
    RETRY_AFTER,
    SLACK_CHANNEL,
    SLACK_TS,
    Mail,
    Services,
    configs,
)
from tests.acceptance.receiver import Answer, Heard
from tests.acceptance.stack import Stack
from tests.app.channels import judges
from tests.app.channels.mailserver import USER

pytestmark = pytest.mark.acceptance
KINDS = [kind for kind in registry.kinds() if kind != "webhook"]
RULE = """\
when type == "disk" and used > 90%
then notify({targets}, resolved: true)
severity critical
message "{{{{ host }}}}: {{{{ used }}}} of the disk is used"
resolve when type == "disk" and used < 80% by host
"""
BASE = "https://sentinel.example.com"
FORMS = ("plain", "html")
OPENED, RESOLVED = "🔴 Disk nearly full", "✅ Resolved: Disk nearly full"
MESSAGE = "db1: 0.97 of the disk is used"
ENDED = "Resolved by Disk nearly full after 1 match since "


@pytest.fixture(scope="module")
def mail(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mail]:
    server = Mail(tmp_path_factory.mktemp("mail"))
    yield server
    server.close()


@pytest.fixture(scope="module")
def stack(mail: Mail) -> Iterator[Stack]:
    env = {**mail.env, "SENTINEL_APPRISE": "on", "SENTINEL_RETRY_BASE": "2"}
    env["SENTINEL_PUBLIC_URL"] = BASE
    with Stack(env=env) as running:
        yield running


@pytest.fixture(scope="module")
def services(stack: Stack, mail: Mail) -> Services:
    """What a whole alert has told them: opened, acknowledged by hand, and ended by an event."""
    services = Services(stack.receiver)
    for kind, config in configs(stack.receiver.url).items():
        made = stack.post("/channels", {"name": f"my-{kind}", "kind": kind, "config": config})
        assert made.status_code == 201, made.text
    dsl = RULE.format(targets=", ".join(f'"{kind}:my-{kind}"' for kind in KINDS))
    made = stack.post("/rules", {"name": "Disk nearly full", "dsl": dsl})
    assert made.status_code == 201, made.text

    stack.post("/events", {"type": "disk", "host": "db1", "used": 0.97})
    await_sent(stack, len(KINDS))
    [alert] = stack.get("/alerts").json()["data"]
    assert stack.post(f"/alerts/{alert['id']}/ack", {}).status_code == 200
    await_sent(stack, len(KINDS) + 1)
    stack.post("/events", {"type": "disk", "host": "db1", "used": 0.5})
    await_sent(stack, 2 * len(KINDS) + 1)
    return services


def await_sent(stack: Stack, count: int) -> None:
    ended = "SELECT status, reason FROM notifications WHERE status <> 'pending'"
    rows = stack.eventually(
        lambda: (found := stack.sql(ended)) and len(found) >= count and found, 60
    )
    assert rows == [("sent", None)] * count


def alert_id(stack: Stack) -> str:
    [alert] = stack.get("/alerts").json()["data"]
    assert alert["state"] == "resolved"
    return str(alert["id"])


def body(letter: EmailMessage, form: str) -> str:
    part = letter.get_body((form,))
    assert part is not None
    return str(part.get_content())


def test_mail_comes_by_starttls_and_login_in_one_thread(
    stack: Stack, services: Services, mail: Mail
) -> None:
    opened, resolved = mail.taken
    assert opened.secure
    assert resolved.secure
    assert mail.logins == [USER] * 2
    assert opened.to == ["ann@example.com", "bob@example.com"]
    assert opened.letter["Subject"] == "[critical] Disk nearly full: db1"
    assert resolved.letter["Subject"] == "[critical] Resolved: Disk nearly full: db1"
    thread = f"<alert-{alert_id(stack)}@example.com>"
    for letter, said in ((opened.letter, MESSAGE), (resolved.letter, ENDED)):
        assert (letter["In-Reply-To"], letter["References"]) == (thread, thread)
        assert all(said in body(letter, form) for form in FORMS)
    assert opened.letter["Message-ID"] != resolved.letter["Message-ID"]


def test_pagerduty_is_told_to_trigger_acknowledge_and_resolve_one_alert(
    stack: Stack, services: Services
) -> None:
    told = services.took("pagerduty")
    assert [one["event_action"] for one in told] == ["trigger", "acknowledge", "resolve"]
    assert {one["dedup_key"] for one in told} == {alert_id(stack)}
    assert told[0]["payload"]["summary"] == f"Disk nearly full: {MESSAGE}"
    assert told[0]["payload"]["severity"] == "critical"
    assert told[0]["payload"]["custom_details"]["event"]["body"]["host"] == "db1"


def test_slack_is_asked_again_when_it_says_and_told_the_end_in_the_thread(
    services: Services,
) -> None:
    (asked, _, refused), (again, _, first), (_, reply_by, reply), (_, updated, end) = (
        services.slack()
    )
    assert again - asked >= RETRY_AFTER - 0.5
    assert refused == first
    assert (first["channel"], "thread_ts" in first) == ("#ops", False)
    assert first["text"] == f"{OPENED}: {MESSAGE}"
    assert (reply_by, reply["channel"], reply["thread_ts"]) == (
        "chat.postMessage",
        SLACK_CHANNEL,
        SLACK_TS,
    )
    assert reply["text"].startswith(f"{RESOLVED}: {ENDED}")
    assert (updated, end["channel"], end["ts"]) == ("chat.update", SLACK_CHANNEL, SLACK_TS)
    assert end["blocks"] == reply["blocks"]


@pytest.mark.parametrize("kind", KINDS)
def test_each_message_leads_to_the_page_of_its_alert(
    stack: Stack, services: Services, mail: Mail, kind: str
) -> None:
    page = f"{BASE}/console/alerts/{alert_id(stack)}"
    if kind == "email":
        assert all(page in body(one.letter, form) for one in mail.taken for form in FORMS)
    elif kind == "slack":
        assert all(
            f"<{page}|Open in Sentinel>" in str(said["blocks"]) for *_, said in services.slack()
        )
    elif kind == "pagerduty":
        # It shows the link of the trigger for as long as the alert is there.
        assert [one.get("client_url") for one in services.took(kind)] == [page, None, None]
    else:
        assert all(page in json.dumps(one) for one in services.took(kind))


def shown(kind: str, message: dict[str, Any]) -> str:
    """What somebody reads, by the judge of a kind."""
    if kind == "teams":
        return "\n".join(judges.of_teams(message))
    if kind == "telegram":
        return judges.of_telegram(message["text"]).text
    if kind == "apprise":
        return f"{message['title']}\n{message['message']}"
    embed = judges.of_discord(message)
    return f"{embed.title}\n{embed.description}".replace("\\", "")


@pytest.mark.parametrize("kind", ["teams", "discord", "telegram", "apprise"])
def test_each_other_kind_is_told_that_it_began_and_that_it_ended(
    services: Services, kind: str
) -> None:
    opened, resolved = (shown(kind, one) for one in services.took(kind))
    assert opened.startswith(OPENED)
    assert MESSAGE in opened
    assert resolved.startswith(RESOLVED)
    assert ENDED in resolved


def test_an_end_waits_for_a_beginning_that_is_tried_again(
    stack: Stack, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def heard() -> list[str]:
        told = [one.json for one in list(stack.receiver.heard) if one.path == "/late"]
        return [one["event_action"] for one in told]

    def late(one: Heard) -> Answer:
        return Answer(503 if one.path == "/late" and len(heard()) == 1 else 202)

    monkeypatch.setattr(stack.receiver, "answer", late)
    config = {"routing_key": KEY, "api_url": f"{stack.receiver.url}/late"}
    stack.post("/channels", {"name": "late", "kind": "pagerduty", "config": config})
    dsl = RULE.format(targets='"pagerduty:late"').replace("disk", "tape")
    assert stack.post("/rules", {"name": "Tape nearly full", "dsl": dsl}).status_code == 201
    stack.post("/events", {"type": "tape", "host": "db1", "used": 0.97})
    stack.eventually(heard)
    stack.post("/events", {"type": "tape", "host": "db1", "used": 0.5})
    stack.eventually(lambda: len(heard()) >= 3, 60)
    assert heard() == ["trigger", "trigger", "resolve"]
