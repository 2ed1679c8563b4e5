"""No secret and no event reaches a log, and no secret a dump of the database."""

from collections.abc import Iterator

import pytest
import requests
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from app.clock import system_clock
from app.config import database_url
from app.services import keys
from tests.acceptance.receiver import Answer
from tests.acceptance.stack import Stack

pytestmark = pytest.mark.acceptance

TOKEN = "xoxb-planted-token"
SIGNING = "whsec_cGxhbnRlZC1zaWduaW5nLXNlY3JldC1vZi0zMmJ5dGU="
IN_EVENT = "planted-in-the-event"
BAD_KEY = "snt_planted-bad-key"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    env = {"SENTINEL_AUTH": "keys", "SLACK_BOT_TOKEN": TOKEN, "SENTINEL_RETRY_BASE": "0.2"}
    env |= {"SENTINEL_RETRY_ATTEMPTS": "2", "SENTINEL_EGRESS_ALLOW": "127.0.0.1:1"}
    env["SLACK_API_URL"] = "http://127.0.0.1:1/"
    with Stack(env=env) as running:
        yield running


def test_a_run_with_failures_of_every_kind_leaves_no_secret_in_any_log_or_table(
    stack: Stack,
) -> None:
    with Session(create_engine(database_url(stack.env))) as session:
        _, key = keys.create(session, "operator", ["admin"], system_clock())
        session.commit()
    headers = {"Authorization": f"Bearer {key}"}
    config = {"url": stack.receiver.url, "secret": SIGNING}
    channel = {"name": "erp", "kind": "webhook", "config": config}
    assert stack.post("/channels", channel, headers=headers).status_code == 201
    dsl = 'when type == "x" then notify("webhook:erp"), notify("slack:#ops")'
    rule = {"name": "X", "dsl": dsl}
    assert stack.post("/rules", rule, headers=headers).status_code == 201
    stack.receiver.answer = lambda _heard: Answer(500)
    event = {"type": "x", "deep": {"secret": IN_EVENT}}
    assert stack.post("/events", event, headers=headers).status_code == 202
    bad = {"Authorization": f"Bearer {BAD_KEY}"}
    assert stack.get(f"/rules?x={IN_EVENT}", headers=bad).status_code == 401
    broken = requests.post(
        f"{stack.api_url}/events",
        data=f'{{"type": "x", "a": "{IN_EVENT}"',
        headers=headers | {"Content-Type": "application/json"},
        timeout=30,
    )
    assert broken.status_code == 400
    assert IN_EVENT not in broken.text
    dead = "SELECT 1 FROM notifications WHERE status = 'dead'"
    stack.eventually(lambda: len(stack.sql(dead)) == 2, 60)
    logs = {file.name: file.read_text(errors="replace") for file in stack.home.logs.glob("*.log")}
    assert logs["events.log"]
    for secret in (key, TOKEN, SIGNING, BAD_KEY, IN_EVENT, stack.env["SENTINEL_SECRET_KEY"]):
        assert [name for name, text in logs.items() if secret in text] == [], secret
    for (table,) in stack.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"):
        rows = str(stack.sql(f'SELECT t::text FROM "{table}" t'))
        for secret in (key, TOKEN, SIGNING.removeprefix("whsec_"), BAD_KEY):
            assert secret not in rows, table
