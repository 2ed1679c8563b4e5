"""What a Slack message looks like, and what no event can make of it."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.channels.base import Notice
from app.channels.blocks import escape, render

Make = Callable[..., Notice]
EVIL = "<!channel> <@U1> @here #general & <https://evil.example|click> *b* `c`"


def texts(value: Any) -> Iterator[dict[str, Any]]:
    """Every text object, wherever it stands."""
    if isinstance(value, dict):
        if value.get("type") in ("plain_text", "mrkdwn"):
            yield value
        for inner in value.values():
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)


def test_a_message_shows_the_rule_the_message_and_the_event(make_notice: Make) -> None:
    payload = render(make_notice())
    kinds = [block["type"] for block in payload["blocks"]]
    shown = json.dumps(payload, ensure_ascii=False)
    assert kinds == ["header", "section", "section", "context"]
    assert payload["blocks"][0]["text"]["text"] == "🟠 High value orders"
    assert payload["text"] == "🟠 High value orders: Order of 900"
    for part in ("*Event type*\\norder", "*amount*\\n900", "*customer*\\nAda", "Event e1"):
        assert part in shown


@pytest.mark.parametrize("said", [" matched an event of type order", ": 5 of 5 within 10m"])
def test_a_message_that_begins_with_the_rules_name_is_not_named_twice(
    make_notice: Make, said: str
) -> None:
    payload = render(make_notice(message=f"High value orders{said}"))
    assert payload["text"] == f"🟠 High value orders{said}"


def test_a_resolved_alert_says_so(make_notice: Make) -> None:
    payload = render(make_notice(kind="alert.resolved"))
    assert payload["text"].startswith("✅ Resolved: High value orders")


def test_nothing_in_an_event_can_ping_or_link(make_notice: Make) -> None:
    rule = {"id": "r", "name": EVIL, "version": 1, "severity": EVIL}
    body = {EVIL: EVIL, "list": [EVIL], "object": {EVIL: EVIL}}
    event = {"id": EVIL, "type": EVIL, "body": body}
    payload = render(make_notice(rule=rule, event=event, message=EVIL))
    assert "<" not in json.dumps(payload)
    assert (payload["parse"], payload["link_names"], payload["mrkdwn"]) == ("none", False, False)
    for text in texts(payload["blocks"]):
        assert text["type"] == "plain_text" or text["verbatim"] is True


def test_slacks_limits_are_kept(make_notice: Make) -> None:
    long = "&" * 100_000
    body = {f"key {n} {long}": long for n in range(200)}
    event = {"id": long, "type": long, "body": body}
    rule = {"id": "r", "name": long, "version": 1, "severity": "high"}
    payload = render(make_notice(rule=rule, event=event, message=long))
    blocks = payload["blocks"]
    assert len(blocks) <= 50
    assert len(blocks[0]["text"]["text"]) <= 150
    assert len(blocks[1]["text"]["text"]) <= 3000
    assert len(blocks[2]["fields"]) == 10
    assert all(len(field["text"]) <= 2000 for field in blocks[2]["fields"])
    assert len(payload["text"]) <= 3000


@pytest.mark.parametrize("message", ["", "  \n", "\x01", "\n\x7f "])
def test_no_text_is_ever_empty(make_notice: Make, message: str) -> None:
    event = {"type": "", "body": {"empty": "", "nothing": None, "": 0}}
    payload = render(make_notice(message=message, event=event, rule={"name": ""}))
    assert all(text["text"].strip() for text in texts(payload["blocks"]))
    assert payload["text"].strip()


def test_the_page_of_the_alert_is_linked(make_notice: Make) -> None:
    url = "https://sentinel.example/alerts/1?a=1&b=2"
    link = render(make_notice(url=url))["blocks"][-1]["elements"][1]["text"]
    assert link == "<https://sentinel.example/alerts/1?a=1&amp;b=2|Open in Sentinel>"
    assert len(render(make_notice(url="https://x/|<"))["blocks"][-1]["elements"]) == 1


@given(st.text(), st.integers(min_value=10, max_value=60))
def test_escaping_fits_and_never_cuts_an_escape(text: str, limit: int) -> None:
    escaped = escape(text, limit)
    assert len(escaped) <= limit
    bare = escaped.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "")
    assert not set(bare) & set("&<>")
    escaped.encode()
