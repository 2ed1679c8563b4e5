"""Countdowns longer than the broker's visibility timeout: messages come back, and nothing is sent twice for it."""

import re
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.chaos.stack import ChangedStack

pytestmark = pytest.mark.acceptance

WAITING = 6


class ForgetfulBroker(ChangedStack):
    """What nobody has acknowledged comes back after two seconds."""

    changes = ("short visibility",)


@pytest.fixture
def stack() -> Iterator[ForgetfulBroker]:
    with ForgetfulBroker() as running:
        yield running


def test_as_many_posts_as_notifications_however_often_their_messages_come_back(
    stack: ForgetfulBroker,
) -> None:
    # One each three seconds: the last has a countdown of fifteen.
    config = {"url": f"{stack.receiver.url}/paced", "rate_limit": "20/m", "rate_burst": 1}
    channel = {"name": "paced", "kind": "webhook", "config": config}
    assert stack.post("/channels", channel).status_code == 201
    rule = {"name": "Paced", "dsl": 'when type == "paced" then notify("webhook:paced")'}
    assert stack.post("/rules", rule).status_code == 201
    for _ in range(WAITING):
        assert stack.post("/events", {"type": "paced"}).status_code == 202

    sent = "SELECT count(*) FROM notifications WHERE status = 'sent'"
    stack.eventually(lambda: stack.sql(sent) == [(WAITING,)], seconds=90)

    posts = Counter(one.headers["webhook-id"] for one in stack.receiver.heard)
    assert sorted(posts.values()) == [1] * WAITING
    log = stack.processes["notifications"].log
    messages = Counter(re.findall(r"notifications\.deliver\[([-0-9a-f]+)\] received", log))
    print(f"{len(messages)} messages were received {messages.total()} times")
    assert messages.total() > len(messages)
